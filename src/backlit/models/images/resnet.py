"""ResNets: what a block adds is added to what went into it. For 224×224 images, and for 32×32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ... import nn
from ...array_api import reshape
from ...errors import ArgumentError
from ...nn.functional import pad, relu
from ...tensor import Tensor
from ..catalogue import network, require_no_weights
from .starting import by_fan_out


def _conv(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the places, but for its stride."""
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions with batch-norm, added to the input.

    `downsample` is what the input goes through where its shape changes.
    Source: He, Zhang, Ren & Sun, CVPR 2016, fig. 5 (left).
    """

    expansion: ClassVar[int] = 1

    def __init__(
        self,
        inputs: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
    ):
        super().__init__()
        if groups != 1 or base_width != 64:
            raise ArgumentError(
                f"BasicBlock: groups must be 1 and base_width 64, got {groups} and {base_width}; "
                "use Bottleneck"
            )
        self.conv1 = _conv(inputs, planes, 3, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = _conv(planes, planes, 3)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The norm before the sum."""
        return self.bn2

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, planes, H/stride, W/stride)."""
        y = relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1×1 to fewer channels, 3×3, 1×1 to four times `planes`, added to the input.

    The stride is in the 3×3 convolution, as in torchvision, not in the first as in the paper; with
    `groups` it is that of ResNeXt. Source: He, Zhang, Ren & Sun, CVPR 2016, fig. 5 (right); Xie et
    al., CVPR 2017, fig. 3c.
    """

    expansion: ClassVar[int] = 4

    def __init__(
        self,
        inputs: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
    ):
        super().__init__()
        width = planes * base_width // 64 * groups
        self.conv1 = _conv(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride, groups)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, planes * self.expansion, 1)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion)
        self.downsample = downsample

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The norm before the sum."""
        return self.bn3

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 4·planes, H/stride, W/stride)."""
        y = relu(self.bn1(self.conv1(x)))
        y = relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return relu(y + (x if self.downsample is None else self.downsample(x)))


class _Residual(nn.Module):
    """Base of the ResNets: how stages are made of blocks, and where weights start."""

    last_layers = ("fc",)

    def _stage(
        self, block: Any, inputs: int, planes: int, count: int, stride: int, **width: int
    ) -> nn.Sequential:
        """`count` blocks, of which the first may change the shape."""
        outputs = planes * block.expansion
        change: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            change = nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        blocks = [block(inputs, planes, stride, change, **width)]
        blocks += [block(outputs, planes, **width) for _ in range(count - 1)]
        return nn.Sequential(*blocks)

    def _through(self, x: Tensor) -> Tensor:
        """All stages, one after the other."""
        for name, stage in self.named_children():
            if name.startswith("layer"):
                x = stage(x)
        return x

    def _start(self, zero_init_residual: bool) -> None:
        """By fan out; with `zero_init_residual` what a block adds starts at 0."""
        by_fan_out(self)
        for block in self.modules():
            if zero_init_residual and isinstance(block, BasicBlock | Bottleneck):
                norm = block.last_norm
                if norm.weight is not None:
                    nn.init.zeros_(norm.weight)


class ResNet(_Residual):
    """A 7×7 convolution, pooling, four stages of residual blocks, the mean over the places.

    `layers` are the numbers of blocks. With `zero_init_residual` each block starts as the identity.
    Names of parameters are torchvision's.
    Source: He, Zhang, Ren & Sun, CVPR 2016, arXiv:1512.03385, table 1.
    """

    @nn.init.drawn_once()
    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for number, count in enumerate(layers):
            planes = 64 << number
            stage = self._stage(
                block, inputs, planes, count, 2 if number else 1,
                groups=groups, base_width=width_per_group,
            )  # fmt: skip
            self.add_module(f"layer{number + 1}", stage)
            inputs = planes * block.expansion
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inputs, num_classes)
        self._start(zero_init_residual)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 224, 224) -> (N, classes)."""
        y = self.maxpool(relu(self.bn1(self.conv1(x))))
        return self.fc(reshape(self.avgpool(self._through(y)), (x.shape[0], -1)))


class Shortcut(nn.Module):
    """Every second place, and channels of zeros in front and behind: no parameters (option A)."""

    def __init__(self, more: int):
        super().__init__()
        self.more = more

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + more, H/2, W/2)."""
        before = self.more // 2
        return pad(x[:, :, ::2, ::2], (0, 0, 0, 0, before, self.more - before))


