"""An optimizer's step under the microscope: what it says is what the optimizer does."""

import math
from typing import ClassVar

import numpy as np
import pytest

import backlit
from backlit import nn, optim, see
from backlit.errors import ArgumentError
from backlit.optim.twin import twin_of
from backlit.train.report.looking import _updates

RULES = [
    (optim.SGD, {}),
    (optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    (optim.SGD, {"momentum": 0.9, "averaged": True}),
    (optim.SGD, {"momentum": 0.9, "maximize": True}),
    (optim.Adam, {}),
    (optim.Adam, {"amsgrad": True, "weight_decay": 0.1}),
    (optim.AdamW, {}),
    (optim.RMSprop, {"centered": True, "momentum": 0.5}),
    (optim.Adagrad, {"lr_decay": 0.1}),
    (optim.Adadelta, {}),
    (optim.Adamax, {}),
    (optim.NAdam, {}),
    (optim.RAdam, {}),
    (optim.Lion, {}),
    (optim.Rprop, {}),
    (optim.ASGD, {}),
    (optim.LARS, {}),
    (optim.LAMB, {}),
    (optim.Adafactor, {}),
    (optim.Muon, {}),
]


def matrix(dtype):
    w = backlit.tensor([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]], dtype=dtype, requires_grad=True)
    (w * w).sum().backward()
    return w


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_what_is_said_is_what_the_step_does_and_nothing_changes(dtype):
    for rule, settings in RULES:
        w = matrix(dtype)
        optimizer = rule([w], lr=0.05, **settings)
        for t in range(1, 4):
            before = w.numpy().copy()
            kept = {n: s.numpy().copy() for n, s in optimizer.state[w].items()}
            seen = see.update(optimizer, w, (1, 0))
            np.testing.assert_array_equal(w.numpy(), before)
            for name, array in kept.items():
                np.testing.assert_array_equal(optimizer.state[w][name].numpy(), array)
            optimizer.step()
            what = f"{rule.__name__} {settings} {dtype} {t}"
            np.testing.assert_array_equal(seen.before, before, what)
            tolerance = 0 if dtype == "float64" else 1e-6 if dtype == "float32" else 1e-2
            np.testing.assert_allclose(
                seen.after.astype(float), w.numpy().astype(float), tolerance, 1e-12, err_msg=what
            )
            assert seen.step == t
            last = [line for line in seen.lines if line.name == "θ"][-1]
            assert last.value == pytest.approx(float(w.numpy()[1, 0]), rel=1e-2), what
            assert all(line.formula and line.numbers for line in seen.lines), what
            assert not any("backlit" in str(line) for line in seen.lines)


def test_adam_by_hand_over_five_steps():
    """Kingma & Ba, algorithm 1, worked out in the paper's own form."""
    theta, m, v = 3.0, 0.0, 0.0
    lr, b1, b2, eps = 0.1, 0.9, 0.999, 1e-8
    w = backlit.tensor(theta, dtype="float64", requires_grad=True)
    optimizer = optim.Adam([w], lr=lr)
    for t in range(1, 6):
        optimizer.zero_grad()
        (w**3 / 3).backward()
        g = theta**2
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        theta -= lr * m_hat / (math.sqrt(v_hat) + eps)
        seen = see.update(optimizer, w)
        optimizer.step()
        wanted = {"g": g, "m": m, "v": v, "m̂": m_hat, "v̂": v_hat, "θ": theta}
        for name, value in wanted.items():
            assert seen.element(name) == pytest.approx(value, rel=1e-13), (t, name)
        assert seen.element("step") == pytest.approx(theta - seen.before.item(), rel=1e-12)
        assert [a.used for a in seen.averages] == [True, True]


