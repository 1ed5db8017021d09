"""`x.data`, which writes through, and the methods that end in `_`."""

import numpy as np
import pytest

import backlit as bl
from backlit.errors import ArgumentError, DTypeError, GradientError, ShapeError


def leaf():
    return bl.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)


def rate(w):
    w.data -= 0.5


def rated(w):
    w.data.add_(-0.5)


def bound(w):
    w.data = w.data - 0.5


def kept(w):
    data = w.data
    data.sub_(0.5)


#: Ways to write w.data, and what w is then.
WRITES = {
    rate: [[0.5, 1.5], [2.5, 3.5]],
    rated: [[0.5, 1.5], [2.5, 3.5]],
    bound: [[0.5, 1.5], [2.5, 3.5]],
    kept: [[0.5, 1.5], [2.5, 3.5]],
    lambda w: w.data.__setitem__(0, 9.0): [[9, 9], [3, 4]],
    lambda w: w.data.__setitem__((slice(None), 1), bl.tensor([7.0, 8.0])): [[1, 7], [3, 8]],
    lambda w: w.data[0].zero_(): [[0, 0], [3, 4]],
    lambda w: w.data[:, 1].fill_(5): [[1, 5], [3, 5]],
    lambda w: w.data[1][0].copy_(bl.tensor(6.0)): [[1, 2], [6, 4]],
    lambda w: w.data.clamp_(2, 3): [[2, 2], [3, 3]],
    lambda w: w.data.copy_(bl.ones(2)): [[1, 1], [1, 1]],
    lambda w: w.data[bl.tensor([0])].zero_(): [[1, 2], [3, 4]],  # a copy, as in PyTorch
    lambda w: w.data.clone().zero_(): [[1, 2], [3, 4]],
}


@pytest.mark.parametrize("way", ["eager", "compiled"])
def test_what_is_written_to_data_is_in_the_leaf_and_not_on_the_tape(way):
    for write, wanted in WRITES.items():
        w = leaf()
        alias = w.data

        def step(write=write, w=w):
            write(w)

        (step if way == "eager" else bl.compile(step))()
        assert w.tolist() == wanted
        if write is not bound:
            assert alias.tolist() == wanted
        assert w.requires_grad
        assert w.node is None
        assert not w.data.requires_grad


def test_what_was_taken_as_data_stays_when_data_is_replaced():
    w = leaf()
    old, row = w.data, w.data[0]
    w.data.add_(1)
    w.data = bl.zeros((2, 2))
    assert w.tolist() == [[0, 0], [0, 0]]
    row.fill_(7)
    assert old.tolist() == [[7, 7], [4, 5]]
    w.data = old  # it is given its value back, and has it in common with whoever has taken it
    old.sub_(1)
    w.data += 1
    assert w.tolist() == old.tolist() == [[7, 7], [4, 5]]
    assert w.data.requires_grad is False
    v = bl.tensor([[0.0, 0.0], [0.0, 0.0]], requires_grad=True)
    v.data, w.data = w.data, v.data
    assert (v.tolist(), w.tolist()) == ([[7, 7], [4, 5]], [[0, 0], [0, 0]])
    other = v.data
    v.data = bl.ones(3)
    assert other.tolist() == [[7, 7], [4, 5]]
    v.data = other
    assert v.shape == (2, 2)
    with pytest.raises(ArgumentError, match=r"this \(.*2,2\]\) is the data of another Tensor and"):
        other.data = bl.ones(3)


def test_an_average_is_put_in_and_taken_out_again_also_compiled():
    w, average = leaf(), bl.zeros((2, 2))
    held = w.data

    def value_with_average(x):
        old = w.data
        w.data = average
        y = (w * x).sum()
        w.data = old
        return y + 10 * (w * x).sum()

    x = bl.ones((2, 2))
    compiled = bl.compile(value_with_average)
    for _ in range(2):
        assert value_with_average(x).item() == compiled(x).item() == 100
    assert w.tolist() == held.tolist() == [[1, 2], [3, 4]]


def test_the_tape_keeps_what_it_has_used():
    w = leaf()
    y = (w * w).sum()
    w.data.zero_()
    y.backward()
    assert w.grad.tolist() == [[2, 4], [6, 8]]
    w.grad.data.zero_()
    assert w.grad.tolist() == [[0, 0], [0, 0]]


def test_a_step_by_hand_is_the_same_compiled():
    def step(w, x):
        loss = ((x @ w) ** 2).sum()
        loss.backward()
        w.data -= 0.1 * w.grad.data
        w.grad.data.zero_()
        return loss.detach()

    x = bl.tensor([[1.0, -1.0]])
    eager, found = leaf(), leaf()
    compiled = bl.compile(lambda x: step(found, x))
    for _ in range(3):
        np.testing.assert_allclose(step(eager, x).item(), compiled(x).item(), rtol=1e-6)
    np.testing.assert_allclose(eager.detach().numpy(), found.detach().numpy(), rtol=1e-6)


