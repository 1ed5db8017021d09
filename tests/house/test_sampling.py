"""One test that goes through many values tries them all and hides no failure."""

from __future__ import annotations

import inspect

import pytest

import sampling
from core import test_ops
from op_table import RECORDS
from sampling import every, try_each


@pytest.fixture(autouse=True)
def _all_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "quick", False)


def not_three(value: int) -> None:
    assert value % 3, f"{value} is a multiple of 3"


def test_every_value_that_fails_is_told_with_the_reason() -> None:
    with pytest.raises(AssertionError, match=r"^2 of 7 failed") as caught:
        try_each(not_three, range(1, 8))
    assert "2: 3: AssertionError: 3 is a multiple of 3" in str(caught.value)
    assert "5: 6: AssertionError: 6 is a multiple of 3" in str(caught.value)
    assert "3 is a multiple of 3" in str(caught.value.__cause__)


def test_an_error_that_does_not_come_is_a_failure() -> None:
    def raises(value: int) -> None:
        with pytest.raises(ZeroDivisionError):
            1 / value

    with pytest.raises(AssertionError, match=r"^1 of 2 failed\n1: 1: Failed: DID NOT RAISE"):
        try_each(raises, [0, 1])


def test_several_parameters_are_tried_in_all_combinations() -> None:
    seen = []

    @every("a, b", [(1, 2), (3, 4)])
    @every("c", [(5, 6), "c"])
    def test(a, b, c, fixture) -> None:
        seen.append((a, b, c, fixture))

    assert list(inspect.signature(test).parameters) == ["fixture"]
    test(fixture=0)
    assert seen == [(1, 2, (5, 6), 0), (1, 2, "c", 0), (3, 4, (5, 6), 0), (3, 4, "c", 0)]


def test_a_quick_run_tries_the_middle_and_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(sampling, "quick", True)
    try_each(seen.append, range(9), few=2)
    try_each(seen.append, range(9), few=1)
    try_each(seen.append, [10, 11], few=2)
    try_each(seen.append, [], few=2)
    try_each(seen.append, [20, 21, 22])
    assert seen == [4, 0, 4, 10, 11, 20, 21, 22]


def test_a_test_of_a_record_tries_all_its_cases() -> None:
    seen: list[int] = []
    record = RECORDS["add"]

    def look(record, case) -> None:
        seen.append(next(i for i, c in enumerate(record.cases) if c is case))

    test_ops.each_case()(look)(record)
    assert seen == list(range(len(record.cases)))
    seen.clear()
    test_ops.each_case(one_in=3)(look)(record)
    assert seen == [0, *range(3, len(record.cases), 3)]
