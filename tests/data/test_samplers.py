"""Samplers, and datasets made of others."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import backlit as bl
from backlit import data
from backlit.errors import ArgumentError, IndexRangeError, ShapeError

ROWS = [10, 11, 12, 13, 14]


def test_samplers_give_numbers_anew_at_each_epoch() -> None:
    generator = bl.Generator(1)
    assert list(data.SequentialSampler(ROWS)) == [0, 1, 2, 3, 4]
    shuffled = data.RandomSampler(ROWS, generator=generator)
    first, second = list(shuffled), list(shuffled)
    assert sorted(first) == sorted(second) == [0, 1, 2, 3, 4]
    assert first != second
    more = list(data.RandomSampler(ROWS, num_samples=12, generator=generator))
    assert sorted(Counter(more).values()) == [2, 2, 2, 3, 3]
    again = list(data.RandomSampler(ROWS, True, 2000, generator))
    assert all(330 < n < 470 for n in Counter(again).values())
    part = list(data.SubsetRandomSampler([4, 7, 9], generator))
    assert sorted(part) == [4, 7, 9]
    bl.manual_seed(3)
    a = list(data.RandomSampler(range(50)))
    bl.manual_seed(3)
    assert a == list(data.RandomSampler(range(50)))
    assert [len(s) for s in (shuffled, data.SubsetRandomSampler([1, 2]))] == [5, 2]


def test_weights_are_probabilities() -> None:
    generator = bl.Generator(0)
    drawn = Counter(data.WeightedRandomSampler([1, 0, 3], 4000, generator=generator))
    assert set(drawn) == {0, 2}
    assert drawn[2] / 4000 == pytest.approx(0.75, abs=0.03)
    edge = data.WeightedRandomSampler([0, 1, 0, 1], 2)
    edge.generator = type(
        "Zeros", (), {"uniform": lambda _, shape, dtype: bl.zeros(shape, dtype=dtype)}
    )()
    assert list(edge) == [1, 1]
    # Without replacement the first is drawn by weight, the second among the rest: P(2 first) = 3/5.
    first, pairs = Counter(), Counter()
    for _ in range(2000):
        a, b = data.WeightedRandomSampler([1.0, 1.0, 3.0, 0.0], 2, False, generator)
        first[a] += 1
        pairs[a, b] += 1
    assert first[2] / 2000 == pytest.approx(0.6, abs=0.04)
    assert pairs[0, 2] / first[0] == pytest.approx(0.75, abs=0.06)


def test_batches_of_numbers_and_a_loader_that_goes_on() -> None:
    numbers = data.RandomSampler(ROWS, generator=bl.Generator(5))
    batches = data.BatchSampler(numbers, 2, drop_last=False)
    assert [len(b) for b in batches] == [2, 2, 1]
    assert (len(batches), len(data.BatchSampler(numbers, 2, True))) == (3, 2)
    assert [len(b) for b in data.BatchSampler(numbers, 2, True)] == [2, 2]

    def loader():
        numbers = data.RandomSampler(ROWS, generator=bl.Generator(5))
        return data.DataLoader(ROWS, batch_sampler=data.BatchSampler(numbers, 2, False))

    running = loader()
    list(running)
    epoch = iter(running)
    next(epoch)
    resumed = loader()
    resumed.load_state_dict(running.state_dict())
    assert [b.tolist() for b in resumed] == [b.tolist() for b in epoch]
    assert [b.tolist() for b in resumed] == [b.tolist() for b in running]


def test_datasets_one_after_the_other_and_side_by_side() -> None:
    table = data.TensorDataset(np.arange(3.0))
    both = table + [(7.0,), (8.0,)]  # noqa: RUF005
    assert [float(both[i][0]) for i in range(len(both))] == [0.0, 1.0, 2.0, 7.0, 8.0]
    assert both[-1] == (8.0,)
    assert len(both + both) == 10
    with pytest.raises(IndexRangeError, match=r"the index must lie in \[-5, 5\), got 5"):
        both[5]
    pairs = data.StackDataset(ROWS, "abcde")
    assert (len(pairs), pairs[1]) == (5, (11, "b"))
    batch = next(iter(data.DataLoader(data.StackDataset(n=ROWS, c="abcde"), 2)))
    assert (batch["n"].tolist(), batch["c"]) == ([10, 11], ["a", "b"])

    class Stream(data.IterableDataset):
        def __iter__(self):
            return iter([1, 2])

    assert list(Stream() + Stream()) == [1, 2, 1, 2]
    assert len(data.ChainDataset([[1], [2, 3]])) == 3
    halves = [data.random_split(ROWS, [0.6, 0.4], bl.Generator(2)) for _ in range(2)]
    assert [list(s) for s in halves[0]] == [list(s) for s in halves[1]]
    assert data.default_collate is data.collate


@pytest.mark.parametrize(("make", "error", "text"), [
    (lambda: data.RandomSampler(ROWS, num_samples=0), ArgumentError, "RandomSampler: num_samples"),
    (lambda: data.RandomSampler(ROWS, generator=3), ArgumentError, "generator must be a backlit"),
    (lambda: data.WeightedRandomSampler([-1.0, 2.0], 1), ArgumentError, "numbers from 0, and one"),
    (lambda: data.WeightedRandomSampler([0.0], 1), ArgumentError, "weights must be a list of"),
    (lambda: data.WeightedRandomSampler([1.0, 0.0], 2, False), ArgumentError,
     "without replacement num_samples must be at most the 1 weights above 0, got 2"),
    (lambda: data.BatchSampler(ROWS, 0, True), ArgumentError, "BatchSampler: batch_size"),
    (lambda: data.ConcatDataset([]), ArgumentError, "ConcatDataset: at least one dataset is req"),
    (lambda: data.ConcatDataset([3]), ArgumentError, "ConcatDataset: the dataset must have"),
    (lambda: data.StackDataset(), ArgumentError, "either in order or by name, got 0 and 0"),
    (lambda: data.StackDataset(ROWS, [1]), ShapeError, "must have equally many examples, got 5, 1"),
])  # fmt: skip
def test_what_does_not_fit_is_named(make, error, text) -> None:
    with pytest.raises(error, match=text):
        make()
