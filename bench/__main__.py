"""`python -m bench`: measure, print the ratios, keep them as JSON and as a picture."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from . import report
from .measure import Measurement, Plan, limits, measure, surroundings
from .peers import PEERS
from .picture import picture
from .workloads import WORKLOADS

RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 1 if a peer disagreed or Backlit could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", metavar="NAMES", help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--peers", metavar="NAMES", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each peer, at most")
    parser.add_argument("--turn", type=float, default=0.05, help="seconds a turn, at least a step")
    parser.add_argument("--threads", type=int, help="for each peer; all cores if not given")
    parser.add_argument("--quick", action="store_true", help="fewer turns, no cold first calls")
    parser.add_argument("--no-cold", action="store_true", help="no first calls with empty caches")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for JSON and picture")
    options = parser.parse_args(arguments)
    names = _chosen(parser, "workload", options.only, list(WORKLOADS))
    peers = _chosen(parser, "peer", options.peers, list(PEERS))
    plan = Plan(
        tuple(peers),
        rounds=3 if options.quick else options.rounds,
        turn=options.turn,
        budget=1.0 if options.quick else 4.0,
        cold=not (options.quick or options.no_cold),
        threads=options.threads,
    )
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5:
        print("The machine is busy: times mean less now.")
    began = time.perf_counter()
    found: list[Measurement] = []
    with surroundings():
        frameworks = tuple(dict.fromkeys(PEERS[p].framework for p in peers))
        known = limits(plan.threads, tuple(f for f in ("backlit", "pytorch") if f in frameworks))
        print(report.describe_limits(known))
        for name in names:
            found.append(measure(WORKLOADS[name], plan, _progress))
            _progress("")
            print("\n" + report.describe(found[-1], known), flush=True)
    print("\n" + report.describe_ratios(found))
    print("\n" + report.describe_others(found))
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    path.write_text(json.dumps(report.as_json(found, known), indent=1), "utf-8")
    path.with_suffix(".svg").write_text(picture(found), "utf-8")
    taken = time.perf_counter() - began
    print(f"\nKept in {os.path.relpath(path)} and .svg, after {taken / 60:.1f} minutes.")
    return int(any(_wrong(m) for m in found))


def _wrong(m: Measurement) -> bool:
    return any(
        o.error.startswith("disagrees") or (o.error and PEERS[name].framework == "backlit")
        for name, o in m.peers.items()
    )


def _chosen(
    parser: argparse.ArgumentParser, kind: str, given: str | None, known: list[str]
) -> list[str]:
    if given is None:
        return known
    names = [name.strip() for name in given.split(",")]
    for name in names:
        if name not in known:
            parser.error(f"unknown {kind} {name!r}; there are {', '.join(known)}")
    return names


def _progress(text: str) -> None:
    """What is going on, on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
