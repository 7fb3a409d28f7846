"""Raw MIME, read from callers and rewritten for Graph: hostile input in both directions."""

from __future__ import annotations

import time
from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import getaddresses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.mail.address import Address
from shared.mail.message import MAX_SUBJECT, Message, problems_of
from shared.mail.mime.header_section import MAX_HEADER_SECTION
from shared.mail.mime.reading import read
from shared.mail.mime.writing import compose
from tests.fakes import NOW

KEY = "01a01f0a-da00-72d3-a652-e44da7f29e26"
SENDER = Address("billing@contoso.com", "Billing")
BOTH = Message(
    sender=None,
    to=(Address("ada@example.com", "Ada"),),
    subject="Hi",
    text="Hello",
    html="<p>Hello</p>",
)

quick = settings(deadline=None, derandomize=True, max_examples=40)


def with_(**changes: object) -> Message:
    return replace(BOTH, **changes)


def decoded(raw: bytes, name: str) -> list[tuple[str, str]]:
    values = message_from_bytes(raw).get_all(name, [])
    return [(str(make_header(decode_header(n))), a) for n, a in getaddresses(map(str, values))]


def without_key(raw: bytes) -> bytes:
    ours = (b"X-Postroom-Key:", b"Message-ID: <postroom.")
    return b"\r\n".join(line for line in raw.split(b"\r\n") if not line.startswith(ours))


def sent(raw: bytes, sender: Address = SENDER) -> bytes:
    """What leaves of a raw message that is accepted."""
    message, problems = read(raw)
    assert problems == []
    return compose(message, message.sender or sender, KEY, NOW)


def test_a_raw_message_leaves_with_its_envelope_written_anew_and_the_rest_as_it_is() -> None:
    raw = (
        b"x-REF:  1\r\n 2\r\nfrom: (x) a@contoso.com\r\nTo: b@example.com (B)\r\n"
        b"SUBJECT: Hi\r\nMIME-Version: 1.0\r\n\r\n\x00\xffbody"
    )

    assert sent(raw) == (
        f"X-Postroom-Key: {KEY}\r\n".encode()
        + b"From: x <a@contoso.com>\r\nTo: B <b@example.com>\r\nSubject: Hi\r\n"
        + f"Message-ID: <postroom.{KEY}@contoso.com>\r\n".encode()
        + b"x-REF:  1\r\n 2\r\nMIME-Version: 1.0\r\n\r\n\x00\xffbody"
    )


def test_a_raw_message_without_from_gets_the_senders() -> None:
    found = sent(b"To: b@example.com\r\n\r\nbody", Address("a@contoso.com", "Ä"))

    assert decoded(found, "From") == [("Ä", "a@contoso.com")]
    assert found.endswith(b"\r\n\r\nbody")


def test_a_raw_message_keeps_its_message_id_and_gets_one_where_it_has_none() -> None:
    raw = b"To: b@example.com\r\nmessage-ID: <own@id>\r\n\r\nMessage-ID: <body@id>"

    assert message_from_bytes(sent(raw)).get_all("Message-ID") == ["<own@id>"]
    given = message_from_bytes(sent(raw.replace(b"message-ID: <own@id>\r\n", b"")))
    assert given.get_all("Message-ID") == [f"<postroom.{KEY}@contoso.com>"]


