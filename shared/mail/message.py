"""A message: what is sent. When, by which account and how often it is tried is not part of it."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec

from shared.discreet import Discreet
from shared.errors import FieldProblem
from shared.mail import header_rules
from shared.mail.address import Address, has_control_characters

MAX_RECIPIENTS = 500
"""To, Cc and Bcc together: Exchange Online's default per message. Reply-To may have as many."""
MAX_SUBJECT = 998
"""Characters of a header line (RFC 5322, 2.1.1)."""
MAX_ATTACHMENTS = 100
MAX_HEADERS = 30


class Importance(StrEnum):
    """How urgent a mail is. Mail programs show it to the reader."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class StoredFile(msgspec.Struct, frozen=True):
    """A file in blob storage, in the version that it had when its mail was accepted."""

    container: str
    name: str
    size: int = 0
    """Bytes."""
    etag: str = ""
    """Empty until Postroom has read the file's properties; `size` has no meaning before that."""


class Attachment(Discreet, frozen=True):
    """One file, whole in memory or in blob storage."""

    unshown: ClassVar = frozenset({"content"})

    filename: str
    content: bytes | StoredFile
    content_type: str = "application/octet-stream"
    content_id: str | None = None
    """Set for a picture that the html shows by `cid:`; such an attachment is inline. A picture that
    the html does not show is an ordinary file: see `shared.mail.pictures`."""

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.content.size if isinstance(self.content, StoredFile) else len(self.content)

    @property
    def in_memory(self) -> bytes:
        """The file's bytes. Raises TypeError for a file in storage: the caller must read it
        first."""
        if isinstance(self.content, StoredFile):
            raise TypeError("the file is in storage")
        return self.content


class Message(Discreet, frozen=True):
    """The content of one mail. If `mime` (a raw RFC 5322 message) is set, it alone is sent."""

    unshown: ClassVar = frozenset({"text", "html", "attachments", "mime"})

    sender: Address | None
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    importance: Importance = Importance.NORMAL
    read_receipt: bool = False
    delivery_receipt: bool = False
    save_to_sent_items: bool = True
    signature: bool = True
    """Whether the account's signature is put under it."""
    mime: bytes | None = None
    in_reply_to: str | None = None
    """The Message-ID of the mail that this one answers, with its angle brackets."""
    references: tuple[str, ...] = ()
    """The Message-IDs of the thread, the oldest first, each with its angle brackets."""

    @property
    def recipients(self) -> tuple[Address, ...]:
        """To, Cc and Bcc."""
        return (*self.to, *self.cc, *self.bcc)


def problems_of(message: Message) -> list[FieldProblem]:
    """Every fault of a message that no account could send, field by field."""
    crowded = too_many(
        recipients=len(message.recipients),
        reply_to=len(message.reply_to),
        attachments=len(message.attachments),
        headers=len(message.headers),
    )
    if crowded:
        return crowded
    found: list[FieldProblem] = []

    def problem(name: str, text: str) -> None:
        found.append(FieldProblem(name, text))

    if not message.recipients:
        problem("to", "has no recipient: give at least one address in to, cc or bcc")
    if has_control_characters(message.subject):
        problem("subject", "must not hold line breaks or control characters: remove them")
    if len(message.subject) > MAX_SUBJECT:
        problem("subject", f"has more than {MAX_SUBJECT} characters: shorten it")
    if message.mime is None and message.text is None and message.html is None:
        problem("text", "is missing: give a text, an html, or both")
    found.extend(_attachment_problems(message))
    found.extend(header_rules.problems_of(message.headers))
    found.extend(_thread_problems(message))
    found.extend(_mime_only_problems(message))
    return found


def too_many(
    *, recipients: int, reply_to: int, attachments: int = 0, headers: int = 0
) -> list[FieldProblem]:
    """The lists with too many entries. Callers check this first and do not read the entries of such
    a list."""
    found: list[FieldProblem] = []
    if recipients > MAX_RECIPIENTS:
        found.append(
            FieldProblem(
                "to",
                f"has {recipients} recipients with cc and bcc: at most {MAX_RECIPIENTS} a mail",
            )
        )
    if reply_to > MAX_RECIPIENTS:
        found.append(
            FieldProblem("reply_to", f"has {reply_to} addresses: at most {MAX_RECIPIENTS}")
        )
    if attachments > MAX_ATTACHMENTS:
        found.append(FieldProblem("attachments", f"are more than {MAX_ATTACHMENTS}: send fewer"))
    if headers > MAX_HEADERS:
        found.append(FieldProblem("headers", f"are more than {MAX_HEADERS}: send fewer"))
    return found


def needs_mime(message: Message) -> bool:
    """Whether the message has to go as MIME, because Graph's JSON cannot express it.

    JSON has one body, and takes only headers that begin with `x-`, five at most
    (https://learn.microsoft.com/graph/api/resources/internetmessageheader).
    """
    names = [name.lower() for name, _ in message.headers]
    return (
        message.mime is not None
        or (message.text is not None and message.html is not None)
        or len(names) > 5
        or any(not name.startswith("x-") for name in names)
        or message.in_reply_to is not None
        or bool(message.references)
        or _has_invitation(message)
    )


def _has_invitation(message: Message) -> bool:
    # Only a content type with parameters can make an invitation: most mails need no import here.
    if not any(";" in item.content_type for item in message.attachments):
        return False
    from shared.mail import invitation

    return bool(invitation.invitations_of(message))


def _mime_only_problems(message: Message) -> list[FieldProblem]:
    if message.save_to_sent_items or not needs_mime(message):
        return []
    return [
        FieldProblem(
            "save_to_sent_items",
            "cannot be false here: Microsoft always saves a mail that has both text and html, "
            "headers other than x-…, in_reply_to or references, an invitation, or raw MIME; send "
            "only text or only html, or leave it true",
        )
    ]


def _attachment_problems(message: Message) -> list[FieldProblem]:
    if not message.attachments:
        return []
    from shared.mail import attachment_rules

    return attachment_rules.problems_of(message)


def _thread_problems(message: Message) -> list[FieldProblem]:
    if message.in_reply_to is None and not message.references:
        return []
    from shared.mail import threads

    return threads.problems_of(message)
