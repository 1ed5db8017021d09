"""`backlit run`: a PyTorch script, run by Backlit without a change."""

from __future__ import annotations

import contextlib

import click

from ..torch.instead import run_as_python_would


@click.command(
    help="""Run a PyTorch script as it stands: `import torch` means Backlit in it, and in the
modules that it imports, whether PyTorch is installed or not.

\b
  backlit run train.py --epochs 3
  backlit run --draw --watch train.py

What stands behind SCRIPT.py is the script's own. What it imports of PyTorch that Backlit has not
raises where it is used, with what to do instead. The options show its first training step.
""",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option("--draw", is_flag=True, help="Draw the graph of the loss into SCRIPT.html.")
@click.option("--check", is_flag=True, help="Check the gradients that the script writes itself.")
@click.option("--diagnose", is_flag=True, help="Look for reasons why the model does not train.")
@click.option("--watch", is_flag=True, help="Show what the step did to each layer.")
@click.argument("script", metavar="SCRIPT.py")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENTS]...")
def run(
    script: str, arguments: tuple[str, ...], draw: bool, check: bool, diagnose: bool, watch: bool
) -> None:
    """Run a script."""
    looking: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if draw or check or diagnose or watch:
        from .first_step import FirstStep  # not for a mere run

        first = FirstStep(script, draw=draw, check=check, diagnose=diagnose, watch=watch)
        looking = first.looking()
    with looking:
        run_as_python_would(script, arguments)
