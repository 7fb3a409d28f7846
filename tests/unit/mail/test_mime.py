"""MIME: composed for Graph, read from callers; hostile input in both directions."""

from __future__ import annotations

import email
import email.policy
import time
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import getaddresses

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.mail.address import Address, has_control_characters, make
from shared.mail.header_rules import MAX_HEADER_VALUE
from shared.mail.message import (
    MAX_HEADERS,
    Attachment,
    Importance,
    Message,
    problems_of,
)
from shared.mail.mime.writing import compose
from tests.fakes import NOW

KEY = "01a01f0a-da00-72d3-a652-e44da7f29e26"
SENDER = Address("billing@contoso.com", "Billing")
ADA = Address("ada@example.com", "Ada")
BOTH = Message(sender=None, to=(ADA,), subject="Hi", text="Hello", html="<p>Hello</p>")

quick = settings(deadline=None, derandomize=True, max_examples=40)


def with_(**changes: object) -> Message:
    from msgspec.structs import replace

    return replace(BOTH, **changes)


def parsed(message: Message, sender: Address = SENDER) -> EmailMessage:
    found = email.message_from_bytes(
        compose(message, sender, KEY, NOW), policy=email.policy.default
    )
    assert isinstance(found, EmailMessage)
    return found


def header_names(raw: bytes) -> list[str]:
    head, _, _ = raw.partition(b"\r\n\r\n")
    return [
        line.partition(b":")[0].decode()
        for line in head.split(b"\r\n")
        if line[:1] not in (b" ", b"\t")
    ]


def decoded(raw: bytes, name: str) -> list[tuple[str, str]]:
    values = email.message_from_bytes(raw).get_all(name, [])
    return [(str(make_header(decode_header(n))), a) for n, a in getaddresses(map(str, values))]


def parts(message: Message) -> list[tuple[str, str | None]]:
    return [(part.get_content_type(), part.get_filename()) for part in parsed(message).walk()]


# Composing.


def test_text_and_html_are_alternatives_the_richer_one_last() -> None:
    assert parts(BOTH) == [
        ("multipart/alternative", None),
        ("text/plain", None),
        ("text/html", None),
    ]


def test_an_inline_picture_is_related_to_the_html() -> None:
    logo = Attachment("logo.png", b"png", "image/png", "logo")

    found = parsed(with_(html='<img src="cid:logo">', attachments=(logo,)))

    related = [part for part in found.walk() if part.get_content_type() == "multipart/related"]
    pictures = [part for part in found.walk() if part.get_content_type() == "image/png"]
    assert len(related) == 1
    assert pictures[0]["Content-ID"] == "<logo>"
    assert pictures[0].get_content_disposition() == "inline"
    assert pictures[0].get_content() == b"png"


def test_pictures_and_files_each_have_their_place() -> None:
    files = (
        Attachment("1.png", b"1", "image/png", "one"),
        Attachment("2.png", b"2", "image/png", "two"),
        Attachment("i.pdf", b"3", "application/pdf"),
    )

    assert parts(with_(html='<img src="cid:one"><img src="cid:two">', attachments=files)) == [
        ("multipart/mixed", None),
        ("multipart/alternative", None),
        ("text/plain", None),
        ("multipart/related", None),
        ("text/html", None),
        ("image/png", "1.png"),
        ("image/png", "2.png"),
        ("application/pdf", "i.pdf"),
    ]


def test_without_html_a_picture_is_a_file_like_any_other() -> None:
    logo = Attachment("logo.png", b"png", "image/png", "logo")

    found = parsed(with_(html=None, attachments=(logo,), headers=(("In-Reply-To", "<a@b>"),)))

    assert [part.get_filename() for part in found.iter_attachments()] == ["logo.png"]


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize(
    "content_type",
    ["multipart/mixed", "message/rfc822", "Message/RFC822", "MULTIPART/x", "text/plain", "x/y"],
)
def test_a_file_of_any_type_arrives_byte_for_byte(content_type: str, inline: bool) -> None:
    content = b"Subject: inner\r\n\r\n\x00\xff\n--x\r\n"
    item = Attachment("a.eml", content, content_type, "c1" if inline else None)

    found = [part for part in parsed(with_(attachments=(item,))).walk() if part.get_filename()]

    assert [part.get_payload(decode=True) for part in found] == [content]


@quick
@given(
    st.binary(max_size=3000),
    st.text(min_size=1, max_size=255).filter(
        lambda name: not has_control_characters(name) and "/" not in name and "\\" not in name
    ),
    st.none() | st.from_regex(r"\A[!-;=?-~]{1,40}\Z"),
)
@example(b"x", "é" * 255, None)
@example(b"x", '"; filename="evil.exe', None)
@example(b"x", "a" * 255, "c")
def test_a_file_and_its_name_survive(content: bytes, filename: str, content_id: str | None) -> None:
    message = with_(attachments=(Attachment(filename, content, content_id=content_id),))
    assert problems_of(message) == []

    found = [part for part in parsed(message).walk() if part.get_filename() is not None]

    assert [part.get_payload(decode=True) for part in found] == [content]
    assert "".join((found[0].get_filename() or "").split()) == "".join(filename.split())


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({}, "From", "Billing <billing@contoso.com>"),
        ({}, "To", "Ada <ada@example.com>"),
        ({"cc": (ADA, Address("b@example.com"))}, "Cc", "Ada <ada@example.com>, b@example.com"),
        ({"bcc": (ADA,)}, "Bcc", "Ada <ada@example.com>"),
        ({"reply_to": (ADA,)}, "Reply-To", "Ada <ada@example.com>"),
        ({}, "Subject", "Hi"),
        ({}, "Date", "Thu, 20 Aug 2026 12:00:00 +0000"),
        ({}, "Message-ID", f"<postroom.{KEY}@contoso.com>"),
        ({}, "X-Postroom-Key", KEY),
        ({"importance": Importance.HIGH}, "Importance", "high"),
        ({"read_receipt": True}, "Disposition-Notification-To", "billing@contoso.com"),
        ({"delivery_receipt": True}, "Return-Receipt-To", "billing@contoso.com"),
        ({"headers": (("In-Reply-To", "<a@b>"),)}, "In-Reply-To", "<a@b>"),
    ],
)
def test_each_field_becomes_its_header(changes: dict[str, object], name: str, value: str) -> None:
    assert parsed(with_(**changes)).get_all(name) == [value]


