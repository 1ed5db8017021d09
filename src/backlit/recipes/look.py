"""What is there at a path: a built-in set, a folder, a file; asked back where it is not clear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .arrays import ArrayTask
from .builtin import Cifar, Digits, Files, Playground
from .corpus import Corpus
from .form import Source
from .images import Images
from .large import LargeTable
from .large_texts import LargeText
from .recipe import Recipe
from .sequences import SequenceTask
from .series import LargeSeries, Series
from .settings import checked
from .sounds import Sounds
from .tables import Tabular
from .tagging import Tagging
from .task import Task, look_at
from .texts import TextTask

Task.kinds += [
    Playground,
    Digits,
    Files,
    Cifar,
    LargeSeries,
    LargeText,
    LargeTable,
    Images,
    Sounds,
    Tagging,
]
Task.kinds += [ArrayTask, SequenceTask, Corpus]
Task.kinds += [Series, TextTask, Tabular]  # of tables, the more special ones first


def look(
    path: str | Path,
    *,
    target: str | list[str] | None = None,
    kind: str | None = None,
    drop: str | list[str] | None = None,
    time: str | None = None,
    group: str | None = None,
    data: str | Path | None = None,
    category: str | list[str] | None = None,
    missing: str | list[str] | None = None,
    decimal: str | None = None,
    dates: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    skip_damaged: bool | None = None,
    fill: str | None = None,
) -> Recipe:
    """Look at data, and say what it is and which recipe suits it.

    `path` is the name of a built-in set, or a file or folder. `target` is the column to be learned
    of a table, `drop` columns that are left out, `time` and `group` those that order and that bind
    together. `kind` says what the data is where a look leaves that open. `data` is the folder with
    the files of MNIST and Fashion-MNIST.

    How files are read: columns of `category` are classes though they have numbers, texts of
    `missing` stand for no value, `decimal` is the sign in numbers, `dates` says of 3/12/2024 what
    comes first ("day-first", "month-first"), `header` whether the first line of a table has names,
    `encoding` is that of text files; `skip_damaged` leaves out pictures and sounds that cannot be
    read, and `fill` ("previous" or "linear") says what stands in gaps of a series.

    >>> task = look("circle")
    >>> task.kind, task.settings["model"]
    ('points', 'mlp:8-8')
    """
    given: dict[str, Any] = {"dataset": str(path), "kind": kind, "time": time, "group": group}
    lists = {"target": target, "drop": drop, "category": category, "missing": missing}
    for name, values in lists.items():
        given[name] = [values] if isinstance(values, str) else values
    given["data"] = None if data is None else str(data)
    options = {"decimal": decimal, "dates": dates, "header": header,
               "encoding": encoding, "skip_damaged": skip_damaged, "fill": fill}  # fmt: skip
    given |= checked({k: v for k, v in options.items() if v is not None})
    task = look_at(Source.of(given))
    assert isinstance(task, Recipe)
    return task
