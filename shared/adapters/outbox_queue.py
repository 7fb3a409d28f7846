"""The bell: queue `outbox`."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING

from shared.adapters.storage import translated
from shared.errors import AlreadyExists, LostRace, RemoteRefused
from shared.services.outbox_message import bell_for

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient


class OutboxQueue:
    """Fulfils `ports.Bell`."""

    def __init__(self, client: Callable[[], QueueClient]) -> None:
        self._client = client

    def ring(self, mail_id: str, after_seconds: float = 0) -> None:
        """See `Bell`. A bell never expires by itself: one that is heard late does no harm."""
        try:
            with translated("ringing"):
                self._client().send_message(
                    bell_for(mail_id), visibility_timeout=ceil(after_seconds), time_to_live=-1
                )
        except (LostRace, AlreadyExists) as error:
            raise RemoteRefused("storage", "the queue outbox is not there") from error

    def probe(self) -> None:
        """Ask whether the queue is there. Raises RemoteError or LostRace where it is not."""
        with translated("looking for the queue"):
            self._client().get_queue_properties()
