"""The Unicode encoding of a text, and the text in UTF-8. Pure: it knows neither HTTP nor the queue.

A byte order mark names the encoding (Unicode 16.0, 2.13). JSON without one shows it too: its first
character is ASCII, so the zero bytes beside it show the encoding (RFC 4627, 3).
"""

from __future__ import annotations

import codecs

import msgspec


class Encoding(msgspec.Struct, frozen=True):
    """A Unicode encoding: its name in a sentence, and Python's name for it."""

    name: str
    codec: str


UTF_8 = Encoding("UTF-8", "utf-8")
UTF_16_LE = Encoding("UTF-16 (little-endian)", "utf-16-le")
UTF_16_BE = Encoding("UTF-16 (big-endian)", "utf-16-be")
UTF_32_LE = Encoding("UTF-32 (little-endian)", "utf-32-le")
UTF_32_BE = Encoding("UTF-32 (big-endian)", "utf-32-be")

# UTF-32 first: its little-endian mark begins with the mark of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, UTF_32_LE),
    (codecs.BOM_UTF32_BE, UTF_32_BE),
    (codecs.BOM_UTF16_LE, UTF_16_LE),
    (codecs.BOM_UTF16_BE, UTF_16_BE),
)
_BEGINS_JSON = frozenset(b'{["\t\n\r ')
"""The first characters of a JSON object, list or text, including white space (RFC 8259, 2)."""


class WrongEncoding(ValueError):
    """The bytes are not valid in their encoding. The error's message follows "the message" in a
    sentence and quotes none of the text."""


def encoding_of(raw: bytes) -> tuple[Encoding, int]:
    """The encoding of a text, and the length of its byte order mark in bytes; 0 if it has none.

    A text that shows no other encoding counts as UTF-8. Whether it is valid is not checked here.
    """
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return encoding, len(mark)
    return _encoding_of_json(raw[:4]), 0


def _encoding_of_json(head: bytes) -> Encoding:
    zeros = [byte == 0 for byte in head]
    ascii_at = zeros.index(False) if False in zeros else 0
    if not any(zeros) or head[ascii_at] not in _BEGINS_JSON:
        return UTF_8
    if zeros == [True, True, True, False]:
        return UTF_32_BE
    if zeros == [False, True, True, True]:
        return UTF_32_LE
    if zeros[:2] == [True, False]:
        return UTF_16_BE
    if zeros[:2] == [False, True]:
        return UTF_16_LE
    return UTF_8


def to_utf8(raw: bytes) -> tuple[bytes, Encoding]:
    """The text in UTF-8 without a byte order mark, and its original encoding.

    Raises WrongEncoding if UTF-16 or UTF-32 is not valid. UTF-8 is returned unchecked: the reader
    of the text checks it and says where it is wrong.
    """
    encoding, mark = encoding_of(raw)
    if encoding is UTF_8:
        return raw[mark:], encoding
    try:
        return raw[mark:].decode(encoding.codec).encode(), encoding
    except UnicodeDecodeError as error:
        raise WrongEncoding(
            f"is {encoding.name}, and its bytes from {mark + error.start} on are not valid in it"
        ) from error
