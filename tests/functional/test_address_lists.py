"""Several addresses in one text, in every place over HTTP that takes addresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import azure.functions as func
import pytest

from shared.mail.address import Address
from shared.mail.message import MAX_RECIPIENTS, Message
from shared.mail.outcome import GraphAnswer
from shared.services.mails.packing import unpack
from tests.fakes import FakeServices, document_of
from tests.functional.calling import (
    change,
    change_account,
    read,
    send,
    send_batch,
    show_account,
)
from tests.functional.test_send import problem

ADA = Address("ada@contoso.com", "Ada")
ADMIN = Address("admin@contoso.com", "Admin")
TEXT = "Ada <ada@contoso.com>, Admin <admin@contoso.com>"


def message_of(services: FakeServices) -> Message:
    found = unpack(services.ledger.mails[-1].payload.inline or b"").message
    assert found is not None
    return found


def failed(services: FakeServices) -> str:
    mail_id = services.accepted()
    services.graph.answers = [GraphAnswer(403, "ErrorSendAsDenied")]
    services.handle(mail_id)
    return mail_id


@pytest.mark.parametrize("field", ["to", "cc", "bcc", "reply_to"])
@pytest.mark.parametrize(
    "value",
    [
        TEXT,
        TEXT.replace(",", ";"),
        TEXT + "; ",
        [TEXT],
        ["Ada <ada@contoso.com>", "Admin <admin@contoso.com>;"],
        [{"email": "ada@contoso.com", "name": "Ada"}, "Admin <admin@contoso.com>"],
    ],
    ids=[
        "commas",
        "semicolons",
        "a last semicolon",
        "in a list",
        "each in a list",
        "with an object",
    ],
)
def test_every_address_of_a_text_is_recorded_and_sent(
    services: FakeServices, field: str, value: object
) -> None:
    assert send(document_of(**{field: value})).status_code == 202

    assert getattr(message_of(services), field) == (ADA, ADMIN)
    if field != "reply_to":
        assert {str(ADA), str(ADMIN)} <= set(services.ledger.mails[0].recipients)


def test_a_batch_reads_lists_of_addresses_too(services: FakeServices) -> None:
    assert send_batch(document_of(to=TEXT)).status_code == 202

    assert message_of(services).to == (ADA, ADMIN)


@pytest.mark.parametrize("field", ["to", "cc", "bcc"])
def test_a_retry_reads_lists_of_addresses_too(services: FakeServices, field: str) -> None:
    mail_id = failed(services)

    assert change("retry", mail_id, {field: TEXT}).status_code == 200

    assert getattr(message_of(services), field) == (ADA, ADMIN)


def test_an_accounts_default_reply_to_and_its_from_addresses_are_lists_too(
    services: FakeServices,
) -> None:
    defaults = {"reply_to": TEXT}

    answer = change_account("billing", {"defaults": defaults, "allowed_from": TEXT})

    assert answer.status_code == 200
    shown = read(show_account("billing"))
    assert shown["defaults"]["reply_to"] == [str(ADA), str(ADMIN)]
    assert shown["allowed_from"] == ["ada@contoso.com", "admin@contoso.com"]


REFUSED: list[tuple[Callable[[FakeServices], func.HttpResponse], str]] = [
    (lambda _: send(document_of(to="Doe, John <j@contoso.com>")), "to"),
    (lambda _: send(document_of(cc=["a@contoso.com", "b@contoso.com; x"])), "cc[1]"),
    (lambda _: send(document_of(bcc="<a@contoso.com> b@contoso.com")), "bcc"),
    (lambda _: send(document_of(reply_to="a@contoso.com b@contoso.com")), "reply_to"),
    (lambda services: change("retry", failed(services), {"to": "Doe, J <j@contoso.com>"}), "to"),
    (lambda services: change("retry", failed(services), {"cc": ["a@contoso.com, b"]}), "cc[0]"),
    (
        lambda _: change_account("billing", {"defaults": {"reply_to": "Doe, J <j@contoso.com>"}}),
        "defaults.reply_to",
    ),
    (
        lambda _: change_account("billing", {"allowed_from": ["a@contoso.com, b"]}),
        "allowed_from[0]",
    ),
]


@pytest.mark.parametrize(("call", "field"), REFUSED, ids=[field for _, field in REFUSED])
def test_a_piece_that_is_no_address_refuses_the_whole_text(
    services: FakeServices, call: Callable[[FakeServices], func.HttpResponse], field: str
) -> None:
    answer = call(services)

    assert answer.status_code in (400, 422)
    (error,) = read(answer)["errors"]
    assert error["field"] == field
    assert not any("Doe" in str(mail.recipients) for mail in services.ledger.mails)


MANY = ", ".join(f"a{n}@contoso.com" for n in range(MAX_RECIPIENTS + 1))
HALF = [", ".join(f"a{n}-{m}@contoso.com" for n in range(100)) for m in range(3)]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"to": MANY}, "to"),
        ({"to": HALF, "cc": HALF}, "to"),
        ({"reply_to": [*HALF, *HALF]}, "reply_to"),
        ({"bcc": ["a@contoso.com," * 200] * 400}, "to"),
    ],
    ids=["one text", "two fields", "reply_to", "more characters than are read"],
)
def test_recipients_are_counted_after_texts_are_split(
    services: FakeServices, fields: dict[str, object], field: str
) -> None:
    answer = send(document_of(**fields))

    assert problem(answer) == (422, "invalid_mail", [field])


def test_a_retry_with_too_many_recipients_is_refused(services: FakeServices) -> None:
    mail_id = failed(services)

    assert problem(change("retry", mail_id, {"to": MANY}))[2] == ["to"]


def test_a_blank_cc_of_a_retry_leaves_the_recipients_as_they_are(services: FakeServices) -> None:
    mail_id = failed(services)
    before = message_of(services).recipients

    assert change("retry", mail_id, {"cc": " ", "bcc": ""}).status_code == 200

    assert message_of(services).recipients == before


ONE_ONLY: list[tuple[Callable[[], func.HttpResponse], str, str]] = [
    (lambda: send(document_of(**{"from": "a@contoso.com, b@contoso.com"})), "from", "reply_to"),
    (lambda: send(document_of(**{"from": TEXT})), "from", "reply_to"),
    (
        lambda: send(document_of(to={"email": "a@contoso.com; b@contoso.com"})),
        "to",
        "an object for each",
    ),
]


@pytest.mark.parametrize(("call", "field", "words"), ONE_ONLY, ids=["from", "name", "object"])
def test_several_addresses_where_one_is_taken_are_told_as_that(
    services: FakeServices, call: Callable[[], func.HttpResponse], field: str, words: str
) -> None:
    answer = call()

    (error,) = read(answer)["errors"]
    assert error["field"] == field
    assert "addresses" in error["message"]
    assert words in error["message"]


NONE_AT_ALL: list[Any] = [None, "", "  ", [], [""], ["", " "], "\t\r\n"]


@pytest.mark.parametrize("field", ["cc", "bcc", "reply_to"])
@pytest.mark.parametrize("value", NONE_AT_ALL)
def test_blank_addresses_are_none(services: FakeServices, field: str, value: object) -> None:
    assert send(document_of(**{field: value})).status_code == 202

    assert getattr(message_of(services), field) == ()
