"""When to warn before the app's credential expires: at each threshold once, however often it is looked.

A run that was missed is made up for by the next one, which warns of the nearest threshold that has
passed, and of no other.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil

import msgspec

THRESHOLDS = (60, 30, 14, 7, 1, 0)
"""Days before; 0 says that it has expired."""
URGENT_DAYS = 7
NOT_WRITTEN_DOWN = 9999
"""Stands for a threshold where nobody wrote down when it expires: told once, as less urgent than all."""

_DAY = timedelta(days=1)


class Expiry(msgspec.Struct, frozen=True):
    """A credential that can expire, and what was told of it."""

    kind: str
    """`secret` or `certificate`."""
    version: str
    """The first characters of its version."""
    expires_at: datetime | None
    """None where nobody wrote it down."""
    told: int | None = None
    """The last threshold of which it was told in the log."""
    owed: int | None = None
    """The threshold whose mail to operators is still to be sent: no account could carry it."""

    def days_left(self, now: datetime) -> int | None:
        """Whole days until it expires, begun ones counted; 0 or less once it has."""
        return days_left(self.expires_at, now)

    def threshold(self, now: datetime) -> int | None:
        """The nearest threshold that has passed."""
        if self.expires_at is None:
            return NOT_WRITTEN_DOWN
        left = self.expires_at - now
        passed = [days for days in THRESHOLDS if left <= days * _DAY]
        return min(passed) if passed else None

    def to_tell(self, now: datetime) -> int | None:
        """The threshold to warn of now, if it was not told yet."""
        threshold = self.threshold(now)
        if threshold is None or (self.told is not None and self.told <= threshold):
            return None
        return threshold

    def is_same(self, other: Expiry) -> bool:
        """Whether nothing but what was told differs."""
        mine = (self.kind, self.version, self.expires_at)
        return mine == (other.kind, other.version, other.expires_at)


def days_left(expires_at: datetime | None, now: datetime) -> int | None:
    """Whole days until a time, begun ones counted; 0 or less once it has passed."""
    return None if expires_at is None else ceil((expires_at - now) / _DAY)
