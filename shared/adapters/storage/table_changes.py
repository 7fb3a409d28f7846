"""Transactions of the Table service: several changes in one request, as parts of a MIME body.

https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence

import msgspec

from shared.adapters.http.client import Answer

_STATUS = re.compile(rb"^HTTP/1\.[01] (\d{3})[^\r\n]*\r?\n", re.MULTILINE)
_BLANK = re.compile(rb"\r?\n\r?\n")


class Part(msgspec.Struct, frozen=True):
    """One request of a transaction."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


def boundary() -> str:
    """A new random boundary."""
    return str(uuid.uuid4())


def written(boundary: str, parts: Sequence[Part]) -> bytes:
    """The body of a transaction. Its Content-Type names `batch_` and this boundary."""
    lines = [
        f"--batch_{boundary}",
        f"Content-Type: multipart/mixed; boundary=changeset_{boundary}",
        "",
    ]
    for number, part in enumerate(parts):
        lines += [
            f"--changeset_{boundary}",
            "Content-Type: application/http",
            "Content-Transfer-Encoding: binary",
            f"Content-ID: {number}",
            "",
            f"{part.method} {part.url} HTTP/1.1",
            *(f"{name}: {value}" for name, value in part.headers.items()),
            f"Content-Length: {len(part.body)}",
            "",
            # Latin-1 maps every byte to a character and back without a change.
            part.body.decode("latin-1"),
        ]
    lines += [f"--changeset_{boundary}--", f"--batch_{boundary}--", ""]
    return "\r\n".join(lines).encode("latin-1")


def read(body: bytes) -> Sequence[Answer]:
    """The answers to the parts, in order; only one answer if the transaction was refused."""
    pieces = _STATUS.split(body)
    return [
        _answer(int(status), rest) for status, rest in zip(pieces[1::2], pieces[2::2], strict=True)
    ]


def _answer(status: int, rest: bytes) -> Answer:
    from urllib3 import HTTPHeaderDict

    head, content = _parted(rest)
    headers = HTTPHeaderDict()
    for line in head.decode("latin-1").splitlines():
        name, found, value = line.partition(":")
        if found:
            headers[name] = value.strip()
    # The next boundary follows the content.
    return Answer(status, headers, content.partition(b"\r\n--")[0].partition(b"\n--")[0])


def _parted(rest: bytes) -> tuple[bytes, bytes]:
    """Headers and content of an answer without its status line."""
    whole = b"\r\n" + rest
    blank = _BLANK.search(whole)
    return (whole[: blank.start()], whole[blank.end() :]) if blank else (whole, b"")
