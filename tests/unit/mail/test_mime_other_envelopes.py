"""No second envelope or subject leaves beside the one that is recorded."""

from __future__ import annotations

import pytest

from shared.mail import header_rules
from shared.mail.address import Address
from shared.mail.message import Attachment, Message, problems_of
from shared.mail.mime.header_section import bounds, names, without
from shared.mail.mime.reading import read
from shared.services.intake.address_fields import holds_several


@pytest.mark.parametrize(
    "kind",
    [
        "application/ms-tnef",
        "Application/VND.ms-tnef; name=letter.bin",
        "message/partial",
        "message/external-body",
    ],
)
def test_an_attachment_of_a_type_with_an_envelope_is_refused(kind: str) -> None:
    message = Message(
        sender=None,
        to=(Address("a@b.example"),),
        text="x",
        attachments=(Attachment("letter.bin", b"x", kind),),
    )

    assert [one.field for one in problems_of(message)] == ["attachments[0].content_type"]


@pytest.mark.parametrize(
    "filename",
    [
        "winmail.dat",
        "WinMail.DAT",
        "winmail.dat ",
        "\u00a0winmail.dat",
        "win\u200bmail.dat",
        "\uff57inmail.dat",
    ],
)
def test_a_file_that_is_opened_as_an_envelope_is_refused_whatever_its_type(filename: str) -> None:
    message = Message(
        sender=None,
        to=(Address("a@b.example"),),
        text="x",
        attachments=(Attachment(filename, b"x", "application/octet-stream"),),
    )

    assert [one.field for one in problems_of(message)] == ["attachments[0].filename"]


@pytest.mark.parametrize("name", ["X-Receiver", "X-Sender", "Thread-Topic"])
def test_a_header_that_raw_mime_reads_is_refused_in_a_document(name: str) -> None:
    assert header_rules.refusal_in_document(name) is not None
    assert header_rules.refusal(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "Mail-Copies-To",
        "Read-Receipt-To",
        "Return-Receipt-Requested",
        "X-Errors-To",
        "X-Reply-To",
        "X-Envelope-To",
        "X-Microsoft-Original-Message-ID",
    ],
)
def test_other_names_of_people_are_refused_everywhere(name: str) -> None:
    assert header_rules.refusal(name) is not None


@pytest.mark.parametrize(
    ("topic", "stays"), [("Offer", True), ("Re: Offer", True), ("Other", False)]
)
def test_a_thread_topic_is_refused_where_it_is_not_the_subject(topic: str, stays: bool) -> None:
    message, problems = read(
        f"To: a@b.example\r\nSubject: Re: Offer\r\nThread-Topic: {topic}\r\n\r\nx".encode()
    )

    assert [problem.field for problem in problems] == ([] if stays else ["Thread-Topic"])
    assert b"Thread-Topic" in (message.mime or b"")


def test_headers_that_grow_above_the_limit_are_refused() -> None:
    lines = "".join(f"X-H{n}: {chr(233) * 8000}\r\n" for n in range(16))

    _, problems = read(f"To: a@b.example\r\n{lines}\r\nx".encode())

    assert [problem.field for problem in problems] == ["body"]


def test_stored_headers_of_any_length_are_not_cut() -> None:
    raw = b"X-A: " + b"a" * 300_000 + b"\r\nX-B: 1\r\n\r\nbody"

    assert bounds(raw)[1] == len(raw) - 4
    assert names(raw) == ["X-A", "X-B"]
    assert without(raw, "none".__eq__) == raw


def test_a_list_is_recognised_without_reading_it() -> None:
    assert holds_several("a@b.example, c@d.example")
    assert not holds_several("a@b.example")
