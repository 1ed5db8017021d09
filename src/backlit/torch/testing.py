"""`torch.testing`: whether two results are as close as their dtype lets expect."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..tensor import Tensor, as_tensor
from .mirror import mirrored as _mirrored

#: PyTorch's tolerances: relative, absolute.
_CLOSE = {
    dtypes.float16: (1e-3, 1e-5),
    dtypes.bfloat16: (1.6e-2, 1e-5),
    dtypes.float32: (1.3e-6, 1e-5),
    dtypes.float64: (1e-7, 1e-7),
}


def _require(holds: bool, what: str, a: Any, b: Any) -> None:
    if not holds:
        raise AssertionError(f"{what} must be equal, got {a} and {b}")


def assert_close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_dtype: bool = True,
    msg: Any = None,
    allow_subclasses: bool = True,
    check_device: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
) -> None:
    """Raise AssertionError unless both have one shape and dtype, and elements that are close.

    |actual - expected| ≤ atol + rtol |expected|. `msg` is what the error says, or makes it of the
    usual text.
    """
    if msg is not None:
        try:
            assert_close(
                actual, expected,
                rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=check_dtype,
            )  # fmt: skip
        except AssertionError as error:
            raise AssertionError(msg(str(error)) if callable(msg) else msg) from None
        return
    if isinstance(actual, tuple | list):
        _require(len(actual) == len(expected), "the lengths", len(actual), len(expected))
        for a, b in zip(actual, expected, strict=True):
            assert_close(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=check_dtype)
        return
    both_tensors = isinstance(actual, Tensor) and isinstance(expected, Tensor)
    a, b = as_tensor(actual).detach(), as_tensor(expected).detach()
    _require(a.shape == b.shape, "the shapes", a.shape, b.shape)
    if both_tensors and check_dtype:
        _require(a.dtype == b.dtype, "the dtypes", a.dtype, b.dtype)
    relative, absolute = max(_CLOSE.get(a.dtype, (0, 0)), _CLOSE.get(b.dtype, (0, 0)))
    np.testing.assert_allclose(
        a.numpy().astype(np.float64),
        b.numpy().astype(np.float64),
        rtol=relative if rtol is None else rtol,
        atol=absolute if atol is None else atol,
        equal_nan=equal_nan,
    )


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: Any = None,
    atol: Any = None,
    equal_nan: bool = True,
    msg: Any = None,
) -> None:
    """The same, whatever the dtypes."""
    assert_close(
        actual, expected,
        rtol=rtol, atol=atol, check_dtype=False, equal_nan=equal_nan, msg=msg or None,
    )  # fmt: skip


__getattr__ = _mirrored("torch.testing")
