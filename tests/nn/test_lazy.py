"""Lazy layers: nothing is known before the first batch, and everything is ordinary after it."""

from __future__ import annotations

import copy

import pytest

import backlit as bl
from backlit import nn, optim
from backlit.errors import ArgumentError, ShapeError, TraceError

#: A layer with its arguments, the ordinary one, and the shape of an input: 9 is a length.
LAYERS = [
    (nn.LazyLinear, (4,), nn.Linear, (3, 5)),
    (nn.LazyLinear, (4, False), nn.Linear, (5,)),
    (nn.LazyConv1d, (4, 3), nn.Conv1d, (2, 6, 9)),
    (nn.LazyConv2d, (4, 3, 1, 1, 1, 2), nn.Conv2d, (2, 6, 9, 9)),
    (nn.LazyConv2d, (4, 3), nn.Conv2d, (6, 9, 9)),
    (nn.LazyConvTranspose1d, (4, 3), nn.ConvTranspose1d, (2, 6, 9)),
    (nn.LazyConvTranspose2d, (4, 3), nn.ConvTranspose2d, (2, 6, 9, 9)),
    (nn.LazyBatchNorm1d, (), nn.BatchNorm1d, (3, 5)),
    (nn.LazyBatchNorm2d, (1e-3,), nn.BatchNorm2d, (3, 5, 2, 2)),
    (nn.LazyInstanceNorm1d, (1e-3, 0.1, True, True), nn.InstanceNorm1d, (3, 5, 9)),
    (nn.LazyInstanceNorm2d, (1e-3, 0.1, True, True), nn.InstanceNorm2d, (5, 9, 9)),
]


@pytest.mark.parametrize(("kind", "args", "becomes", "shape"), LAYERS)
def test_the_first_call_makes_an_ordinary_layer(kind, args, becomes, shape) -> None:
    """With the starting values, and the random numbers, of one that was made with the size."""
    x = bl.random.normal(shape)
    layer = kind(*args)
    assert isinstance(layer, becomes)
    before = list(layer.parameters())
    bl.manual_seed(3)
    y = layer(x)
    assert type(layer) is becomes
    assert list(map(id, layer.parameters())) == list(map(id, before))
    bl.manual_seed(3)
    other = becomes(max(n for n in shape if n < 9), *args)
    assert repr(other) == repr(layer)
    assert y.tolist() == other(x).tolist()
    assert layer(x).shape == y.shape


def net():
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))


def test_an_optimizer_and_a_cast_may_come_before_the_first_batch() -> None:
    model = net().to("float64")
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x = bl.random.normal((5, 3, 6, 6), dtype="float64")
    model(x).sum().backward()
    before = model[3].weight.tolist()
    optimizer.step()
    assert model[3].weight.dtype == bl.float64
    assert model[3].weight.tolist() != before
    assert model[1].running_mean.shape == (4,)


def test_a_state_gives_the_shapes_and_values() -> None:
    trained, fresh = net(), net()
    x = bl.random.normal((5, 3, 6, 6))
    trained(x)
    fresh.load_state_dict(fresh.state_dict())  # nothing known, nothing changed
    assert repr(fresh[0].weight) == "<UninitializedParameter>"
    fresh.load_state_dict(trained.state_dict())
    trained.eval(), fresh.eval()
    assert fresh(x).tolist() == trained(x).tolist()
    with pytest.raises(ShapeError, match="got <UninitializedParameter>; save the state after the"):
        trained.load_state_dict(net().state_dict())


def test_a_copy_is_lazy_on_its_own() -> None:
    model = net()
    twin = copy.deepcopy(model)
    twin(bl.zeros((2, 3, 6, 6)))
    assert type(model[0]) is nn.LazyConv2d
    assert twin[0].in_channels == 3


def test_what_cannot_be_known_yet_says_so() -> None:
    layer = nn.LazyLinear(2)
    with pytest.raises(ArgumentError, match="its shape is not known before the first call of its "
                       "module; call the model once"):  # fmt: skip
        nn.init.normal_(layer.weight)
    with pytest.raises(ShapeError, match="LazyLinear: x must have at least one axis, got float32"):
        layer(bl.zeros(()))
    with pytest.raises(ShapeError, match="LazyConv1d: x must have 3 axes, or 2 without that of"):
        nn.LazyConv1d(2, 3)(bl.zeros((1, 2, 3, 4)))
    with pytest.raises(ShapeError, match="LazyBatchNorm2d: x must have 4 axes, got float32"):
        nn.LazyBatchNorm2d()(bl.zeros((1, 2)))
    with pytest.raises(TypeError, match="LazyConv2d: kernel_size is missing; it takes out_c"):
        nn.LazyConv2d(3)
    compiled = bl.compile(lambda x: layer(x))
    with pytest.raises(TraceError, match="LazyLinear: a captured function cannot give a layer its"):
        compiled(bl.zeros((2, 3)))
    layer(bl.zeros((2, 3)))
    assert compiled(bl.zeros((2, 3))).shape == (2, 2)
