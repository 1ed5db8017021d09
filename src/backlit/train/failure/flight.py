"""A failed step as the flight recorder wrote it down, brought back bit for bit."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from ... import see
from ...errors import DataError
from ...nn import Module
from ...optim import Optimizer
from ...random import default_generator
from ...see.told import Told
from ...table import Table
from ...tensor import Tensor
from ..arguments import require_common, require_parts
from ..checkpoint import load_checkpoint, restore
from ..parts import updated_parts
from ..step import Step
from ..training import Training
from .account import recorded, table_of
from .recorder import FORMAT, SETTINGS, bits


@dataclass(repr=False)
class Flight:
    """A failed step as the recorder wrote it down. `replay` does it again."""

    path: str
    state: dict[str, Any]

    @property
    def epoch(self) -> int:
        """The epoch of the failed step, from 1."""
        return self.state["epoch"]

    @property
    def step(self) -> int:
        """The number of the failed step in all epochs, from 1."""
        return self.state["step"]

    @property
    def loss(self) -> float | None:
        """The loss that was not finite; None if the step raised."""
        return None if self.state["loss"] is None else _number(self.state["loss"])

    @property
    def error(self) -> str | None:
        """What the step raised; None if its loss was not finite."""
        return self.state["error"]

    @property
    def rows(self) -> list[int] | None:
        """The rows of the data set in the batch, where they are known."""
        return self.state["rows"]

    @property
    def batch(self) -> tuple[Any, ...]:
        """The failed step's batch."""
        return tuple(self.state["batch"])

    @property
    def past(self) -> Table:
        """The steps before, the last one last."""
        return table_of(self.state["past"])

    @property
    def reason(self) -> str:
        """One line."""
        what = f"it raised {self.error}" if self.error else f"its loss was {self.loss}"
        where = f"step {self.state['position']} of epoch {self.epoch}"
        return f"step {self.step} ({where}) failed: {what}"

    def __repr__(self) -> str:
        return f"{self.reason}\n{self.past}" if self.state["past"] else self.reason

    def _repr_html_(self) -> str:
        past = self.past._repr_html_() if self.state["past"] else ""
        return f"<div><b>{escape(self.reason)}</b>{past}</div>"

    def replay(
        self,
        model: Module,
        loss_fn: Callable[..., Tensor] | None,
        optimizer: Optimizer | Mapping[str, Optimizer],
        *,
        training_step: Any = None,
    ) -> Replay:
        """Do the failed step again, with a model and an optimizer made as they were then.

        So are several optimizers and a `training_step`, where the Trainer had them. They are put to
        the state before the step, where they also end. The step is run as it ran then, compiled or
        not, to compare its bits with those recorded; then once more eagerly, for a record of every
        value and gradient. The process's random state stays as it is.
        """
        training = self._training(model, loss_fn, optimizer, training_step)
        parts = {n: p for n, p in updated_parts(training).items() if n in self.state["parts"]}
        missing = set(self.state["parts"]) - set(parts)
        if missing:
            raise DataError(
                f"replay: {self.path} has the state of {', '.join(sorted(missing))}, which this "
                "model does not have; give the model that was trained"
            )
        process = default_generator().state_dict()
        was_training = model.training
        try:
            self._restore(parts)
            model.train()
            loss, error = self._again(training)
            self._restore(parts)
            record = recorded(training, self.batch, self.step)
            self._restore(parts)
        finally:
            model.train(was_training)
            default_generator().load_state_dict(process)
        return Replay(self, loss, error, record)

    def _training(
        self, model: Module, loss_fn: Any, optimizer: Any, training_step: Any
    ) -> Training:
        settings = {name: self.state[name] for name in ("clip_norm", "clip_value", "compile")}
        settings |= self.state["settings"]
        if isinstance(settings.get("targets"), list):
            settings["targets"] = tuple(settings["targets"])
        training = Training(model, loss_fn, optimizer, own_step=training_step, **settings)
        require_parts(training)
        require_common(training)
        return training

    def _restore(self, parts: dict[str, Any]) -> None:
        restore(parts, self.state["parts"], self.path, "replay")

    def _again(self, training: Training) -> tuple[float | None, str | None]:
        step = Step(training, predicts=self.state["predictions"])
        try:
            return step.take(self.batch).loss, None
        except Exception as error:
            return None, f"{type(error).__name__}: {error}"


