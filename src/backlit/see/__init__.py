"""What happens at every gate of a computation: values, gradients, and how they got there."""

from . import plot
from .bad_numbers import BadNumber, BadNumbers, bad_numbers
from .check import Cause, CheckResult, check
from .curvature import Curvature, Eigenvalue, curvature
from .diagnose import Diagnosis, Finding, diagnose
from .draw import Drawing, draw
from .explain import Explanation, explain
from .formula import ExpressionError, differentiate
from .jacobians import Jacobian, jacobian
from .live import Breakpoints, breakpoints
from .record import NodeRecord, Record, ScopeRecord
from .recorder import as_record, record
from .samples import Noise, SampleGradients, sample_gradients
from .saved import Saved, SavedArray, saved
from .steps import Stop, breakpoint_at, steps
from .value import Value
from .watch import Watch, watch
from .watching import Recording, recording
from .why import Why, why

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
