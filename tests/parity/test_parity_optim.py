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
    ("Adam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.1, "momentum_decay": 0.1}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.01, "betas": (0.8, 0.9), "weight_decay": 0.1}),
    ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.01, "betas": (0.8, 0.9), "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (0.01, 0.2), "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.1, "lambd": 0.1, "t0": 5, "weight_decay": 0.1, "maximize": True}),
    ("Adafactor", {}),
    ("Adafactor", {"lr": 0.5, "eps": (0.1, 0.3), "d": 1.5, "weight_decay": 0.1, "maximize": True}),
    *[
        (name, {"lr": 0.1, "maximize": True, "weight_decay": 0.1})
        for name in ("SGD", "RMSprop", "AdamW", "Adagrad", "Adadelta")
    ],
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


@pytest.fixture
def wide():
    """PyTorch keeps the numbers of a state in its default dtype."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("name", "settings"), OPTIMIZERS, ids=names)
@pytest.mark.usefixtures("wide")
def test_twenty_steps(name, settings):
    ours, theirs = leaves()
    a, b = getattr(optim, name)(ours, **settings), getattr(torch.optim, name)(theirs, **settings)
    for i in range(STEPS):
        set_gradients(ours, theirs, i)
        a.step()
        b.step()
        agree(ours, theirs)


@pytest.mark.parametrize("name", sorted({n for n, _ in OPTIMIZERS} | {"LBFGS", "Muon"}))
def test_defaults_are_the_same(name):
    ours, theirs = (part[:1] for part in leaves())
    a, b = getattr(optim, name)(ours), getattr(torch.optim, name)(theirs)
    for key, value in a.param_groups[0].items():
        if key not in ("averaged", "params"):
            assert value == b.param_groups[0][key], key


SCHEDULES = [
    ("StepLR", {"step_size": 4, "gamma": 0.3}),
    ("MultiStepLR", {"milestones": [3, 9, 9], "gamma": 0.3}),
    ("MultiStepLR", {"milestones": [0, 2], "gamma": 0.3}),
    ("ConstantLR", {"factor": 0.3, "total_iters": 4}),
    ("ConstantLR", {}),
    ("ExponentialLR", {"gamma": 0.8}),
    ("PolynomialLR", {"total_iters": 9, "power": 1.7}),
    ("PolynomialLR", {}),
    ("CosineAnnealingLR", {"T_max": 8, "eta_min": 0.01}),
    ("CosineAnnealingLR", {"T_max": 1}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 4}),
    ("LinearLR", {"start_factor": 0.2, "end_factor": 0.9, "total_iters": 7}),
    ("LinearLR", {"start_factor": 0.5, "end_factor": 0.0, "total_iters": 7}),
    ("LinearLR", {}),
    ("LambdaLR", {"lr_lambda": lambda t: 0.9**t}),
    ("LambdaLR", {"lr_lambda": [lambda t: 0.9**t, lambda t: 1 / (1 + t)]}),
    ("MultiplicativeLR", {"lr_lambda": lambda t: 1 - 0.1 / (1 + t)}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": STEPS}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": STEPS, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": STEPS, "pct_start": 0.0}),
    ("OneCycleLR", {"max_lr": [0.5, 0.1], "total_steps": STEPS, "three_phase": True}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": STEPS, "max_momentum": [0.9, 0.8]}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 3}),
    ("CyclicLR", {"base_lr": [0.1, 0.2], "max_lr": 0.5, "step_size_up": 2, "step_size_down": 5}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 2, "mode": "triangular2"}),
    (
        "CyclicLR",
        {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 2, "mode": "exp_range", "gamma": 0.9},
    ),
    (
        "CyclicLR",
        {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 2, "scale_fn": lambda n: 1 / n},
    ),
]
schedule_names = [f"{n}-{i}" for i, (n, _) in enumerate(SCHEDULES)]
#: Beside another one PyTorch's CyclicLR begins at the wrong rate, and a rate below eta_min becomes
#: negative, which we refuse.
BESIDE = [
    (n, {k: v for k, v in s.items() if k != "eta_min"}) for n, s in SCHEDULES if n != "CyclicLR"
]
beside_names = [f"{n}-{i}" for i, (n, _) in enumerate(BESIDE)]
ignore_order = pytest.mark.filterwarnings("ignore::UserWarning")


def two(module, momentum=0.9):
    if module is torch.optim:
        make = lambda: torch.tensor([1.0], requires_grad=True)  # noqa: E731
    else:
        make = lambda: bl.tensor([1.0], requires_grad=True)  # noqa: E731
    groups = [{"params": [make()], "lr": 0.4}, {"params": [make()], "lr": 0.2}]
    return module.SGD(groups, momentum=momentum)


def same_rates(ours, theirs, step):
    for t in range(STEPS):
        if t:
            step()
        for g, h in zip(ours.param_groups, theirs.param_groups, strict=True):
            assert g["lr"] == h["lr"]  # to the bit
            assert g["momentum"] == h["momentum"]


def pairs(build):
    """An optimizer and its schedules from `build(schedules' module, optimizer)`, twice."""
    ours, theirs = two(optim), two(torch.optim)
    return ours, build(lr_scheduler, ours), theirs, build(torch.optim.lr_scheduler, theirs)


@pytest.mark.parametrize(("name", "settings"), SCHEDULES, ids=schedule_names)
@ignore_order
def test_schedules(name, settings):
    ours, a, theirs, b = pairs(lambda module, o: getattr(module, name)(o, **settings))

    def step():
        a.step()
        b.step()
        assert a.get_last_lr() == b.get_last_lr()

    same_rates(ours, theirs, step)


@pytest.mark.parametrize("name", ["OneCycleLR", "CyclicLR"])
@ignore_order
def test_cycles_switch_a_momentum_on(name):
    settings = {"total_steps": STEPS} if name == "OneCycleLR" else {"base_lr": 0.1}
    ours, theirs = two(optim, momentum=0.0), two(torch.optim, momentum=0.0)
    a = getattr(lr_scheduler, name)(ours, max_lr=1.0, **settings)
    b = getattr(torch.optim.lr_scheduler, name)(theirs, max_lr=1.0, **settings)
    same_rates(ours, theirs, lambda: (a.step(), b.step()))


@pytest.mark.parametrize(("second", "more"), BESIDE, ids=beside_names)
@pytest.mark.parametrize(
    ("first", "settings"),
    [
        ("LinearLR", {"start_factor": 0.2, "total_iters": 6}),
        ("CosineAnnealingLR", {"T_max": 5}),
        ("MultiStepLR", {"milestones": [3, 9], "gamma": 0.3}),
        ("LambdaLR", {"lr_lambda": lambda t: 0.9**t}),
    ],
)
@ignore_order
def test_two_schedules_of_one_optimizer(first, settings, second, more):
    ours, a, theirs, b = pairs(
        lambda module, o: [
            getattr(module, first)(o, **settings),
            getattr(module, second)(o, **more),
        ]
    )

    def step():
        for one, other in zip(a, b, strict=True):
            one.step()
            other.step()
            assert one.get_last_lr() == other.get_last_lr()

    same_rates(ours, theirs, step)


@pytest.mark.parametrize(("name", "settings"), BESIDE, ids=beside_names)
@ignore_order
def test_a_chained_schedule(name, settings):
    def build(module, o):
        parts = [module.LinearLR(o, start_factor=0.2), getattr(module, name)(o, **settings)]
        return module.ChainedScheduler([*parts, module.ExponentialLR(o, gamma=0.9)])

    ours, a, theirs, b = pairs(build)
    same_rates(ours, theirs, lambda: (a.step(), b.step()))


@pytest.mark.parametrize(("name", "settings"), SCHEDULES, ids=schedule_names)
@pytest.mark.parametrize("place", [0, 1])
@ignore_order
def test_sequential_schedules(name, settings, place):
    def build(module, o):
        parts = [
            module.LinearLR(o, start_factor=0.1, total_iters=5),
            module.CosineAnnealingLR(o, T_max=10),
        ]
        parts.insert(place, getattr(module, name)(o, **settings))
        return module.SequentialLR(o, parts, milestones=[5, 11])

    ours, a, theirs, b = pairs(build)
    same_rates(ours, theirs, lambda: (a.step(), b.step()))


@pytest.mark.parametrize(("name", "settings"), SCHEDULES, ids=schedule_names)
@ignore_order
def test_rates_set_by_hand(name, settings):
    ours, a, theirs, b = pairs(lambda module, o: getattr(module, name)(o, **settings))
    times = iter(range(STEPS))

    def step():
        t = next(times)
        for o in (ours, theirs):
            if t == 3:
                o.param_groups[0]["lr"] = 0.7
            if t == 6:
                for group in o.param_groups:
                    group["lr"] *= 0.5
            if t == 8:
                for group in o.param_groups:
                    group["lr"] = group["lr"] * 0.9 + 1e-3
        a.step()
        b.step()

    same_rates(ours, theirs, step)


CHAINED = [(n, s) for n, s in BESIDE if n not in ("LambdaLR", "OneCycleLR")]


@pytest.mark.parametrize(
    ("name", "settings"),
    # PyTorch's raise for a new group, or leave it alone.
    [(n, s) for n, s in CHAINED if n[:6] not in ("Cosine", "Multip")],
)
@ignore_order
def test_groups_that_are_added_later(name, settings):
    ours, a, theirs, b = pairs(lambda module, o: getattr(module, name)(o, **settings))
    times = iter(range(STEPS))

    def step():
        if next(times) == 2:
            ours.add_param_group({"params": [bl.tensor([1.0], requires_grad=True)], "lr": 0.3})
            theirs.add_param_group({"params": [torch.tensor([1.0], requires_grad=True)], "lr": 0.3})
        a.step()
        b.step()

    same_rates(ours, theirs, step)


@ignore_order
def test_warm_restarts_at_fractions_of_an_epoch():
    ours, a, theirs, b = pairs(
        lambda module, o: module.CosineAnnealingWarmRestarts(o, 3, 2, eta_min=0.01)
    )
    moments = iter(np.linspace(0.25, 22.0, STEPS).tolist())

    def step():
        t = next(moments)
        a.step(t)
        b.step(t)

    for _ in range(STEPS):
        step()
        for g, h in zip(ours.param_groups, theirs.param_groups, strict=True):
            assert g["lr"] == pytest.approx(h["lr"], rel=1e-13)


PLATEAUS = [
    {"patience": 1},
    {"patience": 0, "cooldown": 2, "threshold": 0.1},
    {"mode": "max", "patience": 1, "threshold_mode": "abs", "threshold": 0.05},
    {"patience": 0, "min_lr": 0.05, "factor": 0.5},
    {"patience": 0, "min_lr": [0.05, 0.01], "factor": 0.5},
]


@pytest.mark.parametrize("settings", PLATEAUS)
@pytest.mark.parametrize("beside", [None, *CHAINED], ids=["alone", *(n for n, _ in CHAINED)])
@ignore_order
def test_reduce_on_plateau(settings, beside):
    def build(module, o):
        plateau = module.ReduceLROnPlateau(o, **settings)
        return plateau, beside and getattr(module, beside[0])(o, **beside[1])

    ours, (a, a2), theirs, (b, b2) = pairs(build)
    metrics = iter(np.random.default_rng(1).uniform(0.5, 1.5, STEPS).tolist())

    def step():
        metric = next(metrics)
        a.step(metric)
        b.step(metric)
        assert a.get_last_lr() == b.get_last_lr()
        if beside:
            a2.step()
            b2.step()

    same_rates(ours, theirs, step)


@ignore_order
def test_schedules_written_by_hand():
    def build(module, o):
        class Noam(module.LRScheduler):
            def __init__(self, optimizer, warm_up, last_epoch=-1):
                self.warm_up = warm_up
                super().__init__(optimizer, last_epoch)

            def get_lr(self):
                t = self.last_epoch + 1
                scale = min(t**-0.5, t * self.warm_up**-1.5)
                return [base * scale for base in self.base_lrs]

        return Noam(o, 4)

    ours, a, theirs, b = pairs(build)
    same_rates(ours, theirs, lambda: (a.step(), b.step()))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("name", "settings"), SCHEDULES, ids=schedule_names)
@ignore_order
def test_training_with_a_schedule(name, settings, compiled):
    ours, theirs = two(optim), two(torch.optim)
    a = getattr(lr_scheduler, name)(ours, **settings)
    b = getattr(torch.optim.lr_scheduler, name)(theirs, **settings)
    mine = [p for g in ours.param_groups for p in g["params"]]
    others = [p for g in theirs.param_groups for p in g["params"]]

    def step(x):
        ours.zero_grad()
        sum(((p - x) ** 2).sum() for p in mine).backward()
        ours.step()

    call = bl.compile(step) if compiled else step
    for t in range(STEPS - 1):
        call(bl.tensor(0.1 * t))
        theirs.zero_grad()
        sum(((p - torch.tensor(0.1 * t)) ** 2).sum() for p in others).backward()
        theirs.step()
        a.step()
        b.step()
        for p, q in zip(mine, others, strict=True):
            np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=2e-4, atol=2e-5)
    if compiled:
        assert len(call.graphs) == 1


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


def warm_up_then_cosine(module, o):
    parts = [module.LinearLR(o, 0.1, total_iters=4), module.CosineAnnealingLR(o, T_max=10)]
    return module.SequentialLR(o, parts, milestones=[4])


@pytest.mark.parametrize("every", ["step", "epoch"])
@pytest.mark.parametrize(
    "build",
    [
        warm_up_then_cosine,
        lambda module, o: module.OneCycleLR(o, 0.1, total_steps=16),
        lambda module, o: module.CosineAnnealingWarmRestarts(o, 3, 2),
        lambda module, o: module.ChainedScheduler(
            [module.LinearLR(o, 0.2), module.StepLR(o, 3, 0.5)]
        ),
    ],
)
@ignore_order
def test_the_trainer_follows_a_schedule(build, every):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(12, 3)).astype(np.float32), rng.integers(0, 4, 12)
    ours, theirs = bl.nn.Linear(3, 4), torch.nn.Linear(3, 4)
    for name, p in theirs.named_parameters():
        p.data = torch.tensor(getattr(ours, name).numpy())
    optimizer = optim.SGD(ours.parameters(), lr=0.1, momentum=0.9)
    trainer = bl.train.Trainer(
        ours,
        bl.nn.CrossEntropyLoss(),
        optimizer,
        schedule=build(lr_scheduler, optimizer),
        schedule_every=every,
        progress="quiet",
    )
    history = trainer.fit(bl.data.DataLoader(bl.data.TensorDataset(x, y), 3), epochs=4)

    other = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    schedule = build(torch.optim.lr_scheduler, other)
    rates = []
    for _ in range(4):
        for i in range(0, 12, 3):
            other.zero_grad()
            out = theirs(torch.tensor(x[i : i + 3]))
            torch.nn.functional.cross_entropy(out, torch.tensor(y[i : i + 3])).backward()
            other.step()
            used = other.param_groups[0]["lr"]
            if every == "step":
                schedule.step()
        rates.append(used)
        if every == "epoch":
            schedule.step()
    assert [record["lr"] for record in history] == rates
    for name, p in theirs.named_parameters():
        np.testing.assert_allclose(
            getattr(ours, name).numpy(), p.detach().numpy(), rtol=1e-4, atol=1e-5
        )


# -- what looks at whole parameters and at the loss ------------------------------------------------


@pytest.mark.parametrize("settings", [
    {}, {"nesterov": False, "weight_decay": 0.3, "momentum": 0.5},
    {"adjust_lr_fn": "match_rms_adamw", "ns_steps": 3},
], ids=str)  # fmt: skip
def test_muon_is_pytorchs_to_the_digits_of_bfloat16(settings):
    rng = np.random.default_rng(0)
    for shape in ((6, 3), (3, 6), (4, 4)):
        start = rng.normal(size=shape)
        a = bl.tensor(start, requires_grad=True)
        b = torch.tensor(start, requires_grad=True)
        ours, theirs = (
            optim.Muon([a], lr=0.1, **settings),
            torch.optim.Muon([b], lr=0.1, **settings),
        )
        for i in range(5):
            set_gradients([a], [b], i)
            ours.step()
            theirs.step()
        moved = np.abs(b.detach().numpy() - start).max()
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), atol=0.03 * moved)


def rosenbrock(w):
    return ((1 - w[:-1]) ** 2 + 100 * (w[1:] - w[:-1] ** 2) ** 2).sum()


def bowl(w):
    return (w**2 * (1 + abs(w))).sum() + (w[0] - 1) ** 4


@pytest.mark.parametrize("settings", [
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "history_size": 2, "max_iter": 5},
    {"line_search_fn": "strong_wolfe", "lr": 0.01, "max_eval": 7},
    {"lr": 0.1, "max_iter": 4}, {"lr": 0.003, "history_size": 3},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("loss", [rosenbrock, bowl], ids=lambda f: f.__name__)
def test_lbfgs_takes_pytorchs_steps(loss, settings):
    # Not by the saddle of Rosenbrock's valley, where the last bit decides where the search goes.
    start = np.array([1.2, 1.1, 1.3, 1.5])
    values = []
    for lib, kind in ((bl, optim), (torch, torch.optim)):
        w = lib.tensor(start, requires_grad=True)
        optimizer, calls, path = kind.LBFGS([w], **settings), [], []

        def closure(w=w, optimizer=optimizer, calls=calls):
            optimizer.zero_grad()
            value = loss(w)
            value.backward()
            calls.append(value.item())
            return value

        for _ in range(6):
            path.append(optimizer.step(closure).item())
        values.append((path, calls, w.detach().numpy()))
    (path, calls, w), (their_path, their_calls, v) = values
    assert len(calls) == len(their_calls)
    np.testing.assert_allclose(calls, their_calls, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(path, their_path, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(w, v, rtol=1e-6, atol=1e-9)


def test_frozen_and_named_parameters_are_taken():
    ours, theirs = leaves()
    for part in (ours, theirs):
        part[1].requires_grad_(False)
    a = optim.AdamW([(f"p{i}", p) for i, p in enumerate(ours)])
    b = torch.optim.AdamW(theirs)
    set_gradients(ours[::2], theirs[::2], 0)
    for opt, lib in ((a, bl), (b, torch)):
        assert opt.step(lambda lib=lib: lib.ones(2)).tolist() == [1, 1]
    agree(ours, theirs)


@pytest.mark.parametrize("settings", [
    {"swa_lr": 0.05}, {"swa_lr": [0.05, 0.5], "anneal_epochs": 4, "anneal_strategy": "linear"},
    {"swa_lr": 0.05, "anneal_epochs": 0},
], ids=str)  # fmt: skip
def test_the_rate_of_averaging_is_pytorchs(settings):
    ours, theirs = two(optim), two(torch.optim)
    a, b = optim.swa_utils.SWALR(ours, **settings), torch.optim.swa_utils.SWALR(theirs, **settings)
    for _ in range(14):
        for g, h in zip(ours.param_groups, theirs.param_groups, strict=True):
            assert g["lr"] == pytest.approx(h["lr"], rel=1e-14)
        theirs.step()
        a.step(), b.step()


def test_averaged_models_are_pytorchs():
    ours, theirs = (
        lib.nn.Sequential(lib.nn.Linear(2, 2), lib.nn.BatchNorm1d(2)) for lib in (bl, torch)
    )
    ways = [
        ({}, {}),
        *[
            ({"avg_fn": optim.swa_utils.get_ema_avg_fn(0.7), **more},
             {"avg_fn": torch.optim.swa_utils.get_ema_avg_fn(0.7), **more})
            for more in ({}, {"use_buffers": True})
        ],
    ]  # fmt: skip
    pairs = [
        (optim.swa_utils.AveragedModel(ours, **a), torch.optim.swa_utils.AveragedModel(theirs, **b))
        for a, b in ways
    ]
    for seed in range(4):
        rng = np.random.default_rng(seed)
        state = {
            n: rng.normal(size=t.shape).astype(t.numpy().dtype)
            for n, t in theirs.state_dict().items()
        }
        ours.load_state_dict(state)
        theirs.load_state_dict({n: torch.tensor(v) for n, v in state.items()})
        for a, b in pairs:
            a.update_parameters(ours)
            b.update_parameters(theirs)
            assert set(a.state_dict()) == set(b.state_dict())
            for name, t in b.state_dict().items():
                np.testing.assert_allclose(a.state_dict()[name].numpy(), t.numpy(), rtol=1e-5)
