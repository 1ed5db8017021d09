"""PyTorch's names for Backlit: `import backlit.torch as torch`.

The room holds no mathematics: its functions are Backlit's, with PyTorch's names, arguments, order
and defaults. `docs/guide/differences.md` says where they differ from PyTorch's. From its import on
a call of a Tensor's method that means two things (`x.max(1)`, `x.std()`) is PyTorch's.

What users call: `creation` `random` `linalg` `special` `func` `function` `autograd` `nn` `optim`
`utils` `distributions` `serialization` `amp` `compiling` `compiler` `jit` `testing` `settings`.
Types and devices: `kinds` `version` `accelerator` `backends` `cuda` `mps` `xpu` `distributed`.
The room itself: `mirror` `missing` (its names, and what is said of PyTorch's others), `instead`
`__main__` (`import torch` that means this room), `differences` (the guide's page), `_dynamo`.
"""

from __future__ import annotations

import math as _math
from typing import Any

import numpy as _numpy

from .. import array_api as _ours
from .. import compiler as _compiler
from .. import dtypes as _dtypes
from ..array_api.parts import speak_pytorch as _speak_pytorch
from ..autograd import enable_grad, is_grad_enabled, no_grad
from ..calls import explain as _explain
from ..dialect.attach import FUNCTIONS as _FUNCTIONS
from ..dialect.table import ALSO_IN_TORCH as _ALSO_IN_TORCH
from ..dialect.table import IN_PLACE as _IN_PLACE
from ..dtypes import can_cast, finfo, iinfo, result_type
from ..dtypes import promote as promote_types
from ..random import default_generator, manual_seed
from ..tensor import Tensor as _Tensor
from . import kinds as _kinds
from .amp import GradScaler, autocast, get_autocast_dtype, is_autocast_enabled
from .compiling import compile
from .creation import (
    arange,
    as_tensor,
    asarray,
    bartlett_window,
    bernoulli,
    blackman_window,
    empty,
    empty_like,
    eye,
    from_numpy,
    frombuffer,
    full,
    full_like,
    hamming_window,
    hann_window,
    kaiser_window,
    linspace,
    logspace,
    meshgrid,
    multinomial,
    normal,
    ones,
    ones_like,
    poisson,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    range,
    tensor,
    zeros,
    zeros_like,
)
from .instead import instead_of_torch
from .kinds import Size, Tensor, device
from .mirror import mirrored as _mirrored
from .mirror import names as _names
from .serialization import load, save
from .settings import (
    Generator,
    get_default_device,
    get_default_dtype,
    get_num_threads,
    get_rng_state,
    inference_mode,
    initial_seed,
    is_complex,
    is_floating_point,
    is_tensor,
    numel,
    seed,
    set_default_device,
    set_default_dtype,
    set_default_tensor_type,
    set_grad_enabled,
    set_num_threads,
    set_printoptions,
    set_rng_state,
    typename,
)
from .settings import (
    no_effect as _no_effect,
)

from . import (  # isort: skip  (they stand on what is above)
    accelerator,
    amp,
    autograd,
    backends,
    compiler,
    cuda,
    distributed,
    distributions,
    func,
    jit,
    linalg,
    mps,
    nn,
    optim,
    random,
    special,
    testing,
    utils,
    version,
    xpu,
)

_speak_pytorch()

__version__ = version.__version__

dtype = _numpy.dtype
inf, nan, pi, e, newaxis = _math.inf, _math.nan, _math.pi, _math.e, None
strided, sparse_coo = "torch.strided", "torch.sparse_coo"
contiguous_format, channels_last, preserve_format = "contiguous", "channels_last", "preserve"
channels_last_3d = "channels_last_3d"

broadcast_shapes = _ours.broadcast_shapes
from_dlpack = _ours.from_dlpack
vmap = getattr(func, "vmap", None)

use_deterministic_algorithms = set_deterministic_debug_mode = _no_effect
set_float32_matmul_precision = set_flush_denormal = set_warn_always = _no_effect
set_num_interop_threads = _no_effect
get_num_interop_threads = get_num_threads


def einsum(equation: str, *operands: Any) -> _Tensor:
    """Products summed over the letters that the result has not."""
    alone = len(operands) == 1 and isinstance(operands[0], (tuple, list))
    return _ours.einsum(equation, *(operands[0] if alone else operands))


def detach(input: _Tensor) -> _Tensor:
    """The same values, cut off from the tape."""
    return input.detach()


def scalar_tensor(s: Any, *, dtype: Any = None, **options: Any) -> _Tensor:
    """A Tensor of one number: floating, unless said otherwise."""
    return full((), s, dtype=dtype or get_default_dtype(), **options)


def is_same_size(input: _Tensor, other: _Tensor) -> bool:
    """Whether both have one shape."""
    return input.shape == other.shape


def are_deterministic_algorithms_enabled() -> bool:
    """True: the same seed gives the same numbers."""
    return True


def get_float32_matmul_precision() -> str:
    """ "highest": products are computed in float32."""
    return "highest"


# The last, because they take names of Python's: float, int, sum.
globals().update(_FUNCTIONS)
globals().update({n: getattr(nn.functional, n) for n in _ALSO_IN_TORCH.split()})
globals().update({f"{n}_": getattr(_Tensor, f"{n}_") for n in _IN_PLACE.split()})
globals().update({n: getattr(_Tensor, n) for n in ("detach_", "fill_", "resize_as_", "zero_")})
globals().update(_kinds.DTYPES)
globals().update(_kinds.TENSORS)

for _room in (
    amp, autograd, autograd.functional, func, jit, linalg, nn.functional, random, testing, utils,
    utils.benchmark, utils.tensorboard,
):  # fmt: skip
    _explain(_room.__name__)
_explain(__name__, _names(__name__))

__getattr__ = _mirrored("torch")


def __dir__() -> list[str]:
    return [n for n in _names(__name__) if n != "annotations"]
