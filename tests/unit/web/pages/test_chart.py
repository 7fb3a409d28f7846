"""The bars of a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from shared.mail.status import Status
from shared.services.mails.ports import Hour
from shared.web.pages.chart import HEIGHT, WIDTH, Chart

BEGINS = datetime(2026, 11, 21, 10, tzinfo=UTC)


def day(**counts: dict[Status, int]) -> list[Hour]:
    return [
        Hour(BEGINS + timedelta(hours=place), counts.get(f"h{place}", {})) for place in range(24)
    ]


def test_every_status_is_in_one_of_three_sums() -> None:
    chart = Chart.of(day(h3=dict.fromkeys(Status, 1)))

    assert (chart.total, chart.sent, chart.waits, chart.trouble) == (8, 1, 4, 3)
    assert [bar.kind for bar in chart.columns[3].bars] == ["sent", "waits", "trouble"]


def test_bars_stand_on_each_other_within_the_picture() -> None:
    most = {Status.SENT: 10_000, Status.QUEUED: 1, Status.FAILED: 1}
    chart = Chart.of(day(h0=most, h23={Status.SENT: 1}))

    for column in chart.columns:
        base = float(HEIGHT)
        for bar in column.bars:
            assert abs(bar.y + bar.height - base) < 0.2
            assert bar.height >= 2
            assert bar.y >= 0
            assert bar.x + bar.width <= WIDTH
            base = bar.y


def test_a_day_without_mails_has_no_bars_and_says_none() -> None:
    chart = Chart.of(day())

    assert (chart.total, chart.missing) == (0, "")
    assert all(column.bars == () for column in chart.columns)
    assert chart.columns[0].title == "10:00 UTC: none"


def test_an_hour_that_was_not_counted_to_its_end_says_so() -> None:
    hours = [
        Hour(BEGINS, {}, whole=False),
        Hour(BEGINS + timedelta(hours=1), {Status.SENT: 2000, Status.FAILED: 0}, whole=False),
    ]

    chart = Chart.of(hours)

    assert [column.title for column in chart.columns] == [
        "10:00 UTC: not counted yet",
        "11:00 UTC: 2000 sent or more",
    ]
    assert chart.missing == "1 earlier hour is still to be counted"
    assert Chart.of([]).total == 0


def test_it_says_since_when_it_is_drawn_how_high_it_is_and_what_is_still_to_be_counted() -> None:
    hours = day(h3={Status.SENT: 1200}, h5={Status.FAILED: 7})
    hours[-1] = Hour(hours[-1].begins, {}, whole=False)

    chart = Chart.of(hours)

    assert chart.scale == "By the hour, since 10:00 UTC; the highest has 1,200."
    assert chart.missing == "those since 09:00 UTC are counted only in part"
    uncounted = [replace(hour, whole=False) for hour in hours[:-1]]
    assert Chart.of([*uncounted, hours[-1]]).missing == "23 earlier hours are still to be counted"
    assert Chart.of([]).scale == ""
