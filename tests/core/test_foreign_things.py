"""What is said of things of the wrong kind: what it is that came, and what to do with it."""

from __future__ import annotations

import collections
import copy
import dataclasses
import pathlib
import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim, see, train
from backlit.data import DataLoader
from backlit.errors import ArgumentError, BacklitError, DTypeError, ShapeError, TraceError
from sampling import every


def without_address(x):
    """The name of a case, the same in every process."""
    return re.sub(r" at 0x\w+", "", str(x), flags=re.IGNORECASE)


class OfAnotherLibrary:
    """An array of a library that does not give its elements away while it wants a gradient."""

    def __init__(self, wants_gradient):
        self.wants_gradient = wants_gradient

    def __array__(self, dtype=None, copy=None):
        if self.wants_gradient:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use detach()")
        return np.array([1.0, 2.0], np.float64)


LABELS = r"number the classes first: np\.unique\(labels, return_inverse=True\)\[1\]"
RECORDS = np.array([(1, 2.0)], dtype=[("a", int), ("b", float)])
LINEAR = nn.Linear(1, 2)

NO_NUMBERS = {
    "None": (None, "got None; give a value: does a function lack its return"),
    "text": ("cat", rf"got a text, 'cat'; {LABELS}"),
    "bytes": (b"cat", rf"got a text, b'cat'; {LABELS}"),
    "texts": (["cat", "dog"], rf"got texts, \['cat', 'dog'\]; {LABELS}"),
    "texts in rows": ([[1, "a"]], rf"got texts, \[\[1, 'a'\]\]; {LABELS}"),
    "text array": (np.array(["a"]), rf"got an array of texts \(<U1\); {LABELS}"),
    "path": (pathlib.Path("x.npy"), r"got a path, .*x\.npy.*; read the file first"),
    "dict": ({"a": 1}, r"got a dict, {'a': 1}; give one of its values"),
    "set": ({1}, r"got a set, \{1\}; give it an order: sorted\(x\)"),
    "generator": ((i for i in range(3)), r"got a generator or iterator, .*; use list\(x\)"),
    "map": (map(int, "12"), r"got a generator or iterator, .*; use list\(x\)"),
    "dict view": ({1: 2}.values(), r"got a view of a dict, .*; use list\(x\)"),
    "complex": (1j, r"got a complex number, 1j; use the real and imaginary parts"),
    "complex array": (np.array([1j]), r"got an array of complex numbers \(complex128\); use the"),
    "dates": (np.array(["2020-01-01"], "M8[D]"), r"got an array of dates .*; make numbers of them"),
    "time spans": (np.array([1], "m8[s]"), r"got an array of time spans .*; make numbers of them"),
    "records": (RECORDS, r"got an array of records .*; take a field, as x\['name'\]"),
    "objects": (np.array([1, 2.0], object), r"Python objects; cast it first: x\.astype\('float32'"),
    "None in objects": (np.array([1, None], object), r"got an array of objects, among them None;"),
    "None in a list": ([1.0, None], r"got a sequence that holds None; give a value"),
    "class": (nn.Linear, r"got a class, <class .*Linear'>; make an instance of it"),
    "module": (LINEAR, r"got an object of class Linear, .*; call it and give what it returns"),
    "method": (LINEAR.parameters, r"got an object of class method, .*; call it and give what"),
    "object": (object(), r"got an object of class object, .*; give numbers or an array"),
    "slice": (slice(3), r"got a slice, .*; use backlit\.arange"),
    "huge": ([2**70], r"holds an integer beyond 64 bits, \d+; write it as a float"),
    "fraction": (Fraction(1, 2), r"got a number of another kind, Fraction.*; use float\(x\)"),
    "decimals": ([Decimal(1)], r"holds a number of another kind, Decimal.*; use float\(x\)"),
    "masked": (np.ma.array([1, 2], mask=[0, 1]),
               r"got a masked array with 1 elements masked; say what stands there: x\.filled\(0\)"),
    "foreign": (OfAnotherLibrary(True), r"OfAnotherLibrary, .*: Can't call numpy\(\) on Tensor"),
    "foreign in a list": ([OfAnotherLibrary(True)], r": Can't call numpy\(\) on Tensor"),
}  # fmt: skip


