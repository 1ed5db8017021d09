"""Steps that are not one batch with one optimizer, and who looks on."""

import functools
import os
import signal

import numpy as np
import pytest

import backlit
from backlit import nn, optim
from backlit.data import DataLoader, TensorDataset
from backlit.errors import ArgumentError, DataError, NonFiniteError
from backlit.nn import functional as F
from backlit.optim.swa_utils import AveragedModel, get_ema_avg_fn
from backlit.train import Accuracy, Callback, Diagnose, Report, Trainer, load_flight
from backlit.train.accumulation import Accumulation, AccumulationPart
from sampling import only

RNG = np.random.default_rng(5)
X = RNG.normal(size=(44, 3)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 0).astype(np.int64)


def network(dropout=0.0, outputs=2):
    backlit.manual_seed(2)
    return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Dropout(dropout), nn.Linear(6, outputs))


def trainer(model=None, loss_fn=None, lr=0.1, momentum=0.9, **options):
    model = network() if model is None else model
    options.setdefault("progress", "quiet")
    loss_fn = nn.CrossEntropyLoss() if loss_fn is None else loss_fn
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    return Trainer(model, loss_fn, optimizer, **options)


def batches(size, x=X, y=Y):
    return [(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]


def weights(model):
    return {n: t.numpy().copy() for n, t in model.state_dict().items()}


def assert_close(one, other, atol=1e-6):
    for name, w in weights(one).items():
        assert np.allclose(w, other.state_dict()[name].numpy(), atol=atol), name


# -- several batches for a step -----------------------------------------------------------------

PADDED = np.where(np.arange(44) % 4 < RNG.integers(0, 4, 44), -100, Y)
LOSSES = {
    "mean": (nn.CrossEntropyLoss, Y),
    "labels that do not count": (nn.CrossEntropyLoss, PADDED),
    "weights of classes": (lambda: nn.CrossEntropyLoss(backlit.tensor([1.0, 5.0])), PADDED),
    "a function of the library": (lambda: F.cross_entropy, PADDED),
    "a function of somebody's": (lambda: lambda p, t: F.cross_entropy(p, t), Y),
    "numbers": (nn.MSELoss, X[:, :2]),
    "a sum": (lambda: nn.CrossEntropyLoss(reduction="sum"), Y),
}


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("loss", LOSSES)
def test_accumulated_steps_are_those_of_the_large_batch(loss, compiled):
    make, y = LOSSES[loss]
    lr = 0.005 if loss == "a sum" else 0.1
    clip = None if loss == "a sum" else 0.5  # which would hide a mean
    options = {"clip_norm": clip, "compile": compiled, "lr": lr}
    large = trainer(loss_fn=make(), **options)
    large.fit(batches(12, y=y), epochs=2)  # of 12, 12, 12 and 8
    small = trainer(loss_fn=make(), accumulate=3, **options)
    small.fit(batches(4, y=y), epochs=2)  # the last group has two
    assert small.steps == large.steps == 8
    assert_close(small.model, large.model, atol=2e-6)


def test_batches_of_a_step_may_differ_in_size():
    order = [(X[a:b], Y[a:b]) for a, b in ((0, 1), (1, 12), (12, 14), (14, 24))]
    large, small = trainer(), trainer(accumulate=2)
    large.fit(batches(12, X[:24], Y[:24]), epochs=2)
    small.fit(order, epochs=2)
    assert_close(small.model, large.model)


def test_an_own_step_says_what_a_batch_counts():
    def step(trainer, batch):
        x, y = batch
        return {"loss": F.cross_entropy(trainer.model(x), y), "weight": len(y)}

    large, small = trainer(), trainer(training_step=step, accumulate=2)
    large.fit([(X[:6], Y[:6])])
    small.fit([(X[:1], Y[:1]), (X[1:6], Y[1:6])])
    assert_close(small.model, large.model)


class Losses(Callback):
    def __init__(self):
        self.seen = []

    def on_step_end(self, trainer, loss):
        self.seen.append(loss)


def test_the_loss_of_a_step_is_that_of_all_its_batches():
    large, small = Losses(), Losses()
    trainer(callbacks=[large]).fit(batches(12, y=PADDED))
    t = trainer(callbacks=[small], accumulate=3)
    t.fit(batches(4, y=PADDED))
    assert small.seen == pytest.approx(large.seen, rel=1e-5)
    assert t.position == 0


def test_schedules_and_checkpoints_count_steps_and_not_batches(tmp_path):
    t = trainer(accumulate=4, schedule_every="step", checkpoints=tmp_path, checkpoint_steps=2)
    t.schedule = optim.lr_scheduler.ExponentialLR(t.optimizer, 0.5)
    saved = []
    t.save = lambda *loaders, best=False: saved.append(t.steps)
    t.fit(batches(4), epochs=1)  # 11 batches, so 3 steps
    assert t.steps == 3
    assert t.optimizer.param_groups[0]["lr"] == pytest.approx(0.1 / 8)
    assert saved == [2, 3]


# -- moving averages ----------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_moving_average_is_the_one_worked_out_by_hand(compiled, accumulate):
    t = trainer(ema=0.7, accumulate=accumulate, compile=compiled, metrics=[Accuracy()])
    by_hand = {n: w.astype(np.float64) for n, w in weights(t.model).items()}

    class Follow(Callback):
        def on_step_end(self, trainer, loss):
            first = trainer.steps == 1
            for name, w in weights(trainer.model).items():
                by_hand[name] = w if first else 0.7 * by_hand[name] + 0.3 * w

    t.callbacks = [Follow()]
    history = t.fit(batches(11), batches(22), epochs=3)
    for name, w in weights(t.ema.module).items():
        assert np.allclose(w, by_hand[name], atol=1e-6)
    averaged = trainer(t.ema.module, compile=compiled).evaluate(batches(22))["loss"]
    assert history[-1]["validation_loss"] == pytest.approx(averaged, rel=1e-6)
    assert t.evaluate(batches(22))["loss"] == pytest.approx(averaged, rel=1e-6)
    assert np.allclose(t.predict(X).numpy(), t.ema.module(backlit.tensor(X)).numpy(), atol=1e-6)


def test_moving_averages_in_native_code_and_the_best_of_them():
    t = trainer(ema=0.5, lr=1.5)
    data = DataLoader(TensorDataset(X, Y), 11)
    history = t.fit(data, data, epochs=6)
    expected = AveragedModel(network(), avg_fn=get_ema_avg_fn(0.5))
    plain = trainer(expected.module, lr=1.5)
    assert int(t.ema.n_averaged) == 24
    t.load_best()
    best = min(r["validation_loss"] for r in history)
    assert t.evaluate(data)["loss"] == best < history[-1]["validation_loss"]
    assert plain.ema is None


# -- own steps ----------------------------------------------------------------------------------


class Autoencoder(nn.Module):
    """A variational one, whose loss needs more than its output."""

    def __init__(self):
        super().__init__()
        backlit.manual_seed(4)
        self.encode, self.decode = nn.Linear(3, 4), nn.Linear(2, 3)
        self.noise = backlit.Generator(1)

    def forward(self, x):
        mean, log_variance = self.encode(x).chunk(2, 1)
        z = mean + backlit.exp(log_variance / 2) * self.noise.normal(mean.shape)
        return self.decode(z), mean, log_variance


def elbo(trainer, batch):
    (x,) = batch
    output, mean, log_variance = trainer.model(x)
    kl = -0.5 * (1 + log_variance - mean**2 - backlit.exp(log_variance)).sum(axis=1).mean()
    reconstruction = F.mse_loss(output, x)
    return {
        "loss": reconstruction + kl, "kl": kl, "reconstruction": reconstruction,
        "prediction": output, "target": x,
    }  # fmt: skip


class Variational(Trainer):
    def training_step(self, batch):
        return elbo(self, batch)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [True, False])
