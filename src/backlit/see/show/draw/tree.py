"""What is drawn inside what: the tree of module calls, repeated blocks, columns, wires.

Everything here depends on the graph alone, not on what is folded: the column of each item and the
order within a column are fixed once, so folding and unfolding moves things and never reorders them.
The work is linear in nodes and edges, but for sorting within columns.

Items are numbered: node i of the record is item i, box b is item N + b for N nodes. Box 0 is the
whole picture. In a box there are *slots* (an item, a port on its left or right border, or a bend
of a wire that passes a column), the slots stand in *columns*, and *hops* lead from a slot to one
in the next column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...records.model import Record
from ...records.parts import Edge, NodeRecord
from .bodies import Opened

ITEM, IN, OUT, BEND = range(4)

#: A wire over more columns than this is drawn straight, without a way kept free for it.
MAX_BENDS = 16
#: Repetitions with a longer period than this are not looked for.
MAX_PERIOD = 12
#: The same in an op's body: one step of an LSTM has some twenty gates.
MAX_PERIOD_INSIDE = 40
#: How many items are unfolded at first.
VISIBLE = 60


@dataclass(eq=False, slots=True)
class Hop:
    """A piece of a wire, between slots of neighbouring columns (or, if very long, of any two)."""

    start: int
    stop: int
    net: int  # the node whose value the wire carries
    edges: list[int]  # the record's edges that end here; empty at a bend or a border


@dataclass(eq=False, slots=True)
class Box:
    """A module call, a repetition of blocks, an op's body, or the whole picture (number 0)."""

    id: int
    parent: int | None
    title: str
    detail: str = ""
    #: "root", "module", "repeat" (of blocks), "part" (one repetition of several members) or "op".
    kind: str = "module"
    scope: int | None = None
    node: int | None = None  # the op whose body it is, and that is drawn in its place if folded
    wanted: bool = False  # whether it was asked for, so that it is open from the start
    members: list[int] = field(default_factory=list)
    folded: bool = True
    slots: list[tuple[int, int]] = field(default_factory=list)  # (kind, item or net)
    columns: list[list[int]] = field(default_factory=list)
    hops: list[Hop] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)  # nets that come in
    outputs: list[int] = field(default_factory=list)  # nets that go out


#: The pieces of wires in a box: (kind, item or net, kind, item or net, net) to edges that end.
Pieces = dict[tuple[int, int, int, int, int], list[int]]


