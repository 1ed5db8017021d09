"""Small pieces of LLVM IR that the contraction kernels are put together from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

I1, I8, I16 = ir.IntType(1), ir.IntType(8), ir.IntType(16)
I32, I64 = ir.IntType(32), ir.IntType(64)
F16, F32, F64 = ir.HalfType(), ir.FloatType(), ir.DoubleType()
POINTER = ir.PointerType()


class _BFloatType(ir.Type):
    """LLVM's bfloat, which llvmlite lacks: for an instruction. In memory bfloat16 is I16."""

    def _to_string(self) -> str:
        return "bfloat"


_BFLOAT = _BFloatType()

Value = Any  # an ir.Value of llvmlite, which has no type information
Index = Any  # an int that is known now, or a Value of type i64

_STORAGE = {
    "bool": I8,
    "int8": I8,
    "uint8": I8,
    "int16": I16,
    "uint16": I16,
    "int32": I32,
    "uint32": I32,
    "int64": I64,
    "uint64": I64,
    "float16": F16,
    "bfloat16": I16,
    "float32": F32,
    "float64": F64,
}


def storage(dtype: np.dtype) -> ir.Type:
    """The LLVM type of one element in memory."""
    return _STORAGE[dtype.name]


def const(x: Index) -> Value:
    """A 64-bit index."""
    return ir.Constant(I64, x) if isinstance(x, int) else x


def known(x: Index) -> int | None:
    """The value of an index that is a constant."""
    if isinstance(x, int):
        return x
    return x.constant if isinstance(x, ir.Constant) else None


def add(b: ir.IRBuilder, x: Index, y: Index) -> Index:
    """x + y, folded where possible."""
    first, second = known(x), known(y)
    if first is not None and second is not None:
        return first + second
    if known(x) == 0:
        return y
    return x if known(y) == 0 else b.add(const(x), const(y))


def sub(b: ir.IRBuilder, x: Index, y: Index) -> Index:
    """x - y, folded where possible."""
    first, second = known(x), known(y)
    if first is not None and second is not None:
        return first - second
    return x if known(y) == 0 else b.sub(const(x), const(y))


def mul(b: ir.IRBuilder, x: Index, y: Index) -> Index:
    """x · y, folded where possible."""
    first, second = known(x), known(y)
    if first is not None and second is not None:
        return first * second
    if 0 in (known(x), known(y)):
        return 0
    if known(x) == 1:
        return y
    return x if known(y) == 1 else b.mul(const(x), const(y))


def div(b: ir.IRBuilder, x: Index, y: Index) -> Index:
    """⌊x / y⌋ of indices that are not negative, folded where possible."""
    first, second = known(x), known(y)
    if first is not None and second is not None:
        return first // second
    return x if known(y) == 1 else b.udiv(const(x), const(y))


def rem(b: ir.IRBuilder, x: Index, y: Index) -> Index:
    """x mod y of indices that are not negative, folded where possible."""
    first, second = known(x), known(y)
    if first is not None and second is not None:
        return first % second
    return 0 if known(y) == 1 else b.urem(const(x), const(y))


def minimum(b: ir.IRBuilder, x: Index, y: Index) -> Index:
    """The smaller index, folded where possible."""
    first, second = known(x), known(y)
    if first is not None and second is not None:
        return min(first, second)
    return b.select(b.icmp_signed("<", const(x), const(y)), const(x), const(y))


def ceil_div(b: ir.IRBuilder, x: Index, y: int) -> Index:
    """⌈x / y⌉."""
    return div(b, add(b, x, y - 1), y)


def loop(
    b: ir.IRBuilder,
    start: Index,
    stop: Index,
    body: Callable[[Index, list[Value]], Sequence[Value]],
    carried: Sequence[Value] = (),
    step: int = 1,
) -> list[Value]:
    """`for i in range(start, stop, step)`; the body maps carried values to their next ones."""
    first, last = known(start), known(stop)
    if first is not None and last is not None:
        if first >= last:
            return list(carried)
        if first + step >= last:
            return list(body(first, list(carried)))
    before = b.block
    inside = b.append_basic_block("loop")
    after = b.append_basic_block("done")
    if first is not None and last is not None:
        b.branch(inside)
    else:
        b.cbranch(b.icmp_signed("<", const(start), const(stop)), inside, after)
    b.position_at_end(inside)
    i = b.phi(I64)
    i.add_incoming(const(start), before)
    phis = []
    for value in carried:
        phi = b.phi(value.type)
        phi.add_incoming(value, before)
        phis.append(phi)
    results = list(body(i, list(phis)))
    following = b.add(i, ir.Constant(I64, step))
    end = b.block
    i.add_incoming(following, end)
    for phi, value in zip(phis, results, strict=True):
        phi.add_incoming(value, end)
    branch = b.cbranch(b.icmp_signed("<", following, const(stop)), inside, after)
    branch.set_metadata("llvm.loop", _no_unroll(b.module))
    b.position_at_end(after)
    if first is not None and last is not None:
        return results
    outs = []
    for value, result in zip(carried, results, strict=True):
        phi = b.phi(value.type)
        phi.add_incoming(value, before)
        phi.add_incoming(result, end)
        outs.append(phi)
    return outs


