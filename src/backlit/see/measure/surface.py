"""A loss as a surface over two numbers: of a function of two, or of a network in two directions."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...autograd import grad, no_grad
from ...errors import ArgumentError
from ...files import write_whole
from ...nn import Module
from ...nn.keeping import kept
from ...tensor import Tensor, as_tensor
from ..records.value import number
from ..show.charts import Chart

#: Points of the grid along each axis: of a function, and of a network, whose loss each costs.
POINTS, PASSES = 81, 25

#: Numbers at points, given as arrays of their x and of their y.
Field = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Surface:
    """A function of two numbers over a rectangle: `xs`, `ys`, and `heights` (Y, X).

    A notebook shows its contours; `svg` draws ways and gradients upon them, `save` writes that as
    an SVG file. `see.plot.landscape` takes one, too, and draws it with matplotlib.
    """

    def __init__(
        self,
        x: Sequence[float],
        y: Sequence[float],
        heights: Field,
        slopes: Field | None,
        points: int,
        labels: tuple[str, str] = ("x", "y"),
        title: str = "f",
        who: str = "surface",
    ):
        for name, ends in (("x", x), ("y", y)):
            if len(ends) != 2 or not -math.inf < ends[0] < ends[1] < math.inf:
                raise ArgumentError(f"{who}: {name} must be (lowest, highest), got {ends!r:.60}")
        self.xs, self.ys = (np.linspace(a[0], a[1], points) for a in (x, y))
        self.heights = heights(*np.meshgrid(self.xs, self.ys))
        if not np.isfinite(self.heights).any():
            raise ArgumentError(
                f"{who}: f must have a finite value in x={tuple(x)}, y={tuple(y)}, got none"
            )
        self._slopes = slopes
        self.labels, self.title = labels, title

    def gradients(self, count: int = 12) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, 2) on a grid with `count` along each axis, and ∇f (N, 2) there."""
        if self._slopes is None:
            raise ArgumentError(
                "surface: gradients are those of a function of two numbers, got a slice of a "
                "network's loss"
            )
        (x0, x1), (y0, y1) = ((a[0], a[-1]) for a in (self.xs, self.ys))
        inset = 0.5 / max(1, count)
        u = np.linspace(inset, 1 - inset, count)
        x, y = np.meshgrid(x0 + u * (x1 - x0), y0 + u * (y1 - y0))
        return np.stack([x.reshape(-1), y.reshape(-1)], axis=1), self._slopes(x, y)

    def svg(self, paths: Mapping[str, Any] | None = None, *, arrows: int = 0) -> str:
        """Contours; on them ways (T, 2) by name, and -∇f at `arrows` points along each axis.

        A way begins at its ring and ends at its dot. Arrows point downhill, where gradient descent
        goes; the lengths are those of the gradient, to one scale.
        """
        x, y = ((float(a[0]), float(a[-1])) for a in (self.xs, self.ys))
        title = f"{self.title}, and −∇f as arrows" if arrows else self.title
        title += f"; {self._missing()}" if self._missing() else ""
        chart = Chart(x, y, title, *self.labels)
        chart.contours(self.xs, self.ys, self.heights)
        chart.hatch(self.xs, self.ys, ~np.isfinite(self.heights))
        if arrows:
            tails, slopes = self.gradients(arrows)
            chart.arrows(tails, -slopes)
        for name, positions in (paths or {}).items():
            way = np.asarray(as_tensor(positions).detach().numpy(), np.float64)
            if way.ndim != 2 or way.shape[1] != 2 or not len(way):
                raise ArgumentError(f"surface: path {name!r} must be (T, 2), got {way.shape}")
            chart.line(way[:, 0], way[:, 1], name, ends=True)
        return chart.svg()

    def save(
        self,
        path: str | os.PathLike[str],
        paths: Mapping[str, Any] | None = None,
        *,
        arrows: int = 0,
    ) -> None:
        """Write what `svg` draws as a file."""
        write_whole(path, self.svg(paths, arrows=arrows).encode())

    def __repr__(self) -> str:
        finite = self.heights[np.isfinite(self.heights)]
        (x0, x1), (y0, y1) = ((number(a[0]), number(a[-1])) for a in (self.xs, self.ys))
        name = "" if self.title == "f" else f" of {self.title}"
        return (
            f"Surface{name}: {self.labels[0]} {x0} … {x1}, {self.labels[1]} {y0} … {y1}, heights "
            f"{number(float(finite.min()))} … {number(float(finite.max()))}"
            f"{f'; {self._missing()}' if self._missing() else ''}"
        )

    def _missing(self) -> str:
        """How many points have no finite height, if there are any."""
        count = int((~np.isfinite(self.heights)).sum())
        return f"not finite at {count:,} of {self.heights.size:,} points" if count else ""

    def _repr_html_(self) -> str:
        return self.svg(arrows=0 if self._slopes is None else 12)


