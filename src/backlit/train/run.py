"""What one call of `fit` holds: where batches come from, what is shown, and Ctrl-C."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..data import DataLoader
from ..errors import ArgumentError
from .arguments import used_up
from .batch import Batch, as_batch
from .display import Display
from .interrupt import Interruption


@dataclass(frozen=True)
class Run:
    """One call of `fit`. As a context, it makes Ctrl-C a request, and ends the display."""

    loader: Iterable[Any]
    validation: Iterable[Any] | None
    display: Display
    #: Updates after which it ends, in all; batches of an epoch and of a validation; None for all.
    max_steps: int | None = None
    limit: int | None = None
    validation_limit: int | None = None
    interruption: Interruption = field(default_factory=Interruption)

    def __enter__(self) -> Run:
        self.interruption.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.display.close()
        self.interruption.__exit__(*error)

    @property
    def length(self) -> int | None:
        """The batches in an epoch, where that is known."""
        try:
            length = len(self.loader)  # type: ignore[arg-type]
        except TypeError:
            return self.limit
        return length if self.limit is None else min(length, self.limit)

    def reached(self, steps: int) -> bool:
        """Whether so many updates are all that was asked for."""
        return self.max_steps is not None and steps >= self.max_steps

    def batches(self, done: int) -> Iterator[Batch]:
        """The batches of an epoch after so many that are done."""
        if self.limit is not None and done >= self.limit:
            return
        skipped = 0 if hasattr(self.loader, "load_state_dict") else done
        left = None if self.limit is None else skipped + self.limit - done
        for batch in itertools.islice(self.loader, skipped, left):
            yield as_batch(batch)

    def end_epoch(self, done: int) -> None:
        """An epoch of so many batches is over, and the next begins anew, also where it was cut."""
        if done == self.limit:
            begin_anew(self.loader)
        if self.validation_limit is not None:
            begin_anew(self.validation)

    def require_batches(self, done: int) -> None:
        """Raise if there was none in an epoch."""
        if done == 0:
            raise ArgumentError(
                "fit: the loader must give at least one batch, got none; with drop_last the batch "
                f"size must not exceed the number of examples{used_up(self.loader)}"
            )

    def pause(self) -> None:
        """Let the next `fit` go on in the epoch where this one stopped."""
        if isinstance(self.loader, DataLoader):
            self.loader.load_state_dict(self.loader.state_dict())


def begin_anew(loader: Any) -> None:
    """Let the next loop over a loader begin a new epoch, wherever the last one ended."""
    if isinstance(loader, DataLoader):
        now = {name: int(t) for name, t in loader.generator.state_dict().items()}
        loader.load_state_dict({**loader.state_dict(), **now, "position": 0})
