"""Taggers: padding has no influence, and they learn what only a neighbour tells."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import models, nn
from backlit.data.text import tag_constraints
from backlit.errors import ArgumentError, ShapeError

rng = np.random.default_rng(0)
NAMES = ["O", "B-x", "I-x"]


def sentences(count=16, steps=6):
    """Tokens 0 to 5; 1 begins an entity that goes on through 2s, which elsewhere are outside."""
    x = rng.integers(0, 4, (count, steps))
    lengths = rng.integers(1, steps + 1, count)
    tags = np.zeros_like(x)
    for row, tag in zip(x, tags, strict=True):
        inside = False
        for t, token in enumerate(row):
            inside = token == 1 or (inside and token == 2)
            tag[t] = 0 if not inside else 1 if token == 1 else 2
    return x, tags, lengths


def taggers(dtype="float32"):
    bl.manual_seed(0)
    rules = tag_constraints(NAMES)
    sizes = {"vocabulary": 4, "width": 6, "hidden": 8, "classes": 3}
    return [
        models.BiLSTMTagger(**sizes).to(dtype),
        models.BiLSTMCRF(**sizes, constraints=rules).to(dtype),
    ]


@pytest.mark.parametrize("model", taggers("float64"), ids=lambda m: type(m).__name__)
def test_padding_has_no_influence(model) -> None:
    x, tags, lengths = sentences(3)
    lengths[:] = 6, 2, 4
    total = 0.0
    logits = model(bl.tensor(x), bl.tensor(lengths)).numpy()
    for row, tag, n, padded in zip(x, tags, lengths, logits, strict=True):
        one, t = bl.tensor(row[None, :n]), bl.tensor(tag[None, :n])
        total += model.loss(one, t).item() * n
        np.testing.assert_allclose(padded[:n], model(one).numpy()[0], rtol=1e-12)
    for n, row in enumerate(lengths):
        tags[n, row:] = 2
    found = model.loss(bl.tensor(x), bl.tensor(tags), bl.tensor(lengths)).item()
    assert found == pytest.approx(total / lengths.sum(), rel=1e-12)
    decoded = model.decode(bl.tensor(x), bl.tensor(lengths))
    assert [len(row) for row in decoded] == list(lengths)
    assert decoded == [
        model.decode(bl.tensor(row[None, :n]))[0] for row, n in zip(x, lengths, strict=True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 1], ids=["BiLSTM", "CRF"])
def test_it_learns_in_one_compiled_step_for_all_lengths(index) -> None:
    model = taggers()[index]
    optimizer = bl.optim.Adam(model.parameters(), lr=0.03)

    @bl.compile
    def step(x, tags, lengths):
        loss = model.loss(x, tags, lengths)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    batches = [tuple(map(bl.tensor, sentences())) for _ in range(5)]
    for _ in range(8):
        for batch in batches:
            loss = step(*batch)
    assert len(step.graphs) == 1
    assert loss.item() < 0.15
    x, tags, lengths = sentences()
    wanted = [list(t[:n]) for t, n in zip(tags, lengths, strict=True)]
    found = model.decode(bl.tensor(x), bl.tensor(lengths))
    right = sum(
        a == b for f, w in zip(found, wanted, strict=True) for a, b in zip(f, w, strict=True)
    )
    assert right / lengths.sum() > 0.95


def test_errors() -> None:
    model = taggers()[1]
    x = bl.zeros((2, 3), dtype="int64")
    with pytest.raises(
        ArgumentError, match=r"LSTM: lengths must lie in \[1, 3\], got 0; leave empty"
    ):
        model.decode(x, bl.tensor([3, 0]))
    with pytest.raises(ShapeError, match=r"BiLSTMCRF: tags must have the shape \(N, T\) of x, got"):
        model.loss(x, x[:, :2])
    with pytest.raises(ShapeError, match=r"x must have shape \(N, T, I\) with T > 0"):
        model.decode(x[:, :0])


def test_a_given_table_is_used_as_it_is() -> None:
    table = nn.Embedding.from_pretrained(bl.ones((7, 4)))
    model = models.BiLSTMTagger(hidden=3, classes=2, embedding=table)
    assert model.lstm.input_size == 4
    window = models.WindowTagger(window=3, hidden=5, classes=2, embedding=table)
    assert window(bl.zeros((2, 3), dtype="int64")).shape == (2, 2)
    assert model.embedding is window.embedding is table
    assert not table.weight.requires_grad
