"""`backlit grad`: every gradient of a formula, as a tree."""

from __future__ import annotations

import json
import re
from typing import IO, Any

import click

from ..errors import BacklitError
from ..see.formula import ExpressionError, differentiate, parse_value
from ..see.formula.language import FUNCTIONS
from ..see.formula.tree import render
from .output import make_console

_HELP = f"""Show every gradient of EXPRESSION at the given VALUES.

\b
  backlit grad "(x + y) * max(y, z)" x=1 y=2 z=0
  backlit grad "norm(W @ x)**2" "W=[[0.1, 0.5], [-0.3, 0.8]]" "x=[0.2, 0.4]"
  backlit grad "q = x + y; q * z" x=-2 y=5 z=-4

For every gate the tree shows its value, the upstream gradient that arrives, the local gradient of
each input, and the downstream gradient that is sent on: upstream times local.

The language has + - * / ** @, unary minus, indexing, .T, lists of numbers, definitions (q = x + y;)
and these functions: {", ".join(FUNCTIONS)}. Reductions take axis=.
"""


class _Mistake(click.ClickException):
    """A mistake in what was typed: one line, a mark under its place, exit status 2."""

    exit_code = 2

    def __init__(self, error: BacklitError):
        super().__init__(" ".join(str(error).split()))
        self.error = error

    def show(self, file: IO[Any] | None = None) -> None:
        where = ""
        if isinstance(self.error, ExpressionError):
            where = f" (column {self.error.column + 1})"
        click.echo(f"backlit grad: {self.message}{where}", file=file, err=file is None)
        if isinstance(self.error, ExpressionError):
            for line in self.error.pointer.splitlines():
                click.echo(f"  {line}", file=file, err=file is None)


def _read_values(arguments: tuple[str, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for argument in arguments:
        if argument.startswith("--"):
            raise click.NoSuchOption(argument.partition("=")[0])
        name, equals, _ = argument.partition("=")
        if not equals or not re.fullmatch(r"\s*[^\W\d]\w*\s*", name):
            raise ExpressionError(
                "a value must be written NAME=VALUE, as in x=2 or 'W=[[1, 2], [3, 4]]'",
                argument,
                0,
                len(argument),
            )
        if name.strip() in values:
            raise ExpressionError(f"{name.strip()} has two values", argument, 0, len(name))
        values[name.strip()] = parse_value(argument, len(name) + 1)
    return values


@click.command(help=_HELP, context_settings={"ignore_unknown_options": True})
@click.argument("expression")
@click.argument("values", nargs=-1, metavar="NAME=VALUE...")
@click.option("--upstream", metavar="VALUE", help="The gradient that arrives at the result.")
@click.option(
    "--dtype",
    type=click.Choice(["float64", "float32", "float16", "bfloat16"]),
    default="float64",
    show_default=True,
    help="The type to compute in.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print everything as JSON, in full precision."
)
@click.option("--no-color", is_flag=True, help="Print without colours, as when not on a terminal.")
def grad(
    expression: str,
    values: tuple[str, ...],
    upstream: str | None,
    dtype: str,
    as_json: bool,
    no_color: bool,
) -> None:
    """Show every gradient of a formula."""
    if expression.startswith("--"):
        raise click.NoSuchOption(expression.partition("=")[0])
    try:
        given = _read_values(values)
        start = None if upstream is None else parse_value(upstream)
        result = differentiate(expression, given, upstream=start, dtype=dtype)
    except BacklitError as error:
        raise _Mistake(error) from None
    if as_json:
        click.echo(json.dumps(result.to_dict(), indent=2))
        return
    console = make_console(color_system=None if no_color else "auto")
    console.print(render(result, console.width))
