"""The networks of `backlit.models` beside the same networks in PyTorch: three steps of training."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import backlit as bl
from backlit import models

pytestmark = pytest.mark.parity

rng = np.random.default_rng(0)
T = torch.nn


def sequential(*layers):
    return T.Sequential(*layers)


class LeNet(T.Module):
    def __init__(self):
        super().__init__()
        self.features = sequential(
            T.Conv2d(1, 32, 5, padding=2), T.ReLU(), T.MaxPool2d(2),
            T.Conv2d(32, 64, 5, padding=2), T.ReLU(), T.MaxPool2d(2),
        )  # fmt: skip
        self.classifier = sequential(T.Flatten(), T.Linear(3136, 512), T.ReLU(), T.Linear(512, 10))

    def forward(self, x):
        return self.classifier(self.features(x))


class Block(T.Module):
    def __init__(self, a, b, stride=1):
        super().__init__()
        self.conv1 = T.Conv2d(a, b, 3, stride, 1, bias=False)
        self.bn1 = T.BatchNorm2d(b)
        self.conv2 = T.Conv2d(b, b, 3, 1, 1, bias=False)
        self.bn2 = T.BatchNorm2d(b)
        self.downsample = (
            T.Identity()
            if stride == 1 and a == b
            else sequential(T.Conv2d(a, b, 1, stride, bias=False), T.BatchNorm2d(b))
        )

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


class ResNet18(T.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = T.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = T.BatchNorm2d(64)
        widths = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
        for number, (a, b, s) in enumerate(widths, 1):
            self.add_module(f"layer{number}", sequential(Block(a, b, s), Block(b, b)))
        self.fc = T.Linear(512, 10)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return self.fc(self.layer4(self.layer3(self.layer2(self.layer1(y)))).mean((2, 3)))


class CharRNN(T.Module):
    def __init__(self):
        super().__init__()
        self.embedding = T.Embedding(65, 64)
        self.rnn = T.LSTM(64, 256, batch_first=True)
        self.head = T.Linear(256, 65)

    def forward(self, x):
        return self.head(self.rnn(self.embedding(x))[0])


class Tagger(T.Module):
    def __init__(self):
        super().__init__()
        self.embedding = T.Embedding(20_000, 50)
        self.hidden = T.Linear(250, 100)
        self.output = T.Linear(100, 9)

    def forward(self, x):
        return self.output(torch.tanh(self.hidden(self.embedding(x).flatten(1))))


def sequence(*sizes, activation, bias=True, last=()):
    layers = [T.Linear(sizes[0], sizes[1], bias)]
    for a, b in itertools.pairwise(sizes[1:]):
        layers += [activation(), T.Linear(a, b, bias)]
    return sequential(*layers, *last)


TEXT = rng.integers(0, 65, (3, 17))
NETWORKS = {
    "playground": (
        models.playground, lambda: sequence(2, 4, 2, 1, activation=T.Tanh, last=(T.Tanh(),)),
        rng.normal(size=(10, 2)), rng.choice([-1.0, 1.0], (10, 1)),
    ),
    "two_layer": (
        models.two_layer, lambda: sequence(1000, 100, 10, activation=T.Sigmoid, bias=False),
        rng.normal(size=(16, 1000)), rng.normal(size=(16, 10)),
    ),
    "mlp": (
        models.mlp, lambda: sequence(784, 512, 512, 10, activation=T.ReLU),
        rng.normal(size=(8, 784)), rng.integers(0, 10, 8),
    ),
    "lenet": (models.LeNet, LeNet, rng.normal(size=(2, 1, 28, 28)), rng.integers(0, 10, 2)),
    "resnet18": (models.cifar_resnet18, ResNet18, rng.normal(size=(4, 3, 16, 16)), np.arange(4)),
    "lstm": (models.CharRNN, CharRNN, TEXT[:, :-1], TEXT[:, 1:]),
    "ner": (
        models.WindowTagger, Tagger, rng.integers(0, 20_000, (8, 5)), rng.integers(0, 9, 8),
    ),
}  # fmt: skip


def losses_of(model, x, y, squares, classes, step):
    """Three losses of gradient descent."""
    result = []
    for _ in range(3):
        out = model(x)
        out = out[0] if isinstance(out, tuple) else out
        if squares is not None:
            loss = squares(out, y)
        else:
            loss = classes(out.reshape(-1, out.shape[-1]), y.reshape(-1))
        result.append(loss.item())
        loss.backward()
        step(list(model.parameters()))
    return result


def our_step(parameters) -> None:
    for p in parameters:
        p.assign(p.detach() - 0.01 * p.grad)
        p.grad = None


@torch.no_grad()
def their_step(parameters) -> None:
    for p in parameters:
        p -= 0.01 * p.grad
        p.grad = None


@pytest.mark.parametrize("name", NETWORKS)
def test_three_steps_give_the_same_losses(name) -> None:
    make, twin, x, y = NETWORKS[name]
    bl.manual_seed(0)
    ours, theirs = make().to("float64"), twin().double()
    theirs.load_state_dict({n: torch.tensor(t.numpy()) for n, t in ours.state_dict().items()})
    floats = y.dtype.kind == "f"
    mine = losses_of(
        ours, bl.tensor(x), bl.tensor(y),
        bl.functional.mse_loss if floats else None, bl.functional.cross_entropy, our_step,
    )  # fmt: skip
    other = losses_of(
        theirs, torch.tensor(x), torch.tensor(y),
        F.mse_loss if floats else None, F.cross_entropy, their_step,
    )  # fmt: skip
    np.testing.assert_allclose(mine, other, rtol=1e-10)
    state = theirs.state_dict()
    for n, t in ours.state_dict().items():
        np.testing.assert_allclose(t.numpy(), state[n].numpy(), rtol=1e-8, atol=1e-10, err_msg=n)
