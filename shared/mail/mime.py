"""Messages as MIME: written where Graph's JSON cannot express them, read where callers send raw.

Bcc stands in the MIME on purpose: Graph takes all recipients from the headers and removes it.
https://learn.microsoft.com/graph/outlook-send-mime-message
"""

from __future__ import annotations

import email.errors
import email.message
import email.policy
import email.utils
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from email.header import Header, decode_header, make_header
from email.parser import BytesParser

from shared.errors import FieldProblem
from shared.mail.address import Address, BadAddress, make
from shared.mail.graph_payload import KEY_HEADER
from shared.mail.message import Attachment, Importance, Message, is_transports, too_many

MAX_HEADER_SECTION = 256 * 1024
"""Bytes of a raw message's headers. Room for 500 recipients with long names."""
MAX_ENCODED = 8 * 1024
"""Characters up to which encoded words are decoded: reading them takes a time that grows with the
square of their length. Enough for a subject of 998 characters of any script in base64."""

ADDRESS_HEADERS = ("From", "Sender", "To", "Cc", "Bcc", "Reply-To")
_LINE_END = re.compile(rb"\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_NO_LINE_END = re.compile(rb"\r(?!\n)|\0")
"""What some readers end a line at, or the headers, and others read over (RFC 5322, 2.2 and 4)."""
# The charsets of mail. Python has codecs beside them that are no charsets, take a time that grows
# with the square of the length, or make text that cannot be written again.
_CHARSET = re.compile(
    r"utf-?8|(us-)?ascii|iso[-_]?8859-\d{1,2}|latin-?1|(windows-|cp)(125\d|874)|koi8-[ru]"
    r"|iso-2022-(jp|kr)|shift[-_]jis|euc-(jp|kr)|ks_c_5601-1987|gb2312|gbk|gb18030|big5",
    re.IGNORECASE,
)
_HEADER_LINE = re.compile(rb"[!-9;-~]{1,76}:|[ \t]")
"""RFC 5322, 2.2: a name of printable ASCII without the colon, or a folded line."""

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"')

LINE = 76
"""Characters of a header line that lines are folded to (RFC 2047, 2)."""
LONG_TEXT = 64 * 1024
"""Characters from which a text that is not plain ASCII goes as base64: the library writes
quoted-printable character by character, which takes seconds for a text of megabytes."""
LONGEST_WORD = 900
"""A word of a header longer than this cannot stand on a line (RFC 5322, 2.1.1: 998 characters)."""


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
    lines = [_addresses_line("From", (sender,))]
    for name, addresses in (
        ("To", message.to),
        ("Cc", message.cc),
        ("Bcc", message.bcc),
        ("Reply-To", message.reply_to),
    ):
        if addresses:
            lines.append(_addresses_line(name, addresses))
    texts = [("Subject", message.subject), ("Date", email.utils.format_datetime(now))]
    if message.importance is not Importance.NORMAL:
        texts.append(("Importance", message.importance.value))
    if message.read_receipt:
        texts.append(("Disposition-Notification-To", sender.email))
    if message.delivery_receipt:
        texts.append(("Return-Receipt-To", sender.email))
    lines += [_line(name, text) for name, text in (*texts, *message.headers, (KEY_HEADER, key))]
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


def read(raw: bytes) -> tuple[Message, list[FieldProblem]]:
    """A raw message as callers send it: envelope and subject from its headers, content untouched.

    Every problem names the header; the message is complete only where there is none.
    """
    problems: list[FieldProblem] = []
    section = _header_section_of(raw)
    if len(section) > MAX_HEADER_SECTION:
        return Message(sender=None, mime=raw), [
            FieldProblem("body", f"has more than {MAX_HEADER_SECTION} bytes of headers")
        ]
    if _NO_LINE_END.search(section):
        return Message(sender=None, mime=raw), [
            FieldProblem(
                "body",
                "has a lone carriage return or a NUL among its headers: end lines with CR LF or LF",
            )
        ]
    head = _parsed(section)
    if not head.keys():
        return Message(sender=None, mime=raw), [
            FieldProblem("body", "is no RFC 5322 message: it has no headers")
        ]
    if head.defects or head.get_unixfrom() is not None:
        # Another reader may see other headers there than we do, and so other addresses.
        problems.append(
            FieldProblem(
                "body",
                "has a line among its headers that is none: begin with a header, not with a blank "
                "or a 'From ' line, and end the headers with an empty line",
            )
        )
    problems += _line_problems(section, head)
    for name in ("From", "Subject", "Sender"):
        if len(head.get_all(name, [])) > 1:
            problems.append(FieldProblem(name, "is given more than once: keep one"))
    pairs = {name: _pairs(head, name, problems) for name in ADDRESS_HEADERS}
    crowded = too_many(
        recipients=sum(len(pairs[name]) for name in ("To", "Cc", "Bcc")),
        reply_to=len(pairs["Reply-To"]),
    )
    if crowded:
        return Message(sender=None, mime=raw), [*problems, *crowded]
    sender = _only_address(head, "From", pairs["From"], problems)
    if "Sender" in head and not _is_same(
        sender, _only_address(head, "Sender", pairs["Sender"], problems)
    ):
        problems.append(FieldProblem("Sender", "is not the address in From: leave it out"))
    message = Message(
        sender=sender,
        to=_addresses("To", pairs["To"], problems),
        cc=_addresses("Cc", pairs["Cc"], problems),
        bcc=_addresses("Bcc", pairs["Bcc"], problems),
        reply_to=_addresses("Reply-To", pairs["Reply-To"], problems),
        subject=_decoded(str(head.get("Subject", ""))),
        mime=raw,
    )
    return message, problems


def _header_section_of(raw: bytes) -> bytes:
    """What stands before the first empty line, or all; of what is too long, enough to see it."""
    start = raw[: MAX_HEADER_SECTION + 4]
    found = _HEAD_END.search(start)
    return start[: found.start()] if found else start


def _parsed(section: bytes) -> email.message.Message:
    return BytesParser(policy=email.policy.compat32).parsebytes(section, headersonly=True)


def _line_problems(section: bytes, head: email.message.Message) -> list[FieldProblem]:
    lines = _LINE_END.split(section)
    if not all(_HEADER_LINE.match(line) for line in lines if line):
        # `From : x` is a From to some readers, the body's first line to others.
        return [FieldProblem("body", "has a header whose name is none, such as 'From :'")]
    if KEY_HEADER in head:
        return [FieldProblem(KEY_HEADER, "is set by Postroom: leave it out")]
    names = dict.fromkeys(name for name in head if is_transports(name))
    return [FieldProblem(name, "is for mail servers to write: leave it out") for name in names]


def _is_same(sender: Address | None, other: Address | None) -> bool:
    return sender is not None and other is not None and sender.email.lower() == other.email.lower()


def _pairs(
    head: email.message.Message, name: str, problems: list[FieldProblem]
) -> list[tuple[str, str]]:
    """Display names, still encoded, and addresses, not yet looked at, of a header."""
    # A comma too many at the end is harmless, and some versions of the library's reader mind it.
    values = [" ".join(str(value).split()).rstrip(", ") for value in head.get_all(name, [])]
    try:
        pairs = [pair for pair in email.utils.getaddresses(values) if any(pair)]
    except RecursionError:
        # The library's reader goes one call deeper for each bracket.
        pairs = []
    if not pairs and any(value and not value.endswith(";") for value in values):
        problems.append(FieldProblem(name, "cannot be read: write it as Name <name@example.com>"))
    return pairs


def _only_address(
    head: email.message.Message,
    name: str,
    pairs: Sequence[tuple[str, str]],
    problems: list[FieldProblem],
) -> Address | None:
    if any(_has_colon(str(value)) for value in head.get_all(name, [])):
        # RFC 6854 allows groups here. Their names are words that a reader sees, and may be none that
        # the account has.
        problems.append(
            FieldProblem(
                name,
                "has a colon outside quotes, which makes it a group ('Name: name@example.com;'): "
                "Postroom takes no groups here; give one address, its name in quotes",
            )
        )
        return None
    if len(pairs) > 1:
        problems.append(FieldProblem(name, "has more than one address: keep one"))
        return None
    found = _addresses(name, pairs, problems)
    if name in head and not found and not any(problem.field == name for problem in problems):
        problems.append(FieldProblem(name, "has no address: give one, or leave the header out"))
    return found[0] if found else None


def _has_colon(value: str) -> bool:
    """Whether a colon stands in an address header outside quotes and comments (RFC 5322, 3.2)."""
    depth = at = 0
    while at < len(value):
        sign = value[at]
        if sign == '"' and not depth and (quoted := _QUOTED.match(value, at)):
            at = quoted.end()
            continue
        if depth and sign == "\\":
            at += 1
        elif sign == "(":
            depth += 1
        elif sign == ")" and depth:
            depth -= 1
        elif sign == ":" and not depth:
            return True
        at += 1
    return False


def _addresses(
    name: str, pairs: Iterable[tuple[str, str]], problems: list[FieldProblem]
) -> tuple[Address, ...]:
    found: list[Address] = []
    for display, spec in pairs:
        try:
            found.append(make(spec, _decoded(display)))
        except BadAddress as error:
            problems.append(FieldProblem(name, str(error)))
    return tuple(found)


def _decoded(text: str) -> str:
    """A text with its encoded words decoded, or as it is where they are none that mail has."""
    plain = " ".join(text.split())
    if "=?" not in text or len(text) > MAX_ENCODED:
        return plain
    try:
        words = decode_header(text)
        if not all(charset is None or _CHARSET.fullmatch(charset) for _, charset in words):
            return plain
        return " ".join(str(make_header(words)).split())
    except (LookupError, ValueError, email.errors.HeaderParseError):
        return plain


def _with_header(raw: bytes, name: str, value: str, sender: Address) -> bytes:
    """The raw message with our key on top, and a From where it has none."""
    head = _parsed(_header_section_of(raw))
    lines = [f"{name}: {value}"]
    if "From" not in head:
        lines.append(_addresses_line("From", (sender,)))
    return "".join(f"{line}\r\n" for line in lines).encode("ascii") + raw


def _addresses_line(name: str, addresses: Iterable[Address]) -> str:
    return f"{name}: " + ",\r\n ".join(_header_address(address) for address in addresses)


def _header_address(address: Address) -> str:
    if _is_plain(address.name):
        return email.utils.formataddr((address.name, address.email))
    return f"{_encoded(address.name)} <{address.email}>"


def _line(name: str, text: str) -> str:
    """A header, folded at its spaces; encoded only where it must be."""
    if not _is_plain(text) or any(len(word) > LONGEST_WORD for word in text.split(" ")):
        return f"{name}: {_encoded(text)}"
    first, *words = text.split(" ")
    lines = [f"{name}: {first}"]
    for word in words:
        if word and len(lines[-1]) + 1 + len(word) > LINE:
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join(lines)


def _is_plain(text: str) -> bool:
    """Whether a text stands for itself: nothing in it is, or looks like, an encoded word."""
    return text.isascii() and "=?" not in text


def _encoded(text: str) -> str:
    """As encoded words of RFC 2047, each line short enough behind any header's name."""
    return Header(text, "utf-8", maxlinelen=LINE).encode(linesep="\r\n")
