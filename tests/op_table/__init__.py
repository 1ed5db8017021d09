"""The op table: one record for each built-in op, as data for the generic tests."""

from __future__ import annotations

import importlib
import pkgutil

import backlit.ops
from backlit.op import REGISTRY, Op

from .record import Bad, Case, Record, Special

RECORDS: dict[str, Record] = {}

for _module in pkgutil.iter_modules(__path__):
    for _record in getattr(importlib.import_module(f"{__name__}.{_module.name}"), "TABLE", ()):
        if _record.name in RECORDS:
            raise ValueError(f"op table: {_record.name} has two records")
        RECORDS[_record.name] = _record

for _module in pkgutil.iter_modules(backlit.ops.__path__):
    importlib.import_module(f"backlit.ops.{_module.name}")

#: Every op in a room of its own under `ops`; what only the compiler makes is tested with it.
BUILT_IN: dict[str, type[Op]] = {
    name: cls
    for name, cls in sorted(REGISTRY.items())
    if cls.__module__.startswith(f"{backlit.ops.__name__}.")
}

__all__ = ["BUILT_IN", "RECORDS", "Bad", "Case", "Record", "Special"]
