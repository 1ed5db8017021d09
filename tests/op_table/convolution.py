"""Records of convolutions and pooling. References visit one product or window at a time."""

from __future__ import annotations

import itertools
import math

import numpy as np

import backlit as bl
from backlit.array_api import primitives
from backlit.errors import DTypeError, ShapeError
from backlit.ops import convolution as products
from backlit.ops import pooling

from .record import Bad, Case, Record, Special, distinct, generator

_RNG = generator("convolution")


def x(*shape):
    return _RNG.uniform(-2, 2, shape)


def terms(image, outputs, kernel, stride, padding, dilation, groups, places):
    """Every (n, o, p, q, c, i, j, c', h, w) of the index relation, inside the image."""
    n, channels, *sizes = image
    for o, out, tap in itertools.product(range(outputs), np.ndindex(*places), np.ndindex(*kernel)):
        met = [
            p * s + i * d - before
            for p, s, i, d, (before, _) in zip(out, stride, tap, dilation, padding, strict=True)
        ]
        if not all(0 <= h < size for h, size in zip(met, sizes, strict=True)):
            continue
        for b, c in itertools.product(range(n), range(channels // groups)):
            own = o // (outputs // groups) * (channels // groups) + c
            yield (b, o, *out), (o, c, *tap), (b, own, *met)


def count(size, kernel, stride, padding, dilation):
    """How many positions of the kernel lie in the padded axis, found by trying them."""
    reach = dilation * (kernel - 1) + 1
    size += sum(padding)
    return len([start for start in range(0, size, stride) if start + reach <= size])


def counts(size, kernel, stride, padding, dilation):
    return tuple(map(count, size, kernel, stride, padding, dilation))


def convolution(x, weight, stride, padding, dilation, groups):
    places = counts(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    y = np.zeros((x.shape[0], weight.shape[0], *places))
    kernel = weight.shape[2:]
    for at, k, image in terms(
        x.shape, len(weight), kernel, stride, padding, dilation, groups, places
    ):
        y[at] += x[image] * weight[k]
    return y


def convolution_input(y, weight, stride, padding, dilation, groups, size):
    result = np.zeros((y.shape[0], weight.shape[1] * groups, *size))
    for at, k, image in terms(
        result.shape, len(weight), weight.shape[2:], stride, padding, dilation, groups, y.shape[2:]
    ):
        result[image] += y[at] * weight[k]
    return result


def convolution_weight(y, x, stride, padding, dilation, groups, kernel):
    result = np.zeros((y.shape[1], x.shape[1] // groups, *kernel))
    for at, k, image in terms(
        x.shape, y.shape[1], kernel, stride, padding, dilation, groups, y.shape[2:]
    ):
        result[k] += y[at] * x[image]
    return result


def windows(x, kernel, stride, padding, dilation):
    """For each output index, the indices of its window inside the image, in row-major order."""
    n, c, rows, columns = x.shape
    for at in np.ndindex(n, c, *counts((rows, columns), kernel, stride, padding, dilation)):
        inside = []
        for i, j in np.ndindex(*kernel):
            h = at[2] * stride[0] + i * dilation[0] - padding[0][0]
            w = at[3] * stride[1] + j * dilation[1] - padding[1][0]
            if 0 <= h < rows and 0 <= w < columns:
                inside.append((at[0], at[1], h, w))
        yield at, inside


def empty_output(x, kernel, stride, padding, dilation):
    return np.zeros((*x.shape[:2], *counts(x.shape[2:], kernel, stride, padding, dilation)))


def max_pool(x, **how):
    y = empty_output(x, **how)
    for at, inside in windows(x, **how):
        y[at] = max(float(x[i]) for i in inside)
    return y


def route(y, x, **how):
    result = np.zeros(x.shape)
    for at, inside in windows(x, **how):
        result[max(inside, key=lambda i: x[i])] += y[at]
    return result


def pick(values, x, **how):
    y = empty_output(x, **how)
    for at, inside in windows(x, **how):
        y[at] = values[max(inside, key=lambda i: x[i])]
    return y


def window_sum(x, **how):
    y = empty_output(x, **how)
    for at, inside in windows(x, **how):
        y[at] = math.fsum(float(x[i]) for i in inside)
    return y


def window_spread(y, size, **how):
    result = np.zeros((*y.shape[:2], *size))
    for at, inside in windows(result, **how):
        for i in inside:
            result[i] += y[at]
    return result


NONE = ((0, 0), (0, 0))


def geometry(stride=(1, 1), padding=NONE, dilation=(1, 1), groups=1):
    return {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


#: (image, kernel, geometry)
_PRODUCTS = [
    ((1, 1, 3, 3), (1, 1, 2, 2), geometry()),
    ((2, 2, 4, 3), (3, 2, 2, 3), geometry()),
    ((1, 2, 5, 4), (2, 2, 3, 2), geometry((2, 1), ((1, 1), (1, 1)))),
    ((1, 1, 5, 5), (1, 1, 2, 2), geometry((2, 3), ((0, 1), (2, 0)), (2, 1))),
    ((1, 4, 3, 3), (2, 2, 2, 2), geometry(groups=2)),
    ((2, 2, 3, 3), (4, 1, 2, 2), geometry((1, 2), ((1, 0), (0, 1)), groups=2)),
    ((2, 3, 2, 2), (2, 3, 1, 1), geometry()),
    ((1, 1, 4, 4), (1, 1, 1, 1), geometry((3, 3))),
    ((0, 2, 3, 3), (1, 2, 2, 2), geometry()),
    ((1, 2, 3, 4, 2), (2, 2, 2, 2, 1), geometry((1, 2, 1), ((0, 0), (1, 1), (0, 0)), (1, 1, 1))),
    (
        (2, 2, 3, 3, 4),
        (2, 1, 2, 1, 2),
        geometry((2, 1, 2), ((1, 0), (0, 0), (1, 2)), (1, 1, 2), groups=2),
    ),
    ((1, 1, 5), (2, 1, 2), geometry((2,), ((1, 1),), (2,))),
]


def product_cases(make):
    result = []
    for image, kernel, how in _PRODUCTS:
        places = counts(image[2:], kernel[2:], how["stride"], how["padding"], how["dilation"])
        result.append(make(image, kernel, (image[0], kernel[0], *places), how))
    return result


def how(kernel=(2, 2), stride=(2, 2), padding=NONE, dilation=(1, 1)):
    return {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}


_WINDOWS = [
    ((1, 1, 4, 4), how()),
    ((2, 2, 3, 4), how((2, 3), (1, 1))),
    ((1, 2, 5, 5), how((3, 2), (2, 3), ((1, 1), (1, 0)))),
    ((1, 1, 5, 4), how((2, 2), (1, 2), dilation=(3, 2))),
    ((1, 1, 3, 3), how((3, 3), (1, 1), ((1, 1), (1, 1)))),
    ((0, 1, 2, 2), how()),
]


def places(image, how):
    return (*image[:2], *counts(image[2:], *how.values()))


f32 = bl.ones

TABLE = [
    Record(
        op=products.Convolution,
        reference=convolution,
        cases=product_cases(lambda image, kernel, y, how: Case((x(*image), x(*kernel)), how)),
        function=lambda x, w, **how: primitives.convolution(x, w, *how.values()),
        bad=[
            Bad(lambda: primitives.convolution(f32((1, 3, 4, 4)), f32((2, 2, 3, 3)),
                                               *geometry().values()), ShapeError,
                r"convolution: x.shape\[1\] must be weight.shape\[1\] times groups=1, got 3 and 2 "
                r"\(x: float32\[1,3,4,4\], weight: float32\[2,2,3,3\]\)"),
            Bad(lambda: primitives.convolution(f32((1, 4, 4, 4)), f32((3, 2, 3, 3)),
                                               *geometry(groups=2).values()), ShapeError,
                r"convolution: weight.shape\[0\] must be a multiple of groups=2, got 3"),
            Bad(lambda: primitives.convolution(f32((1, 1, 2, 2)), f32((1, 1, 3, 3)),
                                               *geometry().values()), ShapeError,
                r"the kernel \(3, 3\) with dilation \(1, 1\) must fit into the image \(2, 2\)"),
            Bad(lambda: primitives.convolution(f32((1, 2, 2)), f32((1, 1, 3, 3)),
                                               *geometry().values()), ShapeError,
                r"convolution: x and weight must have 4 axes"),
            Bad(lambda: primitives.convolution(f32((1, 2, 2, 2)), f32((1, 1, 3, 3)),
                                               *geometry((1,) * 3, NONE, (1,) * 3).values()),
                ShapeError, r"convolution: x and weight must have 5 axes"),
            Bad(lambda: primitives.convolution(f32((1, 1, 2, 2), dtype="float64"),
                                               f32((1, 1, 1, 1)), *geometry().values()), DTypeError,
                r"convolution: x and weight must have one dtype, got x: float64\[1,1,2,2\], "
                r"weight: float32\[1,1,1,1\]; use x.astype\('float32'\)"),
        ],
    ),
    Record(
        op=products.ConvolutionInput,
        reference=convolution_input,
        cases=product_cases(
            lambda image, kernel, y, how: Case((x(*y), x(*kernel)), {**how, "size": image[2:]})
        ),
        function=lambda y, w, **how: primitives.convolution_input(y, w, *how.values()),
        bad=[
            Bad(lambda: primitives.convolution_input(f32((1, 3, 2, 2)), f32((2, 1, 2, 2)),
                                                     *geometry().values(), (3, 3)), ShapeError,
                r"convolution_input: y.shape\[1\] must be weight.shape\[0\], got 3 and 2"),
            Bad(lambda: primitives.convolution_input(f32((1, 3, 2, 2)), f32((3, 1, 2, 2)),
                                                     *geometry(groups=2).values(), (3, 3)),
                ShapeError, r"y.shape\[1\] must be a multiple of groups=2, got 3"),
            Bad(lambda: primitives.convolution_input(f32((1, 3, 2, 2)), f32((3, 1, 2, 2)),
                                                     *geometry().values(), (4, 4)), ShapeError,
                r"an image of size \(4, 4\) gives \(3, 3\) places, but y has \(2, 2\)"),
        ],
    ),
    Record(
        op=products.ConvolutionWeight,
        reference=convolution_weight,
        cases=product_cases(
            lambda image, kernel, y, how: Case((x(*y), x(*image)), {**how, "kernel": kernel[2:]})
        ),
        function=lambda y, x, **how: primitives.convolution_weight(y, x, *how.values()),
        bad=[
            Bad(lambda: primitives.convolution_weight(f32((1, 1, 3, 3)), f32((1, 1, 3, 3)),
                                                      *geometry().values(), (2, 2)), ShapeError,
                r"convolution_weight: y must have shape \(N, O, P, Q\) = \(1, O, 2, 2\) for the "
                r"kernel \(2, 2\), got float32\[1,1,3,3\]"),
            Bad(lambda: primitives.convolution_weight(f32((1, 2, 2, 2)), f32((1, 3, 3, 3)),
                                                      *geometry(groups=2).values(), (2, 2)),
                ShapeError, r"the channels must be multiples of groups=2, got 2 and 3"),
        ],
    ),
    Record(
        op=pooling.MaxPool,
        reference=max_pool,
        cases=[Case((distinct(_RNG, image),), w) for image, w in _WINDOWS],
        function=lambda x, **how: primitives.max_pool(x, *how.values()),
        specials=[
            Special(([[[[2.0, 2.0], [1.0, 2.0]]]],), [[[[2.0]]]], ([[[[1.0, 0.0], [0.0, 0.0]]]],),
                    how()),
            Special(([[[[1.0, math.nan], [5.0, 2.0]]]],), [[[[math.nan]]]],
                    ([[[[0.0, math.nan], [0.0, 0.0]]]],), how()),
            Special(([[[[-math.inf]]]],), [[[[-math.inf]]]], None,
                    how(padding=((0, 1), (0, 1)))),
        ],
        bad=[
            Bad(lambda: primitives.max_pool(f32((1, 1, 1, 1)), *how().values()), ShapeError,
                r"max_pool: the window \(2, 2\) with dilation \(1, 1\) must fit into the image "
                r"\(1, 1\) with padding \(\(0, 0\), \(0, 0\)\), got float32\[1,1,1,1\]"),
            Bad(lambda: primitives.max_pool(f32((1, 1, 1)), *how().values()), ShapeError,
                r"max_pool: x must have shape \(N, C, H, W\), got float32\[1,1,1\]"),
        ],
    ),
    Record(
        op=pooling.MaxPoolRoute,
        reference=route,
        cases=[Case((x(*places(image, w)), distinct(_RNG, image)), w) for image, w in _WINDOWS],
        function=lambda y, x, **how: primitives.max_pool_route(y, x, *how.values()),
        bad=[
            Bad(lambda: primitives.max_pool_route(f32((1, 1, 3, 3)), f32((1, 1, 4, 4)),
                                                  *how().values()), ShapeError,
                r"max_pool_route: y must have shape \(1, 1, 2, 2\), got y: float32\[1,1,3,3\], "
                r"x: float32\[1,1,4,4\]"),
        ],
    ),
    Record(
        op=pooling.MaxPoolPick,
        reference=pick,
        cases=[Case((x(*image), distinct(_RNG, image)), w) for image, w in _WINDOWS],
        function=lambda v, x, **how: primitives.max_pool_pick(v, x, *how.values()),
        bad=[
            Bad(lambda: primitives.max_pool_pick(f32((1, 1, 3, 3)), f32((1, 1, 4, 4)),
                                                 *how().values()), ShapeError,
                r"max_pool_pick: values and x must have one shape"),
        ],
    ),
    Record(
        op=pooling.WindowSum,
        reference=window_sum,
        cases=[Case((x(*image),), w) for image, w in _WINDOWS],
        function=lambda x, **how: primitives.window_sum(x, *how.values()),
    ),
    Record(
        op=pooling.WindowSpread,
        reference=window_spread,
        cases=[Case((x(*places(i, w)),), {**w, "size": i[2:]}) for i, w in _WINDOWS],
        function=lambda y, **how: primitives.window_spread(y, *how.values()),
        bad=[
            Bad(lambda: primitives.window_spread(f32((1, 1, 3, 3)), *how().values(), (4, 4)),
                ShapeError, r"window_spread: an image of size \(4, 4\) gives \(2, 2\) windows, "
                r"but y is float32\[1,1,3,3\]"),
        ],
    ),
]  # fmt: skip
