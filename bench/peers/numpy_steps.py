"""The two-layer network as courses write it, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..workloads import Arrays, Workload
from . import Steps


def by_hand(workload: Workload, weights: Arrays, data: Any, dropout: float) -> Steps:
    """Forward, backward and update, each gradient worked out by hand."""
    x, y = data
    w1, w2 = (np.ascontiguousarray(w.T) for w in weights.values())
    lr = workload.settings["lr"]

    def steps(n: int) -> Any:
        nonlocal w1, w2
        for _ in range(n):
            h = 1 / (1 + np.exp(-(x @ w1)))
            error = h @ w2 - y
            loss = np.square(error).sum()
            grad = 2 * error
            grad_w2 = h.T @ grad
            grad_w1 = x.T @ (grad @ w2.T * h * (1 - h))
            w1 -= lr * grad_w1
            w2 -= lr * grad_w2
        return loss

    return steps
