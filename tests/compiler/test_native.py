"""Compiled code against eager execution: every op of the table, with gradients."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.compiler import Variable, native
from backlit.compiler.capture.evaluate import interpret
from backlit.compiler.capture.trace import trace
from backlit.compiler.llvm import scalar
from backlit.compiler.lower.kinds import HOST
from backlit.compiler.lower.legalize import legalize
from backlit.compiler.plan.plan import Plan
from backlit.dtypes import as_dtype, finfo
from backlit.errors import ArgumentError
from backlit.ops.convolution import Convolution
from backlit.tensor import apply
from core.test_ops import as_tensors, each_case, has_floats, upstream, with_gradients
from sampling import one_in, only

TOLERANCE = {"float32": 2e-5, "float64": 1e-12, "float16": 2e-3, "bfloat16": 1.6e-2}


def assert_close(got: bl.Tensor, want: bl.Tensor, dtype: str, what: str) -> None:
    assert (got.shape, got.dtype) == (want.shape, want.dtype), what
    a, b = got.numpy(), want.numpy()
    if a.dtype.kind in "biu":
        np.testing.assert_array_equal(a, b, err_msg=what)
        return
    wide = b.astype(np.float64)
    tolerance = TOLERANCE[dtype]
    # 16-bit results of several ops lose digits where large numbers nearly cancel.
    scale = (
        0.1
        if dtype in ("float32", "float64")
        else max(1.0, np.abs(wide[np.isfinite(wide)]).max(initial=0))
    )
    np.testing.assert_allclose(
        a.astype(np.float64), wide, rtol=tolerance, atol=tolerance * scale, err_msg=what
    )


def number_of(record, case) -> int:
    return next(i for i, c in enumerate(record.cases) if c is case)


def dtypes_of(record, case) -> tuple[str, ...]:
    """The dtypes to try: the first case in all, the others in turn in one of the 16-bit ones."""
    number = number_of(record, case)
    if not has_floats(record, case):
        return ("float32",)
    if number == 0:
        return tuple(TOLERANCE)
    return ("float32", "float64", ("float16", "bfloat16")[number % 2])


def dtype_in_turn(record, case) -> str:
    """The one that is tried of a case in every run of the tests."""
    dtypes = dtypes_of(record, case)
    return dtypes[number_of(record, case) % len(dtypes)]


#: Ops without native code: LAPACK's, searches among many, and functions of a dozen branches.
BY_NUMPY = set(
    """
    cholesky cofactor det eigh eigvalsh inv pinv qr slogdet solve svd svdvals
    argkth argrunning argtop scatter_extreme scatter_prod searchsorted
    gcd polygamma random_poisson
    """.split()
)


def on_host(plan: Plan) -> set[str]:
    """The ops that NumPy runs, each with the dtypes of its inputs."""
    equations = [kernel.roots[0] for kernel in plan.kernels if kernel.kind is HOST]
    return {
        " ".join([e.op.name, *(x.dtype.name for x in e.inputs if isinstance(x, Variable))])
        for e in equations
    }


@each_case(one_in=5, few=1)
def test_compiled_equals_eager(record, case) -> None:
    compare(record, case, dtype_in_turn(record, case))


@pytest.mark.long
@each_case()
def test_compiled_equals_eager_in_every_type(record, case) -> None:
    for dtype in dtypes_of(record, case):
        compare(record, case, dtype)


def compare(record, case, dtype: str) -> None:
    step = with_gradients(record, case)
    tensors = as_tensors(case, dtype, True)
    tensors.append(upstream(record(case, *tensors)))
    eager = step(*tensors)
    plans: list[Plan] = []

    def executor(captured, plans=plans):
        plans.append(native(captured))
        return plans[-1]

    function = bl.compile(step, executor=executor)
    for call in ("first", "second"):
        compiled = function(*tensors)
        assert len(compiled) == len(eager)
        for i, (got, want) in enumerate(zip(compiled, eager, strict=True)):
            what = f"{dtype}, {call} call, output {i} of\n{function.graph}"
            assert_close(got, want, dtype, what)
    by_numpy = {words.split()[0] for words in on_host(plans[0])}
    assert by_numpy <= BY_NUMPY
    assert record.name not in BY_NUMPY - by_numpy, "it is native: strike it from the list"


WHOLE = np.arange(65536, dtype=np.uint16)  # every 16-bit pattern


@pytest.mark.parametrize("has_half", [True, False])
@pytest.mark.parametrize("target", ["float16", "bfloat16", "float32", "float64", "bool"])
def test_conversions_of_16_bit_floats_are_exact(monkeypatch, target, has_half) -> None:
    """With the processor's instructions and without them."""
    if not has_half:
        monkeypatch.setattr(scalar, "has_half", lambda: False)
    halves = WHOLE.view(bl.float16)
    exact = halves.astype(np.float64)
    with np.errstate(all="ignore"):
        ties = exact * (1 + 2.0**-11)
        near = np.concatenate([np.nextafter(ties, np.inf), ties, np.nextafter(ties, -np.inf)])
        near = np.concatenate([near, exact + 2.0**-25, [1e300, -1e300, 65519.99, 65520.0]])
        sources = (halves, WHOLE.view(bl.bfloat16), near, near.astype(np.float32), WHOLE)
        convert = bl.compile(lambda x: x.astype(target))
        for source in sources:
            x = bl.asarray(source)
            got, want = convert(x).numpy(), x.astype(target).numpy()
            nan = np.isnan(want.astype(np.float64))
            assert np.isnan(got.astype(np.float64)).tolist() == nan.tolist()
            assert got[~nan].tobytes() == want[~nan].tobytes()


