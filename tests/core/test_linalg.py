"""Linear algebra: what it means, gradients of what is made of it, compiled, and wrong matrices.

Values are compared with the strict reference of the standard in `test_array_api`, each op with a
reference of its own in `op_table`.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import backlit as bl
from backlit import linalg
from backlit.errors import ArgumentError, GradientError, ShapeError
from sampling import every

RNG = np.random.default_rng(5)
A = RNG.uniform(-1, 1, (2, 3, 3)) + 3 * np.eye(3)
B = RNG.uniform(-1, 1, (3, 2))
TALL, WIDE = RNG.uniform(-1, 1, (4, 3)), RNG.uniform(-1, 1, (2, 4))
L = np.tril(A)
V = RNG.uniform(-1, 1, 3)

#: name: (function, reference in NumPy, inputs). All of them have gradients to the second order.
TABLE = {
    "solve a vector": (linalg.solve, lambda a, b: np.linalg.inv(a) @ b, (A, V)),
    "slogdet": (
        lambda x: linalg.slogdet(x).logabsdet, lambda x: np.log(np.abs(np.linalg.det(x))), (-A,)
    ),
    "cholesky upper": (
        lambda x: linalg.cholesky(x @ x.mT, upper=True),
        lambda x: np.linalg.cholesky(x @ x.mT).mT,
        (A,),
    ),
    "qr": (lambda x: abs(linalg.qr(x).R), lambda x: abs(np.linalg.qr(x).R), (WIDE,)),
    "qr complete": (
        lambda x: linalg.qr(x, mode="complete").Q ** 2,
        lambda x: np.linalg.qr(x).Q ** 2,
        (WIDE,),
    ),
    "svd": (
        lambda x: (y := linalg.svd(x, full_matrices=False)).U @ y.Vh,
        lambda x: (y := np.linalg.svd(x, full_matrices=False)).U @ y.Vh,
        (TALL,),
    ),
    "svd of a square": (
        lambda x: (y := linalg.svd(x)).U @ y.Vh, lambda x: (y := np.linalg.svd(x)).U @ y.Vh, (A,)
    ),
    "svd of the whole": (
        lambda x: (y := linalg.svd(x)).U[:, :3] * y.S @ y.Vh[:3] ** 2,
        lambda x: (y := np.linalg.svd(x)).U[:, :3] * y.S @ y.Vh[:3] ** 2,
        (TALL,),
    ),
    "eigh": (
        lambda x: (y := linalg.eigh(x + x.mT)).eigenvectors ** 2 @ y.eigenvalues[..., None],
        lambda x: (y := np.linalg.eigh(x + x.mT)).eigenvectors ** 2 @ y.eigenvalues[..., None],
        (A,),
    ),
    "matrix_power": (
        lambda x: linalg.matrix_power(x, 5), lambda x: np.linalg.matrix_power(x, 5), (A / 3,)
    ),
    "matrix_power down": (
        lambda x: linalg.matrix_power(x, -3), lambda x: np.linalg.matrix_power(x, -3), (A,)
    ),
    "norm": (linalg.norm, np.linalg.norm, (A,)),
    "norm of rows": (
        lambda x: linalg.norm(x, 1, 2, keepdims=True),
        lambda x: np.linalg.norm(x, 1, 2, keepdims=True),
        (A,),
    ),
    **{
        f"norm {order}": (
            lambda x, order=order: linalg.norm(x, order, (2, 0), keepdims=True),
            lambda x, order=order: np.linalg.norm(x, order, (2, 0), keepdims=True),
            (A,),
        )
        for order in ("nuc", 2, -2, "fro")
    },
    "norm of a matrix": (lambda x: linalg.norm(x, 2), lambda x: np.linalg.norm(x, 2), (TALL,)),
    "multi_dot": (
        lambda *x: linalg.multi_dot(x), lambda *x: np.linalg.multi_dot(x), (V, B, WIDE, TALL)
    ),
    "multi_dot to a vector": (
        lambda *x: linalg.multi_dot(x), lambda *x: np.linalg.multi_dot(x), (V, B, WIDE, WIDE[0])
    ),
    "lstsq": (
        lambda a, b: linalg.lstsq(a, b).solution,
        lambda a, b: np.linalg.lstsq(a, b)[0],
        (TALL, WIDE.T.copy()),
    ),
    "lstsq of few": (
        lambda a, b: linalg.lstsq(a, b).solution,
        lambda a, b: np.linalg.lstsq(a, b)[0],
        (WIDE, WIDE[:, 0].copy()),
    ),
    "lstsq residuals": (
        lambda a, b: linalg.lstsq(a, b).residuals,
        lambda a, b: np.linalg.lstsq(a, b)[1],
        (TALL, WIDE.T.copy()),
    ),
    "cholesky_solve": (
        linalg.cholesky_solve, lambda b, a: np.linalg.inv(np.tril(a) @ np.tril(a).mT) @ b, (B, L)
    ),
    "cholesky_solve upper": (
        lambda b, a: linalg.cholesky_solve(b, a, upper=True),
        lambda b, a: np.linalg.inv(np.triu(a).mT @ np.triu(a)) @ b,
        (B, L.mT.copy()),
    ),
    "solve_triangular": (
        lambda a, b: linalg.solve_triangular(a, b, upper=True),
        lambda a, b: np.linalg.inv(np.triu(a)) @ b,
        (A, B),
    ),
    "solve_triangular from the right": (
        lambda a, b: linalg.solve_triangular(a, b, upper=False, left=False, unitriangular=True),
        lambda a, b: b @ np.linalg.inv(np.tril(a, -1) + np.eye(3)),
        (A, B.T.copy()),
    ),
}  # fmt: skip


@every("name", TABLE)
def test_values_are_numpys(name: str) -> None:
    function, reference, arrays = TABLE[name]
    got, want = function(*map(bl.tensor, arrays)), reference(*arrays)
    assert got.shape == np.shape(want)
    np.testing.assert_allclose(got.numpy(), want, 1e-11, 1e-12)


@every("name", TABLE)
def test_gradients_are_right_to_the_second_order(name: str) -> None:
    function, _, arrays = TABLE[name]
    bl.gradcheck(function, [bl.tensor(a, requires_grad=True) for a in arrays], order=2)


def test_the_matrix_exponential_is_its_series_with_gradients_to_the_second_order() -> None:
    for x in (A / 10, 3 * A):  # without and with squaring
        series = sum(np.linalg.matrix_power(x, n) / math.factorial(n) for n in range(80))
        np.testing.assert_allclose(linalg.matrix_exp(bl.tensor(x)).numpy(), series, 1e-11)
    bl.gradcheck(linalg.matrix_exp, bl.tensor(2 * A, requires_grad=True), order=2)
    single = linalg.matrix_exp(bl.tensor((3 * A).astype(np.float32)))
    np.testing.assert_allclose(single.numpy(), series, 1e-5)
    assert linalg.matrix_exp(bl.ones((2, 0, 0))).shape == (2, 0, 0)


def test_compiled_it_gives_the_same_with_gradients() -> None:
    def step(*inputs):
        given, results = iter(inputs), []
        for function, _, arrays in TABLE.values():
            own = [next(given).requires_grad_() for _ in arrays]
            y = function(*own)
            results += [y, *bl.grad((y * y).sum(), own)]
        return results

    inputs = [bl.tensor(a) for _, _, arrays in TABLE.values() for a in arrays]
    for got, want in zip(bl.compile(step)(*inputs), step(*inputs), strict=True):
        np.testing.assert_allclose(got.numpy(), want.numpy(), 1e-10, 1e-11)


def test_decompositions_put_together_again_give_the_matrix() -> None:
    for x in (A, TALL, WIDE, A.astype("float32")):
        t = bl.asarray(x)
        exact = 1e-5 if x.dtype == np.float32 else 1e-12
        u, s, v = linalg.svd(t)
        k = s.shape[-1]
        whole = u[..., :k] * s[..., None, :] @ v[..., :k, :]
        np.testing.assert_allclose(whole.numpy(), x, 0, exact)
        for mode in ("reduced", "complete"):
            q, r = linalg.qr(t, mode=mode)
            np.testing.assert_allclose((q @ r).numpy(), x, 0, exact)
        if x.ndim == 3:
            w, v = linalg.eigh(t + t.mT)
            whole = v * w[..., None, :] @ v.mT
            np.testing.assert_allclose(whole.numpy(), x + x.mT, 0, 10 * exact)


def test_integers_and_sixteen_bits_become_what_lapack_has() -> None:
    assert linalg.det(bl.tensor([[2, 1], [1, 4]])).dtype == bl.float32
    low = bl.tensor([[2.0, 1.0], [1.0, 4.0]], dtype="bfloat16")
    assert linalg.inv(low).dtype == bl.bfloat16
    np.testing.assert_allclose(linalg.solve(low, low).astype("float32").numpy(), np.eye(2), 0, 1e-2)


def test_a_matrix_without_rows_has_determinant_1() -> None:
    assert linalg.det(bl.zeros((3, 0, 0))).tolist() == [1, 1, 1]
    assert linalg.inv(bl.zeros((0, 0))).shape == (0, 0)
    assert linalg.matrix_rank(bl.zeros((2, 0, 3))).tolist() == [0, 0]
    assert linalg.pinv(bl.zeros((2, 0))).shape == (0, 2)
    assert linalg.eigvalsh(bl.zeros((0, 0))).shape == (0,)
    assert linalg.qr(bl.zeros((0, 3, 2))).R.shape == (0, 2, 2)
    assert linalg.svd(bl.zeros((0, 3, 2))).U.shape == (0, 3, 3)


def test_equal_values_have_gradients_where_nothing_tells_their_vectors_apart() -> None:
    x = bl.asarray(np.eye(3)).requires_grad_()
    for total, want in (
        (lambda: linalg.eigvalsh(x).sum(), np.eye(3)),
        (lambda: linalg.eigh(x).eigenvalues.sum(), np.eye(3)),
        (lambda: linalg.svdvals(x).sum(), np.eye(3)),
        (lambda: linalg.pinv(x).sum(), -np.ones((3, 3))),
    ):
        np.testing.assert_allclose(bl.grad(total(), x).numpy(), want, 1e-12, 1e-12)
    apart = bl.grad(linalg.eigh(x).eigenvectors[0, 1], x)
    assert not np.isfinite(apart.numpy()).all()


def test_the_gradient_of_a_determinant_needs_no_inverse() -> None:
    x = bl.tensor([[1.0, 2.0], [2.0, 4.0]], dtype="float64", requires_grad=True)
    linalg.det(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), [[4, -2], [-2, 1]], 1e-12)


def test_a_compiled_function_says_the_same_of_a_wrong_matrix_and_goes_on() -> None:
    step = bl.compile(lambda x: linalg.inv(x) @ x)
    good, bad = bl.tensor([[2.0, 0.0], [0.0, 4.0]]), bl.tensor([[1.0, 1.0], [1.0, 1.0]])
    assert step(good).tolist() == [[1, 0], [0, 1]]
    with pytest.raises(
        ArgumentError, match=r"inv: x must be invertible, got a singular matrix; us"
    ):
        step(bad)
    assert step(good).tolist() == [[1, 0], [0, 1]]
    root = bl.compile(linalg.cholesky)
    with pytest.raises(ArgumentError, match=r"cholesky: x must be symmetric, .*compiled code met"):
        root(bl.tensor([[1.0, 2.0], [3.0, 4.0]]))


X = bl.ones((2, 2), dtype="float64").requires_grad_()
CALLS = [
    (lambda: linalg.qr(bl.ones((3, 2)).requires_grad_(), mode="complete"), GradientError,
     r"qr: of more rows than columns, mode='complete' has no gradient, got float32\[3,2\] that"),
    (lambda: linalg.inv(X), ArgumentError, r"inv: x must be invertible, got a singular matrix"),
    (lambda: bl.grad(linalg.slogdet(X).logabsdet, X), ArgumentError, r"inv: x must be invertible"),
    (lambda: linalg.matrix_power(bl.ones((2, 3)), 2), ShapeError,
     r"matrix_power: x must be square matrices in its last two axes, got float32\[2,3\]"),
    (lambda: linalg.matrix_exp(bl.ones((2, 3))), ShapeError,
     r"matrix_exp: x must be square matrices in its last two axes, got float32\[2,3\]"),
    (lambda: linalg.matrix_power(X, 0.5), ArgumentError, r"matrix_power: n must be an integer"),
    (lambda: linalg.lstsq(X, bl.ones(3)), ShapeError,
     r"lstsq: b must have a row for each row of a, got a: float64\[2,2\], b: float32\[3\]"),
    (lambda: linalg.norm(bl.ones((1, 1, 1)), 1), ShapeError,
     r"norm: with ord and without axis, x must be a vector or a matrix, got float32\[1,1,1\]"),
    (lambda: linalg.norm(X, 1, (0, 1, 1)), ArgumentError,
     r"norm: axis must be one axis or two, got \(0, 1, 1\)"),
    (lambda: linalg.norm(X, 1, (0, 0)), ShapeError, r"norm: axes must differ, got \(0, 0\)"),
    (lambda: linalg.matrix_norm(X, ord=3), ArgumentError,
     r"matrix_norm: ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got 3"),
    (lambda: linalg.multi_dot([X]), ArgumentError,
     r"multi_dot: at least two Tensors are required, got 1"),
    (lambda: linalg.multi_dot([X, bl.ones(2), X]), ShapeError,
     r"multi_dot: all Tensors must be matrices, .* got float32\[2\] for number 1"),
    (lambda: linalg.solve_triangular(X, bl.ones(2), upper=True), ShapeError,
     r"solve_triangular: b must be matrices in its last two axes, got float32\[2\]"),
]  # fmt: skip


@every("call, error, text", CALLS)
def test_a_bad_argument_is_explained(call, error, text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        call()
    assert type(caught.value) is error


def test_the_product_of_several_takes_the_cheapest_order() -> None:
    shapes = [(10, 100), (100, 5), (5, 50)]
    seen = []
    with bl.state.observing(lambda op, inputs, y: seen.append(y.shape)):
        linalg.multi_dot([bl.ones(s) for s in shapes])
    assert (10, 5) in seen
    assert (100, 50) not in seen
