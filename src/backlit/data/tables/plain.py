"""CSV files without quotation marks, split at their bytes: what `csv` would give, sooner.

Where no field is quoted, a record is a line, and its fields are what lies between the delimiters.
That is checked for each part of a file (as many delimiters in each line, no other line ends); what
is not so, `csv` reads.

Numbers are read off the bytes, too. m / 10^k is the number of which m are the digits and k those
behind the point, rounded once, as long as m < 2^53 and k ≤ 22, because then both are exact: W. D.
Clinger, "How to read floating point numbers accurately", PLDI 1990, sec. 1. Python reads others.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, overload

import numpy as np

#: Bytes that are read at once.
_READ = 1 << 22
#: How encodings begin in which delimiters and line ends are bytes of ASCII, and part of nothing.
_BYTES = ("utf-8", "ascii", "iso8859", "cp125")
_MARK = codecs.BOM_UTF8
#: Digits of a number that is exact in float64, signs of the longest number, and of a coded text.
_EXACT, _LONGEST, _CODED = 15, 48, 24
#: Fields that perhaps are all the different ones; what makes keys of fields, of 8 bytes or more.
_SAMPLE, _EIGHT, _MIXING = 1000, np.uint64(256), np.uint64(0x9E3779B97F4A7C15)
#: Fields that are read at once: so few that what is made of them stays in the cache.
_BLOCK = 1 << 14
#: Fields that say quickly that a column is no numbers.
_FIRST = 100
_POWERS = np.array([float(f"1e{k}") for k in range(_LONGEST + 1)])
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
#: Where the parts of a date lie in it: year, month, day; hour, minute; second.
_PARTS = {10: ((0, 4), (5, 7), (8, 10)), 16: ((11, 13), (14, 16)), 19: ((17, 19),)}
_SIGNS = {4: b"-", 7: b"-", 10: b" T", 13: b":", 16: b":"}


def is_plain(encoding: str, delimiter: str) -> bool:
    """Whether files in an encoding can be split at their bytes."""
    return codecs.lookup(encoding).name.startswith(_BYTES) and delimiter in ",;\t|"


class Cells(Sequence[str]):
    """The fields of a column, each a piece [start, end) of some bytes; texts when they are asked.

    Behind the bytes lie as many as the longest number has.
    """

    def __init__(self, signs: np.ndarray, starts: np.ndarray, ends: np.ndarray, encoding: str):
        self.signs, self.starts, self.ends, self.encoding = signs, starts, ends, encoding
        self._texts: list[str] | None = None

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> Cells: ...
    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return Cells(self.signs, self.starts[row], self.ends[row], self.encoding)
        return self.signs[self.starts[row] : self.ends[row]].tobytes().decode(self.encoding)

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts())

    def texts(self) -> list[str]:
        """All fields."""
        if self._texts is None:
            text = self.signs.tobytes().decode("latin-1")
            places = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
            self._texts = [text[start:end] for start, end in places]
            high = np.flatnonzero(self.signs >= 128)
            others = np.searchsorted(high, self.starts) < np.searchsorted(high, self.ends)
            for row in np.flatnonzero(others).tolist():
                self._texts[row] = self._texts[row].encode("latin-1").decode(self.encoding)
        return self._texts

    def numbers(self) -> np.ndarray | None:
        """The fields as numbers, NaN where one is empty; None if one is something else."""
        lengths = self.ends - self.starts
        longest = int(lengths.max(initial=0))
        if not 0 < longest <= _LONGEST:
            return None
        if len(self) > _FIRST and lengths[:_FIRST].any() and self[:_FIRST].numbers() is None:
            return None
        if len(self) > _BLOCK:
            made = np.empty(len(self))
            for row in range(0, len(self), _BLOCK):
                found = self[row : row + _BLOCK].numbers()
                if found is None and lengths[row : row + _BLOCK].any():
                    return None
                made[row : row + _BLOCK] = np.nan if found is None else found
            return made
        digits = np.zeros(len(self), np.int64)  # the number that they make
        count, behind = np.zeros(len(self), np.int8), np.zeros(len(self), np.int8)
        point, other = np.zeros(len(self), bool), np.zeros(len(self), bool)
        for i in range(longest):
            sign = self.signs[self.starts + i]
            inside = lengths > i
            value = sign - np.uint8(ord("0"))
            digit = (value < 10) & inside
            digits = np.where(digit, digits * 10 + value, digits)
            count += digit
            behind += digit & point
            known = digit | ((sign == ord(".")) & ~point)
            if i == 0:
                known |= (sign == ord("-")) | (sign == ord("+"))
            other |= inside & ~known
            point |= (sign == ord(".")) & inside
        values = digits / _POWERS[behind]
        values = np.where(self.signs[self.starts] == ord("-"), -values, values)
        empty = lengths == 0
        values[empty] = np.nan
        hard = np.flatnonzero((other | (count == 0) | (count > _EXACT)) & ~empty)
        for row in hard.tolist():
            text = self[row]
            if not _NUMBER.fullmatch(text):
                return None
            values[row] = float(text)
        return values

    def dates(self) -> np.ndarray | None:
        """The fields as dates (2024-12-31, with or without 23:59 or 23:59:59); None if not all."""
        length = int(self.ends[0] - self.starts[0]) if len(self) else 0
        if length not in _PARTS or (self.ends - self.starts != length).any():
            return None
        signs = [self.signs[self.starts + i] for i in range(length)]
        for i, sign in enumerate(signs):
            wanted = np.frombuffer(_SIGNS.get(i, b"0123456789"), np.uint8)
            if not np.isin(sign, wanted).all():
                return None

        def number(start: int, end: int) -> np.ndarray:
            total = np.zeros(len(self), np.int64)
            for sign in signs[start:end]:
                total = 10 * total + (sign - np.uint8(ord("0")))
            return total

        parts = [number(*p) for n, places in _PARTS.items() if n <= length for p in places]
        parts += [np.zeros(1, np.int64)] * (6 - len(parts))
        year, month, day, hour, minute, second = parts
        months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
        days = months.astype("datetime64[D]") + (day - 1)
        fits = (year > 0) & (month >= 1) & (month <= 12) & (hour < 24) & (minute < 60)
        if not (fits & (second < 60) & (days.astype("datetime64[M]") == months)).all():
            return None
        seconds = (3600 * hour + 60 * minute + second).astype("timedelta64[s]")
        return days.astype("datetime64[us]") + seconds

    def coded(self) -> tuple[list[str], np.ndarray] | None:
        """The different fields and the place of each row's; None for long or for many of them."""
        lengths = self.ends - self.starts
        longest = int(lengths.max(initial=0))
        if not 0 < longest <= _CODED:
            return None
        signs = [np.where(lengths > i, self.signs[self.starts + i], 0) for i in range(longest)]
        keys = np.zeros(len(self), np.uint64)
        for sign in signs:  # no byte is 0: shorter fields stay different
            keys = keys * (_EIGHT if longest <= 8 else _MIXING) + sign
        first, codes = _places(keys)
        if 2 * len(first) > len(self):
            return None
        if longest > 8 and any((sign[first][codes] != sign).any() for sign in signs):
            return None  # different fields had one key
        return [self[row] for row in first.tolist()], codes


