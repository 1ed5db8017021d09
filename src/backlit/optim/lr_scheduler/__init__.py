"""Learning-rate schedules: how the rate of each group follows the number of steps taken.

    optimizer = SGD(model.parameters(), lr=0.1)
    schedule = CosineAnnealingLR(optimizer, T_max=100)
    for epoch in range(100):
        ...                      # optimizer.step() for every batch
        schedule.step()

A schedule reads and writes `group["lr"]`, and a compiled step follows it. Most say the next rate
from the last one, as PyTorch's do: two schedules on one optimizer multiply, what
`ReduceLROnPlateau` has taken off stays off, and a schedule goes on from a rate set by hand.
`LambdaLR`, `OneCycleLR`, `CyclicLR` and `CosineAnnealingWarmRestarts` say the rate from the number
of steps alone. A call of `step` stands outside the compiled function: it computes with Python
numbers.
"""

from ...calls import explain as _explain
from .base import LRScheduler
from .combined import ChainedScheduler, SequentialLR
from .cycles import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from .formulas import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from .plateau import ReduceLROnPlateau

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]

_explain(__name__, __all__)
