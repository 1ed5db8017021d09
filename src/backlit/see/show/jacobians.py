"""What shape the derivative of a function has: its Jacobian's structure, named, drawn and priced.

A local gradient is a matrix with one row for each output element and one column for each input
element, and nobody builds it: a ReLU's is diagonal, a reshape's the identity, a convolution's
Toeplitz, a product's A ⊗ I. `jacobian` finds which by asking the function's own backward, keeps the
few numbers that say everything, and applies them.

    identity, zero, scaled identity, diagonal     one number for each element, or none
    permutation, one-hot rows                     one index for each row
    block-diagonal                                the same or different blocks
    Kronecker A ⊗ B                               the two factors (van Loan & Pitsianis 1993)
    Toeplitz                                      one number for each offset of output to input
    diagonal plus rank one, low rank              a few vectors
    dense                                         everything
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...dtypes import FLOATING
from ...errors import ArgumentError, ShapeError
from ...nn.module import Module
from ...op import Op, Shape, describe
from ...tensor import Tensor, apply, as_tensor
from ...transforms import jvp, vjp
from ..checks import modules_of
from ..checks.model import in_float64

#: Up to this many elements the matrix is built once, to look at it; above, it is probed.
LIMIT = 1 << 20
_RTOL = 1e-5
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
        return f"Jacobian({rows}×{columns}, {self.structure}{self._detail()}: {cost})"

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
        if self.structure == "low rank":
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
        cells = _cells(self, width)
        top = float(cells.max(initial=0.0)) or 1.0
        lines = []
        for row in cells:
            shades = np.where(row > 0, np.ceil(row / top * 4), 0).astype(int)
            lines.append("".join(_SHADES[s] * 2 for s in shades).rstrip())
        return "\n".join(lines)

    def svg(self, size: int = 240) -> str:
        """The matrix as an SVG picture of its non-zero cells."""
        cells = _cells(self, 64)
        top = float(cells.max(initial=0.0)) or 1.0
        rows, columns = cells.shape
        unit = size / max(rows, columns)
        w, h = columns * unit, rows * unit
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w:.2f} {h:.2f}" '
            f'width="{w:.0f}" height="{h:.0f}" role="img">',
            f"<title>{self!r}</title>",
            f'<rect width="{w:.2f}" height="{h:.2f}" fill="#f6f6f4" stroke="#888"/>',
        ]
        for i, j in zip(*np.nonzero(cells), strict=True):
            opacity = 0.25 + 0.75 * cells[i, j] / top
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

    name, parts = _structure(pull, y.shape, x.shape)
    label = repr(subject) if isinstance(subject, Op) else getattr(subject, "__name__", "function")
    if isinstance(subject, Module):
        label = type(subject).__name__
    return Jacobian(name, y.shape, x.shape, x.dtype.itemsize, parts, label, pull, push)


def _structure(
    pull: Callable[[np.ndarray], np.ndarray], y_shape: Shape, x_shape: Shape
) -> tuple[str, dict[str, Any]]:
    rows, columns = math.prod(y_shape), math.prod(x_shape)
    rng = np.random.default_rng(0)
    if rows == columns:
        d = pull(np.ones(y_shape)).reshape(-1)
        probe = rng.standard_normal(rows)
        if _close(pull(probe.reshape(y_shape)).reshape(-1), probe * d):
            return _diagonal(d)
    if rows * columns > LIMIT:
        return _probed(pull, y_shape, x_shape, rng)
    matrix = np.zeros((rows, columns))
    for i in range(rows):
        unit = np.zeros(rows)
        unit[i] = 1
        matrix[i] = pull(unit.reshape(y_shape)).reshape(-1)
    for analyse in (sparse_rows, kronecker, _toeplitz, _blocks, _rank):
        found = analyse(matrix, y_shape, x_shape)
        if found is not None:
            return found
    return "dense", {"matrix": matrix}


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    scale = max(np.max(np.abs(b), initial=0.0), np.max(np.abs(a), initial=0.0), 1e-300)
    return bool(np.all(np.abs(a - b) <= _RTOL * scale))


def diagonal(
    matrix: np.ndarray, y_shape: Shape, x_shape: Shape
) -> tuple[str, dict[str, Any]] | None:
    """The identity, a multiple of it or another diagonal."""
    d = np.diag(matrix)
    square = matrix.shape[0] == matrix.shape[1]
    return _diagonal(d) if square and _close(matrix, np.diag(d)) else None


def _diagonal(d: np.ndarray) -> tuple[str, dict[str, Any]]:
    if not d.any():
        return "zero", {}
    if np.ptp(d) <= _RTOL * abs(d[0]):
        if abs(d[0] - 1) <= _RTOL:
            return "identity", {}
        return "scaled identity", {"factor": d[:1]}
    return "diagonal", {"diagonal": d}


def _probed(
    pull: Callable[[np.ndarray], np.ndarray],
    y_shape: Shape,
    x_shape: Shape,
    rng: np.random.Generator,
) -> tuple[str, dict[str, Any]]:
    """A matrix too large to build: its rank, if that is small, from random products."""
    rows, columns = math.prod(y_shape), math.prod(x_shape)
    count = min(24, rows, columns)
    probes = rng.standard_normal((count, rows))
    images = np.stack([pull(p.reshape(y_shape)).reshape(-1) for p in probes])
    if not images.any():
        return "zero", {}
    values, right = np.linalg.svd(images, full_matrices=False)[1:]
    rank = int((values > _RTOL * values[0]).sum())
    if rank < count and rank * (rows + columns) < 1 << 24:
        basis = right[:rank]
        # J = L R with the rows of R orthonormal: images = probes L R, solved for L as far as the
        # probes reach, and kept only if it predicts a new one.
        test = rng.standard_normal(rows)
        image = pull(test.reshape(y_shape)).reshape(-1)
        if _close(basis.T @ (basis @ image), image) and rows <= 4096:
            units = np.eye(rows)
            left = np.stack([basis @ pull(u.reshape(y_shape)).reshape(-1) for u in units])
            return "low rank", {"left": left, "right": basis}
    return "dense", {}


def sparse_rows(
    matrix: np.ndarray, y_shape: Shape, x_shape: Shape
) -> tuple[str, dict[str, Any]] | None:
    """At most one element in each row is not 0, and that is 1."""
    used = matrix != 0
    counts = used.sum(1)
    if not counts.any():
        return "zero", {}
    if counts.max() > 1 or not _close(matrix[used], np.ones(used.sum())):
        return None
    column = np.where(counts == 1, np.argmax(used, 1), -1)
    square = matrix.shape[0] == matrix.shape[1]
    name = "permutation" if square and (used.sum(0) == 1).all() else "one-hot rows"
    return name, {"column": column}


def _blocks(
    matrix: np.ndarray, y_shape: Shape, x_shape: Shape
) -> tuple[str, dict[str, Any]] | None:
    """Rows and columns that are not connected by any non-zero element."""
    labels_row, labels_column = _components(matrix != 0)
    groups = [
        (np.flatnonzero(labels_row == k), np.flatnonzero(labels_column == k))
        for k in range(int(labels_row.max()) + 1)
    ]
    if len(groups) < 2 or len({(len(r), len(c)) for r, c in groups}) != 1:
        return None
    if not len(groups[0][1]) or (labels_column < 0).any():
        return None
    blocks = np.stack([matrix[np.ix_(r, c)] for r, c in groups])
    parts = {
        "blocks": blocks,
        "rows": np.stack([r for r, _ in groups]),
        "columns": np.stack([c for _, c in groups]),
    }
    if all(_close(b, blocks[0]) for b in blocks[1:]):
        parts["blocks"] = blocks[:1]
    return "block-diagonal", parts


def _components(used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A label for each row and column, equal where non-zero elements connect them; -1: alone."""
    rows = np.full(used.shape[0], -1)
    columns = np.full(used.shape[1], -1)
    label = 0
    for start in range(used.shape[0]):
        if rows[start] >= 0 or not used[start].any():
            continue
        front = np.zeros(used.shape[0], bool)
        front[start] = True
        while front.any():
            rows[front] = label
            reached = used[front].any(0) & (columns < 0)
            columns[reached] = label
            front = used[:, reached].any(1) & (rows < 0)
        label += 1
    return rows, columns


