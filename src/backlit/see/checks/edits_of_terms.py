"""Changes that put a factor or a term to an expression: one that a text may name at its place."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .edit import SELF, Change, text

#: Of more numbers no products of two are tried.
_SCALES = 6


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


def terms(
    node: ast.expr,
    old: str,
    shape: tuple[int, ...],
    q: Atom,
    root: bool,
    library: str,
    roots: bool,
) -> Iterator[Change]:
    """What is missing at an expression of this text and shape, if it is made of one name."""
    rank = 0.15 + 0.05 * _grows(q, shape) + 0.03 * (not root)
    if np.asarray(q.value).dtype.kind == "b":
        words = f"the mask `{q.text}` is missing at `{old}`"
        yield Change(node, None, "mask missing", words, rank, f"{SELF} * {q.text}")
        return
    yield from _scaled(node, old, q, rank)
    if library and np.shape(q.value) == () and q.value > 0:
        yield from _scaled_by_root(node, old, q, f"{library}.sqrt({q.text})", rank, roots)
    if q.size and not np.shape(q.value):
        return
    yield from _term(node, old, q, rank)
    if np.asarray(q.value).dtype.kind == "f" and not _grows(q, shape):
        yield from _function_as_factor(node, old, q, rank)
        words = f"the term `2 * {q.text}` is missing at `{old}`"
        yield Change(node, None, "path missing", words, rank + 0.2, f"{SELF} + 2 * {q.text}")


def _grows(q: Atom, shape: tuple[int, ...]) -> bool:
    """Whether a name makes something of this shape larger."""
    return not broadcasts(np.shape(q.value), shape)


def _scaled(node: ast.expr, old: str, q: Atom, rank: float) -> Iterator[Change]:
    """A factor left out, or a division: dout for dout * w, for dout / n."""
    kind = "mean or sum" if q.size else "upstream forgotten" if q.upstream else "factor missing"
    t = q.text
    words = f"the factor `{t}` is missing at `{old}`"
    size = t if q.size else ""
    yield Change(node, None, kind, words, rank, f"{SELF} * {t}", size)
    words = f"the division of `{old}` by `{t}` is missing"
    yield Change(node, None, kind, words, rank + 0.01, f"{SELF} / {t}", size)


def _scaled_by_root(
    node: ast.expr, old: str, q: Atom, root_of: str, rank: float, roots: bool
) -> Iterator[Change]:
    """A root left out: scores for scores / np.sqrt(d)."""
    rank += -0.03 if roots else 0.1
    for symbol, verb in (("/", "division by"), ("*", "factor")):
        words = f"the {verb} `{root_of}` is missing at `{old}`"
        yield Change(node, None, "constant", words, rank, f"{SELF} {symbol} {root_of}")


def _term(node: ast.expr, old: str, q: Atom, rank: float) -> Iterator[Change]:
    """A term left out: dx for dx + dout, y for 1 - y."""
    t = q.text
    for sign in "+-":
        words = f"the term `{sign} {t}` is missing at `{old}`"
        yield Change(node, None, "path missing", words, rank + 0.05, f"{SELF} {sign} {t}")
    words = f"`{t} −` is missing before `{old}`"
    yield Change(node, None, "path missing", words, rank + 0.1, f"{t} - {SELF}")


def _function_as_factor(node: ast.expr, old: str, q: Atom, rank: float) -> Iterator[Change]:
    """A function of a name left out as a factor: dout for dout * (1 - y ** 2), dout * (x > 0)."""
    t = q.text
    for n, (form, named) in enumerate(_FACTORS):
        kind = "mask missing" if named == "mask" else "factor missing"
        words = f"the {named} `{form.format(t)}` is missing at `{old}`"
        rank_of_form = rank + 0.1 + 0.01 * n
        yield Change(node, None, kind, words, rank_of_form, f"{SELF} * {form.format(t)}")
    for a in range(np.ndim(q.value)) if np.ndim(q.value) > 1 else ():
        total = f"{t}.sum(axis={a}, keepdims=True)"
        words = f"the factor `{total}` is missing at `{old}`"
        yield Change(node, None, "factor missing", words, rank + 0.15, f"{SELF} * {total}")


_FACTORS = (
    ("({} > 0)", "mask"),
    ("(1 - {} ** 2)", "factor"),
    ("(1 - {})", "factor"),
    ("({0} * (1 - {0}))", "factor"),
    ("{} ** 2", "factor"),
    ("(1 + {})", "factor"),
    ("({} < 0)", "mask"),
    ("{} ** -2", "factor"),
    ("{} ** 0.5", "factor"),
)


def folded(
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
            said = term.replace(e, f"({old})" if isinstance(node, ast.BinOp | ast.UnaryOp) else old)
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


def broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether a shape is broadcast to another."""
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def labels(node: ast.expr, value: Any, known: Sequence[Atom], root: bool) -> Iterator[Change]:
    """A term for each row at its label: − 1 at (row, label)."""
    shape = np.shape(value)
    if not root or len(shape) not in (1, 2) or np.asarray(value).dtype.kind != "f":
        return
    named = [text(node)] if isinstance(node, ast.Name | ast.Attribute) else []
    named += [q.text for q in known if np.shape(q.value) == shape]
    size = f"{named[0]}.shape[-1]" if named else str(shape[-1])  # right for other sizes, too
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
                f"{SELF} - np.eye({size})[{q.text}]",
            )
            for count in known if len(shape) == 2 else ():
                if np.shape(count.value) == shape[:1] and count is not q:
                    yield Change(
                        node,
                        None,
                        "path missing",
                        f"the term −{count.text} at the label `{q.text}` is missing",
                        0.35,
                        f"{SELF} - np.eye({size})[{q.text}] * {count.text}[:, None]",
                    )


def combined(node: ast.expr, value: Any, atoms: Sequence[Atom], root: bool) -> Iterator[Change]:
    """Terms of several names: a matrix product, a penalty's weight times a parameter."""
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
        if a.text < b.text and broadcasts(m, shape) and broadcasts(n, shape):
            terms.append((f"{a.text} * {b.text}", shape))
    rank = 0.5 if root else 0.55
    terms += [(term, shape) for term in _of_three(shape, numbers, arrays)]
    for term, _ in terms:
        for sign in "+-":
            yield Change(
                node,
                None,
                "path missing",
                f"the term `{sign} {term}` is missing at `{old}`",
                rank,
                f"{SELF} {sign} {term}",
            )


def _of_three(
    shape: tuple[int, ...], numbers: Sequence[Atom], arrays: Sequence[Atom]
) -> Iterator[str]:
    """Products of three: 0.5 * x * dt, 2 * g * c * w, c * a / n ** 2."""
    like = [q for q in arrays if np.shape(q.value) == shape and is_float(q.value)]
    thin = [
        q for q in arrays if np.shape(q.value) != shape and broadcasts(np.shape(q.value), shape)
    ]
    scales = [q for q in (*numbers, *thin) if is_float(q.value)][:_SCALES]
    for one, two in itertools.combinations(like, 2):
        for factor in ("0.5", "2"):
            yield f"{factor} * {one.text} * {two.text}"
    for q in like:
        for one, two in itertools.combinations(scales, 2):
            yield f"{one.text} * {two.text} * {q.text}"
            yield f"2 * {one.text} * {two.text} * {q.text}"
        for one, two in itertools.permutations(scales, 2):
            yield f"{one.text} * {q.text} / {two.text}"
            yield f"{one.text} * {q.text} / {two.text} ** 2"
