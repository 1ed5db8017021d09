"""The point sets of the TensorFlow Playground: four to classify, two for regression.

Source: Smilkov & Carter, tensorflow/playground, src/dataset.ts (2016). Labels there are -1 and 1,
here 0 and 1. Random numbers are Backlit's, so a seed gives the same points everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..array_api.arguments import number, whole
from ..dtypes import float64
from ..errors import ArgumentError
from ..random import Generator
from .dataset import TensorDataset

Points = tuple[np.ndarray, np.ndarray]  # x: (N, 2), y: (N,) labels or (N, 1) values

RADIUS = 5.0  # of the region that holds the points to classify
WIDE = 6.0  # of the region of the regression sets


def playground(
    name: str,
    samples: int | None = None,
    *,
    noise: float = 0.0,
    test_fraction: float = 0.5,
    seed: int = 0,
) -> tuple[TensorDataset, TensorDataset]:
    """A set of points in the plane, split into training and test examples.

    x: float32, (N, 2), in about [-6, 6];  y: int64 in {0, 1}, (N,), or for regression float32 in
    [-1, 1], (N, 1)

    `name` is circle, xor, gauss or spiral (classes; 500 samples), plane or gaussians (regression;
    1200 samples). `noise` lies in [0, 0.5], as the slider of the Playground does.

    >>> train, test = playground("circle", 100, noise=0.1, seed=3)
    >>> train
    TensorDataset(float32[50,2], int64[50])
    """
    if name not in SETS:
        raise ArgumentError(f"playground: name must be one of {', '.join(SETS)}, got {name!r}")
    make, default, classes = SETS[name]
    count = default if samples is None else samples
    count = whole("playground: samples", count, 2)
    if not 0 <= number("playground: noise", noise) <= 0.5:
        raise ArgumentError(f"playground: noise must lie in [0, 0.5], got {noise}")
    if not 0 < number("playground: test_fraction", test_fraction) < 1:
        raise ArgumentError(f"playground: test_fraction must lie in (0, 1), got {test_fraction}")
    random = Generator(seed)
    x, y = make(random, count, noise)
    order = random.permutation(len(x)).numpy()
    x = x[order].astype(np.float32)
    y = y[order].astype(np.int64) if classes else y[order].astype(np.float32)[:, None]
    held_out = min(max(round(len(x) * test_fraction), 1), len(x) - 1)
    return (
        TensorDataset(x[held_out:], y[held_out:]),
        TensorDataset(x[:held_out], y[:held_out]),
    )


def _uniform(random: Generator, n: int, low: float, high: float) -> np.ndarray:
    return random.uniform((n,), low, high, dtype=float64).numpy()


def _polar(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    return np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)


def _jitter(random: Generator, n: int, reach: float) -> np.ndarray:
    return np.stack([_uniform(random, n, -reach, reach) for _ in "xy"], axis=1)


def _halves(n: int) -> tuple[int, int]:
    return n - n // 2, n // 2


def _circle(random: Generator, n: int, noise: float) -> Points:
    """A disc in a ring; noise moves the point that the label is read from."""
    inner, outer = _halves(n)
    radius = np.concatenate(
        [
            _uniform(random, inner, 0, RADIUS * 0.5),
            _uniform(random, outer, RADIUS * 0.7, RADIUS),
        ]
    )
    x = _polar(radius, _uniform(random, n, 0, 2 * math.pi))
    seen = x + _jitter(random, n, RADIUS) * noise
    return x, np.hypot(seen[:, 0], seen[:, 1]) < RADIUS * 0.5


def _xor(random: Generator, n: int, noise: float) -> Points:
    """Four squares, equal across the corner, kept apart by a gap of 0.6."""
    x = _jitter(random, n, RADIUS)
    x += np.where(x > 0, 0.3, -0.3)
    seen = x + _jitter(random, n, RADIUS) * noise
    return x, seen[:, 0] * seen[:, 1] >= 0


def _gauss(random: Generator, n: int, noise: float) -> Points:
    """Two normal clouds around (2, 2) and (-2, -2), of variance 0.5 to 4."""
    y = np.repeat([True, False], _halves(n))
    deviation = math.sqrt(0.5 + 3.5 * noise / 0.5)
    cloud = random.normal((n, 2), 0, deviation, dtype=float64).numpy()
    return cloud + np.where(y, 2.0, -2.0)[:, None], y


def _spiral(random: Generator, n: int, noise: float) -> Points:
    """Two arms of one turn and three quarters."""
    arms = []
    for count, start in zip(_halves(n), (0.0, math.pi), strict=True):
        along = np.arange(count) / count
        arms.append(_polar(RADIUS * along, 1.75 * along * 2 * math.pi + start))
    x = np.concatenate(arms) + _jitter(random, n, 1.0) * noise
    return x, np.repeat([True, False], _halves(n))


def _plane(random: Generator, n: int, noise: float) -> Points:
    """The height of a tilted plane, (x₁ + x₂) / 10."""
    x = _jitter(random, n, WIDE)
    seen = x + _jitter(random, n, WIDE) * noise
    return x, seen.sum(axis=1) / 10


_HILLS = ((-4, 2.5, 1), (0, 2.5, -1), (4, 2.5, 1), (-4, -2.5, -1), (0, -2.5, 1), (4, -2.5, -1))


def _gaussians(random: Generator, n: int, noise: float) -> Points:
    """Six cones of radius 2, up and down; the steepest at a point counts."""
    x = _jitter(random, n, WIDE)
    seen = x + _jitter(random, n, WIDE) * noise
    heights = np.stack(
        [s * np.clip(1 - np.hypot(seen[:, 0] - a, seen[:, 1] - b) / 2, 0, 1) for a, b, s in _HILLS]
    )
    best = np.abs(heights).argmax(axis=0)
    return x, heights[best, np.arange(n)]


#: Each set by name: how it is made, its usual number of samples, and whether it has classes.
SETS: dict[str, tuple[Callable[[Generator, int, float], Points], int, bool]] = {
    "circle": (_circle, 500, True),
    "xor": (_xor, 500, True),
    "gauss": (_gauss, 500, True),
    "spiral": (_spiral, 500, True),
    "plane": (_plane, 1200, False),
    "gaussians": (_gaussians, 1200, False),
}
