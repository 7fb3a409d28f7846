"""The parts of a rejected mail document that can be read, so that a person can find and recognise
the mail. They are never sent.

An address is shown as one only if it is valid. Any other text is shown as it was written, without
characters that could change a line or a page.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from shared.mail.account import ALIAS
from shared.mail.address import BadAddress, make
from shared.mail.address_list import read_list
from shared.services.intake.labels import NONE as NO_LABELS
from shared.services.intake.labels import Labels, sound_labels

MAX_SUBJECT = 998
MAX_TEXT = 120
"""The most characters that are shown of a text in place of an address or an alias."""
MAX_READ = 500
"""How many recipients are read. The others are only counted."""

# Control characters, line separators, and characters that change the direction of the text.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Recipient(msgspec.Struct, frozen=True):
    """One recipient as it can be shown."""

    text: str
    is_address: bool
    """Whether it is a valid address. If not, the text is shown as it was written."""


class ReadableParts(msgspec.Struct, frozen=True):
    """The readable parts of a rejected document."""

    subject: str = ""
    recipients: tuple[Recipient, ...] = ()
    recipient_count: int = 0
    sender: str = ""
    """The From address; empty if it is not valid."""
    account: str | None = None
    account_is_alias: bool = False
    """Whether `account` has the form of an alias. If not, it may be anything, also an address."""
    labels: Labels = NO_LABELS


NOTHING = ReadableParts()


class _Loose(msgspec.Struct, rename={"from_": "from"}):
    """A mail document whose fields may have any type."""

    account: Any = None
    from_: Any = None
    to: Any = None
    cc: Any = None
    bcc: Any = None
    subject: Any = None
    tags: Any = None
    metadata: Any = None


_decoder = msgspec.json.Decoder(_Loose)


def readable_parts(document: bytes | None) -> ReadableParts:
    """Read the readable parts of a document of at most 64 KiB. A document that is no JSON object
    has none."""
    if document is None:
        return NOTHING
    try:
        given = _decoder.decode(document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return NOTHING
    entries = [entry for value in (given.to, given.cc, given.bcc) for entry in _listed(value)]
    read = [_recipients(entry) for entry in entries[:MAX_READ]]
    account = given.account if isinstance(given.account, str) else ""
    sender = _read(given.from_)
    return ReadableParts(
        subject=_shown(given.subject, MAX_SUBJECT) if isinstance(given.subject, str) else "",
        recipients=tuple(one for found in read for one in found),
        recipient_count=len(entries) + sum(len(found) - 1 for found in read if found),
        sender=sender[0] if len(sender) == 1 else "",
        account=_shown(account, MAX_TEXT) or None,
        account_is_alias=ALIAS.fullmatch(account.lower()) is not None,
        labels=sound_labels(given.tags, given.metadata),
    )


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _recipients(entry: Any) -> list[Recipient]:
    found = _read(entry)
    if found:
        return [Recipient(text, is_address=True) for text in found]
    if isinstance(entry, dict):
        entry = entry.get("email")
    text = _shown(entry, MAX_TEXT) if isinstance(entry, str) else ""
    return [Recipient(text, is_address=False)] if text else []


def _read(entry: Any) -> list[str]:
    """The addresses of an entry as they are shown for a valid document; none if one part of it is
    wrong."""
    try:
        if isinstance(entry, str):
            return [str(address) for address in read_list(entry)]
        email, name = (
            (entry.get("email"), entry.get("name")) if isinstance(entry, dict) else ("", "")
        )
        if isinstance(email, str) and isinstance(name, str | None):
            return [str(make(email.strip(), (name or "").strip()))]
    except BadAddress:
        pass
    return []


def _shown(text: str, most: int) -> str:
    cut = text.strip()
    cut = f"{cut[:most]}…" if len(cut) > most else cut
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", cut)
