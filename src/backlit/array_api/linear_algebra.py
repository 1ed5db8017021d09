"""Products of vectors, matrices and higher Tensors, and their norms."""

from __future__ import annotations

import functools
import math
import re
import string
from typing import Any

import numpy as np

from ..backend.halves import as_one_op
from ..dtypes import bool_, result_type
from ..errors import ArgumentError, ShapeError
from ..op import describe
from ..ops import contraction, reductions
from ..precision import as_given, in_16_bits, narrowed
from ..promotion import floating
from ..state import STATE
from ..tensor import Tensor, apply, as_tensor
from . import elementwise
from .arguments import axes as all_axes
from .arguments import cached, one_axis
from .decompositions import svdvals
from .manipulation import broadcast_to, expand_dims, permute_dims, reshape, squeeze
from .reductions import any as any_true
from .reductions import max, min, sum

__all__ = ["einsum", "matmul", "matrix_norm", "outer", "tensordot", "vecdot", "vector_norm"]

_MATMUL = contraction.Matmul()


def matmul(a: Any, b: Any, /) -> Tensor:
    """The matrix product of the last two axes, the others broadcast; vectors are a row or a column.

        (..., M, K) @ (..., K, N) -> (..., M, N);  GA = GY Bᵀ,  GB = Aᵀ GY

    >>> matmul(as_tensor([[1.0, 2.0]]), as_tensor([3.0, 4.0]))
    Tensor([11.], shape=(1,), dtype=float32)
    """
    if STATE.autocast is not None:
        return narrowed(matmul, a, b)
    a, b = as_tensor(a), as_tensor(b)
    axes_a, axes_b = a.ndim, b.ndim
    if axes_a == 0 or axes_b == 0:
        raise ShapeError(
            f"matmul: both inputs need at least one axis, got a: {describe(a)} and "
            f"b: {describe(b)}; did you mean a * b?"
        )
    if a.array.dtype is not b.array.dtype:
        dtype = result_type(a, b)
        a, b = a.astype(dtype), b.astype(dtype)
    if axes_a > 1 and axes_b > 1:
        return apply(_MATMUL, a, b)
    rows = expand_dims(a, axis=0) if axes_a == 1 else a
    columns = expand_dims(b, axis=1) if axes_b == 1 else b
    y = apply(_MATMUL, rows, columns)
    gone = ((-2,) if axes_a == 1 else ()) + ((-1,) if axes_b == 1 else ())
    return squeeze(y, axis=gone)


@in_16_bits
def vecdot(a: Any, b: Any, /, *, axis: int = -1) -> Tensor:
    """y = Σ a b along an axis, the others broadcast.

    >>> vecdot(as_tensor([1.0, 2.0]), as_tensor([3.0, 4.0]))
    Tensor(11., shape=(), dtype=float32)
    """
    a, b = as_tensor(a), as_tensor(b)
    for name, x in (("a", a), ("b", b)):
        if not -x.ndim <= axis < 0:
            raise ShapeError(f"vecdot: axis must lie in [-{x.ndim}, -1] for {name}, got {axis}")
    if a.shape[axis] != b.shape[axis]:
        raise ShapeError(
            f"vecdot: the sizes along axis {axis} must be equal, got a: {describe(a)} and "
            f"b: {describe(b)}"
        )
    return _summed_over(a * b, axis)


def _summed_over(x: Tensor, axis: Any) -> Tensor:
    """Σ x in x's own type, as matrix products sum; of truth values, whether any holds."""
    return any_true(x, axis=axis) if x.dtype == bool_ else sum(x, axis=axis, dtype=x.dtype)


def outer(a: Any, b: Any, /) -> Tensor:
    """yᵢⱼ = aᵢ bⱼ of two vectors.

    >>> outer(as_tensor([1.0, 2.0]), as_tensor([3.0, 4.0]))
    Tensor([[3., 4.],
            [6., 8.]], shape=(2, 2), dtype=float32)
    """
    a, b = as_tensor(a), as_tensor(b)
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeError(f"outer: both inputs must be vectors, got {describe(a)}, {describe(b)}")
    return expand_dims(a, axis=1) * expand_dims(b, axis=0)


