"""Is this gradient right, and if not, why? Numeric against analytic, with ranked explanations.

An op is checked in four stages, a model node by node in the same way:

1. `experiment` gathers what the backward returns and what it should: `numeric` measures that.
2. `judge` compares them. Where they differ and the text of the backward can be read (`source`),
   `repairs` looks for the one change of it (`edits_of_text`, `edits_of_places`, `edits_of_values`)
   with which the gradients are right: that is the cause, at its line.
3. `causes` looks for mistakes that predict the wrong numbers (`case` is one wrong gradient, with
   the table of mistakes and their ranks), in the order of `causes.STAGES`, until some fit: `simple`
   (signs, constants, axes), `factors` (made of `quantities`), then those inside the forward's body,
   which `unfold` runs step by step (on `probe`s where it is written with NumPy): `families`
   (softmaxes and normalisations), `paths` (a rule broken), `insides` (another derivative, operand
   or factor); and `last_resorts` (exchanges). Where nothing fits, `pattern` says what is known.
4. `report` is the result. `model` does it all for each op of a model, then for the whole.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...dtypes import FLOATING
from ...errors import ArgumentError, DTypeError
from ...gates import Gate, as_op, is_gate
from ...nn.module import Module
from ...op import Op, describe
from ...tensor import Tensor
from .case import KINDS, Cause
from .experiment import Experiment
from .held import modules_of
from .judge import check_op, judge
from .model import check_function
from .report import CORRECT, UNDECIDED, WRONG, CheckResult

__all__ = [
    "CORRECT",
    "KINDS",
    "UNDECIDED",
    "WRONG",
    "Cause",
    "CheckResult",
    "Experiment",
    "check",
    "judge",
]


def check(
    subject: Any,
    *inputs: Any,
    loss: Callable[..., Tensor] | None = None,
    seed: int = 0,
) -> CheckResult:
    """Compare the gradients of an op, a layer, a function or a whole model with differences.

    `subject` is an Op (or its class), a gate written with NumPy (an object with `forward(x)` and
    `backward(dz)`, or a pair of functions: see `backlit.apply`), a Module, or a function of
    Tensors. Everything is compared in float64, at the given inputs and near them, with random
    upstream gradients. A wrong backward is explained: the result's `causes` are the mistakes that
    predict every wrong number, the simplest first. Kinks, low precision and randomness are named in
    `notes` and never blamed on the code.

    With `loss` the last input is the target: what is checked is loss(subject(*others), target).

    >>> from backlit import Elementwise
    >>> class Cube(Elementwise):
    ...     saves = ("x",)
    ...     def forward(self, xp, x):            return x * x * x
    ...     def backward(self, xp, grad_y, x):   return grad_y * 2 * x * x
    >>> result = check(Cube, [1.0, 2.0, 3.0])
    >>> result.ok, result.causes[0].kind
    (False, 'constant')
    """
    if isinstance(subject, type) and issubclass(subject, Op):
        subject = subject()
    elif not isinstance(subject, Module) and is_gate(subject):
        subject = as_op(subject, "check")
    if isinstance(subject, Op):
        if not inputs:
            raise ArgumentError(
                f"check: {subject.name} needs an input for each of "
                f"({', '.join(subject.parameters)}), got none; "
                f"check(op, {', '.join('array' for _ in subject.parameters)})"
            )
        arrays = [_array(subject, i, x) for i, x in enumerate(inputs)]
        note = _in_fractions(inputs, arrays) if isinstance(subject, Gate) else ""
        result = check_op(subject, arrays, seed=seed)
        result.notes += [note] * bool(note)
        return result
    if isinstance(subject, type) or not callable(subject):
        kind = subject.__name__ if isinstance(subject, type) else type(subject).__name__
        raise ArgumentError(
            f"check: the subject must be an op, a module or a function, got {kind}; "
            "give an instance"
        )
    if loss is None or len(inputs) > 1:
        _fits(subject, inputs if loss is None else inputs[:-1])
    modules = modules_of(subject, loss)
    name = getattr(subject, "__name__", type(subject).__name__)
    function = subject
    if loss is not None:
        if len(inputs) < 2:
            raise ArgumentError(
                f"check: with a loss the inputs end with the target, got {len(inputs)} input(s); "
                "check(model, x, target, loss=...)"
            )

        def with_loss(*arguments: Any) -> Tensor:
            return loss(subject(*arguments[:-1]), arguments[-1])

        with_loss.modules = modules  # type: ignore[attr-defined]
        function = with_loss
    return check_function(function, inputs, name=name, modules=modules, seed=seed)


def _array(op: Op, i: int, x: Any) -> Any:
    if isinstance(x, Tensor):
        x = x.numpy()
    if isinstance(x, list | tuple):
        x = np.asarray(x)
    if isinstance(x, np.ndarray) and x.dtype.kind not in "fiub" and x.dtype not in FLOATING:
        raise DTypeError(f"check: input {i} of {op.name} must be numbers, got {describe(x)}")
    return x


def _in_fractions(inputs: Sequence[Any], arrays: list[Any]) -> str:
    """Make float64 of whole numbers that stand in lists, where nothing else is floating, and say
    so. Whole numbers in an array are labels or indices.
    """
    if any(np.asarray(a).dtype in FLOATING for a in arrays):
        return ""
    listed = [i for i, x in enumerate(inputs) if isinstance(x, list | tuple | int)]
    for i in listed:
        arrays[i] = np.asarray(arrays[i], np.float64)
    if listed:
        return "the whole numbers are taken as float64: no input has a fraction"
    return "whole numbers in an array are labels or indices: write [1.0, 2.0] for what has a slope"


def _fits(subject: Any, inputs: Sequence[Any]) -> None:
    """Raise if a call cannot take so many inputs."""
    function = subject.forward if isinstance(subject, Module) else subject
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # a function that does not tell
    try:
        signature.bind(*inputs)
    except TypeError as error:
        name = getattr(subject, "__name__", type(subject).__name__)
        raise ArgumentError(
            f"check: {name} cannot be called with {len(inputs)} inputs: {error}; give them after "
            "it, as in check(model, x)"
        ) from None
