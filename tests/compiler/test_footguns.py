"""What could go wrong with compiled functions: each case raises, or does what eager does.

Here stands what a call itself does: its arguments and results, Tensors that change in it, errors,
threads and processes. What a function only reads around it, and what happens when that changes
between two calls, is a scenario of `test_environment.py`.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import backlit as bl
from apart import printed
from backlit import nn, optim
from backlit.compiler import interpreter, native
from backlit.errors import ArgumentError, GradientError, IndexRangeError, ShapeError, TraceError
from sampling import every


def compiled(function):
    return bl.compile(function, executor=native)


SCHEDULE = optim.lr_scheduler.StepLR(optim.SGD([bl.tensor([1.0], requires_grad=True)]), 2)


def same(a: bl.Tensor, b: bl.Tensor) -> bool:
    return bool(np.allclose(a.numpy(), b.numpy(), rtol=1e-6, atol=1e-7))


# -- values that Python knows and the graph does not ----------------------------------------------


def test_a_python_number_in_an_argument_makes_a_graph_of_its_own() -> None:
    f = compiled(lambda x, n: x * n)
    x = bl.tensor([1.0, 2.0])
    assert [f(x, n).tolist() for n in (2, 3, 2)] == [[2.0, 4.0], [3.0, 6.0], [2.0, 4.0]]
    assert len(f.graphs) == 2


@pytest.mark.parametrize("executor", [native, interpreter])
def test_what_is_detached_from_a_surrounding_tensor_is_its_value_by_then(executor) -> None:
    def make():
        w, average = bl.tensor([1.0, 2.0], requires_grad=True), bl.tensor([0.0, 0.0])

        def step(x):
            average.assign(0.5 * average + 0.5 * w.detach())
            before = w.detach()
            w.assign(before + x)
            return w.detach() * 1.0, before, average * 1.0

        return step

    step, fast = make(), bl.compile(make(), executor=executor)
    for _ in range(3):
        x = bl.tensor([1.0, 10.0])
        assert [t.tolist() for t in fast(x)] == [t.tolist() for t in step(x)]


def test_none_and_zero_and_false_and_true_and_one_are_different_arguments() -> None:
    f = compiled(lambda x, flag: x + 1 if flag is None else x * 2 if flag is True else x * 0)
    x = bl.tensor([3.0])
    assert [f(x, v).item() for v in (None, 0, True, 1, False, 0.0)] == [4, 0, 6, 0, 0, 0]


def test_a_list_that_grows_by_tensors_is_an_error() -> None:
    seen = []
    f = compiled(lambda x: seen.append(x) or x * 2)
    with pytest.raises(TraceError, match=r"cannot put Tensors into .* but seen has grown by 1"):
        f(bl.tensor([1.0]))


def test_a_list_that_grows_by_python_values_grows_as_in_eager() -> None:
    seen = []
    f = compiled(lambda x: seen.append(x.shape) or x * 2)
    for _ in range(2):
        assert f(bl.tensor([1.0])).item() == 2
    with pytest.warns(UserWarning, match=r"<lambda> changes at every call what it depends on, the"):
        f(bl.tensor([1.0]))
    f(bl.tensor([1.0]))
    assert seen == [(1,)] * 4
    assert f.graphs == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda x: bool((x > 0).all()),
        lambda x: float(x.sum()),
        lambda x: x.numpy(),
        lambda x: str(x),
        lambda x: f"{x.sum():.3f}",
        lambda x: bl.nonzero(x),
        lambda x: x[x > 0],
    ],
    ids=["branch", "float", "numpy", "print", "format", "nonzero", "mask"],
)
def test_asking_for_a_value_is_an_error_with_the_line(ask) -> None:
    with pytest.raises(TraceError, match=r"test_footguns\.py:\d+"):
        compiled(lambda x: (ask(x), x)[1])(bl.tensor([1.0, 2.0]))
    assert compiled(lambda x: x + 1)(bl.tensor([1.0])).item() == 2  # nothing is left behind


def swallowed_by_except(ask):
    try:
        ask()
    except Exception:
        return False
    return True


def swallowed_by_a_bare_except(ask):
    try:
        ask()
    except:  # noqa: E722
        return False
    return True


def swallowed_by_suppress(ask):
    with contextlib.suppress(TypeError):
        ask()
        return True
    return False


def swallowed_by_a_return(ask):
    done = False
    try:
        ask()
        done = True
    finally:
        return done  # noqa: B012


def swallowed_by_another_error(ask):
    try:
        ask()
    except TypeError:
        raise KeyError("another error") from None
    return True


@every(
    "swallowed",
    [
        swallowed_by_except,
        swallowed_by_a_bare_except,
        swallowed_by_suppress,
        swallowed_by_a_return,
        swallowed_by_another_error,
    ],
)
@every(
    "ask, text",
    [
        (lambda x: bool(x.sum() > 0), r"bool\(\): a captured function cannot ask for a value"),
        (lambda x: np.asarray(x.detach()), r"numpy\.asarray\(\): a captured function cannot ask"),
        (lambda x: bl.capture(bl.sin)(x), "a captured function cannot itself capture"),
        (lambda x: bl.compile(bl.sin).epoch([[0]], x), "cannot run the epoch of another"),
        (lambda x: SCHEDULE.step(), "a schedule computes with Python numbers"),
        (lambda x: x.grad, "does not see the grad of its arguments"),
    ],
)
@every("executor", [native, interpreter])
def test_a_swallowed_refusal_ends_the_capture(swallowed, ask, text, executor) -> None:
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    x.grad = bl.tensor([1.0, 1.0])
    f = bl.compile(lambda x: x if swallowed(lambda: ask(x)) else 3 * x, executor=executor)
    for _ in range(2):
        with pytest.raises(TraceError, match=text):
            f(x)
    assert compiled(lambda x: x + 1)(bl.tensor([1.0])).item() == 2  # nothing is left behind


def test_the_first_of_several_swallowed_refusals_is_told() -> None:
    def f(x):
        with contextlib.suppress(TypeError):
            float(x)
        return int(x)

    with pytest.raises(TraceError, match=r"float\(\): a captured function"):
        compiled(f)(bl.tensor(1.0))


def test_other_errors_may_be_swallowed_as_ever() -> None:
    def f(x):
        try:
            return x @ bl.ones((3, 1))
        except ShapeError:
            return x * 3

    assert compiled(f)(bl.tensor([1.0, 2.0])).tolist() == [3.0, 6.0]


# -- arrays that lie in memory in other ways ------------------------------------------------------


def unaligned(values) -> np.ndarray:
    plain = np.asarray(values, np.float32)
    raw = np.frombuffer(b"." + plain.tobytes(), np.uint8)[1:]
    array = raw.view(np.float32).reshape(plain.shape)
    assert not array.flags.aligned
    return array


@pytest.mark.parametrize("executor", [native, interpreter])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (3,), (2, 3)])
def test_an_unaligned_array_keeps_its_shape(shape, executor) -> None:
    array = unaligned(np.arange(float(np.prod(shape))).reshape(shape))
    state = bl.asarray(unaligned(np.ones(shape)))

    def step(x):
        state.assign(state + x)
        return x, x * 2, state * 1

    results = bl.compile(step, executor=executor)(bl.asarray(array))
    assert [r.shape for r in (*results, state)] == [shape] * 4
    assert results[2].tolist() == state.tolist() == (array + 1).tolist()
    assert results[0].tolist() == array.tolist()


# -- what changes between steps -------------------------------------------------------------------


def make_step(seed: int = 0, **options):
    bl.manual_seed(seed)
    net = nn.Sequential(
        nn.Linear(3, 8, bias=False),  # a bias would be taken off again: its gradient is rounding
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(8, 2),
    )
    optimizer = optim.Adam(net.parameters(), lr=0.05)

    def step(x, y):
        loss = nn.CrossEntropyLoss()(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return net, optimizer, step


def batch(seed: int, size: int = 16):
    rng = np.random.default_rng(seed)
    return bl.tensor(rng.normal(size=(size, 3)).astype(np.float32)), bl.tensor(
        rng.integers(0, 2, size)
    )


def test_whole_steps_with_everything_that_changes_follow_eager() -> None:
    net, optimizer, step = make_step()
    twin, twin_optimizer, twin_step = make_step()
    fast = compiled(twin_step)
    for i in range(12):
        optimizer.param_groups[0]["lr"] = twin_optimizer.param_groups[0]["lr"] = 0.05 / (i + 1)
        bl.manual_seed(i)
        eager = step(*batch(i))
        bl.manual_seed(i)
        assert fast(*batch(i)).item() == pytest.approx(eager.item(), rel=1e-4)
    assert len(fast.graphs) == 1
    for (name, p), q in zip(net.named_parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(q.numpy(), p.numpy(), rtol=1e-3, atol=1e-4, err_msg=name)
        np.testing.assert_allclose(q.grad.numpy(), p.grad.numpy(), rtol=1e-2, atol=1e-4)
    for p, q in zip(net.buffers(), twin.buffers(), strict=True):
        np.testing.assert_allclose(q.numpy(), p.numpy(), rtol=1e-4, atol=1e-5)


def test_dropout_differs_from_step_to_step_and_equals_eager() -> None:
    f = compiled(lambda x: nn.Dropout(0.5)(x))
    x = bl.ones((64,))
    bl.manual_seed(3)
    first, second = f(x), f(x)
    assert not bool((first == second).all())
    bl.manual_seed(3)
    drop = nn.Dropout(0.5)
    assert bool((drop(x) == first).all())
    assert bool((drop(x) == second).all())


def test_evaluation_mode_makes_a_graph_of_its_own() -> None:
    drop = nn.Dropout(0.5)
    f = compiled(drop)
    x = bl.ones((64,))
    assert 0 < int((f(x) == 0).sum()) < 64
    drop.eval()
    assert bool((f(x) == x).all())
    drop.train()
    assert 0 < int((f(x) == 0).sum()) < 64
    assert len(f.graphs) == 2


@pytest.mark.parametrize("executor", [interpreter, native])
def test_changed_numbers_of_modules_make_graphs_of_their_own(executor) -> None:
    drop, norm = nn.Dropout(0.5), nn.BatchNorm1d(2)
    f = bl.compile(lambda x: drop(norm(x)), executor=executor)
    x = bl.tensor([[0.0, 1.0], [2.0, 5.0]])
    f(x)
    drop.p = 0.0
    norm.momentum, norm.eps = 1.0, 4.0
    twin = nn.BatchNorm1d(2, momentum=1.0, eps=4.0)
    for _ in range(2):
        np.testing.assert_allclose(f(x).numpy(), twin(x).numpy(), rtol=1e-5)
    np.testing.assert_allclose(norm.running_mean.numpy(), twin.running_mean.numpy(), rtol=1e-6)
    drop.p = 0.0 * 1  # an equal number
    f(x)
    assert len(f.graphs) == 2


@pytest.mark.parametrize("executor", [interpreter, native])
def test_a_number_that_a_module_itself_counts_is_counted_as_in_eager(executor) -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return x + self.calls

    net = Counting()
    f = bl.compile(net, executor=executor)
    with pytest.warns(UserWarning, match=r"Counting\.calls was 2 and then 3; it is run eagerly"):
        assert [f(bl.tensor(1.0)).item() for _ in range(5)] == [2.0, 3.0, 4.0, 5.0, 6.0]
    assert net.calls == 5
    assert f.repeat(3, bl.tensor(1.0)).item() == 9.0
    assert f.epoch([[0], [0]], bl.tensor([1.0])).tolist() == [[10.0], [11.0]]


def test_what_is_made_at_the_first_call_is_kept() -> None:
    class Lazy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mask = None

        def forward(self, x):
            if self.mask is None:
                self.mask = bl.asarray(np.array([1.0, 0.0], np.float32))
            return x * self.mask

    f = compiled(Lazy())
    for _ in range(4):
        assert f(bl.ones(2)).tolist() == [1.0, 0.0]
    assert len(f.graphs) == 1  # the first call was a case of its own


def test_loaded_weights_are_used() -> None:
    net = nn.Linear(2, 2)
    f = compiled(net)
    x = bl.ones((1, 2))
    f(x)
    net.load_state_dict({"weight": bl.zeros((2, 2)), "bias": bl.tensor([5.0, 6.0])})
    assert f(x).tolist() == [[5.0, 6.0]]


def test_a_shared_weight_is_one_weight() -> None:
    def build():
        bl.manual_seed(0)
        a, b = nn.Linear(3, 3), nn.Linear(3, 3)
        b.weight = a.weight
        o = optim.SGD([*a.parameters(), b.bias], lr=0.01)

        def step(x):
            loss = (b(bl.tanh(a(x))) ** 2).sum()
            o.zero_grad()
            loss.backward()
            o.step()
            return loss

        return a, step

    (a, eager), (twin, step) = build(), build()
    fast = compiled(step)
    x = batch(0)[0]
    for _ in range(4):
        assert fast(x).item() == pytest.approx(eager(x).item(), rel=1e-5)
    assert same(a.weight, twin.weight)


def test_a_frozen_parameter_makes_a_graph_of_its_own() -> None:
    net = nn.Linear(2, 1)

    def loss(x):
        net.zero_grad()
        net(x).sum().backward()
        return x

    f = compiled(loss)
    f(bl.ones((1, 2)))
    assert net.weight.grad is not None
    net.weight.requires_grad_(False)
    net.zero_grad()
    f(bl.ones((1, 2)))
    assert net.weight.grad is None
    assert net.bias.grad is not None


def test_gradients_add_up_without_zero_grad_as_in_eager() -> None:
    w, v = (bl.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    eager = lambda x: (w * x).sum().backward()  # noqa: E731
    fast = compiled(lambda x: (v * x).sum().backward())
    for i in range(4):
        eager(bl.tensor([float(i), 1.0]))
        fast(bl.tensor([float(i), 1.0]))
        assert v.grad.tolist() == w.grad.tolist()


# -- shapes, types and kinds of arguments ---------------------------------------------------------


def test_shapes_and_dtypes_make_graphs_of_their_own() -> None:
    f = compiled(lambda x: x.sum() * 2)
    for shape in ((3,), (4,), (2, 2), ()):
        for dtype in ("float32", "int64"):
            x = bl.ones(shape, dtype=dtype)
            got = f(x)
            assert (got.item(), got.dtype) == (2 * x.size, x.dtype)
    assert len(f.graphs) == 8


def test_strided_reversed_and_read_only_inputs() -> None:
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    f = compiled(lambda x: x * 2 + 1)
    for view in (
        base.T,
        base[::-1],
        base[:, ::2],
        base[1:3, 1:4],
        np.broadcast_to(base[0], (4, 6)),
    ):
        np.testing.assert_array_equal(f(bl.asarray(view)).numpy(), view * 2 + 1)


def test_the_same_array_as_two_arguments() -> None:
    x = bl.tensor([1.0, 2.0])
    assert compiled(lambda a, b: a * b + b)(x, x).tolist() == [2.0, 6.0]


@pytest.mark.parametrize("executor", [interpreter, native])
def test_an_argument_that_the_function_also_finds_for_itself(executor) -> None:
    w = bl.tensor([1.0, 2.0], requires_grad=True)

    def f(x):
        return (x * w).sum()

    fast = bl.compile(f, executor=executor)
    for value in ([1.0, 2.0], [3.0, 5.0]):
        w.assign(bl.tensor(value))
        assert fast(w).item() == f(w).item()
        assert fast(w.detach()).item() == f(w.detach()).item()


def test_an_argument_that_is_also_a_parameter() -> None:
    w = bl.tensor([1.0, 2.0])

    def f(x):
        w.assign(w + 1)
        return x * 10

    fast = compiled(f)
    with pytest.warns(
        UserWarning, match="changes a Tensor that it is given twice, or is given and"
    ):
        assert fast(w).tolist() == [20.0, 30.0]
    assert w.tolist() == [2.0, 3.0]
    assert fast(w.detach()).tolist() == [20.0, 30.0]
    assert fast(w).tolist() == [40.0, 50.0]
    assert fast.repeat(2, w).tolist() == [60.0, 70.0]
    assert w.tolist() == [6.0, 7.0]


def test_an_argument_that_is_given_twice_and_changes() -> None:
    def f(a, b):
        a += 1
        return a * b

    fast = compiled(f)
    x, y = bl.tensor([1.0, 2.0]), bl.tensor([3.0, 4.0])
    assert fast(x, y).tolist() == [6.0, 12.0]
    with pytest.warns(UserWarning, match="hand it over in one way only"):
        assert fast(x, x).tolist() == [9.0, 16.0]
    assert (x.tolist(), y.tolist()) == ([3.0, 4.0], [3.0, 4.0])


def test_what_changes_an_argument_changes_that_of_the_caller() -> None:
    def f(w, x):
        w.assign(w * 2)
        w += x
        w[0] = x[1]
        return w * 1

    w, x = bl.tensor([1.0, 2.0]), bl.tensor([10.0, 20.0])
    want, other = bl.tensor([1.0, 2.0]), bl.tensor([5.0, 6.0])
    fast, held = compiled(f), w.detach()
    for _ in range(3):
        assert fast(w, x).tolist() == f(want, x).tolist()
        assert w.tolist() == want.tolist()
    assert held.tolist() == [1.0, 2.0]
    assert (fast.repeat(2, other, x).tolist(), x.tolist()) == ([20.0, 84.0], [10.0, 20.0])
    assert other.tolist() == [20.0, 84.0]
    rows = bl.tensor([[1.0, 2.0], [3.0, 4.0]])
    fast = compiled(lambda w, x: w.__iadd__(x) * 1)
    assert fast.epoch([[0], [1]], rows, rows).tolist() == [[[2.0, 4.0]], [[6.0, 8.0]]]
    assert rows.tolist() == [[1.0, 2.0], [3.0, 4.0]]  # each step has rows of its own


def test_training_by_hand_moves_the_parameters() -> None:
    def make(compile):
        bl.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))

        def step(x):
            model.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            with bl.no_grad():
                for p in model.parameters():
                    p.grad *= 0.5
                    g = p.grad
                    g += 0.01 * p
                    p -= 0.1 * p.grad
                model[0].weight[0, 1] = 0.25
            return loss

        return model, compile(step)

    x = bl.tensor([[1.0, 2.0], [-1.0, 0.5]])
    (plain, slow), (model, fast) = make(lambda f: f), make(compiled)
    for _ in range(3):
        assert slow(x).item() == pytest.approx(fast(x).item(), rel=1e-6)
    for _ in range(4):
        slow(x)
    fast.repeat(4, x)
    for p, q in zip(plain.parameters(), model.parameters(), strict=True):
        np.testing.assert_allclose(q.tolist(), p.tolist(), 1e-5, 1e-6)
        np.testing.assert_allclose(q.grad.tolist(), p.grad.tolist(), 1e-5, 1e-6)
    assert len(list(model.named_parameters())) == 4


def test_a_parameter_that_a_sum_reads_along_another_axis_is_replaced() -> None:
    w = bl.ones(5)

    def f(x):
        y = (x * w).sum(axis=0)
        w.assign(w * 0.5 + 1)
        return y

    fast, x = compiled(f), bl.ones((3, 5))
    assert [fast(x).tolist() for _ in range(2)] == [[3.0] * 5, [4.5] * 5]
    assert w.tolist() == [1.75] * 5


def test_gradients_from_before_the_call_change_in_place() -> None:
    w = bl.tensor([1.0, 2.0], requires_grad=True)

    def f():
        g = w.grad
        g *= 3
        return g.sum()

    fast = compiled(f)
    (w * w).sum().backward()
    assert (fast().item(), w.grad.tolist()) == (18.0, [6.0, 12.0])
    assert (fast().item(), w.grad.tolist()) == (54.0, [18.0, 36.0])


def test_what_is_around_a_compiled_function_is_not_put_on_its_tape() -> None:
    w, total = bl.tensor(2.0, requires_grad=True), bl.tensor(0.0)

    def f(x):
        nonlocal total
        total += w * x
        return total * 1

    with pytest.raises(
        TraceError, match=r"cannot put float32\[\] on it, which was there before; w"
    ):
        compiled(f)(bl.tensor(3.0))
    with pytest.raises(TraceError, match=r"write value\.detach"):
        compiled(lambda x: x.__iadd__(w))(bl.tensor(3.0))
    assert (total.item(), total.requires_grad) == (0.0, False)
    fast = compiled(lambda x: total.__iadd__((w * x).detach()) * 1)
    assert [fast(bl.tensor(3.0)).item(), fast(bl.tensor(1.0)).item()] == [6.0, 8.0]


def test_a_tensor_of_a_numpy_array_changes_without_the_array() -> None:
    array = np.array([1.0, 2.0], np.float32)

    def f(x):
        t = bl.asarray(array)
        t += x
        return t * bl.asarray(array)

    fast = compiled(f)
    for _ in range(2):
        assert fast(bl.ones(2)).tolist() == f(bl.ones(2)).tolist() == [2.0, 6.0]
    array[0] = 3.0
    assert fast(bl.ones(2)).tolist() == [12.0, 6.0]


class Memory(nn.Module):
    """A module that sets Tensors as attributes in its forward."""

    def __init__(self):
        super().__init__()
        self.register_buffer("cache", bl.zeros(2))
        self.h = None
        self.scale = nn.Parameter([2.0, 3.0])

    def forward(self, x):
        self.cache = self.cache + x
        self.h = bl.tanh(x) if self.h is None else self.h * 0.5 + x
        self.last = self.h * self.scale
        return self.last + self.cache


def test_attributes_of_modules_are_set_at_every_call() -> None:
    plain, model = Memory(), Memory()
    fast, held = compiled(model), []
    for i in range(5):
        x = bl.tensor([1.0, -1.0 * i])
        with bl.no_grad():
            want, got = plain(x), fast(x)
        held.append(model.cache)
        for a, b in ((want, got), (plain.cache, model.cache), (plain.h, model.h)):
            np.testing.assert_allclose(b.tolist(), a.tolist(), 1e-6)
        np.testing.assert_allclose(model.last.tolist(), plain.last.tolist(), 1e-6)
    assert [c.tolist()[0] for c in held] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert len(fast.graphs) == 2  # with and without h
    assert list(model.state_dict()) == ["scale", "cache"]
    model.cache, plain.cache = bl.zeros(2), bl.zeros(2)  # a new sequence
    with bl.no_grad():
        np.testing.assert_allclose(fast(x).tolist(), plain(x).tolist(), 1e-6)
        model.h = plain.h = None
        np.testing.assert_allclose(
            fast.repeat(3, x).tolist(), [plain(x) for _ in "abc"][2].tolist()
        )
    assert len(fast.graphs) == 2


def test_attributes_that_grow() -> None:
    class Cache(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("keys", bl.zeros((0, 2)))

        def forward(self, x):
            self.keys = bl.concat([self.keys, x])
            return self.keys.sum()

    model = Cache()
    fast = compiled(model)
    assert [fast(bl.ones((1, 2))).item() for _ in range(4)] == [2.0, 4.0, 6.0, 8.0]
    assert model.keys.shape == (4, 2)


def test_several_buffers_that_are_set_at_every_call_need_one_graph() -> None:
    class Sums(nn.Module):
        def __init__(self):
            super().__init__()
            for name in ("first", "second", "third"):
                self.register_buffer(name, bl.zeros(2))

        def forward(self, x):
            self.first = self.first + x
            self.second = self.second + self.first
            self.third = self.third + self.second
            return self.third * 1

    fast = compiled(Sums())
    assert [fast(bl.ones(2)).tolist()[0] for _ in range(4)] == [1.0, 4.0, 10.0, 20.0]
    assert len(fast.graphs) == 1


def test_attributes_with_a_gradient_cannot_be_differentiated_outside() -> None:
    model = Memory()
    fast = compiled(model)
    fast(bl.ones(2))
    assert model.last.requires_grad
    with pytest.raises(GradientError, match="no gradient goes through a compiled function from ou"):
        model.last.sum().backward()
    assert not model.cache.requires_grad


@pytest.mark.parametrize("executor", [native, interpreter])
@pytest.mark.parametrize(
    "make",
    [
        lambda: bl.tensor([1.0, 2.0]),
        lambda: bl.asarray([1.0, 2.0]),
        lambda: bl.asarray(np.float32([1.0, 2.0])),
        lambda: bl.from_dlpack(np.float32([1.0, 2.0])),
        lambda: bl.linspace(0.0, 1.0, 2),
        lambda: bl.eye(2),
        lambda: bl.zeros(2),
    ],
)
def test_a_tensor_that_the_function_makes_is_new_at_every_call(executor, make) -> None:
    w = bl.tensor([2.0, 3.0], requires_grad=True)

    def f(x):
        total, counts = make(), make()
        used = counts * 10
        counts += 1
        total[0] = x[0]
        total += w * x
        return bl.grad((total**2).sum(), w), total.detach(), counts, used, make()

    fast = bl.compile(f, executor=executor)
    for i in range(3):
        x = bl.tensor([1.0, 2.0 + i])
        for got, want in zip(fast(x), f(x), strict=True):
            np.testing.assert_allclose(got.tolist(), want.tolist(), 1e-6)


@pytest.mark.parametrize("executor", [native, interpreter])
@pytest.mark.parametrize("always", [False, True])
def test_a_tensor_that_the_function_makes_changes_and_keeps(executor, always) -> None:
    def make():
        state: dict[str, bl.Tensor] = {}

        def f(x):
            if always or "total" not in state:
                state["total"] = bl.tensor([1.0, 2.0])
            state["total"] += x
            state["total"][0] *= 2
            return x * state["total"], state["total"]

        return f, state

    (f, kept), (g, others) = make(), make()
    fast = bl.compile(g, executor=executor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where one is made at every call: it runs eagerly
        for i in range(5):
            x = bl.tensor([1.0, -1.0 * i])
            assert [t.tolist() for t in fast(x)] == [t.tolist() for t in f(x)]
            assert others["total"].tolist() == kept["total"].tolist()


@pytest.mark.parametrize("executor", [native, interpreter])
@pytest.mark.parametrize("where", ["attribute", "buffers", "closure", "modules"])
def test_an_attribute_that_is_replaced_while_its_tensor_has_another_name(executor, where) -> None:
    def make():
        start = bl.tensor([1.0, 2.0])

        class Hidden(nn.Module):
            def __init__(self):
                super().__init__()
                if where == "buffers":
                    self.register_buffer("h", start)
                    self.register_buffer("first", start)
                else:
                    self.h = self.first = start

            def forward(self, x):
                other = start if where == "closure" else self.first
                self.h = 0.5 * self.h + x
                return self.h * 1.0, other * 1.0

        a = Hidden()
        b = Hidden() if where == "modules" else a
        return (lambda x: (*a(x), *b(2 * x))), (a, b)

    (f, kept), (g, others) = make(), make()
    fast = bl.compile(g, executor=executor)
    for i in range(4):
        x = bl.tensor([1.0 + i, -1.0])
        assert [t.tolist() for t in fast(x)] == [t.tolist() for t in f(x)]
        assert [m.h.tolist() for m in others] == [m.h.tolist() for m in kept]


@pytest.mark.parametrize("executor", [native, interpreter])
def test_an_attribute_that_changes_in_place_and_is_replaced(executor) -> None:
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.h = bl.tensor([1.0, 2.0])

        def forward(self, x, done):
            self.h *= 1.0 - done
            self.h = bl.tanh(self.h + x)
            return self.h * 2.0

    plain, model = Recurrent(), Recurrent()
    first = model.h
    fast = bl.compile(model, executor=executor)
    for i in range(4):
        x, done = bl.tensor([0.1 * i, 0.5]), bl.tensor([1.0 * (i == 2), 0.0])
        np.testing.assert_allclose(fast(x, done).tolist(), plain(x, done).tolist(), 1e-6)
    assert first.tolist() == [1.0, 2.0]  # it was multiplied by 1 before it left
    assert len(fast.graphs) == 1


def test_what_a_module_registers_in_forward_is_registered() -> None:
    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = None

        def forward(self, x):
            if self.weight is None:
                self.weight = nn.Parameter(bl.ones((x.shape[-1], 2)))
            self.register_buffer("seen", x.sum(axis=0))
            return x @ self.weight

    model = Lazy()
    fast = compiled(model)
    for i in range(3):
        with bl.no_grad():
            assert fast(bl.ones((2, 3)) * i).tolist() == [[3.0 * i] * 2] * 2
        assert model.seen.tolist() == [2.0 * i] * 3
    assert list(model.state_dict()) == ["weight", "seen"]
    assert isinstance(model.weight, nn.Parameter)
    assert model.weight.is_leaf
    assert model.weight.requires_grad

    model = Lazy()

    def step(x):
        loss = model(x).sum()
        loss.backward()
        return loss

    with pytest.raises(TraceError, match="the grad of a leaf that it makes itself, but float32"):
        compiled(step)(bl.ones((2, 3)))
    assert model.weight is None


def test_a_refused_capture_leaves_everything_as_it_was() -> None:
    state, box = {"h": bl.zeros(2)}, SimpleNamespace(h=bl.zeros(2))
    hidden, model = bl.zeros(2), Memory()

    def f(x, where):
        nonlocal hidden
        model(x)
        state["h"] = state["h"] + x
        box.h = box.h + x
        hidden = hidden + x
        if where == "raise":
            raise ValueError("by the function")
        return hidden * 1

    with pytest.raises(TraceError, match="that an earlier captured call has made and left behind"):
        compiled(f)(bl.ones(2), "end")
    with pytest.raises(ValueError, match="by the function"):
        compiled(f)(bl.ones(2), "raise")
    for t in (state["h"], box.h, hidden, model.cache):
        assert t.tolist() == [0.0, 0.0]
    assert model.h is None
    assert not hasattr(model, "last")


def test_what_others_hold_of_a_parameter_stays() -> None:
    w = bl.tensor([1.0, 2.0])

    def f():
        w.assign(w * 2)

    fast = compiled(f)
    before, view = w.detach(), w.numpy()[:1]
    fast()
    after = w.numpy()
    fast()
    assert before.tolist() == [1.0, 2.0]
    assert view.tolist() == [1.0]
    assert after.tolist() == [2.0, 4.0]
    assert w.tolist() == [4.0, 8.0]


def test_a_kept_result_is_never_overwritten() -> None:
    f = compiled(lambda x: (x + 1, x.sum(), x))
    results = [f(bl.full((3,), float(i))) for i in range(5)]
    gc.collect()
    for i, (a, b, c) in enumerate(results):
        assert a.tolist() == [i + 1.0] * 3
        assert b.item() == 3.0 * i
        assert c.tolist() == [float(i)] * 3


def test_a_kept_gradient_is_never_overwritten() -> None:
    w = bl.tensor([1.0, 2.0], requires_grad=True)

    def f(x):
        w.grad = None
        (w * x).sum().backward()

    fast = compiled(f)
    kept = []
    for i in range(4):
        fast(bl.full((2,), float(i)))
        kept.append(w.grad if i % 2 else w.grad.numpy())
    assert [np.asarray(k).tolist() for k in kept] == [[float(i)] * 2 for i in range(4)]


def test_a_result_fed_back_as_argument() -> None:
    f = compiled(lambda x: x * 2 + 1)
    x = y = bl.tensor([1.0, 2.0])
    for _ in range(6):
        x, y = f(x), y * 2 + 1
    assert x.tolist() == y.tolist()


def test_results_of_every_form() -> None:
    f = compiled(lambda x: {"a": [x, x + 1], "b": (x * 2, None, 7, "text")})
    got = f(bl.tensor([1.0]))
    assert got["a"][1].item() == 2
    assert got["b"][0].item() == 2
    assert got["b"][1:] == (None, 7, "text")


def test_empty_scalar_and_single_arrays() -> None:
    f = compiled(lambda x: (x * 2, bl.sum(x), bl.exp(x)[..., None]))
    for shape in ((0,), (0, 3), (3, 0), (1,), (1, 1), ()):
        for got, want in zip(f(bl.ones(shape)), (2, None, None), strict=True):
            assert got.shape in (shape, (), (*shape, 1))
            if want and got.size:
                assert float(got.sum()) == want * got.size


def test_non_finite_values_are_as_in_eager() -> None:
    x = bl.tensor([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e38, -1e38, 1e-42, 88.9, -104.5])
    y = bl.tensor([1.0, np.nan, np.inf, 0.0, 0.0, 1e38, 1e38, 0.0, -1.0, 2.0])

    def f(x, y):
        return (
            bl.exp(x), bl.log(x), bl.tanh(x), bl.sqrt(x), x / y, bl.maximum(x, y),
            bl.minimum(x, y), bl.where(x > y, x, y), bl.sigmoid(x), x**2, bl.sign(x), bl.log1p(x),
            bl.expm1(x), bl.erf(x), x.max(), x.min(), x.sum(), bl.argmax(x), bl.argmin(x),
            bl.isnan(x), bl.isinf(x), bl.isfinite(x), bl.floor(x), bl.round(x), abs(x), x % 3.0,
            bl.softplus(x) if hasattr(bl, "softplus") else x, bl.logaddexp(x, y),
        )  # fmt: skip

    for i, (got, want) in enumerate(zip(compiled(f)(x, y), f(x, y), strict=True)):
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=3e-6, err_msg=str(i))


# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", [interpreter, native])
def test_an_index_out_of_range_is_an_error_and_the_function_goes_on(executor) -> None:
    table = bl.tensor([1.0, 2.0, 3.0])
    count = bl.tensor(0.0)

    def f(i):
        count.assign(count + 1)
        return bl.take(table, i, axis=0)

    fast = bl.compile(f, executor=executor)
    assert fast(bl.tensor([0, -1])).tolist() == [1.0, 3.0]
    for bad in (3, -4, 10**12, -(10**12)):
        with pytest.raises(IndexRangeError, match="an index lies outside its axis"):
            fast(bl.tensor([0, bad]))
    assert fast(bl.tensor([2, 1])).tolist() == [3.0, 2.0]


def test_a_shape_error_in_the_capture_is_the_eager_one() -> None:
    with pytest.raises(ShapeError, match=r"matmul: a\.shape\[-1\] must equal b\.shape\[-2\]"):
        compiled(lambda a, b: a @ b)(bl.ones((2, 3)), bl.ones((2, 3)))


def test_an_error_in_the_middle_leaves_nothing_behind() -> None:
    w = bl.tensor([1.0], requires_grad=True)

    def f(x):
        w.assign(w + 1)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        compiled(f)(bl.ones((1,)))
    assert w.item() == 1.0
    assert (w * 2).item() == 2.0


def test_an_argument_that_cannot_be_a_key_is_explained() -> None:
    with pytest.raises(TraceError, match="must be hashable, got ndarray; pass arrays as"):
        compiled(lambda x: x)(np.ones(3))


def test_before_the_first_call_there_is_nothing_to_show() -> None:
    f = compiled(lambda x: x)
    for what in ("graph", "kernels", "plan"):
        with pytest.raises(ArgumentError, match=f"{what}: the function has not been called"):
            getattr(f, what)
    for times, shown in ((0, "0"), (-1, "-1"), ("3", "'3'"), (2.0, "2.0"), (True, "True")):
        with pytest.raises(
            ArgumentError, match=f"repeat: times must be a positive integer, got {shown}"
        ):
            f.repeat(times, bl.ones((1,)))
        with pytest.raises(
            ArgumentError, match=f"profile: times must be a positive integer, got {shown}"
        ):
            f.profile(bl.ones((1,)), times=times)
    interpreted = bl.compile(lambda x: x + 1, executor=bl_interpreter())
    interpreted(bl.ones((1,)))
    with pytest.raises(ArgumentError, match="kernels: only native code has kernels"):
        interpreted.kernels  # noqa: B018


def bl_interpreter():
    from backlit.compiler import interpreter

    return interpreter


def test_many_captures_are_warned_about_with_the_cause() -> None:
    f = compiled(lambda x, n: x * n)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for n in range(20):
            f(bl.ones((1,)), n)
    messages = [str(w.message) for w in caught if "captured" in str(w.message)]
    assert len(messages) == 1
    assert "argument 1" in messages[0]
    assert "7 and then 8" in messages[0]


# -- calls inside calls, threads, processes --------------------------------------------------------


def test_a_compiled_function_inside_a_compiled_function() -> None:
    inner = compiled(lambda x: x * 3)
    outer = compiled(lambda x: inner(x) + 1)
    assert outer(bl.tensor([2.0])).item() == 7
    assert len(inner.graphs) == 0


def test_two_threads_compile_and_run_at_once() -> None:
    f = compiled(lambda x: bl.tanh(x @ x.mT).sum(axis=0))
    x = {n: bl.random.Generator(n).normal((n, 40)) for n in (30, 31, 32, 33)}
    want = {n: bl.tanh(v @ v.mT).sum(axis=0).numpy() for n, v in x.items()}
    failures = []

    def work() -> None:
        try:
            for _ in range(20):
                for n, v in x.items():
                    np.testing.assert_allclose(f(v).numpy(), want[n], rtol=1e-4, atol=1e-4)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    x = bl.random.Generator(0).normal((300, 257))

    def f(x):
        return bl.exp(x).sum(axis=0), x.sum(), x @ x.mT, bl.tanh(x) * 2, x.max(axis=1)

    results = []
    before = bl.get_threads()
    try:
        for count in (1, 2, 3):
            bl.set_threads(count)
            results.append([r.numpy() for r in compiled(f)(x)])
    finally:
        bl.set_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("count", [0, -1, 1.5, True, 1000])
def test_the_number_of_threads_must_make_sense(count) -> None:
    with pytest.raises(ArgumentError, match=r"set_threads: count must be an integer in \[1, 256\]"):
        bl.set_threads(count)


BIG = "x = b.ones((400, 400)); f = b.compile(lambda x: b.tanh(x @ x), executor=native)\n"
IMPORT = "import os, backlit as b; from backlit.compiler import native\n"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_workers_of_its_own() -> None:
    code = (
        IMPORT
        + BIG
        + (
            "f(x)\n"
            "pid = os.fork()\n"
            "y = float(f(x).sum())\n"
            "if pid: assert os.waitpid(pid, 0)[1] == 0\n"
            "print(round(y))\n"
        )
    )
    assert printed(code).split() == ["160000", "160000"]


@pytest.mark.slow
def test_the_interpreter_ends_while_workers_spin() -> None:
    assert printed(IMPORT + BIG + "for _ in range(3): f(x)\nprint('done')") == "done\n"


@pytest.mark.slow
def test_ctrl_c_during_many_repetitions_stops_soon() -> None:
    code = IMPORT + (
        "import signal, threading, time\n"
        # A parent that runs in the background may have switched the signal off.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "w = b.tensor([0.0])\n"
        "def count(): w.assign(w + 1)\n"
        "f = b.compile(count, executor=native)\n"
        "f()\n"
        "threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        "start = time.monotonic()\n"
        "try: f.repeat(10**12)\n"
        "except KeyboardInterrupt: print(time.monotonic() - start < 5, w.item() > 0)\n"
    )
    assert printed(code) == "True True\n"


def test_repeat_is_that_many_calls() -> None:
    w = bl.tensor(np.zeros((), np.float64))

    def f(x):
        w.assign(w + x.sum())
        return w * 1

    fast = compiled(f)
    assert fast.repeat(1000, bl.ones((3,), dtype="float64")).item() == 3000
    assert fast(bl.ones((3,), dtype="float64")).item() == 3003


# -- pieces of concatenations, which are made in their places --------------------------------------


CONCATENATIONS = {
    "expressions": lambda x, y: bl.concat((x * 2, bl.exp(y), x + y)),
    "pieces used elsewhere": lambda x, y: (lambda a: (bl.concat((a, y * 2)), a @ a.mT))(bl.tanh(x)),
    "a piece twice": lambda x, y: (lambda a: bl.concat((a, a, y)))(bl.tanh(x @ x.mT @ x)),
    "an input as piece": lambda x, y: bl.concat((x, y, x)),
    "nested": lambda x, y: bl.concat((bl.concat((x @ x.mT @ x, y * 3)), bl.exp(x))),
    "a result and a piece": lambda x, y: (lambda a: (a, bl.concat((a, y))))(x @ x.mT @ x),
    "read at once": lambda x, y: (lambda c: c[1:-1] + c[2:])(bl.concat((x @ x.mT @ x, y * 2))),
    "many": lambda x, y: bl.concat([x * i + y for i in range(9)]),
    "many columns": lambda x, y: bl.concat([x * i + y for i in range(9)], axis=1),
    "steps": lambda x, y: steps(x, y),
    "empty pieces": lambda x, y: bl.concat((x[:0], bl.tanh(y), x[:0])),
    "reshaped": lambda x, y: bl.stack([bl.tanh(x), bl.exp(y), x @ x.mT @ y]),
    "sliced": lambda x, y: bl.concat((bl.tanh(x)[1:], bl.flip(bl.exp(y)))),
}


def steps(x, y):
    """A recurrence whose states are collected and used again."""
    states = []
    for _ in range(6):
        x = bl.tanh(x @ y.mT @ y * 0.1 + x)
        states.append(x)
    all_of_them = bl.concat(states)
    return all_of_them, all_of_them[2:5] * states[3][:3] + states[0][1:4]


@pytest.mark.parametrize("name", CONCATENATIONS)
def test_concatenations_and_their_gradients(name: str) -> None:
    function = CONCATENATIONS[name]
    generator = bl.random.Generator(1)
    x, y = (generator.normal((4, 5)).requires_grad_() for _ in range(2))

    def step(x, y):
        results = function(x, y)
        results = results if isinstance(results, tuple) else (results,)
        total = sum(bl.sum(r * r) for r in results)
        return (*results, *bl.grad(total, [x, y], allow_unused=True))

    fast = compiled(step)
    for _ in range(2):
        for got, want in zip(fast(x, y), step(x, y), strict=True):
            if want is None:
                assert got is None
            else:
                np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=2e-4, atol=1e-4)
    str(fast.plan)


@pytest.mark.parametrize("executor", [native, interpreter])
def test_a_function_that_changes_a_mode_itself(executor) -> None:
    def make():
        norm = nn.BatchNorm1d(3)

        def step(x):
            y = norm(x)
            norm.train(not norm.training)
            return y

        return step

    x = bl.asarray(np.random.default_rng(0).standard_normal((5, 3), dtype=np.float32))
    eager, fast = make(), bl.compile(make(), executor=executor)
    for i in range(5):
        if i == 2:
            with pytest.warns(UserWarning, match=r"norm\.training was True and then False"):
                got = fast(x)
        else:
            got = fast(x)
        np.testing.assert_allclose(got.numpy(), eager(x).numpy(), rtol=1e-5, atol=1e-6)


def test_another_thread_changing_a_shape_between_the_steps_of_repeat() -> None:
    w = bl.ones(3)

    def step(x):
        w.assign(w + x)
        return w.sum()

    compiled = bl.compile(step)
    compiled(bl.ones(3))
    plan = compiled._latest("plan")
    w.array = np.ones(4, np.float32)
    with pytest.raises(TraceError, match="must not change between its steps, but the shape, dtype"):
        plan.repeat((bl.ones(3),), 2)


# -- gradients by two names -----------------------------------------------------------------------


def _changed_through_another_name(run):
    p = nn.Parameter(bl.tensor([1.0, 2.0]))
    (p * 3).sum().backward()
    held = p.grad

    def double():
        p.grad *= 2

    run(double)()
    assert p.grad is held
    return held.tolist()


def _set_to_what_was_there(run):
    p, there = nn.Parameter(bl.tensor([1.0, 2.0])), bl.zeros(2)

    def step(x):
        p.grad = there
        p.grad += x

    run(step)(bl.ones(2))
    assert p.grad is there
    return there.tolist()


def _set_to_an_argument(run):
    p, x = nn.Parameter(bl.tensor([1.0, 2.0])), bl.ones(2)

    def step(x):
        p.grad = x
        p.grad *= 3

    step = run(step)
    step(x)
    assert p.grad is x
    step(x)
    return x.tolist()


def _set_to_an_argument_many_times(run):
    p, x = nn.Parameter(bl.tensor([1.0, 2.0])), bl.ones(2)

    def step(x):
        p.grad = x
        return x * 2

    step = run(step)
    results = [step(x)]
    results += [step.repeat(3, x)] if hasattr(step, "repeat") else [step(x) for _ in range(3)][-1:]
    assert p.grad is x
    return [r.tolist() for r in results]


def _exchanged(run):
    p, q = (nn.Parameter(bl.tensor([1.0, 2.0])) for _ in "pq")
    p.grad, q.grad = a, b = bl.tensor([1.0, 1.0]), bl.tensor([5.0, 5.0])

    def step():
        p.grad, q.grad = q.grad, p.grad

    run(step)()
    assert p.grad is b
    assert q.grad is a


def _one_of_two_parameters(run):
    p, q = (nn.Parameter(bl.tensor([1.0, 2.0])) for _ in "pq")
    p.grad = q.grad = bl.ones(2)

    def step():
        p.grad += 1
        q.grad *= 2
        return p.grad + q.grad

    return [run(step)().tolist(), p.grad.tolist()]


def _found_otherwise_too(run):
    p, x = nn.Parameter(bl.tensor([1.0, 2.0])), bl.ones(2)
    p.grad = x

    def step():
        p.grad += 1
        return x * 1

    return [run(step)().tolist(), x.tolist()]


def _changed_and_dropped(run):
    p = nn.Parameter(bl.tensor([1.0, 2.0]))
    held = p.grad = bl.ones(2)

    def step():
        p.grad *= 2
        p.grad = None

    run(step)()
    assert p.grad is None
    return held.tolist()


def _changed_and_added_to(run):
    p = nn.Parameter(bl.tensor([1.0, 2.0]))
    held = p.grad = bl.ones(2)

    def step(x):
        p.grad *= 0.5
        (p * x).sum().backward()
        return p.grad * 1

    step = run(step)
    return [step(bl.ones(2)).tolist() for _ in range(3)], held.tolist(), p.grad.tolist()


@pytest.mark.filterwarnings("ignore:.*runs? eagerly")
@pytest.mark.parametrize("executor", [native, interpreter], ids=["native", "interpreter"])
@pytest.mark.parametrize(
    "program",
    [
        _changed_through_another_name, _set_to_what_was_there, _set_to_an_argument,
        _set_to_an_argument_many_times, _exchanged,
        _one_of_two_parameters, _found_otherwise_too, _changed_and_dropped, _changed_and_added_to,
    ],
)  # fmt: skip
def test_a_gradient_stays_the_tensor_that_it_is(program, executor):
    assert program(lambda f: bl.compile(f, executor=executor)) == program(lambda f: f)
