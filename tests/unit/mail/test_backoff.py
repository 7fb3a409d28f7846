"""When to try again, and when to give up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.backoff import (
    FIRST_SECONDS,
    LONGEST_ASKED_SECONDS,
    LONGEST_SECONDS,
    RetryLimit,
    is_exhausted,
    seconds_until_next,
)
from tests.fakes import NOW

quick = settings(deadline=None, derandomize=True, max_examples=50)
jitters = st.floats(0, 1, exclude_max=True)
PATIENCE = RetryLimit(max_attempts=5, give_up_after_seconds=3600)


@quick
@given(st.integers(1, 10_000), jitters)
def test_our_own_wait_is_random_within_bounds(attempt: int, jitter: float) -> None:
    wait = seconds_until_next(attempt, None, lambda: jitter)

    assert FIRST_SECONDS / 2 <= wait <= LONGEST_SECONDS


@pytest.mark.parametrize(
    ("attempt", "least", "most"),
    [(1, 2.5, 5), (2, 5, 10), (3, 10, 20), (8, 320, 640), (9, 450, 900), (1000, 450, 900)],
)
def test_our_own_wait_doubles_to_a_ceiling(attempt: int, least: float, most: float) -> None:
    assert seconds_until_next(attempt, None, lambda: 0.0) == least
    assert seconds_until_next(attempt, None, lambda: 1.0) == most


@quick
@given(st.floats(1, LONGEST_ASKED_SECONDS), st.integers(1, 40), jitters)
def test_what_the_remote_asked_for_wins_and_is_never_undercut(
    asked: float, attempt: int, jitter: float
) -> None:
    wait = seconds_until_next(attempt, asked, lambda: jitter)

    assert asked <= wait <= asked * 1.1


def test_many_mails_do_not_come_back_in_the_same_instant() -> None:
    assert seconds_until_next(1, 100, lambda: 0.1) != seconds_until_next(1, 100, lambda: 0.9)


@pytest.mark.parametrize("asked", [0, 0.2])
def test_at_least_a_second_passes(asked: float) -> None:
    assert seconds_until_next(1, asked, lambda: 0.0) == 1


@pytest.mark.parametrize("asked", [-1.0, float("nan")])
def test_a_nonsensical_wait_is_ignored(asked: float) -> None:
    assert seconds_until_next(1, asked, lambda: 0.0) == FIRST_SECONDS / 2


@pytest.mark.parametrize("asked", [1e9, 1e300, float("inf")])
def test_a_wait_beyond_reason_is_capped(asked: float) -> None:
    assert seconds_until_next(1, asked, lambda: 0.0) == LONGEST_ASKED_SECONDS


@pytest.mark.parametrize(
    ("attempts", "seconds", "expected"),
    [(4, 3600, False), (5, 10, True), (6, 10, True), (4, 3601, True), (1, 0, False)],
)
def test_patience_ends_by_count_or_by_time(attempts: int, seconds: int, expected: bool) -> None:
    next_try = NOW + timedelta(seconds=seconds)

    assert is_exhausted(PATIENCE, attempts, NOW, next_try) is expected
