"""What a derivative is, measured: differences over a sweep of steps, with error bands.

A single step size cannot tell a wrong gradient from rounding, a kink or a low-precision forward.
Here every entry of the Jacobian is measured with several steps h. The central differences at two
neighbouring steps bound its error; the one-sided ones tell what kind of point it is:

    smooth     both sides agree, better as h falls
    kink       the sides disagree by an amount that does not fall with h (|x| at 0, a tie in max)
    jump       the difference grows as 1/h: the function is not continuous here
    edge       one side has no finite value: the function ends here, or it overflows
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import roughness
from ...errors import BacklitError
from ...finite_differences import apart

Forward = Callable[..., np.ndarray]

#: Steps relative to the size of the element, largest first.
STEPS = (1e-3, 1e-4, 1e-5, 1e-6)
#: Those below, where these do not tell: beside kinks, and where inputs are large.
_FINER = (1e-7, 1e-8, 1e-9, 1e-10)
#: For a forward that computes in less than float64 rounding hides small steps.
COARSE_STEPS = (2e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3)

#: How far one rounding may put a number off.
_EPS = {"float64": 2.0**-52, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


@dataclass
class Columns:
    """Measured columns of a Jacobian: those of the input's elements `index` (flat positions).

    All arrays have shape (len(index), *y.shape). `low` and `high` are the one-sided derivatives,
    equal to `jacobian` where the function is smooth.
    """

    index: np.ndarray
    jacobian: np.ndarray
    band: np.ndarray
    low: np.ndarray
    high: np.ndarray
    kink: np.ndarray
    unknown: np.ndarray  # jumps and edges: no derivative to compare with

    def pull(self, upstream: np.ndarray) -> np.ndarray:
        """uᵀ J for the measured elements."""
        return contract(self.jacobian, upstream)

    def pulled_band(self, upstream: np.ndarray) -> np.ndarray:
        """How far `pull` may be off."""
        return contract(self.band, np.abs(upstream))

    def interval(self, upstream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest one-sided uᵀ J: what a choice at a kink may lie between."""
        one, other = self.low * upstream, self.high * upstream
        axes = tuple(range(1, one.ndim))
        return np.minimum(one, other).sum(axes), np.maximum(one, other).sum(axes)

    def moves(self) -> np.ndarray:
        """Which elements some output depends on, as far as that was measured."""
        flat = [a.reshape(len(self.index), -1) for a in (self.jacobian, self.kink, self.unknown)]
        return np.asarray(np.any([(a != 0).any(1) for a in flat], axis=0))

    def any_kink(self) -> np.ndarray:
        """Which elements have a kink in some output."""
        return np.asarray(self.kink.reshape(len(self.index), -1).any(1))

    def any_unknown(self) -> np.ndarray:
        """Which elements have an output without a derivative."""
        return np.asarray(self.unknown.reshape(len(self.index), -1).any(1))


