"""What a report says of examples: the confusion matrix, the worst mistakes, the errors of numbers.

Which of these it can say is read off the predictions and targets: labels with scores for each
class, one score for each truth value, or numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...autograd import no_grad
from ...dtypes import FLOATING
from ...nn import BCELoss, BCEWithLogitsLoss, Module
from ...see.records.value import rounded
from ...see.show.png import png_uri
from ...tensor import Tensor
from .everywhere import examples_on
from .looking import histogram

#: Examples that are looked at, and in one go; mistakes that are shown; classes of a whole matrix.
EXAMPLES, BATCH, WORST, CLASSES = 10_000, 256, 24, 40
#: Pictures are thinned out to this many pixels a side; text and tables to so many entries.
PIXELS, ENTRIES, POINTS = 96, 12, 400

Describe = Callable[..., str]
#: What makes the texts of an example's tokens out of its inputs.
Tokens = Callable[..., Sequence[str]]
#: Tokens of an example that are shown, and before that in which there is the mistake.
SHOWN, BEFORE = 48, 32


@dataclass(frozen=True)
class Words:
    """How labels and examples are put into words."""

    classes: Sequence[str] | None = None
    describe: Describe | None = None
    tokens: Tokens | None = None
    units: Callable[[np.ndarray], np.ndarray] | None = None

    def shown(self, example: list[np.ndarray], place: int | None = None) -> dict[str, Any]:
        """An example as its tokens, as text or as a picture; `place` is the token that matters."""
        if self.tokens is not None:
            every = list(map(str, self.tokens(*example)))
            start = 0 if place is None else max(0, place - BEFORE)
            found = {"tokens": [t[:40] for t in every[start : start + SHOWN]], "from": start}
            cut = start > 0, start + SHOWN < len(every)
            return {**found, "cut": cut, **({} if place is None else {"at": place - start})}
        if self.describe is not None:
            return {"text": str(self.describe(*example))[:400]}
        if len(example) == 1 and is_picture(example[0]):
            return {"picture": data_uri(example[0]), "size": list(example[0].shape[-2:])}
        return {"text": " · ".join(_entries(a) for a in example)}


PLAIN = Words()


def look_at_examples(
    model: Module,
    loss_fn: Any,
    columns: Sequence[Tensor],
    words: Words = PLAIN,
) -> dict[str, Any]:
    """What the model says of examples, in evaluation mode: see this module's first line.

    `columns` are the model's inputs for all examples, then the target.
    """
    *inputs, target = (c[:EXAMPLES] for c in columns)
    model.eval()
    parts = []
    with no_grad(), np.errstate(all="ignore"):
        for start in range(0, len(target), BATCH):
            prediction = model(*(x[start : start + BATCH] for x in inputs))
            if not isinstance(prediction, Tensor):
                return {"kind": "none", "why": "the model gives no single Tensor"}
            parts.append(prediction.numpy())
    if not parts:
        return {"kind": "none", "why": "there were no examples"}
    scores, truth = np.concatenate(parts), target.numpy()
    if len(scores) != len(truth):
        return {"kind": "none", "why": "the model does not give one prediction for each example"}
    arrays = [x.numpy() for x in inputs]
    result: dict[str, Any]
    if truth.dtype.kind in "iub" and scores.ndim == truth.ndim + 1 and scores.shape[1] > 1:
        result = _labels(scores, truth.astype(np.int64), arrays, words)
    elif scores.size == truth.size and _is_binary(loss_fn, truth):
        logits = scores.reshape(truth.shape).astype(np.float64)
        if isinstance(loss_fn, BCELoss):
            logits = np.log(logits) - np.log1p(-logits)
        both = np.stack([np.zeros_like(logits), logits], axis=1)
        there = truth.astype(np.int64)
        classes = words.classes
        if classes and truth.ndim == 2 and truth.shape[1] == len(classes):
            result = _several(both, there, arrays, words)
        else:
            named = replace(words, classes=classes or ("0", "1"))
            result = _labels(both, there, arrays, named)
    elif scores.size == truth.size and scores.dtype in FLOATING:
        result = _numbers(scores.reshape(truth.shape), truth, arrays, words)
    else:
        return {"kind": "none", "why": "predictions and targets are neither labels nor numbers"}
    result["examples"] = len(truth)
    if len(arrays) == 1 and arrays[0].ndim == 2 and arrays[0].shape[1] <= 2:
        result["places"] = examples_on(arrays, truth)
    return result


def classes_of(loss_fn: Any, target: Tensor, words: Words) -> int | None:
    """How many classes there are among the targets; None where they are numbers."""
    truth = target.numpy()
    if _is_binary(loss_fn, truth):
        return 2
    if truth.dtype.kind not in "iub" or truth.ndim != 1:
        return None
    return len(words.classes) if words.classes else int(truth.max(initial=0)) + 1


def _is_binary(loss_fn: Any, truth: np.ndarray) -> bool:
    known = isinstance(loss_fn, BCELoss | BCEWithLogitsLoss)
    return (known or truth.dtype.kind == "b") and bool(np.isin(truth, (0, 1)).all())


def _labels(
    scores: np.ndarray,
    truth: np.ndarray,
    inputs: list[np.ndarray],
    words: Words,
) -> dict[str, Any]:
    """Scores (N, C, ...) for labels (N, ...): who was taken for whom, and the worst of it."""
    count, classes = scores.shape[1], words.classes
    names = [str(c) for c in classes] if classes and len(classes) == count else None
    names = names or [str(i) for i in range(count)]
    wide = np.moveaxis(scores.astype(np.float64), 1, -1)
    known = (truth >= 0) & (truth < count)  # others are ignored, as padding is
    finite = np.isfinite(wide).all(axis=-1)
    shifted = wide - wide.max(axis=-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    label = np.where(known, truth, 0)
    losses = -np.take_along_axis(logs, label[..., None], -1)[..., 0]
    guess = wide.argmax(axis=-1)
    usable = known & finite
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (label[usable], guess[usable]), 1)
    wrong = usable & (guess != label)
    rows = np.where(wrong, losses, -np.inf).reshape(len(truth), -1)
    worst = []
    for i, place in _worst(rows):
        where = [int(w) for w in np.unravel_index(place, truth.shape[1:])] if truth.ndim > 1 else []
        says, right = int(guess[(i, *where)]), int(label[(i, *where)])
        sure = float(np.exp(logs[(i, *where)][says]))
        worst.append(
            {
                "row": i,
                "truth": names[right],
                "says": names[says],
                "sure": round(sure, 4),
                "loss": rounded(rows[i, place], 4),
                **({"where": where} if where else {}),
                **words.shown([x[i] for x in inputs], where[0] if len(where) == 1 else None),
            }
        )
    shown = _shrunk(confusion, names)
    return {
        "kind": "labels",
        **shown,
        "right": int(np.trace(confusion)),
        "total": int(confusion.sum()),
        "unusable": int((known & ~finite).sum()),
        "wrong": int(wrong.reshape(len(truth), -1).any(axis=1).sum()),
        "worst": worst,
    }


def _several(
    scores: np.ndarray,
    truth: np.ndarray,
    inputs: list[np.ndarray],
    words: Words,
) -> dict[str, Any]:
    """Scores (N, 2, labels) of whether an example has each label: how good each of them is."""
    names = words.classes or ()
    found = _labels(scores, truth, inputs, replace(words, classes=None, tokens=None))
    said = (scores[:, 1] > scores[:, 0]) & np.isfinite(scores).all(axis=1)
    hits, of_said, of_truth = (said & (truth == 1)).sum(0), said.sum(0), (truth == 1).sum(0)
    with np.errstate(invalid="ignore"):
        ratios = zip(hits / of_said, hits / of_truth, 2 * hits / (of_said + of_truth), strict=True)
    found["by_label"] = [
        [str(name), int(count), *map(float, of_label)]
        for name, count, of_label in zip(names, of_truth, ratios, strict=True)
    ]
    for example in found["worst"]:
        (place,) = example.pop("where")
        for key in ("truth", "says"):
            example[key] = ("not " if example[key] == "0" else "") + str(names[place])
    return found


def _worst(losses: np.ndarray) -> Iterator[tuple[int, int]]:
    """(example, place in it) of the largest losses (N, places), one an example; none of −∞."""
    if losses.shape[1]:
        for i in np.argsort(-losses.max(axis=1), kind="stable")[:WORST].tolist():
            if losses[i].max() > -np.inf:
                yield i, int(losses[i].argmax())


def _shrunk(confusion: np.ndarray, names: list[str]) -> dict[str, Any]:
    """The matrix; of many classes only those that are confused most often."""
    if len(names) <= CLASSES:
        return {"classes": names, "confusion": confusion.tolist(), "classes_of": len(names)}
    errors = confusion.sum(axis=0) + confusion.sum(axis=1) - 2 * np.diag(confusion)
    chosen = np.sort(np.argsort(-errors, kind="stable")[:CLASSES])
    return {
        "classes": [names[i] for i in chosen],
        "confusion": confusion[np.ix_(chosen, chosen)].tolist(),
        "classes_of": len(names),
    }


def _numbers(
    said: np.ndarray, truth: np.ndarray, inputs: list[np.ndarray], words: Words
) -> dict[str, Any]:
    """Numbers (N, ...): what was said against what is, and where they are furthest apart."""
    said, truth = said.astype(np.float64), truth.astype(np.float64)
    if words.units is not None:
        said, truth = words.units(said), words.units(truth)
    pairs = np.stack([truth.reshape(-1), said.reshape(-1)])
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    step = max(1, -(-pairs.shape[1] // POINTS))
    flat_said, flat_truth = (a.reshape(len(truth), -1) for a in (said, truth))
    errors = np.abs(flat_said - flat_truth)
    errors = np.where(np.isfinite(errors) & (errors > 0), errors, -np.inf)
    worst = [
        {
            "row": i,
            "truth": f"{flat_truth[i, place]:.4g}",
            "says": f"{flat_said[i, place]:.4g}",
            "loss": rounded(errors[i, place], 4),
            **words.shown([x[i] for x in inputs]),
        }
        for i, place in _worst(errors)
    ]
    residual = pairs[1] - pairs[0]
    spread = float(((pairs[0] - pairs[0].mean()) ** 2).sum()) if residual.size else 0.0
    return {
        "kind": "numbers",
        "points": [[rounded(v, 5) for v in p] for p in pairs[:, ::step].T],
        "shown_of": int(pairs.shape[1]),
        "unusable": int(truth.size - pairs.shape[1]),
        "mean_absolute": float(np.abs(residual).mean()) if residual.size else None,
        "root_mean_square": math.sqrt(float((residual**2).mean())) if residual.size else None,
        "residuals": histogram(residual),
        "r2": 1 - float((residual**2).sum()) / spread if spread > 0 else None,
        "worst": worst,
    }


def _entries(a: np.ndarray) -> str:
    flat = a.reshape(-1)
    number = "{:.3g}" if a.dtype in FLOATING else "{}"
    text = ", ".join(number.format(float(v) if a.dtype in FLOATING else v) for v in flat[:ENTRIES])
    return text + (f", … ({flat.size} in all)" if flat.size > ENTRIES else "")


def is_picture(a: np.ndarray) -> bool:
    """Whether an example is (H, W), (1, H, W) or (3, H, W) with at least 4 pixels a side.

    >>> is_picture(np.zeros((1, 8, 8))), is_picture(np.zeros(8))
    (True, False)
    """
    if a.dtype.kind not in "fu" and a.dtype not in FLOATING:
        return False
    shape = a.shape[1:] if a.ndim == 3 and a.shape[0] in (1, 3) else a.shape
    return len(shape) == 2 and min(shape) >= 4 and max(shape) <= 8192


def data_uri(a: np.ndarray) -> str:
    """A picture as the address of a PNG that holds it, from its darkest to its lightest value.

    >>> data_uri(np.eye(4))[:22]
    'data:image/png;base64,'
    """
    image = a[None] if a.ndim == 2 else a
    step = max(1, -(-max(image.shape[1:]) // PIXELS))
    image = image[:, ::step, ::step].astype(np.float64)
    image = np.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(image.min()), float(image.max())
    scaled = (image - low) * (255 / (high - low)) if high > low else image * 0
    pixels = np.rint(scaled).astype(np.uint8).transpose(1, 2, 0)
    return png_uri(pixels)
