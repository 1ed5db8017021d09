"""What along a line is no slope: stairs of rounding, and jumps where an iteration stops earlier.

Where values grow large inside a function and cancel, or are rounded to float32, it rises in stairs;
where it iterates until a tolerance is met it jumps a little as the number of turns changes.
Differences then tell its derivative to some digits only, and what agrees in these is not wrong.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

#: A function along a line: its value at t, and the sum of the sizes of what that is made of.
Line = Callable[[float], tuple[float, float]]

EPSILON = 2.0**-52
#: Between the points whose differences show stairs, largest first.
#: They are no round numbers: those of a line and of the stairs may agree.
_APART = tuple(0.7310586 * 10.0**-e for e in range(-1, 10))
#: Stairs of rounding are no higher than this part of the terms.
_LOW = 1e-4
#: So many points as far as this to both sides show a jump, which is no larger than this part of
#: what the function changes there, and puts a slope off by at most this much of it.
_POINTS, _REACH, _SMALL, _OFF = 401, 1.0, 1e-2, 1e-2
#: How much more than its height a jump may put a slope off.
_FACTOR = 30.0


class Rough(NamedTuple):
    """The slope as far as it can be told, how far it may be off, and why."""

    slope: float
    band: float
    why: str


def stairs(line: Line) -> tuple[float, float]:
    """How high the stairs of a function along a line are, 0 if there are none; and its terms' size.

    The third differences of points d apart are as high for each d. Those of a smooth function
    shrink with d³, those of a kink with d (Moré and Wild, SIAM J. Sci. Comput. 33 (2011)).
    """
    heights: list[float] = []
    total = 0.0
    for step in _APART:
        found = [line(k * step) for k in range(-4, 4)]
        third = np.diff([value for value, _ in found], 3)
        total = found[-1][1]
        heights.append(float(np.max(np.abs(third))) if np.isfinite(third).all() else math.inf)
    known = 50 * EPSILON * total
    for three in zip(heights, heights[1:], heights[2:], strict=False):
        if known < max(three) <= 5 * min(three) < math.inf:
            return max(three), total
    return 0.0, total


def on_stairs(line: Line) -> Rough | None:
    """The slope of a function that rises in stairs of rounding, by steps that are wide beside them;
    None where it does not, or they are a part of it, as those of floor.
    """
    height, total = stairs(line)
    if not 0 < height <= _LOW * total:
        return None
    wide, band = _wide(line, height)
    return Rough(wide, band, f"f rises in stairs of {height:.1g}, as rounding inside makes them")


def beside_jump(line: Line, slope: float, got: float) -> Rough | None:
    """How far a slope may be off of a function that jumps a little along this line, which need not
    be the one that it is the slope along; None where it does not, or as far as its values go.
    """
    height, change = _jump(line)
    if not 0 < height <= _SMALL * change:
        return None
    band = min(_FACTOR * height, _OFF * max(abs(slope), abs(got)))
    return Rough(slope, band, f"f jumps by {height:.1g} near it, as iterations do that stop early")


def _wide(line: Line, height: float) -> tuple[float, float]:
    """The slope by steps that are wide beside stairs, and how far it may be off."""
    steps = [10.0**-e for e in np.arange(0.5, 6, 0.5)]
    slopes = [(line(h)[0] - line(-h)[0]) / (2 * h) for h in steps]
    doubts = [
        abs(b - a) + 2 * height / h for a, b, h in zip(slopes, slopes[1:], steps[1:], strict=False)
    ]
    best = int(np.nanargmin(doubts)) if np.isfinite(doubts).any() else 0
    return float(slopes[best + 1]), float(doubts[best])


def _jump(line: Line) -> tuple[float, float]:
    """The height of the highest jump near 0, 0 if there is none, and how much the function changes
    there.
    """
    places = np.linspace(-_REACH, _REACH, _POINTS + 1)
    values = np.array([line(t)[0] for t in places])
    if not np.isfinite(values).all():
        return 0.0, 0.0
    third = np.abs(np.diff(values, 3))
    worst = int(np.argmax(third)) + 1
    low, high = places[worst], places[worst + 1]
    beside = values[worst] - values[worst - 1], values[worst + 2] - values[worst + 1]
    usual = 0.5 * float(sum(beside)) / (high - low)
    gap = 0.0
    for _ in range(30):  # to the half that is further from the usual slope
        middle = 0.5 * (low + high)
        ends = [line(t)[0] for t in (low, middle, high)]
        gaps = [abs(b - a - usual * 0.5 * (high - low)) for a, b in itertools.pairwise(ends)]
        low, high = (low, middle) if gaps[0] > gaps[1] else (middle, high)
        gap = max(gaps)
    total = line(0.0)[1]
    change = float(np.max(values) - np.min(values))
    return (gap if gap > max(1e3 * EPSILON * total, 100 * third.min()) else 0.0), change
