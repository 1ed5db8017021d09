"""What becomes of many losses: each one, their sum or their mean; also in PyTorch's older words."""

from __future__ import annotations

import warnings
from typing import Any

from ...array_api import mean, sum
from ...errors import ArgumentError, ShapeError
from ...op import describe
from ...state import where_called
from ...tensor import Tensor

REDUCTIONS = ("none", "mean", "sum")


def known(name: str, reduction: str) -> str:
    """The reduction, or an error if there is none of that name."""
    if reduction not in REDUCTIONS:
        raise ArgumentError(f"{name}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    return reduction


def chosen(name: str, size_average: Any, reduce: Any, reduction: str) -> str:
    """The reduction, which `size_average` and `reduce` decide if one of them is given."""
    if size_average is None and reduce is None:
        return reduction
    for what, value in (("size_average", size_average), ("reduce", reduce)):
        if value not in (None, True, False):
            raise ArgumentError(
                f"{name}: {what} must be True, False or None, got {value!r:.60}; the reduction is "
                f"given by its name, as reduction='sum'{where_called()}"
            )
    new = "none" if reduce is False else "sum" if size_average is False else "mean"
    warnings.warn(
        f"{name}: size_average and reduce are PyTorch's old words, write reduction={new!r}"
        f"{where_called()}",
        stacklevel=3,
    )
    return new


def reduced(name: str, losses: Tensor, reduction: str) -> Tensor:
    """The losses as they are, their sum or their mean."""
    if known(name, reduction) == "none":
        return losses
    if reduction == "sum":
        return sum(losses)
    if losses.size == 0:
        raise ShapeError(
            f"{name}: the mean of an empty batch has no value, got losses of {describe(losses)}; "
            "leave empty batches out, or use reduction='sum'"
        )
    return mean(losses)
