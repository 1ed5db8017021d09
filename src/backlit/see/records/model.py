"""The record: everything that was seen of one computation, in one schema that every view reads.

A record is a graph. Its **nodes** are the tensors of the computation in the order of their making:
leaves (parameters, other tensors that require a gradient, plain inputs) and the results of ops. Its
**edges** lead from a node to each op that used it, once for each use: `a * a` has two edges. What
was not computed is None, never 0.

For a node:      value, upstream (the gradient that arrives at it, summed over its uses)
For an edge:     gradient (downstream: what flows back along it), local (the op's derivative)
For the record:  scopes (the module calls, a tree), output, error

As JSON (`to_json`, `save`, `load`): `{"format": "backlit-record", "version": 1, "step", "error",
"output", "seed", "scopes": [...], "nodes": [...], "edges": [...]}`, keys as the attributes below.
An array is `{"shape", "dtype", "statistics", "head", "data"}`: its statistics, its first eight
elements, and with `arrays="complete"` its bytes, little-endian, row-major, in base64. Without
`data` an array of more than eight elements is elided. Numbers that are not finite are the strings
`"nan"`, `"inf"`, `"-inf"`; what was not computed is null. `"sources"` has the user's lines that
made the nodes, with three around each, as `{file: {line: text}}`: a record that was read from a
file shows these and never looks into a file of that name here.
"""

from __future__ import annotations

import difflib
import json
import linecache
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ...autograd import step_back
from ...dtypes import DType
from ...errors import ArgumentError, DataError
from ...files import read_bytes, write_whole
from ...location import location
from ...op import REGISTRY, Op, Shape
from .value import Value, encode

OpClass = type[Op]

FORMAT = "backlit-record"
VERSION = 1

#: Lines of the user's code that a saved record has before and after one that made a node.
AROUND = 3

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
    applied: Applied | None = None
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


