"""Programs that are right: `see.check`, `see.record` and `gradcheck` accuse none of them.

What looks like them and is wrong is found all the same.

Each table is gone through in parts, of which one runs every time and the others are `long`.
"""

from __future__ import annotations

import pytest

from sampling import one_in, try_each
from see.right_programs import asking, make
from see.right_programs.first import FIRST
from see.right_programs.second import SECOND
from see.right_programs.wrong import WRONG

PROGRAMS = FIRST | SECOND
#: In how many parts the programs are gone through, and how many of them run every time.
PARTS = 24


def part(number, programs=PROGRAMS):
    return [name for i, name in enumerate(programs) if i % PARTS == number]


@pytest.mark.parametrize("number", one_in(PARTS, range(PARTS)))
def test_check_accuses_none(number):
    def silent(name):
        verdict, text = asking.of_check(make(PROGRAMS, name))
        assert verdict == "correct", text

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


#: What is wrong in more than one element at a time only, or smaller than gradcheck's `atol`; or at
#: a tie alone, where its numbers lie between the slopes.
NOT_BY_GRADCHECK = {
    "cut median of ties",
    "off by 1e-2, tiny",
    "largest: all winners",
    "largest: all winners, no tie here",
}


@pytest.mark.parametrize("number", one_in(PARTS, range(PARTS), first=3))
def test_what_is_wrong_is_found(number):
    def found(name):
        verdict, _ = asking.of_check(make(WRONG, name))
        assert verdict == "wrong"
        if name not in NOT_BY_GRADCHECK:
            assert asking.of_gradcheck(make(WRONG, name))

    try_each(found, part(number, WRONG))
