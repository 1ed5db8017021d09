"""The ops of a record from a file brought back to life, so that gradients can be followed in it.

A record saved with all its arrays says everything that an op's own `backward` needs: the op's name
and attributes, its inputs and its result. What is revived is asked for the gradients that the file
has, and has to give them.
"""

from __future__ import annotations

import ast
import re
from typing import Any

import numpy as np

from ...dtypes import as_dtype
from ...errors import ArgumentError, BacklitError
from ...op import REGISTRY, Op
from .model import Record
from .parts import Applied, NodeRecord
from .value import array_of, decode

_DTYPE = re.compile(r"dtype\(['\"]?(\w+)['\"]?\)")


def revive(record: Record, who: str) -> None:
    """Give every op of the backward pass its life back. Nothing happens if it has it.

    Raises ArgumentError, for `who`, where the file does not say enough or an op is not Backlit's.
    """
    for node in record.nodes:
        if node.kind != "op" or not node.requires_grad or node.applied is not None:
            continue
        applied = _applied(record, node, who)
        for e in record.incoming[node.id]:
            _compare(record, node, applied, e, who)
        node.applied = applied


def op_of(node: NodeRecord, who: str) -> Op:
    """The op of a node, also where the record has only what it is called."""
    if node.applied is not None:
        return node.applied.op
    cls = REGISTRY.get(node.op)
    if cls is None or tuple(node.attributes) != cls.attributes:
        raise ArgumentError(
            f"{who}: the record is from a file, and {node.label} is not an op of this Backlit, so "
            f"its derivative is not known; {who} it before it is saved"
        )
    try:
        return cls(**{name: _attribute(text) for name, text in node.attributes.items()})
    except (BacklitError, ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise ArgumentError(f"{who}: {node.label} cannot be read from the file: {error}") from None


def _applied(record: Record, node: NodeRecord, who: str) -> Applied:
    op = op_of(node, who)
    inputs = [_input(record, argument) for argument in node.arguments]
    y = array_of(node.value)
    if y is None or any(x is None for x in inputs):
        raise ArgumentError(
            f"{who}: the record is from a file without all its arrays ({node.label} lacks some); "
            'save it with arrays="complete"'
        )
    return Applied(op, tuple(inputs), y)


def _input(record: Record, argument: dict[str, Any]) -> Any:
    if "number" in argument:
        return decode(argument["number"])
    return array_of(record.nodes[record.edges[argument["edge"]].source].value)


def _attribute(text: str) -> Any:
    """An attribute from what `repr` made of it."""
    found = _DTYPE.fullmatch(text)
    if found:
        return as_dtype(found[1])
    if text in ("inf", "-inf", "nan"):
        return float(text)
    return ast.literal_eval(text)


def _compare(record: Record, node: NodeRecord, applied: Applied, e: Any, who: str) -> None:
    want, upstream = array_of(e.gradient), array_of(node.upstream)
    if want is None or upstream is None:
        return
    with np.errstate(all="ignore"):
        sent = applied.vjp(upstream, {e.position: record.nodes[e.source]})
    got = sent.get(e.position)
    near = False
    if got is not None and got.shape == want.shape:
        scale = np.abs(want[np.isfinite(want)]).max(initial=1.0)
        room = 64 * np.finfo(np.float32 if want.dtype.kind != "f" else want.dtype).eps * scale
        near = np.allclose(got, want, rtol=1e-3, atol=float(room), equal_nan=True)
    if not near:
        raise ArgumentError(
            f"{who}: {node.label} of this Backlit gives another gradient than the file says; the "
            f"file is of another version, or was changed; {who} it with the Backlit that saved it"
        )
