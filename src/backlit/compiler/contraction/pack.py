"""Packing: panels of an operand copied side by side, in the order the tiles read them.

A panel holds, for each k of a block, `width` neighbouring indices of m or n. Lanes past the end of
the last vector that is used, and elements outside a window, are zero. Operands that are narrower
than the sums are widened, or put together in pairs, on the way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from llvmlite import ir

from . import emit
from .access import Access
from .emit import Index, Value
from .pairs import runs, spacing
from .spec import Contraction, Operand


class Packer:
    """Copies panels of one operand; `group` is the one the lanes run along."""

    def __init__(
        self,
        spec: Contraction,
        operand: Operand,
        group: str,
        width: int,
        lanes: int,
        accumulator: ir.Type,
    ):
        self.operand, self.group, self.width, self.lanes = operand, group, width, lanes
        self.accumulator = accumulator
        self.access = Access(spec, operand)
        self.size = spec.size(group)
        self.vector = ir.VectorType(accumulator, lanes)
        self.stride_lane = self.access.stride(group)
        self.runs = runs(spec, operand)
        self.spec, self.step = spec, spacing(operand)
        self.affine = not operand.windows and self.stride_lane is not None

    def panel(
        self,
        b: ir.IRBuilder,
        base: Value,
        first: Index,
        k0: Index,
        count: Index,
        target: Value,
    ) -> None:
        """Copy the panel of the indices from `first` on, as many as there are.

        `base` is the operand's address for the batch index; k runs from k0 to k0 + count.
        """

        def whole(lane: Index, _: list[Value]) -> list[Value]:
            self._column(b, base, first, lane, self.lanes, self.lanes, k0, count, target)
            return []

        def rest(valid: int) -> None:
            exist = valid % self.lanes
            lane = valid - exist
            kept = min(self.width - lane, self.lanes)
            if exist:
                self._column(b, base, first, lane, exist, kept, k0, count, target)

        tail = self.size % self.width
        if tail == 0 or self.size < self.width:
            valid = tail or self.width
            emit.loop(b, 0, valid // self.lanes * self.lanes, whole, step=self.lanes)
            rest(valid)
            return
        last = b.icmp_unsigned(">", emit.const(first), emit.const(self.size - self.width))
        full = [emit.const(v // self.lanes * self.lanes) for v in (tail, self.width)]
        emit.loop(b, 0, b.select(last, *full), whole, step=self.lanes)
        with b.if_else(last) as (then, otherwise):
            with then:
                rest(tail)
            with otherwise:
                rest(self.width)

    def _column(
        self,
        b: ir.IRBuilder,
        base: Value,
        first: Index,
        lane: Index,
        exist: int,
        kept: int,
        k0: Index,
        count: Index,
        target: Value,
    ) -> None:
        """Copy one vector's lanes of a panel: `exist` are read, `kept` are written."""
        target = emit.pointer(b, target, lane, self.accumulator)
        index = emit.add(b, first, lane)
        if not self.affine:
            self._general(b, base, index, exist, kept, k0, count, target)
            return
        element = self.access.element
        base = emit.pointer(b, base, emit.mul(b, index, self.stride_lane), element)
        run, stride = self.runs[-1]
        if len(self.runs) == 1:
            base = emit.pointer(b, base, emit.mul(b, k0, stride), element)
            self._whole_or_not(b, base, stride, exist, kept, k0, count, target)
            return

        def one(o: Index, _: list[Value]) -> list[Value]:
            k = emit.add(b, k0, emit.mul(b, o, run))
            start = emit.pointer(b, base, self.access.offset(b, "k", k), element)
            into = emit.mul(b, emit.mul(b, o, run), self.width)
            into = emit.pointer(b, target, into, self.accumulator)
            self._whole_or_not(b, start, stride, exist, kept, k, run, into)
            return []

        emit.loop(b, 0, emit.div(b, count, run), one)

    def _whole_or_not(
        self,
        b: ir.IRBuilder,
        base: Value,
        stride: int,
        exist: int,
        kept: int,
        k: Index,
        count: Index,
        target: Value,
    ) -> None:
        """Copy a run that begins at k; the last pair of an odd index is one element and a zero."""
        if not self.spec.odd:
            self._run(b, base, stride, exist, kept, count, target)
            return
        pairs, inner = self._odd_index()
        digit = emit.rem(b, emit.div(b, k, inner), pairs)
        if inner == 1:
            whole = emit.minimum(b, count, emit.sub(b, pairs - 1, digit))
            self._run(b, base, stride, exist, kept, whole, target)
            self._strided(b, base, stride, exist, kept, whole, count, target, half=True)
            return
        last = b.icmp_unsigned("==", emit.const(digit), emit.const(pairs - 1))
        with b.if_else(last) as (then, otherwise):
            with then:
                self._strided(b, base, stride, exist, kept, 0, count, target, half=True)
            with otherwise:
                self._run(b, base, stride, exist, kept, count, target)

    def _odd_index(self) -> tuple[int, int]:
        """How many pairs the index of pairs counts, and how many k each of them stands for."""
        at = self.spec.pairs
        assert at is not None
        return self.spec.k[at], math.prod(self.spec.k[at + 1 :])

    def _read(
        self, b: ir.IRBuilder, at: Value, load: Callable[[Value], Value], half: bool = False
    ) -> Value:
        """The lanes at an address as tiles want them; of `half` a pair the second is zero."""
        if self.spec.pairs is None:
            return emit.widen(b, load(at), self.operand.dtype, self.accumulator)
        second = None
        if not half:
            second = load(emit.pointer(b, at, self.operand.pair, self.access.element))
        return emit.pairs(b, load(at), second)

    def _run(
        self,
        b: ir.IRBuilder,
        base: Value,
        stride: int,
        exist: int,
        kept: int,
        count: Index,
        target: Value,
    ) -> None:
        """Copy along k where one stride steps through it."""
        known = emit.known(count)
        apart = abs(stride) != self.step
        if apart or self.stride_lane == 1 or (known is not None and known < 4):
            self._strided(b, base, stride, exist, kept, 0, count, target)
        elif stride > 0:
            self._transposed(b, base, exist, kept, count, target)
        else:
            last = emit.sub(b, count, 1)
            base = emit.pointer(b, base, emit.mul(b, last, stride), self.access.element)
            target = emit.pointer(b, target, emit.mul(b, last, self.width), self.accumulator)
            self._transposed(b, base, exist, kept, count, target, backwards=True)

    def _put(self, b: ir.IRBuilder, value: Value, target: Value, k: Index, kept: int) -> None:
        address = emit.pointer(b, target, emit.mul(b, k, self.width), self.accumulator)
        emit.store(b, value, address, emit.tail_mask(kept, self.lanes))

    def _strided(
        self,
        b: ir.IRBuilder,
        base: Value,
        stride_k: int,
        exist: int,
        kept: int,
        start: Index,
        count: Index,
        target: Value,
        sign: int = 1,
        half: bool = False,
    ) -> None:
        """One k after the other: contiguous lanes, or lanes a stride apart."""
        element = self.access.element
        kind = ir.VectorType(element, self.lanes)
        mask = emit.tail_mask(exist, self.lanes)
        stride = self.access.the_stride(self.group)
        offsets = emit.constants(emit.I64, [i * stride for i in range(self.lanes)])

        def load(at: Value) -> Value:
            if stride == 1:
                return emit.load(b, at, kind, mask)
            return emit.gather(b, emit.lane_addresses(b, at, offsets, element), kind, mask)

        def step(k: Index, _: list[Value]) -> list[Value]:
            row = emit.pointer(b, base, emit.mul(b, k, stride_k), element)
            value = self._read(b, row, load, half)
            self._put(b, value, target, emit.mul(b, k, sign), kept)
            return []

        emit.loop(b, start, count, step)

    def _transposed(
        self,
        b: ir.IRBuilder,
        base: Value,
        exist: int,
        kept: int,
        count: Index,
        target: Value,
        *,
        backwards: bool = False,
    ) -> None:
        """Square blocks along contiguous k, turned in registers; `backwards` reverses k."""
        element = self.access.element
        kind = ir.VectorType(element, self.step * self.lanes)
        whole = emit.mul(b, emit.div(b, count, self.lanes), self.lanes)
        stride_lane = self.access.the_stride(self.group)
        sign = -1 if backwards else 1

        def block(columns: int, k: Index, _: list[Value]) -> list[Value]:
            corner = emit.pointer(b, base, emit.mul(b, k, self.step), element)
            rows = [ir.Constant(self.vector, None)] * self.lanes
            mask = emit.tail_mask(self.step * columns, kind.count)

            def load(at: Value) -> Value:
                return emit.load(b, at, kind, mask)

            for i in range(exist):
                at = emit.pointer(b, corner, i * stride_lane, element)
                if self.step == 2:
                    rows[i] = b.bitcast(load(at), self.vector)
                else:
                    rows[i] = self._read(b, at, load)
            step = emit.mul(b, k, sign * self.width)
            into = emit.pointer(b, target, step, self.accumulator)
            for i, column in enumerate(emit.transpose(b, rows)[:columns]):
                self._put(b, column, into, sign * i, kept)
            return []

        emit.loop(b, 0, whole, partial(block, self.lanes), step=self.lanes)
        known = emit.known(count)
        if known is None or known < 4:
            self._strided(b, base, self.step, exist, kept, whole, count, target, sign)
        elif known % self.lanes:
            block(known % self.lanes, whole, [])

    def _general(
        self,
        b: ir.IRBuilder,
        base: Value,
        first: Index,
        exist: int,
        kept: int,
        k0: Index,
        count: Index,
        target: Value,
    ) -> None:
        """Any address map: lanes are gathered; windows decide which of them exist."""
        access, operand = self.access, self.operand
        kind = ir.VectorType(access.element, self.lanes)
        integer = emit.I64 if access.wide else emit.I32

        def scalar(index: Index) -> Value:
            value = emit.const(index)
            value = value if integer is emit.I64 else b.trunc(value, integer)
            return emit.splat(b, value, self.lanes)

        offsets = access.lane_offsets(b, self.group, first, self.lanes, operand)
        places = [access.lane_offsets(b, self.group, first, self.lanes, w) for w in operand.windows]

        def step(k: Index, _: list[Value]) -> list[Value]:
            flat = emit.add(b, k0, k)
            row = access.offset(b, "k", flat)
            mask = emit.tail_mask(exist, self.lanes)
            total = offsets
            for w, place in zip(operand.windows, places, strict=True):
                shift = emit.add(b, access.offset(b, "k", flat, w), w.start)
                p = b.add(place, scalar(shift))
                if w.step > 1:
                    step = emit.constants(integer, [w.step] * self.lanes)
                    whole = b.icmp_signed("==", b.srem(p, step), ir.Constant(p.type, None))
                    mask = whole if mask is None else b.and_(mask, whole)
                    p = b.sdiv(p, step)
                extent = emit.constants(integer, [w.extent] * self.lanes)
                inside = b.icmp_unsigned("<", p, extent)
                mask = inside if mask is None else b.and_(mask, inside)
                stride = emit.constants(integer, [w.stride] * self.lanes)
                total = b.add(total, b.mul(p, stride))
            source = emit.pointer(b, base, row, access.element)

            def load(at: Value) -> Value:
                return emit.gather(b, emit.lane_addresses(b, at, total, access.element), kind, mask)

            if not self.spec.odd:
                self._put(b, self._read(b, source, load), target, k, kept)
                return []
            pairs, inner = self._odd_index()
            digit = emit.rem(b, emit.div(b, flat, inner), pairs)
            last = b.icmp_unsigned("==", emit.const(digit), emit.const(pairs - 1))
            with b.if_else(last) as (then, otherwise):
                with then:
                    self._put(b, self._read(b, source, load, half=True), target, k, kept)
                with otherwise:
                    self._put(b, self._read(b, source, load), target, k, kept)
            return []

        emit.loop(b, 0, count, step)
