"""The daily cap: no mailbox sends more in a day of UTC, whoever sends; what is beyond it waits."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime, timedelta

import pytest

from shared.errors import NotSent
from shared.mail.account import Account
from shared.mail.defaults import Defaults
from shared.mail.mail import DAILY_CAP
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.delivery.delivery_result import DeliveryResult
from shared.services.delivery.pacing import Pacing, counted_at_a_time
from tests.fakes import NOW, FakeServices, Outside, account_of, document_of

MIDNIGHT = datetime(2026, 8, 21, tzinfo=NOW.tzinfo)
TODAY, TOMORROW = NOW.date(), MIDNIGHT.date()


def capped(cap: int) -> Account:
    return account_of(defaults=Defaults(daily_cap=cap))


def room_of(cap: int, mails_per_minute: int = 0) -> FakeServices:
    return FakeServices(capped(cap), mails_per_minute=mails_per_minute)


def days_of(slots: list[datetime]) -> Counter[date]:
    return Counter(slot.date() for slot in slots)


@pytest.mark.parametrize("pace", [0, 30])
def test_mails_beyond_the_cap_wait_for_the_first_day_with_room(pace: int) -> None:
    services = room_of(100, pace)

    slots = [services.pacing.slot(capped(100)) for _ in range(250)]

    assert list(days_of(slots).values()) == [100, 100, 50]
    assert slots == sorted(slots)
    assert slots[100] == MIDNIGHT


def test_waiting_mails_keep_the_pace_after_midnight() -> None:
    services = room_of(100, 30)

    slots = [services.pacing.slot(capped(100)) for _ in range(130)][100:]

    assert slots == [MIDNIGHT + timedelta(seconds=2 * n) for n in range(30)]
    services.clock.now = MIDNIGHT
    assert services.pacing.slot(capped(100)) >= MIDNIGHT + timedelta(seconds=2 * 30)


@pytest.mark.parametrize("pace", [0, 30])
@pytest.mark.parametrize("cap", [1, 7, 100])
def test_instances_share_the_cap_and_never_exceed_it(cap: int, pace: int) -> None:
    services = room_of(cap, pace)
    instances = [Pacing(services.timetables, services.clock, services.pace) for _ in range(4)]

    slots = [one.slot(capped(cap)) for _ in range(cap) for one in instances]

    most = days_of(slots)
    assert max(most.values()) <= cap
    in_hand = 3 * (counted_at_a_time(cap, services.pace) - 1)
    assert most[TODAY] >= cap - in_hand


def test_a_quiet_mailbox_wastes_nothing() -> None:
    services = room_of(100, 30)
    days = []

    for _ in range(100):
        days.append(services.pacing.slot(capped(100)).date())
        services.clock.forward(minutes=7)

    assert days == [TODAY] * 100
    assert services.faults.calls["timetables.write"] == 20


def test_every_day_begins_anew() -> None:
    services = room_of(20)
    first = [services.pacing.slot(capped(20)) for _ in range(5)]
    services.clock.forward(days=2)

    later = [services.pacing.slot(capped(20)) for _ in range(21)]

    assert days_of(first) == {TODAY: 5}
    assert list(days_of(later).values()) == [20, 1]


def test_urgent_mail_counts_too_and_waits_like_any_other() -> None:
    services = room_of(10, 30)

    slots = [services.pacing.slot(capped(10), urgent=True) for _ in range(11)]

    assert slots[:10] == [NOW] * 10
    assert slots[10] == MIDNIGHT


def test_a_cap_that_is_raised_counts_at_once_for_new_mails() -> None:
    services = room_of(10)
    for _ in range(15):
        services.pacing.slot(capped(10))

    slots = [services.pacing.slot(capped(20)) for _ in range(10)]

    assert days_of(slots) == {TODAY: 10}


def test_a_slot_that_is_given_back_is_anothers() -> None:
    services = room_of(10)
    slots = [services.pacing.slot(capped(10)) for _ in range(12)]

    services.pacing.give_back(capped(10), slots[11])

    assert services.pacing.slot(capped(10)) == slots[11]


def test_a_pause_is_kept_and_days_are_told_apart_after_it() -> None:
    services = room_of(10)
    services.pacing.rest(capped(10), MIDNIGHT + timedelta(hours=1))

    slots = [services.pacing.slot(capped(10)) for _ in range(12)]

    assert min(slots) == MIDNIGHT + timedelta(hours=1)
    assert list(days_of(slots).values()) == [10, 2]


def test_where_the_timetable_is_out_of_reach_a_process_counts_by_itself() -> None:
    services = room_of(10)
    services.faults.always("timetables.write", NotSent("storage", "away"))

    slots = [services.pacing.slot(capped(10)) for _ in range(12)]

    assert list(days_of(slots).values()) == [10, 2]


def test_an_account_without_a_cap_costs_nothing_more() -> None:
    services = FakeServices()

    for _ in range(50):
        services.handle(services.accepted())

    assert services.faults.calls["timetables.write"] == 0


def test_a_mail_beyond_the_cap_is_accepted_and_says_why_it_waits() -> None:
    services = room_of(2)

    mails = [services.accept().mail for _ in range(3)]

    late = mails[2]
    assert [mail.reason for mail in mails] == [None, None, DAILY_CAP]
    assert (late.status, late.due_at) == (Status.QUEUED, MIDNIGHT)
    assert "2 mails a day" in (late.help or "")
    assert services.handle(late.mail_id) is DeliveryResult.LATER


def test_it_goes_after_midnight_and_nothing_is_lost() -> None:
    services = room_of(3)
    ids = [services.accepted() for _ in range(8)]
    sent: list[int] = []

    for _ in range(3):
        for mail_id in ids:
            services.handle(mail_id)
        sent.append(len(services.graph.posts))
        services.clock.now = datetime.combine(
            services.clock().date() + timedelta(days=1), datetime.min.time(), NOW.tzinfo
        )

    assert sent == [3, 6, 8]
    assert {services.ledger.mail(mail_id).reason for mail_id in ids} == {None}


def test_several_workers_and_callers_of_one_app_keep_it_together() -> None:
    outside = Outside(capped(40))
    rooms = [FakeServices(outside=outside, seed=seed, mails_per_minute=30) for seed in range(3)]
    for turn in range(90):
        rooms[turn % 3].accept()

    for _ in range(60 * 12):
        for turn, mail in enumerate(outside.ledger.mails):
            if mail.status is Status.QUEUED and mail.due_at <= outside.clock():
                rooms[turn % 3].handle(mail.mail_id)
        outside.clock.forward(minutes=1)
        if outside.clock() >= MIDNIGHT:
            break

    sent = [mail for mail in outside.ledger.mails if mail.status is Status.SENT]
    assert 40 - 2 <= len(sent) <= 40
    assert {mail.status for mail in outside.ledger.mails} == {Status.SENT, Status.QUEUED}


def test_a_mail_that_comes_by_the_queue_waits_too() -> None:
    services = room_of(1)
    body = json.dumps(document_of()).encode()

    result = [services.outbox.handle(services.message(body)) for _ in range(2)]

    assert result == [DeliveryResult.SENT, DeliveryResult.LATER]
    assert {mail.reason for mail in services.ledger.mails} == {None, DAILY_CAP}


def test_a_scheduled_mail_is_counted_when_it_is_due() -> None:
    services = room_of(1)
    scheduled = services.accepted(scheduled_at="2026-08-20T13:00:00Z")
    services.handle(services.accepted())
    services.clock.forward(hours=1)

    assert services.handle(scheduled) is DeliveryResult.LATER
    assert services.ledger.mail(scheduled).reason == DAILY_CAP


def test_a_mail_that_missed_its_minute_is_not_counted_twice() -> None:
    services = room_of(2, 30)
    ids = [services.accepted(), services.accepted()]
    services.clock.forward(minutes=10)

    assert [services.handle(mail_id) for mail_id in ids] == [DeliveryResult.SENT] * 2


def test_an_attempt_that_is_repeated_is_not_counted_again() -> None:
    services = room_of(1)
    mail_id = services.accepted()
    services.graph.answers = [GraphAnswer(429, retry_after=30.0)]
    services.handle(mail_id)
    services.clock.now = services.ledger.mail(mail_id).due_at

    assert services.handle(mail_id) is DeliveryResult.SENT


def test_nobody_gets_round_the_cap_by_asking_for_now() -> None:
    services = room_of(1)
    services.accepted()
    late = services.accepted()

    services.changes.reschedule(late, None)

    assert services.ledger.mail(late).due_at == MIDNIGHT
    assert services.handle(late) is DeliveryResult.LATER


def test_a_mail_that_is_let_go_without_room_stays_as_it_was() -> None:
    services = room_of(1)
    services.accepted()
    late = services.accept().mail

    assert services.changes.reschedule(late.mail_id, None) == late
    assert services.ledger.mail(late.mail_id) == late


@pytest.mark.parametrize("cap", [2, None])
@pytest.mark.parametrize("pace", [0, 30])
def test_a_mail_that_waits_goes_today_once_the_cap_is_raised_or_removed(
    cap: int | None, pace: int
) -> None:
    services = room_of(1, pace)
    services.handle(services.accepted())
    late = services.accepted()
    services.accounts.change("billing", defaults=Defaults(daily_cap=cap))

    mail = services.changes.reschedule(late, None)
    services.clock.now = mail.due_at

    assert (mail.reason, mail.help) == (None, None)
    assert mail.due_at - NOW <= timedelta(minutes=1)
    assert mail.events[-1].reason == "rescheduled"
    assert services.handle(late) is DeliveryResult.SENT


def test_the_slots_of_mails_that_are_let_go_are_neither_lost_nor_given_to_new_mails_of_today() -> (
    None
):
    services = room_of(2)
    mails = [services.accepted() for _ in range(4)]
    services.accounts.change("billing", defaults=Defaults(daily_cap=5))

    for mail_id in mails[2:]:
        assert services.changes.reschedule(mail_id, None).due_at == NOW

    dues = [services.accept().mail.due_at.date() for _ in range(7)]
    assert Counter(dues) == {TODAY: 1, TOMORROW: 5, TOMORROW + timedelta(days=1): 1}


def test_instances_that_let_mails_go_keep_the_raised_cap() -> None:
    outside = Outside(capped(1))
    rooms = [FakeServices(outside=outside, seed=seed) for seed in range(3)]
    late = [rooms[0].accepted() for _ in range(9)][1:]
    outside.accounts.change("billing", defaults=Defaults(daily_cap=4))

    for turn, mail_id in enumerate(late):
        rooms[turn % 3].changes.reschedule(mail_id, None)

    today = [mail for mail in outside.ledger.mails if mail.due_at.date() == TODAY]
    assert len(today) == 4


def test_a_mail_withdrawn_after_its_cap_was_removed_leaves_no_far_slot() -> None:
    services = room_of(1, 30)
    services.accepted()
    late = services.accepted()
    services.accounts.change("billing", defaults=Defaults(daily_cap=None))
    services.accounts.all(fresh=True)

    services.changes.cancel(late)

    assert [services.accept().mail.due_at.date() for _ in range(40)] == [TODAY] * 40


def test_a_mail_that_is_withdrawn_leaves_its_place() -> None:
    services = room_of(1)
    services.accepted()
    late = services.accept().mail

    services.changes.cancel(late.mail_id)

    assert services.accept().mail.due_at == late.due_at
