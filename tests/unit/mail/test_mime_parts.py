"""Which parts a raw message may have: what mail programs write, and nothing two readers read two ways."""

from __future__ import annotations

import time

import pytest

from shared.mail.mime.header_section import MAX_HEADER_SECTION
from shared.mail.mime.reading import read

HEAD = b"To: ada@contoso.com\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
TNEF = (
    b'Content-Type: application/ms-tnef; name="winmail.dat"\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\neJ8+IgEGkAgABAAA\r\n"
)
TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nhi\r\n"


def multipart(content_type: bytes, boundary: bytes = b"B", part: bytes = TNEF) -> bytes:
    return (
        HEAD
        + b"Content-Type: "
        + content_type
        + b"\r\n\r\n--"
        + boundary
        + b"\r\n"
        + TEXT
        + b"--"
        + boundary
        + b"\r\n"
        + part
        + b"--"
        + boundary
        + b"--\r\n"
    )


def mixed(part: bytes) -> bytes:
    return multipart(b"multipart/mixed; boundary=B", part=part)


def refused(raw: bytes) -> list[str]:
    return [problem.field for problem in read(raw)[1]]


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b'multipart/mixed; boundary="' + b"b" * 71 + b'"', b"b" * 71),
        (b"multipart/mixed; boundary*0=A; boundary*1=B", b"AB"),
        (b"multipart/mixed; boundary*=us-ascii''B", b"B"),
        (b"multipart/mixed; boundary=A; boundary=B", b"B"),
        (b'multipart/mixed; boundary="B\tB"', b"B\tB"),
        (b'multipart/mixed; boundary="B\r\n B"', b"B B"),
        (b'multipart/mixed; boundary="\xc3\xbc"', b"\xc3\xbc"),
        (b'multipart/mixed; boundary="\\B"', b"B"),
        (b'multipart/mixed; boundary=" B"', b" B"),
        (b'multipart/mixed; boundary="B "', b"B"),
        (b"multipart/mixed; boundary=A=B", b"A=B"),
        (b"multipart/mixed; boundary=A/B", b"A"),
        (b'multipart/mixed; boundary=""', b""),
        (b"multipart/mixed", b"B"),
        (b"(c) multipart/mixed; boundary=B", b"B"),
        (b"multipart/mixed; boundary (c) =B", b"B"),
        (b"multipart/mixed (a; boundary=Z); boundary=B", b"B"),
        (b"multipart / mixed; boundary=B", b"B"),
        (b"multipart; boundary=B", b"B"),
        (b"multipart/mixed boundary=B", b"B"),
        (b"multipart/mixed, text/plain; boundary=B", b"B"),
        (b'multipart/mixed; x=a"; boundary=Z"; boundary=B', b"B"),
        (b'multipart/mixed; x="a; boundary=B', b"B"),
        (b"=?us-ascii?q?multipart/mixed?=; boundary=B", b"B"),
        (b"multi\r\n part/mixed; boundary=B", b"B"),
        (b'multipart/mixed; boundary="=?utf-8?Q?B?="', b"B"),
        (b"multipart/mixed; boundary='B'", b"B"),
        (b"multipart/mixed; boundary=\"'B'\"", b"B"),
        (b'multipart/mixed; x="a\\\\"; boundary=A; y="b; boundary=B; z="', b"B"),
        (b'multipart/mixed; x="; boundary=B"; boundary=A', b"B"),
        (b"text/plain; boundary=B", b"B"),
        (b"text/html; charset=utf-8; boundary*0=B", b"B"),
        (b"", b"B"),
    ],
)
def test_a_type_that_two_readers_may_read_two_ways_is_refused(
    content_type: bytes, boundary: bytes
) -> None:
    for part in (TNEF, TEXT):
        inner = multipart(content_type, boundary, part).removeprefix(HEAD)
        assert refused(multipart(content_type, boundary, part)) == ["Content-Type"]
        assert refused(mixed(inner)) == ["Content-Type"]


