"""`backlit.compile`: capture a function once for each kind of arguments, then run its graph."""

from __future__ import annotations

import contextlib
import copy
import functools
import gc
import math
import os
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeGuard

import numpy as np

from .. import dtypes
from ..array_api.arguments import whole
from ..array_api.indexing import take
from ..array_api.manipulation import stack
from ..errors import ArgumentError, IndexRangeError, ShapeError, TraceError
from ..op import describe
from ..state import STATE
from ..table import Table
from ..tensor import Tensor, as_tensor, wrap
from ..tree import flatten, unflatten
from . import forks
from .capture.environment import settled as _settled
from .capture.graph import Graph
from .capture.interpreter import interpreter
from .capture.results import MISS
from .capture.trace import Capture, trace

if TYPE_CHECKING:
    from .plan.plan import Plan
    from .plan.report import Profile

#: The recompile limit: this many captures of one function are more than its user expects.
_RECOMPILE_LIMIT = 9
#: The captures of one function that are kept, unless its user says how many.
_KEPT = 128
#: Those kept however large their buffers are; others while all have no more than these bytes.
_ALWAYS_KEPT, _BUFFER_BYTES = 8, 1 << 30
#: A function whose captures each changed what they depend on, this many in a row, is run eagerly.
_UNSTABLE_LIMIT = 3
_HERE = os.path.dirname(os.path.dirname(__file__)) + os.sep


class Runner(Protocol):
    """Runs one captured function."""

    captured: Capture

    def valid(self) -> bool:
        """Whether the environment is still of the kind that was captured."""

    def attempt(self, leaves: Any, fresh: bool = False) -> Any:
        """Run once on the leaves of a call's arguments: updates, then the result; or MISS.

        MISS, with nothing done, if the environment is of another kind. That of a fresh capture
        is not asked: the function may itself have changed a module's mode.
        """

    def repeat(self, leaves: Any, times: int) -> Any:
        """Run `times` times; return the last result."""


Executor = Callable[[Capture], Runner]


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no garbage meanwhile.

    What is made while a function is compiled stays until it is compiled, and is much: going through
    it again and again would take a quarter of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def native(captured: Capture) -> Runner:
    """The executor that compiles the graph to machine code."""
    from .plan.plan import Plan  # with LLVM, which is loaded when something is to be compiled

    return Plan(captured)


class CacheInfo(NamedTuple):
    """What a compiled function keeps; the first four mean what they do for `functools.lru_cache`.

    `code_bytes` are those of object files. `buffer_bytes` are those of temporary values and results
    that are written again at the next call.
    """

    hits: int
    misses: int
    maxsize: int | None
    currsize: int
    code_bytes: int
    buffer_bytes: int