def _places(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first rows of different keys, and for each row which of these has its key."""
    known, first = np.unique(keys[:_SAMPLE], return_index=True)
    codes = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    if (known[codes] == keys).all():
        return first, codes
    _, first, codes = np.unique(keys, return_index=True, return_inverse=True)
    return first, codes


class PlainParts:
    """The parts of a file, one after the other, from its beginning, until one is not plain.

    `next` gives the columns of the next records; None at the end, and where a part is not plain:
    then `ended` is False, and `lines` says how many lines were split.
    """

    def __init__(self, file: BinaryIO, encoding: str, delimiter: str, width: int):
        self.file, self.encoding, self.delimiter, self.width = file, encoding, delimiter, width
        self.lines = 0
        self.ended = False
        self._rest: bytes | None = None  # None before the first part

    def next(self, size: int | None) -> list[Cells] | None:
        """The columns of so many records, or of all."""
        part = self._lines(size)
        if not part:
            self.ended = True
            return None
        if b"\r" in part:
            if part.count(b"\r") != part.count(b"\r\n"):
                return None
            part = part.replace(b"\r\n", b"\n")
        if b'"' in part or b"\0" in part or not self._is_text(part):
            return None
        signs = np.frombuffer(part + bytes(_LONGEST), np.uint8)
        used = signs[: len(part)]
        ends = np.flatnonzero(used == ord("\n"))
        between = np.flatnonzero(used == ord(self.delimiter))
        if len(between) != len(ends) * (self.width - 1):
            return None
        marks = np.concatenate([between.reshape(len(ends), -1), ends[:, None]], axis=1)
        starts = np.concatenate([[-1], marks.ravel()[:-1]]).reshape(marks.shape) + 1
        lengths = np.diff(ends, prepend=-1)
        if (marks < starts).any() or lengths.max() > csv.field_size_limit() or lengths.min() == 1:
            return None  # a record with too few fields, a very long one, or a blank line
        self.lines += len(ends)
        encoding = self.encoding
        return [Cells(signs, s, e, encoding) for s, e in zip(starts.T, marks.T, strict=True)]

    def _lines(self, size: int | None) -> bytes:
        """So many whole lines, each with its end, or all; nothing at the end of the file."""
        held = self._rest
        pieces, count = [held or b""], (held or b"").count(b"\n")
        ended = False
        while not ended and (size is None or count < size):
            read = self.file.read(_READ)
            ended = not read
            pieces.append(read)
            count += read.count(b"\n")
        part = b"".join(pieces)
        if held is None and codecs.lookup(self.encoding).name.startswith("utf-8"):
            part = part.removeprefix(_MARK)
        self._rest = b""
        if size is not None and count > size:
            signs = np.frombuffer(part, np.uint8)
            cut = int(np.flatnonzero(signs == ord("\n"))[size - 1]) + 1
            part, self._rest = part[:cut], part[cut:]
        elif not ended:
            cut = part.rindex(b"\n") + 1
            part, self._rest = part[:cut], part[cut:]
        else:
            part = part.rstrip(b"\r\n")
            part += b"\n" if part else b""
        return part

    def _is_text(self, part: bytes) -> bool:
        try:
            return part.isascii() or bool(part.decode(self.encoding))
        except UnicodeDecodeError:
            return False


__all__ = ["Cells", "PlainParts", "is_plain"]
