"""What a person sees of a training run: a bar on a terminal, lines elsewhere, or nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID
from rich.text import Text

from ..errors import ArgumentError

_REFRESH = 0.1  # seconds between two looks at the numbers
_LINES = 20  # about so many lines of epochs are shown in a run

Formats = Mapping[str, Any]  # from the name of a number to the function that makes it readable


class Display:
    """What a Trainer tells, and to whom. This one shows nothing."""

    def start(self, epoch: int, epochs: int | None, steps: int | None, done: int) -> None:
        """A training begins (or goes on) with epoch number `epoch`, `done` steps into it."""

    def step(self, steps: int, examples: int, values: Mapping[str, float] | None) -> bool:
        """Steps are done; True if the display wants the running values next time."""
        return False

    def epoch(self, record: Mapping[str, float], best: bool, seconds: float, examples: int) -> None:
        """An epoch is done."""

    def message(self, text: str) -> None:
        """Something worth a line happened."""

    def close(self) -> None:
        """The training is over."""


class Lines(Display):
    """A table that gets a line for an epoch, for about twenty epochs of the run."""

    def __init__(self, console: Console, formats: Formats):
        self.console = console
        self.formats = formats
        self.columns: list[tuple[str, int]] = []
        self.epochs: int | None = 1
        self.every = 1

    def start(self, epoch: int, epochs: int | None, steps: int | None, done: int) -> None:
        """Remember how long the run is."""
        self.epochs = epochs
        self.every = max(1, (epochs or 1) // _LINES)

    def _numbered(self, epoch: int) -> str:
        return str(epoch) if self.epochs is None else f"{epoch}/{self.epochs}"

    def epoch(self, record: Mapping[str, float], best: bool, seconds: float, examples: int) -> None:
        """A line of the table, if it is this epoch's turn."""
        number = int(record["epoch"])
        if number % self.every and number not in (1, self.epochs):
            return
        if not self.columns:
            self._header(record)
        line = Text(self._numbered(number).rjust(9))
        for name, width in self.columns:
            value = self.formats[name](record[name]) if name in record else "-"
            watched = best and name.startswith("validation")
            line.append(value.rjust(width), style="green" if watched else "")
        rate = f"{examples / seconds:,.0f}" if seconds > 0 else "-"
        line.append(rate.rjust(12), style="dim")
        self.console.print(line, highlight=False, soft_wrap=True)

    def _header(self, record: Mapping[str, float]) -> None:
        names = [n for n in record if n in self.formats and n != "lr"]
        titles = {n: n.replace("validation_", "val. ") for n in names}
        self.columns = [(n, max(len(titles[n]), 8) + 3) for n in names]
        line = "epoch".rjust(9) + "".join(titles[n].rjust(w) for n, w in self.columns)
        self.console.print(Text(line + "samples/s".rjust(12), style="dim"), soft_wrap=True)

    def message(self, text: str) -> None:
        """The text as a line."""
        self.console.print(Text(text), soft_wrap=True)


class Bar(Lines):
    """The table, and below it a bar with the running numbers and the time left."""

    def __init__(self, console: Console, formats: Formats):
        super().__init__(console, formats)
        self.progress = Progress(
            _Column("head"),
            BarColumn(
                max(8, min(40, console.width - 64)), complete_style="cyan", finished_style="green"
            ),
            _Column("values"),
            _Left(),
            console=console,
            transient=True,
            refresh_per_second=8,
        )
        self.task: TaskID | None = None
        self.steps: int | None = None  # of an epoch
        self.now = 1  # the epoch
        self.pending = self.examples = 0  # not shown yet
        self.begun = self.last = 0.0

    def start(self, epoch: int, epochs: int | None, steps: int | None, done: int) -> None:
        """Show the bar."""
        super().start(epoch, epochs, steps, done)
        self.steps = steps
        self.now = epoch
        self.pending = 0
        self.examples = 0
        self.begun = self.last = time.monotonic()
        total = None if steps is None or epochs is None else steps * epochs
        before = 0 if steps is None else steps * (epoch - 1) + done
        fields: Any = self._fields({})
        self.task = self.progress.add_task("", total=total, completed=before, **fields)
        self.progress.start()

    def _fields(self, values: Mapping[str, float]) -> dict[str, str]:
        texts = [f"{n} {self.formats[n](v)}" for n, v in values.items() if n in self.formats]
        if self.examples:
            texts.append(f"{self.examples / max(time.monotonic() - self.begun, 1e-9):,.0f}/s")
        return {"head": f"epoch {self._numbered(self.now)}", "values": "  ".join(texts)}

    def step(self, steps: int, examples: int, values: Mapping[str, float] | None) -> bool:
        """Move the bar on, a few times in a second."""
        self.pending += steps
        self.examples += examples
        if values is not None and self.task is not None:
            fields: Any = self._fields(values)
            self.progress.update(self.task, advance=self.pending, **fields)
            self.pending = 0
            self.last = time.monotonic()
            return False
        return time.monotonic() - self.last >= _REFRESH

    def epoch(self, record: Mapping[str, float], best: bool, seconds: float, examples: int) -> None:
        """The line of the epoch, above the bar."""
        following = int(record["epoch"]) + 1
        self.now = following if self.epochs is None else min(following, self.epochs)
        super().epoch(record, best, seconds, examples)
        if self.task is not None:
            shown = [n for n in record if n in self.formats and n != "lr"][:2]
            fields: Any = self._fields({n: record[n] for n in shown})
            self.progress.update(self.task, advance=self.pending, **fields)
            self.pending = 0

    def close(self) -> None:
        """Remove the bar."""
        self.progress.stop()


class _Column(ProgressColumn):
    """A field of the task as text."""

    def __init__(self, field: str):
        super().__init__()
        self.field = field

    def render(self, task: Task) -> Text:
        return Text(str(task.fields[self.field]), no_wrap=True)


class _Left(ProgressColumn):
    """The time that is left."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        seconds = task.time_remaining
        if seconds is None:
            return Text("", no_wrap=True)
        minutes, rest = divmod(int(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        text = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
        return Text(f"{text} left", style="cyan", no_wrap=True)


def make_display(kind: str, console: Console | None, formats: Formats) -> Display:
    """The display of a kind: "bar", "lines", "quiet", or "auto" (a bar if this is a terminal)."""
    if kind not in ("auto", "bar", "lines", "quiet"):
        raise ArgumentError(
            f"Trainer: progress must be 'auto', 'bar', 'lines' or 'quiet', got {kind!r}"
        )
    if kind == "quiet":
        return Display()
    console = console or Console()
    if kind == "bar" or (kind == "auto" and console.is_terminal):
        return Bar(console, formats)
    return Lines(console, formats)