def _no_unroll(module: ir.Module) -> ir.MDValue:
    return module.add_metadata([module.add_metadata(["llvm.loop.unroll.disable"])])


def pointer(b: ir.IRBuilder, base: Value, offset: Index, element: ir.Type) -> Value:
    """The address `offset` elements after `base`."""
    if known(offset) == 0:
        return base
    return b.gep(base, [const(offset)], source_etype=element)


def renewed(b: ir.IRBuilder, address: Value) -> Value:
    """The same address, unknown to the optimiser as such.

    Loads through it are not joined with earlier ones. Joined loads of overlapping windows live long
    and push accumulators out of the registers.
    """
    return b.asm(ir.FunctionType(POINTER, [POINTER]), "", "=r,0", [address], False)


def splat(b: ir.IRBuilder, value: Value, width: int) -> Value:
    """A vector with the value in every lane."""
    kind = ir.VectorType(value.type, width)
    first = b.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(I32, 0))
    zeros = ir.Constant(ir.VectorType(I32, width), [0] * width)
    return b.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)


def shuffle(b: ir.IRBuilder, x: Value, y: Value, lanes: Sequence[int]) -> Value:
    """The lanes of x and y, numbered in one row, that are listed."""
    return b.shuffle_vector(x, y, _lanes(tuple(lanes)))


@functools.lru_cache(1024)
def _lanes(lanes: tuple[int, ...]) -> Value:
    """Lane numbers of a shuffle. One object for equal ones: its text is written once."""
    return ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes))


def constants(kind: ir.Type, values: Sequence[int]) -> Value:
    """A vector of constants."""
    return ir.Constant(ir.VectorType(kind, len(values)), list(values))


@functools.lru_cache(256)
def tail_mask(count: int, width: int) -> Value:
    """The mask of the first `count` lanes; None if that is all of them."""
    if count >= width:
        return None
    return ir.Constant(ir.VectorType(I1, width), [int(i < count) for i in range(width)])


def suffix(kind: ir.Type) -> str:
    """The type's name in the names of intrinsics."""
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{suffix(kind.element)}"
    if isinstance(kind, ir.IntType):
        return f"i{kind.width}"
    return {"half": "f16", "float": "f32", "double": "f64"}[str(kind)]


def intrinsic(b: ir.IRBuilder, name: str, result: ir.Type, args: Sequence[Value]) -> Value:
    """A call of an LLVM intrinsic by its full name."""
    function = b.module.globals.get(name)
    if function is None:
        function = ir.Function(b.module, ir.FunctionType(result, [a.type for a in args]), name)
    return b.call(function, args)


def _full(kind: ir.VectorType) -> Value:
    return ir.Constant(ir.VectorType(I1, kind.count), [1] * kind.count)


def load(b: ir.IRBuilder, address: Value, kind: ir.VectorType, mask: Value) -> Value:
    """Contiguous lanes; lanes outside the mask are zero and their memory is not touched."""
    size = element_bytes(kind.element)
    if mask is None:
        return b.load(address, align=size, typ=kind)
    zero = ir.Constant(kind, None)
    name = f"llvm.masked.load.{suffix(kind)}.p0"
    return _masked(b, name, kind, [address, mask, zero], size, pointer_at=0)


def store(b: ir.IRBuilder, value: Value, address: Value, mask: Value) -> None:
    """Contiguous lanes; memory of lanes outside the constant mask is not touched."""
    size = element_bytes(value.type.element)
    if mask is None:
        b.store(value, address, align=size)
        return
    exist = [i for i, lane in enumerate(mask.constant) if int(str(lane.constant))]
    if len(exist) == 1:
        # LLVM 22 joins a truncation with a masked store of one lane and stores too many bytes.
        one = b.extract_element(value, ir.Constant(I32, exist[0]))
        b.store(one, pointer(b, address, exist[0], value.type.element), align=size)
        return
    name = f"llvm.masked.store.{suffix(value.type)}.p0"
    _masked(b, name, ir.VoidType(), [value, address, mask], size, pointer_at=1)


def gather(b: ir.IRBuilder, addresses: Value, kind: ir.VectorType, mask: Value) -> Value:
    """One element from each address; lanes outside the mask are zero."""
    size = element_bytes(kind.element)
    name = f"llvm.masked.gather.{suffix(kind)}.v{kind.count}p0"
    zero = ir.Constant(kind, None)
    args = [addresses, mask if mask is not None else _full(kind), zero]
    return _masked(b, name, kind, args, size, pointer_at=0)


