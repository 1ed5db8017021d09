"""How examples become batches: in which order, made by whom, and continued from where."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from ..errors import ArgumentError, DataError, ShapeError
from ..random import Generator, default_generator
from ..tensor import Tensor, as_tensor, wrap
from .dataset import IterableDataset, Subset, TensorDataset

_POSITIONS = 2**32  # random blocks set aside for each batch


def collate(examples: list[Any]) -> Any:
    """Examples stacked to a batch: Tensors, arrays and numbers become Tensors with one axis more.

    Tuples, lists and dicts are stacked entry by entry; texts stay a list.

    >>> collate([(1.0, 0), (2.0, 1)])
    (Tensor([1., 2.], shape=(2,), dtype=float32), Tensor([0, 1], shape=(2,), dtype=int64))
    """
    first = examples[0]
    if isinstance(first, tuple | list):
        if len({len(e) for e in examples}) != 1:
            raise ShapeError(
                "collate: all examples must have equally many entries, got "
                f"{sorted({len(e) for e in examples})}; pass a collate_fn"
            )
        columns = [collate(list(column)) for column in zip(*examples, strict=True)]
        named = hasattr(first, "_fields")
        return type(first)(*columns) if named else type(first)(columns)
    if isinstance(first, dict):
        return {key: collate([e[key] for e in examples]) for key in first}
    if isinstance(first, str | bytes):
        return examples
    arrays = [as_tensor(e).array for e in examples]
    shapes = {a.shape for a in arrays}
    if len(shapes) != 1:
        raise ShapeError(
            "collate: all examples must have the same shape, got "
            f"{' and '.join(map(str, sorted(shapes)))}; pass a collate_fn that pads them"
        )
    return wrap(np.stack(arrays))


class DataLoader:
    """Batches of a dataset, epoch after epoch: each `for` loop over the loader is one epoch.

    >>> from backlit.data import TensorDataset
    >>> loader = DataLoader(TensorDataset(np.arange(5.0)), batch_size=2, shuffle=True, seed=1)
    >>> [len(x) for (x,) in loader]
    [2, 2, 1]

    - `shuffle` draws a new order for each epoch from a generator of the loader's own, started with
      `seed`. A `sampler` (any iterable of example numbers) gives the order instead.
    - `collate_fn` makes a batch of a list of examples; by default `collate`.
    - `prefetch` batches are made ahead by a thread. An error in it is raised in the loop. The
      thread ends with the loop, however that ends.
    - Random numbers that a dataset draws from the default generator while it makes a batch depend
      on the seed, the epoch and the batch only. So prefetching changes no number.
    - `state_dict()` in the middle of an epoch, loaded into a loader made alike, continues with the
      next batch of that epoch, to the same bits. A sampler with `state_dict` is saved along.

    Unlike in PyTorch, the order does not depend on the default generator.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        sampler: Iterable[int] | None = None,
        drop_last: bool = False,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        prefetch: int = 0,
        seed: int = 0,
    ):
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise ArgumentError(
                f"DataLoader: batch_size must be a positive integer, got {batch_size!r}"
            )
        if not isinstance(prefetch, int) or prefetch < 0:
            raise ArgumentError(f"DataLoader: prefetch must not be negative, got {prefetch!r}")
        self.streams = isinstance(dataset, IterableDataset) or not hasattr(dataset, "__getitem__")
        if shuffle and (sampler is not None or self.streams):
            other = "a sampler" if sampler is not None else "a stream"
            raise ArgumentError(
                f"DataLoader: shuffle cannot be combined with {other}, which has its own order"
            )
        if not self.streams and len(dataset) == 0:
            raise ArgumentError("DataLoader: the dataset must have at least one example, got 0")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.sampler = sampler
        self.drop_last = drop_last
        self.collate_fn = collate_fn
        self.prefetch = prefetch
        self.generator = Generator(seed)
        self._position = 0  # batches of this epoch that the loop has received
        self._started: dict[str, Any] = self._random_state()  # as at the start of this epoch
        self._resumed = False

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        source: Any = self.dataset if self.sampler is None else self.sampler
        if self.streams or not hasattr(source, "__len__"):
            raise ArgumentError(
                f"DataLoader: a stream has no length ({type(source).__name__} has no __len__); "
                "count while you iterate"
            )
        n = len(source)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def _begin(self) -> None:
        """An epoch begins, or goes on where a saved state stands."""
        if not self._resumed:
            self._position = 0
            self._started = self._random_state()
        self._resumed = False

    def __iter__(self) -> Iterator[Any]:
        self._begin()
        jobs = self._jobs(self._position)
        batches = _prefetched(jobs, self.prefetch) if self.prefetch else (job() for job in jobs)
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
        return dataset.tensors if plain and self.collate_fn is None else None

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
                f"a collate_fn, got {self.dataset!r}"
            )
        self._begin()
        self._epoch_key()
        order = self._order()
        dataset = self.dataset
        order = np.where(order < 0, order + len(dataset), order)
        while type(dataset) is Subset:
            order = dataset.indices[order]
            dataset = dataset.dataset
        return self._deliver_rows(order, steps)

    def _deliver_rows(self, order: np.ndarray, steps: Callable[[], int]) -> Iterator[np.ndarray]:
        size = self.batch_size
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
            return np.fromiter(self.sampler, np.int64)
        if self.shuffle:
            return self.generator.permutation(len(self.dataset)).numpy()
        return np.arange(len(self.dataset))

    def _indexed(self, skipped: int, key: int) -> Iterator[Callable[[], Any]]:
        size = self.batch_size
        order = self._order()
        whole = self.collate_fn is None and hasattr(self.dataset, "batch")
        stop = len(order) - size + 1 if self.drop_last else len(order)

        def job(start: int) -> Callable[[], Any]:
            indices = order[start : start + size]
            if whole:
                return lambda: self.dataset.batch(indices)
            return lambda: self._collated(
                (self.dataset[i] for i in indices.tolist()), key, start // size
            )

        return (job(start) for start in range(skipped * size, stop, size))

    def _examples(self, skipped: int, key: int) -> Iterator[Callable[[], Any]]:
        stream = iter(self.dataset)
        size = self.batch_size
        number = 0
        while examples := list(islice(stream, size)):
            if len(examples) < size and self.drop_last:
                return
            if number >= skipped:
                yield lambda examples=examples, number=number: self._collated(  # type: ignore[misc]
                    examples, key, number
                )
            number += 1

    def _collated(self, examples: Iterable[Any], key: int, number: int) -> Any:
        """A batch of examples, made with random numbers of its own."""
        generator = default_generator()
        before = generator.state_dict()
        generator.manual_seed(key)
        generator.counter.assign(np.array(number * _POSITIONS, np.uint64))
        try:
            return (self.collate_fn or collate)(list(examples))
        finally:
            generator.load_state_dict(before)

    # -- saving -------------------------------------------------------------------------------

    def _random_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {n: int(t) for n, t in self.generator.state_dict().items()}
        state |= self._kind()
        if hasattr(self.sampler, "state_dict"):
            state["sampler"] = self.sampler.state_dict()  # type: ignore[union-attr]
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
            self.sampler.load_state_dict(state["sampler"])  # type: ignore[union-attr]
        self._position = position
        self._started = self._random_state()
        self._resumed = True


