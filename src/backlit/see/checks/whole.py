"""Are the gradients of a whole function right? Measured along directions, at points off its kinks.

A wrong gradient is wrong nearby, too. So where the whole differs from the slopes at the given point
it is compared at points near it: what is right there was a choice at a kink, which no one blames.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import tree
from ...array_api import concat, reshape
from ...autograd import grad, parameters_of
from ...dtypes import FLOATING, float64
from ...errors import ArgumentError, BacklitError
from ...finite_differences import precision
from ...nn.keeping import state_of
from ...nn.module import Module
from ...op import describe
from ...ops.elementwise import Where
from ...ops.indexing import Take
from ...random import default_generator
from ...state import observing
from ...tensor import Tensor, wrap
from ..records.from_block import Call
from .compare import Finding
from .held import global_random_states, put_global_random_states
from .numeric import _EPS, COARSE_STEPS, along, bends, projection, stairs, typical_size

SCREEN_STEPS = (1e-4, 1e-5, 1e-6)
#: Where a function rises in stairs.
_WIDE_STEPS = (10.0, 3.0, 1.0, 0.3, 0.1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4)
#: A slope that is less than this part of the values, over the leaf's own size, counts as none.
_BARELY = 1e-6
#: Stairs up to this part of the values are from rounding, and a gradient up to so many times the
#: values is no slope of a swing between two steps.
_LOW, _STEEP = 0.03, 1e3
#: Where these disagree with the gradient: for kinks that are near, and for values that are large.
_MORE_STEPS = (1e-2, 1e-3, *SCREEN_STEPS, 1e-7, 1e-8, 1e-9)
#: How far the leaves are moved to get off a kink, of their root mean square.
_MOVES = (1e-3, 1e-2, 0.1)

#: Why a leaf cannot be judged at a point, in words.
REASONS = {
    "kink": (
        "the function has a kink at the given point and at all that were tried near it: its slopes "
        "to the two sides differ there, and any choice between them is right"
    ),
    "rounding": (
        "the steps are lost in rounding: the function changes over distances too small beside the "
        "size of its values for a slope to be measured; check it at smaller values, as with an "
        "offset taken off"
    ),
    "slope": (
        "the slope is infinite at the given point, or the function ends there, and at all that "
        "were tried near it; check it at a point inside its domain"
    ),
}

#: The same where a point near the given one could be judged.
AT_THE_POINT = {
    "kink": "kinks: the function has one at the given point (x at 0, a tie)",
    "rounding": "rounding: the slope at the given point is lost in it",
    "slope": "edges: at the given point the slope is infinite, or the function ends there",
}


class Run:
    """A function of fixed inputs that gives the same output whenever it is called: the state of
    modules and the random generators, NumPy's and Python's too, are put back before each call.
    """

    def __init__(self, function: Callable[..., Any], inputs: Sequence[Any], modules: list[Module]):
        self.function = function
        self.inputs = list(inputs)
        self.generator = default_generator()
        self.random = self.generator.state_dict()
        self.others = global_random_states()
        self.put_back = state_of(m for outer in modules for m in outer.modules())

    def __call__(self) -> Tensor:
        """The output for the fixed inputs; several, in a tuple, list or dict, as one vector."""
        self.restore()
        y = self.function(*self.inputs)
        if isinstance(y, Tensor):
            return y
        found = [v for v in tree.flatten(y)[0] if isinstance(v, Tensor) and v.dtype in FLOATING]
        if not found:
            raise ArgumentError(
                f"check: the function must return floating Tensors, got {type(y).__name__}; "
                "return what is to be differentiated"
            )
        with observing(alone=True):
            return concat([reshape(v, (-1,)) for v in found])

    def restore(self) -> None:
        """Put the state of modules and the generators back."""
        self.generator.load_state_dict(self.random)
        put_global_random_states(self.others)
        self.put_back()


@dataclass
class Difference:
    """A leaf whose gradient is not the measured slope along a direction."""

    name: str
    finding: Finding
    why: str  # what at this very point may be the reason: one of REASONS, or ""
    vague: bool  # the band is as wide as what is measured


class Whole:
    """The whole function of its leaves, to be measured at one point after the other."""

    def __init__(
        self,
        run: Run,
        leaves: list[tuple[str, Tensor]],
        seen: list[Call],
        rng: np.random.Generator,
    ):
        self.run, self.leaves, self.rng = run, leaves, rng
        self.hindrance = "slope"  # why the points near the given one do not tell
        self.skipped: dict[str, int] = {}  # gradients that outputs of ±∞ or NaN make so, by leaf
        self.stopped = _stopped_on_purpose(seen)
        self.precision = _coarsest(seen)
        self.largest = _largest(seen)
        exact = self.precision == "float64"
        self.ladders = (SCREEN_STEPS, _MORE_STEPS) if exact else (COARSE_STEPS,)

    def differences(self, y: Tensor) -> list[Difference]:
        """The leaves whose gradients differ from the slopes here, where the output is y."""
        upstream = projection(y.array, self.rng)
        gradients: dict[int, Any] = {}
        if y.requires_grad:
            tracked = [leaf for _, leaf in self.leaves if leaf.requires_grad]
            seed = wrap(upstream.astype(y.dtype))
            found = grad(y, tracked, seed, retain_graph=True, allow_unused=True)
            gradients = {id(t): g for t, g in zip(tracked, found, strict=True)}
        differences = []
        for name, leaf in self.leaves:
            g = gradients.get(id(leaf))
            gradient = None if g is None else g.array
            difference = self._difference(name, leaf, gradient, upstream, y.array)
            if difference is not None:
                differences.append(difference)
        return differences

    def _difference(
        self,
        name: str,
        leaf: Tensor,
        gradient: np.ndarray | None,
        upstream: np.ndarray,
        y: np.ndarray,
    ) -> Difference | None:
        epsilon, exact = _EPS[self.precision], self.precision == "float64"
        size = np.maximum(np.abs(leaf.array), max(typical_size(leaf.array), 1e-2))
        direction = self.rng.standard_normal(leaf.shape) * size
        direction = np.where(self.stopped.get(id(leaf), False), 0.0, direction)
        direction = np.where(np.isfinite(leaf.array), direction, 0.0)  # -∞ cannot be moved
        if gradient is not None and not upstream.all():  # 0 · ∞ of outputs that are left out
            lost = ~np.isfinite(gradient) & np.isfinite(leaf.array)
            direction = np.where(lost, 0.0, direction)
            if lost.any():
                self.skipped[name] = int(lost.sum())
        terms = np.zeros(leaf.shape) if gradient is None else gradient * direction
        terms = np.where(direction == 0, 0.0, terms)
        got = float(np.sum(terms))
        forward, fits = self._of(leaf), False
        for steps in self.ladders:
            where = ([leaf.array], {0: direction}, upstream, steps, epsilon)
            measured, band = along(forward, *where)
            norm = float(np.sqrt(np.sum(terms * terms))) + abs(measured)
            finding = _finding(name, leaf, got, measured, band)
            if abs(got - measured) <= max(1e-4 * norm + 10 * band, 1e-12):
                vague = 10 * band > 0.5 * norm
                if not exact:
                    return Difference(name, finding, "", True) if vague else None
                total = float(np.sum(np.abs(upstream[upstream != 0] * y[upstream != 0])))
                if not vague or band <= max(_BARELY * total, 1e-12):
                    return None
                fits = True
        if exact:
            height, total = stairs(forward, [leaf.array], {0: direction}, upstream)
            rounded = 8 * epsilon * self.largest * float(np.sum(np.abs(upstream)))
            if 0 < height <= max(_LOW * total, rounded):  # higher ones are a function's, as floor's
                noise = height / max(total, 1e-300)
                rough = along(forward, [leaf.array], {0: direction}, upstream, _WIDE_STEPS, noise)
                return self._on_stairs(name, leaf, got, terms, rough, total)
        why = self._why(got, measured, band, forward, where)
        return Difference(name, finding, why or ("rounding" if fits else ""), False)

    def _on_stairs(
        self,
        name: str,
        leaf: Tensor,
        got: float,
        terms: np.ndarray,
        rough: tuple[float, float],
        total: float,
    ) -> Difference | None:
        """The verdict by steps that are wide beside the stairs that rounding makes."""
        measured, band = rough
        norm = float(np.sqrt(np.sum(terms * terms))) + abs(measured)
        finding, off = _finding(name, leaf, got, measured, band), abs(got - measured)
        if off <= 1e-4 * norm + 10 * band:
            return Difference(name, finding, "", True) if 10 * band > 0.5 * norm else None
        steep = not off <= _STEEP * (abs(measured) + total)
        return Difference(name, finding, "rounding" if steep else "", False)

    def _why(self, got: float, measured: float, band: float, forward: Any, where: Any) -> str:
        """Why the slope at this point may tell nothing of the gradient, or ""."""
        if not np.isfinite(measured) or not np.isfinite(band):
            return "slope"
        bent = bends(forward, *where)
        if bent and not np.isfinite(got):
            return "slope"
        if bent and band > 0.1 * abs(measured):
            return "rounding"
        return "kink" if bent else ""

    def _of(self, leaf: Tensor) -> Callable[[np.ndarray], np.ndarray]:
        def forward(array: np.ndarray) -> np.ndarray:
            held = leaf.array
            try:
                leaf.array = array
                return self.run().array
            finally:
                leaf.array = held

        return forward

    def off_the_kinks(self) -> tuple[list[Difference], float] | None:
        """The differences at a point near the given one that is on no kink, and how far away it is
        of the leaves' sizes; None if there is none.
        """
        held = [leaf.array for _, leaf in self.leaves]
        finite = np.isfinite(self.run().array)
        try:
            for amount, outwards in itertools.product(_MOVES, (False, True)):
                for (_, leaf), array in zip(self.leaves, held, strict=True):
                    away = amount * typical_size(array) * self.rng.uniform(-1, 1, array.shape)
                    away = np.copysign(away, array) if outwards else away
                    leaf.array = array + away
                try:
                    y = self.run()
                except BacklitError:
                    continue  # outside the domain
                if not (np.isfinite(y.array) >= finite).all() or not finite.any():
                    continue
                differences = self.differences(y)
                hindered = next((d.why for d in differences if d.why), "")
                if not hindered:
                    return differences, amount
                self.hindrance = hindered
        finally:
            for (_, leaf), array in zip(self.leaves, held, strict=True):
                leaf.array = array
        return None


def _coarsest(seen: list[Call]) -> str:
    """The lowest precision that an op of the user's own computes in, whatever it is given."""
    names = {
        precision(np.asarray(a.array), a.arrays)
        for a in seen
        if not type(a.op).__module__.startswith("backlit.") and a.y.dtype in FLOATING
    }
    return max(names | {"float64"}, key=_EPS.__getitem__)


