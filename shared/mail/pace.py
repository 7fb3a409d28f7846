"""The pace of a mailbox: spreads mails over time so that Exchange does not throttle them.

Exchange Online lets a mailbox send 30 messages a minute.
https://learn.microsoft.com/office365/servicedescriptions/exchange-online-service-description/exchange-online-limits
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec
from msgspec.structs import replace

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

FARTHEST_DAYS = 366
"""How many days ahead are counted separately; mails that do not fit before get a slot on the last
one."""


def midnight_of(day: date) -> datetime:
    """The begin of a day of UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


class Pace(msgspec.Struct, frozen=True):
    """How fast each mailbox sends. 0 mails a minute means no limit."""

    mails_per_minute: int

    @property
    def is_limited(self) -> bool:
        """Whether the pace is limited."""
        return self.mails_per_minute > 0

    @property
    def interval(self) -> timedelta:
        """The time from one slot to the next. Raises ZeroDivisionError if there is no limit."""
        return timedelta(minutes=1) / self.mails_per_minute

    @property
    def share(self) -> int:
        """A third of a minute's mails. A process may send so many without a reservation, reserves
        so many slots at a time, and a mailbox that was idle may send so many at once."""
        return max(1, self.mails_per_minute // 3)


class Timetable(msgspec.Struct, frozen=True):
    """The slots of one mailbox: all before `next_at` are taken."""

    next_at: datetime = _LONG_AGO
    resting_until: datetime | None = None
    """The end of a pause that Microsoft asked for: no slot is before it."""
    given: tuple[tuple[date, int], ...] = ()
    """The number of taken slots of a mailbox with a daily cap, by day of UTC, without past days."""

    def given_on(self, day: date) -> int:
        """How many slots of a day are taken."""
        return dict(self.given).get(day, 0)

    def taken_back(self, day: date) -> Timetable:
        """This timetable with one taken slot less on a day."""
        counts = dict(self.given)
        if counts.get(day, 0) > 0:
            counts[day] -= 1
        return replace(self, given=tuple(sorted(counts.items())))

    def reserve_capped(
        self, now: datetime, count: int, pace: Pace, cap: int
    ) -> tuple[tuple[datetime, ...], Timetable]:
        """The next `count` slots of a mailbox that sends at most `cap` mails a day of UTC, and the
        timetable after them. A mail that does not fit today gets a slot on the first day with
        room."""
        found = replace(self, given=tuple(one for one in self.given if one[0] >= now.date()))
        slots = []
        for _ in range(count):
            slot, found = found._next_capped(now, pace, cap)
            slots.append(slot)
        return tuple(slots), found

    def _next_capped(self, now: datetime, pace: Pace, cap: int) -> tuple[datetime, Timetable]:
        start = max(now, self.resting_until or now)
        interval = pace.interval if pace.is_limited else timedelta(0)
        counts = dict(self.given)
        for ahead in range(FARTHEST_DAYS):
            day = start.date() + timedelta(days=ahead)
            given, midnight = counts.get(day, 0), midnight_of(day)
            # Slots that were taken before the day began are at its beginning, one after another.
            slot = midnight + given * interval
            if ahead == 0:
                burst = (pace.share - 1) * interval
                slot = max(slot, self.next_at, start - burst, self.resting_until or slot)
            if (given < cap and slot.date() == day) or ahead + 1 == FARTHEST_DAYS:
                break
        next_at = max(self.next_at, slot + interval) if ahead == 0 else self.next_at
        counts[day] = given + 1
        return slot, replace(self, next_at=next_at, given=tuple(sorted(counts.items())))

    def reserve(
        self, now: datetime, count: int, pace: Pace, *, owed: int = 0
    ) -> tuple[tuple[datetime, ...], Timetable]:
        """The next `count` slots, and the timetable after them.

        A mailbox that was idle for a while has a few slots at once. `owed` mails were sent without
        a slot; as many slots are skipped now.
        """
        earliest = now - (pace.share - 1) * pace.interval
        first = max(self.next_at, earliest) + owed * pace.interval
        if self.resting_until is not None:
            first = max(first, self.resting_until)
        slots = tuple(first + index * pace.interval for index in range(count))
        return slots, replace(self, next_at=first + count * pace.interval)

    def rested(self, until: datetime) -> Timetable:
        """This timetable with a pause. The longest pause that was asked for counts."""
        return replace(self, resting_until=max(until, self.resting_until or until))
