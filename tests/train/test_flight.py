"""The flight recorder: what a failed step leaves, and that it comes back bit for bit."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import backlit
from backlit import nn, optim
from backlit.cli import main
from backlit.data import DataLoader, TensorDataset
from backlit.errors import DataError, NonFiniteError
from backlit.train import Accuracy, Trainer, load_flight, save_checkpoint
from sampling import one_in

BAD = 37  # the row of the data set that breaks a step


def parts(lr=0.01):
    backlit.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3)
    )
    return model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=lr)


def data(bad_input=math.inf):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 4)).astype(np.float32)
    x[BAD, 2] = bad_input
    return x, rng.integers(0, 3, 60)


def bits(thing):
    return {n: t.numpy().tobytes() for n, t in thing.state_dict().items()}


class Rows(TensorDataset):
    """Not a plain TensorDataset: batches are made one by one."""


WAYS = {
    "many steps in native code": (TensorDataset, {}),
    "many steps, with metrics": (TensorDataset, {"metrics": [Accuracy()]}),
    "compiled, one by one": (Rows, {}),
    "interpreted": (TensorDataset, {"compile": False}),
    "clipped": (TensorDataset, {"clip_norm": 0.5, "clip_value": 0.1}),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", one_in(2, WAYS))
def test_a_step_with_a_bad_loss_comes_back_bit_for_bit(tmp_path, way) -> None:
    dataset, options = WAYS[way]
    path = tmp_path / "deep" / "flight.safetensors"
    model, loss_fn, optimizer = parts()
    trainer = Trainer(model, loss_fn, optimizer, flight=path, progress="quiet", **options)
    loader = DataLoader(dataset(*data()), 5, shuffle=True, seed=1)
    with pytest.raises(NonFiniteError, match=r"look at this step with: backlit replay .*flight\."):
        trainer.fit(loader, epochs=3)

    flight = load_flight(path)
    assert flight.step == trainer.steps + 1 > 3  # so that there is a past
    assert flight.epoch == 1
    assert math.isnan(flight.loss)
    x, y = data()
    if dataset is TensorDataset and way != "interpreted":
        assert BAD in flight.rows
        assert np.array_equal(flight.batch[0].numpy(), x[flight.rows], equal_nan=True)
        assert np.array_equal(flight.batch[1].numpy(), y[flight.rows])
    assert np.isinf(flight.batch[0].numpy()).sum() == 1
    assert len(flight.past) == trainer.steps
    assert "its loss was nan" in flight.reason

    again = parts()
    before = backlit.random.default_generator().state_dict()
    replay = flight.replay(*again)
    assert replay.same
    assert math.isnan(replay.loss)
    assert "bit for bit" in repr(replay)
    assert bits(again[0]) == bits(model)  # both are as before the step
    assert backlit.random.default_generator().state_dict() == before
    assert any(n.op == "batch_norm" for n in replay.record.nodes)
    assert flight.replay(*parts()).same  # a second time, too


def test_a_flight_is_the_run_that_would_have_been(tmp_path) -> None:
    """Without the bad row the past is that of a plain run, number by number."""
    losses = []

    class Notes(backlit.train.Callback):
        def on_step_end(self, trainer, loss):
            losses.append(loss)

    model, loss_fn, optimizer = parts()
    plain = Trainer(model, loss_fn, optimizer, progress="quiet", callbacks=[Notes()])
    with pytest.raises(NonFiniteError):
        plain.fit(DataLoader(TensorDataset(*data()), 5, shuffle=True, seed=1), epochs=1)

    model, loss_fn, optimizer = parts()
    path = tmp_path / "flight.safetensors"
    recorded = Trainer(model, loss_fn, optimizer, progress="quiet", flight=path)
    with pytest.raises(NonFiniteError):
        recorded.fit(DataLoader(TensorDataset(*data()), 5, shuffle=True, seed=1), epochs=1)
    past = load_flight(path).state["past"]
    assert [p["loss"] for p in past] == losses[-16:]
    assert [p["step"] for p in past] == list(range(1, len(losses) + 1))
    assert bits(plain.model) == bits(recorded.model)
    assert all(p["gradient_norm"] > 0 and p["largest"] == "4.weight" for p in past)
    assert bits(optimizer_state(plain)) == bits(optimizer_state(recorded))


def optimizer_state(trainer):
    class State:
        def state_dict(self):
            state = trainer.optimizer.state_dict()["state"]
            return {f"{i}.{n}": t for i, part in state.items() for n, t in part.items()}

    return State()


@pytest.mark.parametrize("compile", [True, False])
def test_a_step_that_raises_comes_back_with_its_exception(tmp_path, compile) -> None:
    """A label that is no class: in native code an index out of range."""
    x, y = data(0.0)
    y[BAD] = 7
    path = tmp_path / "flight.safetensors"
    model, loss_fn, optimizer = parts()
    trainer = Trainer(model, loss_fn, optimizer, flight=path, progress="quiet", compile=compile)
    trainer._portions.pace = 8  # so that it is in the middle of what native code does at a time
    with pytest.raises(IndexError) as caught:
        trainer.fit(DataLoader(TensorDataset(x, y), 2), epochs=2)
    assert any("Look at it with: backlit replay" in n for n in caught.value.__notes__)
    flight = load_flight(path)
    assert flight.loss is None
    assert flight.error.startswith(type(caught.value).__name__)
    assert 7 in flight.batch[1].numpy()
    assert flight.step == trainer.steps + 1 == BAD // 2 + 1
    replay = flight.replay(*parts())
    assert replay.same
    assert replay.record.nodes  # up to the crash
    assert "it raised" in repr(replay)


@pytest.mark.parametrize("pace", [1, 4, 64])
def test_the_past_is_that_of_the_last_steps(tmp_path, pace) -> None:
    path = tmp_path / "flight.safetensors"
    trainer = Trainer(*parts(), flight=path, progress="quiet")
    trainer._portions.pace = pace
    with pytest.raises(NonFiniteError):
        trainer.fit(DataLoader(TensorDataset(*data()), 2), epochs=1)
    flight = load_flight(path)
    assert flight.step == BAD // 2 + 1
    assert [p["step"] for p in flight.state["past"]] == list(range(flight.step - 16, flight.step))
    assert [p["rows"][0] for p in flight.state["past"]] == list(range(4, 36, 2))
    assert flight.rows == [36, 37]


@pytest.mark.slow
def test_another_model_or_loss_is_noticed(tmp_path) -> None:
    path = tmp_path / "flight.safetensors"
    trainer = Trainer(*parts(), flight=path, progress="quiet")
    with pytest.raises(NonFiniteError):
        trainer.fit(DataLoader(TensorDataset(*data()), 5), epochs=1)
    flight = load_flight(path)
    model, _, optimizer = parts()
    replay = flight.replay(model, lambda z, y: (z[:4] ** 2).mean(), optimizer)
    assert not replay.same
    assert "model, loss function or machine are not those of then" in repr(replay)
    other = nn.Sequential(nn.Linear(4, 3))
    with pytest.raises(DataError, match=r"replay: the model in .* does not fit Sequential"):
        flight.replay(other, nn.CrossEntropyLoss(), optim.Adam(other.parameters()))


def test_without_a_place_nothing_is_written_and_exceptions_stay(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = Trainer(*parts(), progress="quiet")
    with pytest.raises(NonFiniteError) as caught:
        trainer.fit(DataLoader(TensorDataset(*data()), 5), epochs=1)
    assert "replay" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_have_a_place_for_it(tmp_path) -> None:
    trainer = Trainer(*parts(), checkpoints=tmp_path / "run", progress="quiet")
    assert trainer.flight == tmp_path / "run" / "flight.safetensors"


def test_a_recorder_that_fails_does_not_hide_the_failure(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    x, y = data(0.0)
    y[BAD] = 7
    trainer = Trainer(*parts(), flight=tmp_path / "file" / "flight", progress="quiet")
    with pytest.raises(IndexError) as caught:
        trainer.fit(DataLoader(TensorDataset(x, y), 5), epochs=1)
    assert any("flight recorder failed, too" in n for n in caught.value.__notes__)


def test_files_that_are_no_flights(tmp_path) -> None:
    missing, other, cut = (tmp_path / n for n in ("missing", "other", "cut"))
    with pytest.raises(DataError, match="missing cannot be read"):
        load_flight(missing)
    save_checkpoint(other, {"model": {}})
    with pytest.raises(DataError, match=r"must be a flight recorder's file.*got a checkpoint.*mod"):
        load_flight(other)
    trainer = Trainer(*parts(), flight=cut, progress="quiet")
    with pytest.raises(NonFiniteError):
        trainer.fit(DataLoader(TensorDataset(*data()), 5), epochs=1)
    whole = cut.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="truncated, damaged"):
        load_flight(cut)


# -- the command ----------------------------------------------------------------------------------

SCRIPT = """
import backlit
from backlit import nn, optim