def test_the_lines_of_adam_and_of_a_rule_of_ones_own():
    w = backlit.tensor([2.0], dtype="float64", requires_grad=True)
    (w * w).sum().backward()
    lines = list(map(str, see.update(optim.Adam([w], lr=0.1), w).lines))
    assert lines == [
        "root = √(1 − β₂ᵗ) = √(1 − 0.999¹) = 0.0316228",
        "rate = lr·root / (1 − β₁ᵗ) = 0.1·0.031623 / (1 − 0.9¹) = 0.0316228",
        "m ← β₁·m + (1 − β₁)·g = 0.9·0 + (1 − 0.9)·4 = 0.4",
        "v ← β₂·v + (1 − β₂)·g² = 0.999·0 + (1 − 0.999)·4² = 0.016",
        "θ ← θ − rate·m / (√v + ε·root) = 2 − 0.031623·0.4 / (√0.016 + 1e−8·0.031623) = 1.9",
    ]

    class Cautious(optim.Optimizer):
        def update(self, xp, settings, numbers, parameter, grad):
            (lr,) = numbers
            small = grad / (1 + xp.abs(grad))
            return (parameter - lr * small,)

    lines = list(map(str, see.update(Cautious([w], {"lr": 0.5}), w).lines))
    assert lines == [
        "small = g / (1 + |g|) = 4 / (1 + |4|) = 0.8",
        "θ ← θ − lr·small = 2 − 0.5·0.8 = 1.6",
    ]


def test_one_name_is_one_number():
    w = backlit.tensor([2.0], dtype="float64", requires_grad=True)
    (w * w).sum().backward()
    optimizer = optim.RMSprop([w], lr=0.1, momentum=0.5, centered=True)
    found = str(see.update(optimizer, w))
    assert "spread = max(square − mean², 0)" in found
    assert "velocity ← μ·velocity + step = 0.5·0 + " in found

    class Twice(optim.Optimizer):
        def initial_state(self, settings):
            return {"pace": 1.0}

        def update(self, xp, settings, numbers, parameter, grad, old):
            (lr,) = numbers
            pace = grad * lr
            pace = old + pace
            new = pace
            pace = pace * 2
            return parameter - pace, new

    lines = list(map(str, see.update(Twice([w], {"lr": 0.5}), w).lines))
    assert lines == [
        "pace′ = g·lr = 4·0.5 = 2",
        "pace ← pace + pace′ = 1 + 2 = 3",
        "pace′′ = pace·2 = 3·2 = 6",
        "θ ← θ − pace′′ = 2 − 6 = −4",
    ]


def test_uphill_the_gradient_is_turned_and_matrices_have_their_own_products():
    w = backlit.tensor([[2.0, 1.0]], dtype="float64", requires_grad=True)
    (w * w).sum().backward()
    optimizer = optim.SGD([w], lr=0.1, momentum=0.9, maximize=True)
    assert list(map(str, see.update(optimizer, w).lines)) == [
        "g ← −g = −4",
        "v ← μ·v + g = 0.9·0 + (−4) = −4",
        "θ ← θ − lr·v = 2 − 0.1·(−4) = 2.4",
    ]
    seen = see.update(optim.Muon([w], lr=0.1, ns_steps=1), w)
    lines = list(map(str, seen.lines))
    assert "gram = x @ transpose(x) = 1" in lines
    assert "θ ← left·θ = 0.99·2 = 1.98" in lines
    x = (3.4445 - 4.775 + 2.0315) * 2 / math.sqrt(5)  # one step of Newton and Schulz by hand
    assert seen.lines[-1].value == pytest.approx(1.98 - 0.1 * x)


def test_what_a_rule_does_with_the_bias():
    w = backlit.tensor([2.0], dtype="float64", requires_grad=True)
    (w * w).sum().backward()
    seen = str(see.update(optim.RMSprop([w], lr=0.1, alpha=0.9), w))
    assert "its weights add up to 1 − 0.9¹ = 0.1: square corrected = 16; the rule does not" in seen
    optimizer = optim.Adagrad([w], initial_accumulator_value=1.0)
    assert not see.update(optimizer, w).averages  # a sum is no average


