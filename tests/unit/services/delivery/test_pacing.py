"""Pacing: unasked while it is quiet, by the shared timetable when it is not, open when it is away."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, timedelta

import pytest

from shared.errors import AnswerLost, NotSent
from shared.mail.account import Account, AccountState
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.delivery.concurrency import ConcurrencyLimiter
from shared.services.delivery.delivery_result import DeliveryResult
from shared.services.delivery.pacing import Pacing
from tests.fakes import NOW, FakeServices, account_of, document_of

BILLING = account_of()


@pytest.fixture
def services() -> FakeServices:
    return FakeServices(mails_per_minute=30)


def another_instance(services: FakeServices) -> Pacing:
    return Pacing(services.timetables, services.clock, services.pace)


def slots_of(pacing: Pacing, count: int, account: Account = BILLING) -> list[datetime]:
    return [pacing.slot(account) for _ in range(count)]


def test_a_quiet_mailbox_costs_no_call(services: FakeServices) -> None:
    assert slots_of(services.pacing, 10) == [NOW] * 10
    assert services.faults.calls["timetables.write"] == 0


def test_a_busy_mailbox_takes_its_slots_several_at_a_time(services: FakeServices) -> None:
    slots = slots_of(services.pacing, 100)

    assert max(slots) == NOW + timedelta(minutes=3)  # 10 unasked, and 90 at 30 a minute
    assert services.faults.calls["timetables.write"] == 9
    assert services.faults.calls["timetables.read"] == 0


def test_instances_share_one_timetable(services: FakeServices) -> None:
    both = slots_of(services.pacing, 40) + slots_of(another_instance(services), 40)

    later = [slot for slot in both if slot > NOW]
    assert len(set(later)) == len(later)
    assert max(both) >= NOW + timedelta(seconds=2 * 70)


def test_many_threads_get_as_many_slots(services: FakeServices) -> None:
    found: list[datetime] = []

    def ask() -> None:
        found.extend(slots_of(services.pacing, 25))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert max(Counter(slot for slot in found if slot > NOW).values()) == 1
    assert len(found) == 100


def test_mailboxes_do_not_wait_for_each_other(services: FakeServices) -> None:
    slots_of(services.pacing, 100)

    assert slots_of(services.pacing, 1, account_of("sales")) == [NOW]


def test_urgent_mail_does_not_queue_behind_the_rest(services: FakeServices) -> None:
    before = slots_of(services.pacing, 60)

    assert services.pacing.slot(BILLING, urgent=True) == NOW
    assert max(slots_of(services.pacing, 11)) > max(before) + timedelta(seconds=11 * 2)


def test_nobody_gains_by_calling_everything_urgent(services: FakeServices) -> None:
    slots = [services.pacing.slot(BILLING, urgent=True) for _ in range(90)]

    assert sum(slot == NOW for slot in slots) < 45
    assert max(slots) > NOW + timedelta(seconds=60)


@pytest.mark.parametrize("trouble", [NotSent("storage", "away"), AnswerLost("storage", "lost")])
def test_mails_go_at_once_where_the_timetable_is_out_of_reach(
    services: FakeServices, trouble: Exception
) -> None:
    services.faults.always("timetables.write", trouble)

    slots = slots_of(services.pacing, 40)

    assert max(slots) < NOW + timedelta(minutes=2)


def test_a_write_whose_answer_was_lost_costs_some_slots_and_nothing_else(
    services: FakeServices,
) -> None:
    slots_of(services.pacing, 10)
    services.faults.after("timetables.write", AnswerLost("storage", "lost"))

    slots = slots_of(services.pacing, 40)

    later = [slot for slot in slots if slot > NOW]
    assert len(set(later)) == len(later)


def test_slots_that_nobody_used_in_time_are_gone(services: FakeServices) -> None:
    slots_of(services.pacing, 11)
    services.clock.forward(minutes=10)

    slots = slots_of(services.pacing, 30)

    assert sum(slot == services.clock() for slot in slots) == 10


def test_without_a_pace_everything_goes_at_once() -> None:
    services = FakeServices(mails_per_minute=0)

    assert slots_of(services.pacing, 200) == [NOW] * 200
    assert services.pacing.slots(BILLING, 3) == [NOW] * 3
    assert services.faults.calls["timetables.write"] == 0


# At acceptance and at delivery.


def test_mails_beyond_the_pace_are_due_later_and_their_bell_rings_then(
    services: FakeServices,
) -> None:
    mails = [services.accept().mail for _ in range(40)]

    late = mails[-1]
    assert late.due_at == NOW + timedelta(minutes=1)
    assert services.wake_ups.enqueued[-1].after_seconds == 60
    assert late.status is Status.QUEUED


def test_a_mail_that_is_due_in_its_slot_goes(services: FakeServices) -> None:
    mail = [services.accept().mail for _ in range(40)][-1]
    services.clock.forward(seconds=61)

    assert services.handle(mail.mail_id) is DeliveryResult.SENT


def test_mails_that_come_late_together_do_not_go_together(services: FakeServices) -> None:
    """As after an outage: their slots are long over."""
    mails = [services.accept().mail.mail_id for _ in range(60)]
    services.clock.forward(hours=3)

    result = Counter(services.handle(mail_id) for mail_id in mails)

    assert result == {DeliveryResult.SENT: 10, DeliveryResult.LATER: 50}
    due = sorted(
        services.ledger.mail(m).due_at for m in mails if services.status(m) is Status.QUEUED
    )
    assert due[-1] == services.clock() + timedelta(seconds=100)


def test_mails_scheduled_for_one_moment_are_spread(services: FakeServices) -> None:
    mails = [services.accepted(scheduled_at="2026-08-20T13:00:00Z") for _ in range(60)]
    services.clock.forward(hours=1)

    result = Counter(services.handle(mail_id) for mail_id in mails)

    assert result[DeliveryResult.SENT] == 10
    assert {services.status(m) for m in mails} == {Status.SENT, Status.QUEUED}


def test_a_whole_mail_from_the_queue_beyond_the_pace_waits_for_its_slot(
    services: FakeServices,
) -> None:
    for _ in range(30):
        services.accept()
    services.wake_ups.enqueued.clear()

    result = services.outbox.handle(services.message(document_of(), "drop-1"))

    assert result is DeliveryResult.LATER
    (ring,) = services.wake_ups.enqueued
    mail = services.ledger.mail(ring.mail_id)
    assert (mail.status, mail.attempts) == (Status.QUEUED, 0)
    assert ring.after_seconds == (mail.due_at - NOW).total_seconds() > 30


def test_urgent_mail_from_the_queue_goes_at_once_all_the_same(services: FakeServices) -> None:
    for _ in range(30):
        services.accept()

    assert (
        services.outbox.handle(services.message(document_of(importance="high")))
        is DeliveryResult.SENT
    )


def test_held_mails_are_released_oldest_first_and_at_the_pace(services: FakeServices) -> None:
    services.accounts.remember(
        services.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50173")
    )
    mails = []
    for number in range(60):
        services.clock.forward(seconds=1)
        message = services.message(document_of(), f"drop-{number}")
        services.outbox.handle(message)
        mails.append(services.ledger.mails[-1].mail_id)
    services.wake_ups.enqueued.clear()
    account = services.accounts.change("billing", state=AccountState.READY, reason=None)

    assert services.upkeep.release(account) == 60
    result = [services.handle(ring.mail_id) for ring in list(services.wake_ups.enqueued)]

    assert result == [DeliveryResult.SENT] * 10 + [DeliveryResult.LATER] * 50
    assert [services.status(mail_id) for mail_id in mails[:10]] == [Status.SENT] * 10
    due = [services.ledger.mail(mail_id).due_at for mail_id in mails[10:]]
    assert due == sorted(due)
    assert due[-1] == services.clock() + timedelta(seconds=100)


# Pauses that Microsoft asks for.


def throttled(seconds: float | None) -> GraphAnswer:
    return GraphAnswer(429, "ApplicationThrottled", seconds)


@pytest.mark.parametrize("per_minute", [0, 30])
def test_a_pause_holds_all_mails_of_the_mailbox_in_every_instance(per_minute: int) -> None:
    services = FakeServices(mails_per_minute=per_minute)
    first, second = services.accepted(), services.accepted()
    services.graph.answers = [throttled(60)]

    assert services.handle(first) is DeliveryResult.LATER
    assert services.handle(second) is DeliveryResult.LATER
    assert services.ledger.mail(second).due_at >= NOW + timedelta(seconds=60)
    assert len(services.graph.posts) == 1

    # Another instance reads the pause along with the accounts.
    rest = services.timetables.rows[BILLING.account_id][0].resting_until
    assert rest is not None
    assert rest >= NOW + timedelta(seconds=60)
    other = Pacing(services.timetables, services.clock, services.pace)
    assert other.slot(account_of(resting_until=rest)) >= rest


def test_other_mailboxes_go_on_during_a_pause() -> None:
    services = FakeServices(account_of("billing", is_default=True), account_of("sales"))
    services.graph.answers = [throttled(60)]
    services.handle(services.accepted(account="billing"))

    assert services.handle(services.accepted(account="sales")) is DeliveryResult.SENT


def test_after_the_pause_the_mails_go_in_their_slots(services: FakeServices) -> None:
    mails = [services.accepted() for _ in range(8)]
    services.graph.answers = [throttled(60)]
    for mail_id in mails:
        services.handle(mail_id)
    services.clock.forward(seconds=300)

    assert [services.handle(mail_id) for mail_id in mails] == [DeliveryResult.SENT] * 8


def test_a_pause_without_a_time_lasts_some_seconds(services: FakeServices) -> None:
    services.graph.answers = [throttled(None)]
    mail_id = services.accepted()

    services.handle(mail_id)

    assert NOW + timedelta(seconds=1) < services.pacing.slot(BILLING) < NOW + timedelta(seconds=30)


# Places.


def test_four_mails_of_a_mailbox_are_under_way_at_a_time_and_the_fifth_comes_back(
    services: FakeServices,
) -> None:
    concurrency = ConcurrencyLimiter()
    with (
        concurrency.of(BILLING, 0) as first,
        concurrency.of(BILLING, 0) as second,
        concurrency.of(BILLING, 0) as third,
        concurrency.of(BILLING, 0) as fourth,
    ):
        assert [first, second, third, fourth] == [True] * 4
        with (
            concurrency.of(BILLING, 0.01) as fifth,
            concurrency.of(account_of("sales"), 0) as other,
        ):
            assert (fifth, other) == (False, True)
    with concurrency.of(BILLING, 0) as again:
        assert again


def test_a_pause_costs_the_slots_within_it_and_no_others(services: FakeServices) -> None:
    slots_of(services.pacing, 11)
    services.pacing.rest(BILLING, NOW + timedelta(seconds=11))

    after = slots_of(services.pacing, 6)

    assert after == [NOW + timedelta(seconds=12 + 2 * index) for index in range(6)]


def test_a_mailbox_that_did_not_answer_has_one_place_until_it_does() -> None:
    concurrency = ConcurrencyLimiter()
    concurrency.result(BILLING, in_time=False)
    with concurrency.of(BILLING, 0) as first, concurrency.of(BILLING, 0.01) as second:
        assert (first, second) == (True, False)
    concurrency.result(BILLING, in_time=True)
    with concurrency.of(BILLING, 0) as first, concurrency.of(BILLING, 0) as second:
        assert (first, second) == (True, True)


def test_a_lost_answer_leaves_the_mailbox_one_place() -> None:
    services = FakeServices()
    services.graph.answers = [AnswerLost("graph", "no answer came back")]
    services.handle(services.accepted())

    with services.concurrency.of(BILLING, 0), services.concurrency.of(BILLING, 0.01) as second:
        assert second is False
    services.handle(services.accepted())
    with services.concurrency.of(BILLING, 0), services.concurrency.of(BILLING, 0.01) as second:
        assert second is True
