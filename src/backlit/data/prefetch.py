"""Batches made ahead of the loop that uses them, by a thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any


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


def prefetched(jobs: Iterator[Callable[[], Any]], limit: int) -> Iterator[Any]:
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


__all__ = ["prefetched"]
