"""`POST /api/send/check` reads and refuses as `POST /api/send` does, and stores nothing."""

from __future__ import annotations

from collections.abc import Mapping

import azure.functions as func
import pytest

from shared.mail.account import AccountState
from tests.fakes import FakeServices, document_of
from tests.functional.calling import change_account, check_mail, read, send
from tests.functional.test_send import FORM, MAIL_PART, form, part, problem

CHECKED = {
    "dry_run": True,
    "account": "billing",
    "from": "Billing <billing@contoso.com>",
    "recipient_count": 1,
    "delivery": "direct",
    "save_to_sent_items": True,
}


def untouched(services: FakeServices) -> bool:
    """Whether nothing was stored, and no worker was told of anything."""
    return (services.ledger.mails, services.wake_ups.enqueued) == ([], [])


def test_a_mail_that_would_be_accepted_is_described_and_not_stored(services: FakeServices) -> None:
    answer = check_mail()

    assert (answer.status_code, read(answer)) == (200, CHECKED)
    assert untouched(services)


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_the_document_says_of_a_dry_run_changes_nothing(
    services: FakeServices, dry_run: bool
) -> None:
    answer = check_mail(document_of(dry_run=dry_run))

    assert (answer.status_code, read(answer)) == (200, CHECKED)
    assert untouched(services)


def test_a_raw_message_can_be_checked(services: FakeServices) -> None:
    raw = b"To: ada@contoso.com\r\nSubject: Raw\r\n\r\nHello\r\n"

    answer = check_mail(raw, content_type="message/rfc822")

    assert (answer.status_code, read(answer)["recipient_count"]) == (200, 1)
    assert untouched(services)


def test_a_form_with_a_file_can_be_checked(services: FakeServices) -> None:
    body = form(MAIL_PART, part('name=file; filename="a.txt"', b"Hello"))

    answer = check_mail(body, content_type=FORM)

    assert answer.status_code == 200
    assert untouched(services)


def test_a_key_is_not_used_up(services: FakeServices) -> None:
    assert check_mail(idempotency_key="k").status_code == 200

    first = send(document_of(subject="Another"), idempotency_key="k")

    assert first.status_code == 202
    assert "Idempotent-Replayed" not in first.headers


def test_nothing_is_waited_for_so_that_a_wait_is_refused(services: FakeServices) -> None:
    answer = check_mail(params={"wait": "20"})

    assert (answer.status_code, read(answer)["errors"][0]["field"]) == (400, "wait")


REFUSED: Mapping[str, tuple[bytes | dict[str, object] | None, Mapping[str, str | None]]] = {
    "no address": (document_of(to="x"), {}),
    "no field": (document_of(nonsense=1), {}),
    "no JSON": (b"{", {}),
    "empty": (b"", {}),
    "no content type": (None, {"content_type": "text/plain"}),
    "no account": (document_of(account="hr"), {}),
    "another sender": (document_of(**{"from": "ceo@contoso.com"}), {}),
    "no file": (
        document_of(attachments=[{"filename": "a.txt", "blob": "attachments/a.txt"}]),
        {},
    ),
    "too large": (
        document_of(save_to_sent_items=False, text="x" * 4_000_001),
        {},
    ),
    "a long key": (None, {"idempotency_key": "k" * 257}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_send_refuses_is_refused_with_the_same_words(
    services: FakeServices, name: str
) -> None:
    body, options = REFUSED[name]

    sent, checked = send(body, **options), check_mail(body, **options)  # type: ignore[arg-type]

    assert sent.status_code >= 400
    assert problem_of(checked) == problem_of(sent)
    assert untouched(services)


def problem_of(answer: func.HttpResponse) -> dict[str, object]:
    """A problem without the id of its request."""
    return {name: value for name, value in read(answer).items() if name != "request_id"}


def test_an_override_that_the_account_does_not_allow_is_refused(services: FakeServices) -> None:
    change_account("billing", {"defaults": {"overridable": []}})

    answer = check_mail(document_of(reply_to="a@contoso.com"))

    assert (answer.status_code, read(answer)["code"]) == (422, "override_not_allowed")


def test_a_key_that_another_document_has_is_refused_and_its_own_is_not(
    services: FakeServices,
) -> None:
    key = {"idempotency_key": "invoice-7"}
    assert send(document_of(**key)).status_code == 202

    assert problem(check_mail(document_of(**key, subject="Another"))) == (
        409,
        "idempotency_conflict",
        ["idempotency_key"],
    )
    assert check_mail(document_of(**key)).status_code == 200


@pytest.mark.parametrize("dry_run", [None, False, True])
@pytest.mark.parametrize("state", ["ready", "needs-sign-in", "gone"])
def test_a_check_of_an_accepted_mail_says_that_a_send_is_a_replay(
    services: FakeServices, state: str, dry_run: bool | None
) -> None:
    key = {"idempotency_key": "invoice-7"}
    mail_id = read(send(document_of(**key)))["id"]
    if state == "gone":
        services.accounts.rows.clear()
        services.accounts.remember()
    else:
        services.accounts.change("billing", state=AccountState(state))

    sent = send(document_of(**key))
    checked = check_mail(document_of(**key, dry_run=dry_run))

    assert (sent.status_code, read(sent)["id"]) == (202, mail_id)
    assert (checked.status_code, read(checked)["replay_of"]) == (200, mail_id)
    assert [mail.mail_id for mail in services.ledger.mails] == [mail_id]
