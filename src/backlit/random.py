"""Random numbers: a counter-based generator whose state is two Tensors.

Bits come from Philox 4x64-10 with the seed as key; drawing moves a counter on. So a drawn number
depends on the seed and its position only, not on threads or on what runs the program. Every thread
has a default generator of its own, seeded with 0 until `manual_seed`.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from .array_api import (
    argsort,
    concat,
    cos,
    cumulative_sum,
    floor,
    log,
    log1p,
    minimum,
    nextafter,
    searchsorted,
    sin,
    sqrt,
    topk,
    where,
)
from .array_api.arguments import number, shape_tuple, whole
from .array_api.primitives import random_bits, random_poisson
from .autograd import no_grad
from .calls import explain, explain_methods
from .dtypes import FLOATING, as_dtype, float32, float64, int64, uint64
from .errors import ArgumentError, DTypeError
from .execution import AT_ONCE
from .foreign import require_dict, words
from .op import Requirement, describe
from .ops.creation import WORDS_PER_BLOCK, blocks
from .promotion import floating
from .spelling import draw
from .state import STATE, observing
from .tensor import Tensor, as_tensor, wrap

#: So many numbers are drawn at a time.
PIECE = 1 << 17

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _unwatched(draw: Callable[_P, _T]) -> Callable[_P, _T]:
    """Keep the ops inside a draw out of recordings: what was drawn is an input there.

    No gradient goes through a draw, so none may be wanted of its arguments.
    """

    @functools.wraps(draw)
    def quiet(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        for x in (*args, *kwargs.values()):
            if isinstance(x, Tensor):
                x._require_cut(draw.__name__, "write mean + std * backlit.random.normal(shape)")
        if STATE.observer is None:
            return draw(*args, **kwargs)
        with observing(alone=True):
            return draw(*args, **kwargs)

    return quiet


def _unit(upper: Tensor, lower: Tensor | None = None) -> Tensor:
    """Numbers in [0, 1), float32 of a word each, float64 of two."""
    if lower is None:
        return (upper >> 8).astype(float32) * 2.0**-24
    return ((upper >> 5).astype(float64) * 2.0**26 + (lower >> 6).astype(float64)) * 2.0**-53


def _pair(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Two normally distributed numbers for each two in [0, 1)."""
    radius, angle = sqrt(-2 * log(1 - u)), (2 * math.pi) * v
    return radius * cos(angle), radius * sin(angle)


