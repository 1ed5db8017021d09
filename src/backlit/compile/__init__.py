"""From Python functions to graphs, and from graphs to results."""

from .api import CompiledFunction, compile, interpreter, native
from .capture import capture
from .eager import (
    get_native_ops,
    native_ops_cache_clear,
    native_ops_cache_info,
    set_native_ops,
)
from .graph import Equation, Graph, Variable
from .interpreter import interpret
from .threads import get_threads, set_threads

__all__ = [
    "CompiledFunction",
    "Equation",
    "Graph",
    "Variable",
    "capture",
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
