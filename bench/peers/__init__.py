"""Who is measured: each framework in each way that its users have to make steps.

A peer's builder takes the workload, the starting weights, the batch and the probability of dropout.
It returns a function that makes n steps and returns the last loss, in the framework's own form,
without waiting for anything that a user would not wait for; `float` of that loss waits.

This module imports no framework: each is imported in the process of its peer only.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..workloads import Workload

Steps = Callable[[int], Any]


@dataclass(frozen=True)
class Peer:
    """A way to make steps: the function `build` of a module here, for the workloads it is for."""

    name: str
    framework: str
    build: str
    workloads: Callable[[Workload], bool] = lambda workload: True
    loops: bool = False
    """Whether n steps are made by native code, without Python in between."""
    compiles: bool = False
    """Whether the first call compiles, and a cache on disk makes it faster the next time."""

    def builder(self) -> Callable[..., Steps]:
        """The builder, with its framework imported."""
        module = importlib.import_module(f".{self.framework}_steps", __name__)
        return getattr(module, self.build)


def _images(workload: Workload) -> bool:
    return workload.images


PEERS = {
    p.name: p
    for p in (
        Peer("backlit", "backlit", "compiled", compiles=True),
        Peer("backlit loop", "backlit", "loop", loops=True),
        Peer("backlit eager", "backlit", "eager"),
        Peer("pytorch", "pytorch", "eager"),
        Peer("pytorch fused", "pytorch", "fused"),
        Peer("pytorch channels last", "pytorch", "channels_last", _images),
        Peer("pytorch compile", "pytorch", "compiled", compiles=True),
        Peer("jax", "jax", "step", compiles=True),
        Peer("jax loop", "jax", "loop", loops=True),
        Peer("numpy", "numpy", "by_hand", lambda workload: workload.name == "two-layer"),
    )
}
