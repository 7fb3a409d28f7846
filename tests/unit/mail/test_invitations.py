"""Invitations: read strictly, checked against the mail, written as the last alternative."""

from __future__ import annotations

import base64
import email
import email.policy
import time
from email.message import EmailMessage

import pytest
from msgspec.structs import replace

from shared.errors import RequestRejected
from shared.mail import calendar, invitation
from shared.mail.address import Address
from shared.mail.calendar import MAX_CALENDAR, MAX_EVENTS, MAX_LINES, BadCalendar
from shared.mail.graph_payload import draft_request
from shared.mail.message import Attachment, Message, StoredFile, needs_mime, problems_of
from shared.mail.mime.writing import compose
from tests import mime_reader
from tests.calendars import ICS
from tests.fakes import NOW
from tests.growth import assert_linear

KEY = "01a01f0a-da00-72d3-a652-e44da7f29e26"
SENDER = Address("billing@contoso.com", "Billing")


def invite(text: str | bytes = ICS, content_type: str = "text/calendar; method=REQUEST") -> Message:
    content = text if isinstance(text, bytes) else text.encode()
    return Message(
        sender=None,
        to=(Address("ada@contoso.com", "Ada"),),
        subject="The review",
        text="On Monday at ten.",
        attachments=(Attachment("invite.ics", content, content_type),),
    )


def known_errors(message: Message, sender: Address = SENDER) -> list[str]:
    found = [problem.field for problem in problems_of(message)]
    if found:
        return found
    try:
        invitation.refuse_wrong(message, sender)
    except RequestRejected as refused:
        return [problem.field for problem in refused.errors if refused.kind.status == 422]
    return []


def kinds(part: mime_reader.Part) -> object:
    return (part.kind, [kinds(one) for one in part.parts]) if part.parts else part.kind


@pytest.mark.parametrize("html", [None, "<p>On Monday at ten.</p>"])
def test_an_invitation_is_the_last_alternative(html: str | None) -> None:
    message = replace(invite(), html=html)
    assert known_errors(message) == []
    assert needs_mime(message)

    part = mime_reader.read(compose(message, SENDER, KEY, NOW))

    texts = ["text/plain", "text/html"] if html else ["text/plain"]
    assert kinds(part) == ("multipart/alternative", [*texts, "text/calendar"])
    last = part.leaves[-1]
    assert mime_reader.parameters(last.get("Content-Type")) == {
        "charset": "utf-8",
        "method": "REQUEST",
    }
    assert "Content-Disposition" not in last.names
    assert last.content.decode() == ICS
    found = email.message_from_bytes(
        compose(message, SENDER, KEY, NOW), policy=email.policy.default
    )
    assert isinstance(found, EmailMessage)
    assert list(found.walk())[-1].get_content().replace("\r\n", "\n") == ICS.replace("\r\n", "\n")


def test_files_and_pictures_beside_an_invitation_keep_their_places() -> None:
    message = invite()
    message = replace(
        message,
        html='<img src="cid:logo">',
        attachments=(
            *message.attachments,
            Attachment("plan.pdf", b"%PDF", "application/pdf"),
            Attachment("logo.png", b"png", "image/png", "logo"),
        ),
    )

    assert kinds(mime_reader.read(compose(message, SENDER, KEY, NOW))) == (
        "multipart/mixed",
        [
            (
                "multipart/alternative",
                ["text/plain", ("multipart/related", ["text/html", "image/png"]), "text/calendar"],
            ),
            "application/pdf",
        ],
    )


@pytest.mark.parametrize("content_type", ["text/calendar", "text/calendar; charset=utf-8"])
def test_a_calendar_without_a_method_is_an_ordinary_file(content_type: str) -> None:
    message = invite("anything", content_type)

    assert known_errors(message) == []
    assert not needs_mime(message)
    part = mime_reader.read(compose(message, SENDER, KEY, NOW))
    assert kinds(part) == ("multipart/mixed", ["text/plain", "text/calendar"])


@pytest.mark.parametrize(
    "content_type",
    [
        "text/calendar; method=REQUEST",
        "Text/Calendar; charset=UTF-8; METHOD=request",
        'text/calendar; component=VEVENT; method="REQUEST"',
        "application/ics; method=REQUEST",
        "text/x-vcalendar; method=REQUEST",
    ],
)
def test_an_invitation_is_known_by_its_method(content_type: str) -> None:
    message = invite(content_type=content_type)

    assert known_errors(message) == []
    part = mime_reader.read(compose(message, SENDER, KEY, NOW)).leaves[-1]
    assert part.kind == "text/calendar"
    assert mime_reader.parameters(part.get("Content-Type"))["method"] == "REQUEST"


def test_line_feeds_become_the_line_ends_that_calendars_have() -> None:
    message = invite(ICS.replace("\r\n", "\n").rstrip("\n"))
    assert known_errors(message) == []

    part = mime_reader.read(compose(message, SENDER, KEY, NOW)).leaves[-1]

    assert part.content.decode() == ICS


def changed(old: str, new: str) -> str:
    assert old in ICS
    return ICS.replace(old, new)


