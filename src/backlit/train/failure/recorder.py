"""The flight recorder: one file that brings a failed step back, bit for bit.

When a step fails, by a loss that is not finite or by an exception, the Trainer goes back to just
before it and writes down the whole state, the step's batch, and what the steps before it were like.
Until then nothing is recorded beyond what `Rewind` holds anyway, so it costs a run nothing.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any, NoReturn

from ...autograd import enable_grad, grad
from ...errors import NonFiniteError
from ...nn.keeping import kept
from ...see.records.value import squares
from ...tensor import Tensor
from ..checkpoint import save_checkpoint
from ..parts import updated_parts
from ..training import Training
from .account import CURE, born
from .failed import Failed, Origin
from .finite import first_non_finite
from .rewind import Batch, Rewind

FLIGHT, FORMAT = "flight.safetensors", "backlit-flight-1"
#: The steps before the failed one that are described.
STEPS = 16
#: What else a step depends on, besides its functions; files of before have none of them.
SETTINGS = ("accumulate", "targets", "weighted", "alternate")


class Recorder:
    """Puts a training back to before a step that failed, and writes the file if it has a path."""

    def __init__(self, training: Training):
        self.training = training
        self._origin: Origin | None = None

    def record(self, rewind: Rewind, count: int, failure: float | Exception) -> bool:
        """Put the run back to after `count` steps of a unit; write down the next if wanted."""
        training = self.training
        loss = None if isinstance(failure, Exception) else failure
        if training.flight is None:
            rewind.go_back(count)
            training.failed = Failed(rewind.batch(count)[0], loss)
            return False
        self._origin = None
        past = rewind.go_back(count, self._look, STEPS)
        first = training.steps - len(past) + 1
        told = [{"step": first + i, "loss": was, **seen} for i, (seen, was) in enumerate(past)]
        if self._origin is not None:
            bad = [p["step"] for p in told if not math.isfinite(p["gradient_norm"])]
            self._origin = self._origin._replace(step=bad[0])
        training.failed = Failed(rewind.batch(count)[0], loss, told, origin=self._origin)
        self._write(told, rewind.batch(count), failure)
        return True

    def explain(self, rewind: Rewind, count: int | None, error: Exception) -> None:
        """Add to an exception of a step where its flight was written."""
        training = self.training
        if count is None:
            return
        training.position += count
        training.steps += count
        if training.flight is None:
            training.failed = Failed(rewind.batch(count)[0], None)
            return
        try:
            self.record(rewind, count, error)
        except Exception as other:
            error.add_note(f"The flight recorder failed, too: {type(other).__name__}: {other}")
        else:
            error.add_note(
                f"In epoch {training.epoch + 1}, step {training.position + 1}; the model is as "
                f"before this step. Look at it with: backlit replay {training.flight}"
            )

    def stop(self, rewind: Rewind, count: int, loss: float, batches: int | None) -> NoReturn:
        """Raise for a loss that is not finite; `batches` is how many an epoch has."""
        training = self.training
        written = self.record(rewind, count, loss)
        with kept(training.model):
            where = first_non_finite(training, rewind.batch(count)[0], training.turn())
        assert training.failed is not None
        training.failed.first = where
        raise NonFiniteError(
            f"fit: the loss must be finite, got {loss} in epoch {training.epoch + 1}, "
            f"step {training.position + 1}{f' of {batches}' if batches else ''}; first: {where}; "
            f"the model is as before this step; {CURE}"
            + (f"; look at this step with: backlit replay {training.flight}" if written else "")
        )

    def _look(self, batch: Batch) -> dict[str, Any]:
        """What a step is going to be like: learning rate, norms, rows. Changes nothing."""
        training, (entries, rows) = self.training, batch
        parameters = [(n, p) for n, p in training.model.named_parameters() if p.requires_grad]
        found: Sequence[Tensor | None] = [None] * len(parameters)
        if not training.by_hand:
            with kept(training.model), enable_grad():
                (name, *_) = training.turn()
                loss = training.outcome(entries, name or None).loss
                found = grad(loss, [p for _, p in parameters], allow_unused=True)
        pairs = zip(parameters, found, strict=True)
        norms = {n: 0.0 if g is None else math.sqrt(squares(g.array)) for (n, _), g in pairs}
        if self._origin is None and not all(map(math.isfinite, norms.values())):
            self._origin = Origin(0, *born(training, entries, 0))
        worst = max(norms, key=lambda n: -1.0 if math.isnan(norms[n]) else norms[n])
        return {
            "lr": training.first_rate,
            "gradient_norm": math.hypot(*norms.values()),
            "weight_norm": math.sqrt(squares(*(p.array for _, p in parameters))),
            "largest": worst,
            "rows": rows,
        }

    def _write(self, past: list[dict[str, Any]], batch: Batch, failure: float | Exception) -> None:
        """Write the file. The training is as before the step that failed."""
        training = self.training
        assert training.flight is not None
        failed = isinstance(failure, Exception)
        parts = updated_parts(training)
        state = {
            "format": FORMAT,
            "epoch": training.epoch + 1,
            "position": training.position + 1,
            "step": training.steps + 1,
            "loss": None if failed else bits(failure),
            "error": f"{type(failure).__name__}: {failure}" if failed else None,
            "compile": training.compile,
            "clip_norm": training.clip_norm,
            "clip_value": training.clip_value,
            "predictions": bool(training.metrics),
            "settings": {name: getattr(training, name) for name in SETTINGS},
            "lr": training.first_rate,
            "rows": batch[1],
            "past": past,
            "origin": None if self._origin is None else self._origin.text,
            "batch": list(batch[0]),
            "parts": {
                name: part.state_dict()
                for name, part in parts.items()
                if name != "ema" and not name.startswith(("schedule", "generator.ema"))
            },
        }
        save_checkpoint(training.flight, state)


def bits(number: Any) -> str:
    """A float as the hexadecimal digits of its bytes."""
    return struct.pack(">d", float(number)).hex()