def tensordot(a: Any, b: Any, /, *, axes: Any = 2) -> Tensor:
    """The sum of products over pairs of axes: the last n of a with the first n of b, or two lists.

    An axis of size 1 is broadcast to the size of its pair, as in PyTorch.

    >>> tensordot(as_tensor([[1.0, 2.0]]), as_tensor([[3.0], [4.0]]), axes=1)
    Tensor([[11.]], shape=(1, 1), dtype=float32)
    """
    a, b = as_tensor(a), as_tensor(b)
    if isinstance(axes, int):
        if not 0 <= axes <= (a.ndim if a.ndim < b.ndim else b.ndim):
            raise ShapeError(f"tensordot: axes={axes} is too many for {a.shape} and {b.shape}")
        over_a, over_b = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        over_a = [one_axis("tensordot", i, a.ndim) for i in axes[0]]
        over_b = [one_axis("tensordot", i, b.ndim) for i in axes[1]]
    a, b = _summed_alone(a, b, over_a, over_b), _summed_alone(b, a, over_b, over_a)
    sizes_a, sizes_b = [a.shape[i] for i in over_a], [b.shape[i] for i in over_b]
    if sizes_a != sizes_b:
        raise ShapeError(
            f"tensordot: paired axes must have equal sizes, got {sizes_a} and {sizes_b} "
            f"(a: {describe(a)}, b: {describe(b)})"
        )
    keep_a = [i for i in range(a.ndim) if i not in over_a]
    keep_b = [i for i in range(b.ndim) if i not in over_b]
    rows, columns = [a.shape[i] for i in keep_a], [b.shape[i] for i in keep_b]
    shared = math.prod(sizes_a)
    left = reshape(permute_dims(a, keep_a + over_a), (math.prod(rows), shared))
    right = reshape(permute_dims(b, over_b + keep_b), (shared, math.prod(columns)))
    # PyTorch's product of all axes is a sum, which a block of mixed precision leaves alone.
    product = matmul if rows or columns else as_given(matmul)
    return reshape(product(left, right), (*rows, *columns))


def _summed_alone(x: Tensor, other: Tensor, over: list[int], over_other: list[int]) -> Tensor:
    """x summed over the axes whose pair in the other Tensor is of size 1, as that is broadcast."""
    pairs = zip(over, over_other, strict=True)
    alone = tuple(i for i, j in pairs if other.shape[j] == 1 != x.shape[i])
    return sum(x, axis=alone, keepdims=True, dtype=x.dtype) if alone else x


# -- einsum: every contraction as permute, reshape and matmul -----------------------------------


def einsum(subscripts: str, /, *operands: Any) -> Tensor:
    """The sum over all letters not in the output of the product of the operands.

    `"ij,jk->ik"` is a matrix product. A letter twice in one operand is its diagonal, `...` stands
    for broadcast axes; without `->` the output has the letters that occur once, in order.

    >>> einsum("ij,j->i", as_tensor([[1.0, 2.0]]), as_tensor([3.0, 4.0]))
    Tensor([11.], shape=(1,), dtype=float32)
    """
    tensors = [as_tensor(x) for x in operands]
    terms, output = _parse(subscripts, tensors)
    sizes: dict[str, int] = {}
    for term, x in zip(terms, tensors, strict=True):
        own: dict[str, int] = {}
        for letter, n in zip(term, x.shape, strict=True):
            before = own.setdefault(letter, n)  # in one operand, no axis stretches
            known = sizes.get(letter, n)
            if before != n or (known != n and 1 not in (known, n)):
                raise ShapeError(
                    f"einsum: the index {letter!r} must have one size, got "
                    f"{before if before != n else known} and {n} in {subscripts!r} "
                    f"({', '.join(map(describe, tensors))})"
                )
            sizes[letter] = n if known == 1 else known
    work = [_diagonals(t, x) for t, x in zip(terms, tensors, strict=True)]
    for i, j in _order(tuple(t for t, _ in work), output, tuple(sizes.items())):
        right, left = work.pop(j), work.pop(i)
        still_needed = set(output).union(*(t for t, _ in work))
        work.append(_contract(left, right, still_needed))
    term, x = work[0]
    lone = tuple(a for a, letter in enumerate(term) if letter not in output)
    x = _summed_over(x, lone) if lone else x
    kept = [letter for letter in term if letter in output]
    if any(letter not in kept for letter in output):
        missing = sorted(set(output) - set(kept))
        raise ArgumentError(f"einsum: output index {missing} is in no operand of {subscripts!r}")
    x = permute_dims(x, [kept.index(letter) for letter in output])
    return broadcast_to(x, tuple(sizes[letter] for letter in output))


