"""Vectors as contractions use them: lanes apart in memory, products, turned blocks."""

from __future__ import annotations

from collections.abc import Callable

from ..llvm.builder import KnownMask, Value
from ..llvm.scalar import convert, memory_type
from ..llvm.types import bytes_of, element_of, lanes_of, vector_type
from .spec import Contraction, Operand


def tail(count: int, lanes: int) -> KnownMask:
    """The mask of the first `count` lanes; None if that is all of them."""
    return None if count >= lanes else tuple(i < count for i in range(lanes))


def renewed(address: Value) -> Value:
    """The same address, unknown to the optimiser as such.

    Loads through it are not joined with earlier ones. Joined loads of overlapping windows live long
    and push accumulators out of the registers.
    """
    return address.function.emit(f'call ptr asm "", "=r,0"({address!r})', "ptr", (address,))


def prefetch(address: Value) -> None:
    """Ask for a cache line that is to be read."""
    f = address.function
    f.call("llvm.prefetch.p0", "void", [address, *(f.const("i32", x) for x in (0, 3, 1))])


# -- lanes apart in memory ---------------------------------------------------------------------


def _spread(width: int, stride: int, mask: KnownMask, j: int) -> tuple[list[int], tuple[bool, ...]]:
    """For part j of memory with a lane every `stride` elements: source lanes, and which exist."""
    exist = mask or (True,) * width
    places = range(j * width, (j + 1) * width)
    inside = tuple(p % stride == 0 and exist[p // stride] for p in places)
    return [p // stride for p in places], inside


def store_apart(value: Value, address: Value, stride: int, mask: KnownMask) -> None:
    """Lanes to every `stride`-th element: spread by shuffles and stored through masks."""
    width = value.lanes
    for j in range(stride):
        lanes, inside = _spread(width, stride, mask, j)
        if any(inside):
            part = value.shuffle(None, lanes)
            value.function.store(part, address.at(j * width, element_of(value.type)), inside)


def load_apart(type: str, address: Value, stride: int, mask: KnownMask) -> Value:
    """Lanes from every `stride`-th element: loaded through masks and drawn together by shuffles."""
    f, width = address.function, lanes_of(type)
    assert width is not None
    result = f.const(type, 0)
    for j in range(stride):
        _, inside = _spread(width, stride, mask, j)
        if any(inside):
            part = f.load(type, address.at(j * width, element_of(type)), inside)
            places = [lane * stride - j * width for lane in range(width)]
            lanes = [width + p if 0 <= p < width else lane for lane, p in enumerate(places)]
            result = result.shuffle(part, lanes)
    return result


# -- products -----------------------------------------------------------------------------------


def pairs(first: Value, second: Value | None) -> Value:
    """Lanes of pairs of bfloat16, each as a float32 with the second in its upper half."""
    bits = first.cast("zext", "i32")
    if second is not None:
        bits = bits | (second.cast("zext", "i32") << 16)
    return bits.cast("bitcast", "float")


def read(
    spec: Contraction, x: Operand, at: Value, load: Callable[[Value], Value], half: bool
) -> Value:
    """The lanes of an operand at an address, as sums are made of them.

    Of `half` a pair the second is zero.
    """
    if spec.pairs is None:
        return convert(load(at), x.dtype, spec.accumulator)
    second = None if half else load(at.at(x.pair, memory_type(x.dtype)))
    return pairs(load(at), second)


def fma(x: Value, y: Value, z: Value) -> Value:
    """x · y + z, rounded once."""
    return x.call("llvm.fma", y, z)


def dot(x: Value, y: Value, z: Value) -> Value:
    """x₁ · y₁ + x₂ · y₂ + z of lanes of pairs (see `pairs`) and sums in float32."""
    kind = vector_type("bfloat", 2 * z.lanes)
    name = f"llvm.x86.avx512bf16.dpbf16ps.{32 * z.lanes}"
    return z.function.call(name, z.type, [z, x.cast("bitcast", kind), y.cast("bitcast", kind)])


# -- turned blocks -----------------------------------------------------------------------------


def transpose(rows: list[Value]) -> list[Value]:
    """Rows of a square block as its columns; the side is a power of two.

    First inside pieces of 16 bytes, then of whole pieces: on x86 each of these shuffles is one
    instruction. A fence between the two keeps LLVM from trying, at length, to join them.
    """
    width = rows[0].lanes
    piece = min(width, 16 // bytes_of(rows[0].type))
    groups = [_inside_pieces(rows[i : i + piece], piece) for i in range(0, width, piece)]
    groups = [[x.call("llvm.arithmetic.fence") for x in group] for group in groups]
    columns = [_of_pieces(list(same), piece) for same in zip(*groups, strict=True)]
    return [columns[i % piece][i // piece] for i in range(width)]


def _inside_pieces(rows: list[Value], piece: int) -> list[Value]:
    """For each j, element j of every piece, that of all rows side by side."""
    width, size = rows[0].lanes, 1
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
            [x.shuffle(y, lanes) for x, y in zip(*pair, strict=True) for lanes in halves]
            for pair in zip(joined[::2], joined[1::2], strict=True)
        ]
        size *= 2
    return joined[0]


def _of_pieces(rows: list[Value], piece: int) -> list[Value]:
    """The pieces of rows as the pieces of columns."""
    if len(rows) == 1:
        return rows
    starts = range(0, 2 * rows[0].lanes, piece)
    both = list(zip(rows[::2], rows[1::2], strict=True))
    chosen = [[i + n for i in half for n in range(piece)] for half in (starts[::2], starts[1::2])]
    even, odd = (_of_pieces([x.shuffle(y, lanes) for x, y in both], piece) for lanes in chosen)
    return [column for pair in zip(even, odd, strict=True) for column in pair]
