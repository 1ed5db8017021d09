"""BERT: its names, its masks, and its heads."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import models
from backlit.errors import ArgumentError, DTypeError, ShapeError
from backlit.nn import functional as f

rng = np.random.default_rng(0)
#: Of `BertForMaskedLM` and `BertForSequenceClassification` in the package transformers.
LAYER = [
    f"bert.encoder.layer.0.{part}.{kind}"
    for part in (
        "attention.self.query", "attention.self.key", "attention.self.value",
        "attention.output.dense", "attention.output.LayerNorm", "intermediate.dense",
        "output.dense", "output.LayerNorm",
    )
    for kind in ("weight", "bias")
]  # fmt: skip
TABLES = [
    "bert.embeddings.word_embeddings.weight", "bert.embeddings.position_embeddings.weight",
    "bert.embeddings.token_type_embeddings.weight", "bert.embeddings.LayerNorm.weight",
    "bert.embeddings.LayerNorm.bias",
]  # fmt: skip
POOLER = ["bert.pooler.dense.weight", "bert.pooler.dense.bias"]
HEAD = [
    f"cls.predictions.{name}"
    for name in (
        "bias", "transform.dense.weight", "transform.dense.bias", "transform.LayerNorm.weight",
        "transform.LayerNorm.bias", "decoder.weight", "decoder.bias",
    )
]  # fmt: skip


def bert(**options):
    bl.manual_seed(0)
    return models.Bert(vocabulary=13, context=8, layers=1, heads=2, width=8, **options)


def tokens(*shape):
    return bl.tensor(rng.integers(1, 13, shape))


def test_names() -> None:
    masked = models.BertForMaskedLM(bert(pooled=False))
    assert set(masked.state_dict()) == {*TABLES, *LAYER, *HEAD}
    classes = models.BertForSequenceClassification(3, bert())
    heads = ["classifier.weight", "classifier.bias"]
    assert set(classes.state_dict()) == {*TABLES, *LAYER, *POOLER, *heads}
    assert masked.cls.predictions.decoder.weight is masked.bert.embeddings.word_embeddings.weight
    assert masked.cls.predictions.decoder.bias is masked.cls.predictions.bias
    assert masked.bert.embeddings.word_embeddings.weight[0].tolist() == [0.0] * 8


def test_the_published_number_of_parameters() -> None:
    layer = 4 * (768 * 768 + 768) + 2 * 768 * 3072 + 3072 + 768 + 4 * 768
    tables = (30_522 + 512 + 2 + 2) * 768
    assert tables + 12 * layer + 768 * 769 == 109_482_240  # of BERT-base
    small = sum(p.size for p in bert().parameters())
    assert small == (13 + 8 + 2 + 2) * 8 + 4 * 72 + 2 * 8 * 32 + 32 + 8 + 4 * 8 + 72


def test_padding_has_no_influence() -> None:
    model = bert().eval().double()
    x = tokens(2, 6)
    mask = bl.tensor([[1, 1, 1, 1, 0, 0], [1] * 6])
    words, pooled = model(x, mask)
    alone, lone = model(x[:1, :4])
    np.testing.assert_allclose(words.numpy()[0, :4], alone.numpy()[0], rtol=1e-12)
    np.testing.assert_allclose(pooled.numpy()[0], lone.numpy()[0], rtol=1e-12)
    same, _ = model(x, mask == 1)
    np.testing.assert_array_equal(same.numpy(), words.numpy())


def test_segments_are_told_apart() -> None:
    model = bert().eval()
    x = tokens(1, 4)
    zero, _ = model(x)
    same, _ = model(x, segments=bl.zeros((1, 4), dtype="int64"))
    other, _ = model(x, segments=bl.tensor([[0, 0, 1, 1]]))
    np.testing.assert_array_equal(zero.numpy(), same.numpy())
    assert not np.allclose(zero.numpy(), other.numpy())


def test_both_heads_learn() -> None:
    x = tokens(4, 6)
    for model, target in (
        (models.BertForMaskedLM(bert(pooled=False, dropout=0.0)), x.reshape(-1)),
        (models.BertForSequenceClassification(2, bert(dropout=0.0), 0.0), bl.tensor([0, 1, 1, 0])),
    ):
        optimizer = bl.optim.Adam(model.parameters(), lr=0.01)
        losses = []
        for _ in range(20):
            y = model(x)
            loss = f.cross_entropy(y.reshape(-1, y.shape[-1]), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.6 * losses[0]


def test_errors() -> None:
    model = bert(pooled=False)
    x = tokens(2, 4)
    assert model(x)[1] is None
    for shape in ((1, 9), (1, 0), (3,)):
        with pytest.raises(ShapeError, match=r"Bert: tokens must be \(N, T\) .* context=8, got"):
            model(bl.zeros(shape, dtype="int64"))
    with pytest.raises(ShapeError, match=r"Bert: segments must have the shape of tokens, \(2, 4\)"):
        model(x, segments=x[:1])
    with pytest.raises(
        ShapeError, match=r"Bert: mask must have the shape of tokens, \(2, 4\), got"
    ):
        model(x, x[:, :2])
    with pytest.raises(
        DTypeError, match=r"Bert: mask must be truth values or 0 and 1, got float32"
    ):
        model(x, bl.ones((2, 4)))
    with pytest.raises(
        ArgumentError, match=r"each row of the mask must have a word, .* leave rows"
    ):
        model(x, bl.tensor([[1, 1, 0, 0], [0, 0, 0, 0]]))
    with pytest.raises(
        ArgumentError, match=r"Bert: width must be a multiple of heads, got 8 and 3"
    ):
        models.Bert(13, 8, 1, 3, 8)
    with pytest.raises(ArgumentError, match=r"bert must have a pooler; make it with pooled=True"):
        models.BertForSequenceClassification(2, model)
