"""The single change of a backward's text that makes it right, found by trying.

Every usual mistake is undone at every place of the text, one at a time and the likeliest first, and
the changed backward is run on what the experiment has measured. A place counts only if the wrong
gradients depend on it, which is found by disturbing it.
"""

from __future__ import annotations

import ast
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...op import Op
from ...tensor import Tensor
from .case import FIT
from .compare import compare
from .edit import SELF, Change, parsed, text
from .edits_of_names import at_the_turn, loops_around, of_several
from .edits_of_terms import combined, is_float, is_numeric, labels
from .edits_of_text import of_text
from .edits_of_values import of_value
from .experiment import Experiment, Trial, answer
from .named_values import NAMES_OF_MODULES, array_of, atoms_of, unpacked
from .repair import Repair, one_for_each, told_of_equals
from .sizes import OtherSizes
from .source import Runner, Source, Unit, outer_names, read, takes_a_root
from .spelling import spellings
from .torch_names import in_words_of_torch
from .work import Work, cost_of

#: How much a search may do (as many units as it tries changes, where a backward is short), how many
#: changes it gives at most, and of how many that mend the gradients it chooses these.
WORK = 24_000
MOST, CHOICE = 3, 12
#: When one was found, others of about its rank are looked for: the shortest is the likeliest.
NEAR = 0.12
#: What is added to the rank of a change of the line where what was remembered gets its name: what
#: is computed from it is the likelier place.
UNPACKED = 0.06

_HOOK = "_at_this_place"
_PLACES = (
    ast.BinOp,
    ast.UnaryOp,
    ast.Name,
    ast.Call,
    ast.Attribute,
    ast.Subscript,
    ast.Compare,
    ast.Constant,
    ast.Lambda,
    ast.Tuple,
)


@dataclass
class _Place:
    """An expression: its value in the first run, what was known there, what it moves."""

    unit: Unit
    node: ast.expr
    hooked: Any
    value: Any
    names: dict[str, Any]
    moves: frozenset[int] | None  # which gradients depend on it; None: not known
    root: bool
    once: bool  # it is not in a loop
    nested: bool  # it is in a lambda or a comprehension, which see names of the function around


@dataclass
class _Goal:
    """What the gradients are measured to be at one trial."""

    trial: Trial
    wrong: frozenset[int]
    positions: tuple[int, ...]
    allowed: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        t = self.trial
        for k in self.positions:
            scale = max(float(np.max(np.abs(t.want(k)), initial=0)), 1e-30)
            self.allowed[k] = FIT * scale + 30 * t.columns[k].pulled_band(t.upstream)

    def mended(self, gradients: Sequence[np.ndarray | None]) -> frozenset[int]:
        """The wrong positions that agree now; none if one that was right does not."""
        found = set()
        for k in sorted(self.positions, key=lambda k: k in self.wrong):
            if self._agrees(k, gradients[k]):
                found.add(k)
            elif k not in self.wrong:
                return frozenset()
        return frozenset(found & self.wrong)

    def _agrees(self, k: int, g: np.ndarray | None) -> bool:
        t = self.trial
        if g is None or g.shape != t.inputs[k].shape:
            return False
        off = np.abs(g.reshape(-1)[t.columns[k].index] - t.want(k))
        return bool((off <= self.allowed[k])[t.smooth(k)].all())


def repairs(experiment: Experiment, op: Op, wrong: Sequence[int]) -> list[Repair]:
    """The changes of `op`'s backward that mend the wrong inputs' gradients, the simplest first:
    those that mend all of them at once, or else some for each.
    """
    source = read(op)
    trials = [t for t in experiment.trials if not t.ties]
    if source is None or not trials:
        return []
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # of what nobody has written
        return _Search(source, experiment, trials[0], frozenset(wrong)).run()


