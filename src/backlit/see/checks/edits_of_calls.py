"""Changes of a call: its axis, its arguments, which function it calls, whether it is there."""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator, Sequence

from .edit import Change, parsed, text
from .edits_of_places import orders, permuted, ranges
from .numpy_names import FOLDS, JOINING, MISTAKEN, MODULES, ORDERED, REARRANGING, WITH_AXIS

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

#: How it is said that a folded axis stays, by NumPy and by PyTorch.
_KEPT = ("keepdims", "keepdim")


def calls(e: ast.Call) -> Iterator[Change]:
    """Another axis, other arguments, another function, or none."""
    name = e.func.attr if isinstance(e.func, ast.Attribute) else getattr(e.func, "id", "")
    inside = _inside(e)
    yield from _keywords(e, name)
    if name in WITH_AXIS and not _names_axis(e):
        yield from _axis_in_its_place(e, name, inside is not None)
    if name in FOLDS and _names_axis(e):
        yield from _axis_not_kept(e)
    yield from _another_function(e, name)
    if name == "cumsum" and _names_axis(e):
        yield from _from_the_end(e, inside)
    if name == "tile":
        yield from _repeated(e)
    yield from _not_taken(e, name, inside)
    if name == "where":
        yield from _sides(e)
    yield from _arguments_exchanged(e, name, inside)
    if name in JOINING and e.args:
        yield from orders(e.args[0], "inputs exchanged", 0.0)
    if name in ("range", "reversed"):
        yield from ranges(e, name)
    if name in REARRANGING:
        yield from permuted(e, inside is not None)


def _inside(e: ast.Call) -> ast.expr | None:
    """What a method is called of: `x` in `x.sum()`; nothing in `np.sum(x)`."""
    if not isinstance(e.func, ast.Attribute):
        return None
    owner = e.func.value
    return None if isinstance(owner, ast.Name) and owner.id in MODULES else owner


def _names_axis(e: ast.Call) -> bool:
    return any(k.arg in ("axis", "dim") for k in e.keywords)


def _with_arguments(e: ast.Call, arguments: Sequence[ast.expr]) -> ast.Call:
    new = copy.copy(e)
    new.args = list(arguments)
    return new


def _with_keywords(e: ast.Call, keywords: Sequence[ast.keyword]) -> ast.Call:
    new = copy.copy(e)
    new.keywords = list(keywords)
    return new


def _called(e: ast.Call, name: str) -> ast.expr:
    """A function of another name from where that of a call is."""
    if isinstance(e.func, ast.Attribute):
        return ast.Attribute(e.func.value, name, ast.Load())
    return ast.Name(name, ast.Load())


def _wrong_axis(e: ast.Call, new: ast.Call, name: str, old: str, axis: str) -> Change:
    words = f"`{name}` runs over axis {old} where axis {axis} belongs"
    return Change(e, new, "wrong axis", words, 0.0)


def _keywords(e: ast.Call, name: str) -> Iterator[Change]:
    """Another axis that is named, or one that is kept: x.sum(axis=0) for x.sum(axis=1)."""
    for place, keyword in enumerate(e.keywords):
        if keyword.arg in ("axis", "dim"):
            old = text(keyword.value)
            for axis in _AXES:
                if axis != old:
                    listed = list(e.keywords)
                    listed[place] = ast.keyword(keyword.arg, parsed(axis))
                    yield _wrong_axis(e, _with_keywords(e, listed), name, old, axis)
        if keyword.arg in _KEPT:
            new = _with_keywords(e, [k for k in e.keywords if k is not keyword])
            yield Change(e, new, "wrong axis", f"`{text(e)}` must not keep its axis", 0.2)


def _axis_in_its_place(e: ast.Call, name: str, method: bool) -> Iterator[Change]:
    """Another axis that is not named, or none: np.sum(x, 0) for np.sum(x, 1), x.sum() for it."""
    at = WITH_AXIS[name] + (not method)
    if len(e.args) > at:
        old = text(e.args[at])
        for axis in _AXES:
            if axis != old:
                new = _with_arguments(e, [*e.args[:at], parsed(axis), *e.args[at + 1 :]])
                yield _wrong_axis(e, new, name, old, axis)
    elif name in FOLDS:
        for axis, keep in itertools.product(_AXES, (False, True)):
            more = [ast.keyword("axis", parsed(axis))]
            if keep:
                more.append(ast.keyword("keepdims", ast.Constant(True)))
            words = f"`{text(e)}` runs over all axes, not over axis {axis} only"
            new = _with_keywords(e, [*e.keywords, *more])
            yield Change(e, new, "summed too much", words, 0.05)


def _axis_not_kept(e: ast.Call) -> Iterator[Change]:
    """An axis gone that is broadcast against: x.sum(axis=1) for x.sum(axis=1, keepdims=True)."""
    if not any(k.arg in _KEPT for k in e.keywords):
        kept = "keepdim" if any(k.arg == "dim" for k in e.keywords) else "keepdims"
        new = _with_keywords(e, [*e.keywords, ast.keyword(kept, ast.Constant(True))])
        yield Change(e, new, "wrong axis", f"`{text(e)}` must keep its axis ({kept}=True)", 0.1)