def test_a_step_of_ones_own_as_a_function_and_as_a_method(compiled):
    def made(kind, **options):
        model = Autoencoder()
        return kind(
            model, None, optim.Adam(model.parameters(), 0.01), metrics=["mae"],
            compile=compiled, progress="quiet", **options,
        )  # fmt: skip

    runs = []
    for t in (made(Trainer, training_step=elbo), made(Variational)):
        rows = DataLoader(TensorDataset(X), 11, shuffle=True)
        runs.append(t.fit(rows, DataLoader(TensorDataset(X), 44), epochs=4))
    assert runs[0] == runs[1]
    last = runs[0][-1]
    assert last["loss"] == pytest.approx(last["kl"] + last["reconstruction"], rel=1e-5)
    assert last["validation_loss"] == pytest.approx(
        last["validation_kl"] + last["validation_reconstruction"], rel=1e-5
    )
    assert {"mae", "validation_mae"} <= set(last)
    assert last["loss"] < runs[0][0]["loss"]
    one_by_one = made(Trainer, training_step=elbo)
    one_by_one.fit([(X[i : i + 11],) for i in range(0, 44, 11)], epochs=4)
    assert one_by_one.history[-1]["kl"] > 0


def test_an_own_step_is_compiled_once():
    t = trainer(network(), training_step=lambda t, b: {"loss": F.cross_entropy(t.model(b[0]), b[1]),
                                                       "size": backlit.ones(())})  # fmt: skip
    for epoch in range(1, 4):
        t.fit(batches(11), batches(44), epochs=epoch)
    assert len(t._step.updating.graphs) == 1
    assert len(t._evaluation.evaluating.graphs) == 1
    assert t.history[-1]["size"] == 1


