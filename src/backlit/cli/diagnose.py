"""`backlit diagnose`: why does this model not train?"""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ArgumentError
from ..recipes.script import run_file
from ..see.find.diagnose import ERROR
from ..see.find.diagnose import diagnose as diagnose_model
from .output import make_console

#: What else a file may leave, under the names that `see.diagnose` has for it.
_MORE = ("validation", "schedule", "step", "evaluate")


@click.command(
    help="""Look for the usual reasons why the model of FILE.py does not train.

\b
  backlit diagnose train.py
  backlit diagnose train.py --model net --no-rehearse

The file is run and must leave a `model`, a `loss_fn`, and a `batch` (the model's inputs, then the
target) or a `loader` that gives one. An `optimizer`, the `validation` data, a training `step`, the
`schedule` that it steps and a function `evaluate` are looked at too if there are any: see
`see.diagnose`. Put the training itself under `if __name__ == "__main__":`; or let `backlit run
--diagnose train.py` look at it while it runs. The exit status is 1 if an error was found.
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", "model_name", default="model", show_default=True)
@click.option("--loss", "loss_name", default="loss_fn", show_default=True)
@click.option("--batch", "batch_name", default="batch", show_default=True)
@click.option("--optimizer", "optimizer_name", default="optimizer", show_default=True)
@click.option("--rehearse/--no-rehearse", default=True, help="Train on the batch for a moment.")
def diagnose(
    file: Path,
    model_name: str,
    loss_name: str,
    batch_name: str,
    optimizer_name: str,
    rehearse: bool,
) -> None:
    """Diagnose a model."""
    variables = run_file(file, "diagnose")
    for name in (model_name, loss_name):
        if name not in variables:
            raise ArgumentError(f"diagnose: {file} must leave a variable {name!r}")
    if batch_name in variables:
        batch = variables[batch_name]
    elif "loader" in variables:
        batch = next(iter(variables["loader"]))
    else:
        raise ArgumentError(f"diagnose: {file} must leave a {batch_name!r} or a 'loader'")
    found = diagnose_model(
        variables[model_name],
        batch,
        variables[loss_name],
        variables.get(optimizer_name),
        data=variables.get("loader"),
        rehearse=rehearse,
        **{name: variables[name] for name in _MORE if name in variables},
    )
    make_console(soft_wrap=True).print(found)
    if any(f.severity == ERROR for f in found):
        raise SystemExit(1)
