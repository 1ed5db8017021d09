"""One HTML file with data, styles and script inside, which fetches nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

_FRAME = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{title}}</title>
<style>{{style}}</style>
</head>
<body>
{{body}}<script type="application/json" id="data">{{data}}</script>
<script>{{script}}</script>
</body>
</html>
"""


def fill(body: Path, title: str, data: Any, parts: Sequence[str] = ()) -> str:
    """The page of a body that lies beside its styles (`.css`) and its script (`.js`).

    The script finds the data, as JSON, in the element `#data`. `parts` names files beside them with
    more scripts, and styles if there are any, which come first.
    """
    files = [*(body.with_name(name) for name in parts), body]
    texts = {
        "title": escape(title),
        "style": "\n".join(_text(f) for x in files if (f := x.with_suffix(".css")).exists()),
        "body": _text(body),
        "data": _as_script(data),
        "script": "\n".join(_text(f.with_suffix(".js")) for f in files),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda place: texts[place[1]], _FRAME)


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _as_script(data: Any) -> str:
    """Data as JSON that may stand inside a script element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")
