"""Drawing a record: one self-contained HTML page, SVG, DOT, or text for a terminal."""

from .drawing import Drawing, draw

__all__ = ["Drawing", "draw"]
