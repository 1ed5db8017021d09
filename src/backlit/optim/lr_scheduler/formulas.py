"""Schedules of one formula of t, the number of steps taken.

Where a formula of the initial rate stands first, the schedule multiplies the last rate by what it
changes from t - 1 to t. Alone it has that formula, up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ...errors import ArgumentError
from ..optimizer import Optimizer
from .base import LRScheduler, count, each, of_group, positive

Factor = Callable[[int], float]


class LambdaLR(LRScheduler):
    """lr = initial · f(t), with one function or one for each group.

    The last rate plays no part: what another schedule has made of it is written over, as in
    PyTorch; `MultiplicativeLR` goes on from it. A state_dict does not hold the functions.
    """

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Factor | Sequence[Factor], last_epoch: int = -1
    ):
        self.lr_lambda = _functions(self, lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Initial · f(t)."""
        t = self.last_epoch
        return [
            base * of_group(self, "function", self.lr_lambda, i)(t)
            for i, base in enumerate(self.base_lrs)
        ]


def _functions(schedule: LRScheduler, value: Any, optimizer: Optimizer) -> Any:
    functions = each(schedule, "function", value, optimizer)
    for f in functions if isinstance(functions, list) else [functions]:
        if not callable(f):
            raise ArgumentError(
                f"{type(schedule).__name__}: lr_lambda must be a function of the number of steps, "
                f"got {f!r}"
            )
    return functions


class _Chained(LRScheduler):
    """The base of schedules that say the next rate from the last."""

    def first(self, lr: float) -> float:
        """The rate at t = 0 of a group that has had `lr`."""
        return lr

    def following(self, lr: float, t: int, group: int) -> float:
        """The rate at t > 0 of a group that had `lr` at t - 1."""
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        """The next rate of each group."""
        t = self.last_epoch
        rates = [group["lr"] for group in self._groups]
        return [self.following(lr, t, i) if t else self.first(lr) for i, lr in enumerate(rates)]

    def _begin(self) -> None:
        if self.last_epoch == 0:
            super()._begin()
        else:  # it was there before: the groups have its rates
            self._note()

    def _restart(self) -> None:
        self._adopt()
        self._write(self.base_lrs)
        super()._restart()


class MultiplicativeLR(_Chained):
    """lr ← lr · f(t), with one function or one for each group.

    A state_dict does not hold the functions.
    """

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Factor | Sequence[Factor], last_epoch: int = -1
    ):
        self.lr_lambda = _functions(self, lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def following(self, lr: float, t: int, group: int) -> float:
        """Lr · f(t)."""
        return lr * of_group(self, "function", self.lr_lambda, group)(t)

    def _restart(self) -> None:
        """There is no formula of the first rate: go on from the rates as they are."""
        self._adopt()
        self.last_epoch = 0
        rates = [group["lr"] for group in self._groups]
        self._write([self.following(lr, 0, i) for i, lr in enumerate(rates)])


class StepLR(_Chained):
    """lr = initial · γ^⌊t / step_size⌋.

    >>> from backlit import tensor
    >>> from backlit.optim import SGD
    >>> schedule = StepLR(SGD([tensor([1.0], requires_grad=True)], lr=1.0), step_size=2, gamma=0.5)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ):
        self.step_size = count(self, "step_size", step_size)
        self.gamma = positive(self, "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def following(self, lr: float, t: int, group: int) -> float:
        """Lr · γ at multiples of step_size."""
        return lr if t % self.step_size else lr * self.gamma


class MultiStepLR(_Chained):
    """lr = initial · γ^n, n the number of milestones that t has reached."""

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ):
        self.milestones = sorted(count(self, "a milestone", m, 0) for m in milestones)
        self.gamma = positive(self, "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def first(self, lr: float) -> float:
        """Lr · γ for each milestone at 0."""
        return self.following(lr, 0, 0)

    def following(self, lr: float, t: int, group: int) -> float:
        """Lr · γ for each milestone at t."""
        return lr * self.gamma ** self.milestones.count(t)


class ConstantLR(_Chained):
    """lr = initial · factor for `total_iters` steps, then initial."""

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        self.factor = positive(self, "factor", factor, 1.0)
        self.total_iters = count(self, "total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def first(self, lr: float) -> float:
        """Lr · factor."""
        return lr * self.factor

    def following(self, lr: float, t: int, group: int) -> float:
        """Lr / factor at the end."""
        return lr * (1.0 / self.factor) if t == self.total_iters else lr


class LinearLR(_Chained):
    """lr = initial · factor, the factor going in a line from start to end over `total_iters` steps.

    The usual warm-up, followed by another schedule:

    >>> from backlit import tensor
    >>> from backlit.optim import SGD
    >>> from backlit.optim.lr_scheduler import SequentialLR
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
        last_epoch: int = -1,
    ):
        self.start_factor = positive(self, "start_factor", start_factor, 1.0)
        if not 0 <= end_factor <= 1:
            raise ArgumentError(f"LinearLR: end_factor must lie in [0, 1], got {end_factor}")
        self.end_factor = float(end_factor)
        self.total_iters = count(self, "total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def first(self, lr: float) -> float:
        """Lr · start."""
        return lr * self.start_factor

    def following(self, lr: float, t: int, group: int) -> float:
        """Lr times the quotient of the factors at t and t - 1."""
        if t > self.total_iters:
            return lr
        rise = self.end_factor - self.start_factor
        return lr * (1.0 + rise / (self.total_iters * self.start_factor + (t - 1) * rise))


class ExponentialLR(_Chained):
    """lr = initial · γᵗ."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1):
        self.gamma = positive(self, "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def following(self, lr: float, t: int, group: int) -> float:
        """Lr · γ."""
        return lr * self.gamma


class PolynomialLR(_Chained):
    """lr = initial · (1 - t / total_iters)^power, and 0 after `total_iters` steps."""

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ):
        self.total_iters = count(self, "total_iters", total_iters)
        self.power = positive(self, "power", power)
        super().__init__(optimizer, last_epoch)

    def following(self, lr: float, t: int, group: int) -> float:
        """Lr times the quotient of what is left at t and t - 1."""
        if t > self.total_iters:
            return lr
        left, before = 1.0 - t / self.total_iters, 1.0 - (t - 1) / self.total_iters
        return lr * (left / before) ** self.power


class CosineAnnealingLR(_Chained):
    """lr = η + (initial - η) (1 + cos(π t / T_max)) / 2, from initial to η = eta_min at T_max.

    Beyond T_max it rises again.

    Source: Loshchilov & Hutter, "SGDR", ICLR 2017, eq. 5, without restarts.
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ):
        self.T_max = count(self, "T_max", T_max)
        self.eta_min = float(eta_min)
        super().__init__(optimizer, last_epoch)

    def following(self, lr: float, t: int, group: int) -> float:
        """η + (lr - η) times the quotient of 1 + cos at t and t - 1; η + a first step after η."""
        low, period = self.eta_min, self.T_max
        if (t - 1 - period) % (2 * period) == 0:
            return lr + (self.base_lrs[group] - low) * (1 - math.cos(math.pi / period)) / 2
        now = 1 + math.cos(math.pi * t / period)
        before = 1 + math.cos(math.pi * (t - 1) / period)
        return now / before * (lr - low) + low


__all__ = [
    "ConstantLR",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "PolynomialLR",
    "StepLR",
]