EVENT = ICS[ICS.index("BEGIN:VEVENT") : ICS.index("END:VCALENDAR")]

SOUND = {
    "cancel": changed("METHOD:REQUEST", "METHOD:CANCEL"),
    "folded within a name": changed("ORGANIZER;", "ORGAN\r\n IZER;"),
    "folded by a tab": changed("mailto:billing@contoso.com", "mailto:billing@\r\n\tcontoso.com"),
    "another case": changed("mailto:billing@contoso.com", "MAILTO:Billing@Contoso.COM"),
    "small names": ICS.replace("BEGIN:", "begin:").replace("ORGANIZER", "organizer"),
    "no name": changed(';CN="Billing; Contoso"', ""),
    "the address as its name": changed("Billing; Contoso", "billing@contoso.com"),
    "a person in its text": changed("Größe: the", "mailto:bob@fabrikam.com asks for the"),
    "an exception of a series": changed(EVENT, EVENT + EVENT),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_invitation_is_taken(name: str) -> None:
    method = "CANCEL" if name == "cancel" else "REQUEST"

    assert known_errors(invite(SOUND[name], f"text/calendar; method={method}")) == []


WRONG = {
    "another method": changed("METHOD:REQUEST", "METHOD:CANCEL"),
    "no method": changed("METHOD:REQUEST\r\n", ""),
    "two methods": changed("METHOD:REQUEST", "METHOD:REQUEST\r\nMETHOD:REQUEST"),
    "another organizer": changed("mailto:billing@contoso.com", "mailto:ceo@contoso.com"),
    "no organizer": changed('ORGANIZER;CN="Billing; Contoso":mailto:billing@contoso.com\r\n', ""),
    "an organizer without mailto": changed("mailto:billing@contoso.com", "billing@contoso.com"),
    "an organizer with a query": changed(
        "mailto:billing@contoso.com", "mailto:billing@contoso.com?cc=evil@example.org"
    ),
    "an organizer with a name": changed(
        "mailto:billing@contoso.com", "mailto:Billing <billing@contoso.com>"
    ),
    "another organizer in a second event": changed(
        EVENT, EVENT + EVENT.replace("mailto:billing@", "mailto:ceo@")
    ),
    "an organizer sent by another": changed(
        'CN="Billing; Contoso"', 'CN=Billing;SENT-BY="mailto:eve@evil.example"'
    ),
    "an organizer with another address to answer to": changed(
        'CN="Billing; Contoso"', 'EMAIL="eve@evil.example"'
    ),
    "an organizer with a directory": changed('CN="Billing; Contoso"', 'DIR="ldap://evil.example"'),
    "an organizer with two names": changed('CN="Billing; Contoso"', "CN=Billing;CN=CEO"),
    "an organizer whose name is another address": changed("Billing; Contoso", "ceo@contoso.com"),
    "an organizer of the calendar": changed(
        "METHOD:REQUEST", "METHOD:REQUEST\r\nORGANIZER:mailto:eve@evil.example"
    ),
    "Outlook's sender": changed("SUMMARY:", "X-MS-OLK-SENDER:MAILTO:eve@evil.example\r\nSUMMARY:"),
    "an alarm by mail": changed(
        "ACTION:DISPLAY", "ACTION:EMAIL\r\nATTENDEE:mailto:eve@evil.example"
    ),
    "a line that ends at U+0085": changed(
        "Größe: the", "Größe\x85ORGANIZER:mailto:eve@evil.example"
    ),
    "no attendee": ICS[: ICS.index("ATTENDEE;ROLE")] + ICS[ICS.index("BEGIN:VALARM") :],
    "attendees who get no mail": changed("mailto:ada@contoso.com", "mailto:bob@contoso.com"),
    "an attendee of the alarm alone": changed(
        "mailto:ada@contoso.com", "mailto:bob@contoso.com"
    ).replace("ACTION:DISPLAY", "ACTION:DISPLAY\r\nATTENDEE:mailto:ada@contoso.com"),
    "no event": ICS.replace(EVENT, ""),
    "a task": ICS.replace("VEVENT", "VTODO"),
    "two calendars": ICS + ICS,
    "an event in an event": changed("SUMMARY:", "BEGIN:VEVENT\r\nEND:VEVENT\r\nSUMMARY:"),
    "different UIDs": changed(EVENT, EVENT + EVENT.replace("7c1f", "8d2e")),
    "no UID": changed("UID:7c1f@contoso.com\r\n", ""),
    "no DTSTAMP": changed("DTSTAMP:20261130T090000Z\r\n", ""),
    "no DTSTART": changed("DTSTART;TZID=Europe/Berlin:20261207T100000\r\n", ""),
    "no PRODID": changed("PRODID:-//Contoso//Booking 1.0//EN\r\n", ""),
    "version 1.0": changed("VERSION:2.0", "VERSION:1.0"),
    "an END too few": changed("END:VEVENT\r\n", ""),
    "an END too many": ICS + "END:VCALENDAR\r\n",
    "text before it": "Hello\r\n" + ICS,
    "a property before it": "X-A:b\r\n" + ICS,
    "an empty line inside": changed("UID:", "\r\nUID:"),
    "a line without a colon": changed("UID:", "Hello\r\nUID:"),
    "an open quote": changed('CN="Billing; Contoso"', 'CN="Billing'),
    "a lone carriage return": changed("Größe: the", "Größe:\rthe"),
    "a NUL": changed("Größe", "Gr\0ße"),
    "nothing": "",
    "no calendar": "Hello",
}


@pytest.mark.parametrize("name", WRONG)
def test_an_invitation_that_is_none_of_this_mail_is_refused_by_its_file(name: str) -> None:
    assert known_errors(invite(WRONG[name])) == ["attachments[0]"]


@pytest.mark.parametrize(
    "content",
    [
        ICS.encode("latin-1"),
        ICS.encode("utf-16"),
        b"\xef\xbb\xbf" + ICS.encode(),
        ICS.encode() + b"x" * MAX_CALENDAR,
    ],
)
def test_an_invitation_is_utf_8_without_a_mark_and_of_limited_size(content: bytes) -> None:
    assert known_errors(invite(content)) == ["attachments[0]"]


@pytest.mark.parametrize("method", ["PUBLISH", "REPLY", "COUNTER", "ADD", "x", ""])
def test_only_what_an_organizer_sends_to_attendees_is_an_invitation(method: str) -> None:
    message = invite(content_type=f'text/calendar; method="{method}"')

    assert known_errors(message) == ["attachments[0]"]


def test_an_invitation_comes_from_the_address_that_the_account_gives_the_mail() -> None:
    assert known_errors(invite(), Address("Billing@contoso.com")) == []
    assert known_errors(invite(), Address("other@contoso.com", "Billing")) == ["attachments[0]"]


def test_an_account_that_fixes_its_name_shows_no_other_organizer() -> None:
    def refused(name: str) -> bool:
        message = invite(changed("Billing; Contoso", name))
        try:
            invitation.refuse_wrong(message, SENDER, any_name=False)
        except RequestRejected:
            return True
        return False

    assert [refused(name) for name in ("BILLING", "billing@contoso.com", "Chief Executive")] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("filename", ["invite.ics ", "invite.ics.", "INVITE.ICS", "invite.vcs"])
def test_an_invitation_is_known_by_its_file_name(filename: str) -> None:
    message = invite(content_type="application/octet-stream; method=REQUEST")
    item = replace(message.attachments[0], filename=filename)

    assert invitation.method_of(item) == "REQUEST"


def test_a_second_invitation_is_refused() -> None:
    message = invite()

    assert known_errors(replace(message, attachments=message.attachments * 2)) == ["attachments[1]"]


@pytest.mark.parametrize(
    "changes",
    [
        {"content": StoredFile("attachments", "invite.ics", 100)},
        {"content_id": "invite"},
        {"content_type": "text/calendar; method=REQUEST; charset=iso-8859-1"},
    ],
)
def test_an_invitation_is_given_in_the_document_as_utf_8(changes: dict[str, object]) -> None:
    message = invite()
    item = replace(message.attachments[0], **changes)

    assert known_errors(replace(message, attachments=(item,))) == ["attachments[0]"]


def test_an_invitation_stays_in_the_draft_when_files_travel_apart() -> None:
    message = invite()
    large = Attachment("plan.pdf", b"x" * 3_500_000, "application/pdf")
    message = replace(message, attachments=(*message.attachments, large))

    request = draft_request(message, SENDER, KEY, NOW)

    assert request.apart == (large,)
    source = base64.b64decode(request.body)
    assert kinds(mime_reader.read(source)) == (
        "multipart/alternative",
        ["text/plain", "text/calendar"],
    )


def test_a_mail_with_an_invitation_is_always_saved() -> None:
    message = replace(invite(), save_to_sent_items=False)

    assert known_errors(message) == ["save_to_sent_items"]


# The time of reading.

HEAD = "BEGIN:VCALENDAR\r\n"


@pytest.mark.parametrize(
    "piece",
    [
        'X;A="',
        ";A=b",
        ',"a"',
        "X:a\r\n ",
        "\r\n",
        "BEGIN:VEVENT\r\n",
        "BEGIN:VEVENT\r\nEND:VEVENT\r\n",
        "X:y\r\n",
        "ATTENDEE:mailto:a@b.co\r\n",
        'X;A="a";B=c,d:',
    ],
)
def test_the_time_of_reading_grows_with_the_size(piece: str) -> None:
    def read(count: int) -> None:
        # Up to the permitted size: beyond it nothing is read.
        text = HEAD + "X;A=b" + piece * count
        with pytest.raises(BadCalendar):
            calendar.read(text.encode()[:MAX_CALENDAR])

    assert_linear(read, int, MAX_CALENDAR // len(piece))


def test_lines_and_events_are_limited() -> None:
    lines = HEAD + "X:y\r\n" * MAX_LINES
    events = ICS.replace(EVENT, EVENT * (MAX_EVENTS + 1))
    started = time.thread_time()

    for text in (lines, events):
        with pytest.raises(BadCalendar, match="more than"):
            calendar.read(text.encode())

    assert time.thread_time() - started < 1