class _Ahead:
    """What the prefetching thread and the loop share."""

    def __init__(self, limit: int):
        self.limit = limit
        self.changed = threading.Condition()
        self.ready: deque[tuple[Any, BaseException | None]] = deque()
        self.finished = False
        self.stopped = False

    def work(self, jobs: Iterator[Callable[[], Any]]) -> None:
        """Make batches until there are no more, one fails, or the loop has ended."""
        error: BaseException | None = None
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.stopped or len(self.ready) < self.limit)
                if self.stopped:
                    return
            batch = None
            try:
                job = next(jobs, None)
                if job is not None:
                    batch = job()
            except BaseException as raised:
                job, error = None, raised
            with self.changed:
                if job is not None or error is not None:
                    self.ready.append((batch, error))
                if job is None:
                    self.finished = True
                self.changed.notify_all()
                if job is None:
                    return

    def next(self) -> tuple[bool, Any]:
        """Whether there is another batch, and the batch."""
        with self.changed:
            self.changed.wait_for(lambda: self.ready or self.finished)
            if not self.ready:
                return False, None
            batch, error = self.ready.popleft()
            self.changed.notify_all()
        if error is not None:
            raise error
        return True, batch

    def stop(self) -> None:
        """Tell the thread that the loop has ended."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()


def _prefetched(jobs: Iterator[Callable[[], Any]], limit: int) -> Iterator[Any]:
    """The batches of the jobs, made ahead by a thread that lives no longer than this iteration."""
    ahead = _Ahead(limit)
    thread = threading.Thread(target=ahead.work, args=(jobs,), name="backlit-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            more, batch = ahead.next()
            if not more:
                return
            yield batch
    finally:
        ahead.stop()
        thread.join()