class Tree:
    """The boxes of a record with their columns and wires."""

    def __init__(self, record: Record):
        self.record = record if isinstance(record, Opened) else Opened(record, {})
        self.count = len(record.nodes)
        self.boxes = [Box(0, None, "", kind="root", folded=False)]
        self.parent: list[int] = [0] * self.count  # of each node
        self.item = list(range(self.count))  # as which it is placed: an op with a body as a box
        self._place_ops()
        self._fold_repeats()
        self._place_leaves()
        self._wire()
        rank = self._ranks()
        lean = self._leans()
        for box in self.boxes:
            _arrange(box, rank, lean)
        self._unfold_first()
        self._unfold_wanted()

    # -- who is inside whom -------------------------------------------------------------------

    def _place_ops(self) -> None:
        record = self.record
        for s in record.scopes:
            parent = 0 if s.parent is None else s.parent + 1
            title = s.type if s.name == s.type else f"{s.name}: {s.type}"
            self.boxes.append(Box(s.id + 1, parent, title, s.detail, scope=s.id))
        listed = [False] * len(self.boxes)
        listed[0] = True
        for node in record.closed.nodes:
            if node.kind != "op":
                continue
            box = 0 if node.scope is None else node.scope + 1
            self.parent[node.id] = box
            if node.id in record.results:
                self._place_body(node, box)
            self.boxes[box].members.append(self.item[node.id])
            while not listed[box]:
                listed[box] = True
                outer = self.boxes[box].parent
                assert outer is not None
                members = self.boxes[outer].members
                members.append(self.count + box)
                box = outer
        for number in range(len(record.closed.nodes), self.count):
            body = self.boxes[self.item[record.owner[number]] - self.count]
            self.parent[number] = body.id
            body.members.append(number)

    def _place_body(self, node: NodeRecord, outer: int) -> None:
        title = f"{node.name}: {node.op}" if node.name else node.op
        body = Box(len(self.boxes), outer, title, node.op_class.__doc__ or "", "op", node=node.id)
        body.detail = body.detail.strip().partition("\n")[0]
        self.boxes.append(body)
        self.item[node.id] = self.count + body.id

    def gate(self, item: int, folded: Sequence[bool]) -> int:
        """The node that is drawn for an item: that of a folded body is its op. -1: it is a box."""
        if item < self.count:
            return item
        box = self.boxes[item - self.count]
        return box.node if box.node is not None and folded[box.id] else -1

    def is_module(self, item: int) -> bool:
        """Whether an item is a box, and not an op with its body."""
        return item >= self.count and self.boxes[item - self.count].node is None

    def _signatures(self) -> list[int]:
        """A number for each item, the same for items of the same structure.

        In an op's body the turns of a loop read other places: there attributes do not count.
        """
        known: dict[Any, int] = {}

        def number(key: Any) -> int:
            return known.setdefault(key, len(known))

        result = [
            number((n.op, n.shape, () if inside >= 0 else tuple(n.attributes.items())))
            if n.kind == "op"
            else -1
            for n, inside in zip(self.record.nodes, self.record.owner, strict=True)
        ]
        result += [0] * len(self.boxes)
        for box in reversed(self.boxes):
            if box.node is not None:
                result[self.count + box.id] = result[box.node]
                continue
            inner = tuple(result[m] for m in box.members)
            kind = "" if box.scope is None else self.record.scopes[box.scope].type
            result[self.count + box.id] = number((kind, inner))
        return result

    def _fold_repeats(self) -> None:
        """Put runs of equal members into a box of their own: Block ×12."""
        signatures = self._signatures()
        for box in list(self.boxes):
            sequence = [signatures[m] for m in box.members]
            runs = _runs(sequence, MAX_PERIOD if box.node is None else MAX_PERIOD_INSIDE)
            if not runs:
                continue
            members: list[int] = []
            done = 0
            for start, period, times in runs:
                members += box.members[done:start]
                done = start + period * times
                members.append(self._repeat(box, box.members[start:done], period, times))
            box.members = members + box.members[done:]

    def _repeat(self, outer: Box, run: list[int], period: int, times: int) -> int:
        names, most = [self._short(m) for m in run[:period]], 3
        if outer.node is not None:  # the gates of a recurrence have names
            nodes = self.record.nodes
            called = [nodes[m].name for m in run[-period:] if m < self.count and nodes[m].name]
            names, most = [name for name in called if name] or names, 7
        title = ", ".join(names[:most]) + (", …" if len(names) > most else "")
        group = Box(len(self.boxes), outer.id, f"{title} ×{times}", kind="repeat")
        self.boxes.append(group)
        for i in range(times):
            part = run[i * period : (i + 1) * period]
            if period == 1:
                self._move(part[0], group)
                continue
            inner = Box(len(self.boxes), group.id, f"{title} #{i + 1}", kind="part")
            self.boxes.append(inner)
            for member in part:
                self._move(member, inner)
            group.members.append(self.count + inner.id)
        return self.count + group.id

    def _move(self, item: int, box: Box) -> None:
        box.members.append(item)
        if item < self.count:
            self.parent[item] = box.id
            return
        moved = self.boxes[item - self.count]
        moved.parent = box.id
        if moved.node is not None:
            self.parent[moved.node] = box.id

    def _short(self, item: int) -> str:
        if item < self.count:
            return self.record.nodes[item].op
        box = self.boxes[item - self.count]
        if box.node is not None:
            return self.record.nodes[box.node].op
        return box.title if box.scope is None else self.record.scopes[box.scope].type

    def chain(self, node: int) -> list[int]:
        """The boxes around a node, from the innermost to the whole picture."""
        result: list[int] = []
        box: int | None = self.parent[node]
        while box is not None:
            result.append(box)
            box = self.boxes[box].parent
        return result

    def depth(self, box: int) -> int:
        """How many boxes are around a box."""
        depth, outer = 0, self.boxes[box].parent
        while outer is not None:
            depth, outer = depth + 1, self.boxes[outer].parent
        return depth

    def _place_leaves(self) -> None:
        """Parameters and buffers stand in the innermost box that holds all their uses, as do
        unnamed constants (the mask of a dropout); what the user named or gave to the first op
        stands outside.
        """
        ops = (n.id for n in self.record.nodes if n.kind == "op")
        opening = next(ops, -1)
        for node in self.record.closed.nodes:
            if node.kind == "op":
                continue
            uses = self.record.outgoing[node.id]
            inside = bool(uses) and (
                node.kind == "parameter"
                or "." in (node.name or "")  # a module's buffer
                or "[" in (node.name or "")  # an element of a list, for one step of a loop
                or (_unnamed(node) and uses[0].target != opening)
            )
            if inside:
                common = self.chain(uses[0].target)
                for e in uses[1:]:
                    others = set(self.chain(e.target))
                    common = [b for b in common if b in others]
                box = common[0]
                while self.boxes[box].kind in ("repeat", "part") and len(uses) > 1:
                    box = self.boxes[box].parent or 0
                self.parent[node.id] = box
            self.boxes[self.parent[node.id]].members.append(node.id)

    def _ranks(self) -> list[int]:
        """For each item the number of its first node."""
        rank = list(range(self.count)) + [self.count] * len(self.boxes)
        for node in range(self.count):
            for b in self.chain(node):
                rank[self.count + b] = min(rank[self.count + b], node)
        for box in self.boxes:
            if box.node is not None:
                rank[self.count + box.id] = box.node
        return rank

    def _leans(self) -> list[float]:
        """For each edge where on its gate it ends: from -0.4 at the top to 0.4 at the bottom."""
        lean = [0.0] * len(self.record.edges)
        for edges in self.record.incoming:
            for i, e in enumerate(edges):
                lean[e.id] = 0.8 * (i + 0.5) / len(edges) - 0.4
        return lean

    def _unfold_first(self) -> None:
        """Unfold modules from the outside in, as long as the picture stays small."""
        visible = len(self.boxes[0].members)
        queue = [0]
        for b in queue:
            for m in self.boxes[b].members:
                if m < self.count:
                    continue
                inner = self.boxes[m - self.count]
                grown = visible + len(inner.members)
                if inner.kind == "module" and grown <= VISIBLE:
                    inner.folded = False
                    visible = grown
                    queue.append(inner.id)

    def _unfold_wanted(self) -> None:
        """Unfold the bodies that were asked for, and what is around them."""
        for op in self.record.wanted:
            for b in self.chain(self.record.results[op])[:-1]:
                self.boxes[b].wanted, self.boxes[b].folded = True, False

    def at_first(self) -> list[bool]:
        """Which boxes are folded where nothing but what was asked for is open."""
        return [b.id > 0 and not b.wanted for b in self.boxes]

    def all_modules(self) -> list[bool]:
        """Which boxes are folded where all but the bodies of ops are open."""
        return [b.node is not None and not b.wanted for b in self.boxes]

    # -- wires --------------------------------------------------------------------------------

    def _wire(self) -> None:
        """Lead every edge out of the boxes around its source and into those around its target."""
        pieces: list[Pieces] = [{} for _ in self.boxes]
        for e in self.record.edges:
            self._lead(pieces, e)
        for (
            op,
            result,
        ) in self.record.results.items():  # out of the body, where it has the op's name
            body = self.item[op] - self.count
            start = self._out_of(pieces, result, self.chain(result), body)
            pieces[body].setdefault((*start, OUT, op, result), [])
        for box, found in zip(self.boxes, pieces, strict=True):
            slot: dict[tuple[int, int], int] = {}
            for m in box.members:
                slot[ITEM, m] = len(slot)
            given = [] if box.node is None else self.record.incoming[box.node]
            ends = [key for kind, ref, *to, _ in found for key in ((kind, ref), (to[0], to[1]))]
            for key in [*ends, *((IN, e.source) for e in given)]:
                if key not in slot:
                    slot[key] = len(slot)
                    (box.inputs if key[0] == IN else box.outputs).append(key[1])
            box.slots = list(slot)
            for (kind, ref, kind2, ref2, net), edges in found.items():
                box.hops.append(Hop(slot[kind, ref], slot[kind2, ref2], net, edges))

    def _lead(self, pieces: list[Pieces], e: Edge) -> None:
        """The pieces of one edge."""
        u, owner = e.source, self.record.owner[e.target]
        up, down = self.chain(u), self.chain(e.target)
        start: tuple[int, int] = (ITEM, self.item[u])
        if owner != self.record.owner[u]:  # it comes in through the border of an op's body
            body = self.item[owner] - self.count
            up, down, start = [body], down[: down.index(body) + 1], (IN, u)
        while len(up) > 1 and len(down) > 1 and up[-2] == down[-2]:
            up.pop()
            down.pop()
        start = self._out_of(pieces, u, up, up[-1], start)
        meeting = down.pop()
        for b, inner in zip([meeting, *reversed(down)], [*reversed(down), None], strict=True):
            if inner is None:
                pieces[b].setdefault((*start, ITEM, self.item[e.target], u), []).append(e.id)
            else:
                pieces[b].setdefault((*start, ITEM, self.count + inner, u), [])
                start = (IN, u)

    def _out_of(
        self,
        pieces: list[Pieces],
        net: int,
        chain: list[int],
        last: int,
        start: tuple[int, int] | None = None,
    ) -> tuple[int, int]:
        """Lead a value out of the boxes around it up to the last one; where it is there."""
        start = (ITEM, self.item[net]) if start is None else start
        for b in chain[: chain.index(last)]:
            pieces[b].setdefault((*start, OUT, net, net), [])
            start = (ITEM, self.count + b)
        return start


