"""The Tensor's operators and methods that are attached from above."""

import ast
import inspect
import traceback

import pytest

import backlit as bl
from backlit import tensor as make
from backlit.tensor import Tensor
from sampling import every


def attached():
    """The names that stand in the class, but not in its body."""
    body = ast.parse(inspect.getsource(Tensor)).body[0].body
    written = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    known = written | set(Tensor.__slots__) | {"__slots__", "__getattr__"}
    return {name for name, x in vars(Tensor).items() if name not in known and is_method(x)}


def is_method(x):
    return inspect.isfunction(x) or isinstance(x, property)


def declared():
    """The names that the class has for type checkers only."""
    body = ast.parse(inspect.getsource(Tensor)).body[0].body
    block = next(
        n for n in body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"
    )
    for node in block.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign):
            yield node.target.id
        else:
            yield from (target.id for target in node.targets)


def test_type_checkers_know_all_that_is_attached():
    # One underscore is the type that several share.
    assert {n for n in declared() if not n.startswith("_") or n.startswith("__")} == attached()


@every("name", sorted(attached()))
def test_what_is_attached_says_what_it_does(name):
    assert getattr(Tensor, name).__doc__


@every("name", ["__add__", "__rsub__", "__itruediv__", "__eq__", "__neg__", "sum"])
def test_what_is_made_has_its_own_name_also_in_tracebacks(name):
    method = getattr(Tensor, name)
    assert (method.__name__, method.__qualname__) == (name, f"Tensor.{name}")
    assert method.__code__.co_name == name


def test_a_traceback_names_the_operator():
    with pytest.raises(bl.errors.ShapeError) as caught:
        make([1.0, 2.0]) + make([1.0, 2.0, 3.0])
    assert "__add__" in [f.name for f in traceback.extract_tb(caught.tb)]


@every("name", ["sum", "prod", "mean", "var", "max", "argmin", "all"])
def test_a_reduction_has_the_arguments_of_its_function_with_the_axis_also_by_place(name):
    method, function = (inspect.signature(f) for f in (getattr(Tensor, name), getattr(bl, name)))
    ours, theirs = ([*s.parameters.values()][1:] for s in (method, function))
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]
    assert ours[0].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
