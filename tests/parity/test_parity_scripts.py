"""Whole scripts have the same losses under PyTorch and under Backlit, without a change."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from backlit.torch.instead import run

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore::UserWarning"),  # PyTorch's, of its own fast paths
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # and of its own old names
]
SCRIPTS = Path(__file__).parents[1] / "dialect" / "scripts"
#: Those of torchvision are compared in `tests/dialect`, with losses that are written down.
NAMES = sorted(
    path.stem
    for path in SCRIPTS.glob("*.py")
    if path.stem not in ("course", "pictures") and not path.stem.startswith("vision_")
)


@pytest.mark.parametrize("name", NAMES)
def test_a_script_has_the_same_losses(name, monkeypatch):
    path = str(SCRIPTS / f"{name}.py")
    monkeypatch.syspath_prepend(SCRIPTS)
    found = []
    for how in (lambda: runpy.run_path(path, run_name="__main__"), lambda: run(path)):
        sys.modules.pop("course", None)  # it holds a library and a stream of numbers
        found.append(np.array(how()["losses"], float))
    sys.modules.pop("course")
    theirs, ours = found
    assert len(theirs) == len(ours) >= 20
    assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-4)
