"""Finds the parts of a raw message strictly and in linear time (RFC 2046, 5.1).

It reads only what must be known before the body is passed on: the number of parts, their depth,
their types, and the bytes of binary parts. The parts are sent unchanged, so a message in which
other readers may find other parts is refused.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from shared.mail import file_names
from shared.mail.address import has_control_characters
from shared.mail.header_rules import LONG_LINE, MAX_LINE
from shared.mail.mime import content_type, header_section
from shared.mail.mime.content_type import BadContentType, ContentType
from shared.mail.mime.header_section import BadSection, Field

MAX_PARTS = 1000
MAX_DEPTH = 20
"""The most multiparts inside each other. Real mails have about four."""

# For some readers a carriage return ends a line. Such a line is found, and refused.
_DASHES = re.compile(rb"[\r\n]--([^\r\n]++)")
_MAX_BOUNDARY = 70
_LONE_RETURN = re.compile(rb"\r(?!\n)")
_CONTENT_FIELD = re.compile(rb"^content-[^\r\n:]*+:", re.IGNORECASE | re.MULTILINE)

_MESSAGES = ("message/rfc822", "message/global")
_REPORTS = (
    "message/delivery-status",
    "message/disposition-notification",
    "message/feedback-report",
    "message/global-delivery-status",
    "message/global-disposition-notification",
)
"""Lines of fields. Some readers take every `message/…` for a message."""
_IDENTITY = ("", "7bit", "8bit", "binary")
"""The encodings that a part with other parts may have (RFC 2045, 6.4)."""


_NAMING = ("content-type", "content-disposition")
"""The headers of a part that can hold its file name."""


class BadStructure(ValueError):
    """A message whose parts are refused. The text says what is wrong and what to do."""

    def __init__(self, text: str, field: str = "body") -> None:
        super().__init__(text)
        self.field = field


class Part(NamedTuple):
    """A part that contains no other parts."""

    content_type: str
    """In lower case; `text/plain` if none is given."""
    encoding: str
    """Content-Transfer-Encoding in lower case; empty if none is given."""
    names: str
    """What programs may read as its file name: see `file_names.names_in`."""
    start: int
    end: int
    """The position of its content, without the line break before the next boundary."""


def parts(raw: bytes, fields: Iterable[Field], body: int) -> list[Part]:
    """The parts of a whole message with these headers, whose body begins at `body`.

    Raises BadStructure.
    """
    return list(_Scan(raw).parts(fields, body))


class _Scan:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._open: list[tuple[bytes, str]] = []
        """The boundaries of the open multiparts, the outermost first, and their types."""
        self._lines: dict[bytes, tuple[int, bool]] = {}
        """The lines of open boundaries without the first dashes: which boundary, and whether it is
        the last line."""
        self._closed: set[bytes] = set()
        self._beginnings: tuple[bytes, ...] = ()
        """The open boundaries in lower case."""
        self._closed_beginnings: list[bytes] = []
        """The closed boundaries in lower case, sorted, and none that begins with another one: of these
        the one before a text is the only one that it can begin with."""

    def parts(self, fields: Iterable[Field], body: int) -> Iterator[Part]:
        """Each part in turn. Text before the first boundary and behind the last one is not a
        part."""
        at: int | None = body
        default = "text/plain"
        count = 0
        while at is not None:
            count += 1
            if count > MAX_PARTS:
                raise BadStructure(f"has more than {MAX_PARTS} parts: send fewer")
            fields = list(fields)
            content, encoding = _content(fields, default)
            if content.kind in _MESSAGES and at < len(self._raw):
                # A message inside the message: its headers follow, then its parts.
                default = "text/plain"
                fields, at = self._headers(at)
                continue
            start = at
            if content.boundary is not None:
                self._enter(content.boundary, content.kind)
                at, _ = self._next(start)
            else:
                at, end = self._next(start)
                self._check_report(content.kind, start, end)
                yield Part(content.kind, encoding, _names(fields), start, max(start, end))
            if at is not None:
                is_digest = self._open[-1][1] == "multipart/digest"
                default = "message/rfc822" if is_digest else "text/plain"
                fields, at = self._headers(at)

    def _headers(self, start: int) -> tuple[list[Field], int]:
        """The headers of the part at `start`, and the position of its content."""
        section = self._section(start)
        if not section:
            if self._find(start, len(self._raw)) is not None:
                raise BadStructure("has a boundary directly behind a boundary: remove one of them")
            return [], start
        try:
            fields, body = header_section.split_part(section)
        except BadSection as error:
            raise BadStructure(f"has a part whose header section {error}") from error
        return fields, start + body

    def _section(self, start: int) -> bytes:
        """The bytes of a part up to its content or the next boundary, or at least more than the
        limit.

        The pieces that are read double in size: otherwise each part without content would be
        searched up to the limit.
        """
        most = header_section.MAX_HEADER_SECTION + 4
        length = min(2048, most)
        while True:
            section = self._raw[start : start + length]
            _, behind = header_section.bounds(section)
            is_whole = behind < len(section) or length == most or len(section) < length
            # Only whole lines: a boundary that is cut off may look like another one.
            lines = behind if is_whole else section.rfind(b"\n") + 1
            if cut := self._find(start, start + lines):
                return section[: cut.start() + 1 - start]
            if is_whole:
                return section
            length = min(2 * length, most)

    def _find(self, start: int, end: int) -> re.Match[bytes] | None:
        """The next line that is a boundary, with the line feed before it. A line begins at
        `start`."""
        at = start - 1
        while (found := _DASHES.search(self._raw, at, end)) is not None:
            at = found.end()
            text = found[1].rstrip(b" \t")
            if text in self._closed and text not in self._lines:
                raise BadStructure(
                    "repeats a boundary after its last line: give each multipart its own"
                )
            if text in self._lines:
                if found[0][:1] == b"\r" or _LONE_RETURN.match(self._raw, at):
                    raise BadStructure(
                        "has a lone carriage return beside a boundary: end lines with CR LF or LF"
                    )
                return found
            if self._begins_as_boundary(text[:_MAX_BOUNDARY].lower()):
                # RFC 2046, 5.1.1: the boundary must not be the begin of a line in the parts. Some
                # readers compare no more than that, or ignore case.
                raise BadStructure(
                    "has a line that begins with a boundary and continues: choose another boundary"
                )
        return None

    def _begins_as_boundary(self, text: bytes) -> bool:
        return text.startswith(self._beginnings) or self._begins_as_closed(text)

    def _begins_as_closed(self, text: bytes) -> bool:
        before = bisect_right(self._closed_beginnings, text)
        return before > 0 and text.startswith(self._closed_beginnings[before - 1])

    def _keep_beginning(self, closed: bytes) -> None:
        if self._begins_as_closed(closed):
            return
        known = self._closed_beginnings
        at = end = bisect_right(known, closed)
        while end < len(known) and known[end].startswith(closed):
            end += 1
        known[at:end] = [closed]

    def _enter(self, boundary: bytes, kind: str) -> None:
        if len(self._open) == MAX_DEPTH:
            raise BadStructure(f"has parts more than {MAX_DEPTH} deep: send them side by side")
        lowered = boundary.lower()
        if any(lowered.startswith(one) or one.startswith(lowered) for one in self._beginnings):
            raise BadStructure(
                "has a boundary in a part whose boundary begins with the same signs: give each "
                "multipart its own"
            )
        self._lines[boundary] = len(self._open), False
        self._lines[boundary + b"--"] = len(self._open), True
        self._open.append((boundary, kind))
        self._beginnings = (*self._beginnings, lowered)

    def _leave(self, depth: int) -> None:
        """Close the multiparts from `depth` on."""
        for boundary, _ in self._open[depth:]:
            del self._lines[boundary], self._lines[boundary + b"--"]
            self._closed.add(boundary)
            self._keep_beginning(boundary.lower())
        del self._open[depth:]
        self._beginnings = self._beginnings[:depth]

    def _next(self, start: int) -> tuple[int | None, int]:
        """The position of the next part (None if there is none), and the end of what is at
        `start`."""
        end: int | None = None
        while (found := self._find(start, len(self._raw))) is not None:
            if end is None:
                end = found.start() - (self._raw[found.start() - 1 : found.start()] == b"\r")
            depth, is_last = self._lines[found[1].rstrip(b" \t")]
            self._leave(depth + (not is_last))
            line_feed = self._raw.find(b"\n", found.end(), found.end() + 2)
            start = len(self._raw) if line_feed < 0 else line_feed + 1
            if not is_last:
                return start, end
        return None, len(self._raw) if end is None else end

    def _check_report(self, kind: str, start: int, end: int) -> None:
        if not kind.startswith("message/") or kind in _MESSAGES:
            return
        if kind not in _REPORTS:
            raise BadStructure(
                "is a kind of message that mail programs read differently: use message/rfc822, or "
                "application/octet-stream for a file",
                "Content-Type",
            )
        if _CONTENT_FIELD.search(self._raw, start, end):
            raise BadStructure(f"has a Content-… field in a part that is {kind}: remove it")


def _content(fields: Iterable[Field], default: str) -> tuple[ContentType, str]:
    """Type and transfer encoding of a part with these headers."""
    content, encoding = ContentType(default, None), ""
    seen: set[str] = set()
    for field in fields:
        name = field.lowered
        if max(map(len, field.raw.split(b"\r\n"))) > MAX_LINE:
            raise BadStructure(LONG_LINE, field.name)
        if not name.startswith("content-"):
            continue
        if name in seen:
            raise BadStructure("is given more than once in a part: keep one", field.name)
        seen.add(name)
        _check_signs(field)
        _check_file_name(field)
        if name == "content-type":
            try:
                content = content_type.read(field.raw[len(name) + 1 :])
            except BadContentType as error:
                raise BadStructure(str(error), field.name) from error
        elif name == "content-transfer-encoding":
            encoding = field.value.lower().decode("ascii", "replace")
    is_composite = content.boundary is not None or content.kind in _MESSAGES
    if is_composite and encoding not in _IDENTITY:
        raise BadStructure(
            "of a part that holds other parts or a message must be 7bit, 8bit or binary: encode the "
            "parts in it (RFC 2045, 6.4)",
            "Content-Transfer-Encoding",
        )
    return content, encoding


def _names(fields: Iterable[Field]) -> str:
    return "\n".join(file_names.names_in(field.raw) for field in fields if field.lowered in _NAMING)


def _check_file_name(field: Field) -> None:
    """Refuse a file that mail programs open as an envelope by its name, whatever type it has."""
    if file_names.ENVELOPE in file_names.names_in(field.raw):
        raise BadStructure(content_type.ENVELOPE_FILE, field.name)


def _check_signs(field: Field) -> None:
    """Refuse control characters. Some programs write file names in other charsets; decoded as
    UTF-8, those contain no control characters."""
    if not field.raw.isascii() and has_control_characters(
        field.value.decode("utf-8", "replace").replace("\t", " ")
    ):
        raise BadStructure("must not hold line breaks or control characters", field.name)
