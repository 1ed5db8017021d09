"""MobileNetV2: residual blocks that are wide inside and narrow between."""

from __future__ import annotations

from ... import nn
from ...array_api import mean
from ...tensor import Tensor
from ..catalogue import network, require_no_weights
from .starting import by_fan_out

#: Expansion, channels, blocks and stride of each stage. Source: Sandler et al., table 2.
_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
    (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


def _divisible(width: float, divisor: int) -> int:
    """The multiple of the divisor nearest to a width, at least the divisor and 0.9 of the width."""
    near = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return near + divisor if near < 0.9 * width else near


class ConvNormActivation(nn.Sequential):
    """A convolution that keeps the places, batch-norm, and min(max(x, 0), 6)."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1):
        super().__init__(
            nn.Conv2d(inputs, outputs, size, stride, (size - 1) // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU6(),
        )


class InvertedResidual(nn.Module):
    """1×1 to more channels, 3×3 for each channel alone, 1×1 without activation to fewer."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand_ratio: int):
        super().__init__()
        inner = inputs * expand_ratio
        layers: list[nn.Module] = []
        if expand_ratio != 1:
            layers.append(ConvNormActivation(inputs, inner, 1))
        layers += [
            ConvNormActivation(inner, inner, 3, stride, inner),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        self.conv = nn.Sequential(*layers)
        self.use_res_connect = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H/stride, W/stride)."""
        y = self.conv(x)
        return x + y if self.use_res_connect else y


class MobileNetV2(nn.Module):
    """Seventeen inverted residual blocks; names as torchvision's.

    `width_mult` scales all widths, which are then made multiples of `round_nearest`.
    Source: Sandler, Howard, Zhu, Zhmoginov & Chen, CVPR 2018, arXiv:1801.04381, table 2.
    """

    last_layers = ("classifier.1",)

    @nn.init.drawn_once()
    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        round_nearest: int = 8,
        dropout: float = 0.2,
    ):
        super().__init__()
        inputs = _divisible(32 * width_mult, round_nearest)
        last = _divisible(1280 * max(1.0, width_mult), round_nearest)
        layers: list[nn.Module] = [ConvNormActivation(3, inputs, 3, 2)]
        for expand_ratio, width, count, stride in _STAGES:
            outputs = _divisible(width * width_mult, round_nearest)
            for i in range(count):
                layers.append(InvertedResidual(inputs, outputs, 1 if i else stride, expand_ratio))
                inputs = outputs
        layers.append(ConvNormActivation(inputs, last, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, num_classes))
        by_fan_out(self, linear=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, classes)."""
        return self.classifier(mean(self.features(x), axis=(2, 3)))


@network(input=(3, 224, 224), parameters=3_504_872, multiply_adds=300_774_272)
def mobilenet_v2(
    *,
    weights: None = None,
    num_classes: int = 1000,
    width_mult: float = 1.0,
    dropout: float = 0.2,
) -> MobileNetV2:
    """MobileNetV2."""
    require_no_weights("mobilenet_v2", weights)
    return MobileNetV2(num_classes, width_mult, dropout=dropout)
