"""When to warn that the app's credential expires: once at each threshold.

After missed runs, the next run warns once, of the nearest threshold that has passed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil

import msgspec

THRESHOLDS = (60, 30, 14, 7, 1, 0)
"""Days before the credential expires; 0 means that it has expired."""
URGENT_DAYS = 7
NOT_WRITTEN_DOWN = 9999
"""The threshold of a credential whose expiry date nobody entered: Postroom warns once. It is less
urgent than every other threshold."""

_DAY = timedelta(days=1)


class Expiry(msgspec.Struct, frozen=True):
    """A credential that can expire, and the warnings about it so far."""

    kind: str
    """`secret` or `certificate`."""
    version: str
    """The first characters of its version."""
    expires_at: datetime | None
    """None if nobody entered the date."""
    told: int | None = None
    """The last threshold that was logged."""
    owed: int | None = None
    """The threshold whose mail to operators is not sent yet, because no account could send it."""

    def days_left(self, now: datetime) -> int | None:
        """Whole days until it expires, rounded up; 0 or less once it has expired."""
        return days_left(self.expires_at, now)

    def threshold(self, now: datetime) -> int | None:
        """The nearest threshold that has passed."""
        if self.expires_at is None:
            return NOT_WRITTEN_DOWN
        left = self.expires_at - now
        passed = [days for days in THRESHOLDS if left <= days * _DAY]
        return min(passed) if passed else None

    def to_tell(self, now: datetime) -> int | None:
        """The threshold to warn of now; None if there is none, or if the warning was given."""
        threshold = self.threshold(now)
        if threshold is None or (self.told is not None and self.told <= threshold):
            return None
        return threshold

    def is_same(self, other: Expiry) -> bool:
        """Whether the two differ only in the warnings that were given."""
        mine = (self.kind, self.version, self.expires_at)
        return mine == (other.kind, other.version, other.expires_at)


def days_left(expires_at: datetime | None, now: datetime) -> int | None:
    """Whole days until a time, rounded up; 0 or less once it has passed."""
    return None if expires_at is None else ceil((expires_at - now) / _DAY)
