"""Draw docs/picture.svg, what `backlit grad` prints for the README's circuit, in colour, and
docs/graph.svg, the same circuit as `see.draw` draws it.

The pictures hold all they need; a viewer's own monospaced font is used.
"""

import io
import re
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme

import backlit
from backlit.see import differentiate, draw, record
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


def graph() -> str:
    """The graph's SVG."""
    x, y, z = (backlit.tensor(v, dtype="float64", requires_grad=True) for v in (1.0, 2.0, 0.0))
    f = (x + y) * backlit.maximum(y, z)
    return draw(record(f)).svg() + "\n"


if __name__ == "__main__":
    for name, make in (("picture", picture), ("graph", graph)):
        target = Path(__file__).parent.parent / "docs" / f"{name}.svg"
        target.write_text(make(), "utf-8")
        print(f"{target} is drawn.")
