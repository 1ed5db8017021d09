"""The table of PyTorch's functions: how a line is read, and which function of ours it calls."""

from types import ModuleType

import pytest

import backlit as bl
from backlit.dialect import attach
from backlit.dialect.translate import lines, listed, translated


def module(name, **contents):
    made = ModuleType(name)
    vars(made).update(contents)
    for value in contents.values():
        value.__module__ = name
    return made


def test_a_line_says_names_order_defaults_and_our_names():
    (line,) = listed("mean(input, dim=None, keepdim=False, *, dtype>kind=None) = average")
    assert (line.name, line.target, str(line)) == (
        "mean", "average", "mean(input, dim, keepdim, dtype)",
    )  # fmt: skip
    assert [a.ours for a in line.arguments] == ["input", "axis", "keepdims", "kind"]
    assert [a.required for a in line.arguments] == [True, False, False, False]
    assert [a.by_name for a in line.arguments] == [False, False, False, True]
    assert line.is_method


def test_a_function_of_a_line_takes_pytorch_s_words():
    (line,) = listed("total(input, dim=None, keepdim=False) = sum")
    total = translated(line, bl.sum)
    x = bl.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert total(x, dim=1).tolist() == total(x, 1).tolist() == [3.0, 7.0]
    assert total(x, 1, keepdim=True).shape == (2, 1)


def test_a_marked_axis_is_not_one_of_a_tensor_without_axes():
    plain, marked = listed("first(input, dim=None) = sum\nsecond(input, dim^=None) = sum")
    assert translated(plain, bl.sum)(bl.tensor(3.0), dim=0).item() == 3.0
    with pytest.raises(bl.errors.BacklitError):
        translated(marked, bl.sum)(bl.tensor(3.0), dim=0)
    assert {x.name for x in lines() if any(a.elsewhere for a in x.arguments)} == {
        "unsqueeze", "gather", "quantile", "nanquantile",
    }  # fmt: skip


def test_every_name_stands_in_the_table_once():
    names = [line.name for line in lines()]
    assert len(names) == len(set(names))


def test_what_a_module_imports_is_not_taken_for_its_function():
    assert not attach.targets().keys() & {"Any", "Callable", "Tensor", "as_tensor", "one_axis"}


def test_two_functions_of_one_name_are_an_error_unless_it_is_said():
    def f(): ...
    def g(): ...

    first, second = module("first", f=f), module("second", f=g)
    with pytest.raises(RuntimeError, match="two functions are called f, of first and second"):
        attach._named([first, second], "")
    assert attach._named([first, second], "f") == {"f": g}
