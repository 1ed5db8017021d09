"""What is kept between the batches of one step: their mean gradient, and what they count."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import DataError
from ..tensor import Tensor, wrap


class Accumulation:
    """The step in progress: how many of its batches are done, and with which weight.

    Their mean gradient stands where gradients stand, at the parameters.
    """

    def __init__(self) -> None:
        self.batches = 0
        #: By what the mean gradient so far was divided, as one number.
        self.weight = 0.0
        #: The sum of the losses with their weights.
        self.loss = 0.0
        #: Updates done, from which follows whose turn it is.
        self.updates = 0

    def add(self, loss: float, weight: float | None) -> None:
        """A batch is done; without a weight its loss is a sum."""
        self.batches += 1
        self.loss += loss if weight is None else loss * weight
        self.weight += weight or 0.0

    def finish(self) -> float:
        """The step is done; returns the mean loss of its batches."""
        mean = self.loss / self.weight if self.weight else self.loss
        self.batches, self.weight, self.loss = 0, 0.0, 0.0
        self.updates += 1
        return mean


class AccumulationPart:
    """An accumulation with the gradients of parameters, as a part of a checkpoint."""

    def __init__(self, accumulation: Accumulation, parameters: Iterable[Tensor]):
        self.accumulation = accumulation
        self.parameters = list(parameters)

    def state_dict(self) -> dict[str, Any]:
        """The numbers, and the gradients if there are some."""
        numbers = vars(self.accumulation)
        if not self.accumulation.batches:
            return {**numbers, "gradients": {}}
        held = {str(i): p._grad for i, p in enumerate(self.parameters) if p._grad is not None}
        return {**numbers, "gradients": {i: wrap(g.array.copy()) for i, g in held.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on in the middle of a step."""
        gradients = state["gradients"]
        strange = [i for i in gradients if int(i) >= len(self.parameters)]
        if strange:
            raise DataError(
                f"there are {len(self.parameters)} parameters, got gradient {strange[0]}"
            )
        for name in vars(self.accumulation):
            setattr(self.accumulation, name, state[name])
        for i, p in enumerate(self.parameters):
            p.grad = gradients.get(str(i))
