"""GoogLeNet: nine inception modules, and two heads in the middle that help while training."""

from __future__ import annotations

from typing import NamedTuple

from ... import nn
from ...array_api import concat, reshape
from ...nn.functional import relu
from ...tensor import Tensor, tensor
from ..catalogue import network, require_no_weights

#: Of ImageNet's images, scaled to [0, 1].
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class GoogLeNetOutputs(NamedTuple):
    """What GoogLeNet gives in training: the logits, and those of the two heads in the middle."""

    logits: Tensor
    aux_logits2: Tensor
    aux_logits1: Tensor


class BasicConv2d(nn.Module):
    """A convolution without bias, batch-norm (ε = 0.001), ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, padding: int = 0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, P, Q)."""
        return relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four branches beside each other: 1×1; 1×1 and 3×3; 1×1 and 3×3; pooling and 1×1.

    The third has 5×5 kernels in the paper, and 3×3 in torchvision's weights.
    """

    def __init__(
        self, inputs: int, one: int, few3: int, three: int, few5: int, five: int, pooled: int
    ):
        super().__init__()
        self.branch1 = BasicConv2d(inputs, one, 1)
        self.branch2 = nn.Sequential(
            BasicConv2d(inputs, few3, 1), BasicConv2d(few3, three, 3, padding=1)
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(inputs, few5, 1), BasicConv2d(few5, five, 3, padding=1)
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, 1, padding=1, ceil_mode=True), BasicConv2d(inputs, pooled, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, one + three + five + pooled, H, W)."""
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return concat([branch(x) for branch in branches], axis=1)


class InceptionAux(nn.Module):
    """A head in the middle: 4×4 places of 128 channels, two linear layers."""

    def __init__(self, inputs: int, num_classes: int, dropout: float = 0.7):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d((4, 4))
        self.conv = BasicConv2d(inputs, 128, 1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, classes)."""
        y = reshape(self.conv(self.pool(x)), (x.shape[0], -1))
        return self.fc2(self.dropout(relu(self.fc1(y))))


class GoogLeNet(nn.Module):
    """Inception modules, batch-norm, and heads in the middle; names as torchvision's.

    In training with `aux_logits` the result is a `GoogLeNetOutputs`, of which the paper adds the
    losses with weights 1, 0.3 and 0.3; in evaluation it is the logits. With `transform_input`
    images that were normalised with ImageNet's mean and deviation are brought to [-1, 1], as the
    published weights want them. Weights start normal with deviation 0.01, cut off at ±2.
    Source: Szegedy et al., CVPR 2015, table 1.
    """

    last_layers = ("fc", "aux1.fc2", "aux2.fc2")
    factor: Tensor
    shift: Tensor

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ):
        super().__init__()
        self.aux_logits, self.transform_input = aux_logits, transform_input

        def pool(size: int = 3) -> nn.Module:
            return nn.MaxPool2d(size, 2, ceil_mode=True)

        self.conv1 = BasicConv2d(3, 64, 7, stride=2, padding=3)
        self.maxpool1 = pool()
        self.conv2 = BasicConv2d(64, 64, 1)
        self.conv3 = BasicConv2d(64, 192, 3, padding=1)
        self.maxpool2 = pool()
        self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = pool()
        self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = Inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = Inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = Inception(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = pool(2)
        self.inception5a = Inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = Inception(832, 384, 192, 384, 48, 128, 128)
        self.aux1: nn.Module | None = None
        self.aux2: nn.Module | None = None
        if aux_logits:
            self.aux1 = InceptionAux(512, num_classes, dropout_aux)
            self.aux2 = InceptionAux(528, num_classes, dropout_aux)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1024, num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.01)

    def _transformed(self, x: Tensor) -> Tensor:
        """x·std + mean lies in [0, 1]; twice that less 1 in [-1, 1]."""
        if not self.transform_input:
            return x
        std, mean = (reshape(tensor(v, dtype=x.dtype), (1, 3, 1, 1)) for v in (_STD, _MEAN))
        return x * (std / 0.5) + (mean - 0.5) / 0.5

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutputs:
        """(N, 3, 224, 224) -> (N, classes), in training with those of the heads in the middle."""
        y = self.maxpool1(self.conv1(self._transformed(x)))
        y = self.maxpool2(self.conv3(self.conv2(y)))
        y = self.maxpool3(self.inception3b(self.inception3a(y)))
        first = self.inception4a(y)
        second = self.inception4d(self.inception4c(self.inception4b(first)))
        y = self.maxpool4(self.inception4e(second))
        y = self.avgpool(self.inception5b(self.inception5a(y)))
        logits = self.fc(self.dropout(reshape(y, (x.shape[0], -1))))
        if self.training and self.aux1 is not None and self.aux2 is not None:
            return GoogLeNetOutputs(logits, self.aux2(second), self.aux1(first))
        return logits


@network(input=(3, 224, 224), parameters=13_004_888, multiply_adds=1_498_376_192)
def googlenet(
    *,
    weights: None = None,
    num_classes: int = 1000,
    aux_logits: bool = True,
    transform_input: bool = False,
    dropout: float = 0.2,
    dropout_aux: float = 0.7,
) -> GoogLeNet:
    """GoogLeNet with its two heads in the middle."""
    require_no_weights("googlenet", weights)
    return GoogLeNet(num_classes, aux_logits, transform_input, dropout, dropout_aux)
