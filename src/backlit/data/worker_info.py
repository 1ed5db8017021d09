"""Which worker process this is, for a dataset that asks."""

from __future__ import annotations

from typing import Any

from .making import Maker


class WorkerInfo:
    """Which worker a process is: `id` of `num_workers`, its `seed`, and its copy of the dataset."""

    def __init__(self, number: int, count: int, seed: int, maker: Maker):
        self._number = number
        self._count = count
        self._maker = maker
        self.seed = seed
        self.begun = False  # the worker_init_fn has been called

    @property
    def id(self) -> int:
        """The number of this worker, from 0. A stream that asks for it divides itself."""
        self._maker.divide()
        return self._number

    @property
    def num_workers(self) -> int:
        """How many workers there are. A stream that asks for it divides itself."""
        self._maker.divide()
        return self._count

    @property
    def dataset(self) -> Any:
        """This worker's copy of the dataset. A `worker_init_fn` that asks divides a stream."""
        if not self.begun:
            self._maker.divide()
        return self._maker.dataset

    def __repr__(self) -> str:
        return f"WorkerInfo(id={self._number}, num_workers={self._count}, seed={self.seed})"


class Here:
    """Who this process is."""

    info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker process of a DataLoader which one it is; elsewhere None.

    An IterableDataset that reads the `id` or `num_workers` of it before its first example gives
    each worker a part of its own.

    >>> get_worker_info() is None
    True
    """
    return Here.info


__all__ = ["Here", "WorkerInfo", "get_worker_info"]
