"""Addresses of an operand's elements from flat indices of the groups batch, m, n and k."""

from __future__ import annotations

import math

from llvmlite import ir

from . import emit
from .emit import Index, Value
from .spec import Contraction, Operand, Window, merge


class Access:
    """The address map of one operand of one contraction, as IR.

    A group's flat index counts its multi-index in row-major order. A group is affine for an operand
    if one stride steps through its flat index; otherwise the flat index is taken apart by division.
    """

    def __init__(self, spec: Contraction, operand: Operand):
        self.operand = operand
        self.element = emit.storage(operand.dtype)
        self.extents = {g: getattr(spec, g) for g in ("batch", "m", "n", "k")}
        self.wide = operand.size >= 2**31

    def stride(self, group: str) -> int | None:
        """The one stride of a group; None if it is not affine."""
        merged = merge(self.extents[group], getattr(self.operand, group))
        if not merged:
            return 0
        return merged[0][1] if len(merged) == 1 else None

    def the_stride(self, group: str) -> int:
        """The one stride of a group that is known to be affine."""
        stride = self.stride(group)
        assert stride is not None
        return stride

    def offset(
        self, b: ir.IRBuilder, group: str, index: Index, what: Operand | Window | None = None
    ) -> Index:
        """How far a flat index of a group moves the address, or a window's coordinate."""
        strides = getattr(what or self.operand, group)
        merged = merge(self.extents[group], strides)
        total: Index = 0
        for position, (extent, stride) in enumerate(merged):
            if stride == 0:
                continue
            inner = math.prod(e for e, _ in merged[position + 1 :])
            digit = emit.div(b, index, inner)
            if position:
                digit = emit.rem(b, digit, extent)
            total = emit.add(b, total, emit.mul(b, digit, stride))
        return total

    def lane_offsets(
        self, b: ir.IRBuilder, group: str, first: Index, width: int, what: Operand | Window
    ) -> Value:
        """The same for `width` flat indices from `first` on, one in each lane."""
        kind = emit.I64 if self.wide else emit.I32
        vector = ir.VectorType(kind, width)
        merged = merge(self.extents[group], getattr(what, group))
        steps = emit.constants(kind, range(width))
        start = emit.const(first)
        if kind is emit.I32:
            start = b.trunc(start, kind)
        if len(merged) <= 1:
            stride = merged[0][1] if merged else 0
            known = emit.known(first)
            if known is not None:
                return emit.constants(kind, [(known + i) * stride for i in range(width)])
            flat = b.add(emit.splat(b, start, width), steps)
            return b.mul(flat, emit.constants(kind, [stride] * width))
        flat = b.add(emit.splat(b, start, width), steps)
        total = ir.Constant(vector, None)
        for position, (extent, stride) in enumerate(merged):
            inner = math.prod(e for e, _ in merged[position + 1 :])
            digit = flat
            if inner > 1:
                digit = b.udiv(digit, emit.constants(kind, [inner] * width))
            if position:
                digit = b.urem(digit, emit.constants(kind, [extent] * width))
            total = b.add(total, b.mul(digit, emit.constants(kind, [stride] * width)))
        return total

    def load_lanes(
        self,
        b: ir.IRBuilder,
        base: Value,
        first: Index,
        width: int,
        mask: Value,
        group: str = "n",
    ) -> Value:
        """Elements at `width` flat indices from `first` on, as they lie in memory.

        `base` is the address for the other groups' indices.
        """
        kind = ir.VectorType(self.element, width)
        stride = self.stride(group)
        if stride == 0:
            return emit.splat(
                b, b.load(base, align=emit.element_bytes(self.element), typ=self.element), width
            )
        if stride == 1:
            address = emit.pointer(b, base, first, self.element)
            return emit.load(b, address, kind, mask)
        base, offsets = self._lanes(b, base, first, width, stride, group)
        addresses = emit.lane_addresses(b, base, offsets, self.element)
        return emit.gather(b, addresses, kind, mask)

    def store_lanes(
        self,
        b: ir.IRBuilder,
        value: Value,
        base: Value,
        first: Index,
        mask: Value,
        group: str = "n",
    ) -> None:
        """Store lanes at flat indices of a group from `first` on."""
        width = value.type.count
        stride = self.stride(group)
        if stride == 1:
            emit.store(b, value, emit.pointer(b, base, first, self.element), mask)
            return
        base, offsets = self._lanes(b, base, first, width, stride, group)
        emit.scatter(b, value, emit.lane_addresses(b, base, offsets, self.element), mask)

    def _lanes(
        self, b: ir.IRBuilder, base: Value, first: Index, width: int, stride: int | None, group: str
    ) -> tuple[Value, Value]:
        if stride is None:
            return base, self.lane_offsets(b, group, first, width, self.operand)
        base = emit.pointer(b, base, emit.mul(b, first, stride), self.element)
        return base, emit.constants(emit.I64, [i * stride for i in range(width)])
