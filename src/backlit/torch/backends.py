"""`torch.backends`: switches of what PyTorch computes with. They can be set and change nothing."""

from __future__ import annotations

from typing import Any

from .mirror import mirrored as _mirrored
from .mirror import part as _part


def _no(*args: Any) -> bool:
    return False


def _yes(*args: Any) -> bool:
    return True


cudnn = _part(
    "torch.backends.cudnn",
    enabled=False,
    benchmark=False,
    deterministic=True,
    allow_tf32=False,
    is_available=_no,
    version=lambda: None,
    fastest=False,
)
cuda = _part(
    "torch.backends.cuda",
    matmul=_part(
        "torch.backends.cuda.matmul",
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
mps = _part("torch.backends.mps", is_available=_no, is_built=_no)
mkl = _part("torch.backends.mkl", is_available=_no)
mkldnn = _part("torch.backends.mkldnn", is_available=_no, enabled=False)
openmp = _part("torch.backends.openmp", is_available=_no)
quantized = _part("torch.backends.quantized", engine="none", supported_engines=["none"])

__getattr__ = _mirrored("torch.backends")
