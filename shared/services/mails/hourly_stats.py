"""How many mails came in each hour of the last day, by status.

Counting reads rows. A timer therefore counts each hour that is over, and the result is kept; only
the present hour is counted when a page is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.mail.status import WAITING, Status
from shared.services.clock import Clock
from shared.services.mails.ports import Hour, Hours, MailCounter

HOUR = timedelta(hours=1)
SHOWN = 24
"""How many hours are shown, including the present one."""
MOST_AT_A_LOOK = 2000
"""The most mails that are counted while a page is made."""
MOST_SECONDS = 240.0


class HourlyStats:
    """Counts."""

    def __init__(self, counter: MailCounter, hours: Hours, clock: Clock) -> None:
        self._census = counter
        self._hours = hours
        self._clock = clock

    def count(self) -> int:
        """Count the hours that are over, latest first, as long as the time lasts. An hour is
        counted once all of its mails are finished. Returns how many hours were counted."""
        now = self._clock()
        stop = now + timedelta(seconds=MOST_SECONDS)
        first = _begin_of(now) - (SHOWN - 1) * HOUR
        known = {hour.begins: hour for hour in self._hours.read(first)}
        counted = 0
        for back in range(1, SHOWN):
            begins = _begin_of(now) - back * HOUR
            if begins in known and _is_at_rest(known[begins]):
                continue
            if self._clock() >= stop:
                break
            self._hours.write(self._census.count(begins, begins + HOUR))
            counted += 1
        self._hours.forget(first)
        return counted

    def last_day(self) -> Sequence[Hour]:
        """The last 24 hours, oldest first. An hour that was not counted yet is not `whole`."""
        now = self._clock()
        begun = _begin_of(now)
        first = begun - (SHOWN - 1) * HOUR
        known = {hour.begins: hour for hour in self._hours.read(first)}
        past = [first + back * HOUR for back in range(SHOWN - 1)]
        current = self._census.count(begun, begun + HOUR, MOST_AT_A_LOOK)
        return [*(known.get(begins) or Hour(begins, {}, whole=False) for begins in past), current]


def _begin_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _is_at_rest(hour: Hour) -> bool:
    """Whether the mails of this hour change only if a person acts."""
    return not any(hour.counts.get(status) for status in (*WAITING, Status.HELD, Status.UNKNOWN))