def _parse(subscripts: str, tensors: list[Tensor]) -> tuple[list[str], str]:
    """Terms and output with `...` spelled out in capital Greek letters."""
    text = subscripts.replace(" ", "") if isinstance(subscripts, str) else "?"
    if not re.fullmatch(r"[A-Za-z.,]*(->[A-Za-z.]*)?", text):
        raise ArgumentError(
            f"einsum: subscripts are letters, commas, ... and ->, got {subscripts!r}"
        )
    left, arrow, output = text.partition("->")
    terms = left.split(",")
    for term in (*terms, output):
        if term.count("...") > 1 or "." in term.replace("...", ""):
            raise ArgumentError(
                f"einsum: `...` may stand once in a term, and dots only so, got {term!r} in "
                f"{subscripts!r}"
            )
    if len(terms) != len(tensors):
        raise ArgumentError(
            f"einsum: {subscripts!r} has {len(terms)} terms, but {len(tensors)} operands were given"
        )
    spread, longest = [], 0
    for term, x in zip(terms, tensors, strict=True):
        named = len(term.replace("...", ""))
        rest = x.ndim - named
        if ("..." in term and rest < 0) or ("..." not in term and rest != 0):
            raise ShapeError(
                f"einsum: the term {term!r} names {named} axes, but its operand is {describe(x)}"
            )
        spread.append(rest)
        longest = rest if "..." in term and rest > longest else longest
    dots = "".join(chr(0x391 + i) for i in range(longest))
    full = [
        t.replace("...", dots[longest - n :] if n else "")
        for t, n in zip(terms, spread, strict=True)
    ]
    if not arrow:
        letters = "".join(terms).replace(".", "")
        output = dots + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    else:
        output = output.replace("...", dots)
    if len(set(output)) != len(output):
        raise ArgumentError(f"einsum: an output index may stand only once, got {subscripts!r}")
    return full, output


def _diagonals(term: str, x: Tensor) -> tuple[str, Tensor]:
    """The operand with each repeated letter reduced to its diagonal."""
    for letter in sorted(set(term)):
        while term.count(letter) > 1:
            first = term.index(letter)
            second = term.index(letter, first + 1)
            rest = [a for a in range(x.ndim) if a not in (first, second)]
            n = x.shape[first]
            x = permute_dims(x, [first, second, *rest])
            along = as_tensor(np.arange(n))
            x = x[along, along]
            term = letter + "".join(term[a] for a in rest)
    return term, x


@functools.lru_cache(256)
def _order(
    terms: tuple[str, ...], output: str, letters: tuple[tuple[str, int], ...]
) -> tuple[tuple[int, int], ...]:
    """Which two operands to contract at each step; the result goes to the end of the list."""
    if len(terms) <= 2:
        return ((0, 1),) * (len(terms) - 1)
    # NumPy's path search reads shapes only; its letters are Latin.
    sizes = dict(letters)
    latin = dict(zip(sorted(set("".join(terms))), string.ascii_letters, strict=False))
    inputs = ",".join("".join(latin[c] for c in term) for term in terms)
    text = f"{inputs}->{''.join(latin[c] for c in output)}"
    shapes = [np.broadcast_to(np.float32(0), tuple(sizes[c] for c in term)) for term in terms]
    path = np.einsum_path(text, *shapes, optimize="greedy")[0][1:]
    steps: list[tuple[int, int]] = []
    count = len(terms)
    for group in path:
        places = sorted(group)
        steps.append((places[0], places[1]))
        count -= 1
        for taken, place in enumerate(places[2:], 2):  # each with the result, which is the last
            steps.append((place - taken, count - 1))
            count -= 1
    return tuple(steps)


def _contract(
    left: tuple[str, Tensor], right: tuple[str, Tensor], needed: set[str]
) -> tuple[str, Tensor]:
    """The product of two operands, summed over the letters that nobody needs any more."""
    a_term, a = _summed(left, needed | set(right[0]))
    b_term, b = _summed(right, needed | set(left[0]))
    shared = [c for c in a_term if c in b_term]
    batch = [c for c in shared if c in needed]
    folded = [c for c in shared if c not in needed]
    for c in folded:  # a folded axis of size 1 broadcasts against the other's
        n = a.shape[a_term.index(c)], b.shape[b_term.index(c)]
        if n[0] != n[1]:
            a, b = _widen(a, a_term.index(c), n[1]), _widen(b, b_term.index(c), n[0])
    rows = [c for c in a_term if c not in shared]
    columns = [c for c in b_term if c not in shared]
    size_a = dict(zip(a_term, a.shape, strict=True))
    size_b = dict(zip(b_term, b.shape, strict=True))

    def matrix(x: Tensor, term: str, sizes: dict[str, int], *groups: list[str]) -> Tensor:
        x = permute_dims(x, [term.index(c) for c in batch + groups[0] + groups[1]])
        lead = tuple(sizes[c] for c in batch)
        return reshape(x, (*lead, *(math.prod(sizes[c] for c in g) for g in groups)))

    y = matmul(matrix(a, a_term, size_a, rows, folded), matrix(b, b_term, size_b, folded, columns))
    shape = (*y.shape[: len(batch)], *(size_a[c] for c in rows), *(size_b[c] for c in columns))
    return "".join(batch + rows + columns), reshape(y, shape)