def test_what_was_not_asked_for_is_not_there() -> None:
    assert header_names(compose(BOTH, SENDER, KEY, NOW)) == [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "X-Postroom-Key",
        "MIME-Version",
        "Content-Type",
    ]


def test_a_long_message_id_stays_whole() -> None:
    """Encoded words would break the thread (RFC 2047, 5 forbids them there)."""
    ids = " ".join(f"<{'a' * 90}{n}@example.com>" for n in range(12))
    link = f"<https://example.com/{'u' * 300}>"

    raw = compose(
        with_(headers=(("References", ids), ("List-Unsubscribe", link))), SENDER, KEY, NOW
    )

    assert b"=?" not in raw
    found = email.message_from_bytes(raw, policy=email.policy.default)
    assert (found["References"], found["List-Unsubscribe"]) == (ids, link)


def test_a_word_too_long_for_a_line_is_encoded() -> None:
    raw = compose(with_(subject="x" * 998), SENDER, KEY, NOW)

    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert parsed(with_(subject="x" * 998))["Subject"] == "x" * 998


HOSTILE_NAMES = [
    "é, evil@example.org",
    'é" <evil@example.org>, "b',
    "é <evil@example.org>",
    "a, b",
    '"',
    "\\",
    "é" * 256,
    "x" * 200 + " é, <evil@example.org>,",
    "=?utf-8?q?=2C_evil=40example.org=2C?=",
    "=?utf-8?b?LCA8ZXZpbEBleGFtcGxlLm9yZz4s?=",
    "(comment) @ : ; <>",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_display_name_never_becomes_a_recipient(name: str) -> None:
    people = (Address("ada@example.com", name), Address("bob@example.com", name))

    raw = compose(with_(to=people, cc=people), Address("billing@contoso.com", name), KEY, NOW)

    expected = [(name, "ada@example.com"), (name, "bob@example.com")]
    assert decoded(raw, "To") == decoded(raw, "Cc") == expected
    assert decoded(raw, "From") == [(name, "billing@contoso.com")]


texts = st.text(max_size=120)
plain_lines = texts.filter(lambda text: not has_control_characters(text))


@quick
@given(plain_lines, plain_lines, plain_lines, texts, texts)
@example("é, <e@x.org>", "Subject: x", "=?utf-8?q?x?=", "\r\n.\r\nBcc: v@x.org\r\n\r\n", "\n")
@example(" a", " a", " a ", "", "")
def test_no_text_adds_a_header_or_an_address(
    name: str, subject: str, value: str, text: str, html: str
) -> None:
    message = Message(
        sender=None,
        to=(make("ada@example.com", name),),
        subject=subject,
        text=text,
        html=html,
        headers=(("X-Ref", value), ("Comments", value)),
    )
    assert problems_of(message) == []

    raw = compose(message, make("billing@contoso.com", name), KEY, NOW)

    assert header_names(raw) == [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "X-Ref",
        "Comments",
        "X-Postroom-Key",
        "MIME-Version",
        "Content-Type",
    ]
    assert [address for _, address in decoded(raw, "To")] == ["ada@example.com"]
    assert [address for _, address in decoded(raw, "From")] == ["billing@contoso.com"]
    head = email.message_from_bytes(raw)
    assert str(make_header(decode_header(head["Subject"]))).strip() == subject.strip()
    assert raw.isascii() or text + html
    assert all(len(line) <= 998 for line in raw.partition(b"\r\n\r\n")[0].split(b"\r\n"))


@quick
@given(texts)
@example("a\r\nb\nc\rd")
@example("x" * 3000)
@example("é" * 3000)
@example("é" * 70_000)
def test_a_text_arrives_as_written_but_for_its_line_ends(text: str) -> None:
    body = parsed(with_(text=text)).get_body(("plain",))

    assert body is not None
    arrived = body.get_content().replace("\r\n", "\n").rstrip("\n")
    assert arrived == text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def test_names_and_files_at_their_limits_are_composed_in_little_time() -> None:
    message = with_(
        to=(Address("a@example.com", "😀" * 256),) * 500,
        attachments=(Attachment("😀" * 40, b""),) * 100,
        headers=tuple((f"X-{n}", "é" * MAX_HEADER_VALUE) for n in range(MAX_HEADERS)),
    )
    assert problems_of(message) == []
    started = time.thread_time()

    compose(message, SENDER, KEY, NOW)

    assert time.thread_time() - started < 6
