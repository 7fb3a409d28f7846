"""Converts the line ends of a message to CR LF (RFC 5322, 2.3).

A part whose Content-Transfer-Encoding is `binary` has no lines: its bytes stay unchanged, also
inside `multipart/signed`, so that the signature stays valid.
"""

from __future__ import annotations

from collections.abc import Iterable


def with_crlf(text: bytes, binary: Iterable[tuple[int, int]]) -> bytes:
    """A text with CR LF for every lone LF outside the binary parts. `binary` has their starts and
    ends, in order."""
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
