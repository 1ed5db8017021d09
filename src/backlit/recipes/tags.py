"""What is learned of words: tags of entities, or a class of each word, as its part of speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import nn
from ..data.text import entities
from ..train import Accuracy, EntityF1, Metric
from .targets import Named, Prediction, log_softmax

#: The label of what is no word, which losses and metrics leave out.
NO_WORD = -100


@dataclass(frozen=True)
class Tags(Named):
    """A tag for each word, in the scheme IOB2: cross-entropy, and F1 of whole entities."""

    kind = "tags"
    headline = "entity F1"

    def encode(self, answers: Any) -> np.ndarray:
        """(N, T) numbers of tags, -100 behind each sentence; tags are padded by the form."""
        return np.asarray(answers, np.int64)

    def loss(self, settings: Mapping[str, Any], trained: np.ndarray) -> nn.Module:
        """The mean cross-entropy of the words."""
        smoothing = settings["label_smoothing"]
        return nn.CrossEntropyLoss(ignore_index=NO_WORD, label_smoothing=smoothing)

    def metrics(self) -> list[Metric]:
        """F1 of entities, by which the best epoch is chosen."""
        return [EntityF1(self.names, NO_WORD)]

    monitor: ClassVar[str | None] = "validation_entity F1"

    def scores(self, outputs: np.ndarray, answers: np.ndarray) -> dict[str, float]:
        """As `conlleval` counts: an entity is right if its type and both of its ends are."""
        counted = EntityF1(self.names, NO_WORD)
        counted.update(outputs, answers)
        found = counted.scores
        return {
            "entity F1": found.f1,
            "precision": found.precision,
            "recall": found.recall,
            "accuracy": found.accuracy,
            "loss": _loss(outputs, answers),
        }

    def truths(self, answers: np.ndarray) -> list[Prediction]:
        """The tags of the words."""
        return [
            Prediction(" ".join(self.names[i] for i in row[row != NO_WORD].tolist()))
            for row in answers
        ]

    def said(self, tokens: Sequence[str], tags: Sequence[str]) -> str:
        """The entities that tags mark among words, as a person reads them."""
        found = entities(tags)
        marked = [f"{' '.join(tokens[e.start : e.stop])} [{e.type}]" for e in found]
        return ", ".join(marked) or "nothing"


@dataclass(frozen=True)
class WordClasses(Tags):
    """A class for each word, as its part of speech: cross-entropy, and the share that is right."""

    kind = "word classes"
    headline = "accuracy"
    monitor = None

    def metrics(self) -> list[Metric]:
        """The share of the words."""
        return [Accuracy(ignore_index=NO_WORD)]

    def scores(self, outputs: np.ndarray, answers: np.ndarray) -> dict[str, float]:
        """Of the words, and of whole sentences."""
        hits = outputs.argmax(axis=1) == answers
        there = answers != NO_WORD
        return {
            "accuracy": float(hits[there].mean()),
            "whole sentences right": float((hits | ~there).all(axis=1).mean()),
            "loss": _loss(outputs, answers),
        }

    def said(self, tokens: Sequence[str], tags: Sequence[str]) -> str:
        """Each word with its class."""
        return " ".join(f"{word}/{tag}" for word, tag in zip(tokens, tags, strict=True))


def _loss(outputs: np.ndarray, answers: np.ndarray) -> float:
    """The mean cross-entropy of the words: outputs (N, C, T), answers (N, T)."""
    there = answers != NO_WORD
    logs = log_softmax(outputs.transpose(0, 2, 1))[there]
    return float(-logs[np.arange(len(logs)), answers[there]].mean())
