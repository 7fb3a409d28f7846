"""Headers that hold ids, URLs and keywords go byte for byte; threads are headers of that kind."""

from __future__ import annotations

import email
import email.policy

import pytest
from msgspec.structs import replace

from shared.mail.address import Address
from shared.mail.header_rules import MAX_WORD
from shared.mail.message import Attachment, Message, needs_mime, problems_of
from shared.mail.message_ids import MAX_MESSAGE_ID
from shared.mail.mime.writing import compose
from shared.mail.threads import MAX_REFERENCES
from tests import mime_reader
from tests.fakes import NOW

KEY = "01a01f0a-da00-72d3-a652-e44da7f29e26"
SENDER = Address("billing@contoso.com", "Billing")
MAIL = Message(sender=None, to=(Address("ada@example.com"),), subject="Hi", text="Hello")
LONG_URL = f"<https://contoso.com/u?t={'a' * 900}>"


def composed(message: Message) -> bytes:
    assert problems_of(message) == []
    return compose(message, SENDER, KEY, NOW)


def header(raw: bytes, name: str) -> str:
    """As it stands in the source, unfolded and not decoded."""
    return mime_reader.read(raw).get(name)


LITERAL = [
    ("List-Unsubscribe", "<https://contoso.com/u?x=?y&id==?utf>"),
    ("List-Unsubscribe", LONG_URL),
    ("List-Unsubscribe", f"<mailto:off@contoso.com?subject=off>, {LONG_URL}"),
    ("List-Unsubscribe", f"<{'u' * (MAX_WORD - 2)}>"),
    ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ("List-Help", "<https://contoso.com/help> (How to write to us)"),
    ("List-Archive", "<https://contoso.com/=?/archive>"),
    ("List-Id", "<news.contoso.com>"),
    ("List-Id", "News of Contoso <news.contoso.com>"),
    ("List-Id", '"News, weekly" <=?news=?.contoso.com>'),
    ("In-Reply-To", "<abc=?def@contoso.com>"),
    ("References", " ".join(f"<{'a' * 90}=?{n}@contoso.com>" for n in range(12))),
    ("Supersedes", "<=?a@contoso.com>"),
    ("Precedence", "bulk"),
    ("X-Priority", "1 (Highest)"),
    ("Feedback-ID", "campaign:customer:mail:contoso"),
]


@pytest.mark.parametrize(("name", "value"), LITERAL)
def test_ids_urls_and_keywords_go_byte_for_byte(name: str, value: str) -> None:
    raw = composed(replace(MAIL, headers=((name, value),)))

    assert header(raw, name) == value
    unfolded = str(email.message_from_bytes(raw)[name]).replace("\r\n", "").replace("\n", "")
    assert unfolded.strip() == value
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998


def test_a_long_list_of_ids_is_folded_at_its_spaces() -> None:
    ids = " ".join(f"<{n:040}@contoso.com>" for n in range(30))

    raw = composed(replace(MAIL, headers=(("References", ids),)))

    assert max(len(line) for line in raw.split(b"\r\n")) <= 78


@pytest.mark.parametrize(
    ("value", "name", "list_id"),
    [
        ("Größen <news.contoso.com>", "Größen", "news.contoso.com"),
        ('"Größen, neu" <news=?x.contoso.com>', "Größen, neu", "news=?x.contoso.com"),
        ("ニュース <news.contoso.com>", "ニュース", "news.contoso.com"),
        (f"{'ü' * 300} <news.contoso.com>", "ü" * 300, "news.contoso.com"),
    ],
)
def test_the_name_of_a_list_is_encoded_and_its_id_is_not(
    value: str, name: str, list_id: str
) -> None:
    raw = composed(replace(MAIL, headers=(("List-Id", value),)))

    found = header(raw, "List-Id")
    assert found.endswith(f" <{list_id}>")
    assert mime_reader.decoded(found.rpartition(" <")[0]) == name
    assert raw.isascii()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("List-Unsubscribe", "<https://contoso.com/größe>"),
        ("List-Unsubscribe", "https://contoso.com/u"),
        ("List-Unsubscribe", "<https://contoso.com/u> https://contoso.com/v"),
        ("List-Help", "mailto:help@contoso.com"),
        ("List-Unsubscribe-Post", "One-Click"),
        ("List-Unsubscribe", f"<{'u' * (MAX_WORD - 1)}>"),
        ("List-Unsubscribe", "<https://contoso.com>" + " " * 41 + "x"),
        ("In-Reply-To", "<ä@contoso.com>"),
        ("References", "<a@contoso.com> <ä@contoso.com>"),
        ("List-Id", "News <größe.contoso.com>"),
        ("List-Id", "news.contoso.com"),
        ("List-Id", "News <>"),
        ("List-Id", f"<{'a' * 256}>"),
        ("Precedence", "größer"),
    ],
)
def test_what_cannot_go_byte_for_byte_is_refused_by_name(name: str, value: str) -> None:
    assert [one.field for one in problems_of(replace(MAIL, headers=((name, value),)))] == [
        f"headers.{name}"
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("List-Unsubscribe", "<https://contoso.com/größe>"),
        ("List-Id", "größe.contoso.com"),
        ("In-Reply-To", "=?utf-8?q?a=0D=0AX-Injected=3A_yes?="),
        ("References", f"<{'a' * 1500}@contoso.com>"),
    ],
)
def test_a_mail_that_was_accepted_before_its_values_were_read_is_still_written(
    name: str, value: str
) -> None:
    raw = compose(replace(MAIL, headers=((name, value),)), SENDER, KEY, NOW)

    assert mime_reader.decoded(header(raw, name)) == value


