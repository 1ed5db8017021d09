"""How each op is written and what its gate does to a gradient: symbols, roles, in words."""

from __future__ import annotations

from ..records.model import NodeRecord

#: What a gate does with the gradient that arrives at it.
ROLES = {
    "distributor": "hands the upstream gradient on to every input, at most with its sign turned",
    "router": "hands the upstream gradient to the input that was chosen and 0 to the others",
    "switcher": "hands each input the upstream gradient times the other input",
    "scaler": "multiplies the upstream gradient by its own slope at this point",
    "sharer": "hands every element that was averaged an equal share of the upstream gradient",
    "mixer": "hands each input element a mix of the upstream gradients of all outputs",
    "mover": "puts every element of the upstream gradient back where its value came from",
    "blocker": "hands no gradient on: its slope is 0 wherever it has one",
    "adder": "a value that is used more than once adds up the gradients of its uses",
}

#: What a gate of that role does, as a verb.
VERBS = {
    "distributor": "distributes",
    "router": "routes",
    "switcher": "switches",
    "scaler": "scales",
    "sharer": "shares",
    "mixer": "mixes",
    "mover": "moves",
    "blocker": "blocks",
}

_ROLE = {
    "distributor": "add subtract sum positive negative astype broadcast_to cumulative_sum "
    "window_sum window_spread",
    "router": "maximum minimum max min where clip relu max_pool max_pool_route max_pool_pick",
    "switcher": "multiply matmul linear convolution convolution_input convolution_weight",
    "sharer": "mean avg_pool",
    "mixer": "softmax masked_softmax log_softmax var std logsumexp cumulative_prod layer_norm "
    "group_norm batch_norm nll_loss cross_entropy soft_cross_entropy kl_div rnn_scan lstm_scan "
    "gru_scan",
    "mover": "reshape permute_dims flip concat slice place gather scatter_add take take_add "
    "take_along_axis put_along_axis_add set_slice set_items",
    "blocker": "floor ceil trunc round sign floor_divide",
}
_ROLE_OF = {op: role for role, ops in _ROLE.items() for op in ops.split()}

_INFIX = {
    "add": "+",
    "subtract": "−",
    "multiply": "×",
    "divide": "÷",
    "matmul": "@",
    "equal": "=",
    "not_equal": "≠",
    "less": "<",
    "less_equal": "≤",
    "greater": ">",
    "greater_equal": "≥",
}
_SYMBOLS = {
    **_INFIX,
    "negative": "−x",
    "positive": "+x",
    "maximum": "max",
    "minimum": "min",
    "square": "x²",
    "sqrt": "√x",
    "reciprocal": "1/x",
    "exp": "eˣ",
    "pow": "xⁿ",
    "abs": "|x|",
    "sigmoid": "σ",
    "sum": "Σ",
    "mean": "mean",
    "permute_dims": "transpose",
    "masked_softmax": "softmax",
    "log_softmax": "log softmax",
    "broadcast_to": "broadcast",
}
_SUPERSCRIPTS = str.maketrans("0123456789.-", "⁰¹²³⁴⁵⁶⁷⁸⁹·⁻")


def role_of(node: NodeRecord) -> str:
    """The role of a node's gate, empty for a leaf or a gate without a derivative."""
    if node.kind != "op" or node.status == "failed" or not node.requires_grad:
        return ""
    role = _ROLE_OF.get(node.op, "scaler")
    alone = sum("edge" in a for a in node.arguments) == 1
    return "scaler" if role == "switcher" and alone else role


def symbol_of(node: NodeRecord) -> str:
    """What stands in the gate: `×`, `tanh`, with a number among the inputs `× 0.1` or `x²`."""
    symbol = _SYMBOLS.get(node.op, node.op.replace("_", " "))
    numbers = [(i, a["number"]) for i, a in enumerate(node.arguments) if "number" in a]
    if len(numbers) != 1 or len(node.arguments) != 2:
        return symbol
    position, x = numbers[0]
    text = f"{x:g}".replace("-", "−")
    if node.op == "pow" and position == 1:
        return "x" + f"{x:g}".translate(_SUPERSCRIPTS) if len(text) <= 4 else f"x^{text}"
    if node.op in _INFIX or node.op in ("maximum", "minimum"):
        return f"{symbol} {text}" if position == 1 else f"{text} {symbol}"
    return symbol


def formula(node: NodeRecord, arguments: list[str]) -> str:
    """The op applied to named or numeric arguments: `a × b`, `tanh(a)`, `max(a, b)`."""
    if node.op in _INFIX and len(arguments) == 2:
        left, right = (f"({a})" if a.startswith("−") and i else a for i, a in enumerate(arguments))
        return f"{left} {_INFIX[node.op]} {right}"
    if node.op == "negative":
        return f"−({arguments[0]})" if arguments[0].startswith("−") else f"−{arguments[0]}"
    if node.op == "square":
        base = arguments[0]
        return f"({base})²" if base.startswith("−") else f"{base}²"
    if node.op == "pow":
        return f"({arguments[0]})^{arguments[1]}"
    name = {"maximum": "max", "minimum": "min"}.get(node.op, node.op)
    options = [f"{k}={v}" for k, v in node.attributes.items() if k in ("axis", "shape", "axes")]
    return f"{name}({', '.join([*arguments, *options])})"
