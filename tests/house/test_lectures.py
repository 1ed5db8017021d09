"""The worked examples of the introductory lectures on backpropagation, with their numbers."""

import numpy as np
import pytest

import backlit as bl


def leaf(data):
    return bl.tensor(data, dtype="float64", requires_grad=True)


def test_product_of_a_sum():
    x, y, z = leaf(-2.0), leaf(5.0), leaf(-4.0)
    q = x + y
    q.retain_grad()
    f = q * z
    f.backward()
    assert f.item() == -12.0
    assert q.item() == 3.0
    assert [t.grad.item() for t in (x, y, z, q)] == [-4.0, -4.0, 3.0, -4.0]


@pytest.mark.parametrize("in_one_op", [True, False])
def test_neuron_with_a_sigmoid(in_one_op):
    w0, w1, w2 = leaf(2.0), leaf(-3.0), leaf(-3.0)
    x0, x1 = leaf(-1.0), leaf(-2.0)
    score = w0 * x0 + w1 * x1 + w2
    f = bl.sigmoid(score) if in_one_op else 1 / (bl.exp(-score) + 1)
    f.backward()
    assert round(f.item(), 2) == 0.73
    got = [round(t.grad.item(), 2) for t in (w0, x0, w1, x1, w2)]
    assert got == [-0.20, 0.39, -0.39, -0.59, 0.20]


def test_sigmoid_is_the_same_whether_one_op_or_many():
    x, y = leaf(0.7), leaf(0.7)
    bl.sigmoid(x).backward()
    bl.reciprocal(1 + bl.exp(-y)).backward()
    assert x.grad.item() == pytest.approx(y.grad.item(), rel=1e-15)


def test_sum_times_maximum():
    x, y, z = leaf(1.0), leaf(2.0), leaf(0.0)
    f = (x + y) * bl.maximum(y, z)
    f.backward()
    assert f.item() == 6.0
    assert [t.grad.item() for t in (x, y, z)] == [2.0, 5.0, 0.0]


def test_squared_norm_of_a_product():
    w, x = leaf([[0.1, 0.5], [-0.3, 0.8]]), leaf([0.2, 0.4])
    q = w @ x
    f = (q * q).sum()
    f.backward()
    assert q.tolist() == pytest.approx([0.22, 0.26])
    assert f.item() == pytest.approx(0.116)
    np.testing.assert_allclose(w.grad.numpy(), [[0.088, 0.176], [0.104, 0.208]], rtol=1e-14)
    np.testing.assert_allclose(x.grad.numpy(), [-0.112, 0.636], rtol=1e-13)


def test_one_delta_serves_the_gradients_of_a_layer():
    """s = uᵀ f(Wx + b): ∂s/∂b = u ∘ f'(z) = δ and ∂s/∂W = δ xᵀ."""
    rng = np.random.default_rng(0)
    u, w, x, b = (leaf(rng.normal(size=s)) for s in ((3,), (3, 4), (4,), (3,)))
    z = w @ x + b
    s = (u * bl.sigmoid(z)).sum()
    s.backward()
    y = 1 / (1 + np.exp(-z.numpy()))
    delta = u.numpy() * y * (1 - y)
    np.testing.assert_allclose(b.grad.numpy(), delta, rtol=1e-14)
    np.testing.assert_allclose(w.grad.numpy(), np.outer(delta, x.numpy()), rtol=1e-14)
    np.testing.assert_allclose(x.grad.numpy(), w.numpy().T @ delta, rtol=1e-14)


def test_the_shared_delta_is_computed_once():
    u, x = bl.tensor([1.0, 2.0, 3.0]), bl.tensor([1.0, -1.0, 0.5, 2.0])
    w = bl.tensor(np.ones((3, 4), np.float32), requires_grad=True)
    b = bl.tensor(np.zeros(3, np.float32), requires_grad=True)

    def gradients(w, b, number):
        s = (u * bl.sigmoid(w @ x + b)).sum()
        return bl.grad(s, [w, b][-number:])

    both, one = bl.capture(gradients)(w, b, 2), bl.capture(gradients)(w, b, 1)

    def count(graph, name):
        return sum(e.op.name == name and e.backward is not None for e in graph.equations)

    # f' = y (1 - y) and u ∘ f' are worked out once for b alone and once for W and b together.
    assert count(both, "subtract") == count(one, "subtract") == 1
    assert count(both, "multiply") == count(one, "multiply") == 3  # by u, y (1 - y), by upstream
    assert count(both, "matmul") == 1  # δ xᵀ
    assert count(one, "matmul") == 0


def test_a_long_shared_upstream_is_walked_once():
    """Each node's backward runs once, however many paths lead through it."""
    calls = []

    class Counted(bl.Op):
        """y = 2 x."""

        def forward(self, xp, x):
            return xp.multiply(x, 2)

        def backward(self, xp, grad_y):
            calls.append(float(grad_y))
            return grad_y * 2

    x = leaf(1.0)
    y = bl.apply(Counted(), x)
    for _ in range(5):
        y = y + y  # 32 paths
    y.backward()
    assert calls == [32.0]
    assert x.grad.item() == 64.0


def test_softmax_with_cross_entropy():
    """∂L/∂Z = (P - Y) / M."""
    rng = np.random.default_rng(0)
    m, classes = 5, 3
    z = leaf(rng.normal(size=(m, classes)))
    labels = np.array([0, 2, 1, 1, 0])
    y = np.eye(classes)[labels]
    p = np.exp(z.numpy()) / np.exp(z.numpy()).sum(1, keepdims=True)
    loss = bl.functional.cross_entropy(z, bl.tensor(labels))
    loss.backward()
    assert loss.item() == pytest.approx(-np.log(p[np.arange(m), labels]).mean(), rel=1e-14)
    np.testing.assert_allclose(z.grad.numpy(), (p - y) / m, rtol=1e-13, atol=1e-16)


def test_gradients_add_at_branches():
    x = leaf(3.0)
    f = x * x + 2 * x + x
    f.backward()
    assert (f.item(), x.grad.item()) == (18.0, 9.0)


def test_gates_distribute_route_and_switch():
    a, b = leaf(3.0), leaf(-4.0)
    for f, want in (
        (lambda: a + b, (2.0, 2.0)),
        (lambda: bl.maximum(a, b), (2.0, 0.0)),
        (lambda: a * b, (-8.0, 6.0)),
    ):
        ga, gb = bl.grad(f(), [a, b], [bl.tensor(2.0, dtype="float64")])
        assert (ga.item(), gb.item()) == want
