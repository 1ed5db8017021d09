"""Exponentially weighted averages of a series, with and without bias correction."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import ArgumentError
from ...files import write_whole
from ...table import Table
from ...tensor import Tensor
from ..records.value import number
from ..show.charts import Chart

#: Rows of a table: the first and the last of more.
ROWS = 12


@dataclass(repr=False)
class Averages:
    """Running averages of a series: `plain[beta]` and `corrected[beta]`, one number for each of it.

    Prints as a table, shows itself as a picture, and `save` writes that picture as an SVG file.
    """

    series: np.ndarray
    plain: dict[float, np.ndarray]
    corrected: dict[float, np.ndarray]

    def svg(self) -> str:
        """The picture: the series in dots, a line for each average."""
        everything = np.concatenate([self.series, *self.plain.values(), *self.corrected.values()])
        finite = everything[np.isfinite(everything)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        t = np.arange(1, len(self.series) + 1)
        chart = Chart((1, len(t)), (low, high), "Weighted averages", "t", whole=True)
        chart.points(t, self.series, 5)
        for i, beta in enumerate(self.plain):
            said = f"β {number(beta)}"
            chart.line(t, self.plain[beta], f"{said}, plain", style=i, dash=2)
            chart.line(t, self.corrected[beta], f"{said}, corrected", style=i, dash=0)
        return chart.svg()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture as an SVG file."""
        write_whole(path, self.svg().encode())

    def __repr__(self) -> str:
        count = len(self.series)
        rows = list(range(count))
        if count > ROWS:
            rows = [*rows[: ROWS // 2], *rows[-ROWS // 2 :]]
        names = [f"{what} {number(b)}" for b in self.plain for what in ("plain", "corrected")]
        columns = [a[b] for b in self.plain for a in (self.plain, self.corrected)]
        table = [[t + 1, number(self.series[t]), *(number(c[t]) for c in columns)] for t in rows]
        return str(Table(["t", "x", *names], table))

    def _repr_html_(self) -> str:
        return self.svg()


def averages(series: Iterable[float] | Tensor, beta: float | Iterable[float] = 0.9) -> Averages:
    """Exponentially weighted averages of a series, for one β or several.

        plain      v ← β v + (1 - β) x,   from v = 0
        corrected  v̂ = v / (1 - βᵗ)       t counts from 1

    The plain average begins too small, because it begins at 0: its weights add up to 1 - βᵗ, by
    which the corrected one divides. It looks back over about 1 / (1 - β) numbers. This is what m
    and v are in Adam: Kingma & Ba, ICLR 2015, sec. 3.

    >>> found = averages([10.0, 10.0, 13.0], beta=0.9)
    >>> found
    t  x   plain 0.9  corrected 0.9
    -  --  ---------  -------------
    1  10  1          10
    2  10  1.9        10
    3  13  3.01       11.11
    """
    given = series.detach().numpy() if isinstance(series, Tensor) else list(series)
    try:
        x = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"averages: the series must be numbers, got {series!r:.40}") from None
    if x.ndim != 1 or not x.size:
        raise ArgumentError(
            f"averages: the series must be numbers in a row, at least one, got shape {x.shape}"
        )
    betas: list[Any] = [beta] if isinstance(beta, int | float) else list(beta)
    wrong = [b for b in betas if not 0 <= b < 1]
    if wrong or not betas:
        raise ArgumentError(
            f"averages: beta must lie in [0, 1), got {wrong[0] if wrong else betas}"
        )
    plain, corrected = {}, {}
    for b in betas:
        v, found = 0.0, np.empty_like(x)
        for t, value in enumerate(x):
            v = b * v + (1 - b) * value
            found[t] = v
        plain[b] = found
        corrected[b] = found / (1 - b ** np.arange(1, len(x) + 1))
    return Averages(x, plain, corrected)
