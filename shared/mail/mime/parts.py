"""Writes the parts of a message as MIME, with bodies in base64 or quoted-printable.

A part is its header lines, an empty line and its body, without a line end behind it.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence

from shared.mail import media_type
from shared.mail.message import Attachment
from shared.mail.mime.parameters import field, name_parameter, parameters

LINE = 76
"""Characters of a line of base64 (RFC 2045, 6.8)."""
_ASCII = bytes(range(128))
_OPAQUE = ("multipart/", "message/")
"""These types may not be base64 (RFC 2045, 6.4); as a plain file they arrive byte for byte."""
OCTETS = media_type.MediaType("application/octet-stream")


def text_part(text: str, subtype: str) -> bytes:
    """A text of the mail as a part."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace")
    content_type = field("Content-Type", f"text/{subtype}", ["charset=utf-8"])
    beyond_ascii = len(lines.translate(None, _ASCII))
    if 2 * beyond_ascii > len(lines) // 3:
        return _base64(lines.replace(b"\n", b"\r\n"), content_type)
    # Quoted-printable, which people can read in the source, unless base64 is shorter. The encoder
    # gets only line feeds: with both kinds of line ends, it would use the one that it meets first.
    body = binascii.b2a_qp(lines, istext=True).replace(b"\n", b"\r\n")
    return _head(content_type, "Content-Transfer-Encoding: quoted-printable") + body


def calendar_part(calendar: str, method: str) -> bytes:
    """An invitation, as the alternative that calendar programs read (RFC 6047, 2.4).

    It has no name: some programs take a part with a name for a file and show no buttons.
    """
    content_type = field("Content-Type", "text/calendar", ["charset=utf-8", f"method={method}"])
    return _base64(calendar.encode(), content_type)


def file_part(item: Attachment, *, inline: bool) -> bytes:
    """An attachment, or a picture that the html shows."""
    read = media_type.read(item.content_type)
    if read.kind.startswith(_OPAQUE):
        read = OCTETS
    typed = [
        piece
        for name, value in read.parameters
        if name != "name"
        for piece in parameters(name, value)
    ]
    lines = [
        field("Content-Type", read.kind, [*typed, name_parameter(item.filename)]),
        field(
            "Content-Disposition",
            "inline" if inline else "attachment",
            parameters("filename", item.filename),
        ),
    ]
    if inline:
        lines.append(f"Content-ID: <{item.content_id}>")
    return _base64(item.in_memory, *lines)


def multipart(subtype: str, parts: Sequence[bytes], boundary: str, *extra: str) -> bytes:
    """Several parts as one. The boundary cannot occur in any of them: `=_` is neither
    quoted-printable nor base64, and no header line begins with two hyphens."""
    content_type = field("Content-Type", f"multipart/{subtype}", [f'boundary="{boundary}"', *extra])
    line = f"\r\n--{boundary}".encode("ascii")
    bodies = b"".join(b"%b\r\n%b" % (line, part) for part in parts)
    return f"{content_type}\r\n".encode("ascii") + bodies + line + b"--"


def _base64(data: bytes, *lines: str) -> bytes:
    text = binascii.b2a_base64(data, newline=False)
    body = b"\r\n".join(text[at : at + LINE] for at in range(0, len(text), LINE))
    return _head(*lines, "Content-Transfer-Encoding: base64") + body


def _head(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")
