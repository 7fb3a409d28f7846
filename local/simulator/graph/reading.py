"""Reads what clients post: JSON messages, attachments, sendMail wrappers (graph-mail.md 1.1-1.5).

For everything that it cannot deserialize, Graph answers with one code; so does this module.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from local.simulator.graph import compose
from local.simulator.graph.errors import (
    EmptyPayload,
    InvalidExtendedProperty,
    InvalidInternetMessageHeader,
    MissingMessage,
    RequiredPropertyMissing,
    TooManyInternetMessageHeaders,
    UnableToDeserializePostBody,
)
from local.simulator.graph.items import (
    ITEM,
    Address,
    Attachment,
    Message,
    is_custom,
    multi_property_key,
    property_key,
)
from local.simulator.graph.query_errors import NotSupported

MAX_HEADERS = 5
ATTACHMENT_KINDS = ("fileAttachment", "itemAttachment", "referenceAttachment")


def document(body: bytes) -> dict[str, Any]:
    """A request's JSON object."""
    if not body.strip():
        raise EmptyPayload
    try:
        found = json.loads(body)
    except ValueError as error:
        raise UnableToDeserializePostBody from error
    return mapping(found)


def mapping(value: object) -> dict[str, Any]:
    """A JSON object with camelCase member names.

    The Python SDK writes action parameters in PascalCase, and PowerShell samples write whole
    messages in it: both are accepted, at every level (UNCONFIRMED below the parameters).
    Annotations are skipped, except for the type.
    """
    if not isinstance(value, dict):
        raise UnableToDeserializePostBody
    members = {name[:1].lower() + name[1:]: member for name, member in value.items()}
    return {
        name: member
        for name, member in members.items()
        if "@odata." not in name or name == "@odata.type"
    }


