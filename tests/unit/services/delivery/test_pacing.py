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
from shared.services.delivery.concurrency import Places
from shared.services.delivery.delivery import Heard
from shared.services.delivery.pacing import Pacing
from tests.fakes import NOW, Room, account_of, document_of

BILLING = account_of()


@pytest.fixture
def room() -> Room:
    return Room(mails_per_minute=30)


def another_instance(room: Room) -> Pacing:
    return Pacing(room.timetables, room.clock, room.pace)


def slots_of(pacing: Pacing, count: int, account: Account = BILLING) -> list[datetime]:
    return [pacing.slot(account) for _ in range(count)]


def test_a_quiet_mailbox_costs_no_call(room: Room) -> None:
    assert slots_of(room.pacing, 10) == [NOW] * 10
    assert room.faults.calls["timetables.write"] == 0


def test_a_busy_mailbox_takes_its_slots_several_at_a_time(room: Room) -> None:
    slots = slots_of(room.pacing, 100)

    assert max(slots) == NOW + timedelta(minutes=3)  # 10 unasked, and 90 at 30 a minute
    assert room.faults.calls["timetables.write"] == 9
    assert room.faults.calls["timetables.read"] == 0


def test_instances_share_one_timetable(room: Room) -> None:
    both = slots_of(room.pacing, 40) + slots_of(another_instance(room), 40)

    later = [slot for slot in both if slot > NOW]
    assert len(set(later)) == len(later)
    assert max(both) >= NOW + timedelta(seconds=2 * 70)


def test_many_threads_get_as_many_slots(room: Room) -> None:
    found: list[datetime] = []

    def ask() -> None:
        found.extend(slots_of(room.pacing, 25))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert max(Counter(slot for slot in found if slot > NOW).values()) == 1
    assert len(found) == 100


def test_mailboxes_do_not_wait_for_each_other(room: Room) -> None:
    slots_of(room.pacing, 100)

    assert slots_of(room.pacing, 1, account_of("sales")) == [NOW]


def test_urgent_mail_does_not_queue_behind_the_rest(room: Room) -> None:
    before = slots_of(room.pacing, 60)

    assert room.pacing.slot(BILLING, urgent=True) == NOW
    assert max(slots_of(room.pacing, 11)) > max(before) + timedelta(seconds=11 * 2)


def test_nobody_gains_by_calling_everything_urgent(room: Room) -> None:
    slots = [room.pacing.slot(BILLING, urgent=True) for _ in range(90)]

    assert sum(slot == NOW for slot in slots) < 45
    assert max(slots) > NOW + timedelta(seconds=60)


@pytest.mark.parametrize("trouble", [NotSent("storage", "away"), AnswerLost("storage", "lost")])
def test_mails_go_at_once_where_the_timetable_is_out_of_reach(
    room: Room, trouble: Exception
) -> None:
    room.faults.always("timetables.write", trouble)

    slots = slots_of(room.pacing, 40)

    assert max(slots) < NOW + timedelta(minutes=2)


def test_a_write_whose_answer_was_lost_costs_some_slots_and_nothing_else(room: Room) -> None:
    slots_of(room.pacing, 10)
    room.faults.after("timetables.write", AnswerLost("storage", "lost"))

    slots = slots_of(room.pacing, 40)

    later = [slot for slot in slots if slot > NOW]
    assert len(set(later)) == len(later)


def test_slots_that_nobody_used_in_time_are_gone(room: Room) -> None:
    slots_of(room.pacing, 11)
    room.clock.forward(minutes=10)

    slots = slots_of(room.pacing, 30)

    assert sum(slot == room.clock() for slot in slots) == 10


def test_without_a_pace_everything_goes_at_once() -> None:
    room = Room(mails_per_minute=0)

    assert slots_of(room.pacing, 200) == [NOW] * 200
    assert room.pacing.slots(BILLING, 3) == [NOW] * 3
    assert room.faults.calls["timetables.write"] == 0


# At acceptance and at delivery.


def test_mails_beyond_the_pace_are_due_later_and_their_bell_rings_then(room: Room) -> None:
    mails = [room.accept().mail for _ in range(40)]

    late = mails[-1]
    assert late.due_at == NOW + timedelta(minutes=1)
    assert room.bell.rings[-1].after_seconds == 60
    assert late.status is Status.QUEUED


def test_a_mail_that_is_due_in_its_slot_goes(room: Room) -> None:
    mail = [room.accept().mail for _ in range(40)][-1]
    room.clock.forward(seconds=61)

    assert room.hear(mail.mail_id) is Heard.SENT


def test_mails_that_come_late_together_do_not_go_together(room: Room) -> None:
    """As after an outage: their slots are long over."""
    mails = [room.accept().mail.mail_id for _ in range(60)]
    room.clock.forward(hours=3)

    heard = Counter(room.hear(mail_id) for mail_id in mails)

    assert heard == {Heard.SENT: 10, Heard.LATER: 50}
    due = sorted(room.ledger.mail(m).due_at for m in mails if room.status(m) is Status.QUEUED)
    assert due[-1] == room.clock() + timedelta(seconds=100)


def test_mails_scheduled_for_one_moment_are_spread(room: Room) -> None:
    mails = [room.accepted(scheduled_at="2026-08-20T13:00:00Z") for _ in range(60)]
    room.clock.forward(hours=1)

    heard = Counter(room.hear(mail_id) for mail_id in mails)

    assert heard[Heard.SENT] == 10
    assert {room.status(m) for m in mails} == {Status.SENT, Status.QUEUED}


