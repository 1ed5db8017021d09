"""PyTorch's words: its functions and methods of Tensors, made of ours.

`table` says what PyTorch calls things, `translate` makes functions of its lines, `functions` has
those for which another name is not enough, `methods` gives them to the Tensor. `backlit.torch` is
the room in which they stand under PyTorch's own paths.
"""

from . import methods
