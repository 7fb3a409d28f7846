"""Finds the mail that a message of the mailbox was made for: the marks of a message, and the
filters that Graph searches them by.

All that is UNCONFIRMED about Exchange is in this module: that a filter finds an `X-` header of MIME
by its named property, and that one `$expand` returns two properties. Postroom never takes either
for evidence that a mail was not sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from shared.mail import ids, message_ids
from shared.mail.key_names import KEY_HEADER, KEY_HEADER_PROPERTY, KEY_PROPERTY

_ORIGINAL_ID = "X-Microsoft-Original-Message-ID"
"""The property in which Outlook.com keeps a Message-ID that it has replaced."""

EXPANDED = (
    "singleValueExtendedProperties"
    f"($filter=id eq '{KEY_PROPERTY}' or id eq '{KEY_HEADER_PROPERTY}')"
)
"""https://learn.microsoft.com/graph/api/singlevaluelegacyextendedproperty-get"""


def carrying(name: str, value: str) -> str:
    """The filter for messages that have an extended property with this value."""
    return (
        f"singleValueExtendedProperties/Any(ep: ep/id eq '{name}' and ep/value eq {literal(value)})"
    )


def literal(text: str) -> str:
    """A text as a literal of a filter (OData 4.01, 5.1.1.6.1)."""
    return "'" + text.replace("'", "''") + "'"


def quoted(text: str) -> str:
    """The value of a query option, encoded for a URL."""
    return quote(text, safe="$()=,'")


def key_of(row: Mapping[str, Any]) -> str | None:
    """The key that a message shows as a property; None for text that a person wrote there."""
    names = (KEY_PROPERTY.lower(), KEY_HEADER_PROPERTY.lower())
    for one in row.get("singleValueExtendedProperties") or []:
        if isinstance(one, dict) and str(one.get("id")).lower() in names:
            key = _key(one.get("value"))
            if key is not None:
                return key
    return None


def mail_of(row: Mapping[str, Any]) -> str | None:
    """The mail that a message was made for, by its key or by the Message-ID that Postroom gave
    it."""
    return key_of(row) or message_ids.mail_id_in(row.get("internetMessageId"))


def mail_of_source(source: bytes) -> str | None:
    """The mail that a message was made for, by the message's MIME source."""
    from email.parser import BytesHeaderParser

    head = BytesHeaderParser().parsebytes(source)
    return next(_named_in(head.get), None)


def moment(value: object) -> datetime | None:
    """A time that Graph wrote; None if it is not a time."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _named_in(header: Any) -> Iterator[str]:
    key = _key(str(header(KEY_HEADER, "")).strip())
    if key is not None:
        yield key
    for name in ("Message-ID", _ORIGINAL_ID):
        mail_id = message_ids.mail_id_in(str(header(name, "")).strip())
        if mail_id is not None:
            yield mail_id


def _key(value: object) -> str | None:
    return value if isinstance(value, str) and ids.is_id(value) else None
