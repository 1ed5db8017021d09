"""Changes of what is written: an operator, an axis, a constant, `=` for `+=`."""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator

from .edit import Change, parsed, text
from .edits_of_places import orders, permuted, places, ranges


def of_text(function: ast.FunctionDef) -> Iterator[Change]:
    """The changes of what is written."""
    for node in ast.walk(function):
        if isinstance(node, ast.BinOp):
            yield from _operators(node)
        elif isinstance(node, ast.UnaryOp):
            yield Change(
                node, node.operand, "term sign", f"the sign in `{text(node)}` is wrong", 0.0
            )
        elif isinstance(node, ast.Constant):
            yield from _constants(node)
        elif isinstance(node, ast.Call):
            yield from _calls(node)
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
    left, right, op = e.left, e.right, type(e.op)
    if op in _SIGNS:
        yield Change(
            e,
            ast.BinOp(left, _SIGNS[op](), right),
            "term sign",
            f"the term `{text(right)}` has the wrong sign",
            0.0,
        )
        for kept, gone in ((left, right), (right, left)):
            yield Change(e, kept, "term extra", f"the term `{text(gone)}` is one too many", 0.1)
        if op is ast.Sub:
            yield Change(
                e,
                ast.BinOp(right, ast.Sub(), left),
                "term sign",
                f"`{text(e)}` has the wrong sign",
                0.0,
            )
            yield Change(
                e,
                ast.UnaryOp(ast.USub(), right),
                "term extra",
                f"the term `{text(left)}` is one too many",
                0.15,
            )
        yield Change(
            e,
            ast.BinOp(left, ast.Mult(), right),
            "factor replaced",
            f"`{text(right)}` is added where it is a factor",
            0.2,
        )
    if op in _POWERS:
        verb = (
            "multiplies where it must divide"
            if op is ast.Mult
            else ("divides where it must multiply")
        )
        yield Change(
            e,
            ast.BinOp(left, _POWERS[op](), right),
            "factor replaced",
            f"`{text(right)}` {verb}",
            0.0,
        )
        yield Change(e, left, _kind_of(right), _too_many(right, op), 0.05)
        yield Change(
            e,
            right if op is ast.Mult else ast.BinOp(ast.Constant(1), ast.Div(), right),
            _kind_of(left),
            _too_many(left, ast.Mult),
            0.05,
        )
        if op is ast.Mult:
            yield Change(
                e,
                ast.BinOp(left, ast.Add(), right),
                "factor replaced",
                f"`{text(right)}` is a factor where it is a term",
                0.2,
            )
            yield Change(
                e,
                ast.BinOp(left, ast.MatMult(), right),
                "sum missing",
                f"`{text(e)}` multiplies element by element where a matrix product belongs",
                0.15,
            )
        yield from _two_too_many(e)
    if op is ast.MatMult:
        for new in _products(left, right):
            yield Change(
                e, new, "transposed", f"the factors of `{text(e)}` stand the wrong way round", 0.1
            )
        yield Change(
            e,
            ast.BinOp(left, ast.Mult(), right),
            "summed too much",
            f"`{text(e)}` is a matrix product where element by element belongs",
            0.2,
        )
    if op is ast.Pow:
        yield Change(e, left, "factor extra", f"the power in `{text(e)}` is wrong", 0.1)
    yield from _parentheses(e)


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


def _products(a: ast.expr, b: ast.expr) -> Iterator[ast.expr]:
    for x, y in ((a, b), (b, a)):
        for turned in itertools.product((False, True), repeat=2):
            one, two = (_turned(v) if t else v for v, t in zip((x, y), turned, strict=True))
            if (one, two) != (a, b):
                yield ast.BinOp(one, ast.MatMult(), two)


def _turned(e: ast.expr) -> ast.expr:
    if isinstance(e, ast.Attribute) and e.attr in ("T", "mT"):
        return e.value
    return ast.Attribute(e, "T", ast.Load())


