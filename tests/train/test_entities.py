"""The entities that a tagger finds, over the batches of an epoch."""

import math

import numpy as np
import pytest

from backlit import tensor
from backlit.data.text import Vocabulary, entity_scores
from backlit.errors import ArgumentError, IndexRangeError, ShapeError
from backlit.train import EntityF1

TAGS = ["O", "B-P", "I-P", "B-L"]


def test_scores_numbers_and_sentences_agree():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, (6, 5))
    guesses = rng.integers(0, 4, (6, 5))
    scores = np.moveaxis(np.eye(4, dtype=np.float32)[guesses], -1, 1)
    want = entity_scores(
        [[TAGS[n] for n in r] for r in truth], [[TAGS[n] for n in r] for r in guesses]
    )
    last = np.moveaxis(scores, 1, -1)
    for prediction, axis in ((scores, 1), (tensor(scores), 1), (last, -1), (last, 2), (guesses, 1)):
        metric = EntityF1(Vocabulary(TAGS, padding=None, unknown=None), class_axis=axis)
        metric.update(prediction[:4], truth[:4])
        metric.update(prediction[4:], truth[4:])
        assert metric.compute() == want.f1
        assert str(metric.scores) == str(want)


def test_padding_does_not_count():
    metric = EntityF1(TAGS)
    metric.update([[1, 2, 3]], [[1, 2, -100]])
    assert metric.compute() == 1
    metric.update([[3, 9, 1]], [[-100, -100, 1]])  # as behind the first piece of a word
    assert metric.scores.all.phrases == 2
    assert EntityF1(TAGS, ignore_index=0).ignore_index == 0


def test_a_tag_for_padding_is_outside():
    metric = EntityF1(Vocabulary(TAGS, unknown=None))
    metric.update([[0, 2, 3]], [[0, 2, 3]])
    assert metric.scores.all.phrases == 1


def test_counts_are_saved_continued_and_forgotten():
    metric = EntityF1(TAGS)
    assert math.isnan(metric.compute())
    metric.update([[1, 0]], [[1, 3]])
    again = EntityF1(TAGS)
    again.load_state_dict(metric.state_dict())
    assert again.compute() == metric.compute() == 2 / 3
    assert repr(again) == "EntityF1(66.67 %)"
    again.reset()
    assert math.isnan(again.compute())
    assert metric.compute() == 2 / 3


def test_errors():
    metric = EntityF1(TAGS)
    for prediction, target in (
        (np.zeros((2, 5, 4), np.float32), np.zeros((2, 5), int)),  # scores (N, T, C)
        (np.zeros((2, 4), np.float32), np.zeros(2, int)),  # a word for each example
        (np.zeros((2, 4, 5), np.float32), np.zeros((2, 4), int)),
        (np.zeros((2, 3)), np.zeros((2, 3), int)),
        (np.zeros((2, 3), int), np.zeros((2, 3))),
    ):
        with pytest.raises(ShapeError, match=r"scores \(N, 4, T\) or .* words of a sent"):
            metric.update(prediction, target)
    with pytest.raises(IndexRangeError, match=r"target must lie in \[0, 4\), .* got 4"):
        metric.update([[0]], [[4]])
    with pytest.raises(IndexRangeError, match=r"prediction must lie .* got -1"):
        metric.update([[-1]], [[0]])
    with pytest.raises(ShapeError, match=r"scores \(N, T, 4\) or .*; class_axis says where"):
        EntityF1(TAGS, class_axis=-1).update(np.zeros((2, 4, 5)), np.zeros((2, 5), int))
    with pytest.raises(ArgumentError, match="class_axis must be 1 or -1, got 0"):
        EntityF1(TAGS, class_axis=0)
    with pytest.raises(ArgumentError, match="a tag must be O"):
        EntityF1(["O", "NN"])
    with pytest.raises(ArgumentError, match="tags must be a list or tuple"):
        EntityF1("O")
