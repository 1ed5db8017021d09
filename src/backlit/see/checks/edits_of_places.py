"""Changes of which elements a text takes, and in which order: indices, slices, ranges, axes."""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
            if getattr(e.func, "attr", "") == "reshape":
                places = [str(order.index(entry)) for entry in entries]
                turn = ast.Attribute(new, "transpose", ast.Load())
                turned = ast.Call(turn, [parsed(p) for p in places], [])
                words = f"`{text(e)}` is a reshape where axes must be exchanged"
                yield Change(e, turned, "transposed", words, 0.11)


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
        from_0 = isinstance(low, ast.Constant) and low.value == 0 and not rest
        bounds = [high] if from_0 else [low, high, *rest]
        yield Change(e, ast.Call(e.func, bounds, []), "index", said, 0.05)
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


@dataclass(frozen=True)
class _Entry:
    """An entry of an index (or several that read alike), which can be replaced."""

    whole: ast.Subscript
    said: str  # the whole as a text
    entries: list[ast.expr]
    at: list[int]

    @property
    def old(self) -> ast.expr:
        """What stands there."""
        return self.entries[self.at[0]]

    def put(self, new: ast.expr) -> ast.Subscript:
        """The whole with another entry."""
        return _indexed(
            self.whole, [new if i in self.at else e for i, e in enumerate(self.entries)]
        )

    def shifted(self, new: ast.expr, rank: float = 0.1) -> Change:
        """The entry takes the wrong place, this one belongs there."""
        words = f"`{self.said}` takes the wrong place"
        return Change(self.whole, self.put(new), "shifted", words, rank)

    def off_by_one(self, new: ast.expr, rank: float = 0.05) -> Change:
        """The entry takes the place beside the one that belongs there."""
        words = f"`{self.said}` is off by one"
        return Change(self.whole, self.put(new), "shifted", words, rank)


def _indexed(e: ast.Subscript, entries: Sequence[ast.expr]) -> ast.Subscript:
    index = entries[0] if len(entries) == 1 else ast.Tuple(list(entries), ast.Load())
    return ast.Subscript(e.value, index, e.ctx)


def places(e: ast.Subscript) -> Iterator[Change]:
    """Another index or slice, or two of them exchanged."""
    entries = list(e.slice.elts) if isinstance(e.slice, ast.Tuple) else [e.slice]
    yield from _exchanged(e, entries)
    for entry in _entries(e, entries):
        if isinstance(entry.old, ast.Slice):
            yield from _turned_round(entry, entry.old)
            yield from _moved_slices(entry, entry.old)
            yield from _cut_at_the_end(entry, entry.old)
            yield from _like_another(entry, entry.old)
        elif not isinstance(entry.old, ast.Constant) or isinstance(entry.old.value, int):
            yield from _moved_indices(entry)
    yield from _strides(e)
    if isinstance(e.ctx, ast.Load):
        yield Change(e, e.value, "index", f"`{text(e)}` takes a part where the whole belongs", 0.15)


def _exchanged(e: ast.Subscript, entries: list[ast.expr]) -> Iterator[Change]:
    """Two indices in the wrong order: x[j, i] for x[i, j]."""
    words = f"the indices of `{text(e)}` are exchanged"
    for one, two in itertools.combinations(range(len(entries)), 2):
        if text(entries[one]) != text(entries[two]):
            swapped = list(entries)
            swapped[one], swapped[two] = swapped[two], swapped[one]
            yield Change(e, _indexed(e, swapped), "transposed", words, 0.0)


def _entries(e: ast.Subscript, entries: list[ast.expr]) -> Iterator[_Entry]:
    """Each entry, and then the slices with bounds that stand there more than once, together."""
    alike: dict[str, list[int]] = {}
    said = text(e)
    for place, entry in enumerate(entries):
        alike.setdefault(text(entry), []).append(place)
        yield _Entry(e, said, entries, [place])
    for group in alike.values():
        first = entries[group[0]]
        if len(group) > 1 and isinstance(first, ast.Slice) and (first.lower or first.upper):
            yield _Entry(e, said, entries, group)


