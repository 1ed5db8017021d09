"""What the stepper asks and tells in a box above everything: one line, a search, a page."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ...see.records.model import Record
from .finding import Hit, search
from .panes import INK, MARK, SOFT, fit

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer]):
    """A box above everything; when it closes, what is below is fitted anew."""

    def on_unmount(self) -> None:
        """The window may be of another size than before."""
        refit = getattr(self.app, "fit", None)
        if refit is not None and self.app.is_running:
            self.app.call_after_refresh(refit)


class Ask(Dialog[str]):
    """One line of input, given back; nothing for Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')", "Cancel")]

    def __init__(self, question: str, example: str, about: str = ""):
        super().__init__()
        self.question = question
        self.example = example
        self.about = about

    def compose(self) -> ComposeResult:
        """The question and a line."""
        with Vertical(id="dialog") as box:
            box.border_title = Text(self.question)
            if self.about:
                yield Static(Text(self.about, style=SOFT))
            yield Input(placeholder=self.example)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give the line back."""
        self.dismiss(event.value.strip())


class Find(Dialog[Hit | None]):
    """A search whose hits are listed while it is typed; the chosen one is given back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel"),
        Binding("down", "move(1)", priority=True, show=False),
        Binding("up", "move(-1)", priority=True, show=False),
    ]

    def __init__(self, record: Record):
        super().__init__()
        self.record = record
        self.hits: list[Hit] = []

    def compose(self) -> ComposeResult:
        """A line, and the hits below it."""
        with Vertical(id="dialog") as box:
            box.border_title = "find a module, parameter, op or line"
            yield Input(placeholder="fc1, fc1.weight, matmul_3, net.py:12")
            yield OptionList(id="hits")

    def on_mount(self) -> None:
        """Nothing is found yet."""
        self.query_one(OptionList).display = False

    def on_input_changed(self, event: Input.Changed) -> None:
        """List what has the text in it."""
        listed = self.query_one(OptionList)
        self.hits = search(self.record, event.value)
        listed.clear_options()
        listed.add_options([Option(_shown(hit)) for hit in self.hits])
        listed.display = bool(self.hits)
        if self.hits:
            listed.highlighted = 0

    def action_move(self, by: int) -> None:
        """To the next hit."""
        listed = self.query_one(OptionList)
        if self.hits:
            listed.highlighted = ((listed.highlighted or 0) + by) % len(self.hits)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give the hit back; what is not there is told with what resembles it."""
        if not event.value.strip():
            self.dismiss(None)
        elif self.hits:
            self.dismiss(self.hits[self.query_one(OptionList).highlighted or 0])
        else:
            self.dismiss(Hit(-1, "", event.value.strip()))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click on a hit."""
        self.dismiss(self.hits[event.option_index])


def _shown(hit: Hit) -> Text:
    return Text(f"{hit.kind:<10}", style=MARK).append(fit(hit.text, 50), style=INK)


class Page(Dialog[None]):
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
            box.border_title = Text(self.heading)
            box.border_subtitle = "Esc closes"
            yield Static(self.text)
