"""A run that is broken off and resumed ends with the bits of one that never stopped."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import backlit
from backlit import nn, optim
from backlit.data import DataLoader, playground
from backlit.errors import DataError
from backlit.nn.keeping import generators
from backlit.train import (
    Accuracy,
    Callback,
    ConfusionMatrix,
    EarlyStopping,
    Report,
    Trainer,
    Watch,
)
from backlit.train.checkpoint import load_checkpoint
from sampling import only

TRAIN, TEST = playground("xor", 160, noise=0.1, seed=2)
STEPS = 10  # batches of 8 in an epoch
EPOCHS = 4


class Net(nn.Module):
    """Everything that has state: parameters, running statistics, two sources of random numbers."""

    def __init__(self, width=8):
        super().__init__()
        self.first = nn.Linear(2, width)
        self.norm = nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(0.2)
        self.noise = backlit.Generator(3)
        self.last = nn.Linear(width, 2)

    def forward(self, x):
        h = backlit.tanh(self.norm(self.first(x)))
        if self.training:
            h = h + self.noise.normal(h.shape, std=0.01)
        return self.last(self.dropout(h))


def build(folder, seed, callbacks=(), schedule="step", compiled=True, prefetch=0, **options):
    """A run; the seed is for what a checkpoint must bring, so resumed runs get another one."""
    backlit.manual_seed(seed)
    model = Net(options.pop("width", 8))
    model.noise.manual_seed(seed)
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    schedules = {
        "step": lambda: optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=0.05, total_steps=EPOCHS * STEPS
        ),
        "epoch": lambda: optim.lr_scheduler.StepLR(optimizer, 1, 0.7),
    }
    trainer = Trainer(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        schedule=schedules[schedule](),
        schedule_every=schedule,
        metrics=[Accuracy(), ConfusionMatrix(2)],
        callbacks=callbacks,
        clip_norm=1.0,
        compile=compiled,
        checkpoints=folder,
        progress="quiet",
        **options,
    )
    loader = DataLoader(TRAIN, 8, shuffle=True, seed=seed, prefetch=prefetch)
    validation = DataLoader(TEST, 25, shuffle=True, seed=seed + 1)
    return trainer, loader, validation


def everything(trainer, loader, validation):
    """All state of a run, as bits and numbers."""
    model = {n: t.numpy().tobytes() for n, t in trainer.model.state_dict().items()}
    optimizer = {
        (i, n): t.numpy().tobytes()
        for i, state in trainer.optimizer.state_dict()["state"].items()
        for n, t in state.items()
    }
    sources = generators(trainer.model)
    random = {n: {k: int(v) for k, v in g.state_dict().items()} for n, g in sources.items()}
    return {
        "model": model,
        "optimizer": optimizer,
        "groups": trainer.optimizer.state_dict()["param_groups"],
        "schedule": trainer.schedule.state_dict(),
        "generators": random,
        "loader": loader.state_dict(),
        "validation": validation.state_dict(),
        "history": trainer.history,
        "best": (trainer.best, trainer.best_epoch, trainer.steps),
        "callbacks": [c.state_dict() for c in trainer.callbacks],
    }


class Interrupts(Callback):
    """Ctrl-C after a step, or (by a hook on the model) in the middle of a validation."""

    def __init__(self, step=None, validation=None):
        self.step, self.validation = step, validation

    def on_step_end(self, trainer, loss):
        if trainer.steps == self.step:
            os.kill(os.getpid(), signal.SIGINT)


class CrashError(Exception):
    pass


class Crashes(Callback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, trainer, loss):
        if trainer.steps == self.step:
            raise CrashError


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    results = {}
    for schedule in ("step", "epoch"):
        for compiled in (True, False):
            folder = tmp_path_factory.mktemp("whole")
            run = build(folder, 1, [Callback()], schedule=schedule, compiled=compiled)
            run[0].fit(*run[1:], epochs=EPOCHS)
            results[schedule, compiled] = everything(*run)
    return results


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["step", "epoch"])
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("step", only("1 20", [1, 13, 20, 39]))
def test_ctrl_c_and_resume_give_the_bits_of_the_unbroken_run(
    tmp_path, unbroken, schedule, compiled, step
):
    options = {"schedule": schedule, "compiled": compiled}
    first = build(tmp_path, 1, [Interrupts(step)], **options)
    first[0].fit(*first[1:], epochs=EPOCHS)
    assert (first[0].stopped, first[0].steps) == ("interrupted", step)
    second = build(tmp_path, 77, [Callback()], **options)
    second[0].fit(*second[1:], epochs=EPOCHS, resume=True)
    assert second[0].stopped is None
    assert everything(*second) == unbroken[schedule, compiled]


def test_many_interruptions_in_one_run(tmp_path, unbroken):
    first = build(tmp_path, 1, [Interrupts(3)])
    first[0].fit(*first[1:], epochs=EPOCHS)
    for i, step in enumerate((4, 10, 11, 25)):
        again = build(tmp_path, 50 + i, [Interrupts(step)], prefetch=i % 3)
        again[0].fit(*again[1:], epochs=EPOCHS, resume=True)
        assert again[0].steps == step
    last = build(tmp_path, 99, [Callback()])
    last[0].fit(*last[1:], epochs=EPOCHS, resume=True)
    assert everything(*last) == unbroken["step", True]


def test_an_interruption_in_the_middle_of_a_validation(tmp_path, unbroken):
    first = build(tmp_path, 1, [Callback()])
    trainer, loader, validation = first
    measure = trainer._evaluation.evaluating

    def pressed(*batch):
        if trainer.epoch == 1 and not pressed.done:
            pressed.done = True
            os.kill(os.getpid(), signal.SIGINT)
        return measure(*batch)

    pressed.done = False
    trainer._evaluation._evaluate = pressed
    trainer.fit(loader, validation, epochs=EPOCHS)
    assert (trainer.stopped, trainer.epoch, trainer.position) == ("interrupted", 1, STEPS)
    second = build(tmp_path, 77, [Callback()])
    second[0].fit(*second[1:], epochs=EPOCHS, resume=True)
    assert everything(*second) == unbroken["step", True]


@pytest.mark.parametrize("every", [None, 4])
def test_a_crash_resumes_from_the_last_checkpoint(tmp_path, unbroken, every):
    first = build(tmp_path, 1, [Crashes(27)], checkpoint_steps=every)
    with pytest.raises(CrashError):
        first[0].fit(*first[1:], epochs=EPOCHS)
    saved = load_checkpoint(tmp_path / "latest.safetensors")["training"]["steps"]
    assert saved == (24 if every else 20)
    second = build(tmp_path, 77, [Callback()], checkpoint_steps=every)
    second[0].fit(*second[1:], epochs=EPOCHS, resume=True)
    assert everything(*second) == unbroken["step", True]


def test_early_stopping_survives_an_interruption(tmp_path):
    def run(folder, *callbacks):
        stopping = EarlyStopping(patience=2, monitor="validation_accuracy")
        return build(folder, 1, [stopping, *callbacks])

    whole = run(tmp_path / "whole", Callback())
    whole[0].fit(*whole[1:], epochs=40)
    assert whole[0].stopped is not None
    before = (len(whole[0].history) - 1) * STEPS + 3  # while the stopping is waiting
    first = run(tmp_path / "broken", Interrupts(before))
    first[0].fit(*first[1:], epochs=40)
    second = run(tmp_path / "broken", Callback())
    second[0].fit(*second[1:], epochs=40, resume=True)
    assert second[0].stopped == whole[0].stopped
    assert everything(*second) == everything(*whole)
    finished = run(tmp_path / "broken", Callback())
    finished[0].fit(*finished[1:], epochs=40, resume=True)
    assert everything(*finished)["history"] == whole[0].history


def test_a_loader_without_state_is_wound_forward(tmp_path):
    x, y = (t.numpy() for t in TRAIN.tensors)
    batches = [(x[i : i + 8], y[i : i + 8]) for i in range(0, 80, 8)]
    whole = build(tmp_path / "whole", 1, [Callback()])
    whole[0].fit(batches, epochs=2)
    first = build(tmp_path / "broken", 1, [Interrupts(13)])
    first[0].fit(batches, epochs=2)
    second = build(tmp_path / "broken", 5, [Callback()])
    second[0].fit(batches, epochs=2, resume=True)
    assert second[0].history == whole[0].history


# -- other processes --------------------------------------------------------------------------

_RUN = """
import sys, hashlib
sys.path.insert(0, sys.argv[1])
from train import test_resume as t
run = t.build(sys.argv[2], int(sys.argv[3]), [t.Callback()], checkpoint_steps=1)
run[0].fit(*run[1:], epochs=t.EPOCHS, resume=sys.argv[4] == "resume")
print(hashlib.sha256(repr(t.everything(*run)).encode()).hexdigest())
"""


def process(folder, seed, resume):
    arguments = [str(Path(__file__).parents[1]), str(folder), str(seed), resume]
    return subprocess.Popen(
        [sys.executable, "-c", _RUN, *arguments], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.long
def test_the_same_seed_gives_the_same_bits_in_another_process(tmp_path):
    runs = [process(tmp_path / name, 1, "new") for name in "ab"]
    outputs = [run.communicate()[0] for run in runs]
    assert len(outputs[0]) == 65
    assert outputs[0] == outputs[1]


@pytest.mark.long
def test_a_run_killed_at_random_moments_ends_with_the_bits_of_the_unbroken_run(tmp_path):
    expected, _ = process(tmp_path / "whole", 1, "new").communicate()
    folder, rng = tmp_path / "killed", random.Random(3)
    latest = folder / "latest.safetensors"
    for attempt in range(3):
        run = process(folder, 1 if attempt == 0 else 100 + attempt, "resume" if attempt else "new")
        before = load_checkpoint(latest)["training"]["steps"] if attempt else 0
        while run.poll() is None:
            if latest.exists() and load_checkpoint(latest)["training"]["steps"] > before + 3:
                break
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.02))
        run.kill()
        run.wait()
        run.stdout.close()
    output, _ = process(folder, 1000, "resume").communicate()
    assert output == expected


# -- checkpoints that do not fit --------------------------------------------------------------


def test_a_checkpoint_of_another_run_is_refused_and_changes_nothing(tmp_path):
    first = build(tmp_path, 1, [Callback()])
    first[0].fit(*first[1:], epochs=1)

    def refused(run, message, loader=None):
        before = everything(*run)
        with pytest.raises(DataError, match=message) as caught:
            run[0].fit(loader or run[1], run[2], epochs=EPOCHS, resume=True)
        assert str(tmp_path / "latest.safetensors") in str(caught.value)
        assert everything(*run) == before

    refused(build(tmp_path, 5, [Callback()], width=9), r"model in .* does not fit Net: .*first")
    run = build(tmp_path, 5, [Callback()])
    run[0].optimizer = optim.SGD(run[0].model.parameters(), lr=0.1, momentum=0.9)
    refused(run, r"the optimizer in .* does not fit SGD")
    run = build(tmp_path, 5, [Callback()])
    refused(run, "the loader in .* batch_size must be as in the saved run, 8, got 9",
            DataLoader(TRAIN, 9, shuffle=True))  # fmt: skip
    run = build(tmp_path, 5, [Callback()])
    run[0].metrics = [Accuracy()]
    refused(run, "the metrics must be loss, accuracy, confusion, got loss, accuracy")
    refused(build(tmp_path, 5, [Callback(), EarlyStopping()]), r"but has no callback\.1")

    path = tmp_path / "latest.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    refused(build(tmp_path, 5, [Callback()]), "truncated, damaged or of another format")
    path.unlink()
    refused(build(tmp_path, 5, [Callback()]), "cannot be read: No such file")


def test_callbacks_that_change_nothing_may_begin_in_a_resumed_run(tmp_path):
    first = build(tmp_path, 1)
    first[0].fit(*first[1:], epochs=1)
    report = Report(tmp_path / "report.html", TRAIN)
    watch = Watch()
    trainer, *loaders = build(tmp_path, 5, [report, watch, Callback()])
    trainer.fit(*loaders, epochs=3, resume=True)
    assert list(watch.rows) == [2, 3]
    assert [look["epoch"] for look in report.looks] == [2, 3]
    assert "callback.0" in load_checkpoint(tmp_path / "latest.safetensors")


def test_a_full_disk_ends_the_run_and_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    first = build(tmp_path, 1, [Callback()])
    first[0].fit(*first[1:], epochs=1)

    def full(descriptor):
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DataError, match="No space left on device"):
            first[0].fit(*first[1:], epochs=2)
    assert load_checkpoint(tmp_path / "latest.safetensors")["training"]["epoch"] == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best.safetensors", "latest.safetensors"]


def test_the_best_checkpoint_has_the_best_weights(tmp_path):
    run = build(tmp_path, 1, [Callback()])
    run[0].fit(*run[1:], epochs=EPOCHS)
    saved = load_checkpoint(tmp_path / "best.safetensors")
    assert saved["training"]["epoch"] == run[0].best_epoch
    run[0].load_best()
    weights = run[0].model.state_dict()
    assert all(np.array_equal(weights[n].numpy(), t.numpy()) for n, t in saved["model"].items())
