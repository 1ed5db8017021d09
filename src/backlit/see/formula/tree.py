"""A differentiated formula as a coloured tree: values green, gradients red, each gate's role named.

    x + y = 3   upstream 2   + distributes
    ├── local 1   downstream 2 × 1 = 2
    │   x = 1   upstream 2
    └── local 1   downstream 2 × 1 = 2
        y = 2   upstream 5   copy adds 2 + 3

A branch of the tree is a wire: it carries the local gradient of the gate above, and the downstream
gradient that it sends to the value below.
"""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from ...facts import COPY
from ..records.value import number as shown
from .gates import Differentiation, Edge, Gate

VALUE, GRADIENT, LOCAL, ROLE, WORD = "green", "bold red", "red", "cyan", "dim"
_GUIDE = 4  # columns that one level of the tree takes
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


# -- numbers ------------------------------------------------------------------------------------


def number(value: Any) -> str:
    """A number as a record writes it."""
    return shown(float(value))


def numbers(values: np.ndarray, width: int = 36) -> str:
    """An array on one line; a long vector without its middle, a large matrix as its extremes.

    >>> numbers(np.arange(100.0))
    '[0, 1, 2, …, 98, 99] (100)'
    """
    if values.ndim == 0:
        return number(values)
    if values.size <= 64:
        text = _nested(values)
        if len(text) <= width or values.size <= 6:
            return text
    shape = "×".join(map(str, values.shape))
    if values.ndim == 1:
        ends = [number(v) for v in (*values[:3], *values[-2:])]
        return f"[{', '.join(ends[:3])}, …, {', '.join(ends[3:])}] ({shape})"
    return f"{shape} from {number(values.min())} to {number(values.max())}"


def _nested(values: np.ndarray) -> str:
    if values.ndim == 0:
        return number(values)
    return f"[{', '.join(_nested(v) for v in values)}]"


def _signed(value: np.ndarray) -> str:
    text = number(value)
    return f"({text})" if text.startswith("−") else text


def local_gradient(edge: Edge, gate: Gate, source: Gate) -> str:
    """The local gradient of a wire in words: a number, diag(…), a Jacobian's structure.

    A Jacobian is read as a matrix, with a row for each output and a column for each input element.
    """
    local = edge.local
    assert local is not None
    if local.values is None:
        return f"a {gate.value.size}×{source.value.size} Jacobian, too large to show"
    values = local.values
    if local.kind == "factor":
        if values.ndim == 0:
            return number(values)
        if source.value.shape != gate.value.shape:
            return f"{numbers(values)}, summed over the copies"
        if values.size and np.all(values == values.flat[0]):
            return f"{number(values.flat[0])} for each element"
        return f"diag{_round(numbers(values))}" if values.ndim == 1 else f"∘ {numbers(values)}"
    if gate.value.size == 1 or source.value.size == 1:
        shape = source.value.shape if gate.value.size == 1 else gate.value.shape
        flat = values.reshape(shape)
        if flat.ndim and flat.size and np.all(flat == flat.flat[0]):
            return f"{number(flat.flat[0])} for each element"
        return numbers(flat)
    return _structure(values.reshape(gate.value.size, source.value.size))


def _round(text: str) -> str:
    inner, _, tail = text[1:].rpartition("]")
    return f"({inner}){tail}"


