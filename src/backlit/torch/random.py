"""`torch.random`: the seed and the state of a thread's generator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..random import default_generator, manual_seed
from .mirror import mirrored
from .settings import get_rng_state, initial_seed, seed, set_rng_state


@contextlib.contextmanager
def fork_rng(devices: Any = None, enabled: bool = True, **options: Any) -> Iterator[None]:
    """A block after which this thread's generator stands where it stood."""
    state = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)


__getattr__ = mirrored("torch.random")
