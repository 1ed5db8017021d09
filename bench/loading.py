"""Loaders beside PyTorch's: images per second out of a folder, and rows out of arrays.

    python -m bench.loading [--workers 0,1,2] [--rounds 7] [--images 256] [--rows 20000]

What both deliver is compared before anything is timed. Both loaders live at the same time and make
an epoch in turn; the best epoch of each counts: by the thread's own processor time without workers,
so that other work on the machine counts little, and by the clock with workers, which stay from
epoch to epoch.
A loader below PyTorch's throughput fails the run. Pictures need torchvision; without it, it says
that they are left out.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils import data as theirs

from backlit import data as ours

try:
    import torchvision
except ImportError:
    torchvision = None

#: At least this times PyTorch's examples per second.
LIMIT = 1.0
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Rows:
    """Examples (array, class) one by one, as somebody writes a data set."""

    def __init__(self, x: np.ndarray, y: np.ndarray):
        self.x = x
        self.y = y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        return self.x[i], int(self.y[i])


def photographs(folder: Path, count: int) -> None:
    """JPEG files of 200 by 200 in two classes: smooth shapes with some noise, as photographs."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(count):
        small = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8))
        smooth = np.asarray(small.resize((200, 200), Image.Resampling.BICUBIC))
        pixels = np.clip(smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)
        path = folder / str(i % 2) / f"{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path, quality=90)


def pipeline(T: Any, drawn: bool) -> Any:
    """Resize, crop, mirror and normalise, at random or always alike, in either library."""
    sized = [T.RandomResizedCrop(160)] if drawn else [T.Resize(180), T.CenterCrop(160)]
    mirrored = T.RandomHorizontalFlip(0.5 if drawn else 1.0)
    return T.Compose([*sized, mirrored, T.ToTensor(), T.Normalize(MEAN, STD)])


def epoch(loader: Any) -> float:
    """Seconds of an epoch."""
    clock = time.perf_counter if loader.num_workers else time.thread_time
    began = clock()
    for _ in loader:
        pass
    return clock() - began


def arrays(batch: Any) -> list[np.ndarray]:
    """The arrays of a batch."""
    return [np.asarray(part.numpy()) for part in batch]


def compare(name: str, mine: Iterable[Any], other: Iterable[Any]) -> None:
    """Raise unless both give the same batches."""
    for count, (a, b) in enumerate(zip(mine, other, strict=True)):
        for x, y in zip(arrays(a), arrays(b), strict=True):
            if x.dtype != y.dtype or x.shape != y.shape or not np.allclose(x, y, atol=1e-5):
                raise SystemExit(f"{name}: batch {count} differs")


def pair(mine: Any, other: Any, batch: int, workers: int, shuffle: bool) -> tuple[Any, Any]:
    """Both loaders, made alike."""
    options = {"batch_size": batch, "num_workers": workers, "persistent_workers": workers > 0}
    return (
        ours.DataLoader(mine, shuffle=shuffle, **options),
        theirs.DataLoader(other, shuffle=shuffle, **options),
    )


def timed(loaders: tuple[Any, Any], rounds: int) -> list[float]:
    """The best epoch of each, in turn; the first one starts the workers and does not count."""
    best = [float("inf")] * 2
    for turn in range(rounds + 1):
        order = (0, 1) if turn % 2 else (1, 0)
        for i in order:
            seconds = epoch(loaders[i])
            if turn:
                best[i] = min(best[i], seconds)
    return best


def cases(options: argparse.Namespace, folder: Path) -> Iterable[tuple[str, int, Any, Any, Any]]:
    """(name, batch, what to compare, our data set, PyTorch's)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(options.rows, 3, 16, 16)).astype(np.float32)
    y = rng.integers(0, 10, options.rows)
    rows = Rows(x, y)
    mine, other = ours.TensorDataset(x, y), theirs.TensorDataset(*map(torch.from_numpy, (x, y)))
    yield "arrays", 128, (mine, other), mine, other
    yield "own data set", 128, (rows, rows), rows, rows
    if torchvision is None:
        print("pictures: left out, because torchvision is not installed")
        return
    photographs(folder, options.images)

    def folders(drawn: bool) -> tuple[Any, Any]:
        return (
            ours.ImageFolder(folder, pipeline(ours.transforms, drawn)),
            torchvision.datasets.ImageFolder(folder, pipeline(torchvision.transforms, drawn)),
        )

    yield "pictures", 32, folders(False), *folders(True)


def main() -> int:
    """Run; 1 if a loader is slower than PyTorch's."""
    parser = argparse.ArgumentParser(prog="python -m bench.loading", description=__doc__)
    parser.add_argument("--workers", default="0,1,2", help="numbers of worker processes")
    parser.add_argument("--rounds", type=int, default=7, help="epochs of each loader")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    slower = False
    with tempfile.TemporaryDirectory() as folder:
        for name, batch, alike, mine, other in cases(options, Path(folder)):
            for workers in map(int, options.workers.split(",")):
                compare(name, *pair(*alike, batch, workers, False))
                best = timed(pair(mine, other, batch, workers, True), options.rounds)
                ratio = best[1] / best[0]
                slower |= ratio < LIMIT
                speed = (f"{len(mine) / seconds:9,.0f}/s" for seconds in best)
                print(f"{name:14} {workers} workers: {' beside '.join(speed)}, {ratio:.2f} times")
    return int(slower)


if __name__ == "__main__":
    raise SystemExit(main())
