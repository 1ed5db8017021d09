"""Where the columns of a table come from: files, and other libraries' tables."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from ...array_api.arguments import whole as whole_number
from ...errors import ArgumentError, BacklitError, DataError, MissingDependencyError
from ...foreign import words
from ...spelling import near_name
from ..text.jsonl import JsonLines
from .columns import KINDS, Column, Place, of_array, of_texts
from .dates import ORDERS
from .delimited import Records

_PARQUET = b"PAR1"
_NONE: tuple[np.ndarray, list[Sequence[str]]] = (np.zeros(0, np.int64), [])
_CLASSES = 20  # different whole numbers that a target has at most if they are classes


@dataclass(frozen=True)
class Piece:
    """Columns of the same rows, and where these stand: behind `source` comes a number of `rows`."""

    columns: tuple[Column, ...]
    source: str
    rows: np.ndarray


class Reading:
    """How columns are read, as a table is told."""

    def __init__(
        self,
        target: str | Sequence[str] | None,
        kinds: Mapping[str, str] | None,
        ignore: Collection[str],
        dates: Mapping[str, str] | str | None,
        missing: Collection[str],
        decimal: str | None,
        csv: dict[str, Any],
    ):
        self.targets = () if target is None else _as_names("target", target)
        self.kinds = dict(kinds or {})
        self.ignore = _as_names("ignore", ignore)
        self.order = dates if isinstance(dates, str) else None
        if self.order not in (None, *ORDERS):
            raise ArgumentError(
                f"Table: dates must be {' or '.join(map(repr, ORDERS))}, or forms by the names of "
                f"columns, as {{'day': '%d/%m/%Y'}}, got {dates!r}"
            )
        self.dates = {} if isinstance(dates, str) else dict(dates or {})
        self.missing = frozenset(missing) | {""}
        self.decimal = decimal
        self.csv = csv
        self.found: dict[str, str] = {}  # of a stream: columns and their kinds
        self.orders: dict[str, str] = {}  # of dates, as the first piece says
        for name, kind in self.kinds.items():
            if kind not in KINDS:
                raise ArgumentError(
                    f"Table: the kind of {name!r} must be one of {', '.join(KINDS)}, got {kind!r}"
                )
        if set(self.ignore) & set(self.targets):
            raise ArgumentError(f"Table: ignore must not name the target, got {self.ignore}")

    def look_at(self, records: Records) -> None:
        """Where commas part fields, they are no decimal signs, unless that was said."""
        if self.decimal is None and records.delimiter != ";":
            self.decimal = "?"

    def chosen(self, names: Sequence[str], source: str) -> list[str]:
        """The columns that are read, of those that there are."""
        lacking = [name for name in self.found if name not in names]
        if lacking:
            raise DataError(
                f"TableStream: {source} must have the columns of the first file, "
                f"{listed(list(self.found))}, got {listed(names)}"
            )
        for what, given in (
            ("target", self.targets),
            ("kinds", self.kinds),
            ("dates", self.dates),
            ("ignore", self.ignore),
        ):
            for name in given:
                if name not in names:
                    near = near_name(name, list(names), 0.6)
                    hint = f"; did you mean {near!r}?" if near else ""
                    raise ArgumentError(
                        f"Table: {what} must name columns of {source}, which are {listed(names)}, "
                        f"got {name!r}{hint}"
                    )
        return list(self.found) or [name for name in names if name not in self.ignore]

    def texts(self, name: str, texts: Sequence[str], place: Place) -> Column:
        """A column of a file that has texts."""

        def read(kind: str | None) -> Column:
            form = self.dates.get(name)
            given = form if form in ORDERS else self.order or self.orders.get(name)
            return of_texts(
                name,
                texts,
                place,
                kind=kind,
                missing=self.missing,
                decimal=self.decimal,
                date_format=None if form in ORDERS else form,
                order=given,
            )

        column = read(self._kind(name) or ("date" if self.dates.get(name) in ORDERS else None))
        if column.order:
            self.orders[name] = column.order
        return read("category") if self._are_classes(column) else column

    def array(self, name: str, data: Any, place: Place) -> Column:
        """A column of something that has types of its own."""
        if name in self.dates:
            return self.texts(name, ["" if v is None else str(v) for v in data], place)
        kind = self._kind(name) or _declared(data)
        column = of_array(name, data, place, kind=kind, order=self.order)
        return column.as_categories() if self._are_classes(column) else column

    def _kind(self, name: str) -> str | None:
        return self.kinds.get(name) or self.found.get(name)

    def _are_classes(self, column: Column) -> bool:
        """Whether a target's numbers, of which no kind was said, are classes."""
        if column.name not in self.targets or self._kind(column.name) or column.kind != "number":
            return False
        known = column.values[~column.missing]
        different = np.unique(known)
        few = 1 < len(different) <= min(_CLASSES, len(known) // 2)
        return few and np.array_equal(different, np.round(different))


def _as_names(what: str, names: Any) -> tuple[str, ...]:
    names = (names,) if isinstance(names, str) else tuple(names)
    if not all(isinstance(name, str) for name in names):
        raise ArgumentError(f"Table: {what} must be the name of a column, or several, got {names}")
    return names


def listed(names: Sequence[str]) -> str:
    """The names of columns, for a message."""
    shown = ", ".join(f"{name!r:.40}" for name in names[:12])
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"


def whole(source: Any, reading: Reading) -> Piece:
    """All rows of a source."""
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        if _is_json(path):
            return next(_json_pieces(path, reading, None))
        if not _is_parquet(path):
            records = Records(path, **reading.csv)
            reading.look_at(records)
            return _of_records(records, *next(records.pieces(None), _NONE), reading)
        return _of_arrays(_read_parquet(path, reading), f"{path}, row ", reading)
    return _of_arrays(_named(source, reading), f"{type(source).__name__}, row ", reading)


def pieces(path: str, reading: Reading, size: int) -> Iterator[Piece]:
    """The rows of a file, so many at a time."""
    whole_number("TableStream: chunk", size)
    if _is_parquet(path):
        yield from _parquet_pieces(path, reading, size)
        return
    if _is_json(path):
        yield from _json_pieces(path, reading, size)
        return
    records = Records(path, **reading.csv)
    reading.look_at(records)
    for lines, columns in records.pieces(size):
        yield _of_records(records, lines, columns, reading)


def _of_records(
    records: Records, lines: np.ndarray, texts: list[Sequence[str]], reading: Reading
) -> Piece:
    wanted = reading.chosen(records.names, records.path)
    columns = dict(zip(records.names, texts, strict=False))  # of no records there are none

    def place(row: int) -> str:
        return f"{records.path}:{lines[row]}"

    typed = (reading.texts(name, columns.get(name, ()), place) for name in wanted)
    return Piece(tuple(typed), f"{records.path}:", lines)


def _of_arrays(
    arrays: Mapping[str, Any],
    source: str,
    reading: Reading,
    start: int = 0,
    lines: np.ndarray | None = None,
) -> Piece:
    def place(row: int) -> str:
        return f"{source}{start + row if lines is None else lines[row]}"

    columns = tuple(reading.array(name, data, place) for name, data in arrays.items())
    sizes = {column.name: len(column) for column in columns}
    if len(set(sizes.values())) > 1:
        raise DataError(f"Table: all columns must be equally long, got {sizes}")
    count = next(iter(sizes.values()), 0)
    return Piece(columns, source, np.arange(start, start + count) if lines is None else lines)


# -- other libraries' tables ----------------------------------------------------------------------

#: How the types of columns begin that say that they are categories: pandas', polars', Arrow's.
_DECLARED = ("category", "Categorical", "Enum", "dictionary")


def _named(source: Any, reading: Reading) -> dict[str, Any]:
    """The columns of an object, by what tables of its kind have in common."""
    kind = type(source).__name__
    if isinstance(source, Mapping):
        names, column = list(source), source.__getitem__
    elif isinstance(source, np.ndarray) and source.dtype.names:
        names, column = list(source.dtype.names), source.__getitem__
    elif hasattr(source, "collect"):
        raise ArgumentError(f"Table: the {kind} must hold its rows; use its collect()")
    elif hasattr(source, "column_names") and hasattr(source, "with_format"):  # of `datasets`
        return _named(source.with_format("arrow")[:], reading)
    elif hasattr(source, "column_names") and hasattr(source, "column"):  # Arrow
        names, column = list(source.column_names), source.column
    elif hasattr(source, "columns") and hasattr(source, "__getitem__"):  # pandas, polars
        names, column = list(source.columns), source.__getitem__
    else:
        raise ArgumentError(
            "Table: source must be a file, a DataFrame, an Arrow table, a data set of `datasets` "
            f"or a dict of columns, got {words(source)[0]}"
        )
    strange = [name for name in names if not isinstance(name, str)]
    if strange or not names:
        got = f"{strange[0]!r}" if strange else "no column"
        raise DataError(f"Table: the columns of the {kind} must be named by texts, got {got}")
    arrays = {name: column(name) for name in reading.chosen(names, f"the {kind}")}
    if any(hasattr(data, "column_names") for data in arrays.values()):
        raise ArgumentError(
            f"Table: source must be one table, got several in a {kind}; give source[{names[0]!r}]"
        )
    return arrays


def _declared(data: Any) -> str | None:
    """The kind that a column's type says, beyond what its values do."""
    declared = str(getattr(data, "dtype", getattr(data, "type", "")))
    return "category" if declared.startswith(_DECLARED) else None


# -- lines of JSON --------------------------------------------------------------------------------


def _is_json(path: str) -> bool:
    return path.lower().removesuffix(".gz").endswith((".jsonl", ".ndjson"))


def _json_pieces(path: str, reading: Reading, size: int | None) -> Iterator[Piece]:
    """The records of a file, so many at a time; a field that one lacks is a missing value."""
    records = JsonLines(path, flatten=".", sparse=True, encoding=reading.csv["encoding"]).numbered()
    names: list[str] = []
    while some := list(islice(records, size)):
        lines = [line for line, _ in some]
        there = dict.fromkeys(name for _, record in some for name in record)
        odd = next((n for n in there if names and n not in names), None)
        if odd is not None:
            row = next(line for line, record in some if odd in record)
            raise DataError(
                f"TableStream: {path}:{row}: the field {odd!r} must be in one of the first "
                f"{size:,} records, by which the columns are known, got {listed(names)}"
            )
        names = names or list(there)
        arrays = {n: [r.get(n) for _, r in some] for n in reading.chosen(names, path)}
        piece = _of_arrays(arrays, f"{path}:", reading, lines=np.array(lines))
        yield piece


# -- Parquet --------------------------------------------------------------------------------------


def _is_parquet(path: str) -> bool:
    """Whether a file begins as Parquet's do; what cannot be opened is told by who reads it."""
    try:
        with open(path, "rb") as file:
            return file.read(4) == _PARQUET
    except OSError:
        return False


@contextmanager
def _parquet_read(path: str, readers: str) -> Iterator[None]:
    """What goes wrong while a Parquet file is read, as one error."""
    try:
        yield
    except BacklitError:
        raise
    except ImportError:
        raise MissingDependencyError(
            f"Table: {path} is a Parquet file, which is read by {readers}, and that is not "
            "installed; run: pip install 'backlit[parquet]'"
        ) from None
    except Exception as error:  # pyarrow's, of which there are many
        reason = " ".join(str(error).split())
        raise DataError(
            f"Table: {path} cannot be read as a Parquet file: {reason:.200}; it is truncated or "
            "damaged"
        ) from None


def _read_parquet(path: str, reading: Reading) -> dict[str, Any]:
    with _parquet_read(path, "pyarrow or pandas"):
        try:
            from pyarrow import parquet
        except ImportError:
            import pandas

            return _named(pandas.read_parquet(path), reading)
        with parquet.ParquetFile(path) as file:
            wanted = reading.chosen(file.schema_arrow.names, path)
            table = file.read(wanted)
            return {name: table.column(name) for name in wanted}


def _parquet_pieces(path: str, reading: Reading, size: int) -> Iterator[Piece]:
    start = 0
    with _parquet_read(path, "pyarrow in pieces"):
        from pyarrow import parquet

        with parquet.ParquetFile(path) as file:
            wanted = reading.chosen(file.schema_arrow.names, path)
            for batch in file.iter_batches(size, columns=wanted):
                arrays = {name: batch.column(name) for name in wanted}
                yield _of_arrays(arrays, f"{path}, row ", reading, start)
                start += len(batch)


__all__ = ["Piece", "Reading", "listed", "pieces", "whole"]
