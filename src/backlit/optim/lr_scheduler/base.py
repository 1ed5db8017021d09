"""The schedule: what all schedules share, and what a new one has to say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

from ...errors import ArgumentError
from ...state import STATE
from ..group import Group
from ..optimizer import Optimizer


class LRScheduler:
    """The base of the schedules: subclass it and write `get_lr`, as for PyTorch.

    `get_lr` returns the rate of each group after `last_epoch` steps. It may compute them from
    `base_lrs`, the rates before the schedule, or from those after one step less, which are in
    `group["lr"]`. A group that is added later takes part from the next step on.

    >>> from backlit import tensor
    >>> from backlit.optim import SGD
    >>> class Inverse(LRScheduler):
    ...     def get_lr(self):
    ...         return [base / (1 + self.last_epoch) for base in self.base_lrs]
    >>> schedule = Inverse(SGD([tensor([1.0], requires_grad=True)], lr=0.1))
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.05]

    With `last_epoch` n the schedule goes on after n + 1 steps, with an optimizer whose state was
    loaded, or whose groups were given an `initial_lr`.
    """

    #: Schedules written for PyTorch ask this, to warn users who call `get_lr`.
    _get_lr_called_within_step = True

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1):
        self.optimizer = require_optimizer(self, optimizer)
        self.last_epoch = count(self, "last_epoch", last_epoch, -1) + 1
        self.base_lrs: list[float] = []
        self._last_lr: list[float] = []
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch >= 0 and "initial_lr" not in group:
                raise ArgumentError(
                    f"{type(self).__name__}: with last_epoch={last_epoch} each group must have an "
                    f"initial_lr, but group {i} has none; load the optimizer's state first, or "
                    "make a new schedule and use its load_state_dict"
                )
        self._adopt()
        self._begin()

    def get_lr(self) -> list[float]:
        """The rate of each group after `last_epoch` steps."""
        raise NotImplementedError(f"{type(self).__name__}.get_lr")

    def step(self, epoch: None = None) -> None:
        """Count one step (of whatever the schedule counts) and set the rates."""
        outside_capture(self)
        if epoch is not None:
            raise ArgumentError(
                f"{type(self).__name__}.step: it counts its calls and takes no epoch and no "
                f"metric, got {epoch!r:.40}; call step() once for each step"
            )
        self._adopt()
        self.last_epoch += 1
        try:
            self._write(self.get_lr())
        except Exception:
            self.last_epoch -= 1
            raise

    def get_last_lr(self) -> list[float]:
        """The rate of each group, as this schedule has set it last."""
        return self._last_lr

    # -- groups -------------------------------------------------------------------------------

    @property
    def _groups(self) -> list[Group]:
        return self.optimizer.param_groups

    def _adopt(self) -> None:
        """Note the first rate of each group that is new."""
        for i in range(len(self.base_lrs), len(self._groups)):
            self.base_lrs.append(self._first_rate(i, self._groups[i]))

    def _first_rate(self, i: int, group: Group) -> float:
        return float(group.setdefault("initial_lr", group["lr"]))

    def _begin(self) -> None:
        """Set the rates of the first moment, from those that the groups have."""
        self._write(self.get_lr())

    def _restart(self) -> None:
        """Set the rates of t = 0, from those before the schedule."""
        self.last_epoch = 0
        self._adopt()
        self._write(self.get_lr())

    def _write(self, rates: Sequence[float]) -> None:
        if len(rates) != len(self._groups):
            raise ArgumentError(
                f"{type(self).__name__}.get_lr: one rate for each group is required, got "
                f"{len(rates)} for {len(self._groups)} groups"
            )
        values = [float(rate) for rate in rates]
        for i, value in enumerate(values):
            if not 0 <= value < math.inf:
                raise ArgumentError(
                    f"{type(self).__name__}: a rate must lie in [0, inf), got {value} for group "
                    f"{i} after {self.last_epoch} steps; was it set to less than eta_min, by hand "
                    "or by another schedule?"
                )
        for group, value in zip(self._groups, values, strict=True):
            group["lr"] = value
        self._note()

    def _note(self) -> None:
        self._last_lr = [group["lr"] for group in self._groups]

    # -- saving -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimizer and functions, as in PyTorch; rates are the optimizer's.

        For schedules among them: their states.
        """
        return {n: _saved(v) for n, v in vars(self).items() if not _is_fixed(v)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue after the saved number of steps, with the saved settings.

        The rates are in the optimizer's state, which is loaded before or after.
        """
        name = type(self).__name__
        kept = self.state_dict()
        if set(state_dict) != set(kept):
            raise ArgumentError(
                f"load_state_dict: {name} keeps {', '.join(kept)}, "
                f"got {', '.join(state_dict) or 'nothing'}"
            )
        for key, value in state_dict.items():
            parts = _schedules(getattr(self, key))
            if parts and len(parts) != len(value):
                raise ArgumentError(
                    f"load_state_dict: {name} has {len(parts)} schedules, got {len(value)}"
                )
        for key, value in state_dict.items():
            mine = getattr(self, key)
            if isinstance(mine, LRScheduler):
                mine.load_state_dict(value)
            elif parts := _schedules(mine):
                for part, inner in zip(parts, value, strict=True):
                    part.load_state_dict(inner)
            else:
                setattr(self, key, list(value) if isinstance(value, list) else value)


def _schedules(value: Any) -> list[LRScheduler]:
    """The schedules in a list of them."""
    if isinstance(value, list) and value and all(isinstance(v, LRScheduler) for v in value):
        return value
    return []


def _is_fixed(value: Any) -> bool:
    """Whether a value is no state: the optimizer, or functions."""
    inside = value if isinstance(value, list | tuple) and value else [value]
    return isinstance(value, Optimizer) or all(map(callable, inside))


def _saved(value: Any) -> Any:
    if isinstance(value, LRScheduler):
        return value.state_dict()
    if parts := _schedules(value):
        return [part.state_dict() for part in parts]
    return list(value) if isinstance(value, list) else value


# -- arguments ----------------------------------------------------------------------------------


def outside_capture(schedule: LRScheduler) -> None:
    """Raise in a captured function, which would freeze the numbers."""
    STATE.execution.forbid(
        f"{type(schedule).__name__}.step: a schedule computes with Python numbers, which a "
        "captured function would freeze; call it outside, the captured step follows the "
        "learning rate"
    )


def require_optimizer(schedule: LRScheduler, optimizer: Any) -> Optimizer:
    """The optimizer, if it is one."""
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError(
            f"{type(schedule).__name__}: an optimizer is required, got {type(optimizer).__name__}"
        )
    return optimizer


def count(schedule: LRScheduler, name: str, value: Any, least: int = 1) -> int:
    """An argument that must be an integer from `least`: NumPy's, too, or a whole float (10 / 2)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ArgumentError(
            f"{type(schedule).__name__}: {name} must be an integer from {least}, got {value!r}"
        )
    return int(value)


