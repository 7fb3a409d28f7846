"""A mail that is withdrawn, or becomes another: nobody sends the draft that it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.errors import AnswerLost, LostRace, NotSent, RequestRejected
from shared.mail.account import AccountState
from shared.mail.address import Address
from shared.mail.backoff import RetryLimit
from shared.mail.mail import Mail
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.mails.change_rules import Recipients
from shared.services.mails.changes import DRAFT_STAYS, Decision
from tests.fakes import FakeServices, Letter, account_of

SCOPES = frozenset({"Mail.Send", "Mail.ReadWrite", "User.Read"})
GRACE = Recipients(to=(Address("grace@example.com"),))

CHANGES: dict[str, Callable[[FakeServices, str], Mail]] = {
    "cancel": lambda services, mail_id: services.changes.cancel(mail_id),
    "retry": lambda services, mail_id: services.changes.retry(mail_id, GRACE),
}


@pytest.fixture
def services() -> FakeServices:
    return FakeServices(account_of(scopes=SCOPES))


def held_with_a_draft(services: FakeServices) -> str:
    mail_id = services.accepted()
    services.drafts.answers["send"] = [GraphAnswer(429, "ErrorSubmissionQuotaExceeded")]
    services.handle(mail_id)
    assert services.status(mail_id) is Status.HELD
    assert services.ledger.mail(mail_id).draft_id
    services.accounts.remember(
        services.accounts.change("billing", state=AccountState.READY, held_until=None)
    )
    return mail_id


def went_to(services: FakeServices) -> list[str]:
    return [
        json.loads(letter.body)["toRecipients"][0]["emailAddress"]["address"]
        for letter in services.drafts.sent
    ]


def drafts(services: FakeServices) -> list[Letter]:
    return [letter for letter in services.drafts.letters if letter.is_draft]


@pytest.mark.parametrize("name", CHANGES)
def test_the_draft_goes_before_the_mail_is_changed(services: FakeServices, name: str) -> None:
    mail_id = held_with_a_draft(services)
    CHANGES[name](services, mail_id)

    assert drafts(services) == []
    services.handle(mail_id)
    assert went_to(services) == ([] if name == "cancel" else ["grace@example.com"])


def test_a_mail_that_is_retried_as_it_was_keeps_its_draft(services: FakeServices) -> None:
    mail_id = held_with_a_draft(services)
    services.changes.retry(mail_id)
    services.handle(mail_id)

    assert services.drafts.removed == []
    assert went_to(services) == ["ada@example.com"]


@pytest.mark.parametrize("name", CHANGES)
def test_a_worker_that_was_frozen_in_its_request_sends_nothing_of_the_mail_as_it_was(
    services: FakeServices, name: str
) -> None:
    mail_id = services.accepted()
    other = services.worker(RetryLimit(30, 48 * 3600))

    def frozen() -> None:
        services.clock.forward(seconds=301)
        other.deliver(mail_id)
        services.drafts.answers["send"] = [GraphAnswer(429, "ErrorSubmissionQuotaExceeded")]
        other.deliver(mail_id)
        assert services.status(mail_id) is Status.HELD
        CHANGES[name](services, mail_id)

    services.faults.before("drafts.send", frozen)
    services.handle(mail_id)
    services.accounts.remember(
        services.accounts.change("billing", state=AccountState.READY, held_until=None)
    )
    services.handle(mail_id)

    assert went_to(services) == ([] if name == "cancel" else ["grace@example.com"])
    assert services.status(mail_id) is (Status.CANCELLED if name == "cancel" else Status.SENT)


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
    services: FakeServices, name: str, trouble: GraphAnswer | Exception, seconds: float
) -> None:
    mail_id = held_with_a_draft(services)
    before = services.ledger.mail(mail_id)
    if isinstance(trouble, GraphAnswer):
        services.drafts.answers["remove"] = [trouble]
    else:
        services.faults.before("drafts.remove", trouble)

    with pytest.raises(RequestRejected) as caught:
        CHANGES[name](services, mail_id)

    assert (caught.value.kind.code, caught.value.retry_after) == ("unavailable", seconds)
    assert services.ledger.mail(mail_id) == before
    CHANGES[name](services, mail_id)
    assert drafts(services) == []


@pytest.mark.parametrize("name", CHANGES)
def test_a_mail_whose_draft_has_gone_may_have_been_sent_and_is_looked_for(
    services: FakeServices, name: str
) -> None:
    mail_id = held_with_a_draft(services)
    services.drafts.send("another's token", "/me", str(services.ledger.mail(mail_id).draft_id))

    with pytest.raises(RequestRejected) as caught:
        CHANGES[name](services, mail_id)

    assert caught.value.members == {"mail_status": "unknown"}
    assert services.ledger.mail(mail_id).finding_out
    services.clock.forward(seconds=5)
    for ring in services.wake_ups.take_due():
        services.handle(ring.mail_id)
    assert services.status(mail_id) is Status.SENT
    assert went_to(services) == ["ada@example.com"]


NO_WAY_IN: dict[str, Callable[[FakeServices], object]] = {
    "needs a sign-in": lambda services: services.drafts.answers.update(
        remove=[GraphAnswer(403, "ErrorAccessDenied")] * 2
    ),
    "account gone": lambda services: services.accounts.rows.pop("billing"),
}


@pytest.mark.parametrize("prepare", NO_WAY_IN.values(), ids=list(NO_WAY_IN))
def test_a_mailbox_that_nobody_can_get_into_keeps_the_draft_once_no_worker_can_be_left(
    services: FakeServices, prepare: Callable[[FakeServices], object]
) -> None:
    mail_id = held_with_a_draft(services)
    prepare(services)
    services.clock.forward(minutes=5)

    with pytest.raises(RequestRejected) as caught:
        services.changes.cancel(mail_id)
    assert caught.value.retry_after == 600.0
    services.clock.forward(minutes=10)

    mail = services.changes.cancel(mail_id)
    assert (mail.status, mail.help) == (Status.CANCELLED, DRAFT_STAYS)


def test_what_a_person_has_sent_again_leaves_no_second_draft_to_send(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.drafts.answers["send"] = [GraphAnswer(500)]
    services.handle(mail_id)
    services.ledger.overwrite(
        services.ledger.mail(mail_id).given_up(services.clock(), "not_found", "Look.")
    )

    services.changes.resolve(mail_id, Decision.SEND_AGAIN)
    assert drafts(services) == []
    services.clock.forward(seconds=5)
    services.handle(mail_id)

    assert went_to(services) == ["ada@example.com"]


def test_what_a_person_has_sent_again_goes_though_its_draft_is_not_there(
    services: FakeServices,
) -> None:
    mail_id = services.accepted()
    services.drafts.answers["send"] = [GraphAnswer(500)]
    services.handle(mail_id)
    services.ledger.overwrite(
        services.ledger.mail(mail_id).given_up(services.clock(), "not_found", "Look.")
    )
    services.drafts.letters.clear()

    assert services.changes.resolve(mail_id, Decision.SEND_AGAIN).status is Status.QUEUED


def test_a_draft_that_is_removed_is_not_missed_when_the_write_is_decided_anew(
    services: FakeServices,
) -> None:
    mail_id = held_with_a_draft(services)
    services.faults.before("ledger.update", LostRace("another was first"))

    assert services.changes.cancel(mail_id).status is Status.CANCELLED
    assert services.faults.calls["drafts.remove"] == 1


def test_a_scheduled_mail_with_a_draft_is_put_off_with_it(services: FakeServices) -> None:
    mail_id = held_with_a_draft(services)
    services.changes.reschedule(mail_id, services.clock() + timedelta(days=1))

    assert len(drafts(services)) == 1
    assert services.ledger.mail(mail_id).draft_id == drafts(services)[0].draft_id
