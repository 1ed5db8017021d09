"""Where everything stands: coordinates of the slots of all boxes that can be seen.

Columns and orders are given (see `tree`); what is left is one pass a column. Heights are chosen so
that wires run straight where they can: each sweep places a column as close (in least squares) to
where its neighbours want it as the order and the distances allow, by pooling adjacent violators:
Ayer et al., Annals of Mathematical Statistics 26 (1955). `view.js` repeats this computation in the
browser; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .labels import Labels
from .tree import BEND, IN, ITEM, OUT, Box, Tree

#: Lengths in pixels, shared with the script.
METRICS = {
    "char": 7.25,  # width of a character of 12 px
    "gate": 60,  # diameter of a gate
    "pitch": 36,  # distance between the inputs of a gate
    "around": 40,  # room for the name above a gate and its role below
    "leaf": 62,
    "folded": 86,
    "bend": 26,
    "port": 30,
    "space": 8,  # between the slots of a column
    "header": 30,
    "pad": 18,
    "gap": 54,  # between columns, in addition to the labels on the wires
}


@dataclass(slots=True)
class Frame:
    """A box laid out: its size, where wires cross its borders, and its slots (unfolded boxes).

    `x` is the left side of a slot, `y` its middle, both from the box's own corner. `span` is how
    far a wire runs straight at a bend: past everything in its column.
    """

    width: float
    height: float
    inputs: dict[int, float]
    outputs: dict[int, float]
    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    span: list[float] = field(default_factory=list)


def seen(tree: Tree, folded: list[bool]) -> list[int]:
    """The boxes that can be seen, outer ones first."""
    result = [0]
    for b in result:
        if folded[b]:
            continue
        for m in tree.boxes[b].members:
            if m >= tree.count:
                result.append(m - tree.count)
    return result


def layout(tree: Tree, labels: Labels, folded: list[bool] | None = None) -> dict[int, Frame]:
    """The frames of all boxes that can be seen."""
    folded = [b.folded for b in tree.boxes] if folded is None else folded
    frames: dict[int, Frame] = {}
    for b in reversed(seen(tree, folded)):
        box = tree.boxes[b]
        frames[b] = _fold(box) if folded[b] else _Layout(tree, labels, box, frames, folded).run()
    return frames


def _fold(box: Box) -> Frame:
    m = METRICS
    width = max(120.0, len(box.title) * (m["char"] + 0.4) + 44)
    height = float(m["folded"] - 24)
    return Frame(width, height, _spread(box.inputs, height), _spread(box.outputs, height))


def _spread(nets: list[int], height: float) -> dict[int, float]:
    n = len(nets)
    return {net: height * (i + 1) / (n + 1) for i, net in enumerate(nets)}


class _Layout:
    """The layout of one unfolded box."""

    def __init__(
        self, tree: Tree, labels: Labels, box: Box, frames: dict[int, Frame], folded: list[bool]
    ):
        self.tree, self.labels, self.box = tree, labels, box
        self.frames, self.folded = frames, folded

    def run(self) -> Frame:
        m, box = METRICS, self.box
        sizes = [self._size(s) for s in range(len(box.slots))]
        x, width, span = self._across([w for w, _ in sizes])
        y = self._down([h for _, h in sizes])
        top = min((y[s] - sizes[s][1] / 2 for s in range(len(y))), default=0.0)
        bottom = max((y[s] + sizes[s][1] / 2 for s in range(len(y))), default=0.0)
        above = m["pad"] / 2 + (m["header"] if box.id else 0)
        y = [v - top + above for v in y]
        inputs = {ref: y[s] for s, (kind, ref) in enumerate(box.slots) if kind == IN}
        outputs = {ref: y[s] for s, (kind, ref) in enumerate(box.slots) if kind == OUT}
        height = bottom - top + above + m["pad"] / 2
        if box.id:
            title = len(box.title) * (m["char"] + 0.4) + 44
            width = max(width, title)
            for s, (kind, _) in enumerate(box.slots):
                if kind == OUT:
                    x[s] = width
        return Frame(width, height, inputs, outputs, x, y, span)

    def _size(self, slot: int) -> tuple[float, float]:
        m = METRICS
        kind, ref = self.box.slots[slot]
        if kind == BEND:
            return 0, m["bend"]
        if kind != ITEM:
            return 0, m["port"]
        if ref >= self.tree.count:
            frame = self.frames[ref - self.tree.count]
            return frame.width, frame.height + 24
        width, height = self.labels.size(ref)
        return width, height + (m["around"] if self.labels.is_gate[ref] else m["leaf"] - 34)

    def _across(self, widths: list[float]) -> tuple[list[float], float, list[float]]:
        m, box = METRICS, self.box
        starts = [0.0] * len(box.columns)  # widest label behind a column
        ends = [0.0] * len(box.columns)  # widest label before a column
        column = [0] * len(box.slots)
        for c, slots in enumerate(box.columns):
            for s in slots:
                column[s] = c
                kind, ref = box.slots[s]
                if kind == ITEM:
                    starts[c] = max(starts[c], self._label_after(ref))
        for h in box.hops:
            for e in h.edges:
                ends[column[h.stop]] = max(ends[column[h.stop]], self.labels.end_width(e))
        x = [0.0] * len(box.slots)
        span = [0.0] * len(box.slots)
        left = float(m["pad"])
        for c, slots in enumerate(box.columns):
            if c:
                left += m["gap"] + starts[c - 1] + ends[c]
            width = max((widths[s] for s in slots), default=0.0)
            for s in slots:
                if box.slots[s][0] == BEND:
                    x[s], span[s] = left, width
                else:
                    x[s] = left + (width - widths[s]) / 2
            left += width
        width = left + m["pad"] + (starts[-1] if starts else 0)
        for s, (kind, _) in enumerate(box.slots):
            if kind == IN:
                x[s] = 0.0
            elif kind == OUT:
                x[s] = width
        return x, width, span

    def _label_after(self, item: int) -> float:
        if item < self.tree.count:
            return self.labels.start_width(item)
        inner = self.tree.boxes[item - self.tree.count]
        if not self.folded[inner.id]:
            return 0.0
        return max((self.labels.start_width(n) for n in inner.outputs), default=0.0)

    def _down(self, heights: list[float]) -> list[float]:
        box = self.box
        pulls_left: list[list[tuple[int, float]]] = [[] for _ in box.slots]
        pulls_right: list[list[tuple[int, float]]] = [[] for _ in box.slots]
        for h in box.hops:
            start = self._out_offset(h.start, h.net)
            stop = self._in_offset(h.stop, h.net, h.edges)
            pulls_left[h.stop].append((h.start, start - stop))
            pulls_right[h.start].append((h.stop, stop - start))
        y = [0.0] * len(box.slots)
        for column in box.columns:
            total = sum(heights[s] + METRICS["space"] for s in column)
            at = -total / 2
            for s in column:
                y[s] = at + (heights[s] + METRICS["space"]) / 2
                at += heights[s] + METRICS["space"]
        for sweep in range(4):
            forward = sweep % 2 == 0
            pulls = pulls_left if forward else pulls_right
            for column in box.columns if forward else reversed(box.columns):
                _settle(column, heights, y, pulls)
        return y

    def _out_offset(self, slot: int, net: int) -> float:
        kind, ref = self.box.slots[slot]
        if kind != ITEM or ref < self.tree.count:
            return 0.0
        frame = self.frames[ref - self.tree.count]
        return frame.outputs[net] - frame.height / 2

    def _in_offset(self, slot: int, net: int, edges: list[int]) -> float:
        kind, ref = self.box.slots[slot]
        if kind != ITEM:
            return 0.0
        if ref >= self.tree.count:
            frame = self.frames[ref - self.tree.count]
            return frame.inputs[net] - frame.height / 2
        return sum(self.labels.input_offset(e) for e in edges) / max(len(edges), 1)


def _settle(
    column: list[int],
    heights: list[float],
    y: list[float],
    pulls: list[list[tuple[int, float]]],
) -> None:
    """Place a column where its neighbours pull it, keeping order and distances."""
    offset = 0.0
    means: list[float] = []
    weights: list[float] = []
    counts: list[int] = []
    offsets: list[float] = []
    for i, s in enumerate(column):
        if i:
            offset += (heights[column[i - 1]] + heights[s]) / 2 + METRICS["space"]
        offsets.append(offset)
        near = pulls[s]
        wanted = sum(y[t] + d for t, d in near) / len(near) if near else y[s]
        means.append(wanted - offset)
        weights.append(1.0 if near else 0.05)
        counts.append(1)
        while len(means) > 1 and means[-2] >= means[-1]:
            w = weights[-2] + weights[-1]
            means[-2] = (means[-2] * weights[-2] + means[-1] * weights[-1]) / w
            weights[-2] = w
            counts[-2] += counts[-1]
            means.pop()
            weights.pop()
            counts.pop()
    i = 0
    for mean, count in zip(means, counts, strict=True):
        for _ in range(count):
            y[column[i]] = mean + offsets[i]
            i += 1