class CompiledFunction:
    """A function that is captured on the first call with each kind of arguments.

    A kind is the nesting of the arguments, the shape, dtype and `requires_grad` of each Tensor, and
    the type and value of everything else. What the function replaces (parameters, optimizer state,
    running statistics, gradients) is replaced after each call as the function itself would.

    Of more than `maxsize` captures, those not used for longest are forgotten with their native code
    and buffers; and so are those of more than eight whose buffers take more than 1 GiB together.
    """

    _lock: Any
    #: Capture looks into `function` instead: see `Environment`.
    _is_compiled_function = True

    def __init__(
        self,
        function: Callable[..., Any],
        executor: Executor = native,
        maxsize: int | None = _KEPT,
    ):
        if not callable(function):
            raise ArgumentError(f"compile: a function is required, got {function!r:.60}")
        if maxsize is not None:  # None: all captures are kept
            maxsize = whole("compile: maxsize, where it is not None,", maxsize)
        functools.update_wrapper(self, function)
        if executor is native:
            from .plan import plan  # noqa: F401  (LLVM is loaded now and not in the first call)
        self.function = function
        self.executor = executor
        self.maxsize = maxsize
        self._runners: dict[Any, list[Runner]] = {}
        self._hits = 0
        forks.give_lock(self, threading.RLock)
        self._captures = 0
        self._last_key: Any = None
        self._name: str | None = None  # the attribute of a class that this is
        self._unstable = 0  # captures in a row that changed what they depend on
        self._warned: set[str] = set()

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As a method: each object has a compiled function of its own, with its own graphs."""
        if instance is None:
            return self
        bound = types.MethodType(self.function, instance)
        own = type(self)(bound, self.executor, self.maxsize)
        if self._name is not None and hasattr(instance, "__dict__"):
            instance.__dict__[self._name] = own
        return own

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledFunction:
        return type(self)(copy.deepcopy(self.function, memo), self.executor, self.maxsize)

    def __copy__(self) -> CompiledFunction:
        return type(self)(self.function, self.executor, self.maxsize)

    def __reduce__(self) -> Any:
        """Code and graphs are not pickled: a function of a module goes by its name."""
        function: Any = self.function
        name = getattr(function, "__qualname__", "")
        found: Any = sys.modules.get(getattr(function, "__module__", None) or "")
        for part in name.split("."):
            found = getattr(found, part, None)
        made = (type(self), (function, self.executor, self.maxsize))
        return name if found is self else made

    def __repr__(self) -> str:
        return f"compile({self.function!r})"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do what the function does."""
        if STATE.execution.captures or STATE.execution.unfolds:
            return self.function(*args, **kwargs)  # part of an outer capture, or looked at
        leaves, key = self._key(args, kwargs)
        for runner in self._runners.get(key, ()):
            if runner.captured.has_aliases(leaves):
                return self._eagerly(args, kwargs)
            result = runner.attempt(leaves)
            if result is not MISS:
                self._hits += 1
                runner.captured.used = self._hits
                return result
        if self._unstable >= _UNSTABLE_LIMIT:
            return self.function(*args, **kwargs)
        runner = self._runner(key, lambda: self._made(trace(self.function, args, kwargs)))
        if runner.captured.has_aliases(leaves):
            return self._eagerly(args, kwargs)
        return runner.attempt(leaves, fresh=True)

    def _eagerly(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function itself: a graph does not know that two of its inputs are one Tensor."""
        self._warn(
            "aliases",
            f"{self._label} changes a Tensor that it is given twice, or is given and finds around "
            "it; such calls run eagerly; hand it over in one way only",
        )
        return self.function(*args, **kwargs)

    def _made(self, captured: Capture, make: Executor | None = None) -> Runner:
        """What runs a capture. One that the function's own changes outdate is run once only."""
        for effect in captured.effects:
            self._warn(
                effect,
                f"{self._label} {effect} while it is captured, not at every call; do it outside, "
                "with what the function returns",
            )
        if not captured.changes:
            self._unstable = 0
            return (make or self.executor)(captured)
        self._unstable += 1
        if self._unstable == _UNSTABLE_LIMIT:
            self._warn(
                "unstable",
                f"{self._label} changes at every call what it depends on, the last time because "
                f"{captured.changes[0]}; it is run eagerly from now on; keep what changes in a "
                "Tensor and replace it with assign()",
            )
        return interpreter(captured)

    @property
    def _label(self) -> str:
        name = getattr(self, "__name__", None) or type(self.function).__name__
        return f"compile: {name}"

    def _warn(self, what: str, message: str) -> None:
        """Say something once."""
        if what not in self._warned:
            self._warned.add(what)
            level, frame = 1, sys._getframe(1)
            while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
                level, frame = level + 1, frame.f_back
            warnings.warn(message, stacklevel=level + 1)

    def repeat(self, times: int, *args: Any, **kwargs: Any) -> Any:
        """Call the function `times` times with the same arguments; return the last result.

        Where everything is native code, so is the loop.
        """
        times = whole("repeat: times", times)
        if self._unstable >= _UNSTABLE_LIMIT:
            for _ in range(times - 1):
                self.function(*args, **kwargs)
            return self.function(*args, **kwargs)
        leaves, runner = self._find(args, kwargs)
        if runner.captured.changes:  # this one is for one call
            result = runner.attempt(leaves, fresh=True)
            return result if times == 1 else self.repeat(times - 1, *args, **kwargs)
        if runner.captured.chained or runner.captured.has_aliases(leaves):
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
        STATE.execution.forbid(
            "epoch: a captured function cannot run the epoch of another; call epoch from "
            "outside, or loop over the steps"
        )
        rows, tensors = _checked_epoch(order, arrays)
        runner = None
        results = []
        if self.executor is native and self._unstable < _UNSTABLE_LIMIT:
            first = (wrap(rows[0]), *tensors)
            runner = self._runner(
                ("epoch", _mode(), *map(_kind, first)),
                lambda: self._made(trace(self._on_rows, first, {}), _plan_of_rows),
            )
            if runner.captured.changes:  # this one is for one call
                results.append(flatten(runner.attempt(first, fresh=True)))
        if _is_plan(runner) and not runner.captured.chained:
            return runner.epoch(rows, tensors)
        results += [
            flatten(self(*[take(t, row, axis=0) for t in tensors]))
            for row in map(wrap, rows[len(results) :])
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
        return leaves, self._runner(key, lambda: self._made(trace(self.function, args, kwargs)))

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        """The leaves of the arguments, and their kind."""
        if not kwargs:
            for x in args:
                if not isinstance(x, Tensor):
                    break
            else:
                return args, (len(args), _mode(), *[_kind(x) for x in args])
        leaves, structure = flatten((args, kwargs))
        return leaves, (structure, _mode(), *[_kind(x) for x in leaves])

    def _runner(self, key: Any, make: Callable[[], Runner]) -> Runner:
        """The runner for a kind of call, made if there is none for the environment as it is."""
        runner = self._kept(key)
        if runner is not None:
            return runner
        with self._lock:  # another thread may have captured the same kind meanwhile
            runner = self._kept(key)
            if runner is not None:
                return runner
            outdated = self._runners.get(key)
            cause = _outdated(outdated[0]) if outdated else ""
            with _uncollected():
                runner = make()
            if not runner.captured.changes:
                runner.captured.used = self._hits
                self._runners.setdefault(key, []).insert(0, runner)
                self._forget_the_oldest(runner)
                self._count(key, cause)
        return runner

    def _kept(self, key: Any) -> Runner | None:
        """The runner for a kind of call that fits the environment as it is."""
        for runner in self._runners.get(key, ()):
            if runner.valid():
                self._hits += 1
                runner.captured.used = self._hits
                return runner
        return None

    def _forget_the_oldest(self, newest: Runner) -> None:
        """Keep no more captures than `maxsize`, nor more buffers than is reasonable."""
        kept = [(key, r) for key, group in self._runners.items() for r in group if r is not newest]
        kept.sort(key=lambda item: item[1].captured.used, reverse=True)  # the last used first
        total = _buffer_bytes(newest)
        most = math.inf if self.maxsize is None else self.maxsize
        for count, (key, runner) in enumerate(kept, 2):
            total += _buffer_bytes(runner)
            if count > most or (count > _ALWAYS_KEPT and total > _BUFFER_BYTES):
                group = self._runners[key]
                group.remove(runner)
                if not group:
                    del self._runners[key]

    def cache_info(self) -> CacheInfo:
        """How many captures are kept and how often they were used, and what memory they take.

        >>> from backlit import ones
        >>> double = compile(lambda x: x + x)
        >>> _ = double(ones(2)), double(ones(3)), double(ones(3))
        >>> double.cache_info()  # doctest: +ELLIPSIS
        CacheInfo(hits=1, misses=2, maxsize=128, currsize=2, code_bytes=..., buffer_bytes=...)
        """
        with self._lock:
            runners = [runner for group in self._runners.values() for runner in group]
            code = sum(r.code_bytes for r in runners if _is_plan(r))
            buffers = sum(map(_buffer_bytes, runners))
            return CacheInfo(self._hits, self._captures, self.maxsize, len(runners), code, buffers)

    def cache_clear(self) -> None:
        """Forget all captures, with their native code and buffers, and the counts of `cache_info`.

        What another thread is running goes when it has finished.
        """
        with self._lock:
            self._runners = {}
            self._hits = self._captures = 0
            self._last_key = None

    def _count(self, key: Any, cause: str) -> None:
        """Warn once if the function is captured again and again, with the cause."""
        self._captures += 1
        if self._captures == _RECOMPILE_LIMIT:
            self._warn(
                "recompile limit",
                f"{self._label} was captured {_RECOMPILE_LIMIT} times, the last time because "
                f"{cause or _difference(self._last_key, key)}; "
                "pass what changes as a Tensor of one shape",
            )
        self._last_key = key

    def profile(self, *args: Any, times: int = 20, **kwargs: Any) -> Profile:
        """Time every kernel of a call, `times` times; parameters and state are put back afterwards.

        Printing it gives a table: time, GFLOP/s, GB/s, share of this machine's limits, and the
        user's line; `save_trace` writes a Chrome trace.
        """
        from .plan.report import profile

        times = whole("profile: times", times)
        leaves, runner = self._find(args, kwargs)
        return profile(self._plan("profile", runner), leaves, times)

    def _latest(self, what: str) -> Runner:
        for group in reversed(list(self._runners.values())):
            for runner in group:
                return runner
        raise ArgumentError(f"{what}: the function has not been called, so nothing is captured yet")

    def _plan(self, what: str, runner: Runner) -> Plan:
        if not _is_plan(runner):
            raise ArgumentError(f"{what}: only native code has kernels; this one is interpreted")
        return runner

    @property
    def graph(self) -> Graph:
        """The graph captured last."""
        return self._latest("graph").captured.graph

    @property
    def kernels(self) -> Table:
        """The kernels compiled last: what was fused, from which lines, bytes and operations."""
        from .plan.report import kernel_table

        return kernel_table(self._plan("kernels", self._latest("kernels")))

    @property
    def plan(self) -> Table:
        """The buffers of what was compiled last: sizes, places in memory, lifetimes."""
        from .plan.report import plan_table

        return plan_table(self._plan("plan", self._latest("plan")))

    @property
    def graphs(self) -> list[Graph]:
        """The graphs captured so far."""
        return [runner.captured.graph for group in self._runners.values() for runner in group]


def _checked_epoch(order: Any, arrays: tuple[Any, ...]) -> tuple[np.ndarray, list[Tensor]]:
    """The arguments of `epoch`, in order."""
    rows = np.asarray(as_tensor(order).numpy(), order="C")
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


def _mode() -> Any:
    """What else of a thread's state decides what a function does."""
    return STATE.grad_enabled, dtypes.DEFAULT_FLOAT, STATE.autocast


def _kind(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        array = leaf.array
        return (array.shape, array.dtype, leaf._requires_grad)
    kind = type(leaf)
    if kind in (float, complex) or isinstance(leaf, np.inexact):
        return (kind, _Text(repr(leaf)))  # -0.0 equals 0.0, and nan is not itself
    if kind.__eq__ is not object.__eq__ and not _settled(kind.__module__):
        return (kind, _Same(leaf))  # what its equality passes over is frozen, too
    try:
        hash(leaf)
    except TypeError:
        raise TraceError(
            f"compile: an argument that is not a Tensor must be hashable, got "
            f"{type(leaf).__name__}; pass arrays as backlit.asarray(array)"
        ) from None
    return (kind, leaf)


class _Text(str):
    """A text that prints without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


class _Same:
    """An object that equals nothing but itself."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)

    def __repr__(self) -> str:
        return f"one {type(self.value).__name__}"


def _outdated(runner: Runner) -> str:
    """Why a runner does not fit its environment any more."""
    for change in runner.captured.guards.changes():
        return str(change)
    for t, present in runner.captured.asked:
        if (t._grad is None) is present:
            return f"a {describe(t)} had {'a' if present else 'no'} gradient before"
    return "the shape, dtype or requires_grad of a Tensor it found around it changed"


def _difference(before: Any, after: Any) -> str:
    """What distinguishes the kinds of two calls, in words."""
    if before[0] != after[0]:
        return "the number or nesting of the arguments changed"
    if before[1] != after[1]:
        return "gradients were switched on or off, or the default dtype"
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


def _buffer_bytes(runner: Runner) -> int:
    return runner.buffer_bytes if _is_plan(runner) else 0


def _is_plan(runner: Runner | None) -> TypeGuard[Plan]:
    from .plan.plan import Plan

    return isinstance(runner, Plan)


def _plan_of_rows(captured: Capture) -> Runner:
    from .plan.plan import Plan

    return Plan(captured, rows=True)


def compile(
    function: Callable[..., Any] | None = None,
    *,
    executor: Executor = native,
    maxsize: int | None = _KEPT,
) -> Any:
    """Capture a function once for each kind of arguments and run the captured graph from then on.

    Usable as a decorator. The function is ordinary code over Tensors: modules, `backward()`,
    `optimizer.step()`. It must not ask for a value (`float(t)`, `if t > 0`): see `TraceError`.

    At most `maxsize` captures are kept (None: all); `cache_info()` counts them and `cache_clear()`
    forgets them, as with `functools.lru_cache`.

    >>> from backlit import tensor
    >>> @compile
    ... def f(x):
    ...     return (x * x).sum()
    >>> f(tensor([1.0, 2.0]))
    Tensor(5., shape=(), dtype=float32)
    """
    if function is None:
        return functools.partial(compile, executor=executor, maxsize=maxsize)
    return CompiledFunction(function, executor, maxsize)
