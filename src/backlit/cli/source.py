"""What `draw`, `step` and `explain` read: a record's file, a Python script, or a formula."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import click

from ..dtypes import as_dtype
from ..errors import ArgumentError
from ..see.formula import parse, parse_value
from ..see.formula.language import CONSTANTS
from ..see.records.from_block import Recording, recording
from ..see.records.model import Record
from ..tensor import Tensor, tensor

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
    return _formula(source, values)


def _script(path: Path) -> Record:
    watched = Recording()
    arguments, sys.argv = sys.argv, [str(path)]
    sys.path.insert(0, str(path.parent))
    try:
        with watched:
            variables = runpy.run_path(str(path), run_name="__main__")
        watched.add_names(variables)
    except SystemExit:
        pass
    except BrokenPipeError:
        raise
    except Exception as error:
        click.echo(f"{path}: {type(error).__name__}: {error}", err=True)
    finally:
        sys.argv = arguments
        sys.path.remove(str(path.parent))
    record = watched.record
    if not record.nodes:
        raise ArgumentError(f"{path}: the script applied no op, so there is nothing to see")
    return record


def _formula(text: str, values: tuple[str, ...]) -> Record:
    given: dict[str, Any] = {}
    for argument in values:
        name, equals, _ = argument.partition("=")
        if not equals or not re.fullmatch(r"\s*[^\W\d]\w*\s*", name):
            raise ArgumentError(
                f"a value must be written NAME=VALUE, as in x=2 or 'W=[[1, 2], [3, 4]]', "
                f"got {argument!r}"
            )
        given[name.strip()] = parse_value(argument, len(name) + 1)
    formula = parse(text)
    missing = [n for n in formula.variables if n not in given and n not in CONSTANTS]
    unused = [n for n in given if n not in formula.variables]
    if missing or unused:
        if missing:
            wrong = f"{missing[0]} has no value; add one, as in {missing[0]}=2"
        else:
            wrong = f"{unused[0]} does not occur in it; leave out {unused[0]}=…"
        raise ArgumentError(f"{text}: {wrong}")
    with recording() as watched:
        found: list[Tensor] = []
        for step in formula.steps:
            if step.function is not None:
                found.append(step.function.call(*[found[i] for i in step.inputs], **step.options))
                continue
            named = step.kind == "variable" and step.label in given
            value = given[step.label] if named else CONSTANTS.get(step.label, step.value)
            leaf = tensor(value, dtype=as_dtype("float64"), requires_grad=named)
            leaf.name = step.label
            found.append(leaf)
    names: dict[str, Any] = {name: found[i] for name, i in formula.names.items()}
    watched.add_names(names)
    result = found[formula.result]
    record = watched.of(result) if result.node is not None else watched.record
    for node in record.nodes:
        node.file, node.line = "", 0  # a formula has no source lines
    return record
