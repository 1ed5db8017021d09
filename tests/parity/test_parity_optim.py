"""Optimizers, schedules and clipping against PyTorch, over 20 steps in float64."""

import numpy as np
import pytest

import backlit as bl
from backlit import optim
from backlit.optim import lr_scheduler

torch = pytest.importorskip("torch", reason="installed by `make parity`")
pytestmark = pytest.mark.parity

STEPS = 20
SHAPES = [(4, 3), (3,), ()]

OPTIMIZERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.9, "momentum": 0.5, "centered": True, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "amsgrad": True}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.3, "amsgrad": True}),
    ("Adagrad", {"lr": 0.1}),
    (
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5},
    ),
    ("Adadelta", {"lr": 1.0}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1}),
]
names = [f"{n}-{'-'.join(s)}" for n, s in OPTIMIZERS]


def leaves():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s) for s in SHAPES]
    ours = [bl.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in arrays]
    return ours, theirs


def set_gradients(ours, theirs, seed):
    rng = np.random.default_rng(seed)
    for a, b in zip(ours, theirs, strict=True):
        g = rng.normal(size=a.shape)
        a.grad, b.grad = bl.tensor(g), torch.tensor(g, dtype=torch.float64)


def agree(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("name", "settings"), OPTIMIZERS, ids=names)
def test_twenty_steps(name, settings):
    ours, theirs = leaves()
    a, b = getattr(optim, name)(ours, **settings), getattr(torch.optim, name)(theirs, **settings)
    for i in range(STEPS):
        set_gradients(ours, theirs, i)
        a.step()
        b.step()
        agree(ours, theirs)


@pytest.mark.parametrize("name", sorted({n for n, _ in OPTIMIZERS}))
def test_defaults_are_the_same(name):
    ours, theirs = leaves()
    a, b = getattr(optim, name)(ours), getattr(torch.optim, name)(theirs)
    for key, value in a.param_groups[0].plain().items():
        if key != "averaged":
            assert value == b.param_groups[0][key], key


SCHEDULES = [
    ("StepLR", {"step_size": 4, "gamma": 0.3}),
    ("MultiStepLR", {"milestones": [3, 9, 9], "gamma": 0.3}),
    ("ExponentialLR", {"gamma": 0.8}),
    ("CosineAnnealingLR", {"T_max": 8, "eta_min": 0.01}),
    ("LinearLR", {"start_factor": 0.2, "end_factor": 0.9, "total_iters": 7}),
    ("LinearLR", {}),
    ("LambdaLR", {"lr_lambda": lambda t: 0.9**t}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": STEPS + 1}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": STEPS + 1, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": [0.5, 0.1], "total_steps": STEPS + 1, "three_phase": True}),
]


def two(module):
    if module is torch.optim:
        make = lambda: torch.tensor([1.0], requires_grad=True)  # noqa: E731
    else:
        make = lambda: bl.tensor([1.0], requires_grad=True)  # noqa: E731
    groups = [{"params": [make()], "lr": 0.4}, {"params": [make()], "lr": 0.2}]
    return module.SGD(groups, momentum=0.9)


def same_rates(ours, theirs, step):
    for _ in range(STEPS):
        for g, h in zip(ours.param_groups, theirs.param_groups, strict=True):
            assert float(g["lr"]) == pytest.approx(h["lr"], rel=1e-11, abs=1e-14)
            assert float(g["momentum"]) == pytest.approx(h["momentum"], rel=1e-12)
        step()


@pytest.mark.parametrize(("name", "settings"), SCHEDULES, ids=[n for n, _ in SCHEDULES])
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_schedules(name, settings):
    ours, theirs = two(optim), two(torch.optim)
    a = getattr(lr_scheduler, name)(ours, **settings)
    b = getattr(torch.optim.lr_scheduler, name)(theirs, **settings)
    same_rates(ours, theirs, lambda: (a.step(), b.step()))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_sequential_schedules():
    def chain(module, optimizer):
        parts = [
            module.LinearLR(optimizer, start_factor=0.1, total_iters=5),
            module.CosineAnnealingLR(optimizer, T_max=10),
        ]
        return module.SequentialLR(optimizer, parts, milestones=[5])

    ours, theirs = two(optim), two(torch.optim)
    a, b = chain(lr_scheduler, ours), chain(torch.optim.lr_scheduler, theirs)
    same_rates(ours, theirs, lambda: (a.step(), b.step()))


@pytest.mark.parametrize(
    "settings",
    [
        {"patience": 1},
        {"patience": 0, "cooldown": 2, "threshold": 0.1},
        {"mode": "max", "patience": 1, "threshold_mode": "abs", "threshold": 0.05},
        {"patience": 0, "min_lr": 0.05, "factor": 0.5},
    ],
)
def test_reduce_on_plateau(settings):
    ours, theirs = two(optim), two(torch.optim)
    a = lr_scheduler.ReduceLROnPlateau(ours, **settings)
    b = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **settings)
    metrics = iter(np.random.default_rng(1).uniform(0.5, 1.5, STEPS).tolist())

    def step():
        metric = next(metrics)
        a.step(metric)
        b.step(metric)

    same_rates(ours, theirs, step)


@pytest.mark.parametrize("order", [2.0, 1.0, 3.0, float("inf")])
@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clip_by_norm(order, limit):
    ours, theirs = leaves()
    set_gradients(ours, theirs, 0)
    a = optim.clip_grad_norm_(ours, limit, order)
    b = torch.nn.utils.clip_grad_norm_(theirs, limit, order)
    assert a.item() == pytest.approx(b.item(), rel=1e-12)
    agree([p.grad for p in ours], [p.grad for p in theirs])


def test_clip_by_value():
    ours, theirs = leaves()
    set_gradients(ours, theirs, 0)
    optim.clip_grad_value_(ours, 0.3)
    torch.nn.utils.clip_grad_value_(theirs, 0.3)
    agree([p.grad for p in ours], [p.grad for p in theirs])
