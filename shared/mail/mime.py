"""Messages as MIME: written where Graph's JSON cannot express them, read where callers send raw.

Bcc stands in the MIME on purpose: Graph takes all recipients from the headers and removes it.
https://learn.microsoft.com/graph/outlook-send-mime-message
"""

from __future__ import annotations

import email.message
import email.policy
import email.utils
from datetime import datetime
from email.parser import BytesParser

from shared.errors import FieldProblem
from shared.mail.address import Address, BadAddress, make
from shared.mail.message import Attachment, Importance, Message

KEY_HEADER = "X-Postroom-Key"
"""Carries the mail's id where an extended property cannot be set."""


def compose(message: Message, sender: Address, key: str, now: datetime) -> bytes:
    """The message as RFC 5322 bytes, from `sender`, carrying `key`."""
    if message.mime is not None:
        return _with_header(message.mime, KEY_HEADER, key, sender)
    found = email.message.EmailMessage(policy=email.policy.SMTP)
    found["From"] = _header_address(sender)
    for name, addresses in (
        ("To", message.to),
        ("Cc", message.cc),
        ("Bcc", message.bcc),
        ("Reply-To", message.reply_to),
    ):
        if addresses:
            found[name] = ", ".join(_header_address(address) for address in addresses)
    found["Subject"] = message.subject
    found["Date"] = email.utils.format_datetime(now)
    if message.importance is not Importance.NORMAL:
        found["Importance"] = message.importance.value
    if message.read_receipt:
        found["Disposition-Notification-To"] = sender.email
    if message.delivery_receipt:
        found["Return-Receipt-To"] = sender.email
    for name, value in message.headers:
        found[name] = value
    found[KEY_HEADER] = key
    _set_body(found, message)
    return found.as_bytes()


def _set_body(found: email.message.EmailMessage, message: Message) -> None:
    inline = [item for item in message.attachments if item.content_id and message.html is not None]
    if message.text is not None:
        found.set_content(message.text)
        if message.html is not None:
            found.add_alternative(message.html, subtype="html")
    elif message.html is not None:
        found.set_content(message.html, subtype="html")
    html_part = found.get_body(("html",)) if inline else None
    for item in inline:
        if isinstance(html_part, email.message.EmailMessage):
            maintype, _, subtype = item.content_type.partition("/")
            html_part.add_related(
                item.content,
                maintype=maintype,
                subtype=subtype,
                cid=f"<{item.content_id}>",
                filename=item.filename,
                disposition="inline",
            )
    for item in message.attachments:
        if item not in inline:
            _attach(found, item)


def _attach(found: email.message.EmailMessage, item: Attachment) -> None:
    maintype, _, subtype = item.content_type.partition("/")
    if maintype in ("multipart", "message"):
        # Those may not be base64 (RFC 2045, 6.4); as a plain file they arrive byte for byte.
        maintype, subtype = "application", "octet-stream"
    found.add_attachment(item.content, maintype=maintype, subtype=subtype, filename=item.filename)


def read(raw: bytes) -> tuple[Message, list[FieldProblem]]:
    """A raw message as callers send it: envelope and subject from its headers, content untouched.

    Every problem names the header; the message is complete only where there is none.
    """
    problems: list[FieldProblem] = []
    head = BytesParser(policy=email.policy.compat32).parsebytes(raw, headersonly=True)
    if not head.keys():
        return Message(sender=None, mime=raw), [
            FieldProblem("body", "is no RFC 5322 message: it has no headers")
        ]
    for name in ("From", "Subject", "Sender"):
        if len(head.get_all(name, [])) > 1:
            problems.append(FieldProblem(name, "is given more than once: keep one"))
    senders = _addresses(head, "From", problems)
    if len(senders) > 1:
        problems.append(FieldProblem("From", "has more than one address: keep one"))
    message = Message(
        sender=senders[0] if senders else None,
        to=_addresses(head, "To", problems),
        cc=_addresses(head, "Cc", problems),
        bcc=_addresses(head, "Bcc", problems),
        reply_to=_addresses(head, "Reply-To", problems),
        subject=_decoded(str(head.get("Subject", ""))),
        mime=raw,
    )
    return message, problems


def _addresses(
    head: email.message.Message, name: str, problems: list[FieldProblem]
) -> tuple[Address, ...]:
    values = [str(value) for value in head.get_all(name, [])]
    found: list[Address] = []
    for display, spec in email.utils.getaddresses([" ".join(v.split()) for v in values]):
        if not spec and not display:
            continue
        try:
            found.append(make(spec, _decoded(display)))
        except BadAddress as error:
            problems.append(FieldProblem(name, str(error)))
    return tuple(found)


def _decoded(text: str) -> str:
    from email.header import decode_header, make_header

    try:
        return " ".join(str(make_header(decode_header(text))).split())
    except (LookupError, ValueError):
        return " ".join(text.split())


def _with_header(raw: bytes, name: str, value: str, sender: Address) -> bytes:
    """The raw message with our key on top, and a From where it has none."""
    head = BytesParser(policy=email.policy.compat32).parsebytes(raw, headersonly=True)
    lines = [f"{name}: {value}"]
    if "From" not in head:
        lines.append(f"From: {_header_address(sender)}")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii") + raw


def _header_address(address: Address) -> str:
    return email.utils.formataddr((address.name, address.email))
