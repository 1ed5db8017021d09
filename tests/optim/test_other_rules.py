"""The rules beside Adam and SGD against their formulas, written for one number or with NumPy."""

import math

import numpy as np
import pytest

import backlit as bl
from backlit import optim
from backlit.compiler.api import interpreter
from backlit.errors import ArgumentError, TraceError
from backlit.optim.line_search import Point, strong_wolfe

rng = np.random.default_rng(0)
GRADIENTS = (0.5, -1.0, 2.0, 0.25, -0.125, 3.0, -1.0, 0.5)


def leaf(data):
    return bl.tensor(data, dtype="float64", requires_grad=True)


def nadam(w, lr=2e-3, b1=0.9, b2=0.999, eps=1e-8, psi=4e-3):
    m = v = 0.0
    product = 1.0
    for t, g in enumerate(GRADIENTS, 1):
        mu, after = (b1 * (1 - 0.96 ** (k * psi) / 2) for k in (t, t + 1))
        product *= mu
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        ahead = after * m / (1 - product * after) + (1 - mu) * g / (1 - product)
        w -= lr * ahead / (math.sqrt(v / (1 - b2**t)) + eps)
        yield w


def radam(w, lr=1e-3, b1=0.9, b2=0.999, eps=1e-8):
    m = v = 0.0
    for t, g in enumerate(GRADIENTS, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        most = 2 / (1 - b2) - 1
        rho = most - 2 * t * b2**t / (1 - b2**t)
        step = lr * m / (1 - b1**t)
        if rho > 5:
            r = (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)
            step *= math.sqrt(r * (1 - b2**t)) / (math.sqrt(v) + eps)
        w -= step
        yield w


def adamax(w, lr=2e-3, b1=0.9, b2=0.999, eps=1e-8):
    m = u = 0.0
    for t, g in enumerate(GRADIENTS, 1):
        m, u = b1 * m + (1 - b1) * g, max(b2 * u, abs(g) + eps)
        w -= lr / (1 - b1**t) * m / u
        yield w


def lion(w, lr=1e-4, b1=0.9, b2=0.99, weight_decay=0.5):
    m = 0.0
    for g in GRADIENTS:
        w = w * (1 - lr * weight_decay) - lr * math.copysign(1, b1 * m + (1 - b1) * g)
        m = b2 * m + (1 - b2) * g
        yield w


def rprop(w, lr=1e-2):
    before, size = 0.0, lr
    for g in GRADIENTS:
        if g * before < 0:
            size, before = max(size / 2, 1e-6), 0.0
        else:
            size = min(size * (1.2 if g * before > 0 else 1), 50)
            w -= size * math.copysign(1, g)
            before = g
        yield w


def asgd(w, lr=1e-2, lambd=1e-4, alpha=0.75):
    eta = lr
    for t, g in enumerate(GRADIENTS, 1):
        w = (1 - lambd * eta) * w - eta * g
        eta = lr / (1 + lambd * lr * t) ** alpha
        yield w


@pytest.mark.parametrize(("cls", "formula", "settings"), [
    (optim.NAdam, nadam, {}), (optim.RAdam, radam, {}), (optim.Adamax, adamax, {}),
    (optim.Lion, lion, {"weight_decay": 0.5}), (optim.Rprop, rprop, {}), (optim.ASGD, asgd, {}),
])  # fmt: skip
def test_a_rule_is_its_formula(cls, formula, settings):
    w = leaf([1.0])
    opt = cls([w], **settings)
    for g, want in zip(GRADIENTS, formula(1.0), strict=True):
        w.grad = bl.tensor([g], dtype="float64")
        opt.step()
        assert w.item() == pytest.approx(want, rel=1e-12)


def test_asgd_keeps_the_average_from_a_step_on():
    w = leaf([1.0])
    opt = optim.ASGD([w], lr=0.1, lambd=0.0, t0=1)
    values = []
    for g in GRADIENTS[:4]:
        w.grad = bl.tensor([g], dtype="float64")
        opt.step()
        values.append(w.item())
    # μ is 1 for the first three steps (t - t₀ ≤ 1 before each), then 1/2.
    average = values[2] + (values[3] - values[2]) / 2
    assert opt.state[w]["ax"].item() == pytest.approx(average, rel=1e-14)


def whole(cls, arrays, steps, **settings):
    """The parameters after steps with given gradients."""
    ps = [leaf(a) for a in arrays]
    opt = cls(ps, **settings)
    for grads in steps:
        for p, g in zip(ps, grads, strict=True):
            p.grad = bl.tensor(g, dtype="float64")
        opt.step()
    return [p.numpy() for p in ps]


SHAPES = [(4, 3), (5,), (2, 3, 2)]
STARTS = [rng.normal(size=s) for s in SHAPES]
STEPS = [[rng.normal(size=s) for s in SHAPES] for _ in range(3)]


def test_lars_scales_each_parameter_by_its_norms():
    got = whole(optim.LARS, STARTS, STEPS, lr=0.5, weight_decay=0.1, trust_coefficient=0.02)
    for p, start, grads in zip(got, STARTS, zip(*STEPS, strict=True), strict=True):
        w, v = start, 0.0
        for g in grads:
            size, slope = np.linalg.norm(w.ravel()), np.linalg.norm(g.ravel())
            v = 0.9 * v + 0.5 * 0.02 * size / (slope + 0.1 * size) * (g + 0.1 * w)
            w = w - v
        np.testing.assert_allclose(p, w, rtol=1e-12)
    assert whole(optim.LARS, [np.zeros(2)], [[np.ones(2)]], lr=0.1)[0].tolist() == [-0.1, -0.1]


def test_lamb_steps_by_the_norm_of_the_parameter():
    got = whole(optim.LAMB, STARTS, STEPS, lr=0.1, weight_decay=0.1)
    for p, start, grads in zip(got, STARTS, zip(*STEPS, strict=True), strict=True):
        w, m, v = start, 0.0, 0.0
        for t, g in enumerate(grads, 1):
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            u = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-6) + 0.1 * w
            w = w - 0.1 * np.linalg.norm(w.ravel()) / np.linalg.norm(u.ravel()) * u
        np.testing.assert_allclose(p, w, rtol=1e-12)


