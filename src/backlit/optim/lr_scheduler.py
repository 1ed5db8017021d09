"""Learning-rate schedules: the rate of each group as a function of the number of steps taken.

    optimizer = SGD(model.parameters(), lr=0.1)
    schedule = CosineAnnealingLR(optimizer, T_max=100)
    for epoch in range(100):
        ...                      # optimizer.step() for every batch
        schedule.step()

A schedule writes `group["lr"]`, which is a Tensor, so a compiled step follows it. It says its rate
as a formula of t, the number of calls of `step`, and of the rate that the group had at first
(`initial_lr`); nothing is accumulated, so a resumed schedule continues to the same bits. Where
PyTorch multiplies the last rate by a factor instead, the two agree up to rounding. A call of `step`
stands outside the compiled function: it computes with Python numbers.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..errors import ArgumentError
from ..tensor import STATE
from .group import Group
from .optimizer import Optimizer


def _outside_capture(name: str) -> None:
    if STATE.trace is not None:
        raise STATE.trace.refuse(
            f"{name}.step: a schedule computes with Python numbers, which a captured function "
            "would freeze; call it outside, the captured step follows the learning rate"
        )


class LRScheduler:
    """The base of the schedules: subclass it and write `rate`.

    >>> from backlit import tensor
    >>> from backlit.optim import SGD
    >>> class Inverse(LRScheduler):
    ...     def rate(self, initial, t, group):
    ...         return initial / (1 + t)
    >>> schedule = Inverse(SGD([tensor([1.0], requires_grad=True)], lr=0.1))
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.05]
    """

    def __init__(self, optimizer: Optimizer):
        if not isinstance(optimizer, Optimizer):
            raise ArgumentError(
                f"{type(self).__name__}: an optimizer is required, got {type(optimizer).__name__}"
            )
        self.optimizer = optimizer
        self.last_epoch = 0
        for group in optimizer.param_groups:
            if "initial_lr" not in group:
                group["initial_lr"] = float(group["lr"])
        self._write()

    def rate(self, initial: float, t: int, group: int) -> float:
        """The rate after t steps of a group that started with `initial`."""
        raise NotImplementedError(f"{type(self).__name__}.rate")

    def step(self) -> None:
        """Count one step (of whatever the schedule counts) and set the rates."""
        _outside_capture(type(self).__name__)
        self.last_epoch += 1
        try:
            self._write()
        except Exception:
            self.last_epoch -= 1
            raise

    def _write(self) -> None:
        groups: list[Group] = self.optimizer.param_groups
        rates = [self.rate(g["initial_lr"], self.last_epoch, i) for i, g in enumerate(groups)]
        for group, value in zip(groups, rates, strict=True):
            group["lr"] = value

    def get_last_lr(self) -> list[float]:
        """The rate of each group."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The number of steps taken; the rates are the optimizer's state."""
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after the saved number of steps. Load the optimizer first."""
        _check_keys(self, state, ("last_epoch",))
        self.last_epoch = int(state["last_epoch"])
        self._write()


def _check_keys(schedule: Any, state: dict[str, Any], names: tuple[str, ...]) -> None:
    if set(state) != set(names):
        raise ArgumentError(
            f"load_state_dict: {type(schedule).__name__} keeps {', '.join(names)}, "
            f"got {', '.join(state) or 'nothing'}"
        )


def _count(schedule: str, name: str, value: Any, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ArgumentError(f"{schedule}: {name} must be an integer from {least}, got {value!r}")
    return value


def _factor(schedule: str, name: str, value: float, high: float = math.inf) -> float:
    if not 0 < value <= high:
        limit = "" if high == math.inf else f" and at most {high:g}"
        raise ArgumentError(f"{schedule}: {name} must be above 0{limit}, got {value}")
    return float(value)


class LambdaLR(LRScheduler):
    """lr = initial · f(t), with one function or one for each group.

    A state_dict does not hold the functions.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
    ):
        groups = len(optimizer.param_groups)
        functions = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(functions) != groups:
            raise ArgumentError(
                f"LambdaLR: one function or one for each group is required, got {len(functions)} "
                f"for {groups} groups"
            )
        self.lr_lambdas = functions
        super().__init__(optimizer)

    def rate(self, initial: float, t: int, group: int) -> float:
        """Initial · f(t)."""
        return initial * self.lr_lambdas[group](t)


