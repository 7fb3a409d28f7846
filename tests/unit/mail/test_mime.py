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
from shared.mail.message import (
    MAX_HEADER_VALUE,
    MAX_HEADERS,
    MAX_SUBJECT,
    Attachment,
    Importance,
    Message,
    problems_of,
)
from shared.mail.mime.reading import MAX_HEADER_SECTION, read
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

    assert parts(with_(attachments=files)) == [
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
        headers=(("X-Ref", value), ("List-Id", value)),
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
        "List-Id",
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


def test_a_raw_message_goes_as_it_is_with_the_key_on_top() -> None:
    raw = b"From: a@contoso.com\r\nTo: b@example.com\r\nmessage-id: <own@id>\r\n\r\n\x00\xffbody"

    assert compose(with_(mime=raw), SENDER, KEY, NOW) == (
        f"X-Postroom-Key: {KEY}\r\n".encode() + raw
    )


def test_a_raw_message_without_a_message_id_gets_the_mails_own() -> None:
    raw = b"From: a@contoso.com\r\nTo: b@example.com\r\n\r\nbody"

    sent = email.message_from_bytes(compose(with_(mime=raw), SENDER, KEY, NOW))

    assert sent.get_all("Message-ID") == [f"<postroom.{KEY}@contoso.com>"]


def test_a_raw_message_without_from_gets_the_senders() -> None:
    raw = b"To: b@example.com\r\n\r\nbody"

    sent = compose(with_(mime=raw), Address("a@contoso.com", "Ä"), KEY, NOW)

    assert decoded(sent, "From") == [("Ä", "a@contoso.com")]
    assert sent.endswith(raw)


# Reading.


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
    assert (message.subject, message.mime) == ("Å and more", raw)


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
        ("=?iso-8859-99?q?a?=", "=?iso-8859-99?q?a?="),
        ("=?punycode?q?99999-zzz?=", "=?punycode?q?99999-zzz?="),
        ("=?raw_unicode_escape?q?=5Cud800?=", "=?raw_unicode_escape?q?=5Cud800?="),
        ("=?unicode_escape?q?=5Cud800?=", "=?unicode_escape?q?=5Cud800?="),
        ("=?utf-7?q?+2AA-?=", "=?utf-7?q?+2AA-?="),
        ("=?utf-16-le?b?ANg=?=", "=?utf-16-le?b?ANg=?="),
        ("=?utf-8?b?7aCA?=", "=?utf-8?b?7aCA?="),
        ("=?rot13?q?nop?=", "=?rot13?q?nop?="),
        ("=?idna?q?xn--?=", "=?idna?q?xn--?="),
    ],
)
def test_encoded_words_are_decoded_from_the_charsets_of_mail_and_no_others(
    subject: str, expected: str
) -> None:
    raw = f"To: {subject} <a@example.com>\r\nSubject: {subject}\r\n\r\n".encode()

    message, problems = read(raw)

    assert problems == []
    assert (message.subject, message.to[0].name) == (expected, expected)


@pytest.mark.parametrize("script", ["x", "日", "😀"])
def test_the_longest_subject_of_any_script_is_decoded(script: str) -> None:
    message, problems = read(compose(with_(subject=script * MAX_SUBJECT), SENDER, KEY, NOW))

    assert [problem.field for problem in problems] == ["X-Postroom-Key"]
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

    message, problems = read(compose(with_(to=people), SENDER, KEY, NOW))

    assert [problem.field for problem in problems] == ["X-Postroom-Key"]
    assert message.to == people


def test_headers_of_the_greatest_size_are_read_and_one_byte_more_is_not() -> None:
    start = b"To: a@example.com\r\nX-A: "
    longest = start + b"x" * (MAX_HEADER_SECTION - len(start))

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


@pytest.mark.parametrize(
    "raw",
    [
        b"To: a@example.com\r\n\r\n",
        b"To: a@example.com",
        b"To: a@example.com\n\nbody",
        b"To: a@example.com\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nno parts",
        b"To: a@example.com\r\nFrom: a@contoso.com\r\n\r\nFrom here on it is body\r\n",
        b"To: undisclosed-recipients:;\r\nBcc: a@example.com\r\n\r\nbody",
        b"To: a@example.com\r\nSubject: =?utf-8?b?abcde?=\r\n\r\nbody",
        b"To: a@example.com\r\nSubject: =?nonsense?q?a?=\r\n\r\nbody",
        b"To: a@example.com, \r\n\r\nbody",
        b"To: a@example.com\r\nX-Raw: \xff\xfe\r\n\r\nbody",
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

    key, _, rest = sent.partition(b"\r\n")
    again, problems = read(rest)
    assert key == f"X-Postroom-Key: {KEY}".encode()
    assert problems == []
    assert again.sender == (message.sender or SENDER)
    assert again.recipients == message.recipients


@quick
@given(st.binary(max_size=400))
def test_any_bytes_are_read_and_nothing_is_raised(raw: bytes) -> None:
    message, problems = read(raw)

    assert message.mime == raw
    assert problems or message.mime
