"""The ways of several optimizers from one start, down a function or a network's loss."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ...array_api.arguments import whole
from ...errors import ArgumentError
from ...files import write_whole
from ...nn import Module
from ...nn.keeping import kept
from ...optim import Optimizer
from ...table import Table
from ...tensor import Tensor
from ..records.value import number
from ..show.charts import Chart
from ..show.notebook import MONO
from ..show.page import plain
from .surface import PASSES, Surface, flat, heights_on_plane, number_of, surface, takes
from .update import Update, taken_apart

Make = Callable[[Iterable[Tensor]], Optimizer]
#: Numbers that all ways together may hold.
HELD = 2**27


@dataclass
class Way:
    """One optimizer's way: `positions` (T + 1, n), `losses` (T + 1), and the `gradients` (T, n).

    `ended` says why it ended before its last step, if it did.
    """

    positions: np.ndarray
    losses: np.ndarray
    gradients: np.ndarray
    ended: str = ""
    make: Make | None = field(default=None, repr=False)


class Descent:
    """What several optimizers did from one start: see `descend`. `ways` has them by name.

    Prints as a table; a notebook shows the ways, the losses, and the numbers of the steps.
    """

    def __init__(
        self,
        ways: dict[str, Way],
        names: Sequence[str],
        shapes: Sequence[tuple[int, ...]],
        dtypes: Sequence[Any],
        f: Callable[..., Tensor],
        model: Module | None,
    ):
        self.ways = ways
        self._names, self._shapes, self._dtypes = list(names), list(shapes), list(dtypes)
        self._f, self._model = f, model
        self._surface: tuple[Surface, dict[str, np.ndarray]] | None = None
        self._directions: tuple[np.ndarray, np.ndarray, float] | None = None

    # -- single steps -------------------------------------------------------------------------

    def update(
        self,
        name: str,
        step: int,
        element: int | Sequence[int] | None = None,
        parameter: str | None = None,
    ) -> Update:
        """One step of an optimizer with every line of its rule: see `see.update`.

        The steps before it are done again, from their gradients. Of a network `parameter` names one
        of its parameters, by default the first.
        """
        way = self._way(name)
        step = whole("update: step", step)
        if not 1 <= step <= len(way.gradients):
            raise ArgumentError(
                f"update: {name} has steps from 1 to {len(way.gradients)}, got {step}"
            )
        place = 0 if parameter is None else self._place(parameter)
        leaves = self._leaves(way.positions[0])
        assert way.make is not None
        optimizer = way.make(leaves)
        for gradients in way.gradients[: step - 1]:
            for p, g in zip(leaves, self._parts(gradients), strict=True):
                p.grad = Tensor(g)
            optimizer.step()
        gradient = self._parts(way.gradients[step - 1])[place]
        if optimizer._own_step():
            raise ArgumentError(
                f"update: {type(optimizer).__name__} must have an update for one parameter, but "
                "has a step of its own"
            )
        found = taken_apart(optimizer, leaves[place], gradient, element, self._names[place])
        if self._model is None:
            found.label = self._names[found.index[0]]
        return found

    def steps(
        self,
        name: str,
        element: int | Sequence[int] | None = None,
        parameter: str | None = None,
        first: int = 1,
        last: int = 10,
    ) -> Table:
        """The steps of an optimizer for one number, one in a row: g, the state, the step, θ.

        By default it is that with the largest gradient in the first of these steps.
        """
        way = self._way(name)
        rows: list[list[Any]] = []
        headings = ["t"]
        for t in range(max(1, first), min(last, len(way.gradients)) + 1):
            found = self.update(name, t, element, parameter)
            element = found.index
            names = ["g", *found.state_after, *(a.hat for a in found.averages), "step", "θ"]
            headings = ["t", *names]
            rows.append([t, *(number(found.element(n), 5) for n in names)])
        return Table(headings, rows, f"{found.label}" if rows else "")

    def side_by_side(
        self,
        step: int = 1,
        element: int | Sequence[int] | None = None,
        parameter: str | None = None,
    ) -> Table:
        """One step of all optimizers for one number, one in a row: g, the state, the step, θ.

        Corrected are the averages in the state. A way that has ended before, and a rule with a step
        of its own, is left out.
        """
        rows: list[list[str]] = []
        label = ""
        for name, way in self.ways.items():
            if not 1 <= step <= len(way.gradients) or self._is_own(way):
                continue
            found = self.update(name, step, element, parameter)
            element, label = found.index, found.label
            state = ", ".join(f"{n} {number(found.element(n))}" for n in found.state_after)
            corrected = ", ".join(f"{a.hat} {number(a.corrected)}" for a in found.averages)
            numbers = [number(found.element(n), 5) for n in ("g", "step", "θ")]
            rows.append([name, numbers[0], state, corrected, *numbers[1:]])
        headings = [f"step {step} of {label}", "g", "state", "corrected", "step", "θ"]
        return Table(headings, rows)

    def _way(self, name: str) -> Way:
        if name not in self.ways:
            raise ArgumentError(f"descend: there are {', '.join(self.ways)}, got {name!r}")
        return self.ways[name]

    def _place(self, parameter: str) -> int:
        if parameter not in self._names:
            raise ArgumentError(
                f"update: the parameters are {', '.join(self._names)}, got {parameter!r}"
            )
        return self._names.index(parameter)

    def _parts(self, row: np.ndarray) -> list[np.ndarray]:
        ends = np.cumsum([math.prod(s) for s in self._shapes])[:-1]
        parts = np.split(row, ends)
        return [
            p.reshape(s).astype(d)
            for p, s, d in zip(parts, self._shapes, self._dtypes, strict=True)
        ]

    def _leaves(self, row: np.ndarray) -> list[Tensor]:
        return [Tensor(p, requires_grad=True) for p in self._parts(row)]

    # -- pictures -----------------------------------------------------------------------------

    def surface(
        self, x: Sequence[float] | None = None, y: Sequence[float] | None = None
    ) -> Surface:
        """The surface under the ways: of a function of two numbers, or of a network in a plane.

        That plane holds the end of the way that got lowest, and the two directions in which the
        ways go furthest (their principal components). Without x and y all ways lie inside.
        """
        return self._drawn(x, y)[0]

    @property
    def in_plane(self) -> float:
        """Of a network: the share of all movement that lies in the plane of the picture."""
        return 1.0 if self._model is None else self._plane()[2]

    def paths(self) -> dict[str, np.ndarray]:
        """The ways as points (T + 1, 2) on the surface; of a network their projections on it."""
        return self._drawn(None, None)[1]

    def _drawn(self, x: Any, y: Any) -> tuple[Surface, dict[str, np.ndarray]]:
        if x is None and y is None and self._surface is not None:
            return self._surface
        if self._model is None and self._shapes != [(2,)]:
            raise ArgumentError(
                "descend: a surface needs a function of 2 numbers or a model, got "
                f"{self._shapes[0][0]} numbers"
            )
        if self._model is None:
            paths = {n: w.positions for n, w in self.ways.items()}
            spans = _spans(paths, self.ways)
            found = surface(self._f, x or spans[0], y or spans[1])
        else:
            origin, plane, share = self._plane()
            paths = {n: (w.positions - origin) @ plane.T for n, w in self.ways.items()}
            spans = _spans(paths, self.ways)
            heights = heights_on_plane(self._f, self._model, origin, *plane)
            labels = ("direction 1", "direction 2")
            title = f"loss; the plane holds {_percent(share)} of the movement"
            found = Surface(x or spans[0], y or spans[1], heights, None, PASSES, labels, title)
        if x is None and y is None:
            self._surface = found, paths
        return found, paths

    def _plane(self) -> tuple[np.ndarray, np.ndarray, float]:
        """A point of the plane, its two directions, and the share of all movement in it."""
        if self._directions is not None:
            return self._directions
        best = min(self.ways.values(), key=lambda w: _or_infinite(w.losses[-1]))
        origin = best.positions[-1]
        moves = np.concatenate([w.positions - origin for w in self.ways.values()])
        moves = moves[np.isfinite(moves).all(axis=1)]
        # The principal components by way of the small matrix (T, T).
        values, vectors = np.linalg.eigh(moves @ moves.T)
        plane = vectors[:, ::-1][:, :2].T @ moves
        norms = np.linalg.norm(plane, axis=1, keepdims=True)
        total = float(np.maximum(values, 0).sum())
        share = min(float(np.maximum(values[-2:], 0).sum()) / total, 1.0) if total else 1.0
        self._directions = origin, plane / np.where(norms > 0, norms, 1.0), share
        return self._directions

    def svg(self, *, arrows: int = 0) -> str:
        """The ways on the surface; of a function of other than 2 numbers the losses."""
        if self._model is None and self._shapes != [(2,)]:
            return self.losses_svg()
        found, paths = self._drawn(None, None)
        return found.svg(paths, arrows=arrows)

    def losses_svg(self) -> str:
        """The losses over the steps."""
        values = np.concatenate([w.losses for w in self.ways.values()])
        values = values[np.isfinite(values)]
        low, high = float(values.min()), float(values.max())
        logarithmic = low > 0 and high > 20 * low
        length = max(len(w.losses) for w in self.ways.values()) - 1
        title = f"{'f' if self._model is None else 'loss'} at each step"
        span = (0, max(1, length))
        chart = Chart(span, (low, high), title, "step", logarithmic=logarithmic, whole=True)
        for name, way in self.ways.items():
            last = number(float(way.losses[-1]), 3)
            chart.line(range(len(way.losses)), way.losses, f"{name}: {last}")
        return chart.svg()

    def html(self) -> str:
        """The pictures, and for each optimizer its first steps and the lines of one of them."""
        pictures = [self.losses_svg()]
        if self._model is not None or self._shapes == [(2,)]:
            pictures.insert(0, self.svg())
        parts = "".join(f'<div style="flex:1 1 330px;min-width:0">{p}</div>' for p in pictures)
        flex = "display:flex;flex-wrap:wrap;gap:10px"
        text = [f'<div style="{flex}">{parts}</div>', _pre(str(self))]
        if any(len(w.gradients) and not self._is_own(w) for w in self.ways.values()):
            text.append(_pre(str(self.side_by_side())))
        for name, way in self.ways.items():
            if way.gradients.shape[0] and way.make is not None and not self._is_own(way):
                inner = f"{self.steps(name)}\n\n{self.update(name, min(2, len(way.gradients)))}"
                text.append(f"<details><summary>{escape(name)}</summary>{_pre(inner)}</details>")
        return "".join(text)

    def _is_own(self, way: Way) -> bool:
        assert way.make is not None
        return way.make(self._leaves(way.positions[0]))._own_step()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture as a file .svg, or everything as a page .html that fetches nothing."""
        kind = Path(path).suffix.lower()
        if kind not in (".svg", ".html"):
            raise ArgumentError(f"save: the name must end in .svg or .html, got {path}")
        text = self.svg() if kind == ".svg" else plain(self.html(), "Ways of optimizers")
        write_whole(path, text.encode())

    def __str__(self) -> str:
        length = max(len(w.losses) for w in self.ways.values()) - 1
        marks = {0, 1, 2, 3, *(round(length * i / 4) for i in range(1, 5))}
        shown = [t for t in sorted(marks) if t <= length]
        rows = [
            [name, *(number(float(w.losses[t]), 3) if t < len(w.losses) else "" for t in shown)]
            + ([_at(w.positions[-1])] if w.positions.shape[1] <= 3 else [])
            for name, w in self.ways.items()
        ]
        headings = ["f at step" if self._model is None else "loss at step", *map(str, shown)]
        headings += ["ends at"] if len(rows[0]) > len(headings) else []
        notes = [f"{n}: {w.ended}" for n, w in self.ways.items() if w.ended]
        return str(Table(headings, rows, "\n".join(notes)))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<div>{self.html()}</div>"


