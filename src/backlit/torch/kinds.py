"""PyTorch's classes of Tensors, its dtypes, shapes and devices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..array_api import zeros
from ..conversion import Device
from ..dialect.methods import CLASSES
from ..errors import ArgumentError
from ..tensor import Count, as_tensor
from ..tensor import Tensor as _Tensor


class _Class(type):
    """Every Tensor is one of PyTorch's class, and of the class for its dtype."""

    element_type: Any

    def __instancecheck__(cls, thing: Any) -> bool:
        if not isinstance(thing, _Tensor):
            return False
        if cls in _OURS:
            return cls.element_type is None or thing.dtype == cls.element_type
        return type.__instancecheck__(cls, thing)  # a class of the user's own

    def __subclasscheck__(cls, other: Any) -> bool:
        return issubclass(other, _Tensor) if cls is Tensor else type.__subclasscheck__(cls, other)

    def __eq__(cls, other: Any) -> bool:
        return cls is other or (cls is Tensor and other is _Tensor)

    def __hash__(cls) -> int:
        return hash(_Tensor) if cls is _OURS[0] else type.__hash__(cls)


class Tensor(_Tensor, metaclass=_Class):
    """PyTorch's constructor: `Tensor(2, 3)` of sizes, `Tensor([1, 2])` of numbers, as float32.

    What it makes is a `backlit.Tensor`, and every one of these is an instance.
    """

    __slots__ = ()
    element_type: Any = None

    def __new__(cls, *given: Any, device: Any = None, dtype: Any = None) -> Any:
        """A Tensor of sizes or of data."""
        if cls not in _OURS:
            return super().__new__(cls)
        kind = dtype or cls.element_type or dtypes.DEFAULT_FLOAT
        if not given:
            return zeros((0,), dtype=kind, device=device)
        if len(given) == 1 and not isinstance(given[0], int | np.integer):
            if type(given[0]) is Size:
                return zeros(given[0], dtype=kind, device=device)
            return _Tensor(given[0], kind)
        if all(isinstance(n, int | np.integer) for n in given):
            return zeros(given, dtype=kind, device=device)
        raise ArgumentError(
            f"{cls.__name__}: it takes sizes or one thing of numbers, got {given!r:.60}; use "
            "torch.tensor(data, dtype=dtype)"
        )


_OURS: list[Any] = [Tensor]


def _class(name: str, dtype: Any) -> Any:
    doc = f"PyTorch's class of Tensors of {dtype.name}."
    made = _Class(name, (Tensor,), {"__slots__": (), "element_type": dtype, "__doc__": doc})
    _OURS.append(made)
    return made


#: PyTorch's class for each dtype, by its name.
TENSORS = {name: _class(name, dtype) for dtype, name in CLASSES.items()}


class _Shape(type):
    """Every tuple of whole numbers is a Size, because shapes of Tensors are plain tuples."""

    def __instancecheck__(cls, thing: Any) -> bool:
        return isinstance(thing, tuple) and all(type(n) is int for n in thing)


class Size(tuple, metaclass=_Shape):
    """A shape, as PyTorch names it: `x.size()`. `x.shape` is a plain tuple, and equal to it."""

    __slots__ = ()

    def numel(self) -> int:
        """How many elements there are in such a shape."""
        return math.prod(self)


Count.kind = Size


class Variable(Tensor):
    """A leaf with the value of a Tensor: Variables have been Tensors for long."""

    __slots__ = ()

    def __new__(cls, data: Any, requires_grad: bool = False, volatile: bool = False) -> Any:
        """The Tensor itself, or a leaf of its own where a gradient is asked for or to be cut."""
        x = as_tensor(data)
        if not requires_grad and not x.requires_grad:
            return x
        return x.detach().requires_grad_(requires_grad)


_OURS.append(Variable)

device = Device


#: PyTorch's names of dtypes.
DTYPES: dict[str, Any] = {
    "float16": dtypes.float16,
    "half": dtypes.float16,
    "bfloat16": dtypes.bfloat16,
    "float32": dtypes.float32,
    "float": dtypes.float32,
    "float64": dtypes.float64,
    "double": dtypes.float64,
    "uint8": dtypes.uint8,
    "uint16": dtypes.uint16,
    "uint32": dtypes.uint32,
    "uint64": dtypes.uint64,
    "int8": dtypes.int8,
    "int16": dtypes.int16,
    "short": dtypes.int16,
    "int32": dtypes.int32,
    "int": dtypes.int32,
    "int64": dtypes.int64,
    "long": dtypes.int64,
    "bool": dtypes.bool_,
}

__all__ = ["DTYPES", "TENSORS", "Size", "Tensor", "Variable", "device"]
