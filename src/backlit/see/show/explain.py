"""The chain rule along every path from a tensor to the output, in words and formulas, with numbers.

A gradient is a sum over paths: each path contributes the product of the local gradients along it.
Paths are counted by dynamic programming, so exponentially many are no trouble. The largest are kept
in one backward sweep: every node keeps its few largest partial contributions and the sum of all the
others, which stays one array. So paths and rest always add up to the gradient.

For graphs of single numbers the kept paths are exactly the largest. Where tensors flow, the choice
at each node is by the norm of the partial contribution.
"""

from __future__ import annotations

import functools
import itertools
import operator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np

from ...array_api.arguments import whole
from ...errors import GradientError
from ...ops.elementwise import Add
from ..records.from_tape import as_record
from ..records.model import Record
from ..records.parts import Edge, NodeRecord
from ..records.revive import revive
from ..records.value import Value, array_of, number, operand, squares
from .notation import Latex, MathML, Notation, Unicode
from .shapes import shape_sentence
from .words import extent, name_of

#: Longer paths than this are shown with their middle left out.
MAX_SHOWN = 8
#: Longer formulas are not part of the text.
MAX_FORMULA = 240


@dataclass(eq=False, slots=True)
class Path:
    """One path from a node to the output, with what it contributes to the node's gradient."""

    record: Record
    #: From the node towards the output.
    edges: tuple[Edge, ...]
    contribution: Value
    #: Its part of the gradient: the projection on it, 1 for all of it. None: the gradient is 0.
    share: float | None

    @property
    def nodes(self) -> list[NodeRecord]:
        """The nodes of the path, from the node that is explained to the output."""
        if not self.edges:
            return []
        return [
            self.record.nodes[self.edges[0].source],
            *(self.record.nodes[e.target] for e in self.edges),
        ]

    @property
    def factors(self) -> list[float | None]:
        """The local gradients along the path where they are single numbers, output first."""
        found = []
        for e in reversed(self.edges):
            local = e.local
            value = None if local is None or local.value is None else local.value
            found.append(None if value is None else value.item())
        return found

    def arrow(self) -> str:
        """`y → q → f`; of a long path its ends and the turns it took where others turned off."""
        names = [name_of(n) for n in self.nodes]
        if len(names) <= MAX_SHOWN:
            return " → ".join(names)
        skips, turns = 0, []
        for e in self.edges:
            uses = [o for o in self.record.outgoing[e.source] if o.gradient is not None]
            if len(uses) < 2:
                continue
            if is_skip(self.record, e, uses):
                skips += 1
            else:
                turns.append(_place(self.record, self.record.nodes[e.target]))
        parts = []
        if turns:
            parts.append(f"by {', '.join(_elided(turns, '…'))}")
        if skips:
            parts.append(f"{skips} skip{'s' if skips > 1 else ''}")
        taken = f" ({'; '.join(parts)})" if parts else ""
        middle = len(names) - 4
        shown = [*names[:2], f"… {middle} more …", *names[-2:]]
        return " → ".join(shown) + taken

    def numbers(self) -> str:
        """The product with its numbers; empty where tensors flow."""
        one = self.contribution.item()
        if one is None or self.contribution.shape != () or None in self.factors:
            return ""
        if any(n.shape != () for n in self.nodes):
            return ""
        terms = [operand(x) for x in (*_start(self.record), *self.factors)]
        return " · ".join(_elided(terms, "…"))

    def __repr__(self) -> str:
        return f"Path({self.arrow()}: {self.contribution.text()})"


@dataclass(eq=False, slots=True)
class Branch:
    """One use of a node: how much of the gradient came back along it."""

    edge: Edge
    kind: str  # "skip", "main" or "use"
    share: float | None
    norm: float | None


