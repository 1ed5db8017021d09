"""Every op against its record: values, derivatives, types, capture, bodies and errors."""

from __future__ import annotations

import ast
import functools
import inspect
import math
import sys
from collections.abc import Callable
from decimal import Decimal, localcontext

import numpy as np
import pytest

import backlit as bl
from backlit.backend import NAMESPACE
from backlit.backend import numpy_backend as NUMPY
from backlit.compiler import Variable
from backlit.compiler.capture.evaluate import evaluated
from backlit.compiler.capture.trace import Capture, trace
from backlit.dtypes import FLOATING, LOW_PRECISION
from backlit.op import Op
from backlit.state import observing
from backlit.tensor import Tensor, wrap
from op_table import BUILT_IN, RECORDS, Bad, Case, Record, Special
from sampling import every, try_each


def each_case(keep=lambda record, case: True, one_in: int = 1, few: int = 2):
    """Makes a test of each record of what checks one case: it tries those that `keep` keeps.

    Of these it tries the first and one in so many, of each record in another turn; when in a hurry,
    a `few`.
    """

    def kept(record: Record) -> list[Case]:
        return [
            case
            for i, case in enumerate(c for c in record.cases if keep(record, c))
            if (i + len(record.name)) % one_in == 0 or i == 0
        ]

    def made(check):
        def test(record: Record) -> None:
            try_each(functools.partial(check, record), kept(record), few)

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return each_record(kept)(test)

    return made


def each_record(keep=lambda record: True):
    return pytest.mark.parametrize(
        "record", [pytest.param(r, id=name) for name, r in RECORDS.items() if keep(r)]
    )


def is_float(x) -> bool:
    return isinstance(x, np.ndarray) and x.dtype in FLOATING


def differentiable(record: Record, case: Case) -> bool:
    return record.op.differentiable and any(map(is_float, case.inputs))


def has_floats(record: Record, case: Case) -> bool:
    return any(map(is_float, case.inputs))


def as_tensors(case: Case, dtype=None, requires_grad: bool = False) -> list:
    """The inputs of a case: floating arrays as Tensors of a dtype, numbers as they are."""
    result = []
    for x in case.inputs:
        if not isinstance(x, np.ndarray):
            result.append(x)
            continue
        array = x.astype(dtype) if dtype is not None and is_float(x) else x.copy()
        array.flags.writeable = False  # no body may write to what it is given
        result.append(wrap(array).requires_grad_(requires_grad and is_float(x)))
    return result


def leaves(tensors: list) -> list[Tensor]:
    return [t for t in tensors if isinstance(t, Tensor) and t.requires_grad]


def upstream(y: Tensor) -> Tensor:
    """Weights for the output, neither equal nor near zero."""
    values = np.linspace(0.5, 1.5, y.size).reshape(y.shape).astype(y.dtype)
    values.flags.writeable = False
    return wrap(values)


def gradients(run: Callable[..., Tensor], case: Case, tensors: list) -> tuple:
    y = run(case, *tensors)
    return bl.grad(y, leaves(tensors), upstream(y), allow_unused=True)


def assert_same_bits(got: Tensor, want: Tensor, what: str) -> None:
    assert got.shape == want.shape, what
    assert got.dtype == want.dtype, what
    assert got.numpy().tobytes() == want.numpy().tobytes(), f"{what}: {got} is not {want}"


# -- completeness ---------------------------------------------------------------------------------


def test_every_built_in_op_has_a_record() -> None:
    missing = sorted(
        f"{c.__module__}.{c.__name__}" for n, c in BUILT_IN.items() if n not in RECORDS
    )
    assert not missing, f"ops without a record in tests/op_table: {', '.join(missing)}"


def test_every_record_belongs_to_a_registered_op() -> None:
    assert {name: r.op for name, r in RECORDS.items()} == {n: BUILT_IN[n] for n in RECORDS}


@every("name", RECORDS)
def test_record_has_cases_with_a_shape_that_matters(name: str) -> None:
    record = RECORDS[name]
    assert len(record.cases) >= 2
    sizes = [getattr(x, "size", 1) for case in record.cases for x in case.inputs]
    outputs = [record(case, *as_tensors(case)).size for case in record.cases]
    assert max(*sizes, *outputs) > 1


