"""Small matrix products as plain loops: along rows of b where they are contiguous."""

from __future__ import annotations

from ..capture.graph import Equation
from ..llvm.scalar import TYPES
from ..lower.products import batched
from ..lower.views import View, row_major
from .writer import KernelWriter


def write_matmul(w: KernelWriter, e: Equation) -> None:
    """The whole kernel."""
    a, b = (batched(w.lowering, x, e.output) for x in e.inputs)
    out = View(e.output, e.output.shape, row_major(e.output.shape))
    *batch, rows, columns = e.output.shape
    depth = a.shape[-1]
    f = w.f
    type = TYPES[e.output.dtype.name]
    if e.output.size == 0:
        return
    with w.nest([*batch, rows], outer=True) as outer:
        *lead, m = outer
        high = f.const("i64", columns)
        if b.strides[-1] == 1 and columns > 1:
            with f.loop(w.zero, high) as loop:
                w.store(e.output, (*lead, m, loop.index), f.const(type, 0))
            with f.loop(w.zero, f.const("i64", depth)) as k:
                left = w.load(a, (*lead, m, k.index))
                with f.loop(w.zero, high) as loop:
                    n = loop.index
                    product = left * w.load(b, (*lead, k.index, n))
                    before = w.load(out, (*lead, m, n))
                    w.store(e.output, (*lead, m, n), before + product)
            return
        with f.loop(w.zero, high) as loop:
            n = loop.index
            start = f.const(type, 0)
            with f.loop(w.zero, f.const("i64", depth), [start]) as k:
                product = w.load(a, (*lead, m, k.index)) * w.load(b, (*lead, k.index, n))
                before = k.carried[0]
                how = "fadd reassoc contract" if before.is_float else "add"
                sum_ = before.op(how, product)
                k.following.append(sum_)
            w.store(e.output, (*lead, m, n), k.results[0])