class Explanation:
    """A gradient taken apart into paths. Prints as words; notebooks show it with formulas."""

    def __init__(self, record: Record, node: NodeRecord, top: int):
        self.record = record
        self.node = node
        assert record.output is not None
        self.output = record.nodes[record.output]
        self._useful = _reach(record, node.id)
        #: How many paths lead from the node to the output.
        self.count = _count(record, node.id, self.output.id, self._useful)
        found, rest = _largest(record, node, self._useful, top) if self.count else ([], None)
        #: The largest paths, largest first.
        self.paths = [self._path(edges, g) for edges, g in found]
        #: The sum of all other paths, or None if all are listed.
        self.rest = None if rest is None else Value(rest)

    @property
    def gradient(self) -> Value | None:
        """The gradient that backward computed; None if the output does not depend on the node."""
        return self.node.upstream

    def _path(self, edges: tuple[Edge, ...], g: np.ndarray) -> Path:
        return Path(self.record, edges, Value(g), self._share(g))

    def _share(self, part: np.ndarray | None) -> float | None:
        whole = array_of(self.node.upstream)
        if whole is None or part is None:
            return None
        g = whole.astype(np.float64).ravel()
        square = float(np.dot(g, g))
        return float(np.dot(part.astype(np.float64).ravel(), g)) / square if square else None

    @property
    def total(self) -> Value | None:
        """The sum of all paths and the rest."""
        if not self.paths:
            return None
        parts = [*(p.contribution for p in self.paths), *([self.rest] if self.rest else [])]
        return Value(np.asarray(functools.reduce(operator.add, map(array_of, parts))))

    @property
    def error(self) -> float:
        """How far the paths' sum is from the gradient, relative to the largest contribution."""
        total, whole = array_of(self.total), array_of(self.gradient)
        if total is None or whole is None:
            return 0.0
        parts = (array_of(p.contribution) for p in self.paths)
        size = max(float(np.abs(g).max(initial=0.0)) for g in parts if g is not None)
        difference = float(np.abs(total - whole).max(initial=0.0))
        return difference / size if size else difference

    @cached_property
    def branches(self) -> list[Branch]:
        """The gradient by the uses of the node; in a residual block: the skip and the main branch.

        A use is a skip if it leads straight into a sum that another use reaches on a longer way.
        """
        uses = [e for e in self.record.outgoing[self.node.id] if e.gradient is not None]
        result = []
        for e in uses:
            kind = "skip" if is_skip(self.record, e, uses) else "use"
            assert e.gradient is not None
            result.append(
                Branch(e, kind, self._share(e.gradient.array), e.gradient.statistics["norm"])
            )
        if any(b.kind == "skip" for b in result):
            for b in result:
                b.kind = "main" if b.kind == "use" else b.kind
        return result

    @cached_property
    def shapes(self) -> list[str]:
        """Why each product and each sum on the largest path has the shape that it has."""
        if not self.paths:
            return []
        sentences = (shape_sentence(self.record, e) for e in reversed(self.paths[0].edges))
        return list(dict.fromkeys(s for s in sentences if s))

    # -- as text and formulas -----------------------------------------------------------------

    def formula(self, notation: Notation) -> str:
        """The sum over paths as one formula in a notation."""
        name, out = name_of(self.node), name_of(self.output)
        start = _start(self.record)
        first = [notation.text(number(x)) for x in start]
        left = notation.product([*first, notation.partial(out, name)])
        if self.node is self.output:
            return notation.equation([left, *(first or [notation.text("1")])])
        if not self.paths:
            return notation.equation([left, notation.text("0")])
        symbols, numbers = [], []
        for p in self.paths:
            nodes = [name_of(n) for n in p.nodes]
            pairs = list(zip(nodes[::-1], nodes[-2::-1], strict=False))
            partials = [notation.partial(a, b) for a, b in pairs]
            symbols.append(notation.product(_elided([*first, *partials], notation.dots)))
            if p.numbers():
                factors = [*start, *p.factors]
                written = operand if len(factors) > 1 or self.count > 1 else number
                terms = [notation.text(written(x)) for x in factors]
                numbers.append(notation.product(_elided(terms, notation.dots)))
        more = [notation.dots] if self.rest is not None else []
        parts = [left, notation.sum([*symbols, *more])]
        if len(numbers) == len(symbols):
            parts.append(notation.sum([*numbers, *more]))
        value = None if self.gradient is None else self.gradient.item()
        if value is not None:
            parts.append(notation.text(number(value)))
        # A path of one step repeats itself: ∂y/∂x = ∂y/∂x = 3 = 3.
        return notation.equation([k for k, _ in itertools.groupby(parts)])

    def unicode(self) -> str:
        """`∂f/∂y = ∂f/∂q·∂q/∂y + ∂f/∂m·∂m/∂y = 5·1 + 3·1 = 8`."""
        return self.formula(Unicode())

    def latex(self) -> str:
        """The same for LaTeX, without the dollar signs."""
        return self.formula(Latex())

    def mathml(self) -> str:
        """The same as MathML, which browsers show without a script."""
        return self.formula(MathML())

    def lines(self) -> list[str]:
        """The explanation in words, line by line."""
        name, out = name_of(self.node), name_of(self.output)
        if self.node is self.output:
            return [f"{out} is the output itself: its gradient is where the backward pass starts."]
        if not self.count:
            return [f"{out} does not depend on {name}: no path leads from one to the other."]
        if self.gradient is None:
            return [f"No gradient of {name} was computed: no path has a derivative all along."]
        paths = "1 path leads" if self.count == 1 else f"{_many(self.count)} paths lead"
        result = [f"{paths} from {name} to {out}. Gradient of {name}: {_size(self.gradient)}."]
        if len(self.paths) < self.count:
            result[0] += f" The {len(self.paths)} largest:"
        for i, p in enumerate(self.paths, 1):
            product = p.numbers()
            shown = f"{product} = {p.contribution.text()}" if product else _size(p.contribution)
            share = (
                "" if p.share is None or self.count == 1 else f"  ({number(100 * p.share, 3)} %)"
            )
            result.append(f"  {i}. {p.arrow()}: {shown}{share}")
        if self.rest is not None:
            left = self.count - len(self.paths)
            of_rest = self._share(self.rest.array)
            part = "" if of_rest is None else f"  ({number(100 * of_rest, 3)} %)"
            plural = "path" if left == 1 else "paths"
            result.append(f"  The rest, {_many(left)} {plural}: {_size(self.rest)}{part}")
        if self.count > 1:
            result.append(f"  They add up to the gradient (relative difference {self.error:.1e}).")
        for b in self.branches:
            if b.kind != "use":
                target = name_of(self.record.nodes[b.edge.target])
                part = "" if b.share is None else f", {number(100 * b.share, 3)} %"
                branch = "skip" if b.kind == "skip" else "main branch"
                result.append(f"  By the {branch} (to {target}): norm {number(b.norm)}{part}.")
        if self.shapes:
            result += ["Shapes:", *(f"  {s}" for s in self.shapes)]
        return result

    def text(self) -> str:
        """The explanation in words, and the formula."""
        lines = self.lines()
        formula = self.unicode()
        if self.count and len(formula) <= MAX_FORMULA:
            lines.insert(1, f"  {formula}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"Explanation({self.count} paths from {self.node.label} to {self.output.label})"

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def _repr_html_(self) -> str:
        items = "".join(f"<div>{escape(line)}</div>" for line in self.lines())
        return f'<div style="font-family:system-ui">{self.mathml()}{items}</div>'


def explain(what: Any, source: Any, *, top: int = 8) -> Explanation:
    """Explain the gradient of a tensor (or a name) in a record, a recording or an output's graph.

    >>> from backlit import maximum, tensor
    >>> x, y, z = (tensor(v, requires_grad=True) for v in (-2.0, 5.0, -4.0))
    >>> q = x + y; m = maximum(y, z); f = q * m
    >>> print(explain(y, f))
    2 paths lead from y to f. Gradient of y: 8.
      ∂f/∂y = ∂f/∂q·∂q/∂y + ∂f/∂m·∂m/∂y = 5·1 + 3·1 = 8
      1. y → q → f: 5 · 1 = 5  (62.5 %)
      2. y → m → f: 3 · 1 = 3  (37.5 %)
      They add up to the gradient (relative difference 0.0e+00).
    """
    top = whole("explain: top", top)
    record = as_record(source)
    if record.output is None or record.seed is None:
        raise GradientError(
            "explain: the record has no backward pass; record an output that is a single number, "
            "or give record() a gradient"
        )
    node = record.find(what)
    given = [n for n in record.nodes if "gradient" in n.given and n.id != record.output]
    if given:
        raise GradientError(
            f"explain: the gradient of {name_of(given[0])} is set by what_if, so gradients are not "
            "the sums over paths to the output; explain the record without that, its `before`"
        )
    revive(record, "explain")
    return Explanation(record, node, top)


def _start(record: Record) -> list[float]:
    """The gradient from which the backward pass starts, if that is one number and not 1."""
    x = None if record.seed is None else record.seed.item()
    return [] if x is None or x == 1 else [x]


def _place(record: Record, node: NodeRecord) -> str:
    """A node by its name, else by the module it stands in, without the outermost's class."""
    if node.name or node.scope is None:
        return name_of(node)
    inner = record.scope_path(node.scope).partition(".")[2]
    return f"{inner} ({name_of(node)})" if inner else name_of(node)


# -- paths --------------------------------------------------------------------------------------


def is_skip(record: Record, edge: Edge, uses: list[Edge]) -> bool:
    """Whether an edge leads straight into a sum that another of the uses reaches as well."""
    if len(uses) < 2 or record.nodes[edge.target].op_class is not Add:
        return False
    others = [u for u in uses if u is not edge and u.target != edge.target]
    return any(edge.target in _reach(record, u.target, edge.target) for u in others)


def _reach(record: Record, start: int, last: int | None = None) -> set[int]:
    """The nodes that depend on a node, with itself; none after `last`."""
    found = {start}
    stack = [start]
    while stack:
        for e in record.outgoing[stack.pop()]:
            if e.target not in found and (last is None or e.target <= last):
                found.add(e.target)
                stack.append(e.target)
    return found


def _open(e: Edge, useful: set[int]) -> bool:
    """Whether a gradient flows along an edge towards the explained node."""
    return e.source in useful and e.gradient is not None


def _count(record: Record, start: int, output: int, useful: set[int]) -> int:
    paths = {start: 1}
    for number_ in range(start + 1, output + 1):
        if number_ in useful:
            edges = record.incoming[number_]
            paths[number_] = sum(paths.get(e.source, 0) for e in edges if _open(e, useful))
    return paths.get(output, 0)


#: A partial path: the edges from its node to the output as nested pairs, and its gradient there.
_Partial = tuple[Any, np.ndarray]


def _largest(
    record: Record, node: NodeRecord, useful: set[int], top: int
) -> tuple[list[tuple[tuple[Edge, ...], np.ndarray]], np.ndarray | None]:
    """The largest paths with their contributions, and the sum of all the others."""
    assert record.output is not None
    assert record.seed is not None
    assert record.seed.array is not None
    kept: dict[int, list[_Partial]] = {record.output: [(None, record.seed.array)]}
    rests: dict[int, np.ndarray] = {}
    for number_ in range(record.output, node.id, -1):
        partial = kept.pop(number_, None)
        rest = rests.pop(number_, None)
        if partial is None and rest is None:
            continue
        partial, rest = _prune(partial or [], rest, top)
        applied = record.nodes[number_].applied
        assert applied is not None
        open_edges = [e for e in record.incoming[number_] if _open(e, useful)]
        targets = {e.position: record.nodes[e.source] for e in open_edges}
        parts = [(edges, applied.vjp(g, targets)) for edges, g in partial]
        others = {} if rest is None else applied.vjp(rest, targets)
        for e in open_edges:
            found = [((e, edges), sent[e.position]) for edges, sent in parts if e.position in sent]
            if found:
                kept.setdefault(e.source, []).extend(found)
            if e.position in others:
                before = rests.get(e.source)
                sent = others[e.position]
                rests[e.source] = sent if before is None else before + sent
    partial, rest = _prune(kept.get(node.id, []), rests.get(node.id), top)
    return [(_unfold(edges), g) for edges, g in partial], rest


def _prune(
    partial: list[_Partial], rest: np.ndarray | None, top: int
) -> tuple[list[_Partial], np.ndarray | None]:
    """Keep the largest; add the others to the rest."""
    partial = sorted(partial, key=lambda p: -squares(p[1]))
    for _, g in partial[top:]:
        rest = g if rest is None else rest + g
    return partial[:top], rest


def _unfold(edges: Any) -> tuple[Edge, ...]:
    result = []
    while edges is not None:
        edge, edges = edges
        result.append(edge)
    return tuple(result)


def _elided(items: list[str], dots: str) -> list[str]:
    if len(items) <= MAX_SHOWN:
        return items
    half = MAX_SHOWN // 2
    return [*items[:half], dots, *items[-half:]]


def _many(count: int) -> str:
    return f"{count:,}" if count < 10**9 else f"about {count:.2e}"


def _size(v: Value) -> str:
    if v.item() is not None:
        return v.text()
    return f"{extent(v.shape)} of norm {number(v.statistics['norm'])}"
