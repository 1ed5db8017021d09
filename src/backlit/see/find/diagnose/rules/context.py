"""The rules about what of a sequence counts: which of its steps, and whether their order does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .....ops.activation import Softmax
from .....ops.contraction import Matmul
from .....ops.elementwise import Add
from .....ops.movement import Concat, Flip
from .....ops.normalization import Dropout
from .....ops.recurrence import Recurrence
from ....records.parts import NodeRecord
from ....records.value import array_of
from ..finding import ERROR, FIT, WARNING, Finding
from ..material import Material
from .dataset import CERTAIN, ENOUGH_ROWS, certainty, design, leverage, numbers, rows_of
from .sequence import OTHER, carries, labels_of_loss

#: Sequences of fewer steps tell nothing; of longer ones so many are changed, one by one.
STEPS, PLACES = 3, 8
#: Of so many kinds of tokens at most, a fit to so many rows tells whether their places count.
MOST_TOKENS, ROWS = 100, 400
#: Outputs that differ by less, of their size, are equal up to rounding.
EQUAL = 1e-5


def _sequence(m: Material) -> tuple[int, np.ndarray] | None:
    """The one input that is a sequence: tokens (N, T), or features (N, T, C)."""
    if len(m.arrays) != 1:
        return None
    i, _, a = m.arrays[0]
    tokens = a.ndim == 2 and a.dtype.kind in "iu"
    if not (tokens or (a.ndim == 3 and a.dtype.kind == "f")) or a.shape[1] < STEPS:
        return None
    return (i, a) if a.shape[0] > 1 else None


def _steady(m: Material) -> np.ndarray | None:
    """The output in evaluation, if it is finite and the same once more."""
    y = m.evaluated
    again = None if y is None else m.run(*m.inputs, training=False)
    if y is None or again is None or not np.isfinite(y).all() or not np.array_equal(y, again):
        return None
    return y


def _with_step(m: Material, i: int, a: np.ndarray, place: int) -> np.ndarray | None:
    """The output where one step of every sequence is another one."""
    changed = np.array(a)
    if a.dtype.kind in "iu":
        others = np.unique(a)
        if others.size < 2:
            return None
        at = np.searchsorted(others, a[:, place])
        changed[:, place] = others[(at + 1 + others.size // 3) % others.size]
    else:
        changed[:, place] += 1 + np.abs(a).max()
    return m.run(*m.with_input(i, changed), training=False)


def one_step_counts(m: Material) -> Iterator[Finding]:
    """A result for a sequence that depends on one of its steps alone."""
    found, y = _sequence(m), _steady(m)
    if found is None or y is None or y.shape[:1] != (m.rows,):
        return
    i, a = found
    length = a.shape[1]
    scale = float(np.max(np.abs(y))) or 1.0
    places = sorted({0, 1, length - 1, *np.linspace(0, length - 1, PLACES).astype(int).tolist()})
    by_time = y.ndim > 1 and y.shape[1] == length
    counts: dict[int, np.ndarray] = {}
    for place in places:
        other = _with_step(m, i, a, place)
        if other is None or other.shape != y.shape:
            return
        counts[place] = np.abs(other - y) > EQUAL * scale
    if not _first_is_the_batch(m, i, a, y):
        return
    if by_time:
        yield from _no_context(m, counts)
        return
    seen = [place for place in places if counts[place].any()]
    if len(seen) != 1 or seen[0] not in (0, length - 1):
        return
    first = seen[0] == 0
    if not first and not any(map(carries, m.model.modules())):
        return
    yield Finding(
        rule="one step counts",
        severity=ERROR,
        text=f"of the {length} steps of input {i} the {'first' if first else 'last'} alone counts",
        evidence=f"other numbers at the steps {', '.join(str(p) for p in places if p not in seen)} "
        "change no output",
        next="take the last step of a recurrent layer's output: out[:, -1]"
        if first else "hand the state from step to step: h = cell(x[:, t], h)",
        explains=(*FIT, "ignores its input"),
    )  # fmt: skip


def backward_half(m: Material) -> Iterator[Finding]:
    """The last step of a layer that runs both ways: the way back has seen one step there."""
    for node in m.record.nodes:
        g = array_of(node.upstream)
        if g is None or g.ndim != 3 or not _runs_both_ways(m, node) or g.shape[0] < 2:
            continue
        half = np.abs(g[:, :, g.shape[2] // 2 :]).sum((1, 2))
        if half[-1] > 0 and not half[:-1].any():
            yield Finding(
                rule="one step counts",
                severity=WARNING,
                text=f"of the way back only its first step counts, out[:, -1]: it has seen one of "
                f"{g.shape[0]} steps there",
                evidence="the loss has no gradient at any other step of the second half of the "
                "layer's output; it has read the whole sequence at its first step",
                line=m.record.place(node),
                next="take the last states: torch.cat([h[-2], h[-1]], 1), or the mean over time",
            )
            return


def _runs_both_ways(m: Material, node: NodeRecord) -> bool:
    """Whether a node joins a layer's two ways over time, (T, N, 2H), and is its output."""
    if not issubclass(node.op_class, Concat) or node.attributes.get("axis") != "2":
        return False
    joined = m.parents(node)
    if len(joined) != 2 or not issubclass(joined[1].op_class, Flip):
        return False
    return all(
        issubclass(m.moved(x).op_class, Recurrence) for x in (joined[0], m.parents(joined[1])[0])
    )


