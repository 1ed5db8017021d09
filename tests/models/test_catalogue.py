"""The catalogue of networks: what it states is measured, and names are torchvision's."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

import backlit as bl
from backlit import models, nn, see
from backlit.errors import ArgumentError
from backlit.models.catalogue import network
from sampling import only
from scripts.torchvision_names import checksum

FACTS = json.loads(Path(__file__).with_name("torchvision_names.json").read_text("utf-8"))
#: Those that are made in a moment; the others have hundreds of millions of parameters or ops.
QUICK = """lenet lenet5_1998 cifar_resnet20 cifar_resnet18 resnet18 resnet50 googlenet
squeezenet1_0 mobilenet_v2 unet charrnn bilstmcrf textcnn
linear_regression softmax_regression mlp playground two_layer autoencoder vae dcgan_generator
dcgan_discriminator tiny_yolo"""


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """Networks whose starting values are not drawn: there are up to 630 million of them."""
    for name in (
        "uniform_", "normal_", "trunc_normal_", "kaiming_normal_", "kaiming_uniform_",
        "xavier_uniform_",
    ):  # fmt: skip
        monkeypatch.setattr(nn.init, name, lambda t, *args, **options: t)


@pytest.mark.slow
@pytest.mark.parametrize("name", only(QUICK, models.names()))
def test_numbers_and_names_are_as_stated(name, undrawn) -> None:
    entry = models.about(name)
    model = models.create(name).eval()
    assert sum(p.size for p in model.parameters()) == entry.parameters
    x = bl.zeros((1, *entry.input), dtype=entry.dtype)
    assert see.operations(model, x).multiply_adds == entry.multiply_adds
    if name in FACTS:
        state = model.state_dict()
        assert [len(state), checksum(state)] == FACTS[name]


def test_all_networks_of_the_fixture_are_there() -> None:
    assert set(FACTS) - {"torchvision"} <= set(models.names())


def test_an_entry_says_what_it_is() -> None:
    entry = models.about("ResNet50")
    assert entry.name == "resnet50"
    assert entry.bytes == 4 * 25_557_032
    assert entry.about == "ResNet with 50 layers, in bottlenecks."
    assert "25,557,032 parameters; 4,089,184,256 multiply-adds for an input of 3×224×224" in (
        models.resnet50.__doc__
    )
    assert isinstance(models.create("LENET", num_classes=3), models.LeNet)


def test_errors() -> None:
    with pytest.raises(ArgumentError, match=r"no network 'resnet5'; did you mean resnet50 or "):
        models.create("resnet5")
    with pytest.raises(ArgumentError, match=r"no network 'q'; models.names\(\) lists them"):
        models.about("q")
    with pytest.raises(ArgumentError, match=r"'lenet' already, backlit.models.images.lenet.LeNet;"):
        network(input=(1,), parameters=0, multiply_adds=0, name="LeNet")(lambda: None)
    for name in models.names():
        make = models.about(name).make
        if "weights" in inspect.signature(make).parameters:
            with pytest.raises(ArgumentError, match=rf"{name}: weights must be None.*load_weights"):
                make(weights="DEFAULT")


def test_every_listed_name_is_a_function_of_models() -> None:
    assert all(getattr(models, name, None) is not None for name in models.names())
    assert type(models.lenet(num_classes=3)) is models.LeNet
    assert {"lenet", "unet"} <= set(dir(models))
    with pytest.raises(AttributeError, match=r"module 'backlit.models' has no attribute 'lenets'"):
        models.lenets  # noqa: B018
