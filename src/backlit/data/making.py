"""How a batch is made: of which examples, and with which random numbers, whoever makes it."""

from __future__ import annotations

import contextlib
import hashlib
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.random import MT19937, SeedSequence, mtrand

from ..errors import ArgumentError
from ..random import default_generator
from ..tensor import Tensor
from .batches import collate, default_convert
from .dataset import Subset, TensorDataset, rows_of

_POSITIONS = 2**32  # random blocks set aside for each batch

#: The number of a batch in its epoch, and of its examples; None where they come in a stream.
Job = tuple[int, np.ndarray | None]


class Keys(NamedTuple):
    """What the random numbers of an epoch's batches start from."""

    backlit: int  # those of the default generator
    others: int  # and those of Python's `random` and NumPy's global functions


class End(NamedTuple):
    """Instead of a batch: the stream is at its end, after so many examples."""

    seen: int


def global_state() -> int:
    """64 bits of where Python's and NumPy's global generators stand."""
    state = np.random.get_state(legacy=False)
    numbers = state["state"]
    known = hashlib.blake2b(np.array(random.getstate()[1], np.uint64).tobytes(), digest_size=8)
    for name in sorted(numbers):
        known.update(np.asarray(numbers[name], np.uint64).tobytes())
    return int.from_bytes(known.digest(), "little")


def _start(keys: Keys, number: int, alone: bool) -> None:
    """Put the generators where a batch of this number has its random numbers."""
    generator = default_generator()
    generator.manual_seed(keys.backlit)
    generator.counter.assign(np.array(number * _POSITIONS, np.uint64))
    if alone:
        seeds = SeedSequence((*keys, number))
        random.seed(int.from_bytes(seeds.generate_state(4).tobytes(), "little"))
        mtrand.set_bit_generator(MT19937(seeds))


@contextlib.contextmanager
def _drawing(keys: Keys, number: int) -> Iterator[None]:
    """A block whose random numbers depend on the epoch and the batch, and on nothing before.

    The global generators of Python and NumPy belong to all threads: only in the main thread, which
    they are made for, do they take part.
    """
    generator = default_generator()
    before = generator.state_dict()
    alone = threading.current_thread() is threading.main_thread()
    if alone:
        state = random.getstate()
        bits, numbers = mtrand.get_bit_generator(), np.random.get_state(legacy=False)
    try:
        _start(keys, number, alone)
        yield
    finally:
        generator.load_state_dict(before)
        if alone:
            random.setstate(state)
            mtrand.set_bit_generator(bits)
            if numbers["has_gauss"]:
                np.random.set_state(numbers)


class Maker:
    """Makes the batches of a dataset: all that a process needs for it, and no order.

    `streams` says that examples come in a stream. In a worker process, `place` is which of how many
    workers it is.
    """

    def __init__(
        self,
        dataset: Any,
        collate_fn: Callable[[Any], Any] | None,
        batch_size: int | None,
        drop_last: bool,
        streams: bool,
    ):
        self.dataset = dataset
        self.collate_fn = collate_fn
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.streams = streams
        self.place = (0, 1)
        self.divided = False  # the stream gives each worker its own part
        self._keys = Keys(0, 0)
        self._stream: Iterator[Any] | None = None
        self._next = 0  # the number of the batch that the stream gives next
        self._seen = 0  # examples of this epoch

    @property
    def plain(self) -> bool:
        """Whether no code of a user's runs here, and so nothing is drawn."""
        dataset = self.dataset
        while type(dataset) is Subset:
            dataset = dataset.dataset
        kinds = (TensorDataset, list, tuple, range, np.ndarray, Tensor)
        return self.collate_fn is None and type(dataset) in kinds

    def begin(self, keys: Keys) -> None:
        """An epoch begins."""
        self._keys = keys
        self._stream = None
        self._seen = 0
        self._next = self.place[0] if self.divided else 0

    def divide(self) -> None:
        """Somebody asked which worker this is: the stream gives this one a part of its own."""
        if self.divided or not self.streams:
            return
        if self._seen:
            raise ArgumentError(
                "get_worker_info: a stream that is divided among workers asks before its first "
                f"example, got the question after {self._seen} examples; ask where __iter__ begins"
            )
        self.divided = True
        self._next = self.place[0]
        if self._stream is not None:
            _start(self._keys, self._next, True)

    def make(self, number: int, indices: np.ndarray | None) -> Any:
        """The batch of a job, or an End."""
        if indices is None:
            return self._from_stream(number)
        if self.plain:
            rows = None if self.batch_size is None else rows_of(self.dataset, indices)
            return self._collated(self._fetched(indices.tolist())) if rows is None else rows
        with _drawing(self._keys, number):
            return self._collated(self._fetched(indices.tolist()))

    def made(self, jobs: Iterable[Job]) -> Iterator[tuple[int, Any]]:
        """The batches of the jobs with their numbers, as far as there are examples."""
        for number, indices in jobs:
            batch = self.make(number, indices)
            if isinstance(batch, End):
                require_some(self.dataset, batch.seen)
                return
            yield number, batch

    def _from_stream(self, number: int) -> Any:
        """The batch of this number; those before it are read, and left out."""
        size = self.batch_size or 1
        while True:
            with _drawing(self._keys, self._next):
                if self._stream is None:
                    self._stream = iter(())  # which says that the epoch has begun
                    self._stream = iter(self.dataset)
                examples = list(islice(self._stream, size))
                here = self._next
                self._seen += len(examples)
                self._next += self.place[1] if self.divided else 1
                if not examples or (len(examples) < size and self.drop_last):
                    self._stream = iter(())
                    return End(self._seen)
                if here == number:
                    return self._collated(examples)

    def _fetched(self, numbers: list[int]) -> Iterator[Any]:
        """The examples of these numbers; a dataset may have a way to get many at once."""
        many = getattr(self.dataset, "__getitems__", None)
        if many is None or self.batch_size is None:
            yield from (self.dataset[i] for i in numbers)
        else:
            yield from many(numbers)

    def _collated(self, examples: Iterable[Any]) -> Any:
        if self.batch_size is None:
            (example,) = examples
            return (self.collate_fn or default_convert)(example)
        return (self.collate_fn or collate)(list(examples))


def require_some(source: Any, seen: int, what: str = "dataset") -> None:
    """Raise for an epoch without examples: most often the second one of a generator."""
    if not seen:
        raise ArgumentError(
            f"DataLoader: the {what} must give at least one example in each epoch, got none from a "
            f"{type(source).__name__}; what can be read only once, such as a generator, gives one "
            f"epoch: use a list of it, or a class whose __iter__ begins anew"
        )


__all__ = ["End", "Job", "Keys", "Maker", "global_state", "require_some"]
