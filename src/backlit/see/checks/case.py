"""One wrong gradient, what a cause is, and whether a cause's prediction fits."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...op import Op
from .experiment import Experiment, Trial

#: How far a prediction may be off, of the largest element, beyond the error bands.
FIT = 2e-5


@dataclass
class Cause:
    """One explanation of a wrong gradient.

    `kind` is one of KINDS, `title` the sentence, `evidence` what was compared, `fix` what to write.
    Lower `rank` is simpler: see RANKS.
    """

    kind: str
    title: str
    input: str = ""
    evidence: str = ""
    fix: str = ""
    rank: float = 0.0
    detail: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.title


KINDS = {
    "sign": "the sign is wrong",
    "zero": "no gradient arrives",
    "constant": "a constant factor is wrong",
    "mean or sum": "a mean where a sum belongs, or the other way round",
    "upstream forgotten": "the upstream gradient is not used",
    "upstream twice": "the upstream gradient is used twice",
    "upstream summed": "the upstream gradient is folded into one number",
    "inputs exchanged": "two inputs, or their gradients, are exchanged",
    "transposed": "axes are transposed or permuted",
    "flipped": "an axis runs the wrong way",
    "kernel not flipped": "the other input is used the wrong way round",
    "shifted": "elements are off by one",
    "sum missing": "a sum over an axis is missing",
    "overwritten": "overwritten where it should be accumulated",
    "summed too much": "summed over an axis too many",
    "factor missing": "a factor is missing",
    "factor extra": "a factor too many",
    "factor replaced": "one quantity is used where another belongs",
    "mask missing": "a mask is missing",
    "mask extra": "a mask too many",
    "diagonal only": "only the diagonal of the Jacobian is used",
    "path missing": "the gradient of one path is missing",
    "term sign": "one term has the wrong sign",
    "local gradient missing": "the local gradient of one step is missing",
    "wrong axis": "a sum, a mean or another function runs over the wrong axis",
    "term extra": "a term too many",
    "mask wrong": "a mask is made of the wrong quantity, or the wrong way round",
    "parentheses": "parentheses stand in the wrong place",
    "index": "an index, a slice or a range takes the wrong elements",
    "ties": "tied elements get the wrong share",
    "shape": "the gradient has the wrong shape",
    "raises": "the backward raises",
    "in place": "backward writes to what it was given",
    "edit": "one change of the backward's text makes it right",
    "cut": "a path is cut off from the tape",
}

#: How far-fetched a mistake is; of those that fit the least is named first. The scale:
#: below 4  no knowledge of the op is needed, and nothing simpler could be meant
#: 4 to 7   the right numbers, in the wrong places, or some of them missing
#: 7 to 8   a mask, a factor or a path of the op too many or too few
#: 8 to 10  two things at once, or one in the place of another
#: from 10  almost anything can be made to fit so: a changed text, a number without a name
#: A quantity that is more intricate adds up to 1 to a factor's rank, an axis hundredths.
RANKS = {
    "zero": 0.0,
    "sign": 1.0,
    "upstream": 2.0,
    "constant": 3.0,
    "gradients exchanged": 4.0,
    "saved values exchanged": 4.5,
    "ties": 5.0,
    "transposed": 5.0,
    "upstream transposed": 5.2,
    "input turned": 5.3,
    "flipped": 5.5,
    "upstream flipped": 5.6,
    "shifted": 5.8,
    "another order": 5.9,
    "one row": 7.55,
    "summed over an axis": 6.2,
    "summed over all": 6.3,
    "last use": 6.5,
    "first use": 6.6,
    "Jacobian transposed": 6.8,
    "factor": 6.9,
    "diagonal only": 7.0,
    "mask extra": 7.1,
    "mask missing": 7.2,
    "path missing in the body": 7.5,
    "term sign in the body": 7.6,
    "family": 7.4,
    "local gradient missing in the body": 7.7,
    "wrong axis in the body": 7.65,
    "transposed in the body": 7.66,
    "overwritten in the body": 7.67,
    "operand replaced": 7.8,
    "factor in the body": 7.85,
    "term counted": 7.9,
    "local gradient missing": 8.0,
    "factor and constant": 8.5,
    "factor replaced": 9.0,
    "two factors": 9.2,
    "some elements masked": 9.5,
    "edit": 10.0,
    "factor and nameless constant": 11.0,
    "term counted, nameless": 11.5,
    "nameless constant": 12.0,
    "derivative replaced": 12.0,
}
#: Causes simpler than this need no search for others.
PLAIN = 4
#: Several edges of one path give the same prediction: one of them is enough.
ONE_OF_A_KIND = frozenset({"path missing", "term sign", "local gradient missing"})

#: The measured elements as a mistake makes them, and for which of them that is said.
Covered = tuple[np.ndarray, np.ndarray]
#: The measured elements as a mistake makes them: all, or some. None: the mistake is not possible.
Prediction = np.ndarray | Covered | None


@dataclass
class Case:
    """One wrong gradient: what one input got at every trial, beside what was measured."""

    experiment: Experiment
    op: Op
    position: int
    trials: list[Trial]
    got: list[np.ndarray]  # of the measured elements
    whole: list[np.ndarray]  # of all elements, in the input's shape
    compared: int = 0  # elements of which the last prediction that fitted said something
    measured: int = 0

    @property
    def name(self) -> str:
        """The input's name."""
        return self.experiment.names[self.position]

    @property
    def complete(self) -> bool:
        """Whether every element was measured."""
        columns = self.trials[0].columns[self.position]
        return len(columns.index) == self.trials[0].inputs[self.position].size

    @property
    def diagonal(self) -> bool:
        """Whether each element of the output depends on that element of the input alone."""
        t = self.trials[0]
        jacobian = t.columns[self.position].jacobian
        flat = np.abs(jacobian.reshape(len(jacobian), -1))
        if not self.complete or flat.shape[0] != flat.shape[1]:
            return False
        return float(np.max(flat - np.diag(np.diagonal(flat)))) <= 1e-7 * float(np.max(flat))

    def shaped(self, t: Trial, values: np.ndarray) -> np.ndarray:
        """Measured elements as the whole input (if `complete`)."""
        return values.reshape(t.inputs[self.position].shape)

    @functools.cached_property
    def _judged(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
        """For each trial: which elements have a slope, which of them differ from what was measured,
        how far a prediction of each may be off, and how large they are.
        """
        found = []
        for t, got in zip(self.trials, self.got, strict=True):
            want, smooth = t.want(self.position), t.smooth(self.position)
            scale = max(np.max(np.abs(got), initial=0), np.max(np.abs(want), initial=0), 1e-30)
            allowed = FIT * scale + 30 * t.columns[self.position].pulled_band(t.upstream)
            found.append((smooth, smooth & (np.abs(got - want) > allowed), allowed, float(scale)))
        return found

    def fits(self, predict: Callable[[Trial], Prediction]) -> float | None:
        """The largest relative deviation of a prediction from what was got, None if it fails."""
        worst, covered, wrong = 0.0, 0, 0
        self.compared = self.measured = 0
        for t, got, judged in zip(self.trials, self.got, self._judged, strict=True):
            p = predict(t)
            if p is None:
                return None
            p, mask = p if isinstance(p, tuple) else (p, None)
            if p.shape != got.shape:
                return None
            smooth, differs, allowed, scale = judged
            usable = smooth if mask is None else smooth & mask
            wrong += int(differs.sum())
            covered += int((differs & usable).sum())
            off = np.abs(p - got)[usable]
            self.compared += off.size
            self.measured += int(smooth.sum())
            if off.size == 0:
                continue
            if not (off <= allowed[usable]).all():
                return None
            worst = max(worst, float(off.max() / scale))
        # A prediction that says nothing about most of what is wrong explains nothing.
        return worst if 2 * covered >= wrong and covered else None


#: A cause, and the function from a Trial to its prediction. (mypy infers no lambda with defaults.)
Candidate = tuple[Cause, Any]


def given(case: Case, t: Trial) -> np.ndarray:
    """What was got at one of the case's trials."""
    return case.got[next(i for i, other in enumerate(case.trials) if other is t)]
