"""What can go wrong, as types: every error Backlit raises on purpose is one of these.

A message has four parts: the op and argument, the condition with symbols and values, where it
happened (module path) and what to do.
"""

from __future__ import annotations

#: For an argument that turned out to be empty.
READ_ONCE = "; a generator, such as model.parameters(), can be read only once: make it anew"


class BacklitError(RuntimeError):
    """Base of all errors that Backlit raises on purpose.

    PyTorch raises RuntimeError for most of them, and `except RuntimeError` catches these, too.
    """


class ShapeError(BacklitError, ValueError):
    """Shapes, axes or sizes do not fit together."""


class DTypeError(BacklitError, TypeError):
    """An element type is not allowed here."""


class ArgumentError(BacklitError, ValueError):
    """An argument has a value outside its allowed range."""


class CallError(BacklitError, TypeError):
    """A function is called with an argument that it does not take, or without one it needs."""


class IndexRangeError(BacklitError, IndexError):
    """An index or a label lies outside its axis."""


class TraceError(BacklitError, TypeError):
    """A concrete value was requested while a function was being captured."""


class CompileError(BacklitError):
    """No machine code could be made of a captured function."""


class GradientError(BacklitError):
    """A gradient was requested where none exists."""


class GraphFreedError(GradientError):
    """The graph was walked before and its saved values are gone."""


class GradcheckError(BacklitError, AssertionError):
    """An analytic gradient differs from the numerical one."""


class DataError(BacklitError, ValueError):
    """A data file or a checkpoint is missing, truncated or of a foreign format."""


class MissingFileError(DataError, FileNotFoundError):
    """There is no such file."""


class WorkerError(BacklitError, ChildProcessError):
    """A process that makes batches has died, or does not answer."""


class NonFiniteError(BacklitError, FloatingPointError):
    """A loss became NaN or infinite."""


class SpellingError(BacklitError, AttributeError):
    """A name of NumPy or PyTorch has another spelling here."""


class MissingDependencyError(BacklitError, ImportError):
    """An optional package is needed for this feature."""