# -- values ---------------------------------------------------------------------------------------


@each_case()
def test_forward_equals_reference(record: Record, case: Case) -> None:
    y = record(case, *as_tensors(case)).numpy()
    want = np.asarray(record.reference(*case.inputs, **case.attributes))
    assert y.shape == want.shape
    if y.dtype in FLOATING:
        np.testing.assert_allclose(y, want, record.rtol, record.atol)
    else:
        np.testing.assert_array_equal(y, want)


@each_case(lambda record, case: record.function is not None)
def test_user_function_applies_the_op(record: Record, case: Case) -> None:
    tensors = as_tensors(case)
    seen = []
    with observing(lambda op, inputs, y: seen.append(op)):
        y = record.call_function(case, *tensors)
    identity = not seen and any(y is t for t in tensors)
    assert identity or record.op in map(type, seen) or not leaves(as_tensors(case, None, True))
    assert_same_bits(y, record(case, *tensors), "function and op")


def as_array(x, dtype: str):
    if isinstance(x, int | float):
        return x
    if isinstance(x, np.ndarray) and x.dtype not in FLOATING:
        return x
    return np.array(x, dtype)


@each_record(lambda record: bool(record.specials))
def test_special_values(record: Record) -> None:
    try_each(functools.partial(check_special, record), record.specials)


def check_special(record: Record, special: Special) -> None:
    case = Case(tuple(as_array(x, special.dtype) for x in special.inputs), special.attributes)
    tensors = as_tensors(case, None, special.grads is not None)
    y = record(case, *tensors)
    if special.y is not None:
        np.testing.assert_allclose(y.numpy(), special.y, special.rtol, 0)
        if y.dtype in FLOATING and issubclass(record.op, bl.Elementwise):
            zeros = np.asarray(special.y) == 0
            signs = np.signbit(np.asarray(y.numpy(), np.float64)), np.signbit(np.float64(special.y))
            np.testing.assert_array_equal(signs[0][zeros], signs[1][zeros])
    if special.grads is not None:
        for weight in (1.0, -3.0):  # linear in the upstream gradient, at ties and kinks too
            found = bl.grad(y, leaves(tensors), bl.full_like(y, weight), retain_graph=True)
            for got, want in zip(found, special.grads, strict=True):
                want = weight * np.asarray(want)
                np.testing.assert_allclose(got.numpy(), want, special.rtol, 0)


def compare_compiled_specials(record: Record) -> None:
    """One compiled function with all the points of a record gives what eager execution gives."""

    def step(*points):
        results = []
        for special, tensors in zip(record.specials, points, strict=True):
            y = record(Case((), special.attributes), *tensors)
            wanted = leaves(tensors) if special.grads is not None else []
            upstream = bl.full_like(y, -3.0) if wanted else None
            results += [y, *(bl.grad(y, wanted, upstream) if wanted else ())]
        return results

    points = []
    for special in record.specials:
        inputs = tuple(as_array(x, special.dtype) for x in special.inputs)
        points.append(as_tensors(Case(inputs, {}), None, special.grads is not None))
    with np.errstate(all="ignore"):
        eager = step(*points)
    for got, want in zip(bl.compile(step)(*points), eager, strict=True):
        assert got.dtype == want.dtype
        if got.dtype not in FLOATING:
            np.testing.assert_array_equal(got.numpy(), want.numpy())
            continue
        rtol = {8: 1e-12, 4: 1e-5}[got.dtype.itemsize]
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol, 0)
        if issubclass(record.op, bl.Elementwise):
            zero = (want.numpy() == 0) & (got.numpy() == 0)
            signs = np.signbit(got.numpy()), np.signbit(want.numpy())
            np.testing.assert_array_equal(signs[0][zero], signs[1][zero])


@pytest.mark.slow
@each_record(lambda record: bool(record.specials))
def test_special_values_compiled(record: Record) -> None:
    compare_compiled_specials(record)


