"""Activation functions, softmax and its logarithm, in forms that neither over- nor underflow.

Source of the shifted softmax forms: Blanchard, Higham & Higham, "Accurately computing the
log-sum-exp and softmax functions", IMA J. Numer. Anal. 41 (2021), sec. 4.
"""

from __future__ import annotations

import math

from ..op import Elementwise, Op, Reduction

_SQRT_HALF = math.sqrt(0.5)
_NORMAL_DENSITY = 1 / math.sqrt(2 * math.pi)
_SELU_SCALE = 1.0507009873554805
_SELU_DEPTH = _SELU_SCALE * 1.6732632423543772


def _sigmoid(xp, x):
    """1 / (1 + e^-x), and below 0 eˣ / (1 + eˣ): e^-x overflows before the result underflows.

    Backward bodies are differentiated again, so -|x| is written with its slope of -1 at 0.
    """
    e = xp.exp(xp.where(x < 0, x, -x))
    return xp.where(x < 0, e, 1.0) / (1 + e)


def _kept(xp, inside, grad, x):
    """The gradient inside, 0 outside, and NaN where x is."""
    return xp.where(inside, grad, xp.where(x == x, 0.0, x))


def _softplus(xp, x):
    """log(1 + eˣ)."""
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


class Sigmoid(Elementwise):
    """y = 1 / (1 + e^-x);  gx = gy y (1 - y)."""

    symbol = "σ"
    activation = True
    saturates = (0.0, 1.0)
    bounds = (0.0, 1.0)
    whole = True
    saves = ("y",)

    def forward(self, xp, x):
        return _sigmoid(xp, x)

    def backward(self, xp, grad_y, y):
        return grad_y * (y * (1 - y))


class Relu(Elementwise):
    """y = max(x, 0);  gx = gy where x > 0, else y: 0 (relu'(0) = 0), or NaN where x is."""

    activation = True
    bounds = (0.0, math.inf)
    rectifies = True
    whole = True
    saves = ("y",)

    def forward(self, xp, x):
        return xp.maximum(x, 0)

    def backward(self, xp, grad_y, y):
        return xp.where(y > 0, grad_y, y)


class LeakyRelu(Elementwise):
    """y = x where x > 0, else slope · x;  the derivative at 0 is the slope, at NaN it is NaN."""

    activation = True
    rectifies = True
    whole = True
    attributes = ("slope",)
    saves = ("x",)
    slope: float

    def forward(self, xp, x):
        return xp.where(x > 0, x, x * self.slope)

    def backward(self, xp, grad_y, x):
        return xp.where(x > 0, grad_y, xp.where(x <= 0, grad_y * self.slope, x))


class Elu(Elementwise):
    """y = x where x > 0, else α (eˣ - 1);  gx = gy where x > 0, else gy α eˣ.

    Source: Clevert, Unterthiner & Hochreiter, ICLR 2016, eq. 15.
    """

    activation = True
    rectifies = True
    whole = True
    attributes = ("alpha",)
    saves = ("x",)
    alpha: float

    def forward(self, xp, x):
        return xp.where(x > 0, x, self.alpha * xp.expm1(xp.minimum(x, 0)))

    def backward(self, xp, grad_y, x):
        return xp.where(x > 0, grad_y, grad_y * (self.alpha * xp.exp(xp.where(x > 0, 0.0, x))))


class Selu(Elementwise):
    """y = λ x where x > 0, else λ α (eˣ - 1);  gx = gy λ where x > 0, else gy λ α eˣ.

    λ and α make mean 0 and variance 1 a fixed point: Klambauer et al., "Self-normalizing neural
    networks", NIPS 2017, eq. 2 and 14.
    """

    activation = True
    saturates = (-1.7580993408473766,)
    whole = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.where(x > 0, _SELU_SCALE * x, _SELU_DEPTH * xp.expm1(xp.minimum(x, 0)))

    def backward(self, xp, grad_y, x):
        return grad_y * xp.where(x > 0, _SELU_SCALE, _SELU_DEPTH * xp.exp(xp.minimum(x, 0)))


