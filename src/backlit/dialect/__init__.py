"""PyTorch's words: its functions and methods of Tensors, made of ours.

`table` says what PyTorch calls things, and `translate` makes functions of its lines. `functions`
and `pieces` have those for which another name is not enough, `methods` and `in_place` those that
are methods alone. `attach` gives them all to the Tensor. `backlit.torch` is the room in which they
stand under PyTorch's own paths.
"""

from typing import TYPE_CHECKING

from . import attach

if not TYPE_CHECKING:

    def __getattr__(name):
        """A function of the table: here pickle looks for it."""
        if name in attach.FUNCTIONS:
            return attach.FUNCTIONS[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
