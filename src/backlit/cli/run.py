"""`backlit run`: a PyTorch script, run by Backlit without a change."""

from __future__ import annotations

import contextlib

import click

from ..torch.instead import run_as_python_would
from .script.training_steps import RUNNER, Steps


@click.command(
    help="""Run a PyTorch script as it stands: `import torch` means Backlit in it, and in the
modules that it imports, whether PyTorch is installed or not.

\b
  backlit run train.py --epochs 3
  backlit run --draw --watch train.py

What stands behind SCRIPT.py is the script's own. What it imports of PyTorch that Backlit has not
raises where it is used, with what to do instead. With --compile the statements of its own
loops and functions that make a training step become native code; the other options show the first
step.
""",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option("--compile", "native", is_flag=True, help="Compile the training step.")
@click.option("--draw", is_flag=True, help="Draw the graph of the loss into SCRIPT.html.")
@click.option("--check", is_flag=True, help="Check the gradients that the script writes itself.")
@click.option("--diagnose", is_flag=True, help="Look for reasons why the model does not train.")
@click.option("--watch", is_flag=True, help="Show what the step did to each layer.")
@click.argument("script", metavar="SCRIPT.py")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENTS]...")
def run(
    script: str,
    arguments: tuple[str, ...],
    native: bool,
    draw: bool,
    check: bool,
    diagnose: bool,
    watch: bool,
) -> None:
    """Run a script."""
    look = draw or check or diagnose or watch
    with contextlib.ExitStack() as around:
        if look:
            from .script.first_step import FirstStep  # not for a mere run

            first = FirstStep(script, draw=draw, check=check, diagnose=diagnose, watch=watch)
            around.enter_context(first.looking())
        if not native:
            run_as_python_would(script, arguments)
            return
        steps = Steps(first_as_it_stands=look)
        around.callback(_say_what_was_compiled, steps)
        run_as_python_would(script, arguments, steps.prepare, {RUNNER: steps.run})


def _say_what_was_compiled(steps: Steps) -> None:
    for found in steps.found:
        click.echo(f"backlit: {found}", err=True)
    if not steps.found:
        why = "no loop or function of the script calls loss.backward() and then optimizer.step()"
        if steps.walks:
            why = (
                f"line {steps.walks[0]} calls backward(), and no optimizer.step() follows in the "
                "same loop or function"
            )
        click.echo(
            f"backlit: nothing is compiled: {why}; in the script, put backlit.compile around a "
            "function of the step",
            err=True,
        )
