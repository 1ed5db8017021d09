"""One mirror's file: asked for in several tries, each time for what is still missing."""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import read_bytes, write_whole

_PIECE = 1 << 16  # bytes that are read at a time
_TRIES = 3  # of each mirror
_PAUSE = 0.2  # seconds before the second try, doubled before each other
_FOREIGN = {"User-Agent": "backlit"}  # some servers refuse Python's own name
#: Answers of a server that may be others a moment later: RFC 9110, sections 15.5 and 15.6.
_LATER = (408, 425, 429, 500, 502, 503, 504)

#: Is told how many bytes there are, and how many there will be.
Tell = Callable[[int, int | None], None]


class FailedError(Exception):
    """A try that failed; `again` says whether another of the same mirror may not."""

    def __init__(self, reason: str, again: bool = True):
        super().__init__(reason)
        self.again = again


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but for those to files of the own machine or off the encrypted path."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise FailedError(f"is redirected to {newurl:.100}, which is not encrypted", False)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@dataclass(frozen=True)
class Wanted:
    """A file that is fetched: where to, and what is known of it."""

    path: Path
    sha256: str | None
    size: int | None

    @property
    def part(self) -> Path:
        """What there is of it so far."""
        return self.path.with_name(f".{self.path.name}.part")

    @property
    def note(self) -> Path:
        """Of which version the part is: a JSON file."""
        return self.path.with_name(f".{self.path.name}.part.json")

    def forget(self) -> None:
        """Remove the part."""
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def require_right(wanted: Wanted) -> None:
    """Raise unless the file that is there is the one that is wanted."""
    if wanted.sha256 is None:
        return
    found = _checksum(wanted.path)
    if found != wanted.sha256:
        raise DataError(
            f"download: {wanted.path} must have the SHA-256 {wanted.sha256}, got {found}; it is "
            "another version or damaged: remove it, and it is fetched again"
        )


def _checksum(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(url: str, wanted: Wanted, tell: Tell, timeout: float) -> None:
    """Fetch the file from one mirror, in several tries."""
    for attempt in range(1, _TRIES + 1):
        try:
            _transfer(url, wanted, tell, timeout)
            _finish(wanted)
            return
        except FailedError as failed:
            if attempt == _TRIES or not failed.again:
                raise
            time.sleep(_PAUSE * 2 ** (attempt - 1))


def _finish(wanted: Wanted) -> None:
    """Give the part its name, if it is right."""
    if wanted.sha256 is not None:
        found = _checksum(wanted.part)
        if found != wanted.sha256:
            wanted.forget()
            raise FailedError(f"has the SHA-256 {found} instead of {wanted.sha256}")
    os.replace(wanted.part, wanted.path)
    wanted.note.unlink(missing_ok=True)


def _resumed(url: str, wanted: Wanted) -> tuple[int, dict[str, str]]:
    """How many bytes there are already, and how the rest is asked for."""
    there = wanted.part.stat().st_size if wanted.part.exists() else 0
    note: Any = None
    if there and wanted.note.exists():
        try:
            note = json.loads(read_bytes(wanted.note, "download"))
        except ValueError:
            note = None
    version = note.get("version") if isinstance(note, dict) and note.get("url") == url else None
    if not there or not (isinstance(version, str) or wanted.sha256):
        return 0, {}
    asked = {"Range": f"bytes={there}-"}
    if isinstance(version, str):
        asked["If-Range"] = version
    return there, asked


def _transfer(url: str, wanted: Wanted, tell: Tell, timeout: float) -> None:
    """Bring the part to its full length, by one request."""
    there, asked = _resumed(url, wanted)
    opener = urllib.request.build_opener(_NoDowngrade)
    request = urllib.request.Request(url, headers={**_FOREIGN, **asked})
    try:
        with opener.open(request, timeout=timeout) as answer:
            start = there if answer.status == 206 else 0
            total = _length(answer, start, wanted)
            _require_room(wanted, total, start)
            _note(url, answer, wanted)
            _copy(answer, wanted, start, total, tell)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is no part of what they have
            wanted.forget()
            raise FailedError("has no more than what is there") from None
        raise FailedError(f"answers {error.code} {error.reason}", error.code in _LATER) from None
    except urllib.error.URLError as error:
        raise FailedError(f"cannot be reached: {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error) or type(error).__name__
        raise FailedError(f"broke off: {reason}") from None


def _length(answer: Any, start: int, wanted: Wanted) -> int | None:
    """How many bytes the file will have."""
    total = None
    if start:
        given = answer.headers.get("Content-Range", "")
        first, _, whole = given.removeprefix("bytes ").partition("/")
        if first.partition("-")[0] != str(start):
            wanted.forget()
            raise FailedError(f"gives another part than from {start} on: {given!r:.60}")
        total = int(whole) if whole.isdecimal() else None
    elif answer.headers.get("Content-Length", "").isdecimal():
        total = int(answer.headers["Content-Length"])
    if None not in (wanted.size, total) and total != wanted.size:
        raise FailedError(f"has {total:,} bytes instead of {wanted.size:,}", False)
    return total if wanted.size is None else wanted.size


def _require_room(wanted: Wanted, total: int | None, start: int) -> None:
    free = shutil.disk_usage(wanted.path.parent).free
    if total is not None and total - start > free:
        raise DataError(
            f"download: {wanted.path} needs {total - start:,} bytes more, and the disk has "
            f"{free:,}; free space or choose another folder"
        )


def _note(url: str, answer: Any, wanted: Wanted) -> None:
    """Write down of which version the part is, if the server says so for sure."""
    version = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
    if version is None or version.startswith("W/"):
        wanted.note.unlink(missing_ok=True)
    else:
        write_whole(wanted.note, json.dumps({"url": url, "version": version}).encode())


def _copy(answer: Any, wanted: Wanted, start: int, total: int | None, tell: Tell) -> None:
    """Write what comes behind what is there."""
    with _writing(wanted), open(wanted.part, "r+b" if start else "wb") as file:
        file.truncate(start)
        file.seek(start)
    done = start
    tell(done, total)
    with open(wanted.part, "ab") as file:
        while piece := answer.read(_PIECE):
            done += len(piece)
            if total is not None and done > total:
                wanted.forget()
                raise FailedError(f"sends more than {total:,} bytes", False)
            with _writing(wanted):
                file.write(piece)
            tell(done, total)
        with _writing(wanted):
            file.flush()
            os.fsync(file.fileno())
    if total is not None and done < total:
        raise FailedError(f"broke off after {done:,} of {total:,} bytes")


@contextmanager
def _writing(wanted: Wanted) -> Iterator[None]:
    """What goes wrong with the disk, which no other mirror makes better."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
        cure = "free space and call it again: it goes on there" if full else "choose another folder"
        raise DataError(
            f"download: {wanted.path} cannot be written: {error.strerror}; {cure}"
        ) from None


__all__ = ["FailedError", "Wanted", "fetch", "require_right"]
