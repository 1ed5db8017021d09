"""What an optimizer's rule computes in one step, gate by gate, with the names that its text uses.

The rule itself is run, on a twin of the optimizer, and looked at: there is no second copy of any.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType, FunctionType
from typing import Any

import numpy as np

from ...op import Elementwise, Op
from ...ops.elementwise import Where
from ...optim import Optimizer
from ...optim.eager_step import STEP
from ...optim.twin import twin_of
from ...state import observing
from ...tensor import Tensor
from ..records.value import number

#: How names of a rule are written in its formula.
LETTERS = {
    "parameter": "θ", "grad": "g", "eps": "ε", "eps1": "ε₁", "eps2": "ε₂", "beta": "β",
    "beta1": "β₁", "beta2": "β₂", "alpha": "α", "rho": "ρ", "momentum": "μ",
    "weight_decay": "λ", "lambd": "λ", "eta": "η", "mu": "μ", "dampening": "τ", "delta": "d",
}  # fmt: skip
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
RAISED = str.maketrans("0123456789t", "⁰¹²³⁴⁵⁶⁷⁸⁹ᵗ")

#: How tightly the signs of formulas bind; what has none of them is whole.
_BINDING = {"=": 0, "≠": 0, "<": 0, "≤": 0, ">": 0, "≥": 0, "+": 1, "−": 1, "×": 2, "÷": 2, "@": 2}
_WHOLE = 9
_SPACED = {"×": "·", "÷": " / "}


@dataclass(eq=False)
class Quantity:
    """One value in a rule: a number that it is given, or what an op of it has made."""

    array: np.ndarray
    op: Op | None = None
    inputs: tuple[Any, ...] = ()  # Quantities and Python numbers
    name: str = ""
    shared: bool = False  # a coefficient, which all parameters of a group have in common


@dataclass(eq=False)
class Term:
    """A value as it is written: in letters, and with its numbers; and how tightly that binds."""

    letters: str
    numbers: str
    binds: int = _WHOLE
    numbers_bind: int = _WHOLE
    size: int = 0  # ops in it
    needs: tuple[Quantity, ...] = ()  # what has a line of its own


@dataclass(eq=False)
class Rule:
    """One step of one parameter: the values in the order of their computation."""

    steps: int
    parameter: Quantity
    grad: Quantity
    new: Quantity
    #: For each name of the state what it was, and what it is after the step.
    before: dict[str, Quantity]
    after: dict[str, Quantity]
    #: What is given: settings, by the letter that stands for them.
    settings: dict[str, Quantity]
    values: list[Quantity] = field(default_factory=list)
    #: Which of the state began at 0.
    from_zero: frozenset[str] = frozenset()


def rule_of(optimizer: Optimizer, parameter: Tensor, gradient: np.ndarray) -> Rule:
    """The next step of an optimizer for one of its parameters; both stay as they are."""
    twin, copies = twin_of(optimizer, {parameter: gradient})
    q = copies[parameter]
    ((_, state),) = twin._active(twin.param_groups[0])
    watched = _Watched(twin)
    given = {name: watched.leaf(t, name) for name, t in state.items() if name != STEP}
    theta, grad = watched.leaf(q, "θ"), watched.leaf(q.grad, "g")
    settings = {}
    for name, value in twin.param_groups[0].tensors().items():
        several = value if isinstance(value, tuple) else (value,)
        for i, t in enumerate(several):
            if isinstance(t, Tensor):
                letter = _letter(name, i if len(several) > 1 else None)
                settings[letter] = watched.leaf(t, letter)
    with watched:
        twin._step_tensors()
    after = {name: watched.made(state[name]) for name in given}
    for name, new in after.items():
        if new.op is not None:
            new.name = new.name or name
            given[name].name = new.name  # m is what the rule calls the new m
    new = watched.made(q)
    new.name = "θ"
    steps = round(float(state[STEP].array))
    begun = twin.state_for(twin.param_groups[0].floats(), q.shape)
    from_zero = frozenset(name for name, (value, _) in begun.items() if value == 0)
    return Rule(steps, theta, grad, new, given, after, settings, watched.values, from_zero)


def _letter(name: str, place: int | None = None) -> str:
    """How a setting is written: `betas`, 0 is β₁."""
    if place is None:
        return LETTERS.get(name, name)
    one = name if name in LETTERS else name.removesuffix("s")
    return LETTERS.get(one, one) + str(place + 1).translate(_SUBSCRIPTS)


class _Watched(observing):
    """A rule that is being run: every op that it applies, and what its lines call the results."""

    def __init__(self, optimizer: Optimizer):
        super().__init__(alone=True)
        self.values: list[Quantity] = []
        self._of: dict[int, Quantity] = {}
        self._last: dict[int, Quantity] = {}  # by the array
        self._kept: list[Any] = []  # so that no id is given again
        self._rule = {
            f.__code__
            for c in type(optimizer).__mro__
            if c not in Optimizer.__mro__
            for f in vars(c).values()
            if isinstance(f, FunctionType)
        }

    def _watchers(self) -> tuple[Any, ...]:
        return self._observe, None, None

    def leaf(self, t: Any, name: str) -> Quantity:
        """A value that the rule is given."""
        found = self._of[id(t)] = Quantity(t.array, name=name)
        self._last[id(t.array)] = found
        self._kept += (t, t.array)
        return found

    def made(self, t: Tensor) -> Quantity:
        """The value that a Tensor has been assigned."""
        found = self._last.get(id(t.array)) or Quantity(t.array)
        found.array = t.array  # rounded to the parameter's dtype
        return found

    def _observe(self, op: Op, inputs: tuple[Any, ...], y: Tensor) -> None:
        self._kept += (y, y.array, *inputs)
        shared = self._take_names(sys._getframe(1))
        if shared is None and any(self._is_counter(x) for x in inputs):
            self._of[id(y)] = Quantity(y.array, name="t")
            return
        given = tuple(
            self._of.setdefault(id(x), Quantity(x.array)) if isinstance(x, Tensor) else x
            for x in inputs
        )
        if op.name == "astype":  # the same number, in the dtype of the update
            made = given[0]
        else:
            made = Quantity(y.array, op, given, shared=bool(shared))
            self.values.append(made)
        self._of[id(y)] = self._last[id(y.array)] = made

    def _is_counter(self, x: Any) -> bool:
        known = self._of.get(id(x))
        return known is not None and known.name == "t"

    def _take_names(self, frame: FrameType | None) -> bool | None:
        """Note what the rule's variables hold; whether coefficients are made, None outside it."""
        shared = None
        for f in _frames(frame):
            if f.f_code.co_name == "_step_tensors":
                counter = f.f_locals.get("counter")
                if isinstance(counter, Tensor) and id(counter) not in self._of:
                    self.leaf(counter, "t")
                elif isinstance(counter, Tensor):
                    self._of[id(counter)].array = counter.array
                return shared
            if f.f_code not in self._rule:
                continue
            shared = shared or f.f_code.co_name == "coefficients"
            for name, x in f.f_locals.items():
                known = self._of.get(id(x)) if isinstance(x, Tensor) else None
                if known is not None and known.op is not None:
                    known.name = known.name or LETTERS.get(name, name)
        return shared


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


