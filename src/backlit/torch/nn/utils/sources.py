"""Where Backlit has what PyTorch has in `torch.nn.utils`."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType


def _found(*paths: str) -> tuple[ModuleType, ...]:
    return tuple(importlib.import_module(p) for p in paths if _is_there(p))


def _is_there(path: str) -> bool:
    try:
        return importlib.util.find_spec(path) is not None
    except ModuleNotFoundError:
        return False


SOURCES = _found("backlit.nn.utils")
