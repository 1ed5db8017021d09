"""Losses of margins, distances, likelihoods and label sequences, beside their plain formulas."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from backlit.nn import functional as F

rng = np.random.default_rng(0)
A, B, C = rng.normal(size=(3, 5, 4))
SIGNS = np.array([1.0, -1.0, 1.0, -1.0, 1.0])
PAIRS = np.array([1, 0, 0, 1, 0])
STEPS = np.log(rng.dirichlet(np.ones(3), (4, 2)))  # (T, N, C)

REFUSED = [
    (lambda: F.margin_ranking_loss(A, B[0], SIGNS), ShapeError, r"margin_ranking_loss: x1, x2 and"),
    (lambda: F.cosine_embedding_loss(A, B, A), ShapeError, r"cosine_embedding_loss: x1 and x2 mus"),
    (lambda: F.contrastive_loss(A, B, A), ShapeError, r"contrastive_loss: x1 and x2 must have sha"),
    (lambda: F.contrastive_loss(A, B[:1], PAIRS), ShapeError, r"or \(D\) and \(\), got float64\[5"),
    (lambda: F.contrastive_loss(A, B, PAIRS, 0), ArgumentError, r"margin must be positive, got 0"),
    (lambda: F.contrastive_loss(A, B, SIGNS), ArgumentError, r"target must be 0 or 1, got -1"),
    (lambda: F.one_vs_all_hinge_loss(A, A), ShapeError, r"x must have shape \(N, C\) and target"),
    (lambda: F.one_vs_all_hinge_loss(A, SIGNS), DTypeError, r"target must be integer labels, got"),
    (lambda: F.one_vs_all_hinge_loss(A, [0, 1, 2, 3, 4]), IndexRangeError,
     r"labels must lie in \[0, 4\), got 4; x is float64\[5,4\]"),
    (lambda: F.one_vs_all_hinge_loss(A, PAIRS, 3), ArgumentError, r"p must be 1 or 2, got 3"),
    (lambda: F.triplet_margin_loss(A, B, C, 0), ArgumentError, r"margin must be positive, got 0"),
    (lambda: F.triplet_margin_loss(A, B, C[0]), ShapeError, r"anchor, positive and negative must"),
    (lambda: F.soft_margin_loss(A, SIGNS), ShapeError, r"soft_margin_loss: x and target must have"),
    (lambda: F.multilabel_soft_margin_loss(1.0, 1.0), ShapeError, r"must have an axis of classes"),
    (lambda: F.multilabel_margin_loss(A, A), DTypeError, r"multilabel_margin_loss: target must be"),
    (lambda: F.multilabel_margin_loss(A, A[0]), ShapeError, r"must have one shape \(N, C\) or \(C"),
    (lambda: F.multilabel_margin_loss(A[0], np.array([0, 4, -1, 0])), IndexRangeError,
     r"multilabel_margin_loss: target must lie in \[-1, 4\), got 4; -1 ends the labels"),
    (lambda: F.gaussian_nll_loss(A, B, bl.ones((5, 2))), ShapeError, r"var must have the shape of"),
    (lambda: F.gaussian_nll_loss(A, B, -1.0), ArgumentError, r"var must not be negative, got -1.0"),
    (lambda: F.ctc_loss(STEPS[0, 0], [1], 1, 1), ShapeError, r"ctc_loss: log_probs must have shap"),
    (lambda: F.ctc_loss(STEPS, np.ones((2, 2)), [4, 4], [2, 2]), DTypeError, r"targets must be in"),
    (lambda: F.ctc_loss(STEPS, np.ones((3, 2), int), [4, 4], [2, 2]), ShapeError, r"\(2, S\), or"),
    (lambda: F.ctc_loss(STEPS, [1, 2, 1], [4, 4], [2, 2]), ShapeError, r"as many labels as target"),
    (lambda: F.ctc_loss(STEPS, [[1], [2]], [4], [1, 1]), ShapeError, r"input_lengths must have on"),
    (lambda: F.ctc_loss(STEPS, [[1], [2]], [4, 4], [1.0, 1.0]), DTypeError, r"target_lengths must"),
    (lambda: F.ctc_loss(STEPS, [[1], [2]], [4, 5], [1, 1]), ArgumentError, r"input_lengths must l"),
    (lambda: F.ctc_loss(STEPS, [[1], [2]], [4, 4], [1, 2]), ArgumentError, r"target_lengths must"),
    (lambda: F.ctc_loss(STEPS, [[1], [3]], [4, 4], [1, 1]), IndexRangeError, r"targets must lie i"),
    (lambda: F.ctc_loss(STEPS, [[1], [2]], [4, 4], [1, 1], 3), ArgumentError, r"blank must lie in"),
    (lambda: F.normalize(A, out=A), ArgumentError, r"normalize: out must be None"),
    (lambda: F.cosine_similarity(A, B[:, :3]), ShapeError, r"cosine_similarity: x1 and x2 must br"),
    (lambda: F.pairwise_distance(1.0, 2.0), ShapeError, r"pairwise_distance: x1 and x2 must have"),
    (lambda: F.pdist(A[0]), ArgumentError, r"pdist: x must have shape \(N, D\)"),
    (lambda: F.bilinear(A, B, C), ShapeError, r"bilinear: x1 must have shape \(..., I\), x2 "),
    (lambda: F.mse_loss(A, B, weight=A[0]), ShapeError, r"mse_loss: weight must have the shape of"),
    (lambda: F.margin_ranking_loss(A[:0], B[:0], A[:0]), ShapeError, r"the mean of an empty batch"),
]  # fmt: skip


def test_what_does_not_fit_is_refused() -> None:
    for call, error, text in REFUSED:
        with pytest.raises(error, match=text):
            call()


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a - b + 1e-6, axis=-1)


def one_vs_all(x: np.ndarray, t: np.ndarray, p: int = 1, margin: float = 1.0) -> np.ndarray:
    return np.array([
        sum(max(0, margin - (row[c] if c == own else -row[c])) ** p for c in range(len(row)))
        for row, own in zip(x, t, strict=True)
    ])  # fmt: skip


def labels_of(x: np.ndarray, rows: list[list[int]]) -> np.ndarray:
    return np.array([
        sum(max(0, 1 - x[n, j] + x[n, i]) for j in row for i in range(4) if i not in row) / 4
        for n, row in enumerate(rows)
    ])  # fmt: skip


ROWS = [[1, 2], [0], [3, 0, 1], [], [2]]
PADDED = np.array([[*row, -1, 1, 1, 1][:4] for row in ROWS])
COUNTS = rng.integers(0, 5, A.shape)

#: name, inputs, options, each loss
FORMULAS = [
    ("margin_ranking_loss", (A[:, 0], B[:, 0], SIGNS), {"margin": 0.3},
     np.maximum(0, 0.3 - SIGNS * (A - B)[:, 0])),
    ("cosine_embedding_loss", (A, B, SIGNS), {"margin": -0.2},
     np.where(SIGNS == 1, 1 - cosine(A, B), np.maximum(0, cosine(A, B) + 0.2))),
    ("contrastive_loss", (A, B, PAIRS), {"margin": 4.0}, np.where(
        PAIRS, ((A - B) ** 2).sum(1), np.maximum(0, 4 - np.linalg.norm(A - B, axis=1)) ** 2) / 2),
    ("contrastive_loss", (A, B, PAIRS), {"margin": 9.0, "squared_margin": True}, np.where(
        PAIRS, ((A - B) ** 2).sum(1), np.maximum(0, 9 - ((A - B) ** 2).sum(1))) / 2),
    ("one_vs_all_hinge_loss", (A, PAIRS), {}, one_vs_all(A, PAIRS)),
    ("one_vs_all_hinge_loss", (A, PAIRS), {"p": 2, "margin": 0.5},
     one_vs_all(A, PAIRS, 2, 0.5)),
    ("triplet_margin_loss", (A, B, C), {}, np.maximum(0, distance(A, B) - distance(A, C) + 1)),
    ("triplet_margin_loss", (A, B, C), {"swap": True},
     np.maximum(0, distance(A, B) - np.minimum(distance(A, C), distance(B, C)) + 1)),
    ("triplet_margin_with_distance_loss", (A, B, C),
     {"distance_function": lambda a, b: bl.sum(bl.abs(a - b), axis=1), "margin": 2.0},
     np.maximum(0, np.abs(A - B).sum(1) - np.abs(A - C).sum(1) + 2)),
    ("soft_margin_loss", (A, np.sign(B)), {}, np.log1p(np.exp(-np.sign(B) * A))),
    ("multilabel_soft_margin_loss", (A, (B > 0) * 1.0), {"weight": C[0] ** 2},
     (np.log1p(np.exp(np.where(B > 0, -A, A))) * C[0] ** 2).mean(1)),
    ("multilabel_margin_loss", (A, PADDED), {}, labels_of(A, ROWS)),
    ("gaussian_nll_loss", (A, B, C**2 + 1), {"full": True},
     np.log(2 * np.pi * (C**2 + 1)) / 2 + (A - B) ** 2 / (C**2 + 1) / 2),
    ("gaussian_nll_loss", (A, B, SIGNS**2 * 2), {}, np.log(2) / 2 + (A - B) ** 2 / 4),
    ("poisson_nll_loss", (A, COUNTS), {}, np.exp(A) - COUNTS * A),
    ("poisson_nll_loss", (A**2, COUNTS), {"log_input": False, "full": True},
     A**2 - COUNTS * np.log(A**2 + 1e-8) + np.where(
         COUNTS > 1, COUNTS * np.log(np.maximum(COUNTS, 1)) - COUNTS
         + np.log(2 * np.pi * np.maximum(COUNTS, 1)) / 2, 0)),
    ("mse_loss", (A, B), {"weight": C**2}, (A - B) ** 2 * C**2),
    ("huber_loss", (A, B), {"weight": C**2, "delta": 9.0}, (A - B) ** 2 / 2 * C**2),
]  # fmt: skip


def test_each_is_its_formula_with_derivatives_to_second_order() -> None:
    for name, inputs, options, want in FORMULAS:
        options = {k: bl.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
        tensors = [bl.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]

        def f(*t, name=name, options=options, reduction="none"):
            return getattr(F, name)(*t, **options, reduction=reduction)

        np.testing.assert_allclose(f(*tensors).numpy(), want, 1e-10, err_msg=name)
        assert math.isclose(f(*tensors, reduction="sum").item(), want.sum(), rel_tol=1e-10)
        mean = want.sum() / (C**2).sum() if name == "mse_loss" else want.mean()
        assert math.isclose(f(*tensors, reduction="mean").item(), mean, rel_tol=1e-10)
        assert bl.gradcheck(f, tensors), name


def collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    """What a path of classes writes: repetitions are one, blanks (0) are none."""
    return tuple(k for k, _ in itertools.groupby(path) if k != 0)


def test_ctc_is_the_sum_over_all_paths() -> None:
    for labels in ([1], [1, 2], [1, 1], [2, 1, 2], []):
        for steps in (3, 4):
            p = np.exp(STEPS[:steps, 0])
            total = sum(
                math.prod(p[t, k] for t, k in enumerate(path))
                for path in itertools.product(range(3), repeat=steps)
                if collapsed(path) == tuple(labels)
            )
            want = math.inf if total == 0 else -math.log(total)
            targets = bl.tensor([[*labels, 7, -3][:4]] * 2, dtype="int64")  # the rest is not read
            y = F.ctc_loss(STEPS, targets, (steps, 4), (len(labels), 0), reduction="none")
            assert math.isclose(y[0].item(), want, rel_tol=1e-12), (labels, steps)
            assert math.isclose(y[1].item(), -STEPS[:, 1, 0].sum(), rel_tol=1e-12)
            lone = F.ctc_loss(STEPS[:steps, 0], labels or np.zeros(0, int), steps, len(labels))
            assert math.isclose(lone.item(), want / max(len(labels), 1), rel_tol=1e-12)


@pytest.mark.slow
def test_ctc_derivatives_and_compiled_values() -> None:
    x = bl.tensor(STEPS, requires_grad=True)
    targets = bl.tensor([[1, 2], [2, 2]])

    def f(x, reduction="mean"):
        return F.ctc_loss(bl.nn.functional.log_softmax(x, 2), targets, (4, 3), (2, 1),
                          reduction=reduction)  # fmt: skip

    assert bl.gradcheck(f, (x,), order=2)
    got = bl.compile(bl.value_and_grad(f))(x.detach())
    for a, b in zip(got, bl.value_and_grad(f)(x.detach()), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10, atol=1e-14)
    in_a_row = F.ctc_loss(x, bl.tensor([1, 2, 2]), (4, 3), (2, 1), reduction="none")
    apart = F.ctc_loss(x, targets, (4, 3), (2, 1), reduction="none")
    assert in_a_row.tolist() == apart.tolist()


def test_ctc_of_what_cannot_be_written() -> None:
    x = bl.tensor(STEPS[:2], requires_grad=True)
    targets = [[1, 1], [1, 2]]  # three steps are needed for 1, blank, 1
    each = F.ctc_loss(x, targets, (2, 2), (2, 2), reduction="none")
    assert (math.isinf(each[0].item()), math.isfinite(each[1].item())) == (True, True)
    y = F.ctc_loss(x, targets, (2, 2), (2, 2), reduction="sum", zero_infinity=True)
    y.backward()
    assert y.item() == each[1].item()
    assert not x.grad[:, 0].numpy().any()
    assert np.isfinite(x.grad.numpy()).all()


def test_distances_and_angles() -> None:
    np.testing.assert_allclose(F.cosine_similarity(A, B).numpy(), cosine(A, B), rtol=1e-12)
    pairs = np.array([np.linalg.norm(A[i] - A[j], 1) for i in range(5) for j in range(i + 1, 5)])
    np.testing.assert_allclose(F.pdist(A, 1).numpy(), pairs, rtol=1e-12)
    unit = F.normalize(A, dim=0).numpy()
    np.testing.assert_allclose(np.linalg.norm(unit, axis=0), 1, rtol=1e-12)
    zero = bl.tensor(np.zeros((1, 4)), requires_grad=True)
    assert not F.normalize(zero).detach().numpy().any()
    assert np.isfinite(bl.grad(F.cosine_similarity(zero, B[:1]).sum(), zero).numpy()).all()
    w = rng.normal(size=(2, 4, 4))
    np.testing.assert_allclose(
        F.bilinear(A, B, w, np.ones(2)).numpy(), np.einsum("ni,oij,nj->no", A, w, B) + 1, rtol=1e-12
    )


def test_modules_are_their_functions() -> None:
    for module, inputs in (
        (nn.MarginRankingLoss(0.5), (A[:, 0], B[:, 0], SIGNS)),
        (nn.CosineEmbeddingLoss(0.1, reduction="sum"), (A, B, SIGNS)),
        (nn.ContrastiveLoss(2.0, squared_margin=True), (A, B, PAIRS)),
        (nn.OneVsAllHingeLoss(2, reduction="sum"), (A, PAIRS)),
        (nn.TripletMarginLoss(0.5, 1.0, swap=True), (A, B, C)),
        (nn.TripletMarginWithDistanceLoss(margin=0.3), (A, B, C)),
        (nn.SoftMarginLoss(), (A, np.sign(B))),
        (nn.MultiLabelMarginLoss(), (A, PADDED)),
        (nn.MultiLabelSoftMarginLoss(C[0]), (A, (B > 0) * 1.0)),
        (nn.GaussianNLLLoss(full=True), (A, B, C**2)),
        (nn.PoissonNLLLoss(False, reduction="none"), (A**2, COUNTS)),
        (nn.CTCLoss(1, zero_infinity=True), (STEPS, [[0, 2], [2, 2]], (4, 4), (2, 1))),
    ):
        y = module(*[bl.tensor(x) if isinstance(x, np.ndarray) else x for x in inputs])
        assert np.isfinite(y.numpy()).all()
        assert (y.ndim > 0) == (module.reduction == "none")


def test_ctc_without_steps_can_only_write_nothing() -> None:
    y = F.ctc_loss(STEPS, [[1], [1]], (0, 0), (0, 1), reduction="none")
    assert y.tolist() == [0.0, math.inf]


def test_one_example_and_no_derivative_where_two_apart_coincide() -> None:
    x = bl.tensor(A[0], requires_grad=True)
    loss = F.contrastive_loss(x, A[0], 0)
    assert loss.item() == 0.5
    assert not bl.grad(loss, x).numpy().any()
    assert F.one_vs_all_hinge_loss(A[0], 1).item() == one_vs_all(A[:1], [1])[0]
