"""Every op that PyTorch also has: the same values and gradients, at ties and special points too."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import backlit as bl
from backlit.dtypes import FLOATING
from backlit.tensor import Tensor
from op_table import RECORDS, Case, Record

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss"),
    pytest.mark.filterwarnings("ignore:(var|std).*degrees of freedom"),
]
torch.set_num_threads(1)  # the arrays have a dozen elements


def rnn_scan(x, h, weight, nonlinearity):
    cell = torch.rnn_tanh_cell if nonlinearity == "tanh" else torch.rnn_relu_cell
    unit, states = torch.eye(len(weight), dtype=x.dtype), []
    for row in x:
        h = cell(row, h, unit, weight)
        states.append(h)
    return torch.stack(states)


def lstm_scan(x, h, c, weight):
    unit, rows = torch.eye(len(weight), dtype=x.dtype), []
    for row in x:
        i, f, g, o = (row + h @ weight.mT).chunk(4, 1)
        h, c = torch.lstm_cell(row, (h, c), unit, weight)
        rows.append((h, c, i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()))
    return torch.cat([torch.stack(block) for block in zip(*rows, strict=True)])


def gru_scan(x, h, weight, *bias):
    unit, rows = torch.eye(len(weight), dtype=x.dtype), []
    hidden_bias = bias[0] if bias else torch.zeros(len(weight), dtype=x.dtype)
    none = torch.zeros_like(hidden_bias)
    for row in x:
        a = h @ weight.mT + hidden_bias
        (xr, xz, xn), (ar, az, an) = row.chunk(3, 1), a.chunk(3, 1)
        r, z = (xr + ar).sigmoid(), (xz + az).sigmoid()
        h = torch.gru_cell(row, h, unit, weight, none, hidden_bias)
        rows.append((h, r, z, (xn + r * an).tanh(), an))
    return torch.cat([torch.stack(block) for block in zip(*rows, strict=True)])


def by_name(*names, **renamed):
    """Functions of the same arguments, under PyTorch's name."""
    table = {name: getattr(torch, name) for name in names}
    return table | {name: getattr(torch, other) for name, other in renamed.items()}


def reduction(function, no_axis=lambda x: x):
    """PyTorch folds everything when no axis is given; here no axis means none."""

    def folded(x, axis, keepdims, **more):
        return function(x, dim=axis, keepdim=keepdims, **more) if axis else no_axis(x)

    return folded


def one_axis(function):
    return lambda x, axis, keepdims: function(x, dim=axis[0], keepdim=keepdims)


def truth_of_axes(function):
    def folded(x, axis, keepdims):
        for a in sorted(axis, reverse=True):
            x = function(x, dim=a, keepdim=keepdims)
        return x.bool()

    return folded


def picked(x, index):
    """x[index] without negative steps, which PyTorch does not have."""
    axis = 0
    for i in index:
        if i is None:
            x = x.unsqueeze(axis)
        elif isinstance(i, int):
            x = x.select(axis, i)
            continue
        else:
            x = x.index_select(axis, torch.arange(i[1]) * i[2] + i[0])
        axis += 1
    return x


def key_of(pattern, indices):
    arrays = iter(indices)
    key = []
    for i in pattern:
        if isinstance(i, tuple):
            start, count, step = i
            # A negative step as an index array would change what is adjacent: leave it out.
            assert step > 0
            key.append(slice(start, start + count * step, step))
        else:
            key.append(next(arrays) if i == "array" else i if i is None else torch.tensor([i]))
    return tuple(key)


def gather(x, *indices, pattern):
    return x[key_of(pattern, indices)]


def scatter_add(x, *indices, pattern, shape):
    return torch.func.vjp(lambda z: gather(z, *indices, pattern=pattern), zeros(shape, x))[1](x)[0]


