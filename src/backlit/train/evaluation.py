"""What a model says of data: the loss and the metrics, or its predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np

from ..array_api import concat, stack
from ..autograd import no_grad
from ..compiler import compile as compile_function
from ..errors import ArgumentError, ShapeError
from ..op import describe
from ..tensor import Tensor
from ..tree import flatten, unflatten
from .arguments import used_up
from .batch import Batch, Parts, Targets, as_batch, as_tensors, given, split
from .interrupt import Interruption
from .metrics import Mean
from .metrics.base import examples_in
from .objective import cut
from .training import Training


class Evaluation:
    """Applies the model of a training (its moving average, if there is one) and changes nothing.

    `evaluating` takes a batch, `applying` the model's arguments; both are compiled if the training
    is.
    """

    def __init__(self, training: Training):
        self.training = training
        self._evaluate = compile_function(self.evaluate)
        self._apply = compile_function(self.apply)

    @property
    def evaluating(self) -> Callable[..., Any]:
        """What evaluates."""
        return self._evaluate if self.training.compile else self.evaluate

    @property
    def applying(self) -> Callable[..., Any]:
        """What predicts."""
        return self._apply if self.training.compile else self.apply

    def evaluate(self, *batch: Any) -> tuple[Any, ...]:
        """Loss, prediction, target and numbers of a batch."""
        outcome = self.training.validation(batch)
        return outcome.loss, outcome.prediction, outcome.target, outcome.numbers

    def apply(self, *inputs: Any, **options: Any) -> Any:
        """The prediction."""
        return self.training.model(*inputs, **options)

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """A block in which the model is applied, not trained; what metrics have gathered stays."""
        training = self.training
        gathered = [m.state_dict() for m in training.metrics]
        modes = [(m, m.training) for m in training.model.modules()]
        try:
            with training.averaged(), no_grad():
                training.model.eval()
                yield
        finally:
            for module, mode in modes:
                module.training = mode
            for metric, state in zip(training.metrics, gathered, strict=True):
                metric.load_state_dict(state)

    def measure(
        self,
        loader: Iterable[Any],
        interruption: Interruption | None = None,
        limit: int | None = None,
    ) -> dict[str, float] | None:
        """The mean loss and the metrics over a loader; None if there was an interruption."""
        with self._looking():
            return self._measured(islice(loader, limit), interruption, used_up(loader))

    def _measured(
        self, batches: Iterable[Any], interruption: Interruption | None, cure: str
    ) -> dict[str, float] | None:
        loss, metrics, evaluate = Mean("loss"), self.training.metrics, self.evaluating
        numbers: dict[str, Mean] = {}
        for metric in metrics:
            metric.reset()
        for batch in map(as_batch, batches):
            if interruption is not None and interruption.requested:
                return None
            value, prediction, target, more = evaluate(*batch)
            target = self.training.target_of(batch) if target is None else target
            count = examples_in(batch if target is None else target)
            loss.add(float(value), count)
            for name, number in more.items():
                numbers.setdefault(name, Mean(name)).add(float(number), count)
            for metric in metrics:
                metric.update(prediction, target)
        if loss.count == 0:
            raise ArgumentError(
                f"evaluate: the loader must give at least one batch, got none{cure}"
            )
        return {m.name: m.compute() for m in (loss, *metrics, *numbers.values())}

    def predictions(self, loader: Iterable[Any], targets: Targets) -> Iterator[Any]:
        """What the model says of each batch; `targets` are left out where there are any."""
        with self._looking():
            for batch in loader:
                inputs, options, _ = arguments_of(batch, targets)
                yield cut(self.applying(*inputs, **options))


def arguments_of(batch: Any, targets: Targets) -> Parts:
    """The model's arguments in a batch that may have targets, or be an array alone."""
    if isinstance(batch, Tensor | np.ndarray):
        return Parts((as_tensors(batch),), {}, None)
    entries: Batch = as_batch(batch)
    lone = given(entries)
    if isinstance(lone, Mapping):
        try:
            return split(entries, targets)
        except ArgumentError:
            return split(entries, 0)
    return split(entries, 0 if len(entries) == 1 else targets)


def stacked(outputs: list[Any]) -> Any:
    """The outputs for batches as one for all of them, in the structure of each.

    Tensors are joined along their first axis, single numbers become a Tensor of one for each batch,
    and what is no Tensor a list.
    """
    if not outputs:
        raise ArgumentError("predict: the data must have at least one batch, got none")
    leaves, structure = flatten(outputs[0])
    columns = [[leaf] for leaf in leaves]
    for output in outputs[1:]:
        more, other = flatten(output)
        if other != structure:
            raise ShapeError(
                "predict: the model must give outputs of one structure for all batches, got "
                f"{len(leaves)} and {len(more)} parts; take them batch by batch, with stack=False"
            )
        for column, leaf in zip(columns, more, strict=True):
            column.append(leaf)
    return unflatten(structure, [_joined(column) for column in columns])


def _joined(column: list[Any]) -> Any:
    if not all(isinstance(x, Tensor) for x in column):
        return None if all(x is None for x in column) else column
    if all(x.ndim == 0 for x in column):
        return stack(column)
    if len({x.shape[1:] for x in column}) > 1:
        shapes = dict.fromkeys(describe(x) for x in column)
        raise ShapeError(
            "predict: outputs must have one shape but for the first axis, got "
            f"{' and '.join(list(shapes)[:3])}; pad them, or take them batch by batch, with "
            "stack=False"
        )
    return concat(column, axis=0)
