"""What of a raw message leaves as it came: the other headers, the parts, the line ends."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from unittest.mock import ANY

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.simulator.graph import mime as simulator
from shared.mail.address import Address
from shared.mail.header_rules import MAX_HEADER_VALUE
from shared.mail.message import Message
from shared.mail.mime import structure
from shared.mail.mime.header_section import MAX_HEADER_SECTION, split
from shared.mail.mime.reading import read
from shared.mail.mime.structure import MAX_DEPTH, MAX_PARTS, Part
from shared.mail.mime.writing import compose
from shared.services.mails.packing import Packed, pack, unpack
from tests.fakes import NOW
from tests.growth import assert_linear
from tests.mime_fields import fields_of

SENDER = Address("billing@contoso.com", "Billing")
quick = settings(deadline=None, derandomize=True, max_examples=60)


def sent(raw: bytes) -> bytes:
    message, problems = read(raw)
    assert problems == []
    return compose(message, message.sender or SENDER, "key", NOW)


def parts(raw: bytes) -> list[Part]:
    return structure.parts(raw, *split(raw))


def body_of(raw: bytes) -> bytes:
    return raw.partition(b"\r\n\r\n")[2]


SIGNED = b"""To: ada@example.com
Content-Type: multipart/signed; protocol="application/pkcs7-signature";
 micalg=sha-256; boundary="outer"

This is signed.
--outer
Content-Type: multipart/mixed; boundary=inner

--inner
Content-Type: text/plain
Content-Transfer-Encoding: 8bit

Gr\xc3\xbc\xc3\x9fe  \t

.
--inner
Content-Type: application/pdf
Content-Transfer-Encoding: base64

JVBERi0=
--inner--

--outer
Content-Type: application/pkcs7-signature; name=smime.p7s
Content-Transfer-Encoding: base64

