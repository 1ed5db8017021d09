"""Tables of vectors: lengths, frequencies, bags; and the adaptive softmax."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, IndexRangeError, ShapeError
from backlit.nn import functional as F

TABLE = np.random.default_rng(0).normal(size=(6, 3))
BAGS = [[1, 4, 4], [], [0], [5, 1]]
FLAT = np.concatenate([np.array(b, int) for b in BAGS])
STARTS = np.cumsum([0, *map(len, BAGS[:-1])])

REFUSED = [
    (lambda: nn.Embedding.from_pretrained([1.0]), ShapeError, r"Embedding.from_pretrained: the ve"),
    (lambda: nn.Embedding(2, 2, _weight=TABLE), ShapeError, r"the vectors must have shape \(2, 2"),
    (lambda: nn.EmbeddingBag(2, 2, mode="min"), ArgumentError, r"EmbeddingBag: mode must be 'sum'"),
    (lambda: F.embedding_bag(FLAT, TABLE), ArgumentError, r"indices in one row need offsets"),
    (lambda: F.embedding_bag(FLAT[None], TABLE, STARTS), ArgumentError, r"offsets go with indices"),
    (lambda: F.embedding_bag(FLAT[None, None], TABLE), ShapeError, r"indices must have shape \(B,"),
    (lambda: F.embedding_bag(FLAT, TABLE, [1]), ArgumentError, r"the first offset must be 0, got"),
    (lambda: F.embedding_bag(FLAT, TABLE, [0, 9]), ArgumentError, r"offsets must lie in \[0, 6\]"),
    (lambda: F.embedding_bag(FLAT, TABLE, [0, 3, 2]), ArgumentError, r"offsets must not fall"),
    (lambda: F.embedding_bag(FLAT, TABLE, [0], mode="min"), ArgumentError, r"mode must be 'sum', "),
    (lambda: F.embedding_bag(FLAT, TABLE, [0], per_sample_weights=FLAT), ArgumentError,
     r"per_sample_weights go with mode='sum'"),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 9, [2, 4]), ArgumentError,
     r"in_features / div_value\^2 must be at least 1, got 8 and 4.0; give fewer cutoffs or"),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 9, [5, 3]), ArgumentError, r"cutoffs must rise, fro"),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 9, [3])(bl.ones((2, 4)), bl.tensor([1, 9])),
     IndexRangeError, r"target must lie in \[0, 9\), got 9; n_classes is their number"),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 9, [3])(bl.ones((2, 4)), bl.tensor([1])),
     ShapeError, r"x must have shape \(N, 4\) and target \(N\), or"),
]  # fmt: skip


def test_what_does_not_fit_is_refused() -> None:
    for call, error, text in REFUSED:
        with pytest.raises(error, match=text):
            call()


def test_given_vectors_are_kept_and_frozen_unless_they_learn() -> None:
    layer = nn.Embedding.from_pretrained(TABLE, padding_idx=1)
    assert layer(bl.tensor([1, 2])).tolist() == TABLE[[1, 2]].tolist()
    assert not layer.weight.requires_grad
    assert nn.EmbeddingBag.from_pretrained(TABLE, freeze=False).weight.requires_grad
    assert repr(layer).startswith("Embedding(6, 3, padding_idx=1)")


def test_long_rows_are_shortened_in_the_table_when_they_are_looked_up() -> None:
    for step in (lambda f: f, bl.compile):
        layer = nn.Embedding(6, 3, max_norm=0.5, _weight=TABLE)
        y = step(lambda i, layer=layer: layer(i))(bl.tensor([[0, 2], [2, 0]]))
        lengths = np.linalg.norm(TABLE, axis=1, keepdims=True)
        short = np.where(lengths > 0.5, TABLE * 0.5 / lengths, TABLE)
        np.testing.assert_allclose(y.detach().numpy()[0], short[[0, 2]], rtol=1e-6)
        want = TABLE.copy()
        want[[0, 2]] = short[[0, 2]]
        np.testing.assert_allclose(layer.weight.numpy(), want, rtol=1e-6)


def test_gradients_by_frequency_are_means() -> None:
    layer = nn.Embedding(6, 3, scale_grad_by_freq=True, padding_idx=5, _weight=TABLE)
    y = layer(bl.tensor([1, 1, 4, 1, 5]))
    assert y.tolist() == TABLE[[1, 1, 4, 1, 5]].tolist()
    y.backward(bl.tensor(np.arange(15.0).reshape(5, 3)))
    grad = layer.weight.grad.numpy()
    np.testing.assert_allclose(grad[1], np.mean([[0, 1, 2], [3, 4, 5], [9, 10, 11]], axis=0))
    np.testing.assert_allclose(grad[4], [6, 7, 8])
    assert not grad[5].any()


def test_bags_are_folded_by_their_definition() -> None:
    folds = {"sum": lambda r: r.sum(0), "mean": lambda r: r.mean(0), "max": lambda r: r.max(0)}
    for mode, fold in folds.items():
        for padding in (None, 4):
            want = np.array([
                fold(TABLE[kept]) if (kept := [i for i in b if i != padding]) else np.zeros(3)
                for b in BAGS
            ])  # fmt: skip
            weight = bl.tensor(TABLE, requires_grad=True)

            def f(w, mode=mode, padding=padding):
                return F.embedding_bag(FLAT, w, STARTS, mode=mode, padding_idx=padding)

            np.testing.assert_allclose(f(weight).numpy(), want, rtol=1e-12)
            assert bl.gradcheck(f, (weight,))
            ends = np.append(STARTS, len(FLAT))
            last = F.embedding_bag(
                FLAT, TABLE, ends, mode=mode, padding_idx=padding, include_last_offset=True
            )
            np.testing.assert_allclose(last.numpy(), want, rtol=1e-12)
    rows = np.array([[1, 4], [0, 0]])
    compiled = bl.compile(lambda w: F.embedding_bag(bl.tensor(rows), w, mode="max"))
    np.testing.assert_allclose(compiled(bl.tensor(TABLE)).numpy(), TABLE[rows].max(1))
    weighted = F.embedding_bag(rows, TABLE, mode="sum", per_sample_weights=rows * 2.0)
    np.testing.assert_allclose(weighted.numpy(), (TABLE[rows] * rows[..., None] * 2).sum(1))


def test_the_adaptive_softmax_is_a_distribution_whose_likeliest_class_it_finds() -> None:
    bl.manual_seed(0)
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4, 7], div_value=2.0)
    assert [tuple(p.shape) for p in layer.parameters()] == [(6, 8), (4, 8), (3, 4), (2, 8), (5, 2)]
    x, target = bl.random.normal((5, 8)), bl.tensor([0, 5, 11, 3, 7])
    p = layer.log_prob(x)
    np.testing.assert_allclose(p.exp().numpy().sum(1), 1, rtol=1e-5)
    output, loss = layer(x, target)
    np.testing.assert_allclose(output.numpy(), p.numpy()[np.arange(5), target.numpy()], rtol=1e-6)
    np.testing.assert_allclose(loss.item(), -output.numpy().mean(), rtol=1e-6)
    assert layer(x[0], target[0]).output.shape == ()
    assert np.isfinite(bl.compile(lambda x: layer(x, target).loss)(x).item())
    assert layer.predict(x).shape == (5,)
