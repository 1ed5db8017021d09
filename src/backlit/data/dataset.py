"""What a dataset is: examples by number, or a stream of them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from types import GenericAlias
from typing import Any, ClassVar

import numpy as np

from ..array_api.arguments import sequence
from ..dtypes import INTEGER
from ..errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from ..foreign import words
from ..op import describe
from ..random import Generator, given_generator
from ..tensor import Tensor, as_tensor, wrap
from .splits import counts_of


class Dataset:
    """Examples by number: subclass it and define `__len__` and `__getitem__`.

    A dataset that can get several examples at once also defines `__getitems__`, which makes a list
    of examples of a list of numbers; a DataLoader then asks for those of a batch by that.
    """

    #: Annotations say of what: `Dataset[Tensor]`.
    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__()")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__()")

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset:
    """Examples in a stream: subclass it and define `__iter__`."""

    #: Annotations say of what: `IterableDataset[Tensor]`.
    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__()")

    def __add__(self, other: Any) -> ChainDataset:
        return ChainDataset([self, other])


class TensorDataset(Dataset):
    """Examples that are the rows of Tensors (or arrays) of equal length.

    >>> data = TensorDataset([[1.0], [2.0], [3.0]], [0, 1, 0])
    >>> len(data), data[1]
    (3, (Tensor([2.], shape=(1,), dtype=float32), Tensor(1, shape=(), dtype=int64)))
    >>> data[:2][1]  # a slice gives rows of each Tensor
    Tensor([0, 1], shape=(2,), dtype=int64)
    """

    def __init__(self, *tensors: Any):
        if not tensors:
            raise ArgumentError("TensorDataset: at least one Tensor is required")
        self.tensors: tuple[Tensor, ...] = tuple(as_tensor(t) for t in tensors)
        for t in self.tensors:
            t._require_cut("TensorDataset", "pass t.detach(), or index the Tensor itself")
        lengths = [t.shape[0] if t.shape else None for t in self.tensors]
        if None in lengths or len(set(lengths)) != 1:
            raise ShapeError(
                "TensorDataset: all Tensors must have equally many rows, got "
                + " and ".join(map(describe, self.tensors))
            )

    def __len__(self) -> int:
        return self.tensors[0].shape[0]

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        if isinstance(index, slice):
            return tuple(wrap(t.array[index]) for t in self.tensors)
        row = example_number(index, len(self))
        return tuple(wrap(np.asarray(t.array[row])) for t in self.tensors)

    def rows(self, indices: np.ndarray) -> tuple[Tensor, ...]:
        """The rows of these numbers, of every Tensor; a run of consecutive rows is not copied."""
        indices = _within(indices, len(self))
        n = len(indices)
        if n and indices[-1] - indices[0] == n - 1 and np.all(np.diff(indices) == 1):
            start = int(indices[0])
            return tuple(wrap(t.array[start : start + n]) for t in self.tensors)
        # `take` is faster, but first copies all of an array that is a view with gaps or overlaps.
        return tuple(
            wrap(t.array.take(indices, axis=0) if t.array.flags.c_contiguous else t.array[indices])
            for t in self.tensors
        )

    def __repr__(self) -> str:
        return f"TensorDataset({', '.join(map(describe, self.tensors))})"


def require_examples(what: str, dataset: Any) -> None:
    """Raise unless a dataset has examples by number, and knows how many."""
    if isinstance(dataset, type) or not (
        hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
    ):
        kind, cure = words(dataset)
        cure = cure if isinstance(dataset, type) else "use a TensorDataset or a list of examples"
        raise ArgumentError(
            f"{what}: the dataset must have __getitem__ and __len__, got {kind}; {cure}"
        )


class Subset(Dataset):
    """The examples of a dataset with the given numbers, which are its `indices`, in their order.

    >>> data = Subset(TensorDataset([10.0, 20.0, 30.0]), [2, 0])
    >>> data[0]
    (Tensor(30., shape=(), dtype=float32),)
    """

    def __init__(self, dataset: Any, indices: Sequence[int] | np.ndarray):
        require_examples("Subset", dataset)
        self.dataset = dataset
        numbers = as_tensor(sequence("Subset: indices", indices))
        if numbers.ndim != 1 or (numbers.size and numbers.dtype not in INTEGER):
            raise ArgumentError(
                f"Subset: indices must be a list of integers, got {describe(numbers)}; for a mask "
                "use numpy.flatnonzero(mask)"
            )
        chosen = numbers.numpy().astype(np.int64)
        outside = chosen[(chosen < 0) | (chosen >= len(dataset))]
        if outside.size:
            raise IndexRangeError(
                f"Subset: indices must lie in [0, {len(dataset)}), got {int(outside[0])}"
            )
        self.indices = chosen.tolist()

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        return self.dataset[self.indices[example_number(index, len(self))]]

    def numbers(self, indices: np.ndarray) -> np.ndarray:
        """The numbers, in the dataset, of examples."""
        places = _within(indices, len(self.indices)).tolist()
        return np.fromiter(map(self.indices.__getitem__, places), np.int64, len(places))

    def __repr__(self) -> str:
        return f"Subset({len(self)} of {self.dataset!r})"


def rows_of(dataset: Any, indices: np.ndarray) -> tuple[Tensor, ...] | None:
    """The examples of these numbers as one batch, where all are rows of Tensors.

    None says that they must be asked for one by one: a class of somebody's may have a
    `__getitem__` of its own.
    """
    while type(dataset) is Subset:
        indices = dataset.numbers(indices)
        dataset = dataset.dataset
    return dataset.rows(indices) if type(dataset) is TensorDataset else None


def _within(indices: np.ndarray, n: int) -> np.ndarray:
    """Numbers of examples, of which negative ones count from the end."""
    outside = (indices < -n) | (indices >= n)
    if outside.any():
        raise _outside(indices[outside][0], n)
    return np.where(indices < 0, indices + n, indices)


class ConcatDataset(Dataset):
    """The examples of several datasets, one after the other.

    >>> data = ConcatDataset([[1, 2], [30, 40, 50]])
    >>> len(data), data[2], data[-1]
    (5, 30, 50)
    """

    def __init__(self, datasets: Iterable[Any]):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ArgumentError("ConcatDataset: at least one dataset is required")
        for dataset in self.datasets:
            require_examples("ConcatDataset", dataset)
        self.cumulative_sizes: list[int] = np.cumsum([len(d) for d in self.datasets]).tolist()

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: Any) -> Any:
        i = example_number(index, len(self))
        which = int(np.searchsorted(self.cumulative_sizes, i, side="right"))
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][i - before]


class StackDataset(Dataset):
    """The examples of several datasets side by side, as tuples, or as dicts where they have names.

    >>> StackDataset([1, 2], ["one", "two"])[1]
    (2, 'two')
    >>> StackDataset(x=[1, 2], name=["one", "two"])[0]
    {'x': 1, 'name': 'one'}
    """

    def __init__(self, *args: Any, **kwargs: Any):
        if bool(args) is bool(kwargs):
            raise ArgumentError(
                "StackDataset: datasets are given either in order or by name, got "
                f"{len(args)} and {len(kwargs)}"
            )
        self.datasets: Any = args or kwargs
        parts = self._parts()
        for dataset in parts:
            require_examples("StackDataset", dataset)
        if len({len(d) for d in parts}) != 1:
            raise ShapeError(
                "StackDataset: all datasets must have equally many examples, got "
                f"{', '.join(str(len(d)) for d in parts)}"
            )

    def _parts(self) -> list[Any]:
        return list(self.datasets.values() if isinstance(self.datasets, dict) else self.datasets)

    def __len__(self) -> int:
        return len(self._parts()[0])

    def __getitem__(self, index: Any) -> Any:
        i = example_number(index, len(self))
        if isinstance(self.datasets, dict):
            return {name: dataset[i] for name, dataset in self.datasets.items()}
        return tuple(dataset[i] for dataset in self.datasets)


class ChainDataset(IterableDataset):
    """The examples of several streams, one after the other.

    >>> list(ChainDataset([[1, 2], [3]]))
    [1, 2, 3]
    """

    def __init__(self, datasets: Iterable[Any]):
        self.datasets = list(datasets)

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(len(d) for d in self.datasets)


def random_split(
    dataset: Any, lengths: Sequence[float], generator: Generator | None = None, *, seed: int = 0
) -> list[Subset]:
    """Subsets without common examples, drawn at random from a generator, or from a seed.

    `lengths` are counts that add up to the length of the dataset, or fractions that add up to 1.

    >>> train, test = random_split(TensorDataset(np.arange(10.0)), [0.8, 0.2], seed=1)
    >>> len(train), len(test)
    (8, 2)
    """
    require_examples("random_split", dataset)
    n = len(dataset)
    counts = counts_of("random_split", n, lengths)
    source = Generator(seed) if generator is None else given_generator(generator)
    order = source.permutation(n).numpy()
    ends = np.cumsum(counts)
    return [Subset(dataset, order[e - c : e]) for c, e in zip(counts, ends, strict=True)]


def example_number(index: Any, n: int) -> int:
    """The number, from 0, of one of n examples; a negative index counts from the end."""
    try:
        i = operator.index(index)
    except TypeError:
        raise DTypeError(
            f"dataset: the index must be an integer, got {words(index)[0]}; "
            "for several examples use a Subset"
        ) from None
    if not -n <= i < n:
        raise _outside(i, n)
    return i % n


def _outside(index: int, n: int) -> IndexRangeError:
    return IndexRangeError(f"dataset: the index must lie in [-{n}, {n}), got {index}")
