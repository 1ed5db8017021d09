"""What a function did, and what of Python's state decided that: the typed graph, and its guards."""

from .trace import capture

__all__ = ["capture"]
