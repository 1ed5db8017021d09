"""Contraction kernels against NumPy in float64, on memory whose neighbourhood is watched."""

from __future__ import annotations

import ctypes
import dataclasses
import mmap

import ml_dtypes
import numpy as np
import pytest

from backlit.compiler.contraction import (
    PLAIN,
    Contraction,
    ConvolutionGeometry,
    Epilogue,
    Machine,
    Operand,
    Schedule,
    Window,
    build,
    choose,
    matmul,
)
from backlit.compiler.contraction.native import Call
from backlit.compiler.contraction.spec import merge
from backlit.errors import ShapeError
from sampling import one_in

F32, F64 = np.dtype("float32"), np.dtype("float64")
BF16, F16 = np.dtype(ml_dtypes.bfloat16), np.dtype("float16")
LIBC = ctypes.CDLL(None)
SENTINEL = 0xA5


class Guarded:
    """A buffer that begins or ends at a page which may not be touched."""

    def __init__(self, count: int, dtype: np.dtype, at_end: bool):
        page = mmap.PAGESIZE
        size = count * dtype.itemsize
        inner = max(1, -(-size // page)) * page
        self.map = mmap.mmap(-1, inner + 2 * page)
        whole = np.frombuffer(self.map, np.uint8)
        whole[:] = SENTINEL
        start = page + (inner - size if at_end else 0)
        self.rest = (whole[page:start], whole[start + size : page + inner])
        self.array = whole[start : start + size].view(dtype)
        self.base = whole.ctypes.data
        self.edges = (self.base, self.base + page + inner)
        for edge in self.edges:
            assert LIBC.mprotect(ctypes.c_void_p(edge), page, 0) == 0

    def check(self) -> None:
        assert all((part == SENTINEL).all() for part in self.rest), "wrote outside its buffer"

    def release(self) -> None:
        for edge in self.edges:
            LIBC.mprotect(ctypes.c_void_p(edge), mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE)


GROUPS = ("batch", "m", "n", "k")


def grid(
    spec: Contraction, what: Operand | Window, start: int, groups: tuple[str, ...] = GROUPS
) -> np.ndarray:
    """The value of an affine form at each combination of the groups' flat indices."""
    total = np.array(start)
    for group in groups:
        extents = getattr(spec, group)
        strides = getattr(what, group) or (0,) * len(extents)
        part = np.zeros(extents, np.int64)
        for axis, (e, s) in enumerate(zip(extents, strides, strict=True)):
            shape = [1] * len(extents)
            shape[axis] = e
            part = part + s * np.arange(e).reshape(shape)
        total = total[..., None] + part.reshape(-1)
    return total


def values(
    spec: Contraction, x: Operand, buffer: np.ndarray, groups: tuple[str, ...] = GROUPS
) -> np.ndarray:
    """The operand's elements at each combination of indices, floating ones in float64."""
    address = grid(spec, x, x.offset, groups)
    exists = np.ones(address.shape, bool)
    for w in x.windows:
        q = grid(spec, w, w.start, groups)
        p = q // w.step
        exists &= (q % w.step == 0) & (p >= 0) & (p < w.extent)
        address = address + w.stride * p
    found = buffer[np.where(exists, address, 0)] if address.size else np.zeros(address.shape)
    if x.dtype.kind not in "biu":
        found = found.astype(np.float64)
    return np.where(exists, found, 0)


def reference(spec: Contraction, buffers: list[np.ndarray], function=None) -> list[np.ndarray]:
    """What each output buffer should hold afterwards."""
    if 0 in spec.sizes[:3]:
        return [x.astype(np.float64) for x in buffers[2 : 2 + len(spec.outputs)]]
    a = values(spec, spec.a, buffers[0])[:, :, 0, :]
    b = values(spec, spec.b, buffers[1])[:, 0, :, :]
    sums = np.einsum("bmk,bnk->bmn", a, b)
    count = len(spec.outputs)
    extras = [
        values(spec, x, buffer, GROUPS[:3])
        for x, buffer in zip(spec.extras, buffers[2 + count :], strict=True)
    ]
    results = function(sums, extras) if function else [sums]
    after = []
    for x, buffer, result in zip(spec.outputs, buffers[2 : 2 + count], results, strict=True):
        copy = buffer.astype(np.float64)
        copy[grid(spec, x, x.offset, GROUPS[:3])] = result
        after.append(copy)
    return after


def fill(random: np.random.Generator, dtype: np.dtype, count: int) -> np.ndarray:
    if dtype.kind == "b":
        return random.integers(0, 2, count).astype(bool)
    if dtype.kind in "iu":
        return random.integers(0, 100, count).astype(dtype)
    return random.standard_normal(count).astype(dtype)


def tolerance(spec: Contraction) -> float:
    names = {x.dtype for x in spec.outputs}
    if F16 in names or BF16 in names:
        return 0.02 * max(1, spec.sizes[3]) ** 0.5
    return (1e-5 if spec.accumulator == F32 else 1e-13) * max(1, spec.sizes[3]) ** 0.5


def run(
    spec: Contraction,
    seed: int = 0,
    epilogue: Epilogue = PLAIN,
    function=None,
    machine: Machine | None = None,
    schedule=None,
) -> None:
    """Build, run with 1, 2 and 3 parts, compare with the reference and with each other."""
    kernel = build("kernel", spec, epilogue, machine, schedule)
    random = np.random.default_rng(seed)
    operands = [spec.a, spec.b, *spec.outputs, *spec.extras]
    start = [fill(random, x.dtype, x.size) for x in operands]
    expected = reference(spec, start, function)
    bits = None
    for parts in (1, 2, 3):
        memory = [Guarded(x.size, x.dtype, at_end=(seed + parts) % 2 == 0) for x in operands]
        for m, s in zip(memory, start, strict=True):
            m.array[:] = s
        scratch = Guarded(kernel.scratch, np.dtype(np.uint8), at_end=False)
        call = Call(kernel, [m.array for m in memory])
        call.scratch = scratch.array.ctypes.data
        call.run(parts)
        for m in (*memory, scratch):
            m.check()
            m.release()
        outputs = [m.array for m in memory[2 : 2 + len(spec.outputs)]]
        for got, wanted in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(
                got.astype(np.float64), wanted, rtol=tolerance(spec), atol=tolerance(spec)
            )
        for i in (0, 1):
            assert memory[i].array.tobytes() == start[i].tobytes(), "an input was written"
        now = [x.tobytes() for x in outputs]
        assert bits is None or bits == now, "the number of parts changed the result"
        bits = now


KINDS = [(False, False), (False, True), (True, False), (True, True)]


@pytest.mark.parametrize(("ta", "tb"), KINDS, ids=["NN", "NT", "TN", "TT"])
@pytest.mark.parametrize("size", [(1, 1, 1), (5, 3, 2), (17, 33, 19), (64, 10, 100), (40, 100, 37)])
def test_products(size, ta, tb):
    run(matmul(F32, *size, transpose_a=ta, transpose_b=tb), seed=sum(size))


@pytest.mark.parametrize("size", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0)])
def test_empty_products(size):
    run(matmul(F32, *size))


