"""`backlit train`: learn a data set, save the run, and say how to look at it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console
from rich.text import Text

from ..data import DataLoader
from ..errors import ArgumentError, DataError, NonFiniteError
from ..files import LOCK, hold
from ..nn import CrossEntropyLoss, Module
from ..train import Accuracy, Report, Trainer
from ..train.training import INTERRUPTED
from .output import make_console
from .runs import (
    ACTIVATIONS,
    OPTIMIZERS,
    REPORT,
    SCHEDULES,
    SETTINGS,
    build_network,
    build_optimizer,
    build_schedule,
    hidden_widths,
    read_settings,
    write_result,
    write_settings,
)
from .tasks import TASKS, Task, load_test, load_training

INTERRUPTED_STATUS = 130  # the exit status after Ctrl-C
_POSITIVE = click.FloatRange(min=0, min_open=True)


def _checked_model(context: click.Context, option: click.Parameter, value: str | None) -> Any:
    if value is not None:
        try:
            hidden_widths(value)
        except ArgumentError as error:
            raise click.BadParameter(str(error).removeprefix("model: ")) from None
    return value


@click.command()
@click.argument("dataset", type=click.Choice(list(TASKS)), metavar="DATASET")
@click.option("--data", type=click.Path(), help="Folder with the IDX files of the MNIST sets.")
@click.option("--model", callback=_checked_model, help="linear, or hidden widths: mlp:256-128.")
@click.option("--activation", type=click.Choice(list(ACTIVATIONS)), help="After each hidden layer.")
@click.option("--batch-norm/--no-batch-norm", default=None, help="Before each activation.")
@click.option(
    "--dropout", type=click.FloatRange(0, 1, max_open=True), help="After each activation."
)
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training examples.")
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), help="The update rule.")
@click.option("--lr", type=_POSITIVE, help="The (highest) learning rate.")
@click.option("--weight-decay", type=click.FloatRange(min=0), help="Strength of weight decay.")
@click.option("--schedule", type=click.Choice(SCHEDULES), help="How the learning rate changes.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Examples in an update.")
@click.option("--noise", type=click.FloatRange(0, 0.5), help="Of the points; playground sets only.")
@click.option("--samples", type=click.IntRange(min=20), help="Points; playground sets only.")
@click.option("--seed", type=click.IntRange(0, 2**32), default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/DATASET]")
@click.option("--resume", is_flag=True, help="Continue the interrupted run in the run folder.")
@click.option(
    "--progress",
    type=click.Choice(["auto", "bar", "lines", "quiet"]),
    default="auto",
    help="A bar (on a terminal), a line for each epoch (elsewhere), or nothing.",
)
@click.option("--compile/--no-compile", default=True, help="Compile the training step.")
@click.pass_context
def train(
    context: click.Context,
    dataset: str,
    out: Path | None,
    resume: bool,
    progress: str,
    compile: bool,
    **options: Any,
) -> None:
    """Train a network on DATASET and save the run.

    DATASET is digits (scikit-learn's handwritten digits), a playground set (spiral, circle, xor,
    gauss), or mnist or fashion-mnist from a folder of IDX files.
    """
    task = TASKS[dataset]
    folder = out or Path("runs") / dataset
    console = make_console(quiet=progress == "quiet")
    given = {
        name: value
        for name, value in options.items()
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    settings = _resumed(task, folder, given) if resume else _settings(task, given)
    _require_free(folder, resume)
    training, validation = load_training(task, settings)
    test = load_test(task, settings)
    size = settings["batch_size"]
    loader = DataLoader(training, size, shuffle=True, seed=settings["seed"])
    model = build_network(task, settings)
    optimizer = build_optimizer(model, settings)
    report = Report(
        folder / REPORT, test, classes=task.classes, title=f"{task.name}: {settings['model']}"
    )
    report.facts = _facts(settings, (len(training), len(validation), len(test)))
    trainer = Trainer(
        model,
        CrossEntropyLoss(),
        optimizer,
        schedule=build_schedule(optimizer, settings, settings["epochs"] * len(loader)),
        schedule_every="step",
        metrics=[Accuracy()],
        callbacks=[report],
        checkpoints=folder,
        compile=compile,
        progress=progress,
        console=console,
    )
    context.with_resource(hold(folder, "train"))
    if not resume:
        moved = _make_room(folder)
        if moved is not None:
            text = Text(f"The earlier run in {folder} is now {moved}.", style="dim")
            console.print(text, soft_wrap=True)
        write_settings(folder, task, settings)
    _introduce(console, task, settings, model, report.facts)
    started = time.monotonic()
    try:
        trainer.fit(loader, DataLoader(validation, 1000), epochs=settings["epochs"], resume=resume)
    except NonFiniteError:
        report.write(trainer, "failed: the loss was not finite")
        raise
    seconds = time.monotonic() - started
    if trainer.stopped == INTERRUPTED:
        cure = f"Continue with: backlit train {dataset} --resume --out {folder}"
        console.print(Text(cure), soft_wrap=True)
        context.exit(INTERRUPTED_STATUS)
    results = _tested(trainer, report, test)
    result = {
        "test_accuracy": results["accuracy"],
        "test_loss": results["loss"],
        "test_examples": len(test),
        "best_epoch": trainer.best_epoch,
        "epochs": trainer.epoch,
        "seconds": round(seconds, 2),
    }
    write_result(folder, result)
    _conclude(console, folder, results, len(test), trainer.best_epoch, seconds)


def _tested(trainer: Trainer, report: Report, test: Any) -> dict[str, float]:
    """What the best epoch's weights reach on the test, which the report says, too."""
    trainer.load_best()
    results = trainer.evaluate(DataLoader(test, 1000))
    report.facts["test accuracy"] = f"{100 * results['accuracy']:.2f} %"
    report.facts["examples below"] = f"the {len(test):,} of the test, by the best epoch's weights"
    report.write(trainer)
    return results


