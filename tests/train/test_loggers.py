"""Logs of runs: read back by other means than they were written, and whole after a crash."""

import csv
import json
import math
import struct
import sys
import types

import numpy as np
import pytest

from backlit import nn, optim, random
from backlit.data import DataLoader, TensorDataset
from backlit.errors import ArgumentError, DataError, MissingDependencyError
from backlit.train import (
    Callback,
    CSVLogger,
    JSONLogger,
    Logger,
    MLflow,
    TensorBoard,
    Trainer,
    WeightsAndBiases,
)
from backlit.train.loggers import events, records

RNG = np.random.default_rng(2)
X = RNG.normal(size=(40, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


class CrashError(Exception):
    pass


class Crashes(Callback):
    def __init__(self, step=None, epoch=None):
        self.step, self.epoch = step, epoch

    def on_epoch_end(self, trainer, record):
        if trainer.epoch == self.epoch:
            raise CrashError

    def on_step_end(self, trainer, loss):
        if trainer.steps == self.step:
            raise CrashError


def fit(folder, callbacks, epochs=3, every=4, **options):
    """Ten steps an epoch, with a checkpoint after every fourth."""
    random.manual_seed(1)
    model = nn.Linear(3, 2)
    trainer = Trainer(
        model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), 0.1), callbacks=callbacks,
        checkpoints=folder / "run", checkpoint_steps=every, progress="quiet", compile=False,
    )  # fmt: skip
    loader = DataLoader(TensorDataset(X, Y), 4, shuffle=True)
    trainer.fit(loader, loader, epochs=epochs, **options)
    return trainer


# -- lines of text ------------------------------------------------------------------------------


