"""Batches made ahead of the loop that uses them, by a thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

_NONE = object()  # instead of a batch where there are no more


class _Ahead:
    """What the prefetching thread and the loop share."""

    def __init__(self, limit: int):
        self.limit = limit
        self.changed = threading.Condition()
        self.ready: deque[tuple[Any, BaseException | None]] = deque()
        self.finished = False
        self.stopped = False

    def work(self, batches: Iterator[Any]) -> None:
        """Make batches until there are no more, one fails, or the loop has ended."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.stopped or len(self.ready) < self.limit)
                if self.stopped:
                    return
            batch, error = _NONE, None
            try:
                batch = next(batches, _NONE)
            except BaseException as raised:
                error = raised
            with self.changed:
                if batch is not _NONE or error is not None:
                    self.ready.append((batch, error))
                self.finished = batch is _NONE
                self.changed.notify_all()
                if self.finished:
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


def prefetched(batches: Iterator[Any], limit: int) -> Iterator[Any]:
    """The batches, made ahead by a thread that lives no longer than this iteration."""
    ahead = _Ahead(limit)
    thread = threading.Thread(
        target=ahead.work, args=(batches,), name="backlit-prefetch", daemon=True
    )
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
