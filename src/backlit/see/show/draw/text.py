"""The drawing for a terminal: one line a node, modules as a tree, values green, gradients red."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ....table import quantity
from ...records.parts import NodeRecord
from ..words import formula_of, name_of, sum_of
from .labels import Labels
from .tree import Tree

#: Nodes inside folded boxes are not listed; a longer list than this is cut.
MAX_LINES = 400


def render(tree: Tree, labels: Labels) -> Table:
    """The graph as a table for `rich`."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    table.add_column("node", overflow="fold", ratio=5)
    table.add_column("value", justify="right", style="green", no_wrap=True)
    table.add_column("gradient", justify="right", style="red", no_wrap=True)
    table.add_column("local, role", overflow="fold", ratio=3)
    lines = 0
    stack: list[tuple[int, int]] = [(m, 0) for m in reversed(_in_order(tree, 0))]
    while stack:
        item, depth = stack.pop()
        if lines == MAX_LINES:
            table.add_row(Text(f"… {len(stack) + 1} more; save it as .html", style="dim"))
            break
        lines += 1
        indent = "  " * depth
        if item < tree.count:
            table.add_row(*_row(tree, labels, tree.record.nodes[item], indent))
            continue
        box = tree.boxes[item - tree.count]
        if box.node is not None:
            sign = "" if box.folded else "▾ "
            table.add_row(*_row(tree, labels, tree.record.nodes[box.node], indent, sign))
            if not box.folded:
                stack += [(m, depth + 1) for m in reversed(_in_order(tree, box.id))]
            continue
        sign = "▸" if box.folded else "▾"
        title = Text(f"{indent}{sign} {box.title}", style="bold")
        if not box.folded:
            table.add_row(title)
            stack += [(m, depth + 1) for m in reversed(_in_order(tree, box.id))]
            continue
        out = box.outputs[-1] if box.outputs else None
        value = labels.value[out] if out is not None else ""
        gradient = labels.upstream[out] if out is not None else ""
        table.add_row(title, value, gradient, Text(quantity(_ops(tree, box.id), "op"), style="dim"))
    return table


def _in_order(tree: Tree, box: int) -> list[int]:
    """The members of a box in the order of computation; leaves first where they are used."""
    first = dict.fromkeys(tree.boxes[box].members, 0)
    for m in first:
        first[m] = m
        stack = [m]
        numbers: list[int] = []
        while stack:
            item = stack.pop()
            if item < tree.count:
                numbers.append(item)
            elif (op := tree.boxes[item - tree.count].node) is not None:
                numbers.append(op)
            else:
                stack += tree.boxes[item - tree.count].members
        first[m] = min(numbers)
    return sorted(first, key=first.__getitem__)


def _ops(tree: Tree, box: int) -> int:
    count, stack = 0, [box]
    while stack:
        for m in tree.boxes[stack.pop()].members:
            if m < tree.count:
                count += tree.record.nodes[m].kind == "op"
            elif tree.boxes[m - tree.count].node is not None:
                count += 1
            else:
                stack.append(m - tree.count)
    return count


def _row(tree: Tree, labels: Labels, n: NodeRecord, indent: str, sign: str = "") -> tuple[Any, ...]:
    record = tree.record
    name = Text(sign)
    name.append(name_of(n), style="bold" if n.name else "")
    if n.kind == "op":
        # The symbol says what a text drawing cannot show otherwise.
        text = labels.symbol[n.id] if len(n.arguments) > 4 else formula_of(record, n)
        name.append(f" = {text}")
    else:
        name.append(f"  {n.kind}", style="dim")
    notes = Text()
    if n.error:
        notes.append(f"raised: {n.error}", style="bold red")
    for e in record.incoming[n.id]:
        if labels.local[e.id]:
            source = name_of(record.nodes[e.source])
            notes.append(f"{source} {labels.local[e.id]}  ", style="blue")
    notes.append(labels.role[n.id], style="dim")
    uses = [e for e in record.outgoing[n.id] if e.gradient is not None]
    if len(uses) > 1 and "gradient" not in n.given:
        sent = [e.gradient.item() for e in uses[:4] if e.gradient is not None]
        single = [x for x in sent if x is not None]
        each = (labels.downstream[e.id] for e in uses[:4])
        terms = sum_of(single) if len(single) == len(sent) else " + ".join(each)
        more = " + …" if len(uses) > 4 else ""
        notes.append(f" adder: {terms}{more}", style="red")
    if n.given:
        notes.append(f"  {n.given.replace(';', ' and')} set", style="yellow")
    return Padding(name, (0, 0, 0, len(indent))), labels.value[n.id], labels.upstream[n.id], notes


def text(tree: Tree, labels: Labels, width: int, color: bool) -> str:
    """The graph as plain or colored text."""
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
    )
    console.print(render(tree, labels))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in lines)
