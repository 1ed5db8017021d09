"""The DataLoader: in which order examples become batches, and continued from where.

How examples become one batch: `batches`. Who makes batches ahead: `prefetch`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from ..array_api.arguments import whole
from ..errors import ArgumentError, DataError, DTypeError
from ..foreign import require_dict, words
from ..op import describe
from ..random import Generator, default_generator
from ..tensor import Tensor, as_tensor
from .batches import collate, default_convert
from .dataset import IterableDataset, Subset, TensorDataset, rows_of
from .prefetch import prefetched

_POSITIONS = 2**32  # random blocks set aside for each batch


def _require_generator(generator: Any, seed: int) -> None:
    """Raise unless one thing draws the order."""
    if generator is not None and not isinstance(generator, Generator):
        raise ArgumentError(
            f"DataLoader: generator must be a backlit.Generator, got {words(generator)[0]}; "
            "as backlit.Generator(0)"
        )
    if generator is not None and seed:
        raise ArgumentError(
            f"DataLoader: generator draws the order, got {seed=} beside it; give one of them"
        )


class DataLoader:
    """Batches of a dataset, epoch after epoch: each `for` loop over the loader is one epoch.

    >>> from backlit.data import TensorDataset
    >>> loader = DataLoader(TensorDataset(np.arange(5.0)), batch_size=2, shuffle=True, seed=1)
    >>> [len(x) for (x,) in loader]
    [2, 2, 1]

    - `shuffle` draws a new order for each epoch from a generator of the loader's own, started with
      `seed`. A `sampler` (any iterable of example numbers) gives the order instead.
    - `collate_fn` makes a batch of a list of examples; by default `collate`.
    - With `batch_size=None` examples come one by one, without an axis for a batch; `collate_fn`
      gets the example, by default `default_convert`.
    - `batch_sampler`, any iterable of lists of example numbers, says what is in each batch; then
      `batch_size`, `shuffle`, `sampler` and `drop_last` have no say.
    - `generator` draws the orders and the epochs' random numbers, instead of one made with `seed`.
    - `prefetch` batches are made ahead by a thread. An error in it is raised in the loop. The
      thread ends with the loop, however that ends.
    - Random numbers that a dataset draws from the default generator while it makes a batch depend
      on the seed, the epoch and the batch only. So prefetching changes no number.
    - `state_dict()` in the middle of an epoch, loaded into a loader made alike, continues with the
      next batch of that epoch, to the same bits. A sampler with `state_dict` is saved along.

    PyTorch's other arguments are taken, so that a script runs as it is: `num_workers=n` makes
    batches ahead in a thread, as `prefetch` (`prefetch_factor` of them for each worker, by default
    2); `pin_memory`, `pin_memory_device`, `persistent_workers`, `timeout`, `in_order` and
    `multiprocessing_context` speak of processes and devices that are not there, and change nothing.
    `worker_init_fn` is for worker processes, so that it is not called, as in PyTorch without these.
    Unlike in PyTorch, the order does not depend on the default generator.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = False,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
        prefetch: int = 0,
        seed: int = 0,
    ):
        size = 1 if batch_size is None else whole("DataLoader: batch_size", batch_size)
        if batch_size is None and drop_last:
            raise ArgumentError(
                "DataLoader: drop_last is about batches, and with batch_size=None there are none"
            )
        whole("DataLoader: prefetch", prefetch, 0)
        whole("DataLoader: num_workers", num_workers, 0)
        _require_generator(generator, seed)
        for name, function in (("collate_fn", collate_fn), ("worker_init_fn", worker_init_fn)):
            if function is not None and not callable(function):
                raise ArgumentError(f"DataLoader: {name} must be a function, got {function!r:.60}")
        others = (batch_size, bool(shuffle), sampler, drop_last)
        if batch_sampler is not None and others != (1, False, None, False):
            raise ArgumentError(
                "DataLoader: batch_sampler says what is in each batch; leave out batch_size, "
                "shuffle, sampler and drop_last"
            )
        for name, given in (("sampler", sampler), ("batch_sampler", batch_sampler)):
            if given is not None and not isinstance(given, Iterable):
                what, cure = words(given)
                raise ArgumentError(
                    f"DataLoader: {name} must be an iterable of example numbers, got {what}; {cure}"
                )
        _require_dataset(dataset)
        self.streams = isinstance(dataset, IterableDataset) or not hasattr(dataset, "__getitem__")
        if batch_sampler is not None and self.streams:
            raise ArgumentError("DataLoader: batch_sampler cannot pick examples from a stream")
        if shuffle and (sampler is not None or self.streams):
            other = "a sampler" if sampler is not None else "a stream"
            raise ArgumentError(
                f"DataLoader: shuffle cannot be combined with {other}, which has its own order"
            )
        if not self.streams and len(dataset) == 0:
            raise ArgumentError("DataLoader: the dataset must have at least one example, got 0")
        self.dataset = dataset
        self.batch_size = batch_size
        self._size = size
        self.shuffle = bool(shuffle)
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.drop_last = drop_last
        self.collate_fn = collate_fn
        self.prefetch = prefetch or num_workers * whole(
            "DataLoader: prefetch_factor", 2 if prefetch_factor is None else prefetch_factor
        )
        self.generator = Generator(seed) if generator is None else generator
        self._position = 0  # batches of this epoch that the loop has received
        self._started: dict[str, Any] = self._random_state()  # as at the start of this epoch
        self._resumed = False

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        source: Any = self.dataset if self.sampler is None else self.sampler
        if self.batch_sampler is not None:
            source = self.batch_sampler
        if self.streams or not hasattr(source, "__len__"):
            raise DTypeError(  # a TypeError, which list(loader) passes over
                f"DataLoader: a stream has no length ({type(source).__name__} has no __len__); "
                "count while you iterate"
            )
        n = len(source)
        if self.batch_sampler is not None:
            return n
        return n // self._size if self.drop_last else -(-n // self._size)

    def _begin(self) -> None:
        """An epoch begins, or goes on where a saved state stands."""
        if not self._resumed:
            self._position = 0
            self._started = self._random_state()
        self._resumed = False

    def __iter__(self) -> Iterator[Any]:
        self._begin()
        jobs = self._jobs(self._position)
        batches = prefetched(jobs, self.prefetch) if self.prefetch else (job() for job in jobs)
        return self._deliver(batches)

    def _deliver(self, batches: Iterator[Any]) -> Iterator[Any]:
        try:
            for batch in batches:
                self._position += 1
                yield batch
            self._position = 0
            self._started = self._random_state()
        finally:
            batches.close()  # type: ignore[attr-defined]

    # -- many batches at once -----------------------------------------------------------------

    @property
    def tensors(self) -> tuple[Tensor, ...] | None:
        """The Tensors whose rows the batches are; None if batches are made in another way."""
        dataset = self.dataset
        while type(dataset) is Subset:
            dataset = dataset.dataset
        plain = type(self) is DataLoader and type(dataset) is TensorDataset
        usual = self.collate_fn is None and self.batch_sampler is None and self.batch_size
        return dataset.tensors if plain and usual else None

    def rows(self, steps: Callable[[], int]) -> Iterator[np.ndarray]:
        """The row numbers in `tensors` of an epoch's batches, instead of the batches.

        Each array has shape (steps, batch), for as many batches as `steps` then says, or fewer at
        the epoch's end. Position, order and random state are those of a loop over the loader.

        >>> from backlit.data import TensorDataset
        >>> loader = DataLoader(TensorDataset(np.arange(5.0)), batch_size=2)
        >>> [rows.tolist() for rows in loader.rows(lambda: 8)]
        [[[0, 1], [2, 3]], [[4]]]
        """
        if self.tensors is None:
            raise ArgumentError(
                "DataLoader.rows: the dataset must be a TensorDataset, or a Subset of one, without "
                f"a collate_fn or batch_sampler, got {self.dataset!r}"
            )
        self._begin()
        self._epoch_key()
        order = self._order()
        dataset = self.dataset
        order = np.where(order < 0, order + len(dataset), order)
        while type(dataset) is Subset:
            order = dataset.numbers(order)
            dataset = dataset.dataset
        return self._deliver_rows(order, steps)

    def _deliver_rows(self, order: np.ndarray, steps: Callable[[], int]) -> Iterator[np.ndarray]:
        size = self._size
        whole = len(order) // size
        while self._position < whole:
            start = self._position
            self._position = min(whole, start + max(1, steps()))
            yield order[start * size : self._position * size].reshape(-1, size)
        if whole * size < len(order) and not self.drop_last and self._position == whole:
            self._position += 1
            yield order[whole * size :][np.newaxis]
        self._position = 0
        self._started = self._random_state()

    def _jobs(self, skipped: int) -> Iterator[Callable[[], Any]]:
        """For each batch of the epoch after the skipped ones a function that makes it."""
        epoch_key = self._epoch_key()
        make = self._examples if self.streams else self._indexed
        return make(skipped, epoch_key)

    def _epoch_key(self) -> int:
        """What the random numbers of this epoch's batches start from."""
        return int.from_bytes(self.generator.bits((2,)).numpy().tobytes(), "little")

    def _order(self) -> np.ndarray:
        """The example numbers of this epoch, in order."""
        if self.sampler is not None:
            order = _numbers("sampler", self.sampler)
            if not len(order):
                raise ArgumentError(_no_example("sampler", self.sampler))
            return order
        if self.shuffle:
            return self.generator.permutation(len(self.dataset)).numpy()
        return np.arange(len(self.dataset))

    def _indexed(self, skipped: int, key: int) -> Iterator[Callable[[], Any]]:
        at_once = self.collate_fn is None and self.batch_size is not None

        def job(number: int, indices: np.ndarray) -> Callable[[], Any]:
            def make() -> Any:
                rows = rows_of(self.dataset, indices) if at_once else None
                if rows is not None:
                    return rows
                return self._collated(self._fetched(indices.tolist()), key, number)

            return make

        return (job(number, indices) for number, indices in self._numbered(skipped))

    def _fetched(self, numbers: list[int]) -> Iterator[Any]:
        """The examples of these numbers; a dataset may have a way to get many at once."""
        many = getattr(self.dataset, "__getitems__", None)
        if many is None or self.batch_size is None:
            yield from (self.dataset[i] for i in numbers)
        else:
            yield from many(numbers)

    def _numbered(self, skipped: int) -> Iterator[tuple[int, np.ndarray]]:
        """The batches of this epoch after the skipped ones: their place, and whose examples."""
        if self.batch_sampler is not None:
            number = -1
            for number, indices in enumerate(self.batch_sampler):
                if number >= skipped:
                    yield number, _numbers("batch_sampler", indices)
            if number < 0:
                raise ArgumentError(_no_example("batch_sampler", self.batch_sampler))
            return
        size = self._size
        order = self._order()
        stop = len(order) - size + 1 if self.drop_last else len(order)
        for start in range(skipped * size, stop, size):
            yield start // size, order[start : start + size]

    def _examples(self, skipped: int, key: int) -> Iterator[Callable[[], Any]]:
        stream = iter(self.dataset)
        size = self._size
        number = 0
        while examples := list(islice(stream, size)):
            if len(examples) < size and self.drop_last:
                return
            if number >= skipped:
                yield lambda examples=examples, number=number: self._collated(  # type: ignore[misc]
                    examples, key, number
                )
            number += 1
        if number == 0:
            raise ArgumentError(_no_example("dataset", self.dataset))

    def _collated(self, examples: Iterable[Any], key: int, number: int) -> Any:
        """A batch of examples, made with random numbers of its own."""
        generator = default_generator()
        before = generator.state_dict()
        generator.manual_seed(key)
        generator.counter.assign(np.array(number * _POSITIONS, np.uint64))
        try:
            if self.batch_size is None:
                (example,) = examples
                return (self.collate_fn or default_convert)(example)
            return (self.collate_fn or collate)(list(examples))
        finally:
            generator.load_state_dict(before)

    # -- saving -------------------------------------------------------------------------------

    def _random_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {n: int(t) for n, t in self.generator.state_dict().items()}
        state |= self._kind()
        sampler: Any = self.sampler if self.batch_sampler is None else self.batch_sampler
        if hasattr(sampler, "state_dict"):
            state["sampler"] = sampler.state_dict()
        return state

    def _kind(self) -> dict[str, Any]:
        """What a loader must have in common with one whose state it continues."""
        examples = len(self.dataset) if hasattr(self.dataset, "__len__") else None
        return {"examples": examples, "batch_size": self.batch_size}

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands: the batch, and the random state that the epoch began with."""
        return {"position": self._position, **self._started}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state: the next loop begins with the next batch."""
        require_dict("DataLoader.load_state_dict", state)
        position = state.get("position")
        if not isinstance(position, int) or not {"key", "counter"} <= set(state):
            raise DataError(
                "DataLoader.load_state_dict: a state has position, key and counter, "
                f"got {state!r:.80}"
            )
        for name, own in self._kind().items():
            if state.get(name) != own:
                raise DataError(
                    f"DataLoader.load_state_dict: {name} must be as in the saved run, "
                    f"{state.get(name)}, got {own}"
                )
        for name in ("key", "counter"):
            getattr(self.generator, name).assign(np.array(state[name], np.uint64))
        if "sampler" in state:
            sampler: Any = self.sampler if self.batch_sampler is None else self.batch_sampler
            sampler.load_state_dict(state["sampler"])
        self._position = position
        self._started = self._random_state()
        self._resumed = True


