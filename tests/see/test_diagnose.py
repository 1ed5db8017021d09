"""`see.diagnose` on seeded bugs and on healthy runs: precision and recall, measured.

The data are small and made here (digits come with scikit-learn).
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from click.testing import CliRunner

import backlit as bl
from backlit import nn, optim, see
from backlit.cli import main
from backlit.compiler import CompiledFunction
from backlit.data import DataLoader, TensorDataset
from backlit.errors import ArgumentError
from backlit.nn import functional
from backlit.see.find.diagnose import diagnose
from backlit.train import Diagnose, Trainer
from sampling import one_in

N = 32


def rng(seed=0):
    return np.random.default_rng(seed)


def vectors(features=10, classes=4, n=N, seed=0):
    """Normal features and labels that depend on them."""
    x = rng(seed).normal(size=(n, features)).astype("float32")
    w = rng(seed + 1).normal(size=(features, classes))
    return bl.tensor(x), bl.tensor((x @ w).argmax(1))


def numbers(features=6, n=N, seed=0):
    x = rng(seed).normal(size=(n, features)).astype("float32")
    t = np.tanh(x[:, :2].sum(1)) + 0.1 * rng(seed + 1).normal(size=n)
    return bl.tensor(x), bl.tensor(t.astype("float32"))


def pictures(n=16, seed=0):
    x = rng(seed).normal(size=(n, 1, 8, 8)).astype("float32")
    return bl.tensor(x), bl.tensor(rng(seed + 1).integers(0, 5, n))


@functools.cache
def digits():
    from sklearn.datasets import load_digits

    data = load_digits()
    return (data.data[:64] / 16 - 0.3).astype("float32"), data.target[:64].astype("int64")


def mlp(*sizes, activation=nn.ReLU, seed=0):
    bl.manual_seed(seed)
    layers = []
    for i, o in itertools.pairwise(sizes):
        layers += [nn.Linear(i, o), activation()]
    return nn.Sequential(*layers[:-1])


def cnn(seed=0):
    bl.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 5)
    )


class Lambda(nn.Module):
    """A function between layers."""

    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x)


def between(f, *sizes, seed=0, **more):
    """An MLP with a function before its last layer."""
    layers = list(mlp(*sizes, seed=seed, **more))
    return nn.Sequential(*layers[:-1], Lambda(f), layers[-1])


def filled(net, name, value):
    """The network with one parameter set."""
    p = dict(net.named_parameters())[name]
    p.assign(np.broadcast_to(np.asarray(value, "float32"), p.shape).copy())
    return net


CE = nn.CrossEntropyLoss()
MSE = nn.MSELoss()


def squared(y, t):
    return ((y - t) ** 2).mean()


# -- bugs: the rule that must be among the findings, and the run --------------------------------

BUGS = {}


def bug(*rules):
    def add(make):
        BUGS[make.__name__] = (rules, make)
        return make

    return add


@bug("double softmax")
def softmax_before_cross_entropy():
    return nn.Sequential(mlp(10, 16, 4), nn.Softmax(dim=1)), vectors(), CE


@bug("double softmax")
def softmax_in_the_loss():
    return mlp(10, 16, 4), vectors(), lambda y, t: CE(functional.softmax(y, 1), t)


@bug("double softmax")
def softmax_twice():
    net = nn.Sequential(mlp(10, 16, 4), nn.Softmax(dim=1), nn.LogSoftmax(dim=1))
    return net, vectors(), nn.NLLLoss()


@bug("double softmax")
def softmax_before_soft_targets():
    x, t = vectors()
    soft = bl.tensor(np.eye(4, dtype="float32")[t.numpy()] * 0.9 + 0.025)
    return nn.Sequential(mlp(10, 16, 4), nn.Softmax(dim=1)), (x, soft), CE


@bug("double sigmoid")
def sigmoid_before_its_logits_loss():
    x, t = numbers()
    t = bl.tensor((t.numpy() > 0).astype("float32").reshape(-1, 1))
    return nn.Sequential(mlp(6, 16, 1), nn.Sigmoid()), (x, t), nn.BCEWithLogitsLoss()


@bug("no log-probabilities")
def nll_of_logits():
    return mlp(10, 16, 4), vectors(), nn.NLLLoss()


@bug("no log-probabilities")
def nll_of_probabilities():
    return nn.Sequential(mlp(10, 16, 4), nn.Softmax(dim=1)), vectors(), nn.NLLLoss()


@bug("clipped logits")
def relu_before_cross_entropy():
    return nn.Sequential(mlp(10, 16, 4), nn.ReLU()), vectors(), CE


@bug("silent broadcasting")
def column_against_vector():
    return mlp(6, 16, 1), numbers(), squared


@bug("silent broadcasting")
def column_target_against_vector():
    x, t = numbers()
    net = nn.Sequential(mlp(6, 16, 1), nn.Flatten(0))
    return net, (x, bl.tensor(t.numpy().reshape(-1, 1))), squared


@bug("silent broadcasting")
def column_and_vector_in_a_distance():
    def distance(y, t):
        return bl.mean(bl.hypot(y - 1, t))

    return mlp(6, 16, 1), numbers(), distance


@bug("mixing across the batch")
def softmax_over_the_batch():
    return between(lambda h: functional.softmax(h, 0), 10, 16, 4), vectors(), CE


@bug("mixing across the batch")
def mean_over_the_batch():
    return between(lambda h: h - h.mean(axis=0, keepdims=True), 10, 16, 4), vectors(), CE


@bug("mixing across the batch")
def reshape_mixes_samples():
    net = between(lambda h: bl.permute_dims(h, (1, 0)).reshape(N, 16), 10, 16, 4)
    return net, vectors(), CE


@bug("mixing across the batch")
def samples_shifted():
    return between(lambda h: bl.roll(h, 1, axis=0), 10, 16, 4), vectors(), CE


@bug("ignores its input")
def multiplied_by_zero():
    return between(lambda h: h * 0.0 + 1.0, 10, 16, 4), vectors(), CE


@bug("ignores its input", "dead units")
def all_units_dead():
    return filled(mlp(10, 16, 4), "0.bias", -50.0), vectors(), CE


@bug("dead units")
def most_units_dead():
    net = mlp(10, 16, 4)
    return filled(net, "0.bias", np.where(np.arange(16) % 4, -40.0, 0.0)), vectors(), CE


@bug("saturated units")
def saturated_tanh():
    net = mlp(10, 16, 4, activation=nn.Tanh)
    filled(net, "0.weight", 20 * rng().normal(size=(16, 10)))
    return net, vectors(), CE


@bug("saturated units")
def saturated_sigmoid():
    net = mlp(10, 16, 4, activation=nn.Sigmoid)
    filled(net, "0.weight", 30 * rng().normal(size=(16, 10)))
    return net, vectors(), CE


@bug("unscaled inputs", "saturated units")
def pixels_to_255():
    x = bl.tensor(rng().uniform(0, 255, size=(N, 10)).astype("float32"))
    return mlp(10, 16, 4), (x, vectors()[1]), CE


@bug("unscaled inputs")
def scaled_twice():
    x = bl.tensor((rng().uniform(0, 255, size=(N, 10)) / 255 / 2550).astype("float32"))
    return mlp(10, 16, 4), (x, vectors()[1]), CE


@bug("unscaled inputs")
def one_feature_in_millions():
    x = np.array(vectors()[0].numpy()) * 0.5
    x[:, 3] *= 1e4
    return mlp(10, 16, 4), (bl.tensor(x), vectors()[1]), CE


@bug("symmetric initialisation")
def all_weights_zero():
    net = mlp(10, 16, 4)
    for n, p in net.named_parameters():
        filled(net, n, np.zeros(p.shape))
    return net, vectors(), CE


@bug("symmetric initialisation")
def all_weights_equal():
    net = mlp(10, 16, 16, 4)
    for n, _ in net.named_parameters():
        filled(net, n, 0.1 if n.endswith("weight") else 0.0)
    return net, vectors(), CE


@bug("vanishing gradients")
def deep_sigmoids():
    return mlp(10, *[16] * 10, 4, activation=nn.Sigmoid), vectors(), CE


@bug("vanishing gradients")
def tiny_weights():
    net = mlp(10, *[16] * 6, 4, activation=nn.Tanh)
    for n, p in net.named_parameters():
        if p.ndim == 2:
            filled(net, n, 0.01 * rng(len(n)).normal(size=p.shape))
    return net, vectors(), CE


@bug("exploding gradients", "initial loss", "not finite")
def huge_weights():
    net = mlp(10, *[16] * 6, 4)
    for n, p in net.named_parameters():
        if p.ndim == 2:
            filled(net, n, 5 * rng(len(n)).normal(size=p.shape))
    return net, vectors(), CE


@bug("initial loss")
def large_last_layer():
    net = mlp(10, 16, 4)
    return filled(net, "2.weight", 20 * rng().normal(size=(4, 16))), vectors(), CE


@bug("learning rate too high")
def learning_rate_of_a_hundred():
    net = mlp(10, 16, 4)
    return net, vectors(), CE, optim.SGD(net.parameters(), lr=100.0)


@bug("learning rate too high")
def adam_learning_rate_of_ten():
    net = mlp(10, 16, 4)
    return net, vectors(), CE, optim.Adam(net.parameters(), lr=10.0)


@bug("learning rate too low")
def learning_rate_of_a_billionth():
    net = mlp(10, 16, 4)
    return net, vectors(), CE, optim.SGD(net.parameters(), lr=1e-9)


@bug("learning rate too low")
def adam_learning_rate_of_a_hundred_millionth():
    net = mlp(10, 16, 4)
    return net, vectors(), CE, optim.Adam(net.parameters(), lr=1e-8)


@bug("optimizer")
def optimizer_made_too_early():
    net = mlp(10, 16, 4)
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    return mlp(10, 16, 4, seed=1), vectors(), CE, optimizer


@bug("optimizer")
def only_the_last_layer_in_the_optimizer():
    net = mlp(10, 16, 4)
    return net, vectors(), CE, optim.SGD(net[2].parameters(), lr=0.1)


@bug("no gradient")
def detached_features():
    return between(lambda h: h.detach(), 10, 16, 4), vectors(), CE


@bug("no gradient")
def rounded_features():
    return between(lambda h: bl.round(h * 3), 10, 16, 4), vectors(), CE


@bug("no gradient")
def loss_of_the_accuracy():
    return (
        mlp(10, 16, 4),
        vectors(),
        lambda y, t: (bl.argmax(y, axis=1) != t).astype("float32").mean(),
    )


@bug("no gradient")
def unused_layer():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            bl.manual_seed(0)
            self.one, self.two, self.three = nn.Linear(10, 16), nn.Linear(16, 16), nn.Linear(16, 4)

        def forward(self, x):
            return self.three(functional.relu(self.one(x)))

    return Net(), vectors(), CE


@bug("not finite")
def log_of_a_softmax_of_huge_numbers():
    net = filled(mlp(10, 16, 4), "2.weight", 1e4 * rng().normal(size=(4, 16)))

    def loss(y, t):
        p = bl.log(functional.softmax(y, 1))
        return -bl.take_along_axis(p, bl.expand_dims(t, axis=1), axis=1).mean()

    return net, vectors(), loss


@bug("bad data")
def nan_in_the_data():
    x = np.array(vectors()[0].numpy())
    x[3, 2] = np.nan
    return mlp(10, 16, 4), (bl.tensor(x), vectors()[1]), CE


@bug("not finite")
def root_at_zero_in_the_loss():
    x, t = numbers()
    net = nn.Sequential(mlp(6, 16, 1), nn.Flatten(0))
    return net, (x, t), lambda y, t: bl.sqrt(((y - y) ** 2).sum() + 0.0) + squared(y, t)


@bug("evaluation mode")
def left_in_evaluation_mode():
    bl.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 16), nn.Dropout(0.5), nn.ReLU(), nn.Linear(16, 4))
    return net.eval(), vectors(), CE


@bug("one class")
def sorted_data():
    return mlp(10, 16, 4), (vectors()[0], bl.tensor(np.zeros(N, "int64"))), CE


@bug("cannot overfit")
def targets_in_another_order_each_time():
    draw = rng(5)

    def loss(y, t):
        return CE(y, bl.tensor(draw.permutation(t.numpy())))

    return mlp(10, 16, 4), (vectors()[0], bl.tensor(rng(6).integers(0, 4, N))), loss


def steps(made, count, zero=True, to_none=True):
    """Train a run for some steps."""
    net, batch, loss, optimizer = made
    for _ in range(count):
        if zero:
            optimizer.zero_grad(set_to_none=to_none)
        loss(net(batch[0]), batch[1]).backward()
        optimizer.step()
    return made


def run(make=optim.Adam, seed=0, **settings):
    net = mlp(10, 16, 4, seed=seed)
    return net, vectors(seed=seed), CE, make(net.parameters(), **{"lr": 1e-3, **settings})


def with_state(made, key, change):
    """The run with one kind of state changed in every parameter."""
    for p in made[0].parameters():
        t = made[3].state[p][key]
        t.assign(change(np.array(t.numpy())))
    return made


@bug("optimizer settings")
def betas_exchanged():
    return run(betas=(0.999, 0.9))


@bug("optimizer settings", "learning rate too low")
def epsilon_of_one_hundred():
    return run(eps=100.0)


@bug("optimizer settings")
def epsilon_of_ten():
    return run(optim.AdamW, eps=10.0)


@bug("optimizer settings")
def momentum_of_almost_one():
    return run(optim.SGD, lr=0.01, momentum=0.9999)


@bug("optimizer state")
def nan_in_the_second_moment():
    def change(a):
        a.flat[0] = np.nan
        return a

    return with_state(steps(run(), 3), "exp_avg_sq", change)


@bug("optimizer state")
def moments_exchanged():
    made = steps(run(), 5)
    for p in made[0].parameters():
        state = made[3].state[p]
        m, v = np.array(state["exp_avg"].numpy()), np.array(state["exp_avg_sq"].numpy())
        state["exp_avg"].assign(v)
        state["exp_avg_sq"].assign(m)
    return made


@bug("optimizer state")
def second_moment_exploded_on_one_batch():
    made = steps(run(), 10)
    net, (x, t), loss, optimizer = made
    optimizer.zero_grad()
    (loss(net(x), t) * 1e6).backward()
    optimizer.step()
    return steps(made, 3)


@bug("optimizer state")
def momentum_of_another_training():
    made = steps(run(optim.SGD, lr=1e-6, momentum=0.9), 3)
    return with_state(made, "momentum_buffer", lambda a: a + 500.0)


@bug("frozen but moving")
def frozen_with_gradients_of_zero():
    made = steps(run(optim.SGD, lr=0.01, momentum=0.9), 5)
    made[3].zero_grad(set_to_none=False)
    made[0][0].requires_grad_(False)
    return made


@bug("frozen but moving")
def frozen_in_adam_with_gradients_of_zero():
    made = steps(run(), 5, to_none=False)
    made[3].zero_grad(set_to_none=False)
    made[0][2].requires_grad_(False)
    return made


@bug("zero_grad forgotten")
def zero_grad_forgotten():
    return steps(run(), 40, zero=False)


@bug("zero_grad forgotten")
def zero_grad_forgotten_with_sgd():
    return steps(run(optim.SGD, lr=1e-3), 40, zero=False)


# -- healthy runs -------------------------------------------------------------------------------

HEALTHY = {}


def healthy(make):
    HEALTHY[make.__name__] = make
    return make


def _family(name, make, seeds):
    for seed in seeds:
        HEALTHY[f"{name}_{seed}"] = functools.partial(make, seed)


def _relu(seed):
    net = mlp(10, 32, 32, 4, seed=seed)
    return net, vectors(seed=seed), CE, optim.Adam(net.parameters(), lr=1e-3)


def _tanh(seed):
    net = mlp(10, 24, 4, activation=nn.Tanh, seed=seed)
    return net, vectors(seed=seed), CE, optim.SGD(net.parameters(), lr=0.1)


def _sigmoid(seed):
    net = mlp(10, 24, 4, activation=nn.Sigmoid, seed=seed)
    return net, vectors(seed=seed), CE, optim.Adam(net.parameters(), lr=0.01)


def _regression(seed):
    net = nn.Sequential(mlp(6, 32, 1, seed=seed), nn.Flatten(0))
    return net, numbers(seed=seed), MSE, optim.SGD(net.parameters(), lr=0.05, momentum=0.9)


def _cnn(seed):
    net = cnn(seed)
    return net, pictures(seed=seed), CE, optim.Adam(net.parameters(), lr=1e-3)


def _batch_norm(seed):
    bl.manual_seed(seed)
    net = nn.Sequential(
        nn.Linear(10, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 4)
    )
    return net, vectors(seed=seed), CE, optim.AdamW(net.parameters(), lr=1e-3)


def _digits(seed):
    x, t = digits()
    net = mlp(64, 64, 10, seed=seed)
    return net, (bl.tensor(x), bl.tensor(t)), CE, optim.SGD(net.parameters(), lr=0.1)


def _deep(seed):
    bl.manual_seed(seed)
    layers = []
    for i, o in zip([10, 32, 32, 32, 32], [32, 32, 32, 32, 4], strict=True):
        layers += [nn.Linear(i, o), nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    return net, vectors(seed=seed), CE, optim.Adam(net.parameters(), lr=1e-3)


for _name, _make, _count in (
    ("relu", _relu, 4), ("tanh", _tanh, 4), ("sigmoid", _sigmoid, 3),
    ("regression", _regression, 4),
    ("cnn", _cnn, 3), ("batch_norm", _batch_norm, 3), ("digits", _digits, 2), ("deep", _deep, 3),
):  # fmt: skip
    _family(_name, _make, range(_count))


@healthy
def linear_classifier():
    bl.manual_seed(0)
    net = nn.Linear(10, 4)
    return net, vectors(), CE, optim.SGD(net.parameters(), lr=0.1)


@healthy
def last_layer_starts_at_zero():
    net = filled(mlp(10, 16, 4), "2.weight", 0.0)
    return net, vectors(), CE, optim.Adam(net.parameters(), lr=1e-3)


@healthy
def frozen_features_without_them_in_the_optimizer():
    net = mlp(10, 16, 4)
    net[0].requires_grad_(False)
    return net, vectors(), CE, optim.Adam(net[2].parameters(), lr=1e-2)


@healthy
def binary_with_logits():
    x, t = numbers()
    t = bl.tensor((t.numpy() > 0).astype("float32").reshape(-1, 1))
    net = mlp(6, 16, 1)
    return net, (x, t), nn.BCEWithLogitsLoss(), optim.Adam(net.parameters(), lr=1e-2)


@healthy
def log_softmax_and_nll():
    net = nn.Sequential(mlp(10, 16, 4), nn.LogSoftmax(dim=1))
    return net, vectors(), nn.NLLLoss(), optim.Adam(net.parameters(), lr=1e-2)


@healthy
def embedding():
    bl.manual_seed(0)
    net = nn.Sequential(nn.Embedding(20, 8), nn.Flatten(), nn.Linear(24, 4))
    x = bl.tensor(rng().integers(0, 20, (N, 3)))
    return net, (x, vectors()[1]), CE, optim.Adam(net.parameters(), lr=1e-2)


@healthy
def gated_by_softmax_over_features():
    net = between(lambda h: h * functional.softmax(h, 1), 10, 16, 4)
    return net, vectors(), CE, optim.Adam(net.parameters(), lr=1e-3)


@healthy
def column_and_column():
    x, t = numbers()
    net = mlp(6, 16, 1)
    return (
        net,
        (x, bl.tensor(t.numpy().reshape(-1, 1))),
        squared,
        optim.SGD(net.parameters(), lr=0.05),
    )


@healthy
def trained_already():
    net, batch, loss, optimizer = _relu(7)
    for _ in range(60):
        optimizer.zero_grad()
        loss(net(batch[0]), batch[1]).backward()
        optimizer.step()
    return net, batch, loss, optimizer


@healthy
def adam_after_many_steps():
    return steps(run(lr=1e-2), 300)


@healthy
def momentum_after_many_steps():
    return steps(run(optim.SGD, lr=0.05, momentum=0.9), 200)


@healthy
def trained_with_gradients_set_to_zero():
    return steps(run(seed=3), 30, to_none=False)


@healthy
def frozen_and_forgotten_by_the_optimizer():
    made = steps(run(optim.SGD, lr=0.05, momentum=0.9), 10)
    made[0][0].requires_grad_(False)
    made[3].zero_grad()
    return made


@healthy
def frozen_with_the_gradient_of_the_last_step():
    made = steps(run(optim.SGD, lr=0.05, momentum=0.9), 10)
    made[0][0].requires_grad_(False)
    return made


@healthy
def a_large_epsilon_that_does_not_matter():
    return run(eps=1e-4)


@healthy
def other_usual_betas():
    return run(betas=(0.5, 0.9))


@healthy
def gradients_of_four_batches():
    made = steps(run(), 12)
    net, (x, t), loss, optimizer = made
    optimizer.zero_grad()
    for _ in range(4):
        loss(net(x), t).backward()
    return made


@healthy
def loaded_into_a_new_optimizer():
    net, batch, loss, optimizer = steps(run(seed=5), 20)
    other = optim.Adam(net.parameters(), lr=1e-3)
    other.load_state_dict(optimizer.state_dict())
    return net, batch, loss, other


@functools.cache
def findings(kind, name):
    made = BUGS[name][1]() if kind == "bug" else HEALTHY[name]()
    model, batch, loss, *optimizer = made
    return diagnose(model, batch, loss, *optimizer)


@pytest.mark.parametrize("name", one_in(2, HEALTHY))
def test_a_healthy_run_is_left_in_peace(name):
    found = findings("healthy", name)
    assert not found, found


@pytest.mark.parametrize("name", BUGS)
def test_a_seeded_bug_is_found(name):
    assert {f.rule for f in findings("bug", name)} & set(BUGS[name][0]), findings("bug", name)


#: What is true beside the seeded bug, because the bug causes it.
CAUSED = {
    ("multiplied_by_zero", "no gradient"),
    ("pixels_to_255", "initial loss"),
    ("scaled_twice", "dead units"),  # the biases alone decide
    ("one_feature_in_millions", "initial loss"),
    ("all_weights_zero", "dead units"),  # relu(0) = 0
    ("deep_sigmoids", "ignores its input"),
    ("tiny_weights", "ignores its input"),
    ("huge_weights", "cannot overfit"),
}


def measured():
    """Recall; precision; what was missed; what was said without reason."""
    hits, said, missed, wrong = 0, 0, [], []
    for name, (rules, _) in BUGS.items():
        found = {f.rule for f in findings("bug", name)}
        said += len(found)
        hits += bool(found & set(rules))
        if not found & set(rules):
            missed.append((name, sorted(found)))
        wrong += [(name, r) for r in sorted(found - set(rules)) if (name, r) not in CAUSED]
    for name in HEALTHY:
        found = findings("healthy", name)
        said += len(found)
        wrong += [(name, f.rule) for f in found]
    return hits / len(BUGS), 1 - len(wrong) / max(said, 1), missed, wrong


@pytest.mark.slow
def test_recall_and_precision():
    assert len(BUGS) >= 30
    assert len(HEALTHY) >= 30
    recall, precision, missed, wrong = measured()
    assert recall >= 0.7, missed
    assert precision >= 0.9, wrong


@pytest.mark.slow
def test_a_finding_has_evidence_and_a_next_step():
    found = findings("bug", "column_against_vector")
    text = repr(found)
    assert "error, silent broadcasting: (32, 1) and (32,) broadcast to (32, 32) in subtract" in text
    assert "evidence: every prediction is compared with every target" in text
    assert "return ((y - t) ** 2).mean()" in text
    assert "next: squeeze the prediction" in text
    assert found.__rich__() is not None
    for name in BUGS:
        for f in findings("bug", name):
            assert f.severity in ("error", "warning", "hint")
            assert f.text
            assert f.evidence
            assert f.next, f


def test_everything_is_as_before():
    model, batch, loss, optimizer = _batch_norm(0)
    before = {n: np.array(t.array) for n, t in (*model.named_parameters(), *model.named_buffers())}
    state = bl.random.default_generator().counter.numpy().copy()
    diagnose(model, batch, loss, optimizer)
    for n, t in (*model.named_parameters(), *model.named_buffers()):
        assert np.array_equal(t.array, before[n]), n
        assert t.grad is None
    assert model.training
    assert (bl.random.default_generator().counter.numpy() == state).all()
    assert not any(s.any() for v in optimizer.state.values() for s in v.values() if s.shape)


def test_silence_is_said():
    assert repr(findings("healthy", "relu_0")) == "Sequential: 82 rules found nothing"
    assert findings("healthy", "relu_0").ok


def test_bad_input():
    net, batch, loss, _ = _relu(0)
    with pytest.raises(ArgumentError, match=r"diagnose: needs a Module, got function"):
        diagnose(squared, batch, loss)
    with pytest.raises(ArgumentError, match=r"a batch is a tuple of the model's inputs, then the"):
        diagnose(net, batch[0], loss)
    with pytest.raises(ArgumentError, match=r"the loss must be a single number, got float32"):
        diagnose(net, batch, lambda y, t: y)


def test_it_is_in_see():
    assert see.diagnose is diagnose


# -- while training ----------------------------------------------------------------------------


def trained(callbacks, **options):
    bl.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2),
                        nn.Linear(16, 4))  # fmt: skip
    optimizer = optim.Adam(net.parameters(), lr=1e-2)
    trainer = Trainer(net, CE, optimizer, callbacks=callbacks, progress="quiet", **options)
    loader = DataLoader(TensorDataset(*vectors(n=96)), 32, shuffle=True)
    trainer.fit(loader, DataLoader(TensorDataset(*vectors(seed=3)), 32), epochs=4)
    return trainer


@pytest.mark.slow
def test_as_a_callback_it_changes_no_bit_and_leaves_steps_native(monkeypatch):
    epochs = []
    whole = CompiledFunction.epoch
    monkeypatch.setattr(
        CompiledFunction, "epoch", lambda *a: (epochs.append(len(a[1])), whole(*a))[1]
    )
    look = Diagnose(vectors(), every=2)
    plain, watched = trained([]), trained([look])
    assert sorted(look.diagnoses) == [0, 2, 4]
    assert not any(look.diagnoses.values()), look.diagnoses
    assert sum(epochs) == 2 * 4 * 3  # all steps of both runs
    assert plain.history == watched.history
    for (n, a), b in zip(
        plain.model.state_dict().items(), watched.model.state_dict().values(), strict=True
    ):
        assert a.numpy().tobytes() == b.numpy().tobytes(), n


def test_as_a_callback_it_can_stop_the_run():
    x, t = vectors()
    net = nn.Sequential(mlp(10, 16, 4), nn.Softmax(dim=1))
    optimizer = optim.Adam(net.parameters(), lr=1e-2)
    for stop, epochs in ((True, 1), (False, 3)):
        look = Diagnose((x, t), stop=stop)
        trainer = Trainer(net, CE, optimizer, callbacks=[look], progress="quiet")
        trainer.fit([(x, t)], epochs=3)
        assert trainer.epoch == epochs
        assert look.diagnoses[1].findings[0].rule == "double softmax"
    with pytest.raises(ArgumentError, match=r"Diagnose: every must be a positive integer, got 0"):
        Diagnose((x, t), every=0)


# -- the command line --------------------------------------------------------------------------

FILE = """
import numpy as np
from backlit import manual_seed, nn, optim, tensor
manual_seed(0)
model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2){more})
loss_fn = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), lr=0.1)
x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
{batch}
"""


def command(path, *arguments):
    return CliRunner().invoke(main, ["diagnose", str(path), *arguments])


def test_the_command(tmp_path):
    path = tmp_path / "net.py"
    batch = "batch = (tensor(x), tensor([0, 1] * 4))"
    path.write_text(FILE.format(more="", batch=batch))
    result = command(path)
    assert (result.exit_code, "found nothing" in result.output) == (0, True)
    loader = batch.replace("batch = ", "loader = [") + "]"
    path.write_text(FILE.format(more=", nn.Softmax(dim=1)", batch=loader))
    result = command(path, "--no-rehearse")
    assert result.exit_code == 1
    assert "double softmax" in result.output


def test_the_command_looks_at_a_step_that_the_file_leaves(tmp_path):
    path = tmp_path / "net.py"
    batch = """batch = (tensor(x), tensor([0, 1] * 4))
