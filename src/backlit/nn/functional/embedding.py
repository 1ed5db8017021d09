"""Rows of a table, looked up by integers: each on its own, or those of a bag together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...array_api import (
    argmax,
    expand_dims,
    maximum,
    ones,
    reshape,
    take,
    take_along_axis,
    vector_norm,
)
from ...array_api import searchsorted as places_in
from ...array_api import where as choose
from ...array_api.arguments import number, whole
from ...array_api.primitives import set_items, take_add
from ...autograd import no_grad
from ...backend.halves import as_one_op
from ...dtypes import INTEGER, int64
from ...errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from ...op import Requirement, describe
from ...state import STATE, where_called
from ...tensor import Tensor, wrap
from .common import given


def _require_rows(name: str, indices: Tensor, weight: Tensor) -> None:
    """Raise unless the indices are integers, and rows of a table."""
    if indices.dtype not in INTEGER:
        raise DTypeError(
            f"{name}: indices must be integers, got {describe(indices)}; use "
            f"indices.astype('int64'){where_called()}"
        )
    if weight.ndim != 2:
        raise ShapeError(
            f"{name}: weight must have shape (V, D), got {describe(weight)}{where_called()}"
        )
    rows = weight.shape[0]

    def known(xp: Any, i: Any) -> tuple[Requirement, ...]:
        inside = xp.logical_and(i >= 0, i < rows)
        condition = f"indices must lie in [0, {rows})"
        return (Requirement(inside, i, IndexRangeError, condition, cure),)

    def cure() -> str:
        return f"the table has {rows} rows ({describe(weight)})"

    STATE.execution.require(name, known, (indices,))


def _row(name: str, padding_idx: Any, rows: int) -> int:
    if not -rows <= whole(f"{name}: padding_idx", padding_idx, -math.inf) < rows:
        raise ArgumentError(
            f"{name}: padding_idx must lie in [-{rows}, {rows}), got {padding_idx}{where_called()}"
        )
    return padding_idx % rows


def _shorten(name: str, weight: Tensor, indices: Tensor, max_norm: Any, norm_type: float) -> None:
    """Rows that are looked up and longer than `max_norm` are brought to that length, in place."""
    longest = number(f"{name}: max_norm", max_norm)
    with no_grad():
        flat = reshape(indices, (-1,))
        rows = take(weight, flat, axis=0)
        length = vector_norm(rows, axis=1, keepdims=True, ord=number("norm_type", norm_type))
        short = choose(length > longest, rows * (longest / (length + 1e-7)), rows)
        pattern = ("array", (0, weight.shape[1], 1))
        weight.assign(set_items(weight, short, flat, pattern=pattern))


def _looked_up(weight: Tensor, indices: Tensor, padding: int | None, by_frequency: bool) -> Tensor:
    """The rows; no gradient to the row `padding`, and each one's mean if `by_frequency`."""
    y = take(weight, indices, axis=0)
    if by_frequency:
        flat = reshape(indices, (-1,))
        counts = take_add(ones(flat.shape, dtype=weight.dtype), flat, 0, weight.shape[0])
        part = y / expand_dims(take(counts, indices, axis=0), axis=-1)
        y = y.detach() + (part - part.detach())
    if padding is None:
        return y
    return choose(expand_dims(indices == padding, axis=-1), y.detach(), y)


