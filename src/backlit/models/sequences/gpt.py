"""GPT-2 with the names and layouts of its published files."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ... import nn
from ...array_api import (
    arange,
    concat,
    expand_dims,
    index_copy,
    logical_and,
    matmul,
    maximum,
    permute_dims,
    reshape,
    zeros,
)
from ...errors import ArgumentError, ShapeError
from ...nn.functional import scaled_dot_product_attention
from ...nn.functional.attention import causal_mask
from ...op import describe
from ...tensor import Tensor, as_tensor
from ..catalogue import network, require_no_weights
from .decoding import Generative, padded

#: Rooms for keys and values come in multiples of this, so that few kinds of steps are compiled.
_ROOM = 64


class Conv1D(nn.Module):
    """y = x W + b with W: (inputs, outputs), which GPT-2's files have the other way than `Linear`.

    >>> Conv1D(4, 3)(zeros((2, 4))).shape
    (2, 3)
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(zeros((inputs, outputs)))
        self.bias = nn.Parameter(zeros((outputs,)))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        return matmul(x, self.weight) + self.bias


class Attention(nn.Module):
    """Several heads of causal self-attention with one linear map for queries, keys and values."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.c_attn = Conv1D(width, 3 * width)
        self.c_proj = Conv1D(width, width)
        self.resid_dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, kept: list[Tensor] | None = None
    ) -> Tensor:
        """(N, T, width) -> (N, T, width); keys and values are added to `kept`."""
        q, k, v = self._heads(x)
        if kept is not None:
            kept += [k, v]
        p = self.dropout if self.training else 0.0
        y = scaled_dot_product_attention(q, k, v, mask, p, is_causal=mask is None)
        return self._out(y)

    def step(self, x: Tensor, keys: Tensor, values: Tensor, slot: Tensor, seen: Tensor) -> Tensor:
        """One more token, (N, 1, width), whose key and value are written into a slot."""
        q, k, v = self._heads(x)
        keys.assign(index_copy(keys, 2, slot, k))
        values.assign(index_copy(values, 2, slot, v))
        return self._out(scaled_dot_product_attention(q, keys, values, seen))

    def _heads(self, x: Tensor) -> Tensor:
        """(3, N, heads, T, width/heads)."""
        n, t, width = x.shape
        parts = reshape(self.c_attn(x), (n, t, 3, self.heads, width // self.heads))
        return permute_dims(parts, (2, 0, 3, 1, 4))

    def _out(self, y: Tensor) -> Tensor:
        n, heads, t, width = y.shape
        y = reshape(permute_dims(y, (0, 2, 1, 3)), (n, t, heads * width))
        return self.resid_dropout(self.c_proj(y))


class MLP(nn.Module):
    """Two linear maps with GELU between them."""

    def __init__(self, width: int, approximate: str, dropout: float):
        super().__init__()
        self.c_fc = Conv1D(width, 4 * width)
        self.act = nn.GELU(approximate)
        self.c_proj = Conv1D(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) -> (N, T, width)."""
        return self.dropout(self.c_proj(self.act(self.c_fc(x))))


class Block(nn.Module):
    """Attention and a two-layer perceptron, each on normalised input and added to it."""

    def __init__(self, width: int, heads: int, approximate: str, dropout: float):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads, dropout)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = MLP(width, approximate, dropout)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, kept: list[Tensor] | None = None
    ) -> Tensor:
        """(N, T, width) -> (N, T, width)."""
        x = x + self.attn(self.ln_1(x), mask, kept)
        return x + self.mlp(self.ln_2(x))

    def step(self, x: Tensor, keys: Tensor, values: Tensor, slot: Tensor, seen: Tensor) -> Tensor:
        """The same for one more token."""
        x = x + self.attn.step(self.ln_1(x), keys, values, slot, seen)
        return x + self.mlp(self.ln_2(x))


