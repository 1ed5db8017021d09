"""Texts of a table that is larger than memory: words are counted, and numbered, piece by piece."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..data import Table
from ..errors import DataError
from .columns import (
    choose_targets,
    dated,
    exceeds_memory,
    groups_of,
    is_table,
    left_out,
    options_named,
)
from .form import OF_TABLES, Form, Source
from .large import Pieces, Seen, stream_of
from .recipe import counted, imbalance
from .targets import Classes
from .texts import Texts, cut, found_of, length_of, recipe_of, text_column, unit_of, vocabulary_of


class LargeText(Pieces):
    """Texts in a column of a table that does not fit into memory."""

    kind = "text"

    @classmethod
    def recognise(cls, source: Source) -> LargeText | None:
        """A table that is too large to be read as a whole, with a column of texts."""
        if not is_table(source.path) or not exceeds_memory(source.path):
            return None
        with options_named():
            first = next(iter(stream_of(source)))
            targets = choose_targets(source, first)
            column = text_column(source, first, targets)
            if column is None:
                return None
            source.require_only(cls.kind, "group", *OF_TABLES)
            groups_of(source, first)
            source, notes = dated(source, first.columns)
            unit = unit_of([str(t) for t in first.columns[column].values if t is not None])
            lengths = _Lengths(column, unit)
            stream = stream_of(source, targets, kinds={column: "text"})
            seen = Seen(stream, targets, source, needs=[column], watch=lengths.add)
        target, answers = seen.learned()
        length = lengths.most_are_below()
        ignored = [n for n in stream.kinds if n != column]
        others = [n for n in ignored if n not in (*targets, source.group)]
        if others:
            notes.append(f"{', '.join(others)}: left out beside the text")
        found = [
            ("table", f"{seen.rows:,} rows, read in pieces: it is larger than memory"),
            *found_of(target, column, unit, (lengths.least, lengths.most, length),
                      counted(seen.counts(target, answers))),
            ("split", "rows are drawn by their numbers"),
        ]  # fmt: skip
        notes += [
            *left_out(seen.rows - len(answers), " or no ".join([*targets, column])),
            "copies of texts are not looked for here",
        ]
        if isinstance(target, Classes):
            notes += imbalance(seen.counts(target, answers))
        return cls(
            source, source.path.name, found, notes, recipe_of(unit, length, len(answers)),
            raw=None, answers=answers, target=target, groups=seen.groups(), known=seen.known,
            rows=stream_of(source, ignore=ignored, kinds={column: "text"}),
            column=column, unit=unit,
        )  # fmt: skip

    def __init__(self, *args: Any, column: str, unit: str, **more: Any):
        super().__init__(*args, **more)
        self.column = column
        self.unit = unit

    def learn(self, training: np.ndarray, settings: Mapping[str, Any]) -> Texts:
        """The words of the training part that occur twice, the most frequent ones."""
        tokens = (cut(text, self.unit) for text in self._texts(self.trained_rows(training)))
        words, width = vocabulary_of(tokens, self.unit, settings)
        target = self.scaled(training)
        return Texts(target, words, self.unit, settings["length"], self.column, vectors=width)

    def _texts(self, tables: Any) -> Iterator[str]:
        for table in tables:
            yield from table.columns[self.column].values

    def encode(self, form: Form, table: Table) -> np.ndarray:
        """(N, length), int64."""
        return form.encode(table.columns[self.column].values.tolist())[0]


class _Lengths:
    """How many texts there are of each length."""

    def __init__(self, column: str, unit: str):
        self.column, self.unit = column, unit
        self._counts: Counter[int] = Counter()

    def add(self, table: Table) -> None:
        """Count the texts of some rows; each must have a word."""
        for row, text in enumerate(table.columns[self.column].values):
            n = len(cut(text, self.unit))
            if not n:
                raise DataError(
                    f"{table.place(row)}: every text must have a word, got {text!r:.40}"
                )
            self._counts[n] += 1

    @property
    def least(self) -> int:
        """Of the shortest text."""
        return min(self._counts)

    @property
    def most(self) -> int:
        """Of the longest one."""
        return max(self._counts)

    def most_are_below(self) -> int:
        """The length to which texts are read."""
        return length_of(*zip(*sorted(self._counts.items()), strict=True))
