"""Pictures with two axes as SVG: lines, points, arrows and contours, without any library.

A picture is text that a page, a notebook or a file can hold. It follows the reader's light or dark
mode. Lines differ in their dashes as well as their colours, which are told apart with any common
colour blindness: Okabe & Ito, "Color universal design", 2008. It is drawn 420 units wide, so that
its text can be read on a phone.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from html import escape

import numpy as np

from ..records.value import number

WIDTH, HEIGHT = 420, 300
#: What is left free around the axes; at the left it depends on the numbers there.
_TOP, _RIGHT, _BOTTOM = 26, 14, 36
#: A digit's width, and the height of a line in the legend.
_DIGIT, _ROW = 7.3, 18
DASHES = ("", "8 3", "2 3", "9 3 2 3", "5 2", "1 2")
COLOURS = len(DASHES)

Numbers = Sequence[float] | np.ndarray

STYLE = """
.bl-chart { --paper: #fff; --ink: #1b1f24; --soft: #58616b; --grid: #e7eaee; --lines: #45698c;
  --c0: #0072b2; --c1: #c04f00; --c2: #007a5a; --c3: #a2478c; --c4: #6b6b00; --c5: #3b3f46;
  width: 100%; max-width: 560px; height: auto; display: block; background: var(--paper);
  font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
@media (prefers-color-scheme: dark) { .bl-chart { --paper: #15181c; --ink: #e6e9ec; --soft: #a5afb9;
  --grid: #2a3037; --lines: #8fb4d9; --c0: #56b4e9; --c1: #ff9a62; --c2: #3fcf9f; --c3: #e39bd0;
  --c4: #f0e442; --c5: #c9d0d7; } }
.bl-chart text { fill: var(--soft); } .bl-chart .t { fill: var(--ink); font-weight: 600; }
.bl-chart .g { stroke: var(--grid); } .bl-chart .l { fill: none; stroke-width: 2;
  stroke-linejoin: round; } .bl-chart .n { font-size: 10.5px; fill: var(--lines);
  text-anchor: middle; }
.bl-chart .k { fill: none; stroke: var(--lines); } .bl-chart .f { fill: none; stroke: var(--ink); }
""".replace("\n", " ")


class Chart:
    """A picture being drawn: x and y are what its axes span; `svg` is its text.

    >>> chart = Chart((0, 2), (1, 100), "loss", "step", logarithmic=True)
    >>> chart.line([0, 1, 2], [100, 10, 1], "Adam")
    >>> chart.svg()[:30]
    '<svg class="bl-chart" viewBox='
    """

    def __init__(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        title: str = "",
        x_label: str = "",
        y_label: str = "",
        *,
        logarithmic: bool = False,
        whole: bool = False,
    ):
        self.title, self.x_label, self.y_label = title, x_label, y_label
        self.logarithmic = logarithmic
        self.x = _wide(*x)
        self.y = _wide(*(map(math.log10, y) if logarithmic else y))
        ticks = powers(*self.y) if logarithmic else [(v, number(v)) for v in ticks_of(*self.y, 5)]
        self.rows = ticks
        steps = ticks_of(*self.x, 6)
        self.columns = [(v, number(v)) for v in steps if not whole or v == round(v)]
        self.left = 16 + _DIGIT * max((len(t) for _, t in ticks), default=1)
        self._parts: list[str] = []
        self._over: list[str] = []
        self._numbers: list[str] = []
        self._legend: list[tuple[str, str]] = []

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies in the picture."""
        (x0, x1), (y0, y1) = self.x, self.y
        across, down = WIDTH - self.left - _RIGHT, HEIGHT - _TOP - _BOTTOM
        return self.left + (x - x0) / (x1 - x0) * across, _TOP + (y1 - y) / (y1 - y0) * down

    def line(
        self,
        xs: Numbers,
        ys: Numbers,
        label: str = "",
        *,
        style: int | None = None,
        dash: int | None = None,
        ends: bool = False,
        faint: bool = False,
    ) -> None:
        """A line through points; a value that is not finite leaves a gap.

        `ends` marks its start with a ring and its end with a dot. The legend has its `label`.
        """
        i = len(self._legend) if style is None else style
        look = _look(i, i + i // COLOURS if dash is None else dash)
        i %= COLOURS
        drawn = _path([self._point(a, b) for a, b in zip(xs, ys, strict=True)])
        thin = ' stroke-opacity=".45"' if faint else ""
        self._over.append(f'<path class="l" d="{drawn}"{look}{thin}/>')
        known = [p for p in map(self._point, xs, ys) if p is not None]
        if ends and known:
            self._over.append(_circle(*known[0], f"fill:var(--paper);stroke:var(--c{i})", 4.5))
            self._over.append(_circle(*known[-1], f"fill:var(--c{i});stroke:var(--paper)", 4.5))
        if label:
            self._legend.append((label, look))

    def points(self, xs: Numbers, ys: Numbers, style: int = 0) -> None:
        """A dot for each point."""
        for p in map(self._point, xs, ys):
            if p is not None:
                self._over.append(_circle(*p, f"fill:var(--c{style});fill-opacity:.55", 2.6))

    def arrows(self, tails: np.ndarray, vectors: np.ndarray) -> None:
        """An arrow from each tail (N, 2), along a vector (N, 2), with lengths to one scale."""
        heads = [self._arrow(t, v) for t, v in zip(tails, _fitting(tails, vectors), strict=True)]
        d = "".join(h for h in heads if h)
        self._parts.append(f'<path class="f" d="{d}" stroke-width="1.1" stroke-opacity=".75"/>')

    def contours(self, xs: np.ndarray, ys: np.ndarray, values: np.ndarray) -> None:
        """Lines of equal height of values (Y, X), the lower the stronger; some say their height."""
        levels = levels_of(values)
        taken: list[tuple[float, float]] = []
        for i, level in enumerate(levels):
            strength = 0.95 - 0.65 * i / max(1, len(levels) - 1)
            chains = [[self.place(*p) for p in c] for c in contour(xs, ys, values, level)]
            d = "".join(_path(list(c)) for c in chains)
            if d:
                look = f'stroke-opacity="{strength:.2f}"'
                self._parts.append(f'<path class="k" d="{d}" {look}/>')
            if i % 3 == 1:
                spot = _free_spot([p for c in chains for p in c], taken)
                if spot is not None:
                    taken.append(spot)
                    x, y = spot
                    text = escape(number(level, 2))
                    half = 3.1 * len(text) + 2
                    self._numbers.append(
                        f'<rect x="{x - half:.0f}" y="{y - 6:.0f}" width="{2 * half:.0f}" '
                        'height="12" style="fill:var(--paper)"/>'
                        f'<text class="n" x="{x:.0f}" y="{y + 4:.0f}">{text}</text>'
                    )

    def hatch(self, xs: np.ndarray, ys: np.ndarray, where: np.ndarray) -> None:
        """Slanted lines over the cells around points of a grid (Y, X)."""
        if not where.any():
            return
        d = []
        across, up = _borders(xs), _borders(ys)
        for row, cells in enumerate(where):
            ends = np.flatnonzero(np.diff(np.concatenate([[False], cells, [False]]).astype(int)))
            for first, last in ends.reshape(-1, 2):
                x0, y0 = self.place(across[first], up[row])
                x1, y1 = self.place(across[last], up[row + 1])
                d.append(f"M{x0:.1f} {y0:.1f}H{x1:.1f}V{y1:.1f}H{x0:.1f}Z")
        name = f"bl-hatch-{zlib.crc32(where.tobytes()):x}"  # its own in a page of several
        pattern = (
            f'<pattern id="{name}" width="6" height="6" patternUnits="userSpaceOnUse" '
            'patternTransform="rotate(45)"><path d="M0 0V6" stroke-width="1.6" '
            'style="stroke:var(--soft);stroke-opacity:.6"/></pattern>'
        )
        self._parts.append(f'<defs>{pattern}</defs><path d="{"".join(d)}" fill="url(#{name})"/>')

    def svg(self) -> str:
        """The picture as the text of an SVG element, which may also be a file."""
        rows = self._legend_rows()
        height = HEIGHT + _ROW * len(rows) + (4 if rows else 0)
        label = self.title or f"{self.y_label} over {self.x_label}"
        if self._legend:
            label += ": " + ", ".join(text for text, _ in self._legend)
        clip = (
            f'<svg x="{self.left:.1f}" y="{_TOP}" width="{WIDTH - self.left - _RIGHT:.1f}" '
            f'height="{HEIGHT - _TOP - _BOTTOM}" viewBox="{self.left:.1f} {_TOP} '
            f'{WIDTH - self.left - _RIGHT:.1f} {HEIGHT - _TOP - _BOTTOM}">'
        )
        inside = f"{clip}{''.join([*self._parts, *self._numbers, *self._over])}</svg>"
        return (
            f'<svg class="bl-chart" viewBox="0 0 {WIDTH} {height}" role="img" '
            f'xmlns="http://www.w3.org/2000/svg" aria-label="{escape(label)}">'
            f"<style>{STYLE}</style>"
            f'<rect width="{WIDTH}" height="{height}" style="fill:var(--paper)"/>'
            f"{self._axes()}{inside}{''.join(rows)}</svg>"
        )

    # -- beneath ------------------------------------------------------------------------------

    def _point(self, x: float, y: float) -> tuple[float, float] | None:
        if self.logarithmic:
            y = math.log10(y) if y > 0 else math.nan
        if not (math.isfinite(x) and math.isfinite(y)):
            return None
        return self.place(x, y)

    def _axes(self) -> str:
        (x0, _), (y0, _) = self.x, self.y
        right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
        parts = [f'<text class="t" x="{self.left:.0f}" y="16">{escape(self.title)}</text>']
        for v, text in self.rows:
            y = self.place(x0, v)[1]
            parts.append(f'<path class="g" d="M{self.left:.1f} {y:.1f}H{right}"/>')
            parts.append(
                f'<text x="{self.left - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
            )
        for v, text in self.columns:
            x = self.place(v, y0)[0]
            parts.append(f'<path class="g" d="M{x:.1f} {_TOP}V{bottom}"/>')
            parts.append(f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{text}</text>')
        down = f'<text x="{right}" y="{bottom + 30}" text-anchor="end">{escape(self.x_label)}'
        parts.append(f"{down}</text>")
        if self.y_label:
            parts.append(f'<text x="2" y="{bottom + 30}">↑ {escape(self.y_label)}</text>')
        return "".join(parts)

    def _legend_rows(self) -> list[str]:
        """The legend, as many entries in a line as there is room for."""
        rows: list[str] = []
        x, y = 4.0, HEIGHT + 10.0
        for text, look in self._legend:
            width = 42 + _DIGIT * len(text) + 8
            if x > 4 and x + width > WIDTH:
                x, y = 4.0, y + _ROW
            entry = (
                f'<path class="l" d="M{x:.0f} {y - 4:.0f}h28"{look}/>'
                f'<text x="{x + 34:.0f}" y="{y:.0f}">{escape(text)}</text>'
            )
            if x > 4 and rows:
                rows[-1] += entry
            else:
                rows.append(entry)
            x += width
        return rows

    def _arrow(self, tail: np.ndarray, vector: np.ndarray) -> str:
        (x, y), (a, b) = self.place(*tail), self.place(*(tail + vector))
        size = math.hypot(a - x, b - y)
        if not size > 1:
            return ""
        u, v = (a - x) / size, (b - y) / size
        head = min(5.0, 0.5 * size)
        sides = [(a - head * (u + s * 0.5 * v), b - head * (v - s * 0.5 * u)) for s in (1, -1)]
        (p, q), (r, s) = sides
        return f"M{x:.1f} {y:.1f}L{a:.1f} {b:.1f}M{p:.1f} {q:.1f}L{a:.1f} {b:.1f}L{r:.1f} {s:.1f}"


def _borders(points: np.ndarray) -> np.ndarray:
    """Where the cells around points in a row begin and end: halfway between neighbours."""
    middles = (points[1:] + points[:-1]) / 2
    return np.concatenate([points[:1], middles, points[-1:]])


def _look(colour: int, dash: int) -> str:
    """The colour and the dashes of a line, as attributes."""
    dashes = DASHES[dash % COLOURS]
    broken = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f' style="stroke:var(--c{colour % COLOURS})"{broken}'


def _fitting(tails: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Vectors at the scale at which the longest reaches the next tail."""
    size = np.linalg.norm(vectors, axis=1)
    known = np.isfinite(size)
    longest = float(size[known].max(initial=0.0))
    apart = np.ptp(tails, axis=0) / max(1.0, math.sqrt(len(tails)) - 1)
    if not longest > 0:
        return np.zeros_like(vectors)
    stretch = np.abs(vectors[known]) / np.where(apart > 0, apart, 1.0)
    return np.where(known[:, None], vectors, 0.0) * (0.95 / float(stretch.max()))


def _circle(x: float, y: float, style: str, radius: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" style="{style}" stroke-width="1.8"/>'


def _path(points: list[tuple[float, float] | None]) -> str:
    """The points as a path; None begins anew."""
    parts, down = [], False
    for p in points:
        if p is not None:
            x, y = (min(max(v, -9999.0), 9999.0) for v in p)
            parts.append(f"{'L' if down else 'M'}{x:.1f} {y:.1f}")
        down = p is not None
    return "".join(parts)


def _free_spot(
    points: list[tuple[float, float]], taken: list[tuple[float, float]]
) -> tuple[float, float] | None:
    """A point of a line, well inside the picture, for a number that hides no other."""
    inside = [
        (x, y) for x, y in points if 70 < x < WIDTH - 50 and _TOP + 14 < y < HEIGHT - _BOTTOM - 12
    ]
    if not inside or not taken:
        return inside[len(inside) // 3] if inside else None

    def distance(p: tuple[float, float]) -> float:
        return min(math.hypot(p[0] - a, 2 * (p[1] - b)) for a, b in taken)

    best = max(inside[:: max(1, len(inside) // 200)], key=distance)
    return best if distance(best) > 34 else None


def _wide(low: float, high: float) -> tuple[float, float]:
    """The two ends, apart from each other."""
    if high > low:
        return float(low), float(high)
    around = abs(low) * 0.1 or 1.0
    return low - around, high + around


def ticks_of(low: float, high: float, count: int) -> list[float]:
    """About so many round numbers between two.

    >>> ticks_of(0.0, 1.0, 5)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def powers(low: float, high: float) -> list[tuple[float, str]]:
    """Powers of ten between two, given as their logarithms, with their texts; 1, 2, 5 if few.

    >>> powers(-1.0, 2.0)
    [(-1.0, '0.1'), (0.0, '1'), (1.0, '10'), (2.0, '100')]
    """
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    step = max(1, math.ceil((last - first) / 6))
    whole = [float(p) for p in range(first, last + 1, step)]
    if len(whole) < 3:
        fine = (p + math.log10(m) for p in range(first - 1, last + 1) for m in (1, 2, 5))
        whole = [p for p in fine if low - 1e-9 <= p <= high + 1e-9] or [low, high]
        whole = whole if len(whole) < 8 else whole[:: len(whole) // 4]
    return [(p, number(float(f"{10.0**p:.3g}"))) for p in whole]


# -- contours -------------------------------------------------------------------------------------


def levels_of(values: np.ndarray, count: int = 14) -> list[float]:
    """Heights that part the picture into pieces of about equal area, whatever the function."""
    finite = values[np.isfinite(values)]
    if not finite.size or not finite.max() > finite.min():
        return []
    shares = np.linspace(0.015, 0.96, count)
    found = [float(f"{v:.2g}") for v in np.quantile(finite, shares)]
    return sorted({v for v in found if finite.min() < v < finite.max()})


def contour(
    xs: np.ndarray, ys: np.ndarray, values: np.ndarray, level: float
) -> list[list[tuple[float, float]]]:
    """The lines on which values (Y, X), straight between the points of the grid, have a height.

    Each cell is two triangles, in each of which the line is straight; the pieces are joined where
    they meet, on an edge of the grid.

    >>> x = y = np.array([0.0, 1.0])
    >>> contour(x, y, np.array([[0.0, 1.0], [0.0, 1.0]]), 0.25)
    [[(0.25, 0.0), (0.25, 0.25), (0.25, 1.0)]]
    """
    above = values > level
    height, width = values.shape
    bad = ~np.isfinite(values)
    links: dict[tuple[int, int], list[tuple[int, int]]] = {}
    mixed = np.zeros((height - 1, width - 1), int)
    for part in (above[:-1, :-1], above[1:, :-1], above[:-1, 1:], above[1:, 1:]):
        mixed += part
    lost = bad[:-1, :-1] | bad[1:, :-1] | bad[:-1, 1:] | bad[1:, 1:]
    flat = above.reshape(-1)
    for i, j in zip(*np.nonzero((mixed > 0) & (mixed < 4) & ~lost), strict=True):
        a = int(i) * width + int(j)
        for triangle in ((a, a + 1, a + width + 1), (a, a + width, a + width + 1)):
            edges = [(p, q) for p, q in zip(triangle, (*triangle[1:], a), strict=True)]
            cut = [(min(e), max(e)) for e in edges if flat[e[0]] != flat[e[1]]]
            if cut:
                links.setdefault(cut[0], []).append(cut[1])
                links.setdefault(cut[1], []).append(cut[0])
    heights = values.reshape(-1)

    def place(edge: tuple[int, int]) -> tuple[float, float]:
        p, q = edge
        part = (level - heights[p]) / (heights[q] - heights[p])
        ends = [(xs[k % width], ys[k // width]) for k in edge]
        (x0, y0), (x1, y1) = ends
        return float(x0 + part * (x1 - x0)), float(y0 + part * (y1 - y0))

    return [[place(e) for e in chain] for chain in _chains(links)]


def _chains(links: dict[tuple[int, int], list[tuple[int, int]]]) -> list[list[tuple[int, int]]]:
    """Pieces that meet, as lines: open ones from end to end, then those that close."""
    left = {e: list(n) for e, n in links.items()}
    chains = []
    for start in [*(e for e in links if len(links[e]) == 1), *links]:
        if not left[start]:
            continue
        chain = [start]
        while left[chain[-1]]:
            here = chain[-1]
            following = left[here].pop()
            left[following].remove(here)
            chain.append(following)
        chains.append(chain)
    return chains


__all__ = ["Chart", "contour", "levels_of", "powers", "ticks_of"]
