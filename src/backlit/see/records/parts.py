"""What a record is made of: nodes, edges between them, the module calls around them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import numpy as np

from ...autograd import step_back
from ...dtypes import DType
from ...op import REGISTRY, Op, Shape
from .value import Value

OpClass = type[Op]

#: What a node can be. A "constant" is an input that requires no gradient.
KINDS = ("op", "parameter", "leaf", "constant")

#: What steers a terminal, or has no place in an XML or UTF-8 file.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """The text with a sign in the place of every character that is none for reading."""
    return _CONTROL.sub("\ufffd", text)


class Applied:
    """One application of an op, alive: its inputs, its result, and so its derivative.

    A record read from a file has none.
    """

    __slots__ = ("_inputs", "_y", "fill", "op", "saved")

    def __init__(
        self,
        op: Op,
        inputs: tuple[Any, ...],
        y: Any,
        saved: tuple[Any, ...] | None = None,
        fill: Callable[[], None] | None = None,
    ):
        self.op = op
        self._inputs = inputs
        self._y = y
        self.saved = op.save(inputs, y) if saved is None else saved
        #: Computes what is still missing, for a record of a live graph. None: nothing is.
        self.fill = fill

    @property
    def inputs(self) -> tuple[Any, ...]:
        """Arrays and Python numbers; None stands for an array that is not available."""
        if self.fill is not None:
            self.fill()
        return self._inputs

    @property
    def y(self) -> Any:
        """The result; where that is not available, something that has its shape and dtype."""
        if self.fill is not None:
            self.fill()
        return self._y

    def set(self, inputs: tuple[Any, ...], y: Any) -> None:
        """Take over what has been computed."""
        self._inputs, self._y, self.fill = inputs, y, None

    @property
    def type(self) -> Any:
        """Something that has the result's shape and dtype."""
        return self._y

    def vjp(self, upstream: np.ndarray, targets: Mapping[int, Any]) -> dict[int, np.ndarray]:
        """The downstream gradients for some inputs, by position, fitted to their targets.

        A target is anything with an input's shape and dtype. An input may have no gradient.
        """
        wanted = [targets.get(i) for i in range(len(self._inputs))]
        sent = step_back(self.op, upstream, self.saved, wanted)
        return {i: np.asarray(g) for i, g in enumerate(sent) if g is not None}


@dataclass(eq=False, slots=True)
class ScopeRecord:
    """One call of a module. Calls of the same module are different scopes."""

    id: int
    parent: int | None
    #: The attribute path from the module outside: `fc1`, `layers.0`; the class for an outermost.
    name: str
    #: The module's class.
    type: str
    file: str
    line: int
    #: A short description of the module: `Linear(in_features=2, out_features=3)`.
    detail: str = ""


@dataclass(eq=False, slots=True)
class Edge:
    """One use of a node's value by an op."""

    id: int
    source: int
    target: int
    #: Which input of the target's op this is, and that input's name.
    position: int
    argument: str
    #: The gradient that flows back along this use, in the source's shape. None: not computed.
    gradient: Value | None = None
    #: The op's derivative with respect to this input, in words and, where that is small, numbers.
    _local: Local | None = None
    _derive: Callable[[], Local | None] | None = None

    @property
    def local(self) -> Local | None:
        """The local gradient: see `Local`. Computed when first asked for. None: none exists."""
        if self._local is None and self._derive is not None:
            self._local = self._derive()
        return self._local


@dataclass(eq=False, slots=True)
class Local:
    """The derivative of one op with respect to one input.

    `kind` names its structure: "identity", "scale" (one number times the identity), "diagonal"
    (element by element), "row" (the op's result is one number: the whole derivative is an array
    like the input), "copy" (a sum's: each input element gets the gradient of its total),
    "move" (elements go back where they came from), "matrix" (a product with another operand), or
    "map" (a linear map that is applied, not shown). `text` says it in symbols. `value` holds the
    numbers: the factor, the diagonal or the row; None where there is none that is small.
    """

    kind: str
    text: str
    value: Value | None = None


@dataclass(eq=False, repr=False, slots=True)
class NodeRecord:
    """One tensor of the computation: a leaf, or the result of an op."""

    id: int
    kind: str
    #: The op's name; for other kinds the kind itself.
    op: str
    shape: Shape
    dtype: DType
    #: The user's name for it (a variable or the path of a parameter), if there is one.
    name: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    #: The op's inputs in order: {"edge": id} or {"number": x}.
    arguments: list[dict[str, Any]] = field(default_factory=list)
    #: Names of what the op saves for its backward.
    saves: tuple[str, ...] = ()
    scope: int | None = None
    file: str = ""
    line: int = 0
    requires_grad: bool = False
    upstream: Value | None = None
    #: When it was visited by the backward pass: 0 is the output. None: not reached.
    backward_order: int | None = None
    #: "ok", "failed" (the op raised) or "failed in backward".
    status: str = "ok"
    error: str | None = None
    #: The node whose values a leaf shares: it was detached from there.
    detached_from: int | None = None
    #: What was set by `see.what_if` and not computed: "value", "gradient" or "value; gradient".
    given: str = ""
    #: Of a leaf that got new values in between: the node of the same Tensor before.
    earlier: int | None = None
    applied: Applied | None = None
    #: The user's instruction that made it, while its code is alive: see `expressions`.
    site: tuple[CodeType, int] | None = field(default=None, repr=False)
    _value: Value | None = None
    _note: str | None = None
    #: Computes a value that no op saved, when it is asked for. None: there is nothing to compute.
    fill: Callable[[], None] | None = field(default=None, repr=False)

    @property
    def value(self) -> Value | None:
        """The forward value; None if it is not available, and then `note` says why."""
        if self.fill is not None:
            self.fill()
        return self._value

    @value.setter
    def value(self, value: Value | None) -> None:
        self._value = value

    @property
    def note(self) -> str | None:
        """Why something is missing or may differ from the user's own pass."""
        if self.fill is not None:
            self.fill()
        return self._note

    @note.setter
    def note(self, note: str | None) -> None:
        self._note = note

    @property
    def type(self) -> str:
        """`float32[3,4]`."""
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"

    @property
    def op_class(self) -> OpClass:
        """The class of its op, which says what is known of it.

        A record from a file knows ops by their names only; of one that is not built in all is true
        that is true of every op.
        """
        return REGISTRY.get(self.op, Op) if self.applied is None else type(self.applied.op)

    @property
    def label(self) -> str:
        """The user's name, or else the op or kind with the node's number."""
        return self.name or f"{self.op}_{self.id}"

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"NodeRecord({self.id}: {self.op}{name}, {self.type})"


@dataclass(frozen=True)
class Read:
    """A value that was handed out as numbers, while a block of code was recorded."""

    source: int  # the node whose value it was; -1: no op has used that
    after: int  # the last node that there was then
    what: str  # by what: `item()`
    array: np.ndarray
    file: str
    line: int
