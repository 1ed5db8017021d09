"""Arrays and local gradients of a formula in words, on one line."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...op import Shape
from ..records.value import number as shown
from ..show.structures import diagonal, is_identity, kronecker, sparse_rows
from .gates import Wire

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def number(value: Any) -> str:
    """A number as a record writes it."""
    return shown(float(value))


def numbers(values: np.ndarray, width: int = 36) -> str:
    """An array on one line; a long vector without its middle, a large matrix as its extremes.

    >>> numbers(np.arange(100.0))
    '[0, 1, 2, …, 98, 99] (100)'
    """
    if values.ndim == 0:
        return number(values)
    if values.size <= 64:
        text = _nested(values)
        if len(text) <= width or values.size <= 6:
            return text
    shape = "×".join(map(str, values.shape))
    if values.ndim == 1:
        ends = [number(v) for v in (*values[:3], *values[-2:])]
        return f"[{', '.join(ends[:3])}, …, {', '.join(ends[3:])}] ({shape})"
    return f"{shape} from {number(values.min())} to {number(values.max())}"


def _nested(values: np.ndarray) -> str:
    if values.ndim == 0:
        return number(values)
    return f"[{', '.join(_nested(v) for v in values)}]"


def local_gradient(wire: Wire) -> str:
    """The local gradient of a wire in words: a number, diag(…), a Jacobian's structure.

    A Jacobian is read as a matrix, with a row for each output and a column for each input element.
    """
    local, y, x = wire.local, wire.gate.value, wire.source.value
    assert local is not None
    values = local.values
    if values is None:
        return f"a {y.size}×{x.size} Jacobian, too large to show"
    if local.kind == "factor":
        if values.ndim == 0:
            return number(values)
        if x.shape != y.shape:
            return f"{numbers(values)}, summed over the copies"
        if _are_equal(values):
            return f"{number(values.flat[0])} for each element"
        return f"diag{_round(numbers(values))}" if values.ndim == 1 else f"∘ {numbers(values)}"
    if y.size == 1 or x.size == 1:
        flat = values.reshape(x.shape if y.size == 1 else y.shape)
        if flat.ndim and _are_equal(flat):
            return f"{number(flat.flat[0])} for each element"
        return numbers(flat)
    return _structure(values.reshape(y.size, x.size), y.shape, x.shape)


def _are_equal(values: np.ndarray) -> bool:
    return bool(values.size and np.all(values == values.flat[0]))


def _round(text: str) -> str:
    inner, _, tail = text[1:].rpartition("]")
    return f"({inner}){tail}"


def _structure(matrix: np.ndarray, y_shape: Shape, x_shape: Shape) -> str:
    """A Jacobian by its structure: zero, diagonal, a selection, a Kronecker product, dense."""
    for analyse in (diagonal, sparse_rows, kronecker):
        name, parts = analyse(matrix, y_shape, x_shape) or ("", {})
        if name == "zero":
            return "0"
        if name in ("identity", "scaled identity"):
            return f"{number(matrix[0, 0])} for each element"
        if name == "diagonal":
            return f"diag{_round(numbers(parts['diagonal']))}"
        if name in ("permutation", "one-hot rows") and parts["column"].min() >= 0:
            what = "element" if len(matrix) == 1 else "elements"
            return f"picks {what} {_places(parts['column'])}"
        if name == "Kronecker" and is_identity(parts["a"]):
            return f"{_identity(parts['a'])} ⊗ {_matrix(parts['b'])}"
        if name == "Kronecker" and is_identity(parts["b"]):
            return f"{_matrix(parts['a'])} ⊗ {_identity(parts['b'])}"
    return _matrix(matrix)


def _places(taken: np.ndarray) -> str:
    return ", ".join(map(str, taken)) if taken.size <= 8 else f"{taken[0]}, {taken[1]}, …"


def _identity(matrix: np.ndarray) -> str:
    return f"I{str(len(matrix)).translate(_SUBSCRIPTS)}"


def _matrix(matrix: np.ndarray) -> str:
    return numbers(matrix[0] if matrix.shape[0] == 1 else matrix)
