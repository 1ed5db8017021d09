"""What makes sequences of different lengths a batch, and one long sequence many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...array_api.arguments import whole
from ...dtypes import result_type
from ...errors import ArgumentError, ShapeError
from ...op import describe
from ...tensor import Tensor, as_tensor, wrap
from ..arrays import ArrayFile
from ..batches import collate
from ..dataset import Dataset, example_number

#: What fills a target behind its end: `cross_entropy` and the metrics leave it out.
IGNORED = -100


def pad(
    sequences: Sequence[Any],
    *,
    value: float = 0,
    length: int | None = None,
    multiple_of: int = 1,
    left: bool = False,
    truncate: bool = False,
) -> Tensor:
    """Sequences (L_n, ...) of different lengths as one Tensor (N, L, ...), filled up with `value`.

    L is the longest one's length, rounded up to a multiple of `multiple_of`, or is `length`. The
    filling stands at the right, with `left` at the left. A sequence longer than `length` is an
    error, unless `truncate`, which leaves out what is behind, or with `left` what is before.

    A `length`, or a `multiple_of` such as 16, keeps the number of shapes small, each of which is
    compiled once.

    >>> pad([[1, 2, 3], [4]]).tolist(), pad([[1], [2, 3]], left=True).tolist()
    ([[1, 2, 3], [4, 0, 0]], [[0, 1], [2, 3]])
    """
    arrays = [as_tensor(s).numpy() for s in sequences]
    if not arrays:
        raise ArgumentError("pad: at least one sequence is required, got none")
    for i, array in enumerate(arrays):
        if not array.ndim or array.shape[1:] != arrays[0].shape[1:]:
            raise ShapeError(
                "pad: sequences must have shapes (L, ...) that differ in L only, got "
                f"{describe(arrays[0])} and, as number {i}, {describe(array)}"
            )
    most = max(len(array) for array in arrays)
    if length is None:
        step = whole("pad: multiple_of", multiple_of)
        size = max(-(-most // step), 1) * step
    else:
        size = whole("pad: length", length)
        if most > size and not truncate:
            which = next(i for i, array in enumerate(arrays) if len(array) > size)
            raise ShapeError(
                f"pad: sequences must have at most length={size} entries, got {len(arrays[which])} "
                f"in number {which} of the batch; truncate=True leaves out the rest"
            )
    arrays = [array[max(len(array) - size, 0) :] if left else array[:size] for array in arrays]
    # An empty list has no type of its own.
    dtype = result_type(*{array.dtype for array in arrays if len(array) or not most})
    if dtype.kind in "iub" and np.asarray(value).astype(dtype) != value:
        raise ArgumentError(f"pad: the value must be a number of {dtype}, got {value!r}")
    batch = np.full((len(arrays), size, *arrays[0].shape[1:]), value, dtype)
    for row, array in zip(batch, arrays, strict=True):
        row[size - len(array) if left else 0 : size if left else len(array)] = array
    return wrap(batch)


def pad_collate(
    examples: Sequence[Any],
    *,
    values: Any = None,
    length: int | None = None,
    multiple_of: int = 1,
    left: bool = False,
    truncate: bool = False,
    lengths: bool = False,
    mask: bool = False,
) -> Any:
    """A batch of examples with sequences of different lengths: a `collate_fn` for a DataLoader.

    An example is a sequence, or a tuple or dict of fields. The first field, and each other that is
    a sequence, is padded as by `pad`; numbers and texts are put together as `collate` does.

    >>> tokens, lengths, labels = pad_collate([([5, 6], 1), ([7], 0)], lengths=True)
    >>> tokens.tolist(), lengths.tolist(), labels.tolist()
    ([[5, 6], [7, 0]], [2, 1], [1, 0])

    - Behind the first field come, as asked for, its `lengths` (N,) and a `mask` (N, L), which is
      True where there is an entry: in a dict under these names.
    - `values` has for each field what it is filled with, or None for one that is not padded; for
      examples that are dicts, a dict of such. By default that is 0 for the first field. For others
      it is -100, which losses leave out, where they hold integers and are as long as the first, or
      differ in length; fields of floats that are equally long are not padded.
    - In a DataLoader options are given as `functools.partial(pad_collate, lengths=True)`.
    """
    if not examples:
        raise ArgumentError("pad_collate: a batch needs at least one example, got none")
    first = examples[0]
    if isinstance(first, dict):
        names = list(first)
        if any(not isinstance(e, dict) or e.keys() != first.keys() for e in examples):
            raise ShapeError(
                f"pad_collate: all examples must have the keys {', '.join(map(str, names))}"
            )
        columns = [[e[name] for e in examples] for name in names]
    elif isinstance(first, tuple):
        names = list(range(len(first)))
        if any(not isinstance(e, tuple) or len(e) != len(first) for e in examples):
            raise ShapeError(
                f"pad_collate: all examples must be tuples of {len(first)} entries, as the first"
            )
        columns = [list(column) for column in zip(*examples, strict=True)]
    else:
        names, columns = [0], [list(examples)]
    chosen = _values(names, columns, values)
    options: dict[str, Any] = {
        "length": length,
        "multiple_of": multiple_of,
        "left": left,
        "truncate": truncate,
    }
    made = [
        collate(column) if value is None else pad(column, value=value, **options)
        for column, value in zip(columns, chosen, strict=True)
    ]
    size = made[0].shape[1] if chosen[0] is not None else None
    if size is None and (lengths or mask):
        raise ArgumentError("pad_collate: lengths and mask are of the first field, which is padded")
    more = {}
    if size is not None:
        counts = np.minimum([len(s) for s in columns[0]], size)
        places = np.arange(size)
        inside = places >= size - counts[:, None] if left else places < counts[:, None]
        more = {"lengths": wrap(counts.astype(np.int64))} if lengths else {}
        more |= {"mask": wrap(inside)} if mask else {}
    if isinstance(first, dict):
        return {**dict(zip(names, made, strict=True)), **more}
    batch = (made[0], *more.values(), *made[1:])
    return batch if isinstance(first, tuple) or more else batch[0]


def _values(names: list[Any], columns: list[list[Any]], given: Any) -> list[float | None]:
    """What each field is filled with; None for one that is not padded."""
    if isinstance(given, Mapping):
        strange = [name for name in given if name not in names]
        if strange:
            raise ArgumentError(
                f"pad_collate: values has {strange[0]!r}, but the fields are "
                f"{', '.join(map(str, names))}"
            )
    elif given is not None:
        listed = list(given) if isinstance(given, tuple | list) else [given] * len(names)
        if len(listed) != len(names):
            raise ArgumentError(
                f"pad_collate: there must be a value for each of {len(names)} fields, got "
                f"{len(listed)}"
            )
        given = dict(zip(names, listed, strict=True))
    known: Mapping[Any, float | None] = given or {}
    counts = [len(s) if _is_sequence(s) else None for s in columns[0]]
    return [
        known[name] if name in known else _usual(i, column, counts)
        for i, (name, column) in enumerate(zip(names, columns, strict=True))
    ]


def _usual(number: int, column: list[Any], first: list[int | None]) -> float | None:
    if not all(map(_is_sequence, column)):
        return None
    if number == 0:
        return 0
    own = [len(s) for s in column]
    floats = any(as_tensor(s).numpy().dtype.kind not in "iu" for s in column)
    if len(set(own)) > 1:
        return 0.0 if floats else IGNORED
    return None if floats or own != first else IGNORED


def _is_sequence(thing: Any) -> bool:
    shape = getattr(thing, "shape", None)
    return isinstance(thing, list) if shape is None else len(shape) > 0


def windows(sequence: Any, size: int, *, padding: int = 0) -> np.ndarray:
    """For each entry of a sequence (T,) the window around it: (T, size), with pads at the ends.

    >>> windows([4, 5, 6], 3)
    array([[0, 4, 5],
           [4, 5, 6],
           [5, 6, 0]])

    Source: Collobert et al., JMLR 12 (2011), sec. 3.3.1.
    """
    if whole("windows: size", size) % 2 == 0:
        raise ArgumentError(f"windows: the size must be odd, to have a middle, got {size}")
    array = np.asarray(sequence)
    if array.ndim != 1:
        raise ShapeError(f"windows: the sequence must have shape (T,), got {describe(array)}")
    if not len(array):
        return np.zeros((0, size), np.int64)
    half = size // 2
    padded = np.pad(array, half, constant_values=padding)
    return np.lib.stride_tricks.sliding_window_view(padded, size).copy()


def kmers(text: str, k: int, *, stride: int = 1) -> list[str]:
    """The pieces of k characters of a text, each `stride` behind the one before.

    >>> kmers("ACGTA", 3), kmers("ACGTA", 2, stride=2)
    (['ACG', 'CGT', 'GTA'], ['AC', 'GT'])
    """
    whole("kmers: k", k)
    last = len(text) - k
    return [text[i : i + k] for i in range(0, last + 1, whole("kmers: stride", stride))]


class WindowDataset(Dataset):
    """Windows of a long series (T, ...), each with what comes next: for time series.

        x: (length, ...) values,  y: (horizon, ...) values behind them

    Each window begins `stride` behind the one before. `columns` are the numbers of those that are
    predicted, of a series (T, F). Nothing is copied: the
    series may be an `ArrayFile`.

    >>> data = WindowDataset([1.0, 2.0, 3.0, 4.0], length=2)
    >>> len(data), [part.tolist() for part in data[1]]
    (2, [[2.0, 3.0], [4.0]])
    """

    def __init__(
        self,
        series: Any,
        length: int,
        *,
        horizon: int = 1,
        stride: int = 1,
        columns: Sequence[int] | None = None,
    ):
        in_place = isinstance(series, np.ndarray | ArrayFile)
        self.series = series if in_place else as_tensor(series).numpy()
        if not self.series.ndim:
            raise ShapeError("WindowDataset: the series must have shape (T, ...), got a number")
        self.length = whole("WindowDataset: length", length)
        self.horizon = whole("WindowDataset: horizon", horizon)
        self.stride = whole("WindowDataset: stride", stride)
        if columns is not None:
            wide = self.series.shape[1] if self.series.ndim == 2 else 0
            if not all(-wide <= c < wide for c in columns):
                raise ArgumentError(
                    f"WindowDataset: columns must lie in [0, {wide}) of a series (T, F), got "
                    f"{list(columns)}"
                )
        self.columns = None if columns is None else list(columns)
        if len(self) < 1:
            raise ArgumentError(
                f"WindowDataset: the series must have at least length + horizon = "
                f"{length + horizon} steps, got {len(self.series)}"
            )

    def __len__(self) -> int:
        room = len(self.series) - self.length - self.horizon
        return max(room // self.stride + 1, 0)

    def __getitem__(self, index: Any) -> tuple[np.ndarray, np.ndarray]:
        start = example_number(index, len(self)) * self.stride
        stop = start + self.length
        y = self.series[stop : stop + self.horizon]
        return self.series[start:stop], y if self.columns is None else y[:, self.columns]

    def __repr__(self) -> str:
        return f"WindowDataset({len(self)} windows of {self.length}, horizon {self.horizon})"


__all__ = ["WindowDataset", "kmers", "pad", "pad_collate", "windows"]