class StepLR(LRScheduler):
    """lr = initial · γ^⌊t / step_size⌋.

    >>> from backlit import tensor
    >>> from backlit.optim import SGD
    >>> schedule = StepLR(SGD([tensor([1.0], requires_grad=True)], lr=1.0), step_size=2, gamma=0.5)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1):
        self.step_size = _count("StepLR", "step_size", step_size)
        self.gamma = _factor("StepLR", "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, initial: float, t: int, group: int) -> float:
        """Initial · γ^⌊t / step_size⌋."""
        return initial * self.gamma ** (t // self.step_size)


class MultiStepLR(LRScheduler):
    """lr = initial · γ^n, n the number of milestones that t has reached."""

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1):
        self.milestones = sorted(_count("MultiStepLR", "a milestone", m, 0) for m in milestones)
        self.gamma = _factor("MultiStepLR", "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, initial: float, t: int, group: int) -> float:
        """Initial · γ^n."""
        return initial * self.gamma ** bisect_right(self.milestones, t)


class ExponentialLR(LRScheduler):
    """lr = initial · γᵗ."""

    def __init__(self, optimizer: Optimizer, gamma: float):
        self.gamma = _factor("ExponentialLR", "gamma", gamma)
        super().__init__(optimizer)

    def rate(self, initial: float, t: int, group: int) -> float:
        """Initial · γᵗ."""
        return initial * self.gamma**t


class CosineAnnealingLR(LRScheduler):
    """lr = η + (initial - η) (1 + cos(π t / T_max)) / 2, from initial to η = eta_min at T_max.

    Beyond T_max it rises again.

    Source: Loshchilov & Hutter, "SGDR", ICLR 2017, eq. 5, without restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0):
        self.T_max = _count("CosineAnnealingLR", "T_max", T_max)
        self.eta_min = float(eta_min)
        super().__init__(optimizer)

    def rate(self, initial: float, t: int, group: int) -> float:
        """The cosine from initial to eta_min."""
        return _cosine(initial, self.eta_min, t / self.T_max)


