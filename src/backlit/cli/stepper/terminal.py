"""`backlit step` on the full screen: the tape, the gate, the sentence, the numbers, the source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import App, ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.screen import ModalScreen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.theme import Theme
from textual.widget import Widget
from textual.widgets import Footer, Input, Static

from ...errors import BacklitError
from ...see.records.model import NodeRecord, Record
from ...see.show.draw.labels import gradient_text, value_text
from ...see.show.explain import explain
from ...see.show.words import formula_of, name_of
from . import panes
from .panes import BAD, FAINT, GRADIENT, INK, LOCAL, MARK, PANEL, PAPER, RAISED, SOFT, VALUE
from .walking import Walk

#: Most cells for a value and for a gradient in the tape.
_COLUMN = 14


class Tape(ScrollView, can_focus=True):
    """All nodes in the order of computation; values fill in downwards, gradients upwards."""

    class Looked(Message):
        """The user looks at another node than the present stop's."""

        def __init__(self, node: int):
            super().__init__()
            self.node = node

    def __init__(self, walk: Walk):
        super().__init__(id="tape")
        self.walk = walk
        #: Node ids; a text is the heading of a module call.
        self.rows: list[int | str] = []
        self.row_of: dict[int, int] = {}
        self.column = _COLUMN
        self.cursor = 0
        self.fill(walk)

    def fill(self, walk: Walk) -> None:
        """Show the nodes of a walk."""
        self.walk = walk
        self.rows = []
        before: int | None = None
        record = walk.record
        shown = [record.nodes[n] for n in sorted(walk.nodes_shown)]
        texts = [value_text(n.value) for n in shown] + [gradient_text(n.upstream) for n in shown]
        self.column = min(max(9, *map(len, texts)) + 2, _COLUMN)
        for n in shown:
            if n.kind == "op" and n.scope != before:
                before = n.scope
                path = record.scope_path(n.scope)
                self.rows.append(path or "outside of modules")
            self.rows.append(n.id)
        if all(n.scope is None for n in shown):
            self.rows = [r for r in self.rows if not isinstance(r, str)]
        self.row_of = {r: i for i, r in enumerate(self.rows) if isinstance(r, int)}
        self.cursor = 0
        self.virtual_size = Size(0, len(self.rows))

    def show(self, node: int) -> None:
        """Put the cursor on a node and scroll there."""
        self.cursor = self.row_of.get(node, 0)
        self.scroll_to_region(
            Region(0, self.cursor, 1, 1), animate=False, force=True, origin_visible=False
        )
        self.refresh()

    def move(self, by: int) -> None:
        """Look at the node so many rows on."""
        row = min(max(self.cursor + by, 0), len(self.rows) - 1)
        while 0 <= row < len(self.rows) and isinstance(self.rows[row], str):
            row += 1 if by > 0 else -1
        if 0 <= row < len(self.rows):
            found = self.rows[row]
            assert isinstance(found, int)
            self.show(found)
            self.post_message(self.Looked(found))

    def on_click(self, event: Click) -> None:
        """Look at the node under the mouse."""
        row = event.y + self.scroll_offset.y
        if 0 <= row < len(self.rows) and isinstance(self.rows[row], int):
            self.cursor = row
            self.move(0)

    def render_line(self, y: int) -> Strip:
        """One row of what is seen."""
        row = y + self.scroll_offset.y
        width = self.scrollable_content_region.width or self.size.width
        text = self._row(row, width) if row < len(self.rows) else Text("")
        cells = Strip(list(text.render(self.app.console)))
        chosen = row == self.cursor
        back = Style(bgcolor=RAISED if chosen else PANEL)
        return cells.adjust_cell_length(width, back).apply_style(back)

    def _row(self, row: int, width: int) -> Text:
        what = self.rows[row]
        if isinstance(what, str):
            return Text().append(panes.fit(f" {what}", width - 1), style=f"italic {SOFT}")
        walk, node = self.walk, self.walk.record.nodes[what]
        stop = walk.stop
        here = stop.node.id == what
        color = VALUE if stop.phase == "forward" else GRADIENT
        text = Text("● " if what in walk.nodes else "  ", style=BAD)
        text.append("▶ " if here else "  ", style=f"bold {color}")
        known, back = walk.has_value(what), walk.has_gradient(what)
        room = width - 4 - 2 * self.column - 1
        name = name_of(node)
        if node.kind == "op":
            label = name if len(node.arguments) > 4 else f"{name} = {formula_of(walk.record, node)}"
        else:
            label = name
        style = BAD if node.status != "ok" else INK if known else FAINT
        weight = "bold " if here else ""
        text.append(f"{panes.fit(label, room):<{room}}", style=f"{weight}{style}")
        value = value_text(node.value) if known else "·"
        gradient = gradient_text(node.upstream) if back else "·" if node.upstream else ""
        for shown, paint, done in ((value, VALUE, known), (gradient, GRADIENT, back)):
            short = panes.fit(shown, self.column - 1)
            text.append(f"{short:>{self.column}}", style=paint if done else FAINT)
        return text


