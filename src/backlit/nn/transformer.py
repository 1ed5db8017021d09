"""The Transformer: layers of attention and linear maps, stacks of them, and both halves."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from ..array_api import where, zeros
from ..errors import ArgumentError
from ..random import Generator
from ..tensor import Tensor, as_tensor
from . import functional, init
from .attention import MultiheadAttention
from .containers import ModuleList
from .dropout import Dropout
from .functional.attention import causal_mask
from .linear import Linear, positive
from .module import Module
from .normalization import LayerNorm

Activation = str | Callable[[Tensor], Tensor]


def _function(layer: Module, activation: Activation) -> Callable[[Tensor], Tensor]:
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        raise ArgumentError(
            f"{type(layer).__name__}: activation must be 'relu', 'gelu' or a function, got "
            f"{activation!r}"
        )
    return getattr(functional, activation)


class _Layer(Module):
    """The base of both layers: parts that are each added to their input and normalised."""

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ):
        super().__init__()
        common: dict[str, Any] = {"device": device, "dtype": dtype, "generator": generator}
        names = self.attentions()
        for name in names:
            attention = MultiheadAttention(
                d_model, nhead, dropout, bias, batch_first=batch_first, **common
            )
            self.add_module(name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **common)
        self.dropout = Dropout(dropout, generator=generator)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **common)
        self.norm_first = norm_first
        self.activation = _function(self, activation)
        numbers = range(1, len(names) + 2)
        for i in numbers:
            norm = LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)
            self.add_module(f"norm{i}", norm)
        for i in numbers:
            self.add_module(f"dropout{i}", Dropout(dropout, generator=generator))

    def attentions(self) -> tuple[str, ...]:
        """The names of the parts that attend."""
        raise NotImplementedError(f"{type(self).__name__}.attentions")

    def _through(self, x: Tensor, parts: list[Callable[[Tensor], Tensor]]) -> Tensor:
        """One part after the other, each added to its input and normalised (first or last)."""
        for i, part in enumerate(parts, 1):
            norm, dropout = getattr(self, f"norm{i}"), getattr(self, f"dropout{i}")
            x = x + dropout(part(norm(x))) if self.norm_first else norm(x + dropout(part(x)))
        return x

    def _fed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Self-attention and two linear layers, each added to its input and normalised.

        x: (T, N, E), with `batch_first` (N, T, E) -> the same shape

    `norm_first` normalises the inputs of the two parts instead of the sums.
    Source: Vaswani et al., NeurIPS 2017, sec. 3.1; Xiong et al., ICML 2020 (norm first).

    >>> TransformerEncoderLayer(8, 2, 16, batch_first=True)(zeros((2, 5, 8))).shape
    (2, 5, 8)
    """

    self_attn: MultiheadAttention

    def attentions(self) -> tuple[str, ...]:
        """To itself."""
        return ("self_attn",)

    def forward(
        self,
        src: Tensor,
        src_mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> Tensor:
        """The layer's result; masks as in `MultiheadAttention`."""

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(
                x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal
            )[0]

        return self._through(as_tensor(src), [attend, self._fed_forward])


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to an encoder's result, and two linear layers, as in the encoder.

        tgt: (T, N, E), memory: (S, N, E), with `batch_first` N first -> the shape of tgt

    Source: Vaswani et al., NeurIPS 2017, sec. 3.1.

    >>> layer = TransformerDecoderLayer(8, 2, 16, batch_first=True)
    >>> layer(zeros((2, 5, 8)), zeros((2, 3, 8)), tgt_is_causal=True).shape
    (2, 5, 8)
    """

    self_attn: MultiheadAttention
    multihead_attn: MultiheadAttention

    def attentions(self) -> tuple[str, ...]:
        """To itself, then to the memory."""
        return ("self_attn", "multihead_attn")

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The layer's result; masks as in `MultiheadAttention`."""
        memory = as_tensor(memory)

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(
                x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal
            )[0]

        def look(x: Tensor) -> Tensor:
            return self.multihead_attn(
                x,
                memory,
                memory,
                memory_key_padding_mask,
                False,
                memory_mask,
                is_causal=memory_is_causal,
            )[0]

        return self._through(as_tensor(tgt), [attend, look, self._fed_forward])


class _Stack(Module):
    """The base of both stacks: copies of a layer, and a normalisation at the end."""

    def __init__(self, layer: Module, num_layers: int, norm: Module | None):
        super().__init__()
        positive(self, num_layers=num_layers)
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def _normalised(self, x: Tensor) -> Tensor:
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """`num_layers` copies of an encoder layer, one after the other, then `norm`.

    The copies begin with the same values, as in PyTorch. `enable_nested_tensor` and `mask_check`
    change nothing.

    >>> layer = TransformerEncoderLayer(8, 2, 16)
    >>> TransformerEncoder(layer, num_layers=3)(zeros((5, 2, 8))).shape
    (5, 2, 8)
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ):
        super().__init__(encoder_layer, num_layers, norm)

    def forward(
        self,
        src: Tensor,
        mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """(T, N, E) -> (T, N, E); masks as in `MultiheadAttention`."""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, bool(is_causal))
        return self._normalised(src)


class TransformerDecoder(_Stack):
    """`num_layers` copies of a decoder layer, one after the other, then `norm`.

    The copies begin with the same values, as in PyTorch.

    >>> layer = TransformerDecoderLayer(8, 2, 16)
    >>> TransformerDecoder(layer, num_layers=3)(zeros((5, 2, 8)), zeros((3, 2, 8))).shape
    (5, 2, 8)
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None):
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """(T, N, E) and memory (S, N, E) -> (T, N, E); masks as in `MultiheadAttention`."""
        for layer in self.layers:
            tgt = layer(
                tgt,
                memory,
                tgt_mask,
                memory_mask,
                tgt_key_padding_mask,
                memory_key_padding_mask,
                bool(tgt_is_causal),
                memory_is_causal,
            )
        return self._normalised(tgt)


