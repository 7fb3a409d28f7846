"""Attachments in storage: read in pieces, or whole for one request; and the outcome if a stored
file was changed."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from shared.errors import FileChanged, RemoteError
from shared.mail.limits import CHUNK_BYTES
from shared.mail.message import Attachment, Message, StoredFile
from shared.mail.outcome import Outcome, Verdict
from shared.services.mails.ports import Files


class Attached:
    """Fulfils `delivery.ports.AttachedFile`."""

    def __init__(self, item: Attachment, files: Files) -> None:
        self._item = item
        self._files = files

    @property
    def size(self) -> int:
        """See `AttachedFile`."""
        return self._item.size

    def chunks(self, size: int) -> Iterator[bytes]:
        """See `AttachedFile`."""
        content = self._item.content
        if isinstance(content, StoredFile):
            yield from self._files.chunks(content, size)
            return
        for start in range(0, len(content), size):
            yield content[start : start + size]


def read_whole(message: Message, files: Files) -> Message:
    """The message with the bytes of each stored file. Only for a message that fits one request: all
    files are in memory. Raises FileChanged and RemoteError."""
    if not any(isinstance(item.content, StoredFile) for item in message.attachments):
        return message
    return replace(
        message, attachments=tuple(_in_memory(item, files) for item in message.attachments)
    )


def not_read(error: FileChanged | RemoteError) -> Outcome:
    """The outcome of a mail whose file could not be read: certainly not sent."""
    if not isinstance(error, FileChanged):
        return Outcome(
            Verdict.AGAIN, "attachment_unreadable", "Storage did not hand out an attachment."
        )
    return Outcome(
        Verdict.FAILED,
        "attachment_gone" if error.gone else "attachment_changed",
        f"A file that the mail names was {'removed' if error.gone else 'changed'} in storage after "
        "the mail was accepted: put it there and send the mail anew.",
    )


def _in_memory(item: Attachment, files: Files) -> Attachment:
    if not isinstance(item.content, StoredFile):
        return item
    return replace(item, content=b"".join(files.chunks(item.content, CHUNK_BYTES)))