class CifarResNet(_Residual):
    """A 3×3 convolution and stages of basic blocks, for 32×32 images.

    Without `projection` a shortcut to more channels adds zeros, as in the paper's CIFAR networks
    (option A); with it it is a 1×1 convolution (option B).
    Source: He, Zhang, Ren & Sun, CVPR 2016, sec. 4.2.
    """

    def __init__(
        self,
        layers: Sequence[int],
        widths: Sequence[int],
        num_classes: int = 10,
        projection: bool = False,
        zero_init_residual: bool = False,
    ):
        super().__init__()
        inputs = widths[0]
        self.conv1 = _conv(3, inputs, 3)
        self.bn1 = nn.BatchNorm2d(inputs)
        for number, (count, width) in enumerate(zip(layers, widths, strict=True)):
            stage = self._stage(BasicBlock, inputs, width, count, 2 if number else 1)
            first: Any = stage[0]
            if not projection and first.downsample is not None:
                first.downsample = Shortcut(width - inputs)
            self.add_module(f"layer{number + 1}", stage)
            inputs = width
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inputs, num_classes)
        self._start(zero_init_residual)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 32, 32) -> (N, classes)."""
        y = self._through(relu(self.bn1(self.conv1(x))))
        return self.fc(reshape(self.avgpool(y), (x.shape[0], -1)))


def _resnet(
    name: str, block: Any, layers: Sequence[int], weights: None, num_classes: int,
    zero_init_residual: bool, groups: int = 1, width_per_group: int = 64,
) -> ResNet:  # fmt: skip
    require_no_weights(name, weights)
    return ResNet(block, layers, num_classes, zero_init_residual, groups, width_per_group)


def _cifar(depth: int, weights: None, num_classes: int) -> CifarResNet:
    """6n + 2 layers: n blocks in each of three stages of 16, 32 and 64 channels."""
    require_no_weights(f"cifar_resnet{depth}", weights)
    return CifarResNet([(depth - 2) // 6] * 3, (16, 32, 64), num_classes)


@network(input=(3, 224, 224), parameters=11_689_512, multiply_adds=1_814_073_344)
def resnet18(
    *, weights: None = None, num_classes: int = 1000, zero_init_residual: bool = False
) -> ResNet:
    """ResNet with 18 layers, in basic blocks."""
    return _resnet("resnet18", BasicBlock, (2, 2, 2, 2), weights, num_classes, zero_init_residual)


@network(input=(3, 224, 224), parameters=21_797_672, multiply_adds=3_663_761_408)
def resnet34(
    *, weights: None = None, num_classes: int = 1000, zero_init_residual: bool = False
) -> ResNet:
    """ResNet with 34 layers, in basic blocks."""
    return _resnet("resnet34", BasicBlock, (3, 4, 6, 3), weights, num_classes, zero_init_residual)


@network(input=(3, 224, 224), parameters=25_557_032, multiply_adds=4_089_184_256)
def resnet50(
    *, weights: None = None, num_classes: int = 1000, zero_init_residual: bool = False
) -> ResNet:
    """ResNet with 50 layers, in bottlenecks."""
    return _resnet("resnet50", Bottleneck, (3, 4, 6, 3), weights, num_classes, zero_init_residual)


@network(input=(3, 224, 224), parameters=44_549_160, multiply_adds=7_801_405_440)
def resnet101(
    *, weights: None = None, num_classes: int = 1000, zero_init_residual: bool = False
) -> ResNet:
    """ResNet with 101 layers, in bottlenecks."""
    return _resnet("resnet101", Bottleneck, (3, 4, 23, 3), weights, num_classes, zero_init_residual)


@network(input=(3, 224, 224), parameters=60_192_808, multiply_adds=11_513_626_624)
def resnet152(
    *, weights: None = None, num_classes: int = 1000, zero_init_residual: bool = False
) -> ResNet:
    """ResNet with 152 layers, in bottlenecks."""
    return _resnet("resnet152", Bottleneck, (3, 8, 36, 3), weights, num_classes, zero_init_residual)


@network(input=(3, 224, 224), parameters=25_028_904, multiply_adds=4_230_479_872)
def resnext50_32x4d(
    *, weights: None = None, num_classes: int = 1000, zero_init_residual: bool = False
) -> ResNet:
    """ResNeXt with 50 layers: 32 groups of 4 channels."""
    return _resnet(
        "resnext50_32x4d", Bottleneck, (3, 4, 6, 3), weights, num_classes, zero_init_residual, 32, 4
    )


@network(input=(3, 224, 224), parameters=68_883_240, multiply_adds=11_398_021_120)
def wide_resnet50_2(
    *, weights: None = None, num_classes: int = 1000, zero_init_residual: bool = False
) -> ResNet:
    """ResNet with 50 layers, twice as wide inside each block."""
    return _resnet(
        "wide_resnet50_2",
        Bottleneck,
        (3, 4, 6, 3),
        weights,
        num_classes,
        zero_init_residual,
        1,
        128,
    )


@network(input=(3, 32, 32), parameters=269_722, multiply_adds=40_551_040)
def cifar_resnet20(*, weights: None = None, num_classes: int = 10) -> CifarResNet:
    """ResNet with 20 layers for 32×32 images, 16 to 64 channels, as in the paper's section 4.2."""
    return _cifar(20, weights, num_classes)


