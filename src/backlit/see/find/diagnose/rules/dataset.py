"""The rules about all data: their order, rows that occur in both parts, targets of other rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .....data import DataLoader, Dataset, TensorDataset
from .....tensor import Tensor, as_tensor
from ..finding import ERROR, FIT, WARNING, Finding
from ..material import FAILURES, Material

#: So many batches and rows are looked at, so many random orders compared with.
BATCHES, ROWS, ORDERS = 16, 1000, 40
#: The batches' classes differ by so many times more than in any random order.
SORTED = 2.0
#: Rows of fewer numbers may be equal by chance.
WIDE_ENOUGH, TOKENS_ENOUGH = 3, 16
#: The share of validation rows that are training rows, from which it is no accident.
LEAKS = 0.005
#: A linear fit of so many rows tells whether targets belong to inputs, by deviations from chance.
ENOUGH_ROWS, CERTAIN, CHANCE = 100, 8.0, 3.5
#: A column is the target: over so many rows, of so many columns at most, up to such rounding.
ENOUGH_LABELS, MOST_COLUMNS, SAME = 24, 4096, 1e-6
#: So many rows to train on, and to look at, tell in which units they are.
TRAINED, LOOKED_AT = 40, 20
#: Means so many deviations away, and deviations so many times as large, are of other units.
AWAY, LARGER = 5.0, 3.0
#: Means and deviations that are 0 and 1 to this are made so, of these very rows.
EXACT = 2e-3
#: Groups are clear if rows are so many times nearer to their own middle than to the next one.
CLEAR, MOST_CLASSES = 2.0, 20
#: Groups are the classes if their sizes differ by no more than this share of the rows.
SIZES = 0.01
#: Halves are round numbers, up to this.
ROUND = 1e-3
#: Targets may belong to rows so far away.
DISTANCES = (1, -1, 2, -2)


def rows_of(data: Any, most: int = ROWS) -> tuple[np.ndarray, np.ndarray] | None:
    """Inputs, flat, and targets of data that are in memory or can be looked up; None otherwise."""
    try:
        if isinstance(data, DataLoader):
            data = data.dataset
        if isinstance(data, TensorDataset):
            parts = [np.asarray(t.array)[:most] for t in data.tensors]
        elif isinstance(data, tuple | list) and len(data) >= 2 and _is_array(data[0]):
            parts = [np.asarray(as_tensor(x).array)[:most] for x in data]
        elif isinstance(data, Dataset) or hasattr(data, "__getitem__"):
            items = [data[i] for i in range(min(len(data), most))]
            parts = [np.stack([np.asarray(as_tensor(x).array) for x in column])
                     for column in zip(*items, strict=True)]  # fmt: skip
        else:
            return None
    except FAILURES:
        return None
    if len(parts) < 2 or len({len(p) for p in parts}) != 1 or not len(parts[0]):
        return None
    inputs = [p.reshape(len(p), -1) for p in parts[:-1]]
    x = inputs[0] if len(inputs) == 1 else np.concatenate([p.astype(np.float64) for p in inputs], 1)
    return x, parts[-1]


def _is_array(x: Any) -> bool:
    return isinstance(x, Tensor | np.ndarray)


def not_shuffled(m: Material) -> Iterator[Finding]:
    """Batches whose classes differ, because the data are sorted."""
    loader = m.data
    if loader is None or isinstance(loader, tuple | Dataset) or m.labels is None:
        return
    own = getattr(loader, "state_dict", None)
    state = own() if callable(own) and hasattr(loader, "load_state_dict") else None
    labels: list[np.ndarray] = []
    try:
        with m.kept():
            for batch in loader:
                t = np.asarray(as_tensor(batch[-1]).array)
                if t.ndim != 1 or t.dtype.kind not in "iu":
                    return
                labels.append(t)
                if len(labels) == BATCHES:
                    break
    except FAILURES:
        return
    finally:
        if state is not None:
            loader.load_state_dict(state)
    labels = [t for t in labels if len(t) > 1]
    pool = np.concatenate(labels) if labels else np.zeros(0)
    known = rows_of(loader, 20 * ROWS)
    every = pool if known is None or known[1].ndim != 1 else known[1]
    if len(labels) < 2 or len(np.unique(every)) < 2:
        return
    random = np.random.default_rng(0)

    def different(parts: list[np.ndarray]) -> float:
        return float(np.mean([len(np.unique(p)) for p in parts]))

    drawn = []
    for _ in range(ORDERS):
        order = random.permutation(every)[: len(pool)]
        drawn.append(different(np.split(order, np.cumsum([len(t) for t in labels])[:-1])))
    seen = different(labels)
    if seen * SORTED <= min(drawn) or (seen == 1 and min(drawn) > 1.2):
        yield Finding(
            rule="not shuffled",
            severity=ERROR,
            text=f"batches have {seen:.1f} classes each; in a random order it would be "
            f"{np.mean(drawn):.1f}",
            evidence=f"the first {len(labels)} batches; the first labels are "
            f"{labels[0][:6].tolist()}, then {labels[1][:6].tolist()}",
            next="DataLoader(..., shuffle=True)",
            explains=("one class", "cannot overfit"),
        )


def validation_leaks(m: Material) -> Iterator[Finding]:
    """Rows that are in the training data and in the validation data."""
    train, test = rows_of(m.data, 20 * ROWS), rows_of(m.validation, 20 * ROWS)
    if train is None or test is None or train[0].shape[1] != test[0].shape[1]:
        return
    wide = train[0].shape[1]
    if wide < (WIDE_ENOUGH if train[0].dtype.kind == "f" else TOKENS_ENOUGH):
        return
    kind = np.result_type(train[0], test[0])
    known = {row.tobytes() for row in train[0].astype(kind)}
    both = [i for i, row in enumerate(test[0].astype(kind)) if row.tobytes() in known]
    # Rows of tokens may occur again and again anyway.
    usual = train[0].dtype.kind in "iub" and len(known) < 0.9 * len(train[0])
    share = len(both) / len(test[0])
    if len(both) >= 2 and share > LEAKS and not usual:
        yield Finding(
            rule="validation rows in training",
            severity=ERROR,
            text=f"{len(both)} of {len(test[0])} validation rows ({share:.0%}) are training rows",
            evidence=f"equal to the last bit: the first is row {both[0]} of the validation data",
            next="split before anything is copied, augmented or drawn with replacement",
        )


def targets_of_other_rows(m: Material) -> Iterator[Finding]:
    """Targets that a linear fit foretells from other rows' inputs, and not from their own."""
    found = rows_of(m.data if m.data is not None else (m.inputs[0], m.target))
    if found is None:
        return
    x, t = design(found[0]), numbers(found[1])
    if x is None or t is None or len(x) < ENOUGH_ROWS:
        return
    project = leverage(x)
    own = certainty(x, t, project)
    if own > CHANCE:
        return
    away = {k: certainty(x, np.roll(t, k, axis=0), project) for k in DISTANCES}
    best = max(away, key=lambda k: away[k])
    if away[best] > CERTAIN:
        yield Finding(
            rule="targets of other rows",
            severity=ERROR,
            text=f"the target of row i belongs to row i {'+' if best > 0 else '-'} {abs(best)}",
            evidence=f"a linear fit foretells targets of rows that far away at {away[best]:.0f} "
            f"deviations from chance, its own row's at {own:.1f}, over {len(x)} rows",
            next="look at where inputs and targets are cut, dropped or rolled",
            explains=("cannot overfit",),
        )
        return
    told = no_pairs(*found)
    if told:
        yield Finding(
            rule="targets of other rows",
            severity=ERROR,
            text="inputs and targets do not belong together",
            evidence=told,
            next="look for a shuffle of the inputs, or of the targets, alone",
            explains=("cannot overfit",),
        )
        return
    other = rows_of(m.validation) if m.validation is not None else None
    xv = design(other[0]) if other is not None else None
    tv = numbers(other[1], found[1]) if other is not None else None
    if xv is None or tv is None or len(xv) < ENOUGH_ROWS or xv.shape[1] != x.shape[1]:
        return
    good = certainty(xv, tv, leverage(xv))
    if good > CERTAIN:
        yield Finding(
            rule="targets of other rows",
            severity=ERROR,
            text="in the training data inputs tell nothing of their targets, in the validation "
            "data they do",
            evidence=f"a linear fit is {own:.1f} deviations from chance over {len(x)} training "
            f"rows, {good:.0f} over {len(xv)} validation rows",
            next="look for a shuffle of the inputs, or of the targets, alone",
            explains=("cannot overfit",),
        )


