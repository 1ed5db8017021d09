"""Metrics against numbers worked out by hand and by scikit-learn."""

import math

import numpy as np
import pytest
from sklearn import metrics as reference

import backlit
from backlit.errors import ArgumentError, IndexRangeError, ShapeError
from backlit.train import (
    AUROC,
    Accuracy,
    ConfusionMatrix,
    F1Score,
    Function,
    IoU,
    Mean,
    MeanAbsoluteError,
    Metric,
    Perplexity,
    R2Score,
    RootMeanSquaredError,
    TopK,
)
from backlit.train.arguments import as_metrics

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
    makers = (
        Accuracy,
        lambda: TopK(2),
        lambda: ConfusionMatrix(4),
        F1Score,
        IoU,
        AUROC,
        Perplexity,
    )
    for make in makers:
        whole = gathered(make())
        half, rest = make(), make()
        half.update(SCORES[:30], LABELS[:30])
        rest.load_state_dict(half.state_dict())
        rest.update(SCORES[30:], LABELS[30:])
        assert rest.compute() == pytest.approx(whole.compute(), rel=1e-14)


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


# -- numbers ----------------------------------------------------------------------------------


X, T = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 3)) + 1e4


def measured(metric, x=X, t=T):
    for part in (slice(0, 7), slice(7, 8), slice(8, 50)):
        metric.update(x[part], t[part])
    return metric


def test_distances_agree_with_scikit_learn():
    expected = {
        MeanAbsoluteError: reference.mean_absolute_error(T, X + 1e4),
        RootMeanSquaredError: math.sqrt(reference.mean_squared_error(T, X + 1e4)),
        R2Score: reference.r2_score(T, X + 1e4),
    }
    for make, value in expected.items():
        assert measured(make(), X + 1e4).compute() == pytest.approx(value, rel=1e-9)
        assert not math.isnan(value)
    single = reference.r2_score(T[:, 0], X[:, 1] + 1e4)
    assert measured(R2Score(), X[:, 1:2] + 1e4, T[:, 0]).compute() == pytest.approx(single)


def test_the_state_continues_distances():
    for make in (MeanAbsoluteError, RootMeanSquaredError, R2Score):
        half, rest = make(), make()
        half.update(X[:20], T[:20])
        rest.load_state_dict(half.state_dict())
        rest.update(X[20:], T[20:])
        assert rest.compute() == pytest.approx(measured(make()).compute(), rel=1e-12)
        rest.reset()
        assert math.isnan(rest.compute())


def test_r2_of_equal_targets_is_nan():
    r2 = R2Score()
    r2.update([1.0, 2.0], [3.0, 3.0])
    assert math.isnan(r2.compute())


def test_distances_of_unequal_shapes_are_refused():
    for name, metric in (("mae", MeanAbsoluteError()), ("r2", R2Score())):
        with pytest.raises(
            ShapeError,
            match=rf"{name}: the prediction must have the target's shape, .*\[4,2\] and .*\[4\]",
        ):
            metric.update(np.zeros((4, 2)), np.zeros(4))
    r2 = R2Score()
    r2.update(X[:5], T[:5])
    with pytest.raises(ShapeError, match="all batches must have 3 numbers an example, got 1"):
        r2.update(X[5:9, 0], T[5:9, 0])


# -- scores -----------------------------------------------------------------------------------


def test_auc_agrees_with_scikit_learn():
    binary = (LABELS == 1).astype(int)
    tied = np.round(SCORES[:, 0], 1)
    shares = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)
    for scores, labels, expected in (
        (tied, binary, reference.roc_auc_score(binary, tied)),
        (tied[:, None], binary, reference.roc_auc_score(binary, tied)),
        (SCORES[:, :2], binary, reference.roc_auc_score(binary, SCORES[:, 1] - SCORES[:, 0])),
        (SCORES, LABELS, reference.roc_auc_score(LABELS, shares, multi_class="ovr")),
    ):
        auc = AUROC()
        for part in np.array_split(np.arange(60), 4):
            auc.update(scores[part], labels[part])
        assert auc.compute() == pytest.approx(expected, rel=1e-12)


def test_auc_of_one_class_is_nan():
    auc = AUROC()
    assert math.isnan(auc.compute())
    auc.update([0.3, 0.4], [1, 1])
    assert math.isnan(auc.compute())
    three = AUROC()
    three.update([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0]], [0, 1])  # nobody is of class 2
    assert three.compute() == 1


def test_perplexity_is_that_of_the_cross_entropy():
    scores, labels = RNG.normal(size=(4, 5, 6)), RNG.integers(0, 5, (4, 6))
    labels[0, 2:] = -100
    perplexity = Perplexity()
    perplexity.update(scores[:1], labels[:1])
    perplexity.update(scores[1:], labels[1:])
    rows, flat = np.moveaxis(scores, 1, -1).reshape(-1, 5), labels.reshape(-1)
    known = flat >= 0
    shares = np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)
    loss = reference.log_loss(flat[known], shares[known], labels=range(5))
    assert perplexity.compute() == pytest.approx(math.exp(loss), rel=1e-12)
    perplexity.update([[0.0, 1e6]], [0])
    assert perplexity.compute() == math.inf


