"""The DataLoader: in which order examples become batches, and continued from where.

How a batch is made: `making`. Who makes batches ahead: `prefetch`, a thread, or `workers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from types import GenericAlias
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..array_api.arguments import number, whole
from ..errors import ArgumentError, DataError, DTypeError
from ..foreign import require_dict, words
from ..op import describe
from ..random import Generator
from ..tensor import Tensor, as_tensor
from .dataset import Dataset, IterableDataset, Subset, TensorDataset
from .making import Job, Keys, Maker, global_state, require_some
from .prefetch import prefetched

if TYPE_CHECKING:
    from .workers import Workers


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


def _require_one_order(
    streams: bool, shuffle: bool, sampler: Any, batch_sampler: Any, plain: bool
) -> None:
    """Raise if two arguments say which examples come when; `plain` if none makes batches."""
    if batch_sampler is not None and not (plain and sampler is None):
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
    if batch_sampler is not None and streams:
        raise ArgumentError("DataLoader: batch_sampler cannot pick examples from a stream")
    if shuffle and (sampler is not None or streams):
        other = "a sampler" if sampler is not None else "a stream"
        raise ArgumentError(
            f"DataLoader: shuffle cannot be combined with {other}, which has its own order"
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
    - `num_workers` processes make the batches, `prefetch_factor` (by default 2) ahead for each of
      them; without workers a thread makes `prefetch` batches ahead, if that is given. Batches
      and their order are the same whoever makes them. Workers and thread end with the loop,
      however that ends; `persistent_workers` live on for the next one.
    - An error in a worker or in the thread is raised in the loop in its turn. A worker that is
      killed, or gives no batch for `timeout` seconds (0: however long it takes), is a WorkerError.
    - Random numbers that are drawn while a batch is made depend on the seed, the epoch and the
      batch only, those of Python's `random` and NumPy's global functions also on where these stood
      when the epoch began. (The prefetching thread leaves these two alone: they are the loop's.)
    - With `in_order=False` batches come as they are ready, so that none waits for a slow one.
    - `state_dict()` in the middle of an epoch, loaded into a loader made alike, continues with the
      next batch of that epoch, to the same bits, with any `num_workers`. A sampler with
      `state_dict` is saved along.

    Workers are started as Python does by default, or by `multiprocessing_context`, "fork",
    "forkserver" or "spawn". A forked worker has the dataset as it is; to the others it is sent
    pickled, and a script must do its work under `if __name__ == "__main__"`. `worker_init_fn` is
    called in each worker with its number; `get_worker_info()` says there which one it is. A stream
    that asks for that divides itself, and batches come from each worker in turn; of any other
    stream each worker reads all and makes its share of the batches, so that nothing comes twice.

    `pin_memory` and `pin_memory_device` speak of devices that are not there, and change nothing.
    Unlike in PyTorch, the order does not depend on the default generator.
    """

    #: Annotations say of what: `DataLoader[Tensor]`.
    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

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
        _require_generator(generator, seed)
        for name, function in (("collate_fn", collate_fn), ("worker_init_fn", worker_init_fn)):
            if function is not None and not callable(function):
                raise ArgumentError(f"DataLoader: {name} must be a function, got {function!r:.60}")
        _require_dataset(dataset)
        self.streams = _is_stream(dataset)
        plain = (batch_size, bool(shuffle), drop_last) == (1, False, False)
        _require_one_order(self.streams, bool(shuffle), sampler, batch_sampler, plain)
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
        self.num_workers = whole("DataLoader: num_workers", num_workers, 0)
        self.prefetch_factor = prefetch_factor
        self.prefetch = whole("DataLoader: prefetch", prefetch, 0) or num_workers * whole(
            "DataLoader: prefetch_factor", 2 if prefetch_factor is None else prefetch_factor
        )
        self.timeout = number("DataLoader: timeout", timeout)
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self._require_use_of_workers()
        self._workers: Workers | None = None  # those that persist
        self._divided = 0  # among how many workers the stream divides itself, as far as is known
        self.generator = Generator(seed) if generator is None else generator
        self._position = 0  # batches of this epoch that the loop has received
        self._beyond: set[int] = set()  # the numbers of later ones that it has received before
        self._started: dict[str, Any] = self._random_state()  # as at the start of this epoch
        self._resumed = False

    def _require_use_of_workers(self) -> None:
        """Raise for what is said of workers where there are none, or cannot be."""
        if self.timeout < 0:
            raise ArgumentError(f"DataLoader: timeout must be seconds from 0, got {self.timeout:g}")
        if self.multiprocessing_context is not None:
            from .workers import chosen_context

            chosen_context(self.multiprocessing_context)
        if not self.num_workers:
            said = {
                "prefetch_factor": self.prefetch_factor,
                "persistent_workers": self.persistent_workers,
                "timeout": self.timeout,
            }
            for name, value in said.items():
                if value:
                    raise ArgumentError(
                        f"DataLoader: {name} is about worker processes, and num_workers=0 has "
                        f"none, got {value!r:.60}; set num_workers, or leave it out"
                    )
        elif self.streams and hasattr(self.dataset, "__next__"):
            raise ArgumentError(
                f"DataLoader: a {type(self.dataset).__name__} can be read only once, and not by "
                "several processes; use num_workers=0, or a class whose __iter__ begins anew"
            )

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
            self._beyond.clear()
            self._started = self._random_state()
        self._resumed = False

    def __iter__(self) -> Iterator[Any]:
        self._begin()
        keys = Keys(self._epoch_key(), self._started["others"])
        return self._deliver(self._made(keys, self._jobs(self._position, set(self._beyond))))

    def _made(self, keys: Keys, jobs: Iterator[Job]) -> Iterator[tuple[int, Any]]:
        """The batches of an epoch with their numbers, by whoever makes them."""
        if self.num_workers:
            return self._by_workers(keys, jobs)
        maker = self._maker()
        maker.begin(keys)
        batches = maker.made(jobs)
        return prefetched(batches, self.prefetch) if self.prefetch else batches

    def _maker(self) -> Maker:
        return Maker(self.dataset, self.collate_fn, self.batch_size, self.drop_last, self.streams)

    def _by_workers(self, keys: Keys, jobs: Iterator[Job]) -> Iterator[tuple[int, Any]]:
        from .workers import Workers, chosen_context

        workers = self._workers
        if workers is None or workers.busy or not workers.alive:
            context = chosen_context(self.multiprocessing_context)
            workers = Workers(
                self._maker(), self.num_workers, context, self.worker_init_fn, keys.backlit >> 1
            )
            if self.persistent_workers and not (self._workers and self._workers.busy):
                self._workers = workers
        batches = workers.run(keys, jobs, self.prefetch, self.in_order, self.timeout)
        try:
            for made in batches:
                self._divided = self.num_workers if workers.divided else 0
                yield made
        finally:
            batches.close()  # type: ignore[attr-defined]
            if workers is not self._workers:
                workers.stop()

    def _deliver(self, batches: Iterator[tuple[int, Any]]) -> Iterator[Any]:
        try:
            for n, batch in batches:
                self._beyond.add(n)
                if self.in_order:
                    self._position = n
                while self._position in self._beyond:
                    self._beyond.remove(self._position)
                    self._position += 1
                yield batch
            self._position = 0
            self._beyond.clear()
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

    def _jobs(self, position: int, beyond: set[int]) -> Iterator[Job]:
        """The batches of this epoch from a position on: their numbers, and whose examples."""
        jobs = ((n, None) for n in count(position)) if self.streams else self._numbered(position)
        return (job for job in jobs if job[0] not in beyond)

    def _epoch_key(self) -> int:
        """What the random numbers of this epoch's batches start from."""
        return int.from_bytes(self.generator.bits((2,)).numpy().tobytes(), "little")

    def _order(self) -> np.ndarray:
        """The example numbers of this epoch, in order."""
        if self.sampler is not None:
            order = _numbers("sampler", self.sampler)
            require_some(self.sampler, len(order), "sampler")
            return order
        if self.shuffle:
            return self.generator.permutation(len(self.dataset)).numpy()
        return np.arange(len(self.dataset))

    def _numbered(self, skipped: int) -> Iterator[tuple[int, np.ndarray]]:
        if self.batch_sampler is not None:
            n = -1
            for n, indices in enumerate(self.batch_sampler):
                if n >= skipped:
                    yield n, _numbers("batch_sampler", indices)
            require_some(self.batch_sampler, n + 1, "batch_sampler")
            return
        size = self._size
        order = self._order()
        stop = len(order) - size + 1 if self.drop_last else len(order)
        for start in range(skipped * size, stop, size):
            yield start // size, order[start : start + size]

    # -- saving -------------------------------------------------------------------------------

    def _random_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {n: int(t) for n, t in self.generator.state_dict().items()}
        state["others"] = 0 if self._maker().plain else global_state()
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
        state = {"position": self._position, **self._started}
        if self._beyond:
            state["beyond"] = sorted(self._beyond)
        if self._divided and self._position:
            state["divided"] = self._divided
        return state

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
        if state.get("divided", self.num_workers) != self.num_workers:
            raise DataError(
                "DataLoader.load_state_dict: the stream divides itself among workers, so that "
                f"num_workers must be as in the saved run, {state['divided']}, got "
                f"{self.num_workers}"
            )
        for name in ("key", "counter"):
            getattr(self.generator, name).assign(np.array(state[name], np.uint64))
        if "sampler" in state:
            sampler: Any = self.sampler if self.batch_sampler is None else self.batch_sampler
            sampler.load_state_dict(state["sampler"])
        self._position = position
        self._beyond = set(state.get("beyond", ()))
        self._divided = state.get("divided", 0)
        self._started = {**self._random_state(), "others": state.get("others", 0)}
        self._resumed = True


