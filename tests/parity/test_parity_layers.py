"""Every layer and function of `nn` with its options beside PyTorch's.

One row is one call. Of each it is checked, in float64: the value, the gradients of the inputs and
parameters, the gradients of those gradients, and that a compiled call gives the same; and in
float32 the value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import backlit as bl
from backlit import nn
from backlit.nn import functional as F

pytestmark = pytest.mark.parity
rng = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    """Numbers in ±2.5 that lie 0.01 apart, so that no two tie and none is on a kink."""
    size = int(np.prod(shape))
    return (5 * (rng.permutation(size) + 0.37) / max(size, 1) - 2.5).reshape(shape)


class Fixed(np.ndarray):
    """Numbers for which PyTorch knows no gradient."""


def fixed(array: np.ndarray) -> np.ndarray:
    return array.view(Fixed)


def both(x: Any, dtype: str = "float64") -> tuple[Any, Any]:
    """An argument for Backlit and the same for PyTorch."""
    if isinstance(x, np.ndarray):
        array = x.astype(dtype) if x.dtype.kind == "f" else x
        needs = array.dtype.kind == "f" and not isinstance(x, Fixed)
        array = np.asarray(array)
        return bl.tensor(array, requires_grad=needs), torch.tensor(array, requires_grad=needs)
    if isinstance(x, dict):
        pairs = {k: both(v, dtype) for k, v in x.items()}
        return {k: a for k, (a, _) in pairs.items()}, {k: b for k, (_, b) in pairs.items()}
    return x, x


def listed(y: Any) -> list[Any]:
    return list(y) if isinstance(y, tuple | list) else [y]


def number(library: Any, outputs: list[Any]) -> Any:
    """One number of all floating outputs, in which no two elements have the same weight."""
    total = None
    for y in outputs:
        if isinstance(y, library.Tensor) and y.requires_grad:
            size = int(np.prod(tuple(y.shape)))
            weights = (0.4 + np.cos(np.arange(size) * 0.7)).reshape(tuple(y.shape))
            make = bl.tensor if library is bl else torch.tensor
            part = (y * make(weights)).sum() + 0.5 * (y * y).sum()
            total = part if total is None else total + part
    return total


def close(a: Any, b: Any, what: str, tolerance: float) -> None:
    a = a.detach().numpy() if isinstance(a, bl.Tensor) else a
    b = b.detach().numpy() if isinstance(b, torch.Tensor) else b
    assert np.shape(a) == np.shape(b), f"{what}: {np.shape(a)} {np.shape(b)}"
    finite = np.abs(b)[np.isfinite(b)]
    scale = max(1.0, float(finite.max(initial=0)))
    np.testing.assert_allclose(a, b, tolerance, tolerance * scale, err_msg=what)


def gradients(library: Any, outputs: list[Any], leaves: list[Any], twice: bool) -> list[Any]:
    """The gradients of the outputs' number for the leaves, and those of the gradients' number."""
    total = number(library, outputs)
    if total is None or not leaves:
        return []
    if library is bl:
        first = bl.grad(total, leaves, create_graph=twice, allow_unused=True)
    else:
        first = torch.autograd.grad(total, leaves, create_graph=twice, allow_unused=True)
    result = list(first)
    again = number(library, [g for g in first if g is not None]) if twice else None
    if again is not None:
        if library is bl:
            result += list(bl.grad(again, leaves, allow_unused=True))
        else:
            result += list(torch.autograd.grad(again, leaves, allow_unused=True))
    return result


def check(what: str, ours: Any, theirs: Any, inputs: tuple, twice: bool, compiled: bool) -> None:
    """Compare two callables of the same arguments; modules bring their parameters along."""
    modules = isinstance(ours, nn.Module)
    if modules:
        ours.to("float64")
        theirs.to(torch.float64)
        state = {n: np.array(t.numpy()) for n, t in ours.state_dict().items()}
        assert list(state) == list(theirs.state_dict()), f"{what}: names of the state"
        for n, v in state.items():
            assert v.shape == tuple(theirs.state_dict()[n].shape), f"{what}: shape of {n}"
        state = {n: floats(*v.shape) * 0.4 + 0.1 if v.dtype.kind == "f" else v
                 for n, v in state.items()}  # fmt: skip
        state = {n: np.abs(v) if "running_var" in n else v for n, v in state.items()}
        ours.load_state_dict(state)
        theirs.load_state_dict({n: torch.tensor(v) for n, v in state.items()})
    pairs = [both(x) for x in inputs]
    mine, other = [a for a, _ in pairs], [b for _, b in pairs]
    y, z = listed(ours(*mine)), listed(theirs(*other))
    assert len(y) == len(z), what
    for a, b in zip(y, z, strict=True):
        close(a, b, f"{what}: value", 1e-9)
    own = list(ours.parameters()) if modules else []
    leaves = [[t for t in side if getattr(t, "requires_grad", False)] for side in (mine, other)]
    leaves[0] += own
    leaves[1] += list(theirs.parameters()) if modules else []
    got, want = (
        gradients(library, outputs, list(each), twice)
        for library, outputs, each in ((bl, y, leaves[0]), (torch, z, leaves[1]))
    )
    for k, (a, b) in enumerate(zip(got, want, strict=True)):
        if b is None or a is None:
            zero = a if b is None else b
            assert zero is None or not zero.detach().numpy().any(), f"{what}: gradient {k}"
        else:
            close(a, b, f"{what}: gradient {k}", 1e-8)
    if compiled:
        again = listed(bl.compile(lambda *t: ours(*t))(*[m.detach() if isinstance(m, bl.Tensor)
                                                         else m for m in mine]))  # fmt: skip
        if not (modules and any(True for _ in ours.buffers())):
            for a, b in zip(again, z, strict=True):
                close(a, b, f"{what}: compiled", 1e-9)


def rows(table: list[tuple]) -> Any:
    return pytest.mark.parametrize("row", table, ids=[f"{r[0]}-{i}" for i, r in enumerate(table)])


def layer(name: str, *inputs: np.ndarray, args: tuple = (), **options: Any) -> tuple:
    return name, inputs, args, options


ROW, SIGNAL, IMAGE, VOLUME = (
    floats(3, 4),
    floats(2, 4, 5),
    floats(2, 4, 6, 5),
    floats(2, 4, 4, 5, 6),
)
LONE, LONE_VOLUME = floats(4, 6, 5), floats(4, 4, 5, 6)

ACTIVATIONS = [
    layer("PReLU", ROW),
    layer("PReLU", IMAGE, num_parameters=4, init=0.1),
    layer("SELU", ROW),
    layer("CELU", ROW, alpha=0.6),
    layer("GLU", ROW),
    layer("GLU", SIGNAL, dim=1),
    layer("Mish", ROW),
    layer("Hardswish", ROW * 2),
    layer("Hardsigmoid", ROW * 2),
    layer("ReLU6", ROW * 4),
    layer("Hardtanh", ROW),
    layer("Hardtanh", ROW, args=(-0.3, 1.2)),
    layer("LogSigmoid", ROW),
    layer("Softsign", ROW),
    layer("Softplus", ROW),
    layer("Softplus", ROW, beta=2.0, threshold=3.0),
    layer("Softplus", ROW, beta=-1.5, threshold=30.0),
    layer("Threshold", ROW, args=(0.2, 5.0)),
    layer("Softshrink", ROW),
    layer("Softshrink", ROW, lambd=1.1),
    layer("Hardshrink", ROW),
    layer("Hardshrink", ROW, lambd=0.0),
    layer("Tanhshrink", ROW),
    layer("Softmin", SIGNAL, dim=1),
    layer("Softmax2d", IMAGE),
    layer("Softmax2d", LONE),
    layer("Softmax", SIGNAL),
    layer("Softmax", IMAGE),
    layer("LogSoftmax", floats(4)),
    layer("Softmin", SIGNAL),
]


def function(name: str, *args: Any, **options: Any) -> tuple:
    return name, args, options


def same_function(name: str, args: tuple, options: dict[str, Any], compiled: bool = True) -> None:
    """A function of `nn.functional`: arrays among the arguments are inputs, also by name."""
    arrays = [k for k, x in enumerate(args) if isinstance(x, np.ndarray)]
    named = [k for k, x in options.items() if isinstance(x, np.ndarray)]

    def of(library: Any) -> Any:
        def call(*tensors: Any) -> Any:
            positional, keywords = list(args), dict(options)
            for k, t in zip((*arrays, *named), tensors, strict=True):
                (keywords if isinstance(k, str) else positional)[k] = t
            return getattr(library, name)(*positional, **keywords)

        return call

    inputs = (*(args[k] for k in arrays), *(options[k] for k in named))
    what = f"{name}{[x for x in args if not isinstance(x, np.ndarray)]}{list(options.items())}"
    twice = not {name, " ".join([name, *options])} & ONCE
    check(what[:200], of(F), of(torch.nn.functional), inputs, twice, compiled)


#: PyTorch refuses the second derivative.
ONCE = {"Hardsigmoid", "instance_norm bias", "instance_norm weight", "layer_norm bias"}


def same_layer(row: tuple, **how: Any) -> None:
    name, inputs, args, options = row
    ours, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    check(f"{name}{args}{options}", ours, theirs, inputs, name not in ONCE, True)


@pytest.mark.filterwarnings("ignore:Implicit dimension choice", "ignore:.*dim is not given")
@rows(ACTIVATIONS)
def test_activations(row: tuple) -> None:
    same_layer(row)


def test_activations_at_their_kinks() -> None:
    x = np.array([-6.0, -3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, 6.0])
    for name in ("relu6", "hardtanh", "hardsigmoid", "hardswish", "softshrink", "hardshrink",
                 "selu", "celu", "elu", "leaky_relu", "logsigmoid", "tanhshrink"):  # fmt: skip
        check(name, getattr(F, name), getattr(torch.nn.functional, name), (x,), False, True)


def test_random_activations() -> None:
    x = bl.tensor(np.linspace(-1, 1, 4000))
    y = F.rrelu(x, 0.25, 0.5, training=True).numpy() / x.numpy()
    assert 0.25 <= y[:2000].min() < 0.26
    assert 0.49 < y[:2000].max() <= 0.5
    assert (y[2000:] == 1).all()
    check("rrelu", F.rrelu, torch.nn.functional.rrelu, (ROW,), True, True)
    logits = np.log(np.array([0.2, 0.5, 0.3]))
    for library, make in ((F, bl.tensor), (torch.nn.functional, torch.tensor)):
        many = make(np.tile(logits, (20000, 1)))
        sample = library.gumbel_softmax(many, 0.5, hard=True).numpy()
        np.testing.assert_allclose(sample.mean(0), [0.2, 0.5, 0.3], atol=0.015)
        soft = library.gumbel_softmax(many, 2.0).numpy()
        np.testing.assert_allclose(soft.mean(0), [0.283, 0.393, 0.324], atol=0.02)


NORMS = [
    *(layer(f"InstanceNorm{n}d", x, num_features=4, **options)
      for n, x in ((1, SIGNAL), (1, ROW.T), (2, IMAGE), (2, LONE), (3, VOLUME), (3, LONE_VOLUME))
      for options in ({}, {"affine": True, "eps": 0.1},
                      {"track_running_stats": True, "momentum": 0.3})),
    layer("InstanceNorm2d", IMAGE, num_features=4, affine=True, bias=False),
    layer("RMSNorm", ROW, normalized_shape=4),
    layer("RMSNorm", IMAGE, normalized_shape=(6, 5), eps=0.1),
    layer("RMSNorm", ROW, normalized_shape=(4,), elementwise_affine=False),
    layer("LocalResponseNorm", SIGNAL, size=3, alpha=0.5, beta=0.6, k=0.7),
    layer("LocalResponseNorm", IMAGE, args=(2,), alpha=0.5),
    layer("LocalResponseNorm", VOLUME, args=(5,), alpha=0.5),
    layer("BatchNorm3d", VOLUME, num_features=4, momentum=0.3),
    layer("BatchNorm3d", VOLUME, num_features=4, momentum=None, affine=False),
    layer("BatchNorm2d", IMAGE, num_features=4, bias=False),
    layer("BatchNorm1d", ROW, num_features=4, bias=False),
    layer("GroupNorm", IMAGE, num_groups=2, num_channels=4, bias=False),
    layer("LayerNorm", ROW, normalized_shape=4, bias=False),
]  # fmt: skip


@rows(NORMS)
def test_norms(row: tuple) -> None:
    same_layer(row)
    name, inputs, args, options = row
    ours, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    check(f"{name} in evaluation", ours.eval(), theirs.eval(), inputs, name not in ONCE, True)


def test_norms_as_functions() -> None:
    scale, shift = floats(4), floats(4) + 0.2
    table = [
        function("instance_norm", IMAGE, None, None, scale, shift),
        function("instance_norm", SIGNAL, weight=scale),
        function("instance_norm", SIGNAL, bias=scale),
        function("layer_norm", ROW, (4,), bias=shift),
        function("rms_norm", ROW, (4,), scale, eps=0.3),
        function("local_response_norm", IMAGE, 4, alpha=0.3),
    ]
    for row in table:
        same_function(*row)


def test_cross_map_normalisation_has_the_value_until_pytorch_counts_too_many_channels() -> None:
    ours, theirs = (library.CrossMapLRN2d(3, 0.5, 0.6, 0.7) for library in (nn, torch.nn))
    y, z = ours(bl.tensor(IMAGE)), theirs(torch.tensor(IMAGE))
    close(y[:, :2], z[:, :2], "first channels", 1e-12)
    assert not np.allclose(y.numpy()[:, 2], z.numpy()[:, 2])
    exact = torch.nn.LocalResponseNorm(3, 0.5, 0.6, 0.7)(torch.tensor(IMAGE))
    close(y, exact, "as LocalResponseNorm", 1e-12)


@pytest.mark.filterwarnings("ignore:dropout2d", "ignore:dropout3d", "ignore:.*to dropout.d")
def test_dropout_drops_the_same_parts_and_keeps_the_same_moments() -> None:
    bl.manual_seed(0)
    torch.manual_seed(0)
    normal = np.random.default_rng(0).normal
    shapes = {"Dropout1d": [(40, 50, 6), (2000, 6)], "Dropout2d": [(40, 50, 3, 2), (40, 50, 6)],
              "Dropout3d": [(40, 50, 3, 2, 1), (2000, 3, 2, 1)], "AlphaDropout": [(40, 50, 6)],
              "FeatureAlphaDropout": [(40, 50, 3, 2)]}  # fmt: skip
    for name, each in shapes.items():
        for shape in each:
            x = normal(size=shape).astype(np.float32)
            results = []
            for library, make in ((nn, bl.tensor), (torch.nn, torch.tensor)):
                module = getattr(library, name)(0.4)
                y = module(make(x)).numpy()
                assert (module.eval()(make(x)).numpy() == x).all()
                results.append((y.mean(), y.std(), np.isclose(y, 0).mean(),
                                np.unique(np.isclose(y, y.flat[0]).mean()).size))  # fmt: skip
            np.testing.assert_allclose(*results, atol=0.06, err_msg=f"{name} {shape}")
            values, counts = np.unique(y, return_counts=True)
            dropped = y == values[counts.argmax()]
            assert abs(dropped.mean() - 0.4) < 0.05, name
            places = tuple(range(1 if len(shape) in (2, 4) and name in ("Dropout1d", "Dropout3d")
                                 else 2, len(shape)))  # fmt: skip
            if name != "AlphaDropout":
                assert (dropped.all(places) == dropped.any(places)).all(), name
        for library, make in ((nn, bl.tensor), (torch.nn, torch.tensor)):
            x = make(np.ones(each[0], np.float32))
            assert not getattr(library, name)(1.0)(x).numpy().any()


PADS = [
    *(layer(f"{kind}Pad{n}d", x, padding=widths)
      for kind in ("Zero", "Reflection", "Replication", "Circular")
      for n, x, several in ((1, SIGNAL, (2, 1)), (2, IMAGE, (1, 3, 2, 0)), (2, LONE, (1, 3, 2, 0)),
                            (3, VOLUME, (1, 2, 0, 3, 2, 1)))
      for widths in (2, several)),
    layer("ConstantPad1d", SIGNAL, args=((3, 1), 2.5)),
    layer("ConstantPad2d", IMAGE, args=(1, -0.5)),
    layer("ConstantPad2d", IMAGE, args=((1, -2, -1, 3), 1.0)),
    layer("ConstantPad3d", VOLUME, args=(1, -0.5)),
    *(layer(f"Conv{n}d", x, args=(4, 2, 3), padding=2, padding_mode=mode, **options)
      for n, x in ((1, SIGNAL), (2, IMAGE))
      for mode in ("reflect", "replicate", "circular")
      for options in ({}, {"stride": 2, "groups": 2, "bias": False})),
    layer("Conv2d", IMAGE, args=(4, 2, (2, 3)), padding="same", padding_mode="reflect", dilation=2),
    layer("Conv2d", IMAGE, args=(4, 2, (2, 4)), padding="same", padding_mode="circular"),
    layer("Conv2d", IMAGE, args=(4, 2, 3), padding="valid", padding_mode="circular"),
    layer("Conv2d", LONE, args=(4, 2, 3), padding=(0, 2), padding_mode="replicate"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@rows(PADS)
def test_padding(row: tuple) -> None:
    same_layer(row)


def test_pad_as_a_function() -> None:
    for row in [
        function("pad", ROW, (1, 2)),
        function("pad", ROW, (1, 2, 0, 3), "constant", 1.5),
        function("pad", VOLUME, (0, 1, -1, 0, 1, -1, 1, 0), value=2.0),
        function("pad", VOLUME, (0, 1, 0, 0, 0, 0, 1, 0, 0, 2)),
        function("pad", ROW, (1, 2), "reflect"),
        function("pad", ROW, (0, 4), "circular"),
        function("pad", ROW, (-1, 2), "circular"),
        function("pad", IMAGE, (2, -1, 1, 0), "circular"),
        function("pad", IMAGE, (-1, 2, 0, 1), "replicate"),
        function("pad", IMAGE, (2, -1, 0, -2), "reflect"),
        function("pad", rng.integers(0, 5, (2, 3)), (1, 1), value=7),
    ]:
        same_function(*row)


POOLS = [
    *(layer(f"MaxPool{n}d", x, args=(2,), return_indices=True) for n, x in
      ((1, SIGNAL), (2, IMAGE), (2, LONE), (3, VOLUME), (3, LONE_VOLUME))),
    layer("MaxPool1d", SIGNAL, kernel_size=3, stride=1, padding=1, return_indices=True),
    layer("MaxPool2d", IMAGE, args=(3, 2, 1), dilation=2, return_indices=True, ceil_mode=True),
    layer("MaxPool3d", VOLUME, args=(2, 1)),
    layer("MaxPool3d", VOLUME, args=((2, 3, 2), (1, 2, 3), (1, 0, 1)), ceil_mode=True),
    layer("MaxPool3d", VOLUME, args=(2,), dilation=(2, 1, 3), return_indices=True),
    layer("AvgPool3d", VOLUME, args=(2,)),
    layer("AvgPool3d", LONE_VOLUME, args=(3, 2, 1), count_include_pad=False),
    layer("AvgPool3d", VOLUME, args=((2, 3, 2), (1, 2, 3), (1, 0, 1)), ceil_mode=True),
    layer("AvgPool3d", VOLUME, args=(2,), divisor_override=3),
    *(layer(f"Adaptive{kind}Pool{n}d", x, args=(size,)) for kind in ("Avg", "Max")
      for n, x, sizes in ((1, SIGNAL, (1, 2, 3, 5, 7)), (2, IMAGE, (1, (3, 5), (4, None), 7)),
                          (2, LONE, ((2, 3),)), (3, VOLUME, (1, (2, 3, 4), (None, 2, 6))),
                          (3, LONE_VOLUME, (2,)))
      for size in sizes),
    *(layer(f"AdaptiveMaxPool{n}d", x, args=(size,), return_indices=True)
      for n, x, size in ((1, SIGNAL, 3), (2, IMAGE, (4, 2)), (3, VOLUME, (3, 5, 4)))),
    *(layer(f"LPPool{n}d", x, args=(p, 2, stride), ceil_mode=ceil)
      for n, x in ((1, SIGNAL), (2, IMAGE), (3, VOLUME))
      for p, stride, ceil in ((2, None, False), (4, 1, True))),
    layer("LPPool1d", np.abs(SIGNAL), args=(1.7, 3)),
    layer("Conv3d", VOLUME, args=(4, 2, 2)),
    layer("Conv3d", LONE_VOLUME, args=(4, 6, (2, 1, 3)), stride=(1, 2, 3), padding=(1, 0, 2)),
    layer("Conv3d", VOLUME, args=(4, 6, 2), groups=2, dilation=(2, 1, 3), bias=False),
    layer("Conv3d", VOLUME, args=(4, 2, (3, 2, 1)), padding="same"),
    layer("Conv3d", VOLUME, args=(4, 2, 3), padding=1, padding_mode="circular"),
    layer("ConvTranspose3d", VOLUME, args=(4, 2, 2)),
    layer("ConvTranspose3d", LONE_VOLUME, args=(4, 6, (2, 1, 3)), stride=(1, 2, 3),
          padding=(1, 0, 1), output_padding=(0, 1, 2), groups=2),
    layer("ConvTranspose3d", VOLUME, args=(4, 2, 2), stride=2, padding=1, output_padding=1,
          bias=False),
    layer("ConvTranspose3d", VOLUME, args=(4, 2, (3, 2, 2)), dilation=(2, 3, 1),
          output_padding=(1, 2, 0)),
    layer("Upsample", IMAGE, scale_factor=2),
    layer("Upsample", SIGNAL, size=8),
    layer("Upsample", VOLUME, scale_factor=(2, 1.5, 3), mode="trilinear"),
    layer("UpsamplingNearest2d", IMAGE, size=(9, 7)),
    layer("UpsamplingBilinear2d", IMAGE, scale_factor=2),
    layer("PixelShuffle", IMAGE, args=(2,)),
    layer("PixelUnshuffle", IMAGE[..., :4], args=(2,)),
    layer("ChannelShuffle", IMAGE, args=(2,)),
    layer("Unfold", IMAGE, args=(2,)),
    layer("Unfold", LONE, args=((2, 3), 2, (1, 2), (1, 3))),
    layer("Fold", floats(2, 12, 4 * 4), args=((5, 6), (2, 3))),
    layer("Fold", floats(8, 6), args=((5, 6), 2), padding=1, stride=(3, 2), dilation=(1, 3)),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@rows(POOLS)
def test_pooling_and_volumes(row: tuple) -> None:
    same_layer(row)


RESAMPLED = [
    *(function("interpolate", x, **size, mode=mode)
      for x in (SIGNAL, IMAGE, VOLUME) for mode in ("nearest", "nearest-exact", "area")
      for size in ({"size": 7}, {"scale_factor": 0.7}, {"scale_factor": 2})),
    *(function("interpolate", x, mode=mode, align_corners=align, **size)
      for x, mode in ((SIGNAL, "linear"), (IMAGE, "bilinear"), (IMAGE, "bicubic"),
                      (VOLUME, "trilinear"))
      for align in (None, True)
      for size in ({"size": 7}, {"scale_factor": 0.7}, {"scale_factor": 2.4}, {"size": 1},
                   {"scale_factor": 1.3, "recompute_scale_factor": True})),
    *(function("interpolate", floats(1, 2, 9, 14), size, mode=mode, align_corners=align,
               antialias=True)
      for mode in ("bilinear", "bicubic") for align in (None, True)
      for size in ((4, 5), (3, 20), 9)),
    function("interpolate", floats(1, 1, 9, 14), scale_factor=0.37, mode="bicubic", antialias=True),
    *(function("grid_sample", x, grid, mode, padding, align)
      for x, grid in ((IMAGE, floats(2, 3, 4, 2) * 0.8), (VOLUME, floats(2, 2, 3, 2, 3) * 0.8))
      for mode in ("bilinear", "nearest", "bicubic") if x.ndim == 4 or mode != "bicubic"
      for padding in ("zeros", "border", "reflection") for align in (False, True)),
    *(function("affine_grid", floats(2, n - 2, n - 1), (2, 3, 4, 1, 5)[:n], align_corners=align)
      for n in (4, 5) for align in (False, True)),
    function("pixel_shuffle", floats(2, 3, 8, 2, 3), 2),
    function("pixel_unshuffle", floats(2, 3, 4, 6), 2),
    function("channel_shuffle", SIGNAL, 4),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:The default behavior", "ignore:Since version 1.3.0")
def test_resampling() -> None:
    for name, args, options in RESAMPLED:
        key = name if args[0].ndim == 4 else f"{name} {args[0].ndim}"
        same_function(name, args, options, compiled=key not in {"grid_sample 5"})


def test_nearest_places_are_rounded_alike() -> None:
    """Of images: PyTorch itself rounds signals otherwise here and there."""
    for dtype in ("float32", "float64"):
        for n in range(1, 40):
            x = np.arange(n).astype(dtype).reshape(1, 1, n, 1)
            for mode in ("nearest", "nearest-exact"):
                for size in ({"size": (m, 1)} for m in [*range(1, 80), 224]):
                    y = F.interpolate(bl.tensor(x), mode=mode, **size).numpy()
                    z = torch.nn.functional.interpolate(torch.tensor(x), mode=mode, **size).numpy()
                    assert (y == z).all(), (n, size, mode)
                for factor in (0.3, 0.5, 1.1, 1.7, 2.5, 3.3, 7.9):
                    if int(n * factor) < 1:
                        continue
                    size = {"scale_factor": (factor, 1)}
                    y = F.interpolate(bl.tensor(x), mode=mode, **size).numpy()
                    z = torch.nn.functional.interpolate(torch.tensor(x), mode=mode, **size).numpy()
                    assert (y == z).all(), (n, size, mode)


def test_fractional_pooling_and_unpooling() -> None:
    for n, x in ((2, floats(2, 3, 9, 8)), (3, floats(2, 3, 7, 6, 8))):
        samples = rng.uniform(size=(2, 3, n))
        for size in ({"output_size": (4,) * n}, {"output_ratio": (0.6,) * n}, {"output_size": 1}):
            for kernel in (2, (3, 2, 2)[:n]):
                results = []
                for library, make in ((F, bl.tensor), (torch.nn.functional, torch.tensor)):
                    t = make(x, requires_grad=True)
                    y, indices = getattr(library, f"fractional_max_pool{n}d")(
                        t, kernel, **size, return_indices=True, _random_samples=make(samples)
                    )
                    (y * y).sum().backward()
                    results.append((y, indices, t.grad))
                for a, b in zip(*results, strict=True):
                    close(a, b, f"fractional {n} {size} {kernel}", 1e-12)
    for n, x in ((1, SIGNAL), (2, IMAGE), (2, LONE), (3, VOLUME)):
        for options in ({}, {"stride": 2, "padding": 1}):
            results = []
            for library, make in ((F, bl.tensor), (torch.nn.functional, torch.tensor)):
                t = make(x, requires_grad=True)
                y, indices = getattr(library, f"max_pool{n}d")(t, 2, return_indices=True, **options)
                z = getattr(library, f"max_unpool{n}d")(
                    y, indices, 2, output_size=x.shape[-n:], **options
                )
                (z * z * z).sum().backward()
                results.append((z, t.grad))
            (z, grad_x), (wanted, wanted_grad) = results
            close(z, wanted, f"unpool {n} {options}", 1e-12)
            close(grad_x, wanted_grad, f"unpool {n} {options}: gradient", 1e-12)


def test_transposed_convolutions_to_a_size() -> None:
    for n, x in ((1, SIGNAL), (2, IMAGE), (3, VOLUME)):
        options = {"stride": 3, "padding": 1, "bias": False}
        ours = getattr(nn, f"ConvTranspose{n}d")(4, 2, 3, **options, dtype="float64")
        theirs = getattr(torch.nn, f"ConvTranspose{n}d")(4, 2, 3, **options, dtype=torch.float64)
        ours.load_state_dict({"weight": theirs.weight.detach().numpy()})
        sizes = [(s - 1) * 3 + 2 for s in x.shape[2:]]
        y, z = (m(make(x), sizes) for m, make in ((ours, bl.tensor), (theirs, torch.tensor)))
        close(y, z, "sized", 1e-12)


SIGNED = np.sign(floats(5)) + (np.sign(floats(5)) == 0)
X1, X2, X3 = floats(5, 4), floats(5, 4), floats(5, 4)
ZERO_ONE = rng.integers(0, 2, (5, 4)).astype("float64")
HOW_MANY = rng.integers(0, 6, (5, 4)).astype("float64")
LABEL_ROWS = np.array([[1, 2, -1, 0], [0, -1, 1, 1], [3, 0, 1, -1], [-1, 0, 0, 0], [2, 2, -1, -1]])

MARGIN_LOSSES = [
    function("margin_ranking_loss", X1, X2, ZERO_ONE * 2 - 1, margin=0.4),
    function("cosine_embedding_loss", X1, X2, ZERO_ONE[:, 0] * 2 - 1, margin=-0.3),
    function("cosine_embedding_loss", X1[0], X2[0], np.array(-1.0)),
    function("triplet_margin_loss", X1, X2, X3),
    function("triplet_margin_loss", X1, X2, X3, margin=2.0, p=1.0, swap=True),
    function("triplet_margin_loss", X1[0], X2[0], X3[0], p=3, eps=0.1),
    function("triplet_margin_with_distance_loss", X1, X2, X3, margin=2.0, swap=True),
    function("soft_margin_loss", X1, fixed(ZERO_ONE * 2 - 1)),
    function("multilabel_margin_loss", X1, LABEL_ROWS),
    function("multilabel_margin_loss", X1[0], LABEL_ROWS[0]),
    function("multilabel_soft_margin_loss", X1, ZERO_ONE),
    function("multilabel_soft_margin_loss", X1, ZERO_ONE, weight=np.abs(X2[0])),
    function("gaussian_nll_loss", X1, X2, X3**2),
    function("gaussian_nll_loss", X1, X2, X3[:, :1] ** 2, full=True, eps=1.0),
    function("gaussian_nll_loss", X1, X2, X3[:, 0] ** 2),
    function("gaussian_nll_loss", X1, X2, 0.7),
    function("poisson_nll_loss", X1, HOW_MANY),
    function("poisson_nll_loss", X1**2, HOW_MANY, log_input=False, eps=0.1),
    function("poisson_nll_loss", X1, fixed(HOW_MANY), full=True),
    function("mse_loss", X1, X2, weight=X3**2),
    function("l1_loss", X1, X2, weight=X3**2),
    function("huber_loss", X1, X2, delta=0.7, weight=X3**2),
]
#: PyTorch has no second derivative of these, or gives targets a gradient that is another's.
ONCE |= {"multilabel_margin_loss", "huber_loss", "pdist"}


def test_margin_losses() -> None:
    for name, args, options in MARGIN_LOSSES:
        for reduction in ("mean", "sum", "none"):
            same_function(name, args, options | {"reduction": reduction}, reduction == "mean")


def test_distances() -> None:
    for row in [
        *(function("pairwise_distance", X1, X2, p) for p in (2.0, 1.0, 3.0, float("inf"), 0.5)),
        function("pairwise_distance", X1, X2[0], keepdim=True, eps=0.01),
        function("cosine_similarity", X1, X2),
        function("cosine_similarity", IMAGE, LONE, dim=-2, eps=0.3),
        function("normalize", X1),
        function("normalize", IMAGE, p=3.0, dim=2),
        *(function("pdist", X1, p) for p in (2.0, 1.0, 3.0)),
        function("bilinear", floats(2, 3, 4), floats(2, 3, 5), floats(6, 4, 5), floats(6)),
    ]:
        same_function(*row)
    for row in (layer("CosineSimilarity", X1, X2), layer("CosineSimilarity", SIGNAL, SIGNAL, dim=2),
                layer("PairwiseDistance", X1, X2), layer("PairwiseDistance", X1, X2, p=1.0,
                                                         keepdim=True),
                layer("Bilinear", floats(3, 4), floats(3, 5), args=(4, 5, 6)),
                layer("Bilinear", floats(3, 4), floats(3, 5), args=(4, 5, 2), bias=False),
                ):  # fmt: skip
        same_layer(row)


def test_ctc() -> None:
    logits = floats(7, 3, 5)
    targets = np.array([[1, 2, 2, 4], [3, 3, 3, 0], [4, 1, 0, 0]])
    flat = np.concatenate([targets[0, :4], targets[1, :3], targets[2, :1]])
    for blank, labels, steps, counts in (
        (0, targets, (7, 6, 4), (4, 3, 1)),
        (0, flat, (7, 7, 7), (4, 3, 1)),
        (0, targets, (7, 3, 7), (4, 3, 0)),  # the second cannot be written
        (4, np.array([[0, 1], [2, 2], [3, 0]]), (2, 3, 7), (2, 2, 1)),
    ):
        for reduction in ("mean", "sum", "none"):
            for zero in (True, False):
                results = []
                for f, make in ((F, bl.tensor), (torch.nn.functional, torch.tensor)):
                    x = make(logits, requires_grad=True)
                    y = f.ctc_loss(f.log_softmax(x, 2), make(labels), make(np.array(steps)),
                                   make(np.array(counts)), blank, reduction, zero)  # fmt: skip
                    if zero:
                        y.sum().backward()
                    results.append((y, x.grad))
                close(results[0][0], results[1][0], f"ctc {blank} {reduction}", 1e-10)
                if zero:
                    close(results[0][1], results[1][1], f"ctc {blank} {reduction} gradient", 1e-9)


@pytest.mark.filterwarnings("ignore:size_average", "ignore:.*size_average")
def test_old_words_for_reductions() -> None:
    for average, reduce in ((True, None), (False, None), (None, False), (False, False)):
        for name in ("mse_loss", "soft_margin_loss", "smooth_l1_loss"):
            y = getattr(F, name)(bl.tensor(X1), bl.tensor(X2), average, reduce)
            z = getattr(torch.nn.functional, name)(
                torch.tensor(X1), torch.tensor(X2), average, reduce
            )
            close(y, z, name, 1e-10)


#: PyTorch leaves the frequencies out of the second derivative, and has none of bags.
ONCE |= {"embedding scale_grad_by_freq", "embedding_bag"}


def test_embeddings() -> None:
    table, indices = floats(7, 3), rng.integers(0, 7, (4, 5))
    flat, starts = rng.integers(0, 7, 11), np.array([0, 3, 3, 7, 10])
    for row in [
        function("embedding", indices, table),
        function("embedding", indices, table, 2, scale_grad_by_freq=True),
        function("embedding", indices, table, -3),
        *(function("embedding_bag", indices, table, mode=mode, padding_idx=padding)
          for mode in ("sum", "mean", "max") for padding in (None, 3)),
        *(function("embedding_bag", flat, table, starts, mode=mode, padding_idx=padding)
          for mode in ("sum", "mean", "max") for padding in (None, 3)),
        function("embedding_bag", flat, table, np.append(starts, 11), include_last_offset=True),
        function("embedding_bag", flat, table, starts, mode="sum", per_sample_weights=floats(11)),
    ]:  # fmt: skip
        offsets_max = row[2].get("mode") == "max" and len(row[1]) == 3
        same_function(*row, compiled=not offsets_max)
    for name, args in (("Embedding", (indices,)), ("EmbeddingBag", (flat, starts))):
        for options in ({"max_norm": 1.1}, {"max_norm": 0.7, "norm_type": 1.0}):
            layers = [getattr(n, name)(7, 3, **options) for n in (nn, torch.nn)]
            layers[0].weight.assign(table.astype("float32"))
            layers[1].weight.data = torch.tensor(table.astype("float32"))
            y, z = (m(*map(make, args)) for m, make in zip(layers, (bl.tensor, torch.tensor),
                                                          strict=True))  # fmt: skip
            close(y, z, f"{name} {options}", 1e-6)
            close(layers[0].weight, layers[1].weight, f"{name} {options}: the table", 1e-6)


def test_bags_by_frequency_divide_by_the_frequency_of_each_row() -> None:
    """PyTorch divides the row that is named twice by three."""
    gradients = []
    for library, f, make in ((bl, F, bl.tensor), (torch, torch.nn.functional, torch.tensor)):
        weight = make(np.zeros((3, 1)), requires_grad=True)
        indices, offsets = make(np.array([1, 1, 1, 2, 2, 0])), make(np.array([0]))
        y = f.embedding_bag(indices, weight, offsets, mode="sum", scale_grad_by_freq=True)
        y.sum().backward()
        assert isinstance(y, library.Tensor)
        gradients.append(weight.grad.numpy().ravel())
    np.testing.assert_allclose(gradients[0], [1, 1, 1])
    np.testing.assert_allclose(gradients[1], [1, 1, 2 / 3])


def test_adaptive_softmax() -> None:
    for options in ({}, {"head_bias": True, "div_value": 2.0}):
        ours = nn.AdaptiveLogSoftmaxWithLoss(16, 20, [4, 9], **options)
        theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [4, 9], **options)
        targets = np.array([0, 3, 4, 8, 9, 19])
        check("adaptive", ours, theirs, (floats(6, 16), targets), True, True)
        x = floats(30, 16)
        close(ours.log_prob(bl.tensor(x)), theirs.log_prob(torch.tensor(x)), "log_prob", 1e-9)
        mine, other = ours.predict(bl.tensor(x)).numpy(), theirs.predict(torch.tensor(x)).numpy()
        assert (mine == other).all()


def test_starting_values_have_the_same_spread() -> None:
    for name, args in (("Bilinear", (20, 30, 40)), ("Conv3d", (6, 20, 3)),
                       ("EmbeddingBag", (99, 40)), ("ConvTranspose3d", (6, 20, 3)),
                       ("PReLU", (5,)), ("RMSNorm", (40,)),
                       ("AdaptiveLogSoftmaxWithLoss", (40, 90, [20, 50]))):  # fmt: skip
        ours, theirs = getattr(nn, name)(*args), getattr(torch.nn, name)(*args)
        for (n, p), (m, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
            assert n == m
            a, b = p.detach().numpy(), q.detach().numpy()
            if a.size > 300:
                np.testing.assert_allclose(a.std(), b.std(), rtol=0.1, err_msg=f"{name}.{n}")
                np.testing.assert_allclose(abs(a).max(), abs(b).max(), rtol=0.3)
