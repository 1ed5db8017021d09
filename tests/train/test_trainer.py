"""The Trainer: the loop, and everything around it except resuming."""

import gc
import io
import math
import os
import re
import signal
import threading
import tracemalloc

import numpy as np
import pytest
from rich.console import Console

import backlit
from backlit import nn, optim
from backlit.compiler.api import interpreter
from backlit.data import DataLoader, TensorDataset, playground
from backlit.errors import ArgumentError, DataError, NonFiniteError
from backlit.train import Accuracy, Callback, EarlyStopping, Mean, TopK, Trainer

TRAIN, TEST = playground("circle", 200, noise=0.05, seed=1)


def network(seed=0, dropout=0.0):
    backlit.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(2, 8), nn.Tanh(), nn.Dropout(dropout), nn.BatchNorm1d(8), nn.Linear(8, 2)
    )


def trainer(model=None, lr=0.03, **options):
    model = network() if model is None else model
    options.setdefault("metrics", [Accuracy()])
    options.setdefault("progress", "quiet")
    optimizer = optim.Adam(model.parameters(), lr=lr)
    return Trainer(model, nn.CrossEntropyLoss(), optimizer, **options)


def loaders(**options):
    return DataLoader(TRAIN, 16, shuffle=True, **options), DataLoader(TEST, 50)


def bits(model):
    return {n: t.numpy().tobytes() for n, t in model.state_dict().items()}


# -- the loop that everyone knows -------------------------------------------------------------


def test_the_loop_that_everyone_knows_runs_as_written():
    device = "cpu"
    train, test = playground("circle", 300, seed=1)
    dataloader = DataLoader(train, batch_size=10, shuffle=True)
    backlit.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2)).to(device)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    size = len(dataloader.dataset)
    losses = []
    for _ in range(30):
        model.train()
        for batch, (X, y) in enumerate(dataloader):
            X, y = X.to(device), y.to(device)

            # Compute prediction error
            pred = model(X)
            loss = loss_fn(pred, y)

            # Backpropagation
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

            if batch % 5 == 0:
                loss, current = loss.item(), (batch + 1) * len(X)
                losses.append(f"loss: {loss:>7f}  [{current:>5d}/{size:>5d}]")
    assert len(losses) == 90
    model.eval()
    correct = 0
    with backlit.no_grad():
        for X, y in DataLoader(test, batch_size=64):
            pred = model(X.to(device))
            correct += (pred.argmax(1) == y).astype(backlit.float32).sum().item()
    assert correct / len(test) > 0.9


def test_the_trainer_does_what_that_loop_does():
    model, by_hand = network(), network()
    trainer(model, compile=False).fit(loaders()[0], epochs=2)
    optimizer = optim.Adam(by_hand.parameters(), lr=0.03)
    loss_fn = nn.CrossEntropyLoss()
    loader = loaders()[0]
    for _ in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            loss_fn(by_hand(x), y).backward()
            optimizer.step()
    assert bits(model) == bits(by_hand)


# -- compiled or not, here or there -----------------------------------------------------------


def test_interpreted_and_eager_steps_give_the_same_bits(monkeypatch):
    for module in ("step", "evaluation"):
        monkeypatch.setattr(
            f"backlit.train.{module}.compile_function",
            lambda step: backlit.compile(step, executor=interpreter),
        )
    runs = []
    for compiled in (True, False):
        t = trainer(network(dropout=0.3), compile=compiled, clip_norm=0.5, clip_value=0.4)
        runs.append((t.fit(*loaders(), epochs=4), bits(t.model)))
    assert runs[0] == runs[1]


