"""What one thread is doing: what becomes of ops, who looks on, in which module; and its blocks.

A block (`Setting`, `observing`) changes that and puts it back, whatever happens inside.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

from .dtypes import DType
from .op import Op


class State(threading.local):
    """What one thread is doing: read by `apply`, set by context managers."""

    grad_enabled: bool = True
    #: The 16-bit dtype in which a block of mixed precision computes products: see `precision`.
    autocast: DType | None = None
    #: What becomes of ops and values: see `execution`. A capture in progress writes them down.
    execution: Any
    #: Called after each op with (op, inputs, output). None: nobody is watching.
    observer: Callable[[Op, tuple[Any, ...], Any], None] | None = None
    #: Called in a walk after each node with (node, upstream, [(position, downstream), ...]).
    backward_observer: Callable[[Any, Any, list[tuple[int, Any]]], None] | None = None
    #: Called with (tensor, by what) where the values of a Tensor are asked for. None: nobody does.
    reader: Callable[[Any, str], None] | None = None
    #: The module call in progress, a `tape.Scope`.
    scope: Any = None


STATE = State()


def _restorer(entered: list[Any]) -> Iterator[None]:
    """Put this thread's state back when it is dropped, if a block is entered and not left then.

    No signal handler can raise in between: the interpreter looks for signals where a function
    starts, after calls and where loops turn, and none of these is in the `finally`.
    """
    depth = len(entered)
    mode, execution, scope = STATE.grad_enabled, STATE.execution, STATE.scope
    watchers, autocast = (STATE.observer, STATE.backward_observer, STATE.reader), STATE.autocast
    try:
        yield
    finally:
        if entered[depth:]:
            STATE.grad_enabled, STATE.execution, STATE.scope = mode, execution, scope
            STATE.observer, STATE.backward_observer, STATE.reader = watchers
            STATE.autocast = autocast
            del entered[depth:]


class restoring:  # noqa: N801  (a decorator)
    """An `__exit__` after which this thread's state is what it was, whatever happens.

    Ctrl-C may raise as `__exit__` starts, before the first thing that it does. So a `with`
    statement, which asks for `__exit__` before it enters, gets one that holds a restorer: however
    the statement ends, it drops that, and nothing else refers to it. The block's own `__enter__`
    puts an item into `self._entered`, and its `__exit__` removes it, last.
    """

    def __init__(self, leave: Callable[..., Any]):
        self.leave = leave

    def __get__(self, block: Any, owner: Any = None) -> Callable[..., Any]:
        if block is None:
            return self.leave
        leave: Any = functools.partial(self.leave, block)
        leave.restorer = _restorer(block._entered)
        next(leave.restorer)
        return leave


class Setting(contextlib.ContextDecorator):
    """A block (or decorated function) in which attributes of this thread's state are others.

    >>> with Setting(grad_enabled=False):
    ...     STATE.grad_enabled
    False
    """

    def __init__(self, **values: Any):
        self._values = values
        self._entered: list[dict[str, Any]] = []

    def _recreate_cm(self) -> Setting:
        return Setting(**self._values)  # a decorated function may run in many threads at once

    def __enter__(self) -> Any:
        state = STATE
        self._entered.append({name: getattr(state, name) for name in self._values})
        state.__dict__.update(self._values)

    @restoring
    def __exit__(self, *error: object) -> None:
        STATE.__dict__.update(self._entered[-1])
        del self._entered[-1]


#: The attributes of this thread's state that say who looks on.
_WATCHERS = ("observer", "backward_observer", "reader")


class observing:  # noqa: N801  (used like a function)
    """A block in which somebody looks on: at each op, each node of a walk, each value read.

    The functions are called as `State` says. Who was looking on already goes on, and is told first;
    whoever of the two raises, both were told. `alone` puts the others off until the block ends;
    without a function of its own it is a block that nobody sees.

    >>> seen = []
    >>> with observing(lambda op, inputs, y: seen.append(op.name)):
    ...     STATE.observer is not None
    True
    """

    def __init__(
        self,
        forward: Callable[..., None] | None = None,
        backward: Callable[..., None] | None = None,
        read: Callable[..., None] | None = None,
        *,
        alone: bool = False,
    ):
        self._functions = forward, backward, read
        self._alone = alone
        self._entered: list[dict[str, Any]] = []

    def _watchers(self) -> tuple[Callable[..., None] | None, ...]:
        """Who looks on: at ops, at nodes, at values. A block that does so itself says its methods.

        They are asked for when the block is entered, so that it holds no reference to itself.
        """
        return self._functions

    def _ended(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        """What is left to do at the end of the block, when nobody looks on any more."""

    def __enter__(self) -> Any:
        before = {name: getattr(STATE, name) for name in _WATCHERS}
        outer = (None,) * len(_WATCHERS) if self._alone else before.values()
        now = map(_both, outer, self._watchers())
        self._entered.append(before)
        STATE.__dict__.update(zip(_WATCHERS, now, strict=True))
        return self

    @restoring
    def __exit__(self, *error: Any) -> None:
        STATE.__dict__.update(self._entered[-1])
        del self._entered[-1]
        self._ended(*error)


def _both(
    outer: Callable[..., None] | None, inner: Callable[..., None] | None
) -> Callable[..., None] | None:
    """A function that tells both watchers, if there are two."""
    if outer is None:
        return inner
    if inner is None:
        return outer

    def told(*what: Any) -> None:
        try:
            outer(*what)
        finally:
            inner(*what)

    return told


def where_called() -> str:
    """The module in which an error happened, to end its message with."""
    return f"; in {STATE.scope.path}" if STATE.scope is not None else ""
