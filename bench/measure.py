"""How it is measured: the peers take turns in one run, and medians over the rounds are compared.

Every peer has a process of its own, so that the thread pools of two frameworks do not meet. Turns
of a few hundredths of a second let every peer see the same moods of the machine, so that the ratio
of one round is fair even if the machine is not quiet.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

from .peers import PEERS
from .workloads import WORKLOADS, Workload

CHECKED_STEPS = 5
#: Before a turn, so that threads which wait busily for more work have gone to sleep.
PAUSE = 0.02


@dataclass(frozen=True)
class Measurement:
    """First losses, and seconds a step: one number for each peer and round."""

    losses: list[float]
    seconds: dict[str, list[float]]

    def median(self, peer: str) -> float:
        """The median time of a step."""
        return median(self.seconds[peer])

    def best(self, peer: str) -> float:
        """The time of a step in the quietest round, the one that other programs disturbed least."""
        return min(self.seconds[peer])

    def ratio(self, peer: str, to: str) -> float:
        """The median over rounds of how many times as long `peer` took as `to`."""
        pairs = zip(self.seconds[peer], self.seconds[to], strict=True)
        return median(a / b for a, b in pairs)


def measure(workload: Workload, peers: list[str], rounds: int, turn: float) -> Measurement:
    """Check that the peers compute the same, then time them in turns of about `turn` seconds."""
    with contextlib.ExitStack() as stack:
        ask = {peer: stack.enter_context(_worker(peer, workload.name)) for peer in peers}
        losses = _agreed(workload, {peer: ask[peer]("losses", CHECKED_STEPS) for peer in peers})
        counts = {peer: _calibrate(ask[peer], turn) for peer in peers}
        seconds: dict[str, list[float]] = {peer: [] for peer in peers}
        for number in range(rounds):
            first = number % len(peers)  # nobody always follows the same one
            for peer in peers[first:] + peers[:first]:
                time.sleep(PAUSE)
                seconds[peer].append(ask[peer]("time", counts[peer]))
    return Measurement(losses, seconds)


def _agreed(workload: Workload, losses: dict[str, list[float]]) -> list[float]:
    """The first losses, which must be equal for all peers: they do the same work."""
    first, *others = losses
    for peer in others:
        for a, b in zip(losses[first], losses[peer], strict=True):
            if not abs(a - b) <= 1e-4 * abs(a):
                raise SystemExit(
                    f"bench: {workload.name}: the peers must compute the same losses, got "
                    f"{losses[first]} from {first} and {losses[peer]} from {peer}"
                )
    return losses[first]


def _calibrate(ask: Callable[[str, int], Any], turn: float) -> int:
    """Warm up, and find how many steps a turn has."""
    count = 1
    while True:
        taken = ask("time", count) * count
        if taken >= turn / 4:
            return max(1, round(count * turn / taken))
        count *= 4


@contextlib.contextmanager
def _worker(peer: str, workload: str) -> Iterator[Callable[[str, int], Any]]:
    """A process that has built a peer's step and answers questions about it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, peer, workload), daemon=True)
    process.start()
    theirs.close()

    def ask(what: str, count: int) -> Any:
        ours.send((what, count))
        return ours.recv()

    try:
        yield ask
    finally:
        ours.close()
        process.join()


def _work(questions: Connection, peer: str, workload: str) -> None:
    step = PEERS[peer](WORKLOADS[workload])
    while True:
        try:
            what, count = questions.recv()
        except EOFError:
            return
        if what == "losses":
            questions.send([step().item() for _ in range(count)])
            continue
        gc.collect()
        start = time.perf_counter()
        for _ in range(count):
            step()
        questions.send((time.perf_counter() - start) / count)
