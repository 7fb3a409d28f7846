"""Which drafts the daily sweep removes from mailboxes, and which it never touches."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.mail.account import AccountState
from shared.mail.mail import Event
from shared.mail.status import Status
from tests.fakes import NOT_REACHED, NOW, FakeServices, Letter, account_of

SCOPES = frozenset({"Mail.Send", "Mail.ReadWrite", "User.Read"})
OLD = NOW - timedelta(days=2)


@pytest.fixture
def services() -> FakeServices:
    return FakeServices(account_of(scopes=SCOPES))


def a_draft(services: FakeServices, key: str | None, **changes: object) -> str:
    letter = Letter(f"d{len(services.drafts.letters)}", "application/json", b"", OLD, key)
    services.drafts.letters.append(dataclasses.replace(letter, **changes))  # type: ignore[arg-type]
    return letter.draft_id


def a_mail(
    services: FakeServices, status: Status, draft_id: str | None = None, **changes: object
) -> str:
    """A mail that was tried two days ago."""
    mail_id = services.accepted()
    tried = (Event(OLD, Status.SENDING), Event(OLD + timedelta(seconds=30), status))
    mail = replace(services.ledger.mail(mail_id), status=status, draft_id=draft_id, events=tried)
    services.ledger.overwrite(replace(mail, **changes))
    return mail_id


@pytest.mark.parametrize("status", [Status.SENT, Status.FAILED, Status.CANCELLED])
def test_a_draft_of_a_finished_mail_goes(services: FakeServices, status: Status) -> None:
    draft = a_draft(services, a_mail(services, status, "d0"))

    assert services.retention.sweep()["drafts"] == 1
    assert services.drafts.removed == [draft]


@pytest.mark.parametrize("status", [Status.QUEUED, Status.UNKNOWN, Status.HELD, Status.SENDING])
def test_the_draft_by_which_a_mail_goes_stays_and_another_one_goes(
    services: FakeServices, status: Status
) -> None:
    mail_id = a_mail(services, status, "d0")
    a_draft(services, mail_id)
    other = a_draft(services, mail_id)
    services.retention.sweep()

    assert services.drafts.removed == [other]


def test_what_is_not_certainly_ours_and_left_over_stays(services: FakeServices) -> None:
    finished = a_mail(services, Status.SENT)
    a_draft(services, None)
    a_draft(services, "a person's own words")
    a_draft(services, "01800000-0000-7000-8000-000000000000")
    a_draft(services, finished, created_at=NOW - timedelta(hours=23))
    a_draft(services, finished, is_draft=False)
    a_draft(services, finished, created_at=OLD + timedelta(minutes=30))
    a_draft(services, a_mail(services, Status.SENT, account_id="another-mailbox"))
    services.retention.sweep()

    assert services.drafts.removed == []


def test_a_draft_that_only_its_source_tells_goes_too(services: FakeServices) -> None:
    draft = a_draft(services, None, source_key=a_mail(services, Status.SENT))

    services.retention.sweep()

    assert services.drafts.removed == [draft]


def test_mailboxes_that_cannot_be_read_are_left_alone(services: FakeServices) -> None:
    a_draft(services, a_mail(services, Status.SENT))
    for changes in ({"scopes": frozenset({"Mail.Send"})}, {"state": AccountState.NEEDS_SIGN_IN}):
        services.accounts.change(
            "billing", **{"scopes": SCOPES, "state": AccountState.READY, **changes}
        )
        services.retention.sweep()

    assert services.faults.calls["drafts.marked"] == 0


def test_a_mailbox_that_fails_leaves_the_others(services: FakeServices) -> None:
    services.accounts.put(account_of("hr", scopes=SCOPES))
    a_draft(services, a_mail(services, Status.SENT, account_id="id-hr"))
    services.faults.before("drafts.marked", NOT_REACHED)

    assert services.retention.sweep()["drafts"] == 1
