"""Mail ids."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail.ids import id_of_message, is_id, new_id, time_of
from tests.fakes import NOW

quick = settings(deadline=None, derandomize=True, max_examples=50)
moments = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - the strategy wants naive bounds
    max_value=datetime(9999, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001
    timezones=st.just(UTC),
)
entropy = st.binary(min_size=10, max_size=10)


def noise() -> random.Random:
    return random.Random(1)  # noqa: S311 - reproducible, not secret


@quick
@given(moments, entropy)
def test_a_new_id_has_the_shape_of_one(now: datetime, given_bytes: bytes) -> None:
    mail_id = new_id(now, lambda count: given_bytes[:count])

    assert is_id(mail_id)
    assert (len(mail_id), mail_id[14], mail_id[19] in "89ab") == (36, "7", True)


@quick
@given(moments, entropy)
def test_an_id_tells_its_time_to_the_millisecond(now: datetime, given_bytes: bytes) -> None:
    moment = time_of(new_id(now, lambda count: given_bytes))

    assert timedelta(0) <= now - moment < timedelta(milliseconds=1)


@quick
@given(moments, moments, entropy, entropy)
def test_ids_stand_in_the_order_of_their_times(
    one: datetime, other: datetime, a: bytes, b: bytes
) -> None:
    first, second = sorted([(one, a), (other, b)])
    ids = [new_id(first[0], lambda _: first[1]), new_id(second[0], lambda _: second[1])]

    assert ids == sorted(ids) or second[0] - first[0] < timedelta(milliseconds=1)


def test_ids_of_one_moment_differ() -> None:
    source = noise()

    assert len({new_id(NOW, source.randbytes) for _ in range(10_000)}) == 10_000


@quick
@given(entropy, entropy)
def test_74_random_bits_reach_the_id(a: bytes, b: bytes) -> None:
    kept = (1 << 74) - 1
    same = int.from_bytes(a, "big") & kept == int.from_bytes(b, "big") & kept

    assert (new_id(NOW, lambda _: a) == new_id(NOW, lambda _: b)) is same


def test_the_same_storage_message_always_has_the_same_id() -> None:
    assert id_of_message("m1", NOW) == id_of_message("m1", NOW)


@pytest.mark.parametrize(
    ("message_id", "inserted_at"), [("m2", NOW), ("m1", NOW + timedelta(seconds=1))]
)
def test_another_storage_message_has_another_id(message_id: str, inserted_at: datetime) -> None:
    assert id_of_message(message_id, inserted_at) != id_of_message("m1", NOW)


def test_a_messages_id_tells_when_it_was_put_on_the_queue() -> None:
    mail_id = id_of_message("m1", NOW)

    assert is_id(mail_id)
    assert time_of(mail_id) == NOW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "00000000-0000-4000-8000-000000000000",
        "01a01f0a-da00-72d3-c652-e44da7f29e26",
        "01A01F0A-DA00-72D3-A652-E44DA7F29E26",
        "01a01f0a-da00-72d3-a652-e44da7f29e26\n",
        "01a01f0a-da00-72d3-a652-e44da7f29e2",
        "01a01f0ada0072d3a652e44da7f29e26",
        "ffffffff-ffff-7fff-bfff-ffffffffffff",
        "e677d21f-dc00-7000-8000-000000000000",
    ],
)
def test_what_is_no_id_is_told_apart(text: str) -> None:
    assert not is_id(text)


@quick
@given(st.from_regex(r"\A[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z"))
def test_every_id_has_a_time_that_there_is(text: str) -> None:
    """Row keys are made from it; a forged id must not end in an overflow."""
    assert not is_id(text) or time_of(text).year <= 9999


def test_the_last_moment_of_the_calendar_has_an_id() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)

    assert time_of("e677d21f-dbff-7000-8000-000000000000") == last
    assert is_id("e677d21f-dbff-7000-8000-000000000000")
