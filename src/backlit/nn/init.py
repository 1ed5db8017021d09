"""Starting values for parameters: how random they are, and how large.

Each function fills a Tensor, whose memory stays the same object, and returns it. `generator` is a
`backlit.Generator`; without one the numbers come from this thread's default generator.

For a weight (O, I, *kernel) the fans are I and O times the number of kernel elements: how many
products are added for one output, and how many outputs one input reaches.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..array_api import clip, erfinv
from ..calls import explain
from ..dtypes import FLOATING
from ..errors import ArgumentError, ShapeError
from ..execution import AT_ONCE
from ..op import describe
from ..random import Generator, given_generator
from ..state import STATE
from ..tensor import Tensor

_GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor on the standard deviation that keeps variances constant through a nonlinearity.

    1 for linear maps and the sigmoid, 5/3 for tanh, √2 for ReLU, √(2 / (1 + slope²)) for leaky ReLU
    with `param` as its slope (0.01 if not given), 3/4 for SELU.

    >>> calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        known = ", ".join(sorted([*_GAINS, "leaky_relu"]))
        raise ArgumentError(
            f"calculate_gain: nonlinearity must be one of {known}, got {nonlinearity!r}"
        )
    return _GAINS[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan in, fan out) of a weight (O, I, *kernel).

    >>> from backlit import zeros
    >>> fans(zeros((8, 3, 5, 5)))
    (75, 200)
    """
    if tensor.ndim < 2:
        raise ShapeError(f"init: fans need at least 2 axes (O, I, ...), got {describe(tensor)}")
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def _source(generator: Generator | None) -> Generator:
    return given_generator(generator)


class _Draw(NamedTuple):
    """Numbers that a Tensor is to have, which holds something else until they are drawn."""

    tensor: Tensor
    held: np.ndarray
    source: Generator
    counter: np.ndarray
    kind: str
    parameters: tuple[float, float]

    def make(self) -> None:
        """Draw them, unless the Tensor has been given others."""
        if self.tensor.array is not self.held:
            return
        after, self.source.counter.array = self.source.counter.array, self.counter
        draw = getattr(self.source, self.kind)
        self.tensor.assign(draw(self.tensor.shape, *self.parameters, dtype=self.tensor.dtype))
        self.source.counter.array = after


class _Later(threading.local):
    #: By the identity of its Tensor, what this thread puts off.
    draws: dict[int, _Draw] | None = None


_LATER = _Later()


@contextlib.contextmanager
def drawn_once() -> Iterator[None]:
    """Draw what starting values stay at the end of the block, or of the function decorated with it.

    For networks that give the weights of their layers other values than the layers do. All of them
    get the values that they would get without it. Until the end nobody may look at them.

    >>> from backlit import zeros
    >>> with drawn_once():
    ...     x = uniform_(uniform_(zeros((2,))), 5.0, 6.0)  # drawn once, here
    >>> bool((x >= 5.0).all())
    True
    """
    if _LATER.draws is not None or STATE.execution is not AT_ONCE:
        yield
        return
    draws = _LATER.draws = {}
    try:
        yield
    finally:
        _LATER.draws = None
    for draw in draws.values():
        draw.make()