def test_data_of_another_shape_or_dtype_replaces_the_value_outside_compiled_code():
    w = leaf()
    w.data = bl.ones(3, dtype="float64")
    assert (w.shape, w.dtype) == ((3,), bl.float64)
    with pytest.raises(
        DTypeError, match=r"data: the value must be a Tensor, got a number, 3\.0; use bac"
    ):
        w.data = 3.0

    @bl.compile
    def change():
        w.data = bl.ones(2)

    with pytest.raises(bl.errors.TraceError, match="data: a captured function cannot give a Tens"):
        change()


def test_the_object_stays_and_gradients_go_through():
    x = bl.tensor([1.0, 4.0], requires_grad=True)
    y = x * 1
    for change in (lambda t: t.mul_(3), lambda t: t.sqrt_(), lambda t: t.add_(x, alpha=2)):
        assert change(y) is y
    y.sum().backward()
    slopes = [3 / (2 * np.sqrt(3 * v)) + 2 for v in (1.0, 4.0)]
    np.testing.assert_allclose(x.grad.numpy(), slopes, rtol=1e-6)
    target = bl.zeros((2, 2))
    target.copy_(x)
    (target * target).sum().backward()
    np.testing.assert_allclose(
        x.grad.numpy(), [s + 4 * v for s, v in zip(slopes, (1, 4), strict=True)]
    )


def test_leaves_change_under_no_grad_only_and_shapes_and_kinds_stay():
    w = leaf()
    for change in (lambda: w.add_(1), lambda: w.normal_(), lambda: w.copy_(bl.ones(2))):
        with pytest.raises(
            GradientError, match=r"a leaf that requires a gradient .* cannot change"
        ):
            change()
    with bl.no_grad():
        w.mul_(2).uniform_(0, 0)
    assert w.tolist() == [[0, 0], [0, 0]]
    with pytest.raises(ShapeError, match="add_: the result must have the shape of the Tensor"):
        bl.ones(2).add_(bl.ones((3, 2)))
    with pytest.raises(DTypeError, match="div_: int64 cannot hold the result, which is float32"):
        bl.tensor([1, 2]).div_(2)
    repeated = (bl.tensor([0, 0]),)
    assert bl.ones(2).index_put_(repeated, bl.ones(2), accumulate=True).tolist() == [3, 1]
    assert bl.tensor([1, 2]).fill_(2.7).tolist() == [2, 2]


def test_the_same_elements_in_another_shape():
    x = bl.tensor([[1.0, 2.0], [3.0, 4.0]])
    for change, wanted in (
        (lambda: x.unsqueeze_(0), (1, 2, 2)),
        (lambda: x.squeeze_(), (2, 2)),
        (lambda: x.t_(), (2, 2)),
        (lambda: x.resize_(4, 1), (4, 1)),
        (lambda: x.transpose_(dim0=0, dim1=1), (1, 4)),
        (lambda: x.resize_as_(bl.zeros((2, 2))), (2, 2)),
    ):
        assert change() is x
        assert x.shape == wanted
    assert x.tolist() == [[1, 3], [2, 4]]
    w = bl.ones(3).requires_grad_()
    y = w * bl.arange(3)
    y.unsqueeze_(1)
    (y * bl.ones((3, 2))).sum().backward()
    assert w.grad.tolist() == [0, 2, 4]
    with pytest.raises(GradientError, match=r"unsqueeze_: a leaf that requires a gradient"):
        w.unsqueeze_(0)
    with pytest.raises(ShapeError, match=r"resize_: the shape must have as many elements as float"):
        x.resize_(5)
    with pytest.raises(bl.errors.TraceError, match="unsqueeze_: a captured function cannot give a"):
        bl.compile(lambda t: (t * 1).unsqueeze_(0))(x)


def test_random_numbers_in_place_have_their_limits():
    bl.manual_seed(0)
    x = bl.zeros(1000)
    assert 0 <= x.uniform_().min() < 0.02
    assert 4.9 < x.normal_(5, 0.5).mean() < 5.1
    assert set(x.bernoulli_(0.5).tolist()) == {0.0, 1.0}
    with pytest.raises(bl.errors.ArgumentError, match=r"p must lie in \[0, 1\], got 1.5"):
        x.bernoulli_(1.5)
    with pytest.raises(bl.errors.ArgumentError, match=r"rate must be positive, got -1.0"):
        x.exponential_(-1.0)
    assert x.exponential_(2.0).min() >= 0
    assert 0.4 < x.mean() < 0.6
    whole = bl.zeros(1000, dtype="int64")
    assert sorted(set(whole.random_(2, 5).tolist())) == [2, 3, 4]
    assert sorted(set(whole.random_(3).tolist())) == [0, 1, 2]