def test_compiled_and_eager_steps_agree():
    runs = []
    for compiled in (True, False):
        t = trainer(network(dropout=0.3), compile=compiled, clip_norm=0.5, clip_value=0.4)
        runs.append((t.fit(*loaders(), epochs=4), t.model))
    (compiled, a), (eager, b) = runs
    for one, other in zip(compiled, eager, strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    for (name, p), (_, q) in zip(a.named_parameters(), b.named_parameters(), strict=True):
        assert np.allclose(p.numpy(), q.numpy(), atol=1e-4), name


@pytest.mark.long
def test_eight_threads_training_at_once_give_the_bits_of_one():
    def run(results, i):
        backlit.manual_seed(7)
        t = trainer(network(7, dropout=0.2), schedule=None)
        history = t.fit(*loaders(prefetch=i % 3), epochs=3)
        results[i] = (history, bits(t.model))

    alone, together = {}, {}
    run(alone, 0)
    threads = [threading.Thread(target=run, args=(together, i)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(together) == 8
    assert all(result == alone[0] for result in together.values())


def test_no_grad_as_a_decorator_keeps_threads_apart():
    entered, leave = [threading.Event() for _ in "ab"], [threading.Event() for _ in "ab"]
    states = {}

    @backlit.no_grad()
    def function(i):
        entered[i].set()
        leave[i].wait(5)

    def run(i, enabled):
        with backlit.enable_grad() if enabled else backlit.no_grad():
            function(i)
            states[i] = backlit.is_grad_enabled()

    threads = [threading.Thread(target=run, args=(i, i == 0)) for i in range(2)]
    for i in range(2):  # the one that enters first also leaves first
        threads[i].start()
        entered[i].wait(5)
    for i in range(2):
        leave[i].set()
        threads[i].join()
    assert states == {0: True, 1: False}


@pytest.mark.long
def test_memory_is_flat_over_many_steps_without_the_cyclic_collector():
    x, y = (t[:10] for t in TRAIN.tensors)
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2))
    optimizer, loss_fn = optim.Adam(model.parameters(), lr=1e-3), nn.CrossEntropyLoss()

    def eager():
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    compiled = backlit.compile(eager)
    gc.collect()
    gc.disable()
    try:
        for step, steps in ((eager, 500), (compiled, 2000)):
            for _ in range(1000):  # NumPy keeps a bounded number of small blocks for later
                step()
            tracemalloc.start()
            for _ in range(50):
                step()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(steps):
                step()
            grown = tracemalloc.get_traced_memory()[0] - before
            tracemalloc.stop()
            assert grown < 5_000, step
    finally:
        gc.enable()
        tracemalloc.stop()


@pytest.mark.long
def test_the_resident_set_is_flat_over_twenty_thousand_steps():
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("this system does not say how much memory is in use")

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    data = TensorDataset(*(t[:10] for t in TRAIN.tensors))
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2))
    t = trainer(model, metrics=[])
    loader = DataLoader(data, 1)
    gc.collect()
    gc.disable()
    try:
        t.fit(loader, epochs=400)
        before = resident()
        t.fit(loader, epochs=2000)
        assert t.steps == 20_000
        assert resident() - before < 2 * 2**20
    finally:
        gc.enable()


# -- what a fit does --------------------------------------------------------------------------


def test_the_history_has_what_was_asked_for():
    t = trainer(metrics=[Accuracy(), TopK(1)])
    history = t.fit(*loaders(), epochs=3)
    assert [r["epoch"] for r in history] == [1, 2, 3]
    assert set(history[0]) == {
        *("epoch", "lr", "loss", "accuracy", "top-1"),
        *("validation_loss", "validation_accuracy", "validation_top-1"),
    }
    assert history[0]["accuracy"] == history[0]["top-1"]
    assert history[2]["loss"] < history[0]["loss"]
    assert t.evaluate(loaders()[1])["loss"] == history[-1]["validation_loss"]


def test_epochs_count_those_of_earlier_calls():
    once, twice = trainer(), trainer()
    loader = loaders()[0]
    twice.fit(loader, epochs=1)
    twice.fit(loader, epochs=3)
    assert twice.fit(loader, epochs=2) == once.fit(loaders()[0], epochs=3)
    assert bits(once.model) == bits(twice.model)


