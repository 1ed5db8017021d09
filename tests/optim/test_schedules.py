"""Learning-rate schedules: their formulas, their state, and compiled steps that follow them."""

import copy
import json
import math

import numpy as np
import pytest

import backlit as bl
from backlit.compiler.api import interpreter
from backlit.errors import ArgumentError, TraceError
from backlit.optim import SGD, Adagrad, Adam, RMSprop
from backlit.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)
from sampling import every


def sgd(lr=1.0, **settings):
    return SGD([bl.tensor([1.0], requires_grad=True)], lr=lr, **settings)


def two_groups(first=1.0, second=0.5):
    groups = [{"params": [bl.tensor([1.0], requires_grad=True)], "lr": r} for r in (first, second)]
    return SGD(groups)


def rates(schedule, steps):
    """The rate of the first group at t = 0, 1, …, steps - 1."""
    result = []
    for _ in range(steps - 1):
        result.append(schedule.get_last_lr()[0])
        schedule.step()
    return [*result, schedule.get_last_lr()[0]]


# -- formulas ---------------------------------------------------------------------------------


def test_step_lr():
    assert rates(StepLR(sgd(), 2, gamma=0.5), 6) == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


def test_multi_step_lr():
    schedule = MultiStepLR(sgd(), [3, 1, 3], gamma=0.5)
    assert rates(schedule, 5) == [1.0, 0.5, 0.5, 0.125, 0.125]


def test_exponential_lr():
    assert rates(ExponentialLR(sgd(2.0), 0.5), 4) == [2.0, 1.0, 0.5, 0.25]


def test_lambda_lr():
    schedule = LambdaLR(two_groups(), [lambda t: 1 / (1 + t), lambda t: 2.0**t])
    schedule.step()
    assert schedule.get_last_lr() == [0.5, 1.0]
    assert rates(LambdaLR(sgd(2.0), lambda t: 1 - t / 4), 4) == [2.0, 1.5, 1.0, 0.5]


def test_multiplicative_lr():
    schedule = MultiplicativeLR(two_groups(), [lambda t: 0.5, lambda t: 1 / t])
    schedule.step()
    schedule.step()
    assert schedule.get_last_lr() == [0.25, 0.25]
    assert rates(MultiplicativeLR(sgd(2.0), lambda t: 0.5), 3) == [2.0, 1.0, 0.5]


def test_constant_lr():
    assert rates(ConstantLR(sgd(), factor=0.25, total_iters=2), 4) == [0.25, 0.25, 1.0, 1.0]


def test_polynomial_lr():
    assert rates(PolynomialLR(sgd(), total_iters=4, power=2.0), 6) == pytest.approx(
        [1.0, 9 / 16, 1 / 4, 1 / 16, 0.0, 0.0]
    )


def test_cosine_annealing_with_warm_restarts():
    schedule = CosineAnnealingWarmRestarts(sgd(), T_0=2, T_mult=2, eta_min=0.2)
    root = math.sqrt(0.5)
    longer = [1.0, 0.6 + 0.4 * root, 0.6, 0.6 - 0.4 * root]
    assert rates(schedule, 7) == pytest.approx([1.0, 0.6, *longer, 1.0], rel=1e-14)


def test_warm_restarts_go_to_a_moment():
    schedule = CosineAnnealingWarmRestarts(sgd(), T_0=2, T_mult=2)
    for epoch, rate in ((0.5, 0.5 + math.sqrt(0.125)), (2, 1.0), (4.0, 0.5), (6, 1.0)):
        schedule.step(epoch)
        assert schedule.get_last_lr() == pytest.approx([rate])
        assert schedule.last_epoch == math.floor(epoch)
    schedule.step()
    assert (schedule.T_cur, schedule.T_i) == (1, 8)


def test_cyclic_lr():
    triangle = [0.0, 0.5, 1.0, 0.75, 0.5, 0.25]
    schedule = CyclicLR(sgd(), 0.0, 1.0, step_size_up=2, step_size_down=4)
    assert rates(schedule, 12) == pytest.approx(triangle * 2)
    schedule = CyclicLR(sgd(), 0.0, 1.0, 2, 4, mode="triangular2")
    assert rates(schedule, 12) == pytest.approx([*triangle, *(x / 2 for x in triangle)])
    schedule = CyclicLR(sgd(), 0.0, 1.0, 2, 4, mode="exp_range", gamma=0.5)
    assert rates(schedule, 6) == pytest.approx([x / 2**t for t, x in enumerate(triangle)])
    schedule = CyclicLR(sgd(), 0.0, 1.0, 2, 4, scale_fn=lambda n: 1 / n)
    assert rates(schedule, 8)[1:8:6] == pytest.approx([0.5, 0.25])
    schedule = CyclicLR(sgd(), 0.0, 1.0, 2, 4, scale_fn=lambda t: t, scale_mode="iterations")
    assert rates(schedule, 6) == pytest.approx([x * t for t, x in enumerate(triangle)])


