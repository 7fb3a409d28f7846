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
from tests.fakes import NOT_REACHED, NOW, Crash, FakeServices, document_of

MINUTE = timedelta(minutes=1)


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


def swept(services: FakeServices) -> list[str]:
    """One run of the timer; for which mails it rang."""
    services.wake_ups.enqueued.clear()
    services.upkeep.requeue_overdue()
    return [ring.mail_id for ring in services.wake_ups.enqueued]


def calls_of_one_sweep(services: FakeServices) -> Counter[str]:
    before = Counter(services.faults.calls)
    services.upkeep.requeue_overdue()
    return services.faults.calls - before


def forgotten(services: FakeServices, **fields: object) -> str:
    """A mail whose bell was lost."""
    mail_id = services.accepted(**fields)
    services.wake_ups.enqueued.clear()
    return mail_id


def moved(services: FakeServices, mail_id: str, status: Status, **changes: object) -> Mail:
    """Put a mail into another status, past its rules."""
    mail = replace(
        services.ledger.mail(mail_id), status=status, updated_at=services.clock(), **changes
    )
    services.ledger.overwrite(mail)
    return mail


def settle(services: FakeServices, minutes: float = 40) -> None:
    """Time passes, with the timer."""
    for _ in range(int(minutes)):
        services.clock.forward(minutes=1)
        services.upkeep.requeue_overdue()


@pytest.mark.parametrize("minutes", [3, 14, 16, 60, 3 * 24 * 60])
def test_a_mail_whose_bell_was_lost_is_rung_for_however_late_the_timer_runs(
    services: FakeServices, minutes: float
) -> None:
    services.upkeep.requeue_overdue()
    mail_id = forgotten(services)
    services.clock.forward(minutes=minutes)

    assert swept(services) == [mail_id]


def test_a_mail_is_not_rung_for_at_each_run(services: FakeServices) -> None:
    mail_id = forgotten(services)
    enqueued = []
    for minute in range(1, 60):
        services.clock.forward(minutes=1)
        enqueued += [minute] * len(swept(services))

    assert enqueued == [2, 4, 6, 8, 10, 12, 22, 32, 42, 52]
    assert mail_id in services.waiting.noted


def test_a_mail_that_waits_for_long_has_one_entry(services: FakeServices) -> None:
    forgotten(services)
    settle(services, 200)

    assert len(list(services.waiting.mail_ids())) == 1


def test_a_worker_that_died_behind_the_watermark_is_found_one_run_after_its_lease(
    services: FakeServices,
) -> None:
    mail_id = forgotten(services, scheduled_at=(NOW + timedelta(hours=5)).isoformat())
    settle(services, 301)
    lease = services.clock() + 5 * MINUTE
    moved(services, mail_id, Status.SENDING, lease_until=lease)
    found: list[str] = []
    while not found:
        services.clock.forward(minutes=1)
        found = swept(services)

    assert services.clock() - lease <= 2 * MINUTE


def test_a_mail_that_is_being_looked_for_is_rung_for(services: FakeServices) -> None:
    mail_id = forgotten(services)
    moved(services, mail_id, Status.UNKNOWN, reason=FINDING_OUT)
    services.clock.forward(minutes=2)

    assert swept(services) == [mail_id]


@pytest.mark.parametrize("status", [Status.SENT, Status.FAILED, Status.CANCELLED, Status.UNKNOWN])
def test_a_settled_mail_is_left_alone_and_drops_out_of_the_index(
    services: FakeServices, status: Status
) -> None:
    mail_id = forgotten(services, scheduled_at=(NOW + timedelta(hours=1)).isoformat())
    settle(services, 30)
    assert services.waiting.noted == {mail_id}
    moved(services, mail_id, status)
    services.clock.forward(minutes=60)

    assert swept(services) == []
    assert services.waiting.noted == set()


def test_a_note_of_a_mail_that_is_settled_yet_stays_for_its_writer(services: FakeServices) -> None:
    mail_id = forgotten(services)
    moved(services, mail_id, Status.FAILED)
    settle(services, 60)
    services.waiting.note(mail_id, services.clock())
    settle(services, 10)
    moved(services, mail_id, Status.QUEUED)
    enqueued = []
    for _ in range(20):
        services.clock.forward(minutes=1)
        enqueued += swept(services)

    assert mail_id in enqueued


def test_a_note_of_a_mail_that_never_came_is_dropped(services: FakeServices) -> None:
    services.waiting.note(ids.new_id(NOW - timedelta(days=1), services.random.randbytes), NOW)
    settle(services, 40)

    assert services.waiting.noted == set()


