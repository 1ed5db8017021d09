"""Backlit: a deep-learning framework you can see through."""

import importlib as _importlib
import typing as _typing

from . import data, dialect, linalg, nn, optim, random, spelling
from .array_api import *
from .array_api import __array_namespace_info__
from .autograd import backward, enable_grad, grad, is_grad_enabled, no_grad
from .calls import explain as _explain
from .compiler import (
    compile,
    get_native_ops,
    get_threads,
    native_ops_cache_clear,
    native_ops_cache_info,
    set_native_ops,
    set_threads,
)
from .compiler.capture import capture
from .dtypes import (
    bfloat16,
    can_cast,
    finfo,
    float16,
    float32,
    float64,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    isdtype,
    result_type,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .dtypes import bool_ as bool
from .finite_differences import numeric_gradient
from .gates import apply
from .gradcheck import gradcheck
from .interop.einops import await_einops as _await_einops
from .interop.storage import load_tensors, save_tensors
from .nn import functional
from .op import Elementwise, Op, Reduction
from .random import Generator, manual_seed
from .scanning import scan
from .tensor import Tensor, tensor
from .transforms import hessian, hvp, jacobian, jvp, value_and_grad, vjp, vmap

__version__ = "0.1.0"
__array_api_version__ = "2024.12"

e = 2.718281828459045
inf = float("inf")
nan = float("nan")
newaxis = None
pi = 3.141592653589793

_await_einops()
_explain(__name__)


def _in_notebooks(what: str) -> _typing.Any:
    """A method that shows an object in a notebook, as a function of `see.show.notebook` does it."""

    def show(self: _typing.Any) -> str:
        """What a notebook shows: a line of numbers or a tree, with more inside, as HTML."""
        notebook = _importlib.import_module(".see.show.notebook", __name__)
        return getattr(notebook, what)(self)

    show.__name__ = show.__qualname__ = "_repr_html_"
    return show


for _type, _what in ((Tensor, "tensor_html"), (nn.Module, "module_html")):
    setattr(_type, "_repr_html_", _in_notebooks(_what))  # noqa: B010 (floors below `see`)

if _typing.TYPE_CHECKING:
    from . import models, see, train
else:
    #: What is loaded when somebody asks for it.
    _LATER = ("models", "see", "train")

    def __getattr__(name):
        if name in _LATER:
            return _importlib.import_module(f".{name}", __name__)
        return spelling.function(name)

    def __dir__():
        return sorted({*globals(), *_LATER})
