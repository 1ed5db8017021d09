"""What was measured, as JSON; and the one table of it."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from ..report import machine, table
from . import race
from .recipe import Recipe
from .runs import RECIPES
from .sides import Settings
from .training import Outcome

#: The measurements that are part of the repository.
COMMITTED = Path(__file__).parent / "record.json"


def read(path: Path) -> dict[str, Any]:
    """The runs of a file by name; none if there is no such file."""
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def keep(path: Path, name: str, entry: Mapping[str, Any]) -> None:
    """Write a run into the file, in the place of an older one of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = read(path) | {name: entry}
    order = [*RECIPES, race.NAME]
    text = json.dumps({k: known[k] for k in order if k in known}, indent=1)
    path.write_text(text + "\n", "utf-8")


def cores() -> int:
    """How many cores both sides may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def entry(
    recipe: Recipe,
    command: str,
    when: str,
    settings: Settings,
    apart: Mapping[str, float],
    outcomes: Mapping[int, Mapping[str, Outcome]],
) -> dict[str, Any]:
    """A run as it is kept: how it was made, and the outcomes by side and seed."""
    return {
        "recipe": recipe.about,
        "command": command,
        "when": when,
        "machine": machine(),
        "cores": cores(),
        "pytorch": dataclasses.asdict(settings),
        "first losses apart": dict(apart),
        "seeds": list(outcomes),
        "sides": {
            side: [dataclasses.asdict(by_side[side]) for by_side in outcomes.values()]
            for side in ("backlit", "pytorch")
        },
    }


def _mean(kept: Mapping[str, Any], side: str, what: str) -> float:
    return mean(outcome[what] for outcome in kept["sides"][side])


def _verdict(recipe: Recipe, known: Mapping[str, Any], ours: float, theirs: float) -> str:
    run = known[recipe.name]
    ratio = _mean(run, "backlit", "cpu") / _mean(run, "pytorch", "cpu")
    if not recipe.met(ours, theirs) or ratio > recipe.share:
        return "MISSED"
    if not recipe.above:
        return "met"
    other = known.get(recipe.above)
    if other is None:
        return "open"
    return "met" if ours > _mean(other, "backlit", "figure") else "MISSED"


def row(recipe: Recipe, known: Mapping[str, Any]) -> list[str]:
    """The cells of one run; it is open while the run that it must exceed is not made."""
    kept = known.get(recipe.name)
    head = [recipe.name, recipe.goal]
    tail = recipe.published or "-"
    if kept is None:
        command = f"python -m bench.reproduce --only {recipe.name}"
        return [*head, "not run", *[""] * 6, f"{tail}; run: {command}"]
    ours, theirs = (_mean(kept, side, "figure") for side in ("backlit", "pytorch"))
    digits = 4 if recipe.unit == "nats" else 2
    seconds = [_mean(kept, side, "seconds") for side in ("backlit", "pytorch")]
    cpu = [_mean(kept, side, "cpu") for side in ("backlit", "pytorch")]
    return [
        *head,
        _verdict(recipe, known, ours, theirs),
        f"{ours:.{digits}f}",
        f"{theirs:.{digits}f}",
        str(len(kept["seeds"])),
        f"{seconds[0]:.1f} / {seconds[1]:.1f}",
        f"{cpu[0]:.1f} / {cpu[1]:.1f}",
        f"{cpu[0] / cpu[1]:.2f}",
        tail,
    ]


HEADS = "run,asked for,,backlit,pytorch,seeds,seconds,CPU s,ratio,published".split(",")


def rows(known: Mapping[str, Any]) -> list[list[str]]:
    """Every run has a row, also those that were not made."""
    return [*(row(recipe, known) for recipe in RECIPES.values()), race.row(known.get(race.NAME))]


def describe(known: Mapping[str, Any]) -> str:
    """The table for terminals."""
    return "\n".join(
        [
            table([HEADS, *rows(known)]),
            "",
            "  Figures and seconds are means over the seeds; seconds, of training alone with its",
            "  first step, for which machine code is in the cache, are backlit's / pytorch's; the",
            "  ratio is that of processor seconds, which other jobs of a machine disturb less.",
        ]
    )


def guide(known: Mapping[str, Any]) -> str:
    """The table for the guide, in Markdown; what a run is, and when it was made, stands in it."""
    lines = [
        "| run | recipe | asked for | | Backlit | PyTorch | published | seconds | ÷ | seeds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    about = {name: recipe.about for name, recipe in RECIPES.items()} | {race.NAME: race.ABOUT}
    for name, goal, verdict, ours, theirs, seeds, seconds, _, ratio, published in rows(known):
        cells = (name, about[name], goal, verdict, ours, theirs, published, seconds, ratio, seeds)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
