"""`torch.amp`: blocks that PyTorch computes with fewer bits; here they are computed in float32."""

from __future__ import annotations

import contextlib
from typing import Any

from ..conversion import check_device


class autocast(contextlib.ContextDecorator):  # noqa: N801  (PyTorch's name)
    """A block that PyTorch computes with fewer bits, and Backlit in the dtype of the Tensors."""

    def __init__(
        self,
        device_type: str = "cpu",
        dtype: Any = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ):
        if enabled:
            check_device(device_type)

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def custom_fwd(fwd: Any = None, *, device_type: str = "cpu", cast_inputs: Any = None) -> Any:
    """The `forward` of an autograd.Function itself: no block changes what it computes with."""
    return custom_bwd if fwd is None else fwd


def custom_bwd(bwd: Any = None, *, device_type: str = "cpu") -> Any:
    """The `backward` of an autograd.Function itself."""
    return custom_bwd if bwd is None else bwd


class GradScaler:
    """PyTorch's factor on losses of 16 bits: 1, as nothing is computed with so few."""

    def __init__(self, device: str = "cpu", *args: Any, enabled: bool = True, **options: Any):
        self._enabled = enabled

    def scale(self, outputs: Any) -> Any:
        """The loss itself."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Nothing: gradients are as they are."""

    def step(self, optimizer: Any, *args: Any, **options: Any) -> Any:
        """`optimizer.step()`."""
        return optimizer.step(*args, **options)

    def update(self, new_scale: Any = None) -> None:
        """Nothing: the factor stays 1."""

    def get_scale(self) -> float:
        """1.0."""
        return 1.0

    def is_enabled(self) -> bool:
        """Whether it was asked for."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """{}: there is no state."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing: there is no state."""
