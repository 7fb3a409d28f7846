"""The parts of a raw message, told apart in linear time (RFC 2046, 5.1).

Only what has to be known before the body is passed on is read: how many parts there are, how deep
they lie, of what type they are, and which bytes belong to parts that are binary.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from shared.mail.mime.header_section import bounds

MAX_PARTS = 1000
MAX_DEPTH = 20
"""Multiparts in multiparts. What people send has about four."""
MAX_PART_HEADERS = 64 * 1024
"""Bytes of the headers of a part that are looked at, apart from the message's own."""

_TYPE = re.compile(rb"[ \t]*([!#$%&'*+.^_`{|}~0-9A-Za-z-]+/[!#$%&'*+.^_`{|}~0-9A-Za-z-]+)")
_PARAMETER = re.compile(
    rb';[ \t]*(?P<name>[^ \t=;"]++)[ \t]*=[ \t]*(?:"(?P<quoted>(?:[^"\\]|\\.)*+)"|(?P<plain>[^ \t;"]*+))',
    re.DOTALL,
)
_BOUNDARY = re.compile(rb"[ -~]{1,70}")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_FIELD = re.compile(
    rb"^(?P<name>content-type|content-transfer-encoding)[ \t]*:(?P<value>[^\r\n]*)",
    re.IGNORECASE | re.MULTILINE,
)

TNEF = "application/ms-tnef"
_MESSAGES = ("message/rfc822", "message/global")
_ENCODED = ("base64", "quoted-printable")


class BadStructure(ValueError):
    """More parts, or deeper ones, than are read. The text says what to do."""


class Part(NamedTuple):
    """A part that holds no other parts."""

    content_type: str
    """In lower case, `text/plain` where none is given."""
    encoding: str
    """Content-Transfer-Encoding in lower case, empty where none is given."""
    start: int
    end: int
    """Where its content lies, without the line break in front of the next boundary."""


def parts(raw: bytes) -> list[Part]:
    """The parts of a whole message, headers first. Raises BadStructure.

    A multipart without a boundary that can be one, or without a part, is one part.
    """
    return list(_Scan(raw).parts())


class _Scan:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._open: list[bytes] = []
        """The boundaries of the multiparts around, the outermost first."""
        self._delimiter: re.Pattern[bytes] | None = None

    def parts(self) -> Iterator[Part]:
        """Each part in turn. What stands before a first boundary and behind a last one is none."""
        at: int | None = 0
        count = 0
        while at is not None:
            count += 1
            if count > MAX_PARTS:
                raise BadStructure(f"has more than {MAX_PARTS} parts: send fewer")
            section, body = self._headers(at)
            content_type, encoding, boundary = _content(self._raw[at:section])
            if content_type in _MESSAGES and encoding not in _ENCODED and body > at:
                # A message in the message: its headers follow, then its parts.
                at = body
                continue
            if boundary and content_type.startswith("multipart/"):
                self._enter(boundary)
                at, _ = self._next(body)
                continue
            at, end = self._next(body)
            yield Part(content_type, encoding, body, max(body, end))

    def _headers(self, start: int) -> tuple[int, int]:
        """Where the headers of the part at `start` end, and where its content begins."""
        if not start:
            return bounds(self._raw)
        most = min(start + MAX_PART_HEADERS, len(self._raw))
        cut = self._find(start, most)
        end = cut.start() + 1 if cut else most
        section, body = bounds(self._raw[start:end])
        return start + section, start + body

    def _find(self, start: int, end: int) -> re.Match[bytes] | None:
        """The next line that is a boundary, from the line feed before it. A line begins at `start`."""
        return self._delimiter.search(self._raw, start - 1, end) if self._delimiter else None

    def _enter(self, boundary: bytes) -> None:
        if boundary in self._open:
            return
        if len(self._open) == MAX_DEPTH:
            raise BadStructure(f"has parts more than {MAX_DEPTH} deep: send them side by side")
        self._open.append(boundary)
        self._compile()

    def _compile(self) -> None:
        innermost_first = b"|".join(re.escape(each) for each in reversed(self._open))
        self._delimiter = (
            re.compile(rb"\n--(" + innermost_first + rb")(--)?[ \t]*\r?(?:\n|\Z)")
            if self._open
            else None
        )

    def _next(self, start: int) -> tuple[int | None, int]:
        """Where the next part begins, None for no further one, and where what is at `start` ends."""
        end: int | None = None
        while (found := self._find(start, len(self._raw))) is not None:
            if end is None:
                end = found.start() - (self._raw[found.start() - 1 : found.start()] == b"\r")
            depth = self._open.index(found[1])
            is_last = found[2] is not None
            if len(self._open) != depth + (not is_last):
                del self._open[depth + (not is_last) :]
                self._compile()
            start = found.end()
            if not is_last:
                return start, end
        return None, len(self._raw) if end is None else end


def _content(headers: bytes) -> tuple[str, str, bytes | None]:
    """Type, transfer encoding, and the boundary where one is given."""
    content_type, encoding, boundary = "text/plain", "", None
    for field in _FIELD.finditer(_FOLD.sub(b"", headers)):
        if field["name"].lower() == b"content-type" and b"ms-tnef" in field["value"].lower():
            # However it is written, with comments or in one of two headers.
            return TNEF, encoding, None
        if field["name"].lower() != b"content-type":
            encoding = field["value"].strip().lower().decode("ascii", "replace")
        elif kind := _TYPE.match(field["value"]):
            content_type = kind[1].lower().decode("ascii")
            boundary = _boundary(field["value"])
    return content_type, encoding, boundary


def _boundary(value: bytes) -> bytes | None:
    for parameter in _PARAMETER.finditer(value):
        if parameter["name"].lower() == b"boundary":
            given = parameter["quoted"]
            text = parameter["plain"] if given is None else re.sub(rb"\\(.)", rb"\1", given)
            text = text.rstrip(b" ")
            return text if _BOUNDARY.fullmatch(text) else None
    return None
