"""What the panes of the full-screen stepper show of a node: its gate, numbers, sentence, source."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

import numpy as np
from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ...see.records.model import Edge, NodeRecord, Record
from ...see.records.value import Value, number
from ...see.show.draw.labels import gradient_text, local_text, value_text
from ...see.show.steps import Stop
from ...see.show.words import effect_of, name_of, role_of, symbol_of
from ...see.told import Told
from .pictures import picture
from .walking import Walk

#: The colours of the drawings, on dark paper: values, gradients, local gradients.
VALUE, GRADIENT, LOCAL = "#3fcf9f", "#ff9a62", "#82b4ff"
INK, SOFT, FAINT, MARK, BAD = "#e6e9ec", "#9aa4ae", "#56606a", "#ffb000", "#ff8078"
PAPER, PANEL, RAISED = "#15181c", "#1b1f24", "#2a3139"

#: More inputs of a gate than this are counted, not drawn.
MAX_INPUTS = 5
_BARS = "▁▂▃▄▅▆▇█"
_DONE, _WAITING = "·", "not yet"


def fit(text: str, width: int) -> str:
    """A text in so many cells, with `…` where it is longer.

    >>> fit("weight", 6), fit("weights", 6), fit("重み重み", 6)
    ('weight', 'weigh…', '重み…')
    """
    if width < 1 or cell_len(text) <= width:
        return text if width > 0 else ""
    return set_cell_size(text, width - 1).rstrip() + "…"


def short(v: Value | None, width: int, gradient: bool = False) -> str:
    """A value or a gradient in so many cells: with fewer digits or words, never with half a number.

    >>> v = Value(np.array([0.123456, -0.2, 0.3]))
    >>> short(v, 30), short(v, 11), short(v, 8), short(v, 5)
    ('[0.123, −0.2, 0.3]', '3 ‖0.381‖', '‖0.381‖', '0.381')
    """
    if v is None:
        return ""
    s = v.statistics
    whole = gradient_text(v) if gradient else value_text(v)
    if v.size == 1:
        texts = [whole, *(number(v.item(), digits) for digits in (3, 2, 1))]
    else:
        size, shape = "nan" if s["nan"] else number(s["norm"], 3), "×".join(map(str, v.shape))
        size = "∞" if s["inf"] and not s["nan"] else size
        texts = [whole, f"{shape} ‖{size}‖", f"‖{size}‖", size, number(s["norm"], 1)]
    return next((t for t in texts if cell_len(t) <= width), "#")


def changed(walk: Walk, node: NodeRecord) -> tuple[bool, bool]:
    """Whether a node's value and its gradient are others than before something was set."""
    if walk.before is None:
        return False, False
    old = walk.before.nodes[node.id]
    return _differ(old.value, node.value), _differ(old.upstream, node.upstream)


def _differ(a: Value | None, b: Value | None) -> bool:
    if a is b or a is None or b is None or a.array is None or b.array is None:
        return a is not b and (a is None) != (b is None)
    return not np.array_equal(a.array, b.array, equal_nan=True)


def sentence(stop: Stop) -> Text:
    """A stop's sentence, each part of a backward one on its own line, gradients colored."""
    said, failed = stop.parts, stop.node.status != "ok"
    if stop.phase == "forward":
        text = Text(said.text, style=f"bold {BAD if failed else INK}")
        return text.append(said.result, style=f"bold {BAD if failed else VALUE}")
    text = Text().append(said.text, style=f"bold {INK}")
    text.append(said.result, style=f"bold {GRADIENT}")
    for name, how, what in said.sent:
        text.append(f"\n  to {name}  ", style=INK).append(how, style=SOFT)
        text.append(what, style=f"bold {GRADIENT}")
    if said.note:
        text.append(f"\n  {said.note}", style=BAD if failed else SOFT)
    for total in said.totals:
        text.append(f"\n  Σ {total}", style=MARK)
    return text


def told(changes: Told) -> Text:
    """What is told in lines, in the stepper's colours."""
    colors = {"green": VALUE, "red": GRADIENT, "yellow": MARK, "dim": SOFT}
    lines = [Text(text, style=colors.get(style, f"bold {INK}")) for style, text in changes._lines()]
    return Text("\n").join(lines)


# -- the gate -----------------------------------------------------------------------------------


def gate(walk: Walk, node: NodeRecord, width: int) -> Text:
    """The node as a picture: inputs and their wires at the left, the gate, its result.

    Values stand on the wires, gradients below them; what is not computed yet is a dot, never 0.
    Where that does not fit it is a list: no number is cut.
    """
    if node.kind != "op":
        return _leaf(walk, node)
    lines = _drawn(walk, node, width)
    if any(line.cell_len > width for line in lines):
        lines = _listed(walk, node, width)
    if len(node.arguments) > MAX_INPUTS:
        lines.append(Text(f"  … and {len(node.arguments) - MAX_INPUTS} more inputs", style=SOFT))
    role = role_of(node)
    if role:
        words = textwrap.wrap(f"{role}: {effect_of(node)}", max(width, 20))
        note = Text("\n".join(words), style=SOFT)
        note.stylize(LOCAL, 0, len(role) + 1)
        lines += [Text(""), note] if len(lines) < 6 else [note]
    return Text("\n").join(lines)


