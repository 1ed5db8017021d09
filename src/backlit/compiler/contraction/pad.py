"""Windowed operands copied into scratch memory with zeros around them, so that no window is left.

Outside the windows the copy keeps the operand's order of indices. If its outermost index is the
first of m or of k, it is copied in chunks of that index, as the steps need them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from llvmlite import ir

from . import emit
from .emit import Index, Value
from .spec import GROUPS, Contraction, Extents, Operand, Window


@dataclass(frozen=True)
class Padded:
    """How an operand is copied, and the operand that the copy is.

    `dims` are (extent, source stride) of the indices outside the windows after the chunked one,
    `windows` are (first coordinate, coordinates, window). `chunked` is the group of the chunked
    index, of which one copy takes `unit` elements. `pairs` is the place in `dims` of the index that
    counts pairs, -1 if that is the chunked one. Windows of a step above 1 stay windows
    of the copy, which has all their coordinates.
    """

    operand: Operand
    dims: tuple[tuple[int, int], ...]
    windows: tuple[tuple[int, int, Window], ...]
    chunked: str | None
    chunks: int
    chunk_stride: int
    unit: int
    pairs: int | None

    @property
    def places(self) -> tuple[tuple[int, int, Window], ...]:
        """(first coordinate, stride in the copy, window) of the windows."""
        found = []
        for i, (low, _, w) in enumerate(self.windows):
            found.append((low, math.prod(count for _, count, _ in self.windows[i + 1 :]), w))
        return tuple(found)


def simplified(spec: Contraction) -> Contraction:
    """The contraction without the windows of step 1 that every index is inside of."""
    return replace(spec, a=_without_idle(spec, spec.a), b=_without_idle(spec, spec.b))


def _without_idle(spec: Contraction, x: Operand) -> Operand:
    for w in x.windows:
        low, high = spec.reach(w, w.start)
        if low >= 0 and high < w.extent and w.step == 1:
            rest = tuple(v for v in x.windows if v is not w)
            return _without_idle(spec, _moved(spec, replace(x, windows=rest), w, w.start, w.stride))
    return x


def _moved(spec: Contraction, x: Operand, w: Window, start: int, stride: int) -> Operand:
    """The operand with a window's coordinate as a part of its address."""
    values: dict[str, Any] = {}
    for group in GROUPS:
        count = len(getattr(spec, group))
        own = getattr(x, group) or (0,) * count
        more = getattr(w, group) or (0,) * count
        values[group] = tuple(s + c * stride for s, c in zip(own, more, strict=True))
    return replace(x, offset=x.offset + start * stride, **values)


