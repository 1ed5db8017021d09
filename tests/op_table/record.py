"""The record of one op: what it must compute, where to try it, and how it fails.

A record is data. `test_ops.py` reads all of them with the same generic tests, and other suites
(compiled code, PyTorch parity) read the same cases.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import backlit
from backlit.op import Op
from backlit.tensor import Tensor, apply

Maker = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


@dataclass(frozen=True)
class Case:
    """One application: float64, integer or bool arrays, Python numbers, and attribute values."""

    inputs: tuple[Any, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        shapes = ",".join(
            "x".join(map(str, x.shape)) or "()" if isinstance(x, np.ndarray) else repr(x)
            for x in self.inputs
        )
        values = ",".join(f"{k}={v}" for k, v in self.attributes.items())
        return f"{shapes}|{values}" if values else shapes


@dataclass(frozen=True)
class Special:
    """A point where the value (and with `grads` the gradient for an upstream of ones) is known.

    `rtol=0` demands the exact number.
    """

    inputs: tuple[Any, ...]
    y: Any = None
    grads: tuple[Any, ...] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "float64"
    rtol: float = 0.0


@dataclass(frozen=True)
class Bad:
    """A call that must fail, with the error's type and a pattern for its text."""

    call: Callable[[], Any]
    error: type[Exception]
    text: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything the tests know about one op."""

    op: type[Op]
    #: The same function written differently: (*arrays, **attributes) -> array.
    reference: Callable[..., Any]
    cases: Sequence[Case]
    #: The function by which users reach the op; None if only other ops and functions do.
    function: Callable[..., Tensor] | None = None
    specials: Sequence[Special] = ()
    bad: Sequence[Bad] = ()
    #: Largest relative and absolute errors of float64 against the reference.
    rtol: float = 1e-13
    atol: float = 1e-14
    #: Whether float16 and bfloat16 make sense: not where their rounding changes what is chosen.
    low_precision: bool = True

    @property
    def name(self) -> str:
        return self.op.name

    def __call__(self, case: Case, *tensors: Any) -> Tensor:
        """The op itself applied to Tensors with a case's attributes."""
        return apply(self.op(**case.attributes), *tensors)

    def call_function(self, case: Case, *tensors: Any) -> Tensor:
        """The user's function on the same."""
        assert self.function is not None
        return self.function(*tensors, **case.attributes)


def generator(name: str) -> np.random.Generator:
    """Random numbers that depend on the name alone."""
    return np.random.default_rng(zlib.crc32(name.encode()))


# -- makers of inputs -----------------------------------------------------------------------------


def uniform(low: float, high: float) -> Maker:
    """Numbers in [low, high)."""
    return lambda rng, shape: np.array(rng.uniform(low, high, shape))


def either(low: float, high: float) -> Maker:
    """Numbers whose size lies in [low, high), of both signs: off a kink at 0."""
    return lambda rng, shape: np.array(
        rng.uniform(low, high, shape) * rng.choice([-1.0, 1.0], shape)
    )


def lattice(offset: float, step: float = 1.0, span: int = 4) -> Maker:
    """offset + k step for integers |k| ≤ span: numbers at a known distance from kinks and ties."""
    return lambda rng, shape: np.array(offset + step * rng.integers(-span, span + 1, shape))


def distinct(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Different numbers, the next at a distance of 0.3, in random order."""
    size = math.prod(shape)
    return (0.3 * (rng.permutation(size) - size // 2) + 0.1).reshape(shape)


def integers(low: int, high: int, dtype: str = "int64") -> Maker:
    """Integers in [low, high)."""
    return lambda rng, shape: np.array(rng.integers(low, high, shape), dtype)


def truth(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Truth values."""
    return np.array(rng.integers(0, 2, shape), bool)


# -- grids of cases -------------------------------------------------------------------------------

UNARY_SHAPES = [((),), ((3,),), ((2, 3),), ((0, 3),), ((1, 4),)]
BINARY_SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((2, 1), (1, 3)),
    ((), (2,)),
    ((1, 3), (0, 3)),
]


def grid(
    name: str,
    *makers: Maker,
    shapes: Sequence[tuple[tuple[int, ...], ...]] | None = None,
    attributes: Sequence[Mapping[str, Any]] = ({},),
) -> list[Case]:
    """Cases for each combination of shapes and attribute values."""
    rng = generator(name)
    if shapes is None:
        shapes = UNARY_SHAPES if len(makers) == 1 else BINARY_SHAPES
    return [
        Case(tuple(make(rng, shape) for make, shape in zip(makers, each, strict=True)), values)
        for each, values in itertools.product(shapes, attributes)
    ]


def pointwise(f: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """A function of Python numbers as a function of arrays, one element after another."""

    def reference(*arrays: Any) -> np.ndarray:
        spread = np.broadcast_arrays(*arrays)
        values = [
            f(*(v.item() for v in each)) for each in zip(*(a.flat for a in spread), strict=True)
        ]
        return np.array(values).reshape(spread[0].shape)

    return reference


def slices(x: np.ndarray, axis: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], list[float]]]:
    """For each index of the kept axes, the list of elements that are folded."""
    kept = [n for a, n in enumerate(x.shape) if a not in axis]
    for index in np.ndindex(*kept):
        key = list(index)
        whole: list[Any] = [slice(None) if a in axis else key.pop(0) for a in range(x.ndim)]
        yield index, [float(v) for v in np.asarray(x[tuple(whole)]).flat]


def folded(f: Callable[[list[float]], Any]) -> Callable[..., np.ndarray]:
    """A function of a list of numbers as a reduction with `axis` and `keepdims`."""

    def reference(x: np.ndarray, axis: tuple[int, ...], keepdims: bool, **more: Any) -> np.ndarray:
        kept = [n for a, n in enumerate(x.shape) if a not in axis]
        values = [f(values, **more) for _, values in slices(x, axis)]
        shape = [1 if a in axis else n for a, n in enumerate(x.shape)] if keepdims else kept
        return np.array(values).reshape(shape)

    return reference


def functions_of(op: type[Op]) -> Callable[..., Tensor]:
    """The function of the op's own name."""
    return getattr(backlit, op.name)