def rows_of(path):
    """The rows of a log, read by the standard library's readers."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with open(path, newline="") as file:
        rows = csv.DictReader(file)
        return [{k: float(v) for k, v in r.items() if v} for r in rows]


TEXT = {"log.jsonl": JSONLogger, "log.csv": CSVLogger}


@pytest.mark.parametrize("name", TEXT)
def test_an_epoch_is_a_line(name, tmp_path):
    path = tmp_path / "deep" / name
    trainer = fit(tmp_path, [TEXT[name](path)])
    rows = rows_of(path)
    assert [r.pop("step") for r in rows] == [10, 20, 30]
    assert rows == [pytest.approx(r) for r in trainer.history]


@pytest.mark.parametrize("name", TEXT)
def test_a_crashed_run_goes_on_in_its_log_without_a_step_twice(name, tmp_path):
    def run(folder, crash, **options):
        path = folder / name
        logger = TEXT[name](path, every_steps=3)
        fit(folder, [logger, Crashes(crash)], **options)
        return rows_of(path)

    whole = run(tmp_path / "whole", None)
    assert [r["step"] for r in whole] == [3, 6, 9, 10, 12, 15, 18, 20, 21, 24, 27, 30, 30]
    for crash in (7, 10, 19, 21):
        folder = tmp_path / str(crash)
        with pytest.raises(CrashError):
            run(folder, crash)
        with open(folder / name, "a") as file:
            file.write('{"step": 22, "lo')  # what a process that was killed left of a line
        assert run(folder, None, resume=True) == whole


@pytest.mark.parametrize("name", TEXT)
def test_an_epoch_that_is_logged_but_not_saved_is_logged_once(name, tmp_path):
    path = tmp_path / name
    with pytest.raises(CrashError):
        fit(tmp_path, [TEXT[name](path), Crashes(epoch=2)], every=10)  # saved at step 20
    assert [r["epoch"] for r in rows_of(path)] == [1, 2]
    fit(tmp_path, [TEXT[name](path), Crashes()], every=10, resume=True)
    assert [r["epoch"] for r in rows_of(path)] == [1, 2, 3]


def test_an_earlier_log_is_set_aside_and_a_second_fit_goes_on(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("old\n")
    trainer = fit(tmp_path, [CSVLogger(path)], epochs=1)
    trainer.fit(DataLoader(TensorDataset(X, Y), 4), epochs=2)
    assert (tmp_path / "log.1.csv").read_text() == "old\n"
    assert [r["epoch"] for r in rows_of(path)] == [1, 2]


def test_new_numbers_get_a_column_and_bad_ones_are_said(tmp_path):
    table = CSVLogger(tmp_path / "log.csv")
    lines = JSONLogger(tmp_path / "log.jsonl")
    for logger in (table, lines):
        logger.begin(0, 0)
        logger.log(1, {"epoch": 1, "loss": 0.5})
        logger.log(2, {"epoch": 2, "loss": math.nan, "a,b": math.inf})
    assert (tmp_path / "log.csv").read_text() == ('step,epoch,loss,"a,b"\n1,1,0.5,\n2,2,nan,inf\n')
    assert rows_of(tmp_path / "log.jsonl")[1] == {"step": 2, "epoch": 2, "loss": None, "a,b": None}


def test_steps_stay_native_where_none_are_logged(tmp_path):
    logger = JSONLogger(tmp_path / "log.jsonl")
    assert not logger.wants("on_step_end")
    assert JSONLogger(tmp_path / "log.jsonl", every_steps=5).wants("on_step_end")
    with pytest.raises(
        ArgumentError, match="CSVLogger: every_steps must be a positive integer, got"
    ):
        CSVLogger(tmp_path / "log.csv", every_steps=0)
    with pytest.raises(NotImplementedError, match=r"Logger must define log\(\)"):
        Logger().log(1, {})


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    logger = JSONLogger(tmp_path / "log.jsonl")
    logger.begin(0, 0)
    logger.path = tmp_path
    with pytest.raises(
        DataError, match=r"JSONLogger: .* cannot be written: Is a directory; free spac"
    ):
        logger.log(1, {})
    board = TensorBoard(tmp_path)
    board.path = tmp_path
    with pytest.raises(
        DataError, match=r"TensorBoard: .* cannot be written: Is a directory; free spa"
    ):
        board.log(1, {})


# -- TensorBoard --------------------------------------------------------------------------------


def fields(data):
    """The fields of a protocol buffer message: a reader of its own, for these tests."""
    found, i = {}, 0

    def varint(i):
        n = 0
        for k in range(10):
            n |= (data[i + k] & 127) << 7 * k
            if data[i + k] < 128:
                return n, i + k + 1
        raise AssertionError

    while i < len(data):
        key, i = varint(i)
        if key & 7 == 0:
            value, i = varint(i)
        elif key & 7 == 2:
            size, i = varint(i)
            value, i = data[i : i + size], i + size
        else:
            size = {1: 8, 5: 4}[key & 7]
            value, i = struct.unpack({8: "<d", 4: "<f"}[size], data[i : i + size])[0], i + size
        found.setdefault(key >> 3, []).append(value)
    return found


def events_in(folder):
    """The events of the one file in a folder: step, values by tag, version."""
    (path,) = folder.glob("events.out.tfevents.*")
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = fields(data[12 : 12 + length])
        data = data[16 + length :]
        values = [fields(v) for v in fields(event[5][0]).get(1, [])] if 5 in event else []
        numbers = {v[1][0].decode(): v[2][0] if 2 in v else v for v in values}
        found.append((event[2][0], numbers, event.get(3)))
    return found


def test_checksums_are_those_of_the_standard():
    # RFC 3720, appendix B.4
    for data, check in (
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ):
        assert records.crc32c(data) == check
    # A record as TensorBoard 2.21 writes it with its own RecordWriter.
    record = bytes.fromhex("0700000000000000bbd79f116261636b6c697452e4e8a8")
    assert records.encode(b"backlit") == record
    # Field 1 as 8 bytes, field 2 as a varint, field 3 as 13 bytes of text.
    event = bytes.fromhex("09000000000000000010001a0d627261696e2e4576656e743a32")
    assert events.event(0.0, 0, version="brain.Event:2") == event


def test_records_end_at_the_first_that_is_damaged():
    data = b"".join(map(records.encode, (b"one", b"", b"three")))
    assert [r for _, r in records.decode(data)] == [b"one", b"", b"three"]
    assert [r for _, r in records.decode(data[:-1])] == [b"one", b""]
    for place in (0, 9, 12, 17):
        damaged = bytearray(data)
        damaged[place] ^= 1
        assert list(records.decode(bytes(damaged))) == []


def test_scalars_histograms_texts_and_settings(tmp_path):
    board = TensorBoard(
        tmp_path / "board", histograms=True, batch=(X, Y), every_steps=4,
        settings={"lr": 0.1, "name": "line", "nesterov": False}, text={"note": "**hello**"},
    )  # fmt: skip
    trainer = fit(tmp_path, [board], epochs=2)
    (_, _, version), *found = events_in(tmp_path / "board")
    assert version == [b"brain.Event:2"]
    assert [step for step, _, _ in found] == [4, 8, 10, 12, 16, 20, 20]
    assert found[0][1]["step_loss"] > 0
    tags = {t for _, values, _ in found for t in values}
    assert {"note/text_summary", "_hparams_/experiment", "_hparams_/session_start_info"} <= tags
    for record, (_, values, _) in zip(trainer.history, (found[2], found[-1]), strict=True):
        assert {k: values[k] for k in record} == pytest.approx(record, rel=1e-6)
    last = found[-1][1]
    for name, array in (("weights/weight", trainer.model.weight.numpy()),):
        histogram = fields(last[name][5][0])
        low, high, number, total, squares = (histogram[i][0] for i in range(1, 6))
        assert (low, high, number) == (array.min(), array.max(), 6)
        assert total == pytest.approx(array.sum(), rel=1e-5)
        assert squares == pytest.approx((array.astype(float) ** 2).sum(), rel=1e-6)
        counts = np.frombuffer(histogram[7][0], "<f8")
        limits = np.frombuffer(histogram[6][0], "<f8")
        assert counts.sum() == 6
        assert np.array_equal(np.cumsum(counts), [(array <= limit).sum() for limit in limits])
    assert "gradients/bias" in last
    assert b"text" in found[2][1]["note/text_summary"][9][0]
    assert b"validation_loss" in found[2][1]["_hparams_/experiment"][9][0]


def test_the_event_file_of_a_crashed_run_goes_on(tmp_path):
    def run(folder, crash, **options):
        board = TensorBoard(folder / "board", every_steps=3, histograms=True)
        fit(folder, [board, Crashes(crash)], **options)
        return [(step, {k: v for k, v in values.items() if isinstance(v, float)})
                for step, values, _ in events_in(folder / "board")]  # fmt: skip

    whole = run(tmp_path / "whole", None)
    for crash in (7, 19, 21):
        folder = tmp_path / str(crash)
        with pytest.raises(CrashError):
            run(folder, crash)
        (path,) = (folder / "board").iterdir()
        with open(path, "ab") as file:
            file.write(b"half a record")
        assert run(folder, None, resume=True) == whole
    again = TensorBoard(folder / "board")
    again.begin(0, 0)
    assert len(list((folder / "board").glob("*tfevents*"))) == 1


def test_histograms_of_odd_arrays():
    for array, number in ((np.zeros(4), 4), (np.array([np.nan, np.inf, 2.0]), 1), (np.zeros(0), 0)):
        histogram = fields(fields(events.histogram("a", array))[5][0])
        assert histogram[3][0] == number
        assert np.frombuffer(histogram[7][0], "<f8").sum() == number


def test_logging_changes_no_bit(tmp_path):
    def weights(*callbacks):
        folder = tmp_path / str(len(callbacks))
        return fit(folder, callbacks).model.weight.numpy().tobytes()

    board = TensorBoard(tmp_path / "board", histograms=True, batch=(X, Y))
    assert weights(board, JSONLogger(tmp_path / "l.jsonl")) == weights()


# -- services -----------------------------------------------------------------------------------


class FakeRun:
    """A run at Weights & Biases: as `wandb.init` gives it, resumed or new."""

    runs: dict = {}  # noqa: RUF012

    def __init__(self, config, id=None, resume=None, **options):
        self.id = id or f"run{len(self.runs)}"
        self.config, self.options = config, options
        self.logged = self.runs.setdefault(self.id, [])
        self.step = self.logged[-1][0] + 1 if self.logged else 0
        self.finished = False

    def log(self, numbers, step):
        self.logged.append((step, numbers))

    def finish(self):
        self.finished = True


@pytest.fixture
def wandb(monkeypatch):
    FakeRun.runs = {}
    module = types.ModuleType("wandb")
    module.init = FakeRun
    monkeypatch.setitem(sys.modules, "wandb", module)


def test_weights_and_biases_gets_the_records_once(wandb, tmp_path):
    options = {"project": "p", "mode": "offline"}
    logger = WeightsAndBiases(settings={"lr": 0.1}, options=options, every_steps=3)
    with pytest.raises(CrashError):
        fit(tmp_path, [logger, Crashes(19)])
    assert logger._run.config == {"lr": 0.1}
    assert logger._run.options == options
    resumed = WeightsAndBiases(every_steps=3)
    trainer = fit(tmp_path, [resumed, Crashes()], resume=True)
    assert resumed.id == logger.id == "run0"
    logged = FakeRun.runs["run0"]
    assert [(s, r) for s, r in logged if "epoch" in r] == [
        (10 * r["epoch"], r) for r in trainer.history
    ]
    assert [s for s, r in logged if "epoch" not in r] == [*range(3, 31, 3)]
    assert resumed._run.finished


class FakeMLflow(types.ModuleType):
    """MLflow's functions that a logger calls, and what they were given."""

    def __init__(self):
        super().__init__("mlflow")
        self.metrics, self.parameters, self.active = {}, {}, None

    def start_run(self, run_id=None, **options):
        assert self.active is None
        self.active = run_id or "one"
        return self.active_run()

    def active_run(self):
        if self.active is not None:
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id=self.active))
        return None

    def end_run(self):
        self.active = None

    def log_params(self, parameters):
        self.parameters |= parameters

    def log_metrics(self, numbers, step):
        assert self.active
        for name, value in numbers.items():
            self.metrics.setdefault(name, []).append((step, value))

    def MlflowClient(self):  # noqa: N802
        return self

    def get_metric_history(self, run_id, name):
        return [types.SimpleNamespace(step=s) for s, _ in self.metrics.get(name, [])]


