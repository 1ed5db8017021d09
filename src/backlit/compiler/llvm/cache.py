"""The cache of machine code on disk: an object file for each module text and kind of processor.

An entry is written under a temporary name and renamed, so other processes see all of it or nothing.
It begins with a checksum of its name and content. Whatever goes wrong (no room, no permission, a
damaged entry, that of another key) only means that the code is compiled again. `BACKLIT_CACHE`
names another folder; if it is empty there is no cache. Other files in the folder are left alone.

Who can write an entry decides what this process executes. So the folder and its entries must belong
to the user or to root, and nobody else may write to them; else there is no cache, and one warning.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
import time
import warnings
from pathlib import Path

#: When the entries take more room than this, the ones not used for longest are removed.
LIMIT = 512 * 1024 * 1024
#: How the names of entries, and of those being written, end.
_ENTRY, _WRITING = ".backlit-code", ".backlit-new"
#: What an entry begins with, before the checksum and the content.
_MARK = b"backlit machine code 1\n"
_DIGEST = 32
#: Seconds after which an entry that is still being written was left behind.
_ABANDONED = 3600

#: Bytes stored since the room that entries take was last looked at; None: not yet.
_unweighed: int | None = None
_warned: set[str] = set()


def folder() -> Path | None:
    """Where entries lie, or None if there is no cache."""
    given = os.environ.get("BACKLIT_CACHE")
    if given is not None:
        return _expanded(given) if given else None
    base = _expanded(os.environ.get("XDG_CACHE_HOME", ""))
    if base is None or not base.is_absolute():  # which the XDG specification says to ignore
        base = _expanded("~/.cache")
    return None if base is None or not base.is_absolute() else base / "backlit"


def _expanded(path: str) -> Path | None:
    """The path with a leading `~` replaced, or None if nobody knows the home that it means."""
    if path.startswith("~") and not os.environ.get("HOME", "unset"):
        return None  # an empty HOME would make it the root folder
    expanded = os.path.expanduser(path)
    return None if not expanded or expanded.startswith("~") else Path(expanded)


def key(*parts: str) -> str:
    """The name of an entry, from everything its content depends on."""
    h = hashlib.sha256()
    for part in parts:
        data = part.encode()
        h.update(len(data).to_bytes(8, "little"))
        h.update(data)
    return h.hexdigest()


def load(name: str) -> bytes | None:
    """The content of an entry, or None if there is none that is whole and safe."""
    where = folder()
    if where is None or not _safe(where):
        return None
    path = where / (name + _ENTRY)
    try:
        with open(path, "rb") as file:
            if not _own(os.fstat(file.fileno())):
                _warn(path)
                return None
            data = file.read()
    except OSError:
        return None
    start = len(_MARK) + _DIGEST
    content = data[start:]
    if data[:start] != _MARK + _checksum(name, content):
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return content


def store(name: str, content: bytes) -> None:
    """Keep an entry, if that is possible."""
    global _unweighed
    where = folder()
    if where is None:
        return
    try:
        where.mkdir(0o700, parents=True, exist_ok=True)
        if not _safe(where):
            return
        handle, temporary = tempfile.mkstemp(suffix=_WRITING, dir=where)
    except OSError:
        return
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_MARK + _checksum(name, content))
            file.write(content)
        os.replace(temporary, where / (name + _ENTRY))
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if not isinstance(error, OSError):
            raise
        return
    if _unweighed is not None:
        _unweighed += len(content)
    if _unweighed is None or _unweighed > LIMIT // 16:
        _unweighed = 0
        _trim(where)


def _checksum(name: str, content: bytes) -> bytes:
    h = hashlib.sha256(name.encode() + b"\n")
    h.update(content)
    return h.digest()


def _own(status: os.stat_result) -> bool:
    """Whether nobody but the user and root can have written to a file or folder."""
    if not hasattr(os, "geteuid"):  # on Windows a user's folders are the user's
        return True
    return status.st_uid in (os.geteuid(), 0) and not status.st_mode & 0o022


def _safe(where: Path) -> bool:
    """Whether entries of a folder may be loaded, or none are there."""
    try:
        safe = _own(os.stat(where))
    except OSError:
        return True
    if not safe:
        _warn(where)
    return safe


def _warn(path: Path) -> None:
    """Say once why a folder or an entry is not used."""
    if str(path) not in _warned:
        _warned.add(str(path))
        warnings.warn(
            f"cache: machine code is only loaded from where nobody else can write, but {path} "
            "belongs to another user or is writable for others; it is compiled anew in each "
            "process; use a folder of your own, with chmod go-w, or set BACKLIT_CACHE to another",
            stacklevel=2,
        )


def _trim(where: Path) -> None:
    """Remove the entries not used for longest while all together are too large."""
    entries = []
    now = time.time()
    with contextlib.suppress(OSError):
        for entry in os.scandir(where):
            if not entry.name.endswith((_ENTRY, _WRITING)):
                continue
            with contextlib.suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if not stat.S_ISREG(status.st_mode):
                    continue
                if entry.name.endswith(_ENTRY):
                    entries.append((status.st_mtime, status.st_size, entry.path))
                elif now - status.st_mtime > _ABANDONED:
                    os.unlink(entry.path)
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= LIMIT:
            break
        with contextlib.suppress(OSError):
            os.unlink(path)
            total -= size