def _pre(text: str) -> str:
    return f'<pre style="overflow-x:auto;margin:8px 0;{MONO}">{escape(text)}</pre>'


def _at(position: np.ndarray) -> str:
    return f"({', '.join(number(float(v), 3) for v in position)})"


def _percent(share: float) -> str:
    """A share in percent, rounded down where more digits would be nines: never all if it is not.

    >>> _percent(0.254), _percent(0.9953), _percent(0.99999), _percent(1.0)
    ('25 %', '99.5 %', 'above 99.9 %', '100 %')
    """
    if share < 0.99 or share == 1:
        return f"{math.floor(100 * share + 0.5)} %"
    tenths = math.floor(1000 * share)
    return "above 99.9 %" if tenths == 999 and share > 0.999 else f"{tenths / 10:.1f} %"


def _or_infinite(x: float) -> float:
    return x if math.isfinite(x) else math.inf


def _spans(paths: Mapping[str, np.ndarray], ways: Mapping[str, Way]) -> list[tuple[float, float]]:
    """What the axes span so that the ways lie inside, except where one flies off.

    That is further from the lowest point than three times the distance of the start.
    """
    points = np.concatenate([paths[n] for n in ways])
    losses = np.concatenate([w.losses for w in ways.values()])
    lowest = points[int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))]
    reach = 3 * float(np.abs(points[0] - lowest).max()) or float(np.abs(lowest).max()) or 1.0
    near = points[(np.abs(points - lowest) <= reach).all(axis=1)]
    low, high = near.min(axis=0), near.max(axis=0)
    room = 0.12 * np.maximum(high - low, 0.25 * float((high - low).max()) or reach)
    return [(float(a), float(b)) for a, b in zip(low - room, high + room, strict=True)]


