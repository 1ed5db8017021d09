"""Parts of a network whose values are not kept, but computed again for the gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ...array_api import concat, reshape
from ...array_api.arguments import whole
from ...autograd import topological, walk_part
from ...errors import ArgumentError
from ...op import Op
from ...random import Generator, default_generator
from ...state import STATE, Setting, observing
from ...tape import Node, is_open, make_node
from ...tensor import Tensor, wrap
from ..keeping import generators
from ..module import Module


class Recomputed(Op):
    """What a function makes of Tensors; its gradient is that of the function, computed again."""

    twice_differentiable = False
    closed = (
        "a checkpoint keeps no values, they are computed again for the gradient; a recording of "
        "the forward pass has them: with see.recording() as r: ..."
    )

    def __init__(self, part: _Part):
        super().__init__()
        self._key = (type(self), object())  # each application is itself
        self.part = part

    def __repr__(self) -> str:
        return self.name

    @property
    def modules(self) -> tuple[Module, ...]:
        """The modules that the function called."""
        return tuple(self.part.modules)

    def backward(self, xp: Any, grad_y: Any) -> Any:
        """The gradients of all that the function depends on."""
        return self.part.gradients(np.asarray(grad_y))


class _Part:
    """One call of a function: its arguments, and what its result depends on."""

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        options: dict[str, Any],
        preserve: bool,
    ):
        self.function, self.args, self.options = function, args, options
        sources: dict[str, Generator] = {"default": default_generator()}
        if isinstance(function, Module):
            sources = generators(function)
        self.autocast = STATE.autocast
        kept = sources.values() if preserve else ()
        #: Where the random numbers begin.
        self.random = [(g, g.key.array, g.counter.array) for g in kept]
        #: What a gradient goes to: a position among the arguments, a leaf, or an older Node.
        self.sources: list[Any] = []
        #: The modules that were called, without those inside them.
        self.modules: list[Module] = []

    def run(self) -> tuple[Any, list[Tensor], dict[int, Tensor], int]:
        """The result on a tape of its own, its Tensors and arguments there, where that begins."""
        twins = {
            i: wrap(a.array).requires_grad_()
            for i, a in enumerate(self.args)
            if isinstance(a, Tensor) and a.requires_grad
        }
        args = [twins.get(i, a) for i, a in enumerate(self.args)]
        since = next(Node._counter)
        with Setting(grad_enabled=True, autocast=self.autocast), observing(alone=True):
            result = self.function(*args, **self.options)
        return result, [y for y in _tensors(result) if y.requires_grad], twins, since

    def found(self, outputs: list[Tensor], twins: dict[int, Tensor], since: int) -> None:
        """Note what the outputs depend on."""
        places = {id(t): i for i, t in twins.items()}
        seen: set[int] = set()
        nodes = topological((y.node or y for y in outputs), since)
        inside = {id(node) for node in nodes}
        for scope in {id(node.scope): node.scope for node in nodes}.values():
            while scope is not None and scope.parent is not None:
                scope = scope.parent
            if scope is not None and all(scope.module is not m for m in self.modules):
                self.modules.append(scope.module)
        edges = [e for node in nodes for e in node.inputs if is_open(e) and id(e) not in inside]
        for edge in [*edges, *(y for y in outputs if y.node is None)]:
            if id(edge) not in seen:
                seen.add(id(edge))
                self.sources.append(places.get(id(edge), edge))

    def keys(self) -> tuple[Any, ...]:
        """The inputs of the one node that stands for the part."""
        return tuple(self.args[s] if isinstance(s, int) else s for s in self.sources)

    def gradients(self, grad_y: np.ndarray) -> tuple[Any, ...]:
        """What goes to each of the sources, of the gradient of all outputs end to end."""
        now = [(g, g.key.array, g.counter.array) for g, _, _ in self.random]
        try:
            _put(self.random)
            _, outputs, twins, since = self.run()
        finally:
            _put(now)
        seeds, start = [], 0
        for y in outputs:
            piece = grad_y.reshape(-1)[start : start + y.size].reshape(y.shape)
            seeds.append((y.node or y, piece.astype(y.dtype, copy=False)))
            start += y.size
        arrived = walk_part(seeds, since)
        return tuple(arrived.get(twins[s] if isinstance(s, int) else s) for s in self.sources)


def _put(states: list[tuple[Generator, Any, Any]]) -> None:
    for generator, key, counter in states:
        generator.key.array, generator.counter.array = key, counter


def _tensors(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, tuple | list):
        for part in result:
            yield from _tensors(part)
    elif result is not None:
        raise ArgumentError(
            "checkpoint: the function must return Tensors, alone or in tuples or lists, got "
            f"{type(result).__name__}"
        )


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Any = None,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, whose values inside are computed again for the gradient.

    Until then only the arguments are kept, so a network in k parts needs the memory of its k
    arguments and of one part. Random numbers are the same the second time: those of the default
    generator, and, if the function is a module, of its own (`preserve_rng_state=False`: new ones).
    Running statistics are updated both times, as in PyTorch. The gradient cannot be differentiated
    again. In a captured function it is the call itself: the compiler decides what is kept; and
    where `see` looks on, which shows what is inside. PyTorch's other arguments change nothing.

    >>> from backlit import tensor
    >>> x = tensor([1.0, 2.0], requires_grad=True)
    >>> y = checkpoint(lambda x: (x * x).sum(), x)
    >>> y.op
    'recomputed'
    >>> y.backward()
    >>> x.grad
    Tensor([2., 4.], shape=(2,), dtype=float32)

    Source: Chen et al., "Training deep nets with sublinear memory cost", arXiv:1604.06174.
    """
    if context_fn is not None:
        raise ArgumentError(
            "checkpoint: context_fn must be None: what is kept is the part's arguments; enter the "
            "contexts inside of the function"
        )
    if STATE.execution.captures or not STATE.grad_enabled or STATE.observer is not None:
        return function(*args, **kwargs)
    part = _Part(function, args, kwargs, preserve_rng_state)
    result, outputs, twins, since = part.run()
    if not outputs:
        return result
    part.found(outputs, twins, since)
    op, inputs = Recomputed(part), part.keys()
    flat = outputs[0].detach()
    if len(outputs) > 1:
        with observing(alone=True):
            flat = concat([reshape(y.detach(), (y.size,)) for y in outputs])
    flat.node = make_node(op, inputs, (), flat.array)
    flat._requires_grad = True
    if len(outputs) == 1:
        return _replaced(result, {id(outputs[0]): flat})
    linked, start = {}, 0
    for y in outputs:
        piece = reshape(flat[start : start + y.size], y.shape)
        linked[id(y)] = piece if piece.dtype == y.dtype else piece.astype(y.dtype)
        start += y.size
    return _replaced(result, linked)


def _replaced(result: Any, linked: dict[int, Tensor]) -> Any:
    """A result with other Tensors in it."""
    if not isinstance(result, tuple | list):
        return linked.get(id(result), result)
    parts = [_replaced(part, linked) for part in result]
    return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)


def checkpoint_sequential(
    functions: Iterable[Callable[..., Any]],
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
) -> Any:
    """Functions one after the other, in `segments` parts, all but the last through `checkpoint`."""
    layers = list(functions.children() if isinstance(functions, Module) else functions)
    count = whole("checkpoint_sequential: segments", segments)
    if count > len(layers):
        raise ArgumentError(
            f"checkpoint_sequential: segments must be at most the number of functions, "
            f"{len(layers)}, got {segments}"
        )
    size = len(layers) // count

    def run(part: list[Callable[..., Any]]) -> Callable[..., Any]:
        def forward(x: Any) -> Any:
            for layer in part:
                x = layer(x)
            return x

        return forward

    for number in range(count - 1):
        part = run(layers[number * size : (number + 1) * size])
        input = checkpoint(part, input, preserve_rng_state=preserve_rng_state)
    return run(layers[(count - 1) * size :])(input)


__all__ = ["checkpoint", "checkpoint_sequential"]
