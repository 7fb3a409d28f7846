"""When a mail is tried again, and when Postroom gives up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from math import isfinite

import msgspec

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 900.0
LONGEST_ASKED_SECONDS = 7 * 24 * 3600.0
"""Seconds. If a remote asks for a longer wait, its answer is wrong."""

Jitter = Callable[[], float]
"""Returns a random number from 0 up to, but not including, 1."""


def bounded(seconds: float) -> float | None:
    """A wait that a remote asked for, limited to 0 seconds to a week; None if the number is not a
    length of time."""
    return min(max(0.0, seconds), LONGEST_ASKED_SECONDS) if isfinite(seconds) else None


def whole_seconds(header: str | None) -> float | None:
    """The wait in a Retry-After header of a service that sends whole seconds only."""
    return bounded(float(header)) if header and header.isascii() and header.isdigit() else None


class RetryLimit(msgspec.Struct, frozen=True):
    """How long a mail is tried: by number of attempts, and by time since it was first due."""

    max_attempts: int
    give_up_after_seconds: int


def seconds_until_next(attempt: int, retry_after: float | None, jitter: Jitter) -> float:
    """The wait after attempt number `attempt` (from 1).

    At least what the remote asked for (at most a week), plus up to a tenth, so that many mails do
    not come back at the same moment. If it asked for nothing: 5 s, doubled each time up to 15 min,
    half of it random.
    """
    if retry_after is not None and retry_after >= 0:
        return min(max(1.0, retry_after), LONGEST_ASKED_SECONDS) * (1 + jitter() / 10)
    full = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(attempt - 1, 30))
    return full / 2 + full / 2 * jitter()


def is_exhausted(
    patience: RetryLimit, attempts: int, first_due: datetime, next_try: datetime
) -> bool:
    """Whether another attempt would exceed a limit."""
    return attempts >= patience.max_attempts or next_try - first_due > timedelta(
        seconds=patience.give_up_after_seconds
    )
