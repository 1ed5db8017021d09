"""The way back to just before a step: a recent state of the run, and the batches since.

Steps repeat to the same bits, so a state every now and then is enough. Holding the values of before
every step instead would keep a compiled step from updating parameters in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..tensor import Tensor

_STEPS = 64  # at most so many are repeated
_BYTES = 2**25  # of batches that may be held even if the model is small


class Rewind:
    """Remembers parts of a run (with `state_dict` and `load_state_dict`) and its batches."""

    def __init__(self, parts: Mapping[str, Any], room: int = 0):
        self.parts = dict(parts)
        self.room = max(room, _BYTES)  # bytes of batches that are held
        self.state: dict[str, Any] | None = None
        self.batches: list[tuple[Any, ...]] = []
        self.held = 0

    def note(self, batch: tuple[Any, ...]) -> None:
        """Take note of a batch before the step with it."""
        size = sum(t.array.nbytes for t in batch if isinstance(t, Tensor))
        if self.state is None or len(self.batches) >= _STEPS or self.held + size > self.room:
            self.state = {name: part.state_dict() for name, part in self.parts.items()}
            self.batches, self.held = [], 0
        self.batches.append(batch)
        self.held += size

    def go_back(self, step: Callable[[tuple[Any, ...]], None]) -> None:
        """Put the parts back to before the last step, with `step` for those in between."""
        assert self.state is not None
        for name, part in self.parts.items():
            part.load_state_dict(self.state[name])
        for batch in self.batches[:-1]:
            step(batch)
