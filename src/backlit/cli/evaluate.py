"""`backlit eval`: how good a saved run is on examples it has never seen."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..autograd import no_grad
from ..data import DataLoader
from ..nn.functional import cross_entropy
from ..train import ConfusionMatrix, Mean
from .output import make_console
from .runs import load_network
from .tasks import Task, load_test


@click.command("eval")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(), help="Folder with the IDX files, if it has moved.")
@click.option(
    "--checkpoint",
    type=click.Choice(["best", "latest"]),
    default="best",
    show_default=True,
    help="Which weights: those chosen by the validation examples, or the last.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
def evaluate(run: Path, data: str | None, checkpoint: str, as_json: bool) -> None:
    """Measure the network of RUN on its test examples."""
    task, settings, model = load_network(run, checkpoint)
    test = load_test(task, settings, data)
    matrix, loss = ConfusionMatrix(len(task.classes)), Mean()
    with no_grad():
        for x, y in DataLoader(test, 1000):
            scores = model(x)
            matrix.update(scores, y)
            loss.add(float(cross_entropy(scores, y)), len(y))
    if as_json:
        click.echo(json.dumps(_as_json(task, matrix, loss), indent=2))
        return
    console = make_console()
    accuracy = Text.assemble(("test accuracy  ", "cyan"))
    accuracy.append(f"{100 * matrix.compute():.2f} %", style="bold green")
    right, total = int(np.trace(matrix.counts)), int(matrix.counts.sum())
    accuracy.append(f"  {right:,} of {total:,} right, loss {loss.compute():.4f}", style="dim")
    console.print(accuracy)
    console.print()
    console.print(_by_class(task, matrix))
    console.print()
    _print_confusion(console, task, matrix.counts)


def _as_json(task: Task, matrix: ConfusionMatrix, loss: Mean) -> dict[str, Any]:
    def known(values: np.ndarray) -> list[float | None]:
        return [None if math.isnan(v) else float(v) for v in values]

    return {
        "dataset": task.name,
        "examples": int(matrix.counts.sum()),
        "accuracy": matrix.compute(),
        "loss": loss.compute(),
        "classes": list(task.classes),
        "precision": known(matrix.precision()),
        "recall": known(matrix.recall()),
        "f1": known(matrix.f1()),
        "confusion": matrix.counts.tolist(),
    }


def _by_class(task: Task, matrix: ConfusionMatrix) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("class")
    for title in ("examples", "precision", "recall", "F1"):
        table.add_column(title, justify="right")
    rows = zip(
        task.classes,
        matrix.counts.sum(axis=1),
        matrix.precision(),
        matrix.recall(),
        matrix.f1(),
        strict=True,
    )
    for name, count, *ratios in rows:
        table.add_row(name, f"{count:,}", *(_percent(r) for r in ratios))
    return table


def _percent(ratio: float) -> Text:
    if math.isnan(ratio):
        return Text("-", style="dim")
    style = "green" if ratio >= 0.95 else "yellow" if ratio >= 0.8 else "red"
    return Text(f"{100 * ratio:.1f} %", style=style)


def _print_confusion(console: Console, task: Task, counts: np.ndarray) -> None:
    """Rows are the true classes, columns what they were taken for."""
    console.print(Text("true class in rows, taken for in columns", style="dim"))
    width = max(len(f"{counts.max():,}"), 4) + 1
    name_width = max(map(len, task.classes))
    titles = [name[: width - 1].rjust(width) for name in task.classes]
    console.print(Text(" " * name_width + "".join(titles), style="dim"), soft_wrap=True)
    for i, name in enumerate(task.classes):
        line = Text.assemble((name.rjust(name_width), "dim"))
        for j, n in enumerate(counts[i]):
            style = "green" if i == j else "bold red" if n else "bright_black"
            line.append((f"{n:,}" if n else "·").rjust(width), style=style)
        console.print(line, soft_wrap=True)
