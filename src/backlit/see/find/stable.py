"""Which known op computes what a few of the user's ops compute together, without leaving the range.

`e / e.sum()` with `e = exp(x)` is a softmax, whoever wrote it and on however many lines. What a
piece of a graph is, is found by trying: on random numbers in place of x it must give what the op
gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...dtypes import FLOATING
from ...errors import BacklitError
from ...state import Setting, observing
from ...tensor import Tensor, apply, wrap
from ..records import expressions
from ..records.model import Record
from ..records.parts import NodeRecord
from ..records.revive import op_of
from ..records.value import array_of
from .rewrites import Get, Rewrite, Written, written

#: Larger arrays are not tried.
_SIZE = 1 << 18
_UP, _DOWN = 10, 6
_FAILURES = (BacklitError, ValueError, TypeError, IndexError, ArithmeticError, AttributeError)

#: x and what is made of it have the same shape; `{axis}` stands for each axis.
_SAME = (
    "{lib}nn.functional.softmax({x}, dim={axis})",
    "{lib}nn.functional.log_softmax({x}, dim={axis})",
    "{lib}nn.functional.logsigmoid({x})",
    "{lib}nn.functional.logsigmoid({minus})",
    "-{lib}nn.functional.logsigmoid({x})",
    "{lib}sigmoid({x})",
    "{lib}sigmoid({minus})",
    "{lib}logaddexp({x}, 0.0)",
    "{lib}logaddexp({minus}, 0.0)",
    "{lib}tanh({x})",
    "{lib}nn.functional.silu({x})",
    "{lib}logaddexp({x}, {minus})",
    "{lib}logaddexp({x}, {minus}) - 0.6931471805599453",
    "{lib}nn.functional.normalize({x}, dim={axis})",
    "{lib}abs({x})",
)
#: An axis of x is gone, or of size 1.
_FOLDED = (
    "{lib}logsumexp({x}, axis={axis}{keep})",
    "{lib}linalg.vector_norm({x}, axis={axis}{keep})",
)
#: x alone becomes one number.
_TOTAL = ("{lib}logsumexp({x})", "{lib}linalg.vector_norm({x})")
#: Of x and something constant of its shape, y.
_LOSSES = (
    "{lib}nn.functional.binary_cross_entropy_with_logits({x}, {y})",
    "{lib}nn.functional.binary_cross_entropy_with_logits({x}, {y}, reduction='sum')",
    "{lib}nn.functional.binary_cross_entropy_with_logits({x}, {y}, reduction='none')",
    "-{lib}nn.functional.binary_cross_entropy_with_logits({x}, {y}, reduction='none')",
)
_ADVICE = "one op, which computes the same and leaves the range of no number"


def stable(record: Record, node: NodeRecord) -> Iterator[Rewrite]:
    """Known ops in place of those around a bad number, the shortest pieces first."""
    above = _above(record, node)
    if not above:
        return
    ends = [node]
    for e in record.onward(node, _DOWN):
        after = record.nodes[e.target]
        if after not in ends:
            ends.append(after)
    for y in ends[:12]:
        found = _whole(record, y)
        if found is None or int(np.prod(y.shape)) > _SIZE:
            continue
        for x in above:
            text = _text_at(record, x, y)
            path = _path(record, x, y)
            if text is not None and path is not None:
                yield from _same_as(record, x, y, found, text, path)


def _above(record: Record, node: NodeRecord) -> list[NodeRecord]:
    """What a node was computed from, the nearest first."""
    seen, front, found = {node.id}, [node.id], list[NodeRecord]()
    for _ in range(_UP):
        before = dict.fromkeys(e.source for i in front for e in record.incoming[i])
        front = [i for i in before if i not in seen]
        seen.update(front)
        found += [record.nodes[i] for i in front]
    return [
        n for n in found
        if (n.dtype in FLOATING and 0 < int(np.prod(n.shape)) <= _SIZE and n.shape)
        or (n.dtype in FLOATING and n.kind != "constant" and n.shape == ())
    ][:24]  # fmt: skip


def _whole(record: Record, y: NodeRecord) -> Written | None:
    """The expression whose value a node is; None where it is only a part of what was called."""
    if y.kind != "op" or y.site is None:
        return None
    if any(record.nodes[e.target].site == y.site for e in record.outgoing[y.id]):
        return None
    e = expressions.expression_of(y.site)
    if e is None:
        return None
    library, module = expressions.library_at(y.file, e)
    return Written(e, [], library, module)


def _between(record: Record, x: NodeRecord, y: NodeRecord) -> list[int]:
    """The ops on the ways from x to y, in their order; y is the last."""
    behind, stack = {y.id}, [y.id]
    while stack:
        for e in record.incoming[stack.pop()]:
            if e.source not in behind and e.source >= x.id:
                behind.add(e.source)
                stack.append(e.source)
    reached = {x.id}
    for i in sorted(behind):
        if any(e.source in reached for e in record.incoming[i]):
            reached.add(i)
    return [i for i in sorted(reached & behind) if i != x.id]


def _text_at(record: Record, x: NodeRecord, y: NodeRecord) -> str | None:
    """How x is written where y is computed: as an operand of what uses it, if it still holds."""
    between = set(_between(record, x, y))
    if y.id not in between:
        return None
    for edge in record.outgoing[x.id]:
        user = record.nodes[edge.target]
        if edge.target not in between or user.site is None or y.site is None:
            continue
        found = written(record, user)
        if found is None or edge.position >= len(found.operands) or user.site[0] is not y.site[0]:
            continue
        e = found.operands[edge.position]
        names = expressions.names_in(e)
        if not expressions.is_set_between(names, y.file, user.line, y.line):
            return expressions.plainly(e)
    return None


def _path(record: Record, x: NodeRecord, y: NodeRecord) -> tuple[int, ...] | None:
    """By which inputs one comes from y back to x."""
    paths: dict[int, tuple[int, ...]] = {y.id: ()}
    for i in reversed(_between(record, x, y)):
        if i in paths:
            for e in record.incoming[i]:
                paths.setdefault(e.source, (*paths[i], e.position))
    return paths.get(x.id)


def _follow(record: Record, y: NodeRecord, path: tuple[int, ...]) -> int | None:
    number = y.id
    for position in path:
        edge = next((e for e in record.incoming[number] if e.position == position), None)
        if edge is None:
            return None
        number = edge.source
    return number


def _same_as(
    record: Record,
    x: NodeRecord,
    y: NodeRecord,
    found: Written,
    text: str,
    path: tuple[int, ...],
) -> Iterator[Rewrite]:
    """The known ops that give on random numbers what the ops between x and y give."""
    rng = np.random.default_rng(0)
    probes = [rng.standard_normal(x.shape) for _ in range(2)]
    values = [_computed(record, x, y, p) for p in probes]
    if any(v is None or not np.isfinite(v).all() for v in values):
        return
    if np.array_equal(values[0], values[1]):
        return
    lib = f"{found.library}."
    for template, other in _templates(record, x, y):
        ours = template.format(x="x__", minus="-x__", y="y__", lib=lib)
        constant = None if other is None else array_of(other.value)
        if all(_gives(found, ours, p, constant, v) for p, v in zip(probes, values, strict=True)):
            label = "" if other is None else _text_at(record, other, y)
            if label is None:
                continue

            def make(at: NodeRecord, get: Get, ours: str = ours, other: Any = other) -> Any:
                source = _follow(record, at, path)
                if source is None:
                    return None
                given = {} if other is None else {"y__": get(other.id)}
                return found.evaluate(ours, x__=get(source), **given)

            minus = expressions.negative(text)
            new = template.format(x=text, minus=minus, y=label, lib=lib)
            yield Rewrite(y, expressions.plainly(found.expression), new, _ADVICE, make)


def _templates(
    record: Record, x: NodeRecord, y: NodeRecord
) -> Iterator[tuple[str, NodeRecord | None]]:
    """Calls of known ops that give something of y's shape."""
    axes = range(len(x.shape))
    if x.shape == y.shape:
        for t in _SAME:
            for axis in axes if "{axis}" in t else (0,):
                yield t.replace("{axis}", str(axis)), None
    else:
        if y.shape == ():
            yield from ((t, None) for t in _TOTAL)
        for t in _FOLDED:
            for axis in axes:
                for keep in ("", ", keepdims=True"):
                    shape = [n for k, n in enumerate(x.shape) if k != axis]
                    if keep:
                        shape.insert(axis, 1)
                    if tuple(shape) == y.shape:
                        yield t.replace("{axis}", str(axis)).replace("{keep}", keep), None
    if y.shape in ((), x.shape):
        for other in _constants(record, x, y):
            yield from ((t, other) for t in _LOSSES)


