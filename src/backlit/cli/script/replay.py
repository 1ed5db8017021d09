"""How did a script's loss come from one call of its model? As a function, to be done again.

A diagnosis needs a model, a batch and a loss function. A script has lines. The tape of its loss
says which calls of modules it was made by, and with which ops it was computed of what they
returned: those ops are the loss function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...autograd import topological
from ...errors import ArgumentError
from ...nn.module import Module
from ...op import Op
from ...ops.loss import Loss
from ...tape import Node
from ...tensor import Tensor, apply, wrap
from ...tree import flatten, unflatten

#: How a diagnosis is asked for in the script.
CURE = (
    "for more write the computation as one module, and before the loop "
    "print(see.diagnose(model, (x, y), loss_fn, optimizer)), where loss_fn(model(x), y) is the loss"
)


class Call:
    """A call of a module by the script: with what, and what it returned."""

    def __init__(
        self, module: Module, inputs: tuple[Any, ...], options: dict[str, Any], result: Any
    ):
        self.module, self.inputs, self.options = module, inputs, options
        #: Where on the tape each thing is that it returned, before the script writes into it.
        self.nodes: list[Node | None] = [getattr(x, "node", None) for x in flatten(result)[0]]


@dataclass(frozen=True)
class Replay:
    """One call of a model, and the loss that was computed of what it returned."""

    model: Module
    #: The Tensors that the model was given, then the target.
    batch: list[Tensor]
    call: Callable[..., Any]
    loss_fn: Callable[[Any, Any], Tensor]


def replay(loss: Tensor, calls: Sequence[Call]) -> Replay:
    """The model, its batch and the loss function behind a loss whose graph is alive."""
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
        raise ArgumentError(
            f"the loss is made by {len(models)} calls of modules ({several}), and a diagnosis "
            f"looks at one; {CURE}"
        )
    return _of_one(loss, made[0])


def _of_one(loss: Tensor, call: Call) -> Replay:
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
    rest = _behind(loss, set(outputs))
    lost = next((n for n in rest if type(n.op).forward is Op.forward), None)
    if lost is not None:  # as of a checkpoint: the op knows the way back alone
        raise ArgumentError(f"{lost.op.name} ({lost.location}) cannot be done again; {CURE}")
    batch = [_copy(given[i]) for i in places]
    target = _target(rest, batch[0])
    return Replay(call.module, [*batch, target], again, _loss_fn(loss, rest, outputs))


def _behind(loss: Tensor, outputs: set[Node | None]) -> list[Node]:
    """The nodes from which a loss was computed, without a model's outputs and what made them."""
    seen: set[Node] = set()
    stack: list[Any] = [loss.node]
    while stack:
        node = stack.pop()
        if node not in seen and node not in outputs:
            seen.add(node)
            stack += [edge for edge in node.inputs if isinstance(edge, Node)]
    return sorted(seen, key=lambda n: n.order)


def _loss_fn(
    loss: Tensor, rest: Sequence[Node], outputs: Sequence[Node | None]
) -> Callable[[Any, Any], Tensor]:
    """The ops between a model's outputs and the loss, as a function of the outputs."""
    last = loss.node
    steps = [
        (node, node.op, tuple([_copy(e) if _is_constant(e) else e for e in node.inputs]))
        for node in rest
    ]  # the walk frees the nodes, and the script may write into its Tensors

    def loss_fn(result: Any, target: Any) -> Tensor:
        made: dict[Any, Any] = dict(zip(outputs, flatten(result)[0], strict=True))
        for node, op, inputs in steps:
            made[node] = y = apply(op, *[made[e] if isinstance(e, Node) else e for e in inputs])
            if y.node is not None:  # a finding is about the script's line
                y.node.code, y.node.instruction = node.code, node.instruction
                y.node.scope = node.scope
        return made[last]

    return loss_fn


def _target(rest: Sequence[Node], instead: Tensor) -> Tensor:
    """What a loss compares with; where it compares with nothing, the model's first input."""
    for node in reversed(rest):
        if issubclass(type(node.op), Loss):
            for edge in node.inputs[1:]:
                if _is_constant(edge):
                    return _copy(edge)
    return instead


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
