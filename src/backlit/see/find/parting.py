"""Where two computations part: the first value, and the first gradient, that differ."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...dtypes import FLOATING, finfo
from ...errors import ArgumentError
from ...files import write_whole
from ...table import quantity
from ..records.from_tape import as_record
from ..records.model import Record
from ..records.parts import NodeRecord
from ..records.rounding import room, shaken
from ..records.value import Value, array_of, number
from ..show.draw.frames import frame_of, page_of
from ..show.draw.pictures import TOTAL
from ..show.words import formula_of, name_of
from ..told import Told

#: So many nodes are named in a list.
LISTED = 6
#: A leaf may be off by so many units of its largest number: nothing in the record computed it.
UNITS_OF_LEAF = 16


@dataclass(frozen=True, slots=True)
class Difference:
    """One value or gradient in both computations.

    `kind` is "same" (to the bit), "rounding", "parts" (more than rounding) or "unknown" (the
    elements of one of both were not kept, or only one of both was computed).
    """

    node: NodeRecord
    other: NodeRecord
    what: str  # "value" or "gradient"
    kind: str
    #: The largest difference of two elements beyond rounding, or else that of which rounding
    #: explains least; where it is, and both. None where there is none.
    largest: float | None = None
    index: tuple[int, ...] = ()
    numbers: tuple[float, float] | None = None
    #: By how much rounding may make elements differ, and how many differ by more.
    allowed: float = 0.0
    beyond: int = 0
    note: str = ""

    @property
    def text(self) -> str:
        """`at [2, 0] 0.31 and 0.33, by 0.02; rounding explains 2e−7; 3 of 10 elements`."""
        if self.numbers is None:
            return self.note or "the same"
        at = f"at {list(self.index)} " if self.index else ""
        text = f"{at}{number(self.numbers[0], 6)} and {number(self.numbers[1], 6)}"
        if self.largest is not None and np.isfinite(self.largest):
            text += f", which differ by {number(self.largest, 3)}"
        if self.node.dtype in FLOATING:
            text += f"; rounding explains {number(self.allowed, 2)}"
        size = math.prod(self.node.shape)
        more = " by more" if self.node.dtype in FLOATING else ""
        return text + (f"; {self.beyond} of {size} elements differ{more}" if size > 1 else "")

    def __repr__(self) -> str:
        return f"Difference({name_of(self.node)}, {self.what}, {self.kind}: {self.text})"


class Comparison(Told):
    """Two computations side by side: see `compare`."""

    def __init__(self, a: Record, b: Record, names: tuple[str, str]):
        self.a, self.b, self.names = a, b, names
        count = _same_graph(a, b)
        longest = max(len(a.nodes), len(b.nodes))
        #: The first nodes that are not of the same kind; None if the graphs are the same.
        self.graphs_part: tuple[NodeRecord | None, NodeRecord | None] | None = None
        if count < longest:
            self.graphs_part = _at(a, count), _at(b, count)
        self._pairs = list(zip(a.nodes[:count], b.nodes[:count], strict=True))

    @cached_property
    def values(self) -> list[Difference]:
        """All values that both have, in the order of computation."""
        return [self._difference(m, n, "value", m.value, n.value) for m, n in self._pairs]

    @cached_property
    def gradients(self) -> list[Difference]:
        """All gradients in the order of the backward pass; none where the graphs part before it."""
        if self.graphs_part is not None:
            return []
        last = len(self._pairs)
        order = sorted(
            ((m, n) for m, n in self._pairs if m.upstream is not None or n.upstream is not None),
            key=lambda p: (last if p[0].backward_order is None else p[0].backward_order, -p[0].id),
        )
        return [self._difference(m, n, "gradient", m.upstream, n.upstream) for m, n in order]

    @property
    def first(self) -> Difference | None:
        """The first value that differs by more than rounding."""
        return next((d for d in self.values if d.kind == "parts"), None)

    @property
    def first_gradient(self) -> Difference | None:
        """The first gradient, going back from the loss, that differs by more than rounding."""
        return next((d for d in self.gradients if d.kind == "parts"), None)

    @property
    def origins(self) -> list[Difference]:
        """The values that part although nothing they were computed from does."""
        return [d for d in self.values if d.kind == "parts" and not self._sources(d, "parts")]

    @property
    def equal(self) -> bool:
        """Whether nothing differs by more than rounding."""
        parted = any(d.kind != "same" and d.kind != "rounding" for d in self._all)
        return self.graphs_part is None and not parted

    @property
    def _all(self) -> list[Difference]:
        return [*self.values, *self.gradients]

    def _sources(self, d: Difference, kind: str) -> list[Difference]:
        """What a value was computed from, as far as it is of a kind."""
        edges = self.a.incoming[d.node.id]
        return [self.values[e.source] for e in edges if self.values[e.source].kind == kind]

    # -- rounding -----------------------------------------------------------------------------

    @cached_property
    def _units(self) -> dict[int, float]:
        """The unit of the last place of each floating node, the coarser of both."""
        return {
            m.id: max(finfo(m.dtype).eps, finfo(n.dtype).eps)
            for m, n in self._pairs
            if m.dtype in FLOATING and n.dtype in FLOATING
        }

    @cached_property
    def _shaken(self) -> list[Record]:
        """The first computation with all numbers off by rounding; made if something differs."""
        units = {n.id: finfo(n.dtype).eps for n in self.a.nodes if n.dtype in FLOATING}
        return shaken(self.a, {**units, **self._units})

    def _room(self, m: NodeRecord, what: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """By how much the elements of two arrays may differ."""
        if m.id not in self._units:
            return np.zeros(x.shape)
        if what == "value" and m.kind != "op":
            size = np.abs(x.astype(np.float64))
            top = float(np.max(size, initial=0.0, where=np.isfinite(size)))
            return np.full(x.shape, UNITS_OF_LEAF * self._units[m.id] * top)
        nodes = [again.nodes[m.id] for again in self._shaken]
        arrays = [array_of(n.value if what == "value" else n.upstream) for n in nodes]
        return room(x, y, [z for z in arrays if z is not None], self._units[m.id])

    def _difference(
        self, m: NodeRecord, n: NodeRecord, what: str, v: Value | None, w: Value | None
    ) -> Difference:
        x, y = array_of(v), array_of(w)
        if x is None or y is None:
            if v is None and w is None:
                return Difference(m, n, what, "same")
            both = list(zip(self.names, (v, w), (x, y), strict=True))
            missing = [name for name, known, _ in both if known is None]
            where = " and ".join(missing or [name for name, _, z in both if z is None])
            kept = "there is none" if missing else "its elements were not kept"
            return Difference(m, n, what, "unknown", note=f"in {where} {kept}")
        if np.array_equal(x, y, equal_nan=x.dtype in FLOATING and y.dtype in FLOATING):
            return Difference(m, n, what, "same", 0.0)
        allowed = self._room(m, what, x, y)
        with np.errstate(all="ignore"):
            one, other = x.astype(np.float64), y.astype(np.float64)
            alike = (one == other) | (np.isnan(one) & np.isnan(other))
            gap = np.asarray(np.where(alike, 0.0, np.abs(one - other)))
            gap = np.where(np.isnan(gap), np.inf, gap)
            share = np.where(gap > 0, gap / allowed, 0.0)
        beyond = int((gap > allowed).sum())
        most = np.where(gap > allowed, gap, -1.0) if beyond else share
        index = tuple(int(i) for i in np.unravel_index(int(most.argmax()), gap.shape))
        numbers, kind = (float(one[index]), float(other[index])), "parts" if beyond else "rounding"
        at = float(gap[index]), float(allowed[index])
        return Difference(m, n, what, kind, at[0], index, numbers, at[1], beyond)

    # -- as a page -----------------------------------------------------------------------------

    def html(self) -> str:
        """Both computations in one drawing: values, gradients, pictures, and where they part.

        Where the graphs part only the first is drawn.
        """
        records = (self.a,) if self.graphs_part is not None else (self.a, self.b)
        size = TOTAL // len(records)
        frames = [frame_of(r, n, size) for r, n in zip(records, self.names, strict=False)]
        first, back = self.first, self.first_gradient
        start = first or back
        node = None if self.graphs_part is None else self.graphs_part[0]
        compared = {
            "text": str(self),
            "first": node.id if node is not None else None if start is None else start.node.id,
            "value": {d.node.id: _shown(d) for d in self.values if d.kind != "same"},
            "gradient": {d.node.id: _shown(d) for d in self.gradients if d.kind != "same"},
        }
        title = f"{self.names[0]} and {self.names[1]}"
        return page_of(self.a, frames, title, compared=compared, words=0)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page, `.html`; the file appears whole or not at all."""
        if Path(path).suffix.lower() != ".html":
            raise ArgumentError(
                f"compare: the file's name must end in .html, got {os.fspath(path)!r}"
            )
        write_whole(path, self.html().encode(errors="replace"))

    # -- telling ------------------------------------------------------------------------------

    def _lines(self) -> list[tuple[str, str]]:
        first, second = self.names
        lines = self._of_graphs()
        lines += self._of("value", self.values, "Values, in the order of computation")
        if self.graphs_part is None:
            lines += self._of("gradient", self.gradients, "Gradients, from the loss back")
        end = self.a.output
        if end is not None and self.graphs_part is None and self.values[end].numbers is not None:
            d = self.values[end]
            lines.append(("", f"{name_of(d.node)}: {first} and {second}: {d.text}."))
        return lines

    def _of_graphs(self) -> list[tuple[str, str]]:
        first, second = self.names
        if self.graphs_part is None:
            nodes = quantity(len(self._pairs), "node")
            return [("dim", f"{first} and {second} have the same graph of {nodes}.")]
        m, n = self.graphs_part
        lines = [("bold red", f"The graphs part after {quantity(len(self._pairs), 'node')}:")]
        for name, record, node in ((first, self.a, m), (second, self.b, n)):
            text, place = "it has ended", ""
            if node is not None:
                what = formula_of(record, node) if node.kind == "op" else node.kind
                text, place = f"{name_of(node)} = {what}, {node.type}", record.place(node)
                text += "".join(f", {k}={node.attributes[k]}" for k in _unlike(m, n))
            lines.append(("red", f"  {name}: {text}{f' ({place})' if place else ''}"))
        return lines

    def _of(self, what: str, found: list[Difference], title: str) -> list[tuple[str, str]]:
        if not found:
            return []
        parts = next((d for d in found if d.kind == "parts"), None)
        before = found if parts is None else found[: found.index(parts)]
        same = sum(d.kind == "same" for d in before)
        rounded = [d for d in before if d.kind == "rounding"]
        counts = [f"{same} the same to the bit"] if same else []
        if rounded:
            most = max(rounded, key=lambda d: (d.largest or 0) / (d.allowed or 1))
            counts.append(
                f"{len(rounded)} differ by rounding (the most at {name_of(most.node)}, by "
                f"{number(most.largest, 2)} of {number(most.allowed, 2)} that rounding explains)"
            )
        unknown = [d for d in before if d.kind == "unknown"]
        for note in dict.fromkeys(d.note for d in unknown):
            nodes = [name_of(d.node) for d in unknown if d.note == note]
            names = f"{', '.join(nodes[:LISTED])}{', …' if len(nodes) > LISTED else ''}"
            counts.append(f"{len(nodes)} cannot be compared, {note} ({names})")
        until = "" if parts is None else " before that"
        lines = [("bold", f"{title}: {'; '.join(counts) or 'none is the same'}{until}.")]
        if parts is None:
            return lines
        lines.append(("red", f"  The first that differs is {_told(parts)}: {parts.text}."))
        place = self._place(parts)
        if place:
            lines.append(("", f"  {place}"))
        lines += self._after(what, parts, found)
        return lines

    def _place(self, d: Difference) -> str:
        """Where it was computed, or first used."""
        place, uses = self.a.place(d.node), self.a.outgoing[d.node.id]
        if d.what == "gradient" and self.first is None and uses:
            users = dict.fromkeys(name_of(self.a.nodes[e.target]) for e in uses[:LISTED])
            return f"though all values agree: look at the backward of {', '.join(users)}"
        if place:
            agree = "" if d.what == "gradient" else ", though what it is computed from agrees"
            return f"{place}{agree}"
        if not uses:
            return ""
        user = self.a.nodes[uses[0].target]
        return f"first used by {name_of(user)}: {self.a.place(user)}"

    def _after(
        self, what: str, parts: Difference, found: list[Difference]
    ) -> list[tuple[str, str]]:
        rest = [d for d in found[found.index(parts) + 1 :] if d.kind == "parts"]
        if not rest:
            return [("dim", "  Nothing after it differs.")]
        if what == "gradient":
            return [("dim", f"  After it {quantity(len(rest), 'gradient')} differ, too.")]
        own = [d for d in self.origins if d is not parts]
        lines = []
        if own:
            names = ", ".join(name_of(d.node) for d in own[:LISTED])
            more = f" and {len(own) - LISTED} more" if len(own) > LISTED else ""
            lines.append(("yellow", f"  By themselves differ, too: {names}{more}."))
        if len(rest) > len(own):
            count = quantity(len(rest) - len(own), "value")
            lines.append(("dim", f"  In consequence {count} after it differ."))
        return lines


