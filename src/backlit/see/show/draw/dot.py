"""The drawing in the language of Graphviz, with modules as clusters."""

from __future__ import annotations

from collections.abc import Iterator

from ...records.model import Record
from ...records.parts import printable
from .bodies import Opened
from .labels import Labels
from .svg import escape

_GREEN, _RED, _BLUE = "#00714f", "#b34000", "#1a5fb4"


def dot(record: Opened, labels: Labels, title: str) -> str:
    """A digraph: values green and gradients red on the wires, local gradients blue at the gates.

    Ops that were asked to be opened are clusters, too.
    """
    lines = [
        "digraph backlit {",
        f"  label={_quote(title)}; labelloc=t; rankdir=LR;",
        '  node [fontname="monospace", fontsize=11]; edge [fontname="monospace", fontsize=10];',
    ]
    members: dict[int | None, list[int]] = {}
    for n in record.closed.nodes:
        members.setdefault(n.scope if n.kind == "op" else None, []).append(n.id)
    children: dict[int | None, list[int]] = {}
    for s in record.scopes:
        children.setdefault(s.parent, []).append(s.id)
    # Clusters are opened and closed from a stack: modules may be nested to any depth.
    stack: list[tuple[int | None, bool]] = [(None, False)]
    while stack:
        scope, done = stack.pop()
        if done:
            lines.append("  }")
            continue
        if scope is not None:
            name = _quote(f"{record.scopes[scope].name}: {record.scopes[scope].type}")
            lines.append(f'  subgraph cluster_{scope} {{ label={name}; color="#a9b4bf";')
            stack.append((scope, True))
        for i in members.get(scope, []):
            lines += _body(record, labels, i) if i in record.wanted else [_node(record, labels, i)]
        stack += [(child, False) for child in reversed(children.get(scope, []))]
    lines += _edges(record, labels)
    return "\n".join([*lines, "}\n"])


def _node(record: Record, labels: Labels, number: int) -> str:
    n = record.nodes[number]
    shape = "circle" if n.kind == "op" else "box"
    text = labels.symbol[number]
    if n.kind == "op" and n.name:
        text = f"{n.name}\n{text}"
    if labels.role[number]:
        text += f"\n{labels.role[number]}"
    options = f"label={_quote(text)}, shape={shape}"
    if n.kind == "constant":
        options += ", style=dashed"
    if n.error:
        options += f', color="#b3261e", penwidth=3, tooltip={_quote(n.error)}'
    elif number == record.output:
        found = [labels.value[number], labels.upstream[number]]
        options += f", penwidth=2, xlabel={_quote(' '.join(t for t in found if t))}"
    return f"  n{number} [{options}];"


def _body(record: Opened, labels: Labels, op: int) -> Iterator[str]:
    yield f"  subgraph cluster_body_{op} {{ label={_quote(record.nodes[op].op)}; style=dashed;"
    yield from (_node(record, labels, n) for n, of in enumerate(record.owner) if of == op)
    yield "  }"


def _edges(record: Opened, labels: Labels) -> Iterator[str]:
    for e in record.edges:
        inside = record.owner[e.target]
        if inside not in (-1, *record.wanted) or e.target in record.wanted:
            continue
        source = record.results[e.source] if e.source in record.wanted else e.source
        rows = []
        if labels.value[e.source]:
            rows.append((labels.value[e.source], _GREEN))
        gradient = labels.downstream[e.id] or labels.upstream[e.source]
        if gradient and e.gradient is not None:
            rows.append((gradient, _RED))
        cells = "".join(
            f'<tr><td><font color="{color}">{escape(text)}</font></td></tr>' for text, color in rows
        )
        options = []
        if cells:
            options.append(f'label=<<table border="0" cellspacing="0">{cells}</table>>')
        if labels.local[e.id]:
            options.append(f'headlabel=<<font color="{_BLUE}">{escape(labels.local[e.id])}</font>>')
        yield f"  n{source} -> n{e.target} [{', '.join(options)}];"


def _quote(text: str) -> str:
    escaped = printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
