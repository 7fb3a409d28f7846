"""A queue message is taken out of what programs wrap it in, where that can be meant in one way only."""

from __future__ import annotations

import base64
import gzip
import json
import textwrap
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.services.intake.message_text import MAX_MESSAGE_BYTES, from_base64, unwrap
from shared.services.intake.outbox_message import mail_id_in, wake_up_for
from tests.growth import assert_linear
from tests.message_forms import FORMS, Form, wrapped

MAIL_ID = "01a01f0a-da00-72d3-a652-e44da7f29e26"
MAIL = json.dumps(
    {"to": ["ada@contoso.com"], "subject": "Grüße ✓ 😀", "text": "???>>>~~~ÿÿÿ"}, ensure_ascii=False
)

quick = settings(deadline=None, derandomize=True, max_examples=200)
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@every_form
def test_a_whole_mail_is_read_in_every_form(form: Form) -> None:
    found = unwrap(form.wrap(MAIL))

    assert found.document is not None
    assert json.loads(found.document) == json.loads(MAIL)
    assert found.form == form.told


@every_form
def test_a_bell_is_read_in_every_form(form: Form) -> None:
    found = unwrap(form.wrap(wake_up_for(MAIL_ID)))

    assert mail_id_in(found.document or b"") == MAIL_ID


@every_form
@quick
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
def test_no_form_changes_what_a_mail_says(form: Form, text: str) -> None:
    mail = json.dumps({"text": text}, ensure_ascii=False)

    assert json.loads(unwrap(form.wrap(mail)).document or b"{}") == {"text": text}


REFUSED: list[tuple[bytes, str]] = [
    (b"", "is empty"),
    (b" \r\n", "is empty"),
    (b"hello", "is neither JSON nor base64 of it"),
    (b"null", "is neither JSON nor base64 of it"),
    (b"\x80abc", "is neither JSON nor base64 of it"),
    (b"[1, 2]", "is a list: put each mail on the queue as a message of its own"),
    (b'"hello"', "is neither JSON nor base64 of it"),
    (b'"half a text', "is a JSON text, and no JSON object"),
    (b"<string>x</string>", "is XML or HTML, and no JSON"),
    (b"x" * (MAX_MESSAGE_BYTES + 1), "is larger than 65536 bytes"),
    (base64.b64encode(b"[1]"), "is base64, and what that holds is a list: put each mail on the"),
    (
        base64.b64encode(gzip.compress(b"{}")),
        "is base64, and what that holds is compressed with gzip",
    ),
    (
        b"To: ada@contoso.com\r\n\r\nHello",
        "looks like a raw message (MIME), which is taken by POST",
    ),
    (
        base64.b64encode(b'\xff\xfe{\0"\0\x00\xd8"\0}\0'),
        "is base64, and what that holds is UTF-16 (little-endian), and its bytes from 6 on are not",
    ),
    (b"e30==", "is neither JSON nor base64 of it"),
    (base64.b64encode(b"{}") + b"=", "is neither JSON nor base64 of it"),
    (base64.b64encode(b"{}") * 2, "is neither JSON nor base64 of it"),
    (b"eyJ0byI6+-_", "is neither JSON nor base64 of it"),
    (wrapped("{}", *[base64.b64encode] * 4), "is neither JSON nor base64 of it"),
]


@pytest.mark.parametrize(("body", "told"), REFUSED)
def test_what_cannot_be_a_mail_is_refused_by_name(body: bytes, told: str) -> None:
    found = unwrap(body)

    assert found.document is None
    assert (found.fault or "").startswith(told)


@quick
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=200).map(base64.b64encode)))
def test_a_document_begins_like_one_or_there_is_none(body: bytes) -> None:
    found = unwrap(body)

    assert (found.document is None) is (found.fault is not None)
    assert found.document is None or found.document.startswith(b"{")


@quick
@given(
    content=st.binary(min_size=1, max_size=200),
    encode=st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]),
    padded=st.booleans(),
    gap=st.sampled_from([b"", b"\r\n", b" \t"]),
    at=st.integers(0, 300),
)
def test_base64_in_any_spelling_gives_the_same_bytes(
    content: bytes, encode: Callable[[bytes], bytes], padded: bool, gap: bytes, at: int
) -> None:
    written = encode(content) if padded else encode(content).rstrip(b"=")

    assert from_base64(written[:at] + gap + written[at:]) == content


def _filled(text: bytes) -> Callable[[int], bytes]:
    return lambda size: (text * (size // len(text) + 1))[:size]


MADE: dict[str, Callable[[int], bytes]] = {
    "opening quotes": _filled(b'"'),
    "backslashes in a JSON text": lambda size: b'"' + _filled(b"\\\\")(size - 2) + b'"',
    "equals signs": _filled(b"="),
    "base64": lambda size: base64.b64encode(_filled(b"x")(size * 3 // 4)),
    "base64 of base64": lambda size: wrapped("x" * (size * 9 // 16), *[base64.b64encode] * 2),
    "lines of base64": _filled(b"eyJ0\r\n"),
    "white space": _filled(b" \r\n"),
    "zeros": _filled(b"{\0"),
    "a long header name": _filled(b"To-"),
    "byte order marks": _filled(b"\xef\xbb\xbf"),
}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_the_time_it_takes_grows_with_the_size_of_the_message_alone(
    made: Callable[[int], bytes],
) -> None:
    def forty_times(body: bytes) -> None:
        for _ in range(40):
            unwrap(body)

    assert_linear(forty_times, made, MAX_MESSAGE_BYTES)


def test_the_lines_of_openssl_and_of_powershell_are_read() -> None:
    plain = base64.b64encode(MAIL.encode()).decode()

    for width in (64, 76):
        assert unwrap("\n".join(textwrap.wrap(plain, width)).encode()).document == MAIL.encode()