def test_cyclic_lr_turns_the_momentum():
    optimizer = sgd(momentum=0.5)
    schedule = CyclicLR(optimizer, 0.0, 1.0, step_size_up=1)
    assert optimizer.param_groups[0]["momentum"] == 0.9
    schedule.step()
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(0.8)


def test_cosine_annealing_lr():
    schedule = CosineAnnealingLR(sgd(), T_max=4, eta_min=0.2)
    root = math.sqrt(0.5)
    want = [1.0, 0.6 + 0.4 * root, 0.6, 0.6 - 0.4 * root, 0.2, 0.6 - 0.4 * root]
    assert rates(schedule, 6) == pytest.approx(want, rel=1e-14)


def test_linear_lr():
    schedule = LinearLR(sgd(2.0), start_factor=0.25, end_factor=0.75, total_iters=2)
    assert rates(schedule, 5) == [0.5, 1.0, 1.5, 1.5, 1.5]
    assert rates(LinearLR(sgd(3.0)), 6) == pytest.approx([1, 1.4, 1.8, 2.2, 2.6, 3.0])


def test_one_cycle_lr_rises_and_falls():
    # 10 steps: the top at t = 0.4 · 10 - 1 = 3, the end at t = 9.
    schedule = OneCycleLR(
        sgd(), max_lr=1.0, total_steps=10, pct_start=0.4, anneal_strategy="linear",
        div_factor=4, final_div_factor=10,
    )  # fmt: skip
    fall = [1.0 - (1.0 - 0.025) * i / 6 for i in range(7)]
    assert rates(schedule, 10) == pytest.approx([0.25, 0.5, 0.75, *fall], rel=1e-14)


def test_one_cycle_lr_by_cosine():
    schedule = OneCycleLR(sgd(), max_lr=1.0, total_steps=5, pct_start=0.6)
    got = rates(schedule, 5)
    low = 0.04 / 1e4
    assert got == pytest.approx([0.04, 0.52, 1.0, (1 + low) / 2, low], rel=1e-13)


def test_one_cycle_lr_in_three_phases():
    # The rise ends at 0.3 · 20 - 1 = 5, the fall at 10, the tail at 19.
    schedule = OneCycleLR(
        sgd(), max_lr=1.0, total_steps=20, anneal_strategy="linear", three_phase=True, div_factor=5,
        final_div_factor=2,
    )  # fmt: skip
    got = rates(schedule, 20)
    assert [got[0], got[10]] == pytest.approx([0.2, 0.2])
    assert got[5] == 1.0
    assert got[19] == pytest.approx(0.1)
    assert got[4] == pytest.approx(got[6])


def test_one_cycle_lr_counts_epochs_times_batches():
    schedule = OneCycleLR(sgd(), max_lr=1.0, epochs=2, steps_per_epoch=5)
    assert schedule.total_steps == 10


def test_one_cycle_lr_runs_the_momentum_against_the_rate():
    optimizer = sgd(momentum=0.5)
    schedule = OneCycleLR(
        optimizer, max_lr=1.0, total_steps=10, pct_start=0.4, anneal_strategy="linear"
    )
    momenta = []
    for _ in range(9):
        momenta.append(float(optimizer.param_groups[0]["momentum"]))
        schedule.step()
    assert momenta[0] == 0.95
    assert momenta[3] == 0.85
    assert momenta[6] == pytest.approx(0.9)
    assert float(optimizer.param_groups[0]["momentum"]) == pytest.approx(0.95)


def test_one_cycle_lr_turns_the_first_beta_of_adam():
    optimizer = Adam([bl.tensor([1.0], requires_grad=True)], betas=(0.9, 0.99))
    schedule = OneCycleLR(optimizer, max_lr=1.0, total_steps=10, pct_start=0.4)
    assert tuple(map(float, optimizer.param_groups[0]["betas"])) == (0.95, 0.99)
    for _ in range(3):
        schedule.step()
    assert tuple(map(float, optimizer.param_groups[0]["betas"])) == (0.85, 0.99)


@pytest.mark.parametrize("make", [SGD, RMSprop])
def test_one_cycle_lr_switches_a_momentum_on(make):
    w = bl.tensor([1.0], requires_grad=True)
    optimizer = make([w])
    OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    assert optimizer.param_groups[0]["momentum"] == 0.95
    w.grad = bl.tensor([1.0])
    optimizer.step()
    assert "momentum_buffer" in optimizer.state[w]


def test_one_cycle_lr_of_an_optimizer_that_knows_no_momentum():
    optimizer = Adagrad([bl.tensor([1.0], requires_grad=True)])
    OneCycleLR(optimizer, max_lr=1.0, total_steps=10).step()
    assert "momentum" not in optimizer.param_groups[0]


def test_one_cycle_lr_may_leave_the_momentum_alone():
    optimizer = sgd(momentum=0.5)
    OneCycleLR(optimizer, max_lr=1.0, total_steps=10, cycle_momentum=False).step()
    assert float(optimizer.param_groups[0]["momentum"]) == 0.5