def test_adafactor_keeps_rows_and_columns():
    got = whole(optim.Adafactor, STARTS, STEPS, lr=0.1, eps=(1e-4, 1e-3))
    for p, start, grads in zip(got, STARTS, zip(*STEPS, strict=True), strict=True):
        w, rows, columns, square = start, 0.0, 0.0, 0.0
        for t, g in enumerate(grads, 1):
            weight, size = t**-0.8, max(1e-3, np.sqrt((w * w).mean())) * min(0.1, t**-0.5)
            if w.ndim > 1:
                rows = rows + weight * ((g * g).mean(-1) - rows)
                columns = columns + weight * ((g * g).mean(-2) - columns)
                outer = np.einsum("...r,...c->...rc", rows, columns)
                square = outer / rows.mean(-1)[..., None, None]
            else:
                square = square + weight * (g * g - square)
            u = g / np.sqrt(square)
            w = w - size * u / max(1, np.sqrt((u * u).mean()))
        np.testing.assert_allclose(p, w, rtol=1e-10)


def test_muon_steps_in_all_directions_at_about_one_size():
    for shape in ((6, 3), (3, 6)):
        start, g = rng.normal(size=shape), rng.normal(size=shape)
        (w,) = whole(optim.Muon, [start], [[g]], lr=0.1, weight_decay=0.0)
        u, s, vt = np.linalg.svd((start - w) / 0.1, full_matrices=False)
        assert s.min() > 0.6 * max(1, shape[0] / shape[1]) ** 0.5
        assert s.max() < 1.3 * max(1, shape[0] / shape[1]) ** 0.5
        left, _, right = np.linalg.svd(g, full_matrices=False)
        assert np.trace((u @ vt).T @ left @ right) == pytest.approx(3, abs=0.01)
    matrix = leaf(np.ones((2, 2)))
    opt = optim.Muon([matrix], ns_steps=2)
    step = bl.compile(opt.step, executor=interpreter)
    matrix.grad = bl.ones((2, 2), dtype="float64")
    step()
    assert opt.state_dict()["param_groups"][0]["ns_coefficients"] == (3.4445, -4.775, 2.0315)
    for wrong, text in (
        ({"ns_steps": 2.5}, r"Muon: ns_steps must be an integer in \[0, 100\), got 2.5"),
        ({"ns_coefficients": (1, 2)}, r"Muon: ns_coefficients must be 3 numbers, got \(1, 2\)"),
        ({"adjust_lr_fn": "x"}, "Muon: adjust_lr_fn must be None, 'original' or 'match_rms_adamw'"),
    ):
        with pytest.raises(ArgumentError, match=text):
            optim.Muon([matrix], **wrong)
    with pytest.raises(ArgumentError, match=r"Muon: a parameter must have 2 axes, got shape"):
        optim.Muon([leaf([1.0, 2.0])])


# -- L-BFGS ---------------------------------------------------------------------------------------


def closure_of(opt, loss, calls=None):
    def closure():
        opt.zero_grad()
        value = loss()
        value.backward()
        if calls is not None:
            calls.append(value.item())
        return value

    return closure


def test_lbfgs_solves_a_quadratic_in_as_many_steps_as_it_has_axes():
    matrix = rng.normal(size=(4, 4))
    matrix = bl.tensor(matrix @ matrix.T + np.eye(4))
    b = bl.tensor(rng.normal(size=4))
    w = leaf(np.zeros(4))
    opt = optim.LBFGS([w], line_search_fn="strong_wolfe", max_iter=100, tolerance_change=1e-14)
    opt.step(closure_of(opt, lambda: w @ (matrix @ w) / 2 - b @ w))
    np.testing.assert_allclose(w.numpy(), np.linalg.solve(matrix.numpy(), b.numpy()), rtol=1e-6)
    assert opt.state[w]["n_iter"] < 20


