"""Laws that hold for every input: algebra of shapes, agreement with NumPy, and of derivatives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import backlit as bl
from backlit.autograd import grad
from backlit.compiler import interpreter
from backlit.transforms import hvp, jvp, vjp

#: The runs are the same every time; a new counterexample shall not stop somebody else's work.
LAW = settings(max_examples=60, deadline=None, derandomize=True)

SIDES = st.integers(0, 3)
SHAPES = st.lists(SIDES, max_size=4).map(tuple)
NUMBERS = st.floats(-4, 4, width=32).map(lambda v: round(v, 3) + 0.0)


def arrays(shape, elements=NUMBERS, dtype=np.float64):
    return hnp.arrays(dtype, shape, elements=elements)


def same(got: bl.Tensor, want, rtol: float = 1e-12, atol: float = 1e-12) -> None:
    want = np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got.numpy(), want, rtol, atol)


@st.composite
def broadcastable(draw, count: int = 2):
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=count, max_dims=4, max_side=3))
    return [draw(arrays(s)) for s in shapes.input_shapes]


# -- broadcasting ---------------------------------------------------------------------------------


@pytest.mark.slow
@given(broadcastable(3))
@LAW
def test_broadcasting_is_numpys(values) -> None:
    a, b, c = values
    x, y, z = map(bl.asarray, values)
    same(x * y + z, a * b + c)
    same(bl.where(x > y, y, z), np.where(a > b, b, c))
    assert bl.broadcast_shapes(a.shape, b.shape, c.shape) == (a + b + c).shape


@given(broadcastable(2))
@LAW
def test_gradients_of_broadcast_inputs_are_sums_over_the_copies(values) -> None:
    x, y = (bl.tensor(v, requires_grad=True) for v in values)
    out = x * y
    up = np.random.default_rng(0).uniform(0.5, 1.5, out.shape)
    found = grad(out, [x, y], bl.asarray(up))
    for leaf, other, g in zip((x, y), (y, x), found, strict=True):
        whole = up * np.broadcast_to(other.numpy(), out.shape)
        spread = np.broadcast_to(leaf.numpy(), out.shape)
        lead = whole.ndim - leaf.ndim
        axes = tuple(
            a for a in range(whole.ndim) if a < lead or leaf.shape[a - lead] != spread.shape[a]
        )
        want = whole.sum(axis=axes, keepdims=True).reshape(leaf.shape)
        same(g, want)


# -- movement -------------------------------------------------------------------------------------


@given(st.data(), SHAPES)
@LAW
def test_permutations_compose(data, shape) -> None:
    x = bl.asarray(data.draw(arrays(shape)))
    p = data.draw(st.permutations(range(len(shape))))
    q = data.draw(st.permutations(range(len(shape))))
    twice = bl.permute_dims(bl.permute_dims(x, p), q)
    same(twice, bl.permute_dims(x, [p[i] for i in q]).numpy(), 0, 0)
    inverse = [p.index(i) for i in range(len(p))]
    same(bl.permute_dims(bl.permute_dims(x, p), inverse), x.numpy(), 0, 0)


@st.composite
def factored(draw, size: int):
    shape = []
    while size > 1 and draw(st.booleans()):
        factors = [d for d in range(1, size + 1) if size % d == 0]
        shape.append(draw(st.sampled_from(factors)))
        size //= shape[-1]
    return (*shape, size)


@given(st.data(), SHAPES)
@LAW
def test_reshapes_compose(data, shape) -> None:
    x = bl.asarray(data.draw(arrays(shape)))
    middle = data.draw(factored(x.size)) if x.size else (0,)
    last = data.draw(factored(x.size)) if x.size else (2, 0)
    same(bl.reshape(bl.reshape(x, middle), last), np.reshape(x.numpy(), last), 0, 0)
    assert bl.reshape(bl.reshape(x, middle), shape).tolist() == x.tolist()


@given(st.data(), SHAPES.filter(lambda s: len(s) > 0))
@LAW
def test_splitting_and_joining_are_inverse(data, shape) -> None:
    x = bl.asarray(data.draw(arrays(shape)))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    pieces = bl.unstack(x, axis=axis)
    assert len(pieces) == shape[axis]
    if pieces:
        same(bl.stack(pieces, axis=axis), x.numpy(), 0, 0)
    n = data.draw(st.integers(0, shape[axis]))
    key = [slice(None)] * len(shape)
    head, tail = list(key), list(key)
    head[axis], tail[axis] = slice(None, n), slice(n, None)
    same(bl.concat((x[tuple(head)], x[tuple(tail)]), axis=axis), x.numpy(), 0, 0)
    same(bl.flip(bl.flip(x, axis=axis), axis=axis), x.numpy(), 0, 0)
    shift = data.draw(st.integers(-5, 5))
    same(bl.roll(x, shift, axis=axis), np.roll(x.numpy(), shift, axis), 0, 0)


# -- indexing -------------------------------------------------------------------------------------


@st.composite
def keyed(draw):
    """An array and a key of everything that NumPy's keys are made of, each in all its spellings.

    A key is seldom right by chance: sizes, blocks and bounds are drawn so that it mostly is.
    """
    shape = draw(st.lists(st.integers(0, 3), max_size=4).map(tuple))
    x = draw(arrays(shape))
    length = draw(st.integers(0, 3))
    blocks = st.sampled_from([(), (length,), (1,), (2, length)])
    left, key = list(shape[: draw(st.integers(0, len(shape)))]), []
    while left and len(key) < 6:
        n = left[0]
        kind = draw(st.sampled_from(["slice", "integer", "new", "truth", "array", "mask"]))
        if kind == "new":
            key.append(None)
        elif kind == "truth":
            truth = draw(st.sampled_from([True, True, False]))
            key.append(draw(st.sampled_from([bool, np.bool_, np.array]))(truth))
        elif kind == "slice":
            part = st.none() | st.integers(-4, 4) | st.integers(-4, 4).map(np.int64)
            step = draw(st.none() | st.sampled_from([-3, -2, -1, 1, 2, 3, 0]))
            key.append(slice(draw(part), draw(part), step))
        elif kind == "integer":
            i = draw(st.integers(-n, max(n - 1, 0)))  # out of range where there is nothing
            key.append(draw(st.sampled_from([int, np.int8, np.array]))(i))
        elif kind == "array":
            block = draw(blocks)
            dtype = draw(st.sampled_from([np.int64, np.int8, np.uint8, np.uint64]))
            low = 0 if np.dtype(dtype).kind == "u" else -n
            values = hnp.arrays(dtype, block, elements=st.integers(low, max(n - 1, 0)))
            i = draw(values)
            spelling = draw(st.sampled_from(["array", "list", "tuple"]))
            if spelling != "array" and i.ndim:
                i = i.tolist() if spelling == "list" else tuple(i.tolist())
            key.append(i)
        elif n == 0:  # NumPy lets an empty mask pass wherever it stands
            key.append(slice(None))
        else:
            axes = 1 if len(left) == 1 or not left[1] else draw(st.integers(1, 2))
            mask = np.zeros(left[:axes], bool)
            mask.flat[:length] = True
            key.append(mask.tolist() if axes == 1 and draw(st.booleans()) else mask)
            del left[: axes - 1]
        if kind not in ("new", "truth"):
            del left[0]
    if draw(st.booleans()):
        key.insert(draw(st.integers(0, len(key))), Ellipsis)
    return x, key[0] if len(key) == 1 and draw(st.booleans()) else tuple(key)


def as_ours(key):
    """The key with Tensors in the place of arrays."""
    if isinstance(key, tuple) and not all(isinstance(k, int) for k in key):
        return tuple(map(as_ours, key))
    return bl.asarray(key) if isinstance(key, np.ndarray) else key


@pytest.mark.slow
@given(keyed(), st.booleans())
@settings(LAW, max_examples=250)
def test_indexing_is_numpys_and_its_gradient_counts_the_uses(case, tensors) -> None:
    array, key = case
    x = bl.tensor(array, requires_grad=True)
    ours = as_ours(key) if tensors else key
    try:
        want = array[key]
    except (IndexError, ValueError):
        with pytest.raises(bl.errors.BacklitError, match=r"indexing|gather"):
            x[ours]
        return
    y = x[ours]
    same(y, want, 0, 0)
    assert y.dtype == array.dtype
    up = np.random.default_rng(1).uniform(0.5, 1.5, want.shape)
    uses = np.zeros(array.shape)
    np.add.at(uses, key, up)
    same(grad(y, x, bl.asarray(up)), uses)


def has_truth(key) -> bool:
    """Whether a key asks for truth values in an array, which a captured function has not."""
    parts = key if isinstance(key, tuple) else (key,)
    return any(isinstance(k, np.ndarray) and k.dtype == bool for k in parts)


@given(keyed().filter(lambda case: not has_truth(case[1])))
@settings(LAW, max_examples=40)
def test_compiled_indexing_is_eager_indexing(case) -> None:
    array, key = case

    def step(x, up):
        y = x[key]
        return y, bl.grad(y, x, up)

    x = bl.tensor(array, requires_grad=True)
    try:
        up = bl.asarray(np.random.default_rng(1).uniform(0.5, 1.5, x[key].shape))
    except bl.errors.BacklitError:
        return
    for got, want in zip(bl.compile(step)(x, up), step(x, up), strict=True):
        same(got, want.numpy(), 0, 0)


@given(st.data())
@LAW
def test_take_is_indexing_along_an_axis(data) -> None:
    shape = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple))
    x = data.draw(arrays(shape))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    n = shape[axis]
    index = data.draw(hnp.arrays(np.int64, st.sampled_from([(), (2,), (1, 3)]),
                                 elements=st.integers(-n, n - 1)))  # fmt: skip
    same(bl.take(bl.asarray(x), bl.asarray(index), axis=axis), np.take(x, index, axis), 0, 0)


# -- einsum ---------------------------------------------------------------------------------------


@st.composite
def einsums(draw):
    """Subscripts with up to five terms, diagonals, `...`, no output, and axes of size 1."""
    sizes = dict(zip("abcde", draw(st.lists(st.integers(1, 3), min_size=5, max_size=5)),
                     strict=True))  # fmt: skip
    spread = draw(st.lists(st.integers(1, 3), max_size=2))  # what `...` stands for
    terms, operands, dotted = [], [], False
    for _ in range(draw(st.integers(1, 5))):
        letters = draw(st.lists(st.sampled_from("abcde"), max_size=3))
        # An axis of size 1 stretches, unless its letter is a diagonal.
        shape = [1 if draw(st.integers(0, 7)) == 0 and letters.count(c) == 1 else sizes[c]
                 for c in letters]  # fmt: skip
        if draw(st.integers(0, 3)) == 0:
            dotted = True
            place = draw(st.integers(0, len(letters)))
            letters.insert(place, "...")
            shape[place:place] = draw(st.sampled_from([spread[n:] for n in range(3)]))
        terms.append("".join(letters))
        operands.append(draw(arrays(tuple(shape))))
    text = ",".join(terms)
    if draw(st.integers(0, 3)) == 0:
        return text, operands
    known = sorted(set(text) - {",", "."})
    output = draw(st.permutations(draw(st.lists(st.sampled_from(known), unique=True)))
                  if known else st.just([]))  # fmt: skip
    if dotted:
        output = list(output)
        output.insert(draw(st.integers(0, len(output))), "...")
    return f"{text}->{''.join(output)}", operands


@pytest.mark.slow
@given(einsums())
@settings(LAW, max_examples=150)
def test_einsum_is_numpys(case) -> None:
    subscripts, operands = case
    got = bl.einsum(subscripts, *map(bl.asarray, operands))
    same(got, np.einsum(subscripts, *operands), 1e-11, 1e-11)
    for dtype in ("int8", "uint16", "bool"):
        whole = [np.round(x).astype(dtype) for x in operands]
        got = bl.einsum(subscripts, *map(bl.asarray, whole))
        want = np.einsum(subscripts, *whole)
        assert got.dtype == want.dtype
        same(got, want, 0, 0)


@given(einsums())
@settings(LAW, max_examples=40)
def test_gradient_of_einsum_is_linear_in_each_operand(case) -> None:
    """f is linear in each operand x, so <∂f/∂x, x> = f for every one of them."""
    subscripts, operands = case
    xs = [bl.tensor(x, requires_grad=True) for x in operands]
    total = bl.einsum(subscripts, *xs).sum()
    for x, g in zip(xs, grad(total, xs), strict=True):
        same((g * x.detach()).sum(), total.numpy(), 1e-10, 1e-10)


# -- reductions -----------------------------------------------------------------------------------


@pytest.mark.slow
@given(st.data(), SHAPES)
@LAW
def test_reductions_are_numpys(data, shape) -> None:
    x = data.draw(arrays(shape))
    axes = data.draw(st.sets(st.sampled_from(range(len(shape)))) if shape else st.just(set()))
    keepdims = data.draw(st.booleans())
    where = {"axis": tuple(axes), "keepdims": keepdims}
    t = bl.asarray(x)
    same(bl.sum(t, **where), np.sum(x, **where))
    same(bl.prod(t, **where), np.prod(x, **where))
    same(bl.any(t, **where), np.any(x, **where), 0, 0)
    same(bl.all(t, **where), np.all(x, **where), 0, 0)
    same(bl.count_nonzero(t, **where), np.count_nonzero(x, **where) if axes else (x != 0) * 1, 0, 0)
    if math.prod(shape[a] for a in axes):
        same(bl.max(t, **where), np.max(x, **where), 0, 0)
        same(bl.min(t, **where), np.min(x, **where), 0, 0)
        same(bl.mean(t, **where), np.mean(x, **where))
        same(bl.var(t, **where), np.var(x, **where))
        same(bl.vector_norm(t, **where), np.sqrt(np.sum(x * x, **where)))
        same(bl.logsumexp(t, **where), np.log(np.sum(np.exp(x), **where)))


@given(st.data(), SHAPES.filter(lambda s: len(s) > 0))
@LAW
def test_sorting_is_stable_and_a_permutation(data, shape) -> None:
    x = data.draw(arrays(shape, st.sampled_from([-1.0, 0.0, 0.5, 2.0])))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    descending = data.draw(st.booleans())
    order = bl.argsort(bl.asarray(x), axis=axis, descending=descending).numpy()
    same(bl.asarray(order), np.argsort(-x if descending else x, axis=axis, stable=True), 0, 0)
    values = bl.sort(bl.asarray(x), axis=axis, descending=descending).numpy()
    np.testing.assert_array_equal(values, np.take_along_axis(x, order, axis))


# -- derivatives of random programs ---------------------------------------------------------------

SMOOTH = {
    "tanh": bl.tanh,
    "sin": bl.sin,
    "sigmoid": bl.sigmoid,
    "square": bl.square,
    "softabs": lambda x: bl.sqrt(1 + x * x),
    "bounded log": lambda x: bl.log1p(x * x),
    "gauss": lambda x: bl.exp(-x * x),
    "atan": bl.atan,
    "erf": bl.erf,
    "flip": lambda x: bl.flip(x, axis=-1),
    "roll": lambda x: bl.roll(x, 1, axis=0),
    "centre": lambda x: x - bl.mean(x, axis=0, keepdims=True),
    "unit": lambda x: x / (1 + bl.vector_norm(x, axis=-1, keepdims=True)),
    "running": lambda x: bl.cumulative_sum(x, axis=1),
    "softmax": lambda x: bl.exp(x - bl.logsumexp(x, axis=1, keepdims=True)),
    "transpose": lambda x: bl.reshape(x.mT, x.shape),
}
JOINS = {
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "matmul": lambda a, b: (a @ b.mT) @ b,
    "divide": lambda a, b: a / (2 + b * b),
    "logaddexp": bl.logaddexp,
    "stack": lambda a, b: bl.reshape(bl.sum(bl.stack((a, b, a)), axis=0), a.shape),
    "einsum": lambda a, b: bl.einsum("ij,kj,kl->il", a, b, b),
}


@st.composite
def programs(draw):
    """A function of two matrices (2, 3): each step applies a function to earlier results."""
    steps = []
    for n in range(draw(st.integers(1, 5))):
        if draw(st.booleans()):
            steps.append((draw(st.sampled_from(sorted(SMOOTH))), draw(st.integers(0, n + 1))))
        else:
            name = draw(st.sampled_from(sorted(JOINS)))
            steps.append((name, draw(st.integers(0, n + 1)), draw(st.integers(0, n + 1))))

    def run(a, b):
        values = [a, b]
        for name, *places in steps:
            function = SMOOTH[name] if len(places) == 1 else JOINS[name]
            # Scaled, so that five products in a row stay within the reach of differences.
            values.append(0.5 * function(*(values[p] for p in places)))
        return values[-1] + 0.25 * values[-2] * b + 0.1 * a * b

    return run


POINTS = arrays((2, 3), st.floats(-1, 1, width=32).map(lambda v: round(v, 3) + 0.0))


@given(programs(), POINTS, POINTS)
@settings(LAW, max_examples=50)
def test_gradients_of_random_programs(program, a, b) -> None:
    bl.gradcheck(program, [bl.tensor(a, requires_grad=True), bl.tensor(b, requires_grad=True)])


@given(programs(), POINTS, POINTS)
@settings(LAW, max_examples=10)
def test_second_gradients_of_random_programs(program, a, b) -> None:
    bl.gradcheck(
        program, [bl.tensor(a, requires_grad=True), bl.tensor(b, requires_grad=True)], order=2
    )


def dot(a, b) -> float:
    return float(sum(np.sum(p.numpy() * q.numpy()) for p, q in zip(a, b, strict=True)))


@given(programs(), POINTS, POINTS, st.integers(0, 1000))
@LAW
def test_forward_and_reverse_derivatives_are_adjoint(program, a, b, seed) -> None:
    """<v, J u> = <Jᵀ v, u>."""
    rng = np.random.default_rng(seed)
    points = [bl.asarray(a), bl.asarray(b)]
    u = [bl.asarray(rng.normal(size=p.shape)) for p in points]
    y, pushed = jvp(program, points, u)
    v = bl.asarray(rng.normal(size=y.shape))
    _, pull = vjp(program, *points)
    left, right = dot([v], [pushed]), dot(pull(v), u)
    assert left == pytest.approx(right, rel=1e-9, abs=1e-9)


@given(programs(), POINTS, POINTS, st.integers(0, 1000))
@settings(LAW, max_examples=30)
def test_second_derivatives_are_symmetric(program, a, b, seed) -> None:
    """<u, H v> = <v, H u> for the Hessian of the sum, and H v is the derivative of the gradient."""
    rng = np.random.default_rng(seed)
    points = [bl.asarray(a), bl.asarray(b)]
    u, v = ([bl.asarray(rng.normal(size=p.shape)) for p in points] for _ in range(2))

    def scalar(*xs):
        return program(*xs).sum()

    hv, hu = hvp(scalar, points, v), hvp(scalar, points, u)
    assert dot(u, hv) == pytest.approx(dot(v, hu), rel=1e-8, abs=1e-8)

    def slope(*xs):
        g = vjp(scalar, *xs)[1](bl.asarray(1.0), create_graph=True)
        return bl.concat([piece.flatten() for piece in g])

    _, along = jvp(slope, points, v)
    flat = np.concatenate([h.numpy().ravel() for h in hv])
    np.testing.assert_allclose(along.numpy(), flat, 1e-8, 1e-8)


@given(programs(), POINTS, POINTS)
@settings(LAW, max_examples=30)
def test_captured_programs_give_the_same_bits(program, a, b) -> None:
    def step(a, b):
        y = program(a, b)
        return (y, *bl.grad(y.sum(), [a, b]))

    inputs = [bl.tensor(x, "float32", requires_grad=True) for x in (a, b)]
    graph = bl.capture(step)(*inputs)
    graph.check()
    for got, want in zip(
        bl.compile(step, executor=interpreter)(*inputs), step(*inputs), strict=True
    ):
        assert got.numpy().tobytes() == want.numpy().tobytes()
