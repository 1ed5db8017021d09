"""What is told of a training that failed: where, why, what to do, and how to look at it again.

The cause is found as `backlit replay` finds it: the step is recorded once more, from the state
before it, and `see.bad_numbers` says where the first number that is not finite was born.
"""

from __future__ import annotations

import contextlib
import linecache
import os
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ... import see
from ...errors import NonFiniteError
from ...location import location
from ...nn.keeping import kept
from ...see.told import Told
from ...table import Table
from ...tape import INTERNAL
from ...tensor import Tensor
from ..batch import Batch
from ..training import VALIDATING, Training
from .failed import Failed

#: What to do when a loss is not finite, whatever made it so.
CURE = "lower the learning rate, limit the gradients with clip_norm, or mend what is named here"
_PAST = ["step", "loss", "lr", "‖gradient‖", "‖weights‖", "largest gradient"]


@dataclass(repr=False)
class Account(Told):
    """What is told of a failed training: prints as lines, and stands at the top of a report.

    `title` says what happened and where, `cause` has lines as `see.bad_numbers` says them,
    `findings` those of `see.diagnose`, `command` does the step again.
    """

    title: str
    cause: list[tuple[str, str]] = field(default_factory=list)
    cure: str = ""
    findings: list[tuple[str, str]] = field(default_factory=list)
    command: str = ""
    past: Table | None = None

    def _lines(self) -> list[tuple[str, str]]:
        lines = [("bold red", self.title), *self.cause]
        if self.cure:
            lines.append(("green", f"cure: {self.cure}"))
        lines += self.findings
        if self.command:
            lines.append(("cyan", f"look at the step: {self.command}"))
        if self.past is not None:
            lines += [("", line) for line in str(self.past).splitlines()]
        return lines


def table_of(past: list[dict[str, Any]]) -> Table:
    """The steps before a failed one, the last one last."""
    names = ("step", "loss", "lr", "gradient_norm", "weight_norm", "largest")
    return Table(_PAST, [[p[n] for n in names] for p in past])


def recorded(training: Training, batch: Batch, step: int) -> see.Record:
    """The forward pass of a batch with its gradients, eagerly, whether or not it raises."""
    watched = see.Recording(step=step)
    loss = None
    with contextlib.suppress(Exception), watched:
        loss = training.outcome(batch, training.turn()[0] or None).loss
    if isinstance(loss, Tensor) and loss.requires_grad:
        return watched.of(loss)
    return watched.record


def account_of(training: Training, error: BaseException) -> Account:
    """What is known of an exception that ended a training. Changes nothing of the run."""
    failed = training.failed
    where = _place(training)
    if not isinstance(error, Exception):
        return Account(f"Ended at once {where}, by {type(error).__name__}")
    told = f"{type(error).__name__}: {error}"
    if failed is None:
        return Account(f"Failed {where}", [("bold", told), *_line_of(error), *_notes(error)])
    found = Account("")
    if failed.loss is None:
        found.title = f"Failed {where}: the step raised an exception"
        found.cause = [("bold", told), *_line_of(error)]
    else:
        found.title = f"Failed {where}: the loss was {failed.loss}"
        found.cure = CURE
        if failed.first:
            found.cause = [("bold", f"first: {failed.first}")]
    if training.flight is not None and training.flight.is_file():
        found.command = f"backlit replay {os.fspath(training.flight)}"
    if failed.past:
        found.past = table_of(failed.past)
    lines, write = born(training, failed.batch, training.steps + 1)
    if failed.loss is not None and failed.origin is None:
        found.cause += lines
    if failed.origin is not None:  # what comes after that is its consequence
        before, *more = failed.origin.text.splitlines()
        styles = [style for style, _ in failed.origin.lines]
        found.cause += [("bold", before), *zip(styles, more, strict=True)]
        write = failed.origin.write or write
    if write:
        found.cure = f"write {write}"
    if isinstance(error, NonFiniteError):
        found.findings = _findings(training, failed)
    return found


def interrupted(training: Training, go_on: str = "") -> Account:
    """What is told of a training that was asked to stop, and how it goes on."""
    saved = training.checkpoints is not None
    cure = go_on or "go on with fit(…, resume=True)"
    nothing = "nothing was saved; give the Trainer a checkpoints directory to go on from there"
    return Account(f"Interrupted {_place(training)}", cure=cure if saved else nothing)


def _place(training: Training) -> str:
    epoch = f"in epoch {training.epoch + 1}"
    if training.phase == VALIDATING:
        return f"{epoch}, in its validation"
    if training.failed is None:
        return f"{epoch}, after step {training.position}"
    return f"{epoch}, step {training.position + 1}"


def _notes(error: BaseException) -> list[tuple[str, str]]:
    return [("", note) for note in getattr(error, "__notes__", [])]


def _line_of(error: BaseException) -> list[tuple[str, str]]:
    """The user's line that raised."""
    frames = [(f.f_code.co_filename, n) for f, n in traceback.walk_tb(error.__traceback__)]
    for file, line in reversed(frames):
        if not INTERNAL[file]:
            return [
                ("cyan", f"  at {location(file, line, '', linecache.getline(file, line).strip())}")
            ]
    return []


def born(training: Training, batch: Batch, step: int) -> tuple[list[tuple[str, str]], str]:
    """Where the first bad number of a step was born, in the words of `see.bad_numbers`.

    And what is to be written there, where that is known. Both are empty if all is finite.
    """
    if training.by_hand:
        return [], ""
    with kept(training.model):
        training.model.train()
        found = see.bad_numbers(recorded(training, batch, step))
    if not found:
        return [], ""
    first = [b.rewrite for b in (found.forward, found.backward) if b is not None and b.rewrite]
    return found._lines(), first[0] if first else ""


def _findings(training: Training, failed: Failed) -> list[tuple[str, str]]:
    """What `see.diagnose` has to say of the step, where it can be asked."""
    optimizer, loss_fn = training.optimizer, training.loss_fn
    if not all(np.isfinite(p.array).all() for p in training.model.parameters()):
        return []  # which is all that could be said
    usual = training.has_own_step or training.targets is not None or training.weighted
    if usual or loss_fn is None or isinstance(optimizer, Mapping) or len(failed.batch) < 2:
        return []
    try:
        with kept(training.model):
            training.model.train()
            found = see.diagnose(
                training.model, failed.batch, loss_fn, optimizer, clip_norm=training.clip_norm,
                rehearse=False, seconds=5,
            )  # fmt: skip
    except Exception:  # it is asked beside a failure, which must be told anyway
        return []
    return [line for finding in found for line in finding._lines()]
