"""Lines that end with CR LF throughout a message (RFC 5322, 2.3).

A part whose Content-Transfer-Encoding is `binary` has no lines: its bytes stay as they are, inside
`multipart/signed` too, so that its signature holds.
"""

from __future__ import annotations

from shared.mail.mime import structure


def with_crlf(raw: bytes) -> bytes:
    """A message with CR LF for every LF that stands alone outside its binary parts.

    Raises BadStructure where there are more parts than are read.
    """
    if raw.count(b"\n") == raw.count(b"\r\n"):
        return raw
    pieces: list[bytes] = []
    at = 0
    for part in structure.parts(raw):
        if part.encoding == "binary":
            pieces += [_converted(raw[at : part.start]), raw[part.start : part.end]]
            at = part.end
    return b"".join((*pieces, _converted(raw[at:])))


def _converted(lines: bytes) -> bytes:
    return lines.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
