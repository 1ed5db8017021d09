"""Tables: named columns of rows, in memory or read in pieces.

What a column is: `columns`. Where columns come from: `sources`. What becomes of rows for a
network: `encoding`.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import ArgumentError, DataError
from ...foreign import words
from ...table import Table as Printed
from ...table import quantity
from ..dataset import Dataset, IterableDataset, Subset, example_number
from .columns import MISSING, Column, joined
from .sources import Piece, Reading, pieces, whole

_CHUNK = 1 << 16  # rows


class Table(Dataset):
    """Rows with named columns of known kinds, of which one may be the target.

    >>> table = Table({"area": [50.0, 72.0, None], "town": ["Rome", "Bari", "Rome"]})
    >>> table[2]
    {'area': None, 'town': 'Rome'}
    >>> print(table)
    column  kind      different  missing  values
    ------  --------  ---------  -------  ----------
    area    number            2        1  50 … 72
    town    category          2        0  Bari, Rome
    3 rows

    `source` is a CSV file (also `.gz`), lines of JSON (`.jsonl`), a Parquet file, a DataFrame of
    pandas or polars, a table of Arrow, a data set of Hugging Face's `datasets`, a dict of columns,
    or a structured array.

    - `kinds` says of columns what they are: "number", "category", "date" or "text". Else it is
      found out: nine tenths of the values in a file must be numbers, or dates, and then the others
      are errors; other texts are categories if there are few different ones. Columns of other
      libraries keep the types they have.
    - `target` names the column that is to be predicted, or several. Whole numbers are its classes
      if there are at most 20 different, each at least twice on average, unless `kinds` says
      "number".
    - `ignore` names columns that are left out; `missing` the texts that stand for no value.
    - `dates` gives the form of dates that are not as 2024-12-31, 31.12.2024 or 2024/12/31:
      `{"day": "%B %Y"}`. With slashes, as 3/12/2024, a number above 12 says where the day is; if
      there is none, `dates="day-first"` or `"month-first"` must.
    - `delimiter`, `header`, `encoding` are the CSV file's; see `delimited.Records`. `decimal` is
      the sign in its numbers, "." or ","; the other may part thousands. By default it is a point,
      where `;` parts the fields also a comma, and commas as in 1,234,567 or 1,234.5 part thousands.

    A row is a dict of Python's values; None says that one is missing. `rows(numbers)` gives some
    rows as a table, and so does `Table.of(subset)`; `random_split` splits it as any dataset.
    """

    def __init__(
        self,
        source: Any,
        target: str | Sequence[str] | None = None,
        *,
        kinds: Mapping[str, str] | None = None,
        ignore: Collection[str] = (),
        dates: Mapping[str, str] | str | None = None,
        missing: Collection[str] = MISSING,
        decimal: str | None = None,
        delimiter: str | None = None,
        header: bool | None = None,
        encoding: str = "utf-8",
    ):
        csv = {"delimiter": delimiter, "header": header, "encoding": encoding}
        reading = Reading(target, kinds, ignore, dates, missing, decimal, csv)
        piece = whole(source, reading)
        if not len(piece.rows):
            raise DataError(f"Table: {_bare(piece)} must have at least one row, got none")
        self._piece = piece
        self.targets = reading.targets

    @classmethod
    def _made(cls, piece: Piece, targets: tuple[str, ...]) -> Table:
        table = cls.__new__(cls)
        table._piece, table.targets = piece, targets
        return table

    @classmethod
    def of(cls, rows: Any) -> Table:
        """The table that rows are, or those of its rows that a Subset has."""
        if isinstance(rows, Table):
            return rows
        numbers, dataset = None, rows
        while isinstance(dataset, Subset):
            own = np.array(dataset.indices, np.int64)
            numbers = own if numbers is None else own[numbers]
            dataset = dataset.dataset
        if not isinstance(dataset, Table):
            raise ArgumentError(f"Table: the rows must be a Table's, got {words(rows)[0]}")
        return dataset if numbers is None else dataset.rows(numbers)

    @classmethod
    def joined(cls, tables: Iterable[Table]) -> Table:
        """The rows of several tables with the same columns, as those of a TableStream, as one.

        >>> Table.joined([Table({"n": [1.0]}), Table({"n": [2.0, 3.0]})])
        Table(3 rows, n)
        """
        pieces = [table._piece for table in tables]
        if not pieces:
            raise ArgumentError("Table.joined: at least one table is needed, got none")
        columns = [joined(parts) for parts in zip(*(p.columns for p in pieces), strict=True)]
        rows = np.concatenate([p.rows for p in pieces])
        return cls._made(Piece(tuple(columns), pieces[0].source, rows), ())

    @property
    def columns(self) -> dict[str, Column]:
        """The columns by their names."""
        return {column.name: column for column in self._piece.columns}

    def __len__(self) -> int:
        return len(self._piece.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = example_number(index, len(self))
        return {column.name: column.value(row) for column in self._piece.columns}

    def rows(self, numbers: Any) -> Table:
        """The rows with these numbers, or of which a mask says so, as a table."""
        chosen = np.asarray(numbers)
        if chosen.dtype != bool:
            chosen = chosen.astype(np.int64)
        columns = tuple(column.take(chosen) for column in self._piece.columns)
        piece = Piece(columns, self._piece.source, self._piece.rows[chosen])
        return Table._made(piece, self.targets)

    def known(self, *names: str) -> Table:
        """The rows in which these columns, by default the targets, have values."""
        columns = self.columns
        missing = [columns[name].missing for name in names or self.targets]
        return self.rows(~np.any(missing, axis=0)) if missing else self

    def select(self, names: Sequence[str]) -> Table:
        """The table of these columns alone; what is not among them is no target any more."""
        known = self.columns
        lacking = [name for name in names if name not in known]
        if lacking:
            raise ArgumentError(f"Table: there is no column {lacking[0]!r} in {', '.join(known)}")
        piece = Piece(tuple(known[n] for n in names), self._piece.source, self._piece.rows)
        return Table._made(piece, tuple(n for n in self.targets if n in names))

    def place(self, row: int) -> str:
        """Where a row stands, for a message."""
        return f"{self._piece.source}{self._piece.rows[row]}"

    @property
    def features(self) -> list[str]:
        """The names of the columns that are no targets."""
        return [name for name in self.columns if name not in self.targets]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the target, if it is one column of categories; else none."""
        if len(self.targets) != 1:
            return ()
        return self.columns[self.targets[0]].categories

    def __repr__(self) -> str:
        return f"Table({quantity(len(self), 'row')}, {', '.join(self.columns)})"

    def __str__(self) -> str:
        rows = [
            (c.name, c.kind + ", target" * (c.name in self.targets), *_summary(c))
            for c in self._piece.columns
        ]
        headings = ("column", "kind", "different", "missing", "values")
        return str(Printed(headings, rows, quantity(len(self), "row")))