def _turned_round(entry: _Entry, old: ast.Slice) -> Iterator[Change]:
    """A slice the wrong way round: x[:] for x[::-1], x[::-1] for x[:]."""
    step, rank = (parsed("-1"), 0.1) if old.step is None else (None, 0.05)
    words = f"`{entry.said}` runs the wrong way"
    yield Change(
        entry.whole, entry.put(ast.Slice(old.lower, old.upper, step)), "flipped", words, rank
    )


def _moved_slices(entry: _Entry, old: ast.Slice) -> Iterator[Change]:
    """A slice from one place earlier or later, or to it: x[:-1] for x[1:], x[1:3] for x[2:4]."""
    low, high, step = old.lower, old.upper, old.step
    for by in (1, -1):
        lower = None if low is None else _moved(low, by)
        upper = None if high is None else _or_the_end(_moved(high, by))
        if low is not None and high is not None:
            yield entry.off_by_one(ast.Slice(lower, upper, step))
        if low is not None:
            yield entry.shifted(ast.Slice(lower, high, step))
        elif by > 0:
            yield entry.shifted(ast.Slice(ast.Constant(1), high, step))
            if high is not None:
                yield entry.off_by_one(ast.Slice(ast.Constant(1), None, step))
        if high is not None:
            yield entry.shifted(ast.Slice(low, upper, step))
        elif by < 0:
            yield entry.shifted(ast.Slice(low, parsed("-1"), step))
            if low is not None:
                yield entry.off_by_one(ast.Slice(None, parsed("-1"), step))


def _or_the_end(bound: ast.expr) -> ast.expr | None:
    """A bound of a slice; nothing for the end, which −1 + 1 is."""
    return None if isinstance(bound, ast.Constant) and bound.value is None else bound


def _cut_at_the_end(entry: _Entry, old: ast.Slice) -> Iterator[Change]:
    """A slice that is cut at the end and not at the start: x[:-2] for x[1:-1]."""
    if old.upper is None or not text(old.upper).startswith("-"):
        return
    yield entry.shifted(ast.Slice(parsed("1"), old.upper, old.step))
    yield entry.off_by_one(ast.Slice(ast.Constant(1), _or_the_end(_moved(old.upper, 1)), old.step))


def _like_another(entry: _Entry, old: ast.Slice) -> Iterator[Change]:
    """The slice of another axis: x[1:3, 1:3] for x[1:3, 2:4]."""
    if old.lower is not None and old.upper is not None:
        for place, other in enumerate(entry.entries):
            if place != entry.at[0] and isinstance(other, ast.Slice):
                yield entry.shifted(other, 0.15)


def _moved_indices(entry: _Entry) -> Iterator[Change]:
    """An index beside the right one: x[t] for x[t - 1], x[t] for all of x."""
    for by in (1, -1):
        yield entry.off_by_one(_moved(entry.old, by), 0.1)
    if isinstance(entry.old, ast.Name) and len(entry.entries) == 1:
        e, words = entry.whole, f"`{entry.said}` takes the wrong place"
        yield Change(e, ast.Subscript(e.value, ast.Slice(), e.ctx), "index", words, 0.2)


def _strides(e: ast.Subscript) -> Iterator[Change]:
    """A name in an index without its stride: x[i] for x[2 * i]."""
    said = text(e)
    for name in sorted({n.id for n in ast.walk(e.slice) if isinstance(n, ast.Name)}):
        for moved in (f"2 * {name}", f"3 * {name}", f"{name} + 1", f"{name} - 1", f"{name} // 2"):
            words = f"`{said}` {'forgets the stride' if '*' in moved else 'takes the wrong place'}"
            yield Change(e, substituted(e, name, parsed(moved)), "index", words, 0.15)


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
