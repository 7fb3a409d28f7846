"""The mails that need a person, kept beside the ledger."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.mail.mail import Caller, Mail
from shared.mail.status import Status
from shared.services.mails.attention import AttentionReconciler, IndexedLedger
from shared.services.mails.ports import AttentionItem
from tests.fakes import (
    LOST,
    NOT_REACHED,
    NOW,
    Clock,
    Crash,
    Faults,
    MemoryAttentionIndex,
    MemoryLedger,
)

ID = "0190d6e4-6b80-7abc-8def-0123456789ab"


class Desk:
    """A ledger with its cases, and the daily recount."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.faults = Faults()
        self.rows = MemoryLedger(self.faults)
        self.attention = MemoryAttentionIndex(self.faults)
        self.ledger = IndexedLedger(self.rows, self.attention)
        self.recount = AttentionReconciler(self.ledger, self.rows, self.attention, self.clock)

    def accept(self) -> None:
        self.ledger.insert(
            Mail(
                mail_id=ID,
                status=Status.QUEUED,
                accepted_at=NOW,
                updated_at=NOW,
                due_at=NOW,
                caller=Caller.HTTP,
                account="billing",
            ).noted(NOW, "accepted")
        )

    def move(self, status: Status, reason: str | None = None) -> None:
        self.clock.forward(seconds=1)
        found = self.ledger.get(ID)
        assert found is not None
        self.ledger.update(found.mail.moved(status, self.clock(), reason=reason), found.etag)

    def open_cases(self) -> list[tuple[Status, str | None]]:
        return [(case.status, case.reason) for case in self.attention.newest(10)]

    def count_again(self) -> int:
        self.clock.forward(days=1)
        return self.recount.run(self.clock() + timedelta(minutes=1))


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.accept()
    return made


def test_a_mail_that_is_simply_sent_costs_no_call(desk: Desk) -> None:
    desk.move(Status.SENDING)
    desk.move(Status.SENT)

    assert not [name for name in desk.faults.calls if name.startswith("cases.")]


def test_a_mail_that_gets_into_trouble_is_a_case_until_it_gets_out(desk: Desk) -> None:
    desk.move(Status.SENDING)
    desk.move(Status.HELD, "AADSTS50173")
    assert desk.open_cases() == [(Status.HELD, "AADSTS50173")]

    desk.move(Status.QUEUED)

    assert desk.open_cases() == []


def test_a_mail_that_fails_after_a_hold_is_one_case(desk: Desk) -> None:
    desk.move(Status.HELD, "AADSTS50173")
    desk.move(Status.SENDING)
    desk.move(Status.FAILED, "ErrorSendAsDenied")

    assert desk.open_cases() == [(Status.FAILED, "ErrorSendAsDenied")]


def test_a_mail_that_is_given_up_shows_its_last_reason(desk: Desk) -> None:
    desk.move(Status.SENDING)
    desk.move(Status.UNKNOWN, "finding_out")
    found = desk.ledger.get(ID)
    assert found is not None
    desk.clock.forward(minutes=20)
    desk.ledger.update(found.mail.given_up(desk.clock(), "not_found", "Look."), found.etag)

    assert desk.open_cases() == [(Status.UNKNOWN, "not_found")]


def test_a_look_that_settles_nothing_costs_no_call(desk: Desk) -> None:
    desk.move(Status.SENDING)
    desk.move(Status.UNKNOWN, "finding_out")
    found = desk.ledger.get(ID)
    assert found is not None
    desk.clock.forward(seconds=15)
    later = found.mail.looked_for(desk.clock(), desk.clock() + timedelta(minutes=1), 2, "Looking.")
    desk.ledger.update(later, found.etag)

    assert desk.faults.calls["attention.open"] == 1


def test_a_mail_moves_on_where_the_cases_are_out_of_reach(desk: Desk) -> None:
    desk.faults.always("attention.open", NOT_REACHED)
    desk.faults.always("attention.close", LOST)

    desk.move(Status.HELD, "AADSTS50173")
    desk.move(Status.QUEUED)

    assert desk.rows.mail(ID).status is Status.QUEUED


def test_the_recount_opens_the_case_that_was_missed(desk: Desk) -> None:
    desk.faults.always("attention.open", NOT_REACHED)
    desk.move(Status.FAILED, "too_old")
    desk.faults.forget()

    assert desk.count_again() == 1
    assert desk.open_cases() == [(Status.FAILED, "too_old")]
    assert desk.count_again() == 0


def test_the_recount_closes_the_case_that_a_dying_worker_left(desk: Desk) -> None:
    desk.move(Status.HELD, "AADSTS50173")
    desk.faults.before("attention.close", Crash())
    with pytest.raises(Crash):
        desk.move(Status.QUEUED)
    assert desk.open_cases() == [(Status.HELD, "AADSTS50173")]

    assert desk.count_again() == 1
    assert desk.open_cases() == []


def test_the_recount_closes_the_case_of_a_mail_that_was_thrown_away(desk: Desk) -> None:
    desk.attention.open(AttentionItem(ID.replace("ab", "cd"), Status.FAILED, "too_old", "billing"))

    assert desk.count_again() == 1
    assert desk.open_cases() == []


def test_a_write_that_lost_its_race_leaves_a_case_that_the_recount_closes(desk: Desk) -> None:
    found = desk.ledger.get(ID)
    assert found is not None
    desk.move(Status.SENDING)
    stale = replace(found.mail, status=Status.QUEUED)
    with pytest.raises(Exception, match="changed"):
        desk.ledger.update(stale.moved(Status.HELD, desk.clock(), reason="late"), found.etag)
    desk.move(Status.SENT)

    assert desk.count_again() == 1
    assert desk.open_cases() == []
