"""Where everything stands: coordinates of the slots of all boxes that can be seen.

Columns and orders are given (see `tree`); what is left is one pass a column. Heights are chosen so
that wires run straight where they can: each sweep places a column as close (in least squares) to
where its neighbours want it as the order and the distances allow, by pooling adjacent violators:
Ayer et al., Annals of Mathematical Statistics 26 (1955).

A box that is wider than it may be is broken into rows, as a text into lines, where few wires cross
the break; these run on around the end of the row and below it to the start of the next (a `Turn`).

`layout.js` repeats this computation in the browser; a test compares the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .labels import Labels
from .tree import BEND, IN, ITEM, OUT, Box, Tree

#: Lengths in pixels, shared with the script.
METRICS = {
    "char": 7.25,  # width of a character of 12 px
    "gate": 60,  # diameter of a gate
    "pitch": 36,  # distance between the inputs of a gate
    "crowd": 16,  # with more inputs, or outputs of a folded box, these stand closer, without labels
    "around": 44,  # room for the name above a gate and its role below
    "leaf": 62,
    "folded": 50,
    "beneath": 6,  # between a box and the next in its column, in addition to the space
    "bend": 26,
    "port": 30,
    "space": 8,  # between the slots of a column
    "header": 30,
    "pad": 18,
    "gap": 46,  # between columns, in addition to the labels on the wires
    "between": 20,  # between rows, in addition to the lanes of the wires that turn there
    "lane": 7,  # between wires that turn side by side
    "indent": 40,  # by which an inner box must be narrower than the one around it
    "narrowest": 220,  # no box is broken to be narrower than this
}
#: Of the longest row that fits, at least this much is filled before fewer crossings decide.
FILLED = 0.6


@dataclass(slots=True)
class Turn:
    """How a wire goes from the end of a row to the start of another, from the box's corner: right
    to `right`, down to `middle`, left to `left`, and down to its end."""

    right: float
    middle: float
    left: float


@dataclass(slots=True)
class Frame:
    """A box laid out: its size, where wires cross its borders, and its slots (unfolded boxes).

    `x` is the left side of a slot, `y` its middle, both from the box's own corner. `span` is how
    far a wire runs straight at a bend: past everything in its column. `turns` has the hops (by
    their number) that go from one row to another.
    """

    width: float
    height: float
    inputs: dict[int, float]
    outputs: dict[int, float]
    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    span: list[float] = field(default_factory=list)
    turns: dict[int, Turn] = field(default_factory=dict)


#: What does not depend on the width of rows, by box: see `layout`.
Known = dict[int, "_Layout"]


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


def layout(
    tree: Tree,
    labels: Labels,
    folded: list[bool] | None = None,
    width: float = math.inf,
    beside: float = 0.0,
    known: Known | None = None,
) -> dict[int, Frame]:
    """The frames of all boxes that can be seen, broken into rows of at most this width. `beside`
    is kept free next to the outermost boxes, so that the leaves they read can stand there.

    Who tries several widths hands in `known`, in which what does not depend on them is kept.
    """
    known = {} if known is None else known
    folded = [b.folded for b in tree.boxes] if folded is None else folded
    frames: dict[int, Frame] = {}
    for b in reversed(seen(tree, folded)):
        box = tree.boxes[b]
        if folded[b]:
            frames[b] = _fold(box, labels)
        else:
            room = METRICS["indent"] * tree.depth(b) + beside if b else 0.0
            made = known.get(b)
            inner = any(m >= tree.count and not folded[m - tree.count] for m in box.members)
            if made is None or inner or made.inner:
                made = known[b] = _Layout(tree, labels, box, frames, folded, inner)
            frames[b] = made.broken(max(width - room, METRICS["narrowest"]))
    return frames


def _fold(box: Box, labels: Labels) -> Frame:
    if box.node is not None:
        return Frame(*labels.size(box.node), {}, {})
    m = METRICS
    width = max(120.0, _title(box))
    outputs = min(len(box.outputs), m["crowd"])  # each with its value above, its gradient below
    height = float(max(m["folded"], m["pitch"] * (outputs + 1) * (outputs > 1)))
    return Frame(width, height, _spread(box.inputs, height), _spread(box.outputs, height))


def _title(box: Box) -> float:
    """The room that a box's title takes."""
    return len(box.title) * (METRICS["char"] + 0.4) + 44


def _spread(nets: list[int], height: float) -> dict[int, float]:
    n = len(nets)
    return {net: height * (i + 1) / (n + 1) for i, net in enumerate(nets)}


