"""Where weights start, where families of networks agree on it."""

from __future__ import annotations

from ... import nn
from ...nn.module import Module


def by_fan_out(network: Module, linear: float | None = None) -> None:
    """Convolutions normal with deviation √(2/fan out), linear layers with `linear`; biases 0.

    Linear layers stay as they are without it. Source: He, Zhang, Ren & Sun, ICCV 2015, eq. 14.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.Linear) and linear is not None:
            nn.init.normal_(layer.weight, std=linear)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
