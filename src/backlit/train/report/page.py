"""The report as one page: data, styles and script inside, nothing fetched."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ...see.show.page import fill
from ...table import quantity
from ..failure.account import Account
from ..training import Training

#: Points of a curve; of a longer run evenly spaced epochs and the last are shown.
EPOCHS = 1500
#: Lines of the model's description.
LINES = 60


_BODY = Path(__file__).with_name("report.html")


def page(
    trainer: Training,
    *,
    title: str,
    state: str,
    facts: dict[str, str],
    tested: dict[str, str],
    account: Account | None,
    looks: list[dict[str, Any]],
    results: dict[str, Any],
    drawing: str | None,
    problems: list[str],
) -> str:
    """The whole page as text."""
    data = {
        "title": title,
        "state": state,
        "epochs": trainer.epoch,
        "best_epoch": trainer.best_epoch,
        "monitor": _monitored(trainer),
        "curves": _curves(trainer.history),
        "percent": _percent(trainer),
        "facts": {**facts, **_facts(trainer)},
        "tested": tested,
        "account": None if account is None else _account(account),
        "model": _model(trainer),
        "looks": looks,
        "results": results,
        "graph": drawing,
        "problems": problems,
    }
    return fill(_BODY, title, _finite(data), ["examples"])


def _account(account: Account) -> dict[str, Any]:
    """What is told of a failure, with the colours of its lines."""
    past = account.past
    return {
        "title": account.title,
        "cause": [[style, text] for style, text in account.cause],
        "cure": account.cure,
        "findings": [[style, text] for style, text in account.findings],
        "command": account.command,
        "past": None if past is None else {"headings": past.headings, "rows": past.rows},
    }


def _monitored(trainer: Training) -> str | None:
    return trainer.monitored(trainer.history[-1]) if trainer.history else None


def _percent(trainer: Training) -> list[str]:
    """The curves whose numbers are read in percent."""
    names = [m.name for m in trainer.metrics if m.format(0.5).endswith("%")]
    return [f"{part}{name}" for name in names for part in ("", "validation_")]


def _curves(history: list[dict[str, float]]) -> dict[str, list[Any]]:
    """A list for each number, by its name; None where an epoch has none or it is not finite."""
    step = max(1, -(-len(history) // EPOCHS))
    shown = history[::step]
    if history and shown[-1] is not history[-1]:
        shown = [*shown, history[-1]]
    names = dict.fromkeys(name for r in shown for name in r)
    return {name: [r.get(name) for r in shown] for name in names}


def _facts(trainer: Training) -> dict[str, str]:
    parameters = sum(p.size for p in trainer.model.parameters())
    loss = type(trainer.loss_fn).__name__
    if trainer.has_own_step:
        loss = "that of the training's own step"
    elif trainer.loss_fn is None:
        loss = "the model's own"
    elif loss in ("function", "method", "builtin_function_or_method"):
        loss = getattr(trainer.loss_fn, "__name__", loss)
    facts = {
        "model": f"{type(trainer.model).__name__}, {quantity(parameters, 'parameter')}",
        "loss": loss,
        "optimizer": _kinds(trainer.optimizers),
        "steps": f"{trainer.steps:,}",
    }
    if trainer.accumulate > 1:
        facts["step"] = f"{quantity(trainer.accumulate, 'batch', 'batches')}"
    if trainer.schedule is not None:
        facts["schedule"] = f"{_kinds(trainer.schedules)}, each {trainer.schedule_every}"
    return facts


def _kinds(things: dict[str, Any]) -> str:
    """The classes of things by name, where they have names."""
    return ", ".join(
        f"{n}: {type(t).__name__}" if n else type(t).__name__ for n, t in things.items()
    )


def _model(trainer: Training) -> str:
    lines = repr(trainer.model).splitlines()
    if len(lines) > LINES:
        more = f"… {len(lines) - LINES} more lines"
        lines = [*lines[: LINES - 10], more, *lines[-10:]]
    return "\n".join(line[:160] for line in lines)


def _finite(value: Any) -> Any:
    """The value as JSON has it: null for numbers that are not finite, rounded others."""
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
