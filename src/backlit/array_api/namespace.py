"""The op-body namespace read with Tensors: for derivatives of derivatives, and for capture."""

from __future__ import annotations

from types import SimpleNamespace

from .. import array_api
from ..backend import NAMESPACE
from . import primitives

TENSORS = SimpleNamespace(
    **{name: getattr(primitives, name, None) or getattr(array_api, name) for name in NAMESPACE}
)
