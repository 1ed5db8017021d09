"""Epochs over arrays in native code: the same bits as step by step, whatever the step is like."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

import backlit
from backlit import nn, optim
from backlit.compiler import get_threads, interpreter, native, set_threads
from backlit.compiler.plan.plan import Plan
from backlit.data import DataLoader, Subset, TensorDataset
from backlit.errors import ArgumentError, IndexRangeError, NonFiniteError, ShapeError, TraceError
from backlit.nn import functional as F
from backlit.train import Accuracy, Callback, Trainer

X = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, 40)
ORDER = np.stack([np.random.default_rng(i).permutation(40)[:8] for i in range(7)])


def network() -> nn.Module:
    backlit.manual_seed(3)
    return nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3)
    )


def training_step(model, executor=native):
    optimizer = optim.Adam(model.parameters(), lr=0.02)

    @backlit.compile(executor=executor)
    def step(x, y):
        scores = model(x)
        loss = F.cross_entropy(scores, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, {"scores": scores, "kind": "training"}

    return step


def values(model):
    return [t.numpy().copy() for t in model.state_dict().values()]


def step_by_step(executor=native):
    model = network()
    step = training_step(model, executor)
    results = [step(backlit.asarray(X[rows]), backlit.asarray(Y[rows])) for rows in ORDER]
    losses = np.array([loss.item() for loss, _ in results], np.float32)
    return losses, np.stack([r["scores"].numpy() for _, r in results]), values(model)


@pytest.mark.parametrize("executor", [native, interpreter])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_an_epoch_gives_the_bits_of_its_steps(executor, threads):
    before = get_threads()
    set_threads(threads)
    try:
        losses, scores, expected = step_by_step(executor)
        model = network()
        step = training_step(model, executor)
        first, _ = step.epoch(ORDER[:2], X, Y)
        rest, results = step.epoch(ORDER[2:], X, Y)
    finally:
        set_threads(before)
    assert np.array_equal(np.concatenate([first.numpy(), rest.numpy()]), losses)
    assert np.array_equal(results["scores"].numpy(), scores[2:])
    assert results["kind"] == "training"
    for got, want in zip(values(model), expected, strict=True):
        assert np.array_equal(got, want)


def test_results_that_are_inputs_parameters_or_given_twice_are_right_at_every_step():
    weight = backlit.tensor([1.0, 2.0])

    @backlit.compile
    def step(x):
        weight.assign(weight + x.sum(axis=0))
        doubled = 2 * x
        return x, weight, doubled, doubled, backlit.ones(2)

    data = np.arange(8.0, dtype=np.float32).reshape(4, 2)
    x, after, twice, again, ones = step.epoch([[0, 1], [3, 3], [2, 0]], data)
    picked = data[[[0, 1], [3, 3], [2, 0]]]
    assert np.array_equal(x.numpy(), picked)
    assert np.array_equal(after.numpy(), np.cumsum(picked.sum(axis=1), axis=0) + np.array([1, 2]))
    assert np.array_equal(weight.numpy(), after.numpy()[-1])
    assert np.array_equal(twice.numpy(), 2 * picked)
    assert np.array_equal(again.numpy(), 2 * picked)
    assert np.array_equal(ones.numpy(), np.ones((3, 2)))


def test_an_op_that_numpy_runs_and_a_gradient_that_adds_up():
    weight = backlit.tensor([1.0, -1.0], requires_grad=True)

    @backlit.compile
    def step(x):
        (weight * x).sum().backward()
        return backlit.argsort(x.reshape(-1))

    data = np.array([[3.0, 1.0], [0.0, 5.0], [2.0, 2.0]], np.float32)
    order = np.array([[0, 1], [2, 1], [0, 0]])
    places = step.epoch(order, data)
    expected = [np.argsort(data[rows].reshape(-1), kind="stable") for rows in order]
    assert np.array_equal(places.numpy(), np.stack(expected))
    assert np.array_equal(weight.grad.numpy(), data[order].sum(axis=(0, 1)))


def test_a_captured_function_cannot_run_an_epoch():
    total = backlit.compile(lambda x: x.sum())
    outer = backlit.compile(lambda x: total.epoch([[0, 1]], x))
    with pytest.raises(TraceError, match="a captured function cannot run the epoch of another"):
        outer(backlit.arange(4.0))


def test_arrays_are_not_kept_alive():
    step = backlit.compile(lambda x: x.sum())
    data = np.ones((100, 3), np.float32)
    watched = weakref.ref(data)
    step.epoch([[0, 1]], data)
    del data
    assert watched() is None


def test_an_index_that_lies_outside_changes_nothing():
    table = backlit.ones((5, 2), dtype=backlit.float32)
    table.requires_grad = True
    optimizer = optim.SGD([table], lr=1.0)

    @backlit.compile
    def step(i):
        loss = backlit.take(table, i, axis=0).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    step(backlit.asarray([0, 1]))
    before = table.numpy().copy()
    with pytest.raises(IndexRangeError, match="an index lies outside its axis"):
        step(backlit.asarray([3, 7]))
    assert np.array_equal(table.numpy(), before)
    assert step(backlit.asarray([0, 1])).item() == 0


@pytest.mark.parametrize(
    ("order", "arrays", "error", "match"),
    [
        ([0, 1], [X], ArgumentError, r"order must be whole numbers of shape \(steps, batch\)"),
        (np.zeros((0, 2), np.int64), [X], ArgumentError, "at least one step"),
        ([[0.5]], [X], ArgumentError, "order must be whole numbers"),
        ([[0, 40]], [X], IndexRangeError, r"row numbers must lie in \[0, 40\), got 40"),
        ([[0, -1]], [X], IndexRangeError, r"row numbers must lie in \[0, 40\), got -1"),
        ([[0]], [X, Y[:3]], ShapeError, "all arrays must have equally many rows"),
        ([[0]], [], ShapeError, "equally many rows, got none"),
        ([[0]], [np.float32(1)], ShapeError, "equally many rows"),
    ],
)
def test_bad_arguments(order, arrays, error, match):
    with pytest.raises(error, match=match):
        backlit.compile(lambda *x: x[0].sum()).epoch(order, *arrays)


# -- the Trainer ------------------------------------------------------------------------------


class Watch(Callback):
    """Looks at every step, so that there are no portions."""

    def __init__(self):
        self.losses = []

    def on_step_end(self, trainer, loss):
        self.losses.append(loss)


def trained(t, data, epochs):
    """Train with the same random numbers each time."""
    backlit.manual_seed(11)
    return t.fit(data, epochs=epochs)


def trainer(callbacks=(), lr=0.02, **options):
    model = network()
    return Trainer(
        model,
        nn.CrossEntropyLoss(),
        optim.Adam(model.parameters(), lr=lr),
        metrics=[Accuracy()],
        callbacks=callbacks,
        progress="quiet",
        **options,
    )


def loader(data=(X, Y), **options):
    return DataLoader(TensorDataset(*data), 6, shuffle=True, seed=5, **options)


@pytest.mark.slow
def test_portions_change_no_bit_of_a_training():
    watch = Watch()
    many, single = trainer(), trainer([watch])
    assert trained(many, loader(), 5) == trained(single, loader(), 5)
    assert len(watch.losses) == many.steps == single.steps == 35
    for a, b in zip(values(many.model), values(single.model), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.slow
def test_most_steps_run_without_python(monkeypatch):
    monkeypatch.setattr("backlit.train.portions.REFRESH", 1e9)  # however slow this machine is
    lengths = []
    rows = DataLoader.rows
    monkeypatch.setattr(
        DataLoader, "rows", lambda *a: (lengths.append(r.shape) or r for r in rows(*a))
    )
    trainer().fit(loader(), epochs=4)
    assert lengths[-2:] == [(6, 6), (1, 4)]
    del lengths[:]
    trainer([Watch()]).fit(loader())
    assert lengths == []


@pytest.mark.slow
@pytest.mark.parametrize("bad", [0, 17, 38])
def test_a_loss_that_is_not_finite_amid_a_portion(bad):
    x = X.copy()
    x[bad] = np.inf
    many, single = trainer(), trainer([Watch()])
    messages = []
    for t in (many, single):
        trained(t, loader(), 3)  # long portions from here on
        with pytest.raises(NonFiniteError, match="in epoch 4") as raised:
            trained(t, loader((x, Y)), 4)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]
    assert many.steps == single.steps
    for a, b in zip(values(many.model), values(single.model), strict=True):
        assert np.array_equal(a, b)
        assert np.isfinite(a).all()


def test_checkpoints_amid_an_epoch_are_where_they_should_be(tmp_path):
    t = trainer(checkpoints=tmp_path, checkpoint_steps=3)
    saved = []
    t.save = lambda *a, **k: saved.append(t.steps)
    t.fit(loader(), epochs=4)
    assert saved == [3, 6, 7, 9, 12, 14, 15, 18, 21, 21, 24, 27, 28]


def test_the_rows_of_a_loader_are_its_batches():
    data = Subset(Subset(TensorDataset(X, Y), range(1, 30)), range(20, 3, -1))
    for options in ({"shuffle": True}, {"sampler": [3, -1, 0, 2, 2, -17, 5]}, {"drop_last": True}):
        batches, numbers = (DataLoader(data, 4, seed=2, **options) for _ in range(2))
        for _ in range(2):  # two epochs: the generator goes on alike
            wanted = [y.numpy().tolist() for _, y in batches]
            rows = [r for part in numbers.rows(lambda: 3) for r in part]
            assert [Y[r].tolist() for r in rows] == wanted
            assert numbers.state_dict() == batches.state_dict()


def test_rows_go_on_where_a_saved_state_stands():
    wanted = [r.tolist() for r in loader().rows(lambda: 1)]
    first = loader()
    parts = first.rows(lambda: 2)
    next(parts)
    next(parts)
    second = loader()
    second.load_state_dict(first.state_dict())
    assert [r.tolist() for r in second.rows(lambda: 1)] == wanted[4:]


def test_rows_need_rows():
    squares = DataLoader([(1.0, 2.0)], 1)
    assert squares.tensors is None
    with pytest.raises(ArgumentError, match="the dataset must be a TensorDataset"):
        squares.rows(lambda: 1)
    assert DataLoader(TensorDataset(X), collate_fn=list).tensors is None


@pytest.mark.parametrize("clear", ["before", "after", "never"])
def test_where_gradients_are_cleared_decides_whether_steps_need_python(clear, monkeypatch) -> None:
    """After the update nothing is left to add to; never cleared, every step is looked at."""

    def setup():
        backlit.manual_seed(0)
        layer = nn.Linear(3, 2)
        optimizer = optim.SGD(layer.parameters(), lr=0.1)

        def step(x):
            loss = (layer(x) ** 2).mean()
            if clear == "before":
                optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if clear == "after":
                optimizer.zero_grad()
            return loss

        return layer, backlit.compile(step)

    x = backlit.random.normal((6, 3))
    order = np.arange(6).reshape(3, 2)
    one, single = setup()
    losses = [single(x[rows.tolist()]).numpy() for rows in order]
    many, whole = setup()
    whole.epoch(order[:1], x)
    _, repeated = setup()
    repeated(x)
    calls = []
    run = Plan._run

    def counted(plan, turns, *leaves):
        calls.append(turns)
        return run(plan, turns, *leaves)

    monkeypatch.setattr(Plan, "_run", counted)
    rest = whole.epoch(order[1:], x).numpy()
    np.testing.assert_array_equal(rest, losses[1:])
    assert sum(calls) == 2
    repeated.repeat(6, x)
    assert sum(calls) == 8
    assert (len(calls) < 8) == (clear != "never")
    np.testing.assert_array_equal(many.weight.numpy(), one.weight.numpy())
