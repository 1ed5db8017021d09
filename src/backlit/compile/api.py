"""`backlit.compile`: capture a function once for each kind of arguments, then run its graph."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ..errors import ArgumentError, IndexRangeError, ShapeError, TraceError
from ..functions.indexing import take
from ..functions.manipulation import stack
from ..op import describe
from ..table import Table
from ..tensor import STATE, Tensor, as_tensor, wrap
from . import forks
from .capture import MISS, OUTSIDE, Capture, fill_result, trace
from .graph import Graph
from .interpreter import interpret
from .plan import Plan
from .report import Profile, kernel_table, plan_table, profile
from .tree import flatten, unflatten

#: So many captures of one function are more than its user expects.
_STORM = 9


class Runner(Protocol):
    """Runs one captured function."""

    captured: Capture

    def valid(self) -> bool:
        """Whether the surroundings are still of the kind that was captured."""

    def attempt(self, leaves: Any, fresh: bool = False) -> Any:
        """Run once on the leaves of a call's arguments: updates, then the result; or MISS.

        MISS, with nothing done, if the surroundings are of another kind. Those of a fresh capture
        are not asked: the function may itself have changed a module's mode.
        """

    def repeat(self, leaves: Any, times: int) -> Any:
        """Run `times` times; return the last result."""


Executor = Callable[[Capture], Runner]

#: The executor that compiles the graph to machine code.
native: Executor = Plan


class interpreter:  # noqa: N801  (an executor is called like a function)
    """The executor that interprets the graph with NumPy."""

    def __init__(self, captured: Capture):
        self.captured = captured
        self._kinds = [(t, t.shape, t.dtype, t.requires_grad) for t in captured.found]

    def valid(self) -> bool:
        """Whether the surroundings are still of the kind that was captured."""
        captured = self.captured
        return (
            captured.same_settings()
            and captured.same_gradients()
            and all(
                t.shape == shape and t.dtype == dtype and t.requires_grad == requires_grad
                for t, shape, dtype, requires_grad in self._kinds
            )
        )

    def attempt(self, leaves: Any, fresh: bool = False) -> Any:
        """Interpret the graph once, or MISS."""
        return self._run(leaves) if fresh or self.valid() else MISS

    def _run(self, leaves: Any) -> Any:
        captured = self.captured
        arrays = [x.array for x in leaves if isinstance(x, Tensor)]
        arrays.extend(t.array for t in captured.found)
        try:
            outputs = interpret(captured.graph, arrays)
        except IndexError:
            raise IndexRangeError(OUTSIDE) from None
        following = iter(outputs[captured.results :])
        for t in captured.updated:
            t.array = next(following)
        for t, present in captured.gradients:
            t._grad = wrap(next(following)) if present else None
        return fill_result(captured.result_tree, outputs[: captured.results])

    def repeat(self, leaves: Any, times: int) -> Any:
        """Interpret the graph `times` times."""
        for _ in range(times - 1):
            self._run(leaves)
        return self._run(leaves)


class CompiledFunction:
    """A function that is captured on the first call with each kind of arguments.

    A kind is the nesting of the arguments, the shape, dtype and `requires_grad` of each Tensor, and
    the type and value of everything else. What the function replaces (parameters, optimizer state,
    running statistics, gradients) is replaced after each call as the function itself would.
    """

    _lock: Any

    def __init__(self, function: Callable[..., Any], executor: Executor = native):
        functools.update_wrapper(self, function)
        self.function = function
        self.executor = executor
        self._runners: dict[Any, list[Runner]] = {}
        forks.give_lock(self, threading.RLock)
        self._captures = 0
        self._last_key: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do what the function does."""
        if STATE.trace is not None:
            return self.function(*args, **kwargs)  # part of an outer capture
        leaves, key = self._key(args, kwargs)
        for runner in self._runners.get(key, ()):
            result = runner.attempt(leaves)
            if result is not MISS:
                return result
        runner = self._runner(key, lambda: self.executor(trace(self.function, args, kwargs)))
        return runner.attempt(leaves, fresh=True)

    def repeat(self, times: int, *args: Any, **kwargs: Any) -> Any:
        """Call the function `times` times with the same arguments; return the last result.

        Where everything is native code, so is the loop.
        """
        if times < 1:
            raise ArgumentError(f"repeat: times must be at least 1, got {times}")
        leaves, runner = self._find(args, kwargs)
        if runner.captured.accumulates:  # gradients add up: the second call may be of another kind
            for _ in range(times - 1):
                self(*args, **kwargs)
            return self(*args, **kwargs)
        return runner.repeat(leaves, times)

    def epoch(self, order: Any, *arrays: Any) -> Any:
        """Call the function once for each row of `order`; return the results, stacked.

        `order` holds row numbers, int64 of shape (steps, batch): step t calls the function with the
        rows `order[t]` of each array. Each Tensor of the result gets one more axis of length
        `steps` in front. Where everything is native code, so are the loop and the picking of rows.

        >>> from backlit import arange
        >>> batch_sum = compile(lambda x: x.sum())
        >>> batch_sum.epoch([[0, 1], [3, 2]], arange(4.0))
        Tensor([1., 5.], shape=(2,), dtype=float32)
        """
        if STATE.trace is not None:
            raise TraceError(
                "epoch: a captured function cannot run the epoch of another; call epoch from "
                "outside, or loop over the steps"
            )
        rows, tensors = _checked_epoch(order, arrays)
        runner = None
        if self.executor is native:
            first = (wrap(rows[0]), *tensors)
            runner = self._runner(
                ("epoch", STATE.grad_enabled, *map(_kind, first)),
                lambda: Plan(trace(self._on_rows, first, {}), rows=True),
            )
        if isinstance(runner, Plan) and not runner.captured.accumulates:
            return runner.epoch(rows, tensors)
        results = [
            flatten(self(*[take(t, row, axis=0) for t in tensors])) for row in map(wrap, rows)
        ]
        leaves, structure = results[0]
        return unflatten(
            structure,
            [
                stack([r[i] for r, _ in results]) if isinstance(leaf, Tensor) else leaf
                for i, leaf in enumerate(leaves)
            ],
        )

    def _on_rows(self, row: Tensor, *tensors: Tensor) -> Any:
        return self.function(*[take(t, row, axis=0) for t in tensors])

    def _find(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Runner]:
        """The leaves of the arguments and the runner for their kind."""
        leaves, key = self._key(args, kwargs)
        return leaves, self._runner(key, lambda: self.executor(trace(self.function, args, kwargs)))

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        """The leaves of the arguments, and their kind."""
        if not kwargs:
            for x in args:
                if not isinstance(x, Tensor):
                    break
            else:
                return args, (len(args), STATE.grad_enabled, *[_kind(x) for x in args])
        leaves, structure = flatten((args, kwargs))
        return leaves, (structure, STATE.grad_enabled, *[_kind(x) for x in leaves])

    def _runner(self, key: Any, make: Callable[[], Runner]) -> Runner:
        """The runner for a kind of call, made if there is none for the surroundings as they are."""
        runners = self._runners.setdefault(key, [])
        for runner in runners:
            if runner.valid():
                return runner
        with self._lock:  # another thread may have captured the same kind meanwhile
            for runner in runners:
                if runner.valid():
                    return runner
            runner = make()
            runners.insert(0, runner)
            self._count(key)
        return runner

    def _count(self, key: Any) -> None:
        """Warn once if the function is captured again and again, with the cause."""
        self._captures += 1
        if self._captures == _STORM:
            warnings.warn(
                f"compile: {getattr(self, '__name__', 'the function')} was captured "
                f"{_STORM} times, the last time because {_difference(self._last_key, key)}; "
                "pass what changes as a Tensor of one shape",
                stacklevel=4,
            )
        self._last_key = key

    def profile(self, *args: Any, times: int = 20, **kwargs: Any) -> Profile:
        """Time every kernel of a call, `times` times; parameters and state are put back afterwards.

        Printing it gives a table: time, GFLOP/s, GB/s, share of this machine's limits, and the
        user's line; `save_trace` writes a Chrome trace.
        """
        if times < 1:
            raise ArgumentError(f"profile: times must be at least 1, got {times}")
        leaves, runner = self._find(args, kwargs)
        return profile(self._plan("profile", runner), leaves, times)

    def _latest(self, what: str) -> Runner:
        for group in reversed(list(self._runners.values())):
            for runner in group:
                return runner
        raise ArgumentError(f"{what}: the function has not been called, so nothing is captured yet")

    def _plan(self, what: str, runner: Runner) -> Plan:
        if not isinstance(runner, Plan):
            raise ArgumentError(f"{what}: only native code has kernels; this one is interpreted")
        return runner

    @property
    def graph(self) -> Graph:
        """The graph captured last."""
        return self._latest("graph").captured.graph

    @property
    def kernels(self) -> Table:
        """The kernels compiled last: what was fused, from which lines, bytes and operations."""
        return kernel_table(self._plan("kernels", self._latest("kernels")))

    @property
    def plan(self) -> Table:
        """The buffers of what was compiled last: sizes, places in memory, lifetimes."""
        return plan_table(self._plan("plan", self._latest("plan")))

    @property
    def graphs(self) -> list[Graph]:
        """The graphs captured so far."""
        return [runner.captured.graph for group in self._runners.values() for runner in group]


