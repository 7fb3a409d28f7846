"""The content of mails between acceptance and delivery: in the row or in a blob, and large files in
blobs of their own."""

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
"""A payload up to this size is kept in the ledger row (1 MiB at most), a larger one in a blob."""


class ContentStore:
    """Stores the content of mails, and reads it."""

    def __init__(self, payloads: Payloads, files: Files, random: ids.RandomBytes) -> None:
        self._payloads = payloads
        self._files = files
        self._random = random

    def keep(self, mail: Mail, content: Packed, *, own_name: bool = False) -> Mail:
        """The mail with its content, either for the row or already stored in a blob. Files in blobs
        of their own stay there. With `own_name` no other call writes a blob of the same name, so
        this call may remove it if it loses the race for the row. Raises RemoteError."""
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
        """The mail and its message; large files are stored in blobs of their own. Raises
        RemoteError."""
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
        """The content of the mail; an empty `Packed` if it is not kept any more. Raises RemoteError
        if storage cannot be read, ValueError if it is damaged."""
        if mail.payload.inline is not None:
            return unpack(mail.payload.inline)
        if mail.payload.blob is not None:
            return unpack(self._payloads.get(mail.payload.blob))
        return Packed()

    def drop(self, *blobs: str) -> None:
        """Remove blobs that no row refers to. Never raises for storage: retention removes what
        stays."""
        for blob in blobs:
            try:
                self._payloads.delete(blob)
            except RemoteError:
                event("payload_left_behind", level=logging.WARNING)

    def look_at_files(self, message: Message) -> Message:
        """The message with the size and the version that each of the caller's files has now. Raises
        RequestRejected (422) for a file that does not exist."""
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
    """The name contains a digest of the content: an earlier attempt may have stored other content
    for this mail."""
    return f"{mail.mail_id}/{hashlib.sha256(content).hexdigest()[:16]}"
