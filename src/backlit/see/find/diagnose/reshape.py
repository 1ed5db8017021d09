"""What does a reshape do to axes: does it merge and split them, or put one where it cannot be?"""

from __future__ import annotations

import math

import numpy as np

Shape = tuple[int, ...]


def blocks(before: Shape, after: Shape) -> list[tuple[Shape, Shape]]:
    """A reshape taken apart: groups of neighbouring axes that it merges and splits among them.

    >>> blocks((8, 12, 16), (8, 12, 4, 4))
    [((8,), (8,)), ((12,), (12,)), ((16,), (4, 4))]
    >>> blocks((8, 12, 16), (8, 4, 12, 4))
    [((8,), (8,)), ((12, 16), (4, 12, 4))]
    """
    a, b = [n for n in before if n != 1], [n for n in after if n != 1]
    found = []
    while a and b:
        x, y = [a.pop(0)], [b.pop(0)]
        while math.prod(x) != math.prod(y):
            shorter, rest = (x, a) if math.prod(x) < math.prod(y) else (y, b)
            if not rest:
                return []
            shorter.append(rest.pop(0))
        found.append((tuple(x), tuple(y)))
    return found


def moves_an_axis(before: Shape, after: Shape) -> int | None:
    """The size of an axis that a reshape puts elsewhere, and so fills with other elements.

    >>> moves_an_axis((8, 12, 5), (8, 5, 12))
    12
    >>> moves_an_axis((8, 5, 12), (96, 5))
    5
    >>> moves_an_axis((8, 12, 16), (8, 12, 4, 4)) is None
    True
    """
    for x, y in blocks(before, after):
        if len(x) < 2 or len(y) < 2:
            continue
        if sorted(x) == sorted(y):
            return x[0]
        few, many = sorted((x, y), key=len)
        # (T, D) to (heads, T, D / heads), and back
        if (len(few), len(many)) == (2, 3) and few[0] == many[1] != many[0]:
            return few[0]
        # (N, C, T) to (N * T, C), where only (N, T, C) could go
        if len(y) == 2 and len(x) > 2 and y[1] == x[1] != x[-1]:
            return y[1]
    return None


def evidence_of(before: Shape, after: Shape) -> str:
    """Where an element comes from, in words.

    >>> evidence_of((2, 3), (3, 2))
    'result[1, 1] is element [1, 0] of what was given: a reshape reads on, and exchanges no axes'
    """
    place = tuple(min(1, n - 1) for n in after)
    at = int(np.ravel_multi_index(place, after))
    source = [int(k) for k in np.unravel_index(at, before)]
    return (
        f"result[{', '.join(map(str, place))}] is element {source} of what was given: a reshape "
        "reads on, and exchanges no axes"
    )