def _numbers(name: str, indices: Iterable[int]) -> np.ndarray:
    """What a sampler says, as whole numbers."""
    given = list(indices) if isinstance(indices, Iterable) else indices
    array = as_tensor(given).numpy()
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        what = describe(array) if array.ndim else f"{given!r:.60}"
        raise ArgumentError(f"DataLoader: a {name} gives the numbers of examples, got {what}")
    return array.astype(np.int64, copy=False)


def _require_dataset(dataset: Any) -> None:
    """Raise unless there are examples, by number or in a stream."""
    by_number = hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
    usual = by_number or isinstance(dataset, Iterable)
    if usual and not isinstance(dataset, type | Mapping | str | bytes):
        return
    what, cure = words(dataset)
    if isinstance(dataset, str | bytes):
        cure = "read the file first, and make a data.TensorDataset(inputs, targets)"
    elif isinstance(dataset, Mapping):
        cure = "make a data.TensorDataset(*dataset.values())"
    elif not isinstance(dataset, type) and not callable(dataset):
        cure = "use a data.TensorDataset, a list of examples, or a class with these methods"
    raise ArgumentError(
        "DataLoader: a dataset has __getitem__ and __len__, or __iter__ for a stream, got "
        f"{what}; {cure}"
    )


def _no_example(what: str, source: Any) -> str:
    """The error for an epoch without examples: most often the second one of a generator."""
    return (
        f"DataLoader: the {what} must give at least one example in each epoch, got none from a "
        f"{type(source).__name__}; what can be read only once, such as a generator, gives one "
        f"epoch: use a list of it, or a class whose __iter__ begins anew"
    )
