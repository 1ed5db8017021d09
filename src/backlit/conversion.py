"""The array that data becomes: numbers, nested lists and other libraries' arrays, or the error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import dtypes
from .backend.numpy_backend import astype
from .dtypes import DType, as_dtype
from .errors import ArgumentError, BacklitError, DTypeError
from .foreign import words
from .spelling import SPARSE
from .state import where_called

# A tuple: `a | b` would make a union at each call.
_ARRAYS = (np.ndarray, np.generic)
NESTING = (list, tuple)


def as_array(
    data: Any,
    dtype: Any = None,
    copy: bool | None = None,
    plainly: Callable[[Any], Any] = lambda data: data,
) -> np.ndarray:
    """A NumPy array of a supported dtype; Python floats become float32, ints int64.

    `plainly` makes of nested lists what NumPy can read, where they may hold something else.
    """
    target = None if dtype is None else as_dtype(dtype)
    if not isinstance(data, _ARRAYS):
        if not hasattr(data, "__array__") or isinstance(data, type):
            return _from_python(data, target, plainly)
        try:
            data = np.asarray(data)
        except Exception as error:  # an array of another library's raises what it likes
            raise DTypeError(_no_numbers(data, f": {error}")) from None
    if data.dtype not in dtypes.SUPPORTED or type(data) is not np.ndarray:
        _require_numbers(data, data, target)
    if target is not None and data.dtype != target and copy is not False:
        return astype(np.asarray(data), target)
    return np.array(data, as_dtype(data.dtype) if target is None else target, copy=copy)


def _from_python(data: Any, target: DType | None, plainly: Callable[[Any], Any]) -> np.ndarray:
    """Numbers and nested lists as an array."""
    try:
        plain = plainly(data)
        array = np.array(plain)
    except BacklitError:
        raise
    except ValueError:
        raise ArgumentError(_no_numbers(data)) from None
    except Exception as error:  # and so does one in a list
        raise DTypeError(_no_numbers(data, f": {error}")) from None
    _require_numbers(array, data, target)
    if target is not None:
        try:
            through = dtypes.float32 if target == dtypes.bfloat16 else target
            return astype(np.array(plain, through), target)
        except (ValueError, OverflowError) as error:
            raise ArgumentError(f"tensor: the data must fit into {target}: {error}") from None
    defaults: dict[str, DType] = {"f": dtypes.DEFAULT_FLOAT, "i": dtypes.DEFAULT_INT}
    default = defaults.get(array.dtype.kind)
    # A list of NumPy arrays keeps their dtype; only Python numbers have a default.
    dtype = default if default and _python_numbers(data) else as_dtype(array.dtype)
    return array.astype(dtype, copy=False)


def _require_numbers(array: Any, data: Any, target: DType | None) -> None:
    """Raise unless an array that was made of the data has numbers that `target` can take over."""
    if np.ma.is_masked(array):
        raise DTypeError(
            f"tensor: the data must be numbers, got a masked array with {np.ma.count_masked(array)}"
            " elements masked; say what stands there: x.filled(0)"
        )
    dtype = array.dtype
    number = dtype.kind in "biuf" or (dtype.kind == "V" and dtype.type is not np.void)
    if not number or (target is None and dtype.newbyteorder("=") not in dtypes.SUPPORTED):
        raise DTypeError(_no_numbers(data))


def _no_numbers(data: Any, error: str = "") -> str:
    what, cure = words(data)
    return (
        f"tensor: the data must be numbers in a regular nesting, got {what}{error}; "
        f"{cure}{where_called()}"
    )


def _python_numbers(data: Any) -> bool:
    """Whether the innermost things in nested lists are numbers of Python's own."""
    while isinstance(data, NESTING) and data:
        data = data[0]
    return not hasattr(data, "__array__")


class Device(str):
    """The name of a device. As in PyTorch it knows its `type` and `index`.

    >>> Device("cuda", 1).type, Device("cuda:1").index, Device("cpu") == "cpu"
    ('cuda', 1, True)
    """

    __slots__ = ()

    def __new__(cls, type: Any = "cpu", index: int | None = None) -> Device:
        """A device of a kind, and which one; a number alone is a GPU's."""
        name = f"cuda:{type}" if isinstance(type, int) else str(type)
        return str.__new__(cls, name if index is None else f"{name}:{index}")

    def __enter__(self) -> Device:
        check_device(self)
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"

    @property
    def type(self) -> str:
        """What kind of device it is: `"cpu"`."""
        return str(self).partition(":")[0]

    @property
    def index(self) -> int | None:  # type: ignore[override]
        """Which one of its kind, or None where that is not said."""
        number = str(self).partition(":")[2]
        return int(number) if number else None


CPU = Device("cpu")


def is_device(name: str) -> bool:
    """Whether a text is the name of a device, here or elsewhere."""
    return isinstance(name, Device) or name in ("cpu", "cuda", "mps", "xpu", "meta") or ":" in name


def check_device(device: Any) -> None:
    """Raise unless the device is None or the CPU."""
    if device not in (None, "cpu", "cpu:0"):
        raise ArgumentError(f"device: must be 'cpu', got {device!r}; Backlit computes on the CPU")


def check_layout(layout: Any) -> None:
    """Raise unless the layout is None or `torch.strided`, that of every Tensor."""
    if layout not in (None, "torch.strided"):
        raise ArgumentError(f"layout: must be torch.strided, got {layout!r:.60}; {SPARSE}")


def check_place(device: Any, layout: Any) -> None:
    """Raise unless Tensors can be on that device and in that layout."""
    check_device(device)
    check_layout(layout)