@pytest.mark.parametrize(("ta", "tb"), KINDS, ids=["NN", "NT", "TN", "TT"])
def test_products_in_float64(ta, tb):
    run(matmul(F64, 29, 43, 21, transpose_a=ta, transpose_b=tb))


@pytest.mark.parametrize("seed", one_in(3, range(24)))
def test_random_sizes_and_transpositions(seed):
    random = np.random.default_rng(seed)
    m, n, k = (int(x) for x in random.integers(1, 70, 3))
    spec = matmul(
        F32 if seed % 3 else F64,
        m,
        n,
        k,
        batch=tuple(int(x) for x in random.integers(1, 4, seed % 3)),
        transpose_a=bool(random.integers(2)),
        transpose_b=bool(random.integers(2)),
    )
    run(spec, seed)


def layout(random: np.random.Generator, dims: list[tuple[str, int, int]], **kwargs) -> Operand:
    """An operand whose axes lie in memory in a random order, with gaps."""
    order = random.permutation(len(dims))
    if random.integers(2):
        order = np.sort(order)
    strides: dict[int, int] = {}
    size = 1
    for i in order[::-1]:
        strides[int(i)] = size
        size = size * max(1, dims[i][2]) + int(random.integers(3) == 0) * int(random.integers(4))
    groups: dict[str, dict[int, int]] = {"batch": {}, "m": {}, "n": {}, "k": {}}
    for i, (group, position, _) in enumerate(dims):
        groups[group][position] = strides[i]
    tuples = {g: tuple(s for _, s in sorted(p.items())) for g, p in groups.items()}
    offset = int(random.integers(4))
    return Operand(size=size + offset + int(random.integers(3)), offset=offset, **tuples, **kwargs)