def _settings(task: Task, given: dict[str, Any]) -> dict[str, Any]:
    """The task's settings with what was asked for in their place."""
    for name in ("noise", "samples"):
        if name in given and name not in task.settings:
            raise click.UsageError(f"--{name} is for the playground sets, not for {task.name}.")
    if "data" in given and task.name not in ("mnist", "fashion-mnist"):
        raise click.UsageError(f"--data is for mnist and fashion-mnist, not for {task.name}.")
    data = given.get("data")
    settings = {**task.settings, "seed": 0, **given}
    settings["data"] = None if data is None else str(Path(data).resolve())
    return settings


def _resumed(task: Task, folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The settings of the run in the folder; options must not contradict them."""
    saved, settings = read_settings(folder)
    if saved is not task:
        raise DataError(f"--resume: the run in {folder} is of {saved.name}, not of {task.name}")
    if "data" in given:
        settings["data"] = str(Path(given.pop("data")).resolve())
    for name, value in given.items():
        if settings.get(name) != value:
            option = name.replace("_", "-")
            raise click.UsageError(
                f"--resume: --{option} must stay {settings.get(name)}, got {value}; "
                "leave it out, or start a new run."
            )
    return settings


def _require_free(folder: Path, resume: bool) -> None:
    """Raise unless the folder is a run's, empty or absent."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"--out: {folder} must be a folder, but is a file")
    if resume or not folder.exists() or (folder / SETTINGS).is_file():
        return
    if any(entry.name != LOCK for entry in folder.iterdir()):
        raise DataError(f"--out: {folder} has files that are no run; choose another folder")


def _facts(settings: dict[str, Any], sizes: tuple[int, ...]) -> dict[str, str]:
    """What the report says of the run besides what the Trainer knows."""
    parts = zip(sizes, ("training", "validation", "test"), strict=True)
    return {
        "data": " · ".join(f"{n:,} {part}" for n, part in parts),
        "settings": f"{settings['optimizer']}, learning rate {settings['lr']:g} "
        f"({settings['schedule']}), batches of {settings['batch_size']}, seed {settings['seed']}",
        "examples below": "of the test, never trained on",
    }


def _make_room(folder: Path) -> Path | None:
    """Move an earlier run out of the folder, so that nothing of it is lost.

    The folder itself stays: it may be a mount, and its lock is held.
    """
    if not (folder / SETTINGS).is_file():
        return None
    folder = folder.resolve()
    if Path.cwd().is_relative_to(folder):
        raise DataError(
            f"--out: {folder} is the current folder and has a run already, which would have to be "
            "moved; choose another folder, or continue the run with --resume"
        )
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    aside.mkdir()
    for entry in folder.iterdir():
        if entry.name != LOCK:
            shutil.move(entry, aside)
    return aside


def _introduce(
    console: Console, task: Task, settings: dict[str, Any], model: Module, facts: dict[str, str]
) -> None:
    what = f"{'×'.join(map(str, task.example[-2:]))} pixels" if task.kind == "image" else "points"
    extras = [settings["activation"]] if settings["model"] != "linear" else []
    if extras and settings["batch_norm"]:
        extras.append("batch norm")
    if extras and settings["dropout"]:
        extras.append(f"dropout {settings['dropout']:g}")
    parameters = sum(p.size for p in model.parameters())
    rows = [
        (task.name, f"{facts['data']}  ({what}, {len(task.classes)} classes)"),
        ("model", f"{', '.join([settings['model'], *extras])}  ({parameters:,} parameters)"),
        ("training", facts["settings"]),
    ]
    _table(console, rows)
    console.print()


def _conclude(
    console: Console,
    folder: Path,
    results: dict[str, float],
    examples: int,
    best_epoch: int | None,
    seconds: float,
) -> None:
    right = round(results["accuracy"] * examples)
    accuracy = Text.assemble((f"{100 * results['accuracy']:.2f} %", "bold green"))
    accuracy.append(f"  {right:,} of {examples:,} right, none seen before", style="dim")
    console.print()
    _table(
        console,
        [
            ("test accuracy", accuracy),
            ("trained in", f"{seconds:.1f} s, best epoch {best_epoch}"),
            ("saved run", str(folder)),
            ("report", str(folder / REPORT)),
            ("look at it", f"backlit eval {folder}"),
            ("", f"backlit predict {folder}"),
        ],
    )


def _table(console: Console, rows: list[tuple[str, Any]]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        line = Text.assemble((name.ljust(width) + "  ", "cyan"))
        line.append_text(value if isinstance(value, Text) else Text(str(value)))
        console.print(line, soft_wrap=True)
