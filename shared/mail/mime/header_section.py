"""Splits the header section of a raw message strictly into its fields (RFC 5322, 2.2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

MAX_HEADER_SECTION = 256 * 1024
"""Bytes of a raw message's headers: enough for 500 recipients with long names."""
MAX_FIELDS = 2000
"""Header fields of a message: a line for each of 500 recipients, and more than any real mail
has."""

_LINE_END = re.compile(rb"\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_FIRST_EMPTY = re.compile(rb"\r?\n")
# Characters at which some readers end a line, or the headers, and others do not (RFC 5322, 2.2 and
# 4).
_NO_LINE_END = re.compile(rb"\r(?!\n)|\0")
_CONTROL = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BLANK = re.compile(rb"^[ \t]+\r?$", re.MULTILINE)
_NAME = re.compile(rb"[!-9;-~]{1,76}(?=:)")


class BadSection(ValueError):
    """The bytes are not the headers of a message. The text says what is wrong and what to do."""


class Field(NamedTuple):
    """One header field, unchanged."""

    name: str
    raw: bytes
    """Name, colon and value: its lines with CR LF between them, and none at the end."""

    @property
    def lowered(self) -> str:
        """The name in lower case, for comparisons."""
        return self.name.lower()

    @property
    def value(self) -> bytes:
        """The value, unfolded: without the line breaks of folds, but with their white space."""
        return self.raw[len(self.name) + 1 :].replace(b"\r\n", b"").strip(b" \t")

    @property
    def text(self) -> str:
        """The value as text. Raises UnicodeDecodeError if it is not UTF-8 (RFC 6532)."""
        return self.value.decode("utf-8")


def split(raw: bytes) -> tuple[list[Field], int]:
    """The fields of a message, and the position of its body. Raises BadSection."""
    # One line end more than the limit is read, which shows whether the section is longer.
    section, body = bounds(raw[: MAX_HEADER_SECTION + 4])
    if section > MAX_HEADER_SECTION:
        raise BadSection(f"has more than {MAX_HEADER_SECTION} bytes of headers")
    head = raw[:section]
    _check_signs(head)
    if not head:
        raise BadSection("is not an RFC 5322 message: it has no headers")
    return _fields(head), body


def split_part(raw: bytes) -> tuple[list[Field], int]:
    """The fields of a part, which may have none, and the position of its content. Raises
    BadSection.

    The headers of parts are sent unchanged, so a line with only white space is refused, too.
    """
    section, body = bounds(raw[: MAX_HEADER_SECTION + 4])
    if not section:
        return [], body
    head = raw[:section]
    if section <= MAX_HEADER_SECTION and _BLANK.search(head):
        raise BadSection("has a line with only white space among its headers: remove it")
    return split(raw)


def _check_signs(head: bytes) -> None:
    if _NO_LINE_END.search(head):
        raise BadSection(
            "has a lone carriage return or a NUL among its headers: end lines with CR LF or LF"
        )
    if _CONTROL.search(head):
        raise BadSection("has a control character among its headers: remove it")


def without(raw: bytes, drop: Callable[[str], bool]) -> bytes:
    """A message that was read before, without the fields for whose lower-case name `drop` is true.

    Lenient: a line that is not a field stays. The lines of the headers end with CR LF.
    """
    section, body = bounds(raw)
    kept: list[bytes] = []
    dropping = False
    for line in _LINE_END.split(raw[:section]):
        if not line.startswith((b" ", b"\t")):
            name = line.partition(b":")[0].rstrip(b" \t").lower()
            dropping = drop(name.decode("ascii", "replace"))
        if line.strip(b" \t") and not dropping:
            kept.append(line)
    return b"".join(line + b"\r\n" for line in kept) + b"\r\n" + raw[body:]


def names(raw: bytes) -> list[str]:
    """The names of the fields of a message that was read before, unchanged."""
    section, _ = bounds(raw)
    found = (_NAME.match(line) for line in _LINE_END.split(raw[:section]))
    return [name[0].decode("ascii") for name in found if name is not None]


def has_message_id(raw: bytes) -> bool:
    """Whether a message that was read before has a Message-ID from its caller. A blank one was
    removed when the message was read."""
    return any(name.lower() == "message-id" for name in names(raw))


def bounds(raw: bytes) -> tuple[int, int]:
    """The end of the header section and the begin of the body, for a section of any length."""
    if first := _FIRST_EMPTY.match(raw):
        return 0, first.end()
    found = _HEAD_END.search(raw)
    if found is not None:
        return found.start(), found.end()
    last = 2 if raw.endswith(b"\r\n") else 1 if raw.endswith(b"\n") else 0
    return len(raw) - last, len(raw)


def _fields(head: bytes) -> list[Field]:
    found: list[Field] = []
    name = ""
    lines: list[bytes] = []

    def finish() -> None:
        if lines:
            found.append(Field(name, b"\r\n".join(lines)))

    for line in _LINE_END.split(head):
        if len(found) == MAX_FIELDS:
            raise BadSection(f"has more than {MAX_FIELDS} headers: send fewer")
        if line.startswith((b" ", b"\t")):
            if not lines:
                raise BadSection("begins with a continuation line: begin with a header")
            # For some readers, a line with only white space ends the headers.
            if line.strip(b" \t"):
                lines.append(line)
            continue
        finish()
        match = _NAME.match(line)
        if match is None:
            # Some readers take `From : x` for a From header, others for the first line of the body.
            raise BadSection(
                "has a line among its headers that is not a header, such as 'From :' or a 'From ' line: "
                "begin with a header, and end the headers with an empty line"
            )
        name = match[0].decode("ascii")
        lines = [line]
    finish()
    return found
