"""Modules: attributes, names, modes, state, sharing, containers, printing."""

from __future__ import annotations

import copy
import itertools
import pickle
import re

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim
from backlit.errors import (
    ArgumentError,
    CallError,
    DTypeError,
    GradientError,
    IndexRangeError,
    ShapeError,
)
from backlit.nn.hooks import RemovableHandle


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3)
        self.inner = nn.Sequential(nn.Tanh(), nn.Linear(3, 1, bias=False))

    def forward(self, x):
        return self.inner(self.norm(self.first(x)))


def names(pairs) -> list[str]:
    return [name for name, _ in pairs]


def test_parameters_buffers_and_modules_have_dotted_names() -> None:
    net = Net()
    assert names(net.named_parameters()) == [
        "first.weight", "first.bias", "norm.weight", "norm.bias", "inner.1.weight",
    ]  # fmt: skip
    assert names(net.named_buffers()) == [
        "norm.running_mean", "norm.running_var", "norm.num_batches_tracked",
    ]  # fmt: skip
    assert names(net.named_modules()) == ["", "first", "norm", "inner", "inner.0", "inner.1"]
    assert names(net.named_children()) == ["first", "norm", "inner"]
    assert list(net.children()) == [net.first, net.norm, net.inner]
    assert next(iter(net.buffers())) is net.norm.running_mean
    assert net.get_submodule("inner.1") is net.inner[1]
    assert net.get_submodule("") is net


def test_attributes_move_between_kinds_and_can_be_deleted() -> None:
    net = nn.Module()
    net.a = nn.Linear(1, 1)
    net.a = nn.Parameter([1.0])
    assert names(net.named_parameters()) == ["a"]
    net.a = None
    assert names(net.named_parameters()) == []
    net.a = nn.Parameter([2.0])
    del net.a
    net.a = 3
    assert names(net.named_parameters()) == []
    net.register_buffer("b", bl.zeros(2))
    net.b = bl.ones(2)
    assert net._buffers["b"].tolist() == [1.0, 1.0]
    del net.b
    assert not hasattr(net, "b")
    assert names(net.named_buffers()) == []


REGISTERED = [
    ("weight", bl.zeros((1, 2)), r"Linear\.weight: it was registered as a Parameter, so its value "
     r"must be one or None, got float32\[1,2\] \(Tensor\); write nn.Parameter\(value\), or to "
     r"change its value weight\.assign\(value\); del it first"),
    ("weight", np.zeros((1, 2)), r"got array\(\[\[0., 0.\]\]\) \(ndarray\)"),
    ("bias", 0.0, r"Linear\.bias: it was registered as a Parameter.* got 0\.0 \(float\)"),
    ("count", 1, r"Linear\.count: it was registered as a Tensor.* got 1 \(int\); write backlit"),
    ("inner", len, r"Linear\.inner: it was registered as a Module.*built-in function len"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "text"), REGISTERED)
def test_what_was_registered_keeps_its_kind(name, value, text) -> None:
    net = nn.Linear(2, 1)
    net.register_buffer("count", bl.zeros(()))
    net.inner = nn.Tanh()
    before = getattr(net, name)
    with pytest.raises(DTypeError, match=text):
        setattr(net, name, value)
    assert getattr(net, name) is before
    assert names(net.named_parameters()) == ["weight", "bias"]
    setattr(net, name, None)
    assert getattr(net, name) is None


@pytest.mark.parametrize("name", ["", "a.b", "forward", "inner", 3])
def test_names_that_cannot_be_registered(name) -> None:
    net = nn.Linear(2, 1)
    net.inner = nn.Tanh()
    with pytest.raises(
        ArgumentError, match="Linear: a name must be a text without dots that is no"
    ):
        net.register_buffer(name, bl.zeros(1))
    with pytest.raises(DTypeError, match="registered as a Parameter, so its value must be one"):
        net.register_parameter("p", bl.zeros(1))


