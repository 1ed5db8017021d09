"""Sequences of different lengths: padded to one length, or packed without the padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...array_api import (
    arange,
    concat,
    expand_dims,
    full,
    permute_dims,
    reshape,
    stack,
    take,
    where,
)
from ...array_api.arguments import sequence, whole
from ...calls import explain
from ...dtypes import INTEGER, int64
from ...errors import ArgumentError, ShapeError
from ...op import Requirement, describe
from ...state import STATE, where_called
from ...tensor import Tensor, as_tensor, constant


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None


class PackedSequence(_Fields):
    """Sequences of different lengths, step by step, without padding.

        data: (Σ Lₙ, ...), batch_sizes: (max Lₙ), sorted_indices, unsorted_indices: (N) or None

    `batch_sizes[t]` sequences have a step t; they are sorted by falling length, `sorted_indices`
    says in which order, `unsorted_indices` how to undo it. Made by `pack_padded_sequence`.
    """

    #: The batch sizes as numbers, where they are known without a look at the Tensor.
    _known: tuple[int, ...] | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """The batch sizes as Python numbers."""
        if self._known is not None:
            return self._known
        STATE.execution.forbid(
            "PackedSequence: batch sizes decide shapes, and as an argument of a captured function "
            "they are not known; pack the sequences inside it, with lengths as Python numbers"
        )
        return tuple(self.batch_sizes.tolist())

    def with_data(self, data: Tensor) -> PackedSequence:
        """The same sequences with other values at each step."""
        return _packed(data, self)

    def to(self, *args: Any, **options: Any) -> PackedSequence:
        """The same in another dtype."""
        return self.with_data(self.data.to(*args, **options))


def _packed(data: Tensor, like: PackedSequence) -> PackedSequence:
    packed = PackedSequence(data, *like[1:])
    packed._known = like._known
    return packed


def _counted(sizes: np.ndarray, data: Tensor, order: np.ndarray | None) -> PackedSequence:
    """Packed data whose sizes and order are known as numbers."""
    orders = (None, None) if order is None else (order, np.argsort(order))
    indices = [None if o is None else constant(o.astype(np.int64)) for o in orders]
    packed = PackedSequence(data, constant(sizes), *indices)
    packed._known = tuple(sizes.tolist())
    return packed


class Layout:
    """Where the steps of a packed sequence stand in a padded one, (T, N) with N in sorted order."""

    def __init__(self, sizes: Sequence[int]):
        self.sizes = np.array(sizes, np.int64)
        self.steps, self.rows = len(self.sizes), int(self.sizes[0])
        if np.any(np.diff(self.sizes) > 0) or self.sizes[-1] < 1:
            raise ArgumentError(
                f"PackedSequence: batch_sizes must fall and stay above 0, got {list(sizes)}"
            )
        #: (T, N): whether sequence n has a step t.
        self.valid = np.arange(self.rows) < self.sizes[:, None]
        self.lengths = self.valid.sum(axis=0)

    def padded(self, data: Tensor, value: float = 0.0) -> Tensor:
        """(Σ Lₙ, ...) -> (T, N, ...)."""
        starts = np.cumsum(self.sizes) - self.sizes
        places = np.where(self.valid, starts[:, None] + np.arange(self.rows), 0)
        y = reshape(
            take(data, constant(places.reshape(-1)), axis=0),
            (self.steps, self.rows, *data.shape[1:]),
        )
        valid = self.valid.reshape(*self.valid.shape, *[1] * (data.ndim - 1))
        return where(constant(valid), y, constant(np.array(value, data.dtype)))

    def packed(self, x: Tensor) -> Tensor:
        """(T, N, ...) -> (Σ Lₙ, ...)."""
        flat = reshape(x, (self.steps * self.rows, *x.shape[2:]))
        return take(flat, constant(np.flatnonzero(self.valid.reshape(-1))), axis=0)

    def reversed(self, x: Tensor) -> Tensor:
        """(T, N, ...) with each sequence from its end to its beginning, padding where it was."""
        t = np.arange(self.steps)[:, None]
        source = np.where(self.valid, self.lengths - 1 - t, t)
        return self._rows(x, source * self.rows + np.arange(self.rows))

    def last(self, x: Tensor) -> Tensor:
        """(T, N, ...) -> (N, ...): the last step of each sequence."""
        return self._rows(x, (self.lengths - 1) * self.rows + np.arange(self.rows))

    def _rows(self, x: Tensor, places: np.ndarray) -> Tensor:
        flat = reshape(x, (self.steps * self.rows, *x.shape[2:]))
        found = take(flat, constant(places.reshape(-1)), axis=0)
        return reshape(found, (*places.shape, *x.shape[2:]))


class Padded:
    """Where the steps of sequences stand that stay padded, (T, N, ...): `lengths` is a Tensor.

    Raises unless the lengths of x's N sequences lie in [1, T]; compiled code does when it runs.
    """

    def __init__(self, name: str, lengths: Any, x: Tensor):
        steps, rows = x.shape[:2]
        self.lengths = checked_lengths(name, lengths, rows, steps)
        self.rows = arange(rows)
        self.times = expand_dims(arange(steps), axis=1)
        #: (T, N): whether sequence n has a step t.
        self.valid = self.times < self.lengths

    def reversed(self, x: Tensor) -> Tensor:
        """(T, N, ...) with each sequence from its end to its beginning, padding where it was."""
        return x[where(self.valid, self.lengths - 1 - self.times, self.times), self.rows]

    def last(self, x: Tensor) -> Tensor:
        """(T, N, ...) -> (N, ...): the last step of each sequence."""
        return x[self.lengths - 1, self.rows]

    def cleared(self, x: Tensor) -> Tensor:
        """(T, N, ...) with 0 in the place of padding."""
        return where(reshape(self.valid, (*self.valid.shape, *[1] * (x.ndim - 2))), x, 0.0)


def checked_lengths(name: str, lengths: Any, rows: int, steps: int) -> Tensor:
    """The lengths of N padded sequences, (N,) int64; None for N full ones.

    Raises unless there are N of them in [1, T]; compiled code does when it runs.
    """
    if lengths is None:
        return full((rows,), steps, dtype=int64)
    lengths = as_tensor(lengths)
    if lengths.shape != (rows,) or lengths.dtype not in INTEGER:
        raise ShapeError(
            f"{name}: lengths must be N = {rows} integers, got {describe(lengths)}{where_called()}"
        )
    STATE.execution.require(name, lambda xp, n: _are_lengths(xp, n, steps), (lengths,))
    return lengths.astype(int64)


def _are_lengths(xp: Any, lengths: Any, steps: int) -> tuple[Requirement, ...]:
    inside = xp.logical_and(lengths >= 1, lengths <= steps)
    must, cure = f"lengths must lie in [1, {steps}]", "leave empty sequences out"
    return (Requirement(inside, lengths, ArgumentError, must, cure),)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes one."""
    if permutation is None:
        return None
    return constant(np.argsort(permutation.numpy()).astype(np.int64))


