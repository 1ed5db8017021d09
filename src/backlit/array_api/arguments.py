"""Arguments made canonical: axes as tuples, shapes as tuples, ops as shared instances."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import READ_ONCE, ArgumentError, DTypeError, ShapeError, TraceError
from ..foreign import words
from ..op import Op
from ..state import where_called
from ..tensor import Tensor


@functools.lru_cache(maxsize=8192, typed=True)
def cached(cls: type[Op], *values: Any) -> Op:
    """The op of a class with the attribute values in their declared order, made once."""
    return cls(**dict(zip(cls.attributes, values, strict=True)))


def whole(what: str, value: Any, least: float = 1) -> int:
    """An integer of at least `least`, Python's or NumPy's; no float and no truth value.

    `what` begins the message and names the argument, as `"Linear: in_features"`.
    """
    try:
        n = None if isinstance(value, bool) else operator.index(value)
    except TraceError:
        raise
    except TypeError:
        n = None
    if n is None or n < least:
        known: dict[float, str] = {
            -math.inf: "an integer",
            0: "an integer that is not negative",
            1: "a positive integer",
        }
        must = known.get(least, f"an integer of at least {least}")
        raise ArgumentError(f"{what} must be {must}, got {value!r:.60}{where_called()}")
    return n


def number(what: str, value: Any) -> float:
    """A setting as a float: Python's, NumPy's or a Tensor's; no text, array or truth value.

    No gradient goes to a setting, so none may be wanted.
    """
    if type(value) is float:
        return value
    if isinstance(value, Tensor):
        value._require_cut(what, "write the formula with Tensors, or pass item() if none is wanted")
    try:
        if not isinstance(value, bool | str | bytes):
            return float(value)
    except TraceError:
        raise
    except (TypeError, ValueError):
        pass
    raise ArgumentError(f"{what} must be a number, got {value!r:.60}{where_called()}")


def listed(what: str, parameters: Any) -> list[Any]:
    """Parameters as a list: of one Tensor, of several, of what `model.parameters()` gives."""
    if isinstance(parameters, Tensor):
        return [parameters]
    if hasattr(parameters, "parameters"):
        cure = "use model.parameters()"
    elif isinstance(parameters, Mapping | str) or not isinstance(parameters, Iterable):
        cure = words(parameters)[1] if callable(parameters) else "use model.parameters()"
    else:
        result = list(parameters)
        strange = [p for p in result if not isinstance(p, Tensor | dict)]
        if not result:
            raise ArgumentError(f"{what}: parameters must not be empty, got none{READ_ONCE}")
        if not strange:
            return result
        parameters, cure = strange[0], "use model.parameters()"
    raise DTypeError(
        f"{what}: parameters are Tensors, alone or in a list, got {words(parameters)[0]}; {cure}"
    )


def one_axis(name: str, axis: Any, ndim: int) -> int:
    """An axis counted from the front, or an error if it lies outside."""
    try:
        a = operator.index(axis)
    except TypeError:
        raise ArgumentError(f"{name}: axis must be an integer, got {axis!r}") from None
    if ndim == 0:
        raise ShapeError(f"{name}: a Tensor of no axes has no axis {a}")
    if not -ndim <= a < ndim:
        raise ShapeError(f"{name}: axis must lie in [-{ndim}, {ndim}) for {ndim} axes, got {a}")
    return a % ndim


def along(name: str, axis: Any, x: Tensor) -> tuple[int, bool, Tensor]:
    """An axis from the front, whether x has none, and then x as a vector of one element.

    Of a Tensor without axes PyTorch takes 0 and -1 for one.
    """
    if not x.ndim and axis in (0, -1):
        return 0, True, x.reshape((1,))
    return one_axis(name, axis, x.ndim), False, x


# A tuple: `a | b` would make a union at each call.
_SEVERAL = (tuple, list)


def axes(name: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """An axis, several, or None for all, as a sorted tuple without repetition."""
    if axis is None:
        return tuple(range(ndim))
    if type(axis) is int:
        return (one_axis(name, axis, ndim),)
    given = axis if isinstance(axis, _SEVERAL) else (axis,)
    result = tuple(sorted(one_axis(name, a, ndim) for a in given))
    if len(set(result)) != len(result):
        raise ShapeError(f"{name}: axes must differ, got {axis}")
    return result


def integers(name: str, values: Any) -> tuple[int, ...]:
    """A size, or a sequence of sizes, as integers."""
    given = values if isinstance(values, _SEVERAL) else (values,)
    try:
        return tuple([operator.index(n) for n in given])
    except TraceError:
        raise
    except TypeError:
        raise ArgumentError(f"{name}: a shape is integers, got {values!r:.60}") from None


def sequence(what: str, values: Any) -> list[Any]:
    """Several things given in a list, a tuple or the like; no text, dict or single thing."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise ArgumentError(f"{what} must be a list or tuple, got {words(values)[0]}")
    try:
        return list(values)
    except (TypeError, ShapeError):  # an array of no axes says that it is iterable
        raise ArgumentError(f"{what} must be a list or tuple, got {words(values)[0]}") from None


def shape_tuple(name: str, shape: Any) -> tuple[int, ...]:
    """A shape given as an integer or a sequence, as a tuple of sizes that are not negative."""
    result = integers(name, shape)
    if any(n < 0 for n in result):
        raise ShapeError(f"{name}: sizes must not be negative, got {result}")
    return result
