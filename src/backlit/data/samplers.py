"""Samplers: in which order examples are read, as numbers, anew at each epoch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence, Sized
from types import GenericAlias
from typing import Any, ClassVar

import numpy as np

from ..array_api.arguments import sequence, whole
from ..errors import ArgumentError
from ..foreign import words
from ..random import Generator, default_generator
from ..tensor import as_tensor
from .splits import classes_of, interleaved


class Sampler:
    """The base of samplers: subclass it and write `__iter__`, and `__len__` if it is known."""

    #: Annotations say of what: `Sampler[Tensor]`.
    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

    def __init__(self, data_source: Any = None):
        pass

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__()")


class SequentialSampler(Sampler):
    """The numbers of all examples, in order.

    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized):
        super().__init__()
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class _Drawn(Sampler):
    """The base of samplers that draw their order.

    Without a generator each has one of its own, whose start is drawn from the default one. Its
    state is saved with the loader's.
    """

    def __init__(self, generator: Generator | None):
        super().__init__()
        if generator is not None and not isinstance(generator, Generator):
            raise ArgumentError(
                f"{type(self).__name__}: generator must be a backlit.Generator, got "
                f"{words(generator)[0]}"
            )
        if generator is None:
            generator = Generator(int(default_generator().integers(0, 2**62, ())))
        self.generator = generator

    def state_dict(self) -> dict[str, int]:
        """Where the generator stands."""
        return {name: int(t) for name, t in self.generator.state_dict().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        kept = {name: as_tensor(np.array(n, np.uint64)) for name, n in state.items()}
        self.generator.load_state_dict(kept)


class RandomSampler(_Drawn):
    """The numbers of all examples in a random order, or `num_samples` of them.

    With `replacement` each is drawn from all, so that numbers come twice or not at all. Without,
    more than there are begin a new order.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ):
        super().__init__(generator)
        self.data_source = data_source
        self.replacement = replacement
        if num_samples is not None:
            whole("RandomSampler: num_samples", num_samples)
        self._count = num_samples

    @property
    def num_samples(self) -> int:
        """How many numbers an epoch has."""
        return len(self.data_source) if self._count is None else self._count

    def __iter__(self) -> Iterator[int]:
        n, count = len(self.data_source), self.num_samples
        if self.replacement:
            return iter(self.generator.integers(0, n, (count,)).tolist())
        orders = [self.generator.permutation(n).numpy() for _ in range(-(-count // n))]
        return iter(np.concatenate(orders)[:count].tolist() if orders else [])

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(_Drawn):
    """Given numbers, in a random order."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None):
        super().__init__(generator)
        self.indices = indices

    def __iter__(self) -> Iterator[int]:
        order = self.generator.permutation(len(self.indices)).tolist()
        return (self.indices[i] for i in order)

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(_Drawn):
    """`num_samples` numbers of examples, each drawn with a probability in proportion to its weight.

    Without `replacement` no number comes twice: each is drawn among those that are left.

    Source: Efraimidis & Spirakis, Inf. Process. Lett. 97 (2006), without replacement.

    >>> sampler = WeightedRandomSampler([0.0, 1.0, 0.0], 4)
    >>> list(sampler)
    [1, 1, 1, 1]
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ):
        super().__init__(generator)
        self.num_samples = whole("WeightedRandomSampler: num_samples", num_samples)
        self.replacement = replacement
        kept = as_tensor(sequence("WeightedRandomSampler: weights", weights)).numpy()
        self.weights = kept.astype(np.float64)
        usable = int(np.count_nonzero(self.weights))
        if self.weights.ndim != 1 or not np.all(self.weights >= 0) or not usable:
            raise ArgumentError(
                "WeightedRandomSampler: weights must be a list of numbers from 0, and one of them "
                f"above, got {weights!r:.60}"
            )
        if not replacement and num_samples > usable:
            raise ArgumentError(
                f"WeightedRandomSampler: without replacement num_samples must be at most the "
                f"{usable} weights above 0, got {num_samples}"
            )

    def __iter__(self) -> Iterator[int]:
        if self.replacement:
            ends = np.cumsum(self.weights)
            drawn = self.generator.uniform((self.num_samples,), dtype="float64").numpy()
            return iter(np.searchsorted(ends, drawn * ends[-1], side="right").tolist())
        drawn = self.generator.uniform(self.weights.shape, dtype="float64").numpy()
        with np.errstate(divide="ignore"):
            times = -np.log1p(-drawn) / self.weights  # infinite, and so last, for a weight of 0
        return iter(np.argsort(times, kind="stable")[: self.num_samples].tolist())

    def __len__(self) -> int:
        return self.num_samples


class StratifiedSampler(_Drawn):
    """The numbers of all examples in a random order in which every stretch has all classes.

    The targets are the classes of the examples, numbers or texts. Of n examples in a row, a class
    with the share p of all has n p, rounded up or down (with many classes one more or less).

    >>> sampler = StratifiedSampler(["a", "b", "b", "a", "b", "b"], Generator(1))
    >>> order = list(sampler)
    >>> [sum(i in (0, 3) for i in order[k : k + 3]) for k in (0, 3)]  # of class "a"
    [1, 1]
    """

    def __init__(self, targets: Any, generator: Generator | None = None):
        super().__init__(generator)
        self.classes = classes_of("StratifiedSampler", targets)

    def __iter__(self) -> Iterator[int]:
        return iter(interleaved(self.classes, self.generator).tolist())

    def __len__(self) -> int:
        return len(self.classes)


class DistributedSampler(Sampler):
    """Every `num_replicas`-th number of an order that all replicas share, from `rank` on.

    The order is shuffled with `seed` and the epoch, of which `set_epoch` must tell before each one;
    without it every epoch has the same order. So that all replicas have equally many numbers, some
    of the first ones come once more at the end, or with `drop_last` the last ones are left out.
    What is not given is read from the environment, `WORLD_SIZE` and `RANK`.

    >>> list(DistributedSampler("abcde", num_replicas=2, rank=1, shuffle=False))
    [1, 3, 0]
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ):
        super().__init__()
        self.dataset = dataset
        self.num_replicas = _replicas("num_replicas", num_replicas, "WORLD_SIZE", 1)
        self.rank = _replicas("rank", rank, "RANK", 0)
        if self.rank >= self.num_replicas:
            raise ArgumentError(
                f"DistributedSampler: rank must lie in [0, {self.num_replicas}), got {self.rank}"
            )
        self.shuffle = shuffle
        self.seed = whole("DistributedSampler: seed", seed, 0)
        self.drop_last = drop_last
        self.epoch = 0

    @property
    def num_samples(self) -> int:
        """How many numbers a replica has in an epoch."""
        n = len(self.dataset)
        return n // self.num_replicas if self.drop_last else -(-n // self.num_replicas)

    @property
    def total_size(self) -> int:
        """How many numbers all replicas have."""
        return self.num_samples * self.num_replicas

    def set_epoch(self, epoch: int) -> None:
        """The next order is that of this epoch."""
        self.epoch = whole("DistributedSampler.set_epoch: epoch", epoch, 0)

    def __iter__(self) -> Iterator[int]:
        n = len(self.dataset)
        order = np.arange(n)
        if self.shuffle:
            order = Generator(self.seed + self.epoch).permutation(n).numpy()
        return iter(np.resize(order, self.total_size)[self.rank :: self.num_replicas].tolist())

    def __len__(self) -> int:
        return self.num_samples

    def state_dict(self) -> dict[str, int]:
        """The epoch."""
        return {"epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on in a saved epoch."""
        self.set_epoch(state["epoch"])


def _replicas(name: str, given: int | None, variable: str, least: int) -> int:
    """An argument of a DistributedSampler, or what the environment says instead."""
    value: Any = given
    if given is None:
        found = os.environ.get(variable, "")
        if not found.isdecimal():
            raise ArgumentError(
                f"DistributedSampler: {name} must be given where the environment has no {variable}"
                "; with one process num_replicas=1, rank=0"
            )
        value = int(found)
    return whole(f"DistributedSampler: {name}", value, least)


class BatchSampler(Sampler):
    """The numbers of another sampler in lists of `batch_size`, the last of which may be shorter.

    >>> list(BatchSampler(SequentialSampler("abcde"), 2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool):
        super().__init__()
        self.sampler = sampler
        self.batch_size = whole("BatchSampler: batch_size", batch_size)
        self.drop_last = drop_last
        if hasattr(sampler, "state_dict"):  # of one that draws
            self.state_dict = sampler.state_dict
            self.load_state_dict = sampler.load_state_dict  # type: ignore[attr-defined]

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for i in self.sampler:
            batch.append(i)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


__all__ = [
    "BatchSampler",
    "DistributedSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StratifiedSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]
