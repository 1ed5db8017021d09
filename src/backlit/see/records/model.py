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
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ...errors import ArgumentError, DataError
from ...files import read_bytes, write_whole
from ...location import location
from ...op import Op
from ...table import quantity
from .from_file import FORMAT, VERSION, read
from .parts import Edge, Local, NodeRecord, Read, ScopeRecord
from .value import Value, encode

#: Lines of the user's code that a saved record has before and after one that made a node.
AROUND = 3

#: What JSON has of a node and of an edge.
_OF_NODES = (
    "id kind op shape dtype name attributes arguments saves scope file line requires_grad value "
    "upstream backward_order status error note detached_from given"
).split()
_OF_EDGES = "id source target position argument gradient local".split()


@dataclass(eq=False)
class Live:
    """What is known of a computation in this process only; a record from a file has none of it."""

    #: The node of a Tensor, or of a node of the tape, by its id.
    tensors: dict[int, int] = field(default_factory=dict)
    #: What must not be freed, so that the ids stay true.
    alive: list[Any] = field(default_factory=list)
    #: Values that were handed out as numbers.
    reads: list[Read] = field(default_factory=list)
    #: Ops that were computed under no_grad.
    off: set[int] = field(default_factory=set)
    #: Ops without a derivative; a node has the others as `applied`.
    ops: dict[int, Op] = field(default_factory=dict)
    #: Whether the output is known to be the loss.
    chosen: bool = True
    #: The variables of the script that was recorded, for a prompt.
    variables: dict[str, Any] = field(default_factory=dict)
    #: Whether every op was seen, also those that no gradient goes through.
    whole: bool = False


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
        sources: dict[str, dict[int, str]] | None = None,
        live: Live | None = None,
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
        self._sources = sources
        self.live = Live() if live is None else live

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

    def onward(self, start: NodeRecord, depth: int) -> Iterator[Edge]:
        """The uses of a value, then those of what they make, at most so many ops on."""
        seen, front = {start.id}, [start.id]
        for _ in range(depth):
            edges = [e for number in front for e in self.outgoing[number]]
            yield from edges
            front = list(dict.fromkeys(e.target for e in edges if e.target not in seen))
            seen.update(front)

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

    def node_of(self, t: Any) -> NodeRecord | None:
        """The node of a Tensor that took part in the computation, else None."""
        number = self.live.tensors.get(id(getattr(t, "node", None) or t))
        return None if number is None else self.nodes[number]

    def find(self, what: Any) -> NodeRecord:
        """The node meant by a Tensor, a number, a name or an op's name with number (`matmul_3`)."""
        if isinstance(what, NodeRecord):
            return what
        if isinstance(what, bool) or not isinstance(what, int | str):
            found = self.node_of(what)
            if found is None:
                raise ArgumentError(
                    f"record: this {type(what).__name__} is not a tensor of the recorded "
                    "computation; give one that is, or a node's name or number"
                )
            return found
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
        nodes, edges = quantity(len(self.nodes), "node"), quantity(len(self.edges), "edge")
        return f"Record({nodes}, {edges}{error})"

    # -- as JSON ------------------------------------------------------------------------------

    def to_dict(self, arrays: str = "elided") -> dict[str, Any]:
        """The documented form; `arrays` is "elided" or "complete"."""
        if arrays not in ("elided", "complete"):
            raise ArgumentError(f"record: arrays must be 'elided' or 'complete', got {arrays!r}")

        def form(x: Any) -> Any:
            if isinstance(x, Value):
                return x.to_dict(arrays == "complete")
            if isinstance(x, Local):
                return {k: form(getattr(x, k)) for k in Local.__slots__}
            if isinstance(x, dict):
                return {k: form(v) for k, v in x.items()}
            if isinstance(x, list | tuple):
                return [form(v) for v in x]
            return x.name if isinstance(x, np.dtype) else encode(x)

        return {
            "format": FORMAT,
            "version": VERSION,
            "step": self.step,
            "error": self.error,
            "output": self.output,
            "seed": form(self.seed),
            "sources": self._lines(),
            "scopes": [{k: getattr(s, k) for k in ScopeRecord.__slots__} for s in self.scopes],
            "nodes": [{k: form(getattr(n, k)) for k in _OF_NODES} for n in self.nodes],
            "edges": [{k: form(getattr(e, k)) for k in _OF_EDGES} for e in self.edges],
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
        return cls(*read(text, source))
