"""Losses as users call them: modules, reductions, targets, penalties, stability, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.compiler import interpreter, native
from backlit.dtypes import INTEGER
from backlit.errors import ArgumentError, IndexRangeError, ShapeError
from backlit.nn import functional
from sampling import only

rng = np.random.default_rng(0)
LOGITS = rng.normal(size=(5, 4))
LABELS = np.array([0, 3, 1, 2, 1])
SCORES = rng.normal(size=(5, 4))
UNIT = rng.uniform(0.1, 0.9, (5, 4))


def t(array, **options):
    return bl.tensor(array, **options)


@pytest.mark.parametrize(
    ("module", "function", "target"),
    [
        (nn.MSELoss(), functional.mse_loss, SCORES),
        (nn.MSELoss(reduction="sum"),
         lambda x, y: functional.mse_loss(x, y, reduction="sum"), SCORES),
        (nn.L1Loss(reduction="none"),
         lambda x, y: functional.l1_loss(x, y, reduction="none"), SCORES),
        (nn.HuberLoss(delta=0.3), lambda x, y: functional.huber_loss(x, y, delta=0.3), SCORES),
        (nn.SmoothL1Loss(beta=2), lambda x, y: functional.smooth_l1_loss(x, y, beta=2), SCORES),
        (nn.CrossEntropyLoss(), functional.cross_entropy, LABELS),
        (nn.CrossEntropyLoss(label_smoothing=0.2),
         lambda x, y: functional.cross_entropy(x, y, label_smoothing=0.2), LABELS),
        (nn.CrossEntropyLoss(ignore_index=1),
         lambda x, y: functional.cross_entropy(x, y, ignore_index=1), LABELS),
        (nn.NLLLoss(t([1.0, 2.0, 3.0, 4.0], dtype="float64")),
         lambda x, y: functional.nll_loss(x, y, t([1.0, 2.0, 3.0, 4.0], dtype="float64")), LABELS),
        (nn.MultiMarginLoss(p=2), lambda x, y: functional.multi_margin_loss(x, y, 2), LABELS),
        (nn.BCEWithLogitsLoss(), functional.binary_cross_entropy_with_logits, UNIT),
        (nn.BCEWithLogitsLoss(pos_weight=t(3.0, dtype="float64")),
         lambda x, y: functional.binary_cross_entropy_with_logits(
             x, y, pos_weight=t(3.0, dtype="float64")), UNIT),
        (nn.HingeEmbeddingLoss(0.5),
         lambda x, y: functional.hinge_embedding_loss(x, y, 0.5), np.sign(SCORES)),
        (nn.KLDivLoss(reduction="batchmean"),
         lambda x, y: functional.kl_div(x, y, reduction="batchmean"), UNIT),
    ],
    ids=lambda v: repr(v) if isinstance(v, nn.Module) else "",
)  # fmt: skip
def test_modules_are_their_functions(module, function, target) -> None:
    x, y = t(LOGITS), t(target)
    np.testing.assert_array_equal(module(x, y).numpy(), function(x, y).numpy())


def test_cross_entropy_gradient_is_p_minus_y_over_m() -> None:
    x = t(LOGITS, requires_grad=True)
    functional.cross_entropy(x, t(LABELS)).backward()
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    np.testing.assert_allclose(x.grad.numpy(), (p - np.eye(4)[LABELS]) / 5, rtol=1e-13)


def test_cross_entropy_is_one_node() -> None:
    x = t(LOGITS, requires_grad=True)
    loss = functional.cross_entropy(x, t(LABELS))
    assert loss.op == "cross_entropy"
    assert loss.node.inputs[0] is x


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_labels_equal_their_one_hot_probabilities(reduction, smoothing) -> None:
    options = {"reduction": reduction, "label_smoothing": smoothing}
    labels = functional.cross_entropy(t(LOGITS), t(LABELS), **options)
    hot = functional.cross_entropy(t(LOGITS), t(np.eye(4)[LABELS]), **options)
    np.testing.assert_allclose(labels.numpy(), hot.numpy(), rtol=1e-13)


def test_cross_entropy_equals_nll_of_log_softmax() -> None:
    weight = t([0.5, 1.0, 2.0, 4.0], dtype="float64")
    one = functional.cross_entropy(t(LOGITS), t(LABELS), weight)
    two = functional.nll_loss(functional.log_softmax(t(LOGITS), 1), t(LABELS), weight)
    np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=1e-13)


def test_a_lone_row_needs_no_batch_axis() -> None:
    one = functional.cross_entropy(t(LOGITS[0]), t(3))
    assert one.shape == ()
    np.testing.assert_allclose(
        one.numpy(), functional.cross_entropy(t(LOGITS[:1]), t([3])).numpy(), rtol=1e-15
    )
    assert functional.nll_loss(t(LOGITS[0]), t(3), reduction="none").shape == ()
    assert functional.multi_margin_loss(t(LOGITS[0]), t(3)).shape == ()


def test_ignored_rows_get_no_gradient_and_do_not_count() -> None:
    x = t(LOGITS, requires_grad=True)
    loss = functional.cross_entropy(x, t([0, -100, 1, -100, 1]))
    loss.backward()
    assert not x.grad.numpy()[[1, 3]].any()
    kept = functional.cross_entropy(t(LOGITS[[0, 2, 4]]), t([0, 1, 1]))
    np.testing.assert_allclose(loss.numpy(), kept.numpy(), rtol=1e-13)


def test_if_every_row_is_ignored_the_mean_is_nan_as_in_pytorch() -> None:
    loss = functional.cross_entropy(t(LOGITS), t([-100] * 5))
    assert math.isnan(loss.item())


MANY = rng.normal(size=(4, 300))  # more classes than a uint8 or an int8 counts
CHOSEN = np.array([3, 0, 100, 27])
EACH = rng.uniform(0.5, 2, 300)


def losses_of_labels() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The loss and its gradient, row by row, in int64 and from the definition."""
    p = np.exp(MANY - MANY.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    y, w, rows = np.eye(300)[CHOSEN], EACH[CHOSEN], np.arange(4)
    w_ = w / w.sum()
    q = 0.9 * y + 0.1 / 300
    over = np.maximum(1 - MANY[rows, CHOSEN][:, None] + MANY, 0) * (1 - y)
    slope = 2 * over - y * (2 * over).sum(1, keepdims=True)
    kept = np.array([0.0, 1, 1, 1]) / 3
    return {
        "cross_entropy": (-np.log(p[rows, CHOSEN]).mean(), (p - y) / 4),
        "smoothed": (-(q * np.log(p)).sum(1).mean(), (p - q) / 4),
        "ignored": (-(np.log(p[rows, CHOSEN]) * kept).sum(), (p - y) * kept[:, None]),
        "nll_loss": (-(MANY[rows, CHOSEN] * w_).sum(), -y * w_[:, None]),
        "multi_margin_loss": (
            ((over * over).sum(1) * w / 300).mean(),
            slope * w[:, None] / 300 / 4,
        ),
    }


@pytest.mark.parametrize("executor", [None, interpreter, native])
@pytest.mark.parametrize("dtype", only("int8 uint8 int64", sorted(d.name for d in INTEGER)))
def test_labels_of_every_integer_type_with_more_classes_than_it_counts(dtype, executor) -> None:
    functions = {
        "cross_entropy": functional.cross_entropy,
        "smoothed": lambda x, y: functional.cross_entropy(x, y, label_smoothing=0.1),
        # -253 is 3 in 8 bits
        "ignored": lambda x, y: (
            functional.cross_entropy(x, y, ignore_index=3)
            + 0 * functional.cross_entropy(x, y, ignore_index=-253)
        ),
        "nll_loss": lambda x, y: functional.nll_loss(x, y, t(EACH), ignore_index=256 + 100),
        "multi_margin_loss": lambda x, y: functional.multi_margin_loss(x, y, p=2, weight=t(EACH)),
    }

    def losses(x, y):
        found = {name: function(x, y) for name, function in functions.items()}
        return {name: (loss, bl.grad(loss, x)) for name, loss in found.items()}

    run = losses if executor is None else bl.compile(losses, executor=executor)
    found = run(t(MANY, requires_grad=True), t(CHOSEN.astype(dtype)))
    for name, (want, grad_want) in losses_of_labels().items():
        loss, grad = found[name]
        np.testing.assert_allclose(loss.numpy(), want, rtol=1e-12, err_msg=name)
        np.testing.assert_allclose(grad.numpy(), grad_want, rtol=1e-9, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("size", [1e4, -1e4])
@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_bce_with_logits_is_exact_at_extremes(size, target) -> None:
    x = t([size], dtype="float32", requires_grad=True)
    loss = functional.binary_cross_entropy_with_logits(x, t([target], dtype="float32"))
    loss.backward()
    p = 1.0 if size > 0 else 0.0
    np.testing.assert_allclose(loss.item(), abs(p - target) * 1e4, rtol=1e-6)
    np.testing.assert_allclose(x.grad.numpy(), [p - target], rtol=1e-6, atol=1e-7)


def test_cross_entropy_is_finite_at_extremes() -> None:
    x = t([[1e4, -1e4]], dtype="float32", requires_grad=True)
    loss = functional.cross_entropy(x, t([1]))
    loss.backward()
    assert loss.item() == 2e4
    assert x.grad.tolist() == [[1.0, -1.0]]


def test_element_weights_multiply_the_losses() -> None:
    w = rng.uniform(0.5, 2, (5, 4))
    for function in (
        functional.binary_cross_entropy,
        functional.binary_cross_entropy_with_logits,
    ):
        each = function(t(UNIT), t(UNIT), reduction="none").numpy() * w
        for reduction, want in (("none", each), ("sum", each.sum()), ("mean", each.mean())):
            got = function(t(UNIT), t(UNIT), t(w), reduction=reduction)
            np.testing.assert_allclose(got.numpy(), want, rtol=1e-13)


def test_smooth_l1_is_huber_over_beta_and_l1_for_beta_0() -> None:
    x, y = t(LOGITS), t(SCORES)
    half = functional.huber_loss(x, y, delta=0.5).numpy() / 0.5
    np.testing.assert_allclose(functional.smooth_l1_loss(x, y, beta=0.5).numpy(), half, rtol=1e-13)
    np.testing.assert_array_equal(
        functional.smooth_l1_loss(x, y, beta=0).numpy(), functional.l1_loss(x, y).numpy()
    )


def test_penalties_sum_over_all_parameters() -> None:
    layer = nn.Linear(1, 1)
    layer.load_state_dict({"weight": [[-2.0]], "bias": [3.0]})
    l1, l2 = (f(layer.parameters(), 0.5) for f in (functional.l1_penalty, functional.l2_penalty))
    assert (l1.item(), l2.item()) == (2.5, 6.5)
    (l1 + l2).backward()
    assert layer.weight.grad.tolist() == [[-0.5 - 2.0]]
    assert layer.bias.grad.tolist() == [0.5 + 3.0]


def test_class_weights_are_saved_with_the_module_state() -> None:
    loss = nn.CrossEntropyLoss(weight=[1.0, 2.0])
    assert list(loss.state_dict()) == ["weight"]
    assert list(loss.parameters()) == []


def test_loss_errors() -> None:
    with pytest.raises(ArgumentError, match=r"MSELoss: reduction must be one of .*, got 'avg'"):
        nn.MSELoss(reduction="avg")
    with pytest.raises(
        ArgumentError, match=r"CrossEntropyLoss: label_smoothing must lie in \[0, 1"
    ):
        nn.CrossEntropyLoss(label_smoothing=-1)
    with pytest.raises(ArgumentError, match=r"MultiMarginLoss: p must be 1 or 2, got 3"):
        nn.MultiMarginLoss(p=3)
    with pytest.raises(ArgumentError, match=r"l1_penalty: parameters must not be empty"):
        functional.l1_penalty([], 0.1)
    with pytest.raises(ShapeError, match=r"kl_div: the mean of an empty batch has no value"):
        functional.kl_div(bl.zeros((0, 2)), bl.zeros((0, 2)), reduction="batchmean")
    with pytest.raises(ArgumentError, match=r"binary_cross_entropy: reduction must be 'none'"):
        functional.binary_cross_entropy(t(UNIT), t(UNIT), t(UNIT), reduction="avg")


def test_an_error_names_the_module() -> None:
    with pytest.raises(IndexRangeError, match=r"got 9; .*; in CrossEntropyLoss$"):
        nn.CrossEntropyLoss()(t(LOGITS), t([9, 0, 0, 0, 0]))


def test_sums_and_single_losses_of_an_empty_batch_exist() -> None:
    empty, none = bl.zeros((0, 3)), bl.zeros((0,), dtype="int64")
    assert functional.cross_entropy(empty, none, reduction="sum").item() == 0
    assert functional.cross_entropy(empty, none, reduction="none").shape == (0,)
    assert functional.mse_loss(empty, empty, reduction="sum").item() == 0


def test_the_old_words_for_a_reduction_are_understood_and_a_misplaced_one_is_told() -> None:
    x, y = t(LOGITS), t(LABELS)
    for words, new in (((False, None), "sum"), ((True, True), "mean"), ((None, False), "none")):
        with pytest.warns(UserWarning, match=f"write reduction='{new}'"):
            old = functional.cross_entropy(x, y, None, words[0], -100, words[1])
        assert old.tolist() == functional.cross_entropy(x, y, reduction=new).tolist()
        with pytest.warns(UserWarning, match=f"NLLLoss: .*, write reduction='{new}'"):
            assert nn.NLLLoss(None, words[0], -100, words[1]).reduction == new
    with pytest.raises(
        ArgumentError,
        match=r"mse_loss: size_average must be True, False or None, "
        r"got 'sum'; the reduction is given by its name, as reduction='sum'",
    ):
        functional.mse_loss(x, x, "sum")


def test_classes_on_the_last_axis_are_told_where_to_go():
    x, labels = bl.ones((2, 5, 3)), bl.zeros((2, 5), dtype="int64")
    with pytest.raises(
        ShapeError,
        match=r"wanted \(2, 3\); the classes are axis 1, so give backlit.moveaxis\(x, -1, 1\)",
    ):
        functional.cross_entropy(x, labels)
    assert functional.cross_entropy(bl.moveaxis(x, -1, 1), labels).shape == ()
