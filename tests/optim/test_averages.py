"""Averages of parameters over training, the schedule that goes with them, and statistics anew."""

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim
from backlit.compiler.api import interpreter
from backlit.errors import ArgumentError
from backlit.optim import swa_utils

rng = np.random.default_rng(0)


def model():
    return nn.Sequential(nn.Linear(3, 2, dtype="float64"), nn.BatchNorm1d(2, dtype="float64"))


def randomize(net):
    for t in (*net.parameters(), net[1].running_mean):
        t.assign(rng.normal(size=t.shape))


def ema(a, b, n):
    return b if n == 0 else 0.9 * a + 0.1 * b


def mean(a, b, n):
    return a + (b - a) / (n + 1)


WAYS = [
    ({}, mean),
    ({"multi_avg_fn": swa_utils.get_swa_multi_avg_fn()}, mean),
    ({"avg_fn": swa_utils.get_ema_avg_fn(0.9)}, ema),
    ({"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.9), "use_buffers": True}, ema),
]


@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize(("options", "formula"), WAYS)
def test_an_average_is_what_its_formula_says(options, formula, captured) -> None:
    net = model()
    average = swa_utils.AveragedModel(net, **options)
    assert average.module is not net
    update = lambda: average.update_parameters(net)  # noqa: E731
    if captured:
        update = bl.compile(update, executor=interpreter)
    want = buffer = None
    for n in range(4):
        randomize(net)
        now = [p.numpy() for p in net.parameters()]
        want = now if n == 0 else [formula(a, b, n) for a, b in zip(want, now, strict=True)]
        moved = net[1].running_mean.numpy()
        averaged = n > 0 and options.get("use_buffers")
        buffer = formula(buffer, moved, n) if averaged else moved
        update()
    assert average.n_averaged.item() == 4
    for p, value in zip(average.module.parameters(), want, strict=True):
        np.testing.assert_allclose(p.numpy(), value, rtol=1e-14)
        assert p.requires_grad
    np.testing.assert_allclose(average.module[1].running_mean.numpy(), buffer, rtol=1e-14)
    x = bl.tensor(rng.normal(size=(5, 3)))
    assert average.eval()(x).tolist() == average.module(x).tolist()
    assert "module.0.weight" in average.state_dict()


def test_statistics_are_those_of_the_whole_data() -> None:
    net = model()
    rows = rng.normal(size=(12, 3))
    loader = [(bl.tensor(rows[i : i + 4]), None) for i in (0, 4, 8)]
    net.eval()
    net[0].train()
    swa_utils.update_bn(loader, net)
    y = net[0](bl.tensor(rows)).numpy()
    np.testing.assert_allclose(net[1].running_mean.numpy(), y.mean(0), rtol=1e-12)
    parts = np.mean([y[i : i + 4].var(0, ddof=1) for i in (0, 4, 8)], axis=0)
    np.testing.assert_allclose(net[1].running_var.numpy(), parts, rtol=1e-12)
    assert [m.training for m in net.modules()] == [False, True, False]
    assert net[1].momentum == 0.1
    swa_utils.update_bn(iter(()), nn.Linear(2, 2))  # nothing to do


def test_what_does_not_fit_is_named() -> None:
    opt = optim.SGD([bl.tensor([1.0], requires_grad=True)], lr=0.1)
    with pytest.raises(
        ArgumentError, match="SWALR: anneal_strategy must be 'cos' or 'linear', got"
    ):
        swa_utils.SWALR(opt, 0.1, anneal_strategy="x")
    with pytest.raises(ArgumentError, match=r"get_ema_avg_fn: decay must lie in \[0, 1\], got 2"):
        swa_utils.get_ema_avg_fn(2)
    with pytest.raises(ArgumentError, match="AveragedModel: one function says the average, got"):
        swa_utils.AveragedModel(nn.Tanh(), avg_fn=mean, multi_avg_fn=mean)
