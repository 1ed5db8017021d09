"""Changes of which elements a text takes, and in which order: indices, slices, ranges, axes."""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator, Sequence

from .edit import Change, parsed, text


def permuted(e: ast.Call, method: bool) -> Iterator[Change]:
    """The axes of a transpose, or the lengths of a reshape, in another order."""
    listed = e.args if method else e.args[1:]
    inside = listed[0] if len(listed) == 1 and isinstance(listed[0], ast.Tuple) else None
    entries = list(inside.elts) if isinstance(inside, ast.Tuple) else list(listed)
    if not 2 <= len(entries) <= 4:
        return
    for order in itertools.permutations(entries):
        if list(order) != entries:
            new = copy.copy(e)
            arguments: list[ast.expr] = [*order]
            if inside is not None:
                arguments = [ast.Tuple(arguments, ast.Load())]
            new.args = arguments if method else [e.args[0], *arguments]
            yield Change(
                e, new, "transposed", f"the axes of `{text(e)}` are in the wrong order", 0.1
            )


def ranges(e: ast.Call, name: str) -> Iterator[Change]:
    """A range from another start, to another end, or the other way round."""
    if name == "reversed" and e.args:
        yield Change(e, e.args[0], "flipped", "the loop runs backwards and must not", 0.1)
        return
    said = f"`{text(e)}` leaves out a step, or has one too many"
    first = e.args[0] if len(e.args) > 1 else ast.Constant(0)
    last = e.args[1] if len(e.args) > 1 else e.args[0]
    rest = e.args[2:]
    for low, high in (
        (ast.Constant(0), last),
        (ast.Constant(1), last),
        (first, _moved(last, 1)),
        (first, _moved(last, -1)),
        (_moved(first, 1), last),
        (_moved(first, -1), last),
    ):
        yield Change(e, ast.Call(e.func, [low, high, *rest], []), "index", said, 0.05)
    if len(e.args) < 3:
        yield Change(
            e,
            ast.Call(ast.Name("reversed", ast.Load()), [e], []),
            "flipped",
            f"the loop over `{text(e)}` must run backwards",
            0.1,
        )


def _moved(e: ast.expr, by: int) -> ast.expr:
    """e + 1 or e − 1, simplified."""
    if isinstance(e, ast.Constant) and isinstance(e.value, int):
        return ast.Constant(e.value + by)
    if (
        isinstance(e, ast.UnaryOp)
        and isinstance(e.op, ast.USub)
        and isinstance(e.operand, ast.Constant)
        and isinstance(e.operand.value, int)
    ):
        value = by - e.operand.value
        return parsed(repr(value)) if value else ast.Constant(None)
    back = ast.Sub if by > 0 else ast.Add
    if isinstance(e, ast.BinOp) and isinstance(e.op, back) and text(e.right) == "1":
        return e.left
    return ast.BinOp(e, ast.Add() if by > 0 else ast.Sub(), ast.Constant(1))