@network(input=(3, 32, 32), parameters=464_154, multiply_adds=68_862_592)
def cifar_resnet32(*, weights: None = None, num_classes: int = 10) -> CifarResNet:
    """ResNet with 32 layers for 32×32 images, 16 to 64 channels, as in the paper's section 4.2."""
    return _cifar(32, weights, num_classes)


@network(input=(3, 32, 32), parameters=658_586, multiply_adds=97_174_144)
def cifar_resnet44(*, weights: None = None, num_classes: int = 10) -> CifarResNet:
    """ResNet with 44 layers for 32×32 images, 16 to 64 channels, as in the paper's section 4.2."""
    return _cifar(44, weights, num_classes)


@network(input=(3, 32, 32), parameters=853_018, multiply_adds=125_485_696)
def cifar_resnet56(*, weights: None = None, num_classes: int = 10) -> CifarResNet:
    """ResNet with 56 layers for 32×32 images, 16 to 64 channels, as in the paper's section 4.2."""
    return _cifar(56, weights, num_classes)


@network(input=(3, 32, 32), parameters=1_727_962, multiply_adds=252_887_680)
def cifar_resnet110(*, weights: None = None, num_classes: int = 10) -> CifarResNet:
    """ResNet with 110 layers for 32×32 images, 16 to 64 channels, as in the paper's section 4.2."""
    return _cifar(110, weights, num_classes)


@network(input=(3, 32, 32), parameters=11_173_962, multiply_adds=555_422_720)
def cifar_resnet18(
    *, weights: None = None, num_classes: int = 10, zero_init_residual: bool = False
) -> CifarResNet:
    """ResNet with 18 layers and the widths of `resnet18`, 64 to 512, for 32×32 images."""
    require_no_weights("cifar_resnet18", weights)
    return CifarResNet((2, 2, 2, 2), (64, 128, 256, 512), num_classes, True, zero_init_residual)
