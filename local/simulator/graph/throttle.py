"""Outlook's limits per application and mailbox [inc: throttling-outlook] (graph-mail.md 4.1, 4.2).

Concurrency is real: the requests that are served at this moment count. The windows move with the
simulator's clock. Refused requests also count [con: throttling].
"""

from __future__ import annotations

import math
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime

from local.simulator.graph.errors import ApplicationThrottled
from local.simulator.graph.options import GraphOptions

CONCURRENCY_WAIT = 1.0
"""Retry-After in seconds if only the number of parallel requests was too high; clients often see
1."""


@dataclass
class Window:
    """A sliding sum of (when, how much)."""

    entries: deque[tuple[datetime, int]] = field(default_factory=deque)
    total: int = 0

    def add(self, now: datetime, amount: int, seconds: float) -> None:
        start = now - timedelta(seconds=seconds)
        while self.entries and self.entries[0][0] <= start:
            self.total -= self.entries.popleft()[1]
        self.entries.append((now, amount))
        self.total += amount

    def wait(self, now: datetime, limit: int, seconds: float) -> float:
        """Seconds until the sum is back within the limit, if nothing more is added."""
        excess = self.total - limit
        for when, amount in self.entries:
            excess -= amount
            if excess <= 0:
                return (when - now).total_seconds() + seconds
        return seconds


@dataclass
class _Usage:
    parallel: int = 0
    requests: Window = field(default_factory=Window)
    uploads: Window = field(default_factory=Window)


class Throttle:
    """Counts requests by (application id, mailbox id) and refuses those over a limit."""

    def __init__(self, now: Callable[[], datetime], options: Callable[[], GraphOptions]) -> None:
        self._now = now
        self._options = options
        self._usage: dict[tuple[str, str], _Usage] = defaultdict(_Usage)
        self._lock = threading.Lock()

    @contextmanager
    def slot(self, application: str, mailbox: str, upload_bytes: int) -> Iterator[None]:
        """Hold one of the mailbox's parallel slots. Raises ApplicationThrottled instead."""
        options = self._options()
        with self._lock:
            usage = self._usage[application, mailbox]
            refusal = self._refusal(usage, upload_bytes, options)
            if refusal is not None:
                raise refusal
            usage.parallel += 1
        try:
            yield
        finally:
            with self._lock:
                usage.parallel -= 1

    def _refusal(
        self, usage: _Usage, upload_bytes: int, options: GraphOptions
    ) -> ApplicationThrottled | None:
        now = self._now()
        windows = (
            (usage.requests, 1, options.requests_per_window, options.requests_window_seconds),
            (
                usage.uploads,
                upload_bytes,
                options.upload_bytes_per_window,
                options.upload_window_seconds,
            ),
        )
        waits = []
        for window, amount, limit, seconds in windows:
            window.add(now, amount, seconds)
            if window.total > limit:
                waits.append(window.wait(now, limit, seconds))
        if waits:
            name = "MailboxRequests" if usage.requests.total > windows[0][2] else "MailboxUpload"
            return ApplicationThrottled.over(name, self._retry_after(max(waits), options))
        if usage.parallel >= options.concurrent_requests:
            return ApplicationThrottled.over(
                "MailboxConcurrency", self._retry_after(CONCURRENCY_WAIT, options)
            )
        return None

    def _retry_after(self, seconds: float, options: GraphOptions) -> list[tuple[str, str]]:
        """Integers, fractions, no header and HTTP dates have all been reported (4.2)."""
        match options.retry_after:
            case "absent":
                return []
            case "fractional":
                return [("Retry-After", f"{seconds + 0.128:.3f}")]
            case "http-date":
                when = self._now() + timedelta(seconds=math.ceil(seconds))
                return [("Retry-After", format_datetime(when, usegmt=True))]
            case _:
                return [("Retry-After", str(max(1, math.ceil(seconds))))]

    def reset(self) -> None:
        with self._lock:
            self._usage.clear()
