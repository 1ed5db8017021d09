"""Attention: means of values, weighted by how well queries fit keys."""

from __future__ import annotations

import math
from typing import Any

from ...array_api import arange, expand_dims, logical_and, matmul, repeat
from ...array_api import where as choose
from ...dtypes import FLOATING, DType, bool_
from ...errors import DTypeError, ShapeError
from ...op import describe
from ...precision import in_16_bits
from ...promotion import floating
from ...random import Generator
from ...state import where_called
from ...tensor import Tensor
from .activation import masked_softmax, softmax
from .common import given
from .dropout import dropout


def causal_mask(queries: int, keys: int) -> Tensor:
    """Whether query l may see key s: s ≤ l. True where it may.

    >>> causal_mask(2, 2).tolist()
    [[True, False], [True, True]]
    """
    return expand_dims(arange(queries), axis=1) >= arange(keys)


def read_mask(name: str, mask: Any, dtype: DType) -> Tensor:
    """A mask as truth values, or as numbers of the scores' type that are added to them."""
    mask = given(mask)
    if mask.dtype != bool_ and mask.dtype not in FLOATING:
        raise DTypeError(
            f"{name} must be truth values or floating numbers to add to the scores, got "
            f"{describe(mask)}{where_called()}; for 0 and 1 use mask.astype(bool)"
        )
    return mask if mask.dtype == bool_ else mask.astype(dtype)


def combined(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """One mask for two: keys that either forbids are forbidden, numbers add up."""
    if a is None or b is None:
        return b if a is None else a
    if a.dtype == b.dtype == bool_:
        return logical_and(a, b)
    if a.dtype == bool_:
        return choose(a, b, -math.inf)
    return choose(b, a, -math.inf) if b.dtype == bool_ else a + b


def _fits(mask: tuple[int, ...], scores: tuple[int, ...]) -> bool:
    pairs = zip(mask[::-1], scores[::-1], strict=False)
    return len(mask) <= len(scores) and all(m in (1, n) for m, n in pairs)


def attention_weights(
    query: Tensor, key: Tensor, mask: Tensor | None, is_causal: bool, scale: float | None
) -> Tensor:
    """softmax(Q Kᵀ · scale) along the keys, 0 where a mask forbids, also if it forbids all."""
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = matmul(query * factor, key.mT)
    if mask is not None and not _fits(mask.shape, scores.shape):
        raise ShapeError(
            f"attention: attn_mask must broadcast to the scores (..., L, S), got {describe(mask)} "
            f"for {describe(scores)}{where_called()}"
        )
    if is_causal:
        causal = causal_mask(query.shape[-2], key.shape[-2])
        if mask is None:
            return softmax(choose(causal, scores, -math.inf), -1)
        mask = combined(mask, causal)
    if mask is None:
        return softmax(scores, -1)
    scores = choose(mask, scores, -math.inf) if mask.dtype == bool_ else scores + mask
    return masked_softmax(scores, -1)


def _grouped(t: Tensor, query: Tensor) -> Tensor:
    """Keys or values with as many heads as the queries, each repeated for its group."""
    if t.ndim < 3 or query.ndim < 3 or query.shape[-3] % t.shape[-3]:
        raise ShapeError(
            "attention: with enable_gqa the heads (axis -3) of the queries must be a multiple of "
            f"those of keys and values, got query: {describe(query)} and {describe(t)}"
            f"{where_called()}"
        )
    return repeat(t, query.shape[-3] // t.shape[-3], axis=-3)


@in_16_bits
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """softmax(Q Kᵀ / √E) V.

        query: (..., L, E), key: (..., S, E), value: (..., S, D) -> (..., L, D)

    `attn_mask` broadcasts to (..., L, S): truth values (True: may be seen) or floating numbers to
    add; `is_causal` lets query l see the keys up to l; with both, both hold. A query that may see
    nothing gets 0 and no gradient. Weights are dropped with probability `dropout_p`. With
    `enable_gqa` (grouped queries) there may be fewer heads, on the third axis from the end, of keys
    and values than of queries: each serves neighbouring heads of queries.
    Source: Vaswani et al., NeurIPS 2017, eq. 1.

    >>> from backlit import ones, tensor
    >>> scaled_dot_product_attention(ones((1, 2)), ones((2, 2)), tensor([[1.0], [3.0]]))
    Tensor([[2.]], shape=(1, 1), dtype=float32)
    """
    query, key, value = (floating(given(x)) for x in (query, key, value))
    if min(query.ndim, key.ndim, value.ndim) < 2 or query.shape[-1] != key.shape[-1]:
        raise ShapeError(
            f"attention: query and key must have the same last axis, got query: "
            f"{describe(query)}, key: {describe(key)}{where_called()}"
        )
    if key.shape[-2] != value.shape[-2]:
        raise ShapeError(
            f"attention: key and value must have as many rows, got key: {describe(key)}, "
            f"value: {describe(value)}{where_called()}"
        )
    if enable_gqa:
        key, value = (_grouped(t, query) for t in (key, value))
    mask = None if attn_mask is None else read_mask("attention: attn_mask", attn_mask, query.dtype)
    weights = attention_weights(query, key, mask, is_causal, scale)
    return matmul(dropout(weights, dropout_p, generator=generator), value)
