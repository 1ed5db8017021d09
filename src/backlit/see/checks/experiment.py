"""What an op should return and what it does return, at several points: the material to judge."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...autograd import fit, step_back
from ...dtypes import FLOATING
from ...errors import BacklitError
from ...finite_differences import precision
from ...op import Op, describe
from ...widened import NUMPY
from .numeric import (
    _EPS,
    COARSE_STEPS,
    STEPS,
    Columns,
    measure,
    projection,
    typical_size,
)

#: Above this many elements a sample of them is measured.
LIMIT = 300

KINKS = (
    "kinks: at some elements the one-sided derivatives differ (|x| at 0, a tie); any choice "
    "between them is accepted"
)

NOT_FINITE = (
    "not finite: some elements of a value are ±∞ or NaN and have no slope; they are left out, and "
    "so are gradients that are not finite because of them"
)


@dataclass
class Trial:
    """One point: inputs, value, a random upstream gradient, and the measured Jacobians."""

    inputs: tuple[Any, ...]
    y: np.ndarray
    upstream: np.ndarray
    columns: dict[int, Columns]
    ties: bool = False
    memory: dict[Any, Any] = field(default_factory=dict)

    def want(self, k: int) -> np.ndarray:
        """The measured gradient of the measured elements of input k."""
        return self.once(("want", k), lambda: self.columns[k].pull(self.upstream))

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """What a hypothesis computes once for this point."""
        if key not in self.memory:
            self.memory[key] = compute()
        return self.memory[key]

    def smooth(self, k: int) -> np.ndarray:
        """Which measured elements of input k have a derivative."""
        return self.once(
            ("smooth", k), lambda: ~(self.columns[k].any_kink() | self.columns[k].any_unknown())
        )


def as_float64(x: Any) -> Any:
    """Floating arrays in float64, writable and contiguous; everything else as it is."""
    if isinstance(x, np.ndarray) and x.dtype in FLOATING:
        return np.array(x, np.float64)
    return x


def input_names(op: Op, inputs: Sequence[Any]) -> list[str]:
    """The name of each input: those of a variadic op are numbered."""
    names = list(op.parameters)
    if op.variadic:
        last = names.pop()
        names += [f"{last}[{i}]" for i in range(len(inputs) - len(names))]
    return names


class Experiment:
    """Measured derivatives of one op's forward, at the given point and at others near it.

    It depends on `forward` alone, so one experiment judges any number of backward bodies.
    """

    @np.errstate(all="ignore")
    def __init__(
        self,
        op: Op,
        inputs: Sequence[Any],
        *,
        seed: int = 0,
        points: int = 3,
        seconds: float = 20.0,
    ):
        self.op = op
        self.names = input_names(op, inputs)
        self.notes: list[str] = []
        given = tuple(as_float64(np.asarray(x) if isinstance(x, list) else x) for x in inputs)
        self.positions = [k for k, x in enumerate(given) if _differentiable(x)]
        rng = np.random.default_rng(seed)
        start = time.perf_counter()
        self.y = self.forward(*given)
        again = self.forward(*given)
        cost = (time.perf_counter() - start) / 2
        self.random = not np.array_equal(self.y, again, equal_nan=True)
        self.trials: list[Trial] = []
        self.precision = "float64"
        if self.random:
            self.notes.append(
                "randomness: two calls of the forward with equal inputs gave different values; "
                "make the random numbers an input, or seed the generator inside the function"
            )
            return
        held = self._held(given)
        nearby = [_jittered(given, rng, 0.1, i > 0, held) for i in range(points - 1)]
        if len(nearby) > 1 and any((given[k] == 0).any() for k in self.positions):
            nearby.append(_mirrored(given, nearby[-1]))  # so each 0 goes to both sides
        self.precision = precision(self.forward(*nearby[0]), nearby[0]) if nearby else "float64"
        self.steps: tuple[float, ...] = STEPS
        if self.precision != "float64":
            self.steps = COARSE_STEPS
            self.notes.append(
                f"low precision: the forward computes in {self.precision}, so differences are "
                f"exact to about {math.sqrt(_EPS[self.precision]):.0e} only; the bands are as wide"
            )
        columns = max(1, int(seconds / (max(cost, 1e-7) * 2 * len(self.steps) * points)))
        self._add(given, rng, columns, required=True)
        for i, point in enumerate(nearby):
            if not self._add(point, rng, columns, required=False) and i > 0:
                above = _jittered(given, rng, 0.1, True, held, upwards=True)
                self._add(above, rng, columns, required=False)
        if not np.isfinite(self.y).all():
            self.notes.append(NOT_FINITE)
        if any(c.kink.any() for t in self.trials for c in t.columns.values()):
            self.notes.append(KINKS)
        if any(c.unknown.any() for t in self.trials for c in t.columns.values()):
            self.notes.append(
                "edges: at some elements the function jumps or ends; these are left out"
            )
        for tied in _tied(given):
            self._add(tied, rng, min(columns, 64), required=False, ties=True)

    def _held(self, given: tuple[Any, ...]) -> set[int]:
        """The inputs without a derivative, which stay as they are: labels need not be numbers."""
        sent = answer(
            self.op, Trial(given, self.y, np.ones(self.y.shape), {}), np.ones(self.y.shape)
        )
        if sent.error is not None:
            return set()
        return {k for k, g in enumerate(sent.gradients) if g is None and k not in sent.misfits}

    def forward(self, *inputs: Any) -> np.ndarray:
        """The op's value, by NumPy."""
        with np.errstate(all="ignore"):
            return np.asarray(self.op.forward(NUMPY, *inputs))

    def _add(
        self,
        point: tuple[Any, ...],
        rng: np.random.Generator,
        columns: int,
        required: bool,
        ties: bool = False,
    ) -> bool:
        """Measure at a point; False if the function is another one there, or not defined."""
        try:
            y = self.forward(*point)
        except (ValueError, BacklitError, IndexError):
            if required:
                raise
            return False
        if not required and (
            y.shape != self.y.shape or (np.isfinite(y) != np.isfinite(self.y)).any()
        ):
            return False
        upstream = projection(y, rng)
        measured = {}
        for k in self.positions:
            size = point[k].size
            count = min(size, LIMIT, columns, max(16, 4_000_000 // max(y.size, 1)))
            index = np.arange(size)
            if count < size:
                index = np.sort(rng.choice(size, count, replace=False))
            measured[k] = measure(
                self.forward, point, k, index, y, self.steps, _EPS[self.precision]
            )
            movable = np.isfinite(point[k].reshape(-1)[index])  # -∞, as in a mask, is not
            measured[k].unknown[movable] &= np.isfinite(y)
            if not np.isfinite(y).all():  # what reaches nothing finite has nothing to be compared
                measured[k].unknown[~measured[k].moves()] = True
        if not ties or any(c.kink.any() for c in measured.values()):
            self.trials.append(Trial(point, y, upstream, measured, ties))
        return True


def _differentiable(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.size > 0


def _jittered(
    inputs: tuple[Any, ...],
    rng: np.random.Generator,
    amount: float,
    fill: bool,
    held: Container[int] = (),
    upwards: bool = False,
) -> tuple[Any, ...]:
    """Inputs near the given ones: each element scaled a little, those near 0 moved off if `fill`.

    What is exactly 0 goes to either side, or all of it `upwards`, where a function may be defined.
    """
    result: list[Any] = []
    for k, x in enumerate(inputs):
        if not _differentiable(x) or k in held:
            result.append(x)
            continue
        moved = x * (1 + amount * rng.uniform(-1, 1, x.shape))
        if fill:
            small = typical_size(x, 0.05)
            either = np.ones(x.shape) if upwards else _signs(x, rng)
            away = small * rng.uniform(0.5, 1, x.shape) * np.where(x == 0, either, np.sign(x))
            moved = np.where(np.abs(x) < small, moved + away, moved)
        result.append(np.asarray(moved))  # arithmetic makes a number of an array without axes
    return tuple(result)


def _mirrored(given: tuple[Any, ...], moved: tuple[Any, ...]) -> tuple[Any, ...]:
    """Moved inputs in which what was 0 has gone to the other side."""
    return tuple(
        np.where(x == 0, -m, m) if _differentiable(x) else m
        for x, m in zip(given, moved, strict=True)
    )


def _signs(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """1 and -1 in turns for what is 0, beginning with either."""
    turns = np.cumsum(x == 0).reshape(x.shape) + rng.integers(2)
    return np.where(turns % 2 == 0, 1.0, -1.0)


def _tied(inputs: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Inputs with ties, made of their own elements: where ops that choose must be fair."""
    arrays = [k for k, x in enumerate(inputs) if _differentiable(x)]
    result = []
    for k in arrays:
        x = inputs[k]
        if x.ndim and x.size > 1:
            equal = np.full_like(x, np.median(x.flat[: x.size | 1]))
            equal.flat[:: max(x.size, 3)] = x.flat[0]
            result.append(tuple(equal if i == k else v for i, v in enumerate(inputs)))
            break
    for a in arrays:
        for b in arrays:
            if a < b and inputs[a].shape == inputs[b].shape and inputs[a].size:
                same = inputs[b].copy()
                same.flat[::2] = inputs[a].flat[::2]
                result.append(tuple(same if i == b else v for i, v in enumerate(inputs)))
                return result
    return result


@dataclass
class Answer:
    """What a backward returned at one trial: fitted gradients, and those that do not fit."""

    gradients: list[np.ndarray | None]
    misfits: dict[int, np.ndarray]
    error: BaseException | None = None
    unsummed: dict[int, np.ndarray] = field(default_factory=dict)  # right only if the engine sums
    changed: str = ""  # the name of a saved array that backward wrote to


def answer(op: Op, trial: Trial, upstream: np.ndarray, saved: Any = None) -> Answer:
    """Run a backward body at one trial."""
    inputs, y = trial.inputs, trial.y
    result = Answer([None] * len(inputs), {})
    try:
        if saved is None:
            saved = op.save(inputs, y)
        held = list(_arrays(op, saved))
        before = [array.copy() for _, array in held]
        sent = upstream.copy()
        with np.errstate(all="ignore"):
            values = step_back(op, sent, saved, None, xp=NUMPY)
        for (name, new), old in zip(held, before, strict=True):
            if not np.array_equal(old, new, equal_nan=True):
                result.changed = name
                new[...] = old
        if not np.array_equal(sent, upstream):
            result.changed = "the upstream gradient"
    except Exception as error:  # whatever a user's body raises is reported, not passed on
        result.error = error
        return result
    for k, (x, g) in enumerate(zip(inputs, values, strict=False)):
        if g is None or not _differentiable(x):
            continue
        g = np.asarray(g)
        if op.sums_itself and g.shape != x.shape:
            result.unsummed[k] = g
        try:
            with np.errstate(all="ignore"):
                result.gradients[k] = np.array(fit(NUMPY, g, x), np.float64)
        except BacklitError:
            result.misfits[k] = g
        except (TypeError, ValueError) as error:
            result.error = error
            return result
    return result


def _arrays(op: Op, saved: Sequence[Any]) -> Iterator[tuple[str, np.ndarray]]:
    """The saved arrays with their names, those of a variadic input one by one."""
    for name, value in zip(op.saves, saved, strict=True):
        if isinstance(value, np.ndarray):
            yield name, value
        elif isinstance(value, tuple):
            for i, v in enumerate(value):
                if isinstance(v, np.ndarray):
                    yield f"{name}[{i}]", v


def signature(op: Op, inputs: Sequence[Any]) -> str:
    """`matmul(a: float64[2,3], b: float64[3,4])`."""
    names = input_names(op, inputs)
    text = ", ".join(f"{n}: {describe(x)}" for n, x in zip(names, inputs, strict=False))
    return f"{op!r}({text})" if not op.attributes else f"{op!r} of ({text})"