def test_evaluating_changes_nothing():
    t = trainer()
    t.fit(loaders()[0], epochs=1)
    before, metric = bits(t.model), t.metrics[0].state_dict()
    t.model.train()
    t.evaluate(loaders()[1])
    assert bits(t.model) == before
    assert t.metrics[0].state_dict() == metric
    assert t.model.training


def test_models_of_several_inputs_and_arrays_as_batches():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(2, 2)

        def forward(self, a, b):
            return self.inner(a + b)

    x, y = (t.numpy() for t in TRAIN.tensors)
    t = trainer(Sum())
    assert len(t.fit([(x, x, y)], epochs=2)) == 2


@pytest.mark.slow
def test_schedules_step_after_epochs_or_after_steps():
    rates = {}
    for every in ("epoch", "step"):
        t = trainer(lr=1.0)
        t.schedule = optim.lr_scheduler.StepLR(t.optimizer, step_size=2, gamma=0.5)
        t.schedule_every = every
        rates[every] = [r["lr"] for r in t.fit(loaders()[0], epochs=4)]
    assert rates["epoch"] == [1, 1, 0.5, 0.5]
    # Seven steps in an epoch; the last of them had that rate, the schedule has gone on since.
    assert rates["step"] == [0.5**3, 0.5**6, 0.5**10, 0.5**13]
    assert t.optimizer.param_groups[0]["lr"] == 0.5**14

    t = trainer(lr=1.0)
    t.schedule = optim.lr_scheduler.ReduceLROnPlateau(t.optimizer, patience=0, factor=0.1)
    t.fit([(np.zeros((4, 2), np.float32), [0, 1, 0, 1])] * 2, epochs=8)
    assert t.history[-1]["lr"] < 1


def test_clipping_limits_the_update():
    moved = {}
    for name, options in {
        "free": {},
        "norm": {"clip_norm": 1e-3},
        "value": {"clip_value": 1e-4},
    }.items():
        model = network()
        before = model[0].weight.numpy().copy()
        optimizer = optim.SGD(model.parameters(), lr=1.0)
        t = Trainer(model, nn.CrossEntropyLoss(), optimizer, progress="quiet", **options)
        t.fit(loaders()[0], epochs=1)
        moved[name] = np.abs(model[0].weight.numpy() - before).max()
    assert moved["norm"] < 7 * 1e-3 + 1e-6 < moved["free"]
    assert moved["value"] < 7 * 1e-4 + 1e-6


def test_the_best_epoch_is_kept(tmp_path):
    for folder in (None, tmp_path):
        t = trainer(lr=0.5, checkpoints=folder)
        history = t.fit(*loaders(), epochs=12)
        best = min(history, key=lambda r: r["validation_loss"])
        assert (t.best, t.best_epoch) == (best["validation_loss"], best["epoch"])
        assert best["epoch"] < 12  # such a rate makes it worse again
        t.load_best()
        assert t.evaluate(loaders()[1])["loss"] == best["validation_loss"]
    t = trainer(monitor="validation_accuracy", lr=0.5)
    history = t.fit(*loaders(), epochs=12)
    assert t.best == max(r["validation_accuracy"] for r in history)


def test_early_stopping_waits_for_patience_epochs():
    stopping = EarlyStopping(patience=3)
    t = trainer(lr=0.5, callbacks=[stopping])
    history = t.fit(*loaders(), epochs=100)
    losses = [r["validation_loss"] for r in history]
    assert len(history) < 100
    assert losses.index(min(losses)) == len(losses) - 1 - 3
    assert t.stopped == f"validation_loss has not got better than {min(losses):.4g} for 3 epochs"
    calm = trainer(callbacks=[EarlyStopping(patience=1, min_delta=1e9)])
    assert len(calm.fit(*loaders(), epochs=9)) == 2


def test_nan_is_never_the_best():
    t = trainer()
    assert not t.is_better("loss", math.nan, None)
    assert not t.is_better("loss", math.nan, 1.0)
    assert t.is_better("loss", 1.0, None)
    assert t.is_better("validation_accuracy", 0.6, 0.5)
    assert not t.is_better("validation_loss", 0.6, 0.5)


