"""Writes messages, attachments and folders as Graph's JSON, with `$select` and `$expand`
applied."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from typing import Any
from urllib.parse import quote

from local.simulator.graph.compose import headers_of
from local.simulator.graph.errors import BadRequest
from local.simulator.graph.items import Address, Attachment, Message, properties_of, property_key

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
    expand_properties: frozenset[str] = frozenset()
    expand_attachments: bool = False
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
    for name, read in _PROPERTIES.items():
        if name in wanted and not (view.basic and name in _NOT_BASIC):
            value = read(message, view)
            if value is not _ABSENT:
                result[name] = value
    if view.expand_properties:
        found = [
            {"id": identifier, "value": value}
            for identifier, value in properties_of(message).items()
            if property_key(identifier) in view.expand_properties
        ]
        if found:
            result["singleValueExtendedProperties"] = found
    if view.expand_attachments:
        result["attachments"] = [attachment_json(one, view) for one in message.attachments]
    return result


def entity(message: Message, view: View) -> dict[str, Any]:
    """One message as the answer to a request about it."""
    return {"@odata.context": f"{view.context}/$entity", **message_json(message, view)}


def attachment_json(one: Attachment, view: View, *, content: bool = True) -> dict[str, Any]:
    """[api: message-post-attachments]"""
    result: dict[str, Any] = {
        "@odata.type": one.kind,
        "@odata.mediaContentType": one.content_type,
        "id": one.id,
        "lastModifiedDateTime": timestamp(one.modified),
        "name": one.name,
        "contentType": one.content_type,
        "size": len(one.content),
        "isInline": one.is_inline,
        "contentId": one.content_id,
        "contentLocation": None,
    }
    if content:
        result["contentBytes"] = base64.b64encode(one.content).decode()
    if view.select:
        kept = {"@odata.type", "@odata.mediaContentType", "id", *view.select}
        result = {name: value for name, value in result.items() if name in kept}
    return result


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


def plain_text(html: str) -> str:
    """The text of HTML without its markup."""
    without = re.sub(r"(?is)<(script|style|head)\b.*?</\1\s*>", "", html)
    lines = re.sub(r"(?i)<br\b[^>]*>|</(p|div|h[1-6]|li|tr|table|ul|ol)\s*>", "\r\n", without)
    words = re.sub(r"<[^>]+>", "", lines)
    # Python refuses to read numbers with thousands of digits; none of them is a character.
    return unescape(re.sub(r"&#x?[0-9a-fA-F]{9,};?", "\ufffd", words)).strip()


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
