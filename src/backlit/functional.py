"""What networks are made of, as functions of Tensors: layers without state, activations, losses.

`backlit.nn` keeps the state and calls these. Names and argument orders are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .autograd import no_grad
from .errors import ArgumentError, DTypeError, ShapeError
from .functions import abs, full, max, mean, reshape, square, sum, var
from .functions.arguments import cached, one_axis
from .op import describe
from .ops import activation, contraction, loss, normalization
from .random import Generator, default_generator
from .tensor import STATE, Tensor, apply, as_tensor, floating

_LINEAR = contraction.Linear()
_REDUCTIONS = ("none", "mean", "sum")


def _tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else as_tensor(x)


def _where() -> str:
    """The module in which an error happened, to end its message with."""
    return f"; in {STATE.scope.path}" if STATE.scope is not None else ""


# -- layers -------------------------------------------------------------------------------------


def linear(x: Any, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x Wᵀ + b.

        x: (..., I), weight: (O, I), bias: (O) -> (..., O)

    >>> linear(as_tensor([[1.0, 2.0]]), as_tensor([[3.0, 4.0]]), as_tensor([0.5]))
    Tensor([[11.5]], shape=(1, 1), dtype=float32)
    """
    x = _tensor(x)
    return apply(_LINEAR, x, weight) if bias is None else apply(_LINEAR, x, weight, bias)


def dropout(
    x: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None
) -> Tensor:
    """Each element 0 with probability p, else divided by 1 - p; x itself unless `training`.

    The random numbers come from `generator`, or from this thread's default one. Their state is
    Tensors, so a captured step draws a new mask each time it runs.

    >>> y = dropout(full((1000,), 1.0), p=0.5, generator=Generator(0))
    >>> sorted(set(y.tolist()))
    [0.0, 2.0]
    """
    if not 0 <= p <= 1:
        raise ArgumentError(f"dropout: p must lie in [0, 1], got {p}{_where()}")
    x = floating(_tensor(x))
    if not training or p == 0:
        return x
    source = default_generator() if generator is None else generator
    kept = source.bits(x.shape) >= int(p * 2**32) if p < 1 else full(x.shape, False)
    return apply(cached(normalization.Dropout, float(p)), x, kept)


def _channels(name: str, x: Tensor, statistics: Iterable[tuple[str, Tensor | None]]) -> None:
    if x.ndim < 2:
        raise ShapeError(f"{name}: x must have shape (N, C, ...), got {describe(x)}{_where()}")
    for what, t in statistics:
        if t is None:
            continue
        if t.shape != (x.shape[1],):
            raise ShapeError(
                f"{name}: {what} must have one element for each of {x.shape[1]} channels "
                f"(x: {describe(x)}), got {describe(t)}{_where()}"
            )
        if t.dtype != x.dtype:
            raise DTypeError(
                f"{name}: x and {what} must have one dtype, got x: {describe(x)} and "
                f"{what}: {describe(t)}; use x.astype('{t.dtype.name}'){_where()}"
            )