def scattered(x, source, indices, pattern, how):
    """x with the source folded in where the elements that `gather` takes are."""
    places = gather(torch.arange(x.numel()).reshape(x.shape), *indices, pattern=pattern)
    flat = x.flatten().scatter_reduce(0, places.flatten(), source.flatten(), how)
    return flat.reshape(x.shape)


def scatter_extreme(x, source, *indices, pattern, largest):
    return scattered(x, source, indices, pattern, "amax" if largest else "amin")


def scatter_prod(x, source, *indices, pattern):
    return scattered(x, source, indices, pattern, "prod")


def packed(*parts, axes=2):
    """Results side by side, as ours are; the matrices are in so many last axes of the first."""
    lead = parts[0].shape[: parts[0].ndim - axes]
    return torch.cat([p.reshape(*lead, -1) for p in parts], -1)


def set_slice(x, value, index):
    return where_written(x, value, lambda order: picked(order, index))


def set_items(x, value, *indices, pattern):
    return where_written(x, value, lambda order: gather(order, *indices, pattern=pattern))


def where_written(x, value, select):
    """PyTorch hands gradients to values that were written over, too: find who stayed first."""
    places = select(torch.arange(x.numel()).reshape(x.shape))
    winner = dict(zip(places.flatten().tolist(), range(places.numel()), strict=True))
    source = torch.tensor([winner.get(i, -1) for i in range(x.numel())], dtype=torch.int64)
    source = source.reshape(x.shape)
    value = torch.as_tensor(value, dtype=x.dtype).broadcast_to(places.shape).flatten()
    if not value.numel():
        return x * 1
    return torch.where(source < 0, x, value[source.clamp(min=0)])


def zeros(shape, like):
    return torch.zeros(shape, dtype=like.dtype)


def take(x, indices, axis):
    n = x.shape[axis]
    rows = x.index_select(axis, indices.flatten() % n)
    return rows.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def take_add(x, indices, axis, size):
    shape = (*x.shape[:axis], size, *x.shape[axis + indices.ndim :])
    rows = x.reshape(*x.shape[:axis], indices.numel(), *shape[axis + 1 :])
    return zeros(shape, x).index_add(axis, indices.flatten() % size, rows)


def take_along_axis(x, indices, axis):
    return torch.take_along_dim(x, indices % x.shape[axis], axis)


def put_along_axis_add(x, indices, axis, size):
    shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
    return zeros(shape, x).scatter_add(axis, indices % size, x)


def place(x, index, shape):
    return torch.func.vjp(lambda z: picked(z, index), zeros(shape, x))[1](x)[0]


def margins(padding):
    """Padding as PyTorch's `pad` wants it: the last axis first."""
    return [n for pair in reversed(padding) for n in pair]


def convolution(x, weight, stride, padding, dilation, groups):
    x = F.pad(x, margins(padding))
    conv = (F.conv1d, F.conv2d, F.conv3d)[len(stride) - 1]
    return conv(x, weight, stride=stride, dilation=dilation, groups=groups)


def convolution_input(y, weight, stride, padding, dilation, groups, size):
    whole = zeros((y.shape[0], weight.shape[1] * groups, *size), y)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return torch.func.vjp(lambda x: convolution(x, weight, **options), whole)[1](y)[0]


