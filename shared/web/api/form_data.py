"""Reads multipart/form-data (RFC 7578) strictly: it counts the parts before it reads any of them.

The SDK's own `req.form` and `req.files` read any number of parts, and guess if a part is malformed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

import msgspec

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems
from shared.mail.message import MAX_ATTACHMENTS
from shared.web.api.charset import parameters
from shared.web.problem import bad_request

MAX_PARTS = MAX_ATTACHMENTS + 1
"""Parts: the mail and its files."""
MAX_HEAD = 8 * 1024
"""Bytes of the header lines of one part."""
MAX_HEAD_LINES = 20

# RFC 2046, 5.1.1: the characters of a boundary, at most 70.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_AFTER_MARK = re.compile(rb"(--)?[ \t]*+(?:\r?\n|\Z)")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(r"\r?\n")
_EXTENDED = re.compile(r"(?P<charset>[\w-]+)'[\w-]*'(?P<value>.*)", re.ASCII | re.DOTALL)


class Part(msgspec.Struct, frozen=True):
    """One part of a form, unchanged."""

    name: str
    filename: str | None
    """None if the part has no file name; it may be empty."""
    headers: Mapping[str, str]
    """By their names in lower case."""
    content: bytes

    @property
    def shown(self) -> str:
        """The name of the part in an error."""
        return re.sub(r"[^\w .:+-]", "?", self.name[:80], flags=re.ASCII) or "body"


def read_parts(body: bytes, content_type: str) -> list[Part]:
    """The parts of a form. Raises RequestRejected if the body is not a form, or has too many
    parts."""
    boundary = (parameters(content_type) or {}).get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise bad_request(
            "Content-Type",
            "names no boundary between the parts, as multipart/form-data; boundary=abc does",
            problems.UNSUPPORTED_CONTENT_TYPE,
        )
    mark = b"--" + boundary.encode()
    # A match inside a file counts too: no client chooses a boundary that occurs in a file.
    count = body.count(mark) - 1
    if count > MAX_PARTS:
        told = FieldProblem("attachments", f"are more than {MAX_ATTACHMENTS}: send fewer")
        raise RequestRejected(problems.INVALID_MAIL, f"The form has {count} parts.", [told])
    return [_part(body, *place) for place in _split(body, mark)]


def _split(body: bytes, mark: bytes) -> list[tuple[int, int]]:
    """The begin and end of each part between the boundaries: RFC 2046, 5.1.1. A bare line feed also
    ends a line, because many handwritten clients send it."""
    found: list[tuple[int, int]] = []
    start: int | None = None
    at = body.find(mark)
    while at >= 0:
        rest = _AFTER_MARK.match(body, at + len(mark))
        if rest is not None and (at == 0 or body[at - 1 : at] == b"\n"):
            if start is not None:
                line_end = 2 if body[at - 2 : at] == b"\r\n" else 1
                found.append((start, max(start, at - line_end)))
            if rest[1]:
                return found
            start = rest.end()
        at = body.find(mark, at + len(mark))
    raise bad_request("body", "is cut off: the boundary that ends the form is missing")


def _part(body: bytes, start: int, end: int) -> Part:
    head = body[start : min(end, start + MAX_HEAD + 4)]
    head_end = _HEAD_END.search(head)
    if head_end is None:
        raise bad_request(
            "body",
            f"has a part without a blank line after its headers, or with more than {MAX_HEAD} bytes "
            "of them",
        )
    headers = _headers(head[: head_end.start()])
    disposition = headers.get("content-disposition", "")
    given = parameters(disposition)
    if disposition.partition(";")[0].strip().lower() != "form-data" or given is None:
        raise bad_request(
            "body",
            'has a part without a Content-Disposition such as form-data; name="mail"',
        )
    content = body[start + head_end.end() : end]
    part = Part(_decoded(given.get("name", "")), _filename(given), headers, content)
    coding = headers.get("content-transfer-encoding", "binary").strip().lower()
    if coding not in ("7bit", "8bit", "binary"):
        raise bad_request(
            part.shown,
            "has a Content-Transfer-Encoding that forms do not have: send the part's bytes as they "
            "are (RFC 7578, 4.7)",
        )
    return part


def _headers(head: bytes) -> dict[str, str]:
    """Header lines by their names in lower case. Raises RequestRejected for a line that is not a
    header, and for a repeated one."""
    try:
        lines = _LINE_END.split(head.decode())
    except UnicodeDecodeError:
        raise bad_request("body", "has a part whose headers are not in UTF-8") from None
    found: dict[str, str] = {}
    for line in lines[: MAX_HEAD_LINES + 1]:
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or not name or line[:1] in (" ", "\t") or name in found:
            raise bad_request(
                "body", "has a part with a header line that is folded, given twice, or none at all"
            )
        found[name] = value.strip()
    if len(lines) > MAX_HEAD_LINES:
        raise bad_request("body", f"has a part with more than {MAX_HEAD_LINES} header lines")
    return found


def _filename(given: Mapping[str, str]) -> str | None:
    """The file name: `filename*` (RFC 5987) if it is given, as .NET writes it beside a plain
    one."""
    extended = given.get("filename*")
    if extended is None:
        plain = given.get("filename")
        return None if plain is None else _decoded(plain)
    found = _EXTENDED.fullmatch(extended)
    charset = found["charset"].lower() if found else ""
    if found is None or charset not in ("utf-8", "iso-8859-1"):
        raise bad_request("filename*", "must be written as UTF-8''name.pdf (RFC 5987)")
    try:
        return unquote_to_bytes(found["value"]).decode(charset)
    except UnicodeDecodeError:
        raise bad_request("filename*", "has bytes that are not in its charset") from None


def _decoded(text: str) -> str:
    """A name as browsers write it: they escape a quotation mark with `%`.
    https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data"""
    return text.replace("%22", '"')