def _drawn(tensor: Tensor, source: Generator, kind: str, a: float, b: float) -> Tensor:
    """The tensor, filled by a method of the generator; or to be filled."""
    if _LATER.draws is None or tensor.dtype not in FLOATING:
        return tensor.assign(getattr(source, kind)(tensor.shape, a, b, dtype=tensor.dtype))
    counter = source.counter.array
    _LATER.draws[id(tensor)] = _Draw(tensor, tensor.array, source, counter, kind, (a, b))
    source.skip(kind, tensor.shape, tensor.dtype)
    return tensor


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform numbers in [a, b)."""
    return _drawn(tensor, _source(generator), "uniform", a, b)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Normally distributed numbers."""
    return _drawn(tensor, _source(generator), "normal", mean, std)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Normally distributed numbers, of which only those in [a, b] are taken.

    Made of uniform numbers u in [Φ(a), Φ(b)], as Φ⁻¹(u), with Φ that of the normal distribution.
    """
    if not a < b or not std > 0:
        raise ArgumentError(
            f"trunc_normal_: a must lie below b, and std above 0, got a={a}, b={b}, std={std}"
        )
    low, high = (math.erf((limit - mean) / (std * math.sqrt(2))) for limit in (a, b))
    if (low, high) == (-1, 1):  # nothing that float64 could tell lies outside
        return tensor.assign(clip(normal_(tensor, mean, std, generator), a, b))
    drawn = _source(generator).uniform(tensor.shape, low, high, dtype="float64")
    values = clip(mean + std * math.sqrt(2) * erfinv(drawn), a, b)
    return tensor.assign(values.astype(tensor.dtype))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One number everywhere."""
    return tensor.assign(np.full(tensor.shape, val, tensor.dtype))


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1)


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform in ±gain √(6 / (fan in + fan out)).

    Source: Glorot & Bengio, AISTATS 2010, eq. 16.
    """
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with standard deviation gain √(2 / (fan in + fan out)).

    Source: Glorot & Bengio, AISTATS 2010, eq. 12.
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))), generator)


def _fan(tensor: Tensor, mode: str) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"kaiming: mode must be 'fan_in' or 'fan_out', got {mode!r}")
    return fans(tensor)[mode == "fan_out"]


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fan = _fan(tensor, mode)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform in ±gain √(3 / fan); `a` is the slope of the leaky ReLU that follows.

    Source: He, Zhang, Ren & Sun, ICCV 2015, eq. 10 and 14.
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal with standard deviation gain / √fan; `a` is the slope of the leaky ReLU that follows.

    Source: He, Zhang, Ren & Sun, ICCV 2015, eq. 10 and 14.
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix: ones on the diagonal."""
    if tensor.ndim != 2:
        raise ShapeError(f"eye_: the Tensor must have 2 axes, got {describe(tensor)}")
    return tensor.assign(np.eye(*tensor.shape, dtype=tensor.dtype))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Kernels of a convolution that hands on its input channels, as many as there are.

    The weight is (O, I, *kernel), with 1 at the centre of kernel (i, i), in each of `groups`.
    """
    if tensor.ndim not in (3, 4, 5) or tensor.shape[0] % groups:
        raise ShapeError(
            f"dirac_: the Tensor must have 3, 4 or 5 axes, the first a multiple of groups={groups},"
            f" got {describe(tensor)}"
        )
    rows, columns, *kernel = tensor.shape
    rows //= groups
    values = np.zeros(tensor.shape, tensor.dtype)
    for group in range(groups):
        for i in range(min(rows, columns)):
            values[(group * rows + i, i, *(n // 2 for n in kernel))] = 1
    return tensor.assign(values)


def bilinear_(tensor: Tensor) -> Tensor:
    """Kernels of a transposed convolution that interpolates linearly between pixels.

        w[o, i, y, x] = (1 - |y - cy| / fy)(1 - |x - cx| / fx),  f = ⌈K / 2⌉,  c = (K - 1) / 2

    `ConvTranspose2d(C, C, K, stride=f, padding=f // 2, groups=C, bias=False)`, K = 2f - f % 2,
    with these makes images f times as large.
    Source: Long, Shelhamer & Darrell, "Fully convolutional networks for semantic segmentation",
    CVPR 2015, sec. 3.3. Caffe's filler is the same for these K, and not symmetric for others.

    >>> from backlit import zeros
    >>> bilinear_(zeros((1, 1, 4, 4)))[0, 0, 1].tolist()
    [0.1875, 0.5625, 0.5625, 0.1875]
    """
    if tensor.ndim != 4:
        raise ShapeError(f"bilinear_: the Tensor must have 4 axes, got {describe(tensor)}")
    rows, columns = (
        1 - np.abs(np.arange(size) - (size - 1) / 2) / math.ceil(size / 2)
        for size in tensor.shape[2:]
    )
    kernel = np.outer(rows, columns).astype(tensor.dtype)
    return tensor.assign(np.broadcast_to(kernel, tensor.shape))


def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """Normal numbers, and in each column a fraction `sparsity` of zeros at random places.

    Source: Martens, "Deep learning via Hessian-free optimization", ICML 2010, sec. 5.
    """
    if tensor.ndim != 2:
        raise ShapeError(f"sparse_: the Tensor must have 2 axes, got {describe(tensor)}")
    source = _source(generator)
    rows, columns = tensor.shape
    values = source.normal(tensor.shape, 0.0, std, dtype=tensor.dtype).numpy().copy()
    for column in range(columns):
        values[source.permutation(rows).numpy()[: math.ceil(sparsity * rows)], column] = 0
    return tensor.assign(values)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Orthonormal rows or columns, whichever are fewer, of the weight as a matrix (O, rest).

    Source: Saxe, McClelland & Ganguli, ICLR 2014, sec. 3.
    """
    if tensor.ndim < 2:
        raise ShapeError(f"orthogonal_: the Tensor must have 2 axes, got {describe(tensor)}")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    tall = (rows, columns) if rows >= columns else (columns, rows)
    drawn: Any = _source(generator).normal(tall, dtype="float64").numpy()
    q, r = np.linalg.qr(drawn)
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)  # makes the distribution uniform
    q = q if rows >= columns else q.T
    return tensor.assign((gain * q).reshape(tensor.shape).astype(tensor.dtype))


explain(__name__)
