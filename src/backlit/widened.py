"""Everything in float64: the same function, without the rounding of narrower floats.

Differences can tell a right derivative from a wrong one only where rounding does not hide them. In
such a block every float that an op is given becomes float64 first, a conversion to a narrower float
is one to float64, and new Tensors of floats are float64. So a state made by `zeros`, a block of
mixed precision or a cast to float16 is differentiated as the formula that it stands for.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .backend import eager, numpy_backend
from .backend.eager import EAGER
from .dtypes import FLOATING, float64
from .execution import Eager, check, explained
from .op import Op
from .state import Setting
from .tensor import Tensor

_NARROW = FLOATING - {float64}


@functools.lru_cache(maxsize=1024)
def widened(op: Op) -> Op:
    """The op itself, or one that makes float64 where it would make narrower floats.

    >>> from backlit.ops.elementwise import Astype
    >>> widened(Astype(dtype=np.dtype("float16")))
    astype(dtype=dtype('float64'))
    """
    given = {name: getattr(op, name) for name in op.attributes}
    wide = {n: float64 if _is_narrow(value) else value for n, value in given.items()}
    return op if wide == given else type(op)(**wide)


def _is_narrow(value: Any) -> bool:
    return isinstance(value, np.dtype) and value in _NARROW


def wide(array: Any) -> Any:
    """An array of floats in float64; everything else as it is."""
    return array.astype(float64) if getattr(array, "dtype", None) in _NARROW else array


class _Namespace:
    """A namespace in which a conversion to a narrower float is one to float64."""

    def __init__(self, base: Any):
        self._base = base

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    def astype(self, x: Any, dtype: Any) -> Any:
        """x in another type."""
        return self._base.astype(x, float64 if np.dtype(dtype) in _NARROW else dtype)


#: NumPy's namespace and that of eager execution, for the bodies of ops that convert.
NUMPY, _EAGER = _Namespace(numpy_backend), _Namespace(EAGER)


class _Widened(Eager):
    """Execution at once, in float64."""

    unfolds = True
    widens = True

    def run(self, op: Op, inputs: tuple[Any, ...]) -> tuple[tuple[Any, ...], np.ndarray]:
        """What the op was given, and its value."""
        op = widened(op)
        arrays = tuple([wide(x.array) if isinstance(x, Tensor) else x for x in inputs])
        try:
            if op.checked:
                check(op, arrays)
            array = eager.value(op, arrays) if op.whole else op.forward(_EAGER, *arrays)
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            raise explained(op, arrays, error) from None
        return arrays, wide(np.asarray(array))

    def claim(self, tensor: Any) -> None:
        """A Tensor was made of numbers."""
        tensor.array = wide(tensor.array)


_WIDENED = _Widened()


def in_float64() -> Setting:
    """A block in which all floats are computed in float64.

    >>> with in_float64():
    ...     (Tensor([1.0]).astype("float16") / 3).dtype
    dtype('float64')
    """
    return Setting(execution=_WIDENED)