def step(x, y):
    loss_fn(model(x), y).backward()
    optimizer.step()
"""
    path.write_text(FILE.format(more="", batch=batch))
    result = command(path)
    assert result.exit_code == 1
    assert "zero_grad forgotten" in result.output
    assert "net.py:11" in result.output


def test_the_command_with_bad_files(tmp_path):
    path = tmp_path / "net.py"
    assert "there is no such file" in command(path).output
    path.write_text(FILE.format(more="", batch=""))
    assert "must leave a 'batch' or a 'loader'" in command(path).output
    assert "must leave a variable 'net'" in command(path, "--model", "net").output
    path.write_text("1 / 0")
    assert "raised ZeroDivisionError" in command(path).output


def test_a_loss_that_is_no_function():
    with pytest.raises(ArgumentError, match=r"loss_fn must be a function of .*, got Tensor"):
        see.diagnose(nn.Linear(2, 1), (bl.ones((3, 2)), bl.ones((3, 1))), bl.tensor(1.0))


class Noisy(nn.Module):
    """Draws from a generator of its own."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.source = bl.random.Generator(3)

    def forward(self, x):
        return self.linear(x + 0.1 * self.source.normal(x.shape))


def test_a_model_s_own_random_numbers_are_left_alone() -> None:
    model = Noisy()
    before = int(model.source.counter)
    diagnose(model, (bl.ones((4, 2)), bl.asarray([0, 1, 0, 1])), nn.CrossEntropyLoss())
    assert int(model.source.counter) == before


def test_what_is_not_finite_is_blamed_for_nothing_else():
    net = nn.Sequential(nn.Linear(2, 3), nn.LogSoftmax(dim=1))
    net[0].weight.assign(np.full((3, 2), np.nan))
    batch = bl.tensor([[1.0, 2.0], [0.5, -1.0]]), bl.tensor([0, 2])
    found = see.diagnose(net, batch, nn.NLLLoss(), rehearse=False)
    assert [f.rule for f in found] == ["not finite"]