class Scrub(Widget):
    """All stops on one line: forward, then backward; a click goes there."""

    def __init__(self, walk: Walk):
        super().__init__(id="scrub")
        self.walk = walk

    def render(self) -> Text:
        """The line with its mark."""
        walk, width = self.walk, max(self.size.width, 1)
        count = len(walk.stops)
        turn = walk.turn if walk.stops[-1].phase == "backward" else count
        here = walk.place * (width - 1) // max(count - 1, 1)
        breaks = {
            walk.sent[n] * (width - 1) // max(count - 1, 1) for n in walk.nodes if n in walk.sent
        }
        text = Text()
        for x in range(width):
            stop = x * (count - 1) // max(width - 1, 1)
            color = VALUE if stop < turn else GRADIENT
            if x == here:
                text.append("●", style=f"bold {INK}")
            elif x in breaks:
                text.append("◆", style=BAD)
            else:
                text.append("━" if x < here else "─", style=color if x < here else FAINT)
        return text

    def on_click(self, event: Click) -> None:
        """Go to the stop under the mouse."""
        width = max(self.size.width - 1, 1)
        app = self.app
        assert isinstance(app, Stepper)
        app.go(round((event.x - 2) * (len(self.walk.stops) - 1) / width))


class Pane(VerticalScroll, can_focus=False):
    """A titled box whose text is made when it is shown."""

    def __init__(self, title: str, name: str):
        super().__init__(id=name)
        self.border_title = title
        self.text = Static()

    def compose(self) -> ComposeResult:
        """One text."""
        yield self.text

    def show(self, text: Text) -> None:
        """Replace the text."""
        self.text.update(text)
        self.scroll_home(animate=False)


class Ask(ModalScreen[str]):
    """One line of input, given back; nothing for Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')", "Cancel")]

    def __init__(self, question: str, example: str):
        super().__init__()
        self.question = question
        self.example = example

    def compose(self) -> ComposeResult:
        """The question and a line."""
        with Vertical(id="dialog") as box:
            box.border_title = self.question
            yield Input(placeholder=self.example)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give the line back."""
        self.dismiss(event.value.strip())


