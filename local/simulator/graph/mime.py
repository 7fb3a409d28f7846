"""Reads the MIME form of a message (graph-mail.md 1.6).

The client's source is kept unchanged, because signatures must stay valid. Reading is lenient with
frequent errors of mail programs, so the older, lenient half of the `email` package reads it.
"""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from collections.abc import Container, Iterator
from datetime import datetime
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message as Part
from email.policy import compat32

from local.simulator.graph.errors import InvalidMimeBase64, UnableToDeserializePostBody
from local.simulator.graph.items import (
    ITEM,
    KEY_HEADER,
    Address,
    Attachment,
    Message,
    first_header,
)
from local.simulator.graph.mime_people import people

STRIPPED = frozenset({"auto-submitted", "return-path"})
"""Headers that are always removed at submission [microsoftgraph/msgraph-sdk-dotnet#2209]."""

MESSAGE = "message/rfc822"
_AS_SENT = compat32.clone(linesep="\r\n")

IMPORTANCE = {"high": "high", "low": "low", "1": "high", "2": "high", "4": "low", "5": "low"}

Headers = list[tuple[str, str]]


def submitted(body: bytes, now: datetime) -> Message:
    """The message in a MIME request body: base64 of its whole source [api: user-sendmail]."""
    try:
        source = base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error as error:
        raise InvalidMimeBase64 from error
    return read(without_headers(source, STRIPPED), now)


def read(source: bytes, now: datetime) -> Message:
    """A message from its source. `To`, `Cc` and `Bcc` are read from the headers."""
    try:
        parsed = message_from_bytes(source)
    except (MessageError, ValueError) as error:
        raise UnableToDeserializePostBody from error
    headers = header_fields(source)
    result = Message(created=now, modified=now, mime=source, headers=headers)
    result.delivery_receipt = None
    result.subject = first_header(headers, "Subject") or ""
    result.to, result.cc, result.bcc = (_people(parsed, name) for name in ("to", "cc", "bcc"))
    result.reply_to = _people(parsed, "reply-to")
    result.from_ = next(iter(_people(parsed, "from")), None)
    result.given_key = first_header(headers, KEY_HEADER)
    named_id = (first_header(headers, "Message-ID") or "").strip()
    result.internet_message_id = named_id or result.internet_message_id
    result.importance = _importance(headers)
    result.read_receipt = first_header(headers, "Disposition-Notification-To") is not None
    _read_parts(result, parsed, now)
    return result


def header_fields(source: bytes) -> Headers:
    """Every header of a source, unfolded and decoded."""
    head = message_from_bytes(source.partition(b"\r\n\r\n")[0].partition(b"\n\n")[0] + b"\r\n\r\n")
    return [(_clean(name), _decoded(value)) for name, value in head.raw_items()]


def without_headers(source: bytes, names: Container[str]) -> bytes:
    """The same source without some headers; every other byte is unchanged. Names are in lower
    case."""
    separator = re.search(rb"\r?\n\r?\n", source)
    end = separator.start() if separator else len(source)
    head, rest = source[:end], source[end:]
    fields = re.split(rb"\r?\n(?![ \t])", head)
    kept = [one for one in fields if _field_name(one) not in names]
    return b"\r\n".join(kept) + rest


def _field_name(field: bytes) -> str:
    return field.partition(b":")[0].strip().lower().decode("ascii", "replace")


def _clean(raw: str) -> str:
    """Header bytes as text. The parser represents non-ASCII bytes as surrogates."""
    return raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _decoded(raw: object) -> str:
    """An unfolded header value with its encoded words decoded; unchanged if they are malformed."""
    text = re.sub(r"\r?\n(?=[ \t])", "", _clean(str(raw))).strip()
    try:
        return str(make_header(decode_header(text))) if "=?" in text else text
    except (LookupError, UnicodeError, MessageError, ValueError):
        return text


def _people(parsed: Part, header: str) -> list[Address]:
    values = [_clean(str(value)) for name, value in parsed.raw_items() if name.lower() == header]
    return [one for value in values for one in people(re.sub(r"\r?\n", "", value))]


def _importance(headers: Headers) -> str:
    named = first_header(headers, "Importance") or first_header(headers, "X-Priority") or ""
    return IMPORTANCE.get(named.strip().lower()[:4].strip(), "normal")


def _read_parts(target: Message, parsed: Part, now: datetime) -> None:
    """Set the first text and the first HTML as bodies, and all other leaves as files."""
    for part in _leaves(parsed):
        kind = part.get_content_type()
        if kind == MESSAGE:
            target.attachments = [*target.attachments, _attached_message(part, now)]
            continue
        is_file = part.get_content_disposition() == "attachment" or bool(part.get_filename())
        if kind == "text/plain" and target.text is None and not is_file:
            target.text = _text(part)
        elif kind == "text/html" and target.html is None and not is_file:
            target.html = _text(part)
        else:
            target.attachments = [*target.attachments, _attachment(part, now)]


def _leaves(parsed: Part) -> Iterator[Part]:
    """The parts with content, in order. An attached message is one part, whatever is in it."""
    waiting = [parsed]
    while waiting:
        part = waiting.pop()
        if part.is_multipart() and part.get_content_type() != MESSAGE:
            waiting += reversed([one for one in part.get_payload() if isinstance(one, Part)])
        else:
            yield part


def _attached_message(part: Part, now: datetime) -> Attachment:
    """A message/rfc822 part: for Graph an item and no file. Its name is UNCONFIRMED: the subject,
    as Outlook shows it, or the file's name if it has none."""
    source = _inner_source(part)
    subject = first_header(header_fields(source), "Subject") or ""
    return Attachment(
        name=subject or _file_name(part) or "untitled",
        content=source,
        modified=now,
        content_type=MESSAGE,
        kind=ITEM,
    )


def _inner_source(part: Part) -> bytes:
    """The attached message as it was sent. The parser does not undo an encoding of the part."""
    payload = part.get_payload()
    inner = payload[0] if isinstance(payload, list) and payload else None
    if not isinstance(inner, Part):
        return _content(part)
    encoding = _clean(str(part.get("Content-Transfer-Encoding", ""))).strip().lower()
    if encoding in ("base64", "quoted-printable"):
        return _undone(inner, encoding)
    return inner.as_bytes(policy=_AS_SENT)


def _undone(inner: Part, encoding: str) -> bytes:
    text = inner.as_bytes(policy=_AS_SENT)
    if encoding == "quoted-printable":
        return quopri.decodestring(text)
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        return text


def _text(part: Part) -> str:
    content = _content(part)
    try:
        return content.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:
        return content.decode("utf-8", "replace")


def _content(part: Part) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _attachment(part: Part, now: datetime) -> Attachment:
    content_id = _clean(part.get("Content-ID", "")).strip().strip("<>")
    return Attachment(
        name=_file_name(part) or "untitled",
        content=_content(part),
        modified=now,
        content_type=_clean(part.get_content_type()),
        is_inline=bool(content_id) and part.get_content_disposition() != "attachment",
        content_id=content_id or None,
    )


def _file_name(part: Part) -> str:
    """A name of RFC 2231 is decoded once; in any other name, encoded words are decoded as mail
    programs do."""
    for header, parameter in (("content-disposition", "filename"), ("content-type", "name")):
        found = part.get_param(parameter, None, header)
        if isinstance(found, tuple):
            charset, _, text = found
            return text.encode("latin-1", "replace").decode(charset or "utf-8", "replace")
        if found:
            return _decoded(found)
    return ""