def parts():
    backlit.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3)
    )
    return model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.01)

def wrong():
    return 3
"""


def test_the_command_replays_a_script_s_step(tmp_path) -> None:
    path, script, saved = (tmp_path / n for n in ("f.safetensors", "net.py", "step.json"))
    script.write_text(SCRIPT)
    trainer = Trainer(*parts(), flight=path, progress="quiet")
    with pytest.raises(NonFiniteError):
        trainer.fit(DataLoader(TensorDataset(*data()), 5, shuffle=True, seed=1), epochs=1)
    run = CliRunner().invoke
    result = run(main, ["replay", str(path), f"{script}:parts", "--list", "--save", str(saved)])
    assert result.exit_code == 0, result.output
    assert "done again, it went the same, bit for bit" in result.output
    assert "forward: nan first in" in result.output
    assert "backward" in result.output.splitlines()[-1]  # the last stop
    assert backlit.see.Record.load(saved).nodes
    for source, message in (
        (None, "not in the folder of a run of `backlit train`"),
        (f"{script}:other", "must define a function other"),
        (f"{script}:wrong", r"must return \(model, loss_fn, optimizer\), got int"),
        ("nowhere.py:parts", "must be file.py:function of an existing file"),
    ):
        result = run(main, ["replay", str(path), *([source] if source else [])])
        assert result.exit_code == 1
        assert message.replace("\\", "") in result.output


@pytest.mark.slow
def test_the_command_replays_a_run_of_backlit_train(tmp_path, monkeypatch) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    options = ["--lr", "1e30", "--optimizer", "sgd", "--epochs", "1", "--progress", "quiet"]
    result = run(main, ["train", "digits", *options])
    assert result.exit_code == 1
    assert "backlit replay runs/digits/flight.safetensors" in result.output
    result = run(main, ["replay", "runs/digits/flight.safetensors"])
    assert result.exit_code == 0, result.output
    assert "bit for bit" in result.output
    page = Path("runs/digits/report.html").read_text("utf-8")
    assert "backlit replay runs/digits/flight.safetensors" in page
    assert "Failed in epoch 1, step 2: the loss was nan" in page


def test_the_command_takes_the_folder_and_says_when_nothing_failed(tmp_path) -> None:
    result = CliRunner().invoke(main, ["replay", str(tmp_path)])
    assert result.exit_code == 1
    assert "flight.safetensors; a Trainer writes one when a loss is not finite" in result.output


class Noisy(nn.Module):
    """Draws from a generator of its own."""

    def __init__(self):
        super().__init__()
        self.noise = backlit.Generator(5)
        self.linear = nn.Linear(4, 3)

    def forward(self, x):
        """Noise, then a layer."""
        return self.linear(x + 0.1 * self.noise.normal(x.shape))


@pytest.mark.parametrize("compiled", [True, False])
def test_looking_at_the_steps_before_draws_nothing_from_the_models_generators(
    tmp_path, compiled
) -> None:
    ends = []
    for path in (None, tmp_path / "flight.safetensors"):
        backlit.manual_seed(0)
        model = Noisy()
        optimizer = optim.SGD(model.parameters(), lr=0.05)
        trainer = Trainer(
            model,
            nn.CrossEntropyLoss(),
            optimizer,
            flight=path,
            compile=compiled,
            progress="quiet",
        )
        with pytest.raises(NonFiniteError):
            trainer.fit(DataLoader(TensorDataset(*data()), 5), epochs=3)
        ends.append((trainer.steps, bits(model), bits(model.noise)))
    assert ends[0] == ends[1]


def test_looking_for_the_bad_layer_leaves_running_statistics_alone() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    before = bits(model)
    trainer = Trainer(
        model,
        lambda p, t: backlit.log(p - p).sum(),
        optim.SGD(model.parameters(), lr=0.1),
        progress="quiet",
    )
    with pytest.raises(NonFiniteError, match="the output of log"):
        trainer.fit([(np.eye(2, dtype=np.float32), np.zeros(2))], epochs=1)
    assert bits(model) == before


def test_fit_and_replay_name_the_same_first_bad_number(tmp_path):
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            mask = backlit.tensor([[0.0, -math.inf], [0.0, 0.0]])
            weights = nn.functional.softmax(self.layer(x) + mask, dim=1)  # −∞ does no harm
            return backlit.log(weights[:, 0] - weights[:, 0])  # and here NaN is born

    model = Masked()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    path = tmp_path / "flight.safetensors"
    loss_fn = nn.MSELoss()
    t = Trainer(model, loss_fn, optimizer, progress="quiet", flight=path)
    with pytest.raises(NonFiniteError, match="first: the output of log in Masked holds 2 infinite"):
        t.fit([(np.ones((2, 2), np.float32), np.ones(2, np.float32))], epochs=1)
    found = repr(load_flight(path).replay(model, loss_fn, optimizer))
    assert re.search(r"−∞ first in log_\d+\[0\]", found)
