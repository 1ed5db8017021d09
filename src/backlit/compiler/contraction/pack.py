"""Packing: panels of an operand copied side by side, in the order the tiles read them.

A panel holds, for each k of a block, `width` neighbouring indices of m or n. Lanes past the end of
the last vector that is used, and elements outside a window, are zero. Operands that are narrower
than the sums are widened, or put together in pairs, on the way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from ..llvm.builder import Function, Index, Value, known
from ..llvm.types import vector_type
from . import lanes as vectors
from .addresses import AddressMap
from .pairs import runs, spacing
from .spec import Contraction, Operand, Window


@dataclass(frozen=True)
class _Column:
    """A vector's width of a panel: `exist` lanes are read, `kept` are written from `target` on."""

    exist: int
    kept: int
    target: Value


class Packer:
    """Copies panels of one operand; `group` is the one the lanes run along."""

    def __init__(
        self,
        f: Function,
        spec: Contraction,
        operand: Operand,
        group: str,
        width: int,
        lanes: int,
        accumulator: str,
    ):
        self.f = f
        self.operand, self.group, self.width, self.lanes = operand, group, width, lanes
        self.accumulator = accumulator
        self.address_map = AddressMap(spec, operand)
        self.size = spec.size(group)
        self.vector = vector_type(accumulator, lanes)
        self.stride_lane = self.address_map.stride(group)
        self.runs = runs(spec, operand)
        self.spec, self.step = spec, spacing(operand)
        self.affine = not operand.windows and self.stride_lane is not None

    def panel(self, base: Value, first: Index, k0: Index, count: Index, target: Value) -> None:
        """Copy the panel of the indices from `first` on, as many as there are.

        `base` is the operand's address for the batch index; k runs from k0 to k0 + count.
        """
        f, lanes = self.f, self.lanes

        def whole(lane: Index) -> None:
            into = target.at(lane, self.accumulator)
            self._column(base, first + lane, k0, count, _Column(lanes, lanes, into))

        def rest(valid: int) -> None:
            exist = valid % lanes
            lane = valid - exist
            if exist:
                into = target.at(lane, self.accumulator)
                column = _Column(exist, min(self.width - lane, lanes), into)
                self._column(base, first + lane, k0, count, column)

        short = self.size % self.width
        if short == 0 or self.size < self.width:
            valid = short or self.width
            f.repeat(0, valid // lanes * lanes, whole, lanes)
            rest(valid)
            return
        last = f.index(first).compare("gt", self.size - self.width, signed=False)
        full = [f.index(v // lanes * lanes) for v in (short, self.width)]
        f.repeat(0, last.select(*full), whole, lanes)
        with f.either(last) as (then, otherwise):
            with then:
                rest(short)
            with otherwise:
                rest(self.width)

    def _column(self, base: Value, index: Index, k0: Index, count: Index, c: _Column) -> None:
        """Copy one vector's width, from an index of m or n on."""
        if self.stride_lane is None or not self.affine:
            self._general(base, index, k0, count, c)
            return
        element = self.address_map.element
        base = base.at(index * self.stride_lane, element)
        run, stride = self.runs[-1]
        if len(self.runs) == 1:
            self._whole_or_not(base.at(k0 * stride, element), stride, k0, count, c)
            return

        def one(o: Index) -> None:
            k = k0 + o * run
            start = base.at(self.address_map.offset("k", k), element)
            into = c.target.at(o * run * self.width, self.accumulator)
            self._whole_or_not(start, stride, k, run, replace(c, target=into))

        self.f.repeat(0, count // run, one)

    def _whole_or_not(self, base: Value, stride: int, k: Index, count: Index, c: _Column) -> None:
        """Copy a run that begins at k; the last pair of an odd index is one element and a zero."""
        f = self.f
        if not self.spec.odd:
            self._run(base, stride, count, c)
            return
        pairs, inner = self._odd_index()
        digit = k // inner % pairs
        if inner == 1:
            whole = f.minimum(count, pairs - 1 - digit)
            self._run(base, stride, whole, c)
            self._strided(base, stride, whole, count, c, half=True)
            return
        with f.either(f.index(digit).compare("eq", pairs - 1)) as (then, otherwise):
            with then:
                self._strided(base, stride, 0, count, c, half=True)
            with otherwise:
                self._run(base, stride, count, c)

    def _odd_index(self) -> tuple[int, int]:
        """How many pairs the index of pairs counts, and how many k each of them stands for."""
        at = self.spec.pairs
        assert at is not None
        return self.spec.k[at], math.prod(self.spec.k[at + 1 :])

    def _read(self, at: Value, load: Callable[[Value], Value], half: bool = False) -> Value:
        """The lanes at an address as tiles want them; of `half` a pair the second is zero."""
        return vectors.read(self.spec, self.operand, at, load, half)

    def _run(self, base: Value, stride: int, count: Index, c: _Column) -> None:
        """Copy along k where one stride steps through it."""
        number = known(count)
        apart = abs(stride) != self.step
        if apart or self.stride_lane == 1 or (number is not None and number < 4):
            self._strided(base, stride, 0, count, c)
        elif stride > 0:
            self._transposed(base, count, c)
        else:
            last = count - 1
            base = base.at(last * stride, self.address_map.element)
            into = c.target.at(last * self.width, self.accumulator)
            self._transposed(base, count, replace(c, target=into), sign=-1)

    def _put(self, value: Value, k: Index, c: _Column) -> None:
        at = c.target.at(k * self.width, self.accumulator)
        self.f.store(value, at, vectors.tail(c.kept, self.lanes))

    def _strided(
        self,
        base: Value,
        stride_k: int,
        start: Index,
        count: Index,
        c: _Column,
        *,
        sign: int = 1,
        half: bool = False,
    ) -> None:
        """One k after the other: contiguous lanes, or lanes a stride apart."""
        f, element = self.f, self.address_map.element
        kind = vector_type(element, self.lanes)
        mask = vectors.tail(c.exist, self.lanes)
        stride = self.address_map.the_stride(self.group)
        offsets = f.vector("i64", [i * stride for i in range(self.lanes)])

        def load(at: Value) -> Value:
            if stride == 1:
                return f.load(kind, at, mask)
            return f.gather(kind, at.at(offsets, element), mask)

        def one(k: Index) -> None:
            value = self._read(base.at(k * stride_k, element), load, half)
            self._put(value, k * sign, c)

        f.repeat(start, count, one)

    def _transposed(self, base: Value, count: Index, c: _Column, *, sign: int = 1) -> None:
        """Square blocks along contiguous k, turned in registers; a sign of -1 reverses k."""
        f, element, lanes = self.f, self.address_map.element, self.lanes
        kind = vector_type(element, self.step * lanes)
        whole = count // lanes * lanes
        stride_lane = self.address_map.the_stride(self.group)

        def block(columns: int, k: Index) -> None:
            corner = base.at(k * self.step, element)
            rows = [f.const(self.vector, 0)] * lanes
            mask = vectors.tail(self.step * columns, self.step * lanes)

            def load(at: Value) -> Value:
                return f.load(kind, at, mask)

            for i in range(c.exist):
                at = corner.at(i * stride_lane, element)
                if self.step == 2:
                    rows[i] = load(at).cast("bitcast", self.vector)
                else:
                    rows[i] = self._read(at, load)
            into = c.target.at(k * (sign * self.width), self.accumulator)
            for i, column in enumerate(vectors.transpose(rows)[:columns]):
                self._put(column, sign * i, replace(c, target=into))

        f.repeat(0, whole, partial(block, lanes), lanes)
        number = known(count)
        if number is None or number < 4:
            self._strided(base, self.step, whole, count, c, sign=sign)
        elif number % lanes:
            block(number % lanes, whole)

    def _general(self, base: Value, first: Index, k0: Index, count: Index, c: _Column) -> None:
        """Any address map: lanes are gathered; windows decide which of them exist."""
        f, address_map, operand = self.f, self.address_map, self.operand
        kind = vector_type(address_map.element, self.lanes)

        def along(what: Operand | Window) -> Value:
            return address_map.lane_offsets(f, self.group, first, self.lanes, what)

        offsets = along(operand)
        places = [along(w) for w in operand.windows]

        def lanes_at(k: Index) -> tuple[Value, Value | None]:
            """Offsets and mask of the lanes at a k."""
            mask: Value | None = None
            if c.exist < self.lanes:
                mask = f.vector("i1", [int(i < c.exist) for i in range(self.lanes)])
            total = offsets
            for w, place in zip(operand.windows, places, strict=True):
                shift = f.index(address_map.offset("k", k, w) + w.start)
                if not address_map.wide:
                    shift = shift.cast("trunc", "i32")
                p = place + shift.splat(self.lanes)
                if w.step > 1:
                    whole = p.op("srem", w.step).compare("eq", 0)
                    mask = whole if mask is None else mask & whole
                    p = p / w.step
                inside = p.compare("lt", w.extent, signed=False)
                mask = inside if mask is None else mask & inside
                total = total + p * w.stride
            return total, mask

        def one(k: Index) -> None:
            flat = k0 + k
            row = address_map.offset("k", flat)
            total, mask = lanes_at(flat)
            source = base.at(row, address_map.element)

            def load(at: Value) -> Value:
                return f.gather(kind, at.at(total, address_map.element), mask)

            if not self.spec.odd:
                self._put(self._read(source, load), k, c)
                return
            pairs, inner = self._odd_index()
            digit = f.index(flat // inner % pairs)
            with f.either(digit.compare("eq", pairs - 1)) as arms:
                for arm, half in zip(arms, (True, False), strict=True):
                    with arm:
                        self._put(self._read(source, load, half), k, c)

        f.repeat(0, count, one)
