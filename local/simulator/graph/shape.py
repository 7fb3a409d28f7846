"""Writes messages, attachments and folders as Graph's JSON, with `$select` and `$expand`
applied."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from local.simulator.graph.compose import headers_of
from local.simulator.graph.errors import BadRequest
from local.simulator.graph.expand import Expand
from local.simulator.graph.items import (
    FILE,
    Address,
    Attachment,
    Message,
    multi_property_key,
    properties_of,
    property_key,
)
from local.simulator.graph.mime import read
from local.simulator.graph.plain import plain_text

FOLDERS = {
    "inbox": "Inbox",
    "drafts": "Drafts",
    "sentitems": "Sent Items",
    "outbox": "Outbox",
    "deleteditems": "Deleted Items",
    "junkemail": "Junk Email",
    "archive": "Archive",
}

PREVIEW_LENGTH = 255


@dataclass(frozen=True)
class View:
    """How one request wants its messages."""

    base_url: str
    owner: str
    """The user id in `@odata.context` and links."""
    select: frozenset[str] = frozenset()
    expand: Expand = field(default_factory=Expand)
    expand_items: bool = False
    """Whether an item attachment shows its item."""
    immutable_ids: bool = False
    text_body: bool = False
    unsafe_html: bool = False
    basic: bool = False
    """Mail.ReadBasic: no body, preview, attachments or extended properties (3.1)."""

    @property
    def context(self) -> str:
        return f"{self.base_url}/v1.0/$metadata#users('{quote(self.owner)}')/messages"


def timestamp(when: datetime | None) -> str | None:
    return None if when is None else when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def item_id(message: Message, view: View) -> str:
    return message.immutable_id if view.immutable_ids else message.id


def message_json(message: Message, view: View) -> dict[str, Any]:
    """One message without its context."""
    wanted = view.select or frozenset(_DEFAULT)
    unknown = wanted - _PROPERTIES.keys() - {"id"}
    if unknown:
        name = min(unknown)
        raise BadRequest(f"Could not find a property named '{name}' on type 'Message'.")
    result: dict[str, Any] = {
        "@odata.etag": f'W/"{message.change_key}"',
        "id": item_id(message, view),
    }
    for name, value_of in _PROPERTIES.items():
        if name in wanted and not (view.basic and name in _NOT_BASIC):
            value = value_of(message, view)
            if value is not _ABSENT:
                result[name] = value
    return result | _expanded(message, view)


def _expanded(message: Message, view: View) -> dict[str, Any]:
    """Extended properties that the message does not have are left out, as Graph does."""
    expand = view.expand
    single = [
        {"id": identifier, "value": value}
        for identifier, value in properties_of(message).items()
        if property_key(identifier) in expand.properties
    ]
    multi = [
        {"id": identifier, "value": values}
        for identifier, values in message.multi_properties.items()
        if multi_property_key(identifier) in expand.multi_properties
    ]
    result: dict[str, Any] = {}
    if single:
        result["singleValueExtendedProperties"] = single
    if multi:
        result["multiValueExtendedProperties"] = multi
    if expand.attachments:
        each = replace(view, select=expand.attachment_select, expand=Expand())
        result["attachments"] = [attachment_json(one, each) for one in message.attachments]
    return result


def entity(message: Message, view: View) -> dict[str, Any]:
    """One message as the answer to a request about it."""
    return {"@odata.context": f"{view.context}/$entity", **message_json(message, view)}


def attachment_json(one: Attachment, view: View) -> dict[str, Any]:
    """[api: message-post-attachments], [api: attachment-get]"""
    is_file = one.kind == FILE
    result: dict[str, Any] = {
        "@odata.type": one.kind,
        "@odata.mediaContentType": one.content_type,
        "id": one.id,
        "lastModifiedDateTime": timestamp(one.modified),
        "name": one.name,
        "contentType": one.content_type if is_file else None,
        "size": len(one.content),
        "isInline": one.is_inline,
    }
    if is_file:
        result["contentId"] = one.content_id
        result["contentLocation"] = None
        result["contentBytes"] = base64.b64encode(one.content).decode()
    else:
        del result["@odata.mediaContentType"]
    if view.select:
        kept = {"@odata.type", "@odata.mediaContentType", "id", *_selected_of_file(view.select)}
        result = {name: value for name, value in result.items() if name in kept}
    if view.expand_items and not is_file:
        result["item"] = _item(one, view)
    return result


def _selected_of_file(select: frozenset[str]) -> frozenset[str]:
    """The names without the type to which they may be cast."""
    cast = "microsoft.graph.fileattachment/"
    names = frozenset(
        name[len(cast) :] if name.lower().startswith(cast) else name for name in select
    )
    if unknown := names - _ATTACHMENT_PROPERTIES:
        raise BadRequest(
            f"Could not find a property named '{min(unknown)}' on type 'microsoft.graph.attachment'."
        )
    return names


def _item(one: Attachment, view: View) -> dict[str, Any]:
    """The attached message. It has no id of its own [api: attachment-get, example 3]."""
    message = read(one.content, one.modified)
    message.is_draft = False
    whole = replace(view, select=frozenset(), expand=Expand(), expand_items=False)
    document = message_json(message, whole)
    del document["@odata.etag"]
    return {"@odata.type": "#microsoft.graph.message", **document, "id": ""}


def folder_json(name: str, messages: Iterable[Message]) -> dict[str, Any]:
    """[res: mailfolder]; ids of the well-known folders are their names here."""
    held = list(messages)
    return {
        "id": name,
        "displayName": FOLDERS[name],
        "parentFolderId": "msgfolderroot",
        "childFolderCount": 0,
        "unreadItemCount": sum(not one.is_read for one in held),
        "totalItemCount": len(held),
        "isHidden": False,
    }


def recipient(one: Address | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {"emailAddress": {"name": one.name or one.address, "address": one.address}}


_ATTACHMENT_PROPERTIES = frozenset(
    (
        "id",
        "lastModifiedDateTime",
        "name",
        "contentType",
        "size",
        "isInline",
        "contentId",
        "contentLocation",
        "contentBytes",
    )
)
_ABSENT = object()
Reader = Callable[[Message, View], object]


def _body(message: Message, view: View) -> dict[str, str]:
    if message.html is None:
        return {"contentType": "text", "content": message.text or ""}
    if view.text_body:
        return {"contentType": "text", "content": message.text or plain_text(message.html)}
    html = message.html if view.unsafe_html else _harmless(message.html)
    return {"contentType": "html", "content": _whole_document(html)}


def _harmless(html: str) -> str:
    """Answers contain no scripts unless `Prefer: outlook.allow-unsafe-html` asks for them."""
    return re.sub(r"(?is)<(script|iframe|object|embed)\b.*?</\1\s*>", "", html)


def _whole_document(html: str) -> str:
    """A fragment is returned inside a document with CRLF [api: user-post-messages]."""
    if re.search(r"<html\b", html, re.IGNORECASE):
        return html
    head = '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
    return f"<html><head>\r\n{head}</head><body>{html}</body></html>"


def _preview(message: Message, view: View) -> str:
    text = message.text if message.text is not None else plain_text(message.html or "")
    return text[:PREVIEW_LENGTH]


def _optional_sender(one: Address | None) -> object:
    """JSON drafts have no `from` until they are sent, unless the client set one."""
    return _ABSENT if one is None else recipient(one)


def _headers(message: Message, view: View) -> object:
    """Sent Items copies do not have them [OfficeDev/office-js#5413]."""
    if "internetMessageHeaders" not in view.select or message.folder == "sentitems":
        return _ABSENT
    pairs = headers_of(message) if message.folder == "inbox" else message.headers
    return [{"name": name, "value": value} for name, value in pairs]


def _web_link(message: Message, view: View) -> str:
    item = quote(message.id, safe="")
    return f"https://outlook.office365.com/owa/?ItemID={item}&exvsurl=1&viewmodel=ReadMessageItem"


_PROPERTIES: dict[str, Reader] = {
    "createdDateTime": lambda m, v: timestamp(m.created),
    "lastModifiedDateTime": lambda m, v: timestamp(m.modified),
    "changeKey": lambda m, v: m.change_key,
    "categories": lambda m, v: m.categories,
    "receivedDateTime": lambda m, v: timestamp(m.received or m.created),
    "sentDateTime": lambda m, v: timestamp(m.sent or m.created),
    "hasAttachments": lambda m, v: any(not one.is_inline for one in m.attachments),
    "internetMessageId": lambda m, v: m.internet_message_id,
    "subject": lambda m, v: m.subject,
    "bodyPreview": _preview,
    "importance": lambda m, v: m.importance,
    "parentFolderId": lambda m, v: m.folder,
    "conversationId": lambda m, v: m.conversation_id,
    "conversationIndex": lambda m, v: base64.b64encode(b"\x01" + m.search_key).decode(),
    "isDeliveryReceiptRequested": lambda m, v: m.delivery_receipt,
    "isReadReceiptRequested": lambda m, v: m.read_receipt,
    "isRead": lambda m, v: m.is_read,
    "isDraft": lambda m, v: m.is_draft,
    "webLink": _web_link,
    "inferenceClassification": lambda m, v: m.inference,
    "body": _body,
    "uniqueBody": _body,
    "sender": lambda m, v: _optional_sender(m.sender),
    "from": lambda m, v: _optional_sender(m.from_),
    "toRecipients": lambda m, v: [recipient(one) for one in m.to],
    "ccRecipients": lambda m, v: [recipient(one) for one in m.cc],
    "bccRecipients": lambda m, v: [recipient(one) for one in m.bcc],
    "replyTo": lambda m, v: [recipient(one) for one in m.reply_to],
    "flag": lambda m, v: m.flag,
    "internetMessageHeaders": _headers,
}

_DEFAULT = _PROPERTIES.keys() - {"uniqueBody", "internetMessageHeaders"}
_NOT_BASIC = {"body", "bodyPreview", "uniqueBody"}
