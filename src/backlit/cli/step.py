"""`backlit step`: going through a computation in the terminal, gate by gate."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import click
from rich.console import Console
from rich.text import Text

from ..errors import BacklitError
from ..see.records.model import Record
from ..see.show.edits import Edits
from ..see.show.explain import explain as explain_gradient
from ..see.show.words import name_of
from .output import make_console
from .source import HELP, OfFormula, load
from .stepper.finding import search
from .stepper.pictures import picture
from .stepper.walking import Walk

_KEYS = """\
  Enter, n     next stop                 p            previous stop
  b            to the backward pass      g NUMBER     go to a stop
  c            on to the next breakpoint (else to the end)
  at NAME      break at a node in the backward pass
  norm X       break where a gradient's norm is above X
  nan          break at the first gradient that is not finite
  clear        no breakpoints            w            values and gradients here
  x NAME       explain a gradient        !            Python, with your variables
  / TEXT       find modules, parameters, ops, lines
  set NAME = VALUE                       what if a value were another
  up NAME = VALUE                        what if the gradient at NAME were another
  undo         take that back            changes      what it has changed
  h            this help                 q            quit"""


class _Session:
    """A walk whose commands are typed line by line."""

    def __init__(self, record: Record, console: Console):
        self.walk = Walk(record)
        self.changes = Edits(record, record.live.variables)
        self.console = console

    def show(self) -> None:
        """The current stop between its neighbours, and its sentence."""
        walk = self.walk
        first = max(0, min(walk.place - 2, len(walk.stops) - 5))
        for s in walk.stops[first : first + 5]:
            here = s.number == walk.place
            color = "green" if s.phase == "forward" else "red"
            line = Text("▶ " if here else "  ", style="bold")
            line.append(f"{s.number + 1:>4} {s.phase:<8} ", style=color)
            line.append(s.node.label, style="bold" if here else "dim")
            self.console.print(line)
        stop = walk.stop
        self.console.print(Text(stop.sentence), style="bold")
        where = walk.record.location(stop.node)
        if where:
            self.console.print(Text(where), style="dim")

    def do(self, command: str) -> bool:
        """Do what was typed; False ends the session."""
        word, _, rest = command.strip().partition(" ")
        if command.strip()[:1] in ("/", "!"):
            word, rest = command.strip()[0], command.strip()[1:].strip()
        if word in ("q", "quit", "exit"):
            return False
        said = self._go(word, rest.strip())
        if said is None:
            said = self._look(word, rest.strip())
        if said is None:
            said = f"Not understood: {command.strip()}. h lists the commands."
        if said:
            self.console.print(said)
        elif word not in ("w", "changes"):
            self.show()
        return True

    def _go(self, word: str, rest: str) -> str | None:
        """Commands that go somewhere or say where to break; None: it is none of them."""
        walk, said = self.walk, ""
        if word in ("", "n"):
            if walk.place == walk.last:
                said = "The end: every gradient is computed. q quits."
            walk.go(walk.place + 1)
        elif word == "p":
            walk.go(walk.place - 1)
        elif word == "b":
            walk.place = walk.turn
        elif word == "g" and rest.isdecimal():
            walk.go(int(rest) - 1)
        elif word == "c":
            walk.run()
        elif word == "at" and rest:
            said = self._break_at(rest)
        elif word == "norm" and _is_number(rest):
            walk.norm = float(rest)
            said = f"Breaks where a gradient's norm is above {walk.norm:g}."
        elif word == "nan":
            walk.nonfinite = True
            said = "Breaks at the first gradient that is not finite."
        elif word == "clear":
            walk.clear()
            said = "No breakpoints."
        else:
            return None
        return said

    def _look(self, word: str, rest: str) -> str | None:
        """Commands that show or change something; None: it is none of them."""
        name, equals, value = (part.strip() for part in rest.partition("="))
        if word == "w":
            self._values()
        elif word == "x" and rest:
            return str(explain_gradient(rest, self.walk.record))
        elif word == "!":
            self.walk.stop.interact(self.changes.names)
        elif word == "/" and rest:
            return self._find(rest)
        elif word in ("set", "up") and equals and name and value:
            node = self.walk.record.find(name)
            self.changes.set(node.id, "value" if word == "set" else "upstream", value)
            return self._renew()
        elif word == "undo":
            what = self.changes.undo()
            self._renew()
            return f"Taken back: {what}." if what else "Nothing is set."
        elif word == "changes":
            return self._renew() or "Nothing is set."
        elif word in ("h", "help", "?"):
            return _KEYS
        else:
            return None
        return ""

    def _renew(self) -> str:
        """Go on with the record as it is with what is set now; says what that changes."""
        self.walk = self.walk.again(self.changes.record)
        return "" if self.changes.now is None else str(self.changes.now)

    def _find(self, text: str) -> str:
        """Go to the first stop of what is found; says what else there is."""
        hits = search(self.walk.record, text)
        if not hits:
            self.walk.record.find(text)  # whose error tells what resembles it
        stops = {s.node.id: s.number for s in reversed(self.walk.stops)}
        at = next((stops[h.node] for h in hits if h.node in stops), None)
        lines = [f"  {h.kind:<10} {h.text}" for h in hits[:12]]
        if len(hits) > 12:
            lines.append(f"  … and {len(hits) - 12} more")
        if at is not None:
            self.walk.go(at)
            lines.append(self.walk.stop.sentence)
        return "\n".join(lines)

    def _break_at(self, name: str) -> str:
        """Break at a node in the backward pass, if it has a step there; says what was done."""
        record = self.walk.record
        node = record.find(name)
        if node.kind == "op":
            self.walk.nodes.add(node.id)
            return f"Breaks at {name_of(node)} in the backward pass."
        uses = [name_of(record.nodes[e.target]) for e in record.outgoing[node.id]]
        instead = f"; break at {' or '.join(dict.fromkeys(uses))}" if uses else ""
        return f"{name_of(node)} is no gate, so no step of the backward pass is its{instead}."

    def _values(self) -> None:
        stop = self.walk.stop
        colors = self.console.color_system is not None and not self.console.no_color
        for name, value, style in (
            ("value", stop.node.value, "green"),
            ("upstream", stop.node.upstream, "red"),
            *((f"to {self._source(e)}", e.gradient, "red") for e in stop.downstream),
        ):
            shown = "not computed" if value is None else f"{value.type} {value.text(6, 6)}"
            self.console.print(Text(f"  {name}: "), Text(shown, style=style), sep="")
            drawn = picture(value, min(self.console.width - 6, 64), 6) if colors else Text("")
            for line in drawn.split() if drawn else []:
                self.console.print(Text("    ").append_text(line))
        if self.changes.now is not None:
            self.console.print(Text("  (with what is set; changes lists it)"), style="dim")

    def _source(self, edge: object) -> str:
        return name_of(self.walk.record.nodes[edge.source])  # type: ignore[attr-defined]


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
    if whole or not session.walk.stops:
        for stop in session.walk.stops:
            click.echo(f"{stop.number + 1:>4} {stop.phase:<8} {stop.sentence}")
        return
    full = console.is_terminal and not console.is_dumb_terminal and sys.stdin.isatty()
    if full and not plain:
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
    console.print(f"{len(session.walk.stops)} stops. Enter goes on, h helps, q quits.")
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
