"""`backlit step`: going through a computation in the terminal, gate by gate."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import click
from rich.console import Console
from rich.text import Text

from ..errors import BacklitError
from ..see.records.model import Record
from ..see.show.explain import explain as explain_gradient
from ..see.show.words import name_of
from .output import make_console
from .source import HELP, OfFormula, load
from .stepper.walking import Walk

_KEYS = """\
  Enter, n     next stop                 p            previous stop
  b            to the backward pass      g NUMBER     go to a stop
  c            on to the next breakpoint (else to the end)
  at NAME      break at a node in the backward pass
  norm X       break where a gradient's norm is above X
  nan          break at the first gradient that is not finite
  clear        no breakpoints            w            values and gradients here
  x NAME       explain a gradient        !            Python, with all at hand
  h            this help                 q            quit"""


class _Session(Walk):
    """A walk whose commands are typed line by line."""

    def __init__(self, record: Record, console: Console):
        super().__init__(record)
        self.console = console

    def show(self) -> None:
        """The current stop between its neighbours, and its sentence."""
        total = len(self.stops)
        first = max(0, min(self.place - 2, total - 5))
        for s in self.stops[first : first + 5]:
            here = s.number == self.place
            color = "green" if s.phase == "forward" else "red"
            line = Text("▶ " if here else "  ", style="bold")
            line.append(f"{s.number + 1:>4} {s.phase:<8} ", style=color)
            line.append(s.node.label, style="bold" if here else "dim")
            self.console.print(line)
        stop = self.stop
        self.console.print(Text(stop.sentence), style="bold")
        where = self.record.location(stop.node)
        if where:
            self.console.print(Text(where), style="dim")

    def do(self, command: str) -> bool:
        """Do what was typed; False ends the session."""
        word, _, rest = command.strip().partition(" ")
        said = ""
        if word in ("q", "quit", "exit"):
            return False
        if word in ("", "n"):
            if self.place == self.last:
                said = "The end: every gradient is computed. q quits."
            self.go(self.place + 1)
        elif word == "p":
            self.go(self.place - 1)
        elif word == "b":
            self.place = self.turn
        elif word == "g" and rest.strip().isdecimal():
            self.go(int(rest) - 1)
        elif word == "c":
            self.run()
        elif word == "at" and rest:
            said = self._break_at(rest.strip())
        elif word == "norm" and _is_number(rest):
            self.norm = float(rest)
            said = f"Breaks where a gradient's norm is above {self.norm:g}."
        elif word == "nan":
            self.nonfinite = True
            said = "Breaks at the first gradient that is not finite."
        elif word == "clear":
            self.clear()
            said = "No breakpoints."
        elif word == "w":
            self._values()
            return True
        elif word == "x" and rest:
            said = str(explain_gradient(rest.strip(), self.record))
        elif word == "!":
            self.stop.interact()
        elif word in ("h", "help", "?"):
            said = _KEYS
        else:
            said = f"Not understood: {command.strip()}. h lists the commands."
        if said:
            self.console.print(said)
        else:
            self.show()
        return True

    def _break_at(self, name: str) -> str:
        """Break at a node in the backward pass, if it has a step there; says what was done."""
        node = self.record.find(name)
        if node.kind == "op":
            self.nodes.add(node.id)
            return f"Breaks at {name_of(node)} in the backward pass."
        uses = [name_of(self.record.nodes[e.target]) for e in self.record.outgoing[node.id]]
        instead = f"; break at {' or '.join(dict.fromkeys(uses))}" if uses else ""
        return f"{name_of(node)} is no gate, so no step of the backward pass is its{instead}."

    def _values(self) -> None:
        stop = self.stop
        for name, value, style in (
            ("value", stop.node.value, "green"),
            ("upstream", stop.node.upstream, "red"),
            *((f"to {self._source(e)}", e.gradient, "red") for e in stop.downstream),
        ):
            shown = "not computed" if value is None else f"{value.type} {value.text(6, 6)}"
            self.console.print(Text(f"  {name}: "), Text(shown, style=style), sep="")

    def _source(self, edge: object) -> str:
        return name_of(self.record.nodes[edge.source])  # type: ignore[attr-defined]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@click.command(
    help=f"""Go through SOURCE gate by gate: forward, then backward.

\b
  backlit step "(x + y) * max(y, z)" x=-2 y=5 z=-4
  backlit step net.py

In a terminal this takes the whole screen; ? lists the keys there. It needs the extra
`pip install 'backlit[terminal]'`. Without it, with --plain, or where input or output is not a
terminal, commands are typed line by line.

\b
Commands, line by line:
{_KEYS}

{HELP}""",
    cls=OfFormula,
)
@click.argument("source")
@click.argument("values", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--list", "whole", is_flag=True, help="Print all sentences and end.")
@click.option("--plain", is_flag=True, help="Line by line, not on the whole screen.")
def step(source: str, values: tuple[str, ...], whole: bool, plain: bool) -> None:
    """Go through a computation gate by gate."""
    record = load(source, values)
    console = make_console()
    walk(record, console, whole, plain, " ".join((source, *values)))


def walk(
    record: Record, console: Console, whole: bool = False, plain: bool = False, title: str = ""
) -> None:
    """Let the user go through a record; with `whole` only print all its sentences."""
    session = _Session(record, console)
    if whole or not session.stops:
        for stop in session.stops:
            click.echo(f"{stop.number + 1:>4} {stop.phase:<8} {stop.sentence}")
        return
    if not plain and console.is_terminal and sys.stdin.isatty():
        if find_spec("textual") is not None:
            from .stepper.terminal import Stepper

            Stepper(record, title).run()
            return
        missing = (
            "The full screen needs textual: pip install 'backlit[terminal]'. Line by line now."
        )
        console.print(Text(missing))
    _lines(session, console)


def _lines(session: _Session, console: Console) -> None:
    """Read commands until the end of the input."""
    console.print(f"{len(session.stops)} stops. Enter goes on, h helps, q quits.")
    session.show()
    while True:
        try:
            command = click.prompt("step", default="", show_default=False, prompt_suffix="> ")
        except (EOFError, click.Abort):
            click.echo()
            return
        try:
            if not session.do(command):
                return
        except BacklitError as error:
            console.print(Text(str(error), style="red"))
