"""Schedules that go up and down: the rate follows from the number of steps alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ...errors import ArgumentError
from ..group import Group
from ..optimizer import Optimizer
from .base import LRScheduler, count, each, of_group, outside_capture, positive


class CosineAnnealingWarmRestarts(LRScheduler):
    """lr = η + (initial - η) (1 + cos(π t / T)) / 2, with t and T of the period that it is in.

    The first period has T = T_0 steps, each one after it `T_mult` times as many. `step(epoch)` goes
    to a moment instead, which may be a fraction: `step(epoch + batch / batches)`.

    >>> from backlit import tensor
    >>> from backlit.optim import SGD
    >>> optimizer = SGD([tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates += schedule.get_last_lr()
    ...     schedule.step()
    >>> [round(rate, 3) for rate in rates]
    [1.0, 0.5, 1.0, 0.5, 1.0]

    Source: Loshchilov & Hutter, "SGDR", ICLR 2017, eq. 5.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ):
        self.T_0 = count(self, "T_0", T_0)
        self.T_mult = count(self, "T_mult", T_mult)
        self.eta_min = float(eta_min)
        self.T_cur: float = 0  # steps since the last restart, ...
        self.T_i = self.T_0  # ... of as many
        self._go_to(count(self, "last_epoch", last_epoch, -1) + 1, self.T_0)
        super().__init__(optimizer, last_epoch)

    def _go_to(self, t: float, period: int) -> None:
        """Be t steps after the beginning of a period."""
        if self.T_mult == 1:
            t %= period
        while t >= period:
            t -= period
            period *= self.T_mult
        self.T_cur, self.T_i = t, period

    def step(self, epoch: float | None = None) -> None:
        """Count one step, or go to a moment, and set the rates."""
        outside_capture(self)
        self._adopt()
        if epoch is None:
            self.last_epoch += 1
            self._go_to(self.T_cur + 1, self.T_i)
        else:
            if not epoch >= 0:
                raise ArgumentError(f"{type(self).__name__}: epoch must be from 0, got {epoch}")
            self.last_epoch = math.floor(epoch)
            self._go_to(epoch, self.T_0)
        self._write(self.get_lr())

    def get_lr(self) -> list[float]:
        """The cosine of this period."""
        turn = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * turn / 2 for base in self.base_lrs]

    def _restart(self) -> None:
        self._go_to(0, self.T_0)
        super()._restart()


class _Cycle(LRScheduler):
    """The base of schedules that turn the momentum against the rate."""

    cycle_momentum: bool
    base_momentum: Any
    max_momentum: Any

    def _momentum(self, low: float, high: float) -> float:
        """The momentum of a group after `last_epoch` steps."""
        raise NotImplementedError

    def _write(self, rates: Sequence[float]) -> None:
        super()._write(rates)
        if not self.cycle_momentum:
            return
        for i, group in enumerate(self._groups):
            momentum = self._momentum(
                of_group(self, "base_momentum", self.base_momentum, i),
                of_group(self, "max_momentum", self.max_momentum, i),
            )
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            elif "momentum" in group:
                group["momentum"] = momentum


