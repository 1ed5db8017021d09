"""Transforms of images: against Pillow, numbers worked out by hand, and their distributions."""

from __future__ import annotations

import math
import pickle
import random
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from scipy import stats

import backlit as bl
from backlit import data
from backlit.data import transforms as T
from backlit.data.transforms import arrays, auto, draws, mixing
from backlit.data.transforms import functional as F
from backlit.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from sampling import every

PIXELS = np.random.default_rng(0).integers(0, 256, (13, 18, 3), np.uint8)
PHOTO = Image.fromarray(PIXELS).resize((54, 39), Image.Resampling.BICUBIC)
TENSOR = bl.asarray(np.asarray(PHOTO).transpose(2, 0, 1).copy())
SMALL = bl.asarray(np.arange(12, dtype=np.float32).reshape(1, 3, 4) / 12)


def planes(image):
    """The values of either kind of image, (C, H, W)."""
    if isinstance(image, bl.Tensor):
        return image.numpy()
    values = np.asarray(image)
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


def apart(a, b):
    """The largest difference of two images of bytes."""
    return int(np.abs(planes(a).astype(int) - planes(b).astype(int)).max())


# -- from and to Tensors ----------------------------------------------------------------------


def test_bytes_become_floats_and_bytes_again():
    values = T.ToTensor()(PHOTO)
    assert (values.shape, values.dtype) == ((3, 39, 54), "float32")
    assert np.array_equal(values.numpy(), TENSOR.numpy() / np.float32(255))
    assert np.array_equal(T.PILToTensor()(PHOTO).numpy(), TENSOR.numpy())
    assert np.array_equal(T.ToTensor()(np.asarray(PHOTO)).numpy(), values.numpy())
    assert apart(T.ToPILImage()(TENSOR), PHOTO) == 0
    assert apart(T.ToPILImage()(np.asarray(PHOTO)), PHOTO) == 0
    assert T.ToPILImage()(SMALL).mode == "L"
    assert T.ToTensor()(np.ones((2, 3))).dtype == "float64"  # no bytes: as they are
    assert T.ToTensor()(Image.new("1", (2, 1), 1)).tolist() == [[[1.0, 1.0]]]
    assert T.ToTensor()(Image.new("F", (1, 1), 7.5)).tolist() == [[[7.5]]]
    assert T.ToTensor()(Image.new("I", (1, 1), 70000)).dtype == "int32"


def test_dtypes_have_their_range():
    convert = F.convert_image_dtype
    white = bl.asarray(np.array([[0, 255]], np.uint8))
    assert convert(white).tolist() == [[0.0, 1.0]]
    assert convert(white, "int16").tolist() == [[0, 255 * 128]]
    assert convert(convert(white, "int32"), "uint8").tolist() == [[0, 255]]
    assert T.ConvertImageDtype("uint8")(bl.tensor([[0.5, 1.0]])).tolist() == [[127, 255]]
    with pytest.raises(DTypeError, match="float32 does not hold all numbers of int32"):
        convert(bl.tensor([[0.5]]), "int32")


def test_normalize_by_hand():
    x = bl.tensor([[[1.0, 2.0]], [[3.0, 5.0]]])
    normal = T.Normalize([1, 3], [0.5, 2])
    assert normal(x).tolist() == [[[0.0, 2.0]], [[0.0, 1.0]]]
    assert F.normalize(x, [1, 3], [0.5, 2], inplace=True) is x
    assert x.tolist() == [[[0.0, 2.0]], [[0.0, 1.0]]]


# -- both kinds of images ---------------------------------------------------------------------


@every("change, limit", [
    (T.Resize(20), 1), (T.Resize((60, 31)), 1), (T.Resize((60, 31), "bicubic"), 4),
    (T.Resize((20, 30), T.InterpolationMode.NEAREST_EXACT), 0), (T.Resize(20, max_size=25), 1),
    (T.CenterCrop(17), 0), (T.CenterCrop((50, 20)), 0), (T.CenterCrop(80), 0),
    (T.Pad(3), 0), (T.Pad((1, 4), 9), 0), (T.Pad((0, 1, 2, 3), (1, 2, 3)), 0),
    (T.Pad(2, padding_mode="edge"), 0), (T.Pad(2, padding_mode="reflect"), 0),
    (T.Pad((-3, 2, 1, -4), padding_mode="symmetric"), 0), (T.Pad((-3, 2, 1, -4)), 0),
    (lambda x: F.crop(x, -2, 5, 20, 70), 0), (lambda x: F.crop(x, 50, 5, 20, 70), 0),
    (F.hflip, 0), (F.vflip, 0), (lambda x: F.resized_crop(x, 3, 4, 20, 30, 10), 1),
    (lambda x: F.rotate(x, 180), 0),
    (T.Grayscale(3), 1), (F.invert, 0), (lambda x: F.posterize(x, 3), 0),
    (lambda x: F.solarize(x, 100), 0), (F.equalize, 0), (F.autocontrast, 1),
    (lambda x: F.adjust_brightness(x, 1.4), 1), (lambda x: F.adjust_contrast(x, 0.4), 1),
    (lambda x: F.adjust_saturation(x, 1.7), 2), (lambda x: F.adjust_gamma(x, 0.7, 1.1), 1),
    (lambda x: F.adjust_sharpness(x, 0.3), 1), (lambda x: F.gaussian_blur(x, (5, 3), 1.2), 0),
])  # fmt: skip
def test_tensors_become_what_pillow_makes_of_pictures(change, limit):
    ours, pillows = change(TENSOR), change(PHOTO)
    assert planes(ours).shape == planes(pillows).shape
    assert ours.dtype == "uint8"
    assert apart(ours, pillows) <= limit
    if "solarize" not in str(change) and change not in (F.equalize,):
        several = bl.stack([TENSOR, TENSOR])
        assert np.array_equal(planes(change(several))[1], planes(ours))


