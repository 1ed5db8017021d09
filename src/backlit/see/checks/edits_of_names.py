"""Changes of several words of one expression at once: what is wrong in the same way everywhere."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .edit import Change, parsed, text
from .edits_of_terms import Atom, is_float
from .numpy_names import MODULES

#: An expression of more different names than these is too long to exchange any two of them.
_NAMES = 6
_SIZES = ("shape", "size", "ndim", "dtype")
_INDEX = (int, np.integer)


def of_several(
    node: ast.expr, value: Any, root: bool, names: Mapping[str, Any], known: Sequence[Atom]
) -> Iterator[Change]:
    """The changes of several words of an expression that has this value, and of what is no floating
    value: indices, numbers of elements, masks. `root`: it is the whole right side of a statement.
    """
    if root and isinstance(node, ast.BinOp | ast.UnaryOp):
        yield from names_replaced(node, known)
    if isinstance(node, ast.Subscript):
        yield from loop_indices(node, names)
    if isinstance(node, ast.Tuple | ast.Subscript):
        yield from strides(node, known)
    if root:
        yield from counts(node, value, known)
    yield from masks(node, value, known)
    if isinstance(node, ast.BinOp) and is_float(value):
        yield from quotients(node, np.shape(value), known)


def rebuilt(node: Any, instead: Mapping[int, ast.AST]) -> Any:
    """A tree with other nodes for these (by id); what has none of them in it is the node itself."""
    if isinstance(node, list):
        return [rebuilt(n, instead) for n in node]
    if not isinstance(node, ast.AST):
        return node
    if id(node) in instead:
        return instead[id(node)]
    if not any(id(n) in instead for n in ast.walk(node)):
        return node
    fields = {name: rebuilt(value, instead) for name, value in ast.iter_fields(node)}
    return type(node)(**fields)


def named_in(e: ast.AST) -> dict[str, list[ast.AST]]:
    """The names and attributes of names that an expression reads, each with its places."""
    found: dict[str, list[ast.AST]] = {}
    waiting = [e]
    while waiting:
        node = waiting.pop()
        if isinstance(getattr(node, "ctx", None), ast.Load) and (
            isinstance(node, ast.Name)
            or (isinstance(node, ast.Attribute) and text(node.value) == "self")
        ):
            found.setdefault(text(node), []).append(node)
            continue
        if isinstance(node, ast.Attribute) and node.attr in _SIZES:
            continue  # where only its shape counts one array is as good as another
        inside = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Call):  # the function is no value
            called = node.func
            inside.remove(called)
            inside += [called.value] if isinstance(called, ast.Attribute) else []
        waiting += inside
    return found


def names_exchanged(s: ast.stmt) -> Iterator[Change]:
    """Two names that stand for each other in a value of a statement: q / p for p / q."""
    value = getattr(s, "value", None)
    for e in value.elts if isinstance(value, ast.Tuple) else [value]:
        if not isinstance(e, ast.BinOp | ast.UnaryOp):
            continue
        named = {n: at for n, at in named_in(e).items() if n not in (*MODULES, "self")}
        for one, two in itertools.combinations(named, 2) if len(named) <= _NAMES else ():
            instead = {id(n): parsed(two) for n in named[one]}
            instead |= {id(n): parsed(one) for n in named[two]}
            words = f"`{one}` and `{two}` are exchanged in `{text(e)}`"
            yield Change(e, rebuilt(e, instead), "inputs exchanged", words, 0.06)


def names_replaced(e: ast.expr, known: Sequence[Atom]) -> Iterator[Change]:
    """One name for another wherever an expression has it, or another for each of two matrices."""
    values = {q.text: q for q in known if np.shape(q.value)}
    named = {n: at for n, at in named_in(e).items() if n in values}
    others: dict[str, list[str]] = {
        n: [q for q in values if q != n and np.shape(values[q].value) == np.shape(values[n].value)]
        for n in named
    }
    for name, at in named.items():
        for other in others[name] if len(at) > 1 else ():
            instead = {id(n): parsed(other) for n in at}
            words = f"`{name}` is used where `{other}` belongs"
            yield Change(e, rebuilt(e, instead), "factor replaced", words, 0.06)
    for product in ast.walk(e):
        if isinstance(product, ast.BinOp) and isinstance(product.op, ast.MatMult):
            yield from _both_replaced(product, values)


def _both_replaced(product: ast.BinOp, values: Mapping[str, Atom]) -> Iterator[Change]:
    """A product of two other matrices: d3 @ W3.T for d2 @ W2.T."""
    one, two = (list(named_in(side).items()) for side in (product.left, product.right))
    if len(one) != 1 or len(two) != 1:
        return
    (a, at), (b, place) = one[0], two[0]
    matrices = [n for n, q in values.items() if np.ndim(q.value) == 2 and n not in (a, b)]
    for first, second in itertools.permutations(matrices, 2):
        instead = {id(n): parsed(first) for n in at} | {id(n): parsed(second) for n in place}
        new = rebuilt(product, instead)
        words = f"`{text(product)}` stands where `{text(new)}` belongs"
        yield Change(product, new, "factor replaced", words, 0.2)


def symmetric(e: ast.BinOp) -> Iterator[Change]:
    """A matrix counted twice for itself and its transpose: 2 * A @ x for (A + A.T) @ x."""
    listed = _chain(e)
    if not 2 <= len(listed) <= 6:
        return
    places = range(len(listed))
    for first, last in itertools.combinations_with_replacement(places, 2):
        inside = listed[first : last + 1]
        if any(op is not ast.MatMult for _, op in inside[1:]) or first == 0 == last:
            continue
        matrix = _product(inside)
        if isinstance(matrix, ast.Constant):
            continue
        both = ast.BinOp(matrix, ast.Add(), ast.Attribute(matrix, "T", ast.Load()))
        words = f"`{text(matrix)}` stands where `{text(both)}` belongs"
        rest = [*listed[:first], (both, inside[0][1]), *listed[last + 1 :]]
        yield Change(e, _product(rest), "path missing", words, 0.3)
        for place, (factor, _) in enumerate(listed[:first]):
            once = _halved(factor)
            if once is not None:
                fewer = [*rest[:place], (once, rest[place][1]), *rest[place + 1 :]]
                words = f"twice `{text(matrix)}` stands where `{text(both)}` belongs"
                yield Change(e, _product(fewer), "path missing", words, 0.12)


def _halved(factor: ast.expr) -> ast.expr | None:
    """1 for 2, and −1 for −2."""
    if isinstance(factor, ast.UnaryOp) and isinstance(factor.op, ast.USub):
        inside = _halved(factor.operand)
        return ast.UnaryOp(ast.USub(), inside) if inside is not None else None
    return ast.Constant(1) if isinstance(factor, ast.Constant) and factor.value == 2 else None


def _chain(e: ast.expr, op: type = ast.Mult) -> list[tuple[ast.expr, type]]:
    """The factors of a product and how each is multiplied."""
    if isinstance(e, ast.BinOp) and isinstance(e.op, ast.Mult | ast.MatMult):
        return [*_chain(e.left, op), (e.right, type(e.op))]
    return [(e, op)]


def _product(listed: Sequence[tuple[ast.expr, type]]) -> ast.expr:
    """The product of these factors, without ones."""
    kept = [f for f in listed if not (isinstance(f[0], ast.Constant) and f[0].value == 1)]
    product: ast.expr = kept[0][0] if kept else ast.Constant(1)
    for factor, op in kept[1:]:
        minus = isinstance(product, ast.UnaryOp) and text(product) == "-1"
        product = ast.UnaryOp(ast.USub(), factor) if minus else ast.BinOp(product, op(), factor)
    return product


def loop_indices(e: ast.Subscript, names: Mapping[str, Any]) -> Iterator[Change]:
    """An index of another loop, or a fixed one: w[0], w[n] for w[f]."""
    entries = list(e.slice.elts) if isinstance(e.slice, ast.Tuple) else [e.slice]
    counters = [n for n, v in names.items() if isinstance(v, _INDEX) and not isinstance(v, bool)]
    for entry in entries:
        if not isinstance(entry, ast.Constant | ast.Name) or (
            isinstance(entry, ast.Constant) and type(entry.value) is not int
        ):
            continue
        for name in counters:
            if name != text(entry):
                new = rebuilt(e, {id(entry): parsed(name)})
                words = f"`{text(e)}` takes the wrong place: `{name}` belongs there"
                yield Change(e, new, "index", words, 0.1)


def strides(e: ast.expr, known: Sequence[Atom]) -> Iterator[Change]:
    """Indices without their stride, or slices without where they begin: i, j for i * s, j * s."""
    whole = [q.text for q in known if isinstance(q.value, int) and np.ndim(q.value) == 0]
    if isinstance(e, ast.Tuple) and all(isinstance(n, ast.Name) for n in e.elts):
        for by in whole:
            new = ast.Tuple([parsed(f"{text(n)} * {by}") for n in e.elts], ast.Load())
            words = f"`{text(e)}` forgets the stride `{by}`"
            yield Change(e, new, "index", words, 0.12)
    if not isinstance(e, ast.Subscript):
        return
    begun = [n for n in ast.walk(e.slice) if isinstance(n, ast.Slice) and n.lower is None]
    begun = [n for n in begun if n.upper is not None and n.step is None]
    for by in whole if begun else ():
        instead = {
            id(n): ast.Slice(parsed(by), parsed(f"{by} + ({text(n.upper)})"), None) for n in begun
        }
        words = f"`{text(e)}` begins at 0 where `{by}` belongs"
        yield Change(e, rebuilt(e, instead), "shifted", words, 0.12)


def counts(e: ast.expr, value: Any, known: Sequence[Atom]) -> Iterator[Change]:
    """A number of elements that is a multiple of the right one, or a part: n for n // groups."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 2:
        return
    for q in known:
        if isinstance(q.value, int) and q.value > 1 and q.text != text(e):
            if value % q.value == 0 and value > q.value:
                new = ast.BinOp(e, ast.FloorDiv(), parsed(q.text))
                words = f"`{text(e)}` counts too many: it must be divided by `{q.text}`"
                yield Change(e, new, "mean or sum", words, 0.2)
            new = ast.BinOp(e, ast.Mult(), parsed(q.text))
            words = f"`{text(e)}` counts too few: it must be multiplied by `{q.text}`"
            yield Change(e, new, "mean or sum", words, 0.2)


