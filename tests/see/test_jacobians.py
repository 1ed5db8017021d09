"""The structure of a Jacobian: its name, its price, and that it applies like the whole matrix."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import see
from backlit.errors import ArgumentError, ShapeError
from backlit.ops import activation, contraction, elementwise, indexing, movement, reductions

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4))


def convolve(x, w):
    """A valid one-dimensional cross-correlation, written with slices."""
    n = x.shape[-1] - w.shape[-1] + 1
    total = x[..., 0:n] * w[0]
    for i in range(1, w.shape[-1]):
        total = total + x[..., i : i + n] * w[i]
    return total


CASES = {
    "reshape": (lambda x: x.reshape(2, 6), (X,), 0, "identity"),
    "doubling": (lambda x: 2 * x, (X,), 0, "scaled identity"),
    "floor": (elementwise.Floor(), (X,), 0, "zero"),
    "tanh": (elementwise.Tanh(), (X,), 0, "diagonal"),
    "relu": (activation.Relu(), (X,), 0, "diagonal"),
    "transpose": (movement.PermuteDims(axes=(1, 0)), (X,), 0, "permutation"),
    "flip": (movement.Flip(axis=(0,)), (X,), 0, "permutation"),
    "row choice": (
        indexing.Take(axis=0), (X, np.array([2, 0, 2])), 0, "one-hot rows",
    ),
    "max": (reductions.Max(axis=(1,), keepdims=False), (X,), 0, "one-hot rows"),
    "slice": (lambda x: x[:, 1:3], (X,), 0, "one-hot rows"),
    "softmax rows": (activation.Softmax(axis=1), (X,), 0, "block-diagonal"),
    "softmax of one": (activation.Softmax(axis=0), (X[:, 0],), 0, "diagonal plus rank one"),
    "product, left": (
        contraction.Matmul(), (X, RNG.normal(size=(4, 2))), 0, "Kronecker",
    ),
    "product, right": (
        contraction.Matmul(), (X, RNG.normal(size=(4, 2))), 1, "Kronecker",
    ),
    "convolution": (convolve, (RNG.normal(size=12), RNG.normal(size=3)), 0, "Toeplitz"),
    "running sum": (reductions.CumulativeSum(axis=0), (X[:, 0],), 0, "Toeplitz"),
    "convolution of a batch": (
        convolve, (RNG.normal(size=(2, 9)), RNG.normal(size=3)), 0, "Kronecker",
    ),
    "sum of products": (
        lambda x: (x * 2).sum() * bl.tensor(np.arange(1.0, 7.0)) + bl.exp(x[0]) * 0, (X[:, 0],), 0,
        "low rank",
    ),
    "dense": (
        lambda x: bl.tanh(bl.tensor(RNG.normal(size=(4, 4))) @ x), (X[0],), 0, "dense",
    ),
}  # fmt: skip


def linear(matrix):
    """The function whose Jacobian is a matrix."""
    return lambda x: bl.tensor(np.asarray(matrix, float)) @ x


N = 12
FULL = RNG.normal(size=(N, N))
TURN = np.linalg.qr(FULL)[0]
SIGNED = np.eye(N)[RNG.permutation(N)] * np.where(np.arange(N) % 3 == 0, -1, 1)[:, None]
BAND = np.triu(np.tril(FULL, 2), -1)
COLUMNS = RNG.normal(size=(N, 2))
CENTRE = np.eye(N) - np.ones((N, N)) / N
ONTO = COLUMNS @ np.linalg.pinv(COLUMNS)
LOW = np.diag(np.arange(1.0, N + 1)) + COLUMNS @ RNG.normal(size=(2, N))

#: A matrix, its structure, and what else is true of it.
MATRICES = {
    "signed": (SIGNED, "signed permutation", set()),
    "banded": (BAND, "banded", set()),
    "lower": (np.tril(FULL), "lower triangular", set()),
    "upper": (np.triu(FULL), "upper triangular", set()),
    "symmetric": (FULL + FULL.T, "dense", {"symmetric"}),
    "antisymmetric": (FULL - FULL.T, "dense", {"antisymmetric"}),
    "orthogonal": (TURN, "dense", {"orthogonal"}),
    "centring": (CENTRE, "Toeplitz", {"symmetric", "projection"}),
    "projection": (ONTO, "low rank", {"symmetric", "projection"}),
    "diagonal plus two": (LOW, "diagonal plus low rank", set()),
    "cumulative sum": (np.tril(np.ones((N, N))), "Toeplitz", {"lower triangular"}),
}


@pytest.mark.parametrize("name", MATRICES)
def test_matrices_of_every_kind(name):
    matrix, structure, besides = MATRICES[name]
    j = see.jacobian(linear(matrix), X.reshape(-1))
    assert (j.structure, set(j.properties)) == (structure, besides)
    np.testing.assert_allclose(j.dense(), matrix, rtol=1e-6, atol=1e-7)
    v = RNG.normal(size=N)
    np.testing.assert_allclose(j.push(v), matrix @ v, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(j.pull(v), matrix.T @ v, rtol=1e-6, atol=1e-6)
    for formula in j.properties.values():
        assert formula in repr(j)


@pytest.mark.parametrize("name", [n for n in MATRICES if n != "diagonal plus two"])
def test_what_is_nearly_so_is_not_told(name):
    matrix = MATRICES[name][0]
    near = matrix + 1e-6 * RNG.normal(size=matrix.shape)
    j = see.jacobian(linear(near), X.reshape(-1))
    assert not j.properties
    assert j.structure == "dense"


@pytest.mark.parametrize("name", CASES)
def test_structure_is_named_and_applies_like_the_matrix(name):
    f, inputs, position, structure = CASES[name]
    state = RNG.bit_generator.state
    j = see.jacobian(f, *map(np.asarray, inputs), position=position)
    assert j.structure == structure, j
    RNG.bit_generator.state = state

    def function(x):
        points = [bl.tensor(v) for v in inputs]
        points[position] = x
        return f(*points) if not isinstance(f, bl.Op) else bl.apply(f, *points)

    if name != "dense":  # whose function draws numbers
        x = bl.tensor(inputs[position])
        matrix = bl.jacobian(function, x).numpy().reshape(j.shape)
        np.testing.assert_allclose(j.dense(), matrix, rtol=1e-9, atol=1e-12)
        u, v = RNG.normal(size=j.y_shape), RNG.normal(size=j.x_shape)
        np.testing.assert_allclose(
            j.pull(u).reshape(-1), u.reshape(-1) @ matrix, rtol=1e-8, atol=1e-10
        )
        np.testing.assert_allclose(
            j.push(v).reshape(-1), matrix @ v.reshape(-1), rtol=1e-8, atol=1e-10
        )
    if structure not in ("dense", "diagonal plus rank one", "low rank"):
        assert j.bytes < j.dense_bytes


def test_the_price_of_a_relu():
    x = bl.tensor(RNG.normal(size=4096).astype("float32"))
    j = see.jacobian(activation.Relu(), x)
    assert (j.bytes, j.dense_bytes) == (16 * 1024, 64 * 1024**2)
    assert repr(j) == "Jacobian(4096×4096, diagonal: 16 kB instead of 64 MB)"
    with pytest.raises(ArgumentError, match=r"would take 1e\+06 GB|would take [\d.e+]+ GB"):
        see.jacobian(activation.Relu(), bl.zeros(1 << 15) + 1).dense()


def test_large_and_of_low_rank_is_probed():
    a = bl.tensor(RNG.normal(size=(2000, 3)))
    j = see.jacobian(lambda x: a @ (a.mT @ x), RNG.normal(size=2000))
    assert j.structure == "low rank"
    u = RNG.normal(size=2000)
    want = a.numpy() @ (a.numpy().T @ u)
    np.testing.assert_allclose(j.pull(u), want, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(j.push(u), want, rtol=1e-7, atol=1e-7)
    assert j.picture(8).count("\n") == 7


def test_large_and_dense_applies_through_the_function():
    w = bl.tensor(RNG.normal(size=(1100, 1000)))
    j = see.jacobian(lambda x: bl.tanh(w @ x), 0.01 * RNG.normal(size=1000))
    assert j.structure == "dense"
    u, v = RNG.normal(size=1100), RNG.normal(size=1000)
    np.testing.assert_allclose(j.pull(u) @ v, u @ j.push(v), rtol=1e-8)


def test_repr_names_the_parts():
    product = see.jacobian(contraction.Matmul(), X, RNG.normal(size=(4, 2)))
    assert "Kronecker I3 ⊗ B(2×4): 64 B instead of 576 B" in repr(product)
    rows = see.jacobian(activation.Softmax(axis=1), X)
    assert "3 blocks of 4×4" in repr(rows)
    assert "different numbers" in repr(
        see.jacobian(*CASES["convolution"][:1], *CASES["convolution"][1])
    )
    assert "nothing to be saved" in repr(see.jacobian(CASES["dense"][0], X[0]))
    assert "rank 1" in repr(see.jacobian(CASES["sum of products"][0], X[:, 0]))


def test_a_module_in_float32_is_looked_at_in_float64_and_keeps_its_own():
    conv = bl.nn.Conv1d(1, 1, 3)
    before = conv.weight.numpy()
    j = see.jacobian(conv, bl.ones((1, 1, 8)))
    assert j.structure == "Toeplitz"
    rows = [np.concatenate([np.zeros(i), before[0, 0], np.zeros(5 - i)]) for i in range(6)]
    np.testing.assert_allclose(j.dense(), rows)
    np.testing.assert_allclose(j.push(np.ones((1, 1, 8)))[0, 0], [before.sum()] * 6, rtol=1e-6)
    assert conv.weight.array.dtype == np.float32
    assert conv.weight.numpy().tobytes() == before.tobytes()


def test_pictures():
    j = see.jacobian(elementwise.Tanh(), np.array([0.1, 0.2, 3.0]))
    assert j.picture().splitlines()[1].startswith("  ██")
    svg = j.svg()
    assert svg.startswith("<svg")
    assert svg.count("<rect") == 4
    assert j._repr_svg_() == svg


def test_bad_input():
    with pytest.raises(ArgumentError, match=r"position must be that of one of 1 inputs, got 1"):
        see.jacobian(elementwise.Tanh(), X, position=1)
    with pytest.raises(ArgumentError, match=r"input 0 must be a floating Tensor, got int64\[3\]"):
        see.jacobian(elementwise.Negative(), np.arange(3))
    j = see.jacobian(elementwise.Tanh, X)
    with pytest.raises(ShapeError, match=r"pull: the vector must have shape \(3, 4\), got \(3,\)"):
        j.pull(np.ones(3))


def test_a_module_in_float32_is_taken_as_it_is():
    net = bl.nn.Sequential(bl.nn.Linear(4, 3), bl.nn.Tanh())
    x = bl.tensor(X.astype("float32"))
    j = see.jacobian(net, x)
    assert repr(j).startswith("Jacobian(9×12, block-diagonal, 3 blocks of 3×4")
    v = np.linspace(-1, 1, 12)
    _, expected = bl.jvp(net, x, bl.tensor(v.reshape(3, 4).astype("float32")))
    np.testing.assert_allclose(j.push(v.reshape(3, 4)), expected.numpy(), rtol=1e-5, atol=1e-6)
    assert net[0].weight.dtype == bl.float32


_NET = bl.nn.Linear(4, 2)


def test_a_module_is_found_by_the_global_name_that_a_function_uses():
    x = bl.tensor(X.astype("float32"))
    assert see.jacobian(lambda x: _NET(x), x).structure == "Kronecker"
    assert see.check(lambda x: bl.tanh(_NET(x)), x).ok


def test_arguments_in_the_wrong_order():
    with pytest.raises(ArgumentError, match=r"subject must be an op, a module or a function, got"):
        see.jacobian(bl.ones(3), bl.tanh)
    with pytest.raises(ArgumentError, match=r"needs the inputs of the function, as in jacobian"):
        see.jacobian(bl.tanh)