def test_own_steps_that_return_something_else_are_named():
    def fitted(result, **options):
        t = trainer(training_step=lambda t, b: result(t.model(b[0])), compile=False, **options)
        t.fit(batches(44))

    with pytest.raises(ArgumentError, match="what a step returns must have a 'loss', got kl"):
        fitted(lambda p: {"kl": p.mean()})
    with pytest.raises(ArgumentError, match=r"the loss must be a Tensor of one number, got None"):
        fitted(lambda p: None)
    with pytest.raises(
        ArgumentError, match=r"'kl' in what a step returns must be one number, got f"
    ):
        fitted(lambda p: {"loss": p.mean(), "kl": p})
    with pytest.raises(
        ArgumentError, match="an own step must be a function of the trainer and a ba"
    ):
        trainer(training_step=3)


# -- several optimizers -------------------------------------------------------------------------


class Adversaries(nn.Module):
    def __init__(self):
        super().__init__()
        backlit.manual_seed(8)
        self.generator, self.critic = nn.Linear(2, 3), nn.Linear(3, 1)

    def forward(self, z):
        return self.generator(z)


Z = RNG.normal(size=(44, 2)).astype(np.float32)
PAIRS = [(Z[i : i + 11], X[i : i + 11]) for i in range(0, 44, 11)]


def critic_loss(trainer, batch):
    z, real = batch
    fake = trainer.model.generator(z).detach()
    critic = trainer.model.critic
    return F.softplus(-critic(real)).mean() + F.softplus(critic(fake)).mean()


def generator_loss(trainer, batch):
    return F.softplus(-trainer.model.critic(trainer.model.generator(batch[0]))).mean()


STEPS = {"critic": critic_loss, "generator": generator_loss}


def by_hand(trainer, batch):
    """What the two steps above do, written as in a loop of one's own."""
    losses = {}
    for name, function in STEPS.items():
        for optimizer in trainer.optimizers.values():
            optimizer.zero_grad()
        losses[name] = function(trainer, batch)
        losses[name].backward()
        trainer.optimizers[name].step()
    return {"loss": losses["critic"] + losses["generator"], **losses}


def adversaries(**options):
    model = Adversaries()
    optimizers = {
        "critic": optim.SGD(model.critic.parameters(), 0.1, momentum=0.5),
        "generator": optim.Adam(model.generator.parameters(), 0.05),
    }
    options.setdefault("training_step", STEPS)
    options.setdefault("progress", "quiet")
    return Trainer(model, None, optimizers, **options)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [True, False])