# -- how it is written ----------------------------------------------------------------------------


def written(rule: Rule, index: tuple[int, ...]) -> list[tuple[Quantity, Term]]:
    """The lines of a rule for one element of the parameter: what each is, and what it is made of.

    Left out are lines that the new parameter and state do not depend on.
    """
    _apart(rule)
    taken = {q.name for q in (*rule.settings.values(), rule.parameter, rule.grad)} | {"t"}
    terms: dict[Quantity, Term] = {}
    lines: dict[Quantity, Term] = {}
    states = {*rule.after.values(), rule.new}

    def term(x: Any) -> Term:
        if not isinstance(x, Quantity):
            text = number(float(x))
            binds = 1 if text.startswith("−") else _WHOLE
            return Term(text, text, binds, binds)
        if x in terms:
            return terms[x]
        return _named(x, x.name or _value(x.array, index), index)

    for q in rule.values:
        own = _applied(q, [term(x) for x in q.inputs], index)
        short = (q.shared and own.size <= 1) or own.letters == q.name or not q.inputs
        if short and q not in states:
            q.name = ""
        if q.shared and q.name in taken:  # 1 - lr λ is not λ
            q.name = next((n for n, letter in LETTERS.items() if letter == q.name), q.name)
        if q.name:
            lines[q] = own
            terms[q] = _named(q, q.name, index)
            terms[q].needs = (q,)
        else:
            terms[q] = own
    wanted, pending = set(), [q for q in states if q in lines]
    while pending:
        q = pending.pop()
        if q not in wanted:
            wanted.add(q)
            pending.extend(lines[q].needs)
    return [(q, t) for q, t in lines.items() if q in wanted and t.letters != q.name]


