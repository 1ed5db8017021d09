"""The record in a file: read with every part checked, because it may come from anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from ...dtypes import as_dtype
from ...errors import DataError
from ...op import REGISTRY, Elementwise
from .parts import KINDS, Edge, Local, NodeRecord, ScopeRecord, printable
from .value import Value, decode, shape_of

FORMAT = "backlit-record"
VERSION = 1

_STATUS = ("ok", "failed", "failed in backward")
_GIVEN = ("", "value", "gradient", "value; gradient")


def read(text: str, source: str) -> tuple[Any, ...]:
    """What a record in JSON is made of, in the order in which `Record` takes it.

    Raises DataError, with the place, if it is no record.
    """
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
    try:
        return _parts(data)
    except DataError as error:
        raise DataError(f"record: {source} is damaged or no record: {error}") from None
    except KeyError as error:
        raise DataError(f"record: {source} lacks a part: {error}") from None
    except (TypeError, AttributeError, IndexError, ValueError, OverflowError) as error:
        raise DataError(
            f"record: {source} lacks a part or has one of a wrong type: "
            f"{type(error).__name__} {error}"
        ) from None


def _parts(data: dict[str, Any]) -> tuple[Any, ...]:
    scopes = [_scope(s, i) for i, s in enumerate(data["scopes"])]
    nodes = [_node(n, i) for i, n in enumerate(data["nodes"])]
    edges = [_edge(e, i) for i, e in enumerate(data["edges"])]
    output = _maybe(_integer, data["output"], "output")
    _check_references(nodes, edges, scopes, output)
    error, step = _maybe(_text, data["error"], "error"), _maybe(_integer, data["step"], "step")
    seed = _value(data["seed"], "seed")
    _check_shapes(nodes, edges, output, seed)
    return nodes, edges, scopes, output, seed, error, step, _sources(data.get("sources", {}))


def _sources(data: Any) -> dict[str, dict[int, str]]:
    return {
        _text(file, "a file of the sources"): {
            int(number): _text(line, "a line of the sources") for number, line in lines.items()
        }
        for file, lines in data.items()
    }


def _scope(s: dict[str, Any], number: int) -> ScopeRecord:
    def text(key: str) -> str:
        return _text(s[key], f"{key} of scope {number}")

    return ScopeRecord(
        _id(s, number, "scope"),
        _maybe(_integer, s["parent"], f"the parent of scope {number}"),
        text("name"),
        text("type"),
        text("file"),
        _integer(s["line"], f"line of scope {number}"),
        text("detail"),
    )


def _node(n: dict[str, Any], number: int) -> NodeRecord:
    def of(what: str) -> str:
        return f"{what} of node {number}"

    node = NodeRecord(
        _id(n, number, "node"),
        _one_of(KINDS, n["kind"], of("kind")),
        _text(n["op"], of("op")),
        shape_of(n["shape"]),
        as_dtype(_text(n["dtype"], of("dtype"))),
        _maybe(_text, n["name"], of("name")),
        {_text(k, of("an attribute")): _text(v, of(k)) for k, v in n["attributes"].items()},
        [_argument(a, of("an argument")) for a in n["arguments"]],
        tuple(_text(s, of("saves")) for s in n["saves"]),
        _maybe(_integer, n["scope"], of("scope")),
        _text(n["file"], of("file")),
        _integer(n["line"], of("line")),
        n["requires_grad"] is True,
        _value(n["upstream"], of("upstream")),
        _maybe(_integer, n["backward_order"], of("backward_order")),
        _one_of(_STATUS, n["status"], of("status")),
        _maybe(_text, n["error"], of("error")),
        _maybe(_integer, n["detached_from"], of("detached_from")),
    )
    node.value = _value(n["value"], of("value"))
    node.note = _maybe(_text, n["note"], of("note"))
    node.given = _one_of(_GIVEN, n.get("given", ""), of("given"))
    return node


def _argument(a: dict[str, Any], what: str) -> dict[str, Any]:
    if set(a) == {"edge"}:
        return {"edge": _integer(a["edge"], what)}
    number = decode(a["number"]) if set(a) == {"number"} else None
    if number is None:
        raise DataError(f"{what} must be an edge or a number, got {a!r:.60}")
    return {"number": number}


def _edge(e: dict[str, Any], number: int) -> Edge:
    def integer(key: str) -> int:
        return _integer(e[key], f"{key} of edge {number}")

    local = e["local"]
    if local is not None:
        what = f"local of edge {number}"
        local = Local(
            _text(local["kind"], what), _text(local["text"], what), _value(local["value"], what)
        )
    return Edge(
        _id(e, number, "edge"),
        integer("source"),
        integer("target"),
        integer("position"),
        _text(e["argument"], f"argument of edge {number}"),
        _value(e["gradient"], f"gradient of edge {number}"),
        local,
    )


# -- parts --------------------------------------------------------------------------------------


def _maybe(read: Callable[[Any, str], Any], x: Any, what: str) -> Any:
    return None if x is None else read(x, what)


def _integer(x: Any, what: str) -> int:
    if type(x) is not int or abs(x) >= 2**63:
        raise DataError(f"{what} must be an integer, got {x!r:.60}")
    return x


def _text(x: Any, what: str) -> str:
    if not isinstance(x, str):
        raise DataError(f"{what} must be text, got {x!r:.60}")
    return printable(x)


def _one_of(allowed: tuple[str, ...], x: Any, what: str) -> str:
    if not isinstance(x, str) or x not in allowed:
        raise DataError(f"{what} must be {', '.join(allowed)}, got {x!r:.60}")
    return x


def _id(x: dict[str, Any], number: int, what: str) -> int:
    if type(x["id"]) is not int or x["id"] != number:
        raise DataError(f"numbers must run from 0, got {x['id']!r:.60} at {what} {number}")
    return number


def _value(v: Any, what: str) -> Value | None:
    try:
        return None if v is None else Value.from_dict(v)
    except DataError as error:
        raise DataError(f"{what}: {error}") from None


# -- the whole ----------------------------------------------------------------------------------


def _check_references(
    nodes: list[NodeRecord], edges: list[Edge], scopes: list[ScopeRecord], output: int | None
) -> None:
    """Raise unless every number in a file stands for something that is there."""

    def check(what: str, number: int | None, count: int) -> None:
        if number is not None and not 0 <= number < count:
            raise DataError(f"{what} must be null or lie in [0, {count}), got {number}")

    check("output", output, len(nodes))
    for s in scopes:
        check(f"the parent of scope {s.id}", s.parent, s.id)
    for e in edges:
        if not 0 <= e.source < e.target < len(nodes):
            raise DataError(
                f"edge {e.id} must lead from an earlier node to a later one, got {e.source} and "
                f"{e.target} of {len(nodes)}"
            )
    used: set[int] = set()
    for n in nodes:
        check(f"the scope of node {n.id}", n.scope, len(scopes))
        check(f"detached_from of node {n.id}", n.detached_from, n.id)
        if n.kind != "op" and n.arguments:
            raise DataError(f"node {n.id} must be an op to have arguments, got a {n.kind}")
        for position, a in enumerate(n.arguments):
            number = a.get("edge")
            check(f"an argument of node {n.id}", number, len(edges))
            if number is None:
                continue
            e = edges[number]
            if (e.target, e.position) != (n.id, position):
                raise DataError(
                    f"edge {number} must lead to argument {position} of node {n.id}, which has it, "
                    f"got argument {e.position} of node {e.target}"
                )
            used.add(number)
        known = REGISTRY.get(n.op) if n.kind == "op" and n.status != "failed" else None
        if known is not None and not known.variadic and len(n.arguments) != len(known.parameters):
            raise DataError(
                f"node {n.id} must have the arguments {', '.join(known.parameters) or 'none'} of "
                f"{n.op}, got {len(n.arguments)}"
            )
    for e in edges:
        if e.id not in used:
            raise DataError(f"edge {e.id} must be an argument of node {e.target}, but is none")


def _check_shapes(
    nodes: list[NodeRecord], edges: list[Edge], output: int | None, seed: Value | None
) -> None:
    """Raise unless every value and gradient has the shape of its node."""

    def check(what: str, v: Value | None, node: NodeRecord) -> None:
        if v is not None and v.shape != node.shape:
            raise DataError(
                f"{what} must have the shape {node.shape} of node {node.id}, got {v.shape}"
            )

    for n in nodes:
        check("the value", n.value, n)
        check("the upstream gradient", n.upstream, n)
        if n.backward_order is not None and n.upstream is None:
            raise DataError(f"node {n.id} has a place in the backward pass, but no upstream")
    for e in edges:
        source, target = nodes[e.source], nodes[e.target]
        check(f"the gradient of edge {e.id}", e.gradient, source)
        if e.gradient is not None and not target.requires_grad:
            raise DataError(
                f"edge {e.id} has a gradient, so node {target.id} must require one, but does not"
            )
        known = REGISTRY.get(target.op) if target.status != "failed" else None
        if known is None or not issubclass(known, Elementwise):
            continue
        if np.broadcast_shapes(source.shape, target.shape) != target.shape:
            raise DataError(
                f"edge {e.id} must lead to a node of a shape that {source.shape} broadcasts to, "
                f"got {target.shape}"
            )
    if seed is not None:
        if output is None:
            raise DataError("seed must be null where output is")
        check("seed", seed, nodes[output])