def test_two_optimizers_by_two_functions_or_by_hand(compiled):
    loader = DataLoader(TensorDataset(Z, X), 11)
    runs = []
    for step, data in ((STEPS, PAIRS), (STEPS, loader), (by_hand, PAIRS), (by_hand, loader)):
        t = adversaries(training_step=step, compile=compiled)
        runs.append((t.fit(data, epochs=3), t.model))
    reference = Adversaries()
    own = Trainer.__new__(Trainer)
    own.model, own.optimizer = reference, adversaries().optimizer
    own.optimizer = {
        "critic": optim.SGD(reference.critic.parameters(), 0.1, momentum=0.5),
        "generator": optim.Adam(reference.generator.parameters(), 0.05),
    }
    for _ in range(3):
        for z, x in PAIRS:
            by_hand(own, (backlit.tensor(z), backlit.tensor(x)))
    for history, model in runs:
        assert_close(model, reference, atol=1e-5)
        assert history[-1] == pytest.approx(runs[0][0][-1], rel=1e-4)
    last = runs[0][0][-1]
    assert set(last) == {"epoch", "lr_critic", "lr_generator", "loss", "critic", "generator"}
    assert last["loss"] == pytest.approx(last["critic"] + last["generator"], rel=1e-5)


@pytest.mark.parametrize("compiled", [True, False])
def test_optimizers_in_turn(compiled):
    moved = []

    class Look(Callback):
        def __init__(self):
            self.before = None

        def on_step_end(self, trainer, loss):
            now = weights(trainer.model)
            if self.before is not None:
                moved.append({n.split(".")[0] for n in now if (now[n] != self.before[n]).any()})
            self.before = now

    t = adversaries(alternate={"critic": 2, "generator": 1}, callbacks=[Look()], compile=compiled)
    t.fit(PAIRS, epochs=2)
    turns = ["critic", "critic", "generator"] * 3
    assert moved == [{name} for name in turns[1:8]]
    assert len(t._step._compiled) == (2 if compiled else 0)


@pytest.mark.slow
def test_validation_of_several_losses():
    t = adversaries()
    history = t.fit(PAIRS, PAIRS, epochs=2)
    assert {"validation_loss", "validation_critic", "validation_generator"} <= set(history[0])
    with pytest.raises(
        ArgumentError, match="makes its updates itself needs a validation_step besi"
    ):
        adversaries(training_step=by_hand, compile=False).fit(PAIRS, PAIRS)
    judged = adversaries(training_step=by_hand, validation_step=generator_loss)
    assert judged.fit(PAIRS, PAIRS)[0]["validation_loss"] > 0


def test_optimizers_and_steps_that_do_not_go_together_are_refused():
    model = Adversaries()
    one = optim.SGD(model.parameters(), 0.1)
    two = {"a": optim.SGD(model.critic.parameters(), 0.1), "b": optim.SGD([model.generator.weight])}
    for optimizer, options, message in (
        (two, {}, r"several optimizers \(a, b\) need a training_step: a dict|\(b, a\) need"),
        (
            two,
            {"training_step": STEPS},
            "one function for each optimizer, got critic, generator for",
        ),
        (one, {"training_step": STEPS}, "got critic, generator for one without a name"),
        ({}, {"training_step": by_hand}, "several optimizers must have names, got none"),
        ({"": one}, {"training_step": by_hand}, "several optimizers must have names, got ''"),
        (two, {"training_step": by_hand, "accumulate": 2}, "accumulate is for one optimizer, got"),
        (
            one,
            {"alternate": {"a": 1}},
            "alternate says how many steps .* optimizers are one without",
        ),
        ({"a": one, "b": 3}, {"training_step": by_hand}, "optimizer 'b' must be an Optimizer, got"),
    ):
        with pytest.raises(ArgumentError, match=message):
            Trainer(model, nn.MSELoss(), optimizer, **options)
    with pytest.raises(
        ArgumentError, match=r"alternate\['critic'\] must be a positive integer, got 0"
    ):
        adversaries(alternate={"critic": 0})
    other = optim.SGD([backlit.tensor([1.0], requires_grad=True)], 0.1)
    with pytest.raises(
        ArgumentError, match="the optimizer 'b' must hold parameters of the model, but"
    ):
        Trainer(model, None, {"a": one, "b": other}, training_step=by_hand)
    late = optim.lr_scheduler.StepLR(other, 1)
    with pytest.raises(
        ArgumentError, match="must be of this training's optimizer, but is a StepLR of a"
    ):
        trainer(schedule=late)
    for options in ({"ema": 1.0}, {"ema": -0.1}):
        with pytest.raises(ArgumentError, match=r"ema must lie in \[0, 1\), got"):
            trainer(**options)
    with pytest.raises(ArgumentError, match="accumulate must be a positive integer, got 0"):
        trainer(accumulate=0)


