"""Watching layers at every step: the numbers are those of the step, and nothing is changed."""

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim, see
from backlit.compiler.api import CompiledFunction
from backlit.data import DataLoader, TensorDataset
from backlit.errors import ArgumentError
from backlit.train import Callback, Trainer, Watch


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


# -- compiled steps, and the Trainer ---------------------------------------------------------------


def test_a_compiled_step_shows_weights_gradients_and_updates_but_no_outputs():
    net = make()
    optimizer = optim.SGD(net.parameters(), lr=0.1)

    @bl.compile
    def step(x):
        optimizer.zero_grad()
        (net(x) ** 2).mean().backward()
        optimizer.step()

    watch = see.watch(net, ["0"])
    for _ in range(2):  # the first call captures
        with watch:
            step(bl.ones((6, 3)))
        row = watch.rows[-1]["0"]
        assert (row["mean"], row["std"], row["zeros"]) == (None, None, None)
        assert row["update"] * row["weight"] == pytest.approx(0.1 * row["gradient"], rel=1e-3)


def vectors():
    rng = np.random.default_rng(1)
    return bl.tensor(rng.normal(size=(48, 3)).astype(np.float32)), bl.tensor(np.arange(48) % 2)


def trainer_with(callbacks, checkpoints=None):
    bl.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.3), nn.Linear(4, 2))
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    loader = DataLoader(TensorDataset(*vectors()), 16, shuffle=True, seed=0)
    loss_fn = nn.CrossEntropyLoss()
    options = {"callbacks": callbacks, "checkpoints": checkpoints, "progress": "quiet"}
    return Trainer(net, loss_fn, optimizer, **options), loader


@pytest.mark.slow
def test_as_a_callback_it_changes_no_bit_and_leaves_steps_native(monkeypatch):
    calls = []
    whole = CompiledFunction.epoch
    monkeypatch.setattr(CompiledFunction, "epoch", lambda *a: (calls.append(1), whole(*a))[1])
    watch = Watch(vectors(), every=2)
    runs = []
    for callbacks in ([], [watch]):
        trainer, loader = trainer_with(callbacks)
        trainer.fit(loader, epochs=4)
        runs.append(trainer)
        assert calls
        calls.clear()
    plain, watched = runs
    assert sorted(watch.rows) == [2, 4]
    assert None not in watch.rows[4]["0"].values()
    assert plain.history == watched.history
    for (n, a), b in zip(
        plain.model.state_dict().items(), watched.model.state_dict().values(), strict=True
    ):
        assert a.numpy().tobytes() == b.numpy().tobytes(), n
    assert all(p.grad is None for p in watched.model.parameters())


def test_the_callback_measures_updates_from_row_to_row():
    watch, weights = Watch(layers=["3"], every=2), []

    class Keep(Callback):
        def on_train_start(self, trainer):
            self.on_epoch_end(trainer, {})

        def on_epoch_end(self, trainer, record):
            layer = trainer.model[3]
            weights.append(np.concatenate([layer.weight.numpy().ravel(), layer.bias.numpy()]))

    trainer, loader = trainer_with([watch, Keep()])
    trainer.fit(loader, epochs=1)
    trainer.fit(loader, epochs=4)  # a second fit goes on
    weights.pop(2)  # its start
    assert sorted(watch.rows) == [2, 4]
    for epoch in (2, 4):
        row = watch.rows[epoch]["3"]
        before, after = weights[epoch - 2], weights[epoch]
        expected = np.linalg.norm(after - before) / np.linalg.norm(after)
        assert row["update"] == pytest.approx(expected, rel=1e-4)
        assert (row["mean"], row["gradient"]) == (None, None)


def test_the_callback_resumes_and_does_not_invent_an_update(tmp_path):
    whole, loader = trainer_with([first := Watch(every=2)])
    whole.fit(loader, epochs=6)
    for stop, known in ((2, True), (3, False)):
        early, loader = trainer_with([Watch(every=2)], tmp_path / str(stop))
        early.fit(loader, epochs=stop)
        late, loader = trainer_with([again := Watch(every=2)], tmp_path / str(stop))
        late.fit(loader, epochs=6, resume=True)
        assert again.rows[2] == first.rows[2]
        assert again.rows[6] == first.rows[6]
        assert (again.rows[4] == first.rows[4]) is known
        if not known:
            assert again.rows[4]["0"]["update"] is None
            assert again.rows[4]["0"]["weight"] == first.rows[4]["0"]["weight"]


def test_the_callback_refuses_what_makes_no_sense():
    with pytest.raises(ArgumentError, match=r"Watch: every must be a positive integer, got 0"):
        Watch(every=0)


@pytest.mark.parametrize("spread", [0.01, 0.0])
def test_a_small_spread_around_a_large_mean_is_seen(spread):
    net = nn.Linear(1, 1)
    net.weight.assign([[spread]])
    net.bias.assign([100.0])
    x = np.linspace(-1, 1, 1001, dtype=np.float32)[:, np.newaxis]
    watch = see.watch(net)
    with watch:
        y = net(bl.tensor(x)).numpy()
    expected = y.std(dtype=np.float64)
    assert watch.rows[-1]["Linear"]["std"] == pytest.approx(expected, rel=1e-3, abs=1e-9)
