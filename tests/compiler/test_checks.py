"""What eager code refuses because of its values, compiled code refuses each time that it runs."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim
from backlit.compiler import interpreter, native
from backlit.errors import ArgumentError, IndexRangeError
from backlit.nn import functional as F
from backlit.op import Elementwise, Requirement

EXECUTORS = pytest.mark.parametrize("executor", [native, interpreter])
LABELS = r"labels must lie in \[0, 3\)"
CASES = {
    # function, first input, good second inputs, bad ones, error, text
    "binary_cross_entropy": (
        lambda t, p: F.binary_cross_entropy(p, t), [0.0, 1.0],
        [[0.0, 1.0], [0.25, 0.5]],
        [[1.5, 0.5], [0.5, -0.001], [1.0000001, 0.0], [np.nan, 0.5], [np.inf, 0.5], [0, -np.inf]],
        ArgumentError, r"x must be probabilities in \[0, 1\]"),
    "cross_entropy": (
        F.cross_entropy, np.eye(2, 3), [[0, 2], [-100, 1]], [[0, 3], [-1, 0], [1, -101], [5, 5]],
        IndexRangeError, LABELS + " or be ignore_index=-100"),
    "smoothed": (
        lambda x, y: F.cross_entropy(x, y, ignore_index=1, label_smoothing=0.1), np.eye(2, 3),
        [[0, 2], [1, 1]], [[0, 3], [-1, 0], [-100, 0]], IndexRangeError, "or be ignore_index=1"),
    "nll_loss": (
        lambda x, y: F.nll_loss(x, y, bl.tensor([0.1, 0.2, 0.3], dtype=x.dtype)), np.eye(2, 3),
        [[0, 2], [-100, 0]], [[0, 3], [-1, 0]], IndexRangeError, LABELS),
    "multi_margin_loss": (
        F.multi_margin_loss, np.eye(2, 3), [[0, 2]], [[0, 3], [-1, 0], [-100, 0]],
        IndexRangeError, LABELS),
    "embedding": (
        lambda w, i: F.embedding(i, w), np.eye(3, 2), [[0, 2]], [[0, 3], [-1, 0]],
        IndexRangeError, r"embedding: indices must lie in \[0, 3\)"),
    "pow": (
        lambda a, b: bl.pow(a.astype("int64"), b), [2.0, 3.0], [[0, 2]], [[0, -1]],
        ArgumentError, "pow: b must not be negative, because integers have no negative integer"),
    "power of a number": (
        lambda a, b: 2**b, [2.0, 3.0], [[0, 2]], [[0, -1], [-9, -9]],
        ArgumentError, "pow: b must not be negative"),
}  # fmt: skip


def second(values) -> bl.Tensor:
    array = np.array(values)
    return bl.asarray(array.astype(np.int64) if array.dtype.kind == "i" else array)


@EXECUTORS
@pytest.mark.parametrize("name", CASES)
def test_bad_values_are_refused_compiled_as_in_eager_code(name, executor) -> None:
    function, first, good, bad, error, text = CASES[name]
    x = bl.asarray(np.array(first, float))
    fast = bl.compile(function, executor=executor)
    for values in bad:
        with pytest.raises(error, match=text + r".*, got ") as eager:
            function(x, second(values))
        with pytest.raises(error, match=text + ".*but compiled code met others; .* without back"):
            fast(x, second(values))
        assert type(eager.value) is error
        for fine in good:  # the error is over
            np.testing.assert_allclose(
                fast(x, second(fine)).numpy(), function(x, second(fine)).numpy(), rtol=1e-12
            )
    assert len(fast.graphs) <= 2


@EXECUTORS
@pytest.mark.parametrize("name", [n for n in CASES if n not in ("pow", "power of a number")])
@pytest.mark.parametrize("how", ["call", "repeat"])
def test_a_step_with_bad_values_changes_nothing_though_nobody_wants_its_loss(
    name, how, executor
) -> None:
    function, first, good, bad, error, text = CASES[name]
    place = 1 if name == "binary_cross_entropy" else 0
    start = np.array(good[0] if place else first, float)
    w = bl.asarray(np.zeros_like(start)).requires_grad_()
    count = bl.tensor(0)

    def step(a, b):
        count.assign(count + 1)
        inputs = [a, b]
        inputs[place] = inputs[place] + w
        loss = function(*inputs).sum()
        w.grad = None
        loss.backward()
        w.assign(w.detach() - w.grad)
        w.grad = None

    fast = bl.compile(step, executor=executor)
    run = fast if how == "call" else lambda *inputs: fast.repeat(3, *inputs)
    x = bl.asarray(np.array(first, float))
    for values in bad:
        with pytest.raises(error, match=text):
            run(x, second(values))
        assert not w.numpy().any()
        assert count.item() == 0
    fast(x, second(good[0]))
    assert count.item() == 1


@pytest.mark.parametrize("size", [7, 70_000, 1_000_000])
def test_one_bad_value_is_found_wherever_it_stands(size) -> None:
    fast = bl.compile(lambda x, t: F.binary_cross_entropy(x, t, reduction="sum"))
    target = bl.zeros(size)
    values = np.full(size, 0.5, np.float32)
    for place in (0, size // 3, size - 1):
        values[place] = 1.5
        with pytest.raises(ArgumentError, match="probabilities"):
            fast(bl.asarray(values), target)
        values[place] = 1.0
    assert np.isfinite(fast(bl.asarray(values), target).item())


@EXECUTORS
def test_an_epoch_with_a_bad_label_ends_with_the_error(executor) -> None:
    w = bl.tensor(np.zeros((2, 3)), requires_grad=True)

    def step(x, y):
        loss = F.cross_entropy(x @ w, y)
        w.assign(w.detach() - bl.grad(loss, w))
        return loss

    fast = bl.compile(step, executor=executor)
    x, y = bl.asarray(np.ones((6, 2))), bl.tensor([0, 1, 2, 0, -1, 1])
    with pytest.raises(IndexRangeError, match="cross_entropy: labels must lie in"):
        fast.epoch([[0, 1], [2, 3], [4, 5]], x, y)
    assert fast.epoch([[0, 1], [2, 3]], x, y).shape == (2,)


@EXECUTORS
def test_the_error_names_the_module(executor) -> None:
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(4, 2)

        def forward(self, i):
            return self.words(i)

    fast = bl.compile(Tagger(), executor=executor)
    with pytest.raises(IndexRangeError, match=r"indices must lie in \[0, 4\).*in Tagger\.words"):
        fast(bl.tensor([4]))


@EXECUTORS
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64"])
def test_labels_and_indices_of_other_types_are_checked(dtype, executor) -> None:
    x = bl.ones((1, 300))
    loss = bl.compile(F.cross_entropy, executor=executor)
    rows = bl.compile(lambda i: F.embedding(i, bl.ones((300, 2))), executor=executor)
    largest = bl.iinfo(dtype).max
    for value in (-1, largest):
        if bl.iinfo(dtype).min <= value and not 0 <= value < 300:
            bad = bl.asarray(np.array([value], dtype))
            for run in (loss, F.cross_entropy):
                with pytest.raises(IndexRangeError, match=r"labels must lie in \[0, 300\)"):
                    run(x, bad)
            with pytest.raises(IndexRangeError, match=r"indices must lie in \[0, 300\)"):
                rows(bad)
    assert loss(x, bl.asarray(np.array([3], dtype))).shape == ()


@EXECUTORS
def test_an_index_that_no_signed_integer_holds_is_refused(executor) -> None:
    huge = bl.asarray(np.array([2**64 - 1], np.uint64))
    for f in (lambda i: bl.ones(3)[i], lambda i: bl.take(bl.ones(3), i)):
        with pytest.raises(
            IndexRangeError, match=r"indices must lie below 2\*\*63, but comp|outside"
        ):
            bl.compile(f, executor=executor)(huge)


class Positive(Elementwise):
    """y = x, which must be positive."""

    attributes = ("name_of_it",)
    saves = ()

    def requires(self, xp, x):
        """Only positive numbers."""
        return [Requirement(x > 0, x, ArgumentError, f"{self.name_of_it} > 0", "look again")]

    def forward(self, xp, x):
        """Once x."""
        return x * 1

    def backward(self, xp, grad_y):
        """As it comes."""
        return grad_y


@EXECUTORS
@pytest.mark.parametrize("count", [3, 40])
def test_an_op_of_the_user_says_what_it_requires_and_each_error_is_told(count, executor) -> None:
    def f(*inputs):
        return [bl.apply(Positive(name_of_it=f"x{i}"), x) for i, x in enumerate(inputs)]

    fast = bl.compile(f, executor=executor)
    for wrong in (0, 1, count - 1):
        inputs = [bl.tensor([1.0, -1.0 if i == wrong else 1.0]) for i in range(count)]
        with pytest.raises(ArgumentError, match=rf"positive: x{wrong} > 0, got -1\.0; look again"):
            f(*inputs)
        with pytest.raises(ArgumentError, match=rf"positive: x{wrong} > 0, but compiled code met "):
            fast(*inputs)
    assert fast(*[bl.ones(2)] * count)[0].tolist() == [1.0, 1.0]


def test_a_check_is_one_kernel_without_memory_and_written_in_the_graph() -> None:
    fast = bl.compile(lambda x, y: F.cross_entropy(x, y))
    fast(bl.ones((4, 3)), bl.tensor([0, 1, 2, 0]))
    assert str(fast.kernels).count(" check ") == 1
    assert "require('cross_entropy: labels must lie in [0, 3) or be ignore_index=-100')" in str(
        fast.graph
    )
    assert "bool" not in str(fast.plan)


def test_a_state_is_not_overwritten_before_what_stands_before_it_is_checked() -> None:
    """The update needs nothing of the loss, so its loop could run first."""
    w = bl.tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5)

    @bl.compile
    def step(p, t):
        halved = w.detach() * 0.5
        loss = F.binary_cross_entropy(p, t)
        w.assign(halved)
        w.grad = bl.zeros(2)
        optimizer.step()
        return loss

    for _ in range(2):
        with pytest.raises(ArgumentError, match="probabilities"):
            step(bl.tensor([2.0, 0.5]), bl.zeros(2))
        assert w.tolist() == [1.0, 2.0]
    step(bl.tensor([0.5, 0.5]), bl.zeros(2))
    assert w.tolist() == [0.5, 1.0]


@EXECUTORS
def test_indices_that_the_function_makes_are_checked(executor):
    positions = nn.Embedding(5, 3)

    def f(x, n):
        return positions(bl.arange(n)) + x

    fast = bl.compile(f, executor=executor)
    x = bl.ones((4, 3))
    assert fast(x, 4).tolist() == f(x, 4).tolist()
    with pytest.raises(IndexRangeError):
        fast(bl.ones((6, 3)), 6)
