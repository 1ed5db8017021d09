"""What a report takes down of each layer: histograms of values and gradients, and the next update.

Everything is read off one recorded step on a small fixed batch. Nothing of the run is changed: the
update is worked out beside the optimizer, and the model, its modes and all sources of random
numbers are put back.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...dtypes import FLOATING, float64
from ...optim import Optimizer
from ...optim.twin import twin_of
from ...see import Record, record
from ...see.records.value import array_of, rounded
from ...tensor import Tensor
from ..training import Training

#: Bins of a histogram, layers that are kept (the first and last of more), elements that are looked
#: at in one array (evenly spaced ones of more).
BINS, LAYERS, ELEMENTS = 24, 24, 1 << 18


def look(training: Training, batch: tuple[Any, ...]) -> dict[str, Any]:
    """One recorded step in training mode: `loss`, `layers` (parameters) and `outputs` (modules).

    A layer has `name`, `shape`, `value` and `gradient` (histograms), `norm`, `gradient_norm` and
    `update` (the norm of what one step of the optimizer would add, divided by `norm`); what was not
    computed is None. An output has `name`, `value` and `gradient`.
    """
    model = training.model.train()
    with np.errstate(all="ignore"):
        loss = training.outcome(batch).loss
        seen = record(loss)
        nodes = {id(p): seen.node_of(p) for p in model.parameters()}
        gradients = {i: array_of(n.upstream) for i, n in nodes.items() if n is not None}
        arrays = {i: g for i, g in gradients.items() if g is not None}
        updates = _updates(training, arrays)
        layers, left_out = _some(list(model.named_parameters()))
        return {
            "loss": _number(loss.array),
            "left_out": left_out,
            "layers": [_layer(n, p, arrays.get(id(p)), updates.get(id(p))) for n, p in layers],
            "outputs": _outputs(seen),
        }


def _some(items: list[Any]) -> tuple[list[Any], int]:
    """The first and last of many, and how many are left out between them."""
    if len(items) <= LAYERS:
        return items, 0
    return [*items[: LAYERS // 2], *items[-LAYERS // 2 :]], len(items) - LAYERS


def _layer(
    name: str, p: Tensor, gradient: np.ndarray | None, update: np.ndarray | None
) -> dict[str, Any]:
    norm = _norm(p.array)
    return {
        "name": name,
        "shape": list(p.shape),
        "value": histogram(p.array),
        "gradient": None if gradient is None else histogram(gradient, logarithmic=True),
        "norm": norm,
        "gradient_norm": None if gradient is None else _norm(gradient),
        "update": _divided(None if update is None else _norm(update), norm),
    }


def _outputs(seen: Record) -> list[dict[str, Any]]:
    """What each innermost module gave, with the gradient that arrived there."""
    outer = {s.parent for s in seen.scopes}
    last = {n.scope: n for n in seen.nodes if n.kind == "op" and n.scope is not None}
    found = []
    for scope in seen.scopes:
        node = last.get(scope.id)
        value = None if node is None else array_of(node.value)
        if scope.id in outer or node is None or node.dtype not in FLOATING or value is None:
            continue
        gradient = array_of(node.upstream)
        path = seen.scope_path(scope.id)
        found.append(
            {
                "name": f"{path.partition('.')[2] or path} ({scope.type})",
                "value": histogram(value),
                "gradient": None if gradient is None else histogram(gradient, logarithmic=True),
            }
        )
    return _some(found)[0]


def histogram(array: np.ndarray, logarithmic: bool = False) -> dict[str, Any]:
    """How often which values occur: `low`, `high`, `counts`; beside them `zeros`, `bad`, `size`.

    With `logarithmic` the values are log₁₀|x|, without the zeros. `bad` counts NaN and infinity.
    Of a large array evenly spaced elements are counted.

    >>> histogram(np.array([0.0, 0.1, 10.0, np.nan]), logarithmic=True)["bad"]
    1
    """
    flat = np.asarray(array).reshape(-1)
    flat = flat[:: max(1, -(-flat.size // ELEMENTS))].astype(np.float64)
    finite = flat[np.isfinite(flat)]
    zeros = int(np.count_nonzero(finite == 0))
    shown = np.log10(np.abs(finite[finite != 0])) if logarithmic else finite
    low, high = (float(shown.min()), float(shown.max())) if shown.size else (0.0, 0.0)
    if high - low > 1e-9 * max(abs(low), abs(high)) and math.isfinite(high - low):
        places = np.minimum(((shown - low) * (BINS / (high - low))).astype(int), BINS - 1)
        counts = np.bincount(places, minlength=BINS).tolist()
    else:
        counts = [int(shown.size)]
    return {
        "low": rounded(low),
        "high": rounded(high),
        "counts": counts,
        "zeros": zeros,
        "bad": int(flat.size - finite.size),
        "size": int(flat.size),
    }


def _updates(training: Training, gradients: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """What one step of the optimizer would add to each parameter; the optimizer stays as it is."""
    clip_norm, clip_value = training.clip_norm, training.clip_value
    optimizer = training.optimizer
    if not isinstance(optimizer, Optimizer) or type(optimizer).step is not Optimizer.step:
        return {}
    wide = {i: g.astype(np.float64) for i, g in gradients.items()}
    if clip_norm is not None:
        total = math.sqrt(sum(float(np.vdot(g, g)) for g in wide.values()))
        if total > clip_norm:
            wide = {i: g * (clip_norm / total) for i, g in wide.items()}
    if clip_value is not None:
        wide = {i: np.clip(g, -clip_value, clip_value) for i, g in wide.items()}
    params = [p for g in optimizer.param_groups for p in g["params"] if id(p) in wide]
    twin, copies = twin_of(optimizer, {p: wide[id(p)] for p in params}, float64)
    # After the last step many schedules give 0: what is told is of the rate that was in use.
    groups = [g for g in optimizer.param_groups if any(id(p) in wide for p in g["params"])]
    for group, own in zip(twin.param_groups, groups, strict=True):
        place = next(i for i, g in enumerate(optimizer.param_groups) if g is own)
        if place < len(training.used.get("", ())):
            group["lr"] = training.used[""][place]
    twin.step()
    return {id(p): copies[p].array - p.array for p in params}


def _norm(array: np.ndarray) -> float | None:
    return _number(np.linalg.norm(np.asarray(array, np.float64)))


def _number(value: Any) -> float | None:
    """A finite number, rounded for reading; None for another."""
    number = float(value)
    return rounded(number) if math.isfinite(number) else None


def _divided(a: float | None, b: float | None) -> float | None:
    return None if a is None or not b else _number(a / b)
