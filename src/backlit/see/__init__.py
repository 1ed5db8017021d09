"""What happens at every gate of a computation: values, gradients, and how they got there."""

from .draw import Drawing, draw
from .formula import ExpressionError, differentiate
from .record import NodeRecord, Record, ScopeRecord
from .recorder import as_record, record
from .steps import Stop, breakpoint_at, steps
from .value import Value
from .watching import Recording, recording

__all__ = [
    "Drawing",
    "ExpressionError",
    "NodeRecord",
    "Record",
    "Recording",
    "ScopeRecord",
    "Stop",
    "Value",
    "as_record",
    "breakpoint_at",
    "differentiate",
    "draw",
    "record",
    "recording",
    "steps",
]