def test_callbacks_are_called_in_order():
    calls = []

    class Recorder(Callback):
        def on_train_start(self, trainer):
            calls.append("start")

        def on_step_end(self, trainer, loss):
            calls.append(trainer.position)
            assert math.isfinite(loss)

        def on_epoch_end(self, trainer, record):
            calls.append(f"epoch {record['epoch']}")
            if trainer.epoch == 2:
                trainer.stop("enough")

        def on_train_end(self, trainer):
            calls.append(trainer.stopped)

    trainer(callbacks=[Recorder()]).fit(loaders()[0], epochs=5)
    steps = [*range(1, 8)]
    assert calls == ["start", *steps, "epoch 1", *steps, "epoch 2", "enough"]


# -- losses that are not finite ---------------------------------------------------------------


class Exploding(nn.Module):
    """Its output overflows as soon as the input exceeds 88."""

    def forward(self, x):
        return backlit.exp(x * 100.0)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_loss_that_is_not_finite_names_step_and_layer(compiled):
    x = np.full((6, 2), 0.001, np.float32)
    x[4] = 5.0  # the third batch
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(Exploding(), nn.Linear(2, 2)))
    with backlit.no_grad():
        model[0].weight.assign(np.eye(2, dtype=np.float32))
        model[0].bias.assign(np.zeros(2, np.float32))
    t = trainer(model, lr=1e-6, compile=compiled)
    t.fit(DataLoader(TensorDataset(x[:2], [0, 1]), 2), epochs=1)
    with pytest.raises(NonFiniteError) as caught:
        t.fit(DataLoader(TensorDataset(x, [0, 1] * 3), 2), epochs=2)
    assert re.search(
        r"fit: the loss must be finite, got nan in epoch 2, step 3 of 3; first: the output of exp "
        r"in Sequential\.1\.0 holds 2 infinite of 4 numbers; the model is as before this step",
        str(caught.value),
    )
    assert all(np.isfinite(p.numpy()).all() for p in model.parameters())
    assert t.steps == 3


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("bad", [0, 5, 70])
def test_the_run_is_put_back_to_before_the_bad_step(bad, compiled):
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(80, 4, 2)).astype(np.float32), rng.integers(0, 2, (80, 4))
    batches = list(zip(x, y, strict=True))
    x[bad, 1] = np.nan

    def scheduled():
        t = trainer(network(dropout=0.2), compile=compiled)
        t.schedule = optim.lr_scheduler.ExponentialLR(t.optimizer, 0.99)
        t.schedule_every = "step"
        return t

    failed, good = scheduled(), scheduled()
    backlit.manual_seed(3)
    if bad:
        good.fit(batches[:bad], epochs=1)
    random_state = int(backlit.random.default_generator().counter)
    backlit.manual_seed(3)
    message = rf"step {bad + 1} of 80; first: the batch itself holds 2 NaN of 8 numbers \(input 0\)"
    with pytest.raises(NonFiniteError, match=message):
        failed.fit(batches, epochs=1)
    assert bits(failed.model) == bits(good.model)
    assert int(backlit.random.default_generator().counter) == random_state
    assert failed.schedule.state_dict() == good.schedule.state_dict()
    one, other = failed.optimizer.state_dict(), good.optimizer.state_dict()
    assert one["param_groups"] == other["param_groups"]
    assert one["state"].keys() == other["state"].keys()
    for number, state in one["state"].items():
        for name, tensor in state.items():
            assert tensor.tolist() == other["state"][number][name].tolist()


def test_looking_for_the_cause_leaves_the_random_numbers_alone():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), Exploding(), nn.Linear(2, 2))
    model[0].weight.assign(np.eye(2, dtype=np.float32))
    generator = backlit.random.default_generator()
    before = int(generator.counter)
    with pytest.raises(NonFiniteError, match=r"the output of exp in Sequential\.2"):
        trainer(model).fit([(np.full((8, 2), 1e6, np.float32), [0, 1] * 4)], epochs=1)
    assert int(generator.counter) == before