@every("thing", NO_NUMBERS)
@every(
    "take",
    [
        bl.tensor,
        bl.asarray,
        lambda x: bl.tensor(x, dtype="float32"),
        lambda x: bl.ones(2).assign(x),
        lambda x: bl.ones(2) + x,
        lambda x: x * bl.ones(2),
        lambda x: bl.ones(2) < x,
        bl.exp,
        lambda x: bl.where(bl.ones(2), x, 0.0),
        nn.ReLU().forward,
        nn.Parameter,
    ],
)  # fmt: skip
def test_what_is_no_number_is_named_with_its_cure(take, thing):
    data, text = NO_NUMBERS[thing]
    with pytest.raises(DTypeError, match=text):
        take(copy.copy(data) if isinstance(data, list) else data)


def test_the_layer_that_got_none_is_named():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Tanh()
            self.second = nn.ReLU()

        def forward(self, x):
            self.first(x)
            return self.second(None)

    with pytest.raises(DTypeError, match=r"got None; .* return\?; in Net\.second$"):
        Net()(bl.ones(2))


def test_lists_of_different_lengths_are_named():
    for data in ([[1], [2, 3]], [1, [2]], [np.ones(2), np.ones(3)]):
        with pytest.raises(
            ArgumentError, match=r"got lists of different lengths or depths, .*; give all of them"
        ):
            bl.tensor(data)


def test_numbers_that_do_not_fit_the_asked_dtype_are_named():
    with pytest.raises(ArgumentError, match=r"data must fit into uint8: .*300 out of bounds"):
        bl.tensor([300], dtype="uint8")
    with pytest.raises(ArgumentError, match="data must fit into int64: cannot convert float NaN"):
        bl.tensor([float("nan")], dtype="int64")


@every("dtype", [">f4", ">f8", ">i2", ">u8", ">f2"])
def test_arrays_of_the_other_byte_order_are_converted(dtype):
    array = np.arange(1, 7).astype(dtype).reshape(3, 2)
    own = array.dtype.newbyteorder("=")
    for t in (bl.tensor(array), bl.asarray(array), bl.tensor(array, dtype=own)):
        assert (t.dtype, t.tolist()) == (own, array.tolist())
    assert bl.zeros(1, dtype=dtype).dtype == own
    assert (bl.zeros((3, 2), dtype=own) + array).tolist() == array.tolist()
    with pytest.raises(ArgumentError, match="asarray: copy=False, but a copy is needed"):
        bl.asarray(array, copy=False)


def test_captured_code_asks_for_the_byte_order_of_this_machine():
    array = np.arange(2, dtype=">f4")
    with pytest.raises(DTypeError, match=r"got >f4; convert it outside: x\.astype\(x\.dtype\.newb"):
        bl.compile(lambda x: x + array)(bl.ones(2))


@every(
    "data, want, dtype",
    [
        (range(3), [0, 1, 2], "int64"),
        (collections.deque([1.0, 2.0]), [1.0, 2.0], "float32"),
        (bytearray(b"ab"), [97, 98], "uint8"),
        (np.ones((1, 2)).view(np.matrix), [[1.0, 1.0]], "float64"),
        (np.ma.array([1.0, 2.0]), [1.0, 2.0], "float64"),
        (OfAnotherLibrary(False), [1.0, 2.0], "float64"),
        ([OfAnotherLibrary(False)], [[1.0, 2.0]], "float64"),
        ([], [], "float32"),
    ],
)
def test_what_holds_numbers_is_taken(data, want, dtype):
    t = bl.tensor(data)
    assert (t.tolist(), t.dtype.name) == (want, dtype)


NEVER_EQUAL = [None, "a", b"a", object(), {"a": 1}, {1}, LINEAR, len, nn.Linear, ...]


@every("other", NEVER_EQUAL)
def test_a_tensor_and_what_is_no_number_differ_as_any_two_things_do(other):
    x = bl.ones(2)
    assert (x == other) is False
    assert (other == x) is False
    assert (x != other) is True
    assert other not in x
    assert x not in [other, None]
    assert [other, x].index(other) == 0
    assert bl.compile(lambda t: t if t != other else -t)(x).tolist() == [1.0, 1.0]


def test_a_tensor_is_found_in_a_list_by_identity():
    x = bl.ones(2)
    assert x in [None, x]
    assert [None, "a", x].index(x) == 2
    with pytest.raises(ShapeError, match=r"use any\(\), .* and `is` to look for a Tensor"):
        [bl.ones(2), x].index(x)


