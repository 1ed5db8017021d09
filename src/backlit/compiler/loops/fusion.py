"""Fusion: which maps over the elements of a contraction become a part of its kernel.

The sums need not go through memory then. It is decided here and not in `lower`, because how long a
map is, and which arrays it reads, is known when its code is written: see `epilogue`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ..capture.graph import Equation, Variable
from ..contraction import Contraction, Operand, choose
from ..contraction.spec import merge
from ..lower.kinds import CONTRACTION, MAP, Fused, Kernel
from ..lower.lower import Lowering
from ..lower.products import specification, target
from ..lower.reading import Access, Mixed
from ..lower.views import row_major
from .epilogue import MapWriter
from .nonfinite import reads_padding

#: Arrays that one kernel reads and writes beside the product's own.
MOST_ARRAYS = 16
#: A map of more instructions is bound by its arithmetic: it gains nothing here, ...
SHORT = 16
#: ... unless its arrays, with this many bytes together, come from memory.
LARGE = 16 * 2**20


def fuse(lowering: Lowering) -> None:
    """Let contractions do the maps over what they make.

    The contraction moves to where the map was, so that everything the map reads is made before.
    """
    kernels: list[Kernel | None] = list(lowering.kernels)
    products = {k.roots[0].output: n for n, k in enumerate(kernels) if k and k.kind is CONTRACTION}
    readers = Counter(v for k in lowering.kernels for v in k.reads)
    for position, kernel in enumerate(lowering.kernels):
        if kernel.kind is not MAP:
            continue
        for number in sorted((products[v] for v in kernel.reads if v in products), reverse=True):
            product = kernels[number]
            later = [k for k in kernels[number + 1 : position + 1] if k is not None]
            if product is None or not _can_move(lowering, product, later):
                continue
            total = product.roots[0]
            wanted = total.output in lowering.wanted or readers[total.output] > 1
            fused = _fused(lowering, total, wanted, kernel)
            if fused is not None:
                reads = product.reads | kernel.reads - {total.output}
                kernels[position] = Kernel(CONTRACTION, [total, *kernel.roots], reads, fused)
                kernels[number] = None
                break
    lowering.kernels = [kernel for kernel in kernels if kernel is not None]


def _can_move(lowering: Lowering, product: Kernel, later: list[Kernel]) -> bool:
    """Whether a contraction may be as late as the last of these, which reads what it makes."""
    total = product.roots[0].output
    if any(total in k.reads for k in later[:-1]):
        return False
    replaced = {lowering.replaces.get(r.output) for k in later for r in k.roots}
    return replaced.isdisjoint(product.reads)


def _fused(lowering: Lowering, total: Equation, wanted: bool, kernel: Kernel) -> Fused | None:
    """The contraction with the map as its epilogue, if the map reads element by element.

    `wanted` says whether anybody else reads the sums.
    """
    if kernel.domain != total.output.shape or not total.output.size:
        return None
    if reads_padding(total):
        return None  # the sums are looked at, and perhaps mended, before anybody reads them
    spec, buffers = specification(lowering, total)
    kind = total.output.dtype
    if kind != spec.accumulator:
        return None
    for reading in map(lowering.reading, kernel.roots):
        if reading.exact or not all(_is_plain(x, total.output, kernel) for x in reading.found):
            return None
    writer = MapWriter(lowering, kernel, total.output, target().lanes(kind.itemsize))
    made = [r.output for r in kernel.roots]
    extras = [*writer.varying, *writer.constants]
    if len(made) + len(extras) > MOST_ARRAYS:
        return None
    results = [total.output] * wanted + made
    arrays = [(v, 0) for v in (*buffers[:2], *results)]
    arrays += [(x.view.base, x.start) for x in extras]
    if writer.length > SHORT and sum(v.nbytes for v, _ in arrays) < LARGE:
        return None
    full = replace(
        spec,
        outputs=tuple(replace(spec.outputs[0], dtype=v.dtype) for v in results),
        extras=tuple(_operand(spec, kernel, x) for x in extras),
    )
    chosen, schedule = choose(full, target())
    if schedule.kc < chosen.sizes[3]:
        return None  # sums that are not finished have to be kept anyway
    lanes = "m" if schedule.turn else "n"
    steps = merge(getattr(chosen, lanes), getattr(chosen.outputs[0], lanes))
    if steps and steps[-1][1] != 1:
        return None  # every array would be read and written in single elements
    epilogue, code = writer.epilogue(made, wanted)
    return Fused(full, arrays, epilogue, code)


def _is_plain(x: Access, total: Variable, kernel: Kernel) -> bool:
    """Whether a loop over the domain reads x in steps, and the sums each in its own place."""
    if any(isinstance(entry, Mixed) for entry in x.index):
        return False
    if any(step < 0 for step in x.moves(len(kernel.domain))):
        return False
    return x.view.base is not total or x.is_at(kernel.domain)


def _operand(spec: Contraction, kernel: Kernel, x: Access) -> Operand:
    """Where x lies, counted in the indices of the contraction, as its first output is.

    Counted from the first element that is read: maps that differ only there are one.
    """
    out, base = spec.outputs[0], x.view.base
    steps, moves = row_major(kernel.domain), x.moves(len(kernel.domain))

    def moved(stride: int) -> int:
        """How far x moves where the output moves so far along one axis."""
        for n, step, move in zip(kernel.domain, steps, moves, strict=True):
            if n > 1 and step <= stride < n * step:
                return stride // step * move
        return 0

    axes = list(zip(kernel.domain, steps, moves, strict=True))
    size = 1 + sum((n - 1) * move for n, _, move in axes)
    assert x.start + size <= base.size
    return Operand(
        base.dtype,
        size,
        batch=tuple(map(moved, out.batch)),
        m=tuple(map(moved, out.m)),
        n=tuple(map(moved, out.n)),
        offset=sum((out.offset // step % n) * move for n, step, move in axes),
    )