def compare(a: Any, b: Any, names: Sequence[str] = ("a", "b")) -> Comparison:
    """Find where two computations part: two runs, two steps, two versions of the code.

    `a` and `b` are records, recordings or Tensors with their graphs. The graphs are compared node
    by node; if they differ, the first op that does is told, and values up to there. Of values the
    first in the order of computation that differs by more than rounding is told, with its line;
    then of gradients the first on the way back from the loss.

    What is rounding is measured: `a` is computed again three times with every number off by up to
    two units in the last place (of the coarser dtype of both), so long sums, cancellation and steps
    that amplify count as they are. An element may differ by eight times what that moves it, or most
    others, and 64 units of the array's largest; what nothing in the graph computed, by 16. Values
    that an op draws at random are drawn as in `a`.

    >>> from backlit import tensor
    >>> def loss(w):
    ...     x = tensor([1.0, 2.0], dtype="float64")
    ...     h = x * w
    ...     return (h * h).sum()
    >>> w, v = (tensor(n, dtype="float64", requires_grad=True) for n in (3.0, 3.1))
    >>> print(compare(loss(w), loss(v)).first)
    Difference(w, value, parts: 3 and 3.1, which differ by 0.1; rounding explains 1.1e−14)
    """
    if len(names) != 2 or isinstance(names, str):
        raise ArgumentError(f"compare: names must be two, of a and of b, got {names!r:.60}")
    return Comparison(as_record(a), as_record(b), (str(names[0]), str(names[1])))