class OneCycleLR(_Cycle):
    """Up from max_lr / div_factor to max_lr, then down to a small fraction of where it began.

    The rise takes `pct_start` of `total_steps`, the fall the rest, ending at
    max_lr / (div_factor · final_div_factor). With `three_phase` the fall mirrors the rise, and the
    last part goes from the first rate to the last. Momentum (β₁ of Adam) runs against it, between
    `max_momentum` and `base_momentum`, also in an SGD that had none; `cycle_momentum=False` leaves
    it alone. `max_lr` and both momenta are one for all groups, or a list of one for each. Step it
    after every batch.

    Source: Smith & Topin, "Super-convergence", arXiv:1708.07120, sec. 3; the parts as in PyTorch,
    which raises where the optimizer has no momentum, and where the line would go on after the last
    batch. Here such an optimizer has just the rate changed, and the last rate stays.
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
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ):
        name = "OneCycleLR"
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ArgumentError(
                    f"{name}: total_steps, or epochs and steps_per_epoch, are required"
                )
            total_steps = count(self, "epochs", epochs) * count(
                self, "steps_per_epoch", steps_per_epoch
            )
        self.total_steps = count(self, "total_steps", total_steps)
        if not 0 <= pct_start <= 1:
            raise ArgumentError(f"{name}: pct_start must lie in [0, 1], got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(
                f"{name}: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}"
            )
        self.anneal_strategy = anneal_strategy
        self.max_lr = each(self, "max_lr", max_lr, optimizer)
        for peak in self.max_lr if isinstance(self.max_lr, list) else [self.max_lr]:
            positive(self, "max_lr", peak)
        self.div_factor = positive(self, "div_factor", div_factor)
        self.final_div_factor = positive(self, "final_div_factor", final_div_factor)
        self.cycle_momentum = cycle_momentum
        self.base_momentum = each(self, "base_momentum", base_momentum, optimizer)
        self.max_momentum = each(self, "max_momentum", max_momentum, optimizer)
        rise = pct_start * self.total_steps
        self.ends = [rise - 1, *([2 * rise - 2] if three_phase else []), self.total_steps - 1]
        super().__init__(optimizer, last_epoch)

    def _first_rate(self, i: int, group: Group) -> float:
        rate = of_group(self, "max_lr", self.max_lr, i) / self.div_factor
        if self.last_epoch == 0 or "initial_lr" not in group:
            group["initial_lr"] = rate
        return rate

    def _along(self, values: list[float]) -> float:
        """The value of now on the way through `values`, which stand at 0 and the ends of parts."""
        t = self.last_epoch
        if t > self.total_steps:
            raise ArgumentError(
                f"OneCycleLR: the cycle has {self.total_steps} steps, got step {t}; make it "
                "with as many steps as batches are trained"
            )
        t = min(t, self.total_steps - 1)  # after the last batch the rate stays
        start = 0.0
        for number, end in enumerate(self.ends):
            if t <= end or number == len(self.ends) - 1:
                break
            start = end
        done = (t - start) / (end - start) if end != start else 1.0
        a, b = values[number], values[number + 1]
        if self.anneal_strategy == "linear":
            return (b - a) * done + a
        return b + (a - b) / 2.0 * (1 + math.cos(math.pi * done))

    def get_lr(self) -> list[float]:
        """The rates on the way up and down."""
        rates = []
        for i, first in enumerate(self.base_lrs):
            peak = of_group(self, "max_lr", self.max_lr, i)
            middle = [first] if len(self.ends) == 3 else []
            rates.append(self._along([first, peak, *middle, first / self.final_div_factor]))
        return rates

    def _momentum(self, low: float, high: float) -> float:
        return self._along([high, low, high, high] if len(self.ends) == 3 else [high, low, high])


class CyclicLR(_Cycle):
    """Up and down in lines between `base_lr` and `max_lr`, again and again.

    A cycle has `step_size_up` steps up and `step_size_down` (as many, if not given) down. The
    height of the cycle number n = 1, 2, … is

        mode "triangular":   always the whole one
        "triangular2":       1 / 2ⁿ⁻¹ of it
        "exp_range":         γᵗ of it, t the number of steps
        `scale_fn`:          its value times it, of n, or of t with scale_mode "iterations"

    Momentum (β₁ of Adam) runs against it, between `max_momentum` and `base_momentum`, also in an
    SGD that had none; `cycle_momentum=False` leaves it alone. The rates and momenta are one for all
    groups, or a list of one for each. Step it after every batch.

    >>> from backlit import tensor
    >>> from backlit.optim import SGD
    >>> optimizer = SGD([tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = CyclicLR(optimizer, base_lr=0.0, max_lr=1.0, step_size_up=2)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates += schedule.get_last_lr()
    ...     schedule.step()
    >>> rates
    [0.0, 0.5, 1.0, 0.5, 0.0]

    Source: Smith, "Cyclical learning rates for training neural networks", WACV 2017; the arguments
    as in PyTorch, which raises where the optimizer has no momentum.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ):
        self.base_lr = each(self, "base_lr", base_lr, optimizer)
        self.max_lr = each(self, "max_lr", max_lr, optimizer)
        self.step_size_up = count(self, "step_size_up", step_size_up)
        down = step_size_up if step_size_down is None else step_size_down
        self.step_size_down = count(self, "step_size_down", down)
        for what, value, allowed in (
            ("mode", mode, ("triangular", "triangular2", "exp_range")),
            ("scale_mode", scale_mode, ("cycle", "iterations")),
        ):
            if value not in allowed:
                raise ArgumentError(f"CyclicLR: {what} must be one of {allowed}, got {value!r}")
        self.mode, self.gamma = mode, float(gamma)
        self.scale_fn, self.scale_mode = scale_fn, scale_mode
        self.cycle_momentum = cycle_momentum
        self.base_momentum = each(self, "base_momentum", base_momentum, optimizer)
        self.max_momentum = each(self, "max_momentum", max_momentum, optimizer)
        super().__init__(optimizer, last_epoch)

    def _first_rate(self, i: int, group: Group) -> float:
        rate = float(of_group(self, "base_lr", self.base_lr, i))
        group.setdefault("initial_lr", rate)
        return rate

    def _height(self) -> float:
        """How far up it is now: 0 at the base, 1 at the top of a whole cycle."""
        total = self.step_size_up + self.step_size_down
        ratio = self.step_size_up / total
        cycle = math.floor(1 + self.last_epoch / total)
        x = 1.0 + self.last_epoch / total - cycle
        height = x / ratio if x <= ratio else (x - 1) / (ratio - 1)
        if self.scale_fn is not None:
            n = cycle if self.scale_mode == "cycle" else self.last_epoch
            return height * self.scale_fn(n)
        if self.mode == "exp_range":
            return height * self.gamma**self.last_epoch
        return height / 2.0 ** (cycle - 1) if self.mode == "triangular2" else height

    def get_lr(self) -> list[float]:
        """The rates on the way up and down."""
        height = self._height()
        peaks = [of_group(self, "max_lr", self.max_lr, i) for i in range(len(self.base_lrs))]
        return [low + (high - low) * height for low, high in zip(self.base_lrs, peaks, strict=True)]

    def _momentum(self, low: float, high: float) -> float:
        return high - (high - low) * self._height()


__all__ = ["CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR"]
