"""The drawing as one SVG file: no script, every style inside."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape as escape_html

from ....table import quantity
from ...records.parts import NodeRecord, printable
from ...records.value import number
from .labels import Labels, bare, touching
from .layout import METRICS, Frame, Turn
from .tree import BEND, IN, ITEM, Box, Tree

#: Green, red and blue that people with any common colour blindness tell apart (after Okabe & Ito,
#: "Color universal design", 2008), darkened to a contrast above 4.5 on white.
STYLE = """
.bl{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#1b1f24}
.bl .paper{fill:#fff}
.bl .wire{fill:none;stroke:#8a94a0;stroke-width:1.4}
.bl .gate{fill:#fff;stroke:#30363d;stroke-width:1.6}
.bl .leaf{fill:#f4f6f8;stroke:#8a94a0;stroke-width:1.2}
.bl .parameter{fill:#eef3fb;stroke:#5b7fb4}
.bl .constant{stroke-dasharray:4 3}
.bl .output .gate{stroke-width:2.6}
.bl .failed .gate,.bl .failed .leaf{stroke:#b3261e;stroke-width:3;stroke-dasharray:6 3;fill:#fdf0ee}
.bl .symbol{text-anchor:middle;dominant-baseline:central;font-size:14px}
.bl .leaf-name{text-anchor:middle;dominant-baseline:central;font-size:13px}
.bl .name{text-anchor:middle;font-style:italic;font-size:13px}
.bl .role,.bl .type{text-anchor:middle;font-size:12px;fill:#667079}
.bl .value{fill:#00714f}
.bl .grad{fill:#b34000}
.bl .local{fill:#1a5fb4;text-anchor:end}
.bl .grad.end{text-anchor:end}
.bl .halo{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}
.bl .box{fill:#7d8fa3;fill-opacity:.07;stroke:#a9b4bf;stroke-width:1}
.bl .box.folded{fill:#fff;fill-opacity:1;stroke:#5c6670;stroke-width:1.4}
.bl .box.repeat{stroke-width:1.4}
.bl .title{font-size:12px;font-weight:600;fill:#3a424b}
.bl .detail{font-size:12px;fill:#667079}
.bl .adder{fill:#fff;stroke:#8a94a0;stroke-width:1.2}
.bl .plus{font-size:12px;text-anchor:middle;dominant-baseline:central;fill:#b34000}
.bl .adds{font-size:12px;fill:#667079;dominant-baseline:central}
.bl .error{fill:#b3261e;text-anchor:middle;font-size:12px}
"""


@dataclass(slots=True)
class Scene:
    """Everything that is seen, in the coordinates of the picture."""

    width: float
    height: float
    boxes: list[tuple[int, float, float]]  # box, left, top
    nodes: dict[int, tuple[float, float]]  # node: left, middle
    #: (path, net, edge or None, end of the wire (x, y) or None)
    wires: list[tuple[str, int, int | None, tuple[float, float]]]
    starts: list[tuple[int, float, float]]  # net whose labels stand behind this point
    dots: list[tuple[int, float, float]]  # how often a value is used, where that is several times


def scene(tree: Tree, labels: Labels, frames: dict[int, Frame]) -> Scene:
    """Place all frames in the picture and lead the wires."""
    result = Scene(frames[0].width, frames[0].height, [], {}, [], [], [])
    corner = {0: (0.0, 0.0)}
    for b, frame in sorted(frames.items(), key=lambda item: (tree.depth(item[0]), item[0])):
        left, top = corner[b]
        box = tree.boxes[b]
        if not frame.x and box.node is not None:
            continue  # drawn as its op
        if b:
            result.boxes.append((b, left, top))
        if not frame.x:
            for net in box.outputs if len(box.outputs) <= METRICS["crowd"] else ():
                result.starts.append((net, left + frame.width, top + frame.outputs[net]))
            continue
        for s, (kind, ref) in enumerate(box.slots):
            if kind != ITEM:
                continue
            x, y = left + frame.x[s], top + frame.y[s]
            node = _gate(tree, frames, ref)
            if node >= 0:
                result.nodes[node] = x, y
                result.starts.append((node, x + labels.size(node)[0], y))
            if ref >= tree.count:
                corner[ref - tree.count] = x, y - frames[ref - tree.count].height / 2
        _wires(tree, labels, frames, box, left, top, result)
    return result


def _wires(
    tree: Tree,
    labels: Labels,
    frames: dict[int, Frame],
    box: Box,
    left: float,
    top: float,
    result: Scene,
) -> None:
    frame = frames[box.id]
    leaving: dict[tuple[int, int], int] = {}
    for place, h in enumerate(box.hops):
        turn = frame.turns.get(place)
        kind, ref = box.slots[h.start]
        x, y = left + frame.x[h.start], top + frame.y[h.start]
        room = 0.0
        node = _gate(tree, frames, ref) if kind == ITEM else -1
        if node >= 0:
            x += labels.size(node)[0]
            room = labels.start_width(node)
        elif kind == ITEM:
            inner = frames[ref - tree.count]
            x += inner.width
            y += inner.outputs[h.net] - inner.height / 2
            crowded = len(tree.boxes[ref - tree.count].outputs) > METRICS["crowd"]
            room = 0.0 if inner.x or crowded else labels.start_width(h.net)
        elif kind == BEND:
            x += frame.span[h.start]
        used = leaving.get((h.start, h.net), 0) + max(len(h.edges), 1)
        leaving[h.start, h.net] = used
        kind2, ref2 = box.slots[h.stop]
        x2, y2 = left + frame.x[h.stop], top + frame.y[h.stop]
        node = _gate(tree, frames, ref2) if kind2 == ITEM else -1
        if node >= 0:
            size = labels.size(node)
            for e in h.edges:
                offset = labels.input_offset(e)
                reach = x2 + size[0] / 2 - touching(*size, offset)
                back = labels.end_width(e)
                if turn:
                    path = _turned(x, y, turn, left, top, reach, y2 + offset)
                else:
                    path = _curve(x, y, x + room, x2 - back, reach, y2 + offset)
                result.wires.append((path, h.net, e, (x2, y2 + offset)))
            continue
        if kind2 == ITEM:
            inner = frames[ref2 - tree.count]
            y2 += inner.inputs[h.net] - inner.height / 2
        end = x2 + frame.span[h.stop]
        if turn:
            path = _turned(x, y, turn, left, top, end, y2)
        else:
            path = _curve(x, y, x + room, x2, end, y2)
        result.wires.append((path, h.net, None, (x2, y2)))
    for (start, net), used in leaving.items():
        kind, ref = box.slots[start]
        if used > 1 and kind != BEND:
            x, y = left + frame.x[start], top + frame.y[start]
            if kind == IN:
                result.dots.append((used, x + 6, y))
                continue
            node = _gate(tree, frames, ref)
            if node >= 0:
                x += labels.size(node)[0]
            else:
                inner = frames[ref - tree.count]
                x, y = x + inner.width, y + inner.outputs[net] - inner.height / 2
                if inner.x or len(tree.boxes[ref - tree.count].outputs) > METRICS["crowd"]:
                    continue
            result.dots.append((used, x + labels.start_width(net) + 6, y))


def _gate(tree: Tree, frames: dict[int, Frame], item: int) -> int:
    """The node that is drawn for an item; -1 for a box."""
    if item < tree.count:
        return item
    box = tree.boxes[item - tree.count]
    return box.node if box.node is not None and not frames[box.id].x else -1


def _curve(x: float, y: float, bend: float, back: float, x2: float, y2: float) -> str:
    """A wire: level for its labels at both ends, curved between."""
    middle = (bend + back) / 2
    if back < bend:
        middle = (x + x2) / 2
        return f"M{x:.1f} {y:.1f}C{middle:.1f} {y:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    return (
        f"M{x:.1f} {y:.1f}H{bend:.1f}C{middle:.1f} {y:.1f} {middle:.1f} {y2:.1f} "
        f"{back:.1f} {y2:.1f}H{x2:.1f}"
    )


def _turned(x: float, y: float, turn: Turn, left: float, top: float, x2: float, y2: float) -> str:
    """A wire from one row to another, with round corners."""
    a, b, m, r = left + turn.right, left + turn.left, top + turn.middle, 6
    corners = (
        f"H{a - r:.1f}Q{a:.1f} {y:.1f} {a:.1f} {y + r:.1f}",
        f"V{m - r:.1f}Q{a:.1f} {m:.1f} {a - r:.1f} {m:.1f}",
        f"H{b + r:.1f}Q{b:.1f} {m:.1f} {b:.1f} {m + r:.1f}",
        f"V{y2 - r:.1f}Q{b:.1f} {y2:.1f} {b + r:.1f} {y2:.1f}",
    )
    return f"M{x:.1f} {y:.1f}{''.join(corners)}H{x2:.1f}"


def escape(text: str) -> str:
    """Text for an XML file."""
    return escape_html(printable(text))


def svg(tree: Tree, labels: Labels, frames: dict[int, Frame], title: str) -> str:
    """The picture as the text of an SVG file."""
    s = scene(tree, labels, frames)
    record = tree.record
    margin = 12
    parts: list[str] = []
    for b, x, y in s.boxes:
        parts.append(_box(tree.boxes[b], frames[b], x, y))
    for path, _, _, _ in s.wires:
        parts.append(f'<path class="wire" d="{path}"/>')
    for net, x, y in s.starts:
        if net == record.output:
            end = x + labels.start_width(net)
            parts.append(f'<path class="wire" d="M{x:.1f} {y:.1f}H{end:.1f}"/>')
        parts.append(_start(labels, net, x, y))
    for used, x, y in s.dots:
        parts.append(
            f'<g class="dot"><title>copy: adder; its {used} uses add up their gradients</title>'
            f'<circle class="adder" cx="{x:.1f}" cy="{y:.1f}" r="6"/>'
            f'<text class="plus" x="{x:.1f}" y="{y:.1f}">+</text>'
            f'<text class="adds halo" x="{x + 10:.1f}" y="{y:.1f}">adder</text></g>'
        )
    for _, _, edge, (x, y) in s.wires:
        if edge is not None and not labels.is_crowded(edge):
            parts.append(_end(labels, edge, x, y))
    for n, (x, y) in s.nodes.items():
        parts.append(_node(record.nodes[n], labels, x, y, n == record.output))
    width, height = s.width + 2 * margin, s.height + 2 * margin
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-margin} {-margin} {width:.1f} {height:.1f}" class="bl" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(_description(tree))}</desc>"
        f"<style>{STYLE}</style>"
        f'<rect class="paper" x="{-margin}" y="{-margin}" width="100%" height="100%"/>'
        f"{''.join(parts)}</svg>"
    )


def _description(tree: Tree) -> str:
    record = tree.record
    ops = sum(n.kind == "op" for n in record.nodes)
    text = f"A computational graph of {quantity(ops, 'op')} on {len(record.nodes) - ops} leaves."
    if record.output is not None:
        out = record.nodes[record.output]
        if out.value is not None and out.value.item() is not None:
            text += f" The output {out.label} is {number(out.value.item())}."
    if record.error:
        text += f" It raised: {record.error}."
    return text


def _start(labels: Labels, net: int, x: float, y: float) -> str:
    value, grad = labels.value[net], labels.upstream[net]
    text = ""
    if value:
        text += f'<text class="value halo" x="{x + 5:.1f}" y="{y - 5:.1f}">{escape(value)}</text>'
    if grad:
        text += f'<text class="grad halo" x="{x + 5:.1f}" y="{y + 14:.1f}">{escape(grad)}</text>'
    return text


def _end(labels: Labels, edge: int, x: float, y: float) -> str:
    text = ""
    if labels.local[edge]:
        local = escape(labels.local[edge])
        text += f'<text class="local halo" x="{x - 4:.1f}" y="{y - 5:.1f}">{local}</text>'
    if labels.downstream[edge]:
        grad = escape(labels.downstream[edge])
        text += f'<text class="grad end halo" x="{x - 4:.1f}" y="{y + 14:.1f}">{grad}</text>'
    return text


def _box(box: Box, frame: Frame, x: float, y: float) -> str:
    folded = not frame.x
    kind = " ".join(["box", box.kind, *(["folded"] if folded else [])])
    w, h = frame.width, frame.height
    text = f"<g><title>{escape(box.detail or box.title)}</title>"
    if folded and box.kind == "repeat":
        for shift in (10, 5):
            text += (
                f'<rect class="{kind}" x="{x + shift:.1f}" y="{y - shift:.1f}" '
                f'width="{w - 2 * shift:.1f}" height="{h:.1f}" rx="8"/>'
            )
    text += (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="8"/>'
    )
    sign = "▸" if folded else "▾"
    label = f"{sign} {escape(box.title)}"
    if folded:
        middle = y + h / 2
        text += f'<text class="title" x="{x + 16:.1f}" y="{middle + 4:.1f}">{label}</text>'
    else:
        text += f'<text class="title" x="{x + 12:.1f}" y="{y + 20:.1f}">{label}</text>'
    return text + "</g>"


def _node(n: NodeRecord, labels: Labels, x: float, y: float, output: bool) -> str:
    width, height = labels.size(n.id)
    middle = x + width / 2
    kind = " ".join(
        [f"is-{n.kind}", *(["output"] if output else []), *(["failed"] if n.error else [])]
    )
    symbol = escape(labels.symbol[n.id])
    where = labels.record.location(n)
    tip = " · ".join(t for t in (n.name or n.op, n.type, where, n.error or "") if t)
    text = f'<g class="{kind}"><title>{escape(tip)}</title>'
    if n.kind == "op":
        radius = height / 2 if width == height else 12
        text += (
            f'<rect class="gate" x="{x:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" rx="{radius:.1f}"/>'
            f'<text class="symbol" x="{middle:.1f}" y="{y:.1f}">{symbol}</text>'
        )
        if n.name:
            above, name = y - height / 2 - 6, escape(bare(n))
            text += f'<text class="name" x="{middle:.1f}" y="{above:.1f}">{name}</text>'
        below = "raised here" if n.error else labels.role[n.id]
        if below:
            style = "error" if n.error else "role"
            low = y + height / 2 + 16
            text += f'<text class="{style}" x="{middle:.1f}" y="{low:.1f}">{below}</text>'
        return text + "</g>"
    text += (
        f'<rect class="leaf {n.kind}" x="{x:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" rx="6"/>'
        f'<text class="leaf-name" x="{middle:.1f}" y="{y:.1f}">{symbol}</text>'
    )
    if below := labels.below[n.id]:
        low = y + height / 2 + 12
        text += f'<text class="type" x="{middle:.1f}" y="{low:.1f}">{below}</text>'
    return text + "</g>"


__all__ = ["METRICS", "scene", "svg"]
