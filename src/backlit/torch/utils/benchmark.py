"""`torch.utils.benchmark`: how long a statement takes."""

from __future__ import annotations

import statistics
import time
import timeit
from typing import Any

from ...errors import ArgumentError
from ..mirror import mirrored


class Measurement:
    """Seconds of one execution, measured several times over `number_per_run` executions each."""

    def __init__(self, number_per_run: int, raw_times: list[float], title: str):
        self.number_per_run, self.raw_times, self.title = number_per_run, raw_times, title

    @property
    def times(self) -> list[float]:
        """The seconds of one execution, in each measurement."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def mean(self) -> float:
        """The mean of the seconds."""
        return statistics.fmean(self.times)

    @property
    def median(self) -> float:
        """The median of the seconds."""
        return statistics.median(self.times)

    @property
    def iqr(self) -> float:
        """What lies between the first and the third quarter of the measurements, in seconds."""
        if len(self.times) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.times, n=4, method="inclusive")
        return high - low

    def __repr__(self) -> str:
        return (
            f"{self.title}\n  {self.median * 1e6:.2f} us, the median of {len(self.times)} "
            f"measurements of {self.number_per_run} executions each"
        )


class Timer:
    """Measures a statement of Python, with the names of `globals`."""

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer: Any = time.perf_counter,
        globals: dict[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: str = "python",
    ):
        if str(language).lower() not in ("python", "py"):
            raise ArgumentError(f"Timer: language must be 'python', got {language!r:.60}")
        self._title = ": ".join(t for t in (label or stmt, sub_label, description) if t)
        self._timer = timeit.Timer(stmt, setup, timer, dict(globals or {}))

    def timeit(self, number: int = 1_000_000) -> Measurement:
        """One measurement of so many executions, after a hundredth of them to warm up."""
        self._timer.timeit(max(number // 100, 2))
        return Measurement(number, [self._timer.timeit(number)], self._title)

    def blocked_autorange(self, callback: Any = None, min_run_time: float = 0.2) -> Measurement:
        """Measurements until they have taken `min_run_time` seconds together."""
        number, taken = 1, self._timer.timeit(1)
        while taken < min_run_time / 1000:
            number *= 10
            taken = self._timer.timeit(number)
        times: list[float] = []
        while not times or sum(times) < min_run_time:
            times.append(self._timer.timeit(number))
            if callback is not None:
                callback(number, times[-1])
        return Measurement(number, times, self._title)

    def adaptive_autorange(self, *args: Any, min_run_time: float = 0.01, **options: Any) -> Any:
        """`blocked_autorange`."""
        return self.blocked_autorange(min_run_time=min_run_time)


__getattr__ = mirrored("torch.utils.benchmark")
