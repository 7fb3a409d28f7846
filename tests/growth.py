"""How the time of a call grows with its input."""

from __future__ import annotations

import time
from collections.abc import Callable

MOST = 3.4
"""Doubling the input may take so many times as long. Linear is 2, quadratic is 4."""
TOO_SHORT = 0.002
"""Seconds of processor time below which a ratio says nothing."""


def assert_linear(call: Callable[[int], object], size: int) -> None:
    """Assert that doubling `size`, twice, never takes the square. Time is that of this thread alone,
    the least of several runs."""
    times = [_least(call, count) for count in (size, 2 * size, 4 * size)]
    if times[2] < TOO_SHORT:
        return
    assert times[2] / max(times[0], TOO_SHORT / 4) < MOST**2, times


def _least(call: Callable[[int], object], size: int) -> float:
    found = []
    for _ in range(3):
        started = time.thread_time()
        call(size)
        found.append(time.thread_time() - started)
    return min(found)