def test_one_cycle_lr_with_a_peak_for_each_group():
    schedule = OneCycleLR(two_groups(), max_lr=[1.0, 2.0], total_steps=4, pct_start=0.5)
    schedule.step()
    assert schedule.get_last_lr() == [1.0, 2.0]


def test_sequential_lr_starts_each_schedule_at_its_own_zero():
    optimizer = sgd()
    parts = [
        LinearLR(optimizer, 0.5, total_iters=2),
        StepLR(optimizer, 1, 0.5),
        ExponentialLR(optimizer, 0.1),
    ]
    schedule = SequentialLR(optimizer, parts, milestones=[2, 4])
    assert rates(schedule, 6) == pytest.approx([0.5, 0.75, 1.0, 0.5, 1.0, 0.1])


def test_a_sequential_schedule_of_schedules_of_schedules():
    optimizer = sgd()
    halves = SequentialLR(optimizer, [ConstantLR(optimizer, 0.5), StepLR(optimizer, 1, 0.5)], [2])
    both = ChainedScheduler(
        [LinearLR(optimizer, 0.5, total_iters=2), ExponentialLR(optimizer, 0.5)]
    )
    schedule = SequentialLR(optimizer, [halves, both], [4])
    assert rates(schedule, 7) == pytest.approx([0.5, 0.5, 1.0, 0.5, 0.5, 0.375, 0.25])
    optimizer = sgd()
    both = ChainedScheduler(
        [LinearLR(optimizer, 0.5, total_iters=2), ExponentialLR(optimizer, 0.5)]
    )
    halves = SequentialLR(optimizer, [ConstantLR(optimizer, 0.5), StepLR(optimizer, 1, 0.5)], [2])
    schedule = SequentialLR(optimizer, [both, halves], [2])
    assert rates(schedule, 6) == pytest.approx([0.5, 0.375, 0.5, 0.5, 1.0, 0.5])


def test_a_multiplicative_part_goes_on_from_the_rates_as_they_are():
    optimizer = sgd()
    parts = [ExponentialLR(optimizer, 0.5), MultiplicativeLR(optimizer, lambda t: 0.25)]
    assert rates(SequentialLR(optimizer, parts, [2]), 4) == [1.0, 0.5, 0.125, 0.03125]


# -- beside others ----------------------------------------------------------------------------


def test_two_schedules_of_one_optimizer_multiply():
    optimizer = sgd(2.0)
    schedules = [LinearLR(optimizer, 0.5, total_iters=2), StepLR(optimizer, 2, 0.1)]
    assert schedules[1].base_lrs == [2.0]
    got = []
    for _ in range(5):
        got.append(optimizer.param_groups[0]["lr"])
        for schedule in schedules:
            schedule.step()
    assert got == pytest.approx([1.0, 1.5, 0.2, 0.2, 0.02])


def test_what_a_plateau_has_taken_off_stays_off():
    optimizer = sgd()
    schedule, plateau = StepLR(optimizer, 3, 0.5), ReduceLROnPlateau(optimizer, patience=0)
    got = []
    for _ in range(4):
        plateau.step(1.0)
        schedule.step()
        got.append(optimizer.param_groups[0]["lr"])
    assert got == pytest.approx([1.0, 0.1, 0.005, 0.0005])


def test_a_rate_set_by_hand_is_the_one_to_go_on_from():
    optimizer = sgd()
    schedule = StepLR(optimizer, 3, gamma=0.1)
    got = []
    for t in range(6):
        if t == 1:
            optimizer.param_groups[0]["lr"] = 0.5
        if t == 4:
            for group in optimizer.param_groups:
                group["lr"] *= 0.5
        got.append(optimizer.param_groups[0]["lr"])
        schedule.step()
    assert got == pytest.approx([1, 0.5, 0.5, 0.05, 0.025, 0.025])


def test_the_last_rates_are_those_that_the_schedule_has_set():
    optimizer = sgd()
    schedule = ExponentialLR(optimizer, 0.5)
    schedule.step()
    optimizer.param_groups[0]["lr"] = 7.0
    assert schedule.get_last_lr() == [0.5]