class Transformer(Module):
    """An encoder, and a decoder that looks at its result: the network of the paper.

        src: (S, N, E), tgt: (T, N, E), with `batch_first` N first -> the shape of tgt

    Embeddings, positions and the last linear map are not part of it. All weights start as
    Xavier's, so that the layers of a stack differ.
    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017, sec. 3.1.

    >>> model = Transformer(8, 2, 1, 1, 16)
    >>> mask = model.generate_square_subsequent_mask(5)
    >>> model(zeros((3, 2, 8)), zeros((5, 2, 8)), tgt_mask=mask).shape
    (5, 2, 8)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ):
        super().__init__()
        sizes: Any = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps)
        options: dict[str, Any] = {"device": device, "dtype": dtype, "generator": generator}
        kind: Any = (batch_first, norm_first, bias)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)

        if custom_encoder is None:
            layer: Module = TransformerEncoderLayer(*sizes, *kind, **options)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm())
        if custom_decoder is None:
            layer = TransformerDecoderLayer(*sizes, *kind, **options)
            custom_decoder = TransformerDecoder(layer, num_decoder_layers, norm())
        self.encoder = custom_encoder
        self.decoder = custom_decoder
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first
        for p in self.parameters():
            if p.ndim > 1:
                init.xavier_uniform_(p, generator=generator)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """Numbers to add to scores (sz, sz): 0 up to the query's own place, -∞ behind it.

        >>> Transformer.generate_square_subsequent_mask(2).tolist()
        [[0.0, -inf], [0.0, 0.0]]
        """
        seen = zeros((sz, sz), dtype=dtype, device=device)
        return where(causal_mask(sz, sz), seen, -math.inf)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The decoder's result; masks as in `MultiheadAttention`."""
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask,
            memory_mask,
            tgt_key_padding_mask,
            memory_key_padding_mask,
            tgt_is_causal,
            memory_is_causal,
        )


__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]
