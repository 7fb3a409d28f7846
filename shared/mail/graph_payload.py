"""Writes a message as Graph takes it, for `sendMail` or as a draft, and computes the size of that.

https://learn.microsoft.com/graph/api/user-sendmail
https://learn.microsoft.com/graph/api/user-post-messages
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from shared.discreet import Discreet
from shared.mail.address import Address
from shared.mail.key_names import KEY_HEADER, KEY_PROPERTY
from shared.mail.message import Attachment, Importance, Message, StoredFile, needs_mime

JSON = "application/json"
MIME = "text/plain"
"""The content types of a request's body. A MIME body is base64."""

TRIAL_PROPERTY = "String {6f8b6a0e-3d0f-4c39-9f0c-5b1d4f7a2c11} Name PostroomTrial"
"""Marks the draft that a check of an account makes and removes. No search for a mail finds this
draft."""
TRIAL = "check"

MAX_REQUEST_BYTES = 4_000_000
"""One Graph request. The documents say 4 MB, but not whether that is 4,000,000 or 4,194,304."""

MAX_MIME_BYTES = 2_200_000
"""Raw MIME in one request: from about 2,240 kB, Graph has answered 200 and sent nothing
(microsoft-graph-docs#13979)."""


MAX_POSTED_ATTACHMENT = 2_950_000
"""Bytes of one attachment that fit into a request of their own, as base64 and with its names."""

_encode = msgspec.json.Encoder().encode
"""Writes bytes as base64 in the same pass, in a fifth of the time that two passes take."""


class GraphRequest(Discreet, frozen=True):
    """Body and content type of one `sendMail`."""

    unshown: ClassVar = frozenset({"body"})

    content_type: str
    body: bytes


def send_request(message: Message, sender: Address, key: str, now: datetime) -> GraphRequest:
    """The request that sends `message` from `sender`, marked with `key`."""
    message = _with_shown_pictures(message)
    if needs_mime(message):
        from shared.mail.mime import writing

        raw = writing.compose(message, sender, key, now)
        return GraphRequest(MIME, base64.b64encode(raw))
    document = {
        "message": _json_message(message, sender, key),
        "saveToSentItems": message.save_to_sent_items,
    }
    return GraphRequest(JSON, _encode(document))


def _with_shown_pictures(message: Message) -> Message:
    if all(item.content_id is None for item in message.attachments):
        return message
    from shared.mail import pictures

    return pictures.with_shown_only(message)


class DraftRequest(Discreet, frozen=True):
    """The request that makes a draft, and what is needed to finish the draft."""

    unshown: ClassVar = frozenset({"body"})

    content_type: str
    body: bytes
    apart: tuple[Attachment, ...] = ()
    """The attachments that did not fit, in order: either all of them except an invitation, or
    none."""

    @property
    def is_mime(self) -> bool:
        """Whether the draft carries its key in a header."""
        return self.content_type == MIME


def draft_request(message: Message, sender: Address, key: str, now: datetime) -> DraftRequest:
    """The request that makes a draft of `message`, marked with `key`."""
    message = _with_shown_pictures(message)
    whole = _draft(message, sender, key, now) if _may_fit(message) else None
    if whole is not None and (_fits(whole) or not message.attachments):
        return whole
    bare = without_files(message)
    apart = tuple(item for item in message.attachments if item not in bare.attachments)
    return replace(_draft(bare, sender, key, now), apart=apart)


def without_files(message: Message) -> Message:
    """The message without the files that are uploaded on their own. An invitation stays: it is a
    part of the body."""
    if not any(";" in item.content_type for item in message.attachments):
        return replace(message, attachments=())
    from shared.mail import invitation

    return replace(message, attachments=invitation.invitations_of(message))


def trial_request() -> bytes:
    """The draft with which a check shows that drafts can be made. It has no recipient and is never
    sent.

    Its header makes the header's name known to the mailbox. The mailbox keeps headers of that name
    in MIME from then on.
    """
    return _encode(
        {
            "subject": "Postroom checks this mailbox; this draft can be deleted",
            "body": {"contentType": "Text", "content": ""},
            "internetMessageHeaders": [{"name": KEY_HEADER, "value": TRIAL}],
            "singleValueExtendedProperties": [{"id": TRIAL_PROPERTY, "value": TRIAL}],
        }
    )


def attachment_request(item: Attachment, content: bytes) -> bytes:
    """The request that adds one attachment to a draft."""
    return _encode(_attachment(replace(item, content=content)))


def session_request(item: Attachment) -> bytes:
    """The request that opens an upload session for one attachment."""
    described: dict[str, object] = {
        "attachmentType": "file",
        "name": item.filename,
        "size": item.size,
        "contentType": content_type_of(item),
    }
    if item.content_id is not None:
        described |= {"contentId": item.content_id, "isInline": True}
    return _encode({"AttachmentItem": described})


def content_type_of(item: Attachment) -> str:
    """A file's content type as Graph's `contentType`, with its parameters.

    UNCONFIRMED: Microsoft's pages name only types without parameters, and do not say what happens
    to parameters (https://learn.microsoft.com/graph/api/resources/fileattachment).
    """
    return item.content_type