def test_score_errors():
    with pytest.raises(
        ShapeError, match=r"auc: the prediction must be scores .*\[2,2\] and .*\[3\]"
    ):
        AUROC().update(np.zeros((2, 2)), [0, 1, 1])
    with pytest.raises(IndexRangeError, match=r"auc: labels must lie in \[0, 2\), got 2"):
        AUROC().update([0.1, 0.2], [0, 2])
    with pytest.raises(ShapeError, match=r"perplexity: the prediction must be \(N, C, \.\.\.\)"):
        Perplexity().update(np.zeros((2, 3)), np.zeros((2, 3), int))
    with pytest.raises(IndexRangeError, match=r"perplexity: labels must lie in \[0, 3\), got 3"):
        Perplexity().update(np.zeros((2, 3)), [0, 3])


# -- more of labels ---------------------------------------------------------------------------


def test_f1_and_iou_agree_with_scikit_learn():
    guesses = SCORES.argmax(axis=1)
    assert gathered(F1Score()).compute() == pytest.approx(
        reference.f1_score(LABELS, guesses, average="macro")
    )
    assert gathered(IoU()).compute() == pytest.approx(
        reference.jaccard_score(LABELS, guesses, average="macro")
    )
    binary, single = (LABELS == 1).astype(int), SCORES[:, 0]
    f1 = F1Score()
    f1.update(single, binary)
    assert f1.compute() == pytest.approx(reference.f1_score(binary, single > 0))
    both = F1Score(average="macro")
    both.update(single, binary)
    assert both.compute() == pytest.approx(reference.f1_score(binary, single > 0, average="macro"))


def test_classes_that_do_not_occur_do_not_count():
    for make, average in ((F1Score, reference.f1_score), (IoU, reference.jaccard_score)):
        metric = make()
        metric.update(np.eye(5)[[0, 1, 1]], [0, 1, 3])
        assert metric.compute() == pytest.approx(average([0, 1, 3], [0, 1, 1], average="macro"))
        assert math.isnan(make().compute())


def test_ignored_labels_do_not_count():
    scores, labels = np.eye(3)[[0, 1, 2, 0]], np.array([0, 1, 1, 255])
    for make, expected in ((Accuracy, 2 / 3), (ConfusionMatrix, 2 / 3), (IoU, (1 + 0.5 + 0) / 3)):
        metric = make(ignore_index=255)
        metric.update(scores, labels)
        assert metric.compute() == pytest.approx(expected)


def test_f1_errors():
    with pytest.raises(ArgumentError, match="average must be 'binary' or 'macro', got 'mean'"):
        F1Score(average="mean")
    f1 = F1Score(3, average="binary")
    f1.update(np.eye(3), [0, 1, 2])
    with pytest.raises(ArgumentError, match="average='binary' is for 2 classes, got 3"):
        f1.compute()


# -- functions --------------------------------------------------------------------------------


def test_a_function_is_a_metric():
    def furthest(prediction, target):
        return abs(prediction - target).max()

    metric = Function(furthest)
    metric.update(backlit.tensor([1.0, 2.0]), backlit.tensor([1.5, 2.0]))
    metric.update(backlit.tensor([1.0]), backlit.tensor([3.0]))
    assert (metric.name, metric.compute()) == ("furthest", pytest.approx((2 * 0.5 + 2.0) / 3))


def test_metrics_are_given_in_many_ways():
    def wrong(prediction, target):
        return "many"

    assert [m.name for m in as_metrics("mae")] == ["mae"]
    assert [m.name for m in as_metrics(wrong)] == ["wrong"]
    named = as_metrics({"top": TopK(1), "loudness": lambda p, t: 1.0, "area": "auc"})
    assert [m.name for m in named] == ["top", "loudness", "area"]
    known = ["accuracy", "top-5", "f1", "iou", "auc", "perplexity", "mae", "rmse", "r2"]
    assert [m.name for m in as_metrics(known)] == known
    with pytest.raises(ArgumentError, match="wrong: what it returns must be a number, got 'many'"):
        as_metrics(wrong)[0].update([1.0], [1.0])
    with pytest.raises(
        ArgumentError, match=r"needs a name, got one called <lambda>; give one: met"
    ):
        as_metrics(lambda p, t: 0)
    with pytest.raises(ArgumentError, match="got a text, 'acuracy'; the names are accuracy, acc, "):
        as_metrics(["acuracy"])
    with pytest.raises(ArgumentError, match="Function: function must be a function, got a number"):
        Function(3)


def test_several_outputs_need_a_choice():
    t = backlit.zeros(2)
    for prediction, text in (((t, t), "a tuple of 2"), ({"a": t}, "a dict of 1"), (None, "None")):
        with pytest.raises(
            ShapeError, match=rf"mae: the prediction must be one Tensor, got {text}; "
        ):
            MeanAbsoluteError().update(prediction, t)
