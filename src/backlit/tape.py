"""The tape: which op made what from what, at which line of the user's, and what a thread is doing.

A Node is one application of an op: the op, the edges to what it was computed from, and the values
that the derivative needs. The nodes are the tape that `backward` walks, `see` reads and `compile`
captures. A Node never refers to its own Tensor, so a graph has no reference cycles and dies with
its last Tensor.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count
from types import CodeType, FrameType
from typing import Any, NamedTuple

from .dtypes import DType
from .errors import GraphFreedError
from .op import Op, Shape


class State(threading.local):
    """What one thread is doing: read by `apply`, set by context managers."""

    grad_enabled: bool = True
    #: What becomes of ops and values: see `execution`. A capture in progress writes them down.
    execution: Any
    #: Called after each op with (op, inputs, output). None: nobody is watching.
    observer: Callable[[Op, tuple[Any, ...], Any], None] | None = None
    #: Called in a walk after each node with (node, upstream, [(position, downstream), ...]).
    backward_observer: Callable[[Node, Any, list[tuple[int, Any]]], None] | None = None
    #: Called with (tensor, by what) where the values of a Tensor are asked for. None: nobody does.
    reader: Callable[[Any, str], None] | None = None
    #: The module call in progress.
    scope: Scope | None = None


STATE = State()


def _restorer(entered: list[Any]) -> Iterator[None]:
    """Put this thread's state back when it is dropped, if a block is entered and not left then.

    No signal handler can raise in between: the interpreter looks for signals where a function
    starts, after calls and where loops turn, and none of these is in the `finally`.
    """
    depth = len(entered)
    mode, execution, scope = STATE.grad_enabled, STATE.execution, STATE.scope
    watchers = STATE.observer, STATE.backward_observer, STATE.reader
    try:
        yield
    finally:
        if entered[depth:]:
            STATE.grad_enabled, STATE.execution, STATE.scope = mode, execution, scope
            STATE.observer, STATE.backward_observer, STATE.reader = watchers
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


class Scope:
    """One call of a module: which one, inside which other call, from which user line."""

    __slots__ = ("code", "instruction", "module", "parent")

    def __init__(self, module: Any, parent: Scope | None):
        self.module = module
        self.parent = parent
        self.code, self.instruction = _user_site()

    @property
    def path(self) -> str:
        """The attribute path from the outermost module: `Net.features.0`."""
        chain: list[Scope] = []
        scope: Scope | None = self
        while scope is not None:
            chain.append(scope)
            scope = scope.parent
        names = [type(chain[-1].module).__name__]
        for outer, inner in zip(chain[::-1], chain[-2::-1], strict=False):
            names.append(_name_within(outer.module, inner.module))
        return ".".join(names)


def _name_within(outer: Any, inner: Any) -> str:
    for name, module in outer.named_modules():
        if module is inner:
            return name
    return type(inner).__name__


class _Internal(dict):
    """Whether a source file is passed over in the search for the user's line, by its name."""

    def __missing__(self, filename: str) -> bool:
        inside = filename.startswith(os.path.dirname(__file__) + os.sep)
        # A decorator's frame stands between two of ours.
        return self.setdefault(filename, inside or filename == contextlib.__file__)


_INTERNAL = _Internal()


def _user_site() -> tuple[CodeType, int]:
    """The innermost place outside Backlit on the call stack, as code and instruction offset."""
    frame: FrameType = sys._getframe(2)
    while _INTERNAL[frame.f_code.co_filename]:
        outer = frame.f_back  # asked for once: at every op
        if outer is None:
            break
        frame = outer
    return frame.f_code, frame.f_lasti


class Node:
    """One application of an op on the tape.

    `inputs` has an edge for each input: the Node that computed it, else the Tensor itself (a leaf),
    else a Python number. Nodes are numbered as they are made, so that order is a topological one.
    """

    __slots__ = (
        "code",
        "dtype",
        "hooks",
        "inputs",
        "instruction",
        "op",
        "order",
        "saved",
        "scope",
        "shape",
    )
    _counter = count()

    op: Op
    inputs: tuple[Any, ...]
    saved: tuple[Any, ...] | None
    hooks: list[Callable[[Any], Any]] | None
    shape: Shape
    dtype: DType
    order: int
    code: CodeType
    instruction: int
    scope: Scope | None

    def release(self) -> None:
        """Forget the saved values and the edges. The node stays as the mark of a freed graph."""
        self.saved = None
        self.inputs = ()

    def require_live(self) -> None:
        """Raise if the node was released by an earlier walk."""
        if self.saved is None:
            raise GraphFreedError(
                f"backward: the graph must still hold its saved values, but the node "
                f"{self.op.name} ({self.location}) was freed by an earlier backward; "
                "pass retain_graph=True to the first one"
            )

    @property
    def line(self) -> tuple[str, int]:
        """The user's file and line number that applied the op."""
        line = line_of(self.code, self.instruction)
        return self.code.co_filename, self.code.co_firstlineno if line is None else line

    @property
    def location(self) -> str:
        """`file.py:12, in Net.fc1`."""
        filename, line = self.line
        where = f", in {self.scope.path}" if self.scope is not None else ""
        return f"{os.path.basename(filename)}:{line}{where}"


def line_of(code: CodeType, instruction: int) -> int | None:
    """The line number of an instruction, which is given by its offset in bytes."""
    for start, stop, line in code.co_lines():
        if start <= instruction < stop:
            return line
    return None


def is_open(edge: Any) -> bool:
    """Whether gradients go along an edge of the tape: to a Node, or to a leaf that asks for them.

    A leaf that has been put on the tape since asked for none when it was used: see `Tensor.become`.
    """
    if type(edge) is Node:
        return True
    return getattr(edge, "_requires_grad", False) and edge.node is None


def make_node(op: Op, inputs: tuple[Any, ...], arrays: tuple[Any, ...], array: Any) -> Node:
    """Put one application of an op on the tape."""
    node = Node()
    node.op = op
    node.inputs = tuple([getattr(x, "node", None) or x for x in inputs])
    node.saved = op.save(arrays, array) if op.saves else ()
    node.order = next(Node._counter)
    node.hooks = None
    node.shape = array.shape
    node.dtype = array.dtype
    node.scope = STATE.scope
    node.code, node.instruction = _user_site()
    return node


class Origin(NamedTuple):
    """Where an error arose: in an op of some inputs, at a node of a walk, or in a module's code."""

    op: Op | None = None
    inputs: tuple[Any, ...] = ()
    node: Node | None = None
    scope: Scope | None = None
    #: The user's code and the instruction in it that applied the op.
    site: tuple[CodeType, int] | None = None

    def __reduce__(self) -> Any:
        return Origin, ()  # a copy of an error for another process leaves the graph here


def arose(error: BaseException, **known: Any) -> None:
    """Leave with an error what is known where it passes; what was known further inside stays."""
    error.__dict__.setdefault("backlit", Origin(**known))


def origin(error: BaseException) -> Origin:
    """Where an error arose, as far as Backlit knew when it passed."""
    found = error.__dict__.get("backlit")
    return found if isinstance(found, Origin) else Origin()


def where_called() -> str:
    """The module in which an error happened, to end its message with."""
    return f"; in {STATE.scope.path}" if STATE.scope is not None else ""
