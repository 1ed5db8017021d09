"""Each update rule against its paper, and what all optimizers have in common."""

import copy
import functools
import json
import math
import operator
from fractions import Fraction as Q

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.compiler.api import interpreter, native
from backlit.errors import ArgumentError, DTypeError, ShapeError, TraceError
from backlit.optim import (
    ASGD,
    LAMB,
    LARS,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
    Rprop,
    eager_step,
)

compiled = functools.partial(bl.compile, executor=interpreter)
GRADIENTS = (0.5, -1.0, 2.0)


def leaf(data, dtype="float64"):
    return bl.tensor(data, dtype=dtype, requires_grad=True)


def three_steps(make, start=1.0, gradients=GRADIENTS, **settings):
    """The values of one number after each of three steps with given gradients."""
    w = leaf([start])
    opt = make([w], **settings)
    values = []
    for g in gradients:
        w.grad = bl.tensor([g], dtype="float64")
        opt.step()
        values.append(w.tolist()[0])
    return values


def close(got, want):
    assert got == pytest.approx([float(x) for x in want], rel=1e-14, abs=1e-15)


# -- three steps by hand ----------------------------------------------------------------------


def test_sgd_three_steps():
    # 1 - 0.1 (0.5) = 0.95;  0.95 + 0.1 = 1.05;  1.05 - 0.2 = 0.85
    close(three_steps(SGD, lr=0.1), [0.95, 1.05, 0.85])


def test_sgd_momentum_three_steps():
    # v: 0.5, 0.9·0.5 - 1 = -0.55, 0.9·(-0.55) + 2 = 1.505
    close(three_steps(SGD, lr=0.1, momentum=0.9), [0.95, 1.005, 0.8545])


def test_sgd_dampening_spares_the_first_step():
    # v: 0.5, 0.9·0.5 - 0.75 = -0.3, 0.9·(-0.3) + 1.5 = 1.23
    close(three_steps(SGD, lr=0.1, momentum=0.9, dampening=0.25), [0.95, 0.98, 0.857])


def test_sgd_nesterov_three_steps():
    # v as with momentum; steps g + 0.9 v: 0.95, -1.495, 3.3545
    close(three_steps(SGD, lr=0.1, momentum=0.9, nesterov=True), [0.905, 1.0545, 0.71905])


def test_sgd_weight_decay_is_added_to_the_gradient():
    # g + θ/2: 1 -> 1.0;  -1 + 0.45 = -0.55;  2 + 0.4775 = 2.4775
    close(three_steps(SGD, lr=0.1, weight_decay=0.5), [0.9, 0.955, 0.70725])


def test_sgd_averaged_three_steps():
    # V = 0.5 V + 0.5 g from 0: 0.25, -0.375, 0.8125
    close(three_steps(SGD, lr=0.1, momentum=0.5, averaged=True), [0.975, 1.0125, 0.93125])


def test_sgd_averaged_nesterov_three_steps():
    # 0.5 g + 0.5 V: 0.375, -0.6875, 1.40625
    got = three_steps(SGD, lr=0.1, momentum=0.5, averaged=True, nesterov=True)
    close(got, [0.9625, 1.03125, 0.890625])


def test_sgd_average_and_sum_are_one_method_with_rates_that_differ_by_one_minus_beta():
    for nesterov in (False, True):
        average = three_steps(SGD, lr=0.4, momentum=0.75, averaged=True, nesterov=nesterov)
        plain = three_steps(SGD, lr=0.1, momentum=0.75, nesterov=nesterov)
        assert average == pytest.approx(plain, rel=1e-14)


def test_adam_three_steps():
    a, b1, b2, eps = 0.1, 0.9, 0.999, 1e-8
    w, m, v, want = 1.0, 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        w -= a * (m / (1 - b1**t)) / (math.sqrt(v / (1 - b2**t)) + eps)
        want.append(w)
    close(three_steps(Adam, lr=0.1), want)
    # The first step is lr whatever the gradient; then m̂ = -0.55/1.9, v̂ = 1.2495/1.999 and so on.
    assert want[0] == pytest.approx(0.9, abs=1e-8)
    m_hat, v_hat = -0.055 / 0.19, 0.00124975 / 0.001999
    assert want[1] == pytest.approx(0.9 - 0.1 * m_hat / math.sqrt(v_hat), abs=1e-8)


def test_adam_exact_squares():
    # β₂ = 0: v̂ = g², so the step is m̂ / |g|; β₁ = 1/2: m̂ = 1/2, -1/2, 1.
    m, want, w = Q(0), [], Q(1)
    for t, g in enumerate((Q(1, 2), Q(-1), Q(2)), 1):
        m = (m + g) / 2
        w -= Q(1, 10) * m / (1 - Q(1, 2) ** t) / abs(g)
        want.append(w)
    assert want == [Q(9, 10), Q(9, 10) + Q(1, 20), Q(9, 10) + Q(1, 20) - Q(1, 10) * Q(13, 28)]
    close(three_steps(Adam, lr=0.1, betas=(0.5, 0.0), eps=0.0), want)


def test_adam_weight_decay_three_steps():
    a, b1, b2, eps, decay = 0.1, 0.8, 0.9, 1e-3, 0.5
    w, m, v, want = 1.0, 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS, 1):
        g = g + decay * w
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        w -= a * (m / (1 - b1**t)) / (math.sqrt(v / (1 - b2**t)) + eps)
        want.append(w)
    close(three_steps(Adam, lr=a, betas=(b1, b2), eps=eps, weight_decay=decay), want)


