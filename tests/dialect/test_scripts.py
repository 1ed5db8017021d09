"""Whole scripts that know PyTorch only. `make parity` compares their losses with PyTorch's own."""

import sys
from pathlib import Path

import numpy as np
import pytest

from backlit.torch.instead import run

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.mark.parametrize(
    "name",
    [
        "quickstart",
        "cifar_resnet",
        "dcgan",
        "vae",
        "word_rnn",
        "reinforce",
        "message_passing",
        "lora",
    ],
)
def test_a_script_runs_as_it_stands(name, capsys):
    sys.modules.pop("course", None)  # it holds a stream of numbers
    found = run(str(SCRIPTS / f"{name}.py"))
    losses = np.array(found["losses"])
    assert len(losses) >= 20
    assert np.isfinite(losses).all()
    if name in ("quickstart", "cifar_resnet", "vae"):  # not games, nor texts of chance
        assert losses[-5:].mean() < losses[:5].mean()
