"""Which Unicode encoding a text is in."""

from __future__ import annotations

import codecs

import pytest

from shared.services.intake.text_encoding import (
    UTF_8,
    UTF_16_BE,
    UTF_16_LE,
    UTF_32_BE,
    UTF_32_LE,
    Encoding,
    WrongEncoding,
    encoding_of,
    to_utf8,
)

TEXT = '{"to": "ada@contoso.com", "subject": "Grüße 漢 😀"}'
MARKS = {
    UTF_8: codecs.BOM_UTF8,
    UTF_16_LE: codecs.BOM_UTF16_LE,
    UTF_16_BE: codecs.BOM_UTF16_BE,
    UTF_32_LE: codecs.BOM_UTF32_LE,
    UTF_32_BE: codecs.BOM_UTF32_BE,
}

every = pytest.mark.parametrize("encoding", MARKS, ids=lambda one: one.codec)


@every
def test_a_byte_order_mark_says_the_encoding_and_is_taken_away(encoding: Encoding) -> None:
    raw = MARKS[encoding] + TEXT.encode(encoding.codec)

    assert encoding_of(raw) == (encoding, len(MARKS[encoding]))
    assert to_utf8(raw) == (TEXT.encode(), encoding)


@every
@pytest.mark.parametrize("before", ["", "\r\n ", "\t"])
def test_json_without_a_mark_shows_its_encoding_by_itself(encoding: Encoding, before: str) -> None:
    raw = (before + TEXT).encode(encoding.codec)

    assert to_utf8(raw) == ((before + TEXT).encode(), encoding)


@every
@pytest.mark.parametrize("text", ["{", "[]", '"漢"', "{}"])
def test_the_shortest_json_texts_show_it_too(encoding: Encoding, text: str) -> None:
    assert to_utf8(text.encode(encoding.codec)) == (text.encode(), encoding)


@pytest.mark.parametrize(
    "raw", [b"", b"\0", b"\0\0\0\0", b"a\0b\0", b"\0a", b'{"\0', b"\xff", b"{"]
)
def test_what_shows_no_encoding_is_left_as_it_is(raw: bytes) -> None:
    assert to_utf8(raw) == (raw, UTF_8)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        pytest.param(
            "{}".encode("utf-16-le") + b"\0",
            "is UTF-16 (little-endian), and its bytes from 4 on are not valid in it",
            id="an odd number of bytes",
        ),
        pytest.param(
            b'\xff\xfe{\0"\0\x00\xd8"\0}\0',
            "is UTF-16 (little-endian), and its bytes from 6 on are not valid in it",
            id="half a character",
        ),
        pytest.param(
            codecs.BOM_UTF32_BE + b"\x00\x11\x00\x00",
            "is UTF-32 (big-endian), and its bytes from 4 on are not valid in it",
            id="no character at all",
        ),
    ],
)
def test_what_is_not_valid_in_its_encoding_is_refused_with_its_place(raw: bytes, told: str) -> None:
    with pytest.raises(WrongEncoding) as caught:
        to_utf8(raw)

    assert str(caught.value) == told
