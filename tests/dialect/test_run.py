"""backlit run: what its options show of the first training step."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from backlit import Tensor, nn, optim
from backlit.cli import main
from backlit.cli.script import first_step
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
    held = nn.Module.__call__, Tensor.backward, optim.Optimizer.step
    result = run("--draw", "--check", "--diagnose", "--watch", script, "own")
    assert result.exit_code == 0, result.output
    assert "done 2" in result.stdout
    assert "train.html: the first backward(), train.py:25, " in result.stderr
    assert "Double" in Path("train.html").read_text("utf-8")
    assert "the gradient of x is 2 times what it should be" in result.stderr
    assert "at train.py:13, Double.backward; forward: return 2 * x" in result.stderr
    assert result.stderr.count("step 1") == 1
    assert "watch: net (Sequential), after SGD took its first step" in result.stderr
    assert "diagnose: the loss of train.py:25, with SGD" in result.stderr
    assert (nn.Module.__call__, Tensor.backward, optim.Optimizer.step) == held


def test_what_there_is_not_to_see_is_said(script):
    result = run("--check", "--watch", script, "no-step")
    assert "nothing to check: the script writes no autograd.Function" in result.stderr
    assert "watch: no optimizer took a step, after which --watch looks" in result.stderr
    assert "diagnose" not in result.stderr
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


PLAIN = "loss = F.cross_entropy(net(x), y)"
#: Ways to compute a loss, and whether the softmax at the network's end is a second one.
LOSSES = {
    "loss = -torch.log(net(x)[range(8), y]).mean()": False,
    "loss = whole(x, targets=y)[1]": True,
    "loss = scaler.scale(F.cross_entropy(net(x), y) / 4)": True,
    "loss = F.cross_entropy(net(x), y) + 0.1 * net[0].weight.pow(2).sum()": True,
    "loss = F.cross_entropy(Double.apply(net(x)), y)": False,
    "loss = F.cross_entropy(checkpoint(torch.clone, net(x)), y)": True,
    "out = net(x); out /= 2; loss = F.cross_entropy(out, y)": False,
}
WHOLE = """
from torch.utils.checkpoint import checkpoint
class Whole(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net
    def forward(self, x, scale=None, targets=None):
        out = self.net(x)
        return out, F.cross_entropy(out, targets)
whole, scaler = Whole(), torch.amp.GradScaler("cpu", enabled=False)
for"""


def test_a_diagnosis_takes_the_loss_as_the_script_computes_it(script):
    source = SCRIPT.replace("Linear(4, 2))", "Linear(4, 2), torch.nn.Softmax(1))")
    source = source.replace("\nfor", WHOLE)
    line = 1 + source.split("\n").index("    loss.backward()")
    for loss, twice in LOSSES.items():
        Path(script).write_text(source.replace(PLAIN, loss))
        result = run("--diagnose", script)
        assert result.stdout == "done 2\n", result.output
        assert f"diagnose: the loss of train.py:{line}, with SGD" in result.stderr, loss
        assert ("double softmax" in result.stderr) == twice, (loss, result.stderr)


def test_what_a_diagnosis_cannot_look_at_is_named(script):
    cases = {
        "loss = (net[0].weight ** 2).sum()": "no module with parameters was called for the loss",
        PLAIN.replace("net(x)", "Box()(x).y"): "Box returned no Tensor from which the loss",
        PLAIN.replace("net(x)", "Still()()"): "Still was called without a Tensor",
    }
    still = """
class Still(torch.nn.Module):
    def forward(self):
        return net(x)
    def parameters(self):
        return net.parameters()
class Box(Still):
    def forward(self, x):
        self.__dict__["y"] = net(x)
        return self
for"""
    for loss, why in cases.items():
        Path(script).write_text(SCRIPT.replace("\nfor", still).replace(PLAIN, loss))
        result = run("--diagnose", script)
        assert "diagnose: train.py:" in result.stderr
        assert why in result.stderr, result.stderr
        assert "see.diagnose(model, (x, y), loss_fn, optimizer)" in result.stderr
        assert result.stdout == "done 2\n"


SEVERAL = """
import torch
from torch import nn
torch.manual_seed(0)
student = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
teacher = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
x = torch.randn(8, 3)
for step in range(6):
    loss = nn.functional.mse_loss(student(x), 2 * teacher(x))
    loss = loss + student(teacher(x)[:, :1] + x).mean() ** 2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())
