"""The drawing as a widget for notebooks: what is chosen in it is known in Python, and the reverse.

`anywidget` brings it to Jupyter, VS Code, Colab and marimo: `pip install "backlit[notebook]"`.
The page runs in a frame of its own, so its styles and the notebook's do not touch; the two exchange
the number of the chosen node and the stop of the scrub bar. A value or a gradient that is typed on
the page is set in the record (`see.what_if`), and the page of what that changes takes its place.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

from ...errors import ArgumentError, BacklitError, MissingDependencyError
from ..records.model import Record
from ..records.parts import NodeRecord
from .edits import Edits
from .what_if import WhatIf
from .words import name_of

#: So many lines of what a change changes stand on the page.
LINES = 12

#: What the frame's page says to this, and hears from it: see `view.js` and `edits.js`.
_SCRIPT = """
function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.srcdoc = model.get("page");
  frame.title = model.get("title");
  frame.style = "width:100%;border:1px solid #8886;border-radius:8px";
  frame.style.height = model.get("height") + "px";
  let edits = 0;
  const say = (message) => frame.contentWindow && frame.contentWindow.postMessage(message, "*");
  const tell = () => say({ backlit: { picked: model.get("picked"), stop: model.get("stop") } });
  const answer = () => say({ backlitEdits: model.get("answer") });
  const hear = (event) => {
    if (event.source !== frame.contentWindow || !event.data) return;
    if (event.data.backlitEdit) {
      model.set("edit", { ...event.data.backlitEdit, number: ++edits });
      model.save_changes();
      return;
    }
    if (!event.data.backlit) return;
    const { picked, stop, ready } = event.data.backlit;
    if (ready) { tell(); answer(); return; }
    model.set("picked", picked); model.set("stop", stop);
    model.save_changes();
  };
  window.addEventListener("message", hear);
  model.on("change:picked", tell);
  model.on("change:stop", tell);
  model.on("change:answer", answer);
  model.on("change:page", () => { frame.srcdoc = model.get("page"); });
  el.appendChild(frame);
  return () => window.removeEventListener("message", hear);
}
export default { render };
"""


class Drawn(Protocol):
    """What a widget needs of a drawing."""

    record: Record
    title: str

    @property
    def tree(self) -> Any:
        """What is drawn, with the record that is shown."""

    def html(self) -> str:
        """The page."""

    def of(self, record: Record) -> Any:
        """The drawing of another record."""


def widget_of(drawing: Drawn, height: int) -> Any:
    """The widget of a drawing: see `Drawing.widget`."""
    return _widget_class()(drawing, height)


def _told(changed: WhatIf) -> str:
    """What changes, for a narrow panel."""
    output, changes = changed.output, changed.changes
    lines = [] if output is None else [f"{name_of(output.node)}: {output.short}", ""]
    lines += [f"{name_of(c.node)} {c.what}: {c.short}" for c in changes[:LINES]]
    if len(changes) > LINES:
        lines.append(f"… and {len(changes) - LINES} more, in widget.changed")
    return "\n".join([*lines, *(f"note: {note}" for note in changed.notes)])


class _Chosen:
    """What a widget knows and does in Python; `_widget_class` adds what it shares with the page."""

    picked: int | None = None
    page = ""
    answer: Any = None
    hold_sync: Any

    def __init__(self, drawing: Drawn):
        self._drawing = self._shown = drawing
        self._edits = Edits(drawing.record)

    @property
    def record(self) -> Record:
        """The record as it is shown: with all that is set."""
        return self._edits.record

    @property
    def changed(self) -> WhatIf | None:
        """What all that is set changes; None where nothing is set."""
        return self._edits.now

    @property
    def selected(self) -> NodeRecord | None:
        """The chosen node, if there is one."""
        return None if self.picked is None else self._shown.tree.record.nodes[self.picked]

    def select(self, node: NodeRecord | str | int | None) -> None:
        """Choose a node in the drawing, which goes there; None lets go."""
        if isinstance(node, int):
            last = len(self.record.nodes) - 1
            if not 0 <= node <= last:
                raise ArgumentError(f"select: a node's number must be from 0 to {last}, got {node}")
            self.picked = node
        else:
            found = self.record.find(node) if isinstance(node, str) else node
            self.picked = None if found is None else found.id

    def set(self, node: Any, new: Any, what: str = "value") -> WhatIf:
        """Set a node's "value", or the "upstream" gradient at it, here and on the page.

        `new` is as in `see.what_if`, or a text as it is typed on the page: `[0, 1] = 5`.
        """
        changed = self._edits.set(node, what, new)
        self._show(_told(changed))
        return changed

    def undo(self) -> None:
        """Take the last setting back."""
        what = self._edits.undo()
        self._show(f"taken back: {what}" if what else "nothing is set")

    def _typed(self, edit: dict[str, Any]) -> None:
        """Do what was typed on the page; what does not fit is told there."""
        try:
            if edit.get("undo"):
                self.undo()
            elif edit:
                self.set(edit["node"], str(edit["text"]), edit["what"])
        except (BacklitError, KeyError) as error:
            told = {"said": str(error), "bad": True, "count": len(self._edits)}
            self.answer = {**told, "number": edit.get("number")}  # also the same text once more

    def _show(self, said: str) -> None:
        record = self._edits.record
        same = record is self._drawing.record
        self._shown = self._drawing if same else self._drawing.of(record)
        with self.hold_sync():
            self.answer = {"said": said, "bad": False, "count": len(self._edits)}
            self.page = self._shown.html()


@cache
def _widget_class() -> Any:
    try:
        import anywidget
        import traitlets
    except ImportError:
        raise MissingDependencyError(
            'Drawing.widget needs anywidget: pip install "backlit[notebook]". Without it the last '
            "line of a cell, see.draw(x), shows the same page, which then tells Python nothing"
        ) from None

    class DrawingWidget(_Chosen, anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        """A drawing whose chosen node is `selected`, and in which values may be set.

        `select(node)` chooses one, by its name, its number or its record; `stop` is the place of
        the scrub bar: 0 is before the first gate, None the end. `observe(f, "picked")` calls `f`
        when another node is chosen.
        """

        _esm = _SCRIPT
        page = traitlets.Unicode().tag(sync=True)
        title = traitlets.Unicode().tag(sync=True)
        height = traitlets.Int().tag(sync=True)
        picked = traitlets.Int(None, allow_none=True).tag(sync=True)
        stop = traitlets.Int(None, allow_none=True).tag(sync=True)
        #: What was typed on the page, and what came of it.
        edit = traitlets.Dict().tag(sync=True)
        answer = traitlets.Dict().tag(sync=True)

        def __init__(self, drawing: Drawn, height: int):
            told = {"said": "", "bad": False, "count": 0}
            _Chosen.__init__(self, drawing)
            anywidget.AnyWidget.__init__(
                self, page=drawing.html(), title=drawing.title, height=height, answer=told
            )
            self.observe(lambda change: self._typed(change["new"]), "edit")

    return DrawingWidget
