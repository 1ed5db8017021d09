"""Making a record of the live graph behind a Tensor.

Recording runs its own backward pass on what the ops saved. It touches no `grad`, no random state
and no hook, frees nothing and replaces nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...autograd import topological
from ...backend import eager
from ...dtypes import FLOATING
from ...errors import ArgumentError, GradientError
from ...nn.module import Parameter
from ...op import describe
from ...state import STATE
from ...tape import Node
from ...tensor import Tensor
from .builder import HOOKS, Builder, join, seed_of
from .calls import argument_at, data_at
from .model import Record
from .naming import names_of, user_frames
from .parts import Applied, NodeRecord
from .rounding import shake, within
from .value import Value


def record(output: Tensor, gradient: Any = None, *, step: int | None = None) -> Record:
    """Record the live graph from which a Tensor was computed, with its gradients.

    A scalar output starts the backward pass with 1; any other needs its upstream `gradient`, or
    nothing but forward values is recorded. Forward values that no op saved are computed again; a
    value that cannot be, because a leaf was replaced since, is None and the node's note says so.

    >>> from backlit import tensor
    >>> x = tensor(-2.0, requires_grad=True)
    >>> r = record(x * 3)
    >>> r.find("x").upstream.item(), r.edges[0].local.text
    (3.0, '3')
    """
    if not isinstance(output, Tensor):
        raise ArgumentError(
            f"record: needs the Tensor that was computed, got {type(output).__name__}"
        )
    if not output.requires_grad:
        raise GradientError(
            f"record: the output ({describe(output)}) was not computed from a Tensor that requires "
            "a gradient, so it has no graph; set requires_grad=True on a leaf, or run the code "
            "inside `with see.recording()`"
        )
    if STATE.execution.captures or type(output.array) is not np.ndarray:
        raise ArgumentError("record: a function that is being captured has no values to record")
    names = names_of(user_frames(sys._getframe(1)))
    return _Tape(output, gradient, names, step).build()


def as_record(source: Any) -> Record:
    """The record itself, that of a recording or a formula, or a new one of a Tensor's graph."""
    if isinstance(source, Record):
        return source
    if isinstance(source, Tensor):
        return record(source)
    found = getattr(source, "record", None)
    if isinstance(found, Record):
        return found
    raise ArgumentError(
        f"see: needs a Record, a recording or a Tensor, got {type(source).__name__}"
    )