class Page(ModalScreen[None]):
    """A text to read; any of these keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,x,question_mark,enter", "dismiss", "Close")
    ]

    def __init__(self, title: str, text: Text):
        super().__init__()
        self.heading = title
        self.text = text

    def compose(self) -> ComposeResult:
        """The text."""
        with VerticalScroll(id="page") as box:
            box.border_title = self.heading
            box.border_subtitle = "Esc closes"
            yield Static(self.text)


_HELP = [
    ("→  n  Space", "next gate"),
    ("←  p", "previous gate"),
    ("b", "to the backward pass, and back to the start"),
    ("Home  End", "first and last stop"),
    ("↑  ↓  PgUp  PgDn", "look at another node of the tape"),
    ("Enter", "go to the node that is looked at"),
    ("c", "run on to the next breakpoint, else to the end"),
    ("t", "set or remove a breakpoint in backward at the node"),
    ("g", "break where a gradient's norm is above a number"),
    ("i", "break at the first gradient that is not finite"),
    ("d", "remove all breakpoints"),
    ("a", "all stops, or only those that lead to the output"),
    ("/", "look at a node by its name or number"),
    ("x", "explain the node's gradient path by path"),
    ("!", "a Python prompt with everything of this stop at hand"),
    ("q", "quit"),
]

_THEME = Theme(
    name="backlit",
    primary=LOCAL,
    secondary=SOFT,
    accent=MARK,
    foreground=INK,
    background=PAPER,
    surface=PANEL,
    panel=PANEL,
    success=VALUE,
    warning=MARK,
    error=BAD,
    dark=True,
    variables={"footer-key-foreground": MARK, "footer-description-foreground": SOFT},
)


class Stepper(App[None]):
    """Going through a record with the keyboard."""

    CSS = f"""
    Screen {{ background: {PAPER}; layout: vertical; }}
    #head {{ height: 1; padding: 0 2; }}
    #scrub {{ height: 1; padding: 0 2; }}
    #body {{ height: 1fr; }}
    #left {{ width: 46%; min-width: 44; }}
    #right {{ width: 1fr; }}
    * {{ scrollbar-color: {FAINT}; scrollbar-color-hover: {SOFT}; scrollbar-color-active: {SOFT};
         scrollbar-background: {PANEL}; scrollbar-background-hover: {PANEL}; }}
    #titles {{ height: 1; color: {SOFT}; }}
    #tape {{ height: 1fr; background: {PANEL}; scrollbar-size-vertical: 1; }}
    #frame {{ border: round {RAISED}; border-title-color: {SOFT}; background: {PANEL}; }}
    Pane {{ border: round {RAISED}; border-title-color: {SOFT}; padding: 0 1; height: auto;
            background: {PANEL}; scrollbar-size-vertical: 1; }}
    #sentence {{ min-height: 5; max-height: 9; }}
    #gate {{ min-height: 7; max-height: 16; }}
    #numbers {{ height: 1fr; min-height: 4; }}
    #source {{ height: 7; }}
    #gate Static, #numbers Static, #source Static {{ text-wrap: nowrap; text-overflow: ellipsis; }}
    Ask, Page {{ align: center middle; background: {PAPER} 60%; }}
    #dialog {{ width: 64; height: auto; border: round {LOCAL}; background: {PANEL}; padding: 0 1; }}
    #page {{ width: 86%; height: auto; max-height: 86%; border: round {LOCAL};
             background: {PANEL}; padding: 1 2; }}
    Footer {{ background: {PAPER}; }}
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,n,space", "next", "Next", key_display="→", priority=True),
        Binding("left,p", "previous", "Previous", key_display="←", priority=True),
        Binding("b", "turn", "Backward"),
        Binding("c", "run", "Run"),
        Binding("t", "mark", "Breakpoint"),
        Binding("g", "norm", "Norm above"),
        Binding("i", "nonfinite", "NaN"),
        Binding("d", "clear", "Clear", show=False),
        Binding("slash", "find", "Find", key_display="/"),
        Binding("x", "explain", "Explain"),
        Binding("exclamation_mark", "python", "Python", key_display="!"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "quit", "Quit"),
        Binding("a", "all", show=False),
        Binding("home", "first", show=False, priority=True),
        Binding("end", "last", show=False, priority=True),
        Binding("up", "look(-1)", show=False, priority=True),
        Binding("down", "look(1)", show=False, priority=True),
        Binding("pageup", "look(-15)", show=False, priority=True),
        Binding("pagedown", "look(15)", show=False, priority=True),
        Binding("enter", "visit", show=False),
    ]

    def __init__(self, record: Record, title: str = ""):
        super().__init__()
        self.walk_ = Walk(record, related=True)
        self.heading = title
        self.looked = self.walk_.stop.node.id

    def compose(self) -> ComposeResult:
        """Head, scrub bar, tape at the left, panes at the right, keys."""
        yield Static(id="head")
        yield Scrub(self.walk_)
        with Horizontal(id="body"):
            with Vertical(id="left"), Vertical(id="frame") as frame:
                frame.border_title = "tape"
                yield Static(id="titles")
                yield Tape(self.walk_)
            with Vertical(id="right"):
                yield Pane("what happens", "sentence")
                yield Pane("gate", "gate")
                yield Pane("values and gradients", "numbers")
                yield Pane("source", "source")
        yield Footer()

    def on_mount(self) -> None:
        """Start at the first gate."""
        self.register_theme(_THEME)
        self.theme = "backlit"
        self.query_one(Tape).focus()
        self.call_after_refresh(self.update)

    def on_resize(self, event: Resize) -> None:
        """Fit the texts into the new room."""
        self.call_after_refresh(self.update)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys belong to a dialog while it is open."""
        return action == "quit" or not isinstance(self.screen, ModalScreen)

    # -- what is shown ------------------------------------------------------------------------

    def go(self, place: int) -> None:
        """Stand at a stop and look at its node."""
        self.walk_.go(place)
        self.looked = self.walk_.stop.node.id
        self.update()

    def update(self) -> None:
        """Show the present stop everywhere."""
        walk = self.walk_
        stop, node = walk.stop, walk.record.nodes[self.looked]
        away = node.id != stop.node.id
        color = VALUE if stop.phase == "forward" else GRADIENT
        head = Text("backlit step  ", style=f"bold {INK}").append(self.heading, style=SOFT)
        head.append(f"   {stop.phase.upper()}  ", style=f"bold {color}")
        head.append(f"stop {stop.number + 1} of {len(walk.stops)}", style=SOFT)
        if self.breakpoints:
            head.append(f"   ● breaks {self.breakpoints}", style=BAD)
        if walk.record.error:
            head.append(f"   raised {walk.record.error}", style=f"bold {BAD}")
        self.query_one("#head", Static).update(head)
        tape = self.query_one(Tape)
        width = tape.size.width
        titles = Text("    node".ljust(max(width - 2 * tape.column - 1, 0)))
        titles.append(f"{'value':>{tape.column}}", style=VALUE)
        titles.append(f"{'gradient':>{tape.column}}", style=GRADIENT)
        self.query_one("#titles", Static).update(titles)
        tape.show(node.id)
        self.query_one(Scrub).refresh()
        pane = {p.id: p for p in self.query(Pane)}
        room = max(pane["numbers"].size.width - 2, 20)
        said = self._said(node) if away else stop
        text = Text("") if said is None else panes.sentence(said)
        if away:
            kind = "Enter goes there" if node.kind == "op" else f"a {node.kind}, which no op made"
            about = Text().append(f"Looking at {name_of(node)}; {kind}.\n", style=SOFT)
            text = about.append_text(text)
        pane["sentence"].show(text)
        pane["sentence"].styles.border = ("round", color if not away else RAISED)
        pane["gate"].show(panes.gate(walk, node, room))
        pane["numbers"].show(panes.numbers(walk, node, room))
        pane["source"].display = any(n.file for n in walk.record.nodes)
        pane["source"].border_title = walk.record.location(node) or "source"
        pane["source"].show(panes.source(walk.record, node, room + 2, 5))

    def _said(self, node: NodeRecord) -> Any:
        """The last stop at a node so far."""
        past = (s for s in reversed(self.walk_.stops[: self.walk_.place + 1]))
        return next((s for s in past if s.node.id == node.id), None)

    @property
    def breakpoints(self) -> str:
        """All breakpoints in words."""
        walk = self.walk_
        parts = [f"at {name_of(walk.record.nodes[n])}" for n in sorted(walk.nodes)[:3]]
        if len(walk.nodes) > 3:
            parts.append(f"and {len(walk.nodes) - 3} more")
        if walk.norm is not None:
            parts.append(f"above {walk.norm:g}")
        if walk.nonfinite:
            parts.append("at nan or ∞")
        return ", ".join(parts)

    def on_tape_looked(self, event: Tape.Looked) -> None:
        """Show another node, as it is known by now."""
        self.looked = event.node
        self.update()

    # -- keys ---------------------------------------------------------------------------------

    def action_next(self) -> None:
        """One gate on."""
        if self.walk_.place == self.walk_.last:
            self.notify("The end: every gradient is computed.")
        self.go(self.walk_.place + 1)

    def action_previous(self) -> None:
        """One gate back."""
        self.go(self.walk_.place - 1)

    def action_first(self) -> None:
        """To the first gate."""
        self.go(0)

    def action_last(self) -> None:
        """To the last stop."""
        self.go(self.walk_.last)

    def action_turn(self) -> None:
        """To the backward pass; from there to the start."""
        turn = self.walk_.turn
        self.go(turn if self.walk_.place < turn else 0)

    def action_look(self, by: int) -> None:
        """Look up or down the tape."""
        self.query_one(Tape).move(by)

    def action_visit(self) -> None:
        """To the stop of the node that is looked at: in the present pass if it has one there."""
        stops = [s for s in self.walk_.stops if s.node.id == self.looked]
        if not stops:
            self.notify("A leaf has no stop of its own.", severity="warning")
            return
        phase = self.walk_.stop.phase
        self.go(next((s.number for s in stops if s.phase == phase), stops[0].number))

    def action_run(self) -> None:
        """To the next breakpoint."""
        if not self.walk_.run():
            none = "No breakpoint" if not self.breakpoints else "No further breakpoint holds"
            self.notify(f"{none}: this is the end.", severity="warning")
        self.go(self.walk_.place)

    def action_mark(self) -> None:
        """Set or remove a breakpoint."""
        if self.looked not in self.walk_.sent:
            self.notify("The backward pass does not stop here.", severity="warning")
            return
        self.walk_.nodes ^= {self.looked}
        self.update()

    def action_all(self) -> None:
        """Stop everywhere, or only where something is made that the output needs."""
        old = self.walk_
        new = Walk(old.record, related=len(old.nodes_shown) == len(old.record.nodes))
        new.nodes, new.norm, new.nonfinite = old.nodes, old.norm, old.nonfinite
        here = old.stop
        same = (s for s in new.stops if s.node is here.node and s.phase == here.phase)
        new.go(next((s.number for s in same), 0))
        self.walk_ = self.query_one(Scrub).walk = new
        self.query_one(Tape).fill(new)
        self.go(new.place)

    def action_norm(self) -> None:
        """Ask for the norm above which to break."""
        self._ask("break where a gradient's norm is above", "10", self._set_norm)

    def _set_norm(self, answer: str) -> None:
        try:
            self.walk_.norm = float(answer)
        except ValueError:
            self.notify(f"A norm must be a number, got {answer}.", severity="error")
        self.update()

    def action_nonfinite(self) -> None:
        """Break at the first gradient that is not finite, or no longer."""
        self.walk_.nonfinite = not self.walk_.nonfinite
        self.update()

    def action_clear(self) -> None:
        """Remove all breakpoints."""
        self.walk_.clear()
        self.update()

    def action_find(self) -> None:
        """Ask for a node."""
        self._ask("look at the node", "fc1.weight, matmul_3 or 12", self._find)

    def _find(self, answer: str) -> None:
        node = self.walk_.record.find(answer).id
        if node not in self.walk_.nodes_shown:
            self.action_all()
        self.looked = node
        self.update()

    def _ask(self, question: str, example: str, then: Callable[[str], None]) -> None:
        def answered(answer: str | None) -> None:
            if answer:
                try:
                    then(answer)
                except BacklitError as error:
                    self.notify(str(error), severity="error")

        self.push_screen(Ask(question, example), answered)

    def action_explain(self) -> None:
        """The node's gradient path by path."""
        node = self.walk_.record.nodes[self.looked]
        try:
            text = Text(str(explain(node, self.walk_.record)), style=INK)
        except BacklitError as error:
            self.notify(str(error), severity="error")
            return
        self.push_screen(Page(f"the gradient of {name_of(node)}", text))

    def action_python(self) -> None:
        """A Python prompt; the screen comes back afterwards."""
        try:
            with self.suspend():
                self.walk_.stop.interact()
        except SuspendNotSupported:
            self.notify("This terminal cannot be handed over to Python.", severity="error")
        self.refresh()

    def action_help(self) -> None:
        """All keys."""
        text = Text()
        for keys, what in _HELP:
            text.append(f"{keys:<18}", style=f"bold {MARK}").append(f"{what}\n", style=INK)
        text.append("\nvalue", style=VALUE).append(", ").append("gradient", style=GRADIENT)
        text.append(", ").append("local gradient", style=LOCAL)
        text.append(". A dot is not computed yet, which is not 0.", style=SOFT)
        self.push_screen(Page("keys", text))