def _lengths(name: str, lengths: Any, rows: int, steps: int) -> np.ndarray:
    """The lengths of N sequences as numbers, checked."""
    if isinstance(lengths, Tensor):
        STATE.execution.forbid(
            f"{name}: lengths decide shapes, so in a captured function they must be a list of "
            "Python numbers, as lengths.tolist() outside"
        )
    given = np.asarray(lengths.tolist() if hasattr(lengths, "tolist") else list(lengths))
    if given.shape != (rows,) or given.dtype.kind not in "iu":
        raise ArgumentError(
            f"{name}: lengths must be N = {rows} integers, got "
            f"{given.dtype.name}{list(given.shape)}"
        )
    if given.min(initial=1) < 1 or given.max(initial=0) > steps:
        raise ArgumentError(
            f"{name}: lengths must lie in [1, {steps}], got {given.tolist()[:8]}; leave empty "
            "sequences out"
        )
    return given.astype(np.int64)


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Sequences that were padded to one length, without the padding.

        input: (T, N, ...), with `batch_first` (N, T, ...); lengths: N numbers

    With `enforce_sorted` they must have falling lengths, else they are sorted here, and
    `pad_packed_sequence` and the recurrent layers put everything back. In a captured function
    lengths are Python numbers, and other ones another capture.

    >>> from backlit import tensor
    >>> packed = pack_padded_sequence(tensor([[1, 2, 3], [4, 5, 0]]), [3, 2], batch_first=True)
    >>> packed.data.tolist(), packed.batch_sizes.tolist()
    ([1, 4, 2, 5, 3], [2, 2, 1])
    """
    x = as_tensor(input)
    if x.ndim < 2:
        raise ShapeError(
            f"pack_padded_sequence: input must have shape (T, N, ...) or (N, T, ...), got "
            f"{describe(x)}"
        )
    if batch_first:
        x = permute_dims(x, (1, 0, *range(2, x.ndim)))
    steps, rows = x.shape[:2]
    known = _lengths("pack_padded_sequence", lengths, rows, steps)
    order = None
    if not enforce_sorted:
        order = np.argsort(-known, kind="stable")
        known, x = known[order], take(x, constant(order), axis=1)
    elif np.any(np.diff(known) > 0):
        raise ArgumentError(
            f"pack_padded_sequence: lengths must fall with enforce_sorted=True, got "
            f"{known.tolist()[:8]}; give enforce_sorted=False"
        )
    longest = int(known[0])
    sizes = (np.arange(longest)[:, None] < known).sum(axis=1)
    return _counted(sizes, Layout(sizes.tolist()).packed(x[:longest]), order)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Packed sequences padded to one length, and their lengths.

        -> (T, N, ...), with `batch_first` (N, T, ...), and (N)

    T is the longest length, or `total_length`.

    >>> from backlit import tensor
    >>> packed = pack_sequence([tensor([1, 2]), tensor([3])])
    >>> padded, lengths = pad_packed_sequence(packed, batch_first=True)
    >>> padded.tolist(), lengths.tolist()
    ([[1, 2], [3, 0]], [2, 1])
    """
    layout = Layout(sequence.sizes)
    y = layout.padded(sequence.data, padding_value)
    lengths = constant(layout.lengths.astype(np.int64))
    if total_length is not None:
        if whole("pad_packed_sequence: total_length", total_length) < layout.steps:
            raise ArgumentError(
                f"pad_packed_sequence: total_length must be at least the longest length, "
                f"{layout.steps}, got {total_length}"
            )
        y = _longer(y, total_length, padding_value)
    if sequence.unsorted_indices is not None:
        y = take(y, sequence.unsorted_indices, axis=1)
        lengths = take(lengths, sequence.unsorted_indices, axis=0)
    return permute_dims(y, (1, 0, *range(2, y.ndim))) if batch_first else y, lengths


