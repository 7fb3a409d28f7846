"""The mails that every driver sends, as an application has them in memory."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import dataclass

from bench.mails import samples

RECIPIENT = "ada@contoso.com"
LARGEST = "file_20_mb"
LARGEST_BYTES = 20 * 1024 * 1024
TITLES = {
    **{sample.name: sample.title for sample in samples()},
    LARGEST: "a file of 20 MB, by upload session",
}
CHUNK_BYTES = 12 * 320 * 1024
"""What each piece of an upload session has: below 4 MB, in units of 320 KiB."""


@dataclass(frozen=True)
class Letter:
    """One mail to `RECIPIENT`; `text` or `html` is set, and `content` where there is a file."""

    subject: str
    text: str | None = None
    html: str | None = None
    filename: str = "invoice.pdf"
    content_type: str = "application/pdf"
    content: bytes | None = None

    @property
    def body(self) -> str:
        """The text or the html."""
        return self.html or self.text or ""

    def document(self) -> bytes:
        """As it is posted to `/api/send`."""
        found: dict[str, object] = {"to": RECIPIENT, "subject": self.subject}
        found |= {"html": self.html} if self.html else {"text": self.text}
        if self.content is not None:
            file = {
                "filename": self.filename,
                "content_type": self.content_type,
                "content": base64.b64encode(self.content).decode(),
            }
            found["attachments"] = [file]
        return json.dumps(found).encode()


def letter(name: str) -> Letter:
    """One of `TITLES`."""
    if name == LARGEST:
        content = random.Random(1).randbytes(LARGEST_BYTES)  # noqa: S311 - filler
        return Letter("Measured", text="A large file.", content=content)
    (document,) = [json.loads(one.document) for one in samples() if one.name == name]
    (file,) = document.get("attachments") or [None]
    return Letter(
        document["subject"],
        text=document.get("text"),
        html=document.get("html"),
        content=base64.b64decode(file["content"]) if file else None,
    )


def is_large(one: Letter) -> bool:
    """Whether its file needs an upload session."""
    return one.content is not None and len(one.content) >= LARGEST_BYTES


def warm_up(name: str) -> Letter:
    """A short mail that loads what a mail of this kind needs, and opens the connection."""
    return Letter("Warm", text="-", content=None if name == "text_2_kb" else b"-")