def test_equality_of_texts_as_arrays_is_refused():
    with pytest.raises(DTypeError, match="number the classes first"):
        bl.tensor([0, 1]) == np.array(["cat", "dog"])  # noqa: B015
    with pytest.raises(DTypeError, match="number the classes first"):
        bl.tensor([0, 1]) == ["cat", "dog"]  # noqa: B015


# -- loaders ------------------------------------------------------------------------------------

ROWS = [(np.float32([i, i]), i) for i in range(10)]


def numbers(loader):
    return [y.tolist() for _, y in loader]


@every(
    "options",
    [
        {"num_workers": 3},
        {"num_workers": np.int64(2), "prefetch_factor": 4, "persistent_workers": True},
        {"pin_memory": True, "pin_memory_device": "cuda"},
        {"num_workers": 1, "timeout": 10, "in_order": True},
        {"worker_init_fn": lambda worker: 1 / 0},
        {"sampler": None, "batch_sampler": None, "collate_fn": None, "generator": None},
        {"shuffle": None, "drop_last": False},
    ],
)
def test_what_pytorch_loops_pass_is_taken_and_changes_no_number(options):
    assert numbers(DataLoader(ROWS, 4, **options)) == numbers(DataLoader(ROWS, 4))
    if not {"shuffle", "sampler"} & set(options):
        shuffled = DataLoader(ROWS, 4, shuffle=True, **options)
        assert numbers(shuffled) == numbers(DataLoader(ROWS, 4, shuffle=True))


@every("workers", [0, 2])
def test_a_batch_sampler_says_what_is_in_each_batch(workers):
    batches = [[0, 1], [5], (9, 9, 2)]
    loader = DataLoader(ROWS, batch_sampler=batches, num_workers=workers)
    assert (len(loader), numbers(loader)) == (3, [[0, 1], [5], [9, 9, 2]])
    data = bl.data.TensorDataset(np.zeros((10, 2), np.float32), np.arange(10))
    loader = DataLoader(data, batch_sampler=batches)
    assert numbers(loader) == [[0, 1], [5], [9, 9, 2]]
    assert loader.tensors is None
    it = iter(loader)
    next(it)
    again = DataLoader(data, batch_sampler=batches)
    again.load_state_dict(loader.state_dict())
    assert numbers(again) == [[5], [9, 9, 2]]


def test_a_generator_draws_the_order():
    given = DataLoader(ROWS, 4, shuffle=True, generator=bl.Generator(7))
    assert numbers(given) == numbers(DataLoader(ROWS, 4, shuffle=True, seed=7))


@every(
    "options, text",
    [
        ({"num_workers": -1}, r"num_workers must be an integer that is not negative, got -1"),
        ({"num_workers": 1, "prefetch_factor": 0}, "prefetch_factor must be a positive integer"),
        ({"generator": np.random.default_rng(0)}, r"generator must be a backlit\.Generator, got a"),
        ({"generator": bl.Generator(1), "seed": 3}, "got seed=3 beside it; give one of them"),
        ({"collate_fn": "stack"}, "collate_fn must be a function, got 'stack'"),
        ({"sampler": 3}, "sampler must be an iterable of example numbers, got a number, 3"),
        ({"batch_sampler": [[0]], "batch_size": 4}, r"batch_sampler says what is in each batch; l"),
        ({"batch_sampler": [[0]], "shuffle": True}, r"batch_sampler says what is in each batch; l"),
    ],
)  # fmt: skip
def test_what_would_change_something_is_refused_with_the_cure(options, text):
    with pytest.raises(ArgumentError, match=text):
        DataLoader(ROWS, **options)


@every(
    "dataset, text",
    [
        (None, "got None; "),
        (5, "got a number, 5; use a data.TensorDataset, a list of examples, or a"),
        ("train.csv", "got a text, 'train.csv'; read the file first, and make a data.TensorD"),
        (pathlib.Path("a"), "got a path, .*; use a data.TensorDataset"),
        ({"x": [1]}, r"got a dict, .*; make a data\.TensorDataset\(\*dataset\.values\(\)\)"),
        (bl.data.TensorDataset, "got a class, .*; make an instance of it"),
        (lambda: ROWS, "got an object of class function, .*; call it and give what it returns"),
    ],
)
def test_what_is_no_dataset_is_named(dataset, text):
    with pytest.raises(ArgumentError, match=rf"DataLoader: a dataset has __getitem__ .*{text}"):
        DataLoader(dataset)


