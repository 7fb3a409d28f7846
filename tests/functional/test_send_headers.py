"""Headers over HTTP: what is refused by name on every way, and what the answer warns of."""

from __future__ import annotations

import base64
import json

import pytest

from shared.errors import RequestRejected
from shared.services.intake.mail_document import read_json
from tests.calendars import ICS
from tests.fakes import NOW, FakeServices, document_of
from tests.functional.calling import read, send, send_batch

LIST = {
    "List-Id": "News <news.contoso.com>",
    "List-Unsubscribe": "<https://contoso.com/u>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    "Precedence": "bulk",
    "X-Ref": "7",
}
RAW = "To: ada@example.com\r\n" + "".join(f"{n}: {v}\r\n" for n, v in LIST.items()) + "\r\nx"
DOUBTFUL = ["List-Id", "List-Unsubscribe-Post", "Precedence", "X-Ref"]


def warned(document: dict[str, object]) -> list[str]:
    warnings = document.get("warnings", [])
    assert isinstance(warnings, list)
    assert all("may not arrive" in one["message"] for one in warnings)
    return [one["field"] for one in warnings]


@pytest.mark.parametrize("dry_run", [False, True])
def test_the_answer_names_the_headers_that_may_not_arrive(
    services: FakeServices, dry_run: bool
) -> None:
    answer = send(document_of(headers=LIST, dry_run=dry_run))

    assert answer.status_code == (200 if dry_run else 202)
    assert warned(read(answer)) == [f"headers.{name}" for name in DOUBTFUL]


def test_the_answer_to_raw_mime_names_the_headers_that_may_not_arrive(
    services: FakeServices,
) -> None:
    answer = send(RAW.encode(), "message/rfc822")

    assert answer.status_code == 202
    assert warned(read(answer)) == DOUBTFUL


def test_a_repeated_request_is_warned_again(services: FakeServices) -> None:
    send(document_of(headers=LIST), idempotency_key="k")

    answer = send(document_of(headers=LIST), idempotency_key="k")

    assert answer.headers["Idempotent-Replayed"] == "true"
    assert len(warned(read(answer))) == len(DOUBTFUL)


def test_a_batch_warns_of_each_mail(services: FakeServices) -> None:
    answer = send_batch(document_of(), document_of(headers=LIST))

    first, second = read(answer)["results"]
    assert (warned(first), len(warned(second))) == ([], len(DOUBTFUL))


def test_headers_that_go_as_json_are_kept_and_nobody_is_warned(services: FakeServices) -> None:
    answer = send(document_of(headers={"X-Ref": "7", "X-Auto-Response-Suppress": "OOF"}))

    assert "warnings" not in read(answer)


def test_a_raw_message_with_thousands_of_headers_is_warned_of_some(services: FakeServices) -> None:
    raw = "To: ada@example.com\r\n" + "".join(f"X-{n}: 1\r\n" for n in range(1900)) + "\r\nx"

    assert len(warned(read(send(raw.encode(), "message/rfc822")))) == 30


@pytest.mark.parametrize("value", ["auto-generated", "no"])
@pytest.mark.parametrize("name", ["Auto-Submitted", "AUTO-SUBMITTED"])
def test_a_header_that_microsoft_removes_is_refused_with_advice(
    services: FakeServices, name: str, value: str
) -> None:
    in_json = send(document_of(headers={name: value}))
    raw = send(f"To: ada@example.com\r\n{name}: {value}\r\n\r\nx".encode(), "message/rfc822")
    in_batch = read(send_batch(document_of(headers={name: value})))["results"][0]["problem"]

    for problem, field in (
        (read(in_json), f"headers.{name}"),
        (read(raw), name),
        (in_batch, f"headers.{name}"),
    ):
        (error,) = problem["errors"]
        assert problem["status"] == 422
        assert error["field"] == field
        assert "X-Auto-Response-Suppress: OOF, AutoReply, RN, NRN" in error["message"]
    assert services.ledger.mails == []


def invitation(to: str = "ada@contoso.com", **changes: object) -> dict[str, object]:
    item = {
        "filename": "invite.ics",
        "content": base64.b64encode(ICS.encode()).decode(),
        "content_type": "text/calendar; method=REQUEST",
    }
    return document_of(to=to, attachments=[item], **changes)


@pytest.mark.parametrize("dry_run", [False, True])
def test_an_invitation_is_from_the_address_of_the_account(
    services: FakeServices, dry_run: bool
) -> None:
    assert send(invitation(dry_run=dry_run)).status_code == (200 if dry_run else 202)

    item = json.loads(json.dumps(invitation(dry_run=dry_run)))
    other = ICS.replace("mailto:billing@", "mailto:ceo@").encode()
    item["attachments"][0]["content"] = base64.b64encode(other).decode()
    answer = send(item)

    assert answer.status_code == 422
    assert [one["field"] for one in read(answer)["errors"]] == ["attachments[0]"]
    assert "ORGANIZER" in read(answer)["errors"][0]["message"]


def test_an_invitation_from_the_queue_is_checked_too(services: FakeServices) -> None:
    order = read_json(json.dumps(invitation(to="bob@contoso.com")).encode(), NOW)

    with pytest.raises(RequestRejected) as caught:
        services.submission.take_in(order, "01a01f0a-da00-72d3-a652-e44da7f29e26", lambda m, *_: m)

    assert "ATTENDEE" in caught.value.errors[0].message
