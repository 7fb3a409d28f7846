"""Every text of a caller that reaches a header is data: it adds none, and is read back as it is.

Read by two readers: the standard library's, and one of the tests' own.
"""

from __future__ import annotations

import email
import email.policy
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.mail.address import Address, has_control_characters
from shared.mail.message import Attachment, Message, problems_of
from shared.mail.mime.writing import compose
from tests import mime_reader
from tests.fakes import NOW

KEY = "01a01f0a-da00-72d3-a652-e44da7f29e26"
SENDER = Address("billing@contoso.com", "Billing")
BOTH = Message(
    sender=None, to=(Address("ada@example.com"),), subject="Hi", text="Hello", html="<p>Hello</p>"
)

INJECTIONS = [
    "=?utf-8?q?a=0D=0AX-Injected=3A_yes=0D=0A?=",
    "=?utf-8?b?YQ0KWC1JbmplY3RlZDogeWVzDQo=?=",
    "=?utf-8?q?a=00b?=",
    "=?utf-8?q?=2E=2E=2Fevil=2Eexe?=",
    '=?utf-8?q?a=22=3B_filename=3D=22evil=2Eexe?= "',
    "=?iso-8859-1?q?=22=0D=0A=0D=0A--=3D=5F1?=",
    "a =?utf-8?q?=0D=0AX-Injected=3A_yes?= b",
    "=?utf-8''x?=",
    "utf-8''%0D%0AX-Injected%3A%20yes",
]
PART_NAMES = {"Content-Type", "Content-Disposition", "Content-Transfer-Encoding", "Content-ID"}


def composed(message: Message) -> bytes:
    assert problems_of(message) == []
    return compose(message, SENDER, KEY, NOW)


def standard(raw: bytes, policy: email.policy.Policy) -> email.message.Message:
    return email.message_from_bytes(raw, policy=policy)


def file_of(message: Message) -> mime_reader.Part:
    part = mime_reader.read(composed(message)).leaves[-1]
    assert set(part.names) <= PART_NAMES
    return part


SLASHES = [text for text in INJECTIONS if "/" not in text and "\\" not in text]


@pytest.mark.parametrize("filename", [*SLASHES, 'a"; filename="evil.exe', "a; x=y", "%0D%0A"])
def test_a_filename_is_written_literally(filename: str) -> None:
    message = replace(BOTH, attachments=(Attachment(filename, b"x"),))

    part = file_of(message)

    assert mime_reader.parameters(part.get("Content-Disposition")) == {"filename": filename}
    named = mime_reader.parameters(part.get("Content-Type"))
    assert mime_reader.decoded(named["name"]) == filename
    raw = composed(message)
    for policy in (email.policy.compat32, email.policy.default):
        found = list(standard(raw, policy).walk())[-1]
        assert found.get_filename() == filename
        assert "X-Injected" not in found


names = st.text(min_size=1, max_size=255).filter(
    lambda name: (
        bool(name.strip())
        and not has_control_characters(name)
        and "/" not in name
        and "\\" not in name
    )
)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(names)
def test_any_filename_keeps_every_character_in_both_places(filename: str) -> None:
    part = file_of(replace(BOTH, attachments=(Attachment(filename, b"x"),)))

    assert mime_reader.parameters(part.get("Content-Disposition")) == {"filename": filename}
    named = mime_reader.parameters(part.get("Content-Type"))["name"]
    assert mime_reader.decoded(named) == filename


@pytest.mark.parametrize(
    "filename",
    [" a.txt", "a.txt ", "a  b.txt", "a b.txt", "  ", "\u00a0a\u00a0.txt", "=?a", "é" * 255],
)
def test_a_filename_keeps_its_spaces_and_its_length(filename: str) -> None:
    if not filename.strip():
        message = replace(BOTH, attachments=(Attachment(filename, b"x"),))
        assert [one.field for one in problems_of(message)] == ["attachments[0].filename"]
        return
    raw = composed(replace(BOTH, attachments=(Attachment(filename, b"x"),)))

    part = mime_reader.read(raw).leaves[-1]
    assert mime_reader.parameters(part.get("Content-Disposition")) == {"filename": filename}
    # The library takes the spaces at the ends away.
    found = list(standard(raw, email.policy.compat32).walk())[-1].get_filename()
    assert found == filename.strip()


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_subject_is_written_literally(text: str) -> None:
    raw = composed(replace(BOTH, subject=text))

    part = mime_reader.read(raw)
    assert mime_reader.decoded(part.get("Subject")) == text
    assert "X-Injected" not in part.names
    found = standard(raw, email.policy.default)
    assert isinstance(found, EmailMessage)
    assert found["Subject"] == text
    assert "X-Injected" not in found


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("field", ["to", "cc", "bcc", "reply_to", "from"])
def test_a_display_name_is_written_literally(text: str, field: str) -> None:
    person = Address("grace@example.org", text)
    message = BOTH if field == "from" else replace(BOTH, **{field: (person,)})
    raw = compose(message, person if field == "from" else SENDER, KEY, NOW)

    part = mime_reader.read(raw)

    value = part.get(field.replace("_", "-"))
    assert mime_reader.decoded(value.rpartition("<")[0]).strip() == text
    assert "X-Injected" not in part.names
    header = str(standard(raw, email.policy.compat32)[field.replace("_", "-")])
    assert str(make_header(decode_header(header.rpartition("<")[0].strip()))) == text


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("name", ["X-Ref", "Comments", "X-Campaign"])
def test_a_headers_text_is_written_literally(name: str, text: str) -> None:
    raw = composed(replace(BOTH, headers=((name, text),)))

    part = mime_reader.read(raw)
    assert mime_reader.decoded(part.get(name)) == text
    assert "X-Injected" not in part.names
    assert standard(raw, email.policy.default)[name] == text


