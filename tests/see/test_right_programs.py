"""Programs that are right: `see.check`, `see.record` and `gradcheck` accuse none of them.

Each table is gone through in parts, of which one runs every time and the others are `long`.
"""

from __future__ import annotations

import pytest

from sampling import one_in, try_each
from see.right_programs import asking, make
from see.right_programs.first import FIRST

PROGRAMS = FIRST
#: In how many parts the programs are gone through, and how many of them run every time.
PARTS = 24

#: Where a program computes in less than float64 in NumPy, which nobody can widen.
NARROW: frozenset[str] = frozenset()


def part(number):
    return [name for i, name in enumerate(PROGRAMS) if i % PARTS == number]


@pytest.mark.parametrize("number", one_in(PARTS, range(PARTS)))
def test_check_accuses_none(number):
    def silent(name):
        verdict, text = asking.of_check(make(PROGRAMS, name))
        assert verdict == "correct" or (verdict == "undecided" and name in NARROW), text

    try_each(silent, part(number))


@pytest.mark.parametrize("number", one_in(PARTS, range(PARTS), first=1))
def test_records_have_every_value(number):
    def complete(name):
        faults = asking.of_record(make(PROGRAMS, name))
        assert not faults, faults

    try_each(complete, part(number))


@pytest.mark.parametrize("number", one_in(PARTS, range(PARTS), first=2))
def test_gradcheck_accuses_none(number):
    def silent(name):
        said = asking.of_gradcheck(make(PROGRAMS, name))
        assert not said, said

    try_each(silent, part(number))
