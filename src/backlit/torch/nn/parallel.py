"""`torch.nn.parallel`: a model for several devices, of which there is one."""

from __future__ import annotations

from typing import Any

from ... import nn as _ours
from ...nn.parallel import DataParallel
from ..mirror import mirrored as _mirrored


def data_parallel(
    module: Any,
    inputs: Any,
    device_ids: Any = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """What the module makes of the inputs, which stay together on the one device."""
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    return module(*given, **(module_kwargs or {}))


__getattr__ = _mirrored("torch.nn.parallel", _ours)
