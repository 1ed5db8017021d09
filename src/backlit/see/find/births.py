"""Where the first NaN or infinity of a pass is born, and which rule broke there.

A bad number is followed back from where it was seen, element by element: of the inputs of an op
only those elements count from which the bad one was computed. Infinities that never reach the
output or a gradient (a mask of −∞ before a softmax, a `log 0` that `where` leaves out) are results
like any others and are not reported.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...autograd import step_back
from ...backend import numpy_backend as NUMPY
from ...dtypes import FLOATING, LOW_PRECISION, finfo
from ...facts import Border
from ...op import Elementwise, Op
from ...ops.activation import LogSoftmax, Softmax
from ..checks.experiment import input_names
from ..checks.unfold import unfold
from ..records.model import Record
from ..records.parts import Edge, NodeRecord
from ..records.value import array_of, number
from ..told import Told

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
    #: What the rewrite stands in place of, and the number of its line.
    replaces: str = ""
    rewrite_line: int = 0
    #: What has to be written elsewhere, too: (line, what it replaces, what to write).
    more: list[tuple[int, str, str]] = field(default_factory=list)
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
            if self.rewrite_line != self.node.line:
                lines.append(
                    ("green", f"  in place of: {self.replaces}, in line {self.rewrite_line}")
                )
        for line, replaces, text in self.more:
            lines.append(("green", f"  and write: {text} in place of {replaces}, in line {line}"))
        if self.advice:
            lines.append(("", f"  {self.advice}"))
        return lines


def bad_elements(array: np.ndarray | None) -> np.ndarray | None:
    """Which elements are not finite, or None if all are (or the array is not known)."""
    if array is None or array.dtype not in FLOATING:
        return None
    with np.errstate(all="ignore"):
        mask = ~np.isfinite(array.astype(np.float64))
    return mask if mask.any() else None


def first_index(mask: np.ndarray) -> Index:
    """The first element that is true."""
    return tuple(int(i) for i in np.argwhere(mask)[0])


# -- the forward pass ---------------------------------------------------------------------------


def forward_birth(record: Record) -> BadNumber | None:
    """The first bad number of the forward pass that reaches the end."""
    bad = {n.id: m for n in record.nodes if (m := bad_elements(array_of(n.value))) is not None}
    if not bad:
        return None
    ends = [record.output] if record.output is not None else _last(record)
    reached = [e for e in ends if e in bad]
    if not reached:
        return None
    node, mask = record.nodes[reached[0]], bad[reached[0]]
    nan = np.isnan(array_of(node.value).astype(np.float64))  # type: ignore[union-attr]
    index = first_index(nan if nan.any() else mask)
    way = way_back(record, node, index, bad)
    node, index = way[-1]
    if is_mask(node):
        way = _to_its_use(way)
        node, index = way[-1]
    return described(record, node, index, [n.label for n, _ in reversed(way)])


def way_back(
    record: Record, node: NodeRecord, index: Index, bad: dict[int, np.ndarray]
) -> list[tuple[NodeRecord, Index]]:
    """From a bad element, through those that it was computed from, to where it was born."""
    way = [(node, index)]
    while True:
        before = _source_of(record, *way[-1], bad)
        if before is None:
            return way
        way.append(before)


def is_mask(node: NodeRecord) -> bool:
    """Whether a node holds infinities that were put there on purpose: a mask's."""
    if node.applied is not None:
        return any(isinstance(x, float) and math.isinf(x) for x in node.applied.inputs)
    array = array_of(node.value)
    if node.kind != "constant" or array is None:
        return False
    wide = array.astype(np.float64)
    return bool(np.any(wide == 0) and np.all((wide == 0) | (wide == -np.inf)))


def _to_its_use(way: list[tuple[NodeRecord, Index]]) -> list[tuple[NodeRecord, Index]]:
    """The part of a way that begins where a mask is used, where something else uses it at all."""
    for i in range(len(way) - 1, -1, -1):
        op = way[i][0].op_class
        if op is not Op and not issubclass(op, Elementwise) and op.role != "mover":
            return way[: i + 1]
    return way