def descend(
    f: Callable[..., Tensor],
    start: Sequence[float] | Module,
    optimizers: Mapping[str, Make],
    steps: int = 50,
) -> Descent:
    """Let several optimizers go down the same function from the same start.

    f           of as many numbers as `start` has: lambda x, y: 0.1 * x**2 + 2 * y**2; for a model
                a function without arguments that returns its loss
    start       numbers, or a model, whose weights now are the start; it is afterwards as before
    optimizers  by name, functions that make one of parameters: {"Adam": lambda p: Adam(p, lr=0.1)}

    Random numbers begin the same for each, so dropout and the like do not tell them apart. A way
    ends where the loss is not finite.

    >>> from backlit import optim
    >>> made = {
    ...     "SGD": lambda p: optim.SGD(p, lr=0.4),
    ...     "momentum": lambda p: optim.SGD(p, lr=0.4, momentum=0.5),
    ... }
    >>> found = descend(lambda x, y: 0.1 * x**2 + 2 * y**2, (-5, 2), made, steps=20)
    >>> found
    f at step  0     1  2     3     5      10      15       20        ends at
    ---------  ----  -  ----  ----  -----  ------  -------  --------  ------------------
    SGD        10.5  5  2.83  1.89  1.13   0.472   0.205    0.089     (−0.943, 7.31e−5)
    momentum   10.5  5  3.17  2.12  0.834  0.0573  0.00528  0.000398  (−0.0628, −0.0012)
    >>> print(found.update("momentum", 2, 0))
    SGD, step 2, x
      g = −0.92
      v ← μ·v + g = 0.5·(−1) + (−0.92) = −1.42
      θ ← θ − lr·v = −4.6 − 0.4·(−1.42) = −4.032
      step 0.568 = −0.6174 · g
    """
    steps = whole("descend: steps", steps)
    if not isinstance(optimizers, Mapping) or not optimizers:
        raise ArgumentError(
            "descend: optimizers must be functions by name, such as "
            '{"SGD": lambda p: optim.SGD(p, lr=0.1)}, got '
            f"{'none' if isinstance(optimizers, Mapping) else type(optimizers).__name__}"
        )
    if isinstance(start, Module):
        return _of_model(f, start, optimizers, steps)
    first = np.asarray(start, np.float64)
    if first.ndim != 1 or not first.size:
        raise ArgumentError(f"descend: start must be numbers in a row, got shape {first.shape}")
    takes(f, first.size, "descend", "as many numbers as start has")
    ways = {}
    for name, make in optimizers.items():
        p = Tensor(first.copy(), requires_grad=True)
        ways[name] = _way(partial(_of_numbers, f, p), [p], make, steps)
    letters = "xyz"[: len(first)] if len(first) <= 3 else [f"x{i}" for i in range(len(first))]
    return Descent(ways, letters, [first.shape], [np.float64], f, None)


