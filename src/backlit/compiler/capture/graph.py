"""The captured graph: typed equations in order, printable, checkable, and executable by anyone.

a: float32[2,3], b: float32[3]            inputs
c: float32[2] = matmul a b                equations
return c                                  outputs
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ...dtypes import DType
from ...errors import ShapeError
from ...op import Op, Shape
from ...tape import Node


class Variable:
    """An abstract array: a shape and a dtype, defined by an input or one equation."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: Shape, dtype: DType):
        self.shape = shape
        self.dtype = dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The size in bytes."""
        return self.size * self.dtype.itemsize

    def __repr__(self) -> str:
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"


@dataclass(eq=False, slots=True)
class Equation:
    """`output = op(inputs)`. Inputs are Variables and Python numbers.

    `site` knows the user's line and module. In a backward pass it is the forward's node, and
    `backward` names the op that is being differentiated.
    """

    op: Op
    inputs: tuple[Any, ...]
    output: Variable
    site: Node
    backward: str | None = None

    @property
    def location(self) -> str:
        """`file.py:12, in Net.fc1`, in a backward pass with the op that is differentiated."""
        return self.site.location + (f", backward of {self.backward}" if self.backward else "")


@dataclass(eq=False)
class Graph:
    """Equations in an order in which each uses only what was defined before."""

    inputs: list[Variable]
    equations: list[Equation]
    outputs: list[Variable]
    constants: dict[Variable, Any] = field(default_factory=dict)

    def names(self) -> dict[Variable, str]:
        """A short name for each variable, in the order of definition."""
        order = [*self.inputs, *self.constants, *(e.output for e in self.equations)]
        return {v: letters(i) for i, v in enumerate(dict.fromkeys(order))}

    def check(self) -> None:
        """Raise unless every variable is defined once, before its use, with its op's type."""
        defined = {*self.inputs, *self.constants}
        if len(defined) != len(self.inputs) + len(self.constants):
            raise ShapeError("graph: an input is listed twice")
        for number, e in enumerate(self.equations):
            for x in e.inputs:
                if isinstance(x, Variable) and x not in defined:
                    raise ShapeError(
                        f"graph: equation {number} ({e.op}) uses an undefined variable"
                    )
            if e.output in defined:
                raise ShapeError(f"graph: equation {number} ({e.op}) defines a variable again")
            shape, dtype = e.op.infer(*e.inputs)
            if (shape, dtype) != (e.output.shape, e.output.dtype):
                raise ShapeError(
                    f"graph: equation {number} ({e.op}) is typed {e.output!r}, but its op gives "
                    f"{Variable(shape, dtype)!r}"
                )
            body = getattr(e.op, "body", None)
            if body is not None:  # a loop
                body.graph().check()
            defined.add(e.output)
        for v in self.outputs:
            if v not in defined:
                raise ShapeError("graph: an output is not defined")

    def last_uses(self) -> dict[Variable, int]:
        """For each variable the number of the last equation that reads it."""
        last: dict[Variable, int] = {}
        for number, e in enumerate(self.equations):
            for x in e.inputs:
                if isinstance(x, Variable):
                    last[x] = number
        return last

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        names, loops = self.names(), set()
        yield "inputs  " + ", ".join(f"{names[v]}: {v!r}" for v in self.inputs)
        for v in self.constants:
            yield f"{names[v]}: {v!r} = constant"
        for e in self.equations:
            args = " ".join(names[x] if isinstance(x, Variable) else repr(x) for x in e.inputs)
            left = f"{names[e.output]}: {e.output!r} = {e.op!r} {args}"
            yield f"{left:<60} # {e.location}"
            body = getattr(e.op, "body", None)
            if body is not None and body not in loops:
                loops.add(body)
                yield from ("    " + line for line in body.graph()._lines())
        yield "return  " + ", ".join(names[v] for v in self.outputs)


def letters(i: int) -> str:
    """a, b, …, z, aa, ab, …"""
    letters = ""
    i += 1
    while i:
        i, r = divmod(i - 1, 26)
        letters = chr(ord("a") + r) + letters
    return letters
