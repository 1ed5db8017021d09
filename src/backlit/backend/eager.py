"""The namespace of eager execution: NumPy, with places where heavy work can be given away.

`EAGER` has the functions of `NAMESPACE`, at first all of them NumPy's. `backlit.compile` puts
faster ones, made by its own lowering, in the place of the heavy ones. The two functions below run
an op's body with it; ops that are best run as a whole (`Op.whole`) are given away as a whole.
16-bit floats are computed in float32, see `halves`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from . import NAMESPACE, halves, numpy_backend

Whole = Callable[..., Any]

EAGER = SimpleNamespace(**{name: getattr(numpy_backend, name) for name in NAMESPACE})


class Given:
    """Who runs ops as a whole: functions that return None for what they do not run."""

    forward: Whole | None = None
    backward: Whole | None = None


def forward(op: Any, arrays: tuple[Any, ...]) -> Any:
    """An op's value."""
    return halves.forward(op, lambda *wide: value(op, wide), arrays)


def value(op: Any, arrays: tuple[Any, ...]) -> Any:
    """The same where no array is of 16-bit floats."""
    if op.whole and Given.forward is not None:
        y = Given.forward(op, arrays)
        if y is not None:
            return y
    return op.forward(EAGER, *arrays)


def backward(op: Any, upstream: Any, saved: tuple[Any, ...]) -> Any:
    """What an op's `backward` returns: a gradient, or a tuple of them and of functions."""
    upstream, saved = halves.widened(upstream), halves.widened(saved)
    if op.whole and Given.backward is not None:
        gradients = Given.backward(op, upstream, saved)
        if gradients is not None:
            return gradients
    return op.backward(EAGER, upstream, *saved)