def no_pairs(x: np.ndarray, t: np.ndarray) -> str:
    """What says that classes were parted from their inputs; empty where nothing does.

    The inputs fall into clear groups, as many as there are classes and of the classes' very sizes,
    and a row's group tells nothing of its class.
    """
    if t.dtype.kind not in "iu" or t.ndim != 1 or x.dtype.kind != "f" or not np.isfinite(x).all():
        return ""
    classes, counts = np.unique(t, return_counts=True)
    k, n = len(classes), len(t)
    if not 2 <= k <= MOST_CLASSES or counts.min() < max(10, SIZES * n):
        return ""
    groups = clear_groups(np.asarray(x, np.float64), k)
    if groups is None:
        return ""
    sizes = np.bincount(groups, minlength=k)
    if np.abs(np.sort(sizes) - np.sort(counts)).max() > SIZES * n:
        return ""
    table = np.zeros((k, k))
    np.add.at(table, (groups, np.searchsorted(classes, t)), 1)
    expected = np.outer(sizes, counts) / n
    freedom = (k - 1) ** 2
    off = (float(((table - expected) ** 2 / expected).sum()) - freedom) / np.sqrt(2 * freedom)
    if off > CHANCE:
        return ""
    return (
        f"the inputs of {n} rows fall into {k} clear groups, of {np.sort(sizes).tolist()} rows, "
        f"and the {k} classes have {np.sort(counts).tolist()}; which group a row is in tells "
        f"nothing of its class ({off:.1f} deviations from chance)"
    )


