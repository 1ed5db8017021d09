"""Schedules made of schedules: one after the other, and several at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from ...errors import ArgumentError
from ..optimizer import Optimizer
from .base import LRScheduler, count, outside_capture
from .plateau import ReduceLROnPlateau


def _parts(
    whole: LRScheduler, schedulers: Sequence[LRScheduler], optimizer: Optimizer
) -> list[LRScheduler]:
    name = type(whole).__name__
    for i, part in enumerate(schedulers):
        if (
            not isinstance(part, LRScheduler)
            or isinstance(part, ReduceLROnPlateau)
            or part.optimizer is not optimizer
        ):
            raise ArgumentError(
                f"{name}: schedulers[{i}] must be a schedule of the same optimizer, got "
                f"{type(part).__name__}; step a ReduceLROnPlateau on its own"
            )
    return list(schedulers)


class SequentialLR(LRScheduler):
    """One schedule after the other: the next begins, from its own t = 0, at each milestone.

    It begins from the rates before all schedules, except that a `MultiplicativeLR`, which has no
    first rate, goes on from the last ones.
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]
    ):
        self.schedulers = _parts(self, schedulers, optimizer)
        self.milestones = [count(self, "a milestone", m) for m in milestones]
        if len(self.milestones) != len(self.schedulers) - 1:
            raise ArgumentError(
                f"SequentialLR: one milestone between two schedules is required, got "
                f"{len(self.milestones)} for {len(self.schedulers)} schedules"
            )
        if sorted(set(self.milestones)) != self.milestones:
            raise ArgumentError(f"SequentialLR: milestones must increase, got {self.milestones}")
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        super().__init__(optimizer)

    def step(self, epoch: None = None) -> None:
        """Step the schedule whose turn it is, or begin it."""
        outside_capture(self)
        t = self.last_epoch + 1
        number = bisect_right(self.milestones, t)
        part = self.schedulers[number]
        if number and self.milestones[number - 1] == t:
            part._restart()
        else:
            part.step(epoch)
        self.last_epoch = t
        self._note()

    def _begin(self) -> None:
        self.last_epoch = self.schedulers[0].last_epoch = 0
        self.schedulers[0]._begin()
        self._note()

    def _restart(self) -> None:
        self.last_epoch = 0
        self.schedulers[0]._restart()
        self._note()


class ChainedScheduler(LRScheduler):
    """Several schedules at once: each is stepped in turn, and their factors multiply.

    >>> from backlit import tensor
    >>> from backlit.optim import SGD
    >>> from backlit.optim.lr_scheduler import ExponentialLR, LinearLR
    >>> optimizer = SGD([tensor([1.0], requires_grad=True)], lr=1.0)
    >>> warm_up = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> schedule = ChainedScheduler([warm_up, ExponentialLR(optimizer, gamma=0.5)])
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.375]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None):
        if not schedulers:
            raise ArgumentError("ChainedScheduler: at least one schedule is required, got none")
        optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        self.schedulers = _parts(self, schedulers, optimizer)
        self.optimizer, self.last_epoch, self.base_lrs = optimizer, 0, []
        self._adopt()
        self._note()  # the schedules have begun when they were made

    def step(self, epoch: None = None) -> None:
        """Step each schedule."""
        for part in self.schedulers:
            part.step(epoch)
        self.last_epoch += 1
        self._note()

    def _begin(self) -> None:
        self.last_epoch = 0
        for part in self.schedulers:
            part.last_epoch = 0
            part._begin()
        self._note()

    def _restart(self) -> None:
        self.schedulers[0]._restart()
        self.last_epoch = 0
        for part in self.schedulers[1:]:
            part.last_epoch = 0
            part._begin()
        self._note()


__all__ = ["ChainedScheduler", "SequentialLR"]
