"""`backlit run`: a PyTorch script, run by Backlit without a change."""

from __future__ import annotations

import click

from ..torch.instead import run_as_python_would


@click.command(
    help="""Run a PyTorch script as it stands: `import torch` means Backlit in it, and in the
modules that it imports, whether PyTorch is installed or not.

\b
  backlit run train.py --epochs 3

What stands behind SCRIPT.py is the script's own. What it imports of PyTorch that Backlit has not
raises where it is used, with what to do instead.
""",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("script", metavar="SCRIPT.py")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENTS]...")
def run(script: str, arguments: tuple[str, ...]) -> None:
    """Run a script."""
    run_as_python_would(script, arguments)