def _constants(record: Record, x: NodeRecord, y: NodeRecord) -> list[NodeRecord]:
    """What of x's shape the ops between use besides, and that does not depend on it."""
    inside = set(_between(record, x, y)) | {x.id}
    used = dict.fromkeys(
        e.source for i in inside if i != x.id for e in record.incoming[i] if e.source not in inside
    )
    found = (record.nodes[i] for i in used)
    return [n for n in found if n.shape == x.shape and n.kind == "constant"][:3]


def _computed(record: Record, x: NodeRecord, y: NodeRecord, probe: np.ndarray) -> Any:
    """What the ops between x and y make of other numbers, in float64."""
    values: dict[int, Tensor] = {x.id: wrap(probe)}
    between = _between(record, x, y)
    if len(between) > 40:
        return None
    try:
        with observing(alone=True), Setting(grad_enabled=False), np.errstate(all="ignore"):
            for i in between:
                inputs: list[Any] = []
                for a in record.nodes[i].arguments:
                    if "number" in a:
                        inputs.append(a["number"])
                        continue
                    source = record.edges[a["edge"]].source
                    if source not in values:
                        array = array_of(record.nodes[source].value)
                        if array is None:
                            return None
                        if array.dtype in FLOATING:
                            array = array.astype(np.float64)
                        values[source] = wrap(array)
                    inputs.append(values[source])
                values[i] = apply(op_of(record.nodes[i], "rerun"), *inputs)
    except _FAILURES:
        return None
    return values[y.id].array


def _gives(
    found: Written, ours: str, probe: np.ndarray, constant: np.ndarray | None, value: Any
) -> bool:
    given = {} if constant is None else {"y__": wrap(constant.astype(np.float64))}
    try:
        with observing(alone=True), Setting(grad_enabled=False), np.errstate(all="ignore"):
            known = found.evaluate(ours, x__=wrap(probe), **given)
    except _FAILURES:
        return False
    if not isinstance(known, Tensor) or known.shape != value.shape:
        return False
    return bool(np.allclose(known.array, value, rtol=1e-6, atol=1e-9))
