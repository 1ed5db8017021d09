"""Photographs: a part of CIFAR-10, and large networks that learn 64 of them by heart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..recipe import Arrays, Data, Recipe, State, accuracy, at_least, near, one_cycle

_COUNT = 64


def _cifar(root: Path | None) -> Data:
    """The first 5,000 images to train on, 1,000 others to test on, without mean and deviation."""
    if root is None:
        random = np.random.default_rng(0)
        y = random.integers(0, 10, 400)
        x = random.uniform(0, 1, (400, 3, 32, 32)) * 0.3 + y[:, None, None, None] / 15
        train, test = (x[:300], y[:300]), (x[300:], y[300:])
    else:
        from backlit.data import read_cifar

        names = ("train_5000.bin.xz", "test_1000.bin.xz")
        train, test = (read_cifar(root / "cifar10-small" / name) for name in names)
        train, test = ((x / 255, y) for x, y in (train, test))
    mean = train[0].mean((0, 2, 3), keepdims=True)
    deviation = train[0].std((0, 2, 3), keepdims=True)
    parts = ((((x - mean) / deviation).astype(np.float32), y) for x, y in (train, test))
    return Data(*parts)


def _sixty_four(root: Path | None) -> Data:
    """64 of them, each pixel four times: 64×64. They are the test images, too."""
    x, y = _cifar(root).train
    x, y = x[:_COUNT].repeat(2, 2).repeat(2, 3), y[:_COUNT]
    return Data((x, y), (x, y))


def _moved(random: np.random.Generator, batch: Arrays) -> Arrays:
    """Mirrored with probability ½ and moved by up to 4 pixels; what comes in is 0."""
    x, y = batch
    moved = np.zeros_like(x)
    padded = np.pad(x, ((0, 0), (0, 0), (4, 4), (4, 4)))
    places = random.integers(0, 9, (len(x), 2))
    mirrored = random.random(len(x)) < 0.5
    for i, (row, column) in enumerate(places):
        image = padded[i, :, row : row + 32, column : column + 32]
        moved[i] = image[:, :, ::-1] if mirrored[i] else image
    return moved, y


def _ours(name: str, **options: Any) -> Callable[[Data, float], Any]:
    def build(data: Data, dropout: float) -> Any:
        from backlit import models

        return models.create(name, num_classes=10, **options)

    return build


def _theirs(name: str, *arguments: Any) -> Callable[[Data, float, State], Any]:
    def build(data: Data, dropout: float, state: State) -> Any:
        from ...peers import pytorch_functions as functions
        from ..twins import Functional

        given = (getattr(functions, a) if isinstance(a, str) else a for a in arguments)
        function = getattr(functions, name)
        return Functional(function(*given) if arguments else function, state)

    return build


def _with_heads(F: Any, model: Any, x: Any, y: Any) -> Any:
    """GoogLeNet's loss: those of the two other heads count 0.3 each."""
    if not model.training:
        return F.cross_entropy(model(x), y)
    first, *others = model(x)
    return F.cross_entropy(first, y) + 0.3 * sum(F.cross_entropy(o, y) for o in others)


def _by_heart(name: str, ours: Any, theirs: Any, rate: float, steps: int, **more: Any) -> Recipe:
    return Recipe(
        f"{name}-64",
        f"{name}, 64 images of CIFAR-10 at 64×64 as one batch, Adam, {steps} steps, one cycle",
        _sixty_four,
        ours,
        theirs,
        epochs=steps,
        batch=_COUNT,
        optimizer="adam",
        settings={"lr": rate},
        rate=one_cycle,
        figure=accuracy,
        goal="100 %",
        met=at_least(100.0),
        needs=("cifar10-small",),
        long=True,
        **{"tolerance": 1e-3, **more},
    )


RECIPES = (
    Recipe(
        "cifar-resnet",
        "ResNet-20 on 5,000 images, moved and mirrored, batch 50, SGD with momentum, 10 epochs, "
        "one cycle",
        _cifar,
        _ours("cifar_resnet20"),
        _theirs("cifar", (3, 3, 3)),
        epochs=10,
        batch=50,
        optimizer="sgd",
        settings={"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4},
        rate=one_cycle,
        augment=_moved,
        goal="≥ PyTorch's - 0.5",
        met=near(0.5),
        needs=("cifar10-small",),
        tolerance=1e-3,
        long=True,
    ),
    # All start slowly, because float32 gradients of networks at their beginning are not exact. Of
    # the two million values that meet a ReLU in AlexNet's first step one is -6e-8, which PyTorch
    # puts on the other side of 0: that alone moves the gradients below it by 1.4e-3 of their size.
    # Adam's first steps go by signs; with three times the rate the losses were 2e-2 apart after 19
    # steps, in float64 3.5e-16. With batch-norm there are more such values: both frameworks'
    # float32 gradients are 7e-3 (GoogLeNet) and 1.6e-2 (ResNet-50) of their size beside those in
    # float64. So ResNet-50's blocks begin as the identity (Goyal et al. 2017, sec. 5.1), and
    # GoogLeNet's float32 losses may differ by twice as much as the others'.
    _by_heart(
        "alexnet", _ours("alexnet", dropout=0.0), _theirs("alexnet"), 1e-4, 100, precise=True
    ),
    _by_heart(
        "googlenet",
        _ours("googlenet", dropout=0.0, dropout_aux=0.0),
        _theirs("googlenet"),
        1e-4,
        100,
        loss=_with_heads,
        precise=True,
        tolerance=2e-3,
    ),
    _by_heart(
        "resnet50",
        _ours("resnet50", zero_init_residual=True),
        _theirs("resnet", "bottleneck", (3, 4, 6, 3)),
        1e-4,
        60,
    ),
    _by_heart("densenet121", _ours("densenet121"), _theirs("densenet", (6, 12, 24, 16)), 8e-5, 80),
)
