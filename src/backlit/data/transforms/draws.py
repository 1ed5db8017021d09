"""Random numbers for single images: those of the default generator, without its cost per draw."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

import numpy as np

from ...backend import numpy_backend
from ...dtypes import float64
from ...execution import AT_ONCE
from ...ops.creation import WORDS_PER_BLOCK, blocks
from ...random import default_generator
from ...state import STATE

_AHEAD = 64  # blocks that are computed at once: a number depends on its block, not on who asked


class _Known(threading.local):
    """Words of the stream of one key, from one block on."""

    key = -1
    start = 0
    words: list[int] = []  # noqa: RUF012  (replaced, never changed)


_KNOWN = _Known()


def uniforms(count: int) -> list[float]:
    """Numbers in [0, 1): what `random.uniform((count,), dtype=float64)` would draw."""
    generator = default_generator()
    if STATE.execution is not AT_ONCE or 2 * count > _AHEAD * WORDS_PER_BLOCK:
        return generator.uniform((count,), dtype=float64).tolist()
    key, at = int(generator.key.array), int(generator.counter.array)
    taken = blocks((2, count))
    if key != _KNOWN.key or not 0 <= at - _KNOWN.start <= _AHEAD - taken:
        made = numpy_backend.random_bits(
            generator.key.array, generator.counter.array, (_AHEAD * WORDS_PER_BLOCK,)
        )
        _KNOWN.key, _KNOWN.start, _KNOWN.words = key, at, made.tolist()
    first = (at - _KNOWN.start) * WORDS_PER_BLOCK
    words = _KNOWN.words[first : first + 2 * count]
    generator.counter.assign(np.array(at + taken, np.uint64))
    pairs = zip(words[:count], words[count:], strict=True)
    return [((high >> 5) * 2**26 + (low >> 6)) * 2.0**-53 for high, low in pairs]


def chance(p: float) -> bool:
    """Whether something happens that has probability p."""
    return uniforms(1)[0] < p


def between(*ranges: Sequence[float]) -> list[float]:
    """A number from each range."""
    drawn = zip(uniforms(len(ranges)), ranges, strict=True)
    return [low + (high - low) * u for u, (low, high) in drawn]


def below(*counts: int) -> list[int]:
    """For each count a whole number from 0 that is below it."""
    return [math.floor(u * n) for u, n in zip(uniforms(len(counts)), counts, strict=True)]


def order(n: int) -> list[int]:
    """The numbers below n in random order."""
    drawn = uniforms(n)
    return sorted(range(n), key=drawn.__getitem__)


def weighted(weights: Sequence[float]) -> int:
    """A number of a weight, with a probability in proportion to it."""
    ends = np.cumsum(weights)
    return int(np.searchsorted(ends, uniforms(1)[0] * ends[-1], side="right"))


__all__ = ["below", "between", "chance", "order", "uniforms", "weighted"]
