"""A call that does not fit: words of other libraries are understood, others explained."""

from __future__ import annotations

import importlib
import inspect
import pickle
import re

import numpy as np
import pytest

import backlit as bl
import backlit.torch
import backlit.torchvision
from backlit import nn
from backlit.array_api.dialects import SPOKEN
from backlit.calls import explained, origin
from backlit.errors import BacklitError, CallError
from backlit.nn import functional as F
from backlit.random import Generator

X = bl.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, -4.0]])

PUBLIC = """
backlit backlit.data backlit.data.text backlit.data.transforms backlit.distributions backlit.linalg
backlit.models backlit.nn backlit.nn.functional backlit.nn.utils backlit.nn.utils.rnn
backlit.nn.utils.prune backlit.nn.utils.parametrizations backlit.optim backlit.optim.lr_scheduler
backlit.optim.swa_utils backlit.recipes backlit.see backlit.torch.linalg backlit.torchvision.ops
backlit.torch.nn backlit.torch.nn.functional backlit.torch.optim backlit.torch.utils.data
backlit.train backlit.train.metrics backlit.torchvision.datasets backlit.torchvision.transforms
"""


def public():
    """The functions and classes that each public module lists, by their path."""
    for path in PUBLIC.split():
        module = importlib.import_module(path)
        for name in getattr(module, "__all__", None) or dir(module):
            thing = None if name.startswith("_") else getattr(module, name, None)
            ours = str(getattr(thing, "__module__", "")).startswith("backlit")
            if ours and (inspect.isfunction(thing) or inspect.isclass(thing)):
                yield f"{path}.{name}", thing


def test_no_public_function_answers_an_unknown_word_with_pythons_bare_text():
    bare = []
    for path, thing in public():
        if inspect.isclass(thing) and (
            issubclass(thing, BaseException | tuple | bl.Tensor) or hasattr(thing, "__members__")
        ):
            continue
        try:
            thing(unheard_of=1)
        except BacklitError:
            pass
        except TypeError as error:
            if "takes no arguments" not in str(error):  # a class without any says it so
                bare.append(f"{path}: {error}")
    assert not bare, "\n".join(bare)


def test_no_method_answers_an_unknown_word_with_pythons_bare_text():
    for name in dir(X):
        method = None if name.startswith("_") else getattr(X.clone(), name)
        if inspect.ismethod(method) and name not in ("to_sparse", "detach"):  # no function at all
            with pytest.raises(CallError, match=r"it has no argument unheard_of; it takes "):
                method(unheard_of=1)


def parts(result):
    return result if isinstance(result, tuple | list) else (result,)


def test_dim_and_axis_are_one_word_where_they_mean_the_same():
    """What takes `axis` takes `dim`, with the result that PyTorch's function has."""
    theirs = {"cumulative_sum": "cumsum", "cumulative_prod": "cumprod", "expand_dims": "unsqueeze"}
    more = {"topk": (2,), "kthvalue": (1,), "quantile": (0.5,), "nanquantile": (0.5,)}
    more |= {"repeat": (2,), "chunk": (2,), "tensor_split": (2,), "split": (1,), "roll": (1,)}
    tried = 0
    for name in bl.array_api.__all__:
        function, other = getattr(bl, name), getattr(bl.torch, theirs.get(name, name), None)
        if not inspect.isfunction(function) or other is None:
            continue
        if "axis" not in inspect.signature(function).parameters:
            continue
        given = (X, *more.get(name, ()))
        try:
            wanted, got = other(*given, dim=1), function(*given, dim=1)
        except (BacklitError, AttributeError):
            continue  # refused, or of several Tensors
        tried += 1
        for a, b in zip(parts(got), parts(wanted), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)
    assert tried > 20


