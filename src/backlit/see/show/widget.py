"""The drawing as a widget for notebooks: what is chosen in it is known in Python, and the reverse.

`anywidget` brings it to Jupyter, VS Code, Colab and marimo: `pip install "backlit[notebook]"`.
The page runs in a frame of its own, so its styles and the notebook's do not touch; the two exchange
the number of the chosen node and the stop of the scrub bar.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ...errors import ArgumentError, MissingDependencyError
from ..records.model import Record
from ..records.parts import NodeRecord

#: What the frame's page says to this, and hears from it: see the end of `view.js`.
_SCRIPT = """
function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.srcdoc = model.get("page");
  frame.title = model.get("title");
  frame.style = "width:100%;border:1px solid #8886;border-radius:8px";
  frame.style.height = model.get("height") + "px";
  const tell = () => frame.contentWindow && frame.contentWindow.postMessage(
    { backlit: { picked: model.get("picked"), stop: model.get("stop") } }, "*");
  const hear = (event) => {
    if (event.source !== frame.contentWindow || !event.data || !event.data.backlit) return;
    const { picked, stop, ready } = event.data.backlit;
    if (ready) { tell(); return; }
    model.set("picked", picked); model.set("stop", stop);
    model.save_changes();
  };
  window.addEventListener("message", hear);
  model.on("change:picked", tell);
  model.on("change:stop", tell);
  el.appendChild(frame);
  return () => window.removeEventListener("message", hear);
}
export default { render };
"""


def widget_of(record: Record, page: str, title: str, height: int) -> Any:
    """The widget of a record's page: see `Drawing.widget`."""
    return _widget_class()(record, page, title, height)


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

    class DrawingWidget(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        """A drawing whose chosen node is `selected`.

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

        def __init__(self, record: Record, page: str, title: str, height: int):
            self.record = record
            super().__init__(page=page, title=title, height=height)

        @property
        def selected(self) -> NodeRecord | None:
            """The chosen node, if there is one."""
            return None if self.picked is None else self.record.nodes[self.picked]

        def select(self, node: NodeRecord | str | int | None) -> None:
            """Choose a node in the drawing, which goes there; None lets go."""
            if isinstance(node, int):
                if not 0 <= node < len(self.record.nodes):
                    raise ArgumentError(
                        f"select: a node's number must be from 0 to {len(self.record.nodes) - 1}, "
                        f"got {node}"
                    )
                self.picked = node
            else:
                found = self.record.find(node) if isinstance(node, str) else node
                self.picked = None if found is None else found.id

    return DrawingWidget