class Record:
    """The graph of one computation with its values and gradients: see this module's docstring."""

    def __init__(
        self,
        nodes: list[NodeRecord],
        edges: list[Edge],
        scopes: list[ScopeRecord],
        output: int | None = None,
        seed: Value | None = None,
        error: str | None = None,
        step: int | None = None,
    ):
        self.nodes = nodes
        self.edges = edges
        self.scopes = scopes
        #: The node from which the backward pass started, and with which gradient.
        self.output = output
        self.seed = seed
        #: What the recorded code raised, as one line.
        self.error = error
        #: The training step, if the caller said so.
        self.step = step
        #: The user's lines of a record from a file; None for one made here, which looks them up.
        self._sources: dict[str, dict[int, str]] | None = None
        self._tensors: dict[int, int] = {}  # id of a live Tensor or tape node -> node
        self._alive: list[Any] = []
        self._chosen = True  # whether the output is known to be the loss
        self._reads: list[Any] = []  # of Read: values that were handed out as numbers
        self._off: set[int] = set()  # ops that were computed under no_grad

    # -- the graph ----------------------------------------------------------------------------

    @cached_property
    def incoming(self) -> list[list[Edge]]:
        """For each node the edges from its inputs, by position."""
        result: list[list[Edge]] = [[] for _ in self.nodes]
        for e in self.edges:
            result[e.target].append(e)
        return result

    @cached_property
    def outgoing(self) -> list[list[Edge]]:
        """For each node the edges to its uses, in order of use."""
        result: list[list[Edge]] = [[] for _ in self.nodes]
        for e in self.edges:
            result[e.source].append(e)
        return result

    @property
    def failed(self) -> NodeRecord | None:
        """The node that raised, in the forward or the backward pass."""
        return next((n for n in self.nodes if n.status != "ok"), None)

    @property
    def leaves(self) -> list[NodeRecord]:
        """The nodes that no op made."""
        return [n for n in self.nodes if n.kind != "op"]

    def backward_nodes(self) -> list[NodeRecord]:
        """The nodes that the backward pass visited, in its order."""
        visited = [n for n in self.nodes if n.backward_order is not None]
        return sorted(visited, key=lambda n: n.backward_order or 0)

    def scope_path(self, scope: int | None) -> str:
        """`Net.features.0`, the attribute path of a module call; empty outside all modules."""
        names: list[str] = []
        while scope is not None:
            names.append(self.scopes[scope].name)
            scope = self.scopes[scope].parent
        return ".".join(reversed(names))

    def location(self, node: NodeRecord) -> str:
        """`file.py:12, in Net.fc1`; the module alone where no line is known; empty for a leaf."""
        return location(node.file, node.line, self.scope_path(node.scope))

    def place(self, node: NodeRecord) -> str:
        """The location, then the user's line: `file.py:12, in Net.fc1: y = x @ w`."""
        return location(node.file, node.line, self.scope_path(node.scope), self.source(node))

    def source_line(self, file: str, line: int) -> str:
        """A line of the user's code with its line break; empty where it is not known.

        The lines of a record from a file are in that file; no other file is looked into.
        """
        if self._sources is None:
            return linecache.getline(file, line) if file else ""
        return self._sources.get(file, {}).get(line, "")

    def source(self, node: NodeRecord) -> str:
        """The user's line that made a node, without indentation; empty where it is not known."""
        return self.source_line(node.file, node.line).strip()

    @property
    def is_from_file(self) -> bool:
        """Whether the record was read, so that its files need not be files of this machine."""
        return self._sources is not None

    def _lines(self) -> dict[str, dict[int, str]]:
        """The user's lines around those of the nodes, by file."""
        found: dict[str, dict[int, str]] = {}
        for file, line in dict.fromkeys((n.file, n.line) for n in self.nodes if n.file):
            for i in range(line - AROUND, line + AROUND + 1):
                text = self.source_line(file, i)
                if text:
                    found.setdefault(file, {})[i] = text
        return found

    def find(self, what: Any) -> NodeRecord:
        """The node meant by a Tensor, a number, a name or an op's name with number (`matmul_3`)."""
        if isinstance(what, NodeRecord):
            return what
        if isinstance(what, bool) or not isinstance(what, int | str):
            key = getattr(what, "node", None) or what
            found = self._tensors.get(id(key))
            if found is None:
                raise ArgumentError(
                    f"record: this {type(what).__name__} is not a tensor of the recorded "
                    "computation; give one that is, or a node's name or number"
                )
            return self.nodes[found]
        if isinstance(what, int):
            if not 0 <= what < len(self.nodes):
                raise ArgumentError(
                    f"record: a node's number must lie in [0, {len(self.nodes)}), got {what}"
                )
            return self.nodes[what]
        for names in (self._by_name, self._by_label, self._by_tail):
            if what in names:
                return names[what]
        if what.isdecimal():
            return self.find(int(what))
        known = [*self._by_name, *self._by_label]
        near = difflib.get_close_matches(what, [*known, *self._by_tail], 3)
        if near:
            hint = f"; did you mean {' or '.join(near)}?"
        elif known:
            listed = [n.label for n in self.nodes]
            hint = f"; there are {', '.join(listed[:8])}{', …' if len(listed) > 8 else ''}"
        else:
            hint = "; it has no nodes"
        raise ArgumentError(f"record: no node is named {what!r}{hint}")

    @cached_property
    def _by_name(self) -> dict[str, NodeRecord]:
        return {n.name: n for n in reversed(self.nodes) if n.name}

    @cached_property
    def _by_label(self) -> dict[str, NodeRecord]:
        return {f"{n.op}_{n.id}": n for n in self.nodes}

    @cached_property
    def _by_tail(self) -> dict[str, NodeRecord]:
        """`fc1.weight` for `Net.fc1.weight`, where that is unambiguous."""
        tails: dict[str, NodeRecord | None] = {}
        for name, node in self._by_name.items():
            parts = name.split(".")
            for i in range(1, len(parts)):
                tail = ".".join(parts[i:])
                tails[tail] = None if tail in tails else node
        return {k: n for k, n in tails.items() if n is not None}

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[NodeRecord]:
        return iter(self.nodes)

    def __repr__(self) -> str:
        error = f", error={self.error!r}" if self.error else ""
        return f"Record({len(self.nodes)} nodes, {len(self.edges)} edges{error})"

    # -- as JSON ------------------------------------------------------------------------------

    def to_dict(self, arrays: str = "elided") -> dict[str, Any]:
        """The documented form; `arrays` is "elided" or "complete"."""
        if arrays not in ("elided", "complete"):
            raise ArgumentError(f"record: arrays must be 'elided' or 'complete', got {arrays!r}")
        complete = arrays == "complete"

        def value(v: Value | None) -> Any:
            return None if v is None else v.to_dict(complete)

        def local(e: Edge) -> Any:
            got = e.local
            if got is None:
                return None
            return {"kind": got.kind, "text": got.text, "value": value(got.value)}

        return {
            "format": FORMAT,
            "version": VERSION,
            "step": self.step,
            "error": self.error,
            "output": self.output,
            "seed": value(self.seed),
            "sources": self._lines(),
            "scopes": [{k: getattr(s, k) for k in ScopeRecord.__slots__} for s in self.scopes],
            "nodes": [
                {
                    "id": n.id,
                    "kind": n.kind,
                    "op": n.op,
                    "shape": list(n.shape),
                    "dtype": n.dtype.name,
                    "name": n.name,
                    "attributes": n.attributes,
                    "arguments": [{k: encode(v) for k, v in a.items()} for a in n.arguments],
                    "saves": list(n.saves),
                    "scope": n.scope,
                    "file": n.file,
                    "line": n.line,
                    "requires_grad": n.requires_grad,
                    "value": value(n.value),
                    "upstream": value(n.upstream),
                    "backward_order": n.backward_order,
                    "status": n.status,
                    "error": n.error,
                    "note": n.note,
                    "detached_from": n.detached_from,
                }
                for n in self.nodes
            ],
            "edges": [
                {
                    "id": e.id,
                    "source": e.source,
                    "target": e.target,
                    "position": e.position,
                    "argument": e.argument,
                    "gradient": value(e.gradient),
                    "local": local(e),
                }
                for e in self.edges
            ],
        }

    def to_json(self, arrays: str = "elided") -> str:
        """The documented form as text."""
        return json.dumps(self.to_dict(arrays), ensure_ascii=False, allow_nan=False)

    def save(self, path: str | os.PathLike[str], arrays: str = "complete") -> None:
        """Write the record to a file, which appears whole or not at all."""
        write_whole(path, self.to_json(arrays).encode(errors="replace"))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Record:
        """Read a record from a file."""
        try:
            text = read_bytes(path, "record").decode()
        except UnicodeDecodeError as error:
            raise DataError(f"record: {path} cannot be read: {error}") from None
        return cls.from_json(text, str(path))

    @classmethod
    def from_json(cls, text: str, source: str = "the text") -> Record:
        """The record that `to_json` wrote."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(f"record: {source} is not JSON: {error}") from None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise DataError(f'record: {source} must have "format": "{FORMAT}"')
        if data.get("version") != VERSION:
            raise DataError(
                f"record: {source} has version {data.get('version')!r:.40}, "
                f"this Backlit reads {VERSION}"
            )
        from .from_file import record_of

        return record_of(data, source)
