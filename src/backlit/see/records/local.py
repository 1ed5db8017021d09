"""The local gradient: one op's derivative with respect to one input, with its structure named."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...backend import halves
from ...dtypes import FLOATING
from ...facts import ROLES
from ...op import Elementwise
from ...ops.contraction import Linear, Matmul
from ...ops.convolution import Convolution
from ...ops.reductions import Mean, Sum
from .parts import Applied, Local
from .value import Value, number

_CONVOLUTION = (
    "Toeplitz: every window sends its upstream gradient back through the kernel, flipped, and "
    "windows that overlap add up",
    "each weight gets the upstream gradients times the elements of x that it met, over all places "
    "and samples",
)


def local_gradient(applied: Applied, position: int, target: Any) -> Local | None:
    """The derivative of an op's result with respect to one of its inputs.

    Element-wise ops: the diagonal, which is the op's backward of a gradient of ones. Ops with one
    number as their result: the whole derivative, an array like the input. Others: what they do to
    a gradient, in words.
    """
    op = applied.op
    if not op.differentiable or target.dtype not in FLOATING:
        return None
    if isinstance(op, Elementwise):
        return _diagonal(applied, position, target)
    if op.role == "mover":
        return Local("move", "the elements go back where they came from")
    if isinstance(op, Sum):
        return Local("copy", "1, copied to every element that was added")
    if isinstance(op, Matmul | Linear):
        return _product(applied, position)
    if isinstance(op, Convolution) and position in (0, 1):
        return Local("map", _CONVOLUTION[position])
    size = int(np.prod(applied.type.shape))
    if isinstance(op, Mean):
        count = int(np.prod(target.shape)) // max(size, 1)
        return Local("copy", f"1/{count}, copied to every element that was averaged")
    if size == 1:
        row = applied.vjp(_ones(applied), {position: target}).get(position)
        text = op.slope_text(position, len(applied.inputs)) or f"∂{op.name}/∂x, an array like x"
        return None if row is None else Local("row", text, Value(row))
    return Local("map", op.effect or ROLES[op.role].meaning)


def _diagonal(applied: Applied, position: int, target: Any) -> Local | None:
    ones = halves.widened(_ones(applied))
    entry = applied.vjp(ones, {position: ones}).get(position)
    if entry is None:
        return None
    repeated = applied.type.shape != target.shape
    summed = "; summed over the axes along which the input was repeated" if repeated else ""
    first = entry.flat[0] if entry.size else 1.0
    if entry.size and bool((entry == first).all()):
        factor = float(first)
        one = Value(np.asarray(first, entry.dtype))
        if factor == 1:
            return Local("identity", f"1{summed}", one)
        return Local("scale", f"{number(factor)}{summed}", one)
    return Local("diagonal", f"element by element{summed}", Value(entry))


def _product(applied: Applied, position: int) -> Local:
    names = applied.op.parameters
    if isinstance(applied.op, Matmul):
        if position == 0:
            return Local("matrix", "· bᵀ from the right", _operand(applied, 1))
        return Local("matrix", "aᵀ · from the left", _operand(applied, 0))
    if position == 0:
        return Local("matrix", "· W from the right", _operand(applied, 1))
    if position == 1:
        return Local("matrix", "ᵀ · x: the outer products, summed over rows", _operand(applied, 0))
    return Local("identity", f"1 for {names[-1]}, summed over the rows", None)


def _operand(applied: Applied, position: int) -> Value | None:
    array = applied.inputs[position]
    if array is None:
        name = applied.op.parameters[position]
        array = applied.saved[applied.op.saves.index(name)]
    return Value(array) if isinstance(array, np.ndarray) else None


def _ones(applied: Applied) -> np.ndarray:
    return np.ones(applied.type.shape, applied.type.dtype)
