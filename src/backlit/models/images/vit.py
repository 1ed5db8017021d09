"""Vision Transformers: an image is a sequence of patches."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any, ClassVar

from ... import nn
from ...array_api import broadcast_to, concat, permute_dims, reshape, zeros
from ...errors import ShapeError
from ...op import describe
from ...state import where_called
from ...tensor import Tensor
from ..catalogue import network, require_no_weights


class MLPBlock(nn.Sequential):
    """Linear, GELU, dropout, linear, dropout."""

    def __init__(self, width: int, mlp_dim: int, dropout: float):
        super().__init__(
            nn.Linear(width, mlp_dim),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(mlp_dim, width),
            nn.Dropout(dropout),
        )
        for layer in (self[0], self[3]):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.normal_(layer.bias, std=1e-6)


class EncoderBlock(nn.Module):
    """Attention and a two-layer perceptron, each on normalised input and added to it."""

    def __init__(
        self, heads: int, width: int, mlp_dim: int, dropout: float, attention_dropout: float
    ):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(
            width, heads, attention_dropout, batch_first=True
        )
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLPBlock(width, mlp_dim, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) -> (N, T, width)."""
        y = self.ln_1(x)
        y, _ = self.self_attention(y, y, y, need_weights=False)
        x = x + self.dropout(y)
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Learned positions, blocks, a norm."""

    def __init__(
        self, length: int, layers: int, heads: int, width: int, mlp_dim: int, dropout: float,
        attention_dropout: float,
    ):  # fmt: skip
        super().__init__()
        self.pos_embedding = nn.Parameter(nn.init.normal_(zeros((1, length, width)), std=0.02))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(
            OrderedDict(
                (
                    f"encoder_layer_{i}",
                    EncoderBlock(heads, width, mlp_dim, dropout, attention_dropout),
                )
                for i in range(layers)
            )
        )
        self.ln = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) -> (N, T, width)."""
        return self.ln(self.layers(self.dropout(x + self.pos_embedding)))


