"""`backlit summary`: a network layer by layer."""

from __future__ import annotations

import click
import numpy as np

from .. import models
from ..errors import ArgumentError
from ..nn import Module
from ..recipes.script import run_file
from ..see import summary as summarise
from ..tensor import as_tensor
from .output import make_console
from .shapes import random_array


@click.command(
    help="""Show the layers of MODEL: results, parameters, operations, bytes kept for backward.

\b
  backlit summary resnet18
  backlit summary resnet18 --input 3x64x64 --batch 32 --depth 1
  backlit summary net.py:Net --input 1x28x28
  backlit summary gpt2 --input 64:50257          64 whole numbers below 50257

MODEL is a name of `backlit models`, or a class, function or network in a file. The shape is that of
one sample.
"""
)
@click.argument("model")
@click.option("--input", "shapes", multiple=True, help="Shape of a sample, as 3x224x224 or 64:100.")
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Samples.")
@click.option("--depth", type=click.IntRange(min=0), help="Count deeper layers to their parents.")
def summary(model: str, shapes: tuple[str, ...], batch: int, depth: int | None) -> None:
    """Summarise a network."""
    if ".py:" in model:
        if not shapes:
            raise ArgumentError(f"summary: {model} needs an input: --input 3x224x224, of a sample")
        network = _of_file(model)
    else:
        known = models.about(model)
        network = models.create(model)
        shapes = shapes or ("x".join(map(str, known.input)) + ":2" * (known.dtype == "int64"),)
    rng = np.random.default_rng(0)
    inputs = [random_array(f"{batch}x{shape}", rng) for shape in shapes]
    tensors = [as_tensor(a.astype(np.float32) if a.dtype.kind == "f" else a) for a in inputs]
    found = summarise(network, *tensors)
    make_console(soft_wrap=True).print(found if depth is None else found.to_depth(depth))


def _of_file(target: str) -> Module:
    path, _, name = target.rpartition(":")
    variables = run_file(path, "summary")
    if name not in variables:
        known = [n for n, v in variables.items() if callable(v) and not n.startswith("_")]
        raise ArgumentError(f"summary: {path} has no {name!r}; it has {', '.join(known)}")
    made = variables[name]
    try:
        made = made if isinstance(made, Module) else made()
    except TypeError as error:
        raise ArgumentError(
            f"summary: {target} cannot be made: {error}; give its arguments defaults, or name a "
            "network"
        ) from None
    if not isinstance(made, Module):
        raise ArgumentError(f"summary: {target} must be a Module, got {type(made).__name__}")
    return made
