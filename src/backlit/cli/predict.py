"""`backlit predict`: what a saved run says about examples, with pictures of what it sees."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.text import Text

from ..nn import Module
from ..recipes import Prediction, Run, load
from ..recipes.form import apply
from ..recipes.run import outputs_of
from ..recipes.targets import Classes, log_softmax
from ..train.report.examples import is_picture
from .output import make_console
from .pictures import bar, beside, has_colours, image, plain_region, region

_REACH = 6.0  # of the drawn region
_COLUMNS, _ROWS = 64, 64  # two rows make a line
#: Classes that are shown of one prediction, and columns of a picture.
_SHOWN, _PIXELS = 3, 32


class _Numbers(click.Command):
    """A command whose arguments may be negative numbers: `-1.5,-2` is no option."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Put a blank before such an argument."""
        marked = [f" {a}" if re.match(r"-\.?\d", a) else a for a in args]
        return super().parse_args(context, marked)


@click.command(
    cls=_Numbers,
    help="""Apply the network of RUN to INPUTS.


  backlit predict runs/photos cat.jpg other.png
  backlit predict runs/houses 'rooms=4, city=Oslo'    or new.csv, without the target
  backlit predict runs/tweets 'what a day'            or a .txt file, a line each
  backlit predict runs/circle 1.5,-2                  or .npy, .csv, IDX files

An input is what the network was trained on: a picture, a row of a table, a sentence, a file of
them. Without inputs some examples of the test are shown, and for points the whole plane.
""",
)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("inputs", nargs=-1)
@click.option("--data", type=click.Path(), help="Where the data is now, if it has moved.")
@click.option("--examples", type=click.IntRange(1, 100), default=5, show_default=True)
@click.option("--wrong", is_flag=True, help="Show test examples that the network gets wrong.")
def predict(
    run: Path, inputs: tuple[str, ...], data: str | None, examples: int, wrong: bool
) -> None:
    """Predict."""
    found = load(run)
    console = make_console()
    if inputs:
        for given in inputs:
            with _notes(console):
                for name, said in found.named_predictions(given.strip()):
                    _print_prediction(console, name, said)
        return
    test = found.test(data)
    outputs, answers = outputs_of(found.model, test)
    target = found.form.target
    if not isinstance(target, Classes):
        if wrong:
            raise click.UsageError("--wrong is for classes; this run learns no single class.")
        _print_beside(console, found, test, outputs, answers, examples)
        return
    if found.form.kind == "points" and not wrong:
        x = np.stack([test[i][0].numpy() for i in range(len(answers))])
        _draw_plane(console, found.model, x, answers)
        return
    shares = np.exp(log_softmax(outputs))
    chosen = np.arange(len(answers))
    if wrong:
        chosen = chosen[shares.argmax(axis=1) != answers]
        if not len(chosen):
            console.print("No test example is wrong.")
            return
    for i in chosen[:examples].tolist():
        _print_example(console, found, target, i, test[i][0].numpy(), int(answers[i]), shares[i])


@contextmanager
def _notes(console: Console) -> Iterator[None]:
    """Say what reading an input has warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        console.print(Text(f"note: {warning.message}", style="yellow"), soft_wrap=True)


def _print_prediction(console: Console, name: str, said: Prediction) -> None:
    line = Text.assemble((f"{name}  ", "dim"))
    value, gap, share = str(said).partition("  ")
    line.append(value, style="bold")
    line.append(gap + share)
    console.print(line, soft_wrap=True)


def _print_beside(
    console: Console, run: Run, test: Any, outputs: np.ndarray, answers: np.ndarray, most: int
) -> None:
    """What is said beside what is true, of some test examples."""
    shown = [test[i] for i in range(min(most, len(answers)))]
    inputs = [np.stack([t.numpy() for t in column]) for column in zip(*shown, strict=True)]
    said = run.form.predictions(outputs[:most], inputs[:-1])
    true = run.form.target.truths(answers[:most])
    for i, (one, other) in enumerate(zip(said, true, strict=True)):
        line = Text.assemble((f"test example {i}: ", "dim"), (str(other), ""))
        line.append("  network: ", style="dim")
        line.append(str(one), style="bold")
        console.print(line, soft_wrap=True)
        if run.form.describe is not None:
            text = run.form.describe(*(x[i] for x in inputs[:-1]))
            console.print(Text(f"  {text}", style="dim"), soft_wrap=True)


def _print_example(
    console: Console, run: Run, target: Classes, number: int, x: np.ndarray, label: int,
    shares: np.ndarray,
) -> None:  # fmt: skip
    """An example, beside the network's likeliest classes."""
    best = np.argsort(-shares, kind="stable")[:_SHOWN]
    right = int(best[0]) == label
    title = Text.assemble((f"test example {number}: ", "dim"))
    title.append(target.names[label])
    title.append("  right" if right else "  wrong", style="green" if right else "bold red")
    lines = [title, Text()]
    width = max(len(target.names[c]) for c in best)
    for c in best:
        line = Text(f"{target.names[c]:>{width}} {100 * shares[c]:5.1f} % ")
        line.append(bar(float(shares[c]), 20), style="green" if c == label else "red")
        lines.append(line)
    if run.form.describe is not None:
        lines.append(Text(run.form.describe(x), style="dim"))
    elif is_picture(x):
        lines = beside([image(_grey(x), has_colours(console)), lines])
    for line in lines:
        console.print(line, soft_wrap=True)
    console.print()


def _grey(x: np.ndarray) -> np.ndarray:
    """A picture in [0, 1] without colours, thinned out to what fits a terminal."""
    grey = x.reshape(-1, *x.shape[-2:]).mean(axis=0)
    step = -(-max(grey.shape) // _PIXELS)
    grey = grey[::step, ::step]
    low, high = min(float(grey.min()), 0.0), max(float(grey.max()), 1.0)
    return (grey - low) / (high - low)


def _draw_plane(console: Console, model: Module, x: np.ndarray, y: np.ndarray) -> None:
    """The network's answer at every place of the plane, and the test points."""
    side = (np.arange(_COLUMNS) + 0.5) / _COLUMNS * 2 * _REACH - _REACH
    down = _REACH - (np.arange(_ROWS) + 0.5) / _ROWS * 2 * _REACH
    grid = np.stack(np.meshgrid(side, down), axis=-1).reshape(-1, 2).astype(np.float32)
    shares = np.exp(log_softmax(apply(model, [grid])))[:, 1].reshape(_ROWS, _COLUMNS)
    lines: list[Any] = (
        region(shares, x, y, _REACH) if has_colours(console) else plain_region(shares)
    )
    for line in lines:
        console.print(line, soft_wrap=True)
    legend = "background: what the network says; dots: the test points, in their true colour"
    if not has_colours(console):
        legend = "# blue  . orange, as the network says"
    console.print(Text(legend, style="dim"))