def positive(schedule: LRScheduler, name: str, value: float, high: float = math.inf) -> float:
    """An argument that must be above 0, and at most `high`."""
    if not 0 < value <= high:
        limit = "" if high == math.inf else f" and at most {high:g}"
        raise ArgumentError(
            f"{type(schedule).__name__}: {name} must be above 0{limit}, got {value}"
        )
    return float(value)


def each(schedule: LRScheduler, name: str, value: Any, optimizer: Optimizer) -> Any:
    """An argument that is one for all groups, or a list of one for each."""
    if not isinstance(value, list | tuple):
        return value
    if len(value) != len(require_optimizer(schedule, optimizer).param_groups):
        raise _wrong_number(schedule, name, len(value), len(optimizer.param_groups))
    return list(value)


def of_group(schedule: LRScheduler, name: str, value: Any, i: int) -> Any:
    """The value of such an argument for group `i`, which may have been added later."""
    if not isinstance(value, list):
        return value
    if i >= len(value):
        raise _wrong_number(schedule, name, len(value), len(schedule._groups))
    return value[i]


def _wrong_number(schedule: LRScheduler, name: str, given: int, groups: int) -> ArgumentError:
    return ArgumentError(
        f"{type(schedule).__name__}: one {name} or one for each group is required, got {given} "
        f"for {groups} groups"
    )


__all__ = ["LRScheduler"]
