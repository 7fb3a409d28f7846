"""Warns about headers that Microsoft may drop without an error.

Microsoft's documents do not confirm this (UNCONFIRMED); the sources are field reports, named in
docs/api.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from shared.errors import FieldProblem
from shared.mail.message import needs_mime

if TYPE_CHECKING:
    from shared.mail.message import Message

MAX_WARNINGS = 30
"""The most headers in one answer; a raw message may have thousands."""

SEEN_TO_PASS = frozenset(
    {
        "in-reply-to",
        "references",
        "list-help",
        "list-subscribe",
        "list-unsubscribe",
        "x-auto-response-suppress",
        "importance",
        "priority",
        "x-priority",
        "sensitivity",
        "disposition-notification-to",
        "return-receipt-to",
    }
)
"""Headers that arrive if a mail goes as MIME, because Exchange has a property for each
(MS-OXCMAIL)."""
_OF_EVERY_MESSAGE = frozenset(
    {
        "from",
        "sender",
        "to",
        "cc",
        "bcc",
        "reply-to",
        "subject",
        "date",
        "message-id",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
        "content-disposition",
        "content-id",
        "x-postroom-key",
    }
)

UNCONFIRMED = (
    "may not arrive: nobody has confirmed that Microsoft keeps this header; send one to yourself and "
    "look"
)
UNKNOWN_TO_THE_MAILBOX = (
    "may not arrive: Microsoft drops such a header from a mail that goes as MIME until the mailbox "
    "has once sent a header of this name in a mail that goes as JSON (text or html alone, up to five "
    "headers, all of them X-…)"
)


def doubt(name: str) -> str | None:
    """Why a header may not arrive if the mail goes as MIME; None if it is known to arrive."""
    lowered = name.lower()
    if lowered in SEEN_TO_PASS or lowered in _OF_EVERY_MESSAGE:
        return None
    return UNKNOWN_TO_THE_MAILBOX if lowered.startswith("x-") else UNCONFIRMED


def warnings_of(message: Message) -> tuple[FieldProblem, ...]:
    """The headers of a mail that may not arrive. Graph's JSON accepts only headers that it
    keeps."""
    if message.mime is not None:
        from shared.mail.mime import header_section

        return _warnings(header_section.names(message.mime), "")
    if not message.headers or not needs_mime(message):
        return ()
    return _warnings((name for name, _ in message.headers), "headers.")


def _warnings(names: Iterable[str], prefix: str) -> tuple[FieldProblem, ...]:
    found = [
        FieldProblem(f"{prefix}{name}", text)
        for name in dict.fromkeys(names)
        if (text := doubt(name)) is not None
    ]
    return tuple(found[:MAX_WARNINGS])
