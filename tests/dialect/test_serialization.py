"""torch.save and torch.load: everything that is data comes back as it was, and nothing else."""

import argparse
import io
from collections import OrderedDict

import numpy as np
import pytest

import backlit
from backlit import nn, optim
from backlit.array_api.dialects import SPOKEN
from backlit.errors import ArgumentError, DataError
from backlit.torch.serialization import load, save
from backlit.train import load_checkpoint, save_checkpoint


def through_a_file(value):
    stream = io.BytesIO()
    save(value, stream)
    stream.seek(0)
    return load(stream)


def same(a, b):
    if isinstance(a, backlit.Tensor | np.ndarray):
        assert type(a) is type(b)
        assert a.dtype == b.dtype
        assert a.tolist() == b.tolist()
        assert getattr(a, "requires_grad", None) == getattr(b, "requires_grad", None)
    elif isinstance(a, dict):
        assert type(a) is type(b)
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert type(a) is type(b)
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert type(a) is type(b)
        assert a == b or a != a


def test_data_comes_back_as_it_was():
    model = nn.Linear(2, 3)
    optimizer = optim.Adam(model.parameters())
    model(backlit.ones((1, 2))).sum().backward()
    optimizer.step()
    leaf = backlit.tensor([1.0], requires_grad=True)
    values = [
        {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3},
        {1: (1, 2.5, None), "b": b"xy", (1, "x"): {2, 3}, "nan": float("nan"), "big": 1 << 80},
        OrderedDict(a=model.weight, b=leaf, c=frozenset({1})),
        [np.arange(3), np.dtype("float32"), argparse.Namespace(lr=0.1, sizes=[1, 2])],
        {"$tensor": 1, "$tuple": [2]},
        backlit.arange(3),
        {},
    ]
    for value in values:
        same(value, through_a_file(value))


def test_a_dict_of_tensors_is_a_plain_safetensors_file_in_its_order(tmp_path):
    path = tmp_path / "w.pt"
    value = {"weight": backlit.ones((2, 3)), "bias": backlit.zeros(2), "n": backlit.tensor(3)}
    save(value, path)
    same(value, load(path, map_location="cpu", weights_only=True))
    assert set(backlit.load_tensors(path)) == set(value)
    with open(path, "rb") as file:
        same(value, load(file))


def test_a_whole_model_is_loaded_by_who_trusts_the_file(tmp_path):
    path = tmp_path / "model.pt"
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU()).eval()
    save({"net": [model], "epoch": 3}, path)
    for weights_only in (None, True):
        with pytest.raises(DataError, match=r"holds a whole model.*say weights_only=False; else"):
            load(path, weights_only=weights_only)
    kept = load(path, map_location="cpu", weights_only=False)
    x = backlit.ones((4, 2))
    assert kept["epoch"] == 3
    assert kept["net"][0](x).tolist() == model(x).tolist()
    data = path.read_bytes()
    with pytest.raises(DataError, match="is damaged"):
        load(io.BytesIO(data[:-9]), weights_only=False)
    lost = data.replace(b"BatchNorm1d", b"BatchNorm9d")
    with pytest.raises(DataError, match=r"needs a class that is not there: .*BatchNorm9d.*define"):
        load(io.BytesIO(lost), weights_only=False)


def test_an_optimizers_state_is_numbered_as_in_pytorch(tmp_path, monkeypatch):
    monkeypatch.setattr(SPOKEN, "pytorch", True)

    def made():
        net = nn.Linear(2, 3)
        rows = [{"params": [net.weight]}, {"params": [net.bias], "lr": 0.5}]
        return net, optim.Adam(rows, lr=0.1)

    net, optimizer = made()
    net(backlit.ones((1, 2))).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    assert [g["params"] for g in state["param_groups"]] == [[0], [1]]
    assert list(state["state"]) == [0, 1]
    assert state["state"][1]["exp_avg"].shape == (3,)
    save(state, tmp_path / "o.pt")
    save_checkpoint(tmp_path / "o.safetensors", {"optimizer": state})
    for kept in (
        load(tmp_path / "o.pt"),
        load_checkpoint(tmp_path / "o.safetensors")["optimizer"],
    ):
        other = made()[1]
        other.load_state_dict(kept)
        assert other.param_groups[1]["lr"] == 0.5
        same(other.state_dict()["state"], state["state"])
    monkeypatch.setattr(SPOKEN, "pytorch", False)
    other.load_state_dict(state)  # as files have it
    assert list(other.state_dict()["state"]) == ["0", "1"]


def test_what_only_code_could_make_and_no_pickle_can_is_refused():
    with pytest.raises(ArgumentError, match=r"\['net'\]\[0\] is an object of class function.*save a"
                                            r" dict of it.*it cannot be pickled"):  # fmt: skip
        save({"net": [lambda x: x]}, io.BytesIO())
    ring = []
    ring.append(ring)
    with pytest.raises(ArgumentError, match="contains itself"):
        save(ring, io.BytesIO())
    with pytest.raises(ArgumentError, match=r"f must be a path or an open file, got a number, 3"):
        save({}, 3)
    with pytest.raises(ArgumentError, match="device: must be 'cpu', got 'cuda'"):
        load("x", map_location="cuda")
    with pytest.raises(DataError, match="opened for reading bytes"):
        load(io.StringIO("x"))
    with pytest.raises(DataError, match="must be a whole safetensors file"):
        load(io.BytesIO(b"x"))


def test_what_pytorch_raises_is_caught(tmp_path):
    torch = backlit.torch
    with pytest.raises(FileNotFoundError, match=r"no.pt cannot be read: No such file"):
        torch.load(tmp_path / "no.pt")
    model = torch.nn.Linear(2, 1)
    for bad in (
        lambda: torch.ones(2, 3) @ torch.ones(2),
        lambda: torch.cat([torch.ones(2), torch.ones(1, 1)]),
        lambda: torch.ones(3).view(2),
        lambda: torch.ones(1).to("cuda"),
        lambda: torch.arange(2).requires_grad_(),
        lambda: model(torch.ones(3)),
        lambda: model.load_state_dict({}),
    ):
        with pytest.raises(RuntimeError):
            bad()
