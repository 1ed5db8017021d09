"""Convolution and pooling layers: small examples by hand, shapes, gradients, errors."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, DTypeError, ShapeError
from backlit.nn import functional as f
from sampling import every

rng = np.random.default_rng(0)


def test_convolution_is_a_correlation_as_in_every_framework() -> None:
    y = f.conv1d(bl.tensor([[1.0, 2.0, 3.0, 4.0]]), bl.tensor([[[1.0, 0.0, -1.0]]]))
    assert y.tolist() == [[-2.0, -2.0]]
    image = bl.arange(9, dtype="float32").reshape(1, 1, 3, 3)
    kernel = bl.tensor([[[[0.0, 1.0], [2.0, 0.0]]]])
    assert f.conv2d(image, kernel, bl.tensor([10.0])).tolist() == [[[[17, 20], [26, 29]]]]


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dilation", [1, 2])
def test_same_keeps_the_size(kernel, dilation) -> None:
    layer = nn.Conv2d(1, 2, kernel, padding="same", dilation=dilation)
    assert layer(bl.zeros((1, 1, 9, 10))).shape == (1, 2, 9, 10)


def test_groups_see_their_own_channels_only() -> None:
    layer = nn.Conv1d(2, 2, 1, groups=2, bias=False)
    layer.load_state_dict({"weight": [[[2.0]], [[3.0]]]})
    assert layer(bl.tensor([[[1.0], [10.0]]])).tolist() == [[[2.0], [30.0]]]


def test_transposed_convolution_undoes_the_shape_of_a_convolution() -> None:
    for size in (7, 8):
        x = bl.zeros((1, 3, size, size))
        y = nn.Conv2d(3, 5, 3, stride=2, padding=1)(x)
        back = nn.ConvTranspose2d(5, 3, 3, stride=2, padding=1, output_padding=(size + 1) % 2)(y)
        assert back.shape == x.shape


def test_transposed_convolution_is_the_gradient_of_a_convolution() -> None:
    x = bl.tensor(rng.normal(size=(2, 3, 7)), requires_grad=True)
    w = bl.tensor(rng.normal(size=(4, 3, 2)))
    y = f.conv1d(x, w, stride=3, padding=1)
    upstream = rng.normal(size=y.shape)
    y.backward(upstream)
    pulled = f.conv_transpose1d(bl.tensor(upstream), w, stride=3, padding=1, output_padding=1)
    np.testing.assert_allclose(x.grad.numpy(), pulled.numpy(), atol=1e-13)


def scattered(x, w, bias, stride, padding, output_padding, groups, dilation):
    """Each element times its group's kernel, added into an image, one after another."""
    _, channels, *places = x.shape
    each = w.shape[1]
    whole = [(n - 1) * s + d * (k - 1) + 1
             for n, s, d, k in zip(places, stride, dilation, w.shape[2:], strict=True)]  # fmt: skip
    y = np.zeros((len(x), each * groups, *(n + e for n, e in zip(whole, output_padding,
                                                                 strict=True))))  # fmt: skip
    for (n, c, *place), value in np.ndenumerate(x):
        for (o, *tap), factor in np.ndenumerate(w[c]):
            at = [q * s + t * d for q, s, t, d in zip(place, stride, tap, dilation, strict=True)]
            y[(n, c // (channels // groups) * each + o, *at)] += value * factor
    for axis, p in enumerate(padding, 2):
        y = np.take(y, range(p, y.shape[axis] - p), axis=axis)
    return y + bias.reshape(-1, *(1,) * len(places))


@pytest.mark.parametrize(
    ("stride", "padding", "output_padding", "groups", "dilation", "kernel"),
    [
        ((1,), (0,), (1,), 1, (2,), (3,)),
        ((1,), (2,), (2,), 2, (3,), (2,)),
        ((2,), (1,), (4,), 1, (5,), (2,)),
        ((1,), (2,), (4,), 2, (5,), (1,)),
        ((3,), (1,), (2,), 1, (1,), (2,)),
        ((1, 2), (1, 0), (2, 3), 2, (3, 4), (2, 2)),
        ((2, 1), (3, 2), (1, 3), 1, (1, 4), (3, 2)),
    ],
)
def test_transposed_convolution_with_any_output_padding(
    stride, padding, output_padding, groups, dilation, kernel
) -> None:
    x = bl.tensor(rng.normal(size=(2, 4, 3, 3)[: 2 + len(stride)]), requires_grad=True)
    w = bl.tensor(rng.normal(size=(4, 3, *kernel)), requires_grad=True)
    b = bl.tensor(rng.normal(size=3 * groups), requires_grad=True)
    function = f.conv_transpose1d if len(stride) == 1 else f.conv_transpose2d

    def run(x, w, b):
        return function(x, w, b, stride, padding, output_padding, groups, dilation)

    geometry = (stride, padding, output_padding, groups, dilation)
    want = scattered(x.numpy(), w.numpy(), b.numpy(), *geometry)
    for go in (run, bl.compile(run)):
        np.testing.assert_allclose(go(x, w, b).numpy(), want, 1e-12, 1e-12)
    if min(want.shape) > 1:
        bl.gradcheck(run, [x, w, b])


@every(
    "function",
    [
        lambda x, w: f.conv2d(x, w, stride=2, padding=1),
        lambda x, w: f.conv2d(x, w, padding="same"),
        lambda x, w: f.conv_transpose2d(x, bl.permute_dims(w, (1, 0, 2, 3)), stride=2),
        lambda x, w: f.max_pool2d(f.conv2d(x, w), 2, 1),
        lambda x, w: f.avg_pool2d(f.conv2d(x, w), 2, 1, ceil_mode=True),
        lambda x, w: f.adaptive_avg_pool2d(f.conv2d(x, w), (2, 3)),
    ],
)
def test_gradients_to_second_order(function) -> None:
    x = bl.tensor(rng.normal(size=(1, 2, 5, 4)), requires_grad=True)
    w = bl.tensor(rng.normal(size=(2, 2, 2, 2)), requires_grad=True)
    bl.gradcheck(function, [x, w], order=2)


def test_pooling_by_hand() -> None:
    x = bl.tensor([[[1.0, 2.0, 0.0], [4.0, 3.0, 9.0]]])
    assert f.max_pool2d(x, 2, 1).tolist() == [[[4.0, 9.0]]]
    assert f.avg_pool2d(x, 2, 1).tolist() == [[[2.5, 3.5]]]
    assert f.max_pool1d(x, 2, 3, 1, ceil_mode=True).tolist() == [[[1.0, 0.0], [4.0, 9.0]]]
    assert f.max_pool1d(x, 1, 2, 0, ceil_mode=True).tolist() == [[[1.0, 0.0], [4.0, 9.0]]]
    assert f.max_pool1d(bl.ones((1, 1, 2)), 2, 4, 1, ceil_mode=True).shape == (1, 1, 1)
    assert f.max_pool2d(x, (1, 2), ceil_mode=True).tolist() == [[[2.0, 0.0], [4.0, 9.0]]]
    assert f.avg_pool2d(x, 2, 2, 1, count_include_pad=False).tolist() == [[[1, 1], [4, 6]]]
    assert f.avg_pool2d(x, 2, 1, divisor_override=1).tolist() == [[[10.0, 14.0]]]
    assert f.adaptive_avg_pool2d(x, (1, 2)).tolist() == [[[2.5, 3.5]]]


def test_the_first_of_several_largest_gets_the_gradient() -> None:
    x = bl.tensor([[7.0, 7.0, 7.0]], requires_grad=True)
    f.max_pool1d(x, 2, 1).sum().backward()
    assert x.grad.tolist() == [[1.0, 1.0, 0.0]]


@pytest.mark.parametrize(
    ("x", "padding", "expected"),
    [
        ([1.0, np.nan, 2.0], 0, [0.0, np.nan, 0.0]),  # NaN is the largest, and has no derivative
        ([np.nan, np.nan, 2.0], 0, [np.nan, np.nan, 0.0]),
        ([-np.inf, -np.inf, 2.0], 1, [11.0, 0.0, 1100.0]),  # the padding belongs to no window
    ],
)
def test_gradients_of_largest_that_are_not_finite(x, padding, expected) -> None:
    x = bl.tensor([x], requires_grad=True)
    y = f.max_pool1d(x, 2, 1, padding)
    y.backward(10.0 ** np.arange(y.size, dtype=np.float32).reshape(y.shape))
    np.testing.assert_array_equal(x.grad.numpy(), [expected])


def test_infinite_upstream_gradients_stay_where_they_are() -> None:
    x = bl.tensor([[1.0, 2.0]], requires_grad=True)
    f.max_pool1d(x, 2).backward(np.array([[np.inf]], np.float32))
    assert x.grad.tolist() == [[0.0, np.inf]]


@pytest.mark.slow
def test_large_batches_go_through_in_blocks() -> None:
    """More windows than one block holds, beside one image at a time."""
    x, w = rng.normal(size=(9, 4, 40, 40)), rng.normal(size=(6, 4, 5, 5))
    whole, kernel = bl.tensor(x, requires_grad=True), bl.tensor(w, requires_grad=True)
    y = f.conv2d(whole, kernel, padding=2)
    y.sum().backward()
    one, other = bl.tensor(x[3:4], requires_grad=True), bl.tensor(w, requires_grad=True)
    z = f.conv2d(one, other, padding=2)
    np.testing.assert_allclose(y.numpy()[3:4], z.numpy(), rtol=1e-12, atol=1e-12)
    z.sum().backward()
    np.testing.assert_allclose(whole.grad.numpy()[3:4], one.grad.numpy(), rtol=1e-12, atol=1e-12)
    total = sum(
        bl.grad(f.conv2d(bl.tensor(x[i : i + 1]), other, padding=2).sum(), other).numpy()
        for i in range(9)
    )
    np.testing.assert_allclose(kernel.grad.numpy(), total, rtol=1e-10, atol=1e-10)


def test_layers_print_what_is_not_usual() -> None:
    layer = nn.Conv2d(3, 8, 3, 2, "valid", groups=1, bias=False)
    assert repr(layer).startswith(
        "Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding='valid', bias=False)"
    )
    assert repr(nn.MaxPool2d(3, 2, 1)) == "MaxPool2d(kernel_size=3, stride=2, padding=1)"
    assert repr(nn.AvgPool1d(2, ceil_mode=True)) == (
        "AvgPool1d(kernel_size=2, stride=2, ceil_mode=True)"
    )
    assert repr(nn.AdaptiveAvgPool2d((1, 2))) == "AdaptiveAvgPool2d(output_size=(1, 2))"


IMAGE = bl.ones((2, 3, 5, 5))
KERNEL = bl.ones((4, 3, 2, 2))


@every(
    "call, error, text",
    [
        (lambda: f.conv2d(bl.ones((5, 5)), KERNEL), ShapeError,
         r"conv2d: x must have shape \(N, C, H, W\) or \(C, H, W\), got float32\[5,5\]"),
        (lambda: f.conv1d(bl.ones(5), bl.ones((1, 1, 2))), ShapeError,
         r"conv1d: x must have shape \(N, C, L\) or \(C, L\), got float32\[5\]"),
        (lambda: f.conv2d(IMAGE, bl.ones((4, 3, 2))), ShapeError,
         r"conv2d: weight must have 4 axes, got float32\[4,3,2\]"),
        (lambda: f.conv2d(IMAGE.astype("float64"), KERNEL), DTypeError,
         r"conv2d: x and weight must have one dtype, got x: float64\[2,3,5,5\] and weight: "
         r"float32\[4,3,2,2\]; use x.astype\('float32'\)"),
        (lambda: f.conv2d(IMAGE, bl.ones((4, 2, 2, 2))), ShapeError,
         r"conv2d: x must have 2 channels \(weight: float32\[4,2,2,2\], groups: 1\), got float32"),
        (lambda: f.conv2d(IMAGE, KERNEL, stride=0), ArgumentError,
         r"conv2d: stride must be an integer of at least 1, or 2 of them, got 0"),
        (lambda: f.conv2d(IMAGE, KERNEL, padding=(1, 2, 3)), ArgumentError,
         r"conv2d: padding must be an integer of at least 0, or 2 of them, got \(1, 2, 3\)"),
        (lambda: f.conv2d(IMAGE, KERNEL, padding="full"), ArgumentError,
         r"conv2d: padding must be 'same', 'valid' or integers, got 'full'"),
        (lambda: f.conv2d(IMAGE, KERNEL, stride=2, padding="same"), ArgumentError,
         r"conv2d: padding='same' needs stride 1, got 2"),
        (lambda: f.conv2d(IMAGE, KERNEL, bl.ones(3)), ShapeError,
         r"conv2d: bias must have one element for each of 4 output channels, got float32\[3\]"),
        (lambda: f.conv2d(IMAGE, bl.ones((4, 3, 6, 6))), ShapeError,
         r"convolution: the kernel \(6, 6\) .* must fit into the image \(5, 5\)"),
        (lambda: f.conv_transpose2d(IMAGE, KERNEL), ShapeError,
         r"conv_transpose2d: x must have 4 channels, a multiple of groups=1"),
        (lambda: f.conv_transpose1d(bl.ones((1, 2, 3)), bl.ones((2, 1, 2)), output_padding=1),
         ArgumentError,
         r"conv_transpose1d: output_padding must be smaller than stride or dilation, got 1, 1 "),
        (lambda: f.conv_transpose1d(bl.ones((1, 1, 1)), bl.ones((1, 1, 2)), padding=1), ShapeError,
         r"padding 1 leaves nothing of the output, whose size would be \(0,\)"),
        (lambda: f.max_pool2d(IMAGE, 2, padding=2), ArgumentError,
         r"max_pool2d: padding must be at most half of kernel_size, got 2 and 2"),
        (lambda: f.max_pool2d(IMAGE, 6), ShapeError,
         r"max_pool: the window \(6, 6\) with dilation \(1, 1\) must fit into the image \(5, 5\)"),
        (lambda: f.avg_pool2d(IMAGE, 2, divisor_override=0), ArgumentError,
         r"avg_pool2d: divisor_override must not be 0"),
        (lambda: f.adaptive_avg_pool2d(bl.ones((1, 0, 3)), 2), ShapeError,
         r"adaptive_avg_pool2d: x must have places, got float32\[1,1,0,3\]"),
        (lambda: f.adaptive_avg_pool2d(IMAGE, 0), ArgumentError,
         r"adaptive_avg_pool2d: output_size must be an integer of at least 1, or 2 of them"),
        (lambda: nn.Conv2d(3, 4, 2, groups=2), ArgumentError,
         r"Conv2d: in_channels and out_channels must be multiples of groups=2, got 3 and 4"),
        (lambda: nn.Conv2d(3, 4, 2, padding="full"), ArgumentError,
         r"Conv2d: padding must be integers, same or valid, got 'full'"),
        (lambda: nn.ConvTranspose2d(3, 4, 2, padding="same"), ArgumentError,
         r"ConvTranspose2d: padding must be integers, got 'same'"),
        (lambda: nn.Conv2d(3, 4, 2, 2, "same"), ArgumentError,
         r"Conv2d: padding='same' needs stride 1, got 2"),
        (lambda: nn.Conv2d(3, 4, 0), ArgumentError,
         r"Conv2d: kernel_size must be an integer of at least 1, or 2 of them, got 0"),
        (lambda: nn.BatchNorm2d(3)(bl.ones((2, 3))), ShapeError,
         r"BatchNorm2d: x must have shape \(N, C, H, W\) with C = num_features = 3, got float32"),
        (lambda: nn.GroupNorm(2, 3), ArgumentError,
         r"GroupNorm: num_channels must be a multiple of num_groups, got 3 and 2"),
        (lambda: f.group_norm(bl.ones((2, 3)), 2), ShapeError,
         r"group_norm: the channels must be a multiple of num_groups=2, got float32\[2,3\]"),
    ],
)  # fmt: skip
def test_errors(call, error, text) -> None:
    with pytest.raises(error, match=text):
        call()


def test_an_error_names_the_module() -> None:
    net = nn.Sequential(nn.Identity(), nn.Conv2d(2, 4, 3))
    with pytest.raises(ShapeError, match=r"must have 2 channels .*; in Sequential.1$"):
        net(IMAGE)


def test_the_fifth_setting_of_a_largest_asks_for_indices_as_in_pytorch() -> None:
    y, indices = nn.MaxPool1d(2, 2, 0, 1, True)(bl.tensor([[1.0, 3.0, 4.0, 2.0]]))
    assert (y.tolist(), indices.tolist()) == ([[3.0, 4.0]], [[1, 2]])
    assert indices.dtype == bl.int64
