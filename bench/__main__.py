"""`python -m bench`: measure, print the ratios, keep them as JSON."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from .measure import measure
from .peers import DEFAULT_PEERS, PEERS
from .workloads import WORKLOADS

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(WORKLOADS))
    parser.add_argument("--peers", default=",".join(DEFAULT_PEERS), help=", ".join(PEERS))
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--turn", type=float, default=0.05, help="seconds a turn")
    parser.add_argument("--threads", type=int, help="for each peer; all cores if not given")
    options = parser.parse_args()
    if options.threads is not None:
        for library in ("OMP", "OPENBLAS", "MKL"):
            os.environ[f"{library}_NUM_THREADS"] = str(options.threads)
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"The machine is busy (load {load:.1f}): times with threads mean little now.")
    peers = [name.strip() for name in options.peers.split(",")]
    names = options.workloads or list(WORKLOADS)
    for kind, given, known in (("workload", names, WORKLOADS), ("peer", peers, PEERS)):
        for name in given:
            if name not in known:
                parser.error(f"unknown {kind} {name!r}; there are {', '.join(known)}")
    results = []
    for name in names:
        workload = WORKLOADS[name]
        m = measure(workload, peers, options.rounds, options.turn)
        losses = m.losses
        print(f"\n{name}: {workload.about}")
        print(f"  losses agree: {losses[0]:.6g}, {losses[1]:.6g}, … {losses[-1]:.6g}")
        width = max(map(len, peers))
        print(f"  {'':<{width}}  {'median':>10}  {'quietest':>10}  µs a step")
        for peer in peers:
            line = f"  {peer:<{width}}  {m.median(peer) * 1e6:10.1f}  {m.best(peer) * 1e6:10.1f}"
            if peer != peers[0]:
                quiet = m.best(peer) / m.best(peers[0])
                line += f"  {m.ratio(peer, peers[0]):.2f} × and {quiet:.2f} × {peers[0]}"
            print(line)
        results.append(
            {
                "workload": name,
                "about": workload.about,
                "losses": losses,
                "seconds": m.seconds,
                "median": {p: m.median(p) for p in peers},
                "quietest": {p: m.best(p) for p in peers},
                "ratio": {p: m.ratio(p, peers[0]) for p in peers},
            }
        )
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = RESULTS / f"{now:%Y%m%d-%H%M%S}.json"
    path.write_text(
        json.dumps({"when": now.isoformat(), **_machine(), "results": results}, indent=1)
    )
    print(f"\nKept in {os.path.relpath(path)}.")


def _machine() -> dict[str, object]:
    versions = {}
    for package in ("backlit", "numpy", "torch", "jax"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "load": os.getloadavg()[0],
        "python": sys.version.split()[0],
        "versions": versions,
    }


if __name__ == "__main__":
    main()