@pytest.mark.parametrize("descending", one_in(2, [False, True], first=1))
@pytest.mark.parametrize("n", only("1 7 64", [1, 2, 7, 64, 1000]))
@pytest.mark.parametrize("dtype", ["float32", "int8", "bool", "bfloat16", "uint64"])
def test_sorting_is_stable_with_nan_as_the_largest(dtype, n, descending) -> None:
    rng = np.random.default_rng(n)
    x = rng.integers(0, 5, (3, n, 2)).astype(as_dtype(dtype))
    if dtype in ("float32", "bfloat16"):
        x[rng.random(x.shape) < 0.2] = np.nan
        x[rng.random(x.shape) < 0.1] = -0.0

    def orders(t):
        return [bl.argsort(t, axis=axis, descending=descending) for axis in (0, 1, 2)]

    tensor = bl.asarray(x)
    for eager, compiled in zip(orders(tensor), bl.compile(orders)(tensor), strict=True):
        assert eager.numpy().tolist() == compiled.numpy().tolist()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_next_numbers(dtype) -> None:
    info = finfo(dtype)
    least = float(info.smallest_normal)
    values = [0.0, -0.0, 1.0, -1.0, least, -least, info.max, info.min, np.inf, -np.inf, np.nan]
    x = np.array(values, as_dtype(dtype))
    a, b = bl.asarray(np.repeat(x, len(x))), bl.asarray(np.tile(x, len(x)))
    got, want = bl.compile(bl.nextafter)(a, b).numpy(), bl.nextafter(a, b).numpy()
    np.testing.assert_array_equal(got.astype(np.float64), want.astype(np.float64))


@pytest.mark.slow
def test_integers_multiply_raise_and_wrap_around() -> None:
    rng = np.random.default_rng(0)
    for dtype in ("int8", "uint16", "int64"):
        a, b = (bl.asarray(rng.integers(-99, 99, s).astype(dtype)) for s in ((2, 5, 40), (40, 7)))
        product, cube, power = bl.matmul, lambda x: x**3, lambda x, n: bl.pow(x, n)
        assert bl.compile(product)(a, b).numpy().tolist() == (a @ b).numpy().tolist()
        assert bl.compile(cube)(a).numpy().tolist() == cube(a).numpy().tolist()
    base = bl.asarray(rng.integers(0, 255, 50).astype(np.uint8))
    up = bl.asarray(rng.integers(0, 20, 50).astype(np.uint8))
    assert bl.compile(power)(base, up).numpy().tolist() == power(base, up).numpy().tolist()


