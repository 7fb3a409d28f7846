"""Message-IDs: the one of our own, and which of a remote's are used."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.mail.address import Address
from shared.mail.lost_drafts import DRAFT_UNANSWERED, lost_between, made_by
from shared.mail.mail import Event
from shared.mail.message_ids import MAX_MESSAGE_ID, mail_id_in, own_message_id, usable
from shared.mail.outcome import Copy, Evidence, GraphAnswer, Sought, judge_look
from shared.mail.status import Status
from tests.fakes import NOW, mail_of

MAIL_ID = "01a203ad-b662-7144-9552-511623ad80ca"
OTHER = "01a203ad-b662-7144-9552-511623ad80cb"
LATER = NOW + timedelta(minutes=1)


def test_our_own_message_id_names_the_mail_and_the_domain_of_from() -> None:
    found = own_message_id(MAIL_ID, Address("billing@xn--bcher-kva.example", "Größe"))

    assert found == f"<postroom.{MAIL_ID}@xn--bcher-kva.example>"
    assert mail_id_in(found) == MAIL_ID
    assert usable(found) == found


@pytest.mark.parametrize(
    "text",
    [
        f"postroom.{MAIL_ID}@contoso.com",
        f"<{MAIL_ID}@contoso.com>",
        f"<postroom.{MAIL_ID[:-1]}x@contoso.com>",
        "<postroom.00000000-0000-0000-0000-000000000000@contoso.com>",
        f"<postroom.{MAIL_ID}@contoso.com> (copy)",
        f"<postroom.{MAIL_ID}@contoso.com>\n",
        "",
        None,
        7,
    ],
)
def test_no_other_value_is_taken_for_our_own_message_id(text: object) -> None:
    assert mail_id_in(text) is None


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "a@b",
        "<>",
        "<a@b> ",
        "<a b@c>",
        "<a@b\r\n>",
        "<ä@b>",
        "<a<b@c>",
        f"<{'a' * (MAX_MESSAGE_ID - 1)}>",
    ],
)
def test_a_message_id_that_is_none_is_not_used(text: object) -> None:
    assert usable(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "<AM0PR01MB4321AF0C@AM0PR01MB4321.eurprd01.prod.exchangelabs.com>",
        "<it's.'quoted'@example.org>",
        f"<{'a' * (MAX_MESSAGE_ID - 2)}>",
    ],
)
def test_any_other_message_id_is_used_as_it_is(text: str) -> None:
    assert usable(text) == text


# Drafts that were made without their id being learnt.


def history(*steps: tuple[Status, float, str | None]) -> tuple[Event, ...]:
    return tuple(Event(NOW + timedelta(seconds=at), status, why) for status, at, why in steps)


@pytest.mark.parametrize(
    "reason", [DRAFT_UNANSWERED, "worker_lost", "worker_failed", "http_504", "UnknownError"]
)
def test_the_minutes_of_an_attempt_that_was_left_open_are_searched(reason: str) -> None:
    events = history(
        (Status.QUEUED, 0, None),
        (Status.SENDING, 1000, None),
        (Status.QUEUED, 1060, reason),
        (Status.SENDING, 2000, None),
    )

    found = lost_between(mail_of(MAIL_ID, events=events))

    assert found is not None
    assert [(at - NOW).total_seconds() for at in found] == [1000 - 120, 1060 + 120]


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        (None, {}),
        ("not_reached", {}),
        ("ApplicationThrottled", {}),
        ("lease_spent", {}),
        (DRAFT_UNANSWERED, {"draft_id": "draft-1"}),
    ],
)
def test_nothing_is_searched_where_no_draft_can_have_been_lost(
    reason: str | None, changes: dict[str, object]
) -> None:
    events = history(
        (Status.SENDING, 0, None), (Status.QUEUED, 10, reason), (Status.SENDING, 20, None)
    )

    assert lost_between(mail_of(MAIL_ID, events=events, **changes)) is None


@pytest.mark.parametrize(
    ("at", "expected"),
    [(-121, False), (-119, True), (0, True), (149, True), (151, False), (3600, False)],
)
def test_a_message_of_ours_was_created_while_an_attempt_ran(at: float, expected: bool) -> None:
    mail = mail_of(MAIL_ID, events=history((Status.SENDING, 0, None), (Status.SENT, 30, None)))

    assert made_by(mail, NOW + timedelta(seconds=at)) is expected


def test_an_attempt_without_an_end_lasts_no_longer_than_a_run() -> None:
    mail = mail_of(MAIL_ID, events=history((Status.SENDING, 0, None)))

    assert made_by(mail, NOW + timedelta(minutes=12))
    assert not made_by(mail, NOW + timedelta(minutes=13))


# What a look says.

DRAFT = Copy("draft-1", is_draft=True, key=MAIL_ID)
BARE_DRAFT = Copy("draft-1", is_draft=True)
OTHER_DRAFT = Copy("draft-2", is_draft=True, key=MAIL_ID)
SENT = Copy("sent", is_draft=False, key=MAIL_ID)
BARE = Copy("sent", is_draft=False, sent_at=LATER)
OLD = Copy("sent", is_draft=False, sent_at=NOW - timedelta(hours=1))
TWIN = Copy("sent", is_draft=False, key=OTHER, sent_at=LATER)


@pytest.mark.parametrize(
    ("copies", "evidence"),
    [
        ([], Evidence.NOTHING),
        ([SENT], Evidence.SENT),
        ([SENT, DRAFT], Evidence.SENT),
        ([BARE], Evidence.SENT),
        ([BARE, OTHER_DRAFT], Evidence.SENT),
        ([BARE, DRAFT], Evidence.NOTHING),
        ([BARE, BARE_DRAFT], Evidence.NOTHING),
        ([OLD], Evidence.NOTHING),
        ([OLD, DRAFT], Evidence.DRAFT),
        ([TWIN], Evidence.NOTHING),
        ([TWIN, DRAFT], Evidence.DRAFT),
        ([DRAFT], Evidence.DRAFT),
        ([BARE_DRAFT], Evidence.DRAFT),
        ([OTHER_DRAFT], Evidence.NOTHING),
    ],
)
def test_a_mail_counts_as_unsent_only_by_its_own_draft_and_without_a_sent_copy(
    copies: list[Copy], evidence: Evidence
) -> None:
    for sought in (
        Sought(MAIL_ID, "draft-1", "<one@app>", True, NOW),
        Sought(MAIL_ID, "draft-1", f"<postroom.{MAIL_ID}@contoso.com>", False, NOW),
    ):
        assert judge_look(GraphAnswer(200), copies, sought).evidence is evidence
        assert judge_look(GraphAnswer(503), copies, sought).evidence is Evidence.UNSEEN


@pytest.mark.parametrize(
    "message_id",
    [None, "<one@prod.outlook.com>", f"<postroom.{OTHER}@contoso.com>", f"<{MAIL_ID}@contoso.com>"],
)
@pytest.mark.parametrize(
    ("copies", "evidence"),
    [
        ([BARE], Evidence.NOTHING),
        ([BARE, OTHER_DRAFT], Evidence.NOTHING),
        ([BARE, DRAFT], Evidence.DRAFT),
        ([BARE, BARE_DRAFT], Evidence.DRAFT),
        ([TWIN, DRAFT], Evidence.DRAFT),
        ([BARE, SENT], Evidence.SENT),
        ([SENT, DRAFT], Evidence.SENT),
        ([BARE_DRAFT], Evidence.DRAFT),
    ],
)
def test_a_message_id_that_exchange_gave_is_no_evidence_without_the_key(
    copies: list[Copy], evidence: Evidence, message_id: str | None
) -> None:
    """Any caller can read it in the mail's view and write it into raw MIME."""
    sought = Sought(MAIL_ID, "draft-1", message_id, False, NOW)

    assert judge_look(GraphAnswer(200), copies, sought).evidence is evidence
    assert judge_look(GraphAnswer(503), copies, sought).evidence is Evidence.UNSEEN
