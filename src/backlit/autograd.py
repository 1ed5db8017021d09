"""Gradients: the reverse walk over the tape, `backward` and `grad`.

The walk visits nodes in reverse order of their making, which is a reverse topological order. At
each it multiplies the upstream gradient by the local one (the op's `backward`), fits the result to
the input, and adds it to what the input already has. There is no recursion, so depth costs nothing.
From the outside in:

    backward, grad    check what they are given, `walk` from it, and hand out what was found
    walk, walk_part   order the nodes (all, or those since one), seed them, and clean up
    walk_back         the loop over gates, of whatever kind: it takes, sends on and adds up
    send              what is done at a node (`_sender` makes it): hooks, observers, errors
    step_back         the product at one gate, fitted to its inputs; knows nothing of the tape

The same walk reads op bodies with NumPy (plain gradients), with Tensors (gradients that can be
differentiated again) or with abstract Tensors (inside `capture`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from .array_api import ones_like
from .array_api.namespace import TENSORS
from .backend import eager, halves
from .backend.eager import EAGER
from .errors import (
    READ_ONCE,
    ArgumentError,
    BacklitError,
    DTypeError,
    GradientError,
    ShapeError,
)
from .foreign import words
from .op import Op, describe
from .ops import elementwise
from .state import STATE, Setting
from .tape import Node, arose, is_open, make_node
from .tensor import Tensor, as_tensor, wrap

Gradient = Any  # an array in a plain walk, a Tensor in a differentiable one
Key = Node | Tensor


def no_grad(function: Any = None) -> Any:
    """A context (or decorator, also without parentheses) in which nothing is put on the tape.

    >>> x = as_tensor(1.0).requires_grad_()
    >>> with no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """
    return _mode(False, function)


def enable_grad(function: Any = None) -> Any:
    """A context (or decorator) in which ops are put on the tape, also inside `no_grad`."""
    return _mode(True, function)


def _mode(enabled: bool, function: Any) -> Any:
    setting = Setting(grad_enabled=enabled)
    return setting if function is None else setting(function)


def is_grad_enabled() -> bool:
    """Whether ops are put on the tape."""
    return STATE.grad_enabled


def topological(roots: Iterable[Key], since: int = -1) -> list[Node]:
    """All nodes from which the roots were computed, in the order of their making.

    With `since`, only those that were made after the one of that number.
    """
    seen: set[Node] = set()
    stack = [r for r in roots if isinstance(r, Node)]
    while stack:
        node = stack.pop()
        if node in seen or node.order < since:
            continue
        seen.add(node)
        for edge in node.inputs:
            if type(edge) is Node and edge not in seen:
                stack.append(edge)
    return sorted(seen, key=attrgetter("order"))


def _useful(order: list[Node], wanted: set[Key]) -> set[Key]:
    """The nodes through which a gradient can reach a wanted one, with the wanted ones."""
    useful = set(wanted)
    for node in order:
        edges = node.inputs
        if any(edge in useful for edge in edges if isinstance(edge, Node | Tensor)):
            useful.add(node)
        elif not edges and node.saved is not None:
            useful.add(node)  # it does not say what it was made of, and is asked for its derivative
    return useful


def _on_tensors(differentiable: bool) -> bool:
    """Whether derivatives are computed by ops, to be differentiated again or captured."""
    return differentiable or STATE.execution.captures


def walk_back(
    gates: Iterable[Any],
    arrived: dict[Any, Gradient],
    send: Callable[[Any, Gradient], Iterable[tuple[Any, Gradient | None]]],
) -> None:
    """Visit gates from the last to the first; what has arrived at one is sent on to its sources.

    `send(gate, upstream)` gives a source and its downstream gradient for each input, None where no
    gradient goes. What several uses send to a source adds up. What is left belongs to leaves.
    """
    for gate in gates:
        upstream = arrived.pop(gate, None)
        if upstream is None:
            continue
        for source, downstream in send(gate, upstream):
            if downstream is not None:
                before = arrived.get(source)
                arrived[source] = downstream if before is None else before + downstream


def walk(
    seeds: list[tuple[Key, Gradient]],
    *,
    wanted: set[Key] | None = None,
    keep: bool = False,
    differentiable: bool = False,
) -> dict[Key, Gradient]:
    """Walk the tape backwards from the seeds and return the gradients of leaves and wanted nodes.

    `wanted` prunes the walk to what leads there. Unless `keep`, visited nodes are released.
    """
    order = topological(key for key, _ in seeds)
    useful = None if wanted is None else _useful(order, wanted)
    freed = None if wanted is None else next((n for n in order if n.saved is None), None)
    on_tensors = _on_tensors(differentiable)
    arrived = _added_up(seeds)
    found: dict[Key, Gradient] = {}
    send = _sender(found, wanted, useful, on_tensors)
    with Setting(grad_enabled=differentiable, scope=STATE.scope, autocast=None):
        walk_back(_from_last(order, keep), arrived, send)
    STATE.execution.derives(None)
    for key, gradient in arrived.items():
        if isinstance(key, Tensor) and key._hooks:
            gradient = _run_hooks(key._hooks, gradient, on_tensors)
        found[key] = gradient
    if freed is not None and not found.keys() >= wanted:  # type: ignore[operator]
        freed.require_live()  # whether the way to what is missing went through it is not known
    return found


def walk_part(
    seeds: list[tuple[Key, Gradient]],
    since: int,
    *,
    keep: bool = False,
    differentiable: bool = False,
) -> dict[Key, Gradient]:
    """Walk back over the nodes made after the one of a number; unless `keep`, they are released.

    Returns what arrives at leaves and at older nodes, before their hooks.
    """
    on_tensors = _on_tensors(differentiable)
    arrived = _added_up(seeds)
    order = topological([key for key, _ in seeds], since)
    with Setting(grad_enabled=differentiable, scope=STATE.scope, autocast=None):
        walk_back(_from_last(order, keep), arrived, _sender({}, None, None, on_tensors))
    return arrived


def _added_up(seeds: list[tuple[Key, Gradient]]) -> dict[Key, Gradient]:
    """What arrives at each output to begin with: one may be given more than once."""
    arrived: dict[Key, Gradient] = {}
    for key, gradient in seeds:
        arrived[key] = gradient if key not in arrived else arrived[key] + gradient
    return arrived


def _from_last(order: list[Node], keep: bool) -> Iterator[Node]:
    """The nodes from the last to the first; unless `keep`, each is released when it was visited."""
    while order:
        node = order.pop()
        yield node
        if not keep:
            node.release()


def _sender(
    found: dict[Key, Gradient],
    wanted: set[Key] | None,
    useful: set[Key] | None,
    on_tensors: bool,
) -> Callable[[Node, Gradient], Iterable[tuple[Any, Gradient | None]]]:
    """How the engine sends what has arrived at a node on: `send` of `walk_back`.

    Hooks are run first. What arrives at wanted nodes is noted in `found`.
    """
    xp = TENSORS if on_tensors else EAGER
    observer = None if STATE.execution.captures else STATE.backward_observer

    def send(node: Node, upstream: Gradient) -> Iterable[tuple[Any, Gradient | None]]:
        if node.saved is None:
            node.require_live()
        if node.hooks:
            upstream = _run_hooks(node.hooks, upstream, on_tensors)
        if wanted is not None and node in wanted:
            found[node] = upstream
        if useful is not None and node not in useful:
            return ()
        if on_tensors:
            _enter(node)
        edges = node.inputs
        try:
            saved: Any = linked_saves(node) if on_tensors else node.saved
            sent = step_back(node.op, upstream, saved, edges, xp, is_open, useful)
        except BaseException as error:
            arose(error, node=node)
            if isinstance(error, _EXPLAINED):
                where = f"in the backward of {node.op.name}, applied at {node.location}"
                error.args = (f"{error}; {where}",)
            raise
        if observer is not None:
            observer(node, upstream, [(i, g) for i, g in enumerate(sent) if g is not None])
        return zip(edges, sent)  # noqa: B905  (at every node, and known to be as many)

    return send


#: What an op's backward may raise that is told together with the line that applied the op.
_EXPLAINED = (BacklitError, ValueError, TypeError, IndexError, AttributeError)


def _enter(node: Node) -> None:
    """What the backward of a node computes belongs to the module of its forward."""
    if STATE.grad_enabled and not node.op.twice_differentiable:
        error = GradientError(
            f"{node.op.name}: its derivative cannot itself be differentiated ({node.location}); "
            "call backward or grad without create_graph"
        )
        arose(error, node=node)
        raise error
    STATE.scope = node.scope
    STATE.execution.derives(node)


def _is_given(target: Any) -> bool:
    return target is not None


def step_back(
    op: Op,
    upstream: Gradient,
    saved: tuple[Any, ...],
    targets: Sequence[Any] | None,
    xp: Any = EAGER,
    takes: Callable[[Any], bool] = _is_given,
    useful: Container[Any] | None = None,
) -> list[Gradient | None]:
    """One gate backwards: the downstream gradient of each input, from what has arrived.

        downstream = upstream · local

    A target is what an input's gradient belongs to: anything with its shape and dtype. Where it is
    None no gradient is computed, nor where `takes` says no (of a node it is not asked), nor where
    it is not one of the `useful`. Without targets all are computed, as the op gives them.
    """
    if xp is not EAGER:
        gradients = op.backward(xp, halves.widened(upstream), *halves.widened(saved))
    elif op.whole or _may_be_narrow(upstream, saved):
        gradients = eager.backward(op, upstream, saved)
    else:
        gradients = op.backward(EAGER, upstream, *saved)
    if type(gradients) is not tuple:
        gradients = (gradients,)
    if targets is None:
        return [g() if callable(g) else g for g in gradients]
    if len(gradients) != len(targets):
        gradients = _completed(op, gradients, [takes(t) for t in targets])
    sent: list[Gradient | None] = []
    for target, gradient in zip(targets, gradients):  # noqa: B905  (at every node)
        goes = gradient is not None and (type(target) is Node or takes(target))
        if not goes or (useful is not None and target not in useful):
            sent.append(None)
            continue
        if callable(gradient):
            gradient = gradient()
        if gradient.shape != target.shape or gradient.dtype != target.dtype:
            if op.sums_itself and gradient.shape != target.shape:
                raise _unsummed(op, len(sent), gradient, target)
            gradient = fit(xp, gradient, target)
        sent.append(gradient)
    return sent


def linked_saves(node: Node) -> tuple[Any, ...]:
    """The saved values as Tensors that know where they came from, for differentiable walks."""
    node.require_live()
    op = node.op
    result = []
    for what, value in zip(op.saves, node.saved or (), strict=True):
        if "." in what:
            result.append(value)
        elif what in op.parameters:
            position = op.parameters.index(what)
            if isinstance(value, tuple):
                edges = node.inputs[position:]
                result.append(tuple(map(_link, value, edges)))
            else:
                result.append(_link(value, node.inputs[position]))
        else:
            result.append(_link(value, node))
    return tuple(result)


def _link(value: Any, edge: Any) -> Any:
    """A saved value as a Tensor on the tape."""
    if isinstance(edge, Node):
        return wrap(value, edge)
    if not isinstance(edge, Tensor):
        return value
    if edge.array is value or not is_open(edge):
        return edge if edge.array is value else wrap(value)
    # The leaf got a new value since: keep the value that was used, and the way to the leaf.
    return wrap(value, make_node(elementwise.Positive(), (edge,), (value,), value))


def _may_be_narrow(upstream: np.ndarray, saved: tuple[Any, ...]) -> bool:
    """Whether there are elements of 16 bits: perhaps floats, which are computed in float32."""
    if upstream.itemsize == 2:
        return True
    for x in saved:  # noqa: SIM110  (at every node: a loop is the fastest)
        if type(x) is np.ndarray and x.itemsize == 2:
            return True
    return False


def _completed(op: Op, gradients: tuple[Any, ...], needed: list[bool]) -> tuple[Any, ...]:
    """A gradient for each input: those left out at the end can have none (index arrays)."""
    missing = len(needed) - len(gradients)
    if missing < 0 or any(needed[len(gradients) :]):
        raise GradientError(
            f"{op.name}.backward must return a gradient for each of {len(needed)} "
            f"inputs, got {len(gradients)}"
        )
    return gradients + (None,) * missing


def fit(xp: Any, gradient: Gradient, target: Any) -> Gradient:
    """The gradient in the shape and dtype of what it belongs to.

    Summed over axes along which the input was broadcast, expanded along axes over which it was
    reduced, cast to its dtype.
    """
    shape = target.shape
    extra = len(gradient.shape) - len(shape)
    if extra >= 0:
        axes = [*range(extra)]
        for a, n in enumerate(shape):
            if n == 1 and gradient.shape[a + extra] != 1:
                axes.append(a + extra)
        if axes:
            gradient = xp.sum(gradient, axis=tuple(axes), keepdims=True)
            gradient = xp.reshape(gradient, gradient.shape[extra:])
    if gradient.dtype != target.dtype:
        gradient = xp.astype(gradient, target.dtype)
    if gradient.shape != shape:
        try:
            gradient = xp.broadcast_to(gradient, shape)
        except ValueError:
            raise ShapeError(
                f"a gradient must broadcast to its input, got {describe(gradient)} for "
                f"{target.dtype.name}{list(shape)}"
            ) from None
    return gradient


def _unsummed(op: Op, i: int, gradient: Any, target: Any) -> ShapeError:
    """The error of a gate whose gradient has not its input's shape."""
    names = op.parameters
    name = names[i] if i < len(names) and not op.variadic else f"input {i}"
    return ShapeError(
        f"{op.name}.backward: the gradient of {name} must have its shape "
        f"{tuple(target.shape)}, got {tuple(gradient.shape)}; sum it over the axes along which "
        "the forward spreads it"
    )


