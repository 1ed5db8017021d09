"""What the values of a column are: numbers, categories, dates or texts, and which are missing."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, cast

import numpy as np

from ...errors import ArgumentError, DataError
from .dates import as_moment, is_date, leaves_open, moment, order_of
from .delimited import is_number
from .plain import Cells

KINDS = ("number", "category", "date", "text")

#: Texts that stand for no value, as pandas reads them.
MISSING = frozenset(
    (
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND"),
        *("1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    )
)
_MOSTLY = 0.9  # of the values: then the others are mistakes
_FEW = 20  # different texts that are categories however few rows there are
_MANY = 1000  # different texts that are no categories however many rows there are
_REPEATED = 10  # times that a category occurs on average, if there are more than a few
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?", re.ASCII)
_ENGLISH = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)
_NO_TIME = np.datetime64("NaT", "us")

#: Says where a value stands: `houses.csv:17`.
Place = Callable[[int], str]
#: Finds the first text of which something is true: where it stands, and the text.
First = Callable[[Callable[[str], bool]], tuple[str, str]]


@dataclass(frozen=True)
class Column:
    """A column of a table: a name, a kind, and one value for each row.

    | kind     | values                                                       | missing |
    |----------|--------------------------------------------------------------|---------|
    | number   | float64                                                      | NaN     |
    | category | int32, the place in `categories`, texts in their order       | -1      |
    | date     | datetime64 in microseconds; with a time zone, in UTC         | NaT     |
    | text     | Python's texts, in an array of objects                       | None    |

    `order` says of dates as 3/12/2024 how they were read: "day-first" or "month-first", and
    `decimal` the sign in numbers, where they were texts.
    """

    name: str
    kind: str
    values: np.ndarray
    categories: tuple[str, ...] = ()
    order: str = ""
    decimal: str = ""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def missing(self) -> np.ndarray:
        """Which rows have no value."""
        if self.kind == "category":
            return self.values < 0
        if self.kind == "text":
            return np.array([value is None for value in self.values], bool)
        return np.isnan(self.values) if self.kind == "number" else np.isnat(self.values)

    def take(self, rows: np.ndarray) -> Column:
        """The values of some rows."""
        return replace(self, values=self.values[rows])

    def value(self, row: int) -> Any:
        """One value as Python has it; None if it is missing."""
        value = self.values[row]
        if self.kind == "category":
            return None if value < 0 else self.categories[value]
        if self.kind == "number":
            return None if math.isnan(value) else float(value)
        return value.item() if self.kind == "date" else value

    def as_categories(self) -> Column:
        """The same values as categories; numbers by their shortest text, without `.0`."""
        if self.kind == "category":
            return self
        texts = [None if value is None else str(value) for value in self._python()]
        return _category(self.name, texts)

    def _python(self) -> Iterable[Any]:
        """All values as Python has them; whole numbers as integers."""
        for row in range(len(self)):
            value = self.value(row)
            whole = isinstance(value, float) and value.is_integer()
            yield int(value) if whole else value


def mistaken(place: str, name: str, kind: str, value: Any, why: str = "") -> DataError:
    """The error of a value that is not of its column's kind."""
    cure = f"correct it, or say missing=[{value!r:.30}], or kinds={{{name!r}: 'category'}}"
    if kind == "number" and isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value):
        cure = 'pass decimal=","'
        if _ENGLISH.fullmatch(value):
            as_decimal, as_thousands = value.replace(",", "."), value.replace(",", "")
            cure += f' if that is {as_decimal}, or decimal="." if it is {as_thousands}'
    return DataError(
        f"Table: {place}: column {name!r} must hold a {kind}{why}, got {value!r:.60}; {cure}"
    )