def test_schedules_of_several_optimizers():
    t = adversaries()
    t.schedule = {
        name: optim.lr_scheduler.ExponentialLR(o, gamma)
        for (name, o), gamma in zip(t.optimizers.items(), (0.5, 0.1), strict=True)
    }
    t.fit(PAIRS, epochs=3)
    assert t.history[-1]["lr_critic"] == pytest.approx(0.1 * 0.25)
    assert t.history[-1]["lr_generator"] == pytest.approx(0.05 * 0.01)


# -- callbacks ----------------------------------------------------------------------------------


class Everything(Callback):
    def __init__(self):
        self.calls = []

    def on_train_start(self, trainer):
        self.calls.append("train")

    def on_epoch_start(self, trainer):
        self.calls.append(f"epoch {trainer.epoch + 1}")

    def on_step_start(self, trainer, batch):
        assert isinstance(batch[0], backlit.Tensor)
        self.calls.append(f"batch of {len(batch[1])}")

    def on_after_backward(self, trainer):
        assert all(p.grad is not None for p in trainer.model.parameters())
        self.calls.append("backward")

    def on_step_end(self, trainer, loss):
        self.calls.append(f"step {trainer.steps}")

    def on_validation_start(self, trainer):
        self.calls.append("validation")

    def on_validation_end(self, trainer, results):
        self.calls.append(f"validated {'+'.join(results)}")

    def on_epoch_end(self, trainer, record):
        self.calls.append("epoch end")

    def on_train_end(self, trainer):
        self.calls.append("end")


@pytest.mark.parametrize("accumulate", [1, 2])
def test_callbacks_are_called_in_order(accumulate):
    calls = Everything()
    t = trainer(callbacks=[calls], accumulate=accumulate)
    t.fit(batches(16), batches(44), epochs=1)
    steps = {
        1: ["batch of 16", "backward", "step 1", "batch of 16", "backward", "step 2",
            "batch of 12", "backward", "step 3"],
        2: ["batch of 16", "batch of 16", "backward", "step 1", "batch of 12", "backward",
            "step 2"],
    }[accumulate]  # fmt: skip
    assert calls.calls == [
        "train", "epoch 1", *steps, "validation", "validated loss", "epoch end", "end",
    ]  # fmt: skip


@pytest.mark.parametrize("compiled", [True, False])
def test_looking_at_gradients_changes_nothing_and_changing_them_counts(compiled):
    class Doubling(Callback):
        def on_after_backward(self, trainer):
            for p in trainer.model.parameters():
                p.grad = p.grad * 2

    class Looking(Callback):
        def on_after_backward(self, trainer):
            pass

    def run(*callbacks, lr):
        t = trainer(callbacks=callbacks, lr=lr, momentum=0, compile=compiled)
        t.fit(batches(11), epochs=2)
        return t.model

    assert_close(run(Looking(), lr=0.1), run(lr=0.1))
    assert_close(run(Doubling(), lr=0.1), run(lr=0.2))


def test_gradients_of_steps_by_hand_are_not_shown():
    with pytest.raises(
        ArgumentError, match="on_after_backward needs steps whose gradients the Trai"
    ):
        adversaries(training_step=by_hand, callbacks=[Everything()]).fit(PAIRS)


