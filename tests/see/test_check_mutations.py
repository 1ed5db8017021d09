"""The proof of `check`: the backward of every built-in op, made wrong on purpose in many ways.

Two families of mutants are judged.

*Named mutants* apply one usual mistake (a sign, a factor, a transposition, ...) to the gradient of
one input; what they must be called is fixed beforehand, by the mistake alone. Mutants that change
no number are left out. Where two mistakes give the same numbers at every point (doubling, and a sum
over an axis of size 2) either name is right: that is found by comparing the numbers, not the names.

*Source mutants* change one place in the text of the op's own backward: a factor dropped, a term
dropped, a sign turned, a multiplication for a division, one saved value for another, a constant,
a `.mT`, a sum. The name must belong to the family of what was changed.

`scripts/check_table.py` judges all of them and writes the table in the documentation.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from backlit.op import Op
from backlit.see.checks import Experiment, judge
from backlit.see.checks.experiment import answer
from op_table import BUILT_IN, RECORDS, Case

OPS = [name for name, cls in BUILT_IN.items() if cls.differentiable]


@functools.cache
def case_of(name: str) -> Case | None:
    """The case of an op's record with the most floating elements, up to 60."""
    best, most = None, 0
    for case in RECORDS[name].cases if name in RECORDS else ():
        arrays = [x for x in case.inputs if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
        size = sum(x.size for x in arrays)
        axes = sum(x.ndim > 1 for x in arrays)
        if arrays and all(x.size for x in arrays) and size <= 60 and size + 10 * axes > most:
            best, most = case, size + 10 * axes
    return best


@functools.cache
def experiment_of(name: str) -> Experiment:
    """What the op's forward says, measured once for all its mutants."""
    case = case_of(name)
    return Experiment(BUILT_IN[name](**case.attributes), case.inputs)


# -- named mutants ------------------------------------------------------------------------------


@dataclass
class Context:
    """What a mutation may look at: the inputs, the output, and the true backward."""

    inputs: tuple[Any, ...]
    y: np.ndarray
    upstream: np.ndarray
    position: int
    true: Callable[[np.ndarray], list[Any]]

    @property
    def x(self) -> np.ndarray:
        return self.inputs[self.position]

    def gradient(self, upstream: np.ndarray | None = None) -> Any:
        return self.true(self.upstream if upstream is None else upstream)[self.position]


def _one_row(c: Context, index: int, axis: int = 0) -> Any:
    if c.y.ndim == 0 or c.y.shape[axis] < 2:
        return None
    u = np.zeros_like(c.upstream)
    place = (..., index) if axis else (index,)
    u[place] = c.upstream[place]
    return c.gradient(u)


def _like_x(c: Context, q: np.ndarray) -> Any:
    return q if np.shape(q) == c.x.shape else None


def _product(c: Context, q: Any, power: int = 1) -> Any:
    if q is None or (power < 0 and (q == 0).any()):
        return None
    return c.gradient() * q**power


def _axes(c: Context, change: Callable[[np.ndarray], np.ndarray], ndim: int = 1) -> Any:
    return change(c.gradient()) if c.x.ndim >= ndim and c.x.shape[-1] > 1 else None


def _other(c: Context) -> Any:
    for j, x in enumerate(c.inputs):
        if j != c.position and isinstance(x, np.ndarray) and x.shape == c.x.shape:
            g = c.true(c.upstream)[j]
            if g is not None:
                return g
    return None


def _in_place(c: Context) -> Any:
    if not c.x.flags.writeable or c.x.ndim == 0:
        return None
    g = c.gradient() * 1.0
    c.x[...] = c.x * 2
    return g


#: The mistake, the kinds that name it, and the gradient it gives (None: not possible here).
MISTAKES: dict[str, tuple[set[str], Callable[[Context], Any]]] = {
    "the sign turned": ({"sign"}, lambda c: -c.gradient()),
    "doubled": ({"constant"}, lambda c: 2 * c.gradient()),
    "halved": ({"constant"}, lambda c: c.gradient() / 2),
    "times the number of elements": ({"mean or sum"}, lambda c: c.gradient() * c.x.size),
    "divided by the number of elements": ({"mean or sum"}, lambda c: c.gradient() / c.x.size),
    "no gradient": ({"zero"}, lambda c: 0 * c.gradient()),
    "upstream forgotten": ({"upstream forgotten"}, lambda c: c.gradient(np.ones_like(c.upstream))),
    "upstream twice": ({"upstream twice"}, lambda c: c.gradient(c.upstream**2)),
    "upstream summed": (
        {"upstream summed"},
        lambda c: c.gradient(np.full_like(c.upstream, c.upstream.sum())) if c.y.size > 1 else None,
    ),
    "times x": ({"factor extra"}, lambda c: _product(c, c.x)),
    "times y": ({"factor extra"}, lambda c: _product(c, _like_x(c, c.y))),
    "times 1 - y": ({"factor extra"}, lambda c: _product(c, _like_x(c, 1 - c.y))),
    "divided by x": ({"factor missing"}, lambda c: _product(c, c.x, -1)),
    "divided by y": ({"factor missing"}, lambda c: _product(c, _like_x(c, c.y), -1)),
    "masked where x > 0": (
        {"mask extra"},
        lambda c: c.gradient() * (c.x > 0) if 0 < (c.x > 0).mean() < 1 else None,
    ),
    "upstream passed on": (
        # √x too many and 1/√x missing are one statement
        {"factor missing", "factor extra", "mask missing"},
        lambda c: c.upstream * 1.0 if c.y.shape == c.x.shape else None,
    ),
    "transposed": (
        {"transposed"},
        lambda c: (
            _axes(c, lambda g: np.moveaxis(g, -1, -2).reshape(g.shape), 2)
            if c.x.ndim > 1 and c.x.shape[-2] > 1
            else None
        ),
    ),
    "backwards along the last axis": (
        {"flipped"},
        lambda c: _axes(c, lambda g: np.flip(g, -1)),
    ),
    "shifted by one": (
        {"shifted"},
        lambda c: _axes(c, lambda g: np.roll(g, 1, -1)) if c.x.shape[-1:] > (2,) else None,
    ),
    "summed over the last axis": (
        {"summed too much"},
        lambda c: _axes(c, lambda g: np.broadcast_to(g.sum(-1, keepdims=True), g.shape)),
    ),
    "only the first index counts": ({"sum missing"}, lambda c: _one_row(c, 0)),
    "only the last index counts": ({"overwritten"}, lambda c: _one_row(c, -1)),
    "only the last column counts": ({"overwritten"}, lambda c: _one_row(c, -1, -1)),
    "the gradient of another input": ({"inputs exchanged"}, _other),
    "written in place": ({"in place"}, _in_place),
}


def mutant(cls: type[Op], k: int, change: Callable[[Context], Any]) -> type[Op]:
    """The op with the gradient of input k changed."""
    inner = list(cls.saves)
    fixed = len(cls.parameters) - cls.variadic

    class Mutant(cls):  # type: ignore[valid-type, misc]
        name = f"mutant_of_{cls.name}"
        saves = (*cls.parameters, "y", *inner)

        def backward(self, xp, grad_y, *saved):
            outer, own = saved[: len(cls.parameters) + 1], saved[len(cls.parameters) + 1 :]
            inputs = (*outer[:fixed], *outer[fixed]) if cls.variadic else outer[:-1]

            def true(upstream):
                raw = cls.backward(self, xp, upstream, *own)
                raw = raw if isinstance(raw, tuple) else (raw,)
                values = [g() if callable(g) else g for g in raw]
                values += [None] * (len(inputs) - len(values))
                return [
                    None if g is None or not isinstance(x, np.ndarray) else _fitted(g, x)
                    for g, x in zip(values, inputs, strict=True)
                ]

            gradients = true(grad_y)
            gradients[k] = change(Context(inputs, np.asarray(outer[-1]), grad_y, k, true))
            return tuple(gradients)

    # The mistake is in the numbers, and in no text that could be read.
    code = Mutant.backward.__code__
    Mutant.backward.__code__ = code.replace(co_filename="<numbers>")
    return Mutant


def _fitted(g: Any, x: np.ndarray) -> np.ndarray:
    from backlit.autograd import fit
    from backlit.backend import numpy_backend

    return fit(numpy_backend, np.asarray(g), x)


@dataclass
class Mutation:
    """One mutant with the kinds that are right for it."""

    op_name: str
    mistake: str
    family: str
    expected: set[str]
    op: Op
    position: int
    numbers: np.ndarray | None = None


def _numbers(experiment: Experiment, op: Op, k: int) -> np.ndarray | None:
    """All gradients of all inputs at all trials, or None if the backward fails or fits nowhere."""
    parts = []
    for t in experiment.trials:
        a = answer(op, t, t.upstream)
        if a.error is not None or a.misfits or a.changed:
            return None
        parts += [np.ravel(g) for g in a.gradients if g is not None]
    return np.concatenate(parts) if parts else None


def _same(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    if a is None or b is None or a.shape != b.shape:
        return False
    with np.errstate(all="ignore"):
        return bool(np.allclose(a, b, rtol=1e-7, atol=1e-10, equal_nan=True))


def named_mutations(name: str) -> list[Mutation]:
    """Every named mutant of one op that changes a number."""
    case = case_of(name)
    if case is None:
        return []
    cls, experiment = BUILT_IN[name], experiment_of(name)
    correct = _numbers(experiment, experiment.op, 0)
    found: list[Mutation] = []
    answers = answer(experiment.op, experiment.trials[0], experiment.trials[0].upstream)
    for k in experiment.positions[:2]:
        if answers.gradients[k] is None:
            continue
        for mistake, (kinds, change) in MISTAKES.items():
            op = mutant(cls, k, change)(**case.attributes)
            first = answer(op, experiment.trials[0], experiment.trials[0].upstream)
            if first.error is None and not first.changed and first.gradients[k] is None:
                continue  # this mistake cannot be made here
            numbers = _numbers(experiment, op, k)
            if _same(numbers, correct):
                continue
            label = f"{mistake} ({experiment.names[k]})"
            found.append(Mutation(name, label, mistake, set(kinds), op, k, numbers))
    _unite(found, found)
    return found


def _unite(mutations: list[Mutation], known: list[Mutation]) -> None:
    """Where two mistakes give the same numbers, either name is right."""
    original = [set(m.expected) for m in known]
    for m in mutations:
        for other, kinds in zip(known, original, strict=True):
            if other is not m and _same(m.numbers, other.numbers):
                m.expected |= kinds


# -- source mutants -----------------------------------------------------------------------------

_FACTOR = {"factor missing", "mask missing", "local gradient missing"}
_TERM = {
    "path missing", "term sign", "factor replaced", "factor missing", "factor extra",
    "local gradient missing", "diagonal only", "zero", "constant", "mean or sum", "sign",
}  # fmt: skip


class _Change(ast.NodeTransformer):
    """Applies the nth applicable change to a function body."""

    def __init__(self, which: int, saved: list[str]):
        self.which, self.saved = which, saved
        self.count = -1
        self.what = ""
        self.expected: set[str] = set()
        self.depth = 0  # inside how many sums of terms

    def _hit(self, what: str, expected: set[str]) -> bool:
        self.count += 1
        if self.count == self.which:
            self.what, self.expected = what, expected
            return True
        return False

    def _dropped(self, gone: ast.expr, what: str) -> bool:
        names = {n.id for n in ast.walk(gone) if isinstance(n, ast.Name)}
        if self.depth:
            expected = set(_TERM)
        elif "grad_y" in names:
            expected = {"upstream forgotten", "upstream summed"}
        elif not names - {"math", "xp", "self"}:
            expected = {"constant", "mean or sum"}
        else:
            expected = set(_FACTOR)
            if any(isinstance(n, ast.Attribute) and n.attr in ("size", "shape")
                   for n in ast.walk(gone)):  # fmt: skip
                expected |= {"constant", "mean or sum"}
        return self._hit(what, expected)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        text = ast.unparse
        if isinstance(node.op, ast.Mult | ast.Div):
            if self._dropped(node.right, f"the factor {text(node.right)} dropped"):
                return node.left
            if isinstance(node.op, ast.Mult) and self._dropped(
                node.left, f"the factor {text(node.left)} dropped"
            ):
                return node.right
            if isinstance(node.op, ast.Mult):
                wrong = set(_TERM) if self.depth else {
                    "factor missing", "factor extra", "factor replaced", "constant", "mean or sum"
                }  # fmt: skip
                if self._hit(f"divided by {text(node.right)} instead of multiplied", wrong):
                    return ast.BinOp(node.left, ast.Div(), node.right)
        if isinstance(node.op, ast.Add | ast.Sub):
            for side in ("left", "right"):
                if self._hit(f"the term {text(getattr(node, side))} dropped", set(_TERM)):
                    return node.right if side == "left" else node.left
            other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            if self._hit(f"the sign of {text(node.right)} turned", set(_TERM)):
                return ast.BinOp(node.left, other, node.right)
            self.depth += 1
            result = self.generic_visit(node)
            self.depth -= 1
            return result
        return self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        if isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
            expected = set(_TERM) if self.depth else {"sign", "term sign"}
            if self._hit(f"the minus before {ast.unparse(node.operand)} dropped", expected):
                return node.operand
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if node.attr == "mT" and self._hit(
            f"{ast.unparse(node)} not transposed", {"transposed", "raises", "shape"}
        ):
            return node.value
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        text = ast.unparse(node)
        function = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if function == "sum" and any(k.arg == "keepdims" for k in node.keywords):
            kinds = {"diagonal only", "sum missing", "factor replaced", "path missing", "shape",
                     "term sign", "factor extra", "factor missing"}  # fmt: skip
            if self._hit(f"{text} without the sum", kinds):
                return node.args[0]
        elif function == "flip":
            if self._hit(f"{text} without the flip", {"flipped", "transposed"}):
                return node.args[0]
        elif function == "where" and len(node.args) == 3:
            kinds = {"mask missing", "inputs exchanged", "factor missing", "ties"}
            if self._hit(f"always {ast.unparse(node.args[1])}, not where(...)", kinds):
                return node.args[1]
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Load) and node.id in self.saved:
            for other in self.saved:
                if other != node.id and self._hit(
                    f"{other} in place of {node.id}",
                    _TERM | {"inputs exchanged", "mask missing", "mask extra", "raises", "shape",
                             "transposed"},
                ):  # fmt: skip
                    return ast.Name(other, node.ctx)
        return node


def source_mutations(name: str) -> Iterator[Mutation]:
    """Every mutant of the text of one op's backward that changes a number."""
    case = case_of(name)
    if case is None:
        return
    cls, experiment = BUILT_IN[name], experiment_of(name)
    correct = _numbers(experiment, experiment.op, 0)
    source = textwrap.dedent(inspect.getsource(cls.backward))
    arguments = inspect.signature(cls.backward).parameters
    saved = [a for a, what in zip(list(arguments)[3:], cls.saves, strict=False) if "." not in what]
    which = 0
    while True:
        change = _Change(which, saved)
        tree = change.visit(ast.parse(source))
        if not change.what:
            return
        which += 1
        place = dict(vars(sys.modules[cls.__module__]))
        text = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
        filename = f"/mutants/{name}-{which}.py"
        linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
        exec(compile(text, filename, "exec"), place)
        made = type(
            f"Mutant{cls.__name__}",
            (cls,),
            {"name": f"mutant_of_{name}", "backward": place["backward"], "__module__": __name__},
        )
        op = made(**case.attributes)
        numbers = _numbers(experiment, op, 0)
        if _same(numbers, correct):
            continue
        yield Mutation(name, change.what, "source", change.expected, op, 0, numbers)


# -- the verdicts -------------------------------------------------------------------------------


@dataclass
class Verdict:
    """One mutant, judged."""

    mutation: Mutation
    noticed: bool
    kind: str
    title: str
    mended: bool = False

    @property
    def right(self) -> bool:
        # A change of the text is right by construction: with it the backward agrees everywhere.
        return self.mended or self.kind in self.mutation.expected

    @property
    def named(self) -> bool:
        return bool(self.kind)


def verdict(m: Mutation) -> Verdict:
    """Judge one mutant."""
    result = judge(experiment_of(m.op_name), m.op)
    first = result.causes[0] if result.causes else None
    return Verdict(
        m, result.verdict == "wrong", first.kind if first else "", first.title if first else "",
        first is not None and "line" in first.detail,
    )  # fmt: skip


def mutations_of(name: str, family: str) -> list[Mutation]:
    """The mutants of one op, named or of its source."""
    named = named_mutations(name)
    if family == "named":
        return named
    mutations = list(source_mutations(name))
    _unite(mutations, named)
    return mutations


def run(names: list[str], family: str, every: int = 1) -> list[Verdict]:
    """Judge every nth mutant of each of some ops, from its first."""
    return [verdict(m) for name in names for m in mutations_of(name, family)[::every]]


def summary(verdicts: list[Verdict]) -> str:
    """The share that was noticed and rightly named, and what went wrong."""
    right = sum(v.right for v in verdicts)
    noticed = sum(v.noticed for v in verdicts)
    unnamed = sum(v.noticed and not v.named for v in verdicts)
    lines = [
        f"{len(verdicts)} mutants, noticed {noticed}, named right {right} "
        f"({right / max(len(verdicts), 1):.1%}), not named {unnamed}"
    ]
    for v in verdicts:
        if not v.right:
            lines.append(
                f"  {v.mutation.op_name}: {v.mutation.mistake} -> {v.kind or '-'} "
                f"{v.title!r} (expected {sorted(v.mutation.expected)})"
            )
    return "\n".join(lines)


def test_every_differentiable_op_has_a_case():
    missing = [name for name in OPS if case_of(name) is None]
    assert not missing


@pytest.mark.parametrize("name", OPS)
def test_a_correct_op_is_not_accused(name):
    cls = BUILT_IN[name]
    for case in RECORDS[name].cases[:3]:
        if any(isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.size for x in case.inputs):
            result = judge(Experiment(cls(**case.attributes), case.inputs, points=2))
            assert result.verdict != "wrong", f"{case}\n{result}"


@pytest.mark.long
def test_named_mutants_are_named_right():
    verdicts = run(OPS[::3], "named", every=5)
    right = sum(v.right for v in verdicts)
    assert all(v.noticed for v in verdicts), summary([v for v in verdicts if not v.noticed])
    assert right >= 0.9 * len(verdicts), summary(verdicts)


@pytest.mark.slow
def test_source_mutants_are_named_right(monkeypatch):
    monkeypatch.setattr("backlit.see.checks.repairs.WORK", 8000)
    ops = ["tanh", "softmax", "multiply", "matmul", "divide", "mean", "square"]
    verdicts = run(ops, "source")
    right = sum(v.right for v in verdicts)
    assert all(v.noticed for v in verdicts), summary([v for v in verdicts if not v.noticed])
    assert right >= 0.9 * len(verdicts), summary(verdicts)


@pytest.mark.slow
def test_most_ops_are_mutated_in_at_least_twelve_ways():
    counts = Counter({name: len(named_mutations(name)) for name in OPS[::12]})
    few = [name for name, n in counts.items() if 0 < n < 12]
    constant = [name for name, n in counts.items() if n == 0]
    assert len(few) + len(constant) <= 0.35 * len(counts), (few, constant)
