"""Going through a computation stop by stop: forward gate by gate, then backward gate by gate.

At each stop one sentence says what happens, with the actual numbers: all of them where they are
single numbers, else the shapes, the norms and the numbers at one chosen element.
"""

from __future__ import annotations

import code
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import ArgumentError
from ...facts import ROLES
from ...op import REGISTRY, Elementwise
from ...ops.contraction import Matmul
from ..records.from_tape import as_record
from ..records.model import Record
from ..records.parts import Edge, NodeRecord
from ..records.value import Value, array_of, number
from .words import extent, formula, formula_of, name_of, product_of, role_of, sum_of, symbol_of


@dataclass(frozen=True, slots=True)
class Sentence:
    """What happens at a stop, in the parts that a display colours; `str` puts them together."""

    #: What comes before the result: `q = x + y = 3 + 5 = `, `× 2 scales: upstream `.
    text: str
    #: The value that is computed, or the gradient that arrives; empty where there is none to show.
    result: str = ""
    #: For each input that gets a gradient: its name, how that is computed, what it is.
    sent: tuple[tuple[str, str, str], ...] = ()
    #: Why nothing is sent.
    note: str = ""
    #: What adds up now, of several uses.
    totals: tuple[str, ...] = ()

    def __str__(self) -> str:
        sent = [f"to {name}: {how}{what}" for name, how, what in self.sent]
        parts = [self.text + self.result, *sent, *([self.note] if self.note else [])]
        return ". ".join(["; ".join(parts), *self.totals])


@dataclass(frozen=True, slots=True)
class Stop:
    """One gate of one pass."""

    number: int
    phase: str  # "forward" or "backward"
    node: NodeRecord
    parts: Sentence
    record: Record

    @property
    def sentence(self) -> str:
        """What happens here, with the numbers."""
        return str(self.parts)

    def __repr__(self) -> str:
        return f"Stop({self.number}, {self.phase}: {self.sentence})"

    @property
    def downstream(self) -> list[Edge]:
        """The edges along which this stop sends a gradient; none in the forward pass."""
        if self.phase == "forward":
            return []
        return [e for e in self.record.incoming[self.node.id] if e.gradient is not None]

    @property
    def norm(self) -> float | None:
        """The norm of the gradient that arrives (in the forward pass: of the value)."""
        v = self.node.value if self.phase == "forward" else self.node.upstream
        return None if v is None else v.statistics["norm"]

    def holds(self, nodes: Collection[int], norm_above: float | None, nonfinite: bool) -> bool:
        """Whether this is a stop of the backward pass where one of these conditions holds."""
        if self.phase == "forward":
            return False
        norm = self.norm
        above = norm_above is not None and norm is not None and norm > norm_above
        return self.node.id in nodes or above or (nonfinite and self.bad)

    @property
    def bad(self) -> bool:
        """Whether something that this stop computes is not finite."""
        made = [self.node.value] if self.phase == "forward" else [self.node.upstream]
        made += [e.gradient for e in self.downstream]
        return any(v is not None and (v.statistics["nan"] or v.statistics["inf"]) for v in made)

    def interact(self, variables: Mapping[str, Any] | None = None) -> None:
        """Open a Python prompt with everything of this stop: record, node, value, gradients.

        `variables` are at hand, too, under names that are not among these.
        """
        downstream = {
            self.record.nodes[e.source].label: array_of(e.gradient) for e in self.downstream
        }
        names = {
            "stop": self,
            "record": self.record,
            "node": self.node,
            "value": array_of(self.node.value),
            "upstream": array_of(self.node.upstream),
            "downstream": downstream,
            "np": np,
        }
        where = self.record.location(self.node)
        at = f"at {where}\n" if where else ""
        also = ", and your own variables" if variables else ""
        banner = f"{self.sentence}\n{at}At hand: {', '.join(names)}{also}. Ctrl-D goes on."
        code.interact(banner=banner, local={**(variables or {}), **names}, exitmsg="")


def steps(source: Any) -> Iterator[Stop]:
    """The stops of a record, a recording or a Tensor's graph, in order.

    >>> from backlit import tensor
    >>> x = tensor(3.0, requires_grad=True)
    >>> for stop in steps(x * 2):
    ...     print(stop.sentence)
    multiply_1 = x × 2 = 3 × 2 = 6
    × 2 scales: upstream 1; to x: 1 · 2 = 2
    """
    record = as_record(source)
    count = 0
    for node in record.nodes:
        if node.kind == "op":
            yield Stop(count, "forward", node, _forward(record, node), record)
            count += 1
    for node in record.backward_nodes():
        if node.kind == "op":
            yield Stop(count, "backward", node, describe_backward(record, node), record)
            count += 1


