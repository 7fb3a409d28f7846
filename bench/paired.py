"""Measuring two things against each other: alternating, so that a busy machine slows both alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """Seconds of one thing and of its yardstick, run by turns."""

    measured: tuple[float, ...]
    yardstick: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Median against median."""
        return self.median / self.yardstick_median

    @property
    def median(self) -> float:
        """Of what was measured, in seconds."""
        return statistics.median(self.measured)

    @property
    def yardstick_median(self) -> float:
        """Of the yardstick, in seconds."""
        return statistics.median(self.yardstick)

    def spread(self) -> tuple[float, float]:
        """The middle half of the ratios of neighbouring runs: how far to trust the medians."""
        ratios = [a / b for a, b in zip(self.measured, self.yardstick, strict=True)]
        low, _, high = statistics.quantiles(ratios, n=4)
        return low, high

    def as_json(self) -> dict[str, object]:
        """The raw figures too: a median hides what they look like."""
        low, high = self.spread()
        return {
            "ratio": round(self.ratio, 3),
            "median_ms": round(self.median * 1000, 3),
            "yardstick_median_ms": round(self.yardstick_median * 1000, 3),
            "middle_half_of_ratios": [round(low, 3), round(high, 3)],
            "measured_ms": [round(value * 1000, 3) for value in self.measured],
            "yardstick_ms": [round(value * 1000, 3) for value in self.yardstick],
        }


def cpu_of(work: Callable[[], object]) -> float:
    """Processor seconds of this process, all its threads included."""
    began = time.process_time()
    work()
    return time.process_time() - began


def alternate(
    measured: Callable[[], float], yardstick: Callable[[], float], runs: int, *, warm_up: int = 5
) -> Pair:
    """Run both by turns; which goes first changes each time. Each tells how long it took."""
    for _ in range(warm_up):
        measured()
        yardstick()
    first: list[float] = []
    second: list[float] = []
    gc.collect()
    for index in range(runs):
        if index % 2:
            first.append(measured())
            second.append(yardstick())
        else:
            second.append(yardstick())
            first.append(measured())
    return Pair(tuple(first), tuple(second))
