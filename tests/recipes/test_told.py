"""What a look and a prediction tell: what is passed over, left out, unknown, or misspelt."""

import numpy as np
import pytest
from PIL import Image

from backlit import recipes
from backlit.data import ImageFolder
from backlit.errors import DataError
from recipes import kinds


def test_gifs_are_pictures_and_what_is_passed_over_is_told(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(24):
        path = tmp_path / "ab"[i % 2] / f"{i}.{('png', 'GIF', 'gif')[i % 3]}"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (12, 12, 3), np.uint8)).save(path)
    assert len(ImageFolder(tmp_path)) == 24
    assert not ImageFolder(tmp_path).check().misnamed
    task = recipes.look(tmp_path)
    assert ("classes", "2: 12 a, 12 b") in task.found
    assert not any("passed over" in w for w in task.warnings)
    (tmp_path / "a" / "0.heic").write_bytes(b"x")
    (tmp_path / "b" / "notes.txt").write_bytes(b"x")
    said = next(w for w in recipes.look(tmp_path).warnings if "passed over" in w)
    first = tmp_path / "a" / "0.heic"
    assert said == (
        f"2 files of classes are passed over, being no picture by name (.heic, .txt, as {first})"
    )
