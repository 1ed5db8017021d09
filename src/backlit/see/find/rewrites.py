"""A safe way to write the user's own expression, for each rule that breaks."""

from __future__ import annotations

import ast
import linecache
import re
from collections.abc import Iterator

from ...op import Op
from ...ops.activation import Softmax
from ...ops.contraction import Matmul
from ...ops.elementwise import Add, Divide, Exp, Expm1, Log, Log2, Log10, Multiply, Pow, Sqrt, Where
from ...ops.reductions import Std, Sum
from ..formula.language import OPERATORS
from ..records.model import Record
from ..records.parts import NodeRecord

#: The operator by which each op can be written.
_SIGNS = {function.op: sign for sign, function in OPERATORS.items()}
EPSILON = "1e-12"


def rewrite(
    record: Record, node: NodeRecord, primitive: Op, rule: str, direction: str
) -> tuple[str, str]:
    """(the user's expression made safe, a sentence of advice); either may be empty."""
    found = _expression(record, node, node.op_class, type(primitive))
    if found is not None and ("overflow" in rule or "finite" in rule or "∞" in rule):
        stable = _stable(record, node)
        if stable:
            return stable, "it shifts by the maximum, so nothing overflows"
    masked = _masked(record, node) if "0 · ∞" in rule or direction == "backward" else None
    if masked is not None and found is not None:
        return _inside_where(found, masked)
    if found is None:
        return "", _general(rule) or _inside(node.op_class)
    return _safe(record, node, found, rule)


def _statements(record: Record, node: NodeRecord) -> ast.Module | None:
    """The user's file as a tree; None where it is not known, as for a record from a file."""
    lines = [] if record.is_from_file else linecache.getlines(node.file)
    try:
        return ast.parse("".join(lines)) if lines else None
    except SyntaxError:
        return None


def _expression(record: Record, node: NodeRecord, *ops: type[Op]) -> ast.expr | None:
    """The part of the user's line that applied the first of the ops that it has."""
    tree = _statements(record, node)
    if tree is None:
        return None
    for op in dict.fromkeys(ops):
        for e in _on_line(tree, node.line):
            if isinstance(e, ast.Call) and _called(e) == op.name:
                return e
            if isinstance(e, ast.BinOp) and isinstance(e.op, _SIGNS.get(op, ())):
                return e
    return None


def _on_line(tree: ast.Module, line: int) -> Iterator[ast.expr]:
    for e in ast.walk(tree):
        if isinstance(e, ast.Call | ast.BinOp) and e.lineno <= line <= (e.end_lineno or e.lineno):
            yield e


def _stable(record: Record, node: NodeRecord) -> str:
    """A softmax, logsumexp or softplus that the user's line spells out."""
    tree = _statements(record, node)
    for e in _on_line(tree, node.line) if tree is not None else ():
        lib = _prefix(e)
        if isinstance(e, ast.BinOp) and isinstance(e.op, ast.Div):
            soft = _softmax_of(e)
            if soft:
                return f"{lib}nn.functional.softmax({soft})"
        if _called(e) == "log":
            x = _argument(e)
            folded = _sum_of_exp(x)
            if folded:
                return f"{lib}logsumexp({folded})"
            if isinstance(x, ast.BinOp) and isinstance(x.op, ast.Add):
                for one, other in ((x.left, x.right), (x.right, x.left)):
                    inner = _argument(other) if _called(other) == "exp" else None
                    if isinstance(one, ast.Constant) and one.value == 1 and inner is not None:
                        return f"{lib}logaddexp({ast.unparse(inner)}, 0.0)"
    return ""


def _called(e: ast.expr | None) -> str:
    if not isinstance(e, ast.Call):
        return ""
    f = e.func
    return f.attr if isinstance(f, ast.Attribute) else f.id if isinstance(f, ast.Name) else ""


def _argument(e: ast.expr) -> ast.expr | None:
    """x of f(x), lib.f(x) or x.f()."""
    if not isinstance(e, ast.Call):
        return None
    if isinstance(e.func, ast.Attribute) and not _is_library(e.func.value):
        return e.func.value
    return e.args[0] if e.args else None


