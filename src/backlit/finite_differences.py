"""Slopes by differences: central, to one side, and with the step that is most certain.

The central difference (f(x+h) - f(x-h)) / 2h has the error h² f'''/6 plus rounding ε f / h. In
float64 with h = 1e-6 both are near 1e-10 of the values, so one strict tolerance serves every op.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .dtypes import FLOATING, float64
from .errors import ArgumentError
from .foreign import require_function, words
from .tensor import Tensor, as_tensor, wrap

_EPSILON = 2.0**-52


def outputs(f: Callable[..., Any], points: Sequence[Tensor]) -> list[Tensor]:
    """The floating Tensors among what f returns: one, or several in a tuple, list or dict."""
    found: list[Tensor] = []
    pending = [f(*points)]
    while pending:
        y = pending.pop()
        if isinstance(y, Tensor):
            found += [y] if y.dtype in FLOATING else []
        elif isinstance(y, tuple | list | dict):
            pending += reversed(list(y.values()) if isinstance(y, dict) else y)
        else:
            what, cure = words(y)
            raise ArgumentError(f"gradcheck: f must return Tensors, got {what}; {cure}")
    if not found:
        raise ArgumentError("gradcheck: f must return at least one floating Tensor, got none")
    return found


def slope_at(
    f: Callable[..., Any],
    points: list[Tensor],
    place: tuple[int, tuple[int, ...]],
    upstream: Sequence[np.ndarray],
    h: float,
) -> tuple[float, float]:
    """The central difference of Σ ⟨u, y⟩ along one element, and how far rounding may put it off."""
    (above, top), (below, bottom) = [moved_by(f, points, place, by) for by in (h, -h)]
    if top == bottom:
        return math.nan, math.inf
    return slope_between(upstream, above, below, top - bottom)


def moved_by(
    f: Callable[..., Any], points: list[Tensor], place: tuple[int, tuple[int, ...]], by: float
) -> tuple[list[np.ndarray], float]:
    """What f makes of the points with one element moved, and where that element then is."""
    k, index = place
    moved = np.array(points[k].numpy())
    moved[index] += by
    ys = outputs(f, [*points[:k], like(points[k], moved), *points[k + 1 :]])
    return [y.numpy() for y in ys], float(moved[index])


def slope_between(
    upstream: Sequence[np.ndarray],
    above: list[np.ndarray],
    below: list[np.ndarray],
    width: float,
) -> tuple[float, float]:
    """The slope of Σ ⟨u, y⟩ between two points, and how far rounding may put it off.

    Where u is 0 the output is not finite, or not looked at.
    """
    change = size = 0.0
    for u, a, b in zip(upstream, above, below, strict=True):
        looked = u != 0
        change += float(np.sum((u * (a - b))[looked]))
        size += float(np.sum(np.abs(u * a)[looked]))
    return change / width, _EPSILON * size / abs(width)


def like(x: Tensor, array: np.ndarray) -> Tensor:
    """An input with other values."""
    moved = wrap(array)
    return moved.requires_grad_() if x.requires_grad else moved


def numerical_gradient(
    f: Callable[..., Any],
    inputs: Sequence[Tensor],
    upstream: Sequence[np.ndarray],
    step: float = 1e-6,
) -> list[np.ndarray]:
    """Σ uᵀ J over the outputs by central differences, a pair of calls for each element of each
    input; the step grows with elements larger than 1.
    """
    points = list(inputs)
    gradients = []
    for k, array in enumerate([x.numpy() for x in points]):
        gradient = np.zeros(array.shape)
        if inputs[k].requires_grad:
            for index in np.ndindex(array.shape):
                h = step * max(1.0, abs(float(array[index])))
                gradient[index], _ = slope_at(f, points, (k, index), upstream, h)
        gradients.append(gradient)
    return gradients


def numeric_gradient(
    f: Callable[..., Any], inputs: Any, h: float = 1e-5, *, one_sided: bool = False
) -> Any:
    """The gradient of a function that returns one number, by differences.

        central     (f(x + h) - f(x - h)) / 2h      its error is h² f'''/6
        one_sided   (f(x + h) - f(x)) / h           its error is h f''/2

    One Tensor, array or number gives one gradient; several in a list or tuple give a list, and are
    the arguments of f. f gets what it was given, Tensors or arrays, in float64.

    >>> numeric_gradient(lambda x: (x**3).sum(), np.array([1.0, 2.0])).round(6)
    array([ 3., 12.])
    >>> round(float(numeric_gradient(lambda x: x**3, 2.0, 0.1, one_sided=True)), 6)
    12.61
    """
    require_function("numeric_gradient: f", f)
    if not h > 0:
        raise ArgumentError(f"numeric_gradient: the step h must be above 0, got {h}")
    several = isinstance(inputs, list | tuple)
    given = list(inputs) if several else [inputs]
    points = [np.array(as_tensor(x).detach().numpy(), np.float64) for x in given]

    def value() -> float:
        """f at the points as they are now."""
        copies = [
            wrap(p.copy()) if isinstance(x, Tensor) else p.copy()
            for p, x in zip(points, given, strict=True)
        ]
        y = f(*copies)
        found = y.numpy() if isinstance(y, Tensor) else np.asarray(y)
        if found.size != 1:
            raise ArgumentError(
                f"numeric_gradient: f must return one number, got shape {found.shape}; sum it"
            )
        return float(found.reshape(()))

    start = value()
    gradients = []
    for point in points:
        gradient = np.zeros(point.shape)
        for index in np.ndindex(point.shape):
            old = float(point[index])
            point[index] = old + h
            above, reach = value(), float(point[index])
            below, base = start, old
            if not one_sided:
                point[index] = old - h
                below, base = value(), float(point[index])
            point[index] = old
            gradient[index] = (above - below) / (reach - base) if reach != base else math.nan
        gradients.append(gradient)
    results = [
        wrap(g) if isinstance(x, Tensor) else g for g, x in zip(gradients, given, strict=True)
    ]
    return results if several else results[0]


def best_slope(
    f: Callable[..., Any],
    points: list[Tensor],
    place: tuple[int, tuple[int, ...]],
    upstream: Sequence[np.ndarray],
    step: float,
) -> tuple[float, float]:
    """The slope by the step that is most certain, and its error band: neighbouring steps differ by
    what is left of the curvature, rounding shows in small ones, and a finer step that tells
    something else puts a coarse one in doubt.
    """
    size = abs(float(points[place[0]].numpy()[place[1]])) or 1.0
    steps = apart(step * 10.0**e * s for s in {1.0, size} for e in range(5, -4, -1))
    measured = [slope_at(f, points, place, upstream, h) for h in steps]
    slopes, rounded = np.array([m for m in measured if math.isfinite(m[0])] or [(0, 0)]).T
    if len(slopes) < 2:
        return math.nan, math.inf
    doubts = np.abs(np.diff(slopes)) + rounded[1:]
    for k in range(1, len(slopes) - 1):
        finer = np.abs(slopes[k + 1 :] - slopes[k]) - 3 * rounded[k + 1 :]
        doubts[k - 1] = max(doubts[k - 1], finer.max())
    best = int(np.argmin(doubts))
    return float(slopes[best + 1]), float(doubts[best])


def apart(steps: Iterable[float]) -> list[float]:
    """Steps, largest first, without those that are nearly the same: they would always agree."""
    kept: list[float] = []
    for step in sorted(steps, reverse=True):
        if not kept or step < 0.4 * kept[-1]:
            kept.append(step)
    return kept


def slopes_to_sides(
    f: Callable[..., Any],
    points: list[Tensor],
    place: tuple[int, tuple[Any, ...]],
    upstream: Sequence[np.ndarray],
    step: float,
) -> list[float]:
    """The slopes to the two sides along one element."""
    k, index = place
    h = step * max(1.0, abs(float(points[k].numpy()[index])))
    slopes = []
    for sign in (h, -h):
        array = np.array(points[k].numpy())
        array[index] += sign / 2  # halfway, so that the difference is one-sided
        moved = [*points[:k], like(points[k], array), *points[k + 1 :]]
        slopes.append(slope_at(f, moved, place, upstream, h / 2)[0])
    return slopes


def precision(y: np.ndarray, inputs: Sequence[Any]) -> str:
    """The floating type whose rounding the forward shows, also if it returns a wider one.

    >>> x = np.array([0.1, 0.2])
    >>> precision(x.astype(np.float32).astype(float), [x]), precision(2 * x, [x])
    ('float32', 'float64')
    """
    if y.dtype in FLOATING and y.dtype != float64:
        return str(y.dtype.name)
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
