"""Messages as MIME, written where Graph's JSON cannot express them.

Bcc stands in the MIME on purpose: Graph takes all recipients from the headers and removes it.
https://learn.microsoft.com/graph/outlook-send-mime-message
"""

from __future__ import annotations

import email.message
import email.policy
import email.utils
from datetime import datetime

from shared.mail import message_ids
from shared.mail.address import Address
from shared.mail.graph_payload import KEY_HEADER
from shared.mail.message import Attachment, Importance, Message
from shared.mail.mime.header_lines import addresses_line, text_line
from shared.mail.mime.reading import header_section_of, parsed

LONG_TEXT = 64 * 1024
"""Characters from which a text that is not plain ASCII goes as base64: the library writes
quoted-printable character by character, which takes seconds for a text of megabytes."""


def compose(message: Message, sender: Address, key: str, now: datetime) -> bytes:
    """The message as RFC 5322 bytes, from `sender`, carrying `key`."""
    if message.mime is not None:
        return _with_header(message.mime, KEY_HEADER, key, sender)
    body = email.message.EmailMessage(policy=email.policy.SMTP)
    _set_body(body, message)
    return _header_section(message, sender, key, now) + body.as_bytes()


def _header_section(message: Message, sender: Address, key: str, now: datetime) -> bytes:
    """The header lines, written here and not by `EmailMessage`.

    That one writes a display name with a comma or a bracket anew without its quotes, which makes
    recipients of its parts (cpython#121284), and encodes long message ids past recognition.
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
    texts = [("Subject", message.subject), ("Date", email.utils.format_datetime(now))]
    texts.append(("Message-ID", message_ids.own_message_id(key, sender)))
    if message.importance is not Importance.NORMAL:
        texts.append(("Importance", message.importance.value))
    if message.read_receipt:
        texts.append(("Disposition-Notification-To", sender.email))
    if message.delivery_receipt:
        texts.append(("Return-Receipt-To", sender.email))
    lines += [text_line(name, text) for name, text in (*texts, *message.headers, (KEY_HEADER, key))]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _set_body(found: email.message.EmailMessage, message: Message) -> None:
    inline = [item for item in message.attachments if item.content_id and message.html is not None]
    if message.text is not None:
        found.set_content(message.text, cte=_encoding(message.text))
        if message.html is not None:
            found.add_alternative(message.html, subtype="html", cte=_encoding(message.html))
    elif message.html is not None:
        found.set_content(message.html, subtype="html", cte=_encoding(message.html))
    html_part = found.get_body(("html",)) if inline else None
    for item in inline:
        if isinstance(html_part, email.message.EmailMessage):
            maintype, subtype = _media_type(item)
            html_part.add_related(
                item.in_memory,
                maintype=maintype,
                subtype=subtype,
                cid=f"<{item.content_id}>",
                filename=item.filename,
                disposition="inline",
            )
    for item in message.attachments:
        if item not in inline:
            _attach(found, item)


def _encoding(text: str) -> str | None:
    return "base64" if len(text) >= LONG_TEXT and not text.isascii() else None


def _attach(found: email.message.EmailMessage, item: Attachment) -> None:
    maintype, subtype = _media_type(item)
    found.add_attachment(item.in_memory, maintype=maintype, subtype=subtype, filename=item.filename)


def _media_type(item: Attachment) -> tuple[str, str]:
    maintype, _, subtype = item.content_type.lower().partition("/")
    if maintype in ("multipart", "message"):
        # Those may not be base64 (RFC 2045, 6.4); as a plain file they arrive byte for byte.
        return "application", "octet-stream"
    return maintype, subtype


def _with_header(raw: bytes, name: str, value: str, sender: Address) -> bytes:
    """The raw message with our key on top, and a From and a Message-ID where it has none."""
    head = parsed(header_section_of(raw))
    lines = [f"{name}: {value}"]
    if "From" not in head:
        lines.append(addresses_line("From", (sender,)))
    if "Message-ID" not in head:
        lines.append(f"Message-ID: {message_ids.own_message_id(value, sender)}")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii") + raw