def random_contraction(seed: int, dtype: np.dtype | None = None) -> Contraction:
    random = np.random.default_rng(seed + 1000)

    def extents(most: int) -> tuple[int, ...]:
        return tuple(int(x) for x in random.integers(1, 9, random.integers(0, most + 1)))

    groups = {"batch": extents(1), "m": extents(2), "n": extents(3), "k": extents(3)}

    def dims(*names: str) -> list[tuple[str, int, int]]:
        return [(g, i, e) for g in names for i, e in enumerate(groups[g])]

    dtype = dtype or (F32 if seed % 4 else F64)
    return Contraction(
        **groups,
        a=layout(random, dims("batch", "m", "k"), dtype=dtype),
        b=layout(random, dims("batch", "n", "k"), dtype=dtype),
        outputs=(layout(random, dims("batch", "m", "n"), dtype=dtype),),
    )


@pytest.mark.parametrize("seed", one_in(2, range(40)))
def test_random_address_maps(seed):
    run(random_contraction(seed), seed)


@pytest.mark.parametrize("seed", range(16))
def test_random_address_maps_of_half_precision(seed):
    """Operands that are always packed, for their dtype."""
    run(random_contraction(seed, BF16 if seed % 2 else F16), seed)


@pytest.mark.parametrize("transposed", [False, True])
def test_blocks_of_an_index_with_several_parts(transposed):
    """k = (25, 36) with a gap between its rows, more than one block of it."""
    m, n = 20, 40
    a = Operand(F32, m * 25 * 40, m=(1000,), k=(40, 1))
    steps = (n * 40, n) if not transposed else (40, 1)
    b = Operand(F32, n * 1000, n=(1000 if transposed else 1,), k=steps)
    spec = Contraction(m=(m,), n=(n,), k=(25, 36), a=a, b=b, outputs=(matmul(F32, m, n, 1).outputs))
    run(spec)


