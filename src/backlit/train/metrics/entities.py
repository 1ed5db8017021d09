"""How well a tagger finds entities, over the batches of an epoch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ...array_api.arguments import sequence
from ...data.text.scores import EntityScores
from ...data.text.tags import split_tag
from ...data.text.vocabulary import Vocabulary
from ...dtypes import FLOATING
from ...errors import IndexRangeError, ShapeError
from ...op import describe
from ...tensor import as_tensor
from .base import Metric


class EntityF1(Metric):
    """The F1 of whole entities in tagged sentences, as `conlleval` has it.

        prediction: scores (N, C, T), or tags' numbers (N, T);  target: tags' numbers (N, T)

    `tags` are the names of the C tags, in the order of their numbers: a Vocabulary or a list. Words
    whose target is `ignore_index`, such as padding, do not count, whatever was predicted there.
    `scores` has precision and recall, also of each type; `print(metric.scores)` is the table that
    `conlleval` prints.

    >>> f1 = EntityF1(["O", "B-PER", "I-PER"])
    >>> f1.update([[1, 2, 0], [0, 1, 0]], [[1, 2, 0], [1, 0, -100]])
    >>> f1, f1.scores.recall
    (EntityF1(50.00 %), 0.5)
    """

    name = "entity F1"

    def __init__(self, tags: Vocabulary | Iterable[str], ignore_index: int = -100):
        names = tags.tokens if isinstance(tags, Vocabulary) else sequence("EntityF1: tags", tags)
        special = tags.specials if isinstance(tags, Vocabulary) else ()
        for tag in names:
            if tag not in special:
                split_tag(tag)
        self.tags = ["O" if tag in special else tag for tag in names]
        self.ignore_index = ignore_index
        self.scores = EntityScores()
        super().__init__()

    def reset(self) -> None:
        """Forget all batches."""
        self.scores = EntityScores()

    def update(self, prediction: Any, target: Any) -> None:
        """Count the entities of one batch of sentences."""
        scores, truth = as_tensor(prediction), as_tensor(target)
        guessed, correct = scores.numpy(), truth.numpy()
        if guessed.ndim == 3 and scores.dtype in FLOATING:
            given, guessed = guessed.shape, guessed.argmax(axis=1)
        else:
            given = (*guessed.shape[:1], len(self.tags), *guessed.shape[1:])
        numbered = guessed.dtype.kind in "iu" and correct.dtype.kind in "iu"
        if correct.ndim != 2 or given[1] != len(self.tags) or guessed.shape != correct.shape:
            numbered = False
        if not numbered:
            raise ShapeError(
                f"EntityF1: the prediction must be scores (N, {len(self.tags)}, T) or the numbers "
                f"of tags (N, T), the target the numbers of tags (N, T), got {describe(scores)} "
                f"and {describe(truth)}; the words of a sentence stand on one row"
            )
        kept = correct != self.ignore_index
        for what, numbers in (("target", correct[kept]), ("prediction", guessed[kept])):
            outside = numbers[(numbers < 0) | (numbers >= len(self.tags))]
            if outside.size:
                raise IndexRangeError(
                    f"EntityF1: {what} must lie in [0, {len(self.tags)}), the numbers of the "
                    f"tags, got {outside[0]}"
                )
        for there, found, words in zip(correct, guessed, kept, strict=True):
            self.scores.add(self._names(there[words]), self._names(found[words]))

    def _names(self, numbers: np.ndarray) -> list[str]:
        return [self.tags[n] for n in numbers.tolist()]

    def compute(self) -> float:
        """The F1 over all batches; NaN before the first."""
        return self.scores.f1 if self.scores.tokens else float("nan")

    def format(self, value: float) -> str:
        """In percent."""
        return f"{100 * value:.2f} %"

    def state_dict(self) -> dict[str, Any]:
        """The counts so far."""
        return self.scores.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved counts."""
        self.scores.load_state_dict(state)
