"""What one call of `fit` holds: where batches come from, what is shown, and Ctrl-C."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..data import DataLoader
from ..errors import ArgumentError
from .arguments import as_batch, used_up
from .display import Display
from .interrupt import Interruption


@dataclass(frozen=True)
class Run:
    """One call of `fit`. As a context, it makes Ctrl-C a request, and ends the display."""

    loader: Iterable[Any]
    validation: Iterable[Any] | None
    display: Display
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
            return len(self.loader)  # type: ignore[arg-type]
        except TypeError:
            return None

    def batches(self, done: int) -> Iterator[tuple[Any, ...]]:
        """The batches of an epoch after so many that are done."""
        skipped = 0 if hasattr(self.loader, "load_state_dict") else done
        for batch in itertools.islice(self.loader, skipped, None):
            yield as_batch(batch)

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