def test_mlflow_gets_the_records_once(monkeypatch, tmp_path):
    service = FakeMLflow()
    monkeypatch.setitem(sys.modules, "mlflow", service)
    logger = MLflow(settings={"lr": 0.1}, every_steps=3, options={"run_name": "a"})
    with pytest.raises(CrashError):
        fit(tmp_path, [logger, Crashes(19)])
    trainer = fit(tmp_path, [MLflow(every_steps=3), Crashes()], resume=True)
    assert service.parameters == {"lr": 0.1}
    assert [s for s, _ in service.metrics["step_loss"]] == [*range(3, 31, 3)]
    expected = [(10 * r["epoch"], r["validation_loss"]) for r in trainer.history]
    assert service.metrics["validation_loss"] == expected
    assert service.active is None
    service.start_run()
    inside = MLflow()
    fit(tmp_path / "inside", [inside], epochs=1)
    assert (inside.id, service.active) == ("one", "one")  # a run of the user's stays open
    logger._client, logger.id = service, "one"
    service.active = "one"
    logger.log(99, {"auc": math.nan})
    assert "auc" not in service.metrics


def test_services_that_are_not_installed_are_named(monkeypatch):
    for name, kind in (("wandb", WeightsAndBiases), ("mlflow", MLflow)):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(
            MissingDependencyError,
            match=rf'{name} must be installed.*pip install "backlit\[{name}\]"',
        ):
            kind()
