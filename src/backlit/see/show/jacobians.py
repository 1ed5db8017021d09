"""What shape the derivative of a function has: its Jacobian's structure, named, drawn and priced.

A local gradient is a matrix with one row for each output element and one column for each input
element, and nobody builds it: a ReLU's is diagonal, a reshape's the identity, a convolution's
Toeplitz, a product's A ⊗ I. `jacobian` finds which by asking the function's own backward, keeps the
few numbers that say everything, and applies them.

    identity, zero, scaled identity, diagonal     one number for each element, or none
    permutation, one-hot rows                     one index for each row
    signed permutation                            one index and a sign for each row
    banded                                        the diagonals next to the main one
    lower, upper triangular                       half of it
    block-diagonal                                the same or different blocks
    Kronecker A ⊗ B                               the two factors (van Loan & Pitsianis 1993)
    Toeplitz                                      one number for each offset of output to input
    diagonal plus rank one or low rank, low rank  a few vectors
    dense                                         everything

What else is true of a square one (symmetric, orthogonal, a projection, triangular) is told besides,
with what that means.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...dtypes import FLOATING
from ...errors import ArgumentError, ShapeError
from ...nn.module import Module
from ...op import Op, Shape, describe
from ...tensor import Tensor, apply, as_tensor
from ...transforms import jvp, vjp
from ..checks.held import in_float64, modules_of
from .structures import LIMIT, is_identity, properties, structure

_SHADES = " ░▒▓█"


@dataclass
class Jacobian:
    """∂y/∂x of a function at a point, with its structure.

    `structure` is its name, `parts` the numbers that say everything, `pull` and `push` apply it.
    """

    structure: str
    y_shape: Shape
    x_shape: Shape
    itemsize: int
    parts: dict[str, Any] = field(default_factory=dict)
    subject: str = ""
    #: What is true of it besides, as `symmetric`, and what that means: Jᵀ = J.
    properties: dict[str, str] = field(default_factory=dict)
    _pull: Callable[[np.ndarray], np.ndarray] | None = None
    _push: Callable[[np.ndarray], np.ndarray] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(output elements, input elements)."""
        return math.prod(self.y_shape), math.prod(self.x_shape)

    @property
    def dense_bytes(self) -> int:
        """What the whole matrix would take."""
        return math.prod(self.shape) * self.itemsize

    @property
    def bytes(self) -> int:
        """What the structure takes."""
        total = 0
        for value in self.parts.values():
            if isinstance(value, np.ndarray) and not (value.ndim == 2 and is_identity(value)):
                width = self.itemsize if value.dtype.kind == "f" else value.dtype.itemsize
                total += value.size * width
        return total if self.structure != "dense" else self.dense_bytes

    def pull(self, upstream: Any) -> np.ndarray:
        """uᵀ J, from the structure, in the shape of x."""
        u = _checked("pull", upstream, self.y_shape)
        return self._apply(u, transposed=True).reshape(self.x_shape)

    def push(self, tangent: Any) -> np.ndarray:
        """J v, from the structure, in the shape of y."""
        v = _checked("push", tangent, self.x_shape)
        return self._apply(v, transposed=False).reshape(self.y_shape)

    def _apply(self, v: np.ndarray, transposed: bool) -> np.ndarray:
        parts, flat = self.parts, v.reshape(-1)
        rows, columns = self.shape
        name = self.structure
        if name == "zero":
            return np.zeros(columns if transposed else rows)
        if name == "identity":
            return flat
        if name == "scaled identity":
            return flat * float(parts["factor"][0])
        if name == "diagonal":
            return flat * parts["diagonal"]
        if name in ("permutation", "one-hot rows"):
            index, kept = parts["column"], parts["column"] >= 0
            if not transposed:
                return np.where(kept, flat[np.where(kept, index, 0)], 0.0)
            result = np.zeros(columns)
            np.add.at(result, index[kept], flat[kept])
            return result
        if name == "signed permutation":
            index, sign = parts["column"], parts["sign"]
            if not transposed:
                return flat[index] * sign
            result = np.zeros(columns)
            result[index] = flat * sign
            return result
        if name == "banded":
            return _banded(parts["band"], parts["below"], flat, transposed)
        if name in ("lower triangular", "upper triangular"):
            place = np.tril_indices if name.startswith("lower") else np.triu_indices
            full = np.zeros((rows, columns))
            full[place(rows)] = parts["triangle"]
            return full.T @ flat if transposed else full @ flat
        if name == "block-diagonal":
            blocks, at_row, at_column = parts["blocks"], parts["rows"], parts["columns"]
            result = np.zeros(columns if transposed else rows)
            if transposed:
                result[at_column] = np.einsum("krc,kr->kc", _spread(blocks, at_row), flat[at_row])
            else:
                result[at_row] = np.einsum("krc,kc->kr", _spread(blocks, at_row), flat[at_column])
            return result
        if name == "Kronecker":
            a, b = parts["a"], parts["b"]
            if transposed:
                return (a.T @ flat.reshape(a.shape[0], b.shape[0]) @ b).reshape(-1)
            return (a @ flat.reshape(a.shape[1], b.shape[1]) @ b.T).reshape(-1)
        if name == "low rank":
            left, right = parts["left"], parts["right"]
            return right.T @ (left.T @ flat) if transposed else left @ (right @ flat)
        if name == "diagonal plus rank one":
            d, a, b = parts["diagonal"], parts["left"], parts["right"]
            return flat * d + (b * (a @ flat) if transposed else a * (b @ flat))
        if name == "diagonal plus low rank":
            left, right = parts["left"], parts["right"]
            both = right.T @ (left.T @ flat) if transposed else left @ (right @ flat)
            return flat * parts["diagonal"] + both
        if "matrix" in parts:
            return parts["matrix"].T @ flat if transposed else parts["matrix"] @ flat
        apply_ = self._pull if transposed else self._push
        assert apply_ is not None
        return apply_(v).reshape(-1)

    def dense(self) -> np.ndarray:
        """The whole matrix, (output elements, input elements)."""
        rows, columns = self.shape
        if self.dense_bytes > 1 << 30:
            raise ArgumentError(
                f"dense: the matrix would take {_size(self.dense_bytes)}; use pull and push, which "
                "need none"
            )
        result = np.zeros((rows, columns))
        for i in range(rows):
            unit = np.zeros(rows)
            unit[i] = 1
            result[i] = self.pull(unit.reshape(self.y_shape)).reshape(-1)
        return result

    # -- showing it ---------------------------------------------------------------------------

    def __repr__(self) -> str:
        rows, columns = self.shape
        saved = f"{_size(self.bytes)} instead of {_size(self.dense_bytes)}"
        cost = "nothing to be saved" if self.structure == "dense" else saved
        besides = "".join(f"; {name}, {formula}" for name, formula in self.properties.items())
        return f"Jacobian({rows}×{columns}, {self.structure}{self._detail()}: {cost}{besides})"

    def _detail(self) -> str:
        p = self.parts
        if self.structure == "block-diagonal":
            k = p["rows"].shape[0]
            r, c = p["blocks"].shape[1:]
            same = " equal" if len(p["blocks"]) == 1 and k > 1 else ""
            return f", {k}{same} blocks of {r}×{c}"
        if self.structure == "Kronecker":
            return f" {p['names'][0]} ⊗ {p['names'][1]}"
        if self.structure == "Toeplitz":
            return f", {p['kernel'].size} different numbers"
        if self.structure == "banded":
            below = p["below"]
            return f", {below} below the diagonal and {len(p['band']) - 1 - below} above"
        if self.structure in ("low rank", "diagonal plus low rank"):
            return f", rank {p['left'].shape[1]}"
        return ""

    def picture(self, width: int = 48) -> str:
        """The matrix as text: darker is larger in size, blank is 0.

        >>> print(jacobian(Tensor.flatten, Tensor([[1.0, 2.0], [3.0, 4.0]])).picture())
        ██
          ██
            ██
              ██
        """
        sizes = cells(self, width)
        top = float(sizes.max(initial=0.0)) or 1.0
        lines = []
        for row in sizes:
            shades = np.where(row > 0, np.ceil(row / top * 4), 0).astype(int)
            lines.append("".join(_SHADES[s] * 2 for s in shades).rstrip())
        return "\n".join(lines)

    def svg(self, size: int = 240) -> str:
        """The matrix as an SVG picture of its non-zero cells."""
        sizes = cells(self, 64)
        top = float(sizes.max(initial=0.0)) or 1.0
        rows, columns = sizes.shape
        unit = size / max(rows, columns)
        w, h = columns * unit, rows * unit
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w:.2f} {h:.2f}" '
            f'width="{w:.0f}" height="{h:.0f}" role="img">',
            f"<title>{self!r}</title>",
            f'<rect width="{w:.2f}" height="{h:.2f}" fill="#f6f6f4" stroke="#888"/>',
        ]
        for i, j in zip(*np.nonzero(sizes), strict=True):
            opacity = 0.25 + 0.75 * sizes[i, j] / top
            parts.append(
                f'<rect x="{j * unit:.2f}" y="{i * unit:.2f}" width="{unit:.2f}" '
                f'height="{unit:.2f}" fill="#0b5fa5" fill-opacity="{opacity:.2f}"/>'
            )
        return "".join([*parts, "</svg>"])

    _repr_svg_ = svg