def test_bad_targets_parameters_and_losses_are_named():
    def failing(model, loss_fn, x, y):
        optimizer = optim.SGD(model.parameters(), lr=1.0)
        with pytest.raises(NonFiniteError) as caught:
            Trainer(model, loss_fn, optimizer, progress="quiet").fit([(x, y)], epochs=1)
        return str(caught.value)

    x = np.ones((2, 2), np.float32)
    model = nn.Sequential(nn.Linear(2, 1))
    message = failing(model, nn.MSELoss(), x, np.full((2, 1), np.inf, np.float32))
    assert "first: the targets of the batch hold 2 infinite of 2 numbers: check the data" in message
    assert "got inf in epoch 1, step 1 of 1;" in message
    message = failing(model, lambda p, t: backlit.log(p - p).sum(), x, [0, 1])
    assert "first: the output of log in the loss function holds 2 infinite" in message

    class Loss(nn.Module):
        def forward(self, p, t):
            return backlit.log(p - p).sum()

    assert "the output of log in the loss, Loss holds" in failing(model, Loss(), x, [0, 1])
    model[0].weight.assign(np.full((1, 2), np.nan, np.float32))
    message = failing(model, nn.MSELoss(), x, x[:, :1])
    assert "first: 0.weight holds 2 NaN of 2 numbers, since the update before" in message

    state = {"bad": True}

    def once(p, t):
        loss = (p * p).sum()
        return loss * math.nan if state.pop("bad", False) else loss

    good = nn.Sequential(nn.Linear(2, 1))
    assert "no layer, when run again: the computation is not repeatable" in failing(
        good, once, x, [0, 1]
    )


# -- Ctrl-C -----------------------------------------------------------------------------------


class PressesCtrlC(Callback):
    def __init__(self, step, times=1):
        self.step, self.times = step, times

    def on_step_end(self, trainer, loss):
        if trainer.steps == self.step:
            for _ in range(self.times):
                os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_finishes_the_step_and_gives_the_handler_back():
    handler = signal.getsignal(signal.SIGINT)
    t = trainer(callbacks=[PressesCtrlC(10)])
    loader = loaders()[0]
    t.fit(loader, epochs=5)
    assert (t.stopped, t.steps, t.epoch, t.position) == ("interrupted", 10, 1, 3)
    assert signal.getsignal(signal.SIGINT) is handler
    whole = trainer()
    whole.fit(loaders()[0], epochs=5)
    t.fit(loader, epochs=5)  # goes on in the middle of the epoch
    assert t.stopped is None
    assert t.history == whole.history
    assert bits(t.model) == bits(whole.model)


def test_a_second_ctrl_c_stops_at_once():
    # A parent that runs in the background may have switched the signal off.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        stop_with_two_ctrl_c()
    finally:
        signal.signal(signal.SIGINT, before)


def stop_with_two_ctrl_c():
    handler = signal.getsignal(signal.SIGINT)
    t = trainer(callbacks=[PressesCtrlC(10, times=2)])
    with pytest.raises(KeyboardInterrupt):
        t.fit(loaders()[0], epochs=5)
    assert signal.getsignal(signal.SIGINT) is handler


# -- what is shown ----------------------------------------------------------------------------


def shown(kind, epochs=3, terminal=False, **options):
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=terminal, color_system=None)
    trainer(progress=kind, console=console, **options).fit(*loaders(), epochs=epochs)
    return stream.getvalue()


def test_lines_where_there_is_no_terminal():
    lines = shown("auto").splitlines()
    assert len(lines) == 4
    assert lines[0].split() == ["epoch", "loss", "accuracy", "val.", "loss", "val.", "accuracy",
                                "samples/s"]  # fmt: skip
    assert re.fullmatch(r" +1/3 +\d\.\d{4} +[\d.]+ % +\d\.\d{4} +[\d.]+ % +[\d,]+", lines[1])
    assert max(map(len, lines)) < 80
    assert "\x1b" not in shown("auto")


