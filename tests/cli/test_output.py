"""Every command, wherever its output goes and whatever is typed: words, never a traceback."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

import backlit.cli
from backlit.cli import main
from backlit.see.formula.language import FUNCTIONS
from backlit.train import save_checkpoint

pytestmark = pytest.mark.long

SCRIPT = """
import backlit
from backlit import nn
model = nn.Linear(2, 2)
loss_fn = nn.CrossEntropyLoss()
batch = (backlit.tensor([[1.0, 2.0]]), backlit.tensor([1]))
def op(x):
    return (x * x).sum()
example_inputs = backlit.tensor([[1.0, 2.0]])
if __name__ == "__main__":
    loss_fn(model(batch[0]), batch[1])
    print("é → ‖x‖", flush=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a script and a finished run."""
    folder = tmp_path_factory.mktemp("output")
    (folder / "net.py").write_text(SCRIPT, encoding="utf-8")
    train = ["train", "circle", "--samples", "60", "--epochs", "1", "--out", str(folder / "run")]
    done = CliRunner().invoke(main, train)
    assert done.exit_code == 0, done.output
    return folder


def commands(folder):
    """A call of every command, and what its exit status is."""
    net, run = str(folder / "net.py"), str(folder / "run")
    formula = ["(x + y) * max(y, z)", "x=1", "y=-2", "z=0"]
    return {
        "help": (["--help"], 0),
        **{f"help of {name}": ([name, "--help"], 0) for name in backlit.cli._COMMANDS},
        "grad": (["grad", *formula], 0),
        "mistake": (["grad", "x × y", "x=1"], 2),
        "draw": (["draw", *formula], 0),
        "draw a script": (["draw", net], 0),
        "step": (["step", "--list", *formula], 0),
        "step by step": (["step", "--plain", *formula], 0),
        "explain": (["explain", *formula], 0),
        "explain in unicode": (["explain", "--as", "unicode", *formula], 0),
        "check": (["check", f"{net}:op"], 0),
        "diagnose": (["diagnose", net, "--no-rehearse"], 0),
        "eval": (["eval", run], 0),
        "predict": (["predict", run], 0),
        "predict wrong ones": (["predict", run, "--wrong", "--examples", "1"], 0),
        "replay": (["replay", run], 1),
        "train": (["train", "xor", "--samples", "40", "--epochs", "1", "--out", f"{run}2"], 0),
    }


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_every_command_degrades_to_what_the_terminal_has(folder, encoding):
    for name, (arguments, status) in commands(folder).items():
        done = CliRunner(charset=encoding).invoke(main, arguments, input="\nw\nx x\nh\nq\n")
        found = done.exception
        assert found is None or isinstance(found, SystemExit), (name, encoding, found)
        assert done.exit_code == status, (name, done.output)
        assert len(done.output) > 20, name
        if encoding == "ascii":
            assert done.stdout_bytes.isascii(), name
            assert "?" not in done.output.replace("?\n", "").replace("; ? lists", ""), name


def test_signs_have_plain_stand_ins():
    done = CliRunner(charset="ascii").invoke(main, ["step", "--list", "x * y", "x=-2", "y=3"])
    assert "multiply_2 = x x y = -2 x 3 = -6" in done.output
    done = CliRunner(charset="latin-1").invoke(main, ["step", "--list", "x * y", "x=-2", "y=3"])
    assert "multiply_2 = x × y = -2 × 3 = -6" in done.output


def processes(*arguments, **options):
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-m", "backlit", *map(str, arguments)],
        stderr=subprocess.PIPE,
        env=environment,
        timeout=300,
        check=False,
        **options,
    )


CALLS = ["help", "grad", "draw a script", "predict", "train"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("name", CALLS)
def test_a_full_device_is_one_line(folder, name):
    with open("/dev/full", "w") as full:
        done = processes(*commands(folder)[name][0], stdout=full)
    lines = done.stderr.decode().splitlines()
    assert lines[-1] == "Error: No space left on device"
    assert done.returncode == 1
    assert not any("Traceback" in line or "ignored" in line for line in lines)


@pytest.mark.skipif(os.name == "nt", reason="pipes close otherwise there")
@pytest.mark.parametrize("name", CALLS)
def test_a_closed_pipe_ends_the_command_in_silence(folder, name):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = processes(*commands(folder)[name][0], stdout=writing)
    finally:
        os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 1


# -- what is typed ------------------------------------------------------------------------------


def said(*arguments, **options):
    """What a command prints; it must not raise."""
    done = CliRunner().invoke(main, list(map(str, arguments)), **options)
    found = done.exception
    assert found is None or isinstance(found, SystemExit), (arguments, found)
    return done.output


EMPTY = [
    *("y[5:2]", "y[5:2] * 2", "y[5:2] @ y[5:2]", "m[5:2]", "m[:, 5:2]", "m[5:2] @ y", "m[5:2].T"),
    *(f"{f.name}({', '.join(['y[5:2]'] * f.fewest)})" for f in FUNCTIONS.values()),
    *(f"{f.name}(m[5:2], axis=0)" for f in FUNCTIONS.values() if f.reduces),
    *(f"{f.name}(m[5:2], axis=1)" for f in FUNCTIONS.values() if f.reduces),
]


@pytest.mark.parametrize("command", ["grad", "draw", "step", "explain"])
def test_slices_of_nothing(command):
    for formula in EMPTY:
        values = [v for v in ("y=[1, 2, 3]", "m=[[1, 2, 3], [4, 5, 6]]") if v[0] in formula]
        more = {"grad": ["--upstream", "1"], "step": ["--plain"]}.get(command, [])
        for extra in ([], more):
            assert said(command, *extra, formula, *values, input="\nw\nx y\nq\n")


ODD = ["x\udcff", "\udcff", "x" * 300, "é" * 300, "[/red]", ":smile:", "", " "]


@pytest.mark.parametrize("odd", ODD, ids=ascii)
def test_odd_texts_everywhere(folder, odd, monkeypatch):
    monkeypatch.chdir(folder)
    run = folder / "run"
    for arguments in (
        ["grad", odd, "x=1"],
        ["grad", "x * 2", f"x={odd}"],
        ["grad", "x * 2", f"{odd}=1"],
        ["grad", "x * 2", odd],
        ["grad", "x * 2", "x=1", "--upstream", odd],
        ["draw", odd],
        ["draw", f"{odd}.py"],
        ["draw", f"{odd}.json"],
        ["draw", "x * 2", "x=1", "--title", odd],
        ["draw", "x * 2", "x=1", "-o", f"{odd}.svg", "--title", odd],
        ["draw", "x * 2", "x=1", "-o", odd],
        ["step", "--list", odd, "x=1"],
        ["explain", odd, "x=1"],
        ["explain", "x * 2", "x=1", "--of", odd],
        ["check", odd],
        ["check", f"{odd}.py:f"],
        ["check", f"net.py:{odd}"],
        ["check", "net.py:op", "--shape", odd],
        ["check", "net.py:op", "-a", odd],
        ["diagnose", odd],
        ["diagnose", "net.py", "--model", odd],
        ["eval", odd],
        ["eval", run, "--data", odd],
        ["predict", odd],
        ["predict", run, odd],
        ["predict", run, f"{odd}.csv"],
        ["predict", run, f"{odd}.npy"],
        ["replay", odd],
        ["replay", run, odd],
        ["train", odd],
        ["train", "xor", "--model", odd],
        ["train", "mnist", "--data", odd, "--out", "new"],
        ["train", "xor", "--resume", "--out", odd or "new"],
    ):
        said(*arguments)


def test_a_name_that_is_too_long_is_one_line(folder, monkeypatch):
    monkeypatch.chdir(folder)
    long = "x" * 300
    for arguments in (
        ["train", "xor", "--samples", "40", "--epochs", "1", "--out", long],
        ["eval", long],
        ["draw", f"{long}.py"],
        ["draw", "x * 2", "x=1", "-o", f"{long}.svg"],
    ):
        output = said(*arguments)
        assert output.startswith("Error: ")
        assert "File name too long" in output
        assert len(output.splitlines()) == 1


def test_odd_commands_while_stepping():
    typed = "\n".join(
        [
            "at [/red]",
            "x [/]",
            "g " + "9" * 30,
            "g ²",
            "norm nan",
            "norm 1e999",
            "\udcff",
            "[/b]",
            "q",
        ]
    )
    output = said("step", "--plain", "x * y", "x=2", "y=3", input=typed.encode(errors="replace"))
    assert "no node is named '[/red]'" in output
    assert "Not understood: [/b]." in output


def test_input_that_is_no_text_is_not_understood():
    command = ["step", "--plain", "x * y", "x=2", "y=3"]
    done = CliRunner(charset="ascii").invoke(main, command, input="\u00e9\nq\n".encode())
    assert done.exit_code == 0, done.exception
    assert "Not understood: " in done.output


def test_too_much_memory_is_one_line(tmp_path):
    model = "mlp:" + "-".join(["65536"] * 4)
    options = ["--samples", "40", "--epochs", "1", "--out", str(tmp_path / "run")]

    def refuse(*arguments):
        raise MemoryError("Unable to allocate 16.0 GiB")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backlit.recipes.networks.build", refuse)
        output = said("train", "xor", "--model", model, *options)
    assert output == "Error: there is not enough memory: Unable to allocate 16.0 GiB\n"


def test_what_follows_an_unreadable_checkpoint_is_one_line(folder, tmp_path):
    save_checkpoint(tmp_path / "flight.safetensors", {"format": "backlit-flight-1"})
    output = said("replay", tmp_path)
    assert "must hold what a flight recorder writes, but its epoch, position, step" in output
