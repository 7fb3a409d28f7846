"""Reads the text of a queue message, which programs encode in several ways.

Storage clients write plain text or base64, and a message does not say which. PowerShell and .NET
add a byte order mark, use UTF-16, or write a JSON text that holds the JSON. An encoding that has
only one meaning is read; for any other message the error says what it looks like.
"""

from __future__ import annotations

import binascii
import re
from codecs import BOM_UTF8

import msgspec

from shared.services.intake.text_encoding import UTF_8, WrongEncoding, to_utf8

MAX_MESSAGE_BYTES = 65_536
"""The limit of a stored message.
https://learn.microsoft.com/azure/storage/queues/scalability-targets"""

MAX_LAYERS = 3
"""How many encodings are removed. A client that encodes what the program has already encoded makes
two."""

BASE64 = "base64"
JSON_TEXT = "a JSON text"

_WHITE_SPACE = b" \t\r\n"
_NOT_BASE64 = "is neither JSON nor base64 of it"
_URL_ALPHABET = bytes.maketrans(b"-_", b"+/")
_HEADER_LINE = re.compile(rb"[A-Za-z][A-Za-z0-9-]{0,60}: ")


class Unwrapped(msgspec.Struct, frozen=True):
    """The content of a queue message."""

    content: bytes
    """JSON text in UTF-8 that begins with `{`. With a fault: what was found last."""
    layers: tuple[str, ...] = ()
    """Its encodings, outermost first; UTF-8 is not named."""
    fault: str | None = None
    """Why it cannot be a mail, as the end of a sentence that begins with "The queue message".
    Quotes nothing of it."""

    @property
    def document(self) -> bytes | None:
        """The JSON text, or None where there is none."""
        return self.content if self.fault is None else None

    @property
    def form(self) -> str:
        """The encodings in words: "base64, in it UTF-16 (little-endian)"; empty for plain text."""
        return ", in it ".join(self.layers)


def unwrap(body: bytes) -> Unwrapped:
    """Find the JSON text in a message. Raises nothing; the time is proportional to its size."""
    if len(body) > MAX_MESSAGE_BYTES:
        return Unwrapped(body, (), f"is larger than {MAX_MESSAGE_BYTES} bytes")
    content, layers = body, list[str]()
    while True:
        try:
            # White space may be part of the encoding, so it is not removed before the encoding is
            # known.
            content, encoding = to_utf8(content)
        except WrongEncoding as error:
            return _with_fault(content, layers, str(error))
        if encoding is not UTF_8:
            layers.append(encoding.name)
        content = content.strip(_WHITE_SPACE).removeprefix(BOM_UTF8).lstrip(_WHITE_SPACE)
        if content[:1] == b"{":
            return Unwrapped(content, tuple(layers))
        inner = _inside(content) if len(layers) < MAX_LAYERS else None
        if inner is None:
            return _with_fault(content, layers, _fault_of(content))
        content = inner[0]
        layers.append(inner[1])


def _inside(content: bytes) -> tuple[bytes, str] | None:
    """Remove one encoding: its content and its name; None if there is none."""
    if content[:1] == b'"':
        text = _json_text(content)
        return None if text is None else (text, JSON_TEXT)
    decoded = from_base64(content)
    return None if decoded is None else (decoded, BASE64)


def _json_text(content: bytes) -> bytes | None:
    try:
        return msgspec.json.decode(content, type=str).encode()
    except (msgspec.MsgspecError, UnicodeError):
        return None


def from_base64(text: bytes) -> bytes | None:
    """The bytes that base64 encodes: in the standard or the URL alphabet (RFC 4648, 4 and 5), with
    or without padding, with white space anywhere. None for anything else, and for an empty text."""
    packed = text.translate(None, _WHITE_SPACE)
    letters = packed.rstrip(b"=")
    missing = -len(letters) % 4
    if not letters or missing == 3 or len(packed) - len(letters) not in (0, missing):
        return None
    if b"-" in letters or b"_" in letters:
        if b"+" in letters or b"/" in letters:
            return None
        letters = letters.translate(_URL_ALPHABET)
    try:
        return binascii.a2b_base64(letters + b"=" * missing, strict_mode=True)
    except binascii.Error:
        return None


def _fault_of(content: bytes) -> str:
    if not content:
        return "is empty"
    if content[:1] == b"[":
        return "is a list: put each mail on the queue as a message of its own"
    if content[:1] == b'"':
        return "is a JSON text, and no JSON object"
    if content[:1] == b"<":
        return "is XML or HTML, and no JSON"
    if content[:2] == b"\x1f\x8b":
        return "is compressed with gzip, which is not taken"
    if _HEADER_LINE.match(content):
        return (
            "looks like a raw message (MIME), which is taken by POST /api/send with the content type "
            "message/rfc822 alone"
        )
    return _NOT_BASE64


def _with_fault(content: bytes, layers: list[str], fault: str) -> Unwrapped:
    found = Unwrapped(content, tuple(layers), fault)
    # Many plain words are valid base64 too. If one of them was decoded, the error does not mention
    # base64.
    if not layers or fault == _NOT_BASE64:
        return found
    return msgspec.structs.replace(found, fault=f"is {found.form}, and what that holds {fault}")
