"""The numbers that rows of a table become, by what is known of the training rows alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import ArgumentError, DataError
from ...tensor import as_tensor
from ..dataset import IterableDataset, TensorDataset
from .columns import Column, in_order
from .table import Table, TableStream

_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Scale:
    """What is known of a column of numbers: (x - mean) / deviation; whether some were missing."""

    mean: float
    deviation: float
    missing: bool


class _Learned:
    """What the training rows say of one column, gathered piece by piece.

    Means and squares of parts are joined as in Chan, Golub & LeVeque, "Updating formulae and a
    pairwise algorithm for computing sample variances", 1979, eq. 2.1.
    """

    def __init__(self, kind: str):
        self.kind = kind
        self.count, self.mean, self.squares = 0, 0.0, 0.0
        self.missing = False
        self.categories: set[str] = set()

    def add(self, column: Column, place: Any) -> None:
        missing = column.missing
        self.missing |= bool(missing.any())
        if self.kind == "category":
            codes = np.unique(column.values[~missing])
            self.categories.update(column.categories[code] for code in codes)
            return
        known = _numbers(column, place)[~missing]
        if not len(known):
            return
        mean, total = float(known.mean()), self.count + len(known)
        gap = mean - self.mean
        self.squares += float(((known - mean) ** 2).sum())
        self.squares += gap * gap * self.count * len(known) / total
        self.mean += gap * len(known) / total
        self.count = total

    def result(self) -> Scale | tuple[str, ...]:
        if self.kind == "category":
            return in_order(self.categories)
        deviation = math.sqrt(self.squares / self.count) if self.count else 0.0
        return Scale(self.mean, deviation or 1.0, self.missing)


def _numbers(column: Column, place: Any) -> np.ndarray:
    """The values as numbers, NaN where they are missing; dates in days since 1970."""
    if column.kind == "date":
        days = (column.values - np.datetime64(0, "us")) / _DAY
        return np.where(column.missing, np.nan, days)
    infinite = np.flatnonzero(np.isinf(column.values))
    if len(infinite):
        row = int(infinite[0])
        raise DataError(
            f"TableEncoding: {place(row)}: column {column.name!r} must be finite, got "
            f"{column.values[row]}; correct it, or take it for missing"
        )
    return column.values


class TableEncoding:
    """Rows as numbers for a network: what is needed for that is learned of the training rows.

        number    (x - mean) / deviation, 0 if it is missing; if some were missing in training,
                  beside it 1 where it is missing and else 0
        date      as a number, in days
        category  one-hot: 1 at its place and else 0; all 0 if it was not there in training

    mean and deviation (of the population) are those of the training rows, and so are the
    categories. So nothing of the rows that judge the network goes into it.

    >>> flats = {"area": [1.0, 3.0, 9.0], "town": ["a", "b", "c"], "rent": [10.0, 20.0, 60.0]}
    >>> table = Table(flats, target="rent")
    >>> encoding = TableEncoding(table.rows([0, 1]))
    >>> encoding.names
    ('area', 'town=a', 'town=b')
    >>> x, y = encoding(table).tensors
    >>> x.tolist(), y.tolist()
    ([[-1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [7.0, 0.0, 0.0]], [[10.0], [20.0], [60.0]])

    - `rows` is a Table, a Subset of one, or a TableStream.
    - With `codes` the categories are no columns of x but a Tensor of their own, int64
      (N, columns of categories), for an `Embedding`: 0 is for what was not there in training or is
      missing, the others count from 1. `sizes` says how many codes each has.
    - `scale_target` makes mean 0 and deviation 1 of a target of numbers, too; `decode` undoes it.

    x: float32 (N, len(names));  y: float32 (N, targets), or int64 (N,) of one target of categories

    A column of texts has no numbers; a missing target, and a class that is new, are no examples:
    these raise, with the row's place.
    """

    def __init__(self, rows: Any, *, codes: bool = False, scale_target: bool = False):
        stream = rows if isinstance(rows, TableStream) else (Table.of(rows),)
        learned: dict[str, _Learned] = {}
        targets: tuple[str, ...] = ()
        for table in stream:
            targets = table.targets
            for column in table.columns.values():
                kept = learned.setdefault(column.name, _Learned(column.kind))
                _require_usable(column, targets)
                kept.add(column, table.place)
        self.targets = targets
        self.codes = codes
        self.scale_target = scale_target
        self.columns = {name: kept.result() for name, kept in learned.items()}
        self._require_targets()

    def _require_targets(self) -> None:
        of_classes = [name for name in self.targets if isinstance(self.columns[name], tuple)]
        if of_classes and len(self.targets) > 1:
            raise ArgumentError(
                "TableEncoding: several targets must be numbers, got categories in "
                f"{of_classes[0]!r}; name one target, or say kinds={{{of_classes[0]!r}: 'number'}}"
            )

    # -- what there is ------------------------------------------------------------------------

    @property
    def _features(self) -> dict[str, Scale | tuple[str, ...]]:
        return {name: kept for name, kept in self.columns.items() if name not in self.targets}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns of x."""
        names: list[str] = []
        for name, kept in self._features.items():
            if isinstance(kept, Scale):
                names += [name, f"{name} is missing"] if kept.missing else [name]
            elif not self.codes:
                names += [f"{name}={category}" for category in kept]
        return tuple(names)

    @property
    def sizes(self) -> dict[str, int]:
        """With `codes`, how many codes each column of categories has, as `Embedding` asks."""
        return {n: len(kept) + 1 for n, kept in self._features.items() if isinstance(kept, tuple)}

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the target; none if it is a number."""
        kept = self.columns[self.targets[0]] if self.targets else ()
        return kept if isinstance(kept, tuple) else ()

    # -- rows to Tensors ----------------------------------------------------------------------

    def __call__(self, rows: Any) -> Any:
        """The examples that rows are: a TensorDataset, or of a TableStream a stream of examples.

        They are `(x, y)`, with `codes` `(x, codes, y)`; without y where the table has no target.
        """
        if isinstance(rows, TableStream):
            return EncodedStream(self, rows)
        return TensorDataset(*self._arrays(Table.of(rows)))

    def _arrays(self, table: Table) -> list[np.ndarray]:
        columns = table.columns
        lacking = [name for name in self._features if name not in columns]
        if lacking:
            raise DataError(
                f"TableEncoding: the rows must have the column {lacking[0]!r}, as in training, got "
                f"{', '.join(columns)}"
            )
        n = len(table)
        x = np.zeros((n, len(self.names)), np.float32)
        codes = np.zeros((n, len(self.sizes)), np.int64)
        at = code = 0
        for name, kept in self._features.items():
            column = columns[name]
            _require_same_kind(column, kept)
            if isinstance(kept, Scale):
                missing = column.missing
                scaled = (_numbers(column, table.place) - kept.mean) / kept.deviation
                x[:, at] = np.where(missing, 0.0, scaled)
                if kept.missing:
                    at += 1
                    x[:, at] = missing
                at += 1
                continue
            numbers = _codes(column, kept)
            if self.codes:
                codes[:, code] = numbers + 1
                code += 1
            else:
                there = np.flatnonzero(numbers >= 0)
                x[there, at + numbers[there]] = 1
                at += len(kept)
        arrays: list[np.ndarray] = [x, codes] if self.codes else [x]
        if self.targets and all(name in columns for name in self.targets):
            arrays.append(self._target(table))
        return arrays

    def _target(self, table: Table) -> np.ndarray:
        columns = table.columns
        for name in self.targets:
            missing = np.flatnonzero(columns[name].missing)
            if len(missing):
                raise DataError(
                    f"TableEncoding: {table.place(int(missing[0]))}: the target {name!r} is "
                    f"missing in {len(missing):,} of {len(table):,} rows; leave them out: "
                    "rows.known()"
                )
            _require_same_kind(columns[name], self.columns[name])
        if self.classes:
            column = columns[self.targets[0]]
            numbers = _codes(column, self.classes)
            new = np.flatnonzero(numbers < 0)
            if len(new):
                row = int(new[0])
                raise DataError(
                    f"TableEncoding: {table.place(row)}: the target {column.name!r} must be a "
                    f"class that is in the training rows, {_some(self.classes)}, got "
                    f"{column.value(row)!r}"
                )
            return numbers
        values = np.stack([_numbers(columns[name], table.place) for name in self.targets], axis=1)
        if self.scale_target:
            mean, deviation = self._target_scale()
            values = (values - mean) / deviation
        return values.astype(np.float32)

    def _target_scale(self) -> tuple[np.ndarray, np.ndarray]:
        scales = [kept for name in self.targets if isinstance(kept := self.columns[name], Scale)]
        return np.array([s.mean for s in scales]), np.array([s.deviation for s in scales])

    def decode(self, y: Any) -> Any:
        """Targets in the table's words: the classes' names, or numbers in its units.

        >>> table = Table({"x": [1.0, 2.0], "y": ["no", "yes"]}, target="y")
        >>> TableEncoding(table).decode([1, 0])
        ['yes', 'no']
        """
        values = as_tensor(y).numpy()
        if self.classes:
            return [self.classes[code] for code in values.astype(np.int64).reshape(-1)]
        if not self.scale_target:
            return values
        mean, deviation = self._target_scale()
        return values * deviation + mean

    # -- saving -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What was learned, as numbers and texts: `from_state` makes an encoding of it again."""
        columns = [
            {"name": name, "categories": list(kept)}
            if isinstance(kept, tuple)
            else {"name": name, "scale": [kept.mean, kept.deviation, kept.missing]}
            for name, kept in self.columns.items()
        ]
        return {
            "columns": columns,
            "targets": list(self.targets),
            "codes": self.codes,
            "scale_target": self.scale_target,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TableEncoding:
        """The encoding of which `state_dict` gave this state."""
        made = cls.__new__(cls)
        try:
            made.columns = {
                str(kept["name"]): tuple(map(str, kept["categories"]))
                if "categories" in kept
                else Scale(float(kept["scale"][0]), float(kept["scale"][1]), bool(kept["scale"][2]))
                for kept in state["columns"]
            }
            made.targets = tuple(map(str, state["targets"]))
            made.codes, made.scale_target = bool(state["codes"]), bool(state["scale_target"])
            if not set(made.targets) <= set(made.columns):
                raise ValueError(f"unknown targets {made.targets}")
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(
                "TableEncoding: the state must be what state_dict() gave, but is damaged: "
                f"{error!r:.100}"
            ) from None
        return made

    def __repr__(self) -> str:
        target = f" -> {', '.join(self.targets)}" if self.targets else ""
        return f"TableEncoding({', '.join(self._features)}{target})"


class EncodedStream(IterableDataset):
    """The examples of a TableStream, one by one, in its order."""

    def __init__(self, encoding: TableEncoding, stream: TableStream):
        self.encoding, self.stream = encoding, stream

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for table in self.stream:
            yield from zip(*self.encoding._arrays(table), strict=True)


def _require_usable(column: Column, targets: Iterable[str]) -> None:
    if column.kind == "text":
        example = next((value for value in column.values if value is not None), "")
        what = "target" if column.name in targets else "column"
        raise ArgumentError(
            f"TableEncoding: the {what} {column.name!r} holds texts, as {example!r:.40}, which "
            f"have no numbers; leave it out with ignore=[{column.name!r}], or make it categories "
            f"with kinds={{{column.name!r}: 'category'}}"
        )


def _require_same_kind(column: Column, kept: Scale | tuple[str, ...]) -> None:
    of_numbers = isinstance(kept, Scale)
    if of_numbers != (column.kind in ("number", "date")) and not column.missing.all():
        was = "numbers" if of_numbers else "categories"
        raise DataError(
            f"TableEncoding: column {column.name!r} must hold {was}, as in training, got "
            f"{column.kind}, as {column.value(int(np.argmin(column.missing)))!r}; say "
            f"kinds={{{column.name!r}: ...}} for both"
        )


def _codes(column: Column, categories: tuple[str, ...]) -> np.ndarray:
    """The places of a column's values among the categories, -1 for what is not there."""
    places = {category: place for place, category in enumerate(categories)}
    table = np.array([*(places.get(category, -1) for category in column.categories), -1], np.int64)
    return table[column.values] if column.kind == "category" else np.full(len(column), -1)


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:6])
    return shown if len(names) <= 6 else f"{shown}, …"


__all__ = ["EncodedStream", "Scale", "TableEncoding"]
