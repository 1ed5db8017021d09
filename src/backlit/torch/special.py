"""`torch.special`: functions of `torch`, some by other names, and a few of its own."""

from __future__ import annotations

from ..calls import explain as _explain
from ..dialect.attach import FUNCTIONS as _FUNCTIONS
from ..dialect.special import *
from .mirror import mirrored as _mirrored
from .mirror import names as _names

#: PyTorch's name here, and in `torch`.
_SAME = """
digamma erf erfc erfinv exp2 expm1 i0 log1p log_softmax logit logsumexp polygamma round sinc softmax
xlogy expit=sigmoid gammaln=lgamma psi=digamma
"""

globals().update(
    {
        name: _FUNCTIONS[theirs or name]
        for name, _, theirs in (word.partition("=") for word in _SAME.split())
    }
)
_explain(__name__, _names(__name__))

__getattr__ = _mirrored("torch.special")


def __dir__() -> list[str]:
    return _names(__name__)
