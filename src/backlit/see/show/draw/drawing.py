"""The drawing of a record and its forms."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ....errors import ArgumentError
from ....files import write_whole
from ...records.from_tape import as_record
from ...records.model import Record
from ..page import framed
from ..widget import widget_of
from .bodies import opened
from .dot import dot
from .html import page
from .labels import Labels
from .layout import METRICS, layout
from .overview import WINDOW, overview
from .pictures import TOTAL, tokens_of
from .pictures import pictures as pictures_of
from .svg import svg
from .text import render, text
from .tree import Tree

#: The bytes of all pictures in a cell of a notebook.
SMALLER = TOTAL // 3
#: The height of a cell of a notebook with a drawing, in pixels.
HEIGHT = 520


def draw(
    source: Any,
    *,
    title: str | None = None,
    unfold: bool | str | int | Iterable[Any] = False,
    pictures: bool | Sequence[Any] = True,
    tokens: Any = None,
) -> Drawing:
    """Draw a record, a recording or the graph behind a Tensor.

    Forward values stand in green above each wire, gradients in red below it, local gradients in
    blue before each gate. The result shows itself in notebooks and saves itself as `.html`, `.svg`,
    `.dot` or `.txt`.

    `unfold` opens ops in place and shows the gates that they are made of, with their values and
    gradients: names, numbers or kinds of ops (`"layer_norm"`); True opens all that have several. On
    the page those on small arrays are opened with a click.

    A node that is chosen on the page shows its value and its gradient as pictures: maps of all
    slices, images, tokens, histograms. `pictures` may be False, or a list of the only nodes that
    have some, which are then larger. `tokens`, a vocabulary, tokenizer or list of words, says what
    whole numbers are called that stand for words.

    >>> import backlit as bl
    >>> from backlit import tensor
    >>> x = tensor(3.0, requires_grad=True)
    >>> print(draw(x * 2).text())
    node                value  gradient  local, role
    x  leaf                 3         2
    multiply_1 = x × 2      6         1  x ×2  scaler
    >>> y = bl.mean(tensor([1.0, 3.0], requires_grad=True))
    >>> print(draw(y, unfold="mean").text())
    node                               value    gradient  local, role
    leaf_0  leaf                      [1, 3]  [0.5, 0.5]
    ▾ y = mean(leaf_0, axis=(0,))          2           1  leaf_0 ×1/2  sharer
      sum_2 = sum(leaf_0, axis=(0,))       4         0.5  leaf_0 ×1  distributor
      y = sum_2 ÷ 2                        2           1  sum_2 ×0.5  scaler
    """
    return Drawing(as_record(source), title, unfold, pictures, tokens)


class Drawing:
    """A record as a picture."""

    def __init__(
        self,
        record: Record,
        title: str | None = None,
        unfold: bool | str | int | Iterable[Any] = False,
        pictures: bool | Sequence[Any] = True,
        tokens: Any = None,
    ):
        self.record = record
        self._unfold = unfold
        self._opened = opened(record, unfold)
        self._pictures, self._tokens = pictures, tokens
        self.title = title or _title(record)

    @cached_property
    def tree(self) -> Tree:
        """Boxes, columns and wires."""
        return Tree(self._opened)

    @cached_property
    def labels(self) -> Labels:
        """Texts and their sizes."""
        return Labels(self._opened, METRICS)

    def svg(self, unfold: bool = False) -> str:
        """The picture as SVG, as it is first seen or with all modules unfolded."""
        if unfold:
            frames = layout(self.tree, self.labels, self.tree.all_modules(), WINDOW[0])
        else:
            _, frames = overview(self.tree, self.labels)
        return svg(self.tree, self.labels, frames, self.title)

    def html(self, total: int = TOTAL) -> str:
        """The picture as a page that can be folded, searched and stepped through.

        The arrays in it have at most `total` bytes; of larger ones a part is shown, which is told.
        """
        more = {
            "pictures": pictures_of(self.tree.record, self._pictures, total),
            "tokens": tokens_of(self.tree.record, self._tokens),
        }
        return page(self.tree, self.labels, self.title, more)

    def dot(self) -> str:
        """The graph in the language of Graphviz."""
        return dot(self.tree.record, self.labels, self.title)

    def text(self, width: int = 100, color: bool = False) -> str:
        """The graph for a terminal of a given width."""
        return text(self.tree, self.labels, width, color)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `.html`, `.svg`, `.dot` or `.txt`; the file appears whole or not at all."""
        forms = {".html": self.html, ".svg": self.svg, ".dot": self.dot, ".txt": self.text}
        suffix = Path(path).suffix.lower()
        if suffix not in forms:
            raise ArgumentError(
                f"draw: the file's name must end in {', '.join(forms)}, got {os.fspath(path)!r}"
            )
        write_whole(path, forms[suffix]().encode(errors="replace"))

    def widget(self, height: int = 560) -> Any:
        """The page as a widget of a notebook: what is chosen on it is `widget.selected`, and
        `widget.select("fc1.weight")` chooses there. A value that is typed on the page, or set by
        `widget.set("fc1.weight", 0.0)`, changes what both show: see `see.what_if`. Needs anywidget
        (`backlit[notebook]`).
        """
        return widget_of(self, height)

    def of(self, record: Record) -> Drawing:
        """The drawing of another record, as this one is."""
        return Drawing(record, self.title, self._unfold, self._pictures, self._tokens)

    def __str__(self) -> str:
        return self.text()

    def __rich__(self) -> Any:
        return render(self.tree, self.labels)

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        return framed(self.html(SMALLER), self.title, HEIGHT)


def _title(record: Record) -> str:
    if record.output is not None:
        node = record.nodes[record.output]
        return f"The graph of {node.name or node.op}"
    return "A recorded computation"
