"""The rules about sequences: what a prediction may see, what it is compared with, and padding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .....nn.module import Module
from ..finding import ERROR, FIT, WARNING, Finding
from ..material import Material

#: Targets that agree with shifted inputs at so many places are those inputs, shifted.
AGREE, DISAGREE = 0.95, 0.7
#: How far targets may be shifted; the fewest places that tell.
SHIFTS, ENOUGH_PLACES = (1, 0, -1, 2), 12
#: Outputs that differ by more, of their size, are not equal up to rounding.
OTHER = 1e-4
#: Padding: so many rows end in it, so often; and it changes so many of the results.
SHARE_PADDED, LONG_ENOUGH, SHARE_CHANGED = 0.25, 2, 0.6


@dataclass(frozen=True)
class Shifted:
    """An input that the targets follow at a distance."""

    position: int
    by: int


def labels_of_loss(m: Material) -> np.ndarray | None:
    """The class that the loss wants at each place, (N, T), read off its gradient; -1: none.

    A cross-entropy's gradient is negative at the class that is right, and positive elsewhere. So
    this is what is compared, whatever the loss function shifts, cuts or flattens.
    """
    g, shape = m.slope, _sequence_shape(m)
    if g is None or shape is None:
        return None
    n, length = shape
    if g.ndim == 2 and g.shape[0] == n * length:
        g = g.reshape(n, length, -1)
    elif g.ndim == 3 and g.shape[:2] == (n, length):
        if g.shape[2] == length and abs(g.sum(1)).max() < abs(g.sum(2)).max() * 1e-3:
            g = np.moveaxis(g, 1, 2)
    elif g.ndim == 3 and g.shape[0] == n and g.shape[2] == length:
        g = np.moveaxis(g, 1, 2)
    else:
        return None
    if g.shape[2] < 2:
        return None
    low, total = g.min(2), np.abs(g).sum(2)
    some = total > 1e-6 * total.max(initial=0.0)
    # Half of a softmax's gradient is at the label.
    if not some.any() or not np.allclose(-low[some], total[some] / 2, rtol=0.05):
        return None
    return np.where(some, g.argmin(2), -1)


def _sequence_shape(m: Material) -> tuple[int, int] | None:
    """(N, T) of the tokens or numbers that the output follows."""
    y = m.y
    if y is None:
        return None
    for _, _, a in reversed(m.arrays):
        if a.ndim == 2 and a.dtype.kind in "iu":
            n, t = a.shape
            if t > 1 and (y.shape[:2] == (n, t) or (y.ndim == 2 and y.shape[0] == n * t)
                          or (y.ndim == 3 and y.shape[0] == n and y.shape[2] == t)):  # fmt: skip
                return n, t
    return None


def shifted(m: Material) -> Shifted | None:
    """Which input the targets follow, and how far on they are."""
    wanted = labels_of_loss(m)
    if wanted is not None:
        for i, _, a in reversed(m.arrays):
            if a.shape != wanted.shape or a.dtype.kind not in "iu":
                continue
            scores = {k: _agreement(a, wanted, k) for k in SHIFTS}
            best = max(scores, key=lambda k: scores[k])
            if scores[best] >= AGREE and all(s < DISAGREE for k, s in scores.items() if k != best):
                return Shifted(i, best)
        return None
    t = m.t
    if t is None or t.dtype.kind != "f" or t.ndim < 2 or m.fits_targets != -1:
        return None
    for i, _, a in m.arrays:
        if a.shape == t.shape and a.shape[1] > 4 and np.array_equal(a[:, 1:], t[:, :-1]):
            return None if np.array_equal(a, t) else Shifted(i, 1)
    return None


def _agreement(x: np.ndarray, wanted: np.ndarray, by: int) -> float:
    """The share of places whose label is the token `by` places on."""
    if by > 0:
        x, wanted = x[:, by:], wanted[:, :-by]
    elif by < 0:
        x, wanted = x[:, :by], wanted[:, -by:]
    places = wanted >= 0
    return float((x == wanted)[places].mean()) if places.sum() >= ENOUGH_PLACES else 0.0


def _sees(m: Material, position: int, place: int, ahead: int) -> float | None:
    """How much the output at a place changes, of its size, with the element so far ahead."""
    y0, a = m.evaluated, m.inputs[position].numpy()
    at = place + ahead
    if y0 is None or not 0 <= at < a.shape[1] or a.shape[0] < 2:
        return None
    changed = np.array(a)
    if a.dtype.kind in "iu":
        column = changed[:, at]
        others = np.unique(a)
        moved = np.roll(column, 1)
        changed[:, at] = np.where(moved == column, others[others.size // 2], moved)
    else:
        changed[:, at] += 1 + np.abs(a).max()
    if np.array_equal(changed, a):
        return None
    y1 = m.run(*m.with_input(position, changed), training=False)
    if y1 is None or y1.shape != y0.shape:
        return None
    n, t = a.shape[:2]
    before, after = (_at(y, n, t, place) for y in (y0, y1))
    if before is None or after is None:
        return None
    return float(np.max(np.abs(after - before))) / (float(np.max(np.abs(y0))) or 1.0)


def _at(y: np.ndarray, n: int, t: int, place: int) -> np.ndarray | None:
    if y.shape[:2] == (n, t):
        return y[:, place]
    if y.ndim == 2 and y.shape[0] == n * t:
        return y.reshape(n, t, -1)[:, place]
    return y[:, :, place] if y.ndim == 3 and y.shape[0] == n and y.shape[2] == t else None


def what_is_seen(m: Material) -> Iterator[Finding]:
    """A prediction that sees what it predicts; a target that is what is seen."""
    found = shifted(m)
    if found is None:
        return
    again = m.run(*m.inputs, training=False)
    if again is None or m.evaluated is None or not np.array_equal(m.evaluated, again):
        return  # it draws numbers
    length = m.inputs[found.position].shape[1]
    middle = length // 2
    name = f"input {found.position}"
    if found.by == 1:
        seen = _sees(m, found.position, middle, 1)
        if seen is not None and seen > OTHER:
            yield Finding(
                rule="sees the future",
                severity=ERROR,
                text=f"the prediction at place {middle} depends on the element at {middle + 1}, "
                "which is its target",
                evidence=f"the targets are {name}, one place on; changing that element alone "
                f"changed the prediction by {seen:.0%} of the largest output",
                next="use a causal mask: place t may look at places up to t",
                explains=(*FIT, "mixing across the batch"),
            )
    elif found.by == 0:
        own, later = (_sees(m, found.position, middle, k) for k in (0, 1))
        if own is not None and own > OTHER and (later is None or later <= OTHER):
            yield Finding(
                rule="targets not shifted",
                severity=ERROR,
                text=f"the target at each place is the element of {name} at that very place",
                evidence="the prediction sees it, and nothing after it: it is to copy its input",
                next="predict the next one: inputs x[:, :-1], targets x[:, 1:]",
                explains=FIT,
            )
    elif found.by == -1:
        seen = _sees(m, found.position, middle, -1)
        if seen is not None and seen > OTHER:
            yield Finding(
                rule="targets not shifted",
                severity=ERROR,
                text=f"the targets are {name}, one place back: what the model has seen already",
                evidence=f"the prediction at place {middle} depends on the element at "
                f"{middle - 1}, which is its target",
                next="shift the other way: inputs x[:, :-1], targets x[:, 1:]",
                explains=FIT,
            )
    else:
        yield Finding(
            rule="targets shifted twice",
            severity=WARNING,
            text=f"the targets are {name}, two places on",
            evidence="as if the data and the loss function both shifted them",
            next="shift in one place only",
            explains=FIT,
        )


# -- padding -------------------------------------------------------------------------------------


def padding_of(x: np.ndarray) -> tuple[int, np.ndarray] | None:
    """The number that rows end in, and where; None unless it is padding beyond doubt."""
    if x.ndim != 2 or x.shape[0] < 4 or x.shape[1] < 3 or x.dtype.kind not in "iu":
        return None
    values, counts = np.unique(x[:, -1], return_counts=True)
    pad = int(values[int(np.argmax(counts))])
    tail = np.cumprod((x == pad)[:, ::-1], axis=1)[:, ::-1].astype(bool)
    lengths = tail.sum(1)
    long = float((lengths >= LONG_ENOUGH).mean())
    inside = (x == pad) & ~tail
    if long < SHARE_PADDED or inside.any() or len(np.unique(lengths)) < 2 or tail.all():
        return None
    return pad, tail


def carries(module: Module) -> bool:
    """Whether a layer carries a state from step to step."""
    return type(module).__name__.startswith(("RNN", "LSTM", "GRU"))


def padding_counts(m: Material) -> Iterator[Finding]:
    """A result that depends on how much padding stands behind a sequence."""
    for i, _, a in m.arrays:
        found = padding_of(a)
        if found is None or m.evaluated is None or m.evaluated.shape[:1] != (m.rows,):
            continue
        pad, tail = found
        if _axis_of_time(m.evaluated, a) or not np.isfinite(m.evaluated).all():
            continue
        longer = _longer(m, a.shape, tail, {i: pad})
        y1 = None if longer is None else m.run(*longer, training=False)
        told, y0 = "three more", m.evaluated
        if y1 is None or y1.shape != y0.shape:  # as where places are counted
            rows = np.nonzero(tail.sum(1) > LONG_ENOUGH)[0]
            shorter = _shorter(m, a.shape, rows)
            y1 = None if len(rows) < 2 else m.run(*shorter, training=False)
            told, y0 = "two less", y0[rows]
        if y1 is None or y1.shape != y0.shape:
            continue
        again = m.run(*m.inputs, training=False)
        if again is None or not np.array_equal(again, m.evaluated):
            return
        scale = float(np.max(np.abs(m.evaluated))) or 1.0
        off = np.abs(y1 - y0).reshape(len(y0), -1).max(1) / scale
        # what a recurrent layer reads at the end fades with the padding before it; lengths, or a
        # mask, leave nothing
        bound = OTHER / 10 if any(map(carries, m.model.modules())) else 10 * OTHER
        if float((off > bound).mean()) >= SHARE_CHANGED:
            yield Finding(
                rule="padding counts",
                severity=WARNING,
                text=f"the output changes with the number of {pad}s behind a sequence",
                evidence=f"input {i} ends in {pad}s, {float(tail.mean()):.0%} of it; {told} "
                f"changed {int((off > bound).sum())} of {len(off)} outputs, by up to "
                f"{float(off.max()):.0%}",
                next="give the lengths (pack_padded_sequence), mask the padding in attention, or "
                "take the mean over what is none",
            )
            return


def _axis_of_time(y: np.ndarray, x: np.ndarray) -> bool:
    return y.ndim > 2 or (y.ndim == 2 and y.shape[1] == x.shape[1])


def _longer(m: Material, shape: tuple, tail: np.ndarray, pads: dict[int, int]) -> tuple | None:
    """The inputs with three more places of padding; None if it is not known what stands there."""
    made = list(m.inputs)
    for i, _, a in m.arrays:
        if a.shape[:2] != shape or a.ndim != 2:
            continue
        at = np.unique(a[tail])
        if i not in pads and at.size != 1:
            return None
        value = pads.get(i, at[0] if at.size else 0)
        more = np.full((shape[0], 3), value, a.dtype)
        made[i] = m.with_input(i, np.concatenate([a, more], axis=1))[i]
    return tuple(made)


def _shorter(m: Material, shape: tuple, rows: np.ndarray) -> tuple:
    """Some rows of the inputs without their last places."""
    made = list(m.inputs)
    for i, _, a in m.arrays:
        if a.shape[:1] == shape[:1]:
            less = a[rows]
            made[i] = m.with_input(i, less[:, :-LONG_ENOUGH] if a.shape == shape else less)[i]
    return tuple(made)


def padding_learnt(m: Material) -> Iterator[Finding]:
    """A loss that counts the places where the target is padding."""
    t, wanted = m.labels, labels_of_loss(m)
    if t is not None and wanted is not None and t.size == wanted.size:
        t = t.reshape(wanted.shape)  # a loss may get them in one row
    found = None if t is None else padding_of(t)
    if found is None or wanted is None or t is None or wanted.shape != t.shape:
        return
    pad, tail = found
    beyond = tail.copy()
    beyond[:, 1:] &= tail[:, :-1]  # the first one may stand for the end
    counted = beyond & (wanted == pad)
    if beyond.any() and float(counted[beyond].mean()) > AGREE:
        op = m.loss_op
        ignored = op.attributes.get("ignore_index", "-100") if op is not None else "-100"
        share = float(counted.mean())
        yield Finding(
            rule="padding is learnt",
            severity=WARNING,
            text=f"{share:.0%} of the loss's places are padding: the model learns to say {pad}",
            evidence=f"targets end in {pad}s, and the loss has a gradient there; its ignore_index "
            f"is {ignored}",
            line=m.record.place(op) if op is not None else "",
            next=f"give the loss ignore_index={pad}, or mask it",
        )