def _longer(t: Tensor, length: int, value: float, left: bool = False) -> Tensor:
    """(L, ...) padded to (length, ...)."""
    if length == t.shape[0]:
        return t
    rest = full((length - t.shape[0], *t.shape[1:]), value, dtype=t.dtype)
    return concat((rest, t) if left else (t, rest))


def pad_sequence(
    sequences: Sequence[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Tensors (Lₙ, ...) padded to the longest: (T, N, ...), with `batch_first` (N, T, ...).

    >>> from backlit import tensor
    >>> pad_sequence([tensor([1, 2]), tensor([3])], batch_first=True).tolist()
    [[1, 2], [3, 0]]
    """
    given = [as_tensor(t) for t in _sequences("pad_sequence", sequences)]
    if any(t.ndim == 0 or t.shape[1:] != given[0].shape[1:] for t in given):
        raise ShapeError(
            "pad_sequence: all Tensors must have shapes (L, ...) that differ in L only, got "
            + ", ".join(describe(t) for t in given[:4])
        )
    if padding_side not in ("left", "right"):
        raise ArgumentError(
            f"pad_sequence: padding_side must be 'left' or 'right', got {padding_side!r}"
        )
    longest = max(t.shape[0] for t in given)
    same = [_longer(t, longest, padding_value, padding_side == "left") for t in given]
    return stack(same, axis=0 if batch_first else 1)


def _sequences(name: str, sequences: Any) -> list[Any]:
    given = list(sequence(f"{name}: sequences", sequences))
    if not given:
        raise ArgumentError(f"{name}: at least one sequence is required")
    return given


def unpad_sequence(
    padded_sequences: Tensor, lengths: Any, batch_first: bool = False
) -> list[Tensor]:
    """The sequences that were padded to one length.

    >>> from backlit import tensor
    >>> [t.tolist() for t in unpad_sequence(tensor([[1, 2], [3, 0]]), [2, 1], batch_first=True)]
    [[1, 2], [3]]
    """
    x = as_tensor(padded_sequences)
    if not batch_first:
        x = permute_dims(x, (1, 0, *range(2, x.ndim)))
    known = _lengths("unpad_sequence", lengths, x.shape[0], x.shape[1])
    return [x[i, :n] for i, n in enumerate(known.tolist())]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Tensors (Lₙ, ...) as packed sequences: see `pack_padded_sequence`."""
    lengths = [as_tensor(t).shape[0] for t in _sequences("pack_sequence", sequences)]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The Tensors (Lₙ, ...) of packed sequences, in their own order."""
    layout = Layout(packed_sequences.sizes)
    y = layout.padded(packed_sequences.data)
    parts = [y[:n, i] for i, n in enumerate(layout.lengths.tolist())]
    if packed_sequences.unsorted_indices is None:
        return parts
    return [parts[i] for i in packed_sequences.unsorted_indices.tolist()]


__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]

explain(__name__, __all__)
