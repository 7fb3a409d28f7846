"""A mail and its story."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.mail.mail import MAX_EVENTS, Caller, Event, Mail, MailFilter, Payload
from shared.mail.status import Status
from tests.fakes import NOW

LATER = NOW + timedelta(minutes=5)


def mail_in(status: Status = Status.QUEUED, **changes: object) -> Mail:
    mail = Mail(
        mail_id="01a01f0a-da00-72d3-a652-e44da7f29e26",
        status=status,
        accepted_at=NOW,
        updated_at=NOW,
        due_at=NOW,
        caller=Caller.HTTP,
        account="billing",
        payload=Payload(inline=b"packed"),
        events=(Event(NOW, status),),
    )
    return replace(mail, **changes)


def test_a_claim_counts_an_attempt_and_sets_the_lease() -> None:
    claimed = mail_in().moved(Status.SENDING, LATER, lease_until=LATER, lease_id="w1")

    assert (claimed.attempts, claimed.lease_until, claimed.lease_id) == (1, LATER, "w1")
    assert claimed.updated_at == LATER


@pytest.mark.parametrize("status", [Status.SENT, Status.QUEUED, Status.HELD, Status.UNKNOWN])
def test_an_outcome_gives_the_lease_back_and_counts_no_attempt(status: Status) -> None:
    claimed = mail_in(Status.SENDING, attempts=1, lease_until=LATER, lease_id="w1")

    after = claimed.moved(status, LATER)

    assert (after.attempts, after.lease_until, after.lease_id) == (1, None, None)


def test_a_sent_mail_drops_its_payload_and_knows_when_it_went() -> None:
    sent = mail_in(Status.SENDING).moved(Status.SENT, LATER, request_id="req-1")

    assert sent.payload == Payload()
    assert (sent.sent_at, sent.request_id) == (LATER, "req-1")


def test_a_sent_mail_remembers_which_blob_is_to_be_removed() -> None:
    mail = mail_in(Status.SENDING, payload=Payload(blob="id/hash"))

    assert mail.moved(Status.SENT, LATER).payload == Payload(blob="id/hash")


@pytest.mark.parametrize(
    "status", [Status.QUEUED, Status.HELD, Status.UNKNOWN, Status.FAILED], ids=str
)
def test_a_mail_that_was_not_sent_keeps_its_payload(status: Status) -> None:
    after = mail_in(Status.SENDING).moved(status, LATER)

    assert (after.payload, after.sent_at) == (Payload(inline=b"packed"), None)


def test_a_move_the_statuses_do_not_allow_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="cannot go from sent to queued"):
        mail_in(Status.SENT).moved(Status.QUEUED, LATER)


def test_a_reason_belongs_to_one_status_only() -> None:
    held = mail_in().moved(Status.HELD, NOW, reason="AADSTS50173", help="Sign in.")

    sending = held.moved(Status.SENDING, LATER)

    assert (held.reason, held.help) == ("AADSTS50173", "Sign in.")
    assert (sending.reason, sending.help) == (None, None)


def test_the_last_request_id_is_kept_until_there_is_a_newer_one() -> None:
    first = mail_in(Status.SENDING).moved(Status.QUEUED, NOW, request_id="req-1")

    assert first.moved(Status.SENDING, LATER).request_id == "req-1"


def test_a_move_may_set_when_the_mail_is_due() -> None:
    mail = mail_in(Status.SENDING)

    assert mail.moved(Status.QUEUED, NOW, due_at=LATER).due_at == LATER
    assert mail.moved(Status.QUEUED, NOW).due_at == NOW


def test_every_move_is_written_into_the_story() -> None:
    mail = mail_in().moved(Status.SENDING, NOW).moved(Status.FAILED, LATER, reason="why")

    assert mail.events == (
        Event(NOW, Status.QUEUED),
        Event(NOW, Status.SENDING),
        Event(LATER, Status.FAILED, "why"),
    )


def test_a_long_story_keeps_its_beginning_and_its_end() -> None:
    mail = mail_in()
    whole = list(mail.events)
    for minute in range(60):
        status = Status.QUEUED if mail.status is Status.SENDING else Status.SENDING
        mail = mail.moved(status, NOW + timedelta(minutes=minute))
        whole.append(mail.events[-1])
        assert len(mail.events) <= MAX_EVENTS

    assert mail.events[:10] == tuple(whole[:10])
    assert mail.events[10:] == tuple(whole[-(MAX_EVENTS - 10) :])


@pytest.mark.parametrize(
    ("status", "seconds", "expected"),
    [
        (Status.SENDING, 299, False),
        (Status.SENDING, 300, True),
        (Status.QUEUED, 300, False),
        (Status.UNKNOWN, 300, False),
    ],
)
def test_a_lease_has_run_out_when_its_time_is_up(
    status: Status, seconds: int, expected: bool
) -> None:
    mail = mail_in(status, lease_until=NOW + timedelta(seconds=300))

    assert mail.lease_has_run_out(NOW + timedelta(seconds=seconds)) is expected


def test_a_payload_does_not_show_in_logs() -> None:
    assert "packed" not in repr(mail_in())


@pytest.mark.parametrize(
    ("typed", "recipient", "found"),
    [
        ("grace@example.com", "grace@example.com", True),
        ("grace@example.com", '"Hopper, Grace" <Grace@Example.com>', True),
        ("grace@example.com", "disgrace@example.com", False),
        ("grace@example.co", "grace@example.com", False),
        ("grace@", "Grace <disgrace@example.com>", True),
        ("hopper", '"Hopper, Grace" <grace@example.com>', True),
        ("example.com", "grace@example.com", True),
        ("ada@", "grace@example.com", False),
    ],
)
def test_a_whole_address_finds_itself_alone_and_a_part_whatever_has_it(
    typed: str, recipient: str, found: bool
) -> None:
    assert MailFilter(recipient=typed).finds(["x@example.net", recipient]) is found
