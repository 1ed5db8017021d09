"""Capture: run a function once on abstract Tensors and write down what it did.

Modules, `backward()` and `optimizer.step()` are ordinary code here. Compound ops unfold into
primitives because their bodies are run with Tensors. A Tensor that the function finds in its
environment becomes an input; one whose value it replaces becomes an input and an output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from ...changes import Announcing
from ...errors import TraceError
from ...execution import AT_ONCE
from ...op import describe
from ...random import default_generator
from ...state import STATE, Setting
from ...tensor import Tensor, wrap
from ...tree import flatten, unflatten
from .body import belongs_to_step
from .environment import ATOMS, Environment, settled
from .graph import Equation, Graph, Variable
from .guards import MISSING, Change, Containers, Guards, leave, snapshot
from .places import ArgumentOf, AttributeOf, GradientOf, HeldBy
from .results import LINKED, OUTPUT, is_linked
from .tracer import Tracer


@dataclass(eq=False)
class Capture:
    """A graph with the Tensors of the environment that its inputs and outputs stand for.

    Inputs are the arguments' Tensors, then `found`. Outputs are the results' Tensors, then the new
    values of `updated` and of `placed`, then those of `gradients` that are not None.
    """

    graph: Graph
    found: list[Any]  # of Tensor, GradientOf and AttributeOf
    asked: list[tuple[Tensor, bool]]  # each Tensor asked for a gradient, and whether it had one
    updated: list[Tensor]
    placed: list[AttributeOf | ArgumentOf | GradientOf]
    gradients: list[tuple[Tensor, bool]]  # the Tensor, and whether it has a new one at the end
    handed: list[tuple[Tensor, Any]]  # Tensors that get one that was there before, and which
    guards: Guards  # what else it depends on
    changes: list[Change]  # what the function itself has changed of that
    writes: list[tuple[dict[str, Any], str, Any]]  # attributes of modules that it sets
    effects: list[str]  # calls of functions whose effects are not repeated, and where
    result_tree: Any
    results: int
    used: int = 0  # when it was last run, for those that keep captures

    @cached_property
    def linked(self) -> bool:
        """Whether eager execution could differentiate any of the results further."""
        return any(leaf is LINKED for leaf in self.result_tree[1])

    def sources(self, leaves: Any) -> tuple[Tensor, ...]:
        """The Tensors of a call to which gradients of its results would go, if all are known."""
        if not self.linked:
            return ()
        found = [x for x in (*leaves, *self.found) if getattr(x, "_requires_grad", False)]
        return tuple(found) if all(isinstance(x, Tensor) for x in found) else ()

    @cached_property
    def chained(self) -> bool:
        """Whether a call finds what a call before it has left, so that it may be of another kind.

        Gradients that add up, attributes and arguments that were replaced, and what depends on
        which Tensors a call was given.
        """
        if self.placed or self.handed:
            return True
        left = {id(t) for t, present in self.gradients if present}
        return any(present or id(t) in left for t, present in self.asked)

    def gradients_handed(self, leaves: Any) -> list[tuple[Tensor, Tensor]]:
        """The Tensors of `handed` with their gradients of this call."""
        return [(t, x if isinstance(x, Tensor) else x.held(leaves)) for t, x in self.handed]

    def same_gradients(self) -> bool:
        """Whether the Tensors asked for a gradient have one now if they had one then."""
        for t, present in self.asked:  # noqa: SIM110  (at every call: a loop is the fastest)
            if (t._grad is None) is present:
                return False
        return True

    @cached_property
    def _changed(self) -> frozenset[Tensor]:
        """The Tensors that must not be arguments, too: one of two names would miss the change."""
        found = [t for t in self.found if isinstance(t, Tensor)] if self._rewrites else []
        return frozenset([*self.updated, *found])

    @cached_property
    def _rewrites(self) -> bool:
        """Whether a call replaces the value of an argument."""
        return any(isinstance(x, ArgumentOf) for x in self.placed)

    @cached_property
    def _with_gradient(self) -> list[Tensor]:
        """The Tensors whose gradients are read, if anything changes that may be one of these."""
        if not (self.placed or self.updated):
            return []
        return [t for t, present in self.asked if present]

    def _gradients_alias(self, leaves: Any) -> bool:
        """Whether a gradient that is read is an argument, another's gradient or found otherwise."""
        seen = {id(x) for x in (*leaves, *self.found) if isinstance(x, Tensor)}
        for t in self._with_gradient:
            if t._grad is not None and id(t._grad) in seen:
                return True
            seen.add(id(t._grad))
        return False

    def has_aliases(self, leaves: Any) -> bool:
        """Whether a Tensor that changes in the call goes by two names in it."""
        if self._with_gradient and self._gradients_alias(leaves):
            return True
        try:
            if not self._changed.isdisjoint(leaves):
                return True
        except TypeError:  # what cannot be hashed is no Tensor
            return self.has_aliases([x for x in leaves if isinstance(x, Tensor)])
        if not self._rewrites:
            return False
        tensors = [x for x in leaves if isinstance(x, Tensor)]
        return len(set(tensors)) < len(tensors)

    def __str__(self) -> str:
        return str(self.graph)


