"""What is known of a wrong gradient that no mistake explains: where it is wrong, and how."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .case import FIT, Case

#: Which share of a row must agree for it to be called right.
_TINY = 1e-9


def pattern(case: Case) -> list[str]:
    """Sentences that are true of the gradient of one input at every point."""
    said = [set(_sentences(case, n)) for n in range(len(case.trials))]
    order = list(_sentences(case, 0))
    return [s for s in order if all(s in others for others in said)]


def _sentences(case: Case, n: int) -> Iterator[str]:
    t, got = case.trials[n], case.got[n]
    want, name = t.want(case.position), case.name
    scale = max(float(np.max(np.abs(want), initial=0)), 1e-30)
    allowed = FIT * scale + 30 * t.columns[case.position].pulled_band(t.upstream)
    wrong = np.abs(got - want) > allowed
    if not wrong.any():
        return
    if wrong.all():
        yield f"every element of the gradient of {name} is wrong"
    elif (got[wrong] == 0).all():
        yield f"the gradient of {name} is 0 wherever it is wrong, and right elsewhere"
    elif (np.abs(want[wrong]) <= allowed[wrong]).all():
        yield f"the gradient of {name} is wrong only where it must be 0"
    if np.allclose(np.abs(got), np.abs(want), rtol=0, atol=float(np.max(allowed))):
        yield f"the gradient of {name} is wrong in its signs only"
    if not case.complete:
        return
    full, off = case.shaped(t, got), case.shaped(t, wrong.astype(float)) > 0
    right = case.shaped(t, want)
    for a in range(full.ndim):
        others = tuple(b for b in range(full.ndim) if b != a)
        lines = np.asarray(off.any(axis=others)).reshape(-1)
        if 0 < lines.sum() < len(lines):
            indices = ", ".join(str(int(i)) for i in np.flatnonzero(lines)[:6])
            more = " and more" if lines.sum() > 6 else ""
            yield f"the gradient of {name} is wrong at index {indices}{more} of axis {a} only"
        if full.ndim > 1 and full.shape[a] > 1 and np.ptp(full, axis=a).max() <= _TINY * scale:
            if np.ptp(right, axis=a).max() > 1e-3 * scale:
                yield f"the gradient of {name} is the same all along axis {a}, and must not be"
        elif full.ndim > 1 and full.shape[a] > 1:
            with np.errstate(all="ignore"):
                ratio = full / right
            if (
                np.isfinite(ratio).all()
                and np.ptp(ratio, axis=a).max() < 1e-5 * np.abs(ratio).max()
            ):
                yield f"got / should be is the same all along axis {a} of the gradient of {name}"
