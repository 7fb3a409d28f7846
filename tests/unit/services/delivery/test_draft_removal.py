"""A mail that is withdrawn, or becomes another: nobody sends the draft that it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.errors import AnswerLost, LostRace, NotSent, Refused
from shared.mail.account import AccountState
from shared.mail.address import Address
from shared.mail.backoff import Patience
from shared.mail.mail import Mail
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.mails.changes import DRAFT_STAYS, Decision, Recipients
from tests.fakes import Letter, Room, account_of

SCOPES = frozenset({"Mail.Send", "Mail.ReadWrite", "User.Read"})
GRACE = Recipients(to=(Address("grace@example.com"),))

CHANGES: dict[str, Callable[[Room, str], Mail]] = {
    "cancel": lambda room, mail_id: room.changes.cancel(mail_id),
    "retry": lambda room, mail_id: room.changes.retry(mail_id, GRACE),
}


@pytest.fixture
def room() -> Room:
    return Room(account_of(scopes=SCOPES))


def held_with_a_draft(room: Room) -> str:
    mail_id = room.accepted()
    room.drafts.answers["send"] = [GraphAnswer(429, "ErrorSubmissionQuotaExceeded")]
    room.hear(mail_id)
    assert room.status(mail_id) is Status.HELD
    assert room.ledger.mail(mail_id).draft_id
    room.accounts.remember(
        room.accounts.change("billing", state=AccountState.READY, held_until=None)
    )
    return mail_id


def went_to(room: Room) -> list[str]:
    return [
        json.loads(letter.body)["toRecipients"][0]["emailAddress"]["address"]
        for letter in room.drafts.sent
    ]


def drafts(room: Room) -> list[Letter]:
    return [letter for letter in room.drafts.letters if letter.is_draft]


@pytest.mark.parametrize("name", CHANGES)
def test_the_draft_goes_before_the_mail_is_changed(room: Room, name: str) -> None:
    mail_id = held_with_a_draft(room)
    CHANGES[name](room, mail_id)

    assert drafts(room) == []
    room.hear(mail_id)
    assert went_to(room) == ([] if name == "cancel" else ["grace@example.com"])


def test_a_mail_that_is_retried_as_it_was_keeps_its_draft(room: Room) -> None:
    mail_id = held_with_a_draft(room)
    room.changes.retry(mail_id)
    room.hear(mail_id)

    assert room.drafts.removed == []
    assert went_to(room) == ["ada@example.com"]


@pytest.mark.parametrize("name", CHANGES)
def test_a_worker_that_was_frozen_in_its_request_sends_nothing_of_the_mail_as_it_was(
    room: Room, name: str
) -> None:
    mail_id = room.accepted()
    other = room.worker(Patience(30, 48 * 3600))

    def frozen() -> None:
        room.clock.forward(seconds=301)
        other.deliver(mail_id)
        room.drafts.answers["send"] = [GraphAnswer(429, "ErrorSubmissionQuotaExceeded")]
        other.deliver(mail_id)
        assert room.status(mail_id) is Status.HELD
        CHANGES[name](room, mail_id)

    room.faults.before("drafts.send", frozen)
    room.hear(mail_id)
    room.accounts.remember(
        room.accounts.change("billing", state=AccountState.READY, held_until=None)
    )
    room.hear(mail_id)

    assert went_to(room) == ([] if name == "cancel" else ["grace@example.com"])
    assert room.status(mail_id) is (Status.CANCELLED if name == "cancel" else Status.SENT)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize(
    ("trouble", "seconds"),
    [
        (GraphAnswer(503, retry_after=7.0), 7.0),
        (GraphAnswer(429, retry_after=7.0), 7.0),
        (NotSent("graph", "not reached"), 30.0),
        (AnswerLost("graph", "no answer"), 30.0),
    ],
)
def test_what_keeps_the_draft_for_a_moment_changes_nothing(
    room: Room, name: str, trouble: GraphAnswer | Exception, seconds: float
) -> None:
    mail_id = held_with_a_draft(room)
    before = room.ledger.mail(mail_id)
    if isinstance(trouble, GraphAnswer):
        room.drafts.answers["remove"] = [trouble]
    else:
        room.faults.before("drafts.remove", trouble)

    with pytest.raises(Refused) as caught:
        CHANGES[name](room, mail_id)

    assert (caught.value.kind.code, caught.value.retry_after) == ("unavailable", seconds)
    assert room.ledger.mail(mail_id) == before
    CHANGES[name](room, mail_id)
    assert drafts(room) == []


@pytest.mark.parametrize("name", CHANGES)
def test_a_mail_whose_draft_has_gone_may_have_been_sent_and_is_looked_for(
    room: Room, name: str
) -> None:
    mail_id = held_with_a_draft(room)
    room.drafts.send("another's token", "/me", str(room.ledger.mail(mail_id).draft_id))

    with pytest.raises(Refused) as caught:
        CHANGES[name](room, mail_id)

    assert caught.value.members == {"mail_status": "unknown"}
    assert room.ledger.mail(mail_id).finding_out
    room.clock.forward(seconds=5)
    for ring in room.bell.take_due():
        room.hear(ring.mail_id)
    assert room.status(mail_id) is Status.SENT
    assert went_to(room) == ["ada@example.com"]


NO_WAY_IN: dict[str, Callable[[Room], object]] = {
    "needs a sign-in": lambda room: room.drafts.answers.update(
        remove=[GraphAnswer(403, "ErrorAccessDenied")] * 2
    ),
    "account gone": lambda room: room.accounts.rows.pop("billing"),
}


@pytest.mark.parametrize("prepare", NO_WAY_IN.values(), ids=list(NO_WAY_IN))
def test_a_mailbox_that_nobody_can_get_into_keeps_the_draft_once_no_worker_can_be_left(
    room: Room, prepare: Callable[[Room], object]
) -> None:
    mail_id = held_with_a_draft(room)
    prepare(room)
    room.clock.forward(minutes=5)

    with pytest.raises(Refused) as caught:
        room.changes.cancel(mail_id)
    assert caught.value.retry_after == 600.0
    room.clock.forward(minutes=10)

    mail = room.changes.cancel(mail_id)
    assert (mail.status, mail.help) == (Status.CANCELLED, DRAFT_STAYS)


def test_what_a_person_has_sent_again_leaves_no_second_draft_to_send(room: Room) -> None:
    mail_id = room.accepted()
    room.drafts.answers["send"] = [GraphAnswer(500)]
    room.hear(mail_id)
    room.ledger.overwrite(room.ledger.mail(mail_id).given_up(room.clock(), "not_found", "Look."))

    room.changes.resolve(mail_id, Decision.SEND_AGAIN)
    assert drafts(room) == []
    room.clock.forward(seconds=5)
    room.hear(mail_id)

    assert went_to(room) == ["ada@example.com"]


def test_what_a_person_has_sent_again_goes_though_its_draft_is_not_there(room: Room) -> None:
    mail_id = room.accepted()
    room.drafts.answers["send"] = [GraphAnswer(500)]
    room.hear(mail_id)
    room.ledger.overwrite(room.ledger.mail(mail_id).given_up(room.clock(), "not_found", "Look."))
    room.drafts.letters.clear()

    assert room.changes.resolve(mail_id, Decision.SEND_AGAIN).status is Status.QUEUED


def test_a_draft_that_is_removed_is_not_missed_when_the_write_is_decided_anew(room: Room) -> None:
    mail_id = held_with_a_draft(room)
    room.faults.before("ledger.update", LostRace("another was first"))

    assert room.changes.cancel(mail_id).status is Status.CANCELLED
    assert room.faults.calls["drafts.remove"] == 1


def test_a_scheduled_mail_with_a_draft_is_put_off_with_it(room: Room) -> None:
    mail_id = held_with_a_draft(room)
    room.changes.reschedule(mail_id, room.clock() + timedelta(days=1))

    assert len(drafts(room)) == 1
    assert room.ledger.mail(mail_id).draft_id == drafts(room)[0].draft_id