def trace(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    guarded: bool = True,
) -> Capture:
    """Run a function on abstract twins of the Tensors in its arguments.

    Unless `guarded`, the function depends on its arguments only.
    """
    STATE.execution.forbid(
        "capture: a captured function cannot itself capture; capture the outer one"
    )
    leaves, tree = flatten((args, kwargs))
    if not guarded:
        return _finish(_record(function, leaves, tree, Environment([])), Guards(), [], [], [])
    roots = [(function, getattr(function, "__qualname__", None) or type(function).__name__)]
    roots += [(x, f"argument {i}") for i, x in enumerate(leaves) if not isinstance(x, Tensor)]
    before = Environment(roots, first=True)
    before.guard_arrays(set())
    try:
        with before.watch_effects() as effects:
            run = _record(function, leaves, tree, before)
        before.require_undrawn()
        changes = before.guards.changes()
        scratch: set[str] = set()
        if any(_holds_abstract(c.after) for c in changes):
            scratch = _scratch_places(function, leaves, tree, roots)
            changes = [c for c in changes if c.path not in scratch]
    except BaseException:
        for change in before.guards.changes():
            if _holds_abstract(change.after):
                change.undo()
        raise
    after = Environment(roots, used=run.tracer.used.values())
    guards = after.guards
    guards.forget(scratch)
    changes += _guard_what_was_met(guards, run.tracer)
    effects += _guard_arrays(after, run.tracer)
    return _finish(run, guards, changes, _writes(run.tracer, before, changes), effects)


def _guard_what_was_met(guards: Guards, tracer: Tracer) -> list[Change]:
    """Guard what a run has met and code does not name; the Tensors that have several names.

    Attributes that it sets are no reason for another capture. Hooks, numbers that Tensors were read
    as, and default generators are.
    """
    for place in tracer.found:
        if isinstance(place, AttributeOf):
            guards.pass_over(place.module, place.name)
    # Which of its names was read is known only once a Tensor has one name.
    several = [
        Change(
            f"{type(places[0].module).__name__}.{places[0].name}", "one Tensor", "another", leave
        )
        for old, places in tracer.replaced.items()
        if len(places) > 1 or guards.know(old)
    ]
    for t in tracer.found:
        if isinstance(t, Tensor) and t.requires_grad:
            guards.announced.add_slot(_getter(t), "_hooks", t._hooks, "the hooks of a Tensor")
            if t._hooks:
                guards.announced.add_contents(t._hooks, "the hooks of a Tensor")
    for t, what in tracer.numbers.items():
        guards.open.add_slot(_number_of(t), "", t.array.item(), what)
    for generator in tracer.generators.values():
        path = "the thread and its default generator"
        guards.open.add_result(default_generator, generator, path)
    return several


def _guard_arrays(after: Environment, tracer: Tracer) -> list[str]:
    """Guard the NumPy arrays that were not read as Tensors; what is to be said of the others."""
    read = {key for key, (_, array) in tracer.arrays.items()}
    read |= {id(array.base) for _, array in tracer.arrays.values()}
    return [
        f"computes with the NumPy array {path}, whose elements are read"
        for path in after.guard_arrays(read)
    ]


