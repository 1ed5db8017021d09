"""A step length that satisfies the strong Wolfe conditions, found with few evaluations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple


class Point(NamedTuple):
    """A length t along a direction, with value, gradient and slope there."""

    t: float
    value: float
    gradient: Any
    slope: float


def strong_wolfe(
    evaluate: Callable[[float], Point],
    start: Point,
    t: float,
    width: float,
    limit: int,
    tolerance: float,
    c1: float = 1e-4,
    c2: float = 0.9,
) -> tuple[Point, int]:
    """A point with f ≤ f₀ + c₁ t f₀' and |f'| ≤ c₂ |f₀'|, and the number of evaluations.

    First t grows until an interval has such a point, then the interval shrinks, by cubic
    interpolation. It ends after `limit` evaluations, or where the interval times `width`, the
    largest number of the direction, is below `tolerance`; then the best point so far is returned.

    Source: Nocedal & Wright, Numerical Optimization, 2nd ed. (2006), algorithms 3.5 and 3.6. As in
    PyTorch the better end of the interval is that of the smaller value, also where the first
    condition does not hold there; so from a t that is far too long it may end where it does not.
    """

    def too_high(point: Point, other: Point) -> bool:
        armijo = start.value + c1 * point.t * start.slope
        return point.value > armijo or point.value >= other.value

    previous, point, count = start, evaluate(t), 1
    ends: list[Point] = []
    while count <= limit and not ends:
        reference = previous if count > 2 else start._replace(value=math.inf)
        if too_high(point, reference):
            ends = [previous, point]
        elif abs(point.slope) <= -c2 * start.slope:
            return point, count
        elif point.slope >= 0:
            ends = [previous, point]
        else:
            least = point.t + 0.01 * (point.t - previous.t)
            t = _cubic_minimum(previous, point, least, point.t * 10)
            previous, point, count = point, evaluate(t), count + 1
    if not ends:
        ends = [start, point]
    low = 0 if ends[0].value <= ends[1].value else 1
    near_end = False
    while count <= limit:
        if abs(ends[1].t - ends[0].t) * width < tolerance:
            break
        left, right = sorted(end.t for end in ends)
        t = _cubic_minimum(ends[0], ends[1], left, right)
        t, near_end = _inside(t, left, right, near_end)
        point, count = evaluate(t), count + 1
        if too_high(point, ends[low]):
            ends[1 - low] = point
            low = 0 if ends[0].value <= ends[1].value else 1
            continue
        if abs(point.slope) <= -c2 * start.slope:
            return point, count
        if point.slope * (ends[1 - low].t - ends[low].t) >= 0:
            ends[1 - low] = ends[low]
        ends[low] = point
    return ends[low], count


def _inside(t: float, left: float, right: float, near_end: bool) -> tuple[float, bool]:
    """A tenth into the interval if t lies so near its end for the second time, or outside."""
    margin = 0.1 * (right - left)
    if min(right - t, t - left) >= margin:
        return t, False
    if not near_end and left < t < right:
        return t, True
    return (right - margin if abs(t - right) < abs(t - left) else left + margin), False


def _cubic_minimum(a: Point, b: Point, least: float, most: float) -> float:
    """Where the cubic through two points with their slopes is smallest, between two lengths.

    Source: Nocedal & Wright, eq. 3.59.
    """
    if a.t > b.t:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (least + most) / 2
    d2 = math.sqrt(square)
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return min(max(t, least), most)


__all__ = ["Point", "strong_wolfe"]
