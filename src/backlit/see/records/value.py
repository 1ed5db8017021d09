"""What a record keeps of one array: its type, its elements or the first of them, its statistics."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

from ...dtypes import FLOATING, DType, as_dtype
from ...errors import ArgumentError, DataError
from ...op import Shape

#: The statistics of an array, in the order in which they are listed.
STATISTICS = ("min", "max", "mean", "std", "norm", "zeros", "nan", "inf")

#: How many leading elements an elided array keeps.
HEAD = 8

#: The most axes that an array has.
AXES = 64


class Value:
    """An array as recorded. `array` is None where a file kept the statistics only.

    >>> v = Value(np.array([3.0, 4.0]))
    >>> v.statistics["norm"], v.shape, v.text()
    (5.0, (2,), '[3, 4]')
    """

    __slots__ = ("_head", "_statistics", "array", "dtype", "shape")

    array: np.ndarray | None
    shape: Shape
    dtype: DType

    def __init__(self, array: np.ndarray):
        self.array = array
        self.shape = array.shape
        self.dtype = array.dtype
        self._statistics: dict[str, float | None] | None = None
        self._head: list[float] | None = None

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The size in bytes."""
        return self.size * self.dtype.itemsize

    @property
    def type(self) -> str:
        """`float32[3,4]`."""
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"

    @property
    def head(self) -> list[float]:
        """The first elements in row-major order, at most eight."""
        if self._head is None:
            assert self.array is not None
            first = self.array.flat[:HEAD]
            self._head = [x.item() if hasattr(x, "item") else float(x) for x in first]
            if self.dtype in FLOATING:
                self._head = [float(x) for x in self._head]
        return self._head

    @property
    def statistics(self) -> dict[str, float | None]:
        """min, max, mean, std, norm of the finite elements (None if there are none), the share of
        zeros, and the numbers of nan and inf.
        """
        if self._statistics is None:
            assert self.array is not None
            self._statistics = statistics(self.array)
        return self._statistics

    def item(self) -> float | None:
        """The only element as a Python number, or None if there are more or none."""
        return self.head[0] if self.size == 1 else None

    def at(self, index: tuple[int, ...]) -> float | None:
        """One element as a Python number, or None if the elements were not kept."""
        flat = 0
        for i, n in zip(index, self.shape, strict=True):
            flat = flat * n + i
        if self.array is not None:
            return float(self.array[index])
        return self.head[flat] if flat < len(self.head) else None

    def text(self, digits: int = 4, limit: int = 4) -> str:
        """The elements for reading: a number, a short list, or the first few and `…`."""
        if self.shape == ():
            return number(self.head[0], digits)
        shown = [number(x, digits) for x in self.head[:limit]]
        more = ", …" if self.size > len(shown) else ""
        return f"[{', '.join(shown)}{more}]"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.array is None:
            raise ArgumentError(
                f"__array__: of {self.type} a file kept the statistics and the first {HEAD} "
                "elements only, and .array is None; record it anew, or save "
                'it with arrays="complete"'
            )
        return np.array(self.array, dtype, copy=copy)

    def __repr__(self) -> str:
        return f"Value({self.type}, {self.text()})"

    # -- as JSON ------------------------------------------------------------------------------

    def to_dict(self, complete: bool = False) -> dict[str, Any]:
        """The JSON form: type, statistics, the first elements, and the bytes if `complete`."""
        result: dict[str, Any] = {
            "shape": list(self.shape),
            "dtype": self.dtype.name,
            "statistics": {k: encode(v) for k, v in self.statistics.items()},
            "head": [encode(x) for x in self.head],
        }
        if complete and self.array is not None:
            little = self.array.astype(self.array.dtype.newbyteorder("<"), copy=False)
            result["data"] = base64.b64encode(little.tobytes()).decode()
        return result

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Value:
        """The value that `to_dict` wrote."""
        new = cls.__new__(cls)
        new.shape = shape_of(data["shape"])
        new.dtype = as_dtype(data["dtype"])
        new._statistics = {k: decode(data["statistics"][k]) for k in STATISTICS}
        new._head = [decode(x) for x in data["head"]]  # type: ignore[misc]
        if len(new._head) != min(new.size, HEAD) or None in new._head:
            raise DataError(
                f"head must have the first {min(new.size, HEAD)} numbers of {new.type}, "
                f"got {data['head']!r:.60}"
            )
        new.array = None
        if "data" in data:
            raw = base64.b64decode(data["data"], validate=True)
            if len(raw) != new.nbytes:
                raise DataError(
                    f"the data of {new.type} must have {new.nbytes} bytes, got {len(raw)}"
                )
            new.array = np.frombuffer(raw, new.dtype).reshape(new.shape)
        elif new.size <= len(new._head):
            new.array = np.array(new._head, new.dtype).reshape(new.shape)
        return new