def of_texts(
    name: str,
    texts: Sequence[str],
    place: Place,
    *,
    kind: str | None = None,
    missing: frozenset[str] = MISSING,
    decimal: str | None = ".",
    date_format: str | None = None,
    order: str | None = None,
) -> Column:
    """A column of texts, as files have them; without a `kind` it is found out.

    All of the values must be of the kind. It is numbers, or dates, if nine tenths of the values
    are; then the others raise DataError. Else texts are categories if there are few different ones.
    With a comma as `decimal`, dots may part thousands, and with a dot commas. None is a comma if a
    value has such a one; with "?" commas part thousands where they cannot be decimal ones.
    """
    if date_format is not None:
        kind = "date"
    elif isinstance(texts, Cells):
        column = _quick(name, texts, kind, missing, decimal)
        if column is not None:
            return column
    different, codes = _coded(texts)
    known: list[str | None] = [None if text in missing else text for text in different]
    count = np.bincount(codes, minlength=len(known))
    if decimal is None:
        decimal = "," if any(t and _DECIMAL_COMMA.fullmatch(t) for t in known) else "."
    elif decimal == "?" and _has_thousands(known):
        decimal = "."

    def first(bad: Callable[[str], bool]) -> tuple[str, str]:
        """Where the first such text stands, and that text."""
        places, rows = np.unique(codes, return_index=True)
        firsts = dict(zip(places.tolist(), rows.tolist(), strict=True))
        row = min(firsts[i] for i, t in enumerate(known) if t and bad(t))
        return place(row), cast(str, known[codes[row]])

    if kind in (None, "number"):
        numbers = _numbers(known, decimal)
        if numbers is not None:
            return Column(name, "number", numbers[codes], decimal=decimal)
        kind = kind or _kind(known, count, decimal)
        if kind == "number":
            at, text = first(lambda text: _numbers([text], decimal) is None)
            raise mistaken(at, name, kind, text)
    if kind == "date":
        values, order = _dates(name, known, date_format, order, first)
        return Column(name, kind, values[codes], order=order)
    if kind == "category":
        return _category(name, known, codes)
    values = np.empty(len(known), object)
    values[:] = known
    return Column(name, "text", values[codes])


def _quick(
    name: str, cells: Cells, kind: str | None, missing: frozenset[str], decimal: str | None
) -> Column | None:
    """A column whose bytes say that it is numbers with points, or dates; None if they do not."""
    if kind in (None, "number") and decimal != "," and "" in missing:
        numbers = cells.numbers()
        if numbers is not None and not any(map(_is_finite, missing)):
            return None if np.isnan(numbers).all() else Column(name, "number", numbers)
    if kind in (None, "date"):
        dates = cells.dates()
        if dates is not None and not any(map(is_date, missing)):
            return Column(name, "date", dates)
    return None


def _is_finite(text: str) -> bool:
    return is_number(text) and math.isfinite(float(text))


