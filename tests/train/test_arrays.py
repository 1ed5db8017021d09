"""Arrays as data, weights, and the learning-rate range test."""

import random

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

import backlit
from backlit import nn, optim
from backlit.data import DataLoader, TensorDataset
from backlit.errors import ArgumentError, ShapeError
from backlit.train import Trainer, class_weights

RNG = np.random.default_rng(7)
X = RNG.normal(size=(50, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


def trainer(loss_fn=None, lr=0.1, dropout=0.0, **options):
    backlit.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Dropout(dropout), nn.Linear(6, 2))
    options.setdefault("progress", "quiet")
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    return Trainer(model, loss_fn or nn.CrossEntropyLoss(), optimizer, **options)


def bits(model):
    return {n: t.numpy().tobytes() for n, t in model.state_dict().items()}


# -- arrays -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_arrays_are_loaders_of_their_rows():
    arrays, loaders = trainer(), trainer()
    arrays.fit(X, Y, epochs=2, batch_size=8, validation_data=(X, Y), seed=3)
    loaders.fit(
        DataLoader(TensorDataset(X, Y), 8, shuffle=True, seed=3),
        DataLoader(TensorDataset(X, Y), 8),
        epochs=2,
    )
    assert arrays.history == loaders.history
    assert bits(arrays.model) == bits(loaders.model)


@pytest.mark.slow
def test_another_fit_of_the_same_arrays_goes_on_and_compiles_nothing():
    once, twice = trainer(), trainer()
    once.fit(X, Y, epochs=4, batch_size=10, validation_split=0.2)
    twice.fit(X, Y, epochs=2, batch_size=10, validation_split=0.2)
    graphs = len(twice._step.updating.graphs)
    twice.fit(X, Y, epochs=4, batch_size=10, validation_split=0.2)
    assert twice.history == once.history
    assert len(twice._step.updating.graphs) == graphs == 1


def test_the_split_is_drawn_from_the_seed_and_loses_no_row():
    seen = {}

    def batches(t):
        loader, validation = t
        train = np.concatenate([b[0].numpy()[:, 0] for b in loader])
        return sorted(train), [v for b in validation for v in b[0].numpy()[:, 0]]

    for seed in (1, 1, 2):
        t = trainer()
        train, test = batches(t._of_arrays((X, Y, None, None), (10, 0.3, seed)))
        assert len(test) == 15
        assert np.allclose(sorted([*train, *test]), np.sort(X[:, 0]))
        seen.setdefault(seed, []).append(test)
    assert seen[1][0] == seen[1][1] != seen[2][0]


def test_arrays_of_every_shape_of_data():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(3, 2)

        def forward(self, a, b):
            return self.inner(a + b)

    def made(**options):
        model = Two()
        return Trainer(
            model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), 0.1), progress="quiet",
            compile=False, **options,
        )  # fmt: skip

    assert "validation_loss" in made().fit((X, X), Y, validation_split=0.2)[0]
    assert made().fit({"a": X, "b": X, "label": Y}, validation_split=0.2)[0]["validation_loss"] > 0
    weights = np.ones(50, np.float32)
    t = made(weighted=True)
    t.fit((X, X), Y, sample_weight=weights, validation_split=0.2)
    plain = trainer(weighted=True, compile=False)
    plain.fit(X, Y, sample_weight=weights, validation_data=(X, Y))
    assert plain.evaluate([(X, Y, weights)]) == pytest.approx(
        {"loss": plain.history[0]["validation_loss"]}, rel=1e-5
    )


def test_arrays_that_cannot_be_trained_on_are_refused():
    t = trainer()
    cases = [
        ((X, Y), {"validation_split": 1.0}, r"validation_split must lie in \[0, 1\), got 1.0"),
        (((X, Y),), {}, r"got a tuple of 2, all of them inputs; write fit\(X, y\), or for an auto"),
        ((X, Y), {"sample_weight": Y}, r"sample_weight needs Trainer\(\.\.\., weighted=True\)"),
        ((X, Y), {"validation_split": 0.2, "validation_data": (X, Y)}, "got both; leave one out"),
        ((X[:1], Y[:1]), {"validation_split": 0.2}, "needs at least two examples, got 1"),
        (
            ([(X, Y)],),
            {"validation_split": 0.2},
            "are for arrays, got a sequence|are for arrays, got",
        ),
    ]
    for arguments, options, message in cases:
        with pytest.raises(ArgumentError, match=message):
            t.fit(*arguments, **options)
    with pytest.raises(ShapeError, match=r"equally many rows, got float32\[50,3\] and int64\[49\]"):
        t.fit(X, Y[:49])
    with pytest.raises(
        ArgumentError, match="weighted=True needs the weights of the examples: sample"
    ):
        trainer(weighted=True).fit(X, Y)
    with pytest.raises(
        ArgumentError, match="arrays must have an axis of examples, got a single num"
    ):
        t.predict(np.array(3.0))