def make_for_new_groups():
    yield lambda o: StepLR(o, 1, 0.5), 0.05
    yield lambda o: MultiStepLR(o, [2], 0.5), 0.05
    yield lambda o: ConstantLR(o, 0.25, total_iters=2), 0.4
    yield lambda o: LinearLR(o, 0.5, total_iters=2), 0.1 * 4 / 3
    yield lambda o: ExponentialLR(o, 0.5), 0.05
    yield lambda o: PolynomialLR(o, 4), 0.1 * 2 / 3
    yield lambda o: CosineAnnealingLR(o, 3), 0.1 / 3
    yield lambda o: CosineAnnealingWarmRestarts(o, 4), 0.05
    yield lambda o: LambdaLR(o, lambda t: 0.5**t), 0.025
    yield lambda o: MultiplicativeLR(o, lambda t: 0.5), 0.05
    yield lambda o: CyclicLR(o, 0.0, 1.0, 4), 0.5
    yield lambda o: OneCycleLR(o, 1.0, 10, pct_start=0.3), 1.0
    yield lambda o: ChainedScheduler([ExponentialLR(o, 0.5), StepLR(o, 1, 0.5)]), 0.025
    yield lambda o: SequentialLR(o, [StepLR(o, 1), ExponentialLR(o, 0.5)], [1]), 0.05
    yield lambda o: SequentialLR(o, [StepLR(o, 1), LinearLR(o, 0.5)], [2]), 0.05


@pytest.mark.parametrize(("make", "rate"), list(make_for_new_groups()))
def test_a_group_that_is_added_later_takes_part(make, rate):
    optimizer = sgd()
    schedule = make(optimizer)
    schedule.step()
    optimizer.add_param_group({"params": [bl.tensor([1.0], requires_grad=True)], "lr": 0.1})
    assert optimizer.param_groups[1]["lr"] == 0.1
    schedule.step()
    assert optimizer.param_groups[1]["lr"] == pytest.approx(rate)


def test_a_group_that_is_added_later_may_plateau():
    optimizer = sgd()
    plateau = ReduceLROnPlateau(optimizer, patience=0)
    optimizer.add_param_group({"params": [bl.tensor([1.0], requires_grad=True)], "lr": 0.1})
    plateau.step(math.nan)
    assert plateau.get_last_lr() == pytest.approx([0.1, 0.01])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda o: LambdaLR(o, [lambda t: 1.0]), "LambdaLR: one function or one for each group"),
        (lambda o: OneCycleLR(o, [1.0], 9), "OneCycleLR: one max_lr or one for each group is req"),
        (lambda o: CyclicLR(o, [0.1], 1.0), "CyclicLR: one base_lr or one for each group is requ"),
    ],
)
def test_a_group_that_is_added_later_needs_settings_for_all_groups(make, text):
    optimizer = sgd()
    schedule = make(optimizer)
    optimizer.add_param_group({"params": [bl.tensor([1.0], requires_grad=True)]})
    with pytest.raises(ArgumentError, match=f"{text}.* got 1 for 2 groups"):
        schedule.step()


def test_a_plateau_with_a_smallest_rate_for_each_group():
    plateau = ReduceLROnPlateau(two_groups(1.0, 1.0), patience=0, min_lr=[0.5, 0.01])
    plateau.step(math.nan)
    assert plateau.get_last_lr() == [0.5, 0.1]


# -- written by users -------------------------------------------------------------------------


class Noam(LRScheduler):
    """As one writes it for PyTorch."""

    def __init__(self, optimizer, warm_up, last_epoch=-1):
        self.warm_up = warm_up
        self.called = 0
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        self.called += 1
        t = self.last_epoch + 1
        return [base * min(t**-0.5, t * self.warm_up**-1.5) for base in self.base_lrs]


def test_a_schedule_written_for_pytorch():
    assert rates(Noam(sgd(), 4), 5) == pytest.approx([1 / 8, 2 / 8, 3 / 8, 4 / 8, 5**-0.5])


def test_all_that_such_a_schedule_keeps_is_saved():
    schedule = Noam(sgd(), 4)
    schedule.step()
    saved = json.loads(json.dumps(schedule.state_dict()))
    resumed = Noam(sgd(), 9)
    resumed.load_state_dict(saved)
    assert (resumed.called, resumed.warm_up, resumed.last_epoch) == (2, 4, 1)


def test_one_rate_for_each_group():
    class Wrong(LRScheduler):
        def get_lr(self):
            return [1.0]

    with pytest.raises(ArgumentError, match=r"Wrong\.get_lr: one rate .* got 1 for 2 groups"):
        Wrong(two_groups())


def test_no_rate_becomes_negative():
    optimizer = sgd()
    schedule = CosineAnnealingLR(optimizer, T_max=4, eta_min=0.1)
    for _ in range(4):
        schedule.step()
    optimizer.param_groups[0]["lr"] = 0.01
    schedule.step()
    optimizer.param_groups[0]["lr"] = 0.01
    text = (
        r"CosineAnnealingLR: a rate must lie in \[0, inf\), got -0\.\d+ for group 0 after 6 steps"
    )
    with pytest.raises(ArgumentError, match=text):
        schedule.step()
    assert (optimizer.param_groups[0]["lr"], schedule.last_epoch) == (0.01, 5)


def test_a_schedule_does_not_change_other_settings():
    optimizer = two_groups(1.0, 0.5)
    schedule = ExponentialLR(optimizer, 0.5)
    schedule.step()
    assert schedule.get_last_lr() == [0.5, 0.25]
    assert optimizer.param_groups[0]["initial_lr"] == 1.0
    assert optimizer.param_groups[1]["initial_lr"] == 0.5