def test_long_runs_show_about_twenty_lines():
    lines = shown("lines", epochs=100).splitlines()
    assert 20 <= len(lines) <= 23
    assert lines[1].split()[0] == "1/100"
    assert lines[-1].split()[0] == "100/100"


def test_a_bar_on_a_terminal():
    text = shown("auto", epochs=30, terminal=True)
    assert "epoch 30/30" in text
    assert "━" in text
    assert re.search(r"\d+:\d\d left", text)
    assert re.search(r"[\d,]+/s", text)


def test_nothing_when_quiet(capsys):
    assert shown("quiet", terminal=True) == ""
    trainer().fit(loaders()[0], epochs=1)
    assert capsys.readouterr().out == ""


def test_interruptions_and_early_ends_are_said(tmp_path):
    text = shown("lines", callbacks=[PressesCtrlC(10)])
    assert "Interrupted in epoch 2, after step 3; nothing was saved." in text
    text = shown("lines", callbacks=[PressesCtrlC(10)], checkpoints=tmp_path)
    saved = f"saved as {tmp_path / 'latest.safetensors'}."
    assert f"Interrupted in epoch 2, after step 3; {saved}" in text
    text = shown("lines", callbacks=[EarlyStopping(1, min_delta=1e9)])
    assert "Stopped after epoch 2: validation_loss has not got better" in text


# -- bad input --------------------------------------------------------------------------------