@each_case(lambda r, c: differentiable(r, c) and issubclass(r.op, bl.Elementwise))
def test_nan_does_not_stop_in_the_backward(record: Record, case: Case) -> None:
    """Where an input is NaN so is its gradient, unless the op's slope is the same everywhere."""
    usual = gradients(record, case, as_tensors(case, None, True))
    floats = [i for i, x in enumerate(case.inputs) if is_float(x)]
    for place, i in enumerate(floats):
        inputs = list(case.inputs)
        inputs[i] = np.full_like(inputs[i], math.nan)
        tensors = as_tensors(Case(tuple(inputs), case.attributes), None, True)
        y = record(case, *tensors)
        assert np.isnan(y.numpy()).all() or record.name in NAN_IS_NO_RESULT
        (found, known) = gradients(record, case, tensors)[place], usual[place]
        assert np.isnan(found.numpy()).all() or np.array_equal(found.numpy(), known.numpy())


#: Ops that give a number for NaN: of the two choices only one is taken, and NaN⁰ = 1.
NAN_IS_NO_RESULT = {"where", "copysign", "pow", "prelu"}


@each_case(has_floats)
def test_low_precision_is_close_to_float64(record: Record, case: Case) -> None:
    """Value and gradients keep the dtype and agree with float64 at the same (rounded) inputs."""
    compare_with_float64(record, case, bl.float32)
    if record.low_precision:
        compare_with_float64(record, case, bl.float16)
        compare_with_float64(record, case, bl.bfloat16)


def compare_with_float64(record: Record, case: Case, dtype: np.dtype) -> None:
    low = as_tensors(case, dtype, record.op.differentiable)
    high = [t.astype("float64") if is_float(getattr(t, "array", None)) else t for t in low]
    high = [
        t.detach().requires_grad_(t.requires_grad) if isinstance(t, Tensor) else t for t in high
    ]
    y, want = record(case, *low), record(case, *high)
    tolerance = {"float32": 2e-5, "float16": 2e-2, "bfloat16": 1e-1}[dtype.name]
    if want.dtype not in FLOATING:
        np.testing.assert_array_equal(y.numpy(), want.numpy())
        return
    if "dtype" not in case.attributes:
        assert y.dtype == dtype
    scale = np.max(np.abs(want.numpy()), initial=1.0)
    np.testing.assert_allclose(
        y.numpy().astype(np.float64), want.numpy(), tolerance, tolerance * scale
    )
    if record.op.differentiable:
        for got, true in zip(
            gradients(record, case, low), gradients(record, case, high), strict=True
        ):
            if true is None:
                continue
            assert got.dtype == dtype
            scale = np.max(np.abs(true.numpy()), initial=1.0)
            np.testing.assert_allclose(
                got.numpy().astype(np.float64), true.numpy(), 4 * tolerance, 4 * tolerance * scale
            )


def scattered(x: np.ndarray, layout: str) -> np.ndarray:
    """The same values in memory that is not contiguous."""
    if layout == "strided":
        wide = np.zeros((*x.shape, 2), x.dtype)
        wide[..., 0] = x
        return wide[..., 0]
    if layout == "reversed":
        return np.flip(np.flip(x).copy())
    return np.array(x, order="F")


@each_case(lambda record, case: any(getattr(x, "size", 0) > 1 for x in case.inputs))
def test_memory_layout_does_not_matter(record: Record, case: Case) -> None:
    for layout in ("strided", "reversed", "fortran"):
        compare_layouts(record, case, layout)


def compare_layouts(record: Record, case: Case, layout: str) -> None:
    plain = as_tensors(case, None, record.op.differentiable)
    other = [
        wrap(scattered(t.numpy(), layout)).requires_grad_(t.requires_grad)
        if isinstance(t, Tensor)
        else t
        for t in plain
    ]
    got, want = record(case, *other), record(case, *plain)
    assert got.shape == want.shape
    # Sums may run in another order.
    np.testing.assert_allclose(got.numpy(), want.numpy(), 1e-14, 1e-14)
    if leaves(plain):
        for a, b in zip(
            gradients(record, case, other), gradients(record, case, plain), strict=True
        ):
            if b is not None:
                np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-13, 1e-13)


# -- derivatives ----------------------------------------------------------------------------------


def checkable(record: Record, case: Case) -> bool:
    return differentiable(record, case) and case.attributes.get("dtype") in (None, bl.float64)


