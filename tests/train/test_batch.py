"""What a batch may be: tuples, dicts, several targets, arrays; and what is predicted of it."""

from collections import UserDict

import numpy as np
import pytest

import backlit
from backlit import nn, optim
from backlit.data import DataLoader, TensorDataset
from backlit.errors import ArgumentError, ShapeError
from backlit.train import Accuracy, Trainer
from backlit.train.batch import as_batch, split

RNG = np.random.default_rng(3)
X = RNG.normal(size=(40, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


def linear(outputs=2, inputs=4):
    backlit.manual_seed(1)
    return nn.Linear(inputs, outputs)


def trainer(model, loss_fn=None, **options):
    options.setdefault("progress", "quiet")
    return Trainer(model, loss_fn, optim.SGD(model.parameters(), 0.1), **options)


def dicts(*names, size=10):
    """Batches as dicts of X and Y under these names."""
    return [
        dict(zip(names, (X[i : i + size], Y[i : i + size]), strict=True))
        for i in range(0, len(X), size)
    ]


def reference(epochs=2):
    """The history and weights of the same training with tuples as batches."""
    model = linear()
    t = trainer(model, nn.CrossEntropyLoss(), metrics=["accuracy"])
    return t.fit([(X[i : i + 10], Y[i : i + 10]) for i in range(0, 40, 10)], epochs=epochs), model


class Named(nn.Module):
    """A model that takes keyword arguments, as Hugging Face's do, and maybe returns its loss."""

    def __init__(self, form="logits"):
        super().__init__()
        self.inner = linear()
        self.form = form

    def forward(self, input_values=None, labels=None):
        logits = self.inner(input_values)
        if self.form == "logits":
            return logits
        loss = nn.functional.cross_entropy(logits, labels)
        return {
            "loss": loss, "tuple": (loss, logits), "dict": {"loss": loss, "logits": logits},
        }[self.form]  # fmt: skip


# -- dicts --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [True, False])
def test_a_dict_is_arguments_by_name_and_a_target(compiled):
    history, weights = reference()
    for batches, targets in (
        (dicts("input_values", "labels"), None),
        ([UserDict(b) for b in dicts("input_values", "label")], None),
        (dicts("input_values", "sort"), "sort"),
    ):
        t = trainer(
            Named(), nn.CrossEntropyLoss(), metrics=["accuracy"], targets=targets, compile=compiled
        )
        assert t.fit(batches, epochs=2) == [pytest.approx(r, rel=1e-5) for r in history]
        assert np.allclose(t.model.inner.weight.numpy(), weights.weight.numpy(), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["loss", "tuple", "dict"])
def test_a_model_that_returns_its_loss(form):
    history, _ = reference()
    metrics = [] if form == "loss" else ["accuracy"]
    t = trainer(Named(form), metrics=metrics)
    batches = dicts("input_values", "labels")
    found = t.fit(batches, batches, epochs=2)
    assert found[1]["loss"] == pytest.approx(history[1]["loss"], rel=1e-5)
    if metrics:
        assert found[1]["accuracy"] == history[1]["accuracy"]
    assert found[1]["validation_loss"] == t.evaluate(batches)["loss"]


def test_a_loader_of_dicts():
    t = trainer(Named(), nn.CrossEntropyLoss())
    examples = [{"input_values": x, "labels": y} for x, y in zip(X, Y, strict=True)]
    history = t.fit(DataLoader(examples, 10), epochs=2)
    assert history == [
        pytest.approx({k: r[k] for k in ("epoch", "lr", "loss")}, rel=1e-5) for r in reference()[0]
    ]


# -- several targets ----------------------------------------------------------------------------


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.classes, self.number = linear(), linear(1)

    def forward(self, x):
        return self.classes(x), self.number(x)


def both(prediction, target):
    labels, number = target if isinstance(target, tuple) else target.values()
    loss = nn.functional.cross_entropy(prediction[0], labels)
    return loss + nn.functional.mse_loss(prediction[1], number)


@pytest.mark.slow
def test_several_targets_in_every_form():
    n = X[:, 1:2]
    forms = {
        "flat": ([(X, Y, n)], 2),
        "nested": ([(X, (Y, n))], None),
        "dict": ([{"x": X, "y": Y, "n": n}], ("y", "n")),
        "rows": (DataLoader(TensorDataset(X, Y, n), 40), 2),
    }

    def hits(prediction, target):
        labels = target["y"] if isinstance(target, dict) else target[0]
        return (prediction[0].argmax(axis=1) == labels).astype(backlit.float32).mean()

    results = {}
    for form, (batches, targets) in forms.items():
        t = trainer(TwoHeads(), both, targets=targets, metrics={"hits": hits})
        results[form] = t.fit(batches, epochs=3)[-1]
    assert results["flat"]["hits"] > 0
    assert all(r == pytest.approx(results["flat"], rel=1e-5) for r in results.values())


def test_a_metric_of_two_outputs_says_how_to_choose():
    t = trainer(TwoHeads(), both, targets=2, metrics=[Accuracy()], compile=False)
    with pytest.raises(
        ShapeError, match="accuracy: the prediction must be one Tensor, got a tuple"
    ):
        t.fit([(X, Y, X[:, 1:2])])


# -- one entry ----------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [True, False])
def test_one_entry_is_its_own_target(compiled):
    alone = trainer(linear(4), nn.MSELoss(), compile=compiled)
    explicit = trainer(linear(4), nn.MSELoss(), compile=compiled)
    alone.fit(DataLoader(TensorDataset(X), 10), epochs=3)
    explicit.fit(DataLoader(TensorDataset(X, X), 10), epochs=3)
    assert alone.history == [pytest.approx(r, rel=1e-6) for r in explicit.history]
    assert alone.history[2]["loss"] < alone.history[0]["loss"]


# -- weights of examples ------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [True, False])
def test_an_example_that_counts_twice_is_one_that_is_there_twice(compiled):
    loss_fn = nn.CrossEntropyLoss(backlit.tensor([1.0, 3.0]), ignore_index=1)
    for loss in (nn.CrossEntropyLoss(), loss_fn, nn.MSELoss()):
        target = X[:, :2] if isinstance(loss, nn.MSELoss) else Y
        w = np.ones(40, np.float32)
        w[:5], w[5:8] = 2, 0
        twice = np.r_[np.arange(5), np.arange(5), np.arange(8, 40)]
        weighted = trainer(linear(), loss, weighted=True, compile=compiled)
        weighted.fit([(X, target, w)], epochs=2)
        repeated = trainer(linear(), loss, compile=compiled)
        repeated.fit([(X[twice], target[twice])], epochs=2)
        assert weighted.history == [pytest.approx(r, rel=1e-5) for r in repeated.history]
        named = trainer(Renamed(), loss, weighted=True, compile=compiled)
        named.fit([{"x": X, "target": target, "weights": w}], epochs=2)
        assert named.history == [pytest.approx(r, rel=1e-6) for r in weighted.history]


class Renamed(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = linear()

    def forward(self, x):
        return self.inner(x)


def test_weights_that_do_not_fit_are_refused():
    def fitted(batch, loss_fn=None, **options):
        t = trainer(linear(), loss_fn or nn.CrossEntropyLoss(), weighted=True, compile=False)
        t.fit([batch])

    with pytest.raises(ShapeError, match=r"one weight for each example, got .*\[39\] for .*\[40\]"):
        fitted((X, Y, np.ones(39, np.float32)))
    with pytest.raises(ArgumentError, match=r"need a loss with reduction='mean', as nn\.CrossEntr"):
        fitted((X, Y, np.ones(40, np.float32)), lambda p, t: p.mean())
    with pytest.raises(
        ArgumentError, match="the last entry of a batch must be the examples' weigh"
    ):
        fitted((X,))
    with pytest.raises(ArgumentError, match="must have the examples' 'weights', got input, labels"):
        fitted({"input": X, "labels": Y})


# -- batches that are none ----------------------------------------------------------------------


def test_batches_that_are_none_are_named():
    for batch, message in (
        (X, "got an array alone; give the targets, too"),
        ((), "got an empty tuple; put both in"),
        ({}, "got an empty dict; put both in"),
        (3, "got int; put both in"),
    ):
        with pytest.raises(ArgumentError, match=f"a batch must be a tuple of .* {message}"):
            as_batch(batch)
    with pytest.raises(
        ArgumentError, match=r"under one of labels, label, .* got a, b; name it: Tr"
    ):
        split(as_batch({"a": X, "b": Y}))
    with pytest.raises(ArgumentError, match=r"under one of .*, got labels, label; name it"):
        split(as_batch({"labels": X, "label": Y}))
    with pytest.raises(ArgumentError, match="the batch must have the target 'c', got a, b"):
        split(as_batch({"a": X, "b": Y}), "c")
    with pytest.raises(
        ArgumentError, match="targets=2 counts entries of a tuple, got a dict with a"
    ):
        split(as_batch({"a": X, "b": Y}), 2)
    with pytest.raises(
        ArgumentError, match="targets='a' names entries of a dict, got a batch that"
    ):
        split(as_batch((X, Y)), "a")
    with pytest.raises(
        ArgumentError, match="with targets=2 a batch must have more entries than tha"
    ):
        split(as_batch((X, Y)), 2)
    for targets in (1.5, -1, [], [1], True):
        with pytest.raises(
            ArgumentError, match="targets must be how many of a batch's last entries"
        ):
            trainer(linear(), nn.MSELoss(), targets=targets)
    with pytest.raises(
        ArgumentError, match="without a loss_fn the model must return its loss, got"
    ):
        trainer(Silent()).fit([(X, Y)])
    with pytest.raises(
        ArgumentError, match=r"the loss must be a Tensor of one number, got float32"
    ):
        trainer(linear()).fit([(X,)])


class Silent(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = linear()

    def forward(self, x, y):
        return {"logits": self.inner(x)}


# -- predictions --------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [True, False])
def test_predictions_are_joined_over_batches_in_any_structure(compiled):
    class Everything(TwoHeads):
        def forward(self, x):
            labels, number = super().forward(x)
            return {"heads": (labels, [number]), "mean": number.mean(), "none": None}

    model = Everything()
    t = trainer(model, lambda p, y: p["mean"], compile=compiled)
    model.train()
    found = t.predict(X, batch_size=15)
    expected = model(backlit.tensor(X))
    assert np.allclose(found["heads"][0].numpy(), expected["heads"][0].numpy(), atol=1e-6)
    assert np.allclose(found["heads"][1][0].numpy(), expected["heads"][1][0].numpy(), atol=1e-6)
    assert found["mean"].shape == (3,)
    assert found["none"] is None
    assert not found["mean"].requires_grad
    assert model.training
    apart = t.predict(X, batch_size=15, stack=False)
    assert [p["heads"][0].shape for p in apart] == [(15, 2), (15, 2), (10, 2)]


def test_data_to_predict_comes_in_many_forms():
    t = trainer(linear(), nn.CrossEntropyLoss(), compile=False)
    expected = t.predict(X).numpy()
    for data in (
        TensorDataset(X),
        TensorDataset(X, Y),
        DataLoader(TensorDataset(X, Y), 7),
        [X[:20], X[20:]],
        [(X[:20], Y[:20]), (X[20:], Y[20:])],
        backlit.tensor(X),
        (X,),
    ):
        assert np.allclose(t.predict(data).numpy(), expected, atol=1e-6)
    named = trainer(Named(), nn.CrossEntropyLoss(), compile=False)
    for data in ({"input_values": X}, dicts("input_values", "labels")):
        assert np.allclose(named.predict(data).numpy(), expected, atol=1e-6)
    sums = trainer(Sum(), nn.MSELoss(), compile=False)
    assert np.allclose(sums.predict((X, X)).numpy(), 2 * X)
    assert np.allclose(sums.predict([(X, X)], targets=0).numpy(), 2 * X)


class Sum(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(backlit.ones(()))

    def forward(self, a, b):
        return (a + b) * self.scale


def test_predictions_that_cannot_be_joined_are_named():
    class Ragged(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(backlit.ones(()))

        def forward(self, x):
            return (x, x) if x.shape[1] > 4 else x[:, : x.shape[0]] * self.scale

    t = trainer(Ragged(), nn.MSELoss(), compile=False)
    with pytest.raises(
        ShapeError, match=r"one shape but for the first axis, got float32\[2,2\] and f"
    ):
        t.predict([X[:2], X[:3]])
    with pytest.raises(
        ShapeError, match="outputs of one structure for all batches, got 1 and 2 parts"
    ):
        t.predict([X[:2], np.ones((2, 5), np.float32)])
    assert len(t.predict([X[:2], X[:3]], stack=False)) == 2
    with pytest.raises(
        ArgumentError, match="predict: the data must have at least one batch, got no"
    ):
        t.predict([])
    with pytest.raises(ShapeError, match=r"equally many rows, got float32\[40,4\] and int64\[39\]"):
        t.predict({"a": X, "b": Y[:39]})
