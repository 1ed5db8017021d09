"""Functions composed of ops: values against NumPy, gradients, and the same when captured."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import backlit as bl
from backlit.compiler import interpreter
from backlit.dtypes import INTEGER
from sampling import every

RNG = np.random.default_rng(7)
V = np.array([0.5, -1.25, 2.0, 0.75])
M = RNG.permutation(12).reshape(3, 4) * 0.3 - 1.7
T = RNG.uniform(-2, 2, (2, 3, 2))


#: name: (function of (namespace-like function set, arrays), reference in NumPy, inputs)
COMPOSITES = {
    "prod of all": (lambda x: bl.prod(x), lambda x: np.prod(x), (M,)),
    "prod of two axes": (
        lambda x: bl.prod(x, axis=(0, 2), keepdims=True),
        lambda x: np.prod(x, axis=(0, 2), keepdims=True),
        (T,),
    ),
    "prod of no axes": (lambda x: bl.prod(x, axis=()), lambda x: x, (M,)),
    "std": (
        lambda x: bl.std(x, axis=1, correction=1),
        lambda x: np.std(x, axis=1, ddof=1),
        (M,),
    ),
    "logsumexp": (
        lambda x: bl.logsumexp(x, axis=(0, 1)),
        lambda x: np.log(np.exp(x).sum()),
        (M,),
    ),
    "sort": (lambda x: bl.sort(x, axis=0), lambda x: np.sort(x, axis=0), (M,)),
    "sort down": (
        lambda x: bl.sort(x, descending=True),
        lambda x: np.sort(x)[:, ::-1],
        (M,),
    ),
    "linspace of end points": (
        lambda a, b: bl.linspace(a, b, 5, dtype=a.dtype),
        lambda a, b: np.linspace(a, b, 5),
        (V[:2], V[2:]),
    ),
    "linspace from a number": (
        lambda b: bl.linspace(-1, b, 3, dtype=b.dtype, endpoint=False),
        lambda b: np.linspace(-1, b, 3, endpoint=False),
        (np.array(2.0),),
    ),
    "diff": (lambda x: bl.diff(x, n=2), lambda x: np.diff(x, n=2), (M,)),
    "diff with pieces": (
        lambda x, a: bl.diff(x, prepend=a, append=a),
        lambda x, a: np.diff(x, prepend=a, append=a),
        (V, np.array([1.5])),
    ),
    "cumulative sum with initial": (
        lambda x: bl.cumulative_sum(x, axis=1, include_initial=True),
        lambda x: np.pad(np.cumsum(x, 1), ((0, 0), (1, 0))),
        (M,),
    ),
    "cumulative prod with initial": (
        lambda x: bl.cumulative_prod(x, include_initial=True),
        lambda x: np.concatenate([[1.0], np.cumprod(x)]),
        (V,),
    ),
    "clip between tensors": (
        bl.clip,
        lambda x, low, high: np.minimum(np.maximum(x, low), high),
        (V, np.array([-1.0, -1.0, 0.0, 1.0]), np.array([0.2, 0.3, 1.0, 1.5])),
    ),
    "vecdot": (bl.vecdot, lambda a, b: (a * b).sum(-1), (M, V)),
    "outer": (bl.outer, np.outer, (V, V[:2])),
    "matmul of vectors": (bl.matmul, np.matmul, (V, V)),
    "matmul matrix vector": (bl.matmul, np.matmul, (M, V)),
    "matmul vector matrix": (bl.matmul, np.matmul, (V[:3], M)),
    "matmul batch": (bl.matmul, np.matmul, (T, M[:2, :3])),
    "tensordot": (
        lambda a, b: bl.tensordot(a, b, axes=((0, 2), (1, 0))),
        lambda a, b: np.tensordot(a, b, axes=((0, 2), (1, 0))),
        (T, T[:, :2, :].transpose(2, 0, 1)),
    ),
    "tensordot outer": (
        lambda a, b: bl.tensordot(a, b, axes=0),
        lambda a, b: np.tensordot(a, b, axes=0),
        (V, V[:2]),
    ),
    "norm 1": (
        lambda x: bl.vector_norm(x, ord=1, axis=0),
        lambda x: np.abs(x).sum(0),
        (M,),
    ),
    "norm 3": (
        lambda x: bl.vector_norm(x, ord=3, axis=1, keepdims=True),
        lambda x: (np.abs(x) ** 3).sum(1, keepdims=True) ** (1 / 3),
        (M,),
    ),
    "norm inf": (
        lambda x: bl.vector_norm(x, ord=math.inf),
        lambda x: np.abs(x).max(),
        (M,),
    ),
    "norm -inf": (
        lambda x: bl.vector_norm(x, ord=-math.inf, axis=0),
        lambda x: np.abs(x).min(0),
        (M,),
    ),
    "norm -2": (
        lambda x: bl.vector_norm(x, ord=-2, axis=0),
        lambda x: (np.abs(x) ** -2.0).sum(0) ** -0.5,
        (M,),
    ),
    "matrix norm": (bl.matrix_norm, lambda x: np.linalg.norm(x, axis=(-2, -1)), (T,)),
    "matrix norm -1": (
        lambda x: bl.matrix_norm(x, ord=-1),
        lambda x: np.linalg.norm(x, ord=-1),
        (M,),
    ),
    "matrix norm inf": (
        lambda x: bl.matrix_norm(x, ord=math.inf, keepdims=True),
        lambda x: np.linalg.norm(x, ord=np.inf, keepdims=True),
        (M,),
    ),
    "matrix_transpose": (bl.matrix_transpose, lambda x: x.transpose(0, 2, 1), (T,)),
    "moveaxis": (
        lambda x: bl.moveaxis(x, (0, 1), (-1, 0)),
        lambda x: np.moveaxis(x, (0, 1), (-1, 0)),
        (T,),
    ),
    "expand and squeeze": (
        lambda x: bl.squeeze(bl.expand_dims(x, axis=(0, 3)), axis=-1),
        lambda x: x[None],
        (M,),
    ),
    "broadcast_arrays": (
        lambda a, b: bl.concat(bl.broadcast_arrays(a, b)),
        lambda a, b: np.concatenate(np.broadcast_arrays(a, b)),
        (M, V),
    ),
    "stack": (
        lambda a, b: bl.stack((a, b), axis=-1),
        lambda a, b: np.stack((a, b), axis=-1),
        (V, -V),
    ),
    "unstack": (
        lambda x: bl.unstack(x, axis=1)[2],
        lambda x: x[:, 2],
        (M,),
    ),
    "concat flat": (
        lambda a, b: bl.concat((a, b), axis=None),
        lambda a, b: np.concatenate((a, b), axis=None),
        (M, V),
    ),
    "roll": (
        lambda x: bl.roll(x, (1, -2), axis=(0, 1)),
        lambda x: np.roll(x, (1, -2), axis=(0, 1)),
        (M,),
    ),
    "roll flat": (lambda x: bl.roll(x, 5), lambda x: np.roll(x, 5), (M,)),
    "tile": (lambda x: bl.tile(x, (2, 1, 3)), lambda x: np.tile(x, (2, 1, 3)), (M,)),
    "repeat": (
        lambda x: bl.repeat(x, 2, axis=1),
        lambda x: np.repeat(x, 2, axis=1),
        (M,),
    ),
    "repeat each": (
        lambda x: bl.repeat(x, bl.asarray([2, 0, 1]), axis=0),
        lambda x: np.repeat(x, [2, 0, 1], axis=0),
        (M,),
    ),
    "pad": (
        lambda x: bl.pad(x, ((1, 0), (0, 2)), value=1.5),
        lambda x: np.pad(x, ((1, 0), (0, 2)), constant_values=1.5),
        (M,),
    ),
    "pad with ones": (
        lambda x: bl.pad(x, ((0, 1), (2, 0)), value=1),
        lambda x: np.pad(x, ((0, 1), (2, 0)), constant_values=1),
        (M,),
    ),
    "pad by cutting": (
        lambda x: bl.pad(x, ((-1, 1), (2, -3))),
        lambda x: np.pad(x[1:, :-3], ((0, 1), (2, 0))),
        (M,),
    ),
    "pad alike": (lambda x: bl.pad(x, (1, 1)), lambda x: np.pad(x, 1), (M,)),
    "tril": (lambda x: bl.tril(x, k=1), lambda x: np.tril(x, 1), (M,)),
    "triu": (lambda x: bl.triu(x, k=-1), lambda x: np.triu(x, -1), (T,)),
    "meshgrid": (
        lambda a, b: bl.stack(bl.meshgrid(a, b)),
        lambda a, b: np.stack(np.meshgrid(a, b)),
        (V, V[:2]),
    ),
    "full of a tensor": (
        lambda x: bl.full((2, 4), x),
        lambda x: np.full((2, 4), x),
        (V,),
    ),
    "take_along_axis broadcast": (
        lambda x: bl.take_along_axis(x, bl.asarray([[1, 0]]), axis=1),
        lambda x: np.take_along_axis(x, np.array([[1, 0]] * 3), axis=1),
        (M,),
    ),
    "where with numbers": (
        lambda x: bl.where(x > 0, x, 0.5),
        lambda x: np.where(x > 0, x, 0.5),
        (V,),
    ),
    "mask": (
        lambda x: bl.where(bl.asarray(M > 0), x, 2.0),
        lambda x: np.where(M > 0, x, 2.0),
        (M,),
    ),
    "basic index": (lambda x: x[::-2, None, 1:3], lambda x: x[::-2, None, 1:3], (M,)),
    "ellipsis": (lambda x: x[..., 1], lambda x: x[..., 1], (T,)),
    "array index": (
        lambda x: x[bl.asarray([0, 2, 0]), :2],
        lambda x: x[[0, 2, 0], :2],
        (M,),
    ),
    "arrays apart": (
        lambda x: x[bl.asarray([0, 1]), :, bl.asarray([1, 1])],
        lambda x: x[[0, 1], :, [1, 1]],
        (T,),
    ),
    "mask of rows": (
        lambda x: x[bl.asarray([True, False, True])],
        lambda x: x[[True, False, True]],
        (M,),
    ),
}

EINSUMS = {
    "ij,jk->ik": ((2, 3), (3, 2)),
    "ij,jk": ((2, 3), (3, 2)),
    "bij,bjk->bik": ((2, 2, 3), (2, 3, 1)),
    "ii->i": ((3, 3),),
    "ii": ((3, 3),),
    "ij->ji": ((2, 3),),
    "i,j->ij": ((2,), (3,)),
    "i,i": ((3,), (3,)),
    "ij->": ((2, 3),),
    "ij,kj,lk->il": ((2, 3), (2, 3), (3, 2)),
    "ab,bc,cd,de->ae": ((2, 3), (3, 2), (2, 3), (3, 2)),
    "...i,...i->...": ((2, 3), (2, 3)),
    "...ij,jk->...ik": ((2, 2, 3), (3, 2)),
    "nhtd,nhsd->nhts": ((1, 2, 3, 2), (1, 2, 2, 2)),
    "ijj->i": ((2, 3, 3),),
    "ij,ij->ij": ((2, 3), (2, 3)),
}


def tensors(arrays, requires_grad: bool = False, dtype=None) -> list[bl.Tensor]:
    return [bl.tensor(a, dtype=dtype, requires_grad=requires_grad) for a in arrays]


@every("name", COMPOSITES)
def test_value_equals_numpy(name: str) -> None:
    function, reference, arrays = COMPOSITES[name]
    got = function(*tensors(arrays))
    want = np.asarray(reference(*arrays))
    assert got.shape == want.shape
    np.testing.assert_allclose(got.numpy(), want, 1e-13, 1e-14)


@every("name", COMPOSITES)
def test_gradients_to_second_order(name: str) -> None:
    function, _, arrays = COMPOSITES[name]
    bl.gradcheck(function, tensors(arrays, True), order=2)


@every("name", [n for n in COMPOSITES if n not in ("repeat each", "mask of rows")])
def test_captured_equals_eager(name: str) -> None:
    function, _, arrays = COMPOSITES[name]

    def step(*xs):
        y = function(*xs)
        return (y, *bl.grad(y, list(xs), bl.full_like(y, 0.75)))

    xs = tensors(arrays, True, "float32")
    for got, want in zip(bl.compile(step, executor=interpreter)(*xs), step(*xs), strict=True):
        assert got.dtype == want.dtype == bl.float32
        assert got.numpy().tobytes() == want.numpy().tobytes()


@every("subscripts", EINSUMS)
def test_einsum_equals_numpy(subscripts: str) -> None:
    arrays = [RNG.uniform(-1, 1, shape) for shape in EINSUMS[subscripts]]
    got = bl.einsum(subscripts, *tensors(arrays))
    np.testing.assert_allclose(got.numpy(), np.einsum(subscripts, *arrays), 1e-13, 1e-14)
    bl.gradcheck(lambda *xs: bl.einsum(subscripts, *xs), tensors(arrays, True), order=2)


def test_einsum_of_many_operands_takes_numpys_order() -> None:
    shapes = [(2, 3), (3, 4), (4, 5), (5, 2), (2, 3)]
    text = "ab,bc,cd,de,ef->af"
    for order in itertools.permutations(range(5)):
        terms = text.partition("->")[0].split(",")
        permuted = ",".join(terms[i] for i in order) + "->af"
        arrays = [np.full(shapes[i], 0.5 + i) for i in order]
        got = bl.einsum(permuted, *tensors(arrays))
        np.testing.assert_allclose(got.numpy(), np.einsum(permuted, *arrays), 1e-13)


@pytest.mark.parametrize(
    "text",
    ["i,j,k,l->ijkl", "a,b,c,d,e->", "ij,ij,ij,ij->ij", "a,b,c,d,e,f->fa", "ab,c,bd,e,f->ace",
     "...a,...b,...c,d->...dcba"],
)  # fmt: skip
def test_einsum_of_many_terms_without_a_contraction(text) -> None:
    rng = np.random.default_rng(0)
    shapes = [tuple(2 + "abcdefijkl".index(c) % 2 for c in t.replace("...", ""))
              for t in text.partition("->")[0].split(",")]  # fmt: skip
    arrays = [rng.normal(size=(3, *s) if "..." in t else s)
              for s, t in zip(shapes, text.partition("->")[0].split(","), strict=True)]  # fmt: skip
    np.testing.assert_allclose(
        bl.einsum(text, *tensors(arrays)).numpy(), np.einsum(text, *arrays), 1e-12
    )


def test_einsum_counts_more_letters_than_one_alphabet_has() -> None:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGH"
    terms = [letters[i : i + 2] for i in range(len(letters) - 1)]
    arrays = [np.full((1, 1), 2.0)] * len(terms)
    got = bl.einsum(",".join(terms) + "->aH", *tensors(arrays))
    assert got.tolist() == [[2.0 ** len(terms)]]


def test_differences_of_order_0_are_the_elements_themselves() -> None:
    x = bl.tensor([1.0, 4.0])
    assert bl.diff(x, n=0, prepend=x, append=x).tolist() == [1.0, 4.0]
    assert bl.diff(x, n=1, append=x).tolist() == [3.0, -3.0, 3.0]


def test_norms_of_nothing_and_of_zeros() -> None:
    assert bl.vector_norm(bl.zeros(0)).item() == 0.0
    assert bl.vector_norm(bl.zeros((0, 2)), axis=0, keepdims=True).shape == (1, 2)
    assert bl.logsumexp(bl.zeros(0)).item() == -math.inf
    assert bl.logsumexp(bl.zeros((2, 0)), axis=1).tolist() == [-math.inf] * 2
    for order in (1, 2, 3, math.inf):
        x = bl.zeros(3, dtype="float64").requires_grad_()
        y = bl.vector_norm(x, ord=order)
        y.backward()
        assert y.item() == 0.0
        assert x.grad.tolist() == [0.0] * 3
    assert bl.vector_norm(bl.tensor([0.0, 3.0]), ord=0).item() == 1.0
    assert bl.vector_norm(bl.tensor([0.0, 3.0]), ord=-2).item() == 0.0


@pytest.mark.parametrize("order", [-2, -1, -0.5, 0.5, 1, 1.5, 2, 3])
def test_a_norm_has_no_gradient_at_an_element_that_is_0(order) -> None:
    def step(x):
        y = bl.vector_norm(x, ord=order, axis=1)
        return y, bl.grad(y.sum(), x)

    x = bl.tensor([[0.0, 3.0], [0.0, 0.0], [2.0, 3.0]], dtype="float64", requires_grad=True)
    for run in (step, bl.compile(step)):
        y, slope = run(x)
        powers = 2.0**order + 3.0**order
        want = [[0.0, 1.0 if order > 0 else 0.0], [0.0, 0.0],
                [(v / powers ** (1 / order)) ** (order - 1) for v in (2.0, 3.0)]]  # fmt: skip
        np.testing.assert_allclose(slope.numpy(), want, 1e-13)
        shown = [3.0 if order > 0 else 0.0, 0.0, powers ** (1 / order)]
        np.testing.assert_allclose(y.numpy(), shown, 1e-13)


@pytest.mark.parametrize(
    "f",
    [bl.std, bl.vector_norm, lambda x: bl.std(x, correction=1),
     lambda x: bl.atan2(x, 0.0 * x).sum()],
    ids=["std", "norm", "sample std", "atan2"],
)  # fmt: skip
def test_where_the_gradient_is_chosen_to_be_0_so_is_its_gradient(f) -> None:
    def step(x):
        slope = bl.grad(f(x), x, create_graph=True)
        return slope, bl.grad((slope * bl.tensor([1.0, -2.0, 4.0])).sum(), x)

    x = bl.zeros(3, dtype="float64").requires_grad_()
    for run in (step, bl.compile(step)):
        assert [g.tolist() for g in run(x)] == [[0.0] * 3] * 2


def test_norm_neither_overflows_nor_underflows() -> None:
    for scale in (1e200, 1e-200):
        x = bl.tensor(np.array([3.0, 4.0]) * scale, requires_grad=True)
        y = bl.vector_norm(x)
        y.backward()
        np.testing.assert_allclose(y.numpy(), 5 * scale, 1e-15)
        np.testing.assert_allclose(x.grad.numpy(), [0.6, 0.8], 1e-15)


def test_clip_between_equal_tensors_shares_the_gradient() -> None:
    x, low = bl.tensor([1.0], requires_grad=True), bl.tensor([1.0], requires_grad=True)
    bl.clip(x, low).backward()
    assert (x.grad.item(), low.grad.item()) == (0.5, 0.5)


def test_pow_of_a_number_keeps_float64_when_captured() -> None:
    x = bl.tensor(np.array([0.1, 0.7]), requires_grad=True)

    def slope(x):
        y = 2.0**x
        return bl.grad(y, x, bl.ones_like(y))

    want = 2.0 ** x.numpy() * math.log(2.0)
    np.testing.assert_allclose(slope(x).numpy(), want, 1e-15)
    np.testing.assert_allclose(bl.compile(slope, executor=interpreter)(x).numpy(), want, 1e-15)


def test_captured_power_by_a_number_needs_no_choice() -> None:
    def slope(x):
        y = x**3
        return bl.grad(y, x, bl.ones_like(y))

    names = [e.op.name for e in bl.capture(slope)(bl.ones(3).requires_grad_()).equations]
    assert "where" not in names


def test_erf_of_infinities_gives_no_warning() -> None:
    assert bl.erf(bl.tensor([math.inf, -math.inf])).tolist() == [1.0, -1.0]


def test_arange_of_tensors_counts_in_integers() -> None:
    assert bl.arange(bl.asarray(3)).dtype == bl.int64


def test_repeats_of_every_integer_type() -> None:
    for dtype in sorted(d.name for d in INTEGER):
        assert bl.repeat(bl.tensor([1, 2]), bl.tensor([2, 1], dtype=dtype)).tolist() == [1, 1, 2]


def test_unique_results_have_names() -> None:
    found = bl.unique_all(bl.asarray([3, 1, 3]))
    assert found.values.tolist() == [1, 3]
    assert found.indices.tolist() == [1, 0]
    assert found.inverse_indices.tolist() == [1, 0, 1]
    assert found.counts.tolist() == [1, 2]


def test_lists_are_as_good_as_tuples() -> None:
    x = bl.asarray(M)
    assert bl.reshape(x, [2, -1]).shape == (2, 6)
    assert bl.reshape(x, 12).shape == bl.reshape(x, [12]).shape == (12,)
    assert bl.moveaxis(bl.asarray(T), [0, 2], [2, 0]).shape == (2, 3, 2)
    assert bl.expand_dims(x, axis=[0, -1]).shape == (1, 3, 4, 1)
    assert bl.sum(x, axis=[0, 1]).shape == ()
    rolled = np.roll(M, 1, axis=(0, 1))
    np.testing.assert_array_equal(bl.roll(x, 1, axis=(0, 1)).numpy(), rolled)
    np.testing.assert_array_equal(bl.roll(x, [1], axis=[0, 1]).numpy(), rolled)
    np.testing.assert_array_equal(bl.tile(x, [2]).numpy(), np.tile(M, 2))
