"""A user's Python file: run once, with its variables."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from ..errors import ArgumentError


def run_file(path: str | Path, command: str) -> dict[str, Any]:
    """The file's variables; it stays importable, so that its source can be quoted."""
    path = Path(path)
    if not path.is_file():
        raise ArgumentError(f"{command}: {path}: there is no such file")
    name = f"{command}ed_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's file may raise anything
        raise ArgumentError(f"{command}: {path} raised {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent))
    return vars(module)
