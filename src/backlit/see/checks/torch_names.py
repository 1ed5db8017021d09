"""How is a change written in a backward that computes with Tensors, in PyTorch's words?"""

from __future__ import annotations

import dataclasses
import re

from .edit import Change

_WORDS = (("keepdims=", "keepdim="), ("axis=", "dim="))
#: How many elements a Tensor has.
_COUNT = re.compile(r"\.size\b(?!\()")
#: A slice that runs the wrong way along its last axis, which PyTorch has no sign for.
_TURNED = re.compile(r"\[((?:: *, *)*)::-1\]")


def in_words_of_torch(change: Change) -> Change:
    """The change with PyTorch's names for an axis and for the number of elements."""
    if not change.template:
        return change
    template, words, size = map(_said, (change.template, change.words, change.size))
    return dataclasses.replace(change, template=template, words=words, size=size)


def _said(text: str) -> str:
    """
    >>> _said("x / x.size")
    'x / x.numel()'
    >>> _said("x[:, ::-1].sum(axis=0, keepdims=True)")
    'x.flip(1).sum(dim=0, keepdim=True)'
    """
    for old, new in _WORDS:
        text = text.replace(old, new)
    text = _COUNT.sub(".numel()", text)
    return _TURNED.sub(lambda found: f".flip({found[1].count(':')})", text)
