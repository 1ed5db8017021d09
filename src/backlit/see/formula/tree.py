"""A differentiated formula as a coloured tree: values green, gradients red, each gate's role named.

    x + y = 3   upstream 2   + distributes
    ├── local 1   downstream 2 · 1 = 2
    │   x = 1   upstream 2
    └── local 1   downstream 2 · 1 = 2
        y = 2   upstream 5   copy adds 2 + 3

A branch of the tree is a wire: it carries the local gradient of the gate above, and the downstream
gradient that it sends to the value below.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from ...dtypes import FLOATING, as_dtype
from ...errors import ArgumentError
from ...facts import COPY
from ..records.model import Record
from ..show.words import product_of, sum_of
from .evaluate import evaluate
from .gates import Gate, Wire, gates_of
from .language import Expression, parse
from .words import local_gradient, numbers

VALUE, GRADIENT, LOCAL, ROLE, WORD = "green", "bold red", "red", "cyan", "dim"
_GUIDE = 4  # columns that one level of the tree takes


@dataclass(repr=False)
class Differentiation:
    """A formula with its gates in the order of their computation, and the record that all of it
    is read off. Prints as a tree.
    """

    formula: Expression
    record: Record
    gates: list[Gate]

    @property
    def result(self) -> Gate:
        """The gate whose value is the formula's."""
        return self.gates[self.formula.result]

    @property
    def value(self) -> np.ndarray:
        """The value of the formula."""
        return self.result.value

    @property
    def named(self) -> dict[str, Gate]:
        """The variables and the parts that the formula gives a name."""
        variables = {g.label: g for g in self.gates if g.kind == "variable"}
        return variables | {name: self.gates[i] for name, i in self.formula.names.items()}

    @property
    def gradients(self) -> dict[str, np.ndarray | None]:
        """The gradient for each variable and each named part; None where the result has none."""
        return {name: gate.upstream for name, gate in self.named.items()}

    def to_dict(self) -> dict[str, Any]:
        """Everything as numbers, lists and text, for JSON. NaN and infinities become text."""
        return {
            "expression": self.formula.text,
            "value": _plain(self.value),
            "gradients": {name: _plain(g) for name, g in self.gradients.items()},
            "gates": [
                {
                    "number": g.number,
                    "kind": g.kind,
                    "label": g.label,
                    "name": g.name,
                    "role": g.role,
                    "copies": len(g.contributions) > 1,
                    "value": _plain(g.value),
                    "upstream": _plain(g.upstream),
                    "inputs": [
                        {
                            "from": wire.source.number,
                            "local": wire.local
                            and {"kind": wire.local.kind, "values": _plain(wire.local.values)},
                            "downstream": _plain(wire.downstream),
                        }
                        for wire in g.inputs
                    ],
                }
                for g in self.gates
            ],
            "result": self.formula.result,
        }

    def __repr__(self) -> str:
        return as_text(self)

    def __rich__(self) -> Group:
        return render(self)

    def _repr_html_(self) -> str:
        """The tree in its colours."""
        console = Console(file=io.StringIO(), width=100, record=True, highlight=False)
        console.print(render(self, 100))
        form = '<pre style="margin:0;overflow-x:auto;line-height:1.35">{code}</pre>'
        return console.export_html(inline_styles=True, code_format=form)


