"""What is printed and kept: a table for each workload, the ratios with their targets, JSON."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from .measure import PAUSE, Measurement, Outcome
from .peers import PEERS
from .workloads import WORKLOADS


@dataclasses.dataclass(frozen=True)
class Target:
    """The most that Backlit may take, as a share of the best of the others."""

    workload: str
    ours: str
    pytorch: float
    jax: float
    against: tuple[str, ...] = ("jax", "jax loop")

    @property
    def title(self) -> str:
        """The workload, and how it is called where that makes a difference."""
        if len(self.against) > 1:
            return self.workload
        return f"{self.workload}, {'loop' if self.ours.endswith('loop') else 'per step'}"


TARGETS = (
    Target("playground", "backlit", 0.05, 0.25, ("jax",)),
    Target("playground", "backlit loop", 0.02, 0.6, ("jax loop",)),
    Target("two-layer", "backlit", 0.35, 0.7),
    Target("mlp", "backlit", 0.85, 0.85),
    Target("lenet", "backlit", 0.85, 0.4),
    Target("alexnet", "backlit", 0.85, 0.4),
    Target("resnet18", "backlit", 0.85, 0.4),
    Target("lstm", "backlit", 0.6, 0.25),
    Target("gpt", "backlit", 0.6, 0.25),
    Target("ner", "backlit", 0.15, 0.2),
)
#: Seconds of the first call with an empty cache, and with a filled one.
COLD, COLD_LARGE, WARM = 5.0, 8.0, 0.5
LARGE = ("gpt", "resnet18")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns, the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  "
        + "  ".join(
            c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True))
        ).rstrip()
        for r in rows
    )


def _seconds(x: float | None) -> str:
    return "" if x is None else f"{x:.2f} s"


def describe(m: Measurement, limits: Mapping[str, Any]) -> str:
    """The table of one workload."""
    workload = WORKLOADS[m.workload]
    timed = m.timed()
    lines = [f"{m.workload}: {workload.about}"]
    if timed:
        losses = next(iter(timed.values())).losses
        without = " without dropout" if workload.dropout else ""
        lines.append(
            f"  {len(timed)} peers agree{without} on the losses "
            + ", ".join(f"{v:.6g}" for v in list(losses.values())[:3])
            + f", …, {losses[max(losses)]:.6g} (step {max(losses)})"
        )
    ours = timed.get("backlit") or next(iter(timed.values()), None)
    rows = [["", "µs a step", "quietest", "× backlit", "turns", "cold", "warm", "MB", "MB life"]]
    for name, o in timed.items():
        rows.append(
            [
                name,
                f"{o.median * 1e6:,.1f}",
                f"{o.quietest * 1e6:,.1f}",
                f"{o.median / ours.median:.2f}" if ours else "",
                str(len(o.seconds)),
                _seconds(o.cold.get("first")),
                _seconds(o.start.get("first")),
                f"{o.memory['steps'] / 1e6:,.0f}",
                f"{o.memory['life'] / 1e6:,.0f}",
            ]
        )
    lines.append(table(rows))
    if ours and m.operations and "backlit" in timed:
        speed = m.operations / ours.median / 1e9
        line = (
            f"  backlit: {m.operations / 1e6:,.3f} million operations a step, {speed:,.1f} GFLOP/s"
        )
        best = peak(limits)
        lines.append(line + (f", {100 * speed / best:.0f} % of the limit" if best else ""))
    for name, o in m.peers.items():
        if o.error:
            lines.append(f"  {name}: {o.error}")
        if o.idle > PAUSE:
            lines.append(f"  {name} waits busily for {o.idle * 1e3:.0f} ms, in the turns of others")
    return "\n".join(lines)


def peak(limits: Mapping[str, Any]) -> float:
    """The most GFLOP/s that any framework reached with all threads; 0 if none was measured."""
    reached = [list(by.values())[-1]["gflops"] for by in limits.values() if by]
    return max(reached, default=0.0)


def describe_limits(limits: Mapping[str, Any]) -> str:
    """The machine's limits in words."""
    rows = [["limits", "threads", "GFLOP/s", "GB/s"]]
    for framework, by in limits.items():
        for threads, found in by.items():
            rows.append([framework, threads, f"{found['gflops']:.0f}", f"{found['gigabytes']:.1f}"])
    return table(rows)