def test_envelope_and_subject_are_read_from_the_headers() -> None:
    raw = (
        b"From: =?utf-8?q?=C3=85sa?= <asa@contoso.com>\r\n"
        b"To: Ada <ada@example.com>,\r\n b@example.com\r\nTo: c@example.com\r\n"
        b"Cc: Friends: d@example.com, e@example.com;\r\nBcc: f@example.com\r\n"
        b"Reply-To: help@contoso.com\r\n"
        b"Subject: =?utf-8?b?w4U=?= and\r\n more\r\n\r\nbody"
    )

    message, problems = read(raw)

    assert problems == []
    assert message.sender == Address("asa@contoso.com", "Åsa")
    assert [a.email for a in message.to] == ["ada@example.com", "b@example.com", "c@example.com"]
    assert [a.email for a in (*message.cc, *message.bcc, *message.reply_to)] == [
        "d@example.com",
        "e@example.com",
        "f@example.com",
        "help@contoso.com",
    ]
    assert (message.subject, message.mime) == ("Å and more", b"\r\nbody")


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("=?UTF-8?Q?=C3=85?=", "Å"),
        ("=?iso-8859-1?q?=C5?=", "Å"),
        ("=?windows-1252?q?=C5?=", "Å"),
        ("=?koi8-r?b?8A==?=", "П"),
        ("=?iso-2022-jp?b?GyRCRnwbKEI=?=", "日"),
        ("=?shift_jis?b?k/o=?=", "日"),
        ("=?gb18030?b?yNU=?=", "日"),
        ("=?big5?b?pOk=?=", "日"),
        ("=?euc-kr?b?7O0=?=", "日"),
        ("=?utf-8?b?4pSA?= " * 2, "──"),
        ("=?iso-8859-1?q?it=92s?=", "it\u2019s"),
        ("=?gb2312?b?1uzpRrv5?=", "朱镕基"),
        ("=?shift_jis?b?h0D7/A==?=", "①髙"),
        ("=?windows-31j?b?h0A=?=", "①"),
        ("=?ks_c_5601-1987?b?jGM=?=", "똠"),
        ("=?big5-hkscs?b?ne8=?=", "\N{CJK UNIFIED IDEOGRAPH-5605}"),
        ("=?tis-620?b?ysfRyrTV?=", "สวัสดี"),
        ("=?iso-8859-8-i?b?+ezl7Q==?=", "שלום"),
        ("=?macintosh?b?ig==?=", "ä"),
        ("=?koi8?b?0NLJ18XU?=", "привет"),
        ("=?unicode-1-1-utf-8?q?=C3=A4?=", "ä"),
    ],
)
def test_encoded_words_are_decoded_from_the_charsets_of_mail(subject: str, expected: str) -> None:
    raw = f"To: {subject} <a@example.com>\r\nSubject: {subject}\r\n\r\n".encode()

    message, problems = read(raw)

    assert problems == []
    assert (message.subject, message.to[0].name) == (expected, expected)


@pytest.mark.parametrize(
    "subject",
    [
        "=?iso-8859-99?q?a?=",
        "=?punycode?q?99999-zzz?=",
        "=?raw_unicode_escape?q?=5Cud800?=",
        "=?unicode_escape?q?=5Cud800?=",
        "=?utf-7?q?+2AA-?=",
        "=?utf-16-le?b?ANg=?=",
        "=?utf-8?b?7aCA?=",
        "=?utf-8?b?abcde?=",
        "=?rot13?q?nop?=",
        "=?idna?q?xn--?=",
        "=?iso-2022-jp?b?GyRCLSEbKEI=?=",
        "=?utf-8?q?a b?=",
    ],
)
def test_a_subject_with_an_encoded_word_that_cannot_be_read_is_refused(subject: str) -> None:
    _, problems = read(f"To: a@example.com\r\nSubject: {subject}\r\n\r\n".encode())

    assert [one.field for one in problems] == ["Subject"]
    assert "UTF-8" in problems[0].message


@pytest.mark.parametrize("script", ["x", "日", "😀"])
def test_the_longest_subject_of_any_script_is_decoded(script: str) -> None:
    written = compose(with_(subject=script * MAX_SUBJECT), SENDER, KEY, NOW)

    message, problems = read(without_key(written))

    assert problems == []
    assert message.subject == script * MAX_SUBJECT


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        (b"To: " + b"a@b.co," * 501, "to"),
        (b"To: a@b.co\r\n" + b"Cc: a@b.co\r\n" * 300 + b"Bcc: " + b"a@b.co," * 200, "to"),
        (b"To: a@b.co\r\nReply-To: " + b"a@b.co," * 501, "reply_to"),
        (b"To: a@b.co\r\nFrom: " + b"a@b.co," * 501, "From"),
    ],
)
def test_too_many_addresses_are_one_problem(headers: bytes, field: str) -> None:
    _, problems = read(headers + b"\r\n\r\nx")

    assert [problem.field for problem in problems] == [field]