@every("change, expected", [
    (lambda x: F.resize(x, (20, 30)), lambda i: i.resize((30, 20), Image.Resampling.BILINEAR)),
    (lambda x: F.resize(x, 20, "lanczos"), lambda i: i.resize((27, 20), Image.Resampling.LANCZOS)),
    (lambda x: F.rotate(x, 30, "bilinear", True, fill=7),
     lambda i: i.rotate(30, Image.Resampling.BILINEAR, True, fillcolor=(7, 7, 7))),
    (lambda x: F.adjust_contrast(x, 0.3), lambda i: ImageEnhance.Contrast(i).enhance(0.3)),
    (lambda x: F.adjust_saturation(x, 2), lambda i: ImageEnhance.Color(i).enhance(2)),
    (lambda x: F.pad(x, (1, 2), 3), lambda i: ImageOps.expand(i, (1, 2, 1, 2), (3, 3, 3))),
    (lambda x: F.rgb_to_grayscale(x), lambda i: i.convert("L")),
])  # fmt: skip
def test_pictures_are_pillows(change, expected):
    assert apart(change(PHOTO), expected(PHOTO)) == 0


def test_places_by_hand():
    x = SMALL
    rows = (x.numpy() * 12).round().astype(int)[0].tolist()
    assert rows == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]

    def whole(y):
        return (y.numpy() * 12).round().astype(int)[0].tolist()

    assert whole(F.rotate(x[:, :, :3], 90)) == [[2, 6, 10], [1, 5, 9], [0, 4, 8]]
    assert F.rotate(x[:, :2], 90, expand=True).shape == (1, 4, 2)
    assert whole(F.affine(x, 0, (1, -1), 1.0, 0)) == [[0, 4, 5, 6], [0, 8, 9, 10], [0, 0, 0, 0]]
    moved = F.affine(x, 0, (2, 0), 1.0, 0, fill=0.5)
    assert whole(moved)[0] == [6, 6, 0, 1]
    assert whole(F.affine(x, 0, (0, 0), 2.0, (0, 0), center=(0, 0)))[0] == [0, 0, 1, 1]
    assert whole(F.erase(x, 1, 2, 2, 1, 1.0)) == [[0, 1, 2, 3], [4, 5, 12, 7], [8, 9, 12, 11]]
    corners = [whole(part) for part in T.FiveCrop((1, 2))(x)]
    assert corners == [[[0, 1]], [[2, 3]], [[8, 9]], [[10, 11]], [[5, 6]]]
    assert [whole(part) for part in T.TenCrop((1, 2))(x)][5:8] == [[[3, 2]], [[1, 0]], [[11, 10]]]
    assert [whole(p) for p in T.TenCrop((1, 2), True)(x)][5:7] == [[[8, 9]], [[10, 11]]]
    blurred = F.gaussian_blur(bl.tensor([[[0.0, 0.0, 1.0, 0.0, 0.0]] * 3]), 3, 1.0)
    side = math.exp(-0.5) / (1 + 2 * math.exp(-0.5))
    assert blurred[0, 1].tolist() == pytest.approx([0, side, 1 - 2 * side, side, 0])


def test_colours_by_hand():
    red = bl.tensor([[[1.0]], [[0.0]], [[0.0]]])
    assert F.adjust_hue(red, 1 / 3).numpy().ravel().tolist() == pytest.approx([0, 1, 0], abs=1e-6)
    assert F.adjust_hue(red, -1 / 3).numpy().ravel() == pytest.approx([0, 0, 1], abs=1e-6)
    assert F.rgb_to_grayscale(red).item() == pytest.approx(0.2989)
    assert F.adjust_saturation(red, 0.0).numpy().ravel() == pytest.approx([0.2989] * 3)
    assert F.adjust_contrast(red, 0.5).numpy().ravel() == pytest.approx([0.64945, 0.14945, 0.14945])
    assert F.invert(red).numpy().ravel().tolist() == [0.0, 1.0, 1.0]
    assert F.adjust_gamma(bl.tensor([[[0.25]]]), 0.5).item() == 0.5
    assert F.autocontrast(SMALL).numpy().max() == 1.0
    assert F.autocontrast(bl.tensor([[[0.3, 0.3]]])).tolist() == bl.tensor([[[0.3, 0.3]]]).tolist()
    assert np.array_equal(planes(F.adjust_hue(PHOTO.convert("L"), 0.2)), planes(PHOTO.convert("L")))


