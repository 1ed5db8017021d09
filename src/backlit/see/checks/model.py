"""The check of a whole function, layer or model: every node on its own, then the whole.

Each op that was applied is compared with differences of its own forward, in float64, at the values
it had: a wrong backward is found where it is, however deep the model. If all nodes are right and
the whole is still wrong, some path never reached the tape, and the place where it was cut is named.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autograd import enable_grad, grad, parameters_of
from ...backend import numpy_backend as NUMPY
from ...dtypes import FLOATING, float64
from ...errors import ArgumentError, BacklitError
from ...nn.keeping import state_of
from ...nn.module import Module
from ...op import describe
from ...ops.elementwise import Where
from ...ops.indexing import Take
from ...random import default_generator
from ...tensor import Tensor, as_tensor, wrap
from ..records.from_block import Call, recording
from .case import Cause
from .experiment import Experiment, Finding, Trial, answer, as_float64
from .judge import judge
from .numeric import _EPS, COARSE_STEPS, along, bends
from .report import CORRECT, UNDECIDED, WRONG, CheckResult

_SCREEN_STEPS = (1e-4, 1e-5, 1e-6)
#: A directional derivative agrees if it is off by at most this much of its terms' norm.
_SCREEN = 1e-5
#: How far the leaves are moved to get off a kink, of their root mean square.
_MOVES = (1e-3, 1e-2, 0.1, 0.1)


@contextlib.contextmanager
def in_float64(modules: Sequence[Module]) -> Iterator[None]:
    """Parameters and buffers in float64; afterwards everything is as it was."""
    held: list[tuple[Tensor, Any]] = []
    for module in modules:
        for _, t in (*module.named_parameters(), *module.named_buffers()):
            held.append((t, t.array))
            if t.dtype in FLOATING:
                t.array = t.array.astype(float64)
    try:
        yield
    finally:
        for t, array in held:
            t.array = array


class Run:
    """A function of fixed inputs that gives the same output whenever it is called: the state of
    modules and the random generator are put back before each call.
    """

    def __init__(self, function: Callable[..., Any], inputs: Sequence[Any], modules: list[Module]):
        self.function = function
        self.inputs = list(inputs)
        self.generator = default_generator()
        self.random = self.generator.state_dict()
        self.put_back = state_of(m for outer in modules for m in outer.modules())

    def __call__(self) -> Tensor:
        """The output for the fixed inputs."""
        self.restore()
        y = self.function(*self.inputs)
        if not isinstance(y, Tensor):
            raise ArgumentError(
                f"check: the function must return one Tensor, got {type(y).__name__}; "
                "return one of them, or their sum"
            )
        return y

    def restore(self) -> None:
        """Put the state of modules and the generator back."""
        self.generator.load_state_dict(self.random)
        self.put_back()


def check_function(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    *,
    name: str,
    modules: list[Module],
    seed: int = 0,
    seconds: float = 60.0,
) -> CheckResult:
    """Check every node of one call, then the gradients of the whole."""
    result = CheckResult(name)
    leaves = [_leaf(x) for x in inputs]
    with in_float64(modules), enable_grad():
        run = Run(function, leaves, modules)
        try:
            with recording() as watched:
                y = run()
            seen = watched.calls
            if not np.array_equal(y.array, run().array, equal_nan=True):
                result.verdict = UNDECIDED
                result.notes.append(
                    "randomness: two calls with equal inputs and the same seed gave different "
                    "values; draw random numbers from backlit.random"
                )
                return result
            if not np.array_equal(run.generator.counter.array, run.random["counter"].array):
                result.notes.append("randomness: the same random numbers were used in every call")
            result.nodes = _check_nodes(seen, seed, seconds)
            for node in result.nodes:
                result.compared += node.compared
                result.notes += [n for n in node.notes if n not in result.notes]
            if result.wrong:
                first = result.wrong[0]
                result.verdict = WRONG
                result.line = first.line
                result.causes = first.causes
                result.findings = first.findings
                return result
            _check_whole(run, y, seen, leaves, result, seed)
        finally:
            run.restore()
    return result


def _leaf(x: Any) -> Any:
    """An input as a float64 leaf; integers and other things as they are."""
    if isinstance(x, bool | int | float | str) or x is None:
        return x
    if isinstance(x, np.ndarray | list | Tensor):
        t = as_tensor(x)
        if t.dtype in FLOATING:
            return wrap(np.array(t.array, np.float64)).requires_grad_()
        return t
    if isinstance(x, tuple):
        return tuple(_leaf(v) for v in x)
    return x


def _check_nodes(seen: list[Call], seed: int, seconds: float) -> list[CheckResult]:
    """Judge every application that is on the tape; equal ones once time has run out."""
    results: list[CheckResult] = []
    judged: dict[Any, CheckResult] = {}
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    for a in seen:
        if not a.y.requires_grad or not a.op.differentiable:
            continue
        subject = f"{a.op!r} at {a.where}"
        key = (a.op, *(getattr(x, "shape", None) for x in a.arrays))
        late = time.perf_counter() - start > seconds
        if late and key in judged:
            twin = judged[key]
            results.append(
                CheckResult(subject, twin.verdict, twin.causes, twin.findings, line=a.where)
            )
            continue
        inputs = tuple(as_float64(x) for x in a.arrays)
        result = _screened(a, inputs, rng)
        if result is None:
            left = max(2.0, seconds - (time.perf_counter() - start))
            experiment = Experiment(a.op, inputs, seed=seed, points=2, seconds=min(left, 5.0))
            result = judge(experiment, subject=subject, line=a.where)
        else:
            result.subject, result.line = subject, a.where
        judged[key] = result
        results.append(result)
    return results


def _screened(a: Call, inputs: tuple[Any, ...], rng: np.random.Generator) -> CheckResult | None:
    """A quick test along random directions: right, or None for "look closely"."""
    with np.errstate(all="ignore"):
        y = np.asarray(a.op.forward(NUMPY, *inputs))
    upstream = rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape)
    given = answer(a.op, Trial(inputs, y, upstream, {}), upstream)
    if given.error is not None or given.changed or given.misfits:
        return None
    total = 0
    for k, (x, g) in enumerate(zip(inputs, given.gradients, strict=True)):
        if g is None:
            continue
        direction = rng.standard_normal(x.shape) * max(float(np.sqrt(np.mean(x * x))), 1e-3)
        forward = lambda *xs: np.asarray(a.op.forward(NUMPY, *xs))  # noqa: E731
        slope, band = along(forward, inputs, {k: direction}, upstream, _SCREEN_STEPS)
        terms = g * direction
        norm = float(np.sqrt(np.sum(terms * terms))) + abs(slope)
        if not abs(float(np.sum(terms)) - slope) <= _SCREEN * norm + 3 * band:
            return None
        if band > 1e-3 * norm and norm > 0:
            return None
        total += x.size
    return CheckResult(repr(a.op), compared=total)


def _check_whole(
    run: Run, y: Tensor, seen: list[Call], inputs: list[Any], result: CheckResult, seed: int
) -> None:
    """The gradient of the whole along one direction for each leaf, at the given point; where the
    function has a kink there, at points near it.
    """
    leaves = _all_leaves(y, inputs, run.function)
    if not leaves:
        result.verdict = UNDECIDED
        result.notes.append("nothing to compare: no floating input or parameter takes part")
        return
    result.compared += sum(leaf.size for _, leaf in leaves)
    rng = np.random.default_rng(seed)
    stopped = _stopped_on_purpose(seen)
    whole = _Whole(run, leaves, stopped, _coarsest(seen), rng)
    differences: list[_Difference] | None = whole.differences(y)
    if any(d.bent for d in differences or ()):
        differences = _off_the_kinks(whole, result)
    if differences is None:
        result.verdict = UNDECIDED
        return
    if any(d.vague for d in differences):
        result.verdict = UNDECIDED
        result.notes.append(
            f"undecided, because the function computes in {whole.precision}: rounding hides the "
            "differences; cast nothing inside, then all is compared in float64"
        )
        return
    result.findings += [d.finding for d in differences]
    if not differences:
        result.verdict = CORRECT
        return
    result.verdict = WRONG
    cuts = _cuts(seen, y, [leaf for _, leaf in leaves])
    for what, cut in cuts:
        result.causes.append(
            Cause(
                "cut",
                f"the path through {what} is cut off: its value is used, its gradient is not",
                ", ".join(d.name for d in differences),
                f"used without a gradient at {cut.where}",
                "take out detach(), numpy() or no_grad() there, if the path was meant to count",
            )
        )
    result.line = cuts[0][1].where if cuts else ""


@dataclass
class _Difference:
    """A leaf whose gradient is not the measured slope along a direction."""

    name: str
    finding: Finding
    bent: bool  # a kink at this very point may be why
    vague: bool  # the band is as wide as what is measured


class _Whole:
    """The whole function of its leaves, to be measured at one point after the other."""

    def __init__(
        self,
        run: Run,
        leaves: list[tuple[str, Tensor]],
        stopped: dict[int, np.ndarray],
        precision: str,
        rng: np.random.Generator,
    ):
        self.run, self.leaves, self.stopped, self.rng = run, leaves, stopped, rng
        self.precision = precision
        self.steps = _SCREEN_STEPS if precision == "float64" else COARSE_STEPS

    def differences(self, y: Tensor) -> list[_Difference]:
        """The leaves whose gradients differ from the slopes here, where the output is y."""
        shape = y.shape
        upstream = self.rng.uniform(0.5, 1.5, shape) * self.rng.choice([-1.0, 1.0], shape)
        gradients: dict[int, Any] = {}
        if y.requires_grad:
            tracked = [leaf for _, leaf in self.leaves if leaf.requires_grad]
            seed = wrap(upstream.astype(y.dtype))
            found = grad(y, tracked, seed, retain_graph=True, allow_unused=True)
            gradients = {id(t): g for t, g in zip(tracked, found, strict=True)}
        differences = []
        epsilon = _EPS[self.precision]
        for name, leaf in self.leaves:
            size = max(float(np.sqrt(np.mean(leaf.array * leaf.array))), 1e-2)
            direction = self.rng.standard_normal(leaf.shape) * size
            direction = np.where(self.stopped.get(id(leaf), False), 0.0, direction)
            g = gradients.get(id(leaf))
            terms = np.zeros(leaf.shape) if g is None else g.array * direction
            where = ([leaf.array], {0: direction}, upstream, self.steps, epsilon)
            forward = self._of(leaf)
            measured, band = along(forward, *where)
            norm = float(np.sqrt(np.sum(terms * terms))) + abs(measured)
            got = float(np.sum(terms))
            if abs(got - measured) > 1e-4 * norm + 10 * band and abs(got - measured) > 1e-12:
                finding = _finding(name, leaf, got, measured, band)
                differences.append(_Difference(name, finding, bends(forward, *where), False))
            elif self.precision != "float64" and 10 * band > 0.5 * norm:
                finding = _finding(name, leaf, got, measured, band)
                differences.append(_Difference(name, finding, False, True))
        return differences

    def _of(self, leaf: Tensor) -> Callable[[np.ndarray], np.ndarray]:
        def forward(array: np.ndarray) -> np.ndarray:
            held = leaf.array
            try:
                leaf.array = array
                return self.run().array
            finally:
                leaf.array = held

        return forward


def _off_the_kinks(whole: _Whole, result: CheckResult) -> list[_Difference] | None:
    """The differences at a point near the given one that is on no kink; None if there is none."""
    held = [leaf.array for _, leaf in whole.leaves]
    try:
        for amount in _MOVES:
            for (_, leaf), array in zip(whole.leaves, held, strict=True):
                size = amount * (float(np.sqrt(np.mean(array * array))) or 1.0)
                leaf.array = array + size * whole.rng.uniform(-1, 1, array.shape)
            try:
                y = whole.run()
            except BacklitError:
                continue  # outside the domain
            if not np.isfinite(y.array).all():
                continue
            differences = whole.differences(y)
            if not any(d.bent for d in differences):
                result.notes.append(
                    "kinks: the function has one at the given point (x at 0, a tie); the whole was "
                    f"compared near it, up to {amount:.0%} away"
                )
                return differences
    finally:
        for (_, leaf), array in zip(whole.leaves, held, strict=True):
            leaf.array = array
    result.notes.append(
        "undecided, because the function has a kink at the given point and at all that were tried "
        "near it: its slopes to the two sides differ there, and any choice between them is right"
    )
    return None


def _coarsest(seen: list[Call]) -> str:
    """The lowest precision that anything was computed in."""
    names = {a.y.dtype.name for a in seen if a.y.dtype in FLOATING}
    return max(names | {"float64"}, key=_EPS.__getitem__)


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


def _all_leaves(y: Tensor, inputs: list[Any], function: Any) -> list[tuple[str, Tensor]]:
    """Names and Tensors of the floating inputs and of the parameters behind the output."""
    found: dict[int, tuple[str, Tensor]] = {}
    flat: list[Any] = []
    for x in inputs:
        flat.extend(x) if isinstance(x, tuple) else flat.append(x)
    for i, x in enumerate(flat):
        if isinstance(x, Tensor) and x.requires_grad:
            found[id(x)] = (f"input {i}" if len(flat) > 1 else "the input", x)
    modules = [function] if isinstance(function, Module) else getattr(function, "modules", [])
    for module in modules:
        for name, p in module.named_parameters():
            if p.requires_grad:
                found[id(p)] = (name, p)
    if y.requires_grad and y.node is not None:
        for leaf in parameters_of([y]):
            found.setdefault(id(leaf), (leaf.name or describe(leaf), leaf))
    return [(n, t) for n, t in found.values() if t.size and t.dtype == float64]


def _cuts(seen: list[Call], y: Tensor, leaves: list[Tensor]) -> list[tuple[str, Call]]:
    """Where an op used the value of a Tensor on the tape without being linked to it."""
    made: list[Call] = []
    cuts: list[tuple[str, Call]] = []
    for a in seen:
        for x in a.inputs:
            if not isinstance(x, Tensor) or x.requires_grad or x.size == 0:
                continue
            for earlier in reversed(made):
                if earlier.y.requires_grad and _same(x.array, earlier.array):
                    cuts.append((f"{earlier.op.name} ({earlier.where})", a))
                    break
            else:
                if any(_same(x.array, leaf.array) for leaf in leaves):
                    cuts.append(("the input", a))
        made.append(a)
    for a in seen:  # computed under no_grad from something that has a gradient
        if not a.y.requires_grad and a.op.differentiable and any(
            isinstance(x, Tensor) and x.requires_grad for x in a.inputs
        ):  # fmt: skip
            cuts.append((f"{a.op.name}, under no_grad", a))
    return cuts


def _same(a: Any, b: Any) -> bool:
    if a is b or (a.size and np.shares_memory(a, b)):
        return True
    return a.shape == b.shape and a.size > 1 and np.array_equal(a, b) and bool(np.ptp(a))