def padded(spec: Contraction, x: Operand) -> Padded:
    """How to copy a windowed operand. Address arithmetic only; see `copy` for the code."""
    found = []
    for group in GROUPS:
        extents: Extents = getattr(spec, group)
        for position, (e, s) in enumerate(zip(extents, getattr(x, group), strict=False)):
            if s and e > 1:
                found.append((abs(s), s, e, group, position))
    found.sort(key=lambda f: -f[0])
    windows = []
    for w in sorted(x.windows, key=lambda w: -abs(w.stride)):
        low, high = (x // w.step for x in spec.reach(w, w.start))
        windows.append((low, high - low + 1, w))
    size = 1
    spread: list[Window] = []
    strides: dict[tuple[str, int], int] = {}
    moved = Operand(spec.accumulator, 0)
    for low, count, w in reversed(windows):
        if w.step == 1:
            moved = _moved(spec, moved, w, w.start - low, size)
        else:
            start = w.start - low * w.step
            spread.append(replace(w, extent=count, stride=size, start=start))
        size *= count
    for _, _, e, group, position in reversed(found):
        strides[group, position] = size
        size *= e
    values: dict[str, Any] = {}
    for group in GROUPS:
        own = getattr(moved, group) or (0,) * len(getattr(spec, group))
        values[group] = tuple(s + strides.get((group, i), 0) for i, s in enumerate(own))
    moved = replace(moved, size=size, windows=tuple(spread), **values)
    chunked, chunks, chunk_stride, unit = None, 1, 0, size
    if found and found[0][3] in ("m", "k") and found[0][4] == 0:
        _, chunk_stride, chunks, chunked, _ = found[0]
        unit = size // chunks
        found = found[1:]
    places = [(group, position) for _, _, _, group, position in found]
    at = ("k", spec.pairs)
    counts_pairs = None
    if spec.pairs is not None:
        counts_pairs = places.index(at) if at in places else -1
    return Padded(
        moved,
        tuple((e, s) for _, s, e, _, _ in found),
        tuple(windows),
        chunked,
        chunks,
        chunk_stride,
        unit,
        counts_pairs,
    )


class PadCopier:
    """Writes the code that copies planes (the windows' coordinates) of a padded operand."""

    def __init__(self, spec: Contraction, plan: Padded, lanes: int, accumulator: ir.Type):
        self.spec, self.plan, self.source = spec, plan, spec.a
        self.lanes, self.accumulator = lanes, accumulator
        self.element = emit.storage(self.source.dtype)
        self.per_chunk = math.prod(e for e, _ in plan.dims)
        self.plane = math.prod(count for _, count, _ in plan.windows)
        self.half = False

    def copy(self, b: ir.IRBuilder, source: Value, target: Value, chunk0: Index, u: Index) -> None:
        """Copy the plane number `u` of the chunks from `chunk0` on."""
        chunk, rest = emit.div(b, u, self.per_chunk), emit.rem(b, u, self.per_chunk)
        digits = {-1: emit.add(b, chunk0, chunk)}
        at = emit.mul(b, digits[-1], self.plan.chunk_stride)
        for position, (extent, stride) in enumerate(self.plan.dims):
            inner = math.prod(e for e, _ in self.plan.dims[position + 1 :])
            digit = digits[position] = emit.rem(b, emit.div(b, rest, inner), extent)
            at = emit.add(b, at, emit.mul(b, digit, stride))
        source = emit.pointer(b, source, at, self.element)
        target = emit.pointer(b, target, emit.mul(b, u, self.plane), self.accumulator)
        if not self.spec.odd:
            self._level(b, source, target, 0, spill=False)
            return
        assert self.spec.pairs is not None
        assert self.plan.pairs is not None
        whole = emit.const(self.spec.k[self.spec.pairs] - 1)
        with b.if_else(b.icmp_unsigned("<", emit.const(digits[self.plan.pairs]), whole)) as arms:
            for arm, self.half in zip(arms, (False, True), strict=True):
                with arm:
                    self._level(b, source, target, 0, spill=False)

    def _read(self, b: ir.IRBuilder, at: Value, load: Callable[[Value], Value]) -> Value:
        """The lanes at an address as tiles want them; of half a pair the second is zero."""
        if self.spec.pairs is None:
            return emit.widen(b, load(at), self.source.dtype, self.accumulator)
        second = None
        if not self.half:
            second = load(emit.pointer(b, at, self.source.pair, self.element))
        return emit.pairs(b, load(at), second)

    def _level(
        self, b: ir.IRBuilder, source: Value, target: Value, level: int, *, spill: bool
    ) -> None:
        """Copy one index of the windows above; `spill`: memory behind it is written later."""
        low, count, w = self.plan.windows[level]
        if level == len(self.plan.windows) - 1:
            self._line(b, source, target, low, count, w, spill)
            return
        size = math.prod(c for _, c, _ in self.plan.windows[level + 1 :])

        def one(spill: bool, i: Index, _: list[Value]) -> list[Value]:
            p = emit.add(b, i, low)
            into = emit.pointer(b, target, emit.mul(b, i, size), self.accumulator)
            inside = b.icmp_unsigned("<", emit.const(p), emit.const(w.extent))
            with b.if_else(inside) as (then, otherwise):
                with then:
                    row = emit.pointer(b, source, emit.mul(b, p, w.stride), self.element)
                    self._level(b, row, into, level + 1, spill=spill)
                with otherwise:
                    self._zero(b, into, size)
            return []

        emit.loop(b, 0, count - 1, partial(one, size >= self.lanes))
        one(spill, count - 1, [])

    def _pieces(self, b: ir.IRBuilder, count: int, body: Callable[[Index, Value], None]) -> None:
        """`body(first, mask)` for each vector of a line: a loop, and the masked rest."""
        whole = count // self.lanes * self.lanes
        if count % self.lanes:
            body(whole, emit.tail_mask(count - whole, self.lanes))

        def one(i: Index, _: list[Value]) -> list[Value]:
            body(i, None)
            return []

        emit.loop(b, 0, whole, one, step=self.lanes)

    def _zero(self, b: ir.IRBuilder, target: Value, count: int) -> None:
        zero = ir.Constant(ir.VectorType(self.accumulator, self.lanes), None)

        def put(first: Index, mask: Value) -> None:
            emit.store(b, zero, emit.pointer(b, target, first, self.accumulator), mask)

        self._pieces(b, count, put)

    def _line(
        self,
        b: ir.IRBuilder,
        source: Value,
        target: Value,
        low: int,
        count: int,
        w: Window,
        spill: bool,
    ) -> None:
        """One line of coordinates: zeros before, the elements, zeros behind."""
        before = min(max(0, -low), count)
        exist = max(0, min(low + count, w.extent) - max(low, 0))
        behind = count - before - exist
        first = low + before
        if count <= 6 * self.lanes and w.stride == 1 and exist:
            self._short_line(b, source, target, low, count, w, spill)
            return
        self._zero(b, target, before)
        self._zero(b, emit.pointer(b, target, before + exist, self.accumulator), behind)
        source = emit.pointer(b, source, first * w.stride, self.element)
        target = emit.pointer(b, target, before, self.accumulator)
        kind = ir.VectorType(self.element, self.lanes)
        offsets = emit.constants(emit.I64, [i * w.stride for i in range(self.lanes)])

        def move(i: Index, mask: Value) -> None:
            def load(at: Value) -> Value:
                if w.stride == 1:
                    return emit.load(b, at, kind, mask)
                addresses = emit.lane_addresses(b, at, offsets, self.element)
                return emit.gather(b, addresses, kind, mask)

            at = emit.pointer(b, source, emit.mul(b, i, w.stride), self.element)
            value = self._read(b, at, load)
            emit.store(b, value, emit.pointer(b, target, i, self.accumulator), mask)

        self._pieces(b, exist, move)

    def _short_line(
        self,
        b: ir.IRBuilder,
        source: Value,
        target: Value,
        low: int,
        count: int,
        w: Window,
        spill: bool,
    ) -> None:
        """A line of a few vectors: each is one load, of the lanes that exist, and one store."""
        kind = ir.VectorType(self.element, self.lanes)
        for first in range(0, count, self.lanes):
            p = range(low + first, low + first + self.lanes)
            inside = [int(0 <= x < w.extent) for x in p]
            mask = None
            if not all(inside):
                mask = ir.Constant(ir.VectorType(emit.I1, self.lanes), inside)
            value = ir.Constant(ir.VectorType(self.accumulator, self.lanes), None)
            if any(inside):
                at = emit.pointer(b, source, p[0], self.element)
                value = self._read(b, at, partial(emit.load, b, kind=kind, mask=mask))
            kept = None if spill else emit.tail_mask(count - first, self.lanes)
            emit.store(b, value, emit.pointer(b, target, first, self.accumulator), kept)
