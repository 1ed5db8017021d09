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
    left_out: str = ""
    """Why large networks of images are not measured this way; empty if they are."""
    compiles: bool = False
    """Whether the first call compiles, and a cache on disk makes it faster the next time."""

    def excuse(self, workload: Workload) -> str:
        """Why the peer is left out at a workload that it is for; empty if it is not."""
        return self.left_out if workload.large and workload.images else ""

    def builder(self) -> Callable[..., Steps]:
        """The builder, with its framework imported."""
        module = importlib.import_module(f".{self.framework}_steps", __name__)
        return getattr(module, self.build)


_SLOW_IN_LOOPS = (
    "left out: XLA's convolutions inside a loop take more than ten times as long as outside, "
    "lenet shows it"
)


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
        Peer("jax loop", "jax", "loop", loops=True, left_out=_SLOW_IN_LOOPS),
        Peer("numpy", "numpy", "by_hand", lambda workload: workload.name == "two-layer"),
    )
}
