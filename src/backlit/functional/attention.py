"""Attention: means of values, weighted by how well queries fit keys."""

from __future__ import annotations

import math
from typing import Any

from ..dtypes import bool_
from ..errors import ArgumentError, ShapeError
from ..functions import arange, expand_dims, matmul
from ..functions import where as choose
from ..op import describe
from ..random import Generator
from ..tensor import Tensor, floating
from .activation import softmax
from .common import given, where
from .normalization import dropout


def causal_mask(queries: int, keys: int) -> Tensor:
    """Whether query l may see key s: s ≤ l. True where it may.

    >>> causal_mask(2, 2).tolist()
    [[True, False], [True, True]]
    """
    return expand_dims(arange(queries), axis=1) >= arange(keys)


def attention_weights(
    query: Tensor, key: Tensor, mask: Tensor | None, is_causal: bool, scale: float | None
) -> Tensor:
    """softmax(Q Kᵀ · scale) along the keys, 0 where the mask forbids."""
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = matmul(query * factor, key.mT)
    if is_causal:
        if mask is not None:
            raise ArgumentError("attention: give a mask or is_causal=True, not both")
        mask = causal_mask(query.shape[-2], key.shape[-2])
    if mask is not None:
        scores = choose(mask, scores, -math.inf) if mask.dtype == bool_ else scores + mask
    return softmax(scores, -1)


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """softmax(Q Kᵀ / √E) V.

        query: (..., L, E), key: (..., S, E), value: (..., S, D) -> (..., L, D)

    `attn_mask` broadcasts to (..., L, S): truth values (True: may be seen) or numbers to add;
    `is_causal` lets query l see the keys up to l. Weights are dropped with probability `dropout_p`.
    Source: Vaswani et al., NeurIPS 2017, eq. 1.

    >>> from backlit import ones, tensor
    >>> scaled_dot_product_attention(ones((1, 2)), ones((2, 2)), tensor([[1.0], [3.0]]))
    Tensor([[2.]], shape=(1, 1), dtype=float32)
    """
    query, key, value = (floating(given(x)) for x in (query, key, value))
    if min(query.ndim, key.ndim, value.ndim) < 2 or query.shape[-1] != key.shape[-1]:
        raise ShapeError(
            f"attention: query and key must have the same last axis, got query: "
            f"{describe(query)}, key: {describe(key)}{where()}"
        )
    if key.shape[-2] != value.shape[-2]:
        raise ShapeError(
            f"attention: key and value must have as many rows, got key: {describe(key)}, "
            f"value: {describe(value)}{where()}"
        )
    mask = None if attn_mask is None else given(attn_mask)
    weights = attention_weights(query, key, mask, is_causal, scale)
    return matmul(dropout(weights, dropout_p, generator=generator), value)