def _inputs(walk: Walk, node: NodeRecord, width: int) -> Iterator[tuple[Text, Text, Text]]:
    """For each input that is shown its name, its value, and what is sent back to it."""
    record, sends = walk.record, walk.sends(node.id)
    for argument in node.arguments[:MAX_INPUTS]:
        if "edge" not in argument:
            shown = Text(number(argument["number"]), style=SOFT)
            yield Text("number", style=FAINT), shown, Text("")
            continue
        edge = record.edges[argument["edge"]]
        source = record.nodes[edge.source]
        name = name_of(source)
        if cell_len(name) > width // 3:
            name = name.rpartition(".")[2]
        value = short(source.value, max(width // 4, 9)) if walk.has_value(source.id) else _DONE
        yield (
            Text(fit(name, max(width // 3, 8)), style=f"bold {INK}"),
            Text(value, style=VALUE),
            _below(edge, node, sends, max(width // 4, 9)),
        )


def _drawn(walk: Walk, node: NodeRecord, width: int) -> list[Text]:
    """The gate with its wires."""
    sends = walk.sends(node.id)
    names, values, below = [list(c) for c in zip(*_inputs(walk, node, width), strict=True)] or [
        [], [], []
    ]  # fmt: skip
    left = max([t.cell_len for t in names], default=0)
    middle = max([t.cell_len for t in (*values, *below)], default=0)
    symbol, count = symbol_of(node), len(names)
    row = max(count - 1, 0)
    height = 2 * row + 2
    lines = []
    for i in range(height):
        line = Text("  ")
        upper = i % 2 == 0 and i // 2 < count
        line.append_text(padded(names[i // 2] if upper else Text(""), left, right=True))
        wire = values[i // 2] if upper else below[i // 2] if i // 2 < count else Text("")
        line.append("  ").append_text(padded(wire, middle))
        inside = i <= 2 * row
        color = GRADIENT if sends else FAINT
        line.append(" ──" if upper else "   ", style=color)
        if count:
            line.append(_joint(i, row, upper) if inside else " ", style=color)
        if i == row:
            line.append("──" if count else "", style=color)
            line.append(f"  {symbol}  ", style=f"bold {PAPER} on {_color(walk, node)}")
            line.append("── ", style=color)
            line.append(_made(walk, node, width), style=VALUE)
            line.append(" ─▶ ", style=color).append(name_of(node), style=f"bold {INK}")
        elif i == row + 1:
            line.append(" " * (cell_len(symbol) + 9))
            line.append(_arrived(walk, node, width), style=GRADIENT)
        lines.append(line)
    return lines


def _listed(walk: Walk, node: NodeRecord, width: int) -> list[Text]:
    """The gate as a list of its inputs, for narrow screens."""
    inputs = list(_inputs(walk, node, width))
    left = max([n.cell_len for n, _, _ in inputs], default=0)
    middle = max([v.cell_len for _, v, _ in inputs], default=0)
    lines = []
    for name, value, below in inputs:
        line = Text("  ").append_text(padded(name, left)).append("  ")
        line.append_text(padded(value, middle))
        if below.plain.strip():
            line.append("  ◀ ", style=FAINT).append_text(below)
        lines.append(line if line.cell_len <= width else Text("  ").append_text(name))
        if line.cell_len > width:
            lines.append(Text("    ").append_text(value).append("  ").append_text(below))
    result = Text("  ").append(
        f" {symbol_of(node)} ", style=f"bold {PAPER} on {_color(walk, node)}"
    )
    result.append(" ─▶ ", style=FAINT).append(fit(name_of(node), width // 3), style=f"bold {INK}")
    result.append("  ").append(_made(walk, node, width), style=VALUE)
    arrived = _arrived(walk, node, width)
    if arrived:
        result.append("  ◀ ", style=FAINT).append(arrived, style=GRADIENT)
    return [*lines, result]


def _made(walk: Walk, node: NodeRecord, width: int) -> str:
    return short(node.value, max(width // 4, 9)) if walk.has_value(node.id) else _DONE


def _arrived(walk: Walk, node: NodeRecord, width: int) -> str:
    known = walk.has_gradient(node.id) and node.upstream is not None
    return short(node.upstream, max(width // 4, 9), gradient=True) if known else _DONE


def _below(edge: Edge, node: NodeRecord, sends: bool, width: int) -> Text:
    if not sends:
        return Text(_DONE if edge.gradient is not None else "", style=GRADIENT)
    text = Text(short(edge.gradient, width, gradient=True), style=GRADIENT)
    local = local_text(edge, node.op_class)
    if local and edge.gradient is not None:
        text.append(f"  {local}", style=LOCAL)
    return text


def _joint(i: int, row: int, upper: bool) -> str:
    """The piece of the bar at the right of the input wires."""
    if row == 0:
        return "─"
    if i == row:
        return "┼" if upper else "├"
    if not upper:
        return "│"
    return "╮" if i == 0 else "╯" if i == 2 * row else "┤"


def padded(text: Text, width: int, right: bool = False) -> Text:
    """A text in at least so many cells."""
    space = " " * max(width - text.cell_len, 0)
    return Text(space).append_text(text) if right else text.copy().append(space)


def _color(walk: Walk, node: NodeRecord) -> str:
    if node.status != "ok":
        return BAD
    if walk.sends(node.id):
        return GRADIENT
    return VALUE if walk.has_value(node.id) else SOFT


def _leaf(walk: Walk, node: NodeRecord) -> Text:
    text = Text("  ").append(name_of(node), style=f"bold {INK}")
    text.append(f"  {node.kind}  ", style=SOFT).append(value_text(node.value), style=VALUE)
    if node.given:
        text.append("  ◆ set", style=MARK)
    uses = [e for e in walk.record.outgoing[node.id] if e.gradient is not None]
    if not uses:
        return text.append("\n  no gradient comes back to it", style=SOFT)
    for e in uses:
        user = walk.record.nodes[e.target]
        sent = walk.sends(user.id)
        text.append("\n  from ", style=SOFT).append(name_of(user), style=INK).append("  ")
        text.append(gradient_text(e.gradient) if sent else _WAITING, style=GRADIENT)
    if len(uses) > 1:
        done = walk.has_gradient(node.id)
        text.append("\n  adder: the gradients of its uses add up to ", style=MARK)
        text.append(gradient_text(node.upstream) if done else _WAITING, style=f"bold {GRADIENT}")
    return text


# -- numbers ------------------------------------------------------------------------------------


def numbers(walk: Walk, node: NodeRecord, width: int, rows: int = 0) -> Text:
    """Value, gradient and what is sent on, with statistics and the first elements.

    With `rows` each array is a picture of so many rows besides, for terminals with colours.
    """
    record = walk.record
    old = None if walk.before is None else walk.before.nodes[node.id]
    before = None if old is None else old.value
    size = width, rows
    known = walk.has_value(node.id)
    blocks = [_block("value", node.value, known, VALUE, size, node.note, before)]
    if node.upstream is not None:
        title = "upstream" if node.kind == "op" else "gradient"
        ready = walk.has_gradient(node.id)
        before = None if old is None else old.upstream
        blocks.append(_block(title, node.upstream, ready, GRADIENT, size, None, before))
    if walk.sends(node.id):
        for e in record.incoming[node.id]:
            if e.gradient is None:
                continue
            source = name_of(record.nodes[e.source])
            blocks.append(_block(f"to {source}", e.gradient, True, GRADIENT, size))
            local = e.local
            if local is not None:
                blocks[-1].append(f"\n  local  {fit(local.text, width - 10)}", style=LOCAL)
    long = any("\n" in b.plain and "\n  local" not in b.plain for b in blocks)
    return Text("\n\n" if long else "\n").join(blocks)


def pictures(walk: Walk, node: NodeRecord, width: int, height: int) -> Text:
    """The value and the gradient as pictures below each other, where they have many elements."""
    shown = [("value", node.value, VALUE)] if walk.has_value(node.id) else []
    if walk.has_gradient(node.id):
        shown.append(("upstream" if node.kind == "op" else "gradient", node.upstream, GRADIENT))
    lines: list[Text] = []
    for title, v, color in shown:
        drawn = picture(v, width, height // len(shown) - 1).split()
        if v is not None:
            size = number(float(np.abs(v.array).max(initial=0)), 3) if v.array is not None else ""
            end = f"largest in size {size}: orange above 0, blue below" if drawn else v.text(6, 6)
            lines.append(Text().append(f"{title}  ", style=f"bold {color}").append(end, style=SOFT))
            lines += drawn
    return Text("\n").join(lines or [Text(_WAITING, style=FAINT)])


def _block(
    title: str,
    v: Value | None,
    ready: bool,
    color: str,
    size: tuple[int, int],
    note: str | None = None,
    before: Value | None = None,
) -> Text:
    width, rows = size
    text = Text().append(f"{title}  ", style=f"bold {color}")
    if not ready:
        return text.append(_WAITING, style=FAINT)
    if v is None:
        return text.append(note or "not computed", style=SOFT)
    if v.size == 1:
        text.append(number(v.item(), 6), style=color).append(f"   {v.type}", style=FAINT)
        return text.append(_was(before, v, width), style=MARK)
    text.append(v.type, style=SOFT).append(_was(before, v, width), style=MARK)
    s = v.statistics
    facts = [f"{k} {number(s[k], 3)}" for k in ("min", "mean", "max", "norm") if s[k] is not None]
    if s["zeros"]:
        facts.append(f"zeros {number(100 * s['zeros'], 2)} %")
    for line in _filled(facts, width - 4):
        text.append(f"\n  {line}", style=SOFT)
    bad = [f"{int(s[k] or 0)} {k}" for k in ("nan", "inf") if s[k]]
    if bad:
        text.append(f"\n  {', '.join(bad)}", style=f"bold {BAD}")
    for grid_line in _grid(v, width - 2, color):
        text.append("\n  ").append_text(grid_line)
    bars = histogram(v, min(24, width - 30))
    if bars:
        low, high = number(s["min"], 2), number(s["max"], 2)
        text.append(f"\n  {low} ", style=FAINT).append(bars, style=color)
        text.append(f" {high}", style=FAINT)
    for picture_line in picture(v, width - 4, rows).split():
        text.append("\n  ").append_text(picture_line)
    return text


def _was(before: Value | None, now: Value, width: int) -> str:
    """What a value was before something was set, if that was another."""
    if not _differ(before, now) or before is None:
        return ""
    return f"   before {short(before, max(width // 3, 9))}"


def _filled(parts: list[str], width: int) -> Iterator[str]:
    """Parts in lines of at most so many cells; no part is divided."""
    line = ""
    for part in parts:
        if line and len(line) + 2 + len(part) > width:
            yield line
            line = ""
        line = f"{line}  {part}" if line else part
    if line:
        yield line


def _grid(v: Value, width: int, color: str, rows: int = 4) -> Iterator[Text]:
    """The first elements as a matrix, darker where they are small."""
    if v.array is None:
        yield from (Text(line, style=color) for line in _filled(v.text(4, 8).split(" "), width))
        return
    if v.size == 0:
        return
    array = v.array.reshape((-1, *v.array.shape[-2:]))[0] if v.array.ndim > 2 else v.array
    array = np.atleast_2d(array)
    columns = min(array.shape[1], max((width - 2) // 10, 1))
    part = array[:rows, :columns].astype(np.float64)
    finite = np.abs(part[np.isfinite(part)])
    top = float(finite.max()) if finite.size else 0.0
    for row in part:
        line = Text()
        for x in row:
            style = BAD if not math.isfinite(x) else color if abs(x) * 8 >= top else FAINT
            line.append(f"{number(float(x), 3):>9} ", style=style)
        if array.shape[1] > columns:
            line.append("…", style=FAINT)
        yield line
    hidden = array.shape[0] - rows
    if hidden > 0 or v.array.ndim > 2:
        first = f" of [{', '.join('0' * (v.array.ndim - 2))}, :, :]" if v.array.ndim > 2 else ""
        more = f"… {hidden} more rows" if hidden > 0 else "… the first matrix"
        yield Text(f"  {more}{first}", style=FAINT)


def histogram(v: Value, width: int) -> str:
    """How often which size occurs, as bars; empty for few or equal elements."""
    if v.array is None or v.size < 16 or width < 8:
        return ""
    x = v.array.astype(np.float64).ravel()
    x = x[np.isfinite(x)]
    if x.size < 16 or x.min() == x.max():
        return ""
    counts, _ = np.histogram(x, bins=width)
    heights = np.ceil(counts / counts.max() * len(_BARS)).astype(int)
    return "".join(_BARS[h - 1] if h else " " for h in heights)


# -- the source ---------------------------------------------------------------------------------


def source(record: Record, node: NodeRecord, width: int, height: int) -> Text:
    """The user's line that made the node, with those around it."""
    if not node.file:
        what = "It was made from a formula." if node.kind == "op" else "A leaf: no op made it."
        return Text(f"  {what}", style=SOFT)
    first = max(1, node.line - height // 2)
    known = {i: record.source_line(node.file, i) for i in range(first - height, first + height)}
    if not known.get(node.line):
        return Text(f"  {record.location(node)}\n  Its lines are not known.", style=SOFT)
    while first > 1 and known[first - 1] and not known[first + height - 1]:
        first -= 1  # the last lines of a file fill the pane
    text = Text()
    for i in range(first, first + height):
        if not known[i]:
            continue
        here = i == node.line
        line = fit(known[i].rstrip().expandtabs(4), width - 8)
        text.append("\n" if text else "")
        text.append(f"{'▶' if here else ' '}{i:>4} ", style=MARK if here else FAINT)
        text.append(line, style=f"bold {INK}" if here else SOFT)
    return text
