"""einops on Tensors: `rearrange`, `reduce`, `repeat`, `einsum` and the others, with gradients.

`import backlit` puts a finder at the front of `sys.meta_path`, which goes when it has seen einops;
where einops was imported before, there is none.

einops asks the subclasses of its backend whose Tensors it was given. Ours is made when einops has
been imported, by whomever and whenever; nothing here imports it.
"""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from .. import array_api
from ..dtypes import FLOATING
from ..tensor import Tensor

_BACKENDS = "einops._backends"


def _add_backend(backends: ModuleType) -> None:
    """Put ours beside einops' own, which finds it among the subclasses of its base."""

    class Backend(backends.AbstractBackend):  # type: ignore[name-defined]
        """What einops does, by functions of the standard."""

        framework_name = "backlit"

        def is_appropriate_type(self, tensor: Any) -> bool:
            return isinstance(tensor, Tensor)

        from_numpy = staticmethod(array_api.asarray)
        arange = staticmethod(array_api.arange)
        transpose = staticmethod(array_api.permute_dims)
        stack_on_zeroth_dimension = staticmethod(array_api.stack)
        tile = staticmethod(array_api.tile)
        einsum = staticmethod(array_api.einsum)

        def to_numpy(self, x: Tensor) -> Any:
            return x.numpy()

        def reduce(self, x: Tensor, operation: str, axes: Any) -> Tensor:
            return getattr(array_api, operation)(x, axis=tuple(axes))

        def add_axis(self, x: Tensor, new_position: int) -> Tensor:
            return array_api.expand_dims(x, axis=new_position)

        def concat(self, tensors: Sequence[Tensor], axis: int) -> Tensor:
            return array_api.concat(tensors, axis=axis)

        def is_float_type(self, x: Tensor) -> bool:
            return x.dtype in FLOATING

    backends.BacklitBackend = Backend  # type: ignore[attr-defined]  # subclasses are held weakly


class _Finder:
    """Finds einops' module of backends once, as Python would, and adds ours when it has run."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The spec of that module, whose loader makes our backend afterwards."""
        if name != _BACKENDS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            loader = spec.loader
            run = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                run(module)
                _add_backend(module)

            loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def await_einops() -> None:
    """Make our backend now, if einops was imported, or as soon as it is."""
    if _BACKENDS in sys.modules:
        _add_backend(sys.modules[_BACKENDS])
    else:
        sys.meta_path.insert(0, _Finder())


__all__ = ["await_einops"]
