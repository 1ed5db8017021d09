"""`backlit models`: the networks that there are."""

from __future__ import annotations

from textwrap import shorten
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from ..models import about, names
from .output import make_console


@click.command()
@click.argument("word", default="")
def models(word: str) -> None:
    """List the networks, or those with WORD in their names.

    Each with its parameters, the multiply-adds of one sample of the given shape, and the memory of
    its parameters in MiB. `backlit summary NAME` shows one layer by layer.
    """
    found = [about(n) for n in names() if word.lower() in n]
    if not found:
        about(word)  # which says what is meant
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("name", no_wrap=True)
    for title in ("sample", "parameters", "multiply-adds", "MiB"):
        table.add_column(title, justify="right", no_wrap=True)
    console = make_console()
    room = console.width - 60 - max(len(n.name) for n in found)
    if room >= 20:
        table.add_column("what it is", style="dim", no_wrap=True)
    for n in found:
        size = "×".join(map(str, n.input)) + (" tokens" if n.dtype == "int64" else "")
        row: list[Any] = [
            Text(n.name, style="bold"),
            size,
            f"{n.parameters:,}",
            f"{n.multiply_adds:,}",
        ]
        row.append(f"{n.bytes / 2**20:,.1f}")
        table.add_row(*row, *([shorten(n.about, room, placeholder=" …")] if room >= 20 else []))
    console.print(table)
