"""The queue trigger's poll loop. It makes the same calls as the Storage Queues extension 5.3.

https://github.com/Azure/azure-sdk-for-net/tree/main/sdk/storage/Microsoft.Azure.WebJobs.Extensions.Storage.Queues
(`QueueListener`, `QueueProcessor`, `RandomizedExponentialBackoffStrategy`).
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.queue import QueueMessage

from local.host.configuration import QueueSettings
from local.host.queue_processor import MESSAGE_LOCK, Processor
from local.host.storage import StoredQueue

_LOG = logging.getLogger("host")
_FIRST_WAIT = 0.1


class Backoff:
    """100 ms after a poll without a message, then longer and longer, with jitter, up to `longest`
    seconds."""

    def __init__(self, longest: float, draw: Callable[[float, float], float]) -> None:
        self._longest = longest
        self._draw = draw
        self._misses = 0

    def reset(self) -> None:
        self._misses = 0

    def next(self) -> float:
        self._misses += 1
        if self._misses == 1:
            return min(_FIRST_WAIT, self._longest)
        # Limited, so that a long idle time cannot overflow the power.
        step = _FIRST_WAIT * 2.0 ** min(self._misses - 2, 30)
        return min(_FIRST_WAIT + self._draw(0.8, 1.2) * step, self._longest)


class QueueListener:
    """`holds` is told how many messages more (or less, if negative) are under way."""

    def __init__(
        self,
        queue: StoredQueue,
        processor: Processor,
        settings: QueueSettings,
        *,
        lock: int = MESSAGE_LOCK,
        holds: Callable[[int], None] = lambda more: None,
    ) -> None:
        self.queue = queue
        self._lock = lock
        self._holds = holds
        self._processor = processor
        self._settings = settings
        self._in_flight = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._strands = False
        self._woken = False
        self._unreadable = False
        self._backoff = Backoff(settings.max_polling_interval, random.uniform)
        self._pool = ThreadPoolExecutor(
            settings.batch_size + settings.new_batch_threshold, f"queue-{queue.name}"
        )
        self._thread = threading.Thread(target=self._poll, name=f"poll-{queue.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Poll now: this host has just put a message on the queue."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def stop_polling(self, *, strand_a_batch: bool = False) -> None:
        """Fetch no more messages. `strand_a_batch`: one more batch is fetched and stays locked
        without a call of the function, as in 2 of 27 stops of the real host."""
        with self._changed:
            self._strands = strand_a_batch
            self._stopping = True
            self._changed.notify_all()

    def finish(self, grace: float) -> bool:
        """Wait for the messages under way; they are still deleted or released."""
        self._thread.join(grace)
        with self._changed:
            done = self._changed.wait_for(lambda: self._in_flight == 0, grace)
        self._pool.shutdown(wait=False)
        self._processor.close()
        self.queue.close()
        return done

    def _poll(self) -> None:
        exists = False
        while not self._stopping:
            messages: list[QueueMessage] = []
            try:
                # The trigger never creates its queue.
                exists = exists or self.queue.exists()
                if exists and not self._stopping:
                    messages = self.queue.receive(self._settings.batch_size, self._lock)
                self._report(None)
            except AzureError as error:
                exists = False
                self._report(error)
            if messages:
                self._backoff.reset()
                self._hand_over(messages)
            else:
                self._wait(self._backoff.next())
        if self._strands:
            self._strand()

    def _strand(self) -> None:
        try:
            stranded = self.queue.receive(self._settings.batch_size, self._lock)
        except AzureError:
            return
        self._holds(len(stranded))
        _LOG.warning(
            "queue %s: %s messages stay locked for %s s without a call, as the real host does now "
            "and then when it stops (--strand-batches-at-stop)",
            self.queue.name,
            len(stranded),
            self._lock,
        )

    def _report(self, error: AzureError | None) -> None:
        """Log once that the queue cannot be read, and once that it can be read again."""
        if isinstance(error, HttpResponseError) and self.queue.holds_what_azurite_cannot_give(
            error
        ):
            _LOG.error(
                "queue %s: Azurite answers 500 to a receive. It does so when the queue holds a "
                "message that XML cannot carry; Azure refuses to take such a message (400). The "
                "messages of this receive stay locked for %s s, and then it happens again. Clear "
                "the queue: python -m local.clear_queue %s",
                self.queue.name,
                self._lock,
                self.queue.name,
            )
        elif error is not None and not self._unreadable:
            _LOG.warning("queue %s cannot be read: %s", self.queue.name, type(error).__name__)
        elif error is None and self._unreadable:
            _LOG.info("queue %s can be read again", self.queue.name)
        self._unreadable = error is not None

    def _hand_over(self, messages: list[QueueMessage]) -> None:
        with self._changed:
            self._in_flight += len(messages)
        self._holds(len(messages))
        for message in messages:
            self._pool.submit(self._process, message)
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._in_flight <= self._settings.new_batch_threshold
            )

    def _process(self, message: QueueMessage) -> None:
        try:
            self._processor.process(message)
        except Exception:  # noqa: BLE001 - a bug here must not end the listener
            _LOG.exception("a message of queue %s was not handled", self.queue.name)
        finally:
            self._holds(-1)
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def _wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._woken, seconds)
            self._woken = False
