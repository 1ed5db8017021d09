"""A loop in a graph: the graph of one step, and the op that takes a result of all steps.

    carry, y[t] = step(constants, carry, x[t])      t = 0, 1, …, length - 1, or from the last

An equation defines one variable, so a loop with several results is several equations of one body
and the same inputs. Whoever runs them runs the loop once for all: `plan.loop` natively, another
executor with what it has for loops.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ...dtypes import DType, bool_
from ...op import Op, Shape
from .checks import Require
from .evaluate import interpret
from .graph import Equation, Graph, Variable, letters


class Part(NamedTuple):
    """A result of a loop."""

    #: "final": a carried value after the last step; "stack": a value of every step along a new
    #: first axis; "checks": only that no step has found a value that it refuses.
    kind: str
    #: Of which carried value, or which of the body's variables.
    number: int = 0


#: The part of those that want nothing but the checks.
CHECKS = Part("checks")


class Needed(NamedTuple):
    """What some parts need of a body: of the carried values, inputs and constants the numbers."""

    carry: list[int]
    xs: list[int]
    constants: list[int]
    equations: list[Equation]
    #: The variables that are stacked.
    stacked: list[Variable]


@dataclass(eq=False)
class Body:
    """One step of a loop, and how often and in which direction it is done.

    The inputs of a loop are its constants, which are variables of the graph outside, what its
    carried values begin with, and what it takes one slice of a step, along the first axis.
    """

    constants: list[Variable]
    carry: list[Variable]
    xs: list[Variable]
    equations: list[Equation]
    following: list[Variable]  # the carried values after the step
    length: int
    reverse: bool
    numbers: dict[Variable, int] = field(init=False)

    def __post_init__(self) -> None:
        order = [*self.constants, *self.carry, *self.xs, *(e.output for e in self.equations)]
        self.numbers = {v: i for i, v in enumerate(order)}

    @cached_property
    def variables(self) -> list[Variable]:
        """What a step knows or makes, by number."""
        return list(self.numbers)

    @cached_property
    def made(self) -> dict[Variable, Equation]:
        """What a step makes."""
        return {e.output: e for e in self.equations}

    @cached_property
    def fixed(self) -> set[Variable]:
        """What is the same in every step: the constants, and what is made of nothing else."""
        fixed = set(self.constants)
        for e in self.equations:
            if all(x in fixed for x in e.inputs if isinstance(x, Variable)):
                fixed.add(e.output)
        return fixed

    @property
    def checks(self) -> bool:
        """Whether a step checks values."""
        return any(is_check(e.op) for e in self.equations)

    def needed(self, parts: Iterable[Part]) -> Needed:
        """What of the body some of its results need: others need not be computed."""
        wanted = list(dict.fromkeys(parts))
        stacked = [self.variables[p.number] for p in wanted if p.kind == "stack"]
        carried = {p.number for p in wanted if p.kind == "final"}
        place = {v: i for i, v in enumerate(self.carry)}
        while True:
            needed = {*stacked, *(self.following[i] for i in carried)}
            kept = []
            for e in reversed(self.equations):
                if e.output in needed or is_check(e.op):
                    kept.append(e)
                    needed.update(x for x in e.inputs if isinstance(x, Variable))
            more = {place[v] for v in needed if v in place}
            if more <= carried:
                break
            carried |= more
        xs = [i for i, v in enumerate(self.xs) if v in needed]
        constants = [i for i, v in enumerate(self.constants) if v in needed]
        return Needed(sorted(carried), xs, constants, kept[::-1], stacked)

    def renumbered(self, part: Part, before: Body) -> Part:
        """The part of this body that is one of another, of which it is what is needed."""
        if part.kind == "stack":
            return Part("stack", self.numbers[before.variables[part.number]])
        if part.kind == "final":
            return Part("final", self.carry.index(before.carry[part.number]))
        return part

    def narrowed(self, needed: Needed) -> Body:
        """The loop of nothing but that."""
        constants, carry, xs = self.chosen(needed, [*self.constants, *self.carry, *self.xs])
        following = [self.following[i] for i in needed.carry]
        return Body(constants, carry, xs, needed.equations, following, self.length, self.reverse)

    def chosen(self, needed: Needed, inputs: Sequence[Any]) -> tuple[list, list, list]:
        """Of a loop's inputs the constants, first values and slices that are needed."""
        first = len(self.constants)
        second = first + len(self.carry)
        return (
            [inputs[i] for i in needed.constants],
            [inputs[first + i] for i in needed.carry],
            [inputs[second + i] for i in needed.xs],
        )

    def places(self) -> list[int]:
        """The slices in the order in which the steps take them."""
        order = list(range(self.length))
        return order[::-1] if self.reverse else order

    def graph(self) -> Graph:
        """One step as a graph, to be printed."""
        inputs = [*self.constants, *self.carry, *self.xs]
        return Graph(inputs, self.equations, self.following)


class Scan(Op):
    """One result of a loop; see `Body`.

        final: float32[N,H]     stack: float32[T,N,H]     of T steps that carry float32[N,H]

    It is printed with the letter of the variable in the body, and the body below the first of them.
    """

    attributes = ("body", "part")
    primitive = True
    exact = True  # what rounds are the ops of its body, each its own result
    body: Body
    part: Part

    def __repr__(self) -> str:
        kind, number = self.part
        if kind == "final":
            number += len(self.body.constants)
        what = kind if kind == "checks" else f"{kind} {letters(number)}"
        return f"scan({what}, length={self.body.length}{', reverse' if self.body.reverse else ''})"

    def forward(self, xp: Any, *inputs: Any) -> Any:
        """Definition: step after step, as far as this result needs them."""
        body, kind = self.body, self.part.kind
        needed = body.needed([self.part])
        constants, carried, xs = body.chosen(needed, inputs)
        graph = Graph(
            [body.constants[i] for i in needed.constants]
            + [body.carry[i] for i in needed.carry]
            + [body.xs[i] for i in needed.xs],
            needed.equations,
            [body.following[i] for i in needed.carry] + needed.stacked,
        )
        shape, dtype = self.infer()
        stack = np.empty(shape, dtype)
        for place in body.places():
            values = interpret(graph, [*constants, *carried, *(x[place] for x in xs)])
            carried = values[: len(carried)]
            if kind == "stack":
                stack[place] = values[-1]
        if kind == "final":
            return carried[needed.carry.index(self.part.number)]
        return stack if kind == "stack" else np.asarray(True)

    def infer(self, *inputs: Any) -> tuple[Shape, DType]:
        """As the body says."""
        kind, number = self.part
        if kind == "checks":
            return (), bool_
        if kind == "final":
            return self.body.carry[number].shape, self.body.carry[number].dtype
        v = self.body.variables[number]
        return (self.body.length, *v.shape), v.dtype


def is_check(op: Op) -> bool:
    """Whether an equation is there for what it finds wrong, not for its value."""
    return isinstance(op, Require) or (isinstance(op, Scan) and op.part == CHECKS)


def belongs_to_step(v: Variable, equations: Sequence[Equation]) -> bool:
    """Whether a variable is one of a step of these equations' loops, or of loops in them."""
    pending = [*equations]
    seen: set[Body] = set()
    for e in pending:  # which grows meanwhile
        if isinstance(e.op, Scan) and e.op.body not in seen:
            seen.add(e.op.body)
            if v in e.op.body.numbers and v not in e.op.body.constants:
                return True
            pending += e.op.body.equations
    return False