def scatter(b: ir.IRBuilder, value: Value, addresses: Value, mask: Value) -> None:
    """One element to each address of a lane inside the mask."""
    size = element_bytes(value.type.element)
    name = f"llvm.masked.scatter.{suffix(value.type)}.v{value.type.count}p0"
    args = [value, addresses, mask if mask is not None else _full(value.type)]
    _masked(b, name, ir.VoidType(), args, size, pointer_at=1)


def _spread(width: int, stride: int, mask: Value, j: int) -> tuple[list[int], list[int]]:
    """For part j of memory with a lane every `stride` elements: source lanes, and which exist."""
    exist = [int(str(c.constant)) for c in mask.constant] if mask is not None else [1] * width
    lanes, inside = [], []
    for p in range(j * width, (j + 1) * width):
        lane = p // stride
        lanes.append(lane)
        inside.append(int(p % stride == 0 and bool(exist[lane])))
    return lanes, inside


def store_apart(b: ir.IRBuilder, value: Value, address: Value, stride: int, mask: Value) -> None:
    """Lanes to every `stride`-th element: spread by shuffles and stored through masks."""
    width = value.type.count
    for j in range(stride):
        lanes, inside = _spread(width, stride, mask, j)
        if any(inside):
            part = shuffle(b, value, ir.Constant(value.type, ir.Undefined), lanes)
            at = pointer(b, address, j * width, value.type.element)
            store(b, part, at, ir.Constant(ir.VectorType(I1, width), inside))


def load_apart(
    b: ir.IRBuilder, address: Value, kind: ir.VectorType, stride: int, mask: Value
) -> Value:
    """Lanes from every `stride`-th element: loaded through masks and drawn together by shuffles."""
    width = kind.count
    result = ir.Constant(kind, None)
    for j in range(stride):
        _, inside = _spread(width, stride, mask, j)
        if any(inside):
            at = pointer(b, address, j * width, kind.element)
            part = load(b, at, kind, ir.Constant(ir.VectorType(I1, width), inside))
            lanes = []
            for lane in range(width):
                p = lane * stride - j * width
                lanes.append(width + p if 0 <= p < width else lane)
            result = shuffle(b, result, part, lanes)
    return result


