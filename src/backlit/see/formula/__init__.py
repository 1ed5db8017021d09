"""A formula typed as text: its value and all its gradients, gate by gate, as a tree."""

from .gates import Differentiation, Edge, Gate, Local, differentiate
from .language import Expression, ExpressionError, parse, parse_value

__all__ = [
    "Differentiation",
    "Edge",
    "Expression",
    "ExpressionError",
    "Gate",
    "Local",
    "differentiate",
    "parse",
    "parse_value",
]