def projection(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random upstream gradient, 0 for what is ±∞ or NaN in y: only the finite has a slope."""
    upstream = rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape)
    return np.where(np.isfinite(y), upstream, 0.0)


def contract(columns: np.ndarray, upstream: np.ndarray) -> np.ndarray:
    """Σ over all outputs of columns · upstream, one number for each column."""
    return columns.reshape(len(columns), -1) @ upstream.reshape(-1)


def measure(
    forward: Forward,
    inputs: Sequence[Any],
    position: int,
    index: np.ndarray,
    y: np.ndarray,
    steps: Sequence[float] = STEPS,
    epsilon: float = _EPS["float64"],
) -> Columns:
    """Measure the Jacobian's columns for the elements `index` of one input."""
    x = inputs[position]
    floor = typical_size(x, 0.1)
    count = len(index)
    parts = [np.zeros((count, *y.shape)) for _ in range(4)]
    flags = [np.zeros((count, *y.shape), bool) for _ in range(2)]
    point = list(inputs)
    noise = rounding(forward, inputs, position, y, epsilon)
    with np.errstate(all="ignore"):
        for row, flat in enumerate(index):
            moved = x.copy()
            point[position] = moved
            old = moved.flat[flat]
            if not np.isfinite(old):  # as in a mask of -∞, which is no number to move
                flags[1][row] = True
                continue
            above: list[np.ndarray] = []
            below: list[np.ndarray] = []
            widths: list[float] = []
            for ladder in (steps, _FINER) if steps is STEPS else (steps,):
                for step in _ladder(abs(old), floor, ladder):
                    ends = old + step, old - step
                    if widths and not 0 < ends[0] - ends[1] < 0.4 * widths[-1]:
                        continue
                    for end, values in zip(ends, (above, below), strict=True):
                        moved.flat[flat] = end
                        values.append(value_at(forward, point, y.shape))
                    widths.append(ends[0] - ends[1])
                results = _judge(np.stack(above), np.stack(below), y, noise, np.array(widths))
                value, band, _, _, kink, _ = results
                if not kink.any() and (band <= 1e-5 * np.max(np.abs(value), initial=0.0)).all():
                    break
            for store, value in zip((*parts, *flags), results, strict=True):
                store[row] = value
    jacobian, band, low, high = parts
    return Columns(index, jacobian, band, low, high, *flags)


def typical_size(x: np.ndarray, part: float = 1.0) -> float:
    """A part of the root mean square of an array's finite elements, 1 where that is 0."""
    known = x[np.isfinite(x)]
    size = part * float(np.sqrt(np.mean(known * known))) if known.size else 1.0
    return size if np.isfinite(size) and size > 0 else 1.0


def value_at(forward: Forward, point: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
    """f there in float64; NaN where the function is not defined, or has another shape."""
    try:
        y = np.array(forward(*point), np.float64)
    except (BacklitError, ValueError, ArithmeticError, IndexError):
        return np.full(shape, np.nan)
    return y if y.shape == shape else np.full(shape, np.nan)


def _ladder(size: float, floor: float, steps: Sequence[float]) -> list[float]:
    """The steps for an element, largest first: of its own size, and of its neighbours'."""
    scales = {max(size, floor), size} if size > 1e-12 * floor else {floor}
    return apart(s * scale for s in steps for scale in scales)


def rounding(
    forward: Forward, inputs: Sequence[Any], position: int, y: np.ndarray, epsilon: float
) -> np.ndarray:
    """How far rounding may put each output off: what is known of its type, or more if more shows.

    At equal distances a smooth function's third differences vanish with the cube of the distance;
    what does not vanish is noise (J. J. Moré, S. M. Wild: Estimating computational noise, SIAM
    Journal on Scientific Computing 33 (2011)). Sums that cancel inside a function show so, and
    float32 inside does, which has the same noise at each distance, while that of a kink shrinks.
    """
    known = epsilon * (np.abs(y) + 1e-3 * np.max(np.abs(y[np.isfinite(y)]), initial=0.0))
    x = inputs[position]
    signs = np.where(np.arange(x.size).reshape(x.shape) % 3 == 1, -1.0, 1.0)
    direction = signs * np.maximum(np.abs(x), typical_size(x, 0.1))
    point = list(inputs)
    found = []
    with np.errstate(all="ignore"):
        for distance in _DISTANCES:
            third = np.zeros(y.shape)
            for times, weight in ((2, 1), (1, -2), (-1, 2), (-2, -1)):
                point[position] = x + times * distance * direction
                third += weight * value_at(forward, point, y.shape)
            found.append(np.abs(np.where(np.isfinite(third), third, 0.0)) / math.sqrt(10))
    fine, middle, coarse = found
    irregular = np.abs(coarse - middle) > 0.05 * coarse  # beside a kink both are how near it is
    stairs = np.where(irregular & (coarse < 10 * middle), np.maximum(coarse, middle), 0.0)
    return np.maximum(known, np.maximum(fine, stairs))


#: Of the points whose differences show noise, relative to the elements.
_DISTANCES = (2.0**-40, 1e-7, 1e-5)


def _judge(
    above: np.ndarray, below: np.ndarray, y: np.ndarray, noise: np.ndarray, widths: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Derivative, band, one-sided derivatives, kink and unknown, for one moved element.

    With falling steps h the one-sided slopes of a smooth function come together as h does. Where
    they do not, there is a kink between the points: of the steps only those below it count. If it
    is still there at the last step that rounding allows, the point is on it.
    """
    width = widths.reshape(-1, *(1,) * y.ndim)
    central = (above - below) / width
    plus, minus = 2 * (above - y) / width, 2 * (y - below) / width
    doubtful = 2 * noise / width
    gap = np.abs(plus - minus)
    finite = np.isfinite(above) & np.isfinite(below) & np.isfinite(y)
    size = np.min(np.where(finite, np.maximum(np.abs(plus), np.abs(minus)), np.inf), axis=0)
    largest = np.max(size[np.isfinite(size)], initial=1e-30)

    tells = finite & (doubtful <= 1e-3 * largest)
    tells[0] |= ~tells.any(0)
    last = len(widths) - 1 - np.argmax(tells[::-1], axis=0)
    known = doubtful * 20 + 1e-4 * largest
    falls = np.sqrt(width[1:] / width[:-1])
    bent = np.zeros(gap.shape, bool)
    bent[1:] = tells[1:] & (gap[1:] > known[1:]) & (gap[1:] > falls * gap[:-1])
    bent[0] = tells[0] & (gap[0] > known[0]) & bent[1]

    def at(values: np.ndarray, k: np.ndarray) -> np.ndarray:
        return np.asarray(np.take_along_axis(values, k[None], 0)[0])

    kink = at(bent, last)
    early = np.minimum(1, last)
    steep = np.abs(at(central, last)) > 5 * np.abs(at(central, early))
    jump = kink & ((at(gap, last) > 5 * at(gap, early)) | steep)
    edge = ~finite[-1]
    unknown = jump | edge
    kink &= ~unknown

    counts = np.arange(len(widths)).reshape(width.shape)
    first = np.where(bent.any(0), len(widths) - np.argmax(bent[::-1], axis=0), 0)
    change = np.abs(np.diff(central, axis=0))
    before = np.concatenate([gap[:1], change])
    after = np.concatenate([change, gap[-1:]])
    error = np.where(counts > first, before, np.maximum(gap, after))
    usable = finite & (counts >= first) & np.isfinite(error)
    doubt = np.where(usable, error + doubtful, np.inf)
    for k in range(len(widths) - 1):  # a finer step that tells something else puts it in doubt
        others = np.where(finite[k + 1 :], np.abs(central[k + 1 :] - central[k]), 0.0)
        doubt[k] = np.maximum(doubt[k], np.max(others - 3 * doubtful[k + 1 :], axis=0))
    best = np.argmin(doubt, axis=0)
    value, band = at(central, best), at(doubt, best)
    natural = 1e-3 * np.max(np.abs(y[np.isfinite(y)]), initial=0.0) / widths[0]
    unknown |= ~kink & ~(at(doubtful, best) <= 0.3 * max(largest, natural))

    sides = at(plus, last), at(minus, last)
    low = np.where(kink, np.minimum(*sides), value)
    high = np.where(kink, np.maximum(*sides), value)
    value = np.where(unknown, 0.0, np.where(kink, 0.5 * (low + high), value))
    band = np.where(unknown | ~np.isfinite(band), 0.0, band)
    band = np.where(kink, at(known, last), band)
    clean = [np.where(unknown, 0.0, v) for v in (low, high)]
    return value, band, *clean, kink, unknown


def _beside(
    forward: Forward,
    inputs: Sequence[Any],
    direction: dict[int, np.ndarray],
    step: float,
    shape: tuple[int, ...],
) -> list[np.ndarray]:
    """f(x + step v) and f(x - step v)."""
    values = []
    for sign in (step, -step):
        point = list(inputs)
        for k, v in direction.items():
            point[k] = inputs[k] + sign * v
        values.append(value_at(forward, point, shape))
    return values


def bends(
    forward: Forward,
    inputs: Sequence[Any],
    direction: dict[int, np.ndarray],
    upstream: np.ndarray,
    steps: Sequence[float] = STEPS,
    epsilon: float = _EPS["float64"],
) -> bool:
    """Whether some output has other slopes to the two sides along v: a kink or jump at x itself.

    With g(h) = Σ |u (f(x + hv) - 2 f(x) + f(x - hv))| / h: it falls with h where f is smooth.
    """
    gaps, rounding = [], 0.0
    with np.errstate(all="ignore"):
        y = np.asarray(forward(*inputs), np.float64)
        for step in (steps[0], steps[-1]):
            sides = _beside(forward, inputs, direction, step, y.shape)
            gaps.append(float(np.nansum(np.abs(upstream * (sides[0] - 2 * y + sides[1])))) / step)
            rounding = epsilon * float(np.nansum(np.abs(upstream * y))) / step
    return gaps[1] > 0.1 * gaps[0] and gaps[1] > 20 * rounding


def along(
    forward: Forward,
    inputs: Sequence[Any],
    direction: dict[int, np.ndarray],
    upstream: np.ndarray,
    steps: Sequence[float] = STEPS,
    epsilon: float = _EPS["float64"],
) -> tuple[float, float]:
    """d/dt ⟨u, f(x + t v)⟩ at 0 and its error band, for a direction v in some of the inputs.

    Outputs whose u is 0 take no part, whatever their values are.
    """
    slopes: list[float] = []
    rounded: list[float] = []
    with np.errstate(all="ignore"):
        for step in steps:
            values = _beside(forward, inputs, direction, step, upstream.shape)
            difference = np.where(upstream == 0, 0.0, upstream * (values[0] - values[1]))
            slopes.append(float(np.sum(difference)) / (2 * step))
            total = float(np.sum(np.abs(np.where(upstream == 0, 0.0, upstream * values[0]))))
            rounded.append(epsilon * total / step)
    doubts = [abs(b - a) + r for a, b, r in zip(slopes, slopes[1:], rounded[1:], strict=False)]
    doubts = [d if np.isfinite(d) else np.inf for d in doubts]
    best = int(np.argmin(doubts))
    return slopes[best + 1], doubts[best]


def stairs(
    forward: Forward,
    inputs: Sequence[Any],
    direction: dict[int, np.ndarray],
    upstream: np.ndarray,
) -> tuple[float, float]:
    """How high the stairs of ⟨u, f(x + t v)⟩ are, 0 if there are none; and Σ |u f|."""

    def line(t: float) -> tuple[float, float]:
        point = [x + t * direction[j] if j in direction else x for j, x in enumerate(inputs)]
        values = value_at(forward, point, upstream.shape)
        terms = np.where(upstream == 0, 0.0, upstream * values)
        return float(np.sum(terms)), float(np.sum(np.abs(terms)))

    with np.errstate(all="ignore"):
        return roughness.stairs(line)
