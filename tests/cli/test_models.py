"""The commands models and summary."""

import re

import pytest
from click.testing import CliRunner

from backlit.cli import main


def said(*arguments, status=0):
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == status, result.output
    return result.output


def test_networks_are_listed():
    lines = said("models", "ResNet").splitlines()
    assert lines[0].split() == ["name", "sample", "parameters", "multiply-adds", "MiB"]
    (row,) = (line.split() for line in lines if line.startswith("resnet18 "))
    assert row[1:] == ["3×224×224", "11,689,512", "1,814,073,344", "44.6"]
    assert max(map(len, lines)) <= 80
    assert not any("lenet" in line for line in lines)
    assert "did you mean resnet" in said("models", "resnet19", status=1)
    assert "128 tokens" in said("models", "bert")


def test_a_network_layer_by_layer(tmp_path):
    output = said("summary", "LeNet", "--batch", 2)
    assert "features.0    Conv2d     float32[2,32,28,28]         832      1,254,400" in output
    assert "1,663,370 parameters" in output
    folded = said("summary", "lenet", "--depth", 1)
    assert "classifier  Sequential  float32[1,10]" in folded
    assert "float32[1,5,9]" not in said("summary", "windowtagger")
    path = tmp_path / "net.py"
    path.write_text(
        "from backlit import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Embedding(7, 3), nn.Linear(3, 2))\n"
        "small = Net()\n"
        "class Wide(Net):\n"
        "    def __init__(self, width):\n"
        "        super().__init__()\n"
    )
    for name in ("Net", "small"):
        assert "float32[1,5,2]" in said("summary", f"{path}:{name}", "--input", "5:7")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lenett"], "there is no network 'lenett'; did you mean lenet"),
        (["lenet", "--input", "3,4"], "a shape must be numbers with x between"),
        (["lenet", "--input", "5:0"], "a shape must be numbers with x between"),
        (["{}:Net"], "needs an input: --input"),
        (["{}:Nett", "--input", "3"], "has no 'Nett'; it has make, Net"),
        (["{}:Net", "--input", "3"], "cannot be made: .*'width'; give its arguments defaults"),
        (["{}:number", "--input", "3"], "cannot be made: 'int' object is not callable"),
        (["{}:make", "--input", "3"], "must be a Module, got int"),
        (["nowhere.py:Net", "--input", "3"], "nowhere.py: there is no such file"),
    ],
)
def test_what_is_no_network(tmp_path, arguments, says):
    path = tmp_path / "net.py"
    path.write_text(
        "from backlit import nn\nnumber = 3\n\ndef make():\n    return 3\n\n"
        "class Net(nn.Module):\n    def __init__(self, width):\n        super().__init__()\n"
    )
    output = said("summary", *(a.format(path) for a in arguments), status=1)
    assert re.search(says, " ".join(output.split())), output