@pytest.mark.parametrize(
    "part",
    [
        b"X-Pad: " + b"a" * 900 + (b"\r\n " + b"a" * 900) * 75 + b"\r\n" + TNEF,
        TNEF.replace(b"application/ms-tnef", b"=?us-ascii?q?application/ms=2Dtnef?="),
        TNEF.replace(b"application/", b"application/\r\n "),
        TNEF.replace(b"application/ms-tnef", b"(c) application/ms-tnef"),
        TNEF.replace(b"application/ms-tnef", b"application/(c)ms-tnef"),
        b"Content-Type: text/plain\r\n" + TNEF,
        b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n" + TNEF,
        b"Content-Type: message/news\r\n\r\nSubject: inner\r\n" + TNEF,
        b"Content-Type: multipart/digest; boundary=D\r\n\r\n--D\r\n\r\n" + TNEF + b"--D--\r\n",
        b'Content-Type: message/partial; id="a@b"; number=1; total=1\r\n\r\nSubject: i\r\n\r\nx\r\n',
        b"Content-Type: message/external-body; access-type=mail-server\r\n\r\n\r\n",
        b'Content-Type: text/plain; hp="clear"\r\nComments: Other\r\n\r\nhi\r\n',
        b"Content-Type: text/plain; PROTECTED-HEADERS*0=v1\r\nComments: Other\r\n\r\nhi\r\n",
    ],
)
def test_a_part_of_a_kind_that_is_not_sent_is_refused_by_its_type(part: bytes) -> None:
    assert refused(mixed(part)) == ["Content-Type"]
    assert refused(HEAD + part) == ["Content-Type"]


@pytest.mark.parametrize(
    "part",
    [
        b"X-A: b\r" + TNEF,
        b"X-A: b\r\n \r\n" + TNEF,
        b" \r\n" + TNEF,
        TNEF.replace(b"Content-Type:", b"Content-Type \x0b:"),
        TNEF.replace(b"Content-Type:", b"Content-Type :"),
        b"no header\r\n" + TNEF,
        b"X-A: \0\r\n" + TNEF,
        b"X-Pad: " + b"a" * MAX_HEADER_SECTION + b"\r\n" + TNEF,
        TEXT + b"a\r--B\r" + TNEF.replace(b"\r\n", b"\r"),
        b"Content-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\na\r--B\r\n" + TNEF,
        b"Content-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\na\n--B\r" + TNEF,
        b"Content-Type: message/delivery-status\r\n\r\nStatus: 1\r\n\r\n" + TNEF,
        b"Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n" + TNEF,
        b'Content-Type: multipart/mixed; boundary="B--"\r\n\r\n--B--\r\n' + TNEF,
        TEXT + b"--B-- \r\n--B\r\n" + TNEF,
    ],
)
def test_what_only_some_readers_take_for_a_part_is_refused(part: bytes) -> None:
    assert refused(mixed(part)) == ["body"]


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (b"Content-ID: <a>\r\nContent-ID: <b>\r\n" + TEXT, "Content-ID"),
        (b"Content-X: 1\r\ncontent-x: 2\r\n" + TEXT, "content-x"),
        ("Content-X: a\u0085Bcc: e@e.example\r\n".encode() + TEXT, "Content-X"),
        ("Content-X: a\u2028Bcc: e@e.example\r\n".encode() + TEXT, "Content-X"),
        (
            b"Content-Transfer-Encoding: base64\r\nContent-Type: message/rfc822\r\n\r\nU3Vi\r\n",
            "Content-Transfer-Encoding",
        ),
        (
            b"Content-Transfer-Encoding: (c) base64\r\nContent-Type: message/global\r\n\r\nU3V\r\n",
            "Content-Transfer-Encoding",
        ),
        (
            b"Content-Transfer-Encoding: base64\r\n"
            b"Content-Type: multipart/mixed; boundary=C\r\n\r\nLS1D\r\n",
            "Content-Transfer-Encoding",
        ),
    ],
)
def test_a_field_of_a_part_is_refused_by_its_name(part: bytes, field: str) -> None:
    assert refused(mixed(part)) == [field]
    assert refused(HEAD + part) == [field]


# What mail programs write.

