"""Rows of a table: numbers and categories, of which a column is learned."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn
from ..data import Table, TableEncoding
from ..data.tables.columns import MISSING, number_of
from ..errors import DataError
from ..spelling import near_name
from ..table import quantity
from . import networks
from .columns import (
    answers_of,
    as_in_training,
    choose_targets,
    dated,
    groups_of,
    is_table,
    known_rows,
    open_table,
    read_table,
)
from .form import OF_TABLES, Form, Source, is_file
from .recipe import (
    Examples,
    batch_for,
    counted,
    epochs_for,
    occurrences,
    take,
    unbalanced,
)
from .split import copies, merged
from .targets import Numbers, Target, number_text

#: What parts the columns of a row in one text: what follows has a name.
_NEXT = re.compile(r"[,;](?=[^,;=]*=)")
#: A column of numbers is the target in other units if it correlates more than this.
_SAME = 0.9999
#: Rows from which on they may be numbered, and the share of them that has a number of its own.
_NUMBERED, _MOSTLY = 20, 0.95
#: Rows from which on what one column says alone is looked at, and different values that it has at
#: most for that, as a share of the rows.
_ENOUGH, _DIFFERENT = 40, 0.2


@dataclass(frozen=True)
class Rows(Form):
    """Rows as numbers: see `TableEncoding`, whose state it keeps; and what each column is."""

    encoding: dict[str, Any]
    columns: dict[str, str]
    #: The columns of numbers whose decimal sign is a comma.
    commas: tuple[str, ...] = field(default=(), kw_only=True)

    kind = "table"
    wanted = "a row as 'area=70, city=Oslo', or a table of rows"

    @cached_property
    def _encoding(self) -> TableEncoding:
        return TableEncoding.from_state(self.encoding)

    def networks(self, settings: Mapping[str, Any]) -> dict[str, Callable[[list[int]], nn.Module]]:
        """Perceptrons."""

        def dense(hidden: Sequence[int]) -> nn.Module:
            inputs = len(self._encoding.names)
            return nn.Sequential(*networks.perceptron(inputs, hidden, self.target.width, settings))

        return {"linear": dense, "mlp": dense}

    def facts(self) -> dict[str, Any]:
        """Also how many numbers a row becomes."""
        return {**super().facts(), "inputs": len(self._encoding.names)}

    def encode(self, examples: Any) -> tuple[np.ndarray, ...]:
        """(N, inputs), float32, of a Table or of a list of rows."""
        table = examples if isinstance(examples, Table) else self._table(list(examples))
        return (self._encoding(table).tensors[0].numpy(),)

    def _table(self, rows: list[dict[str, Any]]) -> Table:
        columns = {name: [row[name] for row in rows] for name in self.columns}
        return Table(columns, kinds=self.columns, dates=self.dialect.get("dates"))

    def read(self, given: Any) -> list[tuple[str, Any]]:
        """The rows of a file, a table, a dict, or a text of names and values."""
        if isinstance(given, Mapping):
            found = [("row", self._checked(dict(given), "the row"))]
        elif isinstance(given, str) and "=" in given and not is_file(given):
            # A comma may also stand in a value, as in `Temp=82,5, City=Oslo`.
            pairs = (part.partition("=") for part in _NEXT.split(given))
            row = {name.strip(): value.strip() or None for name, _, value in pairs}
            found = [(given, self._checked(row, "the row"))]
        else:
            found = self._rows(given)
        self._tell_unknown([row for _, row in found])
        return found

    def _rows(self, given: Any) -> list[tuple[str, Any]]:
        """The rows of a file or a table."""
        if isinstance(given, str | Path):
            if not is_file(given):
                raise DataError(f"predict: an input must be {self.wanted}, got {str(given)!r:.60}")
            kinds = self._known(Path(given))
            with as_in_training():
                given = read_table(given, kinds=kinds, **self.dialect)
        dates = self.dialect.get("dates")
        with as_in_training():
            if not isinstance(given, Table):
                given = Table(given, kinds=self.columns, dates=dates)
        table: Table = given
        lacking = [n for n in self.columns if n not in table.columns]
        if lacking:
            named = ", ".join(map(repr, lacking))
            raise DataError(
                f"predict: {table.place(0).rpartition(':')[0] or 'the table'} must have the "
                f"{'column' if len(lacking) == 1 else 'columns'} {named}, as in training, got "
                f"{', '.join(table.columns)}"
            )
        found = []
        for i in range(len(table)):
            place = table.place(i)
            row = {n: self._value(n, table.columns[n].value(i), place) for n in self.columns}
            found.append((place, row))
        return found

    def _known(self, path: Path) -> dict[str, str]:
        """The kinds of those columns that a file has: others are told when rows are read."""
        there = read_table(path, **self.dialect).columns
        kinds = {n: k for n, k in self.columns.items() if n in there}
        return kinds | {n: "text" for n in self.commas if n in kinds}

    def _checked(self, row: dict[str, Any], what: str) -> dict[str, Any]:
        """The row, if it has what the network was trained on."""
        for name in row:
            if name not in self.columns and name not in getattr(self.target, "names", ()):
                near = near_name(name, self.columns, 0.6)
                hint = f"; did you mean {near}?" if near else ""
                raise DataError(
                    f"predict: {what} must have the columns {', '.join(self.columns)}, got "
                    f"{name!r}{hint}"
                )
        lacking = [n for n in self.columns if n not in row]
        if lacking:
            named = ", ".join(f"{n!r} ({self.columns[n]})" for n in lacking)
            empty = ", ".join(f"{n}=" for n in lacking)
            raise DataError(
                f"predict: {what} must have a value for {named}; leave "
                f"{'it' if len(lacking) == 1 else 'those'} empty ({empty}) if it is missing"
            )
        return {n: self._value(n, v, what) for n, v in row.items()}

    def _value(self, name: str, value: Any, place: str) -> Any:
        """A value as the column has it: texts of numbers are read as those of training were."""
        if not isinstance(value, str):
            return value
        if value in MISSING or value in self.dialect.get("missing", ()):
            return None
        if self.columns.get(name) != "number":
            return value
        decimal = self.dialect.get("decimal") or ("," if name in self.commas else ".")
        number = number_of(value, decimal)
        if number is None:
            raise DataError(
                f"predict: {place}: column {name!r} must hold a number, as 82{decimal}5, got "
                f"{value!r:.60}; correct it, or leave it empty if it is missing"
            )
        return number

    def _tell_unknown(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Warn of categories that training did not have, once for each column."""
        for name, known in self._encoding.columns.items():
            if not isinstance(known, tuple):
                continue
            there = Counter(_category(row[name]) for row in rows if row.get(name) is not None)
            odd = [value for value in there if value not in known]
            if not odd:
                continue
            near = near_name(odd[0], known, 0.6)
            more = f" and {len(odd) - 1:,} more" if len(odd) > 1 else ""
            listed = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
            warnings.warn(
                f"{name}: {odd[0]!r}{more} {'was' if len(odd) == 1 else 'were'} not there in "
                f"training and counts as unknown, in {quantity(sum(there[o] for o in odd), 'row')}"
                + (f"; did you mean {near}?" if near else "")
                + f"; there was {listed}",
                stacklevel=2,
            )

    @property
    def describe(self) -> Callable[..., str]:
        """The numbers that say something of a row, with their names."""

        def row(x: np.ndarray) -> str:
            named = zip(self._encoding.names, x.tolist(), strict=True)
            said = [n if v == 1 and "=" in n else f"{n} {v:+.2f}" for n, v in named if v]
            return " · ".join(said)

        return row


