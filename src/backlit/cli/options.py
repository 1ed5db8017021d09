"""The settings of recipes as options of a command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from ..recipes.settings import RECIPE, SOURCE, Setting

_Command = Callable[..., Any]


def settings_options(function: _Command) -> _Command:
    """Give a command an option for each setting but the data set itself, which is its argument."""
    for setting in reversed((*SOURCE[1:], *RECIPE)):
        function = _option(setting)(function)
    return function


def _option(s: Setting) -> Callable[[_Command], _Command]:
    if s.type is bool:
        name = s.name.replace("_", "-")
        return click.option(f"--{name}/--no-{name}", s.name, default=None, help=s.help)
    kinds: dict[type, Any] = {
        float: click.FloatRange(*_ends(s), min_open=s.low_open, max_open=s.high_open),
        int: click.IntRange(*_ends(s)),
        str: click.Choice(s.choices, case_sensitive=False) if s.choices else None,
        list: None,
    }
    return click.option(s.option, s.name, type=kinds[s.type], multiple=s.type is list, help=s.help)


def _ends(s: Setting) -> tuple[Any, Any]:
    return tuple(None if abs(v) == float("inf") else v for v in (s.low, s.high))  # type: ignore


def given(context: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    """The settings that were typed."""
    values = {
        name: value
        for name, value in options.items()
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    return {n: _listed(v) if isinstance(v, tuple) else v for n, v in values.items()}


def _listed(values: tuple[str, ...]) -> list[str]:
    """Names that were given one by one, or with commas between."""
    return [part.strip() for value in values for part in value.split(",") if part.strip()]