def _parentheses(e: ast.BinOp) -> Iterator[Change]:
    """(a + b) · c for a + b · c, and the other way round."""
    said = f"the parentheses in `{text(e)}` are wrong"
    outer, inner = type(e.op), e.left
    if outer in _POWERS and isinstance(inner, ast.BinOp) and type(inner.op) in _SIGNS:
        new = ast.BinOp(inner.left, inner.op, ast.BinOp(inner.right, e.op, e.right))
        yield Change(e, new, "parentheses", said, 0.1)
        new = ast.BinOp(ast.BinOp(inner.left, e.op, e.right), inner.op, inner.right)
        yield Change(e, new, "parentheses", said, 0.1)
    if outer is ast.Mult and isinstance(e.right, ast.BinOp) and type(e.right.op) in _SIGNS:
        new = ast.BinOp(ast.BinOp(e.left, e.op, e.right.left), e.right.op, e.right.right)
        yield Change(e, new, "parentheses", said, 0.1)
    if outer in _SIGNS:
        for side, other in ((e.right, e.left), (e.left, e.right)):
            if isinstance(side, ast.BinOp) and type(side.op) in _POWERS:
                terms = (other, side.left) if side is e.right else (side.left, other)
                sum_ = ast.BinOp(terms[0], e.op, terms[1])
                yield Change(e, ast.BinOp(sum_, side.op, side.right), "parentheses", said, 0.1)
                if isinstance(side.op, ast.Mult):
                    terms = (other, side.right) if side is e.right else (side.right, other)
                    sum_ = ast.BinOp(terms[0], e.op, terms[1])
                    yield Change(
                        e, ast.BinOp(side.left, ast.Mult(), sum_), "parentheses", said, 0.1
                    )


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


_FOLDS = ("sum", "mean")
_RENAMED = {
    "sum": ("mean", "cumsum"),
    "mean": ("sum",),
    "max": ("min", "sum"),
    "min": ("max",),
    "zeros_like": ("ones_like",),
    "ones_like": ("zeros_like",),
    "zeros": ("ones",),
    "ones": ("zeros",),
    "tile": ("repeat",),
    "repeat": ("tile",),
    "sin": ("cos",),
    "cos": ("sin",),
    "maximum": ("minimum",),
    "minimum": ("maximum",),
    "floor": ("ceil",),
    "tanh": ("cosh",),
    "sinh": ("cosh",),
    "cosh": ("sinh",),
    "exp": ("log", "expm1"),
    "log": ("exp", "log1p"),
    "tril": ("triu",),
    "triu": ("tril",),
    "argmax": ("argmin",),
    "std": ("var",),
    "var": ("std",),
    "outer": ("dot", "multiply"),
    "multiply": ("dot", "divide"),
    "dot": ("multiply", "outer"),
    "add": ("subtract",),
    "subtract": ("add",),
    "sign": ("abs",),
    "abs": ("sign",),
}
_AXES = (
    "0",
    "1",
    "2",
    "3",
    "-1",
    "-2",
    "None",
    "(0, 1)",
    "(1, 2)",
    "(0, 2)",
    "(2, 3)",
    "(0, 2, 3)",
    "(1, 2, 3)",
)


