"""backlit run: what its options show of the first training step."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from backlit import Tensor, nn
from backlit.cli import main
from backlit.state import STATE

SCRIPT = """
import sys
import torch
import torch.nn.functional as F
from torch.autograd import Function

class Double(Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad):
        return 4 * grad

net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
x, y = torch.randn(8, 3), torch.tensor([0, 1] * 4)
for step in range(3):
    loss = F.cross_entropy(net(x), y)
    if "own" in sys.argv:
        loss = Double.apply(loss)
    if "forward" in sys.argv:
        continue
    loss.backward()
    if "no-step" not in sys.argv:
        optimizer.step()
print("done", step)
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(SCRIPT)
    return "train.py"


def run(*arguments):
    result = CliRunner().invoke(main, ["run", *arguments])
    assert (STATE.observer, STATE.backward_observer) == (None, None), "somebody looks on still"
    return result


def test_the_first_step_is_shown(script):
    held = nn.Module.__call__, Tensor.backward, nn.functional.cross_entropy
    result = run("--draw", "--check", "--diagnose", "--watch", script, "own")
    assert result.exit_code == 0, result.output
    assert "done 2" in result.stdout
    assert "train.html: the first step, " in result.stderr
    assert "Double" in Path("train.html").read_text("utf-8")
    assert "the gradient of x is 2 times what it should be" in result.stderr
    assert result.stderr.count("step 1") == 1
    assert "Sequential: " in result.stderr
    assert (nn.Module.__call__, Tensor.backward, nn.functional.cross_entropy) == held


def test_what_there_is_not_to_see_is_said(script):
    result = run("--check", "--watch", script, "no-step")
    assert "every gradient of the first step is Backlit's own" in result.stderr
    assert "no optimizer took a step" in result.stderr
    result = run("--draw", script, "forward")
    assert "nothing called backward" in result.stderr
    assert not Path("train.html").exists()


def test_what_a_script_prints_and_returns_is_its_own(script):
    result = run(script)
    assert (result.stdout, result.stderr, result.exit_code) == ("done 2\n", "", 0)
    Path(script).write_text("import sys; print(sys.argv[1:]); sys.exit(3)")
    result = run(script, "--draw", "-x", "1")
    assert (result.stdout, result.exit_code) == ("['--draw', '-x', '1']\n", 3)
    assert run("none.py").exit_code == 1
