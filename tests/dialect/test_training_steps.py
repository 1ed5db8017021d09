"""backlit run --compile: the training step of a script is found, compiled, and does the same."""

import ast

import numpy as np
import pytest
from click.testing import CliRunner

from backlit.cli import main
from backlit.cli.script import training_steps
from backlit.cli.script.training_steps import RUNNER, Steps
from backlit.torch.instead import run

HEAD = '''"""A script."""
from __future__ import annotations
import numpy as np
import torch
from torch import nn, optim

rng = np.random.RandomState(0)
data = torch.from_numpy(rng.randn(64, 3).astype("float32"))
target = data.sum(1, keepdim=True)
net = nn.Linear(3, 1)
with torch.no_grad():
    net.weight.copy_(torch.ones(1, 3) / 2)
    net.bias.zero_()
optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
criterion = nn.MSELoss()
losses = []
def batch():
    i = rng.randint(0, 56)
    return data[i : i + 8], target[i : i + 8]
'''

BODIES = {
    "in the module": """
for epoch in range(3):
    for i in range(0, 64, 8):
        x = data[i : i + 8]
        y = target[i : i + 8]
        optimizer.zero_grad()
        output = net(x)
        loss = criterion(output, y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
""",
    "in a function": """
def train(model, steps):
    count = 0
    for step in range(steps):
        x, y = batch()
        loss = criterion(model(x), y) + 0.1 * sum([p.pow(2).sum() for p in model.parameters()])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        count += 1
        losses.append(float(loss))
    return count
assert train(net, 5) + train(net, 4) == 9
""",
    "of a class": """
class Trainer:
    def __init__(self):
        self.net, self.optimizer = net, optimizer
    def fit(self, n):
        while n:
            n -= 1
            x, y = batch()
            self.optimizer.zero_grad()
            out = self.net(x)
            loss = criterion(out, y)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
Trainer().fit(6)
""",
}


MANY = {
    "with a scaler, in parts": """
scaler = torch.amp.GradScaler("cpu", enabled=False)
ctx = torch.autocast("cpu", dtype=torch.bfloat16, enabled=False)
for i in range(4):
    for part in range(2):
        x, y = batch()
        with ctx:
            loss = criterion(net(x), y) / 2
        scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad(set_to_none=True)
    losses.append(loss.item())
""",
    "with a scaler, at once": """
scaler = torch.cuda.amp.GradScaler(enabled=False)
for i in range(4):
    x, y = batch()
    with torch.autocast("cpu", enabled=False):
        loss = criterion(net(x), y)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    losses.append(loss.item())
""",
    "in some turns": """
for i in range(6):
    x, y = batch()
    loss = criterion(net(x), y) / 2
    loss.backward()
    if (i + 1) % 2 == 0:
        optimizer.step()
        optimizer.zero_grad()
    losses.append(loss.item())
""",
    "in a function without a loop": """
def step(x, y):
    optimizer.zero_grad()
    loss = criterion(net(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()
for i in range(4):
    losses.append(step(*batch()))
""",
    "of two networks": """
critic = nn.Linear(1, 1)
with torch.no_grad():
    for p in critic.parameters():
        p.fill_(0.5)
of_critic = optim.Adam(critic.parameters(), lr=0.05)
for i in range(5):
    x, y = batch()
    of_critic.zero_grad()
    real = -critic(y).mean()
    real.backward()
    fake = net(x)
    false = critic(fake.detach()).pow(2).mean()
    false.backward()
    of_critic.step()
    optimizer.zero_grad()
    loss = -critic(fake).mean()
    loss.backward()
    optimizer.step()
    losses.append(loss.item() + false.item())
""",
    "of two networks, with schedules": """
critic = nn.Linear(1, 1)
with torch.no_grad():
    for p in critic.parameters():
        p.fill_(0.5)
of_critic = optim.Adam(critic.parameters(), lr=0.05)
schedule = optim.lr_scheduler.StepLR(of_critic, 2, 0.1)
for i in range(5):
    x, y = batch()
    critic.zero_grad()
    false = critic(net(x).detach()).pow(2).mean() - critic(y).mean()
    false.backward()
    of_critic.step()
    schedule.step()
    net.zero_grad()
    loss = -critic(net(x)).mean()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
""",
    "of two networks, apart": """
critic = nn.Linear(1, 1)
with torch.no_grad():
    for p in critic.parameters():
        p.fill_(0.5)
of_critic = optim.Adam(critic.parameters(), lr=0.05)
for i in range(5):
    x, y = batch()
    critic.zero_grad()
    false = critic(net(x).detach()).pow(2).mean() - critic(y).mean()
    false.backward()
    of_critic.step()
    losses.append(false.item())
    net.zero_grad()
    loss = -critic(net(x)).mean()
    loss.backward()
    optimizer.step()
""",
    "of two networks, apart, of one picture": """
critic = nn.Linear(1, 1)
with torch.no_grad():
    for p in critic.parameters():
        p.fill_(0.5)
of_critic = optim.Adam(critic.parameters(), lr=0.05)
for i in range(5):
    x, y = batch()
    critic.zero_grad()
    fake = net(x)
    false = critic(fake.detach()).pow(2).mean() - critic(y).mean()
    false.backward()
    of_critic.step()
    losses.append(false.item())
    net.zero_grad()
    loss = -critic(fake).mean()
    loss.backward()
    optimizer.step()
""",
}


