"""AlexNet: the two towers of 2012, and the single column that came after."""

from __future__ import annotations

from ... import nn
from ...array_api import reshape
from ...tensor import Tensor
from ..catalogue import network, require_no_weights


def _classifier(inputs: int, num_classes: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(inputs, 4096),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Linear(4096, num_classes),
    )


class AlexNet(nn.Module):
    """Five convolutions and three linear layers, for 224×224 images, as torchvision has it.

    Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks",
    arXiv:1404.5997, the single column.
    """

    last_layers = ("classifier.6",)

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = _classifier(256 * 6 * 6, num_classes, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 224, 224) -> (N, classes)."""
        y = self.avgpool(self.features(x))
        return self.classifier(reshape(y, (x.shape[0], -1)))


@network(input=(3, 224, 224), parameters=61_100_840, multiply_adds=714_188_480)
def alexnet(*, weights: None = None, num_classes: int = 1000, dropout: float = 0.5) -> AlexNet:
    """AlexNet in one column, with torchvision's names of parameters."""
    require_no_weights("alexnet", weights)
    return AlexNet(num_classes, dropout)


@network(input=(3, 224, 224), parameters=60_965_224, multiply_adds=724_406_816)
class AlexNet2012(nn.Module):
    """AlexNet as it won in 2012: two towers that meet in the third layer, and local normalisation.

    96, 256, 384, 384 and 256 kernels; the second, fourth and fifth layer see one half of the maps
    before them, which is a convolution in two groups. The first two are normalised over five
    neighbouring maps (k = 2, α = 10⁻⁴, β = 0.75), pooling overlaps. Weights start normal with
    deviation 0.01; biases of the second, fourth, fifth and the hidden linear layers at 1.
    With a border of 2, which the paper needs for its 55×55 places and does not mention.
    Source: Krizhevsky, Sutskever & Hinton, NIPS 2012, sec. 3 and 5.
    """

    last_layers = ("classifier.6",)

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5):
        super().__init__()

        def normalised() -> nn.Module:
            return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)  # which divides α by 5

        self.features = nn.Sequential(
            nn.Conv2d(3, 96, 11, stride=4, padding=2),
            nn.ReLU(),
            normalised(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(96, 256, 5, padding=2, groups=2),
            nn.ReLU(),
            normalised(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(256, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 384, 3, padding=1, groups=2),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1, groups=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )
        self.classifier = _classifier(256 * 6 * 6, num_classes, dropout)
        ones = {"features.4", "features.10", "features.12", "classifier.1", "classifier.4"}
        for name, layer in self.named_modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                if layer.bias is not None:
                    nn.init.constant_(layer.bias, float(name in ones))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 224, 224) -> (N, classes)."""
        return self.classifier(reshape(self.features(x), (x.shape[0], -1)))
