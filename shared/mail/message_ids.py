"""Message-IDs (RFC 5322, 3.6.4): the one that Postroom gives a mail, and those that it reads."""

from __future__ import annotations

import re

from shared.mail import ids
from shared.mail.address import Address

MAX_MESSAGE_ID = 900
"""Characters, with the brackets, that fit on one line after the header's name (RFC 5322, 2.1.1)."""

_OURS = re.compile(r"<postroom\.(?P<mail_id>[0-9a-f-]{36})@[^\s<>@]+>")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]+>")
_ENCODED_WORD = re.compile(r"=\?[^?]+\?[bBqQ]\?[^?]*\?=")
_SIGN = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.:-]"
_PLAIN = re.compile(rf"<{_SIGN}+(?:@(?:{_SIGN}+|\[{_SIGN}+\]))?>")
"""Wider than RFC 5322's dot-atom, because programs write such ids. Narrower than its obsolete
forms: no quotes, spaces or comments, because readers do not agree on those."""


def own_message_id(mail_id: str, sender: Address) -> str:
    """The Message-ID of a mail whose caller gave none, with its angle brackets.

    It is the same in each attempt, also after a person retried the mail. If an earlier attempt was
    sent after all, both copies have the same id, and a mail server that removes duplicates keeps
    one of them. The id stays unused if an attempt was not sent.
    """
    return f"<postroom.{mail_id}@{sender.email.rpartition('@')[2]}>"


def is_reserved(text: str) -> bool:
    """Whether a caller's Message-ID has the form of `own_message_id`. Postroom searches by that
    form for a mail whose answer was lost, so no other mail may carry it."""
    return "<postroom." in "".join(text.split()).lower()


def is_plain(text: str) -> bool:
    """Whether a text is one id in angle brackets, in ASCII, that all readers read alike. The `@`
    may be missing, as some programs write it."""
    if len(text) > MAX_MESSAGE_ID or _ENCODED_WORD.search(text):
        return False
    return _PLAIN.fullmatch(text) is not None


def mail_id_in(message_id: object) -> str | None:
    """The id of the mail whose `own_message_id` this is; None for any other value."""
    found = _OURS.fullmatch(message_id) if isinstance(message_id, str) else None
    return found["mail_id"] if found and ids.is_id(found["mail_id"]) else None


def usable(message_id: object) -> str | None:
    """A Message-ID from a remote if it can be stored, shown and searched for, else None."""
    if not isinstance(message_id, str) or len(message_id) > MAX_MESSAGE_ID:
        return None
    return message_id if _MESSAGE_ID.fullmatch(message_id) else None