def convolution_weight(y, x, stride, padding, dilation, groups, kernel):
    whole = zeros((y.shape[1], x.shape[1] // groups, *kernel), y)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return torch.func.vjp(lambda w: convolution(x, w, **options), whole)[1](y)[0]


def max_pool(x, kernel, stride, padding, dilation):
    x = F.pad(x, margins(padding), value=-math.inf)
    return F.max_pool2d(x, kernel, stride, dilation=dilation)


def window_sum(x, kernel, stride, padding, dilation):
    ones = torch.ones(x.shape[1], 1, *kernel, dtype=x.dtype)
    return convolution(x, ones, stride, padding, dilation, x.shape[1])


def window_spread(y, kernel, stride, padding, dilation, size):
    options = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    whole = zeros((*y.shape[:2], *size), y)
    return torch.func.vjp(lambda x: window_sum(x, **options), whole)[1](y)[0]


def max_pool_route(y, x, **options):
    return torch.func.vjp(lambda z: max_pool(z, **options), x)[1](y)[0]


def max_pool_pick(values, x, kernel, stride, padding, dilation):
    x = F.pad(x, margins(padding), value=-math.inf)
    values = F.pad(values, margins(padding))
    _, places = F.max_pool2d(x, kernel, stride, dilation=dilation, return_indices=True)
    return values.flatten(2).gather(2, places.flatten(2)).reshape(places.shape)


def batch_norm(x, mean, variance, *affine, eps):
    def column(row):
        return row.reshape(-1, *(1,) * (x.ndim - 2))

    # F.batch_norm gives no gradients to the statistics; its formula does.
    y = (x - column(mean)) / torch.sqrt(column(variance) + eps)
    plain = F.batch_norm(x, mean.detach(), variance.detach(), *affine, training=False, eps=eps)
    if affine:
        y = y * column(affine[0])
    if len(affine) > 1:
        y = y + column(affine[1])
    torch.testing.assert_close(y, plain, rtol=1e-4, atol=1e-4)
    return y


def cross_entropy(x, target, *weight, **options):
    return F.cross_entropy(x, target, *(w.detach() for w in weight), **options)


def loss(function):
    def with_weight(x, target, *weight, **options):
        # PyTorch has no derivative for the weights of classes.
        extra = {"weight": weight[0].detach()} if weight else {}
        return function(x, target, **extra, **options)

    return with_weight


TORCH = (
    by_name(
        "sigmoid", "relu", "matmul", "positive", "add", "subtract", "multiply", "divide",
        "floor_divide", "remainder", "pow", "atan2", "hypot", "logaddexp", "maximum", "minimum",
        "where", "copysign", "nextafter", "abs", "square", "sqrt", "reciprocal", "exp", "expm1",
        "log", "log1p", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh",
        "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "floor", "ceil", "trunc", "round",
        "sign", "not_equal", "less", "less_equal", "greater", "greater_equal", "isnan", "isinf",
        "isfinite", "signbit", "logical_not", "logical_and", "logical_or", "logical_xor",
        "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift",
        "reshape",
        negative="negative", equal="eq", bitwise_invert="bitwise_not",
    )
    | {
        "leaky_relu": lambda x, slope: F.leaky_relu(x, slope),
        "elu": lambda x, alpha: F.elu(x, alpha),
        "selu": F.selu,
        # PyTorch's own celu and hardsigmoid have constants of float32 in float64.
        "celu": lambda x, alpha: torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0) / alpha)),
        "hardtanh": lambda x, low, high: F.hardtanh(x, low, high),
        "relu6": F.relu6,
        "hardsigmoid": lambda x: torch.where(
            (x > -3) & (x < 3), x / 6 + 0.5, (x >= 3).to(x.dtype)
        ),
        "hardswish": F.hardswish,
        "mish": F.mish,
        "logsigmoid": F.logsigmoid,
        "threshold": F.threshold,
        "hardshrink": F.hardshrink,
        "softshrink": F.softshrink,
        "prelu": lambda x, weight: torch.where(x > 0, x, weight * x),
        "softplus": F.softplus,
        "silu": F.silu,
        "gelu": F.gelu,
        "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
        "softmax": lambda x, axis: torch.softmax(x, axis),
        "masked_softmax": lambda x, axis: torch.softmax(x, axis),
        "log_softmax": lambda x, axis: torch.log_softmax(x, axis),
        "logsumexp": reduction(torch.logsumexp),
        "linear": F.linear,
        "convolution": convolution,
        "convolution_input": convolution_input,
        "convolution_weight": convolution_weight,
        "max_pool": max_pool,
        "max_pool_route": max_pool_route,
        "max_pool_pick": max_pool_pick,
        "window_sum": window_sum,
        "window_spread": window_spread,
        "full": lambda shape, value, dtype: torch.full(shape, value, dtype=torch_dtype(dtype)),
        "arange": lambda start, count, step, dtype: torch.arange(
            start, start + count * step, step, dtype=torch_dtype(dtype)
        ),
        "floor_divide": lambda a, b: torch.div(a, b, rounding_mode="floor"),
        "broadcast_to": lambda x, shape: torch.broadcast_to(x, shape),
        "clip": lambda x, low, high: torch.clamp(x, low, high),
        "astype": lambda x, dtype: x.to(torch_dtype(dtype)),
        "convert": lambda x, dtype: x.to(torch_dtype(dtype)),
        "gather": gather,
        "scatter_add": scatter_add,
        "take": take,
        "take_add": take_add,
        "take_along_axis": take_along_axis,
        "put_along_axis_add": put_along_axis_add,
        "permute_dims": lambda x, axes: torch.permute(x, axes),
        "flip": lambda x, axis: torch.flip(x, axis),
        "concat": lambda *arrays, axis: torch.cat(arrays, axis),
        "slice": picked,
        "set_slice": set_slice,
        "set_items": set_items,
        "place": place,
        "sum": reduction(torch.sum),
        "mean": reduction(torch.mean),
        "var": reduction(torch.var),
        "std": reduction(torch.std),
        "max": reduction(torch.amax),
        "min": reduction(torch.amin),
        "prod": one_axis(torch.prod),
        "all": truth_of_axes(torch.all),
        "any": truth_of_axes(torch.any),
        "argmax": one_axis(torch.argmax),
        "argmin": one_axis(torch.argmin),
        "cumulative_sum": lambda x, axis: torch.cumsum(x, axis),
        "cumulative_prod": lambda x, axis: torch.cumprod(x, axis),
        "inv": torch.linalg.inv,
        "solve": torch.linalg.solve,
        "det": torch.linalg.det,
        "slogdet": lambda x: torch.stack(torch.linalg.slogdet(x), -1),
        "cholesky": torch.linalg.cholesky,
        "qr": lambda x, full: packed(*torch.linalg.qr(x)),
        "svdvals": torch.linalg.svdvals,
        "eigvalsh": torch.linalg.eigvalsh,
        "pinv": lambda x, rtol, atol: torch.linalg.pinv(x, rtol=rtol, atol=atol),
        "argtop": lambda x, axis, k, largest: torch.argsort(
            x, dim=axis, descending=largest, stable=True
        ).narrow(axis, 0, k),
        "argkth": lambda x, axis, k: torch.argsort(x, dim=axis, stable=True).narrow(axis, k, 1),
        "argrunning": lambda x, axis, largest: (torch.cummax if largest else torch.cummin)(
            x, axis
        ).indices,
        "searchsorted": lambda row, x, side: torch.searchsorted(row, x, side=side),
        "scatter_extreme": scatter_extreme,
        "scatter_prod": scatter_prod,
        "bessel": lambda x, n, scaled: getattr(torch.special, f"i{n}{'e' * scaled}")(x),
        "erfinv": torch.erfinv,
        "lgamma": torch.lgamma,
        "xlogy": torch.xlogy,
        "fmod": torch.fmod,
        "gcd": torch.gcd,
        "argsort": lambda x, axis, descending: torch.argsort(
            x, dim=axis, descending=descending, stable=True
        ),
        "norm": reduction(torch.linalg.vector_norm, torch.abs),
        "batch_norm": batch_norm,
        "layer_norm": lambda x, *affine, naxes, eps: F.layer_norm(
            x, x.shape[x.ndim - naxes :], *affine, eps=eps
        ),
        "rnn_scan": rnn_scan,
        "lstm_scan": lstm_scan,
        "gru_scan": gru_scan,
        "mse_loss": F.mse_loss,
        "l1_loss": F.l1_loss,
        "huber_loss": lambda x, target, delta, scale, reduction: scale
        * F.huber_loss(x, target, reduction, delta),
        "kl_div": F.kl_div,
        "binary_cross_entropy": F.binary_cross_entropy,
        "binary_cross_entropy_with_logits": lambda x, target, *pos_weight, reduction: (
            F.binary_cross_entropy_with_logits(
                x,
                target,
                reduction=reduction,
                pos_weight=pos_weight[0].detach() if pos_weight else None,
            )
        ),
        "hinge_embedding_loss": F.hinge_embedding_loss,
        "nll_loss": loss(F.nll_loss),
        "cross_entropy": cross_entropy,
        "soft_cross_entropy": cross_entropy,
        "multi_margin_loss": loss(F.multi_margin_loss),
    }
)  # fmt: skip