def _calls(e: ast.Call) -> Iterator[Change]:
    name = e.func.attr if isinstance(e.func, ast.Attribute) else getattr(e.func, "id", "")
    for place, keyword in enumerate(e.keywords):
        if keyword.arg in ("axis", "dim"):
            for axis in _AXES:
                if axis != text(keyword.value):
                    new = copy.copy(e)
                    new.keywords = list(e.keywords)
                    new.keywords[place] = ast.keyword(keyword.arg, parsed(axis))
                    yield Change(
                        e, new, "wrong axis", _axis_words(name, text(keyword.value), axis), 0.0
                    )
        if keyword.arg == "keepdims":
            new = copy.copy(e)
            new.keywords = [k for k in e.keywords if k is not keyword]
            yield Change(e, new, "wrong axis", f"`{text(e)}` must not keep its axis", 0.2)
    keyed = any(k.arg in ("axis", "dim") for k in e.keywords)
    method = isinstance(e.func, ast.Attribute) and not _is_module(e.func.value)
    if name in (*_FOLDS, "max", "min", "repeat", "flip", "softmax", "cumsum") and not keyed:
        at = 1 if not method else 0
        if name == "repeat":
            at += 1
        if len(e.args) > at:
            for axis in _AXES:
                if axis != text(e.args[at]):
                    new = copy.copy(e)
                    new.args = [*e.args[:at], parsed(axis), *e.args[at + 1 :]]
                    yield Change(
                        e, new, "wrong axis", _axis_words(name, text(e.args[at]), axis), 0.0
                    )
        elif name in _FOLDS:
            for axis, keep in itertools.product(_AXES, (False, True)):
                new = copy.copy(e)
                new.keywords = [*e.keywords, ast.keyword("axis", parsed(axis))]
                if keep:
                    new.keywords.append(ast.keyword("keepdims", ast.Constant(True)))
                yield Change(
                    e,
                    new,
                    "summed too much",
                    f"`{text(e)}` runs over all axes, not over axis {axis} only",
                    0.05,
                )
    if name in _FOLDS and keyed and not any(k.arg == "keepdims" for k in e.keywords):
        new = copy.copy(e)
        new.keywords = [*e.keywords, ast.keyword("keepdims", ast.Constant(True))]
        yield Change(e, new, "wrong axis", f"`{text(e)}` must keep its axis (keepdims=True)", 0.1)
    for other in _RENAMED.get(name, ()):
        new = copy.copy(e)
        new.func = (
            ast.Attribute(e.func.value, other, ast.Load())
            if isinstance(e.func, ast.Attribute)
            else ast.Name(other, ast.Load())
        )
        fold = {name, other} == {"sum", "mean"}
        yield Change(
            e,
            new,
            "mean or sum" if fold else "edit",
            f"`{name}` stands where `{other}` belongs",
            0.0 if fold else 0.1,
        )
    if name == "tile" and len(e.args) == 2 and isinstance(e.args[1], ast.Tuple):
        parts: ast.expr = e.args[0]
        for at, count in enumerate(e.args[1].elts):
            if text(count) != "1":
                parts = ast.Call(
                    ast.Attribute(e.func.value, "repeat", ast.Load())
                    if isinstance(e.func, ast.Attribute)
                    else ast.Name("repeat", ast.Load()),
                    [parts, count],
                    [ast.keyword("axis", ast.Constant(at))],
                )
        yield Change(
            e,
            parts,
            "transposed",
            "`tile` puts the elements in another order than `repeat`, which belongs here",
            0.0,
        )
    inside = e.func.value if method and isinstance(e.func, ast.Attribute) else None
    first = inside if inside is not None else (e.args[0] if e.args else None)
    if first is not None:
        folds = name in _FOLDS
        yield Change(
            e,
            first,
            "summed too much" if folds else "edit",
            f"`{name}` of `{text(first)}` must not be taken",
            0.1 if folds else 0.15,
        )
    if name == "where" and len(e.args) == 3:
        c, a, b = e.args
        new = copy.copy(e)
        new.args = [c, b, a]
        yield Change(e, new, "mask wrong", f"the two sides of `{text(e)}` are exchanged", 0.0)
        yield Change(e, a, "mask extra", f"the mask `{text(c)}` has no place there", 0.1)
        yield Change(e, b, "mask extra", f"the mask `{text(c)}` has no place there", 0.1)
    if len(e.args) == 2 and name in ("dot", "matmul", "outer", "subtract", "divide"):
        for new_product in _products(*e.args) if name != "outer" else ():
            yield Change(
                e,
                new_product,
                "transposed",
                f"the factors of `{text(e)}` stand the wrong way round",
                0.1,
            )
        new = copy.copy(e)
        new.args = [e.args[1], e.args[0]]
        kind = "transposed" if name == "outer" else "inputs exchanged"
        yield Change(e, new, kind, f"the arguments of `{text(e)}` are exchanged", 0.05)
    if method and name == "dot" and len(e.args) == 1 and isinstance(e.func, ast.Attribute):
        for new_product in _products(e.func.value, e.args[0]):
            yield Change(
                e,
                new_product,
                "transposed",
                f"the factors of `{text(e)}` stand the wrong way round",
                0.1,
            )
    if name in ("concatenate", "hstack", "vstack", "stack") and e.args:
        yield from orders(e.args[0], "inputs exchanged", 0.0)
    if name in ("range", "reversed"):
        yield from ranges(e, name)
    if name in ("transpose", "reshape", "swapaxes", "moveaxis", "permute_dims"):
        yield from permuted(e, method)


