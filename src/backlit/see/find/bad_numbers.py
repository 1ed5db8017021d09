"""Where the first NaN or infinity came from, which rule broke there, and what to write instead.

Infinities that never reach the output or a gradient (a mask of −∞ before a softmax, a `log 0` that
`where` leaves out) are results like any others and are not reported.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from ...autograd import step_back
from ...backend import numpy_backend as NUMPY
from ...dtypes import FLOATING, LOW_PRECISION, finfo
from ...facts import Border
from ...location import location
from ...op import Elementwise, Op
from ...ops.activation import LogSoftmax, MaskedSoftmax, Softmax
from ...ops.elementwise import Multiply, Where
from ..checks.experiment import as_float64, input_names
from ..checks.unfold import unfold
from ..records.from_tape import as_record
from ..records.model import Record
from ..records.parts import Edge, NodeRecord
from ..records.value import array_of, number
from ..told import Told
from .rewrites import rewrite

Index = tuple[int, ...]


@dataclass(repr=False)
class BadNumber(Told):
    """The first bad number of one pass.

    `node` is the op that made it (or the leaf that brought it in), `index` the element, `sample`
    its place in the batch, `rule` what broke, `values` the numbers it broke on, `chain` the nodes
    that carried it on, `line` the user's line and `rewrite` what to write there.
    """

    where: str  # "forward" or "backward"
    node: NodeRecord
    value: float
    index: Index
    rule: str
    values: str = ""
    sample: int | None = None
    argument: str = ""  # backward: the input whose gradient it is
    chain: list[str] = field(default_factory=list)
    line: str = ""
    rewrite: str = ""
    advice: str = ""

    def _lines(self) -> list[tuple[str, str]]:
        kind = "nan" if math.isnan(self.value) else number(self.value)
        of = f"the gradient of {self.argument} in " if self.argument else ""
        place = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        sample = f", sample {self.sample} of the batch" if self.sample is not None else ""
        what = f"{of}{self.node.label}{place}"
        lines = [("bold red", f"{self.where}: {kind} first in {what}{sample}")]
        lines.append(("bold", f"  rule: {self.rule}{f' ({self.values})' if self.values else ''}"))
        if self.line:
            lines.append(("cyan", f"  at {self.line}"))
        if len(self.chain) > 1:
            lines.append(("", f"  carried by {' → '.join(self.chain)}"))
        if self.rewrite:
            lines.append(("green", f"  write: {self.rewrite}"))
        if self.advice:
            lines.append(("", f"  {self.advice}"))
        return lines


@dataclass
class BadNumbers:
    """The first bad number in the forward pass and in the backward pass; None: all are finite.

    `unseen` names the first row of attention that its mask leaves nothing, and that would be NaN
    with an ordinary softmax: its weights are 0, which is well unless it is meant to see something.
    """

    forward: BadNumber | None = None
    backward: BadNumber | None = None
    unseen: str = ""

    def __bool__(self) -> bool:
        return self.forward is not None or self.backward is not None

    def __repr__(self) -> str:
        found = [repr(b) for b in (self.forward, self.backward) if b is not None]
        if found:
            return "\n".join(found)
        well = "no NaN and no infinity reaches the output or a gradient"
        return f"{well}; {self.unseen}" if self.unseen else well

    def __rich__(self) -> RenderableType:
        found = [b for b in (self.forward, self.backward) if b is not None]
        return Group(*found) if found else Text(repr(self), style="green")


def bad_numbers(source: Any) -> BadNumbers:
    """Find the first NaN or infinity of a record, a recording, or a Tensor's graph.

    >>> import backlit as bl
    >>> x = bl.tensor([1.0, 0.0], requires_grad=True)
    >>> found = bad_numbers(bl.sqrt(x).sum())
    >>> found.forward is None, found.backward.index, found.backward.rule
    (True, (1,), 'the derivative of √x at 0 is infinite')
    """
    record = as_record(source)
    return BadNumbers(_forward(record), _backward(record), _unseen(record))


def _bad(array: np.ndarray | None) -> np.ndarray | None:
    """Which elements are not finite, or None if all are (or the array is not known)."""
    if array is None or array.dtype not in FLOATING:
        return None
    with np.errstate(all="ignore"):
        mask = ~np.isfinite(array.astype(np.float64))
    return mask if mask.any() else None


def _first_index(mask: np.ndarray) -> Index:
    return tuple(int(i) for i in np.argwhere(mask)[0])


def _unseen(record: Record) -> str:
    """The first row of a masked softmax in which all weights are 0."""
    for node in record.nodes:
        array = array_of(node.value)
        if not issubclass(node.op_class, MaskedSoftmax) or array is None:
            continue
        empty = np.asarray(~array.any(axis=-1))
        if empty.any():
            row = ", ".join(map(str, _first_index(empty)))
            return f"the mask leaves nothing to {node.label}[{row}], whose weights are all 0"
    return ""


# -- the forward pass ---------------------------------------------------------------------------


def _forward(record: Record) -> BadNumber | None:
    bad = {n.id: m for n in record.nodes if (m := _bad(array_of(n.value))) is not None}
    if not bad:
        return None
    ends = [record.output] if record.output is not None else _last(record)
    reached = [e for e in ends if e in bad]
    if not reached:
        return None
    node, mask = record.nodes[reached[0]], bad[reached[0]]
    nan = np.isnan(array_of(node.value).astype(np.float64))  # type: ignore[union-attr]
    index = _first_index(nan if nan.any() else mask)
    chain = [node.label]
    while True:
        before = _source_of(record, node, index, bad)
        if before is None:
            break
        node, index = before
        chain.append(node.label)
    return _described(record, node, index, chain[::-1])


def _last(record: Record) -> list[int]:
    used = {e.source for e in record.edges}
    return [n.id for n in reversed(record.nodes) if n.kind == "op" and n.id not in used]


def _source_of(
    record: Record, node: NodeRecord, index: Index, bad: dict[int, np.ndarray]
) -> tuple[NodeRecord, Index] | None:
    """The input element through which a bad number came, the most telling one: NaN before inf."""
    found: list[tuple[int, int, NodeRecord, Index]] = []
    for edge in record.incoming[node.id]:
        source = record.nodes[edge.source]
        mask = bad.get(source.id)
        array = array_of(source.value)
        if mask is None or array is None:
            continue
        wide = array.astype(np.float64)
        nan = np.isnan(wide)
        at = _element(node, source, index)
        if at is not None:
            if not mask[at]:
                continue
            found.append((0 if nan[at] else 1, edge.position, source, at))
        else:
            chosen = nan if nan.any() else mask
            found.append((0 if nan.any() else 1, edge.position, source, _first_index(chosen)))
    if not found:
        return None
    # A mask of −∞ given on purpose is not the cause if another input is bad too.
    found.sort(key=lambda f: (f[2].kind == "constant", f[0], f[1]))
    array = array_of(node.value)
    made_nan = array is not None and bool(np.isnan(array[index].astype(np.float64)))
    if made_nan and found[0][0] == 1 and _given(record, found[0][2], found[0][3], bad):
        return None  # an infinity given on purpose: the NaN is made here
    return found[0][2], found[0][3]


def _given(record: Record, node: NodeRecord, index: Index, bad: dict[int, np.ndarray]) -> bool:
    """Whether an infinity was in the data or a constant from the start."""
    for _ in range(len(record.nodes)):
        if node.kind == "constant":
            return True
        before = _source_of(record, node, index, bad)
        if before is None:
            given = node.applied.inputs if node.applied is not None else ()
            return any(isinstance(x, float) and math.isinf(x) for x in given)
        node, index = before
    return False


def _element(node: NodeRecord, source: NodeRecord, index: Index) -> Index | None:
    """The element of an input that an element-wise op used, else None."""
    applied = node.applied
    if applied is None or not isinstance(applied.op, Elementwise):
        return None
    extra = len(node.shape) - len(source.shape)
    return tuple(0 if n == 1 else i for n, i in zip(source.shape, index[extra:], strict=True))


def _described(record: Record, node: NodeRecord, index: Index, chain: list[str]) -> BadNumber:
    array = array_of(node.value)
    assert array is not None
    value = float(array[index])
    found = BadNumber("forward", node, value, index, "", chain=chain)
    found.sample = _sample(record, node.shape, index)
    found.line = record.place(node)
    if node.kind != "op" or node.applied is None:
        found.rule = (
            "it was not finite from the start" if node.kind != "op" else "it was read from a file"
        )
        found.advice = "clean the data, or look at what made this tensor"
        return found
    op, inputs = node.applied.op, list(node.applied.inputs)
    inner, numbers = _primitive(op, inputs, index, array)
    found.rule, found.values = _forward_rule(inner, numbers, value, array.dtype)
    if isinstance(op, Softmax | LogSoftmax) and found.rule == "∞ − ∞":
        found.rule += ": every element of this row is −∞, its mask leaves nothing"
        found.advice = "let every row keep one element, or drop the row"
        return found
    found.rewrite, found.advice = rewrite(record, node, inner, found.rule, "forward")
    return found


def _primitive(
    op: Op, inputs: Sequence[Any], index: Index, y: np.ndarray
) -> tuple[Op, list[float]]:
    """The primitive inside an op that made the bad element, and the numbers it worked on."""
    own = op, _elements(inputs, index, y.shape)
    if op.primitive or _border(*own) is not None:
        return own
    tape = unfold(op, [x for x in inputs if x is not None], input_names(op, inputs))
    if tape is None:
        return own
    for step in tape.steps:
        mask = _bad(step.value)
        if mask is None:
            continue
        made = [s for s in step.shapes if isinstance(s, np.ndarray) and _bad(s) is not None]
        nan = np.isnan(step.value.astype(np.float64))
        if made and not nan.any():
            continue  # an infinity that was given and is only carried
        at = _first_index(nan if nan.any() else mask)
        return step.op, _elements(step.shapes, at, step.value.shape)
    return own


def _border(op: Op, x: list[float], slope: str = "") -> Border | None:
    """The border of an op's domain that numbers have reached, for its value or a derivative."""
    if len(x) != len(op.parameters):
        return None
    return next((b for b in op.domain if b.slope == slope and b.reached(*x)), None)


