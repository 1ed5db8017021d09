"""Series of time: what comes next, from what was before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn
from ..data import Table, TensorDataset
from ..data.tables.columns import Column
from ..errors import ArgumentError, DataError
from ..table import quantity
from . import networks
from .columns import (
    choose_targets,
    dated,
    exceeds_memory,
    indicators,
    is_table,
    open_table,
    options_named,
    read_table,
)
from .form import OF_TABLES, Form, Parts, Source, is_file
from .large import stream_of
from .recipe import (
    Recipe,
    batch_for,
    epochs_for,
    mean_and_deviation,
)
from .split import Split, by_time
from .targets import Numbers

#: Past steps that a forecast sees by itself; rows that a series must have.
_WINDOW, _FEWEST = 24, 60
#: How unequal the steps of time may be, as a share of their median.
_EVEN = 0.01


@dataclass(frozen=True)
class Forecast(Numbers):
    """The next values of a column, of which the error of repeating the last one is known, too."""

    kind = "forecast"

    @classmethod
    def of_column(cls, name: str, values: np.ndarray, horizon: int) -> Forecast:
        """By mean and deviation of the training part's values."""
        one = Numbers.learn([name], values[:, None])
        names = (name,) if horizon == 1 else tuple(f"{name} +{i + 1}" for i in range(horizon))
        return cls(names, one.mean * horizon, one.deviation * horizon)


