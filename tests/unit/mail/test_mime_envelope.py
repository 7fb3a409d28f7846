"""X-Receiver and X-Sender: the envelope that System.Net.Mail writes into its pickup directory."""

from __future__ import annotations

import pytest

from shared.mail.address import Address
from shared.mail.mime.reading import read
from shared.mail.mime.writing import compose
from tests.fakes import NOW
from tests.mime_fields import fields_of

# As MailMessage with SmtpDeliveryMethod.SpecifiedPickupDirectory writes it.
PICKUP = b"""X-Sender: billing@contoso.com
X-Receiver: ada@example.com
X-Receiver: bob@example.com
X-Receiver: hidden@example.com
MIME-Version: 1.0
From: Billing <billing@contoso.com>
To: Ada <ada@example.com>
Cc: bob@example.com
Date: 20 Aug 2026 12:00:00 +0000
Subject: Invoice
Content-Type: text/plain; charset=us-ascii
Content-Transfer-Encoding: quoted-printable

Hello
""".replace(b"\n", b"\r\n")


def test_recipients_of_the_envelope_without_a_header_become_hidden_ones() -> None:
    message, problems = read(PICKUP)

    assert problems == []
    assert message.to == (Address("ada@example.com", "Ada"),)
    assert message.cc == (Address("bob@example.com"),)
    assert message.bcc == (Address("hidden@example.com"),)
    fields = fields_of(compose(message, Address("billing@contoso.com", "Billing"), "k", NOW))
    assert [name for name, _ in fields] == [
        "X-Postroom-Key",
        "From",
        "To",
        "Cc",
        "Bcc",
        "Subject",
        "Message-ID",
        "MIME-Version",
        "Date",
        "Content-Type",
        "Content-Transfer-Encoding",
    ]


def test_the_envelope_alone_is_enough() -> None:
    raw = (
        b"X-Receiver: <a@x.example>\r\nx-receiver: b@x.example\r\nX-RECEIVER: A@x.example\r\n\r\nx"
    )

    message, problems = read(raw)

    assert problems == []
    assert message.recipients == (Address("a@x.example"), Address("b@x.example"))


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        (b"X-Receiver: a@x.example\r\nTo: a@x.example\r\nCc: b@x.example", "X-Receiver"),
        (b"X-Receiver: a@x.example\r\nTo: a@x.example\r\nBcc: b@x.example", "X-Receiver"),
        (b"X-Receiver: a@x.example, b@x.example\r\nTo: a@x.example", "X-Receiver"),
        (b"X-Receiver: a@x.example;\r\nTo: a@x.example", "X-Receiver"),
        (b"X-Receiver:\r\nTo: a@x.example", "X-Receiver"),
        (b"X-Receiver: x: a@x.example;\r\nTo: a@x.example", "X-Receiver"),
        (b"X-Sender: b@x.example\r\nFrom: a@x.example\r\nTo: a@x.example", "X-Sender"),
        (b"X-Sender: a@x.example\r\nTo: a@x.example", "X-Sender"),
        (b"X-Sender: a@x.example\r\n" * 2 + b"From: a@x.example\r\nTo: a@x.example", "X-Sender"),
    ],
)
def test_an_envelope_that_the_headers_contradict_is_refused(lines: bytes, field: str) -> None:
    _, problems = read(lines + b"\r\n\r\nx")

    assert [problem.field for problem in problems] == [field]


def test_the_envelope_counts_among_the_recipients() -> None:
    lines = "".join(f"X-Receiver: a{n}@x.example\r\n" for n in range(500))

    assert read(f"{lines}\r\nx".encode())[1] == []
    for more in ("X-Receiver: b@x.example\r\n", "X-Receiver: a1@x.example\r\n" * 2):
        assert [one.field for one in read(f"{lines}{more}\r\nx".encode())[1]] == ["to"]