def _run_hooks(hooks: list[Callable[[Tensor], Tensor | None]], gradient: Any, tensors: bool) -> Any:
    value = gradient if tensors else wrap(np.asarray(gradient))
    for hook in list(hooks):
        replaced = hook(value)
        if replaced is not None:
            if not isinstance(replaced, Tensor):
                raise DTypeError(
                    f"hook: a hook must return a Tensor or None, got {type(replaced).__name__}"
                )
            if replaced.shape != value.shape:
                raise ShapeError(
                    f"hook: the gradient must keep its shape {value.shape}, got {replaced.shape}"
                )
            if replaced.dtype != value.dtype:
                raise DTypeError(
                    f"hook: the gradient must keep its dtype {value.dtype}, got {replaced.dtype}; "
                    "use astype"
                )
            value = replaced
    return value if tensors else value.array


def _seed(name: str, output: Tensor, gradient: Any) -> Tensor:
    """The gradient to start from: 1 for a scalar, else the given one."""
    if not isinstance(output, Tensor) or not output.requires_grad:
        got = describe(output) if isinstance(output, Tensor) else words(output)[0]
        raise GradientError(
            f"{name}: the output must have been computed from a Tensor that requires a gradient, "
            f"got {got}; set requires_grad=True on a leaf, and do not detach"
        )
    if gradient is None:
        if output.size != 1:
            raise GradientError(
                f"{name}: without a gradient the output must be a single number, got "
                f"{describe(output)}; reduce it with sum() or mean(), or pass a gradient"
            )
        return ones_like(output)
    seed = as_tensor(gradient)
    if seed.shape != output.shape:
        raise ShapeError(
            f"{name}: the gradient must have the output's shape, got {describe(seed)} for "
            f"{describe(output)}"
        )
    return seed if seed.dtype == output.dtype else seed.astype(output.dtype)


