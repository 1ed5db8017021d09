"""Breakpoints in a backward pass while it runs: stop where a condition holds, with all at hand."""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from ...array_api.arguments import whole
from ...errors import ArgumentError
from ...nn.module import Module
from ...state import observing
from ...tape import Node, Scope
from ...tensor import Tensor
from ..records.builder import Builder
from ..records.from_tape import saved_values
from ..records.naming import names_of, user_frames
from ..records.parts import Applied, NodeRecord
from ..records.value import Value, norm
from ..show.steps import Stop, describe_backward


class Breakpoints(observing):
    """Breakpoints in every backward pass of a block of code; see `breakpoints`."""

    def __init__(
        self,
        node: Any,
        norm_above: float | None,
        nonfinite: bool,
        when: Callable[[Stop], bool] | None,
        action: Callable[[Stop], Any] | None,
        limit: int | None,
    ):
        super().__init__()
        self._matches = None if node is None else _matcher(node)
        alone = norm_above is None and not nonfinite and when is None
        self._named: str | None = node if isinstance(node, str) and alone else None
        self._seen: set[str] = set()  # the ops that were passed, for a name that is none of them
        self._norm_above = norm_above
        self._nonfinite = nonfinite
        self._when = when
        self._action = action
        self._limit = limit
        self._bad: set[Any] = set()  # what was sent numbers that are not finite
        self._visited = 0
        #: The stops that were made, oldest first.
        self.stops: list[Stop] = []

    def _watchers(self) -> tuple[Callable[..., None] | None, ...]:
        return None, self._observe, None

    def _ended(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        """Warn if a condition by name can never have held."""
        self._bad.clear()
        name = self._named
        if name is not None and error is None and self._seen and not self.stops:
            near = difflib.get_close_matches(name, self._seen, 3) or sorted(self._seen)[:8]
            warnings.warn(
                f"breakpoints: no step of the backward pass is {name!r}; it has {', '.join(near)}",
                stacklevel=3,
            )

    def _observe(self, node: Node, upstream: Any, sent: list[tuple[int, Any]]) -> None:
        self._visited += 1
        if self._named is not None:
            self._seen.add(node.op.name)
        if self._limit is not None and len(self.stops) >= self._limit:
            return
        arrays = [(i, _array(g)) for i, g in sent]
        arrived = _array(upstream)
        hit = self._matches is not None and self._matches(node)
        if self._norm_above is not None and not hit:
            hit = norm(arrived) > self._norm_above
        if self._nonfinite and self._is_source(node, arrived, arrays):
            hit = True
        if not hit and self._when is None:
            return
        frames = list(user_frames(sys._getframe(1)))
        stop = _stop(self._visited - 1, node, arrived, arrays, frames)
        if not hit and self._when is not None and not self._when(stop):
            return
        self.stops.append(stop)
        if self._action is not None:
            self._action(stop)
        else:
            stop.interact(_variables(frames))

    def _is_source(self, node: Node, upstream: np.ndarray, sent: list[tuple[int, Any]]) -> bool:
        """Whether numbers that are not finite appear here that did not come from a stop before."""
        bad = [node.inputs[i] for i, g in sent if not is_finite(g)]
        known = node in self._bad
        self._bad.update(bad)
        if known:
            return False
        return bool(bad) or not is_finite(upstream)


def breakpoints(
    node: Any = None,
    *,
    norm_above: float | None = None,
    nonfinite: bool = False,
    when: Callable[[Stop], bool] | None = None,
    action: Callable[[Stop], Any] | None = None,
    limit: int | None = None,
) -> Breakpoints:
    """Stop in the backward passes of a block of code wherever one of the conditions holds.

    `node` is a Tensor of the graph, the name of an op (`"softmax"`), a Module, the path of one
    (`"features.0"`) or a line (`"model.py:12"`). `norm_above` looks at the gradient that arrives.
    `nonfinite` stops where NaN or infinity first appears, not where it is carried on. `when` is
    called with each `Stop`. At a stop a Python prompt opens, with the stop's `node`, `value`,
    `upstream` and `downstream` and the variables of the code that called `backward`; `action` is
    called with the `Stop` instead if it is given. After `limit` stops the rest runs through.

    Nothing is changed: gradients are the same to the last bit. What the prompt or `action` raises
    ends the backward pass, and then no `grad` has changed. A name that fits no step gives a warning
    at the end. A compiled function runs no Python in its backward pass, so there is nothing to stop
    in: call the function under it.

    >>> from backlit import tensor
    >>> x = tensor(3.0, requires_grad=True)
    >>> with breakpoints(norm_above=5, action=lambda stop: print(stop.sentence)):
    ...     ((x * 10) * 10).backward()
    × 10 scales: upstream 10; to x: 10 · 10 = 100
    """
    if node is None and norm_above is None and not nonfinite and when is None:
        raise ArgumentError(
            "breakpoints: a condition is required: a node, norm_above=x, nonfinite=True or "
            "when=function"
        )
    for name, f in (("when", when), ("action", action)):
        if f is not None and not callable(f):
            raise ArgumentError(f"breakpoints: {name} must be a function of a Stop, got {f!r:.60}")
    if limit is not None:
        whole("breakpoints: limit", limit)
    if node is not None and not isinstance(node, Tensor | Module | str):
        raise ArgumentError(
            f"breakpoints: node must be a Tensor, a Module or a name, got {type(node).__name__}"
        )
    if isinstance(node, Tensor) and node.node is None:
        raise ArgumentError(
            "breakpoints: the node must be a Tensor that an op computed and that requires a "
            "gradient; a leaf has no step of its own in the backward pass"
        )
    return Breakpoints(node, norm_above, nonfinite, when, action, limit)


def is_finite(array: np.ndarray) -> bool:
    """Whether all numbers are finite, in one pass where they are of ordinary size."""
    if array.dtype.itemsize > 2:
        flat = array.ravel(order="K")
        if np.isfinite(np.dot(flat, flat)):
            return True
    return bool(np.isfinite(array).all())


def _array(gradient: Any) -> np.ndarray:
    """A gradient's numbers; in a differentiable pass it is a Tensor."""
    return gradient.array if isinstance(gradient, Tensor) else np.asarray(gradient)


def _matcher(what: Any) -> Callable[[Node], bool]:
    """Whether a node is the one that is meant."""
    if isinstance(what, Tensor):
        wanted = what.node
        return lambda node: node is wanted
    if isinstance(what, Module):
        return lambda node: any(s.module is what for s in _calls(node.scope))

    def named(node: Node) -> bool:
        if node.op.name == what:
            return True
        if ":" in what:
            return node.location.partition(",")[0] == what
        if node.scope is None:
            return False
        path = f".{node.scope.path}."
        return f".{what}." in path

    return named


def _calls(scope: Scope | None) -> list[Scope]:
    found = []
    while scope is not None:
        found.append(scope)
        scope = scope.parent
    return found


def _stop(
    number: int,
    node: Node,
    upstream: np.ndarray,
    sent: list[tuple[int, Any]],
    frames: list[FrameType],
) -> Stop:
    """The stop, with a record of this one gate."""
    add = Builder(names_of(frames), None)
    add.scope(node.scope)  # the outermost module knows its parameters' names
    known = saved_values(node)
    places: dict[int, int] = {}
    sources: list[int | None] = []
    for i, x in enumerate(node.inputs):
        if not isinstance(x, Node | Tensor):
            sources.append(None)
            continue
        if id(x) not in places:
            places[id(x)] = add.leaf(x, x.array) if isinstance(x, Tensor) else _made(add, x)
        value = known.get(i)
        if value is not None:
            add.nodes[places[id(x)]].value = Value(value)
        sources.append(places[id(x)])
    gate = add.op(node.op, node.inputs, sources, node, node.scope, (node.code, node.instruction))
    gate.name = add.names.get(id(node))
    gate.requires_grad = True
    result = known.get(-1)
    gate.value = None if result is None else Value(result)
    inputs = tuple(
        known.get(i) if isinstance(x, Node | Tensor) else x for i, x in enumerate(node.inputs)
    )
    gate.applied = Applied(node.op, inputs, node if result is None else result, node.saved)
    record = add.finish(None, None, None)
    gate.upstream = Value(upstream)
    gate.backward_order = 0
    edges = {e.position: e for e in record.incoming[gate.id]}
    for i, gradient in sent:
        edges[i].gradient = Value(np.asarray(gradient))
    return Stop(number, "backward", gate, describe_backward(record, gate), record)


def _made(add: Builder, x: Node) -> int:
    """An input that another op made; what lies before it is not part of this record."""
    number = len(add.nodes)
    made = NodeRecord(number, "op", x.op.name, x.shape, x.dtype)
    made.scope = add.scope(x.scope)
    made.name = add.names.get(id(x))
    made.requires_grad = True
    add.nodes.append(made)
    add.tensors[id(x)] = number
    return number


def _variables(frames: list[FrameType]) -> dict[str, Any]:
    """The variables of the code that called `backward`."""
    return {**frames[0].f_globals, **frames[0].f_locals} if frames else {}