# -- plateau ----------------------------------------------------------------------------------


def plateau_rates(metrics, **settings):
    optimizer = sgd()
    schedule = ReduceLROnPlateau(optimizer, factor=0.5, **settings)
    result = []
    for metric in metrics:
        schedule.step(metric)
        result.append(schedule.get_last_lr()[0])
    return result


def test_plateau_waits_for_patience():
    got = plateau_rates([1.0, 0.5, 0.5, 0.5, 0.5, 0.4], patience=2)
    assert got == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]


def test_plateau_of_a_metric_that_should_rise():
    assert plateau_rates([0.5, 0.6, 0.6], mode="max", patience=0) == [1.0, 1.0, 0.5]


def test_plateau_threshold_relative_and_absolute():
    assert plateau_rates([10.0, 9.5], patience=0, threshold=0.1) == [1.0, 0.5]
    assert plateau_rates([10.0, 8.9], patience=0, threshold=0.1) == [1.0, 1.0]
    absolute = {"patience": 0, "threshold": 0.1, "threshold_mode": "abs"}
    assert plateau_rates([10.0, 9.95], **absolute) == [1.0, 0.5]
    assert plateau_rates([10.0, 9.85], **absolute) == [1.0, 1.0]
    assert plateau_rates([1.0, 1.05], mode="max", **absolute) == [1.0, 0.5]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_plateau_of_negative_metrics(mode):
    assert plateau_rates([-1.0] * 3, patience=1, mode=mode) == [1.0, 1.0, 0.5]
    better, worse = (-1.2, -0.9) if mode == "min" else (-0.8, -1.1)
    settings = {"patience": 0, "threshold": 0.1, "mode": mode}
    assert plateau_rates([-1.0, better], **settings) == [1.0, 1.0]
    assert plateau_rates([-1.0, worse], **settings) == [1.0, 0.5]
    assert plateau_rates([-1.0, -1.0 + 0.05 * (better + 1.0)], **settings) == [1.0, 0.5]


