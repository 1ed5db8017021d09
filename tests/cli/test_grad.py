"""`backlit grad`: the tree, JSON, options, and bad input."""

import json
import re

import numpy as np
from click.testing import CliRunner

from backlit.cli import main
from backlit.see import differentiate
from backlit.see.formula.language import MAX_CHARACTERS, MAX_STEPS
from sampling import every


def grad(*arguments, **environment):
    return CliRunner().invoke(main, ["grad", *arguments], env={"COLUMNS": "80", **environment})


def test_nothing_is_executed_and_nothing_leaks_between_calls(tmp_path):
    target = tmp_path / "made"
    result = grad(f"__import__('pathlib').Path({str(target)!r}).touch()", "x=1")
    assert result.exit_code == 2
    assert not target.exists()
    assert differentiate("x", {"x": 1}).gradients == differentiate("x", {"x": 1}).gradients


# -- what is printed ----------------------------------------------------------------------------

CIRCUIT = """\
f = (x + y) * max(y, z)
x = 1  y = 2  z = 0

(x + y) * max(y, z) = 6   upstream 1   × switches
├── local 2   downstream 1 · 2 = 2
│   x + y = 3   upstream 2   + distributes
│   ├── local 1   downstream 2 · 1 = 2
│   │   x = 1   upstream 2
│   └── local 1   downstream 2 · 1 = 2
│       y = 2   upstream 5   copy adds 2 + 3
└── local 3   downstream 1 · 3 = 3
    max(y, z) = 2   upstream 3   max routes
    ├── local 1   downstream 3 · 1 = 3
    │   y = 2   upstream 5   copy adds 2 + 3
    └── local 0   downstream 3 · 0 = 0
        z = 0   upstream 0

∂f/∂x = 2
∂f/∂y = 5 = 2 + 3
∂f/∂z = 0

downstream     upstream × local: what a gate sends to one of its inputs
+ distributes  every input gets the upstream gradient unchanged
max routes     the winner gets the upstream gradient, the others 0; ties share
× switches     each input gets upstream times the other input
copy adds      a value used more than once adds up what its uses send
"""


def test_the_tree_of_a_circuit():
    result = grad("(x + y) * max(y, z)", "x=1", "y=2", "z=0")
    assert result.exit_code == 0
    printed = "".join(f"{line.rstrip()}\n" for line in result.output.splitlines())
    assert printed.rstrip() == CIRCUIT.rstrip()
    assert str(differentiate("(x + y) * max(y, z)", {"x": 1, "y": 2, "z": 0})) == CIRCUIT.rstrip()


def test_values_are_green_and_gradients_red():
    result = grad("x * y", "x=2", "y=3", FORCE_COLOR="1", TERM="xterm-256color", NO_COLOR=None)
    assert "\x1b[32m6\x1b[0m" in result.output
    assert "\x1b[1;31m1\x1b[0m" in result.output
    assert "\x1b[31m3\x1b[0m" in result.output


def test_no_color_prints_plain_text():
    forced = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "NO_COLOR": None}
    assert "\x1b[" in grad("x * y", "x=2", "y=3", **forced).output
    assert "\x1b[" not in grad("x * y", "x=2", "y=3", "--no-color", **forced).output


def test_json_has_everything_in_full_precision():
    result = grad("exp(x) * y", "x=1", "y=2", "--json")
    read = json.loads(result.output)
    assert read["value"] == 2 * np.exp(1.0)
    assert read["gradients"] == {"x": 2 * np.exp(1.0), "y": np.exp(1.0)}
    product = read["gates"][read["result"]]
    assert (product["name"], product["role"], product["upstream"]) == ("mul", "switcher", 1.0)
    assert product["inputs"][0] == {
        "from": 1,
        "local": {"kind": "factor", "values": 2.0},
        "downstream": 2.0,
    }


def test_json_spells_out_what_is_not_finite():
    read = json.loads(grad("log(x)", "x=0", "--json").output)
    assert (read["value"], read["gradients"]["x"]) == ("-inf", "inf")


def test_arguments_that_look_like_options():
    assert grad("-x * 2", "x=2").exit_code == 0
    assert grad("x", "x=-1.5e-3").exit_code == 0
    for bad in (["x", "x=1", "--jsn"], ["--jsn", "x=1"]):
        result = grad(*bad)
        assert result.exit_code == 2
        assert "No such option '--jsn'" in result.output


# -- bad input ----------------------------------------------------------------------------------

A_VALUE = "this must be a number or a list of numbers, as 2, [1, 2] or [[1], [2]]"

