"""From Python functions to graphs, and from graphs to results."""

from .api import CompiledFunction, compile, interpreter, native
from .capture.graph import Equation, Graph, Variable
from .capture.interpreter import interpret
from .eager import (
    get_native_ops,
    native_ops_cache_clear,
    native_ops_cache_info,
    set_native_ops,
)
from .plan.threads import get_threads, set_threads

__all__ = [
    "CompiledFunction",
    "Equation",
    "Graph",
    "Variable",
    "compile",
    "get_native_ops",
    "get_threads",
    "interpret",
    "interpreter",
    "native",
    "native_ops_cache_clear",
    "native_ops_cache_info",
    "set_native_ops",
    "set_threads",
]