@every(
    "examples, text",
    [
        ([], "a batch needs at least one example, got none"),
        ([{"a": 1}, {"b": 1}], "all examples must have the keys a; pass a collate_fn"),
        ([(1, 2), 3], "all examples must be of one kind, got tuple and others; pass a collate_fn"),
    ],
)
def test_examples_that_make_no_batch_are_named(examples, text):
    with pytest.raises((ArgumentError, ShapeError), match=f"collate: {text}"):
        bl.data.collate(examples)


# -- states -------------------------------------------------------------------------------------


@every(
    "state, text",
    [
        (
            "model.safetensors",
            r"got a text, .*; read the file first: backlit\.load_tensors\(path\)",
        ),
        (
            pathlib.Path("a.pt"),
            r"got a path, .*; read the file first: backlit\.load_tensors\(path\)",
        ),
        (LINEAR, r"got an object of class Linear, .*; use its state_dict\(\)"),
        (LINEAR.state_dict, r"got an object of class method, .*; give what state_dict\(\) gave"),
        (None, r"got None; give what state_dict\(\) gave"),
        ([1], r"got .*; give what state_dict\(\) gave"),
    ],
)
@every(
    "owner",
    [
        nn.Linear(1, 2),
        optim.Adam(LINEAR.parameters()),
        DataLoader(ROWS),
        bl.Generator(),
    ],
)
def test_a_state_is_a_dict(owner, state, text):
    with pytest.raises(ArgumentError, match=rf"load_state_dict: the state must be a dict, {text}"):
        owner.load_state_dict(state)


# -- parameters ---------------------------------------------------------------------------------

PARAMETERS = {
    "model": (LINEAR, r"got an object of class Linear, .*; use model\.parameters\(\)"),
    "sequential": (
        nn.Sequential(LINEAR),
        r"got an object of class Sequential, .*; use model\.parameters\(\)",
    ),
    "uncalled": (LINEAR.parameters, "got an object of class method, .*; call it and give what it"),
    "named": (LINEAR.named_parameters(), r"got .*; use model\.parameters\(\)"),
    "state": (LINEAR.state_dict(), r"got a dict, .*; use model\.parameters\(\)"),
    "None": (None, r"got None; use model\.parameters\(\)"),
    "text": ("weight", r"got a text, 'weight'; use model\.parameters\(\)"),
    "modules": ([LINEAR], r"got an object of class Linear, .*; use model\.parameters\(\)"),
}


OPTIMIZERS = [
    optim.Adam,
    lambda p: optim.SGD(p, lr=0.1),
    lambda p: optim.SGD([{"params": p}], lr=0.1),
]


@every("given", PARAMETERS)
@every(
    "use",
    [
        *OPTIMIZERS,
        lambda p: optim.clip_grad_norm_(p, 1.0),
        lambda p: optim.clip_grad_value_(p, 1.0),
        lambda p: bl.functional.l2_penalty(p, 0.1),
    ],
)
def test_what_are_no_parameters_is_named(use, given):
    parameters, text = PARAMETERS[given]
    if given == "named":
        parameters = LINEAR.named_parameters()
        if use in OPTIMIZERS:
            use(parameters)  # as PyTorch's take them
            return
    with pytest.raises(DTypeError, match=f"parameters are Tensors, alone or in a list, {text}"):
        use(parameters)


# -- numbers ------------------------------------------------------------------------------------

OPTIMIZER = optim.SGD(LINEAR.parameters(), lr=0.1)
INTEGERS = {
    "Linear: in_features": lambda n: nn.Linear(n, 2),
    "Conv2d: out_channels": lambda n: nn.Conv2d(1, n, 3),
    "LayerNorm: normalized_shape": lambda n: nn.LayerNorm((2, n)),
    "DataLoader: batch_size": lambda n: DataLoader(ROWS, n),
    "TopK: k": lambda n: train.TopK(n),
    "EarlyStopping: patience": lambda n: train.EarlyStopping(n),
    "Watch: every": lambda n: train.Watch(every=n),
    "fit: epochs": lambda n: trainer().fit(DATA, epochs=n),
    "Trainer: checkpoint_steps": lambda n: trainer(checkpoints="x", checkpoint_steps=n),
}
REALS = {
    "Dropout: p": lambda x: nn.Dropout(x),
    "dropout: p": lambda x: bl.functional.dropout(bl.ones(2), x),
    "leaky_relu: negative_slope": lambda x: bl.functional.leaky_relu(bl.ones(2), x),
    "elu: alpha": lambda x: bl.functional.elu(bl.ones(2), x),
    "LayerNorm: eps": lambda x: nn.LayerNorm(2, eps=x),
    "BatchNorm1d: eps": lambda x: nn.BatchNorm1d(2, eps=x),
    "BatchNorm1d: momentum": lambda x: nn.BatchNorm1d(2, momentum=x),
    "CrossEntropyLoss: label_smoothing": lambda x: nn.CrossEntropyLoss(label_smoothing=x),
    "huber_loss: delta": lambda x: bl.functional.huber_loss(bl.ones(2), bl.ones(2), delta=x),
    "clip_grad_norm_: max_norm": lambda x: optim.clip_grad_norm_(LINEAR.parameters(), x),
    "Trainer: clip_norm": lambda x: trainer(clip_norm=x),
    "LSTM: dropout": lambda x: nn.LSTM(2, 2, dropout=x),
}


