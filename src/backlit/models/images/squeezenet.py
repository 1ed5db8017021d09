"""SqueezeNet: fire modules, which squeeze by 1×1 and expand by 1×1 and 3×3 convolutions."""

from __future__ import annotations

from ... import nn
from ...array_api import concat, reshape
from ...errors import ArgumentError
from ...nn.functional import relu
from ...tensor import Tensor
from ..catalogue import network, require_no_weights


class Fire(nn.Module):
    """1×1 to few channels, then 1×1 and 3×3 beside each other, all with ReLU."""

    def __init__(self, inputs: int, squeeze: int, expand: int):
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, 2·expand, H, W)."""
        y = relu(self.squeeze(x))
        return concat((relu(self.expand1x1(y)), relu(self.expand3x3(y))), axis=1)


class SqueezeNet(nn.Module):
    """Eight fire modules, and a 1×1 convolution to the classes, whose places are averaged.

    Source: Iandola et al., arXiv:1602.07360, table 1; version 1.1 is from the authors' repository.
    """

    last_layers = ("classifier.1",)

    @nn.init.drawn_once()
    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5):
        super().__init__()
        if version not in ("1_0", "1_1"):
            raise ArgumentError(f"SqueezeNet: version must be '1_0' or '1_1', got {version!r}")

        def pool() -> nn.Module:
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        def fire(squeeze: int, inputs: int) -> Fire:
            return Fire(inputs, squeeze, 4 * squeeze)

        if version == "1_0":
            layers = [
                nn.Conv2d(3, 96, 7, stride=2), nn.ReLU(), pool(),
                fire(16, 96), fire(16, 128), fire(32, 128), pool(),
                fire(32, 256), fire(48, 256), fire(48, 384), fire(64, 384), pool(),
                fire(64, 512),
            ]  # fmt: skip
        else:
            layers = [
                nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), pool(),
                fire(16, 64), fire(16, 128), pool(),
                fire(32, 128), fire(32, 256), pool(),
                fire(48, 256), fire(48, 384), fire(64, 384), fire(64, 512),
            ]  # fmt: skip
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Conv2d(512, num_classes, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d((1, 1)),
        )
        last = self.classifier[1]
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                if layer is last:
                    nn.init.normal_(layer.weight, std=0.01)
                else:
                    nn.init.kaiming_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, classes)."""
        return reshape(self.classifier(self.features(x)), (x.shape[0], -1))


@network(input=(3, 224, 224), parameters=1_248_424, multiply_adds=818_924_576)
def squeezenet1_0(
    *, weights: None = None, num_classes: int = 1000, dropout: float = 0.5
) -> SqueezeNet:
    """SqueezeNet 1.0."""
    require_no_weights("squeezenet1_0", weights)
    return SqueezeNet("1_0", num_classes, dropout)


@network(input=(3, 224, 224), parameters=1_235_496, multiply_adds=349_151_936)
def squeezenet1_1(
    *, weights: None = None, num_classes: int = 1000, dropout: float = 0.5
) -> SqueezeNet:
    """SqueezeNet 1.1, which computes less than half of 1.0."""
    require_no_weights("squeezenet1_1", weights)
    return SqueezeNet("1_1", num_classes, dropout)