def _of_numbers(f: Callable[..., Tensor], p: Tensor) -> Tensor:
    return f(*(p[i] for i in range(p.size)))


def _of_model(
    loss: Callable[[], Tensor], model: Module, optimizers: Mapping[str, Make], steps: int
) -> Descent:
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    parameters = [p for _, p in named]
    count = sum(p.size for p in parameters) * (2 * steps + 1) * len(optimizers)
    if count > HELD or not parameters:
        raise ArgumentError(
            f"descend: all ways together must have at most {HELD:,} numbers, at least one, got "
            f"{count:,}; take fewer steps, or a smaller model"
        )
    takes(loss, 0, "descend", "of a model it takes none: lambda: loss_fn(model(x), y)")
    ways = {}
    for name, make in optimizers.items():
        with kept(model):
            ways[name] = _way(loss, parameters, make, steps)
    names, shapes = [n for n, _ in named], [p.shape for p in parameters]
    return Descent(ways, names, shapes, [p.dtype for p in parameters], loss, model)


def _way(loss: Callable[[], Tensor], parameters: Sequence[Tensor], make: Make, steps: int) -> Way:
    optimizer = make(iter(parameters))
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError(
            "descend: each function must return an optimizer of backlit.optim, got "
            f"{type(optimizer).__name__}"
        )
    positions, losses, gradients, ended = [], [], [], ""
    for t in itertools.count():
        optimizer.zero_grad()
        with np.errstate(all="ignore"):
            value = loss()
        losses.append(number_of(value, "descend"))
        positions.append(flat([p.array for p in parameters]))
        if not math.isfinite(losses[-1]):
            ended = f"its loss was {number(losses[-1])} after step {t}"
            break
        if t == steps:
            break
        with np.errstate(all="ignore"):
            value.backward()
        missing = [np.zeros(p.shape) if p.grad is None else p.grad.numpy() for p in parameters]
        gradients.append(flat(missing))
        with np.errstate(all="ignore"):
            optimizer.step(_closure(optimizer, loss))
    n = len(positions[0])
    grads = np.array(gradients) if gradients else np.zeros((0, n))
    return Way(np.array(positions), np.array(losses), grads, ended, make)


def _closure(optimizer: Optimizer, loss: Callable[[], Tensor]) -> Callable[[], Tensor] | None:
    """The closure that rules with a step of their own ask for; others have the gradient already."""
    if not optimizer._own_step():
        return None

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    return closure
