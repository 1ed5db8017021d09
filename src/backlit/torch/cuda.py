"""`torch.cuda`: there is none, and what a script may ask all the same says so or does nothing."""

from __future__ import annotations

import sys
from typing import Any

from ..conversion import check_device
from . import amp
from .mirror import mirrored, names
from .settings import no_effect


def is_available() -> bool:
    """False: Backlit computes on the CPU."""
    return False


def device_count() -> int:
    """0."""
    return 0


def _nothing(*args: Any, **options: Any) -> int:
    """0: nothing is there."""
    return 0


def _false(*args: Any, **options: Any) -> bool:
    """False: nothing is there."""
    return False


def _none_there(*args: Any, **options: Any) -> Any:
    """An error: there is none."""
    check_device("cuda")


is_initialized = is_bf16_supported = is_current_stream_capturing = _false
manual_seed = manual_seed_all = seed = seed_all = no_effect
empty_cache = synchronize = ipc_collect = init = no_effect
reset_peak_memory_stats = reset_max_memory_allocated = reset_accumulated_memory_stats = no_effect
memory_allocated = max_memory_allocated = memory_reserved = max_memory_reserved = _nothing
memory_cached = max_memory_cached = _nothing
current_device = get_device_name = get_device_properties = get_device_capability = _none_there
set_device = current_stream = default_stream = Stream = Event = mem_get_info = _none_there


class FloatTensor:
    """A Tensor on a GPU, of which there is none: no Tensor is one, and none can be made."""

    def __new__(cls, *args: Any, **options: Any) -> Any:
        """Raise: there is no GPU."""
        return _none_there(*args, **options)


DoubleTensor = HalfTensor = LongTensor = IntTensor = ByteTensor = FloatTensor
BoolTensor = ShortTensor = CharTensor = BFloat16Tensor = FloatTensor


def get_rng_state_all() -> list[Any]:
    """[]: nothing is there."""
    return []


set_rng_state_all = no_effect
sys.modules[f"{__name__}.amp"] = amp  # where its old name is imported

__getattr__ = mirrored("torch.cuda")


def __dir__() -> list[str]:
    return names(__name__)
