"""What `see.summary` says of layers, beside numbers worked out by hand and other accounts."""

import numpy as np
import pytest

from backlit import models, nn, see, zeros
from backlit.errors import ArgumentError
from backlit.nn.functional import relu


class Net(nn.Module):
    """A layer that is used twice, one that is not used, and an op between them."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.unused = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x):
        """(N, 4) -> (N, 4)."""
        return self.first(relu(self.norm(self.first(x))))


def test_layers_by_hand():
    model = Net()
    before = model.norm.running_mean.numpy().copy()
    found = {x.path: x for x in see.summary(model, zeros((5, 4)))}
    assert list(found) == ["first", "norm", "Net", "unused"]
    assert found["first"].multiply_adds == 2 * 5 * 4 * 4
    assert found["first"].parameters == 4 * 4 + 4
    assert found["unused"].result == "not used"
    assert found["unused"].parameters == 9
    assert found["Net"].bytes == 5 * 4 * 4  # what relu keeps, float32[5,4]
    assert np.array_equal(model.norm.running_mean.numpy(), before)


@pytest.mark.parametrize("name", ["lenet", "cifar_resnet20", "windowtagger"])
def test_sums_are_those_of_the_catalogue_and_of_saved(name):
    known, model = models.about(name), models.create(name)
    x = zeros((1, *known.input), dtype=known.dtype)
    found = see.summary(model, x)
    assert found.parameters == known.parameters
    assert found.multiply_adds == known.multiply_adds
    assert found.bytes == see.saved(model(x).sum()).bytes
    folded = found.to_depth(1)
    assert len(folded) < len(found) or name == "windowtagger"
    for what in ("parameters", "multiply_adds", "operations", "bytes"):
        assert getattr(folded, what) == getattr(found, what)


def test_several_outputs_and_frozen_parameters():
    model = nn.LSTM(3, 4)
    model.requires_grad_(False)
    found = see.summary(model, zeros((2, 1, 3)))
    assert (found.trainable, found.bytes) == (0, 0)
    assert "0 of them trained" in repr(found)
    with pytest.raises(ArgumentError, match="summary: model must be a Module, got function"):
        see.summary(relu, zeros((1,)))
