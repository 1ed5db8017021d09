"""A network for another task: frozen parts, a new head, what its layers give."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import models, nn, optim
from backlit.errors import ArgumentError
from backlit.models.images.resnet import BasicBlock
from backlit.nn import functional as f

rng = np.random.default_rng(0)


def network() -> models.ResNet:
    bl.manual_seed(0)
    return models.ResNet(BasicBlock, (1, 1), 3)


def images(n: int = 2) -> bl.Tensor:
    return bl.tensor(rng.normal(size=(n, 3, 16, 16)).astype("f4"))


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [False, True])
def test_a_frozen_part_is_a_fixed_function(compiled) -> None:
    """Neither its parameters nor its statistics change, also in training; the rest learns."""
    model = models.freeze(network(), "conv1", "bn1", "layer1").train()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)

    def step(x, y):
        loss = f.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    step = bl.compile(step) if compiled else step
    before = {n: t.numpy().copy() for n, t in model.state_dict().items()}
    for _ in range(3):
        step(images(), bl.tensor([0, 2]))
    frozen = ("conv1", "bn1", "layer1")
    for name, t in model.state_dict().items():
        stays = name.startswith(frozen)
        assert (t.numpy() == before[name]).all() == stays, name
    assert not any(m.training for m in model.layer1.modules())
    assert model.layer2.training


def test_all_of_a_network_or_one_parameter_can_be_frozen_and_freed() -> None:
    model = models.freeze(network()).train()
    assert not any(p.requires_grad for p in model.parameters())
    assert not any(m.training for m in model.modules())
    models.unfreeze(model, "fc")
    assert [n for n, p in model.named_parameters() if p.requires_grad] == ["fc.weight", "fc.bias"]
    models.unfreeze(model).train()
    assert all(p.requires_grad for p in model.parameters())
    assert all(m.training for m in model.modules())
    models.freeze(model, "fc.bias")
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == ["fc.bias"]
    assert model.fc.training


def test_what_is_freed_gets_the_mode_of_the_network() -> None:
    model = models.freeze(network().eval(), "layer1")
    models.unfreeze(model, "layer1")
    assert not model.layer1.training


def test_parts_that_are_not_there_are_an_error_and_nothing_is_frozen() -> None:
    model = network()
    with pytest.raises(ArgumentError, match=r"no part 'layer3'; did you mean 'layer[12]'\?; its p"):
        models.freeze(model, "layer1", "layer3")
    assert all(p.requires_grad for p in model.parameters())


def test_a_new_head_has_the_inputs_of_the_old() -> None:
    model = network().to("float64")
    head = model.fc
    assert models.replace_head(model, 5) is model
    assert model.fc is not head
    assert model.fc.weight.shape == (5, 128)
    assert model.fc.weight.dtype == bl.float64
    google = models.replace_head(models.GoogLeNet(2), 4)
    assert [google.fc.weight.shape[0], google.aux1.fc2.weight.shape[0]] == [4, 4]
    assert google.aux2.fc2.weight.shape == (4, 1024)
    squeeze = models.replace_head(models.SqueezeNet("1_1", 2), 6)
    assert squeeze.classifier[1].weight.shape == (6, 512, 1, 1)
    assert models.replace_head(models.GoogLeNet(2, aux_logits=False), 4).fc.weight.shape[0] == 4
    plain = models.replace_head(nn.Sequential(nn.Linear(2, 3, bias=False)), 7, head="0")
    assert plain[0].weight.shape == (7, 2)
    assert plain[0].bias is None


def test_every_network_of_the_catalogue_for_classes_lists_its_last_layers() -> None:
    bl.manual_seed(0)
    for name in ("lenet", "cifar_resnet20", "mobilenet_v2", "squeezenet1_1"):
        model = models.create(name, num_classes=3)
        models.replace_head(model, 2)
    vit = models.VisionTransformer(8, 4, 1, 2, 8, 16, num_classes=3)
    assert models.replace_head(vit, 2).heads.head.weight.shape == (2, 8)


def test_errors_of_replace_head() -> None:
    with pytest.raises(
        ArgumentError, match=r"the path of a Linear or Conv2d layer of Sequential, "
    ):
        models.replace_head(nn.Sequential(nn.Linear(2, 3)), 7)
    with pytest.raises(ArgumentError, match=r"got 'layer1'; its last ones are .*, fc"):
        models.replace_head(network(), 7, head="layer1")
    with pytest.raises(ArgumentError, match=r"num_classes must be a positive integer, got 0"):
        models.replace_head(network(), 0)


@pytest.mark.parametrize("compiled", [False, True])
def test_features_are_what_the_modules_give(compiled) -> None:
    model = network().eval()
    extract = models.create_feature_extractor(model, {"layer1": "early", "avgpool": "late"})
    seen = []
    for layer in (model.layer1, model.avgpool):
        layer.register_forward_hook(lambda m, args, y: seen.append(y.numpy()))
    x = images()
    model(x)
    for layer in (model.layer1, model.avgpool):
        layer._hooks.clear()
    call = bl.compile(lambda x: extract(x)) if compiled else extract
    for _ in range(2):
        found = call(x)
        assert list(found) == ["early", "late"]
        for value, expected in zip(found.values(), seen, strict=True):
            np.testing.assert_allclose(value.numpy(), expected, rtol=1e-4, atol=1e-5)
    assert not any(m._hooks for m in model.modules())


def test_features_have_gradients_and_errors() -> None:
    model = network()
    extract = models.create_feature_extractor(model, ["layer1"])
    bl.sum(extract(images())["layer1"]).backward()
    assert model.conv1.weight.grad is not None
    with pytest.raises(ArgumentError, match=r"no module 'layer11'; did you mean 'layer1'"):
        models.create_feature_extractor(model, ["layer11"])
    with pytest.raises(ArgumentError, match=r"return_nodes must name a module, got none"):
        models.create_feature_extractor(model, [])
    google = models.GoogLeNet(2).eval()
    with pytest.raises(ArgumentError, match=r"aux1 was not called in GoogLeNet; in evaluation"):
        models.create_feature_extractor(google, "aux1")(bl.zeros((1, 3, 32, 32)))