@pytest.mark.slow
def test_powers_of_integers_by_signed_integers_are_native() -> None:
    rng = np.random.default_rng(0)
    for dtype in ("int8", "int32", "int64"):
        base = bl.asarray(rng.integers(-9, 10, (50, 3)).astype(dtype))
        exponent = bl.asarray(rng.integers(0, 40, 3).astype(dtype))
        power, plans = bl.pow(base, exponent), []

        def executor(captured, plans=plans):
            plans.append(native(captured))
            return plans[-1]

        for number in (exponent, bl.asarray(np.zeros((), dtype))):
            got = bl.compile(bl.pow, executor=executor)(base, number)
            assert got.numpy().tolist() == bl.pow(base, number).numpy().tolist()
        assert power.dtype == got.dtype == as_dtype(dtype)
        assert on_host(plans[0]) == set()


@pytest.mark.slow
def test_a_negative_power_of_integers_is_an_error() -> None:
    x = bl.asarray(np.array([2, 3]))
    power = bl.compile(bl.pow)
    with pytest.raises(ArgumentError, match="pow: b must not be negative, because integers have"):
        power(x, bl.asarray(np.array([1, -1])))
    assert power(x, bl.asarray(np.array([2, 1]))).tolist() == [4, 3], "the error is over"
    with pytest.raises(ArgumentError, match="pow: b must not be negative, because integers have"):
        bl.pow(x, bl.asarray(np.array([1, -1])))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "bad", "message"),
    [
        (bl.pow, [1, -1], "integers have no negative integer powers"),
        (bl.take, [0, 2], "an index lies outside its axis"),
    ],
)
def test_a_state_is_kept_whole_where_its_new_value_is_an_error(function, bad, message) -> None:
    state = bl.asarray(np.array([2, 3]))

    @bl.compile
    def step(n):
        state.assign(state + function(state * 1, n))

    with pytest.raises(ValueError if function is bl.pow else IndexError, match=message):
        step(bl.asarray(np.array(bad)))
    assert state.tolist() == [2, 3]
    step(bl.asarray(np.array([1, 1])))
    assert state.tolist() == ([4, 6] if function is bl.pow else [5, 6])


@pytest.mark.parametrize("padding", [((0, 2), (1, 0)), ((3, 1), (0, 0)), ((1, 2), (2, 1))])
@pytest.mark.parametrize(
    ("stride", "dilation", "groups"), [((1, 1), (1, 1), 1), ((2, 1), (1, 2), 2)]
)
def test_padding_that_differs_at_the_ends(padding, stride, dilation, groups) -> None:
    rng = np.random.default_rng(0)
    op = Convolution(stride=stride, padding=padding, dilation=dilation, groups=groups)
    x = bl.asarray(rng.normal(size=(2, 4, 7, 6))).requires_grad_()
    weight = bl.asarray(rng.normal(size=(6, 4 // groups, 3, 2))).requires_grad_()

    def step(x, weight):
        y = apply(op, x, weight)
        return y, *bl.grad((y * y).sum(), [x, weight])

    plans: list[Plan] = []

    def executor(captured):
        plans.append(native(captured))
        return plans[-1]

    compiled = bl.compile(step, executor=executor)(x, weight)
    assert on_host(plans[0]) == set()
    for got, want in zip(compiled, step(x, weight), strict=True):
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-10, atol=1e-10)


def test_graphs_in_other_ops_are_legal_and_mean_the_same() -> None:
    def step(x):
        y = bl.tanh(x * 0.1) + bl.sort(x, axis=0)
        return y.sum(), bl.grad(y.sum(), x)

    x = bl.asarray(np.linspace(-3, 3, 24).reshape(4, 6).astype(np.float16)).requires_grad_()
    graph = trace(step, (x,), {}).graph
    other = legalize(graph)
    other.check()
    assert (other.inputs, other.outputs) == (graph.inputs, graph.outputs)
    low = {bl.float16, bl.bfloat16}
    for e in other.equations:
        if not e.op.exact:
            assert low.isdisjoint(v.dtype for v in (*e.inputs, e.output) if hasattr(v, "dtype"))
    for a, b in zip(interpret(graph, [x.array]), interpret(other, [x.array]), strict=True):
        assert a.tobytes() == b.tobytes()