@every("what", INTEGERS)
def test_sizes_and_counts_are_integers_of_any_kind(what):
    INTEGERS[what](np.int64(3)) if what != "fit: epochs" else None
    for wrong in (0, -1, 2.0, True, "3", [2, 3], 1j, nn.Linear):
        with pytest.raises(ArgumentError, match=rf"{what} must be a positive integer, got "):
            INTEGERS[what](wrong)


@every("what", REALS)
def test_real_arguments_are_numbers_of_any_kind(what):
    for right in (1, 0.5, np.float32(0.5), np.int64(1), bl.tensor(0.5)):
        REALS[what](right)
    for wrong in ("0.5", b"1", True, 1j, [0.5, 0.5], nn.Linear, {}):
        with pytest.raises(ArgumentError, match=rf"{what} must be a number, got "):
            REALS[what](wrong)


# -- the Trainer --------------------------------------------------------------------------------

DATA = bl.data.TensorDataset(
    np.random.default_rng(0).normal(size=(70, 1)).astype(np.float32), np.arange(70) % 2
)


def trainer(loss_fn=None, model=None, **options):
    model = nn.Linear(1, 2) if model is None else model
    loss_fn = nn.CrossEntropyLoss() if loss_fn is None else loss_fn
    parameters = model.parameters() if isinstance(model, nn.Module) else LINEAR.parameters()
    options = {"optimizer": optim.SGD(parameters, lr=0.1), "progress": "quiet", **options}
    return train.Trainer(model, loss_fn, **options)


@every(
    "options, text",
    [
        ({"model": nn.Linear}, "model must be a Module, got a class, .*; make an instance of it"),
        ({"model": bl.exp}, r"model must be a Module, got .*; wrap a function in a Module's forwa"),
        ({"loss_fn": nn.MSELoss}, r"loss_fn must be a function .*, got a class, .* nn\.MSELoss\("),
        ({"loss_fn": "mse"}, r"loss_fn must be a function .*, got a text, 'mse'; as nn\.Cross"),
        ({"optimizer": optim.Adam}, r"optimizer must be an Optimizer, got a class, .*parameters\("),
        ({"optimizer": "adam"}, r"got a text, 'adam'; as optim\.Adam\(model\.parameters\(\)\)"),
        ({"optimizer": None}, r"got None; as optim\.Adam\(model\.parameters\(\)\)"),
        ({"schedule": "cosine"}, r"a schedule or None, got a text, .*optim\.lr_scheduler\.Ste"),
        ({"schedule": optim.lr_scheduler.StepLR}, "got a class, .*; make an instance of it, as op"),
        ({"metrics": ["precision"]}, r"got a text, 'precision'; the names are accuracy, acc, top-"),
        ({"metrics": train.Accuracy}, "metrics must be Metrics .*, got a class, .*; make an insta"),
        ({"metrics": [3]}, r"subclass train\.Metric with an update\(prediction, target\)"),
        ({"metrics": 3}, "metrics must be a list, got a number, 3"),
        ({"callbacks": [train.EarlyStopping]}, "callbacks must be Callbacks, got a class, .*; mak"),
        ({"callbacks": [print]}, r"callbacks must be Callbacks, got .*; subclass train\.Callback"),
        ({"callbacks": "log"}, "callbacks must be a list, got a text, 'log'"),
    ],
)  # fmt: skip
def test_what_no_trainer_can_work_with_is_named(options, text):
    with pytest.raises(ArgumentError, match=f"Trainer: .*{text}"):
        trainer(**options)


