"""The content of a mail for a person to read."""

from __future__ import annotations

import msgspec

from shared.errors import RemoteError
from shared.mail.mail import Mail
from shared.mail.message import Message
from shared.services.intake.message_text import unwrap
from shared.services.mails.content_store import ContentStore
from shared.services.mails.packing import Packed

MOST_SHOWN = 16_000
"""The most characters of a queue message that are shown, so that a page stays small."""
MOST_BYTES_SHOWN = 64
"""The most bytes that are shown in hexadecimal if the content is no text."""
LEAST_BYTES_SHOWN = 16
"""Shorter base64 is not decoded: it may be a plain word."""


class RawMessage(msgspec.Struct, frozen=True):
    """A queue message that did not become a mail, as a person reads it."""

    text: str
    """The beginning of its text, decoded if the encoding was recognised."""
    form: str
    """Its encoding, as `Unwrapped.form` names it; empty if `text` was not decoded."""
    is_cut: bool
    size: int
    """The size of the whole message in bytes."""
    first_bytes: str = ""
    """If base64 holds no text: its first bytes in hexadecimal."""


class Content:
    """Reads payloads."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store

    def of(self, mail: Mail) -> Message | None:
        """The message; None if it is not kept any more, cannot be read now, or never was one."""
        return self._packed(mail).message

    def raw_of(self, mail: Mail) -> RawMessage | None:
        """The queue message that did not become a mail, as a page shows it; None if the mail was
        accepted, or its content is not kept."""
        raw = self._packed(mail).raw
        return None if raw is None else _raw_message(raw)

    def raw_bytes_of(self, mail: Mail) -> bytes | None:
        """The whole queue message, unchanged; None as for `raw_of`. Raises RemoteError if storage
        cannot be read."""
        try:
            return self._store.read(mail).raw
        except ValueError:
            return None  # Damaged content counts as removed.

    def _packed(self, mail: Mail) -> Packed:
        try:
            return self._store.read(mail)
        except (RemoteError, ValueError):
            return Packed()


def _raw_message(raw: bytes) -> RawMessage:
    found = unwrap(raw)
    try:
        text, form, first = found.content.decode(), found.form, b""
    except UnicodeDecodeError:
        text, form = raw.decode(errors="replace"), ""
        first = found.content[:MOST_BYTES_SHOWN] if found.layers else b""
    if len(first) < LEAST_BYTES_SHOWN:
        first = b""
    is_cut = len(text) > MOST_SHOWN
    return RawMessage(text[:MOST_SHOWN], form, is_cut, len(raw), first.hex(" "))