def _category(value: Any) -> str:
    """A value as the name of a category; 3.0 is the category 3."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value).strip()


def commas_of(table: Table) -> tuple[str, ...]:
    """The columns of numbers that were read with a decimal comma."""
    return tuple(n for n, c in table.columns.items() if c.decimal == ",")


class Tabular(Examples):
    """Rows of a table of numbers, categories and dates."""

    kind = "table"

    @classmethod
    def recognise(cls, source: Source) -> Tabular | None:
        """A file of a table, when it is none of texts or of a series."""
        if not is_table(source.path):
            return None
        source.require_only(cls.kind, "group", *OF_TABLES)
        table = open_table(source)
        targets = choose_targets(source, table)
        known, notes = known_rows(table, targets)
        source, said = dated(source, table.columns)
        notes += said
        useless, why = useless_columns(known, targets, source.group)
        table = known.select([n for n in known.columns if n not in useless])
        learned, answers, strata = answers_of(table, targets)
        features = [n for n in table.columns if n not in targets]
        if not features:
            raise DataError(
                f"{source.path}: at least one column besides {', '.join(targets)} must say "
                f"something, but {'; '.join(why) or 'there is none'}"
            )
        rows = _rows(table, features)
        groups = groups_of(source, table)
        if source.group is not None:
            features.remove(source.group)
        found = [("columns", described({n: table.columns[n].kind for n in features}))]
        counts = "" if isinstance(learned, Numbers) else counted(occurrences(learned, answers))
        found += targets_text(targets, learned, answers, counts)
        warnings = [*notes, *why, *unbalanced(learned, answers)]
        warnings += _missing(table, features) + _leaks(table, features, targets)
        equal, notes = copies(rows, "row")
        warnings += notes
        size = batch_for(len(table))
        settings = {
            "model": "mlp:64-32" if len(table) < 20_000 else "mlp:256-128",
            "dropout": 0.1,
            "batch_size": size,
            "epochs": epochs_for(len(table), size),
        }
        return cls(
            source, source.path.name, found, warnings, settings,
            raw=table, answers=answers, labels=strata, groups=merged(equal, groups),
            features=features, target=learned,
        )  # fmt: skip

    def __init__(self, *args: Any, features: Sequence[str], **more: Any):
        super().__init__(*args, **more)
        self.features = list(features)

    def learn(self, training: np.ndarray, settings: Mapping[str, Any]) -> Rows:
        """Means, deviations and categories of the training part."""
        rows = self._features(training)
        kinds = {n: c.kind for n, c in rows.columns.items()}
        target = self.target.scaled(take(self.answers, training))
        return Rows(target, TableEncoding(rows).state_dict(), kinds, commas=commas_of(rows))

    def examples(self, numbers: np.ndarray) -> Table:
        """Rows, without the target."""
        return self._features(numbers)

    def _features(self, numbers: np.ndarray) -> Table:
        return self.raw.select(self.features).rows(numbers)


def useless_columns(
    table: Table, targets: Sequence[str], group: str | None
) -> tuple[list[str], list[str]]:
    """Columns that say nothing, and why: they are left out."""
    useless, why = [], []
    for name, column in table.columns.items():
        if name in (*targets, group):
            continue
        known = column.values[~column.missing].tolist()
        different = len(set(known))
        reason = None
        if different <= 1 and not (different and column.missing.any()):
            reason = "never changes" if known else "is empty"
        elif column.kind == "text":
            reason = "is different in every row" if different == len(known) else "holds texts"
        elif column.kind == "number" and _counts(np.unique(column.values), len(table)):
            reason = "counts the rows"
        if reason:
            useless.append(name)
            why.append(f"{name} {reason} and is left out")
    return useless, why


def _counts(different: np.ndarray, rows: int) -> bool:
    """Whether numbers, in their order, are those of rows: whole, hardly one missing or twice."""
    if rows <= _NUMBERED or len(different) < _MOSTLY * rows:
        return False
    steps = np.diff(different)
    whole = bool((different == different.round()).all())
    return whole and len(steps) >= _MOSTLY * float(steps.sum())


def _rows(table: Table, features: Sequence[str]) -> list[Hashable]:
    """What stands in each row, to find equal ones."""
    columns = [table.columns[n].values.astype(str).tolist() for n in features]
    return list(zip(*columns, strict=True))


def described(columns: Mapping[str, str]) -> str:
    """Columns, by their names and kinds, in words."""
    features, kinds = list(columns), Counter(columns.values())
    plural = {"number": "numbers", "category": "categories", "date": "dates"}
    parts = [f"{n} {plural[k] if n > 1 else k}" for k, n in kinds.items()]
    shown = ", ".join(features[:8]) + (", …" if len(features) > 8 else "")
    return f"{', '.join(parts)}: {shown}"


def targets_text(
    names: Sequence[str], target: Target, answers: Any, counts: str
) -> list[tuple[str, str]]:
    """What is learned, a line for each column of numbers; `counts` are those of labels."""
    if not isinstance(target, Numbers):
        what = f"target {names[0]}" if len(names) == 1 else "targets"
        return [(what, f"{target.width} {target.kind}: {counts}")]
    lines = []
    for name, column in zip(names, answers.T, strict=True):
        low, high, mean = map(number_text, (column.min(), column.max(), column.mean()))
        lines.append((f"target {name}", f"numbers from {low} to {high}, mean {mean}"))
    return lines


def _missing(table: Table, features: Sequence[str]) -> list[str]:
    gaps = {n: int(table.columns[n].missing.sum()) for n in features}
    lacking = {n: count for n, count in gaps.items() if count}
    if not lacking:
        return []
    named = [f"{n} in {count:,}" for n, count in lacking.items()]
    classes = [table.columns[n].kind == "category" for n in lacking]
    filled = "the mean stands there" + (", and of categories none" if any(classes) else "")
    filled = "no category stands there" if all(classes) else filled
    return [f"values are missing: {', '.join(named[:6])} of {len(table):,} rows; {filled}"]


def _leaks(table: Table, features: Sequence[str], targets: Sequence[str]) -> list[str]:
    """Columns that give the answer away."""
    if len(table) < _ENOUGH:
        return []
    return [
        f"{name} alone says what {target} is: if it is not known beforehand, --drop {name}"
        for name in features
        for target in targets
        if _gives_away(table.columns[name], table.columns[target])
    ]


def _gives_away(column: Any, answer: Any) -> bool:
    there = ~column.missing & ~answer.missing
    values, answers = column.values[there], answer.values[there]
    if len(values) < _ENOUGH or answer.kind == "text":
        return False
    if column.kind == "number" and answer.kind == "number":
        if values.std() == 0 or answers.std() == 0:
            return False
        return abs(float(np.corrcoef(values, answers)[0, 1])) > _SAME
    if answer.kind == "number":
        return False
    pairs = {*zip(values.tolist(), answers.tolist(), strict=True)}
    different = len({value for value, _ in pairs})  # each with one answer: then it is its code
    return len(pairs) == different <= _DIFFERENT * len(values)
