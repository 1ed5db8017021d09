"""`backlit draw`: the graph of a script, a saved record or a formula as a picture."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from ..errors import ArgumentError
from ..see.show.draw import draw as draw_record
from ..table import quantity
from .output import make_console
from .source import HELP, OfFormula, load

_FORMS = (".html", ".svg", ".dot", ".txt", ".json")


@click.command(
    help=f"""Draw the graph of SOURCE, in the terminal or into a file.

\b
  backlit draw net.py -o net.html --open
  backlit draw "(x + y) * max(y, z)" x=-2 y=5 z=-4

{HELP}""",
    cls=OfFormula,
)
@click.argument("source")
@click.argument("values", nargs=-1, metavar="[NAME=VALUE]...")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    help="A .html, .svg, .dot, .txt or .json (the record itself) file. Without: the terminal.",
)
@click.option("--open", "show", is_flag=True, help="Open the .html file in the browser.")
@click.option("--title", help="The title of the picture.")
@click.option(
    "--unfold",
    multiple=True,
    metavar="OP",
    help="Open an op in place, by name or kind (lstm_scan): the gates it is made of.",
)
def draw(
    source: str,
    values: tuple[str, ...],
    output: str | None,
    show: bool,
    title: str | None,
    unfold: tuple[str, ...],
) -> None:
    """Draw a graph in the terminal or into a file."""
    if show and (output is None or not output.endswith(".html")):
        raise ArgumentError("draw: --open needs an .html file, as in -o graph.html --open")
    if output is not None and Path(output).suffix.lower() not in _FORMS:  # before the script runs
        raise ArgumentError(f"draw: FILE must end in {', '.join(_FORMS)}, got {output!r}")
    record = load(source, values)
    if output is None:
        make_console().print(draw_record(record, title=title, unfold=unfold))
        return
    if output.endswith(".json"):
        record.save(output)
    else:
        draw_record(record, title=title, unfold=unfold).save(output)
    nodes, edges = quantity(len(record.nodes), "node"), quantity(len(record.edges), "edge")
    click.echo(f"{output}: {nodes}, {edges}")
    if show:
        webbrowser.open(Path(output).resolve().as_uri())
