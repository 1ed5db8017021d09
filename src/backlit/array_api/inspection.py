"""What this namespace can do, as the Array API standard asks: dtypes, devices, capabilities."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..conversion import check_device
from ..dtypes import DType, isdtype

__all__ = ["__array_namespace_info__"]


class ArrayNamespaceInfo:
    """The answers to the inspection functions of the standard, section "Inspection"."""

    def capabilities(self) -> dict[str, Any]:
        """Whether masks index, whether shapes may depend on values, and the most axes.

        >>> ArrayNamespaceInfo().capabilities()["boolean indexing"]
        True
        """
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """Where Tensors are made: `"cpu"`."""
        return "cpu"

    def devices(self) -> list[str]:
        """Where Tensors can be."""
        return ["cpu"]

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        """The types of Tensors made from Python numbers. There are no complex types.

        >>> ArrayNamespaceInfo().default_dtypes()["real floating"]
        dtype('float32')
        """
        check_device(device)
        whole = dtypes.DEFAULT_INT
        return {"real floating": dtypes.DEFAULT_FLOAT, "integral": whole, "indexing": whole}

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, DType]:
        """The types of a kind (see `isdtype`) under their names in the standard.

        >>> sorted(ArrayNamespaceInfo().dtypes(kind="real floating"))
        ['float32', 'float64']
        """
        check_device(device)
        return {
            d.name: d
            for d in sorted(dtypes.SUPPORTED - dtypes.LOW_PRECISION, key=lambda d: d.name)
            if kind is None or isdtype(d, kind)
        }


def __array_namespace_info__() -> ArrayNamespaceInfo:  # noqa: N807
    """The inspection functions of this namespace.

    >>> __array_namespace_info__().devices()
    ['cpu']
    """
    return ArrayNamespaceInfo()
