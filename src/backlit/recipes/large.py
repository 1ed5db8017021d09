"""Rows of a table that is larger than memory: it is read in pieces, never as a whole.

One pass learns what the columns hold, and the answers; a second the means, deviations and
categories of the rows that train; a third writes all rows as numbers into a temporary file, from
which batches are taken in any order. In memory are a piece of the table, the answers, and where
each row lies.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from ..data import Table, TableEncoding, TableStream, TensorDataset
from ..data.tables.columns import MISSING, Column
from ..errors import DataError
from .columns import (
    MOST_CLASSES,
    choose_targets,
    dated,
    exceeds_memory,
    groups_of,
    has_label,
    indicators,
    is_table,
    left_out,
    options_named,
)
from .form import OF_TABLES, Form, Parts, Source
from .recipe import Examples, batch_for, counted, epochs_for
from .tables import Rows, commas_of, described, targets_text
from .targets import Classes, Labels, Numbers, Target


class Pieces(Examples):
    """Examples of a table that is read in pieces: `rows`, of which those that are `known` count."""

    def __init__(self, *args: Any, rows: TableStream, known: np.ndarray, **more: Any):
        super().__init__(*args, **more)
        self.rows = rows
        self.known = known

    def trained_rows(self, training: np.ndarray) -> TableStream:
        """The rows of these examples."""
        chosen = np.zeros(len(self.known), bool)
        chosen[np.flatnonzero(self.known)[training]] = True
        return self.rows.where(chosen)

    def scaled(self, training: np.ndarray) -> Target:
        """The target by the answers of these examples."""
        target: Target = self.target
        return target.scaled(self.answers[training]) if isinstance(target, Numbers) else target

    def encode(self, form: Form, table: Table) -> np.ndarray:
        """What the network reads of some rows."""
        raise NotImplementedError

    def parts(self, settings: Mapping[str, Any], form: Form | None = None) -> Parts:
        """The rows of each part, as numbers in a temporary file."""
        found = self.split(settings)
        form = form or replace(self.learn(found.training, settings), dialect=self.source.dialect)
        order = np.concatenate([found.training, found.validation, found.test])
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        x: Any = None
        at = 0
        for table in self.rows.where(self.known):
            encoded = self.encode(form, table)
            if x is None:
                with tempfile.TemporaryFile(prefix="backlit-") as file:
                    shape = (len(order), *encoded.shape[1:])
                    x = np.memmap(file, encoded.dtype, "w+", shape=shape)
            x[place[at : at + len(table)]] = encoded
            at += len(table)
        y = self._encoded(form.target)[order]
        ends = np.cumsum([0, *found.sizes]).tolist()
        made = [TensorDataset(x[a:b], y[a:b]) for a, b in pairwise(ends)]
        return Parts(form, *made)

    def _encoded(self, target: Target) -> np.ndarray:
        if isinstance(target, Numbers):
            return target.encode(self.answers)
        return self.answers.astype(np.int64 if isinstance(target, Classes) else np.float32)


class LargeTable(Pieces):
    """Rows of a table of numbers, categories and dates that does not fit into memory."""

    kind = "table"

    @classmethod
    def recognise(cls, source: Source) -> LargeTable | None:
        """A CSV or Parquet file that is too large to be read as a whole."""
        if not is_table(source.path) or not exceeds_memory(source.path):
            return None
        source.require_only(cls.kind, "group", *OF_TABLES)
        with options_named():
            first = next(iter(stream_of(source)))
            targets = choose_targets(source, first)
            groups_of(source, first)
            source, ordered = dated(source, first.columns)
            stream = stream_of(source, targets)
            seen = Seen(stream, targets, source)
        useless, why = seen.useless()
        features = [n for n in stream.kinds if n not in (*targets, source.group, *useless)]
        if not features:
            raise DataError(
                f"{source.path}: at least one column besides {', '.join(targets)} must say "
                f"something, but {'; '.join(why) or 'there is none'}"
            )
        target, answers = seen.learned()
        found = [
            ("table", f"{seen.rows:,} rows, read in pieces: it is larger than memory"),
            ("columns", described({n: stream.kinds[n] for n in features})),
            *targets_text(targets, target, answers, counted(seen.counts(target, answers))),
            ("split", "rows are drawn by their numbers"),
        ]
        gaps = {n: seen.columns[n].missing for n in features if seen.columns[n].missing}
        missing = ", ".join(f"{n} in {count:,}" for n, count in [*gaps.items()][:6])
        notes = [
            *left_out(seen.rows - len(answers), " or no ".join(targets)),
            *why,
            *ordered,
            *([f"values are missing: {missing} of {seen.rows:,} rows; the mean stands there"]
              if missing else []),
            "copies of rows, and columns that give the answer away, are not looked for here",
        ]  # fmt: skip
        size = batch_for(len(answers))
        settings = {
            "model": "mlp:64-32" if len(answers) < 20_000 else "mlp:256-128",
            "dropout": 0.1,
            "batch_size": size,
            "epochs": epochs_for(len(answers), size),
        }
        ignored = [n for n in stream.kinds if n not in features]
        return cls(
            source, source.path.name, found, notes, settings,
            raw=None, answers=answers, target=target, groups=seen.groups(),
            rows=stream_of(source, ignore=ignored), known=seen.known,
        )  # fmt: skip

    def learn(self, training: np.ndarray, settings: Mapping[str, Any]) -> Rows:
        """Means, deviations and categories of the training part."""
        encoding = TableEncoding(self.trained_rows(training))
        kinds = {n: self.rows.kinds[n] for n in encoding.columns}
        first: Table = next(iter(self.trained_rows(training)))
        state = encoding.state_dict()
        return Rows(self.scaled(training), state, kinds, commas=commas_of(first))

    def encode(self, form: Form, table: Table) -> np.ndarray:
        """(N, inputs), float32."""
        assert isinstance(form, Rows)
        return form.encode(table)[0]


class _Known:
    """What is known of a column after all rows, gathered piece by piece."""

    def __init__(self, kind: str):
        self.kind = kind
        self.missing = 0
        self.different: set[Any] = set()
        self.counting = True  # whether each number is the one before and 1
        self._last: float | None = None

    def add(self, column: Column) -> None:
        missing = column.missing
        self.missing += int(missing.sum())
        if self.kind == "category":
            self.different.update(column.categories)
        elif len(self.different) <= 1 and self.kind != "text":
            self.different.update(np.unique(column.values[~missing])[:2].tolist())
        if self.kind == "number" and self.counting:
            before = column.values[:1] - 1 if self._last is None else np.array([self._last])
            steps = np.diff(np.concatenate([before, column.values]))
            self.counting = bool((steps == 1).all())
            self._last = float(column.values[-1])


class Seen:
    """What a first pass says: of each column, the answers, and which rows have one."""

    def __init__(
        self,
        stream: TableStream,
        targets: Sequence[str],
        source: Source,
        needs: Sequence[str] = (),
        watch: Callable[[Table], None] | None = None,
    ):
        """`needs` are further columns that must have a value; `watch` gets the rows that count."""
        self.targets, self.source, self.needs, self.watch = list(targets), source, needs, watch
        self.columns = {name: _Known(kind) for name, kind in stream.kinds.items()}
        self.rows = 0
        self._answers: list[np.ndarray] = []
        self._known: list[np.ndarray] = []
        self._groups: list[np.ndarray] = []
        self._classes: dict[str, int] = {}
        self._numbers: dict[Any, int] = {}
        self._labels = self._class = False
        for table in stream:
            self._add(table)
        self.known = np.concatenate(self._known)
        if not self.known.any():
            raise DataError(f"{', '.join(targets)}: at least one row must have a value, got none")

    def _add(self, table: Table) -> None:
        if not self.rows:
            self._labels = indicators(table, self.targets)
            self._class = len(self.targets) == 1 and table.columns[self.targets[0]].kind in (
                "category", "text"
            )  # fmt: skip
        self.rows += len(table)
        columns = [table.columns[n] for n in self.targets]
        for name, column in table.columns.items():
            self.columns[name].add(column)
        needed = [*columns, *(table.columns[n] for n in self.needs)]
        there = ~np.any([c.missing for c in needed], axis=0)
        self._known.append(there)
        if self.watch is not None:
            self.watch(table.rows(there))
        if self._labels:
            if not indicators(table, self.targets):
                raise DataError(
                    f"{table.place(0)}: {', '.join(self.targets)} must hold 0 and 1, as the rows "
                    "before, got other values behind here"
                )
            self._answers.append(np.stack([has_label(c) for c in columns], axis=1)[there])
        elif self._class:
            (column,) = columns
            codes = [self._classes.setdefault(c, len(self._classes)) for c in column.categories]
            if column.kind == "text" or len(self._classes) > MOST_CLASSES:
                raise DataError(
                    f"{column.name}: a target must be classes, labels or numbers, got more than "
                    f"{MOST_CLASSES:,} different texts"
                )
            self._answers.append(np.array([*codes, -1], np.int32)[column.values][there])
        else:
            self._answers.append(np.stack([c.values for c in columns], axis=1)[there])
        if self.source.group is not None and self.source.group in table.columns:
            column = table.columns[self.source.group]
            values = [column.value(i) for i in np.flatnonzero(there).tolist()]
            numbers = self._numbers
            self._groups.append(np.array([numbers.setdefault(v, len(numbers)) for v in values]))

    def groups(self) -> np.ndarray | None:
        """The group of each row that has an answer."""
        return np.concatenate(self._groups) if self._groups else None

    def learned(self) -> tuple[Target, np.ndarray]:
        """What is learned, and the answers: numbers of classes, 0 and 1 of labels, or numbers."""
        answers = np.concatenate(self._answers)
        if self._labels:
            return Labels(tuple(self.targets)), answers
        if self._class:
            target = Classes.learn(list(self._classes))
            return target, target.encode(list(self._classes))[answers]
        bad = np.flatnonzero(~np.isfinite(answers).all(axis=1))
        if len(bad):
            row = int(np.flatnonzero(self.known)[bad[0]])
            raise DataError(
                f"{self.source.path}: {', '.join(self.targets)} must be finite, got "
                f"{answers[bad[0]].tolist()} in row {row + 1:,}"
            )
        return Numbers.learn(self.targets, answers), answers

    def counts(self, target: Target, answers: np.ndarray) -> Counter[str]:
        """How often each class, or each label, occurs."""
        counts = Counter(dict.fromkeys(target.labels, 0))
        if isinstance(target, Classes):
            counts.update(dict(zip(target.names, np.bincount(answers).tolist(), strict=True)))
        elif isinstance(target, Labels):
            counts.update(dict(zip(target.names, answers.sum(axis=0).astype(int), strict=True)))
        return counts

    def useless(self) -> tuple[list[str], list[str]]:
        """Columns that say nothing, and why: they are left out."""
        useless, why = [], []
        for name, known in self.columns.items():
            if name in (*self.targets, self.source.group):
                continue
            reason = None
            if known.kind == "text":
                reason = "holds texts, which are not read where a table is larger than memory,"
            elif len(known.different) > MOST_CLASSES:
                reason = f"has more than {MOST_CLASSES:,} categories"
            elif not known.different:
                reason = "is empty"
            elif len(known.different) == 1 and not known.missing:
                reason = "never changes"
            elif known.kind == "number" and known.counting:
                reason = "counts the rows"
            if reason:
                useless.append(name)
                why.append(f"{name} {reason} and is left out")
        return useless, why


def stream_of(
    source: Source,
    targets: Sequence[str] = (),
    ignore: Sequence[str] = (),
    kinds: Mapping[str, str] | None = None,
) -> TableStream:
    """The pieces of a table, without some columns; `kinds` says what others are."""
    known = {n: "category" for n in source.category if n not in ignore} | dict(kinds or {})
    return TableStream(
        source.dataset,
        list(targets) or None,
        kinds=known,
        ignore=[*source.drop, *ignore],
        missing=MISSING | set(source.missing),
        decimal=source.decimal,
        dates=source.dates,
        header=source.header,
        encoding=source.encoding or "utf-8",
    )