"""


def test_a_loss_of_several_calls_is_looked_at(script):
    told = "4 calls of modules (Sequential 4 times) make the loss, so 25 of 82 rules can be asked"
    Path(script).write_text(SEVERAL)
    plain = run(script)
    result = run("--diagnose", script)
    assert result.stdout == plain.stdout
    assert told in result.stderr
    assert "25 rules found nothing in the first step" in result.stderr
    wrong = {
        ("student.parameters()", "student[2].parameters()"): "Sequential1.0.weight …",
        ("lr=0.1", "lr=0.0"): "error, learning rate is 0",
        ("lr=0.1", "lr=50.0"): "warning, learning rate too high: the loss grows",
        ("2 * teacher(x)", "teacher(x).log()"): "error, not finite",
        ("    optimizer.zero_grad()\n", ""): "error, zero_grad forgotten",
    }
    for (right, mistaken), finding in wrong.items():
        Path(script).write_text(SEVERAL.replace(right, mistaken))
        result = run("--diagnose", script)
        assert told in result.stderr, result.stderr
        assert finding in result.stderr, result.stderr


LOOP = """
import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.1)
x, y = torch.randn(16, 2), torch.arange(16) % 2
for epoch in range(4):
    net.train()
    for rows in torch.arange(16).reshape(4, 4):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()
    schedule.step()
    net.eval()
    with torch.no_grad():
        net(x)
"""


def test_the_whole_loop_is_diagnosed(script):
    Path(script).write_text(LOOP)
    result = run("--diagnose", script)
    assert result.exit_code == 0, result.output
    assert "diagnose: the loss of train.py:13, with SGD" in result.stderr
    assert "rules found nothing in the first step, nor did those of the whole loop" in result.stderr
    wrong = {
        "        optimizer.zero_grad()\n": "error, zero_grad forgotten: gradients are never set",
        "    net.eval()\n": "warning, training mode while evaluating: Sequential is evaluated in",
        "    net.train()\n": "warning, evaluation mode: Sequential is trained in evaluation mode",
    }
    for line, finding in wrong.items():
        Path(script).write_text(LOOP.replace(line, ""))
        result = run("--diagnose", script)
        assert "diagnose: the whole loop: 1 finding" in result.stderr, result.stderr
        assert finding in result.stderr
    Path(script).write_text(LOOP.replace("    schedule.step()", "        schedule.step()"))
    assert "StepLR is stepped with every batch" in run("--diagnose", script).stderr


def test_a_leap_of_the_first_step_is_the_rate_s(script):
    source = LOOP.replace("SGD(net.parameters(), lr=0.1)", "Adam(net.parameters(), lr=50.0)")
    Path(script).write_text(source.replace("nn.BatchNorm1d(8)", "nn.Identity()"))
    result = run("--diagnose", script)
    assert "warning, learning rate too high: the loss grows on this very batch" in result.stderr
    assert "initial loss" not in result.stderr


GAN = """
import torch
from torch import nn
critic = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
painter = nn.Sequential(nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, 2))
of_critic = torch.optim.Adam(critic.parameters())
of_painter = torch.optim.SGD(painter.parameters(), lr=0.1)
for step in range(3):
    fake = painter(torch.randn(4, 1))
    real_loss = -critic(torch.randn(4, 2)).mean()
    real_loss.backward()
    critic(fake.detach()).mean().backward()
    of_critic.step()
    of_critic.zero_grad()
    (-critic(fake).mean()).backward()
    of_painter.step()
    of_painter.zero_grad()
"""


def test_of_two_networks_each_is_shown(script):
    Path(script).write_text(GAN)
    result = run("--draw", "--watch", script)
    assert result.exit_code == 0, result.output
    for file, line in (("train.html", 11), ("train_2.html", 12), ("train_3.html", 15)):
        assert f"backlit: {file}: " in result.stderr
        assert f"train.py:{line}, " in result.stderr
        assert Path(file).exists()
    assert not Path("train_4.html").exists()
    assert "watch: critic (Sequential), after Adam took its first step" in result.stderr
    assert "watch: painter (Sequential), after SGD took its first step" in result.stderr
    assert result.stderr.count("step 1") == 2


def test_more_losses_than_are_drawn_are_counted(script, monkeypatch):
    monkeypatch.setattr(first_step, "DRAWN", 1)
    Path(script).write_text(GAN)
    assert "draw: 2 more backward() of the first step are not drawn" in run("--draw", script).stderr
    assert not Path("train_2.html").exists()


def test_an_optimizer_of_what_no_module_has_is_said(script):
    Path(script).write_text(
        "import torch\nw = torch.ones(2, requires_grad=True)\n"
        "optimizer = torch.optim.SGD([w], lr=0.1)\nw.sum().backward()\noptimizer.step()\n"
    )
    result = run("--watch", script)
    assert "watch: no module was called whose parameters the optimizer has" in result.stderr


def test_a_wrong_gradient_is_shown_with_the_line_below_its_decorator(script):
    Path(script).write_text("""import torch
class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): ctx.save_for_backward(x); return x ** 2
    @staticmethod
    def backward(ctx, g): return g * ctx.saved_tensors[0]
Square.apply(torch.randn(8, 2, requires_grad=True)).sum().backward()
""")
    told = run("--check", script).stderr
    assert "at train.py:6, Square.backward; forward: def forward(ctx, x)" in told
    assert "the gradient of x is 1/2 times what it should be (line 6)\n" in told
    assert "fix: line 6: g * ctx.saved_tensors[0]  →  2 * g * ctx.saved_tensors[0]\n" in told
