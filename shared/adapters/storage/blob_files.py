"""Files in blob storage, read in ranges of one version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from shared.adapters.storage.clients import ATTACHMENTS_CONTAINER, PAYLOADS_CONTAINER, translated
from shared.errors import AlreadyExists, FileChanged, LostRace, RemoteRefused
from shared.mail.message import StoredFile

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, ContainerClient

PIECE_BYTES = 6 * 320 * 1024
"""Bytes in one request: to read an answer, the SDK takes ten times its size in memory."""


class BlobFiles:
    """Implements `mails.ports.Files`."""

    def __init__(
        self,
        attachments: Callable[[], ContainerClient],
        payloads: Callable[[], ContainerClient],
    ) -> None:
        self._clients = {ATTACHMENTS_CONTAINER: attachments, PAYLOADS_CONTAINER: payloads}

    def head(self, container: str, name: str) -> StoredFile | None:
        """See `Files`."""
        try:
            with translated("looking at a file"):
                found = self._blob(container, name).get_blob_properties()
        except LostRace:
            return None
        return StoredFile(container, name, int(found.size), str(found.etag))

    def keep(self, name: str, content: bytes) -> StoredFile:
        """See `Files`."""
        try:
            with translated("storing a file", len(content)):
                answer = self._blob(PAYLOADS_CONTAINER, name).upload_blob(content, overwrite=False)
        except AlreadyExists:
            found = self.head(PAYLOADS_CONTAINER, name)
            if found is None:
                raise RemoteRefused("storage", "the file was removed while it was stored") from None
            return found
        except LostRace as error:
            raise RemoteRefused("storage", "the container payloads is not there") from error
        return StoredFile(PAYLOADS_CONTAINER, name, len(content), str(answer["etag"]))

    def chunks(self, file: StoredFile, chunk_bytes: int) -> Iterator[bytes]:
        """See `Files`. Nothing is read ahead."""
        if file.size == 0:
            now = self.head(file.container, file.name)
            if now != file:
                raise FileChanged(gone=now is None)
        for start in range(0, file.size, chunk_bytes):
            end = min(start + chunk_bytes, file.size)
            pieces = range(start, end, PIECE_BYTES)
            yield b"".join(self._piece(file, at, min(PIECE_BYTES, end - at)) for at in pieces)

    def _piece(self, file: StoredFile, start: int, length: int) -> bytes:
        from azure.core import MatchConditions

        blob = self._blob(file.container, file.name)
        try:
            with translated("reading a file", length):
                return blob.download_blob(
                    start, length, etag=file.etag, match_condition=MatchConditions.IfNotModified
                ).readall()
        except AlreadyExists as error:
            # The service answers 409 for a blob in the archive tier.
            raise RemoteRefused("storage", "the file is archived and cannot be read") from error
        except LostRace as error:
            # For a condition on a missing blob, Azure and Azurite answer differently.
            gone = self.head(file.container, file.name) is None
            raise FileChanged(gone=gone) from error

    def probe(self) -> None:
        """Ask whether the container exists. Raises RemoteError or LostRace if it does not."""
        with translated("looking for the container"):
            self._clients[ATTACHMENTS_CONTAINER]().get_container_properties()

    def _blob(self, container: str, name: str) -> BlobClient:
        return self._clients[container]().get_blob_client(name)