@every("metrics", ["accuracy", ["acc"], [train.Accuracy()], train.Accuracy()])
def test_metrics_have_names_and_may_stand_alone(metrics):
    assert "validation_accuracy" in trainer(metrics=metrics).fit(DATA, DATA)[0]


def test_no_metrics_and_no_callbacks_are_none():
    assert trainer(metrics=None, callbacks=None).metrics == []
    assert len(trainer(callbacks=train.EarlyStopping()).callbacks) == 1


def test_a_dataset_is_trained_in_shuffled_batches():
    with_dataset, with_loader = (trainer(model=bl_linear()) for _ in range(2))
    loader = DataLoader(DATA, 32, shuffle=True)
    for epochs in (1, 3):
        with_dataset.fit(DATA, DATA, epochs=epochs)
        with_loader.fit(loader, DataLoader(DATA, 32), epochs=epochs)
    assert with_dataset.history == with_loader.history
    assert with_dataset.evaluate(DATA) == with_loader.evaluate(DataLoader(DATA, 32))


def bl_linear():
    bl.manual_seed(0)
    return nn.Linear(1, 2)


@every(
    "loader, text",
    [
        (None, "got None; use DataLoader"),
        ("train.csv", "got a text, 'train.csv'; use DataLoader"),
        (bl.ones((4, 1)), r"got (a Tensor; use DataLoader\(T|inputs alone; write fit\(X, y\))"),
        (DataLoader, "got a class, .*; use DataLoader"),
        ([(bl.ones((4, 1)),)], "the batch has one entry, which is its own target, .*; give other"),
        ([{"x": bl.ones((4, 1))}], r"must have its target under .*name it: Trainer\(\.\.\., targ"),
        ([bl.ones((4, 1))], "got an array alone; give the targets, too: DataLoader"),
        (np.ones((4, 1)), r"got (an array alone; give the targets|inputs alone; write fit\(X, y)"),
        ([(bl.ones((4, 1)), None)], "got None; give a value"),
        ([(bl.ones((2, 1)), ["cat", "dog"])], "got texts, .*; number the classes first"),
    ],
)
@every("method", ["fit", "evaluate"])
def test_what_gives_no_batches_is_named(method, loader, text):
    with pytest.raises((ArgumentError, DTypeError, ShapeError), match=text):
        getattr(trainer(), method)(loader)


def test_a_metric_without_the_base_initialisation_counts():
    class Largest(train.Metric):
        name = "largest"

        def __init__(self):
            self.seen = 0

        def update(self, prediction, target):
            self.seen += 1
            self.total = max(self.total, float(bl.max(prediction)))
            self.count = 1

    largest = Largest()
    record = trainer(metrics=[largest]).fit(DATA, DATA)[0]
    assert largest.seen
    assert np.isfinite([record["largest"], record["validation_largest"]]).all()


@every("dataclass", [False, True])
def test_a_module_without_the_base_initialisation_works(dataclass):
    class Forgetful(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 2)

        def forward(self, x):
            return self.layer(x)

    @dataclasses.dataclass(eq=False)
    class Described(nn.Module):
        layer: nn.Linear

        def forward(self, x):
            return self.layer(x)

    net = Described(nn.Linear(1, 2)) if dataclass else Forgetful()
    assert list(net.state_dict()) == ["layer.weight", "layer.bias"]
    assert not net.eval().training
    before = net.layer.weight.numpy().copy()
    trainer(model=net).fit(DATA)
    assert (before != net.layer.weight.numpy()).any()


@every("method", ["fit", "evaluate"])
def test_a_branch_on_a_value_in_a_loss_names_the_way_without_compiling(method):
    def loss_fn(prediction, target):
        loss = bl.functional.cross_entropy(prediction, target)
        return loss if loss > 0 else -loss

    with pytest.raises(
        TraceError, match=r"or train without compiling: Trainer\(\.\.\., compile=Fa"
    ):
        getattr(trainer(loss_fn), method)(DATA)
    assert getattr(trainer(loss_fn, compile=False), method)(DATA)


@every(
    "loss_fn, text",
    [
        (lambda p, t: None, "got None; return the mean over the batch from loss_fn"),
        (lambda p, t: 1.5, "got a number, 1.5; return the mean"),
        (lambda p, t: p, r"got float32\[\d+,2\]; return the mean over the batch"),
        (nn.CrossEntropyLoss(reduction="none"), r"got float32\[\d+\]; return the mean"),
        (lambda p, t: (p.mean(), p), "got .*; return the mean over the batch"),
    ],
)
@every("compiled", [False, True])
def test_a_loss_is_one_number(loss_fn, text, compiled):
    for method in ("fit", "evaluate"):
        with pytest.raises(ArgumentError, match=f"the loss must be a Tensor of one number, {text}"):
            getattr(trainer(loss_fn, compile=compiled), method)(DATA)


