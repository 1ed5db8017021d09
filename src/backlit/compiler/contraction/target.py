"""The processor that a kernel is written for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """What the choice of a schedule depends on. Sizes in bytes.

    With `pairs` it adds two products of bfloat16 at a time to a sum in float32.
    """

    vector: int = 64
    registers: int = 32
    l1: int = 48 * 1024
    l2: int = 1024 * 1024
    packed: int = 8 * 1024 * 1024
    pairs: bool = False

    def lanes(self, itemsize: int) -> int:
        """Elements in a vector."""
        return self.vector // itemsize
