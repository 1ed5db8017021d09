"""Write tests/dialect/torchvision.json: what torchvision has, makes, and learns.

- names: the public names of its modules;
- made: digests of what the cases of tests/dialect/vision_cases.py make;
- losses: those of the scripts tests/dialect/scripts/vision_*.py.

Needs torchvision: PYTHONPATH may lead to it. Run again when there are more cases or scripts.
"""

from __future__ import annotations

import importlib
import json
import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests" / "dialect"
TARGET = TESTS / "torchvision.json"
MODULES = ("datasets", "models", "transforms", "transforms.functional", "transforms.v2", "ops")
MODULES += ("io", "utils")


def _names(module: Any) -> list[str]:
    """Its public names, without what it imports of others."""
    listed = getattr(module, "__all__", None)
    found = listed or [
        name
        for name, thing in vars(module).items()
        if str(getattr(thing, "__module__", "")).startswith("torchvision")
    ]
    return sorted(name for name in found if not name.startswith("_"))


def main() -> None:
    """Ask torchvision."""
    import torch
    import torchvision

    sys.path[:0] = [str(TESTS), str(TESTS / "scripts")]
    from vision_cases import cases, digest

    facts: dict[str, Any] = {"torchvision": torchvision.__version__.partition("+")[0]}
    facts["names"] = {
        name: _names(importlib.import_module(f"torchvision.{name}")) for name in MODULES
    }
    torchvision.datasets.cifar.check_integrity = lambda *_, **__: True  # the files are made here
    with tempfile.TemporaryDirectory() as folder:
        facts["made"] = {n: digest(x) for n, x in cases(torchvision, torch, folder).items()}
    facts["losses"] = {}
    for path in sorted((TESTS / "scripts").glob("vision_*.py")):
        sys.modules.pop("course", None)  # it holds a stream of numbers
        losses = runpy.run_path(str(path))["losses"]
        facts["losses"][path.stem] = [float(f"{loss:.6g}") for loss in losses]
    TARGET.write_text(json.dumps(facts) + "\n", "utf-8")


if __name__ == "__main__":
    main()