def array_of(v: Value | None) -> np.ndarray | None:
    """A value's array; None where there is no value, or a file kept its statistics only."""
    return None if v is None else v.array


def norm(array: np.ndarray) -> float:
    """The Euclidean norm. Cheap, and right where squares overflow."""
    if array.dtype.itemsize <= 2:
        array = array.astype(np.float32)
    flat = array.ravel(order="K")
    square = float(np.dot(flat, flat))
    if 1e-30 < square < 1e30 or (square == 0 and not flat.any()):
        return square**0.5
    return float(np.linalg.norm(flat.astype(np.float64)))


def squares(*arrays: Any) -> float:
    """Σ x² of all elements, in float64."""
    return sum(float(np.sum(np.square(x, dtype=np.float64))) for x in arrays)


def statistics(array: np.ndarray) -> dict[str, float | None]:
    """The statistics of an array: see `Value.statistics`."""
    size = array.size
    result: dict[str, float | None] = dict.fromkeys(STATISTICS)
    result.update(nan=0, inf=0)
    if size == 0:
        return result
    if size == 1:
        one = float(array.reshape(())[()])
        result["zeros"] = float(one == 0)
        if math.isfinite(one):
            result.update(min=one, max=one, mean=one, std=0.0, norm=abs(one))
        else:
            result["nan" if math.isnan(one) else "inf"] = 1
        return result
    x = array if array.dtype.itemsize > 2 else array.astype(np.float32)
    low, high = float(x.min()), float(x.max())
    none_is_zero = low > 0 or high < 0
    result["zeros"] = 0.0 if none_is_zero else (size - int(np.count_nonzero(x))) / size
    if not (math.isfinite(low) and math.isfinite(high)):
        result["nan"] = int(np.isnan(x).sum())
        result["inf"] = int(np.isinf(x).sum())
        x = x[np.isfinite(x)]
        if x.size == 0:
            return result
        low, high = float(x.min()), float(x.max())
    scale = max(abs(low), abs(high))
    # Squares of numbers outside this range would overflow or vanish.
    scale = 1.0 if scale == 0 or (1e-15 < scale < 1e15 and x.dtype.kind == "f") else scale
    scaled = x if scale == 1 else x / scale
    mean = float(scaled.mean())
    centred = (scaled - scaled.dtype.type(mean)).ravel()
    variance = float(np.dot(centred, centred)) / x.size
    result.update(min=low, max=high, mean=scale * mean, std=scale * math.sqrt(variance))
    result["norm"] = scale * math.sqrt((variance + mean * mean) * x.size)
    return result


def shape_of(sizes: Any) -> Shape:
    """A shape from a file."""
    good = isinstance(sizes, list) and all(type(n) is int and 0 <= n < 2**63 for n in sizes)
    if not good or len(sizes) > AXES or math.prod(n or 1 for n in sizes) >= 2**63:
        raise DataError(f"a shape must be at most {AXES} sizes of 0 or more, got {sizes!r:.60}")
    return tuple(sizes)


def encode(x: float | None) -> Any:
    """A number for JSON, which has none that is not finite: those become strings."""
    if x is None or isinstance(x, int | str) or math.isfinite(x):
        return x
    return "nan" if math.isnan(x) else "inf" if x > 0 else "-inf"


def rounded(x: float, digits: int = 6) -> float:
    """A number with so many significant digits, for a page that is read.

    >>> rounded(2 / 3), rounded(2 / 3, 2)
    (0.666667, 0.67)
    """
    return float(f"{x:.{digits}g}")


def decode(x: Any) -> float | None:
    """The number that `encode` wrote."""
    if isinstance(x, str) and x in ("nan", "inf", "-inf"):
        return float(x)
    if x is None or type(x) in (int, float, bool):
        float(x or 0)  # an OverflowError if it is an integer that no array holds
        return x
    raise DataError(f"a number must be one, or 'nan', 'inf', '-inf' or null, got {x!r:.60}")


def number(x: float | None, digits: int = 4) -> str:
    """A number for reading: significant digits, no trailing zeros, a real minus sign.

    Whole numbers below a million are written in full.

    >>> number(-4.0), number(0.123456), number(1e-9), number(12345.0), number(None)
    ('−4', '0.1235', '1e−9', '12345', '—')
    """
    if x is None:
        return "—"
    if isinstance(x, bool):
        return str(x)
    if math.isnan(x):
        return "nan"
    if math.isinf(x):
        return "∞" if x > 0 else "−∞"
    whole = x == round(x) and abs(x) < 1e6
    text = f"{x:.0f}" if whole else f"{x:.{digits}g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = f"{mantissa}e{int(exponent)}"
    return ("0" if text == "-0" else text).replace("-", "−")


def operand(x: float | None) -> str:
    """A number after a sign: a negative one in brackets.

    >>> operand(2.0), operand(-2.0)
    ('2', '(−2)')
    """
    text = number(x)
    return f"({text})" if text.startswith("−") else text
