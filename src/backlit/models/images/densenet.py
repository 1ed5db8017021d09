"""DenseNets: each layer sees what all layers before it in its block have made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ... import nn
from ...array_api import concat, reshape
from ...nn.functional import dropout, relu
from ...nn.utils.checkpoint import checkpoint
from ...tensor import Tensor
from ..catalogue import network, require_no_weights


class DenseLayer(nn.Module):
    """Norm, ReLU, 1×1 to `bn_size` times the growth; norm, ReLU, 3×3 to the growth."""

    def __init__(
        self, inputs: int, growth_rate: int, bn_size: int, drop_rate: float, memory_efficient: bool
    ):
        super().__init__()
        inner = bn_size * growth_rate
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, growth_rate, 3, padding=1, bias=False)
        self.drop_rate = drop_rate
        self.memory_efficient = memory_efficient

    def _narrow(self, *before: Tensor) -> Tensor:
        return self.conv1(relu(self.norm1(concat(before, axis=1))))

    def forward(self, before: Sequence[Tensor]) -> Tensor:
        """Maps (N, ·, H, W) of all layers before -> (N, growth, H, W)."""
        y = checkpoint(self._narrow, *before) if self.memory_efficient else self._narrow(*before)
        y = self.conv2(relu(self.norm2(y)))
        return dropout(y, self.drop_rate, self.training)


class DenseBlock(nn.ModuleDict):
    """Dense layers; the result is the block's input with what each of them adds."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + layers·growth, H, W)."""
        maps = [x]
        for layer in self.values():
            maps.append(layer(maps))
        return concat(maps, axis=1)


class Transition(nn.Sequential):
    """Norm, ReLU, 1×1 to half the channels, the mean of each 2×2 square."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.pool = nn.AvgPool2d(2, 2)


class DenseNet(nn.Module):
    """Four dense blocks with transitions between them; names as torchvision's.

    Each layer adds `growth_rate` channels. With `memory_efficient` the joined maps are made again
    for the gradient instead of kept. Files of torchvision's from before version 0.3 (`norm.1` for
    `norm1`) are understood by `load_weights`.
    Source: Huang, Liu, van der Maaten & Weinberger, CVPR 2017, arXiv:1608.06993, table 1.
    """

    last_layers = ("classifier",)
    known_names: ClassVar = ((r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2"),)

    @nn.init.drawn_once()
    def __init__(
        self,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0.0,
        num_classes: int = 1000,
        memory_efficient: bool = False,
    ):
        super().__init__()
        layers: dict[str, nn.Module] = {
            "conv0": nn.Conv2d(3, num_init_features, 7, 2, 3, bias=False),
            "norm0": nn.BatchNorm2d(num_init_features),
            "relu0": nn.ReLU(),
            "pool0": nn.MaxPool2d(3, 2, 1),
        }
        width = num_init_features
        for number, count in enumerate(block_config, 1):
            block = DenseBlock()
            for i in range(count):
                block[f"denselayer{i + 1}"] = DenseLayer(
                    width + i * growth_rate, growth_rate, bn_size, drop_rate, memory_efficient
                )
            layers[f"denseblock{number}"] = block
            width += count * growth_rate
            if number < len(block_config):
                layers[f"transition{number}"] = Transition(width, width // 2)
                width //= 2
        layers["norm5"] = nn.BatchNorm2d(width)
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(width, num_classes)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
            elif isinstance(layer, nn.Linear) and layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 224, 224) -> (N, classes)."""
        y = self.avgpool(relu(self.features(x)))
        return self.classifier(reshape(y, (x.shape[0], -1)))


def _densenet(
    depth: int, growth: int, blocks: Sequence[int], first: int, weights: None, num_classes: int,
    drop_rate: float, memory_efficient: bool,
) -> DenseNet:  # fmt: skip
    require_no_weights(f"densenet{depth}", weights)
    return DenseNet(
        growth, blocks, first, 4, drop_rate, num_classes, memory_efficient=memory_efficient
    )


@network(input=(3, 224, 224), parameters=7_978_856, multiply_adds=2_834_161_664)
def densenet121(
    *,
    weights: None = None,
    num_classes: int = 1000,
    drop_rate: float = 0.0,
    memory_efficient: bool = False,
) -> DenseNet:
    """DenseNet with 121 layers, each of which adds 32 channels."""
    return _densenet(
        121, 32, (6, 12, 24, 16), 64, weights, num_classes, drop_rate, memory_efficient
    )


@network(input=(3, 224, 224), parameters=28_681_000, multiply_adds=7_727_907_072)
def densenet161(
    *,
    weights: None = None,
    num_classes: int = 1000,
    drop_rate: float = 0.0,
    memory_efficient: bool = False,
) -> DenseNet:
    """DenseNet with 161 layers, each of which adds 48 channels."""
    return _densenet(
        161, 48, (6, 12, 36, 24), 96, weights, num_classes, drop_rate, memory_efficient
    )


@network(input=(3, 224, 224), parameters=14_149_480, multiply_adds=3_359_843_328)
def densenet169(
    *,
    weights: None = None,
    num_classes: int = 1000,
    drop_rate: float = 0.0,
    memory_efficient: bool = False,
) -> DenseNet:
    """DenseNet with 169 layers, each of which adds 32 channels."""
    return _densenet(
        169, 32, (6, 12, 32, 32), 64, weights, num_classes, drop_rate, memory_efficient
    )


@network(input=(3, 224, 224), parameters=20_013_928, multiply_adds=4_291_365_888)
def densenet201(
    *,
    weights: None = None,
    num_classes: int = 1000,
    drop_rate: float = 0.0,
    memory_efficient: bool = False,
) -> DenseNet:
    """DenseNet with 201 layers, each of which adds 32 channels."""
    return _densenet(
        201, 32, (6, 12, 48, 32), 64, weights, num_classes, drop_rate, memory_efficient
    )