def _coded(texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The different texts, without blanks around them, and the place of each row's."""
    coded = texts.coded() if isinstance(texts, Cells) else None
    if coded is None:
        places: dict[str, Any] = dict.fromkeys(texts)
        if len(places) == len(texts):
            coded = list(places), np.arange(len(texts))
        else:
            for place, text in enumerate(places):
                places[text] = place
            coded = list(places), np.fromiter(map(places.__getitem__, texts), np.int64, len(texts))
    raw, codes = coded
    stripped = list(map(str.strip, raw))
    if stripped == raw:
        return raw, codes
    different = {text: place for place, text in enumerate(dict.fromkeys(stripped))}
    if len(different) == len(stripped):
        return stripped, codes
    return list(different), np.array([different[text] for text in stripped], np.int64)[codes]


def _kind(known: Sequence[str | None], count: np.ndarray, decimal: str) -> str:
    """The kind of texts that are not all numbers, or which they are but for mistakes."""

    def number(text: str) -> bool:
        return is_number(_pointed(text, decimal))

    there = [text for text in known if text is not None]
    times = [n for text, n in zip(known, count.tolist(), strict=True) if text is not None]
    total = sum(times)
    for kind, fits in (
        ("number", number),
        ("number", _DECIMAL_COMMA.fullmatch),
        ("date", is_date),
    ):
        # The first few say quickly that texts are none.
        if not any(map(fits, there[:20])):
            continue
        if sum(n for text, n in zip(there, times, strict=True) if fits(text)) >= _MOSTLY * total:
            return kind
    return "category" if _are_categories(len(there), total) else "text"


def _has_thousands(texts: Sequence[str | None]) -> bool:
    """Whether commas part thousands: 1,234,567 and 1,234.5 say so, 1,234 alone may be decimal."""
    with_commas = [text for text in texts if text and "," in text]
    sure = any(text.count(",") > 1 or "." in text for text in with_commas)
    return sure and all(map(_ENGLISH.fullmatch, with_commas))


def number_of(text: str, decimal: str) -> float | None:
    """The number that a text is, with a decimal sign as in the rest of its column; None if none.

    >>> number_of("1.013,5", ","), number_of("82.5", ","), number_of("thirty", ".")
    (1013.5, 82.5, None)
    """
    values = _numbers([text.strip()], decimal)
    return None if values is None else float(values[0])


def _pointed(text: str, decimal: str) -> str:
    """A number's text with a point before its decimals, and nothing between thousands."""
    if decimal == "." and _ENGLISH.fullmatch(text):
        return text.replace(",", "")
    if decimal == "," and _THOUSANDS.fullmatch(text):
        text = text.replace(".", "")
    return text.replace(",", ".") if decimal == "," else text


def _are_categories(different: int, count: int) -> bool:
    return different <= _FEW or (different <= _MANY and different * _REPEATED <= count)


def _numbers(texts: Sequence[str | None], decimal: str) -> np.ndarray | None:
    """The numbers that texts are, NaN for None; None if one is no number."""
    try:
        values = [math.nan if t is None else float(_pointed(t, decimal)) for t in texts]
    except ValueError:
        return None
    # Python reads 1_000 and nan as numbers; which texts are missing is said by others.
    odd = any(t is not None and (v != v or "_" in t) for t, v in zip(texts, values, strict=True))
    return None if odd else np.array(values, np.float64)


def _dates(
    name: str, texts: Sequence[str | None], form: str | None, order: str | None, first: First
) -> tuple[np.ndarray, str]:
    """The moments that texts are, and in which order those with slashes have day and month."""
    found_order = order_of(text for text in texts if text) if form is None else None
    if found_order == "" and order is None:
        place, unclear = first(leaves_open)
        raise DataError(
            f"Table: {place}: column {name!r} may have the day or the month first, got "
            f"{unclear!r}, and no value has a number above 12; say dates='day-first', or "
            "dates='month-first'"
        )
    order = None if found_order is None else order or found_order
    values = np.full(len(texts), _NO_TIME)
    for row, text in enumerate(texts):
        found = None if text is None else moment(text, form, order)
        if text is not None and found is None:
            place, odd = first(lambda text: moment(text, form, order) is None)
            why = f" as {form or '2024-12-31 23:59:59, 2024-12-31 or 31.12.2024'}"
            if order is not None:
                why = f", {order.replace('-', ' ')}"
            raise mistaken(place, name, "date", odd, why)
        values[row] = _NO_TIME if found is None else found
    return values, order or ""


def in_order(texts: Iterable[str]) -> tuple[str, ...]:
    """Texts in their order; numbers by size."""
    different = set(texts)
    if all(map(is_number, different)):
        return tuple(sorted(different, key=lambda text: (float(text), text)))
    return tuple(sorted(different))


def _category(name: str, texts: Sequence[str | None], codes: np.ndarray | None = None) -> Column:
    """A column of categories: of texts, or of the different ones and each row's place."""
    categories = in_order(text for text in texts if text is not None)
    places: dict[str | None, int] = {text: code for code, text in enumerate(categories)}
    places[None] = -1
    values = np.fromiter(map(places.__getitem__, texts), np.int32, len(texts))
    return Column(name, "category", values if codes is None else values[codes], categories)


def joined(parts: Sequence[Column]) -> Column:
    """The values of columns of one name and kind, one behind the other."""
    first = parts[0]
    odd = next((p for p in parts if (p.name, p.kind) != (first.name, first.kind)), None)
    if odd is not None:
        raise ArgumentError(
            f"Table: columns that are joined must be alike, got {first.name!r} ({first.kind}) and "
            f"{odd.name!r} ({odd.kind})"
        )
    if first.kind == "category":
        texts = [c for p in parts for c in p.categories]
        before = np.cumsum([0, *(len(p.categories) for p in parts[:-1])]).tolist()
        places = [
            np.where(p.values < 0, len(texts), p.values + n)
            for p, n in zip(parts, before, strict=True)
        ]
        return _category(first.name, [*texts, None], np.concatenate(places))
    return replace(first, values=np.concatenate([p.values for p in parts]))


def _text(name: str, texts: Sequence[str | None]) -> Column:
    values = np.empty(len(texts), object)
    values[:] = texts
    return Column(name, "text", values)


# -- columns of arrays ----------------------------------------------------------------------------


def of_array(
    name: str, data: Any, place: Place, *, kind: str | None = None, order: str | None = None
) -> Column:
    """A column of an array, of numbers or of objects, which keep the types that they have.

    Texts are not read as numbers here, unless `kind` says so.
    """
    of_things = isinstance(data, list | tuple)  # which NumPy would bring to one type
    array = np.fromiter(data, object, len(data)) if of_things else np.asarray(data)
    if array.ndim != 1:
        raise DataError(
            f"Table: column {name!r} must have one value for each row, got shape {array.shape}; "
            f"leave it out with ignore=[{name!r}], or use a TensorDataset"
        )
    letter = array.dtype.kind
    if letter in "iuf":
        column = Column(name, "number", array.astype(np.float64))
    elif letter == "M":
        column = Column(name, "date", array.astype("datetime64[us]"))
    elif letter == "m":
        column = Column(name, "number", array / np.timedelta64(1, "s"))
    elif letter == "b":
        column = _category(name, [str(value) for value in array])
    else:
        column = _of_objects(name, array, place, kind)
    if kind in (None, column.kind):
        return column
    if kind in ("category", "text"):
        named = column.as_categories()
        texts = [named.value(row) for row in range(len(named))]
        return named if kind == "category" else _text(name, texts)
    if column.kind in ("category", "text"):
        texts = [column.value(row) or "" for row in range(len(column))]
        return of_texts(name, texts, place, kind=kind, order=order)
    raise ArgumentError(f"Table: column {name!r} holds {column.kind}s, which are no {kind}s")


def _plain(value: Any) -> Any:
    """A value as Python has it, None if it is missing."""
    if isinstance(value, np.generic):
        value = value.astype("datetime64[us]" if value.dtype.kind == "M" else value.dtype).item()
    if type(value).__name__ in ("NAType", "NaTType"):  # of pandas
        return None
    return None if isinstance(value, float) and math.isnan(value) else value


def _of_objects(name: str, array: np.ndarray, place: Place, kind: str | None) -> Column:
    """A column of Python's things: numbers, dates or texts, one kind of them."""
    values = [_plain(value) for value in array.tolist()]
    types = {type(value) for value in values if value is not None}
    if types and types <= {bool}:
        return _category(name, [None if v is None else str(v) for v in values])
    if all(issubclass(t, numbers.Real | Decimal) for t in types) and bool not in types:
        return Column(
            name, "number", np.array([math.nan if v is None else float(v) for v in values])
        )
    if all(issubclass(t, date) for t in types):
        moments = [_NO_TIME if v is None else as_moment(v) for v in values]
        return Column(name, "date", np.array(moments, "datetime64[us]"))
    for row, value in enumerate(values):
        if value is not None and not isinstance(value, str):
            raise DataError(
                f"Table: {place(row)}: column {name!r} must hold numbers, texts or dates of one "
                f"kind, got {value!r:.60} ({type(value).__name__}); convert it, or leave it out "
                f"with ignore=[{name!r}]"
            )
    if kind is None:
        known = [value for value in values if value is not None]
        kind = "category" if _are_categories(len(set(known)), len(known)) else "text"
    return _text(name, values) if kind == "text" else _category(name, values)


__all__ = [
    "KINDS",
    "MISSING",
    "Column",
    "Place",
    "in_order",
    "joined",
    "mistaken",
    "number_of",
    "of_array",
    "of_texts",
]
