"""Random bits by Philox 4x64-10, eight 32-bit words a block, as the NumPy backend makes them."""

from __future__ import annotations

from ..capture.graph import Equation
from ..llvm.builder import Function, Value
from .writer import GRAIN, KernelWriter


def write_random_bits(w: KernelWriter, e: Equation) -> None:
    """The whole kernel: a unit of work is as many elements as in other flat loops."""
    f = w.f
    size = e.output.size
    if size == 0:
        return
    views = [w.lowering.view(x) for x in e.inputs]
    key, counter = (w.load(v, ()) for v in views if v is not None)
    out = f.argument(w.parameter(e.output))
    blocks = size // 8
    per_unit = GRAIN // 8
    if blocks:
        w.units = -(-blocks // per_unit)
        with f.loop(f.argument("begin"), f.argument("end")) as outer:
            low = outer.index * per_unit
            high = low + per_unit
            high = high.compare("lt", blocks).select(high, blocks)
            with f.loop(low, high) as loop:
                words = _philox(f, key, counter + loop.index + 1)
                for j, word in enumerate(words):
                    at = f.address(out, "i64", loop.index * 4 + j)
                    f.store(word, at, align=4)
    rest = size - blocks * 8
    if rest:
        words = _philox(f, key, counter + (blocks + 1))
        for j in range(rest):
            word = words[j // 2]
            if j % 2:
                word = word.op("lshr", 32)
            at = f.address(out, "i32", f.const("i64", blocks * 8 + j))
            f.store(word.cast("trunc", "i32"), at)


def _philox(f: Function, key: Value, counter: Value) -> list[Value]:
    zero = f.const("i64", 0)
    c = [counter, zero, zero, zero]
    k = [key, zero]
    for number in range(10):
        if number:
            k = [k[0] + 0x9E3779B97F4A7C15, k[1] + 0xBB67AE8584CAA73B]
        high0, low0 = _wide_product(c[0], 0xD2E7470EE14C6C93)
        high1, low1 = _wide_product(c[2], 0xCA5A826395121157)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
    return c


def _wide_product(x: Value, factor: int) -> tuple[Value, Value]:
    wide = x.cast("zext", "i128") * factor
    high = wide.op("lshr", 64).cast("trunc", "i64")
    return high, wide.cast("trunc", "i64")
