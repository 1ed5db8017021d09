"""Loops that add or write elements at indices, one after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..capture.graph import Equation, Variable
from ..llvm.scalar import TYPES
from ..lower.indexing import index_arrays, looked_up
from ..lower.passes import SetItemsTo, TakeAddTo
from ..lower.views import View, row_major
from .writer import KernelWriter


def write_scatter(w: KernelWriter, e: Equation) -> None:
    """Zeros, then x added one element after the other: repeated indices add up in order.

    Or an array, and x written into it: of repeated indices the last one stays.
    """
    x, indices = e.inputs[:2]
    op: Any = e.op
    out = e.output
    f = w.f
    if out.size == 0:
        return
    view = View(out, out.shape, row_major(out.shape))
    base = e.inputs[-1] if isinstance(op, TakeAddTo | SetItemsTo) else None
    if base is None or w.storage(base) is not w.storage(out):
        with w.nest(out.shape, outer=False) as loops:
            index = w.index(out.shape, loops)
            start = f.const(TYPES[out.dtype.name], 0) if base is None else w.read(base, index)
            w.store(out, index, start)
        w.memo.clear()
    if x.size == 0:
        return
    with contextlib.ExitStack() as stack:
        if isinstance(op, TakeAddTo):
            stack.enter_context(_if_in_range(w, indices, op.size))
        loops = stack.enter_context(w.nest(x.shape, outer=False))
        index = w.index(x.shape, loops)
        target = w.index(out.shape, looked_up(op, out.shape, index, index_arrays(e), w))
        value = w.read(x, index)
        if not isinstance(op, SetItemsTo):
            value = w.load(view, target) + value
        w.store(out, target, value)


@contextlib.contextmanager
def _if_in_range(w: KernelWriter, indices: Variable, size: int) -> Iterator[None]:
    """The body, only if no index is out of range: it changes what must not be half changed."""
    f = w.f
    with w.nest(indices.shape, outer=False) as loops:
        w.looked_up(indices, w.index(indices.shape, loops), size)
    w.memo.clear()
    good = f.load("i32", f.argument("flag")).compare("eq", 0)
    with f.loop(w.zero, good.cast("zext", "i64")):
        yield
