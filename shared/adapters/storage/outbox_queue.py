"""Sends wake-ups to the queue `outbox`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import TYPE_CHECKING

from shared.adapters.storage.clients import translated
from shared.errors import AlreadyExists, LostRace, RemoteRefused
from shared.services.intake.outbox_message import wake_up_for

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient


class OutboxQueue:
    """Implements `intake.ports.WakeUps`."""

    def __init__(self, client: Callable[[], QueueClient]) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._has_enqueued = False

    def enqueue(self, mail_id: str, after_seconds: float = 0) -> None:
        """See `WakeUps`. A wake-up never expires: a late one does no harm."""
        try:
            with translated("enqueuing a wake-up"), self._alone_at_first():
                self._client().send_message(
                    wake_up_for(mail_id), visibility_timeout=ceil(after_seconds), time_to_live=-1
                )
        except (LostRace, AlreadyExists) as error:
            raise RemoteRefused("storage", "the queue outbox is not there") from error

    @contextmanager
    def _alone_at_first(self) -> Iterator[None]:
        """Let one thread alone make the first call: the SDK then walks through its modules, and
        fails if another thread is still importing them."""
        if self._has_enqueued:
            yield
            return
        with self._lock:
            yield
            self._has_enqueued = True

    def probe(self) -> None:
        """Ask whether the queue exists. Raises RemoteError or LostRace if it does not."""
        with translated("looking for the queue"):
            self._client().get_queue_properties()