def test_trainer_errors(tmp_path):
    cases = [
        ({"schedule_every": "batch"}, "schedule_every must be 'epoch' or 'step', got 'batch'"),
        ({"clip_norm": 0}, "clip_norm must be positive, got 0"),
        ({"clip_value": -1}, "clip_value must be positive, got -1"),
        ({"checkpoint_steps": 5}, "checkpoint_steps needs a checkpoints directory"),
        ({"metrics": [Accuracy(), Accuracy()]}, "must have different names, got "),
        ({"metrics": [Mean("loss")]}, "must have different names, got "),
        ({"progress": "loud"}, "progress must be 'auto', 'bar', 'lines' or 'quiet', got 'loud'"),
    ]
    for options, message in cases:
        with pytest.raises(ArgumentError, match=message):
            trainer(**options)
    t = trainer()
    with pytest.raises(ArgumentError, match="epochs must be a positive integer, got 0"):
        t.fit(loaders()[0], epochs=0)
    with pytest.raises(ArgumentError, match="resume needs a checkpoints directory"):
        t.fit(loaders()[0], resume=True)
    with pytest.raises(
        ArgumentError, match="loader must give at least one batch, got none; with d"
    ):
        t.fit(DataLoader(TRAIN, 1000, drop_last=True))
    with pytest.raises(ArgumentError, match="evaluate: the loader must give at least one batch"):
        t.evaluate([])
    with pytest.raises(ArgumentError, match="a batch must be a tuple of the model's inputs and"):
        t.fit([np.zeros(3)])
    with pytest.raises(ArgumentError, match=r"must be one of epoch, lr, loss, accuracy, got 'auc'"):
        trainer(monitor="auc").fit(loaders()[0])
    with pytest.raises(DataError, match="there is no best epoch yet; call fit first"):
        trainer().load_best()
    for options, message in [
        ({"patience": 0}, "patience must be a positive integer, got 0"),
        ({"min_delta": -1}, "min_delta must not be negative, got -1"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            EarlyStopping(**options)


# -- training that would train nothing --------------------------------------------------------


def test_an_optimizer_of_other_parameters_is_refused():
    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    text = (
        r"the optimizer must hold parameters of the model, but none of its 2 is one of the 2 of "
        r"Linear; make it of model.parameters\(\)"
    )
    with pytest.raises(ArgumentError, match=text):
        Trainer(model, nn.CrossEntropyLoss(), optim.SGD(other.parameters(), 0.1))
    t = trainer(nn.Linear(2, 2))
    t.model.weight = nn.Parameter(backlit.ones((2, 2)))
    t.model.bias = nn.Parameter(backlit.ones(2))
    with pytest.raises(ArgumentError, match=text):
        t.fit(loaders()[0])


@pytest.mark.slow
def test_an_optimizer_of_a_part_or_of_the_loss_alone_is_right():
    class Center(nn.Module):
        def __init__(self):
            super().__init__()
            self.centers = nn.Parameter(backlit.zeros((2, 2)))

        def forward(self, prediction, target):
            return ((prediction - self.centers[target]) ** 2).mean()

    model, loss = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), Center()
    for parameters in (model[1].parameters(), loss.parameters()):
        t = Trainer(model, loss, optim.SGD(parameters, 0.1), progress="quiet")
        before = bits(model[0])
        history = t.fit(loaders()[0], epochs=2)
        assert history[1]["loss"] < history[0]["loss"]
        assert bits(model[0]) == before


def test_a_loader_that_is_used_up_is_named():
    batches = list(DataLoader(TRAIN, 100))
    with pytest.raises(ArgumentError, match="loader must give 3 epochs, but a generator gives its"):
        trainer().fit((b for b in batches), epochs=3)
    with pytest.raises(ArgumentError, match="validation must give 2 epochs, but a map gives its"):
        trainer().fit(batches, map(tuple, batches), epochs=2)
    once = iter(batches)
    t = trainer(compile=False)
    assert len(t.fit(once, epochs=1)) == 1
    with pytest.raises(ArgumentError, match=r"got none; .*; a list_iterator gives its batches"):
        t.fit(once, epochs=2)
    with pytest.raises(
        ArgumentError, match="got none; a list_iterator gives its batches once: use"
    ):
        t.evaluate(once)


def test_metrics_may_come_from_a_generator():
    t = trainer(metrics=(m for m in [Accuracy()]), compile=False)
    assert "accuracy" in t.fit(list(DataLoader(TRAIN, 100)))[0]


# -- one step for all calls of fit ------------------------------------------------------------


def test_the_step_is_compiled_once_for_all_calls_of_fit():
    t, loader = trainer(metrics=[]), DataLoader(TRAIN, 20)
    for epoch in range(1, 4):
        t.fit(loader, epochs=epoch)
        if epoch == 1:
            graphs = t._step.updating.graphs
    assert len(graphs) == 1
    assert all(a is b for a, b in zip(t._step.updating.graphs, graphs, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("looking", [False, True])
def test_what_is_set_between_calls_of_fit_counts(looking):
    class Look(Callback):
        def on_step_end(self, trainer, loss):
            pass

    loader = DataLoader(TRAIN, 100)
    t = trainer(nn.Linear(2, 2), callbacks=[Look()] if looking else [])

    def change(**settings):
        for name, value in settings.items():
            setattr(t, name, value)
        before = t.model.weight.numpy()
        t.fit(loader, epochs=t.epoch + 1)
        return float(np.abs(t.model.weight.numpy() - before).max())

    def nothing(prediction, target):
        return (prediction * 0).sum()

    def still():
        return optim.SGD(t.model.parameters(), lr=0.1)

    assert change() > 1e-3
    assert change(optimizer=still(), clip_norm=1e-9) < 1e-6
    assert change(clip_norm=None) > 1e-6
    assert change(clip_value=1e-9) < 1e-6
    assert change(clip_value=None) > 1e-6
    assert change(loss_fn=nothing) == 0
    assert change(loss_fn=nn.CrossEntropyLoss()) > 1e-6
    t.model.requires_grad_(False)
    t.model.bias.requires_grad_()
    assert change() == 0
    t.model.requires_grad_()
    assert change(compile=False) > 1e-6
    t.model = nn.Linear(2, 2)
    assert change(optimizer=still(), compile=True) > 1e-6
