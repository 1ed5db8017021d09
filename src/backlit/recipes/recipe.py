"""A task that can be trained, and what most kinds of tasks have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import Dataset, TensorDataset
from .form import Form, Parts
from .job import Job
from .run import Run
from .split import Split, split
from .targets import Classes, Target
from .task import Task

if TYPE_CHECKING:
    from rich.console import Console

#: Steps of training at which a recipe aims by itself, and the epochs that it then takes.
STEPS, FEWEST, MOST = 1500, 5, 60
#: How far a part's share may be from what was wanted, without a word.
_OFF = 0.05


class Recipe(Task):
    """A task that can be trained."""

    def train(
        self,
        folder: str | Path | None = None,
        *,
        resume: bool = False,
        progress: str = "auto",
        console: Console | None = None,
        **settings: Any,
    ) -> Run:
        """Train by the recipe, with these settings in its place, and save the run in a folder.

        The folder is `runs/` and the task's name unless given; an earlier run in it is moved aside.
        """
        job = Job(self, folder, self.set(**settings), resume=resume)
        return job.run(progress=progress, console=console)


class Examples(Recipe):
    """A task whose examples have numbers: it says how they are learned of, and the rest is common.

    `raw` are the examples as the form encodes them, `answers` what the target encodes; `labels`,
    `groups` and `fixed` are those of `split`; `target` is what is learned, where that is known
    before the split.
    """

    def __init__(
        self,
        *args: Any,
        raw: Any,
        answers: Any,
        labels: Any = None,
        groups: Any = None,
        fixed: np.ndarray | None = None,
        target: Any = None,
    ):
        super().__init__(*args)
        self.target = target
        for name in target.unused if target is not None else ():
            self.settings.pop(name, None)
        self.raw = raw
        self.answers = answers
        self.labels = labels
        self.groups = groups
        self.fixed = fixed

    def split(self, settings: Mapping[str, Any]) -> Split:
        """The numbers of the examples in each part."""
        return split(
            len(self.answers),
            validation=settings["validation"],
            test=settings["test"],
            seed=settings["seed"],
            labels=self.labels,
            groups=self.groups,
            fixed=self.fixed,
            name=self.name,
        )

    def learn(self, training: np.ndarray, settings: Mapping[str, Any]) -> Form:
        """The form, learned of the training examples only."""
        raise NotImplementedError

    def examples(self, numbers: np.ndarray) -> Any:
        """The examples of these numbers, as the form encodes them."""
        return take(self.raw, numbers)

    def parts(self, settings: Mapping[str, Any], form: Form | None = None) -> Parts:
        """The examples of each part as rows of Tensors."""
        found = self.split(settings)
        self._tell_shares(found, settings)
        form = form or replace(self.learn(found.training, settings), dialect=self.source.dialect)
        training, *others = (
            self.dataset(form, n) for n in (found.training, found.validation, found.test)
        )
        return Parts(form, self.trained(form, training, settings), *others)

    def _tell_shares(self, found: Split, settings: Mapping[str, Any]) -> None:
        """Note parts that are larger than was wanted, or lack a class."""
        if self.fixed is not None:
            return
        if isinstance(self.target, Classes):
            lacking = {*self.labels} - {*take(self.labels, found.test)}
            if lacking:
                few = ", ".join(sorted(lacking)[:8]) + (", …" if len(lacking) > 8 else "")
                self._note(f"the test has no example of {few}: there are too few")
        total = sum(found.sizes)
        for name, size in zip(("validation", "test"), found.sizes[1:], strict=True):
            wanted = settings[name]
            if size > total * max(1.5 * wanted, wanted + _OFF):
                self._note(
                    f"the {name} has {100 * size / total:.0f} % of the examples, not "
                    f"{100 * wanted:.0f}: "
                    + ("every class has one there" if self.groups is None else "groups stay whole")
                )

    def _note(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def trained(self, form: Form, dataset: Dataset, settings: Mapping[str, Any]) -> Dataset:
        """The training part as it is trained on."""
        return dataset

    def dataset(self, form: Form, numbers: np.ndarray) -> Dataset:
        """The inputs and the target of these examples."""
        return TensorDataset(*form.encode(self.examples(numbers)), self.encoded(form, numbers))

    def encoded(self, form: Form, numbers: np.ndarray) -> np.ndarray:
        """The target of these examples."""
        return form.target.encode(take(self.answers, numbers))


def take(values: Any, numbers: np.ndarray) -> Any:
    """The values of these numbers, of an array or a list."""
    if isinstance(values, np.ndarray):
        return values[numbers]
    return [values[i] for i in numbers.tolist()]


def some_of(training: np.ndarray, most: int = 1000) -> np.ndarray:
    """The numbers of at most so many examples, evenly spread."""
    return training[np.linspace(0, len(training) - 1, min(most, len(training))).astype(int)]


def mean_and_deviation(
    x: np.ndarray, axes: int | tuple[int, ...]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Of what is left of an array without these axes; a deviation of 0 is 1, to divide by.

    >>> mean_and_deviation(np.array([[1.0, 5.0], [3.0, 5.0]]), 0)
    ((2.0, 5.0), (1.0, 1.0))
    """
    mean, deviation = x.mean(axis=axes), x.std(axis=axes)
    return tuple(map(float, mean)), tuple(float(d) or 1.0 for d in deviation)


def epochs_for(examples: int, batch_size: int, steps: int = STEPS) -> int:
    """As many epochs as make about so many steps, within bounds."""
    return min(MOST, max(FEWEST, round(steps * batch_size / max(examples, 1))))


def batch_for(examples: int) -> int:
    """Examples in a batch: more of them where there are more."""
    sizes = ((8, 200), (16, 800), (32, 5000), (64, 20000))
    return next((size for size, below in sizes if examples < below), 128)


def counted(counts: Counter[str], most: int = 6) -> str:
    """How often the most frequent of some names occur.

    >>> counted(Counter("abracadabra"), 2)
    '5 a, 2 b, …'
    """
    named = ", ".join(f"{n:,} {name}" for name, n in counts.most_common(most))
    return named + (", …" if len(counts) > most else "")


def occurrences(target: Target, answers: Sequence[Any]) -> Counter[str]:
    """How often each class, or each label, occurs."""
    several = getattr(target, "several", lambda answer: [answer])
    counts = Counter(dict.fromkeys(target.labels, 0))
    counts.update(name for answer in answers for name in several(answer))
    return counts


def unbalanced(target: Target, answers: Any) -> list[str]:
    """What to say of classes that are rare, and of labels that all examples have, or none."""
    if not target.labels:
        return []
    counts = occurrences(target, answers)
    if target.kind == "classes":
        return imbalance(counts)
    always = {0: "no example has", len(answers): "every example has"}
    return [f"{always[n]} the label {name}" for name, n in counts.items() if n in always]


def imbalance(counts: Mapping[str, int]) -> list[str]:
    """What to say of classes that are rare."""
    low, high = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if counts[high] < 5 * counts[low]:
        return []
    return [
        f"classes are not balanced: {counts[high]:,} of {high}, {counts[low]:,} of {low}; "
        "--balance weighs them equally"
    ]
