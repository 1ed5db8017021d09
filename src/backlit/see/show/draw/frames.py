"""One drawing with several frames: its nodes at other steps of a training, or in another run."""

from __future__ import annotations

from typing import Any

from ...records.model import Record
from .bodies import opened
from .drawing import Drawing
from .html import numbers, page
from .labels import Labels
from .layout import METRICS
from .pictures import pictures, tokens_of

Frame = dict[str, Any]


def frame_of(record: Record, label: str, total: int, wanted: Any = True) -> Frame:
    """All that the page says of a record's values and gradients, in about `total` bytes for arrays.

    It holds texts and bytes of few elements, and none of the record's arrays.
    """
    whole = opened(record)
    found = numbers(Labels(whole, METRICS))
    return {"label": label, **found, "pictures": pictures(whole, wanted, total)}


def page_of(
    record: Record,
    frames: list[Frame],
    title: str,
    tokens: Any = None,
    compared: dict[str, Any] | None = None,
    words: int = -1,
) -> str:
    """The page of a record at several frames; sentences are those of the frame `words`."""
    drawing = Drawing(record, title)
    more = {
        "pictures": frames[words]["pictures"],
        "tokens": tokens_of(drawing.tree.record, tokens),
        "frames": frames,
        "frame_of_the_words": words % len(frames),
        "compared": compared,
    }
    return page(drawing.tree, drawing.labels, title, more)
