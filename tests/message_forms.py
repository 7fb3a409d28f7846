"""Forms in which programs put one JSON text on a queue, for tests."""

from __future__ import annotations

import base64
import codecs
import json
from collections.abc import Callable
from dataclasses import dataclass

Wrap = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Form:
    """How a program writes a text, and what the form is called."""

    wrap: Callable[[str], bytes]
    told: str
    is_text: bool = True
    """Whether it can stand on a storage queue, whose messages are XML text."""


def wrapped(text: str, *wraps: Wrap) -> bytes:
    """The text in UTF-8 in all wrappings, the innermost first."""
    content = text.encode()
    for wrap in wraps:
        content = wrap(content)
    return content


def in_lines(encoded: bytes) -> bytes:
    """As `base64`, `openssl` and `Convert.ToBase64String(…, InsertLineBreaks)` write it."""
    return b"\r\n".join(encoded[at : at + 76] for at in range(0, len(encoded), 76)) + b"\r\n"


def unpadded(encoded: bytes) -> bytes:
    """Without the equals signs at the end, as JWT libraries write it."""
    return encoded.rstrip(b"=")


def as_json_text(content: bytes) -> bytes:
    """As `ConvertTo-Json` writes what is JSON already."""
    return json.dumps(content.decode()).encode()


def _as(codec: str, mark: bytes = b"") -> Callable[[str], bytes]:
    return lambda text: mark + text.encode(codec)


def _as_base64(codec: str, mark: bytes = b"") -> Callable[[str], bytes]:
    return lambda text: base64.b64encode(mark + text.encode(codec))


LE, BE = "UTF-16 (little-endian)", "UTF-16 (big-endian)"
JSON_TEXT = "a JSON text"

FORMS: dict[str, Form] = {
    "plain": Form(_as("utf-8"), ""),
    "plain in lines": Form(lambda text: f"\r\n  {text}\n".encode(), ""),
    "plain with a mark": Form(_as("utf-8", codecs.BOM_UTF8), ""),
    "plain with white space and a mark": Form(_as("utf-8", b"\r\n" + codecs.BOM_UTF8), ""),
    "UTF-16 LE with a mark": Form(_as("utf-16-le", codecs.BOM_UTF16_LE), LE, is_text=False),
    "UTF-16 BE with a mark": Form(_as("utf-16-be", codecs.BOM_UTF16_BE), BE, is_text=False),
    "UTF-16 LE": Form(_as("utf-16-le"), LE, is_text=False),
    "UTF-16 BE": Form(_as("utf-16-be"), BE, is_text=False),
    "a JSON text": Form(lambda text: wrapped(text, as_json_text), JSON_TEXT),
    "base64": Form(lambda text: wrapped(text, base64.b64encode), "base64"),
    "base64 with a mark in front": Form(
        lambda text: codecs.BOM_UTF8 + wrapped(text, base64.b64encode), "base64"
    ),
    "base64 of a mark": Form(_as_base64("utf-8", codecs.BOM_UTF8), "base64"),
    "base64 in lines": Form(lambda text: wrapped(text, base64.b64encode, in_lines), "base64"),
    "base64 with spaces": Form(
        lambda text: b" \t" + wrapped(text, base64.b64encode) + b"\n ", "base64"
    ),
    "base64 without padding": Form(
        lambda text: wrapped(text, base64.b64encode, unpadded), "base64"
    ),
    "base64url": Form(lambda text: wrapped(text, base64.urlsafe_b64encode), "base64"),
    "base64url without padding": Form(
        lambda text: wrapped(text, base64.urlsafe_b64encode, unpadded), "base64"
    ),
    "base64 of UTF-16 LE": Form(_as_base64("utf-16-le"), f"base64, in it {LE}"),
    "base64 of UTF-16 LE with a mark": Form(
        _as_base64("utf-16-le", codecs.BOM_UTF16_LE), f"base64, in it {LE}"
    ),
    "base64 of UTF-16 BE": Form(_as_base64("utf-16-be"), f"base64, in it {BE}"),
    "base64 of UTF-16 BE with a mark": Form(
        _as_base64("utf-16-be", codecs.BOM_UTF16_BE), f"base64, in it {BE}"
    ),
    "base64 of UTF-32 LE": Form(_as_base64("utf-32-le"), "base64, in it UTF-32 (little-endian)"),
    "base64 twice": Form(
        lambda text: wrapped(text, base64.b64encode, base64.b64encode), "base64, in it base64"
    ),
    "base64 in a JSON text": Form(
        lambda text: wrapped(text, base64.b64encode, as_json_text), f"{JSON_TEXT}, in it base64"
    ),
    "base64 of a JSON text": Form(
        lambda text: wrapped(text, as_json_text, base64.b64encode), f"base64, in it {JSON_TEXT}"
    ),
}
