"""The sweep: what it finds in the ledger and in the index of waiting mails, and what it costs."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.errors import NotSent
from shared.mail import ids
from shared.mail.account import AccountState
from shared.mail.mail import FINDING_OUT, Caller, Event, Mail
from shared.mail.status import Status
from shared.services.intake.outbox_message import OutboxMessage
from shared.services.upkeep import sweep
from shared.services.upkeep.sweep import MARGIN, next_look
from tests.fakes import NOT_REACHED, NOW, Crash, Room, document_of

MINUTE = timedelta(minutes=1)


@pytest.fixture
def room() -> Room:
    return Room()


def swept(room: Room) -> list[str]:
    """One run of the timer; for which mails it rang."""
    room.bell.rings.clear()
    room.upkeep.ring_again()
    return [ring.mail_id for ring in room.bell.rings]


def calls_of_one_sweep(room: Room) -> Counter[str]:
    before = Counter(room.faults.calls)
    room.upkeep.ring_again()
    return room.faults.calls - before


def forgotten(room: Room, **fields: object) -> str:
    """A mail whose bell was lost."""
    mail_id = room.accepted(**fields)
    room.bell.rings.clear()
    return mail_id


def moved(room: Room, mail_id: str, status: Status, **changes: object) -> Mail:
    """Put a mail into another status, past its rules."""
    mail = replace(room.ledger.mail(mail_id), status=status, updated_at=room.clock(), **changes)
    room.ledger.overwrite(mail)
    return mail


def settle(room: Room, minutes: float = 40) -> None:
    """Time passes, with the timer."""
    for _ in range(int(minutes)):
        room.clock.forward(minutes=1)
        room.upkeep.ring_again()


@pytest.mark.parametrize("minutes", [3, 14, 16, 60, 3 * 24 * 60])
def test_a_mail_whose_bell_was_lost_is_rung_for_however_late_the_timer_runs(
    room: Room, minutes: float
) -> None:
    room.upkeep.ring_again()
    mail_id = forgotten(room)
    room.clock.forward(minutes=minutes)

    assert swept(room) == [mail_id]


def test_a_mail_is_not_rung_for_at_each_run(room: Room) -> None:
    mail_id = forgotten(room)
    rung = []
    for minute in range(1, 60):
        room.clock.forward(minutes=1)
        rung += [minute] * len(swept(room))

    assert rung == [2, 4, 6, 8, 10, 12, 22, 32, 42, 52]
    assert mail_id in room.waiting.noted


def test_a_mail_that_waits_for_long_has_one_entry(room: Room) -> None:
    forgotten(room)
    settle(room, 200)

    assert len(list(room.waiting.mail_ids())) == 1


def test_a_worker_that_died_behind_the_watermark_is_found_one_run_after_its_lease(
    room: Room,
) -> None:
    mail_id = forgotten(room, scheduled_at=(NOW + timedelta(hours=5)).isoformat())
    settle(room, 301)
    lease = room.clock() + 5 * MINUTE
    moved(room, mail_id, Status.SENDING, lease_until=lease)
    found: list[str] = []
    while not found:
        room.clock.forward(minutes=1)
        found = swept(room)

    assert room.clock() - lease <= 2 * MINUTE


def test_a_mail_that_is_being_looked_for_is_rung_for(room: Room) -> None:
    mail_id = forgotten(room)
    moved(room, mail_id, Status.UNKNOWN, reason=FINDING_OUT)
    room.clock.forward(minutes=2)

    assert swept(room) == [mail_id]


@pytest.mark.parametrize("status", [Status.SENT, Status.FAILED, Status.CANCELLED, Status.UNKNOWN])
def test_a_settled_mail_is_left_alone_and_drops_out_of_the_index(
    room: Room, status: Status
) -> None:
    mail_id = forgotten(room, scheduled_at=(NOW + timedelta(hours=1)).isoformat())
    settle(room, 30)
    assert room.waiting.noted == {mail_id}
    moved(room, mail_id, status)
    room.clock.forward(minutes=60)

    assert swept(room) == []
    assert room.waiting.noted == set()


def test_a_note_of_a_mail_that_is_settled_yet_stays_for_its_writer(room: Room) -> None:
    mail_id = forgotten(room)
    moved(room, mail_id, Status.FAILED)
    settle(room, 60)
    room.waiting.note(mail_id, room.clock())
    settle(room, 10)
    moved(room, mail_id, Status.QUEUED)
    rung = []
    for _ in range(20):
        room.clock.forward(minutes=1)
        rung += swept(room)

    assert mail_id in rung


def test_a_note_of_a_mail_that_never_came_is_dropped(room: Room) -> None:
    room.waiting.note(ids.new_id(NOW - timedelta(days=1), room.random.randbytes), NOW)
    settle(room, 40)

    assert room.waiting.noted == set()


def test_held_mails_are_rung_for_oldest_first_when_the_hold_ends(room: Room) -> None:
    mails = []
    for _ in range(3):
        mails.append(forgotten(room))
        moved(room, mails[-1], Status.HELD)
        room.clock.forward(seconds=1)
    until = NOW + timedelta(hours=1)
    room.accounts.change("billing", state=AccountState.HELD, held_until=until)
    settle(room, 59)
    assert room.bell.rings == []
    room.clock.forward(minutes=2)

    assert swept(room) == mails
    settle(room, 60)
    assert set(mails) == room.waiting.noted, "they wait for their bells now"


def test_held_mails_cost_nothing_while_their_account_cannot_send(room: Room) -> None:
    for _ in range(50):
        moved(room, forgotten(room), Status.HELD)
    room.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN)
    settle(room, 40)

    calls = calls_of_one_sweep(room)

    assert calls["ledger.glimpse"] == calls["waiting.of_account"] == 0
    assert calls.total() <= 4


@pytest.mark.parametrize("minutes", [1, 40])
def test_a_sign_in_releases_new_and_old_held_mails(room: Room, minutes: int) -> None:
    first = _held(room)
    settle(room, minutes)
    second = _held(room)
    account = room.accounts.change("billing", state=AccountState.READY)
    room.bell.rings.clear()

    assert room.upkeep.release(account) == 2
    assert [ring.mail_id for ring in room.bell.rings] == [first, second]


def _held(room: Room) -> str:
    room.accounts.change("billing", state=AccountState.READY)
    room.accounts.remember(*room.accounts.rows.values())
    mail_id = forgotten(room)
    room.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN)
    moved(room, mail_id, Status.HELD)
    return mail_id


def test_a_release_that_was_cut_short_is_finished_by_the_timer(room: Room) -> None:
    mails = [_held(room) for _ in range(3)]
    settle(room, 20)
    account = room.accounts.change("billing", state=AccountState.READY)
    room.bell.rings.clear()
    room.faults.before("bell.ring", Crash(), nth=2)
    with pytest.raises(Crash):
        room.upkeep.release(account)

    assert swept(room) == mails


def test_the_mark_of_an_account_goes_when_nothing_is_held_any_more(room: Room) -> None:
    mail_id = _held(room)
    settle(room, 20)
    assert room.waiting.glance(room.clock(), 0).held
    room.accounts.change("billing", state=AccountState.READY)
    moved(room, mail_id, Status.SENT)
    settle(room, 60)

    assert room.waiting.glance(room.clock(), 0).held == []
    assert room.waiting.noted == set()


@pytest.mark.parametrize("settled", [0, 10_000])
def test_a_sweep_with_nothing_to_do_takes_two_calls(room: Room, settled: int) -> None:
    room.upkeep.ring_again()
    for _ in range(settled):
        moment = room.clock() + timedelta(seconds=1)
        room.ledger.overwrite(
            Mail(
                ids.new_id(moment, room.random.randbytes),
                Status.SENT,
                moment,
                moment,
                moment,
                Caller.HTTP,
                "billing",
                events=(Event(moment, Status.SENT),),
            )
        )
    room.clock.forward(minutes=1)

    calls = calls_of_one_sweep(room)

    assert calls == {"waiting.glance": 1, "ledger.waiting": 1}


def test_a_backlog_is_taken_in_shares_the_oldest_first(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "MOST_RUNG", 10)
    monkeypatch.setattr(sweep, "PAGE", 7)
    mails = []
    for _ in range(50):
        mails.append(forgotten(room))
        room.clock.forward(seconds=1)
    room.clock.forward(minutes=6)
    rung: list[str] = []
    for _ in range(6):
        rung += swept(room)
        room.clock.forward(seconds=10)

    assert len(rung) == len(set(rung)), "nobody is rung for twice while others wait"
    assert set(rung) == set(mails)


def test_a_new_mail_does_not_wait_behind_a_backlog(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "MOST_RUNG", 10)
    for _ in range(200):
        forgotten(room)
    settle(room, 30)
    late = forgotten(room)
    room.clock.forward(minutes=3)

    assert late in swept(room)


def test_a_run_that_takes_too_long_goes_on_in_the_next(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "PAGE", 5)
    for _ in range(20):
        forgotten(room)
    mails = {mail.mail_id for mail in room.ledger.mails}
    room.clock.forward(minutes=30)
    room.faults.after("ledger.waiting", lambda: room.clock.forward(seconds=60))
    room.upkeep.ring_again()
    watermark = room.waiting.watermark
    assert watermark is not None
    assert watermark.under_way is not None

    room.upkeep.ring_again()

    assert room.waiting.noted == mails
    assert room.waiting.watermark is not None
    assert room.waiting.watermark.under_way is None


def test_the_watermark_stays_behind_the_clock(room: Room) -> None:
    settle(room, 60)

    assert room.waiting.watermark is not None
    assert NOW < room.waiting.watermark.noted_before <= room.clock() - MARGIN


def test_a_sweep_that_dies_before_it_has_noted_all_does_not_move_the_watermark(room: Room) -> None:
    for _ in range(3):
        forgotten(room)
    room.clock.forward(minutes=20)
    room.faults.before("waiting.note_all", Crash(), nth=2)
    with pytest.raises(Crash):
        room.upkeep.ring_again()

    assert room.waiting.watermark is None


def test_of_two_sweeps_at_once_the_second_leaves_the_watermark(room: Room) -> None:
    forgotten(room)
    room.clock.forward(minutes=20)
    room.faults.before("waiting.advance", room.upkeep.ring_again)

    room.upkeep.ring_again()

    assert room.waiting.noted == {mail.mail_id for mail in room.ledger.mails}


def test_a_queue_that_is_away_stops_the_run_and_loses_nothing(room: Room) -> None:
    mail_id = forgotten(room)
    room.clock.forward(minutes=20)
    room.faults.before("bell.ring", NOT_REACHED)
    with pytest.raises(NotSent):
        room.upkeep.ring_again()

    assert swept(room) == [mail_id]


def test_an_old_storage_message_is_noted_before_it_is_in_the_ledger(room: Room) -> None:
    settle(room, 60)
    body = room.message(document_of(scheduled_at=(NOW + timedelta(days=1)).isoformat())).body
    room.faults.after("waiting.note", Crash())
    with pytest.raises(Crash):
        room.outbox.hear(OutboxMessage("late", NOW, body))
    assert room.ledger.mails == []
    room.outbox.hear(OutboxMessage("late", NOW, body))

    assert room.waiting.noted == {mail.mail_id for mail in room.ledger.mails}


def test_the_mail_of_an_old_key_is_noted(room: Room) -> None:
    room.faults.before("ledger.insert", Crash())
    with pytest.raises(Crash):
        room.accept(idempotency_key="order-7")
    settle(room, 60)

    mail_id = room.accepted(idempotency_key="order-7")

    assert ids.time_of(mail_id) == NOW
    assert mail_id in room.waiting.noted


@pytest.mark.parametrize("call", ["ledger.update", "bell.ring"])
def test_an_old_mail_that_is_retried_is_found_whatever_gets_lost(room: Room, call: str) -> None:
    mail_id = forgotten(room)
    moved(room, mail_id, Status.FAILED)
    settle(room, 60)
    room.faults.after(call, Crash())
    with pytest.raises(Crash):
        room.changes.retry(mail_id)
    room.clock.forward(minutes=3)

    assert room.status(mail_id) is Status.QUEUED
    assert mail_id in swept(room)


def test_a_new_mail_costs_no_note(room: Room) -> None:
    room.accepted(idempotency_key="order-7")

    assert not any(call.startswith("waiting") for call in room.faults.calls)


def test_what_waits_behind_the_watermark_unnoted_is_found_and_noted(room: Room) -> None:
    settle(room, 60)
    mail_id = ids.new_id(NOW, room.random.randbytes)
    room.accepted()
    room.ledger.overwrite(
        replace(room.ledger.mails[0], mail_id=mail_id, due_at=NOW, updated_at=NOW)
    )

    assert room.upkeep.look_behind(None, room.clock() + MINUTE) == (1, None)
    assert room.upkeep.look_behind(None, room.clock() + MINUTE) == (0, None)
    assert mail_id in swept(room)


def test_a_look_behind_that_runs_out_of_time_says_where_to_go_on(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "PAGE", 2)
    settle(room, 60)
    room.accepted()
    mail = room.ledger.mails[0]
    for minute in range(5):
        old = ids.new_id(NOW - minute * MINUTE, room.random.randbytes)
        room.ledger.overwrite(replace(mail, mail_id=old))
    found, cursor, runs = 0, None, 0
    while runs == 0 or cursor is not None:
        count, cursor = room.upkeep.look_behind(cursor, room.clock())
        found, runs = found + count, runs + 1

    assert found == 5
    assert runs == 3


@pytest.mark.parametrize("minutes", [0, 1, 2, 9, 10, 30, 119, 120, 1000, 10_000])
def test_the_next_look_is_later_and_not_too_late(minutes: int) -> None:
    now = NOW + minutes * MINUTE

    following = next_look(NOW, now)

    assert (
        now
        < following
        <= now + max(2 * MINUTE, timedelta(hours=1) if minutes >= 120 else 10 * MINUTE)
    )
    assert next_look(NOW, following - timedelta(microseconds=1)) <= following
