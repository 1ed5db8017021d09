"""Padding layers for signals (N, C, L), images (N, C, H, W) and volumes (N, C, D, H, W)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..array_api.arguments import integers
from ..errors import ArgumentError
from ..tensor import Tensor
from . import functional
from .module import Module

Widths = int | Sequence[int]


class _Padding(Module):
    """Base of all: one width for all sides, or two for each axis, from the last one on."""

    axes: ClassVar[int] = 1
    mode: ClassVar[str] = "constant"

    def __init__(self, padding: Widths):
        super().__init__()
        name = type(self).__name__
        widths = integers(f"{name}: padding", padding)
        if not isinstance(padding, list | tuple):
            widths = widths * (2 * self.axes)
        if len(widths) != 2 * self.axes:
            raise ArgumentError(
                f"{name}: padding must be an integer or {2 * self.axes} of them, from the last "
                f"axis on, got {padding!r:.60}"
            )
        self.padding = widths

    def forward(self, x: Tensor) -> Tensor:
        """x with elements around."""
        return functional.pad(x, self.padding, self.mode)

    def extra_repr(self) -> str:
        """The widths."""
        return str(self.padding)


class ConstantPad1d(_Padding):
    """A signal with a constant before and behind: see `functional.pad`.

        x: (..., L) -> (..., left + L + right) for padding (left, right)

    >>> from backlit import ones
    >>> ConstantPad1d((1, 2), 5.0)(ones((1, 1))).tolist()
    [[5.0, 1.0, 5.0, 5.0]]
    """

    def __init__(self, padding: Widths, value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        """x with the value around."""
        return functional.pad(x, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        """The widths and the value."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad2d(ConstantPad1d):
    """An image with a constant around, padding (left, right, top, bottom)."""

    axes = 2


class ConstantPad3d(ConstantPad1d):
    """A volume with a constant around, padding (left, right, top, bottom, front, back)."""

    axes = 3


class ZeroPad1d(_Padding):
    """A signal with zeros before and behind, padding (left, right)."""


class ZeroPad2d(_Padding):
    """An image with zeros around, padding (left, right, top, bottom).

    >>> from backlit import ones
    >>> ZeroPad2d((1, 0, 0, 1))(ones((1, 1, 1))).tolist()
    [[[0.0, 1.0], [0.0, 0.0]]]
    """

    axes = 2


class ZeroPad3d(_Padding):
    """A volume with zeros around, padding (left, right, top, bottom, front, back)."""

    axes = 3


class ReflectionPad1d(_Padding):
    """A signal continued by its mirror image, without the edge, padding (left, right)."""

    mode = "reflect"


class ReflectionPad2d(ReflectionPad1d):
    """An image continued by its mirror image, padding (left, right, top, bottom).

    >>> from backlit import tensor
    >>> ReflectionPad2d((2, 0, 0, 0))(tensor([[[1.0, 2.0, 3.0]]])).tolist()
    [[[3.0, 2.0, 1.0, 2.0, 3.0]]]
    """

    axes = 2


class ReflectionPad3d(ReflectionPad1d):
    """A volume continued by its mirror image, padding (left, right, …, front, back)."""

    axes = 3


class ReplicationPad1d(_Padding):
    """A signal continued by its edges, padding (left, right)."""

    mode = "replicate"


class ReplicationPad2d(ReplicationPad1d):
    """An image continued by its edges, padding (left, right, top, bottom)."""

    axes = 2


class ReplicationPad3d(ReplicationPad1d):
    """A volume continued by its edges, padding (left, right, …, front, back)."""

    axes = 3


class CircularPad1d(_Padding):
    """A signal continued by its other end, padding (left, right)."""

    mode = "circular"


class CircularPad2d(CircularPad1d):
    """An image continued by its other end, padding (left, right, top, bottom)."""

    axes = 2


class CircularPad3d(CircularPad1d):
    """A volume continued by its other end, padding (left, right, …, front, back)."""

    axes = 3