def _is_library(e: ast.expr) -> bool:
    """Whether the name before the dot is a module's (bl, backlit, F), not a tensor's."""
    return isinstance(e, ast.Name) and e.id in ("bl", "backlit", "F", "functional", "np")


def _prefix(e: ast.expr) -> str:
    """`bl.` if the user wrote `bl.log(x)`, else nothing."""
    for part in ast.walk(e):
        f = part.func if isinstance(part, ast.Call) else None
        if isinstance(f, ast.Attribute) and _is_library(f.value):
            return f"{ast.unparse(f.value)}."
    return "bl."


def _masked(record: Record, node: NodeRecord) -> ast.Call | None:
    """The user's `where(...)` around a node, if the value goes into one."""
    for e in record.onward(node, 4):
        target = record.nodes[e.target]
        if target.op_class is Where and e.position > 0:
            found = _expression(record, target, Where)
            if isinstance(found, ast.Call) and len(found.args) == 3:
                return found
    return None


def _inside_where(e: ast.expr, where: ast.Call) -> tuple[str, str]:
    """The same `where`, with the bad elements replaced inside the branch too."""
    condition = ast.unparse(where.args[0])
    bad = e.right if isinstance(e, ast.BinOp) else _argument(e)
    if bad is None:
        return "", "choose safe inputs inside the branch: f(where(ok, x, 1))"
    x = ast.unparse(bad)
    chosen = next((i for i in (1, 2) if ast.unparse(e) in ast.unparse(where.args[i])), 1)
    safe = f"{_prefix(where)}where({condition}, {x}, 1.0)"
    if chosen == 2:
        safe = f"{_prefix(where)}where({condition}, 1.0, {x})"
    branch = ast.unparse(where.args[chosen])
    parts = [ast.unparse(a) for a in where.args]
    # If the branch was computed on another line, that line is to be rewritten.
    if ast.unparse(e) not in branch:
        inner = ast.unparse(e).replace(x, safe, 1) if x != ast.unparse(e) else safe
        return inner, "the mask must also keep the branch that is not chosen finite"
    parts[chosen] = branch.replace(ast.unparse(e), _with(e, bad, safe), 1)
    text = f"{ast.unparse(where.func)}({', '.join(parts)})"
    return text, "the mask must also keep the branch that is not chosen finite"


