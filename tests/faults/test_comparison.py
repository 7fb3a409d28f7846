"""The comparison finds each way in which the promise can be broken, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.comparison import (
    Accepted,
    Copy,
    Dropped,
    Entry,
    Evidence,
    Mailbox,
    Wrong,
    violations,
)

DIRECT = Mailbox("direct", "direct@contoso.com")
VERIFIED = Mailbox("verified", "verified@contoso.com", verified=True)
WHOLE = Evidence(
    accepted=[Accepted("1", "one", "key"), Accepted("1", "one", "key"), Accepted("2", "two")],
    dropped=[Dropped("three"), Dropped("four", certain=False)],
    ledger=[
        Entry("1", "sent", "direct", "one"),
        Entry("2", "unknown", "direct", "two", "answer_lost", "Look into Sent Items."),
        Entry("3", "sent", "verified", "three"),
    ],
    copies=[
        Copy("1", DIRECT.address, "one"),
        Copy("2", DIRECT.address, "two"),
        Copy("3", VERIFIED.address, "three"),
    ],
    mailboxes={"direct": DIRECT, "verified": VERIFIED},
)


def with_entry(**changes: str | None) -> Evidence:
    """The whole evidence, with another first row."""
    first, *others = WHOLE.ledger
    return replace(WHOLE, ledger=[replace(first, **changes), *others])  # type: ignore[arg-type]


def without_copy(mail_id: str) -> list[Copy]:
    return [copy for copy in WHOLE.copies if copy.mail_id != mail_id]


def test_evidence_without_fault_shows_no_violation() -> None:
    assert violations(WHOLE) == []


def test_an_unknown_mail_may_have_no_copy() -> None:
    assert violations(replace(WHOLE, copies=without_copy("2"))) == []


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_mail_that_was_given_up_without_a_copy_is_no_violation(status: str) -> None:
    seen = replace(with_entry(status=status), copies=without_copy("1"))

    assert violations(seen) == []


@pytest.mark.parametrize(
    ("seen", "wrong"),
    [
        (replace(WHOLE, accepted=[*WHOLE.accepted, Accepted("9", "nine")]), Wrong.LOST),
        (replace(WHOLE, dropped=[*WHOLE.dropped, Dropped("nine")]), Wrong.DROP_LOST),
        (
            replace(
                WHOLE,
                ledger=[*WHOLE.ledger, Entry("4", "failed", "direct", "two")],
            ),
            Wrong.TWICE,
        ),
        (replace(WHOLE, accepted=[*WHOLE.accepted, Accepted("2", "two", "key")]), Wrong.KEY_TWICE),
        (replace(with_entry(status="sleeping"), copies=without_copy("1")), Wrong.NO_STATUS),
        (replace(with_entry(status="queued"), copies=without_copy("1")), Wrong.STUCK),
        (replace(with_entry(status="held"), copies=without_copy("1")), Wrong.STUCK),
        (replace(WHOLE, copies=[*WHOLE.copies, WHOLE.copies[0]]), Wrong.DOUBLED),
        (replace(WHOLE, copies=[*WHOLE.copies, WHOLE.copies[1]]), Wrong.DOUBLED),
        (replace(WHOLE, copies=without_copy("1")), Wrong.NOT_SENT),
        (with_entry(status="failed"), Wrong.UNSENT_COPY),
        (with_entry(status="unknown", reason="answer_lost", help=None), Wrong.UNSAID),
        (with_entry(status="unknown", reason=None, help="Look."), Wrong.UNSAID),
        (
            replace(
                WHOLE,
                copies=[Copy("1", VERIFIED.address, "one"), *without_copy("1")],
            ),
            Wrong.ELSEWHERE,
        ),
        (replace(WHOLE, copies=[*WHOLE.copies, Copy("9", "x@y", "nine")]), Wrong.STRAY),
        (replace(WHOLE, copies=[*WHOLE.copies, Copy(None, "x@y", "nine")]), Wrong.STRAY),
    ],
)
def test_each_broken_promise_is_found_and_named(seen: Evidence, wrong: Wrong) -> None:
    assert [found.wrong for found in violations(seen)] == [wrong]


@pytest.mark.parametrize("status", ["unknown", "failed", "cancelled"])
def test_an_account_that_can_look_has_no_other_end_than_sent(status: str) -> None:
    last = replace(WHOLE.ledger[-1], status=status, reason="answer_lost", help="Look.")
    seen = replace(WHOLE, ledger=[*WHOLE.ledger[:-1], last], copies=without_copy("3"))

    assert [found.wrong for found in violations(seen)] == [Wrong.NOT_ONCE]