def test_held_mails_are_rung_for_oldest_first_when_the_hold_ends(services: FakeServices) -> None:
    mails = []
    for _ in range(3):
        mails.append(forgotten(services))
        moved(services, mails[-1], Status.HELD)
        services.clock.forward(seconds=1)
    until = NOW + timedelta(hours=1)
    services.accounts.change("billing", state=AccountState.HELD, held_until=until)
    settle(services, 59)
    assert services.wake_ups.enqueued == []
    services.clock.forward(minutes=2)

    assert swept(services) == mails
    settle(services, 60)
    assert set(mails) == services.waiting.noted, "they wait for their bells now"


def test_held_mails_cost_nothing_while_their_account_cannot_send(services: FakeServices) -> None:
    for _ in range(50):
        moved(services, forgotten(services), Status.HELD)
    services.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN)
    settle(services, 40)

    calls = calls_of_one_sweep(services)

    assert calls["ledger.summary"] == calls["waiting.of_account"] == 0
    assert calls.total() <= 4


@pytest.mark.parametrize("minutes", [1, 40])
def test_a_sign_in_releases_new_and_old_held_mails(services: FakeServices, minutes: int) -> None:
    first = _held(services)
    settle(services, minutes)
    second = _held(services)
    account = services.accounts.change("billing", state=AccountState.READY)
    services.wake_ups.enqueued.clear()

    assert services.upkeep.release(account) == 2
    assert [ring.mail_id for ring in services.wake_ups.enqueued] == [first, second]


def _held(services: FakeServices) -> str:
    services.accounts.change("billing", state=AccountState.READY)
    services.accounts.remember(*services.accounts.rows.values())
    mail_id = forgotten(services)
    services.accounts.change("billing", state=AccountState.NEEDS_SIGN_IN)
    moved(services, mail_id, Status.HELD)
    return mail_id


def test_a_release_that_was_cut_short_is_finished_by_the_timer(services: FakeServices) -> None:
    mails = [_held(services) for _ in range(3)]
    settle(services, 20)
    account = services.accounts.change("billing", state=AccountState.READY)
    services.wake_ups.enqueued.clear()
    services.faults.before("wake_ups.enqueue", Crash(), nth=2)
    with pytest.raises(Crash):
        services.upkeep.release(account)

    assert swept(services) == mails


def test_the_mark_of_an_account_goes_when_nothing_is_held_any_more(services: FakeServices) -> None:
    mail_id = _held(services)
    settle(services, 20)
    assert services.waiting.snapshot(services.clock(), 0).held
    services.accounts.change("billing", state=AccountState.READY)
    moved(services, mail_id, Status.SENT)
    settle(services, 60)

    assert services.waiting.snapshot(services.clock(), 0).held == []
    assert services.waiting.noted == set()


@pytest.mark.parametrize("settled", [0, 10_000])
def test_a_sweep_with_nothing_to_do_takes_two_calls(services: FakeServices, settled: int) -> None:
    services.upkeep.requeue_overdue()
    for _ in range(settled):
        moment = services.clock() + timedelta(seconds=1)
        services.ledger.overwrite(
            Mail(
                ids.new_id(moment, services.random.randbytes),
                Status.SENT,
                moment,
                moment,
                moment,
                Caller.HTTP,
                "billing",
                events=(Event(moment, Status.SENT),),
            )
        )
    services.clock.forward(minutes=1)

    calls = calls_of_one_sweep(services)

    assert calls == {"waiting.snapshot": 1, "ledger.waiting": 1}


def test_a_backlog_is_taken_in_shares_the_oldest_first(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "MOST_ENQUEUED", 10)
    monkeypatch.setattr(sweep, "PAGE", 7)
    mails = []
    for _ in range(50):
        mails.append(forgotten(services))
        services.clock.forward(seconds=1)
    services.clock.forward(minutes=6)
    enqueued: list[str] = []
    for _ in range(6):
        enqueued += swept(services)
        services.clock.forward(seconds=10)

    assert len(enqueued) == len(set(enqueued)), "nobody is rung for twice while others wait"
    assert set(enqueued) == set(mails)


def test_a_new_mail_does_not_wait_behind_a_backlog(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "MOST_ENQUEUED", 10)
    for _ in range(200):
        forgotten(services)
    settle(services, 30)
    late = forgotten(services)
    services.clock.forward(minutes=3)

    assert late in swept(services)