def test_parameters_stay_where_they_are_when_they_change_in_place() -> None:
    net = nn.Linear(2, 1)
    weight, value = net.weight, net.weight.tolist()
    with bl.no_grad():
        net.weight *= 0.5
        net.weight[0, 0] = 7.0
        for p in net.parameters():
            p -= 1.0
    assert net.weight is weight
    assert net.weight.tolist() == [[6.0, pytest.approx(value[0][1] * 0.5 - 1.0)]]
    assert names(net.named_parameters()) == ["weight", "bias"]
    assert isinstance(net.weight, nn.Parameter)
    with pytest.raises(
        GradientError, match=r"\*=: a leaf that requires a gradient \(float32\[1,2\]"
    ):
        net.weight *= 2


def test_a_missing_attribute_is_an_ordinary_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = Net().nothing


def test_train_and_eval_reach_every_module() -> None:
    net = Net()
    assert net.eval() is net
    assert [m.training for m in net.modules()] == [False] * 6
    assert [m.training for m in net.train().modules()] == [True] * 6


def test_requires_grad_and_zero_grad_reach_every_parameter() -> None:
    net = Net()
    net(bl.ones((4, 2))).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not net(bl.ones((4, 2))).requires_grad


def test_apply_visits_inner_modules_first() -> None:
    seen = []
    Net().apply(lambda m: seen.append(type(m).__name__))
    assert seen[-1] == "Net"
    assert sorted(seen) == ["BatchNorm1d", "Linear", "Linear", "Net", "Sequential", "Tanh"]


def test_apply_visits_modules_in_their_order() -> None:
    seen = []
    net = nn.Sequential(nn.Linear(1, 2), nn.Sequential(nn.ReLU(), nn.ELU()), nn.Tanh())
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "ReLU", "ELU", "Sequential", "Tanh", "Sequential"]


def test_what_was_taken_as_data_keeps_its_type() -> None:
    layer = nn.Linear(1, 1)
    old = layer.weight.data
    layer.double()
    assert (old.dtype, layer.weight.dtype) == (bl.float32, bl.float64)


def test_to_casts_floating_parameters_and_buffers() -> None:
    net = Net().to("float64")
    assert {p.dtype for p in net.parameters()} == {bl.float64}
    assert net.norm.running_mean.dtype == bl.float64
    assert net.norm.num_batches_tracked.dtype == bl.int64
    assert net(bl.ones((4, 2), dtype="float64")).dtype == bl.float64
    assert net.to("cpu") is net


# -- saving ---------------------------------------------------------------------------------------


def test_state_dict_round_trip_copies_every_value() -> None:
    one, two = Net(), Net()
    for p in one.parameters():
        nn.init.normal_(p)
    one(bl.ones((4, 2)) * bl.arange(4, dtype="float32").reshape(4, 1))
    two.load_state_dict(one.state_dict())
    assert names(one.state_dict().items()) == names(two.state_dict().items())
    for name, value in one.state_dict().items():
        assert two.state_dict()[name].numpy().tobytes() == value.numpy().tobytes(), name
    one.first.weight.assign(np.zeros((3, 2)))
    assert two.first.weight.numpy().any(), "loading must copy"


def test_state_dict_keeps_its_values_while_training_goes_on() -> None:
    net = Net()
    saved = net.state_dict()
    before = saved["first.weight"].tolist()
    net.first.weight.assign(net.first.weight.detach() + 1)
    assert saved["first.weight"].tolist() == before


def test_loading_keeps_the_parameter_object_and_its_dtype() -> None:
    layer = nn.Linear(1, 1)
    weight = layer.weight
    layer.load_state_dict({"weight": np.array([[2.0]]), "bias": np.array([3.0])})
    assert layer.weight is weight
    assert weight.dtype == bl.float32
    assert weight.tolist() == [[2.0]]


def test_buffers_that_are_not_persistent_are_not_saved() -> None:
    m = nn.Module()
    m.register_buffer("kept", bl.zeros(1))
    m.register_buffer("scratch", bl.zeros(1), persistent=False)
    assert list(m.state_dict()) == ["kept"]


def test_strict_false_passes_over_names() -> None:
    layer = nn.Linear(1, 1)
    layer.load_state_dict({"weight": [[5.0]], "other": [0.0]}, strict=False)
    assert layer.weight.tolist() == [[5.0]]