REPORT = b"""Content-Type: multipart/report; report-type=delivery-status;
\tboundary="7ABC1234.1700000000/mail.example.com"

This is a MIME-encapsulated message.

--7ABC1234.1700000000/mail.example.com
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry.

--7ABC1234.1700000000/mail.example.com
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.com

Final-Recipient: rfc822; bob@example.com
Action: failed
Status: 5.1.1

--7ABC1234.1700000000/mail.example.com
Content-Description: Undelivered Message
Content-Type: message/rfc822

Return-Path: <ada@contoso.com>
Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000
Subject: Hello
Content-Type: multipart/alternative; boundary="000000000000a1b2c3"

--000000000000a1b2c3
Content-Type: text/plain; charset="UTF-8"

Hello
--000000000000a1b2c3--

--7ABC1234.1700000000/mail.example.com--
"""
APPLE = b"""Content-Type: multipart/alternative;
\tboundary="Apple-Mail=_5E2D7A9C-0A4B-4E0B-9B5E-1B6E6F0E2C11"
Mime-Version: 1.0 (Mac OS X Mail 16.0 \\(3696.120.41.1.1\\))
X-Mailer: Apple Mail (2.3696.120.41.1.1)


--Apple-Mail=_5E2D7A9C-0A4B-4E0B-9B5E-1B6E6F0E2C11
Content-Transfer-Encoding: quoted-printable
Content-Type: text/plain;
\tcharset=utf-8

Gr=C3=BC=C3=9Fe
--Apple-Mail=_5E2D7A9C-0A4B-4E0B-9B5E-1B6E6F0E2C11
Content-Type: multipart/related;
\ttype="text/html";
\tboundary="Apple-Mail=_0F3C1D0E-5C5C-4C39-8B7E-6C1B1A2D3E4F"


--Apple-Mail=_0F3C1D0E-5C5C-4C39-8B7E-6C1B1A2D3E4F
Content-Transfer-Encoding: 7bit
Content-Type: text/html;
\tcharset=us-ascii

<p>Hi</p>
--Apple-Mail=_0F3C1D0E-5C5C-4C39-8B7E-6C1B1A2D3E4F
Content-Transfer-Encoding: base64
Content-Disposition: inline;
\tfilename*=utf-8''B%C3%BCro.png
Content-Type: image/png;
\tx-unix-mode=0644;
\tname="=?utf-8?Q?B=C3=BCro=2Epng?="
Content-Id: <A1B2@contoso.com>

iVBORw0=
--Apple-Mail=_0F3C1D0E-5C5C-4C39-8B7E-6C1B1A2D3E4F--

--Apple-Mail=_5E2D7A9C-0A4B-4E0B-9B5E-1B6E6F0E2C11--
"""
OUTLOOK = b"""Content-Type: multipart/signed; protocol="application/x-pkcs7-signature"; micalg=SHA1;
\tboundary="----=_NextPart_000_0012_01DA3B1C.5F0E2C10"
X-Mailer: Microsoft Outlook 16.0
Thread-Index: AQHaPJ==
Content-Language: de

This is a multipart message in MIME format.

------=_NextPart_000_0012_01DA3B1C.5F0E2C10
Content-Type: multipart/alternative;
\tboundary="----=_NextPart_001_0013_01DA3B1C.5F0E2C10"


------=_NextPart_001_0013_01DA3B1C.5F0E2C10
Content-Type: text/plain;
\tcharset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe

------=_NextPart_001_0013_01DA3B1C.5F0E2C10
Content-Type: text/html;
\tcharset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

<p>Gr=FC=DFe</p>
------=_NextPart_001_0013_01DA3B1C.5F0E2C10--

------=_NextPart_000_0012_01DA3B1C.5F0E2C10
Content-Type: application/pkcs7-signature;
\tname="smime.p7s"
Content-Transfer-Encoding: base64
Content-Disposition: attachment;
\tfilename="smime.p7s"

MIAGCSqGSIb3
------=_NextPart_000_0012_01DA3B1C.5F0E2C10--
"""
FORWARDED = b"""Content-Type: multipart/mixed; boundary="------------0aBcDeFgHiJkLmNoPqRsTuVw"
Content-Language: en-US

This is a multi-part message in MIME format.
--------------0aBcDeFgHiJkLmNoPqRsTuVw
Content-Type: text/plain; charset=UTF-8; format=flowed
Content-Transfer-Encoding: 7bit

-- =20
Ada
--------------0aBcDeFgHiJkLmNoPqRsTuVw
Content-Type: message/rfc822; charset=UTF-8; name="Hello.eml"
Content-Disposition: attachment; filename="Hello.eml"
Content-Transfer-Encoding: 7bit

Received: by 2002:a05:6402 with SMTP id x;
        Mon, 1 Jan 2024 00:00:00 -0800 (PST)
From: =?utf-8?q?B=C3=BCro?= <a@example.com>
Content-Type: multipart/mixed; boundary="===============0123456789=="

--===============0123456789==
Content-Type: text/plain; charset="us-ascii"
MIME-Version: 1.0
Content-Transfer-Encoding: 7bit

Hi
--===============0123456789==
Content-Type: application/octet-stream

x
--===============0123456789==--

--------------0aBcDeFgHiJkLmNoPqRsTuVw
Content-Type: application/pdf; name="=?UTF-8?Q?Gr=C3=B6=C3=9Fe=2Epdf?="
Content-Disposition: attachment; filename*0*=UTF-8''Gr%C3%B6; filename*1*=%C3%9Fe.pdf
Content-Transfer-Encoding: base64

JVBERi0=
--------------0aBcDeFgHiJkLmNoPqRsTuVw--
"""
SYSTEM_NET_MAIL = b"""Content-Type: multipart/mixed;
 boundary=--boundary_0_5f0e2c10-3b1c-4e0b-9b5e-1b6e6f0e2c11


----boundary_0_5f0e2c10-3b1c-4e0b-9b5e-1b6e6f0e2c11
Content-Type: multipart/alternative;
 boundary=--boundary_1_5f0e2c10-3b1c-4e0b-9b5e-1b6e6f0e2c11


----boundary_1_5f0e2c10-3b1c-4e0b-9b5e-1b6e6f0e2c11
Content-Type: text/plain; charset=us-ascii
Content-Transfer-Encoding: quoted-printable

Hi
----boundary_1_5f0e2c10-3b1c-4e0b-9b5e-1b6e6f0e2c11--

----boundary_0_5f0e2c10-3b1c-4e0b-9b5e-1b6e6f0e2c11
Content-Type: application/octet-stream; name=report.pdf
Content-Transfer-Encoding: base64
Content-Disposition: attachment

JVBERi0=
----boundary_0_5f0e2c10-3b1c-4e0b-9b5e-1b6e6f0e2c11--

"""
PHP_MAILER = b"""X-Mailer: PHPMailer 6.9.1 (https://github.com/PHPMailer/PHPMailer)
Content-Type: multipart/alternative;
 boundary="b1=_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcdef"
Content-Transfer-Encoding: 8bit

This is a multi-part message in MIME format.
--b1=_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcdef
Content-Type: text/plain; charset=us-ascii

Hi

--b1=_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcdef
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: 8bit

<p>Gr\xc3\xbc\xc3\x9fe</p>

--b1=_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcdef--
"""
BY_HAND = b"""Content-Type: multipart/related; type=text/html; start="<a@b>"; boundary="=_mixed 0057 A_=";

--=_mixed 0057 A_=
Content-Type: text/html; charset=utf-8;

<p>x</p>
--=_mixed 0057 A_=

no headers
--=_mixed 0057 A_=
Content-Type: application/pdf; name=my file.pdf
Content-Disposition: attachment; filename=my file.pdf

x
--=_mixed 0057 A_=
Content-Type: application/pdf; name="Gr\xf6\xdfe.pdf"
Content-Disposition: attachment; filename="Gr\xf6\xdfe.pdf"

x
--=_mixed 0057 A_=--"""
INVITATION = b"""Content-Type: text/calendar; charset="utf-8"; method=REQUEST; component=vevent
Content-class: urn:content-classes:calendarmessage

BEGIN:VCALENDAR
"""
SAME_COPIES = (
    b"Content-Type: multipart/mixed; boundary=outer\n\n"
    + (
        b"--outer\nContent-Type: message/rfc822\n\nSubject: Hello\n"
        b"Content-Type: multipart/mixed; boundary=inner\n\n--inner\n\nx\n--inner--\n\n"
    )
    * 2
    + b"--outer--\n"
)
SHAPES = {
    "delivery report": REPORT,
    "Apple Mail": APPLE,
    "Outlook, signed": OUTLOOK,
    "Thunderbird, forwarded": FORWARDED,
    "System.Net.Mail": SYSTEM_NET_MAIL,
    "PHPMailer": PHP_MAILER,
    "by hand": BY_HAND,
    "invitation": INVITATION,
    "the same mail forwarded twice": SAME_COPIES,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_mail_programs_write_is_taken_and_leaves_as_it_came(shape: str) -> None:
    raw = b"To: ada@contoso.com\nSubject: x\n" + SHAPES[shape]

    for each in (raw, raw.replace(b"\n", b"\r\n")):
        message, problems = read(each)

        assert problems == []
        assert message.mime is not None
        assert message.mime.endswith(raw.partition(b"\n\n")[2].replace(b"\n", b"\r\n"))


def test_a_lone_carriage_return_within_a_text_is_kept() -> None:
    """Cron sends what programs print, progress bars included."""
    message, problems = read(mixed(TEXT + b"10 %\r20 %\r\n"))

    assert problems == []
    assert b"10 %\r20 %\r\n" in (message.mime or b"")


@pytest.mark.parametrize(
    "line",
    [b"--Bx", b"--B\0", b"--B\x0b", b"--B-- x", b"--b", b"--b--", b"--B -", b"--B=20"],
)
@pytest.mark.parametrize("depth", [1, 3])
def test_a_line_that_only_begins_as_a_boundary_is_refused(line: bytes, depth: int) -> None:
    part = TEXT + line + b"\r\n" + TNEF
    for level in range(1, depth):
        name = b"outer" + str(level).encode()
        part = multipart(b"multipart/mixed; boundary=" + name, name, part).removeprefix(HEAD)

    assert refused(mixed(part)) == ["body"]


@pytest.mark.parametrize("second", [b"--B--", b"--B", b"--B-- "])
def test_two_boundaries_in_a_row_are_refused(second: bytes) -> None:
    raw = HEAD + b"Content-Type: multipart/mixed; boundary=B\r\n\r\n"

    assert refused(raw + b"--B\r\n" + second + b"\r\n" + TNEF) == ["body"]
    assert refused(mixed(TEXT + b"--B\r\n" + second + b"\r\n" + TNEF)) == ["body"]


@pytest.mark.parametrize(("outer", "inner"), [(b"B", b"B1"), (b"B1", b"B"), (b"b", b"B")])
def test_a_boundary_within_one_that_begins_alike_is_refused(outer: bytes, inner: bytes) -> None:
    part = multipart(b"multipart/mixed; boundary=" + inner, inner, TEXT).removeprefix(HEAD)

    assert refused(multipart(b"multipart/mixed; boundary=" + outer, outer, part)) == ["body"]


@pytest.mark.parametrize(
    "boundary",
    [
        b"----=_Part_1_2.3",
        b"----=_NextPart_000_0001_01DB5C0A.2F6E8B30",
        b"=-=Xy7",
        b"==_mimepart_6",
        b"=_abc",
        b"===============123==",
        b"Apple-Mail=_0A1B",
        b"b1=_4f3c",
        b"000000000000a1b2c3",
        b"--_NmP-8f2-Part_1",
        b"Mark=_1234567",
    ],
)
def test_the_boundaries_of_common_programs_are_taken(boundary: bytes) -> None:
    inner = b"x" + boundary[:-1]
    part = multipart(
        b'multipart/alternative; boundary="' + inner + b'"', inner, TEXT + b"-- \r\nAda\r\n"
    ).removeprefix(HEAD)

    assert (
        refused(multipart(b'multipart/mixed; boundary="' + boundary + b'"', boundary, part)) == []
    )


@pytest.mark.parametrize("line", [b"--Bx", b"--b", b"--B\0", b"--B--x"])
def test_a_line_that_begins_as_a_closed_boundary_is_refused(line: bytes) -> None:
    behind = line + b"\r\n" + TNEF
    outer = multipart(b"multipart/mixed; boundary=outer", b"outer", mixed(TEXT).removeprefix(HEAD))

    assert refused(mixed(TEXT) + behind) == ["body"]
    assert refused(outer.replace(b"--B--\r\n", b"--B--\r\n" + behind)) == ["body"]


def test_a_line_of_dashes_behind_a_multipart_is_no_boundary() -> None:
    assert refused(mixed(TEXT) + b"-- \r\nAda\r\n--\r\n----\r\n--other\r\n") == []


def test_lines_that_look_like_boundaries_take_little_time_beside_many_closed_multiparts() -> None:
    closed = b"".join(
        b"--Z\r\nContent-Type: multipart/mixed; boundary=q%02d%s\r\n\r\n--q%02d%s\r\n\r\nx\r\n--q%02d%s--\r\n"
        % ((number, b"k" * number) * 3)
        for number in range(66)
    )
    head = b"To: a@b.co\r\nContent-Type: multipart/mixed; boundary=Z\r\n\r\n"
    raw = head + closed + b"--Z\r\n\r\n" + b"\r\n--x" * 100_000 + b"\r\n--Z--\r\n"
    started = time.thread_time()

    _, problems = read(raw)

    assert problems == []
    assert time.thread_time() - started < 0.5