def _bare(piece: Piece) -> str:
    return piece.source.removesuffix(":").removesuffix(", row ")


def _summary(column: Column) -> tuple[int, int, str]:
    """How many values differ, how many are missing, and what they are like."""
    missing = column.missing
    known = column.values[~missing]
    different = len(set(known.tolist()))
    if column.kind == "category":
        values = ", ".join(column.categories[code] for code in np.unique(known)[:8])
    elif not len(known):
        values = ""
    elif column.kind == "text":
        values = str(known[0])
    elif column.kind == "number":
        values = f"{known.min():.6g} … {known.max():.6g}"
    else:
        days = bool(np.all(known == known.astype("datetime64[D]")))
        first, last = (str(moment)[: 10 if days else 19] for moment in (known.min(), known.max()))
        values = f"{first} … {last}"
    return different, int(missing.sum()), values if len(values) <= 40 else f"{values[:37]}..."


class TableStream(IterableDataset):
    """A table that is read in pieces, because it is larger than memory: each piece is a Table.

    `source` is a CSV or Parquet file, or lines of JSON, or several with the same columns. The other
    arguments are a Table's. The first `chunk` rows say what the columns are; a later value that
    does not fit raises DataError. Each iteration reads the files once. Parquet is streamed by
    pyarrow.
    """

    def __init__(
        self,
        source: Any,
        target: str | Sequence[str] | None = None,
        *,
        kinds: Mapping[str, str] | None = None,
        ignore: Collection[str] = (),
        dates: Mapping[str, str] | str | None = None,
        missing: Collection[str] = MISSING,
        decimal: str | None = None,
        delimiter: str | None = None,
        header: bool | None = None,
        encoding: str = "utf-8",
        chunk: int = _CHUNK,
    ):
        paths = [source] if isinstance(source, str | os.PathLike) else list(source)
        if not paths or not all(isinstance(path, str | os.PathLike) for path in paths):
            raise ArgumentError(
                "TableStream: source must be the path of a file, or several, got "
                f"{words(source)[0]}"
            )
        self.paths = [os.fspath(path) for path in paths]
        self.chunk = chunk
        self._required: tuple[str, ...] = ()
        self._chosen: np.ndarray | None = None
        csv = {"delimiter": delimiter, "header": header, "encoding": encoding}
        self._reading = Reading(target, kinds, ignore, dates, missing, decimal, csv)
        self.targets = self._reading.targets
        first = next(iter(self), None)
        if first is None:
            raise DataError(f"TableStream: {self.paths[0]} must have at least one row, got none")
        self.kinds = {name: column.kind for name, column in first.columns.items()}
        self._reading.found.update(self.kinds)

    def __iter__(self) -> Iterator[Table]:
        start = 0
        for path in self.paths:
            for piece in pieces(path, self._reading, self.chunk):
                table = Table._made(piece, self.targets)
                if self._chosen is not None:
                    here = self._chosen[start : start + len(table)]
                    start += len(table)
                    if not here.any():
                        continue
                    table = table.rows(here)
                yield table.known(*self._required) if self._required else table

    def known(self, *names: str) -> TableStream:
        """The stream of the rows in which these columns, by default the targets, have values."""
        stream = copy.copy(self)
        stream._required = names or self.targets
        return stream

    def where(self, chosen: np.ndarray) -> TableStream:
        """The stream of those rows, of all that the files have, for which `chosen` is True."""
        stream = copy.copy(self)
        stream._chosen = np.asarray(chosen, bool)
        return stream

    def __repr__(self) -> str:
        return f"TableStream({', '.join(self.paths)})"


__all__ = ["Table", "TableStream"]
