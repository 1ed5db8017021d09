"""Changes of what one expression gives: another name, a factor or a term more, a sum."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .edit import SELF, Change, parsed, text
from .edits_of_places import substituted


def is_numeric(value: Any) -> bool:
    """Whether something is an array, or a number, that can be reckoned with."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fiub"
    return isinstance(value, int | float | np.generic)


def is_float(value: Any) -> bool:
    """Whether something is a floating array or number."""
    return isinstance(value, float | np.floating) or (
        isinstance(value, np.ndarray) and value.dtype.kind == "f"
    )


@dataclass
class Atom:
    """Something that a text may name at a place: its text and its value there."""

    text: str
    value: Any
    size: bool = False  # a number of elements
    upstream: bool = False


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
    e, shape = SELF, np.shape(value)
    inner = 0.0 if root else 0.01
    old = text(node)

    def change(template: str, kind: str, words: str, rank: float) -> Change:
        return Change(node, None, kind, words, rank + inner, template)

    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
        for q in atoms:
            same = np.shape(q.value) == shape
            if q.text == old or (q.size and shape) or not (same or _meets(q.value, shape)):
                continue
            words = f"`{old}` is used where `{q.text}` belongs"
            yield change(q.text, "factor replaced", words, 0.02 if same else 0.1)
    if isinstance(node, ast.Constant):
        for q in atoms:
            yield change(
                q.text,
                "factor replaced",
                f"{old} stands where `{q.text}` belongs",
                0.2 + 0.05 * q.size,
            )
        return
    yield from _reshaped(node, shape, atoms)
    yield from _earlier(node, shape, atoms)
    array = np.asarray(value)
    if array.dtype.kind == "b":
        yield change(
            f"~{e}" if shape else f"not {e}",
            "mask wrong",
            f"the mask `{old}` is turned round",
            0.05,
        )
    if roots and library and array.dtype.kind in "iu" and not shape and value > 1:
        words = f"the root of `{old}` is not taken"
        yield change(f"{library}.sqrt({e})", "constant", words, 0.0)
    if array.dtype.kind not in "fb":
        return
    yield from _other_side(node, atoms, library)
    wrapped = [(f"-{e}", "term sign", f"`{old}` has the wrong sign", 0.0)]
    if len(shape) == 2:
        wrapped.append((f"{e}.T", "transposed", f"`{old}` must be transposed", 0.0))
    for template, words, rank in (
        (f"{e} ** 2", "must be squared", 0.1),
        (f"1 - {e}", "stands for 1 minus it", 0.1),
        (f"1 - {e} ** 2", "stands for 1 minus its square", 0.1),
        (f"{e} * (1 - {e})", "stands for it times 1 minus it", 0.12),
        (f"1 + {e}", "lacks a 1", 0.2),
        (f"{e} - 1", "lacks a −1", 0.2),
        (f"{e} > 0", "stands for its sign (a mask)", 0.15),
        (f"{e} ** 0.5", "stands for its root", 0.2),
        (f"1 / {e}", "stands for 1 over it", 0.2),
        (f"{e} ** 3", "must be cubed", 0.2),
        (f"1 / {e} ** 2", "stands for 1 over its square", 0.25),
        (f"abs({e})", "lacks its absolute value", 0.25),
    ):
        wrapped.append((template, "factor replaced", f"`{old}` {words}", rank))
    for c, words in (("2", "doubled"), ("0.5", "halved"), ("3", "tripled"), ("0.25", "a quarter")):
        wrapped.append((f"{c} * {e}", "constant", f"`{old}` must be {words}", 0.22))
    for function in ("exp", "sign", "log", "sqrt", "tanh", "cos", "sin") if library else ():
        wrapped.append(
            (
                f"{library}.{function}({e})",
                "factor replaced",
                f"`{function}` of `{old}` is not taken",
                0.2,
            )
        )
    for a in range(len(shape)):
        if shape[a] < 2:
            continue
        for keep in (", keepdims=True", ""):
            wrapped.append(
                (
                    f"{e}.sum(axis={a}{keep})",
                    "sum missing",
                    f"`{old}` is not summed over axis {a}",
                    0.1,
                )
            )
            wrapped.append(
                (
                    f"{e}.mean(axis={a}{keep})",
                    "sum missing",
                    f"`{old}` is not averaged over axis {a}",
                    0.15,
                )
            )
        turned = ", ".join([":"] * a + ["::-1"])
        wrapped.append(
            (f"{e}[{turned}]", "flipped", f"`{old}` runs the wrong way along axis {a}", 0.1)
        )
    if len(shape) > 2:
        for one, two in itertools.combinations(range(len(shape)), 2):
            wrapped.append(
                (
                    f"{e}.swapaxes({one}, {two})",
                    "transposed",
                    f"axes {one} and {two} of `{old}` are exchanged",
                    0.1,
                )
            )
    for template, kind, words, rank in wrapped:
        yield change(template, kind, words, rank)
    yield from _folded(node, shape, atoms, root)
    for q in atoms:
        if not _broadcasts(np.shape(q.value), shape) and not _broadcasts(shape, np.shape(q.value)):
            continue
        if q.text == old:
            continue
        t = q.text
        grows = not _broadcasts(np.shape(q.value), shape)
        kind = "mean or sum" if q.size else "upstream forgotten" if q.upstream else "factor missing"
        mask = np.asarray(q.value).dtype.kind == "b"
        if mask:
            kind = "mask missing"
        rank = 0.15 + 0.05 * grows + 0.02 * (not root)
        yield change(
            f"{e} * {t}",
            kind,
            f"the {'mask' if mask else 'factor'} `{t}` is missing at `{old}`",
            rank,
        )
        if mask:
            continue
        yield change(
            f"{e} / {t}", kind, f"the division of `{old}` by `{t}` is missing", rank + 0.01
        )
        if library and np.shape(q.value) == () and q.value > 0:
            root_of = f"{library}.sqrt({t})"
            for symbol, words in (("/", "division by"), ("*", "factor")):
                yield change(
                    f"{e} {symbol} {root_of}",
                    "constant",
                    f"the {words} `{root_of}` is missing at `{old}`",
                    rank + (-0.03 if roots else 0.1),
                )
        if not np.shape(q.value) and q.size:
            continue
        for sign in "+-":
            yield change(
                f"{e} {sign} {t}",
                "path missing",
                f"the term `{sign} {t}` is missing at `{old}`",
                rank + 0.05,
            )
        yield change(f"{t} - {e}", "path missing", f"`{t} −` is missing before `{old}`", rank + 0.1)
        if np.asarray(q.value).dtype.kind != "f" or grows:
            continue
        for n, (form, named) in enumerate(_FACTORS):
            yield change(
                f"{e} * {form.format(t)}",
                "mask missing" if ">" in form or "<" in form else "factor missing",
                f"the {named} `{form.format(t)}` is missing at `{old}`",
                rank + 0.1 + 0.01 * n,
            )
        for a in range(np.ndim(q.value)) if np.ndim(q.value) > 1 else ():
            total = f"{t}.sum(axis={a}, keepdims=True)"
            yield change(
                f"{e} * {total}",
                "factor missing",
                f"the factor `{total}` is missing at `{old}`",
                rank + 0.15,
            )
        yield change(
            f"{e} + 2 * {t}",
            "path missing",
            f"the term `2 * {t}` is missing at `{old}`",
            rank + 0.2,
        )


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
                    f"{text(inside)}.reshape({q.text}.shape)",
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


