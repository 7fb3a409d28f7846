"""What no account could send, and what Graph's JSON cannot express."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from shared.mail.address import Address
from shared.mail.attachment_rules import MAX_FILENAME
from shared.mail.header_rules import MAX_HEADER_VALUE, reserved_names
from shared.mail.message import (
    MAX_ATTACHMENTS,
    MAX_HEADERS,
    MAX_RECIPIENTS,
    MAX_SUBJECT,
    Attachment,
    Message,
    needs_mime,
    problems_of,
)

SOUND = Message(
    sender=None,
    to=(Address("a@example.com"),),
    subject="Hi",
    text="Hello",
    attachments=(Attachment("a.txt", b"x", "text/plain"),),
    headers=(("X-Ref", "7"),),
)


def fields(message: Message) -> list[str]:
    return [problem.field for problem in problems_of(message)]


def with_files(*files: Attachment) -> Message:
    return replace(SOUND, attachments=files)


def people(count: int) -> tuple[Address, ...]:
    return tuple(Address(f"a{number}@example.com") for number in range(count))


def headers(count: int) -> tuple[tuple[str, str], ...]:
    return tuple((f"X-{number}", "v") for number in range(count))


AT_THE_LIMIT = [
    SOUND,
    replace(SOUND, to=(), cc=(Address("a@example.com"),)),
    replace(SOUND, to=(), bcc=(Address("a@example.com"),)),
    replace(SOUND, to=people(MAX_RECIPIENTS)),
    replace(SOUND, subject="x" * MAX_SUBJECT),
    replace(SOUND, text=None, html=""),
    replace(SOUND, text=None, mime=b"To: a@example.com\r\n\r\nx"),
    replace(SOUND, headers=headers(MAX_HEADERS)),
    replace(SOUND, headers=(("X-Ref", "v" * MAX_HEADER_VALUE),)),
    replace(SOUND, headers=(("List-Unsubscribe", "<https://example.com>"),)),
    with_files(*[Attachment("é" * MAX_FILENAME, b"")] * MAX_ATTACHMENTS),
    replace(SOUND, reply_to=people(MAX_RECIPIENTS)),
    with_files(Attachment("x" * MAX_FILENAME, b"")),
    with_files(Attachment("a", b"", "application/vnd.ms-excel.sheet+x")),
    with_files(Attachment("é €.pdf", b"", content_id="a@b.c")),
    replace(SOUND, save_to_sent_items=False),
]


@pytest.mark.parametrize("message", AT_THE_LIMIT, ids=range(len(AT_THE_LIMIT)))
def test_a_sound_message_has_no_problem(message: Message) -> None:
    assert problems_of(message) == []


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (replace(SOUND, to=()), "to"),
        (replace(SOUND, to=people(300), cc=people(200), bcc=people(1)), "to"),
        (replace(SOUND, subject="a\nb"), "subject"),
        (replace(SOUND, subject="x" * (MAX_SUBJECT + 1)), "subject"),
        (replace(SOUND, text=None), "text"),
        (replace(SOUND, headers=headers(MAX_HEADERS + 1)), "headers"),
        (replace(SOUND, headers=(("X-Ref", "v" * (MAX_HEADER_VALUE + 1)),)), "headers.X-Ref"),
        (replace(SOUND, headers=(("X-Ref", "a\r\nb"),)), "headers.X-Ref"),
        (replace(SOUND, headers=(("X-A", "1"), ("x-a", "2"))), "headers.x-a"),
        (replace(SOUND, headers=(("", "v"),)), "headers"),
        (replace(SOUND, headers=(("X-A:", "v"),)), "headers"),
        (replace(SOUND, headers=(("X-É", "v"),)), "headers"),
        (replace(SOUND, headers=(("X" * 77, "v"),)), "headers"),
        (with_files(*[Attachment("a", b"")] * (MAX_ATTACHMENTS + 1)), "attachments"),
        (with_files(Attachment("a\ud800", b"")), "attachments[0].filename"),
        (replace(SOUND, subject="a\ud800"), "subject"),
        (replace(SOUND, reply_to=people(MAX_RECIPIENTS + 1)), "reply_to"),
        (with_files(Attachment("", b"")), "attachments[0].filename"),
        (with_files(Attachment("x" * (MAX_FILENAME + 1), b"")), "attachments[0].filename"),
        (with_files(Attachment("a\r\nb", b"")), "attachments[0].filename"),
        (with_files(Attachment("/etc/passwd", b"")), "attachments[0].filename"),
        (with_files(Attachment("..\\a", b"")), "attachments[0].filename"),
        (with_files(Attachment("a", b"", "pdf")), "attachments[0].content_type"),
        (with_files(Attachment("a", b"", "text/plain\r\nX: y")), "attachments[0].content_type"),
        (with_files(Attachment("a", b"", "")), "attachments[0].content_type"),
        (with_files(Attachment("a", b"", content_id="a b")), "attachments[0].content_id"),
        (with_files(Attachment("a", b"", content_id="<a>")), "attachments[0].content_id"),
        (with_files(Attachment("a", b"", content_id="")), "attachments[0].content_id"),
        (replace(SOUND, html="x", save_to_sent_items=False), "save_to_sent_items"),
        (
            replace(SOUND, headers=(("References", "<a@b>"),), save_to_sent_items=False),
            "save_to_sent_items",
        ),
    ],
)
def test_what_no_account_could_send_is_named(message: Message, field: str) -> None:
    assert fields(message) == [field]


@pytest.mark.parametrize(
    "name",
    [
        *sorted(reserved_names()),
        "resent-from",
        "resent-bcc",
        "resent-sender",
        "x-ms-exchange-organization-scl",
    ],
)
def test_a_header_that_postroom_sets_cannot_be_given(name: str) -> None:
    for spelled in (name, name.upper(), name.title()):
        assert fields(replace(SOUND, headers=((spelled, "v"),))) == [f"headers.{spelled}"]


def test_every_problem_is_told_and_the_right_file_named() -> None:
    message = replace(
        SOUND, to=(), subject="\n", attachments=(Attachment("a", b""), Attachment("/", b"", "x"))
    )

    assert fields(message) == [
        "to",
        "subject",
        "attachments[1].filename",
        "attachments[1].content_type",
    ]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(SOUND, False, id="text"),
        pytest.param(replace(SOUND, text=None, html="x"), False, id="html"),
        pytest.param(replace(SOUND, html="x"), True, id="text and html"),
        pytest.param(replace(SOUND, html=""), True, id="text and empty html"),
        pytest.param(replace(SOUND, headers=headers(5)), False, id="five headers"),
        pytest.param(replace(SOUND, headers=headers(6)), True, id="six headers"),
        pytest.param(replace(SOUND, headers=(("x-a", "v"),)), False, id="lower case"),
        pytest.param(replace(SOUND, headers=(("In-Reply-To", "v"),)), True, id="threading"),
        pytest.param(replace(SOUND, mime=b"x"), True, id="raw"),
    ],
)
def test_mime_is_used_only_where_json_cannot_express_the_message(
    message: Message, expected: bool
) -> None:
    assert needs_mime(message) is expected
