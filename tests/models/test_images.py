"""Networks for images: shapes, starting values, and what is special about each."""

from __future__ import annotations

import math

import numpy as np
import pytest

import backlit as bl
from backlit import models, nn
from backlit.errors import ArgumentError, ShapeError
from backlit.models.images.densenet import DenseLayer
from backlit.models.images.resnet import BasicBlock, Bottleneck, Shortcut
from backlit.nn import functional as f
from sampling import only

rng = np.random.default_rng(0)


def small(shape) -> bl.Tensor:
    return bl.tensor(rng.normal(size=shape).astype("f4"))


# -- shapes -------------------------------------------------------------------------------------

SMALL = {
    "resnet": lambda: models.ResNet(Bottleneck, (1, 1), 5),
    "cifar_resnet20": lambda: models.cifar_resnet20(num_classes=5),
    "densenet": lambda: models.DenseNet(4, (2, 2), 8, num_classes=5),
    "mobilenet": lambda: models.MobileNetV2(5, width_mult=0.25),
    "squeezenet": lambda: models.squeezenet1_1(num_classes=5),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", only("densenet", SMALL))
def test_a_network_gives_a_row_of_classes_and_gradients_for_all_parameters(name) -> None:
    bl.manual_seed(0)
    model = SMALL[name]()
    y = model(small((2, 3, 32, 32)))
    assert y.shape == (2, 5)
    f.cross_entropy(y, bl.tensor([1, 4])).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_cifar_shortcuts_of_option_a_are_every_second_place_and_zeros() -> None:
    x = small((1, 2, 4, 4))
    y = Shortcut(3)(x).numpy()
    assert y.shape == (1, 5, 2, 2)
    np.testing.assert_array_equal(y[:, 1:3], x.numpy()[:, :, ::2, ::2])
    assert not y[:, 0].any()
    assert not y[:, 3:].any()


def test_residual_blocks_start_as_the_identity_if_asked() -> None:
    model = models.ResNet(BasicBlock, (1,), zero_init_residual=True)
    x = f.relu(small((1, 64, 8, 8)))
    np.testing.assert_array_equal(model.layer1(x).numpy(), x.numpy())


@pytest.mark.long
def test_googlenet_has_two_more_heads_in_training_only() -> None:
    bl.manual_seed(0)
    model = models.googlenet(num_classes=7)
    result = model(small((2, 3, 64, 64)))
    assert isinstance(result, models.GoogLeNetOutputs)
    assert [t.shape for t in result] == [(2, 7)] * 3
    assert model.eval()(small((1, 3, 64, 64))).shape == (1, 7)
    without = models.googlenet(num_classes=7, aux_logits=False)
    assert isinstance(without(small((2, 3, 64, 64))), bl.Tensor)
    assert not [n for n in without.state_dict() if n.startswith("aux")]


@pytest.mark.slow
def test_googlenet_brings_normalised_images_to_minus_one_to_one() -> None:
    pixels = np.array([0.0, 0.5, 1.0]).reshape(3, 1, 1, 1) * np.ones((3, 3, 1, 1))
    mean, std = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, None, :, None, None]
    model = models.GoogLeNet(2, aux_logits=False, transform_input=True)
    y = model._transformed(bl.tensor((pixels - mean) / std)).numpy()
    np.testing.assert_allclose(y, 2 * pixels - 1, atol=1e-12)


def test_a_dense_layer_sees_all_maps_before_it_and_may_make_them_again() -> None:
    bl.manual_seed(0)
    layer = DenseLayer(5, 3, 4, 0.0, memory_efficient=False)
    maps = [small((2, 2, 4, 4)).requires_grad_(), small((2, 3, 4, 4)).requires_grad_()]
    gradients = []
    for again in (False, True):
        layer.memory_efficient = again
        layer.zero_grad()
        bl.sum(layer(maps) ** 2).backward()
        gradients.append([p.grad.numpy() for p in layer.parameters()])
    for kept, made_again in zip(*gradients, strict=True):
        np.testing.assert_allclose(kept, made_again, rtol=1e-6)


