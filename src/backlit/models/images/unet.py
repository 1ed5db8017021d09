"""U-Net: down to few places and up again, with what was seen on the way down beside it."""

from __future__ import annotations

from ... import nn
from ...array_api import concat
from ...errors import ShapeError
from ...nn.functional import pad
from ...op import describe
from ...state import where_called
from ...tensor import Tensor
from ..catalogue import network


class DoubleConv(nn.Module):
    """Two 3×3 convolutions with batch-norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, inner: int | None = None):
        super().__init__()
        inner = outputs if inner is None else inner
        self.double_conv = nn.Sequential(
            nn.Conv2d(inputs, inner, 3, padding=1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        return self.double_conv(x)


class Down(nn.Module):
    """Pooling to half the places, then two convolutions."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H/2, W/2)."""
        return self.maxpool_conv(x)


class Up(nn.Module):
    """Twice the places, beside what was seen there on the way down, then two convolutions."""

    def __init__(self, inputs: int, outputs: int, bilinear: bool):
        super().__init__()
        self.up: nn.Module
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = DoubleConv(inputs, outputs, inputs // 2)
        else:
            self.up = nn.ConvTranspose2d(inputs, inputs // 2, 2, 2)
            self.conv = DoubleConv(inputs, outputs)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """(N, ·, H/2, W/2) and what was seen (N, ·, H, W) -> (N, outputs, H, W)."""
        x = self.up(x)
        high, wide = (a - b for a, b in zip(seen.shape[2:], x.shape[2:], strict=True))
        if high or wide:  # an odd number of places was halved
            x = pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        return self.conv(concat((seen, x), axis=1))


@network(input=(1, 256, 256), parameters=31_036_546, multiply_adds=48_096_083_968)
class UNet(nn.Module):
    """A class for each place of an image: four stages down, four up.

    `base` is the width at the top (64 in the paper), doubled at each stage. Differs from the paper:
    borders are padded, so that the result is as large as the image, and there is batch-norm; names
    of parameters are those of the Pytorch-UNet repository. With `bilinear` places are interpolated
    instead of learned. Source: Ronneberger, Fischer & Brox, MICCAI 2015, fig. 1.

    >>> from backlit import zeros
    >>> UNet(base=4)(zeros((1, 1, 32, 40))).shape
    (1, 2, 32, 40)
    """

    last_layers = ("outc.conv",)

    def __init__(
        self, n_channels: int = 1, n_classes: int = 2, bilinear: bool = False, base: int = 64
    ):
        super().__init__()
        self.inc = DoubleConv(n_channels, base)
        deepest = 8 * base if bilinear else 16 * base
        widths = (base, 2 * base, 4 * base, 8 * base, deepest)
        self.down1, self.down2, self.down3, self.down4 = (
            Down(widths[i], widths[i + 1]) for i in range(4)
        )
        less = 2 if bilinear else 1
        self.up1 = Up(16 * base, 8 * base // less, bilinear)
        self.up2 = Up(8 * base, 4 * base // less, bilinear)
        self.up3 = Up(4 * base, 2 * base // less, bilinear)
        self.up4 = Up(2 * base, base, bilinear)
        self.outc = OutConv(base, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> logits (N, classes, H, W)."""
        if x.ndim != 4 or min(x.shape[2:]) < 16:
            raise ShapeError(
                f"UNet: x must be (N, C, H, W) with at least 16×16 places, which are halved four "
                f"times, got {describe(x)}{where_called()}"
            )
        seen = [self.inc(x)]
        for down in (self.down1, self.down2, self.down3):
            seen.append(down(seen[-1]))
        y = self.down4(seen[-1])
        for up in (self.up1, self.up2, self.up3, self.up4):
            y = up(y, seen.pop())
        return self.outc(y)


class OutConv(nn.Module):
    """A 1×1 convolution to the classes."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        return self.conv(x)