def _last(record: Record) -> list[int]:
    used = {e.source for e in record.edges}
    return [n.id for n in reversed(record.nodes) if n.kind == "op" and n.id not in used]


def _source_of(
    record: Record, node: NodeRecord, index: Index, bad: dict[int, np.ndarray]
) -> tuple[NodeRecord, Index] | None:
    """The input element through which a bad number came, the most telling one: NaN before inf."""
    if node.detached_from is not None:
        origin = record.nodes[node.detached_from]
        return (origin, index) if origin.shape == node.shape and origin.id in bad else None
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
            used = _used(node, edge, source, index)
            if used is not None:
                mask, nan = mask & used, nan & used
            if not mask.any():
                continue
            chosen = nan if nan.any() else mask
            found.append((0 if nan.any() else 1, edge.position, source, first_index(chosen)))
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


def _given_so(record: Record, node: NodeRecord) -> tuple[str, str]:
    """The rule and the advice for what no op in the record has made."""
    if node.kind == "op":
        return "it was read from a file", "look at what made this tensor"
    before = None if node.earlier is None else record.nodes[node.earlier]
    if before is not None and bad_elements(array_of(before.value)) is None:
        uses = [record.nodes[e.target] for e in record.outgoing[before.id]]
        last = f" ({record.location(uses[-1])})" if uses else ""
        rule = f"it was finite when it was used before{last}; an update since has made it so"
        return rule, "look at that update: its gradient, its learning rate, what it divides by"
    return "it was not finite from the start", "clean the data, or look at what made this tensor"


def sources(record: Record, node: NodeRecord) -> list[int]:
    """The nodes of an op's inputs."""
    return [e.source for e in record.incoming[node.id]]


def _used(node: NodeRecord, edge: Edge, source: NodeRecord, index: Index) -> np.ndarray | None:
    """The elements of an input from which an element of the result is computed.

    They are those to which the op sends a gradient that starts there: for the numbers that were
    and, because a factor of 0 hides one, for others in their place. None: it is not known.
    """
    applied = node.applied
    if applied is None or not applied.op.differentiable:
        return None
    inputs, y = applied.inputs, np.asarray(applied.y)
    if any(x is None for x in inputs) or y.dtype not in FLOATING:
        return None
    unit = np.zeros(y.shape, y.dtype)
    unit[index] = 1
    rng = np.random.default_rng(0)
    others = tuple(
        np.asarray(rng.uniform(0.5, 1.5, x.shape), x.dtype)
        if isinstance(x, np.ndarray) and x.dtype in FLOATING
        else x
        for x in inputs
    )
    used = np.zeros(source.shape, bool)
    wanted = [source if i == edge.position else None for i in range(len(inputs))]
    try:
        with np.errstate(all="ignore"):
            for given in (inputs, others):
                saved = applied.op.save(given, np.asarray(applied.op.forward(NUMPY, *given)))
                sent = step_back(applied.op, unit, saved, wanted)[edge.position]
                if sent is not None:
                    used |= np.asarray(sent) != 0
    except (ValueError, TypeError, IndexError, ArithmeticError):
        return None  # other numbers are none that the op takes
    return used


