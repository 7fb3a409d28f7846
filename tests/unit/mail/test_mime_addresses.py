"""Address headers of raw MIME: what is checked is what is recorded and sent."""

from __future__ import annotations

from email.policy import default

import pytest

from local.simulator.graph import mime as simulator
from shared.mail.address import Address, BadAddress
from shared.mail.mime import address_header
from shared.mail.mime.header_section import MAX_HEADER_SECTION
from shared.mail.mime.reading import read
from shared.mail.mime.writing import compose
from tests.address_headers import HEADERS, is_sent_as_recorded, values
from tests.fakes import NOW
from tests.growth import assert_linear

ADDRESS_HEADERS = (*HEADERS, "Return-Receipt-To", "X-Sender", "X-Receiver")


def raw_with(*lines: str, sender: str = "From: Ada <ada@contoso.com>") -> bytes:
    return "\r\n".join((sender, "To: ada@contoso.com", *lines, "", "x")).encode()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Cc", "ok@b.example, evil@e.example;"),
        ("Bcc", "evil@e.example;"),
        ("Bcc", "evil@e.example@;"),
        ("Bcc", "evil@e.example@"),
        ("Bcc", "(evil@e.example;"),
        ("Bcc", "(evil@e.example)"),
        ("Cc", "ada@contoso.com (x, admin@contoso.com"),
        ("Cc", "admin@contoso.com x"),
        ("Cc", "x admin@contoso.com"),
        ("Cc", "list: a@b.example;, evil@e.example;"),
        ("Cc", "list: a@b.example; evil@e.example"),
        ("Cc", "list: a@b.example, evil@e.example"),
        ("Cc", ": a@b.example;"),
        ("Cc", "one: two: a@b.example;;"),
        ("Cc", "<evil@e.example> <ok@b.example>"),
        ("Cc", "ok@b.example <evil@e.example>"),
        ("Cc", "<@relay.example:evil@e.example>"),
        ("Cc", "<evil@e.example"),
        ("Cc", "evil@e.example>"),
        ("Cc", "<>"),
        ("Cc", "Ada <ada@b.example> x"),
        ("Cc", '"open <evil@e.example>'),
        ("Cc", '"x@y.example"@e.example'),
        ("Cc", "a\\,b <evil@e.example>"),
        ("Cc", "[x] <evil@e.example>"),
        ("Cc", "evil@[192.0.2.1]"),
        ("Cc", "=?utf-8?q?evil=40e=2Eexample?="),
        ("Cc", "=?utf-8?q?evil?=@e.example"),
        ("Cc", "=?utf-8?q?x=0D=0ABcc=3A_evil=40e=2Eexample?= <a@b.example>"),
        ("Cc", "IMCEASMTP-evil+40e+2Eexample@contoso.com"),
        ("Cc", "nobody"),
    ],
)
def test_a_recipient_that_only_some_readers_see_is_refused_by_the_headers_name(
    header: str, value: str
) -> None:
    _, problems = read(raw_with(f"{header}: {value}"))

    assert [problem.field for problem in problems] == [header]
    assert "<" not in problems[0].message


def test_a_group_and_what_follows_it_are_all_recipients() -> None:
    message, problems = read(raw_with("Cc: list: a@b.example;, evil@e.example"))

    assert problems == []
    assert message.cc == (Address("a@b.example"), Address("evil@e.example"))
    sent = simulator.read(compose(message, Address("ada@contoso.com"), "k", NOW), NOW)
    assert [one.address for one in sent.cc] == ["a@b.example", "evil@e.example"]