def test_a_run_that_takes_too_long_goes_on_in_the_next(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "PAGE", 5)
    for _ in range(20):
        forgotten(services)
    mails = {mail.mail_id for mail in services.ledger.mails}
    services.clock.forward(minutes=30)
    services.faults.after("ledger.waiting", lambda: services.clock.forward(seconds=60))
    services.upkeep.requeue_overdue()
    watermark = services.waiting.watermark
    assert watermark is not None
    assert watermark.under_way is not None

    services.upkeep.requeue_overdue()

    assert services.waiting.noted == mails
    assert services.waiting.watermark is not None
    assert services.waiting.watermark.under_way is None


def test_the_watermark_stays_behind_the_clock(services: FakeServices) -> None:
    settle(services, 60)

    assert services.waiting.watermark is not None
    assert NOW < services.waiting.watermark.noted_before <= services.clock() - MARGIN


def test_a_sweep_that_dies_before_it_has_noted_all_does_not_move_the_watermark(
    services: FakeServices,
) -> None:
    for _ in range(3):
        forgotten(services)
    services.clock.forward(minutes=20)
    services.faults.before("waiting.note_all", Crash(), nth=2)
    with pytest.raises(Crash):
        services.upkeep.requeue_overdue()

    assert services.waiting.watermark is None


def test_of_two_sweeps_at_once_the_second_leaves_the_watermark(services: FakeServices) -> None:
    forgotten(services)
    services.clock.forward(minutes=20)
    services.faults.before("waiting.advance", services.upkeep.requeue_overdue)

    services.upkeep.requeue_overdue()

    assert services.waiting.noted == {mail.mail_id for mail in services.ledger.mails}


def test_a_queue_that_is_away_stops_the_run_and_loses_nothing(services: FakeServices) -> None:
    mail_id = forgotten(services)
    services.clock.forward(minutes=20)
    services.faults.before("wake_ups.enqueue", NOT_REACHED)
    with pytest.raises(NotSent):
        services.upkeep.requeue_overdue()

    assert swept(services) == [mail_id]


def test_an_old_storage_message_is_noted_before_it_is_in_the_ledger(services: FakeServices) -> None:
    settle(services, 60)
    body = services.message(document_of(scheduled_at=(NOW + timedelta(days=1)).isoformat())).body
    services.faults.after("waiting.note", Crash())
    with pytest.raises(Crash):
        services.outbox.handle(OutboxMessage("late", NOW, body))
    assert services.ledger.mails == []
    services.outbox.handle(OutboxMessage("late", NOW, body))

    assert services.waiting.noted == {mail.mail_id for mail in services.ledger.mails}


def test_the_mail_of_an_old_key_is_noted(services: FakeServices) -> None:
    services.faults.before("ledger.insert", Crash())
    with pytest.raises(Crash):
        services.accept(idempotency_key="order-7")
    settle(services, 60)

    mail_id = services.accepted(idempotency_key="order-7")

    assert ids.time_of(mail_id) == NOW
    assert mail_id in services.waiting.noted


@pytest.mark.parametrize("call", ["ledger.update", "wake_ups.enqueue"])
def test_an_old_mail_that_is_retried_is_found_whatever_gets_lost(
    services: FakeServices, call: str
) -> None:
    mail_id = forgotten(services)
    moved(services, mail_id, Status.FAILED)
    settle(services, 60)
    services.faults.after(call, Crash())
    with pytest.raises(Crash):
        services.changes.retry(mail_id)
    services.clock.forward(minutes=3)

    assert services.status(mail_id) is Status.QUEUED
    assert mail_id in swept(services)


def test_a_new_mail_costs_no_note(services: FakeServices) -> None:
    services.accepted(idempotency_key="order-7")

    assert not any(call.startswith("waiting") for call in services.faults.calls)


def test_what_waits_behind_the_watermark_unnoted_is_found_and_noted(services: FakeServices) -> None:
    settle(services, 60)
    mail_id = ids.new_id(NOW, services.random.randbytes)
    services.accepted()
    services.ledger.overwrite(
        replace(services.ledger.mails[0], mail_id=mail_id, due_at=NOW, updated_at=NOW)
    )

    assert services.upkeep.look_behind(None, services.clock() + MINUTE) == (1, None)
    assert services.upkeep.look_behind(None, services.clock() + MINUTE) == (0, None)
    assert mail_id in swept(services)


def test_a_look_behind_that_runs_out_of_time_says_where_to_go_on(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "PAGE", 2)
    settle(services, 60)
    services.accepted()
    mail = services.ledger.mails[0]
    for minute in range(5):
        old = ids.new_id(NOW - minute * MINUTE, services.random.randbytes)
        services.ledger.overwrite(replace(mail, mail_id=old))
    found, cursor, runs = 0, None, 0
    while runs == 0 or cursor is not None:
        count, cursor = services.upkeep.look_behind(cursor, services.clock())
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