def test_how_a_whole_layer_prints_and_shows_itself():
    w = matrix("float64")
    seen = see.update(optim.Adam([w], lr=0.1), w)
    assert seen.index == (1, 0)  # where the gradient is largest
    assert "all 6 elements, by size:" in str(seen)
    (row,) = [r for r in seen.table().rows if r[0] == "step"]
    assert row[1:] == ["0.1", "0.1", "0.1", "−0.1"]
    page = seen._repr_html_()
    assert "θ ← θ − rate·m" in page
    assert page.count("<details>") >= 4
    with pytest.raises(ArgumentError, match="there are g, θ, step, m, v, got 'q'"):
        seen.element("q")


def test_updates_that_are_refused():
    w, other = matrix("float64"), backlit.tensor([1.0], requires_grad=True)
    with pytest.raises(ArgumentError, match=r"needs an optimizer of backlit\.optim, got Linear"):
        see.update(nn.Linear(2, 2), w)
    with pytest.raises(ArgumentError, match=r"one of the 1 of this optimizer, got float32\[1\]"):
        see.update(optim.SGD([w], 0.1), other)
    with pytest.raises(ArgumentError, match="got Linear; give one of its own: weight, bias"):
        see.update(optim.SGD([w], 0.1), nn.Linear(2, 2))
    with pytest.raises(ArgumentError, match=r"must have a gradient.*call loss\.backward\(\) first"):
        see.update(optim.SGD([other], 0.1), other)
    with pytest.raises(ArgumentError, match=r"LBFGS must have an update.*see.descend follows"):
        see.update(optim.LBFGS([w]), w)
    with pytest.raises(ArgumentError, match=r"a place in shape \(2, 3\), got \(2, 0\)"):
        see.update(optim.SGD([w], 0.1), w, (2, 0))


def test_a_twin_shares_nothing_and_keeps_common_counters():
    a, b = matrix("float32"), matrix("float32")
    optimizer = optim.Adam([a, b], lr=0.1)
    optimizer.step()
    twin, copies = twin_of(optimizer, {a: a.grad.numpy(), b: b.grad.numpy()})
    assert twin.state[copies[a]]["step"] is twin.state[copies[b]]["step"]
    before = a.numpy().copy()
    twin.step()
    np.testing.assert_array_equal(a.numpy(), before)
    optimizer.step()
    np.testing.assert_array_equal(a.numpy(), copies[a].numpy())


def test_a_report_knows_the_next_update_of_rules_whose_state_has_other_shapes():
    class Run:
        clip_norm = clip_value = None
        used: ClassVar[dict] = {}

    for rule in (optim.Adafactor, optim.NAdam, optim.Muon):
        w = matrix("float64")
        run = Run()
        run.optimizer = rule([w], lr=0.1)
        before = w.numpy().copy()
        found = _updates(run, {id(w): w.grad.numpy()})[id(w)]
        run.optimizer.step()
        np.testing.assert_allclose(found, w.numpy() - before, rtol=1e-12)


def test_averages_against_sums_of_weights():
    x = np.random.default_rng(0).normal(3, 1, 40)
    found = see.averages(x, [0.0, 0.5, 0.98])
    for beta in (0.0, 0.5, 0.98):
        for t in (1, 2, 17, 40):
            weights = (1 - beta) * beta ** np.arange(t - 1, -1, -1)
            assert found.plain[beta][t - 1] == pytest.approx(weights @ x[:t])
            assert found.corrected[beta][t - 1] == pytest.approx(weights @ x[:t] / weights.sum())
    assert len(str(found).splitlines()) == 14
    assert found._repr_html_().count('class="l"') == 12  # six lines, and six in the legend
    assert see.averages(backlit.tensor([1.0, 1.0])).corrected[0.9].tolist() == pytest.approx([1, 1])
    with pytest.raises(ArgumentError, match=r"beta must lie in \[0, 1\), got 1.5"):
        see.averages(x, 1.5)
    with pytest.raises(ArgumentError, match="averages: the series must be numbers, got 'abc'"):
        see.averages("abc")
    with pytest.raises(ArgumentError, match=r"numbers in a row, at least one, got shape \(0,\)"):
        see.averages([])
