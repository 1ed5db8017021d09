"""Distributions of y = f(x), where the distribution of x is known and f can be inverted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..array_api import abs, atanh, broadcast_shapes, broadcast_to, exp, log, log1p, sigmoid, tanh
from ..array_api import sum as total
from ..autograd import no_grad
from ..errors import ArgumentError
from ..nn.functional import softplus
from ..op import Shape
from ..tensor import Tensor, as_tensor
from .distribution import REAL, Condition, Distribution, parameters

_NOT_ZERO = Condition(lambda xp, x: x != 0, "must not be 0", "a scale of 0 has no inverse")


class Transform:
    """An invertible function of each element: `t(x)`, its inverse `t.inv(y)`, and log |dy/dx|.

    With `cache_size=1` the last x is kept, and is the inverse of the y that was made of it: where
    rounding has lost x, as tanh(20) = 1 has, its density is known all the same.
    """

    #: The shape of the parameters, which the transformed distribution has, too.
    shape: Shape = ()

    def __init__(self, cache_size: int = 0):
        if cache_size not in (0, 1):
            raise ArgumentError(
                f"{type(self).__name__}: cache_size must be 0 or 1, got {cache_size!r:.60}"
            )
        self._keeps = bool(cache_size)
        self._last: tuple[Any, Any] = (None, None)

    def __call__(self, x: Any) -> Tensor:
        """f(x)."""
        x = as_tensor(x)
        y = self._forward(x)
        if self._keeps:
            self._last = x, y
        return y

    def _forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _backward(self, y: Tensor) -> Tensor:
        raise NotImplementedError

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |dy/dx| of each element, where y = f(x)."""
        raise NotImplementedError

    @property
    def inv(self) -> Transform:
        """The inverse function."""
        return _Inverse(self)

    def _undone(self, y: Tensor) -> Tensor:
        x, made = self._last
        return x if made is y else self._backward(y)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Inverse(Transform):
    """The inverse of a function."""

    def __init__(self, of: Transform):
        super().__init__()
        self.shape = of.shape
        self._of = of

    def _forward(self, x: Tensor) -> Tensor:
        return self._of._undone(x)

    def _backward(self, y: Tensor) -> Tensor:
        return self._of(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -self._of.log_abs_det_jacobian(y, x)

    @property
    def inv(self) -> Transform:
        return self._of

    def __repr__(self) -> str:
        return f"{self._of!r}.inv"


class AffineTransform(Transform):
    """y = loc + scale x.

    >>> AffineTransform(1.0, 2.0)(3.0).item()
    7.0
    """

    def __init__(self, loc: Any, scale: Any, cache_size: int = 0):
        super().__init__(cache_size)
        self.loc, self.scale = parameters(
            "AffineTransform", None, loc=(loc, REAL), scale=(scale, _NOT_ZERO)
        )
        self.shape = self.loc.shape

    def _forward(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x

    def _backward(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |scale|."""
        return broadcast_to(log(abs(self.scale)), broadcast_shapes(x.shape, self.shape))


class ExpTransform(Transform):
    """y = e^x."""

    def _forward(self, x: Tensor) -> Tensor:
        return exp(x)

    def _backward(self, y: Tensor) -> Tensor:
        return log(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """x."""
        return x


class SigmoidTransform(Transform):
    """y = 1 / (1 + e^-x)."""

    def _forward(self, x: Tensor) -> Tensor:
        return sigmoid(x)

    def _backward(self, y: Tensor) -> Tensor:
        return log(y) - log1p(-y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log y + log (1 - y)."""
        return -softplus(-x) - softplus(x)


class TanhTransform(Transform):
    """y = tanh x, as policies have it whose actions are bounded.

    Source: Haarnoja et al., "Soft actor-critic", ICML 2018, appendix C.
    """

    def _forward(self, x: Tensor) -> Tensor:
        return tanh(x)

    def _backward(self, y: Tensor) -> Tensor:
        return atanh(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log (1 - tanh² x) = 2 (log 2 - x - log (1 + e^-2x)), which does not round to -∞."""
        return 2.0 * (math.log(2.0) - x - softplus(-2.0 * x))


class ComposeTransform(Transform):
    """One function after the other: the first in the list comes first."""

    def __init__(self, parts: Sequence[Transform], cache_size: int = 0):
        super().__init__(cache_size)
        self.parts = list(parts)
        self.shape = broadcast_shapes(*(p.shape for p in self.parts))

    def _forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x

    def _backward(self, y: Tensor) -> Tensor:
        for part in reversed(self.parts):
            y = part._undone(y)
        return y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum over the parts."""
        logs: Any = 0.0
        for part in self.parts:
            made = part(x)
            logs = logs + part.log_abs_det_jacobian(x, made)
            x = made
        return as_tensor(logs)

    def __repr__(self) -> str:
        return f"ComposeTransform({self.parts!r})"


class TransformedDistribution(Distribution):
    """The distribution of y = f(x): log p(y) = log p(x) - log |dy/dx|.

    >>> from backlit.distributions import Normal
    >>> y = TransformedDistribution(Normal(0.0, 1.0), [ExpTransform()])  # a log-normal
    >>> round(y.log_prob(1.0).item(), 4)
    -0.9189
    """

    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Transform | Sequence[Transform],
        validate_args: bool | None = None,
    ):
        one = isinstance(transforms, Transform)
        self.transforms: list[Transform] = [transforms] if one else list(transforms)  # type: ignore
        for t in self.transforms:
            if not isinstance(t, Transform):
                raise ArgumentError(
                    "TransformedDistribution: transforms must be a Transform or a list of them, "
                    f"got {t!r:.60}; subclass distributions.transforms.Transform"
                )
        base = base_distribution
        inner = len(base.event_shape)
        whole = (*base.batch_shape, *base.event_shape)
        shape = broadcast_shapes(whole, *(t.shape for t in self.transforms))
        if shape != whole:
            base = base.expand(shape[: len(shape) - inner])
        self.base_dist = base
        super().__init__(base.batch_shape, base.event_shape, validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether a draw has a derivative."""
        return self.base_dist.has_rsample

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """f of a draw, through which gradients reach the parameters of both."""
        x = self.base_dist.rsample(sample_shape)
        for t in self.transforms:
            x = t(x)
        return x

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """f of a draw, cut off from the tape."""
        with no_grad():
            x = self.base_dist.sample(sample_shape)
            for t in self.transforms:
                x = t(x)
        return x

    def log_prob(self, value: Any) -> Tensor:
        """log p(x) - Σ log |dy/dx|, over the functions and the axes of an event."""
        y = as_tensor(value)
        logs: Any = 0.0
        axes = tuple(range(-len(self.event_shape), 0))
        for t in reversed(self.transforms):
            x = t._undone(y)
            steps = t.log_abs_det_jacobian(x, y)
            logs = logs + (total(steps, axis=axes) if axes else steps)
            y = x
        return self.base_dist.log_prob(y) - logs

    def expand(self, batch_shape: Any) -> TransformedDistribution:
        """The same distribution for a larger batch."""
        return TransformedDistribution(self.base_dist.expand(batch_shape), self.transforms)

    def __repr__(self) -> str:
        return f"TransformedDistribution({self.base_dist!r}, {self.transforms!r})"