def _with(e: ast.expr, part: ast.expr, text: str) -> str:
    """The expression with one part replaced by a text."""

    class Swap(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return ast.Name("__here__", ast.Load()) if node is part else self.generic_visit(node)

    import copy

    changed = Swap().visit(copy.deepcopy(e, {id(part): part}))
    return ast.unparse(changed).replace("__here__", text)


def _safe(record: Record, node: NodeRecord, e: ast.expr, rule: str) -> tuple[str, str]:
    """The expression written so that it keeps inside the domain of its op."""
    lib, op, before = _prefix(e), node.op_class, _producer(record, node)
    if isinstance(e, ast.BinOp):
        return _safe_operator(e, op, before, rule, lib)
    x = _argument(e)
    if x is None:
        return "", _general(rule)
    text = ast.unparse(x)
    if op in (Log, Log2, Log10):
        if _called(x) == "softmax":
            return text.replace("softmax", "log_softmax", 1), "one op, without a logarithm of 0"
        if before is Softmax:
            return "", f"{text} is a softmax: take log_softmax of its input instead"
        if before in (Sum, Add):
            return f"{lib}log({text} + {EPSILON})", "or logsumexp, if it is a sum of exponentials"
        if "negative" in rule:
            return "", f"the logarithm needs {text} > 0: it is negative here"
    if op is Sqrt:
        if "negative" in rule:
            return f"{lib}sqrt({lib}maximum({text}, 0.0) + {EPSILON})", ""
        advice = "the epsilon belongs inside the root"
        if before in (Sum, Matmul):
            advice = "or vector_norm, whose gradient at 0 is 0"
        return f"{lib}sqrt({text} + {EPSILON})", advice
    if op in (Exp, Expm1):
        if "float16" in rule:
            return f"{lib}{op.name}({text}.astype('float32'))", "float16 ends at 65504"
        return (
            f"{lib}{op.name}({text} - {lib}max({text}))",
            "or softmax, logsumexp, softplus, sigmoid: they shift for you",
        )
    if op.inside:
        return f"{lib}{op.name}({op.inside.format(x=text, lib=lib)})", ""
    return "", _general(rule)


def _safe_operator(
    e: ast.BinOp, op: type[Op], before: type[Op], rule: str, lib: str
) -> tuple[str, str]:
    """The same for what is written with a sign."""
    a, b = ast.unparse(e.left), ast.unparse(e.right)
    if op is Divide:
        if before is Std or "sqrt" in b or "std" in b:
            return f"{_bracket(e.left)} / ({b} + {EPSILON})", "the divisor may be 0"
        guard = f"{lib}where({b} != 0, {b}, 1.0)"
        return f"{_bracket(e.left)} / {guard}", f"or {a} / ({b} + {EPSILON})"
    if op is Pow:
        return f"({a} + {EPSILON}) ** {b}", "if the base cannot be negative"
    if op is Multiply and "0 · ∞" in rule:
        return f"{lib}where({a} != 0, {a} * {b}, 0.0)", "a mask by multiplication keeps ∞ alive"
    return "", _general(rule)


def _producer(record: Record, node: NodeRecord) -> type[Op]:
    """The op that made the first input (for a quotient, the divisor)."""
    incoming = record.incoming[node.id]
    if not incoming:
        return Op
    edge = incoming[-1] if node.op_class is Divide else incoming[0]
    return record.nodes[edge.source].op_class


def _bracket(e: ast.expr) -> str:
    text = ast.unparse(e)
    return f"({text})" if isinstance(e, ast.BinOp) else text


def _sum_of_exp(e: ast.expr | None) -> str:
    """`x, axis=1` for `sum(exp(x), axis=1)` or `exp(x).sum(axis=1)`."""
    if not isinstance(e, ast.Call) or _called(e) != "sum":
        return ""
    inner = _argument(e)
    if not isinstance(inner, ast.Call) or _called(inner) != "exp":
        return ""
    x = _argument(inner)
    method = isinstance(e.func, ast.Attribute) and not _is_library(e.func.value)
    rest = e.args if method else e.args[1:]
    more = [f"axis={ast.unparse(a)}" for a in rest]
    more += [f"{k.arg}={ast.unparse(k.value)}" for k in e.keywords]
    return ", ".join([ast.unparse(x), *more]) if x is not None else ""


def _softmax_of(e: ast.BinOp) -> str:
    """`x, dim=1` for `exp(x) / sum(exp(x), axis=1, keepdims=True)`."""
    top = _argument(e.left) if _called(e.left) == "exp" else None
    if top is None and not isinstance(e.left, ast.Name):
        return ""
    bottom = e.right
    if _called(bottom) != "sum" or not isinstance(bottom, ast.Call):
        return ""
    given = (k.value for k in bottom.keywords if k.arg in ("axis", "dim"))
    axis = next(map(ast.unparse, given), "-1")
    if top is not None:
        return f"{ast.unparse(top)}, dim={axis}"
    return ""


def _inside(op: type[Op]) -> str:
    """What an op says of how its argument is to be written."""
    return f"write its argument x as {op.inside.format(x='x', lib='')}" if op.inside else ""


def _general(rule: str) -> str:
    """What helps against a broken rule wherever it breaks."""
    if "range" in rule or "overflow" in rule:
        return "compute this part in float32 (x.astype('float32')), or scale its input down"
    if re.search(r"\blog(arithm)?\b", rule):
        return "keep the argument away from 0, or use the op that has the logarithm built in"
    if "∞ − ∞" in rule or "∞/∞" in rule:
        return "shift by the maximum first (softmax, logsumexp), so that nothing becomes infinite"
    if "0 · ∞" in rule:
        return "choose safe inputs inside the branch: f(where(ok, x, 1))"
    if "division" in rule or "0/0" in rule:
        return "keep the divisor away from 0"
    return ""