def surface(
    f: Callable[..., Tensor],
    x: Sequence[float] = (-1.0, 1.0),
    y: Sequence[float] = (-1.0, 1.0),
    *,
    model: Module | None = None,
    directions: Sequence[Any] | None = None,
    points: int | None = None,
    seed: int = 0,
) -> Surface:
    """A function of two numbers as a surface, or the loss of a network on a plane of its weights.

    f           of two Tensors of one shape, element by element: lambda x, y: 0.1 * x**2 + 2 * y**2;
                with a model a function without arguments that returns its loss
    x, y        from where to where
    model       its weights now are the point (0, 0) of the plane
    directions  two of them, each a list of arrays like the parameters; by default two random ones
                whose filters have the norms of the model's (from `seed`)

    Where the heights are not finite, as those of a logarithm below 0, the picture is hatched.
    A network's loss is computed on a grid of `points` by `points`, by default 25 by 25. Model and
    random numbers are afterwards as before. So the loss must see the same examples every time.

    >>> valley = surface(lambda x, y: 0.1 * x**2 + 2 * y**2, x=(-5, 5), y=(-2, 2))
    >>> valley
    Surface: x −5 … 5, y −2 … 2, heights 0 … 10.5

    Source: Li, Xu, Taylor, Studer & Goldstein, "Visualizing the loss landscape of neural nets",
    NeurIPS 2018, sec. 4 (filter normalisation).
    """
    if model is None:
        if directions is not None:
            raise ArgumentError("surface: directions are those of a model's weights; give model=")
        return of_function(f, x, y, points or POINTS)
    takes(f, 0, "surface", "of a model it takes none: lambda: loss_fn(model(x), y)")
    parameters = [p for p in model.parameters() if p.requires_grad]
    plane = [_direction(d, parameters) for d in directions] if directions is not None else [
        _random_direction(parameters, np.random.default_rng([seed, i])) for i in (0, 1)
    ]  # fmt: skip
    if len(plane) != 2:
        raise ArgumentError(f"surface: there must be 2 directions, got {len(plane)}")
    origin = flat([p.array for p in parameters])
    heights = heights_on_plane(f, model, origin, *plane)
    return Surface(x, y, heights, None, points or PASSES, ("direction 1", "direction 2"), "loss")


def of_function(
    f: Callable[..., Tensor],
    x: Sequence[float],
    y: Sequence[float],
    points: int,
    who: str = "surface",
) -> Surface:
    """A function of two numbers as a surface; errors are those of `who`."""
    takes(f, 2, who, "x and y; the loss of a network goes with model=")
    return Surface(x, y, _heights_of(f, who), _slopes_of(f), points, who=who)


def takes(f: Callable[..., Any], count: int, who: str, cure: str) -> None:
    """Raise unless f can be called with `count` arguments; what has no signature may be tried."""
    if not callable(f):
        raise ArgumentError(f"{who}: f must be a function, got {type(f).__name__}; {cure}")
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*range(count))
    except TypeError:
        given = f"{count} argument{'' if count == 1 else 's'}"
        raise ArgumentError(
            f"{who}: f must take {given}, got one with the arguments {signature}; {cure}"
        ) from None


def flat(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays end to end, in float64."""
    return np.concatenate([np.asarray(a, np.float64).reshape(-1) for a in arrays])


def put(parameters: Sequence[Tensor], values: np.ndarray) -> None:
    """Give parameters their values out of one row of numbers."""
    start = 0
    for p in parameters:
        p.assign(values[start : start + p.size].reshape(p.shape).astype(p.dtype))
        start += p.size


def heights_on_plane(
    loss: Callable[[], Tensor], model: Module, origin: np.ndarray, u: np.ndarray, v: np.ndarray
) -> Field:
    """The loss of a model whose weights are origin + a u + b v, for arrays a and b."""

    def heights(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        found = np.empty(a.shape)
        for place in np.ndindex(a.shape):
            with kept(model), no_grad(), np.errstate(all="ignore"):
                parameters = [p for p in model.parameters() if p.requires_grad]
                put(parameters, origin + a[place] * u + b[place] * v)
                found[place] = number_of(loss(), "surface")
        return found

    return heights


def number_of(loss: Any, who: str) -> float:
    """The loss as a number, or an error that says what it is instead."""
    if not isinstance(loss, Tensor) or loss.size != 1:
        got = f"shape {loss.shape}" if isinstance(loss, Tensor) else type(loss).__name__
        raise ArgumentError(f"{who}: the loss must be a Tensor of one number, got {got}")
    return loss.item()


def _heights_of(
    f: Callable[..., Tensor], who: str
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def heights(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            found = f(Tensor(x), Tensor(y))
        if not isinstance(found, Tensor) or found.shape != x.shape:
            got = getattr(found, "shape", type(found).__name__)
            raise ArgumentError(
                f"{who}: f must give a value for each point, {x.shape} of them, got {got}; write "
                "it element by element"
            )
        return found.detach().numpy()

    return heights


def _slopes_of(f: Callable[..., Tensor]) -> Field:
    def slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        leaves = [Tensor(p, requires_grad=True) for p in (x, y)]
        with np.errstate(all="ignore"):
            found = grad(f(*leaves).sum(), leaves, allow_unused=True)
        parts = [np.zeros(x.size) if g is None else g.numpy().reshape(-1) for g in found]
        return np.stack(parts, axis=1)

    return slopes


def _direction(given: Any, parameters: Sequence[Tensor]) -> np.ndarray:
    arrays = [as_tensor(a).detach().numpy() for a in given]
    shapes, wanted = [a.shape for a in arrays], [p.shape for p in parameters]
    if shapes != wanted:
        raise ArgumentError(
            f"surface: a direction must have the parameters' shapes {wanted}, got {shapes}"
        )
    return flat(arrays)


def _random_direction(parameters: Sequence[Tensor], source: np.random.Generator) -> np.ndarray:
    """Random numbers, each filter with the norm of the model's; vectors, as biases, stay."""
    arrays = []
    for p in parameters:
        d = source.standard_normal(p.shape)
        if p.ndim < 2:
            d[...] = 0
        else:
            axes = tuple(range(1, p.ndim))
            norm = np.sqrt((np.asarray(p.array, np.float64) ** 2).sum(axis=axes, keepdims=True))
            d *= norm / (np.sqrt((d**2).sum(axis=axes, keepdims=True)) + 1e-10)
        arrays.append(d)
    return flat(arrays)
