"""Counting the mails of a day, hour by hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from shared.mail.status import Status
from shared.services.mails.hourly_stats import MOST_AT_A_LOOK, MOST_SECONDS, SHOWN, HourlyStats
from shared.services.mails.ports import Hour
from tests.fakes import Clock

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
BEGUN = NOW.replace(minute=0)
HOUR = timedelta(hours=1)
SENT = {Status.SENT: 3}


class Books:
    """The ledger to count, and what was counted: `mails.ports.MailCounter` and `mails.ports.Hours` over memory."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.asked: list[tuple[datetime, datetime, int | None]] = []
        self.counts: dict[datetime, Mapping[Status, int]] = {}
        self.kept: dict[datetime, Hour] = {}
        self.seconds = 0.0

    def count(self, since: datetime, until: datetime, most: int | None = None) -> Hour:
        self.clock.forward(seconds=self.seconds)
        self.asked.append((since, until, most))
        return Hour(since, self.counts.get(since, SENT))

    def read(self, since: datetime) -> Sequence[Hour]:
        return [hour for begins, hour in sorted(self.kept.items()) if begins >= since]

    def write(self, hour: Hour) -> None:
        self.kept[hour.begins] = hour

    def forget(self, before: datetime) -> None:
        self.kept = {begins: hour for begins, hour in self.kept.items() if begins >= before}


@pytest.fixture
def books() -> Books:
    return Books(Clock(NOW))


@pytest.fixture
def hourly_stats(books: Books) -> HourlyStats:
    return HourlyStats(books, books, books.clock)


def test_the_hours_that_are_over_are_counted_once_the_latest_first(
    books: Books, hourly_stats: HourlyStats
) -> None:
    assert hourly_stats.count() == SHOWN - 1
    assert [since for since, _, _ in books.asked[:2]] == [BEGUN - HOUR, BEGUN - 2 * HOUR]
    assert BEGUN not in books.kept

    assert hourly_stats.count() == 0


@pytest.mark.parametrize(
    "status", [Status.QUEUED, Status.SCHEDULED, Status.SENDING, Status.HELD, Status.UNKNOWN]
)
def test_an_hour_with_a_mail_that_may_change_is_counted_again(
    books: Books, hourly_stats: HourlyStats, status: Status
) -> None:
    books.counts[BEGUN - 5 * HOUR] = {Status.SENT: 2, status: 1}
    hourly_stats.count()
    books.counts[BEGUN - 5 * HOUR] = {Status.SENT: 3, status: 0}

    assert hourly_stats.count() == 1
    assert books.kept[BEGUN - 5 * HOUR].counts[Status.SENT] == 3
    assert hourly_stats.count() == 0


def test_counting_ends_in_time_and_goes_on_at_the_next_run(
    books: Books, hourly_stats: HourlyStats
) -> None:
    books.seconds = MOST_SECONDS / 4

    assert hourly_stats.count() == 4
    books.seconds = 0
    assert hourly_stats.count() == SHOWN - 1 - 4


def test_hours_that_nobody_sees_any_more_are_forgotten(
    books: Books, hourly_stats: HourlyStats
) -> None:
    books.write(Hour(BEGUN - SHOWN * HOUR, SENT))
    books.write(Hour(BEGUN - (SHOWN - 1) * HOUR, SENT))

    hourly_stats.count()

    assert min(books.kept) == BEGUN - (SHOWN - 1) * HOUR


def test_a_look_counts_the_hour_that_has_begun_and_no_other(
    books: Books, hourly_stats: HourlyStats
) -> None:
    books.write(Hour(BEGUN - HOUR, SENT))

    hours = hourly_stats.last_day()

    assert books.asked == [(BEGUN, BEGUN + HOUR, MOST_AT_A_LOOK)]
    assert [hour.begins for hour in hours] == [BEGUN - n * HOUR for n in range(SHOWN - 1, -1, -1)]
    assert [hour.whole for hour in hours] == [False] * (SHOWN - 2) + [True, True]
    assert sum(hour.total for hour in hours) == 6
