"""Tables, and how many there are in words: what several parts of Backlit print."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from html import escape
from typing import Any


def quantity(count: int, noun: str, plural: str | None = None) -> str:
    """So many of something, with the noun as it then is.

    >>> quantity(1, "epoch"), quantity(1200, "row"), quantity(0, "class", "classes")
    ('1 epoch', '1,200 rows', '0 classes')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def are(count: int, noun: str, one: str, many: str) -> str:
    """So many of something, and what it does.

    >>> are(1, "row", "is new", "are new"), are(2, "row", "is new", "are new")
    ('1 row is new', '2 rows are new')
    """
    return f"{quantity(count, noun)} {one if count == 1 else many}"


class Table:
    """Rows under headings; prints aligned, numbers to the right."""

    def __init__(self, headings: Sequence[str], rows: Sequence[Sequence[Any]], foot: str = ""):
        self.headings = list(headings)
        self.rows = [list(r) for r in rows]
        self.foot = foot

    def __len__(self) -> int:
        return len(self.rows)

    def _numeric(self) -> list[bool]:
        """Which columns are numbers."""
        return [
            all(isinstance(row[i], int | float) for row in self.rows) and bool(self.rows)
            for i in range(len(self.headings))
        ]

    def __str__(self) -> str:
        cells = [[_cell(x) for x in row] for row in self.rows]
        widths = [
            max([_width(h), *(_width(row[i]) for row in cells)])
            for i, h in enumerate(self.headings)
        ]
        numeric = self._numeric()

        def line(texts: Sequence[str]) -> str:
            aligned = []
            for text, width, number in zip(texts, widths, numeric, strict=True):
                space = " " * (width - _width(text))
                aligned.append(space + text if number else text + space)
            return "  ".join(aligned).rstrip()

        lines = [line(self.headings), line(["-" * w for w in widths]), *map(line, cells)]
        return "\n".join(lines + ([self.foot] if self.foot else []))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        cell = '<{0} style="text-align:{1};padding:1px 10px 1px 0;white-space:nowrap">{2}</{0}>'
        sides = ["right" if n else "left" for n in self._numeric()]
        head = "".join(map(cell.format, ["th"] * len(sides), sides, map(escape, self.headings)))
        rows = "".join(
            f"<tr>{''.join(map(cell.format, ['td'] * len(sides), sides, map(_escaped, row)))}</tr>"
            for row in self.rows
        )
        foot = f'<div style="opacity:.75">{escape(self.foot)}</div>' if self.foot else ""
        table = f'<table style="font-variant-numeric:tabular-nums"><tr>{head}</tr>{rows}</table>'
        return f'<div style="overflow-x:auto;max-width:100%">{table}{foot}</div>'


class Tabular:
    """The base of what is told in a table: prints as it, and is one in a notebook."""

    def table(self) -> Table:
        """The table."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _width(text: str) -> int:
    # a hat over a letter takes no room of its own
    return sum(not unicodedata.combining(c) for c in text)


def _cell(x: Any) -> str:
    if isinstance(x, float):
        return f"{x:.3g}" if abs(x) < 100 else f"{x:,.0f}"
    return f"{x:,}" if isinstance(x, int) else str(x)


def _escaped(x: Any) -> str:
    return escape(_cell(x))
