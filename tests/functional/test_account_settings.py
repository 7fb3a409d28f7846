"""What an administrator sets for an account, by the API, and what it does to mails."""

from __future__ import annotations

import json
import threading
from typing import Any

import azure.functions as func
import pytest

from shared.errors import AnswerLost, LostRace
from shared.mail.address import Address
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.accounts.changes import ATTEMPTS
from tests.calendars import ICS
from tests.fakes import FakeServices, account_of, document_of, queue_message
from tests.functional.calling import change_account, read, send, show_account
from tests.functional.conftest import use

ALL: dict[str, Any] = {
    "display_name": "Contoso Billing",
    "reply_to": ["Desk <desk@contoso.com>"],
    "signature_text": "Contoso",
    "signature_html": "<b>Contoso</b>",
    "save_to_sent_items": False,
    "daily_cap": 100,
    "overridable": ["signature"],
}
NONE: dict[str, Any] = {
    "display_name": None,
    "reply_to": [],
    "signature_text": None,
    "signature_html": None,
    "save_to_sent_items": True,
    "daily_cap": None,
    "overridable": ["display_name", "reply_to", "save_to_sent_items"],
}


def fields_in(answer: func.HttpResponse) -> list[str]:
    return [error["field"] for error in read(answer)["errors"]]


def settings_of(alias: str = "billing") -> Any:
    return read(show_account(alias))["defaults"]


def hear_all(services: FakeServices) -> None:
    for mail in services.ledger.mails:
        services.handle(mail.mail_id)


def sent_document(services: FakeServices) -> dict[str, Any]:
    """The mail that Graph was given."""
    document: dict[str, Any] = json.loads(services.graph.posts[-1].body)
    return document


def test_an_account_begins_without_defaults(services: FakeServices) -> None:
    assert settings_of() == NONE


def test_everything_can_be_set_and_taken_back(services: FakeServices) -> None:
    answer = change_account("billing", {"defaults": ALL})

    assert answer.status_code == 200
    assert read(answer)["defaults"] == ALL == settings_of()
    for name in ALL:
        change_account("billing", {"defaults": {name: None}})
    assert settings_of() == NONE


def test_what_is_not_named_stays(services: FakeServices) -> None:
    change_account("billing", {"defaults": ALL, "allowed_from": ["Sales@contoso.com"]})

    found = read(change_account("billing", {"defaults": {"daily_cap": 7}}))

    assert found["defaults"] == {**ALL, "daily_cap": 7}
    assert found["allowed_from"] == ["sales@contoso.com"]
    assert read(change_account("billing", {"defaults": None}))["defaults"] == NONE
    assert "allowed_from" not in read(change_account("billing", {"allowed_from": None}))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"defaults": {"nonsense": 1}}, "defaults.nonsense"),
        ({"defaults": {"daily_cap": "many"}}, "defaults.daily_cap"),
        ({"defaults": {"daily_cap": 0}}, "defaults.daily_cap"),
        ({"defaults": {"daily_cap": True}}, "defaults.daily_cap"),
        ({"defaults": {"display_name": "a\r\nBcc: b@c.de"}}, "defaults.display_name"),
        ({"defaults": {"reply_to": "a\r\nBcc: b@c.de"}}, "defaults.reply_to"),
        ({"defaults": {"reply_to": ["a@b.de", "x"]}}, "defaults.reply_to[1]"),
        ({"defaults": {"reply_to": ["a@b.de"] * 11}}, "defaults.reply_to"),
        ({"defaults": {"signature_text": "x" * 8193}}, "defaults.signature_text"),
        ({"defaults": {"signature_html": "</div>"}}, "defaults.signature_html"),
        ({"defaults": {"overridable": ["subject"]}}, "defaults.overridable[0]"),
        ({"allowed_from": ["x"]}, "allowed_from[0]"),
        ({"allowed_from": ["a@b.de"] * 51}, "allowed_from"),
        ({"default": False}, "default"),
    ],
)
def test_what_cannot_be_set_is_refused_by_name_and_changes_nothing(
    services: FakeServices, body: dict[str, object], field: str
) -> None:
    before = services.accounts.rows["billing"]

    answer = change_account("billing", body)

    assert answer.status_code == 400
    assert fields_in(answer) == [field]
    assert services.accounts.rows["billing"] == before


def test_an_account_that_is_not_there_cannot_be_changed(services: FakeServices) -> None:
    assert change_account("hr", {"defaults": ALL}).status_code == 404