@each_case(checkable)
def test_gradients_to_second_order(record: Record, case: Case) -> None:
    order = 2 if record.op.twice_differentiable else 1
    bl.gradcheck(lambda *ts: record(case, *ts), as_tensors(case, None, True), order=order)


@each_case(differentiable)
def test_gradients_have_the_type_of_their_inputs(record: Record, case: Case) -> None:
    tensors = as_tensors(case, "float32", True)
    for t, g in zip(leaves(tensors), gradients(record, case, tensors), strict=True):
        assert g is not None
        assert (g.shape, g.dtype) == (t.shape, t.dtype)


@each_case(lambda r, c: differentiable(r, c) and r.op.twice_differentiable)
def test_backward_read_with_tensors_gives_the_same_bits(record: Record, case: Case) -> None:
    tensors = as_tensors(case, "float32", True)
    plain = gradients(record, case, tensors)
    y = record(case, *tensors)
    live = bl.grad(y, leaves(tensors), upstream(y), create_graph=True)
    for a, b in zip(live, plain, strict=True):
        assert_same_bits(a, b, "create_graph")


@each_case(lambda r, c: not r.op.differentiable and has_floats(r, c))
def test_op_without_a_derivative_is_not_on_the_tape(record: Record, case: Case) -> None:
    assert not record(case, *as_tensors(case, None, True)).requires_grad


# -- capture and types ----------------------------------------------------------------------------


def with_gradients(record: Record, case: Case):
    """The op and its gradients as one function of Tensors, the last of them the upstream."""

    def step(*tensors):
        y = record(case, *tensors[:-1])
        wanted = leaves(list(tensors[:-1]))
        if not wanted or not record.op.differentiable:
            return (y,)
        return (y, *bl.grad(y, wanted, tensors[-1], allow_unused=True))

    return step


def interpreted(captured: Capture, tensors: list) -> list[Tensor]:
    """Interpret a captured function, demanding of every equation the type it was captured with."""
    graph = captured.graph
    graph.check()
    arrays = [t.array for t in [*tensors, *captured.found] if isinstance(t, Tensor)]
    values = {**dict(zip(graph.inputs, arrays, strict=True)), **graph.constants}
    for e in graph.equations:
        inputs = [values[x] if isinstance(x, Variable) else x for x in e.inputs]
        with np.errstate(all="ignore"):
            y = evaluated(e.op, tuple(inputs))
        assert (y.shape, y.dtype) == (e.output.shape, e.output.dtype), e
        values[e.output] = y
    return [wrap(values[v]) for v in graph.outputs]


TYPES = sorted(FLOATING, key=str)


@each_case(one_in=5)
def test_captured_equals_eager(record: Record, case: Case) -> None:
    compare_captured(record, case, TYPES[0] if has_floats(record, case) else None)


@pytest.mark.long
@each_case()
def test_captured_equals_eager_in_every_type(record: Record, case: Case) -> None:
    for dtype in TYPES if has_floats(record, case) else [None]:
        compare_captured(record, case, dtype)


def compare_captured(record: Record, case: Case, dtype: np.dtype | None) -> None:
    step = with_gradients(record, case)
    tensors = as_tensors(case, dtype, True)
    tensors.append(upstream(record(case, *tensors)))
    eager = step(*tensors)
    capture = trace(step, tuple(tensors), {})
    captured = interpreted(capture, tensors)
    assert len(captured) == len(eager)
    for i, (got, want) in enumerate(zip(captured, eager, strict=True)):
        assert_same_bits(got, want, f"output {i} of\n{capture}")


@each_case(lambda record, case: record.op.primitive)
def test_infer_gives_the_type_that_eager_gives(record: Record, case: Case) -> None:
    op = record.op(**case.attributes)
    for dtype in sorted(FLOATING, key=str):
        tensors = as_tensors(case, dtype)
        arrays = [t.array if isinstance(t, Tensor) else t for t in tensors]
        y = record(case, *tensors)
        assert op.infer(*arrays) == (y.shape, y.dtype)


# -- bodies ---------------------------------------------------------------------------------------


