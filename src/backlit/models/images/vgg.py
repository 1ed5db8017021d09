"""VGG: 3×3 convolutions only, in five stages, with batch-norm or without."""

from __future__ import annotations

from ... import nn
from ...array_api import reshape
from ...tensor import Tensor
from ..catalogue import network, require_no_weights
from .starting import by_fan_out

_WIDTHS = (64, 128, 256, 512, 512)
#: How many convolutions each stage has. Source: Simonyan & Zisserman, table 1, A, B, D and E.
_STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(nn.Module):
    """Stages of 3×3 convolutions, each ended by pooling, and three linear layers.

    Weights of convolutions start as He et al. have it, by fan out; those of linear layers normal
    with deviation 0.01. Source: Simonyan & Zisserman, ICLR 2015, arXiv:1409.1556, table 1.
    """

    last_layers = ("classifier.6",)

    def __init__(self, features: nn.Module, num_classes: int = 1000, dropout: float = 0.5):
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        by_fan_out(self, linear=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 224, 224) -> (N, classes)."""
        y = self.avgpool(self.features(x))
        return self.classifier(reshape(y, (x.shape[0], -1)))


@nn.init.drawn_once()
def _vgg(depth: int, norm: bool, weights: None, num_classes: int, dropout: float) -> VGG:
    require_no_weights(f"vgg{depth}{'_bn' * norm}", weights)
    layers: list[nn.Module] = []
    inputs = 3
    for width, count in zip(_WIDTHS, _STAGES[depth], strict=True):
        for _ in range(count):
            layers.append(nn.Conv2d(inputs, width, 3, padding=1))
            if norm:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.ReLU())
            inputs = width
        layers.append(nn.MaxPool2d(2, 2))
    return VGG(nn.Sequential(*layers), num_classes, dropout)


@network(input=(3, 224, 224), parameters=132_863_336, multiply_adds=7_609_090_048)
def vgg11(*, weights: None = None, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG with 11 layers."""
    return _vgg(11, False, weights, num_classes, dropout)


@network(input=(3, 224, 224), parameters=132_868_840, multiply_adds=7_609_090_048)
def vgg11_bn(*, weights: None = None, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG with 11 layers and batch-norm."""
    return _vgg(11, True, weights, num_classes, dropout)


@network(input=(3, 224, 224), parameters=133_047_848, multiply_adds=11_308_466_176)
def vgg13(*, weights: None = None, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG with 13 layers."""
    return _vgg(13, False, weights, num_classes, dropout)


@network(input=(3, 224, 224), parameters=133_053_736, multiply_adds=11_308_466_176)
def vgg13_bn(*, weights: None = None, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG with 13 layers and batch-norm."""
    return _vgg(13, True, weights, num_classes, dropout)


@network(input=(3, 224, 224), parameters=138_357_544, multiply_adds=15_470_264_320)
def vgg16(*, weights: None = None, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG with 16 layers."""
    return _vgg(16, False, weights, num_classes, dropout)


@network(input=(3, 224, 224), parameters=138_365_992, multiply_adds=15_470_264_320)
def vgg16_bn(*, weights: None = None, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG with 16 layers and batch-norm."""
    return _vgg(16, True, weights, num_classes, dropout)


@network(input=(3, 224, 224), parameters=143_667_240, multiply_adds=19_632_062_464)
def vgg19(*, weights: None = None, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG with 19 layers."""
    return _vgg(19, False, weights, num_classes, dropout)


@network(input=(3, 224, 224), parameters=143_678_248, multiply_adds=19_632_062_464)
def vgg19_bn(*, weights: None = None, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG with 19 layers and batch-norm."""
    return _vgg(19, True, weights, num_classes, dropout)
