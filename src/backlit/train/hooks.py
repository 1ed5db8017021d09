"""When callbacks are called, and which moments any of them wants to see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ArgumentError
from .batch import Batch, given
from .callbacks import Callback
from .training import Training


class Hooks:
    """The callbacks of a training. Where none watches single steps, steps stay in native code."""

    def __init__(self, training: Training, callbacks: Sequence[Callback]):
        self.training = training
        self.callbacks = list(callbacks)
        self._of_batches = self._wanting("on_step_start")
        self._of_gradients = self._wanting("on_after_backward")
        #: Whether a callback looks at each step.
        self.watching = bool(self._of_batches or self._of_gradients or self._wanting("on_step_end"))
        if self._of_gradients and training.by_hand:
            raise ArgumentError(
                "fit: on_after_backward needs steps whose gradients the Trainer computes, but "
                "this training_step makes its updates itself; look at gradients there"
            )

    def _wanting(self, hook: str) -> list[Callback]:
        own = getattr(Callback, hook)
        return [c for c in self.callbacks if getattr(type(c), hook) is not own and c.wants(hook)]

    def call(self, hook: str, *arguments: Any) -> None:
        """Call a method of all callbacks, with the training first."""
        for callback in self.callbacks:
            getattr(callback, hook)(self.training, *arguments)

    def failed(self, error: BaseException) -> None:
        """Tell all callbacks that an exception ends the training, which none of them may hide."""
        for callback in self.callbacks:
            try:
                callback.on_exception(self.training, error)
            except Exception as other:
                name = type(callback).__name__
                error.add_note(f"{name} failed, too: {type(other).__name__}: {other}")

    def batch(self, batch: Batch) -> None:
        """A batch is going to be trained on."""
        for callback in self._of_batches:
            callback.on_step_start(self.training, given(batch))

    @property
    def seen(self) -> Callable[[], None] | None:
        """What is called when the gradients of a step are there; None if nobody wants to see."""
        return self._see if self._of_gradients else None

    def _see(self) -> None:
        for callback in self._of_gradients:
            callback.on_after_backward(self.training)
