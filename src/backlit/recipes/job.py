"""A run that is made: a task's parts, network and optimizer, and the training in its folder."""

from __future__ import annotations

import shlex
import shutil
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import nn
from ..data import DataLoader
from ..errors import ArgumentError, DataError
from ..files import LOCK, hold
from ..train import EarlyStopping, Report, Trainer
from ..train.checkpoint import LATEST, load_checkpoint
from ..train.training import INTERRUPTED
from . import networks
from .form import Form
from .run import (
    REPORT,
    Run,
    is_run,
    loss_of,
    outputs_of,
    read_result,
    read_run,
    write_result,
    write_run,
)
from .settings import SETTINGS
from .targets import Numbers, score_text
from .task import Task

if TYPE_CHECKING:
    from rich.console import Console

#: Examples in a batch of the validation.
_MANY = 256


def resumed(folder: Path, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The source and the settings of the run in a folder, which may be given more epochs.

    Other settings must not contradict what the run has.
    """
    source, settings, _ = read_run(folder)
    known = {**source.settings(), **settings}
    for name, value in given.items():
        if name == "data" or known.get(name) == value:
            continue
        if name == "dataset":
            if str(Path(value).resolve()) != known[name] and value.lower() != known[name]:
                raise DataError(
                    f"--resume: the run in {folder} is of {known[name]}, not of {value}"
                )
            continue
        if name == "epochs" and value >= _epochs_done(folder):
            if settings["schedule"] == "one-cycle":
                raise ArgumentError(
                    "--resume: a one-cycle schedule has its length from the start, so --epochs "
                    f"must stay {known.get(name)}, got {value}; start a new run"
                )
            settings["epochs"] = value
            continue
        must = f"be at least {_epochs_done(folder)}" if name == "epochs" else "stay"
        was = "" if name == "epochs" else f" {known.get(name)}"
        raise ArgumentError(
            f"--resume: {SETTINGS[name].option} must {must}{was}, got {value}; "
            "leave it out, or start a new run"
        )
    if given.get("data") is not None:
        source = replace(source, data=str(Path(given["data"]).resolve()))
    return source, settings


def _epochs_done(folder: Path) -> int:
    path = folder / LATEST
    return int(load_checkpoint(path)["training"]["epoch"]) if path.is_file() else 0


class Job:
    """A task with the settings of a run, before it starts; `run` trains it.

    Everything that can be wrong with data, settings and folder has been said when it is made.
    """

    def __init__(
        self,
        task: Task,
        folder: str | Path | None,
        settings: dict[str, Any],
        *,
        resume: bool = False,
    ):
        self.task = task
        self.settings = settings
        self.resume = resume
        self.folder = Path("runs") / Path(task.name).stem if folder is None else Path(folder)
        _require_free(self.folder, resume)
        self.parts = task.parts(settings, read_run(self.folder)[2] if resume else None)
        self.form: Form = self.parts.form
        self.model = self.form.network(settings)
        #: What is to be said beside what the task found.
        self.found = [] if resume else self.form.begin(self.model, settings)
        self.loader = DataLoader(
            self.parts.training, settings["batch_size"], shuffle=True, seed=settings["seed"],
            num_workers=settings.get("workers", 0), drop_last=self._leaves_one(),
        )  # fmt: skip
        self.optimizer = networks.optimizer_of(self.model, settings)
        #: How the training ended, if it did not by itself.
        self.stopped: str | None = None
        #: Where an earlier run in the folder is now.
        self.moved: Path | None = None
        self.seconds = 0.0
        self.report = self._report()

    def _leaves_one(self) -> bool:
        """Whether the last batch has one example alone, of which batch norm knows no deviation.

        Then an epoch leaves one out, each time another.
        """
        count, size = len(self.parts.training), self.settings["batch_size"]
        norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
        normed = any(isinstance(m, norms) for m in self.model.modules())
        return normed and count > size and count % size == 1

    def _report(self) -> Report:
        s, sizes, target = self.settings, self.parts.sizes, self.form.target
        *first, _ = self.parts.test[0]
        report = Report(
            self.folder / REPORT,
            self.parts.test,
            classes=target.classes or None,
            describe=self.form.describe,
            tokens=self.form.in_tokens,
            units=target.in_units if isinstance(target, Numbers) else None,
            samples=self.form.samples([np.asarray(x) for x in first]),
            title=f"{self.task.name}: {s['model']}",
        )
        named = zip(sizes, ("training", "validation", "test"), strict=True)
        report.facts = {
            "data": " · ".join(f"{n:,} {part}" for n, part in named),
            **dict([*self.task.found, *self.found]),
            "settings": f"{s['optimizer']}, learning rate {s['lr']:g} ({s['schedule']}), "
            f"batches of {s['batch_size']}, seed {s['seed']}",
            "examples below": "of the test, never trained on",
        }
        if isinstance(target, Numbers):
            report.facts["learned as"] = f"{target.scale}; the loss is that of these numbers"
        report.go_on = f"go on with: backlit train --resume --out {shlex.quote(str(self.folder))}"
        if self.task.warnings:
            report.facts["note"] = "; ".join(self.task.warnings)
        return report

    def start(self) -> ExitStack:
        """Hold the folder, and write down what the run is; the folder is let go at the exit."""
        held = ExitStack()
        held.enter_context(hold(self.folder, "train"))
        try:
            if not self.resume:
                self.moved = _make_room(self.folder)
                write_run(self.folder, self.task.source, self.settings, self.form)
            elif read_run(self.folder)[1] != self.settings:
                write_run(self.folder, self.task.source, self.settings, self.form)
        except BaseException:
            held.close()
            raise
        return held

    def run(self, *, progress: str = "auto", console: Console | None = None) -> Run:
        """Train, test the best epoch's weights, and save how that went."""
        with self.start():
            return self.train(progress=progress, console=console)

    def train(self, *, progress: str = "auto", console: Console | None = None) -> Run:
        """Train in the folder that is held."""
        settings = self.settings
        patience = settings["patience"]
        trainer = Trainer(
            self.model,
            loss_of(self.form, self.model, settings, lambda: self.parts.training),
            self.optimizer,
            schedule=networks.schedule_of(
                self.optimizer, settings, settings["epochs"] * len(self.loader)
            ),
            schedule_every="step",
            metrics=self.form.target.metrics(),
            callbacks=[self.report, *([EarlyStopping(patience)] if patience else [])],
            clip_norm=settings["clip_norm"] or None,
            checkpoints=self.folder,
            monitor=self.form.target.monitor,
            compile=settings["compile"],
            progress=progress,
            console=console,
        )
        started = time.monotonic()
        trainer.fit(
            self.loader,
            DataLoader(self.parts.validation, _MANY),
            epochs=settings["epochs"],
            resume=self.resume,
        )
        self.seconds = time.monotonic() - started
        self.stopped = trainer.stopped
        if self.stopped != INTERRUPTED:
            trainer.load_best()
            self._test(trainer)
        self.model.eval()
        source = self.task.source
        return Run(self.folder, source, settings, self.form, self.model, read_result(self.folder))

    def _test(self, trainer: Trainer) -> None:
        """What the best epoch's weights reach on the test: in the report, and in the folder."""
        self.model.eval()
        scores = self.form.target.scores(*outputs_of(self.model, self.parts.test))
        self.report.tested = {
            f"test {name}": score_text(name, value) for name, value in scores.items()
        }
        self.report.facts["examples below"] = (
            f"the {len(self.parts.test):,} of the test, by the best epoch's weights"
        )
        self.report.write(trainer)
        write_result(
            self.folder,
            {
                "test": scores,
                "test_examples": len(self.parts.test),
                "best_epoch": trainer.best_epoch,
                "epochs": trainer.epoch,
                "seconds": round(self.seconds, 2),
            },
        )


def _require_free(folder: Path, resume: bool) -> None:
    """Raise unless the folder is a run's, empty or absent."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"--out: {folder} must be a folder, but is a file")
    if resume or not folder.exists() or is_run(folder):
        return
    if any(entry.name != LOCK for entry in folder.iterdir()):
        raise DataError(f"--out: {folder} has files that are no run; choose another folder")


def _make_room(folder: Path) -> Path | None:
    """Move an earlier run out of the folder, so that nothing of it is lost.

    The folder itself stays: it may be a mount, and its lock is held.
    """
    if not is_run(folder):
        return None
    folder = folder.resolve()
    if Path.cwd().is_relative_to(folder):
        raise DataError(
            f"--out: {folder} is the current folder and has a run already, which would have to be "
            "moved; choose another folder, or continue the run with --resume"
        )
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    aside.mkdir()
    for entry in folder.iterdir():
        if entry.name != LOCK:
            shutil.move(entry, aside)
    return aside