def test_adam_amsgrad_keeps_the_largest_second_moment():
    a, b1, b2, eps = 0.1, 0.5, 0.5, 1e-3
    gradients = (4.0, 0.5, 0.25)  # shrinking, so that the largest v matters
    w, m, v, top, want = 1.0, 0.0, 0.0, 0.0, []
    for t, g in enumerate(gradients, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        top = max(top, v)
        w -= a * (m / (1 - b1**t)) / (math.sqrt(top / (1 - b2**t)) + eps)
        want.append(w)
    got = three_steps(Adam, gradients=gradients, lr=a, betas=(b1, b2), eps=eps, amsgrad=True)
    close(got, want)
    assert got != three_steps(Adam, gradients=gradients, lr=a, betas=(b1, b2), eps=eps)


def test_adamw_decays_apart_from_the_gradient():
    # A gradient of 0 leaves m at 0: each step is only θ ← (1 - 0.1·0.5) θ.
    close(
        three_steps(AdamW, gradients=(0, 0, 0), lr=0.1, weight_decay=0.5), [0.95, 0.9025, 0.857375]
    )
    a, b1, b2, eps, decay = 0.1, 0.9, 0.999, 1e-8, 0.01
    w, m, v, want = 1.0, 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS, 1):
        w -= a * decay * w
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        w -= a * (m / (1 - b1**t)) / (math.sqrt(v / (1 - b2**t)) + eps)
        want.append(w)
    close(three_steps(AdamW, lr=0.1), want)


def test_adamw_without_decay_is_adam():
    assert three_steps(AdamW, lr=0.1, weight_decay=0.0) == three_steps(Adam, lr=0.1)


def test_rmsprop_three_steps():
    # α = 3/4, ε = 0: s = 1/16, 19/64, 313/256
    s, w, want = Q(0), 1.0, []
    for g in (Q(1, 2), Q(-1), Q(2)):
        s = Q(3, 4) * s + Q(1, 4) * g * g
        w -= 0.1 * float(g) / math.sqrt(s)
        want.append(w)
    assert s == Q(313, 256)
    assert want[0] == pytest.approx(1 - 0.1 * 2)
    close(three_steps(RMSprop, lr=0.1, alpha=0.75, eps=0.0), want)


def test_rmsprop_centered_with_momentum_three_steps():
    a, alpha, eps, mu = 0.1, 0.75, 1e-2, 0.5
    w, s, mean, b, want = 1.0, 0.0, 0.0, 0.0, []
    for g in GRADIENTS:
        s = alpha * s + (1 - alpha) * g * g
        mean = alpha * mean + (1 - alpha) * g
        b = mu * b + g / (math.sqrt(s - mean * mean) + eps)
        w -= a * b
        want.append(w)
    close(three_steps(RMSprop, lr=a, alpha=alpha, eps=eps, momentum=mu, centered=True), want)


def test_rmsprop_centered_never_takes_the_root_of_a_negative_number():
    s = mean = 0.0  # a constant gradient has no variance: rounding takes it below 0
    for _ in range(60):
        s, mean = 0.5 * s + 0.5 * 0.7 * 0.7, 0.5 * mean + 0.5 * 0.7
    assert s - mean * mean < 0
    got = three_steps(RMSprop, gradients=(0.7,) * 60, alpha=0.5, eps=1.0, centered=True)
    assert all(map(math.isfinite, got))


def test_adagrad_three_steps():
    # sums of squares 1/4, 5/4, 21/4 from 0
    want = [1 - 0.1]
    want.append(want[-1] + 0.1 / math.sqrt(1.25))
    want.append(want[-1] - 0.2 / math.sqrt(5.25))
    close(three_steps(Adagrad, lr=0.1, eps=0.0), want)


def test_adagrad_rate_decay_and_initial_sum_three_steps():
    want = [1 - 0.1 * 0.5 / math.sqrt(1.0)]
    want.append(want[-1] + 0.1 / (1 + 0.5) / math.sqrt(2.0))
    want.append(want[-1] - 0.2 / (1 + 1.0) / math.sqrt(6.0))
    got = three_steps(Adagrad, lr=0.1, eps=0.0, lr_decay=0.5, initial_accumulator_value=0.75)
    close(got, want)


def test_adadelta_three_steps():
    rho, eps = 0.5, 0.25
    w, s, u, want = 1.0, 0.0, 0.0, []
    for g in GRADIENTS:
        s = rho * s + (1 - rho) * g * g
        d = g * math.sqrt(u + eps) / math.sqrt(s + eps)
        u = rho * u + (1 - rho) * d * d
        w -= d
        want.append(w)
    close(three_steps(Adadelta, rho=rho, eps=eps), want)
    assert want[0] == pytest.approx(1 - 0.25 / math.sqrt(0.375))


@pytest.mark.parametrize("cls", [RMSprop, Adagrad, Adadelta])
def test_weight_decay_is_added_to_the_gradient(cls):
    w = leaf([2.0])
    opt = cls([w], lr=0.1, weight_decay=0.5)
    w.grad = bl.tensor([1.0], dtype="float64")
    opt.step()
    v = leaf([2.0])
    other = cls([v], lr=0.1)
    v.grad = bl.tensor([2.0], dtype="float64")
    other.step()
    assert w.tolist() == v.tolist()


# -- all of them ------------------------------------------------------------------------------