def masks(e: ast.expr, value: Any, known: Sequence[Atom]) -> Iterator[Change]:
    """A mask of another array, or another one that is known: dout <= 0 for x <= 0, for mask."""
    mask = isinstance(value, np.ndarray) and value.dtype.kind == "b" and value.ndim > 0
    if not isinstance(e, ast.Compare) or not mask:
        return
    for q in known:
        if np.shape(q.value) != value.shape or q.upstream:
            continue
        kind = np.asarray(q.value).dtype.kind
        forms: tuple[str, ...] = (q.text, f"~{q.text}") if kind == "b" else ()
        if kind == "f" and isinstance(e.comparators[0], ast.Constant):
            forms = tuple(f"{q.text} {sign} 0" for sign in ("<=", ">", "<", ">="))
        for form in forms:
            words = f"the mask `{text(e)}` is a wrong one: `{form}` belongs there"
            yield Change(e, parsed(form), "mask wrong", words, 0.1)


def quotients(e: ast.BinOp, shape: tuple[int, ...], known: Sequence[Atom]) -> Iterator[Change]:
    """A difference for a quotient, a divisor for a factor: p - t for -t / p, s / n for s * p."""
    a, b = text(e.left), text(e.right)
    if isinstance(e.op, ast.Sub):
        small = [q.text for q in known if isinstance(q.value, float) and 0 < q.value < 1e-3]
        for top, bottom in ((a, b), (b, a)):
            below = [bottom, *(f"({bottom} + {s})" for s in small)]
            for sign, under in itertools.product("- ", below):
                new = parsed(f"{sign}({top}) / {under}".strip())
                words = f"`{text(e)}` stands where `{text(new)}` belongs"
                yield Change(e, new, "factor replaced", words, 0.35)
    if isinstance(e.op, ast.Div):
        for q in known:
            if np.ndim(q.value) == 0:
                continue
            try:
                grown = np.broadcast_shapes(np.shape(q.value), shape)
            except ValueError:
                continue
            if np.prod(grown) >= np.prod(shape):
                new = ast.BinOp(e.left, ast.Mult(), parsed(q.text))
                words = f"the division by `{b}` stands where the factor `{q.text}` belongs"
                yield Change(e, new, "factor replaced", words, 0.15)


