"""Normalisation: zero mean and unit variance over a batch, a layer, a group; and dropout."""

from __future__ import annotations

import math

from ..errors import DTypeError, ShapeError
from ..op import Op, describe


class BatchNorm(Op):
    """Each channel shifted and scaled by given statistics, then by learned ones.

        y = (x - μ) r w + b,  r = 1/√(σ² + ε)         x, y: (N, C, ...); μ, σ², w, b: (C)
        gx = gy r w,  gμ = -r w Σ gy,  gσ² = -½ r³ w Σ gy (x - μ),  gw = r Σ gy (x - μ),  gb = Σ gy

    μ and σ² are the batch's own `mean` and `var` in training, so that their gradients flow on to x
    through those ops, and running statistics in evaluation.
    Source: Ioffe & Szegedy, ICML 2015, alg. 1.
    """

    role = "scaler"
    whole = True
    attributes = ("eps",)
    saves = ("x", "mean", "variance", "affine")
    eps: float

    def _spread(self, xp, row, ndim):
        return xp.reshape(row, (-1, *(1,) * (ndim - 2))) if ndim > 2 else row

    def forward(self, xp, x, mean, variance, *affine):
        scale = xp.reciprocal(xp.sqrt(variance + self.eps))
        if affine:
            scale = scale * affine[0]
        y = (x - self._spread(xp, mean, x.ndim)) * self._spread(xp, scale, x.ndim)
        return y + self._spread(xp, affine[1], x.ndim) if len(affine) > 1 else y

    def backward(self, xp, grad_y, x, mean, variance, affine):
        over = (0, *range(2, x.ndim))
        r = xp.reciprocal(xp.sqrt(variance + self.eps))
        scale = r * affine[0] if affine else r
        total = xp.sum(grad_y, axis=over)
        moment = xp.sum(grad_y * (x - self._spread(xp, mean, x.ndim)), axis=over)
        gradients = (
            lambda: grad_y * self._spread(xp, scale, x.ndim),
            lambda: -scale * total,
            lambda: -0.5 * (r * r * scale) * moment,
        )
        return (*gradients, lambda: r * moment, total)[: 3 + len(affine)]


class LayerNorm(Op):
    """Zero mean and unit variance over the last `naxes` axes, then scale and shift.

        h = (x - μ) r,  r = 1/√(σ² + ε),  y = h w + b        w, b: the last axes' shape
        gx = r (g - mean g - h mean(g h)),  g = gy w;   gw = Σ gy h,  gb = Σ gy

    μ and σ² are the mean and the variance (divided by n) over the same axes.
    Source: Ba, Kiros & Hinton, arXiv:1607.06450, eq. 4.
    """

    whole = True
    attributes = ("naxes", "eps")
    saves = ("x", "affine")
    naxes: int
    eps: float

    def check(self, x, *affine):
        """Affine parameters have the shape of the last axes."""
        for name, w in zip(("weight", "bias"), affine, strict=False):
            if w.shape != x.shape[len(x.shape) - self.naxes :]:
                raise ShapeError(
                    f"layer_norm: the last {self.naxes} axes of x must be those of {name}, got "
                    f"x: {describe(x)} and {name}: {describe(w)}"
                )
            if w.dtype != x.dtype:
                raise DTypeError(
                    f"layer_norm: x and {name} must have one dtype, got x: {describe(x)} and "
                    f"{name}: {describe(w)}; use x.astype('{w.dtype.name}')"
                )

    def _standard(self, xp, x):
        axes = tuple(range(x.ndim - self.naxes, x.ndim))
        n = math.prod(x.shape[a] for a in axes)
        centred = x - xp.sum(x, axis=axes, keepdims=True) / n
        r = xp.sum(centred * centred, axis=axes, keepdims=True) / n + self.eps
        r = xp.reciprocal(xp.sqrt(r))
        return centred * r, r, axes, n

    def forward(self, xp, x, *affine):
        h, _, _, _ = self._standard(xp, x)
        if affine:
            h = h * affine[0]
        return h + affine[1] if len(affine) > 1 else h

    def backward(self, xp, grad_y, x, affine):
        h, r, axes, n = self._standard(xp, x)

        def grad_x():
            g = grad_y * affine[0] if affine else grad_y
            mean = xp.sum(g, axis=axes, keepdims=True) / n
            along = xp.sum(g * h, axis=axes, keepdims=True) / n
            return r * (g - mean - h * along)

        return (grad_x, lambda: grad_y * h, grad_y)[: 1 + len(affine)]


class Dropout(Op):
    """y = x / (1 - p) where kept, else 0;  gx = gy / (1 - p) where kept, else 0.

    Source: Srivastava et al., JMLR 15 (2014), sec. 10, with the scaling moved to training.
    """

    role = "switcher"
    attributes = ("p",)
    saves = ("kept",)
    p: float

    def forward(self, xp, x, kept):
        return xp.where(kept, x * (1 / (1 - self.p) if self.p < 1 else 0.0), 0.0)

    def backward(self, xp, grad_y, kept):
        return xp.where(kept, grad_y * (1 / (1 - self.p) if self.p < 1 else 0.0), 0.0)
