"""How well entities are found: precision, recall and F1 of whole entities, as `conlleval` has them.

Source: Tjong Kim Sang, the script `conlleval` of the CoNLL-2000 shared task, version 2004-01-26;
Tjong Kim Sang & De Meulder, "Introduction to the CoNLL-2003 shared task", 2003, sec. 2.4.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

from ...errors import DataError, ShapeError
from .tags import entities


class EntityCounts:
    """Of one type of entities: how many there are, were found, and were found where they are.

        precision = correct / found,  recall = correct / phrases
        F1 = 2 correct / (found + phrases)

    A ratio of nothing is 0, as `conlleval` has it.
    """

    def __init__(self, phrases: int = 0, found: int = 0, correct: int = 0):
        self.phrases = phrases
        self.found = found
        self.correct = correct

    @property
    def precision(self) -> float:
        """Of the entities that were found, the share that is there."""
        return self.correct / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Of the entities that are there, the share that was found."""
        return self.correct / self.phrases if self.phrases else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        both = self.found + self.phrases
        return 2 * self.correct / both if both else 0.0

    def described(self) -> str:
        """In percent, in the words of `conlleval`."""
        precision = 100 * self.correct / self.found if self.found else 0.0
        recall = 100 * self.correct / self.phrases if self.phrases else 0.0
        both = precision + recall
        f1 = 2 * precision * recall / both if both else 0.0
        return f"precision: {precision:6.2f}%; recall: {recall:6.2f}%; FB1: {f1:6.2f}"

    def __repr__(self) -> str:
        return f"EntityCounts(phrases={self.phrases}, found={self.found}, correct={self.correct})"


class EntityScores:
    """What was found of the entities of sentences, by type and in all; printed as by `conlleval`.

    An entity is found where its type, its first and its last word agree. `all` and `types[name]`
    have precision, recall and F1 in [0, 1]; `accuracy` is the share of words with the right tag.

    >>> scores = EntityScores()
    >>> scores.add(["B-PER", "I-PER", "O", "B-LOC"], ["B-PER", "I-PER", "O", "O"])
    >>> print(scores)
    processed 4 tokens with 2 phrases; found: 1 phrases; correct: 1.
    accuracy:  75.00%; precision: 100.00%; recall:  50.00%; FB1:  66.67
                  LOC: precision:   0.00%; recall:   0.00%; FB1:   0.00  0
                  PER: precision: 100.00%; recall: 100.00%; FB1: 100.00  1
    """

    def __init__(self) -> None:
        self.tokens = 0
        self.right = 0
        self.types: dict[str, EntityCounts] = {}

    def add(self, correct: Sequence[str], guessed: Sequence[str]) -> None:
        """Take in one sentence: its tags, and those that were guessed."""
        if len(correct) != len(guessed):
            raise ShapeError(
                "entity_scores: a sentence must have a guessed tag for each word, got "
                f"{len(guessed)} for {len(correct)} words"
            )
        there, found = entities(correct), entities(guessed)
        agreed = {*there}.intersection(found)
        for spans, name in ((there, "phrases"), (found, "found"), (agreed, "correct")):
            for kind, *_ in spans:
                counts = self.types.setdefault(kind, EntityCounts())
                setattr(counts, name, getattr(counts, name) + 1)
        self.tokens += len(correct)
        self.right += sum(map(operator.eq, correct, guessed))

    @property
    def all(self) -> EntityCounts:
        """Of all types together."""
        kinds = self.types.values()
        return EntityCounts(
            *(sum(getattr(c, n) for c in kinds) for n in ("phrases", "found", "correct"))
        )

    precision = property(lambda self: self.all.precision, doc="Of all types together.")
    recall = property(lambda self: self.all.recall, doc="Of all types together.")
    f1 = property(lambda self: self.all.f1, doc="Of all types together.")

    @property
    def accuracy(self) -> float:
        """The share of words with the right tag; 0 without words."""
        return self.right / self.tokens if self.tokens else 0.0

    def state_dict(self) -> dict[str, Any]:
        """The counts so far."""
        types = {kind: [c.phrases, c.found, c.correct] for kind, c in self.types.items()}
        return {"tokens": self.tokens, "right": self.right, "types": types}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved counts."""
        try:
            types = {kind: EntityCounts(*counts) for kind, counts in state["types"].items()}
            self.tokens, self.right, self.types = state["tokens"], state["right"], types
        except (KeyError, TypeError, AttributeError):
            raise DataError(
                f"EntityScores: a state has tokens, right and types, got {state!r:.80}"
            ) from None

    def __str__(self) -> str:
        every = self.all
        lines = [
            f"processed {self.tokens} tokens with {every.phrases} phrases; "
            f"found: {every.found} phrases; correct: {every.correct}."
        ]
        if self.tokens:
            accuracy = 100 * self.right / self.tokens
            lines.append(f"accuracy: {accuracy:6.2f}%; {every.described()}")
        lines += [
            f"{kind:>17}: {counts.described()}  {counts.found}"
            for kind, counts in sorted(self.types.items())
        ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"EntityScores(F1={self.f1:.4f} of {self.all.phrases} entities)"


def entity_scores(
    correct: Iterable[Sequence[str]], guessed: Iterable[Sequence[str]]
) -> EntityScores:
    """Precision, recall and F1 of the entities of sentences, given by their tags.

    >>> entity_scores([["B-PER", "O"], ["B-LOC"]], [["B-PER", "O"], ["B-ORG"]]).f1
    0.5

    Tags of different schemes can be compared. Tags that no scheme allows are read as `conlleval`
    reads them (see `entities`). Where E and B of one type meet, which that script, made before
    BIOES, takes for one phrase, there are two here.
    """
    scores = EntityScores()
    correct, guessed = list(correct), list(guessed)
    if len(correct) != len(guessed):
        raise ShapeError(
            f"entity_scores: there must be guesses for each of {len(correct)} sentences, got "
            f"{len(guessed)}"
        )
    for tags, guesses in zip(correct, guessed, strict=True):
        if isinstance(tags, str) or isinstance(guesses, str):
            raise ShapeError(
                f"entity_scores: a sentence must be a list of tags, got the text {tags!r:.40}; "
                "give a list of sentences"
            )
        scores.add(tags, guesses)
    return scores


__all__ = ["EntityCounts", "EntityScores", "entity_scores"]
