"""Which values of a parameter every run of the tests tries, and which `make long` alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def one_in(count: int, values: Iterable[Any], *, first: int = 0) -> list[Any]:
    """All values; those that are not the `first` or a multiple of `count` from there are long."""
    return [
        pytest.param(v, marks=() if i % count == first else pytest.mark.long)
        for i, v in enumerate(values)
    ]


def only(names: str, values: Iterable[Any]) -> list[Any]:
    """All values; those that `names` does not list are long."""
    kept = names.split()
    return [pytest.param(v, marks=() if str(v) in kept else pytest.mark.long) for v in values]
