"""`python -m bench.reproduce`: train by one recipe with Backlit and PyTorch; print one table.

Without names the short runs are made; long ones are made when `--only` names them, and their rows
come from the committed record. Data are looked for in `--data`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ..report import machine
from . import race, record
from .runs import RECIPES
from .sides import fastest
from .training import (
    ROUNDING,
    DisagreementError,
    Outcome,
    difference,
    first_losses,
    train,
    validate,
)

HOME = Path(__file__).parents[2]
RESULTS = HOME / "bench" / "results" / "reproduce.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 1 if the two sides disagreed somewhere."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.reproduce", description=__doc__.split("\n")[0]
    )
    names = [*RECIPES, race.NAME]
    parser.add_argument("--only", metavar="NAMES", help=f"of {', '.join(names)}")
    parser.add_argument("--seeds", type=int, default=3, help="how many: 0, 1, …")
    parser.add_argument("--threads", type=int, help="for both; all cores if not given")
    parser.add_argument("--quick", action="store_true", help="the first steps only")
    parser.add_argument(
        "--validate",
        action="store_true",
        help="train Backlit alone on nine tenths of the training examples, judge by the others",
    )
    parser.add_argument("--table", action="store_true", help="run nothing, print the record")
    parser.add_argument("--guide", action="store_true", help="the record in Markdown")
    parser.add_argument("--data", type=Path, default=HOME.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON, to which runs are added")
    options = parser.parse_args(arguments)
    chosen = [name for name, recipe in RECIPES.items() if not recipe.long]
    if options.only:
        chosen = [name.strip() for name in options.only.split(",")]
        for name in chosen:
            if name not in names:
                parser.error(f"unknown run {name!r}; there are {', '.join(names)}")
    if options.threads and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-options.threads :])
    wrong = False
    for name in [] if options.table or options.guide else chosen:
        wrong |= not _run(name, options)
    show = record.guide if options.guide else record.describe
    print(show(record.read(record.COMMITTED) | record.read(options.out)))
    return int(wrong)


def _run(name: str, options: argparse.Namespace) -> bool:
    """Whether the run could be made; what keeps it from being made is said."""
    for needed in ("mnist",) if name == race.NAME else RECIPES[name].needs:
        if not (options.data / needed).is_dir():
            _say(f"{name}: not run, there is no folder {options.data / needed}; give --data FOLDER")
            return True
    threads = f" --threads {options.threads}" if options.threads else ""
    command = f"python -m bench.reproduce --only {name} --seeds {options.seeds}{threads}"
    when = datetime.now(UTC).isoformat(timespec="seconds")
    if name == race.NAME:
        if options.quick or options.validate:
            _say(f"{name}: not run, it only goes to the end")
        else:
            sides = race.run(options.data, options.seeds)
            kept = {"command": command, "when": when, "machine": machine(), "sides": sides}
            more = {"cores": record.cores(), "seeds": list(range(options.seeds))}
            record.keep(options.out, name, kept | more)
        return True
    recipe = RECIPES[name]
    data = recipe.data(options.data)
    if options.validate:
        figures = [validate(recipe, data, seed) for seed in range(options.seeds)]
        _say(f"{name}: on the validation part {' '.join(f'{figure:.4f}' for figure in figures)}")
        return True
    try:
        apart = {"float32": difference(recipe, first_losses(recipe, data))}
        if recipe.precise:
            curves = first_losses(recipe, data, double=True)
            apart["float64"] = difference(recipe, curves, ROUNDING)
    except DisagreementError as error:
        _say(f"not run: {error}")
        return False
    agree = " and ".join(f"{value:.1e} in {dtype}" for dtype, value in apart.items())
    _say(f"{name}: the first {recipe.checked} losses agree to {agree}")
    if options.quick:
        return True
    settings = fastest(recipe, data)
    _say(f"{name}: PyTorch is fastest with {settings}")
    outcomes: dict[int, dict[str, Outcome]] = {}
    for seed in range(options.seeds):
        outcomes[seed] = train(recipe, data, seed, settings=settings, say=_say)
        # after each seed, so that nothing is lost
        command = f"python -m bench.reproduce --only {name} --seeds {seed + 1}{threads}"
        record.keep(
            options.out, name, record.entry(recipe, command, when, settings, apart, outcomes)
        )
    return True


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
