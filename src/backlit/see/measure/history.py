"""A computation over the steps of a training: what can be scrubbed through afterwards."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Any

from ...array_api.arguments import whole
from ...errors import ArgumentError
from ...files import write_whole
from ...table import quantity
from ..find.parting import compare
from ..records.from_tape import as_record, record
from ..records.model import Record
from ..records.value import STATISTICS, decode, number
from ..show.draw.frames import Frame, frame_of, page_of
from ..show.page import framed

#: The bytes of all pictures in one page.
TOTAL = 6 * 2**20
#: Texts of nodes times steps: of more, steps are let go.
TEXTS = 60_000
#: What a page is called that has no other title.
TITLE = "Over the training"


class History:
    """Looks at one computation at some steps of a training: see `history`."""

    def __init__(self, every: int, limit: int, pictures: Any, tokens: Any, what: str):
        self.every, self.limit, self.what = every, limit, what
        self.pictures, self.tokens = pictures, tokens
        #: The steps that are kept, in their order.
        self.steps: list[int] = []
        #: The record of the last step, with all its arrays; of earlier ones only parts are kept.
        self.record: Record | None = None
        self._frames: list[Frame] = []
        self._stride = every
        self._calls = 0

    def wants(self, step: int) -> bool:
        """Whether a look at this step would be kept."""
        return step % self._stride == 0

    def add(self, source: Any, step: int | None = None) -> bool:
        """Look at a step, if it is its turn, and say whether it was.

        `source` is the loss, before `backward` frees its graph, a record or a recording. Without
        `step` calls are counted. When there are more steps than the limit, every second is let go.
        """
        step = self._calls if step is None else step
        self._calls += 1
        if not self.wants(step):
            return False
        seen = as_record(source) if not hasattr(source, "node") else record(source, step=step)
        self._check(seen, step)
        output = None if seen.output is None else seen.nodes[seen.output].value
        label = f"{self.what} {step}"
        if output is not None and output.item() is not None:
            label += f", loss {number(output.item())}"
        self._frames.append(frame_of(seen, label, TOTAL // self.limit, self.pictures))
        self.steps.append(step)
        self.record = seen
        if len(self.steps) > min(self.limit, max(TEXTS // len(seen.nodes), 2)):
            self._thin()
        return True

    def _check(self, seen: Record, step: int) -> None:
        """Raise unless a record has the graph of those before."""
        if self.steps and step <= self.steps[-1]:
            raise ArgumentError(
                f"history: steps must go up, got {step} after {self.steps[-1]}; begin a new "
                "see.history() for another run"
            )
        if self.record is None:
            if not seen.nodes:
                raise ArgumentError("history: the record has no nodes, so there is nothing to see")
            return
        parted = compare(self.record, seen).graphs_part
        if parted is not None:
            now, then = ("nothing" if n is None else f"{n.label} ({n.type})" for n in parted[::-1])
            raise ArgumentError(
                f"history: all steps must have the same graph, but step {step} has {now} where "
                f"step {self.steps[-1]} has {then}; look at the same batch each time, of one size"
            )

    def _thin(self) -> None:
        """Let every second step go, but not the last, which the record is of."""
        self._stride *= 2
        last = len(self.steps) - 1
        kept = [i for i, s in enumerate(self.steps) if s % self._stride == 0 or i == last]
        self.steps = [self.steps[i] for i in kept]
        self._frames = [self._frames[i] for i in kept]

    def statistics(self, node: Any, what: str = "value") -> list[dict[str, float | None]]:
        """The statistics of a node's value, or gradient, at each step: min, max, mean, std, norm, …

        Six digits of each. A step at which it was not computed has None for all.
        """
        if what not in ("value", "gradient"):
            raise ArgumentError(f"history: what must be 'value' or 'gradient', got {what!r}")
        if self.record is None:
            return []
        number = self.record.find(node).id
        rows = [f[f"{what}_statistics"][number] for f in self._frames]
        return [
            dict.fromkeys(STATISTICS)
            if row is None
            else {k: decode(x) for k, x in zip(STATISTICS, row, strict=True)}
            for row in rows
        ]

    def html(self, title: str = TITLE) -> str:
        """The drawing as a page with a bar over the steps."""
        if self.record is None:
            raise ArgumentError("history: there must be at least one step to draw, got none")
        return page_of(self.record, self._frames, title, self.tokens)

    def save(self, path: str | os.PathLike[str], title: str = TITLE) -> None:
        """Write the page, `.html`; the file appears whole or not at all."""
        if Path(path).suffix.lower() != ".html":
            raise ArgumentError(
                f"history: the file's name must end in .html, got {os.fspath(path)!r}"
            )
        write_whole(path, self.html(title).encode(errors="replace"))

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        if self.record is None:
            return "History(no step yet)"
        steps = quantity(len(self.steps), "step")
        nodes = quantity(len(self.record), "node")
        return f"History({steps} from {self.steps[0]} to {self.steps[-1]}, {nodes})"

    def _repr_html_(self) -> str:
        if self.record is None:
            return escape(repr(self))
        return framed(self.html(), TITLE, 600)


def history(
    every: int = 1,
    limit: int = 24,
    *,
    pictures: Any = True,
    tokens: Any = None,
    what: str = "step",
) -> History:
    """Look at one computation over a training, to scrub through it afterwards.

    Call `add(loss)` at each step, with the loss of the same batch best. Every `every`-th step is
    looked at and at most `limit` are kept: when there are more, every second is let go and every
    second look is left out. Of a step the texts, statistics and small pictures of all values and
    gradients are kept, about 6 MB for all steps together, and no array; `save` writes a page with a
    bar over the steps, which it calls `what`. Steps that are not looked at cost nothing. `pictures`
    and `tokens` are those of `draw`. Under a Trainer use `train.History`.

    >>> import backlit as bl
    >>> w = bl.tensor([4.0, 1.0], requires_grad=True)
    >>> seen = history(every=2)
    >>> for step in range(6):
    ...     loss = (w * w).sum()
    ...     _ = seen.add(loss, step)
    ...     (gradient,) = bl.grad(loss, [w])
    ...     w = bl.tensor(w.numpy() - 0.25 * gradient.numpy(), requires_grad=True)
    >>> seen
    History(3 steps from 0 to 4, 3 nodes)
    >>> [round(row["max"], 2) for row in seen.statistics(0, "gradient")]
    [8.0, 2.0, 0.5]
    """
    number_of = whole("history: limit", limit)
    if number_of < 2:
        raise ArgumentError(f"history: limit must be at least 2, got {limit}")
    return History(whole("history: every", every), number_of, pictures, tokens, what)
