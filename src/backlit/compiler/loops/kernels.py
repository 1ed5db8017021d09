"""The kernels that are loops: for each such kind of `lower.kinds`, what writes it.

That is all kinds but HOST, which NumPy runs, and CONTRACTION, which `lower.products` builds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ...ops.reductions import CumulativeSum, Prod, Sum
from ..capture.graph import Equation, Variable
from ..llvm.scalar import identity
from ..lower import kinds
from ..lower.kinds import Kernel, Kind
from ..lower.lower import Lowering
from .elements import OUTSIDE_BIT
from .matmul import write_matmul
from .nonfinite import write_nonfinite
from .pooling import write_windows
from .random_bits import write_random_bits
from .reductions import write_reductions
from .scatter import write_scatter
from .sort import write_sort
from .writer import KernelWriter, Storage


def write(lowering: Lowering, kernel: Kernel, storage: Storage) -> KernelWriter:
    """Write a kernel that is loops; its writer."""
    w = KernelWriter(lowering, kernel, storage)
    WRITERS[kernel.kind](w, *kernel.roots)
    w.f.finish()
    return w


def _write_map(w: KernelWriter, *roots: Equation) -> None:
    if not math.prod(w.kernel.domain):
        return
    with w.each() as index:
        w.write_elements(roots, index)


def _write_check(w: KernelWriter, e: Equation) -> None:
    if not math.prod(w.kernel.domain):
        return
    op: Any = e.op
    number = w.lowering.checks.index(op)
    with w.each() as index:
        w.require(w.read(e.inputs[0], index), min(number, OUTSIDE_BIT - 1))


def _write_pieces(w: KernelWriter, e: Equation) -> None:
    """A concatenation row by row, in every row piece by piece."""
    axis: int = e.op.axis  # type: ignore[attr-defined]
    lead = e.output.shape[:axis]
    with w.nest([n for n in lead if n != 1], outer=True, grain=1) as counters:
        counter = iter(counters)
        outer = [w.zero if n == 1 else next(counter) for n in lead]
        start = 0
        for x in e.inputs:
            assert isinstance(x, Variable)
            with w.nest(x.shape[axis:], outer=False) as inner:
                value = w.read(x, w.index(x.shape, (*outer, *inner)))
                at = (*outer, inner[0] + start, *inner[1:])
                w.store(e.output, w.index(e.output.shape, at), value)
            w.memo.clear()  # what this loop has read is not known after it
            start += x.shape[axis]


def _write_running(w: KernelWriter, e: Equation) -> None:
    """A running sum or product: along its axis one element after the other."""
    x: Variable = e.inputs[0]
    op: Any = e.op
    f = w.f
    if x.size == 0:
        return
    others = [a for a in range(len(x.shape)) if a != op.axis and x.shape[a] != 1]
    adds = isinstance(op, CumulativeSum)
    nothing = identity(f, Sum if adds else Prod, e.output.dtype)
    with w.nest([x.shape[a] for a in others], outer=True) as outer:
        at = dict.fromkeys(range(len(x.shape)), w.zero)
        at.update(zip(others, outer, strict=True))
        high = f.const("i64", x.shape[op.axis])
        with f.loop(w.zero, high, [nothing]) as loop:
            at[op.axis] = loop.index
            index = tuple(w.zero if x.shape[a] == 1 else i for a, i in at.items())
            value = w.read(x, index)
            before = loop.carried[0]
            after = before + value if adds else before * value
            loop.following.append(after)
            w.store(e.output, index, after)


#: A kernel may have several maps or reductions for roots; of others one.
WRITERS: dict[Kind, Callable[..., None]] = {
    kinds.MAP: _write_map,
    kinds.CHECK: _write_check,
    kinds.CONCAT: _write_pieces,
    kinds.REDUCE: write_reductions,
    kinds.RUNNING: _write_running,
    kinds.SCATTER: write_scatter,
    kinds.WINDOW: write_windows,
    kinds.SORT: write_sort,
    kinds.MATMUL: write_matmul,
    kinds.RANDOM: write_random_bits,
    kinds.NONFINITE: write_nonfinite,
}
