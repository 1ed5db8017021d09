"""The functions of Tensors: the Array API namespace, read also by op bodies as `xp`."""

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
        special,
        statistics,
    )

    _PARTS = (
        creation, elementwise, arithmetic, special, indexing, scattering, inspection,
        linear_algebra, products, matrices, manipulation, pieces, reductions, statistics, ranking,
        counting,
    )  # fmt: skip
    __all__ = [name for part in _PARTS for name in part.__all__]
    FUNCTIONS.update(__all__)
    methods.attach()