def action(body: bytes, required: str, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """An action's parameters. The required one must be present, and no other than these."""
    found = document(body)
    found.pop("@odata.type", None)
    if found.get(required) is None:
        raise MissingMessage
    if found.keys() - {required, *optional}:
        raise UnableToDeserializePostBody
    return found


def parameters(body: bytes, allowed: Collection[str]) -> dict[str, Any]:
    """The parameters of an action that needs none of them."""
    found = document(body)
    found.pop("@odata.type", None)
    if found.keys() - set(allowed):
        raise UnableToDeserializePostBody
    return found


def boolean(value: object, *, strings: bool = False) -> bool:
    """A JSON boolean; a sample in the documents writes an action's parameter as a string [api:
    user-sendmail]."""
    if isinstance(value, bool):
        return value
    if strings and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise UnableToDeserializePostBody


def message(value: object, now: datetime) -> Message:
    """A new message from its JSON."""
    result = Message(created=now, modified=now)
    fill(result, value, now)
    return result


def fill(target: Message, value: object, now: datetime) -> None:
    """Set the JSON's properties on `target`. Names that are unknown or set by the server are
    refused (1.8)."""
    members = mapping(value)
    members.pop("@odata.type", None)
    unknown = members.keys() - _FIELDS.keys() - {"attachments"}
    if unknown & NOT_SIMULATED:
        raise NotSupported(f"{min(unknown & NOT_SIMULATED)} of a message")
    if unknown:
        raise UnableToDeserializePostBody
    for name, member in members.items():
        if name == "attachments":
            target.attachments = [attachment(one, now) for one in _sequence(member)]
        elif member is not None:
            _FIELDS[name](target, member)


def attachment(value: object, now: datetime) -> Attachment:
    """One attachment: a file, or a message. Raises NotSupported for other items and for links."""
    members = mapping(value)
    kind = members.pop("@odata.type", None)
    name = str(kind or "").removeprefix("#").removeprefix("microsoft.graph.")
    if name not in ATTACHMENT_KINDS or members.keys() - _ATTACHMENT_FIELDS:
        raise UnableToDeserializePostBody
    if name == "referenceAttachment":
        raise NotSupported("referenceAttachment")
    if not members.get("name"):
        raise RequiredPropertyMissing
    return _item(members, now) if name == "itemAttachment" else _file(members, now)


def _file(members: Mapping[str, Any], now: datetime) -> Attachment:
    if members.get("contentBytes") is None:
        raise RequiredPropertyMissing
    return Attachment(
        name=text(members["name"]),
        content=_content(members),
        modified=now,
        content_type=_optional_text(members.get("contentType")) or "application/octet-stream",
        is_inline=boolean(members.get("isInline") or False),
        content_id=_optional_text(members.get("contentId")),
    )


def _item(members: Mapping[str, Any], now: datetime) -> Attachment:
    """An attached message: its MIME source is what is kept [res: itemattachment]."""
    if members.get("item") is None:
        raise RequiredPropertyMissing
    item = mapping(members["item"])
    kind = str(item.get("@odata.type") or "message").removeprefix("#")
    if kind.removeprefix("microsoft.graph.") != "message":
        raise NotSupported("an itemAttachment that is not a message")
    return Attachment(
        name=text(members["name"]),
        content=compose.source_of(message(item, now), with_bcc=True),
        modified=now,
        content_type="message/rfc822",
        is_inline=boolean(members.get("isInline") or False),
        kind=ITEM,
    )


def _content(members: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(text(members["contentBytes"]), validate=True)
    except binascii.Error as error:
        raise UnableToDeserializePostBody from error


def text(value: object) -> str:
    """A string that is text: JSON can contain half a surrogate pair, which no mail can carry."""
    if not isinstance(value, str):
        raise UnableToDeserializePostBody
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise UnableToDeserializePostBody
    return value


def _optional_text(value: object) -> str | None:
    return None if value is None else text(value)


def _sequence(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise UnableToDeserializePostBody
    return value


def _one_of(value: object, *choices: str) -> str:
    """A member of an enumeration, in upper or lower case."""
    found = {choice.lower(): choice for choice in choices}.get(text(value).lower())
    if found is None:
        raise UnableToDeserializePostBody
    return found


def _recipient(value: object) -> Address:
    members = mapping(value)
    inner = mapping(members.pop("emailAddress", None) or {})
    if members.keys() - {"@odata.type"} or inner.keys() - {"name", "address", "@odata.type"}:
        raise UnableToDeserializePostBody
    address, name = inner.get("address"), inner.get("name")
    return Address(text(address or "").strip(), text(name or ""))


def _recipients(value: object) -> list[Address]:
    return [_recipient(one) for one in _sequence(value)]


def _set_body(target: Message, value: object) -> None:
    members = mapping(value)
    members.pop("@odata.type", None)
    if members.keys() - {"contentType", "content"}:
        raise UnableToDeserializePostBody
    kind = _one_of(members.get("contentType") or "text", "text", "html")
    content = text(members.get("content") or "")
    target.html, target.text = (content, None) if kind == "html" else (None, content)


def _set_headers(target: Message, value: object) -> None:
    headers = []
    for one in _sequence(value):
        members = mapping(one)
        members.pop("@odata.type", None)
        if members.keys() - {"name", "value"}:
            raise UnableToDeserializePostBody
        name, content = text(members.get("name")), text(members.get("value"))
        if not is_custom(name):
            raise InvalidInternetMessageHeader.named(name)
        headers.append((name, content))
    if len(headers) > MAX_HEADERS:
        raise TooManyInternetMessageHeaders
    target.headers = headers


def _set_properties(target: Message, value: object) -> None:
    for one in _sequence(value):
        members = mapping(one)
        members.pop("@odata.type", None)
        if members.keys() - {"id", "value"}:
            raise UnableToDeserializePostBody
        identifier, content = text(members.get("id")), text(members.get("value"))
        if property_key(identifier) is None:
            raise InvalidExtendedProperty
        target.properties[identifier] = content


def _set_multi_properties(target: Message, value: object) -> None:
    for one in _sequence(value):
        members = mapping(one)
        members.pop("@odata.type", None)
        if members.keys() - {"id", "value"}:
            raise UnableToDeserializePostBody
        identifier = text(members.get("id"))
        values = [text(each) for each in _sequence(members.get("value"))]
        if multi_property_key(identifier) is None:
            raise InvalidExtendedProperty
        target.multi_properties[identifier] = values


def _set_flag(target: Message, value: object) -> None:
    members = mapping(value)
    members.pop("@odata.type", None)
    if members.keys() - {"flagStatus", "startDateTime", "dueDateTime", "completedDateTime"}:
        raise UnableToDeserializePostBody
    status = _one_of(members.get("flagStatus") or "notFlagged", "notFlagged", "flagged", "complete")
    target.flag = {**{k: v for k, v in members.items() if v is not None}, "flagStatus": status}


def _setter(attribute: str, read: Callable[[Any], object]) -> Callable[[Message, Any], None]:
    def assign(target: Message, value: object) -> None:
        setattr(target, attribute, read(value))

    return assign


_FIELDS: dict[str, Callable[[Message, Any], None]] = {
    "subject": _setter("subject", text),
    "body": _set_body,
    "from": _setter("from_", _recipient),
    "sender": _setter("sender", _recipient),
    "toRecipients": _setter("to", _recipients),
    "ccRecipients": _setter("cc", _recipients),
    "bccRecipients": _setter("bcc", _recipients),
    "replyTo": _setter("reply_to", _recipients),
    "importance": _setter("importance", lambda v: _one_of(v, "low", "normal", "high")),
    "categories": _setter("categories", lambda v: [text(one) for one in _sequence(v)]),
    "flag": _set_flag,
    "inferenceClassification": _setter("inference", lambda v: _one_of(v, "focused", "other")),
    "isReadReceiptRequested": _setter("read_receipt", boolean),
    "isDeliveryReceiptRequested": _setter("delivery_receipt", boolean),
    "isRead": _setter("is_read", boolean),
    "internetMessageId": _setter("internet_message_id", text),
    "internetMessageHeaders": _set_headers,
    "singleValueExtendedProperties": _set_properties,
    "multiValueExtendedProperties": _set_multi_properties,
}
"""The properties that a client may write; those that the server sets (graph-mail.md 1.3) are
missing."""

NOT_SIMULATED = frozenset(("extensions",))
"""What a client may write to Graph, and not here."""

_ATTACHMENT_FIELDS = {
    "name",
    "contentType",
    "contentBytes",
    "contentId",
    "contentLocation",
    "isInline",
    "size",
    "item",
    "sourceUrl",
    "providerType",
    "permission",
    "isFolder",
    "lastModifiedDateTime",
}
