"""Writes messages as MIME if Graph's JSON cannot express them.

The MIME contains Bcc on purpose: Graph takes all recipients from the headers and removes Bcc.
https://learn.microsoft.com/graph/outlook-send-mime-message
"""

from __future__ import annotations

import email.utils
import hashlib
from collections.abc import Sequence
from datetime import datetime

from shared.mail import invitation, message_ids, pictures, threads
from shared.mail.address import Address
from shared.mail.key_names import KEY_HEADER
from shared.mail.message import Attachment, Importance, Message
from shared.mail.mime import rewriting
from shared.mail.mime.header_lines import addresses_line, header_line, literal_line, text_line
from shared.mail.mime.parts import calendar_part, file_part, multipart, text_part


def compose(message: Message, sender: Address, key: str, now: datetime) -> bytes:
    """The message as RFC 5322 bytes, from `sender`, carrying `key`."""
    if message.mime is not None:
        return rewriting.composed(message, sender, key)
    head = _header_section(message, sender, key, now)
    return head + b"MIME-Version: 1.0\r\n" + _content(pictures.with_shown_only(message), key)


def _header_section(message: Message, sender: Address, key: str, now: datetime) -> bytes:
    """The header lines. They are not written by `EmailMessage`.

    `EmailMessage` removes the quotes of a display name with a comma or a bracket, which turns its
    parts into recipients (cpython#121284), and encodes long message ids so that they cannot be
    recognised.
    """
    lines = [addresses_line("From", (sender,))]
    for name, addresses in (
        ("To", message.to),
        ("Cc", message.cc),
        ("Bcc", message.bcc),
        ("Reply-To", message.reply_to),
    ):
        if addresses:
            lines.append(addresses_line(name, addresses))
    lines.append(text_line("Subject", message.subject))
    literal = [
        ("Date", email.utils.format_datetime(now)),
        ("Message-ID", message_ids.own_message_id(key, sender)),
        *threads.thread_headers(message),
    ]
    if message.importance is not Importance.NORMAL:
        literal.append(("Importance", message.importance.value))
    if message.read_receipt:
        literal.append(("Disposition-Notification-To", sender.email))
    if message.delivery_receipt:
        literal.append(("Return-Receipt-To", sender.email))
    lines += [literal_line(name, value) for name, value in literal]
    lines += [header_line(name, value) for name, value in message.headers]
    lines.append(literal_line(KEY_HEADER, key))
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _content(message: Message, key: str) -> bytes:
    """Texts, pictures and files, nested as mail programs expect it: files beside the alternatives,
    of which the last is the richest, and pictures beside the html."""
    invitations = invitation.invitations_of(message)
    inline, files = _sorted(message, invitations)
    alternatives = []
    if message.text is not None:
        alternatives.append(text_part(message.text, "plain"))
    if message.html is not None:
        html = text_part(message.html, "html")
        parts = [html, *(file_part(item, inline=True) for item in inline)]
        alternatives.append(_one_of(parts, "related", _boundary(key, 1), 'type="text/html"'))
    alternatives += [calendar_part(*invitation.written(item)) for item in invitations]
    body = _one_of(alternatives or [text_part("", "plain")], "alternative", _boundary(key, 2))
    parts = [body, *(file_part(item, inline=False) for item in files)]
    return _one_of(parts, "mixed", _boundary(key, 3)) + b"\r\n"


def _sorted(
    message: Message, invitations: Sequence[Attachment]
) -> tuple[list[Attachment], list[Attachment]]:
    """The pictures that the html shows, and the files."""
    inline: list[Attachment] = []
    files: list[Attachment] = []
    for item in message.attachments:
        if item not in invitations:
            (files if item.content_id is None else inline).append(item)
    return inline, files


def _one_of(parts: Sequence[bytes], subtype: str, boundary: str, *extra: str) -> bytes:
    """The part alone if there is only one, else all of them in a multipart."""
    return parts[0] if len(parts) == 1 else multipart(subtype, parts, boundary, *extra)


def _boundary(key: str, level: int) -> str:
    """The same mail always gets the same boundary, so that a mail that was sent can be written
    again."""
    return f"=_{level}_{hashlib.sha256(key.encode()).hexdigest()[:24]}"
