"""The quantities of a forward pass that are likely factors of a gradient: x, y, 1 − y, masks, …"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op

_FORMS: tuple[tuple[str, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("{}", lambda v: v),
    ("(1 − {})", lambda v: 1 - v),
    ("(1 + {})", lambda v: 1 + v),
    ("{}²", lambda v: v * v),
    ("{}(1 − {})", lambda v: v * (1 - v)),
    ("(1 − {}²)", lambda v: 1 - v * v),
    ("(1 + {}²)", lambda v: 1 + v * v),
    ("({}² − 1)", lambda v: v * v - 1),
    ("{}³", lambda v: v * v * v),
    ("√{}", lambda v: np.sqrt(np.where(v < 0, np.nan, v))),
    ("√(1 − {}²)", lambda v: np.sqrt(np.where(v * v > 1, np.nan, 1 - v * v))),
    ("√(1 + {}²)", lambda v: np.sqrt(1 + v * v)),
    ("√({}² − 1)", lambda v: np.sqrt(np.where(v * v < 1, np.nan, v * v - 1))),
    ("|{}|", np.abs),
    ("sign {}", np.sign),
    ("exp {}", np.exp),
    ("exp(−{}²)", lambda v: np.exp(-v * v)),
    ("log {}", lambda v: np.log(np.where(v <= 0, np.nan, v))),
    ("cos {}", np.cos),
    ("sin {}", np.sin),
    ("cosh {}", np.cosh),
    ("sinh {}", np.sinh),
    ("tanh {}", np.tanh),
)
_MASKS: tuple[tuple[str, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("{} > 0", lambda v: v > 0),
    ("{} < 0", lambda v: v < 0),
)
#: What the derivative of an element-wise function is likely to be taken for, of its value or of
#: what it is a function of.
LOCAL_FORMS = (*_FORMS[:10], *_FORMS[13:17], *_FORMS[18:23], *_MASKS)


@dataclass
class Quantity:
    """A factor that a gradient may have or lack.

    `side` says where it is multiplied in: to the gradient that leaves ("input"), or to the one that
    arrives ("output"), which differs where the op sums or broadcasts. `rank` is added to that of a
    cause: hundredths for a later form, thousandths for a later source, 0.3 for a step of the body.
    """

    name: str
    rank: float
    side: str
    mask: bool
    of: Callable[[Any], np.ndarray]
    key: tuple[Any, ...]  # what tells it from others, also from those of the same name


def quantities(
    op: Op, trials: Sequence[Any], names: Sequence[str], position: int, body: bool = False
) -> Iterator[Quantity]:
    """All quantities that fit the shapes of the output or of the input at `position`; with `body`
    also the steps of the forward. What equals an earlier one, or is one number, is left out.

    Each trial's values are computed once and kept with it.
    """
    seen: set[bytes] = set()
    for q in _all(op, trials, names, position, body):
        with np.errstate(all="ignore"):
            values = np.concatenate([np.ravel(np.asarray(q.of(t), np.float64)) for t in trials])
            digits = values.astype(np.float32).tobytes() + q.side.encode() + bytes([q.mask])
        if values.size == 0 or not np.isfinite(values).any():
            continue
        if not q.mask and np.ptp(values[np.isfinite(values)]) == 0:
            continue
        if digits not in seen:
            seen.add(digits)
            yield q


def _all(
    op: Op, trials: Sequence[Any], names: Sequence[str], position: int, body: bool
) -> Iterator[Quantity]:
    first = trials[0]
    sources: list[tuple[str, Any]] = []  # names, and functions of a trial
    for i, x in enumerate(first.inputs):
        if isinstance(x, np.ndarray) and x.dtype.kind in "fb":
            sources.append((names[i], lambda t, i=i: t.inputs[i]))
    same = any(
        isinstance(x, np.ndarray) and x.shape == first.y.shape and np.array_equal(x, first.y)
        for x in first.inputs
    )
    if not same and first.y.dtype.kind == "f":
        sources.append(("y", lambda t: t.y))
    extra: list[tuple[str, Any]] = []
    if body:
        tape = first.memory.get("tape")
        for j, (text, _) in enumerate(tape.quantities() if tape is not None else ()):
            if j < 30:
                extra.append((text, lambda t, j=j: _step(t, j)))
    for plain, found in ((False, sources), (True, extra)):
        for order, (name, get) in enumerate(found):
            value = np.asarray(get(first))
            if value.dtype.kind == "b":
                yield from _sided(name, 0.0, True, get, value, first, position, (plain, order))
                continue
            for n, (form, function) in enumerate(_FORMS[:4] if plain else _FORMS):
                tag = (form, plain, order)
                rank = 0.02 * n + 0.005 * order + (0.3 if plain else 0.0)
                yield from _sided(
                    form.format(name, name),
                    rank,
                    False,
                    _kept(tag, lambda t, g=get, f=function: f(np.asarray(g(t)))),
                    value,
                    first,
                    position,
                    tag,
                )
            for form, function in () if plain else _MASKS:
                yield from _sided(
                    form.format(name), 0.1, True,
                    lambda t, g=get, f=function: f(np.asarray(g(t))).astype(float), value, first,
                    position, (form, order),
                )  # fmt: skip


def _step(t: Any, j: int) -> np.ndarray:
    tape = t.memory.get("tape")
    if tape is None:
        return np.array(np.nan)
    values = t.once("steps", lambda: [v for _, v in tape.quantities()])
    return values[j] if j < len(values) else np.array(np.nan)


def _kept(tag: Any, compute: Any) -> Callable[[Any], Any]:
    def get(t: Any) -> np.ndarray:
        with np.errstate(all="ignore"):
            return t.once(("quantity", tag), lambda: compute(t))

    return get


def _sided(
    name: str,
    rank: float,
    mask: bool,
    of: Any,
    value: np.ndarray,
    trial: Any,
    position: int,
    tag: tuple[Any, ...],
) -> Iterator[Quantity]:
    if _broadcasts(value.shape, trial.inputs[position].shape):
        yield Quantity(name, rank, "input", mask, of, (*tag, "input"))
    if _broadcasts(value.shape, trial.y.shape):
        yield Quantity(name, rank + 0.01, "output", mask, of, (*tag, "output"))


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False
