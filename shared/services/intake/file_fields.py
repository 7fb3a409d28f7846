"""The attachments of a mail document."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shared.errors import FieldProblem
from shared.mail.address import has_control_characters
from shared.mail.message import Attachment, StoredFile

MAX_BLOB_NAME = 1024
CALLERS_CONTAINER = "attachments"
"""The only container whose files callers may name."""

ANY_FILE = "application/octet-stream"


class AttachmentDocument(msgspec.Struct, forbid_unknown_fields=True):
    """One file: its content, or the name of the blob that holds it."""

    filename: str
    content: bytes | None = None
    """In base64: standard alphabet, with padding, without line breaks."""
    blob: str | None = None
    """`attachments/<name>`: no other container is read."""
    content_type: str | None = ANY_FILE
    content_id: str | None = None


def read_attachments(
    documents: Sequence[AttachmentDocument], found: list[FieldProblem]
) -> tuple[Attachment, ...]:
    """The files of a document. Their problems are added to `found`."""
    read: list[Attachment] = []
    for index, item in enumerate(documents):
        content: bytes | StoredFile = item.content or b""
        if item.content is None and item.blob is None:
            found.append(
                FieldProblem(
                    f"attachments[{index}].content",
                    "is missing: give the file in base64, or name it by 'blob'",
                )
            )
        if item.blob is not None:
            fault = blob_fault(item.blob)
            if item.content is not None:
                fault = "is given beside 'content': give exactly one of them"
            if fault is not None:
                found.append(FieldProblem(f"attachments[{index}].blob", fault))
            content = StoredFile(CALLERS_CONTAINER, item.blob.partition("/")[2])
        read.append(
            Attachment(
                item.filename,
                content,
                given(item.content_type) or ANY_FILE,
                given(item.content_id),
            )
        )
    return tuple(read)


def given(text: str | None) -> str | None:
    """A text, or None if it is missing or blank: many programs write an empty text for a missing
    value."""
    return None if text is None or not text.strip() else text


def blob_fault(reference: str) -> str | None:
    """The problem of a reference to a blob, or None if it names one of the callers' files.

    Nothing that could be read as a URL, another container, another version or a path out of the
    container is accepted.
    https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
    """
    container, _, name = reference.partition("/")
    if "://" in reference or "\\" in reference or container != CALLERS_CONTAINER:
        return (
            f"must be {CALLERS_CONTAINER}/NAME: a blob in the container {CALLERS_CONTAINER}, no "
            "URL and no other container"
        )
    if not 1 <= len(name) <= MAX_BLOB_NAME:
        return f"must name a blob with 1 to {MAX_BLOB_NAME} characters after {CALLERS_CONTAINER}/"
    if has_control_characters(name) or "?" in name or "#" in name:
        return (
            "must be a plain name: no control characters, and no '?' or '#', as shared access "
            "signatures and snapshots have"
        )
    if any(part in ("", ".", "..") for part in name.split("/")) or name.endswith("."):
        return "must be a plain name: no empty part, no '.' and no '..' between slashes"
    return None