def test_a_shared_parameter_is_listed_once_and_trains_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(2, 2, bias=False)
            self.b = nn.Linear(2, 2, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x))

    net = Tied()
    assert names(net.named_parameters()) == ["a.weight"]
    net(bl.ones((1, 2))).sum().backward()
    w = bl.tensor(net.a.weight.numpy(), requires_grad=True)
    (bl.ones((1, 2)) @ w.mT @ w.mT).sum().backward()
    np.testing.assert_allclose(net.a.weight.grad.numpy(), w.grad.numpy(), rtol=1e-6)
    assert list(net.state_dict()) == ["a.weight", "b.weight"]


# -- errors ---------------------------------------------------------------------------------------


def test_module_errors_say_what_is_wrong() -> None:
    with pytest.raises(NotImplementedError, match=r"Module must define forward\(\)"):
        nn.Module()(1)
    with pytest.raises(ArgumentError, match=r"get_submodule: Net has no module 'x' \(of 'x.y'\)"):
        Net().get_submodule("x.y")
    with pytest.raises(DTypeError, match=r"Module.to: dtype must be floating, got int64"):
        Net().to("int64")


def test_load_state_dict_changes_nothing_if_anything_does_not_fit() -> None:
    layer = nn.Linear(2, 1)
    before = layer.weight.tolist()
    with pytest.raises(ArgumentError, match=r"missing: bias; unexpected: scale; strict=False"):
        layer.load_state_dict({"weight": [[0.0, 0.0]], "scale": [1.0]})
    with pytest.raises(ShapeError, match=r"bias must be float32\[1\], got float32\[2\]"):
        layer.load_state_dict({"weight": [[0.0, 0.0]], "bias": [0.0, 0.0]})
    assert layer.weight.tolist() == before


def test_an_error_inside_names_the_module_path() -> None:
    net = Net()
    net.norm = net.first = nn.Identity()
    with pytest.raises(ShapeError, match=r"in_features, got 5 and 3 .*; in Net.inner.1$"):
        net(bl.ones((1, 5)))


# -- containers -----------------------------------------------------------------------------------


def kinds(modules) -> list[str]:
    return [type(m).__name__ for m in modules]


@pytest.mark.parametrize("make", [lambda *ms: nn.Sequential(*ms), lambda *ms: nn.ModuleList(ms)])
def test_numbered_containers_behave_like_lists(make) -> None:
    box = make(nn.Tanh(), nn.ReLU(), nn.Identity())
    assert len(box) == 3
    assert kinds(box) == ["Tanh", "ReLU", "Identity"]
    assert type(box[-1]) is nn.Identity
    assert type(box[:2]) is type(box)
    assert kinds(box[1:]) == ["ReLU", "Identity"]
    assert box.append(nn.Sigmoid()) is box
    box.insert(1, nn.SiLU())
    assert kinds(box) == ["Tanh", "SiLU", "ReLU", "Identity", "Sigmoid"]
    assert list(box._modules) == ["0", "1", "2", "3", "4"]
    box[0] = nn.ELU()
    del box[2]
    del box[-1]
    assert kinds(box) == ["ELU", "SiLU", "Identity"]
    assert list(box._modules) == ["0", "1", "2"]
    box.extend([nn.Tanh()])
    del box[1:]
    assert kinds(box) == ["ELU"]


def test_sequential_calls_in_order_and_takes_names() -> None:
    from collections import OrderedDict

    named = nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Sigmoid()))
    assert named(bl.tensor([-1.0])).tolist() == [0.5]
    assert list(named._modules) == ["a", "b"]
    del named[0]
    assert list(named._modules) == ["b"]
    assert nn.Sequential()(bl.ones(1)).tolist() == [1.0]


def test_module_dict_behaves_like_a_dict() -> None:
    box = nn.ModuleDict({"a": nn.Linear(1, 1)})
    box["b"] = nn.Tanh()
    assert list(box) == ["a", "b"]
    assert len(box) == 2
    assert "a" in box
    assert "c" not in box
    assert kinds(box.values()) == ["Linear", "Tanh"]
    assert names(box.items()) == list(box.keys())
    assert names(box.named_parameters()) == ["a.weight", "a.bias"]
    assert type(box.pop("b")) is nn.Tanh
    del box["a"]
    assert len(box) == 0