@pytest.mark.parametrize("name", ["In-Reply-To", "References", "List-Unsubscribe", "Precedence"])
@pytest.mark.parametrize("text", [text for text in INJECTIONS if text.count("?") > 3])
def test_an_encoded_word_where_ids_and_urls_stand_is_refused(name: str, text: str) -> None:
    found = problems_of(replace(BOTH, headers=((name, text),)))

    assert [one.field for one in found] == [f"headers.{name}"]


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_list_id_takes_an_encoded_word_as_a_name_only(text: str) -> None:
    name = text.replace("<", "").replace(">", "")
    value = f"{name} <news.contoso.com>"
    raw = composed(replace(BOTH, headers=(("List-Id", value),)))

    assert mime_reader.decoded(mime_reader.read(raw).get("List-Id")) == value
    refused = replace(BOTH, headers=(("List-Id", f"News <{text.replace(' ', '')}>"),))
    if text.count("?") > 3:
        assert [one.field for one in problems_of(refused)] == ["headers.List-Id"]


@pytest.mark.parametrize("text", [text for text in INJECTIONS if "=?" in text])
def test_a_content_id_with_an_encoded_word_is_refused(text: str) -> None:
    item = Attachment("a.png", b"x", "image/png", text.replace(" ", "").replace('"', ""))

    found = problems_of(replace(BOTH, attachments=(item,)))

    assert [one.field for one in found] == ["attachments[0].content_id"]


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_parameter_of_a_content_type_is_written_literally(text: str) -> None:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    item = Attachment("a.txt", b"x", f'text/plain; x="{escaped}"')

    part = file_of(replace(BOTH, attachments=(item,)))

    assert mime_reader.parameters(part.get("Content-Type")) == {"x": text, "name": "a.txt"}


@pytest.mark.parametrize("text", [f"<{text.replace(' ', '')}@b>" for text in INJECTIONS])
@pytest.mark.parametrize("field", ["in_reply_to", "references"])
def test_a_message_id_with_an_encoded_word_is_refused(field: str, text: str) -> None:
    value = text if field == "in_reply_to" else (text,)

    found = problems_of(replace(BOTH, **{field: value}))

    if "=?" in text and text.count("?") > 3:
        assert [one.field.partition("[")[0] for one in found] == [field]
    else:
        raw = compose(replace(BOTH, **{field: value}), SENDER, KEY, NOW)
        assert text in mime_reader.read(raw).get("References")


def test_a_boundary_stands_in_no_content() -> None:
    line = f"--=_1_{'0' * 24}"
    raw = composed(BOTH)
    boundary = mime_reader.parameters(mime_reader.read(raw).get("Content-Type"))["boundary"]
    text = f"\r\n--{boundary}\r\nX-Injected: yes\r\n\r\n--{boundary}--\r\n{line}"

    message = replace(
        BOTH,
        text=text,
        html=text,
        attachments=(Attachment(f"--{boundary}", text.encode(), "text/plain"),),
    )
    part = mime_reader.read(composed(message))

    assert [leaf.content.decode() for leaf in part.leaves] == [text, text, text]


def test_the_same_mail_is_written_the_same_twice() -> None:
    message = replace(BOTH, attachments=(Attachment("é.txt", b"x"),))

    assert composed(message) == composed(message)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.text(max_size=300) | st.text(alphabet="é=\r\n .x\x00", max_size=300))
def test_no_line_of_a_text_is_too_long_and_every_character_arrives(text: str) -> None:
    raw = composed(replace(BOTH, text=text, html=text * 20))

    plain, html = mime_reader.read(raw).leaves
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    # The last return and the first line feed of two repeats are one line end.
    repeated = (text * 20).replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    assert plain.content.decode() == lines
    assert html.content.decode() == repeated
    assert max(map(len, raw.split(b"\r\n"))) <= 998