# -- functions ----------------------------------------------------------------------------------

X = bl.tensor([[1.0, 2.0], [3.0, 4.0]])


@every("wrong", [None, 3, "exp", X, {"f": 1}])
@every(
    "what, use",
    [
        ("vjp: f", lambda f: bl.vjp(f, X)),
        ("jvp: f", lambda f: bl.jvp(f, X, X)),
        ("hvp: f", lambda f: bl.hvp(f, X, X)),
        ("jacobian: f", lambda f: bl.jacobian(f, X)),
        ("hessian: f", lambda f: bl.hessian(f, X)),
        ("value_and_grad: f", lambda f: bl.value_and_grad(f)),
        ("gradcheck: f", lambda f: bl.gradcheck(f, X)),
        ("apply: function", lambda f: nn.Tanh().apply(f)),
    ],
)
def test_a_function_is_asked_for(what, use, wrong):
    with pytest.raises(ArgumentError, match=f"{what} must be a function, got "):
        use(wrong)


SHAPES = {
    "reshape": lambda n: bl.reshape(X, n),
    "Tensor.reshape": lambda n: X.reshape(n),
    "zeros": bl.zeros,
    "broadcast_to": lambda n: bl.broadcast_to(X, n),
}


@every("name", SHAPES)
@every("wrong", ["ab", 1.5, [2, "a"], {2: 2}, (2, 2.0), nn.Tanh, 1j])
def test_a_shape_is_integers(name, wrong):
    with pytest.raises(ArgumentError, match=r"a shape is integers, got "):
        SHAPES[name](wrong)


LISTS = {
    "concat: the Tensors": bl.concat,
    "stack: the Tensors": bl.stack,
    "permute_dims: axes": lambda v: bl.permute_dims(X, v),
    "ModuleList: modules": nn.ModuleList,
    "ModuleDict: modules": nn.ModuleDict,
    "Subset: indices": lambda v: bl.data.Subset(ROWS, v),
    "random_split: lengths": lambda v: bl.data.random_split(ROWS, v),
}


@every("what", LISTS)
@every("wrong", [None, 3, "ab", 1.5, len, nn.Tanh()])
def test_a_list_is_asked_for(what, wrong):
    with pytest.raises(ArgumentError, match=f"{what} must be a list or tuple, got "):
        LISTS[what](wrong)


@every("wrong", ["seed", 3, np.random.default_rng(0), bl.Generator])
@every(
    "use",
    [
        lambda g: nn.Linear(2, 3, generator=g),
        lambda g: nn.Embedding(2, 3, generator=g),
        lambda g: nn.LSTM(2, 3, generator=g),
        lambda g: bl.functional.dropout(X, generator=g),
        lambda g: nn.init.normal_(bl.ones(2), generator=g),
    ],
)
def test_a_generator_is_asked_for(use, wrong):
    with pytest.raises(ArgumentError, match=r"generator: must be a backlit\.Generator, got "):
        use(wrong)


