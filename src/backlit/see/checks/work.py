"""How much a search may do, counted in what it does: seconds would depend on the machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

#: So many lines that run, or elements that are computed with, take as long as one unit of work:
#: compiling a changed function and calling it.
LINES, ELEMENTS = 100, 20_000


class Work:
    """A budget of work, and what is left of it.

    >>> work = Work(10)
    >>> work.spend(7), work.over
    (3, False)
    >>> work.spend(7), work.over
    (-4, True)
    """

    def __init__(self, units: float):
        self.left = units

    def spend(self, units: float) -> float:
        """Take so much of it; what is left then."""
        self.left -= units
        return self.left

    @property
    def over(self) -> bool:
        """Whether nothing is left."""
        return self.left <= 0


def lines_of(call: Callable[[], Any]) -> int:
    """How many lines of Python run in a call, whatever it raises.

    >>> lines_of(lambda: abs(-2))
    1
    """
    count, before = 0, sys.gettrace()

    def counted(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return counted

    sys.settrace(counted)
    try:
        call()
    except Exception:
        return count
    finally:
        sys.settrace(before)
    return count


def cost_of(call: Callable[[], Any], *arrays: Any) -> float:
    """The units of work of one such call, which computes with arrays like these."""
    return 1 + lines_of(call) / LINES + sum(np.size(a) for a in arrays) / ELEMENTS