def test_of_two_editors_the_second_is_told_about_the_first(services: FakeServices) -> None:
    etag = show_account("billing").headers["ETag"]
    change_account("billing", {"defaults": {"daily_cap": 7}}, if_match=etag)

    second = change_account("billing", {"defaults": {"daily_cap": 8}}, if_match=etag)

    assert (second.status_code, read(second)["code"]) == (412, "account_edited")
    assert settings_of()["daily_cap"] == 7


def test_what_happens_to_the_account_meanwhile_is_no_edit(services: FakeServices) -> None:
    etag = show_account("billing").headers["ETag"]
    services.accounts.change("billing", reason="throttled")

    answer = change_account("billing", {"defaults": {"daily_cap": 7}}, if_match=etag)

    assert answer.status_code == 200
    assert services.accounts.rows["billing"].reason == "throttled"


@pytest.mark.parametrize("etag", ["7", "W/x", '"7"'])
def test_an_etag_that_was_never_given_out_is_refused(services: FakeServices, etag: str) -> None:
    answer = change_account("billing", {"defaults": {}}, if_match=etag)

    assert fields_in(answer) == ["If-Match"]


def test_two_editors_of_different_fields_both_get_through(services: FakeServices) -> None:
    services.faults.before(
        "accounts.register", lambda: change_account("billing", {"defaults": {"daily_cap": 7}})
    )

    change_account("billing", {"defaults": {"display_name": "Contoso"}})

    assert (settings_of()["daily_cap"], settings_of()["display_name"]) == (7, "Contoso")


@pytest.mark.parametrize("trouble", [LostRace("twice"), AnswerLost("storage", "lost")])
def test_a_write_that_is_not_confirmed_is_found_again(
    services: FakeServices, trouble: Exception
) -> None:
    etag = show_account("billing").headers["ETag"]
    services.faults.after("accounts.register", trouble)

    answer = change_account("billing", {"defaults": {"daily_cap": 7}}, if_match=etag)

    assert answer.status_code == 200
    assert settings_of()["daily_cap"] == 7


def test_a_race_without_end_is_given_up(services: FakeServices) -> None:
    for _ in range(ATTEMPTS):
        services.faults.before("accounts.register", LostRace("again"), nth=_ + 1)

    answer = change_account("billing", {"defaults": {"daily_cap": 7}})

    assert answer.status_code == 503
    assert settings_of() == NONE


def test_there_is_exactly_one_default(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"box-{number}" for number in range(6)]
    services = FakeServices(*(account_of(name, is_default=name == "box-0") for name in names))
    use(services, monkeypatch)
    threads = [
        threading.Thread(target=change_account, args=(name, {"default": True})) for name in names
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(row.is_default for row in services.accounts.rows.values()) == 1
    change_account("box-3", {"default": True})
    assert [n for n, row in services.accounts.rows.items() if row.is_default] == ["box-3"]


# What mails have of it.


def test_a_mail_goes_out_with_its_accounts_defaults(services: FakeServices) -> None:
    change_account("billing", {"defaults": ALL})
    send(document_of(html="<p>Hi</p>", text=None))

    hear_all(services)

    document = sent_document(services)
    message = document["message"]
    assert message["from"]["emailAddress"]["name"] == "Contoso Billing"
    assert message["replyTo"][0]["emailAddress"]["address"] == "desk@contoso.com"
    assert message["body"]["content"] == "<p>Hi</p><div><b>Contoso</b></div>"
    assert document["saveToSentItems"] is False


def test_a_signature_that_is_corrected_is_right_in_mails_that_wait(services: FakeServices) -> None:
    change_account("billing", {"defaults": {"signature_text": "Old"}})
    send(document_of(scheduled_at="2026-08-20T13:00:00Z"))
    change_account("billing", {"defaults": {"signature_text": "New"}})

    services.clock.forward(hours=1)
    hear_all(services)

    assert sent_document(services)["message"]["body"]["content"] == "Hello\n\nNew\n"


def test_a_dry_run_shows_the_mail_with_them(services: FakeServices) -> None:
    change_account("billing", {"defaults": {**ALL, "signature_html": None}})

    found = read(send(document_of(dry_run=True)))

    assert found["from"] == "Contoso Billing <billing@contoso.com>"
    assert found["reply_to"] == ["Desk <desk@contoso.com>"]
    assert found["save_to_sent_items"] is False
    assert found["signature"] == {"text": "Contoso"}


def test_the_same_document_is_the_first_mail_whatever_the_defaults_are_by_then(
    services: FakeServices,
) -> None:
    document = document_of(reply_to="ada@contoso.com", save_to_sent_items=True)
    first = read(send(document, idempotency_key="k"))
    change_account("billing", {"defaults": ALL})

    again = send(document, idempotency_key="k")

    assert again.headers["Idempotent-Replayed"] == "true"
    assert read(again)["id"] == first["id"]


def test_an_override_that_is_not_allowed_is_refused_before_anything_is_stored(
    services: FakeServices,
) -> None:
    change_account("billing", {"defaults": {"overridable": []}})

    answer = send(
        document_of(
            **{"from": "Ada <billing@contoso.com>", "reply_to": "a@b.de"},
            save_to_sent_items=False,
            idempotency_key="k",
        )
    )

    assert (answer.status_code, read(answer)["code"]) == (422, "override_not_allowed")
    assert fields_in(answer) == ["from", "reply_to", "save_to_sent_items"]
    assert (services.ledger.mails, services.faults.calls["keys.claim"]) == ([], 0)


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("From: CEO <billing@contoso.com>", "from"),
        ("Reply-To: evil@example.com", "reply_to"),
        ("From: billing@contoso.com\r\nSender: CEO <billing@contoso.com>", "Sender"),
        ("Reply-To: evil@example.com@", "Reply-To"),
        ("Mail-Reply-To: evil@example.com", "Mail-Reply-To"),
    ],
)
def test_raw_mime_overrides_no_more_than_json_may(
    services: FakeServices, header: str, field: str
) -> None:
    change_account("billing", {"defaults": {"overridable": []}})

    answer = send(f"To: ada@example.com\r\n{header}\r\n\r\nx".encode(), "message/rfc822")

    assert (answer.status_code, fields_in(answer)) == (422, [field])
    assert services.ledger.mails == []


