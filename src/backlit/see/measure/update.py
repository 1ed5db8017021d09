"""An optimizer's next step under the microscope: its formulas with the numbers in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from ...dtypes import FLOATING
from ...errors import ArgumentError
from ...nn import Module
from ...optim import Optimizer
from ...table import Table
from ...tensor import Tensor, wrap
from ..records.value import number
from ..show.notebook import tensor_html
from ..told import preformatted
from .rule import RAISED, Quantity, Rule, element, rule_of, written

#: Of a parameter with more elements all of them are looked at together, too.
FEW = 4


@dataclass(frozen=True)
class Line:
    """One line of a rule: `m = β₁·m + (1 − β₁)·g = 0.9·0 + 0.1·2 = 0.2`.

    Where the name had a value before, `renewed`, an arrow stands in place of the first sign.
    """

    name: str
    formula: str
    numbers: str
    value: float | None
    renewed: bool = False

    def __str__(self) -> str:
        sign = "←" if self.renewed else "="
        parts = [self.formula]
        if self.value is None or self.numbers != number(self.value, 5):
            parts.append(self.numbers)
        if self.value is not None:
            parts.append(number(self.value, 6))
        return f"{self.name} {sign} {' = '.join(dict.fromkeys(parts))}"


@dataclass(frozen=True)
class Average:
    """A part of the state that is an exponentially weighted average which began at 0.

    `weights` is what its weights add up to so far, 1 - βᵗ; `corrected` the average divided by it.
    `used`: whether the rule divides by that, or works with the smaller number.
    """

    name: str
    beta: float
    step: int
    weights: float
    corrected: float | None
    used: bool

    @property
    def hat(self) -> str:
        """What the corrected average is called: `m̂`."""
        return f"{self.name}̂" if len(self.name) == 1 else f"{self.name} corrected"

    def __str__(self) -> str:
        does = "divides by that" if self.used else "does not divide by that"
        value = "" if self.corrected is None else f": {self.hat} = {number(self.corrected, 6)}"
        power = f"{number(self.beta)}{str(self.step).translate(RAISED)}"
        return (
            f"bias of {self.name}: its weights add up to 1 − {power} = {number(self.weights, 6)}"
            f"{value}; the rule {does}"
        )


class Update:
    """One step of an optimizer for one parameter, taken apart for one of its elements.

    `lines` are the rule's own, with their numbers; `averages` what bias correction makes of the
    state. `grad`, `before`, `after`, `state_before`, `state_after` and `change` have the numbers of
    all elements. Prints as text; a notebook shows the whole parameter, too.
    """

    def __init__(self, optimizer: Optimizer, rule: Rule, name: str, index: tuple[int, ...]):
        self.optimizer = type(optimizer).__name__
        self.step = rule.steps
        self.index = index
        #: What the element is called.
        self.label = f"{name}[{', '.join(map(str, index))}]" if index else name
        self.before, self.after, self.grad = (
            q.array for q in (rule.parameter, rule.new, rule.grad)
        )
        self.change = self.after.astype(np.float64) - self.before.astype(np.float64)
        #: The state by the letters that the rule has for it: m, v.
        self.state_before = {q.name: q.array for q in rule.before.values()}
        self.state_after = {rule.before[n].name: q.array for n, q in rule.after.items()}
        self.lines = _lines(rule, index)
        self.averages = _averages(rule, self.lines, index)

    def element(self, name: str) -> float | None:
        """A number of the element that is looked at: "g", "θ", "step", or a letter of the state.

        With a hat, "m̂" or "v̂", an average of the state corrected for its bias.
        """
        for average in self.averages:
            if name == average.hat:
                return average.corrected
        found = {"g": self.grad, "θ": self.after, "step": self.change, **self.state_after}
        if name not in found:
            raise ArgumentError(f"Update: there are {', '.join(found)}, got {name!r}")
        return element(found[name], self.index)

    def table(self) -> Table:
        """The whole parameter: for each quantity the smallest, the middle and the largest size."""
        rows = []
        averages = (a for a in self.averages if a.weights)
        corrected = {a.hat: self.state_after[a.name] / a.weights for a in averages}
        shown = {"g": self.grad, **self.state_after, **corrected, "step": self.change}
        for name, array in {**shown, "θ": self.after}.items():
            if np.size(array):
                size = np.abs(np.asarray(array, np.float64))
                middle = [float(f(size)) for f in (np.min, np.median, np.max)]
                here = element(array, self.index)
                rows.append([name, *(number(v) for v in middle), number(here)])
        return Table(["", "smallest", "median", "largest", self.label], rows)

    def __str__(self) -> str:
        head = f"{self.optimizer}, step {self.step}, {self.label}"
        grad = element(self.grad, self.index)
        lines = [head, f"  g = {number(grad, 6)}", *(f"  {line}" for line in self.lines)]
        change = element(self.change, self.index)
        lines.append(f"  step {number(change, 6)}{self._rate(change, grad)}")
        lines += [f"  {average}" for average in self.averages]
        if self.before.size > FEW:
            whole = f"all {self.before.size:,} elements, by size:"
            lines += [whole, *(f"  {line}" for line in str(self.table()).splitlines())]
        return "\n".join(lines)

    def _rate(self, change: float | None, grad: float | None) -> str:
        if not grad or change is None or not math.isfinite(change / grad):
            return ""
        return f" = −{number(-change / grad, 4)} · g" if change * grad <= 0 else ""

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The text, and beneath it the gradient, the state and the step of all elements."""
        text = str(self).partition("\nall ")[0]
        parts = [preformatted(escape(text))]
        if self.before.size > FEW:
            found = {"g": self.grad, **self.state_after, "step": self.change, "θ": self.after}
            for name, array in found.items():
                t = wrap(np.asarray(array))
                t.name = name
                parts.append(tensor_html(t))
        return f"<div>{''.join(parts)}</div>"


