"""Optimizers that scripts write themselves: any settings, any state, any keys in a group."""

import pytest

import backlit.torch as torch
from backlit import optim
from backlit.array_api.dialects import SPOKEN
from backlit.errors import ArgumentError, DTypeError
from backlit.nn import Parameter


class Slow(torch.optim.Optimizer):
    """Steps every `every`-th time, by `lr` times the sign of what `betas` has smoothed."""

    def __init__(self, params, lr=0.1, betas=(0.5, 0.9), every=2, mode="sign", table=None):
        defaults = dict(lr=lr, betas=betas, every=every, mode=mode, table=table or {"a": 1})  # noqa: C408
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            assert type(group["every"]) is int
            for p in group["params"]:
                state = self.state[p]
                if len(state) == 0:
                    state["step"] = 0
                    state["mean"] = torch.zeros_like(p)
                state["step"] += 1
                state["mean"].mul_(group["betas"][0]).add_(p.grad, alpha=1 - group["betas"][0])
                if state["step"] % group["every"] == 0:
                    p.add_(state["mean"].sign(), alpha=-group["lr"])


def test_any_settings_and_a_schedule():
    p = Parameter(torch.tensor([1.0, -1.0]))
    optimizer = Slow([{"params": [p], "name": "mine"}])
    schedule = optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    for _ in range(4):
        optimizer.zero_grad()
        (p * p).sum().backward()
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["name"] == "mine"
    assert optimizer.param_groups[0]["table"] == {"a": 1}
    assert p.tolist() == pytest.approx([1 - 0.05 - 0.0125, -1 + 0.05 + 0.0125])
    saved = optimizer.state_dict()
    other = Slow([p], lr=7.0)
    other.load_state_dict(saved)
    assert other.param_groups[0]["lr"] == 0.1 / 16
    assert other.state[p]["step"] == 4


def test_what_is_ours_is_checked_as_before(monkeypatch):
    p = Parameter(torch.tensor([1.0]))
    with pytest.raises(DTypeError, match="lr must be a number, got 'x'"):
        Slow([p], lr="x")
    with pytest.raises(DTypeError, match="momentum must be a number"):
        optim.SGD([p], lr=0.1, momentum="x")
    monkeypatch.setattr(SPOKEN, "pytorch", False)
    with pytest.raises(ArgumentError, match="a group has 'params' and any of"):
        optim.SGD([{"params": [p], "nme": 1}], lr=0.1)
