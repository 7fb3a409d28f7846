"""What a queue message can be: a bell, a whole mail, or noise."""

from __future__ import annotations

import base64
import binascii

import msgspec

LONGEST_DELAY = 6.9 * 24 * 3600
"""Seconds: the storage queue hides a message for seven days at most."""


class BellMessage(msgspec.Struct, forbid_unknown_fields=True, tag_field="postroom", tag="bell"):
    """Carries nothing but an id: heard twice, late or forged, it does no harm."""

    mail_id: str


_decoder = msgspec.json.Decoder(BellMessage)


def bell_for(mail_id: str) -> str:
    """The message that rings for a mail."""
    return msgspec.json.encode(BellMessage(mail_id)).decode()


def mail_id_in(document: bytes) -> str | None:
    """The id in a bell, or None where the document is no bell."""
    if b'"postroom"' not in document[:64]:
        return None
    try:
        return _decoder.decode(document).mail_id
    except msgspec.DecodeError:
        return None


def document_in(body: bytes) -> bytes | None:
    """The JSON text of a queue message, plain or in base64; None where it is neither.

    Half of the storage clients encode, half do not, and a message does not say which.
    """
    stripped = body.strip()
    if stripped[:1] == b"{":
        return stripped
    try:
        decoded = base64.b64decode(stripped, validate=True).strip()
    except (binascii.Error, ValueError):
        return None
    return decoded if decoded[:1] == b"{" else None
