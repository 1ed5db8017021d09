"""`torch.backends`: switches of what PyTorch computes with. They can be set and change nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from .mirror import mirrored as _mirrored


def _no(*args: Any) -> bool:
    return False


def _yes(*args: Any) -> bool:
    return True


cudnn = SimpleNamespace(
    enabled=False,
    benchmark=False,
    deterministic=True,
    allow_tf32=False,
    is_available=_no,
    version=lambda: None,
    fastest=False,
)
cuda = SimpleNamespace(
    matmul=SimpleNamespace(
        allow_tf32=False,
        allow_fp16_reduced_precision_reduction=False,
        allow_bf16_reduced_precision_reduction=False,
        fp32_precision="ieee",
    ),
    is_built=_no,
    flash_sdp_enabled=_no,
    enable_flash_sdp=_no,
    enable_math_sdp=_no,
    enable_mem_efficient_sdp=_no,
)
mps = SimpleNamespace(is_available=_no, is_built=_no)
mkl = SimpleNamespace(is_available=_no)
mkldnn = SimpleNamespace(is_available=_no, enabled=False)
openmp = SimpleNamespace(is_available=_no)
quantized = SimpleNamespace(engine="none", supported_engines=["none"])

__getattr__ = _mirrored("torch.backends")
