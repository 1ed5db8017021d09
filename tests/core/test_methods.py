"""The Tensor's operators and methods that are attached from above."""

import ast
import inspect
import traceback

import pytest

import backlit
import backlit as bl
import backlit.attached
from backlit import tensor as make
from backlit.calls import origin
from backlit.dialect.attach import names
from backlit.errors import ArgumentError
from backlit.tensor import Tensor
from sampling import every


def attached():
    """The names that stand in the class, but not in its body."""
    body = ast.parse(inspect.getsource(Tensor)).body[0].body
    written = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    known = written | set(Tensor.__slots__) | {"__slots__", "__getattr__", "_repr_html_"}
    return {name for name, x in vars(Tensor).items() if name not in known and is_method(x)}


def is_method(x):
    return inspect.isfunction(x) or isinstance(x, property)


def declared():
    """The names that the class has for type checkers only: operators, and what others attach."""
    body = ast.parse(inspect.getsource(Tensor)).body[0].body
    block = next(
        n for n in body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"
    )
    others = ast.parse(inspect.getsource(backlit.attached)).body[-1]
    for node in (*block.body, *others.body):
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign):
            yield node.target.id
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets)


def test_type_checkers_know_all_that_is_attached():
    # One underscore is the type that several share.
    known = {n for n in declared() if not n.startswith("_") or n.startswith("__")}
    assert attached() <= known, "run scripts/declare_methods.py"
    assert known - attached() <= names(), "run scripts/declare_methods.py"


def test_what_is_attached_says_what_it_does():
    assert not [name for name in attached() if not getattr(Tensor, name).__doc__]


@every("name", ["__add__", "__rsub__", "__itruediv__", "__eq__", "__neg__", "sum"])
def test_what_is_made_has_its_own_name_also_in_tracebacks(name):
    method = getattr(Tensor, name)
    assert (method.__name__, method.__qualname__) == (name, f"Tensor.{name}")
    assert origin(method).__code__.co_name == name


def test_a_traceback_names_the_operator():
    with pytest.raises(bl.errors.ShapeError) as caught:
        make([1.0, 2.0]) + make([1.0, 2.0, 3.0])
    assert "__add__" in [f.name for f in traceback.extract_tb(caught.tb)]


def test_a_reduction_takes_the_words_of_both_dialects():
    x = make([[1.0, 5.0], [7.0, 4.0]])
    for name in ("sum", "prod", "mean", "argmax", "argmin", "all", "any"):
        method, function = getattr(x, name), getattr(bl, name)
        wanted = function(x, axis=0, keepdims=True).tolist()
        ways = [
            method(axis=0, keepdims=True),
            method(0, keepdims=True),
            method(dim=0, keepdim=True),
            method(0, True),
            method(0, keepdim=True),
        ]
        assert all(y.tolist() == wanted for y in ways), name
        assert method().tolist() == method(dim=None).tolist() == function(x).tolist()
    for name in ("max", "min"):
        wanted = getattr(bl, name)(x, axis=1).tolist()
        assert getattr(x, name)(axis=1).tolist() == wanted
        assert getattr(x, name)(dim=1).values.tolist() == wanted
    with pytest.raises(ArgumentError, match=r"axis and dim are one argument: got axis=0 and dim=1"):
        x.sum(axis=0, dim=1)
