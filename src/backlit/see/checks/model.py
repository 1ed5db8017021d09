"""The check of a whole function, layer or model: every node on its own, then the whole.

Each op that was applied is compared with differences of its own forward, in float64, at the values
it had: a wrong backward is found where it is, however deep the model. If all nodes are right and
the whole is still wrong, some path never reached the tape, and the place where it was cut is named.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import tree
from ...autograd import enable_grad
from ...dtypes import FLOATING
from ...nn.module import Module
from ...op import Op
from ...tensor import Tensor, as_tensor, wrap
from ...widened import NUMPY, widened
from ..records.from_block import Call, recording
from .case import Cause
from .experiment import NOT_FINITE, Experiment, Trial, answer, as_float64
from .held import in_float64, tensors_of
from .judge import judge
from .numeric import along, projection
from .report import CORRECT, UNDECIDED, WRONG, CheckResult
from .whole import AT_THE_POINT, REASONS, SCREEN_STEPS, Run, Whole, cuts, leaves_of

#: A directional derivative agrees if it is off by at most this much of its terms' norm.
_SCREEN = 1e-5


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
    with in_float64(modules, tensors_of(function, *modules)), enable_grad():
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
    """An input with its floats as float64 leaves; integers and other things as they are."""
    if isinstance(x, list) and not any(isinstance(v, Tensor | np.ndarray) for v in x):
        x = as_tensor(x)
    parts, structure = tree.flatten(x)
    return tree.unflatten(structure, [_leaf_of_one(part) for part in parts])


def _leaf_of_one(x: Any) -> Any:
    if not isinstance(x, np.ndarray | Tensor):
        return x
    t = as_tensor(x)
    if t.dtype in FLOATING:
        return wrap(np.array(t.array, np.float64)).requires_grad_()
    return t


def _check_nodes(seen: list[Call], seed: int, seconds: float) -> list[CheckResult]:
    """Judge every application that is on the tape; equal ones once time has run out."""
    results: list[CheckResult] = []
    judged: dict[Any, CheckResult] = {}
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    for a in seen:
        if not a.y.requires_grad or not a.op.differentiable:
            continue
        op = widened(a.op)
        subject = f"{a.op!r} at {a.where}"
        key = (op, *(getattr(x, "shape", None) for x in a.arrays))
        late = time.perf_counter() - start > seconds
        if late and key in judged:
            twin = judged[key]
            results.append(
                CheckResult(subject, twin.verdict, twin.causes, twin.findings, line=a.where)
            )
            continue
        inputs = tuple(as_float64(x) for x in a.arrays)
        result = _screened(op, inputs, rng)
        if result is None:
            left = max(2.0, seconds - (time.perf_counter() - start))
            experiment = Experiment(op, inputs, seed=seed, points=2, seconds=min(left, 5.0))
            result = judge(experiment, subject=subject, line=a.where)
        else:
            result.subject, result.line = subject, a.where
        judged[key] = result
        results.append(result)
    return results


@np.errstate(all="ignore")
def _screened(op: Op, inputs: tuple[Any, ...], rng: np.random.Generator) -> CheckResult | None:
    """A quick test along random directions: right, or None for "look closely"."""
    y = np.asarray(op.forward(NUMPY, *inputs))
    upstream = projection(y, rng)
    finite = bool(np.isfinite(y).all())
    if not finite and not upstream.any():
        return None
    given = answer(op, Trial(inputs, y, upstream, {}), upstream)
    if given.error is not None or given.changed or given.misfits or given.unsummed:
        return None
    total = 0
    for k, (x, g) in enumerate(zip(inputs, given.gradients, strict=True)):
        if g is None:
            continue
        known = x[np.isfinite(x)]
        size = max(float(np.sqrt(np.sum(known * known) / max(known.size, 1))), 1e-3)
        direction = np.where(np.isfinite(x), rng.standard_normal(x.shape) * size, 0.0)
        forward = lambda *xs: np.asarray(op.forward(NUMPY, *xs))  # noqa: E731
        slope, band = along(forward, inputs, {k: direction}, upstream, SCREEN_STEPS)
        terms = np.where(direction == 0, 0.0, g * direction)
        norm = float(np.sqrt(np.sum(terms * terms))) + abs(slope)
        if not abs(float(np.sum(terms)) - slope) <= _SCREEN * norm + 3 * band:
            return None
        if band > 1e-3 * norm and norm > 0:
            return None
        total += x.size
    return CheckResult(repr(op), compared=total, notes=[] if finite else [NOT_FINITE])


def _check_whole(
    run: Run, y: Tensor, seen: list[Call], inputs: list[Any], result: CheckResult, seed: int
) -> None:
    """The gradient of the whole along one direction for each leaf, at the given point; where that
    differs, at points near it that are on no kink.
    """
    leaves = leaves_of(y, inputs, run.function)
    if not leaves:
        result.verdict = UNDECIDED
        result.notes.append("nothing to compare: no floating input or parameter takes part")
        return
    result.compared += sum(leaf.size for _, leaf in leaves)
    whole = Whole(run, leaves, seen, np.random.default_rng(seed))
    infinite = int(y.size - np.isfinite(y.array).sum())
    if infinite and infinite == y.size:
        result.verdict = UNDECIDED
        result.notes.append("nothing to compare: every element of the output is ±∞ or NaN")
        return
    if infinite:
        result.notes.append(
            f"left out: {infinite} of {y.size} elements of the output are ±∞ or NaN, which have no "
            "slope; the others were compared"
        )
    differences = whole.differences(y)
    if whole.skipped:
        names = ", ".join(f"{n} of {name}" for name, n in whole.skipped.items())
        result.notes.append(
            f"left out: the gradients of {names} elements are not finite, as are outputs that "
            "depend on them"
        )
    if any(not d.vague for d in differences):
        here = next((d.why for d in differences if d.why), "")
        near = whole.off_the_kinks()
        if near is None:
            result.verdict = UNDECIDED
            result.notes.append(f"undecided, because {REASONS[here or whole.hindrance]}")
            return
        why = AT_THE_POINT[here or "kink"]
        differences, amount = near
        if not differences:
            result.notes.append(f"{why}; the whole was compared near it, up to {amount:.1%} away")
    if any(d.vague for d in differences):
        result.verdict = UNDECIDED
        result.notes.append(
            f"undecided, because {REASONS['rounding']}"
            if whole.precision == "float64"
            else f"undecided, because the function computes in {whole.precision}: rounding hides "
            "the differences; cast nothing inside, then all is compared in float64"
        )
        return
    result.findings += [d.finding for d in differences]
    if not differences:
        result.verdict = CORRECT
        return
    result.verdict = WRONG
    found = cuts(seen, [leaf for _, leaf in leaves])
    for what, cut in found:
        result.causes.append(
            Cause(
                "cut",
                f"the path through {what} is cut off: its value is used, its gradient is not",
                ", ".join(d.name for d in differences),
                f"used without a gradient at {cut.where}",
                "take out detach(), numpy() or no_grad() there, if the path was meant to count",
            )
        )
    result.line = found[0][1].where if found else ""