def _widen(x: Tensor, axis: int, size: int) -> Tensor:
    if x.shape[axis] != 1:
        return x
    return broadcast_to(x, (*x.shape[:axis], size, *x.shape[axis + 1 :]))


def _summed(operand: tuple[str, Tensor], needed: set[str]) -> tuple[str, Tensor]:
    term, x = operand
    gone = tuple(a for a, c in enumerate(term) if c not in needed)
    return "".join(c for c in term if c in needed), _summed_over(x, gone) if gone else x


# -- norms --------------------------------------------------------------------------------------


@as_one_op
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """The p-norm (Σ |x|ᵖ)^(1/p); the largest |x| for ∞, the smallest for -∞, the count for 0.

    For p = 2 neither squares nor their sum overflow. Where an element is 0 its gradient is 0 for
    every p, as in PyTorch: the subgradient of smallest norm for p ≥ 1; else there is none.

    >>> vector_norm(as_tensor([3.0, 4.0]))
    Tensor(5., shape=(), dtype=float32)
    """
    x = floating(as_tensor(x))
    folded = all_axes("vector_norm", axis, x.ndim)
    if not isinstance(ord, int | float):
        raise ArgumentError(f"vector_norm: ord must be a number, got {ord!r}; see matrix_norm")
    if ord > 0 and math.prod(x.shape[a] for a in folded) == 0:
        return sum(x, axis=folded, keepdims=keepdims)  # of no elements: 0
    if ord == 2:
        return apply(cached(reductions.Norm, folded, keepdims), x)
    size = elementwise.abs(x)
    if ord == math.inf:
        return max(size, axis=folded, keepdims=keepdims)
    if ord == -math.inf:
        return min(size, axis=folded, keepdims=keepdims)
    if ord == 0:
        count = sum((x != 0).astype(x.dtype), axis=folded, keepdims=keepdims)
        return elementwise.constant_in(sum(x), count)
    if ord == 1:
        return sum(size, axis=folded, keepdims=keepdims)
    if ord > 1:
        total = sum(size**ord, axis=folded, keepdims=keepdims)
    else:
        none = size == 0
        powers = elementwise.where(none, 1.0, size) ** ord
        powers = elementwise.where(none, 0.0 if ord > 0 else math.inf, powers)
        total = sum(powers, axis=folded, keepdims=keepdims)
    # At 0 the root has an infinite derivative, the norm a subgradient of 0.
    zero = total == 0
    safe = elementwise.where(zero, 1.0, total)
    return elementwise.where(zero, 0.0 if ord > 0 else math.inf, safe ** (1 / ord))


@as_one_op
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """The norm of the matrices in the last two axes.

    "fro" is √Σ x²; 1, -1, ∞, -∞ are the largest and smallest sums of the columns (1) or rows (∞);
    2, -2 and "nuc" are the largest singular value, the smallest, and the sum of all.

    >>> matrix_norm(as_tensor([[3.0, 0.0], [0.0, 4.0]]))
    Tensor(5., shape=(), dtype=float32)
    """
    x = floating(as_tensor(x))
    if x.ndim < 2:
        raise ShapeError(f"matrix_norm: x must have at least 2 axes, got shape {x.shape}")
    if ord == "fro":
        return vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    if ord not in ("nuc", 1, -1, 2, -2, math.inf, -math.inf):
        raise ArgumentError(
            f"matrix_norm: ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got {ord!r}"
        )
    if ord in ("nuc", 2, -2):
        values = svdvals(x)
        fold = sum if ord == "nuc" else max if ord == 2 else min
        y = fold(values, axis=-1)
        return expand_dims(y, axis=(-2, -1)) if keepdims else y
    sums = sum(elementwise.abs(x), axis=-2 if ord in (1, -1) else -1, keepdims=True)
    y = (max if ord > 0 else min)(sums, axis=(-2, -1), keepdims=True)
    return y if keepdims else squeeze(y, axis=(-2, -1))
