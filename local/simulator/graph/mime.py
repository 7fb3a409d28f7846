"""RFC 5322 in and out: reads the MIME form of a message, composes the source of a JSON one.

A source that came as MIME is never re-encoded: signatures must survive (graph-mail.md 1.6).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Container, Iterable
from datetime import datetime
from email import message_from_bytes, policy
from email.errors import MessageError
from email.headerregistry import Address as HeaderAddress
from email.message import EmailMessage, MIMEPart
from email.utils import format_datetime, getaddresses

from local.simulator.graph.errors import InvalidMimeBase64, UnableToDeserializePostBody
from local.simulator.graph.items import (
    Address,
    Attachment,
    Message,
    new_internet_message_id,
    property_key,
)

STRIPPED = frozenset({"auto-submitted", "return-path"})
"""Never survive submission, whatever the client writes [microsoftgraph/msgraph-sdk-dotnet#2209]."""

IMPORTANCE = {"high": "high", "low": "low", "1": "high", "2": "high", "4": "low", "5": "low"}

TAG_HEADERS = {
    "String 0x1045": "List-Unsubscribe",
    "String 0x1039": "References",
    "String 0x1042": "In-Reply-To",
}
"""Properties that public code uses to set these headers. UNCONFIRMED as supported (1.4)."""

_MEDIA_TYPE = re.compile(r"([\w.+-]+)/([\w.+-]+)(?=;|$)")


COMPOSED = policy.SMTP.clone(max_line_length=200)
"""Wide enough that message ids and custom headers are not folded."""


def submitted(body: bytes, now: datetime) -> Message:
    """The message in a MIME request body: base64 of its whole source [api: user-sendmail]."""
    try:
        source = base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error as error:
        raise InvalidMimeBase64 from error
    return read(without_headers(source, STRIPPED), now)


def read(source: bytes, now: datetime) -> Message:
    """A message from its source. `To`, `Cc` and `Bcc` come from the headers."""
    try:
        parsed = message_from_bytes(source, policy=policy.default)
        return _read(parsed, source, now)
    except (MessageError, LookupError, ValueError) as error:
        raise UnableToDeserializePostBody from error


def _read(parsed: EmailMessage, source: bytes, now: datetime) -> Message:
    result = Message(created=now, modified=now, mime=source, delivery_receipt=None)
    result.subject = str(parsed.get("Subject", ""))
    result.to, result.cc, result.bcc = (_addresses(parsed, name) for name in ("To", "Cc", "Bcc"))
    result.reply_to = _addresses(parsed, "Reply-To")
    result.from_ = next(iter(_addresses(parsed, "From")), None)
    result.internet_message_id = (
        str(parsed.get("Message-ID", "")).strip() or result.internet_message_id
    )
    result.headers = [(name, str(value)) for name, value in parsed.items()]
    named = str(parsed.get("Importance") or parsed.get("X-Priority") or "normal")
    result.importance = IMPORTANCE.get(named.lower()[:4].strip(), "normal")
    result.read_receipt = "Disposition-Notification-To" in parsed
    result.html, result.text = _body(parsed, "html"), _body(parsed, "plain")
    result.attachments = [_attachment(part, now) for part in _parts(parsed)]
    return result


def _addresses(parsed: EmailMessage, name: str) -> list[Address]:
    values = [str(value) for value in parsed.get_all(name, [])]
    return [Address(address, person) for person, address in getaddresses(values) if address]


def _body(parsed: EmailMessage, kind: str) -> str | None:
    part = parsed.get_body((kind,))
    return None if part is None else str(part.get_content())


def _parts(parsed: EmailMessage) -> Iterable[MIMEPart]:
    """Every leaf that is not the text to read; a signed mail's signature included."""
    bodies = [parsed.get_body((kind,)) for kind in ("html", "plain")]
    for part in parsed.walk():
        leaf = not part.is_multipart()
        if leaf and isinstance(part, MIMEPart) and all(part is not body for body in bodies):
            yield part


def _attachment(part: MIMEPart, now: datetime) -> Attachment:
    payload = part.get_payload(decode=True)
    content_id = str(part.get("Content-ID", "")).strip().strip("<>")
    return Attachment(
        name=part.get_filename() or "untitled",
        content=payload if isinstance(payload, bytes) else b"",
        modified=now,
        content_type=part.get_content_type(),
        is_inline=bool(content_id) and part.get_content_disposition() != "attachment",
        content_id=content_id or None,
    )


def complete(message: Message, *, keep_id: bool, unknown: Container[str]) -> None:
    """Make a client's source fit to be sent: what every mail has, without what is dropped."""
    if message.mime is None:
        return
    dropped = {name.lower() for name, _ in message.headers if name.lower() in unknown}
    if not keep_id:
        message.internet_message_id = new_internet_message_id()
        dropped.add("message-id")
    source = without_headers(message.mime, dropped)
    message.headers = [one for one in message.headers if one[0].lower() not in dropped]
    present = {name.lower() for name, _ in message.headers}
    missing = {
        "Message-ID": message.internet_message_id,
        "Date": format_datetime(message.sent or message.created),
        "From": _spelled(message.from_) if message.from_ else "",
    }
    added = [(name, value) for name, value in missing.items() if name.lower() not in present]
    head = "".join(f"{name}: {value}\r\n" for name, value in added if value)
    message.mime = head.encode() + source
    message.headers = [*added, *message.headers]


def source_of(message: Message, *, with_bcc: bool = False) -> bytes:
    """The source of any message; recipients never see `Bcc`."""
    if message.mime is not None:
        return message.mime if with_bcc else without_headers(message.mime, {"bcc"})
    return _composed(message, with_bcc=with_bcc).as_bytes(policy=COMPOSED)


def without_headers(source: bytes, names: Container[str]) -> bytes:
    """The same source without some headers, every other byte untouched. Names are lower case."""
    separator = re.search(rb"\r?\n\r?\n", source)
    end = separator.start() if separator else len(source)
    head, rest = source[:end], source[end:]
    fields = re.split(rb"\r?\n(?![ \t])", head)
    kept = [one for one in fields if _field_name(one) not in names]
    return b"\r\n".join(kept) + rest


def _field_name(field: bytes) -> str:
    return field.partition(b":")[0].strip().lower().decode("ascii", "replace")


def _composed(message: Message, *, with_bcc: bool) -> EmailMessage:
    mail = EmailMessage(policy=COMPOSED)
    lists = {"To": message.to, "Cc": message.cc, "Reply-To": message.reply_to}
    if message.from_:
        lists = {"From": [message.from_], **lists}
    if message.sender and message.from_ and message.sender.key != message.from_.key:
        lists["Sender"] = [message.sender]
    if with_bcc:
        lists["Bcc"] = message.bcc
    for name, addresses in lists.items():
        if addresses:
            mail[name] = ", ".join(_spelled(one) for one in addresses)
    mail["Subject"] = one_line(message.subject)
    mail["Message-ID"] = message.internet_message_id
    mail["Date"] = format_datetime(message.sent or message.created)
    _set_extras(mail, message)
    _set_content(mail, message)
    return mail


def _set_extras(mail: EmailMessage, message: Message) -> None:
    if message.importance != "normal":
        mail["Importance"] = message.importance
    if message.read_receipt and message.from_:
        mail["Disposition-Notification-To"] = _spelled(message.from_)
    for identifier, value in message.properties.items():
        header = TAG_HEADERS.get(property_key(identifier) or "")
        if header is not None:
            mail[header] = one_line(value)
    for name, value in message.headers:
        mail[name] = one_line(value)


def _set_content(mail: EmailMessage, message: Message) -> None:
    if message.html is not None:
        mail.set_content(message.html, subtype="html")
    else:
        mail.set_content(message.text or "")
    inline = [one for one in message.attachments if one.is_inline and message.html is not None]
    for one in inline:
        main, sub = _media_type(one)
        mail.add_related(
            one.content, main, sub, cid=f"<{one.content_id or one.name}>", filename=one.name
        )
    for one in message.attachments:
        if one not in inline:
            main, sub = _media_type(one)
            mail.add_attachment(one.content, main, sub, filename=one_line(one.name))


def _media_type(attachment: Attachment) -> tuple[str, str]:
    """A type that the email package can carry as bytes."""
    found = _MEDIA_TYPE.match(attachment.content_type.strip())
    if found is None or found[1].lower() in ("multipart", "message"):
        return "application", "octet-stream"
    return found[1], found[2]


def _spelled(one: Address) -> str:
    user, _, domain = one.address.rpartition("@")
    return str(HeaderAddress(one_line(one.name), user, domain))


def one_line(text: str) -> str:
    return " ".join(text.split("\n")).replace("\r", "").strip()


def header_fields(message: Message) -> list[tuple[str, str]]:
    """Every header of a message as a recipient sees it."""
    parsed = message_from_bytes(source_of(message), policy=policy.default)
    return [(name, str(value)) for name, value in parsed.items()]
