"""Writes the MIME source of messages. A message that came as MIME is only completed, never
re-encoded."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from email import message_from_bytes, policy
from email.encoders import encode_base64
from email.header import Header
from email.mime.base import MIMEBase
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime

from local.simulator.graph.items import (
    ITEM,
    Address,
    Attachment,
    Message,
    first_header,
    new_internet_message_id,
    property_key,
)
from local.simulator.graph.mime import Headers, header_fields, without_headers

TAG_HEADERS = {
    "String 0x1045": "List-Unsubscribe",
    "String 0x1039": "References",
    "String 0x1042": "In-Reply-To",
}
"""Properties that public code uses to set these headers. UNCONFIRMED as supported (1.4)."""

_MEDIA_TYPE = re.compile(r"([a-z0-9.+-]+)/([a-z0-9.+-]+)(?=;|$)", re.IGNORECASE | re.ASCII)
_PLAIN_NAME = re.compile(r"[\w.-]+( [\w.-]+)*", re.ASCII)
_ATOMS = re.compile(r"[\w !#$%&'*+/=?^`{|}~-]*")


def source_of(message: Message, *, with_bcc: bool = False) -> bytes:
    """The source of any message; recipients never see `Bcc`."""
    if message.mime is not None:
        return message.mime if with_bcc else without_headers(message.mime, {"bcc"})
    head = "".join(f"{name}: {value}\r\n" for name, value in _head(message, with_bcc=with_bcc))
    return head.encode("utf-8", "replace") + _content(message)


def headers_of(message: Message) -> Headers:
    """Every header of a message as a recipient sees it."""
    return header_fields(source_of(message))


def drop_headers(message: Message, names: Container[str]) -> None:
    """Remove headers from a message; every other byte of a client's source is unchanged. Names are
    in lower case."""
    message.headers = [one for one in message.headers if one[0].lower() not in names]
    if message.mime is not None:
        message.mime = without_headers(message.mime, names)


def replace_message_id(message: Message) -> None:
    """Replace the Message-ID in a client's source, as Outlook.com's SMTP does
    [chatmail/core#1006]."""
    if message.mime is None:
        return
    given = first_header(message.headers, "Message-ID")
    drop_headers(message, {"message-id"})
    message.internet_message_id = new_internet_message_id()
    added = [("Message-ID", message.internet_message_id)]
    if given:
        added.append(("X-Microsoft-Original-Message-ID", given))
    _put_on_top(message, added)


def complete(message: Message) -> None:
    """Add the headers that a mail needs to be sent.

    A message from JSON gets the headers of its property tags; a client's source gets the headers of
    every mail.
    """
    if message.mime is None:
        message.headers = [*message.headers, *_tag_headers(message)]
        return
    present = {name.lower() for name, _ in message.headers}
    needed = {
        "Message-ID": message.internet_message_id,
        "Date": format_datetime(message.sent or message.created),
        "From": _spelled([message.from_]) if message.from_ else "",
    }
    _put_on_top(
        message,
        [(name, value) for name, value in needed.items() if value and name.lower() not in present],
    )


def _put_on_top(message: Message, added: Headers) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in added)
    message.mime = head.encode("utf-8") + (message.mime or b"")
    message.headers = [*added, *message.headers]


def _tag_headers(message: Message) -> Headers:
    found = ((property_key(one) or "", value) for one, value in message.properties.items())
    return [(TAG_HEADERS[key], one_line(value)) for key, value in found if key in TAG_HEADERS]


def one_line(text: str) -> str:
    """The text without characters that could begin another header."""
    return re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", text).strip()


def encoded(text: str) -> str:
    """An unstructured header value, with encoded words if it is not ASCII."""
    line = one_line(text)
    return line if line.isascii() else Header(line, "utf-8", 900).encode()


