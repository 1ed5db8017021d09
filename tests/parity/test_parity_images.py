"""Networks for images beside the same functions written with PyTorch's functional operations.

Those are in `bench.peers.pytorch_functions`, under torchvision's names. That these names and shapes
are torchvision's is tested in `tests/models`, by checksums.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import backlit as bl
from backlit import models, nn
from backlit.models.images.resnet import BasicBlock, Bottleneck
from backlit.nn import functional as f
from bench.peers.pytorch_functions import (
    State,
    alexnet,
    alexnet2012,
    basic,
    bottleneck,
    cifar,
    densenet,
    googlenet,
    mobilenet,
    resnet,
    squeezenet,
    unet,
    vgg16_bn,
    vit,
)

pytestmark = pytest.mark.parity


def narrow(model):
    """With few units in the linear layers: there are up to 120 million, and nothing new."""
    layers = [m for m in model.classifier if isinstance(m, nn.Linear)]
    sizes = (layers[0].in_features, 8, 8, 5)
    names = [n for n, m in model.classifier.named_children() if isinstance(m, nn.Linear)]
    for name, a, b in zip(names, sizes, sizes[1:], strict=False):
        setattr(model.classifier, name, nn.Linear(a, b))
    return model


#: The network, the same in PyTorch's functions, the size of the image.
NETWORKS = {
    "resnet": (lambda: models.ResNet(BasicBlock, (2, 1), 5), resnet(basic, (2, 1)), 32),
    "bottlenecks": (
        lambda: models.ResNet(Bottleneck, (1, 2, 1), 5), resnet(bottleneck, (1, 2, 1)), 32,
    ),
    "resnext": (
        lambda: models.ResNet(Bottleneck, (1, 1), 5, groups=4, width_per_group=8),
        resnet(bottleneck, (1, 1), groups=4), 32,
    ),
    "cifar_resnet20": (lambda: models.cifar_resnet20(num_classes=5), cifar((3, 3, 3)), 16),
    "cifar_resnet18": (
        lambda: models.CifarResNet((1, 1), (16, 32), 5, projection=True), cifar((1, 1)), 16,
    ),
    "vgg16_bn": (lambda: narrow(models.vgg16_bn()), vgg16_bn, 32),
    "alexnet": (lambda: narrow(models.alexnet(dropout=0.0)), alexnet, 95),
    "alexnet2012": (lambda: narrow(models.AlexNet2012(dropout=0.0)), alexnet2012, 224),
    "squeezenet": (lambda: models.squeezenet1_1(num_classes=5, dropout=0.0), squeezenet, 64),
    "mobilenet": (lambda: models.mobilenet_v2(num_classes=5, dropout=0.0), mobilenet, 64),
    "densenet": (
        lambda: models.DenseNet(8, (2, 3, 2), 12, num_classes=5), densenet((2, 3, 2)), 32,
    ),
    "googlenet": (
        lambda: models.googlenet(num_classes=5, dropout=0.0, dropout_aux=0.0), googlenet, 48,
    ),
    "vit": (
        lambda: models.VisionTransformer(16, 4, 2, 4, 32, 48, num_classes=5), vit(2, 4), 16,
    ),
    "unet": (lambda: models.UNet(3, 2, base=4), unet, 32),
}  # fmt: skip
#: Those of which a training step is compared, too.
TRAINED = ("resnet", "cifar_resnet20", "mobilenet", "densenet", "googlenet", "vit", "unet")


def made(name, monkeypatch):
    """A network with values that leave nothing at 0 or 1, in float64; and an image."""
    for kind in ("uniform_", "normal_"):  # they would be drawn, and drawn again below
        monkeypatch.setattr(nn.init, kind, lambda t, *args, **options: t)
    rng = np.random.default_rng(0)
    make, twin, size = NETWORKS[name]
    model = make().to("float64")
    for key, t in model.state_dict(keep_vars=True).items():
        if key.endswith("running_var"):
            t.assign(rng.uniform(0.5, 1.5, t.shape))
        elif t.ndim == 1:
            t.assign(rng.uniform(-0.2, 0.2, t.shape) + ("norm" in key or "bn" in key))
        elif t.ndim:
            t.assign(rng.normal(0, 1.5 / np.sqrt(np.prod(t.shape[1:])), t.shape))
    return model, twin, rng.normal(size=(2, 3, size, size))


def torch_state(model, training):
    tensors = {n: torch.tensor(t.numpy()) for n, t in model.state_dict().items()}
    for n, _ in model.named_parameters():
        tensors[n].requires_grad_(training)
    return State(tensors, training)


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_are_those_of_the_functions(name, monkeypatch) -> None:
    model, twin, x = made(name, monkeypatch)
    model.eval()
    with torch.no_grad():
        expected = twin(torch_state(model, False), torch.tensor(x)).numpy()
    assert np.abs(expected).max() > 1e-3
    with bl.no_grad():
        got = model(bl.tensor(x)).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("name", TRAINED)
def test_a_training_step_has_the_same_loss_and_gradients(name, monkeypatch) -> None:
    model, twin, x = made(name, monkeypatch)
    state = torch_state(model, True)
    theirs = twin(state, torch.tensor(x))
    mine = model(bl.tensor(x))
    pairs = zip(*[t if isinstance(t, tuple) else (t,) for t in (mine, theirs)], strict=True)
    weights = (1.0, 0.3, 0.3)
    loss, other = bl.tensor(0.0, dtype="float64"), torch.tensor(0.0, dtype=torch.float64)
    rng = np.random.default_rng(1)
    for weight, (a, b) in zip(weights, pairs, strict=False):
        y = rng.integers(0, a.shape[1], (2, *a.shape[2:]))
        loss = loss + weight * f.cross_entropy(a, bl.tensor(y))
        other = other + weight * F.cross_entropy(b, torch.tensor(y))
    assert loss.item() == pytest.approx(other.item(), rel=1e-9)
    loss.backward()
    other.backward()
    for n, p in model.named_parameters():
        expected = state.tensors[n].grad.numpy()
        scale = max(np.abs(expected).max(), 1e-6)
        np.testing.assert_allclose(p.grad.numpy(), expected, atol=1e-7 * scale, err_msg=n)


@pytest.mark.parametrize("old_format", [False, True])
def test_a_checkpoint_that_pytorch_wrote_is_loaded(old_format, tmp_path) -> None:
    """With DataParallel's names, beside an epoch and an optimizer's state, in half precision."""
    bl.manual_seed(1)
    source = models.cifar_resnet20()
    state = {f"module.{n}": torch.tensor(t.numpy()) for n, t in source.state_dict().items()}
    state = {n: t.half() if t.is_floating_point() else t for n, t in state.items()}
    whole = {"epoch": 3, "state_dict": state, "optimizer": {"state": {}, "param_groups": []}}
    path = tmp_path / "checkpoint.pth"
    torch.save(whole, path, _use_new_zipfile_serialization=not old_format)
    bl.manual_seed(2)
    model = models.cifar_resnet20()
    result = models.load_weights(model, path)
    assert len(result.renamed) == len(state)
    for n, t in model.state_dict().items():
        expected = state[f"module.{n}"]
        assert t.dtype == source.state_dict()[n].dtype
        np.testing.assert_array_equal(t.numpy(), expected.to(torch.float32).numpy())
