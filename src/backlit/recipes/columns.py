"""Tables: opened once, and which of their columns is to be learned."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Table
from ..data.text import read_jsonl
from ..errors import ArgumentError, DataError
from ..spelling import near_name
from .form import Source
from .targets import Classes, Labels, Numbers, Target, separator_of

#: The endings of tables.
TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".pq", ".jsonl", ".ndjson")
#: What a column is called that is to be learned, where nobody says which.
TARGETS = frozenset("target label labels class y tags category sentiment outcome species".split())
#: The most classes that a column of texts is taken for.
MOST_CLASSES = 1000


def open_table(source: Source) -> Table:
    """The table of a source; it is read once."""
    changed = Path(source.dataset).stat().st_mtime_ns
    return _opened(source.dataset, source.drop, source.target, changed)


@lru_cache(maxsize=1)
def _opened(path: str, drop: tuple[str, ...], target: tuple[str, ...], changed: int) -> Table:
    table = read_table(path, drop)
    known = [n for n in target if n in table.columns]
    known = known or [n for n in table.columns if n.lower() in TARGETS]
    if len(known) == 1 and table.columns[known[0]].kind == "number":
        return read_table(path, drop, known[0])  # whose whole numbers may be classes
    return table


def read_table(
    path: str | Path, drop: Sequence[str] = (), target: str | None = None, **kinds: Any
) -> Table:
    """The table in a file: also of records, one JSON object on each line."""
    source: Any = path
    if str(path).lower().endswith((".jsonl", ".ndjson")):
        records = read_jsonl(path, flatten=".")
        source = {name: [r.get(name) for r in records] for name in records[0]}
    return Table(source, target, ignore=drop, **kinds)


def choose_target(source: Source, table: Table, besides: Sequence[str] = ()) -> str:
    """The column to be learned: the one that was said, or the one whose name says so."""
    names = [n for n in table.columns if n not in besides]
    for name in source.target:
        if name not in table.columns:
            near = near_name(name, list(table.columns), 0.6)
            hint = f"; did you mean {near}?" if near else ""
            raise ArgumentError(
                f"{source.path.name}: target must be one of {', '.join(names)}, got {name!r}{hint}"
            )
    if len(source.target) > 1:
        raise ArgumentError(
            f"{source.path.name}: one target is learned at a time, got {', '.join(source.target)}"
        )
    if source.target:
        return source.target[0]
    named = [n for n in names if n.lower() in TARGETS]
    if len(named) == 1:
        return named[0]
    if len(names) == 1:
        return names[0]
    described = ", ".join(f"{n} ({_described(table, n)})" for n in names[:20])
    raise ArgumentError(
        f"{source.path.name}: which column is to be learned? Say --target NAME, one of {described}"
    )


def _described(table: Table, name: str) -> str:
    column = table.columns[name]
    if column.kind == "category":
        n = len(column.categories)
        return "1 category" if n == 1 else f"{n} categories"
    return {"number": "numbers", "date": "dates", "text": "texts"}[column.kind]


def answers_of(table: Table, target: str) -> tuple[Target, Any, Any]:
    """What is learned of a column, the answers in it, and the strata for a split."""
    column = table.columns[target]
    if column.kind == "number":
        values = column.values[:, None]
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(column.values))[0])
            raise DataError(
                f"{table.place(row)}: {target} must be finite, got {column.values[row]}"
            )
        return Numbers.learn([target], values), values, None
    if column.kind == "date":
        raise ArgumentError(f"{target}: a target must be classes, labels or numbers, got dates")
    texts = [column.value(i) for i in range(len(column))]
    separator = separator_of(texts)
    if separator is not None:
        return Labels.learn(texts, separator), texts, None
    different = len(set(texts))
    if column.kind == "text" or different > MOST_CLASSES:
        raise ArgumentError(
            f"{target}: a target must be classes, labels or numbers, got {different:,} different "
            f"texts in {len(texts):,} rows, as {texts[0]!r:.40}"
        )
    return Classes.learn(texts), texts, texts


def known_rows(table: Table, target: str) -> tuple[Table, list[str]]:
    """The rows that have a target, and what to say of those that have none."""
    known = table.known(target)
    lost = len(table) - len(known)
    if not len(known):
        raise DataError(f"{target}: at least one row must have a value, got none")
    return known, [f"{lost:,} rows have no {target} and are left out"] if lost else []
