"""Files from the network: resumed where they stopped, checked, and whole or not there at all."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import ArgumentError, DataError
from ..files import hold

#: Is told how many bytes there are, and how many there will be, if that is known.
Progress = Callable[[int, int | None], None]


def download(
    url: str | Sequence[str],
    path: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    size: int | None = None,
    progress: bool | Progress = False,
    timeout: float = 30.0,
) -> Path:
    """Fetch a file over HTTP, unless it is there; its path.

    - `url` is an address, or those of several mirrors, which are tried in turn.
    - `sha256` and `size` (bytes) are what the file must have. One that is there and has another
      checksum is an error; it is not replaced.
    - What arrived before a transfer broke is kept beside `path`, and the next call asks for the
      rest only, if the server can do that and still has the same version. The file itself appears
      at once, when it is whole and right.
    - `progress=True` shows a bar on standard error; a function is told `(bytes, of how many)`.
    - `timeout`: seconds without a byte after which a transfer is broken.

    Raises DataError, which says of each mirror what it answered; and if the disk is full.
    """
    from .transfer import FailedError, Wanted, fetch, require_right  # with HTTP and SSL

    urls = [url] if isinstance(url, str) else list(url)
    for address in urls:
        if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
            raise ArgumentError(
                f"download: url must begin with http:// or https://, got {address!r}"
            )
    if not urls:
        raise ArgumentError("download: url must be at least one address, got none")
    wanted = Wanted(Path(path), sha256 and sha256.lower(), size)
    if wanted.path.is_dir():
        raise ArgumentError(f"download: path must be a file's, got the folder {wanted.path}")
    if wanted.path.exists():
        require_right(wanted)
        return wanted.path
    with hold(wanted.path.parent, "download"), _shown(progress, wanted.path.name) as tell:
        reasons = []
        for address in urls:
            try:
                fetch(address, wanted, tell, timeout)
            except FailedError as failed:
                reasons.append(f"{address} {failed}")
                continue
            return wanted.path
    raise DataError(
        f"download: {wanted.path} could not be fetched: {'; '.join(reasons)}; check the network "
        "and call it again, or put the file there by hand"
    )


@contextmanager
def _shown(progress: bool | Progress, name: str) -> Iterator[Progress]:
    """What is told of a transfer: to nobody, to a bar, or to a function."""
    if callable(progress):
        yield progress
        return
    if not progress:
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


__all__ = ["download"]
