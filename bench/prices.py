"""`python -m bench.prices`: what it costs to watch, beside TorchLens on the same models.

Every way of watching runs the same training step on the same numbers; before anything is timed the
losses of some steps must agree. Then all ways take turns in random order, and medians are compared.
"""

from __future__ import annotations

import argparse
import gc
import inspect
import json
import os
import platform
import random
import sys
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from types import CodeType
from typing import Any

import numpy as np

import backlit
from backlit import autograd, nn, optim, see

tensor = sys.modules["backlit.tensor"]  # the package has a function of this name

RESULTS = Path(__file__).parent / "results"
STEPS_COMPARED = 3
#: Losses of two frameworks after some steps may differ by as much, relative to their size.
TOLERANCE = 2e-4

Step = Callable[[], float]


def mlp(kit: Any) -> list[Any]:
    """784-512-512-10 with ReLU."""
    return [
        kit.Linear(784, 512),
        kit.ReLU(),
        kit.Linear(512, 512),
        kit.ReLU(),
        kit.Linear(512, 10),
    ]


def lenet(kit: Any) -> list[Any]:
    """28×28: convolution 32@5, pool, convolution 64@5, pool, 512, 10."""
    return [
        kit.Conv2d(1, 32, 5),
        kit.ReLU(),
        kit.MaxPool2d(2),
        kit.Conv2d(32, 64, 5),
        kit.ReLU(),
        kit.MaxPool2d(2),
        kit.Flatten(),
        kit.Linear(1024, 512),
        kit.ReLU(),
        kit.Linear(512, 10),
    ]


MODELS = {"mlp": (mlp, (128, 784)), "lenet": (lenet, (64, 1, 28, 28))}


