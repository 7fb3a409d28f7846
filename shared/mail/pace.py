"""The pace of a mailbox: how mails are spread over time so that Exchange need not refuse them.

Exchange Online lets a mailbox send 30 messages a minute.
https://learn.microsoft.com/office365/servicedescriptions/exchange-online-service-description/exchange-online-limits
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast each mailbox sends. 0 mails a minute means: as fast as it can."""

    mails_per_minute: int

    @property
    def is_limited(self) -> bool:
        """Whether there is a pace at all."""
        return self.mails_per_minute > 0

    @property
    def interval(self) -> timedelta:
        """From one slot to the next. Raises ZeroDivisionError where there is no pace."""
        return timedelta(minutes=1) / self.mails_per_minute

    @property
    def share(self) -> int:
        """A third of a minute's mails: what a process may send unasked, how many slots it takes at
        a time, and how many a mailbox that rested may send at once."""
        return max(1, self.mails_per_minute // 3)


@dataclass(frozen=True, slots=True)
class Timetable:
    """The slots of one mailbox: those before `next_at` are given away."""

    next_at: datetime = _LONG_AGO
    resting_until: datetime | None = None
    """Microsoft asked for a pause until then: no slot lies before it."""

    def reserve(
        self, now: datetime, count: int, pace: Pace, *, owed: int = 0
    ) -> tuple[tuple[datetime, ...], Timetable]:
        """The next `count` slots, and the timetable after them.

        A mailbox that has sent nothing for a while has a few slots at once. `owed` mails went out
        without a slot; theirs are left out now.
        """
        earliest = now - (pace.share - 1) * pace.interval
        first = max(self.next_at, earliest) + owed * pace.interval
        if self.resting_until is not None:
            first = max(first, self.resting_until)
        slots = tuple(first + index * pace.interval for index in range(count))
        return slots, replace(self, next_at=first + count * pace.interval)

    def rested(self, until: datetime) -> Timetable:
        """This timetable with a pause: the longest one asked for counts."""
        return replace(self, resting_until=max(until, self.resting_until or until))