@dataclasses.dataclass(frozen=True)
class Ratio:
    """One cell of the table of ratios: None where a side was not measured."""

    title: str
    framework: str
    value: float | None
    target: float
    against: str

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if it is not known."""
        return None if self.value is None else self.value <= self.target


def ratios(found: Sequence[Measurement]) -> list[Ratio]:
    """Medians of Backlit over those of the best of each framework, with the targets."""
    result = []
    by_name = {m.workload: m for m in found}
    for target in TARGETS:
        m = by_name.get(target.workload)
        if m is None:
            continue
        ours = m.timed().get(target.ours)
        for framework, most in (("pytorch", target.pytorch), ("jax", target.jax)):
            others = m.timed(framework)
            if framework == "jax":
                others = {k: o for k, o in others.items() if k in target.against}
            best = min(others, key=lambda k: others[k].median, default="")
            value = ours.median / others[best].median if ours and best else None
            result.append(Ratio(target.title, framework, value, most, best))
    return result


def describe_ratios(found: Sequence[Measurement]) -> str:
    """The table of ratios: smaller is better."""

    def cells(r: Ratio) -> list[str]:
        if r.value is None:
            return ["not measured", f"≤ {r.target:g}", "", ""]
        return [f"{r.value:.3f}", f"≤ {r.target:g}", "met" if r.met else "MISSED", r.against]

    listed = ratios(found)
    rows = [["backlit ÷ best of", "PyTorch", "target", "", "", "JAX", "target", "", ""]]
    for one, other in zip(listed[::2], listed[1::2], strict=True):
        rows.append([one.title, *cells(one), *cells(other)])
    return table(rows)


def describe_others(found: Sequence[Measurement]) -> str:
    """First calls and memory beside what is wanted."""
    rows = [["", "first call, cold", "target", "warm", "target", "MB a step", "PyTorch's", ""]]
    fixed = {}
    for m in found:
        if m.workload == "playground":
            fixed = {name: o.memory["steps"] for name, o in m.timed().items()}

    def held(name: str, o: Outcome) -> int:
        """Memory of a step without that of the smallest one, which is the framework's own."""
        return max(0, o.memory["steps"] - fixed.get(name, 0))

    for m in found:
        ours = m.timed().get("backlit")
        if ours is None:
            continue
        cold, limit = ours.cold.get("first"), COLD_LARGE if m.workload in LARGE else COLD
        warm = ours.start["first"] if cold is not None else None
        mine = held("backlit", ours)
        theirs = [held(name, o) for name, o in m.timed("pytorch").items()]
        least = min(theirs) if theirs else None
        missed = (cold or 0) > limit or (warm or 0) > WARM or (least is not None and mine > least)
        rows.append(
            [
                m.workload,
                _seconds(cold),
                f"< {limit:g} s",
                _seconds(warm),
                f"< {WARM:g} s",
                f"{mine / 1e6:,.0f}",
                "" if least is None else f"{least / 1e6:,.0f}",
                "MISSED" if missed else "met",
            ]
        )
    text = table(rows)
    return text + ("\n  MB above those of the playground" if fixed else "")


def machine() -> dict[str, Any]:
    """Where it was measured."""
    versions = {}
    for package in ("backlit", "numpy", "llvmlite", "torch", "jax"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": sys.version.split()[0],
        "versions": versions,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def as_json(found: Sequence[Measurement], limits: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that was measured."""
    results = []
    for m in found:
        peers = {}
        for name, o in m.peers.items():
            peers[name] = dataclasses.asdict(o)
            if o.seconds:
                peers[name] |= {"median": o.median, "quietest": o.quietest}
        results.append(
            {
                "workload": m.workload,
                "about": WORKLOADS[m.workload].about,
                "operations": m.operations,
                "peers": peers,
            }
        )
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "limits": limits,
        "ratios": [dataclasses.asdict(r) | {"met": r.met} for r in ratios(found)],
        "results": results,
    }


def read(kept: Mapping[str, Any]) -> list[Measurement]:
    """The measurements of a JSON file, as `as_json` writes it."""
    fields = {f.name for f in dataclasses.fields(Outcome)}
    found = []
    for result in kept["results"]:
        peers = {}
        for name, values in result["peers"].items():
            if name in PEERS:
                given = {k: v for k, v in values.items() if k in fields}
                given["losses"] = {int(k): v for k, v in given["losses"].items()}
                peers[name] = Outcome(**given)
        found.append(Measurement(result["workload"], peers, result["operations"]))
    return found
