"""Dates and times as files have them, and in which order a column writes day and month."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime

import numpy as np

#: What may come first where slashes or hyphens part a date, as in 3/12/2024.
ORDERS = ("day-first", "month-first")
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?)?\s?(Z|[+-]\d\d:?\d\d)?", re.ASCII
)
_TIME = r"(?:,? (\d{1,2}):(\d\d)(?::(\d\d))?(?: ?([AaPp])\.?[Mm]\.?)?)?"
#: With dots the day comes first, wherever dates are written so.
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})" + _TIME, re.ASCII)
_SLASHED = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-]([12]\d{3})" + _TIME, re.ASCII)
_YEAR_FIRST = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})" + _TIME, re.ASCII)
_MONTH = re.compile(r"([12]\d{3})-(0[1-9]|1[0-2])", re.ASCII)
_FORMS = (_ISO, _DOTTED, _SLASHED, _YEAR_FIRST, _MONTH)


def is_date(text: str) -> bool:
    """Whether a text is a date or a time.

    As 2024-12-31T23:59:59Z, 31.12.2024, 31/12/2024, 12/31/2024 11:59 PM, 2024/12/31, or a month,
    2024-12.
    """
    if _SLASHED.fullmatch(text):
        return any(moment(text, order=order) is not None for order in ORDERS)
    return any(form.fullmatch(text) for form in _FORMS)


def order_of(texts: Iterable[str]) -> str | None:
    """What comes first in dates with slashes; "" if they leave it open, None if there are none.

    A number above 12 is a day. If there are such in both places, most dates decide.

    >>> order_of(["1/3/2024", "1/31/2024"]), order_of(["1/3/2024"]), order_of(["2024-03-01"])
    ('month-first', '', None)
    """
    first = second = unclear = 0
    for text in texts:
        found = _SLASHED.fullmatch(text)
        if found is None:
            continue
        one, two = int(found[1]), int(found[2])
        first += one > 12 >= two
        second += two > 12 >= one
        unclear += one != two
    if first or second:
        return ORDERS[second > first]
    return "" if unclear else None


def leaves_open(text: str) -> bool:
    """Whether it makes a difference for a date what comes first."""
    found = _SLASHED.fullmatch(text)
    return found is not None and int(found[1]) != int(found[2])


def moment(text: str, form: str | None = None, order: str | None = None) -> np.datetime64 | None:
    """The moment that a text is, in microseconds, in UTC where it has a time zone; None if none.

    >>> moment("12/31/2024 1:05 PM", order="month-first"), moment("31.12.2024 13:05")
    (np.datetime64('2024-12-31T13:05:00.000000'), np.datetime64('2024-12-31T13:05:00.000000'))
    """
    try:
        if form is not None:
            return as_moment(datetime.strptime(text, form))
        return _read(text, order)
    except ValueError:
        return None


def _read(text: str, order: str | None) -> np.datetime64 | None:
    if _ISO.fullmatch(text):
        return as_moment(datetime.fromisoformat(text))
    month_alone = _MONTH.fullmatch(text)
    if month_alone:
        return as_moment(datetime(int(month_alone[1]), int(month_alone[2]), 1))
    found = _YEAR_FIRST.fullmatch(text)
    if found:
        year, month, day = found.group(1, 2, 3)
    else:
        dotted = _DOTTED.fullmatch(text)
        found = dotted or _SLASHED.fullmatch(text)
        if found is None:
            return None
        day, month, year = found.group(1, 2, 3)
        if dotted is None and order == "month-first":
            day, month = month, day
    hour, minute, second, half = found.group(4, 5, 6, 7)
    hours = int(hour or 0)
    if half:
        if not 1 <= hours <= 12:
            return None
        hours = hours % 12 + 12 * (half in "Pp")
    parts = (int(year), int(month), int(day), hours, int(minute or 0), int(second or 0))
    return as_moment(datetime(*parts))


def as_moment(found: date) -> np.datetime64:
    """A date or a time, in UTC if it has a time zone."""
    if isinstance(found, datetime) and found.tzinfo is not None:
        found = found.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(found, "us")


__all__ = ["ORDERS", "as_moment", "is_date", "leaves_open", "moment", "order_of"]