class VisionTransformer(nn.Module):
    """Patches and one token for the class go through a transformer; names as torchvision's.

    The image is `image_size` high and wide, a multiple of `patch_size`. With a
    `representation_size` there is a tanh layer before the last, which starts at 0.
    Source: Dosovitskiy et al., ICLR 2021, arXiv:2010.11929, table 1.
    """

    last_layers = ("heads.head",)
    heads: nn.Sequential
    known_names: ClassVar = (
        (r"^(.*encoder_layer_\d+\.mlp)\.linear_1\.", r"\1.0."),
        (r"^(.*encoder_layer_\d+\.mlp)\.linear_2\.", r"\1.3."),
    )

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        representation_size: int | None = None,
    ):
        super().__init__()
        if image_size % patch_size:
            raise ShapeError(
                f"VisionTransformer: image_size must be a multiple of patch_size, got {image_size} "
                f"and {patch_size}"
            )
        self.image_size, self.patch_size, self.hidden_dim = image_size, patch_size, hidden_dim
        self.conv_proj = nn.Conv2d(3, hidden_dim, patch_size, patch_size)
        self.class_token = nn.Parameter(zeros((1, 1, hidden_dim)))
        length = (image_size // patch_size) ** 2 + 1
        self.encoder = Encoder(
            length, num_layers, num_heads, hidden_dim, mlp_dim, dropout, attention_dropout
        )
        layers: dict[str, Any] = {}
        if representation_size is not None:
            layers["pre_logits"] = nn.Linear(hidden_dim, representation_size)
            layers["act"] = nn.Tanh()
        layers["head"] = nn.Linear(representation_size or hidden_dim, num_classes)
        self.heads = nn.Sequential(layers)
        fan_in = 3 * patch_size**2
        nn.init.trunc_normal_(self.conv_proj.weight, std=math.sqrt(1 / fan_in))
        if representation_size is not None:
            before = layers["pre_logits"]
            nn.init.trunc_normal_(before.weight, std=math.sqrt(1 / hidden_dim))
            nn.init.zeros_(before.bias)
        head: Any = layers["head"]
        patches: Any = self.conv_proj
        for p in (patches.bias, head.weight, head.bias):
            nn.init.zeros_(p)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) with S = image_size -> (N, classes)."""
        if x.ndim != 4 or x.shape[2:] != (self.image_size, self.image_size):
            raise ShapeError(
                f"VisionTransformer: x must be (N, 3, {self.image_size}, {self.image_size}), as "
                f"image_size says, got {describe(x)}{where_called()}; resize the images, or make "
                "the network with another image_size"
            )
        n = x.shape[0]
        y = reshape(self.conv_proj(x), (n, self.hidden_dim, -1))
        y = permute_dims(y, (0, 2, 1))  # (N, patches, width)
        token = broadcast_to(self.class_token, (n, 1, self.hidden_dim))
        y = self.encoder(concat((token, y), axis=1))
        return self.heads(y[:, 0])


def _vit(
    name: str, patch: int, layers: int, heads: int, width: int, mlp_dim: int, weights: None,
    num_classes: int, image_size: int, dropout: float, attention_dropout: float,
) -> VisionTransformer:  # fmt: skip
    require_no_weights(name, weights)
    return VisionTransformer(
        image_size, patch, layers, heads, width, mlp_dim, dropout, attention_dropout, num_classes
    )


@network(input=(3, 224, 224), parameters=86_567_656, multiply_adds=17_563_828_224)
def vit_b_16(
    *,
    weights: None = None,
    num_classes: int = 1000,
    image_size: int = 224,
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
) -> VisionTransformer:
    """The base Vision Transformer, with patches of 16×16."""
    return _vit(
        "vit_b_16", 16, 12, 12, 768, 3072, weights, num_classes, image_size, dropout,
        attention_dropout,
    )  # fmt: skip


@network(input=(3, 224, 224), parameters=88_224_232, multiply_adds=4_409_186_304)
def vit_b_32(
    *,
    weights: None = None,
    num_classes: int = 1000,
    image_size: int = 224,
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
) -> VisionTransformer:
    """The base Vision Transformer, with patches of 32×32."""
    return _vit(
        "vit_b_32", 32, 12, 12, 768, 3072, weights, num_classes, image_size, dropout,
        attention_dropout,
    )  # fmt: skip


@network(input=(3, 224, 224), parameters=304_326_632, multiply_adds=61_554_712_576)
def vit_l_16(
    *,
    weights: None = None,
    num_classes: int = 1000,
    image_size: int = 224,
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
) -> VisionTransformer:
    """The large Vision Transformer, with patches of 16×16."""
    return _vit(
        "vit_l_16", 16, 24, 16, 1024, 4096, weights, num_classes, image_size, dropout,
        attention_dropout,
    )  # fmt: skip


@network(input=(3, 224, 224), parameters=306_535_400, multiply_adds=15_377_539_072)
def vit_l_32(
    *,
    weights: None = None,
    num_classes: int = 1000,
    image_size: int = 224,
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
) -> VisionTransformer:
    """The large Vision Transformer, with patches of 32×32."""
    return _vit(
        "vit_l_32", 32, 24, 16, 1024, 4096, weights, num_classes, image_size, dropout,
        attention_dropout,
    )  # fmt: skip


@network(input=(3, 224, 224), parameters=632_045_800, multiply_adds=167_295_109_120)
def vit_h_14(
    *,
    weights: None = None,
    num_classes: int = 1000,
    image_size: int = 224,
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
) -> VisionTransformer:
    """The huge Vision Transformer, with patches of 14×14."""
    return _vit(
        "vit_h_14", 14, 32, 16, 1280, 5120, weights, num_classes, image_size, dropout,
        attention_dropout,
    )  # fmt: skip