class _Tape:
    """Reads the live graph behind a Tensor.

    Values that no op saved are computed again when one of them is first asked for, from what is
    kept here: the edges, the saved values, and the leaves' arrays of now.
    """

    def __init__(self, output: Tensor, gradient: Any, names: dict[int, str], step: int | None):
        self.output = output
        self.seed = seed_of(output, gradient)
        self.builder = Builder(names, step, {})
        self.order = topological([output.node] if output.node is not None else [])
        for node in self.order:
            if node.saved is None:
                node.require_live()
        self.inputs: dict[Node, tuple[Any, ...]] = {n: n.inputs for n in self.order}
        self.values: dict[Any, np.ndarray] = {}  # nodes and leaves: the values that were used
        self.known: set[Any] = set()  # those that an op saved
        self.missing: dict[Any, str] = {}
        self.made: dict[Any, NodeRecord] = {}

    def build(self) -> Record:
        self._collect_saved()
        add = self.builder
        for node in self.order:
            add.scope(node.scope)  # outermost modules know the names of the leaves
        for node in self.order:
            for module in getattr(node.op, "modules", ()):  # that were called inside of it
                add.learn(module)
        several, fed = self._sites_of_several_ops(), self._calls_that_are_fed()
        for node in self.order:
            sources: list[int | None] = []
            for i, x in enumerate(node.inputs):
                if isinstance(x, Tensor) and x not in self.made:  # a leaf at its first use
                    site = node.code, node.instruction
                    if not node.op.closed and not isinstance(x, Parameter):
                        alone = site not in several
                        add.called[id(x)] = argument_at(site, node.op, i, alone)
                        if _call_of(node) not in fed:  # what it reads first is what it was given
                            add.called[id(x)] = add.called[id(x)] or data_at(site)
                            fed.add(_call_of(node))
                    self._add_leaf(x)
                sources.append(self.made[x].id if isinstance(x, Node | Tensor) else None)
            site = node.code, node.instruction
            made = add.op(node.op, node.inputs, sources, node, node.scope, site)
            self.made[node] = made
            add.tensors[id(node)] = made.id
            add.alive.append(node)
            made.requires_grad = True
            made.name = add.names.get(id(node))
            if node.hooks:
                made.note = HOOKS
            if node in self.known:
                add.made(made, self.values[node])
            else:
                made.fill = self._fill
            unknown = (None,) * len(node.inputs)
            made.applied = Applied(node.op, unknown, node, node.saved, self._fill)
        key = self.output.node or self.output
        if key not in self.made:
            self._add_leaf(self.output)
        add.tensors[id(self.output)] = self.made[key].id
        add.alive.append(self.output)
        return add.finish(self.made[key].id, self.seed, None)

    def _sites_of_several_ops(self) -> set[tuple[Any, int]]:
        """The instructions that applied more than one kind of op: calls of functions."""
        first: dict[tuple[Any, int], str] = {}
        return {
            site
            for node in self.order
            if first.setdefault(site := (node.code, node.instruction), node.op.name) != node.op.name
        }

    def _calls_that_are_fed(self) -> set[tuple[int, int, int]]:
        """The user's calls that were given what others have computed."""
        of = {node: _call_of(node) for node in self.order}
        return {of[n] for n in self.order for x in n.inputs if type(x) is Node and of[x] != of[n]}

    def _add_leaf(self, x: Tensor) -> None:
        known = x in self.known
        value = self.values.setdefault(x, x.array)
        made = self.builder.nodes[self.builder.leaf(x, value)]
        made.fill = None if known else self._fill
        self.made[x] = made

    def _fill(self) -> None:
        """Compute what no op saved, and hand it to the nodes."""
        for made in self.made.values():
            made.fill = None
            if made.applied is not None:
                made.applied.fill = None
        self._recompute()
        for key, made in self.made.items():
            value = self.values.get(key)
            if value is None or made.value is None:
                made.value = None if value is None else Value(value)
            if key in self.missing:
                made.note = join(made.note, self.missing[key])
            if made.applied is not None:
                inputs = tuple(
                    self.values.get(x) if isinstance(x, Node | Tensor) else x
                    for x in self.inputs[key]
                )
                made.applied.set(inputs, key if value is None else value)

    def _collect_saved(self) -> None:
        """Take the values that ops saved; they are the ones that were used."""
        for node in self.order:
            for position, value in saved_values(node).items():
                self._know(node if position < 0 else node.inputs[position], value)
        if self.output.node is not None:
            self._know(self.output.node, self.output.array)

    def _know(self, key: Any, value: Any) -> None:
        if isinstance(key, Node | Tensor) and isinstance(value, np.ndarray):
            self.values[key] = value
            self.known.add(key)

    def _recompute(self) -> None:
        """Run the ops whose results nobody saved, and test them against the next saved result.

        A leaf that no op saved is read as it is now. If that disagrees with what was saved further
        on, the leaf was replaced: what depends on it is not available. Rounding is no disagreement:
        the op may have been computed in another order, by native code or by NumPy.
        """
        differing: list[tuple[Node, np.ndarray | None]] = []
        closed: set[Any] = set()  # values that only closed ops could compute
        for node in self.order:
            if node.op.closed or closed.intersection(self.inputs[node]):
                if node not in self.known:
                    closed.add(node)
                continue  # it tells nothing of its inputs
            unsure = False
            for x in self.inputs[node]:
                if _is_key(x) and x not in self.known:
                    unsure = True
            if node in self.known and not unsure:
                continue
            computed = self._run(node)
            if node in self.known:
                if computed is None or not _same(computed, self.values[node]):
                    differing.append((node, computed))
            elif computed is not None:
                self.values[node] = computed
        shaken = self._shaken() if differing else {}
        for node, computed in differing:
            self._doubt(node, computed, shaken.get(node))
        for node in self.order:  # what was computed from values that turned out to be others
            lost = [x for x in self.inputs[node] if _is_key(x) and x in self.missing]
            if node not in self.known and (lost or node not in self.values):
                why = "a value that it was computed from is not, either"
                if node.op.closed or not lost:
                    why = node.op.closed or "it cannot be computed again"
                self._lose(node, why)

    def _shaken(self) -> dict[Any, np.ndarray]:
        """What is computed if all that ops are given is off by a rounding error or two."""
        rng, found = np.random.default_rng(0), dict[Any, np.ndarray]()
        for node in self.order:
            values = {
                x: shake(self.values[x] if x in self.known else found.get(x, self.values[x]), rng)
                for x in self.inputs[node]
                if _is_key(x) and x in self.values
            }
            computed = self._run(node, values)
            if computed is not None:
                found[node] = computed
        return found

    def _run(self, node: Node, values: Mapping[Any, np.ndarray] | None = None) -> Any:
        values = self.values if values is None else values
        inputs = []
        for x in self.inputs[node]:
            if _is_key(x):
                if x not in values:
                    return None
                inputs.append(values[x])
            else:
                inputs.append(x)
        try:
            result = np.asarray(eager.forward(node.op, tuple(inputs)))
        except Exception:  # a leaf was replaced by one of another type or shape
            return None
        fits = result.shape == node.shape and result.dtype == node.dtype
        return result if fits else None

    def _doubt(self, node: Node, computed: np.ndarray | None, shaken: np.ndarray | None) -> None:
        """Find which of the values that nobody saved cannot be those that a node has used."""
        behind: dict[Any, None] = {}
        stack = [x for x in self.inputs[node] if _is_key(x)]
        while stack:
            key = stack.pop()
            if key not in self.known and key not in behind:
                behind[key] = None
                stack.extend([x for x in self.inputs.get(key, ()) if _is_key(x)])
        if self._varies(node):
            return  # its inputs may well be the same
        varying = [key for key in behind if isinstance(key, Node) and self._varies(key)]
        for key in varying:
            self._lose(key, "its op gives another value at each call")
        if varying or (computed is not None and within(computed, self.values[node], shaken)):
            return
        leaves = [key for key in behind if isinstance(key, Tensor)]
        which = "it" if len(leaves) == 1 else f"it, or another of {len(leaves)} leaves,"
        for key in behind:
            self._lose(
                key,
                f"{which} was replaced after this computation"
                if isinstance(key, Tensor)
                else "a leaf that it was computed from was replaced since",
            )

    def _varies(self, node: Node) -> bool:
        """Whether an op gives another value at each call."""
        one, other = self._run(node), self._run(node)
        return one is not None and other is not None and not _same(one, other)

    def _lose(self, key: Any, why: str) -> None:
        """Mark a value as not available."""
        if key not in self.missing:
            self.values.pop(key, None)
            self.missing[key] = f"value not available: {why}"


