"""The page of one mail: why it waits or failed, and what its buttons do."""

from __future__ import annotations

import base64

import azure.functions as func
import pytest

from shared.mail.defaults import Defaults
from shared.mail.outcome import GraphAnswer
from shared.services.mails.content import MOST_SHOWN
from shared.web.pages import mail_page
from tests.fakes import FakeServices, account_of
from tests.unit.web.browser import SAME_ORIGIN, App, Browser, text_of


class Desk:
    """The page over a room whose mailbox may send one mail a day, with a session."""

    def __init__(self) -> None:
        self.app, self.browser = App(), Browser()
        self.browser.open_session(self.app)
        self.services = FakeServices(account_of(defaults=Defaults(daily_cap=1)))
        self.content = self.services.content

    def show(self, mail_id: str) -> str:
        made = self.browser.request("GET", f"/mails/{mail_id}", route_params={"id": mail_id})
        return text_of(
            mail_page.show_mail(
                made, self.app.site, self.app.sessions, self.services.ledger, self.content
            )
        ).replace("&#39;", "'")

    def send_now(self, mail_id: str) -> func.HttpResponse:
        return self.press(mail_id, action="now")

    def press(self, mail_id: str, **form: str) -> func.HttpResponse:
        made = self.browser.request(
            "POST",
            f"/mails/{mail_id}",
            form=form,
            headers=SAME_ORIGIN,
            route_params={"id": mail_id},
        )
        return mail_page.change_mail(
            made,
            self.app.site,
            self.app.sessions,
            self.services.ledger,
            self.content,
            self.services.changes,
        )


@pytest.fixture
def desk() -> Desk:
    return Desk()


def capped(desk: Desk) -> str:
    desk.services.accepted()
    return desk.services.accepted()


def test_a_mail_beyond_the_cap_says_why_and_until_when_in_plain_words(desk: Desk) -> None:
    page = desk.show(capped(desk))

    assert "The daily cap of its account is used up." in page
    assert "It waits until 21 Aug 2026, 00:00:00 UTC" in page
    assert "raise the cap on the account's page" in page
    for raw in ("daily_cap", "expected_at", "It is under way"):
        assert raw not in page


def test_send_now_without_room_says_why_not_and_what_to_do(desk: Desk) -> None:
    mail_id = capped(desk)

    answer = desk.send_now(mail_id)

    page = text_of(answer).replace("&#39;", "'")
    assert answer.status_code == 409
    assert "The mail still waits: its account's daily cap is used up for today." in page
    assert "Raise the cap" in page
    assert "given another time" not in page


def test_send_now_goes_once_the_cap_is_raised(desk: Desk) -> None:
    mail_id = capped(desk)
    desk.services.accounts.change("billing", defaults=Defaults(daily_cap=2))

    assert desk.send_now(mail_id).status_code == 303

    page = desk.show(mail_id)
    assert "daily cap" not in page
    assert "It was given another time." in page


def failed(desk: Desk) -> str:
    mail_id = desk.services.accepted()
    desk.services.graph.answers = [GraphAnswer(403, "ErrorSendAsDenied")]
    desk.services.handle(mail_id)
    return mail_id


@pytest.mark.parametrize(
    "typed",
    [
        "Ada <ada@contoso.com>, bob@contoso.com",
        "Ada <ada@contoso.com>; bob@contoso.com;",
        "Ada <ada@contoso.com>\r\nbob@contoso.com",
        '"Ada" <ada@contoso.com>,\n\nbob@contoso.com',
    ],
)
def test_the_field_for_other_recipients_takes_addresses_as_people_write_them(
    desk: Desk, typed: str
) -> None:
    mail_id = failed(desk)

    assert desk.press(mail_id, action="retry", to=typed).status_code == 303

    assert desk.services.ledger.mail(mail_id).recipients == (
        "Ada <ada@contoso.com>",
        "bob@contoso.com",
    )


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("Doe, John <j@contoso.com>", "The list of addresses has 2 entries, and number 1"),
        ("a@contoso.com\r\nb@contoso.com, c", "Line 2 has 2 entries, and number 2"),
    ],
)
def test_a_recipient_that_is_no_address_is_told_by_its_line_and_place(
    desk: Desk, typed: str, told: str
) -> None:
    mail_id = failed(desk)

    answer = desk.press(mail_id, action="retry", to=typed)

    assert answer.status_code == 400
    assert told in text_of(answer)
    assert desk.services.ledger.mail(mail_id).recipients == ("Ada <ada@example.com>",)


def test_what_could_not_become_a_mail_shows_its_text_and_no_way_to_try_it_again(
    desk: Desk,
) -> None:
    body = b"<script>alert(1)</script>" + b"x" * MOST_SHOWN
    desk.services.outbox.handle(desk.services.message(body))
    mail_id = desk.services.ledger.mails[0].mail_id

    page = desk.show(mail_id)

    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "Only its beginning is shown." in page
    assert len(page) < 50_000
    assert 'value="retry"' not in page
    assert "put the message on the queue again" in page
    assert f'href="/mails/{mail_id}/raw"' in page
    assert "not kept any more" not in page


def test_a_refused_message_whose_text_is_gone_offers_nothing_to_try_again(desk: Desk) -> None:
    desk.services.outbox.handle(desk.services.message(b'{"subject": "Invoice 7", "to": "nobody"}'))
    desk.services.clock.forward(days=31)
    desk.services.retention.sweep()

    page = desk.show(desk.services.ledger.mails[0].mail_id)

    assert "Invoice 7" in page
    assert "Its content is deleted" in page
    assert 'value="retry"' not in page
    assert "/raw" not in page


def test_a_refused_message_without_a_subject_is_called_what_it_is(desk: Desk) -> None:
    desk.services.outbox.handle(desk.services.message(b"hello"))

    page = desk.show(desk.services.ledger.mails[0].mail_id)

    assert '<h1 class="subject">(queue message)</h1>' in page
    assert "<dt>Goes</dt>" not in page


def test_bytes_behind_base64_that_are_no_text_are_shown_as_bytes(desk: Desk) -> None:
    desk.services.outbox.handle(desk.services.message(base64.b64encode(bytes(range(128, 255)))))

    page = desk.show(desk.services.ledger.mails[0].mail_id)

    assert "Decoded from base64, it holds bytes that are not text" in page
    assert "80 81 82 83" in page


def test_no_text_of_a_caller_turns_the_direction_of_a_page() -> None:
    """Else `moc.osotnoc@ada.io` would be read as an address of contoso.com."""
    desk = Desk()
    mail = desk.services.accept(
        to={"email": "moc.osotnoc@ada.io", "name": "\u202eadA"}, subject="Report \u2067fdp.exe"
    ).mail

    page = desk.show(mail.mail_id)

    assert "moc.osotnoc@ada.io" in page
    assert not set(page) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
