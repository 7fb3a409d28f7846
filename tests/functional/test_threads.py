"""`in_reply_to` and `references`: a mail that answers another one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from shared.mail.delivery_mode import DeliveryMode
from shared.mail.message import Message
from shared.mail.status import Status
from shared.services.mails.packing import unpack
from tests.fakes import FakeServices, document_of
from tests.functional.calling import read, send, send_batch
from tests.functional.test_send import problem

ONE, TWO = "<abc=?def@contoso.com>", "<CA+x_y.1@mail.gmail.com>"


def sent(services: FakeServices) -> Message:
    found = unpack(services.ledger.mails[-1].payload.inline or b"").message
    assert found is not None
    return found


def known(services: FakeServices, message_id: str | None = ONE) -> str:
    """A mail in the ledger, whose Message-ID is known."""
    mail_id = services.accepted()
    row = services.ledger.get(mail_id)
    assert row is not None
    services.ledger.update(replace(row.mail, message_id=message_id), row.etag)
    return mail_id


@pytest.mark.parametrize(
    ("fields", "in_reply_to", "references"),
    [
        ({"in_reply_to": ONE}, ONE, (ONE,)),
        ({"in_reply_to": ONE[1:-1]}, ONE, (ONE,)),
        ({"in_reply_to": f"  {ONE} "}, ONE, (ONE,)),
        ({"in_reply_to": TWO, "references": f"{ONE} {TWO}"}, TWO, (ONE, TWO)),
        ({"in_reply_to": TWO, "references": f"{ONE}\r\n {TWO}"}, TWO, (ONE, TWO)),
        ({"in_reply_to": TWO, "references": [ONE, TWO[1:-1]]}, TWO, (ONE, TWO)),
        ({"references": [f"{ONE} {TWO}"]}, None, (ONE, TWO)),
        ({"in_reply_to": None, "references": None}, None, ()),
        ({"in_reply_to": " ", "references": ""}, None, ()),
        ({"references": []}, None, ()),
    ],
)
def test_message_ids_become_the_mails_thread(
    services: FakeServices,
    fields: dict[str, object],
    in_reply_to: str | None,
    references: tuple[str, ...],
) -> None:
    assert send(document_of(**fields)).status_code == 202

    assert (sent(services).in_reply_to, sent(services).references) == (in_reply_to, references)


@pytest.mark.parametrize("spelled", [str.lower, str.upper])
def test_the_id_of_a_mail_stands_for_its_message_id(
    services: FakeServices, spelled: object
) -> None:
    mail_id = known(services)

    answer = send(document_of(in_reply_to=spelled(mail_id)))  # type: ignore[operator]

    assert answer.status_code == 202
    assert (sent(services).in_reply_to, sent(services).references) == (ONE, (ONE,))


def test_references_beside_a_mails_id_are_kept(services: FakeServices) -> None:
    mail_id = known(services)

    send(document_of(in_reply_to=mail_id, references=f"{TWO} {ONE}"))

    assert (sent(services).in_reply_to, sent(services).references) == (ONE, (TWO, ONE))


def test_a_batch_and_the_queue_look_the_mail_up_too(services: FakeServices) -> None:
    mail_id = known(services)

    assert send_batch(document_of(in_reply_to=mail_id)).status_code == 202
    assert sent(services).in_reply_to == ONE
    later = document_of(in_reply_to=mail_id, scheduled_at="2026-12-01T08:00:00Z", subject="Later")
    services.outbox.handle(services.message(later))
    (mail,) = [mail for mail in services.ledger.mails if mail.subject == "Later"]
    found = unpack(mail.payload.inline or b"").message
    assert found is not None
    assert found.in_reply_to == ONE


def test_a_mail_without_a_known_message_id_is_refused_with_what_to_do(
    services: FakeServices,
) -> None:
    mail_id = known(services, None)

    answer = send(document_of(in_reply_to=mail_id))

    assert problem(answer) == (422, "invalid_mail", ["in_reply_to"])
    assert "give the Message-ID itself, from the copy" in read(answer)["errors"][0]["message"]
    assert len(services.ledger.mails) == 1


def test_a_verified_mail_that_was_not_sent_yet_is_waited_for(services: FakeServices) -> None:
    row = services.ledger.get(known(services, None))
    assert row is not None
    services.ledger.update(replace(row.mail, delivery=DeliveryMode.VERIFIED), row.etag)

    answer = send(document_of(in_reply_to=row.mail.mail_id))

    assert "wait until" in read(answer)["errors"][0]["message"]


def test_a_mail_that_is_not_there_is_refused_with_what_to_do(services: FakeServices) -> None:
    answer = send(document_of(in_reply_to="01990000-0000-7000-8000-000000000000"))

    assert problem(answer) == (422, "invalid_mail", ["in_reply_to"])
    assert "give the Message-ID instead" in read(answer)["errors"][0]["message"]


def test_on_the_queue_such_a_mail_is_written_down_as_failed(services: FakeServices) -> None:
    services.outbox.handle(
        services.message(document_of(in_reply_to="01990000-0000-7000-8000-000000000000"))
    )

    (mail,) = services.ledger.mails
    assert mail.status is Status.FAILED
    assert "in_reply_to is the id of no mail" in (mail.help or "")


def test_a_repeated_request_finds_its_mail_whatever_became_of_the_one_it_answers(
    services: FakeServices,
) -> None:
    mail_id = known(services)
    document = document_of(in_reply_to=mail_id)
    first = send(document, idempotency_key="k")
    row = services.ledger.get(mail_id)
    assert row is not None
    services.ledger.update(replace(row.mail, message_id=None), row.etag)

    again = send(document, idempotency_key="k")

    assert read(again)["id"] == read(first)["id"]


def test_a_mail_that_answers_none_asks_the_ledger_nothing(services: FakeServices) -> None:
    send(document_of(in_reply_to=ONE))

    assert services.faults.calls["ledger.get"] == 0


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"in_reply_to": "abc"}, "in_reply_to"),
        ({"in_reply_to": "<abc>"}, "in_reply_to"),
        ({"in_reply_to": f"{ONE} {TWO}"}, "in_reply_to"),
        ({"in_reply_to": ONE + "\r\nBcc: eve@example.com"}, "in_reply_to"),
        ({"in_reply_to": "<a@b>\x00"}, "in_reply_to"),
        ({"in_reply_to": "<é@contoso.com>"}, "in_reply_to"),
        ({"in_reply_to": [ONE]}, "in_reply_to"),
        ({"references": f"{ONE}, {TWO}"}, "references"),
        ({"references": [ONE, "abc"]}, "references[1]"),
        ({"references": [ONE] * 101}, "references"),
        ({"references": f"{ONE} " * 101}, "references"),
        ({"references": "<" + "a" * 9000 + "@b>"}, "references"),
    ],
)
def test_what_is_no_message_id_is_refused(
    services: FakeServices, fields: dict[str, object], field: str
) -> None:
    assert problem(send(document_of(**fields))) == (422, "invalid_mail", [field])
