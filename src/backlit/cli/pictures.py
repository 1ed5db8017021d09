"""Pictures for the terminal: small images, regions of the plane, shares as bars."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.text import Text

_SHADES = " .:-=+*#%@"
_ORANGE, _PALE, _BLUE = (245, 147, 34), (232, 234, 235), (8, 119, 189)
_DARK_ORANGE, _DARK_BLUE = (150, 70, 0), (0, 62, 120)


def has_colours(console: Console) -> bool:
    """Whether the terminal shows enough colours for a picture."""
    return console.color_system in ("256", "truecolor", "windows")


def image(pixels: np.ndarray, colours: bool) -> list[Text]:
    """A grey image (H, W) in [0, 1], two pixels above each other in a character, or shades."""
    if not colours:
        levels = np.clip(np.rint(pixels * (len(_SHADES) - 1)), 0, len(_SHADES) - 1).astype(int)
        return [Text("".join(_SHADES[v] * 2 for v in row)) for row in levels]
    grey = np.clip(np.rint(pixels * 255), 0, 255).astype(int)
    if len(grey) % 2:
        grey = np.vstack([grey, np.zeros_like(grey[:1])])
    lines = []
    for upper, lower in zip(grey[::2], grey[1::2], strict=True):
        line = Text()
        for a, b in zip(upper, lower, strict=True):
            line.append("▀", style=f"rgb({a},{a},{a}) on rgb({b},{b},{b})")
        lines.append(line)
    return lines


def beside(pictures: list[list[Text]], gap: int = 3) -> list[Text]:
    """Pictures next to each other."""
    height = max(map(len, pictures))
    lines = []
    for i in range(height):
        line = Text()
        for picture in pictures:
            width = max(map(len, picture))
            part = picture[i] if i < len(picture) else Text()
            line.append_text(part)
            line.append(" " * (width - len(part) + gap))
        line.rstrip()
        lines.append(line)
    return lines


def _mixed(share: float) -> tuple[int, ...]:
    """Orange at 0, pale at a half, blue at 1."""
    end, weight = (_BLUE, 2 * share - 1) if share > 0.5 else (_ORANGE, 1 - 2 * share)
    return tuple(round(p + (e - p) * weight) for p, e in zip(_PALE, end, strict=True))


def region(shares: np.ndarray, points: np.ndarray, labels: np.ndarray, reach: float) -> list[Text]:
    """What a network says in the square [-reach, reach]², with points in their true colours.

    `shares` (H, W) is the probability of blue, its first row at the top; H is even, because a
    character shows two rows.
    """
    height, width = len(shares) // 2, shares.shape[1]
    marks: dict[tuple[int, int], int] = {}
    for (x, y), label in zip(points, labels, strict=True):
        column = int((x + reach) / (2 * reach) * width)
        row = int((reach - y) / (2 * reach) * height)
        if 0 <= row < height and 0 <= column < width:
            marks[row, column] = int(label)
    lines = []
    for r in range(height):
        line = Text()
        for c in range(width):
            upper, lower = shares[2 * r, c], shares[2 * r + 1, c]
            if (r, c) in marks:
                mark = _DARK_BLUE if marks[r, c] else _DARK_ORANGE
                line.append("●", style=f"{_rgb(mark)} on {_rgb(_mixed((upper + lower) / 2))}")
            else:
                line.append("▀", style=f"{_rgb(_mixed(upper))} on {_rgb(_mixed(lower))}")
        lines.append(line)
    return lines


def _rgb(colour: tuple[int, ...]) -> str:
    return f"rgb({','.join(map(str, colour))})"


def plain_region(shares: np.ndarray) -> list[Text]:
    """The same without colours: `#` where blue is likely, `.` where orange is."""
    signs = np.array(list("..:-+*##"))
    return [Text("".join(signs[np.minimum((row * 8).astype(int), 7)])) for row in shares[::2]]


def bar(share: float, width: int) -> str:
    """A share in [0, 1] as a bar of at most `width` characters."""
    eighths = round(share * width * 8)
    partial = " ▏▎▍▌▋▊▉"[eighths % 8].strip()
    return "█" * (eighths // 8) + partial