MISTAKES = [
    # expression, values, message, column, marked text
    ("", [], "the expression is empty; try 'x * y' x=2 y=3", 1, ""),
    ("   ", [], "the expression is empty; try 'x * y' x=2 y=3", 1, ""),
    ("(x + y", ["x=1"], "this does not read as a formula: '(' was never closed", 1, "("),
    ("x +", ["x=1"], "this does not read as a formula: invalid syntax", 4, ""),
    ("x + q", ["x=1"], "q has no value; add one, as in q=2", 5, "q"),
    ("x", ["x=1", "y=2"], "y does not occur in the expression, which uses x; leave out y", 1, "x"),
    ("q = x; q", ["x=1", "q=2"], "q is defined in the expression", 1, "q = x; q"),
    ("2 * pi + [1]", [], "there is nothing to differentiate: give at least one name", 1, None),
    ("2", [], "there is nothing to differentiate: use at least one name", 1, "2"),
    ("x + expp(y)", ["x=1"], "unknown function expp; did you mean exp?", 5, "expp"),
    ("qqq(x)", ["x=1"], "unknown function qqq; there are exp, expm1, log", 1, "qqq"),
    ("exp + x", ["x=1"], "exp is a function; write exp(…)", 1, "exp"),
    ("exp(x, y)", ["x=1"], "exp takes 1 argument, got 2", 1, "exp(x, y)"),
    ("max()", [], "max takes 1 or more argument, got 0", 1, "max()"),
    ("dot(x)", ["x=1"], "dot takes 2 arguments, got 1", 1, "dot(x)"),
    ("exp(x, axis=0)", ["x=1"], "exp: it has no options, got axis", 1, "exp(x, axis=0)"),
    ("sum(x, dim=0)", ["x=1"], "sum: axis is the only option, got dim", 1, "sum(x, dim=0)"),
    ("sum(x, **y)", ["x=1"], "sum: axis is the only option, got **", 1, "sum(x, **y)"),
    ("max(x, y, axis=0)", ["x=1"], "max: axis goes with a single argument", 1, "max(x, y, axis=0)"),
    ("sum(x, axis=y)", ["x=1"], "axis must be an integer, as in x[0]", 13, "y"),
    ("sum(x, axis=3)", ["x=[1]"], "axis must lie in [-1, 1) for 1 axes, got 3", 1, None),
    ("x[y]", ["x=1"], "an index must be an integer, as in x[0] or sum(x, axis=1)", 3, "y"),
    ("x[True]", ["x=1"], "an index must be an integer", 3, "True"),
    ("x[::0]", ["x=[1]"], "the step of a slice must not be 0", 3, "::0"),
    ("x[5]", ["x=[1, 2]"], "the index must lie in [-2, 2) on axis 0, got 5", 1, "x[5]"),
    ("x.numpy", ["x=1"], "the only attribute is .T, got .numpy", 1, "x.numpy"),
    ("x.T.T()", ["x=1"], "only functions can be called, by their names, as in exp(x)", 1, "x.T.T"),
    ("(lambda: 1)()", [], "only functions can be called, by their names", 2, "lambda: 1"),
    ("x // y", ["x=1"], "the operator must be one of + - * / ** @", 1, "x // y"),
    ("~x", ["x=1"], "the operator must be one of + - * / ** @", 1, "~x"),
    ("x > y", ["x=1"], "this is not part of the language, which has + - * / ** @", 1, None),
    ("x if y else z", ["x=1"], "this is not part of the language", 1, None),
    ("[i for i in x]", ["x=1"], "this is not part of the language", 1, None),
    ("f'{x}'", ["x=1"], "this is not part of the language", 1, None),
    ("'a' + x", ["x=1"], A_VALUE, 1, "'a'"),
    ("True * x", ["x=1"], A_VALUE, 1, "True"),
    ("3j * x", ["x=1"], A_VALUE, 1, "3j"),
    ("[1, x] @ y", ["x=1"], A_VALUE, 5, "x"),
    ("1e999 * x", ["x=1"], "this number is too large for float64", 1, "1e999"),
    ("x * 1" + "0" * 400, ["x=1"], "this number is too large for float64", 5, None),
    ("import os; x", ["x=1"], "only definitions may stand before the formula", 1, "import os"),
    ("a = b = x; a", ["x=1"], "only definitions may stand before the formula", 1, "a = b = x"),
    ("a = x", ["x=1"], "the last part must be the formula to differentiate", 1, "a = x"),
    ("exp = x; exp", ["x=1"], "exp already has a meaning; choose another name", 1, "exp"),
    ("a = x; x = 2; x", ["x=1"], "x already has a meaning; choose another name", 8, "x"),
    ("+".join("x" * 150), ["x=1"], "must not be nested more than 100 levels deep", 1, None),
    ("0" + "-" * 1500 + "x", ["x=1"], "nested", 102, None),
    ("x * y", ["x=1", "y"], "a value must be written NAME=VALUE, as in x=2", 1, "y"),
    ("x", ["2x=1"], "a value must be written NAME=VALUE", 1, "2x=1"),
    ("x", ["x=1", "x=2"], "x has two values", 1, "x"),
    ("x", ["x="], A_VALUE, 3, ""),
    ("x", ["x=one"], A_VALUE, 3, "one"),
    ("x", ["x=[1, 2"], A_VALUE, 3, "[1, 2"),
    ("x", ["x=[1, 'a']"], A_VALUE, 7, "'a'"),
    ("x", ["x=[[[1]]]"], A_VALUE, 5, "[1]"),
    ("x", ["x=__import__('os')"], A_VALUE, 3, "__import__('os')"),
    ("x", ["x=[[1, 2], [3]]"], "the rows of a matrix must be lists of equal length", 3, None),
    ("x", ["x=[[1, 2], 3]"], "the rows of a matrix must be lists of equal length", 3, None),
    ("x", ["x=[]"], "an array must have 1 to 1000 numbers, got 0", 3, "[]"),
    ("x", [f"x={[1] * 1001}"], "an array must have 1 to 1000 numbers, got 1001", 3, None),
    ("x", [f"x={'1' * 50000}"], "an array must have 1 to 1000 numbers", 3, None),
    ("x + 1", ["x=[1, 2]"], "the result must be a single number, got shape (2,)", 1, None),
    ("x", ["x=[1, 2]", "--upstream", "[1, 2, 3]"], "upstream must have the result's shape", 1, "x"),
    ("x", ["x=1", "--upstream", "up"], A_VALUE, 1, "up"),
    (
        "u * (x @ y)",
        ["u=1", "x=[1, 2]", "y=[1, 2, 3]"],
        "matmul: a.shape[-1] must equal b.shape[-2], got 2 and 3; "
        "x has shape (2,), y has shape (3,)",
        6,
        "x @ y",
    ),
    (
        "sum(x + y)",
        ["x=[1, 2]", "y=[1, 2, 3]"],
        "got (2,) and (3,); x has shape (2,), y has shape (3,)",
        5,
        "x + y",
    ),
    ("äö + ü(x)", ["äö=1", "x=2"], "unknown function ü; there are", 6, "ü"),
]  # fmt: skip