def places(e: ast.Subscript) -> Iterator[Change]:
    """Another index or slice, or two of them exchanged."""
    said = f"`{text(e)}` takes the wrong place"
    index = e.slice
    entries = list(index.elts) if isinstance(index, ast.Tuple) else [index]

    def indexed(changed: Sequence[ast.expr]) -> ast.Subscript:
        whole = changed[0] if len(changed) == 1 else ast.Tuple(list(changed), ast.Load())
        return ast.Subscript(e.value, whole, e.ctx)

    for one, two in itertools.combinations(range(len(entries)), 2):
        if text(entries[one]) != text(entries[two]):
            swapped = list(entries)
            swapped[one], swapped[two] = swapped[two], swapped[one]
            yield Change(
                e, indexed(swapped), "transposed", f"the indices of `{text(e)}` are exchanged", 0.0
            )
    alike: dict[str, list[int]] = {}
    for place, entry in enumerate(entries):
        alike.setdefault(text(entry), []).append(place)
    groups = [([i], entry) for i, entry in enumerate(entries)]
    groups += [(group, entries[group[0]]) for group in alike.values() if len(group) > 1]
    for group, entry in groups:
        place = group[0]
        if len(group) > 1 and not (isinstance(entry, ast.Slice) and (entry.lower or entry.upper)):
            continue

        def put(new: ast.expr, group: list[int] = group) -> ast.Subscript:
            return indexed([new if i in group else e for i, e in enumerate(entries)])

        if isinstance(entry, ast.Slice):
            low, high, step = entry.lower, entry.upper, entry.step
            if step is None:
                yield Change(
                    e,
                    put(ast.Slice(low, high, parsed("-1"))),
                    "flipped",
                    f"`{text(e)}` runs the wrong way",
                    0.1,
                )
            else:
                yield Change(
                    e,
                    put(ast.Slice(low, high, None)),
                    "flipped",
                    f"`{text(e)}` runs the wrong way",
                    0.05,
                )
            for by in (1, -1):
                lower = None if low is None else _moved(low, by)
                upper = None if high is None else _moved(high, by)
                if isinstance(upper, ast.Constant) and upper.value is None:
                    upper = None
                if low is not None and high is not None:
                    yield Change(
                        e,
                        put(ast.Slice(lower, upper, step)),
                        "shifted",
                        f"`{text(e)}` is off by one",
                        0.05,
                    )
                if low is not None:
                    yield Change(e, put(ast.Slice(lower, high, step)), "shifted", said, 0.1)
                elif by > 0:
                    new = ast.Slice(ast.Constant(1), high, step)
                    yield Change(e, put(new), "shifted", said, 0.1)
                    if high is not None:
                        cut = ast.Slice(ast.Constant(1), None, step)
                        yield Change(e, put(cut), "shifted", f"`{text(e)}` is off by one", 0.05)
                if high is not None:
                    yield Change(e, put(ast.Slice(low, upper, step)), "shifted", said, 0.1)
                elif by < 0:
                    new = ast.Slice(low, parsed("-1"), step)
                    yield Change(e, put(new), "shifted", said, 0.1)
                    if low is not None:
                        cut = ast.Slice(None, parsed("-1"), step)
                        yield Change(e, put(cut), "shifted", f"`{text(e)}` is off by one", 0.05)
            if high is not None and text(high).startswith("-"):
                both = ast.Slice(parsed("1"), high, step)
                yield Change(e, put(both), "shifted", said, 0.1)
                later = _moved(high, 1)
                none = isinstance(later, ast.Constant) and later.value is None
                both = ast.Slice(ast.Constant(1), None if none else later, step)
                yield Change(e, put(both), "shifted", f"`{text(e)}` is off by one", 0.05)
            if low is not None and high is not None and len(entries) > 1:
                for other_place, other in enumerate(entries):
                    if other_place != place and isinstance(other, ast.Slice):
                        yield Change(e, put(other), "shifted", said, 0.15)
        elif not isinstance(entry, ast.Constant) or isinstance(entry.value, int):
            for by in (1, -1):
                yield Change(
                    e, put(_moved(entry, by)), "shifted", f"`{text(e)}` is off by one", 0.1
                )
            if isinstance(entry, ast.Name) and len(entries) == 1:
                yield Change(e, ast.Subscript(e.value, ast.Slice(), e.ctx), "index", said, 0.2)
    for name in sorted({n.id for n in ast.walk(index) if isinstance(n, ast.Name)}):
        for moved in (f"2 * {name}", f"3 * {name}", f"{name} + 1", f"{name} - 1", f"{name} // 2"):
            words = f"`{text(e)}` forgets the stride" if "*" in moved else said
            yield Change(e, substituted(e, name, parsed(moved)), "index", words, 0.15)
    if isinstance(e.ctx, ast.Load):
        yield Change(e, e.value, "index", f"`{text(e)}` takes a part where the whole belongs", 0.15)


def substituted(e: ast.Subscript, name: str, new: ast.expr) -> ast.Subscript:
    """What is taken with another expression for a name in its index."""

    class Swap(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return new if node.id == name else node

    return ast.Subscript(e.value, Swap().visit(copy.deepcopy(e.slice)), e.ctx)


def orders(e: ast.expr, kind: str, rank: float) -> Iterator[Change]:
    """Two entries exchanged."""
    entries = list(getattr(e, "elts", ()))
    if len(entries) < 2 or not isinstance(getattr(e, "ctx", None), ast.Load):
        return
    for one, two in itertools.combinations(range(len(entries)), 2):
        if text(entries[one]) == text(entries[two]):
            continue
        order = list(entries)
        order[one], order[two] = order[two], order[one]
        yield Change(
            e,
            ast.Tuple(order, ast.Load())
            if isinstance(e, ast.Tuple)
            else ast.List(order, ast.Load()),
            kind,
            f"`{text(entries[one])}` and `{text(entries[two])}` are exchanged",
            rank,
        )