@dataclass(repr=False)
class Replay(Told):
    """A failed step done again: `record` has every value and gradient of it, computed eagerly."""

    flight: Flight
    loss: float | None
    error: str | None
    record: see.Record

    @property
    def same(self) -> bool:
        """Whether it went as it did then: the same bits of the loss, or the same exception."""
        then = self.flight
        if then.error is not None:
            return self.error == then.error
        return self.loss is not None and bits(self.loss) == then.state["loss"]

    def _lines(self) -> list[tuple[str, str]]:
        if self.same:
            went = "done again, it went the same, bit for bit"
        else:
            now = f"raised {self.error}" if self.error else f"had the loss {self.loss}"
            went = f"done again, it {now}: model, loss function or machine are not those of then"
        lines = [("", line) for line in (*repr(self.flight).splitlines(), went)]
        lines += see.bad_numbers(self.record)._lines()
        origin = self.flight.state["origin"] or ""
        return [*lines, *(("", line) for line in origin.splitlines())]


def load_flight(path: str | os.PathLike[str]) -> Flight:
    """The failed step that a Trainer wrote down.

    Raises DataError if the file is missing, damaged or something else.
    """
    state = load_checkpoint(path)
    if state.get("format") != FORMAT:
        raise DataError(
            f"load_flight: {path} must be a flight recorder's file ({FORMAT}), got a checkpoint "
            f"with {', '.join(list(state)[:4]):.80}; the Trainer writes flight.safetensors when a "
            "step fails"
        )
    state.setdefault("settings", {})  # older files have none of these
    state.setdefault("origin", None)
    wrong = [n for n, good in _PARTS.items() if n not in state or not good(state[n])]
    if wrong:
        raise DataError(
            f"load_flight: {path} must hold what a flight recorder writes, but its "
            f"{', '.join(wrong)} cannot be; it is damaged"
        )
    return Flight(os.fspath(path), state)


def _is_number(x: Any) -> bool:
    return type(x) in (int, float)


def _is_limit(x: Any) -> bool:
    return x is None or (_is_number(x) and x > 0)


def _is_past(x: Any) -> bool:
    numbers = ("lr", "gradient_norm", "weight_norm", "loss", "step")
    return (
        isinstance(x, dict)
        and all(_is_number(x.get(name)) for name in numbers)
        and isinstance(x.get("largest"), str)
    )


def _are_settings(x: Any) -> bool:
    if not isinstance(x, dict) or not set(x) <= set(SETTINGS):
        return False
    whole, turns = x.get("accumulate", 1), x.get("alternate")
    targets = x.get("targets")
    texts = targets if isinstance(targets, list) else []
    return (
        type(whole) is int
        and whole > 0
        and isinstance(x.get("weighted", False), bool)
        and (targets is None or type(targets) in (int, str, list))
        and all(isinstance(t, str) for t in texts)
        and (turns is None or (isinstance(turns, dict) and all(map(_is_count, turns.values()))))
    )


def _is_count(x: Any) -> bool:
    return type(x) is int and x > 0


#: What each part of the file may be.
_PARTS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("epoch", "position", "step"), lambda x: type(x) is int),
    "loss": lambda x: x is None or (isinstance(x, str) and bool(re.fullmatch("[0-9a-f]{16}", x))),
    **dict.fromkeys(("error", "origin"), lambda x: x is None or isinstance(x, str)),
    "compile": lambda x: isinstance(x, bool),
    "clip_norm": _is_limit,
    "clip_value": _is_limit,
    "settings": _are_settings,
    "predictions": lambda x: isinstance(x, bool),
    "lr": _is_number,
    "rows": lambda x: x is None or (isinstance(x, list) and all(type(r) is int for r in x)),
    "past": lambda x: isinstance(x, list) and all(_is_past(p) for p in x),
    "batch": lambda x: isinstance(x, list) and len(x) >= 1,
    "parts": lambda x: isinstance(x, dict),
}


def _number(bits: str) -> float:
    return struct.unpack(">d", bytes.fromhex(bits))[0]
