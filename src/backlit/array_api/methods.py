"""The Tensor's operators and methods: which op or function each one is.

`attach` gives them to the class as the package is imported, so that the Tensor need not know the
functions that are made of it. `Tensor` declares them for type checkers.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..errors import ArgumentError, ShapeError
from ..op import Op, describe
from ..ops import elementwise as ops
from ..promotion import binary, binary_float
from ..tensor import Tensor, apply
from . import elementwise, manipulation, reductions
from .arguments import one_axis
from .assignment import setitem
from .data import data
from .dialects import SPOKEN, UNSAID, of_pytorch, require_pytorch
from .indexing import getitem, take_along_axis
from .linear_algebra import matmul
from .parts import Moved, Reshaped, part_of
from .ranking import Ranked

Method = Callable[..., Any]


Combine = Callable[[Op, Any, Any], Tensor]


# -- what makes one -------------------------------------------------------------------------------


def _unary(op: Op) -> Method:
    def operator(self: Tensor) -> Tensor:
        return apply(op, self)

    return operator


def _forward(op: Op, combine: Combine = binary) -> Method:
    def operator(self: Tensor, other: Any) -> Tensor:
        return combine(op, self, other)

    return operator


def _reflected(op: Op, combine: Combine) -> Method:
    def operator(self: Tensor, other: Any) -> Tensor:
        return combine(op, other, self)

    return operator


def _equality(op: Op) -> Method:
    def operator(self: Tensor, other: Any) -> Tensor:
        if _never_equal(other):
            return NotImplemented
        return binary(op, self, other)

    return operator


def _in_place(sign: str, forward: Method) -> Method:
    def operator(self: Tensor, other: Any) -> Tensor:
        """The object stays, its value is replaced: see `become`."""
        return self.become(sign, forward(self, other))

    return operator


def _fold(function: Method) -> Method:
    def method(
        self: Tensor,
        axis: Any = None,
        keepdim: Any = None,
        *,
        keepdims: bool = False,
        dim: Any = UNSAID,
    ) -> Tensor:
        if keepdim is not None or dim is not UNSAID:
            axis, keepdims = of_pytorch(axis, keepdims, dim, keepdim)
        return function(self, axis=axis, keepdims=keepdims)

    return method


def _accumulation(function: Method) -> Method:
    def method(
        self: Tensor,
        axis: Any = None,
        keepdim: Any = None,
        *,
        dtype: Any = None,
        keepdims: bool = False,
        dim: Any = UNSAID,
    ) -> Tensor:
        if keepdim is not None or dim is not UNSAID:
            axis, keepdims = of_pytorch(axis, keepdims, dim, keepdim)
        return function(self, axis=axis, dtype=dtype, keepdims=keepdims)

    return method


def _deviation(function: Method) -> Method:
    """`var` and `std`, whose divisor N - correction NumPy and PyTorch choose differently.

    x.var(), x.var(0)            1 where PyTorch is spoken, else refused
    x.var(dim=0), keepdim=...    1, as in PyTorch
    x.var(axis=0), keepdims=...  0, as in NumPy; beside dim or keepdim as x.var()
    x.var(False), unbiased=...   0 for False, 1 for True, as in PyTorch
    correction=c                 c, whatever else is given
    """

    def method(
        self: Tensor,
        place: Any = UNSAID,
        /,
        unbiased: Any = None,
        keepdim: Any = None,
        *,
        axis: Any = UNSAID,
        correction: Any = UNSAID,
        keepdims: Any = None,
        dim: Any = UNSAID,
    ) -> Tensor:
        if isinstance(place, bool):
            unbiased, place = place, UNSAID
        if correction is UNSAID:
            numpy = axis is not UNSAID or keepdims is not None
            if unbiased is not None:
                correction = float(unbiased)
            elif numpy and dim is UNSAID and keepdim is None:
                correction = 0.0
            else:
                if numpy or (dim is UNSAID and keepdim is None):
                    require_pytorch(f"x.{function.__name__}()")
                correction = 1.0
        if axis is UNSAID:
            axis = None if place is UNSAID else place
        axis, keep = of_pytorch(axis, keepdims, dim, keepdim)
        return function(self, axis=axis, correction=correction, keepdims=keep)

    return method


def _extreme(function: Method) -> Method:
    """`max` and `min`, which are three functions, told apart by what is given.

    x.max(), x.max(axis=1)           the largest element, of all or along axes
    x.max((0, 1))                    the same: a tuple is axes
    x.max(y), x.max(other=y)         the larger one of two, element by element
    x.max(dim=1), keepdim=...        PyTorch's pair of values and indices
    x.max(1)                         the pair where PyTorch is spoken, else refused
    """
    name = function.__name__
    index = {"max": reductions.argmax, "min": reductions.argmin}[name]
    between = {"max": elementwise.maximum, "min": elementwise.minimum}[name]

    def method(
        self: Tensor,
        place: Any = None,
        /,
        keepdim: Any = None,
        *,
        axis: Any = None,
        keepdims: bool = False,
        dim: Any = UNSAID,
        other: Any = None,
    ) -> Any:
        if place is None and dim is UNSAID and keepdim is None and other is None:
            return function(self, axis=axis, keepdims=keepdims)
        if isinstance(place, Tensor) or other is not None:
            return between(self, place if other is None else other)
        if dim is UNSAID:
            if isinstance(place, tuple) or keepdims:
                return function(self, axis=place, keepdims=keepdims)
            if keepdim is None:
                require_pytorch(f"x.{name}(1)")
            dim = place
        dim, keep = of_pytorch(axis, keepdims, dim, keepdim)
        if not self._requires_grad:  # else the gradient goes to the index, also in a tie
            return Ranked(*(f(self, axis=dim, keepdims=keep) for f in (function, index)))
        indices = index(self, axis=dim, keepdims=True)
        values = take_along_axis(self, indices, axis=dim)
        if not keep:
            values, indices = (manipulation.squeeze(x, axis=dim) for x in (values, indices))
        return Ranked(values, indices)

    return method


# -- those that are written out -------------------------------------------------------------------


# A tuple: `a | b` would make a union at each call.
_COMPARED = (Tensor, int, float, list, tuple, complex)


def _never_equal(x: Any) -> bool:
    """Whether `==` of a Tensor and this is Python's answer: that two different things differ."""
    return not (isinstance(x, _COMPARED) or hasattr(x, "__array__"))


