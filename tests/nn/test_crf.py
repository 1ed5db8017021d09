"""The conditional random field, against sums and maxima over all sequences written out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.data.text import tag_constraints
from backlit.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError

rng = np.random.default_rng(0)
T, N, C = 4, 3, 3
E = rng.normal(size=(T, N, C)) * 2
LENGTHS = (4, 2, 1)
MASK = np.arange(T)[:, None] < np.array(LENGTHS)
TAGS = rng.integers(0, C, (T, N))
SCHEME = ["O", "B-x", "I-x"]


def layer(constraints=None, batch_first=False):
    crf = nn.CRF(C, batch_first, constraints=constraints, dtype="float64")
    for p in crf.parameters():
        p.assign(rng.normal(size=p.shape))
    return crf


def allowed(tags, constraints) -> bool:
    if constraints is None:
        return True
    start, follow, end = constraints
    return bool(
        start[tags[0]] and end[tags[-1]] and all(follow[a, b] for a, b in itertools.pairwise(tags))
    )


def enumerate_all(crf, e, constraints=None):
    """{tags: score} of every sequence for emissions (T, C)."""
    start, end, follow = (
        p.numpy() for p in (crf.start_transitions, crf.end_transitions, crf.transitions)
    )
    return {
        tags: start[tags[0]]
        + end[tags[-1]]
        + math.fsum(e[t, tag] for t, tag in enumerate(tags))
        + math.fsum(follow[a, b] for a, b in itertools.pairwise(tags))
        for tags in itertools.product(range(C), repeat=len(e))
        if allowed(tags, constraints)
    }


def log_sum(scores) -> float:
    return float(np.logaddexp.reduce(list(scores)))


CONSTRAINTS = [None, tag_constraints(SCHEME)]


@pytest.mark.parametrize("constraints", CONSTRAINTS, ids=["free", "IOB2"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_likelihood_and_best_tags_are_those_of_all_sequences(constraints, batch_first) -> None:
    crf = layer(constraints, batch_first)
    best, likely, normal = [], [], []
    tags = TAGS.copy()
    for n, length in enumerate(LENGTHS):
        scores = enumerate_all(crf, E[:length, n], constraints)
        tags[:length, n] = list(scores)[len(scores) // 2]
        normal.append(log_sum(scores.values()))
        likely.append(scores[tuple(tags[:length, n])] - normal[-1])
        best.append(max(scores, key=scores.get))

    def turned(x):
        return np.swapaxes(x, 0, 1) if batch_first else x

    e, y, mask = map(bl.asarray, (turned(E), turned(tags), turned(MASK)))
    found = crf(e, y, mask, "none")
    np.testing.assert_allclose(found.numpy(), likely, rtol=1e-12)
    np.testing.assert_allclose(crf.log_normalizer(e, mask).numpy(), normal, rtol=1e-12)
    np.testing.assert_allclose(crf(e, y, mask).item(), math.fsum(likely), rtol=1e-12)
    np.testing.assert_allclose(crf(e, y, mask, "mean").item(), np.mean(likely), rtol=1e-12)
    tokens = crf(e, y, mask, "token_mean").item()
    np.testing.assert_allclose(tokens, math.fsum(likely) / sum(LENGTHS), rtol=1e-12)
    assert crf.decode(e, mask) == [list(b) for b in best]
    _, score = crf.viterbi(e, mask)
    np.testing.assert_allclose(
        score.numpy(),
        [
            enumerate_all(crf, E[:n, i])[b]
            for i, (n, b) in enumerate(zip(LENGTHS, best, strict=True))
        ],
        rtol=1e-12,
    )


def test_sequences_of_one_step() -> None:
    crf = layer()
    e = bl.asarray(E[:1])
    scores = [enumerate_all(crf, E[:1, n]) for n in range(N)]
    assert crf.decode(e) == [list(max(s, key=s.get)) for s in scores]
    np.testing.assert_allclose(
        crf.log_normalizer(e).numpy(), [log_sum(s.values()) for s in scores], rtol=1e-12
    )


def test_captured_steps_are_one_loop() -> None:
    crf = layer()
    sizes = set()
    for steps in (3, 30):
        e = bl.zeros((steps, 2, C), dtype="float64")
        graph = bl.capture(crf.viterbi)(e)
        sizes.add(len(graph.equations))
    assert len(sizes) == 1


def test_probabilities_of_all_sequences_sum_to_one() -> None:
    crf = layer()
    every = np.array(list(itertools.product(range(C), repeat=T))).T
    e = bl.asarray(np.repeat(E[:, :1], every.shape[1], axis=1))
    assert bl.exp(crf(e, bl.asarray(every), reduction="none")).sum().item() == pytest.approx(1)


@pytest.mark.parametrize("constraints", CONSTRAINTS, ids=["free", "IOB2"])
def test_marginals_are_those_of_all_sequences(constraints) -> None:
    crf = layer(constraints)
    wanted = np.zeros((T, N, C))
    for n, length in enumerate(LENGTHS):
        scores = enumerate_all(crf, E[:length, n], constraints)
        total = log_sum(scores.values())
        for tags, score in scores.items():
            wanted[range(length), n, tags] += math.exp(score - total)
    found = crf.marginals(bl.asarray(E), bl.asarray(MASK)).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.slow
def test_gradients() -> None:
    crf = layer(CONSTRAINTS[1])
    tags, mask = bl.asarray(np.zeros((T, N), int)), bl.asarray(MASK)
    e = bl.tensor(E, requires_grad=True)
    parameters = list(crf.parameters())
    assert bl.gradcheck(lambda e, *_: crf(e, tags, mask), [e, *parameters], order=2)
    crf(e, tags, mask).backward()
    assert crf.transitions.grad.numpy()[0, 2] == 0  # O, I-x is forbidden
    assert np.all(e.grad.numpy()[~MASK] == 0)


def test_padding_has_no_influence() -> None:
    crf = layer(CONSTRAINTS[1])
    e, y = E.copy(), np.zeros((T, N), int)
    wanted = crf(bl.asarray(e), bl.asarray(y), bl.asarray(MASK)).item()
    e[~MASK], y[~MASK] = np.nan, -100
    leaf = bl.tensor(e, requires_grad=True)
    value = crf(leaf, bl.asarray(y), bl.asarray(MASK))
    value.backward()
    assert value.item() == wanted
    assert np.isfinite(leaf.grad.numpy()).all()
    assert all(np.isfinite(p.grad.numpy()).all() for p in crf.parameters())
    assert [len(row) for row in crf.decode(bl.asarray(e), bl.asarray(MASK))] == list(LENGTHS)


def test_a_long_constrained_sequence_in_float32_stays_finite() -> None:
    crf = nn.CRF(3, constraints=tag_constraints(SCHEME))
    e = bl.asarray(rng.normal(size=(300, 2, 3)).astype("f4") * 5)
    tags, _ = crf.viterbi(e)
    value = crf(e, tags)
    assert -300 < value.item() < 0
    wide = nn.CRF(3, constraints=tag_constraints(SCHEME)).double()
    wide.load_state_dict(crf.state_dict())
    assert wide(e.astype("float64"), tags).item() == pytest.approx(value.item(), abs=0.05)


@pytest.mark.slow
def test_compiled_and_eager_agree() -> None:
    crf = layer(CONSTRAINTS[1])
    tags, mask = bl.asarray(np.zeros((T, N), int)), bl.asarray(MASK)

    def loss_and_grads(e):
        value = -crf(e, tags, mask)
        value.backward()
        grads = [p.grad for p in crf.parameters()]
        for p in crf.parameters():
            p.grad = None
        return value, *grads

    compiled = bl.compile(loss_and_grads)
    for ours, other in zip(compiled(bl.asarray(E)), loss_and_grads(bl.asarray(E)), strict=True):
        np.testing.assert_allclose(ours.numpy(), other.numpy(), rtol=1e-12, atol=1e-13)
    best = bl.compile(lambda e: crf.viterbi(e, mask)[0])
    assert best(bl.asarray(E)).tolist() == crf.viterbi(bl.asarray(E), mask)[0].tolist()


def test_errors() -> None:
    crf = layer(CONSTRAINTS[1])
    e, y, mask = map(bl.asarray, (E, np.zeros((T, N), int), MASK))
    with pytest.raises(ShapeError, match=r"CRF: constraints must be truth values of shapes \(4,\)"):
        nn.CRF(4, constraints=CONSTRAINTS[1])
    with pytest.raises(
        ShapeError, match=r"CRF: emissions must be floating \(T, N, C\) .* = 3, got"
    ):
        crf(bl.zeros((T, N, 4)), y)
    with pytest.raises(ShapeError, match=r"CRF: emissions must be floating \(N, T, C\)"):
        layer(batch_first=True).decode(bl.zeros((2, 0, 3)))
    with pytest.raises(ShapeError, match=r"CRF: tags must be integers \(T, N\) .* got"):
        crf(e, y[:2])
    with pytest.raises(ShapeError, match=r"CRF: mask must be \(T, N\) as the emissions"):
        crf(e, y, mask[:2])
    with pytest.raises(DTypeError, match=r"CRF: mask must be truth values, .*astype\(bool\)"):
        crf(e, y, mask.astype("int64"))
    with pytest.raises(ArgumentError, match=r"CRF: reduction must be one of none, .*, got 'avg'"):
        crf(e, y, mask, "avg")
    with pytest.raises(ArgumentError, match=r"every sequence must have a step, got 0; leave empty"):
        crf(e, y, bl.asarray(np.arange(T)[:, None] < np.array([4, 0, 1])))
    with pytest.raises(ArgumentError, match=r"True up to a sequence's end .*; put padding behind"):
        crf(e, y, bl.asarray(np.array([[1, 1, 1], [0, 1, 0], [1, 0, 0], [0, 0, 0]], bool)))
    with pytest.raises(IndexRangeError, match=r"CRF: tags must lie in \[0, 3\), got 3; give padd"):
        crf(e, y + 3, mask)
    for tags, text in (
        ([2, 2, 2, 2], "begin with an allowed tag, got 2; convert the tags"),
        ([0, 1, 0, 2], "allowed after that before it, got 2"),
    ):
        with pytest.raises(ArgumentError, match=text):
            crf(e, bl.asarray(np.array(tags)[:, None].repeat(N, 1)))
    strict = nn.CRF(2, constraints=tag_constraints(["B-x", "E-x"], "BIOES"))
    with pytest.raises(ArgumentError, match=r"end with an allowed tag, got 0"):
        strict(bl.zeros((1, 1, 2)), bl.asarray([[0]]))
