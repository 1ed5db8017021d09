"""The functions of Tensors: the Array API namespace, read also by op bodies as `xp`."""

import typing as _typing

from .creation import *
from .elementwise import *
from .indexing import *
from .inspection import *
from .inspection import __array_namespace_info__
from .linear_algebra import *
from .manipulation import *
from .reductions import *

if not _typing.TYPE_CHECKING:  # type checkers read the names above, and cannot add up lists
    from ..spelling import FUNCTIONS
    from . import (
        creation,
        elementwise,
        indexing,
        inspection,
        linear_algebra,
        manipulation,
        methods,
        reductions,
    )

    _PARTS = (creation, elementwise, indexing, inspection, linear_algebra, manipulation, reductions)
    __all__ = [name for part in _PARTS for name in part.__all__]
    FUNCTIONS.update(__all__)
    methods.attach()