class LinearLR(LRScheduler):
    """lr = initial · factor, the factor going in a line from start to end over `total_iters` steps.

    The usual warm-up, followed by another schedule:

    >>> from backlit import tensor
    >>> from backlit.optim import SGD
    >>> optimizer = SGD([tensor([1.0], requires_grad=True)], lr=1.0)
    >>> warm_up = LinearLR(optimizer, start_factor=0.25, total_iters=3)
    >>> cosine = CosineAnnealingLR(optimizer, T_max=2)
    >>> schedule = SequentialLR(optimizer, [warm_up, cosine], milestones=[3])
    >>> rates = []
    >>> for _ in range(6):
    ...     rates += schedule.get_last_lr()
    ...     schedule.step()
    >>> rates
    [0.25, 0.5, 0.75, 1.0, 0.5, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ):
        self.start_factor = _factor("LinearLR", "start_factor", start_factor, 1.0)
        if not 0 <= end_factor <= 1:
            raise ArgumentError(f"LinearLR: end_factor must lie in [0, 1], got {end_factor}")
        self.end_factor = float(end_factor)
        self.total_iters = _count("LinearLR", "total_iters", total_iters)
        super().__init__(optimizer)

    def rate(self, initial: float, t: int, group: int) -> float:
        """Initial · (start + (end - start) t / total_iters)."""
        done = min(t, self.total_iters) / self.total_iters
        return initial * (self.start_factor + (self.end_factor - self.start_factor) * done)


class OneCycleLR(LRScheduler):
    """Up from max_lr / div_factor to max_lr, then down to a small fraction of where it began.

    The rise takes `pct_start` of `total_steps`, the fall the rest, ending at
    max_lr / (div_factor · final_div_factor). With `three_phase` the fall mirrors the rise, and the
    last part goes from the first rate to the last. Momentum (β₁ of Adam) runs against it, between
    `max_momentum` and `base_momentum`, where the optimizer has one and `cycle_momentum` is set.
    Step it after every batch.

    Source: Smith & Topin, "Super-convergence", arXiv:1708.07120, sec. 3; the parts as in PyTorch,
    which raises where the optimizer has no momentum.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ):
        name = "OneCycleLR"
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ArgumentError(
                    f"{name}: total_steps, or epochs and steps_per_epoch, are required"
                )
            total_steps = _count(name, "epochs", epochs) * _count(
                name, "steps_per_epoch", steps_per_epoch
            )
        self.total_steps = _count(name, "total_steps", total_steps)
        if not 0 <= pct_start <= 1:
            raise ArgumentError(f"{name}: pct_start must lie in [0, 1], got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(
                f"{name}: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}"
            )
        groups = optimizer.param_groups
        peaks = list(max_lr) if isinstance(max_lr, Sequence) else [max_lr] * len(groups)
        if len(peaks) != len(groups):
            raise ArgumentError(
                f"{name}: one max_lr or one for each group is required, got {len(peaks)} for "
                f"{len(groups)} groups"
            )
        self.max_lrs = [_factor(name, "max_lr", peak) for peak in peaks]
        self.div_factor = _factor(name, "div_factor", div_factor)
        self.final_div_factor = _factor(name, "final_div_factor", final_div_factor)
        self.base_momentum, self.max_momentum = float(base_momentum), float(max_momentum)
        self.cycle_momentum = cycle_momentum
        self._between = _cosine if anneal_strategy == "cos" else _line
        rise = pct_start * self.total_steps - 1
        ends = (
            [rise, 2 * rise, self.total_steps - 1] if three_phase else [rise, self.total_steps - 1]
        )
        self._ends = [float(end) for end in ends]
        for group, peak in zip(groups, self.max_lrs, strict=True):
            group["initial_lr"] = peak / self.div_factor
        super().__init__(optimizer)

    def _along(self, t: int, values: list[float]) -> float:
        """The value at t on the way through `values`, which stand at 0 and the ends of parts."""
        if t > self.total_steps:
            raise ArgumentError(
                f"OneCycleLR: the cycle has {self.total_steps} steps, got step {t}; make it "
                "with as many steps as batches are trained"
            )
        t = min(t, self.total_steps - 1)  # after the last batch the rate stays
        start = 0.0
        for number, end in enumerate(self._ends):
            if t <= end or number == len(self._ends) - 1:
                break
            start = end
        done = (t - start) / (end - start) if end != start else 1.0
        return self._between(values[number], values[number + 1], done)

    def rate(self, initial: float, t: int, group: int) -> float:
        """The rate on the way up and down."""
        peak = self.max_lrs[group]
        first = peak / self.div_factor
        last = first / self.final_div_factor
        middle = [first] if len(self._ends) == 3 else []
        return self._along(t, [first, peak, *middle, last])

    def _write(self) -> None:
        super()._write()
        if not self.cycle_momentum:
            return
        high, low = self.max_momentum, self.base_momentum
        values = [high, low, high, high] if len(self._ends) == 3 else [high, low, high]
        momentum = self._along(self.last_epoch, values)
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (momentum, float(group["betas"][1]))
            elif float(group.get("momentum", 0.0)) > 0:
                group["momentum"] = momentum


