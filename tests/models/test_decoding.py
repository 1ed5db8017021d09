"""Sampling, generation and beam search, against distributions and searches written out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import backlit as bl
from backlit import models
from backlit.errors import ArgumentError, NonFiniteError, ShapeError
from backlit.nn import functional as f

rng = np.random.default_rng(0)
LOGITS = np.log([0.4, 0.05, 0.3, 0.15, 0.1])


def shares(count=4000, logits=LOGITS, **options):
    rows = bl.tensor(np.tile(logits, (count, 1)))
    drawn = models.next_tokens(rows, generator=bl.Generator(3), **options)
    return np.bincount(drawn.numpy(), minlength=len(logits)) / count


def test_draws_have_the_probabilities_that_they_should() -> None:
    p = np.exp(LOGITS)
    for options, wanted in (
        ({}, p),
        ({"temperature": 0.5}, p**2 / np.sum(p**2)),
        ({"top_k": 2}, np.array([4, 0, 3, 0, 0]) / 7),
        ({"top_k": 9}, p),
        ({"top_p": 0.7}, np.array([4, 0, 3, 0, 0]) / 7),
        ({"top_p": 0.701}, np.array([40, 0, 30, 15, 0]) / 85),
        ({"top_p": 0.01}, np.array([1, 0, 0, 0, 0])),
        ({"top_p": 1.0}, p),
        # top_k first: of 4/7 and 3/7 the first reaches 0.5 alone
        ({"top_k": 2, "top_p": 0.5}, np.array([1, 0, 0, 0, 0])),
        ({"temperature": 0}, np.array([1, 0, 0, 0, 0])),
    ):
        found = shares(**options)
        assert np.all(found[wanted == 0] == 0), options
        np.testing.assert_allclose(found, wanted, atol=0.03, err_msg=str(options))


def test_ties_with_the_last_token_kept_are_kept() -> None:
    assert np.all(shares(logits=[1.0, 1.0, 1.0, 0.0], top_k=2)[:3] > 0.25)
    assert models.next_tokens(bl.ones((1, 3)), temperature=0).tolist() == [0]


def test_the_same_seed_draws_the_same() -> None:
    x = bl.zeros((5, 100))
    one, same, other = (
        models.next_tokens(x, generator=bl.Generator(s)).tolist() for s in (1, 1, 2)
    )
    assert one == same != other


def gpt(**options):
    bl.manual_seed(0)
    model = models.GPT2(vocabulary=11, context=16, layers=2, heads=2, width=8, **options)
    for p in model.parameters():
        p.assign(rng.normal(size=p.shape) * 0.6)
    return model


def characters(cell):
    bl.manual_seed(1)
    model = models.CharRNN(11, 6, 8, layers=2, cell=cell)
    for p in model.parameters():
        p.assign(rng.normal(size=p.shape))
    return model


GENERATORS = {
    "gpt2": gpt,
    **{cell: lambda cell=cell: characters(cell) for cell in ("lstm", "gru", "rnn")},
}
PROMPTS = [[3, 1, 4, 1, 5], [9], [2, 6, 5]]


def logits_after(model, tokens):
    """The last logits of a text, without any memory."""
    y = model(bl.tensor([tokens]))
    return (y[0] if isinstance(y, tuple) else y)[0, -1]


@pytest.mark.parametrize("name", GENERATORS)
def test_greedy_texts_are_those_of_the_whole_network_at_each_step(name) -> None:
    model = GENERATORS[name]().eval()
    wanted = []
    for prompt in PROMPTS:
        text = list(prompt)
        for _ in range(8):
            text.append(int(bl.argmax(logits_after(model, text)).item()))
        wanted.append(text[len(prompt) :])
    assert model.generate(PROMPTS, 8, temperature=0) == wanted
    assert model.generate([bl.tensor(p) for p in PROMPTS], 8, temperature=0) == wanted
    stop = wanted[0][3]
    ends = [row.index(stop) if stop in row else 8 for row in wanted]
    assert model.generate(PROMPTS, 8, temperature=0, stop=stop) == [
        row[:n] for row, n in zip(wanted, ends, strict=True)
    ]
    assert model.generate(PROMPTS, 0) == [[], [], []]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt2", "lstm"])
def test_one_compiled_step_does_for_all_lengths(name) -> None:
    model = GENERATORS[name]().eval()
    wanted = model.generate(PROMPTS, 8, temperature=0)
    assert model.generate(PROMPTS, 8, temperature=0, compiled=True) == wanted
    shorter = [p[:2] for p in PROMPTS]
    assert model.generate(shorter, 5, temperature=0, compiled=True) == model.generate(
        shorter, 5, temperature=0
    )
    assert len(model.compiled_step.graphs) == 1


@bl.no_grad()
def test_padding_before_a_row_and_neighbours_have_no_influence() -> None:
    model = gpt().eval().to("float64")
    logits, (slot, pads, *caches) = model.begin(PROMPTS, 4)
    assert (slot.item(), pads.tolist()) == (5, [0, 4, 2])
    for texts in (PROMPTS, [[*p, 7] for p in PROMPTS], [[*p, 7, 7] for p in PROMPTS]):
        for row, one in zip(logits, texts, strict=True):
            np.testing.assert_allclose(row.numpy(), logits_after(model, one).numpy(), rtol=1e-12)
        logits = model.step(bl.tensor([7, 7, 7]), slot, pads, *caches)


def test_drawn_texts_repeat_with_the_seed_and_the_mode_stays() -> None:
    model = gpt(dropout=0.5)
    model.h[1].eval()
    texts = [
        model.generate(PROMPTS, 9, top_k=5, generator=bl.Generator(seed)) for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]
    modes = [m.training for m in (model, model.h[0].attn, model.h[1].attn.resid_dropout)]
    assert modes == [True, True, False]
    model.eval()
    assert model.generate(PROMPTS, 9, top_k=5, generator=bl.Generator(1)) == texts[0]


def best_text(model, prompt, count, stop, penalty):
    """The best of all continuations, one after another."""
    best = (-math.inf, ())
    scores = {(): 0.0}
    for n in range(1, count + 1):
        longer = {}
        for text, score in scores.items():
            log_p = f.log_softmax(logits_after(model, [*prompt, *text]), -1).numpy()
            longer.update({(*text, i): score + v for i, v in enumerate(log_p.tolist())})
        ended = {t[:-1]: s for t, s in longer.items() if t[-1] == stop}
        scores = {t: s for t, s in longer.items() if t[-1] != stop}
        if n == count:
            ended |= scores
        for text, score in ended.items():
            best = max(best, (score / n**penalty, text))
    return list(best[1])


@pytest.mark.slow
def test_a_beam_for_every_text_finds_the_best() -> None:
    prompts = [[1, 2], [3], [0, 2, 1]]
    differ = 0
    for _ in range(4):
        model = models.GPT2(vocabulary=4, context=8, layers=1, heads=1, width=4).eval()
        for p in model.parameters():
            p.assign(rng.normal(size=p.shape) * 0.7)
        best = {x: [best_text(model, p, 3, 0, x) for p in prompts] for x in (0.0, 1.0)}
        for x, wanted in best.items():
            assert model.beam_search(prompts, 3, beams=16, stop=0, length_penalty=x) == wanted
        differ += best[0.0] != best[1.0]
        greedy = model.generate(prompts, 3, temperature=0)
        assert model.beam_search(prompts, 3, beams=1) == greedy
    assert differ  # else the penalty was not tried


def test_a_beam_ends_early_when_nothing_better_can_come() -> None:
    model = characters("gru").eval()
    with bl.no_grad():
        model.head.bias.assign(np.where(np.arange(11) == 7, 50.0, 0.0))
    steps = []
    step = model.step
    model.step = lambda *a: steps.append(1) or step(*a)
    assert model.beam_search(PROMPTS, 9, stop=7) == [[], [], []]
    assert not steps


def test_errors() -> None:
    model = gpt()
    name = r"GPT2\.generate"
    for prompts, text in (
        ([], f"{name}: at least one prompt is needed, got none"),
        ([[1], []], f"{name}: every prompt must have .* prompt 1 has none; begin with"),
        ("ab", f"{name}: prompts must be lists of tokens, got .*; encode a text"),
        ([1, 2], f"{name}: prompt 0 must be a list of tokens, .*; put a single prompt into a list"),
        ([[1.5]], f"{name}: a token of prompt 0 must be an integer that is not negative, got 1.5"),
    ):
        with pytest.raises(ArgumentError, match=text):
            model.generate(prompts, 3)
    with pytest.raises(ShapeError, match=f"{name}: prompts must be lists .* got float32\\[1,2\\]"):
        model.generate(bl.zeros((1, 2)), 3)
    with pytest.raises(
        ShapeError,
        match=r"context=16, but prompt 1 has 14 tokens; give its last ones, prompt\[-13:\]",
    ):
        model.generate([[1], [1] * 14], 3)
    with pytest.raises(
        ShapeError, match=r"into context=16, but prompt 0 has 1 tokens; ask for few"
    ):
        model.beam_search([[1]], 16)
    for options, text in (
        ({"temperature": -1.0}, "temperature must be finite and not negative, got -1.0"),
        ({"top_k": 0}, "top_k must be a positive integer, got 0"),
        ({"top_p": 0.0}, r"top_p must lie in \(0, 1\], got 0.0"),
        ({"stop": [-1]}, "a token of stop must be an integer that is not negative, got -1"),
    ):
        with pytest.raises(ArgumentError, match=f"{name}: {text}"):
            model.generate([[1]], 3, **options)
    with pytest.raises(ArgumentError, match=r"GPT2\.generate: count must be"):
        model.generate([[1]], -1)
    with pytest.raises(ArgumentError, match=r"GPT2\.beam_search: length_penalty must not be neg"):
        model.beam_search([[1]], 3, length_penalty=-1)
    with pytest.raises(ShapeError, match=r"next_tokens: logits must be floating \(N, V\), got"):
        models.next_tokens(bl.zeros(3))
    with pytest.raises(ArgumentError, match="multinomial: p must be finite"):
        models.next_tokens(bl.tensor([[1.0, math.nan]]))
    model.ln_f.bias.assign(np.full(8, np.nan))
    with pytest.raises(NonFiniteError, match=r"beam_search: the logits must not be NaN, but some"):
        model.beam_search([[1]], 3)
    with pytest.raises(
        ArgumentError, match=r"CharRNN: cell must be one of lstm, gru, rnn, got 'x'"
    ):
        models.CharRNN(cell="x")


def test_an_own_network_says_what_it_lacks() -> None:
    class Lone(models.Generative):
        pass

    with pytest.raises(NotImplementedError, match=r"Lone\.begin"):
        Lone().generate([[1]], 1)
    with pytest.raises(NotImplementedError, match=r"Lone\.step"):
        Lone().step(bl.zeros(1))
    assert list(itertools.islice(Lone().parameters(), 1)) == []