EVERY = [
    (SGD, {}),
    (SGD, {"momentum": 0.9}),
    (SGD, {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01}),
    (SGD, {"momentum": 0.9, "nesterov": True}),
    (SGD, {"momentum": 0.9, "averaged": True}),
    (RMSprop, {}),
    (RMSprop, {"momentum": 0.9, "centered": True, "weight_decay": 0.01}),
    (Adam, {}),
    (Adam, {"amsgrad": True, "weight_decay": 0.01}),
    (AdamW, {}),
    (Adagrad, {}),
    (Adagrad, {"lr_decay": 0.1, "weight_decay": 0.01, "initial_accumulator_value": 0.5}),
    (Adadelta, {}),
    (Adadelta, {"weight_decay": 0.01}),
]
#: Those of which some are slower, or want something else than a small rate.
OTHERS = [
    (NAdam, {"weight_decay": 0.01}),
    (RAdam, {"weight_decay": 0.01, "decoupled_weight_decay": True, "betas": (0.9, 0.9)}),
    (Adamax, {"maximize": True}),
    (Lion, {"weight_decay": 0.01}),
    (Rprop, {}),
    (ASGD, {"t0": 2, "weight_decay": 0.01}),
    (Adafactor, {"weight_decay": 0.01}),
    (LARS, {"weight_decay": 0.01}),
    (LAMB, {"weight_decay": 0.01}),
]
every = pytest.mark.parametrize(
    ("cls", "settings"),
    [*EVERY, *OTHERS],
    ids=[f"{c.__name__}-{'-'.join(s)}" for c, s in [*EVERY, *OTHERS]],
)
SHAPES = [(4, 3), (3,), (), (2, 1, 2)]


