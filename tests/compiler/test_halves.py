"""Products of 16-bit floats: read as they lie in memory, in pairs where that is faster."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

import backlit as bl
from backlit import models, nn, optim
from backlit.compiler import native
from backlit.compiler.contraction import (
    Contraction,
    ConvolutionGeometry,
    Machine,
    Operand,
    build,
    matmul,
)
from backlit.compiler.contraction.native import Call
from backlit.compiler.contraction.pairs import paired
from backlit.compiler.llvm import machine
from backlit.compiler.lower import legalize, products
from backlit.compiler.lower.kinds import CONTRACTION, HOST
from backlit.compiler.plan.plan import Plan
from backlit.nn import functional as F
from compiler.test_contraction import (
    BF16,
    CONVOLUTIONS,
    F32,
    KINDS,
    convolution,
    random_contraction,
    reference,
    run,
)
from sampling import one_in

#: Kernels of pairs run where this processor has the instruction; elsewhere those without run.
PAIRS = Machine(pairs=machine.engine().pairs)
SMALL = dataclasses.replace(PAIRS, l2=8 * 1024, packed=16 * 1024)


def wide(x: bl.Tensor) -> np.ndarray:
    return x.numpy().astype(np.float64)


def exact(spec: Contraction, values: list[np.ndarray], target: Machine = PAIRS) -> None:
    """Whole numbers: nothing is rounded, so the result is that of the definition."""
    kernel = build("kernel", spec, machine=target)
    out = np.full(spec.outputs[0].size, 99, spec.outputs[0].dtype)
    expected = reference(spec, [*values, out])[0]
    Call(kernel, [*values, out]).run(2)
    np.testing.assert_array_equal(out.astype(np.float64), expected)


@pytest.mark.parametrize("target", [PAIRS, SMALL, Machine()], ids=["pairs", "small", "widened"])
@pytest.mark.parametrize("kind", one_in(2, KINDS), ids=["NN", "NT", "TN", "TT"])
def test_whole_numbers_are_multiplied_exactly(kind, target) -> None:
    ta, tb = kind
    random = np.random.default_rng(0)
    for m, n, k in [(1, 1, 2), (5, 3, 3), (17, 50, 19), (40, 20, 64), (9, 70, 257)]:
        spec = matmul(BF16, m, n, k, transpose_a=ta, transpose_b=tb)
        spec = dataclasses.replace(spec, outputs=matmul(F32, m, n, k).outputs)
        a, b = (random.integers(-9, 10, size).astype(BF16) for size in (m * k, k * n))
        exact(spec, [a, b], target)


def long_sums() -> list[Contraction]:
    conv = ConvolutionGeometry(6, 3, 20, (24, 25), (3, 3), (1, 1), (1, 1), (1, 1), dtype=BF16)
    return [
        matmul(BF16, 70, 37, 1500),
        matmul(BF16, 70, 37, 1501, transpose_a=True),
        matmul(BF16, 70, 20, 1300, transpose_b=True, batch=(3,)),
        matmul(BF16, 70, 20, 1300),
        matmul(np.dtype("float16"), 40, 37, 1500),
        conv.weight_gradient(),
    ]


@pytest.mark.parametrize("number", one_in(3, range(6)))
def test_blocks_of_long_sums_are_not_rounded_to_16_bits(number) -> None:
    """Whole numbers: the sums in float32 are exact, so the result is rounded once, at the end."""
    spec = long_sums()[number]
    kernel = build("kernel", spec, machine=SMALL if spec.a.windows else PAIRS)
    assert kernel.schedule.kc < kernel.spec.size("k"), "not long enough"
    random = np.random.default_rng(0)
    dtype = spec.a.dtype
    a, b = (random.integers(0, 3, x.size).astype(dtype) for x in (spec.a, spec.b))
    start = np.full(spec.outputs[0].size, 3, dtype)
    expected = reference(spec, [a, b, start])[0].astype(dtype)
    for parts in (1, 3):
        out = start.copy()
        Call(kernel, [a, b, out]).run(parts)
        np.testing.assert_array_equal(out.astype(F32), expected.astype(F32))


@pytest.mark.parametrize("seed", range(24))
def test_random_address_maps(seed) -> None:
    run(random_contraction(seed, BF16), seed, machine=PAIRS)


@pytest.mark.parametrize("name", one_in(3, CONVOLUTIONS))
def test_convolutions_and_their_gradients(name) -> None:
    conv = dataclasses.replace(convolution(name), dtype=BF16)
    run(conv.forward(), machine=PAIRS)
    run(conv.input_gradient(), machine=PAIRS)
    run(conv.weight_gradient(), machine=PAIRS)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [3, 4])
def test_convolutions_in_several_steps(channels) -> None:
    conv = ConvolutionGeometry(5, channels, 20, (9, 17), (3, 3), (1, 1), (1, 1), (1, 1), dtype=BF16)
    for spec in (conv.forward(), conv.weight_gradient(), conv.input_gradient()):
        run(spec, machine=SMALL)


@pytest.mark.parametrize("k", [6, 7])
@pytest.mark.parametrize(("ta", "tb"), KINDS, ids=["NN", "NT", "TN", "TT"])
def test_infinities_and_nan_stay_in_their_rows_and_columns(ta, tb, k) -> None:
    """Where k is odd the last pair is half empty: nothing infinite may meet that zero."""
    random = np.random.default_rng(k)
    a, b = (random.standard_normal(shape).astype(BF16) for shape in ((20, k), (k, 37)))
    a[3], a[5, -1], a[7, 0], a[19, -1] = np.inf, np.inf, np.nan, -np.inf
    b[-1, 2], b[0, 36] = np.inf, np.nan
    with np.errstate(invalid="ignore"):
        expected = a.astype(F32) @ b.astype(F32)
    spec = matmul(BF16, 20, 37, k, transpose_a=ta, transpose_b=tb)
    kernel = build("kernel", spec, machine=PAIRS)
    out = np.zeros((20, 37), BF16)
    arrays = [np.ascontiguousarray(x.T) if t else x for x, t in ((a, ta), (b, tb))]
    Call(kernel, [*arrays, out]).run()
    np.testing.assert_allclose(out.astype(F32), expected, rtol=0.01, atol=0.01)


def test_which_index_counts_pairs() -> None:
    def chosen(spec: Contraction) -> tuple[int | None, bool]:
        pairs = paired(spec)
        return pairs.pairs, pairs.odd

    assert chosen(matmul(F32, 4, 5, 6)) == (None, False)
    assert chosen(matmul(BF16, 4, 5, 1)) == (None, False)
    assert chosen(matmul(BF16, 4, 5, 6)) == (0, False)
    assert chosen(matmul(BF16, 4, 5, 7)) == (0, True)
    conv = ConvolutionGeometry(2, 3, 4, (8, 8), (3, 3), (1, 1), (1, 1), (1, 1), dtype=BF16)
    assert chosen(conv.forward()) == (0, True), "taps move windows; channels do not"
    assert chosen(conv.weight_gradient()) == (0, False), "images"
    single = dataclasses.replace(conv, batch=1).weight_gradient()
    assert chosen(single) == (None, False), "every position moves a window"
    flat = Operand(BF16, 24, k=(0, 1), m=(4,))
    spec = Contraction((4,), (5,), (6, 4), flat, Operand(BF16, 120, n=(1,), k=(20, 5)), (
        Operand(BF16, 20, m=(5,), n=(1,)),
    ))  # fmt: skip
    assert chosen(spec) == (1, False), "a broadcast index has no neighbours"


@pytest.mark.parametrize(
    ("cpu", "chosen"),
    [
        ("sapphirerapids", Machine(pairs=True)),  # it has AMX, too
        ("znver4", Machine(pairs=True)),
        ("skylake-avx512", Machine()),
        ("haswell", Machine(vector=32, registers=16)),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_the_instruction_is_used_where_the_processor_has_it(cpu, chosen) -> None:
    """Code for other processors; nothing of it is run."""
    engine = machine.Engine("x86_64-unknown-linux-gnu", cpu)
    kernel = build("kernel", matmul(BF16, 64, 64, 64), machine=chosen)
    code = engine.machine.emit_assembly(engine.tidied(kernel.code))
    assert ("vdpbf16ps" in code) == chosen.pairs
    assert bool(re.search(r"vfmadd\w+ps", code)) != chosen.pairs
    for features, pairs in (("+avx512f,+avx512bf16", True), ("+avx512f,-avx512bf16", False)):
        engine.features = features
        assert engine.pairs == pairs


# -- compiled functions ------------------------------------------------------------------------


def compiled(function):
    plans: list[Plan] = []

    def executor(captured):
        plans.append(native(captured))
        return plans[-1]

    return bl.compile(function, executor=executor), plans


def normal(*shape: int, dtype: str, seed: int = 0) -> bl.Tensor:
    x = np.random.default_rng(seed).standard_normal(shape).astype(F32)
    return bl.asarray(x).astype(dtype).requires_grad_()


FUNCTIONS = {
    "matrices": (lambda a, b: a @ b, (70, 81), (81, 40)),
    "both turned": (lambda a, b: a.mT @ b.mT, (81, 70), (40, 81)),
    "batches": (lambda a, b: a @ b.mT, (2, 1, 40, 33), (3, 37, 33)),
    "matrix and vector": (lambda a, b: a @ b, (300, 201), (201,)),
    "einsum": (lambda a, b: bl.einsum("bhqd,bhkd->bhqk", a, b), (2, 3, 40, 16), (2, 3, 31, 16)),
    "einsum of two": (lambda a, b: bl.einsum("abc,dcb->ad", a, b), (30, 7, 11), (50, 11, 7)),
    "convolution": (
        lambda a, b: F.conv2d(a, b, stride=2, padding=1),
        (3, 5, 13, 12),
        (9, 5, 3, 3),
    ),
    "grouped": (lambda a, b: F.conv2d(a, b, padding=1, groups=2), (4, 6, 9, 9), (8, 3, 3, 3)),
    "transposed": (
        lambda a, b: F.conv_transpose2d(a, b, stride=2, padding=1),
        (3, 6, 9, 8),
        (6, 5, 3, 3),
    ),
}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", one_in(3, FUNCTIONS))
def test_products_of_16_bit_floats_and_their_gradients(name, dtype) -> None:
    """As eager; the same bits for any number of threads; no float32 copy of an operand."""
    function, *shapes = FUNCTIONS[name]

    def step(a, b):
        y = function(a, b)
        return y, *bl.grad((y * y).sum(), [a, b])

    a, b = (normal(*shape, dtype=dtype, seed=i) for i, shape in enumerate(shapes))
    run_it, plans = compiled(step)
    expected = step(a, b)
    threads = bl.get_threads()
    results = []
    try:
        for count in (1, 2, 3):
            bl.set_threads(count)
            got = run_it(a, b)
            results.append([x.numpy().tobytes() for x in got])
    finally:
        bl.set_threads(threads)
    assert results[0] == results[1] == results[2]
    for x, y in zip(got, expected, strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        scale = np.abs(wide(y)).max()
        np.testing.assert_allclose(wide(x), wide(y), rtol=0.02, atol=0.008 * scale)
    lowering = plans[0].lowering
    read = {
        v.dtype.name
        for e in lowering.graph.equations
        if lowering.kind(e) is CONTRACTION
        for v in products.specification(lowering, e)[1][:2]
    }
    assert read == {dtype}


def test_without_conversions_in_hardware_float16_goes_through_float32(monkeypatch) -> None:
    monkeypatch.setattr(legalize, "has_half", lambda: False)
    a, b = normal(70, 81, dtype="float16"), normal(81, 40, dtype="float16")
    multiply, plans = compiled(lambda a, b: a @ b)
    np.testing.assert_allclose(wide(multiply(a, b)), wide(a @ b), rtol=0.01, atol=0.01)
    assert {v.dtype for v in plans[0].lowering.in_memory} == {bl.float16, bl.float32}


# -- training ----------------------------------------------------------------------------------


class Wide(nn.Module):
    """Weights are kept in float32; the products are of their 16-bit roundings."""

    def __init__(self, dtype: str):
        super().__init__()
        self.first, self.second = nn.Linear(20, 64), nn.Linear(64, 5)
        self.dtype = dtype

    def forward(self, x):
        first, second = (m.weight.astype(self.dtype) for m in (self.first, self.second))
        y = F.relu(F.linear(x.astype(self.dtype), first).astype("float32") + self.first.bias)
        return F.linear(y.astype(self.dtype), second).astype("float32") + self.second.bias


def perceptron(dtype: str):
    return models.mlp((20, 64, 64, 5)).to(dtype)


def transformer(dtype: str):
    model = models.GPT2(11, context=16, layers=1, heads=2, width=32, dropout=0.0)
    return model.to(dtype)


def losses(make, dtype: str) -> list[float]:
    """A short training in native code, from the same weights on the same data for every dtype."""
    bl.manual_seed(0)
    random = np.random.default_rng(0)
    if make is transformer:
        text = (np.arange(17) * random.integers(1, 4, (8, 1)) + random.integers(0, 9, (8, 1))) % 11
        x, y = bl.asarray(text[:, :-1]), bl.asarray(text[:, 1:])
    else:
        classes = random.integers(0, 5, 64)
        images = random.standard_normal((5, 20))[classes] + random.standard_normal((64, 20)) / 2
        x, y = bl.asarray(images.astype(F32)).astype(dtype), bl.asarray(classes)
    model, loss_fn = make(dtype), nn.CrossEntropyLoss()
    optimizer = optim.AdamW(model.parameters(), lr=3e-3)

    def step(x, y):
        scores = model(x)
        loss = loss_fn(scores.reshape(-1, scores.shape[-1]), y.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    run_it, plans = compiled(step)
    curve = [float(run_it(x, y)) for _ in range(25)]
    assert CONTRACTION in {kernel.kind for kernel in plans[0].kernels}
    assert HOST not in {kernel.kind for kernel in plans[0].kernels}
    return curve


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (perceptron, "float16"),
        (perceptron, "bfloat16"),
        pytest.param(Wide, "bfloat16", marks=pytest.mark.long),
        pytest.param(transformer, "bfloat16", marks=pytest.mark.long),
    ],
)
def test_training_in_16_bits_follows_training_in_float32(make, dtype) -> None:
    expected, curve = losses(make, "float32"), losses(make, dtype)
    assert expected[-1] < 0.7 * expected[0]
    np.testing.assert_allclose(curve, expected, atol=0.06)
