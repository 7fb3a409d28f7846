"""An attachment as a file that is read piece by piece, wherever it lies."""

from __future__ import annotations

from collections.abc import Iterator

from shared.mail.message import Attachment, StoredFile
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
