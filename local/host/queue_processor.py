"""Handles one received message: decode, keep locked, run, then delete, release or move to the
poison queue.

The sources are those of `queue_listener`; the form of the metadata is from `QueueTriggerBinding`.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Callable
from time import monotonic

from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.queue import QueueMessage

from local.host.configuration import QueueSettings
from local.host.dispatcher import InvocationFailed
from local.host.functions import Function
from local.host.protocol import QueueTrigger, Trigger
from local.host.storage import StoredQueue, error_code, is_lost

_LOG = logging.getLogger("host")

# Seconds. The extension fixes this, whatever host.json says, and renews it after half of the time.
MESSAGE_LOCK = 600

Run = Callable[[Trigger], None]

_BLANKS = str.maketrans("", "", " \t\r\n")


class Undecodable(Exception):
    """The text is not base64 although host.json says that it is."""


class Unbindable(Exception):
    """What the base64 holds is not UTF-8, so no parameter can be bound to it."""


class Locked:
    """A message that this host has received. A renewal changes its receipt, so a lock guards
    both."""

    def __init__(self, queue: StoredQueue, message: QueueMessage) -> None:
        self._queue = queue
        self._id = str(message.id)
        self._receipt = str(message.pop_receipt)
        self._mutex = threading.Lock()
        self._held = True

    def renew(self, seconds: int) -> bool:
        """Renew the lock. Returns False once the message is finished or lost."""
        with self._mutex:
            if not self._held:
                return False
            try:
                self._receipt = self._queue.set_visibility(self._id, self._receipt, seconds)
            except HttpResponseError as error:
                return not is_lost(error)
            except AzureError:
                return True
            return True

    def delete(self) -> None:
        self._settle(lambda: self._queue.delete(self._id, self._receipt))

    def release(self, seconds: int) -> None:
        self._settle(lambda: self._queue.set_visibility(self._id, self._receipt, seconds))

    def let_go(self) -> None:
        """Stop renewing; the message becomes visible again when its lock ends."""
        with self._mutex:
            self._held = False

    def _settle(self, call: Callable[[], object]) -> None:
        with self._mutex:
            self._held = False
            try:
                call()
            except HttpResponseError as error:
                level = logging.DEBUG if is_lost(error) else logging.WARNING
                _LOG.log(level, "a message could not be settled: %s", error_code(error))
            except AzureError as error:
                _LOG.warning("a message could not be settled: %s", type(error).__name__)


class Renewals:
    """One thread that renews the locks of all messages under way."""

    def __init__(self, every: float, seconds: int) -> None:
        self._every = every
        self._seconds = seconds
        self._due: dict[Locked, float] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="renewals", daemon=True)
        self._thread.start()

    def add(self, message: Locked) -> None:
        with self._changed:
            self._due[message] = monotonic() + self._every
            self._changed.notify()

    def remove(self, message: Locked) -> None:
        with self._changed:
            self._due.pop(message, None)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(5.0)

    def _run(self) -> None:
        while True:
            with self._changed:
                nearest = min(self._due.values(), default=None)
                self._changed.wait(None if nearest is None else max(0.0, nearest - monotonic()))
                if self._closed:
                    return
                ready = [message for message, due in self._due.items() if due <= monotonic()]
            for message in ready:
                goes_on = message.renew(self._seconds)
                with self._changed:
                    if message in self._due:
                        self._due[message] = monotonic() + self._every
                    if not goes_on:
                        self._due.pop(message, None)


class Processor:
    """Handles messages of one queue for one function. `lock` is in seconds."""

    def __init__(
        self,
        function: Function,
        queue: StoredQueue,
        poison: StoredQueue | None,
        settings: QueueSettings,
        run: Run,
        *,
        lock: int = MESSAGE_LOCK,
        renew_every: float | None = None,
        woken_by_poison: Callable[[str], None] = lambda queue: None,
    ) -> None:
        self._function = function
        self._queue = queue
        self._poison = poison
        self._settings = settings
        self._run = run
        self._wake = woken_by_poison
        self._renewals = Renewals(lock / 2 if renew_every is None else renew_every, lock)

    def process(self, message: QueueMessage) -> None:
        locked = Locked(self._queue, message)
        dequeues = message.dequeue_count or 0
        if dequeues > self._settings.max_dequeue_count:
            self._to_poison(locked, message)
            return
        try:
            succeeded = self._succeeds(message, locked)
        except Undecodable:
            _LOG.warning(
                "a message of queue %s is not base64; check MessageEncoding", self._queue.name
            )
            self._to_poison(locked, message)
            return
        if succeeded:
            locked.delete()
        elif self._poison is None:
            # A queue without a poison queue, so also a poison queue itself: seen in Azure.
            locked.let_go()
        elif dequeues >= self._settings.max_dequeue_count:
            self._to_poison(locked, message)
        else:
            locked.release(self._settings.visibility_timeout)

    def close(self) -> None:
        self._renewals.close()
        if self._poison is not None:
            self._poison.close()

    def _succeeds(self, message: QueueMessage, locked: Locked) -> bool:
        self._renewals.add(locked)
        try:
            self._run(trigger_of(message, base64_text=self._settings.base64))
        except Unbindable:
            _LOG.error(
                "Executed 'Functions.%s' (Failed)\nException binding parameter '%s': the message "
                "is not UTF-8; the function is not called",
                self._function.name,
                self._function.trigger.name,
            )
            return False
        except InvocationFailed:
            return False
        finally:
            self._renewals.remove(locked)
        return True

    def _to_poison(self, locked: Locked, message: QueueMessage) -> None:
        if self._poison is None:
            locked.let_go()
            return
        try:
            self._poison.put(str(message.content), "put-poison")
        except AzureError as error:
            _LOG.warning("queue %s cannot be written: %s", self._poison.name, type(error).__name__)
            locked.let_go()
            return
        _LOG.warning("a message of queue %s was moved to %s", self._queue.name, self._poison.name)
        locked.delete()
        self._wake(self._poison.name)


def trigger_of(message: QueueMessage, *, base64_text: bool) -> QueueTrigger:
    """What the worker gets. Raises Undecodable or Unbindable."""
    body = decoded(str(message.content)) if base64_text else str(message.content)
    return QueueTrigger(body, metadata(message, body))


def from_admin(text: str) -> QueueTrigger:
    """A message made from `POST /admin/functions/{name}`; it has no id and was never queued."""
    return QueueTrigger(text, {"DequeueCount": ("string", "0")})


def decoded(text: str) -> str:
    """The text in base64. White space in it does not count, as for .NET's Convert. Raises
    Undecodable or Unbindable."""
    try:
        body = base64.b64decode(text.translate(_BLANKS), validate=True)
    except ValueError as error:
        raise Undecodable from error
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Unbindable from error


def metadata(message: QueueMessage, body: str) -> dict[str, tuple[str, str]]:
    """Trigger metadata, with the type in which the host sends each to the worker."""
    values = {
        "QueueTrigger": ("string", body),
        "Id": ("string", str(message.id)),
        "DequeueCount": ("string", str(message.dequeue_count)),
        "PopReceipt": ("string", str(message.pop_receipt)),
    }
    times = {
        "InsertionTime": message.inserted_on,
        "ExpirationTime": message.expires_on,
        "NextVisibleTime": message.next_visible_on,
    }
    for name, moment in times.items():
        if moment is not None:
            values[name] = ("json", json.dumps(moment.isoformat()))
    return values
