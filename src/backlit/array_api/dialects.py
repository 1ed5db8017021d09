"""NumPy's words and PyTorch's in one method: which of the two a call of a Tensor's method speaks.

The word decides. `axis`, `keepdims` and `correction` are NumPy's; `dim`, `keepdim` and `unbiased`
are PyTorch's. Most methods mean the same in both. Where they do not and no word says which is
meant, the call raises and says both ways; once `backlit.torch` has been imported it is PyTorch's.
So that import makes results of these errors. What else it changes: parts and what is detached write
through (`parts`), and an index of uint8 is a mask (`indexing.is_mask`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..errors import ArgumentError, SpellingError

#: What was not said: None is an axis, too.
UNSAID: Any = type("Unsaid", (), {"__repr__": lambda self: "unsaid"})()


class _Spoken:
    """What is spoken where no word says so."""

    pytorch = False


SPOKEN = _Spoken()


class Ways(NamedTuple):
    """How a call that is ambiguous is written in each dialect, and what it then gives."""

    numpy: str
    means: str
    pytorch: str
    gives: str


#: The calls of methods that mean two things, by what the user typed.
AMBIGUOUS = {
    "x.std()": Ways("x.std(correction=0)", "Σ/N", "x.std(correction=1)", "Σ/(N - 1)"),
    "x.var()": Ways("x.var(correction=0)", "Σ/N", "x.var(correction=1)", "Σ/(N - 1)"),
    "x.max(1)": Ways("x.max(axis=1)", "the values", "x.max(dim=1)", "(values, indices)"),
    "x.min(1)": Ways("x.min(axis=1)", "the values", "x.min(dim=1)", "(values, indices)"),
    "x.sort()": Ways(
        "x[...] = backlit.sort(x)", "x itself is sorted", "x.sort(dim=-1)", "(values, indices)"
    ),
    "x.nonzero()": Ways(
        "backlit.nonzero(x)", "a tuple of indices", "x.nonzero(as_tuple=False)", "a matrix"
    ),
    "x.repeat(2)": Ways(
        "backlit.repeat(x, 2)", "each element twice", "backlit.tile(x, 2)", "x twice"
    ),
    "x.transpose(0, 1)": Ways(
        "backlit.permute_dims(x, (0, 1))", "x itself", "x.transpose(dim0=0, dim1=1)", "xᵀ"
    ),
    "x.squeeze(0)": Ways(
        "backlit.squeeze(x, axis=0)", "an error, as the size is not 1", "x.squeeze(dim=0)", "x"
    ),
}


def require_pytorch(call: str) -> None:
    """Raise for an ambiguous call, unless it is PyTorch's that is spoken."""
    if SPOKEN.pytorch:
        return
    ways = AMBIGUOUS[call]
    raise SpellingError(
        f"{call}: it means two things; write {ways.numpy} for {ways.means} as in NumPy, "
        f"{ways.pytorch} for {ways.gives} as in PyTorch (which it is after import backlit.torch)"
    )


def of_pytorch(axis: Any, keepdims: Any, dim: Any, keepdim: Any) -> tuple[Any, bool]:
    """The axis and keepdims of a call that may say them in either dialect, but in one.

    For methods that both have; PyTorch's own functions rename by `dialect.translate.OURS`.
    """
    if dim is not UNSAID:
        if axis is not None:
            raise ArgumentError(f"axis and dim are one argument: got axis={axis} and dim={dim}")
        axis = None if isinstance(dim, tuple | list) and not dim else dim
    return axis, bool(keepdims or keepdim)


__all__ = ["AMBIGUOUS", "SPOKEN", "UNSAID", "of_pytorch", "require_pytorch"]
