"""Classifiers of texts: padding has no influence, and words and their order tell classes."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import models, nn
from backlit.errors import ArgumentError, ShapeError
from backlit.nn import functional as f

rng = np.random.default_rng(0)


def classifiers():
    bl.manual_seed(0)
    return [
        models.TextCNN(9, 6, 2, (2, 3), 5, dropout=0.0),
        models.FastText(9, 6, 2, ngrams=3, buckets=200),
    ]


@pytest.mark.parametrize("index", [0, 1], ids=["TextCNN", "FastText"])
def test_padding_has_no_influence(index) -> None:
    model = classifiers()[index].double()
    x = rng.integers(0, 9, (3, 5))
    lengths = [5, 1, 2]
    found = model(bl.tensor(x), bl.tensor(lengths)).numpy()
    longer = np.concatenate((x, rng.integers(0, 9, (3, 4))), axis=1)
    np.testing.assert_allclose(model(bl.tensor(longer), bl.tensor(lengths)).numpy(), found)
    for row, n, y in zip(x, lengths, found, strict=True):
        np.testing.assert_allclose(model(bl.tensor(row[None, :n])).numpy()[0], y)


def test_a_text_is_the_mean_of_its_words_and_runs() -> None:
    model = classifiers()[1].double()
    words, runs = model.embedding.weight.numpy(), model.runs.weight.numpy()
    p = 116_049_371
    rows = [words[4], words[7], words[2], runs[(4 * p + 7) % 200], runs[(7 * p + 2) % 200]]
    rows.append(runs[(((4 * p + 7) % 200) * p + 2) % 200])
    weight, bias = model.output.weight.numpy(), model.output.bias.numpy()
    found = model(bl.tensor([[4, 7, 2]])).numpy()[0]
    np.testing.assert_allclose(found, weight @ np.mean(rows, axis=0) + bias, rtol=1e-12)


def test_a_kernel_answers_once_for_the_whole_text() -> None:
    model = classifiers()[0].double()
    x = [4, 7, 2]
    e = np.concatenate((model.embedding.weight.numpy()[x], np.zeros((2, 6))))
    answers = []
    for k, layer in zip((2, 3), model.convolutions, strict=True):
        w, b = layer.weight.numpy(), layer.bias.numpy()
        each = [np.einsum("ock,kc->o", w, e[t : t + k]) + b for t in range(3)]
        answers.append(np.maximum(np.max(each, axis=0), 0))
    weight, bias = model.output.weight.numpy(), model.output.bias.numpy()
    found = model(bl.tensor([x])).numpy()[0]
    np.testing.assert_allclose(found, weight @ np.concatenate(answers) + bias, rtol=1e-12)


@pytest.mark.parametrize("index", [0, 1], ids=["TextCNN", "FastText"])
def test_it_learns_the_order_of_two_words(index) -> None:
    model = classifiers()[index]
    x = np.array([[0, 1, 2, 3], [3, 0, 1, 2], [1, 0, 2, 3], [2, 3, 1, 0]] * 3)
    y = bl.tensor([0, 0, 1, 1] * 3)
    optimizer = bl.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(40):
        loss = f.cross_entropy(model(bl.tensor(x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


def test_errors() -> None:
    for model in classifiers():
        name = type(model).__name__
        with pytest.raises(ShapeError, match=rf"{name}: x must be tokens \(N, T\) with T above 0"):
            model(bl.zeros((2, 0), dtype="int64"))
        with pytest.raises(
            ArgumentError, match=rf"{name}: lengths must lie in \[1, 3\], got 0; leave"
        ):
            model(bl.zeros((2, 3), dtype="int64"), bl.tensor([3, 0]))
        with pytest.raises(ShapeError, match=rf"{name}: lengths must be N = 2 integers, got int64"):
            model(bl.zeros((2, 3), dtype="int64"), bl.tensor([3]))
    with pytest.raises(ArgumentError, match=r"TextCNN: at least one window is needed, got none"):
        models.TextCNN(9, windows=())
    with pytest.raises(ArgumentError, match=r"FastText: ngrams must be a positive integer, got 0"):
        models.FastText(9, ngrams=0)
    table = nn.Embedding(7, 3)
    for kind in (models.TextCNN, models.FastText):
        assert kind(embedding=table).embedding is table
