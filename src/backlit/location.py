"""How a place in the user's code is written."""

from __future__ import annotations

import os


def location(file: str, line: int | None, scope: str = "", source: str = "") -> str:
    """`file.py:12, in Net.fc1: the source line`, without what is empty.

    >>> location("/home/me/net.py", 12, "Net.fc1", "y = x @ w")
    'net.py:12, in Net.fc1: y = x @ w'
    >>> location("", 0, "Net.fc1")
    'Net.fc1'
    """
    place = f"{os.path.basename(file)}:{line}" if file else ""
    where = ", in ".join(part for part in (place, scope) if part)
    return f"{where}: {source}" if source else where
