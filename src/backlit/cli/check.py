"""`backlit check`: is a hand-written gradient right, and if not, why?"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..errors import ArgumentError
from ..gates import as_op, is_gate
from ..nn.module import Module
from ..op import Op
from ..recipes.script import run_file
from ..see.checks import WRONG
from ..see.checks import check as check_gradient
from .output import make_console
from .shapes import random_array


@click.command(
    help="""Check the gradients of FILE.py:NAME: an op, a gate with forward(x) and backward(dz), a
layer, a model or a function; or of FILE.py:FORWARD,BACKWARD, two functions of arrays.

\b
  backlit check ops.py:MySoftmax --shape 3x4 -a axis=1
  backlit check gates.py:MultiplyGate
  backlit check net.py:Net --shape 8x20
  backlit check loss.py:my_loss --shape 5x3 --shape 5:3

Inputs are one random array for each --shape (`5x2:7` are integers below 7); else the file's
`example_inputs` (a tuple, or a function that returns one); else, for an op, one array of 3x4 for
each input. The exit status is 1 if a gradient is wrong, 2 if it cannot be judged.
"""
)
@click.argument("target", metavar="FILE.py:NAME")
@click.option("--shape", "shapes", multiple=True, help="Shape of one input, as 3x4 or 5:10.")
@click.option("-a", "--attribute", "attributes", multiple=True, help="NAME=VALUE for the op.")
@click.option("--seed", default=0, show_default=True, help="Of the random inputs.")
def check(target: str, shapes: tuple[str, ...], attributes: tuple[str, ...], seed: int) -> None:
    """Check gradients."""
    filename, colon, name = target.rpartition(":")
    if not colon or not filename.endswith(".py"):
        raise ArgumentError(f"check: the target must be FILE.py:NAME, got {target!r}")
    variables = run_file(Path(filename), "check")
    names = name.split(",")
    missing = [n for n in names if n not in variables]
    if missing:
        callables = [
            n for n, v in variables.items() if callable(v) and not n.startswith("_")
        ]  # fmt: skip
        known = ", ".join(callables) or "nothing to check"
        raise ArgumentError(f"check: {filename} has no {missing[0]!r}; it has {known}")
    found = [variables[n] for n in names]
    subject = _subject(found[0] if len(found) == 1 else found, name, attributes)
    inputs = _inputs(subject, variables, shapes, seed)
    result = check_gradient(subject, *inputs, seed=seed)
    make_console(soft_wrap=True).print(result)
    if not result.ok:
        raise SystemExit(1 if result.verdict == WRONG else 2)


def _subject(found: Any, name: str, attributes: tuple[str, ...]) -> Any:
    given: dict[str, Any] = {}
    for text in attributes:
        key, equals, value = text.partition("=")
        try:
            given[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            equals = ""
        if not equals:
            raise ArgumentError(f"check: an attribute must be NAME=VALUE, got {text!r}")
    if isinstance(found, type) and (issubclass(found, Op | Module) or is_gate(found)):
        try:
            found = found(**given)
            return found if isinstance(found, Op | Module) else as_op(found, "check")
        except TypeError as error:
            raise ArgumentError(
                f"check: {name} cannot be made: {error}; name an instance, or give -a NAME=VALUE"
            ) from None
    if given:
        raise ArgumentError(f"check: {name} takes no attributes, it is no class of ops or modules")
    if not isinstance(found, Op | Module) and is_gate(found):
        return as_op(found, "check")
    return found


def _inputs(
    subject: Any, variables: dict[str, Any], shapes: tuple[str, ...], seed: int
) -> list[Any]:
    if not shapes and "example_inputs" in variables:
        given = variables["example_inputs"]
        given = given() if callable(given) else given
        return list(given) if isinstance(given, tuple | list) else [given]
    rng = np.random.default_rng(seed)
    if not shapes:
        if not isinstance(subject, Op):
            raise ArgumentError(
                "check: a layer or function needs inputs: give --shape 8x20, or define "
                "example_inputs in the file"
            )
        shapes = ("3x4",) * len(subject.parameters)
    return [random_array(text, rng) for text in shapes]
