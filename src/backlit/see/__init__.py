"""What happens at every gate of a computation: values, gradients, and how they got there."""

from .formula import ExpressionError, differentiate
from .record import NodeRecord, Record, ScopeRecord
from .recorder import as_record, record
from .value import Value
from .watching import Recording, recording

__all__ = [
    "ExpressionError",
    "NodeRecord",
    "Record",
    "Recording",
    "ScopeRecord",
    "Value",
    "as_record",
    "differentiate",
    "record",
    "recording",
]
