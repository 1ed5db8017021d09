"""Files that PyTorch wrote are read, and files of ours are read by its side."""

import io

import numpy as np
import pytest
import safetensors.torch
import torch

import backlit
import backlit.torch as dialect
from backlit.torch.serialization import load, save

pytestmark = pytest.mark.parity

DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32),
    *(torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool),
]


def written(value, zipped):
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=zipped)
    stream.seek(0)
    return stream


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_of_every_kind_and_layout(zipped):
    base = torch.arange(24, dtype=torch.float64).reshape(2, 3, 4)
    layouts = [base, base.permute(2, 0, 1), base[:, 1:, ::2], base[1], base[0, 0, 0], base[:0],
               base[:, :1].expand(2, 5, 4), base.flatten()[5:], torch.tensor(3.0)]  # fmt: skip
    value = [t.to(dtype) if t.dtype != dtype else t for t in layouts for dtype in DTYPES]
    value += layouts  # with shared storages
    for ours, theirs in zip(load(written(value, zipped)), value, strict=True):
        assert ours.shape == tuple(theirs.shape)
        assert str(theirs.dtype) == f"torch.{ours.dtype.name}"
        assert np.array_equal(ours.astype("float64").numpy(), theirs.double().numpy())


@pytest.mark.parametrize("zipped", [True, False])
def test_the_state_of_a_run(zipped):
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 7}
    found = load(written(state, zipped))
    assert list(found["model"]) == list(state["model"])
    for name, theirs in state["model"].items():
        assert np.array_equal(found["model"][name].numpy(), theirs.numpy())
    mine = backlit.nn.Sequential(backlit.nn.Linear(3, 4), backlit.nn.BatchNorm1d(4))
    mine.load_state_dict(found["model"])
    x = np.ones((2, 3), np.float32)
    model.eval()
    mine.eval()
    ours = mine(backlit.asarray(x)).numpy()
    assert np.allclose(ours, model(torch.asarray(x)).detach().numpy(), atol=1e-6)
    assert found["optimizer"]["param_groups"] == state["optimizer"]["param_groups"]
    moments = found["optimizer"]["state"][0]["exp_avg"].numpy()
    assert np.array_equal(moments, state["optimizer"]["state"][0]["exp_avg"].numpy())


def test_what_we_save_is_read_beside_pytorch(tmp_path):
    model = backlit.nn.Linear(3, 4)
    save(model.state_dict(), tmp_path / "w.pt")
    theirs = safetensors.torch.load_file(tmp_path / "w.pt")
    for name, value in model.state_dict().items():
        assert np.array_equal(theirs[name].numpy(), value.numpy())


OPTIMIZERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "amsgrad": True}),
    ("AdamW", {}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.5, "centered": True}),
    *[(name, {}) for name in ("Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD")],
]


def step(library, model, optimizer):
    optimizer.zero_grad()
    model(library.ones(1, 2)).pow(2).sum().backward()
    optimizer.step()


@pytest.mark.parametrize(("name", "settings"), OPTIMIZERS)
def test_training_goes_on_from_a_file_of_pytorch(name, settings):
    def made(library):
        model = library.nn.Linear(2, 3)
        groups = [{"params": [model.weight]}, {"params": [model.bias], "lr": 0.02}]
        return model, getattr(library.optim, name)(groups, **settings)

    theirs = made(torch)
    for _ in range(3):
        step(torch, *theirs)
    found = load(written([part.state_dict() for part in theirs], zipped=True))
    ours = made(dialect)
    for part, state in zip(ours, found, strict=True):
        part.load_state_dict(state)
    for _ in range(3):
        step(torch, *theirs)
        step(dialect, *ours)
    for a, b in zip(ours[0].parameters(), theirs[0].parameters(), strict=True):
        assert np.allclose(a.detach().numpy(), b.detach().numpy(), atol=1e-6)
