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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Forward = Callable[..., np.ndarray]

#: Steps relative to the size of the element, largest first.
STEPS = (1e-3, 1e-4, 1e-5, 1e-6)
#: For a forward that computes in less than float64 rounding hides small steps.
COARSE_STEPS = (3e-2, 1e-2, 3e-3, 1e-3)

_EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


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

    def any_kink(self) -> np.ndarray:
        """Which elements have a kink in some output."""
        return np.asarray(self.kink.reshape(len(self.index), -1).any(1))

    def any_unknown(self) -> np.ndarray:
        """Which elements have an output without a derivative."""
        return np.asarray(self.unknown.reshape(len(self.index), -1).any(1))


def contract(columns: np.ndarray, upstream: np.ndarray) -> np.ndarray:
    """Σ over all outputs of columns · upstream, one number for each column."""
    return columns.reshape(len(columns), -1) @ upstream.reshape(-1)


def precision(y: np.ndarray, inputs: Sequence[Any]) -> str:
    """The floating type whose rounding the forward shows, also if it returns a wider one.

    >>> x = np.array([0.1, 0.2])
    >>> precision(x.astype(np.float32).astype(float), [x]), precision(2 * x, [x])
    ('float32', 'float64')
    """
    if y.dtype.name in _EPS and y.dtype.name != "float64":
        return y.dtype.name
    finite = y[np.isfinite(y)] if y.dtype.kind == "f" else y
    if finite.size == 0 or not _has_fractions(finite):
        return "float64"
    wide = [x for x in inputs if isinstance(x, np.ndarray) and x.dtype == np.float64 and x.size]
    for name in ("float16", "float32"):
        narrow = np.dtype(name)
        with np.errstate(over="ignore"):
            exact = (finite.astype(narrow).astype(np.float64) == finite).all()
            given = all((x.astype(narrow).astype(np.float64) == x).all() for x in wide)
        if exact and not given:
            return name
    return "float64"


def _has_fractions(values: np.ndarray) -> bool:
    """Whether any element needs more than a few binary digits: 0, 1, 0.5 say nothing."""
    return bool((values * 64 != np.round(values * 64)).any())


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
    typical = float(np.sqrt(np.mean(x * x))) if x.size else 1.0
    floor = 0.1 * typical if np.isfinite(typical) and typical > 0 else 1.0
    count = len(index)
    parts = [np.zeros((count, *y.shape)) for _ in range(4)]
    flags = [np.zeros((count, *y.shape), bool) for _ in range(2)]
    point = list(inputs)
    size = np.abs(y) + np.max(np.abs(y[np.isfinite(y)]), initial=0.0) * 1e-3
    with np.errstate(all="ignore"):
        for row, flat in enumerate(index):
            moved = x.copy()
            point[position] = moved
            old = moved.flat[flat]
            scale = max(abs(old), floor)
            above: list[np.ndarray] = []
            below: list[np.ndarray] = []
            widths = []
            for step in steps:
                for sign, values in ((1, above), (-1, below)):
                    moved.flat[flat] = old + sign * step * scale
                    values.append(np.array(forward(*point), np.float64))
                widths.append((old + step * scale) - (old - step * scale))
            results = _judge(np.stack(above), np.stack(below), y, size, np.array(widths), epsilon)
            for store, value in zip((*parts, *flags), results, strict=True):
                store[row] = value
    jacobian, band, low, high = parts
    return Columns(index, jacobian, band, low, high, *flags)


def _judge(
    above: np.ndarray,
    below: np.ndarray,
    y: np.ndarray,
    size: np.ndarray,
    widths: np.ndarray,
    epsilon: float,
) -> tuple[np.ndarray, ...]:
    """Derivative, band, one-sided derivatives, kink and unknown, for one moved element."""
    shape = (-1, *(1,) * y.ndim)
    width = widths.reshape(shape)
    central = (above - below) / width
    rounding = epsilon * size / width
    change = np.abs(central[1:] - central[:-1])
    doubt = np.where(np.isfinite(change), change + rounding[1:], np.inf)
    best = np.argmin(doubt, axis=0)[None]
    value = np.take_along_axis(central[1:], best, 0)[0]
    band = np.take_along_axis(doubt, best, 0)[0]

    plus, minus = 2 * (above - y) / width, 2 * (y - below) / width
    gap = np.abs(plus - minus)
    largest = np.nanmax(np.where(np.isfinite(central), np.abs(central), 0), initial=1e-30)
    noise = 20 * rounding + 1e-4 * largest
    lasting = gap[-1] > 0.5 * gap[1]
    kink = (gap[-1] > noise[-1]) & lasting
    steep = np.abs(central[-1]) > 5 * np.abs(central[1])
    jump = kink & ((gap[-1] > 5 * gap[1]) | steep)
    edge = ~(np.isfinite(above[-1]) & np.isfinite(below[-1]) & np.isfinite(y))
    unknown = jump | edge
    kink &= ~unknown
    low = np.where(kink, np.minimum(plus[-1], minus[-1]), value)
    high = np.where(kink, np.maximum(plus[-1], minus[-1]), value)
    value = np.where(unknown, 0.0, np.where(kink, 0.5 * (low + high), value))
    band = np.where(unknown | ~np.isfinite(band), 0.0, band)
    band = np.where(kink, noise[-1], band)
    clean = [np.where(unknown, 0.0, v) for v in (low, high)]
    return value, band, *clean, kink, unknown


def _beside(
    forward: Forward, inputs: Sequence[Any], direction: dict[int, np.ndarray], step: float
) -> list[np.ndarray]:
    """f(x + step v) and f(x - step v)."""
    values = []
    for sign in (step, -step):
        point = list(inputs)
        for k, v in direction.items():
            point[k] = inputs[k] + sign * v
        values.append(np.asarray(forward(*point), np.float64))
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
            sides = _beside(forward, inputs, direction, step)
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
    """d/dt ⟨u, f(x + t v)⟩ at 0 and its error band, for a direction v in some of the inputs."""
    slopes: list[float] = []
    rounding: list[float] = []
    with np.errstate(all="ignore"):
        for step in steps:
            values = _beside(forward, inputs, direction, step)
            difference = upstream * (values[0] - values[1])
            slopes.append(float(np.sum(difference)) / (2 * step))
            total = float(np.sum(np.abs(upstream * values[0])))
            rounding.append(epsilon * total / step)
    doubts = [abs(b - a) + r for a, b, r in zip(slopes, slopes[1:], rounding[1:], strict=False)]
    doubts = [d if np.isfinite(d) else np.inf for d in doubts]
    best = int(np.argmin(doubts))
    return slopes[best + 1], doubts[best]
