"""Schedules as NCrontab reads them (azure-functions.md 4.3)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local.host import ncrontab


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        pytest.param("*/5 * * * * *", "2026-01-01T00:00:05", "2026-01-01T00:00:10", id="seconds"),
        pytest.param("0 */5 * * * *", "2026-01-01T00:04:59", "2026-01-01T00:05:00", id="minutes"),
        pytest.param("*/5 * * * *", "2026-01-01T00:00:00", "2026-01-01T00:05:00", id="five-fields"),
        pytest.param("0 30 9 * * Mon-Fri", "2026-11-20T10:00", "2026-11-23T09:30", id="weekdays"),
        pytest.param(
            "0 0 0 1 Jan *", "2026-01-01T00:00:00", "2027-01-01T00:00:00", id="month-name"
        ),
        pytest.param("0 0 5/8 * * *", "2026-01-01T06:00", "2026-01-01T13:00", id="from-on"),
        pytest.param("0 0,20 8-9 * * *", "2026-01-01T08:00", "2026-01-01T08:20", id="list-range"),
        pytest.param("0 0 0 13 * 5", "2026-01-01T00:00", "2026-02-13T00:00", id="day-and-weekday"),
        pytest.param("0 0 0 29 2 *", "2026-01-01T00:00", "2028-02-29T00:00", id="leap-day"),
    ],
)
def test_the_next_time_is_the_first_that_fits_every_field(
    schedule: str, after: str, expected: str
) -> None:
    assert ncrontab.parse(schedule).after(moment(after)) == moment(expected)


@pytest.mark.parametrize(
    "schedule",
    ["* * * *", "60 * * * * *", "0 0 0 * * 7", "0 0 0 0 * *", "0 5-1 * * * *", "a * * * * *", "-"],
)
def test_a_schedule_out_of_its_bounds_is_refused(schedule: str) -> None:
    with pytest.raises(ValueError, match="field"):
        ncrontab.parse(schedule)


def test_a_date_that_never_comes_is_refused() -> None:
    with pytest.raises(ValueError, match="never"):
        ncrontab.parse("0 0 0 31 2 *").after(moment("2026-01-01T00:00:00"))
