"""Tables: opened once, and which of their columns is to be learned."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Table
from ..data.tables.columns import MISSING, Column
from ..errors import ArgumentError, DataError
from ..spelling import near_name
from ..table import are, quantity
from .form import Source
from .targets import Classes, Labels, Numbers, Target, separator_of

#: The endings of tables.
TABLES = (
    *(".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".pq", ".jsonl", ".ndjson"),
    *(".jsonl.gz", ".ndjson.gz"),
)
#: The endings of files of text that are tables if all lines have tabs.
TEXTS = (".txt", ".text", ".dat", ".seq")
#: What a column is called that is to be learned, where nobody says which.
TARGETS = frozenset("target label labels class y tags category sentiment outcome species".split())
#: What a column is called that may have several labels with blanks between.
_OF_SEVERAL = frozenset(("tags", "labels", "keywords"))
#: What stands for 0 and 1 in columns that say whether a row has a label.
_NO_AND_YES = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"))
#: Bytes that a byte of a table takes in memory, while its texts become numbers.
_UNPACKED = 20  # measured of five short columns
#: The most classes that a column of texts is taken for.
MOST_CLASSES = 1000


def is_table(path: Path) -> bool:
    """Whether a file is a table: by its ending, or because all of its lines have as many tabs."""
    name = path.name.lower()
    if not path.is_file() or not name.endswith(TEXTS):
        return path.is_file() and name.endswith(TABLES)
    with path.open("rb") as file:
        start = file.read(1 << 16)
    lines = start.splitlines()
    lines = [line for line in (lines[:-1] if len(start) == 1 << 16 else lines) if line.strip()]
    tabs = {line.count(b"\t") for line in lines}
    return len(lines) > 1 and len(tabs) == 1 and tabs != {0}


def open_table(source: Source) -> Table:
    """The table of a source; it is read once."""
    changed = Path(source.dataset).stat().st_mtime_ns
    return _opened(replace(source, kind=None), changed)


@lru_cache(maxsize=1)
def _opened(source: Source, changed: int) -> Table:
    def read(target: str | None = None) -> Table:
        kinds = dict.fromkeys(source.category, "category")
        return read_table(source.dataset, source.drop, target, kinds, **source.dialect)

    table = read()
    known = [n for n in source.target if n in table.columns]
    known = known or [n for n in table.columns if n.lower() in TARGETS]
    if len(known) == 1 and table.columns[known[0]].kind == "number":
        return read(known[0])  # whose whole numbers may be classes
    return table


def read_table(
    path: str | Path,
    drop: Sequence[str] = (),
    target: str | None = None,
    kinds: Mapping[str, str] | None = None,
    *,
    missing: Sequence[str] = (),
    decimal: str | None = None,
    dates: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
) -> Table:
    """The table in a file."""
    _require_memory(Path(path))
    with options_named():
        return Table(
            path, target, kinds=kinds, ignore=drop, missing=MISSING | set(missing),
            decimal=decimal, dates=dates, header=header, encoding=encoding or "utf-8",
        )  # fmt: skip


@contextmanager
def options_named() -> Iterator[None]:
    """Errors of readers name the options of a recipe, where they name arguments as a cure."""
    try:
        yield
    except (ArgumentError, DataError) as error:
        raise type(error)(_as_options(str(error))) from None


#: Where an error begins to name arguments of readers, or their options.
_ADVICE = re.compile(
    r"; (?=[^;]*(?:--(?:missing|decimal|category|dates)\b|\b(?:missing|decimal)=))"
)


@contextmanager
def as_in_training() -> Iterator[None]:
    """Errors of new examples: how these are read is said by the run, and no option changes it."""
    try:
        yield
    except (ArgumentError, DataError) as error:
        said, *advice = _ADVICE.split(str(error))
        cure = "; write it as in training, or leave it empty if it is missing" if advice else ""
        raise type(error)(said + cure) from None


def _as_options(message: str) -> str:
    """A message in which arguments of readers are the options of a recipe.

    >>> _as_options("correct it, or say missing=['x'], or kinds={'n': 'category'}")
    "correct it, or say --missing 'x', or --category 'n'"
    """
    message = re.sub(r"kinds=\{('[^']*'): 'category'\}", r"--category \1", message)
    message = re.sub(r"\bTable: ignore must (not )?name", r"--drop must \1name", message)
    message = re.sub(r"\bTable: kinds must name", "--category must name", message)
    message = re.sub(r"(?:pass )?header=True or header=False", "--header or --no-header", message)
    message = re.sub(r"(?:pass )?header=False", "--no-header", message)
    return re.sub(
        r"(?:pass )?\b(missing|decimal|dates|encoding)=\[?((['\"]).*?\3)\]?",
        lambda found: f"--{found[1]} {found[2]}",
        message,
    )


def dated(source: Source, columns: Mapping[str, Column]) -> tuple[Source, list[str]]:
    """The source with the order in which its dates were read, and what to say of that."""
    orders = {name: c.order for name, c in columns.items() if c.order}
    if source.dates is not None or not orders:
        return source, []
    (name, order), *others = orders.items()
    other = next((n for n, o in others if o != order), None)
    if other is not None:
        raise DataError(
            f"{source.path.name}: dates of {name} are {order}, those of {other} {orders[other]}; "
            f"write them in one way, or leave one out: --drop {other}"
        )
    form = {"day-first": "day/month/year", "month-first": "month/day/year"}[order]
    return replace(source, dates=order), [f"{', '.join(orders)}: dates are read as {form}"]


def exceeds_memory(path: Path) -> bool:
    """Whether a table may not fit into memory as a whole, with all that is made of it."""
    there = _memory()
    return there is not None and path.stat().st_size * _UNPACKED > there


def _memory() -> int | None:
    """The bytes of memory that this process may have: the machine's, or less by a limit."""
    limits = []
    with suppress(OSError, ValueError, AttributeError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(OSError, ValueError):  # of a container
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    with suppress(ImportError):
        import resource

        for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
            limit = resource.getrlimit(kind)[0]
            limits += [limit] if limit != resource.RLIM_INFINITY else []
    return min(limits, default=None)


def _require_memory(path: Path) -> None:
    """Raise if a table that is read as a whole does not fit into memory."""
    if exceeds_memory(path):
        size = path.stat().st_size
        raise DataError(
            f"{path}: a table of {size / 2**30:,.1f} GB needs about "
            f"{size * _UNPACKED / 2**30:,.0f} GB of memory, which are not there; give a part of "
            "its rows (`backlit train` reads tables of numbers and categories, or of texts, in "
            "pieces)"
        )


def choose_targets(source: Source, table: Table, besides: Sequence[str] = ()) -> list[str]:
    """The columns to be learned: those that were said, or the one whose name says so."""
    names = [n for n in table.columns if n not in besides]
    for name in source.target:
        if name not in table.columns:
            near = near_name(name, list(table.columns), 0.6)
            hint = f"; did you mean {near}?" if near else ""
            raise ArgumentError(
                f"{source.path.name}: target must be one of {', '.join(names)}, got {name!r}{hint}"
            )
    said = list(dict.fromkeys(source.target))
    if len(said) > 1:
        if not (indicators(table, said) or _are_numbers(table, said)):
            described = ", ".join(f"{n} ({_described(table, n)})" for n in said[:8])
            raise ArgumentError(
                f"{source.path.name}: several targets must be numbers, or labels that hold 0 and 1 "
                f"(no and yes, false and true), got {described}"
            )
        return said
    return said or [_named_target(source, table, names)]


def _named_target(source: Source, table: Table, names: Sequence[str]) -> str:
    named = [n for n in names if n.lower() in TARGETS]
    if len(named) == 1:
        return named[0]
    if len(names) == 1:
        return names[0]
    kinds = {n: table.columns[n].kind for n in names}
    if sorted(kinds.values()) == ["category", "text"]:  # a text, and what is said of it
        return next(n for n, kind in kinds.items() if kind == "category")
    described = ", ".join(f"{n} ({_described(table, n)})" for n in names[:20])
    raise ArgumentError(
        f"{source.path.name}: which column is to be learned? Say --target NAME, one of {described}"
    )


def indicators(table: Table, names: Sequence[str]) -> bool:
    """Whether columns are several, and each says of a label whether a row has it, by 0 and 1."""
    return len(names) > 1 and all(_is_indicator(table.columns[n]) for n in names)


def _is_indicator(column: Column) -> bool:
    if column.kind == "number":
        return set(np.unique(column.values[~column.missing]).tolist()) <= {0, 1}
    words = {c.lower() for c in column.categories}
    return column.kind == "category" and any(words <= {no, yes} for no, yes in _NO_AND_YES)


def has_label(column: Column) -> np.ndarray:
    """Which rows have the label of a column that says so; none where it is missing."""
    if column.kind == "number":
        return column.values == 1
    positive = [c.lower() in dict(_NO_AND_YES).values() for c in column.categories]
    return np.array([*positive, False])[column.values]


def _are_numbers(table: Table, names: Sequence[str]) -> bool:
    return all(table.columns[n].kind == "number" for n in names)


def _described(table: Table, name: str) -> str:
    column = table.columns[name]
    if column.kind == "category":
        n = len(column.categories)
        return "1 category" if n == 1 else f"{n} categories"
    return {"number": "numbers", "date": "dates", "text": "texts"}[column.kind]


def answers_of(table: Table, targets: Sequence[str]) -> tuple[Target, Any, Any]:
    """What is learned of columns, the answers in them, and the strata for a split."""
    if indicators(table, targets):
        has = np.stack([has_label(table.columns[n]) for n in targets], axis=1)
        answers = [tuple(n for n, h in zip(targets, row, strict=True) if h) for row in has.tolist()]
        return Labels(tuple(targets)), answers, None
    if _are_numbers(table, targets):
        for name in targets:
            values = table.columns[name].values
            if not np.isfinite(values).all():
                row = int(np.flatnonzero(~np.isfinite(values))[0])
                raise DataError(f"{table.place(row)}: {name} must be finite, got {values[row]}")
        values = np.stack([table.columns[n].values for n in targets], axis=1)
        return Numbers.learn(targets, values), values, None
    (target,) = targets
    column = table.columns[target]
    if column.kind == "date":
        raise ArgumentError(f"{target}: a target must be classes, labels or numbers, got dates")
    texts = [column.value(i) for i in range(len(column))]
    separator = separator_of(texts, spaces=target.lower() in _OF_SEVERAL)
    if separator is not None:
        return Labels.learn(texts, separator), texts, None
    different = len(set(texts))
    if column.kind == "text" or different > MOST_CLASSES:
        most = f" (at most {MOST_CLASSES:,})" if different > MOST_CLASSES else ""
        raise ArgumentError(
            f"{target}: a target must be classes{most}, labels or numbers, got {different:,} "
            f"different texts in {quantity(len(texts), 'row')}, as {texts[0]!r:.40}"
        )
    return Classes.learn(texts), texts, texts


def groups_of(source: Source, table: Table) -> list[Hashable] | None:
    """The values of the column whose equal ones stay together in a split, if there is one."""
    name = source.group
    if name is None:
        return None
    if name not in table.columns:
        near = near_name(name, list(table.columns), 0.6)
        hint = f"; did you mean {near}?" if near else ""
        raise ArgumentError(
            f"{source.path.name}: group must be one of {', '.join(table.columns)}, got {name!r}"
            + hint
        )
    column = table.columns[name]
    return [column.value(i) for i in range(len(column))]


def known_rows(table: Table, targets: Sequence[str]) -> tuple[Table, list[str]]:
    """The rows that have every target, and what to say of those that have not."""
    known = table.known(*targets)
    if not len(known):
        raise DataError(f"{', '.join(targets)}: at least one row must have a value, got none")
    return known, left_out(len(table) - len(known), " or no ".join(targets))


def left_out(count: int, what: str) -> list[str]:
    """What to say of so many rows without something.

    >>> left_out(1, "price"), left_out(0, "price")
    (['1 row has no price and is left out'], [])
    """
    if not count:
        return []
    return [are(count, "row", f"has no {what} and is left out", f"have no {what} and are left out")]