def test_lbfgs_steps_along_the_inverse_hessian_of_the_last_step():
    """H = (I - ρ s yᵀ) γ (I - ρ y sᵀ) + ρ s sᵀ, γ = sᵀy / yᵀy, written out."""
    curvature = np.array([1.0, 10.0, 3.0])
    w = leaf([1.0, 1.0, -2.0])
    opt = optim.LBFGS([w], lr=0.5, max_iter=2, max_eval=9)
    opt.step(closure_of(opt, lambda: (bl.tensor(curvature) * w * w).sum() / 2))
    start = np.array([1.0, 1.0, -2.0])
    g = curvature * start
    s = -0.5 * min(1, 1 / np.abs(g).sum()) * g
    y = curvature * s
    rho = 1 / (s @ y)
    side = np.eye(3) - rho * np.outer(s, y)
    inverse = side @ side.T * (s @ y) / (y @ y) + rho * np.outer(s, s)
    place = start + s
    np.testing.assert_allclose(w.numpy(), place - 0.5 * inverse @ (curvature * place), rtol=1e-10)


@pytest.mark.parametrize("t", [1e-3, 0.1, 1.0, 10.0, 30.0])
def test_a_line_search_ends_where_the_strong_wolfe_conditions_hold(t):
    """On functions of one number with a far, a flat and several minima."""
    for f, slope in (
        (lambda t: -t / (t * t + 2), lambda t: (t * t - 2) / (t * t + 2) ** 2),
        (lambda t: (t - 3) ** 4, lambda t: 4 * (t - 3) ** 3),
        (lambda t: t * t - 20 * t, lambda t: 2 * t - 20),
        (lambda t: math.sin(3 * t) + (t - 4) ** 2, lambda t: 3 * math.cos(3 * t) + 2 * (t - 4)),
    ):
        start = Point(0.0, f(0.0), None, slope(0.0))
        found, count = strong_wolfe(
            lambda t, f=f, slope=slope: Point(t, f(t), None, slope(t)),
            start, t, width=1.0, limit=25, tolerance=1e-9, c2=0.1,
        )  # fmt: skip
        assert found.value <= start.value + 1e-4 * found.t * start.slope
        assert abs(found.slope) <= 0.1 * abs(start.slope)
        assert count <= 12


def test_lbfgs_finds_the_end_of_rosenbrocks_valley_and_goes_on_from_a_state():
    def make():
        w = leaf([-1.2, 1.0])
        opt = optim.LBFGS([w], line_search_fn="strong_wolfe", history_size=5, max_iter=4)
        return w, opt, closure_of(opt, lambda: (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2)

    w, opt, closure = make()
    first = [opt.step(closure).item() for _ in range(3)]
    assert first == sorted(first, reverse=True)
    v, twin, other = make()
    v.assign(w.numpy())
    twin.load_state_dict(opt.state_dict())
    for _ in range(10):
        assert opt.step(closure).item() == twin.step(other).item()
    assert w.tolist() == v.tolist() == pytest.approx([1.0, 1.0], abs=1e-4)


def test_lbfgs_calls_a_compiled_closure_and_counts():
    w, idle = leaf([4.0, -2.0]), leaf([1.0])
    opt, calls = optim.LBFGS([w, idle], lr=0.1, max_iter=5), []

    @bl.compile(executor=interpreter)
    def evaluate():
        w.grad = None
        loss = ((w - 1) ** 2).sum()
        loss.backward()
        return loss

    def closure():
        calls.append(1)
        return evaluate()

    before = opt.step(closure).item()
    assert before == 18.0
    assert len(calls) == opt.state[w]["func_evals"] == 5
    assert evaluate().item() < 18.0
    assert idle.tolist() == [1.0]


def test_lbfgs_says_what_it_needs():
    w = leaf([1.0])
    opt = optim.LBFGS([w])
    with pytest.raises(ArgumentError, match=r"LBFGS.step: a closure that computes the loss"):
        opt.step()
    with pytest.raises(ArgumentError, match="LBFGS: there is one group of parameters"):
        optim.LBFGS([{"params": [w]}, {"params": [leaf([2.0])]}])
    with pytest.raises(ArgumentError, match="LBFGS: max_iter must be an integer from 1, got 0"):
        optim.LBFGS([w], max_iter=0)
    with pytest.raises(ArgumentError, match="line_search_fn must be None or 'strong_wolfe'"):
        optim.LBFGS([w], line_search_fn="x")
    with pytest.raises(TraceError, match=r"LBFGS.step: whether to go on is decided by values"):
        bl.compile(lambda: opt.step(closure_of(opt, lambda: (w * w).sum())))()
