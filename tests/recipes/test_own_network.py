"""Networks of one's own: `net.py:Net`, and what it is told of the data."""

import json
import re

import pytest
from click.testing import CliRunner

from backlit import recipes
from backlit.cli import main
from backlit.errors import ArgumentError, DataError
from recipes import kinds

SCRIPT = """
from backlit import nn

class Net(nn.Sequential):
    def __init__(self, inputs, num_classes, width=8):
        super().__init__(nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, num_classes))

class Other(Net):
    def __init__(self, inputs, outputs, temperature):
        super().__init__(inputs, outputs)

made = Net(4, 2)
number = 3

def count():
    return 3

def build(inputs, outputs):
    return nn.Linear(inputs, outputs)
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kinds.sensors(tmp_path / "sensors.csv", n=80)
    (tmp_path / "net.py").write_text(SCRIPT)
    return tmp_path


def run(*arguments, status=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    return result.output


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Net", "made", "build"])
def test_a_class_a_network_or_a_function_is_trained(files, name):
    options = ["--data", "sensors.csv", "--target", "state", "--epochs", 2, "--no-compile"]
    output = run("train", f"net.py:{name}", *options, "--out", "run")
    assert f"net.py:{name}  (" in output
    assert "test accuracy" in run("eval", "run")
    again = run("train", "--config", "run/run.toml", "--out", "again")
    assert "test accuracy" in again
    tests = [json.loads((files / f / "result.json").read_text())["test"] for f in ("run", "again")]
    assert tests[0] == tests[1]
    changed = SCRIPT.replace("width=8", "width=9").replace("outputs)\n", "outputs, bias=False)\n")
    (files / "net.py").write_text(changed)
    with pytest.raises(DataError, match=r"the model in .* does not fit .*nothing was loaded"):
        recipes.load("run")


def test_what_is_no_network(files):
    task = recipes.look("sensors.csv", target="state")
    for name, says in (
        ("net.py:Nett", "net.py has no 'Nett'; it has Net, Other, made, count, build"),
        (
            "net.py:Other",
            "needs 'temperature', which is not known of the data; known are cl",
        ),
        ("net.py:count", "net.py:count must make an nn.Module, got int"),
        ("net.py:number", "net.py:number must be a class, a function or an nn.Module, got int"),
        ("no.py:Net", "no.py: there is no such file"),
        ("lstm:8", "model: for table it must be linear, mlp:WIDTHS or net.py:Net, got 'lstm:8'"),
        ("mlp:8-x", "model: mlp: must be followed by widths such as mlp:256-128, got 'mlp:8-x'"),
    ):
        with pytest.raises(ArgumentError, match=re.escape(says)):
            task.train("run", model=name)
    assert not (files / "run").exists()
    assert "net.py:Net needs its data: --data FILE_OR_FOLDER" in run(
        "train", "net.py:Net", status=2
    )


def test_names_of_the_catalogue_are_for_coloured_pictures(files):
    photos = recipes.look(kinds.photographs(files / "photos", n=12))
    form = photos.parts({**photos.settings, "test": 0.2, "validation": 0.2}).form
    model = form.network({**photos.settings, "model": "cifar_resnet20"})
    assert type(model).__name__ == "CifarResNet"
    assert "unet" not in form.networks(photos.settings)