def _apart(rule: Rule) -> None:
    """Give a value in between a name of its own where its name is read for another value.

    That is the old state that is still to be used, or the new one: `step ← μ·step + step`.
    """
    states = {*rule.after.values(), rule.new}
    latest = {q.name: q for q in (*rule.before.values(), rule.parameter, rule.grad)}

    def read(q: Quantity) -> None:
        other = latest.get(q.name)
        if not q.name or other is None or other is q:
            return
        between = next((x for x in (other, q) if x.op is not None and x not in states), None)
        if between is not None and not between.shared:
            while between.name in latest:
                between.name += "′"
            latest[between.name] = between
            latest[q.name] = q

    for q in rule.values:
        for x in q.inputs:
            if isinstance(x, Quantity):
                read(x)
        if q.name:
            latest[q.name] = q
    for q in states:
        read(q)


def _named(q: Quantity, name: str, index: tuple[int, ...]) -> Term:
    value = _value(q.array, index)
    return Term(name, value, numbers_bind=1 if value.startswith("−") else _WHOLE)


def _value(array: np.ndarray, index: tuple[int, ...]) -> str:
    found = element(array, index)
    return number(found, 5) if found is not None else f"[{'×'.join(map(str, array.shape))}]"


def element(array: np.ndarray, index: tuple[int, ...]) -> float | None:
    """The element of an array that has to do with one of the parameter; None if none has.

    >>> element(np.array([[1.0], [2.0]]), (1, 5)), element(np.ones((3, 3)), (4, 0)) is None
    (2.0, True)
    """
    array = np.asarray(array)
    if array.size == 1:
        return float(array.reshape(-1)[0])
    if array.ndim != len(index):
        return None
    place = tuple(0 if n == 1 else i for n, i in zip(array.shape, index, strict=True))
    inside = all(i < n for n, i in zip(array.shape, place, strict=True))
    return float(array[place]) if inside else None


def _applied(q: Quantity, given: list[Term], index: tuple[int, ...]) -> Term:
    """An op applied to what is written."""
    op = q.op
    assert op is not None
    needs = tuple(n for t in given for n in t.needs)
    size = 1 + sum(t.size for t in given)
    if op.name in ("reshape", "broadcast_to") and len(given) == 1:
        same = given[0]
        return Term(same.letters, same.numbers, same.binds, same.numbers_bind, same.size, needs)
    if isinstance(op, Where):
        condition = q.inputs[0]
        holds = element(np.asarray(getattr(condition, "array", condition)), index)
        return given[1 if holds else 2] if holds is not None else given[1]
    if not given:
        value = _value(q.array, index)
        return Term(value, value)
    twice = len(given) == 2 and q.inputs[0] is q.inputs[1] and op.symbol == "×"
    letters, binds = _formula(op, [(t.letters, t.binds) for t in given], twice)
    numbers, numbers_bind = _value(q.array, index), _WHOLE
    if isinstance(op, Elementwise):
        numbers, numbers_bind = _formula(op, [(t.numbers, t.numbers_bind) for t in given], twice)
    return Term(letters, numbers, binds, numbers_bind, size, needs)


def _formula(op: Op, given: list[tuple[str, int]], twice: bool) -> tuple[str, int]:
    """An op as a formula of texts, and how tightly it binds."""

    def inside(i: int, least: int) -> str:
        text, binds = given[i]
        bare = binds >= least and not (i and text.startswith("−"))
        return text if bare else f"({text})"

    symbol = op.symbol or op.name
    if twice:
        return f"{inside(0, _WHOLE)}²", _WHOLE
    if len(given) == 2 and symbol == "xⁿ":
        exponent = given[1][0].translate(RAISED)
        raised = all(c in "⁰¹²³⁴⁵⁶⁷⁸⁹ᵗ" for c in exponent)
        return f"{inside(0, _WHOLE)}{exponent if raised else '^' + inside(1, _WHOLE)}", _WHOLE
    if len(given) == 2 and symbol in _BINDING:
        binds = _BINDING[symbol]
        right = inside(1, binds + (symbol in "−÷"))
        return f"{inside(0, binds)}{_SPACED.get(symbol, f' {symbol} ')}{right}", binds
    if len(given) == 1 and symbol == "−x":
        return f"−{inside(0, 2)}", 1
    if len(given) == 1 and "x" in symbol and symbol.isprintable() and len(symbol) <= 3:
        text = given[0][0] if symbol == "|x|" else inside(0, _WHOLE)
        return symbol.replace("x", text), _WHOLE
    if len(given) == 1 and symbol == "Σ":
        return f"Σ{inside(0, _WHOLE)}", _WHOLE
    return f"{symbol}({', '.join(t for t, _ in given)})", _WHOLE
