"""Raw MIME messages as callers send them: read strictly.

RFC 5322 (https://www.rfc-editor.org/rfc/rfc5322).
"""

from __future__ import annotations

import email.errors
import email.message
import email.policy
import email.utils
import re
from collections.abc import Iterable, Sequence
from email.header import decode_header, make_header
from email.parser import BytesParser

from shared.errors import FieldProblem
from shared.mail.address import Address, BadAddress, make
from shared.mail.graph_payload import KEY_HEADER
from shared.mail.message import Message, is_transports, too_many

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


def read(raw: bytes) -> tuple[Message, list[FieldProblem]]:
    """A raw message as callers send it: envelope and subject from its headers, content untouched.

    Every problem names the header; the message is complete only where there is none.
    """
    problems: list[FieldProblem] = []
    section = header_section_of(raw)
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
    head = parsed(section)
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


def header_section_of(raw: bytes) -> bytes:
    """What stands before the first empty line, or all; of what is too long, enough to see it."""
    start = raw[: MAX_HEADER_SECTION + 4]
    found = _HEAD_END.search(start)
    return start[: found.start()] if found else start


def parsed(section: bytes) -> email.message.Message:
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
        problems.append(
            FieldProblem(
                name,
                "cannot be read: write it as name@example.com, alone or in angle brackets after a name",
            )
        )
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
