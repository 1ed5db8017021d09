"""Samplers: in which order examples are read, as numbers, anew at each epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any

import numpy as np

from ..array_api.arguments import sequence, whole
from ..errors import ArgumentError
from ..foreign import words
from ..random import Generator, default_generator
from ..tensor import as_tensor


class Sampler:
    """The base of samplers: subclass it and write `__iter__`, and `__len__` if it is known."""

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
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]