class OnlyMathematics:
    """An array of which a body can use the operators, shape, dtype, ndim, size and mT only."""

    __hash__ = None

    def __init__(self, array):
        self._array = array

    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: self._array.dtype)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    mT = property(lambda self: OnlyMathematics(self._array.mT))  # noqa: N815

    def __bool__(self):
        raise AssertionError("a body branched on a value")


def _operator(name):
    def apply(self, *others):
        return OnlyMathematics(getattr(np.asarray(self._array), name)(*map(bare, others)))

    return apply


BINARY = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift"
COMPARISON_AND_UNARY = "eq ne lt le gt ge neg pos abs invert"
for _name in BINARY.split():
    setattr(OnlyMathematics, f"__{_name}__", _operator(f"__{_name}__"))
    setattr(OnlyMathematics, f"__r{_name}__", _operator(f"__r{_name}__"))
for _name in COMPARISON_AND_UNARY.split():
    setattr(OnlyMathematics, f"__{_name}__", _operator(f"__{_name}__"))


def bare(x):
    if isinstance(x, tuple | list):
        return type(x)(map(bare, x))
    return x._array if isinstance(x, OnlyMathematics) else x


class ClosedNamespace:
    """The NumPy namespace with nothing in it but what bodies may use."""

    def __getattr__(self, name):
        assert name in NAMESPACE, f"xp.{name} is not in the namespace of op bodies"
        function = getattr(NUMPY, name)

        def call(*args, **kwargs):
            arrays = (bare(a) for a in args)
            return OnlyMathematics(function(*arrays, **{k: bare(v) for k, v in kwargs.items()}))

        return call


@each_case()
def test_bodies_use_only_the_closed_namespace(record: Record, case: Case) -> None:
    op = record.op(**case.attributes)
    xp = ClosedNamespace()
    inputs = tuple(OnlyMathematics(x) if isinstance(x, np.ndarray) else x for x in case.inputs)
    with np.errstate(all="ignore"):
        y = op.forward(xp, *inputs)
        assert isinstance(y, OnlyMathematics)
        if not op.differentiable:
            return
        grads = op.backward(xp, OnlyMathematics(np.ones(y.shape)), *op.save(inputs, y))
        for g in grads if isinstance(grads, tuple) else (grads,):
            assert g is None or isinstance(g() if callable(g) else g, OnlyMathematics)


def bodies():
    """The functions over `xp` in the sources of the ops, as syntax trees."""
    for module in sorted({op.__module__ for op in BUILT_IN.values()}):
        source = inspect.getsource(sys.modules[module])
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and "xp" in [a.arg for a in node.args.args]:
                yield f"{module.rpartition('.')[2]}:{node.lineno}", node


def test_bodies_do_not_write_in_place_or_call_numpy() -> None:
    found = list(bodies())
    assert len(found) > 150
    for where, body in found:
        for node in ast.walk(body):
            place = f"ops/{where}, line {getattr(node, 'lineno', '?')}"
            assert not (isinstance(node, ast.Name) and node.id in ("np", "numpy")), place
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "xp":
                assert node.attr in NAMESPACE, f"{place}: xp.{node.attr}"
            targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
            assert not any(isinstance(t, ast.Subscript | ast.Attribute) for t in targets), place


def test_namespaces_provide_every_name() -> None:
    from backlit.array_api.namespace import TENSORS

    for name in NAMESPACE:
        assert callable(getattr(NUMPY, name)), name
        assert callable(getattr(TENSORS, name)), name


# -- errors ---------------------------------------------------------------------------------------


@each_record(lambda record: bool(record.bad))
def test_bad_input_is_explained(record: Record) -> None:
    try_each(check_bad, record.bad)


def check_bad(bad: Bad) -> None:
    with pytest.raises(bad.error, match=bad.text) as caught:
        bad.call()
    assert type(caught.value) is bad.error


def test_the_error_of_an_op_is_the_same_when_captured() -> None:
    with pytest.raises(bl.errors.ShapeError, match=r"add: shapes must broadcast") as eager:
        bl.ones(2) + bl.ones(3)
    with pytest.raises(bl.errors.ShapeError) as captured:
        bl.capture(lambda a, b: a + b)(bl.ones(2), bl.ones(3))
    assert str(eager.value) == str(captured.value)


