"""The cache of machine code on disk: an object file for each module text and kind of processor.

An entry is its content's checksum and its content, written under a temporary name and renamed, so
other processes see all of it or nothing. Whatever goes wrong (no room, no permission, a damaged
entry) only means that the code is compiled again. `BACKLIT_CACHE` names another folder; if it is
empty there is no cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

#: When the entries take more room than this, the ones not used for longest are removed.
LIMIT = 512 * 1024 * 1024
_DIGEST = 32


def folder() -> Path | None:
    """Where entries lie, or None if there is no cache."""
    given = os.environ.get("BACKLIT_CACHE")
    if given is not None:
        return Path(given) if given else None
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "backlit"


def key(*parts: str) -> str:
    """The name of an entry, from everything its content depends on."""
    h = hashlib.sha256()
    for part in parts:
        data = part.encode()
        h.update(len(data).to_bytes(8, "little"))
        h.update(data)
    return h.hexdigest()


def load(name: str) -> bytes | None:
    """The content of an entry, or None if there is none that is whole."""
    where = folder()
    if where is None:
        return None
    path = where / name
    try:
        data = path.read_bytes()
    except OSError:
        return None
    content = data[_DIGEST:]
    if hashlib.sha256(content).digest() != data[:_DIGEST]:
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return content


def store(name: str, content: bytes) -> None:
    """Keep an entry, if that is possible."""
    where = folder()
    if where is None:
        return
    try:
        where.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix="new-", dir=where)
    except OSError:
        return
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(content).digest())
            file.write(content)
        os.replace(temporary, where / name)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        return
    _trim(where)


def _trim(where: Path) -> None:
    """Remove the entries not used for longest while all together are too large."""
    entries = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(where):
            with contextlib.suppress(OSError):
                status = entry.stat()
                entries.append((status.st_mtime, status.st_size, entry.path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= LIMIT:
            break
        with contextlib.suppress(OSError):
            os.unlink(path)
            total -= size
