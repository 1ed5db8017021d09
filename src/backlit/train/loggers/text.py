"""Logs as text, a line for each moment: CSV and JSON lines."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...errors import DataError
from ...files import read_bytes, set_aside, write_whole
from .base import Logger, is_later


class _TextLogger(Logger):
    """A file of lines, each written whole at once; after a crash all but the last are whole."""

    def __init__(self, path: str | os.PathLike[str], *, every_steps: int | None = None):
        super().__init__(every_steps=every_steps)
        self.path = Path(path)

    def begin(self, epoch: int, step: int) -> None:
        """Set an earlier run's file aside, or keep its lines up to here."""
        if step == 0 and epoch == 0:
            set_aside(self.path)
            self._write([])
        elif self.path.exists():
            rows = self._read(read_bytes(self.path, type(self).__name__).decode(errors="replace"))
            self._write([r for r in rows if not is_later(r, float(r["step"]), epoch, step)])
        else:
            self._write([])

    def _read(self, text: str) -> list[dict[str, Any]]:
        """The rows of the file; what is no whole row at its end is left out."""
        raise NotImplementedError

    def _write(self, rows: list[dict[str, Any]]) -> None:
        """Write the file anew."""
        raise NotImplementedError

    def _append(self, line: str) -> None:
        try:
            with open(self.path, "ab", buffering=0) as file:
                file.write(line.encode())
        except OSError as error:
            raise DataError(
                f"{type(self).__name__}: {self.path} cannot be written: {error.strerror}; free "
                "space or choose another place"
            ) from None


class JSONLogger(_TextLogger):
    r"""Write a line of JSON for each epoch: `{"step": 200, "epoch": 1, "loss": 0.31, ...}`.

    With `every_steps=n` there are lines `{"step": 100, "step_loss": 0.4}` of single steps, too. A
    number that is not finite is null. An earlier run's file is renamed (`log.1.jsonl`), unless the
    run is resumed: then its lines up to the checkpoint stay, and the run goes on below them.

    >>> import os, tempfile
    >>> from backlit import nn, ones, optim
    >>> from backlit.train import Trainer
    >>> path = os.path.join(tempfile.mkdtemp(), "log.jsonl")
    >>> model = nn.Linear(2, 1)
    >>> trainer = Trainer(
    ...     model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1),
    ...     callbacks=[JSONLogger(path)], progress="quiet",
    ... )
    >>> _ = trainer.fit([(ones((4, 2)), ones((4, 1)))], epochs=2)
    >>> [json.loads(line)["epoch"] for line in Path(path).read_text().splitlines()]
    [1, 2]
    """

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write a line."""
        self._append(_json_line({"step": step, **numbers}))

    def _read(self, text: str) -> list[dict[str, Any]]:
        rows = []
        for line in text.splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
        return rows

    def _write(self, rows: list[dict[str, Any]]) -> None:
        write_whole(self.path, "".join(map(_json_line, rows)).encode())


def _json_line(row: Mapping[str, Any]) -> str:
    finite = {
        k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()
    }
    return json.dumps(finite) + "\n"


class CSVLogger(_TextLogger):
    """Write a row of a table for each epoch: step, epoch, and the numbers of the history.

    With `every_steps=n` there are rows of single steps, too, which have a `step_loss` only. When a
    number comes that has no column yet, the file is written anew, whole, with one more. Earlier
    files and resumed runs are treated as by `JSONLogger`.
    """

    def __init__(self, path: str | os.PathLike[str], *, every_steps: int | None = None):
        super().__init__(path, every_steps=every_steps)
        self._columns: list[str] = []

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write a row."""
        row = {"step": step, **numbers}
        if set(row) <= set(self._columns):
            self._append(self._lines([row]))
            return
        text = self.path.read_text("utf-8") if self.path.exists() else ""
        self._write([*self._read(text), row])

    def _read(self, text: str) -> list[dict[str, Any]]:
        whole = text[: text.rfind("\n") + 1]
        rows = csv.DictReader(io.StringIO(whole))
        return [{k: v for k, v in row.items() if v not in (None, "")} for row in rows]

    def _write(self, rows: list[dict[str, Any]]) -> None:
        self._columns = list(dict.fromkeys(["step", "epoch", *(k for r in rows for k in r)]))
        head = [{name: name for name in self._columns}]
        if not rows:
            self._columns, head = [], []
        write_whole(self.path, self._lines([*head, *rows]).encode())

    def _lines(self, rows: Iterable[Mapping[str, Any]]) -> str:
        text = io.StringIO()
        csv.DictWriter(text, self._columns, lineterminator="\n").writerows(rows)
        return text.getvalue()
