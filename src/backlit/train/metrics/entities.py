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
from ...errors import ArgumentError, IndexRangeError, ShapeError
from ...op import describe
from ...tensor import as_tensor
from .base import Metric


class EntityF1(Metric):
    """The F1 of whole entities in tagged sentences, as `conlleval` has it.

        prediction: scores (N, C, T), or tags' numbers (N, T);  target: tags' numbers (N, T)

    With `class_axis=-1` scores are (N, T, C), as taggers give them, with 1 as `cross_entropy` takes
    them.
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

    def __init__(
        self, tags: Vocabulary | Iterable[str], ignore_index: int = -100, *, class_axis: int = 1
    ):
        names = tags.tokens if isinstance(tags, Vocabulary) else sequence("EntityF1: tags", tags)
        special = tags.specials if isinstance(tags, Vocabulary) else ()
        for tag in names:
            if tag not in special:
                split_tag(tag)
        self.tags = ["O" if tag in special else tag for tag in names]
        self.ignore_index = ignore_index
        if class_axis not in (1, 2, -1):
            raise ArgumentError(f"EntityF1: class_axis must be 1 or -1, got {class_axis!r}")
        self.class_axis = class_axis % 3
        self.scores = EntityScores()
        super().__init__()

    def reset(self) -> None:
        """Forget all batches."""
        self.scores = EntityScores()

    def update(self, prediction: Any, target: Any) -> None:
        """Count the entities of one batch of sentences."""
        scores, truth = as_tensor(prediction), as_tensor(target)
        guessed, correct = scores.numpy(), truth.numpy()
        classes = len(self.tags)
        if guessed.ndim == 3 and scores.dtype in FLOATING:
            classes = guessed.shape[self.class_axis]
            guessed = guessed.argmax(axis=self.class_axis)
        fits = correct.ndim == 2 and guessed.shape == correct.shape and classes == len(self.tags)
        if not (fits and guessed.dtype.kind in "iu" and correct.dtype.kind in "iu"):
            shape = f"N, {len(self.tags)}, T" if self.class_axis == 1 else f"N, T, {len(self.tags)}"
            raise ShapeError(
                f"EntityF1: the prediction must be scores ({shape}) or the numbers of tags (N, T), "
                f"the target the numbers of tags (N, T), got {describe(scores)} and "
                f"{describe(truth)}; class_axis says where the tags are, and the words of a "
                "sentence stand on one row"
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
