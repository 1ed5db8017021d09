"""How did a script's loss come from the calls of its models? As a function, to be done again.

A diagnosis needs a model, a batch and a loss function. A script has lines. The tape of its loss
says which calls of modules it was made by, and with which ops it was computed of what they
returned: those ops are the loss function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autograd import topological
from ...errors import ArgumentError
from ...nn.module import Module
from ...ops.elementwise import Subtract
from ...ops.indexing import Gather, TakeAlongAxis
from ...ops.loss import Loss
from ...tape import Node
from ...tensor import Tensor, apply, wrap
from ...tree import flatten, unflatten

#: How a diagnosis is asked for in the script.
CURE = (
    "for all write the computation as one module, and before the loop "
    "print(see.diagnose(model, (x, y), loss_fn, optimizer)), where loss_fn(model(x), y) is the loss"
)


#: Data by the id of what they were made to by turning their sign, and that.
Turned = Mapping[int, tuple[Tensor, Any]]


class Call:
    """A call of a module by the script: with what, and what it returned."""

    def __init__(
        self,
        module: Module,
        inputs: tuple[Any, ...],
        options: dict[str, Any],
        result: Any,
        place: str = "",
    ):
        self.place = place
        self.module, self.inputs, self.options = module, inputs, options
        #: Where on the tape each thing is that it returned, before the script writes into it.
        self.nodes: list[Node | None] = [getattr(x, "node", None) for x in flatten(result)[0]]
        #: The same of what it was given.
        self.given: list[Node | None] = [
            getattr(x, "node", None) for x in flatten((inputs, options))[0]
        ]


@dataclass(frozen=True)
class Replay:
    """A call of a model, and the loss that was computed of what it returned."""

    model: Module
    #: The Tensors that the model was given, then the target.
    batch: list[Tensor]
    call: Callable[..., Any]
    loss_fn: Callable[[Any, Any], Tensor]
    #: The calls of modules, if there were several: then `call` returns the loss itself.
    calls: str = ""
    #: Where the script called the model; empty where there were several calls.
    place: str = ""
    #: The loss, with a hook that may exchange what each call returns; None: `call` and `loss_fn`.
    through: Callable[[Callable[[list[Any]], list[Any]]], Tensor] | None = None


class Parts(Module):
    """The modules that a loss was made by."""

    def __init__(self, modules: Sequence[Module]):
        super().__init__()
        for i, module in enumerate(modules):
            self.add_module(f"{type(module).__name__}{i + 1 if len(modules) > 1 else ''}", module)


def replay(loss: Tensor, calls: Sequence[Call], turned: Turned | None = None) -> Replay:
    """The model, its batch and the loss function behind a loss whose graph is alive.

    `turned` has the data whose sign was turned to make others: that is done again, too.
    """
    turned = turned or {}
    nodes = topological([] if loss.node is None else [loss.node])
    roots = {id(root): root for root in map(_outermost, nodes) if root is not None}
    models = [r.module for r in roots.values() if any(True for _ in r.module.parameters())]
    if not models:
        raise ArgumentError(
            "no module with parameters was called for the loss, and a diagnosis looks at one "
            f"model; {CURE}"
        )
    on_tape = set(nodes)
    made = [
        c for c in calls
        if any(n in on_tape for n in c.nodes) and any(c.module is m for m in models)
    ]  # fmt: skip
    if len(models) == 1 and not made:
        raise ArgumentError(
            f"{type(models[0]).__name__} returned no Tensor from which the loss is computed (in a "
            f"tuple, a list, a dictionary or a dataclass); {CURE}"
        )
    if len(models) != 1:
        count = Counter(type(m).__name__ for m in models)
        several = ", ".join(n if k == 1 else f"{n} {k} times" for n, k in count.items())
        return _of_several(loss, made, turned, f"{len(models)} calls of modules ({several})")
    return _of_one(loss, made[0], turned)


def _of_one(loss: Tensor, call: Call, turned: Turned) -> Replay:
    given, structure = flatten((call.inputs, call.options))
    places = [i for i, x in enumerate(given) if isinstance(x, Tensor)]
    if not places:
        raise ArgumentError(f"{type(call.module).__name__} was called without a Tensor; {CURE}")

    def again(*tensors: Any) -> Any:
        leaves = list(given)
        for i, x in zip(places, tensors, strict=True):
            leaves[i] = x
        inputs, options = unflatten(structure, leaves)
        return call.module(*inputs, **options)

    outputs = call.nodes
    rest = _behind({loss.node}, set(outputs))
    batch = [_copy(given[i]) for i in places]
    found = _target(rest, call)
    target = batch[0] if found is None else _copy(found)
    return Replay(
        call.module, [*batch, target], again, _loss_fn(loss, rest, outputs, found, turned),
        place=call.place,
    )  # fmt: skip


def _of_several(loss: Tensor, calls: Sequence[Call], turned: Turned, told: str) -> Replay:
    """A loss that several calls made: they, and the script's ops between them, in order."""
    starts: set[Node | None] = {loss.node}
    outputs = {n for c in calls for n in c.nodes if n is not None}
    for c in calls:
        starts |= {n for n in c.given if n is not None}
    rest = _behind(starts - outputs, outputs)
    if any(_outermost(n) is not None and _learns(_outermost(n).module) for n in rest):
        raise ArgumentError(f"the loss is made by {told}, of which one returned no Tensor; {CURE}")
    steps: list[tuple[Any, Any]] = [(n.order, _again(n, turned)) for n in rest]
    steps += [(max(n.order for n in c.nodes if n is not None), _called(c)) for c in calls]
    steps.sort(key=lambda step: step[0])
    last = loss.node

    def through(hook: Callable[[list[Any]], list[Any]]) -> Tensor:
        made: dict[Any, Any] = {_HOOK: hook}
        for _, step in steps:
            step(made)
        return made[last]

    def again(*_: Any) -> Tensor:
        return through(lambda leaves: leaves)

    given = [x for c in calls for x in flatten((c.inputs, c.options))[0] if isinstance(x, Tensor)]
    batch = [_copy(x) for x in given if x.node is None][:1] or [wrap(loss.array.copy())]
    modules = list({id(c.module): c.module for c in calls}.values())
    parts, inputs = Parts(modules), [*batch, batch[0]]
    return Replay(parts, inputs, again, lambda made, _: made, told, through=through)