def _call_of(node: Node) -> tuple[int, int, int]:
    """The user's call in which a node was made: from where, and of which module."""
    scope = node.scope
    while (
        scope is not None
        and scope.parent is not None
        and scope.parent.code is node.code
        and scope.parent.instruction == node.instruction
    ):
        scope = scope.parent
    return id(node.code), node.instruction, id(scope)


def _is_key(x: Any) -> bool:
    """Whether an input has a value of its own: all but numbers."""
    return isinstance(x, Node | Tensor)


def saved_values(node: Node) -> dict[int, np.ndarray]:
    """The values that a node saved, by the input's position; its result under -1."""
    known: dict[int, np.ndarray] = {}
    for what, value in zip(node.op.saves, node.saved or (), strict=True):
        if "." in what:
            continue
        if what not in node.op.parameters:
            values: tuple[Any, ...] = (value,)
            first = -1
        else:
            first = node.op.parameters.index(what)
            values = value if isinstance(value, tuple) else (value,)
        known.update({first + i: v for i, v in enumerate(values) if isinstance(v, np.ndarray)})
    return known


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    if a.dtype not in FLOATING:
        return bool(np.array_equal(a, b))
    if a.dtype.itemsize == 2:
        a, b, tolerance = a.astype(np.float32), b.astype(np.float32), 1e-2
    else:
        tolerance = 64 * float(np.finfo(a.dtype).eps)
    with np.errstate(all="ignore"):
        return bool(np.array_equal(a, b) or np.allclose(a, b, tolerance, 0, equal_nan=True))
