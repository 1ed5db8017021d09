"""The check of analytic gradients against differences."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .array_api import concat, zeros_like
from .autograd import enable_grad, grad
from .dtypes import float64
from .errors import ArgumentError, BacklitError, DTypeError, GradcheckError
from .finite_differences import (
    best_slope,
    like,
    moved_by,
    numerical_gradient,
    outputs,
    precision,
    slope_at,
    slope_between,
    slopes_to_sides,
)
from .foreign import require_function
from .op import describe
from .roughness import beside_jump, on_stairs
from .tensor import Tensor, as_tensor, wrap
from .widened import in_float64

_EPSILON = 2.0**-52
#: At how many points, and how far away (of the inputs' size), an element is looked at again that
#: may be wrong because it is on a kink.
_NEARBY, _AWAY = 7, 1e-3
#: Of how many wrong elements it is asked whether f is rough there, and how far off of its size one
#: may be then.
_ROUGH, _VAGUE = 64, 0.05


def _linked(ys: list[Tensor], seeds: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """The outputs that are on the tape, with their upstream gradients; all if none is."""
    linked = [(y, u) for y, u in zip(ys, seeds, strict=True) if y.requires_grad]
    linked = linked or list(zip(ys, seeds, strict=True))
    return [y for y, _ in linked], [u for _, u in linked]


def gradcheck(
    f: Callable[..., Any],
    inputs: Tensor | Sequence[Tensor],
    *,
    order: int = 1,
    step: float = 1e-6,
    rtol: float = 1e-6,
    atol: float = 1e-7,
    seed: int = 0,
) -> bool:
    """Compare the gradients of f with central differences; return True or raise GradcheckError.

    Inputs that require a gradient must be float64; what f computes in narrower floats is computed
    in float64, too. f returns a Tensor, or several in a tuple, list or dict; they are weighted with
    random upstream gradients. `step` is that for elements up to 1 and grows with larger ones; where
    one step says that an element is wrong, others are asked before it is believed. What is not
    finite in the output is left out, and at an edge of the domain the slope to its inner side
    counts, which may be infinite (√x at 0); a warning tells of both. At a kink any choice between
    the slopes to the sides is right: what is right a little way off, and wrong at the given point
    only, is a warning. `order=2` also checks the gradients of gradients.

    >>> gradcheck(lambda x: x * x, Tensor([1.0, 2.0], dtype="float64", requires_grad=True), order=2)
    True
    """
    require_function("gradcheck: f", f)
    several = isinstance(inputs, list | tuple)
    points = [as_tensor(x) for x in (inputs if several else [inputs])]
    points = [x.detach().requires_grad_(x.requires_grad) for x in points]
    checked = [i for i, x in enumerate(points) if x.requires_grad]
    if not checked:
        raise ArgumentError("gradcheck: at least one input must require a gradient")
    for i in checked:
        if points[i].dtype != float64:
            raise DTypeError(
                f"gradcheck: inputs[{i}] must be float64, got {describe(points[i])}; differences "
                "in lower precision cannot tell a wrong gradient from rounding; use "
                "x.astype('float64')"
            )
    if order not in (1, 2):
        raise ArgumentError(f"gradcheck: order must be 1 or 2, got {order}")
    rng = np.random.default_rng(seed)
    with enable_grad(), in_float64(), np.errstate(all="ignore"):
        ys = outputs(f, points)
        upstream = [rng.uniform(0.5, 1.5, y.shape) for y in ys]
        _compare("gradient", f, points, checked, ys, upstream, step, rtol, atol)
        if order == 2:
            weights = [wrap(u).requires_grad_() for u in upstream]

            def first(*args: Tensor) -> Tensor:
                """The gradients of f as one vector, a function of inputs and upstream."""
                xs, us = args[: len(points)], args[len(points) :]
                live = [x if x.requires_grad else x.detach() for x in xs]
                for i in checked:
                    if not live[i].requires_grad:
                        live[i].requires_grad_()
                wanted = [live[i] for i in checked]
                linked, seeds = _linked(outputs(f, live), us)
                gs = grad(linked, wanted, seeds, create_graph=True, allow_unused=True)
                full = [
                    zeros_like(live[i]) if g is None else g
                    for i, g in zip(checked, gs, strict=True)
                ]
                return concat([g.flatten() for g in full])

            second_points = [*points, *weights]
            z = first(*second_points)
            if z.requires_grad:
                again = rng.uniform(0.5, 1.5, z.shape)
                _compare(
                    "second-order gradient",
                    first,
                    second_points,
                    [*checked, *range(len(points), len(second_points))],
                    [z],
                    [again],
                    step,
                    rtol,
                    atol,
                )
    return True


def _compare(
    what: str,
    f: Callable[..., Any],
    points: list[Tensor],
    checked: list[int],
    ys: list[Tensor],
    upstream: list[np.ndarray],
    step: float,
    rtol: float,
    atol: float,
) -> None:
    upstream, left_out = _finite_part(what, ys, upstream)
    analytic = _analytic(ys, [points[i] for i in checked], upstream)
    numerical = numerical_gradient(f, points, upstream, step)
    for i, g in zip(checked, analytic, strict=True):
        got = g.copy()
        want = numerical[i]
        scale = float(np.max(np.abs(want), initial=0, where=np.isfinite(want)))
        error = np.abs(got - want)
        bad: Any = ~(error <= atol + rtol * np.maximum(np.abs(want), scale))
        at = points[i].numpy()
        bad &= np.isfinite(at)  # -∞, as in a mask, is no number to move
        if left_out and not np.isfinite(got[bad]).all():
            if not np.isfinite(got).any():
                raise GradcheckError(
                    f"gradcheck: there is nothing to compare for inputs[{i}] "
                    f"({describe(points[i])}): no element of the {what} is finite, as {left_out} "
                    "of the output are not; move the inputs into the domain of f"
                )
            bad &= _told(what, i, points[i], ~np.isfinite(got) & bad, _SPOILT)
        for element in map(tuple, np.argwhere(bad)):
            want[element], band = best_slope(f, points, (i, element), upstream, step)
            error[element] = abs(got[element] - want[element])
            allowed = atol + rtol * max(abs(want[element]), scale) + band
            bad[element] = not error[element] <= allowed
        edges = np.zeros(bad.shape, bool)
        for element in map(tuple, np.argwhere(bad)):
            want[element], edges[element] = _at_edge(
                f, points, (i, element), upstream, step, (got[element], want[element])
            )
            error[element] = abs(got[element] - want[element])
        if edges.any():
            bad &= _told(what, i, points[i], edges, _EDGE)
        if bad.any():
            bad &= ~_as_far_as_told(what, f, points, i, got, want, bad, upstream)
        if bad.any():
            _require_float64(ys, points)
            chosen = _chosen(f, points, checked, i, got, bad, upstream, step, (rtol, atol))
            if chosen.any():
                place = tuple(np.argwhere(chosen)[0])
                warnings.warn(
                    f"gradcheck: the {what} for inputs[{i}] ({describe(points[i])}) is a choice at "
                    f"a kink in {int(chosen.sum())} of {bad.size} elements, as at "
                    f"{[int(w) for w in place]}, where it is {float(at[place]):.6g}: "
                    f"{got[place]:.6g}; it is right a little way off",
                    stacklevel=3,
                )
            bad &= ~chosen
        if bad.any():
            worst = np.unravel_index(np.argmax(np.where(bad, error, -1)), error.shape)
            where = [int(w) for w in worst]
            raise GradcheckError(
                f"gradcheck: the {what} for inputs[{i}] ({describe(points[i])}) differs from "
                f"central differences in {int(bad.sum())} of {bad.size} elements, most at "
                f"{where}, where it is {float(at[worst]):.6g}: analytic {got[worst]:.9g}, "
                f"numerical {want[worst]:.9g}, error {error[worst]:.2g}"
                f"{_kink(f, points, (i, worst), upstream, step)}"
            )


def _as_far_as_told(
    what: str,
    f: Callable[..., Any],
    points: list[Tensor],
    i: int,
    got: np.ndarray,
    want: np.ndarray,
    bad: np.ndarray,
    upstream: Sequence[np.ndarray],
) -> np.ndarray:
    """Which of the bad elements agree as far as differences of an f that is not smooth can tell; a
    warning says how far that is.
    """
    agrees = np.zeros(bad.shape, bool)
    elements = [tuple(e) for e in np.argwhere(bad & np.isfinite(got))]
    if len(elements) > _ROUGH or any(y.dtype != float64 for y in outputs(f, points)):
        return agrees
    if not elements:
        return agrees

    def line(t: float, along: Callable[[float], list[Tensor]]) -> tuple[float, float]:
        """⟨u, f⟩ at a place along a line, and the size of its terms."""
        try:
            ys = [y.numpy() for y in outputs(f, along(t))]
        except BacklitError:  # outside the domain
            return math.nan, math.nan
        terms = [np.where(u == 0, 0.0, u * y) for u, y in zip(upstream, ys, strict=True)]
        return sum(float(v.sum()) for v in terms), sum(float(np.abs(v).sum()) for v in terms)

    def one(t: float, e: tuple[int, ...], size: float) -> list[Tensor]:
        array = np.array(points[i].numpy())
        array[e] += t * size
        return [*points[:i], like(points[i], array), *points[i + 1 :]]

    def all_together(t: float) -> list[Tensor]:
        return [like(x, x.numpy() * (1 + t)) if x.requires_grad else x for x in points]

    worst, why, shown = 0.0, "", elements[0]
    for e in elements:
        size = max(1.0, abs(float(points[i].numpy()[e])))
        found = on_stairs(lambda t, e=e, s=size: line(t, lambda t: one(t, e, s)))  # type: ignore[misc]
        if found is None:
            slopes = want[e] * size, got[e] * size
            found = beside_jump(lambda t: line(t, all_together), *slopes)
        if found is None:
            continue
        want[e] = found.slope / size
        off, band = abs(got[e] - want[e]), found.band / size
        if off <= band <= _VAGUE * abs(got[e]):
            agrees[e] = True
            if band >= worst:
                worst, why, shown = band, found.why, e
    if agrees.any():
        warnings.warn(
            f"gradcheck: the {what} for inputs[{i}] ({describe(points[i])}) agrees in "
            f"{int(agrees.sum())} of {bad.size} elements to {worst:.1g} only, as at "
            f"{[int(w) for w in shown]}; more cannot be decided numerically, because {why}",
            stacklevel=4,
        )
    return agrees


_SPOILT = "is not finite, where the output is not, and was not compared,"
_EDGE = "is that of one side, at an edge of the domain or a cusp,"


def _told(what: str, i: int, x: Tensor, which: np.ndarray, text: str) -> np.ndarray:
    """The other elements than those of which a warning says something."""
    place = tuple(np.argwhere(which)[0])
    warnings.warn(
        f"gradcheck: the {what} for inputs[{i}] ({describe(x)}) {text} in {int(which.sum())} of "
        f"{which.size} elements, as at {[int(w) for w in place]}, where it is "
        f"{float(x.numpy()[place]):.6g}",
        stacklevel=4,
    )
    return ~which


def _finite_part(
    what: str, ys: list[Tensor], upstream: list[np.ndarray]
) -> tuple[list[np.ndarray], int]:
    """The upstream gradients with 0 where the output is not finite, and at how many elements."""
    finite = [np.isfinite(y.numpy()) for y in ys]
    size = sum(m.size for m in finite)
    lost = size - sum(int(m.sum()) for m in finite)
    if not lost:
        return upstream, 0
    if lost == size:
        raise GradcheckError(
            f"gradcheck: there is nothing to compare for the {what}: all {size} elements of the "
            "output are nan or infinite; move the inputs into the domain of f"
        )
    warnings.warn(
        f"gradcheck: {lost} of {size} elements of the output are nan or infinite and were left "
        f"out of the {what}; move the inputs to compare them, too",
        stacklevel=4,
    )
    return [np.where(m, u, 0.0) for m, u in zip(finite, upstream, strict=True)], lost


def _at_edge(
    f: Callable[..., Any],
    points: list[Tensor],
    place: tuple[int, tuple[Any, ...]],
    upstream: Sequence[np.ndarray],
    step: float,
    slopes: tuple[float, float],
) -> tuple[float, bool]:
    """The slope to the one side at which f is finite, and whether an analytic one is right there.

    Towards the edge the slope comes nearer and nearer to a right one; an infinite one is right if
    the slope grows without bound, to its sign. Where those to both sides do, there is none.
    """
    got, want = slopes
    size = max(1.0, abs(float(points[place[0]].numpy()[place[1]])))
    here, start = moved_by(f, points, place, 0.0)
    sides = []
    for sign in (1, -1):
        found = []
        for by in (1e4, 1e2, 1.0):
            try:
                there, end = moved_by(f, points, place, sign * by * step * size)
            except BacklitError:  # outside the domain
                break
            found.append(slope_between(upstream, there, here, end - start)[0])
        if len(found) == 3 and np.isfinite(found).all():
            sides.append(np.array(found))
    sizes = [np.abs(side) for side in sides]
    if len(sides) == 2 and not math.isfinite(got):  # a cusp, as that of √|x| at 0
        return want, all((grown[1:] > 1.5 * grown[:-1]).all() for grown in sizes)
    if len(sides) != 1:
        return want, False
    slope = float(sides[0][-1])
    if math.isinf(got):
        grown = sides[0] * math.copysign(1, got)
        return slope, bool(grown[0] > 0 and (grown[1:] > 1.5 * grown[:-1]).all())
    off = np.abs(sides[0] - got)
    small = 1e-6 * max(1.0, abs(got))
    return slope, bool(
        off[-1] < 1e-2 * max(1.0, abs(got)) and (off[1:] < 0.3 * off[:-1] + small).all()
    )


def _analytic(
    ys: list[Tensor], wanted: list[Tensor], upstream: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Σ uᵀ J by the tape, for each of the inputs."""
    seeds = [wrap(u.astype(y.dtype)) for u, y in zip(upstream, ys, strict=True)]
    linked, seeds = _linked(ys, seeds)
    found: Any = grad(linked, wanted, seeds, allow_unused=True)
    return [
        np.zeros(x.shape) if g is None else np.array(g.numpy())
        for x, g in zip(wanted, found, strict=True)
    ]


