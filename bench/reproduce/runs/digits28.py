"""Images of 28×28 in IDX files: MNIST, Fashion-MNIST, and from the one to the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..recipe import Data, Recipe, State, at_least, near, one_cycle
from ..sides import Backlit, starting


def _images(name: str) -> Any:
    def read(root: Path | None) -> Data:
        if root is None:
            return Data(_squares(1_300, 0), _squares(300, 1))
        from backlit import data

        parts = (data.mnist if name == "mnist" else data.fashion_mnist)(root / name)
        return Data(*(tuple(t.numpy() for t in part.tensors) for part in parts))

    return read


def _squares(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bright squares, whose class is where they are, on noise."""
    random = np.random.default_rng(seed)
    x = random.uniform(0, 0.3, (count, 1, 28, 28)).astype(np.float32)
    y = random.integers(0, 10, count)
    for image, label in zip(x, y, strict=True):
        row, column = 4 + 12 * (label // 5), 1 + 5 * (label % 5)
        image[0, row : row + 6, column : column + 5] += 0.6
    return x, y


def _our_lenet(data: Data, dropout: float) -> Any:
    from backlit import models, nn

    model = models.LeNet()
    model.classifier.insert(3, nn.Dropout(dropout))
    return model


def _their_lenet(data: Data, dropout: float, state: State) -> Any:
    from torch import nn

    from ...peers.pytorch_steps import LeNet
    from ..twins import loaded

    model = LeNet()
    model.classifier.insert(3, nn.Dropout(dropout))
    return loaded(model, state)


def _our_resnet(data: Data, dropout: float) -> Any:
    from backlit import models

    model = models.CifarResNet((2, 2, 2), (16, 32, 64), 10, projection=True)
    model.conv1 = type(model.conv1)(1, 16, 3, padding=1, bias=False)
    return model


def _their_resnet(data: Data, dropout: float, state: State) -> Any:
    from ...peers.pytorch_functions import cifar
    from ..twins import Functional

    return Functional(cifar((2, 2, 2)), state)


def _mirrored(random: np.random.Generator, batch: Any) -> Any:
    """Mirrored with probability ½."""
    x, y = batch
    mirrored = random.random(len(x)) < 0.5
    return np.where(mirrored[:, None, None, None], x[..., ::-1], x), y


def _few(root: Path | None) -> Data:
    """500 garments to train on; `facts` has the other training images, to choose recipes by."""
    whole = _images("fashion-mnist")(root)
    parts = (tuple(array[rows] for array in whole.train) for rows in (slice(500), slice(500, None)))
    few, others = parts
    return Data(few, whole.test, {"others": others})


def _other_few(data: Data, seed: int) -> Data:
    """500 of the other training images to train on, and up to 10,000 of them to judge by."""
    others = data.facts["others"]
    order = np.random.default_rng(seed).permutation(len(others[0]))
    few, judged = (
        tuple(array[rows] for array in others) for rows in (order[:500], order[500:10_500])
    )
    return Data(few, judged, data.facts)


def _after_digits(root: Path | None) -> Data:
    """`_few`, and what a LeNet learns of MNIST in one epoch, if there is MNIST."""
    digits = _images("mnist")(root)
    recipe = replace(RECIPES[0], epochs=1)
    state = starting(recipe, digits, 0)
    if root is not None:
        side = Backlit(recipe, digits, state, 0)
        for step, batch in enumerate(recipe.batches(digits, 0, 0)):
            side.step(batch, recipe.rate_at(step, recipe.steps(digits)))
        state = {name: t.numpy().copy() for name, t in side.model.state_dict().items()}
    few = _few(root)
    return replace(few, facts={**few.facts, "digits": state})


#: What knows of edges is kept; all that is put together of these is learned anew.
_FROZEN, _ANEW = "features.0", "classifier"


def _our_transfer(data: Data, dropout: float) -> Any:
    from backlit import asarray, models

    model = _our_lenet(data, dropout)
    model.load_state_dict({name: asarray(v) for name, v in data.facts["digits"].items()})
    for layer in model.get_submodule(_ANEW):
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    return models.freeze(model, _FROZEN)


def _their_transfer(data: Data, dropout: float, state: State) -> Any:
    model = _their_lenet(data, dropout, state)
    for p in model.get_submodule(_FROZEN).parameters():
        p.requires_grad_(False)
    return model


_ADAM: dict[str, Any] = {"optimizer": "adam", "settings": {"lr": 2e-3}, "rate": one_cycle}

RECIPES = (
    Recipe(
        "mnist",
        "LeNet, batch 100, Adam, 3 epochs, one cycle",
        _images("mnist"),
        _our_lenet,
        _their_lenet,
        epochs=3,
        batch=100,
        **_ADAM,
        goal="≥ 99.2 %",
        met=at_least(99.2),
        needs=("mnist",),
        published="99.05 % (LeNet-5 without distortions, LeCun et al. 1998)",
        tolerance=1e-3,
        long=True,
    ),
    Recipe(
        "fashion-lenet",
        "LeNet with dropout 0.5, batch 100, Adam, 8 epochs, one cycle, mirrored",
        _images("fashion-mnist"),
        _our_lenet,
        _their_lenet,
        epochs=8,
        batch=100,
        **_ADAM,
        augment=_mirrored,
        dropout=0.5,
        goal="≥ 91.5 %",
        met=at_least(91.5),
        needs=("fashion-mnist",),
        published="87.6 to 93.4 % (two convolutions and a head, its repository's table)",
        tolerance=1e-3,
        long=True,
    ),
    Recipe(
        "fashion-resnet",
        "ResNet of 6 blocks, 16 to 64 wide, batch 100, SGD with momentum, 10 epochs, one cycle",
        _images("fashion-mnist"),
        _our_resnet,
        _their_resnet,
        epochs=10,
        batch=100,
        optimizer="sgd",
        settings={"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4},
        rate=one_cycle,
        augment=_mirrored,
        goal="≥ 93.5 %",
        met=at_least(93.5),
        needs=("fashion-mnist",),
        published="94.9 % (ResNet-18, its repository's table)",
        tolerance=1e-3,
        long=True,
    ),
    Recipe(
        "fashion-500",
        "LeNet from scratch on 500 examples, batch 50, Adam, 30 epochs, one cycle",
        _few,
        _our_lenet,
        _their_lenet,
        epochs=30,
        batch=50,
        **_ADAM,
        goal="≥ PyTorch's - 1",
        met=near(1.0),
        validation=_other_few,
        needs=("fashion-mnist",),
        tolerance=1e-3,
        long=True,
    ),
    Recipe(
        "transfer-500",
        "LeNet of MNIST, its first convolution frozen, its linear layers new; else as fashion-500",
        _after_digits,
        _our_transfer,
        _their_transfer,
        epochs=30,
        batch=50,
        **_ADAM,
        goal="≥ PyTorch's - 1, above fashion-500",
        met=near(1.0),
        validation=_other_few,
        above="fashion-500",
        needs=("fashion-mnist", "mnist"),
        tolerance=1e-3,
        long=True,
    ),
)