def test_a_whole_mail_from_the_queue_beyond_the_pace_waits_for_its_slot(room: Room) -> None:
    for _ in range(30):
        room.accept()
    room.bell.rings.clear()

    heard = room.outbox.hear(room.message(document_of(), "drop-1"))

    assert heard is Heard.LATER
    (ring,) = room.bell.rings
    mail = room.ledger.mail(ring.mail_id)
    assert (mail.status, mail.attempts) == (Status.QUEUED, 0)
    assert ring.after_seconds == (mail.due_at - NOW).total_seconds() > 30


def test_urgent_mail_from_the_queue_goes_at_once_all_the_same(room: Room) -> None:
    for _ in range(30):
        room.accept()

    assert room.outbox.hear(room.message(document_of(importance="high"))) is Heard.SENT


def test_held_mails_are_released_oldest_first_and_at_the_pace(room: Room) -> None:
    room.accounts.remember(
        room.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50173")
    )
    mails = []
    for number in range(60):
        room.clock.forward(seconds=1)
        message = room.message(document_of(), f"drop-{number}")
        room.outbox.hear(message)
        mails.append(room.ledger.mails[-1].mail_id)
    room.bell.rings.clear()
    account = room.accounts.change("billing", state=AccountState.READY, reason=None)

    assert room.upkeep.release(account) == 60
    heard = [room.hear(ring.mail_id) for ring in list(room.bell.rings)]

    assert heard == [Heard.SENT] * 10 + [Heard.LATER] * 50
    assert [room.status(mail_id) for mail_id in mails[:10]] == [Status.SENT] * 10
    due = [room.ledger.mail(mail_id).due_at for mail_id in mails[10:]]
    assert due == sorted(due)
    assert due[-1] == room.clock() + timedelta(seconds=100)


# Pauses that Microsoft asks for.


def throttled(seconds: float | None) -> GraphAnswer:
    return GraphAnswer(429, "ApplicationThrottled", seconds)


@pytest.mark.parametrize("per_minute", [0, 30])
def test_a_pause_holds_all_mails_of_the_mailbox_in_every_instance(per_minute: int) -> None:
    room = Room(mails_per_minute=per_minute)
    first, second = room.accepted(), room.accepted()
    room.graph.answers = [throttled(60)]

    assert room.hear(first) is Heard.LATER
    assert room.hear(second) is Heard.LATER
    assert room.ledger.mail(second).due_at >= NOW + timedelta(seconds=60)
    assert len(room.graph.posts) == 1

    # Another instance reads the pause along with the accounts.
    rest = room.timetables.rows[BILLING.account_id][0].resting_until
    assert rest is not None
    assert rest >= NOW + timedelta(seconds=60)
    other = Pacing(room.timetables, room.clock, room.pace)
    assert other.slot(account_of(resting_until=rest)) >= rest


def test_other_mailboxes_go_on_during_a_pause() -> None:
    room = Room(account_of("billing", is_default=True), account_of("sales"))
    room.graph.answers = [throttled(60)]
    room.hear(room.accepted(account="billing"))

    assert room.hear(room.accepted(account="sales")) is Heard.SENT


def test_after_the_pause_the_mails_go_in_their_slots(room: Room) -> None:
    mails = [room.accepted() for _ in range(8)]
    room.graph.answers = [throttled(60)]
    for mail_id in mails:
        room.hear(mail_id)
    room.clock.forward(seconds=300)

    assert [room.hear(mail_id) for mail_id in mails] == [Heard.SENT] * 8


def test_a_pause_without_a_time_lasts_some_seconds(room: Room) -> None:
    room.graph.answers = [throttled(None)]
    mail_id = room.accepted()

    room.hear(mail_id)

    assert NOW + timedelta(seconds=1) < room.pacing.slot(BILLING) < NOW + timedelta(seconds=30)


# Places.


def test_four_mails_of_a_mailbox_are_under_way_at_a_time_and_the_fifth_comes_back(
    room: Room,
) -> None:
    places = Places()
    with (
        places.of(BILLING, 0) as first,
        places.of(BILLING, 0) as second,
        places.of(BILLING, 0) as third,
        places.of(BILLING, 0) as fourth,
    ):
        assert [first, second, third, fourth] == [True] * 4
        with places.of(BILLING, 0.01) as fifth, places.of(account_of("sales"), 0) as other:
            assert (fifth, other) == (False, True)
    with places.of(BILLING, 0) as again:
        assert again


def test_a_pause_costs_the_slots_within_it_and_no_others(room: Room) -> None:
    slots_of(room.pacing, 11)
    room.pacing.rest(BILLING, NOW + timedelta(seconds=11))

    after = slots_of(room.pacing, 6)

    assert after == [NOW + timedelta(seconds=12 + 2 * index) for index in range(6)]


def test_a_mailbox_that_did_not_answer_has_one_place_until_it_does() -> None:
    places = Places()
    places.heard(BILLING, in_time=False)
    with places.of(BILLING, 0) as first, places.of(BILLING, 0.01) as second:
        assert (first, second) == (True, False)
    places.heard(BILLING, in_time=True)
    with places.of(BILLING, 0) as first, places.of(BILLING, 0) as second:
        assert (first, second) == (True, True)


def test_a_lost_answer_leaves_the_mailbox_one_place() -> None:
    room = Room()
    room.graph.answers = [AnswerLost("graph", "no answer came back")]
    room.hear(room.accepted())

    with room.places.of(BILLING, 0), room.places.of(BILLING, 0.01) as second:
        assert second is False
    room.hear(room.accepted())
    with room.places.of(BILLING, 0), room.places.of(BILLING, 0.01) as second:
        assert second is True
