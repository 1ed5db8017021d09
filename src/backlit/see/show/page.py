"""Pages: one HTML file with all inside, which fetches nothing, and how a notebook shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

_HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
"""
_FRAME = (
    _HEAD
    + """\
<title>{{title}}</title>
<style>{{style}}</style>
</head>
<body>
{{body}}<script type="application/json" id="data">{{data}}</script>
<script>{{script}}</script>
</body>
</html>
"""
)
#: The styles of a page of text and pictures.
_PLAIN = (
    "body { font: 15px/1.5 system-ui, sans-serif; max-width: 1140px; margin: 0 auto; "
    "padding: 12px; } summary { cursor: pointer; font-weight: 600; padding: 6px 0; } "
    "@media (prefers-color-scheme: dark) { body { background: #15181c; color: #e6e9ec; } }"
)


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


def plain(body: str, title: str) -> str:
    """A page of HTML that needs no script, in one column."""
    head = f"{_HEAD}<title>{escape(title)}</title>\n<style>{_PLAIN}</style>\n</head>\n"
    return f"{head}<body>{body}</body>\n</html>\n"


def framed(page: str, title: str, height: int, loading: str = "eager") -> str:
    """A page in a frame of a notebook, so that its styles stay its own."""
    return (
        f'<iframe srcdoc="{escape(page, quote=True)}" title="{escape(title)}" loading="{loading}" '
        f'style="width:100%;height:{height}px;border:1px solid #d0d7de;border-radius:8px"></iframe>'
    )


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _as_script(data: Any) -> str:
    """Data as JSON that may stand inside a script element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")