def params(dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return [bl.tensor(rng.normal(size=s).astype(dtype), requires_grad=True) for s in SHAPES]


def set_gradients(ps, seed):
    rng = np.random.default_rng(seed)
    for p in ps:
        p.grad = bl.tensor(rng.normal(size=p.shape).astype(p.dtype))


def bits(ps):
    return [(p.numpy().dtype, p.numpy().shape, p.numpy().tobytes()) for p in ps]


def run(opt, ps, steps, start=0):
    for i in range(start, start + steps):
        set_gradients(ps, i)
        opt.step()


def test_a_parameter_that_takes_the_place_of_another_in_a_group_is_stepped():
    old, new = (bl.tensor([1.0], requires_grad=True) for _ in range(2))
    optimizer = SGD([old], lr=0.25)
    for p in (old, new):
        p.grad = bl.tensor([1.0])
    optimizer.step()
    optimizer.param_groups[0]["params"][0] = new
    optimizer.step()
    assert (old.item(), new.item()) == (0.75, 0.75)


@every
def test_joined_parameters_get_the_bits_that_each_gets_alone(cls, settings, monkeypatch):
    together, alone = params(), params()
    run(cls(together, lr=0.01, **settings), together, 5)
    monkeypatch.setattr(eager_step, "JOINED_SIZE", 0)
    opt = cls(alone, lr=0.01, **settings)
    run(opt, alone, 5)
    assert all(not b.joined for _, part in opt._group_steps[0].parts for b in part)
    assert bits(together) == bits(alone)


@every
def test_captured_step_gives_the_bits_of_an_eager_step(cls, settings):
    eager, captured = params(), params()
    opt, twin = cls(eager, lr=0.01, **settings), cls(captured, lr=0.01, **settings)

    @compiled
    def step(*gradients):
        for p, g in zip(captured, gradients, strict=True):
            p.grad = g
        twin.step()

    for i in range(4):
        set_gradients(eager, i)
        opt.step()
        step(*[p.grad for p in eager])
    assert len(step.graphs) == 1
    assert bits(eager) == bits(captured)
    a, b = opt.state_dict(), twin.state_dict()
    assert a["param_groups"] == b["param_groups"]
    for i in a["state"]:
        assert bits(a["state"][i].values()) == bits(b["state"][i].values())


@every
def test_eager_and_captured_steps_may_alternate(cls, settings):
    eager, mixed = params(), params()
    opt, twin = cls(eager, lr=0.01, **settings), cls(mixed, lr=0.01, **settings)
    step = compiled(twin.step)
    for i in range(6):
        set_gradients(eager, i)
        set_gradients(mixed, i)
        opt.step()
        (step if i % 2 else twin.step)()
    assert bits(eager) == bits(mixed)


@every
def test_a_loaded_state_continues_to_the_same_bits(cls, settings):
    ps = params()
    opt = cls(ps, lr=0.01, **settings)
    run(opt, ps, 3)
    saved = opt.state_dict()
    copies = [bl.tensor(p.numpy(), requires_grad=True) for p in ps]
    run(opt, ps, 3, start=3)
    fresh = cls(copies, lr=0.5, **settings)
    fresh.load_state_dict(saved)
    run(fresh, copies, 3, start=3)
    assert bits(ps) == bits(copies)


@every
def test_gradients_stay_and_old_values_are_not_overwritten(cls, settings):
    ps = params()
    opt = cls(ps, lr=0.01, **settings)
    run(opt, ps, 1)
    snapshots = [p.numpy() for p in ps]
    kept = [{n: t.numpy() for n, t in s.items()} for s in opt.state.values()]
    before = [s.copy() for s in snapshots]
    state_before = [{n: a.copy() for n, a in s.items()} for s in kept]
    grads = [p.grad for p in ps]
    opt.step()
    assert all(p.grad is g for p, g in zip(ps, grads, strict=True))
    for old, same in zip(snapshots, before, strict=True):
        np.testing.assert_array_equal(old, same)
    for a, b in zip(kept, state_before, strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


@every
def test_sixteen_bit_parameters_are_updated_in_float32(cls, settings):
    start = np.random.default_rng(0).normal(size=5)
    p = bl.tensor(start, dtype="bfloat16", requires_grad=True)
    wide = bl.tensor(p.astype("float32").numpy(), requires_grad=True)
    opt, twin = cls([p], lr=0.1, **settings), cls([wide], lr=0.1, **settings)
    p.grad = bl.tensor([1.0, 2.0, -3.0, 0.5, 1e-3], dtype="bfloat16")
    wide.grad = p.grad.astype("float32")
    opt.step()
    twin.step()
    assert p.dtype == bl.bfloat16
    assert p.tolist() == wide.astype("bfloat16").tolist()
    for name, t in opt.state[p].items():
        assert t.dtype == (bl.float64 if name == "step" else bl.float32)


def test_a_parameter_without_a_gradient_is_left_alone():
    a, b = leaf([1.0]), leaf([1.0])
    opt = Adam([a, b], lr=0.1)
    a.grad = bl.tensor([1.0], dtype="float64")
    opt.step()
    assert b.tolist() == [1.0]
    assert b not in opt.state


def test_a_parameter_that_starts_later_counts_its_own_steps():
    a, b = leaf([1.0]), leaf([1.0])
    opt = Adam([a, b], lr=0.1)
    a.grad = bl.tensor([1.0], dtype="float64")
    opt.step()
    b.grad = bl.tensor([1.0], dtype="float64")
    opt.step()
    assert [float(opt.state[p]["step"]) for p in (a, b)] == [2.0, 1.0]
    alone = leaf([1.0])
    other = Adam([alone], lr=0.1)
    alone.grad = b.grad
    other.step()
    assert b.tolist() == alone.tolist()


def test_groups_have_settings_of_their_own():
    a, b = leaf([1.0]), leaf([1.0])
    opt = SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    a.grad = b.grad = bl.tensor([1.0], dtype="float64")
    opt.step()
    assert (a.tolist(), b.tolist()) == ([0.9], [0.5])


def test_add_param_group_while_training():
    a, b = leaf([1.0]), leaf([1.0])
    opt = SGD([a], lr=0.1, momentum=0.5)
    a.grad = b.grad = bl.tensor([1.0], dtype="float64")
    opt.step()
    opt.add_param_group({"params": [b], "lr": 1.0})
    opt.step()
    assert b.tolist() == [0.0]
    assert float(opt.param_groups[1]["momentum"]) == 0.5


def test_zero_grad_forgets_or_zeroes():
    w = leaf([1.0])
    opt = SGD([w], lr=0.1)
    w.grad = bl.tensor([math.nan], dtype="float64")
    opt.zero_grad(set_to_none=False)
    assert w.grad.tolist() == [0.0]
    opt.zero_grad()
    assert w.grad is None
    opt.zero_grad(set_to_none=False)
    assert w.grad is None


def test_the_tape_keeps_the_values_it_used():
    w = leaf([1.0])
    opt = SGD([w], lr=0.1)
    loss = (w * w).sum()
    loss.backward(retain_graph=True)
    opt.step()
    w.grad = None
    loss.backward()
    assert w.grad.tolist() == [2.0]


def test_step_puts_nothing_on_the_tape():
    w = leaf([1.0])
    opt = Adam([w], lr=0.1)
    (w * w).sum().backward(create_graph=True)
    opt.step()
    assert w.is_leaf
    assert not any(t.requires_grad for t in opt.state[w].values())


def test_numbers_of_a_group_are_those_of_the_moment():
    opt = Adam([leaf([1.0])], lr=0.1)
    group = opt.param_groups[0]
    lr, betas = group["lr"], group["betas"]
    log = [group["lr"]]
    group["lr"] = 0.5
    log.append(group["lr"])
    group["lr"] *= 0.5
    log.append(group["lr"])
    group["lr"] = group["lr"] * 0.5
    group["betas"] = [0.5, 0.75]
    group |= {"eps": 1e-2}
    assert group is opt.param_groups[0]
    assert group["eps"] == group.tensors()["eps"].item() == 1e-2
    group.update(eps=1e-3)
    assert (lr, betas) == (0.1, (0.9, 0.999))
    assert log == [0.1, 0.5, 0.25]
    assert (group["lr"], group["betas"], group["eps"]) == (0.125, (0.5, 0.75), 1e-3)
    assert f"{group['lr']:.2f}" == "0.12"


def is_plain(value):
    if isinstance(value, tuple):
        return all(map(is_plain, value))
    return type(value) in (float, bool)


@pytest.mark.parametrize("make", [SGD, RMSprop, Adam, AdamW, Adagrad, Adadelta])
def test_a_group_is_a_dict_of_numbers(make):
    w = leaf([1.0])
    opt = make([w], lr=1)
    group = opt.param_groups[0]
    group["note"] = "mine"
    want = {**opt.defaults, "params": [w], "note": "mine"}
    assert isinstance(group, dict)
    assert type(group["lr"]) is float
    for copied in (dict(group), {**group}, group.copy(), copy.copy(group), group | {}, {} | group):
        assert type(copied) is dict
        assert copied == want
    assert dict(zip(group.keys(), group.values(), strict=True)) == dict(group.items()) == want
    assert group == want
    assert repr(group) == repr(dict(group))
    assert (len(group), set(group)) == (len(want), set(want))
    assert group.get("lr") == 1.0
    assert group.get("rate", 7) == 7
    assert group.setdefault("lr", 7.0) == 1.0
    assert group.setdefault("rate", 7.0) == group.pop("rate") == 7.0
    assert "rate" not in group
    numbers = {k: v for k, v in group.items() if k not in ("params", "note")}
    assert all(map(is_plain, numbers.values()))
    text = json.dumps(numbers)
    assert json.loads(text) == json.loads(json.dumps(opt.defaults)) | {"lr": 1.0}


def test_what_an_optimizer_needs_stays_in_its_group():
    group = SGD([leaf([1.0])], lr=0.1).param_groups[0]
    for remove in (lambda: group.pop("lr"), lambda: group.pop("params"), group.clear):
        with pytest.raises(ArgumentError, match=r"parameter group: (lr|params) belongs to the opt"):
            remove()
    with pytest.raises(ArgumentError, match="parameter group: momentum belongs to the optimizer"):
        del group["momentum"]
    assert group["lr"] == 0.1


def test_a_copied_group_keeps_its_numbers():
    opt = SGD([leaf([1.0])], lr=0.1)
    group = opt.param_groups[0]
    kept, deep = group.copy(), copy.deepcopy(opt.param_groups)
    group["lr"] = 0.5
    assert kept["lr"] == deep[0]["lr"] == 0.1
    deep[0]["lr"] = 0.2
    assert group["lr"] == 0.5


def test_a_copied_optimizer_holds_the_copied_parameters():
    bl.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    opt = Adam(
        [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[2].parameters()}], lr=0.01
    )
    x = bl.tensor([[0.5, -1.0, 2.0]])

    def train(model, opt, steps):
        for _ in range(steps):
            opt.zero_grad()
            (model(x) ** 2).sum().backward()
            opt.step()

    train(model, opt, 3)
    twin, opt_twin = copy.deepcopy((model, opt))
    held = [p for g in opt_twin.param_groups for p in g["params"]]
    assert all(map(operator.is_, held, twin.parameters()))
    assert [g.plain() for g in opt_twin.param_groups] == [g.plain() for g in opt.param_groups]
    before = bits(list(model.parameters()))
    opt_twin.param_groups[0]["lr"] = 0.5
    train(twin, opt_twin, 2)
    assert opt.param_groups[0]["lr"] == 0.1
    assert bits(list(model.parameters())) == before
    opt.param_groups[0]["lr"] = 0.5
    train(model, opt, 2)
    assert bits(list(model.parameters())) == bits(list(twin.parameters()))
    with pytest.raises(ArgumentError, match="lr must lie in"):
        opt_twin.param_groups[0]["lr"] = -1.0


@pytest.mark.parametrize("make", [SGD, RMSprop, Adam, AdamW, Adagrad, Adadelta])
def test_an_optimizer_copied_alone_goes_on_as_the_original(make):
    values = params()
    opt = make(values, lr=0.01)
    run(opt, values, 2)
    twin = copy.deepcopy(opt)
    others = [p for g in twin.param_groups for p in g["params"]]
    run(opt, values, 2)
    run(twin, others, 2)
    assert bits(values) == bits(others)
    assert twin.state.keys() == set(others)


def test_the_state_of_a_parameter_that_has_none_is_empty():
    w = leaf([1.0])
    opt = SGD([w], lr=0.1, momentum=0.9)
    assert opt.state[w] == {}
    saved = opt.state_dict()
    assert saved["state"] == {}
    w.grad = bl.tensor([1.0], dtype="float64")
    opt.step()
    assert set(opt.state[w]) == {"step", "momentum_buffer"}
    fresh = SGD([w], lr=0.1, momentum=0.9)
    assert fresh.state[w] == {}
    fresh.load_state_dict(opt.state_dict())
    assert fresh.state[w]["momentum_buffer"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("name", "value"), [("lr", 0.25), ("momentum", 0.5), ("weight_decay", 0.5)]
)
def test_a_captured_step_follows_changed_numbers(name, value):
    eager, captured = params(), params()
    settings = {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1}
    opt, twin = SGD(eager, **settings), SGD(captured, **settings)
    step = compiled(twin.step)
    for i in range(4):
        set_gradients(eager, i)
        set_gradients(captured, i)
        if i == 2:
            opt.param_groups[0][name] = twin.param_groups[0][name] = value
        opt.step()
        step()
    assert len(step.graphs) == 1
    assert bits(eager) == bits(captured)


def test_an_eager_step_follows_a_term_that_is_switched_on():
    w = leaf([2.0])
    opt = SGD([w], lr=0.1)
    w.grad = bl.tensor([0.0], dtype="float64")
    opt.param_groups[0]["weight_decay"] = 0.5
    opt.step()
    assert w.tolist() == [1.9]


def test_a_captured_step_follows_a_term_that_is_switched_on():
    w = leaf([2.0])
    opt = SGD([w], lr=0.1)
    w.grad = bl.tensor([0.0], dtype="float64")
    step = compiled(opt.step)
    step()
    opt.param_groups[0]["weight_decay"] = 0.5
    step()
    assert w.tolist() == [1.9]
    assert len(step.graphs) == 2


def test_a_tensor_may_set_the_rate_inside_a_captured_function():
    w = leaf([1.0])
    opt = SGD([w], lr=0.1)
    w.grad = bl.tensor([1.0], dtype="float64")

    @compiled
    def step(rate):
        opt.param_groups[0]["lr"] = rate
        opt.step()

    step(bl.tensor(0.5))
    step(bl.tensor(0.25))
    assert w.tolist() == [0.25]
    assert float(opt.param_groups[0]["lr"]) == 0.25
    opt.step()
    assert w.tolist() == [0.0]
    opt.param_groups[0]["lr"] = bl.tensor(1.0)
    opt.step()
    assert w.tolist() == [-1.0]
    with pytest.raises(ArgumentError, match=r"lr must lie in \[0, inf\), got -1.0"):
        opt.param_groups[0]["lr"] = bl.tensor(-1.0)


@pytest.mark.parametrize("executor", [interpreter, native])
def test_a_rate_that_a_captured_function_reads_is_that_of_the_call(executor):
    w = bl.tensor([1.0], requires_grad=True)  # float32, which a float64 rate would widen
    opt = Adam([w], lr=0.5)
    group = opt.param_groups[0]

    @bl.compile(executor=executor)
    def step(x):
        rate = opt.param_groups[0]["lr"] if group["lr"] > 0.2 else 0.0
        loss = (w * x).sum() * rate + group["betas"][0]
        return loss, rate, dict(group)["eps"]

    for rate, beta in ((0.5, 0.9), (0.25, 0.9), (0.5, 0.9), (0.1, 0.9), (0.25, 0.5)):
        group["lr"] = rate
        group["betas"] = (beta, 0.999)
        loss, seen, eps = step(bl.tensor([2.0]))
        used = rate if rate > 0.2 else 0.0
        assert (loss.dtype, float(loss)) == ("float32", pytest.approx(2 * used + beta))
        assert (type(seen), seen, eps) == (float, used, 1e-8)
    assert len(step.graphs) == 4  # the first was found again
    assert float(step.repeat(3, bl.tensor([2.0]))[0]) == 1.0
    group["lr"] = 0.75
    assert float(step.repeat(3, bl.tensor([2.0]))[0]) == 2.0
    assert step.epoch([[0], [1]], bl.tensor([2.0, 4.0]))[0].tolist() == [2.0, 3.5]
    group["lr"] = 0.5
    assert step.epoch([[0], [1]], bl.tensor([2.0, 4.0]))[0].tolist() == [1.5, 2.5]


def change(group):
    group["lr"] *= 0.5


def read_after(group):
    group["lr"] = 0.5
    return group["lr"]


@pytest.mark.parametrize("function", [change, read_after])
def test_a_captured_function_does_not_both_read_and_change_a_rate(function):
    group = SGD([leaf([1.0])], lr=0.5).param_groups[0]
    text = "compile: a captured function cannot both read and change the optimizer's lr, because"
    with pytest.raises(TraceError, match=text):
        compiled(lambda: function(group))()
    assert group["lr"] == 0.5


def test_a_step_after_step_between_which_rates_are_changed_is_captured_once():
    ours, others = params(), params()
    opt, twin = Adam(ours, lr=0.01), Adam(others, lr=0.01)
    step = bl.compile(twin.step)
    for i in range(4):
        set_gradients(ours, i)
        set_gradients(others, i)
        opt.step()
        step()
        for o in (opt, twin):
            for group in o.param_groups:
                group["lr"] *= 0.5
                group["eps"] = group["eps"] * 2
                group["betas"] = (group["betas"][0] * 0.9, group["betas"][1])
    assert len(step.graphs) == 1
    for a, b in zip(ours, others, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-13)


def test_a_captured_step_survives_load_state_dict():
    a, b = params(), params()
    opt, twin = Adam(a, lr=0.01), Adam(b, lr=0.01)
    step = compiled(twin.step)
    run(opt, a, 3)
    for i in (7, 8):
        set_gradients(b, i)
        step()
    twin.load_state_dict(opt.state_dict())
    for p, q in zip(a, b, strict=True):
        q.assign(p)
    for i in (3, 4):
        set_gradients(a, i)
        set_gradients(b, i)
        opt.step()
        step()
    assert len(step.graphs) == 1
    assert bits(a) == bits(b)


def test_a_captured_step_is_captured_again_when_loaded_counters_are_shared_otherwise():
    a, b = params(), params()
    opt, twin = Adam(a, lr=0.01), Adam(b, lr=0.01)
    set_gradients(a, 0)
    a[0].grad = None
    opt.step()
    run(opt, a, 1)  # now the first parameter counts apart
    step = compiled(twin.step)
    set_gradients(b, 5)
    step()
    twin.load_state_dict(opt.state_dict())
    for p, q in zip(a, b, strict=True):
        q.assign(p)
    set_gradients(a, 3)
    set_gradients(b, 3)
    opt.step()
    step()
    assert len(step.graphs) == 2
    assert bits(a) == bits(b)


def test_state_follows_a_parameter_that_was_cast():
    w = leaf([1.0, 2.0], "float32")
    opt = Adam([w], lr=0.1)
    w.grad = bl.tensor([1.0, 1.0])
    opt.step()
    w.array = w.array.astype("float64")
    w.grad = bl.tensor([1.0, 1.0], dtype="float64")
    compiled(opt.step)()
    assert w.dtype == opt.state[w]["exp_avg"].dtype == bl.float64
    assert w.tolist() == pytest.approx([0.8, 1.8], abs=1e-6)


def test_a_rule_of_ones_own_is_one_formula():
    class Signs(Optimizer):
        def update(self, xp, settings, numbers, parameter, grad):
            (lr,) = numbers
            return (parameter - lr * xp.sign(grad),)

    eager, captured = params(), params()
    opt, twin = Signs(eager, {"lr": 0.1}), Signs(captured, {"lr": 0.1})
    set_gradients(eager, 0)
    set_gradients(captured, 0)
    opt.step()
    compiled(twin.step)()
    assert bits(eager) == bits(captured)
    assert all(not b.joined for _, part in opt._group_steps[0].parts for b in part)


def test_an_optimizer_without_a_rule():
    w = leaf([1.0])
    w.grad = bl.tensor([1.0], dtype="float64")
    with pytest.raises(NotImplementedError, match=r"Optimizer\.update"):
        Optimizer([w], {"lr": 0.1}).step()


def test_repr_lists_groups():
    text = repr(Adam([leaf([[1.0, 2.0]]), leaf([1.0])], lr=0.1))
    assert text == (
        "Adam(\n  2 Tensors of 3 numbers: lr=0.1, betas=(0.9, 0.999), eps=1e-08, weight_decay=0, "
        "amsgrad=False, maximize=False, decoupled_weight_decay=False\n)"
    )


@pytest.mark.slow
def test_training_reaches_the_minimum():
    for cls, settings in EVERY:
        w = leaf([1.5, -1.0])
        rate = {Adagrad: 0.5, Adadelta: 5.0}.get(cls, 0.05)
        opt = cls([w], lr=rate, **settings)
        for _ in range(400):
            opt.zero_grad()
            ((w - bl.tensor([0.5, 0.25], dtype="float64")) ** 2).sum().backward()
            opt.step()
        decays = "weight_decay" in settings or cls is AdamW
        # RMSprop and Adadelta step by their rate however near they are.
        assert w.tolist() == pytest.approx([0.5, 0.25], abs=0.08 if not decays else 0.1), cls


# -- what PyTorch's loops do beside ----------------------------------------------------------------


def test_frozen_and_named_parameters_may_be_in_the_list():
    model = nn.Linear(2, 1)
    model.weight.requires_grad_(False)
    before = model.weight.tolist()
    opt = SGD(model.named_parameters(), lr=0.1, momentum=0.9, foreach=False, fused=None)
    model(bl.ones((1, 2))).sum().backward()
    bias = model.bias.tolist()
    opt.step()
    assert model.weight.tolist() == before
    assert model.bias.tolist() != bias
    assert list(opt.state) == [model.bias]
    with pytest.raises(ArgumentError, match="Adam: differentiable must be False, got True: a step"):
        Adam([leaf([1.0])], differentiable=True)


def test_a_closure_is_called_with_gradients_and_its_loss_returned():
    w = leaf([1.0])
    opt = SGD([w], lr=0.25)

    def closure():
        opt.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with bl.no_grad():
        assert opt.step(closure).item() == 1.0
    assert w.tolist() == [0.5]
    assert compiled(lambda: opt.step(closure))().item() == 0.25
    assert w.tolist() == [0.25]


def test_maximize_goes_up():
    for cls, settings in ((SGD, {"momentum": 0.5}), (Adam, {})):
        up = three_steps(cls, lr=0.1, maximize=True, **settings)
        down = three_steps(cls, lr=0.1, gradients=[-g for g in GRADIENTS], **settings)
        assert up == down
    w = leaf([1.0])
    opt = SGD([w], lr=0.1)
    saved = opt.state_dict()
    del saved["param_groups"][0]["maximize"]  # as files from before are
    opt.load_state_dict(saved)
    assert opt.param_groups[0]["maximize"] is False


# -- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "settings", "text"),
    [
        (SGD, {"lr": -1.0}, r"SGD: lr must lie in \[0, inf\), got -1\.0"),
        (SGD, {"lr": math.nan}, r"SGD: lr must lie in \[0, inf\), got nan"),
        (SGD, {"momentum": 1.0}, r"SGD: momentum must lie in \[0, 1\), got 1\.0"),
        (SGD, {"momentum": -0.1}, r"SGD: momentum must lie in \[0, 1\), got -0\.1"),
        (
            SGD,
            {"momentum": 0.9, "dampening": 1.5},
            r"SGD: dampening must lie in \[0, 1\), got 1\.5",
        ),
        (SGD, {"weight_decay": -1}, r"SGD: weight_decay must lie in \[0, inf\), got -1"),
        (SGD, {"nesterov": True}, "SGD: nesterov needs a momentum above 0, got 0"),
        (SGD, {"averaged": True}, "SGD: averaged needs a momentum above 0, got 0"),
        (
            SGD,
            {"nesterov": True, "momentum": 0.9, "dampening": 0.5},
            r"SGD: nesterov needs dampening=0, got 0\.5",
        ),
        (SGD, {"nesterov": 3}, "SGD: nesterov must be True or False, got 3"),
        (Adam, {"betas": (0.9, 1.0)}, r"Adam: betas must lie in \[0, 1\), got 1\.0"),
        (Adam, {"betas": 0.9}, r"Adam: betas must be 2 numbers, got 0\.9"),
        (Adam, {"betas": (0.9,)}, r"Adam: betas must be 2 numbers, got \(0\.9,\)"),
        (Adam, {"eps": -1e-8}, r"Adam: eps must lie in \[0, inf\), got -1e-08"),
        (RMSprop, {"alpha": 1.0}, r"RMSprop: alpha must lie in \[0, 1\), got 1\.0"),
        (Adadelta, {"rho": 1.5}, r"Adadelta: rho must lie in \[0, 1\), got 1\.5"),
        (Adagrad, {"lr_decay": -1.0}, r"Adagrad: lr_decay must lie in \[0, inf\), got -1\.0"),
        (SGD, {"maximize": 1}, "SGD: maximize must be True or False, got 1"),
        (Rprop, {"etas": (1.1, 1.2)}, r"Rprop: etas must lie below 1 and above 1, got \(1.1, 1.2"),
        (Adafactor, {"eps": (None, -1.0)}, r"Adafactor: eps must lie in \[0, inf\), got -1\.0"),
    ],
)
def test_settings_outside_their_range(cls, settings, text):
    with pytest.raises(ArgumentError, match=text):
        cls([leaf([1.0])], **settings)


