"""When to warn before something expires."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.mail.expiry import NOT_WRITTEN_DOWN, Expiry, days_left

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def warnings(begin: float, steps: list[float]) -> list[int]:
    """What is told where looks come at these distances, in days, from `begin` days before."""
    at = NOW
    found = Expiry("secret", "0f3c9a1b", NOW + timedelta(days=begin))
    told = []
    for step in [0.0, *steps]:
        at += timedelta(days=step)
        threshold = found.to_tell(at)
        if threshold is not None:
            told.append(threshold)
            found = Expiry(found.kind, found.version, found.expires_at, threshold)
    return told


@pytest.mark.parametrize("hours", [1, 24, 7])
def test_each_threshold_is_told_once_however_often_it_is_looked(hours: int) -> None:
    assert warnings(70, [hours / 24] * (80 * 24 // hours)) == [60, 30, 14, 7, 1, 0]


@pytest.mark.parametrize(
    ("begin", "steps", "told"),
    [
        pytest.param(70, [45.0, 1.0], [30], id="the run of day 60 was missed"),
        pytest.param(70, [64.0, 1.0, 1.0], [7], id="weeks were missed"),
        pytest.param(70, [80.0, 1.0], [0], id="nothing ran until it had expired"),
        pytest.param(3, [0.1], [7], id="it was short from the start"),
        pytest.param(90, [1.0], [], id="there is time"),
    ],
)
def test_after_missed_runs_the_nearest_threshold_is_told_and_no_other(
    begin: float, steps: list[float], told: list[int]
) -> None:
    assert warnings(begin, steps) == told


def test_a_threshold_is_reached_to_the_second() -> None:
    found = Expiry("certificate", "a", NOW + timedelta(days=30))

    assert found.threshold(NOW - timedelta(seconds=1)) == 60
    assert found.threshold(NOW) == 30


def test_an_unknown_date_is_told_once() -> None:
    found = Expiry("secret", "a", None)

    assert found.to_tell(NOW) == NOT_WRITTEN_DOWN
    assert Expiry("secret", "a", None, NOT_WRITTEN_DOWN).to_tell(NOW) is None


@pytest.mark.parametrize(("hours", "days"), [(25, 2), (24, 1), (1, 1), (0, 0), (-1, 0), (-25, -1)])
def test_days_left_count_begun_ones(hours: int, days: int) -> None:
    assert days_left(NOW + timedelta(hours=hours), NOW) == days