def lengths(e: ast.Call) -> Iterator[Change]:
    """The number of rows for that of all elements: len(x) for x.size."""
    if text(e.func) == "len" and len(e.args) == 1:
        words = f"`{text(e)}` counts the rows where all elements count"
        size = ast.Attribute(e.args[0], "size", ast.Load())
        yield Change(e, size, "mean or sum", words, 0.02)


def loops_around(node: ast.AST, parents: Mapping[int, tuple[Any, str, Any]]) -> list[str]:
    """The names that count the turns of the loops around a node, the outermost first."""
    names: list[str] = []
    at: Any = node
    while id(at) in parents:
        at = parents[id(at)][0]
        if isinstance(at, ast.For) and isinstance(at.target, ast.Name):
            names.insert(0, at.target.id)
    return names


def at_the_turn(
    loops: Sequence[str], names: Mapping[str, Any], known: Sequence[Atom]
) -> list[Atom]:
    """The upstream gradient's element in the turn of these loops, the outermost first."""
    found = []
    for q in known:
        count = np.ndim(q.value)
        index = [names.get(n) for n in loops[:count]]
        if not q.upstream or not 0 < count == len(index):
            continue
        within = all(
            isinstance(i, _INDEX) and i < n for i, n in zip(index, np.shape(q.value), strict=True)
        )
        if within:
            label = f"{q.text}[{', '.join(loops[:count])}]"
            found.append(Atom(label, float(q.value[tuple(index)]), upstream=True))
    return found
