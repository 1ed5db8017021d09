"""Networks for images: x is (N, C, H, W), the result (N, classes)."""

from __future__ import annotations

from .. import nn
from ..nn.functional import relu
from ..tensor import Tensor


class LeNet(nn.Module):
    """Two convolutions and two linear layers, for 28×28 digits.

    32 and 64 kernels of 5×5 that keep the size, each with ReLU and 2×2 pooling, then 512 units.
    After LeCun et al., Proc. IEEE 86 (1998), wider, with ReLU and maximum pooling.

    >>> from backlit import zeros
    >>> LeNet()(zeros((2, 1, 28, 28))).shape
    (2, 10)
    """

    def __init__(self, classes: int = 10, channels: int = 1):
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
            nn.Flatten(), nn.Linear(64 * 7 * 7, 512), nn.ReLU(), nn.Linear(512, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, 28, 28) -> (N, classes)."""
        return self.classifier(self.features(x))


class AlexNet(nn.Module):
    """Five convolutions and three linear layers, for 224×224 images.

    Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997,
    the single column, in the shape that torchvision gave it. 61,100,840 parameters.
    """

    def __init__(self, classes: int = 1000, dropout: float = 0.5):
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
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, classes),
        )
        self.flatten = nn.Flatten()

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 224, 224) -> (N, classes)."""
        return self.classifier(self.flatten(self.avgpool(self.features(x))))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with batch-norm, added to the input.

    Where the shape changes the input goes through a 1×1 convolution.
    Source: He, Zhang, Ren & Sun, CVPR 2016, fig. 2.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module
        if stride == 1 and inputs == outputs:
            self.downsample = nn.Identity()
        else:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, outputs, H/stride, W/stride)."""
        y = relu(self.bn1(self.conv1(x)))
        return relu(self.bn2(self.conv2(y)) + self.downsample(x))


class ResNet18(nn.Module):
    """Eight residual blocks of 64 to 512 channels, for 32×32 images (the shape for CIFAR).

    Source: He, Zhang, Ren & Sun, CVPR 2016, table 1, with a 3×3 stem and no pooling in front.
    11,173,962 parameters for 10 classes.
    """

    def __init__(self, classes: int = 10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        stages = []
        inputs = 64
        for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            stages.append(
                nn.Sequential(
                    ResidualBlock(inputs, outputs, stride), ResidualBlock(outputs, outputs)
                )
            )
            inputs = outputs
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(512, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 32, 32) -> (N, classes)."""
        y = self.stages(relu(self.bn1(self.conv1(x))))
        return self.fc(self.flatten(self.pool(y)))
