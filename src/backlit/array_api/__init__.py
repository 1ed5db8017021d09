"""The functions of Tensors: the Array API namespace, read also by op bodies as `xp`.

Of the standard are `creation`, `elementwise`, `indexing`, `manipulation`, `linear_algebra` (with
products and norms), `reductions`, `searching` (with sorting and sets) and `inspection`. Beside it
stand, with PyTorch's names and the standard's `axis`: `arithmetic`, `special`, `statistics`,
`ranking` (the largest, the median, quantiles), `counting`, `scattering` (writing at indices and
under masks), `pieces` (cutting and laying side by side), `matrices` (diagonals, grids) and
`products`; `decompositions` is what `backlit.linalg` is made of.

`methods` makes the Tensor's operators and methods of them, with `assignment` for `x[key] = value`,
`dialects` for words that NumPy and PyTorch use otherwise, `parts` for `x[0].add_(1)` and `data` for
`x.data`. `namespace` and `primitives` are the functions as op bodies call them; `arguments` makes
axes, shapes and ops canonical.

Which dialect is spoken holds for the whole process: `parts.speak_pytorch`, which `backlit.torch`
calls, replaces `Tensor.__getitem__` and `Tensor.detach` for everybody.
"""

import typing as _typing

from .arithmetic import *
from .counting import *
from .creation import *
from .elementwise import *
from .indexing import *
from .inspection import *
from .inspection import __array_namespace_info__
from .linear_algebra import *
from .manipulation import *
from .matrices import *
from .pieces import *
from .products import *
from .ranking import *
from .reductions import *
from .scattering import *
from .searching import *
from .special import *
from .statistics import *

if not _typing.TYPE_CHECKING:  # type checkers read the names above, and cannot add up lists
    from ..spelling import FUNCTIONS
    from . import (
        arithmetic,
        counting,
        creation,
        elementwise,
        indexing,
        inspection,
        linear_algebra,
        manipulation,
        matrices,
        methods,
        pieces,
        products,
        ranking,
        reductions,
        scattering,
        searching,
        special,
        statistics,
    )

    _PARTS = (
        creation, elementwise, arithmetic, special, indexing, scattering, inspection,
        linear_algebra, products, matrices, manipulation, pieces, reductions, searching, statistics,
        ranking, counting,
    )  # fmt: skip
    __all__ = [name for part in _PARTS for name in part.__all__]
    FUNCTIONS.update(__all__)
    methods.attach()
