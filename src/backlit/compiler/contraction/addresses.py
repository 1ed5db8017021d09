"""Addresses of an operand's elements from flat indices of the groups batch, m, n and k."""

from __future__ import annotations

import math
from typing import Literal

from ..llvm.builder import Function, Index, KnownMask, Value, known
from ..llvm.scalar import memory_type
from ..llvm.types import vector_type
from . import lanes as vectors
from .spec import Contraction, Operand, Window, merge

#: Where the lanes of a vector lie from a base on: all in one place, next to each other, a small
#: number of elements apart, or at a vector of offsets.
Lanes = Literal["equal", "contiguous"] | int | Value


class AddressMap:
    """The address map of one operand of one contraction, as IR.

    A group's flat index counts its multi-index in row-major order. A group is affine for an operand
    if one stride steps through its flat index; otherwise the flat index is taken apart by division.
    """

    def __init__(self, spec: Contraction, operand: Operand):
        self.operand = operand
        self.element = memory_type(operand.dtype)
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

    def offset(self, group: str, index: Index, what: Operand | Window | None = None) -> Index:
        """How far a flat index of a group moves the address, or a window's coordinate."""
        if known(index) == 0:
            return 0
        merged = merge(self.extents[group], getattr(what or self.operand, group))
        total: Index = 0
        for position, (extent, stride) in enumerate(merged):
            if stride == 0:
                continue
            digit = index // math.prod(e for e, _ in merged[position + 1 :])
            if position:
                digit = digit % extent
            total = total + digit * stride
        return total

    def local(self, group: str, index: int) -> int:
        """How far a small flat index, counted from a tile's first, moves the address."""
        total = 0
        for extent, stride in reversed(merge(self.extents[group], getattr(self.operand, group))):
            total += index % extent * stride
            index //= extent
        return total

    def lane_offsets(
        self, f: Function, group: str, first: Index, width: int, what: Operand | Window
    ) -> Value:
        """The same for `width` flat indices from `first` on, one in each lane."""
        kind = "i64" if self.wide else "i32"
        merged = merge(self.extents[group], getattr(what, group))
        number = known(first)
        if len(merged) <= 1 and number is not None:
            stride = merged[0][1] if merged else 0
            return f.vector(kind, [(number + i) * stride for i in range(width)])
        start = f.index(first)
        if not self.wide:
            start = start.cast("trunc", kind)
        flat = start.splat(width) + f.vector(kind, range(width))
        if len(merged) <= 1:
            return flat * (merged[0][1] if merged else 0)
        total = f.const(vector_type(kind, width), 0)
        for position, (extent, stride) in enumerate(merged):
            inner = math.prod(e for e, _ in merged[position + 1 :])
            digit = flat // inner if inner > 1 else flat
            if position:
                digit = digit % extent
            total = total + digit * stride
        return total

    def load_lanes(self, base: Value, lanes: Lanes, width: int, mask: KnownMask) -> Value:
        """Elements at a base and the offsets of lanes, as they lie in memory."""
        f, kind = base.function, vector_type(self.element, width)
        if lanes == "equal":
            return f.load(self.element, base).splat(width)
        if lanes == "contiguous":
            return f.load(kind, base, mask)
        if isinstance(lanes, int):
            return vectors.load_apart(kind, base, lanes, mask)
        return f.gather(kind, base.at(lanes, self.element), mask)

    def store_lanes(self, value: Value, base: Value, lanes: Lanes, mask: KnownMask) -> None:
        """Store at a base and the offsets of lanes."""
        f = base.function
        if isinstance(lanes, str):  # one address means one lane: outputs write no element twice
            f.store(value, base, mask)
        elif isinstance(lanes, int):
            vectors.store_apart(value, base, lanes, mask)
        else:
            f.scatter(value, base.at(lanes, self.element), mask)

    def lanes(
        self, base: Value, group: str, first: Index, local: int, width: int, steady: bool
    ) -> tuple[Value, Lanes]:
        """Where `width` lanes from the flat index `first` + `local` on lie: a base and offsets.

        `first` begins a tile; `steady` says that the steps inside it are the same in every tile.
        """
        stride = self.stride(group)
        merged = merge(self.extents[group], getattr(self.operand, group))
        if stride is None and not steady:
            if merged[-1][1] == 1 and merged[-1][0] % width == 0:
                return base.at(self.offset(group, first + local), self.element), "contiguous"
            offsets = self.lane_offsets(base.function, group, first + local, width, self.operand)
            return base, offsets
        if stride is None:
            start = self.local(group, local)
            steps = [self.local(group, local + i) - start for i in range(width)]
        else:
            start, steps = local * stride, [i * stride for i in range(width)]
        base = base.at(self.offset(group, first), self.element).at(start, self.element)
        if steps == list(range(width)):
            return base, "contiguous"
        if not any(steps):
            return base, "equal"
        apart = width > 1 and steps[1]
        if 2 <= apart <= 4 and steps == list(range(0, width * apart, apart)):
            return base, apart
        return base, base.function.vector("i64", steps)
