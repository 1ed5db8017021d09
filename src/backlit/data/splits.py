"""Numbers of examples in parts: at random, by class, for cross-validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..array_api.arguments import number, sequence, whole
from ..errors import ArgumentError
from ..foreign import words
from ..op import describe
from ..random import Generator, given_generator
from ..tensor import Tensor


def counts_of(who: str, n: int, lengths: Sequence[float]) -> list[int]:
    """Fractions as counts; what rounding leaves over goes to the first ones, one each."""
    lengths = sequence(f"{who}: lengths", lengths)
    if any(number(f"{who}: a length", length) < 0 for length in lengths):
        raise ArgumentError(f"{who}: lengths must not be negative, got {list(lengths)}")
    if all(isinstance(length, int) for length in lengths) and sum(lengths) == n:
        return [int(length) for length in lengths]
    if not math.isclose(sum(lengths), 1.0):
        raise ArgumentError(
            f"{who}: lengths must add up to the {n} examples or, as fractions, to 1, "
            f"got {list(lengths)}"
        )
    counts = [math.floor(n * fraction + 1e-9) for fraction in lengths]
    for i in range(n - sum(counts)):
        counts[i % len(counts)] += 1
    return counts


def classes_of(who: str, targets: Any) -> np.ndarray:
    """The classes of examples, numbers or texts, as the numbers 0, 1, … in their order."""
    array = targets.numpy() if isinstance(targets, Tensor) else np.asarray(targets)
    if array.ndim != 1 or array.dtype.kind not in "biuUSO" or not array.size:
        what = describe(array) if isinstance(targets, Tensor | np.ndarray) else words(targets)[0]
        raise ArgumentError(
            f"{who}: targets must be the classes of at least one example, integers or texts, got "
            f"{what}"
        )
    return np.unique(array, return_inverse=True)[1]


def interleaved(classes: np.ndarray, generator: Generator) -> np.ndarray:
    """The numbers of all examples in a random order in which each class is spread evenly.

    The j-th of n_c examples of a class c, taken at random, has the place (j + u_c) / n_c, where u_c
    is drawn once: systematic sampling, by which each stretch has every class in its share.

    Source: Cochran, Sampling Techniques, 3rd ed. (1977), chapter 8.
    """
    n = len(classes)
    shuffled = generator.permutation(n).numpy()
    counts = np.bincount(classes)
    starts = generator.uniform(counts.shape, dtype="float64").numpy()
    kinds = classes[shuffled]
    by_class = np.argsort(kinds, kind="stable")
    rank = np.empty(n, np.int64)
    rank[by_class] = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    places = (rank + starts[kinds]) / counts[kinds]
    return shuffled[np.argsort(places, kind="stable")]


def _source(generator: Generator | None, seed: int) -> Generator:
    return Generator(seed) if generator is None else given_generator(generator)


def stratified_split(
    targets: Any, lengths: Sequence[float], generator: Generator | None = None, *, seed: int = 0
) -> list[np.ndarray]:
    """The numbers of examples in parts that have every class in the same share.

    `targets` are the classes of the examples, `lengths` counts or fractions as for `random_split`.

    >>> train, test = stratified_split([0] * 8 + [1] * 4, [0.75, 0.25])
    >>> len(train), sorted(int(i >= 8) for i in test)
    (9, [0, 0, 1])
    """
    classes = classes_of("stratified_split", targets)
    counts = counts_of("stratified_split", len(classes), lengths)
    order = interleaved(classes, _source(generator, seed))
    return np.split(order, np.cumsum(counts)[:-1])


def k_fold(
    n: int | Any, k: int = 5, generator: Generator | None = None, *, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each of k rounds of cross-validation the numbers to train with, and those held out.

    `n` is how many examples there are, or a list of their classes: then each part has every class
    in its share. Every example is held out once.

    >>> folds = k_fold(6, 3)
    >>> [(len(train), len(held_out)) for train, held_out in folds]
    [(4, 2), (4, 2), (4, 2)]
    """
    source = _source(generator, seed)
    if np.ndim(n) == 0:
        order = source.permutation(whole("k_fold: n", n)).numpy()
    else:
        order = interleaved(classes_of("k_fold", n), source)
    if whole("k_fold: k", k, 2) > len(order):
        raise ArgumentError(f"k_fold: k must be at most the {len(order)} examples, got {k}")
    parts = np.array_split(order, k)
    return [(np.concatenate([*parts[:i], *parts[i + 1 :]]), part) for i, part in enumerate(parts)]


__all__ = ["k_fold", "stratified_split"]
