"""The pace of a mailbox: slots, one after the other, whoever asks for them."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.pace import Pace, Timetable
from tests.fakes import NOW

THIRTY = Pace(30)


def test_a_mailbox_that_rested_sends_a_few_at_once_and_then_by_the_interval() -> None:
    slots, _ = Timetable().reserve(NOW, 12, THIRTY)

    assert sum(slot <= NOW for slot in slots) == THIRTY.share == 10
    assert slots[-1] == NOW + timedelta(seconds=4)


def test_slots_go_on_where_the_last_ones_ended() -> None:
    first, after = Timetable().reserve(NOW, 12, THIRTY)
    second, _ = after.reserve(NOW, 2, THIRTY)

    assert second[0] - first[-1] == THIRTY.interval


def test_mails_that_went_without_a_slot_are_counted_in() -> None:
    slots, _ = Timetable().reserve(NOW, 1, THIRTY, owed=12)

    assert slots == (NOW + timedelta(seconds=6),)


def test_no_slot_lies_within_a_pause() -> None:
    until = NOW + timedelta(seconds=90)
    slots, _ = Timetable().rested(until).reserve(NOW, 3, THIRTY)

    assert slots[0] == until


def test_the_longest_pause_counts() -> None:
    longest = NOW + timedelta(seconds=90)

    rested = Timetable().rested(longest).rested(NOW + timedelta(seconds=5))

    assert rested.resting_until == longest


@settings(deadline=None, derandomize=True)
@given(
    asks=st.lists(st.tuples(st.integers(0, 120), st.integers(1, 20)), min_size=1, max_size=30),
    pace=st.sampled_from([1, 2, 7, 30, 600]),
)
def test_whoever_asks_no_minute_has_more_slots_than_the_pace_and_one_burst(
    asks: list[tuple[int, int]], pace: int
) -> None:
    now, timetable, given_out = NOW, Timetable(), []
    for seconds, count in asks:
        now += timedelta(seconds=seconds)
        slots, timetable = timetable.reserve(now, count, Pace(pace))
        given_out += [max(now, slot) for slot in slots]

    assert all(earlier <= later for earlier, later in pairwise(given_out))
    for start in given_out:
        within = sum(start <= slot < start + timedelta(minutes=1) for slot in given_out)
        assert within <= pace + Pace(pace).share
