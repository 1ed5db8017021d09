"""What nodes, ops, gates and shapes are called in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from ...facts import ROLES, written
from ...op import Shape
from ...ops.elementwise import Pow
from ..records.model import Record
from ..records.parts import NodeRecord
from ..records.value import number, operand

_SUPERSCRIPTS = str.maketrans("0123456789.-", "⁰¹²³⁴⁵⁶⁷⁸⁹·⁻")


#: Roles that an op has only where a gradient can go to more than one of its inputs.
_OF_SEVERAL = ("switcher", "router")


def role_of(node: NodeRecord) -> str:
    """The role of a node's gate, empty for a leaf or a gate without a derivative."""
    if node.kind != "op" or node.status == "failed" or not node.requires_grad:
        return ""
    role = node.op_class.role
    alone = len(node.arguments) > 1 and sum("edge" in a for a in node.arguments) == 1
    return "scaler" if alone and role in _OF_SEVERAL else role


def effect_of(node: NodeRecord) -> str:
    """What a node's gate does to a gradient, in a sentence; empty where it has no role."""
    role = role_of(node)
    stated = node.op_class.effect if role == node.op_class.role else ""
    return stated or (ROLES[role].meaning if role else "")


def symbol_of(node: NodeRecord) -> str:
    """What stands in the gate: `×`, `tanh`, with a number among the inputs `× 0.1` or `x²`."""
    op = node.op_class
    symbol = op.symbol or node.op.replace("_", " ")
    numbers = [(i, a["number"]) for i, a in enumerate(node.arguments) if "number" in a]
    if len(numbers) != 1 or len(node.arguments) != 2:
        return symbol
    position, x = numbers[0]
    text = f"{x:g}".replace("-", "−")
    if issubclass(op, Pow) and position == 1:
        return "x" + f"{x:g}".translate(_SUPERSCRIPTS) if len(text) <= 4 else f"x^{text}"
    if symbol in op.notation:
        return f"{symbol} {text}" if position == 1 else f"{text} {symbol}"
    return symbol


def formula(node: NodeRecord, arguments: list[str]) -> str:
    """The op applied to named or numeric arguments: `a × b`, `tanh(a)`, `max(a, b)`."""
    op = node.op_class
    if op.notation and len(arguments) == len(op.parameters):
        return written(op.notation, arguments)
    options = [f"{k}={v}" for k, v in node.attributes.items() if k in ("axis", "shape", "axes")]
    return f"{node.op}({', '.join([*arguments, *options])})"


def name_of(node: NodeRecord) -> str:
    """A node's name in a sentence: the user's, without the outermost module's class."""
    if node.name and node.kind == "parameter" and "." in node.name:
        return node.name.split(".", 1)[1]
    return node.label


def formula_of(record: Record, node: NodeRecord) -> str:
    """A node's op applied to its inputs by name: `a × b`, `tanh(a)`."""
    names = [
        name_of(record.nodes[record.edges[a["edge"]].source])
        if "edge" in a
        else number(a["number"], 6)
        for a in node.arguments
    ]
    return formula(node, names)


def product_of(upstream: float | None, local: float | None) -> str:
    """What a gate sends along a wire, as a product.

    >>> product_of(-3.0, -4.0)
    '−3 · (−4)'
    """
    return f"{number(upstream)} · {operand(local)}"


def sum_of(terms: Sequence[float]) -> str:
    """What the uses of a value send back, as a sum in their order.

    >>> sum_of([-3.0, -4.0])
    '−3 + (−4)'
    """
    return " + ".join([number(terms[0]), *(operand(x) for x in terms[1:])])


def extent(shape: Shape) -> str:
    """A shape in a sentence.

    >>> extent((5, 3)), extent((4,)), extent(())
    ('5×3', '4 numbers', 'a number')
    """
    if len(shape) == 1:
        return f"{shape[0]} number" if shape[0] == 1 else f"{shape[0]} numbers"
    return "×".join(map(str, shape)) or "a number"