# -- shorter runs -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_max_steps_ends_in_the_middle_of_an_epoch_and_goes_on(rows, accumulate):
    def data():
        return DataLoader(TensorDataset(X, Y), 4, shuffle=True) if rows else batches(4)

    whole, broken = trainer(accumulate=accumulate), trainer(accumulate=accumulate)
    whole.fit(data(), batches(44), epochs=3)
    loader = data()
    broken.fit(loader, batches(44), max_steps=2)
    assert (broken.steps, broken.position, broken.epoch) == (2, 2 * accumulate, 0)
    assert len(broken.history) == 1
    assert set(broken.history[0]) == set(whole.history[0])
    assert broken.stopped == "max_steps"
    broken.fit(loader, batches(44), max_steps=9)
    broken.fit(loader, batches(44), max_steps=9)
    assert broken.steps == 9
    broken.fit(loader, batches(44), epochs=3)
    assert broken.history == whole.history
    assert_close(broken.model, whole.model, atol=0)


def test_max_steps_at_the_end_of_an_epoch_ends_it():
    calls = Everything()
    t = trainer(callbacks=[calls])
    t.fit(batches(11), max_steps=4)
    assert (t.epoch, t.position, len(t.history)) == (1, 0, 1)
    assert calls.calls[-2:] == ["epoch end", "end"]
    t.fit(batches(11), max_steps=100, epochs=2)
    assert t.epoch == 2


@pytest.mark.slow
@pytest.mark.parametrize("rows", [True, False])
def test_an_epoch_may_be_a_few_batches(rows, tmp_path):
    def data():
        return DataLoader(TensorDataset(X, Y), 4, shuffle=True, seed=3)

    def run(epochs, loader, validation, **options):
        options |= {"limit_batches": 3, "limit_validation_batches": 2}
        callbacks = [] if rows else [Losses()]
        t = trainer(callbacks=callbacks, checkpoints=tmp_path / str(len(seen)))
        t.fit(loader, validation, epochs=epochs, **options)
        return t

    seen = []
    whole = run(3, data(), data())
    assert whole.steps == 9
    seen.append(1)
    run(1, data(), data())
    again = run(3, data(), data(), resume=True)
    assert again.history == whole.history
    assert_close(again.model, whole.model, atol=0)


def test_settings_of_a_fit_are_checked():
    for name in ("epochs", "max_steps", "limit_batches", "limit_validation_batches"):
        with pytest.raises(ArgumentError, match=f"fit: {name} must be a positive integer, got 0"):
            trainer().fit(batches(4), **{name: 0})


def test_a_run_that_would_be_overwritten_is_warned_of(tmp_path):
    t = trainer(checkpoints=tmp_path)
    t.fit(batches(11))
    t.fit(batches(11), epochs=2)
    trainer(checkpoints=tmp_path).fit(batches(11), epochs=3, resume=True)
    with pytest.warns(
        UserWarning, match="latest.safetensors is of another run and is going to be ov"
    ):
        trainer(checkpoints=tmp_path).fit(batches(11))


# -- going on -----------------------------------------------------------------------------------


class Interrupts(Callback):
    def __init__(self, batch):
        self.batch, self.seen = batch, 0

    def on_step_start(self, trainer, batch):
        self.seen += 1
        if self.seen == self.batch:
            os.kill(os.getpid(), signal.SIGINT)


KINDS = {
    "accumulated, averaged": lambda **o: trainer(
        network(0.3), accumulate=3, ema=0.8, clip_norm=1.0, metrics=["auc", "f1"], **o
    ),
    "two optimizers": lambda **o: adversaries(ema=0.9, **o),
    "in turn": lambda **o: adversaries(alternate={"critic": 2, "generator": 1}, **o),
    "by hand": lambda **o: adversaries(training_step=by_hand, **o),
}


def state(t):
    optimizers = [o.state_dict() for o in t.optimizers.values()]
    held = [s[n].tolist() for o in optimizers for s in o["state"].values() for n in s]
    ema = None if t.ema is None else {n: w.tobytes() for n, w in weights(t.ema).items()}
    model = {n: w.tobytes() for n, w in weights(t.model).items()}
    return model, held, ema, t.history, t.steps


