"""Making a record of a formula typed as text: its steps are run one by one and watched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ...array_api import positive
from ...autograd import enable_grad
from ...dtypes import as_dtype
from ...errors import ArgumentError, BacklitError
from ...state import STATE
from ...tensor import Tensor, wrap
from ..records.from_block import recording
from ..records.model import Record
from ..records.parts import NodeRecord
from ..records.value import number
from .language import CONSTANTS, MAX_ELEMENTS, Expression, ExpressionError, Function, Step


class Evaluated(NamedTuple):
    """A formula that was computed: its record, and where in it each of its steps is."""

    record: Record
    tensors: list[Tensor]
    #: None for a variable that nothing is computed from.
    nodes: list[NodeRecord | None]


def evaluate(
    formula: Expression, values: Mapping[str, Any], upstream: Any = None, dtype: Any = "float64"
) -> Evaluated:
    """Compute a formula at given values of its variables, and its gradients if it has some.

    A result that is not a single number has them only with its `upstream` gradient.

    >>> from backlit.see.formula.language import parse
    >>> record = evaluate(parse("q = x + y; q * z"), {"x": -2, "y": 5, "z": -4}).record
    >>> [(n.label, n.value.item(), n.upstream.item()) for n in record][2:]
    [('q', 3.0, -4.0), ('z', -4.0, 3.0), ('multiply_4', -12.0, 1.0)]
    """
    if STATE.execution.captures:
        raise ArgumentError(
            "formula: a function that is being captured has no values to compute it with; take "
            "the formula's gradients outside of it"
        )
    _check_names(formula, values)
    tensors: list[Tensor] = []
    with enable_grad(), recording() as watched:
        for step in formula.steps:
            if step.function is None:
                value = values.get(step.label, CONSTANTS.get(step.label, step.value))
                t = wrap(_array(value, dtype, step.label, formula))
                t.requires_grad_(step.label in values)
                t.name = number(step.value) if isinstance(step.value, int | float) else step.label
            else:
                t = _call(formula, step, step.function, [tensors[i] for i in step.inputs])
            tensors.append(t)
        result = tensors[formula.result]
        if formula.steps[formula.result].function is None:
            result = positive(result)  # what is recorded is ops
    watched.add_names({name: tensors[i] for name, i in formula.names.items()})
    if result.requires_grad:
        record = watched.of(result, _seed(formula, result, upstream))
    else:
        record = watched.record
    for node in record.nodes:
        node.file, node.line = "", 0  # a formula has no source lines
    return Evaluated(record, tensors, [record.node_of(t) for t in tensors])


def _check_names(formula: Expression, values: Mapping[str, Any]) -> None:
    for step in formula.steps:
        if step.kind == "variable" and step.label not in values and step.label not in CONSTANTS:
            raise formula.error(f"{step.label} has no value; add one, as in {step.label}=2", step)
    known = formula.variables
    for name in values:
        if name not in known:
            uses = f"which uses {', '.join(known)}" if known else "which uses no names"
            what = "is defined in" if name in formula.names else "does not occur in"
            raise formula.error(f"{name} {what} the expression, {uses}; leave out {name}=…")


def _array(value: Any, dtype: Any, what: str, formula: Expression) -> np.ndarray:
    try:
        array = np.array(value, np.float64)
    except (ValueError, TypeError):
        array = np.empty(0)
    if array.ndim > 2 or not 0 < array.size <= MAX_ELEMENTS:
        raise formula.error(
            f"{what} must be a number, a vector or a matrix with at most {MAX_ELEMENTS} numbers, "
            f"got {value!r:.40}"
        )
    return array.astype(as_dtype(dtype))


def _call(formula: Expression, step: Step, function: Function, inputs: list[Tensor]) -> Tensor:
    try:
        return function.call(*inputs, **step.options)
    except BacklitError as error:
        raise _explained(formula, step, inputs, error) from None


def _explained(
    formula: Expression, step: Step, inputs: list[Tensor], error: BacklitError
) -> ExpressionError:
    """An op's error in the words of the formula: its own names instead of the op's arguments."""
    message = re.sub(r" \(\w+(\[\d+\])?: \w+\[.*\)", "", str(error))
    labels = [formula.steps[i].label for i in step.inputs]
    shapes = ", ".join(f"{n} has shape {x.shape}" for n, x in zip(labels, inputs, strict=True))
    return formula.error(f"{message}; {shapes}", step)


def _seed(formula: Expression, result: Tensor, upstream: Any) -> Tensor | None:
    """The gradient that was given for the result, in the result's shape."""
    if upstream is None:
        return None
    array = _array(upstream, result.dtype, "upstream", formula)
    try:
        return wrap(np.array(np.broadcast_to(array, result.shape)))
    except ValueError:
        raise formula.error(
            f"upstream must have the result's shape {result.shape}, got {array.shape}"
        ) from None