def _key(t: Tensor) -> Key:
    return t.node if t.node is not None else t


def _start(name: str, outputs: Sequence[Tensor], gradients: Any, on_tensors: bool) -> list:
    if gradients is None:
        gradients = [None] * len(outputs)
    elif isinstance(gradients, Tensor | np.ndarray):  # one, not a sequence of its rows
        gradients = [gradients]
    if len(gradients) != len(outputs):
        raise ArgumentError(
            f"{name}: as many gradients as outputs are required, got {len(gradients)} "
            f"and {len(outputs)}"
        )
    seeds = []
    for output, gradient in zip(outputs, gradients, strict=True):
        seed = _seed(name, output, gradient)
        seeds.append((_key(output), seed if on_tensors else seed.array))
    return seeds


def _as_tensor(gradient: Any) -> Tensor:
    return gradient if isinstance(gradient, Tensor) else wrap(np.asarray(gradient))


def backward(
    output: Tensor,
    gradient: Any = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Add the gradient of `output` to the `grad` of every leaf it was computed from.

    A scalar starts with 1; any other output needs its upstream `gradient`. The graph's saved values
    are freed unless `retain_graph`. With `create_graph` the gradients are themselves on the tape.
    If anything fails, no `grad` has changed.

    >>> w = as_tensor([1.0, 2.0]).requires_grad_()
    >>> (w * w).sum().backward()
    >>> w.grad
    Tensor([2., 4.], shape=(2,), dtype=float32)
    """
    on_tensors = _on_tensors(create_graph)
    seeds = _start("backward", [output], [gradient], on_tensors)
    keep = create_graph if retain_graph is None else retain_graph
    for leaf, g in walk(seeds, keep=keep, differentiable=create_graph).items():
        assert isinstance(leaf, Tensor)
        new, old = _as_tensor(g), leaf.grad
        if old is not None:
            with Setting(grad_enabled=create_graph):
                new = old + new
        leaf.grad = new


Tensor.backward = backward  # type: ignore[assignment,method-assign]


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Iterable[Tensor],
    grad_outputs: Any = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> Any:
    """The gradients of the outputs with respect to the inputs, leaving every `grad` alone.

    `inputs` may be leaves or computed Tensors. One Tensor in gives one out, several give a
    tuple. An input that the outputs do not depend on is an error unless `allow_unused`, when its
    gradient is None.

    >>> x = as_tensor(3.0).requires_grad_()
    >>> grad(x**3, x)
    Tensor(27., shape=(), dtype=float32)
    """
    many = isinstance(inputs, Iterable) and not isinstance(inputs, Tensor)
    targets: list[Tensor] = list(inputs) if many else [inputs]  # type: ignore[list-item]
    if not targets:
        raise ArgumentError(f"grad: there must be at least one input, got none{READ_ONCE}")
    for i, t in enumerate(targets):
        if not isinstance(t, Tensor):
            raise DTypeError(f"grad: inputs[{i}] must be a Tensor, got {words(t)[0]}")
        if not t.requires_grad:
            raise GradientError(f"grad: inputs[{i}] ({describe(t)}) does not require a gradient")
    single = isinstance(outputs, Tensor) or not isinstance(outputs, Iterable)
    results: list[Any] = [outputs] if single else list(outputs)
    on_tensors = _on_tensors(create_graph)
    seeds = _start("grad", results, grad_outputs, on_tensors)
    keep = create_graph if retain_graph is None else retain_graph
    found = walk(seeds, wanted={_key(t) for t in targets}, keep=keep, differentiable=create_graph)
    gradients = []
    for i, t in enumerate(targets):
        g = found.get(_key(t))
        if g is None and not allow_unused:
            raise GradientError(
                f"grad: the outputs do not depend on inputs[{i}] ({describe(t)}); "
                "allow_unused=True gives None for it"
            )
        gradients.append(None if g is None else _as_tensor(g))
    return tuple(gradients) if many else gradients[0]


def parameters_of(outputs: Iterable[Tensor]) -> Iterator[Tensor]:
    """The leaves that require a gradient and from which the outputs were computed, each once."""
    seen: set[Tensor] = set()
    for node in topological(_key(t) for t in outputs):
        for edge in node.inputs:
            if isinstance(edge, Tensor) and is_open(edge) and edge not in seen:
                seen.add(edge)
                yield edge