def element_bytes(kind: ir.Type) -> int:
    """The size of a scalar."""
    if isinstance(kind, ir.IntType):
        return max(kind.width // 8, 1)
    return {"half": 2, "float": 4, "double": 8}[str(kind)]


def _masked(
    b: ir.IRBuilder,
    name: str,
    result: ir.Type,
    args: list[Value],
    align: int,
    *,
    pointer_at: int,
) -> Value:
    """A call of a masked memory intrinsic; the alignment follows the pointer."""
    args = [*args[: pointer_at + 1], ir.Constant(I32, align), *args[pointer_at + 1 :]]
    return intrinsic(b, name, result, args)


def lane_addresses(b: ir.IRBuilder, base: Value, offsets: Value, element: ir.Type) -> Value:
    """A vector of the addresses `offsets` elements after `base`."""
    addresses = b.gep(base, [offsets], source_etype=element)
    addresses.type = ir.VectorType(POINTER, offsets.type.count)
    return addresses


def fma(b: ir.IRBuilder, x: Value, y: Value, z: Value) -> Value:
    """x · y + z, rounded once."""
    return intrinsic(b, f"llvm.fma.{suffix(x.type)}", x.type, [x, y, z])


def pairs(b: ir.IRBuilder, first: Value, second: Value | None) -> Value:
    """Lanes of pairs of bfloat16, each as a float32 with the second in its upper half."""
    wide = ir.VectorType(I32, first.type.count)
    bits = b.zext(first, wide)
    if second is not None:
        upper = b.shl(b.zext(second, wide), constants(I32, [16] * wide.count))
        bits = b.or_(bits, upper)
    return b.bitcast(bits, ir.VectorType(F32, wide.count))


def dot(b: ir.IRBuilder, x: Value, y: Value, z: Value) -> Value:
    """x₁ · y₁ + x₂ · y₂ + z of lanes of pairs (see `pairs`) and sums in float32."""
    kind = ir.VectorType(_BFLOAT, 2 * z.type.count)
    name = f"llvm.x86.avx512bf16.dpbf16ps.{32 * z.type.count}"
    return intrinsic(b, name, z.type, [z, b.bitcast(x, kind), b.bitcast(y, kind)])


def prefetch(b: ir.IRBuilder, address: Value, *, write: bool = False, locality: int = 3) -> None:
    """Ask for a cache line."""
    args = [address, *(ir.Constant(I32, x) for x in (int(write), locality, 1))]
    intrinsic(b, "llvm.prefetch.p0", ir.VoidType(), args)


def transpose(b: ir.IRBuilder, rows: list[Value]) -> list[Value]:
    """Rows of a square block as its columns; the side is a power of two.

    First inside pieces of 16 bytes, then of whole pieces: on x86 each of these shuffles is one
    instruction. A fence between the two keeps LLVM from trying, at length, to join them.
    """
    width = rows[0].type.count
    piece = min(width, 16 // element_bytes(rows[0].type.element))
    groups = [_inside_pieces(b, rows[i : i + piece], piece) for i in range(0, width, piece)]
    name = f"llvm.arithmetic.fence.{suffix(rows[0].type)}"
    groups = [[intrinsic(b, name, x.type, [x]) for x in group] for group in groups]
    columns = [_of_pieces(b, list(same), piece) for same in zip(*groups, strict=True)]
    return [columns[i % piece][i // piece] for i in range(width)]


def _inside_pieces(b: ir.IRBuilder, rows: list[Value], piece: int) -> list[Value]:
    """For each j, element j of every piece, that of all rows side by side."""
    width, size = rows[0].type.count, 1
    joined = [[row] for row in rows]
    while len(joined) > 1:
        halves = []
        for half in (0, piece // 2):
            runs = [
                range(run, run + size)
                for start in range(half, half + width, piece)
                for run in range(start, start + piece // 2, size)
            ]
            halves.append([i + of for run in runs for of in (0, width) for i in run])
        joined = [
            [shuffle(b, x, y, lanes) for x, y in zip(*pair, strict=True) for lanes in halves]
            for pair in zip(joined[::2], joined[1::2], strict=True)
        ]
        size *= 2
    return joined[0]


def _of_pieces(b: ir.IRBuilder, rows: list[Value], piece: int) -> list[Value]:
    """The pieces of rows as the pieces of columns."""
    if len(rows) == 1:
        return rows
    starts = range(0, 2 * rows[0].type.count, piece)
    pairs = list(zip(rows[::2], rows[1::2], strict=True))
    even, odd = (
        _of_pieces(
            b,
            [shuffle(b, x, y, [i + n for i in half for n in range(piece)]) for x, y in pairs],
            piece,
        )
        for half in (starts[::2], starts[1::2])
    )
    return [column for pair in zip(even, odd, strict=True) for column in pair]


def widen(b: ir.IRBuilder, x: Value, dtype: np.dtype, accumulator: ir.Type) -> Value:
    """Lanes as loaded from memory, as arithmetic wants them.

    Floating lanes become the accumulator's type, bool becomes i1, other integers stay.
    """
    width = x.type.count
    if dtype.name == "bfloat16":
        wide = b.zext(x, ir.VectorType(I32, width))
        x = b.bitcast(b.shl(wide, constants(I32, [16] * width)), ir.VectorType(F32, width))
    elif dtype.name == "bool":
        return b.icmp_unsigned("!=", x, ir.Constant(x.type, None))
    elif dtype.name.startswith(("int", "uint")):
        return x
    if x.type.element == accumulator:
        return x
    target = ir.VectorType(accumulator, width)
    narrower = element_bytes(x.type.element) < element_bytes(accumulator)
    return b.fpext(x, target) if narrower else b.fptrunc(x, target)


def narrow(b: ir.IRBuilder, x: Value, dtype: np.dtype) -> Value:
    """Lanes as arithmetic left them, as memory wants them; bfloat16 rounds to nearest even."""
    width = x.type.count
    target = ir.VectorType(storage(dtype), width)
    if dtype.name == "bool":
        return b.zext(x, target)
    if dtype.name == "bfloat16":
        return _to_bfloat16(b, x)
    if x.type == target:
        return x
    if element_bytes(x.type.element) > element_bytes(target.element):
        return b.fptrunc(x, target)
    return b.fpext(x, target)


def _to_bfloat16(b: ir.IRBuilder, x: Value) -> Value:
    width = x.type.count
    if x.type.element == F64:
        x = b.fptrunc(x, ir.VectorType(F32, width))

    def lanes(value: int) -> Value:
        return constants(I32, [value] * width)

    bits = b.bitcast(x, ir.VectorType(I32, width))
    odd = b.and_(b.lshr(bits, lanes(16)), lanes(1))
    rounded = b.lshr(b.add(b.add(bits, lanes(0x7FFF)), odd), lanes(16))
    quiet = b.or_(b.lshr(bits, lanes(16)), lanes(0x40))
    chosen = b.select(b.fcmp_unordered("uno", x, x), quiet, rounded)
    return b.trunc(chosen, ir.VectorType(I16, width))
