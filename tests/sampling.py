"""How many values of a parameter are tried: in every run of the tests, a quick one, a long one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

#: Whether a few values are enough for a test that says so; set by `--quick`.
quick = False


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


def try_each(check: Callable[[Any], None], values: Iterable[Any], few: int | None = None) -> None:
    """Check each value; fail once, with all the values that failed and why.

    A quick run tries a `few`, if that is given: the one in the middle and the first.
    """
    tried = list(values)
    if quick and few is not None and len(tried) > few:
        tried = [tried[len(tried) // 2], tried[0]][:few]
    failed: dict[str, BaseException] = {}
    for i, value in enumerate(tried):
        try:
            check(value)
        except (Exception, pytest.fail.Exception) as error:
            failed[f"{i}: {value}"] = error
    if failed:
        reasons = (f"{value}: {type(e).__name__}: {e}" for value, e in failed.items())
        text = f"{len(failed)} of {len(tried)} failed\n" + "\n".join(reasons)
        raise AssertionError(text) from next(iter(failed.values()))


def every(names: str, values: Iterable[Any]) -> Callable[[Callable[..., None]], Callable]:
    """As `parametrize`, for what takes a moment: one test, which goes through all the values."""
    parameters = names.replace(",", " ").split()
    rows = [v if len(parameters) > 1 else (v,) for v in values]

    def made(check: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(check)
        def test(**others: Any) -> None:
            def one(row: Sequence[Any]) -> None:
                check(**dict(zip(parameters, row, strict=True)), **others)

            try_each(one, rows)

        signature = inspect.signature(check)
        kept = [p for name, p in signature.parameters.items() if name not in parameters]
        test.__signature__ = signature.replace(parameters=kept)
        return test

    return made