def update(
    optimizer: Optimizer, parameter: Tensor, element: int | Sequence[int] | None = None
) -> Update:
    """The next step of an optimizer for one parameter: every line of its rule with its numbers.

    Nothing is changed: the rule is run beside the training, on copies, from the gradient and the
    state that are there. Works with every optimizer that has an `update`, also your own. `element`
    is the place of one number in the parameter, by default that of the largest gradient.

    >>> from backlit import optim, tensor
    >>> w = tensor(3.0, requires_grad=True, dtype="float64")
    >>> optimizer = optim.SGD([w], lr=0.1, momentum=0.9)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> update(optimizer, w)
    SGD, step 2, parameter
      g = 6
      v ← μ·v + g = 0.9·6 + 6 = 11.4
      θ ← θ − lr·v = 2.4 − 0.1·11.4 = 1.26
      step −1.14 = −0.19 · g
    """
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError(
            f"update: needs an optimizer of backlit.optim, got {type(optimizer).__name__}"
        )
    if optimizer._own_step():
        raise ArgumentError(
            f"update: {type(optimizer).__name__} must have an update for one parameter, but has a "
            "step of its own; see.descend follows its way"
        )
    params = [p for g in optimizer.param_groups for p in g["params"]]
    if not isinstance(parameter, Tensor) or not any(p is parameter for p in params):
        own: Any = parameter.named_parameters() if isinstance(parameter, Module) else ()
        names = ", ".join(n for n, _ in own)
        raise ArgumentError(
            f"update: the parameter must be one of the {len(params)} of this optimizer, got "
            f"{_called(parameter)}{f'; give one of its own: {names}' if names else ''}"
        )
    if parameter.grad is None:
        raise ArgumentError(
            f"update: the parameter ({_called(parameter)}) must have a gradient, but has none; "
            "call loss.backward() first, and look before optimizer.step()"
        )
    return taken_apart(optimizer, parameter, parameter.grad.numpy(), element)


def taken_apart(
    optimizer: Optimizer,
    parameter: Tensor,
    gradient: np.ndarray,
    at: int | Sequence[int] | None = None,
    name: str = "",
) -> Update:
    """The next step with a given gradient: see `update`."""
    if at is None:
        size = np.abs(np.where(np.isfinite(gradient), gradient, 0))
        index = tuple(map(int, np.unravel_index(int(size.argmax()), gradient.shape)))
    else:
        index = (at,) if isinstance(at, int) else tuple(at)
        shape = parameter.shape
        if len(index) != len(shape) or not all(
            -n <= i < n for i, n in zip(index, shape, strict=True)
        ):
            raise ArgumentError(f"update: element must be a place in shape {shape}, got {at!r}")
        index = tuple(i % n for i, n in zip(index, shape, strict=True))
    rule = rule_of(optimizer, parameter, gradient)
    return Update(optimizer, rule, name or parameter.name or "parameter", index)


def _called(p: Any) -> str:
    if isinstance(p, Tensor) and p.dtype in FLOATING:
        return f"{p.dtype.name}[{','.join(map(str, p.shape))}]"
    return type(p).__name__


def _lines(rule: Rule, index: tuple[int, ...]) -> list[Line]:
    known = {"θ", "g", *(q.name for q in rule.before.values())}
    lines = []
    for q, t in written(rule, index):
        value = element(q.array, index)
        lines.append(Line(q.name, t.letters, t.numbers, value, q.name in known))
        known.add(q.name)
    return lines


def _averages(rule: Rule, lines: list[Line], index: tuple[int, ...]) -> list[Average]:
    """The parts of the state that are made as β s + (1 - β) x, from 0."""
    found = []
    for name, new in rule.after.items():
        old = rule.before[name]
        weight = _weight(old, new)
        if weight is not None and name in rule.from_zero:
            beta = float(weight.array)
            weights = 1 - beta**rule.steps
            value = element(new.array, index)
            corrected = value / weights if value is not None and weights else None
            used = any(f"{weight.name}ᵗ" in line.formula for line in lines)
            found.append(Average(old.name, beta, rule.steps, weights, corrected, used))
    return found


def _weight(old: Quantity, new: Quantity) -> Quantity | None:
    """β, if the new value is β times the old one and (1 - β) times something."""
    if new.op is None or new.op.symbol != "+":
        return None
    products = [q for q in new.inputs if isinstance(q, Quantity) and q.op is not None]
    if len(products) != 2 or any(q.op is None or q.op.symbol != "×" for q in products):
        return None
    if not any(x is old for x in products[0].inputs):
        products.reverse()
    kept, added = (
        [x for x in q.inputs if isinstance(x, Quantity) and x.array.ndim == 0] for q in products
    )
    if not any(x is old for x in products[0].inputs):
        return None
    for beta in (x for x in kept if x is not old):
        if any(abs(float(beta.array) + float(rest.array) - 1) < 1e-6 for rest in added):
            return beta
    return None
