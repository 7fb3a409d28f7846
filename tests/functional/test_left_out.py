"""What programs write without thinking: null, empty texts, one value where a list is taken."""

from __future__ import annotations

import json

import pytest

import function_app
from shared.mail.address import Address
from shared.mail.message import Attachment, Message
from shared.services.intake.mail_document import MailDocument
from shared.services.mails.packing import unpack
from tests.fakes import FakeServices, document_of
from tests.functional.calling import posted, read, send, send_batch
from tests.functional.test_send import FORM, form, part, problem

NEEDED = {"to": "a@example.com", "subject": "Hi", "text": "Hello"}
FILE = {"filename": "a.txt", "content": "aGk="}
OPTIONAL = [
    name
    for name in MailDocument.__struct_encode_fields__
    if name not in NEEDED or name == "subject"
]


def sent(services: FakeServices) -> Message:
    found = unpack(services.ledger.mails[-1].payload.inline or b"").message
    assert found is not None
    return found


@pytest.mark.parametrize("name", OPTIONAL)
def test_null_in_a_field_is_as_if_the_field_were_left_out(
    services: FakeServices, name: str
) -> None:
    without: dict[str, object] = {key: value for key, value in NEEDED.items() if key != name}
    send(without, idempotency_key="k")

    again = send({**without, name: None}, idempotency_key="k")

    assert again.headers["Idempotent-Replayed"] == "true"


def test_null_in_every_field_at_once_is_a_mail_without_them(services: FakeServices) -> None:
    raw = {**dict.fromkeys(MailDocument.__struct_encode_fields__), **NEEDED}

    assert send(raw).status_code == 202
    assert send_batch(raw).status_code == 202
    assert send(form(part("name=mail", json.dumps(raw).encode())), FORM).status_code == 202

    bare = Message(sender=None, to=sent(services).to, subject="Hi", text="Hello")
    assert sent(services) == bare


@pytest.mark.parametrize("name", ["content_type", "content_id", "blob"])
def test_null_in_an_attachment_is_as_if_it_were_left_out(services: FakeServices, name: str) -> None:
    send(document_of(attachments=[FILE]), idempotency_key="k")

    again = send(document_of(attachments=[{**FILE, name: None}]), idempotency_key="k")

    assert again.headers["Idempotent-Replayed"] == "true"
    assert sent(services).attachments == (Attachment("a.txt", b"hi"),)


def test_null_content_beside_a_blob_is_as_if_it_were_left_out(services: FakeServices) -> None:
    services.files.blobs["attachments"]["a"] = b"x"
    file = {"filename": "a", "content": None, "blob": "attachments/a"}

    assert send(document_of(attachments=[file])).status_code == 202


def test_headers_and_metadata_without_a_value_are_left_out(services: FakeServices) -> None:
    answer = send(
        document_of(headers={"X-Ref": None, "X-A": "1"}, metadata={"order": None, "b": "2"})
    )

    assert answer.status_code == 202
    assert sent(services).headers == (("X-A", "1"),)
    assert services.ledger.mails[0].metadata == (("b", "2"),)


@pytest.mark.parametrize("mode", [None, "permissive"])
def test_null_is_no_mode_of_a_batch(services: FakeServices, mode: str | None) -> None:
    body = json.dumps({"mails": [document_of()], "mode": mode}).encode()

    assert posted(function_app.send_batch, body, {}).status_code == 202


@pytest.mark.parametrize(
    ("name", "one"),
    [
        ("attachments", FILE),
        ("tags", "invoice"),
        ("references", "<a@example.com>"),
        ("to", "b@example.com"),
        ("cc", {"email": "b@example.com"}),
    ],
)
def test_one_value_stands_for_a_list_of_one(services: FakeServices, name: str, one: object) -> None:
    assert send(document_of(**{name: one})).status_code == 202
    alone, tags = sent(services), services.ledger.mails[-1].tags
    assert send(document_of(**{name: [one]})).status_code == 202

    assert sent(services) == alone
    assert services.ledger.mails[-1].tags == tags
    assert getattr(alone, name, None) or tags == (one,)