def _largest(seen: list[Call]) -> float:
    """The largest finite size of any value inside."""
    values = (np.abs(a.y.array) for a in seen if a.y.dtype in FLOATING)
    return max((float(np.max(v, initial=0.0, where=np.isfinite(v))) for v in values), default=0.0)


def _stopped_on_purpose(seen: list[Call]) -> dict[int, np.ndarray]:
    """By leaf: which elements get no gradient by declaration, as an embedding's padding row.

    It reads off where(mask, y.detach(), y): the value is y's in any case, so all that such a choice
    can be for is to stop the gradient. y is looked up in a leaf.
    """
    looked_up = {id(a.y): a for a in seen if isinstance(a.op, Take)}
    stopped: dict[int, np.ndarray] = {}
    for a in seen:
        if not isinstance(a.op, Where) or not all(isinstance(x, Tensor) for x in a.inputs):
            continue
        mask, cut, kept = a.inputs
        source = looked_up.get(id(kept))
        if source is None or cut.requires_grad or cut.array is not kept.array:
            continue
        leaf, indices = source.inputs
        if getattr(source.op, "axis", None) != 0:
            continue
        rows = indices.array[np.broadcast_to(mask.array[..., 0], indices.shape)]
        stopped.setdefault(id(leaf), np.zeros(leaf.shape, bool))[rows] = True
    return stopped


