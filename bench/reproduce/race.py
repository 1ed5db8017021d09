"""From the command to 99.0 % on MNIST: import, read, build, compile and train, in a fresh process.

`run` starts the two in turns, Backlit with an empty cache of machine code, PyTorch with the
settings that are fastest for its steps; finding them is not part of its time.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from .recipe import Data, accuracy
from .runs import RECIPES
from .sides import Backlit, PyTorch, Settings, fastest, starting

NAME = "mnist-race"
GOAL, SHARE, EVERY, EPOCHS = 99.0, 0.6, 100, 2
"""Percent; of PyTorch's seconds; steps between two looks at the test images; epochs at most."""


ABOUT = "mnist in 2 epochs, a fresh process until the test images are classified so well"


def run(root: Path, times: int) -> dict[str, list[dict[str, float]]]:
    """Both sides so many times in turns: what `main` says, and the seconds until it ended."""
    found: dict[str, list[dict[str, float]]] = {"backlit": [], "pytorch": []}
    settings = fastest(RECIPES["mnist"], RECIPES["mnist"].data(root))
    for number in range(times):
        for side in list(found)[:: 1 if number % 2 == 0 else -1]:
            with tempfile.TemporaryDirectory(prefix="race-") as folder:
                how = map(str, (side, root, number, settings.threads, settings.channels_last))
                command = [sys.executable, "-m", "bench.reproduce.race", *how]
                before = os.times()
                began = time.perf_counter()
                done = subprocess.run(
                    command,
                    env={**os.environ, "BACKLIT_CACHE": folder},
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                )
                seconds = time.perf_counter() - began
                after = os.times()
            cpu = sum(after[2:4]) - sum(before[2:4])
            found[side].append({**json.loads(done.stdout), "seconds": seconds, "cpu": cpu})
    return found


def row(kept: Mapping[str, Any] | None) -> list[str]:
    """The cells of the table; seconds are from the command to the end, medians."""
    head = [NAME, f"seconds to {GOAL} %, ≤ {SHARE} × PyTorch's"]
    if kept is None:
        command = f"python -m bench.reproduce --only {NAME}"
        return [*head, "not run", *[""] * 6, f"run: {command}"]
    ours, theirs = kept["sides"]["backlit"], kept["sides"]["pytorch"]
    seconds, cpu = (
        [median(one[what] for one in side) for side in (ours, theirs)]
        for what in ("seconds", "cpu")
    )
    reached = all(one["figure"] >= GOAL for one in (*ours, *theirs))
    return [
        *head,
        "met" if reached and seconds[0] <= SHARE * seconds[1] else "MISSED",
        *(f"{min(one['figure'] for one in side):.2f}" for side in (ours, theirs)),
        str(len(ours)),
        f"{seconds[0]:.1f} / {seconds[1]:.1f}",
        f"{cpu[0]:.1f} / {cpu[1]:.1f}",
        f"{cpu[0] / cpu[1]:.2f}",
        "-",
    ]


def main(side: str, root: str, seed: str, threads: str, channels_last: str) -> int:
    """Train until the goal is reached, or to the end; what was reached, as JSON."""
    recipe = replace(RECIPES["mnist"], epochs=EPOCHS)
    number = int(seed)
    runner: Any
    if side == "backlit":
        data = recipe.data(Path(root))
        runner = Backlit(recipe, data, starting(recipe, data, number), number)
    else:
        data = _plain(Path(root) / "mnist")
        settings = Settings(int(threads), channels_last == "True")
        runner = PyTorch(recipe, data, {}, number, settings=settings)
    total, step, best = EPOCHS * recipe.steps(data), 0, 0.0
    for epoch in range(EPOCHS):
        for batch in recipe.batches(data, number, epoch):
            runner.step(batch, recipe.rate_at(step, total))
            step += 1
            if step % EVERY == 0 and step >= total // 2:
                best = max(best, accuracy(runner, data))
                if best >= GOAL:
                    print(json.dumps({"figure": best, "steps": step}))
                    return 0
    print(json.dumps({"figure": best, "steps": step}))
    return 0


def _plain(folder: Path) -> Data:
    """The files read without Backlit, which a user of PyTorch would not import."""
    parts = []
    for part in ("train", "t10k"):
        arrays = []
        for kind, skipped in (("images-idx3", 16), ("labels-idx1", 8)):
            with gzip.open(folder / f"{part}-{kind}-ubyte.gz") as file:
                arrays.append(np.frombuffer(file.read()[skipped:], np.uint8))
        x = arrays[0].reshape(-1, 1, 28, 28).astype(np.float32) / 255
        parts.append((x, arrays[1].astype(np.int64)))
    return Data(*parts)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
