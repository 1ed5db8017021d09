"""Loops that fold axes away: sums, products, largest elements and where they are.

Several folds over the same axes of values of one shape share a loop. Either each result is carried
in a register through the folded axes (`_rows`), or the values are gone through as they lie in
memory and added to a row of results (`_columns`).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

from ...ops import reductions
from ..capture.graph import Equation, Variable
from ..llvm import scalar
from ..llvm.builder import Value
from ..llvm.scalar import identity, is_signed
from ..lower.views import View, row_major
from .writer import KernelWriter

#: Elements next to each other in memory that one unit of a column sum goes through.
COLUMNS = 256
#: Shorter runs of folded neighbours are gone through as they lie in memory.
SHORT_RUN = 512

Groups = Sequence[list[int]]


def write_reductions(w: KernelWriter, *roots: Equation) -> None:
    """The whole kernel."""
    _Reductions(w, roots).write()


class _Reductions:
    """Writes the loops of reductions over the same axes of values of the same shape."""

    def __init__(self, writer: KernelWriter, roots: Sequence[Equation]):
        self.w = writer
        self.f = writer.f
        self.roots = roots
        self.x: Variable = roots[0].inputs[0]
        self.op: Any = roots[0].op
        self.finds = isinstance(self.op, reductions.Argmax | reductions.Argmin)

    def write(self) -> None:
        """The whole kernel."""
        w, x, axes = self.w, self.x, self.op.axis
        if self.roots[0].output.size == 0:
            return
        if x.size == 0:
            for e in self.roots:
                with w.nest(e.output.shape, outer=False) as loops:
                    start = identity(self.f, type(e.op), e.output.dtype)
                    w.store(e.output, w.index(e.output.shape, loops), start)
            return
        edges = {a for a in range(1, len(x.shape)) if (a in axes) != (a - 1 in axes)}
        groups = w.groups(x.shape, edges)
        folded = [g for g in groups if g[0] in axes]
        kept = [g for g in groups if g[0] not in axes]
        inner = [g for g in folded if kept and g > kept[-1]]
        if not kept or self.finds or inner == folded != [] or self._size(*inner) > SHORT_RUN:
            self._rows(kept, folded)
        else:
            self._columns(kept, folded[: len(folded) - len(inner)], inner)

    def _size(self, *groups: list[int]) -> int:
        return math.prod(self.x.shape[a] for g in groups for a in g)

    def _store(self, e: Equation, at: dict[int, Value], value: Value) -> None:
        self.w.store(e.output, self._target(e, at), value)

    def _target(self, e: Equation, at: dict[int, Value]) -> tuple[Value, ...]:
        """The output's index for the indices of x's kept axes."""
        op: Any = e.op
        axes = [a for a in range(len(self.x.shape)) if op.keepdims or a not in op.axis]
        return tuple(at[a] if a not in op.axis else self.w.zero for a in axes)

    # -- results in registers -----------------------------------------------------------------

    def _rows(self, kept: Groups, folded: Groups) -> None:
        w = self.w
        with w.nest([self._size(g) for g in kept], outer=True) as outer:
            at = w.spread(len(self.x.shape), kept, outer)
            results = self._fold(at, folded, self._start())
            for e, result in zip(self.roots, results[-len(self.roots) :], strict=True):
                self._store(e, at, result)

    def _start(self) -> list[Value]:
        f = self.f
        if not self.finds:
            return [identity(f, type(e.op), e.output.dtype) for e in self.roots]
        best = reductions.Max if isinstance(self.op, reductions.Argmax) else reductions.Min
        return [identity(f, best, self.x.dtype), f.const("i64", 0)]

    def _fold(self, at: dict[int, Value], folded: Groups, carried: list[Value]) -> list[Value]:
        """Loops over the folded axes, innermost last, each carrying the results so far."""
        if not folded:
            if self.finds:
                return self._better(carried, at)
            return [
                self._combine(e, before, self._element(e, at))
                for e, before in zip(self.roots, carried, strict=True)
            ]
        high = self.f.const("i64", self._size(folded[0]))
        with self.f.loop(self.w.zero, high, carried) as loop:
            here = {**at, folded[0][-1]: loop.index}
            loop.following.extend(self._fold(here, folded[1:], loop.carried))
        return loop.results

    def _better(self, carried: list[Value], at: dict[int, Value]) -> list[Value]:
        best, where = carried
        value = self.w.read(self.x, tuple(at.values()))
        here = at[self.op.axis[0]]
        how = "gt" if isinstance(self.op, reductions.Argmax) else "lt"
        wins = value.compare(how, best, is_signed(self.x.dtype))
        if value.is_float:
            wins = wins | (value.compare("ne", value) & best.compare("eq", best))
        wins = wins | here.compare("eq", 0)
        return [wins.select(value, best), wins.select(here, where)]

    # -- results in memory --------------------------------------------------------------------

    def _columns(self, kept: Groups, folded: Groups, inner: Groups) -> None:
        """The axes of `folded` stand before the last kept one, those of `inner` behind it."""
        *outer_groups, last = kept
        w, f = self.w, self.f
        n = self._size(last)
        block = max(COLUMNS // self._size(*inner), 1)
        with w.nest([self._size(g) for g in outer_groups], outer=True) as outer:
            at = w.spread(len(self.x.shape), outer_groups, outer)
            if outer_groups or n <= block:
                self._block(at, folded, inner, last, w.zero, f.const("i64", n))
            else:
                w.units = -(-n // block)
                with f.loop(f.argument("begin"), f.argument("end")) as loop:
                    low = loop.index * block
                    high = low + block
                    high = high.compare("lt", n).select(high, n)
                    self._block(at, folded, inner, last, low, high)

    def _block(
        self,
        at: dict[int, Value],
        folded: Groups,
        inner: Groups,
        last: list[int],
        low: Value,
        high: Value,
    ) -> None:
        w, f = self.w, self.f
        with f.loop(low, high) as loop:
            for e, start in zip(self.roots, self._start(), strict=True):
                self._store(e, {**at, last[-1]: loop.index}, start)
        with contextlib.ExitStack() as stack:
            here = dict(at)
            for g in folded:
                high_g = f.const("i64", self._size(g))
                here[g[-1]] = stack.enter_context(f.loop(w.zero, high_g)).index
            with f.loop(low, high) as loop:
                here[last[-1]] = loop.index
                values = (
                    self._fold(here, inner, self._start())
                    if inner
                    else [self._element(e, here) for e in self.roots]
                )
                for e, value in zip(self.roots, values, strict=True):
                    view = View(e.output, e.output.shape, row_major(e.output.shape))
                    before = w.load(view, self._target(e, here))
                    self._store(e, here, self._combine(e, before, value))

    # -- one element --------------------------------------------------------------------------

    def _element(self, e: Equation, at: dict[int, Value]) -> Value:
        value = self.w.read(e.inputs[0], tuple(at.values()))
        if isinstance(e.op, reductions.Any | reductions.All) and value.type != "i1":
            return value.compare("ne", 0)
        return value

    def _combine(self, e: Equation, a: Value, b: Value) -> Value:
        op = e.op
        if isinstance(op, reductions.Sum | reductions.Prod):
            if not a.is_float:
                return a + b if isinstance(op, reductions.Sum) else a * b
            how = "fadd" if isinstance(op, reductions.Sum) else "fmul"
            return a.op(f"{how} reassoc contract", b)
        if isinstance(op, reductions.Any):
            return a | b
        if isinstance(op, reductions.All):
            return a & b
        if b.is_float:
            # LLVM would turn the larger of a and "b where true, else -inf" into a choice between
            # the two, which it cannot vectorise.
            b = b.freeze()
        return scalar.larger(a, b, "ge" if isinstance(op, reductions.Max) else "le", e.output.dtype)