def _called(call: Call) -> Callable[[dict[Any, Any]], None]:
    given, structure = flatten((call.inputs, call.options))
    given = [
        _copy(x) if n is None and isinstance(x, Tensor) and _is_constant(x) else x
        for x, n in zip(given, call.given, strict=True)
    ]

    def step(made: dict[Any, Any]) -> None:
        leaves = [x if n is None else made[n] for x, n in zip(given, call.given, strict=True)]
        inputs, options = unflatten(structure, leaves)
        result = made[_HOOK](flatten(call.module(*inputs, **options))[0])
        made.update((n, x) for n, x in zip(call.nodes, result, strict=True) if n is not None)

    return step


def _learns(module: Module) -> bool:
    return any(True for _ in module.parameters())


def _behind(starts: Iterable[Node | None], outputs: Set[Node | None]) -> list[Node]:
    """The nodes behind a loss and others, without a model's outputs and what made them."""
    seen: set[Node] = set()
    stack: list[Any] = list(starts)
    while stack:
        node = stack.pop()
        if node not in seen and node not in outputs:
            seen.add(node)
            stack += [edge for edge in node.inputs if isinstance(edge, Node)]
    return sorted(seen, key=lambda n: n.order)


def _loss_fn(
    loss: Tensor,
    rest: Sequence[Node],
    outputs: Sequence[Node | None],
    compared: Tensor | None,
    turned: Turned,
) -> Callable[[Any, Any], Tensor]:
    """The ops between a model's outputs and the loss, as a function of outputs and target."""
    last = loss.node
    steps = [_again(node, turned, compared) for node in rest]

    def loss_fn(result: Any, target: Any) -> Tensor:
        made: dict[Any, Any] = dict(zip(outputs, flatten(result)[0], strict=True))
        made[_TARGET] = target
        for step in steps:
            step(made)
        return made[last]

    return loss_fn


#: What steps are given beside the nodes of the tape: the target, and what may change outputs.
_TARGET, _HOOK = object(), object()


def _again(
    node: Node, turned: Turned, compared: Tensor | None = None
) -> Callable[[dict[Any, Any]], None]:
    """An op of the script, to be done again among what has been made."""
    # the walk frees the nodes, and the script may write into its Tensors
    op = node.op
    inputs = tuple([_given(e, turned, compared) for e in node.inputs])

    def step(made: dict[Any, Any]) -> None:
        given = [made[e] if isinstance(e, Node) or e is _TARGET else e for e in inputs]
        given = [-e.data if isinstance(e, _Opposite) else e for e in given]
        made[node] = y = apply(op, *given)
        if y.node is not None:  # a finding is about the script's line
            y.node.code, y.node.instruction = node.code, node.instruction
            y.node.scope = node.scope

    return step


@dataclass(frozen=True)
class _Opposite:
    """Data whose sign is turned again each time."""

    data: Tensor


def _given(edge: Any, turned: Turned, compared: Tensor | None) -> Any:
    """What an op is given when it is done again."""
    if compared is not None and edge is compared:
        return _TARGET
    if not _is_constant(edge):
        return edge
    made, data = turned.get(id(edge), (None, None))
    if made is edge and isinstance(data, Tensor):
        return _Opposite(_copy(data))
    return _copy(edge)


def _target(rest: Sequence[Node], call: Call) -> Tensor | None:
    """What a loss compares with; where no loss op says that, what is picked or subtracted."""
    rows = next((n.shape[:1] for n in call.nodes if n is not None and n.shape), ())
    found: list[Tensor] = []
    for node in reversed(rest):
        constants = [e for e in node.inputs if _is_constant(e)]
        if issubclass(type(node.op), Loss):
            constants = [e for e in node.inputs[1:] if _is_constant(e)]
            if constants:
                return constants[0]
        elif isinstance(node.op, Subtract | Gather | TakeAlongAxis):
            found += [
                e for e in constants
                if e.shape[:1] == rows and e.size > 1 and not _counts_up(e.array)
            ]  # fmt: skip
    return found[-1] if found and all(x is found[0] for x in found) else None


def _counts_up(a: np.ndarray) -> bool:
    """Whether these are the numbers of the rows themselves: what each row is picked by."""
    return a.ndim == 1 and bool((np.asarray(a) == np.arange(len(a))).all())


def _outermost(node: Node) -> Any:
    """The call of a module by the script in which an op was applied."""
    scope = node.scope
    while scope is not None and scope.parent is not None:
        scope = scope.parent
    return scope


def _is_constant(edge: Any) -> bool:
    return isinstance(edge, Tensor) and not edge.requires_grad


def _copy(x: Tensor) -> Tensor:
    return wrap(x.array.copy())