def _numbers(name: str, indices: Iterable[int]) -> np.ndarray:
    """What a sampler says, as whole numbers."""
    given = list(indices) if isinstance(indices, Iterable) else indices
    array = as_tensor(given).numpy()
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        what = describe(array) if array.ndim else f"{given!r:.60}"
        raise ArgumentError(f"DataLoader: a {name} gives the numbers of examples, got {what}")
    return array.astype(np.int64, copy=False)


def _has_numbers(dataset: Any) -> bool:
    return hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")


def _is_stream(dataset: Any) -> bool:
    """Whether examples come one after the other: here, in PyTorch, in Hugging Face's `datasets`."""
    named = any(c.__name__ == IterableDataset.__name__ for c in type(dataset).__mro__)
    return named or not _has_numbers(dataset)


def _require_dataset(dataset: Any) -> None:
    """Raise unless there are examples, by number or in a stream."""
    usual = _has_numbers(dataset) or isinstance(dataset, Iterable)
    of_columns = hasattr(dataset, "columns") and not isinstance(dataset, Dataset)
    if of_columns and hasattr(dataset, "shape"):
        raise ArgumentError(
            f"DataLoader: a {type(dataset).__name__} has columns and no examples by number; make a "
            "data.Table of it, and a data.TableEncoding, or data.TensorDataset(x, y) of its numbers"
        )
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