# -- accuracy -------------------------------------------------------------------------------------


def exact_erf(x: float) -> Decimal:
    """2/√π Σ (-1)ⁿ x²ⁿ⁺¹ / (n! (2n+1)), summed with 80 digits."""
    with localcontext() as context:
        context.prec = 80
        pi = Decimal(
            "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899"
        )
        t = Decimal(x)
        term, total, n = t, t, 0
        while abs(term) > Decimal(10) ** -60 * max(abs(total), Decimal(10) ** -300):
            n += 1
            term *= -t * t / n
            total += term / (2 * n + 1)
        return 2 / pi.sqrt() * total


def test_erf_is_within_two_units_in_the_last_place() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [rng.uniform(-6, 6, 300), rng.uniform(-0.5, 0.5, 100), 10.0 ** -np.arange(20)]
    )
    y = bl.erf(bl.asarray(x)).numpy()
    for point, value in zip(x.tolist(), y.tolist(), strict=True):
        exact = exact_erf(point)
        error = abs(Decimal(value) - exact) / Decimal(math.ulp(float(exact)))
        assert error <= 2, f"erf({point}): {value} is off by {error} ulp"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_variance_of_numbers_with_a_large_offset(dtype: str) -> None:
    offset = {"float32": 2.0**20, "float64": 1e8}[dtype]
    noise = np.arange(16) % 4
    x = bl.tensor((offset + noise).astype(dtype), requires_grad=True)
    y = bl.var(x)
    y.backward()
    np.testing.assert_allclose(y.numpy(), 1.25, 1e-6)
    np.testing.assert_allclose(x.grad.numpy(), 2 * (noise - 1.5) / 16, 1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_safe_forms_at_large_arguments(size: float, dtype: str) -> None:
    x = bl.tensor(np.array([size, 0.0], dtype), requires_grad=True)
    big = size > 0
    for f, y, gradient in [
        (bl.sigmoid, [float(big), 0.5], [0.0, 0.25]),
        (lambda t: bl.logaddexp(t, 0.0), [max(size, 0), math.log(2)], [float(big), 0.5]),
        (lambda t: bl.logsumexp(t), max(size, 0), [float(big), float(not big)]),
    ]:
        value = f(x)
        np.testing.assert_allclose(value.numpy(), y, 1e-6)
        found = bl.grad(value, x, bl.ones_like(value))
        np.testing.assert_allclose(found.numpy(), gradient, 1e-6)


@every("exponent", [0.0, bl.tensor([0.0, 0.0]), bl.tensor([0.0, 0.0], requires_grad=True)])
def test_a_power_of_0_is_flat_to_second_order(exponent) -> None:
    x = bl.tensor([0.0, 2.0], requires_grad=True)
    first = bl.grad(bl.pow(x, exponent).sum(), x, create_graph=True)
    assert first.tolist() == bl.grad(first.sum(), x).tolist() == [0.0, 0.0]


# -- the base classes -----------------------------------------------------------------------------


def test_ops_with_equal_attributes_are_equal() -> None:
    for record in RECORDS.values():
        for case in record.cases:
            a, b = record.op(**case.attributes), record.op(**case.attributes)
            assert a == b
            assert hash(a) == hash(b)
            assert repr(a).startswith(record.name)


@every("name", [name for name, record in RECORDS.items() if record.op.attributes])
def test_wrong_attributes_are_named(name: str) -> None:
    with pytest.raises(bl.errors.ArgumentError, match=rf"{name}: attributes must be \("):
        RECORDS[name].op(nonsense=1)


@every("name", RECORDS)
def test_op_says_its_formula(name: str) -> None:
    assert RECORDS[name].op.__doc__
    assert issubclass(RECORDS[name].op, Op)


def test_low_precision_sums_accumulate_in_float32() -> None:
    for dtype in LOW_PRECISION:
        x = bl.full((4096,), 1.0, dtype=dtype)
        assert x.sum().item() == 4096
        assert (bl.reshape(x, (1, -1)) @ bl.reshape(x, (-1, 1))).item() == 4096
        assert bl.cumulative_sum(x)[-1].item() == 4096
