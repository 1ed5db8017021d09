"""The stepper's tape of nodes, its scrub bar and its line of keys."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from ...see.records.model import Record
from ...see.records.parts import NodeRecord
from ...see.show.words import formula_of, name_of
from .panes import (
    BAD,
    FAINT,
    GRADIENT,
    INK,
    MARK,
    PANEL,
    RAISED,
    SOFT,
    VALUE,
    changed,
    fit,
    padded,
    short,
)
from .walking import Walk

#: Most cells for a value and for a gradient, in screens from so many columns on.
_CELLS = ((110, 18, 14), (70, 16, 12), (0, 12, 10))


def heading_of(record: Record, node: NodeRecord) -> int | None:
    """The module call under which a node stands: a parameter's is that of its first use."""
    if node.kind == "op":
        return node.scope
    uses = record.outgoing[node.id]
    return record.nodes[uses[0].target].scope if uses else None


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
        self.cursor = 0
        self._widths: dict[int, tuple[int, int]] = {}
        self.fill(walk)

    def fill(self, walk: Walk) -> None:
        """Show the nodes of a walk."""
        self.walk = walk
        self.rows = []
        self._widths = {}
        record = walk.record
        shown = [record.nodes[n] for n in sorted(walk.nodes_shown)]
        heading: int | None = None
        for n in shown:
            scope = heading_of(record, n)
            # What comes in from outside stands where it is, until a module's own follow.
            own = n.kind in ("op", "parameter") or scope is None
            if own and scope != heading:
                heading = scope
                self.rows.append(_heading(record, scope))
            self.rows.append(n.id)
        self.row_of = {r: i for i, r in enumerate(self.rows) if isinstance(r, int)}
        self.cursor = 0
        self.virtual_size = Size(0, len(self.rows))

    def columns(self, width: int) -> tuple[int, int]:
        """How many cells values and gradients get, with a blank before them."""
        if width not in self._widths:
            most = next((v, g) for least, v, g in _CELLS if width >= least)
            shown = [self.walk.record.nodes[n] for n in self.walk.nodes_shown]
            values = [len(short(n.value, most[0])) for n in shown]
            gradients = [len(short(n.upstream, most[1], gradient=True)) for n in shown]
            self._widths[width] = max(7, *values) + 2, max(9, *gradients) + 2
        return self._widths[width]

    def show(self, node: int) -> None:
        """Put the cursor on a node and scroll there, so that what it follows from is in sight."""
        self.cursor = self.row_of.get(node, 0)
        self.scroll_to_region(
            Region(0, self.cursor, 1, 1), animate=False, force=True, origin_visible=False
        )
        self.refresh()

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        row = self.rows[self.cursor] if self.rows else None
        if isinstance(row, int):
            self.show(row)

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
            return Text().append(fit(f" {what}", width - 1), style=f"italic {SOFT}")
        walk, node = self.walk, self.walk.record.nodes[what]
        stop = walk.stop
        here = stop.node.id == what
        color = VALUE if stop.phase == "forward" else GRADIENT
        text = Text()
        if what in walk.nodes:
            text.append("● ", style=BAD)
        else:
            text.append("◆ " if node.given else "  ", style=MARK)
        text.append("▶ " if here else "  ", style=f"bold {color}")
        known, back = walk.has_value(what), walk.has_gradient(what)
        wide = self.columns(width)
        style = BAD if node.status != "ok" else INK if known else FAINT
        label = _label(walk.record, node, width - 4 - sum(wide) - 1)
        text.append(label, style=f"{'bold ' if here else ''}{style}")
        value = short(node.value, wide[0] - 2) if known else "·"
        gradient = short(node.upstream, wide[1] - 2, gradient=True)
        gradient = gradient if back else "·" if node.upstream else ""
        other = changed(walk, node)
        for shown, paint, done, cells, new in (
            (value, VALUE, known, wide[0], other[0]),
            (gradient, GRADIENT, back, wide[1], other[1]),
        ):
            mark = "Δ" if new and done and shown else " "
            text.append_text(
                padded(Text(mark + shown, style=paint if done else FAINT), cells, right=True)
            )
        return text


def _heading(record: Record, scope: int | None) -> str:
    """What stands above the nodes of a module call; the outermost's class is said only once."""
    if scope is None:
        return "outside of modules"
    path, s = record.scope_path(scope), record.scopes[scope]
    if s.parent is None:
        return path
    return f"{path.partition('.')[2]}: {s.type}"


def _label(record: Record, node: NodeRecord, room: int) -> str:
    """A node's name, with its formula where that fits, in exactly so many cells."""
    name = name_of(node)
    texts = [name]
    if node.kind == "op":
        if len(node.arguments) <= 4:
            texts.insert(0, f"{name} = {formula_of(record, node)}")
        if not node.name:
            texts.append(f"{node.op}_{node.id}"[-room:])
    else:
        texts.append(name.rpartition(".")[2])  # what its heading does not say
    found = next((t for t in texts if padded(Text(t), 0).cell_len <= room), fit(texts[-1], room))
    return padded(Text(found), room).plain


class Scrub(Widget):
    """All stops on one line: forward, then backward; a click goes there."""

    class Chosen(Message):
        """The user clicked a place of the line, of 0 to 1."""

        def __init__(self, place: float):
            super().__init__()
            self.place = place

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
        self.post_message(self.Chosen((event.x - 2) / max(self.size.width - 1, 1)))


#: The keys in the last line, the most wanted first; the last two always have room.
_KEYS = (
    ("→", "next", "next"),
    ("←", "previous", "back"),
    ("b", "turn", "backward"),
    ("s", "set('value')", "set"),
    ("/", "find", "find"),
    ("v", "view", "view"),
    ("!", "python", "Python"),
    ("x", "explain", "explain"),
    ("u", "set('upstream')", "set gradient"),
    ("c", "run", "run"),
    ("t", "mark", "break"),
    ("g", "norm", "norm above"),
    ("i", "nonfinite", "nan"),
    ("?", "help", "help"),
    ("q", "quit", "quit"),
)


class Keys(Static):
    """As many keys with what they do as there is room for, whole ones; a click is the key."""

    def _shown(self) -> list[tuple[str, str, str]]:
        """Each key, what it does, and its action."""
        items = [(f" {key} ", f"{what} ", action) for key, action, what in _KEYS]
        sizes = [len(key) + len(what) for key, what, _ in items]
        room = self.size.width - sum(sizes[-2:])
        count = 0
        while count < len(items) - 2 and sizes[count] <= room:
            room -= sizes[count]
            count += 1
        return [*items[:count], *items[-2:]]

    def render(self) -> Text:
        """The line."""
        text = Text(no_wrap=True)
        for key, what, _ in self._shown():
            text.append(key, style=f"bold {MARK}").append(what, style=SOFT)
        return text

    async def on_click(self, event: Click) -> None:
        """Do what the key under the mouse does."""
        end = 0
        for key, what, action in self._shown():
            end += len(key) + len(what)
            if event.x < end:
                await self.app.run_action(action)
                return
