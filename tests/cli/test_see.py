"""`backlit draw`, `step` and `explain` from the command line."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from backlit import see
from backlit.cli import main

FORMULA = ["q = x + y; q * max(y, z)", "x=-2", "y=5", "z=-4"]

SCRIPT = """
import backlit as bl

x = bl.tensor([1.0, 2.0], requires_grad=True)
h = bl.tanh(x * 2)
loss = (h * h).sum()
loss.backward()
"""


def backlit(*args, typed=None):
    return CliRunner().invoke(main, list(args), input=typed, terminal_width=100)


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(SCRIPT)
    return path


def test_drawing_a_formula_in_the_terminal():
    result = backlit("draw", *FORMULA)
    assert result.exit_code == 0
    assert "q = x + y" in result.output
    assert "distributor" in result.output


def test_drawing_into_files(tmp_path, script):
    for name, start in [("a.html", "<!doctype html>"), ("a.svg", "<svg"), ("a.dot", "digraph")]:
        result = backlit("draw", str(script), "-o", str(tmp_path / name))
        assert result.exit_code == 0, result.output
        assert "5 nodes, 5 edges" in result.output
        assert (tmp_path / name).read_text().startswith(start)
    backlit("draw", str(script), "-o", str(tmp_path / "a.json"))
    assert json.loads((tmp_path / "a.json").read_text())["format"] == "backlit-record"
    again = backlit("draw", str(tmp_path / "a.json"))
    assert "h = tanh(multiply_1)" in again.output


def test_a_script_that_raises_is_drawn_up_to_there(script):
    script.write_text(SCRIPT + "x @ bl.tensor([1.0, 2.0, 3.0])\n")
    result = backlit("draw", str(script))
    assert result.exit_code == 0
    assert "net.py: ShapeError: " in result.output
    assert "raised:" in result.output


def test_a_script_that_exits(script):
    script.write_text(SCRIPT + "raise SystemExit(0)\n")
    assert backlit("draw", str(script)).exit_code == 0


def test_opening_the_page(tmp_path, script, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    backlit("draw", str(script), "-o", str(tmp_path / "a.html"), "--open")
    assert opened == [(tmp_path / "a.html").as_uri()]
    result = backlit("draw", str(script), "--open")
    assert result.exit_code == 1
    assert "--open needs an .html file" in result.output


def test_explaining():
    result = backlit("explain", *FORMULA, "--of", "y")
    assert "2 paths lead from y" in result.output
    assert "add up to the gradient" in result.output
    everything = backlit("explain", *FORMULA)
    assert everything.output.count("Gradient of") == 3
    assert r"\frac" in backlit("explain", *FORMULA, "--of", "y", "--as", "latex").output
    assert "∂q/∂y" in backlit("explain", *FORMULA, "--of", "y", "--as", "unicode").output


def test_explaining_needs_a_gradient(script):
    script.write_text("import backlit as bl\nbl.tensor([1.0]) * 2\n")
    result = backlit("explain", str(script))
    assert result.exit_code == 1
    assert "computed no gradient" in result.output


def test_stepping():
    commands = ["", "p", "b", "w", "at x", "at q", "c", "clear", "norm 2", "g 1", "c", "nan"]
    commands += ["x y", "h", "what", "at nowhere", "g 6", "n", "q"]
    result = backlit("step", *FORMULA, typed="\n".join(commands) + "\n")
    assert result.exit_code == 0
    for expected in (
        "6 stops. Enter goes on",
        "q = x + y = −2 + 5 = 3",
        "max(5, −4) = 5",
        "× switches: upstream 1",
        "upstream: float64[] 1",
        "to q: float64[] 5",
        "Breaks at q in the backward pass",
        "+ distributes: upstream 5",
        "No breakpoints.",
        "Breaks where a gradient's norm is above 2.",
        "max routes: upstream 3",
        "Breaks at the first gradient that is not finite.",
        "2 paths lead from y",
        "previous stop",
        "Not understood: what. h lists the commands.",
        "no node is named 'nowhere'",
        "The end: every gradient is computed.",
    ):
        assert expected in result.output, expected


def test_stepping_stops_at_breakpoints():
    def place(typed):
        output = backlit("step", *FORMULA, typed=typed).output
        return output[output.rindex("▶") :].split()[1:3]

    assert place("at maximum_4\nc\n") == ["5", "backward"]
    assert place("norm 4\nc\n") == ["6", "backward"]
    assert place("at maximum_4\nnorm 0.5\nc\n") == ["4", "backward"]
    assert place("at x\nc\n") == ["6", "backward"]  # a leaf is no stop: on to the end
    assert place("at maximum_4\nclear\nc\n") == ["6", "backward"]


def test_stepping_into_python(monkeypatch):
    opened = []
    monkeypatch.setattr(see.Stop, "interact", lambda stop, names: opened.append((stop, names)))
    backlit("step", *FORMULA, typed="!\nq\n")
    assert opened[0][0].node.name == "q"


def test_a_prompt_has_the_variables_of_the_script_also_of_one_that_raised(script, monkeypatch):
    opened = []
    monkeypatch.setattr(see.Stop, "interact", lambda stop, names: opened.append(names))
    backlit("step", str(script), typed="!\nq\n")
    assert {"x", "h", "loss", "bl"} <= opened[0].keys()
    for end in ("x @ bl.tensor([1.0, 2.0, 3.0])", "raise SystemExit(1)"):
        script.write_text(SCRIPT + end + "\n")
        backlit("step", str(script), typed="!\nq\n")
        assert opened[-1]["h"].shape == (2,)


def test_what_if_line_by_line():
    commands = ["set q = 10", "", "changes", "up maximum_4=7", "undo", "undo", "undo", "set q = a"]
    commands += ["set qq = 1", "set q 1", "w", "changes", "set x = value * 3", "set q = [1, 2]"]
    result = backlit("step", *FORMULA, typed="\n".join(commands) + "\nq\n")
    assert result.exit_code == 0
    for expected in (
        "multiply_5: 15 → 50",
        "  q           value     3 → 10  (set)",
        "multiply_5 = q × maximum_4 = 10 × 5 = 50",
        "  maximum_4   gradient  3 → 7  (set)",
        "Taken back: the upstream of maximum_4.",
        "Taken back: the value of q.",
        "Nothing is set.",
        "set: 'a' is no value: NameError: name 'a' is not defined; as in 7 ",
        "no node is named 'qq'",
        "Not understood: set q 1.",
        "  x           value     −2 → −6  (set)",
        "the value of q must have the shape (), got (2,)",
    ):
        assert expected in result.output, expected


def test_finding_line_by_line(script):
    result = backlit("step", str(script), typed="/ tanh\n/net.py:6\n/nothing\n/ x\nq\n")
    for expected in (
        "  op         h = tanh(multiply_1)",
        "  line       net.py:5: h = bl.tanh(x * 2)",
        "  line       net.py:6: loss = (h * h).sum()",
        "no node is named 'nothing'",
        "  leaf       x",
    ):
        assert expected in result.output, expected


def test_stepping_ends_with_the_input():
    assert backlit("step", *FORMULA, typed="n\n").exit_code == 0


def test_listing_all_stops(script):
    result = backlit("step", str(script), "--list")
    lines = result.output.splitlines()
    assert len(lines) == 8
    assert lines[0].startswith("   1 forward  multiply_1 = x × 2")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["draw", "none.py"], "none.py: there is no such file"),
        (["draw", "x * 2", "x=1", "-o", "a.pdf"], "must end in .html, .svg, .dot, .txt"),
    ],
)
def test_mistakes_are_one_line(args, message):
    result = backlit(*args)
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["draw", "step", "explain", "grad"])
def test_a_formula_that_begins_with_a_minus_is_no_option(command, tmp_path):
    for formula in ("-x", "-tanh(x)", "-log(x) * cosh(x)", "-h"):
        result = backlit(command, formula, "x=2", *(["h=1"] if formula == "-h" else []))
        assert result.exit_code == 0
        assert ("Usage: " in result.output) == (formula == "-h")
    if command == "draw":
        assert backlit("draw", "-log(x)", "x=2", "-o", str(tmp_path / "a.svg")).exit_code == 0
        assert (tmp_path / "a.svg").is_file()
    if command == "grad":
        assert "∂f/∂x = 0.5" in backlit("grad", "-log(x)", "x=2", "--upstream", "-1").output


@pytest.mark.parametrize("command", ["draw", "step", "explain", "grad"])
def test_mistakes_in_a_formula_are_marked_by_every_command(command):
    for args, message, mark in (
        (["y + x", "y=1"], "x has no value; add one, as in x=2 (column 5)", "      ^"),
        (["x * 2", "x=1", "y=2"], "which uses x; leave out y=… (column 1)", "  ^^^^^"),
        (["x * 2", "x"], "'W=[[1, 2], [3, 4]]' (column 1)", "  ^"),
        (["x @ y", "x=[1]", "y=[1, 2]"], "y has shape (2,) (column 1)", "  ^^^^^"),
        (["x", "x=1", "x=2"], "x has two values (column 1)", "  ^"),
    ):
        result = backlit(command, *args)
        assert result.exit_code == 2
        first, _, last = result.output.splitlines()
        assert first.startswith(f"backlit {command}: ")
        assert first.endswith(message)
        assert last == mark
    assert "No such option '--jsn'" in backlit(command, "x", "x=1", "--jsn").output


def test_values_are_for_formulas(script):
    result = backlit("draw", str(script), "x=1")
    assert "values are for formulas, got x=1" in result.output


def test_a_script_without_ops(script):
    script.write_text("print('hello')\n")
    assert "applied no op, so there is nothing to see" in backlit("draw", str(script)).output


def test_a_script_is_seen_without_the_drawing_of_its_random_numbers(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(
        "import backlit as bl\nfrom backlit import nn\nmodel = nn.Linear(3, 2)\n"
        "x = bl.random.normal((4, 3))\nloss = model(x).sum()\n"
    )
    result = backlit("draw", str(path))
    assert "random_bits" not in result.output
    assert result.output.count("\n") < 15
    path.write_text(path.read_text() + "model(loss)\n")
    result = backlit("draw", str(path))
    assert "mod_globals" not in result.output
    assert "x  constant" in result.output


@pytest.mark.slow
def test_no_line_is_claimed_where_the_command_calls_the_model(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(
        "import backlit as bl\nfrom backlit import nn\n"
        "model = nn.Sequential(nn.Linear(3, 2), nn.Softmax(dim=1))\n"
        "loss_fn = nn.CrossEntropyLoss()\nbatch = bl.ones((2, 3)), bl.tensor([0, 1])\n"
    )
    program = [sys.executable, "-m", "backlit", "diagnose", "--no-rehearse", str(path)]
    output = subprocess.run(program, capture_output=True, text=True).stdout
    assert "double softmax" in output
    assert "    at Sequential.1\n" in output
    assert ".py:" not in output


def test_a_wrong_ending_is_said_before_the_script_runs(script):
    result = backlit("draw", str(script), "-o", "net.png")
    assert "must end in .html, .svg, .dot, .txt, .json, got 'net.png'" in result.output
    result = backlit("draw", "x * 2", "x=1", "-o", f"{script}/net.svg")
    assert "net.svg (" in result.output
    assert "could not be written: Not a directory" in result.output
    assert ".partial" not in result.output


def test_no_breakpoint_at_a_leaf():
    result = backlit(
        "step", "x * y", "x=2", "y=3", "--plain", typed="at x\nat nothing_like_it\nq\n"
    )
    assert "x is no gate, so no step of the backward pass is its; break at" in result.output
    assert "no node is named 'nothing_like_it'; there are x, y, multiply_2" in result.output
