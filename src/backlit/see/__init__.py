"""What happens at every gate of a computation: values, gradients, and how they got there."""

from . import plot
from .checks import Cause, CheckResult, check
from .find.bad_numbers import BadNumber, BadNumbers, bad_numbers
from .find.diagnose import Diagnosis, Finding, diagnose
from .find.why import Why, why
from .formula.language import ExpressionError
from .formula.tree import differentiate
from .measure.breakpoints import Breakpoints, breakpoints
from .measure.curvature import Curvature, Eigenvalue, curvature
from .measure.samples import Noise, SampleGradients, sample_gradients
from .measure.saved import Saved, SavedArray, saved
from .measure.statistics import Watch, watch
from .records.from_block import Recording, recording
from .records.from_tape import as_record, record
from .records.model import Record
from .records.parts import NodeRecord, ScopeRecord
from .records.value import Value
from .show.draw import Drawing, draw
from .show.explain import Explanation, explain
from .show.jacobians import Jacobian, jacobian
from .show.steps import Stop, breakpoint_at, steps

__all__ = [
    "BadNumber",
    "BadNumbers",
    "Breakpoints",
    "Cause",
    "CheckResult",
    "Curvature",
    "Diagnosis",
    "Drawing",
    "Eigenvalue",
    "Explanation",
    "ExpressionError",
    "Finding",
    "Jacobian",
    "NodeRecord",
    "Noise",
    "Record",
    "Recording",
    "SampleGradients",
    "Saved",
    "SavedArray",
    "ScopeRecord",
    "Stop",
    "Value",
    "Watch",
    "Why",
    "as_record",
    "bad_numbers",
    "breakpoint_at",
    "breakpoints",
    "check",
    "curvature",
    "diagnose",
    "differentiate",
    "draw",
    "explain",
    "jacobian",
    "plot",
    "record",
    "recording",
    "sample_gradients",
    "saved",
    "steps",
    "watch",
    "why",
]
