"""The plan: which kernels are shared, what is overwritten in place, what can be repeated."""

import gc
import sys
import sysconfig

import numpy as np
import pytest

import backlit
from backlit import nn, optim
from backlit.compiler.capture.trace import trace
from backlit.compiler.llvm.builder import Function
from backlit.compiler.lower.kinds import SCATTER
from backlit.compiler.plan import report
from backlit.compiler.plan.plan import Plan
from backlit.errors import IndexRangeError

plan_of_step = sys.modules["backlit.compiler.plan.plan"]


def plan_of(function, *args) -> Plan:
    return Plan(trace(function, args, {}))


def distinct(plan: Plan) -> int:
    return plan.text.count("define internal void @kernel")


def training(model, loss_fn, lr=0.1):
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.9)

    def step(x, y):
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.mark.slow
def test_steps_of_a_recurrence_share_their_kernels() -> None:
    lstm = nn.LSTM(3, 40, batch_first=True)

    def step(x, y):
        return training(lstm, lambda out, y: ((out[0] - y) ** 2).sum())(x, y)

    counts = [
        distinct(plan_of(step, backlit.zeros((2, t, 3)), backlit.zeros((2, t, 40))))
        for t in (8, 24)
    ]
    assert counts[0] == counts[1] < 40


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)),
        nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Tanh(), nn.Linear(4, 2)),
    ],
    ids=["batch norm", "layer norm"],
)
def test_a_training_step_overwrites_all_it_replaces(model) -> None:
    """A weight that the backward pass reads, too, is overwritten only after that."""
    x, y = backlit.random.normal((6, 3)), backlit.random.normal((6, 2))
    plan = plan_of(training(model, nn.MSELoss()), x, y)
    assert plan.repeatable
    assert len(plan.buffers.in_place) == len(plan.captured.updated)


def test_places_known_before_the_code_runs_make_no_code() -> None:
    """A slice of a placed array reads the array, or nothing."""

    @backlit.compile
    def gradient(w):
        return backlit.grad((w[1] * w[1]).sum() + w[3].sum() + w[1:, 2].sum(), w)

    w = backlit.asarray(np.arange(20.0).reshape(5, 4)).requires_grad_()
    expected = np.zeros((5, 4))
    expected[1] = 2 * np.arange(4, 8)
    expected[3] = 1
    expected[1:, 2] += 1
    assert np.array_equal(gradient(w).numpy(), expected)


@pytest.mark.parametrize(
    ("op", "a", "b", "expected"),
    [
        ("add", 2**31 - 1, 1, "-2147483648"),
        ("sub", 3, 5, "-2"),
        ("mul", 65536, 65536, "0"),
        ("and", 12, 10, "8"),
        ("or", 12, 10, "14"),
        ("xor", 12, 10, "6"),
    ],
)
def test_integer_constants_are_folded_as_the_processor_would(op, a, b, expected) -> None:
    f = Function("f", [])
    assert f.const("i32", a).op(op, f.const("i32", b)).text == expected


def test_integer_identities_make_no_code() -> None:
    f = Function("f", [("i64", "x"), ("i1", "t")])
    x, t = f.argument("x"), f.argument("t")
    assert [x + 0, x - 0, x * 1] == [x, x, x]
    assert (x * 0).text == "0"
    assert (t & 1) is t
    assert (t & 0).text == "false"
    assert (f.const("i8", -1) & 3).text == "3"
    assert f.const("i64", 3).compare("lt", 4).select(x, 7) is x
    assert f.const("i64", 5).compare("lt", 4).select(x, 7).text == "7"
    assert not f.lines


def rows_step(weight, pick, after):
    def step(index, x):
        picked = pick(weight, index)
        old = weight.sum()
        loss = (picked * x).sum()
        gradient = backlit.grad(loss, weight)
        weight.assign(weight - 0.5 * gradient)
        return loss, (weight * 1.0).sum() if after else old

    return step


def table(n=30):
    rng = np.random.default_rng(0)
    weight = backlit.asarray(rng.standard_normal((n, 4))).requires_grad_()
    index = backlit.asarray(np.array([3, 29, 3, -1, 7, 3]))
    return weight, index, backlit.asarray(rng.standard_normal((6, 4)))


PICKS = {"take": lambda w, i: backlit.take(w, i, axis=0), "index": lambda w, i: w[i]}


