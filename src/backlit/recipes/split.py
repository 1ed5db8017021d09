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
from ..table import are, quantity

#: The parts, in the order of a split, and what folders of each are called.
PARTS = ("training", "validation", "test")
FOLDERS = {
    "train": 0, "training": 0, "trn": 0,
    "val": 1, "valid": 1, "validation": 1, "dev": 1,
    "test": 2, "testing": 2, "tst": 2,
}  # fmt: skip


#: Examples of a class from which on every part gets one, and groups of several, which are fewer.
_ENOUGH, _ENOUGH_GROUPS = 5, 3
#: Shares that are tried where smaller ones leave a part empty.
_LARGER = (0.15, 0.2, 0.25, 0.3, 0.35)


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
    name: str = "data",
) -> Split:
    """Draw the parts of n examples.

    `labels` are strata: each has its share in every part. `groups` stay together. `fixed` has the
    number of the part (0, 1, 2) that an example came with, or -1; the shares are then drawn of
    those that trained.
    """
    part = np.full(n, -1) if fixed is None else np.where(fixed == 0, -1, fixed)
    unit = codes(groups) if groups is not None else np.arange(n)
    stratum = codes(labels) if labels is not None else np.zeros(n, np.int64)
    count = int(unit.max(initial=-1)) + 1
    if groups is not None:  # a group is of the stratum that most of it are of
        both = np.zeros((count, stratum.max(initial=-1) + 1), np.int64)
        np.add.at(both, (unit, stratum), 1)
        stratum = both.argmax(axis=1)[unit] if n else stratum
    least = _ENOUGH_GROUPS if 2 * count <= n else _ENOUGH

    def drawn(validation: float, test: float, stratum: np.ndarray) -> tuple[np.ndarray, ...]:
        """The three parts by these shares, which each stratum has in every part."""
        found = part.copy()
        shares = {1: 0 if (part == 1).any() else validation, 2: 0 if (part == 2).any() else test}
        generator = Generator(seed)
        for number in np.unique(stratum[part < 0]):
            free = (stratum == number) & (part < 0)
            units, sizes = np.unique(unit[free], return_counts=True)
            order = generator.permutation(len(units)).numpy()
            begin = 0
            for which in (2, 1):
                wanted = shares[which] * sizes.sum()
                end = begin + _taken(sizes[order[begin:]], wanted, len(units) >= least)
                found[free & np.isin(unit, units[order[begin:end]])] = which
                begin = end
        found[found < 0] = 0
        return tuple(np.flatnonzero(found == which) for which in range(3))

    found = drawn(validation, test, stratum)
    if not all(map(len, found)) and labels is not None:  # few groups may hold every class each
        whole = drawn(validation, test, np.zeros_like(stratum))
        named = codes(labels)
        if all(len(np.unique(named[p])) == named.max(initial=-1) + 1 for p in whole):
            found = whole
    if not all(map(len, found)):
        larger = (s for s in _LARGER if s > test and all(map(len, drawn(s, s, stratum))))
        enough = next(larger, None)
        raise _too_few(name, found, count if 2 * count <= n else None, enough)
    return Split(*found)


def _too_few(
    name: str, parts: Sequence[np.ndarray], groups: int | None, enough: float | None
) -> DataError:
    """The error of a split in which a part has no example; `enough` are shares that help."""
    empty = " and a ".join(n for n, part in zip(PARTS, parts, strict=True) if not len(part))
    count = sum(map(len, parts))
    what = quantity(count, "example")
    if groups is not None:
        what += f" in {quantity(groups, 'group')} that stay together"
        cure = f"at least {_ENOUGH_GROUPS} groups of a class are needed; or split them: leave "
        cure += "--group out, or for tiles of scenes say --group none"
    else:
        cure = f"at least {_ENOUGH} of a class are needed"
    if enough is not None:
        cure = f"take larger shares: --validation {enough} --test {enough}"
    return DataError(
        f"{name}: {what} {'is' if count == 1 else 'are'} too few for a {empty} of their own; {cure}"
    )


def _taken(sizes: np.ndarray, wanted: float, enough: bool) -> int:
    """How many units, in this order, come nearest to so many examples; at least one of `enough`."""
    if not wanted or not len(sizes):
        return 0
    count = int(np.abs(np.cumsum([0, *sizes]) - wanted).argmin())
    return min(max(count, int(enough)), len(sizes) - 1)


def by_time(name: str, n: int, *, validation: float, test: float) -> Split:
    """The first examples train, those after them validate, the last are the test."""
    last = n - round(n * test)
    middle = last - round(n * validation)
    order = np.arange(n)
    parts = (order[:middle], order[middle:last], order[last:])
    if not all(map(len, parts)):
        raise _too_few(name, parts, None, None)
    return Split(*parts)


def copies(keys: Sequence[Hashable], what: str) -> tuple[Sequence[Hashable] | None, list[str]]:
    """Groups of equal examples, and what to say of them; `keys` are equal where they are.

    Where most examples are like others (a table of few categories), they are no copies.
    """
    n, different = len(keys), len(set(keys))
    if 2 * different < n:
        return None, [
            f"only {different:,} of {n:,} {what}s differ; equal ones are in several parts"
        ]
    if different == n:
        return None, []
    like = are(n - different, what, "is like another", "are like others")
    return keys, [f"{like}; copies stay in one part"]


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