def conv_spec(
    n: int, c: int, o: int, size: int, kernel: int, stride: int, pad: int, dilation: int = 1
) -> Contraction:
    """A convolution by hand: y[b, o, i, j] = Σ w[o, c, p, q] x[b, c, i·s + p·d - pad, ...]."""
    out = (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
    rows = Window(size, size, -pad, n=(0, stride, 0), k=(0, dilation, 0))
    columns = Window(size, 1, -pad, n=(0, 0, stride), k=(0, 0, dilation))
    image = c * size * size
    return Contraction(
        m=(o,),
        n=(n, out, out),
        k=(c, kernel, kernel),
        a=Operand(F32, o * c * kernel**2, m=(c * kernel**2,), k=(kernel**2, kernel, 1)),
        b=Operand(
            F32,
            n * image,
            n=(image, 0, 0),
            k=(size * size, 0, 0),
            windows=(rows, columns),
        ),
        outputs=(Operand(F32, n * o * out**2, m=(out**2,), n=(o * out**2, out, 1)),),
    )


@pytest.mark.parametrize(
    "numbers", [(2, 3, 5, 7, 3, 1, 1), (1, 2, 4, 9, 3, 2, 0), (2, 1, 17, 11, 4, 3, 2, 2)]
)
def test_windows(numbers):
    run(conv_spec(*numbers))


@pytest.mark.parametrize("vector", [16, 32, 64])
@pytest.mark.parametrize(("ta", "tb"), [(False, False), (False, True), (True, True)])
def test_vector_widths(vector, ta, tb):
    machine = Machine(vector=vector, registers=32 if vector == 64 else 16)
    run(matmul(F32, 23, 37, 29, transpose_a=ta, transpose_b=tb), machine=machine)
    run(matmul(F64, 9, 11, 7, transpose_a=ta, transpose_b=tb), machine=machine)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("pack_a", [False, True])
@pytest.mark.parametrize("epilogue", one_in(2, [True, False]))
def test_blocks(swapped, pack_a, epilogue):
    """Several blocks of m, n, k and of the batch, the last ones shorter."""
    from dataclasses import replace

    relu = Epilogue("relu", _relu)
    for batch in ((), (3,)):
        spec = matmul(F32, 45, 70, 50, batch=batch, transpose_b=swapped)
        _, schedule = choose(spec, Machine())
        schedule = replace(
            schedule, rows=5, vectors=1, pack_a=pack_a, pack_b=True, kc=16, mc=20, nc=32, bc=2,
            block=2, swapped=swapped, turn=swapped, prefetch=0 if pack_a else 8,
        )  # fmt: skip
        if batch:
            schedule = replace(schedule, mc=70, nc=70)
        function = (lambda x, e: [np.maximum(x, 0)]) if epilogue else None
        run(spec, 1, relu if epilogue else PLAIN, function, schedule=schedule)


@pytest.mark.parametrize("size", [(5, 20, 1100), (3, 2, 2500)])
@pytest.mark.parametrize("transposed", [False, True])
def test_long_sums(size, transposed):
    run(matmul(F32, *size, transpose_b=transposed))


def test_long_sums_in_segments_of_rows_fetched_ahead():
    spec = matmul(F32, 20, 10, 1500, transpose_b=True)
    _, schedule = choose(spec, Machine())
    schedule = dataclasses.replace(
        schedule, rows=8, vectors=1, kc=1500, nc=10, mc=20, pack_a=False, pack_b=True,
        swapped=False, turn=False, prefetch=64, block=1,
    )  # fmt: skip
    run(spec, schedule=schedule)


@pytest.mark.slow
def test_long_sums_keep_their_accuracy():
    """In one register 9216 products would lose six times as much."""
    spec = matmul(F32, 16, 64, 9216, transpose_b=True)
    kernel = build("kernel", spec)
    random = np.random.default_rng(0)
    a, b = (random.standard_normal(s).astype(F32) for s in ((16, 9216), (64, 9216)))
    c = np.zeros((16, 64), F32)
    Call(kernel, [a, b, c]).run()
    error = c - a.astype(F64) @ b.T.astype(F64)
    assert np.sqrt((error**2).mean()) < 6e-5


def _relu(f, x, extras, prepared):
    return [x.compare("gt", 0).select(x, 0)]


def fused_spec(dtype: np.dtype, m: int, n: int, k: int, transposed: bool) -> Contraction:
    """y = (mask ? (A B + bias) · scale[m] : 0) + residual + 2 c, and t = y > bias."""
    spec = matmul(dtype, m, n, k, transpose_b=transposed)
    line = Operand(np.dtype(bool), m * n, m=(n,), n=(1,))
    return Contraction(
        m=spec.m,
        n=spec.n,
        k=spec.k,
        a=spec.a,
        b=spec.b,
        outputs=(*spec.outputs, line),
        extras=(
            Operand(dtype, n, n=(1,)),
            Operand(dtype, m, m=(1,)),
            Operand(F64, 1),
            line,
            Operand(dtype, 3 * m * n, m=(3,), n=(3 * m,)),
        ),
    )


def _double(kind):
    def prepare(f, constants):
        twice = constants[0] * 2.0
        return [twice if kind == F64 else twice.cast("fptrunc", "float")]

    return prepare


def _fused(f, x, extras, prepared):
    bias, scale, mask, residual = extras
    (double,) = prepared
    y = mask.compare("ne", 0).select((x + bias) * scale, 0) + residual + double.splat(x.lanes)
    return [y, y.compare("gt", bias).cast("zext", "i8")]


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("size", [(7, 19, 5), (33, 64, 40), (40, 40, 600)])
@pytest.mark.parametrize("transposed", one_in(2, [True, False]))
def test_epilogues(dtype, size, transposed):
    def function(x, extras):
        bias, scale, constant, mask, residual = extras
        y = np.where(mask, (x + bias) * scale, 0) + residual + 2 * constant
        return [y, y > bias]

    epilogue = Epilogue("fused", _fused, _double(dtype))
    run(fused_spec(dtype, *size, transposed), 3, epilogue, function)


@pytest.mark.parametrize("dtype", [F16, BF16])
@pytest.mark.parametrize("transposed", [False, True])
def test_half_precision_storage(dtype, transposed):
    run(matmul(dtype, 21, 35, 18, transpose_b=transposed))


def test_bfloat16_rounds_to_nearest_even_and_keeps_nan():
    spec = matmul(BF16, 1, 64, 1)
    kernel = build("kernel", spec)
    x = np.concatenate([np.linspace(-3, 3, 60), [np.nan, np.inf, -np.inf, 0]])
    third = np.array(1 / 3, BF16)
    c = np.zeros(64, BF16)
    Call(kernel, [third.reshape(1), x.astype(BF16), c]).run()
    wanted = (x.astype(BF16).astype(np.float32) * third.astype(np.float32)).astype(BF16)
    np.testing.assert_array_equal(c.astype(F32), wanted.astype(F32))

    ties = matmul(BF16, 1, 2, 2)
    kernel = build("kernel", ties)
    ones, c = np.ones(2, BF16), np.zeros(2, BF16)
    b = np.array([[1, 1.0078125], [2**-8, 2**-8]], BF16)
    Call(kernel, [ones, b, c]).run()
    assert c.astype(F32).tolist() == [1.0, 1.015625]


def test_non_finite_values_stay_where_they_are():
    spec = matmul(F32, 9, 20, 11)
    kernel = build("kernel", spec)
    random = np.random.default_rng(0)
    a, b = (random.standard_normal(s).astype(F32) for s in ((9, 11), (11, 20)))
    a[2, 3], b[4, 19] = np.nan, np.inf
    c = np.zeros((9, 20), F32)
    Call(kernel, [a, b, c]).run()
    wanted = np.isfinite(a @ b)
    assert (np.isfinite(c) == wanted).all()


def test_threads_give_the_same_bits():
    spec = matmul(F32, 150, 170, 600, transpose_b=True)
    kernel = build("kernel", spec)
    random = np.random.default_rng(0)
    a, b = (random.standard_normal(s).astype(F32) for s in ((150, 600), (170, 600)))
    results = []
    for parts in (1, 2, 3):
        c = np.zeros((150, 170), F32)
        Call(kernel, [a, b, c]).run_threads(parts)
        results.append(c.tobytes())
    assert results[0] == results[1] == results[2]
    assert kernel.phases > 1


@pytest.mark.parametrize("vector", [64, 16])
def test_products_of_one_row_take_long_runs(vector):
    """A tile of one row is as wide as the registers allow; the last one is narrower."""
    machine = Machine(vector=vector)
    spec = matmul(F32, 1, 1100, 70)
    assert vector < 64 or choose(spec, machine)[1].vectors > 6
    run(spec, machine=machine)
    run(matmul(F32, 1100, 1, 70, transpose_a=True), machine=machine)


def test_merging_indices():
    assert merge((4, 3, 5), (15, 5, 1)) == [(60, 1)]
    assert merge((4, 3, 5), (16, 5, 1)) == [(4, 16), (15, 1)]
    assert merge((), ()) == []


def test_bounds_are_proved():
    good = matmul(F32, 4, 5, 6)
    short = Operand(F32, 23, m=(6,), k=(1,))
    message = r"a must stay inside its buffer of 23 elements.*run from 0 to 23"
    with pytest.raises(ShapeError, match=message):
        Contraction(m=(4,), n=(5,), k=(6,), a=short, b=good.b, outputs=good.outputs)
    backwards = Operand(F32, 24, m=(-6,), k=(1,))
    with pytest.raises(ShapeError, match=r"a must stay inside.*from -18 to 5"):
        Contraction(m=(4,), n=(5,), k=(6,), a=backwards, b=good.b, outputs=good.outputs)
    fine = Operand(F32, 24, m=(-6,), k=(1,), offset=18)
    run(Contraction(m=(4,), n=(5,), k=(6,), a=fine, b=good.b, outputs=good.outputs))


def test_windows_count_in_the_proof():
    spec = conv_spec(2, 3, 4, 5, 3, 1, 1)
    short = Operand(F32, 2 * 75 - 1, n=spec.b.n, k=spec.b.k, windows=spec.b.windows)
    with pytest.raises(ShapeError, match=r"b must stay inside.*from 0 to 149"):
        Contraction(m=spec.m, n=spec.n, k=spec.k, a=spec.a, b=short, outputs=spec.outputs)
    with pytest.raises(ShapeError, match=r"outputs\[0\] must not have windows"):
        Contraction(
            m=spec.m,
            n=spec.n,
            k=(),
            a=Operand(F32, 100),
            b=Operand(F32, 1),
            outputs=(Operand(F32, 10**4, windows=(Window(3, 1),)),),
        )


def test_outputs_write_each_element_once():
    good = matmul(F32, 4, 5, 6)
    overlapping = Operand(F32, 100, m=(4,), n=(1,))
    with pytest.raises(ShapeError, match=r"outputs\[0\] must write each element once"):
        Contraction(m=(4,), n=(5,), k=(6,), a=good.a, b=good.b, outputs=(overlapping,))
    with pytest.raises(ShapeError, match="at least one output"):
        Contraction(m=(4,), n=(5,), k=(6,), a=good.a, b=good.b, outputs=())


def test_specifications_are_well_formed():
    good = matmul(F32, 4, 5, 6)
    with pytest.raises(ShapeError, match="extents must not be negative, got n = "):
        Contraction(m=(4,), n=(-5,), k=(6,), a=good.a, b=good.b, outputs=good.outputs)
    with pytest.raises(ShapeError, match="b must not depend on m"):
        Contraction(
            m=(4,), n=(5,), k=(6,), a=good.a, b=Operand(F32, 99, m=(1,)), outputs=good.outputs
        )
    with pytest.raises(ShapeError, match="a needs one stride for each index of k"):
        Contraction(m=(4,), n=(5,), k=(6, 1), a=good.a, b=good.b, outputs=good.outputs)


CONVOLUTIONS = {
    "padded": ((2, 3, 5), (7, 8), (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "valid": ((3, 2, 4), (9, 6), (4, 3), (1, 1), (0, 0), (1, 1), 1),
    "strided": ((2, 4, 17), (11, 10), (3, 3), (2, 2), (1, 1), (1, 1), 1),
    "pointwise, strided": ((2, 5, 6), (8, 7), (1, 1), (2, 2), (0, 0), (1, 1), 1),
    "stride beyond the kernel": ((1, 3, 3), (11, 11), (2, 2), (3, 3), (0, 0), (1, 1), 1),
    "dilated": ((2, 3, 4), (9, 10), (3, 2), (1, 1), (2, 1), (2, 3), 1),
    "dilated and strided": ((1, 2, 3), (12, 13), (3, 3), (2, 4), (2, 3), (3, 2), 1),
    "grouped": ((2, 6, 4), (6, 6), (3, 3), (1, 1), (1, 1), (1, 1), 2),
    "depthwise": ((2, 5, 5), (6, 7), (3, 3), (2, 1), (1, 1), (1, 1), 5),
    "one axis": ((3, 4, 6), (40,), (5,), (2,), (2,), (1,), 1),
    "three axes": ((1, 2, 3), (5, 6, 4), (2, 3, 2), (1, 2, 1), (1, 0, 1), (1, 1, 1), 1),
    "small planes side by side": ((2, 16, 100), (4, 4), (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "big first kernel": ((1, 3, 20), (31, 31), (11, 11), (4, 4), (2, 2), (1, 1), 1),
}


def convolution(name: str) -> ConvolutionGeometry:
    (n, c, o), sizes, kernel, stride, padding, dilation, groups = CONVOLUTIONS[name]
    return ConvolutionGeometry(n, c, o, sizes, kernel, stride, padding, dilation, groups)


def convolve(conv: ConvolutionGeometry, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The definition, tap by tap, on padded copies."""
    pads = [(0, 0), (0, 0), *((p, p) for p in conv.padding)]
    x = np.pad(x, pads)
    y = np.zeros((conv.batch, conv.outputs, *conv.out))
    per_x, per_y = conv.inputs // conv.groups, conv.outputs // conv.groups
    for taps in np.ndindex(*conv.kernel):
        window = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, s, n in zip(taps, conv.dilation, conv.stride, conv.out, strict=True)
        )
        for g in range(conv.groups):
            part = x[(slice(None), slice(g * per_x, (g + 1) * per_x), *window)]
            rows = slice(g * per_y, (g + 1) * per_y)
            y[:, rows] += np.einsum("bc...,oc->bo...", part, w[(rows, slice(None), *taps)])
    return y


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name):
    conv = convolution(name)
    random = np.random.default_rng(0)
    x = random.standard_normal((conv.batch, conv.inputs, *conv.sizes))
    w = random.standard_normal((conv.outputs, conv.inputs // conv.groups, *conv.kernel))
    y = convolve(conv, x, w)
    spec = conv.forward()
    got = reference(spec, [x.ravel(), w.ravel(), np.zeros(y.size)])[0]
    np.testing.assert_allclose(got.reshape(y.shape), y, rtol=1e-10, atol=1e-10)
    run(spec)
    run(dataclasses.replace(conv, dtype=F64).forward())


@pytest.mark.parametrize("name", one_in(3, CONVOLUTIONS))
def test_gradients_of_convolutions(name):
    """Both are transposes of the forward map: <gy, conv(x, w)> = <gx, x> = <gw, w>."""
    conv = convolution(name)
    random = np.random.default_rng(1)
    gy = random.standard_normal((conv.batch, conv.outputs, *conv.out))
    x = random.standard_normal((conv.batch, conv.inputs, *conv.sizes))
    w = random.standard_normal((conv.outputs, conv.inputs // conv.groups, *conv.kernel))
    gx = np.full(x.size, np.nan)
    gx = reference(conv.input_gradient(), [gy.ravel(), w.ravel(), gx])[0]
    run(conv.input_gradient())
    gw = reference(conv.weight_gradient(), [x.ravel(), gy.ravel(), np.zeros(w.size)])[0]
    run(conv.weight_gradient())
    for _ in range(3):
        dx, dw = random.standard_normal(x.shape), random.standard_normal(w.shape)
        assert np.isclose((gy * convolve(conv, dx, w)).sum(), (gx * dx.ravel()).sum())
        assert np.isclose((gy * convolve(conv, x, dw)).sum(), (gw * dw.ravel()).sum())


def random_convolution(random: np.random.Generator) -> ConvolutionGeometry:
    """Any kernel, stride, padding and dilation for which there is an output."""
    rank = int(random.choice([1, 2, 2, 2, 3]))
    kernel = tuple(int(random.integers(1, 6 - rank)) for _ in range(rank))
    stride = tuple(int(random.integers(1, 4)) for _ in range(rank))
    dilation = tuple(int(random.integers(1, 4)) for _ in range(rank))
    padding = tuple(
        int(random.integers(0, d * (k - 1) + 2)) for k, d in zip(kernel, dilation, strict=True)
    )
    sizes = tuple(
        max(int(random.choice([1, 2, 4, 5, 8, 13, 16])), d * (k - 1) + 1 - 2 * p)
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    )
    n, groups = int(random.integers(1, 4)), int(random.choice([1, 1, 2]))
    c, o = (groups * int(random.choice([1, 2, 5, 17])) for _ in range(2))
    return ConvolutionGeometry(n, c, o, sizes, kernel, stride, padding, dilation, groups)


@pytest.mark.slow
@pytest.mark.parametrize("seed", one_in(4, range(40)))
def test_random_convolutions(seed):
    """Also with the narrow tiles and the few registers of other processors."""
    random = np.random.default_rng(seed)
    conv = random_convolution(random)
    vector = (64, 32, 16)[seed % 3]
    machine = Machine(vector=vector, registers=16 if vector == 32 else 32)
    for spec in (conv.forward(), conv.weight_gradient(), conv.input_gradient()):
        run(spec, seed, machine=machine)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("blocks", [False, True])
def test_spread_windows_are_packed(blocks, swapped):
    """Where the taps of a tile are not known, lanes are gathered and what is between is zero."""
    conv = ConvolutionGeometry(2, 3, 5, (7, 9), (3, 2), (2, 3), (1, 1), (1, 2))
    spec = conv.input_gradient()
    _, schedule = choose(spec, Machine())
    schedule = dataclasses.replace(schedule, swapped=swapped, turn=False, inner=0, pad=False)
    schedule = dataclasses.replace(schedule, rows=5, vectors=1, pack_a=True, pack_b=True)
    _, m, n, k = (spec.swapped() if swapped else spec).sizes
    run(spec, schedule=dataclasses.replace(schedule, mc=m, nc=n, kc=12 if blocks else k))


def test_products_with_padding_are_left_out():
    """An infinite weight that only meets padding leaves no trace."""
    conv = ConvolutionGeometry(2, 3, 20, (8, 8), (3, 3), (1, 1), (1, 1), (1, 1))
    random = np.random.default_rng(0)
    x = random.standard_normal((2, 3, 8, 8)).astype(F32)
    w = random.standard_normal((20, 3, 3, 3)).astype(F32)
    w[:, :, 0, :] = np.inf
    _, schedule = choose(conv.forward(), Machine())
    schedule = dataclasses.replace(schedule, rows=8, inner=8)
    kernel = build("kernel", conv.forward(), schedule=schedule)
    y = np.empty((2, 20, 8, 8), F32)
    Call(kernel, [x, w, y]).run()
    assert np.isfinite(y[:, :, 0]).all()
    assert not np.isfinite(y[:, :, 1:]).any()


@pytest.mark.slow
@pytest.mark.parametrize("which", ["forward", "weight_gradient"])
def test_convolutions_in_several_steps(which):
    """Caches so small that images are padded and packed a few at a time."""
    conv = ConvolutionGeometry(5, 3, 20, (9, 17), (3, 3), (1, 1), (1, 1), (1, 1))
    machine = Machine(l2=8 * 1024, packed=16 * 1024)
    run(getattr(conv, which)(), machine=machine)


@pytest.mark.parametrize("kernel", [(3, 3), (3, 1), (1, 4)])
@pytest.mark.parametrize("inputs", one_in(3, [77, 60, 130]))
@pytest.mark.parametrize("outputs", [1, 2])
def test_tiles_of_a_weight_gradient_that_go_on_from_channel_to_channel(inputs, outputs, kernel):
    """Of one image: its channels are copied in chunks, and tiles are of several channels."""
    run(
        ConvolutionGeometry(
            1, inputs, outputs, (7, 7), kernel, (1, 1), (1, 1), (1, 1)
        ).weight_gradient()
    )


def test_parts_of_a_convolution_take_whole_images():
    """One phase packs the weights; in the other, parts copy images to places of their own."""
    conv = ConvolutionGeometry(7, 5, 37, (20, 20), (3, 3), (1, 1), (1, 1), (1, 1))
    random = np.random.default_rng(0)
    x = random.standard_normal((7, 5, 20, 20)).astype(F32)
    w = random.standard_normal((37, 5, 3, 3)).astype(F32)
    kernel = build("kernel", conv.forward())
    assert kernel.phases == 2
    expected = convolve(conv, x.astype(F64), w.astype(F64))
    results = []
    for parts in (1, 2, 3, 40):
        y = np.full((7, 37, 20, 20), np.nan, F32)
        call = Call(kernel, [x, w, y])
        call.memory.fill(SENTINEL)
        call.run_threads(parts)
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
        results.append(y.tobytes())
    assert len(set(results)) == 1

    call.memory.fill(SENTINEL)
    written = np.zeros(call.memory.size, int)
    for part in range(3):
        before = call.memory.copy()
        call.function(call.buffers, 1, part, 3, call.scratch)
        written += call.memory != before
        call.memory[:] = SENTINEL
    assert written.max() == 1, "two parts wrote to the same place"


def image(batch, inputs, outputs, size, kernel=3, stride=1, groups=1):
    """A convolution of square images, padded to keep their size before the stride."""
    both = lambda x: (x, x)  # noqa: E731
    return ConvolutionGeometry(
        batch, inputs, outputs, both(size), both(kernel), both(stride), both(kernel // 2),
        both(1), groups,
    )  # fmt: skip


#: Products and convolutions of every sort, and the schedules that are chosen for them.
CHOSEN = {
    "square": (matmul(F32, 1024, 1024, 1024), Schedule(9, 3, True, True, 344, 1024, 1024, 1, 28)),
    "in float64": (matmul(F64, 512, 512, 512), Schedule(14, 2, True, True, 512, 512, 512, 1, 6)),
    "a layer": (
        matmul(F32, 64, 512, 784, transpose_b=True),
        Schedule(14, 2, False, True, 264, 512, 64, 1, 1, swapped=True, turn=True),
    ),
    "gradient of a layer": (
        matmul(F32, 784, 512, 64, transpose_a=True),
        Schedule(14, 2, True, True, 64, 784, 512, 1, 1),
    ),
    "one row": (matmul(F32, 1, 4096, 4096), Schedule(1, 24, True, False, 376, 1, 4096, 1, 1)),
    "attention": (
        matmul(F32, 128, 128, 64, batch=(8, 12), transpose_b=True),
        Schedule(13, 2, False, True, 64, 128, 128, 96, 1),
    ),
    "small": (matmul(F32, 8, 10, 32), Schedule(8, 1, False, False, 32, 8, 10, 1, 1)),
    "1 x 1": (
        image(32, 256, 64, 14, kernel=1).forward(),
        Schedule(14, 2, False, True, 256, 6272, 64, 1, 1, turn=True, inner=196),
    ),
    "3 x 3": (
        image(32, 64, 64, 28).forward(),
        Schedule(14, 2, False, True, 576, 1568, 64, 1, 28, turn=True, inner=28, pad=True),
    ),
    "gradient of weights": (
        image(32, 64, 64, 28).weight_gradient(),
        Schedule(18, 1, False, True, 1568, 576, 64, 1, 8, turn=True, inner=576, pad=True),
    ),
    "first layer": (
        image(32, 3, 32, 224, kernel=7, stride=2).forward(),
        Schedule(14, 2, False, True, 147, 12544, 32, 1, 224, turn=True, inner=112, pad=True),
    ),
    "depthwise": (
        image(8, 64, 64, 28, groups=64).forward(),
        Schedule(1, 24, False, True, 9, 1, 6272, 37, 1, swapped=True),
    ),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_the_schedule_is_the_one_that_was_chosen_before(name):
    """Whoever changes a choice on purpose measures it (`bench/contractions.py`), then says so here.

    For one described processor, so that it does not matter where this runs.
    """
    spec, known = CHOSEN[name]
    machine = Machine(
        vector=64, registers=32, l1=48 * 1024, l2=1024 * 1024, packed=8 * 1024 * 1024, pairs=False
    )
    _, schedule = choose(spec, machine)
    assert schedule == known


def test_threads_of_a_convolution_get_equal_shares():
    """128 columns are panels of 48, 48 and 32: the blocks of tiles must be shared, not they."""
    conv = ConvolutionGeometry(32, 128, 128, (16, 16), (3, 3), (1, 1), (1, 1), (1, 1))
    _, schedule = choose(conv.weight_gradient(), Machine())
    piece = schedule.inner or schedule.mc
    tiles = schedule.mc // piece * -(-piece // schedule.rows)
    assert tiles > schedule.block
    assert tiles % (2 * schedule.block) == 0


def test_convolutions_store_half_precision():
    conv = ConvolutionGeometry(2, 3, 5, (7, 8), (3, 3), (1, 1), (1, 1), (1, 1), dtype=BF16)
    for spec in (conv.forward(), conv.weight_gradient(), conv.input_gradient()):
        run(spec)