def test_plateau_cooldown():
    got = plateau_rates([1.0] * 7, patience=0, cooldown=2)
    assert got == [1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_plateau_stops_at_the_smallest_rate():
    assert plateau_rates([1.0] * 4, patience=0, min_lr=0.3) == [1.0, 0.5, 0.3, 0.3]
    assert plateau_rates([1.0] * 3, patience=0, eps=0.6) == [1.0, 1.0, 1.0]


def test_plateau_takes_a_nan_for_no_progress():
    assert plateau_rates([math.nan, 1.0, math.nan], patience=0) == [0.5, 0.5, 0.25]


def test_plateau_takes_a_tensor():
    assert plateau_rates([bl.tensor(1.0), bl.tensor(2.0)], patience=0) == [1.0, 0.5]


# -- state ------------------------------------------------------------------------------------


def make_every():
    yield lambda o: StepLR(o, 2, 0.3)
    yield lambda o: MultiStepLR(o, [2, 5], 0.3)
    yield lambda o: ConstantLR(o, 0.3, 5)
    yield lambda o: ExponentialLR(o, 0.9)
    yield lambda o: PolynomialLR(o, 8, 0.7)
    yield lambda o: CosineAnnealingLR(o, 7, 0.01)
    yield lambda o: CosineAnnealingWarmRestarts(o, 3, 2, 0.01)
    yield lambda o: LinearLR(o, 0.1)
    yield lambda o: OneCycleLR(o, 1.0, 20)
    yield lambda o: CyclicLR(o, 0.1, 1.0, 3, mode="triangular2")
    yield lambda o: LambdaLR(o, lambda t: 0.7**t)
    yield lambda o: MultiplicativeLR(o, lambda t: 0.7)
    yield lambda o: Noam(o, 4)
    yield lambda o: ChainedScheduler([LinearLR(o, 0.1), ExponentialLR(o, 0.9)])
    yield lambda o: SequentialLR(
        o, [LinearLR(o, 0.1, total_iters=3), CosineAnnealingLR(o, 5)], milestones=[3]
    )


@every("optimizer_first", [True, False])
@every("make", list(make_every()))
def test_a_resumed_schedule_continues_to_the_same_bits(make, optimizer_first):
    optimizer = sgd(0.3, momentum=0.9)
    schedule = make(optimizer)
    for _ in range(4):
        schedule.step()
    saved = json.loads(json.dumps([schedule.state_dict(), optimizer.state_dict()["param_groups"]]))
    fresh = sgd(0.7, momentum=0.5)
    resumed = make(fresh)
    if optimizer_first:
        fresh.load_state_dict({"state": {}, "param_groups": saved[1]})
    resumed.load_state_dict(saved[0])
    fresh.load_state_dict({"state": {}, "param_groups": saved[1]})
    for _ in range(5):
        assert resumed.get_last_lr() == schedule.get_last_lr()
        assert resumed.state_dict() == schedule.state_dict()
        assert fresh.param_groups[0].plain() == optimizer.param_groups[0].plain()
        schedule.step()
        resumed.step()


def test_a_saved_state_stays_as_it_was_saved():
    schedule = StepLR(sgd(), 1)
    saved = schedule.state_dict()
    text = json.dumps(saved)
    schedule.step()
    schedule.optimizer.add_param_group({"params": [bl.tensor([1.0], requires_grad=True)]})
    schedule.step()
    assert json.dumps(saved) == text
    resumed = StepLR(sgd(), 1)
    resumed.load_state_dict(saved)
    resumed.step()
    assert json.dumps(saved) == text


@pytest.mark.parametrize("make", list(make_every())[:-3])
def test_copies_of_optimizer_and_schedule_go_their_own_way(make):
    optimizer = sgd(0.3, momentum=0.9)
    schedule = make(optimizer)
    schedule.step()
    optimizer_copy, schedule_copy = copy.deepcopy((optimizer, schedule))
    assert schedule_copy.optimizer is optimizer_copy
    before = optimizer.param_groups[0].plain()
    schedule_copy.step()
    assert optimizer.param_groups[0].plain() == before
    schedule.step()
    assert schedule.state_dict() == schedule_copy.state_dict()
    assert optimizer.param_groups[0].plain() == optimizer_copy.param_groups[0].plain()


def test_last_epoch_goes_on_with_the_rates_of_a_loaded_optimizer():
    for make in (
        lambda o, t: StepLR(o, 2, 0.5, last_epoch=t),
        lambda o, t: ExponentialLR(o, 0.5, last_epoch=t),
        lambda o, t: CosineAnnealingLR(o, 9, last_epoch=t),
        lambda o, t: LambdaLR(o, lambda t: 1 / (1 + t), last_epoch=t),
        lambda o, t: OneCycleLR(o, 1.0, 9, last_epoch=t),
        lambda o, t: CosineAnnealingWarmRestarts(o, 3, 2, last_epoch=t),
    ):
        optimizer, fresh = sgd(0.3, momentum=0.9), sgd(0.7, momentum=0.9)
        schedule = make(optimizer, -1)
        for _ in range(4):
            schedule.step()
        fresh.load_state_dict(optimizer.state_dict())
        resumed = make(fresh, schedule.last_epoch - 1)
        for _ in range(4):
            assert resumed.last_epoch == schedule.last_epoch
            assert fresh.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
            schedule.step()
            resumed.step()


def test_last_epoch_needs_the_rate_before_the_schedule():
    with pytest.raises(ArgumentError, match="StepLR: with last_epoch=4 each group must have an i"):
        StepLR(sgd(), 2, last_epoch=4)
    w = bl.tensor([1.0], requires_grad=True)
    optimizer = SGD([{"params": [w], "initial_lr": 0.5}], lr=0.1)
    schedule = LambdaLR(optimizer, lambda t: 0.5**t, last_epoch=1)
    assert schedule.get_last_lr() == [0.125]


def test_a_resumed_plateau_continues():
    optimizer = sgd()
    schedule = ReduceLROnPlateau(optimizer, patience=2, cooldown=1)
    for metric in (1.0, 1.0, 1.0):
        schedule.step(metric)
    fresh = sgd()
    resumed = ReduceLROnPlateau(fresh, patience=2, cooldown=1)
    resumed.load_state_dict(schedule.state_dict())
    for metric in (1.0, 1.0, 1.0, 1.0, 1.0):
        schedule.step(metric)
        resumed.step(metric)
        assert schedule.get_last_lr() == resumed.get_last_lr()
        assert schedule.state_dict() == resumed.state_dict()
    assert schedule.get_last_lr()[0] < 1.0


def test_a_compiled_step_follows_the_schedule():
    def train(compiled):
        w = bl.tensor([1.0, -2.0], requires_grad=True)
        optimizer = SGD([w], lr=0.1, momentum=0.9)
        schedule = OneCycleLR(optimizer, max_lr=0.2, total_steps=8)

        def step():
            optimizer.zero_grad()
            loss = (w * w).sum()
            loss.backward()
            optimizer.step()
            return loss

        call = bl.compile(step, executor=interpreter) if compiled else step
        losses = []
        for _ in range(7):
            losses.append(call())
            schedule.step()
        if compiled:
            assert len(call.graphs) == 1
        return [loss.item() for loss in losses], w.tolist()

    assert train(False) == train(True)


def test_native_steps_follow_every_schedule():
    rows, order = bl.tensor([[0.5], [-1.0], [2.0], [1.5]]), [[0, 1], [2, 3]]

    def made():
        w = bl.tensor([1.0, -2.0], dtype="float64", requires_grad=True)
        optimizer = Adam([w], lr=0.3)

        def step(x):
            optimizer.zero_grad()
            ((w - x.sum()) ** 2).sum().backward()
            optimizer.step()

        return w, optimizer, step

    (w, optimizer, step), (v, twin, eager) = made(), made()
    native = bl.compile(step)
    for make in make_every():
        schedules = make(optimizer), make(twin)
        graphs = set()
        for _ in range(3):
            native(rows)
            eager(rows)
            native.repeat(2, rows)
            eager(rows)
            eager(rows)
            native.epoch(order, rows)
            for row in order:
                eager(rows[bl.tensor(row)])
            graphs.add(len(native.graphs))
            for schedule in schedules:
                schedule.step()
        assert w.tolist() == pytest.approx(v.tolist(), rel=1e-12)
        assert optimizer.param_groups[0].plain() == twin.param_groups[0].plain()
        assert len(graphs) == 1


# -- bad input --------------------------------------------------------------------------------


@every(
    "make, text",
    [
        (lambda o: StepLR(o, 0), "StepLR: step_size must be an integer from 1, got 0"),
        (lambda o: StepLR(o, 2.5), r"StepLR: step_size must be an integer from 1, got 2\.5"),
        (lambda o: StepLR(o, 1, gamma=0.0), r"StepLR: gamma must be above 0, got 0\.0"),
        (
            lambda o: MultiStepLR(o, [-1]),
            "MultiStepLR: a milestone must be an integer from 0, got -1",
        ),
        (lambda o: ExponentialLR(o, -0.5), r"ExponentialLR: gamma must be above 0, got -0\.5"),
        (lambda o: CosineAnnealingLR(o, 0), "CosineAnnealingLR: T_max must be an integer from 1"),
        (
            lambda o: LinearLR(o, 0.0),
            r"LinearLR: start_factor must be above 0 and at most 1, got 0",
        ),
        (lambda o: LinearLR(o, 1.5), r"LinearLR: start_factor must be above 0 and at most 1"),
        (
            lambda o: LinearLR(o, end_factor=2.0),
            r"LinearLR: end_factor must lie in \[0, 1\], got 2",
        ),
        (lambda o: LinearLR(o, total_iters=0), "LinearLR: total_iters must be an integer from 1"),
        (
            lambda o: LambdaLR(o, [lambda t: 1.0] * 2),
            "LambdaLR: one function or one for each group is required, got 2 for 1 groups",
        ),
        (
            lambda o: OneCycleLR(o, 1.0),
            "OneCycleLR: total_steps, or epochs and steps_per_epoch, are required",
        ),
        (
            lambda o: OneCycleLR(o, 1.0, 0),
            "OneCycleLR: total_steps must be an integer from 1, got 0",
        ),
        (
            lambda o: OneCycleLR(o, 1.0, epochs=0, steps_per_epoch=3),
            "epochs must be an integer from 1",
        ),
        (
            lambda o: OneCycleLR(o, 1.0, 5, pct_start=1.5),
            r"OneCycleLR: pct_start must lie in \[0, 1\], got 1\.5",
        ),
        (
            lambda o: OneCycleLR(o, 1.0, 5, anneal_strategy="square"),
            "OneCycleLR: anneal_strategy must be 'cos' or 'linear', got 'square'",
        ),
        (
            lambda o: OneCycleLR(o, [1.0, 2.0], 5),
            "OneCycleLR: one max_lr or one for each group is required, got 2 for 1 groups",
        ),
        (lambda o: OneCycleLR(o, -1.0, 5), r"OneCycleLR: max_lr must be above 0, got -1\.0"),
        (lambda o: OneCycleLR(o, 1.0, 5, div_factor=0), "OneCycleLR: div_factor must be above 0"),
        (
            lambda o: SequentialLR(o, [StepLR(o, 1)], [3]),
            "SequentialLR: one milestone between two schedules is required, got 1 for 1 schedules",
        ),
        (
            lambda o: SequentialLR(o, [StepLR(o, 1)] * 3, [3, 2]),
            r"SequentialLR: milestones must increase, got \[3, 2\]",
        ),
        (
            lambda o: SequentialLR(o, [StepLR(o, 1), StepLR(sgd(), 1)], [3]),
            r"SequentialLR: schedulers\[1\] must be a schedule of the same optimizer, got StepLR",
        ),
        (
            lambda o: SequentialLR(o, [StepLR(o, 1), ReduceLROnPlateau(o)], [3]),
            r"schedulers\[1\] must be a schedule of the same optimizer, got ReduceLROnPlateau",
        ),
        (
            lambda o: LambdaLR(o, 0.5),
            r"LambdaLR: lr_lambda must be a function of the number of steps, got 0\.5",
        ),
        (lambda o: ConstantLR(o, 0.0), r"ConstantLR: factor must be above 0 and at most 1, got 0"),
        (lambda o: PolynomialLR(o, 2, 0.0), r"PolynomialLR: power must be above 0, got 0\.0"),
        (lambda o: CosineAnnealingWarmRestarts(o, 0), "T_0 must be an integer from 1, got 0"),
        (lambda o: CosineAnnealingWarmRestarts(o, 1, 0.5), "T_mult must be an integer from 1, got"),
        (
            lambda o: CosineAnnealingWarmRestarts(o, 3).step(-1),
            "CosineAnnealingWarmRestarts: epoch must be from 0, got -1",
        ),
        (lambda o: CyclicLR(o, 0.1, 1.0, 0), "CyclicLR: step_size_up must be an integer from 1"),
        (
            lambda o: CyclicLR(o, 0.1, 1.0, mode="square"),
            r"CyclicLR: mode must be one of \('triangular', 'triangular2', 'exp_range'\), got 'sq",
        ),
        (
            lambda o: CyclicLR(o, 0.1, 1.0, scale_mode="epochs"),
            r"CyclicLR: scale_mode must be one of \('cycle', 'iterations'\), got 'epochs'",
        ),
        (
            lambda o: ReduceLROnPlateau(o, min_lr=[0.1, 0.1]),
            "ReduceLROnPlateau: one min_lr or one for each group is required, got 2 for 1 groups",
        ),
        (lambda o: ChainedScheduler([]), "ChainedScheduler: at least one schedule is required"),
        (
            lambda o: ChainedScheduler([StepLR(o, 1), ReduceLROnPlateau(o)]),
            r"ChainedScheduler: schedulers\[1\] must be a schedule of the same optimizer, got Red",
        ),
        (
            lambda o: StepLR(o, 1).step(3),
            r"StepLR\.step: it counts its calls and takes no epoch and no metric, got 3; call step",
        ),
        (
            lambda o: ReduceLROnPlateau(o, "low"),
            r"ReduceLROnPlateau: mode must be one of \('min', 'max'\), got 'low'",
        ),
        (
            lambda o: ReduceLROnPlateau(o, threshold_mode="x"),
            r"ReduceLROnPlateau: threshold_mode must be one of \('rel', 'abs'\), got 'x'",
        ),
        (
            lambda o: ReduceLROnPlateau(o, factor=1.0),
            r"ReduceLROnPlateau: factor must lie between 0 and 1, got 1\.0",
        ),
        (
            lambda o: ReduceLROnPlateau(o, patience=-1),
            "ReduceLROnPlateau: patience must be an integer from 0, got -1",
        ),
        (lambda o: StepLR("adam", 1), "StepLR: an optimizer is required, got str"),
    ],
)
def test_bad_settings(make, text):
    with pytest.raises(ArgumentError, match=text):
        make(sgd())


def test_one_cycle_lr_ends():
    schedule = OneCycleLR(sgd(), max_lr=1.0, total_steps=3)
    for _ in range(3):  # as often as there are batches
        schedule.step()
    assert schedule.get_last_lr() == pytest.approx([1.0 / 25 / 1e4])
    for _ in range(2):  # the failed step is not counted
        with pytest.raises(ArgumentError, match="the cycle has 3 steps, got step 4; make it with"):
            schedule.step()
    assert schedule.last_epoch == 3


def test_states_that_do_not_fit():
    schedule = StepLR(sgd(), 1)
    with pytest.raises(ArgumentError, match=r"StepLR keeps step_size, gamma, .*, got epoch"):
        schedule.load_state_dict({"epoch": 1})
    with pytest.raises(ArgumentError, match=r"StepLR keeps step_size, gamma, .*, got nothing"):
        schedule.load_state_dict({})
    optimizer = sgd()
    chain = SequentialLR(optimizer, [StepLR(optimizer, 1), StepLR(optimizer, 2)], [3])
    with pytest.raises(ArgumentError, match="SequentialLR has 2 schedules, got 1"):
        chain.load_state_dict({**chain.state_dict(), "schedulers": [{"last_epoch": 1}]})
    with pytest.raises(ArgumentError, match="ReduceLROnPlateau keeps mode, threshold_mode,"):
        ReduceLROnPlateau(sgd()).load_state_dict({"best": 1.0})


def test_the_base_has_no_formula():
    with pytest.raises(NotImplementedError, match=r"LRScheduler\.get_lr"):
        LRScheduler(sgd())


@pytest.mark.parametrize("make", [lambda o: StepLR(o, 1), lambda o: ReduceLROnPlateau(o)])
def test_a_schedule_inside_a_captured_function_would_be_frozen(make):
    schedule = make(sgd())
    argument = (1.0,) if isinstance(schedule, ReduceLROnPlateau) else ()
    with pytest.raises(TraceError, match=r"LR.*\.step: a schedule computes with Python numbers"):
        bl.compile(lambda: schedule.step(*argument))()


@pytest.mark.parametrize("size", [2.0, np.int64(2), 2])
def test_a_count_may_be_a_whole_float_or_numpys(size):
    optimizer = sgd()
    schedule = StepLR(optimizer, size)
    assert type(schedule.step_size) is int
    assert CosineAnnealingLR(optimizer, 10 / 2).T_max == 5