class Celu(Elementwise):
    """y = x where x > 0, else α (e^(x/α) - 1);  gx = gy where x > 0, else gy e^(x/α).

    Source: Barron, "Continuously differentiable exponential linear units", arXiv:1704.07483, eq. 2.
    """

    activation = True
    rectifies = True
    whole = True
    attributes = ("alpha",)
    saves = ("x",)
    alpha: float

    def forward(self, xp, x):
        return xp.where(x > 0, x, self.alpha * xp.expm1(self.below(xp, x)))

    def backward(self, xp, grad_y, x):
        return grad_y * xp.exp(self.below(xp, x))

    def below(self, xp, x):
        """x/α where x ≤ 0, else 0."""
        return xp.where(x > 0, 0.0, x) / self.alpha


class Hardtanh(Elementwise):
    """y = x limited to [low, high];  gx = gy where low < x < high, else 0, also at the limits."""

    activation = True
    saturates = (-1.0, 1.0)
    whole = True
    attributes = ("low", "high")
    saves = ("x",)
    low: float
    high: float

    def forward(self, xp, x):
        return xp.minimum(xp.maximum(x, self.low), self.high)

    def backward(self, xp, grad_y, x):
        return _kept(xp, xp.logical_and(x > self.low, x < self.high), grad_y, x)


class Relu6(Elementwise):
    """y = x limited to [0, 6];  gx = gy where 0 < x < 6, else 0, also at the limits."""

    activation = True
    bounds = (0.0, 6.0)
    rectifies = True
    whole = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.minimum(xp.maximum(x, 0), 6)

    def backward(self, xp, grad_y, x):
        return _kept(xp, xp.logical_and(x > 0, x < 6), grad_y, x)


class Hardsigmoid(Elementwise):
    """y = (x + 3) / 6 limited to [0, 1];  gx = gy / 6 where -3 < x < 3, else 0."""

    activation = True
    saturates = (0.0, 1.0)
    bounds = (0.0, 1.0)
    whole = True
    saves = ("x",)

    def forward(self, xp, x):
        return xp.minimum(xp.maximum(x + 3, 0), 6) / 6

    def backward(self, xp, grad_y, x):
        return _kept(xp, xp.logical_and(x > -3, x < 3), grad_y / 6, x)


class Hardswish(Elementwise):
    """y = x · hardsigmoid(x);  gx = 0 where x ≤ -3, gy where x ≥ 3, else gy (2x + 3) / 6.

    Source: Howard et al., "Searching for MobileNetV3", ICCV 2019, sec. 5.2.
    """

    activation = True
    saturates = (0.0,)
    whole = True
    saves = ("x",)

    def forward(self, xp, x):
        return x * xp.minimum(xp.maximum(x + 3, 0), 6) / 6

    def backward(self, xp, grad_y, x):
        return _kept(xp, x > -3, xp.where(x >= 3, grad_y, grad_y * (x / 3 + 0.5)), x)


class Mish(Elementwise):
    """y = x tanh(log(1 + eˣ)) = x t;  gx = gy (t + x (1 - t²) σ(x)).

    Source: Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020, eq. 1.
    """

    activation = True
    saturates = (0.0,)
    whole = True
    saves = ("x",)

    def forward(self, xp, x):
        return x * xp.tanh(_softplus(xp, x))

    def backward(self, xp, grad_y, x):
        t = xp.tanh(_softplus(xp, x))
        return grad_y * (t + x * ((1 - t * t) * _sigmoid(xp, x)))


class Logsigmoid(Elementwise):
    """y = log σ(x) = min(x, 0) - log(1 + e^-|x|);  gx = gy σ(-x)."""

    activation = True
    saturates = (0.0,)
    whole = True
    saves = ("x",)

    def forward(self, xp, x):
        return -_softplus(xp, -x)

    def backward(self, xp, grad_y, x):
        return grad_y * _sigmoid(xp, -x)