def both(tmp_path, body):
    path = tmp_path / "train.py"
    path.write_text(HEAD + body)
    plain = run(str(path))["losses"]
    steps = Steps()
    compiled = run(str(path), (), steps.prepare, {RUNNER: steps.run})["losses"]
    assert np.allclose(plain, compiled, rtol=1e-5)
    return [str(found) for found in steps.found]


def test_a_compiled_step_does_the_same(tmp_path):
    found = {name: both(tmp_path, body) for name, body in BODIES.items()}
    assert found == {
        "in the module": ["lines 25 to 29 are one compiled step"],
        "in a function": ["lines 25 to 29 are one compiled step"],
        "of a class": ["lines 28 to 32 are one compiled step"],
    }


def test_each_step_of_a_loop_is_compiled_or_says_why_not(tmp_path):
    found = {name: both(tmp_path, body) for name, body in MANY.items()}
    assert found == {
        "with a scaler, in parts": ["lines 26 to 28 are one compiled step, in 2 versions"],
        "with a scaler, at once": ["lines 24 to 29 are one compiled step"],
        "in some turns": ["lines 23 to 24 are one compiled step, in 2 versions"],
        "in a function without a loop": ["lines 22 to 25 are one compiled step"],
        "of two networks": ["lines 28 to 38 are one compiled step"],
        "of two networks, with schedules": [
            "lines 29 to 32 are one compiled step",
            "lines 34 to 37 are one compiled step",
        ],
        "of two networks, apart": [
            "lines 28 to 31 are one compiled step",
            "lines 33 to 36 are one compiled step",
        ],
        "of two networks, apart, of one picture": [
            "lines 28 to 32 run as they stand: the backward() of another step goes back through "
            "`fake`",
            "lines 34 to 37 run as they stand: `fake` was computed before line 34, and backward() "
            "goes on behind it; line 33: item() asks for a value, and stands before it",
        ],
    }