class _Layout:
    """The layout of one unfolded box."""

    def __init__(
        self,
        tree: Tree,
        labels: Labels,
        box: Box,
        frames: dict[int, Frame],
        folded: list[bool],
        inner: bool,
    ):
        self.tree, self.labels, self.box = tree, labels, box
        self.frames, self.folded = frames, folded
        self.inner = inner  # whether a box inside is unfolded
        self.column = [0] * len(box.slots)
        for c, slots in enumerate(box.columns):
            for s in slots:
                self.column[s] = c
        sizes = [self._size(s) for s in range(len(box.slots))]
        self.widths = [w for w, _ in sizes]
        self.heights = [h for _, h in sizes]
        self.before, self.across, self.after = self._around()
        self.offsets = [
            (self._out_offset(h.start, h.net), self._in_offset(h.stop, h.net, h.edges))
            for h in box.hops
        ]
        self.y = self._down()

    def broken(self, most: float) -> Frame:
        """The frame with rows of at most this width."""
        box = self.box
        row = self._rows(most)
        lanes = self._lanes(row)
        x, span, width, sides = self._place(row, lanes)
        y, tops, height = self._stack(row, lanes)
        if box.id:
            width = max(width, _title(box))
        for s, (kind, _) in enumerate(box.slots):
            if kind == IN:
                x[s] = 0.0
            elif kind == OUT:
                x[s] = width
        inputs = {ref: y[s] for s, (kind, ref) in enumerate(box.slots) if kind == IN}
        outputs = {ref: y[s] for s, (kind, ref) in enumerate(box.slots) if kind == OUT}
        turns = self._turns(row, lanes, y, tops, sides)
        return Frame(width, height, inputs, outputs, x, y, span, turns)

    def _size(self, slot: int) -> tuple[float, float]:
        m = METRICS
        kind, ref = self.box.slots[slot]
        if kind == BEND:
            return 0, m["bend"]
        if kind != ITEM:
            return 0, m["port"]
        node = self.tree.gate(ref, self.folded)
        if node < 0:
            frame = self.frames[ref - self.tree.count]
            return frame.width, frame.height + m["beneath"]
        width, height = self.labels.size(node)
        return width, height + (m["around"] if self.labels.is_gate[node] else m["leaf"] - 34)

    def _around(self) -> tuple[list[float], list[float], list[float]]:
        """Of each column: the widest label before it, the widest slot, the widest label behind."""
        box = self.box
        before = [0.0] * len(box.columns)
        across = [max((self.widths[s] for s in slots), default=0.0) for slots in box.columns]
        after = [0.0] * len(box.columns)
        for h in box.hops:
            kind, ref = box.slots[h.stop]
            for e in h.edges if kind == ITEM and self.tree.gate(ref, self.folded) >= 0 else ():
                c = self.column[h.stop]
                before[c] = max(before[c], self.labels.end_width(e))
        for s, (kind, ref) in enumerate(box.slots):
            if kind == ITEM:
                after[self.column[s]] = max(after[self.column[s]], self._label_after(ref))
        return before, across, after

    def _rows(self, most: float) -> list[int]:
        """The row of each column: full rows, broken where the fewest wires cross."""
        m, columns, slots = METRICS, self.box.columns, self.box.slots
        n = len(columns)
        crossing = [0] * (n + 1)  # how many hops pass the left side of a column
        for h in self.box.hops:
            crossing[self.column[h.start] + 1] += 1
            crossing[self.column[h.stop] + 1] -= 1
        for c in range(1, n + 1):
            crossing[c] += crossing[c - 1]
        # Ports stay beside what they lead to.
        kept = [c == 0 or all(slots[s][0] == OUT for s in columns[c]) for c in range(n)]
        if n > 1 and columns[0] and all(slots[s][0] == IN for s in columns[0]):
            kept[1] = True
        row = [0] * n
        first = number = 0
        while first < n:
            ends: list[float] = []
            right = m["pad"] + (self.before[first] if first else 0.0)
            start = n
            for c in range(first, n):
                if c > first:
                    right += m["gap"] + self.after[c - 1] + self.before[c]
                right += self.across[c]
                ends.append(right)
                if right + self.after[c] + m["pad"] <= most or c == first:
                    continue
                full = FILLED * ends[c - 1 - first]
                free = [
                    k
                    for k in range(first + 1, c + 1)
                    if not kept[k] and ends[k - 1 - first] >= full
                ]
                if free:
                    start = min(free, key=lambda k: (crossing[k], -k))
                    break
            row[first:start] = [number] * (start - first)
            first, number = start, number + 1
        return row

    def _lanes(self, row: list[int]) -> dict[int, int]:
        """For each row how many nets turn into it."""
        nets: dict[int, set[int]] = {}
        for h in self.box.hops:
            start, stop = row[self.column[h.start]], row[self.column[h.stop]]
            if start != stop:
                nets.setdefault(stop, set()).add(h.net)
        return {r: len(found) for r, found in nets.items()}

    def _place(
        self, row: list[int], lanes: dict[int, int]
    ) -> tuple[list[float], list[float], float, list[tuple[float, float]]]:
        """The left sides of the slots, how far bends reach, the width of the whole, and where each
        column begins and ends, with its labels."""
        m, box = METRICS, self.box
        x = [0.0] * len(box.slots)
        span = [0.0] * len(box.slots)
        sides: list[tuple[float, float]] = []
        left, width = float(m["pad"]), 0.0
        for c, slots in enumerate(box.columns):
            turning = lanes.get(row[c], 0) * m["lane"]
            if c and row[c] == row[c - 1]:
                left += m["gap"] + self.after[c - 1] + self.before[c]
            elif c:
                width = max(width, left + self.after[c - 1] + m["pad"] + turning)
                left = m["pad"] + turning + self.before[c]
            for s in slots:
                if box.slots[s][0] == BEND:
                    x[s], span[s] = left, self.across[c]
                else:
                    x[s] = left + (self.across[c] - self.widths[s]) / 2
            start = left - self.before[c]
            left += self.across[c]
            sides.append((start, left + self.after[c]))
        width = max(width, left + (self.after[-1] if self.after else 0.0) + m["pad"])
        return x, span, width, sides

    def _stack(
        self, row: list[int], lanes: dict[int, int]
    ) -> tuple[list[float], list[float], float]:
        """The middles of the slots with each row below the one before, where rows begin, and the
        height of the whole."""
        m, y, heights, rows = METRICS, self.y, self.heights, max(row, default=0) + 1
        of = [row[c] for c in self.column]
        low, high = [math.inf] * rows, [-math.inf] * rows
        for s, r in enumerate(of):
            low[r] = min(low[r], y[s] - heights[s] / 2)
            high[r] = max(high[r], y[s] + heights[s] / 2)
        at = m["pad"] / 2 + (m["header"] if self.box.id else 0)
        tops: list[float] = []
        for r in range(rows):
            if r:
                at += m["between"] + m["lane"] * lanes.get(r, 0)
            tops.append(at)
            at += max(high[r] - low[r], 0.0)
        return [v + tops[r] - low[r] for v, r in zip(y, of, strict=True)], tops, at + m["pad"] / 2

    def _turns(
        self,
        row: list[int],
        lanes: dict[int, int],
        y: list[float],
        tops: list[float],
        sides: list[tuple[float, float]],
    ) -> dict[int, Turn]:
        """The ways of wires between rows: the lowest start turns first, and none crosses another
        on its way."""
        m = METRICS
        turns: dict[int, Turn] = {}
        into: dict[int, list[tuple[float, int, int]]] = {}
        for number, h in enumerate(self.box.hops):
            r = row[self.column[h.stop]]
            if row[self.column[h.start]] != r:
                start = y[h.start] + self.offsets[number][0]
                into.setdefault(r, []).append((-start, h.net, number))
        for r, found in into.items():
            place: dict[int, int] = {}
            for _, net, number in sorted(found):
                i = place.setdefault(net, len(place))
                back = lanes[r] - 1 - i
                h = self.box.hops[number]
                turns[number] = Turn(
                    right=sides[self.column[h.start]][1] + 10 + m["lane"] * i,
                    middle=tops[r] - m["between"] / 2 - m["lane"] * back,
                    left=sides[self.column[h.stop]][0] - 10 - m["lane"] * back,
                )
        return turns

    def _label_after(self, item: int) -> float:
        node = self.tree.gate(item, self.folded)
        if node >= 0:
            return self.labels.start_width(node)
        inner = self.tree.boxes[item - self.tree.count]
        if not self.folded[inner.id]:
            return 0.0
        if len(inner.outputs) > METRICS["crowd"]:
            return 0.0
        return max((self.labels.start_width(n) for n in inner.outputs), default=0.0)

    def _down(self) -> list[float]:
        """The middles of the slots as if all columns stood in one row."""
        box, heights = self.box, self.heights
        pulls_left: list[list[tuple[int, float]]] = [[] for _ in box.slots]
        pulls_right: list[list[tuple[int, float]]] = [[] for _ in box.slots]
        for h, (start, stop) in zip(box.hops, self.offsets, strict=True):
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
        if kind != ITEM or self.tree.gate(ref, self.folded) >= 0:
            return 0.0
        frame = self.frames[ref - self.tree.count]
        return frame.outputs[net] - frame.height / 2

    def _in_offset(self, slot: int, net: int, edges: list[int]) -> float:
        kind, ref = self.box.slots[slot]
        if kind != ITEM:
            return 0.0
        if self.tree.gate(ref, self.folded) < 0:
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