class Threshold(Elementwise):
    """y = x where x > threshold, else value;  gx = gy there, else 0."""

    activation = True
    rectifies = True
    whole = True
    attributes = ("threshold", "value")
    saves = ("x",)
    threshold: float
    value: float

    def forward(self, xp, x):
        return xp.where(x <= self.threshold, self.value, x)

    def backward(self, xp, grad_y, x):
        return _kept(xp, x > self.threshold, grad_y, x)


class Hardshrink(Elementwise):
    """y = x where |x| > λ, else 0;  gx = gy there, else 0."""

    activation = True
    whole = True
    attributes = ("lambd",)
    saves = ("x",)
    lambd: float

    def forward(self, xp, x):
        return xp.where(xp.abs(x) <= self.lambd, 0.0, x)

    def backward(self, xp, grad_y, x):
        return _kept(xp, xp.abs(x) > self.lambd, grad_y, x)


class Softshrink(Hardshrink):
    """y = x - λ where x > λ, x + λ where x < -λ, else 0;  gx = gy where |x| > λ, else 0."""

    def forward(self, xp, x):
        return x - xp.minimum(xp.maximum(x, -self.lambd), self.lambd)


class Prelu(Elementwise):
    """y = x where x > 0, else w x, w a learned slope;  gx = gy or gy w, gw = 0 or gy x.

    Source: He et al., "Delving deep into rectifiers", ICCV 2015, eq. 1 and 3.
    """

    activation = True
    whole = True
    saves = ("x", "weight")

    def forward(self, xp, x, weight):
        return xp.where(x > 0, x, weight * x)

    def backward(self, xp, grad_y, x, weight):
        return (
            lambda: xp.where(x > 0, grad_y, xp.where(x <= 0, grad_y * weight, x)),
            lambda: xp.where(x > 0, 0.0, grad_y * x),
        )


class Softplus(Elementwise):
    """y = log(1 + eˣ) = max(x, 0) + log(1 + e^-|x|);  gx = gy σ(x)."""

    activation = True
    saturates = (0.0,)
    bounds = (0.0, math.inf)
    whole = True
    saves = ("x",)

    def forward(self, xp, x):
        return _softplus(xp, x)

    def backward(self, xp, grad_y, x):
        return grad_y * _sigmoid(xp, x)


class Silu(Elementwise):
    """y = x σ(x);  gx = gy σ(x) (1 + x (1 - σ(x))).

    Source: Elfwing, Uchibe & Doya, Neural Networks 107 (2018), eq. 3.
    """

    activation = True
    saturates = (0.0,)
    whole = True
    saves = ("x",)

    def forward(self, xp, x):
        return x * _sigmoid(xp, x)

    def backward(self, xp, grad_y, x):
        s = _sigmoid(xp, x)
        return grad_y * (s * (1 + x * (1 - s)))


class Gelu(Elementwise):
    """y = x Φ(x), Φ(x) = ½ erfc(-x/√2) the normal distribution function;  gx = gy (Φ(x) + x φ(x)).

    Source: Hendrycks & Gimpel, arXiv:1606.08415, sec. 2.
    """

    activation = True
    saturates = (0.0,)
    whole = True
    saves = ("x",)

    def forward(self, xp, x):
        return x * (0.5 * xp.erfc(x * -_SQRT_HALF))

    def backward(self, xp, grad_y, x):
        distribution = 0.5 * xp.erfc(x * -_SQRT_HALF)
        return grad_y * (distribution + x * (_NORMAL_DENSITY * xp.exp(-0.5 * x * x)))