STEP = "optimizer.step()"
OWN = """
import os
class Own:
    __hash__ = None
    def __getitem__(self, key):
        return 1
class Block:
    def __enter__(self): pass
    def __exit__(self, *error): pass
block, own, count, table = Block(), Own(), 0, {"x": 1, "f": os.devnull}
"""
BRANCH, VALUE = (
    f"`output` was computed before line {first}, and backward() goes on behind it; {why}"
    for first, why in ((30, "line 29 is a statement `if`"), (29, "line 28: item() asks for a"))
)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("loss.backward()", "loss.backward(); print(loss)", "line 30: print() asks for a value"),
        ("output = net(x)", "output = net(x)\n        if i: pass", BRANCH),
        (STEP, "count += 1\n        " + STEP, "line 31 changes `count` in place"),
        (STEP, "count += loss.item()\n        " + STEP, "line 31: item() asks for a value"),
        (STEP, "table[0] = loss\n        " + STEP, "line 31 writes into `table[0]`"),
        (STEP, "losses.append(loss.detach())\n        " + STEP, "31: append() may remember a"),
        (STEP, "net.train()\n        " + STEP, "line 31: train() sets the mode"),
        (STEP, "f = lambda: 1\n        " + STEP, "line 31 has a lambda"),
        (STEP, "with open(table['f']): pass\n        " + STEP, "`with open(table['f'])` may do"),
        ("output = net(x)", "with block: output = net(x)", "is a block of Block, which may do"),
        ("output = net(x)", "output = net(x) * table['x']; own['x']", "`own` (Own) is no Tensor"),
        ("output = net(x)", "output = net(x) * x.sum().item()", VALUE),
        ("output = net(x)", "output = looks(x)", "float(): a captured function cannot ask"),
        ("y)\n", "y) * (1 + i)\n", "5 versions were compiled, because what they read changes"),
        ("loss = criterion(output, y)", "loss = criterion(output, y)\n        if i: pass",
         "the loss is computed before line"),
    ],
)  # fmt: skip
def test_what_cannot_be_compiled_runs_as_it_stands(tmp_path, monkeypatch, old, new, why):
    monkeypatch.setattr(training_steps, "VERSIONS", 4)
    body = f"exec({OWN!r})\ndef looks(x): return net(x) * float(x.sum())\n"
    body += BODIES["in the module"].replace(old, new, 1)
    (found,) = both(tmp_path, body)
    assert "run as they stand: " in found
    assert why in found


def test_what_is_run_once_is_not_compiled_where_the_first_time_is_looked_at(tmp_path):
    path = tmp_path / "train.py"
    body = BODIES["in the module"].replace("range(0, 64, 8)", "[0]").replace("range(3)", "[0]")
    path.write_text(HEAD + body)
    result = CliRunner().invoke(main, ["run", "--compile", "--watch", str(path)])
    assert "run as they stand: they were not run again after the first time" in result.stderr


def test_a_try_that_fails_leaves_no_traces(tmp_path):
    noisy = """
class Noisy(nn.Module):
    def forward(self, x):
        return net(x) + float(rng.rand())
noisy = Noisy()
"""
    body = noisy + BODIES["in the module"].replace("net(x)", "noisy(x)")
    assert "cannot draw random numbers from rng" in both(tmp_path, body)[0]
    own = """
class Own(optim.Optimizer):
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.data -= group["lr"] * p.grad
optimizer = Own(net.parameters(), dict(lr=0.1))
"""
    (found,) = both(tmp_path, own + BODIES["in the module"])
    assert "`optimizer` of Own is an optimizer of the script's own" in found
    before = """
for i in range(3):
    outputs = []
    for x in data.split(32):
        outputs.append(net(x))
    loss = torch.cat(outputs).sum() / 64
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
"""
    assert "`outputs` was computed before line 25" in both(tmp_path, before)[0]


def test_an_error_of_the_script_is_at_its_own_line(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(HEAD + BODIES["in the module"].replace("net(x)", "net(x.T)"))
    steps = Steps()
    with pytest.raises(ValueError, match="must equal") as raised:
        run(str(path), (), steps.prepare, {RUNNER: steps.run})
    assert raised.traceback[-1] is not None
    lines = [t.lineno + 1 for t in raised.traceback if str(t.path) == str(path)]
    assert lines[-1] == 26


def test_the_command_says_what_it_compiled(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(HEAD + BODIES["in the module"])
    result = CliRunner().invoke(main, ["run", "--compile", str(path)])
    assert result.exit_code == 0, result.output
    assert "backlit: lines 25 to 29 are one compiled step" in result.stderr
    path.write_text("import torch")
    result = CliRunner().invoke(main, ["run", "--compile", str(path)])
    assert "nothing is compiled: no loop or function of the script calls" in result.stderr
    path.write_text(
        "import torch\nfor i in (1, 2):\n    torch.ones(1, requires_grad=True).backward()"
    )
    result = CliRunner().invoke(main, ["run", "--compile", str(path)])
    assert "line 3 calls backward(), and no optimizer.step() follows" in result.stderr


def test_a_script_without_a_step_is_left_as_it_is():
    source = "for i in range(3):\n    x.backward()\n    print(i)\n"
    assert ast.unparse(Steps().prepare(ast.parse(source))) == source.strip()
