"""What the commands write to: a terminal of any encoding, a pipe that is closed, a full device."""

from __future__ import annotations

import codecs
import errno
import os
import sys
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

#: What stands in the place of a sign that a terminal does not have, as wide where that can be.
_PLAIN = {
    **dict.fromkeys("−–—─━", "-"),
    **dict.fromkeys("│‖▏▎▍▌▋▊▉", "|"),
    **dict.fromkeys("├└┌┐┘┤┬┴┼╭╮╰╯", "+"),
    **dict.fromkeys("█▀▄", "#"),
    **dict.fromkeys("▶▸→", ">"),
    **dict.fromkeys("●◆•∗", "*"),
    **dict.fromkeys("∂∇Δ", "d"),
    **dict.fromkeys("‘’′", "'"),
    **dict.fromkeys("“”„", '"'),
    **{"·": ".", "×": "x", "←": "<", "▾": "v", "⋯": "...", "∞": "inf", "√": "sqrt", "Σ": "sum"},
    **{"≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "✓": "v", "✗": "x", "σ": "s", "ˣ": "x"},
}


def degrade() -> None:
    """Write and read something in the place of what the terminal's encoding does not have."""
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="replace")
    for stream in (sys.stdout, sys.stderr):
        if not hasattr(stream, "reconfigure"):
            continue
        options = {"errors": "backlit-plain"}
        with suppress(LookupError):
            if codecs.lookup(stream.encoding).name == "ascii":
                options["encoding"] = "backlit-ascii"
        stream.reconfigure(**options)


def make_console(**options: Any) -> Console:
    """A terminal on which every text stands as it is: no brackets or colons have a meaning."""
    from rich.console import Console  # not for `backlit --help`

    return Console(**{"highlight": False, "markup": False, "emoji": False, **options})


def fail(error: OSError) -> None:
    """Say that a file or the output could not be written, and end with the status 1."""
    silence()
    if error.errno != errno.EPIPE:  # else whoever read has enough
        what = f"{os.fspath(error.filename)!s:.200}: " if error.filename else ""
        with suppress(OSError):
            print(f"Error: {what}{error.strerror or error}", file=sys.stderr, flush=True)
    raise SystemExit(1) from None


def silence() -> None:
    """Write nothing more: what waits in the output's buffer cannot be written when Python ends."""
    with suppress(OSError, ValueError, AttributeError):
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
        os.close(descriptor)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(sign: str) -> str:
    if sign in _PLAIN:
        return _PLAIN[sign]
    if "\udc80" <= sign <= "\udcff":  # a byte of an argument that is no text
        return f"\\x{ord(sign) - 0xDC00:02x}"
    parts = unicodedata.normalize("NFKD", sign)
    found = (p if p.isascii() else _PLAIN.get(p, "") for p in parts)
    return "".join(found) or "?"


def _codec(name: str) -> codecs.CodecInfo | None:
    """ASCII under another name: click writes UTF-8 to what is called ASCII."""
    if name.replace("_", "-") != "backlit-ascii":
        return None
    ascii = codecs.lookup("ascii")
    return codecs.CodecInfo(
        name="backlit-ascii",
        encode=ascii.encode,
        decode=ascii.decode,
        incrementalencoder=ascii.incrementalencoder,
        incrementaldecoder=ascii.incrementaldecoder,
        streamreader=ascii.streamreader,
        streamwriter=ascii.streamwriter,
    )


codecs.register(_codec)
codecs.register_error("backlit-plain", _replace)
