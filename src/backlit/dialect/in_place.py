"""PyTorch's methods that end in `_`: they change their Tensor in place.

`x.mul_(2)` is `x *= 2`: the object stays, its value is replaced, and the tape keeps what it has
used: see `Tensor.become`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from .. import array_api as ours
from .. import dtypes
from ..array_api.arguments import integers
from ..array_api.assignment import setitem
from ..errors import ArgumentError, ShapeError
from ..op import describe
from ..random import given_generator
from ..state import STATE
from ..tensor import Tensor, as_tensor
from .translate import Function


def in_place(name: str, function: Function) -> Function:
    """The method that gives its Tensor the result of a function."""

    @functools.wraps(function)
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self.become(name, function(self, *args, **kwargs))

    method.__doc__ = f"`{name[:-1]}` in place: the object stays, its value is replaced."
    return method


def _filled(name: str, value: Function) -> Function:
    """What replaces all elements, whatever they are."""

    @functools.wraps(value)
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self.become(name, value(self, *args, **kwargs).astype(self.dtype))

    method.__doc__ = value.__doc__
    return method


def _copy(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """The elements of another Tensor, broadcast and in x's dtype; gradients go to them."""
    return ours.broadcast_to(as_tensor(src).astype(self.dtype), self.shape)


def _fill(self: Tensor, value: Any) -> Tensor:
    """One number everywhere."""
    if isinstance(value, Tensor):
        return ours.broadcast_to(value, self.shape)
    return ours.full(self.shape, value, dtype=self.dtype)


def _zero(self: Tensor) -> Tensor:
    """Zeros."""
    return ours.zeros_like(self)


def _uniform(self: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Any = None) -> Tensor:
    """Uniform numbers in [from, to)."""
    return given_generator(generator).uniform(self.shape, from_, to, dtype=self.dtype)


def _normal(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
    """Normally distributed numbers."""
    return given_generator(generator).normal(self.shape, mean, std, dtype=self.dtype)


def _random(
    self: Tensor, from_: int = 0, to: int | None = None, *, generator: Any = None
) -> Tensor:
    """Whole numbers in [from, to); one number alone is `to`; without, all that the dtype holds."""
    if to is None:
        from_, to = (0, from_) if from_ else (0, _room(self.dtype))
    return given_generator(generator).integers(from_, to, self.shape)


def _room(dtype: Any) -> int:
    """One more than the largest whole number that a dtype holds exactly."""
    if dtype in dtypes.FLOATING:
        return round(2 / dtypes.finfo(dtype).eps)
    return 2 if dtype == dtypes.bool_ else min(int(dtypes.iinfo(dtype).max) + 1, 2**53)


def _bernoulli(self: Tensor, p: Any = 0.5, *, generator: Any = None) -> Tensor:
    """1 with probability p, else 0; p is a number or a Tensor."""
    chance = ours.broadcast_to(as_tensor(p).detach(), self.shape)
    return given_generator(generator).bernoulli(chance)


def _exponential(self: Tensor, lambd: float = 1.0, *, generator: Any = None) -> Tensor:
    """Exponentially distributed numbers of rate λ."""
    return given_generator(generator).exponential(self.shape, lambd)


def _log_normal(
    self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Any = None
) -> Tensor:
    """Numbers whose logarithm is normally distributed."""
    return ours.exp(given_generator(generator).normal(self.shape, mean, std))


def _geometric(self: Tensor, p: float, *, generator: Any = None) -> Tensor:
    """How many tries there are up to a success of probability p."""
    tries = ours.log1p(-given_generator(generator).uniform(self.shape)) / np.log1p(-p)
    return ours.clip(ours.ceil(tries), 1.0)


def _cauchy(
    self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Any = None
) -> Tensor:
    """Numbers of the Cauchy distribution."""
    return median + sigma * ours.tan(np.pi * (given_generator(generator).uniform(self.shape) - 0.5))


def _fill_diagonal(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """x with one number on its diagonal; with `wrap` a tall matrix's begins anew."""
    rows, columns = self.shape[0], self.shape[-1]
    if wrap and rows > columns + 1:
        raise ArgumentError("fill_diagonal_: wrap is not here; write x[i, j] = value")
    places = (np.arange(min(self.shape)),) * self.ndim
    return setitem(self, places, fill_value)


def in_shape(name: str, function: Function) -> Function:
    """The method that gives its Tensor another shape, in which the same elements are."""

    @functools.wraps(function)
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        STATE.execution.forbid(
            f"{name}: a captured function cannot give a Tensor another shape in place; write "
            f"x = x.{name[:-1]}(...)"
        )
        return self.become(name, function(self, *args, **kwargs), reshaped=True)

    method.__doc__ = f"`{name[:-1]}` in place: the object stays, and has another shape."
    return method


def resize_(self: Tensor, *sizes: Any, memory_format: Any = None) -> Tensor:
    """The same elements in another shape of as many; memory is not taken or left."""
    alone = len(sizes) == 1 and isinstance(sizes[0], tuple | list)
    shape = integers("resize_", sizes[0] if alone else sizes)
    if math.prod(shape) != math.prod(self.shape):
        raise ShapeError(
            f"resize_: the shape must have as many elements as {describe(self)}, got {shape}; "
            "write x = x.new_zeros(shape)"
        )
    return self.become("resize_", ours.reshape(self, shape), reshaped=True)


def resize_as_(self: Tensor, the_template: Tensor, memory_format: Any = None) -> Tensor:
    """The same elements in the shape of another Tensor."""
    return resize_(self, the_template.shape)


#: Methods of the table that, in place, give a Tensor another shape.
SHAPING = "unsqueeze squeeze t transpose swapaxes swapdims"

#: Those that are no method of the table in place.
IN_PLACE: dict[str, Any] = {
    "copy_": _filled("copy_", _copy),
    "fill_": _filled("fill_", _fill),
    "zero_": _filled("zero_", _zero),
    "fill_diagonal_": _filled("fill_diagonal_", _fill_diagonal),
    "uniform_": _filled("uniform_", _uniform),
    "normal_": _filled("normal_", _normal),
    "random_": _filled("random_", _random),
    "bernoulli_": _filled("bernoulli_", _bernoulli),
    "log_normal_": _filled("log_normal_", _log_normal),
    "geometric_": _filled("geometric_", _geometric),
    "cauchy_": _filled("cauchy_", _cauchy),
    "exponential_": _filled("exponential_", _exponential),
    "resize_": resize_,
    "resize_as_": resize_as_,
}

__all__ = ["IN_PLACE", "SHAPING", "in_place", "in_shape"]
