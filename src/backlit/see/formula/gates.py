"""Every gate of a formula with its value and the gradients at it: upstream, local, downstream.

    downstream = upstream · local

The upstream gradients come from one walk of the engine over the whole formula. The local gradient
of a gate is the engine's derivative of that gate alone, on inputs cut off from the rest: the factor
of an element-wise op, or the Jacobian, one walk a row. Nothing here knows a derivative.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...array_api import positive
from ...autograd import enable_grad, grad, step_back
from ...backend import numpy_backend as NUMPY
from ...dtypes import FLOATING, as_dtype
from ...errors import ArgumentError, BacklitError
from ...facts import ROLES
from ...op import Elementwise, Op
from ...tensor import Tensor, wrap
from .language import (
    CONSTANTS,
    MAX_ELEMENTS,
    Expression,
    ExpressionError,
    Step,
    parse,
)

#: Jacobians with more elements than this are not built.
MAX_JACOBIAN = 10_000

_GATE_NAMES = {"+": "add", "-": "sub", "*": "mul", "/": "div", "**": "pow", "@": "matmul"}
#: Gates that are written as a sign; the others go by the name that was typed.
_OPERATORS = {*_GATE_NAMES.values(), "negate"}


@dataclass(frozen=True)
class Local:
    """The local gradient of one input of a gate.

    `kind` is "factor" (element-wise: one number for each element of the output, so the Jacobian is
    diagonal up to broadcasting), "jacobian" (of shape (*output.shape, *input.shape)), or "large"
    (not built; `values` is None).
    """

    kind: str
    values: np.ndarray | None


@dataclass(frozen=True)
class Edge:
    """The wire from an input to a gate. `local` and `downstream` are None for constants."""

    source: int
    local: Local | None
    downstream: np.ndarray | None


@dataclass
class Gate:
    """One value of the formula: a gate, or a variable or constant with no inputs.

    `upstream` is None where no gradient arrives: at constants, and off every way to the result.
    """

    number: int
    kind: str
    label: str
    name: str
    op: type[Op] | None
    value: np.ndarray
    upstream: np.ndarray | None
    inputs: list[Edge]
    uses: list[tuple[int, int]] = field(default_factory=list)  # (gate, which of its inputs)

    @property
    def role(self) -> str | None:
        """What the gate is for the gradient, one of `facts.ROLES`; None for what is no gate."""
        return None if self.op is None else self.op.role

    @property
    def title(self) -> str:
        """What the gate does with the gradient, as in "× switches"."""
        if self.op is None:
            return self.kind
        sign = self.op.symbol if self.name in _OPERATORS else self.name
        return f"{sign} {ROLES[self.op.role].verb}"

    @property
    def does(self) -> str:
        """What the gate does to a gradient, in words; empty for what is no gate."""
        return "" if self.op is None else self.op.effect or ROLES[self.op.role].meaning


@dataclass
class Differentiation:
    """All gates of a formula in the order of their computation, and which of them is the result."""

    expression: str
    gates: list[Gate]
    result: int
    names: dict[str, int]

    @property
    def value(self) -> np.ndarray:
        """The value of the formula."""
        return self.gates[self.result].value

    @property
    def gradients(self) -> dict[str, np.ndarray | None]:
        """The gradient for each variable and each named part; None where the result has none."""
        variables = {g.label: g.upstream for g in self.gates if g.kind == "variable"}
        parts = {name: self.gates[number].upstream for name, number in self.names.items()}
        return {**variables, **parts}

    def contributions(self, gate: Gate) -> list[np.ndarray]:
        """What each use of a gate sends back to it; they add up to its upstream gradient."""
        found = [self.gates[user].inputs[which].downstream for user, which in gate.uses]
        return [d for d in found if d is not None]

    def to_dict(self) -> dict[str, Any]:
        """Everything as numbers, lists and text, for JSON. NaN and infinities become text."""
        return {
            "expression": self.expression,
            "value": _plain(self.value),
            "gradients": {name: _plain(g) for name, g in self.gradients.items()},
            "gates": [
                {
                    "number": g.number,
                    "kind": g.kind,
                    "label": g.label,
                    "name": g.name,
                    "role": g.role,
                    "copies": len(g.uses) > 1,
                    "value": _plain(g.value),
                    "upstream": _plain(g.upstream),
                    "inputs": [
                        {
                            "from": e.source,
                            "local": None
                            if e.local is None
                            else {"kind": e.local.kind, "values": _plain(e.local.values)},
                            "downstream": _plain(e.downstream),
                        }
                        for e in g.inputs
                    ],
                }
                for g in self.gates
            ],
            "result": self.result,
        }

    def __str__(self) -> str:
        from .tree import as_text

        return as_text(self)

    def __rich__(self) -> Any:
        from .tree import render

        return render(self)


def _plain(values: Any) -> Any:
    if values is None:
        return None
    if isinstance(values, np.ndarray):
        return _plain(np.asarray(values, np.float64).tolist())
    if isinstance(values, list):
        return [_plain(v) for v in values]
    return values if math.isfinite(values) else str(values)


def differentiate(
    expression: str,
    values: Mapping[str, Any],
    *,
    upstream: Any = None,
    dtype: Any = "float64",
) -> Differentiation:
    """The value and all gradients of a formula at given values of its variables.

    The formula is text, read by `parse` and never executed as Python. A result that is
    not a single number needs its `upstream` gradient. Prints as a tree.

    >>> d = differentiate("(x + y) * max(y, z)", {"x": 1, "y": 2, "z": 0})
    >>> {name: float(g) for name, g in d.gradients.items()}
    {'x': 2.0, 'y': 5.0, 'z': 0.0}
    """
    kind = as_dtype(dtype)
    if kind not in FLOATING:
        raise ArgumentError(f"differentiate: dtype must be floating, got {kind}")
    formula = parse(expression)
    _check_names(formula, values)
    with enable_grad():
        tensors = _evaluate(formula, values, kind)
        result = tensors[formula.result]
        start = _start(formula, result, upstream)
        wanted = [t for t in tensors if t.requires_grad]
        found = grad(result, wanted, [start], retain_graph=True, allow_unused=True)
        arriving = dict(zip(wanted, found, strict=True))
        gates = []
        for number, (step, t) in enumerate(zip(formula.steps, tensors, strict=True)):
            sent = arriving.get(t)
            inputs = [tensors[i] for i in step.inputs]
            edges = _edges(step, inputs, sent)
            gates.append(
                Gate(
                    number,
                    "constant" if step.kind == "variable" and not t.requires_grad else step.kind,
                    step.label,
                    step.label if step.function is None else _gate_name(step),
                    None if step.function is None else step.function.op,
                    t.numpy(),
                    None if sent is None else sent.numpy(),
                    edges,
                )
            )
    for gate in gates:
        for which, edge in enumerate(gate.inputs):
            if edge.downstream is not None:
                gates[edge.source].uses.append((gate.number, which))
    return Differentiation(formula.text, gates, formula.result, formula.names)


def _gate_name(step: Step) -> str:
    assert step.function is not None
    return _GATE_NAMES.get(step.function.name, step.function.name)


def _check_names(formula: Expression, values: Mapping[str, Any]) -> None:
    for step in formula.steps:
        if step.kind == "variable" and step.label not in values and step.label not in CONSTANTS:
            raise ExpressionError(
                f"{step.label} has no value; add one, as in {step.label}=2",
                formula.text,
                step.column,
                step.length,
            )
    known = formula.variables
    for name in values:
        if name not in known:
            uses = f"which uses {', '.join(known)}" if known else "which uses no names"
            what = "is defined in" if name in formula.names else "does not occur in"
            raise ExpressionError(
                f"{name} {what} the expression, {uses}; leave out {name}=…",
                formula.text,
                0,
                len(formula.text),
            )


def _array(value: Any, dtype: Any, what: str, formula: Expression) -> np.ndarray:
    try:
        array = np.array(value, np.float64)
    except (ValueError, TypeError):
        array = np.empty(0)
    if array.ndim > 2 or not 0 < array.size <= MAX_ELEMENTS:
        raise ExpressionError(
            f"{what} must be a number, a vector or a matrix with at most {MAX_ELEMENTS} numbers, "
            f"got {value!r:.40}",
            formula.text,
            0,
            len(formula.text),
        )
    return array.astype(dtype)


def _evaluate(formula: Expression, values: Mapping[str, Any], dtype: Any) -> list[Tensor]:
    """The Tensor of every step, all on one tape."""
    tensors: list[Tensor] = []
    for step in formula.steps:
        if step.kind == "gate":
            inputs = [tensors[i] for i in step.inputs]
            tensors.append(_call(formula, step, inputs))
            continue
        named = step.kind == "variable" and step.label in values
        value = values[step.label] if named else step.value
        if step.kind == "variable" and not named:
            value = CONSTANTS[step.label]
        t = wrap(_array(value, dtype, step.label, formula))
        tensors.append(t.requires_grad_() if named else t)
    return tensors


def _call(formula: Expression, step: Step, inputs: list[Tensor]) -> Tensor:
    assert step.function is not None
    try:
        y = step.function.call(*inputs, **step.options)
    except BacklitError as error:
        raise _explained(formula, step, inputs, error) from None
    return positive(y) if any(y is x for x in inputs) else y


def _explained(
    formula: Expression, step: Step, inputs: list[Tensor], error: BacklitError
) -> ExpressionError:
    """An op's error in the words of the formula: its own names instead of the op's arguments."""
    message = re.sub(r" \(\w+(\[\d+\])?: \w+\[.*\)", "", str(error)).replace("mT", "T")
    labels = [formula.steps[i].label for i in step.inputs]
    shapes = ", ".join(f"{n} has shape {x.shape}" for n, x in zip(labels, inputs, strict=True))
    return ExpressionError(f"{message}; {shapes}", formula.text, step.column, step.length)


def _start(formula: Expression, result: Tensor, upstream: Any) -> Tensor:
    """The gradient that arrives at the result: 1, unless it was given."""
    text = formula.text
    if not result.requires_grad:
        raise ExpressionError(
            "there is nothing to differentiate: give at least one name a value",
            text,
            0,
            len(text),
        )
    if upstream is None:
        if result.size != 1:
            raise ExpressionError(
                f"the result must be a single number, got shape {result.shape}; "
                "reduce it with sum(…), or give its upstream gradient (--upstream)",
                text,
                0,
                len(text),
            )
        return wrap(np.ones(result.shape, result.dtype))
    array = _array(upstream, result.dtype, "upstream", formula)
    try:
        return wrap(np.array(np.broadcast_to(array, result.shape)))
    except ValueError:
        raise ExpressionError(
            f"upstream must have the result's shape {result.shape}, got {array.shape}",
            text,
            0,
            len(text),
        ) from None


def _edges(step: Step, inputs: list[Tensor], sent: Tensor | None) -> list[Edge]:
    if not any(x.requires_grad for x in inputs) or step.function is None:
        return [Edge(source, None, None) for source in step.inputs]
    alone = [x.detach().requires_grad_(x.requires_grad) for x in inputs]
    y = step.function.call(*alone, **step.options)
    active = [x for x in alone if x.requires_grad]
    downstream: dict[Tensor, Any] = {}
    if sent is not None and y.requires_grad:
        found = grad(y, active, [sent.detach()], retain_graph=True, allow_unused=True)
        downstream = dict(zip(active, found, strict=True))
    edges = []
    for source, x in zip(step.inputs, alone, strict=True):
        back = downstream.get(x)
        arrays = None if back is None else back.numpy()
        edges.append(Edge(source, _local(y, x) if x.requires_grad else None, arrays))
    return edges


def _local(y: Tensor, x: Tensor) -> Local:
    """The derivative of a gate's output for one of its inputs, in its cheapest form."""
    node = y.node
    if node is not None and isinstance(node.op, Elementwise):
        positions = [i for i, edge in enumerate(node.inputs) if edge is x]
        if len(positions) == 1:
            ones = np.ones(y.shape, y.dtype)
            alone = [ones if edge is x else None for edge in node.inputs]
            factor = step_back(node.op, ones, node.saved or (), alone, xp=NUMPY)[positions[0]]
            return Local("factor", np.array(factor))
    if y.size * x.size > MAX_JACOBIAN:
        return Local("large", None)
    rows = []
    for i in range(y.size):
        unit = np.zeros(y.size, y.dtype)
        unit[i] = 1
        row = None
        if y.requires_grad:
            (row,) = grad(
                y, [x], [wrap(unit.reshape(y.shape))], retain_graph=True, allow_unused=True
            )
        rows.append(np.zeros(x.shape, y.dtype) if row is None else row.numpy())
    return Local("jacobian", np.array(rows, y.dtype).reshape((*y.shape, *x.shape)))


__all__ = [
    "Differentiation",
    "Edge",
    "Gate",
    "Local",
    "differentiate",
]
