"""How the time of a reader grows with its input."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Input = TypeVar("Input")

_TRIES = 3
_TOO_SHORT = 0.05
"""Seconds of CPU below which a run says nothing about growth."""
_MOST = 8.0
"""Four times the input takes four times as long in a linear reader, and sixteen in a quadratic one."""


def assert_linear(
    read: Callable[[Input], object], made: Callable[[int], Input], largest: int
) -> None:
    """Fail where `read` takes more than in proportion to what `made` makes of a number, up to
    `largest`. CPU time of this thread counts, and the best of some runs, so that a busy machine
    changes little: a reader that takes the square fails in each of them."""
    inputs = [made(largest // 4), made(largest // 2), made(largest)]
    if _seconds(read, inputs[-1]) < _TOO_SHORT:
        return
    times = []
    for _ in range(_TRIES):
        first, second, third = (min(_seconds(read, each) for _ in range(3)) for each in inputs)
        if third <= _MOST * max(first, _TOO_SHORT / 4):
            return
        times.append((first, second, third))
    raise AssertionError(times)


def _seconds(read: Callable[[Input], object], each: Input) -> float:
    started = time.thread_time()
    read(each)
    return time.thread_time() - started