def _first_is_the_batch(m: Material, i: int, a: np.ndarray, y: np.ndarray) -> bool:
    """Whether another first row changes the first output and no other."""
    changed = np.array(a)
    changed[0] = changed[0, ::-1] if a.dtype.kind in "iu" else changed[0] + 1 + np.abs(a).max()
    other = m.run(*m.with_input(i, changed), training=False)
    if other is None or other.shape != y.shape:
        return False
    return not (np.abs(other - y)[1:] > EQUAL * (float(np.max(np.abs(y))) or 1.0)).any()


def _no_context(m: Material, counts: dict[int, np.ndarray]) -> Iterator[Finding]:
    """A recurrent layer, or attention, through which nothing comes from one step to another."""
    alone = all(
        not np.delete(off, place, axis=1).any() and off[:, place].any()
        for place, off in counts.items()
    )
    if not alone or not (any(map(carries, m.model.modules())) or _attends(m)):
        return
    yield Finding(
        rule="context is not used",
        severity=ERROR,
        text="the output at each step depends on that step alone",
        evidence=f"changing step {', '.join(map(str, counts))} changed no output at another step, "
        "although the model has layers that carry a state, or attention",
        next="hand the state from step to step, or give the layer whole sequences",
        explains=FIT,
    )


def _attends(m: Material) -> bool:
    """Whether weights from a softmax make sums of what was computed from the input."""
    for node in m.record.nodes:
        if not issubclass(node.op_class, Softmax) or len(node.shape) < 3:
            continue
        weights = node
        for e in m.record.outgoing[node.id]:
            if m.record.nodes[e.target].op_class is Dropout:
                weights = m.record.nodes[e.target]
        uses = [m.record.nodes[e.target] for e in m.record.outgoing[weights.id]]
        if any(issubclass(u.op_class, Matmul) for u in uses):
            return True
    return False