def _folded(
    node: ast.expr, shape: tuple[int, ...], atoms: Sequence[Atom], root: bool
) -> Iterator[Change]:
    """The second path of a softmax or a normalisation: e − h Σ e h, e − mean e, …"""
    e, old = SELF, text(node)
    alike = [q for q in atoms if np.shape(q.value) == shape and is_float(q.value) and q.text != old]
    demerit = 0.0 if root else 0.02
    for a, fold in itertools.product(range(len(shape)), ("sum", "mean")):
        if shape[a] < 2:
            continue
        to = f".{fold}(axis={a}, keepdims=True)"
        terms = [f"{e}{to}"]
        terms += [f"{q.text} * ({e} * {q.text}){to}" for q in alike]
        terms += [f"({e} * {q.text}){to}" for q in alike]
        for term in terms:
            said = term.replace(e, old)
            yield Change(
                node,
                None,
                "path missing",
                f"the term `− {said}` is missing at `{old}`",
                0.3 + demerit,
                f"{e} - {term}",
            )
        if (root or isinstance(node, ast.BinOp)) and fold == "sum":
            texts = [q.text for q in alike] + [e] * isinstance(node, ast.Name)
            for p, q in itertools.permutations(texts, 2):
                full = f"{p} * ({q} - ({q} * {p}){to})"
                yield Change(
                    node,
                    None,
                    "diagonal only",
                    f"`{old}` is the diagonal of the Jacobian "
                    f"only: the sum over axis {a} is missing",
                    0.4 + demerit,
                    full,
                )


