"""`torch.nn.functional`: Backlit's, and those functions of `torch` that PyTorch has here, too."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from ...dialect.attach import FUNCTIONS as _FUNCTIONS
from ...nn import functional as _ours
from ...nn.functional import *
from ..mirror import mirrored as _mirrored
from ..mirror import names as _names

one_hot = _FUNCTIONS["one_hot"]


def _with_input(function: Any) -> Any:
    """A function whose first argument, which is x here, may be given as `input`, as in PyTorch."""

    @functools.wraps(function)
    def named(*args: Any, **options: Any) -> Any:
        if "input" in options:
            args = (options.pop("input"), *args)
        return function(*args, **options)

    return named


globals().update(
    {
        name: _with_input(function)
        for name, function in ((n, getattr(_ours, n)) for n in _ours.__all__)
        if inspect.isfunction(function)
        and next(iter(inspect.signature(function).parameters)) == "x"
    }
)

__getattr__ = _mirrored("torch.nn.functional", _ours)


def __dir__() -> list[str]:
    return _names(__name__, _ours)
