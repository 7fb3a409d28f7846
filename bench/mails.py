"""The mails that are sent for measuring, as applications write them."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import dataclass

_WORDS = (
    "invoice",
    "for",
    "your",
    "order",
    "has",
    "been",
    "made",
    "out",
    "and",
    "is",
    "due",
    "in",
    "thirty",
    "days",
)


@dataclass(frozen=True)
class Sample:
    """One kind of mail."""

    name: str
    title: str
    document: bytes
    """JSON, as it is posted to `/api/send` or dropped on the queue."""


def samples() -> tuple[Sample, ...]:
    """A short text; a newsletter with a file; a large file. The same at each run."""
    return (
        Sample("text_2_kb", "2 KB of text", _document(text=_prose(2_000))),
        Sample(
            "html_20_kb_file_100_kb",
            "20 KB of html, a file of 100 KB",
            _document(html=f"<html><body>{_prose(20_000)}</body></html>", file_bytes=100_000),
        ),
        Sample(
            "file_2_mb",
            "a file of 2 MB",
            _document(text=_prose(500), file_bytes=2_000_000),
        ),
    )


def _prose(size: int) -> str:
    chosen = random.Random(7)  # noqa: S311 - filler, the same each time
    found = ""
    while len(found) < size:
        found += f"{chosen.choice(_WORDS)} "
    return found[:size]


def _document(*, text: str | None = None, html: str | None = None, file_bytes: int = 0) -> bytes:
    document: dict[str, object] = {
        "to": ["Ada <ada@contoso.com>"],
        "subject": "Measured",
    }
    if text is not None:
        document["text"] = text
    if html is not None:
        document["html"] = html
    if file_bytes:
        # Random bytes: like most attachments, they do not compress.
        content = random.Random(file_bytes).randbytes(file_bytes)  # noqa: S311 - filler
        document["attachments"] = [
            {
                "filename": "invoice.pdf",
                "content": base64.b64encode(content).decode("ascii"),
                "content_type": "application/pdf",
            }
        ]
    return json.dumps(document).encode()