class Generator:
    """A stream of random numbers that its seed determines.

    >>> Generator(0).uniform((2,)).tolist() == Generator(0).uniform((2,)).tolist()
    True
    """

    def __init__(self, seed: int = 0):
        self.key = wrap(np.zeros((), uint64))
        self.counter = wrap(np.zeros((), uint64))
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Start again from the beginning of the seed's stream."""
        if whole("manual_seed: seed", seed, 0) >= 2**64:
            raise ArgumentError(f"manual_seed: seed must be below 2**64, got {seed}")
        self.key.assign(np.array(seed, uint64))
        self.counter.assign(np.array(0, uint64))
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """The state: `key` and `counter`."""
        return {"key": self.key.detach(), "counter": self.counter.detach()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from a saved state."""
        require_dict("Generator.load_state_dict", state)
        if not {"key", "counter"} <= set(state):
            raise ArgumentError(
                f"Generator.load_state_dict: a state has key and counter, got {', '.join(state)}"
            )
        self.key.assign(state["key"])
        self.counter.assign(state["counter"])

    @_unwatched
    def bits(self, shape: Any) -> Tensor:
        """Uniform uint32 integers."""
        size = shape_tuple("bits", shape)
        y = random_bits(self.key, self.counter, size)
        self.counter.assign(self.counter + blocks(size))
        return y

    @_unwatched
    @no_grad()
    def uniform(
        self, shape: Any, low: float = 0.0, high: float = 1.0, *, dtype: Any = float32
    ) -> Tensor:
        """Numbers in [low, high): multiples of 2⁻²⁴ (float64: 2⁻⁵³) scaled."""
        size, dtype = shape_tuple("uniform", shape), as_dtype(dtype)
        if dtype not in FLOATING:
            raise DTypeError(f"uniform: dtype must be floating, got {dtype}; use integers()")

        def between(unit: Tensor) -> Tensor:
            y = unit if (low, high) == (0.0, 1.0) else low + (high - low) * unit
            return y.astype(dtype)

        count = math.prod(size)
        if self._in_pieces(count):
            return wrap(self._pieces(count, dtype, 1, lambda u: (between(u),)).reshape(size))
        return between(self._units(size, dtype))

    @_unwatched
    @no_grad()
    def normal(
        self, shape: Any, mean: float = 0.0, std: float = 1.0, *, dtype: Any = float32
    ) -> Tensor:
        """Normally distributed numbers, by Box and Muller (Ann. Math. Stat. 29, 1958)."""
        size, dtype = shape_tuple("normal", shape), as_dtype(dtype)
        if dtype not in FLOATING:
            raise DTypeError(f"normal: dtype must be floating, got {dtype}; use integers()")

        def scaled(y: Tensor) -> Tensor:
            if (mean, std) != (0.0, 1.0):
                y = mean + std * y
            return y.astype(dtype)

        count = math.prod(size)
        half = (count + 1) // 2
        if self._in_pieces(half):
            drawn = self._pieces(half, dtype, 2, lambda u, v: tuple(map(scaled, _pair(u, v))))
            return wrap(drawn[:count].reshape(size))
        both = _pair(self._units((half,), dtype), self._units((half,), dtype))
        return scaled(concat(both)[:count].reshape(size))

    def skip(self, kind: str, shape: Any, dtype: Any = float32) -> None:
        """Go on as if numbers had been drawn, "uniform" or "normal" ones.

        >>> one, other = Generator(), Generator()
        >>> _, _ = one.normal((5,)), other.skip("normal", (5,))
        >>> bool((one.uniform((3,)) == other.uniform((3,))).all())
        True
        """
        count, streams = math.prod(shape_tuple("skip", shape)), 1
        if kind == "normal":
            count, streams = (count + 1) // 2, 2
        words = 2 if as_dtype(dtype) == float64 else 1
        self.counter.assign(self.counter + streams * blocks((words, count)))

    def _units(self, size: tuple[int, ...], dtype: Any) -> Tensor:
        """Numbers in [0, 1), in the type in which others are made of them."""
        if dtype != float64:
            return _unit(self.bits(size))
        words = self.bits((2, *size))
        return _unit(words[0], words[1])

    def _in_pieces(self, count: int) -> bool:
        """Whether so many numbers are made piece by piece: not where a counter may overflow."""
        if count <= PIECE or STATE.execution is not AT_ONCE:
            return False
        return int(self.counter.array) < 2**63

    def _pieces(
        self, count: int, dtype: Any, streams: int, made: Callable[..., tuple[Tensor, ...]]
    ) -> np.ndarray:
        """What is `made` of `streams` times `count` numbers in [0, 1), one result after the other.

        Each piece stays in a core's cache. It takes the system longer to hand out memory for large
        arrays, which are then thrown away, than it takes to draw them.
        """
        words = 2 if dtype == float64 else 1  # of which a number is made
        first, taken = int(self.counter.array), blocks((words, count))
        results = np.empty((streams, count), dtype)
        for start in range(0, count, PIECE):
            n = min(PIECE, count - start)
            units = []
            for stream in range(streams):
                at = first + stream * taken
                units.append(_unit(*[self._words(at, w * count + start, n) for w in range(words)]))
            for result, piece in zip(results, made(*units), strict=True):
                result[start : start + n] = piece.array
        self.counter.assign(self.counter + streams * taken)
        return results.reshape(-1)

    def _words(self, block: int, start: int, count: int) -> Tensor:
        """The words from the one with number `start` on, counted from the first of a block."""
        skipped = start % WORDS_PER_BLOCK
        counter = wrap(np.array(block + start // WORDS_PER_BLOCK, uint64))
        return random_bits(self.key, counter, (skipped + count,))[skipped:]

    @_unwatched
    @no_grad()
    def integers(self, low: int, high: int, shape: Any) -> Tensor:
        """int64 integers in [low, high)."""
        if not low < high:
            raise ArgumentError(f"integers: low must be below high, got {low} and {high}")
        unit = self.uniform(shape, dtype=float64)
        return floor(unit * (high - low)).astype(int64) + low

    @_unwatched
    @no_grad()
    def permutation(self, n: int) -> Tensor:
        """The integers below n in random order."""
        words = self.bits((2, *shape_tuple("permutation", (n,)))).astype(uint64)
        return argsort(((words[0] >> 5) << 26) + (words[1] >> 6))  # as `uniform` of float64

    @_unwatched
    @no_grad()
    def bernoulli(self, p: Any) -> Tensor:
        """1 with probability p, else 0, for each element of p, which lies in [0, 1]."""
        p = floating(as_tensor(p))
        STATE.execution.require("bernoulli", _is_probability, (p,))
        wide = float64 if p.dtype == float64 else float32
        return (self.uniform(p.shape, dtype=wide) < p).astype(p.dtype)

    @_unwatched
    @no_grad()
    def poisson(self, mean: Any) -> Tensor:
        """Whole numbers with these means, each n with the probability mⁿ e⁻ᵐ / n!, in m's type."""
        y = random_poisson(self.key, self.counter, floating(as_tensor(mean)))
        self.counter.assign(self.counter + 1)
        return y

    @_unwatched
    @no_grad()
    def exponential(self, shape: Any, rate: float = 1.0, *, dtype: Any = float32) -> Tensor:
        """Numbers x ≥ 0 with the density rate · e^(-rate x), whose mean is 1 / rate."""
        size, dtype = shape_tuple("exponential", shape), as_dtype(dtype)
        if dtype not in FLOATING:
            raise DTypeError(f"exponential: dtype must be floating, got {dtype}")
        if not number("exponential: rate", rate) > 0:
            raise ArgumentError(f"exponential: rate must be positive, got {rate}")
        wide = float64 if dtype == float64 else float32
        return (-log1p(-self.uniform(size, dtype=wide)) / rate).astype(dtype)

    def multinomial(self, p: Any, num_samples: int, replacement: bool = False) -> Tensor:
        """int64 classes drawn with probabilities proportional to p: (..., C) -> (..., num_samples).

        Without `replacement` no class is drawn twice, and the next one is drawn among those that
        are left: they are the first to ring of C bells that ring at exponentially distributed
        times. No gradient goes through the choice.

        Source: Efraimidis & Spirakis, Inf. Process. Lett. 97 (2006).
        """
        return self._classes(as_tensor(p).detach(), num_samples, replacement)

    @_unwatched
    def _classes(self, p: Tensor, num_samples: int, replacement: bool) -> Tensor:
        if p.dtype not in FLOATING or p.ndim == 0 or p.shape[-1] == 0:
            raise ArgumentError(
                f"multinomial: p must be floating weights of at least one class, got {describe(p)}"
            )
        count = whole("multinomial: num_samples", num_samples)
        if not replacement and count > p.shape[-1]:
            raise ArgumentError(
                f"multinomial: {count} different classes cannot be drawn of {p.shape[-1]}; "
                "use replacement=True"
            )
        p = p.astype(float64)
        needed = 1 if replacement else count
        STATE.execution.require("multinomial", lambda xp, p: _are_weights(xp, p, needed), (p,))
        if replacement:
            upward = cumulative_sum(p, axis=-1)
            total = upward[..., -1:]
            point = self.uniform((*p.shape[:-1], count), dtype=float64) * total
            return searchsorted(upward, minimum(point, nextafter(total, 0.0)), side="right")
        rings = -log(1 - self.uniform(p.shape, dtype=float64))
        times = where(p > 0, rings / where(p > 0, p, 1.0), math.inf)
        return topk(times, count, largest=False).indices


def _is_probability(xp: Any, p: Any) -> tuple[Requirement, ...]:
    inside = xp.logical_and(p >= 0, p <= 1)
    return (Requirement(inside, p, ArgumentError, "p must lie in [0, 1]", "use sigmoid(p)"),)


def _are_weights(xp: Any, p: Any, needed: int) -> tuple[Requirement, ...]:
    """That all are finite and not negative, and enough of each row are not 0."""
    good = xp.logical_and(p >= 0, xp.isfinite(p))
    usable = xp.sum(xp.astype(p > 0, int64), axis=p.ndim - 1)
    word = "one class" if needed == 1 else f"{needed} classes"
    return (
        Requirement(
            good, p, ArgumentError, "p must be finite and not negative", "use softmax of scores"
        ),
        Requirement(
            usable >= needed,
            usable,
            ArgumentError,
            f"at least {word} must have a weight above 0",
            "draw fewer, or with replacement=True",
        ),
    )


class _Default(threading.local):
    def __init__(self) -> None:
        self.generator = Generator(0)


_DEFAULT = _Default()


def given_generator(generator: Any) -> Generator:
    """The generator of an argument, or this thread's default one if that is None."""
    if generator is None:
        return default_generator()
    if isinstance(generator, Generator):
        return generator
    raise ArgumentError(
        f"generator: must be a backlit.Generator, got {words(generator)[0]}; "
        "as backlit.Generator(0)"
    )


def default_generator() -> Generator:
    """This thread's generator, used wherever none is given."""
    generator = _DEFAULT.generator
    STATE.execution.default_generator(generator)
    return generator


def manual_seed(seed: int) -> Generator:
    """Seed this thread's default generator.

    >>> _ = manual_seed(1); a = uniform((3,)); _ = manual_seed(1)
    >>> bool((a == uniform((3,))).all())
    True
    """
    return default_generator().manual_seed(seed)


def uniform(shape: Any, low: float = 0.0, high: float = 1.0, *, dtype: Any = float32) -> Tensor:
    """Numbers in [low, high) from the default generator."""
    return default_generator().uniform(shape, low, high, dtype=dtype)


def normal(shape: Any, mean: float = 0.0, std: float = 1.0, *, dtype: Any = float32) -> Tensor:
    """Normally distributed numbers from the default generator."""
    return default_generator().normal(shape, mean, std, dtype=dtype)


def integers(low: int, high: int, shape: Any) -> Tensor:
    """int64 integers in [low, high) from the default generator."""
    return default_generator().integers(low, high, shape)


def permutation(n: int) -> Tensor:
    """The integers below n in random order, from the default generator."""
    return default_generator().permutation(n)


def bernoulli(p: Any) -> Tensor:
    """1 with probability p, else 0, for each element of p, from the default generator.

    >>> bernoulli(as_tensor([0.0, 1.0])).tolist()
    [0.0, 1.0]
    """
    return default_generator().bernoulli(p)


def exponential(shape: Any, rate: float = 1.0, *, dtype: Any = float32) -> Tensor:
    """Exponentially distributed numbers of mean 1 / rate, from the default generator."""
    return default_generator().exponential(shape, rate, dtype=dtype)


def multinomial(p: Any, num_samples: int, replacement: bool = False) -> Tensor:
    """Classes drawn with probabilities proportional to p, from the default generator.

    >>> multinomial(as_tensor([0.0, 1.0, 0.0]), 3, replacement=True).tolist()
    [1, 1, 1]
    """
    return default_generator().multinomial(p, num_samples, replacement)


def poisson(mean: Any) -> Tensor:
    """Poisson distributed numbers with these means, from the default generator.

    >>> poisson(as_tensor([0.0])).tolist()
    [0.0]
    """
    return default_generator().poisson(mean)


explain(__name__)
explain_methods(Generator)

if not TYPE_CHECKING:
    __getattr__ = draw
