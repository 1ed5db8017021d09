"""What every distribution has: shapes, draws, densities, and how several make one event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Self

from .. import dtypes
from ..array_api import broadcast_arrays, broadcast_to, exp, sqrt
from ..array_api import sum as total
from ..array_api.arguments import shape_tuple
from ..autograd import no_grad
from ..dtypes import FLOATING
from ..errors import ArgumentError, ShapeError
from ..op import Requirement, Shape
from ..state import STATE
from ..tensor import Tensor, as_tensor


class Condition(NamedTuple):
    """What must hold of elements, in words, and the cure."""

    holds: Callable[[Any, Any], Any]
    """`holds(xp, x)`: a truth value for each element."""
    words: str
    cure: str


POSITIVE = Condition(
    lambda xp, x: x > 0, "must be positive", "use softplus(x) or exp(x) of a number of any sign"
)
REAL = Condition(
    lambda xp, x: xp.isfinite(x), "must be finite", "see.bad_numbers finds where it became so"
)
UNIT = Condition(
    lambda xp, x: xp.logical_and(x >= 0, x <= 1),
    "must lie in [0, 1]",
    "give scores of any size as logits=",
)


class Distribution:
    """A distribution over events, one for each element of `batch_shape`.

    A draw has the shape sample_shape + batch_shape + event_shape. `log_prob(value)` has one number
    for each event. Draws are from the default generator (`backlit.manual_seed`).
    """

    #: The parameters, which `expand` and `repr` go through; those of one event are `event_ndim`.
    names: ClassVar[tuple[str, ...]] = ()
    has_rsample: ClassVar[bool] = False
    #: What a value must be to have a probability.
    support: ClassVar[Condition] = REAL

    batch_shape: Shape
    event_shape: Shape
    validates: bool

    def __init__(self, batch_shape: Any, event_shape: Any = (), validate_args: bool | None = None):
        self.batch_shape = tuple(batch_shape)
        self.event_shape = tuple(event_shape)
        self.validates = validate_args is not False

    # -- draws --------------------------------------------------------------------------------

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """A draw through which gradients reach the parameters (the reparametrisation trick).

        Source: Kingma & Welling, "Auto-encoding variational Bayes", ICLR 2014.
        """
        raise ArgumentError(
            f"rsample: a draw of {type(self).__name__} has no derivative; use sample() with "
            "log_prob, as the score function does: loss = -log_prob(action) * reward"
        )

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """A draw that is cut off from the tape."""
        with no_grad():
            return self.rsample(sample_shape)

    def sample_n(self, n: int) -> Tensor:
        """n draws."""
        return self.sample((n,))

    def _drawn(self, sample_shape: Any) -> Shape:
        """The shape of a draw."""
        return (*shape_tuple("sample", sample_shape), *self.batch_shape, *self.event_shape)

    # -- densities ----------------------------------------------------------------------------

    def log_prob(self, value: Any) -> Tensor:
        """The logarithm of the probability of a value, or of the density there."""
        raise self._unknown("log_prob")

    def cdf(self, value: Any) -> Tensor:
        """The probability of at most a value."""
        raise self._unknown("cdf")

    def icdf(self, value: Any) -> Tensor:
        """The value below which a probability lies: the inverse of `cdf`."""
        raise self._unknown("icdf")

    def entropy(self) -> Tensor:
        """-E[log p(x)], in nats."""
        raise self._unknown("entropy")

    def perplexity(self) -> Tensor:
        """e^entropy."""
        return exp(self.entropy())

    # -- moments ------------------------------------------------------------------------------

    @property
    def mean(self) -> Tensor:
        """E[x]."""
        raise self._unknown("mean")

    @property
    def mode(self) -> Tensor:
        """The value of the highest probability."""
        raise self._unknown("mode")

    @property
    def variance(self) -> Tensor:
        """E[(x - E[x])²]."""
        raise self._unknown("variance")

    @property
    def stddev(self) -> Tensor:
        """√variance."""
        return sqrt(self.variance)

    # -- shapes -------------------------------------------------------------------------------

    def expand(self, batch_shape: Any) -> Self:
        """The same distribution for a larger batch."""
        shape = shape_tuple("expand", batch_shape)
        parameters = {name: self._widened(getattr(self, name), shape) for name in self.names}
        return type(self)(**parameters, validate_args=self.validates)

    def _widened(self, parameter: Tensor, shape: Shape) -> Tensor:
        own = parameter.shape[len(self.batch_shape) :]
        return broadcast_to(parameter, (*shape, *own))

    def __repr__(self) -> str:
        def told(x: Tensor) -> str:
            return f"{x.item():.4g}" if x.size == 1 else str(x.shape)

        inside = ", ".join(f"{name}: {told(getattr(self, name))}" for name in self.names)
        return f"{type(self).__name__}({inside})"

    # -- for those that are made of it --------------------------------------------------------

    def _unknown(self, what: str) -> ArgumentError:
        return ArgumentError(f"{what}: {type(self).__name__} has none in closed form")

    def _value(self, value: Any) -> Tensor:
        """A value whose probability is asked for, checked."""
        x = as_tensor(value)
        inner = len(self.event_shape)
        if inner and x.shape[-inner:] != self.event_shape:
            raise ShapeError(
                f"{type(self).__name__}: a value must end in the event's shape "
                f"{self.event_shape}, got {x.shape}"
            )
        if self.validates:
            demand(f"{type(self).__name__}: a value", self.support, x)
        return x


def parameters(name: str, validate: bool | None, **given: tuple[Any, Condition]) -> list[Tensor]:
    """Parameters as floating Tensors of one shape, each checked by its condition."""
    found = []
    for word, (value, condition) in given.items():
        x = as_tensor(value)
        if x.dtype not in FLOATING:
            x = x.astype(dtypes.DEFAULT_FLOAT)
        if validate is not False:
            demand(f"{name}: {word}", condition, x)
        found.append(x)
    return broadcast_arrays(*found)


def demand(name: str, condition: Condition, x: Tensor) -> None:
    """Raise unless the elements of a Tensor meet a condition; compiled code does, too."""
    holds, words, cure = condition
    STATE.execution.require(
        name, lambda xp, a: (Requirement(holds(xp, a), a, ArgumentError, words, cure),), (x,)
    )


class OneOf(NamedTuple):
    """What of two ways to give the same was given."""

    is_logits: bool
    value: Tensor


def one_of(name: str, probs: Any, logits: Any) -> OneOf:
    """Probabilities or logits, of which one must be given."""
    if (probs is None) == (logits is None):
        both = "neither" if probs is None else "both"
        raise ArgumentError(f"{name}: give probs or logits, got {both}")
    x = as_tensor(logits if probs is None else probs)
    return OneOf(probs is None, x if x.dtype in FLOATING else x.astype(dtypes.DEFAULT_FLOAT))


class Independent(Distribution):
    """The last axes of a batch as one event: log-probabilities are summed over them.

    >>> from backlit import zeros, ones
    >>> from backlit.distributions import Normal
    >>> Independent(Normal(zeros((3, 2)), ones((3, 2))), 1).log_prob(zeros(2)).shape
    (3,)
    """

    def __init__(
        self,
        base_distribution: Distribution,
        reinterpreted_batch_ndims: int,
        validate_args: bool | None = None,
    ):
        base, count = base_distribution, reinterpreted_batch_ndims
        if not 0 <= count <= len(base.batch_shape):
            raise ArgumentError(
                f"Independent: the batch {base.batch_shape} has no {count} axes to make an event of"
            )
        cut = len(base.batch_shape) - count
        self.base_dist, self.reinterpreted_batch_ndims = base, count
        super().__init__(
            base.batch_shape[:cut], (*base.batch_shape[cut:], *base.event_shape), validate_args
        )

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether a draw has a derivative."""
        return self.base_dist.has_rsample

    def _sum(self, x: Tensor) -> Tensor:
        count = self.reinterpreted_batch_ndims
        return total(x, axis=tuple(range(-count, 0))) if count else x

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """A draw through which gradients reach the parameters."""
        return self.base_dist.rsample(sample_shape)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """A draw that is cut off from the tape."""
        return self.base_dist.sample(sample_shape)

    def log_prob(self, value: Any) -> Tensor:
        """Σ log p over the axes of the event."""
        return self._sum(self.base_dist.log_prob(value))

    def entropy(self) -> Tensor:
        """The sum of the entropies over the axes of the event."""
        return self._sum(self.base_dist.entropy())

    @property
    def mean(self) -> Tensor:
        """E[x]."""
        return self.base_dist.mean

    @property
    def mode(self) -> Tensor:
        """The value of the highest probability."""
        return self.base_dist.mode

    @property
    def variance(self) -> Tensor:
        """E[(x - E[x])²] of each element."""
        return self.base_dist.variance

    def expand(self, batch_shape: Any) -> Independent:
        """The same distribution for a larger batch."""
        cut = len(self.event_shape) - len(self.base_dist.event_shape)
        shape = (*shape_tuple("expand", batch_shape), *self.event_shape[:cut])
        return Independent(self.base_dist.expand(shape), self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"Independent({self.base_dist!r}, {self.reinterpreted_batch_ndims})"


__all__ = ["Distribution", "Independent"]
