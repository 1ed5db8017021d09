"""What is told in lines: printed plainly, and in colours by `rich`."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text


class Told:
    """The base of what is told in lines; `_lines` gives the style and the text of each."""

    def _lines(self) -> list[tuple[str, str]]:
        raise NotImplementedError

    def __repr__(self) -> str:
        return "\n".join(text for _, text in self._lines())

    def __rich__(self) -> RenderableType:
        return Group(*[Text(text, style=style) for style, text in self._lines()])