def breakpoint_at(
    source: Any,
    node: Any = None,
    *,
    norm_above: float | None = None,
    nonfinite: bool = False,
    interact: bool = False,
) -> Stop | None:
    """The first stop of the backward pass where a condition holds, or None if it never does.

    At a node, where the upstream norm is above a number, or where a gradient is not finite. With
    `interact` a Python prompt opens there.

    >>> from backlit import tensor
    >>> x = tensor(3.0, requires_grad=True)
    >>> breakpoint_at((x * 10) * 10, norm_above=5).sentence
    '× 10 scales: upstream 10; to x: 10 · 10 = 100'
    """
    if node is None and norm_above is None and not nonfinite:
        raise ArgumentError(
            "breakpoint_at: a condition is required: a node, norm_above=x or nonfinite=True"
        )
    record = as_record(source)
    wanted = () if node is None else (record.find(node).id,)
    stop = next((s for s in steps(record) if s.holds(wanted, norm_above, nonfinite)), None)
    if stop is not None and interact:
        stop.interact()
    return stop


# -- sentences ----------------------------------------------------------------------------------


def _forward(record: Record, node: NodeRecord) -> Sentence:
    whole = f"{name_of(node)} = {formula_of(record, node)}"
    if node.error and node.status == "failed":
        return Sentence(f"{whole} raised: {node.error}")
    if node.value is None:
        return Sentence(f"{whole}; its value is not available")
    if "value" in node.given:
        return Sentence(f"{whole} is set to ", _gradient(node.value))
    inputs = [_source_value(record, a) for a in node.arguments]
    single = node.value.item()
    numbers = [v.item() if isinstance(v, Value) else v for v in inputs]
    if single is not None and all(x is not None for x in numbers):
        shown = [number(x) for x in numbers]
        return Sentence(f"{whole} = {formula(node, shown)} = ", number(single))
    text = f"{whole}: {_shape(node.value)}"
    index = _chosen(node.value)
    if index is None:
        return Sentence(text)
    result = number(node.value.at(index))
    if node.op_class is Matmul and len(node.shape) >= 2:
        terms = record.nodes[record.edges[node.arguments[0]["edge"]].source].shape[-1]
        return Sentence(f"{text}; at {_index(index)}: a sum of {terms} products = ", result)
    parts = [_element(v, index, node.shape) for v in inputs] if _elementwise(node) else [None]
    if all(p is not None for p in parts):
        one = formula(node, [str(p) for p in parts])
        return Sentence(f"{text}; at {_index(index)}: {one} = ", result)
    if single is not None:
        return Sentence(f"{whole} = ", result)
    return Sentence(f"{text}; at {_index(index)}: ", result)


def describe_backward(record: Record, node: NodeRecord) -> Sentence:
    """What a gate does in the backward pass."""
    role = role_of(node)
    verb = ROLES[role].verb if role else "passes on"
    assert node.upstream is not None
    setting = "set to " if "gradient" in node.given else ""
    text, arrives = f"{symbol_of(node)} {verb}: upstream {setting}", _gradient(node.upstream)
    if node.status == "failed in backward":
        return Sentence(text, arrives, note=f"its backward raised: {node.error}")
    edges = record.incoming[node.id]
    sent = tuple(
        (name_of(record.nodes[e.source]), *_product(node, e, record))
        for e in edges
        if e.gradient is not None
    )
    note = "" if sent else "no input needs a gradient"
    totals = (_total(record, source, node) for source in dict.fromkeys(e.source for e in edges))
    return Sentence(text, arrives, sent, note, tuple(t for t in totals if t))