# -- weights of classes -------------------------------------------------------------------------


def test_weights_of_classes_are_scikit_learn_s():
    labels = RNG.integers(0, 4, 30)
    expected = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
    assert np.allclose(class_weights(labels).numpy(), expected)
    assert class_weights([0, 0, 2, -100], 4).tolist() == pytest.approx([0.75, 0, 1.5, 0])
    for labels, options, message in (
        ([0.5], {}, r"labels must be integers, got float32\[1\]"),
        ([-1], {}, "there must be at least one label, got none"),
        ([0, 3], {"classes": 3}, "classes must be an integer of at least 4, got 3"),
    ):
        with pytest.raises(ArgumentError, match=message):
            class_weights(labels, **options)


# -- the range test -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("options", [{}, {"accumulate": 2, "ema": 0.9}], ids=["plain", "more"])
def test_the_range_test_leaves_everything_as_it_was(compiled, options):
    def run(looks):
        t = trainer(compile=compiled, dropout=0.1, **options)
        loader = DataLoader(TensorDataset(X, Y), 5, shuffle=True)
        history = list(t.fit(loader, epochs=1))
        if looks:
            found = t.find_lr(loader, lowest=1e-4, steps=40)
            assert len(found.rates) > 20
        return history + t.fit(loader, epochs=3), bits(t.model), t.steps

    assert run(True) == run(False)


@pytest.mark.slow
def test_the_suggestion_is_a_rate_that_learns():
    t = trainer()
    loader = DataLoader(TensorDataset(X, Y), 10, shuffle=True)
    found = t.find_lr(loader, lowest=1e-6, highest=100.0)
    assert found.rates[0] == pytest.approx(1e-6)
    ratios = np.diff(np.log(found.rates))
    assert np.allclose(ratios, ratios[0])
    assert 1e-3 < found.suggestion < 5
    assert "suggestion: " in repr(found)
    fast, slow = (trainer(lr=lr) for lr in (found.suggestion, found.suggestion / 1000))
    for t in (fast, slow):
        t.fit(loader, epochs=5)
    assert fast.history[-1]["loss"] < slow.history[-1]["loss"]


def test_the_range_test_puts_back_the_random_numbers_of_python_and_numpy():
    class Drawing:
        def __iter__(self):
            yield X + random.random() + np.random.normal(), Y

    before = random.getstate(), np.random.get_state()[1].tolist(), np.random.get_state()[2:]
    trainer(compile=False).find_lr(Drawing(), steps=3)
    after = random.getstate(), np.random.get_state()[1].tolist(), np.random.get_state()[2:]
    assert after == before


def test_the_range_test_of_what_does_not_learn():
    t = trainer(lambda p, y: (p * 0).sum() + 1.0, compile=False)
    found = t.find_lr([(X, Y)], steps=20)
    assert found.suggestion is None
    assert "none: no loss fell" in repr(found)
    assert found.losses == [1.0] * 20


def test_range_test_errors():
    t = trainer(compile=False)
    for options, message in (
        ({"lowest": 0.0}, "0 < lowest < highest must hold, got 0 and 10"),
        ({"lowest": 1.0, "highest": 0.1}, "must hold, got 1 and 0.1"),
        ({"steps": 1}, "steps must be an integer of at least 2, got 1"),
    ):
        with pytest.raises(ArgumentError, match=message):
            t.find_lr([(X, Y)], **options)
    with pytest.raises(ArgumentError, match="give batches again and again; a list_iterator gives"):
        t.find_lr(iter([(X, Y)]))
    bad = np.full_like(X, np.nan)
    with pytest.raises(ArgumentError, match="the first loss must be finite, got nan with the rate"):
        t.find_lr([(bad, Y)])