@every("text, values, message, column, marked", MISTAKES)
def test_mistakes_are_one_line_with_a_mark_and_exit_status_2(text, values, message, column, marked):
    result = grad(text, *values)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    first, *pointer = result.output.rstrip("\n").split("\n")
    assert first.startswith("backlit grad: ")
    assert message in first
    assert first.endswith(f"(column {column})")
    assert "Traceback" not in result.output
    line, mark = pointer
    start = len(mark) - len(mark.lstrip())
    assert start == column + 1
    if marked:
        assert line[start : start + len(mark.strip())] == marked


def test_too_long_and_too_many_steps():
    long = grad("x" * (MAX_CHARACTERS + 1), "x=1")
    assert f"the expression must have at most {MAX_CHARACTERS} characters, got" in long.output
    many = grad("max(" + ",".join(["-x"] * (MAX_STEPS + 1)) + ")", "x=1")
    assert f"the expression must have at most {MAX_STEPS} steps" in many.output
    assert (long.exit_code, many.exit_code) == (2, 2)


def test_help_shows_examples():
    result = grad("--help")
    assert result.exit_code == 0
    assert 'backlit grad "(x + y) * max(y, z)" x=1 y=2 z=0' in result.output


def test_numbers_that_are_not_finite_are_shown():
    result = CliRunner().invoke(main, ["grad", "sum(sqrt(x))", "x=[-1, 0, 1]"])
    assert result.exit_code == 0
    assert "∂f/∂x = [nan, ∞, 0.5]" in result.output


def test_a_formula_is_told_with_the_same_signs_roles_and_numbers_by_both_commands():
    formula = ["q = x - y; -q * z / 2 + w ** 3", "x=-2", "y=12345", "z=0.5", "w=-1"]
    tree = CliRunner().invoke(main, ["grad", *formula]).output
    steps = CliRunner().invoke(main, ["step", "--list", *formula]).output
    titles = set(re.findall(r"(\S+ (?:distributes|switches|scales))(?:  |\n)", tree))
    told = set(re.findall(r"backward (\S+ (?:distributes|switches|scales)):", steps))
    assert titles == told
    assert "× switches" in titles
    for number in ("−12347", "−2", "12345"):
        assert number in tree
        assert number in steps
