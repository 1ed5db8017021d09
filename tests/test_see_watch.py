"""Watching layers at every step: the numbers are those of the step, and nothing is changed."""

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim, see
from backlit.errors import ArgumentError


def train(watching, net, steps=2):
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    x = bl.tensor(np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32))
    for _ in range(steps):
        with watching(net):
            loss = (net(x) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            before = {n: p.numpy() for n, p in net.named_parameters()}
            optimizer.step()
    return x, before


def make():
    bl.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))


def test_a_row_has_the_numbers_of_its_step():
    net = make()
    watch = see.watch(net)
    x, before = train(lambda net: watch, net)
    assert len(watch.rows) == 2
    row = watch.rows[-1]
    assert list(row) == ["0", "1", "2"]
    hidden = x.numpy() @ before["0.weight"].T + before["0.bias"]
    assert row["0"]["mean"] == pytest.approx(hidden.mean(), rel=1e-5)
    assert row["0"]["std"] == pytest.approx(hidden.std(), rel=1e-4)
    assert row["1"]["zeros"] == pytest.approx((hidden <= 0).mean())
    assert row["1"]["weight"] is None
    new = {n: p.numpy() for n, p in net.named_parameters()}
    both = [np.concatenate([d["2.weight"].ravel(), d["2.bias"]]) for d in (before, new)]
    size = np.linalg.norm(both[1])
    assert row["2"]["weight"] == pytest.approx(size, rel=1e-5)
    moved = np.linalg.norm(both[1] - both[0])
    assert row["2"]["update"] == pytest.approx(moved / size, rel=1e-3)
    grads = [p.grad.numpy().ravel() for p in (net[2].weight, net[2].bias)]
    assert row["2"]["gradient"] == pytest.approx(np.linalg.norm(np.concatenate(grads)), rel=1e-5)
    assert "step 2" in str(watch)


def test_weights_are_the_same_to_the_last_bit_as_without():
    import contextlib

    plain, watched = make(), make()
    train(lambda net: contextlib.nullcontext(), plain)
    watch = see.watch(watched, ["2"])
    train(lambda net: watch, watched)
    assert list(watch.rows[0]) == ["2"]
    for a, b in zip(plain.parameters(), watched.parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_without_a_block_there_are_no_outputs_and_a_failed_step_leaves_no_row():
    net = make()
    watch = see.watch(net)
    assert str(watch) == "No step was watched."
    with pytest.raises(KeyError), watch:
        raise KeyError
    assert not watch.rows
    row = watch.step()["0"]
    assert (row["mean"], row["gradient"], row["update"]) == (None, None, 0)


def test_arguments_that_make_no_sense():
    with pytest.raises(ArgumentError, match="watch: model must be a Module, got int"):
        see.watch(3)
    with pytest.raises(ArgumentError, match=r"watch: layers must be a list of .*; the model has 0"):
        see.watch(make(), ["fc1"])