def _writes(
    tracer: Tracer, before: Environment, changes: list[Change]
) -> list[tuple[dict[str, Any], str, Any]]:
    """The attributes of modules that each call sets to the value of the capture."""
    changed = {c.path for c in changes}
    return [
        (vars(module), name, value)
        for (_, name), (module, value, _) in tracer.written.items()
        if before.has(module)
        and f"{type(module).__name__}.{name}" not in changed
        and not isinstance(value, Announcing | Tensor)
        and not _holds_abstract(value)
    ]


def _getter(t: Tensor) -> Callable[[str, Any], Any]:
    return lambda name, default: getattr(t, name, default)


def _number_of(t: Tensor) -> Callable[[str, Any], Any]:
    return lambda name, default: t.array.item()


def _holds_abstract(value: Any) -> bool:
    """Whether a Tensor without a value is somewhere in a value."""
    return any(type(t.array) is Variable for t in _tensors_in(value))


def _tensors_in(value: Any) -> Iterator[Tensor]:
    """The Tensors in a value: in containers, and in attributes."""
    pending = [value]
    seen: set[int] = set()
    while pending and len(seen) < 10_000:
        value = pending.pop()
        if isinstance(value, Tensor):
            yield value
        elif id(value) not in seen:
            seen.add(id(value))
            if isinstance(value, Containers):
                pending += snapshot(value)
            elif not isinstance(value, type | ModuleType | FunctionType):
                pending += list(getattr(value, "__dict__", {}).values())


def _scratch_places(function: Any, leaves: list[Any], tree: Any, roots: list[Any]) -> set[str]:
    """The places where the function leaves Tensors that it has not read before writing them.

    A second capture tells: it fails if it reads what the first has left.
    """
    before = Environment(roots, first=True)
    _record(function, leaves, tree, before)
    places = set()
    for change in before.guards.changes():
        if not _holds_abstract(change.after):
            continue
        if change.container is not None and len(change.before) != len(change.after):
            raise TraceError(
                f"compile: a captured function cannot put Tensors into what it finds around it, "
                f"but {change.path} has grown by {len(change.after) - len(change.before)}; they "
                "have no values and later calls would add none; return them instead"
            )
        places.add(change.path)
    return places


class _Run(NamedTuple):
    """What one run on abstract Tensors has done."""

    tracer: Tracer
    inputs: list[Variable]
    outputs: list[Variable]
    result: tuple[Any, list[Any]]  # its structure and leaves
    results: int  # how many of the outputs are leaves of the result
    placed: list[Any]  # which places the next ones are for
    gradients: list[tuple[Tensor, bool]]
    handed: list[tuple[Tensor, Any]]


def _record(
    function: Callable[..., Any], leaves: list[Any], tree: Any, before: Environment
) -> _Run:
    """Run the function on abstract twins of the Tensors among its leaves."""
    tracer = Tracer()
    tracer.knows = before.knows
    tracer.changes = before.guards.changes
    inputs, twins = _twins(leaves, tracer)
    arguments = abstract_args, abstract_kwargs = unflatten(tree, twins)
    with Setting(execution=tracer):
        try:
            result = _run(function, abstract_args, abstract_kwargs, tracer)
        finally:
            with Setting(execution=AT_ONCE):
                placed = _taken_back(tracer, before)
        if tracer.numbers_of:
            for change in before.guards.changes():
                for tensor in _tensors_in(change.after):
                    tracer.keep(tensor)
        _require_same_arguments(arguments, twins, tree)
        returned, result_of = _results(result, tracer, before)
        placed.update(_replaced(tracer, inputs))
        gradients, handed, new = _gradients(tracer, placed)
    outputs = [*returned, *tracer.updated.values(), *placed.values(), *new]
    _require_own(inputs, tracer, outputs)
    return _Run(tracer, inputs, outputs, result_of, len(returned), list(placed), gradients, handed)


