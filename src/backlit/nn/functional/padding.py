"""Padding: more elements around an array, in PyTorch's order of widths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ... import array_api
from ...array_api import broadcast_to, concat, flip
from ...array_api.arguments import integers
from ...backend.halves import widened
from ...errors import ArgumentError, ShapeError
from ...op import describe
from ...state import STATE, where_called
from ...tensor import Tensor
from .common import given

Widths = tuple[int, int]
MODES = ("constant", "reflect", "replicate", "circular")


def _along(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    """x[..., start:stop, ...]."""
    return (
        x
        if (start, stop) == (0, x.shape[axis])
        else x[(slice(None),) * axis + (slice(start, stop),)]
    )


def _cropped(x: Tensor, axis: int, widths: Widths) -> tuple[Tensor, Widths]:
    """x without what negative widths take away, and the widths that are left."""
    before, after = widths
    n = x.shape[axis]
    if min(widths) >= 0:
        return x, widths
    if n + min(before, 0) + min(after, 0) < 0:
        raise ShapeError(
            f"pad: the widths {widths} take more from axis {axis} of {describe(x)} than it "
            f"has{where_called()}"
        )
    return _along(x, axis, max(-before, 0), n - max(-after, 0)), (max(before, 0), max(after, 0))


def _reflected(x: Tensor, axis: int, before: int, after: int) -> tuple[Tensor, Tensor]:
    n = x.shape[axis]
    left, right = _along(x, axis, 1, before + 1), _along(x, axis, n - 1 - after, n - 1)
    return flip(left, axis=axis), flip(right, axis=axis)


def _replicated(x: Tensor, axis: int, before: int, after: int) -> tuple[Tensor, Tensor]:
    n = x.shape[axis]

    def repeated(edge: Tensor, times: int) -> Tensor:
        return broadcast_to(edge, (*x.shape[:axis], times, *x.shape[axis + 1 :]))

    left, right = _along(x, axis, 0, 1), _along(x, axis, n - 1, n)
    return repeated(left, before), repeated(right, after)


def _wrapped(x: Tensor, axis: int, before: int, after: int) -> tuple[Tensor, Tensor]:
    n = x.shape[axis]
    return _along(x, axis, n - before, n), _along(x, axis, 0, after)


#: By mode: what stands before and behind, and how much more than the widths an axis must have.
_EDGES: dict[str, tuple[Any, int]] = {
    "reflect": (_reflected, 1),
    "replicate": (_replicated, 1),
    "circular": (_wrapped, 0),
}


def _continued(x: Tensor, mode: str, axis: int, widths: Widths) -> Tensor:
    """x with one axis continued by its own elements."""
    edges, more = _EDGES[mode]
    if mode == "circular":  # what is cut off does not come round
        x, widths = _cropped(x, axis, widths)
    n = x.shape[axis]
    least = 1 if mode == "replicate" else max(widths) + more
    if n < least:
        raise ShapeError(
            f"pad: mode={mode!r} with the widths {widths} needs at least {least} elements on "
            f"axis {axis}, got {describe(x)}{where_called()}"
        )
    kept, (before, after) = _cropped(x, axis, widths)
    first, last = edges(x, axis, before, after)
    pieces = [p for p, n in ((first, before), (kept, 1), (last, after)) if n]
    return concat(pieces, axis=axis) if len(pieces) > 1 else kept


def pad(
    input: Any, pad: int | Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """x with elements before and behind, the widths from the last axis on: (left, right, top, …).

        y: (..., top + H + bottom, left + W + right) for pad = (left, right, top, bottom)

    `mode` is "constant" (`value`, 0 if None), "reflect" (the neighbours of the edge, mirrored),
    "replicate" (the edge) or "circular" (the other end); the last three go with 1, 2 or 3 axes of
    places behind those of batch and channels. Negative widths take elements away. NumPy's order of
    widths, from the first axis on, is that of `backlit.pad`.

    >>> from backlit import tensor
    >>> pad(tensor([[1.0, 2.0, 3.0]]), (2, 1), mode="reflect").tolist()
    [[3.0, 2.0, 1.0, 2.0, 3.0, 2.0]]
    """
    x = given(input)
    if mode in ("reflect", "replicate") and STATE.autocast is not None:
        x = widened(x)
    widths = integers("pad: pad", pad)
    if mode not in MODES:
        raise ArgumentError(
            f"pad: mode must be one of {', '.join(map(repr, MODES))}, got {mode!r}{where_called()}"
        )
    if len(widths) % 2 or len(widths) > 2 * x.ndim:
        raise ArgumentError(
            f"pad: pad must have two widths for each of the last axes, {2 * x.ndim} at most for "
            f"{describe(x)}, got {widths}{where_called()}"
        )
    pairs = [(x.ndim - 1 - k // 2, widths[k : k + 2]) for k in range(0, len(widths), 2)]
    if mode == "constant":
        rest: list[Any] = [(0, 0)] * x.ndim
        for axis, each in pairs:
            rest[axis] = each
        return array_api.pad(x, tuple(rest), value=0 if value is None else value)
    if value is not None:
        raise ArgumentError(f"pad: a value is for mode='constant', got {value} for {mode!r}")
    if len(pairs) not in (1, 2, 3) or x.ndim - len(pairs) not in (1, 2):
        raise ShapeError(
            f"pad: mode={mode!r} takes widths for all axes of places, which are those behind "
            f"(N, C) or (C), got {widths} for {describe(x)}{where_called()}"
        )
    for axis, each in pairs:
        x = _continued(x, mode, axis, (each[0], each[1]))
    return x