def clear_groups(x: np.ndarray, k: int) -> np.ndarray | None:
    """The group of each row, where rows fall into k clear ones; None where they do not.

    k-means, begun at rows that are far from those before (Gonzalez, 1985).
    """
    x = (x - x.mean(0)) / np.maximum(x.std(0), 1e-12)

    def squared(middles: np.ndarray) -> np.ndarray:
        return np.square(x).sum(1)[:, None] - 2 * x @ middles.T + np.square(middles).sum(1)

    best: tuple[float, np.ndarray] | None = None
    for start in (0, len(x) // 3, 2 * len(x) // 3):
        middles = x[[start]]
        while len(middles) < k:
            middles = np.concatenate([middles, x[[int(squared(middles).min(1).argmax())]]])
        for _ in range(10):
            groups = squared(middles).argmin(1)
            if len(np.unique(groups)) < k:
                break
            middles = np.stack([x[groups == g].mean(0) for g in range(k)])
        away = np.sqrt(np.maximum(np.partition(squared(middles), 1, axis=1)[:, :2], 0))
        clear = float(np.median(away[:, 1] / np.maximum(away[:, 0], 1e-12)))
        if len(np.unique(groups)) == k and (best is None or clear > best[0]):
            best = clear, groups
    return best[1] if best is not None and best[0] > CLEAR else None


def scaled_otherwise(m: Material) -> Iterator[Finding]:
    """Validation data in other units than the training data."""
    train, test = rows_of(m.data), rows_of(m.validation)
    if train is None or test is None or train[0].dtype.kind != "f":
        return
    if len(train[0]) < TRAINED or len(test[0]) < LOOKED_AT or train[0].shape[1] != test[0].shape[1]:
        return
    found = of_other_scale(train[0], test[0], "the validation set")
    if found is not None:
        yield found


def of_other_scale(
    train: np.ndarray, test: np.ndarray, what: str, place: str = ""
) -> Finding | None:
    """What is wrong with the units of some rows, beside those that are trained on."""
    train, test = np.asarray(train, np.float64), np.asarray(test, np.float64)
    mean, spread = train.mean(0), train.std(0)
    moving = spread > 1e-6 * (1 + np.abs(mean))
    own, deviation = test.mean(0), test.std(0)
    if not moving.any() or not np.isfinite([mean, spread, own, deviation]).all():
        return None
    shift = float(np.median(np.abs(own - mean)[moving] / spread[moving]))
    ratio = float(np.median(deviation[moving] / spread[moving]))
    if ratio > LARGER or ratio < 1 / LARGER or shift > AWAY:
        text = f"{what} is scaled otherwise than what is trained on"
        evidence = f"means lie {shift:.3g} deviations apart, deviations are {ratio:.3g} times "
        evidence += "those of the training rows (medians over the features)"
    elif all(map(_standardised, (train, test))) and mean.size >= 2:
        text = f"{what} was scaled with its own mean and deviation"
        evidence = f"over its {len(test)} rows each feature has the mean 0 and the deviation 1 "
        evidence += f"to {EXACT:g}, as over the {len(train)} training rows"
    else:
        return None
    return Finding(
        rule="validation scaled otherwise",
        severity=WARNING,
        text=text,
        evidence=evidence,
        line=place,
        next="take mean and deviation of the training rows, and use these for all",
    )


def _standardised(x: np.ndarray) -> bool:
    """Whether every feature has the mean 0 and the deviation 1, and nearer than by chance."""
    n, mean, spread = len(x), x.mean(0), x.std(0)
    near = np.abs(mean) < min(EXACT, 0.1 / np.sqrt(n))
    scaled = np.minimum(abs(spread - 1), abs(spread * np.sqrt(n / (n - 1)) - 1)) < EXACT
    return bool(near.all() and scaled.all())


def tells_the_target(m: Material) -> Iterator[Finding]:
    """A column of the inputs that is the target itself."""
    found = rows_of(m.data) if m.data is not None else None
    if found is None:
        if len(m.arrays) != 1 or m.t is None or m.t.shape[:1] != (m.rows,):
            return
        found = m.arrays[0][2], m.t
    x, t = found
    series = len(m.arrays) == 1 and m.arrays[0][2].ndim == 3
    if x.ndim not in (2, 3) or x.dtype.kind != "f" or len(x) < ENOUGH_LABELS or t.size != len(t):
        return
    columns = np.asarray(x, np.float64).reshape(len(x), -1)
    t = t.reshape(-1)
    if not MOST_COLUMNS >= columns.shape[1] >= WIDE_ENOUGH or len(np.unique(t)) < 2:
        return
    for k in range(columns.shape[1]):
        if series and k < columns.shape[1] - m.arrays[0][2].shape[-1]:
            continue  # a first step may be what is to be remembered: of a window the last counts
        if not _is_the_target(columns[:, k], t):
            continue
        where = f"the last step of each sequence, number {k}," if series else f"column {k}"
        yield Finding(
            rule="input tells the target",
            severity=ERROR,
            text=f"{where} of the inputs is the target",
            evidence=f"in all {len(t)} rows the one says the other: {_shown(columns[:3, k])} for "
            f"{_shown(t[:3])}",
            next="leave that column out; let a window end before what is to be foretold",
            explains=FIT,
        )
        return


def _shown(a: np.ndarray) -> str:
    return ", ".join(f"{v:.4g}" for v in a.tolist())


def _is_the_target(column: np.ndarray, t: np.ndarray) -> bool:
    """Whether a column is the targets, scaled and shifted, or names each class by a number."""
    if not np.isfinite(column).all() or np.ptp(column) == 0:
        return False
    if t.dtype.kind in "iu":
        pairs = {*zip(column.tolist(), t.tolist(), strict=True)}
        return len(pairs) == len(np.unique(column)) == len(np.unique(t))
    t = np.asarray(t, np.float64)
    if not np.isfinite(t).all() or abs(np.corrcoef(column, t)[0, 1]) < 1 - SAME:
        return False
    if np.allclose(column, t, rtol=SAME, atol=SAME):
        return True
    # Twice a column and one more is how examples are made; a mean and a deviation are not round.
    line = 2 * np.polyfit(column, t, 1)
    return bool((np.abs(line - line.round()) > ROUND).all())


def design(x: np.ndarray) -> np.ndarray | None:
    """Inputs as columns of deviation 1, with one of ones; many are summed up at random."""
    if x.dtype.kind not in "f":
        return None
    wide = np.asarray(x, np.float64)
    if not np.isfinite(wide).all():
        return None
    most = max(4, len(wide) // 4)
    if wide.shape[1] > most:
        wide = wide @ np.random.default_rng(0).normal(size=(wide.shape[1], most))
    wide = wide - wide.mean(0)
    spread = wide.std(0)
    wide = wide[:, spread > 0] / spread[spread > 0]
    return np.concatenate([wide, np.ones((len(wide), 1))], axis=1) if wide.shape[1] else None


def numbers(t: np.ndarray, classes_of: np.ndarray | None = None) -> np.ndarray | None:
    """Targets as columns of mean 0: a class has one of its own."""
    if t.dtype.kind in "iu" and t.ndim == 1:
        values = np.unique(t if classes_of is None else classes_of)
        if not 2 <= len(values) <= 100:
            return None
        wide = (t[:, None] == values).astype(np.float64)
    elif t.dtype.kind == "f":
        wide = np.asarray(t, np.float64).reshape(len(t), -1)[:, :50]
    else:
        return None
    return wide - wide.mean(0) if np.isfinite(wide).all() else None


def leverage(x: np.ndarray) -> np.ndarray:
    """The projection onto the inputs (hat matrix), for a small ridge."""
    return x @ np.linalg.solve(x.T @ x + 1e-3 * len(x) * np.eye(x.shape[1]), x.T)


def certainty(x: np.ndarray, t: np.ndarray, project: np.ndarray) -> float:
    """How many deviations from chance a fit's predictions of left-out rows are.

    Leaving a row out changes its prediction to (ŷ - h y) / (1 - h): Allen's PRESS.
    """
    h = np.diag(project)[:, None]
    random = np.random.default_rng(1)

    def agreement(u: np.ndarray) -> float:
        left_out = (project @ u - h * u) / np.maximum(1 - h, 1e-9)
        return float((left_out * u).mean())

    drawn = [agreement(random.permutation(t)) for _ in range(ORDERS)]
    spread = float(np.std(drawn))
    return (agreement(t) - float(np.mean(drawn))) / spread if spread > 0 else 0.0