def test_a_content_id_of_any_length_stays_whole() -> None:
    content_id = f"{'c' * 242}@contoso.com"
    message = replace(
        MAIL,
        text="x",
        html=f'<img src="cid:{content_id}">',
        attachments=(Attachment("a.png", b"png", "image/png", content_id),),
    )

    raw = composed(message)

    assert f"Content-ID: <{content_id}>\r\n".encode() in raw


@pytest.mark.parametrize("spaces", [1, 2, 41, 3000])
def test_a_text_with_many_spaces_has_no_line_that_is_too_long(spaces: int) -> None:
    text = f"a{' ' * spaces}b"

    raw = composed(replace(MAIL, html="x", headers=(("Comments", text),)))

    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert mime_reader.decoded(header(raw, "Comments")) == text


# Threads.

PARENT = "<parent@contoso.com>"


@pytest.mark.parametrize(
    ("in_reply_to", "references", "expected"),
    [
        (PARENT, (), {"In-Reply-To": PARENT, "References": PARENT}),
        (
            PARENT,
            ("<a@b.co>", "<c@d.co>"),
            {"In-Reply-To": PARENT, "References": f"<a@b.co> <c@d.co> {PARENT}"},
        ),
        (
            PARENT,
            ("<a@b.co>", PARENT),
            {"In-Reply-To": PARENT, "References": f"<a@b.co> {PARENT}"},
        ),
        (
            PARENT,
            (PARENT, "<a@b.co>", "<a@b.co>"),
            {"In-Reply-To": PARENT, "References": f"<a@b.co> {PARENT}"},
        ),
        (None, ("<a@b.co>", "<c@d.co>"), {"References": "<a@b.co> <c@d.co>"}),
        (None, (), {}),
    ],
)
def test_references_end_with_the_mail_that_is_answered(
    in_reply_to: str | None, references: tuple[str, ...], expected: dict[str, str]
) -> None:
    message = replace(MAIL, in_reply_to=in_reply_to, references=references)

    part = mime_reader.read(composed(message))

    found = {name: part.get(name) for name in part.names if name in ("In-Reply-To", "References")}
    assert found == expected
    assert needs_mime(message) is bool(expected)


@pytest.mark.parametrize(
    "text",
    [
        "<abc=?def@contoso.com>",
        "<owner/repo/issues/12@github.com>",
        "<CAF=abc+def_ghi@mail.gmail.com>",
        "<a..b.@contoso.com>",
        "<a:b@[192.0.2.1]>",
        "<AM0PR01MB1234@AM0PR01MB1234.eurprd01.prod.exchangelabs.com>",
        f"<{'a' * (MAX_MESSAGE_ID - 4)}@b>",
    ],
)
def test_a_message_id_goes_byte_for_byte(text: str) -> None:
    raw = composed(replace(MAIL, in_reply_to=text, references=(text, "<x@y.co>")))

    assert header(raw, "In-Reply-To") == text
    assert header(raw, "References") == f"<x@y.co> {text}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc@contoso.com",
        "<abc>",
        "<a@b@c>",
        "<a b@contoso.com>",
        "<a@contoso.com> <b@contoso.com>",
        "<a@contoso.com>\r\nX-Injected: yes",
        "<a@contoso.com>\n",
        '<"a"@contoso.com>',
        "<a(x)@contoso.com>",
        "<ä@contoso.com>",
        "<@contoso.com>",
        "<a@>",
        f"<{'a' * (MAX_MESSAGE_ID - 3)}@b>",
    ],
)
def test_what_is_no_message_id_is_refused_by_its_field(text: str) -> None:
    assert [one.field for one in problems_of(replace(MAIL, in_reply_to=text))] == ["in_reply_to"]
    many = replace(MAIL, references=("<a@b.co>", text))
    assert [one.field for one in problems_of(many)] == ["references[1]"]


def test_a_thread_has_a_greatest_length() -> None:
    ids = tuple(f"<{number}@contoso.com>" for number in range(MAX_REFERENCES + 1))

    assert problems_of(replace(MAIL, references=ids[1:])) == []
    assert [one.field for one in problems_of(replace(MAIL, references=ids))] == ["references"]


@pytest.mark.parametrize("name", ["In-Reply-To", "references"])
def test_a_thread_is_given_in_fields_or_in_headers_not_in_both(name: str) -> None:
    message = replace(MAIL, in_reply_to=PARENT, headers=((name, PARENT),))

    assert [one.field for one in problems_of(message)] == [f"headers.{name}"]


def test_a_thread_needs_a_mail_that_is_saved() -> None:
    message = replace(MAIL, in_reply_to=PARENT, save_to_sent_items=False)

    assert [one.field for one in problems_of(message)] == ["save_to_sent_items"]
