"""Queue messages that are refused: what is shown of them, and their raw text."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable

import azure.functions as func
import pytest

import function_app
from shared.mail import ids, problems
from shared.mail.defaults import Defaults
from shared.mail.status import Status
from shared.services.mails.attention import case_of
from tests.fakes import FakeServices, account_of, document_of, queue_message
from tests.functional.calling import change, list_mails, read, send, show_mail, show_raw_text
from tests.functional.conftest import use
from tests.functional.test_send import problem
from tests.message_forms import FORMS, Form

REFUSED: dict[str, object] = {
    "account": "billing",
    "from": "Billing <billing@contoso.com>",
    "to": ["Ada <ada@contoso.com>", "nobody"],
    "bcc": "hidden@example.org",
    "subject": "Your invoice 4711",
    "text": "It is due on Friday.",
    "tags": ["invoice"],
    "metadata": {"order": "7"},
}


@pytest.fixture
def masked(monkeypatch: pytest.MonkeyPatch) -> FakeServices:
    """A room whose ledger shows neither names nor subjects."""
    found = FakeServices(mask=True)
    use(found, monkeypatch)
    return found


def put(services: FakeServices, body: bytes | dict[str, object]) -> str:
    """Put a message on the queue, and have it dealt with."""
    function_app.deliver(
        queue_message(body if isinstance(body, bytes) else json.dumps(body).encode())
    )
    return services.ledger.mails[-1].mail_id


def test_a_refused_message_shows_all_that_could_be_read(services: FakeServices) -> None:
    document = read(show_mail(put(services, REFUSED)))

    assert (document["status"], document["reason"]) == ("failed", "invalid_mail")
    assert document["subject"] == "Your invoice 4711"
    assert document["recipients"] == ["Ada <ada@contoso.com>", "nobody", "hidden@example.org"]
    assert document["recipient_count"] == 3
    assert document["from"] == "Billing <billing@contoso.com>"
    assert document["account"] == "billing"
    assert (document["tags"], document["metadata"]) == (["invoice"], {"order": "7"})
    assert "to[1] has no '@'" in document["help"]
    assert "put the message on the queue again" in document["help"]


@pytest.mark.parametrize("deal_with", ["deliver", "bury"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_it_does_so_in_every_form_and_keeps_its_raw_text(
    services: FakeServices, form: Form, deal_with: str
) -> None:
    body = form.wrap(json.dumps(REFUSED))
    message = queue_message(body)
    if deal_with == "deliver":
        function_app.deliver(message)
    else:
        function_app.bury(message, Unset())

    (mail,) = services.ledger.mails
    assert (mail.status, mail.subject) == (Status.FAILED, "Your invoice 4711")
    answer = show_raw_text(mail.mail_id)
    assert answer.status_code == 200
    if form.is_text:
        assert answer.get_body() == body


class Unset(func.Out[str]):
    """An output binding that must stay unset."""

    def set(self, val: str) -> None:
        raise AssertionError("the message was put back")

    def get(self) -> str | None:  # type: ignore[override]
        return None


def test_a_masked_ledger_shows_of_it_what_it_shows_of_others(masked: FakeServices) -> None:
    document = read(show_mail(put(masked, REFUSED | {"from": "Eve <eve@example.org>"})))

    assert document["subject"] == ""
    assert document["recipients"] == ["a***@contoso.com", "h***@example.org"]
    assert document["recipient_count"] == 3
    assert document["from"] == "e***@example.org"
    assert document["account"] == "billing"


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"grace@contoso.com": 1}, "a field is not a field of a mail"),
        ({"headers": {"grace@contoso.com": "x"}}, "headers "),
        ({"metadata": {"grace@contoso.com": 1}}, "metadata "),
        ({"to": [{"grace@contoso.com": 1}]}, "to "),
    ],
)
def test_the_help_of_a_masked_ledger_has_no_name_that_the_sender_chose(
    masked: FakeServices, fields: dict[str, object], shown: str
) -> None:
    help_text = str(read(show_mail(put(masked, document_of(**fields))))["help"])

    assert "grace" not in help_text
    assert help_text.startswith(shown) or shown in help_text


def test_a_masked_ledger_shows_no_account_that_could_be_a_persons_address(
    masked: FakeServices,
) -> None:
    mail_id = put(masked, document_of(account="ada@contoso.com"))

    assert "account" not in read(show_mail(mail_id))


def test_nothing_of_a_refused_message_is_logged(
    services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        show_raw_text(put(services, REFUSED))
        put(services, b"Your invoice 4711")

    assert "mail_failed" in caplog.text
    for word in ("4711", "contoso", "example.org", "Friday", "nobody"):
        assert word not in caplog.text


# Each way to be refused.

TOO_LARGE = "x" * 60_000


def no_file(services: FakeServices) -> dict[str, object]:
    return document_of(attachments=[{"filename": "a.pdf", "blob": "attachments/a.pdf"}])


def key_of_another(services: FakeServices) -> dict[str, object]:
    send(document_of(subject="Another", idempotency_key="k"))
    return document_of(idempotency_key="k")


def another_address(services: FakeServices) -> dict[str, object]:
    return document_of(**{"from": "ceo@contoso.com"})


WAYS: dict[str, Callable[[FakeServices], bytes | dict[str, object]]] = {
    "invalid_mail": lambda services: document_of(to="nobody"),
    "invalid_json": lambda services: b'{"to": ',
    "unknown_account": lambda services: document_of(account="nobody"),
    "sender_not_allowed": another_address,
    "override_not_allowed": lambda services: document_of(reply_to="desk@contoso.com"),
    "attachment_missing": no_file,
    "idempotency_conflict": key_of_another,
    "mail_too_large": lambda services: document_of(text=TOO_LARGE),
    "no_account": lambda services: document_of(),
    "unreadable_message": lambda services: b"hello",
}


@pytest.mark.parametrize("code", WAYS)
def test_whatever_refuses_it_says_what_to_do_at_a_queue(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = FakeServices(
        account_of(defaults=Defaults(overridable=frozenset())), max_mail_bytes=50_000
    )
    if code == "no_account":
        services.accounts.rows.clear()
        services.accounts.all(fresh=True)
    use(services, monkeypatch)

    put(services, WAYS[code](services))

    mail = next(mail for mail in services.ledger.mails if mail.status is Status.FAILED)
    assert mail.reason == code
    told = mail.help or ""
    assert "put the message on the queue again" in told
    for word in ("request", "'errors'", "The body", "Content-Type", "<", ">"):
        assert word not in told
    assert mail.is_refused_message


# Its raw text.


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"hello", id="text"),
        pytest.param('{"subject": "Grüße ✓", "to": "x"}'.encode(), id="a mail"),
        pytest.param(base64.b64encode(b"\x1f\x8b" * 99), id="base64"),
        pytest.param(b"<script>alert(1)</script>", id="html"),
        pytest.param(b" \r\n", id="white space"),
        pytest.param(b"x" * 65_536, id="as large as can be"),
    ],
)
def test_its_raw_text_is_what_came(services: FakeServices, body: bytes) -> None:
    mail_id = put(services, body)

    answer = show_raw_text(mail_id)

    assert (answer.status_code, answer.get_body()) == (200, body)
    assert (answer.mimetype, answer.charset) == ("text/plain", "utf-8")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{mail_id}.txt"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


def test_every_view_of_the_mail_says_where_its_raw_text_is(services: FakeServices) -> None:
    mail_id = put(services, b"hello")

    (listed,) = read(list_mails())["mails"]
    for document in (read(show_mail(mail_id)), listed):
        assert document["links"] == {
            "self": f"/api/mails/{mail_id}",
            "raw": f"/api/mails/{mail_id}/raw",
        }


def test_a_message_that_is_no_text_gives_what_of_it_is(services: FakeServices) -> None:
    """No storage queue hands such a one over."""
    assert show_raw_text(put(services, b"\xff\xfehello")).get_body() == "��hello".encode()


def test_a_mail_that_was_accepted_has_no_raw_text(services: FakeServices) -> None:
    accepted = services.accepted()
    put(services, document_of())

    for mail in services.ledger.mails:
        answer = show_raw_text(mail.mail_id)
        assert problem(answer)[:2] == (404, "no_raw_text")
        assert "raw" not in read(show_mail(mail.mail_id))["links"]
    assert len(services.ledger.mails) == 2
    assert accepted in {mail.mail_id for mail in services.ledger.mails}


@pytest.mark.parametrize("mail_id", ["7", "ffffffff-ffff-7fff-bfff-ffffffffffff"])
def test_a_mail_that_is_not_there_has_none(services: FakeServices, mail_id: str) -> None:
    assert problem(show_raw_text(mail_id))[:2] == (404, "unknown_mail")


def test_after_the_days_that_contents_are_kept_it_is_gone(services: FakeServices) -> None:
    mail_id = put(services, b"hello")
    services.clock.forward(days=31)
    services.retention.sweep()

    assert problem(show_raw_text(mail_id))[:2] == (410, "raw_text_gone")


def test_an_unknown_parameter_is_refused(services: FakeServices) -> None:
    answer = show_raw_text(put(services, b"hello"), params={"format": "json"})

    assert problem(answer)[:2] == (400, "invalid_request")


def test_nothing_of_it_can_be_sent(services: FakeServices) -> None:
    mail_id = put(services, REFUSED)

    for what in ("retry", "cancel", "release", "resolve"):
        document = {"decision": "send_again"} if what == "resolve" else {}
        given = problem(change(what, mail_id, document))
        assert given[:2] == (409, problems.UNREADABLE_MAIL.code), what
    assert ids.is_id(mail_id)
    assert services.graph.posts == []


def test_a_refused_message_belongs_to_no_account_on_the_page_of_causes(
    services: FakeServices,
) -> None:
    """A button there would send every failed mail of the account again."""
    put(services, REFUSED)

    (mail,) = services.ledger.mails
    assert (mail.account, case_of(mail).account) == ("billing", None)


def test_the_page_shows_what_a_wrapped_message_holds(services: FakeServices) -> None:
    mail_id = put(services, FORMS["base64 of UTF-16 LE"].wrap('{"subject": "Grüße", "to": "x"}'))

    raw = services.content.raw_of(services.ledger.mail(mail_id))

    assert raw is not None
    assert raw.text == '{"subject": "Grüße", "to": "x"}'
    assert raw.form == "base64, in it UTF-16 (little-endian)"
    assert (raw.is_cut, raw.first_bytes) == (False, "")


def test_the_page_shows_the_first_bytes_of_what_is_no_text(services: FakeServices) -> None:
    body = base64.b64encode(b"\x1f\x8b\x08" + bytes(range(128, 255)))

    raw = services.content.raw_of(services.ledger.mail(put(services, body)))

    assert raw is not None
    assert raw.text == body.decode()
    assert raw.first_bytes.startswith("1f 8b 08 80 81")
    assert raw.size == len(body)
