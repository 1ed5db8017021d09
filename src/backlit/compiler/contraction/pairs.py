"""Pairs of bfloat16 along k, where the processor multiplies and adds two products at a time.

One index of k is halved. An element of a and b is then two bfloat16, the second one `pair` elements
behind the first, and the sums are those of

    out[b, m, n] = Σ_k  A[b, m, 2k] · B[b, 2k, n] + A[b, m, 2k + 1] · B[b, 2k + 1, n]

Inside the kernel a pair travels as one float32 whose bits it is. If the index has an odd extent its
last pair is one element beside a zero, in a and in b, so that nothing infinite meets a zero.

The instruction reads and writes numbers below 2^-126 as zeros: Intel 64 and IA-32 Architectures
Software Developer's Manual, volume 2, VDPBF16PS.
"""

from __future__ import annotations

from dataclasses import replace

from ...dtypes import bfloat16
from .spec import Contraction, Extents, Operand, merge


def paired(spec: Contraction) -> Contraction:
    """The contraction over pairs; as it is if not of bfloat16, or if no index can be halved.

    An index that moves a window cannot: its two elements would not lie as far apart everywhere.
    """
    if spec.pairs is not None or (spec.a.dtype, spec.b.dtype) != (bfloat16, bfloat16):
        return spec
    count = len(spec.k)
    a, b = spec.a.k or (0,) * count, spec.b.k or (0,) * count
    windows = (*spec.a.windows, *spec.b.windows)
    free = [
        i
        for i, extent in enumerate(spec.k)
        if extent > 1 and a[i] and b[i] and not any(w.k and w.k[i] for w in windows)
    ]
    if not free:
        return spec
    # Side by side in memory they are moved together.
    chosen = max(free, key=lambda i: (spec.k[i] % 2 == 0, 1 in (a[i], b[i]), spec.k[i]))
    return replace(
        spec,
        k=tuple(-(-e // 2) if i == chosen else e for i, e in enumerate(spec.k)),
        a=_halved(spec.a, a, chosen),
        b=_halved(spec.b, b, chosen),
        pairs=chosen,
        odd=spec.k[chosen] % 2 == 1,
    )


def _halved(x: Operand, strides: Extents, chosen: int) -> Operand:
    doubled = tuple(2 * s if i == chosen else s for i, s in enumerate(strides))
    return replace(x, k=doubled, pair=strides[chosen])


def runs(spec: Contraction, x: Operand) -> list[tuple[int, ...]]:
    """(extent, stride) of the indices of k after joining those that x steps through as one.

    An index whose last pair is not whole is joined with no other.
    """
    strides = x.k or (0,) * len(spec.k)
    if not spec.odd:
        return merge(spec.k, strides) or [(1, 0)]
    at = spec.pairs
    assert at is not None
    before, behind = slice(at), slice(at + 1, None)
    return [
        *merge(spec.k[before], strides[before]),
        (spec.k[at], strides[at]),
        *merge(spec.k[behind], strides[behind]),
    ]


def spacing(x: Operand) -> int:
    """How many elements lie from one k to the next in memory: two, if pairs are side by side."""
    return 2 if x.pair == 1 else 1