def _draft(message: Message, sender: Address, key: str, now: datetime) -> DraftRequest:
    if needs_mime(message):
        from shared.mail.mime import writing

        raw = writing.compose(message, sender, key, now)
        return DraftRequest(MIME, base64.b64encode(raw))
    body = _encode(_json_message(message, sender, key))
    return DraftRequest(JSON, body)


def _may_fit(message: Message) -> bool:
    """False if the message is certainly too large for one request, or cannot be written here
    because its files are in storage."""
    stored = any(isinstance(item.content, StoredFile) for item in message.attachments)
    return not stored and _lower_bound(message) <= MAX_REQUEST_BYTES


def _fits(draft: DraftRequest) -> bool:
    most = _base64_length(MAX_MIME_BYTES) if draft.is_mime else MAX_REQUEST_BYTES
    return len(draft.body) <= most


def fits_one_request(message: Message, sender: Address, now: datetime) -> bool:
    """Whether `message` can go by `sendMail`, without a draft and an upload session."""
    if _upper_bound(message) <= MAX_MIME_BYTES:
        return True
    if _lower_bound(message) > MAX_REQUEST_BYTES:
        return False
    if needs_mime(message):
        request = send_request(_with_stand_ins(message), sender, "0" * 36, now)
        return len(request.body) <= _base64_length(MAX_MIME_BYTES)
    # Base64 needs no escapes: the bytes that files add are known without writing them.
    bare = replace(
        message, attachments=tuple(replace(item, content=b"") for item in message.attachments)
    )
    files = sum(_base64_length(item.size) for item in message.attachments)
    return len(send_request(bare, sender, "0" * 36, now).body) + files <= MAX_REQUEST_BYTES


def encoded_length(size: int) -> int:
    """Bytes of a file of `size` bytes in a mail: base64, with a line break after each 76
    characters."""
    return -(-size // 57) * 78


def _with_stand_ins(message: Message) -> Message:
    """The message with zero bytes in place of each file in storage: only the size is needed."""
    if not any(isinstance(item.content, StoredFile) for item in message.attachments):
        return message
    return replace(
        message,
        attachments=tuple(
            replace(item, content=bytes(item.size))
            if isinstance(item.content, StoredFile)
            else item
            for item in message.attachments
        ),
    )


def _lower_bound(message: Message) -> int:
    """A number that is never above the encoded size. It shows without writing that a message is far
    too large."""
    files = sum(_base64_length(item.size) for item in message.attachments)
    return len(message.text or "") + len(message.html or "") + len(message.mime or b"") + files


def _upper_bound(message: Message) -> int:
    """A number that is never below the encoded size: as JSON escapes, a character takes at most
    twelve bytes."""
    text = len(message.text or "") + len(message.html or "") + len(message.subject)
    text += sum(len(name) + len(value) for name, value in message.headers)
    text += sum(len(a.email) + len(a.name) + 60 for a in (*message.recipients, *message.reply_to))
    text += sum(len(a.filename) + len(a.content_type) for a in message.attachments)
    text += sum(map(len, message.references)) + len(message.in_reply_to or "")
    files = sum(_base64_length(a.size) + 1500 for a in message.attachments)
    return 2 * (12 * text + files + len(message.mime or b"")) + 2000


def _base64_length(size: int) -> int:
    return (size + 2) // 3 * 4


def _json_message(message: Message, sender: Address, key: str) -> dict[str, object]:
    content_type = "html" if message.html is not None else "text"
    found: dict[str, object] = {
        "subject": message.subject,
        "body": {"contentType": content_type, "content": message.html or message.text or ""},
        "toRecipients": _recipients(message.to),
        "from": _recipient(sender),
        "singleValueExtendedProperties": [{"id": KEY_PROPERTY, "value": key}],
    }
    for name, addresses in (
        ("ccRecipients", message.cc),
        ("bccRecipients", message.bcc),
        ("replyTo", message.reply_to),
    ):
        if addresses:
            found[name] = _recipients(addresses)
    if message.importance is not Importance.NORMAL:
        found["importance"] = message.importance.value
    if message.read_receipt:
        found["isReadReceiptRequested"] = True
    if message.delivery_receipt:
        found["isDeliveryReceiptRequested"] = True
    if message.headers:
        found["internetMessageHeaders"] = [
            {"name": name, "value": value} for name, value in message.headers
        ]
    if message.attachments:
        found["attachments"] = [_attachment(item) for item in message.attachments]
    return found


def _recipients(addresses: Iterable[Address]) -> list[dict[str, object]]:
    return [_recipient(address) for address in addresses]


def _recipient(address: Address) -> dict[str, object]:
    named = {"name": address.name} if address.name else {}
    return {"emailAddress": {"address": address.email, **named}}


def _attachment(item: Attachment) -> dict[str, object]:
    found: dict[str, object] = {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": item.filename,
        "contentType": content_type_of(item),
        "contentBytes": item.in_memory,
    }
    if item.content_id is not None:
        found |= {"contentId": item.content_id, "isInline": True}
    return found
