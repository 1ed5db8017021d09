"""`backlit predict`: what a saved run says about examples, with pictures of what it sees."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.text import Text

from ..autograd import no_grad
from ..data import read_idx
from ..errors import DataError
from ..nn import Module
from ..nn.functional import softmax
from ..tensor import as_tensor
from .output import make_console
from .pictures import bar, beside, has_colours, image, plain_region, region
from .runs import load_network
from .tasks import Task, load_test

_REACH = 6.0  # of the drawn region
_COLUMNS, _ROWS = 64, 64  # two rows make a line


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("inputs", nargs=-1)
@click.option("--data", type=click.Path(), help="Folder with the IDX files, if it has moved.")
@click.option("--examples", type=click.IntRange(1, 100), default=5, show_default=True)
@click.option("--wrong", is_flag=True, help="Show test examples that the network gets wrong.")
def predict(
    run: Path, inputs: tuple[str, ...], data: str | None, examples: int, wrong: bool
) -> None:
    """Apply the network of RUN to INPUTS.

    An input is a file with examples in rows (.npy, .csv, or IDX as of MNIST), or for the playground
    sets a point such as 1.5,-2. Without inputs some test examples are shown, or for the playground
    sets the plane with what the network says everywhere.
    """
    task, settings, model = load_network(run)
    console = make_console()
    if inputs:
        for given in inputs:
            x = _read(task, given)
            _print_predictions(console, task, given, _probabilities(model, x))
        return
    test = load_test(task, settings, data)
    x, y = (t.numpy() for t in test.tensors)
    shares = _probabilities(model, x)
    if task.kind == "points" and not wrong:
        _draw_plane(console, model, x, y)
        return
    chosen = np.arange(len(y))
    if wrong:
        chosen = chosen[shares.argmax(axis=1) != y]
        if not len(chosen):
            console.print("No test example is wrong.")
            return
    for i in chosen[:examples]:
        _print_example(console, task, int(i), x[i], int(y[i]), shares[i])


def _probabilities(model: Module, x: np.ndarray) -> np.ndarray:
    """(N, classes), in batches of bounded memory."""
    with no_grad():
        parts = [
            softmax(model(as_tensor(x[i : i + 1000])), dim=1).numpy()
            for i in range(0, len(x), 1000)
        ]
    return np.concatenate(parts)


def _read(task: Task, given: str) -> np.ndarray:
    """The examples in a file, or the point that is given."""
    path = Path(given)
    if task.kind == "points" and not path.exists():
        try:
            numbers = [float(part) for part in given.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) == 2 and all(map(math.isfinite, numbers)):
            return np.array([numbers], np.float32)
    if not path.is_file():
        what = "a file or a point such as 1.5,-2" if task.kind == "points" else "a file"
        raise DataError(f"predict: an input must be {what}, got {given}, which does not exist")
    x = _read_file(path)
    size = math.prod(task.example)
    if x.size == 0 or x.size % size or (x.ndim > 1 and x[0].size % size):
        raise DataError(
            f"predict: {given} must have rows of {size} numbers "
            f"({'×'.join(map(str, task.example))}), got the shape {x.shape}"
        )
    x = x.reshape(-1, *task.example)
    scaled = x.astype(np.float32)
    if x.dtype == np.uint8 and task.kind == "image":
        scaled *= np.float32(1 / 255)
    if not np.isfinite(scaled).all():
        raise DataError(f"predict: {given} must hold finite numbers, got NaN or infinity")
    return scaled


def _read_file(path: Path) -> np.ndarray:
    if path.suffix == ".npy":
        try:
            x = np.load(path, allow_pickle=False)
        except Exception as error:  # NumPy lets everything through that a bad header makes happen
            raise DataError(f"predict: {path} is not a whole NumPy file: {_line(error)}") from None
    elif path.suffix in (".csv", ".txt"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it is empty is said below
                x = np.loadtxt(path, dtype=np.float64, delimiter=",", ndmin=2, comments=None)
        except (ValueError, OSError) as error:
            raise DataError(
                f"predict: {path} must have numbers with commas in each line: {_line(error)}"
            ) from None
    else:
        x = read_idx(path)
    if x.dtype.kind not in "fiub":
        raise DataError(f"predict: {path} must hold numbers, got {x.dtype}")
    return x


def _line(error: Exception) -> str:
    """The beginning of an error: a file's content may stand in it."""
    return f"{type(error).__name__} {error}".splitlines()[0][:120]


def _print_predictions(console: Console, task: Task, given: str, shares: np.ndarray) -> None:
    for i, row in enumerate(shares):
        best = int(row.argmax())
        name = given if len(shares) == 1 else f"{given}[{i}]"
        line = Text.assemble((f"{name}  ", "dim"))
        line.append(task.classes[best], style="bold")
        line.append(f"  {100 * row[best]:.1f} %")
        console.print(line, soft_wrap=True)


def _print_example(
    console: Console, task: Task, number: int, x: np.ndarray, label: int, shares: np.ndarray
) -> None:
    """The picture of an example, beside the network's three likeliest classes."""
    best = np.argsort(-shares, kind="stable")[:3]
    right = int(best[0]) == label
    title = Text.assemble((f"test example {number}: ", "dim"))
    title.append(task.classes[label])
    title.append("  right" if right else "  wrong", style="green" if right else "bold red")
    lines = [title, Text()]
    width = max(map(len, task.classes))
    for c in best:
        line = Text(f"{task.classes[c]:>{width}} {100 * shares[c]:5.1f} % ")
        line.append(bar(float(shares[c]), 20), style="green" if c == label else "red")
        lines.append(line)
    if task.kind == "image":
        lines = beside([image(x[0], has_colours(console)), lines])
    for line in lines:
        console.print(line, soft_wrap=True)
    console.print()


def _draw_plane(console: Console, model: Module, x: np.ndarray, y: np.ndarray) -> None:
    """The network's answer at every place of the plane, and the test points."""
    side = (np.arange(_COLUMNS) + 0.5) / _COLUMNS * 2 * _REACH - _REACH
    down = _REACH - (np.arange(_ROWS) + 0.5) / _ROWS * 2 * _REACH
    grid = np.stack(np.meshgrid(side, down), axis=-1).reshape(-1, 2).astype(np.float32)
    shares = _probabilities(model, grid)[:, 1].reshape(_ROWS, _COLUMNS)
    lines: list[Any] = (
        region(shares, x, y, _REACH) if has_colours(console) else plain_region(shares)
    )
    for line in lines:
        console.print(line, soft_wrap=True)
    legend = "background: what the network says; dots: the test points, in their true colour"
    if not has_colours(console):
        legend = "# blue  . orange, as the network says"
    console.print(Text(legend, style="dim"))