def _twins(leaves: list[Any], tracer: Tracer) -> tuple[list[Variable], list[Any]]:
    """The inputs for the Tensors among leaves, and the leaves with abstract Tensors for them."""
    inputs: list[Variable] = []
    twins: list[Any] = []
    for leaf in leaves:
        if isinstance(leaf, Tensor):
            variable = Variable(leaf.shape, leaf.dtype)
            inputs.append(variable)
            twin = wrap(variable)
            twin._requires_grad = leaf.requires_grad
            twins.append(twin)
            tracer.twins[twin] = leaf
        else:
            twins.append(leaf)
    return inputs, twins


def _results(
    result: Any, tracer: Tracer, before: Environment
) -> tuple[list[Variable], tuple[Any, list[Any]]]:
    """The variables in a function's result; its structure, and leaves with OUTPUT or LINKED."""
    leaves, structure = flatten(result)
    outputs: list[Variable] = []
    kept: list[Any] = []
    for leaf in leaves:
        if isinstance(leaf, Tensor):
            outputs.append(tracer.read(leaf))
            kept.append(LINKED if is_linked(leaf) else OUTPUT)
        else:
            _require_constant(leaf, before)
            kept.append(leaf)
    return outputs, (structure, kept)


def _replaced(tracer: Tracer, inputs: list[Variable]) -> dict[Any, Variable]:
    """The new values of arguments, and of gradients that were there before, which get them."""
    placed: dict[Any, Variable] = {}
    for position, (twin, variable) in enumerate(zip(tracer.twins, inputs, strict=True)):
        if twin.array is not variable:
            placed[ArgumentOf(position)] = twin.array
    for place, brought in tracer.brought.values():
        if brought.array is not tracer.found[place]:
            placed[place] = brought.array
    return placed


def _gradients(
    tracer: Tracer, placed: dict[Any, Variable]
) -> tuple[list[tuple[Tensor, bool]], list[tuple[Tensor, Any]], list[Variable]]:
    """What becomes of the gradients that were set: as in `Capture`; and the new ones' values."""
    gradients: list[tuple[Tensor, bool]] = []
    handed: list[tuple[Tensor, Any]] = []
    new: list[Variable] = []
    for tensor, gradient in tracer.gradients.items():
        if type(tensor.array) is Variable:
            if gradient is not None:
                _require_none_left(tensor, tracer, placed)
            continue  # the gradient of a Tensor made inside
        source = None if gradient is None else tracer.whose(gradient)
        if source is not None:
            handed.append((tensor, source))
            continue
        gradients.append((tensor, gradient is not None))
        if gradient is not None:
            new.append(tracer.read(gradient))
    return gradients, handed, new


def _require_none_left(tensor: Tensor, tracer: Tracer, placed: dict[Any, Variable]) -> None:
    """Raise if a Tensor with a gradient, which the call ends with, outlives the call."""
    if tensor in tracer.twins:
        raise TraceError(
            "backward: a captured function leaves no gradient in the grad of its "
            f"arguments, but {describe(tensor)} requires one; return backlit.grad(…), "
            "detach the argument, or let the function find it in its surroundings"
        )
    if any(isinstance(place, AttributeOf) and place.model is tensor for place in placed):
        raise TraceError(
            "backward: a captured function leaves no gradient in the grad of a leaf "
            f"that it makes itself, but {describe(tensor)} is left in an attribute; "
            "make it outside, as by calling the module once before"
        )


def _taken_back(tracer: Tracer, before: Environment) -> dict[Any, Variable]:
    """Put back what was in attributes of modules that now hold abstract Tensors; their new values.

    What was read there before it was set is read from the attribute at each call.
    """
    placed: dict[Any, Variable] = {}
    for (_, name), (module, value, old) in tracer.written.items():
        now = vars(module).get(name)
        abstract = isinstance(now, Tensor) and type(now.array) is Variable
        if now is not value or not abstract or not before.has(module):
            continue
        place = AttributeOf(module, name, now)
        if isinstance(old, Tensor) and old in tracer.updated:
            placed[HeldBy(module, name, now)] = tracer.updated.pop(old)
        placed[place] = tracer.read(now)
        if old is MISSING:
            delattr(module, name)
        else:
            setattr(module, name, old)
        if isinstance(old, Tensor):
            read = tracer.found.pop(old, None)
            if read is not None or old in tracer.replaced:
                tracer.replaced.setdefault(old, []).append(place)
            tracer.found[place] = read or Variable(old.shape, old.dtype)
    return placed


