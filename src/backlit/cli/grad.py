"""`backlit grad`: every gradient of a formula, as a tree."""

from __future__ import annotations

import json

import click

from ..see.formula.language import FUNCTIONS, parse_value
from ..see.formula.tree import differentiate, render
from .output import make_console
from .source import OfFormula, read_values

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


@click.command(help=_HELP, cls=OfFormula)
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
    given = read_values(values)
    start = None if upstream is None else parse_value(upstream)
    result = differentiate(expression, given, upstream=start, dtype=dtype)
    if as_json:
        click.echo(json.dumps(result.to_dict(), indent=2))
        return
    console = make_console(color_system=None if no_color else "auto")
    console.print(render(result, console.width))
