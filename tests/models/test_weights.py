"""Weights from elsewhere: files, names, shapes, and that nothing is loaded by half."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import backlit as bl
from backlit import models, nn
from backlit.errors import ArgumentError, DataError, MissingFileError, ShapeError


def network(classes: int = 3) -> nn.Module:
    bl.manual_seed(classes)
    model = models.ResNet(models.images.resnet.BasicBlock, (1, 1), classes)
    for buffer in model.buffers():
        if buffer.ndim:
            buffer.assign(np.random.default_rng(0).uniform(0.5, 1.5, buffer.shape))
    return model


def arrays(model) -> dict[str, np.ndarray]:
    return {n: t.numpy().copy() for n, t in model.state_dict().items()}


def same(model, expected) -> bool:
    mine = arrays(model)
    return set(mine) == set(expected) and all((mine[n] == expected[n]).all() for n in mine)


# -- files --------------------------------------------------------------------------------------


def test_a_file_a_folder_and_an_index_of_several_files(tmp_path) -> None:
    source = network()
    state = arrays(source)
    names = list(state)
    bl.save_tensors(tmp_path / "one" / "model.safetensors", state)
    (tmp_path / "several").mkdir()
    for i, part in enumerate((names[::2], names[1::2])):
        bl.save_tensors(tmp_path / f"several/part-{i}.safetensors", {n: state[n] for n in part})
    places = {n: f"part-{i % 2}.safetensors" for i, n in enumerate(names)}
    index = tmp_path / "several" / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    for path in (tmp_path / "one" / "model.safetensors", tmp_path / "one", index, index.parent):
        model = models.ResNet(models.images.resnet.BasicBlock, (1, 1), 3)
        result = models.load_weights(model, path)
        assert same(model, state)
        assert sorted(result.loaded) == sorted(names)
        assert not any((result.missing, result.unexpected, result.misshapen, result.renamed))


def test_an_index_leads_nowhere_but_to_files_beside_it(tmp_path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    bl.save_tensors(tmp_path / "part.safetensors", {"a": np.zeros(2)})
    for place in ("../part.safetensors", "/etc/passwd", "..", ""):
        index.write_text(json.dumps({"weight_map": {"a": place}}))
        with pytest.raises(DataError, match=r"must lie beside it; nothing outside its folder"):
            models.read_weights(index)
    index.write_text(json.dumps({"weight_map": {"a": index.name}}))
    with pytest.raises(DataError, match="must be a whole safetensors file"):
        models.read_weights(index)
    index.write_text(json.dumps({"weight_map": {"b": "part.safetensors"}}))
    with pytest.raises(DataError, match=r"part.safetensors must hold b, as model.safetensors.ind"):
        models.read_weights(index)
    index.write_text(json.dumps({"weight_map": {"a": "other.safetensors"}}))
    with pytest.raises(MissingFileError, match=r"other.safetensors cannot be read"):
        models.read_weights(index)
    for text in ("{", "[]", '{"weight_map": [1]}', '{"weight_map": {"a": 1}}'):
        index.write_text(text)
        with pytest.raises(DataError, match=r"must be an index of weights, JSON with a weight_map"):
            models.read_weights(index)


def test_a_folder_without_weights_and_a_file_that_is_none(tmp_path) -> None:
    (tmp_path / "a.pth").write_bytes(b"no weights")
    with pytest.raises(DataError, match=r"must have one of .*; it has a.pth; give the path of one"):
        models.load_weights(network(), tmp_path)
    with pytest.raises(DataError, match=r"a.pth must be a whole safetensors file"):
        models.load_weights(network(), tmp_path / "a.pth")
    with pytest.raises(MissingFileError, match=r"b.pth cannot be read"):
        models.load_weights(network(), tmp_path / "b.pth")


def test_the_network_in_a_checkpoint_is_found() -> None:
    source, model = network(), network(4)
    models.replace_head(model, 3)
    state = dict(source.state_dict())
    models.load_weights(model, {"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}})
    assert same(model, arrays(source))
    with pytest.raises(DataError, match=r"the dict must hold Tensors under names, but has epoch;"):
        models.load_weights(model, {"epoch": 3, **state})
    with pytest.raises(DataError, match=r"but has model, state_dict"):
        models.load_weights(model, {"model": state, "state_dict": state})
    with pytest.raises(ArgumentError, match=r"load_weights: the state must be a dict"):
        models.load_weights(model, 3)


# -- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.module."])
def test_what_wrappers_put_in_front_of_names_is_taken_off(prefix) -> None:
    source = network()
    model = models.replace_head(network(4), 3)
    given = {prefix + n: t for n, t in source.state_dict().items()}
    result = models.load_weights(model, given)
    assert same(model, arrays(source))
    assert result.renamed[f"{prefix}fc.bias"] == "fc.bias"


def test_a_name_that_fits_as_it_is_stays_as_it_is() -> None:
    model = nn.Module()
    model.module = nn.Linear(2, 1)
    result = models.load_weights(model, nn.DataParallel(nn.Linear(2, 1)).state_dict())
    assert result.renamed == {}


def test_densenet_understands_the_names_of_old_files() -> None:
    model = models.DenseNet(4, (2, 2), 8, num_classes=3)
    state = {}
    for n, t in models.DenseNet(4, (2, 2), 8, num_classes=3).state_dict().items():
        old = re.sub(r"(denselayer\d\.)(norm|conv)(\d)", r"\1\2.\3", n)
        if not old.endswith("num_batches_tracked"):  # younger than those files
            state[old] = t
    assert "features.denseblock1.denselayer1.norm.1.weight" in state
    result = models.load_weights(model, state)
    assert not result.missing
    for old, new in result.renamed.items():
        np.testing.assert_array_equal(model.state_dict()[new].numpy(), state[old].numpy())
    assert len(result.renamed) == 4 * 10


def test_vision_transformer_understands_the_names_of_old_files() -> None:
    model = models.VisionTransformer(8, 4, 1, 2, 8, 16, num_classes=3)
    state = {
        n.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): t
        for n, t in model.state_dict().items()
    }
    assert len(models.load_weights(model, state).renamed) == 4


def test_rename_is_a_function_or_beginnings_of_names() -> None:
    source = network()
    state = {f"backbone.{n}": t for n, t in source.state_dict().items()}
    state["backbone.extra"] = state["other"] = bl.zeros(2)
    rules = {"backbone.": "", "backbone.extra": None, "other": None}
    for rename in (
        rules,
        lambda n: None if "extra" in n or n == "other" else n.removeprefix("backbone."),
    ):
        model = models.replace_head(network(4), 3)
        result = models.load_weights(model, state, rename=rename)
        assert same(model, arrays(source))
        assert result.dropped == ["backbone.extra", "other"]
    with pytest.raises(ArgumentError, match=r"rename must give a name or None, got 3 for 'backb"):
        models.load_weights(model, state, rename=lambda n: 3)


def test_two_names_that_become_one_are_an_error() -> None:
    state = dict(nn.Linear(2, 1).state_dict())
    state["module.bias"] = state["bias"]
    with pytest.raises(ArgumentError, match=r"bias and module.bias of the dict would both become"):
        models.load_weights(nn.Linear(2, 1), state)


def test_a_network_may_know_names_that_hold_no_weights() -> None:
    model = nn.Linear(2, 1)
    model.known_names = ((r"^.*masked_bias$", None),)
    state = {**model.state_dict(), "masked_bias": bl.zeros(1)}
    assert models.load_weights(model, state).dropped == ["masked_bias"]


# -- what does not fit --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({}, ShapeError, r"fc.weight must be float32\[3,128\], got float32\[4,128"),
        ({}, ShapeError, r"give it a new head: models.replace_head\(model, num_classes\); strict"),
        (
            {"conv1.weight": np.zeros((64, 1, 7, 7))},
            ShapeError,
            r"nothing was loaded; make the network in the size that was saved; strict=False pas",
        ),
        (
            {"fc.weight": None, "fc.bias": np.zeros(3), "head.weight": np.zeros((3, 128))},
            ArgumentError,
            r"missing: fc.weight; unexpected: head.weight; nothing was loaded; rename= translat",
        ),
    ],
)
def test_nothing_is_loaded_if_names_or_shapes_do_not_fit(change, error, message) -> None:
    model = network()
    before = arrays(model)
    state = {**network(4).state_dict(), **change}
    with pytest.raises(error, match=message):
        models.load_weights(model, {n: t for n, t in state.items() if t is not None})
    assert same(model, before)


def test_not_strict_passes_over_and_says_so() -> None:
    model = network()
    before = arrays(model)
    state = dict(reversed(network(4).state_dict().items()))
    del state["bn1.bias"]
    state["more"] = bl.zeros(1)
    result = models.load_weights(model, state, strict=False)
    assert result.missing == ["bn1.bias"]
    assert result.unexpected == ["more"]
    assert list(result.misshapen) == ["fc.weight", "fc.bias"]  # as in the network
    assert result.misshapen == {
        "fc.weight": "must be float32[3,128], got float32[4,128]",
        "fc.bias": "must be float32[3], got float32[4]",
    }
    assert str(result).splitlines()[1:] == [
        "missing: bn1.bias",
        "unexpected: more",
        "misshapen: fc.weight, fc.bias",
    ]
    after = arrays(model)
    np.testing.assert_array_equal(after["conv1.weight"], state["conv1.weight"].numpy())
    np.testing.assert_array_equal(after["fc.weight"], before["fc.weight"])


def test_a_shared_tensor_may_stand_in_the_file_under_one_of_its_names() -> None:
    model = nn.Module()
    model.a, model.b = nn.Linear(2, 2), nn.Linear(2, 2)
    model.b.weight = model.a.weight
    state = {"b.weight": np.ones((2, 2)), "a.bias": np.ones(2), "b.bias": np.ones(2)}
    assert models.load_weights(model, state).missing == []
    assert (model.a.weight.numpy() == 1).all()
    state["a.weight"] = np.zeros((2, 2))
    with pytest.raises(ArgumentError, match=r"a.weight and b.weight are one shared Tensor"):
        models.load_weights(model, state)


def test_many_names_are_cut_short() -> None:
    state = {f"x{i}": bl.zeros(1) for i in range(20)}
    with pytest.raises(ArgumentError, match=r"unexpected: x0, .*, x7, and 12 more; nothing"):
        models.load_weights(nn.Identity(), state)
