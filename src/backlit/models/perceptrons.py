"""Fully connected networks: regressions, perceptrons of several layers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from .. import nn
from ..errors import ArgumentError
from .catalogue import network

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
}


@network(input=(8,), parameters=9, multiply_adds=8)
def linear_regression(inputs: int = 8, outputs: int = 1) -> nn.Linear:
    """y = W x + b, for numbers; trained on squared differences.

    >>> from backlit import zeros
    >>> linear_regression(3)(zeros((5, 3))).shape
    (5, 1)
    """
    return nn.Linear(inputs, outputs)


@network(input=(784,), parameters=7_850, multiply_adds=7_840)
def softmax_regression(inputs: int = 784, num_classes: int = 10) -> nn.Sequential:
    """Logits W x + b of all axes but the first, for classes; trained on cross-entropy.

    >>> from backlit import zeros
    >>> softmax_regression()(zeros((5, 1, 28, 28))).shape
    (5, 10)
    """
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, num_classes))


@network(input=(784,), parameters=669_706, multiply_adds=668_672)
def mlp(
    sizes: Sequence[int] = (784, 512, 512, 10), activation: str = "relu", dropout: float = 0.0
) -> nn.Sequential:
    """Linear layers of the given sizes with activations (and dropout) between them.

    >>> mlp((2, 3, 1))
    Sequential(  # 13 parameters
      (0): Linear(in_features=2, out_features=3)  # weight: float32[3,2], bias: float32[3]; 9 parameters
      (1): ReLU()
      (2): Linear(in_features=3, out_features=1)  # weight: float32[1,3], bias: float32[1]; 4 parameters
    )
    """  # noqa: E501
    if len(sizes) < 2:
        raise ArgumentError(f"mlp: at least an input and an output size are needed, got {sizes}")
    if activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise ArgumentError(f"mlp: activation must be one of {known}, got {activation!r}")
    layers: list[nn.Module] = [nn.Linear(sizes[0], sizes[1])]
    for inputs, outputs in itertools.pairwise(sizes[1:]):
        layers.append(ACTIVATIONS[activation]())
        if dropout:
            layers.append(nn.Dropout(dropout))
        layers.append(nn.Linear(inputs, outputs))
    return nn.Sequential(*layers)


@network(input=(2,), parameters=25, multiply_adds=18)
def playground(hidden: Sequence[int] = (4, 2), activation: str = "tanh") -> nn.Sequential:
    """Two coordinates to one number in (-1, 1), for data that can be drawn in the plane.

    >>> from backlit import zeros
    >>> playground()(zeros((10, 2))).shape
    (10, 1)
    """
    network = mlp((2, *hidden, 1), activation)
    return network.append(nn.Tanh())


@network(input=(1000,), parameters=101_000, multiply_adds=101_000)
def two_layer(inputs: int = 1000, hidden: int = 100, outputs: int = 10) -> nn.Sequential:
    """Two matrices and a sigmoid, no biases: the network that courses write in twenty lines.

    >>> from backlit import zeros
    >>> two_layer()(zeros((64, 1000))).shape
    (64, 10)
    """
    return nn.Sequential(
        nn.Linear(inputs, hidden, bias=False),
        nn.Sigmoid(),
        nn.Linear(hidden, outputs, bias=False),
    )