def test_mobilenet_widths_are_multiples_of_eight() -> None:
    model = models.MobileNetV2(10, width_mult=0.35)
    widths = [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert not [w for w in widths if w % 8]
    assert widths[-1] == 1280


def test_unet_gives_a_class_for_each_place_also_of_odd_sizes() -> None:
    for bilinear in (False, True):
        model = models.UNet(3, 2, bilinear, base=4)
        assert model(small((1, 3, 37, 22))).shape == (1, 2, 37, 22)
    with pytest.raises(ShapeError, match=r"UNet: x must be \(N, C, H, W\) with at least 16×16"):
        model(small((1, 3, 8, 64)))


def test_vision_transformer_sees_each_patch_where_it_is() -> None:
    bl.manual_seed(0)
    model = models.VisionTransformer(8, 4, 1, 2, 8, 16, num_classes=3, representation_size=6)
    nn.init.normal_(model.heads.head.weight)
    x = small((1, 3, 8, 8)).numpy()
    turned = np.concatenate((x[:, :, :, 4:], x[:, :, :, :4]), axis=3)
    y, other = (model(bl.tensor(v)).numpy() for v in (x, turned))
    assert y.shape == (1, 3)
    assert np.abs(y - other).max() > 1e-4
    model.encoder.pos_embedding.assign(np.zeros(model.encoder.pos_embedding.shape))
    y, other = (model(bl.tensor(v)).numpy() for v in (x, turned))
    np.testing.assert_allclose(y, other, rtol=1e-4)
    with pytest.raises(ShapeError, match=r"x must be \(N, 3, 8, 8\), as image_size says"):
        model(bl.zeros((1, 3, 16, 16)))
    with pytest.raises(ShapeError, match=r"image_size must be a multiple of patch_size"):
        models.vit_b_16(image_size=220)


# -- LeNet-5 and AlexNet as they were published ---------------------------------------------------


def test_lenet5_has_the_published_numbers_of_parameters_in_each_layer() -> None:
    model = models.LeNet5Published()
    counts = [sum(p.size for p in m.parameters()) for _, m in model.named_children()]
    assert counts[:6] == [156, 12, 1_516, 32, 48_120, 10_164]


#: Table I of the paper: a row for each map of S2, a column for each map of C3.
TABLE = (
    "X...XXX..XXXX.XX",
    "XX...XXX..XXXX.X",
    "XXX...XXX..X.XXX",
    ".XXX..XXXX..X.XX",
    "..XXX..XXXX.XX.X",
    "...XXX..XXXX.XXX",
)


def test_maps_of_c3_see_the_maps_of_table_1_only() -> None:
    bl.manual_seed(0)
    layer = models.LeNet5Published().c3
    for seen in range(6):
        x = np.zeros((1, 6, 5, 5), "f4")
        x[:, seen] = 1
        moved = np.abs((layer(bl.tensor(x)) - layer.bias.reshape((1, 16, 1, 1))).numpy()) > 1e-9
        assert moved.ravel().tolist() == [mark == "X" for mark in TABLE[seen]]


def test_subsampling_adds_squares_times_a_factor_of_each_map_and_a_shift() -> None:
    layer = models.LeNet5Published().s2
    layer.weight.assign(np.arange(6).reshape(6, 1, 1))
    layer.bias.assign(10 * np.ones((6, 1, 1)))
    x = small((1, 6, 4, 4))
    y = layer(x).numpy()
    for m, row, column in ((0, 0, 0), (2, 1, 0), (5, 1, 1)):
        square = x.numpy()[0, m, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        assert y[0, m, row, column] == pytest.approx(m * square.sum() + 10, rel=1e-5)


def test_lenet5_answers_with_the_distance_from_a_code_of_each_class() -> None:
    model = models.LeNet5Published().eval()
    features = []
    handle = model.squash.register_forward_hook(lambda m, args, y: features.append(y.numpy()))
    scores = model(small((3, 1, 32, 32))).numpy()
    handle.remove()
    codes = model.codes.numpy()
    assert set(np.unique(codes)) == {-1, 1}
    assert features[-1].shape == (3, 84)
    expected = -((features[-1][:, None] - codes[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_squash_keeps_plus_and_minus_one() -> None:
    y = models.LeNet5Published().squash(bl.tensor([-1.0, 0.0, 1.0])).numpy()
    np.testing.assert_allclose(y, [-1, 0, 1], atol=1e-4)


@pytest.mark.slow
def test_alexnet_of_2012_normalises_as_the_paper_says(monkeypatch) -> None:
    for name in ("uniform_", "normal_"):
        monkeypatch.setattr(nn.init, name, lambda t, *args, **options: t)
    model = models.AlexNet2012(num_classes=10)
    x = small((1, 96, 1, 1))
    a = x.numpy().ravel().astype("f8")
    expected = [a[i] / (2 + 1e-4 * sum(a[max(0, i - 2) : i + 3] ** 2)) ** 0.75 for i in range(96)]
    np.testing.assert_allclose(model.features[2](x).numpy().ravel(), expected, rtol=1e-6)
    assert [m.groups for m in model.features if isinstance(m, nn.Conv2d)] == [1, 2, 1, 2, 2]
    ones = [n for n, p in model.named_parameters() if n.endswith("bias") and (p.numpy() == 1).all()]
    assert ones == [
        f"{n}.bias"
        for n in ("features.4", "features.10", "features.12", "classifier.1", "classifier.4")
    ]


# -- starting values ------------------------------------------------------------------------------


def spread(p) -> float:
    return float(np.std(p.numpy()))


@pytest.mark.slow
def test_starting_values_are_those_of_torchvision() -> None:
    """Deviations as its constructors say: √(2/fan out), √(2/fan in), 0.01, 0.02 and so on."""
    bl.manual_seed(0)
    w = models.ResNet(BasicBlock, (1, 1)).layer2[0].conv1.weight
    assert spread(w) == pytest.approx(math.sqrt(2 / (128 * 9)), rel=0.02)
    dense = models.DenseNet(32, (2,), 64)
    w = dense.features.denseblock1.denselayer1.conv1.weight
    assert spread(w) == pytest.approx(math.sqrt(2 / 64), rel=0.03)
    assert not dense.classifier.bias.numpy().any()
    mobile = models.mobilenet_v2(num_classes=100)
    assert spread(mobile.classifier[1].weight) == pytest.approx(0.01, rel=0.02)
    assert spread(mobile.features[18][0].weight) == pytest.approx(math.sqrt(2 / 1280), rel=0.02)
    google = models.GoogLeNet(10, aux_logits=False)
    assert spread(google.conv3.conv.weight) == pytest.approx(0.01, rel=0.02)
    squeeze = models.squeezenet1_0(num_classes=10)
    assert spread(squeeze.classifier[1].weight) == pytest.approx(0.01, rel=0.05)
    w = squeeze.features[3].expand3x3.weight
    assert spread(w) == pytest.approx(math.sqrt(2 / (16 * 9)), rel=0.05)
    assert np.abs(w.numpy()).max() <= math.sqrt(6 / (16 * 9))
    vit = models.VisionTransformer(32, 8, 1, 2, 64, 128, num_classes=3)
    assert spread(vit.conv_proj.weight) == pytest.approx(1 / math.sqrt(3 * 64), rel=0.05)
    assert spread(vit.encoder.pos_embedding) == pytest.approx(0.02, rel=0.1)
    assert not vit.heads.head.weight.numpy().any()


def test_errors() -> None:
    with pytest.raises(ArgumentError, match=r"BasicBlock: groups must be 1 and base_width 64"):
        BasicBlock(4, 4, groups=2)
    with pytest.raises(ArgumentError, match=r"SqueezeNet: version must be '1_0' or '1_1', got '2'"):
        models.SqueezeNet("2")
