"""Draw docs/picture.svg: what `backlit grad` prints for the README's circuit, in colour.

The picture holds all it needs; a viewer's own monospaced font is used.
"""

import io
import re
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme

from backlit.see import differentiate
from backlit.see.formula.tree import render

WIDTH = 81
COMMAND = 'backlit grad "(x + y) * max(y, z)" x=1 y=2 z=0'

# Green for values and red for gradients, told apart by eyes that do not see red and green by their
# brightness too.
_COLOURS = [
    (29, 32, 38),
    (255, 107, 107),
    (120, 220, 120),
    (229, 192, 123),
    (97, 175, 239),
    (198, 120, 221),
    (104, 200, 215),
    (222, 226, 232),
]
THEME = TerminalTheme((24, 26, 31), (222, 226, 232), _COLOURS, _COLOURS)


def picture() -> str:
    """The SVG's text."""
    console = Console(
        width=WIDTH, record=True, file=io.StringIO(), force_terminal=True, highlight=False
    )
    console.print(f"[dim]$[/] [bold]{COMMAND}[/]\n")
    console.print(render(differentiate("(x + y) * max(y, z)", {"x": 1, "y": 2, "z": 0}), WIDTH))
    form = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.S)
    form = re.sub(r"\s*<!--.*?-->", "", form, flags=re.S)
    form = form.replace("Fira Code,", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono',")
    svg = console.export_svg(title="backlit grad", theme=THEME, code_format=form, unique_id="b")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


if __name__ == "__main__":
    target = Path(__file__).parent.parent / "docs" / "picture.svg"
    target.write_text(picture(), "utf-8")
    print(f"{target} is drawn.")