WITHOUT = {
    "random_bits": "PyTorch's generator has other bits",
    "random_poisson": "PyTorch's generator has other bits",
    "dropout": "PyTorch draws the mask inside",
    "cofactor": "PyTorch has no such function: it is the gradient of det",
    "svd": "the signs of the vectors are free: compared in test_parity_linalg",
    "eigh": "the signs of the vectors are free: compared in test_parity_linalg",
    "polygamma": "PyTorch's trigamma has ten digits: compared in test_parity_arrays",
    "sinc": "PyTorch's derivative loses its digits near 0: compared in test_parity_arrays",
}


def torch_dtype(dtype) -> torch.dtype:
    return getattr(torch, np.dtype(dtype).name)


def as_torch(x, requires_grad: bool):
    if not isinstance(x, np.ndarray):
        return torch.tensor(x, dtype=torch.float64) if isinstance(x, float) else torch.tensor(x)
    return torch.tensor(x, requires_grad=requires_grad and x.dtype in FLOATING)


def cast(x, dtype):
    return x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype in FLOATING else x


def pairs(record: Record, case: Case, dtype: str, upstream=None):
    """(what, ours, PyTorch's) for the value and every gradient that PyTorch has."""
    arrays = [cast(x, dtype) for x in case.inputs]
    mine = [
        bl.tensor(x, requires_grad=x.dtype in FLOATING) if isinstance(x, np.ndarray) else x
        for x in arrays
    ]
    other = [as_torch(x, True) for x in arrays]
    y, z = record(case, *mine), TORCH[record.name](*other, **case.attributes)
    assert str(z.dtype) == f"torch.{y.dtype.name}" or y.dtype not in FLOATING
    yield "value", y.numpy(), z.detach().numpy()
    if not y.requires_grad:
        return
    up = np.linspace(0.5, 1.5, y.size).reshape(y.shape).astype(y.dtype)
    up = np.ones_like(up) if upstream == "ones" else up
    xs = [t for t in mine if isinstance(t, Tensor) and t.requires_grad]
    zs = [t for t in other if t.requires_grad]
    found = bl.grad(y, xs, bl.asarray(up), allow_unused=True)
    if not z.requires_grad:  # PyTorch has no derivative here; ours must be 0
        theirs = [None] * len(zs)
    else:
        theirs = torch.autograd.grad(z, zs, torch.tensor(up), allow_unused=True)
    for i, (g, h) in enumerate(zip(found, theirs, strict=True)):
        if h is not None:
            yield f"gradient {i}", g.numpy(), h.numpy()


