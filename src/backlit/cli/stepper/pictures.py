"""Values as small pictures of half blocks, two elements above each other in one cell.

Zero is dark, what is negative is blue, what is positive orange, not finite is red: Okabe & Ito's
hues, which all eyes tell apart. A picture is for terminals with colours; elsewhere there are the
numbers.
"""

from __future__ import annotations

import numpy as np
from rich.style import Style
from rich.text import Text

from ...see.records.value import Value
from ...see.show.cells import pooled

#: Fewer elements than this are read as numbers.
FEW = 12
_ZERO = np.array([34, 40, 47.0])
_NEGATIVE, _POSITIVE = np.array([86, 180, 233.0]), np.array([255, 154, 74.0])
_BAD = np.array([255, 60, 80.0])
_UPPER = "▀"


def picture(v: Value | None, width: int, height: int) -> Text:
    """A value in so many cells; empty where its numbers say as much, or there is no room.

    The last two axes are rows and columns. Of more axes the first matrices stand side by side. A
    cell of the picture that stands for several elements shows the largest in size.
    """
    if v is None or v.array is None or v.size < FEW or height < 1 or width < 8:
        return Text("")
    array = v.array if v.array.dtype.kind != "b" else v.array.astype(np.float32)
    sheets = array.reshape(-1, *array.shape[-2:]) if array.ndim > 1 else array.reshape(1, 1, -1)
    rows, columns = sheets.shape[1:]
    rows, columns = min(rows, 2 * height), min(columns, width if len(sheets) == 1 else 28)
    count = min(len(sheets), max((width + 1) // (columns + 1), 1))
    shown = [pooled(pooled(s.astype(np.float64), 0, rows), 1, columns) for s in sheets[:count]]
    return Text("\n").join(_lines(_pixels(shown)))


def _pixels(sheets: list[np.ndarray]) -> list[np.ndarray]:
    """The colours of matrices on one scale; a last row alone has nothing below it."""
    finite = np.concatenate([s[np.isfinite(s)] for s in sheets])
    top = float(np.abs(finite).max(initial=0.0)) or 1.0
    found = []
    for sheet in sheets:
        bad = ~np.isfinite(sheet)
        share = np.where(bad, 0.0, sheet) / top
        towards = np.where((share < 0)[..., None], _NEGATIVE, _POSITIVE)
        pixels = _ZERO + (towards - _ZERO) * np.sqrt(np.abs(share))[..., None]
        pixels[bad] = _BAD
        found.append(np.rint(pixels).astype(int))
    return found


def _lines(sheets: list[np.ndarray]) -> list[Text]:
    lines = []
    for row in range(0, len(sheets[0]), 2):
        line = Text()
        for i, pixels in enumerate(sheets):
            line.append(" " if i else "")
            below = pixels[row + 1] if row + 1 < len(pixels) else [None] * pixels.shape[1]
            for upper, lower in zip(pixels[row], below, strict=True):
                line.append(_UPPER, Style(color=_hex(upper), bgcolor=_hex(lower)))
        lines.append(line)
    return lines


def _hex(color: np.ndarray | None) -> str | None:
    return None if color is None else "#{:02x}{:02x}{:02x}".format(*color)
