"""Lines that end with CR LF throughout a message (RFC 5322, 2.3).

A part whose Content-Transfer-Encoding is `binary` has no lines: its bytes stay as they are, inside
`multipart/signed` too, so that its signature holds.
"""

from __future__ import annotations

from collections.abc import Iterable


def with_crlf(text: bytes, binary: Iterable[tuple[int, int]]) -> bytes:
    """A text with CR LF for every LF that stands alone outside its binary parts, whose starts and
    ends are given in order."""
    if text.count(b"\n") == text.count(b"\r\n"):
        return text
    pieces: list[bytes] = []
    at = 0
    for start, end in binary:
        pieces += [_converted(text[at:start]), text[start:end]]
        at = end
    return b"".join((*pieces, _converted(text[at:])))


def _converted(lines: bytes) -> bytes:
    return lines.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
