"""How an op is written and what its gate does to a gradient, as its class says it."""

from __future__ import annotations

from ...facts import ROLES, written
from ...ops.elementwise import Pow
from ..records.parts import NodeRecord

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
