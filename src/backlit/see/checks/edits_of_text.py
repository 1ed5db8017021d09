"""Changes of what is written: an operator, an axis, a constant, `=` for `+=`."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

from .edit import Change, parsed, text
from .edits_of_calls import calls, exchanged_factors
from .edits_of_names import lengths, names_exchanged, symmetric
from .edits_of_parentheses import parentheses
from .edits_of_places import orders, places


def of_text(function: ast.FunctionDef) -> Iterator[Change]:
    """The changes of what is written."""
    steps = {n.step for n in ast.walk(function) if isinstance(n, ast.Slice)}
    inside = {
        child for n in ast.walk(function) if isinstance(n, ast.BinOp) for child in (n.left, n.right)
    }
    for node in ast.walk(function):
        if isinstance(node, ast.BinOp):
            yield from _operators(node)
            yield from symmetric(node)
            yield from parentheses(node) if node not in inside else ()
        elif isinstance(node, ast.UnaryOp) and node in steps:
            yield Change(node, node.operand, "flipped", f"`::{text(node)}` flips it", 0.0)
        elif isinstance(node, ast.UnaryOp):
            yield Change(
                node, node.operand, "term sign", f"the sign in `{text(node)}` is wrong", 0.0
            )
        elif isinstance(node, ast.Constant):
            yield from _constants(node)
        elif isinstance(node, ast.Call):
            yield from calls(node)
            yield from lengths(node)
        elif isinstance(node, ast.Compare):
            yield from _comparisons(node)
        elif isinstance(node, ast.Subscript):
            yield from places(node)
        elif isinstance(node, ast.Attribute):
            if node.attr in ("T", "mT") and isinstance(node.ctx, ast.Load):
                yield Change(
                    node,
                    node.value,
                    "transposed",
                    f"`{text(node.value)}` is transposed and must not be",
                    0.0,
                )
        elif isinstance(node, ast.Tuple):
            yield from orders(node, "inputs exchanged", 0.05)
        elif isinstance(node, ast.IfExp):
            yield Change(
                node, node.body, "mask extra", f"`{text(node.test)}` decides what it must not", 0.2
            )
            yield Change(
                node,
                node.orelse,
                "mask extra",
                f"`{text(node.test)}` decides what it must not",
                0.2,
            )
        if isinstance(node, ast.stmt):
            yield from _statements(node)


_SIGNS = {ast.Add: ast.Sub, ast.Sub: ast.Add}
_POWERS = {ast.Mult: ast.Div, ast.Div: ast.Mult}


def _operators(e: ast.BinOp) -> Iterator[Change]:
    op = type(e.op)
    if op in _SIGNS:
        yield from _terms(e)
    if op in _POWERS:
        yield from _product(e)
        yield from _two_too_many(e)
    if op is ast.MatMult:
        yield from _matrix_product(e)
    if op is ast.Pow:
        yield Change(e, e.left, "factor extra", f"the power in `{text(e)}` is wrong", 0.1)


def _terms(e: ast.BinOp) -> Iterator[Change]:
    """A wrong sign, a term too many, or one that is a factor: a + b for a - b, a, a * b."""
    left, right, op = e.left, e.right, type(e.op)
    other = ast.BinOp(left, _SIGNS[op](), right)
    yield Change(e, other, "term sign", f"the term `{text(right)}` has the wrong sign", 0.0)
    for kept, gone in ((left, right), (right, left)):
        yield Change(e, kept, "term extra", f"the term `{text(gone)}` is one too many", 0.1)
    if op is ast.Sub:
        other = ast.BinOp(right, ast.Sub(), left)
        yield Change(e, other, "term sign", f"`{text(e)}` has the wrong sign", 0.0)
        negative, words = ast.UnaryOp(ast.USub(), right), f"the term `{text(left)}` is one too many"
        yield Change(e, negative, "term extra", words, 0.15)
    words = f"`{text(right)}` is added where it is a factor"
    yield Change(e, ast.BinOp(left, ast.Mult(), right), "factor replaced", words, 0.2)


def _product(e: ast.BinOp) -> Iterator[Change]:
    """A factor that divides, is one too many, or is a term: a * b for a / b, a, a + b, a @ b."""
    left, right, op = e.left, e.right, type(e.op)
    times = op is ast.Mult
    verb = "multiplies where it must divide" if times else "divides where it must multiply"
    other = ast.BinOp(left, _POWERS[op](), right)
    yield Change(e, other, "factor replaced", f"`{text(right)}` {verb}", 0.0)
    yield Change(e, left, _kind_of(right), _too_many(right, op), 0.05)
    alone = right if times else ast.BinOp(ast.Constant(1), ast.Div(), right)
    yield Change(e, alone, _kind_of(left), _too_many(left, ast.Mult), 0.05)
    if not isinstance(right, ast.Constant):
        words = f"`{text(right)}` {'multiplies' if times else 'divides'} where a factor 2 belongs"
        doubled = ast.BinOp(ast.Constant(2), ast.Mult(), left)
        yield Change(e, doubled, "factor replaced", words, 0.25)
    if times:
        words = f"`{text(right)}` is a factor where it is a term"
        yield Change(e, ast.BinOp(left, ast.Add(), right), "factor replaced", words, 0.2)
        words = f"`{text(e)}` multiplies element by element where a matrix product belongs"
        yield Change(e, ast.BinOp(left, ast.MatMult(), right), "sum missing", words, 0.15)


def _matrix_product(e: ast.BinOp) -> Iterator[Change]:
    """Matrices in the wrong order, or multiplied for their elements: a @ b for b.T @ a, a * b."""
    yield from exchanged_factors(e, e.left, e.right)
    words = f"`{text(e)}` is a matrix product where element by element belongs"
    yield Change(e, ast.BinOp(e.left, ast.Mult(), e.right), "summed too much", words, 0.2)


def _factors(e: ast.expr, op: type = ast.Mult) -> list[tuple[ast.expr, type]]:
    """The factors of a product, and whether each multiplies or divides."""
    if isinstance(e, ast.BinOp) and type(e.op) in _POWERS and op is ast.Mult:
        return [*_factors(e.left), (e.right, type(e.op))]
    return [(e, op)]


def _two_too_many(e: ast.BinOp) -> Iterator[Change]:
    """A product without two of its factors."""
    listed = _factors(e)
    if not 3 <= len(listed) <= 6:
        return
    for gone in itertools.combinations(range(len(listed)), 2):
        kept = [f for i, f in enumerate(listed) if i not in gone]
        if kept[0][1] is not ast.Mult:
            continue
        product = kept[0][0]
        for factor, op in kept[1:]:
            product = ast.BinOp(product, op(), factor)
        names = " and ".join(f"`{text(listed[i][0])}`" for i in gone)
        yield Change(e, product, "factor extra", f"the factors {names} are too many", 0.12)


def _kind_of(factor: ast.expr) -> str:
    return "constant" if isinstance(factor, ast.Constant) else "factor extra"


def _too_many(gone: ast.expr, op: type) -> str:
    return f"the {'factor' if op is ast.Mult else 'division by'} `{text(gone)}` is one too many"


def _constants(e: ast.Constant) -> Iterator[Change]:
    v = e.value
    if isinstance(v, bool):
        yield Change(e, ast.Constant(not v), "edit", f"`{v}` is wrong", 0.2)
        return
    if not isinstance(v, int | float):
        return
    tried = {v + 1, v - 1, 0, 1, 2, 3, 4, 0.5, -1, 2 * v, v * v}
    tried |= {v / 2, 1 / v, -v} if v else set()
    for new in sorted(tried - {v}, key=lambda n: abs(n - v)):
        rank = 0.12 if (abs(new - v) <= 1 and new == int(new)) or new in (2 * v, -v) else 0.2
        yield Change(e, parsed(repr(new)), "constant", f"the constant {v!r} is wrong", rank)


_COMPARED = (ast.Gt, ast.Lt, ast.GtE, ast.LtE, ast.Eq, ast.NotEq)


def _comparisons(e: ast.Compare) -> Iterator[Change]:
    for op in _COMPARED:
        if not isinstance(e.ops[0], op):
            yield Change(
                e,
                ast.Compare(e.left, [op(), *e.ops[1:]], e.comparators),
                "mask wrong",
                f"`{text(e)}` compares the wrong way",
                0.0,
            )
    words = f"`{text(e)}` is a mask of 0 and 1 where `{text(e.left)}` itself belongs"
    yield Change(e, e.left, "factor missing", words, 0.1)


def _statements(s: ast.stmt) -> Iterator[Change]:
    yield from names_exchanged(s)
    if isinstance(s, ast.AugAssign):
        yield from _another_operator(s)
    elif isinstance(s, ast.Assign) and len(s.targets) == 1:
        target = s.targets[0]
        if isinstance(target, ast.Subscript | ast.Name):
            yield from _overwritten(s, target)
    if isinstance(s, ast.AugAssign | ast.Assign | ast.Expr):
        yield Change(s, ast.Pass(), "edit", f"`{text(s)}` must not be there", 0.15)


def _another_operator(s: ast.AugAssign) -> Iterator[Change]:
    """The wrong operator before `=`, or where none belongs: dx += g for dx -= g, for dx = g."""
    for op in (ast.Add, ast.Sub, ast.Mult, ast.Div):
        if not isinstance(s.op, op):
            kind = "term sign" if {op, type(s.op)} == {ast.Add, ast.Sub} else "factor replaced"
            words = f"`{text(s)}` has the wrong operator"
            yield Change(s, ast.AugAssign(s.target, op(), s.value), kind, words, 0.0)
    if isinstance(s.op, ast.Add):
        words = f"`{text(s.target)}` is added to where it must be set"
        yield Change(s, ast.Assign([s.target], s.value), "summed too much", words, 0.1)
        if isinstance(s.target, ast.Subscript):
            words = f"`{text(s.target)} += …` counts an index that comes more than once only once"
            yield Change(s, _added_at(s.target, s.value), "overwritten", words, 0.05)


def _overwritten(s: ast.Assign, target: ast.Subscript | ast.Name) -> Iterator[Change]:
    """Something set that had a value: dx[i] = g for dx[i] += g, for np.add.at(dx, i, g)."""
    words = f"`{text(target)}` is overwritten"
    added = ast.AugAssign(target, ast.Add(), s.value)
    yield Change(s, added, "overwritten", f"{words} where it must be added to", 0.0)
    if not isinstance(target, ast.Subscript):
        return
    for op in (ast.Sub, ast.Mult, ast.Div):
        yield Change(s, ast.AugAssign(target, op(), s.value), "overwritten", words, 0.1)
    if not any(isinstance(n, ast.Slice) for n in ast.walk(target.slice)):
        words = f"{words} where an index comes more than once"
        yield Change(s, _added_at(target, s.value), "overwritten", words, 0.05)


def _added_at(target: ast.Subscript, value: ast.expr) -> ast.Expr:
    """np.add.at(x, i, value) for a target x[i]."""
    call = parsed("np.add.at()")
    assert isinstance(call, ast.Call)
    call.args = [target.value, target.slice, value]
    return ast.Expr(call)