def _elements(inputs: Sequence[Any], index: Index, shape: tuple[int, ...]) -> list[float]:
    """The input elements behind an output element, where the inputs broadcast to the output."""
    values = []
    for x in inputs:
        if isinstance(x, bool | int | float):
            values.append(float(x))
        elif isinstance(x, np.ndarray):
            try:
                values.append(float(np.broadcast_to(x, shape)[index]))
            except ValueError:
                with np.errstate(all="ignore"):
                    wide = x.astype(np.float64)
                    values.append(float(np.max(np.abs(wide), initial=0.0)))
    return values


def _forward_rule(op: Op, x: list[float], value: float, dtype: Any) -> tuple[str, str]:
    """The rule that broke, and the numbers it broke on."""
    name = op.name
    shown = ", ".join(number(v) for v in x[:3])
    border = _border(op, x)
    if border is not None:
        told = border.shown or ("x = {0}" if len(x) == 1 else "{0}, {1}")
        return _filled(border.rule, x), _filled(told, x)
    small = dtype in LOW_PRECISION
    largest = finfo(dtype).max
    if op.overflows and math.isinf(value):
        rule = f"{name} overflow: {dtype.name} ends at {largest:.3g}"
        return rule, f"x = {shown}"
    if op.adds and math.isnan(value):
        return "∞ − ∞", "infinities of both signs are added"
    if math.isinf(value) and not any(map(math.isinf, x)):
        kind = "float16 range" if dtype.name == "float16" else "overflow"
        limit = f": {dtype.name} ends at {largest:.5g}"
        return kind + limit, shown
    if small and math.isinf(value):
        return f"{dtype.name} range: it ends at {largest:.5g}", shown
    return f"{name} of what is not finite", shown


