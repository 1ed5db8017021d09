"""How it is measured: losses first, then turns of all peers in one run, then medians.

First each peer makes some steps, and the losses must agree step by step; a peer whose losses do not
is shown and not timed. Then the peers take turns, so that all see the same moods of the machine.
A slow peer takes part in fewer rounds, evenly spread.
"""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from .peers import PEERS
from .worker import SHORT, PeerError, Worker, worker
from .workloads import WORKLOADS, Workload

#: Seconds before a turn, in which threads that wait busily for more work go to sleep.
PAUSE = 0.03
FEWEST_ROUNDS = 3
#: Seconds a step above which a peer has no turns beside the first.
SLOW = 3.0


@dataclass
class Outcome:
    """What is known about one peer: either an error, or times."""

    error: str = ""
    losses: dict[int, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    """A step, one number for each turn."""
    start: dict[str, float] = field(default_factory=dict)
    """Import, build and first step, compiled code in the cache."""
    cold: dict[str, float] = field(default_factory=dict)
    """The same with an empty cache, for peers that compile."""
    memory: dict[str, int] = field(default_factory=dict)
    idle: float = 0.0
    """Seconds of processor time that the peer used between two of its turns, waiting busily."""

    @property
    def median(self) -> float:
        """The median time of a step, in seconds."""
        return median(self.seconds)

    @property
    def quietest(self) -> float:
        """The time of a step in the turn that other programs disturbed least."""
        return min(self.seconds)


@dataclass
class Measurement:
    """All peers at one workload."""

    workload: str
    peers: dict[str, Outcome]
    operations: int = 0

    def timed(self, framework: str = "") -> dict[str, Outcome]:
        """The peers that were timed, of one framework or of all."""
        return {
            name: o
            for name, o in self.peers.items()
            if o.seconds and framework in ("", PEERS[name].framework)
        }


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    peers: tuple[str, ...] = tuple(PEERS)
    rounds: int = 15
    turn: float = 0.05
    """Seconds a turn, at least one step."""
    budget: float = 4.0
    """Seconds for the turns of one peer, above which it takes part in fewer rounds."""
    cold: bool = True
    """Whether first calls with an empty cache are timed."""
    threads: int | None = None


@contextlib.contextmanager
def surroundings() -> Iterator[None]:
    """Empty caches for compiled code and threads that soon sleep, to the end of the block."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        os.environ |= {
            # Else the idle threads of NumPy's products wait busily for a tenth of a second.
            "OPENBLAS_THREAD_TIMEOUT": "20",
            "BACKLIT_CACHE": f"{folder}/backlit",
            "TORCHINDUCTOR_CACHE_DIR": f"{folder}/pytorch",
            "JAX_COMPILATION_CACHE_DIR": f"{folder}/jax",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def measure(
    workload: Workload, plan: Plan, say: Callable[[str], None] = lambda text: None
) -> Measurement:
    """Check that the peers compute the same, then time them in turns."""
    names = [p for p in plan.peers if PEERS[p].workloads(workload)]
    found = Measurement(workload.name, {name: Outcome() for name in names})
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.ExitStack() as stack:
        weights = Path(folder) / "weights.npz"
        np.savez(weights, **workload.weights())
        workers: dict[str, Worker] = {}
        for name, outcome in found.peers.items():
            say(name)
            outcome.error = PEERS[name].excuse(workload)
            if outcome.error:
                continue
            try:
                if plan.cold and PEERS[name].compiles:
                    with worker(name, workload.name, weights, plan.threads) as one:
                        outcome.cold = one.ask("start")
                one = stack.enter_context(worker(name, workload.name, weights, plan.threads))
                outcome.start = one.ask("start")
                outcome.losses = one.ask("losses")
                outcome.memory = one.ask("memory")
                found.operations = found.operations or one.ask("operations")
                workers[name] = one
            except PeerError as error:
                outcome.error = str(error)
        curves = {name: found.peers[name].losses for name in workers}
        for name, error in disagreements(workload, curves).items():
            found.peers[name].error = error
            del workers[name]
        say("in turns")
        _turns(found, workers, plan)
    return found


def disagreements(workload: Workload, curves: Mapping[str, Mapping[int, float]]) -> dict[str, str]:
    """The peers whose losses are not those of the others, with what is wrong.

    What is right is the median of all peers, at each step. If they fall into two camps of equal
    size nobody can say who is right, and all disagree.
    """
    wrong = {}
    for name, losses in curves.items():
        for step, loss in losses.items():
            right = median(c[step] for c in curves.values() if step in c)
            if not abs(loss - right) <= workload.tolerance * abs(right):
                others = ", ".join(
                    f"{c[step]:.7g} ({other})"
                    for other, c in curves.items()
                    if other != name and step in c
                )
                wrong[name] = f"disagrees: loss {loss:.7g} at step {step}, others {others}"
                break
    return wrong


def _turns(found: Measurement, workers: Mapping[str, Worker], plan: Plan) -> None:
    counts, rounds, short = {}, {}, {}
    for name, one in list(workers.items()):
        seconds = _calibrated(one, plan.turn)
        counts[name] = max(1, round(plan.turn / seconds))
        short[name] = seconds < SHORT
        wanted = int(plan.budget / (counts[name] * seconds))
        if seconds > SLOW:
            found.peers[name].seconds.append(seconds)  # once is enough
            rounds[name] = 0
            continue
        rounds[name] = min(plan.rounds, max(FEWEST_ROUNDS, wanted))
    idle: dict[str, list[float]] = {name: [] for name in workers}
    names = list(workers)
    for number in range(plan.rounds):
        random.Random(number).shuffle(names)  # nobody always follows the same one
        for name in names:
            if (number * rounds[name]) // plan.rounds == (
                (number + 1) * rounds[name]
            ) // plan.rounds:
                continue
            time.sleep(PAUSE)
            seconds, used = workers[name].ask("time", counts[name], short[name])
            found.peers[name].seconds.append(seconds)
            idle[name].append(used)
    for name, used in idle.items():
        found.peers[name].idle = median(used) if used else 0.0


def _calibrated(one: Worker, turn: float) -> float:
    """Warm up; about how long a step takes."""
    count = 1
    while True:
        seconds, _ = one.ask("time", count, False)
        if seconds * count >= turn / 4:
            return seconds
        count *= 4


def limits(
    threads: int | None, frameworks: tuple[str, ...]
) -> dict[str, dict[str, dict[str, float]]]:
    """The machine's limits through each framework's kernels, by number of threads."""
    found = {}
    for framework in frameworks:
        with (
            contextlib.suppress(PeerError),
            worker(framework, next(iter(WORKLOADS)), Path(), threads) as one,
        ):
            found[framework] = one.ask("limits")
    return found
