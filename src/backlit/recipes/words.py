"""Vectors of words that were learned elsewhere, as a network begins with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import nn
from ..autograd import no_grad
from ..data.text import Vocabulary, load_vectors
from ..errors import ArgumentError
from ..tensor import as_tensor


def width_of(settings: Mapping[str, Any], words: Vocabulary) -> int:
    """How many numbers the vectors have that the settings name; 0 where they name none."""
    path = settings.get("vectors")
    return load_vectors(path, words).array.shape[1] if path else 0


def given_vectors(
    embedding: nn.Embedding, settings: Mapping[str, Any], words: Vocabulary
) -> list[tuple[str, str]]:
    """Put the vectors of a vocabulary's words into a layer, and say how many there are."""
    path = settings.get("vectors")
    if not path:
        return []
    found = load_vectors(path, words)
    with no_grad():
        embedding.weight.assign(as_tensor(found.array))
    return [("vectors", str(found))]


def require_none(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Raise if vectors are given to a network that has no place for them."""
    if settings.get("vectors"):
        raise ArgumentError(
            f"vectors have no place in {settings['model']}, a network of one's own; leave them "
            "out, or read them there with data.text.load_vectors"
        )
    return []