def jacobian(subject: Any, *inputs: Any, position: int = 0) -> Jacobian:
    """The Jacobian of an op, module or function with respect to one input, with its structure.

    >>> from backlit import tensor, zeros
    >>> from backlit.ops.activation import Relu
    >>> jacobian(Relu(), zeros(4096) - tensor(1.0)).structure, jacobian(Relu(), zeros(4096) + 1)
    ('zero', Jacobian(4096×4096, identity: 0 B instead of 64 MB))
    """
    if isinstance(subject, type) and issubclass(subject, Op):
        subject = subject()
    f = (lambda *xs: apply(subject, *xs)) if isinstance(subject, Op) else subject
    if not callable(f) or isinstance(f, Tensor):
        raise ArgumentError(
            f"jacobian: the subject must be an op, a module or a function, got "
            f"{describe(subject)}; "
            "then come the inputs, as in jacobian(f, x)"
        )
    if not inputs:
        raise ArgumentError("jacobian: needs the inputs of the function, as in jacobian(f, x)")
    modules = modules_of(f)
    points = [as_tensor(x) if not isinstance(x, int | float) else x for x in inputs]
    if not -len(points) <= position < len(points):
        raise ArgumentError(
            f"jacobian: position must be that of one of {len(points)} inputs, got {position}"
        )
    x = points[position]
    if not isinstance(x, Tensor) or x.dtype not in FLOATING:
        raise ArgumentError(
            f"jacobian: input {position} must be a floating Tensor, got {describe(x)}"
        )
    wide = x.detach().astype("float64")

    def of_one(v: Tensor) -> Tensor:
        rest = [
            p.detach().astype("float64") if isinstance(p, Tensor) and p.dtype in FLOATING else p
            for p in points
        ]
        rest[position] = v
        with in_float64(modules):
            return f(*rest)

    y, pull_tensor = vjp(of_one, wide)

    def pull(u: np.ndarray) -> np.ndarray:
        with in_float64(modules):
            return np.asarray(pull_tensor(as_tensor(u.reshape(y.shape)))[0].numpy(), np.float64)

    def push(v: np.ndarray) -> np.ndarray:
        return np.asarray(jvp(of_one, wide, as_tensor(v.reshape(x.shape)))[1].numpy())

    name, parts = structure(pull, y.shape, x.shape)
    label = repr(subject) if isinstance(subject, Op) else getattr(subject, "__name__", "function")
    if isinstance(subject, Module):
        label = type(subject).__name__
    found = Jacobian(name, y.shape, x.shape, x.dtype.itemsize, parts, label)
    found._pull, found._push = pull, push
    if y.size == x.size and y.size**2 <= LIMIT:
        found.properties = properties(name, found.dense())
    return found


