"""The content of mails between acceptance and delivery: in the row, in a blob, large files in blobs of their own."""

from __future__ import annotations

import hashlib
import logging

from msgspec.structs import replace

from shared.errors import FieldProblem, RemoteError, RequestRejected
from shared.mail import ids, limits, problems
from shared.mail.mail import Mail
from shared.mail.message import Attachment, Message, StoredFile
from shared.services.mails.packing import Packed, pack, unpack
from shared.services.mails.ports import Files, Payloads
from shared.telemetry import event

INLINE_BYTES = 480 * 1024
"""A packed payload up to this size stays in the ledger row (1 MiB at most); a larger one is a blob."""


class ContentStore:
    """Keeps what mails hold, and reads it again."""

    def __init__(self, payloads: Payloads, files: Files, random: ids.RandomBytes) -> None:
        self._payloads = payloads
        self._files = files
        self._random = random

    def keep(self, mail: Mail, content: Packed, *, own_name: bool = False) -> Mail:
        """The mail with its content: for the row, or stored as a blob already. The files that are
        stored apart stay as they are.

        With `own_name` no other call ever writes a blob of that name, whatever its content: whoever
        then loses the race for the row may drop it. Raises RemoteError.
        """
        packed = pack(content)
        files = content.message.attachments if content.message is not None else ()
        size = len(packed) + sum(
            file.size for file in files if isinstance(file.content, StoredFile)
        )
        if len(packed) <= INLINE_BYTES:
            return replace(mail, size=size, payload=replace(mail.payload, inline=packed, blob=None))
        name = _blob_name(mail, packed)
        if own_name:
            name = f"{name}-{self._random(8).hex()}"
        self._payloads.put(name, packed)
        return replace(mail, size=size, payload=replace(mail.payload, inline=None, blob=name))

    def keep_large_files(self, mail: Mail, message: Message) -> tuple[Mail, Message]:
        """The mail and its message, with large files stored as blobs of their own. Raises RemoteError."""
        attachments = []
        names = []
        for item in message.attachments:
            if not _is_packed(item):
                content = item.in_memory
                kept = self._files.keep(_blob_name(mail, content), content)
                names.append(kept.name)
                item = replace(item, content=kept)
            attachments.append(item)
        mail = replace(mail, payload=replace(mail.payload, files=tuple(dict.fromkeys(names))))
        return mail, replace(message, attachments=tuple(attachments))

    def read(self, mail: Mail) -> Packed:
        """What the mail holds; an empty `Packed` where nothing is kept any more. Raises RemoteError
        where storage does not hand it out, ValueError where it is damaged."""
        if mail.payload.inline is not None:
            return unpack(mail.payload.inline)
        if mail.payload.blob is not None:
            return unpack(self._payloads.get(mail.payload.blob))
        return Packed()

    def drop(self, *blobs: str) -> None:
        """Remove blobs that no row refers to. Never raises for storage: retention removes the rest."""
        for blob in blobs:
            try:
                self._payloads.delete(blob)
            except RemoteError:
                event("payload_left_behind", level=logging.WARNING)

    def look_at_files(self, message: Message) -> Message:
        """The message with the size and version of each file that the caller has in storage, each as
        it stands now. Raises RequestRejected (422) for one that is not there."""
        found: list[Attachment] = []
        missing: list[FieldProblem] = []
        for index, item in enumerate(message.attachments):
            file = item.content
            if isinstance(file, StoredFile):
                seen = self._files.head(file.container, file.name)
                if seen is None:
                    missing.append(_missing(index, file.container))
                item = replace(item, content=seen or file)
            found.append(item)
        if missing:
            raise RequestRejected(
                problems.ATTACHMENT_MISSING, "The mail names a file that is not there.", missing
            )
        return replace(message, attachments=tuple(found))


def _missing(index: int, container: str) -> FieldProblem:
    return FieldProblem(
        f"attachments[{index}].blob",
        f"is not in the container {container}: put the file there first",
    )


def _is_packed(item: Attachment) -> bool:
    return isinstance(item.content, StoredFile) or len(item.content) < limits.SEPARATE_BYTES


def _blob_name(mail: Mail, content: bytes) -> str:
    """Named by its content as well: what an earlier try left behind may have been meant for another
    sender, or have been read from another request."""
    return f"{mail.mail_id}/{hashlib.sha256(content).hexdigest()[:16]}"