class SequentialLR(LRScheduler):
    """One schedule after the other: the next begins, from its own t = 0, at each milestone."""

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]
    ):
        self.schedulers = list(schedulers)
        self.milestones = [_count("SequentialLR", "a milestone", m) for m in milestones]
        if len(self.milestones) != len(self.schedulers) - 1:
            raise ArgumentError(
                f"SequentialLR: one milestone between two schedules is required, got "
                f"{len(self.milestones)} for {len(self.schedulers)} schedules"
            )
        if sorted(set(self.milestones)) != self.milestones:
            raise ArgumentError(f"SequentialLR: milestones must increase, got {self.milestones}")
        for i, schedule in enumerate(self.schedulers):
            if not isinstance(schedule, LRScheduler) or schedule.optimizer is not optimizer:
                raise ArgumentError(
                    f"SequentialLR: schedulers[{i}] must be a schedule of the same optimizer, got "
                    f"{type(schedule).__name__}"
                )
        super().__init__(optimizer)

    def _write(self) -> None:
        number = bisect_right(self.milestones, self.last_epoch)
        schedule = self.schedulers[number]
        schedule.last_epoch = self.last_epoch - (self.milestones[number - 1] if number else 0)
        schedule._write()

    def state_dict(self) -> dict[str, Any]:
        """The number of steps taken, and the states of the schedules."""
        inner = [schedule.state_dict() for schedule in self.schedulers]
        return {"last_epoch": self.last_epoch, "schedulers": inner}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after the saved number of steps."""
        _check_keys(self, state, ("last_epoch", "schedulers"))
        if len(state["schedulers"]) != len(self.schedulers):
            raise ArgumentError(
                f"load_state_dict: SequentialLR has {len(self.schedulers)} schedules, "
                f"got {len(state['schedulers'])}"
            )
        for schedule, inner in zip(self.schedulers, state["schedulers"], strict=True):
            schedule.load_state_dict(inner)
        self.last_epoch = int(state["last_epoch"])
        self._write()


class ReduceLROnPlateau:
    """The rate times `factor` when a metric has not become better for more than `patience` steps.

    Better means below best · (1 - threshold) for a loss (mode "min"), above best · (1 + threshold)
    for an accuracy ("max"); with threshold_mode "abs" the threshold is a difference. After a
    reduction `cooldown` steps are not counted. Call `step(metric)` after each validation. A NaN is
    never better.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ):
        name = type(self).__name__
        for what, value, allowed in (
            ("mode", mode, ("min", "max")),
            ("threshold_mode", threshold_mode, ("rel", "abs")),
        ):
            if value not in allowed:
                raise ArgumentError(f"{name}: {what} must be one of {allowed}, got {value!r}")
        if not 0 < factor < 1:
            raise ArgumentError(f"{name}: factor must lie between 0 and 1, got {factor}")
        self.optimizer = optimizer
        self.mode, self.threshold_mode = mode, threshold_mode
        self.factor, self.threshold = float(factor), float(threshold)
        self.patience = _count(name, "patience", patience, 0)
        self.cooldown = _count(name, "cooldown", cooldown, 0)
        self.min_lr, self.eps = float(min_lr), float(eps)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0

    def step(self, metric: Any) -> None:
        """Look at the metric of one validation."""
        _outside_capture(type(self).__name__)
        value = float(metric)
        self.last_epoch += 1
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group in self.optimizer.param_groups:
                old = float(group["lr"])
                new = max(old * self.factor, self.min_lr)
                if old - new > self.eps:
                    group["lr"] = new
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def _is_better(self, value: float) -> bool:
        sign = 1.0 if self.mode == "max" else -1.0
        if math.isinf(self.best):
            return value * sign > self.best * sign
        scale = self.best if self.threshold_mode == "rel" else 1.0
        return value * sign > (self.best + sign * self.threshold * scale) * sign

    def get_last_lr(self) -> list[float]:
        """The rate of each group."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The best metric and the counters; the rates are the optimizer's state."""
        return {name: getattr(self, name) for name in _PLATEAU_STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue with the saved counters."""
        _check_keys(self, state, _PLATEAU_STATE)
        for name in _PLATEAU_STATE:
            setattr(self, name, state[name])


_PLATEAU_STATE = ("last_epoch", "best", "num_bad_epochs", "cooldown_counter")


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def _line(start: float, end: float, done: float) -> float:
    return start + (end - start) * done


__all__ = [
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
