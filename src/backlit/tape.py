"""The tape: which op made what from what, in which module, at which line of the user's.

A Node is one application of an op: the op, the edges to what it was computed from, and the values
that the derivative needs. The nodes are the tape that `backward` walks and `see` reads; a capture
writes down equations instead. A Node never refers to its own Tensor, so a graph has no reference
cycles and dies with its last Tensor.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from itertools import count
from types import CodeType, FrameType
from typing import Any, NamedTuple

from .dtypes import DType
from .errors import GraphFreedError
from .location import location
from .op import Op, Shape
from .state import STATE


class Scope:
    """One call of a module: which one, inside which other call, from which user line."""

    __slots__ = ("code", "instruction", "module", "parent")

    def __init__(self, module: Any, parent: Scope | None):
        self.module = module
        self.parent = parent
        self.code, self.instruction = user_site()

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


INTERNAL = _Internal()


def user_site() -> tuple[CodeType, int]:
    """The innermost place outside Backlit on the call stack, as code and instruction offset."""
    frame: FrameType = sys._getframe(2)
    while INTERNAL[frame.f_code.co_filename]:
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

    def __repr__(self) -> str:
        return f"Node({self.op.name})"

    def name(self) -> str:
        """The name of its op. PyTorch's is that of a class, as "MulBackward0"."""
        return self.op.name

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
        return location(*self.line, "" if self.scope is None else self.scope.path)


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
    node.code, node.instruction = user_site()
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