def _chosen(
    f: Callable[..., Any],
    points: list[Tensor],
    checked: list[int],
    position: int,
    got: np.ndarray,
    bad: np.ndarray,
    upstream: Sequence[np.ndarray],
    step: float,
    tolerances: tuple[float, float],
) -> np.ndarray:
    """Which of the bad elements are wrong at this very point only: a choice at a kink.

    A wrong derivative is wrong nearby, too, at more than one of the points (which may be on another
    kink); and no choice is larger than the slopes that there are.
    """
    rng = np.random.default_rng(0)
    right, wrong = np.zeros(got.shape, int), np.zeros(got.shape, int)
    slopes, (rtol, atol) = [0.0], tolerances
    elements = [tuple(e) for e in np.argwhere(bad & np.isfinite(got))]
    for e in elements:
        size = min(abs(float(points[position].numpy()[e])) or 1.0, 1.0)
        for h in {step, step * size}:
            sides = slopes_to_sides(f, points, (position, e), upstream, h)
            slopes += [s for s in sides if math.isfinite(s)]
    shapes = [points[k].shape for k in checked]
    away = [np.zeros(shape) for shape in shapes]
    for turn in range(_NEARBY):  # to one side, then to the other
        away = [
            rng.uniform(-1, 1, s) if turn % 2 == 0 else -a
            for s, a in zip(shapes, away, strict=True)
        ]
        moved = list(points)
        for k, direction in zip(checked, away, strict=True):
            array = points[k].numpy()
            size = _AWAY * (float(np.sqrt(np.mean(array * array))) or 1.0)
            moved[k] = like(points[k], array + size * direction)
        try:
            ys = outputs(f, moved)
        except BacklitError:
            continue  # outside the domain
        if [y.shape for y in ys] != [u.shape for u in upstream]:
            continue
        there = _analytic(ys, [moved[position]], upstream)[0]
        scale = float(np.max(np.abs(there), initial=0))
        for e in elements:
            slope, band = slope_at(f, moved, (position, e), upstream, step)
            if abs(there[e] - slope) > atol + rtol * abs(slope):
                slope, band = best_slope(f, moved, (position, e), upstream, step)
            fits = abs(there[e] - slope) <= atol + rtol * scale + band
            right[e] += fits
            wrong[e] += not fits
            slopes += [slope] if math.isfinite(slope) else []
        elements = [e for e in elements if wrong[e] <= 1]
    slack = 1e-3 * (max(slopes) - min(slopes))
    between = (got >= min(slopes) - slack) & (got <= max(slopes) + slack)
    return np.asarray(bad & (right > 1) & (wrong <= 1) & between)


def _require_float64(ys: list[Tensor], points: Sequence[Tensor]) -> None:
    """Raise if rounding to a narrower float inside f may be why differences differ."""
    for y in ys:
        found = precision(y.numpy(), [x.numpy() for x in points])
        if found != "float64":
            raise DTypeError(
                f"gradcheck: f must compute in float64, but its values are those of {found}, whose "
                "rounding hides what differences would tell; cast nothing inside f"
            )


def _kink(
    f: Callable[..., Any],
    points: list[Tensor],
    place: tuple[int, tuple[Any, ...]],
    upstream: Sequence[np.ndarray],
    step: float,
) -> str:
    """What to add where the slopes to the two sides differ: no choice between them is wrong."""
    slopes = slopes_to_sides(f, points, place, upstream, step)
    if not abs(slopes[0] - slopes[1]) > 1e-2 * max(map(abs, slopes)):
        return ""
    return (
        f"; there is a kink: the slopes to its sides are {slopes[0]:.6g} and {slopes[1]:.6g}, and "
        "any choice between them is right; move the input off it"
    )