_FACTORS = (
    ("({} > 0)", "mask"),
    ("(1 - {} ** 2)", "factor"),
    ("(1 - {})", "factor"),
    ("({} * (1 - {}))".replace("{}", "{0}"), "factor"),
    ("{} ** 2", "factor"),
    ("(1 + {})", "factor"),
    ("({} < 0)", "mask"),
    ("{} ** -2", "factor"),
    ("{} ** 0.5", "factor"),
)


def _meets(value: Any, shape: tuple[int, ...]) -> bool:
    """Whether one of two shapes is broadcast to the other."""
    return _broadcasts(np.shape(value), shape) or _broadcasts(shape, np.shape(value))


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def labels(node: ast.expr, value: Any, known: Sequence[Atom], root: bool) -> Iterator[Change]:
    """A term for each row at its label: − 1 at (row, label)."""
    shape = np.shape(value)
    if not root or len(shape) not in (1, 2) or np.asarray(value).dtype.kind != "f":
        return
    for q in known:
        t = np.asarray(q.value)
        fits = t.shape == shape[:1] if len(shape) == 2 else t.shape == ()
        if fits and t.dtype.kind in "iu" and t.size and t.min() >= 0 and t.max() < shape[-1]:
            yield Change(
                node,
                None,
                "path missing",
                f"the term −1 at the label `{q.text}` is missing",
                0.3,
                f"{SELF} - np.eye({shape[-1]})[{q.text}]",
            )
            for count in known if len(shape) == 2 else ():
                if np.shape(count.value) == shape[:1] and count is not q:
                    yield Change(
                        node,
                        None,
                        "path missing",
                        f"the term −{count.text} at the label `{q.text}` is missing",
                        0.35,
                        f"{SELF} - np.eye({shape[-1]})[{q.text}] * {count.text}[:, None]",
                    )


def combined(node: ast.expr, value: Any, atoms: Sequence[Atom]) -> Iterator[Change]:
    """Terms of two names: a matrix product, a penalty's weight times a parameter."""
    shape = np.shape(value)
    old = text(node)
    numbers = [q for q in atoms if np.shape(q.value) == () and not q.size]
    arrays = [q for q in atoms if np.shape(q.value)]
    terms: list[tuple[str, tuple[int, ...]]] = []
    for q in arrays:
        if np.shape(q.value) == shape:
            terms += [(f"{n.text} * {q.text}", shape) for n in numbers]
            terms += [(f"2 * {n.text} * {q.text}", shape) for n in numbers]
    for a, b in itertools.product(arrays, repeat=2):
        m, n = np.shape(a.value), np.shape(b.value)
        if len(m) == len(n) == 2 and len(shape) == 2:
            if (m[0], n[1]) == shape and m[1] == n[0]:
                terms.append((f"{a.text} @ {b.text}", shape))
            if (m[1], n[1]) == shape and m[0] == n[0]:
                terms.append((f"{a.text}.T @ {b.text}", shape))
            if (m[0], n[0]) == shape and m[1] == n[1]:
                terms.append((f"{a.text} @ {b.text}.T", shape))
        if a.text < b.text and _broadcasts(m, shape) and _broadcasts(n, shape):
            terms.append((f"{a.text} * {b.text}", shape))
    for term, _ in terms:
        for sign in "+-":
            yield Change(
                node,
                None,
                "path missing",
                f"the term `{sign} {term}` is missing at `{old}`",
                0.5,
                f"{SELF} {sign} {term}",
            )