def batch_of(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The same batch for everybody."""
    rng = np.random.default_rng(1)
    return rng.normal(size=shape).astype(np.float32), rng.integers(0, 10, shape[0])


class Ours:
    """A Backlit model with its optimizer, fresh from the same weights each time."""

    def __init__(self, name: str):
        make, shape = MODELS[name]
        backlit.manual_seed(0)
        self.net = nn.Sequential(*make(nn))
        x, y = batch_of(shape)
        self.x, self.y = backlit.tensor(x), backlit.tensor(y)
        self.loss_fn = nn.CrossEntropyLoss()
        self.optimizer = optim.Adam(self.net.parameters(), lr=1e-3)

    def step(self) -> Any:
        """One plain eager step."""
        loss = self.loss_fn(self.net(self.x), self.y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


def plain(name: str) -> Step:
    """Nobody watches."""
    ours = Ours(name)
    return lambda: ours.step().item()


def unwatchable(name: str) -> Step:
    """An engine without the places where somebody could watch, cut out of its source."""
    ours = Ours(name)
    codes = [
        (
            tensor.apply,
            _without(
                tensor.apply,
                "        if state.observer is not None:\n"
                "            state.observer(op, inputs, y)\n",
                "",
            ),
        ),
        (
            autograd._sender,
            _without(
                autograd._sender,
                "        if observer is not None:\n"
                "            observer(node, upstream, "
                "[(i, g) for i, g in enumerate(sent) if g is not None])\n",
                "",
            ),
        ),
    ]

    def step() -> float:
        kept = [f.__code__ for f, _ in codes]
        for f, code in codes:
            f.__code__ = code
        try:
            return ours.step().item()
        finally:
            for (f, _), code in zip(codes, kept, strict=True):
                f.__code__ = code

    return step


def _without(function: Any, *replaced: str) -> CodeType:
    """The code of a function with parts of its source replaced: old, new, old, new."""
    source = inspect.getsource(function)
    for old, new in zip(replaced[::2], replaced[1::2], strict=True):
        if old not in source:
            raise SystemExit(f"prices: {function.__name__} has changed; adapt `unwatchable`")
        source = source.replace(old, new)
    names = dict(vars(sys.modules[function.__module__]))
    exec("from __future__ import annotations\n" + source, names)
    return names[function.__name__].__code__


def cheap(name: str) -> Step:
    """`see.watch`: values, gradients and updates of every layer, every step."""
    ours = Ours(name)
    watch = see.watch(ours.net)

    def step() -> float:
        with watch:
            loss = ours.step()
        return loss.item()

    return step


def breakpoints(name: str) -> Step:
    """Live breakpoints on the norm and on NaN, none of which ever hits."""
    ours = Ours(name)

    def step() -> float:
        with see.breakpoints(norm_above=1e9, nonfinite=True):
            return ours.step().item()

    return step


def recorded(name: str) -> Step:
    """`see.recording` of the whole step: every value and every gradient."""
    ours = Ours(name)

    def step() -> float:
        with see.recording() as recording:
            loss = ours.step()
        assert recording.of(loss).output is not None
        return loss.item()

    return step


def everything(name: str) -> Step:
    """The same, and all eight statistics of every value and every gradient in it."""
    ours = Ours(name)

    def step() -> float:
        with see.recording() as recording:
            loss = ours.step()
        record = recording.of(loss)
        for node in record.nodes:
            for value in (node.value, node.upstream):
                if value is not None:
                    assert value.statistics
        for edge in record.edges:
            if edge.gradient is not None:
                assert edge.gradient.statistics
        return loss.item()

    return step


def _torch(name: str) -> tuple[Any, Any, Any]:
    """The model in PyTorch with Backlit's weights, the batch, the optimizer."""
    import torch

    make, shape = MODELS[name]
    model = torch.nn.Sequential(*make(torch.nn))
    weights = {n: torch.tensor(p.numpy()) for n, p in Ours(name).net.named_parameters()}
    model.load_state_dict(weights)
    x, y = batch_of(shape)
    batch = torch.tensor(x), torch.tensor(y)
    return model, batch, torch.optim.Adam(model.parameters(), lr=1e-3)


def torch_plain(name: str) -> Step:
    """PyTorch, eager."""
    import torch

    model, (x, y), optimizer = _torch(name)

    def step() -> float:
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def torchlens(name: str) -> Step:
    """TorchLens around the same step in PyTorch: every value and every gradient."""
    import torch
    import torchlens as tl

    model, (x, y), optimizer = _torch(name)
    options = tl.options.CaptureOptions(layers_to_save="all", save_grads=True, backward_ready=True)

    def step() -> float:
        log = tl.trace(model, x, capture=options)
        loss = torch.nn.functional.cross_entropy(log[log.output_layers[0]].out, y)
        optimizer.zero_grad()
        log.log_backward(loss)
        optimizer.step()
        value = float(loss.detach())
        log.cleanup()
        return value

    return step


OURS = {
    "plain step": plain,
    "plain step, engine without hooks": unwatchable,
    "live breakpoints that never hit": breakpoints,
    "see.watch, all layers": cheap,
    "see.recording": recorded,
    "see.recording, all statistics": everything,
}
THEIRS = {"PyTorch, plain step": torch_plain, "PyTorch with TorchLens": torchlens}


def compare(ways: dict[str, Step]) -> None:
    """Raise unless the losses of all ways agree step by step."""
    found = {name: [step() for _ in range(STEPS_COMPARED)] for name, step in ways.items()}
    first = next(iter(found.values()))
    for name, losses in found.items():
        if not np.allclose(losses, first, rtol=TOLERANCE, atol=0):
            raise SystemExit(f"{name} does not compute the same: {losses} instead of {first}")


def take_turns(ways: dict[str, Step], seconds: float) -> dict[str, list[float]]:
    """The times of single steps, in random order, until the seconds are over."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[names[0]]) < 5:
        random.shuffle(names)
        gc.collect()
        for name in names:
            time.sleep(0.005)  # threads that wait busily for more work go to sleep
            ways[name]()  # warms the caches again after the others
            began = time.perf_counter()
            ways[name]()
            times[name].append(time.perf_counter() - began)
    return times


def ratio(times: list[float], base: list[float]) -> tuple[float, float, float]:
    """The ratio of two medians, and where 90 % of it lie when the steps are drawn again."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(base), (1000, len(base)))
    again = np.median(np.array(times)[drawn], 1) / np.median(np.array(base)[drawn], 1)
    low, high = np.quantile(again, (0.05, 0.95)).tolist()
    return median(times) / median(base), low, high


def main() -> int:
    """Measure, print, keep as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.prices", description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="for each model")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the JSON")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    missing = [package for package in ("torch", "torchlens") if find_spec(package) is None]
    theirs = {} if missing else THEIRS
    result: dict[str, Any] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}, NumPy {np.__version__}",
    }
    print(result["machine"])
    if missing:
        print(f"Without PyTorch and TorchLens: {' and '.join(missing)} cannot be imported")
    for name in MODELS:
        ways = {n: make(name) for n, make in {**OURS, **theirs}.items()}
        compare(ways)
        times = take_turns(ways, options.seconds)
        print(f"\n{name}: losses agree; median of {len(times['plain step'])} steps each")
        for n, t in times.items():
            r, low, high = ratio(t, times["PyTorch, plain step" if n in theirs else "plain step"])
            print(f"  {n:34} {1e3 * median(t):9.2f} ms  {r:6.3f}x  ({low:.3f} to {high:.3f})")
        result[name] = times
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"prices-{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    path.write_text(json.dumps(result))
    print(f"\nKept in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
