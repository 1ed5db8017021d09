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


def test_strata_have_their_share_in_every_stretch() -> None:
    targets = np.repeat(["a", "b", "c"], [60, 30, 10])[np.random.default_rng(0).permutation(100)]
    sampler = data.StratifiedSampler(targets, bl.Generator(1))
    first, second = list(sampler), list(sampler)
    assert sorted(first) == list(range(100)) == sorted(second)
    assert first != second
    for start in range(0, 100, 20):
        found = Counter(targets[first[start : start + 20]].tolist())
        assert all(abs(found[c] - share) <= 1 for c, share in {"a": 12, "b": 6, "c": 2}.items())
    assert Counter(next(iter(sampler)) for _ in range(300)).most_common(1)[0][1] < 20
    resumed = data.StratifiedSampler(targets)
    resumed.load_state_dict(sampler.state_dict())
    assert list(resumed) == list(sampler)
    assert len(data.StratifiedSampler(bl.tensor([0, 1, 1]))) == 3


def test_splits_and_folds_have_their_strata() -> None:
    targets = [0] * 50 + [1] * 30 + [2] * 20
    parts = data.stratified_split(targets, [0.7, 0.2, 0.1], seed=3)
    assert sorted(np.concatenate(parts).tolist()) == list(range(100))
    assert [len(p) for p in parts] == [70, 20, 10]
    shares = [np.bincount(np.take(targets, p)) for p in parts]
    assert np.abs(np.array(shares) - [[35, 21, 14], [10, 6, 4], [5, 3, 2]]).max() <= 1
    again = data.stratified_split(targets, [70, 20, 10], bl.Generator(3))
    assert [p.tolist() for p in again] == [p.tolist() for p in parts]
    for folds in (data.k_fold(100, 3, seed=1), data.k_fold(targets, 3, seed=1)):
        assert sorted(i for _, held_out in folds for i in held_out) == list(range(100))
        assert all(sorted([*a, *b]) == list(range(100)) for a, b in folds)
    shares = [np.bincount(np.take(targets, held_out)) for _, held_out in folds]
    assert np.abs(np.array(shares) - np.array([50, 30, 20]) / 3).max() < 2


def test_replicas_share_an_order() -> None:
    for drop_last, count in ((False, 3), (True, 2)):
        parts = [data.DistributedSampler(range(8), 3, r, drop_last=drop_last) for r in range(3)]
        first = [list(p) for p in parts]
        assert [len(p) for p in parts] == [len(f) for f in first] == [count] * 3
        once = Counter(i for f in first for i in f)
        assert len(once) == 8 if not drop_last else set(once.values()) == {1}
        assert first == [list(p) for p in parts]
        for p in parts:
            p.set_epoch(1)
        assert first != [list(p) for p in parts]
        assert parts[0].total_size == 3 * count
    one = data.DistributedSampler(range(3), 7, 5, shuffle=False)
    assert list(one) == [2]  # of 0 1 2 0 1 2 0
    one.load_state_dict({"epoch": 4})
    assert (one.epoch, one.state_dict()) == (4, {"epoch": 4})


def test_replicas_are_counted_by_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "2")
    assert list(data.DistributedSampler(range(8), shuffle=False)) == [2, 6]
    monkeypatch.delenv("RANK")
    with pytest.raises(ArgumentError, match="rank must be given where the environment has no RANK"):
        data.DistributedSampler(range(8))


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
    (lambda: data.DistributedSampler(ROWS, 2, 2), ArgumentError, r"rank must lie in \[0, 2\), g"),
    (lambda: data.StratifiedSampler([0.5, 1.0]), ArgumentError, "StratifiedSampler: targets mu"),
    (lambda: data.StratifiedSampler([]), ArgumentError, "classes of at least one example"),
    (lambda: data.stratified_split([0, 1], [3, 3]), ArgumentError, "stratified_split: lengths mu"),
    (lambda: data.k_fold(3, 4), ArgumentError, "k must be at most the 3 examples, got 4"),
    (lambda: data.k_fold(3, 1), ArgumentError, "k_fold: k must be an integer of at least 2, got 1"),
    (lambda: data.BatchSampler(ROWS, 0, True), ArgumentError, "BatchSampler: batch_size"),
    (lambda: data.ConcatDataset([]), ArgumentError, "ConcatDataset: at least one dataset is req"),
    (lambda: data.ConcatDataset([3]), ArgumentError, "ConcatDataset: the dataset must have"),
    (lambda: data.StackDataset(), ArgumentError, "either in order or by name, got 0 and 0"),
    (lambda: data.StackDataset(ROWS, [1]), ShapeError, "must have equally many examples, got 5, 1"),
])  # fmt: skip
def test_what_does_not_fit_is_named(make, error, text) -> None:
    with pytest.raises(error, match=text):
        make()