def _head(message: Message, *, with_bcc: bool) -> Headers:
    """The headers in the order in which mail programs write them; empty ones are left out."""
    sender = message.sender if message.sender != message.from_ else None
    headers = [
        ("From", _spelled([message.from_] if message.from_ else [])),
        ("Sender", _spelled([sender] if sender else [])),
        ("To", _spelled(message.to)),
        ("Cc", _spelled(message.cc)),
        ("Bcc", _spelled(message.bcc) if with_bcc else ""),
        ("Reply-To", _spelled(message.reply_to)),
        ("Subject", encoded(message.subject)),
        ("Message-ID", one_line(message.internet_message_id)),
        ("Date", format_datetime(message.sent or message.created)),
        ("Importance", "" if message.importance == "normal" else message.importance),
        *((_header_name(name), encoded(value)) for name, value in message.headers),
    ]
    if message.read_receipt and message.from_:
        headers.append(("Disposition-Notification-To", _spelled([message.from_])))
    return [(name, value) for name, value in headers if name and value]


def _header_name(name: str) -> str:
    return re.sub(r"[^!-9;-~]", "", name)


def _spelled(people: Iterable[Address]) -> str:
    return ", ".join(_person(one) for one in people)


def _person(one: Address) -> str:
    name = one_line(one.name)
    address = one_line(one.address)
    if not name:
        return address
    if not name.isascii():
        return f"{Header(name, 'utf-8', 900).encode()} <{address}>"
    if not _ATOMS.fullmatch(name):
        name = '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    return f"{name} <{address}>"


def _content(message: Message) -> bytes:
    """Body and attachments with their own headers, from `MIME-Version` on.

    The older half of the `email` package writes them, because the newer one decodes encoded words
    in names.
    """
    is_html = message.html is not None
    text = message.html if message.html is not None else message.text or ""
    mail: MIMEBase = MIMEText(text, "html" if is_html else "plain", "utf-8")
    inline = [one for one in message.attachments if one.is_inline and is_html]
    files = [one for one in message.attachments if one not in inline]
    if inline:
        mail = MIMEMultipart("related", _subparts=[mail, *map(_inline_part, inline)])
    if files:
        mail = MIMEMultipart(
            "mixed", _subparts=[mail, *(_file(one, "attachment") for one in files)]
        )
    # An attached message must stay as it is, so its header lines are not folded again.
    as_sent = any(one.kind == ITEM for one in message.attachments)
    written = policy.compat32.clone(linesep="\r\n")
    return mail.as_bytes(policy=written.clone(max_line_length=None) if as_sent else written)


def _inline_part(attachment: Attachment) -> MIMEBase:
    part = _file(attachment, "inline")
    part.add_header("Content-ID", f"<{_token(attachment.content_id or attachment.name)}>")
    return part


def _file(attachment: Attachment, disposition: str) -> MIMEBase:
    if attachment.kind == ITEM:
        return _attached_message(attachment, disposition)
    part = MIMEBase(*_media_type(attachment))
    part.set_payload(attachment.content)
    encode_base64(part)
    name = one_line(attachment.name) or "untitled"
    plain = _PLAIN_NAME.fullmatch(name) is not None
    part.add_header(
        "Content-Disposition", disposition, filename=name if plain else ("utf-8", "", name)
    )
    return part


def _attached_message(attachment: Attachment, disposition: str) -> MIMEBase:
    """A message as a part of another one: its source is not encoded (RFC 2046, 5.2.1)."""
    part = MIMEMessage(message_from_bytes(attachment.content))
    name = one_line(attachment.name) or "untitled"
    part.add_header("Content-Disposition", disposition, filename=("utf-8", "", f"{name}.eml"))
    return part


def _media_type(attachment: Attachment) -> tuple[str, str]:
    """A media type that the email package can carry as bytes."""
    found = _MEDIA_TYPE.match(attachment.content_type.strip())
    if found is None or found[1].lower() in ("multipart", "message"):
        return "application", "octet-stream"
    return found[1], found[2]


def _token(text: str) -> str:
    """A parameter's value without characters that end it."""
    return re.sub(r"[<>\"\\]", "_", one_line(text)) or "untitled"
