"""Payloads that are too large for a ledger row, in the container `payloads`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from shared.adapters.storage.clients import translated
from shared.errors import AlreadyExists, LostRace, RemoteRefused

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


class PayloadBlobs:
    """Implements `mails.ports.Payloads`."""

    def __init__(self, client: Callable[[], ContainerClient]) -> None:
        self._client = client

    def put(self, name: str, content: bytes) -> None:
        """See `Payloads`."""
        try:
            with translated("storing a payload", len(content)):
                self._client().upload_blob(name, content, overwrite=False)
        except AlreadyExists:
            return
        except LostRace as error:
            raise RemoteRefused("storage", "the container payloads is not there") from error

    def get(self, name: str) -> bytes:
        """See `Payloads`."""
        try:
            with translated("reading a payload"):
                return self._client().download_blob(name).readall()
        except LostRace as error:
            raise RemoteRefused("storage", "the payload is gone") from error

    def delete(self, name: str) -> None:
        """See `Payloads`."""
        try:
            with translated("removing a payload"):
                self._client().delete_blob(name)
        except LostRace:
            return

    def older_than(self, moment: datetime) -> Iterator[str]:
        """See `StoredPayloads`."""
        pages = self._client().list_blobs().by_page()
        while True:
            # Each page has its own time; the caller takes as long as it likes between two.
            with translated("listing payloads"):
                page = next(pages, None)
                found = list(page) if page is not None else None
            if found is None:
                return
            for blob in found:
                if blob.last_modified < moment:
                    yield str(blob.name)

    def probe(self) -> None:
        """Ask whether the container exists. Raises RemoteError or LostRace if it does not."""
        with translated("looking for the container"):
            self._client().get_container_properties()