def train(kind, compiled, folder, callbacks, seed, **options):
    x, y = (X, Y) if kind.startswith("acc") else (Z, X)
    t = KINDS[kind](callbacks=callbacks, compile=compiled, checkpoints=folder)
    backlit.manual_seed(seed)
    t.fit(DataLoader(TensorDataset(x, y), 4, shuffle=True, seed=seed), epochs=2, **options)
    return t


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The states at the end of runs that nobody interrupts, made once for each."""

    @functools.cache
    def of(kind, compiled):
        return state(train(kind, compiled, tmp_path_factory.mktemp("a"), [Interrupts(None)], 1))

    return of


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", only("13", [2, 9, 11, 13]))  # 2 and 13 within a group of three
def test_runs_of_all_kinds_resume_to_the_same_bits(kind, compiled, batch, tmp_path, unbroken):
    first = train(kind, compiled, tmp_path, [Interrupts(batch)], 1)
    assert first.stopped == "interrupted"
    second = train(kind, compiled, tmp_path, [Interrupts(None)], 99, resume=True)
    assert state(second) == unbroken(kind, compiled)


def test_a_checkpoint_of_another_kind_is_refused(tmp_path):
    adversaries(checkpoints=tmp_path).fit(PAIRS)
    with pytest.raises(DataError, match="has no optimizer"):
        trainer(Adversaries(), checkpoints=tmp_path).fit(PAIRS, resume=True)


# -- when a step fails --------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [True, False])
def test_a_bad_batch_within_a_step_is_put_back_and_replayed(compiled, tmp_path):
    x = X.copy()
    x[21] = np.nan  # in the sixth batch of four, the second of the third step
    path = tmp_path / "flight.safetensors"
    failed = trainer(accumulate=2, flight=path, compile=compiled)
    with pytest.raises(
        NonFiniteError, match=r"in epoch 1, step 6 of 11; first: the batch itself hol"
    ):
        failed.fit(batches(4, x))
    assert (failed.steps, failed.position) == (2, 5)
    good = trainer(accumulate=2, compile=compiled)
    good.fit(batches(4, x), limit_batches=4)
    assert_close(failed.model, good.model, atol=0)
    flight = load_flight(path)
    model = network()
    replay = flight.replay(
        model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), 0.1, momentum=0.9)
    )
    assert replay.same


@pytest.mark.slow
def test_a_failed_step_of_several_optimizers_is_replayed(tmp_path):
    bad = X[11:22].copy()
    bad[3, 1] = np.inf
    path = tmp_path / "flight.safetensors"
    t = adversaries(flight=path)
    with pytest.raises(NonFiniteError, match="first: the targets of the batch hold 1 infinite"):
        t.fit([PAIRS[0], (Z[11:22], bad)])
    fresh = adversaries()
    replay = load_flight(path).replay(fresh.model, None, fresh.optimizer, training_step=STEPS)
    assert replay.same


# -- what else looks at a step ------------------------------------------------------------------


@pytest.mark.slow
def test_a_report_of_own_steps_says_whose_they_are(tmp_path):
    report = Report(tmp_path / "report.html", (Z, X))
    adversaries(callbacks=[report]).fit(PAIRS, epochs=2)
    page = report.path.read_text("utf-8")
    assert "critic: SGD, generator: Adam" in page
    assert "that of the training's own step" in page.replace("\\u0027", "'")
    assert report.looks[-1]["layers"][0]["gradient_norm"] > 0
    other = Report(tmp_path / "other.html", (X, Y))
    trainer(accumulate=2, callbacks=[other]).fit(batches(11))
    assert "2 batches" in other.path.read_text("utf-8")


def test_diagnose_needs_the_usual_step():
    with pytest.raises(
        ArgumentError, match="Diagnose: the training must have a loss_fn and one opti"
    ):
        adversaries(callbacks=[Diagnose(PAIRS[0])]).fit(PAIRS)


def test_gradients_of_other_parameters_are_refused():
    part = AccumulationPart(Accumulation(), [backlit.ones(2)])
    saved = {**vars(Accumulation()), "gradients": {"1": backlit.ones(2)}}
    with pytest.raises(DataError, match="there are 1 parameters, got gradient 1"):
        part.load_state_dict(saved)