def _plain(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        values = values.astype(np.float64).tolist()
    if isinstance(values, list):
        return [_plain(v) for v in values]
    return values if values is None or math.isfinite(values) else str(values)


def differentiate(
    expression: str,
    values: Mapping[str, Any],
    *,
    upstream: Any = None,
    dtype: Any = "float64",
) -> Differentiation:
    """The value and all gradients of a formula at given values of its variables.

    The formula is text, read by `parse` and never executed as Python. A result that is
    not a single number needs its `upstream` gradient. Prints as a tree. `draw`, `steps` and
    `explain` take it as they take a record.

    >>> d = differentiate("(x + y) * max(y, z)", {"x": 1, "y": 2, "z": 0})
    >>> {name: float(g) for name, g in d.gradients.items()}
    {'x': 2.0, 'y': 5.0, 'z': 0.0}
    >>> from backlit.see import explain
    >>> print(explain("x", d).unicode())
    ∂multiply_5/∂x = ∂multiply_5/∂add_2·∂add_2/∂x = 2·1 = 2
    """
    kind = as_dtype(dtype)
    if kind not in FLOATING:
        raise ArgumentError(f"differentiate: dtype must be floating, got {kind}")
    formula = parse(expression)
    found = evaluate(formula, values, upstream, kind)
    d = Differentiation(formula, found.record, gates_of(formula, found))
    if not d.result.requires_grad:
        raise formula.error("there is nothing to differentiate: give at least one name a value")
    if found.record.seed is None:
        raise formula.error(
            f"the result must be a single number, got shape {d.value.shape}; "
            "reduce it with sum(…), or give its upstream gradient (--upstream)"
        )
    return d


# -- the tree -----------------------------------------------------------------------------------


def render(d: Differentiation, width: int = 80) -> Group:
    """The tree, the gradients and what the gates do, for a rich console."""
    parts: list[Any] = [_heading(d, width), _tree(d, width), _gradients(d, width)]
    if d.result.inputs:
        parts.append(_legend(d))
    return Group(*[piece for part in parts for piece in (part, Text())][:-1])


def _result_name(d: Differentiation) -> str:
    taken = {g.label for g in d.gates} | set(d.formula.names)
    return "f" if "f" not in taken else "result"


def _heading(d: Differentiation, width: int) -> Text:
    *definitions, formula = d.formula.text.split(";") if d.formula.names else [d.formula.text]
    text = Text()
    for definition in definitions:
        text.append(f"{definition.strip()}; ", WORD)
    text.append(f"{_result_name(d)} = ", WORD).append(formula.strip(), "bold")
    line = Text("\n")
    for g in (g for g in d.gates if g.kind == "variable"):
        item = Text.assemble((f"{g.label} = ", WORD), (numbers(g.value), VALUE))
        if line.cell_len > 1 and line.cell_len + item.cell_len + 2 > width:
            text.append(line)
            line = Text("\n")
        line.append("" if line.cell_len <= 1 else "  ").append(item)
    text.append(line)
    return text


def _tree(d: Differentiation, width: int) -> Tree:
    root = d.result
    tree = Tree(_value_line(d, root, width), guide_style=WORD)
    shown = {root.number}
    # Depth first without recursion; children are pushed in reverse to come out in order.
    stack = [(tree, wire, 1) for wire in reversed(root.inputs)]
    while stack:
        branch, wire, depth = stack.pop()
        source = wire.source
        room = width - _GUIDE * depth
        lines = [] if wire.local is None else _wire_lines(wire, room)
        again = source.number in shown and source.inputs
        value = _value_line(d, source, room)
        if again:
            value.append("   see above", WORD)
        node = branch.add(Group(*lines, value))
        if source.inputs and not again:
            shown.add(source.number)
            stack.extend((node, w, depth + 1) for w in reversed(source.inputs))
    return tree


def _wire_lines(wire: Wire, room: int) -> list[Text]:
    local = Text.assemble(("local ", WORD), (local_gradient(wire), LOCAL))
    down = Text.assemble(("downstream ", WORD))
    if wire.downstream is None:
        down.append("none", WORD)
    else:
        factor = None if wire.local is None else wire.local.values
        upstream = wire.gate.upstream
        scalars = wire.gate.value.ndim == 0 and wire.source.value.ndim == 0
        if scalars and upstream is not None and factor is not None:
            down.append(f"{product_of(float(upstream), float(factor))} = ", WORD)
        down.append(numbers(wire.downstream), GRADIENT)
    return _joined(local, down, room)


def _value_line(d: Differentiation, gate: Gate, room: int) -> Text:
    names = [name for name, i in d.formula.names.items() if i == gate.number]
    label = f"{names[0]} = {gate.label}" if names else gate.label
    if gate.kind == "constant" and gate.label.replace("-", "−") == numbers(gate.value):
        return Text.assemble((numbers(gate.value), VALUE), ("   constant", WORD))
    value = Text.assemble(
        (_shortened(label, room - 24), "bold"), " = ", (numbers(gate.value), VALUE)
    )
    if gate.upstream is None:
        value.append("   constant", WORD)
        return value
    about = Text.assemble(("upstream ", WORD), (numbers(gate.upstream), GRADIENT))
    if gate.role is not None:
        about.append(f"   {gate.title}", ROLE)
    parts = gate.contributions
    if len(parts) > 1:
        about.append("   copy adds", ROLE)
        if all(p.ndim == 0 for p in parts):
            about.append(f" {_sum(parts)}", WORD)
    return Text("\n").join(_joined(value, about, room))


def _rows(text: Text, room: int) -> Text:
    """A line with a matrix that is too long for the room, with a line for each row instead."""
    plain = text.plain
    if text.cell_len <= room or "], [" not in plain:
        return text
    indent = " " * (plain.index("[[") + 1)
    breaks = [match.end() for match in re.finditer(r"\], ", plain)]
    pieces = text.divide(breaks)
    for piece in pieces:
        piece.rstrip()
    return Text(f"\n{indent}").join(pieces)


def _joined(left: Text, right: Text, room: int) -> list[Text]:
    """The two on one line if there is room, else one below the other."""
    if left.cell_len + right.cell_len + 3 <= room:
        return [Text.assemble(left, "   ", right)]
    right.pad_left(2)
    return [_rows(left, room), _rows(right, room)]


def _shortened(text: str, width: int) -> str:
    width = max(width, 12)
    if len(text) <= width:
        return text
    half = (width - 1) // 2
    return f"{text[:half]}…{text[len(text) - half :]}"


def _sum(parts: list[np.ndarray]) -> str:
    return sum_of([float(p) for p in parts])


def _gradients(d: Differentiation, width: int) -> Table:
    table = Table.grid(padding=(0, 1))
    result = _result_name(d)
    for name, gate in d.named.items():
        gradient, line = gate.upstream, Text()
        if gradient is None:
            line.append(f"none: {result} does not depend on {name}", WORD)
        else:
            line = _rows(Text(numbers(gradient, width - 20), GRADIENT), width - 20)
            parts = gate.contributions
            if len(parts) > 1 and gradient.ndim == 0:
                line.append(f" = {_sum(parts)}", WORD)
        table.add_row(Text(f"∂{result}/∂{name}", "bold"), Text("=", WORD), line)
    return table


def _legend(d: Differentiation) -> Table:
    """What the gates that occur do with the gradient."""
    table = Table.grid(padding=(0, 2))
    sent = "upstream × local: what a gate sends to one of its inputs"
    table.add_row(Text("downstream", GRADIENT), Text(sent, WORD))
    titles: dict[str, list[str]] = {}
    for gate in d.gates:
        if gate.role is not None and gate.upstream is not None:
            found = titles.setdefault(gate.does, [])
            if gate.title not in found:
                found.append(gate.title)
    for does, found in titles.items():
        table.add_row(Text("\n".join(found), ROLE), Text(does, WORD))
    if any(len(g.contributions) > 1 for g in d.gates):
        table.add_row(Text("copy adds", ROLE), Text(COPY.meaning, WORD))
    return table


def as_text(d: Differentiation, width: int = 80) -> str:
    """The tree without colours."""
    out = io.StringIO()
    Console(file=out, width=width, no_color=True, highlight=False).print(render(d, width))
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())