def _unlike(m: NodeRecord | None, n: NodeRecord | None) -> list[str]:
    """The attributes in which two uses of one op differ, as far as their formulas do not say so."""
    if m is None or n is None or m.op != n.op:
        return []
    return [k for k, v in m.attributes.items() if n.attributes.get(k, v) != v]


def _shown(d: Difference) -> list[str]:
    """For the page: the kind, what it is of, what is said."""
    word = {"parts": "differs", "rounding": "rounding", "unknown": "not compared"}[d.kind]
    return [d.kind, d.what, f"{word}: {d.text}"]


def _told(d: Difference) -> str:
    return f"the {d.what} of {name_of(d.node)} ({_kind(d.node)}, {d.node.type})"


def _kind(node: NodeRecord) -> str:
    return f"the op {node.op}" if node.kind == "op" else node.kind


def _at(record: Record, i: int) -> NodeRecord | None:
    return record.nodes[i] if i < len(record.nodes) else None


def _same_graph(a: Record, b: Record) -> int:
    """How many nodes are the same in both, from the start: of one op, of the same nodes."""
    count = 0
    for m, n in zip(a.nodes, b.nodes, strict=False):
        if _form(a, m) != _form(b, n):
            break
        count += 1
    return count


def _form(record: Record, n: NodeRecord) -> tuple[Any, ...]:
    """What a node is: not how precise it is, and not what a leaf is for or called."""
    kind = "float" if n.dtype in FLOATING else n.dtype.name
    op = n.op if n.kind == "op" else ""
    attributes = {k: v for k, v in n.attributes.items() if "dtype" not in k and k != "seed"}
    sources = [(e.position, e.source) for e in record.incoming[n.id]]
    given = [a.get("number") for a in n.arguments]
    return op, n.shape, kind, str(attributes), sources, [g for g in given if g is not None]