def test_other_modes_of_pictures():
    palette = PHOTO.convert("P")
    assert F.pad(palette, 1).getpalette() == palette.getpalette()
    assert F.get_dimensions(PHOTO.convert("RGBA")) == [4, 39, 54]
    assert F.get_image_size(PHOTO) == [54, 39]
    assert F.get_image_num_channels(SMALL) == 1
    for mode, channels in (("CMYK", 4), ("YCbCr", 3), ("HSV", 3)):
        values = T.PILToTensor()(PHOTO.convert(mode))
        assert values.shape[0] == channels
        assert apart(F.to_pil_image(values, mode), PHOTO.convert(mode)) == 0


# -- random ones ------------------------------------------------------------------------------


def test_draws_are_those_of_the_default_generator():
    for counts in ((1, 2, 5), (3,) * 200, (300, 1)):
        bl.manual_seed(7)
        found = [draws.uniforms(n) for n in counts]
        bl.manual_seed(7)
        assert found == [bl.random.uniform((n,), dtype="float64").tolist() for n in counts]
    bl.manual_seed(7)
    state = bl.random.default_generator().state_dict()
    first = draws.uniforms(2)
    bl.random.default_generator().load_state_dict(state)
    assert draws.uniforms(2) == first


def at_random(make, count=2000):
    bl.manual_seed(5)
    return [make() for _ in range(count)]


def is_uniform(values, low, high):
    return stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-3


def test_crops_are_anywhere():
    parts = at_random(lambda: T.RandomCrop.get_params(SMALL, (2, 3)))
    assert set(Counter(parts)) == {(i, j, 2, 3) for i in (0, 1) for j in (0, 1)}
    assert min(Counter(parts).values()) > 420
    assert T.RandomCrop(5, padding=1)(SMALL).shape == (1, 5, 5)
    assert T.RandomCrop((5, 9), pad_if_needed=True)(SMALL).shape == (1, 5, 9)
    whole = Image.new("L", (2000, 2000))
    boxes = at_random(lambda: T.RandomResizedCrop.get_params(whole, (0.1, 0.4), (0.5, 2.0)))
    areas = [h * w / 4e6 for _, _, h, w in boxes]
    assert is_uniform(areas, 0.1, 0.4)
    assert is_uniform([math.log(w / h) for *_, h, w in boxes], -math.log(2), math.log(2))
    assert all(0 <= i <= 2000 - h and 0 <= j <= 2000 - w for i, j, h, w in boxes)
    wide = Image.new("L", (2000, 1000))
    assert T.RandomResizedCrop.get_params(wide, (1.0, 1.0), (1.0, 1.0)) == (0, 500, 1000, 1000)
    assert T.RandomResizedCrop(7)(PHOTO).size == (7, 7)


def test_what_may_happen_happens_as_often_as_said():
    for p in (0.0, 0.3, 1.0):
        for cls, mirrored in ((T.RandomHorizontalFlip, F.hflip), (T.RandomVerticalFlip, F.vflip)):
            wanted = mirrored(SMALL).tolist()
            flip = cls(p)
            share = np.mean(at_random(lambda f=flip, w=wanted: f(SMALL).tolist() == w, 600))
            assert share == pytest.approx(p, abs=0.06 if 0 < p < 1 else 0)
    assert apart(T.RandomGrayscale(1.0)(TENSOR), T.Grayscale(3)(TENSOR)) == 0
    for change, expected in (
        (T.RandomInvert(1), F.invert),
        (T.RandomPosterize(2, 1), lambda x: F.posterize(x, 2)),
        (T.RandomSolarize(9, 1), lambda x: F.solarize(x, 9)),
        (T.RandomAdjustSharpness(2, 1), lambda x: F.adjust_sharpness(x, 2)),
        (T.RandomAutocontrast(1), F.autocontrast),
        (T.RandomEqualize(1), F.equalize),
    ):
        assert apart(change(TENSOR), expected(TENSOR)) == 0