def _checked_epoch(order: Any, arrays: tuple[Any, ...]) -> tuple[np.ndarray, list[Tensor]]:
    """The arguments of `epoch`, in order."""
    rows = np.ascontiguousarray(as_tensor(order).numpy())
    tensors = [as_tensor(a) for a in arrays]
    if rows.ndim != 2 or not len(rows) or rows.dtype.kind not in "iu":
        raise ArgumentError(
            "epoch: order must be whole numbers of shape (steps, batch) with at least one step, "
            f"got {describe(wrap(rows))}"
        )
    counts = {t.shape[0] if t.shape else None for t in tensors}
    if len(counts) != 1 or None in counts:
        raise ShapeError(
            "epoch: all arrays must have equally many rows, got "
            f"{' and '.join(map(describe, tensors)) or 'none'}"
        )
    n = tensors[0].shape[0]
    outside = rows[(rows < 0) | (rows >= n)]
    if outside.size:
        raise IndexRangeError(f"epoch: row numbers must lie in [0, {n}), got {int(outside[0])}")
    return rows.astype(np.int64, copy=False), tensors


def _kind(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        array = leaf.array
        return (array.shape, array.dtype, leaf.requires_grad)
    try:
        hash(leaf)
    except TypeError:
        raise TraceError(
            f"compile: an argument that is not a Tensor must be hashable, got "
            f"{type(leaf).__name__}; pass arrays as backlit.asarray(array)"
        ) from None
    return (type(leaf), leaf)


def _difference(before: Any, after: Any) -> str:
    """What distinguishes the kinds of two calls, in words."""
    if before == after:
        return "a module's mode or number, a parameter's kind or the presence of a gradient changed"
    if before[0] != after[0]:
        return "the number or nesting of the arguments changed"
    if before[1] != after[1]:
        return "gradients were switched on or off"
    for i, (a, b) in enumerate(zip(before[2:], after[2:], strict=True)):
        if a != b:
            return f"argument {i} was {_named(a)} and then {_named(b)}"
    return "the arguments changed"


def _named(kind: Any) -> str:
    if len(kind) == 3:
        shape, dtype, requires_grad = kind
        grad = " that requires a gradient" if requires_grad else ""
        return f"{dtype.name}[{','.join(map(str, shape))}]{grad}"
    return repr(kind[1])


def compile(function: Callable[..., Any] | None = None, *, executor: Executor = native) -> Any:
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
