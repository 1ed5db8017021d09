"""What a run on the disk is: a folder with its settings, what it learned, its checkpoints, its end.

`run.toml` has the settings, with which `backlit train --config` makes an equal run; `run.json` what
was learned of the data (the form); `result.json` how the test went.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from .. import __version__, nn, optim
from ..data import DataLoader, Dataset
from ..errors import DataError
from ..files import read_bytes, write_whole
from ..spelling import near_name
from ..tensor import Tensor
from ..train.checkpoint import BEST, LATEST, load_checkpoint, restore
from .form import Form, Source, apply
from .networks import optimizer_of
from .settings import SOURCE, as_toml, read_file
from .targets import Prediction
from .task import Task, look_at

FORMAT = "backlit-run-2"
CONFIG, LEARNED, RESULT, REPORT = "run.toml", "run.json", "result.json", "report.html"


def is_run(folder: Path) -> bool:
    """Whether a folder has a run."""
    return (folder / LEARNED).is_file()


def write_run(folder: Path, source: Source, settings: Mapping[str, Any], form: Form) -> None:
    """Write down what the run is, before it starts."""
    head = "# backlit train --config FILE makes this run again.\n"
    text = head + as_toml({**source.settings(), **settings})
    write_whole(folder / CONFIG, text.encode())
    _write(folder / LEARNED, {"form": form.state()})


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write down how the run ended."""
    _write(folder / RESULT, result)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps({"format": FORMAT, "backlit": __version__, **finite(content)}, indent=2)
    write_whole(path, (text + "\n").encode())


def finite(value: Any) -> Any:
    """A value as JSON can say it: null where there is no number."""
    if isinstance(value, Mapping):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_run(folder: Path) -> tuple[Source, dict[str, Any], Form]:
    """Where the run in a folder had its data, its settings and its form; or a DataError."""
    path = folder / LEARNED
    if not path.is_file():
        raise DataError(
            f"{folder} must be the folder of a run, but has no {LEARNED}; "
            f"start one with: backlit train digits --out {folder}"
        )
    try:
        content = json.loads(read_bytes(path, "run"))
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"the format must be {FORMAT!r}")
        form = Form.of(content["form"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path} must describe a run ({FORMAT}), but cannot be read: {error}"
        ) from None
    given = read_file(folder / CONFIG)
    if "dataset" not in given:
        raise DataError(f"{folder / CONFIG} must have a dataset, but has none")
    names = {s.name for s in SOURCE}
    settings = {k: v for k, v in given.items() if k not in names}
    return Source.of(given), settings, form


@dataclass(frozen=True)
class Run:
    """A saved run with its network, ready to be used; `load` reads one from its folder."""

    folder: Path
    source: Source
    settings: dict[str, Any]
    form: Form
    model: nn.Module
    #: How the test went: the target's scores, and more of result.json.
    result: dict[str, Any]

    def predict(self, given: Any) -> Prediction | list[Prediction]:
        """What the network says of an example, or of each in a list or a file of several."""
        if isinstance(given, list):
            return [p for one in given for _, p in self.named_predictions(one)]
        found = [p for _, p in self.named_predictions(given)]
        return found[0] if len(found) == 1 else found

    def named_predictions(self, given: Any) -> list[tuple[str, Prediction]]:
        """What the network says of each example in something given, with their names."""
        return self.form.predict(self.model, given)

    def task(self, data: str | None = None) -> Task:
        """The data of the run, looked at again, or other data of the same kind."""
        source = self.source
        if data is not None:
            builtin = source.data is not None
            source = Source.of({**source.settings(), "data" if builtin else "dataset": data})
        return look_at(source)

    def test(self, data: str | None = None) -> Dataset:
        """The test examples of the run's data, or of other data of the same kind."""
        return self.task(data).test(self.settings, self.form)

    def evaluate(self, data: str | None = None) -> dict[str, float]:
        """The scores on the test examples."""
        outputs, answers = outputs_of(self.model, self.test(data))
        return self.form.target.scores(outputs, answers)

    def __getattr__(self, name: str) -> NoReturn:
        near = near_name(name, dir(type(self)) + list(self.__dataclass_fields__))
        hint = f"; did you mean {near}?" if near else ""
        raise AttributeError(f"a Run has no attribute {name!r}{hint}")

    def __repr__(self) -> str:
        return f"<Run {self.folder}: {self.form.kind}, {self.settings['model']}>"


def outputs_of(model: nn.Module, data: Any) -> tuple[Any, Any]:
    """The outputs of a network for all examples of a dataset, and their encoded answers."""
    outputs, answers = [], []
    for *inputs, answer in DataLoader(data, 256):
        outputs.append(apply(model, [x.numpy() for x in inputs if isinstance(x, Tensor)]))
        answers.append(answer.numpy())
    return np.concatenate(outputs), np.concatenate(answers)


def loss_of(form: Form, model: nn.Module, settings: Mapping[str, Any], training: Any) -> nn.Module:
    """The loss of a run, which may weigh answers by how frequent they are in the training part."""
    if not settings.get("balance"):
        return form.loss(model, settings, np.empty(0))
    answers = [batch[-1].numpy() for batch in DataLoader(training(), 256)]
    return form.loss(model, settings, np.concatenate(answers))


def step_of(folder: Path) -> tuple[nn.Module, nn.Module, optim.Optimizer]:
    """Network, loss and optimizer of the run in a folder, as they were when it began."""
    source, settings, form = read_run(folder)
    model = form.network(settings)
    loss = loss_of(form, model, settings, lambda: look_at(source).parts(settings, form).training)
    return model, loss, optimizer_of(model, settings)


def load(folder: str | Path, which: str = "best") -> Run:
    """The run in a folder with the best or the latest weights."""
    folder = Path(folder)
    source, settings, form = read_run(folder)
    path = folder / (BEST if which == "best" else LATEST)
    if not path.is_file():
        raise DataError(
            f"{folder} has no {path.name}: the run was stopped before it saved one; "
            f"continue it with: backlit train --resume --out {folder}"
        )
    try:
        model = form.network(settings)
    except KeyError as error:
        raise DataError(f"{folder / CONFIG} must set {error.args[0]}, but does not") from None
    restore({"model": model}, load_checkpoint(path), path)
    model.eval()
    return Run(folder, source, settings, form, model, read_result(folder))


def read_result(folder: Path) -> dict[str, Any]:
    """How the test of a run went; nothing before its end."""
    path = folder / RESULT
    if not path.is_file():
        return {}
    try:
        content = json.loads(read_bytes(path, "run"))
    except ValueError as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    return {k: v for k, v in content.items() if k not in ("format", "backlit")}