def test_a_setting_that_is_no_number():
    with pytest.raises(DTypeError, match="Adam: lr must be a number, got 'fast'"):
        Adam([leaf([1.0])], lr="fast")


def test_a_group_checks_what_is_set():
    opt = SGD([leaf([1.0])], lr=0.1)
    with pytest.raises(ArgumentError, match=r"SGD: lr must lie in \[0, inf\), got -1"):
        opt.param_groups[0]["lr"] = -1
    assert float(opt.param_groups[0]["lr"]) == 0.1


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: SGD([]),
            ArgumentError,
            "SGD: parameters must not be empty, got none; a generator",
        ),
        (
            lambda: SGD([{"params": []}]),
            ArgumentError,
            "SGD: parameters must not be empty, got none; a generator, such as",
        ),
        (
            lambda: SGD([leaf([1.0]) * 2]),
            DTypeError,
            r"SGD: parameters must be leaf Tensors, got float64\[1\] computed by multiply; give "
            "what it was computed from",
        ),
        (
            lambda: SGD(["w"]),
            DTypeError,
            "SGD: parameters are Tensors, alone or in a list, got a text, 'w'; use model",
        ),
        (
            lambda: SGD([{"lr": 0.1}]),
            ArgumentError,
            "SGD: a group has 'params' and any of lr, .* got lr",
        ),
        (
            lambda: Adam([{"params": [leaf([1.0])], "momentum": 0.9}]),
            ArgumentError,
            "Adam: a group has 'params' and any of lr, betas, .* got params, momentum",
        ),
    ],
)
def test_bad_parameters(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_parameter_listed_twice():
    w = leaf([1.0])
    with pytest.raises(ArgumentError, match=r"SGD: a parameter \(float64\[1\]\) is listed twice"):
        SGD([w, w])
    with pytest.raises(ArgumentError, match=r"SGD: a parameter \(float64\[1\]\) is listed twice"):
        SGD([{"params": [w]}, {"params": [w]}])


def _saved(change):
    ps = params()
    opt = Adam(ps, lr=0.01)
    run(opt, ps, 1)
    saved = opt.state_dict()
    change(saved)
    return saved


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda s: s.pop("state"), ArgumentError, "Adam needs 'state' and 'param_groups', got"),
        (
            lambda s: s["param_groups"][0].update(params=3),
            ArgumentError,
            r"the groups must have \[4\] parameters, got \[3\]",
        ),
        (
            lambda s: s["param_groups"][0].pop("betas"),
            ArgumentError,
            "Adam has the settings lr, betas, eps, weight_decay, amsgrad, .*, got lr, eps",
        ),
        (
            lambda s: s["param_groups"][0].update(lr=-1.0),
            ArgumentError,
            r"Adam: lr must lie in \[0, inf\), got -1\.0",
        ),
        (
            lambda s: s["state"].update({"9": {}}),
            ArgumentError,
            "there are 4 parameters, got state for 9",
        ),
        (
            lambda s: s["state"]["1"].pop("exp_avg"),
            ArgumentError,
            "Adam keeps step, exp_avg, exp_avg_sq, got step, exp_avg_sq",
        ),
        (
            lambda s: s["state"]["1"].update(exp_avg=bl.zeros((2,))),
            ShapeError,
            r"exp_avg of parameter 1 must have shape \(3,\), got \(2,\)",
        ),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, error, text):
    ps = params()
    opt = Adam(ps, lr=0.5)
    run(opt, ps, 2)
    before = opt.state_dict()
    with pytest.raises(error, match=f"{text}"):
        opt.load_state_dict(_saved(change))
    after = opt.state_dict()
    assert before["param_groups"] == after["param_groups"]
    for i in before["state"]:
        assert bits(before["state"][i].values()) == bits(after["state"][i].values())


