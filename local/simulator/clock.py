"""The clock that all simulated services share, so that a test can move time by ninety days in one
call."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime


class Clock:
    """Wall-clock time, shifted by an offset and optionally running faster."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Return to real time."""
        with self._lock:
            self._real_anchor = self._anchor = time.time()
            self._speed = 1.0

    def time(self) -> float:
        """Simulated seconds since the epoch."""
        with self._lock:
            return self._time()

    def now(self) -> datetime:
        """Simulated time, in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    @property
    def offset_seconds(self) -> float:
        """How far simulated time is ahead of real time now."""
        return self.time() - time.time()

    @property
    def speed(self) -> float:
        """Simulated seconds per real second."""
        return self._speed

    def set_offset(self, seconds: float) -> None:
        """Set simulated time `seconds` ahead of real time (behind it if negative)."""
        with self._lock:
            self._real_anchor = time.time()
            self._anchor = self._real_anchor + seconds

    def advance(self, seconds: float) -> None:
        """Move simulated time forward from its present value."""
        with self._lock:
            self._move_anchor()
            self._anchor += seconds

    def set_speed(self, speed: float) -> None:
        """Let simulated time run `speed` times as fast from now on."""
        if speed < 0:
            raise ValueError("speed must not be negative")
        with self._lock:
            self._move_anchor()
            self._speed = speed

    def real_seconds(self, simulated_seconds: float) -> float:
        """The real wait for a simulated time to pass; 0 while simulated time stands still."""
        return simulated_seconds / self._speed if self._speed else 0.0

    def _time(self) -> float:
        return self._anchor + (time.time() - self._real_anchor) * self._speed

    def _move_anchor(self) -> None:
        anchor = self._time()
        self._real_anchor = time.time()
        self._anchor = anchor
