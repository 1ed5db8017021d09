"""Layers joined with the batch normalisation behind them, for evaluation."""

from __future__ import annotations

import copy
from typing import Any

from ...array_api import reshape, zeros_like
from ...autograd import no_grad
from ...errors import ArgumentError
from ..module import Module
from ..parameter import Parameter


def _scales(what: str, layer: Module, norm: Any) -> tuple[Any, Any]:
    """What a normalisation in evaluation multiplies by, and adds."""
    if layer.training or norm.training:
        raise ArgumentError(f"{what}: both layers must be in evaluation mode; call eval() first")
    if norm.running_mean is None or norm.running_var is None:
        raise ArgumentError(
            f"{what}: the normalisation must keep running statistics, got track_running_stats=False"
        )
    scale = (norm.running_var + norm.eps) ** -0.5
    scale = scale if norm.weight is None else scale * norm.weight
    shift = -norm.running_mean * scale
    return scale, shift if norm.bias is None else shift + norm.bias


@no_grad()
def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """A convolution that does what it and the batch normalisation behind it do in evaluation.

    Channels of outputs are the first axis of the weight, with `transpose` the second.

    >>> from backlit import nn, zeros
    >>> fused = fuse_conv_bn_eval(nn.Conv2d(3, 4, 3).eval(), nn.BatchNorm2d(4).eval())
    >>> fused(zeros((1, 3, 5, 5))).shape
    (1, 4, 3, 3)
    """
    scale, shift = _scales("fuse_conv_bn_eval", conv, bn)
    fused = copy.deepcopy(conv)
    shape = [1] * conv.weight.ndim
    shape[1 if transpose else 0] = -1
    fused.weight = Parameter(conv.weight * reshape(scale, shape))
    bias = zeros_like(shift) if conv.bias is None else conv.bias
    fused.bias = Parameter(bias * scale + shift)
    return fused


@no_grad()
def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """A linear layer that does what it and the batch normalisation behind it do in evaluation."""
    scale, shift = _scales("fuse_linear_bn_eval", linear, bn)
    fused = copy.deepcopy(linear)
    fused.weight = Parameter(linear.weight * reshape(scale, (-1, 1)))
    bias = zeros_like(shift) if linear.bias is None else linear.bias
    fused.bias = Parameter(bias * scale + shift)
    return fused


def skip_init(module_cls: Any, *args: Any, **kwargs: Any) -> Module:
    """A module as `module_cls(*args, **kwargs)` makes it; its values are to be set afterwards.

    PyTorch leaves out the starting values to save time; here they are drawn all the same.
    """
    if not isinstance(module_cls, type) or not issubclass(module_cls, Module):
        raise ArgumentError(f"skip_init: a class of modules is required, got {module_cls!r:.60}")
    return module_cls(*args, **kwargs)


__all__ = ["fuse_conv_bn_eval", "fuse_linear_bn_eval", "skip_init"]
