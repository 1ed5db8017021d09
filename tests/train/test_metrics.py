"""Metrics against numbers worked out by hand and by scikit-learn."""

import math

import numpy as np
import pytest
from sklearn import metrics as reference

import backlit
from backlit.errors import ArgumentError, IndexRangeError, ShapeError
from backlit.train import Accuracy, ConfusionMatrix, Mean, Metric, TopK

RNG = np.random.default_rng(5)
SCORES, LABELS = RNG.normal(size=(60, 4)), RNG.integers(0, 4, 60)


def gathered(metric, batches=3):
    for part in np.array_split(np.arange(len(LABELS)), batches):
        metric.update(backlit.tensor(SCORES[part]), backlit.tensor(LABELS[part]))
    return metric


def test_accuracy_over_batches():
    expected = reference.accuracy_score(LABELS, SCORES.argmax(axis=1))
    assert gathered(Accuracy()).compute() == pytest.approx(expected)
    assert gathered(Accuracy(), 1).compute() == gathered(Accuracy(), 7).compute()


def test_accuracy_of_single_scores_and_of_pixels():
    accuracy = Accuracy()
    accuracy.update(backlit.tensor([[1.0], [-1.0], [2.0]]), backlit.tensor([1, 1, 1]))
    assert accuracy.compute() == pytest.approx(2 / 3)
    probable = Accuracy(threshold=0.5)
    probable.update(backlit.tensor([0.4, 0.6]), backlit.tensor([0.0, 1.0]))
    assert probable.compute() == 1
    maps = Accuracy()
    maps.update(np.zeros((2, 3, 5, 5)), np.zeros((2, 5, 5), int))
    assert (maps.count, maps.compute()) == (50, 1.0)


def test_top_k_agrees_with_scikit_learn():
    for k in (1, 2, 3):
        expected = reference.top_k_accuracy_score(LABELS, SCORES, k=k)
        assert gathered(TopK(k)).compute() == pytest.approx(expected)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "float32"])
def test_top_k_of_scores_of_any_type(dtype):
    low, high = (0, 255) if dtype == "uint8" else (-128, 127)
    top = TopK(2)
    top.update(np.array([[low, 3, high, 4], [high, low, 3, 3]]).astype(dtype), np.array([3, 2]))
    assert top.compute() == 1.0


def test_confusion_matrix_agrees_with_scikit_learn():
    guesses = SCORES.argmax(axis=1)
    matrix = gathered(ConfusionMatrix(4))
    assert np.array_equal(matrix.counts, reference.confusion_matrix(LABELS, guesses))
    precision, recall, f1, _ = reference.precision_recall_fscore_support(LABELS, guesses)
    assert np.allclose(matrix.precision(), precision)
    assert np.allclose(matrix.recall(), recall)
    assert np.allclose(matrix.f1(), f1)
    assert matrix.compute() == pytest.approx(np.mean(guesses == LABELS))


def test_what_never_happened_is_nan_and_not_zero():
    assert math.isnan(Accuracy().compute())
    assert math.isnan(ConfusionMatrix(2).compute())
    matrix = ConfusionMatrix(3)
    matrix.update([[5.0, 0.0, 0.0]], [0])
    assert matrix.precision()[0] == matrix.recall()[0] == 1
    assert np.isnan(matrix.precision()[1:]).all()
    assert np.isnan(matrix.f1()[1:]).all()


def test_mean_is_weighted_by_examples():
    mean = Mean()
    mean.add(2.0, 3)
    mean.add(backlit.tensor(6.0), 1)
    assert mean.compute() == 3
    mean.reset()
    assert math.isnan(mean.compute())


def test_the_state_continues_the_counts():
    for make in (Accuracy, lambda: TopK(2), lambda: ConfusionMatrix(4)):
        whole = gathered(make())
        half, rest = make(), make()
        half.update(SCORES[:30], LABELS[:30])
        rest.load_state_dict(half.state_dict())
        rest.update(SCORES[30:], LABELS[30:])
        assert rest.compute() == whole.compute()


def test_values_are_readable():
    assert repr(gathered(Accuracy())).startswith("Accuracy(")
    assert Accuracy().format(0.9876) == "98.8 %"
    assert Mean().format(0.12345) == "0.1235"


def test_metric_errors():
    with pytest.raises(NotImplementedError, match=r"Metric must define update\(\)"):
        Metric().update(1, 2)
    with pytest.raises(
        ShapeError, match=r"accuracy: the prediction must be scores .* float64\[3,2\]"
    ):
        Accuracy().update(np.zeros((3, 2)), [0, 1])
    with pytest.raises(ShapeError, match=r"one score for each label, got int64\[2\]"):
        Accuracy().update([1, 0], [1, 0])
    with pytest.raises(ArgumentError, match="TopK: k must be a positive integer, got 0"):
        TopK(0)
    with pytest.raises(ShapeError, match="k = 3 must not exceed the 2 classes"):
        TopK(3).update(np.zeros((1, 2)), [0])
    with pytest.raises(
        ShapeError, match=r"must be \(N, C\) and the target \(N,\), got float64\[2\]"
    ):
        TopK(1).update(np.zeros(2), [0, 1])
    with pytest.raises(ArgumentError, match="classes must be an integer of at least 2, got 1"):
        ConfusionMatrix(1)
    with pytest.raises(IndexRangeError, match=r"target labels must lie in \[0, 2\), got 5"):
        ConfusionMatrix(2).update(np.zeros((2, 2)), [0, 5])
    with pytest.raises(IndexRangeError, match=r"prediction labels must lie in \[0, 2\), got 2"):
        ConfusionMatrix(2).update(np.eye(3), [0, 1, 1])


def test_large_losses_keep_their_column():
    assert Mean().format(32327890122.0323) == "3.23e+10"
    assert Mean().format(0.5) == "0.5000"
