"""The gates of a formula as they were typed, read off its record.

A gate is what one sign or one function of the formula makes, by one op or by several: `dot(x, y)`
is a product and a sum. Values and upstream gradients are those of the record's nodes. A wire leads
from an input to a gate, and

    downstream = upstream · local

along it. Where the gate is one element-wise op, the local gradient is the record's own: a factor
for each element. Else it is the Jacobian, which the derivatives of the ops give row by row.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ...autograd import walk_back
from ...facts import ROLES
from ...op import Op
from ..records.model import Record
from ..records.parts import Edge, NodeRecord
from ..records.value import array_of
from ..show.words import symbol_of
from .evaluate import Evaluated
from .language import Expression, Step

#: Jacobians with more elements than this are not built.
MAX_JACOBIAN = 10_000

#: The kinds of a record's local gradients that say it element by element.
_FACTORS = ("identity", "scale", "diagonal")


class Derivative(NamedTuple):
    """The local gradient of one input of a gate, which may be several ops, in numbers.

    The derivative of a single op, with its structure in words, is a record's `Local`.

    `kind` is "factor" (element-wise: one number for each element of the output, so the Jacobian is
    diagonal up to broadcasting), "jacobian" (of shape (*output.shape, *input.shape)), or "large"
    (not built; `values` is None).
    """

    kind: str
    values: np.ndarray | None


@dataclass(eq=False)
class Gate:
    """One value of the formula: a gate, or a variable or constant with no inputs."""

    number: int
    step: Step
    value: np.ndarray
    requires_grad: bool
    #: Its node in the record, None for a variable that nothing is computed from; the ops that
    #: made it, of which the node is the last.
    node: NodeRecord | None
    ops: list[NodeRecord]
    inputs: list[Wire] = field(default_factory=list, repr=False)
    uses: list[Wire] = field(default_factory=list, repr=False)

    @property
    def kind(self) -> str:
        """One of "gate", "variable" and "constant"."""
        fixed = self.step.kind == "variable" and not self.requires_grad
        return "constant" if fixed else self.step.kind

    @property
    def label(self) -> str:
        """The part of the formula that it is."""
        return self.step.label

    @property
    def name(self) -> str:
        """The name of the function, the variable or the constant."""
        return self.label if self.step.function is None else self.step.function.name

    @property
    def upstream(self) -> np.ndarray | None:
        """The gradient that arrives; None at constants, and off every way to the result."""
        return None if self.node is None else array_of(self.node.upstream)

    @property
    def op(self) -> type[Op] | None:
        """The op that says what the gate is: the first that does more than move elements."""
        classes = [n.op_class for n in self.ops]
        return next((op for op in classes if op.role != "mover"), classes[-1] if classes else None)

    @property
    def role(self) -> str | None:
        """What the gate is for the gradient, one of `facts.ROLES`; None for what is no gate."""
        return None if self.op is None else self.op.role

    @property
    def title(self) -> str:
        """What the gate does with the gradient, as in "× switches"."""
        if self.op is None or self.step.function is None:
            return self.kind
        signed = self.step.function.op
        symbol = signed.symbol if signed else self.name
        if len(self.ops) == 1:  # what the op is called wherever it is shown
            symbol = symbol_of(self.ops[0])
        return f"{symbol} {ROLES[self.op.role].verb}"

    @property
    def does(self) -> str:
        """What the gate does to a gradient, in words; empty for what is no gate."""
        return "" if self.op is None else self.op.effect or ROLES[self.op.role].meaning

    @property
    def contributions(self) -> list[np.ndarray]:
        """What each use of the gate sends back to it; they add up to its upstream gradient."""
        return [wire.downstream for wire in self.uses if wire.downstream is not None]


@dataclass(eq=False, repr=False)
class Wire:
    """One input of a gate, and the edges of the record by which it gets into the gate's ops."""

    source: Gate
    gate: Gate
    edges: list[Edge]
    record: Record

    @cached_property
    def downstream(self) -> np.ndarray | None:
        """The gradient that the gate sends back; None for constants, and where none arrives."""
        sent = [e.gradient.array for e in self.edges if e.gradient is not None]
        return functools.reduce(operator.add, sent) if sent else None

    @cached_property
    def local(self) -> Derivative | None:
        """The derivative of the gate's value for the input's, in its cheapest form.

        None for constants.
        """
        if not self.source.requires_grad or self.gate.node is None:
            return None
        y, x = self.gate.value, self.source.value
        alone = len(self.edges) == 1 and self.edges[0].target == self.gate.node.id
        known = self.edges[0].local if alone else None
        factor = None if known is None or known.kind not in _FACTORS else known.value
        if factor is not None:
            return Derivative("factor", np.broadcast_to(np.asarray(factor.array), y.shape))
        if y.size * x.size > MAX_JACOBIAN:
            return Derivative("large", None)
        units = np.eye(y.size).astype(y.dtype).reshape(y.size, *y.shape)
        rows = np.array([self._pull(unit) for unit in units], y.dtype)
        return Derivative("jacobian", rows.reshape((*y.shape, *x.shape)))

    def _pull(self, upstream: np.ndarray) -> np.ndarray:
        """What the gate would send along this wire for an upstream gradient."""
        nodes, inside = self.record.nodes, {n.id for n in self.gate.ops if n.requires_grad}

        def send(op: NodeRecord, arriving: np.ndarray) -> Iterable[tuple[Any, np.ndarray]]:
            edges = {e.position: e for e in self.record.incoming[op.id]}
            edges = {i: e for i, e in edges.items() if e in self.edges or e.source in inside}
            targets = {i: nodes[e.source] for i, e in edges.items()}
            sent = {} if op.applied is None else op.applied.vjp(arriving, targets)
            return [(self if edges[i] in self.edges else targets[i], g) for i, g in sent.items()]

        arrived: dict[Any, Any] = {self.gate.node: upstream}
        walk_back(reversed(self.gate.ops), arrived, send)
        return arrived.get(self, np.zeros(self.source.value.shape))


def gates_of(formula: Expression, found: Evaluated) -> list[Gate]:
    """The gates of a formula that was computed, each after those it uses."""
    record, last = found.record, -1
    gates: list[Gate] = []
    for number, (step, t, node) in enumerate(
        zip(formula.steps, found.tensors, found.nodes, strict=True)
    ):
        ops: list[NodeRecord] = []
        if step.function is not None and node is not None:  # its ops were recorded one by one
            ops = [n for n in record.nodes[last + 1 : node.id + 1] if n.kind == "op"]
            last = node.id
        gate = Gate(number, step, t.numpy(), t.requires_grad, node, ops)
        for position, i in enumerate(step.inputs):
            # An input that is there twice is used by the ops in the same order.
            turn, turns = step.inputs[:position].count(i), step.inputs.count(i)
            source = gates[i].node
            assert source is not None
            edges = [e for e in record.outgoing[source.id] if record.nodes[e.target] in ops]
            wire = Wire(gates[i], gate, edges[turn::turns], record)
            gate.inputs.append(wire)
            gates[i].uses.append(wire)
        gates.append(gate)
    return gates