class GeluTanh(Elementwise):
    """y = x (1 + tanh u) / 2, u = √(2/π) (x + 0.044715 x³): the approximation used by GPT-2.

        s = σ(2u) = (1 + tanh u) / 2,  y = x s,  gx = gy (s + x s (1 - s) 2u')

    Source: Hendrycks & Gimpel, arXiv:1606.08415, sec. 2.
    """

    activation = True
    saturates = (0.0,)
    whole = True
    saves = ("x",)

    def forward(self, xp, x):
        return x * _sigmoid(xp, _gelu_inner(x))

    def backward(self, xp, grad_y, x):
        s = _sigmoid(xp, _gelu_inner(x))
        slope = math.sqrt(8 / math.pi) * (1 + (3 * 0.044715) * (x * x))
        return grad_y * (s + x * (s * (1 - s) * slope))


def _gelu_inner(x):
    """2u."""
    return math.sqrt(8 / math.pi) * (x + 0.044715 * (x * x * x))


class Softmax(Op):
    """yᵢ = e^xᵢ / Σⱼ e^xⱼ along `axis`;  gxᵢ = yᵢ (gyᵢ - Σⱼ gyⱼ yⱼ)."""

    effect = "each element of x gets y · (upstream − Σ upstream · y along the axis)"
    applies = "softmax"
    saturates = (0.0, 1.0)
    bounds = (0.0, 1.0)
    whole = True
    attributes = ("axis",)
    saves = ("y",)
    axis: int

    def forward(self, xp, x):
        e = xp.exp(x - xp.max(x, axis=self.axis, keepdims=True))
        return e / xp.sum(e, axis=self.axis, keepdims=True)

    def backward(self, xp, grad_y, y):
        return y * (grad_y - xp.sum(grad_y * y, axis=self.axis, keepdims=True))


class MaskedSoftmax(Softmax):
    """The softmax along `axis`, and 0 everywhere along it if every x there is −∞: masked out.

    The gradient is the softmax's, 0 where y is 0. Without a −∞ everywhere, max e^x is 1, so the
    divisor is at least 1.
    """

    symbol = "softmax"

    def forward(self, xp, x):
        top = xp.max(x, axis=self.axis, keepdims=True)
        e = xp.exp(x - xp.where(top == -math.inf, 0.0, top))
        return e / xp.maximum(xp.sum(e, axis=self.axis, keepdims=True), 1)


class LogSoftmax(Op):
    """yᵢ = xᵢ - log Σⱼ e^xⱼ along `axis`;  gxᵢ = gyᵢ - e^yᵢ Σⱼ gyⱼ."""

    effect = "each element of x gets upstream − softmax · Σ upstream along the axis"
    applies = "softmax"
    saturates = (0.0,)
    bounds = (-math.inf, 0.0)
    whole = True
    attributes = ("axis",)
    saves = ("y",)
    axis: int

    def forward(self, xp, x):
        z = x - xp.max(x, axis=self.axis, keepdims=True)
        return z - xp.log(xp.sum(xp.exp(z), axis=self.axis, keepdims=True))

    def backward(self, xp, grad_y, y):
        return grad_y - xp.exp(y) * xp.sum(grad_y, axis=self.axis, keepdims=True)


class Logsumexp(Reduction):
    """y = log Σ eˣ over `axis`;  gx = gy e^(x-y). An infinite maximum is the result itself.

    All of gy goes to the x that are ∞, in equal shares, and nothing of it anywhere if all are -∞.
    """

    saves = ("x", "y")

    def forward(self, xp, x):
        top = xp.max(x, axis=self.axis, keepdims=True)
        shift = xp.where(xp.isfinite(top), top, 0.0)
        total = xp.sum(xp.exp(x - shift), axis=self.axis, keepdims=True)
        y = xp.log(total) + shift
        return y if self.keepdims else xp.sum(y, axis=self.axis)

    def backward(self, xp, grad_y, x, y):
        y = self.spread(xp, y)
        shift = xp.where(y == -math.inf, 0.0, y)
        top = xp.logical_and(x == math.inf, y == math.inf)
        count = xp.sum(xp.where(top, xp.ones_like(x), 0.0), axis=self.axis, keepdims=True)
        share = xp.exp(xp.where(top, 0.0, x - shift)) / xp.maximum(count, 1)
        return self.spread(xp, grad_y) * share
