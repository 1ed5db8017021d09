"""16-bit floats are storage: an op of them computes in float32 and rounds its result once.

That holds for the op as a whole, however long its body is, and for each gradient that its
`backward` returns; both read what was stored, which is 16 bits. Ops that only move, choose or
compare elements (`Op.exact`) round nothing and take 16 bits as they are.

The values may be arrays or Tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce, wraps
from typing import Any

import numpy as np

from ..dtypes import FLOATING, LOW_PRECISION, DType, float32, promote


def widened(x: Any) -> Any:
    """16-bit floats as float32, also inside a tuple; all else as it is."""
    if type(x) is tuple:
        return tuple(map(widened, x))
    return x.astype(float32) if getattr(x, "dtype", None) in LOW_PRECISION else x


def narrow(inputs: tuple[Any, ...]) -> DType | None:
    """The type that a result of these inputs is rounded to; None if they are no 16-bit floats."""
    found = {x.dtype for x in inputs if getattr(x, "dtype", None) in FLOATING}
    return reduce(promote, found) if found and found <= LOW_PRECISION else None


def rounded_once(function: Callable[..., Any], inputs: tuple[Any, ...], **named: Any) -> Any:
    """The function's value, computed in float32 and rounded to the type of the inputs."""
    given = (*inputs, *named.values())
    wide = widened(given)
    y = function(*wide[: len(inputs)], **dict(zip(named, wide[len(inputs) :], strict=True)))
    kind = narrow(given)
    return y if kind is None or y.dtype != float32 else y.astype(kind)


def as_one_op(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that applies several ops, as one that rounds 16-bit floats once."""

    @wraps(function)
    def rounded(*inputs: Any, **named: Any) -> Any:
        for x in (*inputs, *named.values()):
            if getattr(x, "dtype", None) in LOW_PRECISION:
                return rounded_once(function, inputs, **named)
        return function(*inputs, **named)

    return rounded


def forward(op: Any, function: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
    """An op's value; the function is the op's body with its namespace."""
    if not op.exact:
        return rounded_once(function, inputs)
    kinds = [x.dtype for x in inputs if getattr(x, "dtype", None) in LOW_PRECISION]
    return function(*[element(x, kinds[0]) if kinds else x for x in inputs])


def element(x: Any, dtype: DType) -> Any:
    """A number as an element of an array; all else as it is."""
    if type(x) not in (int, float):
        return x
    with np.errstate(over="ignore"):
        return np.asarray(float(x), dtype)  # ml_dtypes takes no integer of more than 64 bits
