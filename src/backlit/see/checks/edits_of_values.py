"""Changes of what one expression gives: another name, its sign, its square, its sum."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .edit import SELF, Change, parsed, text
from .edits_of_places import substituted
from .edits_of_terms import Atom, broadcasts, folded, terms
from .numpy_names import OF_A_NUMBER


def of_value(
    node: ast.expr,
    value: Any,
    atoms: Sequence[Atom],
    root: bool,
    library: str,
    roots: bool,
) -> Iterator[Change]:
    """The changes of what an expression gives, where it has this value and these names are known.

    `root`: it is the whole right side of a statement. `library`: how NumPy is called there, if it
    is known; `roots`: the forward takes a root.
    """
    array = np.asarray(value)
    shape, floats = array.shape, array.dtype.kind in "fb"
    old, inner = text(node), 0.0 if root else 0.01
    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
        yield from _another_name(node, shape, atoms, inner)
    if isinstance(node, ast.Constant):
        yield from _no_constant(node, atoms, inner)
        return
    yield from _reshaped(node, shape, atoms)
    yield from _earlier(node, shape, atoms)
    if array.dtype.kind == "b":
        other = f"~{SELF}" if shape else f"not {SELF}"
        words = f"the mask `{old}` is turned round"
        yield Change(node, None, "mask wrong", words, 0.05 + inner, other)
    if roots and library and array.dtype.kind in "iu" and not shape and array > 1:
        words = f"the root of `{old}` is not taken"
        yield Change(node, None, "constant", words, inner, f"{library}.sqrt({SELF})")
    if not floats:
        return
    yield from _other_side(node, atoms, library)
    numbers = {float(q.value) for q in atoms if np.ndim(q.value) == 0 and not q.size}
    for template, kind, words, rank in (
        *_signs(len(shape)),
        *_functions(library, isinstance(node, ast.Name | ast.Attribute)),
        *_along_axes(shape),
    ):
        divisor = template.partition(f"{SELF} / ")[2]
        later = _NAMED * (_number_in(template) in numbers)  # it has a name, which is put in, too
        rank += inner + later
        yield Change(node, None, kind, words.format(old), rank, template, divisor)
    yield from folded(node, shape, atoms, root)
    for q in atoms:
        if q.text != old and _meets(q.value, shape):
            yield from terms(node, old, shape, q, root, library, roots)


#: What is added to the rank of a number that a name has there.
_NAMED = 0.15


def _number_in(template: str) -> float | None:
    """The number by which a template multiplies, divides or raises."""
    found = re.search(rf"^([\d.]+) \* {SELF}$|^{SELF} (?:/|\*\*) ([\d.]+)$", template)
    return float(found[1] or found[2]) if found else None


#: What belongs there as a template, the mistake's kind, words with {} for what is written, rank.
_Wrapped = tuple[str, str, str, float]


def _another_name(
    node: ast.expr, shape: tuple[int, ...], atoms: Sequence[Atom], inner: float
) -> Iterator[Change]:
    """One name for another: x for y, x.shape[0] for x.shape[1]."""
    old = text(node)
    for q in atoms:
        same = np.shape(q.value) == shape
        if q.text == old or (q.size and shape) or not (same or _meets(q.value, shape)):
            continue
        words = f"`{old}` is used where `{q.text}` belongs"
        rank = (0.02 if same else 0.1) + inner
        yield Change(node, None, "factor replaced", words, rank, q.text, q.text if q.size else "")


def _no_constant(node: ast.Constant, atoms: Sequence[Atom], inner: float) -> Iterator[Change]:
    """A number for what has a name: 2 * x for a * x."""
    for q in atoms:
        words = f"{text(node)} stands where `{q.text}` belongs"
        rank = 0.2 + 0.05 * q.size + inner
        yield Change(node, None, "factor replaced", words, rank, q.text)


def _signs(axes: int) -> Iterator[_Wrapped]:
    """The wrong sign, a matrix that is not transposed: x for -x, for x.T."""
    yield f"-{SELF}", "term sign", "`{}` has the wrong sign", 0.0
    if axes == 2:
        yield f"{SELF}.T", "transposed", "`{}` must be transposed", 0.0


def _functions(library: str, named: bool) -> Iterator[_Wrapped]:
    """A function or a number left out: x for x ** 2, for 2 * x, for exp(x)."""
    e = SELF
    for template, words, rank in (
        (f"{e} ** 2", "must be squared", 0.1),
        (f"1 - {e}", "stands for 1 minus it", 0.1),
        (f"1 - {e} ** 2", "stands for 1 minus its square", 0.1),
        (f"1 + {e}", "lacks a 1", 0.2),
        (f"{e} - 1", "lacks a −1", 0.2),
        (f"{e} > 0", "stands for its sign (a mask)", 0.15),
        (f"{e} ** 0.5", "stands for its root", 0.2),
        (f"1 / {e}", "stands for 1 over it", 0.2),
        (f"{e} ** 3", "must be cubed", 0.2),
        (f"1 / {e} ** 2", "stands for 1 over its square", 0.25),
        (f"abs({e})", "lacks its absolute value", 0.25),
    ):
        yield template, "factor replaced", f"`{{}}` {words}", rank
    words = "the factor `1 - {0}` is missing at `{0}`"
    yield f"{e} * (1 - {e})", "factor missing", words, 0.13 if named else 0.25
    for c, words in (("2 *", "doubled"), ("0.5 *", "halved"), ("3 *", "tripled")):
        yield f"{c} {e}", "constant", f"`{{}}` must be {words}", 0.22
    for n in (3, 4, 5):
        words = f"the division of `{{}}` by {n} is missing"
        yield f"{e} / {n}", "constant", words, 0.21 + 0.01 * (n - 3)
    for name in OF_A_NUMBER if library else ():
        yield f"{library}.{name}({e})", "factor replaced", f"`{name}` of `{{}}` is not taken", 0.2


def _along_axes(shape: tuple[int, ...]) -> Iterator[_Wrapped]:
    """An axis that is not summed, runs the wrong way, or stands elsewhere: x for x.sum(axis=0)."""
    for a, n in enumerate(shape):
        if n < 2:
            continue
        for keep in (", keepdims=True", ""):
            total, average = f"{SELF}.sum(axis={a}{keep})", f"{SELF}.mean(axis={a}{keep})"
            yield total, "sum missing", f"`{{}}` is not summed over axis {a}", 0.1
            yield average, "sum missing", f"`{{}}` is not averaged over axis {a}", 0.15
        turned = ", ".join([":"] * a + ["::-1"])
        words = f"`{{}}` runs the wrong way along axis {a}"
        yield f"{SELF}[{turned}]", "flipped", words, 0.1
    if len(shape) > 1:
        yield f"{SELF}.sum()", "sum missing", "`{}` is not summed", 0.15
    for one, two in itertools.combinations(range(len(shape)), 2) if len(shape) > 2 else ():
        words = f"axes {one} and {two} of `{{}}` are exchanged"
        yield f"{SELF}.swapaxes({one}, {two})", "transposed", words, 0.1


def _reshaped(node: ast.expr, shape: tuple[int, ...], atoms: Sequence[Atom]) -> Iterator[Change]:
    """A reshape at once in the place of one with a turn of the axes."""
    inside: ast.expr = node
    while (
        isinstance(inside, ast.Call)
        and isinstance(inside.func, ast.Attribute)
        and inside.func.attr in ("reshape", "transpose", "swapaxes")
    ):
        inside = inside.func.value
        for q in atoms:
            if np.size(q.value) == np.prod(shape) and len(shape) > 1 and np.ndim(q.value) > 1:
                yield Change(
                    node,
                    None,
                    "transposed",
                    f"`{text(node)}` puts the elements in the wrong order",
                    0.1,
                    f"({text(inside)}).reshape({q.text}.shape)",
                )


def _other_side(node: ast.expr, atoms: Sequence[Atom], library: str) -> Iterator[Change]:
    """Behind a mask nothing is left, where a multiple must be: the slope of a leaky function."""
    if not library or not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Mult):
        return
    for mask, other in ((node.left, node.right), (node.right, node.left)):
        if isinstance(mask, ast.Compare):
            for q in atoms:
                slope = f"{q.text} * ({text(other)})"
                yield Change(
                    node,
                    None,
                    "mask wrong",
                    f"where not `{text(mask)}` nothing is left, but `{slope}` belongs there",
                    0.25,
                    f"{library}.where({text(mask)}, {text(other)}, {slope})",
                )


def _earlier(node: ast.expr, shape: tuple[int, ...], atoms: Sequence[Atom]) -> Iterator[Change]:
    """The element before in a loop, with a start of its own: h[t − 1], or h0 where t is 0."""
    if not isinstance(node, ast.Subscript):
        return
    for name in sorted({n.id for n in ast.walk(node.slice) if isinstance(n, ast.Name)}):
        if not any(q.text == name and isinstance(q.value, int) for q in atoms):
            continue
        before = text(substituted(node, name, parsed(f"{name} - 1")))
        for q in atoms:
            if np.shape(q.value) == shape and isinstance(q.value, np.ndarray):
                yield Change(
                    node,
                    None,
                    "shifted",
                    f"`{text(node)}` is that of this step, not of the one before",
                    0.2,
                    f"{before} if {name} > 0 else {q.text}",
                )


def _meets(value: Any, shape: tuple[int, ...]) -> bool:
    """Whether one of two shapes is broadcast to the other."""
    return broadcasts(np.shape(value), shape) or broadcasts(shape, np.shape(value))
