"""What happens at every gate of a computation: values, gradients, and how they got there."""

from .bad_numbers import BadNumber, BadNumbers, bad_numbers
from .check import Cause, CheckResult, check
from .diagnose import Diagnosis, Finding, diagnose
from .draw import Drawing, draw
from .explain import Explanation, explain
from .formula import ExpressionError, differentiate
from .jacobians import Jacobian, jacobian
from .record import NodeRecord, Record, ScopeRecord
from .recorder import as_record, record
from .steps import Stop, breakpoint_at, steps
from .value import Value
from .watching import Recording, recording
from .why import Why, why

__all__ = [
    "BadNumber",
    "BadNumbers",
    "Cause",
    "CheckResult",
    "Diagnosis",
    "Drawing",
    "Explanation",
    "ExpressionError",
    "Finding",
    "Jacobian",
    "NodeRecord",
    "Record",
    "Recording",
    "ScopeRecord",
    "Stop",
    "Value",
    "Why",
    "as_record",
    "bad_numbers",
    "breakpoint_at",
    "check",
    "diagnose",
    "differentiate",
    "draw",
    "explain",
    "jacobian",
    "record",
    "recording",
    "steps",
    "why",
]