def _is_module(e: ast.expr) -> bool:
    return isinstance(e, ast.Name) and e.id in ("np", "numpy", "xp", "math", "cp", "jnp")


def _axis_words(name: str, old: str, new: str) -> str:
    return f"`{name}` runs over axis {old} where axis {new} belongs"


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


def _statements(s: ast.stmt) -> Iterator[Change]:
    if isinstance(s, ast.AugAssign):
        for op in (ast.Add, ast.Sub, ast.Mult, ast.Div):
            if not isinstance(s.op, op):
                kind = "term sign" if {op, type(s.op)} == {ast.Add, ast.Sub} else "factor replaced"
                yield Change(
                    s,
                    ast.AugAssign(s.target, op(), s.value),
                    kind,
                    f"`{text(s)}` has the wrong operator",
                    0.0,
                )
        if isinstance(s.op, ast.Add):
            yield Change(
                s,
                ast.Assign([s.target], s.value),
                "summed too much",
                f"`{text(s.target)}` is added to where it must be set",
                0.1,
            )
    elif isinstance(s, ast.Assign) and len(s.targets) == 1:
        target = s.targets[0]
        if isinstance(target, ast.Subscript | ast.Name):
            yield Change(
                s,
                ast.AugAssign(target, ast.Add(), s.value),
                "overwritten",
                f"`{text(target)}` is overwritten where it must be added to",
                0.0,
            )
            if isinstance(target, ast.Subscript):
                for op in (ast.Sub, ast.Mult, ast.Div):
                    yield Change(
                        s,
                        ast.AugAssign(target, op(), s.value),
                        "overwritten",
                        f"`{text(target)}` is overwritten",
                        0.1,
                    )
                call = ast.Call(
                    ast.Attribute(
                        ast.Attribute(ast.Name("np", ast.Load()), "add", ast.Load()),
                        "at",
                        ast.Load(),
                    ),
                    [target.value, target.slice, s.value],
                    [],
                )
                if not any(isinstance(n, ast.Slice) for n in ast.walk(target.slice)):
                    yield Change(
                        s,
                        ast.Expr(call),
                        "overwritten",
                        f"`{text(target)}` is overwritten where an index comes more than once",
                        0.05,
                    )
    if isinstance(s, ast.AugAssign) and isinstance(s.target, ast.Subscript):
        call = ast.Call(
            ast.Attribute(
                ast.Attribute(ast.Name("np", ast.Load()), "add", ast.Load()), "at", ast.Load()
            ),
            [s.target.value, s.target.slice, s.value],
            [],
        )
        if isinstance(s.op, ast.Add):
            yield Change(
                s,
                ast.Expr(call),
                "overwritten",
                f"`{text(s.target)} += …` counts an index that comes more than once only once",
                0.05,
            )
    if isinstance(s, ast.AugAssign | ast.Assign | ast.Expr):
        yield Change(s, ast.Pass(), "edit", f"`{text(s)}` must not be there", 0.15)
