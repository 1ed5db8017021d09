"""`backlit eval`: how good a saved run is on examples it has never seen."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..recipes import load
from ..recipes.run import finite, outputs_of
from ..recipes.targets import Classes, Labels, Target, score_text
from ..table import quantity
from ..train import ConfusionMatrix
from .output import make_console

#: Of more classes the matrix does not fit a terminal.
MOST_CLASSES = 20


@click.command("eval")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(), help="Where the data is now, if it has moved.")
@click.option(
    "--checkpoint",
    type=click.Choice(["best", "latest"], case_sensitive=False),
    default="best",
    show_default=True,
    help="Which weights: those chosen by the validation examples, or the last.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
def evaluate(run: Path, data: str | None, checkpoint: str, as_json: bool) -> None:
    """Measure the network of RUN on its test examples."""
    found = load(run, checkpoint)
    target = found.form.target
    outputs, answers = outputs_of(found.model, found.test(data))
    scores = target.scores(outputs, answers)
    matrix = None
    if isinstance(target, Classes):
        matrix = ConfusionMatrix(target.width)
        matrix.update(outputs, answers)
    if as_json:
        content = {"dataset": found.source.dataset, "examples": len(answers), **scores}
        if matrix is not None:
            content |= _as_json(target, matrix)
        click.echo(json.dumps(finite(content), indent=2))
        return
    console = make_console()
    (name, value), *others = scores.items()
    head = Text.assemble((f"test {name}  ", "cyan"), (score_text(name, value), "bold green"))
    more = "".join(f", {n} {score_text(n, v)}" for n, v in others)
    head.append(f"  on {quantity(len(answers), 'example')}{more}", style="dim")
    console.print(head, soft_wrap=True)
    if matrix is not None:
        console.print()
        console.print(_by_class(target, matrix))
        if target.width <= MOST_CLASSES:
            console.print()
            _print_confusion(console, target, matrix.counts)
    elif isinstance(target, Labels):
        console.print()
        console.print(_by_label(target, outputs, answers))


def _as_json(target: Target, matrix: ConfusionMatrix) -> dict[str, Any]:
    return {
        "classes": list(target.labels),
        "precision": matrix.precision().tolist(),
        "recall": matrix.recall().tolist(),
        "f1": matrix.f1().tolist(),
        "confusion": matrix.counts.tolist(),
    }


def _by_label(target: Labels, outputs: np.ndarray, answers: np.ndarray) -> Table:
    """Each label as a class of its own: there, or not there."""
    rows = []
    for i, name in enumerate(target.names):
        matrix = ConfusionMatrix(2)
        matrix.update(outputs[:, i], answers[:, i])
        ratios = (r()[1] for r in (matrix.precision, matrix.recall, matrix.f1))
        rows.append((name, int(matrix.counts[1].sum()), *ratios))
    return _table(rows, "label")


def _by_class(target: Target, matrix: ConfusionMatrix) -> Table:
    rows = zip(
        target.labels,
        matrix.counts.sum(axis=1),
        matrix.precision(),
        matrix.recall(),
        matrix.f1(),
        strict=True,
    )
    return _table(rows, "class")


def _table(rows: Iterable[tuple[Any, ...]], what: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(what)
    for title in ("examples", "precision", "recall", "F1"):
        table.add_column(title, justify="right")
    for name, count, *ratios in rows:
        table.add_row(name, f"{count:,}", *(_percent(r) for r in ratios))
    return table


def _percent(ratio: float) -> Text:
    if math.isnan(ratio):
        return Text("-", style="dim")
    style = "green" if ratio >= 0.95 else "yellow" if ratio >= 0.8 else "red"
    return Text(f"{100 * ratio:.1f} %", style=style)


def _print_confusion(console: Console, target: Target, counts: np.ndarray) -> None:
    """Rows are the true classes, columns what they were taken for."""
    console.print(Text("true class in rows, taken for in columns", style="dim"))
    width = max(len(f"{counts.max():,}"), 4) + 1
    name_width = max(map(len, target.labels))
    titles = [name[: width - 1].rjust(width) for name in target.labels]
    console.print(Text(" " * name_width + "".join(titles), style="dim"), soft_wrap=True)
    for i, name in enumerate(target.labels):
        line = Text.assemble((name.rjust(name_width), "dim"))
        for j, n in enumerate(counts[i]):
            style = "green" if i == j else "bold red" if n else "bright_black"
            line.append((f"{n:,}" if n else "·").rjust(width), style=style)
        console.print(line, soft_wrap=True)