def _another_function(e: ast.Call, name: str) -> Iterator[Change]:
    """One function for another: np.maximum for np.minimum, np.mean for np.sum."""
    for other in MISTAKEN.get(name, ()):
        new = copy.copy(e)
        new.func = _called(e, other)
        fold = name in FOLDS and other in FOLDS
        kind, rank = ("mean or sum", 0.0) if fold else ("edit", 0.1)
        yield Change(e, new, kind, f"`{name}` stands where `{other}` belongs", rank)


def _from_the_end(e: ast.Call, inside: ast.expr | None) -> Iterator[Change]:
    """Sums of what comes before for those of what comes after: np.cumsum along a turned axis."""
    summed = inside if inside is not None else (e.args[0] if e.args else None)
    axis = next(k.value for k in e.keywords if k.arg in ("axis", "dim"))
    if summed is None:
        return

    def turned(x: ast.expr) -> ast.expr:
        call = parsed("np.flip(x)")
        assert isinstance(call, ast.Call)
        return _with_keywords(_with_arguments(call, [x]), [ast.keyword("axis", axis)])

    new = copy.copy(e)
    if inside is None:
        new.args = [turned(summed), *e.args[1:]]
    else:
        new.func = ast.Attribute(turned(summed), "cumsum", ast.Load())
    words = f"`{text(e)}` adds up from the start where it must from the end"
    yield Change(e, turned(new), "flipped", words, 0.05)


def _repeated(e: ast.Call) -> Iterator[Change]:
    """Whole copies for copies of each element: np.tile(x, (1, 3)) for np.repeat(x, 3, axis=1)."""
    if len(e.args) != 2 or not isinstance(e.args[1], ast.Tuple):
        return
    parts: ast.expr = e.args[0]
    for axis, count in enumerate(e.args[1].elts):
        if text(count) != "1":
            axis_named = [ast.keyword("axis", ast.Constant(axis))]
            parts = ast.Call(_called(e, "repeat"), [parts, count], axis_named)
    words = "`tile` puts the elements in another order than `repeat`, which belongs here"
    yield Change(e, parts, "transposed", words, 0.0)


def _not_taken(e: ast.Call, name: str, inside: ast.expr | None) -> Iterator[Change]:
    """A function where none belongs: np.exp(x) for x."""
    first = inside if inside is not None else (e.args[0] if e.args else None)
    if name == "t" and inside is not None and not e.args:
        yield Change(e, inside, "transposed", f"`{text(inside)}` must not be transposed", 0.0)
    elif first is not None:
        kind, rank = ("summed too much", 0.1) if name in FOLDS else ("edit", 0.15)
        yield Change(e, first, kind, f"`{name}` of `{text(first)}` must not be taken", rank)


def _sides(e: ast.Call) -> Iterator[Change]:
    """A choice the wrong way round, or none: np.where(m, a, b) for np.where(m, b, a), for a."""
    if len(e.args) != 3:
        return
    c, a, b = e.args
    words = f"the two sides of `{text(e)}` are exchanged"
    yield Change(e, _with_arguments(e, [c, b, a]), "mask wrong", words, 0.0)
    for side in (a, b):
        yield Change(e, side, "mask extra", f"the mask `{text(c)}` has no place there", 0.1)


def _arguments_exchanged(e: ast.Call, name: str, inside: ast.expr | None) -> Iterator[Change]:
    """Two arguments in the wrong order or turned: np.dot(a, b) for np.dot(b.T, a)."""
    if len(e.args) == 2 and name in ORDERED:
        if name != "outer":
            yield from exchanged_factors(e, *e.args)
        kind = "transposed" if name == "outer" else "inputs exchanged"
        words = f"the arguments of `{text(e)}` are exchanged"
        yield Change(e, _with_arguments(e, [e.args[1], e.args[0]]), kind, words, 0.05)
    if inside is not None and name == "dot" and len(e.args) == 1:
        yield from exchanged_factors(e, inside, e.args[0])


def exchanged_factors(e: ast.expr, a: ast.expr, b: ast.expr) -> Iterator[Change]:
    """The matrix products of two matrices in the other orders: b.T @ a, b @ a, … for a @ b."""
    words = f"the factors of `{text(e)}` stand the wrong way round"
    for x, y in ((a, b), (b, a)):
        for turned in itertools.product((False, True), repeat=2):
            one, two = (_turned(v) if t else v for v, t in zip((x, y), turned, strict=True))
            if (one, two) != (a, b):
                yield Change(e, ast.BinOp(one, ast.MatMult(), two), "transposed", words, 0.1)


def _turned(e: ast.expr) -> ast.expr:
    if isinstance(e, ast.Attribute) and e.attr in ("T", "mT"):
        return e.value
    if isinstance(e, ast.Call) and isinstance(e.func, ast.Attribute) and e.func.attr == "t":
        return e.func.value
    return ast.Attribute(e, "T", ast.Load())