def test_container_errors_say_what_is_wrong() -> None:
    with pytest.raises(
        ArgumentError, match=r"Sequential: element 1 must be a Module, got a number, 3; give layers"
    ):
        nn.Sequential(nn.Tanh(), 3)
    with pytest.raises(
        IndexRangeError, match=r"ModuleList: the index must lie in \[-1, 1\), got 1"
    ):
        _ = nn.ModuleList([nn.Tanh()])[1]
    with pytest.raises(ArgumentError, match=r"ModuleDict: names are str and values Modules, got 1"):
        nn.ModuleDict()[1] = nn.Tanh()
    with pytest.raises(ArgumentError, match=r"ModuleDict: 'keys' cannot name a module"):
        nn.ModuleDict({"keys": nn.Tanh()})
    with pytest.raises(ArgumentError, match=r"ModuleDict: no module 'b'; there are a"):
        _ = nn.ModuleDict({"a": nn.Tanh()})["b"]


# -- printing -------------------------------------------------------------------------------------


def test_repr_shows_the_tree_with_shapes_and_counts() -> None:
    assert repr(Net()) == (
        "Net(  # 18 parameters\n"
        "  (first): Linear(in_features=2, out_features=3)"
        "  # weight: float32[3,2], bias: float32[3]; 9 parameters\n"
        "  (norm): BatchNorm1d(3, eps=1e-05, momentum=0.1)"
        "  # weight: float32[3], bias: float32[3]; 6 parameters\n"
        "  (inner): Sequential(  # 3 parameters\n"
        "    (0): Tanh()\n"
        "    (1): Linear(in_features=3, out_features=1, bias=False)"
        "  # weight: float32[1,3]; 3 parameters\n"
        "  )\n"
        ")"
    )


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(bl.ones(2))

    def __repr__(self):
        return "Named(2 -> 1\n)"


def test_a_layers_own_repr_is_what_its_model_prints() -> None:
    assert repr(nn.Sequential(Named(), nn.ReLU())) == (
        "Sequential(  # 2 parameters\n  (0): Named(2 -> 1\n  )\n  (1): ReLU()\n)"
    )


# -- shared Tensors -----------------------------------------------------------------------------


def tied():
    """A Tensor shared by two modules, and a module that stands at two places."""
    model = nn.Sequential(
        nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2)
    )
    model[1].weight = model[0].weight
    model.append(model[2])
    return model


def values(model):
    return {n: t.numpy().copy() for n, t in model.state_dict().items()}


def test_a_shared_tensor_is_saved_under_each_of_its_names_and_read_under_any():
    model = tied()
    saved = model.state_dict()
    weights = [n for n in saved if "weight" in n]
    assert weights == ["0.weight", "1.weight", "2.weight", "3.weight"]
    assert len(saved) == 12
    w = bl.tensor([[1.0, 2.0], [3.0, 4.0]])
    rest = {n: t for n, t in saved.items() if n not in ("0.weight", "1.weight")}
    for names in (("0.weight",), ("1.weight",), ("0.weight", "1.weight")):
        model = tied()
        model.load_state_dict({**rest, **dict.fromkeys(names, w)})
        assert model[0].weight is model[1].weight
        assert model[1].weight.tolist() == w.tolist()


def test_names_of_one_shared_tensor_must_have_one_value():
    model = tied()
    full = model.state_dict()
    model.load_state_dict(full)
    assert model[2] is model[3]
    full["3.running_mean"] = full["3.running_mean"] + 1
    before = values(model)
    with pytest.raises(
        ArgumentError,
        match=r"2.running_mean and 3.running_mean are one shared Tensor in this Sequential, but",
    ):
        model.load_state_dict(full)
    after = values(model)
    assert all(np.array_equal(before[n], after[n]) for n in before)