TOLERANCES = {"float64": 1e-10, "float32": 2e-5}


def usable(record: Record, case: Case) -> bool:
    """Whether PyTorch can do it: not all steps, not products of truth values on each type."""
    steps = [i[2] for i in case.attributes.get("pattern", ()) if isinstance(i, tuple)]
    return record.name in TORCH and all(s > 0 for s in steps)


def test_every_op_is_compared_or_known_to_be_missing() -> None:
    assert set(TORCH) | set(WITHOUT) == set(RECORDS)
    assert not set(TORCH) & set(WITHOUT)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(
    ("record", "case"),
    [
        pytest.param(record, case, id=f"{name}-{i}")
        for name, record in RECORDS.items()
        for i, case in enumerate(record.cases)
        if usable(record, case)
    ],
)
def test_value_and_gradients(record: Record, case: Case, dtype: str) -> None:
    tolerance = TOLERANCES[dtype]
    for what, got, want in pairs(record, case, dtype):
        assert got.shape == want.shape, what
        scale = np.max(np.abs(want), initial=0) if want.dtype.kind == "f" else 0
        np.testing.assert_allclose(got, want, tolerance, tolerance * scale, err_msg=what)


#: Special points at which we differ from PyTorch on purpose, with the reason.
DIFFERENT = {
    "abs-0": "the gradient at NaN is NaN, as sign(NaN) in the Array API standard; theirs is 0",
    "sign-0": "sign(NaN) is NaN in the Array API standard; theirs is 0",
    "hypot-1": "the gradient at (0, 0) is 0, as the norm's; theirs is NaN",
    "logaddexp-2": "the gradient at (-inf, -inf) is 0; theirs is NaN",
    "binary_cross_entropy-2": "their limit is 1e-12 rounded to float32",
    "norm-1": "theirs overflows where squares do",
    "norm-3": "theirs underflows where squares do",
    "logsumexp-4": "the gradient at all -inf is 0; theirs is NaN",
    "norm-2": "theirs overflows where squares do",
    "norm-4": "theirs overflows where squares do",
    "norm-7": "theirs underflows where squares do",
    "masked_softmax-1": "a row of -inf gives 0; their softmax gives NaN",
    "masked_softmax-2": "a row of -inf gives 0; their softmax gives NaN",
    "atan2-3": "theirs over- and underflows where squares do",
    "logaddexp-3": "of two inf each gets half of the gradient; theirs is NaN",
    "logsumexp-5": "an inf gets all of the gradient; theirs is NaN",
    "logsumexp-6": "two inf get half of the gradient each; theirs is NaN",
    "kl_div-1": "a target of 0 gives 0 also where x is -inf; theirs is NaN",
    "hinge_embedding_loss-1": "a target of NaN gives NaN; theirs is taken for both 1 and -1",
    "multi_margin_loss-1": "NaN gives NaN; theirs is the margin",
    "det-0": "the gradient of a singular matrix is its cofactors; theirs is that of one beside it",
    "slogdet-0": "a singular matrix has no gradient: ours raises; theirs is NaN",
    "xlogy-2": "the gradient of 0 log y is 0 for every y, at y = 0 too; theirs there is NaN",
    "bessel-0": "I₀(∞) = ∞; theirs is NaN",
    "bessel-1": "I₁(∞) = ∞; theirs is NaN",
    "bessel-4": "I₀(712) is a number; theirs is infinite, as e^712 is",
    "std-1": "equal numbers have exactly no deviation; theirs is that of rounding",
}


@pytest.mark.parametrize(
    ("record", "special"),
    [
        pytest.param(record, special, id=f"{name}-{i}")
        for name, record in RECORDS.items()
        for i, special in enumerate(record.specials)
        if name in TORCH and f"{name}-{i}" not in DIFFERENT
    ],
)
def test_special_point(record: Record, special) -> None:
    """Ties, kinks, overflow, infinities, NaN: the points that the records list."""
    inputs = tuple(
        x
        if isinstance(x, int | float) or (isinstance(x, np.ndarray) and x.dtype not in FLOATING)
        else np.array(x, special.dtype)
        for x in special.inputs
    )
    case = Case(inputs, special.attributes)
    for what, got, want in pairs(record, case, special.dtype, "ones"):
        if what == "value" or special.grads is not None:
            tolerance = 1e-12 if special.dtype == "float64" else 1e-6
            # The derivative at NaN is NaN; theirs may pass the upstream gradient on, or 0.
            own = np.isnan(got) if what != "value" else np.zeros(got.shape, bool)
            np.testing.assert_allclose(got[~own], want[~own], tolerance, tolerance, err_msg=what)
