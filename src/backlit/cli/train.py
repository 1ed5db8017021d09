"""`backlit train`: learn a data set, save the run, and say how to look at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from ..errors import ArgumentError
from ..recipes import Run
from ..recipes.builtin import fetched
from ..recipes.form import Source
from ..recipes.job import Job, resumed
from ..recipes.recipe import Recipe
from ..recipes.run import CONFIG, REPORT
from ..recipes.settings import SOURCE, read_file
from ..recipes.targets import score_text
from ..recipes.task import look_at
from ..table import quantity
from ..train.training import INTERRUPTED
from .options import given, settings_options
from .output import make_console

INTERRUPTED_STATUS = 130  # the exit status after Ctrl-C


@click.command(
    help="""Train a network on DATA and save the run.

\b
  backlit train photos/                     a folder with a folder for each class
  backlit train houses.csv --target price   a table
  backlit train tweets.csv --target mood    texts
  backlit train corpus.txt                  a text, to be continued
  backlit train names.conll                 words with tags
  backlit train arrays.npz --target label   arrays of numbers
  backlit train net.py:Net --data photos/   a network of your own
  backlit train digits                      a set that is there: digits, spiral,
                                            circle, xor, gauss; with --data also
                            mnist, fashion-mnist and cifar10,
                            which --download fetches

It says what it understood, and what is odd about it; chooses a network and how it is trained, each
of which an option changes; and leaves the run in a folder, with a report.
"""
)
@click.argument("dataset", required=False, metavar="DATA")
@settings_options
@click.option("--download", is_flag=True, help="Fetch mnist, fashion-mnist or cifar10 to --data.")
@click.option("--config", type=click.Path(path_type=Path), help="A TOML file with such settings.")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/DATA]")
@click.option("--resume", is_flag=True, help="Continue the run in the run folder.")
@click.option(
    "--progress",
    type=click.Choice(["auto", "bar", "lines", "quiet"], case_sensitive=False),
    default="auto",
    help="A bar (on a terminal), a line for each epoch (elsewhere), or nothing.",
)
def train(
    dataset: str | None,
    config: Path | None,
    out: Path | None,
    resume: bool,
    progress: str,
    download: bool,
    **options: Any,
) -> None:
    """Train."""
    context = click.get_current_context()
    console = make_console(quiet=progress == "quiet")
    typed = given(context, options)
    if dataset is not None:
        typed |= _named(dataset, typed)
    wanted = {**({} if config is None else read_file(config)), **typed}
    if download:
        wanted["data"] = _fetched(wanted)
    task, settings, folder = _task(wanted, out, resume)
    job = Job(task, folder, settings, resume=resume)
    context.with_resource(job.start())
    if job.moved is not None:
        text = f"The earlier run in {job.folder} is now {job.moved}."
        console.print(Text(text, style="dim"), soft_wrap=True)
    _introduce(console, job)
    run = job.train(progress=progress, console=console)
    if job.stopped == INTERRUPTED:
        cure = f"Continue with: backlit train --resume --out {job.folder}"
        console.print(Text(cure), soft_wrap=True)
        context.exit(INTERRUPTED_STATUS)
    _conclude(console, job, run)


def _fetched(wanted: dict[str, Any]) -> str:
    """Where the set that is asked for lies, after what lacks has been fetched."""
    if "dataset" not in wanted:
        raise click.UsageError("--download needs the name of a set, as: backlit train mnist")
    try:
        return fetched(wanted["dataset"].lower(), wanted.get("data"))
    except ArgumentError as error:
        raise click.UsageError(f"--{error}") from None


def _named(dataset: str, typed: dict[str, Any]) -> dict[str, Any]:
    """What the argument means: data; or a network of one's own, whose data is an option."""
    if ".py:" not in dataset:
        return {"dataset": dataset}
    if "data" not in typed:
        raise click.UsageError(f"{dataset} needs its data: --data FILE_OR_FOLDER")
    path, _, name = dataset.rpartition(":")
    return {"model": f"{Path(path).resolve()}:{name}", "dataset": typed.pop("data"), "data": None}


def _task(
    wanted: dict[str, Any], out: Path | None, resume: bool
) -> tuple[Recipe, dict[str, Any], Path | None]:
    """The task, its settings, and the run's folder; what is typed wrong is a mistake of usage."""
    wanted = {k: v for k, v in wanted.items() if v is not None}
    if "dataset" not in wanted and not (resume and out):
        raise click.UsageError("Missing argument 'DATA': a file, a folder, or a built-in set.")
    try:
        folder = out
        if resume:
            folder = out or Path("runs") / Path(wanted["dataset"]).stem.lower()
            source, settings = resumed(folder, wanted)
            task = look_at(source)
        else:
            task = look_at(Source.of(wanted))
            names = {s.name for s in SOURCE}
            settings = task.set(**{k: v for k, v in wanted.items() if k not in names})
    except ArgumentError as error:
        raise click.UsageError(str(error)) from None
    assert isinstance(task, Recipe)
    return task, settings, folder


def _introduce(console: Console, job: Job) -> None:
    s, task = job.settings, job.task
    extras = []
    if s["model"] != "linear" and ".py:" not in s["model"]:
        extras = [
            s.get("activation"),
            "batch norm" if s.get("batch_norm") else None,
            f"dropout {s['dropout']:g}" if s.get("dropout") else None,
        ]
    counted = quantity(sum(p.size for p in job.model.parameters()), "parameter")
    rows: list[tuple[str, Any]] = [
        (task.name, job.report.facts["data"]),
        *task.found,
        *job.found,
        ("model", f"{', '.join([s['model'], *filter(None, extras)])}  ({counted})"),
        ("training", job.report.facts["settings"]),
        *(("note", Text(w, style="yellow")) for w in task.warnings),
    ]
    _table(console, rows)
    console.print()


def _conclude(console: Console, job: Job, run: Run) -> None:
    head = job.form.target.headline
    first, *others = run.result["test"].items()
    text = Text.assemble((score_text(*first), "bold green"))
    tested = quantity(run.result["test_examples"], "example")
    text.append(f"  on {tested}, never seen before", style="dim")
    more = ", ".join(f"{name} {score_text(name, value)}" for name, value in others)
    console.print()
    folder = job.folder
    _table(
        console,
        [
            (f"test {head}", text),
            ("", Text(more, style="dim")),
            ("trained in", f"{job.seconds:.1f} s, best epoch {run.result['best_epoch']}"),
            ("saved run", str(folder)),
            ("settings", str(folder / CONFIG)),
            ("report", str(folder / REPORT)),
            ("look at it", f"backlit eval {folder}"),
            ("", f"backlit predict {folder}"),
        ],
    )


def _table(console: Console, rows: list[tuple[str, Any]]) -> None:
    """Names and what belongs to them; on a terminal long values go on below their beginning."""
    width = max(len(name) for name, _ in rows) + 2
    for name, value in rows:
        text = value if isinstance(value, Text) else Text(str(value))
        room = console.width - width
        lines = text.wrap(console, room) if console.is_terminal and room >= 20 else [text]
        for i, part in enumerate(lines):
            line = Text.assemble(((name if i == 0 else "").ljust(width), "cyan"))
            console.print(line.append_text(part), soft_wrap=True)
