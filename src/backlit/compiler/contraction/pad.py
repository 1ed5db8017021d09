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

from ..llvm.builder import Function, Index, KnownMask, Value
from ..llvm.scalar import memory_type
from ..llvm.types import vector_type
from .lanes import read, tail
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

    def __init__(self, f: Function, spec: Contraction, plan: Padded, lanes: int, accumulator: str):
        self.f, self.spec, self.plan, self.source = f, spec, plan, spec.a
        self.lanes, self.accumulator = lanes, accumulator
        self.element = memory_type(self.source.dtype)
        self.kind = vector_type(self.element, lanes)
        self.zero = f.const(vector_type(accumulator, lanes), 0)
        self.per_chunk = math.prod(e for e, _ in plan.dims)
        self.plane = math.prod(count for _, count, _ in plan.windows)
        self.half = False

    def copy(self, source: Value, target: Value, chunk0: Index, u: Index) -> None:
        """Copy the plane number `u` of the chunks from `chunk0` on."""
        f, plan = self.f, self.plan
        chunk, rest = u // self.per_chunk, u % self.per_chunk
        digits = {-1: chunk0 + chunk}
        at = digits[-1] * plan.chunk_stride
        for position, (extent, stride) in enumerate(plan.dims):
            inner = math.prod(e for e, _ in plan.dims[position + 1 :])
            digit = digits[position] = rest // inner % extent
            at = at + digit * stride
        source = source.at(at, self.element)
        target = target.at(u * self.plane, self.accumulator)
        if not self.spec.odd:
            self._level(source, target, 0, spill=False)
            return
        assert self.spec.pairs is not None
        assert plan.pairs is not None
        whole = f.index(digits[plan.pairs]).compare(
            "lt", self.spec.k[self.spec.pairs] - 1, signed=False
        )
        with f.either(whole) as arms:
            for arm, self.half in zip(arms, (False, True), strict=True):
                with arm:
                    self._level(source, target, 0, spill=False)

    def _read(self, at: Value, load: Callable[[Value], Value]) -> Value:
        """The lanes at an address as tiles want them; of half a pair the second is zero."""
        return read(self.spec, self.source, at, load, self.half)

    def _level(self, source: Value, target: Value, level: int, *, spill: bool) -> None:
        """Copy one index of the windows above; `spill`: memory behind it is written later."""
        f = self.f
        low, count, w = self.plan.windows[level]
        if level == len(self.plan.windows) - 1:
            self._line(source, target, low, count, w, spill)
            return
        size = math.prod(c for _, c, _ in self.plan.windows[level + 1 :])

        def one(spill: bool, i: Index) -> None:
            p = i + low
            into = target.at(i * size, self.accumulator)
            inside = f.index(p).compare("lt", w.extent, signed=False)
            with f.either(inside) as (then, otherwise):
                with then:
                    row = source.at(p * w.stride, self.element)
                    self._level(row, into, level + 1, spill=spill)
                with otherwise:
                    self._zero(into, size)

        f.repeat(0, count - 1, partial(one, size >= self.lanes))
        one(spill, count - 1)

    def _pieces(self, count: int, body: Callable[[Index, KnownMask], None]) -> None:
        """`body(first, mask)` for each vector of a line: a loop, and the masked rest."""
        whole = count // self.lanes * self.lanes
        if count % self.lanes:
            body(whole, tail(count - whole, self.lanes))
        self.f.repeat(0, whole, lambda i: body(i, None), self.lanes)

    def _zero(self, target: Value, count: int) -> None:
        def put(first: Index, mask: KnownMask) -> None:
            self.f.store(self.zero, target.at(first, self.accumulator), mask)

        self._pieces(count, put)

    def _line(
        self, source: Value, target: Value, low: int, count: int, w: Window, spill: bool
    ) -> None:
        """One line of coordinates: zeros before, the elements, zeros behind."""
        f = self.f
        before = min(max(0, -low), count)
        exist = max(0, min(low + count, w.extent) - max(low, 0))
        behind = count - before - exist
        first = low + before
        if count <= 6 * self.lanes and w.stride == 1 and exist:
            self._short_line(source, target, low, count, w, spill)
            return
        self._zero(target, before)
        self._zero(target.at(before + exist, self.accumulator), behind)
        source = source.at(first * w.stride, self.element)
        target = target.at(before, self.accumulator)
        offsets = f.vector("i64", [i * w.stride for i in range(self.lanes)])

        def move(i: Index, mask: KnownMask) -> None:
            def load(at: Value) -> Value:
                if w.stride == 1:
                    return f.load(self.kind, at, mask)
                return f.gather(self.kind, at.at(offsets, self.element), mask)

            value = self._read(source.at(i * w.stride, self.element), load)
            f.store(value, target.at(i, self.accumulator), mask)

        self._pieces(exist, move)

    def _short_line(
        self, source: Value, target: Value, low: int, count: int, w: Window, spill: bool
    ) -> None:
        """A line of a few vectors: each is one load, of the lanes that exist, and one store."""
        f = self.f
        for first in range(0, count, self.lanes):
            p = range(low + first, low + first + self.lanes)
            inside = tuple(0 <= x < w.extent for x in p)
            mask = None if all(inside) else inside
            value = self.zero
            if any(inside):
                at = source.at(p[0], self.element)
                value = self._read(at, partial(f.load, self.kind, mask=mask))
            kept = None if spill else tail(count - first, self.lanes)
            f.store(value, target.at(first, self.accumulator), kept)
