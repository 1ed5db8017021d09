"""Softmaxes and normalisations inside a body, with the mistakes that are made in their gradients.

They are recognised by their values, however they are computed: p is a softmax of z along an axis
if p > 0, Σ p = 1 and log p − z is the same along it; h is z normalised if z − mean z is a multiple
of h. Their gradients are usually written as formulas of their own, so a mistake in one is no broken
rule of a step: it is another formula.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .case import RANKS, Candidate, Case, Cause, Prediction
from .experiment import Trial
from .paths import live_tape, pulled, shifts, tape_of
from .unfold import Tape

Form = tuple[str, str, Callable[[np.ndarray], np.ndarray]]  # kind, words, gradient of u


def families(case: Case) -> Iterator[Candidate]:
    """Every mistake in every softmax and normalisation of the body."""
    tape = live_tape(case)
    if tape is None:
        return
    for j, source, name, axes in recognised(tape):
        value, inner = tape.text(("step", j)), tape.text(source, 2)
        forms = FAMILIES[name](tape.steps[j].value, _value(tape, source), axes)
        over = ", ".join(map(str, axes))
        for n, (kind, words, _) in enumerate(forms):
            yield (
                Cause(kind, f"in the gradient of {value}, the {name} of {inner} over axis {over}, "
                      f"{words} (gradient of {case.name})", rank=RANKS["family"] + 0.01 * n,
                      detail={"family": name},
                      fix=f"the gradient of the {name} is {RIGHT[name]}"),
                lambda t, at=(j, source, name, axes), n=n: _with_form(case, t, at, n),
            )  # fmt: skip


def _with_form(case: Case, t: Trial, at: tuple[Any, ...], n: int) -> Prediction:
    tape = tape_of(case, t)
    j, source, name, axes = at
    if tape is None or j >= len(tape.steps):
        return None
    forms = FAMILIES[name](tape.steps[j].value, _value(tape, source), axes)
    if n >= len(forms):
        return None
    with np.errstate(all="ignore"):
        return pulled(case, t, shifts(case, tape), {j: (source, forms[n][2])})


def recognised(tape: Tape) -> Iterator[tuple[int, tuple[str, Any], str, tuple[int, ...]]]:
    """(step, what it is made of, the family's name, the axes) for each that is recognised."""
    inputs = [("input", k) for k, x in enumerate(tape.inputs) if isinstance(x, np.ndarray)]
    for j, step in enumerate(tape.steps):
        p = step.value
        if p.dtype.kind != "f" or p.ndim == 0 or p.size < 2:
            continue
        found = False
        for source in (*inputs, *(("step", i) for i in range(j))):
            z = _value(tape, source)
            if z.shape != p.shape or z.dtype.kind != "f" or np.array_equal(z, p):
                continue
            for count in (1, 2, 3):
                for axes in itertools.combinations(range(p.ndim), count):
                    name = _family(p, z, axes)
                    if name and not found:
                        found = True
                        yield j, source, name, axes
            if found:
                break


def _family(p: np.ndarray, z: np.ndarray, axes: tuple[int, ...]) -> str:
    if all(p.shape[a] < 2 for a in axes):
        return ""
    with np.errstate(all="ignore"):
        if len(axes) == 1:
            if (p >= 0).all() and np.allclose(p.sum(axes), 1):
                known = p > 1e-30
                shift = np.where(known, np.log(np.where(known, p, 1)) - z, np.nan)
                if np.nanmax(np.nanmax(shift, axes) - np.nanmin(shift, axes)) < 1e-8:
                    return "softmax"
            if np.allclose(np.exp(p).sum(axes), 1) and np.ptp(p - z, axes[0]).max() < 1e-8:
                return "log-softmax"
        centred = z - z.mean(axes, keepdims=True)
        if np.allclose(p.mean(axes), 0, atol=1e-9) and np.abs(p).max() > 0.1:
            size = _rms(centred, axes) / _rms(p, axes)
            if np.allclose(centred, p * size) and np.allclose(_rms(p, axes), 1, atol=0.02):
                return "normalisation"
        if np.allclose(_rms(p, axes), 1, atol=1e-4) and np.allclose(
            z, p * _rms(z, axes), atol=1e-4
        ):
            return "normalisation to size 1"
    return ""


def _rms(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.asarray(np.sqrt((x * x).mean(axes, keepdims=True)))


def _value(tape: Tape, source: tuple[str, Any]) -> np.ndarray:
    return np.asarray(
        tape.inputs[source[1]] if source[0] == "input" else tape.steps[source[1]].value
    )


def _others(p: np.ndarray, axes: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """Sets of axes that a sum may run over by mistake, in words."""
    for a in range(p.ndim):
        if (a,) != axes:
            yield f"axis {a}", (a,)
    if len(axes) < p.ndim:
        yield "all axes", tuple(range(p.ndim))


def _softmax(p: np.ndarray, z: np.ndarray, axes: tuple[int, ...]) -> list[Form]:
    def total(u: np.ndarray, axes: Any = axes) -> np.ndarray:
        return np.asarray((u * p).sum(axes, keepdims=True))

    forms: list[Form] = [
        ("diagonal only", "only the diagonal p (1 − p) is used", lambda u: u * p * (1 - p)),
        ("path missing", "the term − p Σ u p is missing", lambda u: u * p),
        ("term sign", "the term p Σ u p has the wrong sign", lambda u: p * (u + total(u))),
        ("factor missing", "the factor p is missing inside the sum",
         lambda u: p * (u - u.sum(axes, keepdims=True))),
        ("factor missing", "the factor p before u − Σ u p is missing", lambda u: u - total(u)),
        ("factor missing", "the factor p is missing before the sum", lambda u: u * p - total(u)),
        ("factor missing", "the factor p is missing at u", lambda u: u - p * total(u)),
        ("mean or sum", "a mean stands where the sum of u p belongs",
         lambda u: p * (u - (u * p).mean(axes, keepdims=True))),
        ("factor extra", "the factor p is there twice", lambda u: p * p * (u - total(u))),
        ("factor extra", "u is multiplied by p first", lambda u: p * (p * u - total(p * u))),
        ("local gradient missing", "it is left out", lambda u: u),
        ("path missing", "only the term − p Σ u p is there", lambda u: -p * total(u)),
    ]  # fmt: skip
    for words, wrong in _others(p, axes):

        def softmax(u: np.ndarray, wrong: Any = wrong) -> np.ndarray:
            return np.asarray(p * (u - total(u, wrong)))

        forms.append(("wrong axis", f"the sum of u p runs over {words}", softmax))
    return forms


def _log_softmax(y: np.ndarray, z: np.ndarray, axes: tuple[int, ...]) -> list[Form]:
    p, n = np.exp(y), int(np.prod([y.shape[a] for a in axes]))

    def total(u: np.ndarray, axes: Any = axes) -> np.ndarray:
        return np.asarray(u.sum(axes, keepdims=True))

    forms: list[Form] = [
        ("factor replaced", "y stands where exp y belongs", lambda u: u - y * total(u)),
        ("sum missing", "the sum of u is missing", lambda u: u - p * u),
        ("path missing", "the term − exp(y) Σ u is missing", lambda u: u),
        ("term sign", "the term exp(y) Σ u has the wrong sign", lambda u: u + p * total(u)),
        ("factor missing", "the factor exp y is missing", lambda u: u - total(u)),
        ("factor replaced", "1/n stands where exp y belongs", lambda u: u - total(u) / n),
        ("mean or sum", "a mean stands where the sum of u belongs",
         lambda u: u - p * total(u) / n),
        ("path missing", "only the term − exp(y) Σ u is there", lambda u: -p * total(u)),
        ("factor replaced", "the gradient is that of the softmax",
         lambda u: p * (u - (u * p).sum(axes, keepdims=True))),
    ]  # fmt: skip
    for words, wrong in _others(y, axes):

        def log_softmax(u: np.ndarray, wrong: Any = wrong) -> np.ndarray:
            return np.asarray(u - p * total(u, wrong))

        forms.append(("wrong axis", f"the sum of u runs over {words}", log_softmax))
    return forms


def _normalisation(h: np.ndarray, z: np.ndarray, axes: tuple[int, ...]) -> list[Form]:
    n = int(np.prod([h.shape[a] for a in axes]))
    size = _rms(z - z.mean(axes, keepdims=True), axes) / _rms(h, axes)

    def mean(u: np.ndarray, axes: Any = axes) -> np.ndarray:
        return np.asarray(u.mean(axes, keepdims=True))

    def along(u: np.ndarray, axes: Any = axes) -> np.ndarray:
        return np.asarray(h * (u * h).mean(axes, keepdims=True))

    forms: list[Form] = [
        ("path missing", "the mean term is missing", lambda u: (u - along(u)) / size),
        ("path missing", "the variance term is missing", lambda u: (u - mean(u)) / size),
        ("path missing", "the mean and the variance term are missing",
         lambda u: u / size),
        ("term sign", "the variance's term has the wrong sign",
         lambda u: (u - mean(u) + along(u)) / size),
        ("term sign", "the mean's term has the wrong sign",
         lambda u: (u + mean(u) - along(u)) / size),
        ("mean or sum", "the variance's term is a sum where a mean belongs: 1/n is missing",
         lambda u: (u - mean(u) - n * along(u)) / size),
        ("mean or sum", "the mean's term is a sum where a mean belongs: 1/n is missing",
         lambda u: (u - n * mean(u) - along(u)) / size),
        ("mean or sum", "1/n is missing in the terms of the mean and the variance",
         lambda u: (u - n * mean(u) - n * along(u)) / size),
        ("mean or sum", "u is not multiplied by n: its term is n times too small",
         lambda u: (u / n - mean(u) - along(u)) / size),
        ("factor missing", "the division by σ is missing", lambda u: u - mean(u) - along(u)),
        ("factor extra", "it is divided by σ twice", lambda u: (u - mean(u) - along(u)) / size**2),
        ("factor replaced", "it is multiplied by σ, not divided",
         lambda u: (u - mean(u) - along(u)) * size),
        ("factor missing", "the factor h is missing in the variance's sum",
         lambda u: (u - mean(u) - h * mean(u)) / size),
        ("factor missing", "the factor h is missing before the variance's mean",
         lambda u: (u - mean(u) - mean(u * h)) / size),
        ("factor replaced", "σ is replaced by σ³ in the variance's term or left out there",
         lambda u: (u - mean(u)) / size - along(u) / size**3),
        ("factor extra", "σ² is missing in the variance's term",
         lambda u: (u - mean(u)) / size - along(u) * size),
        ("constant", "the variance's term is there twice: the 2 of the square or its ½",
         lambda u: (u - mean(u) - 2 * along(u)) / size),
        ("constant", "the variance's term is half of what it must be",
         lambda u: (u - mean(u) - 0.5 * along(u)) / size),
        ("constant", "the variance's term is counted n/(n − 1) times: σ of a sample",
         lambda u: (u - mean(u) - along(u) * n / max(n - 1, 1)) / size),
        ("local gradient missing", "it is left out", lambda u: u),
        ("path missing", "the direct path is missing", lambda u: -(mean(u) + along(u)) / size),
    ]  # fmt: skip
    for a, m in enumerate(h.shape):
        if m not in (1, n):

            def miscounted(u: np.ndarray, c: float = n / m) -> np.ndarray:
                return np.asarray((u - c * (mean(u) + along(u))) / size)

            words = f"{m}, the size of axis {a}, stands where {n} belongs: 1/n of both terms"
            forms.append(("mean or sum", words, miscounted))
    for words, wrong in _others(h, axes):
        for term, first, second in (
            ("mean's", wrong, axes), ("variance's", axes, wrong),
            ("mean's and the variance's", wrong, wrong),
        ):  # fmt: skip

            def normalised(u: np.ndarray, first: Any = first, second: Any = second) -> np.ndarray:
                return np.asarray((u - mean(u, first) - along(u, second)) / size)

            forms.append(("wrong axis", f"the {term} term runs over {words}", normalised))
    return forms


def _to_size_one(h: np.ndarray, z: np.ndarray, axes: tuple[int, ...]) -> list[Form]:
    n = int(np.prod([h.shape[a] for a in axes]))
    size = _rms(z, axes) / _rms(h, axes)

    def along(u: np.ndarray, axes: Any = axes) -> np.ndarray:
        return np.asarray(h * (u * h).mean(axes, keepdims=True))

    forms: list[Form] = [
        ("path missing", "the term of the size is missing", lambda u: u / size),
        ("term sign", "the size's term has the wrong sign", lambda u: (u + along(u)) / size),
        ("mean or sum", "the size's term is a sum where a mean belongs",
         lambda u: (u - n * along(u)) / size),
        ("factor missing", "the division by the size is missing", lambda u: u - along(u)),
        ("factor missing", "the factor h is missing before the size's mean",
         lambda u: (u - (u * h).mean(axes, keepdims=True)) / size),
        ("factor replaced", "a power of the size is wrong in its term",
         lambda u: u / size - along(u)),
        ("factor replaced", "a power of the size is wrong in its term",
         lambda u: u / size - along(u) / size**2),
        ("constant", "the size's term is there twice", lambda u: (u - 2 * along(u)) / size),
        ("constant", "the size's term is half of what it must be",
         lambda u: (u - 0.5 * along(u)) / size),
    ]  # fmt: skip
    for words, wrong in _others(h, axes):

        def to_size_one(u: np.ndarray, wrong: Any = wrong) -> np.ndarray:
            return np.asarray((u - along(u, wrong)) / size)

        forms.append(("wrong axis", f"the size's term runs over {words}", to_size_one))
    return forms


FAMILIES: dict[str, Callable[[np.ndarray, np.ndarray, tuple[int, ...]], list[Form]]] = {
    "softmax": _softmax,
    "log-softmax": _log_softmax,
    "normalisation": _normalisation,
    "normalisation to size 1": _to_size_one,
}
#: What arrives is u.
RIGHT = {
    "softmax": "p (u − Σ u p)",
    "log-softmax": "u − exp(y) Σ u",
    "normalisation": "(u − mean u − h mean(u h)) / σ",
    "normalisation to size 1": "(u − h mean(u h)) / size",
}
