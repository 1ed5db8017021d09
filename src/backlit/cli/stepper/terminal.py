"""`backlit step` on the full screen: the tape, the gate, the sentence, the numbers, the source.

From 100 columns and 32 rows on all of it stands side by side. In smaller windows the tape stands
above what happens, and below that the gate, the numbers or the source, by the key `v`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import Resize
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from ...errors import BacklitError
from ...see.records.model import NodeRecord, Record
from ...see.show.edits import EXPRESSION, Edits
from ...see.show.explain import explain
from ...see.show.steps import Stop
from ...see.show.words import name_of
from . import panes, style
from .dialogs import Ask, Find, Page
from .finding import Hit
from .panes import BAD, GRADIENT, INK, LOCAL, MARK, RAISED, SOFT, VALUE
from .tape import Keys, Scrub, Tape
from .walking import Walk

#: From so many columns and rows on everything is shown at once.
WIDE, HIGH = 100, 32


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


class Stepper(App[None]):
    """Going through a record with the keyboard."""

    CSS = style.CSS
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,n,space", "next", "Next", key_display="→", priority=True),
        Binding("left,p", "previous", "Previous", key_display="←", priority=True),
        Binding("b", "turn", "Backward"),
        Binding("c", "run", "Run"),
        Binding("t", "mark", "Breakpoint"),
        Binding("g", "norm", "Norm above"),
        Binding("i", "nonfinite", "NaN"),
        Binding("d", "clear", "Clear"),
        Binding("slash", "find", "Find"),
        Binding("s", "set('value')", "Set"),
        Binding("u", "set('upstream')", "Set gradient"),
        Binding("w", "changes", "Changes"),
        Binding("z", "undo", "Undo"),
        Binding("v", "view", "View"),
        Binding("j", "scroll(3)", show=False),
        Binding("k", "scroll(-3)", show=False),
        Binding("x", "explain", "Explain"),
        Binding("exclamation_mark", "python", "Python"),
        Binding("question_mark", "help", "Help"),
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
        self.changes = Edits(record, record.live.variables)
        self.heading = title
        #: The pane that a small window shows.
        self.pane_shown = "gate"
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
                yield Pane("pictures", "pictures")
                yield Pane("source", "source")
        yield Keys(id="keys")

    def on_mount(self) -> None:
        """Start at the first gate."""
        self.register_theme(style.THEME)
        self.theme = "backlit"
        self.base.query_one(Tape).focus()
        self._fit_window()
        self.call_after_refresh(self.update)

    def on_resize(self, event: Resize) -> None:
        """Fit the panes, then the texts, into the new room, once the window knows its size."""
        self.call_after_refresh(self.fit)

    @property
    def base(self) -> Screen[Any]:
        """The screen below all dialogs."""
        return self.screen_stack[0]

    def fit(self) -> None:
        """Fit everything into the window, also after a dialog during which that changed."""
        self._fit_window()
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
        color = VALUE if stop.phase == "forward" else GRADIENT
        head = Text(f"   {stop.phase.upper()}  ", style=f"bold {color}")
        head.append(f"stop {stop.number + 1} of {len(walk.stops)}", style=SOFT)
        if self.breakpoints:
            head.append(f"   ● breaks {self.breakpoints}", style=BAD)
        if self.changes.now is not None:
            output = self.changes.now.output
            head.append("   ◆ what if", style=MARK)
            head.append("" if output is None else f" {name_of(output.node)} {output.text}", MARK)
        if walk.record.error:
            head.append(f"   raised {walk.record.error}", style=f"bold {BAD}")
        start = Text("backlit step  ", style=f"bold {INK}")
        room = self.size.width - 4 - start.cell_len - head.cell_len
        start.append(panes.fit(self.heading, max(room, 8)), style=SOFT).append_text(head)
        start.truncate(max(self.size.width - 4, 1), overflow="ellipsis")
        self.base.query_one("#head", Static).update(start)
        tape = self.base.query_one(Tape)
        width = tape.scrollable_content_region.width
        value, gradient = tape.columns(width)
        titles = Text("    node".ljust(max(width - value - gradient - 1, 0)))
        titles.append(f"{'value':>{value}}", style=VALUE)
        titles.append(f"{'gradient':>{gradient}}", style=GRADIENT)
        self.base.query_one("#titles", Static).update(titles)
        tape.show(node.id)
        self.base.query_one(Scrub).refresh()
        self.base.query_one(Keys).refresh()
        self._show_panes(stop, node)

    def _show_panes(self, stop: Stop, node: NodeRecord) -> None:
        walk, away = self.walk_, node.id != stop.node.id
        color = VALUE if stop.phase == "forward" else GRADIENT
        pane = {p.id: p for p in self.base.query(Pane)}
        room = max(pane["sentence"].size.width - 2, 16)
        said = self._said(node) if away else stop
        text = Text("") if said is None else panes.sentence(said)
        if away:
            kind = "Enter goes there" if node.kind == "op" else f"a {node.kind}, which no op made"
            kind = "its value is set" if "value" in node.given else kind
            about = Text().append(f"Looking at {name_of(node)}; {kind}.\n", style=SOFT)
            text = about.append_text(text)
        pane["sentence"].show(text)
        if not self.is_small:
            pane["sentence"].styles.border = ("round", color if not away else RAISED)
        pane["gate"].show(panes.gate(walk, node, room))
        rows = 0 if self.no_color or self.is_small else 6
        pane["numbers"].show(panes.numbers(walk, node, room, rows))
        if pane["pictures"].display:
            pane["pictures"].show(panes.pictures(walk, node, room, self.size.height * 2 // 5 - 1))
        where = panes.fit(walk.record.location(node) or "source", room - 4)
        pane["source"].border_title = Text(where)
        high = 5 if not self.is_small else max(self.size.height // 4, 3)
        pane["source"].show(panes.source(walk.record, node, room + 2, high))

    @property
    def is_small(self) -> bool:
        """Whether the window has no room for all panes side by side."""
        return self.size.width < WIDE or self.size.height < HIGH

    def _fit_window(self) -> None:
        """Fit the panes into the window."""
        small, high = self.is_small, self.size.height
        self.base.query_one("#body").set_class(small, "small")
        has_source = any(n.file for n in self.walk_.record.nodes)
        for pane in self.base.query(Pane):
            styles = pane.styles
            for rule in ("max_height", "border", "border_top"):
                styles.clear_rule(rule)
            shown = pane.id in ("sentence", self.pane_shown) if small else pane.id != "pictures"
            pane.display = shown and (pane.id != "source" or has_source or small)
            if small and pane.id == "sentence":
                styles.max_height = max(high // 4, 4)
            elif small:
                styles.max_height = max(high * 2 // 5, 6)

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

    def on_scrub_chosen(self, event: Scrub.Chosen) -> None:
        """Go to the stop at the place of the line that was clicked."""
        self.go(round(event.place * self.walk_.last))

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
        self.base.query_one(Tape).move(by)

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
        self._take(self.walk_.again(related=not self.walk_.related))
        self.go(self.walk_.place)

    def _take(self, walk: Walk) -> None:
        """Go on with another walk."""
        self.walk_ = self.base.query_one(Scrub).walk = walk
        self.base.query_one(Tape).fill(walk)

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
        """Ask for a module, a parameter, an op or a line."""

        def found(hit: Hit | None) -> None:
            if hit is None:
                return
            try:
                node = self.walk_.record.find(hit.text if hit.node < 0 else hit.node).id
            except BacklitError as error:
                self.notify(str(error), severity="error")
                return
            if node not in self.walk_.nodes_shown:
                self.action_all()
            self.looked = node
            self.update()

        self.push_screen(Find(self.walk_.record), found)

    def action_set(self, what: str) -> None:
        """Ask for another value of the node, or another gradient at it."""
        node = self.walk_.record.nodes[self.looked]
        value = node.value if what == "value" else node.upstream
        about = "it has none" if value is None else f"now {value.type} {value.text(6, 4)}"
        word = "value" if what == "value" else "gradient"

        def typed(answer: str) -> None:
            changed = self.changes.set(node.id, what, answer)
            self._renew()
            self.push_screen(Page("what that changes", panes.told(changed)))

        self._ask(f"what if the {word} of {name_of(node)} were", EXPRESSION, typed, about)

    def _renew(self) -> None:
        """Show the record as it is with what is set now."""
        new = self.walk_.again(self.changes.record)
        new.before = None if self.changes.now is None else self.changes.before
        self._take(new)
        self.update()

    def action_changes(self) -> None:
        """What all that is set changes."""
        if self.changes.now is None:
            self.notify("Nothing is set: s sets a value, u a gradient.")
            return
        self.push_screen(Page("what is set changes", panes.told(self.changes.now)))

    def action_undo(self) -> None:
        """Take the last setting back."""
        what = self.changes.undo()
        self.notify(f"Taken back: {what}." if what else "Nothing is set.")
        self._renew()

    def action_view(self) -> None:
        """The next pane of a small window."""
        views = ["gate", "numbers", "pictures", "source"]
        if self.no_color:
            views.remove("pictures")
        self.pane_shown = views[(views.index(self.pane_shown) + 1) % len(views)]
        self._fit_window()
        self.call_after_refresh(self.update)

    def _ask(
        self, question: str, example: str, then: Callable[[str], None], about: str = ""
    ) -> None:
        def answered(answer: str | None) -> None:
            if answer:
                try:
                    then(answer)
                except BacklitError as error:
                    self.notify(str(error), severity="error")

        self.push_screen(Ask(question, example, about), answered)

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
                self.walk_.stop.interact(self.changes.names)
        except SuspendNotSupported:
            self.notify("This terminal cannot be handed over to Python.", severity="error")
        self.refresh()

    def action_scroll(self, by: int) -> None:
        """Scroll what does not fit into its pane."""
        self.base.query_one(
            f"#{self.pane_shown if self.is_small else 'numbers'}", Pane
        ).scroll_relative(y=by, animate=False)

    def action_help(self) -> None:
        """All keys."""
        text = Text()
        for keys, what in style.HELP:
            text.append(f"{keys:<18}", style=f"bold {MARK}").append(f"{what}\n", style=INK)
        text.append("\nvalue", style=VALUE).append(", ").append("gradient", style=GRADIENT)
        text.append(", ").append("local gradient", style=LOCAL)
        text.append(". A dot is not computed yet, which is not 0. ", style=SOFT)
        text.append("◆", style=MARK).append(" is set, Δ another than before that.", style=SOFT)
        self.push_screen(Page("keys", text))
