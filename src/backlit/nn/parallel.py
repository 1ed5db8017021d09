"""Wrappers that PyTorch has for several devices; here there is one, the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .module import Module


class DataParallel(Module):
    """The module itself, on the one device that there is: nothing is split or copied.

    It is there for scripts, and for files whose names begin with `module.`; devices that are named
    are passed over, as by PyTorch on a machine without GPUs. The cores share the work of each op.

    >>> from backlit import nn
    >>> nn.DataParallel(nn.Tanh())
    DataParallel(on the CPU
      (module): Tanh()
    )
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
    ):
        super().__init__()
        self.module = module
        self.dim = dim

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """The result of the module."""
        return self.module(*inputs, **options)

    def extra_repr(self) -> str:
        """Where it runs."""
        return "on the CPU"


__all__ = ["DataParallel"]
