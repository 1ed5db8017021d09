"""Whole training steps of the nine networks of the benchmarks: native code against the interpreter.

In float64, where rounding cannot hide an error; with fewer samples and shorter sequences than the
benchmarks have, the networks themselves as they are but for AlexNet's dense layers.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit
from backlit import models, nn, optim
from backlit.compiler import interpreter, native
from sampling import only

STEPS = 2
cross_entropy = nn.CrossEntropyLoss()


def flat(outputs: Any, targets: Any) -> Any:
    scores = outputs[0] if isinstance(outputs, tuple) else outputs
    return cross_entropy(scores.reshape(-1, scores.shape[-1]), targets.reshape(-1))


def images(n: int, channels: int, size: int, classes: int) -> Callable[[Any], tuple[Any, Any]]:
    return lambda rng: (rng.standard_normal((n, channels, size, size)), rng.integers(0, classes, n))


def letters(*shape: int) -> Callable[[Any], tuple[Any, Any]]:
    return lambda rng: (rng.integers(0, 65, shape), rng.integers(0, 65, shape))


def adam(parameters: Any) -> optim.Optimizer:
    return optim.Adam(parameters, lr=0.001, eps=1e-3)


def momentum(parameters: Any) -> optim.Optimizer:
    return optim.SGD(parameters, lr=0.01, momentum=0.9)


def alexnet() -> models.AlexNet:
    """With small dense layers: the full ones are 57 million parameters, and nothing new."""
    network = models.AlexNet(num_classes=10)
    network.classifier = nn.Sequential(
        nn.Dropout(), nn.Linear(9216, 40), nn.ReLU(), nn.Dropout(), nn.Linear(40, 10)
    )
    return network


#: (network, loss, optimizer, one batch from a generator)
WORKLOADS: dict[str, tuple[Any, Any, Any, Any]] = {
    "playground": (
        models.playground,
        nn.MSELoss(),
        adam,
        lambda rng: (rng.standard_normal((10, 2)), rng.standard_normal((10, 1))),
    ),
    "two-layer": (
        models.two_layer,
        nn.MSELoss(reduction="sum"),
        lambda p: optim.SGD(p, lr=1e-4),
        lambda rng: (rng.standard_normal((64, 1000)), rng.standard_normal((64, 10))),
    ),
    "mlp": (
        models.mlp,
        cross_entropy,
        adam,
        lambda rng: (rng.standard_normal((32, 784)), rng.integers(0, 10, 32)),
    ),
    "lenet": (models.LeNet, cross_entropy, adam, images(3, 1, 28, 10)),
    "alexnet": (alexnet, cross_entropy, momentum, images(2, 3, 95, 10)),
    "resnet18": (models.cifar_resnet18, cross_entropy, momentum, images(3, 3, 16, 10)),
    "lstm": (models.CharRNN, flat, adam, letters(3, 7)),
    "gpt": (lambda: models.GPT2(65, 64, 2, 4, 128, approximate="none"), flat, adam, letters(2, 20)),
    "ner": (
        lambda: models.WindowTagger(vocabulary=500),
        cross_entropy,
        lambda p: optim.SGD(p, lr=0.01),
        lambda rng: (rng.integers(0, 500, (64, 5)), rng.integers(0, 9, 64)),
    ),
}


class Run:
    """One training from the start: what it takes, and what it leaves."""

    def __init__(self, name: str, executor: Any):
        network, loss_fn, optimizer, batch = WORKLOADS[name]
        backlit.manual_seed(0)
        self.model = network().to(backlit.float64)
        self.optimizer = optimizer(self.model.parameters())
        rng = np.random.default_rng(0)
        self.batches = [tuple(map(backlit.asarray, batch(rng))) for _ in range(STEPS)]

        def step(x: Any, y: Any) -> Any:
            loss = loss_fn(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            return loss

        self.step = backlit.compile(step, executor=executor)

    def train(self) -> list[np.ndarray]:
        """Losses, then all that has been trained."""
        return self.left([self.step(*batch).numpy() for batch in self.batches])

    def epoch(self) -> list[np.ndarray]:
        """The same by one call."""
        n = len(self.batches[0][0])
        order = np.arange(STEPS * n).reshape(STEPS, n)
        arrays = [backlit.concat(pieces) for pieces in zip(*self.batches, strict=True)]
        return self.left(list(self.step.epoch(order, *arrays).numpy()))

    def same(self, by_repeat: bool) -> list[np.ndarray]:
        """Steps on the first batch only, by one call or by several."""
        batch = self.batches[0]
        if by_repeat:
            return self.left([self.step.repeat(STEPS, *batch).numpy()])
        return self.left([[self.step(*batch) for _ in range(STEPS)][-1].numpy()])

    def left(self, losses: list[np.ndarray]) -> list[np.ndarray]:
        state = [self.model.state_dict(), *self.optimizer.state_dict()["state"].values()]
        arrays = [t.numpy() for part in state for t in part.values()]
        assert len(arrays) >= len(list(self.model.parameters()))
        return losses + arrays


def bits(arrays: list[np.ndarray]) -> list[bytes]:
    return [a.tobytes() for a in arrays]


@pytest.mark.parametrize("name", only("playground two-layer lenet", WORKLOADS))
def test_a_compiled_step_agrees_with_the_interpreter(name: str) -> None:
    """And its bits depend neither on the number of threads nor on how it is called."""
    expected = Run(name, interpreter).train()
    run = Run(name, native)
    result = run.train()
    assert len(result) == len(expected)
    for mine, reference in zip(result, expected, strict=True):
        scale = np.abs(reference).max() or 1.0
        assert np.abs(mine - reference).max() <= 1e-9 * scale
    assert run.step._latest("plan").repeatable
    assert bits(Run(name, native).epoch()) == bits(result)
    assert bits(Run(name, native).same(True)) == bits(Run(name, native).same(False))
    before = backlit.get_threads()
    try:
        for count in (1, 3):
            backlit.set_threads(count)
            assert bits(Run(name, native).train()) == bits(result), f"{count} threads"
    finally:
        backlit.set_threads(before)