class _Search:
    def __init__(self, source: Source, experiment: Experiment, trial: Trial, wrong: frozenset[int]):
        self.source, self.experiment, self.wrong = source, experiment, wrong
        self.runner = Runner(source.op, trial)
        positions = tuple(k for k in experiment.positions if k in trial.columns)
        self.goal = _Goal(trial, wrong, positions)
        self.work, self.cost = Work(WORK), 0.0
        self.outer = outer_names(source)
        self.parents = {
            id(child): (parent, name, place)
            for unit in source.units
            for parent in ast.walk(unit.tree)
            for name, place, child in _children(parent)
        }
        known = source.units[0].function.__globals__
        self.library = next((n for n in ("np", "numpy") if known.get(n) is np), "")
        self.on_tensors = False  # the backward computes with Tensors: `torch` has its functions
        self.codes: dict[str, Any] = {}
        self.others: OtherSizes | None = None
        self.unpacked = unpacked(source)
        loops = [n for u in source.units for n in ast.walk(u.tree) if isinstance(n, ast.For)]
        self.last = self.unpacked | {n.id for f in loops for n in ast.walk(f.target)
                                     if isinstance(n, ast.Name)}  # fmt: skip
        self.roots = takes_a_root(source.op)
        plain = self._compiled()
        self.cost = cost_of(lambda: self._gradients(plain), *trial.inputs, trial.y)
        self.base = self._gradients(plain)
        if self.base is not None:  # of what the backward declares no derivative nothing is asked
            given = [k for k, g in enumerate(self.base) if g is not None or k in wrong]
            self.goal.positions = tuple(k for k in positions if k in given)

    def run(self) -> list[Repair]:
        """The repairs, in order of their rank."""
        places = [p for unit in self.source.units for p in self._places(unit)]
        found: list[Repair] = []
        partly: list[Repair] = []
        tried: set[tuple[int, str]] = set()
        for rank, change, unit, place in self._candidates(places):
            if self.work.over or len(found) == CHOICE:
                break
            if found and rank > found[0].rank + NEAR:
                found = self._at_all_sizes(found)
                if found:
                    break
            key = (id(change.node), change.template or text(change.new))
            if key in tried:
                continue
            tried.add(key)
            mended = self._mended(change, place)
            if not mended or (mended != self.wrong and len(partly) > 12):
                continue
            repair = self._confirmed(change, unit, rank, mended)
            if repair is not None:
                (found if mended == self.wrong else partly).append(repair)
        found.sort(key=lambda r: r.far_fetched)
        return self._at_all_sizes(found)[:MOST] or one_for_each(self._at_all_sizes(partly))

    def _at_all_sizes(self, found: list[Repair]) -> list[Repair]:
        """Those that are right at other sizes, too, where any is; else all of them, and of what
        differs in a size alone the first says so.
        """
        if not found:
            return found
        others = self.others = self.others or OtherSizes(self.experiment)
        failures = [
            others.failures(self.source.op.with_backward(r.made), frozenset(r.positions))
            for r in found
        ]
        wrong = [False] * len(found)
        for at_point in zip(*failures, strict=True):
            if False in at_point:
                wrong = [w or failed is True for w, failed in zip(wrong, at_point, strict=True)]
        if not others.points:
            found = told_of_equals(found)
        return [r for r, w in zip(found, wrong, strict=False) if not w]

    # -- running ----------------------------------------------------------------------------------

    def _compiled(self, unit: Unit | None = None, tree: ast.FunctionDef | None = None) -> Any:
        """The backward, or that with another tree for one of its functions; None if it is none."""
        trees = [tree if tree is not None and u is unit else u.tree for u in self.source.units]
        try:
            return self.source.compiled(trees)
        except (SyntaxError, ValueError, TypeError, KeyError, NameError, RecursionError):
            return None

    def _gradients(self, function: Any) -> list[np.ndarray | None] | None:
        """What a backward gives, or None if it raises: whatever a changed text may raise."""
        self.work.spend(self.cost)
        if function is None:
            return None
        try:
            return self.runner(function)
        except Exception:
            return None

    def _with(self, node: ast.AST, new: ast.AST | None) -> Any:
        """The backward with one node replaced, compiled."""
        parent, name, place = self.parents[id(node)]
        new = ast.Pass() if new is None else new
        if id(new) not in self.parents:  # a part of the text stays where it is written
            ast.copy_location(new, node)
        held = getattr(parent, name)
        if place is None:
            setattr(parent, name, new)
        else:
            held[place] = new
        try:
            for child in ast.walk(new):
                if not hasattr(child, "lineno") and isinstance(child, ast.expr | ast.stmt):
                    ast.copy_location(child, node)
            return self._compiled()
        finally:
            if place is None:
                setattr(parent, name, held)
            else:
                held[place] = node

    def _mended(self, change: Change, place: _Place | None) -> frozenset[int]:
        if change.template and place is not None and place.nested:
            new = _Filled(change.node).visit(parsed(change.template))
            gradients = self._gradients(self._with(change.node, new))
        elif change.template and place is not None:
            gradients = self._with_value(change.template, place)
        else:
            gradients = self._gradients(self._with(change.node, change.new))
        if gradients is None:
            return frozenset()
        try:
            return self.goal.mended(gradients)
        except (ValueError, IndexError):
            return frozenset()

    def _with_value(self, template: str, place: _Place) -> list[np.ndarray | None] | None:
        """The gradients if an expression gave what the template says of it."""
        code = self.codes.get(template)
        if code is None:
            code = self.codes[template] = compile(template, "<changed>", "eval")
        known = place.unit.function.__globals__

        def give(value: Any, names: dict[str, Any]) -> Any:
            new = eval(code, known, {**self.outer, **names, SELF: value})
            if place.once and np.shape(new) == np.shape(value) and np.array_equal(new, value):
                raise ValueError("nothing is changed")
            return new

        return self._gradients(_bound(place.hooked, give))

    def _confirmed(
        self, change: Change, unit: Unit, rank: float, mended: frozenset[int]
    ) -> Repair | None:
        """The repair, if its text, read as it is printed, is right at every point."""
        new = change.new
        if change.template:
            new = _Filled(change.node).visit(parsed(change.template))
        for spelled in spellings(unit, change.node, new, self.parents):
            made = self._compiled(unit, spelled.tree)
            if self._right(made, mended):
                break
        else:
            return None
        kind, words = change.kind, change.words
        around = self.parents[id(change.node)][0]
        if isinstance(around, ast.Compare) and kind == "factor replaced":
            kind, words = "mask wrong", f"the mask `{text(around)}` is a wrong one: {words}"
        return Repair(
            unit.name,
            spelled.line,
            spelled.old,
            "" if new is None or isinstance(new, ast.Pass) else spelled.new,
            kind,
            words,
            rank,
            tuple(sorted(mended)),
            made,
            change.size,
        )

    def _right(self, made: Any, mended: frozenset[int]) -> bool:
        """Whether a changed backward is right at every point."""
        if made is None:
            return False
        op = self.source.op.with_backward(made)
        answers = [answer(op, t, t.upstream) for t in self.experiment.trials]
        if any(a.error is not None or a.misfits or a.changed for a in answers):
            return False
        if any(mended & a.unsummed.keys() for a in answers):
            return False
        for k in self.goal.positions if mended == self.wrong else mended:
            if any(a.gradients[k] is None for a in answers):
                if k in mended:
                    return False
            elif compare(self.experiment, op, answers, k).wrong:
                return False
        return True

    # -- places -----------------------------------------------------------------------------------

    def _places(self, unit: Unit) -> Iterator[_Place]:
        """The expressions that run, what they give, and which gradients depend on them."""
        around: dict[str, Any] = {}
        for node in ast.walk(unit.tree):
            if self.work.left < 0.5 * WORK:
                return
            if not isinstance(node, _PLACES) or not self._is_value(node):
                continue
            hook = ast.Call(
                ast.Name(_HOOK, ast.Load()),
                [node, ast.Call(ast.Name("locals", ast.Load()), [], [])],
                [],
            )
            hooked = self._with(node, hook)
            if hooked is None:
                continue
            seen: list[tuple[Any, dict[str, Any]]] = []

            def look(value: Any, names: dict[str, Any], seen: list[Any] = seen) -> Any:
                known = {} if seen else {n: _held(v) for n, v in names.items()}
                seen.append((_held(value), known))
                self.on_tensors |= isinstance(value, Tensor)
                return value

            self._gradients(_bound(hooked, look))
            if not seen:
                continue
            value, names = seen[0]
            nested = self._is_nested(node)
            moves = self._moved(hooked, value)
            if moves is not None and not moves & self.wrong:
                continue
            around.update({} if nested else names)
            root, once = self._is_root(node), len(seen) == 1
            known = {**around, **names} if nested else names
            yield _Place(unit, node, hooked, value, known, moves, root, once, nested)

    def _is_value(self, node: ast.expr) -> bool:
        if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            return False
        if isinstance(node, ast.Name) and node.id in NAMES_OF_MODULES:
            return False
        if isinstance(node, ast.Constant) and type(node.value) not in (int, float):
            return False
        parent, name, _ = self.parents.get(id(node), (None, "", None))
        if parent is None or isinstance(parent, ast.arguments | ast.keyword | ast.Starred):
            return False
        if isinstance(node, ast.Constant) and not isinstance(parent, ast.BinOp | ast.stmt):
            return False
        return not (isinstance(parent, ast.Call) and name == "func")

    def _is_root(self, node: ast.AST) -> bool:
        """Whether a node is the whole value of a statement, or one of those that are returned."""
        parent = self.parents[id(node)][0]
        if isinstance(parent, ast.Tuple | ast.List):
            parent = self.parents[id(parent)][0]
            return isinstance(parent, ast.Return)
        return isinstance(parent, ast.stmt | ast.Lambda)

    def _is_nested(self, node: ast.AST) -> bool:
        """Whether a node has a scope of its own inside the function."""
        at: Any = node
        while id(at) in self.parents:
            at = self.parents[id(at)][0]
            if isinstance(at, ast.Lambda | ast.GeneratorExp | ast.ListComp | ast.DictComp):
                return True
        return False

    def _moved(self, hooked: Any, value: Any) -> frozenset[int] | None:
        """Which gradients change if an expression gives something else."""
        if self.base is None or not is_float(value):
            return None

        def disturb(v: Any, names: dict[str, Any]) -> Any:
            return 0.11 - v * 1.37 if is_float(array_of(v)) else v

        gradients = self._gradients(_bound(hooked, disturb))
        if gradients is None:
            return None
        pairs = zip(gradients, self.base, strict=True)
        return frozenset(
            k
            for k, (a, b) in enumerate(pairs)
            if a is not None and (b is None or not np.array_equal(a, b, equal_nan=True))
        )

    # -- changes ----------------------------------------------------------------------------------

    def _candidates(self, places: list[_Place]) -> list[tuple[float, Change, Unit, _Place | None]]:
        """All changes that may mend something, the likeliest first."""
        found: list[tuple[float, Change, Unit, _Place | None]] = []
        by_node = {id(p.node): p for p in places}
        by_numpy = bool(self.library) and not self.on_tensors
        library = self._library()
        for unit in self.source.units:
            for change in of_text(unit.tree):
                moves = self._moves_of(change.node, by_node)
                demerit = self._demerit(moves)
                if demerit is not None and ("np." not in text(change.new) or by_numpy):
                    found.append((change.rank + demerit, change, unit, None))
        for place in places:
            demerit = self._demerit(place.moves)
            if demerit is None:
                continue
            atoms = atoms_of({**place.names, **self.outer}, self.goal.trial.upstream, self.last)
            several = of_several(place.node, place.value, place.root, place.names, atoms)
            found += [(c.rank + demerit, c, place.unit, place) for c in several]
            if not is_numeric(place.value):
                continue
            atoms += at_the_turn(loops_around(place.node, self.parents), place.names, atoms)
            changes = [
                *of_value(place.node, place.value, atoms, place.root, library, self.roots),
                *(labels(place.node, place.value, atoms, place.root) if by_numpy else ()),
                *(
                    combined(place.node, place.value, atoms, place.root)
                    if place.root or isinstance(place.node, ast.BinOp)
                    else ()
                ),
            ]
            parent = self.parents[id(place.node)][0]
            if isinstance(parent, ast.Assign) and getattr(place.node, "id", "") in self.unpacked:
                demerit += UNPACKED
            if self.on_tensors:
                changes = list(map(in_words_of_torch, changes))
            found += [(c.rank + demerit, c, place.unit, place) for c in changes]
        return sorted(found, key=lambda c: c[0])

    def _library(self) -> str:
        """How the module is called there whose functions take what the backward computes with."""
        if not self.on_tensors:
            return self.library
        known = self.source.units[0].function.__globals__
        return "torch" if isinstance(known.get("torch"), types.ModuleType) else ""

    def _demerit(self, moves: frozenset[int] | None) -> float | None:
        """What is added to the rank of a change at a place that moves these; None: leave it out."""
        if moves is None:
            return 0.02
        if not moves & self.wrong:
            return None
        return 0.5 * (not moves >= self.wrong) + 0.1 * bool(moves - self.wrong)

    def _moves_of(self, node: ast.AST, by_node: dict[int, _Place]) -> frozenset[int] | None:
        """What an expression moves, or the nearest one around it of which that is known."""
        at: Any = node
        while at is not None and not isinstance(at, ast.FunctionDef):
            if id(at) in by_node and by_node[id(at)].moves is not None:
                return by_node[id(at)].moves
            if isinstance(at, ast.stmt):
                inside = [by_node[id(n)].moves for n in ast.walk(at) if id(n) in by_node]
                known = [m for m in inside if m is not None]
                return frozenset().union(*known) if known else None
            at = self.parents[id(at)][0] if id(at) in self.parents else None
        return None


class _Filled(ast.NodeTransformer):
    """Puts a node in the place of SELF."""

    def __init__(self, node: ast.AST):
        self.node = node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self.node if node.id == SELF else node


def _bound(function: Any, hook: Callable[[Any, dict[str, Any]], Any]) -> Any:
    """A compiled backward whose places call this hook."""
    function.__globals__[_HOOK] = hook
    return function


def _children(node: ast.AST) -> Iterator[tuple[str, int | None, ast.AST]]:
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            yield name, None, value
        elif isinstance(value, list):
            for place, child in enumerate(value):
                if isinstance(child, ast.AST):
                    yield name, place, child


def _held(value: Any) -> Any:
    """A value as it is now, that of a Tensor: an array may be written to later."""
    value = array_of(value)
    return value.copy() if isinstance(value, np.ndarray) and value.size <= 10_000 else value
