"""The op table: one record for each built-in op, as data for the generic tests."""

from __future__ import annotations

import importlib
import pkgutil

from .record import Bad, Case, Record, Special

RECORDS: dict[str, Record] = {}

for _module in pkgutil.iter_modules(__path__):
    for _record in getattr(importlib.import_module(f"{__name__}.{_module.name}"), "TABLE", ()):
        if _record.name in RECORDS:
            raise ValueError(f"op table: {_record.name} has two records")
        RECORDS[_record.name] = _record

__all__ = ["RECORDS", "Bad", "Case", "Record", "Special"]
