"""What is told in lines: printed plainly, and in colours by `rich`."""

from __future__ import annotations

from html import escape

from rich.console import Group, RenderableType
from rich.text import Text

#: Colours of styles on light and on dark pages.
_COLORS = {
    "red": "#d3382f",
    "green": "#14884f",
    "yellow": "#a86a00",
    "blue": "#2f6fd6",
    "cyan": "#0b7f95",
    "magenta": "#a3429a",
}


class Told:
    """The base of what is told in lines; `_lines` gives the style and the text of each."""

    def _lines(self) -> list[tuple[str, str]]:
        raise NotImplementedError

    def __repr__(self) -> str:
        return "\n".join(text for _, text in self._lines())

    def __rich__(self) -> RenderableType:
        return Group(*[Text(text, style=style) for style, text in self._lines()])

    def _repr_html_(self) -> str:
        lines = "\n".join(
            f'<span style="{_css(style)}">{escape(text)}</span>' for style, text in self._lines()
        )
        return preformatted(lines)


def preformatted(lines: str) -> str:
    """Lines of HTML as they are, the long ones broken."""
    return f'<pre style="white-space:pre-wrap;margin:0">{lines}</pre>'


def _css(style: str) -> str:
    """A style of `rich` for a page: `bold red` is `font-weight:600;color:#d3382f`."""
    rules = {"bold": "font-weight:600", "dim": "opacity:.7", "italic": "font-style:italic"}
    found = (rules.get(w) or (f"color:{_COLORS[w]}" if w in _COLORS else "") for w in style.split())
    return ";".join(rule for rule in found if rule)
