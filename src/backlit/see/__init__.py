"""What happens at every gate of a computation: values, gradients, and how they got there.

Six rooms, lowest first; each knows those before it only (a test in `tests/house` holds that):

- `records`: a record of a computation is made, kept and read; all that is shown is read off one.
- `checks`: is a derivative right? It is measured, and a difference is explained.
- `show`: a record for the eye: gate by gate, path by path, drawn; the structure of a derivative.
- `formula`: a formula typed as text, computed, recorded and told as a tree of gates.
- `find`: what went wrong: the first NaN, a gradient that is missing, a model that does not train.
- `measure`: looking while it runs, and numbers of a loss: per sample, to second order, in bytes.

Beside them: `told` (lines with colours) below all, `problem` (a model with its batch and loss)
above `records`, and `plot` (pictures for papers) above `show`.
"""

from ..calls import explain as _explain
from . import plot
from .checks import Cause, CheckResult, check
from .find.bad_numbers import BadNumber, BadNumbers, bad_numbers
from .find.diagnose import Diagnosis, Finding, diagnose
from .find.parting import Comparison, Difference, compare
from .find.why import Why, why
from .formula.language import ExpressionError
from .formula.tree import differentiate
from .measure.averages import Averages, averages
from .measure.breakpoints import Breakpoints, breakpoints
from .measure.curvature import Curvature, Eigenvalue, curvature
from .measure.descend import Descent, descend
from .measure.history import History, history
from .measure.layers import Layer, Summary, summary
from .measure.operations import Operation, Operations, operations
from .measure.samples import Noise, SampleGradients, sample_gradients
from .measure.saved import Saved, SavedArray, saved
from .measure.statistics import Watch, watch
from .measure.surface import Surface, surface
from .measure.update import Update, update
from .records.from_block import Recording, recording
from .records.from_tape import as_record, record
from .records.model import Record
from .records.parts import NodeRecord, ScopeRecord
from .records.value import Value
from .show.draw import Drawing, draw
from .show.explain import Explanation, explain
from .show.jacobians import Jacobian, jacobian
from .show.notebook import jacobian_html as _jacobian_html
from .show.notebook import record_html as _record_html
from .show.steps import Stop, breakpoint_at, steps
from .show.what_if import Change, WhatIf, what_if

__all__ = [
    "Averages",
    "BadNumber",
    "BadNumbers",
    "Breakpoints",
    "Cause",
    "Change",
    "CheckResult",
    "Comparison",
    "Curvature",
    "Descent",
    "Diagnosis",
    "Difference",
    "Drawing",
    "Eigenvalue",
    "Explanation",
    "ExpressionError",
    "Finding",
    "History",
    "Jacobian",
    "Layer",
    "NodeRecord",
    "Noise",
    "Operation",
    "Operations",
    "Record",
    "Recording",
    "SampleGradients",
    "Saved",
    "SavedArray",
    "ScopeRecord",
    "Stop",
    "Summary",
    "Surface",
    "Update",
    "Value",
    "Watch",
    "WhatIf",
    "Why",
    "as_record",
    "averages",
    "bad_numbers",
    "breakpoint_at",
    "breakpoints",
    "check",
    "compare",
    "curvature",
    "descend",
    "diagnose",
    "differentiate",
    "draw",
    "explain",
    "history",
    "jacobian",
    "operations",
    "plot",
    "record",
    "recording",
    "sample_gradients",
    "saved",
    "steps",
    "summary",
    "surface",
    "update",
    "watch",
    "what_if",
    "why",
]

_explain(__name__, __all__)
for _type, _show in ((Record, _record_html), (Jacobian, _jacobian_html)):
    setattr(_type, "_repr_html_", _show)  # noqa: B010 (rooms know those before them only)
