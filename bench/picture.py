"""The times as a picture: for each workload a bar for each peer, longer is slower.

Bars are logarithms of the time over that of the best peer that is not Backlit, which ends at the
line marked 1. The picture is an SVG with nothing to load.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from .measure import Measurement
from .peers import PEERS

WIDTH, LEFT, RIGHT = 860, 170, 120
BAR, GAP, HEAD = 13, 3, 26
LEAST, MOST = 1 / 32, 64.0
COLOURS = {"backlit": "#d1495b", "pytorch": "#6c757d", "jax": "#2a7f9e", "numpy": "#b8a14a"}


def _place(ratio: float) -> float:
    share = math.log(min(max(ratio, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _time(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:,.3g} µs"
    return f"{seconds * 1e3:,.3g} ms" if seconds < 1 else f"{seconds:.2f} s"


def picture(found: Sequence[Measurement]) -> str:
    """The SVG's text."""
    parts: list[str] = []

    def text(x: float, y: float, content: str, style: str = "", end: bool = False) -> None:
        anchor = ' text-anchor="end"' if end else ""
        parts.append(f'<text x="{x:.1f}" y="{y:.1f}"{anchor}{style}>{html.escape(content)}</text>')

    y = 64.0
    top = y - 8
    for m in found:
        timed = m.timed()
        others = [o.median for name, o in timed.items() if PEERS[name].framework != "backlit"]
        reference = min(others or [o.median for o in timed.values()], default=1.0)
        text(16, y + 12, m.workload, ' font-weight="bold"')
        y += HEAD - GAP
        for name, o in timed.items():
            ratio = o.median / reference
            end = _place(ratio)
            colour = COLOURS[PEERS[name].framework]
            text(LEFT - 8, y + BAR - 3, name, end=True)
            parts.append(
                f'<rect x="{LEFT}" y="{y:.1f}" width="{max(1.0, end - LEFT):.1f}" '
                f'height="{BAR}" fill="{colour}"/>'
            )
            text(end + 6, y + BAR - 3, f"{_time(o.median)}  {ratio:.2g} ×")
            y += BAR + GAP
        y += 10
    lines = []
    for power in range(-5, 7):
        x, strong = _place(2.0**power), power == 0
        lines.append(
            f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{y:.1f}" '
            f'stroke="{"#333" if strong else "#ddd"}"/>'
        )
        label = f"{2**power}" if power >= 0 else f"1/{2**-power}"
        lines.append(f'<text x="{x:.1f}" y="{top - 4:.1f}" text-anchor="middle">{label}</text>')
    title = "Time of a training step; 1 is the best of the others; shorter is faster"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 10:.0f}" '
        f'font-family="system-ui, sans-serif" font-size="11" fill="#222">\n'
        f'<rect width="{WIDTH}" height="{y + 10:.0f}" fill="#fff"/>\n'
        f'<text x="16" y="26" font-size="15">{title}</text>\n'
        + "\n".join(lines + parts)
        + "\n</svg>\n"
    )