@pytest.mark.parametrize("name", ["attachments", "tags", "references"])
def test_one_value_and_a_list_of_it_are_the_same_document(
    services: FakeServices, name: str
) -> None:
    one = {"attachments": FILE, "tags": "a", "references": "<a@example.com>"}[name]
    send(document_of(**{name: [one]}), idempotency_key="k")

    again = send(document_of(**{name: one}), idempotency_key="k")

    assert again.headers["Idempotent-Replayed"] == "true"


def test_one_mail_stands_for_a_batch_of_one(services: FakeServices) -> None:
    answer = posted(function_app.send_batch, {"mails": document_of()}, {})

    assert answer.status_code == 202
    assert [item["index"] for item in read(answer)["results"]] == [0]


@pytest.mark.parametrize("blank", ["", " ", "\r\n\t ", "\u00a0"])
def test_a_blank_html_beside_a_text_is_no_html(services: FakeServices, blank: str) -> None:
    assert send(document_of(text="Your code is 4711", html=blank)).status_code == 202

    assert (sent(services).text, sent(services).html) == ("Your code is 4711", None)


def test_a_blank_text_beside_an_html_is_no_text(services: FakeServices) -> None:
    assert send(document_of(text=" \n", html="<p>Hi</p>")).status_code == 202

    assert (sent(services).text, sent(services).html) == (None, "<p>Hi</p>")


def test_an_html_entity_is_a_body_and_stays(services: FakeServices) -> None:
    assert send(document_of(text=None, html="&nbsp;")).status_code == 202

    assert sent(services).html == "&nbsp;"


@pytest.mark.parametrize("fields", [{"text": ""}, {"text": "", "html": " "}])
def test_a_mail_whose_only_text_is_blank_is_a_mail_with_an_empty_text(
    services: FakeServices, fields: dict[str, object]
) -> None:
    assert send(document_of(**fields)).status_code == 202

    assert (sent(services).text, sent(services).html) == ("", None)


@pytest.mark.parametrize("fields", [{"html": " ", "text": None}, {"text": None}])
def test_a_mail_without_a_text_or_an_html_is_refused(
    services: FakeServices, fields: dict[str, object]
) -> None:
    assert problem(send(document_of(**fields))) == (422, "invalid_mail", ["text"])


def test_a_blank_content_type_and_content_id_are_none(services: FakeServices) -> None:
    file = {**FILE, "content_type": "", "content_id": " "}

    assert send(document_of(attachments=[file])).status_code == 202

    assert sent(services).attachments == (Attachment("a.txt", b"hi"),)


def test_a_blank_content_id_of_a_part_is_none(services: FakeServices) -> None:
    mail = part("name=mail", json.dumps(document_of()).encode())
    file = part('name=f; filename="a.txt"\r\nContent-ID: <>\r\nContent-Type: ', b"hi")

    assert send(form(mail, file), FORM).status_code == 202

    assert sent(services).attachments == (Attachment("a.txt", b"hi"),)


@pytest.mark.parametrize("field", ["cc", "bcc", "reply_to", "tags", "references", "attachments"])
def test_null_in_a_list_is_nothing(services: FakeServices, field: str) -> None:
    """PowerShell's `@($null)` is a list of one null."""
    key = {"idempotency_key": f"null-in-{field}"}
    assert send(document_of(**key, **{field: [None]})).status_code == 202

    assert send(document_of(**key)).headers["Idempotent-Replayed"] == "true"


def test_null_beside_an_address_leaves_the_address(services: FakeServices) -> None:
    assert send(document_of(to=[None, "ada@example.com", None])).status_code == 202

    assert sent(services).to == (Address("ada@example.com"),)