@every(
    "call, text",
    [
        (lambda: bl.arange("3"), "got a text, '3'"),
        (lambda: bl.arange([1, 2]), r"start, stop and step are single numbers, got int64\[2\]"),
        (lambda: bl.linspace(0, 1j, 3), "got a complex number, 1j"),
        (lambda: bl.linspace(None, 1, 3), "got None"),
        (lambda: bl.linspace(0, 1, 2.5), "linspace: num must be an integer that is not negative"),
        (lambda: bl.full((2,), np.complex64(1j)), "got an array of complex numbers"),
        (lambda: bl.full_like(X, 1j), "full: fill_value must be a number, got 1j"),
        (lambda: bl.from_dlpack([1]), r"from_dlpack: x must be an array with __dlpack__, got a l"),
        (lambda: bl.roll(X, 1.5, axis=0), r"roll: shift must be an integer, got 1\.5"),
        (lambda: bl.pad(X, ((1, 1.5), (0, 0))), r"pad: a width must be an integer, got 1\.5"),
        (lambda: bl.einsum(3, X), "einsum: subscripts are letters, .*got 3"),
        (lambda: bl.functional.maxout(X, "2"), "maxout: pieces must be a positive integer, got '2"),
        (lambda: bl.grad(X, [1.5]), r"grad: inputs\[0\] must be a Tensor, got a number, 1\.5"),
        (lambda: bl.grad(None, X.detach().requires_grad_()), "grad: the output must have been"),
        (lambda: bl.hessian(lambda x: 1.5, X), "hessian: the function must return a Tensor, got a"),
        (lambda: setattr(bl.ones(2), "grad", np.ones(2)), r"grad: a gradient must be a Tensor or"),
        (lambda: nn.Tanh().get_submodule(3), "get_submodule: the path must be a text, got a numbe"),
        (lambda: nn.ModuleDict([nn.Tanh()]), "ModuleDict: modules must be a dict, or pairs"),
        (lambda: nn.Embedding(3, 2, padding_idx=0.5), r"Embedding: padding_idx must be an integer"),
        (lambda: bl.data.Subset(ROWS, [True, False]), r"indices must be a list of integers, got b"),
        (lambda: bl.data.Subset(None, [0]), "Subset: the dataset must have __getitem__ and __len_"),
        (lambda: bl.data.random_split(iter(ROWS), [1]), "random_split: the dataset must have __ge"),
        (lambda: bl.data.random_split(ROWS, ["a", 1]), "random_split: a length must be a number,"),
        (lambda: list(DataLoader(ROWS, sampler=[0, 1.5])), "a sampler gives the numbers of exampl"),
        (lambda: list(DataLoader(ROWS, batch_sampler=[3])), "a batch_sampler gives the numbers of"),
        (lambda: see.differentiate(3, {}), "formula: a text is required, got a number, 3"),
    ],
)  # fmt: skip
def test_wrong_kinds_of_arguments_are_named(call, text):
    with pytest.raises(BacklitError, match=text):
        call()


def test_arrays_and_lists_stand_for_tensors():
    w, b = np.array([[1.0, 2.0]], np.float32), np.array([0.5], np.float32)
    assert bl.functional.linear(X, w, b).tolist() == [[5.5], [11.5]]
    assert bl.functional.embedding([1], [[1.0], [2.0]]).tolist() == [[2.0]]
    image, kernel = bl.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2), np.float32)
    assert bl.functional.conv2d(image, kernel, b).tolist() == [[[[4.5]]]]
    assert bl.zeros_like([1.0, 2.0]).tolist() == [0.0, 0.0]
    assert bl.full_like(np.ones(2), 3).dtype == bl.float64
    assert bl.jacobian(lambda x: x * x, np.array([1.0, 2.0])).tolist() == [[2.0, 0.0], [0.0, 4.0]]
    assert bl.roll(X, np.int64(1), axis=1).tolist() == [[2.0, 1.0], [4.0, 3.0]]


# -- data of the right kind in the wrong form -----------------------------------------------------


@every(
    "call, text",
    [
        (lambda: bl.functional.cross_entropy(X, bl.tensor([[0], [1]])),
         r"wanted \(2,\); give target\.reshape\(\(2,\)\)"),
        (lambda: bl.functional.cross_entropy(X, bl.tensor([[0, 1], [1, 0]])),
         r"of one-hot rows give target\.astype\('float32'\) or the labels"),
        (lambda: nn.Conv2d(3, 4, 3)(bl.ones((2, 8, 9, 3))),
         r"channels come before places: permute_dims\(x, \(0, 3, 1, 2\)\); in Conv2d"),
        (lambda: nn.Conv1d(3, 4, 3)(bl.ones((2, 8, 3))),
         r"channels come before places: permute_dims\(x, \(0, 2, 1\)\); in Conv1d"),
        (lambda: nn.Linear(12, 2)(bl.ones((5, 1, 3, 4))),
         r"put nn\.Flatten\(\) in front, or x\.reshape\(\(len\(x\), -1\)\); in Linear"),
        (lambda: nn.Sequential([nn.Tanh()]), r"got a list; unpack it, Sequential\(\*modules\)"),
        (lambda: nn.Sequential(nn.ReLU), "element 0 must be a Module, got a class, .*; make"),
        (lambda: nn.Sequential(bl.tanh), r"use its Module, as nn\.Tanh\(\) for tanh, or write one"),
        (lambda: nn.ModuleList([None]), "ModuleList: element 0 must be a Module, got None"),
    ],
)  # fmt: skip
def test_the_form_that_was_meant_is_named(call, text):
    with pytest.raises(BacklitError, match=text):
        call()
