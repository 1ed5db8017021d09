"""Signals (N, C, L), images (N, C, H, W), volumes (N, C, D, H, W), and sizes along their axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...array_api import reshape
from ...array_api.arguments import whole
from ...errors import ArgumentError, ShapeError
from ...op import describe
from ...state import where_called
from ...tensor import Tensor
from .common import given

Pair = tuple[int, int]
Sizes = int | Sequence[int]


def several(name: str, what: str, value: Any, axes: int, least: int) -> tuple[int, ...]:
    """One integer for all axes, or one for each, none below `least`."""
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    values = values * axes if len(values) == 1 else values
    try:
        integers = tuple([whole(what, n, least) for n in values])
    except ArgumentError:
        integers = ()
    if len(integers) != axes:
        raise ArgumentError(
            f"{name}: {what} must be an integer of at least {least}, or {axes} of them, "
            f"got {value!r:.60}{where_called()}"
        )
    return integers


def batched(name: str, x: Any, axes: int) -> tuple[Tensor, bool]:
    """The input with a batch axis, and whether it was added."""
    x = given(x)
    letters = ("L", "H, W", "D, H, W")[axes - 1]
    if x.ndim == axes + 1:
        return reshape(x, (1, *x.shape)), True
    if x.ndim != axes + 2:
        raise ShapeError(
            f"{name}: x must have shape (N, C, {letters}) or (C, {letters}), got "
            f"{describe(x)}{where_called()}"
        )
    return x, False


def raised(values: tuple[int, ...], first: int) -> Any:
    """Values for one axis as values for two: signals are images with one row."""
    return (first, *values) if len(values) == 1 else values


def image(x: Tensor) -> Tensor:
    """(N, C, L) as (N, C, 1, L)."""
    return x if x.ndim > 3 else reshape(x, (*x.shape[:2], 1, x.shape[2]))


def back(y: Tensor, axes: int, lone: bool) -> Tensor:
    """The result without the row of a signal and the batch axis of a lone input."""
    shape = y.shape[1:] if lone else y.shape
    return reshape(y, (*shape[:-2], shape[-1]) if axes == 1 else shape)