def test_five_hundred_recipients_with_long_names_are_read() -> None:
    people = tuple(Address(f"a{n}@example.com", f"{n} {'é' * 30}") for n in range(500))

    message, problems = read(without_key(compose(with_(to=people), SENDER, KEY, NOW)))

    assert problems == []
    assert message.to == people


def test_headers_of_the_greatest_size_are_read_and_one_byte_more_is_not() -> None:
    start = b"To: a@example.com\r\nX-A: "
    line = b"x" * 400 + b"\r\n "
    longest = start + line * (MAX_HEADER_SECTION // len(line) - 1)
    longest += b"x" * (MAX_HEADER_SECTION - len(longest))

    assert read(longest + b"\r\n\r\n" + b"x" * 100)[1] == []
    for rest in (b"", b"\r\n\r\nx", b"x" * 100):
        assert [problem.field for problem in read(longest + b"x" + rest)[1]] == ["body"]


HALF = MAX_HEADER_SECTION // 2


def headers_with(value: bytes) -> bytes:
    """As large as headers may be: a subject and recipients made of one piece."""
    many = value * (HALF // len(value) - 100 // len(value) - 1)
    return b"Subject: " + many + b"\r\nTo: " + many + b"\r\n\r\nx"


@pytest.mark.parametrize(
    "raw",
    [
        b"To: a@b.co\r\nSubject: " + b"=?utf-8?q?a?= " * 75_000 + b"\r\n\r\nx",
        b"To: " + b"a@b.co," * 150_000 + b"\r\n\r\nx",
        b"a: b\r\n" * 170_000,
        b"\n " * 500_000,
        b"To: a@b.co\r\n\r\n" + b"\r" * 1_000_000,
        headers_with(b"=?utf-8?q?a?= "),
        headers_with(b"=?punycode?q?a?= "),
        headers_with(b"=?a?q?"),
        headers_with(b"=?"),
        headers_with(b"@"),
        headers_with(b"<"),
        headers_with(b"("),
        headers_with(b'"'),
        headers_with(b"\\"),
        headers_with(b"a:b;,"),
        headers_with("a@é.co,".encode()),
        headers_with(b"\xff"),
    ],
    ids=range(17),
)
def test_hostile_headers_are_dealt_with_in_little_time(raw: bytes) -> None:
    started = time.thread_time()

    read(raw)

    assert time.thread_time() - started < 3


@pytest.mark.parametrize(
    "raw",
    [
        b"To: a@example.com\r\n\r\n",
        b"To: a@example.com",
        b"To: a@example.com\n\nbody",
        b"To: a@example.com\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nno parts",
        b"To: a@example.com\r\nFrom: a@contoso.com\r\n\r\nFrom here on it is body\r\n",
        b"To: undisclosed-recipients:;\r\nBcc: a@example.com\r\n\r\nbody",
        b"To: a@example.com, \r\n\r\nbody",
    ],
)
def test_an_unusual_message_is_read_without_complaint(raw: bytes) -> None:
    message, problems = read(raw)

    assert problems == []
    assert [address.email for address in message.recipients] == ["a@example.com"]


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        pytest.param(b"", "body", id="nothing"),
        pytest.param(b"\r\nTo: a@example.com\r\n\r\n", "body", id="no header"),
        pytest.param(b"\x00\xff\xfe" * 100, "body", id="noise"),
        pytest.param(b" <e@x.org>\r\nTo: a@example.com\r\n\r\n", "body", id="leading fold"),
        pytest.param(b"From a@b Mon\r\nTo: a@example.com\r\n\r\n", "body", id="mbox line"),
        pytest.param(b"To: a@example.com\r\nbad\r\nBcc: v@x.org\r\n\r\n", "body", id="a bad line"),
        pytest.param(b"To: a@example.com\r\nFrom a@b\r\nCc: v@x.org\r\n\r\n", "body", id="mbox in"),
        pytest.param(b"From:\r\nTo: a@example.com\r\n\r\n", "From", id="empty From"),
        pytest.param(b"From: nobody:;\r\nTo: a@example.com\r\n\r\n", "From", id="From a group"),
        pytest.param(b"From: x\r\nTo: a@example.com\r\n\r\n", "From", id="bad From"),
        pytest.param(
            b"From: a@b.com\r\nFrom: c@d.com\r\nTo: a@example.com\r\n\r\n", "From", id="two Froms"
        ),
        pytest.param(
            b"From: a@b.com, c@d.com\r\nTo: a@example.com\r\n\r\n", "From", id="two authors"
        ),
        pytest.param(
            b"To: a@example.com\r\nSubject: a\r\nsubject: b\r\n\r\n", "Subject", id="two subjects"
        ),
        pytest.param(
            b"To: a@example.com\r\nSender: a@b.com\r\nSender: c@d.com\r\n\r\n",
            "Sender",
            id="two senders",
        ),
        pytest.param(
            b"To: a@example.com\r\nX-Postroom-Key: x\r\n\r\n", "X-Postroom-Key", id="our key"
        ),
        pytest.param(b"To: a@example.com\r\nFrom : x@y.org\r\n\r\n", "body", id="From :"),
        pytest.param(b"To: a@example.com\r\nCc: nobody\r\n\r\n", "Cc", id="bad Cc"),
        pytest.param(b"To: \xff@example.com\r\n\r\n", "To", id="eight bits"),
        pytest.param(b"To: =?utf-8?q?a=40example=2Ecom?=\r\n\r\n", "To", id="encoded address"),
        pytest.param(b"To: " + b"(" * 50_000 + b"\r\n\r\n", "To", id="deep comments"),
        pytest.param(b"To: <<<<<<\r\n\r\n", "To", id="brackets"),
        pytest.param(
            b"To: =?utf-8?q?a=00b?= <a@example.com>\r\n\r\n", "To", id="control in a name"
        ),
    ],
)
def test_a_message_that_can_be_read_in_two_ways_is_refused_by_its_header(
    raw: bytes, field: str
) -> None:
    _, problems = read(raw)

    assert field in [problem.field for problem in problems]


