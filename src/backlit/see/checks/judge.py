"""The verdict on one op: its backward against an experiment made with its forward."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...gates import Gate
from ...location import location
from ...op import Op
from .case import FIT, PLAIN, RANKS, Cause
from .causes import case_of, explain_all
from .compare import compare, compare_ties
from .edits_of_terms import broadcasts
from .experiment import Answer, Experiment, answer, input_names
from .pattern import pattern
from .repair import Repair
from .repairs import repairs
from .repeated import REPEATED, repeated
from .report import CORRECT, UNDECIDED, WRONG, CheckResult, merge
from .source import is_of_backlit

#: What is plain from the numbers alone.
PLAINEST = (
    "zero", "sign", "upstream forgotten", "upstream twice", "upstream summed", "constant",
    "mean or sum",
)  # fmt: skip


@np.errstate(all="ignore")
def judge(
    experiment: Experiment, op: Op | None = None, *, subject: str = "", line: str = ""
) -> CheckResult:
    """Judge the backward of `op` (by default the experiment's own) and explain what is wrong."""
    op = experiment.op if op is None else op
    result = CheckResult(subject or repr(op), line=line, notes=list(experiment.notes))
    if experiment.random:
        result.verdict = UNDECIDED
        return result
    if not op.differentiable or not experiment.positions:
        result.verdict = UNDECIDED
        why = "the op declares no derivative" if experiment.positions else "no input is floating"
        result.notes.append(f"nothing to compare: {why}")
        return result
    answers = [answer(op, t, t.upstream) for t in experiment.trials]
    if _broken(experiment, op, answers, result):
        if (answers[0].error is not None or answers[0].misfits) and result.causes:
            _mended(result.causes[0], repairs(experiment, op, experiment.positions), experiment)
        return result
    for k in experiment.positions:
        if all(a.gradients[k] is None for a in answers):
            result.notes.append(f"{experiment.names[k]}: no derivative is declared")
            continue
        result.findings.append(compare(experiment, op, answers, k))
    if not any(f.wrong for f in result.findings):
        for finding in result.findings:
            compare_ties(experiment, op, finding, finding.position)
    result.compared = sum(f.compared for f in result.findings)
    wrong = [f for f in result.findings if f.wrong]
    positions = [f.position for f in wrong if not f.ties_only]
    unsummed = {k: g for k, g in answers[0].unsummed.items() if k not in positions}
    found = repairs(experiment, op, sorted({*unsummed, *positions})) if wrong or unsummed else []
    shapes = _wrong_shapes(experiment, op, unsummed, found)
    if shapes and not wrong:
        result.verdict, result.causes = WRONG, shapes
        return result
    if not wrong:
        result.verdict = CORRECT if result.compared else UNDECIDED
        if not result.compared:
            result.notes.append("nothing to compare: no element has a derivative here")
        return result
    result.verdict = WRONG
    kinds: dict[tuple[str, tuple[int, ...]], Repair] = {}  # the simplest of a kind is enough
    for repair in found:
        if not unsummed.keys() >= set(repair.positions):
            kinds.setdefault((repair.kind, repair.positions), repair)
    changed = [_edit(experiment, r) for r in kinds.values()]
    mended = {k for r in found for k in r.positions}
    explained = explain_all(experiment, op, answers, positions, brief=mended >= set(positions))
    tied = [[_ties(f)] for f in wrong if f.ties_only]
    result.causes = merge([*tied, *explained])
    result.causes = [*shapes, *told_once(changed, result.causes)]
    _say_what_stays(result, experiment, positions)
    if all(is_of_backlit(inspect.unwrap(f)) for f in (type(op).forward, type(op).backward)):
        for cause in result.causes:
            cause.fix = f"{op.name} is an op of Backlit itself: report this with the inputs"
    if not result.causes:
        cases = [case_of(experiment, op, answers, k) for k in positions]
        result.known = [s for case in cases if case is not None for s in pattern(case)]
    return result


def _edit(experiment: Experiment, r: Repair) -> Cause:
    """The cause that is undone by a change of the text."""
    names = " and ".join(experiment.names[k] for k in r.positions)
    points = len(experiment.trials)
    equals = " or ".join(f"`{size}`" for size in r.equals)
    doubt = f"; so it does with {equals}, which is as large here, and no other sizes can be tried"
    return Cause(
        r.kind,
        f"line {r.line} of {r.function}: {r.words}",
        names,
        f"with that one change the gradient of {names} agrees with the measured one in every "
        f"element at {points} points{doubt if equals else ''}",
        f"line {r.line}: {r.old}  →  {r.new or '(nothing)'}",
        RANKS["edit"] + r.rank,
        {"line": r.line, "old": r.old, "new": r.new},
    )  # fmt: skip


def _wrong_shapes(
    experiment: Experiment, op: Op, unsummed: dict[int, np.ndarray], found: list[Repair]
) -> list[Cause]:
    """The gradients whose sums are right and whose shapes are not, each with its repair."""
    causes = []
    for k, raw in unsummed.items():
        cause = _misshapen(experiment, op, k, raw, experiment.trials[0].inputs[k])
        _mended(cause, [r for r in found if k in r.positions], experiment)
        causes.append(cause)
    return causes


def _mended(cause: Cause, found: list[Repair], experiment: Experiment) -> None:
    """Say of a backward that raises, or gives what does not fit, by which change it is right."""
    if found:
        edit = _edit(experiment, found[0])
        cause.title += f"; {edit.title}"
        cause.evidence = "; ".join(filter(None, (cause.evidence, edit.evidence)))
        cause.fix = edit.fix
        cause.detail |= edit.detail


def told_once(changed: list[Cause], others: list[Cause]) -> list[Cause]:
    """Changes of the text before what predicts the same numbers. What is plain without the text
    (a sign, a constant, no upstream gradient) is said in its own words, with the change as its fix.
    """
    if not changed or not others:
        return changed or others
    first = others[0]
    if _explained(first) > _explained(changed[0]):
        return [*others, *changed]
    alike = first.input == changed[0].input and len(others) == 1
    put_in = len(changed[0].detail["new"]) > len(changed[0].detail["old"])
    if alike and put_in and (first.kind, changed[0].kind) == ("mean or sum", "constant"):
        return changed  # a size would have been put in, if one were right at other sizes, too
    if alike and first.rank < PLAIN and first.kind in PLAINEST:
        first.fix, first.evidence = changed[0].fix, f"{first.evidence}; {changed[0].evidence}"
        first.title += f" (line {changed[0].detail['line']})"
        first.detail |= changed[0].detail
        return [first, *changed[1:]]
    return [*changed, *others]


def _explained(cause: Cause) -> set[str]:
    """The inputs whose gradients a cause explains."""
    return set(re.split(", | and ", cause.input))


def _say_what_stays(result: CheckResult, experiment: Experiment, wrong: Sequence[int]) -> None:
    """Note which wrong gradients the first cause leaves unexplained, and which no cause explains:
    one mistake often spoils several, and what explains one of them may be an accident.
    """
    if not result.causes or not result.causes[0].input:
        return
    names = [experiment.names[k] for k in wrong]
    first = _explained(result.causes[0])
    every = set().union(*map(_explained, result.causes))
    left, never = [n for n in names if n not in first], [n for n in names if n not in every]
    if never:
        result.notes.append(
            f"no cause explains the gradient of {' and '.join(never)}, which is wrong, too"
        )
    elif left:
        result.notes.append(
            f"the first cause leaves the gradient of {' and '.join(left)} wrong: see the others"
        )


def _ties(finding: Any) -> Cause:
    much = f" ({finding.ratio:.3g} times what it should be)" if np.isfinite(finding.ratio) else ""
    return Cause(
        "ties",
        f"at ties the elements of {finding.name} that win together do not share the gradient: "
        f"their sum is wrong{much}",
        input=finding.name,
        evidence=f"right wherever there is no tie; {finding.worst}",
        fix="divide by the number of winners, or give it to the first one only",
        rank=RANKS["ties"],
    )


def _broken(experiment: Experiment, op: Op, answers: list[Answer], result: CheckResult) -> bool:
    """Causes that need no comparison: it raises, writes to its arguments, or has a wrong shape."""
    first = answers[0]
    if first.error is not None:
        result.verdict = WRONG
        text = f"{type(first.error).__name__}: {first.error}"
        result.causes = [
            Cause("raises", f"backward raises {text}", evidence=_raised_at(first.error))
        ]
        return True
    if first.changed:
        result.verdict = WRONG
        result.causes = [
            Cause(
                "in place",
                f"backward writes to {first.changed}, which others still need",
                evidence="its elements differed after the call",
                fix="compute a new array instead of *=, += or item assignment",
            )
        ]
        return True
    if REPEATED in experiment.notes and _redraws(experiment, op, first):
        result.verdict = WRONG
        result.causes = [
            Cause(
                "factor replaced",
                "backward draws random numbers of its own where those of the forward belong",
                evidence="two calls with equal arguments gave different gradients",
                fix="remember what the forward drew, and use it in backward",
            )
        ]
        return True
    if first.misfits:
        result.verdict = WRONG
        trial = experiment.trials[0]
        for k, raw in first.misfits.items():
            result.causes.append(_misshapen(experiment, op, k, raw, trial.inputs[k]))
        return True
    return False


def _redraws(experiment: Experiment, op: Op, first: Answer) -> bool:
    """Whether a second call of the backward gives something else."""
    trial = experiment.trials[0]
    again = answer(op, trial, trial.upstream)
    return again.error is None and any(
        a is not None and b is not None and not np.array_equal(a, b, equal_nan=True)
        for a, b in zip(first.gradients, again.gradients, strict=True)
    )


def _raised_at(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f"raised at {location(trace.tb_frame.f_code.co_filename, trace.tb_lineno)}"


def _misshapen(experiment: Experiment, op: Op, k: int, raw: np.ndarray, x: np.ndarray) -> Cause:
    """A gradient that does not fit its input: is it right, in another order or unsummed?"""
    trial, name = experiment.trials[0], experiment.names[k]
    columns = trial.columns[k]
    want = trial.want(k)
    scale = max(float(np.max(np.abs(want), initial=0)), 1e-30)

    def right(values: np.ndarray) -> bool:
        return values.shape == x.shape and np.allclose(
            values.reshape(-1)[columns.index], want, rtol=0, atol=10 * FIT * scale
        )

    shapes = f"shape {raw.shape} for {name} of shape {x.shape}"
    more = raw.ndim - x.ndim
    if more > 0 and raw.shape == (1,) * more + x.shape and right(raw.reshape(x.shape)):
        return Cause("shape", f"the gradient of {name} has shape {raw.shape}, must have {x.shape}: "
                     "an axis is kept that must go (keepdims)", name, "without it, it is right",
                     "sum without keepdims=True")  # fmt: skip
    for perm in itertools.permutations(range(raw.ndim)) if raw.ndim <= 4 else ():
        if right(raw.transpose(perm)):
            return Cause("transposed", f"{name}'s gradient has its axes in another order: {shapes}",
                         name, f"transposed by {perm} it is right",
                         f"permute_dims(gradient, {perm})")  # fmt: skip
    if raw.size == x.size and right(raw.reshape(x.shape)):
        return Cause("shape", f"the gradient of {name} needs a reshape: {shapes}", name,
                     "reshaped it is right", f"reshape(gradient, {x.shape})")  # fmt: skip
    for count in range(1, raw.ndim + 1):
        for axes in itertools.combinations(range(raw.ndim), count):
            for keep in (False, True):
                if right(raw.sum(axes, keepdims=keep)):
                    over = ", ".join(map(str, axes))
                    to = over if len(axes) == 1 else f"({over})"
                    kept = ", keepdims=True" if keep else ""
                    library = "np." if op.sums_itself else ""
                    return Cause("sum missing", f"the gradient of {name} is not summed over axis "
                                 f"{over}: {shapes}", name, "summed it is right",
                                 f"{library}sum(gradient, axis={to}{kept})")  # fmt: skip
    if broadcasts(raw.shape, x.shape) and right(np.broadcast_to(raw, x.shape)):
        return Cause("shape", f"the gradient of {name} has shape {raw.shape}, must have {x.shape}: "
                     "each element gets its own", name, "spread over its elements it is right",
                     f"gradient * np.ones({x.shape})")  # fmt: skip
    return Cause("shape", f"the gradient of {name} cannot be made to fit: {shapes}", name,
                 "no transposition, reshape or sum of it is right")  # fmt: skip


def definition(op: Op) -> str:
    """Where an op's backward is written, with its first line of forward."""
    body_of = [inspect.unwrap(f) for f in (type(op).backward, type(op).forward)]
    try:
        backward, start = inspect.getsourcelines(body_of[0])
        filename = inspect.getsourcefile(body_of[0]) or "?"
        forward, _ = inspect.getsourcelines(body_of[1])
    except (OSError, TypeError):
        return type(op).__qualname__
    start += _first(backward)
    heading = forward[_first(forward)].strip()
    body = next((s.strip() for s in forward if s.strip().startswith("return")), heading)
    name = f"{type(op).__name__}.backward"
    return f"{location(filename, start)}, {name}; forward: {body}"


def _first(lines: Sequence[str]) -> int:
    """Where a function's source begins behind its decorators."""
    return next((i for i, s in enumerate(lines) if s.strip().startswith("def ")), 0)


def check_op(op: Op, inputs: Sequence[Any], *, seed: int = 0) -> CheckResult:
    """Check one op at the given inputs."""
    subject = f"{op!r} of ({', '.join(input_names(op, inputs))})"
    experiment = Experiment(op, inputs, seed=seed)
    if experiment.random and isinstance(op, Gate):
        again = Experiment(repeated(op), inputs, seed=seed)
        if not again.random:
            experiment = again
            experiment.notes.append(REPEATED)
    return judge(experiment, subject=subject, line=definition(op))