def _structure(matrix: np.ndarray) -> str:
    """A Jacobian by its structure: zero, diagonal, a selection, a Kronecker product, dense."""
    rows, columns = matrix.shape
    if not matrix.any():
        return "0"
    if rows == columns and np.array_equal(matrix, np.diag(np.diag(matrix))):
        diagonal = np.diag(matrix)
        if np.all(diagonal == diagonal[0]):
            return f"{number(diagonal[0])} for each element"
        return f"diag{_round(numbers(diagonal))}"
    if np.isin(matrix, (0, 1)).all() and np.all(matrix.sum(1) == 1):
        taken = matrix.argmax(1)
        return f"picks {'elements' if rows > 1 else 'element'} {_places(taken)}"
    for size in range(min(rows, columns), 1, -1):
        if rows % size or columns % size:
            continue
        blocks = matrix.reshape(size, rows // size, size, columns // size)
        if np.array_equal(blocks, _kron_left(block := blocks[0, :, 0, :], size)):
            return f"{_identity(size)} ⊗ {_matrix(block)}"
        blocks = matrix.reshape(rows // size, size, columns // size, size)
        if np.array_equal(blocks, _kron_right(block := blocks[:, 0, :, 0], size)):
            return f"{_matrix(block)} ⊗ {_identity(size)}"
    return _matrix(matrix)


def _places(taken: np.ndarray) -> str:
    return ", ".join(map(str, taken)) if taken.size <= 8 else f"{taken[0]}, {taken[1]}, …"


def _identity(size: int) -> str:
    return f"I{str(size).translate(_SUBSCRIPTS)}"


def _kron_left(block: np.ndarray, size: int) -> np.ndarray:
    return np.einsum("ij,ab->iajb", np.eye(size), block)


def _kron_right(block: np.ndarray, size: int) -> np.ndarray:
    return np.einsum("ab,ij->aibj", block, np.eye(size))


def _matrix(matrix: np.ndarray) -> str:
    return numbers(matrix[0] if matrix.shape[0] == 1 else matrix)


# -- the tree -----------------------------------------------------------------------------------


def render(d: Differentiation, width: int = 80) -> Group:
    """The tree, the gradients and what the gates do, for a rich console."""
    parts: list[Any] = [_heading(d, width), _tree(d, width), _gradients(d, width)]
    if d.gates[d.result].inputs:
        parts.append(_legend(d))
    return Group(*[piece for part in parts for piece in (part, Text())][:-1])


def _result_name(d: Differentiation) -> str:
    taken = {g.label for g in d.gates} | set(d.names)
    return "f" if "f" not in taken else "result"


def _heading(d: Differentiation, width: int) -> Text:
    *definitions, formula = d.expression.split(";") if d.names else [d.expression]
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
    root = d.gates[d.result]
    tree = Tree(_value_line(d, root, width), guide_style=WORD)
    shown = {root.number}
    # Depth first without recursion; children are pushed in reverse to come out in order.
    stack = [(tree, root, edge, 1) for edge in reversed(root.inputs)]
    while stack:
        branch, gate, edge, depth = stack.pop()
        source = d.gates[edge.source]
        room = width - _GUIDE * depth
        lines = [] if edge.local is None else _wire_lines(edge, gate, source, room)
        again = source.number in shown and source.inputs
        value = _value_line(d, source, room)
        if again:
            value.append("   see above", WORD)
        node = branch.add(Group(*lines, value))
        if source.inputs and not again:
            shown.add(source.number)
            stack.extend((node, source, e, depth + 1) for e in reversed(source.inputs))
    return tree


def _wire_lines(edge: Edge, gate: Gate, source: Gate, room: int) -> list[Text]:
    local = Text.assemble(("local ", WORD), (local_gradient(edge, gate, source), LOCAL))
    down = Text.assemble(("downstream ", WORD))
    if edge.downstream is None:
        down.append("none", WORD)
    else:
        factor = edge.local.values if edge.local is not None else None
        scalars = gate.value.ndim == 0 and source.value.ndim == 0
        if scalars and gate.upstream is not None and factor is not None:
            down.append(f"{number(gate.upstream)} × {_signed(factor)} = ", WORD)
        down.append(numbers(edge.downstream), GRADIENT)
    return _joined(local, down, room)


def _value_line(d: Differentiation, gate: Gate, room: int) -> Text:
    names = [name for name, number_ in d.names.items() if number_ == gate.number]
    label = f"{names[0]} = {gate.label}" if names else gate.label
    if gate.kind == "constant" and gate.label == numbers(gate.value):
        return Text.assemble((gate.label, VALUE), ("   constant", WORD))
    value = Text.assemble(
        (_shortened(label, room - 24), "bold"), " = ", (numbers(gate.value), VALUE)
    )
    if gate.kind == "constant" or (gate.upstream is None and not gate.uses):
        value.append("   constant", WORD)
        return value
    about = Text.assemble(("upstream ", WORD))
    if gate.upstream is None:
        about.append("none", WORD)
    else:
        about.append(numbers(gate.upstream), GRADIENT)
    if gate.role is not None:
        about.append(f"   {gate.title}", ROLE)
    parts = d.contributions(gate)
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
    return " + ".join([number(parts[0]), *map(_signed, parts[1:])])


def _gradients(d: Differentiation, width: int) -> Table:
    table = Table.grid(padding=(0, 1))
    result = _result_name(d)
    for name, gradient in d.gradients.items():
        line = Text()
        if gradient is None:
            line.append(f"none: {result} does not depend on {name}", WORD)
        else:
            line = _rows(Text(numbers(gradient, width - 20), GRADIENT), width - 20)
            parts = d.contributions(d.gates[_number_of(d, name)])
            if len(parts) > 1 and gradient.ndim == 0:
                line.append(f" = {_sum(parts)}", WORD)
        table.add_row(Text(f"∂{result}/∂{name}", "bold"), Text("=", WORD), line)
    return table


def _number_of(d: Differentiation, name: str) -> int:
    if name in d.names:
        return d.names[name]
    return next(g.number for g in d.gates if g.label == name and g.kind == "variable")


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
    if any(len(d.contributions(g)) > 1 for g in d.gates):
        table.add_row(Text("copy adds", ROLE), Text(COPY.meaning, WORD))
    return table


def as_text(d: Differentiation, width: int = 80) -> str:
    """The tree without colours."""
    out = io.StringIO()
    Console(file=out, width=width, no_color=True, highlight=False).print(render(d, width))
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())
