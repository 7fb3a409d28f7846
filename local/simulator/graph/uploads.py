"""Upload sessions for large attachments (graph-mail.md 2.3): in order, at most 4 MB in a chunk."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from local.simulator.graph.errors import (
    AttachmentTooSmallForSession,
    ContentLengthMismatch,
    InvalidContentRange,
    InvalidUploadToken,
    ItemNotFound,
    MessageSizeExceeded,
    OnlyFileAttachments,
    RequestTooLong,
)
from local.simulator.graph.items import Attachment, Message
from local.simulator.graph.mailbox import Mailbox
from local.simulator.graph.options import GraphOptions

MINIMUM_SIZE = 3 * 1024 * 1024
MAXIMUM_CHUNK = 4 * 1024 * 1024
LIFETIME = timedelta(hours=2)

_RANGE = re.compile(r"bytes (?P<start>\d+)-(?P<end>\d+)/(?P<total>\d+)")


@dataclass(frozen=True)
class AttachmentItem:
    """A client's description of a file before the upload [api: attachment-createuploadsession]."""

    kind: str
    name: str
    size: int
    content_type: str = "application/octet-stream"
    is_inline: bool = False
    content_id: str | None = None


@dataclass
class Session:
    """A file that is being uploaded. Its chunks count for the limits of `application` (4.1)."""

    mailbox: Mailbox
    draft: Message
    application: str
    item: AttachmentItem
    expires: datetime
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    received: bytearray = field(default_factory=bytearray)


class Uploads:
    """The open sessions. It has no lock: that of `GraphState` guards it."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def open(
        self,
        mailbox: Mailbox,
        draft: Message,
        application: str,
        item: AttachmentItem,
        now: datetime,
        options: GraphOptions,
    ) -> Session:
        if item.kind.lower() != "file":
            raise OnlyFileAttachments
        if item.size < MINIMUM_SIZE:
            raise AttachmentTooSmallForSession
        if draft.size + item.size > options.message_size_limit:
            raise MessageSizeExceeded
        session = Session(mailbox, draft, application, item, now + LIFETIME)
        self._sessions[session.id] = session
        return session

    def find(self, session_id: str, token: str, now: datetime) -> Session:
        session = self._sessions.get(session_id)
        if session is None or session.expires <= now:
            raise ItemNotFound
        if not secrets.compare_digest(session.token.encode(), token.encode()):
            raise InvalidUploadToken
        return session

    def owner(self, session_id: str) -> str | None:
        session = self._sessions.get(session_id)
        return session.mailbox.owner.address if session else None

    def close(self, session: Session) -> None:
        self._sessions.pop(session.id, None)

    def add_chunk(
        self, session: Session, content_range: str, chunk: bytes, now: datetime
    ) -> Attachment | None:
        """Append the next chunk. Returns the attachment after the last one."""
        found = _RANGE.fullmatch(content_range.strip())
        if found is None:
            raise InvalidContentRange
        start, end, total = (int(found[name]) for name in ("start", "end", "total"))
        if len(chunk) > MAXIMUM_CHUNK:
            raise RequestTooLong
        if end - start + 1 != len(chunk):
            raise ContentLengthMismatch
        if start != len(session.received) or total != session.item.size or end >= total:
            raise InvalidContentRange
        session.received += chunk
        if len(session.received) < total:
            return None
        self.close(session)
        return Attachment(
            name=session.item.name,
            content=bytes(session.received),
            modified=now,
            content_type=session.item.content_type,
            is_inline=session.item.is_inline,
            content_id=session.item.content_id,
        )

    def reset(self) -> None:
        self._sessions.clear()