def _unnamed(node: NodeRecord) -> bool:
    """Whether nobody gave a leaf its name; `target_3` says what node 3 is for."""
    return not node.name or node.name.endswith(f"_{node.id}")


def _runs(sequence: list[int], longest: int = MAX_PERIOD) -> list[tuple[int, int, int]]:
    """Runs of repeated stretches as (start, period, times), from left to right, none overlapping.

    At least three times, and for single ops at least four members in all.
    """
    found: list[tuple[int, int, int]] = []
    n = len(sequence)
    # same[p][i]: how many places from i on agree with those p later.
    same: dict[int, list[int]] = {}
    for p in range(1, min(longest, n // 3) + 1):
        row = [0] * (n + 1)
        for i in range(n - p - 1, -1, -1):
            row[i] = row[i + 1] + 1 if sequence[i] == sequence[i + p] else 0
        same[p] = row
    i = 0
    while i < n:
        best = (0, 0)
        for p, row in same.items():
            times = row[i] // p + 1 if i + p <= n else 1
            if times >= 3 and p * times >= 4 and p * times > best[0] * best[1]:
                best = (p, times)
        if best[0]:
            found.append((i, *best))
            i += best[0] * best[1]
        else:
            i += 1
    return found


# -- columns ------------------------------------------------------------------------------------


def _arrange(box: Box, rank: list[int], lean: list[float]) -> None:
    """Give every slot of a box its column and its place there."""
    total = len(box.slots)
    before: list[list[int]] = [[] for _ in range(total)]
    after: list[list[int]] = [[] for _ in range(total)]
    for h in box.hops:
        before[h.stop].append(h.start)
        after[h.start].append(h.stop)
    column = _columns(box, before, after)
    width = max(column, default=0) + 1
    box.hops = _bend(box, column)
    box.columns = [[] for _ in range(width)]
    for s, c in enumerate(column):
        box.columns[c].append(s)
    _untangle(box, rank, lean)


def _columns(box: Box, before: list[list[int]], after: list[list[int]]) -> list[int]:
    """Longest way from the left; what has no inputs stands just left of its first use."""
    total = len(box.slots)
    column = [0] * total
    waiting = [len(b) for b in before]
    ready = [s for s in range(total) if not waiting[s]]
    order: list[int] = []
    for s in ready:
        order.append(s)
        for t in after[s]:
            column[t] = max(column[t], column[s] + 1)
            waiting[t] -= 1
            if not waiting[t]:
                ready.append(t)
    shift = int(any(kind == IN for kind, _ in box.slots))
    for s in order:
        if shift and box.slots[s][0] == ITEM and not before[s]:
            column[s] = 1
    if shift:  # the left border keeps a column of its own
        for s in order:
            for t in after[s]:
                column[t] = max(column[t], column[s] + 1)
    for s in order:
        if box.slots[s][0] == ITEM and not before[s] and after[s]:
            column[s] = max(min(column[t] for t in after[s]) - 1, shift)
    last = max((column[s] for s in order if box.slots[s][0] != OUT), default=0) + 1
    for s in range(total):
        if box.slots[s][0] == OUT:
            column[s] = last
    return column


def _bend(box: Box, column: list[int]) -> list[Hop]:
    """Cut wires into hops of one column; those of one net from one slot share their bends."""
    result: list[Hop] = []
    bends: dict[tuple[int, int, int], int] = {}
    for h in sorted(box.hops, key=lambda h: column[h.stop]):
        first, last = column[h.start] + 1, column[h.stop]
        if last - first > MAX_BENDS or last < first:
            result.append(h)
            continue
        start = h.start
        for c in range(first, last):
            key = (h.start, h.net, c)
            if key not in bends:
                bends[key] = len(box.slots)
                box.slots.append((BEND, h.net))
                column.append(c)
                result.append(Hop(start, bends[key], h.net, []))
            start = bends[key]
        result.append(Hop(start, h.stop, h.net, h.edges))
    return result


def _untangle(box: Box, rank: list[int], lean: list[float]) -> None:
    """Order the slots of each column by the mean place of their neighbours, in four sweeps.

    Sugiyama, Tagawa & Toda, IEEE Trans. Systems, Man and Cybernetics 11 (1981), sec. IV.
    """
    before: list[list[tuple[int, float]]] = [[] for _ in box.slots]
    after: list[list[tuple[int, float]]] = [[] for _ in box.slots]
    for h in box.hops:
        before[h.stop].append((h.start, 0.0))
        where = sum(lean[e] for e in h.edges) / len(h.edges) if h.edges else 0.0
        after[h.start].append((h.stop, where))
    place = [0.0] * len(box.slots)
    for column in box.columns:
        column.sort(key=lambda s: (rank[box.slots[s][1]], box.slots[s][0]))
        for i, s in enumerate(column):
            place[s] = i - (len(column) - 1) / 2
    for sweep in range(4):
        forward = sweep % 2 == 1
        for column in box.columns if forward else reversed(box.columns):
            weight: dict[int, float] = {}
            for s in column:
                near = before[s] if forward else after[s]
                weight[s] = sum(place[t] + d for t, d in near) / len(near) if near else place[s]
            column.sort(key=weight.__getitem__)
            for i, s in enumerate(column):
                place[s] = i - (len(column) - 1) / 2
