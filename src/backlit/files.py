"""How files are written whole or not at all, and how a folder is kept to one writer.

A file is written under a temporary name in the same directory, synced, renamed over the old one,
and the directory is synced. So at any moment the path holds the old file or the new one, and what
was saved stays saved.
"""

from __future__ import annotations

import gzip
import os
import re
import socket
import stat
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from .errors import BacklitError, DataError, MissingFileError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

#: In a folder that is held: says by whom. After a process that was killed it stays, unlocked.
LOCK = ".lock"

_GZIP = b"\x1f\x8b"  # with which a gzip file begins

#: Characters of a file's name in its temporary name: a name may have 255 bytes, four a character.
_SHOWN = 40


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that its path holds the old bytes or the new ones, whole, at any moment.

    As `writing` does it. Raises DataError if that fails; the old file is then untouched.
    """
    with writing(path, len(data)) as file:
        file.write(data)


@contextmanager
def writing(path: str | os.PathLike[str], size: int | None = None) -> Iterator[BinaryIO]:
    """A file to be written piece by piece, which stands under its path when the block has ended.

    On return the new bytes are on the disk. A file that was there keeps its mode and its owner; of
    a symbolic link the file behind it is written. What is no file (a pipe, a device) is written to
    as it stands. Raises DataError if writing fails; then, and where the block raises, the old file
    is untouched.
    """
    try:
        target = Path(os.path.realpath(path))
        try:
            before = os.stat(target)
        except FileNotFoundError:
            before = None
            target.parent.mkdir(parents=True, exist_ok=True)
        if before is not None and not stat.S_ISREG(before.st_mode):
            with open(target, "wb", buffering=0) as stream:
                yield cast(BinaryIO, stream)
            return
        if before is not None and not os.access(target, os.W_OK):
            raise PermissionError(0, "the file is write-protected")
        _remove_abandoned(target)
        start = target.name[:_SHOWN]
        temporary = target.with_name(f".{start}.{os.getpid()}-{threading.get_ident()}.partial")
        try:
            with open(temporary, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if before is not None:
                _keep_owner_and_mode(temporary, before)
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        _sync_directory(target.parent)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        if isinstance(error, BacklitError):  # of the block
            raise
        reason = getattr(error, "strerror", None) or error
        about = "" if size is None else f" ({size:,} bytes)"
        raise DataError(
            f"save: {os.fspath(path)}{about} could not be written: {reason}; "
            "what the file held before is untouched; free space or choose another place"
        ) from error


def set_aside(path: Path) -> None:
    """Rename a file that is in the way, if there is one: report.html to report.1.html."""
    number = 1
    while (aside := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    if path.exists():
        path.rename(aside)


def read_bytes(path: str | os.PathLike[str], what: str) -> bytes:
    """The bytes of a file, or a DataError that names it."""
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError, MemoryError) as error:
        raise _unreadable(path, what, error) from None


@contextmanager
def opened(
    path: str | os.PathLike[str], what: str, packed: bool | None = None
) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked where gzip has compressed it; what goes wrong is a DataError.

    Whether it is `packed` say its first bytes, unless it is known. `what` begins the message.
    Errors that the block raises on its own pass.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise _unreadable(path, what, error) from None
    with file:
        try:
            if packed is None:
                packed = file.read(len(_GZIP)) == _GZIP
                file.seek(0)
            yield cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="rb")) if packed else file
        except BacklitError:
            raise
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(
                f"{what}: {os.fspath(path)} is a truncated or damaged gzip file ({error}); fetch "
                "it again"
            ) from None
        except OSError as error:
            raise _unreadable(path, what, error) from None


def _unreadable(path: str | os.PathLike[str], what: str, error: Exception) -> DataError:
    reason = getattr(error, "strerror", None) or str(error) or "there is not enough memory"
    kind = MissingFileError if isinstance(error, FileNotFoundError) else DataError
    return kind(f"{what}: {os.fspath(path)} cannot be read: {reason}; check the path")


def _keep_owner_and_mode(file: Path, before: os.stat_result) -> None:
    made = os.stat(file)
    if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
        with suppress(OSError):
            os.chown(file, before.st_uid, before.st_gid)
    os.chmod(file, stat.S_IMODE(before.st_mode))


def _remove_abandoned(target: Path) -> None:
    """Remove what processes that were killed while they saved this file have left behind."""
    pattern = re.compile(rf"\.{re.escape(target.name[:_SHOWN])}\.(\d+)-\d+\.partial", re.DOTALL)
    for entry in os.listdir(target.parent):
        match = pattern.fullmatch(entry)
        if match is not None and not _is_running(int(match[1])):
            with suppress(OSError):
                (target.parent / entry).unlink()


def _is_running(process: int) -> bool:
    if sys.platform == "win32":
        return True  # os.kill would end it there
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _sync_directory(directory: Path) -> None:
    """Make a rename in the directory survive a power cut."""
    if sys.platform == "win32":
        return  # a directory cannot be opened there
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- one writer ---------------------------------------------------------------------------------

#: The locks of this process: path of the lock file to (descriptor, thread).
_held: dict[str, tuple[int, int]] = {}
_changing = threading.Lock()


@contextmanager
def hold(folder: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Keep all other processes and threads that ask from writing into a folder meanwhile.

    The folder is made if it is missing. Raises DataError, with the process, if another holds it.
    The operating system ends the hold of a process that ends, however it does. A thread may hold a
    folder again that it holds.
    """
    path = os.path.join(os.path.realpath(folder), LOCK)
    me = threading.get_ident()
    with _changing:
        mine = path in _held and _held[path][1] == me
        if not mine:
            _held[path] = _take(path, folder, what), me
    try:
        yield
    finally:
        if not mine:
            with _changing:
                descriptor, _ = _held.pop(path, (None, me))
            if descriptor is not None:
                with suppress(OSError):
                    os.unlink(path)  # where an open file cannot be removed, it stays
                if sys.platform != "win32":
                    fcntl.flock(descriptor, fcntl.LOCK_UN)  # also where a fork has it open
                os.close(descriptor)


def _take(path: str, folder: str | os.PathLike[str], what: str) -> int:
    """The descriptor of the lock file, locked."""
    try:
        while True:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                if not _lock(descriptor):
                    owner = os.pread(descriptor, 200, 0) if hasattr(os, "pread") else b""
                    who = " ".join(owner.decode(errors="replace").split()) or "another process"
                    raise DataError(
                        f"{what}: {folder} is in use by {who}, which writes there; "
                        "wait until it has ended, or choose another folder"
                    )
                # It may have been removed, or the folder renamed, between opening and locking.
                if not _is_at(path, descriptor):
                    os.close(descriptor)
                    continue
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
            except BaseException:
                os.close(descriptor)
                raise
            return descriptor
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{what}: {folder} cannot be written to: {reason}; choose another folder"
        ) from None


def _is_at(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _lock(descriptor: int) -> bool:
    """Lock an open file; False if somebody else has."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # beyond the text, which others may read
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True  # a file system without locks: nobody can be kept out
    return True


def _forget() -> None:
    """In a forked child: what the parent holds is the parent's, and ends with it."""
    global _changing
    _changing = threading.Lock()
    for descriptor, _ in _held.values():
        os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