@pytest.mark.parametrize("pick", PICKS)
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("held", [False, True])
def test_the_update_of_a_table_touches_the_rows_that_were_picked(pick, after, held) -> None:
    """Repeated and negative rows; also when somebody else sees the old values."""
    weight, index, x = table()
    if pick == "take":
        index = index % 30
    expected = weight.numpy().copy()
    np.add.at(expected, index.numpy(), -0.5 * x.numpy())
    before = weight.numpy().copy()
    keep = weight.numpy() if held else None
    step = backlit.compile(rows_step(weight, PICKS[pick], after))
    _, total = step(index, x)
    np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(total.item(), (expected if after else before).sum())
    if held:
        assert np.array_equal(keep, before)
    plan = step._latest("plan")
    assert plan.repeatable
    assert [e.op.name for e in plan.graph.equations].count("take_add_to") == 1
    ((kernel, row),) = [
        (k, r)
        for k, r in zip(plan.kernels, report.rows(plan), strict=True)
        if k.roots[0].op.name == "take_add_to"
    ]
    assert kernel.kind is SCATTER
    assert row.bytes == 3 * x.array.nbytes


def test_a_table_is_not_half_updated_when_a_row_is_out_of_range() -> None:
    """Even where nothing but the gradient needs the rows."""
    weight, index, x = table()

    def step(index, x):
        weight.assign(weight - backlit.grad((weight[index] * x).sum(), weight))

    compiled = backlit.compile(step)
    compiled(index, x)
    before = weight.numpy().copy()
    bad = backlit.asarray(np.array([3, 29, 30, -1, 7, 3]))
    with pytest.raises(IndexRangeError):
        compiled(bad, x)
    assert np.array_equal(weight.numpy(), before)


def test_a_table_whose_gradient_others_want_is_updated_whole() -> None:
    weight, index, x = table()

    def step(index, x):
        gradient = backlit.grad((weight[index] * x).sum(), weight)
        weight.assign(weight - 0.5 * gradient)
        return gradient

    before = weight.numpy().copy()
    compiled = backlit.compile(step)
    gradient = compiled(index, x)
    np.testing.assert_allclose(weight.numpy(), before - 0.5 * gradient.numpy())
    names = [e.op.name for e in compiled._latest("plan").graph.equations]
    assert "take_add_to" not in names


def averaging():
    """A state that is updated in place, a gradient and a result, by a compiled step."""
    state, w = backlit.zeros(300), backlit.ones(300).requires_grad_()

    @backlit.compile
    def step(x):
        w.grad = None
        y = (w * x * x).sum()
        y.backward()
        state.assign(state * 0.5 + w.grad)
        return y * 1, state + 1

    return state, w, step


HOLDERS = {
    "the array": lambda t: t.array,
    "a view": lambda t: t.array[1:],
    "a view of a view": lambda t: t.numpy()[1:][::2],
    "a memoryview": lambda t: memoryview(t.array),
    "a list": lambda t: [[t.array]],
    "a Tensor": lambda t: backlit.asarray(t.array),
    "a closure": lambda t: (lambda array: lambda: array)(t.array),
}


def content(held):
    """What a holder sees."""
    while isinstance(held, list):
        (held,) = held
    if callable(held):
        held = held()
    return np.array(held.array if isinstance(held, backlit.Tensor) else held)


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("name", HOLDERS)
def test_memory_that_somebody_sees_is_not_written_to(monkeypatch, name: str, counted: bool) -> None:
    """State, gradients and results; also where counts of references are no use."""
    if not counted:
        monkeypatch.setattr(plan_of_step, "COUNTED", False)
    state, w, step = averaging()
    for n in range(4):
        total, more = step(backlit.ones(300) * n)
        tensors = {"state": state, "gradient": w.grad, "result": more}
        held = {k: HOLDERS[name](t) for k, t in tensors.items()}
        seen = {k: content(h) for k, h in held.items()}
        del total, more, tensors
        for m in (7, 8):
            step(backlit.ones(300) * m)
        for k, h in held.items():
            np.testing.assert_array_equal(content(h), seen[k], err_msg=f"{k}, {n}")
        del held


@pytest.mark.parametrize("counted", [True, False])
def test_memory_that_nobody_sees_is_written_again_where_references_count(monkeypatch, counted):
    monkeypatch.setattr(plan_of_step, "COUNTED", counted)
    state, w, step = averaging()
    x = backlit.ones(300)
    step(x)
    places = [t.array.ctypes.data for t in (state, w.grad)]
    for _ in range(3):
        step(x)
    assert ([t.array.ctypes.data for t in (state, w.grad)] == places) is counted
    assert state.tolist() == [1 + 0.5 + 0.25 + 0.125] * 300


def test_this_interpreter_counts_references() -> None:
    assert plan_of_step.COUNTED is not bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def test_no_garbage_is_looked_for_while_a_function_is_compiled():
    seen = []

    def step(x, fails):
        seen.append(gc.isenabled())
        if fails:
            raise ValueError("no")
        return x + 1

    compiled = backlit.compile(step)
    compiled(backlit.ones((2,)), False)
    with pytest.raises(ValueError, match="no"):
        compiled(backlit.ones((2,)), True)
    assert (seen, gc.isenabled()) == ([False, False], True)