def _run(function: Callable[..., Any], args: Any, kwargs: Any, tracer: Tracer) -> Any:
    """The function's result, or the error of what it cannot do, whatever it has made of that."""
    try:
        result = function(*args, **kwargs)
    except Exception as error:
        if tracer.refused is None or error is tracer.refused:
            raise
        raise tracer.refused from None
    if tracer.refused is not None:
        raise tracer.refused
    return result


def _finish(
    run: _Run,
    guards: Guards,
    changes: list[Change],
    writes: list[tuple[dict[str, Any], str, Any]],
    effects: list[str],
) -> Capture:
    """The capture of a run, with what else it depends on."""
    tracer = run.tracer
    return Capture(
        Graph([*run.inputs, *tracer.found.values()], tracer.equations, run.outputs),
        list(tracer.found),
        list(tracer.asked.items()),
        list(tracer.updated),
        run.placed,
        run.gradients,
        run.handed,
        guards,
        changes,
        writes,
        effects,
        run.result,
        run.results,
    )


def _require_own(inputs: list[Variable], tracer: Tracer, outputs: list[Variable]) -> None:
    """Raise if a Tensor is read that an earlier capture has left somewhere."""
    known = {*inputs, *tracer.found.values()}
    for e in tracer.equations:
        for x in e.inputs:
            if isinstance(x, Variable) and x not in known:
                raise _left(x, f" by {e.op.name} ({e.location})", tracer.equations)
        known.add(e.output)
    for x in outputs:
        if x not in known:
            raise _left(x, "", tracer.equations)


def _left(x: Variable, reader: str, equations: list[Equation]) -> TraceError:
    if belongs_to_step(x, equations):
        return TraceError(
            f"scan: a {describe(x)} is read{reader} outside of the step that has made it, and a "
            "captured loop keeps none of its steps; return it as y, or carry it"
        )
    return TraceError(
        f"compile: a {describe(x)} is read{reader} that an earlier captured call has made and left "
        "behind: it has no value; make it outside the function, keep what changes in a Tensor "
        "with assign(), or return it"
    )


def _require_same_arguments(arguments: Any, twins: list[Any], tree: Any) -> None:
    """Raise if the function has changed a list, a dict or the like that was passed to it."""
    leaves, structure = flatten(arguments)
    if structure != tree or any(a is not b for a, b in zip(leaves, twins, strict=True)):
        raise TraceError(
            "compile: a captured function cannot change a list, dict or dataclass among its "
            "arguments, because later calls would not; return what it puts there"
        )


def _require_constant(leaf: Any, before: Environment) -> None:
    """Raise if a value in the result is one that differs from call to call in eager execution."""
    kind = type(leaf)
    if isinstance(leaf, ATOMS):
        return
    if isinstance(leaf, np.ndarray):
        if before.knows(leaf):
            return
        problem = "NumPy computes it once"
    elif before.has(leaf):
        return
    elif hasattr(kind, "__next__") or hasattr(kind, "__await__"):
        problem = "it runs once"
    elif _holds_abstract(leaf):
        problem = "Tensors inside it have no values"
    elif isinstance(leaf, Containers) or not settled(kind.__module__):
        problem = "every call would return the same one"
    else:
        return
    raise TraceError(
        f"compile: a captured function returned a {kind.__name__}, but {problem}; return Tensors, "
        "alone or in tuples, lists, dicts and dataclasses"
    )


def capture(function: Callable[..., Any]) -> Callable[..., Graph]:
    """The function that runs `function` on abstract Tensors and returns the graph of what it did.

    >>> from backlit import tensor
    >>> print(capture(lambda x: x * x + 1)(tensor([1.0, 2.0])))  # doctest: +ELLIPSIS
    inputs  a: float32[2]
    b: float32[2] = multiply a a ...
    c: float32[2] = add b 1 ...
    return  c
    """

    def captured(*args: Any, **kwargs: Any) -> Graph:
        return trace(function, args, kwargs).graph

    return captured