def _spread(blocks: np.ndarray, at_row: np.ndarray) -> np.ndarray:
    return np.broadcast_to(blocks, (len(at_row), *blocks.shape[1:]))


def kronecker(
    matrix: np.ndarray, y_shape: Shape, x_shape: Shape
) -> tuple[str, dict[str, Any]] | None:
    """J = A ⊗ B for a split of the axes: then J, regrouped as (A's, B's) elements, has rank one."""
    rows, columns = matrix.shape
    best: tuple[int, np.ndarray, np.ndarray] | None = None
    for m in _splits(y_shape):
        for n in _splits(x_shape):
            p, q = rows // m, columns // n
            if (m, n) in ((1, 1), (rows, columns)) or (1 in (m, p) and 1 in (n, q)):
                continue  # one factor is a number, or the product is that of two vectors
            regrouped = matrix.reshape(m, p, n, q).transpose(0, 2, 1, 3).reshape(m * n, p * q)
            peak = np.unravel_index(np.argmax(np.abs(regrouped)), regrouped.shape)
            top = regrouped[peak]
            a, b = regrouped[:, peak[1]], regrouped[peak[0]] / top
            if _close(np.outer(a, b), regrouped):
                a, b = a.reshape(m, n), b.reshape(p, q)
                cost = sum(f.size for f in (a, b) if not is_identity(f))
                if best is None or cost < best[0]:
                    best = (cost, a, b)
    if best is None:
        return None
    a, b = best[1:]
    if _proportional_to_identity(b):  # A ⊗ c I = c A ⊗ I
        a, b = a * b[0, 0], b / b[0, 0]
    elif _proportional_to_identity(a):
        a, b = a / a[0, 0], b * a[0, 0]
    names = [
        f"I{len(f)}" if is_identity(f) else f"{'ABCD'[i]}({f.shape[0]}×{f.shape[1]})"
        for i, f in enumerate((a, b))
    ]
    if all(n.startswith("I") for n in names):
        return "identity", {}
    return "Kronecker", {"a": a, "b": b, "names": names}


