"""What is minimised of a batch: the loss, and what else a step says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import ArgumentError, DTypeError, ShapeError
from ..foreign import words
from ..nn import Module
from ..op import describe
from ..tensor import Tensor, as_tensor
from ..tree import flatten, unflatten
from .batch import Batch, Parts, Targets, given, split
from .weighing import weight_of, weighted

#: Keys of what a step returns that are no numbers for the history.
_RESERVED = ("loss", "prediction", "target", "weight")


@dataclass(frozen=True)
class Outcome:
    """What a step says of a batch.

    `weight` is what the batch counts among several: a number, a function that says it, or None
    where losses are summed.
    """

    loss: Tensor
    prediction: Any = None
    target: Any = None
    weight: Any = None
    numbers: dict[str, Tensor] = field(default_factory=dict)


def supervised(
    model: Module,
    loss_fn: Callable[..., Tensor] | None,
    batch: Batch,
    targets: Targets,
    has_weights: bool,
) -> dict[str, Any]:
    """The loss of the model's prediction for a batch; without a `loss_fn` the model's own."""
    if loss_fn is None:
        return _own_loss(model, batch, targets)
    weights = None
    if has_weights:
        batch, weights = _without_weights(batch)
    inputs, options, target = split(batch, targets)
    prediction = model(*inputs, **options)
    weight: Any
    try:
        if weights is not None:
            loss, weight = weighted(loss_fn, prediction, target, weights)
        else:
            loss, weight = (
                loss_fn(prediction, target),
                lambda: weight_of(loss_fn, (inputs, options), target),
            )
    except (ShapeError, DTypeError) as error:
        if inputs and inputs[0] is target:
            error.add_note(
                "fit: the batch has one entry, which is its own target, as for an autoencoder; "
                "give other targets, too: DataLoader(TensorDataset(inputs, targets))"
            )
        raise
    return {"loss": loss, "prediction": prediction, "weight": weight}


def _without_weights(batch: Batch) -> tuple[Batch, Tensor]:
    entries = given(batch)
    if isinstance(entries, dict):
        if "weights" not in entries:
            raise ArgumentError(
                "fit: with weighted=True a dict as a batch must have the examples' 'weights', got "
                f"{', '.join(map(str, entries))}"
            )
        return ({k: v for k, v in entries.items() if k != "weights"},), entries["weights"]
    if len(batch) < 2:
        raise ArgumentError(
            "fit: with weighted=True the last entry of a batch must be the examples' weights, got "
            "a batch of one entry"
        )
    return batch[:-1], batch[-1]


def _own_loss(model: Module, batch: Batch, targets: Targets) -> dict[str, Any]:
    """What a model returns that computes its loss itself: that alone, first, or as `loss`."""
    entries = given(batch)
    parts = Parts((), entries, None) if isinstance(entries, dict) else Parts(batch, {}, None)
    result = model(*parts.inputs, **parts.options)
    prediction: Any = None
    if isinstance(result, Tensor):
        loss: Any = result
    elif isinstance(result, tuple | list) and result:
        loss, prediction = result[0], result[1] if len(result) == 2 else tuple(result[1:])
    else:
        loss, prediction = (_entry(result, name) for name in ("loss", "logits"))
    if loss is None:
        raise ArgumentError(
            f"fit: without a loss_fn the model must return its loss, got {words(result)[0]}; give "
            "a loss_fn, or return the loss alone, first in a tuple, or as 'loss'"
        )
    return {
        "loss": loss,
        "prediction": prediction,
        "weight": lambda: weight_of(None, batch, target_of(batch, targets)),
    }


def target_of(batch: Batch, targets: Targets) -> Any:
    """The target of a batch; None where none can be told."""
    try:
        return split(batch, targets).target
    except ArgumentError:
        return None


def _entry(result: Any, name: str) -> Any:
    return result.get(name) if isinstance(result, Mapping) else getattr(result, name, None)


def as_outcome(result: Any) -> Outcome:
    """What a step returned: the loss, or a dict with it."""
    if not isinstance(result, Mapping):
        return Outcome(_as_loss(result))
    if "loss" not in result:
        raise ArgumentError(
            f"fit: what a step returns must have a 'loss', got {', '.join(map(str, result))}"
        )
    numbers = {n: _as_number(n, v) for n, v in result.items() if n not in _RESERVED}
    parts = {n: cut(result.get(n)) for n in ("prediction", "target")}
    return Outcome(_as_loss(result["loss"]), weight=result.get("weight"), numbers=numbers, **parts)


def merged(outcomes: Mapping[str, Outcome]) -> Outcome:
    """The outcomes of several optimizers' steps as one: the sum of their losses, and each."""
    every = list(outcomes.values())
    loss = every[0].loss
    numbers: dict[str, Tensor] = {}
    for other in every[1:]:
        loss = loss + other.loss
    for name, outcome in outcomes.items():
        numbers |= {name: outcome.loss.detach(), **outcome.numbers}
    last = every[-1]
    return Outcome(loss, last.prediction, last.target, last.weight, numbers)


def cut(tree: Any) -> Any:
    """The Tensors of a nested value without their graph."""
    leaves, structure = flatten(tree)
    return unflatten(structure, [x.detach() if isinstance(x, Tensor) else x for x in leaves])


def _as_loss(loss: Any) -> Tensor:
    if not isinstance(loss, Tensor) or loss.size != 1:
        what = describe(loss) if isinstance(loss, Tensor) else words(loss)[0]
        raise ArgumentError(
            f"fit: the loss must be a Tensor of one number, got {what}; return the mean over "
            "the batch from loss_fn"
        )
    return loss


def _as_number(name: str, value: Any) -> Tensor:
    number = as_tensor(value).detach()
    if number.size != 1:
        raise ArgumentError(
            f"fit: {name!r} in what a step returns must be one number, got {describe(number)}; "
            "a prediction for the metrics is called 'prediction'"
        )
    return number.reshape(())
