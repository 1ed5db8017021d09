"""Which examples train, which choose the best epoch, and which are never seen before the end.

A split is drawn with a seed. Every class has its share in each part, examples of one group stay
together, and in a series of time what is tested comes after what is trained on.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from ..random import Generator

#: The parts, in the order of a split, and what folders of each are called.
PARTS = ("training", "validation", "test")
FOLDERS = {
    "train": 0, "training": 0, "trn": 0,
    "val": 1, "valid": 1, "validation": 1, "dev": 1,
    "test": 2, "testing": 2, "tst": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Split:
    """The numbers of the examples in each part, in ascending order."""

    training: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @property
    def sizes(self) -> tuple[int, int, int]:
        """How many examples each part has."""
        return len(self.training), len(self.validation), len(self.test)


def split(
    n: int,
    *,
    validation: float,
    test: float,
    seed: int,
    labels: Sequence[Hashable] | np.ndarray | None = None,
    groups: Sequence[Hashable] | np.ndarray | None = None,
    fixed: np.ndarray | None = None,
) -> Split:
    """Draw the parts of n examples.

    `labels` are strata: each has its share in every part. `groups` stay together. `fixed` has the
    number of the part (0, 1, 2) that an example came with, or -1; the shares are then drawn of
    those that trained.
    """
    part = np.full(n, -1) if fixed is None else np.where(fixed == 0, -1, fixed)
    unit = codes(groups) if groups is not None else np.arange(n)
    stratum = codes(labels) if labels is not None else np.zeros(n, np.int64)
    if groups is not None:  # a group is of the stratum that most of it are of
        both = np.zeros((unit.max(initial=-1) + 1, stratum.max(initial=-1) + 1), np.int64)
        np.add.at(both, (unit, stratum), 1)
        stratum = both.argmax(axis=1)[unit] if n else stratum
    shares = [0.0, validation if not (part == 1).any() else 0, test if not (part == 2).any() else 0]
    generator = Generator(seed)
    for number in np.unique(stratum[part < 0]):
        free = (stratum == number) & (part < 0)
        units, sizes = np.unique(unit[free], return_counts=True)
        order = generator.permutation(len(units)).numpy()
        filled = np.cumsum(sizes[order])
        total, before = filled[-1], 0.0
        for which in (2, 1):
            wanted = before + round(shares[which] * total)
            # A group goes where its middle falls; one alone stays in the training.
            middle = filled - sizes[order] / 2
            taken = units[order][(middle > before) & (middle <= wanted)][: max(len(units) - 1, 0)]
            part[free & np.isin(unit, taken)] = which
            before = wanted
    part[part < 0] = 0
    return require(*(np.flatnonzero(part == which) for which in range(3)))


def by_time(n: int, *, validation: float, test: float) -> Split:
    """The first examples train, those after them validate, the last are the test."""
    last = n - round(n * test)
    middle = last - round(n * validation)
    order = np.arange(n)
    return require(order[:middle], order[middle:last], order[last:])


def require(*parts: np.ndarray) -> Split:
    """The split, if every part has an example."""
    empty = [name for name, part in zip(PARTS, parts, strict=True) if not len(part)]
    if empty:
        n = sum(map(len, parts))
        raise DataError(
            f"the {n:,} examples are too few for a part of its own for {' and '.join(empty)}; "
            "at least ten of a class are needed, or larger shares: --validation 0.2 --test 0.2"
        )
    return Split(*parts)


def codes(values: Any) -> np.ndarray:
    """Equal values as equal numbers, in the order of their first places."""
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(v, len(known)) for v in values], np.int64)


def merged(*groupings: Sequence[Hashable] | np.ndarray | None) -> np.ndarray | None:
    """Groups of which each holds everything that any of the groupings holds together."""
    given = [codes(g) for g in groupings if g is not None]
    if not given:
        return None
    n = len(given[0])
    parent = np.arange(n)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for grouping in given:
        first: dict[int, int] = {}
        for i, g in enumerate(grouping.tolist()):
            parent[root(i)] = root(first.setdefault(g, i))
    return np.array([root(i) for i in range(n)], np.int64)
