"""One step of a training and one of its evaluation, each compiled once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ..autograd import no_grad
from ..compiler import compile as compile_function
from ..errors import ArgumentError, TraceError
from ..foreign import words
from ..op import describe
from ..optim import clip_grad_norm_, clip_grad_value_
from ..tensor import Tensor
from .arguments import as_batch, used_up
from .interrupt import Interruption
from .metrics import Mean
from .training import Training


class Step:
    """The step of a training, with its settings as they are when it is done.

    `update` and `evaluate` take a batch: the model's inputs, then the target. `updating` and
    `evaluating` are the same, compiled if the training is. `predicts` is whether an update gives
    the prediction, too.
    """

    def __init__(self, training: Training, *, predicts: bool):
        self.training = training
        self.predicts = predicts
        self._update = compile_function(self.update)
        self._evaluate = compile_function(self.evaluate)

    @property
    def updating(self) -> Callable[..., Any]:
        """What does an update."""
        return self._update if self.training.compile else self.update

    @property
    def evaluating(self) -> Callable[..., Any]:
        """What evaluates."""
        return self._evaluate if self.training.compile else self.evaluate

    def update(self, *batch: Any) -> tuple[Tensor, Tensor | None]:
        """Make one update; returns the loss and the prediction, both from before it."""
        training, optimizer = self.training, self.training.optimizer
        *inputs, target = batch
        prediction = training.model(*inputs)
        loss = self._loss(prediction, target)
        optimizer.zero_grad()
        loss.backward()
        if training.clip_norm is not None:
            clip_grad_norm_(training.model.parameters(), training.clip_norm)
        if training.clip_value is not None:
            clip_grad_value_(training.model.parameters(), training.clip_value)
        optimizer.step()
        optimizer.zero_grad()  # so that a compiled step need not hand them out
        return loss.detach(), prediction.detach() if self.predicts else None

    def evaluate(self, *batch: Any) -> tuple[Tensor, Tensor]:
        """The loss and the prediction."""
        *inputs, target = batch
        prediction = self.training.model(*inputs)
        return self._loss(prediction, target), prediction

    def _loss(self, prediction: Any, target: Any) -> Tensor:
        loss = self.training.loss_fn(prediction, target)
        if not isinstance(loss, Tensor) or loss.size != 1:
            what = describe(loss) if isinstance(loss, Tensor) else words(loss)[0]
            raise ArgumentError(
                f"fit: the loss must be a Tensor of one number, got {what}; return the mean over "
                "the batch from loss_fn"
            )
        return loss

    def measure(
        self, loader: Iterable[Any], interruption: Interruption | None = None
    ) -> dict[str, float] | None:
        """The mean loss and the metrics over a loader; None if there was an interruption.

        The model goes to evaluation mode. What the metrics have gathered before stays.
        """
        metrics = self.training.metrics
        gathered = [m.state_dict() for m in metrics]
        try:
            return self._measured(loader, interruption)
        finally:
            for metric, state in zip(metrics, gathered, strict=True):
                metric.load_state_dict(state)

    def _measured(
        self, loader: Iterable[Any], interruption: Interruption | None
    ) -> dict[str, float] | None:
        loss, metrics, evaluate = Mean("loss"), self.training.metrics, self.evaluating
        for metric in metrics:
            metric.reset()
        self.training.model.eval()
        with no_grad():
            for batch in map(as_batch, loader):
                if interruption is not None and interruption.requested:
                    return None
                value, prediction = evaluate(*batch)
                loss.add(float(value), len(batch[-1]))
                for metric in metrics:
                    metric.update(prediction, batch[-1])
        if loss.count == 0:
            raise ArgumentError(
                f"evaluate: the loader must give at least one batch, got none{used_up(loader)}"
            )
        return {m.name: m.compute() for m in (loss, *metrics)}


@contextmanager
def uncompiled_is_a_way_out(compiled: bool) -> Iterator[None]:
    """Add to the error of a step that cannot be compiled that the Trainer can do without."""
    try:
        yield
    except TraceError as error:
        if compiled:
            error.args = (f"{error}; or train without compiling: Trainer(..., compile=False)",)
        raise
