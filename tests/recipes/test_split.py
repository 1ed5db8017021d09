"""Who trains and who tests: shares, strata, groups, parts that data comes in, time."""

import numpy as np
import pytest

from backlit.errors import DataError
from backlit.recipes.split import by_time, merged, split

SHARES = {"validation": 0.1, "test": 0.2, "seed": 3}


def parts(found):
    return [found.training, found.validation, found.test]


def test_every_example_is_in_one_part_and_classes_have_their_shares():
    labels = np.repeat(["a", "b", "c"], [600, 300, 100])
    found = split(1000, labels=labels, **SHARES)
    assert sorted(np.concatenate(parts(found)).tolist()) == list(range(1000))
    for part, share in zip(parts(found), (0.7, 0.1, 0.2), strict=True):
        names, counts = np.unique(labels[part], return_counts=True)
        assert dict(zip(names, counts, strict=True)) == {
            "a": round(600 * share), "b": round(300 * share), "c": round(100 * share)
        }  # fmt: skip


def test_a_seed_draws_the_same_and_another_one_others():
    first, again = (split(100, **SHARES) for _ in range(2))
    other = split(100, **{**SHARES, "seed": 4})
    assert np.array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)


@pytest.mark.parametrize("size", [1, 3, 10])
def test_groups_stay_together_and_each_part_gets_some(size):
    groups = np.repeat(np.arange(10), size)
    labels = np.repeat(np.arange(10) % 2, size)
    found = split(10 * size, labels=labels, groups=groups, **SHARES)
    seen = [set(groups[p].tolist()) for p in parts(found)]
    assert sum(map(len, seen)) == len(set().union(*seen)) == 10
    for kept in seen:
        assert {g % 2 for g in kept} == {0, 1}


def test_parts_that_data_comes_in_are_kept():
    fixed = np.array([0] * 80 + [2] * 20)
    found = split(100, fixed=fixed, **SHARES)
    assert found.test.tolist() == list(range(80, 100))
    assert len(found.validation) == 8
    fixed[:10] = 1
    assert split(100, fixed=fixed, **SHARES).validation.tolist() == list(range(10))


def test_time_runs_from_training_to_test():
    found = by_time("x", 100, validation=0.1, test=0.2)
    assert [(p[0], p[-1]) for p in parts(found)] == [(0, 69), (70, 79), (80, 99)]


def test_too_few_examples():
    with pytest.raises(DataError, match=r"x.csv: 3 examples are too few for a vali"):
        split(3, name="x.csv", **SHARES)


def test_few_groups_of_a_class_are_in_every_part():
    groups = np.repeat(np.arange(10), 16)
    found = split(160, labels=groups % 3, groups=groups, **SHARES)
    for part in parts(found):
        assert {*(groups[part] % 3).tolist()} == {0, 1, 2}


def test_an_error_names_shares_that_are_enough():
    with pytest.raises(DataError, match=r"take larger shares: --validation 0.25 --test 0.25") as at:
        split(12, labels=np.repeat([0, 1, 2, 3], 3), **SHARES)
    assert "12 examples are too few for a validation of their own" in str(at.value)
    assert split(12, labels=np.repeat([0, 1, 2, 3], 3), validation=0.25, test=0.25, seed=0)
    with pytest.raises(DataError, match=r"32 examples in 2 groups that stay together are too few .*"
                       "at least 3 groups of a class are needed; or split them"):  # fmt: skip
        split(32, groups=np.repeat([0, 1], 16), **SHARES)


def test_few_groups_that_hold_all_classes_are_drawn_whatever_most_of_them_is():
    groups = np.repeat(np.arange(4), 10)
    labels = np.array([0] * 6 + [1] * 4 + [0] * 4 + [1] * 6 + [0] * 6 + [1] * 4 + [0] * 4 + [1] * 6)
    found = split(40, labels=labels, groups=groups, **SHARES)
    assert [len({*groups[part]}) for part in parts(found)] == [2, 1, 1]
    with pytest.raises(DataError, match="in 4 groups"):
        split(40, labels=groups % 2, groups=groups, **SHARES)


def test_groups_of_two_kinds_are_joined():
    joined = merged(["a", "a", "b", "c"], [1, 2, 2, 3])
    assert joined[0] == joined[1] == joined[2] != joined[3]
    assert merged(None, None) is None
