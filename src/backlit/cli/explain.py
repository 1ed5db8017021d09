"""`backlit explain`: the gradient of a tensor, path by path."""

from __future__ import annotations

import click

from ..errors import ArgumentError
from ..see.show.explain import explain as explain_gradient
from ..see.show.words import name_of
from .source import HELP, OfFormula, load


@click.command(
    help=f"""Explain the gradients of SOURCE path by path.

\b
  backlit explain "q = x + y; q * max(y, z)" x=-2 y=5 z=-4
  backlit explain net.py --of fc1.weight --top 5

{HELP}""",
    cls=OfFormula,
)
@click.argument("source")
@click.argument("values", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--of", "names", multiple=True, help="Which tensor; again for more. Without: all.")
@click.option("--top", default=8, show_default=True, help="How many paths to list.")
@click.option(
    "--as",
    "form",
    type=click.Choice(["text", "unicode", "latex", "mathml"]),
    default="text",
    show_default=True,
    help="Words with numbers, or one formula.",
)
def explain(
    source: str, values: tuple[str, ...], names: tuple[str, ...], top: int, form: str
) -> None:
    """Explain gradients path by path."""
    record = load(source, values)
    wanted = list(names) or [
        name_of(n) for n in record.leaves if n.requires_grad and n.upstream is not None
    ]
    if not wanted:
        raise ArgumentError(
            f"explain: {source} computed no gradient; its last op must give a single number that "
            "depends on a tensor with requires_grad=True"
        )
    for i, name in enumerate(wanted):
        if i and form == "text":
            click.echo()
        found = explain_gradient(name, record, top=top)
        click.echo(getattr(found, form)())
