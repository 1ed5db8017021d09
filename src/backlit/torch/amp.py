"""`torch.amp`: blocks that compute products in 16 bits, and losses scaled for such gradients."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Iterable
from typing import Any

from ..array_api import all as all_of
from ..array_api import isfinite
from ..autograd import no_grad
from ..conversion import check_device, is_device
from ..dtypes import LOW_PRECISION, as_dtype, bfloat16, float16
from ..errors import ArgumentError, DTypeError
from ..precision import converted
from ..state import STATE, Setting
from ..tensor import Tensor
from .mirror import mirrored as _mirrored


class autocast(Setting):  # noqa: N801  (PyTorch's name)
    """A block in which products are computed in 16 bits, and the losses of them in float32.

    `dtype` is bfloat16 (the default) or float16. Products (`linear`, convolutions, `matmul`,
    attention) take their floats in it, add up in float32 and round once. Losses, `prod`, `cdist`,
    quantiles, decompositions and what else PyTorch's list for the CPU has take 16-bit floats as
    float32. Everything else computes in the dtype of its operands. Gradients of parameters have the
    parameters' dtype. Recurrent layers and `pinv` compute in float32 throughout.

    Without `device_type`, as `torch.cuda.amp.autocast` is called, nothing changes.

    >>> from backlit import ones
    >>> with autocast("cpu"):
    ...     (ones((1, 2)) @ ones((2, 1))).dtype
    dtype(bfloat16)
    """

    def __init__(
        self,
        device_type: Any = None,
        dtype: Any = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ):
        on = enabled and isinstance(device_type, str)
        kind = bfloat16 if dtype is None else as_dtype(dtype)
        if on:
            check_device(device_type)
            if kind not in LOW_PRECISION:
                warnings.warn(
                    f"autocast: dtype must be bfloat16 or float16, got {kind}; the block is "
                    "computed as if it were not there, as in PyTorch",
                    stacklevel=2,
                )
                on = False
        super().__init__(autocast=kind if on else None)

    def __enter__(self) -> autocast:
        super().__enter__()
        return self


def is_autocast_enabled(device_type: Any = None) -> bool:
    """Whether this is inside an `autocast` of the CPU."""
    return STATE.autocast is not None


def get_autocast_dtype(device_type: Any = None) -> Any:
    """The dtype in which an `autocast` computes products: that of the block, else bfloat16."""
    return STATE.autocast or bfloat16


def custom_fwd(fwd: Any = None, *, device_type: str = "cpu", cast_inputs: Any = None) -> Any:
    """The `forward` of an autograd.Function, which notes the block that it is called in.

    With `cast_inputs` its floats are converted to that dtype in a block, and the block ends there.
    """
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(ctx: Any, *args: Any, **options: Any) -> Any:
        ctx.autocast = kind = STATE.autocast
        if kind is None or cast_inputs is None:
            return fwd(ctx, *args, **options)
        ctx.autocast = None
        with Setting(autocast=None):
            dtype = as_dtype(cast_inputs)
            options = {name: converted(x, dtype) for name, x in options.items()}
            return fwd(ctx, *converted(args, dtype), **options)

    return forward


def custom_bwd(bwd: Any = None, *, device_type: str = "cpu") -> Any:
    """The `backward` of an autograd.Function, in the block that its `forward` was called in."""
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def backward(ctx: Any, *grads: Any) -> Any:
        with Setting(autocast=ctx.autocast):
            return bwd(ctx, *grads)

    return backward


class GradScaler:
    """A factor on losses that keeps gradients of 16 bits away from 0; it falls where they overflow.

    A step with a gradient that is inf or NaN is left out and multiplies the factor by
    `backoff_factor`; `growth_interval` steps without one multiply it by `growth_factor`. It is on
    for `GradScaler("cpu")`; for CUDA, PyTorch's default, it does nothing, as there without CUDA.
    Whether a step is left out is decided in Python, so a compiled function cannot hold it.
    Source: Micikevicius et al., ICLR 2018, sec. 3.2.
    """

    def __init__(
        self,
        device: Any = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        for what, value, holds in (
            ("growth_factor must be above 1", growth_factor, growth_factor > 1),
            ("backoff_factor must lie in (0, 1)", backoff_factor, 0 < backoff_factor < 1),
        ):
            if not holds:
                raise ArgumentError(f"GradScaler: {what}, got {value}")
        self._enabled = enabled and isinstance(device, str) and is_device(device)
        self._enabled = self._enabled and device.partition(":")[0] == "cpu"
        self._scale = float(init_scale)
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval, self._growth_tracker = growth_interval, 0
        #: Of each optimizer since the last update: whether a gradient was inf or NaN, and whether
        #: it has stepped.
        self._found: dict[int, tuple[bool, bool]] = {}

    def scale(self, outputs: Any) -> Any:
        """A loss, or each of several, times the factor."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        if isinstance(outputs, Iterable):
            return type(outputs)(map(self.scale, outputs))  # type: ignore[call-arg]
        raise DTypeError(
            f"GradScaler.scale: a loss must be a Tensor, got {type(outputs).__name__}; scale what "
            "backward() is called on"
        )

    def unscale_(self, optimizer: Any) -> None:
        """Divide an optimizer's gradients by the factor, once between two updates."""
        if not self._enabled:
            return
        if id(optimizer) in self._found:
            raise ArgumentError(
                "GradScaler.unscale_: it must be called once, before step(), after each update(), "
                "got a second call for this optimizer; call update() at the end of each step"
            )
        overflow = False
        with no_grad():
            for p in (p for group in optimizer.param_groups for p in group["params"]):
                if p.grad is None:
                    continue
                if p.grad.dtype == float16:
                    raise DTypeError(
                        "GradScaler.unscale_: gradients must have more than 16 bits, got float16; "
                        "keep the parameters in float32 and compute in a block of autocast"
                    )
                p.grad = p.grad * (1 / self._scale)
                overflow = overflow or not bool(all_of(isfinite(p.grad)))
        self._found[id(optimizer)] = overflow, False

    def step(self, optimizer: Any, *args: Any, **options: Any) -> Any:
        """`optimizer.step()`, unless a gradient is inf or NaN."""
        if not self._enabled:
            return optimizer.step(*args, **options)
        if args or options.get("closure") is not None:
            raise ArgumentError(
                "GradScaler.step: a closure must not be given, because it would compute gradients "
                "anew that are not unscaled; leave it out"
            )
        if id(optimizer) not in self._found:
            self.unscale_(optimizer)
        overflow, stepped = self._found[id(optimizer)]
        if stepped:
            raise ArgumentError(
                "GradScaler.step: update() must come between two steps, got a second step of this "
                "optimizer; call update() at the end of each step"
            )
        self._found[id(optimizer)] = overflow, True
        return None if overflow else optimizer.step(**options)

    def update(self, new_scale: Any = None) -> None:
        """Change the factor by what was found in the gradients since the last time."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not self._found:
            raise ArgumentError(
                "GradScaler.update: step() or unscale_() must come before, but neither was called "
                "since the last update"
            )
        elif any(overflow for overflow, _ in self._found.values()):
            self._scale *= self._backoff_factor
            self._growth_tracker = 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                grown = self._scale * self._growth_factor
                self._scale = grown if math.isfinite(grown) else self._scale
                self._growth_tracker = 0
        self._found.clear()

    def get_scale(self) -> float:
        """The factor; 1.0 if it is off."""
        return self._scale if self._enabled else 1.0

    def is_enabled(self) -> bool:
        """Whether it scales."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """The factor, how it changes, and the steps since it last did; {} if it is off."""
        names = "scale growth_factor backoff_factor growth_interval _growth_tracker"
        if not self._enabled:
            return {}
        return {name: getattr(self, f"_{name.lstrip('_')}") for name in names.split()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a saved state."""
        if not self._enabled:
            return
        missing = set(self.state_dict()) - set(state_dict)
        if missing:
            raise ArgumentError(
                f"GradScaler.load_state_dict: the state must have {', '.join(self.state_dict())}, "
                f"but has no {', '.join(sorted(missing))}; it may be of one that was off"
            )
        for name in self.state_dict():
            setattr(self, f"_{name.lstrip('_')}", state_dict[name])


__getattr__ = _mirrored("torch.amp")