def embedding(
    input: Any,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of a table: y[..., :] = weight[indices[...], :].

        indices: integers of any shape (...), weight: (V, D) -> (..., D)

    The row `padding_idx` gets no gradient. Rows that are looked up and longer than `max_norm`, in
    the norm `norm_type`, are first brought to that length in the table itself. With
    `scale_grad_by_freq` a row's gradients are divided by how often it is looked up here. `sparse`
    has no effect: gradients are arrays.

    >>> from backlit import tensor
    >>> embedding(tensor([1, 0]), tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[3., 4.],
            [1., 2.]], shape=(2, 2), dtype=float32)
    """
    indices, weight = given(input), given(weight)
    _require_rows("embedding", indices, weight)
    padding = None if padding_idx is None else _row("embedding", padding_idx, weight.shape[0])
    if max_norm is not None:
        _shorten("embedding", weight, indices, max_norm, norm_type)
    return _looked_up(weight, indices, padding, scale_grad_by_freq)


def _bags(
    indices: Tensor, offsets: Any, include_last_offset: bool
) -> tuple[Tensor, int, np.ndarray | None]:
    """The bag of each index (n), how many bags, and for rows of a matrix where each bag begins."""
    name = "embedding_bag"
    if indices.ndim == 2:
        if offsets is not None:
            raise ArgumentError(
                f"{name}: offsets go with indices in one row, got {describe(indices)}"
                f"{where_called()}"
            )
        count, each = indices.shape
        return wrap(np.repeat(np.arange(count), each)), count, np.arange(count) * each
    if indices.ndim != 1:
        raise ShapeError(
            f"{name}: indices must have shape (B, N), or (n) with offsets, got "
            f"{describe(indices)}{where_called()}"
        )
    starts = None if offsets is None else given(offsets)
    if starts is None or starts.ndim != 1 or starts.dtype not in INTEGER or starts.size == 0:
        got = "none" if starts is None else describe(starts)
        raise ArgumentError(
            f"{name}: indices in one row need offsets, integers (B) that say where each bag "
            f"begins, got {got}{where_called()}"
        )
    n = indices.shape[0]

    def rising(xp: Any, at: Any) -> tuple[Requirement, ...]:
        size = at.shape[0]
        ends = xp.slice(at, index=((1, size - 1, 1),)), xp.slice(at, index=((0, size - 1, 1),))
        first = xp.slice(at, index=((0, 1, 1),))
        inside = xp.logical_and(at >= 0, at <= n)
        cure = "they count the indices before each bag"
        return (
            Requirement(first == 0, first, ArgumentError, "the first offset must be 0", cure),
            Requirement(inside, at, ArgumentError, f"offsets must lie in [0, {n}]", cure),
            Requirement(ends[0] >= ends[1], ends[0], ArgumentError, "offsets must not fall", cure),
        )

    STATE.execution.require(name, rising, (starts,))
    count = starts.shape[0] - include_last_offset
    bags = places_in(starts[:count].astype(int64), wrap(np.arange(n)), side="right") - 1
    return bags, count, None


def _largest_of_bags(
    rows: Tensor, counted: Tensor, bags: Tensor, count: int, begins: np.ndarray | None
) -> Tensor:
    """The largest of each bag, 0 if it is empty; the first of several gets the gradient."""
    if begins is None:
        of = bags._concrete("embedding_bag with mode='max' and offsets")
        begins = np.searchsorted(of, np.arange(count))
        lengths = np.bincount(of, minlength=count)
    else:
        lengths = np.full(count, rows.shape[0] // max(count, 1))
    longest = int(lengths.max(initial=0))
    if not longest:
        return wrap(np.zeros((count, rows.shape[1]), rows.dtype))
    offsets = np.arange(longest)
    places = np.minimum(begins[:, None] + offsets, rows.shape[0] - 1)
    there = wrap(offsets < lengths[:, None]) & counted[wrap(places)]
    values = choose(there[..., None], rows[wrap(places)], -math.inf)
    y = take_along_axis(values, argmax(values.detach(), axis=1, keepdims=True), axis=1)[:, 0]
    return choose(there.any(axis=1, keepdims=True), y, 0.0)


@as_one_op
def _folded(
    rows: Tensor,
    counted: Tensor,
    bags: Tensor,
    count: int,
    mode: str,
    weights: Tensor | None,
) -> Tensor:
    """The sum or the mean of the rows of each bag that count."""
    here = counted.astype(rows.dtype)[:, None]
    if weights is not None:
        rows = rows * reshape(weights, (-1, 1))
    total = take_add(choose(counted[:, None], rows, 0.0), bags, 0, count)
    return total if mode == "sum" else total / maximum(take_add(here, bags, 0, count), 1)


def embedding_bag(
    input: Any,
    weight: Tensor,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum of the rows of a table that a bag of indices names.

        indices: (B, N), or (n) with offsets: (B), where each bag begins; weight: (V, D) -> (B, D)

    `mode` is "sum", "mean" or "max"; with "sum", `per_sample_weights` of the shape of the indices
    are factors. Rows named by `padding_idx` do not count. With `include_last_offset` the last
    offset is the end of the last bag. Empty bags are 0. The rest is that of `embedding`.

    >>> from backlit import tensor
    >>> table = tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> embedding_bag(tensor([0, 1, 1]), table, tensor([0, 2]), mode="sum").tolist()
    [[4.0, 6.0], [3.0, 4.0]]
    """
    name = "embedding_bag"
    indices, weight = given(input), given(weight)
    _require_rows(name, indices, weight)
    if mode not in ("sum", "mean", "max"):
        raise ArgumentError(
            f"{name}: mode must be 'sum', 'mean' or 'max', got {mode!r}{where_called()}"
        )
    if per_sample_weights is not None:
        per_sample_weights = given(per_sample_weights)
        if mode != "sum" or per_sample_weights.shape != indices.shape:
            raise ArgumentError(
                f"{name}: per_sample_weights go with mode='sum' and have the shape of the indices, "
                f"got {describe(per_sample_weights)}, mode={mode!r} and {describe(indices)}"
                f"{where_called()}"
            )
    bags, count, begins = _bags(indices, offsets, include_last_offset)
    flat = reshape(indices, (-1,))
    if max_norm is not None:
        _shorten(name, weight, flat, max_norm, norm_type)
    counted = wrap(np.ones(flat.shape, bool))
    if padding_idx is not None:
        counted = flat != _row(name, padding_idx, weight.shape[0])
    rows = _looked_up(weight, flat, None, scale_grad_by_freq)
    if mode == "max":
        return _largest_of_bags(rows, counted, bags, count, begins)
    return _folded(rows, counted, bags, count, mode, per_sample_weights)