def _filled(text: str, x: list[float]) -> str:
    """A border's text with numbers in their places."""
    return text.format(*map(number, x))


# -- the backward pass --------------------------------------------------------------------------


def _backward(record: Record) -> BadNumber | None:
    leaves = [n for n in record.nodes if n.kind != "op" and n.requires_grad]
    grads = [n.upstream.array for n in leaves if n.upstream is not None]
    if all(_bad(g) is None for g in grads):
        return None
    for node in record.backward_nodes():
        upstream = array_of(node.upstream)
        if _bad(upstream) is not None:
            before = [e for e in record.outgoing[node.id] if _edge_bad(e) is not None]
            if before:
                continue  # it came along an edge that is seen at the op above
            assert upstream is not None
            index = _first_index(_bad(upstream))  # type: ignore[arg-type]
            found = BadNumber("backward", node, float(upstream[index]), index, "")
            if node.id == record.output:
                found.rule = "the gradient that backward starts with is not finite"
            else:
                found.rule = f"the sum of its gradients leaves {upstream.dtype.name}"
            found.line = record.place(node)
            return found
        for edge in record.incoming[node.id]:
            mask = _edge_bad(edge)
            if mask is not None:
                return _broken_edge(record, node, edge, mask, upstream)
    return None


def _edge_bad(edge: Edge) -> np.ndarray | None:
    return _bad(array_of(edge.gradient))


def _broken_edge(
    record: Record, node: NodeRecord, edge: Edge, mask: np.ndarray, upstream: np.ndarray | None
) -> BadNumber:
    assert edge.gradient is not None
    gradient = edge.gradient.array
    assert gradient is not None
    nan = np.isnan(gradient.astype(np.float64))
    index = _first_index(nan if nan.any() else mask)
    source = record.nodes[edge.source]
    found = BadNumber("backward", node, float(gradient[index]), index, "")
    found.argument = source.name or edge.argument
    found.sample = _sample(record, source.shape, index)
    found.line = record.place(node)
    found.chain = _carriers(record, edge)
    at = index if source.shape == node.shape else None
    if at is None:
        extra = len(node.shape) - len(source.shape)
        if extra >= 0:
            at = tuple([0] * extra + list(index))
    applied = node.applied
    if applied is None or upstream is None:
        found.rule = f"the derivative of {node.op}"
        return found
    values = _elements(applied.inputs, at, node.shape) if at is not None else []
    u = float(upstream[at]) if at is not None and len(at) == upstream.ndim else math.nan
    y_value = float(applied.y[at]) if at is not None and len(at) == applied.y.ndim else math.nan
    found.rule, found.values = _backward_rule(
        record, node, edge, values, u, y_value, gradient.dtype, index
    )
    found.rewrite, found.advice = rewrite(record, node, applied.op, found.rule, "backward")
    return found