def _banded(band: np.ndarray, below: int, v: np.ndarray, transposed: bool) -> np.ndarray:
    """J v, or vᵀJ, where band[k, i] is J[i, i + k − below]."""
    result, n = np.zeros(len(v)), len(v)
    for k, diagonal in enumerate(band):
        shift = k - below
        rows = np.arange(max(0, -shift), min(n, n - shift))
        if transposed:
            result[rows + shift] += diagonal[rows] * v[rows]
        else:
            result[rows] += diagonal[rows] * v[rows + shift]
    return result


def _spread(blocks: np.ndarray, at_row: np.ndarray) -> np.ndarray:
    return np.broadcast_to(blocks, (len(at_row), *blocks.shape[1:]))


def cells(j: Jacobian, width: int) -> np.ndarray:
    """Sizes of the elements, the largest of each cell, in at most `width` cells either way."""
    rows, columns = j.shape
    height, across = min(rows, width), min(columns, width)
    if rows * columns <= LIMIT:
        matrix = np.abs(j.dense())
    else:  # rows are sampled, one for each cell
        chosen = np.linspace(0, rows - 1, height).astype(int)
        matrix = np.zeros((height, columns))
        for k, i in enumerate(chosen):
            unit = np.zeros(rows)
            unit[i] = 1
            matrix[k] = np.abs(j.pull(unit.reshape(j.y_shape)).reshape(-1))
    by_row = np.array_split(matrix, height) if height else []
    return np.array(
        [[part.max() for part in np.array_split(r.max(0), across)] for r in by_row]
    ).reshape(height, across)


def _checked(name: str, value: Any, shape: Shape) -> np.ndarray:
    array = np.asarray(value.numpy() if isinstance(value, Tensor) else value, np.float64)
    if array.shape != shape:
        raise ShapeError(f"{name}: the vector must have shape {shape}, got {array.shape}")
    return array


def _size(count: int) -> str:
    """A number of bytes for reading, in units of 1024."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} GB"