def batch_norm(
    x: Any,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel with mean 0 and variance 1, then scaled by `weight` and shifted by `bias`.

        y = (x - μ) / √(σ² + ε) · w + b           x: (N, C, ...), all others: (C)

    In training μ and σ² are the batch's (σ² divided by n), and the running statistics move towards
    the batch's by the factor `momentum` (σ² divided by n - 1). Otherwise they are the running ones.

    >>> batch_norm(as_tensor([[1.0], [3.0]]), training=True, eps=0.0)
    Tensor([[-1.],
            [ 1.]], shape=(2, 1), dtype=float32)
    """
    x = floating(_tensor(x))
    _channels(
        "batch_norm",
        x,
        (
            ("weight", weight),
            ("bias", bias),
            ("running_mean", running_mean),
            ("running_var", running_var),
        ),
    )
    if (weight is None) != (bias is None):
        raise ArgumentError(
            f"batch_norm: weight and bias are given together or not at all{_where()}"
        )
    if training:
        over = (0, *range(2, x.ndim))
        n = x.size // x.shape[1] if x.shape[1] else 0
        if n <= 1:
            raise ShapeError(
                f"batch_norm: training needs more than one value in each channel, got "
                f"{describe(x)}; use a larger batch, or eval(){_where()}"
            )
        mu, variance = mean(x, axis=over), var(x, axis=over)
        if running_mean is not None and running_var is not None:
            with no_grad():
                keep = 1 - momentum
                running_mean.assign(running_mean * keep + mu * momentum)
                running_var.assign(running_var * keep + variance * (momentum * (n / (n - 1))))
    elif running_mean is None or running_var is None:
        raise ArgumentError(f"batch_norm: evaluation needs running_mean and running_var{_where()}")
    else:
        mu, variance = running_mean, running_var
    op = cached(normalization.BatchNorm, float(eps))
    if weight is None:
        return apply(op, x, mu, variance)
    return apply(op, x, mu, variance, weight, bias)


def layer_norm(
    x: Any,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """The last axes with mean 0 and variance 1, then scaled by `weight` and shifted by `bias`.

        x: (..., *normalized_shape), weight and bias: normalized_shape

    >>> layer_norm(as_tensor([[1.0, 3.0]]), 2, eps=0.0)
    Tensor([[-1.,  1.]], shape=(1, 2), dtype=float32)
    """
    x = floating(_tensor(x))
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    count = len(shape)
    if not count or x.shape[x.ndim - count if x.ndim > count else 0 :] != shape:
        raise ShapeError(
            f"layer_norm: the last axes of x must be normalized_shape {shape}, got "
            f"{describe(x)}{_where()}"
        )
    op = cached(normalization.LayerNorm, count, float(eps))
    if weight is None:
        if bias is not None:
            raise ArgumentError(f"layer_norm: a bias needs a weight{_where()}")
        return apply(op, x)
    return apply(op, x, weight) if bias is None else apply(op, x, weight, bias)


# -- activations --------------------------------------------------------------------------------

_RELU = activation.Relu()
_SILU = activation.Silu()
_GELU = activation.Gelu()
_GELU_TANH = activation.GeluTanh()
_SOFTPLUS = activation.Softplus()


def relu(x: Any) -> Tensor:
    """y = max(x, 0);  gx = gy where x > 0, else 0: the derivative at 0 is 0.

    >>> relu(as_tensor([-1.0, 2.0]))
    Tensor([0., 2.], shape=(2,), dtype=float32)
    """
    return apply(_RELU, _tensor(x))


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Tensor:
    """y = x where x > 0, else slope · x;  the derivative at 0 is the slope.

    >>> leaky_relu(as_tensor([-1.0, 2.0]), 0.5)
    Tensor([-0.5,  2. ], shape=(2,), dtype=float32)
    """
    return apply(cached(activation.LeakyRelu, float(negative_slope)), floating(_tensor(x)))


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """y = x where x > 0, else α (eˣ - 1).

    >>> elu(as_tensor([0.0, 2.0]))
    Tensor([0., 2.], shape=(2,), dtype=float32)
    """
    return apply(cached(activation.Elu, float(alpha)), floating(_tensor(x)))


def softplus(x: Any) -> Tensor:
    """y = log(1 + eˣ), without overflow;  gx = gy σ(x).

    >>> softplus(as_tensor([1e4]))
    Tensor([10000.], shape=(1,), dtype=float32)
    """
    return apply(_SOFTPLUS, floating(_tensor(x)))


def silu(x: Any) -> Tensor:
    """y = x σ(x), also called swish.

    >>> silu(as_tensor([0.0]))
    Tensor([0.], shape=(1,), dtype=float32)
    """
    return apply(_SILU, floating(_tensor(x)))


def gelu(x: Any, approximate: str = "none") -> Tensor:
    """y = x Φ(x), Φ the normal distribution function; `approximate="tanh"` is GPT-2's form.

    >>> gelu(as_tensor([0.0, 1.0]))
    Tensor([0.    , 0.8413], shape=(2,), dtype=float32)
    """
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return apply(_GELU if approximate == "none" else _GELU_TANH, floating(_tensor(x)))


def maxout(x: Any, pieces: int, dim: int = -1) -> Tensor:
    """The largest of each `pieces` neighbours along an axis; the gradient goes to it.

        x: (..., K·pieces, ...) -> (..., K, ...)

    Source: Goodfellow et al., "Maxout networks", ICML 2013.

    >>> maxout(as_tensor([1.0, 5.0, 4.0, 2.0]), 2)
    Tensor([5., 4.], shape=(2,), dtype=float32)
    """
    x = _tensor(x)
    axis = one_axis("maxout", dim, x.ndim)
    if pieces < 1 or x.shape[axis] % pieces:
        raise ShapeError(
            f"maxout: axis {axis} of {describe(x)} must be a multiple of pieces={pieces}{_where()}"
        )
    shape = (*x.shape[:axis], x.shape[axis] // pieces, pieces, *x.shape[axis + 1 :])
    return max(reshape(x, shape), axis=axis + 1)


def softmax(x: Any, dim: int = -1) -> Tensor:
    """yᵢ = e^xᵢ / Σⱼ e^xⱼ along an axis;  gxᵢ = yᵢ (gyᵢ - Σⱼ gyⱼ yⱼ).

    >>> softmax(as_tensor([0.0, 0.0]))
    Tensor([0.5, 0.5], shape=(2,), dtype=float32)
    """
    x = floating(_tensor(x))
    return apply(cached(activation.Softmax, one_axis("softmax", dim, x.ndim)), x)


def log_softmax(x: Any, dim: int = -1) -> Tensor:
    """yᵢ = xᵢ - log Σⱼ e^xⱼ along an axis;  gxᵢ = gyᵢ - e^yᵢ Σⱼ gyⱼ.

    >>> log_softmax(as_tensor([0.0, 1e4]))
    Tensor([-10000.,      0.], shape=(2,), dtype=float32)
    """
    x = floating(_tensor(x))
    return apply(cached(activation.LogSoftmax, one_axis("log_softmax", dim, x.ndim)), x)


# -- losses -------------------------------------------------------------------------------------


def _reduction(name: str, reduction: str) -> str:
    if reduction not in _REDUCTIONS:
        raise ArgumentError(f"{name}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    return reduction


def _loss(cls: Any, reduction: str, *inputs: Any, attributes: tuple[Any, ...] = ()) -> Tensor:
    op = cached(cls, *attributes, _reduction(cls.name, reduction))
    return apply(op, *[x if isinstance(x, Tensor) else as_tensor(x) for x in inputs])


def mse_loss(x: Any, target: Any, reduction: str = "mean") -> Tensor:
    """Squared error l = (x - t)², its mean, sum or each one;  gx = 2 (x - t) / n for the mean.

    >>> mse_loss(as_tensor([1.0, 2.0]), as_tensor([1.0, 4.0]))
    Tensor(2., shape=(), dtype=float32)
    """
    return _loss(loss.MseLoss, reduction, x, target)


def l1_loss(x: Any, target: Any, reduction: str = "mean") -> Tensor:
    """Absolute error l = |x - t|;  gx = sign(x - t) / n for the mean.

    >>> l1_loss(as_tensor([1.0, 2.0]), as_tensor([1.0, 4.0]))
    Tensor(1., shape=(), dtype=float32)
    """
    return _loss(loss.L1Loss, reduction, x, target)


def huber_loss(x: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """l = e²/2 where |e| ≤ δ, else δ (|e| - δ/2), e = x - t.

    >>> huber_loss(as_tensor([1.0, 3.0]), as_tensor([0.0, 0.0]), reduction="none")
    Tensor([0.5, 2.5], shape=(2,), dtype=float32)
    """
    if not delta > 0:
        raise ArgumentError(f"huber_loss: delta must be positive, got {delta}")
    return _loss(loss.HuberLoss, reduction, x, target, attributes=(float(delta), 1.0))


def smooth_l1_loss(x: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """l = e²/2β where |e| ≤ β, else |e| - β/2, e = x - t; for β = 0 the absolute error.

    >>> smooth_l1_loss(as_tensor([1.0, 3.0]), as_tensor([0.0, 0.0]), reduction="none")
    Tensor([0.5, 2.5], shape=(2,), dtype=float32)
    """
    if beta == 0:
        return l1_loss(x, target, reduction)
    if not beta > 0:
        raise ArgumentError(f"smooth_l1_loss: beta must not be negative, got {beta}")
    return _loss(loss.HuberLoss, reduction, x, target, attributes=(float(beta), 1 / beta))


def kl_div(x: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """Divergence l = t (log t - x) of the distribution e^x from t, both of one shape.

    `reduction="batchmean"` divides the sum by the first axis, which is the mathematical divergence.

    >>> kl_div(as_tensor([[-1.0, -0.5]]), as_tensor([[1.0, 0.0]]), reduction="sum")
    Tensor(1., shape=(), dtype=float32)
    """
    if reduction == "batchmean":
        x = _tensor(x)
        if x.ndim == 0 or x.shape[0] == 0:
            raise ShapeError(f"kl_div: the mean of an empty batch has no value, got {describe(x)}")
        return _loss(loss.KlDiv, "sum", x, target, attributes=(log_target,)) / x.shape[0]
    return _loss(loss.KlDiv, reduction, x, target, attributes=(log_target,))


def hinge_embedding_loss(
    x: Any, target: Any, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """l = x where t = 1, else max(0, margin - x); targets are 1 and -1.

    >>> hinge_embedding_loss(as_tensor([0.25, 0.25]), as_tensor([1.0, -1.0]), reduction="none")
    Tensor([0.25, 0.75], shape=(2,), dtype=float32)
    """
    return _loss(loss.HingeEmbeddingLoss, reduction, x, target, attributes=(float(margin),))


def _weighted(name: str, losses: Tensor, weight: Any, reduction: str) -> Tensor:
    losses = losses * _tensor(weight)
    if _reduction(name, reduction) == "none":
        return losses
    return mean(losses) if reduction == "mean" else sum(losses)


def binary_cross_entropy(
    x: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Tensor:
    """l = -(t log p + (1-t) log(1-p)) of probabilities p; each logarithm is at least -100.

    >>> binary_cross_entropy(as_tensor([0.5]), as_tensor([1.0]))
    Tensor(0.6931, shape=(), dtype=float32)
    """
    if weight is None:
        return _loss(loss.BinaryCrossEntropy, reduction, x, target)
    losses = _loss(loss.BinaryCrossEntropy, "none", x, target)
    return _weighted("binary_cross_entropy", losses, weight, reduction)


def binary_cross_entropy_with_logits(
    x: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Tensor:
    """l = (1-t) x + (1 + (w-1) t) log(1 + e^-x), w the weight of positive targets, finite at ±10⁴.

    Without w: gx = (σ(x) - t) / n for the mean. `weight` multiplies the losses.

    >>> binary_cross_entropy_with_logits(as_tensor([1e4, -1e4]), as_tensor([0.0, 0.0]))
    Tensor(5000., shape=(), dtype=float32)
    """
    inputs = (x, target) if pos_weight is None else (x, target, pos_weight)
    if weight is None:
        return _loss(loss.BinaryCrossEntropyWithLogits, reduction, *inputs)
    losses = _loss(loss.BinaryCrossEntropyWithLogits, "none", *inputs)
    return _weighted("binary_cross_entropy_with_logits", losses, weight, reduction)


def _rows(name: str, x: Any, target: Any) -> tuple[Tensor, Tensor, bool]:
    """Logits and target with a batch axis, and whether it was added: (C) and () are one row."""
    x, target = floating(_tensor(x)), _tensor(target)
    if x.ndim == 0:
        raise ShapeError(
            f"{name}: x must have shape (C) or (N, C, ...), got {describe(x)}{_where()}"
        )
    if x.ndim == 1 and target.ndim < 2:
        return reshape(x, (1, *x.shape)), reshape(target, (1, *target.shape)), True
    return x, target, False


def cross_entropy(
    x: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """l_n = -Σ_c q_nc log softmax(x)_nc, the softmax and its loss in one node: gx = (P - Y) / M.

        x: (N, C, ...) or (C); target: integer labels (N, ...) or (), or probabilities in x's shape

    `weight` has one factor for each class; rows labelled `ignore_index` do not count;
    `label_smoothing` ε mixes the target with the uniform distribution, (1-ε) t + ε/C.

    >>> cross_entropy(as_tensor([[0.0, 0.0], [0.0, 0.0]]), as_tensor([0, 1]))
    Tensor(0.6931, shape=(), dtype=float32)
    """
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(
            f"cross_entropy: label_smoothing must lie in [0, 1], got {label_smoothing}"
        )
    x, target, lone = _rows("cross_entropy", x, target)
    inputs = (x, target) if weight is None else (x, target, weight)
    if target.ndim == x.ndim and target.array.dtype.kind not in "iub":
        smoothing: tuple[Any, ...] = (float(label_smoothing),)
        y = _loss(loss.SoftCrossEntropy, reduction, *inputs, attributes=smoothing)
    else:
        attributes = (float(label_smoothing), ignore_index)
        y = _loss(loss.CrossEntropy, reduction, *inputs, attributes=attributes)
    return reshape(y, ()) if lone else y


def nll_loss(
    x: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """l_n = -w_t x_nt of log-probabilities x; the mean divides by Σ w_t.

        x: (N, C, ...) or (C), target: integer labels (N, ...) or ()

    >>> nll_loss(as_tensor([[-1.0, -2.0]]), as_tensor([1]))
    Tensor(2., shape=(), dtype=float32)
    """
    x, target, lone = _rows("nll_loss", x, target)
    inputs = (x, target) if weight is None else (x, target, weight)
    y = _loss(loss.NllLoss, reduction, *inputs, attributes=(ignore_index,))
    return reshape(y, ()) if lone else y


def multi_margin_loss(
    x: Any,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Multiclass hinge: l_n = Σ_{c≠t} max(0, margin - x_nt + x_nc)ᵖ / C, x: (N, C) or (C).

    Lectures on support-vector machines often leave the division by C out.

    >>> multi_margin_loss(as_tensor([[3.0, 2.5]]), as_tensor([0]))
    Tensor(0.25, shape=(), dtype=float32)
    """
    if p not in (1, 2):
        raise ArgumentError(f"multi_margin_loss: p must be 1 or 2, got {p}")
    x, target, lone = _rows("multi_margin_loss", x, target)
    inputs = (x, target) if weight is None else (x, target, weight)
    y = _loss(loss.MultiMarginLoss, reduction, *inputs, attributes=(p, float(margin)))
    return reshape(y, ()) if lone else y


def _penalized(name: str, parameters: Any) -> list[Tensor]:
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if not tensors:
        raise ArgumentError(f"{name}: there must be at least one parameter")
    return tensors


def l1_penalty(parameters: Tensor | Iterable[Tensor], strength: float) -> Tensor:
    """λ Σ |w| over one Tensor or several, to add to a loss;  gw = λ sign w.

    >>> l1_penalty(as_tensor([1.0, -2.0]), 0.5)
    Tensor(1.5, shape=(), dtype=float32)
    """
    first, *rest = _penalized("l1_penalty", parameters)
    total = sum(abs(first))
    for w in rest:
        total = total + sum(abs(w))
    return strength * total


def l2_penalty(parameters: Tensor | Iterable[Tensor], strength: float) -> Tensor:
    """λ Σ w² over one Tensor or several, to add to a loss;  gw = 2 λ w.

    >>> l2_penalty(as_tensor([1.0, -2.0]), 0.5)
    Tensor(2.5, shape=(), dtype=float32)
    """
    first, *rest = _penalized("l2_penalty", parameters)
    total = sum(square(first))
    for w in rest:
        total = total + sum(square(w))
    return strength * total
