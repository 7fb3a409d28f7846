"""What a long part of the bench says meanwhile, on standard error."""

from __future__ import annotations

import sys
import time


class Progress:
    """One line for each step, with how much of how many is done and how long it took so far."""

    def __init__(self, part: str, steps: int) -> None:
        self._part, self._steps, self._done = part, steps, 0
        self._began = time.monotonic()

    def step(self, what: str) -> None:
        """The next step begins."""
        self._done += 1
        seconds = time.monotonic() - self._began
        sys.stderr.write(f"{self._part} {self._done}/{self._steps}, {seconds:.0f} s: {what}\n")
        sys.stderr.flush()
