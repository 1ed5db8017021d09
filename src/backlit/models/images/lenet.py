"""LeNets: the one of 1998 as it was published, and what is usually meant today."""

from __future__ import annotations

import math

import numpy as np

from ... import nn
from ...array_api import concat, reshape, square, sum, take, tanh, zeros
from ...nn.functional import avg_pool2d, conv2d
from ...tensor import Tensor, tensor
from ..catalogue import network


@network(input=(1, 28, 28), parameters=1_663_370, multiply_adds=12_273_152)
class LeNet(nn.Module):
    """Two convolutions and two linear layers, for 28×28 digits.

    32 and 64 kernels of 5×5 that keep the size, each with ReLU and 2×2 pooling, then 512 units.
    After LeCun et al., Proc. IEEE 86 (1998), wider, with ReLU and maximum pooling.

    >>> from backlit import zeros
    >>> LeNet()(zeros((2, 1, 28, 28))).shape
    (2, 10)
    """

    last_layers = ("classifier.3",)

    def __init__(self, num_classes: int = 10, channels: int = 1):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 32, 5, padding="same"),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 5, padding="same"),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(64 * 7 * 7, 512), nn.ReLU(), nn.Linear(512, num_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, 28, 28) -> (N, classes)."""
        return self.classifier(self.features(x))


#: Which of the six maps of S2 each of the sixteen maps of C3 sees (table I of the paper).
SEEN = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip
_PLACES = 7 * 12  # of the bitmap that stands for a class


class Squash(nn.Module):
    """y = 1.7159 tanh(2x/3), with y(±1) = ±1. Source: LeCun et al. 1998, eq. 6."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return 1.7159 * tanh(x * (2 / 3))


class Subsampling(nn.Module):
    """The four numbers of each 2×2 square are added, times one number a map, plus another one."""

    def __init__(self, maps: int):
        super().__init__()
        self.weight = nn.Parameter(zeros((maps, 1, 1)))
        self.bias = nn.Parameter(zeros((maps, 1, 1)))
        for p in self.parameters():
            nn.init.uniform_(p, -2.4 / 4, 2.4 / 4)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H/2, W/2)."""
        return 4 * avg_pool2d(x, 2) * self.weight + self.bias


class PartConvolution(nn.Module):
    """A 5×5 convolution where each output map sees some of the input maps: a kernel for each pair.

    weight: (pairs, 5, 5), bias: (outputs)
    """

    def __init__(self, inputs: int, seen: tuple[tuple[int, ...], ...]):
        super().__init__()
        pairs = [(o, i) for o, those in enumerate(seen) for i in those]
        self.weight = nn.Parameter(zeros((len(pairs), 5, 5)))
        self.bias = nn.Parameter(zeros((len(seen),)))
        self.inputs, self.outputs = inputs, len(seen)
        place = np.full((self.outputs, inputs), len(pairs))  # one past them stands a kernel of 0
        for number, pair in enumerate(pairs):
            place[pair] = number
        self.register_buffer("place", tensor(place.ravel()), persistent=False)
        for o, those in enumerate(seen):
            bound = 2.4 / (25 * len(those))
            rows = [number for number, (out, _) in enumerate(pairs) if out == o]
            drawn = nn.init.uniform_(zeros((len(rows), 5, 5)), -bound, bound)
            values = self.weight.numpy().copy()
            values[rows] = drawn.numpy()
            self.weight.assign(values)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H - 4, W - 4)."""
        kernels = concat((self.weight, zeros((1, 5, 5), dtype=self.weight.dtype)))
        place = self.get_buffer("place")
        full = reshape(take(kernels, place, axis=0), (self.outputs, self.inputs, 5, 5))
        return conv2d(x, full, self.bias)


@network(input=(1, 32, 32), parameters=60_000, multiply_adds=415_680, name="lenet5_1998")
class LeNet5Published(nn.Module):
    """LeNet-5 as it was published, for 32×32 digits: its 60,000 parameters and no others.

    Squashed subsampling with a factor and a shift for each map, a third layer whose maps see some
    of the maps before (table I), and an output unit for each class that measures the distance
    y_i = Σ_j (x_j - w_ij)² of the 84 features from a code of ±1. The result is -y, so that the
    largest is the answer and softmax is the posterior that the paper's loss (eq. 9) is made of.
    Weights start uniform in ±2.4/(fan in), as in the paper.

    Differs from the paper: the codes were bitmaps of stylised characters; here they are random
    signs, which the paper names as another choice. They are a buffer and are not learned.
    Source: LeCun, Bottou, Bengio & Haffner, Proc. IEEE 86 (1998), sec. II.B.

    >>> from backlit import zeros
    >>> LeNet5Published()(zeros((2, 1, 32, 32))).shape
    (2, 10)
    """

    codes: Tensor

    def __init__(self, num_classes: int = 10):
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5)
        self.s2 = Subsampling(6)
        self.c3 = PartConvolution(6, SEEN)
        self.s4 = Subsampling(16)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, _PLACES)
        self.squash = Squash()
        signs = np.random.default_rng(1998).integers(0, 2, (num_classes, _PLACES)) * 2.0 - 1
        self.register_buffer("codes", tensor(signs.astype(np.float32)))
        for layer in (self.c1, self.c5, self.f6):
            bound = 2.4 / math.prod(layer.weight.shape[1:])
            nn.init.uniform_(layer.weight, -bound, bound)
            if layer.bias is not None:
                nn.init.uniform_(layer.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, 32, 32) -> (N, classes)."""
        y = self.squash(self.s2(self.squash(self.c1(x))))
        y = self.squash(self.s4(self.squash(self.c3(y))))
        y = self.squash(self.f6(reshape(self.squash(self.c5(y)), (x.shape[0], -1))))
        return -sum(square(reshape(y, (x.shape[0], 1, _PLACES)) - self.codes), axis=2)
