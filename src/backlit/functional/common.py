"""What all functions of this package do with their arguments and errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import SIGNED, UNSIGNED, int64, uint64
from ..functions import logical_and
from ..functions import where as choose
from ..tensor import Tensor, as_tensor, where_called

#: The module in which an error happened, to end its message with.
where = where_called


def given(x: Any) -> Tensor:
    """An argument as a Tensor."""
    return x if isinstance(x, Tensor) else as_tensor(x)


def counted_from_front(indices: Tensor, size: int, ignored: int | None = None) -> Tensor:
    """Indices for captured code, in which those below 0 are errors, as they are in eager code.

    Their values are not known yet, and a gather would count them from the end; so they are sent
    behind the end, where it raises, and with them those that int64 does not hold. `ignored` is let
    through.
    """
    if type(indices.array) is np.ndarray:
        return indices
    wide = indices.astype(int64)
    if indices.dtype in UNSIGNED and indices.dtype != uint64:
        return wide
    wrong = wide < 0
    if ignored is not None and ignored < 0 and indices.dtype in SIGNED:
        wrong = logical_and(wrong, wide != ignored)
    return choose(wrong, size, wide)