def _contains(self: Tensor, value: Any) -> bool:
    """Whether an element equals the value."""
    return not _never_equal(value) and bool((self == value).any())


def _reflected_matmul(self: Tensor, other: Any) -> Tensor:
    """The matrix product of something else and the Tensor: see `backlit.matmul`."""
    return matmul(other, self)


def _setitem(self: Tensor, key: Any, value: Any) -> None:
    """Replace the elements that the key selects; the gradient goes to what is written there."""
    self.become("item assignment", setitem(self, key, value, spent=True))


def _round(self: Tensor, digits: int | None = None) -> Tensor:
    """To whole numbers, or so many decimals: a Tensor, also of one number."""
    if digits is None or self.dtype not in dtypes.FLOATING:
        return elementwise.round(self)
    return elementwise.round(self * 10.0**digits) / 10.0**digits


def _reshape(self: Tensor, *shape: Any) -> Tensor:
    """The elements in row-major order in another shape; one size may be -1.

    >>> Tensor([1, 2, 3, 4]).reshape(2, -1).shape
    (2, 2)
    """
    given = shape[0] if len(shape) == 1 and shape[0] is not None else shape
    y = manipulation.reshape(self, given)
    if SPOKEN.pytorch:
        part_of(self, y, Reshaped(y.shape))
    return y