def test_a_name_that_no_shared_tensor_has_is_still_unexpected():
    model = tied()
    state = model.state_dict()
    with pytest.raises(ArgumentError, match=r"missing: none; unexpected: 4.weight; strict=False"):
        model.load_state_dict({**state, "4.weight": state["0.weight"]})
    del state["0.weight"]
    model.load_state_dict(state)
    del state["1.weight"]
    with pytest.raises(ArgumentError, match=r"missing: 0.weight, 1.weight; unexpected: none"):
        model.load_state_dict(state)


def test_a_state_of_two_layers_does_not_fit_one_shared_layer_silently():
    apart = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    together = nn.Sequential(apart[0], apart[0])
    with pytest.raises(ArgumentError, match=r"0.weight and 1.weight are one shared Tensor"):
        together.load_state_dict(apart.state_dict())


def test_shared_tensors_stay_shared_through_a_file_and_a_copy(tmp_path):
    model = tied()
    bl.save_tensors(tmp_path / "w", model.state_dict())
    model.load_state_dict(bl.load_tensors(tmp_path / "w"))
    twin = copy.deepcopy(model)
    assert twin[0].weight is twin[1].weight
    assert twin[0].weight is not model[0].weight
    assert twin[2] is twin[3]


def note(module, args, y):
    seen.append(len(args))


seen: list[int] = []


def test_a_module_and_its_optimizer_are_pickled_together_and_go_on_as_they_were():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.LazyLinear(1), nn.Linear(1, 1))
    x = bl.tensor([[1.0, 2.0], [3.0, -1.0]])
    model(x)
    model[3].weight = model[2].weight = nn.Parameter([[0.1]])
    model[2] = nn.Linear(3, 1).eval()
    optimizer = optim.Adam(model.parameters(), lr=0.1)

    def step(model, optimizer):
        optimizer.zero_grad()
        (model(x) ** 2).sum().backward()
        optimizer.step()
        return [p.tolist() for p in (*model.parameters(), *model.buffers())]

    step(model, optimizer)
    model2, optimizer2 = pickle.loads(pickle.dumps((model, optimizer)))
    assert (model2[2].training, model2[1].training, repr(model2)) == (False, True, repr(model))
    assert step(model2, optimizer2) == step(model, optimizer)
    assert step(model2, optimizer2) == step(model, optimizer)


def test_a_module_that_is_unpickled_keeps_its_hooks_beside_new_ones():
    model = nn.ReLU()
    model.register_forward_hook(note)
    twin = pickle.loads(pickle.dumps(model))
    RemovableHandle._numbers = itertools.count()  # as in another process
    twin.register_forward_hook(note)
    twin(bl.ones(1))
    assert seen == [1, 1]


# -- names, casts and states, with PyTorch's options ----------------------------------------------


def test_names_may_be_given_once_or_under_each_place_and_here_only() -> None:
    model = tied()
    model.add_module("none", None)
    assert names(model.named_parameters()) == ["0.weight", "2.weight", "2.bias"]
    every = ["0.weight", "1.weight", "2.weight", "2.bias", "3.weight", "3.bias"]
    assert names(model.named_parameters(remove_duplicate=False)) == every
    assert names(model.named_parameters("net", recurse=False)) == []
    assert names(model[0].named_parameters("net", recurse=False)) == ["net.weight"]
    assert names(model.named_modules(remove_duplicate=False)) == ["", "0", "1", "2", "3"]
    assert names(model.named_modules(set(model[2:]))) == ["", "0", "1"]
    assert names(model.named_children()) == ["0", "1", "2"]
    assert len(list(model[2].buffers(recurse=False))) == 3
    model.self = model  # a circle ends
    assert len(list(model.named_modules(remove_duplicate=False))) == 5


def test_tensors_are_found_by_their_paths() -> None:
    net = Net()
    assert net.get_parameter("inner.1.weight") is net.inner[1].weight
    assert net.get_buffer("norm.running_var") is net.norm.running_var
    with pytest.raises(ArgumentError, match=r"get_parameter: Linear has no parameter 'scale' \(of "
                       r"'first.scale'\); it has weight, bias"):  # fmt: skip
        net.get_parameter("first.scale")
    with pytest.raises(ArgumentError, match=r"get_buffer: the path must be a text, got a number"):
        net.get_buffer(3)