def test_affine_maps_have_their_ranges():
    drawn = at_random(
        lambda: T.RandomAffine.get_params(
            (-10, 30), (0.1, 0.5), (0.5, 2.0), (1, 2, -4, -3), (100, 40)
        )
    )
    turned, moved, scale, shear = zip(*drawn, strict=True)
    assert is_uniform(turned, -10, 30)
    assert is_uniform(scale, 0.5, 2.0)
    assert is_uniform([x for x, _ in shear], 1, 2)
    assert is_uniform([y for _, y in shear], -4, -3)
    assert {x for x, _ in moved} == set(range(-10, 11))
    assert {y for _, y in moved} == set(range(-20, 21))
    plain = T.RandomAffine.get_params((0, 0), None, None, (1, 2), (9, 9))
    assert (plain[:3], plain[3][1]) == ((0.0, (0, 0), 1.0), 0.0)
    assert is_uniform(at_random(lambda: T.RandomRotation.get_params((-3, 5))), -3, 5)
    assert (
        apart(T.RandomRotation((90, 90), expand=True)(PHOTO), F.rotate(PHOTO, 90, "nearest", True))
        == 0
    )
    assert T.RandomAffine(10, shear=5)(TENSOR).shape == TENSOR.shape


def test_jitter_changes_all_four_in_any_order():
    jitter = T.ColorJitter(0.4, (0.5, 3.0), 0.0, 0.1)
    assert (jitter.brightness, jitter.saturation, jitter.hue) == ((0.6, 1.4), None, (-0.1, 0.1))
    assert T.ColorJitter(1.5).brightness == (0.0, 2.5)
    ranges = (jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
    drawn = at_random(lambda: jitter.get_params(*ranges))
    assert len({tuple(order) for order, *_ in drawn}) == 24
    assert is_uniform([b for _, b, *_ in drawn], 0.6, 1.4)
    assert is_uniform([h for *_, h in drawn], -0.1, 0.1)
    assert {s for _, _, _, s, _ in drawn} == {None}
    bl.manual_seed(3)
    found = jitter(TENSOR)
    bl.manual_seed(3)
    order, *factors = jitter.get_params(*ranges)
    expected = TENSOR
    steps = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
    for i in order:
        expected = expected if factors[i] is None else steps[i](expected, factors[i])
    assert apart(found, expected) == 0


def test_erasing_fills_a_box():
    white = bl.zeros((3, 100, 200))
    boxes = at_random(lambda: T.RandomErasing(1.0, value=(1, 2, 3))(white).numpy(), 300)
    assert all((b[1] == 2 * b[0]).all() and (b[2] == 3 * b[0]).all() for b in boxes)
    assert is_uniform([b[0].mean() for b in boxes], 0.02, 0.33)
    noise = T.RandomErasing(1.0, (0.3, 0.3), (1, 1), "random")(white).numpy()
    drawn = noise[noise != 0]
    assert (drawn.mean(), drawn.std()) == (pytest.approx(0, abs=0.03), pytest.approx(1, abs=0.03))
    assert T.RandomErasing(1.0, (1.0, 1.0), (1.0, 1.0))(white) is white  # nothing fits
    assert T.RandomErasing(0.0, value=1)(white) is white
    bytes_image = T.RandomErasing(1.0, (0.2, 0.2), value=9)(TENSOR)
    assert bytes_image.dtype == "uint8"
    assert not np.array_equal(bytes_image.numpy(), TENSOR.numpy())


def test_transforms_of_transforms():
    def add(n):
        return T.Lambda(lambda x: [*x, n])

    assert T.Compose([add(1), add(2)])([0]) == [0, 1, 2]
    assert {tuple(T.RandomOrder([add(1), add(2), add(3)])([])) for _ in range(200)} == {
        (a, b, c) for a in (1, 2, 3) for b in (1, 2, 3) for c in (1, 2, 3) if len({a, b, c}) == 3
    }
    chosen = Counter(at_random(lambda: T.RandomChoice([add(1), add(2)], p=[3, 1])([])[0]))
    assert chosen[1] / 2000 == pytest.approx(0.75, abs=0.04)
    applied = Counter(at_random(lambda: len(T.RandomApply([add(1), add(2)], p=0.2)([]))))
    assert set(applied) == {0, 2}
    assert applied[2] / 2000 == pytest.approx(0.2, abs=0.04)
    assert is_uniform(at_random(lambda: T.GaussianBlur.get_params(0.1, 2.0)), 0.1, 2.0)
    assert T.GaussianBlur(3, 1.0)(SMALL).shape == SMALL.shape
    text = repr(T.Compose([T.Resize(4), T.RandomApply([T.ToTensor()], 0.2)]))
    assert "Resize(size=4, interpolation='bilinear', max_size=None, antialias=True)" in text
    assert text.count("\n") == 5


def test_automatic_augmentation_does_one_of_its_operations():
    for image in (PHOTO, TENSOR):
        bl.manual_seed(0)
        found = [planes(T.TrivialAugmentWide()(image)) for _ in range(60)]
        assert {f.shape for f in found} == {(3, 39, 54)}
        assert sum(np.array_equal(f, TENSOR.numpy()) for f in found) < 30
        assert planes(T.RandAugment(3, fill=5)(image)).shape == (3, 39, 54)
    assert T.RandAugment(0)(TENSOR) is TENSOR
    step = T.TrivialAugmentWide(3)
    strengths = {"TranslateX": [0.0, 16.0, 32.0], "Posterize": [8, 5, 2], "Solarize": [255, 0]}
    moved = step._done(TENSOR, "TranslateX", strengths["TranslateX"], 1, 1)
    assert np.array_equal(moved.numpy()[:, :, :-16], TENSOR.numpy()[:, :, 16:])
    assert not moved.numpy()[:, :, -16:].any()
    assert (
        apart(step._done(TENSOR, "Posterize", strengths["Posterize"], 2, 1), F.posterize(TENSOR, 2))
        == 0
    )
    assert auto._strengths({}, "Equalize", 4) == []
    assert auto._strengths({"Posterize": 6}, "Posterize", 4) == [8, 6, 4, 2]
    assert auto._strengths({}, "Solarize", 4) == [255, 170, 85, 0]


# -- batches ----------------------------------------------------------------------------------


def test_mixed_batches_by_hand(monkeypatch):
    monkeypatch.setattr(mixing, "beta", lambda alpha: 0.75)
    images = bl.asarray(np.repeat(np.arange(3, dtype=np.float32), 16).reshape(3, 1, 4, 4))
    labels = bl.tensor([0, 2, 1])
    mixed, soft = T.MixUp(num_classes=3)(images, labels)
    assert mixed[:, 0, 0, 0].tolist() == [0.5, 0.75, 1.75]
    assert soft.tolist() == [[0.75, 0.25, 0], [0.25, 0, 0.75], [0, 0.75, 0.25]]
    again = T.MixUp()([images, soft])
    assert isinstance(again, list)
    assert again[1].numpy().sum(1) == pytest.approx([1, 1, 1])
    monkeypatch.setattr(draws, "below", lambda *counts: [0, 3])  # half of the box is outside
    cut, soft = T.CutMix(num_classes=3)(images, labels)
    assert cut[1, 0].tolist() == [[1] * 4] * 2 + [[0, 1, 1, 1]] * 2
    assert soft[0].tolist() == [0.875, 0.125, 0]


def test_shares_have_beta_distributions():
    for alpha in (0.3, 1.0, 3.0):
        drawn = at_random(lambda a=alpha: mixing.beta(a), 1500)
        assert stats.kstest(drawn, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


class Pictures(data.Dataset):
    def __init__(self):
        self.transform = T.Compose(
            [T.RandomResizedCrop(8), T.RandomHorizontalFlip(), T.ColorJitter(0.3), T.ToTensor()]
        )

    def __len__(self):
        return 10

    def __getitem__(self, i):
        return self.transform(PHOTO), i


def mixed_batch(examples):
    return T.MixUp(num_classes=10)(data.collate(examples))


def test_augmentation_follows_the_loaders_seed_with_any_number_of_workers():
    def epochs(workers, seed=4):
        random.seed(0)
        np.random.seed(0)
        loader = data.DataLoader(
            Pictures(), 4, shuffle=True, collate_fn=mixed_batch, num_workers=workers, seed=seed
        )
        return [(x.numpy().tobytes(), y.tolist()) for _ in range(2) for x, y in loader]

    plain = epochs(0)
    assert plain == epochs(2)
    assert plain[:3] != plain[3:]
    assert plain != epochs(0, seed=5)


def test_transforms_can_be_sent_to_other_processes():
    for transform in (Pictures().transform, T.RandAugment(), T.MixUp(num_classes=3)):
        assert repr(pickle.loads(pickle.dumps(transform))) == repr(transform)


# -- what does not fit ------------------------------------------------------------------------


@every("make, error, text", [
    (lambda: F.hflip(np.zeros((2, 2))), DTypeError, r"hflip: an image is a PIL image or a Tensor,"),
    (lambda: F.hflip((bl.ones((3, 2, 2)), 1)), DTypeError,
     r"hflip: an image is a PIL image or a Tensor, got .*; a transform takes one image: give"),
    (lambda: T.RandomHorizontalFlip(1.0)({"image": 1}), DTypeError, "a transform takes one image"),
    (lambda: T.Compose([T.ToTensor()])(bl.ones((3, 2, 2)), {"boxes": 1}), ArgumentError,
     "Compose: got 2 arguments; a transform takes one image: give it alone, and move boxes or"),
    (lambda: F.hflip([1]), DTypeError, "hflip: an image is a PIL image or a Tensor, got a list"),
    (lambda: F.hflip(bl.tensor([1.0])), ShapeError, r"hflip: an image has shape \(\.\.\., H, W\),"),
    (lambda: F.hflip(bl.tensor([[[1.0]]], requires_grad=True)), bl.errors.GradientError,
     "transform the images before"),
    (lambda: F.resize(TENSOR, 4, "lanczos"), ArgumentError, "interpolation of Tensors must be nea"),
    (lambda: F.resize(TENSOR, 4, "cubic"), ArgumentError, "must be one of nearest, .*, got 'cubic"),
    (lambda: F.resize(TENSOR, 4, 17), ArgumentError, "interpolation must be one of .*, got 17"),
    (lambda: F.resize(TENSOR, 4, max_size=4), ArgumentError, "max_size must be above size, got ma"),
    (lambda: F.resize(TENSOR, (4, 4), max_size=9), ArgumentError, "max_size goes with a size of o"),
    (lambda: T.Resize((1, 2, 3)), ArgumentError, r"Resize: size must be one integer or \(height, "),
    (lambda: F.pad(TENSOR, (1, 2, 3)), ArgumentError, "padding must be 1, 2 or 4 integers, got"),
    (lambda: F.pad(TENSOR, 1, (1, 2)), ShapeError, "fill must be one number, or one for each of 3"),
    (lambda: F.pad(PHOTO, 1, (1, 2)), ShapeError, "fill must be one number, or one for each of 3 "),
    (lambda: F.pad(PHOTO, 1, 0, "wrap"), ArgumentError, "padding_mode must be constant, edge, ref"),
    (lambda: T.Pad(1, 0, "wrap"), ArgumentError, "Pad: padding_mode must be constant, edge, refle"),
    (lambda: F.five_crop(SMALL, 5), ArgumentError, r"size must be at most \(3, 4\), got \(5, 5\)"),
    (lambda: F.affine(SMALL, 0, (1,), 1, 0), ArgumentError, r"translate must be \(x, y\), got \(1"),
    (lambda: F.affine(SMALL, 0, (1, 1), 0, 0), ArgumentError, "affine: scale must be positive, go"),
    (lambda: F.affine(SMALL, 0, (1, 1), 1, (1, 2, 3)), ArgumentError, "shear must be one angle or"),
    (lambda: F.rotate(SMALL, 3, "bicubic"), ArgumentError, "of Tensors must be nearest or bilinea"),
    (lambda: F.rotate(TENSOR, 3, fill=(1, 2)), ShapeError, "fill must be one number, or one for e"),
    (lambda: F.to_tensor(TENSOR), DTypeError, "it is a Tensor already: use ConvertImageDtype"),
    (lambda: F.to_tensor(np.zeros(3)), ShapeError, r"an array has shape \(H, W\) or \(H, W, C\)"),
    (lambda: F.pil_to_tensor(TENSOR), DTypeError, "pil_to_tensor: a PIL image is needed, got an o"),
    (lambda: F.to_pil_image([1]), DTypeError, "to_pil_image: a Tensor or an array is needed, got "),
    (lambda: F.to_pil_image(bl.ones((5, 2, 2))), ShapeError, "an image has 1 to 4 channels"),
    (lambda: F.to_pil_image(TENSOR, "L"), ArgumentError, "no picture of mode L; use RGB or YCbCr "),
    (lambda: F.to_pil_image(bl.ones((3, 2, 2), dtype="int32")), ArgumentError, "convert to uint8"),
    (lambda: F.normalize(TENSOR, [0], [1]), DTypeError, "the image must have floats, .* use ToTen"),
    (lambda: F.normalize(bl.ones((3, 2, 2)), [0, 1], [1]), ShapeError, "mean must have a number f"),
    (lambda: F.normalize(SMALL, [0], [0]), ArgumentError, r"normalize: std must not be 0, got \[0"),
    (lambda: F.adjust_brightness(TENSOR, -1), ArgumentError, "brightness_factor must not be negat"),
    (lambda: F.adjust_hue(TENSOR, 0.6), ArgumentError, r"hue_factor must lie in \[-0.5, 0.5\], go"),
    (lambda: F.adjust_contrast(bl.ones((2, 2, 2)), 1), ShapeError, r"with C 1 or 3, got float32"),
    (lambda: F.rgb_to_grayscale(TENSOR, 2), ArgumentError, "num_output_channels must be 1 or 3, g"),
    (lambda: F.gaussian_blur(TENSOR, 4), ArgumentError, "gaussian_blur: kernel_size must be odd, "),
    (lambda: F.gaussian_blur(TENSOR, 3, 0), ArgumentError, "sigma must be 1 or 2 positive numbers"),
    (lambda: F.gaussian_blur(SMALL, 9), ArgumentError, "half of kernel_size must be below the ima"),
    (lambda: F.posterize(SMALL, 4), DTypeError, "posterize: the image must have bytes, got float3"),
    (lambda: F.posterize(TENSOR, 9), ArgumentError, r"bits must lie in \[0, 8\], got 9"),
    (lambda: F.solarize(SMALL, 2), ArgumentError, "threshold must be at most 1 for float32, got 2"),
    (lambda: F.equalize(SMALL), DTypeError, "equalize: the image must have bytes, got float32"),
    (lambda: F.convert_image_dtype(SMALL > 0), DTypeError, "an image has numbers, got bool"),
    (lambda: T.RandomCrop(5)(SMALL), ShapeError, "size must be at most that of the image, .* pad_"),
    (lambda: T.RandomHorizontalFlip(1.5), ArgumentError, r"HorizontalFlip: p must lie in \[0, 1\]"),
    (lambda: T.RandomResizedCrop(3, (0.5, 0.1)), ArgumentError, r"scale must be \(low, high\), no"),
    (lambda: T.RandomResizedCrop(3, 0.5), ArgumentError, r"scale must be \(low, high\), got 0.5"),
    (lambda: T.RandomRotation(-3), ArgumentError, "degrees must not be negative if it is one numb"),
    (lambda: T.RandomRotation((1, 2, 3)), ArgumentError, "degrees must be 2 angles, got"),
    (lambda: T.RandomAffine(0, (2, 0)), ArgumentError, r"translate must be two shares in \[0, 1\]"),
    (lambda: T.ColorJitter(-1), ArgumentError, "ColorJitter: brightness must not be negative, got"),
    (lambda: T.ColorJitter(hue=0.7), ArgumentError, r"hue must lie in \[0, 0.5\], or be a range i"),
    (lambda: T.GaussianBlur(4), ArgumentError, "GaussianBlur: kernel_size must be odd, got 4"),
    (lambda: T.RandomErasing(value="black"), ArgumentError, "one for each channel, or \"random\","),
    (lambda: T.RandomErasing(scale=(0, 2)), ArgumentError, "RandomErasing: scale must be at most "),
    (lambda: T.RandomErasing(1, value=(1, 2))(TENSOR), ShapeError, "value must have a number for "),
    (lambda: T.Compose(T.ToTensor()), ArgumentError, "Compose: transforms must be a list, got an "),
    (lambda: T.Compose([3]), ArgumentError, "transforms must be functions of an image, got a numb"),
    (lambda: T.RandomChoice([len], p=[0]), ArgumentError, "p must be a weight for each of 1 trans"),
    (lambda: T.Lambda(3), ArgumentError, "Lambda: a function is needed, got a number, 3"),
    (lambda: T.RandAugment(magnitude=31), ArgumentError, "magnitude must be below num_magnitude_b"),
    (lambda: T.MixUp(alpha=0), ArgumentError, "MixUp: alpha must be positive, got 0"),
    (lambda: T.MixUp()(SMALL), ArgumentError, r"a batch \(images, labels\) is needed, .* after ex"),
    (lambda: T.MixUp()(SMALL, 1), ShapeError, r"images must be a Tensor \(N, C, H, W\), got float"),
    (lambda: T.MixUp()(SMALL[None], bl.tensor([1])), ArgumentError, "num_classes must be given fo"),
    (lambda: T.MixUp(num_classes=2)(SMALL[None], bl.tensor([2])), IndexRangeError, r"in \[0, 2\),"),
    (lambda: T.MixUp(num_classes=2)(SMALL[None], bl.ones((1, 3))), ShapeError, "num_classes=2 cla"),
    (lambda: T.MixUp(num_classes=2)(SMALL[None], bl.ones((1,))), ShapeError, "must be integers, g"),
    (lambda: T.MixUp(num_classes=2)(SMALL[None], 3), ShapeError, r"labels must be classes \(1,\) "),
    (lambda: T.MixUp(num_classes=2)(TENSOR[None], bl.tensor([1])), ShapeError, "images must be fl"),
])  # fmt: skip
def test_what_does_not_fit_is_named(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_transform_must_say_what_it_does():
    with pytest.raises(NotImplementedError, match=r"Transform must define forward\(image\)"):
        T.Transform()(1)


# -- other places -----------------------------------------------------------------------------


def test_a_perspective_takes_points_where_they_shall_lie():
    h, w = 39, 54
    corners = [[0, 0], [w, 0], [w, h], [0, h]]
    assert apart(F.perspective(TENSOR, corners, corners), TENSOR) == 0
    assert apart(F.perspective(PHOTO, corners, corners), PHOTO) <= 1
    moved = [[x + 3, y + 2] for x, y in corners]  # all by one step: a translation
    for image in (TENSOR, PHOTO):
        got = F.perspective(image, corners, moved, "nearest", fill=7)
        assert apart(got, F.affine(image, 0, (3, 2), 1.0, 0.0, fill=7)) == 0
    to = [[5, 4], [50, 1], [53, 38], [2, 30]]
    a, b = (planes(F.perspective(i, corners, to, "nearest")) for i in (TENSOR, PHOTO))
    assert (a == b).mean() > 0.98  # Pillow rounds places otherwise
    a, b, c, d, e, f, g, k = arrays.plane_map(corners, to)
    for (x, y), (u, v) in zip(corners, to, strict=True):
        below = g * u + k * v + 1
        assert (a * u + b * v + c) / below == pytest.approx(x, abs=1e-9)
        assert (d * u + e * v + f) / below == pytest.approx(y, abs=1e-9)
    with pytest.raises(ArgumentError, match=r"must be four \(x, y\) each, got \[\[0, 0\]\]"):
        F.perspective(TENSOR, [[0, 0]], corners)


def test_an_elastic_step_of_whole_pixels_moves_pixels():
    steps = np.zeros((1, 39, 54, 2), np.float32)
    assert apart(F.elastic_transform(TENSOR, steps), TENSOR) == 0
    steps[..., 0] = 2 * 4 / 54  # four pixels, in halves of the width
    for image in (TENSOR, PHOTO):
        moved = planes(F.elastic_transform(image, steps, "nearest"))
        assert np.array_equal(moved[:, :, :-4], TENSOR.numpy()[:, :, 4:])
    with pytest.raises(ShapeError, match=r"must have shape \(1, 39, 54, 2\), got float32\[2,2\]"):
        F.elastic_transform(TENSOR, np.zeros((2, 2), np.float32))


def test_warps_are_drawn_from_the_seed():
    for make in (lambda: T.RandomPerspective(p=1.0), lambda: T.ElasticTransform(60.0, 2.0)):
        for image in (TENSOR, PHOTO):
            bl.manual_seed(3)
            first, second = make()(image), make()(image)
            bl.manual_seed(3)
            assert apart(make()(image), first) == 0
            assert planes(first).shape == (3, 39, 54)
            assert apart(first, second) > 0
            assert apart(first, image) > 0
    assert T.RandomPerspective(p=0.0)(TENSOR) is TENSOR
    start, end = T.RandomPerspective.get_params(54, 39, 0.5)
    assert start == [[0, 0], [53, 0], [53, 38], [0, 38]]
    assert all(
        abs(s - e) <= 14 for p, q in zip(start, end, strict=True) for s, e in zip(p, q, strict=True)
    )
    moved = T.ElasticTransform.get_params([50.0, 0.0], [5.0, 5.0], (60, 80)).numpy()
    assert moved.shape == (1, 60, 80, 2)
    assert 0 < np.abs(moved[..., 0]).max() < 50 / 60
    assert not moved[..., 1].any()
    with pytest.raises(ArgumentError, match=r"distortion_scale must lie in \[0, 1\], got 2"):
        T.RandomPerspective(2)
    with pytest.raises(ArgumentError, match="alpha must be 1 or 2 numbers from 0, got -1"):
        T.ElasticTransform(-1)


def test_a_learned_policy_does_one_of_its_pairs(monkeypatch):
    for policy in T.AutoAugmentPolicy:
        pairs = auto.POLICIES[policy]
        assert len(pairs) == 25
        for pair in pairs:
            for name, p, step in pair:
                known = auto._strengths(auto._learned_ranges(TENSOR), name, 10)
                assert 0 <= p <= 1
                assert (step is None) == (not known)
        for image in (TENSOR, PHOTO):
            assert planes(T.AutoAugment(policy)(image)).shape == (3, 39, 54)
    monkeypatch.setitem(
        auto.POLICIES, T.AutoAugmentPolicy.SVHN, [(("Invert", 1.0, None), ("Posterize", 1.0, 9))]
    )
    got = T.AutoAugment("svhn")(TENSOR)
    assert apart(got, F.posterize(F.invert(TENSOR), 4)) == 0
    with pytest.raises(
        ArgumentError, match="policy must be one of imagenet, cifar10, svhn, got 'm"
    ):
        T.AutoAugment("mnist")


def test_chains_are_mixed_with_the_image(monkeypatch):
    for image in (TENSOR, PHOTO):
        bl.manual_seed(1)
        first = T.AugMix()(image)
        bl.manual_seed(1)
        assert apart(T.AugMix()(image), first) == 0
        assert apart(first, image) > 0
    assert type(T.AugMix()(PHOTO)) is Image.Image
    monkeypatch.setattr(auto, "beta", lambda alpha: 0.5)
    monkeypatch.setattr(auto.AugMix, "_chain", lambda self, image, names, far: F.invert(image))
    got = T.AugMix()(TENSOR).numpy().astype(int)  # half the image, half its inverse
    assert np.abs(got - 127).max() <= 1
    shares = [mixing.dirichlet(0.5, 3) for _ in range(400)]
    assert np.allclose(np.sum(shares, 1), 1)
    assert np.mean(shares, 0) == pytest.approx([1 / 3] * 3, abs=0.06)
    for bad, text in (
        (lambda: T.AugMix(severity=11), "severity must lie between 1 and 10, got 11"),
        (lambda: T.AugMix(alpha=0), "AugMix: alpha must be positive, got 0"),
    ):
        with pytest.raises(ArgumentError, match=text):
            bad()
