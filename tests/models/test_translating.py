"""Networks from one sequence to another: padding, learning to turn sequences round, decoding."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import models
from backlit.errors import ArgumentError, ShapeError
from backlit.nn import functional as f

rng = np.random.default_rng(0)
START, STOP = 0, 1


def networks(seed=0):
    bl.manual_seed(seed)
    return {
        "bahdanau": models.Seq2Seq(8, 8, 12, 16, "bahdanau"),
        "luong": models.Seq2Seq(8, 8, 12, 16, "luong"),
        "transformer": models.TransformerSeq2Seq(8, 8, 16, 2, 1, 32, dropout=0.0, places=8),
    }


NAMES = ["bahdanau", "luong", "transformer"]
SOURCES = [[2, 3, 4, 5, 6], [7, 2], [3]]


def target_logits(model, source, target):
    return model(bl.tensor([source]), bl.tensor([target]))[0]


@pytest.mark.parametrize("name", NAMES)
def test_padding_of_sources_has_no_influence(name) -> None:
    model = networks()[name].eval().double()
    target = [START, 4, 3]
    table = np.full((3, 5), 6)
    for row, source in zip(table, SOURCES, strict=True):
        row[: len(source)] = source
    lengths = bl.tensor([len(s) for s in SOURCES])
    found = model(bl.tensor(table), bl.tensor([target] * 3), lengths).numpy()
    for y, source in zip(found, SOURCES, strict=True):
        np.testing.assert_allclose(y, target_logits(model, source, target).numpy(), rtol=1e-10)
    later = model(bl.tensor(table), bl.tensor([[START, 4, 7]] * 3), lengths).numpy()
    np.testing.assert_allclose(later[:, :2], found[:, :2], rtol=1e-12)  # nothing sees ahead
    assert not np.allclose(later[:, 2], found[:, 2])


@pytest.mark.parametrize(
    ("name", "compiled"),
    [
        *[(name, False) for name in NAMES],
        pytest.param("bahdanau", True, marks=pytest.mark.slow),
        pytest.param("luong", True, marks=pytest.mark.long),
        pytest.param("transformer", True, marks=pytest.mark.long),
    ],
)
def test_greedy_results_are_those_of_the_whole_network_at_each_step(name, compiled) -> None:
    model = networks()[name].eval()
    for p in model.parameters():
        p.assign(rng.normal(size=p.shape) * 0.5)
    wanted = []
    for source in SOURCES:
        text = [START]
        for _ in range(6):
            text.append(int(bl.argmax(target_logits(model, source, text)[-1]).item()))
        wanted.append(text[1:])
    assert model.generate(SOURCES, 6, temperature=0, compiled=compiled) == wanted
    assert model.beam_search(SOURCES, 6, beams=1, compiled=compiled) == wanted
    if compiled:
        assert len(model.compiled_step.graphs) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.long if n != "luong" else ()) for n in NAMES]
)
def test_it_learns_to_turn_sequences_round(name) -> None:
    model = networks(1)[name]
    optimizer = bl.optim.Adam(model.parameters(), lr=0.01)

    @bl.compile
    def step(source, target, lengths):
        logits = model(source, target[:, :-1], lengths)
        loss = f.cross_entropy(logits.reshape(-1, 8), target[:, 1:].reshape(-1), ignore_index=-1)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    for _ in range(250):
        lengths = rng.integers(1, 5, 32)
        source, target = np.zeros((32, 4), int), np.full((32, 6), STOP)
        target[:, 0] = START
        for row, out, n in zip(source, target, lengths, strict=True):
            row[:n] = rng.integers(2, 8, n)
            out[1 : n + 1] = row[:n][::-1]
        loss = step(bl.tensor(source), bl.tensor(target), bl.tensor(lengths))
    assert len(step.graphs) == 1
    assert loss.item() < 0.2
    sources = [[2, 3, 4, 5], [7, 2], [3]]
    assert model.generate(sources, 6, temperature=0, stop=STOP) == [s[::-1] for s in sources]
    assert model.beam_search(sources, 6, stop=STOP) == [s[::-1] for s in sources]


def test_errors() -> None:
    made = networks()
    with pytest.raises(ArgumentError, match=r"attention must be 'bahdanau' or 'luong', got 'x'"):
        models.Seq2Seq(8, 8, attention="x")
    with pytest.raises(
        ShapeError, match=r"Seq2Seq: source must be tokens \(N, S\), got int64\[3\]"
    ):
        made["luong"](bl.tensor([1, 2, 3]), bl.tensor([[0]]))
    two = bl.zeros((2, 3), dtype="int64")
    for target in (two[:, :0], two[:1], two[0]):
        with pytest.raises(ShapeError, match=r"target must be tokens .* T above 0, got .* start"):
            made["bahdanau"](two, target)
    with pytest.raises(ArgumentError, match=r"sinusoids: width must be even, got 5"):
        models.TransformerSeq2Seq(8, 8, 5, 1)
    long = bl.zeros((1, 9), dtype="int64")
    for source, target, what in ((long, long[:, :1], "source"), (long[:, :1], long, "target")):
        with pytest.raises(ShapeError, match=rf"{what} must be tokens with 1 to places=8 in a row"):
            made["transformer"](source, target)
    with pytest.raises(
        ArgumentError, match=r"TransformerSeq2Seq: lengths must lie in \[1, 4\], got"
    ):
        made["transformer"](long[:, :4], long[:, :1], bl.tensor([0]))
    with pytest.raises(
        ArgumentError, match=r"Seq2Seq.generate: every prompt must have .* begin wi"
    ):
        made["luong"].generate([[]], 3)
