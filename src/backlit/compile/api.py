"""`backlit.compile`: capture a function once for each kind of arguments, then run its graph."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..errors import TraceError
from ..tensor import STATE, Tensor, wrap
from .capture import Capture, fill_result, trace
from .graph import Graph
from .interpreter import interpret
from .plan import Plan
from .tree import flatten

#: Runs a captured function on the leaves of a call's arguments: updates, then the result.
Runner = Callable[[list[Any]], Any]
Executor = Callable[[Capture], Runner]


def interpreter(captured: Capture) -> Runner:
    """The executor that interprets the graph with NumPy."""
    return functools.partial(_interpret, captured)


def native(captured: Capture) -> Runner:
    """The executor that compiles the graph to machine code."""
    return Plan(captured)


class CompiledFunction:
    """A function that is captured on the first call with each kind of arguments.

    A kind is the nesting of the arguments, the shape, dtype and `requires_grad` of each Tensor, and
    the type and value of everything else. What the function replaces (parameters, optimizer state,
    running statistics, gradients) is replaced after each call as the function itself would.
    """

    def __init__(self, function: Callable[..., Any], executor: Executor = interpreter):
        functools.update_wrapper(self, function)
        self.function = function
        self.executor = executor
        self._captures: dict[Any, list[tuple[Capture, Runner, list[Any]]]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if STATE.trace is not None:
            return self.function(*args, **kwargs)  # part of an outer capture
        leaves, structure = flatten((args, kwargs))
        key = (structure, STATE.grad_enabled, *map(_kind, leaves))
        for known in self._captures.get(key, ()):
            if _still_valid(*known):
                return known[1](leaves)
        captured = trace(self.function, args, kwargs)
        runner = self.executor(captured)
        guards = [(t, t.shape, t.dtype, t.requires_grad) for t in captured.found]
        self._captures.setdefault(key, []).append((captured, runner, guards))
        return runner(leaves)

    @property
    def graphs(self) -> list[Graph]:
        """The graphs captured so far."""
        return [known[0].graph for group in self._captures.values() for known in group]


def _kind(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        return (leaf.shape, leaf.dtype, leaf.requires_grad)
    try:
        hash(leaf)
    except TypeError:
        raise TraceError(
            f"compile: an argument that is not a Tensor must be hashable, got "
            f"{type(leaf).__name__}; pass arrays as backlit.asarray(array)"
        ) from None
    return (type(leaf), leaf)


def _still_valid(captured: Capture, runner: Runner, guards: list[Any]) -> bool:
    """Whether the surroundings are still of the kind that was captured."""
    return all(m.training == flag for m, flag in captured.modules.items()) and all(
        t.shape == shape and t.dtype == dtype and t.requires_grad == requires_grad
        for t, shape, dtype, requires_grad in guards
    )


def _interpret(captured: Capture, leaves: list[Any]) -> Any:
    arrays = [x.array for x in leaves if isinstance(x, Tensor)]
    arrays.extend(t.array for t in captured.found)
    outputs = interpret(captured.graph, arrays)
    following = iter(outputs[captured.results :])
    for t in captured.updated:
        t.array = next(following)
    for t, present in captured.gradients:
        t._grad = wrap(next(following)) if present else None
    return fill_result(captured.result_tree, outputs[: captured.results])


def compile(function: Callable[..., Any] | None = None, *, executor: Executor = interpreter) -> Any:
    """Capture a function once for each kind of arguments and run the captured graph from then on.

    Usable as a decorator. The function is ordinary code over Tensors: modules, `backward()`,
    `optimizer.step()`. It must not ask for a value (`float(t)`, `if t > 0`): see `TraceError`.

    >>> from backlit import tensor
    >>> @compile
    ... def f(x):
    ...     return (x * x).sum()
    >>> f(tensor([1.0, 2.0]))
    Tensor(5., shape=(), dtype=float32)
    """
    if function is None:
        return functools.partial(compile, executor=executor)
    return CompiledFunction(function, executor)