def test_casts_by_name_and_the_device_that_is_not_there() -> None:
    net = nn.BatchNorm1d(2)
    for cast, dtype in (("double", "float64"), ("half", "float16"), ("bfloat16", "bfloat16"),
                        ("float", "float32")):  # fmt: skip
        assert getattr(net, cast)() is net
        assert net.weight.dtype == net.running_mean.dtype == bl.dtypes.as_dtype(dtype)
    assert net.num_batches_tracked.dtype == bl.int64
    assert net.to(bl.zeros((), dtype="float64"), non_blocking=True).weight.dtype == bl.float64
    assert net.type("float32").cpu().weight.dtype == bl.float32
    for move in (net.cuda, lambda: net.cuda(1), lambda: net.to("cuda")):
        with pytest.raises(ArgumentError, match=r"device: must be 'cpu', got 'cuda(:1)?'; Backlit"):
            move()


def test_states_have_prefixes_and_can_hold_the_tensors_themselves() -> None:
    net = nn.Linear(2, 1)
    into = {"a": bl.zeros(1)}
    state = net.state_dict(destination=into, prefix="head.", keep_vars=True)
    assert state is into
    assert list(state) == ["a", "head.weight", "head.bias"]
    assert state["head.weight"] is net.weight


def test_what_a_state_lacks_or_has_too_much_is_returned() -> None:
    net = nn.Linear(2, 1)
    before = net.weight.tolist()
    keys = net.load_state_dict({"bias": bl.ones(1), "scale": bl.ones(1)}, strict=False)
    assert keys.missing_keys == ["weight"]
    assert keys.unexpected_keys == ["scale"]
    assert repr(keys) == "IncompatibleKeys(missing_keys=['weight'], unexpected_keys=['scale'])"
    assert (net.weight.tolist(), net.bias.tolist()) == (before, [1.0])


def test_a_state_can_become_the_parameters() -> None:
    model = tied()
    state = {n: t.astype("float64") for n, t in model.state_dict().items() if t.dtype != bl.int64}
    given = model.load_state_dict({**state, "0.weight": nn.Parameter(state["0.weight"])},
                                  strict=False, assign=True)  # fmt: skip
    assert given.missing_keys == []  # files from before it was counted lack num_batches_tracked
    assert model[0].weight is model[1].weight
    assert model[0].weight.dtype == model[2].running_mean.dtype == bl.float64
    assert model[0].weight.requires_grad
    assert not model[2].running_mean.requires_grad
    model.requires_grad_(False)
    model.load_state_dict(model.state_dict(), assign=True)
    assert not any(p.requires_grad for p in model.parameters())


def test_a_buffer_is_registered_when_it_is_set() -> None:
    net = nn.Module()
    net.kept = nn.Buffer([1.0])
    net.temporary = nn.Buffer(bl.zeros(2), persistent=False)
    assert names(net.named_buffers()) == ["kept", "temporary"]
    assert list(net.state_dict()) == ["kept"]
    assert list(copy.deepcopy(net).state_dict()) == ["kept"]
    assert not net.kept.requires_grad


def test_gradients_can_be_set_to_zeros() -> None:
    net = nn.Linear(2, 1)
    net(bl.ones((1, 2))).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net.weight.grad.tolist() == [[0.0, 0.0]]


# -- containers of parameters ---------------------------------------------------------------------


def test_a_parameter_list_behaves_like_a_list() -> None:
    own = nn.Parameter([1.0])
    ours = nn.ParameterList([own, bl.zeros(2), "a word"])
    assert names(ours.named_parameters()) == ["0", "1"]
    assert ours[0] is own
    assert (len(ours), ours[-1], [type(v).__name__ for v in ours[1:]]) == (
        3, "a word", ["Parameter", "str"],
    )  # fmt: skip
    ours += [bl.ones(3)]
    ours[0] = bl.ones(4)
    assert [getattr(v, "shape", v) for v in ours] == [(4,), (2,), "a word", (3,)]
    assert ours.pop(0).shape == (4,)
    assert names(ours.named_parameters()) == ["0", "2"]
    with pytest.raises(IndexRangeError, match=r"ParameterList: the index must lie in \[-3, 3\)"):
        ours[3]