def described(record: Record, node: NodeRecord, index: Index, chain: list[str]) -> BadNumber:
    """What is said of the element of a value that was born bad there."""
    array = array_of(node.value)
    assert array is not None
    value = float(array[index])
    found = BadNumber("forward", node, value, index, "", chain=chain)
    found.sample = sample(record, node.shape, index)
    found.line = record.place(node)
    if node.kind != "op" or node.applied is None:
        found.rule, found.advice = _given_so(record, node)
        return found
    op, inputs = node.applied.op, list(node.applied.inputs)
    inner, numbers = _primitive(op, inputs, index, array)
    found.rule, found.values = _forward_rule(inner, numbers, value, array.dtype)
    if "of what is not finite" in found.rule and all(map(_is_finite, inputs)):
        found.rule, found.values, found.advice = _made_of_finite(op, inputs, array)
        return found
    given = next(
        (n for n in map(record.nodes.__getitem__, sources(record, node)) if is_mask(n)), None
    )
    if "not finite" in found.rule and given is not None:
        found.rule = f"{op.name} picks an element that {given.label} has set to an infinity"
        found.advice = "let the mask keep what is picked, as the label of each row"
        return found
    if isinstance(op, Softmax | LogSoftmax) and found.rule == "∞ − ∞":
        found.rule += ": every element of this row is −∞, its mask leaves nothing"
        found.advice = "let every row keep one element, or drop the row"
        return found
    return found


def _is_finite(x: Any) -> bool:
    return not isinstance(x, np.ndarray) or bad_elements(x) is None


def _made_of_finite(op: Op, inputs: list[Any], y: np.ndarray) -> tuple[str, str, str]:
    """Rule, numbers and advice for an op that makes a bad number of finite ones, or of none."""
    arrays = [x for x in inputs if isinstance(x, np.ndarray)]
    if any(x.size == 0 for x in arrays):
        rule = f"{op.name} of no elements is 0/0"
        return rule, "", "let it have an element, or leave it out where there is none (x.size == 0)"
    correction = getattr(op, "correction", 0)
    count = arrays[0].size // max(y.size, 1) if arrays else 0
    if correction and count <= correction:
        off = count - correction
        return f"{op.name} divides by n − {number(correction)} = {number(off)}", f"n = {count}", ""
    return f"{op.name} gives no finite number for finite ones", "", ""


def _primitive(
    op: Op, inputs: Sequence[Any], index: Index, y: np.ndarray
) -> tuple[Op, list[float]]:
    """The primitive inside an op that made the bad element, and the numbers it worked on."""
    own = op, elements(inputs, index, y.shape)
    if op.primitive or border_of(*own) is not None:
        return own
    tape = unfold(op, [x for x in inputs if x is not None], input_names(op, inputs))
    if tape is None:
        return own
    for step in tape.steps:
        mask = bad_elements(step.value)
        if mask is None:
            continue
        made = [s for s in step.shapes if isinstance(s, np.ndarray) and bad_elements(s) is not None]
        nan = np.isnan(step.value.astype(np.float64))
        if made and not nan.any():
            continue  # an infinity that was given and is only carried
        at = first_index(nan if nan.any() else mask)
        return step.op, elements(step.shapes, at, step.value.shape)
    return own


def border_of(op: Op, x: list[float], slope: str = "") -> Border | None:
    """The border of an op's domain that numbers have reached, for its value or a derivative."""
    if len(x) != len(op.parameters):
        return None
    return next((b for b in op.domain if b.slope == slope and b.reached(*x)), None)


def elements(inputs: Sequence[Any], index: Index, shape: tuple[int, ...]) -> list[float]:
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
    border = border_of(op, x)
    if border is not None:
        told = border.shown or ("x = {0}" if len(x) == 1 else "{0}, {1}")
        return filled(border.rule, x), filled(told, x)
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


def filled(text: str, x: list[float]) -> str:
    """A border's text with numbers in their places."""
    return text.format(*map(number, x))


# -- words --------------------------------------------------------------------------------------


def sample(record: Record, shape: tuple[int, ...], index: Index) -> int | None:
    """The row of the batch, if the tensor has the batch's size along its first axis."""
    if not index:
        return None
    sizes = [n.shape[0] for n in _inputs(record) if n.shape]
    return index[0] if sizes and shape[0] == sizes[0] and sizes[0] > 1 else None


def _inputs(record: Record) -> Iterator[NodeRecord]:
    """The data: constants first, then leaves that are no parameters."""
    yield from (n for n in record.nodes if n.kind == "constant" and len(n.shape) > 0)
    yield from (n for n in record.nodes if n.kind == "leaf" and len(n.shape) > 0)