def _backward_rule(
    record: Record,
    node: NodeRecord,
    edge: Edge,
    x: list[float],
    u: float,
    y: float,
    dtype: Any,
    index: Index,
) -> tuple[str, str]:
    name = node.op
    assert node.applied is not None
    shown = ", ".join(number(v) for v in x[:3])
    values = f"x = {shown}; upstream {number(u)}"
    local = _local_rule(node.applied.op, x, edge.position, y)
    if local:
        if u == 0:
            mask = _masks_after(record, node)
            under = f" under the mask of {mask}" if mask else ""
            return f"0 · ∞{under}: {local}", values
        return local, values
    if _finite_in_float64(node, edge, index):
        rule = "float16 range" if dtype.name == "float16" else "overflow"
        limit = f": the gradient leaves {dtype.name}, which ends at {finfo(dtype).max:.5g}"
        return rule + limit, values
    if any(not math.isfinite(v) for v in (*x, y)):
        if u == 0:
            mask = _masks_after(record, node)
            under = f" under the mask of {mask}" if mask else ""
            return f"0 · ∞{under}: {name} had a value that is not finite", values
        return f"the derivative of {name} uses a value that is not finite", values
    return f"the derivative of {name} is not finite here", values


def _local_rule(op: Op, x: list[float], position: int, y: float) -> str:
    """The op's derivative at a point where it does not exist, or ""."""
    border = _border(op, x, op.parameters[position]) if position < len(op.parameters) else None
    if border is not None:
        return _filled(border.rule, x)
    if op.overflows and math.isinf(y):
        of = "its value, ∞" if "y" in op.saves else "infinite too"
        return f"{op.name} overflow: its derivative is {of}"
    return ""


def _masks_after(record: Record, node: NodeRecord) -> str:
    """The first `where` (or product with zeros) through which the value goes on, if any."""
    for e in record.onward(node, 6):
        target = record.nodes[e.target]
        if issubclass(target.op_class, Where) and e.position > 0:
            return f"where ({location(target.file, target.line)})"
        if issubclass(target.op_class, Multiply):
            others = (o.source for o in record.incoming[target.id] if o.source != e.source)
            values = (array_of(record.nodes[i].value) for i in others)
            if any(v is not None and (v == 0).any() for v in values):
                return f"multiply ({location(target.file, target.line)})"
    return ""


def _finite_in_float64(node: NodeRecord, edge: Edge, index: Index) -> bool:
    """Whether the same derivative of the same numbers is finite in float64."""
    applied, upstream = node.applied, node.upstream
    if applied is None or upstream is None or upstream.array is None:
        return False
    if any(x is None for x in applied.inputs) or upstream.array.dtype == np.float64:
        return False
    inputs = tuple(as_float64(x) for x in applied.inputs)
    with np.errstate(all="ignore"):
        y = np.asarray(applied.op.forward(NUMPY, *inputs))
        saved = applied.op.save(inputs, y)
        alone = [x if i == edge.position else None for i, x in enumerate(inputs)]
        wide = upstream.array.astype(np.float64)
        g = step_back(applied.op, wide, saved, alone, xp=NUMPY)[edge.position]
    return g is not None and _bad(np.asarray(g)) is None


def _carriers(record: Record, edge: Edge) -> list[str]:
    """The nodes that carried a bad gradient on, from the op that broke to a leaf."""
    node = record.nodes[edge.source]
    chain = [record.nodes[edge.target].label, node.label]
    for _ in range(200):
        following = [e for e in record.incoming[node.id] if _edge_bad(e) is not None]
        if not following:
            break
        node = record.nodes[following[0].source]
        chain.append(node.label)
    return chain


# -- words --------------------------------------------------------------------------------------


def _sample(record: Record, shape: tuple[int, ...], index: Index) -> int | None:
    """The row of the batch, if the tensor has the batch's size along its first axis."""
    if not index:
        return None
    sizes = [n.shape[0] for n in _inputs(record) if n.shape]
    return index[0] if sizes and shape[0] == sizes[0] and sizes[0] > 1 else None


def _inputs(record: Record) -> Iterator[NodeRecord]:
    """The data: constants first, then leaves that are no parameters."""
    yield from (n for n in record.nodes if n.kind == "constant" and len(n.shape) > 0)
    yield from (n for n in record.nodes if n.kind == "leaf" and len(n.shape) > 0)
