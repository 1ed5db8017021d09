"""The way back to just before a step: a recent state of the run, and what was done since.

Steps repeat to the same bits, so a state every now and then is enough. Holding the values of before
every step instead would keep a compiled step from updating parameters in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Batch = tuple[tuple[Any, ...], list[int] | None]  # and its rows

_UNITS = 64  # at most so many are repeated
_BYTES = 2**25  # of batches that may be held even if the model is small


class Rewind:
    """Remembers parts of a run (with `state_dict` and `load_state_dict`) and its batches.

    What is done at a time is a unit, a sequence with an item for each step; `run` does the steps of
    a unit, or of a slice of one, and returns their losses; `read` gives the batch of an item, and
    the rows of the data set in it where they are known.
    """

    def __init__(
        self,
        parts: Mapping[str, Any],
        run: Callable[[Any], list[float]],
        read: Callable[[Any], Batch],
        room: int = 0,
    ):
        self.parts = dict(parts)
        self.run = run
        self.read = read
        self.room = max(room, _BYTES)  # bytes of batches that are held
        self.state: dict[str, Any] | None = None
        self.units: list[Any] = []
        self.held = 0

    def note(self, unit: Any, size: int) -> None:
        """Take note of a unit of so many bytes before its steps."""
        if self.state is None or len(self.units) >= _UNITS or self.held + size > self.room:
            self.state = {name: part.state_dict() for name, part in self.parts.items()}
            self.units, self.held = [], 0
        self.units.append(unit)
        self.held += size

    def go_back(
        self, count: int, look: Callable[[Batch], Any] | None = None, last: int = 0
    ) -> list[tuple[Any, float]]:
        """Put the parts back to after `count` steps of the last unit.

        The last `last` of the steps on the way are done one by one, each after `look` at its batch;
        returned are what `look` says and the loss, for each of them.
        """
        assert self.state is not None
        for name, part in self.parts.items():
            part.load_state_dict(self.state[name])
        pieces = [*self.units[:-1], self.units[-1][:count]]
        blind = max(sum(map(len, pieces)) - last, 0) if look is not None else None
        seen: list[tuple[Any, float]] = []
        for piece in pieces:
            together = len(piece) if blind is None else min(blind, len(piece))
            if together:
                self.run(piece[:together])
            for i in range(together, len(piece)):
                noticed = look(self.read(piece[i])) if look is not None else None
                seen.append((noticed, self.run(piece[i : i + 1])[0]))
            if blind is not None:
                blind -= together
        return seen

    def batch(self, i: int) -> Batch:
        """The batch of a step of the last unit."""
        return self.read(self.units[-1][i])

    def first_to_fail(self) -> int | None:
        """Which step of the last unit raises, when they are done one by one; None if none does."""
        unit = self.units[-1]
        self.go_back(0)
        for i in range(len(unit)):
            try:
                self.run(unit[i : i + 1])
            except Exception:
                return i
        return None