def order_is_not_seen(m: Material) -> Iterator[Finding]:
    """Attention to tokens that does the same in any order, where order is asked for.

    It is if something that looks like an encoding of places is added, and tells none from another;
    or if one token has different targets at two places of one sequence.
    """
    if len(m.arrays) != 1 or not _attends(m):
        return
    i, _, a = m.arrays[0]
    if a.ndim != 2 or a.dtype.kind not in "iu" or a.shape[1] <= STEPS or m.rows < 2:
        return
    random = np.random.default_rng(0)
    order = random.permutation(a.shape[1])
    with m.kept():
        for _, p in m.parameters:  # an encoding may start at 0 everywhere
            noise = 0.02 * random.normal(size=p.shape)
            p.assign(p.array + noise.astype(p.array.dtype))
        y, again = m.run(*m.inputs, training=False), m.run(*m.inputs, training=False)
        other = m.run(*m.with_input(i, a[:, order]), training=False)
    if y is None or again is None or other is None or other.shape != y.shape:
        return
    if not np.isfinite(y).all() or not np.array_equal(y, again) or y.shape[:1] != (m.rows,):
        return
    follows = y.ndim > 2 and y.shape[1] == a.shape[1]
    scale = float(np.max(np.abs(y))) or 1.0
    off = float(np.max(np.abs(other - (y[:, order] if follows else y))))
    if off > EQUAL * scale or float(np.max(np.std(y, axis=0))) <= OTHER * scale:
        return
    asked = _asked_for(m, a) if follows else ""
    asked = asked or _same_for_all(m, a.shape[1]) or _told_by_places(m, a)
    if not asked:
        return  # a bag of words may be what is wanted
    yield Finding(
        rule="order is not seen",
        severity=WARNING,
        text="the model does the same with its tokens in any order",
        evidence="with the tokens of every sample in another order the output "
        + ("takes that order, too" if follows else "is the same")
        + f"; {asked}",
        next="add an encoding of the place to each token, one that differs from place to place",
        explains=("cannot overfit",),
    )


def _asked_for(m: Material, a: np.ndarray) -> str:
    """A token with two targets in one sequence, if often."""
    t = labels_of_loss(m)
    if t is None or t.shape != a.shape:
        return ""
    pairs = against = 0
    for row, wanted in zip(a[:64], t[:64], strict=True):
        equal = np.triu(row[:, None] == row[None, :], 1) & (wanted >= 0)[:, None]
        equal &= (wanted >= 0)[None, :]
        pairs += int(equal.sum())
        against += int((equal & (wanted[:, None] != wanted[None, :])).sum())
    if pairs < 10 or against < 0.1 * pairs:
        return ""
    return f"of {pairs} pairs of one token in one sequence {against} have different targets"


def _told_by_places(m: Material, a: np.ndarray) -> str:
    """Data whose targets follow from which token stands where, and not from which there are."""
    found = rows_of(m.data) if m.data is not None else None
    tokens = found[0] if found is not None else a
    t = numbers(found[1]) if found is not None else None
    if t is None or tokens.shape[1] != a.shape[1] or len(tokens) < ENOUGH_ROWS:
        return ""
    if tokens.dtype.kind not in "iu":
        return ""
    kinds = np.unique(tokens)
    if len(kinds) > MOST_TOKENS:
        return ""
    marks = (tokens[:ROWS, :, None] == kinds).astype(np.float64)
    bag = design(marks.sum(1))
    if bag is None:
        return ""
    t = t[:ROWS]
    rest = t - bag @ np.linalg.lstsq(bag, t, rcond=None)[0]
    for place in np.unique(np.linspace(0, a.shape[1] - 1, PLACES).astype(int)).tolist():
        here = design(marks[:, place])
        sure = 0.0 if here is None else certainty(here, rest, leverage(here))
        if sure > CERTAIN:
            return (
                f"in {len(marks)} rows of the data the token at place {place} tells of the target "
                f"what the tokens in any order do not ({sure:.0f} deviations from chance)"
            )
    return ""


def _same_for_all(m: Material, length: int) -> str:
    """What is added to all tokens, and is no bias: an encoding that tells no place."""
    for node in m.record.nodes:
        if not issubclass(node.op_class, Add) or len(node.shape) != 3 or node.shape[1] != length:
            continue
        for p in m.parents(node):
            a = array_of(p.value)
            if p.id in m.of_inputs or a is None or a.ndim < 2 or a.shape[-1] != node.shape[-1]:
                continue
            if a.shape[-1] > 1 and a.dtype.kind == "f":
                return f"what is added to them, of the shape {a.shape}, is the same at each place"
    return ""
