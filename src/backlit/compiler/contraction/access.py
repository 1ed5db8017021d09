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
        if emit.known(index) == 0:
            return 0
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

    def local(self, group: str, index: int) -> int:
        """How far a small flat index, counted from a tile's first, moves the address."""
        total = 0
        for extent, stride in reversed(merge(self.extents[group], getattr(self.operand, group))):
            total += index % extent * stride
            index //= extent
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
        self, b: ir.IRBuilder, base: Value, lanes: Value, width: int, mask: Value
    ) -> Value:
        """Elements at a base and the offsets of lanes (see `lanes`), as they lie in memory."""
        kind = ir.VectorType(self.element, width)
        if lanes == "equal":
            align = emit.element_bytes(self.element)
            return emit.splat(b, b.load(base, align=align, typ=self.element), width)
        if lanes == "contiguous":
            return emit.load(b, base, kind, mask)
        if isinstance(lanes, int):
            return emit.load_apart(b, base, kind, lanes, mask)
        return emit.gather(b, emit.lane_addresses(b, base, lanes, self.element), kind, mask)

    def store_lanes(
        self, b: ir.IRBuilder, value: Value, base: Value, lanes: Value, mask: Value
    ) -> None:
        """Store at a base and the offsets of lanes (see `lanes`)."""
        if isinstance(lanes, str):  # one address means one lane: outputs write no element twice
            emit.store(b, value, base, mask)
            return
        if isinstance(lanes, int):
            emit.store_apart(b, value, base, lanes, mask)
            return
        emit.scatter(b, value, emit.lane_addresses(b, base, lanes, self.element), mask)

    def lanes(
        self,
        b: ir.IRBuilder,
        base: Value,
        group: str,
        first: Index,
        local: int,
        width: int,
        steady: bool,
    ) -> tuple[Value, Value]:
        """Where `width` lanes from the flat index `first` + `local` on lie: a base and offsets.

        `first` begins a tile; `steady` says that the steps inside it are the same in every tile.
        The offsets are a vector, or "contiguous", or a small number of elements from lane to lane,
        or "equal" where there is one address.
        """
        stride = self.stride(group)
        merged = merge(self.extents[group], getattr(self.operand, group))
        if stride is None and not steady and merged[-1][1] == 1 and merged[-1][0] % width == 0:
            at = self.offset(b, group, emit.add(b, first, local))
            return emit.pointer(b, base, at, self.element), "contiguous"
        if stride is None and not steady:
            first = emit.add(b, first, local)
            return base, self.lane_offsets(b, group, first, width, self.operand)
        base = emit.pointer(b, base, self.offset(b, group, first), self.element)
        start = self.local(group, local) if stride is None else local * stride
        base = emit.pointer(b, base, start, self.element)
        steps = [
            (self.local(group, local + i) - start if stride is None else i * stride)
            for i in range(width)
        ]
        if steps == list(range(width)):
            return base, "contiguous"
        if not any(steps):
            return base, "equal"
        apart = width > 1 and steps[1]
        if 2 <= apart <= 4 and steps == list(range(0, width * apart, apart)):
            return base, apart
        return base, emit.constants(emit.I64, steps)
