"""Exchange of memory with PyTorch through DLPack."""

import numpy as np
import pytest

import backlit as bl

torch = pytest.importorskip("torch", reason="installed by `make parity`")
pytestmark = pytest.mark.parity


@pytest.mark.parametrize(
    "name", ["float32", "float64", "float16", "int64", "int32", "uint8", "bool"]
)
def test_from_and_to_torch(name):
    theirs = torch.tensor([[1, 0, 3], [4, 5, 6]]).to(getattr(torch, name))
    ours = bl.from_dlpack(theirs)
    assert (ours.shape, ours.dtype.name) == ((2, 3), name)
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    back = torch.from_dlpack(bl.tensor(ours.numpy()))
    assert back.dtype == theirs.dtype
    assert torch.equal(back, theirs)


def test_memory_is_shared_on_the_way_in():
    theirs = torch.zeros(3)
    ours = bl.from_dlpack(theirs)
    theirs[0] = 7.0
    assert ours.tolist() == [7.0, 0.0, 0.0]


def test_what_torch_writes_does_not_reach_a_tensor():
    ours = bl.tensor([1.0, 2.0])
    theirs = torch.from_dlpack(ours)
    theirs[0] = 9.0
    assert ours.tolist() == [1.0, 2.0]