def test_a_parameter_dict_behaves_like_a_dict() -> None:
    ours = nn.ParameterDict({"a": bl.zeros(1), "b": nn.Parameter([1.0, 2.0])})
    assert names(ours.named_parameters()) == ["a", "b"]
    assert "a" in ours
    assert (list(ours), list(ours.keys()), len(ours)) == (["a", "b"], ["a", "b"], 2)
    both = ours | {"c": bl.zeros(3)}
    both |= [("d", bl.zeros(4))]
    assert [v.shape for v in both.values()] == [(1,), (2,), (3,), (4,)]
    assert both["b"] is ours["b"]
    assert both.get("x") is None
    assert both.setdefault("x", bl.ones(5)) is both["x"]
    assert both.popitem()[0] == "x"
    assert both.pop("a").shape == (1,)
    del both["b"]
    assert names(both.items()) == names(both.copy().items()) == ["c", "d"]
    assert list(both.fromkeys(["z"], bl.zeros(1))) == ["z"]
    both.clear()
    assert len(both) == 0
    with pytest.raises(ArgumentError, match="ParameterDict: no parameter 'e'; there are a, b"):
        ours["e"]
    with pytest.raises(ArgumentError, match="must be a text that is no attribute of ParameterDict"):
        ours["keys"] = bl.zeros(1)


def test_lists_of_modules_grow_and_shrink() -> None:
    ours = nn.ModuleList()
    ours += [nn.Tanh(), nn.ReLU()]
    assert [type(m).__name__ for m in ours + [nn.GELU()]] == ["Tanh", "ReLU", "GELU"]  # noqa: RUF005
    assert type(ours.pop(0)) is nn.Tanh
    assert names(ours.named_children()) == ["0"]
    modules = nn.ModuleDict({"a": nn.Tanh()})
    modules.clear()
    assert len(modules) == 0


def test_a_wrapper_for_devices_is_the_module_on_the_cpu() -> None:
    inner = nn.Linear(2, 1)
    wrapped = nn.DataParallel(inner, device_ids=[0, 1])
    x = bl.ones((3, 2))
    assert wrapped(x).tolist() == inner(x).tolist()
    assert list(wrapped.state_dict()) == ["module.weight", "module.bias"]
    assert repr(wrapped).startswith("DataParallel(on the CPU")


def test_non_blocking_by_place_is_no_dtype_and_gradients_are_cast_along():
    layer = nn.Linear(2, 1)
    layer(bl.ones((1, 2))).sum().backward()
    assert layer.to("cpu", bl.float64, True).weight.grad.dtype == bl.float64
    assert layer.weight.grad.tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x: nn.Linear(2, 3)(inptu=x), "Linear: it has no argument inptu; it takes x; did y"),
        (lambda x: nn.Linear(2, 3)(x, x), "Linear: it takes x, got 2 by place"),
        (lambda x: nn.Linear(2, 3)(), "Linear: x is missing; it takes x"),
        (
            lambda x: nn.MultiheadAttention(2, 1)(x, x, x, key_padding_msk=None),
            "MultiheadAttention: it has no argument key_padding_msk; it takes query, key, value, ",
        ),
        (lambda x: nn.Sequential(nn.Tanh())(x, mask=None), "Sequential: it has no argument mask;"),
        (lambda x: nn.Sequential(nn.Bilinear(2, 2, 2))(x), "Bilinear: x2 is missing; it takes x1"),
        (lambda x: nn.ReLU()(x, dim=1), "ReLU: it has no argument dim; it takes x"),
    ],
)  # fmt: skip
def test_a_call_that_a_layer_cannot_take_says_what_it_takes(call, text):
    with pytest.raises(CallError, match=re.escape(text)) as raised:
        call(bl.ones((1, 2, 2)))
    assert raised.value.__suppress_context__


def test_an_error_inside_a_layer_is_left_as_it_is():
    class Broken(nn.Module):
        def forward(self, x):
            return len(3)

    with pytest.raises(TypeError, match="object of type 'int' has no len"):
        Broken()(bl.ones(2))
