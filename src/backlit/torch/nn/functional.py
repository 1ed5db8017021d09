"""`torch.nn.functional`: Backlit's, and those functions of `torch` that PyTorch has here, too."""

from __future__ import annotations

from typing import Any

from ...array_api import concat as _concat
from ...dialect.attach import FUNCTIONS as _FUNCTIONS
from ...errors import ArgumentError as _ArgumentError
from ...nn import MultiheadAttention as _MultiheadAttention
from ...nn import functional as _ours
from ...nn.functional import *
from ...random import Generator as _Generator
from ..func import functional_call as _functional_call
from ..mirror import mirrored as _mirrored
from ..mirror import names as _names

one_hot = _FUNCTIONS["one_hot"]


def multi_head_attention_forward(
    query: Any,
    key: Any,
    value: Any,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Any,
    in_proj_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Any,
    out_proj_bias: Any,
    training: bool = True,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Any = None,
    k_proj_weight: Any = None,
    v_proj_weight: Any = None,
    static_k: Any = None,
    static_v: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> Any:
    """What `nn.MultiheadAttention` computes with these weights."""
    if static_k is not None or static_v is not None:
        raise _ArgumentError(
            "multi_head_attention_forward: static_k and static_v must be None; attend to keys and "
            "values of your own with scaled_dot_product_attention"
        )
    weights = {"out_proj.weight": out_proj_weight, "bias_k": bias_k, "bias_v": bias_v}
    weights |= {"in_proj_bias": in_proj_bias, "out_proj.bias": out_proj_bias}
    width, kdim, vdim = embed_dim_to_check, None, None
    if use_separate_proj_weight:
        kdim, vdim = k_proj_weight.shape[1], v_proj_weight.shape[1]
        separate = (q_proj_weight, k_proj_weight, v_proj_weight)
        if kdim == vdim == width:
            weights["in_proj_weight"] = _concat(separate)
        else:
            names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
            weights |= dict(zip(names, separate, strict=True))
    else:
        weights["in_proj_weight"] = in_proj_weight
    layer = _MultiheadAttention(
        width, num_heads, dropout_p,
        bias=in_proj_bias is not None or out_proj_bias is not None,
        add_bias_kv=bias_k is not None, add_zero_attn=add_zero_attn, kdim=kdim, vdim=vdim,
        generator=_Generator(0),
    )  # fmt: skip
    layer.generator = None  # its starting values are not used, and dropout draws as everywhere
    layer.train(training).requires_grad_(False)
    options = {
        "key_padding_mask": key_padding_mask,
        "need_weights": need_weights,
        "attn_mask": attn_mask,
        "average_attn_weights": average_attn_weights,
        "is_causal": is_causal,
    }
    given = {name: t for name, t in weights.items() if t is not None}
    return _functional_call(layer, given, (query, key, value), options)


__getattr__ = _mirrored("torch.nn.functional", _ours)


def __dir__() -> list[str]:
    return _names(__name__, _ours)
