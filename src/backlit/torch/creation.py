"""PyTorch's functions that make Tensors: sizes one by one, `requires_grad=`, `device=`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import array_api as ours
from .. import dtypes
from .. import random as draws
from ..array_api.arguments import integers, whole
from ..conversion import check_device, check_layout, check_place
from ..dialect.translate import as_dtype, into, unknown
from ..errors import ArgumentError, DTypeError
from ..foreign import words
from ..tensor import Tensor
from ..tensor import as_tensor as _as_tensor

Function = Callable[..., Any]


def _made(y: Tensor, requires_grad: bool, out: Any = None) -> Tensor:
    """What was made, as a leaf that asks for its gradient if it is to."""
    if out is not None:
        y = into("out", out, y)
    return y.requires_grad_() if requires_grad else y


def _sizes(name: str, size: tuple[Any, ...], named: Any = None) -> tuple[int, ...]:
    """Sizes one by one, or in one tuple."""
    if named is not None:
        size = (named,)
    alone = len(size) == 1 and isinstance(size[0], tuple | list)
    return integers(name, size[0] if alone else size)


def _of_sizes(make: Function, name: str, doc: str, drawn: bool = False) -> Function:
    def function(
        *sizes: Any,
        size: Any = None,
        out: Tensor | None = None,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        pin_memory: bool = False,
        memory_format: Any = None,
        generator: Any = None,
    ) -> Tensor:
        check_place(device, layout)
        if generator is not None and not drawn:
            raise unknown(name, "generator", ["size", "out", "dtype", "device", "requires_grad"])
        shape = _sizes(name, sizes, size)
        y = make(shape, dtype=as_dtype(dtype) or dtypes.DEFAULT_FLOAT, generator=generator)
        return _made(y, requires_grad, out)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc}: the sizes one by one or in a tuple."
    return function


def _plain(make: Function) -> Function:
    return lambda shape, dtype, generator: make(shape, dtype=dtype)


def _drawn(kind: str) -> Function:
    def draw(shape: Any, dtype: Any, generator: Any) -> Tensor:
        return getattr(draws.given_generator(generator), kind)(shape, dtype=dtype)

    return draw


zeros = _of_sizes(_plain(ours.zeros), "zeros", "Zeros")
ones = _of_sizes(_plain(ours.ones), "ones", "Ones")
empty = _of_sizes(_plain(ours.empty), "empty", "Values that do not matter, here zeros")
rand = _of_sizes(_drawn("uniform"), "rand", "Uniform numbers in [0, 1)", drawn=True)
randn = _of_sizes(_drawn("normal"), "randn", "Normally distributed numbers", drawn=True)


def _like(function: Function, name: str, doc: str) -> Function:
    def like(
        input: Any,
        *,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        pin_memory: bool = False,
        memory_format: Any = None,
        generator: Any = None,
    ) -> Tensor:
        input = _as_tensor(input)
        check_layout(layout)
        return function(
            input.shape,
            dtype=input.dtype if dtype is None else dtype,
            device=device,
            requires_grad=requires_grad,
            generator=generator,
        )

    like.__name__ = like.__qualname__ = name
    like.__doc__ = f"{doc}, in the shape and dtype of a Tensor."
    return like


zeros_like = _like(zeros, "zeros_like", "Zeros")
ones_like = _like(ones, "ones_like", "Ones")
empty_like = _like(empty, "empty_like", "Values that do not matter")
rand_like = _like(rand, "rand_like", "Uniform numbers in [0, 1)")
randn_like = _like(randn, "randn_like", "Normally distributed numbers")


def full(
    size: Any,
    fill_value: Any,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """One value everywhere."""
    check_layout(layout)
    y = ours.full(size, fill_value, dtype=as_dtype(dtype), device=device)
    return _made(y, requires_grad, out)


def full_like(input: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """One value everywhere, in the shape and dtype of a Tensor."""
    options.pop("memory_format", None)
    input = _as_tensor(input)
    return full(input.shape, fill_value, dtype=input.dtype if dtype is None else dtype, **options)


def tensor(
    data: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A Tensor with a copy of the data."""
    check_device(device)
    if isinstance(data, Tensor):
        data = data.detach()
    return Tensor(data, as_dtype(dtype), requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """The Tensor itself, or one that shares the memory of an array where it can."""
    return ours.asarray(data, dtype=as_dtype(dtype), device=device)


def asarray(
    obj: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A Tensor that shares the memory of an array where it can."""
    y = ours.asarray(obj, dtype=as_dtype(dtype), device=device, copy=copy)
    return _made(y, requires_grad)


def from_numpy(ndarray: Any) -> Tensor:
    """A Tensor that shares the memory of a NumPy array."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(
            f"from_numpy: it takes a NumPy array, got {words(ndarray)[0]}; use torch.tensor(data)"
        )
    return ours.asarray(ndarray)


def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A Tensor of bytes that are somewhere else."""
    array = np.frombuffer(buffer, dtypes.as_dtype(as_dtype(dtype)), count, offset)
    return _made(ours.asarray(array), requires_grad)


def arange(
    start: Any = 0,
    end: Any = None,
    step: Any = 1,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """start, start + step, … before end; `arange(n)` counts 0 … n - 1."""
    if end is None:
        start, end = 0, start
    check_layout(layout)
    y = ours.arange(start, end, step, dtype=as_dtype(dtype), device=device)
    return _made(y, requires_grad, out)


def range(start: Any = 0, end: Any = None, step: Any = 1, **options: Any) -> Tensor:
    """start, start + step, … up to and with end: float32. PyTorch advises `arange`."""
    if end is None:
        start, end = 0, start
    options.setdefault("dtype", dtypes.DEFAULT_FLOAT)
    return arange(start, end + step / 2, step, **options)


def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """`steps` evenly spaced numbers from start to end."""
    check_layout(layout)
    y = ours.linspace(start, end, steps, dtype=as_dtype(dtype), device=device)
    return _made(y, requires_grad, out)


def logspace(start: Any, end: Any, steps: int, base: float = 10.0, **options: Any) -> Tensor:
    """base to the power of `steps` evenly spaced numbers."""
    requires_grad, out = options.pop("requires_grad", False), options.pop("out", None)
    kind = dtypes.as_dtype(as_dtype(options.pop("dtype", None)) or dtypes.DEFAULT_FLOAT)
    inner = kind if kind in dtypes.FLOATING else dtypes.float64
    powers = linspace(start, end, steps, dtype=inner, **options)
    return _made(ours.pow(float(base), powers).astype(kind), requires_grad, out)


def eye(
    n: int,
    m: int | None = None,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere."""
    check_layout(layout)
    return _made(ours.eye(n, m, dtype=as_dtype(dtype), device=device), requires_grad, out)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinate grids from coordinate vectors, by matrix index as PyTorch has it by default."""
    if len(tensors) == 1 and isinstance(tensors[0], tuple | list):
        tensors = tuple(tensors[0])
    vectors = [ours.reshape(t, -1) if not _as_tensor(t).ndim else t for t in tensors]
    return tuple(ours.meshgrid(*vectors, indexing=indexing))


# -- random ---------------------------------------------------------------------------------------


def randint(
    low: Any = 0,
    high: Any = None,
    size: Any = None,
    *,
    generator: Any = None,
    out: Tensor | None = None,
    dtype: Any = dtypes.int64,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Whole numbers in [low, high); with one number, in [0, it)."""
    check_place(device, layout)
    if size is None:
        if not isinstance(high, tuple | list):
            raise TypeError("randint: the size must be a tuple, as randint(0, 10, (2, 3))")
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    y = draws.given_generator(generator).integers(low, high, integers("randint", size))
    return _made(y.astype(as_dtype(dtype)), requires_grad, out)


def randint_like(input: Any, low: Any, high: Any = None, **options: Any) -> Tensor:
    """Whole numbers in [low, high), in the shape and dtype of a Tensor."""
    input = _as_tensor(input)
    low, high = (0, low) if high is None else (low, high)
    options.setdefault("dtype", input.dtype)
    return randint(low, high, input.shape, **options)


def randperm(
    n: int,
    *,
    generator: Any = None,
    out: Tensor | None = None,
    dtype: Any = dtypes.int64,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """The integers below n in random order."""
    check_place(device, layout)
    y = draws.given_generator(generator).permutation(n).astype(as_dtype(dtype))
    return _made(y, requires_grad, out)


def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """Normally distributed numbers: of one mean and deviation, or of those in Tensors."""
    check_place(device, layout)
    if size is None:
        size = np.broadcast_shapes(np.shape(_shaped(mean)), np.shape(_shaped(std)))
    dtype = as_dtype(dtype) or _dtype_of(mean, std)
    drawn = draws.given_generator(generator).normal(integers("normal", size), dtype=dtype)
    mean, std = (v.detach() if isinstance(v, Tensor) else v for v in (mean, std))
    return _made(mean + std * drawn, requires_grad, out)


def _shaped(x: Any) -> Any:
    return x.array if isinstance(x, Tensor) else x


def _dtype_of(*values: Any) -> Any:
    floating = [v.dtype for v in values if isinstance(v, Tensor) and v.dtype in dtypes.FLOATING]
    return functools.reduce(dtypes.promote, floating) if floating else dtypes.DEFAULT_FLOAT


def multinomial(
    input: Any,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Any = None,
    out: Any = None,
) -> Tensor:
    """Classes, drawn with probabilities proportional to what the Tensor has for each of them."""
    drawn = draws.given_generator(generator).multinomial(input, num_samples, replacement)
    return _made(drawn, False, out=out)


def bernoulli(
    input: Any, p: float | None = None, *, generator: Any = None, out: Any = None
) -> Tensor:
    """1 with the probability that the Tensor says, else 0, in its dtype."""
    input = _as_tensor(input)
    if input.dtype not in dtypes.FLOATING:
        raise ArgumentError(f"bernoulli: probabilities must be floating, got {input.dtype}")
    chance = input.detach() if p is None else ours.full_like(input, p)
    return _made(draws.given_generator(generator).bernoulli(chance), False, out=out)


def _window(name: str, shape_of: Function, doc: str) -> Function:
    """A function that makes a window of a length, which `shape_of(length, ...)` has symmetric."""
    words = list(inspect.signature(shape_of).parameters)[1:]
    shown = ("window_length", "periodic", "dtype", "device", "requires_grad")

    def window(
        window_length: int,
        periodic: bool = True,
        *settings: float,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        pin_memory: bool = False,
        requires_grad: bool = False,
        **named: float,
    ) -> Tensor:
        check_place(device, layout)
        for word in named.keys() - set(words):
            raise unknown(name, word, [*shown, *words])
        length = whole(f"{name}: window_length", window_length, 0)
        kind = dtypes.as_dtype(as_dtype(dtype) or dtypes.DEFAULT_FLOAT)
        if kind not in dtypes.FLOATING:
            raise DTypeError(f"{name}: dtype must be floating, got {kind}")
        if length < 2:
            return _made(ours.ones(length, dtype=kind), requires_grad)
        values = shape_of(length + periodic, *settings, **named)[:length]
        return _made(Tensor(values.astype(kind)), requires_grad)

    window.__name__ = window.__qualname__ = name
    window.__doc__ = (
        f"{doc}\n\nNumbers 0 to N-1 of a period of N, or with `periodic=False` of one that ends at "
        "N-1."
    )
    return window


def _hamming(length: int, alpha: float = 0.54, beta: float = 0.46) -> np.ndarray:
    return alpha - beta * np.cos(2 * np.pi * np.arange(length) / (length - 1))


def _kaiser(length: int, beta: float = 12.0) -> np.ndarray:
    return np.kaiser(length, beta)


hann_window = _window("hann_window", np.hanning, "wₙ = (1 - cos(2πn/N)) / 2.")
hamming_window = _window("hamming_window", _hamming, "wₙ = α - β cos(2πn/N).")
blackman_window = _window(
    "blackman_window", np.blackman, "wₙ = 0.42 - cos(2πn/N) / 2 + 0.08 cos(4πn/N)."
)
bartlett_window = _window("bartlett_window", np.bartlett, "wₙ = 1 - |2n/N - 1|.")
kaiser_window = _window("kaiser_window", _kaiser, "wₙ = I₀(β √(1 - (2n/N - 1)²)) / I₀(β).")


def poisson(input: Any, generator: Any = None) -> Tensor:
    """Whole numbers, each with the mean that the Tensor says, in its dtype."""
    input = _as_tensor(input)
    if input.dtype not in dtypes.FLOATING:
        raise ArgumentError(f"poisson: the means must be floating, got {input.dtype}")
    return _made(draws.given_generator(generator).poisson(input.detach()), False)