def _finding(name: str, leaf: Tensor, got: float, measured: float, band: float) -> Finding:
    text = f"along a random direction: got {got:.6g}, should be {measured:.6g} ± {band:.1g}"
    return Finding(0, name, leaf.size, leaf.size, text)


def leaves_of(y: Tensor, inputs: list[Any], function: Any) -> list[tuple[str, Tensor]]:
    """Names and Tensors of the floating inputs and of the parameters behind the output."""
    found: dict[int, tuple[str, Tensor]] = {}
    alone = len(inputs) == 1 and isinstance(inputs[0], Tensor)
    for i, x in enumerate(inputs):
        flat, structure = tree.flatten(x)
        names = ["the input"] if alone else tree.paths(structure, f"input {i}")
        for name, t in zip(names, flat, strict=True):
            if isinstance(t, Tensor) and t.requires_grad:
                found[id(t)] = (name, t)
    modules = [function] if isinstance(function, Module) else getattr(function, "modules", [])
    for module in modules:
        for name, p in module.named_parameters():
            if p.requires_grad:
                found[id(p)] = (name, p)
    if y.requires_grad and y.node is not None:
        for leaf in parameters_of([y]):
            found.setdefault(id(leaf), (leaf.name or describe(leaf), leaf))
    return [(n, t) for n, t in found.values() if t.size and t.dtype == float64]


def cuts(seen: list[Call], leaves: list[Tensor]) -> list[tuple[str, Call]]:
    """Where an op used the value of a Tensor on the tape without being linked to it."""
    made: list[Call] = []
    found: list[tuple[str, Call]] = []
    for a in seen:
        for x in a.inputs:
            if not isinstance(x, Tensor) or x.requires_grad or x.size == 0:
                continue
            for earlier in reversed(made):
                if earlier.y.requires_grad and _same(x.array, earlier.array):
                    found.append((f"{earlier.op.name} ({earlier.where})", a))
                    break
            else:
                if any(_same(x.array, leaf.array) for leaf in leaves):
                    found.append(("the input", a))
        made.append(a)
    for a in seen:  # computed under no_grad from something that has a gradient
        if not a.y.requires_grad and a.op.differentiable and any(
            isinstance(x, Tensor) and x.requires_grad for x in a.inputs
        ):  # fmt: skip
            found.append((f"{a.op.name}, under no_grad", a))
    return found


def _same(a: Any, b: Any) -> bool:
    if a is b or (a.size and np.shares_memory(a, b)):
        return True
    return a.shape == b.shape and a.size > 1 and np.array_equal(a, b) and bool(np.ptp(a))