@pytest.mark.parametrize(("locked", "status"), [(True, 422), (False, 202)])
def test_raw_mime_with_a_calendar_is_refused_where_answers_go_to_one_address(
    services: FakeServices, locked: bool, status: int
) -> None:
    """Attendees answer to the organizer, whom nobody checks in raw MIME."""
    change_account("billing", {"defaults": {"overridable": [] if locked else None}})
    calendar = ICS.replace("billing@contoso.com", "eve@evil.example")
    part = f"Content-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\n{calendar}"
    raw = (
        "To: ada@example.com\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
        f"--b\r\n\r\nOn Monday.\r\n--b\r\n{part}\r\n--b--\r\n"
    )

    answer = send(raw.encode(), "message/rfc822")

    assert answer.status_code == status
    assert not locked or fields_in(answer) == ["body"]


def test_on_the_queue_it_becomes_a_failed_mail_with_that_reason(services: FakeServices) -> None:
    from shared.services.intake.outbox_message import read as read_message

    change_account("billing", {"defaults": {"overridable": []}})
    body = json.dumps(document_of(reply_to="a@b.de")).encode()

    services.outbox.handle(read_message(queue_message(body)))

    (mail,) = services.ledger.mails
    assert (mail.status, mail.reason) == (Status.FAILED, "override_not_allowed")
    assert "reply_to" in (mail.help or "")


def test_another_instances_refusal_is_no_older_than_the_change(services: FakeServices) -> None:
    change_account("billing", {"defaults": {"overridable": []}})
    strict = services.accounts.rows["billing"]
    change_account("billing", {"defaults": {"overridable": None}})
    services.accounts.remember(strict)

    assert send(document_of(reply_to="a@b.de")).status_code == 202


def test_a_mail_that_another_account_sends_has_that_accounts_signature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from shared.mail.defaults import Defaults

    services = FakeServices(
        account_of("billing", is_default=True, defaults=Defaults(signature_text="Billing")),
        account_of(
            "sales",
            defaults=Defaults(signature_text="Sales", reply_to=(Address("sales@contoso.com"),)),
        ),
    )
    use(services, monkeypatch)
    services.graph.answers = [GraphAnswer(403, "ErrorSendAsDenied")]
    mail_id = read(send())["id"]
    services.handle(mail_id)

    services.changes.retry(mail_id, account="sales")
    hear_all(services)

    message = sent_document(services)["message"]
    assert message["body"]["content"] == "Hello\n\nSales\n"
    assert message["replyTo"][0]["emailAddress"]["address"] == "sales@contoso.com"
