"""Raw messages whose headers two readers may read differently."""

from __future__ import annotations

import pytest

from shared.mail.mime import reading


@pytest.mark.parametrize(
    ("line", "field"),
    [
        pytest.param(b"From : x@y.example", "body", id="space-before-colon"),
        pytest.param(b"Fr\xc3\xb6m: x@y.example", "body", id="not-ascii"),
        pytest.param(b"X-Postroom-Key: 1", "X-Postroom-Key", id="our-key"),
    ],
)
def test_a_raw_message_with_a_header_that_readers_may_disagree_on_is_refused(
    line: bytes, field: str
) -> None:
    _, problems = reading.read(b"To: a@b.example\r\n" + line + b"\r\n\r\nx")

    assert field in [problem.field for problem in problems]


@pytest.mark.parametrize(
    "line",
    [
        b"From: The CEO: billing@contoso.com;",
        b"From: The CEO:billing@contoso.com",
        b"From: The CEO:;, billing@contoso.com",
        b"From: (a \\) b) The\r\n CEO: billing@contoso.com;",
        b"Sender: The CEO: billing@contoso.com;",
    ],
)
def test_a_group_in_from_or_sender_is_refused_by_the_headers_name(line: bytes) -> None:
    _, problems = reading.read(b"To: a@b.example\r\n" + line + b"\r\n\r\nx")
    name = line.partition(b":")[0].decode()

    assert [p.field for p in problems if "Postroom accepts no groups here" in p.message] == [name]


@pytest.mark.parametrize(
    "value", [b'"CEO: \\" x" <a@b.example>', b"a@b.example (CEO: (b: c) \\( d:)"]
)
def test_a_colon_in_quotes_or_a_comment_makes_no_group(value: bytes) -> None:
    _, problems = reading.read(b"To: a@b.example\r\nFrom: " + value + b"\r\n\r\nx")

    assert problems == []


TO = b"To: a@b.example\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        TO + b"Subject: s\r\n\rFrom: ceo@c.example\r\n\r\nx",
        TO + b"X-A: 1\rFrom: ceo@c.example\r\n\r\nx",
        TO + b"X-A: 1\n\rFrom: ceo@c.example\r\n\r\nx",
        TO + b"X-A: 1\r\rFrom: ceo@c.example\r\n\r\nx",
        TO + b"X-A: 1\r\r\n\r\nx",
        TO + b"\r\r\n\r\nx",
        TO + b"X-A: 1\r",
        b"\r" + TO + b"\r\nx",
        TO + b"X-A: 1\0\r\n\r\nx",
        TO + b"Fr\0om: ceo@c.example\r\n\r\nx",
        b"To: a@b.example\n\rx\n\nx",
    ],
)
def test_a_lone_carriage_return_or_a_nul_among_the_headers_is_refused(raw: bytes) -> None:
    _, problems = reading.read(raw)

    assert [problem.field for problem in problems] == ["body"]
    assert "line" in problems[0].message


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_after_the_first_empty_line_any_byte_may_stand(end: bytes) -> None:
    head = b"To: a@b.example" + end + b"Subject: s" + end
    body = b"\r\0\n\rFrom: ceo@c.example\r\n\r\nx"

    message, problems = reading.read(head + end + body)

    assert problems == []
    assert (message.sender, message.subject) == (None, "s")


def test_line_ends_of_both_kinds_may_be_mixed() -> None:
    message, problems = reading.read(b"To: a@b.example\nSubject: s\r\n\nFrom: x@y.example\r\n\r\n")

    assert problems == []
    assert message.sender is None


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        (b"Received: from x", "Received"),
        (b"Return-Path: <ceo@c.example>", "Return-Path"),
        (b"Resent-From: ceo@c.example", "Resent-From"),
        (b"resent-bcc: v@c.example", "resent-bcc"),
        (b"X-MS-Exchange-Organization-SCL: -1", "X-MS-Exchange-Organization-SCL"),
        (b"DKIM-Signature: v=1", "DKIM-Signature"),
        (b"Sender: ceo@c.example", "Sender"),
        (b"From: x@b.example\r\nSender: ceo@c.example", "Sender"),
        (b"From: x@b.example\r\nSender: x@b.example, ceo@c.example", "Sender"),
        (b"From: x@b.example\r\nSender:", "Sender"),
    ],
)
def test_what_is_for_mail_servers_to_write_is_refused(lines: bytes, field: str) -> None:
    _, problems = reading.read(TO + lines + b"\r\n\r\nx")

    assert {problem.field for problem in problems} == {field}


def test_what_mail_programs_write_is_accepted() -> None:
    raw = (
        b"From: Ada <ada@c.example>\r\nSender: ADA@c.example\r\nDate: x\r\nMessage-ID: <a@b>\r\n"
        b"References: <a@b>\r\nX-Mailer: x\r\nX-MS-Has-Attach: yes\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
        b"Disposition-Notification-To: Ada <ada@c.example>\r\n"
    )

    assert reading.read(TO + raw + b"\r\nx")[1] == []
