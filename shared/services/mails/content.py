"""What a mail holds, for a person to look at."""

from __future__ import annotations

import msgspec

from shared.errors import RemoteError
from shared.mail.mail import Mail
from shared.mail.message import Message
from shared.services.intake.message_text import unwrap
from shared.services.mails.content_store import ContentStore
from shared.services.mails.packing import Packed

MOST_SHOWN = 16_000
"""Characters of a queue message that are shown: a page stays small."""
MOST_BYTES_SHOWN = 64
"""Bytes that are shown in hexadecimal of what is no text."""
LEAST_BYTES_SHOWN = 16
"""Below that a word that happens to be base64 too would be shown as bytes."""


class RawMessage(msgspec.Struct, frozen=True):
    """A queue message that did not become a mail, for a person to read."""

    text: str
    """What it holds, taken out of its wrapping where that was understood; the beginning of it."""
    form: str
    """What it was wrapped in, as `Unwrapped.form` says it; empty where `text` is as it came."""
    is_cut: bool
    size: int
    """Bytes of the whole message as it came."""
    first_bytes: str = ""
    """Of what base64 holds that is no text: the first bytes, in hexadecimal."""


class Content:
    """Reads payloads."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store

    def of(self, mail: Mail) -> Message | None:
        """The message; None where it is not kept any more, out of reach, or was never one."""
        return self._packed(mail).message

    def raw_of(self, mail: Mail) -> RawMessage | None:
        """The queue message that did not become a mail, as a page shows it; None where the mail is a
        whole one or nothing is kept."""
        raw = self._packed(mail).raw
        return None if raw is None else _raw_message(raw)

    def raw_bytes_of(self, mail: Mail) -> bytes | None:
        """The queue message as it came and whole; None as for `raw_of`. Raises RemoteError where
        storage is out of reach."""
        try:
            return self._store.read(mail).raw
        except ValueError:
            return None  # damaged: as good as gone

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
