"""Attention with several heads."""

from __future__ import annotations

from typing import Any

from ..array_api import (
    broadcast_to,
    concat,
    full,
    logical_not,
    matmul,
    mean,
    permute_dims,
    reshape,
    zeros,
)
from ..array_api.arguments import number
from ..dtypes import DType, bool_
from ..errors import ArgumentError, ShapeError
from ..op import describe
from ..random import Generator
from ..state import where_called
from ..tensor import Tensor, as_tensor
from . import functional, init
from .functional.attention import attention_weights, causal_mask, combined, read_mask
from .linear import Linear, positive
from .module import Module, Parameter


def _allowed(name: str, mask: Any, dtype: DType) -> Tensor:
    """A mask whose True forbids as one whose True allows, or as numbers to add to the scores."""
    mask = read_mask(f"MultiheadAttention: {name}", mask, dtype)
    return logical_not(mask) if mask.dtype == bool_ else mask


class MultiheadAttention(Module):
    """Attention of `num_heads` heads of E/num_heads columns each, between learned linear maps.

        query: (L, N, E), key: (S, N, kdim), value: (S, N, vdim) -> (L, N, E), weights (N, L, S)

    With `batch_first` the batch is the first axis; without a batch axis it is left out. In boolean
    masks True means *may not be seen*, as in PyTorch's module (its function, and ours, have it the
    other way round). A query that may see nothing gets weights of 0. With `add_bias_kv` there is
    one more key and value, learned; with `add_zero_attn` one more of zeros.
    Source: Vaswani et al., NeurIPS 2017, sec. 3.2.2.

    >>> x = zeros((2, 5, 8))
    >>> y, weights = MultiheadAttention(8, 2, batch_first=True)(x, x, x)
    >>> y.shape, weights.shape
    ((2, 5, 8), (2, 5, 5))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ):
        super().__init__()
        positive(self, embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ArgumentError(
                f"MultiheadAttention: embed_dim must be a multiple of num_heads, got {embed_dim} "
                f"and {num_heads}"
            )
        if not 0 <= number(f"{type(self).__name__}: dropout", dropout) <= 1:
            raise ArgumentError(f"MultiheadAttention: dropout must lie in [0, 1], got {dropout}")
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.batch_first = batch_first
        self.add_zero_attn = add_zero_attn
        self.generator = generator

        def new(*shape: int) -> Parameter:
            return Parameter(zeros(shape, dtype=dtype, device=device))

        self.in_proj_weight: Parameter | None
        self.in_proj_bias: Parameter | None
        if self.kdim == self.vdim == embed_dim:
            self.in_proj_weight = new(3 * embed_dim, embed_dim)
        else:
            self.q_proj_weight = new(embed_dim, embed_dim)
            self.k_proj_weight = new(embed_dim, self.kdim)
            self.v_proj_weight = new(embed_dim, self.vdim)
            self.register_parameter("in_proj_weight", None)
        if bias:
            self.in_proj_bias = new(3 * embed_dim)
        else:
            self.register_parameter("in_proj_bias", None)
        self.bias_k: Parameter | None
        self.bias_v: Parameter | None
        for name in ("bias_k", "bias_v"):
            extra = new(1, 1, embed_dim) if add_bias_kv else None
            self.register_parameter(name, extra)
        self.out_proj = Linear(embed_dim, embed_dim, bias, device, dtype, generator=generator)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """New starting values: Xavier's for the maps of inputs and extra keys, 0 for biases."""
        if self.in_proj_weight is not None:
            init.xavier_uniform_(self.in_proj_weight, generator=generator)
        else:
            for weight in (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
                init.xavier_uniform_(weight, generator=generator)
        if self.in_proj_bias is not None and self.out_proj.bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra, generator=generator)

    def _heads(self, x: Tensor) -> Tensor:
        """(N, L, E) -> (N, heads, L, E/heads)."""
        n, length, width = x.shape
        split = reshape(x, (n, length, self.num_heads, width // self.num_heads))
        return permute_dims(split, (0, 2, 1, 3))

    def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        e, bias = self.embed_dim, self.in_proj_bias
        if self.in_proj_weight is not None and query is key is value:
            y = functional.linear(query, self.in_proj_weight, bias)
            return [self._heads(y[..., i * e : (i + 1) * e]) for i in range(3)]
        result = []
        for i, (x, name) in enumerate(zip((query, key, value), "qkv", strict=True)):
            if self.in_proj_weight is not None:
                weight: Tensor = self.in_proj_weight[i * e : (i + 1) * e]
            else:
                weight = getattr(self, f"{name}_proj_weight")
            part = None if bias is None else bias[i * e : (i + 1) * e]
            result.append(self._heads(functional.linear(x, weight, part)))
        return result

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The attended values, and the weights (the mean over the heads) if they are needed.

        `key_padding_mask`: (N, S); `attn_mask`: (L, S) or (N·heads, L, S). Boolean masks forbid
        where True, floating ones are added. With `is_causal` query l sees the keys up to l. What
        one of the three forbids is forbidden.
        """
        same = query is key is value
        inputs = [as_tensor(x) for x in (query, key, value)]
        lone = inputs[0].ndim == 2
        widths = (self.embed_dim, self.kdim, self.vdim)
        for name, x, width in zip(("query", "key", "value"), inputs, widths, strict=True):
            if x.ndim != (2 if lone else 3) or x.shape[-1] != width:
                raise ShapeError(
                    f"MultiheadAttention: query, key and value must all have 3 axes (or 2), the "
                    f"last {widths}, got {name}: {describe(x)}{where_called()}"
                )
        if lone:
            inputs = [reshape(x, (1, *x.shape)) for x in inputs]
        elif not self.batch_first:
            inputs = [permute_dims(x, (1, 0, 2)) for x in inputs]
        if same:
            inputs = [inputs[0]] * 3
        elif len({x.shape[0] for x in inputs}) > 1 or inputs[1].shape[1] != inputs[2].shape[1]:
            raise ShapeError(
                f"MultiheadAttention: key and value must have query's N = {inputs[0].shape[0]} "
                f"and one S, got (N, S) = {inputs[1].shape[:2]} and {inputs[2].shape[:2]}"
                f"{where_called()}"
            )
        q, k, v = self._projected(*inputs)
        mask = self._mask(key_padding_mask, attn_mask, q, k, lone)
        if is_causal and (self.bias_k is not None or self.add_zero_attn):
            mask, is_causal = combined(mask, causal_mask(q.shape[2], k.shape[2])), False
        k, v, mask = self._with_extras(k, v, mask)
        weights = attention_weights(q, k, mask, is_causal, None)
        p = self.dropout if self.training else 0.0
        attended = matmul(functional.dropout(weights, p, generator=self.generator), v)
        n, _, length, _ = attended.shape
        y = reshape(permute_dims(attended, (0, 2, 1, 3)), (n, length, self.embed_dim))
        y = self.out_proj(y)
        if lone:
            y = y[0]
        elif not self.batch_first:
            y = permute_dims(y, (1, 0, 2))
        if not need_weights:
            return y, None
        if average_attn_weights:
            weights = mean(weights, axis=1)
        return y, weights[0] if lone else weights

    def _with_extras(
        self, k: Tensor, v: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Keys and values (N, heads, S, ·) with the extra ones, which every query may see."""
        rows: list[tuple[Any, Any]] = []
        if self.bias_k is not None:
            rows.append((self.bias_k, self.bias_v))
        if self.add_zero_attn:
            rows.append((None, None))
        for key_row, value_row in rows:
            k, v = self._with_row(k, key_row), self._with_row(v, value_row)
        if mask is not None and rows:
            shape = (*mask.shape[:-1], len(rows))
            free = full(shape, mask.dtype == bool_, dtype=mask.dtype)
            mask = concat((mask, free), axis=-1)
        return k, v, mask

    def _with_row(self, t: Tensor, row: Tensor | None) -> Tensor:
        """(N, heads, S, D) -> (N, heads, S + 1, D): a learned row of all heads, or zeros."""
        n, heads, _, width = t.shape
        if row is None:
            more = zeros((n, heads, 1, width), dtype=t.dtype)
        else:
            more = broadcast_to(reshape(row, (1, heads, 1, width)), (n, heads, 1, width))
        return concat((t, more), axis=2)

    def _mask(
        self, padding: Any, attn_mask: Any, q: Tensor, k: Tensor, lone: bool
    ) -> Tensor | None:
        """The two masks as one for the scores (N, heads, L, S)."""
        n, heads, length, _ = q.shape
        keys = k.shape[2]
        allowed = ignored = None
        if attn_mask is not None:
            allowed = _allowed("attn_mask", attn_mask, q.dtype)
            if allowed.shape == (n * heads, length, keys):
                allowed = reshape(allowed, (n, heads, length, keys))
            elif allowed.shape != (length, keys):
                raise ShapeError(
                    f"MultiheadAttention: attn_mask must have shape (L, S) = ({length}, {keys}) or "
                    f"(N·heads, L, S) = ({n * heads}, {length}, {keys}), got "
                    f"{describe(allowed)}{where_called()}"
                )
        if padding is not None:
            ignored = _allowed("key_padding_mask", padding, q.dtype)
            if ignored.shape != ((keys,) if lone else (n, keys)):
                must = f"(S,) = ({keys},)" if lone else f"(N, S) = ({n}, {keys})"
                raise ShapeError(
                    f"MultiheadAttention: key_padding_mask must have shape {must}, got "
                    f"{describe(ignored)}{where_called()}"
                )
            ignored = reshape(ignored, (n, 1, 1, keys))
        return combined(allowed, ignored)

    def extra_repr(self) -> str:
        """Sizes."""
        dropout = f", dropout={self.dropout}" if self.dropout else ""
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}{dropout}"