def _flatten(self: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes from one to another as one, in row-major order: without arguments all.

    >>> Tensor([[[1, 2]], [[3, 4]]]).flatten(1).shape
    (2, 2)
    """
    if not self.ndim:
        return _reshape(self, 1)
    first = one_axis("flatten", start_dim, self.ndim)
    last = one_axis("flatten", end_dim, self.ndim)
    if first > last:
        raise ShapeError(f"flatten: start_dim must not lie behind end_dim, got {first} and {last}")
    shape = self.shape
    size = math.prod(shape[first : last + 1])
    return _reshape(self, (*shape[:first], size, *shape[last + 1 :]))


def _transposed(self: Tensor) -> Tensor:
    """The transposed matrix; two axes only."""
    if self.ndim != 2:
        raise ShapeError(f"T: the Tensor must have 2 axes, got {describe(self)}; use mT")
    return _matrix_transposed(self)


def _matrix_transposed(self: Tensor) -> Tensor:
    """The last two axes exchanged."""
    y = manipulation.matrix_transpose(self)
    if SPOKEN.pytorch:
        part_of(self, y, Moved(manipulation.matrix_transpose))
    return y


def _array_namespace(self: Tensor, *, api_version: str | None = None) -> Any:
    """The module with the Array API functions for Tensors."""
    if api_version not in (None, "2022.12", "2023.12", "2024.12"):
        raise ArgumentError(f"__array_namespace__: version {api_version!r} is not provided")
    return sys.modules["backlit"]  # it stands above, so that nothing here can import it


# -- the table ------------------------------------------------------------------------------------

#: Operators of two operands, which may also be written `2 + x` and `x += 2`.
_BINARY: dict[str, tuple[str, type[Op], Combine]] = {
    "add": ("+", ops.Add, binary),
    "sub": ("-", ops.Subtract, binary),
    "mul": ("*", ops.Multiply, binary),
    "truediv": ("/", ops.Divide, binary_float),
    "floordiv": ("//", ops.FloorDivide, binary),
    "mod": ("%", ops.Remainder, binary),
    "pow": ("**", ops.Pow, binary),
    "and": ("&", ops.BitwiseAnd, binary),
    "or": ("|", ops.BitwiseOr, binary),
    "xor": ("^", ops.BitwiseXor, binary),
    "lshift": ("<<", ops.BitwiseLeftShift, binary),
    "rshift": (">>", ops.BitwiseRightShift, binary),
}

_OTHER = {
    "neg": (_unary, ops.Negative),
    "pos": (_unary, ops.Positive),
    "abs": (_unary, ops.Abs),
    "invert": (_unary, ops.BitwiseInvert),
    "lt": (_forward, ops.Less),
    "le": (_forward, ops.LessEqual),
    "gt": (_forward, ops.Greater),
    "ge": (_forward, ops.GreaterEqual),
    "eq": (_equality, ops.Equal),
    "ne": (_equality, ops.NotEqual),
}

_REDUCTIONS = {
    "sum": _accumulation,
    "prod": _accumulation,
    "mean": _fold,
    "var": _deviation,
    "std": _deviation,
    "max": _extreme,
    "min": _extreme,
    "argmax": _fold,
    "argmin": _fold,
    "all": _fold,
    "any": _fold,
}

_WRITTEN_OUT: dict[str, Any] = {
    "__matmul__": matmul,
    "__rmatmul__": _reflected_matmul,
    "__imatmul__": _in_place("@=", matmul),
    "__getitem__": getitem,
    "__setitem__": _setitem,
    "__contains__": _contains,
    "__round__": _round,
    "__array_namespace__": _array_namespace,
    "reshape": _reshape,
    "data": data,
    "flatten": _flatten,
    "T": property(_transposed),
    "mT": property(_matrix_transposed),
}


def attach() -> None:
    """Give the Tensor all of them."""
    for name, (sign, cls, combine) in _BINARY.items():
        op = cls()
        forward = _named(f"__{name}__", _forward(op, combine), cls.__doc__)
        _named(f"__r{name}__", _reflected(op, combine), cls.__doc__)
        _named(f"__i{name}__", _in_place(f"{sign}=", forward))
    for name, (operator, cls) in _OTHER.items():
        _named(f"__{name}__", operator(cls()), cls.__doc__)
    for name, method in _REDUCTIONS.items():
        function = getattr(reductions, name)
        doc = f"{function.__doc__.splitlines()[0]}\n\nSee `backlit.{name}`."
        _named(name, method(function), doc)
    for name, written in _WRITTEN_OUT.items():
        setattr(Tensor, name, written)


def _named(name: str, method: Any, doc: str | None = None) -> Method:
    """Attach a method that was made, under a name that tracebacks show, too.

    It has code of its own, for Python calls faster what is always called at the same place.
    """
    method.__name__, method.__qualname__ = name, f"Tensor.{name}"
    method.__doc__ = doc or method.__doc__
    method.__code__ = method.__code__.replace(co_name=name, co_qualname=f"Tensor.{name}")
    setattr(Tensor, name, method)
    return method


__all__ = ["attach"]