def test_a_control_character_hidden_in_an_encoded_subject_is_found() -> None:
    message, _ = read(b"To: a@example.com\r\nSubject: =?utf-8?q?a=00b?=\r\n\r\n")

    assert [problem.field for problem in problems_of(message)] == ["subject"]


def test_a_line_break_hidden_in_an_encoded_subject_is_a_space() -> None:
    message, _ = read(b"To: a@example.com\r\nSubject: =?utf-8?q?a=0D=0ABcc=3A_b?=\r\n\r\n")

    assert message.subject == "a Bcc: b"


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    st.lists(
        st.sampled_from(
            [
                b"To: a@example.com",
                b"From: a@contoso.com",
                b"From:",
                b"Bcc: v@example.org",
                b"Subject: x",
                b" folded",
                b"noise",
                b"",
                b"From x",
                b":",
                b"X",
                b"To: <",
                b'To: "',
                b"\x00",
                b"\xff: \xff",
                b"=?utf-8?b?x?=: y",
            ]
        ),
        max_size=6,
    ),
    st.sampled_from([b"\r\n", b"\n", b"\r"]),
)
def test_what_is_sent_has_the_from_and_the_recipients_that_were_checked(
    lines: list[bytes], line_end: bytes
) -> None:
    message, problems = read(line_end.join(lines))
    if problems or problems_of(message):
        return

    sent = compose(message, message.sender or SENDER, KEY, NOW)

    assert sent.startswith(f"X-Postroom-Key: {KEY}\r\n".encode())
    again, problems = read(without_key(sent))
    assert problems == []
    assert again.sender == (message.sender or SENDER)
    assert again.recipients == message.recipients


@quick
@given(st.binary(max_size=400))
def test_any_bytes_are_read_and_nothing_is_raised(raw: bytes) -> None:
    message, problems = read(raw)

    assert problems or message.mime
    assert problems or compose(message, SENDER, KEY, NOW)