def test_state_dict_is_a_copy():
    ps = params()
    opt = Adam(ps, lr=0.01)
    run(opt, ps, 1)
    saved = opt.state_dict()
    before = bits(saved["state"]["0"].values())
    run(opt, ps, 2, start=1)
    assert bits(saved["state"]["0"].values()) == before
    assert saved["param_groups"] == [
        {"lr": 0.01, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False,
         "maximize": False, "decoupled_weight_decay": False, "params": 4}
    ]  # fmt: skip


class OwnStep(Optimizer):
    """Momentum as one writes it for PyTorch: a `step` of its own, with numbers in its state."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    @bl.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                state["count"] = state.get("count", 0) + 1
                state["velocity"] = 0.9 * state.get("velocity", bl.zeros_like(p)) + p.grad
                p -= group["lr"] * state["velocity"] / state["count"]


def test_an_optimizer_with_a_step_of_its_own_goes_on_from_its_state():
    def descend(w, opt, steps):
        for _ in range(steps):
            opt.zero_grad()
            (w * w).sum().backward()
            opt.step()
        return w.tolist()

    w = leaf([1.0, 2.0])
    opt = OwnStep([w])
    copied = leaf(descend(w, opt, 3))
    other = OwnStep([copied], lr=1.0)
    other.load_state_dict(opt.state_dict())
    assert other.state[copied]["velocity"] is not opt.state[w]["velocity"]
    assert descend(copied, other, 2) == descend(w, opt, 2)
