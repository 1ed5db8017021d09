"""What a model says everywhere, where its inputs are one or two numbers: a line, or a plane.

A network of two inputs parts the plane, one of one input is a curve: what is drawn in every
lecture, taken down after each epoch that is looked at. Places are evenly spaced over the range of
the examples and a little more.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from ...autograd import no_grad
from ...dtypes import FLOATING
from ...nn import BCELoss, BCEWithLogitsLoss, Module
from ...see.records.value import rounded
from ...tensor import Tensor, wrap

#: Places along each side of a plane, and along a line; examples that are drawn.
SIDE, ALONG, EXAMPLES = 48, 160, 400


def everywhere(
    model: Module, loss_fn: Any, inputs: list[Tensor], classes: int | None
) -> dict[str, Any] | None:
    """What a model says at places between and around its inputs (N, 1) or (N, 2); None for others.

    `classes` is None where it is to say numbers. A plane has `guess` and `sure` (255 is 1) for
    each place, or `values` between `low` and `high`, as bytes in rows from the lowest y on; a line
    has its values as numbers.
    """
    x = inputs[0]
    wide = x.ndim == 2 and x.shape[1] in (1, 2)
    if len(inputs) != 1 or not wide or x.dtype not in FLOATING or not x.shape[0]:
        return None
    spans = [_span(x.numpy()[:, i].astype(np.float64)) for i in range(x.shape[1])]
    axes = [np.linspace(*s, SIDE if len(spans) == 2 else ALONG) for s in spans]
    places = np.stack([a.reshape(-1) for a in np.meshgrid(*axes)], axis=1)
    model.eval()
    with no_grad(), np.errstate(all="ignore"):
        said = model(wrap(places.astype(x.dtype)))
    if not isinstance(said, Tensor) or said.size % len(places):
        return None
    scores = said.numpy().astype(np.float64).reshape(len(places), -1)
    found: dict[str, Any] = {"spans": [[rounded(v) for v in s] for s in spans]}
    if classes is None:
        if scores.shape[1] != 1:
            return None
        return {**found, **(_heights(scores[:, 0]) if len(spans) == 2 else _line(scores[:, 0]))}
    shares = _shares(scores, loss_fn)
    if len(spans) == 1 or shares.shape[1] < max(2, classes):
        return None
    guess = shares.argmax(axis=1)
    sure = np.nan_to_num(shares.max(axis=1))
    return {**found, "guess": _bytes(guess), "sure": _bytes(np.rint(255 * sure))}


def examples_on(inputs: list[np.ndarray], truth: np.ndarray) -> list[list[float]]:
    """The first examples as points: their inputs, then what is true of them."""
    rows = np.column_stack([inputs[0][:EXAMPLES], truth.reshape(len(truth), -1)[:EXAMPLES, 0]])
    rows = rows[np.isfinite(rows.astype(np.float64)).all(axis=1)]
    return [[rounded(v, 5) for v in row] for row in rows]


def _span(x: np.ndarray) -> tuple[float, float]:
    x = x[np.isfinite(x)]
    low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 1.0)
    room = 0.08 * (high - low) or 1.0
    return low - room, high + room


def _shares(scores: np.ndarray, loss_fn: Any) -> np.ndarray:
    """Scores as probabilities (places, classes); one score is that of the second of two."""
    if scores.shape[1] > 1:
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
    if isinstance(loss_fn, BCELoss):
        second = scores[:, 0]
    elif isinstance(loss_fn, BCEWithLogitsLoss):
        second = 0.5 * (1 + np.tanh(0.5 * scores[:, 0]))
    else:
        return scores
    return np.stack([1 - second, second], axis=1)


def _heights(values: np.ndarray) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    shares = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / ((high - low) or 1)
    return {"values": _bytes(np.rint(255 * shares)), "low": low, "high": high}


def _line(values: np.ndarray) -> dict[str, Any]:
    return {"line": [rounded(v, 5) if np.isfinite(v) else None for v in values]}


def _bytes(values: np.ndarray) -> str:
    return base64.b64encode(values.astype(np.uint8).tobytes()).decode()
