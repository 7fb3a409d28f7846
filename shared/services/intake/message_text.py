"""The text of a queue message, taken out of what programs wrap it in.

Storage clients write plain text or base64, and a message does not say which. PowerShell and .NET add
a byte order mark, UTF-16, or a JSON text that holds the JSON. What can be meant in one way only is
read; for anything else it is said what the message looks like.
"""

from __future__ import annotations

import binascii
import re
from codecs import BOM_UTF8

import msgspec

from shared.services.intake.text_encoding import UTF_8, WrongEncoding, to_utf8

MAX_MESSAGE_BYTES = 65_536
"""Of a message as it is stored.
https://learn.microsoft.com/azure/storage/queues/scalability-targets"""

MAX_LAYERS = 3
"""How often a wrapping is taken off: a client that encodes what the program had encoded already
makes two."""

BASE64 = "base64"
JSON_TEXT = "a JSON text"

_WHITE_SPACE = b" \t\r\n"
_NOT_BASE64 = "is neither JSON nor base64 of it"
_URL_ALPHABET = bytes.maketrans(b"-_", b"+/")
_HEADER_LINE = re.compile(rb"[A-Za-z][A-Za-z0-9-]{0,60}: ")


class Unwrapped(msgspec.Struct, frozen=True):
    """What a queue message holds."""

    content: bytes
    """JSON text in UTF-8 that begins with `{`; with a fault, whatever was found last."""
    layers: tuple[str, ...] = ()
    """What it was wrapped in, from the outside in; UTF-8 is not named."""
    fault: str | None = None
    """Why it cannot be a mail, to follow "The queue message" in a sentence. Quotes nothing."""

    @property
    def document(self) -> bytes | None:
        """The JSON text, or None where there is none."""
        return self.content if self.fault is None else None

    @property
    def form(self) -> str:
        """The layers in words: "base64, in it UTF-16 (little-endian)"; empty for plain text."""
        return ", in it ".join(self.layers)


def unwrap(body: bytes) -> Unwrapped:
    """Take the JSON text out of a message. Raises nothing; takes a time in proportion to its size."""
    if len(body) > MAX_MESSAGE_BYTES:
        return Unwrapped(body, (), f"is larger than {MAX_MESSAGE_BYTES} bytes")
    content, layers = body, list[str]()
    while True:
        try:
            # White space is part of the encoding: not removed before it is known.
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
    """What one wrapping holds, and what that wrapping is; None for what is no wrapping."""
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
    """The bytes behind base64: in the standard or in the URL alphabet (RFC 4648, 4 and 5), with
    padding or without, white space anywhere. None for anything else, and for nothing."""
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
    # Many a word can be read as base64 too: of such a one it is not said that it is base64.
    if not layers or fault == _NOT_BASE64:
        return found
    return msgspec.structs.replace(found, fault=f"is {found.form}, and what that holds {fault}")
