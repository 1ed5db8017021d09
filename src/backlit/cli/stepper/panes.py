"""What the panes of the full-screen stepper show of a node: its gate, numbers, sentence, source."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

import numpy as np
from rich.cells import cell_len
from rich.text import Text

from ...see.records.model import Edge, NodeRecord, Record
from ...see.records.value import Value, number
from ...see.show.draw.labels import gradient_text, local_text, value_text
from ...see.show.steps import Stop
from ...see.show.words import effect_of, name_of, role_of, symbol_of
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
    """A text in so many cells, with `…` where it is longer."""
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) > width - 1:
        text = text[:-1]
    return text + "…"


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


# -- the gate -----------------------------------------------------------------------------------


def gate(walk: Walk, node: NodeRecord, width: int) -> Text:
    """The node as a picture: inputs and their wires at the left, the gate, its result.

    Values stand on the wires, gradients below them; what is not computed yet is a dot, never 0.
    """
    if node.kind != "op":
        return _leaf(walk, node)
    record = walk.record
    shown = node.arguments[:MAX_INPUTS]
    sends = walk.sends(node.id)
    names, values, below = [], [], []
    for argument in shown:
        if "edge" not in argument:
            names.append(Text("number", style=FAINT))
            values.append(Text(number(argument["number"]), style=SOFT))
            below.append(Text(""))
            continue
        edge = record.edges[argument["edge"]]
        source = record.nodes[edge.source]
        names.append(Text(fit(name_of(source), max(width // 4, 8)), style=f"bold {INK}"))
        known = walk.has_value(source.id)
        values.append(Text(value_text(source.value) if known else _DONE, style=VALUE))
        below.append(_below(edge, node, sends))
    left = max([t.cell_len for t in names], default=0)
    middle = max([t.cell_len for t in (*values, *below)], default=0)
    symbol, count = symbol_of(node), len(shown)
    row = max(count - 1, 0)
    height = 2 * row + 2
    lines = []
    for i in range(height):
        line = Text("  ")
        upper = i % 2 == 0 and i // 2 < count
        line.append_text(_padded(names[i // 2] if upper else Text(""), left, right=True))
        wire = values[i // 2] if upper else below[i // 2] if i // 2 < count else Text("")
        line.append("  ").append_text(_padded(wire, middle, right=False))
        inside = i <= 2 * row
        color = GRADIENT if sends else FAINT
        line.append(" ──" if upper else "   ", style=color)
        if count:
            line.append(_joint(i, row, upper) if inside else " ", style=color)
        if i == row:
            line.append("──" if count else "", style=color)
            line.append(f"  {symbol}  ", style=f"bold {PAPER} on {_color(walk, node)}")
            line.append("── ", style=color)
            known = walk.has_value(node.id)
            line.append(value_text(node.value) if known else _DONE, style=VALUE)
            line.append(" ─▶ ", style=color).append(name_of(node), style=f"bold {INK}")
        elif i == row + 1:
            line.append(" " * (cell_len(symbol) + 9))
            known = walk.has_gradient(node.id) and node.upstream is not None
            line.append(gradient_text(node.upstream) if known else _DONE, style=GRADIENT)
        lines.append(line)
    if len(node.arguments) > count:
        lines.append(Text(f"  … and {len(node.arguments) - count} more inputs", style=SOFT))
    role = role_of(node)
    if role:
        words = textwrap.wrap(f"{role}: {effect_of(node)}", max(width, 20))
        note = Text("\n".join(words), style=SOFT)
        note.stylize(LOCAL, 0, len(role) + 1)
        lines += [Text(""), note]
    return Text("\n").join(lines)


def _below(edge: Edge, node: NodeRecord, sends: bool) -> Text:
    if not sends:
        return Text(_DONE if edge.gradient is not None else "", style=GRADIENT)
    text = Text(gradient_text(edge.gradient), style=GRADIENT)
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


def _padded(text: Text, width: int, right: bool) -> Text:
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


def numbers(walk: Walk, node: NodeRecord, width: int) -> Text:
    """Value, gradient and what is sent on, with statistics and the first elements."""
    record = walk.record
    blocks = [_block("value", node.value, walk.has_value(node.id), VALUE, width, node.note)]
    if node.upstream is not None:
        title = "upstream" if node.kind == "op" else "gradient"
        ready = walk.has_gradient(node.id)
        blocks.append(_block(title, node.upstream, ready, GRADIENT, width))
    if walk.sends(node.id):
        for e in record.incoming[node.id]:
            if e.gradient is None:
                continue
            source = name_of(record.nodes[e.source])
            blocks.append(_block(f"to {source}", e.gradient, True, GRADIENT, width))
            local = e.local
            if local is not None:
                blocks[-1].append(f"\n  local  {fit(local.text, width - 10)}", style=LOCAL)
    long = any("\n" in b.plain and "\n  local" not in b.plain for b in blocks)
    return Text("\n\n" if long else "\n").join(blocks)


def _block(
    title: str, v: Value | None, ready: bool, color: str, width: int, note: str | None = None
) -> Text:
    text = Text().append(f"{title}  ", style=f"bold {color}")
    if not ready:
        return text.append(_WAITING, style=FAINT)
    if v is None:
        return text.append(note or "not computed", style=SOFT)
    if v.size == 1:
        return text.append(number(v.item(), 6), style=color).append(f"   {v.type}", style=FAINT)
    text.append(v.type, style=SOFT)
    s = v.statistics
    facts = [f"{k} {number(s[k], 3)}" for k in ("min", "mean", "max", "norm") if s[k] is not None]
    if s["zeros"]:
        facts.append(f"zeros {number(100 * s['zeros'], 2)} %")
    text.append(f"\n  {fit('  '.join(facts), width - 4)}", style=SOFT)
    bad = [f"{int(s[k] or 0)} {k}" for k in ("nan", "inf") if s[k]]
    if bad:
        text.append(f"  {', '.join(bad)}", style=f"bold {BAD}")
    for line in _grid(v, width - 2, color):
        text.append("\n  ").append_text(line)
    bars = histogram(v, min(24, width - 30))
    if bars:
        low, high = number(s["min"], 2), number(s["max"], 2)
        text.append(f"\n  {low} ", style=FAINT).append(bars, style=color)
        text.append(f" {high}", style=FAINT)
    return text


def _grid(v: Value, width: int, color: str, rows: int = 4) -> Iterator[Text]:
    """The first elements as a matrix, darker where they are small."""
    if v.array is None:
        yield Text(fit(v.text(4, 8), width), style=color)
        return
    if v.size == 0:
        return
    array = v.array.reshape((-1, *v.array.shape[-2:]))[0] if v.array.ndim > 2 else v.array
    array = np.atleast_2d(array)
    columns = min(array.shape[1], max((width - 2) // 9, 1))
    part = array[:rows, :columns].astype(np.float64)
    finite = np.abs(part[np.isfinite(part)])
    top = float(finite.max()) if finite.size else 0.0
    for row in part:
        line = Text()
        for x in row:
            style = BAD if not math.isfinite(x) else color if abs(x) * 8 >= top else FAINT
            line.append(f"{number(float(x), 3):>9}", style=style)
        if array.shape[1] > columns:
            line.append(" …", style=FAINT)
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
