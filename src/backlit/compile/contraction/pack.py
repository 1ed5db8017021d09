"""Packing: panels of an operand copied side by side, in the order the tiles read them.

A panel holds, for each k of a block, `width` neighbouring indices of m or n. Lanes past the end and
elements outside a window are zero.
"""

from __future__ import annotations

from llvmlite import ir

from . import emit
from .access import Access
from .emit import Index, Value
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
        self.vector = ir.VectorType(accumulator, lanes)

    def panel(
        self,
        b: ir.IRBuilder,
        base: Value,
        first: Index,
        valid: int,
        k0: Index,
        count: Index,
        target: Value,
    ) -> None:
        """Copy the panel of the indices from `first` on, of which `valid` exist.

        `base` is the operand's address for the batch index; k runs from k0 to k0 + count.
        """
        stride_lane = self.access.stride(self.group)
        stride_k = self.access.stride("k")
        if self.operand.windows or stride_lane is None or stride_k is None:
            self._general(b, base, first, valid, k0, count, target)
            return
        base = emit.pointer(b, base, emit.mul(b, first, stride_lane), self.access.element)
        base = emit.pointer(b, base, emit.mul(b, k0, stride_k), self.access.element)
        if stride_k == 1 and stride_lane != 1:
            self._transposed(b, base, stride_lane, valid, count, target)
        else:
            self._strided(b, base, stride_lane, stride_k, valid, 0, count, target)

    def _vectors(self, valid: int) -> list[tuple[int, int, int]]:
        """(first lane, lanes that exist, lanes to store) of each vector of a panel."""
        return [
            (v, max(0, min(valid - v, self.lanes)), min(self.width - v, self.lanes))
            for v in range(0, self.width, self.lanes)
        ]

    def _put(
        self, b: ir.IRBuilder, value: Value, target: Value, k: Index, lane: int, kept: int
    ) -> None:
        place = emit.add(b, emit.mul(b, k, self.width), lane)
        address = emit.pointer(b, target, place, self.accumulator)
        emit.store(b, value, address, emit.tail_mask(kept, self.lanes))

    def _strided(
        self,
        b: ir.IRBuilder,
        base: Value,
        stride_lane: int,
        stride_k: int,
        valid: int,
        start: Index,
        count: Index,
        target: Value,
    ) -> None:
        """One k after the other: contiguous lanes, or lanes a stride apart."""
        kind = ir.VectorType(self.access.element, self.lanes)

        def step(k: Index, _: list[Value]) -> list[Value]:
            row = emit.pointer(b, base, emit.mul(b, k, stride_k), self.access.element)
            for lane, exist, kept in self._vectors(valid):
                if exist == 0:
                    value = ir.Constant(self.vector, None)
                else:
                    mask = emit.tail_mask(exist, self.lanes)
                    if stride_lane == 1:
                        address = emit.pointer(b, row, lane, self.access.element)
                        value = emit.load(b, address, kind, mask)
                    else:
                        offsets = [(lane + i) * stride_lane for i in range(self.lanes)]
                        addresses = emit.lane_addresses(
                            b, row, emit.constants(emit.I64, offsets), self.access.element
                        )
                        value = emit.gather(b, addresses, kind, mask)
                    value = emit.widen(b, value, self.operand.dtype, self.accumulator)
                self._put(b, value, target, k, lane, kept)
            return []

        emit.loop(b, start, count, step)

    def _transposed(
        self,
        b: ir.IRBuilder,
        base: Value,
        stride_lane: int,
        valid: int,
        count: Index,
        target: Value,
    ) -> None:
        """Square blocks along contiguous k, turned in registers."""
        kind = ir.VectorType(self.access.element, self.lanes)
        whole = emit.mul(b, emit.div(b, count, self.lanes), self.lanes)

        def block(k: Index, _: list[Value]) -> list[Value]:
            for lane, exist, kept in self._vectors(valid):
                rows = []
                for i in range(self.lanes):
                    if i >= exist:
                        rows.append(ir.Constant(self.vector, None))
                        continue
                    offset = emit.add(b, k, (lane + i) * stride_lane)
                    address = emit.pointer(b, base, offset, self.access.element)
                    value = emit.load(b, address, kind, None)
                    rows.append(emit.widen(b, value, self.operand.dtype, self.accumulator))
                columns = emit.transpose(b, rows) if exist else rows
                for i, column in enumerate(columns):
                    self._put(b, column, target, emit.add(b, k, i), lane, kept)
            return []

        emit.loop(b, 0, whole, block, step=self.lanes)
        self._strided(b, base, stride_lane, 1, valid, whole, count, target)

    def _general(
        self,
        b: ir.IRBuilder,
        base: Value,
        first: Index,
        valid: int,
        k0: Index,
        count: Index,
        target: Value,
    ) -> None:
        """Any address map: each vector is gathered; windows decide which lanes exist."""
        access, operand = self.access, self.operand
        kind = ir.VectorType(access.element, self.lanes)
        integer = emit.I64 if access.wide else emit.I32

        def scalar(index: Index) -> Value:
            value = emit.const(index)
            value = value if integer is emit.I64 else b.trunc(value, integer)
            return emit.splat(b, value, self.lanes)

        vectors = []
        for lane, exist, kept in self._vectors(valid):
            start = emit.add(b, first, lane)
            offsets = access.lane_offsets(b, self.group, start, self.lanes, operand)
            places = [
                access.lane_offsets(b, self.group, start, self.lanes, w) for w in operand.windows
            ]
            vectors.append((lane, exist, kept, offsets, places))

        def step(k: Index, _: list[Value]) -> list[Value]:
            flat = emit.add(b, k0, k)
            row = access.offset(b, "k", flat)
            shifts = [access.offset(b, "k", flat, w) for w in operand.windows]
            for lane, exist, kept, offsets, places in vectors:
                if exist == 0:
                    self._put(b, ir.Constant(self.vector, None), target, k, lane, kept)
                    continue
                mask = emit.tail_mask(exist, self.lanes)
                total = offsets
                for w, place, shift in zip(operand.windows, places, shifts, strict=True):
                    p = b.add(place, scalar(emit.add(b, shift, w.start)))
                    extent = emit.constants(integer, [w.extent] * self.lanes)
                    inside = b.icmp_unsigned("<", p, extent)
                    mask = inside if mask is None else b.and_(mask, inside)
                    stride = emit.constants(integer, [w.stride] * self.lanes)
                    total = b.add(total, b.mul(p, stride))
                source = emit.pointer(b, base, row, access.element)
                addresses = emit.lane_addresses(b, source, total, access.element)
                value = emit.gather(b, addresses, kind, mask)
                value = emit.widen(b, value, operand.dtype, self.accumulator)
                self._put(b, value, target, k, lane, kept)
            return []

        emit.loop(b, 0, count, step)
