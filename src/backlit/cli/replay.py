"""`backlit replay`: a step of training that failed, done again and looked at."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from ..errors import ArgumentError, DataError
from ..nn import Module
from ..optim import Optimizer
from ..recipes.run import is_run, step_of
from ..train.failure.flight import load_flight
from ..train.failure.recorder import FLIGHT
from .output import make_console
from .step import walk


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("source", required=False)
@click.option("--list", "whole", is_flag=True, help="Print all sentences and end.")
@click.option("--save", type=click.Path(path_type=Path), help="Save the step's record, as JSON.")
def replay(file: Path, source: str | None, whole: bool, save: Path | None) -> None:
    """Do the failed step in FILE again, and go through it gate by gate.

    FILE is a flight.safetensors, or the folder with it, that a Trainer wrote when a loss was not
    finite or a step raised. For runs of `backlit train` it suffices while it lies in the run's
    folder. For others SOURCE is file.py:function, a function without arguments that returns
    (model, loss_fn, optimizer), made as they were for the run.
    """
    if file.is_dir():
        file /= FLIGHT
    if not file.is_file():
        raise ArgumentError(
            f"replay: there is no {file}; a Trainer writes one when a loss is not finite or a step "
            "raises, so a run that ended well has none"
        )
    flight = load_flight(file)
    model, loss_fn, optimizer = _parts(file, source)
    done = flight.replay(model, loss_fn, optimizer)
    console = make_console()
    console.print(Text(repr(done)), soft_wrap=True)
    console.print()
    if save is not None:
        done.record.save(save)
        console.print(Text(f"The record is saved as {save}; backlit draw {save} draws it."))
    if whole or sys.stdin.isatty():
        walk(done.record, console, whole)


def _parts(file: Path, source: str | None) -> tuple[Module, Any, Optimizer]:
    if source is None:
        folder = file.resolve().parent
        if not is_run(folder):
            raise ArgumentError(
                f"replay: {file} is not in the folder of a run of `backlit train`, so the model is "
                "not known; add file.py:function that returns (model, loss_fn, optimizer)"
            )
        return step_of(folder)
    name, _, function = source.rpartition(":")
    path = Path(name)
    if not function or path.suffix != ".py" or not path.is_file():
        raise ArgumentError(
            f"replay: the source must be file.py:function of an existing file, got {source!r}"
        )
    sys.path.insert(0, str(path.parent))
    try:
        made = runpy.run_path(str(path), run_name="backlit_replay").get(function)
    finally:
        sys.path.remove(str(path.parent))
    if not callable(made):
        raise ArgumentError(f"replay: {path} must define a function {function}")
    parts = made()
    if not isinstance(parts, tuple) or len(parts) != 3 or not isinstance(parts[0], Module):
        raise DataError(
            f"replay: {source} must return (model, loss_fn, optimizer), got {type(parts).__name__}"
        )
    return parts
