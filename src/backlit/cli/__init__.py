"""The command line: `backlit train`, `eval`, `predict`, `grad`, `draw` and more.

A subcommand is imported when it is used, so that `backlit --help` answers at once. The commands:

- `run` (a PyTorch script), with `script/`: its training step compiled, its first step shown;
- `train`, `evaluate`, `predict` (what `backlit.recipes` makes of data), `replay`, with `options`
  (the settings as options) and `pictures` (of digits and planes);
- `models`, `summary` (networks, and their layers), with `shapes` (of typed inputs);
- `grad`, `check`, `diagnose`, `draw`, `explain`, `step` (seeing through), with `source` (what a
  command is given: a record, a script, a formula) and `stepper/` (the walk and its full screen).

All write through `output`.
"""

from __future__ import annotations

import importlib
import runpy
import sys
from pathlib import Path
from typing import IO, Any

import click

from .. import __version__
from ..errors import BacklitError
from ..spelling import near_name
from ..tape import INTERNAL

#: Each subcommand: the module it lives in (as a function of its own name) and its line of help.
_COMMANDS = {
    "run": ("backlit.cli.run", "Run a PyTorch script with Backlit, without a change."),
    "train": ("backlit.cli.train", "Train a network on your data and save the run."),
    "eval": ("backlit.cli.evaluate", "Measure a saved run on its test set."),
    "predict": ("backlit.cli.predict", "Apply a saved run to examples or files."),
    "models": ("backlit.cli.models", "List the networks, with parameters, operations, memory."),
    "summary": ("backlit.cli.summary", "Show a network layer by layer."),
    "replay": ("backlit.cli.replay", "Do a failed step of training again, and look at it."),
    "grad": ("backlit.cli.grad", "Show every gradient of an expression."),
    "check": ("backlit.cli.check", "Check a hand-written gradient, and say why it is wrong."),
    "diagnose": ("backlit.cli.diagnose", "Look for reasons why a model does not train."),
    "draw": ("backlit.cli.draw", "Draw the graph of a script, a record or a formula."),
    "step": ("backlit.cli.step", "Go through a computation gate by gate."),
    "explain": ("backlit.cli.explain", "Explain gradients path by path."),
}
_FUNCTIONS = {"eval": "evaluate"}

# What stands between a command and the user's script, or above the command, is no line of theirs.
_LAUNCHERS = (click.core.__file__, click.decorators.__file__, runpy.__file__, "<frozen runpy>")
INTERNAL.update(dict.fromkeys(_LAUNCHERS, True))
if Path(sys.argv[0]).stem in ("backlit", "backlit-script"):
    INTERNAL[sys.argv[0]] = True


class _Mistake(click.ClickException):
    """A mistake in a formula: one line, a mark under its place, exit status 2."""

    exit_code = 2

    def __init__(self, message: str, error: Any):
        super().__init__(f"{message} (column {error.column + 1})")
        self.pointer = error.pointer.splitlines()

    def show(self, file: IO[Any] | None = None) -> None:
        for line in (self.message, *(f"  {line}" for line in self.pointer)):
            click.echo(line, file=file, err=file is None)


class _Lazy(click.Group):
    """A group whose commands are imported by name, and whose errors are one line."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        name = name.lower()
        if name not in _COMMANDS:
            return None
        module = importlib.import_module(_COMMANDS[name][0])
        return getattr(module, _FUNCTIONS.get(name, name))

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of a name, however it is spelled; or the one that is perhaps meant."""
        if args and args[0].lower() not in _COMMANDS and not args[0].startswith("-"):
            near = near_name(args[0], list(_COMMANDS), 0.6)
            hint = f" Did you mean {near!r}?" if near else ""
            context.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])

    def main(self, *args: Any, **extra: Any) -> Any:
        from .output import degrade, fail

        degrade()
        try:
            try:
                return super().main(*args, **extra)
            finally:
                if sys.stdout is not None and not sys.stdout.closed:
                    sys.stdout.flush()  # else the last words fail after everything has ended
        except OSError as error:
            fail(error)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BacklitError as error:
            message = " ".join(str(error).split())
            if hasattr(error, "pointer"):
                raise _Mistake(f"backlit {context.invoked_subcommand}: {message}", error) from None
            raise click.ClickException(message) from error
        except MemoryError as error:
            raise click.ClickException(f"there is not enough memory: {error}") from error


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="backlit")
def main() -> None:
    """A deep-learning framework you can see through."""