class GPT2(Generative):
    """A transformer that predicts each next token from those before it.

    Normalisation comes first in each block, and once more at the end. The table of token vectors is
    also the matrix of the output layer, unless `tied` is False. GELU is in the form with tanh, or
    exact with `approximate="none"`. Weights start normal with deviation 0.02, those that end a
    residual branch with 0.02/√(2 layers).

    Files of GPT-2 load by name, with or without `transformer.` before each; the masks among them
    (`attn.bias`) are no weights and are passed over. `gpt2`, `gpt2_medium`, `gpt2_large` and
    `gpt2_xl` have the published sizes.
    Source: Radford et al., "Language models are unsupervised multitask learners", 2019, sec. 2.3.

    >>> model = GPT2(vocabulary=65, context=16, layers=1, heads=2, width=8)
    >>> model(zeros((2, 5), dtype="int64")).shape
    (2, 5, 65)
    >>> [len(tokens) for tokens in model.generate([[1, 2], [3]], count=4)]
    [4, 4]
    """

    context: int
    h: Any  # a ModuleList of Blocks

    #: Names in files and what they are here: a pattern and its replacement, None for no weights.
    known_names: ClassVar = (
        (r"\.attn\.(masked_)?bias$", None),
        (r"^transformer\.", ""),
        (r"^", "transformer."),
    )

    def __init__(
        self,
        vocabulary: int = 50_257,
        context: int = 1024,
        layers: int = 12,
        heads: int = 12,
        width: int = 768,
        dropout: float = 0.1,
        approximate: str = "tanh",
        tied: bool = True,
    ):
        super().__init__()
        if width % heads:
            raise ArgumentError(f"GPT2: width must be a multiple of heads, got {width} and {heads}")
        self.context = context
        self.heads = heads
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(context, width)
        self.drop = nn.Dropout(dropout)
        self.h = nn.ModuleList(Block(width, heads, approximate, dropout) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        if tied:
            self.lm_head.weight = self.wte.weight
        for name, p in self.named_parameters():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * layers))
            elif name in ("wte.weight", "wpe.weight", "lm_head.weight"):
                nn.init.normal_(p, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T) with T from 1 to `context` -> logits (N, T, vocabulary).

        Texts of unequal length are padded at their ends, which has no influence on what is before.
        """
        x = as_tensor(x)
        if x.ndim != 2 or not 0 < x.shape[1] <= self.context:
            raise ShapeError(
                f"GPT2: x must be tokens (N, T) with T from 1 to context={self.context}, got "
                f"{describe(x)}; cut longer texts into pieces"
            )
        y = self.drop(self.wte(x) + self.wpe(arange(x.shape[1])))
        for block in self.h:
            y = block(y)
        return self.lm_head(self.ln_f(y))

    def begin(self, prompts: list[list[int]], count: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The logits after each prompt; the next slot, the padding before each row, keys, values.

        Keys and values have room for whole texts, so that they keep their shapes.
        """
        tokens, lengths = padded(prompts, left=True)
        n, t = tokens.shape
        pads = t - lengths
        mask = None
        if any(len(prompt) < t for prompt in prompts):
            real = arange(t) >= expand_dims(pads, axis=1)
            mask = logical_and(causal_mask(t, t), reshape(real, (n, 1, 1, t)))
        place = maximum(arange(t) - expand_dims(pads, axis=1), 0)
        y = self.wte(tokens) + self.wpe(place)
        kept: list[Tensor] = []
        for block in self.h:
            y = block(y, mask, kept)
        room = -(-(t + count) // _ROOM) * _ROOM
        free = zeros((n, self.heads, room - t, kept[0].shape[3]), dtype=y.dtype)
        caches = [concat((part, free), axis=2) for part in kept]
        slot = as_tensor(t).astype("int64")
        return self.lm_head(self.ln_f(y[:, -1])), (slot, pads, *caches)

    def step(self, tokens: Tensor, *state: Tensor) -> Tensor:
        """The logits after one more token (N,) in each row."""
        slot, pads, *caches = state
        place = arange(caches[0].shape[2])
        seen = logical_and(place <= slot, place >= expand_dims(pads, axis=1))
        seen = reshape(seen, (seen.shape[0], 1, 1, seen.shape[1]))
        at = reshape(slot, (1,))
        y = expand_dims(self.wte(tokens) + self.wpe(slot - pads), axis=1)
        for block, keys, values in zip(self.h, caches[::2], caches[1::2], strict=True):
            y = block.step(y, keys, values, at, seen)
        slot.assign(slot + 1)
        return self.lm_head(self.ln_f(y[:, 0]))


@network(input=(64,), dtype="int64", parameters=124_439_808, multiply_adds=7_981_547_520)
def gpt2(*, weights: None = None, dropout: float = 0.1) -> GPT2:
    """GPT-2 with 12 layers of width 768."""
    require_no_weights("gpt2", weights)
    return GPT2(dropout=dropout)


@network(input=(64,), dtype="int64", parameters=354_823_168, multiply_adds=22_822_322_176)
def gpt2_medium(*, weights: None = None, dropout: float = 0.1) -> GPT2:
    """GPT-2 with 24 layers of width 1024."""
    require_no_weights("gpt2_medium", weights)
    return GPT2(layers=24, heads=16, width=1024, dropout=dropout)


@network(input=(64,), dtype="int64", parameters=774_030_080, multiply_adds=49_793_024_000)
def gpt2_large(*, weights: None = None, dropout: float = 0.1) -> GPT2:
    """GPT-2 with 36 layers of width 1280."""
    require_no_weights("gpt2_large", weights)
    return GPT2(layers=36, heads=20, width=1280, dropout=dropout)


@network(input=(64,), dtype="int64", parameters=1_557_611_200, multiply_adds=100_147_302_400)
def gpt2_xl(*, weights: None = None, dropout: float = 0.1) -> GPT2:
    """GPT-2 with 48 layers of width 1600."""
    require_no_weights("gpt2_xl", weights)
    return GPT2(layers=48, heads=25, width=1600, dropout=dropout)
