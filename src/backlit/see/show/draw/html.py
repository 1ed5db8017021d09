"""The drawing as one page: data, styles and script inside, nothing fetched.

The page gets the record's texts and statistics, and the boxes with their columns and wires; the
scripts compute coordinates (`layout.js`), draw what is on the screen, and answer to the user
(`view.js`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ....facts import COPY
from ...records.model import Record
from ...records.value import STATISTICS, Value, encode, rounded
from ..explain import explain
from ..page import fill
from ..steps import steps
from ..words import effect_of
from .labels import SIGNS, TIMES_NUMBER, Labels
from .layout import FILLED, METRICS
from .overview import BESIDE, LARGEST, MANY, MARGIN, READABLE, SMALL, TINY, TRIES
from .tree import Box, Tree

#: Up to this many nodes the chain rule is written out for each.
MAX_CHAINS = 60
#: Longer formulas are left out.
MAX_CHAIN = 260

#: Above this many stops their sentences are left out, to keep the page small.
MAX_SENTENCES = 3000


#: How `overview` chooses, for the script to choose as it does.
_OVERVIEW = {
    "readable": READABLE,
    "small": SMALL,
    "tiny": TINY,
    "largest": LARGEST,
    "margin": MARGIN,
    "tries": TRIES,
    "beside": BESIDE,
    "many": MANY,
}

_BODY = Path(__file__).with_name("view.html")


#: Files with more of the page's styles and scripts.
_PARTS = ("words", "layout", "pictures", "frames", "trace", "titles", "scale", "edits")


def page(tree: Tree, labels: Labels, title: str, more: dict[str, Any]) -> str:
    """The whole page as text, with what else its scripts are to know."""
    return fill(_BODY, title, {**_data(tree, labels, title), **more}, _PARTS)


def _data(tree: Tree, labels: Labels, title: str) -> dict[str, Any]:
    record, nodes, edges = tree.record.closed, tree.record.nodes, tree.record.edges
    files: dict[str, int] = {}
    for n in nodes:
        if n.file:
            files.setdefault(n.file, len(files))
    words: dict[str, int] = {}
    local_words = [
        -1 if e.local is None else words.setdefault(e.local.text, len(words)) for e in edges
    ]
    effects: dict[str, int] = {}
    effect = [effects.setdefault(effect_of(n), len(effects)) for n in nodes]
    found = numbers(labels)
    return {
        "title": title,
        "metrics": {**METRICS, "filled": FILLED},
        "overview": _OVERVIEW,
        "own": len(record.nodes),
        "given": {n.id: n.given for n in nodes if n.given},
        "output": record.output,
        "input": labels.input,
        "error": record.error,
        "step": record.step,
        "copy": COPY.meaning,
        "effects": list(effects),
        "files": [f if record.is_from_file else os.path.abspath(f) for f in files],
        **found,
        "nodes": {
            **found["nodes"],
            "kind": [n.kind for n in nodes],
            "op": [n.op for n in nodes],
            "name": [n.name or "" for n in nodes],
            "label": [n.label for n in nodes],
            "symbol": labels.symbol,
            "role": labels.role,
            "below": labels.below,
            "effect": effect,
            "asked": [int(n.requires_grad) for n in nodes],
            "type": [n.type if n.status != "failed" else "" for n in nodes],
            "file": [files[n.file] if n.file else -1 for n in nodes],
            "line": [n.line for n in nodes],
            "where": [record.scope_path(n.scope) for n in nodes],
            "attributes": [", ".join(f"{k}={v}" for k, v in n.attributes.items()) for n in nodes],
        },
        "error_of": {n.id: n.error for n in nodes if n.error},
        "note_of": {n.id: n.note for n in nodes if n.note},
        "source": _sources(record, files),
        "edges": {
            **found["edges"],
            "source": [e.source for e in edges],
            "target": [e.target for e in edges],
            "argument": [e.argument for e in edges],
            "words": local_words,
        },
        "words": list(words),
        "signs": _signs(labels),
        "statistics": list(STATISTICS),
        "boxes": [_box(b) for b in tree.boxes],
        "parent": tree.parent,
        "owner": tree.record.owner,
        "results": tree.record.results,
        "unopened": tree.record.unopened,
        "stops": _stops(record),
        "chains": _chains(record),
    }


def numbers(labels: Labels) -> dict[str, Any]:
    """What the page says of values and gradients: all that is another at another step."""
    nodes, edges = labels.record.nodes, labels.record.edges
    return {
        "nodes": {
            "value": labels.value,
            "upstream": labels.upstream,
            "values": [_head(n.value) for n in nodes],
            "gradients": [_head(n.upstream) for n in nodes],
        },
        "edges": {
            "local": labels.local,
            "gradient": [_head(e.gradient) for e in edges],
            "downstream": labels.downstream,
        },
        "value_statistics": [_statistics(n.value) for n in nodes],
        "gradient_statistics": [_statistics(n.upstream) for n in nodes],
    }


def _box(b: Box) -> dict[str, Any]:
    return {
        "parent": -1 if b.parent is None else b.parent,
        "title": b.title,
        "detail": b.detail,
        "kind": b.kind,
        "node": -1 if b.node is None else b.node,
        "wanted": b.wanted,
        "members": b.members,
        "slots": [x for slot in b.slots for x in slot],
        "columns": b.columns,
        "hops": [[h.start, h.stop, h.net, h.edges] for h in b.hops],
        "inputs": b.inputs,
        "outputs": b.outputs,
    }


def _signs(labels: Labels) -> dict[str, str]:
    """The signs in use, with what they mean; those with a number once."""
    used = set(labels.local)
    found = {sign: text for sign, text in SIGNS.items() if sign in used}
    if any(sign.startswith("×") for sign in used - set(SIGNS)):
        found["×2"] = TIMES_NUMBER
    return found


def _head(v: Value | None) -> str:
    """A value for the panel, longer than on the wire; empty where there is none."""
    return "" if v is None else v.text(6, 6)


def _statistics(v: Value | None) -> list[Any] | None:
    if v is None:
        return None
    found = [v.statistics[name] for name in STATISTICS]
    return [x if x is None else encode(rounded(x)) for x in found]


def _stops(record: Record) -> list[list[Any]]:
    ops = sum(n.kind == "op" for n in record.nodes)
    if 2 * ops <= MAX_SENTENCES:
        return [[s.node.id, int(s.phase == "backward"), s.sentence] for s in steps(record)]
    forward = [[n.id, 0, ""] for n in record.nodes if n.kind == "op"]
    return forward + [[n.id, 1, ""] for n in record.backward_nodes() if n.kind == "op"]


def _chains(record: Record) -> dict[int, str]:
    """The chain rule for every node of a small graph, as MathML."""
    if record.seed is None or record.output is None or len(record.nodes) > MAX_CHAINS:
        return {}
    if any("gradient" in n.given for n in record.nodes):
        return {}
    if any(n.kind == "op" and n.requires_grad and n.applied is None for n in record.nodes):
        return {}
    found: dict[int, str] = {}
    for n in record.nodes:
        if n.upstream is None or n.id == record.output:
            continue
        explained = explain(n, record, top=4)
        if explained.count and len(explained.unicode()) <= MAX_CHAIN:
            found[n.id] = explained.mathml()
    return found


def _sources(record: Record, files: dict[str, int]) -> dict[str, str]:
    """The user's lines, where they are known: `file number:line` to text."""
    places = {(n.file, n.line): n for n in record.nodes if n.file}
    return {f"{files[file]}:{line}": record.source(n) for (file, line), n in places.items()}