def _proportional_to_identity(f: np.ndarray) -> bool:
    return f.shape[0] == f.shape[1] and f[0, 0] != 0 and is_identity(f / f[0, 0])


def is_identity(f: np.ndarray) -> bool:
    """Whether a matrix is an identity matrix."""
    return f.shape[0] == f.shape[1] and _close(f, np.eye(len(f)))


def _splits(shape: Shape) -> Iterator[int]:
    """The products of the first axes."""
    product = 1
    yield 1
    for n in shape:
        if n > 1:
            product *= n
            yield product


def _toeplitz(
    matrix: np.ndarray, y_shape: Shape, x_shape: Shape
) -> tuple[str, dict[str, Any]] | None:
    """The last axes of y and x are places: an element depends on their offset only."""
    for places in (1, 2):
        if len(y_shape) < places or len(x_shape) < places:
            continue
        if min(*y_shape[-places:], *x_shape[-places:]) < 2:
            continue
        for stride in (1, 2, 3):
            key = np.zeros((1, 1), int)
            y_index = np.unravel_index(np.arange(matrix.shape[0]), y_shape)
            x_index = np.unravel_index(np.arange(matrix.shape[1]), x_shape)
            for a in range(1, places + 1):
                n = x_shape[-a]
                offset = x_index[-a][None, :] - stride * y_index[-a][:, None]
                key = key * (2 * n * (stride + 1)) + offset + stride * n + n
            lead_y = sum((v * 1009**i for i, v in enumerate(y_index[:-places])), np.array(0))
            lead_x = sum((v * 1013**i for i, v in enumerate(x_index[:-places])), np.array(0))
            full = np.stack(
                np.broadcast_arrays(key, np.atleast_1d(lead_y)[:, None], np.atleast_1d(lead_x)),
                axis=-1,
            ).reshape(-1, 3)
            _, group = np.unique(full, axis=0, return_inverse=True)
            group = group.reshape(-1)
            flat = matrix.reshape(-1)
            low = np.full(group.max() + 1, np.inf)
            high = np.full(group.max() + 1, -np.inf)
            np.minimum.at(low, group, flat)
            np.maximum.at(high, group, flat)
            members = np.bincount(group)
            if _close(low, high) and (members[high != 0] > 1).any():
                kernel = high[(high != 0) | (low != 0)]
                distinct = np.unique(np.round(kernel, 9))
                sparse = np.count_nonzero(flat) < flat.size
                if 2 * distinct.size < np.count_nonzero(flat) and (distinct.size > 1 or sparse):
                    return "Toeplitz", {"kernel": distinct, "stride": stride}
    return None


def _rank(matrix: np.ndarray, y_shape: Shape, x_shape: Shape) -> tuple[str, dict[str, Any]] | None:
    rows, columns = matrix.shape
    if min(rows, columns) > 512:
        return None
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    rank = int((values > _RTOL * values[0]).sum())
    if rank * (rows + columns) < np.count_nonzero(matrix):
        return "low rank", {"left": left[:, :rank] * values[:rank], "right": right[:rank]}
    if rows == columns and rows > 2:
        return _diagonal_and_rank_one(matrix)
    return None


def _diagonal_and_rank_one(matrix: np.ndarray) -> tuple[str, dict[str, Any]] | None:
    """J = diag(d) + a bᵀ: off the diagonal the elements are products."""
    n = len(matrix)
    if matrix[0, 1] == 0 or matrix[1, 2] == 0 or matrix[0, 2] == 0:
        return None
    b = matrix[0].copy()
    a = np.ones(n)
    a[1] = matrix[1, 2] / b[2]
    a[2:] = matrix[2:, 1] / b[1]
    b[0] = matrix[1, 0] / a[1] if a[1] else 0.0
    product = np.outer(a, b)
    off = ~np.eye(n, dtype=bool)
    if not _close(product[off], matrix[off]):
        return None
    parts = {"diagonal": np.diag(matrix - product).copy(), "left": a, "right": b}
    return "diagonal plus rank one", parts


def _cells(j: Jacobian, width: int) -> np.ndarray:
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
