"""Scalar code of element-wise ops: which ops have it, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backlit.compiler import Variable
from backlit.compiler.llvm import scalar
from backlit.compiler.llvm.builder import Function
from backlit.compiler.lower.lower import CHEAP
from backlit.dtypes import FLOATING, bool_, float32, float64, int32
from backlit.op import Elementwise, Op
from compiler.test_native import BY_NUMPY
from op_table import BUILT_IN
from sampling import every

PRIMITIVES = {
    name: op
    for name, op in BUILT_IN.items()
    if issubclass(op, Elementwise) and op.primitive and name not in BY_NUMPY
}


def code(op: type[Op], dtype: np.dtype) -> list[str] | None:
    """The instructions for one element, or None if there are none for the type."""
    instance = op(**dict.fromkeys(op.attributes, float32))
    inputs = [Variable((), dtype) for _ in op.parameters]
    if op.name == "where":
        inputs[0] = Variable((), bool_)
    out = bool_ if getattr(op, "result", "") == "bool" else dtype
    if not scalar.supports(instance, inputs, out):
        return None
    f = Function("K", [(scalar.TYPES[x.dtype.name], f"x{i}") for i, x in enumerate(inputs)])
    args = [f.argument(f"x{i}") for i in range(len(inputs))]
    before = len(f.lines)
    scalar.emit(f, instance, args, [x.dtype for x in inputs], out)
    return f.lines[before:]


def all_code(op: type[Op]) -> Iterator[list[str]]:
    for dtype in (float32, float64, int32, bool_):
        lines = code(op, dtype)
        if lines is not None:
            yield lines


@every("name", PRIMITIVES)
def test_each_primitive_has_code_for_a_type(name: str) -> None:
    assert list(all_code(PRIMITIVES[name]))


def test_what_is_written_for_single_precision_is_the_librarys_in_double() -> None:
    assert set(scalar._SINGLE) <= set(scalar._LIBRARY)


def is_dear(lines: list[str]) -> bool:
    """Whether code calls a library, divides, takes a root or is long."""
    calls = any(" call " in line and "@llvm." not in line for line in lines)
    slow = any(word in line for line in lines for word in ("fdiv", "frem", "sqrt"))
    return calls or slow or len(lines) > 25


@every("name", PRIMITIVES)
def test_an_op_whose_code_is_long_is_not_made_twice(name: str) -> None:
    op = PRIMITIVES[name]
    found = [is_dear(lines) for d in FLOATING if (lines := code(op, d)) is not None]
    assert (op.cost > CHEAP) == any(found)
