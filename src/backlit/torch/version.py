"""`torch.version`: which PyTorch the names are those of, and which Backlit this is."""

from __future__ import annotations

from .. import __version__ as backlit

__version__ = f"2.13.0+backlit{backlit}"
cuda: str | None = None
hip: str | None = None
debug = False
git_version = ""