def _product(node: NodeRecord, e: Edge, record: Record) -> tuple[str, str]:
    """(how the gradient of one use is computed, what it is)."""
    assert e.gradient is not None
    assert node.upstream is not None
    local = e.local
    factor = None if local is None or local.value is None else local.value
    single, upstream = e.gradient.item(), node.upstream.item()
    one = None if factor is None else factor.item()
    if local is not None and local.kind == "copy" and single is not None and upstream is not None:
        one = 1.0  # a sum, or a mean, of one number
    if single is not None and upstream is not None and one is not None:
        return f"{product_of(upstream, one)} = ", number(single)
    if local is None:
        return "", _gradient(e.gradient)
    if local.kind == "matrix":
        return f"{_matrix_shapes(node, e, record)} = ", _shape(e.gradient)
    if one is not None and e.gradient.shape == node.upstream.shape:
        index = _chosen(_telling(node.upstream, e.gradient))
        if index is not None:
            u, g = node.upstream.at(index), e.gradient.at(index)
            at = f"at {_index(index)}: {product_of(u, one)} = "
            return f"{_gradient(e.gradient)}; {at}", number(g)
    if local.kind == "diagonal" and factor is not None and e.gradient.shape == factor.shape:
        index = _chosen(_telling(node.upstream, e.gradient))
        d = None if index is None else factor.at(index)
        if index is not None and d is not None:
            u, g = node.upstream.at(index), e.gradient.at(index)
            at = f"at {_index(index)}: {product_of(u, d)} = "
            return f"{_gradient(e.gradient)}; {at}", number(g)
    return "", f"{_gradient(e.gradient)} ({local.text})"


def _matrix_shapes(node: NodeRecord, e: Edge, record: Record) -> str:
    """`g·bᵀ: (32×16)(16×20)` for a product's derivative."""
    up = "×".join(map(str, node.shape))
    others = [record.nodes[o.source] for o in record.incoming[node.id] if o is not e]
    if node.op_class is Matmul and others:
        other = "×".join(map(str, others[0].shape))
        return f"g·bᵀ, ({up})·({other})ᵀ" if e.position == 0 else f"aᵀ·g, ({other})ᵀ·({up})"
    return "g·W" if e.position == 0 else "gᵀ·x"


def _total(record: Record, source: int, node: NodeRecord) -> str:
    """The sentence for a value all of whose uses have now sent back their gradients."""
    uses = [e for e in record.outgoing[source] if e.gradient is not None]
    if len(uses) < 2:
        return ""
    last = max(uses, key=lambda e: record.nodes[e.target].backward_order or 0)
    value = record.nodes[source].upstream
    if last.target != node.id or value is None:
        return ""
    name = name_of(record.nodes[source])
    if "gradient" in record.nodes[source].given:
        return f"{name} is used {len(uses)} times; its gradient is set to {_gradient(value)}"
    sent = [e.gradient.item() for e in uses if e.gradient is not None]
    terms = [x for x in sent if x is not None]
    if len(uses) <= 4 and len(terms) == len(uses):
        return f"{name} is used {len(uses)} times and adds up: {sum_of(terms)} = {value.text()}"
    return f"{name} is used {len(uses)} times and adds up to {_gradient(value)}"


def _source_value(record: Record, argument: dict[str, Any]) -> Value | float | None:
    if "number" in argument:
        return argument["number"]
    return record.nodes[record.edges[argument["edge"]].source].value


def _elementwise(node: NodeRecord) -> bool:
    known = REGISTRY.get(node.op)
    return known is not None and issubclass(known, Elementwise)


def _element(v: Value | float | None, index: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The number of an input that goes into one element of the result, as text."""
    if not isinstance(v, Value):
        return None if v is None else number(v)
    tail = index[len(index) - len(v.shape) :] if v.shape else ()
    at = v.at(tuple(0 if n == 1 else i for i, n in zip(tail, v.shape, strict=True)))
    return None if at is None else number(at)


def _chosen(v: Value) -> tuple[int, ...] | None:
    """The element that is shown: the largest in size; the first where elements were not kept."""
    if v.size == 0:
        return None
    if v.array is None:
        return (0,) * len(v.shape)
    size = np.abs(v.array.astype(np.float64))
    bad = ~np.isfinite(size)
    flat = int(bad.argmax()) if bad.any() else int(size.argmax())
    return tuple(int(i) for i in np.unravel_index(flat, v.shape))


def _telling(upstream: Value, gradient: Value) -> Value:
    """The array whose largest element is shown: what leaves, if that is where numbers go bad."""
    bad = gradient.statistics["nan"] or gradient.statistics["inf"]
    return gradient if bad and gradient.shape == upstream.shape else upstream


def _index(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]"


def _shape(v: Value) -> str:
    return f"{extent(v.shape)}, norm {number(v.statistics['norm'])}"


def _gradient(v: Value) -> str:
    if v.item() is not None:
        return number(v.item())
    bad = int(v.statistics["nan"] or 0) + int(v.statistics["inf"] or 0)
    found = f", {bad} not finite" if bad else ""
    return f"{extent(v.shape)} of norm {number(v.statistics['norm'])}{found}"
