"""Records of a CSV file: its dialect found out, every record as long as the first, line by line.

Values stay texts here; what they mean is said in `columns`. Python's own `csv` splits the lines, or
for files without quotation marks `plain`, so that reading needs no other package and a file means
the same on every machine.

Source: RFC 4180, and what spreadsheets write besides: `;` or tabs between fields, a BOM in front.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import accumulate, chain, islice
from typing import BinaryIO

import numpy as np

from ...errors import DataError
from ...files import opened
from .dates import is_date
from .plain import PlainParts, is_plain

DELIMITERS = ",;\t|"
_AT_ONCE = 1 << 12  # records
_FIRST = 100  # records by which a header is known
_LOOKED_AT = 1 << 16  # characters from which the delimiter is found out


def is_number(text: str) -> bool:
    """Whether a text is a number as Python and spreadsheets write it; `1_000` is none."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


class Records:
    """The records of a CSV file, read when they are asked for, by one pass over the file.

    Iteration gives `(line, fields)`: the line on which a record ends, from 1, and its fields. Each
    iteration opens the file anew. Files that end in `.gz` are unpacked on the way.

    - `delimiter`: by default that of `,` `;` tab `|` by which the first lines fall into equally
      many fields, and most.
    - `header`: whether the first record has the names. By default it has not if all fields or a
      date are, or a word of it comes again below, and has if no field is a number or a date; else
      that must be said. Columns without a name are called `column_1`, `column_2`, …
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        delimiter: str | None = None,
        header: bool | None = None,
        encoding: str = "utf-8",
    ):
        self.path = os.fspath(path)
        self.encoding = encoding
        with self._opened() as file:
            start = file.read(_LOOKED_AT)
        if not start.strip():
            raise DataError(f"read_csv: {self.path} must have at least one record, but is empty")
        _require_text(self.path, start)
        self.delimiter = _likely_delimiter(start) if delimiter is None else delimiter
        if len(self.delimiter) != 1:
            raise DataError(f"read_csv: delimiter must be one character, got {delimiter!r}")
        _, (first, *others) = next(self._split(_FIRST if header is None else 1, header=False))
        self.header = _has_names(self.path, first, others) if header is None else header
        self.names = _names(first, self.path) if self.header else _numbered(len(first))

    @contextmanager
    def _opened(self) -> Iterator[io.TextIOBase]:
        """The file as text, and what goes wrong while it is read as one error that names it."""
        encoding = "utf-8-sig" if self.encoding.lower() in ("utf-8", "utf8") else self.encoding
        try:
            with self._bytes() as raw, io.TextIOWrapper(raw, encoding, newline="") as file:
                yield file
        except UnicodeError:
            place, likely = self._undecodable()
            if likely is None:
                raise DataError(
                    f"read_csv: {self.path} must be the text of a table, but has a null byte; it "
                    "is of another format"
                ) from None
            raise DataError(
                f"read_csv: {place} must be {self.encoding} text; it may be encoding={likely}"
            ) from None
        except LookupError as error:
            raise DataError(f"read_csv: {error}, for {self.path}") from None

    def _bytes(self) -> AbstractContextManager[BinaryIO]:
        return opened(self.path, "read_csv")

    def _undecodable(self) -> tuple[str, str | None]:
        """The place of the first bytes that have no meaning in the encoding, and a likely one.

        None is likely where there are null bytes, as in pictures: that is no text.
        """
        # A damaged gzip file may end with what is no text, and then with a wrong sum.
        with suppress(DataError), self._bytes() as file:
            for number, line in enumerate(file, 1):
                try:
                    line.decode(self.encoding)
                except UnicodeDecodeError as error:
                    byte = f"{error.object[error.start]:#04x}"
                    likely = '"cp1252" (as Windows writes) or "latin-1"'
                    if line.startswith((b"\xff\xfe", b"\xfe\xff")):
                        likely = '"utf-16"'
                    elif b"\0" in file.read(_LOOKED_AT) + line:
                        return self.path, None
                    place = f"{self.path}:{number}: byte {byte} after {error.start} others"
                    return place, likely
        return self.path, '"latin-1"'

    def _split(
        self, size: int, header: bool, skip: int = 0
    ) -> Iterator[tuple[list[int], list[list[str]]]]:
        """The lines on which records end, and their fields; so many at a time, behind some lines.

        With a `header` the first record is left out.
        """
        with self._opened() as file:
            for _ in islice(file, skip):
                pass
            reader = csv.reader(file, delimiter=self.delimiter, strict=True)
            while True:
                try:
                    if header:
                        header = not next(reader)  # blank lines may come before it
                        continue
                    before = reader.line_num
                    rows = list(islice(reader, size))
                except csv.Error as error:
                    large = "; or allow more: csv.field_size_limit(n)" * ("limit" in str(error))
                    place = f"{self.path}:{skip + reader.line_num}"
                    raise DataError(
                        f"read_csv: {place}: the record cannot be split: "
                        f"{error}; is a quotation mark missing?{large}"
                    ) from None
                if not rows:
                    return
                before += skip
                lines = list(range(before + 1, skip + reader.line_num + 1))
                if len(lines) != len(rows):  # some have line ends inside
                    ends = accumulate(1 + sum(map(_line_ends, row)) for row in rows)
                    lines = [before + end for end in ends]
                if [] in rows:  # of blank lines
                    lines = [line for line, row in zip(lines, rows, strict=True) if row]
                    rows = [row for row in rows if row]
                if rows:
                    yield lines, rows

    def pieces(self, size: int | None) -> Iterator[tuple[np.ndarray, list[Sequence[str]]]]:
        """So many records at a time, or all: the lines on which they end, and each column."""
        done, header = 0, self.header
        if is_plain(self.encoding, self.delimiter):
            with self._bytes() as file:
                parts = PlainParts(file, self.encoding, self.delimiter, len(self.names))
                while cells := parts.next(None if size is None else size + header):
                    lines = np.arange(done + 1 + header, parts.lines + 1)
                    if len(lines):
                        yield lines, [column[1:] if header else column for column in cells]
                    done, header = parts.lines, False
                if parts.ended:
                    return
        kept: list[tuple[list[int], list[list[str]]]] = []
        for lines_of, rows in self._split(size or _AT_ONCE, header, done):
            self._require_width(lines_of, rows)
            kept.append((lines_of, [list(column) for column in zip(*rows, strict=True)]))
            if size is not None:
                yield _joined([kept.pop()])
        if kept:
            yield _joined(kept)

    def _require_width(self, lines: list[int], rows: list[list[str]]) -> None:
        width = len(self.names)
        if {width}.issuperset(map(len, rows)):
            return
        bad = next(i for i, row in enumerate(rows) if len(row) != width)
        raise DataError(
            f"read_csv: {self.path}:{lines[bad]}: each record must have {width} fields "
            f"({_shown(self.names)}), got {len(rows[bad])}: {_shown(rows[bad])}"
        )

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for lines, columns in self.pieces(_AT_ONCE):
            for line, *fields in zip(lines.tolist(), *columns, strict=True):
                yield line, fields


def _joined(
    parts: list[tuple[list[int], list[list[str]]]],
) -> tuple[np.ndarray, list[Sequence[str]]]:
    lines = np.fromiter(chain.from_iterable(lines for lines, _ in parts), np.int64)
    columns = zip(*(columns for _, columns in parts), strict=True)
    return lines, [list(chain.from_iterable(of_column)) for of_column in columns]


def _line_ends(field: str) -> int:
    """How many line ends, of any kind, a field has inside."""
    return field.count("\n") + field.count("\r") - field.count("\r\n")


def _shown(texts: list[str]) -> str:
    line = ", ".join(" ".join(text.split()) for text in texts)
    return line if len(line) <= 60 else f"{line[:57]}..."


def _require_text(path: str, start: str) -> None:
    """Raise for the beginning of a file that is something else than a table."""
    if start.startswith("PK\x03\x04"):
        cure = "it is a spreadsheet or an archive; save it as CSV, or read it by pandas.read_excel"
    elif "\0" in start:
        cure = 'it is of another format, or has another encoding, as encoding="utf-16"'
    elif start.startswith("sep="):
        cure = f"its first line is Excel's; remove it, and pass delimiter={start[4:5]!r}"
    elif start.lstrip().startswith(("{", "[{")):
        cure = "it is JSON; read it by data.text.read_jsonl, and give the rows' columns"
    else:
        return
    raise DataError(f"read_csv: {path} must be the text of a table: {cure}")


def _has_names(path: str, first: list[str], others: list[list[str]]) -> bool:
    """Whether a first record has the names of columns and no values."""
    fields = [field.strip() for field in first]
    words = [i for i, f in enumerate(fields) if f and not is_number(f)]
    below = [row for row in others if row != first]  # a header that comes again is still one
    again = any(row[i].strip() == fields[i] for row in below for i in words if i < len(row))
    if not any(is_number(field) or is_date(field) for field in fields):
        return not again
    if not words or not others or again or any(map(is_date, fields)):
        return False
    raise DataError(
        f"read_csv: {path}:1: the first line may be names or values: {_shown(first)}; say "
        "header=True or header=False"
    )


def _likely_delimiter(start: str) -> str:
    """The delimiter by which the first lines have equally many fields, and most."""
    lines = start.splitlines()
    if len(start) == _LOOKED_AT:
        lines = lines[:-1] or lines  # the last one is cut off
    best, most = ",", 1
    for delimiter in DELIMITERS:
        try:
            rows = [fields for fields in csv.reader(lines[:100], delimiter=delimiter) if fields]
        except csv.Error:
            continue
        counts = [len(fields) for fields in rows]
        agreeing = sum(count == counts[0] for count in counts)
        if counts[0] > most and agreeing >= 0.9 * len(counts):
            best, most = delimiter, counts[0]
    return best


def _numbered(count: int) -> list[str]:
    return [f"column_{i + 1}" for i in range(count)]


def _names(fields: list[str], path: str) -> list[str]:
    numbered = _numbered(len(fields))
    names = [field.strip() or name for field, name in zip(fields, numbered, strict=True)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"read_csv: {path}:1: columns must have different names, got {_shown(twice)} "
            "twice; rename them, or pass header=False if the first line is a record"
        )
    return names


__all__ = ["DELIMITERS", "Records", "is_number"]
