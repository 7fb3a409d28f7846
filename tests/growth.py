"""How the time of a reader grows with its input."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Input = TypeVar("Input")

_TRIES = 4
_TOO_SHORT = 0.05
"""Seconds of CPU below which a run says nothing about growth."""
_MOST = 8.0
"""Four times the input takes four times as long in a linear reader, and sixteen in a quadratic one."""


def assert_linear(
    read: Callable[[Input], object], made: Callable[[int], Input], largest: int
) -> None:
    """Fail where `read` takes more than in proportion to what `made` makes of a number, up to
    `largest`. CPU time of this thread counts, and a pair of runs that looks too slow is made again, so
    that a busy machine changes little: a reader that takes the square fails in each of them."""
    quarter, whole = made(largest // 4), made(largest)
    times = []
    for _ in range(_TRIES):
        last = _seconds(read, whole)
        if last < _TOO_SHORT:
            return
        # A run that is disturbed takes longer, never shorter: the better of two is the true one.
        first = min(_seconds(read, quarter) for _ in range(2))
        if last <= _MOST * max(first, _TOO_SHORT / 4):
            return
        times.append((first, last))
    raise AssertionError(times)


def _seconds(read: Callable[[Input], object], each: Input) -> float:
    started = time.thread_time()
    read(each)
    return time.thread_time() - started
