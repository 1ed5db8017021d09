"""`import torch` means the dialect: in a block, in a script, in the modules that it imports."""

import subprocess
import sys
import types

import pytest

import backlit
from backlit.errors import ArgumentError, SpellingError
from backlit.torch.instead import instead_of_torch, run, run_as_python_would

SCRIPT = """
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim, odd_name
from torch.utils.data import DataLoader, TensorDataset
from torch.nn.parallel import DistributedDataParallel as DDP
import torch.distributed as dist
import torchaudio
import torchvision
import torchvision.models.resnet
from torchvision import datasets, transforms
from torchvision.datasets.folder import default_loader
from torchvision.models import ResNet18_Weights, efficientnet_b0
import torchvision.transforms.functional as TF
from helper_of_the_test import double

assert isinstance(torch.ones(2), torch.Tensor)
assert not isinstance(torch.ones(2), torch.cuda.FloatTensor)
everything = {}
exec("from torch import *; from torch.nn import *", everything)
assert everything["zeros"] is torch.zeros
assert everything["Linear"] is nn.Linear
assert torch.nn.functional.relu is F.relu
assert not hasattr(torch, "odd_name")
assert not isinstance(nn.Linear(1, 1), DDP)
arguments, name, file = sys.argv, __name__, __file__
doubled = double(torch.ones(2)).tolist()
if "fail" in sys.argv:
    1 / 0
if "end" in sys.argv:
    sys.exit(7)
if "use" in sys.argv:
    odd_name(3)
if "distribute" in sys.argv:
    dist.init_process_group("gloo")
assert torchvision.models.resnet.BasicBlock is torchvision.models.BasicBlock
assert torchvision.transforms.functional.hflip is TF.hflip
assert torchvision.transforms.transforms.Compose is transforms.Compose
assert transforms.Compose([transforms.ToTensor()]).transforms
if "listen" in sys.argv:
    torchaudio.load("speech.wav")
if "network" in sys.argv:
    efficientnet_b0(num_classes=2)
if "weights" in sys.argv:
    ResNet18_Weights.DEFAULT
if "derive" in sys.argv:
    class Mine(DDP):
        pass
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "helper_of_the_test.py").write_text(
        "import torch\ndef double(x): return torch.add(x, x)\n"
    )
    monkeypatch.delitem(sys.modules, "helper_of_the_test", raising=False)
    return tmp_path / "train.py"


def test_a_script_runs_as_under_python(script):
    before, folders, main = sys.argv, list(sys.path), sys.modules["__main__"]
    found = run(str(script), ["--lr", "1"])
    assert found["arguments"] == [str(script), "--lr", "1"]
    assert (found["name"], found["file"]) == ("__main__", str(script))
    assert found["doubled"] == [2, 2]
    assert found["torch"].ones is backlit.torch.ones
    assert (sys.argv, sys.path, sys.modules["__main__"]) == (before, folders, main)
    with pytest.raises(ArgumentError, match=r"no_such.py: there is no such file"):
        run("no_such.py")


@pytest.mark.parametrize(
    ("word", "error", "message"),
    [
        ("fail", ZeroDivisionError, "division by zero"),
        ("end", SystemExit, "7"),
        ("use", AttributeError, "has no attribute 'odd_name'"),
        ("distribute", SpellingError, "torch.distributed.init_process_group: not in Backlit; it c"),
        ("listen", SpellingError, "torchaudio.load: not in Backlit, which stands for torch and"),
        ("network", SpellingError, "torchvision.models.efficientnet_b0: not in Backlit; use resne"),
        ("weights", SpellingError, "ResNet18_Weights.DEFAULT: not in Backlit, with which no weigh"),
        ("derive", SpellingError, "torch.nn.parallel.DistributedDataParallel: not in Backlit"),
    ],
)
def test_what_is_not_there_fails_where_it_is_used(script, word, error, message):
    with pytest.raises(error, match=message):
        run(str(script), [word])
    assert not any(type(f).__module__ == "backlit.torch.instead" for f in sys.meta_path)


def test_what_a_script_raises_is_shown_as_python_shows_it(script, capsys):
    with pytest.raises(SystemExit) as ended:
        run_as_python_would(str(script), ["fail"])
    assert ended.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].startswith(f'  File "{script}", line ')
    assert lines[-1] == "ZeroDivisionError: division by zero"
    with pytest.raises(SystemExit) as ended:
        run_as_python_would(str(script), ["end"])
    assert ended.value.code == 7
    script.write_text("x = (")
    with pytest.raises(SystemExit):
        run_as_python_would(str(script))
    assert "SyntaxError: '(' was never closed" in capsys.readouterr().err


def test_pytorch_is_back_after_the_block(monkeypatch):
    real, inner = types.ModuleType("torch"), types.ModuleType("torch.nn")
    monkeypatch.setitem(sys.modules, "torch", real)
    monkeypatch.setitem(sys.modules, "torch.nn", inner)
    with instead_of_torch():
        import torch
        import torch.nn

        assert torch.nn.Linear is backlit.nn.Linear
        assert repr(torch) == "<module 'torch': backlit.torch>"
        torch.set_by_a_script = 3
        assert backlit.torch.set_by_a_script == 3
        del backlit.torch.set_by_a_script
        with instead_of_torch():
            import torch as again

            assert again.ones is torch.ones
        assert sys.modules["torch"] is torch
    assert sys.modules["torch"] is real
    assert sys.modules["torch.nn"] is inner
    assert "torch.nn.functional" not in sys.modules


@pytest.mark.slow
def test_the_commands(script):
    for command in (["-m", "backlit", "run"], ["-m", "backlit.torch"]):
        done = subprocess.run(
            [sys.executable, *command, "train.py", "--epochs", "end"],
            cwd=script.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 7, done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "backlit.torch"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        1,
        "usage: python -m backlit.torch script.py [arguments]\n",
    )


def test_names_with_an_underscore_that_scripts_derive_from():
    with instead_of_torch():
        from torch import nn
        from torch.nn.modules.batchnorm import _BatchNorm
        from torch.nn.modules.conv import _ConvNd
        from torch.nn.modules.loss import _Loss, _WeightedLoss
        from torch.nn.modules.utils import _pair, _triple
        from torch.optim.lr_scheduler import _LRScheduler
    assert (_pair(3), _pair([1, 2]), _triple(0)) == ((3, 3), (1, 2), (0, 0, 0))
    assert isinstance(nn.BatchNorm2d(2), _BatchNorm)
    assert isinstance(nn.Conv1d(1, 1, 1), _ConvNd)
    assert not isinstance(nn.LayerNorm(2), _BatchNorm)
    assert issubclass(nn.MSELoss, _Loss)
    assert _WeightedLoss(backlit.ones(2), reduction="sum").weight.tolist() == [1, 1]
    assert issubclass(backlit.optim.lr_scheduler.StepLR, _LRScheduler)


def test_pytorchs_files_have_what_their_package_has():
    with instead_of_torch():
        from functorch import grad, vmap
        from torch.cuda.amp import GradScaler, autocast
        from torch.cuda.amp.grad_scaler import GradScaler as SameScaler
        from torch.distributions.kl import kl_divergence
        from torch.distributions.normal import Normal
        from torch.nn.parallel.data_parallel import DataParallel
        from torch.nn.utils.stateless import functional_call
        from torch.optim.adam import Adam, Adams
        from torch.utils.cpp_extension import load
        from torch.utils.data.distributed import DistributedSampler

        with pytest.raises(AttributeError, match=r"torch.optim.adam.Adams: not in Backlit"):
            Adams()
        with pytest.raises(SpellingError, match="not in Backlit; "):  # torch.load is another
            load()
    room = backlit.torch
    assert (grad, vmap, functional_call) == (
        room.func.grad,
        room.func.vmap,
        room.func.functional_call,
    )
    assert (autocast, GradScaler, SameScaler) == (room.autocast, room.GradScaler, room.GradScaler)
    assert (Normal, kl_divergence) == (room.distributions.Normal, room.distributions.kl_divergence)
    assert DistributedSampler is backlit.data.DistributedSampler
    assert (Adam, DataParallel) == (backlit.optim.Adam, backlit.nn.DataParallel)