MIAGCSqGSIb3
--outer--
"""


def test_signed_content_leaves_byte_for_byte_but_for_its_line_ends() -> None:
    lines = SIGNED.replace(b"\n", b"\r\n")

    for raw in (SIGNED, lines, lines.replace(b"--inner\r\n", b"--inner\n")):
        assert body_of(sent(raw)) == body_of(lines)
        assert dict(fields_of(sent(raw)))["Content-Type"] == (
            'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; '
            'boundary="outer"'
        )


@pytest.mark.parametrize("kind", ["mixed", "signed"])
@pytest.mark.parametrize("content", [b"\n\r\n\r\0\xff\n", b"", b"\n", b"\r.", b"x--b\n--\n--ab"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_binary_part_keeps_its_bytes(kind: str, content: bytes, end: bytes) -> None:
    lines = [
        b"To: a@x.example",
        f"Content-Type: multipart/{kind}; boundary=b".encode(),
        b"",
        b"--b",
        b"Content-Type: application/octet-stream",
        b"Content-Transfer-Encoding: Binary ",
        b"",
        content,
        b"--b",
        b"",
        b"text",
        b"--b--",
        b"",
    ]

    found = body_of(sent(end.join(lines)))

    assert found == b"\r\n".join(lines[3:])


def test_a_whole_message_that_is_binary_keeps_its_bytes() -> None:
    head = b"To: a@x.example\nContent-Type: image/png\nContent-Transfer-Encoding: binary\n\n"

    assert body_of(sent(head + b"\x89PNG\r\n\x1a\n\0")) == b"\x89PNG\r\n\x1a\n\0"


def test_a_binary_part_of_an_attached_message_keeps_its_bytes() -> None:
    raw = (
        b"To: a@x.example\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
        b"Content-Type: message/rfc822\n\nSubject: inner\n"
        b"Content-Type: application/octet-stream\nContent-Transfer-Encoding: binary\n\n\n\xff\n\n"
        b"\n--b--\n"
    )

    assert b"binary\r\n\r\n\n\xff\n\n\r\n--b--\r\n" in sent(raw)


@quick
@given(
    st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b"--b", b"--b--", b" ", b"\r"]), max_size=20)
)
def test_no_line_feed_stands_alone_in_what_leaves(pieces: list[bytes]) -> None:
    head = b"To: a@x.example\nX-A: 1\n 2\nContent-Type: multipart/mixed; boundary=b\n\n"

    message, problems = read(head + b"".join(pieces))
    if problems:
        # A line that is no header in a part, or a lone carriage return.
        assert message.mime == head + b"".join(pieces)
        return
    found = compose(message, SENDER, "key", NOW)

    assert found.count(b"\n") == found.count(b"\r\n")
    assert found.replace(b"\r\n", b"\n").endswith(b"".join(pieces).replace(b"\r\n", b"\n"))


# The parts.


def test_the_parts_are_those_that_another_reader_finds() -> None:
    found = [(part.content_type, part.encoding) for part in parts(SIGNED)]

    other = email.message_from_bytes(SIGNED, policy=email.policy.default)
    assert found == [
        (part.get_content_type(), str(part.get("Content-Transfer-Encoding", "")))
        for part in other.walk()
        if not part.is_multipart()
    ]
    assert found[0] == ("text/plain", "8bit")


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/mixed; boundary=b", b"b"),
        (b'Multipart/Mixed;BOUNDARY = "a b"', b"a b"),
        (b'multipart/mixed; x="; a=no"; boundary=b', b"b"),
        (b'multipart/mixed; boundary="=_b=5F?"; charset="a;b"', b"=_b=5F?"),
        (b'multipart/mixed;\r\n\tboundary="b.+?";', b"b.+?"),
    ],
)
def test_the_boundary_is_found_however_it_is_written(content_type: bytes, boundary: bytes) -> None:
    raw = b"Content-Type: " + content_type + b"\r\n\r\n--" + boundary + b" \r\n\r\nx\r\n"
    start = raw.index(b"x\r\n", raw.index(b"\r\n\r\n"))

    assert parts(raw + b"--" + boundary + b"--\r\nend") == [
        Part("text/plain", "", ANY, start, start + 1)
    ]


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\nno parts",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b",
        b"Content-Type: message/rfc822\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=b",
    ],
)
def test_a_multipart_without_a_part_is_read_without_complaint(raw: bytes) -> None:
    assert len(parts(raw)) <= 1


def multiparts(depth: int) -> bytes:
    opened = b"".join(
        f"Content-Type: multipart/mixed; boundary=b{n:03}\r\n\r\n--b{n:03}\r\n".encode()
        for n in range(depth)
    )
    return b"To: a@x.example\r\n" + opened + b"\r\nx"


def test_more_parts_and_deeper_ones_than_are_read_are_refused() -> None:
    head = b"To: a@x.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"

    assert read(head + b"--b\r\n\r\n" * (MAX_PARTS - 1))[1] == []
    assert read(multiparts(MAX_DEPTH))[1] == []
    for raw in (head + b"--b\r\n\r\n" * MAX_PARTS, multiparts(MAX_DEPTH + 1)):
        assert [problem.field for problem in read(raw)[1]] == ["body"]


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Type: APPLICATION/MS-TNEF",
        b"Content-Type: application/vnd.ms-tnef; name=winmail.dat",
        b"Content-Type:\r\n (x) application/ms-tnef",
        b"Content-Type: application/ms-tnef\r\nContent-Type: text/plain",
    ],
)
def test_a_part_with_an_envelope_of_its_own_is_refused(depth: int, lines: bytes) -> None:
    raw = multiparts(depth).removesuffix(b"\r\nx") + lines + b"\r\n\r\nx"

    assert [problem.field for problem in read(raw)[1]] == ["Content-Type"]


BODY = 2_200_000


@pytest.mark.parametrize(
    "piece",
    [
        *(b"\n", b"\r", b"\r\n", b"a\n", b"--\n", b"--b\n", b"--b\n\n", b"--b--\n", b"--b x\n"),
        *(b"--b" + b" " * 99, b"--b\nContent-Type: message/rfc822\n\n", b'--b\n;a="'),
        b"--b\nContent-Transfer-Encoding: binary\n\n\n",
        *(b"Content-Type: message/rfc822\n\n", b"--b\n\n--c", b"\r--b", b"--bx\n", b"--b--\n--b\n"),
        b"--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\n",
    ],
)
def test_the_time_of_reading_a_body_grows_with_its_length(piece: bytes) -> None:
    head = b"To: a@x.example\nContent-Type: multipart/mixed; boundary=b\n\n"

    assert_linear(read, lambda size: head + piece * (size // len(piece)), BODY)


@pytest.mark.parametrize("piece", [b'; a="', b"; a=b", b'; a="\\"', b";", b'"', b"\\", b"\r\n x"])
def test_the_time_of_reading_a_content_type_grows_with_its_length(piece: bytes) -> None:
    def made(size: int) -> bytes:
        value = piece * ((size - 100) // len(piece))
        return b"To: a@x.example\r\nContent-Type: multipart/mixed" + value + b"\r\n\r\nx"

    assert_linear(read, made, MAX_HEADER_SECTION)


@pytest.mark.parametrize(
    "piece",
    [
        *(b"X-A: 1\r\n", b"X-A: \xc3\xa9\r\n", b" \r\n", b"a:\n", b":\n", b"\t"),
        *(b"X: =?utf-8?q?a?=\xc3\xa9\n", b"Received: x\r\n", b"Subject: x\r\n", b"Resent-x: a\r\n"),
        b"X-Receiver: a@b.co\r\n",
    ],
)
@pytest.mark.parametrize("start", [b"To: a@x.example\r\n", b"Subject: x", b"Subject: \xc3\xa9"])
def test_the_time_of_reading_headers_grows_with_their_length(start: bytes, piece: bytes) -> None:
    def made(size: int) -> bytes:
        return start + piece * ((size - 100) // len(piece)) + b"\r\n\r\nx"

    assert_linear(read, made, MAX_HEADER_SECTION)


@pytest.mark.parametrize(
    "piece",
    ["=?utf-8?q?a?= ", "=?utf-8?b?4pSA?=", "=?", "=?utf-8?q?", "=?a?q?b", "?=", "é", "=?x?q?a?= "],
)
def test_the_time_of_reading_a_subject_grows_with_its_length(piece: str) -> None:
    def made(size: int) -> bytes:
        value = piece * ((size - 100) // len(piece.encode()))
        return f"To: a@x.example\r\nSubject: {value}\r\n\r\nx".encode()

    assert_linear(read, made, MAX_HEADER_SECTION)


# The other headers.


def test_raw_utf_8_is_recorded_and_leaves_as_encoded_words() -> None:
    raw = (
        "From: Büro <billing@contoso.com>\nTo: Ada Größe <ada@bücher.example>\n"
        "Subject: Grüße\tund =?utf-8?q?=C3=84?=\nX-Note: für =?utf-8?q?=C3=84da?=\n"
        'Content-Type: text/plain; name="ä"\n\nGrüße\n'
    ).encode()

    message, problems = read(raw)
    found = sent(raw)

    assert problems == []
    assert message.sender == Address("billing@contoso.com", "Büro")
    assert message.to == (Address("ada@xn--bcher-kva.example", "Ada Größe"),)
    assert message.subject == "Grüße und Ä"
    seen = simulator.read(found, datetime(2026, 8, 20, tzinfo=UTC))
    assert (seen.subject, seen.to[0].name) == ("Grüße und Ä", "Ada Größe")
    assert dict(seen.headers)["X-Note"] == "für Äda"
    assert 'Content-Type: text/plain; name="ä"\r\n\r\nGrüße\r\n'.encode() in found


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"Subject: \xff", "Subject"),
        (b"X-A: \xff", "X-A"),
        (b"X-A: \xc3\xa9 =?utf-8?q?=0D=0ABcc=3A_e=40e.example?=", "X-A"),
        (b"X-A: " + b"\xc3\xa9" * (MAX_HEADER_VALUE + 1), "X-A"),
        (b"Message-ID: <\xc3\xa9@x.example>", "Message-ID"),
        (b"References: <\xc3\xa9@x.example>", "References"),
        (b"List-Id: \xc3\xa9 <x.example>", "List-Id"),
        (b"List-Unsubscribe: <https://x.example/\xc3\xa9>", "List-Unsubscribe"),
        (b"X-A: \x0b", "body"),
        (b"X-A: \x1b$B", "body"),
    ],
)
def test_a_header_that_cannot_be_passed_on_is_refused(line: bytes, field: str) -> None:
    _, problems = read(b"To: a@x.example\r\n" + line + b"\r\n\r\nx")

    assert [problem.field for problem in problems] == [field]


def test_an_ascii_header_leaves_byte_for_byte_but_for_lines_of_spaces() -> None:
    lines = b"x-ref:1\r\nMessage-ID:  <a=?b@x>\r\nReferences: <a@x>\r\n\t<b@x>  \r\n"

    assert lines + b"\r\nx" in sent(lines + b"To: a@x.example\r\n\r\nx")
    assert b"X-A: 1\r\n 2\r\n\r\n" in sent(b"To: a@x.example\r\nX-A: 1\r\n \t\r\n 2\r\n \r\n\r\nx")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"", "<postroom.key@contoso.com>"),
        (b"message-ID: <theirs@x>\r\n", "<theirs@x>"),
        (b"X-A: 1\r\n", "<postroom.key@contoso.com>"),
    ],
)
@pytest.mark.parametrize("body", [b"x", b"Message-ID: <in the body>\r\n\r\n"])
def test_a_message_id_is_added_where_there_is_none(line: bytes, expected: str, body: bytes) -> None:
    message, _ = read(line + b"To: a@x.example\r\n\r\n" + body)

    found = compose(message, SENDER, "key", NOW)

    ids = [value for name, value in fields_of(found) if name.lower() == "message-id"]
    assert ids == [expected]


@pytest.mark.parametrize(
    "given",
    [
        "=?us-ascii?q?=3Cpostroom=2E1=40contoso=2Ecom=3E?=",
        "<=?utf-8?q?postroom=2E?=1@contoso.com>",
        '<"postroom.1"@contoso.com>',
        "<(c)postroom.1@contoso.com>",
        "<\\postroom.1@contoso.com>",
        "postroom.1@contoso.com",
        "<1@x> <2@x>",
        "(none)",
        "x",
        "<>",
        "<a b@x>",
        "<" + "a" * 900 + "@x>",
    ],
)
def test_a_message_id_that_readers_may_read_in_two_ways_is_refused(given: str) -> None:
    raw = f"To: a@x.example\r\nMessage-ID: {given}\r\n\r\nx".encode()

    assert [problem.field for problem in read(raw)[1]] == ["Message-ID"]


@pytest.mark.parametrize(
    "given", ["<7@contoso.com>", "<a.b=?c@[10.0.0.1]>", "<no-host>", "<7@a:b>"]
)
def test_the_message_ids_of_programs_are_kept(given: str) -> None:
    message, problems = read(f"To: a@x.example\r\nMessage-ID: {given}\r\n\r\nx".encode())

    assert problems == []
    assert f"Message-ID: {given}\r\n".encode() in compose(message, SENDER, "key", NOW)


@pytest.mark.parametrize("blank", ["", " ", "\r\n ", "\r\n\t\r\n "])
def test_a_blank_message_id_is_none(blank: str) -> None:
    message, problems = read(f"To: a@x.example\r\nMessage-ID:{blank}\r\n\r\nx".encode())

    ids = [
        value
        for name, value in fields_of(compose(message, SENDER, "key", NOW))
        if name.lower() == "message-id"
    ]
    assert (problems, ids) == ([], ["<postroom.key@contoso.com>"])


def test_a_header_line_is_at_most_998_characters() -> None:
    for length, expected in ((998, []), (999, ["X-A"])):
        line = b"X-A: " + b"a" * (length - 5)
        for raw in (line, b"X-A: 1\r\n " + b"a" * (length - 1)):
            found = read(b"To: a@x.example\r\n" + raw + b"\r\n\r\nx")[1]
            assert [problem.field for problem in found] == expected


@pytest.mark.parametrize("given", ["<postroom.{id}@x.example>", " \r\n <PostRoom.{id}@x> (c)"])
def test_no_caller_gives_a_mail_the_message_id_that_another_mail_is_looked_for_by(
    given: str,
) -> None:
    value = given.format(id="01a01f0a-da00-72d3-a652-e44da7f29e26")

    _, problems = read(f"To: a@x.example\r\nMessage-ID: {value}\r\n\r\nx".encode())

    assert [problem.field for problem in problems] == ["Message-ID"]


def test_a_mail_stored_by_an_earlier_version_leaves_with_the_recorded_envelope() -> None:
    old = (
        b"From: CEO <billing@contoso.com>\nSender: CEO <billing@contoso.com>\n"
        b"To: ok@x.example, evil@e.example;\nBcc: (evil@e.example;\n hidden@e.example\n"
        b"Reply-To: evil@e.example@\nSubject: old\n more\nX-A: 1\n\nbody\n"
    )
    recorded = Message(sender=SENDER, to=(Address("ok@x.example"),), subject="old more", mime=old)

    message = unpack(pack(Packed(message=recorded, sender=SENDER))).message
    assert message is not None
    found = compose(message, SENDER, "key", NOW)

    assert fields_of(found) == [
        ("X-Postroom-Key", "key"),
        ("From", "Billing <billing@contoso.com>"),
        ("To", "ok@x.example"),
        ("Subject", "old more"),
        ("Message-ID", "<postroom.key@contoso.com>"),
        ("X-A", "1"),
    ]
    assert found.endswith(b"\r\n\r\nbody\n")
