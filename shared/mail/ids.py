"""Mail ids: UUIDs of version 7 (RFC 9562, section 5.7). They sort by time and cannot be guessed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_SHAPE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_LATEST = "e677d21f-dbff"
"""The last millisecond of the year 9999, as an id begins: the largest time that is accepted."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

RandomBytes = Callable[[int], bytes]


def new_id(now: datetime, random: RandomBytes) -> str:
    """A new id: 48 bits of milliseconds and 74 random bits."""
    return _compose(now, random(10))


def id_of_message(message_id: str, inserted_at: datetime) -> str:
    """The id of a mail that came as a storage queue message.

    The same message always gives the same id. A redelivered message therefore finds the mail of its
    first delivery without a search by key.
    """
    return _compose(inserted_at, hashlib.sha256(message_id.encode()).digest()[:10])


def is_id(text: str) -> bool:
    """Whether a text has the form that `new_id` makes, with a valid time."""
    return _SHAPE.fullmatch(text) is not None and text[: len(_LATEST)] <= _LATEST


def time_of(mail_id: str) -> datetime:
    """The time at which an id was made, to the millisecond."""
    return _EPOCH + timedelta(milliseconds=int(mail_id[:8] + mail_id[9:13], 16))


def _compose(now: datetime, entropy: bytes) -> str:
    milliseconds = (now - _EPOCH) // timedelta(milliseconds=1)
    noise = int.from_bytes(entropy, "big")
    value = (
        (milliseconds & (1 << 48) - 1) << 80
        | 0x7 << 76
        | (noise >> 62 & 0xFFF) << 64
        | 0b10 << 62
        | noise & (1 << 62) - 1
    )
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
