"""Which structure a Jacobian has, found by asking for vᵀJ: see `jacobians` for their names.

What finds one says its name and the numbers that say everything, or None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...op import Shape

#: Up to this many elements the matrix is built once, to look at it; above, it is probed.
LIMIT = 1 << 20
_RTOL = 1e-8

#: The name of a structure, and the numbers that say everything.
Found = tuple[str, dict[str, Any]]
Pull = Callable[[np.ndarray], np.ndarray]


def structure(pull: Pull, y_shape: Shape, x_shape: Shape) -> Found:
    """The structure of ∂y/∂x; `pull` gives vᵀJ."""
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
    for analyse in (sparse_rows, _signed, kronecker, _toeplitz, _blocks, _banded, _rank, _triangle):
        found = analyse(matrix, y_shape, x_shape)
        if found is not None:
            return found
    return "dense", {"matrix": matrix}


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    scale = max(np.max(np.abs(b), initial=0.0), np.max(np.abs(a), initial=0.0), 1e-300)
    return bool(np.all(np.abs(a - b) <= _RTOL * scale))


def diagonal(matrix: np.ndarray, y_shape: Shape, x_shape: Shape) -> Found | None:
    """The identity, a multiple of it or another diagonal."""
    d = np.diag(matrix)
    square = matrix.shape[0] == matrix.shape[1]
    return _diagonal(d) if square and _close(matrix, np.diag(d)) else None


def _diagonal(d: np.ndarray) -> Found:
    if not d.any():
        return "zero", {}
    if np.ptp(d) <= _RTOL * abs(d[0]):
        if abs(d[0] - 1) <= _RTOL:
            return "identity", {}
        return "scaled identity", {"factor": d[:1]}
    return "diagonal", {"diagonal": d}


def _probed(pull: Pull, y_shape: Shape, x_shape: Shape, rng: np.random.Generator) -> Found:
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


def sparse_rows(matrix: np.ndarray, y_shape: Shape, x_shape: Shape) -> Found | None:
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


def _signed(matrix: np.ndarray, y_shape: Shape, x_shape: Shape) -> Found | None:
    """One element in each row and in each column, and each of size 1."""
    used = matrix != 0
    if matrix.shape[0] != matrix.shape[1] or not (used.sum(0) == 1).all():
        return None
    if not (used.sum(1) == 1).all() or not _close(np.abs(matrix[used]), np.ones(len(matrix))):
        return None
    column = np.argmax(used, 1)
    sign = np.sign(matrix[np.arange(len(matrix)), column]).astype(np.int8)
    return "signed permutation", {"column": column, "sign": sign}


def _banded(matrix: np.ndarray, y_shape: Shape, x_shape: Shape) -> Found | None:
    """Nothing but a few diagonals next to the main one."""
    if matrix.shape[0] != matrix.shape[1]:
        return None
    rows, columns = np.nonzero(matrix)
    below, above = max(int(np.max(rows - columns)), 0), max(int(np.max(columns - rows)), 0)
    if 2 * (below + above + 1) >= len(matrix):
        return None
    band = np.zeros((below + above + 1, len(matrix)))
    band[columns - rows + below, rows] = matrix[rows, columns]
    return "banded", {"band": band, "below": below}


def _triangle(matrix: np.ndarray, y_shape: Shape, x_shape: Shape) -> Found | None:
    """Nothing on one side of the diagonal."""
    if matrix.shape[0] != matrix.shape[1]:
        return None
    for name, place in (("lower", np.tril_indices), ("upper", np.triu_indices)):
        index = place(len(matrix))
        kept = np.zeros(matrix.shape)
        kept[index] = matrix[index]
        if np.array_equal(kept, matrix):
            return f"{name} triangular", {"triangle": matrix[index]}
    return None


#: What may be true of a square matrix besides, and what that means.
PROPERTIES = {
    "lower triangular": "J[i, j] = 0 for j > i",
    "upper triangular": "J[i, j] = 0 for j < i",
    "symmetric": "Jᵀ = J",
    "antisymmetric": "Jᵀ = −J",
    "orthogonal": "JᵀJ = I",
    "projection": "J² = J",
}
#: Structures that say all of it by themselves.
_PLAIN = ("zero", "identity", "scaled identity", "diagonal", "permutation", "signed permutation")


def properties(name: str, matrix: np.ndarray) -> dict[str, str]:
    """What is true of a matrix besides its structure, with the formula of what it means."""
    if name in _PLAIN or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        return {}
    small = len(matrix) <= 1024  # products of larger ones are not computed
    true = {
        "lower triangular": not np.triu(matrix, 1).any(),
        "upper triangular": not np.tril(matrix, -1).any(),
        "symmetric": _close(matrix.T, matrix),
        "antisymmetric": _close(matrix.T, -matrix),
        "orthogonal": small and is_identity(matrix.T @ matrix),
        "projection": small and _close(matrix @ matrix, matrix),
    }
    return {k: PROPERTIES[k] for k, holds in true.items() if holds and k != name}


def _blocks(matrix: np.ndarray, y_shape: Shape, x_shape: Shape) -> Found | None:
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


def kronecker(matrix: np.ndarray, y_shape: Shape, x_shape: Shape) -> Found | None:
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


def _toeplitz(matrix: np.ndarray, y_shape: Shape, x_shape: Shape) -> Found | None:
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


def _rank(matrix: np.ndarray, y_shape: Shape, x_shape: Shape) -> Found | None:
    rows, columns = matrix.shape
    if min(rows, columns) > 512:
        return None
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    rank = int((values > _RTOL * values[0]).sum())
    if rank * (rows + columns) < np.count_nonzero(matrix):
        return "low rank", {"left": left[:, :rank] * values[:rank], "right": right[:rank]}
    if rows == columns and rows > 2:
        return _diagonal_and_rank_one(matrix) or _diagonal_and_low_rank(matrix)
    return None


def _diagonal_and_low_rank(matrix: np.ndarray) -> Found | None:
    """J = diag(d) + L R with a few columns in L: what is off the diagonal has a low rank.

    Each step takes the best L R for a diagonal (Eckart & Young 1936) and the best diagonal for it.
    """
    n = len(matrix)
    half = matrix[: n // 2, n // 2 :]
    if n > 64 or not half.any():
        return None
    values = np.linalg.svd(half, compute_uv=False)
    rank = int((values > _RTOL * values[0]).sum())
    if not 2 <= rank <= n // 6:
        return None
    d = np.zeros(n)
    for _ in range(500):
        left, values, right = np.linalg.svd(matrix - np.diag(d))
        product = (left[:, :rank] * values[:rank]) @ right[:rank]
        before, d = d, np.diag(matrix - product).copy()
        if _close(product + np.diag(d), matrix) and _close(before, d):
            parts = {"diagonal": d, "left": left[:, :rank] * values[:rank], "right": right[:rank]}
            return "diagonal plus low rank", parts
    return None


def _diagonal_and_rank_one(matrix: np.ndarray) -> Found | None:
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