@pytest.mark.parametrize(
    ("call", "same"),
    [
        (lambda: bl.sum(X, dim=1, keepdim=True), lambda: bl.sum(X, axis=1, keepdims=True)),
        (lambda: F.softmax(X, axis=1), lambda: F.softmax(X, dim=1)),
        (lambda: bl.clip(X, a_min=0.0, a_max=1.0), lambda: bl.clip(X, min=0.0, max=1.0)),
        (lambda: bl.std(X, ddof=1), lambda: bl.std(X, correction=1)),
        (lambda: bl.flip(X, dims=(1,)), lambda: bl.flip(X, axis=(1,))),
        (lambda: bl.permute_dims(X, dims=(1, 0)), lambda: X.mT),
        (lambda: bl.concat((X, X), dim=1), lambda: bl.concat((X, X), axis=1)),
        (lambda: bl.matmul(input=X, other=X.mT), lambda: X @ X.mT),
        (lambda: bl.exp(x=X), lambda: bl.exp(X)),
        (lambda: F.relu(input=X), lambda: F.relu(X)),
        (lambda: bl.zeros((2,), pin_memory=True, device="cpu"), lambda: bl.zeros((2,))),
        (lambda: bl.abs(X, out=None), lambda: bl.abs(X)),
        (lambda: Generator(1).normal(size=(3,)), lambda: Generator(1).normal((3,))),
    ],
)  # fmt: skip
def test_words_of_numpy_and_pytorch_that_mean_the_same_are_understood(call, same):
    np.testing.assert_array_equal(call(), same())


class Misled(nn.Module):
    def __init__(self):
        super().__init__(3)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: bl.max(X, dim=1),
            "max: it has no argument dim; it takes x, axis=, keepdims=; use backlit.max(x, "
            "axis=axis) for the values, x.max(dim=axis) for (values, indices)",
        ),
        (lambda: bl.max(X, 1), "max: it takes x, axis=, keepdims=, got 2 by place; use backlit."),
        (lambda: bl.std(X, dim=1), "use axis= and keepdims=, with correction=1 for PyTorch's"),
        (lambda: bl.sum(X, 1), "axis=, dtype=, keepdims=, got 2 by place; write axis=1"),
        (lambda: bl.mean(X, axes=1), "it takes x, axis=, keepdims=; did you mean axis?"),
        (lambda: bl.add(X, X, out=X), "use y = add(...), or y.assign(add(...)) for a Tensor y"),
        (lambda: bl.zeros((3,), requires_grad=True), "use zeros(...).requires_grad_()"),
        (lambda: F.tanh(X, inplace=True), "use what it returns: x = tanh(x)"),
        (lambda: nn.Linear(3, 4, activation="relu"), "use a layer after it, as nn.ReLU()"),
        (lambda: nn.Conv2d(3, 4, 3, strides=2), "did you mean stride?"),
        (lambda: nn.Linear(3), "Linear: out_features is missing; it takes in_features, out_f"),
        (lambda: nn.LazyLinear(out=3), "LazyLinear: it has no argument out; it takes out_fea"),
        (lambda: nn.Linear(3, 4, in_features=3), "in_features was given twice, by place and"),
        (lambda: bl.optim.Adam([X], learning_rate=1.0), "decoupled_weight_decay=; did you mean lr"),
        (lambda: X.reshape((3, 2), order="F"), "Tensor.reshape: it has no argument order; it"),
        (lambda: X.new_zeros(2, size_of=1), "Tensor.new_zeros: it has no argument size_of"),
        (lambda: X.fill_(values=1), "Tensor.fill_: it has no argument values; it takes value; did"),
        (lambda: bl.models.resnet18(clases=3), "it has no argument clases; it takes weights="),
        (lambda: bl.random.normal((2,), seed=1), "use backlit.random.manual_seed(seed) before it"),
        (lambda: bl.torch.zeros(3, requires_gradd=True), "did you mean requires_grad?"),
        (Misled, "Module.__init__, of Misled: it takes no arguments, got 1 by place"),
    ],
)
def test_other_words_say_what_a_function_takes_and_what_to_write(call, text):
    with pytest.raises(CallError, match=re.escape(text)) as raised:
        call()
    assert isinstance(raised.value, TypeError)


def test_a_type_error_inside_a_function_is_passed_on():
    def inner(x, *, axis=None):
        return x + "1"

    with pytest.raises(TypeError, match="unsupported operand"):
        explained(inner, "inner")(1, axis=2)


def test_an_explained_function_is_found_by_its_name_and_is_the_same_everywhere():
    for function in (bl.max, F.relu, bl.random.normal, bl.data.transforms.functional.crop):
        assert pickle.loads(pickle.dumps(function)) is function
    assert origin(bl.max) is bl.array_api.max
    assert not SPOKEN.pytorch or bl.torch