@pytest.mark.parametrize(
    ("value", "email", "name"),
    [
        ("ada@b.example", "ada@b.example", ""),
        ("<ada@b.example>", "ada@b.example", ""),
        ("Ada Lovelace <ada@b.example>", "ada@b.example", "Ada Lovelace"),
        ('"Lovelace, Ada" <ada@b.example>', "ada@b.example", "Lovelace, Ada"),
        ("Dr. A. Lovelace <ada@b.example>", "ada@b.example", "Dr. A. Lovelace"),
        ('Ada "Countess" L <ada@b.example>', "ada@b.example", "Ada Countess L"),
        ("=?utf-8?q?=C3=85?= =?utf-8?b?w6U=?= B <ada@b.example>", "ada@b.example", "Åå B"),
        ('"=?utf-8?q?a?=" <ada@b.example>', "ada@b.example", "=?utf-8?q?a?="),
        ("Åsa　山田 <ada@b.example>", "ada@b.example", "Åsa　山田"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example", ""),
        ("ada@b.example (Cron (x) \\( Daemon)", "ada@b.example", "Cron (x) ( Daemon"),
        ("Ada (Sales) <ada@b.example>", "ada@b.example", "Ada (Sales)"),
        ("(=?utf-8?q?=C3=85?=) ada@b.example", "ada@b.example", "Å"),
        (" ada (x) @ b.example ,", "ada@b.example", "x"),
        ("Ada\r\n\t<ada@b.example>", "ada@b.example", "Ada"),
        (", ada@b.example,,", "ada@b.example", ""),
        ("undisclosed-recipients:;, ada@b.example", "ada@b.example", ""),
    ],
)
def test_an_address_is_read_as_rfc_5322_has_it(value: str, email: str, name: str) -> None:
    message, problems = read(raw_with(f"Cc: {value}"))

    assert problems == []
    assert message.cc == (Address(email, name),)
    assert is_sent_as_recorded("Cc", value)


def test_what_is_generated_is_refused_or_sent_as_it_was_recorded() -> None:
    """The 20,000 of `tests/long` begin with another seed."""
    taken = dict.fromkeys(HEADERS, 0)
    count = 0
    for index, value in enumerate(values(3000, seed=14)):
        header = HEADERS[index % len(HEADERS)]
        taken[header] += is_sent_as_recorded(header, value)
        count += 1

    # Were nothing taken, or everything, nothing would be tested.
    assert count / 10 < sum(taken.values()) < count * 9 / 10
    assert min(taken[name] for name in ("From", "To", "Cc", "Bcc", "Reply-To")) > 20


def test_where_a_second_reader_finds_no_fault_it_finds_the_same_people() -> None:
    compared = 0
    for folded in values(2000, seed=15):
        value = folded.replace("\r\n", "")
        try:
            found = address_header.read(value)
        except BadAddress:
            continue
        header = default.header_factory("To", value)
        if value.isascii() and not header.defects:
            compared += 1
            assert [one.email for one in found] == [one.addr_spec for one in header.addresses], (
                value
            )
    assert compared > 100


@pytest.mark.parametrize("start", ["", '"', "("])
@pytest.mark.parametrize(
    "piece",
    [
        *'",:;<>()@[a',
        *('\\"', "()", "(\\", "(a) ", "a:;,", "a ", "a@b.co,", "<a@b.co>,", "é", "a\t"),
        *("=?utf-8?q?a?= ", "=?", "=?utf-8?q?", "=?utf-8?q?a?=", "(=?utf-8?q?a?= )"),
    ],
)
def test_the_time_of_reading_an_address_header_grows_with_its_length(
    start: str, piece: str
) -> None:
    def attempt(value: str) -> None:
        try:
            address_header.read(value)
        except BadAddress:
            return

    assert_linear(attempt, lambda n: start + piece * (n // len(piece)), MAX_HEADER_SECTION)


@pytest.mark.parametrize("header", ADDRESS_HEADERS)
@pytest.mark.parametrize(
    "value", [b"\xff@b.example", b"\xff <a@b.example>", b"a\x0b@b.example", b"a@b.example\x1b"]
)
def test_bytes_that_are_no_text_are_refused(header: str, value: bytes) -> None:
    raw = b"To: a@b.example\r\n" + header.encode() + b": " + value + b"\r\n\r\nx"

    _, problems = read(raw)

    assert {problem.field for problem in problems} <= {header, "body"}
    assert problems


@pytest.mark.parametrize(
    "name",
    [
        "=?utf-8?b?w?= =?utf-8?b?4U=?=",
        "=?utf-7?q?a?=",
        "=?gb2312?b?/w==?=",
        "x=?utf-8?q?a?=",
        "=?utf-8?q?a b?=",
        "=?utf-8?b?YQ==YQ==?=",
        "Ada (=?nonsense?q?a?=)",
    ],
)
def test_a_name_with_an_encoded_word_that_cannot_be_read_is_refused(name: str) -> None:
    """Written again as text, no mail program would decode it."""
    with pytest.raises(BadAddress, match="encoded word"):
        address_header.read(f"{name} <ada@b.example>")
