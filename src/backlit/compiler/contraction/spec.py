"""What a contraction is: index extents, address maps, and the proof that every address is in range.

    out[b, m, n] = epilogue( Σ_k  A[b, m, k] · B[b, k, n] )

b, m, n and k are multi-indices. Where an element lies is an affine function of them, so transposed,
batched, broadcast and windowed operands are the same contraction with different numbers.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numpy as np

from ...errors import ShapeError

Extents = tuple[int, ...]
GROUPS = ("batch", "m", "n", "k")


@dataclass(frozen=True)
class Window:
    """One coordinate of an operand that may fall outside it, as in a padded convolution.

        p = (start + Σ coefficient · index) / step

    Where p is whole and 0 ≤ p < extent the element exists and p adds stride · p to its address;
    elsewhere the element reads as zero. Coefficients are given for each index of each group; ()
    means zeros. A step above 1 spreads the operand out, as the upstream of a strided convolution.
    """

    extent: int
    stride: int
    start: int = 0
    batch: Extents = ()
    m: Extents = ()
    n: Extents = ()
    k: Extents = ()
    step: int = 1


@dataclass(frozen=True)
class Operand:
    """Where the elements of one array lie in its buffer, counted in elements.

        address = offset + Σ stride · index + Σ window.stride · window.p

    A stride is given for each index of each group; () means zeros. `size` is the buffer's length.
    In a contraction over pairs the second of two elements lies `pair` behind the first.
    """

    dtype: np.dtype
    size: int
    batch: Extents = ()
    m: Extents = ()
    n: Extents = ()
    k: Extents = ()
    offset: int = 0
    windows: tuple[Window, ...] = ()
    pair: int = 0


@dataclass(frozen=True)
class Contraction:
    """A contraction up to its buffers: two with equal specifications share one kernel.

    `extents` of the four groups; operands `a` (no n), `b` (no m), `outputs` (no k), and `extras`
    (no k): the other arrays that the epilogue reads. Buffers are passed in the order a, b, outputs,
    extras. Outputs overlap nothing; only an extra may be an output's own buffer with the same
    address map (an update in place), and then k must fit one block: see `Schedule`.
    `pairs` is the index of k that counts pairs, if one does, and with `odd` the last of them is one
    element: see `pairs`.

    >>> f = np.dtype("float32")
    >>> spec = matmul(f, 4, 5, 6)
    >>> spec.m, spec.n, spec.k, spec.a.m, spec.a.k
    ((4,), (5,), (6,), (6,), (1,))
    """

    m: Extents
    n: Extents
    k: Extents
    a: Operand
    b: Operand
    outputs: tuple[Operand, ...]
    extras: tuple[Operand, ...] = ()
    batch: Extents = ()
    pairs: int | None = None
    odd: bool = False

    def __post_init__(self) -> None:
        for group in GROUPS:
            extents = getattr(self, group)
            if any(e < 0 for e in extents):
                raise ShapeError(
                    f"contraction: extents must not be negative, got {group} = {extents}"
                )
        named = [("a", self.a, "n"), ("b", self.b, "m")]
        named += [(f"outputs[{i}]", x, "k") for i, x in enumerate(self.outputs)]
        named += [(f"extras[{i}]", x, "k") for i, x in enumerate(self.extras)]
        for name, operand, absent in named:
            if any(getattr(operand, absent)):
                raise ShapeError(
                    f"contraction: {name} must not depend on {absent}, got strides "
                    f"{getattr(operand, absent)}"
                )
            self._check_bounds(name, operand)
        for i, x in enumerate(self.outputs):
            if x.windows:
                raise ShapeError(f"contraction: outputs[{i}] must not have windows")
            self._check_distinct(i, x)
        if not self.outputs:
            raise ShapeError("contraction: there must be at least one output")

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """The numbers of combined indices: batch, M, N, K."""
        return (
            math.prod(self.batch),
            math.prod(self.m),
            math.prod(self.n),
            math.prod(self.k),
        )

    def size(self, group: str) -> int:
        """The number of combined indices of a group."""
        return math.prod(getattr(self, group))

    @property
    def accumulator(self) -> np.dtype:
        """The dtype sums are kept in: float64 if an operand is float64, else float32."""
        wide = np.dtype("float64")
        return wide if wide in (self.a.dtype, self.b.dtype) else np.dtype("float32")

    @property
    def flops(self) -> int:
        """Multiplications and additions, but for those that steps of windows leave out."""
        steps = math.prod(w.step for x in (self.a, self.b) for w in x.windows)
        return 2 * math.prod(self.sizes) // steps

    def swapped(self) -> Contraction:
        """The same contraction with the roles of (A, m) and (B, n) exchanged."""
        return Contraction(
            m=self.n,
            n=self.m,
            k=self.k,
            a=_swap(self.b),
            b=_swap(self.a),
            outputs=tuple(map(_swap, self.outputs)),
            extras=tuple(map(_swap, self.extras)),
            batch=self.batch,
            pairs=self.pairs,
            odd=self.odd,
        )

    def reach(self, what: Operand | Window, start: int, name: str = "operand") -> tuple[int, int]:
        """The smallest and the largest value of an affine form over the whole index space."""
        low = high = start
        for group in GROUPS:
            strides, extents = getattr(what, group), getattr(self, group)
            if strides and len(strides) != len(extents):
                raise ShapeError(
                    f"contraction: {name} needs one stride for each index of {group}, got strides "
                    f"{strides} for extents {extents}"
                )
            for s, e in zip(strides, extents, strict=False):
                low += min(0, s * (e - 1))
                high += max(0, s * (e - 1))
        return low, high

    def _check_bounds(self, name: str, x: Operand) -> None:
        low, high = self.reach(x, x.offset, name)
        empty = math.prod(self.batch) == 0 or any(
            getattr(x, g) != () and math.prod(getattr(self, g)) == 0 for g in ("m", "n", "k")
        )
        for w in x.windows:
            first, last = self.reach(w, w.start, name)
            first, last = max(-(-first // w.step), 0), min(last // w.step, w.extent - 1)
            empty = empty or first > last
            low += min(w.stride * first, w.stride * last)
            high += max(w.stride * first, w.stride * last)
        if not empty and not (low >= 0 and high < x.size):
            raise ShapeError(
                f"contraction: {name} must stay inside its buffer of {x.size} elements, but its "
                f"addresses run from {low} to {high}"
            )

    def _check_distinct(self, i: int, x: Operand) -> None:
        """Prove that no two indices write the same element: strides nest like digits."""
        pairs = sorted(
            (abs(s), e)
            for group in ("batch", "m", "n")
            for s, e in zip(
                getattr(x, group) or (0,) * len(getattr(self, group)),
                getattr(self, group),
                strict=True,
            )
            if e > 1
        )
        reach = 0
        for s, e in pairs:
            if s <= reach and math.prod(self.sizes[:3]):
                raise ShapeError(
                    f"contraction: outputs[{i}] must write each element once, but a stride of {s} "
                    f"falls inside a span of {reach + 1}"
                )
            reach += s * (e - 1)


def _swap(x: Operand) -> Operand:
    windows = tuple(replace(w, m=w.n, n=w.m) for w in x.windows)
    return replace(x, m=x.n, n=x.m, windows=windows)


def merge(extents: Extents, *strides: Extents) -> list[tuple[int, ...]]:
    """Join neighbouring indices that all the strides step through as one.

    Returns (extent, stride, stride, ...) from the outermost to the innermost, without extents of 1.

    >>> merge((4, 1, 3, 5), (15, 0, 5, 1))
    [(60, 1)]
    >>> merge((4, 3, 5), (15, 5, 1), (0, 0, 1))
    [(12, 5, 0), (5, 1, 1)]
    """
    return list(_merged(extents, strides))


@functools.lru_cache(4096)
def _merged(extents: Extents, strides: tuple[Extents, ...]) -> tuple[tuple[int, ...], ...]:
    merged: list[tuple[int, ...]] = []
    rows = [s or (0,) * len(extents) for s in strides]
    for extent, *steps in zip(extents, *rows, strict=True):
        if extent == 1:
            continue
        if merged and all(p == s * extent for p, s in zip(merged[-1][1:], steps, strict=True)):
            merged[-1] = (merged[-1][0] * extent, *steps)
        else:
            merged.append((extent, *steps))
    return tuple(merged)


def matmul(
    dtype: np.dtype,
    m: int,
    n: int,
    k: int,
    *,
    batch: Extents = (),
    transpose_a: bool = False,
    transpose_b: bool = False,
) -> Contraction:
    """C = A B of contiguous arrays: A is (…, m, k), or (…, k, m) if transposed, and so on."""
    count = math.prod(batch)

    def outer(size: int) -> Extents:
        return tuple(size * math.prod(batch[i + 1 :]) for i in range(len(batch)))

    return Contraction(
        m=(m,),
        n=(n,),
        k=(k,),
        a=Operand(
            dtype,
            count * m * k,
            batch=outer(m * k),
            m=(1 if transpose_a else k,),
            k=(m if transpose_a else 1,),
        ),
        b=Operand(
            dtype,
            count * k * n,
            batch=outer(k * n),
            n=(k if transpose_b else 1,),
            k=(1 if transpose_b else n,),
        ),
        outputs=(Operand(dtype, count * m * n, batch=outer(m * n), m=(n,), n=(1,)),),
        batch=batch,
    )
