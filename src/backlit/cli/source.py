"""What `draw`, `step` and `explain` read: a record's file, a Python script, or a formula."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import click

from ..errors import ArgumentError
from ..see.formula.evaluate import evaluate
from ..see.formula.language import ExpressionError, parse, parse_value
from ..see.records.from_block import Recording
from ..see.records.model import Record

HELP = """SOURCE is one of

\b
  net.py                          a script: it is run, and every op is recorded
  run.json                        a record that was saved with Record.save
  "(x + y) * max(y, z)" x=-2 …    a formula with values for its names

A script that raises is recorded up to the op that failed. What it printed is left alone.
"""


def load(source: str, values: tuple[str, ...]) -> Record:
    """The record that a source stands for; says on stderr what a script raised."""
    path = Path(source)
    is_file = path.suffix in (".py", ".json")
    if is_file and not path.is_file():
        raise ArgumentError(f"{source}: there is no such file")
    if is_file and values:
        raise ArgumentError(f"{source}: values are for formulas, got {' '.join(values)}")
    if path.suffix == ".json":
        return Record.load(path)
    if path.suffix == ".py":
        return _script(path)
    return evaluate(parse(source), read_values(values)).record


def _script(path: Path) -> Record:
    watched = Recording()
    variables: dict[str, Any] = {}
    arguments, sys.argv = sys.argv, [str(path)]
    sys.path.insert(0, str(path.parent))
    try:
        with watched:
            variables = runpy.run_path(str(path), run_name="__main__")
        watched.add_names(variables)
    except SystemExit as error:
        variables = _variables(path, error)
    except BrokenPipeError:
        raise
    except Exception as error:
        click.echo(f"{path}: {type(error).__name__}: {error}", err=True)
        variables = _variables(path, error)
    finally:
        sys.argv = arguments
        sys.path.remove(str(path.parent))
    record = watched.record
    if not record.nodes:
        raise ArgumentError(f"{path}: the script applied no op, so there is nothing to see")
    record.live.variables = {n: x for n, x in variables.items() if not n.startswith("__")}
    return record


def _variables(path: Path, error: BaseException) -> dict[str, Any]:
    """The variables that a script had when it ended early."""
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if code.co_name == "<module>" and code.co_filename == str(path):
            return dict(step.tb_frame.f_globals)
        step = step.tb_next
    return {}


class OfFormula(click.Command):
    """A command whose arguments may begin with a minus: `-tanh(x)` does not ask for `-h`."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Put a blank before such an argument, so that it is no option."""
        options = [p for p in self.get_params(context) if isinstance(p, click.Option)]
        known = {name for p in options for name in p.opts}
        valued = {name for p in options if not p.is_flag for name in p.opts}
        for i, a in enumerate(args):
            minus = a.startswith("-") and not a.startswith("--") and a not in known
            if minus and a[:2] not in valued and (i == 0 or args[i - 1] not in valued):
                args[i] = f" {a}"
        return super().parse_args(context, args)


def read_values(arguments: tuple[str, ...]) -> dict[str, Any]:
    """The values that were typed after a formula, as NAME=VALUE, by name."""
    values: dict[str, Any] = {}
    for argument in map(str.strip, arguments):
        name, equals, _ = argument.partition("=")
        if not equals or not re.fullmatch(r"\s*[^\W\d]\w*\s*", name):
            raise ExpressionError(
                "a value must be written NAME=VALUE, as in x=2 or 'W=[[1, 2], [3, 4]]'",
                argument,
                0,
                len(argument),
            )
        if name.strip() in values:
            raise ExpressionError(f"{name.strip()} has two values", argument, 0, len(name))
        values[name.strip()] = parse_value(argument, len(name) + 1)
    return values