@dataclass(frozen=True)
class Windows(Form):
    """Rows of numbers that follow each other, each column by the training part's mean."""

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    window: int

    kind = "series"
    wanted = "a table that ends with the rows before what is forecast"

    def networks(self, settings: Mapping[str, Any]) -> dict[str, Callable[[list[int]], nn.Module]]:
        """Perceptrons, convolutions along the time, recurrent layers."""
        columns, outputs = len(self.columns), self.target.width

        def dense(hidden: Sequence[int]) -> nn.Module:
            inputs = columns * self.window
            return nn.Sequential(
                nn.Flatten(), *networks.perceptron(inputs, hidden, outputs, settings)
            )

        def recurrent(layer: Callable[..., nn.Module]) -> Callable[[list[int]], nn.Module]:
            return lambda w: networks.Recurrent(layer, columns, w[0] if w else 64, outputs)

        return {
            "linear": dense,
            "mlp": dense,
            "lstm": recurrent(nn.LSTM),
            "gru": recurrent(nn.GRU),
        }

    def facts(self) -> dict[str, Any]:
        """Also how many columns there are, and how many rows the network sees."""
        return {**super().facts(), "inputs": len(self.columns), "window": self.window}

    def scaled(self, rows: np.ndarray) -> np.ndarray:
        """(T, columns), float32."""
        return ((rows - self.mean) / self.deviation).astype(np.float32)

    def encode(self, examples: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """(N, window, columns), float32, of rows as they are in the table."""
        return (np.stack([self.scaled(np.asarray(rows)) for rows in examples]),)

    def read(self, given: Any) -> list[tuple[str, Any]]:
        """The last rows of a table."""
        name = "the table"
        if isinstance(given, str | Path):
            name = str(given)
            if not is_file(given):
                raise DataError(f"predict: an input must be {self.wanted}, got {name!r:.60}")
        table = given if isinstance(given, Table) else None
        if table is None:
            read = {n: v for n, v in self.dialect.items() if n != "fill"}
            table = read_table(given, **read) if is_file(given) else Table(given)
        lacking = [n for n in self.columns if n not in table.columns]
        if lacking:
            raise DataError(
                f"predict: {name} must have the column {lacking[0]!r}, got "
                f"{', '.join(table.columns)}"
            )
        total, fill = len(table), self.dialect.get("fill")
        if fill is None:  # then gaps that are longer ago do not matter
            table = table.rows(np.arange(max(0, total - self.window), total))
        rows = _numbers(table, self.columns, fill)
        if len(rows) < self.window:
            raise DataError(
                f"predict: {name} must have at least the {self.window} rows before what is "
                f"forecast, got {len(rows)}"
            )
        return [(f"{name}, after row {total}", rows[-self.window :])]

    @property
    def describe(self) -> Callable[..., str]:
        """The target's last values."""
        name = self.target.names[0].partition(" +")[0]  # type: ignore[attr-defined]
        at = self.columns.index(name) if name in self.columns else 0

        def values(x: np.ndarray) -> str:
            last = x[-8:, at] * self.deviation[at] + self.mean[at]
            return f"{self.columns[at]} before: " + ", ".join(f"{v:.4g}" for v in last)

        return values


def _numbers(
    table: Table, columns: Sequence[str], fill: str | None = None, *, fillable: bool = False
) -> np.ndarray:
    """(T, columns) as numbers; a missing or infinite one is filled in, or an error.

    "previous" is the value before; "linear" lies on the line to the next one.
    """
    if fill is not None:
        return np.stack([_filled(table.columns[n], fill) for n in columns], axis=1)
    for name in columns:
        column = table.columns[name]
        if column.kind != "number":
            raise DataError(f"{name} must hold numbers in a series, got {column.kind}")
        bad = np.flatnonzero(~np.isfinite(column.values))
        if len(bad):
            raise DataError(
                f"{table.place(int(bad[0]))}: {name} must have a finite value in every step of a "
                f"series, got {column.value(int(bad[0]))} (so in {len(bad):,} rows); fill it in"
                + (" (--fill previous)" if fillable else "")
                + f", or leave the column out: --drop {name}"
            )
    return np.stack([table.columns[n].values for n in columns], axis=1)


def _filled(column: Column, fill: str) -> np.ndarray:
    there: Any = np.flatnonzero(np.isfinite(column.values)) if column.kind == "number" else []
    if not len(there):
        raise DataError(f"{column.name} must hold numbers in a series, got none")
    steps = np.arange(len(column))
    if fill == "linear":
        return np.interp(steps, there, column.values[there])
    before = np.maximum(np.searchsorted(there, steps, side="right") - 1, 0)
    return column.values[there[before]]


class Series(Recipe):
    """A table with a column of time in even steps, of which a column of numbers is forecast."""

    kind = "series"

    @classmethod
    def recognise(cls, source: Source) -> Series | None:
        """A table whose dates come in even steps, when the target is a number."""
        if not is_table(source.path):
            return None
        table = open_table(source)
        chosen = _chosen(source, table)
        return None if chosen is None else cls._of(source, table, *chosen)

    @classmethod
    def _of(
        cls, source: Source, table: Table, time: str | None, target: str, numbers: list[str]
    ) -> Series:
        source, notes = dated(source, table.columns)
        if time is not None:
            order = np.argsort(table.columns[time].values, kind="stable")
            if (np.diff(order) < 0).any():
                table = table.rows(order)
                notes.append(f"the rows are put in the order of {time}")
            again = np.flatnonzero(np.diff(table.columns[time].values).astype(np.int64) == 0) + 1
            if len(again):
                table = table.rows(np.delete(np.arange(len(table)), again))
                said = f"rows whose {time} was there before are left out"
                notes.append(f"{said}: {len(again):,}")
            steps = _steps(table.columns[time].values)
            wide = int((steps > (1 + _EVEN) * np.median(steps)).sum())
            if wide:
                said = f"steps of {time} are missing in {quantity(wide, 'place')}"
                longest = _lasting(np.diff(table.columns[time].values).max())
                said += f" ({'of' if wide == 1 else 'the longest of'} {longest})"
                notes.append(f"{said}; the rows count as even steps")
        rows = _numbers(table, numbers, source.fill, fillable=True)
        gaps = {n: int((~np.isfinite(table.columns[n].values)).sum()) for n in numbers}
        filled = ", ".join(f"{n} in {count:,}" for n, count in gaps.items() if count)
        if filled:
            notes.append(f"values are missing: {filled} of {len(rows):,} rows; {source.fill} fill")
        if len(rows) < _FEWEST:
            raise DataError(
                f"{source.path}: a series must have at least {_FEWEST} rows, got {len(rows)}"
            )
        constant = [n for n, c in zip(numbers, rows.T, strict=True) if c.min() == c.max()]
        if target in constant:
            raise DataError(f"{source.path}: {target} must change, got {rows[0, 0]:g} everywhere")
        notes += [f"{n} never changes and is left out" for n in constant]
        kept = [i for i, n in enumerate(numbers) if n not in constant]
        columns = tuple(numbers[i] for i in kept)
        others = [n for n in table.columns if n not in (*numbers, time)]
        if others:
            notes.append(f"{', '.join(others)}: left out, because a series holds numbers")
        found = [
            ("series", f"{quantity(len(rows), 'step')} of {', '.join(columns)}"),
            ("forecast", f"{target}, from the steps before; the last steps are the test"),
        ]
        window = min(_WINDOW, len(rows) // 10)
        size = batch_for(len(rows))
        settings = {
            "model": "mlp:64",
            "batch_norm": False,
            "window": window,
            "horizon": 1,
            "label_smoothing": None,
            "balance": None,
            "batch_size": size,
            "epochs": epochs_for(len(rows), size),
        }
        return cls(
            source, source.path.name, found, notes, settings,
            columns=columns, rows=rows[:, kept], target=target,
        )  # fmt: skip

    def __init__(self, *args: Any, columns: tuple[str, ...], rows: np.ndarray, target: str):
        super().__init__(*args)
        self.columns = columns
        self.rows = rows
        self.target = target

    def parts(self, settings: Mapping[str, Any], form: Form | None = None) -> Parts:
        """Windows in the order of time: what is forecast in a part lies in that part."""
        found = by_time(
            self.name, len(self.rows), validation=settings["validation"], test=settings["test"]
        )
        form = form or replace(self._learn(found, settings), dialect=self._dialect)
        assert isinstance(form, Windows)
        rows = form.scaled(self.rows)
        made = [
            self._windows(form, rows, part, settings["horizon"])
            for part in (found.training, found.validation, found.test)
        ]
        return Parts(form, *made)

    @property
    def _dialect(self) -> dict[str, Any]:
        fill = self.source.fill
        return self.source.dialect | ({} if fill is None else {"fill": fill})

    def _learn(self, found: Split, settings: Mapping[str, Any]) -> Windows:
        trained = self.rows[found.training]
        mean, deviation = mean_and_deviation(trained, 0)
        at = self.columns.index(self.target)
        target = Forecast.of_column(self.target, trained[:, at], settings["horizon"])
        return Windows(target, self.columns, mean, deviation, settings["window"])

    def _windows(
        self, form: Windows, rows: np.ndarray, part: np.ndarray, horizon: int
    ) -> TensorDataset:
        starts = np.arange(max(part[0], form.window), part[-1] + 2 - horizon)
        if not len(starts):
            raise DataError(
                f"{self.name}: every part must have more than window={form.window} and "
                f"horizon={horizon} steps, got {len(part)}; take shorter ones"
            )
        at = form.columns.index(self.target)
        seen = rows[starts[0] - form.window : starts[-1]]
        said = rows[starts[0] : starts[-1] + horizon, at]
        # Windows overlap: as views they take no memory beside the rows.
        x = np.lib.stride_tricks.sliding_window_view(seen, form.window, axis=0)
        y = np.lib.stride_tricks.sliding_window_view(said, horizon)
        return TensorDataset(x.transpose(0, 2, 1), y)


class LargeSeries(Series):
    """A series in a table that does not fit into memory as it is: only its numbers are kept."""

    @classmethod
    def recognise(cls, source: Source) -> Series | None:
        """A table that is too large to be read as a whole, whose first rows are a series."""
        if not is_table(source.path) or not exceeds_memory(source.path):
            return None
        with options_named():
            first = next(iter(stream_of(source)))
            chosen = _chosen(source, first)
            if chosen is None:
                return None
            time, target, numbers = chosen
            source, _ = dated(source, first.columns)
            wanted = [*([] if time is None else [time]), *numbers]
            stream = stream_of(source, ignore=[n for n in first.columns if n not in wanted])
            table = Table.joined(stream)
        made = cls._of(source, table, time, target, numbers)
        made.found.insert(0, ("table", "read in pieces: it is larger than memory"))
        return made


def _chosen(source: Source, table: Table) -> tuple[str | None, str, list[str]] | None:
    """The column of time, if there is one, the target, and all numbers; None if it is no series."""
    asked = source.kind == Series.kind or source.time is not None
    time = source.time or _time(table)
    if source.time is not None and source.time not in table.columns:
        raise ArgumentError(
            f"{source.path}: time must be one of {', '.join(table.columns)}, got {time!r}"
        )
    numbers = [n for n, c in table.columns.items() if c.kind == "number" and n != time]
    if not asked and (time is None or not numbers):
        return None
    targets = choose_targets(source, table.select(numbers) if not source.target else table)
    other = next((n for n in targets if table.columns[n].kind != "number"), None)
    if not asked and (other is not None or indicators(table, targets)):
        return None
    if other is not None:
        raise ArgumentError(f"{source.path}: a series forecasts numbers, not {other}")
    if len(targets) > 1:
        raise ArgumentError(
            f"{source.path}: of a series one column is forecast, got {', '.join(targets)}; "
            "leave out all but one, or say --kind table, whose rows are no series"
        )
    source.require_only(Series.kind, "time", "fill", *OF_TABLES)
    return time, targets[0], numbers


def _steps(moments: np.ndarray) -> np.ndarray:
    """How far it is from each to the next: in months, if all are on one day of a month."""
    months = moments.astype("datetime64[M]")
    if len(np.unique(moments - months)) == 1 and len(np.unique(months)) == len(moments):
        moments = months
    return np.diff(moments).astype(np.int64).astype(np.float64)


def _lasting(gap: np.timedelta64) -> str:
    """How long a gap is, in words.

    >>> _lasting(np.timedelta64(50, "h")), _lasting(np.timedelta64(90, "s"))
    ('50 hours', '90 seconds')
    """
    seconds = float(gap / np.timedelta64(1, "s"))
    units = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}
    name, one = next(((n, u) for n, u in units.items() if seconds >= 2 * u), ("seconds", 1))
    if name == "days" and seconds % one and seconds < 7 * one:
        name, one = "hours", 3600
    return f"{seconds / one:.4g} {name}"


def _time(table: Table) -> str | None:
    """The column of dates that come in even steps, if there is one."""
    for name, column in table.columns.items():
        if column.kind != "date" or column.missing.any() or len(column) < _FEWEST:
            continue
        steps = _steps(np.sort(column.values))
        middle = float(np.median(steps))
        if middle > 0 and (np.abs(steps - middle) <= _EVEN * middle).mean() > 0.95:
            return name
    return None
